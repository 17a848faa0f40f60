// SPDX-License-Identifier: MIT
/*
 * What the tests of SVM and userptrs share: a fake device, a VM of the real driver
 * on it, and a process's address space, which is the test's own.
 *
 * Only the GPU is replaced, see xe_svm_fixture_gpu.c. The workers of the device don't
 * run but when the test lets them, as part of the test, so that it can look at what is
 * in between.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pm_runtime.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/drm_managed.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_pci_test.h"
#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_gt_stats.h"
#include "xe_hw_engine.h"
#include "xe_irq.h"
#include "xe_mmio.h"
#include "xe_pagefault.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* Operations of the GPU get no context: there is one test at a time. */
struct xe_svm_fixture *xsvm_current;

/* ------------------------------------------------------------------------
 * Allocations that are made to fail
 */

#ifdef CONFIG_FAULT_INJECTION
int xsvm_stop_failures(void)
{
	int nth = current->fail_nth;

	current->fail_nth = 0;

	return nth;
}

/* Let the nth allocation from now on fail; 0 for none. */
void xsvm_resume_failures(int nth)
{
	current->fail_nth = nth;
}
#else
int xsvm_stop_failures(void)
{
	return 0;
}

void xsvm_resume_failures(int nth)
{
}
#endif

/* ------------------------------------------------------------------------
 * The CPU
 */

void xsvm_map(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	KUNIT_ASSERT_EQ(test, addr, vm_mmap(NULL, addr, len, prot, MAP_PRIVATE |
					    MAP_ANONYMOUS | MAP_FIXED, 0));
}

KUNIT_DEFINE_ACTION_WRAPPER(put_file, fput, struct file *);

void xsvm_map_file_at(struct kunit *test, struct file *file, u64 addr, u64 len,
		      unsigned long prot)
{
	KUNIT_ASSERT_EQ(test, addr, vm_mmap(file, addr, len, prot,
					    MAP_SHARED | MAP_FIXED, 0));
}

/* A shared mapping of a file that is only there for the test. */
struct file *xsvm_map_file(struct kunit *test, u64 addr, u64 len, u64 file_size)
{
	struct file *file = shmem_file_setup("xe_svm", file_size, EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file, file));
	xsvm_map_file_at(test, file, addr, len, PROT_READ | PROT_WRITE);

	return file;
}

static vm_fault_t silence_fault(struct vm_fault *vmf)
{
	struct xsvm_silence *silence = vmf->vma->vm_private_data;

	if (READ_ONCE(silence->answered)) {
		vmf->page = silence->page;
		get_page(vmf->page);
		return 0;
	}
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || !(vmf->flags & FAULT_FLAG_KILLABLE))
		return VM_FAULT_SIGBUS;

	release_fault_lock(vmf);
	WRITE_ONCE(silence->asked, true);
	wake_up_all(&silence->wq);
	wait_event_killable(silence->wq, READ_ONCE(silence->answered));

	return VM_FAULT_RETRY;
}

static const struct vm_operations_struct silence_vm_ops = {
	.fault = silence_fault,
};

static int silence_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &silence_vm_ops;
	vma->vm_private_data = file->private_data;
	vm_flags_set(vma, VM_DONTEXPAND);

	return 0;
}

static const struct file_operations silence_fops = {
	.owner = THIS_MODULE,
	.mmap = silence_mmap,
};

static void silence_free(void *arg)
{
	struct xsvm_silence *silence = arg;

	__free_page(silence->page);
}

/* Map such a file. */
struct xsvm_silence *xsvm_map_silence(struct kunit *test, u64 addr, u64 len)
{
	struct xsvm_silence *silence = kunit_kzalloc(test, sizeof(*silence), GFP_KERNEL);
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, silence);
	init_waitqueue_head(&silence->wq);
	silence->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, silence->page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, silence_free, silence));
	file = anon_inode_getfile("silence", &silence_fops, silence, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	xsvm_map_file_at(test, file, addr, len, PROT_RW);
	fput(file);

	return silence;
}

void xsvm_answer(struct xsvm_silence *silence)
{
	WRITE_ONCE(silence->answered, true);
	wake_up_all(&silence->wq);
}

void xsvm_unmap(struct kunit *test, u64 addr, u64 len)
{
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, len));
}

#if defined(CONFIG_X86_64) && IS_BUILTIN(CONFIG_DRM_XE)
/* From SYSCALL_DEFINE3(mprotect), which declares it for itself alone */
long __x64_sys_mprotect(const struct pt_regs *regs);

void xsvm_protect(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = prot };

	KUNIT_ASSERT_EQ(test, 0, __x64_sys_mprotect(&regs));
}
#else
void xsvm_protect(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	kunit_skip(test, "mprotect() can't be called from here");
}
#endif

/* Take pages out of the CPU's page tables. They stay in the file. */
void xsvm_zap(struct file *file, u64 offset, u64 len)
{
	unmap_mapping_range(file->f_mapping, offset, len, 1);
}

void xsvm_write(struct kunit *test, u64 addr, u64 value)
{
	KUNIT_ASSERT_EQ(test, 0, put_user(value, (u64 __user *)(uintptr_t)addr));
}

u64 xsvm_read(struct kunit *test, u64 addr)
{
	u64 value = 0;

	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u64 __user *)(uintptr_t)addr));

	return value;
}

/**
 * struct test_thread - Another thread of the test's process
 *
 * @test: The test
 * @mm: Its address space
 * @fn: What the thread does
 * @done: That is done
 */
struct test_thread {
	struct kunit *test;
	struct mm_struct *mm;
	void (*fn)(struct kunit *test);
	struct completion done;
};

static int test_thread(void *data)
{
	struct test_thread *thread = data;

	current->kunit_test = thread->test;	/* the stubs apply here, too */
	kthread_use_mm(thread->mm);
	thread->fn(thread->test);
	kthread_unuse_mm(thread->mm);
	current->kunit_test = NULL;
	complete_all(&thread->done);

	return 0;
}

/* What another thread does from now on. */
void xsvm_start_meanwhile(struct kunit *test, void (*fn)(struct kunit *test))
{
	struct test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	thread->test = test;
	thread->mm = current->mm;
	thread->fn = fn;
	init_completion(&thread->done);
	to_svm(test)->meanwhile = thread;
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(test_thread, thread, "xe_svm_test")));
}

/* Whether the other thread gets to its end, for who has something to let go of if not. */
bool xsvm_meanwhile_ends(struct kunit *test)
{
	return wait_for_completion_timeout(&to_svm(test)->meanwhile->done, SVM_PATIENCE);
}

void xsvm_wait_meanwhile(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, xsvm_meanwhile_ends(test));
}

/*
 * What another thread does right now, on a CPU of its own. It may take locks that
 * come before those that the caller has: of the real threads, none waits for the
 * other.
 */
void xsvm_meanwhile(struct kunit *test, void (*fn)(struct kunit *test))
{
	xsvm_start_meanwhile(test, fn);
	xsvm_wait_meanwhile(test);
}

/* Write to each page, its address. */
void xsvm_touch(struct kunit *test, u64 addr, u64 len)
{
	u64 end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		xsvm_write(test, addr, addr);
}

/*
 * Write to pages in an order that keeps neighbours from having memory in a row, which
 * would be mapped, and taken, in one piece.
 */
void xsvm_touch_scattered(struct kunit *test, u64 addr, u64 len)
{
	u64 offset;

	for (offset = 0; offset < len; offset += 2 * PAGE_SIZE)
		xsvm_write(test, addr + offset, addr + offset);
	for (offset = PAGE_SIZE; offset < len; offset += 2 * PAGE_SIZE)
		xsvm_write(test, addr + offset, addr + offset);
}

/* Memory that the CPU has written to and that the GPU has used then. */
struct xe_svm_range *xsvm_map_and_touch(struct kunit *test, u64 addr, u64 len)
{
	xsvm_map(test, addr, len, PROT_RW);
	xsvm_touch(test, addr, len);

	return xsvm_gpu_touch(test, addr, GPU_WRITE);
}

/* ------------------------------------------------------------------------
 * The driver
 */

/* The range at an address; NULL if there is none. */
struct xe_svm_range *xsvm_range_at(struct kunit *test, u64 addr)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->vm->svm.gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *range = NULL;

	drm_gpusvm_notifier_lock(gpusvm);
	notifier = drm_gpusvm_notifier_find(gpusvm, addr, addr + 1);
	if (notifier)
		range = drm_gpusvm_range_find(notifier, addr, addr + 1);
	drm_gpusvm_notifier_unlock(gpusvm);

	return range ? to_xe_range(range) : NULL;
}

struct xe_svm_range *xsvm_find_or_insert(struct kunit *test, u64 addr)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_ctx ctx = {};
	struct xe_svm_range *range;

	down_write(&svm->vm->lock);
	range = xe_svm_range_find_or_insert(svm->vm, addr, svm->mirror, &ctx);
	up_write(&svm->vm->lock);
	KUNIT_ASSERT_FALSE(test, IS_ERR(range));

	return range;
}

int xsvm_get_pages(struct kunit *test, struct xe_svm_range *range, bool read_only)
{
	struct xe_vm *vm = to_svm(test)->vm;
	struct drm_gpusvm_ctx ctx = { .read_only = read_only };
	int err;

	down_write(&vm->lock);
	err = xe_svm_range_get_pages(vm, range, &ctx);
	up_write(&vm->lock);

	return err;
}

bool xsvm_pages_valid(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_vm *vm = to_svm(test)->vm;
	bool valid;

	xe_svm_notifier_lock(vm);
	valid = xe_svm_range_pages_valid(range);
	xe_svm_notifier_unlock(vm);

	return valid;
}

void xsvm_expect_still_mapped(struct kunit *test, u64 start, u64 end)
{
	struct xe_svm_fixture *svm = to_svm(test);

	KUNIT_EXPECT_GT(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
}

bool xsvm_collector_pending(struct kunit *test)
{
	return work_pending(&to_svm(test)->vm->svm.garbage_collector.work);
}

void xsvm_run_collector(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, xsvm_run_work(&to_svm(test)->vm->svm.garbage_collector.work));
}

/* Let VMAs in, as a bind of the user does, but without its arguments. */
struct xe_vma *xsvm_add_mirror(struct kunit *test, u64 start, u64 size, u32 flags)
{
	struct xe_vm *vm = to_svm(test)->vm;
	struct xe_vma *vma = kzalloc_obj(*vma);

	KUNIT_ASSERT_NOT_NULL(test, vma);
	INIT_LIST_HEAD(&vma->combined_links.rebind);
	mutex_init(&vma->fault_lock);
	INIT_LIST_HEAD(&vma->gpuva.gem.entry);
	vma->gpuva.vm = &vm->gpuvm;
	vma->gpuva.va.addr = start;
	vma->gpuva.va.range = size;
	vma->gpuva.flags = XE_VMA_SYSTEM_ALLOCATOR | flags;
	vma->tile_mask = BIT(0);
	vma->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE;
	vma->attr.preferred_loc.migration_policy = DRM_XE_MIGRATE_ALL_PAGES;
	xe_vm_get(vm);

	down_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, 0, drm_gpuva_insert(&vm->gpuvm, &vma->gpuva));
	up_write(&vm->lock);

	return vma;
}

static void be_busy(struct work_struct *work)
{
	wait_for_completion(&xsvm_current->go_on);
}

static void be_vm_busy(struct work_struct *work)
{
	wait_for_completion(&xsvm_current->vm_go_on);
}

/* The only work of a queue that runs. */
static void keep_busy(struct workqueue_struct *wq, struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
	workqueue_set_max_active(wq, 1);
	queue_work(wq, work);
}

static void keep_vm_busy(struct xe_svm_fixture *svm, struct xe_vm *vm)
{
	init_completion(&svm->vm_go_on);
	if (vm->usm.pf.wq)
		keep_busy(vm->usm.pf.wq, &svm->vm_busy, be_vm_busy);
}

static void vm_destroyed(struct work_struct *work)
{
	xsvm_current->vm_destroy(work);
	complete(&xsvm_current->vm_gone);
}

struct xe_vm *xsvm_create_vm(struct kunit *test, u32 flags)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vm *vm = xe_vm_create(svm->xe, flags, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	vm->usm.asid = SVM_ASID;
	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store(&svm->xe->usm.asid_to_vm, SVM_ASID,
						    vm, GFP_KERNEL)));
	keep_vm_busy(svm, vm);
	init_completion(&svm->vm_gone);
	svm->vm_destroy = vm->destroy_work.func;
	vm->destroy_work.func = vm_destroyed;
	svm->vm = vm;

	return vm;
}

/* Close the VM. All that it had is given back. */
void xsvm_close_vm(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vm *vm = svm->vm;

	xe_vm_get(vm);
	xe_vm_close_and_put(vm);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, notifiers), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, kref_read(&vm->gpuvm.kref), 1);
	svm->vm = NULL;
	complete_all(&svm->vm_go_on);
	xe_vm_put(vm);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&svm->vm_gone, SVM_PATIENCE));
}

/* ------------------------------------------------------------------------
 * Set-up and tear-down
 */

KUNIT_DEFINE_ACTION_WRAPPER(free_memory, vfree, void *);

/* Memory that the CPU uses in place of that of the device; not zeroed. */
void *xsvm_vmalloc(struct kunit *test, unsigned long size)
{
	void *p = vmalloc(size);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_memory, p));
	memset(p, 0x5a, size);

	return p;
}

/* A device with memory of its own writes to a register, to have writes to that arrive. */
void xsvm_init_registers(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	struct xe_tile *tile = xe_device_get_root_tile(xe);

	xe_mmio_init(&tile->mmio, tile, (void __iomem *)xsvm_vmalloc(test, SZ_2M), SZ_2M);
	xe->mmio.regs = tile->mmio.regs;
}

/* What is read from the hardware, as far as faults and flushes need it. */
static void init_gt(struct kunit *test, struct xe_gt *gt)
{
	struct xe_hw_engine *hwe = &gt->hw_engines[XE_HW_ENGINE_RCS0];

	hwe->gt = gt;
	hwe->name = "rcs0";
	hwe->class = XE_ENGINE_CLASS_RENDER;
	__set_bit(0, gt->fuse_topo.g_dss_mask);
	bitmap_fill(gt->fuse_topo.eu_mask_per_dss, 8);

	/* A VM tells lockdep that this lock is taken below its own. */
	KUNIT_ASSERT_EQ(test, 0, drmm_mutex_init(&gt_to_xe(gt)->drm, &gt->uc.guc.ct.lock));
	KUNIT_ASSERT_EQ(test, 0, xe_gt_stats_init(gt));
	KUNIT_ASSERT_EQ(test, 0, xe_gt_tlb_inval_init_early(gt));
	gt->tlb_inval.ops = &xsvm_gpu_tlb_ops;
}

static int gpu_no_irqs(struct xe_device *xe)
{
	return 0;
}

/* The device is awake all the time. */
static void init_power(struct device *dev)
{
	pm_runtime_set_active(dev);
	pm_runtime_enable(dev);
	pm_runtime_get_noresume(dev);
}

/* Pagemaps hold the module of their driver. */
static const struct file_operations svm_fops = {
	.owner = THIS_MODULE,
};

static const struct drm_driver svm_driver = {
	.driver_features = DRIVER_GEM,
	.fops = &svm_fops,
};

static void init_device(struct kunit *test, struct xe_svm_fixture *svm,
			const struct xe_pci_fake_data *data)
{
	struct device *dev;
	struct xe_gt *gt;
	u8 id;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	init_power(dev);

	svm->xe = drm_kunit_helper_alloc_drm_device_with_driver(test, dev, struct xe_device,
								drm, &svm_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, svm->xe);
	test->priv = (void *)data;
	KUNIT_ASSERT_EQ(test, 0, xe_pci_fake_device_init(svm->xe));
	svm->gt = svm->xe->tiles[0].primary_gt;

	kunit_activate_static_stub(test, xe_irq_init, gpu_no_irqs);
	KUNIT_ASSERT_EQ(test, 0, xe_device_init_early(svm->xe));
	/* The system is awake. */
	init_completion(&svm->xe->pm_block);
	complete_all(&svm->xe->pm_block);
	for_each_gt(gt, svm->xe, id)
		init_gt(test, gt);
	KUNIT_ASSERT_EQ(test, 0, xe_pagefault_init(svm->xe));
}

/* Prepare a test on a device; @init_vram adds its memory, if it has any. */
int xe_svm_fixture_init_on(struct kunit *test, const struct xe_pci_fake_data *data,
			   void (*init_vram)(struct kunit *test))
{
	struct xe_svm_fixture *svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, svm);
	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	svm->mm = current->mm;
	mmgrab(svm->mm);
	init_device(test, svm, data);
	xsvm_init_gpu(test, &svm->gpu);
	test->priv = svm;
	xsvm_current = svm;

	init_completion(&svm->go_on);
	keep_busy(svm->xe->usm.pf_wq, &svm->busy, be_busy);

	if (init_vram)
		init_vram(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	svm->mirror = xsvm_add_mirror(test, SVM_BASE, SVM_SIZE, 0);

	return 0;
}

int xe_svm_fixture_init(struct kunit *test)
{
	static const struct xe_pci_fake_data integrated = {
		.platform = XE_LUNARLAKE,
		.subplatform = XE_SUBPLATFORM_NONE,
		.step = { .graphics = STEP_B0, .media = STEP_A0 },
		.graphics_verx100 = 2004,
		.media_verx100 = 2000,
	};

	return xe_svm_fixture_init_on(test, &integrated, NULL);
}

/* The task of the test is ending, and its memory with it: some of that may be VRAM. */
static bool memory_is_gone(const struct mm_struct *mm)
{
	unsigned long deadline = jiffies + SVM_PATIENCE;

	/* Where there is nothing mapped, nothing is unmapped, nor noted. */
	while (mm->map_count && !mm_flags_test(MMF_OOM_SKIP, mm) &&
	       time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);

	return !mm->map_count || mm_flags_test(MMF_OOM_SKIP, mm);
}

void xe_svm_fixture_exit(struct kunit *test)
{
	struct xe_svm_fixture *svm = xsvm_current;

	if (!svm)
		return;

	test->priv = svm;
	svm->before_bind = NULL;
	svm->before_commit = NULL;
	svm->before_unbind = NULL;
	svm->before_flush = NULL;
	flush_work(&svm->gpu.flush_work);
	svm->gpu.hold_flushes = 0;
	if (svm->vm)
		xsvm_close_vm(test);
	/* Or the next suspend, or the removal, would wait for somebody who has gone. */
	KUNIT_EXPECT_EQ(test, svm->xe->usm.pf_queue.works, 0);
	svm->xe->usm.pf_queue.works = 0;
	if (svm->mm) {
		KUNIT_EXPECT_TRUE(test, memory_is_gone(svm->mm));
		mmdrop(svm->mm);
	}
	/* The driver does that, too, before devm takes the device apart. */
	drm_dev_unplug(&svm->xe->drm);
	complete_all(&svm->go_on);
	flush_work(&svm->busy);
	xa_destroy(&svm->gpu.ptes);
	xa_destroy(&svm->gpu.tlb);
	xsvm_current = NULL;
}
