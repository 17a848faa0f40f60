// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of GPU SVM share: an address space that the test runs in, a
 * GPU SVM that mirrors it, mock devices, operations that count, and shorthands
 * for what a driver and what a process does.
 *
 * A test's task has a real mm, so that real faults, real page tables and real
 * notifiers are tested. The DMA API's trace points tell what is mapped for the
 * mock devices at any time.
 */

#include <linux/anon_inodes.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>

#include <kunit/resource.h>

#include <trace/events/dma.h>

#include "drm_gpusvm_fixture.h"

/* Operations that allocate get no context: there is one test at a time. */
static struct svm_fixture *current_svm;
static struct drm_device *svm_drm_devices[SVM_DEVICES];

const unsigned long svm_chunks[3] = { SZ_2M, SZ_64K, SZ_4K };

/*
 * The driver's operations
 */

static struct svm_fixture *gpusvm_to_svm(struct drm_gpusvm *gpusvm)
{
	return container_of(gpusvm, struct svm_fixture, gpusvm);
}

static struct drm_gpusvm_notifier *svm_notifier_alloc(void)
{
	struct svm_fixture *svm = current_svm;
	struct drm_gpusvm_notifier *notifier;

	if (svm->fail_notifier_alloc) {
		svm->fail_notifier_alloc = false;
		return NULL;
	}

	notifier = kzalloc_obj(*notifier);
	if (notifier)
		atomic_inc(&svm->notifier_allocs);

	return notifier;
}

static void svm_notifier_free(struct drm_gpusvm_notifier *notifier)
{
	atomic_inc(&gpusvm_to_svm(notifier->gpusvm)->notifier_frees);
	kfree(notifier);
}

static struct drm_gpusvm_range *svm_range_alloc(struct drm_gpusvm *gpusvm)
{
	struct svm_fixture *svm = gpusvm_to_svm(gpusvm);
	struct svm_range *range;
	int i;

	if (svm->hooks.range_alloc)
		svm->hooks.range_alloc(svm);
	if (svm->fail_range_alloc) {
		svm->fail_range_alloc = false;
		return NULL;
	}

	range = kzalloc_obj(*range);
	if (!range)
		return NULL;
	mutex_init(&range->lock);
	for (i = 0; i < SVM_DEVICES; i++)
		drm_gpusvm_init_pages(&range->pages[i], svm->devices[i].drm);
	atomic_inc(&svm->range_allocs);

	return &range->base;
}

static void svm_range_free(struct drm_gpusvm_range *base)
{
	struct svm_range *range = to_svm_range(base);
	int i;

	for (i = 0; i < SVM_DEVICES; i++)
		drm_gpusvm_free_pages(base->gpusvm, &range->pages[i],
				      drm_gpusvm_range_size(base) >> PAGE_SHIFT);
	atomic_inc(&gpusvm_to_svm(base->gpusvm)->range_frees);
	kfree(range);
}

static void svm_count_start(struct svm_fixture *svm,
			    struct drm_gpusvm_notifier *notifier,
			    const struct mmu_notifier_range *mmu_range)
{
	atomic_inc(&svm->starts);
	atomic_inc(&svm->events[mmu_range->event]);
	if (svm->hooks.start)
		svm->hooks.start(svm, notifier, mmu_range);
}

static void svm_invalidate(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range)
{
	const struct drm_gpusvm_ctx ctx = { .in_notifier = true };
	struct drm_gpusvm_range *base = NULL;
	int i;

	drm_gpusvm_for_each_range(base, notifier, mmu_range->start, mmu_range->end) {
		struct svm_range *range = to_svm_range(base);

		for (i = 0; i < SVM_DEVICES; i++)
			drm_gpusvm_unmap_pages(gpusvm, &range->pages[i],
					       drm_gpusvm_range_size(base) >> PAGE_SHIFT,
					       &ctx);
		if (mmu_range->event == MMU_NOTIFY_UNMAP)
			drm_gpusvm_range_set_unmapped(base, range->pages,
						      SVM_DEVICES, mmu_range);
	}
	svm_count_start(gpusvm_to_svm(gpusvm), notifier, mmu_range);
}

static bool svm_invalidate_start(struct drm_gpusvm *gpusvm,
				 struct drm_gpusvm_notifier *notifier,
				 const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range *base = NULL;
	int i;

	drm_gpusvm_for_each_range(base, notifier, mmu_range->start, mmu_range->end) {
		struct svm_range *range = to_svm_range(base);

		for (i = 0; i < SVM_DEVICES; i++)
			drm_gpusvm_unmap_pages_deferred(notifier, &range->pages[i]);
		if (mmu_range->event == MMU_NOTIFY_UNMAP)
			drm_gpusvm_range_set_unmapped(base, range->pages,
						      SVM_DEVICES, mmu_range);
	}
	svm_count_start(gpusvm_to_svm(gpusvm), notifier, mmu_range);

	return gpusvm_to_svm(gpusvm)->needs_finish;
}

/* The same, but what is not hit stays mapped. */
static bool svm_invalidate_start_parts(struct drm_gpusvm *gpusvm,
				       struct drm_gpusvm_notifier *notifier,
				       const struct mmu_notifier_range *mmu_range)
{
	struct svm_fixture *svm = gpusvm_to_svm(gpusvm);
	struct drm_gpusvm_range *base = NULL;
	int i;

	drm_gpusvm_for_each_range(base, notifier, mmu_range->start, mmu_range->end) {
		struct svm_range *range = to_svm_range(base);

		for (i = 0; i < SVM_DEVICES; i++) {
			svm->devices[i].taken_start = mmu_range->start;
			svm->devices[i].taken_end = mmu_range->end;
			drm_gpusvm_unmap_part_deferred(notifier, &range->pages[i],
						       drm_gpusvm_range_start(base),
						       &svm->devices[i].taken_start,
						       &svm->devices[i].taken_end);
		}
		if (mmu_range->event == MMU_NOTIFY_UNMAP)
			drm_gpusvm_range_set_unmapped(base, range->pages,
						      SVM_DEVICES, mmu_range);
	}
	svm_count_start(svm, notifier, mmu_range);

	return svm->needs_finish;
}

static void svm_invalidate_finish(struct drm_gpusvm *gpusvm,
				  struct drm_gpusvm_notifier *notifier)
{
	struct svm_fixture *svm = gpusvm_to_svm(gpusvm);

	atomic_inc(&svm->finishes);
	if (svm->hooks.finish)
		svm->hooks.finish(svm, notifier);
}

const struct drm_gpusvm_ops svm_ops_one_pass = {
	.notifier_alloc = svm_notifier_alloc,
	.notifier_free = svm_notifier_free,
	.range_alloc = svm_range_alloc,
	.range_free = svm_range_free,
	.invalidate = svm_invalidate,
};

const struct drm_gpusvm_ops svm_ops_two_pass = {
	.notifier_alloc = svm_notifier_alloc,
	.notifier_free = svm_notifier_free,
	.range_alloc = svm_range_alloc,
	.range_free = svm_range_free,
	.invalidate_start = svm_invalidate_start,
	.invalidate_finish = svm_invalidate_finish,
};

const struct drm_gpusvm_ops svm_ops_parts = {
	.notifier_alloc = svm_notifier_alloc,
	.notifier_free = svm_notifier_free,
	.range_alloc = svm_range_alloc,
	.range_free = svm_range_free,
	.invalidate_start = svm_invalidate_start_parts,
	.invalidate_finish = svm_invalidate_finish,
};

/*
 * What is mapped for DMA
 */

#ifdef CONFIG_FAULT_INJECTION
static void svm_end_failures(struct svm_fixture *svm)
{
	if (!svm->mapping_succeeds || !current->fail_nth)
		return;
	svm->failures_left = current->fail_nth;
	current->fail_nth = 0;
}

/* Once all is mapped, allocations may fail again. */
void svm_resume_failures(struct svm_fixture *svm)
{
	if (!svm->mapping_succeeds || !svm->failures_left || current->fail_nth)
		return;
	current->fail_nth = svm->failures_left;
	svm->failures_left = 0;
}
#else
static void svm_end_failures(struct svm_fixture *svm)
{
}

void svm_resume_failures(struct svm_fixture *svm)
{
}
#endif

static struct svm_device *svm_device_of(struct device *dev)
{
	struct svm_fixture *svm = current_svm;
	int i;

	for (i = 0; svm && i < SVM_DEVICES; i++)
		if (svm->devices[i].dev == dev)
			return &svm->devices[i];

	return NULL;
}

static void svm_probe_map(void *data, struct device *dev, phys_addr_t phys,
			  dma_addr_t dma, size_t size,
			  enum dma_data_direction dir, unsigned long attrs)
{
	struct svm_device *device = svm_device_of(dev);

	if (!device || dma == DMA_MAPPING_ERROR)
		return;
	svm_end_failures(current_svm);
	atomic_inc(&device->maps);
	atomic_long_add(size, &device->bytes);
}

static void svm_probe_unmap(void *data, struct device *dev, dma_addr_t dma,
			    size_t size, enum dma_data_direction dir,
			    unsigned long attrs)
{
	struct svm_device *device = svm_device_of(dev);

	if (!device)
		return;
	atomic_inc(&device->unmaps);
	atomic_long_sub(size, &device->bytes);
}

bool svm_counts_dma(struct svm_fixture *svm)
{
	return IS_ENABLED(CONFIG_TRACEPOINTS) && dma_need_unmap(svm->devices[0].dev);
}

long svm_dma_bytes(struct svm_fixture *svm, unsigned int device)
{
	return atomic_long_read(&svm->devices[device].bytes);
}

#ifdef CONFIG_PCI
KUNIT_DEFINE_ACTION_WRAPPER(svm_put_device, put_device, struct device *);

/* A device that nobody uses and that an IOMMU gives addresses of its own. */
struct device *svm_translated_device(struct kunit *test)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		struct dma_iova_state state = {};

		if (pdev->driver || !dma_iova_try_alloc(&pdev->dev, &state, 0, SZ_64K))
			continue;
		dma_iova_free(&pdev->dev, &state);
		KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, svm_put_device,
								   &pdev->dev));
		return &pdev->dev;
	}
	kunit_skip(test, "no idle PCI device behind an IOMMU that translates");
}
#else
struct device *svm_translated_device(struct kunit *test)
{
	kunit_skip(test, "no PCI");
}
#endif

/*
 * Set-up and tear-down
 */

static const struct file_operations svm_drm_fops = {
	.owner = THIS_MODULE,
};

static const struct drm_driver svm_drm_driver = {
	.name = "svm",
	.fops = &svm_drm_fops,
};

static void svm_devices_destroy(void)
{
	int i;

	for (i = 0; i < SVM_DEVICES; i++) {
		drm_dev_put(svm_drm_devices[i]);
		svm_drm_devices[i] = NULL;
	}
}

/* Devices take long to come and to go, so all tests of a suite share them. */
static int svm_devices_create(void)
{
	static const char *const names[SVM_DEVICES] = { "svm0", "svm1", "svm2", "svm3" };
	struct drm_device *drm;
	struct device *dev;
	int i;

	for (i = 0; i < SVM_DEVICES; i++) {
		dev = root_device_register(names[i]);
		if (IS_ERR(dev))
			return PTR_ERR(dev);
		dev->dma_mask = &dev->coherent_dma_mask;
		drm = drm_dev_alloc(&svm_drm_driver, dev);
		/* The DRM device holds it from here on. */
		root_device_unregister(dev);
		if (IS_ERR(drm))
			return PTR_ERR(drm);
		svm_drm_devices[i] = drm;
	}

	return 0;
}

struct drm_device *svm_drm_device(unsigned int device)
{
	return svm_drm_devices[device];
}

int svm_suite_init(struct kunit_suite *suite)
{
	int err;

	err = svm_devices_create();
	if (err) {
		svm_devices_destroy();
		return err;
	}

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		return 0;

	err = register_trace_dma_map_phys(svm_probe_map, NULL);
	if (err)
		return err;

	return register_trace_dma_unmap_phys(svm_probe_unmap, NULL);
}

void svm_suite_exit(struct kunit_suite *suite)
{
	svm_devices_destroy();

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		return;

	unregister_trace_dma_map_phys(svm_probe_map, NULL);
	unregister_trace_dma_unmap_phys(svm_probe_unmap, NULL);
	tracepoint_synchronize_unregister();
}

int svm_init(struct kunit *test)
{
	struct svm_fixture *svm;
	int i;

	svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, svm);
	INIT_LIST_HEAD(&svm->tasks);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm->devices[i].drm = svm_drm_devices[i];
		svm->devices[i].dev = svm_drm_devices[i]->dev;
		svm->devices[i].dev->coherent_dma_mask = DMA_BIT_MASK(64);
	}

	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	current_svm = svm;
	test->priv = svm;
	svm_restart(test, &svm_ops_two_pass, svm_chunks, ARRAY_SIZE(svm_chunks));

	return 0;
}

static void svm_fini(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);

	if (!svm->live)
		return;

	svm->live = false;
	svm_remove_all(test);
	drm_gpusvm_fini(&svm->gpusvm);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), svm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_allocs),
			atomic_read(&svm->range_frees));
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs),
			atomic_read(&svm->notifier_frees));
	svm_expect_unmapped(test);
}

static void restart(struct kunit *test, unsigned long window,
		    const struct drm_gpusvm_ops *ops, const unsigned long *chunks,
		    int num_chunks)
{
	struct svm_fixture *svm = to_svm(test);

	svm_fini(test);
	KUNIT_ASSERT_EQ(test, 0, drm_gpusvm_init(&svm->gpusvm, test->name, current->mm,
						 SVM_BASE, SVM_SIZE, window,
						 ops, chunks, num_chunks));
	svm->live = true;
}

/* Set the GPU SVM up anew, with other parameters. */
void svm_restart(struct kunit *test, const struct drm_gpusvm_ops *ops,
		 const unsigned long *chunks, int num_chunks)
{
	restart(test, SVM_WINDOW, ops, chunks, num_chunks);
}

/* Set it up anew, with other windows. */
void svm_restart_windows(struct kunit *test, unsigned long window)
{
	restart(test, window, &svm_ops_two_pass, svm_chunks, ARRAY_SIZE(svm_chunks));
}

/* Every test ends with the proof that it has left nothing behind. */
void svm_exit(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *task;

	if (!svm)
		return;

	list_for_each_entry(task, &svm->tasks, entry) {
		svm_start(task);
		svm_join(task);
		put_task_struct(task->task);
	}
	memset(&svm->hooks, 0, sizeof(svm->hooks));
	svm_fini(test);
	current_svm = NULL;
}

/*
 * Ranges and pages
 */

struct svm_range *svm_fault(struct kunit *test, unsigned long addr,
			    const struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_range *range;

	range = drm_gpusvm_range_find_or_insert(&to_svm(test)->gpusvm, addr,
						SVM_BASE, SVM_END, ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);
	KUNIT_EXPECT_LE(test, drm_gpusvm_range_start(range), addr);
	KUNIT_EXPECT_GT(test, drm_gpusvm_range_end(range), addr);

	return to_svm_range(range);
}

/* The error of a fault, which takes nothing; 0 if there is none. */
long svm_fault_err(struct kunit *test, unsigned long addr,
		   const struct drm_gpusvm_ctx *ctx)
{
	struct svm_fixture *svm = to_svm(test);
	long ranges = svm_stat(svm, ranges), notifiers = svm_stat(svm, notifiers);
	struct drm_gpusvm_range *range;

	range = drm_gpusvm_range_find_or_insert(&svm->gpusvm, addr, SVM_BASE,
						SVM_END, ctx);
	if (!IS_ERR(range))
		return 0;
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), ranges);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), notifiers);

	return PTR_ERR(range);
}

int svm_get(struct svm_range *range, unsigned int devices,
	    const struct drm_gpusvm_ctx *ctx)
{
	return drm_gpusvm_range_get_pages(&range->base, range->pages, devices, ctx);
}

struct svm_range *svm_fault_and_get(struct kunit *test, unsigned long addr,
				    const struct drm_gpusvm_ctx *ctx)
{
	struct svm_range *range = svm_fault(test, addr, ctx);

	KUNIT_ASSERT_EQ(test, svm_get(range, 1, ctx), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));

	return range;
}

void svm_unmap(struct kunit *test, struct svm_range *range)
{
	struct drm_gpusvm_ctx ctx = {};
	int i;

	for (i = 0; i < SVM_DEVICES; i++)
		drm_gpusvm_unmap_pages(&to_svm(test)->gpusvm, &range->pages[i],
				       drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT,
				       &ctx);
}

void svm_remove(struct kunit *test, struct svm_range *range)
{
	svm_unmap(test, range);
	drm_gpusvm_range_remove(&to_svm(test)->gpusvm, &range->base);
}

void svm_remove_all(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct drm_gpusvm_notifier *notifier, *next;

	if (!gpusvm->ops->range_alloc)
		return;

	drm_gpusvm_for_each_notifier_safe(notifier, next, gpusvm, 0, ULONG_MAX) {
		struct drm_gpusvm_range *range, *__next;

		drm_gpusvm_for_each_range_safe(range, __next, notifier, 0, ULONG_MAX)
			svm_remove(test, to_svm_range(range));
	}
}

bool svm_valid(struct kunit *test, struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	bool valid;

	drm_gpusvm_notifier_lock(gpusvm);
	valid = drm_gpusvm_pages_valid(gpusvm, pages);
	drm_gpusvm_notifier_unlock(gpusvm);

	return valid;
}

void svm_expect_unmapped(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	int i;

	for (i = 0; svm_counts_dma(svm) && i < SVM_DEVICES; i++)
		KUNIT_EXPECT_EQ_MSG(test, svm_dma_bytes(svm, i), 0, "device %d", i);
}

/* Whether the device's addresses lead to what the CPU has there, page by page. */
void svm_expect_same_memory(struct kunit *test, struct svm_range *range,
			    unsigned int device)
{
	const struct drm_gpusvm_pages *pages = &range->pages[device];
	struct device *dev = to_svm(test)->devices[device].dev;
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages->dma_addr);
	KUNIT_EXPECT_LE(test, pages->nr_addrs, pages->max_addrs);
	for (i = 0; i < pages->nr_addrs; i++) {
		phys_addr_t phys = dma_to_phys(dev, pages->dma_addr[i].addr);
		unsigned long size = PAGE_SIZE << pages->dma_addr[i].order;

		KUNIT_EXPECT_EQ(test, (u64)pages->dma_addr[i].proto, DRM_INTERCONNECT_SYSTEM);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(addr | phys, size));
		for (; size; size -= PAGE_SIZE, addr += PAGE_SIZE, phys += PAGE_SIZE)
			KUNIT_ASSERT_EQ_MSG(test, phys, svm_phys(test, current->mm, addr),
					    "entry %u, address 0x%lx", i, addr);
	}
	KUNIT_EXPECT_EQ(test, addr, drm_gpusvm_range_end(&range->base));
}

/*
 * The CPU side
 */

void svm_map_file(struct kunit *test, struct file *file, unsigned long addr,
		  unsigned long len, unsigned long prot, unsigned long flags)
{
	unsigned long at = vm_mmap(file, addr, len, prot, flags | MAP_FIXED, 0);

	KUNIT_ASSERT_EQ(test, at, addr);
}

void svm_map(struct kunit *test, unsigned long addr, unsigned long len,
	     unsigned long prot)
{
	svm_map_file(test, NULL, addr, len, prot, MAP_PRIVATE | MAP_ANONYMOUS);
}

void svm_write(struct kunit *test, unsigned long addr, u64 value)
{
	u64 __user *p = (u64 __user *)addr;

	KUNIT_ASSERT_EQ(test, 0, put_user(value, p));
}

u64 svm_read(struct kunit *test, unsigned long addr)
{
	u64 __user *p = (u64 __user *)addr;
	u64 value = 0;

	KUNIT_ASSERT_EQ(test, 0, get_user(value, p));

	return value;
}

/* Write to each page, its address for instance. */
void svm_touch(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		svm_write(test, addr, addr);
}

/* Where an mm has an address; 0 if it has nothing there. Faults it for reading. */
phys_addr_t svm_phys(struct kunit *test, struct mm_struct *mm, unsigned long addr)
{
	phys_addr_t phys = 0;
	struct page *page;

	mmap_read_lock(mm);
	if (get_user_pages_remote(mm, addr, 1, 0, &page, NULL) == 1) {
		phys = page_to_phys(page);
		put_page(page);
	}
	mmap_read_unlock(mm);

	return phys;
}

void svm_advise(struct kunit *test, unsigned long addr, unsigned long len,
		int advice)
{
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, addr, len, advice));
}

void svm_discard(struct kunit *test, unsigned long addr, unsigned long len)
{
	svm_advise(test, addr, len, MADV_DONTNEED);
}

void svm_munmap(struct kunit *test, unsigned long addr, unsigned long len)
{
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, len));
}

#ifdef CONFIG_X86_64
void svm_mprotect(struct kunit *test, unsigned long addr, unsigned long len,
		  unsigned long prot)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = prot };

	KUNIT_ASSERT_EQ(test, 0, __x64_sys_mprotect(&regs));
}

void svm_mremap(struct kunit *test, unsigned long from, unsigned long len,
		unsigned long to)
{
	struct pt_regs regs = {
		.di = from, .si = len, .dx = len,
		.r10 = MREMAP_MAYMOVE | MREMAP_FIXED, .r8 = to,
	};

	KUNIT_ASSERT_EQ(test, to, __x64_sys_mremap(&regs));
}
#else
void svm_mprotect(struct kunit *test, unsigned long addr, unsigned long len,
		  unsigned long prot)
{
	kunit_skip(test, "mprotect() can't be called from the kernel here");
}

void svm_mremap(struct kunit *test, unsigned long from, unsigned long len,
		unsigned long to)
{
	kunit_skip(test, "mremap() can't be called from the kernel here");
}
#endif

static phys_addr_t svm_phys_block(struct kunit *test, unsigned long addr,
				  unsigned long size)
{
	phys_addr_t first = svm_phys(test, current->mm, addr);
	unsigned long i;

	for (i = PAGE_SIZE; i < size; i += PAGE_SIZE)
		if (svm_phys(test, current->mm, addr + i) != first + i)
			return 0;

	return first;
}

/* Map one huge page's worth of anonymous memory and touch it as a huge page. */
void svm_map_huge(struct kunit *test, unsigned long addr)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || HPAGE_PMD_SIZE != SZ_2M)
		kunit_skip(test, "no transparent huge pages of 2 MiB");

	svm_map(test, addr, SZ_2M, PROT_READ | PROT_WRITE);
	if (do_madvise(current->mm, addr, SZ_2M, MADV_HUGEPAGE))
		kunit_skip(test, "this kernel has no MADV_HUGEPAGE");
	svm_touch(test, addr, SZ_2M);
	if (!IS_ALIGNED(svm_phys_block(test, addr, SZ_2M) ?: 1, SZ_2M))
		kunit_skip(test, "no huge page was free: enable THP or give the guest more memory");
}

struct svm_fork {
	struct mm_struct *mm;
	struct completion done;
};

/* Runs as the child, keeps what it has inherited, and never sees user mode. */
static int svm_fork_child(void *data)
{
	struct svm_fork *fork = data;

	mmget(current->mm);
	fork->mm = current->mm;
	complete(&fork->done);
	do_exit(0);
}

/* What fork() makes of the test's mm, with a reference to its users. */
struct mm_struct *svm_fork(struct kunit *test)
{
	struct svm_fork fork = {
		.done = COMPLETION_INITIALIZER_ONSTACK(fork.done),
	};
	struct kernel_clone_args args = {
		.flags = CLONE_UNTRACED,
		.exit_signal = SIGCHLD,
		.fn = svm_fork_child,
		.fn_arg = &fork,
	};

	KUNIT_ASSERT_GT(test, kernel_clone(&args), 0);
	wait_for_completion(&fork.done);
	KUNIT_ASSERT_PTR_NE(test, fork.mm, current->mm);

	return fork.mm;
}

/* What the exit of the process does. The test's task has no mm afterwards. */
void svm_kill_mm(struct kunit *test)
{
	struct mm_struct *mm = current->mm;

	kthread_unuse_mm(mm);
	KUNIT_EXPECT_EQ(test, atomic_read(&mm->mm_users), 1);
	mmput(mm);
}

/* Announce a change of page tables that does not come. */
void svm_notify(struct mm_struct *mm, unsigned long start, unsigned long end,
		enum mmu_notifier_event event)
{
	struct mmu_notifier_range range;

	mmu_notifier_range_init(&range, event, 0, mm, start, end);
	mmu_notifier_invalidate_range_start(&range);
	mmu_notifier_invalidate_range_end(&range);
}

/*
 * A file whose pages the test chooses
 */

static vm_fault_t svm_file_fault(struct vm_fault *vmf)
{
	struct svm_file *file = vmf->vma->vm_private_data;

	return file->fault ? file->fault(file, vmf) : VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct svm_file_vm_ops = {
	.fault = svm_file_fault,
};

static int svm_file_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct svm_file *file = filp->private_data;

	vma->vm_ops = &svm_file_vm_ops;
	vma->vm_private_data = file;
	vm_flags_set(vma, file->vm_flags | VM_DONTEXPAND);

	return 0;
}

static const struct file_operations svm_file_ops = {
	.mmap = svm_file_mmap,
};

void svm_map_special(struct kunit *test, struct svm_file *file,
		     unsigned long addr, unsigned long len)
{
	struct file *filp = anon_inode_getfile("svm", &svm_file_ops, file, O_RDWR);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, filp);
	svm_map_file(test, filp, addr, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	fput(filp);
}

/*
 * Tasks
 */

void svm_gate_init(struct svm_gate *gate)
{
	init_completion(&gate->entered);
	init_completion(&gate->open);
}

/* Bounded, so that a test that fails does not hang as well. */
void svm_gate_pass(struct svm_gate *gate)
{
	complete(&gate->entered);
	wait_for_completion_timeout(&gate->open, SVM_PATIENCE);
}

static int svm_task_thread(void *data)
{
	struct svm_task *task = data;

	kthread_use_mm(task->mm);
	task->ret = task->fn(task);
	kthread_unuse_mm(task->mm);
	mmput(task->mm);
	complete_all(&task->done);

	return 0;
}

/* Make a task in the test's mm that can be started where memory is not allocated. */
struct svm_task *svm_prepare(struct kunit *test, long (*fn)(struct svm_task *task),
			     unsigned long addr, void *arg)
{
	struct svm_task *task = kunit_kzalloc(test, sizeof(*task), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, task);
	task->fn = fn;
	task->test = test;
	task->svm = to_svm(test);
	task->arg = arg;
	task->addr = addr;
	task->mm = current->mm;
	init_completion(&task->done);

	task->task = kthread_create(svm_task_thread, task, "svm_task");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task->task);
	get_task_struct(task->task);
	mmget(task->mm);
	list_add_tail(&task->entry, &task->svm->tasks);

	return task;
}

void svm_start(struct svm_task *task)
{
	wake_up_process(task->task);
}

/* Start a task in the test's mm; the fixture waits for it in the end. */
struct svm_task *svm_run(struct kunit *test, long (*fn)(struct svm_task *task),
			 unsigned long addr, void *arg)
{
	struct svm_task *task = svm_prepare(test, fn, addr, arg);

	svm_start(task);

	return task;
}

bool svm_done(struct svm_task *task)
{
	return completion_done(&task->done);
}

/* What the task has returned, -ETIMEDOUT if it is still at it. */
long svm_join(struct svm_task *task)
{
	if (!wait_for_completion_timeout(&task->done, SVM_PATIENCE)) {
		KUNIT_FAIL(task->test, "a task does not end");
		return -ETIMEDOUT;
	}

	return task->ret;
}

static bool is_blocked(struct svm_task *task)
{
	unsigned int state = READ_ONCE(task->task->__state);

	return state == TASK_UNINTERRUPTIBLE || state == TASK_KILLABLE;
}

/* Wait until the task sleeps and nothing but another task can wake it. */
bool svm_wait_blocked(struct svm_task *task)
{
	unsigned int seen = 0;

	return svm_wait_until(svm_done(task) ||
			      (is_blocked(task) ? ++seen > 3 : (seen = 0))) &&
	       !svm_done(task);
}
