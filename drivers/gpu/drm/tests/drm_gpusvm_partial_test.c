// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * GPU SVM maps what can be had: beside memory that can't, for reading and for
 * writing, and so that nothing of what the device writes is lost.
 */

#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/swiotlb.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_fixture.h"

#define RW		(PROT_READ | PROT_WRITE)
#define AT		SVM_BASE
#define SIZE		SZ_64K
#define PAGES		(SIZE >> PAGE_SHIFT)

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static unsigned long page_addr(unsigned long page)
{
	return AT + page * PAGE_SIZE;
}

/* Serve a fault on a page of the range, for the first so many devices. */
static int get_page_of(struct svm_range *range, unsigned int devices, unsigned long page,
		       bool write)
{
	const struct drm_gpusvm_ctx ctx = {
		.partial = true,
		.fault_addr = page_addr(page) + 8,
		.read_only = !write,
	};

	return drm_gpusvm_range_get_pages(&range->base, range->pages, devices, &ctx);
}

static void expect_mapped(struct kunit *test, struct svm_range *range, unsigned int device,
			  unsigned long page, unsigned long first, unsigned long end)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct drm_gpusvm_pages *pages = &range->pages[device];
	unsigned long from = 0, to = 0;
	bool mapped;

	drm_gpusvm_notifier_lock(gpusvm);
	mapped = drm_gpusvm_pages_mapped_around(gpusvm, pages, AT, page_addr(page), &from,
						&to);
	drm_gpusvm_notifier_unlock(gpusvm);
	KUNIT_EXPECT_EQ(test, mapped, first < end);
	if (!mapped)
		return;
	KUNIT_EXPECT_EQ(test, from, page_addr(first));
	KUNIT_EXPECT_EQ(test, to, page_addr(end));
}

static void expect_not_mapped(struct kunit *test, struct svm_range *range,
			      unsigned int device, unsigned long page)
{
	expect_mapped(test, range, device, page, 0, 0);
}

/*
 * Neighbours that can't be had
 */

static void write_beside_read_only_memory_is_served(struct kunit *test)
{
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	range = svm_fault(test, AT, &write_ctx);
	svm_mprotect(test, AT, SIZE / 2, PROT_READ);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 1, true), -EPERM);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, PAGES - 1, true), 0);
	expect_mapped(test, range, 0, PAGES - 1, PAGES / 2, PAGES);
	expect_mapped(test, range, 1, PAGES - 1, PAGES / 2, PAGES);
	expect_not_mapped(test, range, 0, 1);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));

	/* Reading is allowed everywhere, and takes nothing away from what is writable. */
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 1, false), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, PAGES - 1, true), 0);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 1, true), -EROFS);
	svm_remove(test, range);
}

/* Whatever is bad, in a file of 12 pages that 16 are mapped of. */
static void memory_behind_the_end_of_a_file_fails_alone(struct kunit *test)
{
	const unsigned long have = PAGES - 4;
	struct file *file = shmem_file_setup("svm", have << PAGE_SHIFT, EMPTY_VMA_FLAGS);
	struct svm_range *range;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, AT, SIZE, RW, MAP_SHARED);
	fput(file);
	range = svm_fault(test, AT, &write_ctx);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, have, true), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 2, true), 0);
	expect_mapped(test, range, 0, 2, 0, have);
	expect_not_mapped(test, range, 0, have);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, have, false), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, have - 1, true), 0);
	svm_remove(test, range);
}

/* What a page has to do with its neighbours is then nothing, wherever they are in RAM. */
static void page_alone_is_mapped_alone(struct kunit *test)
{
	const struct drm_gpusvm_ctx ctx = {
		.partial = true,
		.alone = true,
		.fault_addr = page_addr(2),
	};
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, range->pages, 2, &ctx), 0);
	expect_mapped(test, range, 0, 2, 2, 3);
	expect_mapped(test, range, 1, 2, 2, 3);

	/* The others come when they are asked for. */
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 0, true), 0);
	expect_mapped(test, range, 0, 0, 0, 3);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 3, true), 0);
	expect_mapped(test, range, 0, 0, 0, PAGES);
	expect_mapped(test, range, 1, 2, 0, PAGES);
	svm_remove(test, range);
}

/* Whoever asks late: all of a mapping, or the rest of it. */
static void nothing_is_mapped_for_a_device_that_is_gone(struct kunit *test)
{
	struct svm_range *range;
	struct drm_device *drm;

	svm_map(test, AT, SIZE, RW);
	range = svm_fault(test, AT, &write_ctx);
	drm = range->pages[0].drm;
	drm->unplugged = true;
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 0, true), -ENODEV);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	drm->unplugged = false;

	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 0, true), 0);
	svm_mprotect(test, page_addr(2), PAGE_SIZE, PROT_READ);
	svm_mprotect(test, page_addr(2), PAGE_SIZE, RW);
	expect_not_mapped(test, range, 0, 2);
	drm->unplugged = true;
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 2, true), -ENODEV);
	expect_not_mapped(test, range, 0, 2);
	drm->unplugged = false;
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 2, true), 0);
	svm_remove(test, range);
}

/* The page of the range that is at the highest address of RAM. */
static unsigned long highest_page(struct kunit *test, phys_addr_t *phys)
{
	unsigned long page, highest = 0;

	*phys = 0;
	for (page = 0; page < PAGES; page++) {
		phys_addr_t at = svm_phys(test, current->mm, page_addr(page));

		if (at > *phys) {
			*phys = at;
			highest = page;
		}
	}

	return highest;
}

/* Where no IOMMU is, that is how it stays: not to be taken for a shortage. */
static void memory_out_of_reach_fails_alone_and_for_good(struct kunit *test)
{
	struct device *dev = to_svm(test)->devices[0].dev;
	struct svm_range *range;
	unsigned long far, page;
	phys_addr_t phys;

	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	far = highest_page(test, &phys);
	range = svm_fault(test, AT, &write_ctx);

	*dev->dma_mask = phys - 1;
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
		KUNIT_EXPECT_EQ(test, get_page_of(range, 1, far, true), -EFAULT);
		KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
		for (page = 0; page < PAGES; page++)
			KUNIT_EXPECT_EQ_MSG(test, get_page_of(range, 2, page, true),
					    page == far ? -EFAULT : 0, "page %lu, far %lu",
					    page, far);
	}
	expect_not_mapped(test, range, 0, far);
	expect_not_mapped(test, range, 1, far);

	*dev->dma_mask = DMA_BIT_MASK(64);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, far, true), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	svm_expect_same_memory(test, range, 0);
	svm_expect_same_memory(test, range, 1);
	svm_remove(test, range);
}

/* A file whose pages come, but for one that never does. */
static vm_fault_t all_but_one(struct svm_file *file, struct vm_fault *vmf)
{
	unsigned long bad = (unsigned long)file->arg;
	struct page *page;

	if (vmf->pgoff == bad)
		return VM_FAULT_SIGBUS;
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		return VM_FAULT_OOM;
	vmf->page = page;

	return 0;
}

static void each_page_around_a_bad_one_is_served(struct kunit *test)
{
	unsigned long bad, page;

	for (bad = 0; bad < PAGES; bad += 5) {
		struct svm_file file = { .fault = all_but_one, .arg = (void *)bad };
		struct svm_range *range;

		svm_map_special(test, &file, AT, SIZE);
		range = svm_fault(test, AT, &write_ctx);
		for (page = 0; page < PAGES; page++)
			KUNIT_EXPECT_EQ_MSG(test, get_page_of(range, SVM_DEVICES, page, true),
					    page == bad ? -EFAULT : 0, "page %lu, bad %lu",
					    page, bad);
		expect_not_mapped(test, range, 0, bad);
		svm_remove(test, range);
		svm_munmap(test, AT, SIZE);
	}
}

/* The rest comes as it is asked for, and then all of it is valid. */
static void what_is_left_out_can_be_had_later(struct kunit *test)
{
	struct svm_range *range;
	unsigned long page;

	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	range = svm_fault(test, AT, &write_ctx);
	for (page = 1; page < PAGES; page += 3)
		svm_mprotect(test, page_addr(page), PAGE_SIZE, PROT_READ);
	for (page = 0; page < PAGES; page++)
		KUNIT_EXPECT_EQ(test, get_page_of(range, 2, page, true),
				page % 3 == 1 ? -EPERM : 0);
	expect_mapped(test, range, 1, 2, 2, 4);
	svm_mprotect(test, AT, SIZE, RW);
	for (page = 1; page < PAGES; page += 3)
		KUNIT_EXPECT_EQ(test, get_page_of(range, 2, page, true), 0);
	for (page = 0; page < 2; page++) {
		KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[page]));
		KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[page]));
		svm_expect_same_memory(test, range, page);
	}
	svm_remove(test, range);
}

static void partial_get_checks_the_address(struct kunit *test)
{
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, PAGES, true), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, PAGES - 1, true), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	svm_remove(test, range);
}

/*
 * Files whose pages may have to be asked for. A ramfs has no server, but no block device
 * that answers, either.
 */
static void unmount(void *mnt)
{
	kern_unmount(mnt);
}

/* Map a file whose pages are all in the page cache, but for one. */
static struct file *map_cached_file(struct kunit *test, unsigned long size,
				    unsigned long hole, unsigned long flags)
{
	struct vfsmount *mnt = kern_mount(get_fs_type("ramfs"));
	u8 *data = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct file *file;
	loff_t pos;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmount, mnt), 0);
	KUNIT_ASSERT_NOT_NULL(test, data);
	file = file_open_root_mnt(mnt, "svm", O_RDWR | O_CREAT, 0600);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	for (pos = 0; pos < size;) {
		if (pos >> PAGE_SHIFT == hole)
			pos += PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, kernel_write(file, data, PAGE_SIZE, &pos), PAGE_SIZE);
	}
	svm_map_file(test, file, AT, size, RW, flags);

	return file;
}

static void cached_neighbours_of_a_file_come_at_once(struct kunit *test)
{
	struct file *file = map_cached_file(test, SZ_2M, ULONG_MAX, MAP_SHARED);
	struct svm_range *range;

	range = svm_fault(test, AT, &read_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 77, false), 0);
	expect_mapped(test, range, 0, 77, 0, SZ_2M >> PAGE_SHIFT);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[1]));
	svm_expect_same_memory(test, range, 1);
	svm_remove(test, range);
	fput(file);
}

static struct folio *cached_folio(struct kunit *test, struct file *file, unsigned long page)
{
	struct folio *folio = filemap_get_folio(file->f_mapping, page);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));

	return folio;
}

/* A page that has to be read yet, and one that has others read ahead of it. */
static void neighbours_that_take_a_read_are_left_out(struct kunit *test)
{
	struct file *file = map_cached_file(test, SIZE, ULONG_MAX, MAP_PRIVATE);
	struct folio *stale = cached_folio(test, file, 5);
	struct folio *marker = cached_folio(test, file, 9);
	struct svm_range *range;

	folio_clear_uptodate(stale);
	folio_set_readahead(marker);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 3, true), 0);
	expect_mapped(test, range, 0, 3, 0, 5);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 7, true), 0);
	expect_mapped(test, range, 0, 7, 6, 9);
	KUNIT_EXPECT_FALSE(test, folio_test_uptodate(stale));
	KUNIT_EXPECT_TRUE(test, folio_test_readahead(marker));

	folio_mark_uptodate(stale);
	folio_clear_readahead(marker);
	folio_put(stale);
	folio_put(marker);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 9, true), 0);
	expect_mapped(test, range, 0, 9, 6, PAGES);
	svm_remove(test, range);
	fput(file);
}

static vm_fault_t ask_the_server(struct vm_fault *vmf)
{
	return filemap_fault(vmf);
}

static const struct vm_operations_struct server_vm_ops = {
	.fault = ask_the_server,
};

/* What the page cache has is not all that such a file system wants to know. */
static void file_system_with_a_fault_of_its_own_is_left_alone(struct kunit *test)
{
	struct file *file = map_cached_file(test, SIZE, ULONG_MAX, MAP_PRIVATE);
	struct vm_area_struct *vma;
	struct svm_range *range;

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, AT);
	if (vma)
		vma->vm_ops = &server_vm_ops;
	mmap_write_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, vma);

	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 3, true), 0);
	expect_mapped(test, range, 0, 3, 3, 4);
	svm_remove(test, range);
	fput(file);
}

static void neighbours_that_are_not_cached_are_not_asked_for(struct kunit *test)
{
	struct file *file = map_cached_file(test, SIZE, 6, MAP_PRIVATE);
	struct address_space *mapping = file->f_mapping;
	struct folio *locked = filemap_lock_folio(mapping, 9);
	struct svm_range *range;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, locked);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 3, true), 0);
	expect_mapped(test, range, 0, 3, 0, 6);

	/* Nor is a lock waited for. */
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 8, true), 0);
	expect_mapped(test, range, 0, 8, 7, 9);
	KUNIT_EXPECT_EQ(test, mapping->nrpages, PAGES - 1);
	folio_unlock(locked);
	folio_put(locked);

	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 6, true), 0);
	KUNIT_EXPECT_EQ(test, mapping->nrpages, PAGES);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 9, true), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	svm_expect_same_memory(test, range, 0);
	svm_remove(test, range);
	fput(file);
}

/* The file system may ask its server before it lets somebody write. */
static void neighbours_are_not_written_to_for_a_write(struct kunit *test)
{
	struct file *file = map_cached_file(test, SIZE, ULONG_MAX, MAP_SHARED);
	struct svm_range *range;

	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 3, true), 0);
	expect_mapped(test, range, 0, 3, 3, 4);
	svm_remove(test, range);
	fput(file);
}

/* A page takes longer to come than invalidations may take a walk's result away. */
static vm_fault_t late_once(struct svm_file *file, struct vm_fault *vmf)
{
	if (!file->arg)
		schedule_timeout_uninterruptible(msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT) +
						 HZ / 4);
	file->arg = file;
	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	return vmf->page ? 0 : VM_FAULT_OOM;
}

static void slow_page_is_waited_for(struct kunit *test)
{
	struct svm_file file = { .fault = late_once };
	struct svm_range *range;

	svm_map_special(test, &file, AT, SIZE);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
	svm_remove(test, range);
	svm_munmap(test, AT, SIZE);

	file.arg = NULL;
	svm_map_special(test, &file, AT, SIZE);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 2, 3, true), 0);
	svm_remove(test, range);
}

/* The CPU changes the neighbours without a pause. */
static bool stop_hammering;

static long hammer(struct svm_task *task)
{
	while (!READ_ONCE(stop_hammering)) {
		svm_notify(task->mm, page_addr(1), page_addr(PAGES), MMU_NOTIFY_CLEAR);
		cond_resched();
	}

	return 0;
}

static void changes_of_neighbours_do_not_stop_a_page(struct kunit *test)
{
	struct svm_task *task;
	struct svm_range *range;
	int i, served = 0;

	svm_restart(test, &svm_ops_parts, svm_chunks, ARRAY_SIZE(svm_chunks));
	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	range = svm_fault(test, AT, &write_ctx);
	stop_hammering = false;
	task = svm_run(test, hammer, 0, NULL);
	for (i = 0; i < 20; i++) {
		mutex_lock(&range->lock);
		served += !get_page_of(range, 1, 0, true);
		mutex_unlock(&range->lock);
	}
	WRITE_ONCE(stop_hammering, true);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, served, 20);
	KUNIT_EXPECT_EQ(test, get_page_of(range, 1, 0, true), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_mapped(test, range, 0, 0, 0, PAGES);
	svm_remove(test, range);
}

/*
 * Dirty memory
 */

/* The folio behind an address; the test's own memory stays where it is. */
static struct folio *folio_at(struct kunit *test, unsigned long addr)
{
	phys_addr_t phys = svm_phys(test, current->mm, addr);

	KUNIT_ASSERT_NE(test, phys, 0);

	return page_folio(phys_to_page(phys));
}

static struct file *map_clean_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("svm", SIZE, EMPTY_VMA_FLAGS);
	unsigned long page;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, AT, SIZE, RW, MAP_SHARED);
	for (page = 0; page < PAGES; page++)
		svm_read(test, page_addr(page));

	return file;
}

static void shared_memory_that_the_device_may_write_is_dirty(struct kunit *test)
{
	struct file *file = map_clean_file(test);
	struct svm_range *range;
	unsigned long page;

	for (page = 0; page < PAGES; page++)
		KUNIT_ASSERT_FALSE(test, folio_test_dirty(folio_at(test, page_addr(page))));

	/* Reading costs nothing. */
	range = svm_fault_and_get(test, AT, &read_ctx);
	for (page = 0; page < PAGES; page++)
		KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio_at(test, page_addr(page))));
	svm_unmap(test, range);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
	for (page = 0; page < PAGES; page++)
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio_at(test, page_addr(page))));
	svm_remove(test, range);
	fput(file);
}

static long remove_range(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_range_remove(&task->svm->gpusvm, &range->base);

	return 0;
}

static long get_for_writing(struct svm_task *task)
{
	return svm_get(task->arg, 1, &write_ctx);
}

/* Nobody invalidates a walk whose range has gone: the pages may be others' by now. */
static void range_that_goes_marks_nothing_dirty(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct file *file = map_clean_file(test);
	struct svm_range *range = svm_fault(test, AT, &write_ctx);
	struct svm_task *remover, *getter;

	drm_gpusvm_range_get(&range->base);
	remover = svm_prepare(test, remove_range, 0, range);
	getter = svm_prepare(test, get_for_writing, 0, range);
	down_write(&gpusvm->notifier_lock);
	svm_start(remover);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(remover));
	svm_start(getter);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(getter));
	up_write(&gpusvm->notifier_lock);
	KUNIT_EXPECT_EQ(test, svm_join(getter), -ESTALE);
	KUNIT_EXPECT_EQ(test, svm_join(remover), 0);
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio_at(test, AT)));
	drm_gpusvm_range_put(&range->base);
	fput(file);
}

static void filled_holes_are_dirty(struct kunit *test)
{
	struct file *file = map_clean_file(test);
	struct svm_range *range;

	svm_restart(test, &svm_ops_parts, svm_chunks, ARRAY_SIZE(svm_chunks));
	range = svm_fault_and_get(test, AT, &write_ctx);
	svm_notify(current->mm, page_addr(3), page_addr(4), MMU_NOTIFY_CLEAR);
	folio_clear_dirty(folio_at(test, page_addr(3)));
	folio_clear_dirty(folio_at(test, page_addr(4)));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio_at(test, page_addr(3))));
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio_at(test, page_addr(4))));
	svm_remove(test, range);
	fput(file);
}

/* What MADV_FREE gave up is kept once the device may write, and not before. */
static void freed_memory_is_kept_for_writing_only(struct kunit *test)
{
	static const struct drm_gpusvm_ctx may_write = {
		.read_only = true, .may_write = true,
	};
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	lru_add_drain_all();	/* only what is in an LRU list can be freed lazily */
	svm_advise(test, AT, SIZE, MADV_FREE);
	lru_add_drain_all();
	KUNIT_ASSERT_FALSE(test, folio_test_swapbacked(folio_at(test, AT)));
	range = svm_fault_and_get(test, AT, &may_write);
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio_at(test, AT)));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio_at(test, AT)));
	svm_remove(test, range);
}

/* A read that a write may follow needs no second fault where that is free. */
static void memory_is_writable_at_once_if_that_is_free(struct kunit *test)
{
	static const struct drm_gpusvm_ctx may_write = {
		.read_only = true, .may_write = true,
	};
	struct svm_range *range;
	struct file *file;

	svm_map(test, AT, SIZE, RW);
	svm_touch(test, AT, SIZE);
	range = svm_fault_and_get(test, AT, &may_write);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_remove(test, range);
	svm_munmap(test, AT, SIZE);

	/* The zero page is not, and a page of a file that is clean is not, either. */
	svm_map(test, AT, SIZE, RW);
	range = svm_fault_and_get(test, AT, &may_write);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_remove(test, range);
	svm_munmap(test, AT, SIZE);

	file = map_clean_file(test);
	range = svm_fault_and_get(test, AT, &may_write);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_write(test, page_addr(3), 1);
	svm_remove(test, range);
	fput(file);
}

/*
 * Second passes and invalidations that may not block
 */

static void flush_is_waited_for_though_nothing_was_taken(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	svm_restart(test, &svm_ops_two_pass, svm_chunks, ARRAY_SIZE(svm_chunks));
	range = svm_fault(test, AT, &write_ctx);
	svm_notify(current->mm, AT, AT + SIZE, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 0);
	svm->needs_finish = true;
	svm_notify(current->mm, AT, AT + SIZE, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 1);
	svm_remove(test, range);
}

static int notify_without_blocking(unsigned long start, unsigned long end)
{
	struct mmu_notifier_range range;
	int err;

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, current->mm, start, end);
	err = mmu_notifier_invalidate_range_start_nonblock(&range);
	if (!err)
		mmu_notifier_invalidate_range_end(&range);

	return err;
}

static struct svm_gate lock_gate;

static long hold_lock(struct svm_task *task)
{
	down_read(&task->svm->gpusvm.notifier_lock);
	svm_gate_pass(&lock_gate);
	up_read(&task->svm->gpusvm.notifier_lock);

	return 0;
}

/* The OOM killer's reaper skips whoever makes it wait, but not without a reason. */
static void invalidation_that_hits_nothing_need_not_block(struct kunit *test)
{
	struct svm_task *task;
	unsigned long seq;
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	range = svm_fault_and_get(test, AT, &write_ctx);
	seq = range->base.notifier->nr_invalidations;
	KUNIT_EXPECT_EQ(test, notify_without_blocking(AT + SZ_4M, AT + SZ_8M), 0);
	KUNIT_EXPECT_EQ(test, range->base.notifier->nr_invalidations, seq + 1);
	KUNIT_EXPECT_EQ(test, notify_without_blocking(AT, AT + SIZE), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));

	svm_gate_init(&lock_gate);
	task = svm_run(test, hold_lock, 0, NULL);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&lock_gate.entered, SVM_PATIENCE));
	KUNIT_EXPECT_EQ(test, notify_without_blocking(AT + SZ_4M, AT + SZ_8M), -EAGAIN);
	complete_all(&lock_gate.open);
	svm_join(task);
	svm_remove(test, range);
}

/*
 * Devices
 */

static void device_that_bounces_is_refused(struct kunit *test)
{
#ifdef CONFIG_SWIOTLB
	struct io_tlb_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	struct drm_device *drm = kunit_kzalloc(test, sizeof(*drm), GFP_KERNEL);
	struct drm_gpusvm_pages pages = {};

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL(test, drm);
	drm->dev = dev;
	dev->dma_mask = &dev->coherent_dma_mask;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev->dma_io_tlb_mem = mem;
	mem->nslabs = IO_TLB_SEGSIZE;
	drm_gpusvm_init_pages_may_bounce(&pages, drm);
	KUNIT_EXPECT_PTR_EQ(test, pages.drm, drm);
	KUNIT_EXPECT_FALSE(test, pages.flags.may_bounce);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_check_device(drm), 0);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_init_pages(&pages, drm), 0);
	KUNIT_EXPECT_PTR_EQ(test, pages.drm, drm);

	mem->force_bounce = true;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_check_device(drm), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_init_pages(&pages, drm), -EOPNOTSUPP);
	KUNIT_EXPECT_NULL(test, pages.drm);
	drm_gpusvm_init_pages_may_bounce(&pages, drm);
	KUNIT_EXPECT_PTR_EQ(test, pages.drm, drm);
	KUNIT_EXPECT_TRUE(test, pages.flags.may_bounce);

#ifdef CONFIG_IOMMU_DMA
	dev_set_dma_iommu(dev);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_check_device(drm), 0);
	drm_gpusvm_init_pages_may_bounce(&pages, drm);
	KUNIT_EXPECT_FALSE(test, pages.flags.may_bounce);
#endif
#else
	kunit_skip(test, "no bounce buffers");
#endif
}

#ifdef CONFIG_SWIOTLB
KUNIT_DEFINE_ACTION_WRAPPER(end_to_bounce, swiotlb_dev_init, struct device *);

/* Bounce what is mapped for a device from now on, in the buffers that all devices have. */
static void begin_to_bounce(struct kunit *test, struct device *dev)
{
	struct io_tlb_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	if (!is_swiotlb_active(dev))
		kunit_skip(test, "no bounce buffers: give the guest 4 GiB of memory");
	mem->defpool = dev->dma_io_tlb_mem->defpool;
	mem->nslabs = dev->dma_io_tlb_mem->nslabs;
	mem->cc_shared = dev->dma_io_tlb_mem->cc_shared;
	mem->force_bounce = true;
#ifdef CONFIG_SWIOTLB_DYNAMIC
	INIT_LIST_HEAD(&mem->pools);
	list_add(&mem->defpool.node, &mem->pools);
#endif
	dev->dma_io_tlb_mem = mem;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_to_bounce, dev));
}

/* More than a bounce buffer holds, of what is one segment where nothing is bounced. */
static void userptr_may_be_bounced(struct kunit *test)
{
	const unsigned long size = 2 * IO_TLB_SEGSIZE * IO_TLB_SIZE, npages = size >> PAGE_SHIFT;
	const unsigned long addr = AT + size - PAGE_SIZE;
	struct svm_fixture *svm = to_svm(test);
	struct device *dev = svm->devices[0].dev;
	struct drm_gpusvm_pages pages;
	struct svm_range *range;
	u64 *copy;

	svm_map_huge(test, AT);
	begin_to_bounce(test, dev);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EINVAL);

	drm_gpusvm_init_pages_may_bounce(&pages, svm->devices[0].drm);
	KUNIT_ASSERT_EQ(test, 0, drm_gpusvm_get_pages(&svm->gpusvm, &pages, current->mm,
						      &range->base.notifier->notifier, AT,
						      AT + size, &write_ctx));
	KUNIT_EXPECT_EQ(test, pages.nr_addrs, npages);
	copy = phys_to_virt(dma_to_phys(dev, pages.dma_addr[npages - 1].addr));
	KUNIT_EXPECT_EQ(test, *copy, addr);
	*copy = 1;
	KUNIT_EXPECT_EQ(test, svm_read(test, addr), addr);
	drm_gpusvm_free_pages(&svm->gpusvm, &pages, npages);
	KUNIT_EXPECT_EQ(test, svm_read(test, addr), 1);

	/* What the device only reads stays as the CPU has it. */
	KUNIT_ASSERT_EQ(test, 0, drm_gpusvm_get_pages(&svm->gpusvm, &pages, current->mm,
						      &range->base.notifier->notifier, AT,
						      AT + size, &read_ctx));
	copy = phys_to_virt(dma_to_phys(dev, pages.dma_addr[npages - 1].addr));
	svm_write(test, addr, 2);
	KUNIT_EXPECT_EQ(test, *copy, 1);
	drm_gpusvm_free_pages(&svm->gpusvm, &pages, npages);
	KUNIT_EXPECT_EQ(test, svm_read(test, addr), 2);
	svm_remove(test, range);
}

/* It is not gone for good, and what was mapped of it so far has not been changed. */
static void userptr_may_be_too_large_to_be_bounced(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct device *dev = svm->devices[0].dev;
	struct drm_gpusvm_pages pages;
	struct svm_range *range;
	unsigned long size;

	begin_to_bounce(test, dev);
	size = (dev->dma_io_tlb_mem->nslabs + 1) * IO_TLB_SIZE;
	size = round_up(size, PAGE_SIZE);
	svm_map(test, AT, size, RW);
	svm_touch(test, AT, size);
	range = svm_fault(test, AT, &write_ctx);
	drm_gpusvm_init_pages_may_bounce(&pages, svm->devices[0].drm);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_get_pages(&svm->gpusvm, &pages, current->mm,
						   &range->base.notifier->notifier, AT,
						   AT + size, &write_ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, pages.nr_addrs, 0);
	KUNIT_EXPECT_EQ(test, svm_read(test, AT), AT);
	drm_gpusvm_free_pages(&svm->gpusvm, &pages, size >> PAGE_SHIFT);
	svm_remove(test, range);
}
#endif

/* What is aligned in the address space is aligned for the device. */
static void userptr_is_aligned_for_the_device(struct kunit *test)
{
	struct drm_device *drm = kunit_kzalloc(test, sizeof(*drm), GFP_KERNEL);
	unsigned long start = AT + SZ_2M - 3 * PAGE_SIZE, end = AT + SZ_4M + PAGE_SIZE;
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_pages pages = {};
	struct svm_range *range;
	unsigned long at = start;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, drm);
	drm->dev = svm_translated_device(test);
	svm_map(test, AT, SZ_8M, RW);
	svm_map_huge(test, AT + SZ_2M);
	svm_touch(test, AT, SZ_8M);
	range = svm_fault(test, AT, &write_ctx);
	drm_gpusvm_init_pages(&pages, drm);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_get_pages(&svm->gpusvm, &pages, current->mm,
						   &range->base.notifier->notifier, start,
						   end, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, dma_use_iova(&pages.state));
	for (i = 0; i < pages.nr_addrs; i++) {
		unsigned long size = PAGE_SIZE << pages.dma_addr[i].order;

		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(at, size));
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pages.dma_addr[i].addr, size));
		at += size;
	}
	KUNIT_EXPECT_EQ(test, at, end);
	drm_gpusvm_free_pages(&svm->gpusvm, &pages, (end - start) >> PAGE_SHIFT);
	svm_remove(test, range);
}

static void range_that_was_removed_is_not_evicted(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, AT, SIZE, RW);
	range = svm_fault_and_get(test, AT, &write_ctx);
	drm_gpusvm_range_get(&range->base);
	svm_remove(test, range);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -ESTALE);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(&range->base, NULL, NULL),
			DRM_GPUSVM_SCAN_UNPOPULATED);
	drm_gpusvm_range_put(&range->base);
}

static struct kunit_case drm_gpusvm_partial_cases[] = {
	KUNIT_CASE(write_beside_read_only_memory_is_served),
	KUNIT_CASE(memory_behind_the_end_of_a_file_fails_alone),
	KUNIT_CASE(page_alone_is_mapped_alone),
	KUNIT_CASE(nothing_is_mapped_for_a_device_that_is_gone),
	KUNIT_CASE(memory_out_of_reach_fails_alone_and_for_good),
	KUNIT_CASE(each_page_around_a_bad_one_is_served),
	KUNIT_CASE(what_is_left_out_can_be_had_later),
	KUNIT_CASE(partial_get_checks_the_address),
	KUNIT_CASE(cached_neighbours_of_a_file_come_at_once),
	KUNIT_CASE(neighbours_that_are_not_cached_are_not_asked_for),
	KUNIT_CASE(neighbours_that_take_a_read_are_left_out),
	KUNIT_CASE(file_system_with_a_fault_of_its_own_is_left_alone),
	KUNIT_CASE(neighbours_are_not_written_to_for_a_write),
	KUNIT_CASE(slow_page_is_waited_for),
	KUNIT_CASE(changes_of_neighbours_do_not_stop_a_page),
	KUNIT_CASE(shared_memory_that_the_device_may_write_is_dirty),
	KUNIT_CASE(range_that_goes_marks_nothing_dirty),
	KUNIT_CASE(filled_holes_are_dirty),
	KUNIT_CASE(freed_memory_is_kept_for_writing_only),
	KUNIT_CASE(memory_is_writable_at_once_if_that_is_free),
	KUNIT_CASE(flush_is_waited_for_though_nothing_was_taken),
	KUNIT_CASE(invalidation_that_hits_nothing_need_not_block),
	KUNIT_CASE(device_that_bounces_is_refused),
#ifdef CONFIG_SWIOTLB
	KUNIT_CASE(userptr_may_be_bounced),
	KUNIT_CASE(userptr_may_be_too_large_to_be_bounced),
#endif
	KUNIT_CASE(userptr_is_aligned_for_the_device),
	KUNIT_CASE(range_that_was_removed_is_not_evicted),
	{}
};

static struct kunit_suite drm_gpusvm_partial_suite = {
	.name = "drm_gpusvm_partial",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_partial_cases,
};

kunit_test_suite(drm_gpusvm_partial_suite);
