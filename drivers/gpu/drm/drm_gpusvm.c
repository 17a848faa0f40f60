// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/iommu-dma.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

#include <drm/drm_device.h>

#define CREATE_TRACE_POINTS
#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/**
 * DOC: Overview
 *
 * With GPU SVM a device uses the pointers of a process. Nothing is registered
 * beforehand: the device faults on an address, the driver looks up what the CPU
 * has there, maps it for DMA and enters it into the device's page tables, and
 * takes it out again before the CPU changes its mind.
 *
 * What there is, from the large to the small:
 *
 * - &struct drm_gpusvm mirrors one mm, or an interval of it. It knows no
 *   device. A driver embeds it in its VM.
 *
 * - &struct drm_gpusvm_notifier watches an aligned window of
 *   &drm_gpusvm.notifier_size bytes with one MMU interval notifier. It comes
 *   with the first range in its window and goes with the last one.
 *
 * - &struct drm_gpusvm_range is a chunk of address space that is faulted, bound
 *   and invalidated as one. Its size is the largest of &drm_gpusvm.chunk_sizes
 *   whose aligned block around the fault address lies in one CPU VMA, in one
 *   window, in what the driver mirrors there, and on no other range. It holds no
 *   device state.
 *
 * - &struct drm_gpusvm_pages is the mapping of a piece of the mm for one device:
 *   the DMA addresses and all it takes to release them. It belongs to the
 *   driver. A driver for one device embeds one in its range; a driver whose
 *   devices share an address space keeps an array of them, one for each device,
 *   and gets them all with one walk of the CPU's page tables. A userptr is a
 *   pages object with an MMU interval notifier of the driver's and no range.
 *
 * A mapping has an entry for each physically contiguous, naturally aligned run
 * of pages, not for each page: a huge page takes one entry, and so do small
 * pages that happen to lie in a row.
 *
 * What the driver brings: a fault handler, page tables, a garbage collector
 * that removes ranges whose memory the CPU has unmapped (which can't be done in
 * the notifier), and &struct drm_gpusvm_ops. Device memory is the subject of
 * drm_pagemap; it meets GPU SVM where a walk finds device private pages.
 */

/**
 * DOC: Locking
 *
 * One read-write semaphore, &drm_gpusvm.notifier_lock, stands between
 * invalidations and everybody else. It protects the trees of notifiers and
 * ranges, the flags of ranges and pages, and the mappings:
 *
 * - An invalidation takes it for writing. Insertion and removal of ranges do
 *   so, too, so that a lookup needs it for reading only.
 *
 * - Mapping takes it for reading: first the MMU notifier's sequence is checked,
 *   which tells that the walk is still good, then pages are mapped, and an
 *   invalidation that comes later finds them mapped.
 *
 * - A driver commits bindings under it (drm_gpusvm_notifier_lock()), after
 *   drm_gpusvm_pages_valid() told that there is something to bind.
 *
 * The order of locks is::
 *
 *	driver's fault and VM locks
 *	  mmap_lock
 *	    dma_resv, fs_reclaim
 *	      drm_gpusvm_notifier.finish_lock
 *	        drm_gpusvm.notifier_lock
 *	          locks that the driver takes in its page table code
 *
 * An invalidation may run wherever memory is reclaimed, so under the last three
 * no memory is allocated that waits for reclaim. drm_gpusvm_init() teaches this
 * to lockdep.
 *
 * Lookup and removal work in two ways. A driver that has one lock around all
 * faults and the garbage collector uses borrowed range pointers from
 * drm_gpusvm_range_find_or_insert(), and may tell lockdep about the lock with
 * drm_gpusvm_driver_set_lock(). A driver that serves faults of one address
 * space concurrently takes references with drm_gpusvm_range_get_or_insert();
 * then a range may be removed while it is used, which drm_gpusvm_range_get_pages()
 * answers with -ESTALE, and the fault starts over. Either way the driver
 * serialises what it does to one pages object, for instance with a mutex in its
 * range.
 */

/**
 * DOC: Invalidation
 *
 * When the CPU is about to change page tables, the MM calls the notifiers whose
 * windows are hit. Once the last of them has returned, the pages may be reused,
 * so by then no device may be able to reach them.
 *
 * A driver can do that in one pass: &drm_gpusvm_ops.invalidate zaps, waits for
 * the device and unmaps, all under the notifier lock. That stops the whole
 * address space for as long as the hardware takes.
 *
 * Two passes separate the waiting. &drm_gpusvm_ops.invalidate_start zaps and
 * tells the device to flush; the pages lose their mapped state but keep the DMA
 * addresses (drm_gpusvm_unmap_pages_deferred()). After all windows were started
 * and the lock is free again, &drm_gpusvm_ops.invalidate_finish waits for the
 * flush, and the core unmaps. The waits of windows and devices overlap, and the
 * rest of the address space goes on. The pages in question can't be mapped anew
 * meanwhile, because a walk waits until the MM has ended the invalidation.
 *
 * Most invalidations are of a page or a few: one is migrated, swapped out, copied
 * on write. With two passes a driver can take just the segments that are hit, by
 * drm_gpusvm_unmap_part_deferred(), and zap what the function says was taken. The
 * device goes on with the rest of the range. The pages count as invalid, since they
 * have gaps, until the next get has filled these, which costs as much as the gaps
 * are large and no more. A driver that wants to bind just that remembers where they
 * were.
 *
 * The first pass says whether a flush has to be waited for. There may be one although
 * no pages were deferred: the part that is hit was taken before, and its flush is still
 * under way.
 *
 * Several invalidations of one window can be on their way at once, and one of
 * them may find that its pages were already taken by another, but not flushed.
 * None may return before they are. Therefore the deferred pages belong to the
 * window and not to who deferred them: a second pass finishes all there are,
 * after waiting for one that is at it already. It never waits for a pass that
 * has yet to begin, which is what keeps two invalidations that meet in two
 * windows from waiting for each other.
 *
 * While a second pass waits, more may be taken of pages that were taken in part. The
 * flush that it waits for began before, so it waits for another one.
 *
 * A notifier remembers where its last few invalidations were. A walk whose
 * sequence has changed is still good if none of them touched its addresses, so
 * that an invalidation costs only those ranges a second walk that it hit.
 */

/**
 * DOC: Access
 *
 * What the device is about to do decides what it needs. With
 * &drm_gpusvm_ctx.read_only a fault asks for read permission only: constants
 * and read-only file mappings can be read, a copy-on-write page stays shared,
 * an untouched page stays the zero page, and the mapping is DMA_TO_DEVICE. The
 * driver binds it read-only.
 *
 * When the device then writes, the driver zaps what is mapped for reading there
 * (drm_gpusvm_pages_read_only_around()), flushes, calls drm_gpusvm_unmap_part() and
 * gets the pages again without the flag. The core never unmaps what the driver has not
 * zapped: a get for writing returns -EROFS instead. Each segment tells whether the
 * device may write there, by drm_pagemap_addr_writable().
 *
 * Often a write follows a read. With &drm_gpusvm_ctx.may_write a get for reading maps
 * for writing what the CPU may write to, if that costs nothing. Then there is no second
 * fault.
 */

/**
 * DOC: Memory that can't all be had
 *
 * A part of a range may be read-only, lie behind the end of a file, be broken, be the
 * memory of a device that drm_pagemap doesn't know (FS-DAX, P2PDMA, that of another kind
 * of driver), be out of the device's reach, or belong to a userfaultfd whose handler takes
 * its time. That is no reason to refuse an access to the rest.
 *
 * With &drm_gpusvm_ctx.partial the page at &drm_gpusvm_ctx.fault_addr decides. It is
 * faulted in first. Its neighbours come along if they are there, or if they are in the
 * same VMA and nobody has to be waited for: of a file whose server need not answer, what
 * the page cache has, unless the file system is to be told of a write. What can't be had
 * is a gap. The pages are not valid then, and the driver binds what
 * drm_gpusvm_pages_mapped_around() tells. A later fault in the gap fills as much of it as
 * can be had.
 *
 * A CPU that changes the neighbours again and again can't keep the page away, either:
 * after a few attempts the walk is for that page alone. So it is if the device can't map
 * what was found, be it for a while or for good.
 */

/**
 * DOC: Dirty memory
 *
 * The CPU's page table entries say nothing about what a device writes. Where the MM
 * goes by their dirty bits, the data would be lost, so each folio of system memory that
 * is mapped for writing is marked as dirty before, under the notifier lock:
 *
 * ==================================  ===========================================
 * memory                              what makes a device's write known
 * ==================================  ===========================================
 * shared memory, tmpfs                The mark. An entry can be writable and clean
 *                                     if the page was only read so far.
 * anonymous, clean in the swap cache  The mark: it was swapped in for a read.
 * anonymous, after MADV_FREE          The mark. It makes the folio one that is kept.
 * anonymous, otherwise                Nothing is needed. It is always swapped out.
 * files that are written back         A write fault of the CPU's kind. A clean page
 *                                     has an entry that can't be written through, so
 *                                     the walk faults, and the file system learns of
 *                                     the write before it happens.
 * private mappings of files           A write fault, which makes them anonymous.
 * KSM, the zero page, copy-on-write   A write fault, which makes a copy.
 * userfaultfd, soft-dirty and
 * PAGEMAP_SCAN write protection       A write fault, which tells who wants to know.
 * hugetlb                             Nothing is needed. It is never reclaimed.
 * ==================================  ===========================================
 *
 * Whoever cleans a folio takes it out of the page tables before, or write-protects it.
 * That is an invalidation, and the next get marks the folio again. A folio of a file
 * that is written back is dirty before its entry is writable for long; if a walk comes
 * in between, it is repeated.
 */

/**
 * DOC: Partial Unmapping of Ranges
 *
 * The CPU can unmap a part of a range. In its notifier the driver calls
 * drm_gpusvm_range_set_unmapped(), which notes whether all or a part is gone,
 * and hands the range to its garbage collector. A range whose flags say
 * unmapped can't be got any more; what is left of its addresses gets new ranges
 * at the next faults, after the collector has removed the old one.
 *
 * Device memory under such a range is not lost: the pages stay where they are
 * until something asks for them. A driver that wants the allocation back calls
 * drm_gpusvm_range_evict(), which moves what there is and leaves holes alone.
 */

/**
 * DOC: Examples
 *
 * A driver for one device, with one lock around its faults:
 *
 * .. code-block:: c
 *
 *	struct driver_range {
 *		struct drm_gpusvm_range base;
 *		struct drm_gpusvm_pages pages;
 *		struct list_head gc_link;
 *	};
 *
 *	struct drm_gpusvm_range *driver_range_alloc(struct drm_gpusvm *gpusvm)
 *	{
 *		struct driver_range *drange = kzalloc_obj(*drange, GFP_KERNEL_ACCOUNT);
 *
 *		if (!drange)
 *			return NULL;
 *		INIT_LIST_HEAD(&drange->gc_link);
 *		drm_gpusvm_init_pages(&drange->pages, to_driver_drm(gpusvm));
 *		return &drange->base;
 *	}
 *
 *	void driver_range_free(struct drm_gpusvm_range *range)
 *	{
 *		drm_gpusvm_free_pages(range->gpusvm, &to_drange(range)->pages,
 *				      drm_gpusvm_range_size(range) >> PAGE_SHIFT);
 *		kfree(to_drange(range));
 *	}
 *
 *	int driver_fault(struct driver_vm *vm, unsigned long addr, bool write)
 *	{
 *		struct drm_gpusvm_ctx ctx = { .read_only = !write };
 *		struct drm_gpusvm_range *range;
 *		int err, tries = 0;
 *
 *		guard(mutex)(&vm->fault_lock);
 *		do {
 *			driver_collect_garbage(vm);
 *
 *			range = drm_gpusvm_range_find_or_insert(&vm->gpusvm, addr,
 *								vm->start, vm->end,
 *								&ctx);
 *			if (IS_ERR(range))
 *				return PTR_ERR(range);
 *
 *			// A driver that migrates calls drm_pagemap_populate_mm() here.
 *
 *			err = drm_gpusvm_range_get_pages(range, &to_drange(range)->pages,
 *							 1, &ctx);
 *			if (err == -EROFS)	// a write to what is mapped for reading
 *				err = driver_take(vm, to_drange(range));
 *			else if (!err)
 *				err = driver_bind(vm, to_drange(range));
 *		} while ((err == -EAGAIN || err == -ESTALE) &&
 *			 ++tries < DRIVER_MAX_TRIES);
 *
 *		return err;
 *	}
 *
 *	int driver_take(struct driver_vm *vm, struct driver_range *drange)
 *	{
 *		struct drm_gpusvm_ctx ctx = {};
 *
 *		driver_zap(&vm->gpusvm, &drange->base);
 *		driver_flush(&vm->gpusvm);	// and wait for it
 *		drm_gpusvm_unmap_pages(&vm->gpusvm, &drange->pages,
 *				       drm_gpusvm_range_size(&drange->base) >> PAGE_SHIFT,
 *				       &ctx);
 *		return -EAGAIN;
 *	}
 *
 *	int driver_bind(struct driver_vm *vm, struct driver_range *drange)
 *	{
 *		int err = driver_prepare_page_tables(vm, drange);	// allocates
 *
 *		if (err)
 *			return err;
 *
 *		drm_gpusvm_notifier_lock(&vm->gpusvm);
 *		if (drm_gpusvm_pages_valid(&vm->gpusvm, &drange->pages))
 *			driver_write_page_tables(vm, drange);	// does not
 *		else
 *			err = -EAGAIN;
 *		drm_gpusvm_notifier_unlock(&vm->gpusvm);
 *
 *		return err;
 *	}
 *
 *	void driver_invalidate(struct drm_gpusvm *gpusvm,
 *			       struct drm_gpusvm_notifier *notifier,
 *			       const struct mmu_notifier_range *mmu_range)
 *	{
 *		struct drm_gpusvm_ctx ctx = { .in_notifier = true };
 *		struct drm_gpusvm_range *range = NULL;
 *
 *		// All of each range, not only what is hit: all of it is unmapped.
 *		drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
 *					  mmu_range->end)
 *			driver_zap(gpusvm, range);
 *		driver_flush(gpusvm);
 *
 *		range = NULL;
 *		drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
 *					  mmu_range->end) {
 *			struct driver_range *drange = to_drange(range);
 *
 *			drm_gpusvm_unmap_pages(gpusvm, &drange->pages,
 *					       drm_gpusvm_range_size(range) >> PAGE_SHIFT,
 *					       &ctx);
 *			if (mmu_range->event != MMU_NOTIFY_UNMAP)
 *				continue;
 *			drm_gpusvm_range_set_unmapped(range, &drange->pages, 1,
 *						      mmu_range);
 *			driver_queue_garbage(gpusvm, drange);
 *		}
 *	}
 *
 *	void driver_collect(struct driver_vm *vm, struct driver_range *drange)
 *	{
 *		struct drm_gpusvm_ctx ctx = {};
 *
 *		driver_unbind(vm, drange);	// waits for the flush
 *		// Unmap first: once removed, an invalidation does not find it.
 *		drm_gpusvm_unmap_pages(&vm->gpusvm, &drange->pages,
 *				       drm_gpusvm_range_size(&drange->base) >> PAGE_SHIFT,
 *				       &ctx);
 *		drm_gpusvm_range_remove(&vm->gpusvm, &drange->base);
 *	}
 *
 * Several devices in one address space, faults served concurrently, and two
 * passes. What is different:
 *
 * .. code-block:: c
 *
 *	struct driver_range {
 *		struct drm_gpusvm_range base;
 *		struct mutex lock;		// serialises work on the pages
 *		struct list_head gc_link;	// with a reference
 *		unsigned int num_pages;
 *		struct drm_gpusvm_pages pages[] __counted_by(num_pages);
 *	};
 *
 *	int driver_fault(struct driver_vm *vm, unsigned long addr, bool write)
 *	{
 *		...
 *		range = drm_gpusvm_range_get_or_insert(&vm->gpusvm, addr, vm->start,
 *						       vm->end, &ctx);
 *		...
 *		mutex_lock(&drange->lock);
 *		err = drm_gpusvm_range_get_pages(range, drange->pages,
 *						 drange->num_pages, &ctx);
 *		if (err == -EROFS)
 *			err = driver_take(vm, drange);	// from all devices
 *		else if (!err)
 *			err = driver_bind(vm, drange);	// on all devices
 *		mutex_unlock(&drange->lock);
 *		if (err == -ESTALE)		// the garbage collector is late
 *			driver_collect(vm, drange);
 *		drm_gpusvm_range_put(range);
 *		...
 *	}
 *
 *	// With a reference: the range must not be freed with its lock held.
 *	void driver_collect(struct driver_vm *vm, struct driver_range *drange)
 *	{
 *		guard(mutex)(&drange->lock);
 *		// A fault may have been here: leave the addresses alone then.
 *		if (drange->base.flags.removed)
 *			return;
 *		driver_unbind(vm, drange);
 *		...
 *		drm_gpusvm_range_remove(&vm->gpusvm, &drange->base);
 *	}
 *
 *	bool driver_invalidate_start(struct drm_gpusvm *gpusvm,
 *				     struct drm_gpusvm_notifier *notifier,
 *				     const struct mmu_notifier_range *mmu_range)
 *	{
 *		struct drm_gpusvm_range *range = NULL;
 *		unsigned int i;
 *
 *		drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
 *					  mmu_range->end) {
 *			struct driver_range *drange = to_drange(range);
 *
 *			for (i = 0; i < drange->num_pages; i++) {
 *				driver_zap(gpusvm, i, range);	// all of it
 *				drm_gpusvm_unmap_pages_deferred(notifier,
 *								&drange->pages[i]);
 *			}
 *			...
 *		}
 *		driver_flush_submit(gpusvm, notifier);	// for all that was zapped
 *		return true;
 *	}
 *
 *	void driver_invalidate_finish(struct drm_gpusvm *gpusvm,
 *				      struct drm_gpusvm_notifier *notifier)
 *	{
 *		driver_flush_wait(gpusvm, notifier);
 *	}
 */

/*
 * The GPU SVM
 */

/**
 * drm_gpusvm_check_device() - Whether a device can share virtual memory
 * @drm: The device
 *
 * CPU and device are at the same memory at once, so there is no place for bounce
 * buffers or for cache maintenance. A driver asks before it offers SVM.
 *
 * Return: 0, or -EOPNOTSUPP if DMA of the device is not coherent or is bounced.
 */
int drm_gpusvm_check_device(struct drm_device *drm)
{
	struct device *dev = drm->dev;

	/* With an IOMMU it is not for the force option to bounce. */
	if (!dev_is_dma_coherent(dev) ||
	    (is_swiotlb_force_bounce(dev) && !use_dma_iommu(dev)))
		return -EOPNOTSUPP;

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_check_device);

/**
 * drm_gpusvm_init_pages() - Bind a pages object to its device
 * @svm_pages: The pages object
 * @drm: The device that the pages will be mapped for
 *
 * Called once on each pages object, before it is first got, unmapped or freed.
 *
 * Return: 0; or -EOPNOTSUPP for a device that drm_gpusvm_check_device() refuses, and
 * the pages have no device then. Those of a userptr can do with such a device, see
 * drm_gpusvm_init_pages_may_bounce().
 */
int drm_gpusvm_init_pages(struct drm_gpusvm_pages *svm_pages, struct drm_device *drm)
{
	int err = drm_gpusvm_check_device(drm);

	*svm_pages = (struct drm_gpusvm_pages) {
		.drm = err ? NULL : drm,
		.notifier_seq = LONG_MAX,
	};

	return err;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_init_pages);

/*
 * Whether the DMA API may bounce pages of a device, or has caches to look after. A limit to
 * the size of mappings is that of bounce buffers, which an IOMMU has no use for with pages.
 */
static bool device_may_bounce(struct device *dev)
{
	return !dev_is_dma_coherent(dev) ||
	       (!use_dma_iommu(dev) && dma_max_mapping_size(dev) < SIZE_MAX);
}

/**
 * drm_gpusvm_init_pages_may_bounce() - Bind pages that may be bounced to their device
 * @svm_pages: The pages object
 * @drm: The device that the pages will be mapped for, any device
 *
 * For userptrs, in place of drm_gpusvm_init_pages(). A device that
 * drm_gpusvm_check_device() refuses, or that can't reach all memory, gets from the DMA
 * API what it needs: bounce buffers or cache maintenance. Such a device sees the memory
 * as it was when it was mapped, and the CPU sees what the device wrote when it is
 * unmapped. If the device may write, what the CPU wrote to these pages meanwhile is lost.
 *
 * Not for the pages of a range, whose memory CPU and device share.
 */
void drm_gpusvm_init_pages_may_bounce(struct drm_gpusvm_pages *svm_pages,
				      struct drm_device *drm)
{
	*svm_pages = (struct drm_gpusvm_pages) {
		.drm = drm,
		.notifier_seq = LONG_MAX,
		.flags = { .may_bounce = device_may_bounce(drm->dev) },
	};
}
EXPORT_SYMBOL_GPL(drm_gpusvm_init_pages_may_bounce);

static bool chunk_sizes_valid(const unsigned long *sizes, int num)
{
	int i;

	for (i = 0; i < num; i++)
		if (!is_power_of_2(sizes[i]) || (i && sizes[i] >= sizes[i - 1]))
			return false;

	return num > 0;
}

static bool init_args_valid(struct mm_struct *mm, unsigned long mm_start,
			    unsigned long mm_range, unsigned long notifier_size,
			    const struct drm_gpusvm_ops *ops,
			    const unsigned long *chunk_sizes, int num_chunks)
{
	if (!mm)
		return !ops && !num_chunks && !mm_range && !notifier_size;

	if (!ops || (!ops->invalidate && !ops->invalidate_start) ||
	    !ops->invalidate_start != !ops->invalidate_finish)
		return false;

	return chunk_sizes && chunk_sizes_valid(chunk_sizes, num_chunks) &&
	       is_power_of_2(notifier_size) && notifier_size >= PAGE_SIZE &&
	       notifier_size >= chunk_sizes[num_chunks - 1] &&
	       mm_range && mm_start + mm_range > mm_start;
}

/**
 * drm_gpusvm_init() - Set up a GPU SVM
 * @gpusvm: The GPU SVM
 * @name: Name for messages, traces and debugfs; not copied
 * @mm: The mm to mirror, or NULL for userptr mode
 * @mm_start: First address to mirror
 * @mm_range: Size of what is mirrored, in bytes
 * @notifier_size: Size of a notifier's window; a power of two, at least PAGE_SIZE
 *		   and the smallest chunk. No range is larger
 * @ops: The driver's operations
 * @chunk_sizes: Sizes that ranges can have; powers of two in descending order,
 *		 not copied. Sizes below PAGE_SIZE count as PAGE_SIZE
 * @num_chunks: Number of entries in @chunk_sizes
 *
 * In userptr mode only the functions for pages are used, with notifiers of the
 * driver's, and all arguments but @gpusvm and @name are zero. A GPU SVM with an
 * mm serves userptrs as well.
 *
 * Return: 0, or -EINVAL if the arguments do not fit one another.
 */
int drm_gpusvm_init(struct drm_gpusvm *gpusvm,
		    const char *name,
		    struct mm_struct *mm,
		    unsigned long mm_start, unsigned long mm_range,
		    unsigned long notifier_size,
		    const struct drm_gpusvm_ops *ops,
		    const unsigned long *chunk_sizes, int num_chunks)
{
	if (!init_args_valid(mm, mm_start, mm_range, notifier_size, ops,
			     chunk_sizes, num_chunks))
		return -EINVAL;

	*gpusvm = (struct drm_gpusvm) {
		.name = name,
		.mm = mm,
		.mm_start = mm_start,
		.mm_range = mm_range,
		.notifier_size = notifier_size,
		.ops = ops,
		.chunk_sizes = chunk_sizes,
		.num_chunks = num_chunks,
		.root = RB_ROOT_CACHED,
	};
	INIT_LIST_HEAD(&gpusvm->notifier_list);
	init_rwsem(&gpusvm->notifier_lock);

	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&gpusvm->notifier_lock);
	fs_reclaim_release(GFP_KERNEL);

	if (mm)
		mmgrab(mm);

	return 0;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_init);

/**
 * drm_gpusvm_fini() - Tear a GPU SVM down
 * @gpusvm: The GPU SVM
 *
 * Removes all ranges and notifiers, and lets go of the mm. The driver has
 * unmapped all pages and stopped its faults before. References to ranges that
 * others hold stay good as long as the structure itself does.
 *
 * Context: May sleep. Without the mmap lock.
 */
void drm_gpusvm_fini(struct drm_gpusvm *gpusvm)
{
	struct drm_gpusvm_notifier *notifier, *next;

	drm_gpusvm_for_each_notifier_safe(notifier, next, gpusvm, 0, ULONG_MAX) {
		struct drm_gpusvm_range *range, *__next;

		/* From here on no invalidation can meet the removal. */
		mmu_interval_notifier_remove(&notifier->notifier);
		notifier->flags.removed = true;

		drm_gpusvm_for_each_range_safe(range, __next, notifier, 0, ULONG_MAX)
			drm_gpusvm_range_remove(gpusvm, range);
		gpusvm_notifier_put(notifier);
	}

	WARN_ON(!RB_EMPTY_ROOT(&gpusvm->root.rb_root));
	kvfree(gpusvm->pfn_cache);
	gpusvm->pfn_cache = NULL;
	if (gpusvm->mm)
		mmdrop(gpusvm->mm);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_fini);

/*
 * debugfs
 */

static void show_stats(struct seq_file *m, struct drm_gpusvm_stats *stats)
{
#define SHOW(field) \
	seq_printf(m, "  %-18s %ld\n", #field, atomic_long_read(&stats->field))
	SHOW(ranges);
	SHOW(notifiers);
	SHOW(gets);
	SHOW(gets_valid);
	SHOW(walks);
	SHOW(faults);
	SHOW(retries);
	SHOW(segments);
	SHOW(pages);
	SHOW(fills);
	SHOW(parts);
	SHOW(unmaps);
	SHOW(invalidations);
	SHOW(invalidations_idle);
	SHOW(evictions);
#undef SHOW
}

/**
 * drm_gpusvm_debugfs_info() - Show the state of a GPU SVM
 * @m: Where to write
 * @gpusvm: The GPU SVM
 *
 * Writes counters, notifiers and ranges. For a driver's debugfs files.
 *
 * Context: Takes the notifier lock for reading.
 */
void drm_gpusvm_debugfs_info(struct seq_file *m, struct drm_gpusvm *gpusvm)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *range;

	seq_printf(m, "%s: [0x%lx-0x%lx), windows of %lu KiB\n", gpusvm->name,
		   gpusvm->mm_start, gpusvm->mm_start + gpusvm->mm_range,
		   gpusvm->notifier_size / SZ_1K);
	show_stats(m, &gpusvm->stats);

	drm_gpusvm_notifier_lock(gpusvm);
	list_for_each_entry(notifier, &gpusvm->notifier_list, entry) {
		seq_printf(m, "  notifier [0x%lx-0x%lx) invalidations=%lu\n",
			   drm_gpusvm_notifier_start(notifier),
			   drm_gpusvm_notifier_end(notifier),
			   notifier->nr_invalidations);
		list_for_each_entry(range, &notifier->range_list, entry)
			seq_printf(m, "    range [0x%lx-0x%lx) %lu KiB%s%s%s\n",
				   drm_gpusvm_range_start(range),
				   drm_gpusvm_range_end(range),
				   drm_gpusvm_range_size(range) / SZ_1K,
				   range->flags.migrate_devmem ? " migratable" : "",
				   range->flags.unmapped ? " unmapped" : "",
				   range->flags.partial_unmap ? " partly" : "");
	}
	drm_gpusvm_notifier_unlock(gpusvm);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_debugfs_info);

MODULE_DESCRIPTION("GPU shared virtual memory");
MODULE_LICENSE("Dual MIT/GPL");
