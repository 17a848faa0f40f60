// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/backing-dev.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/hugetlb_inline.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/userfaultfd_k.h>

#include <xen/xen.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_print.h>

#define CREATE_TRACE_POINTS
#include <trace/events/drm_gpusvm.h>

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
 * have holes, until the next get has filled these, which costs as much as the holes
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
 * of driver), or belong to a userfaultfd whose handler takes its time. That is no reason
 * to refuse an access to the rest.
 *
 * With &drm_gpusvm_ctx.partial the page at &drm_gpusvm_ctx.fault_addr decides. It is
 * faulted in first. Its neighbours come along if they are there, or if they are in the
 * same VMA and nobody has to be waited for; what can't be had is a hole. The pages are
 * not valid then, and the driver binds what drm_gpusvm_pages_mapped_around() tells. A
 * later fault in the hole fills as much of it as can be had.
 *
 * A CPU that changes the neighbours again and again can't keep the page away, either:
 * after a few attempts the walk is for that page alone.
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
 *		struct driver_range *drange = kzalloc_obj(*drange);
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
 *			if (err == -EROFS)	// a write to what is bound for reading
 *				err = driver_take(vm, to_drange(range));
 *			else if (!err)
 *				err = driver_bind(vm, to_drange(range), write);
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
 *		driver_zap_and_flush(&vm->gpusvm, drm_gpusvm_range_start(&drange->base),
 *				     drm_gpusvm_range_end(&drange->base));
 *		drm_gpusvm_unmap_pages(&vm->gpusvm, &drange->pages,
 *				       drm_gpusvm_range_size(&drange->base) >> PAGE_SHIFT,
 *				       &ctx);
 *		return -EAGAIN;
 *	}
 *
 *	int driver_bind(struct driver_vm *vm, struct driver_range *drange, bool write)
 *	{
 *		int err = driver_prepare_page_tables(vm, drange);	// allocates
 *
 *		if (err)
 *			return err;
 *
 *		drm_gpusvm_notifier_lock(&vm->gpusvm);
 *		if (drm_gpusvm_pages_valid(&vm->gpusvm, &drange->pages))
 *			driver_write_page_tables(vm, drange, write);	// does not
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
 *		driver_zap_and_flush(gpusvm, mmu_range->start, mmu_range->end);
 *
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
 *		driver_unbind(vm, drange);
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
 *		unsigned int num_pages;
 *		struct drm_gpusvm_pages pages[] __counted_by(num_pages);
 *	};
 *
 *	int driver_fault(struct driver_device *ddev, struct driver_vm *vm,
 *			 unsigned long addr, bool write)
 *	{
 *		...
 *		range = drm_gpusvm_range_get_or_insert(&vm->gpusvm, addr, vm->start,
 *						       vm->end, &ctx);
 *		...
 *		mutex_lock(&drange->lock);
 *		err = drm_gpusvm_range_get_pages(range, drange->pages,
 *						 drange->num_pages, &ctx);
 *		if (!err)
 *			err = driver_bind(ddev, drange, write);
 *		mutex_unlock(&drange->lock);
 *		drm_gpusvm_range_put(range);
 *		...
 *	}
 *
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
 *				driver_zap(gpusvm, i, drange);
 *				drm_gpusvm_unmap_pages_deferred(notifier,
 *								&drange->pages[i]);
 *			}
 *			...
 *		}
 *		return driver_flush_submit(gpusvm, notifier, mmu_range);
 *	}
 *
 *	void driver_invalidate_finish(struct drm_gpusvm *gpusvm,
 *				      struct drm_gpusvm_notifier *notifier)
 *	{
 *		driver_flush_wait(gpusvm, notifier);
 *	}
 */

/* SVM has CPU and device at the same memory at once: no bounces, no flushes. */
#define DRM_GPUSVM_DMA_ATTRS	DMA_ATTR_REQUIRE_COHERENT

static s64 elapsed_since(ktime_t begin)
{
	return ktime_to_ns(ktime_sub(ktime_get(), begin));
}

/*
 * Walks of the CPU's page tables
 *
 * Every lookup of what the CPU has at some addresses is a struct
 * drm_gpusvm_walk: begin, run, use the result under the notifier lock if it is
 * not stale, run again if it is, end. A deadline bounds the repetition.
 */

/* Walks of up to this many pages have their buffer on the stack ... */
#define WALK_INLINE_PFNS	16
/* ... those of up to this many use the buffer that the GPU SVM keeps. */
#define WALK_CACHED_PFNS	(SZ_2M >> PAGE_SHIFT)

/*
 * The most small pages that become one segment. Within an aligned block of this
 * size memory is of one kind, system or device: it is the granule at which
 * memory is added to the memory map.
 */
#define SEGMENT_MERGE_ORDER	ilog2(SZ_2M >> PAGE_SHIFT)

/* Where HMM says how large the CPU's mapping is; see hmm_pfn_to_map_order(). */
#define PFN_ORDER_MASK		(0x1fUL << HMM_PFN_ORDER_SHIFT)

/*
 * How much is faulted in at a time, which is what a CPU fault brings of device memory. HMM
 * begins anew with all it was asked for if a fault invalidates, as such a one does.
 */
#define WALK_PIECE		SZ_64K

/* How often invalidations of its neighbours may outrun a page that is wanted. */
#define WALK_MAX_LOSSES		4

/* How often a walk that has brought a page gets more time, if it had come as far before. */
#define WALK_MAX_RENEWALS	16

/* What &drm_gpusvm_walk.wanted is if all pages are. */
#define WALK_WANTS_ALL		ULONG_MAX

/**
 * enum drm_gpusvm_walk_mode - What a run of a walk does
 *
 * @WALK_LOOK: Takes pages as they are. Nearly all of the time that will do, and
 *	       it costs much less than to have each page tested for a fault
 * @WALK_TOUCH: Faults in the one page that is wanted, or the first that is missing.
 *		That may well bring the others, if the CPU then maps a large folio
 * @WALK_FAULT: Faults in whatever is missing
 * @WALK_BRING: Faults in what is marked, and leaves what lies between where it is
 * @WALK_EVICT: Moves to RAM what is marked, as far as that is possible
 *
 * The pages that are marked have HMM_PFN_REQ_FAULT instead of what was found.
 */
enum drm_gpusvm_walk_mode {
	WALK_LOOK,
	WALK_TOUCH,
	WALK_FAULT,
	WALK_BRING,
	WALK_EVICT,
};

/**
 * struct drm_gpusvm_walk - A lookup of CPU pages that can be repeated
 *
 * @gpusvm: The GPU SVM
 * @hmm: The request, and after a run its result
 * @window: The notifier of ours that @hmm uses, NULL if it is a driver's
 * @buffer: The pages' numbers; @hmm.hmm_pfns is where those of @hmm begin
 * @max_pages: Size of @buffer
 * @npages: Number of pages that @hmm is about
 * @needed: What each pfn has to have: HMM_PFN_VALID, HMM_PFN_WRITE
 * @wanted: Index of the page that counts. The others are had if they can be
 * @missing: Index of the pfn that the next WALK_TOUCH is for, or WALK_BRING begins at
 * @come: Index of the first page behind those that came last
 * @ticket: Invalidations of @window before the last run
 * @deadline: When to give up, in jiffies
 * @nr_segments: Segments of the result; 0: not counted yet
 * @losses: Results that invalidations have made useless
 * @renewals: How often @deadline began anew without progress
 * @mode: What the next run does
 * @touched: A page was faulted in already
 * @faulted: Whatever is missing was faulted in already, as far as that was possible
 * @bring_home: WALK_TOUCH moves a page from device memory to RAM
 * @allow_mixed: The result may have device memory and RAM
 * @trim: Only what is around @wanted is taken of the result
 * @may_write: The result is to be writable if that costs nothing
 * @has_devmem: Some of the pages found are device memory
 * @writable: All of the pages found may be written to by the device
 * @inline_pfns: The buffer of a small walk
 */
struct drm_gpusvm_walk {
	struct drm_gpusvm *gpusvm;
	struct hmm_range hmm;
	struct drm_gpusvm_notifier *window;
	unsigned long *buffer;
	unsigned long max_pages;
	unsigned long npages;
	unsigned long needed;
	unsigned long wanted;
	unsigned long missing;
	unsigned long come;
	unsigned long ticket;
	unsigned long deadline;
	unsigned int nr_segments;
	unsigned int losses;
	unsigned int renewals;
	enum drm_gpusvm_walk_mode mode;
	bool touched;
	bool faulted;
	bool bring_home;
	bool allow_mixed;
	bool trim;
	bool may_write;
	bool has_devmem;
	bool writable;
	unsigned long inline_pfns[WALK_INLINE_PFNS];
};

static const struct mmu_interval_notifier_ops drm_gpusvm_notifier_ops;
static const struct mmu_interval_notifier_ops drm_gpusvm_notifier_two_pass_ops;

static struct drm_gpusvm_notifier *to_window(struct mmu_interval_notifier *mni)
{
	if (mni->ops != &drm_gpusvm_notifier_ops &&
	    mni->ops != &drm_gpusvm_notifier_two_pass_ops)
		return NULL;

	return container_of(mni, struct drm_gpusvm_notifier, notifier);
}

/* HMM carries some bits of the input over to the result, so buffers are zeroed. */
static unsigned long *walk_buffer_get(struct drm_gpusvm *gpusvm,
				      unsigned long npages)
{
	unsigned long *pfns = NULL;

	if (npages > WALK_CACHED_PFNS)
		return kvcalloc(npages, sizeof(*pfns), GFP_KERNEL_ACCOUNT);

	pfns = xchg(&gpusvm->pfn_cache, NULL);

	return pfns ?: kvcalloc(WALK_CACHED_PFNS, sizeof(*pfns), GFP_KERNEL_ACCOUNT);
}

static void walk_buffer_put(struct drm_gpusvm *gpusvm, unsigned long *pfns,
			    unsigned long npages)
{
	if (npages <= WALK_CACHED_PFNS)
		pfns = xchg(&gpusvm->pfn_cache, pfns);

	kvfree(pfns);
}

static unsigned long walk_timeout(void)
{
	return msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
}

static unsigned long walk_new_deadline(void)
{
	return jiffies + walk_timeout();
}

/*
 * The walk itself is on the stack and does not need to be cleared: its buffer is
 * large, and most walks use little of it.
 */
static int walk_begin(struct drm_gpusvm_walk *walk, struct drm_gpusvm *gpusvm,
		      struct mmu_interval_notifier *notifier,
		      unsigned long start, unsigned long end,
		      void *owner, unsigned long needed)
{
	unsigned long i;

	walk->gpusvm = gpusvm;
	walk->window = to_window(notifier);
	walk->npages = (end - start) >> PAGE_SHIFT;
	walk->max_pages = walk->npages;
	walk->deadline = walk_new_deadline();
	walk->needed = needed;
	walk->wanted = WALK_WANTS_ALL;
	walk->come = 0;
	walk->nr_segments = 0;
	walk->losses = 0;
	walk->renewals = 0;
	walk->mode = WALK_LOOK;
	walk->touched = false;
	walk->faulted = false;
	walk->bring_home = false;
	walk->allow_mixed = false;
	walk->trim = false;
	walk->may_write = false;
	walk->hmm.notifier = notifier;
	walk->hmm.start = start;
	walk->hmm.end = end;
	walk->hmm.default_flags = 0;
	walk->hmm.pfn_flags_mask = 0;
	walk->hmm.dev_private_owner = owner;

	if (walk->npages > WALK_INLINE_PFNS) {
		walk->buffer = walk_buffer_get(gpusvm, walk->npages);
		walk->hmm.hmm_pfns = walk->buffer;
		return walk->buffer ? 0 : -ENOMEM;
	}

	walk->buffer = walk->inline_pfns;
	walk->hmm.hmm_pfns = walk->inline_pfns;
	for (i = 0; i < walk->npages; i++)
		WRITE_ONCE(walk->inline_pfns[i], 0);	/* not worth a memset() */

	return 0;
}

static void walk_end(struct drm_gpusvm_walk *walk)
{
	if (walk->buffer != walk->inline_pfns)
		walk_buffer_put(walk->gpusvm, walk->buffer, walk->max_pages);
}

/* Go on with some of the pages only. */
static void walk_shrink(struct drm_gpusvm_walk *walk, unsigned long first,
			unsigned long npages)
{
	walk->hmm.start += first << PAGE_SHIFT;
	walk->hmm.end = walk->hmm.start + (npages << PAGE_SHIFT);
	walk->hmm.hmm_pfns += first;
	walk->npages = npages;
	walk->wanted -= first;
}

static bool walk_timed_out(const struct drm_gpusvm_walk *walk)
{
	return time_after_eq(jiffies, walk->deadline);
}

/* Return: how long the walk may go on, in jiffies; -EINTR or -EBUSY if it may not. */
static long walk_time_left(const struct drm_gpusvm_walk *walk)
{
	long left = walk->deadline - jiffies;

	/* Whoever asks was killed, or is a service that was cancelled. */
	if (fatal_signal_pending(current))
		return -EINTR;

	return left > 0 ? left : -EBUSY;
}

/*
 * Pages have come, up to @come if they come one after the other, else 0. The deadline is
 * for those who lose against invalidations, so it begins anew: whenever this is further
 * than before, and a few times if it isn't, since others may have taken away what was
 * there. That is bounded by the pages.
 */
static void walk_renew(struct drm_gpusvm_walk *walk, unsigned long come)
{
	if (come <= walk->come && walk->renewals++ >= WALK_MAX_RENEWALS)
		return;

	walk->come = come;
	walk->deadline = walk_new_deadline();
}

static void walk_take_ticket(struct drm_gpusvm_walk *walk)
{
	walk->nr_segments = 0;
	if (!walk->window)
		return;

	/*
	 * Pairs with log_invalidation(): the sequence that HMM reads next
	 * includes what is counted here.
	 */
	walk->ticket = smp_load_acquire(&walk->window->nr_invalidations);
}

static int walk_look(struct drm_gpusvm_walk *walk, struct mm_struct *mm)
{
	int err;

	atomic_long_inc(&walk->gpusvm->stats.walks);
	walk->hmm.default_flags = 0;
	walk->hmm.notifier_seq = mmu_interval_read_begin(walk->hmm.notifier);

	err = mmap_read_lock_killable(mm);
	if (err)
		return err;
	err = hmm_range_fault(&walk->hmm);
	mmap_read_unlock(mm);

	return err == -EBUSY ? -EAGAIN : err;
}

/* A part of the pages that a walk is about, as a request of its own. */
static struct hmm_range walk_part(const struct drm_gpusvm_walk *walk,
				  unsigned long start, unsigned long end)
{
	struct hmm_range part = walk->hmm;

	part.start = start;
	part.end = end;
	part.hmm_pfns += (start - walk->hmm.start) >> PAGE_SHIFT;
	part.default_flags = walk->needed;

	return part;
}

static int walk_touch(struct drm_gpusvm_walk *walk, unsigned long timeout)
{
	unsigned long start = walk->hmm.start + (walk->missing << PAGE_SHIFT);
	struct hmm_range one = walk_part(walk, start, start + PAGE_SIZE);

	if (walk->bring_home)
		one.dev_private_owner = NULL;
	walk->bring_home = false;
	walk->mode = WALK_LOOK;
	walk->touched = true;

	return hmm_range_fault_unlocked_timeout(&one, timeout);
}

/*
 * Memory and block devices answer, if only with an error. A FUSE server, one behind a
 * network, or the driver of a device need not. A btrfs has several block devices, so it
 * doesn't name one.
 */
static bool file_answers(const struct file *file)
{
	const struct inode *inode = file_inode(file);
	const struct super_block *sb = inode->i_sb;

	return shmem_mapping(file->f_mapping) || S_ISBLK(inode->i_mode) ||
	       sb->s_magic == BTRFS_SUPER_MAGIC ||
	       (sb->s_bdev && sb->s_magic != FUSE_SUPER_MAGIC);
}

/* Whether a fault may wait for somebody who may never answer. */
static bool vma_has_handler(const struct vm_area_struct *vma)
{
	return userfaultfd_armed((struct vm_area_struct *)vma) ||
	       (vma->vm_file && !vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma) &&
		!file_answers(vma->vm_file));
}

/*
 * Where pages beside the one that is wanted may be faulted in: in its VMA, unless
 * they have somebody to wait for.
 */
static bool walk_find_vma(const struct drm_gpusvm_walk *walk, struct mm_struct *mm,
			  unsigned long *start, unsigned long *end)
{
	unsigned long addr = walk->hmm.start + (walk->wanted << PAGE_SHIFT);
	struct vm_area_struct *vma;
	bool found;

	if (mmap_read_lock_killable(mm))
		return false;
	vma = vma_lookup(mm, addr);
	found = vma && !vma_has_handler(vma);
	if (found) {
		*start = max(walk->hmm.start, vma->vm_start);
		*end = min(walk->hmm.end, vma->vm_end);
	}
	mmap_read_unlock(mm);

	return found;
}

static bool walk_sees_devmem(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];

	return (pfn & HMM_PFN_VALID) && is_device_private_page(hmm_pfn_to_page(pfn));
}

/*
 * The pages around one that have no device memory between them. HMM faults all that
 * follow a missing page, and a fault brings device memory to RAM.
 */
static void walk_find_system(const struct drm_gpusvm_walk *walk, unsigned long index,
			     unsigned long *start, unsigned long *end)
{
	unsigned long first = index, last = index + 1;

	while (first && !walk_sees_devmem(walk, first - 1))
		first--;
	while (last < walk->npages && !walk_sees_devmem(walk, last))
		last++;
	*start = walk->hmm.start + (first << PAGE_SHIFT);
	*end = walk->hmm.start + (last << PAGE_SHIFT);
}

/* Fault in a part of the pages. What it has come to, the next look tells. */
static int walk_fault_part(struct drm_gpusvm_walk *walk, unsigned long start,
			   unsigned long end, unsigned long timeout)
{
	struct hmm_range part = walk_part(walk, start, end);

	walk->mode = WALK_LOOK;

	return hmm_range_fault_unlocked_timeout(&part, timeout) ?: -EAGAIN;
}

static int walk_fault_all(struct drm_gpusvm_walk *walk, unsigned long timeout)
{
	walk->hmm.default_flags = walk->needed;

	return hmm_range_fault_unlocked_timeout(&walk->hmm, timeout);
}

static bool walk_is_all(const struct drm_gpusvm_walk *walk, unsigned long start,
			unsigned long end)
{
	return end - start == walk->npages << PAGE_SHIFT;
}

/* What can't be had beside the page that is wanted is left out. */
static int walk_fault_rest(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
			   unsigned long timeout)
{
	unsigned long start, end, vma_start, vma_end;
	int err = -EFAULT;

	if (walk_find_vma(walk, mm, &vma_start, &vma_end)) {
		walk_find_system(walk, walk->wanted, &start, &end);
		start = max(start, vma_start);
		end = min(end, vma_end);
		err = walk_is_all(walk, start, end) ?
		      walk_fault_all(walk, timeout) :
		      walk_fault_part(walk, start, end, timeout);
	}
	if (!err || err == -EINTR)
		return err;
	walk->trim = true;
	walk->mode = WALK_LOOK;

	return -EAGAIN;
}

static int walk_fault(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
		      unsigned long timeout)
{
	atomic_long_inc(&walk->gpusvm->stats.faults);
	if (walk->wanted != WALK_WANTS_ALL && walk->npages > 1)
		return walk_fault_rest(walk, mm, timeout);

	return walk_fault_all(walk, timeout);
}

/* The next marked pages in a row, of one piece. Returns where they end, 0 if none is left. */
static unsigned long walk_next_piece(const struct drm_gpusvm_walk *walk,
				     unsigned long *first)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long end;

	while (*first < walk->npages && !(pfns[*first] & HMM_PFN_REQ_FAULT))
		++*first;
	if (*first == walk->npages)
		return 0;

	end = *first + 1;
	while (end < walk->npages && (pfns[end] & HMM_PFN_REQ_FAULT) &&
	       !IS_ALIGNED(walk->hmm.start + (end << PAGE_SHIFT), WALK_PIECE))
		end++;

	return end;
}

/* Fault in all of a piece, and have device memory come to RAM. */
static int walk_fault_piece(struct drm_gpusvm_walk *walk, unsigned long first,
			    unsigned long end)
{
	unsigned long start = walk->hmm.start;
	struct hmm_range piece = walk_part(walk, start + (first << PAGE_SHIFT),
					   start + (end << PAGE_SHIFT));
	long left = walk_time_left(walk);
	int err;

	if (left < 0)
		return left;

	piece.default_flags |= HMM_PFN_REQ_FAULT;
	piece.dev_private_owner = NULL;
	err = hmm_range_fault_unlocked_timeout(&piece, left);
	/* A fault that takes all the time may well have brought the pages: look again. */
	if (err == -EBUSY)
		err = hmm_range_fault_unlocked_timeout(&piece, walk_timeout());
	/* A page that can't be had is done with as well, unless others were in the way. */
	if (!err || (err != -EBUSY && end - first == 1))
		walk_renew(walk, end);

	return err;
}

/* What it has come to, the next look tells, once for all pieces. */
static int walk_bring_pieces(struct drm_gpusvm_walk *walk)
{
	unsigned long first = walk->missing, end;
	int err = 0;

	walk->mode = WALK_LOOK;
	walk->touched = true;
	atomic_long_inc(&walk->gpusvm->stats.faults);
	while (!err && (end = walk_next_piece(walk, &first))) {
		err = walk_fault_piece(walk, first, end);
		first = end;
	}

	return err ?: -EAGAIN;
}

/* HMM gives up at the first page that can't be had. Those behind it are tried alone. */
static int walk_evict_piece(struct drm_gpusvm_walk *walk, unsigned long first,
			    unsigned long end)
{
	int err = walk_fault_piece(walk, first, end);
	int first_err = 0;

	if (err != -EFAULT || end - first == 1)
		return err;

	for (; first < end; first++) {
		err = walk_fault_piece(walk, first, first + 1);
		first_err = first_err ?: err;
	}

	return first_err;
}

/*
 * What can't be moved does not keep the rest. Once time is up, or the caller was killed,
 * all that is left fails without an attempt.
 */
static int walk_evict(struct drm_gpusvm_walk *walk)
{
	unsigned long first = 0, end;
	int err, first_err = 0;

	atomic_long_inc(&walk->gpusvm->stats.faults);
	while ((end = walk_next_piece(walk, &first))) {
		err = walk_evict_piece(walk, first, end);
		first_err = first_err ?: err;
		first = end;
	}

	return first_err;
}

/*
 * Fault in what is missing. That may take long: a page comes from a disk, or another
 * process has to bring it. So there is more time when it has come.
 */
static int walk_bring(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
		      unsigned long timeout)
{
	bool touch = walk->mode == WALK_TOUCH;
	int err;

	walk->faulted |= !touch;
	err = touch ? walk_touch(walk, timeout) : walk_fault(walk, mm, timeout);
	if (!err || err == -EAGAIN)
		walk_renew(walk, 0);

	return touch ? err ?: -EAGAIN : err;
}

/*
 * Return: 0, -EAGAIN to run again, -EBUSY when time is up, -EFAULT if the mm is
 * dying, -EINTR on a fatal signal, or HMM's error.
 */
static int walk_run(struct drm_gpusvm_walk *walk, struct mm_struct *mm)
{
	long left = walk_time_left(walk);
	int err;

	if (left < 0)
		return left;

	if (!mmget_not_zero(mm))
		return -EFAULT;

	walk_take_ticket(walk);
	if (likely(walk->mode == WALK_LOOK))
		err = walk_look(walk, mm);
	else if (walk->mode == WALK_BRING)
		err = walk_bring_pieces(walk);
	else if (walk->mode == WALK_EVICT)
		err = walk_evict(walk);
	else
		err = walk_bring(walk, mm, left);
	mmput(mm);

	return err;
}

/* Whether an invalidation has hit the addresses since the walk began its run. */
static bool walk_stale_locked(const struct drm_gpusvm_walk *walk)
{
	const struct drm_gpusvm_notifier *window = walk->window;
	unsigned long i;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	if (!mmu_interval_read_retry(walk->hmm.notifier, walk->hmm.notifier_seq))
		return false;

	if (!window ||
	    window->nr_invalidations - walk->ticket > DRM_GPUSVM_NOTIFIER_LOG)
		return true;

	for (i = walk->ticket; i != window->nr_invalidations; i++) {
		unsigned int slot = i % DRM_GPUSVM_NOTIFIER_LOG;

		if (window->log[slot].start < walk->hmm.end &&
		    window->log[slot].end > walk->hmm.start)
			return true;
	}

	return false;
}

/*
 * The order of the naturally aligned block that begins at @index and is part of
 * one CPU mapping, within the bounds of the walk.
 */
static unsigned int walk_cpu_order(const struct drm_gpusvm_walk *walk,
				   unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];
	unsigned int order = hmm_pfn_to_map_order(pfn);

	if (!order)
		return 0;

	/* The bit at the order bounds the result and keeps it defined. */
	order = __ffs((pfn & ~HMM_PFN_FLAGS) | BIT(order));

	return min_t(unsigned int, order, ilog2(walk->npages - index));
}

/* Whether the block of the order behind @pfns continues the one at @pfns. */
static bool pfns_continue(const unsigned long *pfns, unsigned int order)
{
	unsigned long i, n = 1UL << order;

	for (i = n; i < 2 * n; i++)
		if (pfns[i] != pfns[0] + i)
			return false;

	return true;
}

/*
 * Grow a block of system pages while its buddy is next to it on both sides. Xen's
 * paravirtual guests have page numbers that say nothing about what is adjacent.
 */
static unsigned int walk_merge_order(const struct drm_gpusvm_walk *walk,
				     unsigned long index, unsigned int order)
{
	const unsigned long *pfns = &walk->hmm.hmm_pfns[index];
	unsigned long where = (*pfns & ~HMM_PFN_FLAGS) |
			      ((walk->hmm.start >> PAGE_SHIFT) + index);

	if (xen_pv_domain())
		return order;

	while (order < SEGMENT_MERGE_ORDER && !(where & BIT(order)) &&
	       (2UL << order) <= walk->npages - index &&
	       pfns_continue(pfns, order))
		order++;

	return order;
}

static void walk_set_order(struct drm_gpusvm_walk *walk, unsigned long index,
			   unsigned int order)
{
	unsigned long *pfn = &walk->hmm.hmm_pfns[index];

	*pfn &= ~PFN_ORDER_MASK;
	*pfn |= (unsigned long)order << HMM_PFN_ORDER_SHIFT;
}

/* Whether the CPU has a page in the way that the walk needs it. */
static bool walk_finds(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	return !(~walk->hmm.hmm_pfns[index] & walk->needed);
}

/*
 * Whether a page is the memory of a device that nobody here knows how to map. It stays
 * so however often it is faulted in, unless a write is still to make a copy of it.
 */
static bool walk_is_foreign(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	struct page *page;

	if (!walk_finds(walk, index))
		return false;
	page = hmm_pfn_to_page(walk->hmm.hmm_pfns[index]);

	return is_zone_device_page(page) && !drm_pagemap_has_page(page);
}

/* Whether a page has what the walk needs. */
static bool walk_has(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	return walk_finds(walk, index) && !walk_is_foreign(walk, index);
}

/*
 * Whether a page is device memory that must be copied before it is written to. HMM
 * reports it as it is even if it is asked for a page that can be written to.
 */
static bool walk_must_bring_home(const struct drm_gpusvm_walk *walk,
				 unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];

	return (pfn & HMM_PFN_VALID) && !(pfn & HMM_PFN_WRITE) &&
	       (walk->needed & HMM_PFN_WRITE) &&
	       is_device_private_page(hmm_pfn_to_page(pfn));
}

static void walk_touch_next(struct drm_gpusvm_walk *walk, unsigned long index,
			    bool bring_home)
{
	walk->mode = WALK_TOUCH;
	walk->missing = index;
	walk->bring_home = bring_home;
}

/* A neighbour of the page that is wanted: bring it if it can be brought easily. */
static void walk_do_without(struct drm_gpusvm_walk *walk, unsigned long index)
{
	if (walk->faulted || walk_must_bring_home(walk, index) ||
	    walk_is_foreign(walk, index)) {
		walk->trim = true;
		walk->mode = WALK_LOOK;
	} else {
		walk->mode = WALK_FAULT;
	}
}

/* All that is missing is to come, from @index on, and nothing else is to move. */
static void walk_bring_next(struct drm_gpusvm_walk *walk, unsigned long index)
{
	unsigned long i;

	walk->mode = WALK_BRING;
	walk->missing = index;
	for (i = index; i < walk->npages; i++)
		walk->hmm.hmm_pfns[i] = walk_finds(walk, i) ? 0 : HMM_PFN_REQ_FAULT;
}

/* Whether all of the pages may be faulted in at once, which brings device memory to RAM. */
static bool walk_may_fault_all(const struct drm_gpusvm_walk *walk)
{
	unsigned long start, end;

	if (!walk->allow_mixed)
		return true;

	walk_find_system(walk, walk->missing, &start, &end);

	return walk_is_all(walk, start, end);
}

/* A page that has to be had. Without an owner device memory comes to RAM. */
static void walk_insist(struct drm_gpusvm_walk *walk, unsigned long index, bool wants_one)
{
	if (walk->mode == WALK_FAULT || (wants_one && walk_must_bring_home(walk, index)))
		walk->hmm.dev_private_owner = NULL;

	walk_touch_next(walk, index, false);
	if (wants_one || (!walk->touched && walk->npages > 1))
		return;
	if (walk_may_fault_all(walk))
		walk->mode = WALK_FAULT;
	else
		walk_bring_next(walk, index);
}

/*
 * A page is missing, or can't be written to: fault. A page of device memory that is
 * shared copy-on-write comes to RAM, where the fault makes a copy if it takes one.
 * The others come along if the result can't be mixed.
 */
static int walk_fault_next(struct drm_gpusvm_walk *walk, unsigned long index)
{
	bool wants_one = walk->wanted != WALK_WANTS_ALL;

	/* A long look that nothing has disturbed leaves time for what it has found. */
	if (walk_timed_out(walk))
		walk_renew(walk, 0);
	walk->nr_segments = 0;
	if (wants_one && !walk_has(walk, walk->wanted))
		index = walk->wanted;

	if (wants_one && index != walk->wanted)
		walk_do_without(walk, index);
	else if (walk_is_foreign(walk, index))
		return -EFAULT;
	else if (!walk_must_bring_home(walk, index) || !walk->allow_mixed)
		walk_insist(walk, index, wants_one);
	else if (wants_one)
		walk_touch_next(walk, index, true);
	else
		walk_bring_next(walk, index);

	return -EAGAIN;
}

/* Take what is good around the page that is wanted, and leave the rest. */
static int walk_trim_locked(struct drm_gpusvm_walk *walk)
{
	unsigned long first = walk->wanted, end = first + 1;

	if (!walk_has(walk, first))
		return walk_fault_next(walk, first);

	while (first && walk_has(walk, first - 1))
		first--;
	while (end < walk->npages && walk_has(walk, end))
		end++;
	walk_shrink(walk, first, end - first);

	return 0;
}

/*
 * The result is useless. If that goes on, is it for the sake of the page that is
 * wanted, or of its neighbours? Then do without them.
 */
static int walk_lose(struct drm_gpusvm_walk *walk)
{
	atomic_long_inc(&walk->gpusvm->stats.retries);
	walk->nr_segments = 0;
	if (walk->mode == WALK_FAULT && walk->wanted != WALK_WANTS_ALL)
		walk->mode = WALK_LOOK;
	if (++walk->losses == WALK_MAX_LOSSES && walk->wanted != WALK_WANTS_ALL)
		walk_shrink(walk, walk->wanted, 1);

	return -EAGAIN;
}

/* The order of the segment at @index, put where HMM had that of the mapping. */
static unsigned int walk_segment_order(struct drm_gpusvm_walk *walk,
				       unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];
	unsigned int order = walk_cpu_order(walk, index);

	if (!is_zone_device_page(hmm_pfn_to_page(pfn)))
		order = walk_merge_order(walk, index, order);
	walk_set_order(walk, index, order);

	return order;
}

/*
 * Dirty memory
 *
 * A page that the CPU may write to need not be dirty: it was only read since it came
 * from a file or from swap, or it was freed with MADV_FREE. What the device writes
 * there leaves no trace in the CPU's page tables. Therefore memory that is mapped for
 * writing is marked as dirty, which see "Dirty memory" in the documentation.
 */

/* Pages of the folio from this one on that the segment has, too. */
static unsigned long folio_pages_left(const struct folio *folio, struct page *page,
				      unsigned long left)
{
	return min(left, folio_nr_pages(folio) - folio_page_idx(folio, page));
}

/*
 * Whether the folio is written back, or its contents kept, anyway. It costs nothing
 * then to have it dirty.
 */
static bool folio_is_kept(const struct folio *folio)
{
	return folio_test_dirty(folio) || folio_test_hugetlb(folio) ||
	       (folio_test_anon(folio) && folio_test_swapbacked(folio) &&
		!folio_test_swapcache(folio));
}

/* Whether the device may as well write to what it asked to read. */
static bool walk_writes_are_free_locked(const struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, n;

	for (i = 0; i < walk->npages; i += n) {
		struct page *page = hmm_pfn_to_page(pfns[i]);
		struct folio *folio = page_folio(page);

		n = folio_pages_left(folio, page, 1UL << hmm_pfn_to_map_order(pfns[i]));
		if (!folio_is_zone_device(folio) && !folio_is_kept(folio))
			return false;
	}

	return true;
}

/*
 * A file that is written back learns of a write before it happens, and has the folio
 * dirty when the CPU may write to it. If the folio is clean, the fault that will mark
 * it is under way. Only that one may, since the file system may have to allocate.
 */
static bool folio_is_late(const struct folio *folio)
{
	return !folio_test_anon(folio) && folio->mapping &&
	       mapping_can_writeback(folio->mapping);
}

static bool folio_make_dirty(struct folio *folio)
{
	if (folio_test_dirty(folio) || folio_is_zone_device(folio))
		return true;
	if (folio_is_late(folio))
		return false;
	folio_mark_dirty(folio);

	return true;
}

/* The folios of a segment, which may be several. */
static bool segment_make_dirty(unsigned long pfn, unsigned long npages)
{
	unsigned long i, n;

	for (i = 0; i < npages; i += n) {
		struct page *page = hmm_pfn_to_page(pfn + i);
		struct folio *folio = page_folio(page);

		n = folio_pages_left(folio, page, npages - i);
		if (!folio_make_dirty(folio))
			return false;
	}

	return true;
}

/*
 * The device may write from now on. The pages can't be truncated, reclaimed or
 * cleaned meanwhile: before that an invalidation has to come.
 *
 * Returns false if the walk has to be run again.
 */
static bool walk_mark_dirty_locked(const struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i;
	unsigned int order;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	for (i = 0; i < walk->npages; i += 1UL << order) {
		order = hmm_pfn_to_map_order(pfns[i]);
		/* Most are, and this is done for each of many small pages. */
		if (!order && folio_test_dirty(page_folio(hmm_pfn_to_page(pfns[i]))))
			continue;
		if (!segment_make_dirty(pfns[i], 1UL << order))
			return false;
	}

	return true;
}

/*
 * Divide the result into segments: runs that are mapped as one. The order of
 * each goes where its first pfn is.
 *
 * Return: 0, -EAGAIN if the walk has to be run again, or -EFAULT if that won't help.
 */
static int walk_find_segments_locked(struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, npages = walk->npages;
	unsigned long needed = walk->needed;
	unsigned long all = ~0UL;
	unsigned int order, n = 0;
	bool devmem = false;

	for (i = 0; i < npages; i += 1UL << order, n++) {
		unsigned long pfn = pfns[i];

		if (~pfn & needed)
			return walk_fault_next(walk, i);
		all &= pfn;
		if (unlikely(is_zone_device_page(hmm_pfn_to_page(pfn)))) {
			if (walk_is_foreign(walk, i))
				return walk_fault_next(walk, i);
			devmem = true;
		}

		order = 0;
		if ((pfn & PFN_ORDER_MASK) ||
		    (i + 1 < npages && pfns[i + 1] == pfn + 1))
			order = walk_segment_order(walk, i);
	}
	walk->nr_segments = n;
	walk->has_devmem = devmem;
	walk->writable = (needed & HMM_PFN_WRITE) ||
			 (walk->may_write && (all & HMM_PFN_WRITE) &&
			  walk_writes_are_free_locked(walk));

	return 0;
}

/*
 * The mapping of a pages object
 */

/* Flags have one writer, since they are read without the lock as a whole. */
static void pages_set_flags(struct drm_gpusvm_pages *pages,
			    struct drm_gpusvm_pages_flags flags)
{
	WRITE_ONCE(pages->flags.__flags, flags.__flags);
}

static struct drm_gpusvm_pages_flags
pages_flags(const struct drm_gpusvm_pages *pages)
{
	return (struct drm_gpusvm_pages_flags) {
		.__flags = READ_ONCE(pages->flags.__flags),
	};
}

static void pages_clear_mapped(struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	flags.has_dma_mapping = false;
	flags.has_devmem_pages = false;
	flags.writable = false;
	flags.has_holes = false;
	pages_set_flags(pages, flags);
}

/* The flags of pages that can be used the way @ctx says. */
static u16 flags_needed(const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_pages_flags flags = {
		.has_dma_mapping = true,
		.writable = !ctx->read_only,
	};

	return flags.__flags;
}

static bool pages_serve(const struct drm_gpusvm_pages *pages, u16 needed)
{
	return (READ_ONCE(pages->flags.__flags) & needed) == needed;
}

static void pages_free_addrs(struct drm_gpusvm_pages *pages)
{
	if (pages->dma_addr != &pages->single_addr)
		kvfree(pages->dma_addr);
	pages->dma_addr = NULL;
	pages->max_addrs = 0;
}

/*
 * Room for @n entries, and not for many more: what was mapped by small pages
 * and is now by a huge one gives its memory back.
 */
static bool pages_have_room(struct drm_gpusvm_pages *pages, unsigned int n)
{
	if (n == 1 && !pages->max_addrs) {
		pages->dma_addr = &pages->single_addr;
		pages->max_addrs = 1;
	}

	return n <= pages->max_addrs && pages->max_addrs / 4 < n;
}

static int pages_make_room(struct drm_gpusvm_pages *pages, unsigned int n)
{
	struct drm_pagemap_addr *addrs;

	if (pages_have_room(pages, n))
		return 0;

	if (n == 1) {
		pages_free_addrs(pages);
		return 0;
	}

	addrs = kvmalloc_array(n, sizeof(*addrs), GFP_KERNEL_ACCOUNT);
	if (!addrs)
		return -ENOMEM;

	pages_free_addrs(pages);
	pages->dma_addr = addrs;
	pages->max_addrs = n;

	return 0;
}

/* Whether a second pass has something to unmap; it ends without the lock for writing. */
static bool pages_deferred(const struct drm_gpusvm_pages *pages)
{
	/* Pairs with pages_end_deferral(). */
	return smp_load_acquire(&pages->deferred_by);
}

/* Whether a segment of system memory is in the IOVA space of the pages. */
static bool addr_is_linked(struct drm_gpusvm_pages *pages,
			   const struct drm_pagemap_addr *addr)
{
	return addr->addr - pages->state.addr < dma_iova_size(&pages->state);
}

/**
 * struct drm_gpusvm_unmapper - Unmaps segments of a device
 *
 * @pages: What the segments belong to
 * @dev: The device
 * @unmap_system: System memory outside of the IOVA space has to be unmapped
 * @start: First byte in the IOVA space that is to be unlinked
 * @end: The byte behind the last; segments in a row are unlinked together
 */
struct drm_gpusvm_unmapper {
	struct drm_gpusvm_pages *pages;
	struct device *dev;
	bool unmap_system;
	size_t start;
	size_t end;
};

static void unmap_begin(struct drm_gpusvm_unmapper *unmap,
			struct drm_gpusvm_pages *pages)
{
	*unmap = (struct drm_gpusvm_unmapper) {
		.pages = pages,
		.dev = pages->drm->dev,
		.unmap_system = dma_need_unmap(pages->drm->dev),
	};
}

static void unmap_end(struct drm_gpusvm_unmapper *unmap)
{
	/* Only devices that are not coherent care for the direction. */
	if (unmap->start < unmap->end)
		dma_iova_unlink(unmap->dev, &unmap->pages->state, unmap->start,
				unmap->end - unmap->start, DMA_BIDIRECTIONAL,
				DRM_GPUSVM_DMA_ATTRS);
}

static void unmap_linked(struct drm_gpusvm_unmapper *unmap,
			 const struct drm_pagemap_addr *addr)
{
	size_t offset = addr->addr - unmap->pages->state.addr;

	if (offset != unmap->end) {
		unmap_end(unmap);
		unmap->start = offset;
	}
	unmap->end = offset + (PAGE_SIZE << addr->order);
}

static void unmap_addr(struct drm_gpusvm_unmapper *unmap,
		       const struct drm_pagemap_addr *addr)
{
	struct drm_pagemap *dpagemap = unmap->pages->dpagemap;

	if (addr->proto != DRM_INTERCONNECT_SYSTEM) {
		if (dpagemap->ops->device_unmap)
			dpagemap->ops->device_unmap(dpagemap, unmap->dev, addr);
	} else if (addr_is_linked(unmap->pages, addr)) {
		unmap_linked(unmap, addr);
	} else if (unmap->unmap_system) {
		dma_unmap_phys(unmap->dev, addr->addr, PAGE_SIZE << addr->order,
			       addr->dir, DRM_GPUSVM_DMA_ATTRS);
	}
}

/* Unmap @n segments but for holes. Where nothing has to be done, none is looked at. */
static void pages_unmap_segments(struct drm_gpusvm_pages *pages,
				 const struct drm_pagemap_addr *addrs, unsigned int n)
{
	struct drm_gpusvm_unmapper unmap;
	unsigned int i;

	if (!dma_need_unmap(pages->drm->dev) && !pages->dpagemap)
		return;

	unmap_begin(&unmap, pages);
	for (i = 0; i < n; i++)
		if (!addrs[i].hole)
			unmap_addr(&unmap, &addrs[i]);
	unmap_end(&unmap);
}

static void pages_free_iova(struct drm_gpusvm_pages *pages)
{
	if (!dma_use_iova(&pages->state))
		return;

	dma_iova_free(pages->drm->dev, &pages->state);
	pages->state = (struct dma_iova_state) {};
	pages->state_offset = 0;
}

/* Release what is mapped, all or as far as mapping has come. */
static void pages_unmap_addrs(struct drm_gpusvm_pages *pages)
{
	pages_unmap_segments(pages, pages->dma_addr, pages->nr_addrs);
	pages_free_iova(pages);
	pages->nr_addrs = 0;
	drm_pagemap_put(pages->dpagemap);
	pages->dpagemap = NULL;
}

static void pages_unmap_locked(struct drm_gpusvm *gpusvm,
			       struct drm_gpusvm_pages *pages)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(pages))
		return;

	pages_clear_mapped(pages);
	pages_unmap_addrs(pages);
	atomic_long_inc(&gpusvm->stats.unmaps);
}

static enum dma_data_direction walk_dir(const struct drm_gpusvm_walk *walk)
{
	return walk->writable ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
}

/*
 * Ask for an IOVA space for all of the pages, whose first one is at @start. A segment
 * alone has nothing to gain from it. The space is aligned to its size: begin in it
 * where the virtual addresses do, and all that is aligned there is aligned here.
 */
static bool pages_use_iova(struct drm_gpusvm_pages *pages,
			   const struct drm_gpusvm_walk *walk, unsigned long start)
{
	size_t size = walk->npages << PAGE_SHIFT;
	size_t offset = start & (roundup_pow_of_two(size) - 1);

	if (walk->nr_segments < 2 ||
	    !dma_iova_try_alloc(pages->drm->dev, &pages->state, 0, size + offset))
		return false;
	pages->state_offset = offset;

	return true;
}

/**
 * struct drm_gpusvm_mapper - Maps the segments of a walk for one device
 *
 * @pages: What is being mapped
 * @walk: Where the pages are
 * @ctx: What may be mapped
 * @addrs: Where the segments go to
 * @nr_addrs: How many there are so far
 * @dev: The device that maps
 * @dir: What the device may do
 * @offset: Where in the IOVA space the first page of @walk has its place
 * @use_iova: System pages go to the IOVA space
 * @may_ask_iova: An IOVA space is to be asked for at the first system page
 * @has_system: Whether there was system memory so far
 */
struct drm_gpusvm_mapper {
	struct drm_gpusvm_pages *pages;
	const struct drm_gpusvm_walk *walk;
	const struct drm_gpusvm_ctx *ctx;
	struct drm_pagemap_addr *addrs;
	unsigned int nr_addrs;
	struct device *dev;
	enum dma_data_direction dir;
	size_t offset;
	bool use_iova;
	bool may_ask_iova;
	bool has_system;
};

/*
 * A mapping that is refused may need no more than memory for tables of an IOMMU. Who
 * asks for a page and will ask again has to tell that from a page that isn't there.
 */
static int map_error(const struct drm_gpusvm_ctx *ctx)
{
	return ctx->partial ? -ENOMEM : -EFAULT;
}

static void map_add(struct drm_gpusvm_mapper *map, dma_addr_t addr,
		    unsigned int order)
{
	map->addrs[map->nr_addrs++] =
		drm_pagemap_addr_encode(addr, DRM_INTERCONNECT_SYSTEM, order,
					map->dir);
}

/* Each page has its place in the IOVA space, whatever is mapped before it. */
static int map_system_iova(struct drm_gpusvm_mapper *map, phys_addr_t phys,
			   unsigned long index, unsigned int order)
{
	struct dma_iova_state *state = &map->pages->state;
	size_t offset = map->offset + (index << PAGE_SHIFT);
	int err;

	err = dma_iova_link(map->dev, state, phys, offset, PAGE_SIZE << order,
			    map->dir, DRM_GPUSVM_DMA_ATTRS);
	if (err)
		return err;

	map_add(map, state->addr + offset, order);

	return 0;
}

static int map_system_plain(struct drm_gpusvm_mapper *map, phys_addr_t phys,
			    unsigned int order)
{
	dma_addr_t addr = dma_map_phys(map->dev, phys, PAGE_SIZE << order,
				       map->dir, DRM_GPUSVM_DMA_ATTRS);

	if (dma_mapping_error(map->dev, addr))
		return map_error(map->ctx);

	map_add(map, addr, order);

	return 0;
}

static int map_system(struct drm_gpusvm_mapper *map, unsigned long index,
		      unsigned int order)
{
	phys_addr_t phys = hmm_pfn_to_phys(map->walk->hmm.hmm_pfns[index]);

	/* The first system page decides, for itself and all behind it. */
	if (map->may_ask_iova) {
		map->may_ask_iova = false;
		map->use_iova = pages_use_iova(map->pages, map->walk,
					       map->walk->hmm.start);
		map->offset = map->pages->state_offset;
	}

	return map->use_iova ? map_system_iova(map, phys, index, order) :
			       map_system_plain(map, phys, order);
}

static int map_devmem(struct drm_gpusvm_mapper *map, unsigned long index,
		      unsigned int order)
{
	struct page *page = hmm_pfn_to_page(map->walk->hmm.hmm_pfns[index]);
	struct drm_pagemap *dpagemap = drm_pagemap_page_to_dpagemap(page);
	struct drm_gpusvm_pages *pages = map->pages;
	struct drm_pagemap_addr addr;

	/* A page whose device is going away: the next walk brings it to RAM. */
	if (drm_WARN_ON(pages->drm, !dpagemap))
		return -EAGAIN;

	if (map->has_system && !map->ctx->allow_mixed)
		return -EOPNOTSUPP;
	if (pages->dpagemap && pages->dpagemap != dpagemap)
		return -EOPNOTSUPP;

	if (!pages->dpagemap)
		pages->dpagemap = drm_pagemap_get(dpagemap);

	addr = dpagemap->ops->device_map(dpagemap, map->dev, page, order,
					 map->dir);
	if (dma_mapping_error(map->dev, addr.addr))
		return map_error(map->ctx);

	map->addrs[map->nr_addrs++] = addr;

	return 0;
}

/* Map a segment of a walk that has found device memory somewhere. */
static int map_any(struct drm_gpusvm_mapper *map, unsigned long index,
		   unsigned int order)
{
	struct page *page = hmm_pfn_to_page(map->walk->hmm.hmm_pfns[index]);

	if (is_zone_device_page(page))
		return map_devmem(map, index, order);

	if (map->pages->dpagemap && !map->ctx->allow_mixed)
		return -EOPNOTSUPP;

	map->has_system = true;

	return map->ctx->devmem_only ? -EFAULT : map_system(map, index, order);
}

/* Map whatever there is: device memory, an IOVA space, a mix. */
static int map_segments(struct drm_gpusvm_mapper *map)
{
	const unsigned long *pfns = map->walk->hmm.hmm_pfns;
	unsigned int order;
	unsigned long i;
	int err = 0;

	for (i = 0; !err && i < map->walk->npages; i += 1UL << order) {
		order = hmm_pfn_to_map_order(pfns[i]);
		err = map_any(map, i, order);
	}

	if (!err && map->use_iova)
		err = dma_iova_sync(map->dev, &map->pages->state, map->offset,
				    map->walk->npages << PAGE_SHIFT);

	return err;
}

static int map_segments_mixed(struct drm_gpusvm_pages *pages,
			      const struct drm_gpusvm_walk *walk,
			      const struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_mapper map = {
		.pages = pages,
		.walk = walk,
		.ctx = ctx,
		.addrs = pages->dma_addr,
		.dev = pages->drm->dev,
		.dir = walk_dir(walk),
		.offset = pages->state_offset,
		.use_iova = dma_use_iova(&pages->state),
		.may_ask_iova = walk->has_devmem,
	};
	int err = map_segments(&map);

	pages->nr_addrs = map.nr_addrs;

	return err;
}

/* What almost all mappings are: system memory, each segment for itself. */
static int map_segments_plain(struct drm_gpusvm_pages *pages,
			      const struct drm_gpusvm_walk *walk,
			      const struct drm_gpusvm_ctx *ctx)
{
	struct drm_pagemap_addr *addr = pages->dma_addr;
	enum dma_data_direction dir = walk_dir(walk);
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, npages = walk->npages;
	struct device *dev = pages->drm->dev;
	unsigned int order;

	for (i = 0; i < npages; i += 1UL << order) {
		dma_addr_t dma;

		order = hmm_pfn_to_map_order(pfns[i]);
		dma = dma_map_phys(dev, hmm_pfn_to_phys(pfns[i]),
				   PAGE_SIZE << order, dir, DRM_GPUSVM_DMA_ATTRS);
		if (dma_mapping_error(dev, dma))
			break;
		*addr++ = drm_pagemap_addr_encode(dma, DRM_INTERCONNECT_SYSTEM,
						  order, dir);
	}
	pages->nr_addrs = addr - pages->dma_addr;

	return i < npages ? map_error(ctx) : 0;
}

/*
 * Whoever unmaps everything after drm_dev_unplug() takes the notifier lock for it, and
 * nothing is mapped behind their back.
 */
static int pages_check_device(const struct drm_gpusvm_pages *pages)
{
	return drm_dev_is_unplugged(pages->drm) ? -ENODEV : 0;
}

/*
 * Map the pages of a walk. They are not marked as mapped yet, so that those of
 * other devices can be mapped, too, before the request is known to succeed.
 */
static int pages_map_locked(struct drm_gpusvm_pages *pages,
			    const struct drm_gpusvm_walk *walk,
			    const struct drm_gpusvm_ctx *ctx)
{
	int err;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	if (ctx->devmem_only && !walk->has_devmem)
		return -EFAULT;

	err = pages_check_device(pages);
	if (err)
		return err;

	if (walk->has_devmem || pages_use_iova(pages, walk, walk->hmm.start))
		err = map_segments_mixed(pages, walk, ctx);
	else
		err = map_segments_plain(pages, walk, ctx);
	if (err)
		pages_unmap_addrs(pages);

	return err;
}

/*
 * Holes in a mapping
 *
 * An invalidation that hits a part of the pages takes the segments there. They are
 * marked as taken until the second pass has unmapped them, and as holes from then
 * on. The other segments stay mapped. The next get fills the holes, one walk for
 * each, and the pages are valid again.
 */

/*
 * With more holes, or more of the pages hit than one in so many, it is cheaper to begin
 * anew: each hole costs a walk, and each hit a flush.
 */
#define PAGES_MAX_HOLES		32
#define PAGES_PER_HOLE		4

/**
 * struct drm_gpusvm_hole - A run of segments that are not mapped
 *
 * @page: Index of its first page
 * @npages: Number of pages
 * @first: Index of its first segment
 * @count: Number of segments
 */
struct drm_gpusvm_hole {
	unsigned long page;
	unsigned long npages;
	unsigned int first;
	unsigned int count;
};

/*
 * Whether a segment is mapped. The order is for those who hold the notifier lock for
 * reading, see addr_taken_to_hole().
 */
static bool addr_is_mapped(const struct drm_pagemap_addr *addr)
{
	return !addr->taken && !addr->hole;
}

/*
 * What was taken is a hole from now on. Others who hold the notifier lock for reading
 * look meanwhile: they must find one of the two, or they take the segment for mapped.
 */
static void addr_taken_to_hole(struct drm_pagemap_addr *addr)
{
	addr->hole = true;
	barrier();	/* both are bits of one word, which CPUs see in order */
	addr->taken = false;
}

/* The segment of a page, and the index of the segment's first page. */
static unsigned int pages_seek(const struct drm_gpusvm_pages *pages,
			       unsigned long page, unsigned long *first_page)
{
	unsigned long next, at = 0;
	unsigned int i = 0;

	if (pages->nr_addrs == pages->npages) {
		*first_page = page;
		return page;
	}

	while ((next = at + (1UL << pages->dma_addr[i].order)) <= page) {
		at = next;
		i++;
	}
	*first_page = at;

	return i;
}

/*
 * Find the first hole, from where the last one was found. Returns whether there is one.
 *
 * The owner calls it with the notifier lock held for reading.
 */
static bool pages_find_hole(struct drm_gpusvm_pages *pages, struct drm_gpusvm_hole *hole)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned int page = pages->hole_page;
	unsigned int i = pages->hole_at;

	for (; i < pages->nr_addrs && !addr[i].hole; i++)
		page += 1UL << addr[i].order;
	pages->hole_at = i;
	pages->hole_page = page;

	hole->first = i;
	hole->page = page;
	for (; i < pages->nr_addrs && addr[i].hole; i++)
		page += 1UL << addr[i].order;
	hole->count = i - hole->first;
	hole->npages = page - hole->page;

	return hole->count;
}

/* Whether there is system memory, or device memory, among what is mapped. */
static bool pages_have_memory(const struct drm_gpusvm_pages *pages, bool system)
{
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		bool is_system = addr->proto == DRM_INTERCONNECT_SYSTEM;

		if (!addr->hole && is_system == system)
			return true;
	}

	return false;
}

/* Let go of the device memory if nothing of it is mapped any more. */
static void pages_check_dpagemap(struct drm_gpusvm_pages *pages)
{
	if (!pages->dpagemap || pages_have_memory(pages, false))
		return;

	drm_pagemap_put(pages->dpagemap);
	pages->dpagemap = NULL;
}

/* Before anything is taken from pages that are mapped as a whole. */
static void pages_begin_holes(struct drm_gpusvm_pages *pages)
{
	pages->nr_holes = 0;
	pages->nr_missing = 0;
	pages->hole_at = pages->nr_addrs;
	pages->hole_page = pages->npages;
	pages->taken_first = 0;
	pages->taken_end = 0;
}

/* Note that these segments were taken. */
static void pages_note_taken(struct drm_gpusvm_pages *pages, unsigned int first,
			     unsigned long first_page, unsigned int end)
{
	if (first < pages->hole_at) {
		pages->hole_at = first;
		pages->hole_page = first_page;
	}
	if (pages->taken_end) {
		first = min(first, pages->taken_first);
		end = max(end, pages->taken_end);
	}
	pages->taken_first = first;
	pages->taken_end = end;
}

/*
 * Take the segments of an interval, in pages, and grow the interval to them. Returns
 * the number of pages that were taken; those of holes are no more to be had.
 */
static unsigned long pages_take(struct drm_gpusvm_pages *pages, unsigned long *start,
				unsigned long *end)
{
	unsigned long taken = 0, page;
	unsigned int first = pages_seek(pages, *start, &page), i;

	*start = page;
	for (i = first; page < *end; i++) {
		struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		if (addr_is_mapped(addr)) {
			addr->taken = true;
			taken += 1UL << addr->order;
		}
		page += 1UL << addr->order;
	}
	if (taken)
		pages_note_taken(pages, first, *start, i);
	*end = page;

	return taken;
}

/* What was taken can't be reached any more: unmap it. */
static void pages_unmap_taken_locked(struct drm_gpusvm *gpusvm,
				     struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);
	struct drm_gpusvm_unmapper unmap;
	unsigned int i;

	lockdep_assert_held(&gpusvm->notifier_lock);

	unmap_begin(&unmap, pages);
	for (i = pages->taken_first; i < pages->taken_end; i++) {
		struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		if (!addr->taken)
			continue;
		unmap_addr(&unmap, addr);
		addr_taken_to_hole(addr);
	}
	unmap_end(&unmap);
	pages->taken_first = 0;
	pages->taken_end = 0;

	pages_check_dpagemap(pages);
	flags.has_devmem_pages = !!pages->dpagemap;
	pages_set_flags(pages, flags);
}

/* The hole around a page. Returns whether there is one. */
static bool pages_find_hole_at(const struct drm_gpusvm_pages *pages, unsigned long page,
			       struct drm_gpusvm_hole *hole)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned long at;
	unsigned int i = pages_seek(pages, page, &at);

	if (!addr[i].hole)
		return false;

	while (i && addr[i - 1].hole)
		at -= 1UL << addr[--i].order;
	hole->first = i;
	hole->page = at;
	for (; i < pages->nr_addrs && addr[i].hole; i++)
		at += 1UL << addr[i].order;
	hole->count = i - hole->first;
	hole->npages = at - hole->page;

	return true;
}

/*
 * Whether the pages have a hole where @hole is. Then @hole says which of the segments
 * it is.
 */
static bool pages_have_hole_locked(struct drm_gpusvm_pages *pages,
				   struct drm_gpusvm_hole *hole)
{
	struct drm_gpusvm_hole found;

	/* What was taken is not a hole yet, and may become part of this one. */
	if (!pages->flags.has_holes || pages_deferred(pages) ||
	    !pages_find_hole_at(pages, hole->page, &found) ||
	    found.page != hole->page || found.npages != hole->npages)
		return false;

	*hole = found;

	return true;
}

/* How many segments a hole of so many pages takes. */
static unsigned int hole_segments(unsigned long npages)
{
	return hweight_long(npages);
}

/* Make a hole. Returns the place behind it. */
static struct drm_pagemap_addr *hole_write(struct drm_pagemap_addr *addr,
					   unsigned long npages)
{
	while (npages) {
		unsigned int order = __fls(npages);

		*addr++ = (struct drm_pagemap_addr) { .hole = true, .order = order };
		npages -= 1UL << order;
	}

	return addr;
}

/* Make pages that have no mapping ones that are a hole; they have room for it. */
static void pages_become_hole_locked(struct drm_gpusvm_pages *pages, unsigned long npages)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	pages->npages = npages;
	pages->nr_addrs = hole_write(pages->dma_addr, npages) - pages->dma_addr;
	pages_begin_holes(pages);
	pages->nr_missing = npages;
	pages->hole_at = 0;
	pages->hole_page = 0;
	flags.has_holes = true;
	flags.writable = true;	/* of what there is */
	pages_set_flags(pages, flags);
}

/* Where the walk has found something within a hole, and what that leaves of the hole. */
static unsigned long hole_pages_before(const struct drm_gpusvm_walk *walk)
{
	return walk->hmm.hmm_pfns - walk->buffer;
}

static unsigned long hole_pages_behind(const struct drm_gpusvm_hole *hole,
				       const struct drm_gpusvm_walk *walk)
{
	return hole->npages - walk->npages - hole_pages_before(walk);
}

/* Map what the walk has found where the hole is. The hole stays until it is filled. */
static int pages_map_hole_locked(struct drm_gpusvm_pages *pages,
				 const struct drm_gpusvm_hole *hole,
				 const struct drm_gpusvm_walk *walk,
				 const struct drm_gpusvm_ctx *ctx,
				 struct drm_pagemap_addr *addrs)
{
	unsigned long page = hole->page + hole_pages_before(walk);
	struct drm_gpusvm_mapper map = {
		.pages = pages,
		.walk = walk,
		.ctx = ctx,
		.addrs = addrs,
		.dev = pages->drm->dev,
		.dir = walk_dir(walk),
		.offset = pages->state_offset + (page << PAGE_SHIFT),
		.use_iova = dma_use_iova(&pages->state),
		.has_system = walk->has_devmem && !ctx->allow_mixed &&
			      pages_have_memory(pages, true),
	};
	int err;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	err = pages_check_device(pages);
	if (err)
		return err;

	err = map_segments(&map);
	if (err) {
		pages_unmap_segments(pages, addrs, map.nr_addrs);
		pages_check_dpagemap(pages);
	}

	return err;
}

/* How many segments there are once what the walk has found is in the place of the hole. */
static unsigned int pages_count_filled(const struct drm_gpusvm_pages *pages,
				       const struct drm_gpusvm_hole *hole,
				       const struct drm_gpusvm_walk *walk)
{
	return pages->nr_addrs - hole->count + walk->nr_segments +
	       hole_segments(hole_pages_before(walk)) +
	       hole_segments(hole_pages_behind(hole, walk));
}

/* Put segments in the place of a hole, or of a part of it. */
static void pages_fill_hole_locked(struct drm_gpusvm_pages *pages,
				   const struct drm_gpusvm_hole *hole,
				   const struct drm_gpusvm_walk *walk,
				   const struct drm_pagemap_addr *addrs)
{
	unsigned int nr_addrs = pages_count_filled(pages, hole, walk);
	unsigned int behind = pages->nr_addrs - hole->first - hole->count;
	struct drm_pagemap_addr *at = &pages->dma_addr[hole->first];

	memmove(pages->dma_addr + nr_addrs - behind, at + hole->count,
		behind * sizeof(*at));
	at = hole_write(at, hole_pages_before(walk));
	memcpy(at, addrs, walk->nr_segments * sizeof(*at));
	hole_write(at + walk->nr_segments, hole_pages_behind(hole, walk));
	pages->nr_addrs = nr_addrs;
	pages->nr_missing -= walk->npages;
}

/* Whether all of the segments that are mapped let the device write. */
static bool pages_all_writable(const struct drm_gpusvm_pages *pages)
{
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++)
		if (!pages->dma_addr[i].hole &&
		    !drm_pagemap_addr_writable(&pages->dma_addr[i]))
			return false;

	return true;
}

/*
 * Notifiers
 */

/**
 * drm_gpusvm_notifier_find() - Find the first notifier in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: the notifier, or NULL if there is none.
 */
struct drm_gpusvm_notifier *
drm_gpusvm_notifier_find(struct drm_gpusvm *gpusvm, unsigned long start,
			 unsigned long end)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&gpusvm->root, start, end - 1);

	return node ? container_of(node, struct drm_gpusvm_notifier, itree) : NULL;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_notifier_find);

/**
 * drm_gpusvm_range_find() - Find the first range of a notifier in an interval
 * @notifier: The notifier
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: the range, or NULL if there is none.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_find(struct drm_gpusvm_notifier *notifier, unsigned long start,
		      unsigned long end)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&notifier->root, start, end - 1);

	return node ? container_of(node, struct drm_gpusvm_range, itree) : NULL;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_find);

/* Insert an interval in the tree, and its owner in the list that follows it. */
static void tree_insert(struct interval_tree_node *node, struct list_head *entry,
			struct rb_root_cached *root, struct list_head *list,
			ptrdiff_t entry_offset)
{
	struct rb_node *prev;

	interval_tree_insert(node, root);
	prev = rb_prev(&node->rb);
	if (prev)
		list = (void *)rb_entry(prev, struct interval_tree_node, rb) +
		       entry_offset;
	list_add(entry, list);
}

#define TREE_INSERT(owner, root, list)					\
	tree_insert(&(owner)->itree, &(owner)->entry, root, list,	\
		    offsetof(typeof(*(owner)), entry) -			\
		    offsetof(typeof(*(owner)), itree))

static void notifier_link_locked(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;

	lockdep_assert_held_write(&gpusvm->notifier_lock);

	TREE_INSERT(notifier, &gpusvm->root, &gpusvm->notifier_list);
	atomic_long_inc(&gpusvm->stats.notifiers);
}

static void notifier_unlink_locked(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;

	lockdep_assert_held_write(&gpusvm->notifier_lock);

	interval_tree_remove(&notifier->itree, &gpusvm->root);
	list_del_init(&notifier->entry);
	notifier->flags.removed = true;
	atomic_long_dec(&gpusvm->stats.notifiers);
}

/* The GPU SVM may be gone: a range that it had may be what kept the notifier. */
static void notifier_free(struct drm_gpusvm_notifier *notifier)
{
	mutex_destroy(&notifier->finish_lock);
	if (notifier->ops->notifier_free)
		notifier->ops->notifier_free(notifier);
	else
		kfree(notifier);
}

static void notifier_release(struct kref *ref)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(ref, struct drm_gpusvm_notifier, refcount);

	WARN_ON(!RB_EMPTY_ROOT(&notifier->root.rb_root));
	WARN_ON(!llist_empty(&notifier->deferred));
	notifier_free(notifier);
}

static void notifier_put(struct drm_gpusvm_notifier *notifier)
{
	kref_put(&notifier->refcount, notifier_release);
}

/* Undo notifier_create(). The notifier is in no tree, or not any more. */
static void notifier_retire(struct drm_gpusvm_notifier *notifier)
{
	mmu_interval_notifier_remove(&notifier->notifier);
	notifier_put(notifier);
}

/* The second pass runs in reclaim and takes the notifier lock inside. */
static void notifier_teach_lockdep(struct drm_gpusvm_notifier *notifier)
{
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		return;

	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&notifier->finish_lock);
	might_lock(&notifier->gpusvm->notifier_lock);
	mutex_unlock(&notifier->finish_lock);
	fs_reclaim_release(GFP_KERNEL);
}

/* Make a notifier for the window of @addr and have the MM call it. */
static struct drm_gpusvm_notifier *
notifier_create(struct drm_gpusvm *gpusvm, unsigned long addr)
{
	const struct drm_gpusvm_ops *ops = gpusvm->ops;
	struct drm_gpusvm_notifier *notifier;
	int err;

	notifier = ops->notifier_alloc ? ops->notifier_alloc() :
					 kzalloc_obj(*notifier);
	if (!notifier)
		return ERR_PTR(-ENOMEM);

	notifier->gpusvm = gpusvm;
	notifier->ops = ops;
	notifier->itree.start = ALIGN_DOWN(addr, gpusvm->notifier_size);
	notifier->itree.last = notifier->itree.start + gpusvm->notifier_size - 1;
	notifier->root = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&notifier->entry);
	INIT_LIST_HEAD(&notifier->range_list);
	init_llist_head(&notifier->deferred);
	mutex_init(&notifier->finish_lock);
	kref_init(&notifier->refcount);
	notifier_teach_lockdep(notifier);

	err = mmu_interval_notifier_insert(&notifier->notifier, gpusvm->mm,
					   drm_gpusvm_notifier_start(notifier),
					   drm_gpusvm_notifier_size(notifier),
					   ops->invalidate_start ?
					   &drm_gpusvm_notifier_two_pass_ops :
					   &drm_gpusvm_notifier_ops);
	if (err) {
		notifier_free(notifier);
		return ERR_PTR(err);
	}

	return notifier;
}

/*
 * Ranges: life cycle
 */

static void range_set_flags_locked(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_range_flags flags)
{
	lockdep_assert_held_write(&range->gpusvm->notifier_lock);

	WRITE_ONCE(range->flags.__flags, flags.__flags);
}

static struct drm_gpusvm_range_flags
range_flags(const struct drm_gpusvm_range *range)
{
	return (struct drm_gpusvm_range_flags) {
		.__flags = READ_ONCE(range->flags.__flags),
	};
}

static struct drm_gpusvm_range *
range_alloc(struct drm_gpusvm *gpusvm, unsigned long start, unsigned long size,
	    bool migrate_devmem)
{
	struct drm_gpusvm_range *range;

	range = gpusvm->ops->range_alloc ? gpusvm->ops->range_alloc(gpusvm) :
					   kzalloc_obj(*range);
	if (!range)
		return NULL;

	kref_init(&range->refcount);
	range->gpusvm = gpusvm;
	range->itree.start = start;
	range->itree.last = start + size - 1;
	INIT_LIST_HEAD(&range->entry);
	range->flags.__flags = 0;
	range->flags.migrate_devmem = migrate_devmem;

	return range;
}

static void range_release(struct kref *ref)
{
	struct drm_gpusvm_range *range =
		container_of(ref, struct drm_gpusvm_range, refcount);
	struct drm_gpusvm_notifier *notifier = range->notifier;
	const struct drm_gpusvm_ops *ops = range->gpusvm->ops;

	if (ops->range_free)
		ops->range_free(range);
	else
		kfree(range);

	if (notifier)
		notifier_put(notifier);
}

/**
 * drm_gpusvm_range_get() - Take a reference to a range
 * @range: The range
 *
 * Return: the range.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_get(struct drm_gpusvm_range *range)
{
	kref_get(&range->refcount);

	return range;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get);

/**
 * drm_gpusvm_range_put() - Drop a reference to a range
 * @range: The range
 *
 * The last reference frees the range, and its notifier if that has no other
 * range and was removed. The &struct drm_gpusvm must still be there.
 *
 * Context: May sleep. Not with the notifier lock held.
 */
void drm_gpusvm_range_put(struct drm_gpusvm_range *range)
{
	kref_put(&range->refcount, range_release);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_put);

/* The range takes over a reference to the notifier. */
static void range_link_locked(struct drm_gpusvm_notifier *notifier,
			      struct drm_gpusvm_range *range)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	range->notifier = notifier;
	TREE_INSERT(range, &notifier->root, &notifier->range_list);
	atomic_long_inc(&notifier->gpusvm->stats.ranges);
}

static void range_unlink_locked(struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_range_flags flags = range_flags(range);

	flags.removed = true;
	range_set_flags_locked(range, flags);
	interval_tree_remove(&range->itree, &range->notifier->root);
	list_del_init(&range->entry);
	atomic_long_dec(&range->gpusvm->stats.ranges);
}

#ifdef CONFIG_LOCKDEP
static void assert_driver_lock_held(struct drm_gpusvm *gpusvm)
{
	if (gpusvm->lock_dep_map)
		lockdep_assert(lock_is_held_type(gpusvm->lock_dep_map, 0));
}
#else
static void assert_driver_lock_held(struct drm_gpusvm *gpusvm)
{
}
#endif

/**
 * drm_gpusvm_range_remove() - Take a range out of the address space
 * @gpusvm: The GPU SVM
 * @range: The range
 *
 * Drops the reference that the tree holds, and removes the notifier with its
 * last range. Pages are the driver's: they are to be unmapped before, since an
 * invalidation does not find the range afterwards, and are freed by
 * &drm_gpusvm_ops.range_free. A range that was removed already is left alone.
 *
 * Where faults and a garbage collector may both remove a range, the driver looks
 * at &drm_gpusvm_range_flags.removed under its own lock of the range before it
 * zaps: once removed, the addresses may belong to another range.
 *
 * Context: May sleep. Not with the notifier lock held. With the driver's lock
 * for ranges where it has one, otherwise with a reference.
 */
void drm_gpusvm_range_remove(struct drm_gpusvm *gpusvm,
			     struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_notifier *notifier = range->notifier;
	bool retire = false;

	assert_driver_lock_held(gpusvm);

	down_write(&gpusvm->notifier_lock);
	if (range->flags.removed) {
		up_write(&gpusvm->notifier_lock);
		return;
	}
	trace_drm_gpusvm_range_remove(range);
	range_unlink_locked(range);
	if (list_empty(&notifier->range_list)) {
		retire = !notifier->flags.removed;
		notifier_unlink_locked(notifier);
	}
	up_write(&gpusvm->notifier_lock);

	if (retire)
		notifier_retire(notifier);
	drm_gpusvm_range_put(range);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_remove);

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

	return dev_is_dma_coherent(dev) && !is_swiotlb_force_bounce(dev) ? 0 : -EOPNOTSUPP;
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
 * the pages have no device then.
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
		notifier_put(notifier);
	}

	WARN_ON(!RB_EMPTY_ROOT(&gpusvm->root.rb_root));
	kvfree(gpusvm->pfn_cache);
	gpusvm->pfn_cache = NULL;
	if (gpusvm->mm)
		mmdrop(gpusvm->mm);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_fini);

/* The first VMA in an interval that the CPU may read, as a device has to. */
static struct vm_area_struct *find_readable_vma(struct mm_struct *mm,
						unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, mm, start);

	for_each_vma_range(vmi, vma, end)
		if (vma->vm_flags & VM_READ)
			return vma;

	return NULL;
}

/**
 * drm_gpusvm_find_vma_start() - Find where CPU memory begins in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * What the CPU may not read is passed over: no access to it can be served.
 *
 * Context: Takes the mmap lock for reading.
 *
 * Return: the start of the first VMA that overlaps the interval, which may be
 * below @start; ULONG_MAX if there is none, the mm is dying, or a fatal signal came
 * while the lock was waited for.
 */
unsigned long
drm_gpusvm_find_vma_start(struct drm_gpusvm *gpusvm,
			  unsigned long start,
			  unsigned long end)
{
	struct mm_struct *mm = gpusvm->mm;
	unsigned long addr = ULONG_MAX;
	struct vm_area_struct *vma;

	if (!mmget_not_zero(mm))
		return ULONG_MAX;

	if (!mmap_read_lock_killable(mm)) {
		vma = find_readable_vma(mm, start, end);
		if (vma)
			addr = vma->vm_start;
		mmap_read_unlock(mm);
	}
	mmput(mm);

	return addr;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_find_vma_start);

/**
 * drm_gpusvm_has_mapping() - Whether there are ranges in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: true if a range overlaps the interval.
 */
bool drm_gpusvm_has_mapping(struct drm_gpusvm *gpusvm, unsigned long start,
			    unsigned long end)
{
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_for_each_notifier(notifier, gpusvm, start, end)
		if (drm_gpusvm_range_find(notifier, start, end))
			return true;

	return false;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_has_mapping);

/*
 * Finding the range of a fault, or making it
 */

/**
 * struct drm_gpusvm_fault - A device fault on its way to a range
 *
 * @gpusvm: The GPU SVM
 * @ctx: How the fault is to be served
 * @addr: The fault address
 * @start: First address of what the driver mirrors there
 * @end: Address behind the last one
 * @gap_start: First address of what no range has of that
 * @gap_end: Address behind the last one
 * @notifier: The notifier that a new range belongs to, with a reference
 * @spare: @notifier was made for this fault and is in no tree
 * @get: The caller wants a reference
 */
struct drm_gpusvm_fault {
	struct drm_gpusvm *gpusvm;
	const struct drm_gpusvm_ctx *ctx;
	unsigned long addr;
	unsigned long start;
	unsigned long end;
	unsigned long gap_start;
	unsigned long gap_end;
	struct drm_gpusvm_notifier *notifier;
	bool spare;
	bool get;
};

static bool owner_is_known(const struct drm_gpusvm *gpusvm, const void *owner,
			   unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && i < DRM_GPUSVM_MAX_OWNERS; i++)
		if (gpusvm->owners[i] == owner)
			return true;

	return !owner || n > DRM_GPUSVM_MAX_OWNERS;
}

/* Remember whose device memory there may be. An eviction has to look for it. */
static void note_owner(struct drm_gpusvm *gpusvm, void *owner)
{
	/* Pairs with the store below. */
	unsigned int n = smp_load_acquire(&gpusvm->nr_owners);

	if (likely(owner_is_known(gpusvm, owner, n)))
		return;

	down_write(&gpusvm->notifier_lock);
	n = gpusvm->nr_owners;
	if (!owner_is_known(gpusvm, owner, n)) {
		if (n < DRM_GPUSVM_MAX_OWNERS)
			gpusvm->owners[n] = owner;
		/* Pairs with those who read it without the lock. */
		smp_store_release(&gpusvm->nr_owners, n + 1);
	}
	up_write(&gpusvm->notifier_lock);
}

/* The VMA of the fault, or why the access is not allowed. */
static struct vm_area_struct *fault_vma(const struct drm_gpusvm_fault *fault)
{
	struct vm_area_struct *vma = vma_lookup(fault->gpusvm->mm, fault->addr);

	if (!vma)
		return ERR_PTR(-ENOENT);
	if (!(vma->vm_flags & VM_READ) ||
	    (!fault->ctx->read_only && !(vma->vm_flags & VM_WRITE)))
		return ERR_PTR(-EPERM);
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return ERR_PTR(-EIO);

	return vma;
}

/*
 * Find the range at the fault address. Where there is none, a new one has to fit
 * between its neighbours, which the search comes past on its way.
 */
static struct drm_gpusvm_range *
fault_search_notifier(struct drm_gpusvm_fault *fault,
		      struct drm_gpusvm_notifier *notifier)
{
	struct rb_node *node = notifier->root.rb_root.rb_node;

	while (node) {
		struct drm_gpusvm_range *range =
			rb_entry(node, struct drm_gpusvm_range, itree.rb);

		if (fault->addr < range->itree.start) {
			fault->gap_end = min(fault->gap_end, range->itree.start);
			node = node->rb_left;
		} else if (fault->addr > range->itree.last) {
			fault->gap_start = max(fault->gap_start,
					       range->itree.last + 1);
			node = node->rb_right;
		} else {
			return range;
		}
	}

	return NULL;
}

/* Find the range at the fault address, and where there is none its notifier. */
static struct drm_gpusvm_range *fault_find(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm *gpusvm = fault->gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *range = NULL;

	fault->gap_start = fault->start;
	fault->gap_end = fault->end;

	drm_gpusvm_notifier_lock(gpusvm);
	notifier = drm_gpusvm_notifier_find(gpusvm, fault->addr, fault->addr + 1);
	if (notifier)
		range = fault_search_notifier(fault, notifier);
	if (range) {
		if (fault->get)
			drm_gpusvm_range_get(range);
	} else if (notifier && !fault->notifier) {
		kref_get(&notifier->refcount);
		fault->notifier = notifier;
	}
	drm_gpusvm_notifier_unlock(gpusvm);

	return range;
}

/* Whether the CPU has all the pages; advisory, nothing is faulted in. */
static bool fault_chunk_present(const struct drm_gpusvm_fault *fault,
				unsigned long start, unsigned long end)
{
	struct mmu_interval_notifier *mni = &fault->notifier->notifier;
	struct drm_gpusvm_walk walk __uninitialized;
	unsigned long i;
	int err;

	mmap_assert_locked(fault->gpusvm->mm);

	if (walk_begin(&walk, fault->gpusvm, mni, start, end,
		       fault->ctx->device_private_page_owner, 0))
		return false;

	do {
		walk.hmm.notifier_seq = mmu_interval_read_begin(mni);
		err = hmm_range_fault(&walk.hmm);
	} while (err == -EBUSY && !walk_timed_out(&walk));

	for (i = 0; !err && i < walk.npages; i += 1UL << walk_cpu_order(&walk, i))
		if (!(walk.hmm.hmm_pfns[i] & HMM_PFN_VALID))
			err = -ENOENT;
	walk_end(&walk);

	return !err;
}

/*
 * The largest chunk around the fault address that lies in the VMA, in the
 * notifier's window and between other ranges. Small ones have to be present: that
 * keeps memory which the process never touched, next to what it uses, from being
 * populated and migrated.
 *
 * Return: the size, or 0 if not even the smallest chunk fits.
 */
static unsigned long fault_chunk_size(const struct drm_gpusvm_fault *fault,
				      const struct vm_area_struct *vma)
{
	unsigned long low = max3(fault->gap_start, vma->vm_start,
				 drm_gpusvm_notifier_start(fault->notifier));
	unsigned long high = min3(fault->gap_end, vma->vm_end,
				  drm_gpusvm_notifier_end(fault->notifier));
	int i;

	for (i = 0; i < fault->gpusvm->num_chunks; i++) {
		unsigned long size = max(fault->gpusvm->chunk_sizes[i], PAGE_SIZE);
		unsigned long start = ALIGN_DOWN(fault->addr, size);
		unsigned long end = start + size;

		if (start < low || end > high)
			continue;
		if (size > PAGE_SIZE &&
		    size <= fault->ctx->check_pages_threshold &&
		    !fault_chunk_present(fault, start, end))
			continue;

		return size;
	}

	return 0;
}

/*
 * Whether what was found under the lock, a while ago, is no longer so: another
 * fault has made a notifier here, or a range, or the notifier went with its last
 * range.
 */
static bool fault_is_outrun(const struct drm_gpusvm_fault *fault,
			    unsigned long start, unsigned long end)
{
	if (fault->spare)
		return drm_gpusvm_notifier_find(fault->gpusvm, start, end);

	return fault->notifier->flags.removed ||
	       drm_gpusvm_range_find(fault->notifier, start, end);
}

/* Put the range in the tree, and with the first one its notifier. */
static int fault_link(struct drm_gpusvm_fault *fault, struct drm_gpusvm_range *range)
{
	struct drm_gpusvm *gpusvm = fault->gpusvm;
	int err = 0;

	down_write(&gpusvm->notifier_lock);
	if (fault_is_outrun(fault, drm_gpusvm_range_start(range),
			    drm_gpusvm_range_end(range))) {
		err = -EAGAIN;
	} else {
		if (fault->spare)
			notifier_link_locked(fault->notifier);
		range_link_locked(fault->notifier, range);
		fault->notifier = NULL;
		if (fault->get)
			drm_gpusvm_range_get(range);
		trace_drm_gpusvm_range_insert(range);
	}
	up_write(&gpusvm->notifier_lock);

	return err;
}

static struct drm_gpusvm_range *fault_insert(struct drm_gpusvm_fault *fault,
					     const struct vm_area_struct *vma)
{
	bool migrate_devmem = fault->ctx->devmem_possible &&
			      vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma);
	struct drm_gpusvm_range *range;
	unsigned long size;
	int err;

	size = fault_chunk_size(fault, vma);
	if (!size)
		return ERR_PTR(-EINVAL);

	range = range_alloc(fault->gpusvm, ALIGN_DOWN(fault->addr, size), size,
			    migrate_devmem);
	if (!range)
		return ERR_PTR(-ENOMEM);

	err = fault_link(fault, range);
	if (err) {
		drm_gpusvm_range_put(range);
		return ERR_PTR(err);
	}

	return range;
}

/* Returns NULL if it takes a notifier that is not there yet. */
static struct drm_gpusvm_range *
fault_find_or_insert_locked(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm_range *range;
	struct vm_area_struct *vma;

	mmap_assert_locked(fault->gpusvm->mm);

	vma = fault_vma(fault);
	if (IS_ERR(vma))
		return ERR_CAST(vma);

	range = fault_find(fault);
	if (range || !fault->notifier)
		return range;

	return fault_insert(fault, vma);
}

static void fault_drop_notifier(struct drm_gpusvm_fault *fault)
{
	if (!fault->notifier)
		return;

	if (fault->spare)
		notifier_retire(fault->notifier);
	notifier_put(fault->notifier);
	fault->notifier = NULL;
	fault->spare = false;
}

/* Needs the mmap lock for writing, perhaps, so it is done without it. */
static int fault_make_notifier(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm_notifier *notifier;

	notifier = notifier_create(fault->gpusvm, fault->addr);
	if (IS_ERR(notifier))
		return PTR_ERR(notifier);

	kref_get(&notifier->refcount);
	fault->notifier = notifier;
	fault->spare = true;

	return 0;
}

/*
 * A notifier is made only after the access was found to be allowed, and the
 * access is looked at again afterwards. Each -EAGAIN means that another fault
 * has made progress.
 */
static struct drm_gpusvm_range *fault_to_range(struct drm_gpusvm_fault *fault)
{
	struct mm_struct *mm = fault->gpusvm->mm;
	struct drm_gpusvm_range *range;
	int err;

	do {
		err = mmap_read_lock_killable(mm);
		if (err)
			break;
		range = fault_find_or_insert_locked(fault);
		mmap_read_unlock(mm);

		if (range == ERR_PTR(-EAGAIN))
			fault_drop_notifier(fault);
		else if (!range)
			err = fault_make_notifier(fault);
	} while (!err && (!range || range == ERR_PTR(-EAGAIN)));
	fault_drop_notifier(fault);

	return err ? ERR_PTR(err) : range;
}

static struct drm_gpusvm_range *
fault_handle(struct drm_gpusvm *gpusvm, unsigned long addr, unsigned long start,
	     unsigned long end, const struct drm_gpusvm_ctx *ctx, bool get)
{
	unsigned long mm_end = gpusvm->mm_start + gpusvm->mm_range;
	struct drm_gpusvm_fault fault = {
		.gpusvm = gpusvm,
		.ctx = ctx,
		.addr = addr,
		.start = max(start, gpusvm->mm_start),
		.end = min(end, mm_end),
		.get = get,
	};
	ktime_t begin = trace_drm_gpusvm_fault_enabled() ? ktime_get() : 0;
	struct drm_gpusvm_range *range;

	if (addr < gpusvm->mm_start || addr >= mm_end) {
		range = ERR_PTR(-EINVAL);
	} else if (!mmget_not_zero(gpusvm->mm)) {
		range = ERR_PTR(-EFAULT);
	} else {
		note_owner(gpusvm, ctx->device_private_page_owner);
		range = fault_to_range(&fault);
		mmput(gpusvm->mm);
	}

	if (trace_drm_gpusvm_fault_enabled())
		trace_drm_gpusvm_fault(gpusvm, addr, ctx->read_only,
				       PTR_ERR_OR_ZERO(range),
				       elapsed_since(begin));

	return range;
}

/**
 * drm_gpusvm_range_find_or_insert() - Find the range of a fault or make one
 * @gpusvm: The GPU SVM
 * @fault_addr: The fault address
 * @gpuva_start: First address of what the driver mirrors around it
 * @gpuva_end: Address behind the last one
 * @ctx: How the fault is to be served: &drm_gpusvm_ctx.read_only,
 *	 &drm_gpusvm_ctx.devmem_possible, &drm_gpusvm_ctx.check_pages_threshold
 *	 and &drm_gpusvm_ctx.device_private_page_owner
 *
 * The pointer is borrowed: it is good while the driver holds the lock that it
 * removes ranges under.
 *
 * Context: May sleep; takes the mmap lock, for writing when it makes the mm's
 * first notifier.
 *
 * Return: the range, or an error pointer: -EINVAL outside of what is mirrored or
 * where no chunk fits, -EFAULT if the mm is dying, -ENOENT without a VMA, -EPERM
 * if the VMA does not allow the access, -EIO for VM_IO and VM_PFNMAP, -EINTR on a fatal
 * signal, -ENOMEM, or an error of mmu_interval_notifier_insert().
 */
struct drm_gpusvm_range *
drm_gpusvm_range_find_or_insert(struct drm_gpusvm *gpusvm,
				unsigned long fault_addr,
				unsigned long gpuva_start,
				unsigned long gpuva_end,
				const struct drm_gpusvm_ctx *ctx)
{
	assert_driver_lock_held(gpusvm);

	return fault_handle(gpusvm, fault_addr, gpuva_start, gpuva_end, ctx, false);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_find_or_insert);

/**
 * drm_gpusvm_range_get_or_insert() - Same, with a reference
 * @gpusvm: The GPU SVM
 * @fault_addr: The fault address
 * @gpuva_start: First address of what the driver mirrors around it
 * @gpuva_end: Address behind the last one
 * @ctx: How the fault is to be served, see drm_gpusvm_range_find_or_insert()
 *
 * For drivers that serve faults of one address space concurrently. The range may
 * be removed by others at any time; what the caller does with it then fails with
 * -ESTALE, and it asks again.
 *
 * Context: May sleep; needs no lock. Takes the mmap lock, for writing when it
 * makes the mm's first notifier.
 *
 * Return: the range, to be released with drm_gpusvm_range_put(), or an error
 * pointer as drm_gpusvm_range_find_or_insert() returns it.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_get_or_insert(struct drm_gpusvm *gpusvm,
			       unsigned long fault_addr,
			       unsigned long gpuva_start,
			       unsigned long gpuva_end,
			       const struct drm_gpusvm_ctx *ctx)
{
	return fault_handle(gpusvm, fault_addr, gpuva_start, gpuva_end, ctx, true);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get_or_insert);

/*
 * Getting pages
 */

static void notifier_finish(struct drm_gpusvm_notifier *notifier);

/* Wait until a deferred unmap is done, by doing it. */
static void pages_settle(struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_notifier *notifier;

	/* Pairs with pages_end_deferral(). */
	notifier = smp_load_acquire(&pages->deferred_by);
	if (notifier)
		notifier_finish(notifier);
}

/* Unmap, which is for the second pass to do where an invalidation has begun to. */
static void pages_unmap(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *pages)
{
	bool deferred;

	do {
		pages_settle(pages);
		drm_gpusvm_notifier_lock(gpusvm);
		deferred = pages_deferred(pages);
		if (!deferred)
			pages_unmap_locked(gpusvm, pages);
		drm_gpusvm_notifier_unlock(gpusvm);
	} while (deferred);
}

/**
 * struct drm_gpusvm_effort - What it takes to serve a request
 *
 * @deadline: When to give up, in jiffies
 * @rounds: How often it began anew because an invalidation has made holes
 * @segments: How many were mapped
 * @trim: Some of the pages can't be had
 */
struct drm_gpusvm_effort {
	unsigned long deadline;
	unsigned int rounds;
	unsigned int segments;
	bool trim;
};

/* Each round means that an invalidation came between two steps of the last one. */
#define EFFORT_MAX_ROUNDS	64

/**
 * struct drm_gpusvm_request - A request to map a piece of an mm
 *
 * @gpusvm: The GPU SVM
 * @range: The range that the pages belong to, NULL for bare pages
 * @pages: The pages objects, one for each device
 * @count: Number of @pages
 * @mm: The mm
 * @notifier: The MMU interval notifier that covers the addresses
 * @start: First address
 * @end: Address behind the last one
 * @wanted: Index of the page that counts, WALK_WANTS_ALL if all do
 * @ctx: How to map
 */
struct drm_gpusvm_request {
	struct drm_gpusvm *gpusvm;
	struct drm_gpusvm_range *range;
	struct drm_gpusvm_pages *pages;
	unsigned int count;
	struct mm_struct *mm;
	struct mmu_interval_notifier *notifier;
	unsigned long start;
	unsigned long end;
	unsigned long wanted;
	const struct drm_gpusvm_ctx *ctx;
};

/* What a commit returns when it could not be done, and is no error. */
enum {
	COMMIT_NEEDS_ROOM = 1,
	COMMIT_NEEDS_HOLES,
	COMMIT_NEEDS_FILLING,
};

/* A page alone has no neighbours to do without. */
static unsigned long wanted_page(const struct drm_gpusvm_ctx *ctx, unsigned long start,
				 unsigned long end)
{
	if (!ctx->partial || end - start <= PAGE_SIZE)
		return WALK_WANTS_ALL;

	return (ctx->fault_addr - start) >> PAGE_SHIFT;
}

/*
 * Whether the pages serve the request and no invalidation has come since they
 * were known to. Needs no lock: the answer is as good as one given a moment ago
 * under it, and the driver checks before it commits.
 */
static bool request_is_current(const struct drm_gpusvm_request *req)
{
	unsigned long seq = READ_ONCE(req->notifier->invalidate_seq);
	u16 needed = flags_needed(req->ctx);
	unsigned int i;

	for (i = 0; i < req->count; i++)
		if (!pages_serve(&req->pages[i], needed) ||
		    READ_ONCE(req->pages[i].notifier_seq) != seq)
			return false;

	return i > 0;
}

/* The segment of the page that is wanted, if it is mapped; else NULL. */
static const struct drm_pagemap_addr *
request_wanted_locked(const struct drm_gpusvm_request *req,
		      const struct drm_gpusvm_pages *pages)
{
	const struct drm_pagemap_addr *addr;
	unsigned long first;

	if (req->wanted == WALK_WANTS_ALL || !drm_gpusvm_pages_mapped(pages))
		return NULL;

	addr = &pages->dma_addr[pages_seek(pages, req->wanted, &first)];

	return addr_is_mapped(addr) ? addr : NULL;
}

static bool pages_serve_locked(const struct drm_gpusvm_request *req,
			       const struct drm_gpusvm_pages *pages, u16 needed)
{
	const struct drm_pagemap_addr *addr;

	if (pages_serve(pages, needed))
		return true;

	addr = request_wanted_locked(req, pages);

	return addr && (req->ctx->read_only || drm_pagemap_addr_writable(addr));
}

static bool request_serves_locked(const struct drm_gpusvm_request *req)
{
	u16 needed = flags_needed(req->ctx);
	unsigned int i;

	lockdep_assert_held(&req->gpusvm->notifier_lock);

	for (i = 0; i < req->count; i++)
		if (!pages_serve_locked(req, &req->pages[i], needed))
			return false;

	return true;
}

/* If all pages are wanted, flags tell, and need no lock. */
static bool request_serves(const struct drm_gpusvm_request *req)
{
	u16 needed = flags_needed(req->ctx);
	bool serves = true;
	unsigned int i;

	if (req->wanted == WALK_WANTS_ALL) {
		for (i = 0; serves && i < req->count; i++)
			serves = pages_serve(&req->pages[i], needed);
		return serves;
	}

	drm_gpusvm_notifier_lock(req->gpusvm);
	serves = request_serves_locked(req);
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return serves;
}

/* Whether the pages still serve after invalidations, which hit others then. */
static bool request_refresh(const struct drm_gpusvm_request *req)
{
	unsigned long seq;
	unsigned int i;
	bool serves;

	if (!request_serves(req))
		return false;

	/* Waits for an invalidation that has not got to the pages yet. */
	seq = mmu_interval_read_begin(req->notifier);

	drm_gpusvm_notifier_lock(req->gpusvm);
	serves = request_serves_locked(req);
	for (i = 0; serves && i < req->count; i++)
		req->pages[i].notifier_seq = seq;
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return serves;
}

/* Whether what is mapped for reading is in the way of a write. */
static bool pages_refuse_locked(const struct drm_gpusvm_request *req,
				const struct drm_gpusvm_pages *pages)
{
	const struct drm_pagemap_addr *addr;

	if (!drm_gpusvm_pages_mapped(pages) || pages->flags.writable)
		return false;

	if (req->wanted == WALK_WANTS_ALL)
		return !pages_all_writable(pages);

	addr = request_wanted_locked(req, pages);

	return addr && !drm_pagemap_addr_writable(addr);
}

static bool request_is_refused(const struct drm_gpusvm_request *req)
{
	bool refused = false;
	unsigned int i;

	if (req->ctx->read_only)
		return false;

	drm_gpusvm_notifier_lock(req->gpusvm);
	for (i = 0; !refused && i < req->count; i++)
		refused = pages_refuse_locked(req, &req->pages[i]);
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return refused;
}

/*
 * Look at all pages before anything is done.
 *
 * Return: true if each has a device; @any gets the flags that any of them has.
 */
static bool request_look(const struct drm_gpusvm_request *req,
			 struct drm_gpusvm_pages_flags *any)
{
	unsigned int i;
	u16 flags = 0;

	for (i = 0; i < req->count; i++) {
		if (!req->pages[i].drm)
			return false;
		flags |= READ_ONCE(req->pages[i].flags.__flags);
	}
	any->__flags = flags;

	return i > 0;
}

/* Nothing to map, whoever asks: it went away on the CPU side. */
static bool range_is_gone(const struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_range_flags flags;

	if (!range)
		return false;

	flags = range_flags(range);

	return flags.unmapped || flags.removed;
}

static int request_make_room(const struct drm_gpusvm_request *req, unsigned int n)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];
		bool mapped;

		drm_gpusvm_notifier_lock(req->gpusvm);
		mapped = drm_gpusvm_pages_mapped(pages);
		drm_gpusvm_notifier_unlock(req->gpusvm);
		if (mapped)
			continue;

		/* An invalidation may have taken them a moment ago. */
		pages_settle(pages);
		err = pages_make_room(pages, n);
	}

	return err;
}

/* Whether the CPU has unmapped the memory. */
static bool request_is_gone_locked(const struct drm_gpusvm_request *req)
{
	unsigned int i;

	for (i = 0; i < req->count; i++)
		if (req->pages[i].flags.unmapped)
			return true;

	return range_is_gone(req->range);
}

/* Return: 0, or what has to come first. */
static int request_check_locked(const struct drm_gpusvm_request *req,
				const struct drm_gpusvm_walk *walk)
{
	unsigned int i;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		if (pages->flags.has_holes && !request_wanted_locked(req, pages))
			return COMMIT_NEEDS_FILLING;
		if (drm_gpusvm_pages_mapped(pages))
			continue;
		if (walk->npages != walk->max_pages)
			return COMMIT_NEEDS_HOLES;
		if (!pages_have_room(pages, walk->nr_segments))
			return COMMIT_NEEDS_ROOM;
	}

	return 0;
}

/* Map all pages that are not, or none. */
static int request_map_locked(const struct drm_gpusvm_request *req,
			      const struct drm_gpusvm_walk *walk)
{
	unsigned int i;
	int err;

	for (i = 0; i < req->count; i++) {
		if (drm_gpusvm_pages_mapped(&req->pages[i]))
			continue;
		err = pages_map_locked(&req->pages[i], walk, req->ctx);
		if (err)
			goto err_unmap;
	}

	return 0;

err_unmap:
	while (i--)
		if (!drm_gpusvm_pages_mapped(&req->pages[i]))
			pages_unmap_addrs(&req->pages[i]);
	return err;
}

static void request_publish_locked(const struct drm_gpusvm_request *req,
				   const struct drm_gpusvm_walk *walk)
{
	const struct drm_gpusvm_pages_flags flags = {
		.has_dma_mapping = true,
		.has_devmem_pages = walk->has_devmem,
		.writable = walk->writable,
	};
	struct drm_gpusvm_stats *stats = &req->gpusvm->stats;
	unsigned int i, n = 0;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		pages->notifier_seq = walk->hmm.notifier_seq;
		if (drm_gpusvm_pages_mapped(pages))
			continue;
		pages->npages = walk->npages;
		pages_set_flags(pages, flags);
		n++;
	}

	atomic_long_add(n, &stats->gets);
	atomic_long_add(n * walk->nr_segments, &stats->segments);
	atomic_long_add(n * walk->npages, &stats->pages);
}

/* The result of a walk, if it is good: how many segments it has. */
static int walk_use_locked(struct drm_gpusvm_walk *walk)
{
	int err;

	if (walk_stale_locked(walk))
		return walk_lose(walk);

	if (walk->nr_segments)
		return 0;

	if (walk->trim) {
		err = walk_trim_locked(walk);
		if (err)
			return err;
	}

	err = walk_find_segments_locked(walk);
	if (!err && walk->writable && !walk_mark_dirty_locked(walk))
		err = walk_lose(walk);

	return err;
}

/* Return: 0, a negative error, or what has to come first. */
static int request_commit_locked(const struct drm_gpusvm_request *req,
				 struct drm_gpusvm_walk *walk)
{
	int err;

	/* Nobody tells a walk that it is stale once the notifier has been removed. */
	if (request_is_gone_locked(req))
		return -ESTALE;

	err = walk_use_locked(walk);
	if (err)
		return err;

	err = request_check_locked(req, walk);
	if (err)
		return err;

	err = request_map_locked(req, walk);
	if (err)
		return err;

	request_publish_locked(req, walk);

	return 0;
}

/* Not all pages can be had: begin with none of them, and fill in what can. */
static int request_begin_holes(const struct drm_gpusvm_request *req)
{
	unsigned long npages = (req->end - req->start) >> PAGE_SHIFT;
	unsigned int i, n = hole_segments(npages);
	int err;

	err = request_make_room(req, n);
	if (err)
		return err;

	drm_gpusvm_notifier_lock(req->gpusvm);
	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		/* What an invalidation has taken meanwhile is left to the next round. */
		if (drm_gpusvm_pages_mapped(pages) || pages_deferred(pages) ||
		    !pages_have_room(pages, n))
			continue;
		pages_become_hole_locked(pages, npages);
		atomic_long_inc(&req->gpusvm->stats.gets);
	}
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return COMMIT_NEEDS_FILLING;
}

/* Memory for addresses is allocated without the lock; then the walk may be stale. */
static int request_commit(const struct drm_gpusvm_request *req,
			  struct drm_gpusvm_walk *walk)
{
	int err;

	for (;;) {
		drm_gpusvm_notifier_lock(req->gpusvm);
		err = request_commit_locked(req, walk);
		drm_gpusvm_notifier_unlock(req->gpusvm);
		if (err == COMMIT_NEEDS_HOLES)
			return request_begin_holes(req);
		if (err != COMMIT_NEEDS_ROOM)
			return err;

		err = request_make_room(req, walk->nr_segments);
		if (err)
			return err;
	}
}

static int request_walk_begin(const struct drm_gpusvm_request *req,
			      const struct drm_gpusvm_effort *effort,
			      struct drm_gpusvm_walk *walk,
			      unsigned long start, unsigned long end)
{
	unsigned long needed = HMM_PFN_VALID;
	int err;

	if (!req->ctx->read_only)
		needed |= HMM_PFN_WRITE;
	err = walk_begin(walk, req->gpusvm, req->notifier, start, end,
			 req->ctx->device_private_page_owner, needed);
	walk->deadline = effort->deadline;
	walk->may_write = req->ctx->may_write;
	walk->allow_mixed = req->ctx->allow_mixed;
	walk->trim = effort->trim;
	if (req->wanted != WALK_WANTS_ALL) {
		walk->wanted = req->wanted - ((start - req->start) >> PAGE_SHIFT);
		if (req->ctx->alone)
			walk_shrink(walk, walk->wanted, 1);
	}

	return err;
}

/* What a walk has found out is good for the next one. */
static void request_walk_end(struct drm_gpusvm_effort *effort,
			     struct drm_gpusvm_walk *walk, int err)
{
	effort->deadline = walk->deadline;
	effort->trim = walk->trim || walk->npages < walk->max_pages;
	if (!err)
		effort->segments += walk->nr_segments;
	walk_end(walk);
}

/* Map all that has no mapping. What has holes is left alone. */
static int request_walk_and_map(const struct drm_gpusvm_request *req,
				struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_walk walk __uninitialized;
	int err;

	err = request_walk_begin(req, effort, &walk, req->start, req->end);
	if (err)
		return err;

	/* Ends at the latest with the walk's deadline, as -EBUSY. */
	do {
		err = walk_run(&walk, req->mm);
		if (!err)
			err = request_commit(req, &walk);
	} while (err == -EAGAIN);
	request_walk_end(effort, &walk, err);

	return err;
}

/*
 * Filling holes
 */

/**
 * struct drm_gpusvm_filling - A hole on its way to be filled
 *
 * @req: The request
 * @walk: What the CPU has there
 * @hole: Where it is
 * @addrs: Room for the new segments of all pages objects that have the hole
 * @max_addrs: How many that is for
 * @few_addrs: The room that most holes get by with
 */
struct drm_gpusvm_filling {
	const struct drm_gpusvm_request *req;
	struct drm_gpusvm_walk walk;
	struct drm_gpusvm_hole hole;
	struct drm_pagemap_addr *addrs;
	unsigned int max_addrs;
	struct drm_pagemap_addr few_addrs[4];
};

/* The hole that is to be filled next. */
static bool pages_next_hole_locked(const struct drm_gpusvm_request *req,
				   struct drm_gpusvm_pages *pages,
				   struct drm_gpusvm_hole *hole)
{
	lockdep_assert_held(&req->gpusvm->notifier_lock);

	if (!pages->flags.has_holes || pages_deferred(pages))
		return false;

	if (req->wanted != WALK_WANTS_ALL)
		return pages_find_hole_at(pages, req->wanted, hole);

	return pages_find_hole(pages, hole);
}

/* Find a hole in any of the pages that an invalidation is done with. */
static bool request_find_hole(const struct drm_gpusvm_request *req,
			      struct drm_gpusvm_hole *hole)
{
	bool found = false;
	unsigned int i;

	for (i = 0; !found && i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		if (!pages_flags(pages).has_holes)
			continue;
		pages_settle(pages);
		drm_gpusvm_notifier_lock(req->gpusvm);
		found = pages_next_hole_locked(req, pages, hole);
		drm_gpusvm_notifier_unlock(req->gpusvm);
	}

	return found;
}

/* More room for the segments of pages that are mapped. */
static int pages_grow(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *pages,
		      unsigned int n)
{
	struct drm_pagemap_addr *addrs = kvmalloc_array(n, sizeof(*addrs), GFP_KERNEL_ACCOUNT);

	if (!addrs)
		return -ENOMEM;

	pages_settle(pages);
	drm_gpusvm_notifier_lock(gpusvm);
	/* A second pass looks at the segments, too; then the next attempt grows. */
	if (!pages_deferred(pages) && n >= pages->nr_addrs && n > pages->max_addrs) {
		memcpy(addrs, pages->dma_addr, pages->nr_addrs * sizeof(*addrs));
		swap(addrs, pages->dma_addr);
		pages->max_addrs = n;
		if (addrs == &pages->single_addr)
			addrs = NULL;
	}
	drm_gpusvm_notifier_unlock(gpusvm);
	kvfree(addrs);

	return 0;
}

static int filling_make_room(struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	unsigned int i, n = req->count * fill->walk.nr_segments;
	int err = 0;

	if (n > fill->max_addrs) {
		if (fill->addrs != fill->few_addrs)
			kvfree(fill->addrs);
		fill->max_addrs = 0;
		fill->addrs = kvmalloc_array(n, sizeof(*fill->addrs), GFP_KERNEL_ACCOUNT);
		if (!fill->addrs)
			return -ENOMEM;
		fill->max_addrs = n;
	}

	for (i = 0; !err && i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		/* At least one segment goes, and what is left of a hole is a hole. */
		n = pages->nr_addrs + fill->walk.nr_segments - 1 +
		    hole_segments(hole_pages_before(&fill->walk)) +
		    hole_segments(hole_pages_behind(&fill->hole, &fill->walk));
		if (pages_flags(pages).has_holes && n > pages->max_addrs)
			err = pages_grow(req->gpusvm, pages, n);
	}

	return err;
}

static struct drm_pagemap_addr *filling_addrs(const struct drm_gpusvm_filling *fill,
					      unsigned int i)
{
	return fill->addrs + i * fill->walk.nr_segments;
}

/*
 * Whether pages are to have the hole filled, and @hole then says where it is. It is
 * decided once, by filling_check_locked(): a second pass that ends meanwhile leaves
 * pages that look as if they were part of it.
 */
static bool filling_is_for(const struct drm_gpusvm_filling *fill, unsigned int i,
			   struct drm_gpusvm_hole *hole)
{
	*hole = fill->hole;

	return !filling_addrs(fill, i)->hole &&
	       pages_have_hole_locked(&fill->req->pages[i], hole);
}

static int filling_check_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	unsigned int i;

	if (fill->max_addrs < req->count * fill->walk.nr_segments)
		return COMMIT_NEEDS_ROOM;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];
		struct drm_gpusvm_hole hole = fill->hole;
		bool has_hole = pages_have_hole_locked(pages, &hole);

		if (has_hole && pages_count_filled(pages, &hole, &fill->walk) >
				pages->max_addrs)
			return COMMIT_NEEDS_ROOM;
		*filling_addrs(fill, i) = (struct drm_pagemap_addr) { .hole = !has_hole };
	}

	return 0;
}

/* Map for all pages objects that have the hole, or for none. */
static int filling_map_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	struct drm_gpusvm_hole hole;
	unsigned int i;
	int err;

	for (i = 0; i < req->count; i++) {
		if (!filling_is_for(fill, i, &hole))
			continue;
		err = pages_map_hole_locked(&req->pages[i], &hole, &fill->walk,
					    req->ctx, filling_addrs(fill, i));
		if (err)
			goto err_unmap;
	}

	return 0;

err_unmap:
	while (i--) {
		if (!filling_is_for(fill, i, &hole))
			continue;
		pages_unmap_segments(&req->pages[i], filling_addrs(fill, i),
				     fill->walk.nr_segments);
		pages_check_dpagemap(&req->pages[i]);
	}
	return err;
}

static void pages_publish_filled_locked(struct drm_gpusvm_pages *pages,
					const struct drm_gpusvm_filling *fill)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	flags.has_devmem_pages = !!pages->dpagemap;
	flags.writable = fill->walk.writable &&
			 (flags.writable || pages_all_writable(pages));
	flags.has_holes = !!pages->nr_missing;
	flags.has_dma_mapping = !pages->nr_missing;
	pages->notifier_seq = fill->walk.hmm.notifier_seq;
	pages_set_flags(pages, flags);
}

static void filling_publish_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	struct drm_gpusvm_stats *stats = &req->gpusvm->stats;
	unsigned int i, n = 0;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_hole hole;

		if (!filling_is_for(fill, i, &hole))
			continue;
		pages_fill_hole_locked(&req->pages[i], &hole, &fill->walk,
				       filling_addrs(fill, i));
		pages_publish_filled_locked(&req->pages[i], fill);
		n++;
	}

	atomic_long_add(n, &stats->fills);
	atomic_long_add(n * fill->walk.nr_segments, &stats->segments);
	atomic_long_add(n * fill->walk.npages, &stats->pages);
}

/* Return: 0, a negative error, or what has to come first. */
static int filling_commit_locked(struct drm_gpusvm_filling *fill)
{
	int err;

	if (request_is_gone_locked(fill->req))
		return -ESTALE;

	err = walk_use_locked(&fill->walk);
	if (err)
		return err;

	err = filling_check_locked(fill);
	if (err)
		return err;

	err = filling_map_locked(fill);
	if (err)
		return err;

	filling_publish_locked(fill);

	return 0;
}

static int filling_commit(struct drm_gpusvm_filling *fill)
{
	int err;

	for (;;) {
		drm_gpusvm_notifier_lock(fill->req->gpusvm);
		err = filling_commit_locked(fill);
		drm_gpusvm_notifier_unlock(fill->req->gpusvm);
		if (err != COMMIT_NEEDS_ROOM)
			return err;

		err = filling_make_room(fill);
		if (err)
			return err;
	}
}

static int request_fill_hole(const struct drm_gpusvm_request *req,
			     struct drm_gpusvm_effort *effort,
			     const struct drm_gpusvm_hole *hole)
{
	struct drm_gpusvm_filling fill __uninitialized;
	unsigned long start = req->start + (hole->page << PAGE_SHIFT);
	int err;

	fill.req = req;
	fill.hole = *hole;
	fill.addrs = fill.few_addrs;
	fill.max_addrs = ARRAY_SIZE(fill.few_addrs);
	err = request_walk_begin(req, effort, &fill.walk, start,
				 start + (hole->npages << PAGE_SHIFT));
	if (err)
		return err;

	do {
		err = walk_run(&fill.walk, req->mm);
		if (!err)
			err = filling_commit(&fill);
	} while (err == -EAGAIN);

	if (fill.addrs != fill.few_addrs)
		kvfree(fill.addrs);
	request_walk_end(effort, &fill.walk, err);

	return err;
}

/* Holes may come while others are filled: the deadline of the walks is the end. */
static int request_fill(const struct drm_gpusvm_request *req,
			struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_hole hole;
	int err = 0;

	while (!err && request_find_hole(req, &hole))
		err = request_fill_hole(req, effort, &hole);

	return err;
}

/* Fill what has holes, if there may be any, and map what has no mapping. */
static int request_map(const struct drm_gpusvm_request *req,
		       struct drm_gpusvm_effort *effort, bool fill)
{
	int err;

	effort->deadline = walk_new_deadline();
	do {
		if (effort->rounds++ == EFFORT_MAX_ROUNDS)
			return -EBUSY;
		err = fill ? request_fill(req, effort) : 0;
		if (!err && !(fill && request_serves(req)))
			err = request_walk_and_map(req, effort);
		fill = true;
	} while (err == COMMIT_NEEDS_FILLING);

	return err;
}

static bool request_is_sane(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_ctx *ctx = req->ctx;

	return req->start < req->end && PAGE_ALIGNED(req->start | req->end) &&
	       (req->end - req->start) >> PAGE_SHIFT <= UINT_MAX &&
	       (!ctx->partial || (ctx->fault_addr >= req->start &&
				  ctx->fault_addr < req->end));
}

/* What has to be done if a glance did not tell that all is well. */
static int request_serve(const struct drm_gpusvm_request *req,
			 struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_pages_flags any;

	if (!request_look(req, &any) || !request_is_sane(req))
		return -EINVAL;

	if (any.unmapped || range_is_gone(req->range))
		return -ESTALE;

	if (any.has_dma_mapping || any.has_holes) {
		if (request_refresh(req)) {
			atomic_long_inc(&req->gpusvm->stats.gets_valid);
			return 0;
		}
		if (request_is_refused(req))
			return -EROFS;
	}

	return request_map(req, effort, any.has_holes);
}

static int request_get(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_effort effort = {};
	ktime_t begin;
	int err;

	if (request_is_current(req)) {
		atomic_long_inc(&req->gpusvm->stats.gets_valid);
		return 0;
	}

	begin = trace_drm_gpusvm_get_pages_enabled() ? ktime_get() : 0;
	err = request_serve(req, &effort);
	if (trace_drm_gpusvm_get_pages_enabled())
		trace_drm_gpusvm_get_pages(req->gpusvm,
					   req->count ? req->pages->drm : NULL,
					   req->start, req->end, req->count,
					   effort.segments, req->ctx->read_only,
					   err, elapsed_since(begin));

	return err;
}

/**
 * drm_gpusvm_get_pages() - Find the CPU's pages and map them for one device
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @mm: The mm
 * @notifier: The MMU interval notifier that covers the addresses: that of the
 *	      range's notifier, or the driver's for a userptr
 * @pages_start: First address, page aligned
 * @pages_end: Address behind the last one, page aligned
 * @ctx: How to map: &drm_gpusvm_ctx.read_only, &drm_gpusvm_ctx.may_write,
 *	 &drm_gpusvm_ctx.partial, &drm_gpusvm_ctx.devmem_only,
 *	 &drm_gpusvm_ctx.allow_mixed, &drm_gpusvm_ctx.device_private_page_owner
 *
 * Pages that are mapped already, and for writing if that is asked for, only have
 * their sequence refreshed. Nothing is unmapped: what was got for reading and is
 * asked for writing is for the driver to zap and to unmap first.
 *
 * With &drm_gpusvm_ctx.partial the page at &drm_gpusvm_ctx.fault_addr decides. An
 * error is the error of that page, and the other pages are mapped as far as they can
 * be. drm_gpusvm_pages_mapped_around() tells how far that is.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0; or an error, and what is mapped then may have fewer holes than before,
 * but nothing is mapped that had no mapping at all: -EINVAL for pages without a
 * device, addresses that are not page aligned or a fault address outside of them,
 * -ENODEV once drm_dev_unplug() was called for one of the devices,
 * -ESTALE if the memory was unmapped, -EROFS if it is mapped for reading and asked for
 * writing, -EFAULT if the mm is dying, the memory can't be faulted in or mapped, is that
 * of a device without a drm_pagemap, or is in RAM with devmem_only, -EPERM if the CPU
 * mapping does not allow writing, -EOPNOTSUPP for a mix of memory that is not allowed,
 * -EBUSY if invalidations did not leave enough time, -EINTR on a fatal signal, -ENOMEM.
 * With &drm_gpusvm_ctx.partial, -ENOMEM is also that the device can't map the memory: for
 * lack of tables of an IOMMU, say, so that it is worth another attempt.
 */
int drm_gpusvm_get_pages(struct drm_gpusvm *gpusvm,
			 struct drm_gpusvm_pages *svm_pages,
			 struct mm_struct *mm,
			 struct mmu_interval_notifier *notifier,
			 unsigned long pages_start, unsigned long pages_end,
			 const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_request req = {
		.gpusvm = gpusvm,
		.pages = svm_pages,
		.count = 1,
		.mm = mm,
		.notifier = notifier,
		.start = pages_start,
		.end = pages_end,
		.wanted = wanted_page(ctx, pages_start, pages_end),
		.ctx = ctx,
	};

	return request_get(&req);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_get_pages);

/**
 * drm_gpusvm_range_get_pages() - Map a range for one or more devices
 * @range: The range
 * @pages: Array of pages objects, one for each device
 * @pages_count: Number of @pages
 * @ctx: How to map, as for drm_gpusvm_get_pages()
 *
 * Walks the CPU's page tables once, however many devices there are. Pages of the
 * array that are mapped already are left as they are.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0 with all pages mapped, or with &drm_gpusvm_ctx.partial that of the fault
 * for each device; or an error as drm_gpusvm_get_pages() returns it. -ESTALE also if
 * the range was removed.
 */
int drm_gpusvm_range_get_pages(struct drm_gpusvm_range *range,
			       struct drm_gpusvm_pages *pages,
			       unsigned int pages_count,
			       const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_request req = {
		.gpusvm = range->gpusvm,
		.range = range,
		.pages = pages,
		.count = pages_count,
		.mm = range->gpusvm->mm,
		.notifier = &range->notifier->notifier,
		.start = drm_gpusvm_range_start(range),
		.end = drm_gpusvm_range_end(range),
		.wanted = wanted_page(ctx, drm_gpusvm_range_start(range),
				      drm_gpusvm_range_end(range)),
		.ctx = ctx,
	};

	return request_get(&req);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get_pages);

/**
 * drm_gpusvm_pages_valid() - Whether pages can be bound
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 *
 * The last check before a driver commits a binding, under the same hold of the
 * notifier lock. The sequence number would be too coarse for it, since a
 * notifier spans many ranges.
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: true if the pages are mapped.
 */
bool drm_gpusvm_pages_valid(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return svm_pages->flags.has_dma_mapping;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_valid);

/* What a run of segments has in common. */
enum {
	RUN_MAPPED,
	RUN_READ_ONLY,
};

static bool addr_is_of(const struct drm_pagemap_addr *addr, int kind)
{
	return addr_is_mapped(addr) &&
	       (kind == RUN_MAPPED || !drm_pagemap_addr_writable(addr));
}

static bool pages_find_run_locked(const struct drm_gpusvm_pages *pages,
				  unsigned long pages_start, unsigned long addr,
				  int kind, unsigned long *start, unsigned long *end)
{
	unsigned long page = (addr - pages_start) >> PAGE_SHIFT, at;
	unsigned int i;

	if (!drm_gpusvm_pages_mapped(pages) || addr < pages_start ||
	    page >= pages->npages)
		return false;

	i = pages_seek(pages, page, &at);
	if (!addr_is_of(&pages->dma_addr[i], kind))
		return false;

	while (i && addr_is_of(&pages->dma_addr[i - 1], kind))
		at -= 1UL << pages->dma_addr[--i].order;
	*start = pages_start + (at << PAGE_SHIFT);
	for (; i < pages->nr_addrs && addr_is_of(&pages->dma_addr[i], kind); i++)
		at += 1UL << pages->dma_addr[i].order;
	*end = pages_start + (at << PAGE_SHIFT);

	return true;
}

/**
 * drm_gpusvm_pages_mapped_around() - What is mapped around an address
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @addr: The address
 * @start: On success the first address of the largest interval around @addr that has
 *	   no hole
 * @end: The address behind its last one
 *
 * After a get with &drm_gpusvm_ctx.partial this is what the driver may bind, under the
 * same hold of the notifier lock. Whether the device may write there, each segment
 * tells by drm_pagemap_addr_writable().
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: false if @addr itself is not mapped.
 */
bool drm_gpusvm_pages_mapped_around(struct drm_gpusvm *gpusvm,
				    const struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start, unsigned long addr,
				    unsigned long *start, unsigned long *end)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return pages_find_run_locked(svm_pages, pages_start, addr, RUN_MAPPED, start, end);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_mapped_around);

/**
 * drm_gpusvm_pages_read_only_around() - What is mapped for reading around an address
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @addr: The address
 * @start: On success the first address of the largest interval around @addr whose
 *	   segments are all mapped, and for reading only
 * @end: The address behind its last one
 *
 * This is what a driver zaps, flushes and gives to drm_gpusvm_unmap_part() before it
 * gets the pages for a write to @addr.
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: false if @addr itself is not mapped, or is mapped for writing.
 */
bool drm_gpusvm_pages_read_only_around(struct drm_gpusvm *gpusvm,
				       const struct drm_gpusvm_pages *svm_pages,
				       unsigned long pages_start, unsigned long addr,
				       unsigned long *start, unsigned long *end)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return pages_find_run_locked(svm_pages, pages_start, addr, RUN_READ_ONLY, start,
				     end);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_read_only_around);

/*
 * Invalidation
 */

/* Have the second pass unmap what was taken of the pages. */
static void pages_defer_locked(struct drm_gpusvm_notifier *notifier,
			       struct drm_gpusvm_pages *pages)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	pages->deferred_at = notifier->nr_invalidations;
	if (pages->deferred_by)
		return;

	pages->deferred_by = notifier;
	atomic_inc(&notifier->nr_deferred);
	llist_add(&pages->deferred_link, &notifier->deferred);
}

/* Nothing of the unmap is left to be done. The owner may free the pages now. */
static void pages_end_deferral(struct drm_gpusvm_pages *pages)
{
	/* Pairs with pages_settle() and pages_deferred(). */
	smp_store_release(&pages->deferred_by, NULL);
}

/*
 * Wait until no device can use what first passes have taken so far. One of them may
 * be under way: its pages are deferred, but the devices not yet told to flush.
 *
 * Return: the number of invalidations that this is about.
 */
static unsigned long notifier_flush(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	unsigned long count;

	drm_gpusvm_notifier_lock(gpusvm);
	count = notifier->nr_invalidations;
	drm_gpusvm_notifier_unlock(gpusvm);

	gpusvm->ops->invalidate_finish(gpusvm, notifier);
	notifier->flushed_at = count;

	return count;
}

/* Whether a first pass has sent a flush that nobody has waited for yet. */
static bool notifier_must_flush(const struct drm_gpusvm_notifier *notifier,
				unsigned long asked_at)
{
	lockdep_assert_held(&notifier->finish_lock);

	return (long)(asked_at - notifier->flushed_at) > 0;
}

static void deferred_add(struct llist_node **list, struct drm_gpusvm_pages *pages)
{
	pages->deferred_link.next = *list;
	*list = &pages->deferred_link;
}

/*
 * Unmap what was deferred by the first @flushed invalidations. @n counts the pages
 * objects that are done, @unmaps those of them that are gone as a whole.
 *
 * Return: the pages objects of which more was taken since.
 */
static struct llist_node *notifier_unmap(struct drm_gpusvm_notifier *notifier,
					 struct llist_node *taken, unsigned long flushed,
					 unsigned int *n, unsigned int *unmaps)
{
	struct llist_node *again = NULL, *whole = NULL;
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	struct drm_gpusvm_pages *pages, *next;

	drm_gpusvm_notifier_lock(gpusvm);
	llist_for_each_entry_safe(pages, next, taken, deferred_link) {
		if ((long)(pages->deferred_at - flushed) > 0) {
			deferred_add(&again, pages);
			continue;
		}

		++*n;
		if (!pages->flags.has_holes) {
			deferred_add(&whole, pages);
			continue;
		}
		pages_unmap_taken_locked(gpusvm, pages);
		pages_end_deferral(pages);
	}
	drm_gpusvm_notifier_unlock(gpusvm);

	/* Of these there is nothing left to take. */
	llist_for_each_entry_safe(pages, next, whole, deferred_link) {
		pages_unmap_addrs(pages);
		pages_end_deferral(pages);
		++*unmaps;
	}

	return again;
}

/*
 * Unmap all that first passes in the window have deferred. See the section on
 * invalidation for why it is all, and why it may wait for finish_lock. A flush may have
 * to be waited for even if there is nothing to unmap.
 */
static void notifier_finish(struct drm_gpusvm_notifier *notifier)
{
	ktime_t begin = trace_drm_gpusvm_invalidate_finish_enabled() ? ktime_get() : 0;
	unsigned long asked_at = READ_ONCE(notifier->asked_at);
	unsigned int n = 0, unmaps = 0;
	struct llist_node *taken;

	mutex_lock(&notifier->finish_lock);
	taken = llist_del_all(&notifier->deferred);
	/* Ends: what has holes is not filled before, so there is less and less to take. */
	while (taken || notifier_must_flush(notifier, asked_at))
		taken = notifier_unmap(notifier, taken, notifier_flush(notifier), &n, &unmaps);
	atomic_sub(n, &notifier->nr_deferred);
	mutex_unlock(&notifier->finish_lock);

	atomic_long_add(unmaps, &notifier->gpusvm->stats.unmaps);
	if (trace_drm_gpusvm_invalidate_finish_enabled())
		trace_drm_gpusvm_invalidate_finish(notifier, n,
						   elapsed_since(begin));
}

/* Remember where an invalidation was, for walk_stale_locked(). */
static void log_invalidation(struct drm_gpusvm_notifier *notifier,
			     const struct mmu_notifier_range *mmu_range)
{
	unsigned long n = notifier->nr_invalidations;
	unsigned int slot = n % DRM_GPUSVM_NOTIFIER_LOG;

	notifier->log[slot].start = mmu_range->start;
	notifier->log[slot].end = mmu_range->end;
	/* Pairs with walk_take_ticket(), which does not take the lock. */
	smp_store_release(&notifier->nr_invalidations, n + 1);
}

/**
 * struct drm_gpusvm_hit - What an invalidation has come to
 *
 * @range: It has hit a range
 * @pending: There is something for a second pass to do
 */
struct drm_gpusvm_hit {
	bool range;
	bool pending;
};

/* What both kinds of driver have in common. */
static struct drm_gpusvm_hit
notifier_invalidate_locked(struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range,
			   unsigned long cur_seq)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	struct drm_gpusvm_hit hit = { .range = true };

	mmu_interval_set_seq(&notifier->notifier, cur_seq);
	log_invalidation(notifier, mmu_range);

	if (!drm_gpusvm_range_find(notifier, mmu_range->start, mmu_range->end)) {
		atomic_long_inc(&gpusvm->stats.invalidations_idle);
		return (struct drm_gpusvm_hit) {};
	}

	atomic_long_inc(&gpusvm->stats.invalidations);
	if (!gpusvm->ops->invalidate_start) {
		gpusvm->ops->invalidate(gpusvm, notifier, mmu_range);
		return hit;
	}

	if (gpusvm->ops->invalidate_start(gpusvm, notifier, mmu_range)) {
		WRITE_ONCE(notifier->asked_at, notifier->nr_invalidations);
		hit.pending = true;
	}
	hit.pending |= atomic_read(&notifier->nr_deferred);

	return hit;
}

/*
 * Lock for an invalidation. One that may not block, as the OOM killer's, must not wait
 * for the lock, and can be served only if it has no range to wait for. It is not begun
 * otherwise, and the MM comes back.
 */
static bool notifier_lock_to_invalidate(struct drm_gpusvm_notifier *notifier,
					const struct mmu_notifier_range *mmu_range)
{
	struct rw_semaphore *lock = &notifier->gpusvm->notifier_lock;

	if (mmu_notifier_range_blockable(mmu_range)) {
		down_write(lock);
		return true;
	}

	if (!down_write_trylock(lock))
		return false;
	if (!drm_gpusvm_range_find(notifier, mmu_range->start, mmu_range->end))
		return true;
	up_write(lock);

	return false;
}

static bool notifier_invalidate(struct mmu_interval_notifier *mni,
				const struct mmu_notifier_range *mmu_range,
				unsigned long cur_seq)
{
	ktime_t begin = trace_drm_gpusvm_invalidate_enabled() ? ktime_get() : 0;
	struct drm_gpusvm_notifier *notifier =
		container_of(mni, struct drm_gpusvm_notifier, notifier);
	struct drm_gpusvm_hit hit;

	if (!notifier_lock_to_invalidate(notifier, mmu_range))
		return false;
	hit = notifier_invalidate_locked(notifier, mmu_range, cur_seq);
	up_write(&notifier->gpusvm->notifier_lock);

	if (trace_drm_gpusvm_invalidate_enabled())
		trace_drm_gpusvm_invalidate(notifier, mmu_range, hit.range, false,
					    elapsed_since(begin));

	return true;
}

static const struct mmu_interval_notifier_ops drm_gpusvm_notifier_ops = {
	.invalidate = notifier_invalidate,
};

static bool notifier_invalidate_start(struct mmu_interval_notifier *mni,
				      const struct mmu_notifier_range *mmu_range,
				      unsigned long cur_seq,
				      struct mmu_interval_notifier_finish **finish)
{
	ktime_t begin = trace_drm_gpusvm_invalidate_enabled() ? ktime_get() : 0;
	struct drm_gpusvm_notifier *notifier =
		container_of(mni, struct drm_gpusvm_notifier, notifier);
	struct drm_gpusvm_hit hit;

	if (!notifier_lock_to_invalidate(notifier, mmu_range))
		return false;
	hit = notifier_invalidate_locked(notifier, mmu_range, cur_seq);
	up_write(&notifier->gpusvm->notifier_lock);

	if (trace_drm_gpusvm_invalidate_enabled())
		trace_drm_gpusvm_invalidate(notifier, mmu_range, hit.range, hit.pending,
					    elapsed_since(begin));

	if (!hit.pending)
		return true;

	if (test_and_set_bit_lock(0, &notifier->finish_busy))
		notifier_finish(notifier);
	else
		*finish = &notifier->finish;

	return true;
}

static void notifier_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(finish, struct drm_gpusvm_notifier, finish);

	notifier_finish(notifier);
	clear_bit_unlock(0, &notifier->finish_busy);
}

static const struct mmu_interval_notifier_ops drm_gpusvm_notifier_two_pass_ops = {
	.invalidate_start = notifier_invalidate_start,
	.invalidate_finish = notifier_invalidate_finish,
};

/**
 * drm_gpusvm_unmap_pages() - Unmap pages
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @npages: Number of pages that it was got for; the mapping knows itself how
 *	    much of it there is
 * @ctx: &drm_gpusvm_ctx.in_notifier tells where the call comes from
 *
 * When it returns the device can't reach the memory any more, as far as the
 * IOMMU can see to that. Pages that are not mapped are left alone.
 *
 * Context: With in_notifier set the notifier lock is held for writing.
 * Otherwise it is taken here, and the call may wait for a second pass of an
 * invalidation that took the pages.
 */
void drm_gpusvm_unmap_pages(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages,
			    unsigned long npages,
			    const struct drm_gpusvm_ctx *ctx)
{
	if (!ctx->in_notifier) {
		pages_unmap(gpusvm, svm_pages);
		return;
	}

	lockdep_assert_held_write(&gpusvm->notifier_lock);
	if (svm_pages->deferred_by)
		pages_clear_mapped(svm_pages);
	else
		pages_unmap_locked(gpusvm, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_pages);

/* Unmap the segments that overlap an interval, and leave a hole. */
static void pages_unmap_part_locked(struct drm_gpusvm *gpusvm,
				    struct drm_gpusvm_pages *pages,
				    unsigned long first, unsigned long last)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	if (flags.has_dma_mapping)
		pages_begin_holes(pages);
	pages->nr_missing += pages_take(pages, &first, &last);
	if (pages->nr_missing == pages->npages) {
		pages_unmap_locked(gpusvm, pages);
		return;
	}
	if (!pages->nr_missing)
		return;

	flags.has_dma_mapping = false;
	flags.has_holes = true;
	pages_set_flags(pages, flags);
	pages_unmap_taken_locked(gpusvm, pages);
}

/**
 * drm_gpusvm_unmap_part() - Unmap a part of pages
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @start: First address of the part
 * @end: Address behind the last one
 *
 * Unmaps the segments that overlap the part. No device can use them any more: the
 * driver has zapped them, and waited for the flush. The next get fills the hole.
 *
 * Context: The owner of the pages; not from a notifier. Takes the notifier lock, and
 * may wait for a second pass of an invalidation that took some of the pages.
 */
void drm_gpusvm_unmap_part(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *svm_pages,
			   unsigned long pages_start, unsigned long start,
			   unsigned long end)
{
	bool deferred;

	do {
		unsigned long pages_end, from, to;

		pages_settle(svm_pages);
		drm_gpusvm_notifier_lock(gpusvm);
		pages_end = pages_start + ((unsigned long)svm_pages->npages << PAGE_SHIFT);
		from = max(start, pages_start);
		to = min(end, pages_end);
		deferred = pages_deferred(svm_pages);
		if (!deferred && drm_gpusvm_pages_mapped(svm_pages) && from < to)
			pages_unmap_part_locked(gpusvm, svm_pages,
						(from - pages_start) >> PAGE_SHIFT,
						PAGE_ALIGN(to - pages_start) >> PAGE_SHIFT);
		drm_gpusvm_notifier_unlock(gpusvm);
	} while (deferred);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_part);

/**
 * drm_gpusvm_unmap_pages_deferred() - Take pages away, unmap in the second pass
 * @notifier: The notifier that is being invalidated
 * @svm_pages: The pages object
 *
 * The pages are not valid any more when it returns, and unmapped once
 * &drm_gpusvm_ops.invalidate_finish has returned. Pages that are not mapped are
 * left alone.
 *
 * Context: Called from &drm_gpusvm_ops.invalidate_start, with the notifier lock
 * held for writing.
 */
void drm_gpusvm_unmap_pages_deferred(struct drm_gpusvm_notifier *notifier,
				     struct drm_gpusvm_pages *svm_pages)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(svm_pages))
		return;

	pages_clear_mapped(svm_pages);
	pages_defer_locked(notifier, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_pages_deferred);

/* Returns false if all of the pages should go. */
static bool pages_take_part_locked(struct drm_gpusvm_notifier *notifier,
				   struct drm_gpusvm_pages *pages,
				   unsigned long pages_start,
				   unsigned long *start, unsigned long *end)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);
	unsigned long first = 0, last = pages->npages, taken;

	if (flags.has_dma_mapping)
		pages_begin_holes(pages);

	if (*start > pages_start)
		first = (*start - pages_start) >> PAGE_SHIFT;
	if (*end < pages_start + (last << PAGE_SHIFT))
		last = PAGE_ALIGN(*end - pages_start) >> PAGE_SHIFT;

	taken = pages_take(pages, &first, &last);
	*start = min(*start, pages_start + (first << PAGE_SHIFT));
	*end = max(*end, pages_start + (last << PAGE_SHIFT));
	/* All of it may be holes already. */
	if (!taken)
		return true;

	pages->nr_holes++;
	pages->nr_missing += taken;
	if (pages->nr_missing == pages->npages || pages->nr_holes > PAGES_MAX_HOLES ||
	    pages->nr_holes * PAGES_PER_HOLE > pages->npages)
		return false;

	flags.has_dma_mapping = false;
	flags.has_holes = true;
	pages_set_flags(pages, flags);
	pages_defer_locked(notifier, pages);
	atomic_long_inc(&notifier->gpusvm->stats.parts);

	return true;
}

/**
 * drm_gpusvm_unmap_part_deferred() - Take a part of pages away, unmap in the second
 *				      pass
 * @notifier: The notifier that is being invalidated
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @start: First address that is invalidated, and on return that was taken
 * @end: Address behind the last one
 *
 * Takes the segments that overlap the interval; the interval grows to what they
 * cover. The device has to forget all of it, as with
 * drm_gpusvm_unmap_pages_deferred(). The other segments stay mapped, and bindings of
 * them may stay, although the pages are not valid before the next get. That looks
 * at no more than what is missing and leaves the other segments as they are.
 *
 * Where nothing would be left, or many holes, everything is taken.
 *
 * Context: Called from &drm_gpusvm_ops.invalidate_start, with the notifier lock
 * held for writing.
 */
void drm_gpusvm_unmap_part_deferred(struct drm_gpusvm_notifier *notifier,
				    struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start,
				    unsigned long *start, unsigned long *end)
{
	unsigned long pages_end =
		pages_start + ((unsigned long)svm_pages->npages << PAGE_SHIFT);

	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(svm_pages) || *start >= pages_end ||
	    *end <= pages_start)
		return;

	if ((*start > pages_start || *end < pages_end) &&
	    pages_take_part_locked(notifier, svm_pages, pages_start, start, end))
		return;

	*start = min(*start, pages_start);
	*end = max(*end, pages_end);
	drm_gpusvm_unmap_pages_deferred(notifier, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_part_deferred);

/**
 * drm_gpusvm_free_pages() - Free what a pages object holds
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @npages: Number of pages that it was got for
 *
 * Unmaps what is still mapped. The object may be got again afterwards.
 *
 * Context: May sleep; takes the notifier lock.
 */
void drm_gpusvm_free_pages(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_pages *svm_pages,
			   unsigned long npages)
{
	const struct drm_gpusvm_ctx ctx = {};

	drm_gpusvm_unmap_pages(gpusvm, svm_pages, npages, &ctx);
	pages_free_addrs(svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_free_pages);

/**
 * drm_gpusvm_range_set_unmapped() - Note that the CPU unmaps memory of a range
 * @range: The range
 * @pages: Array of the range's pages objects
 * @pages_count: Number of @pages
 * @mmu_range: What is being unmapped
 *
 * Context: Called from an invalidation, with the notifier lock held for writing.
 */
void drm_gpusvm_range_set_unmapped(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_pages *pages,
				   unsigned int pages_count,
				   const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range_flags flags = range_flags(range);
	unsigned int i;

	lockdep_assert_held_write(&range->gpusvm->notifier_lock);

	flags.unmapped = true;
	if (mmu_range->start > drm_gpusvm_range_start(range) ||
	    mmu_range->end < drm_gpusvm_range_end(range))
		flags.partial_unmap = true;
	range_set_flags_locked(range, flags);

	for (i = 0; i < pages_count; i++) {
		struct drm_gpusvm_pages_flags pflags = pages_flags(&pages[i]);

		pflags.unmapped = true;
		pages_set_flags(&pages[i], pflags);
	}
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_set_unmapped);

/*
 * Where the memory is, and moving it back
 */

/* Run a walk over a range that takes pages as they are, until it is not stale. */
static int range_snapshot_lock(struct drm_gpusvm_range *range,
			       struct drm_gpusvm_walk *walk)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	int err;

	for (;;) {
		/* Nobody tells a range that was removed what changes there. */
		if (range_flags(range).removed)
			return -ESTALE;

		err = walk_run(walk, gpusvm->mm);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;

		drm_gpusvm_notifier_lock(gpusvm);
		if (!walk_stale_locked(walk) && !range->flags.removed)
			return 0;
		drm_gpusvm_notifier_unlock(gpusvm);
	}
}

/* Whether a page has to be faulted in to be in RAM. */
static bool pfn_needs_eviction(unsigned long pfn, void *owner)
{
	if (pfn & HMM_PFN_VALID)
		return is_device_private_page(hmm_pfn_to_page(pfn));

	/* Without an owner device memory looks like memory that is not there. */
	return !owner && !(pfn & HMM_PFN_ERROR);
}

/* Mark the pages of a snapshot that are not in RAM. Returns how many there are. */
static unsigned long walk_mark_eviction_locked(struct drm_gpusvm_walk *walk)
{
	void *owner = walk->hmm.dev_private_owner;
	unsigned long i, n = 0;

	for (i = 0; i < walk->npages; i++) {
		bool evict = pfn_needs_eviction(walk->hmm.hmm_pfns[i], owner);

		walk->hmm.hmm_pfns[i] = evict ? HMM_PFN_REQ_FAULT : 0;
		n += evict;
	}
	walk->mode = WALK_EVICT;

	return n;
}

/* Move the device memory of one owner. */
static int range_evict_from(struct drm_gpusvm_range *range, void *owner,
			    unsigned long *pages)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	struct drm_gpusvm_walk walk __uninitialized;
	unsigned long n;
	int err;

	err = walk_begin(&walk, gpusvm, &range->notifier->notifier,
			 drm_gpusvm_range_start(range),
			 drm_gpusvm_range_end(range), owner, 0);
	if (err)
		return err;

	err = range_snapshot_lock(range, &walk);
	if (!err) {
		n = walk_mark_eviction_locked(&walk);
		drm_gpusvm_notifier_unlock(gpusvm);
		if (n)
			err = walk_run(&walk, gpusvm->mm);
		*pages += n;
	}
	walk_end(&walk);

	return err == -EBUSY ? -ETIME : err;
}

/* The memory of one owner is not there for a walk on behalf of another one. */
static int range_evict(struct drm_gpusvm_range *range, unsigned long *pages)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	/* Pairs with note_owner(). */
	unsigned int n = smp_load_acquire(&gpusvm->nr_owners);
	int err, first_err = 0;
	unsigned int i;

	if (!n || n > DRM_GPUSVM_MAX_OWNERS)
		return range_evict_from(range, NULL, pages);

	for (i = 0; i < n; i++) {
		err = range_evict_from(range, gpusvm->owners[i], pages);
		first_err = first_err ?: err;
	}

	return first_err;
}

/**
 * drm_gpusvm_range_evict() - Move a range's device memory back to RAM
 * @gpusvm: The GPU SVM
 * @range: The range
 *
 * Moves what there is: holes and memory that was never touched stay as they are,
 * provided that ranges were looked up with the owners of the device memory, and that
 * these are not more than %DRM_GPUSVM_MAX_OWNERS. A page that can't be moved does not
 * keep those behind it; its error is returned when all have been tried.
 * What moves goes through the MMU notifiers, so mappings are invalidated.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0; -ESTALE if the range was removed, -EFAULT if the mm is dying, -ETIME if
 * invalidations did not leave enough time, -ENOMEM, or the error of the CPU fault.
 */
int drm_gpusvm_range_evict(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_range *range)
{
	ktime_t begin = trace_drm_gpusvm_evict_enabled() ? ktime_get() : 0;
	unsigned long pages = 0;
	int err;

	err = range_evict(range, &pages);
	if (!err)
		atomic_long_inc(&gpusvm->stats.evictions);
	if (trace_drm_gpusvm_evict_enabled())
		trace_drm_gpusvm_evict(range, pages, err, elapsed_since(begin));

	return err;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_evict);

static enum drm_gpusvm_scan_result
walk_scan_locked(const struct drm_gpusvm_walk *walk,
		 const struct dev_pagemap *pagemap)
{
	const struct dev_pagemap *first = NULL;
	bool system = false, several = false;
	unsigned long i;

	for (i = 0; i < walk->npages; i += 1UL << walk_cpu_order(walk, i)) {
		unsigned long pfn = walk->hmm.hmm_pfns[i];
		const struct dev_pagemap *pgmap;
		struct page *page;

		if (!(pfn & HMM_PFN_VALID))
			return DRM_GPUSVM_SCAN_UNPOPULATED;

		page = hmm_pfn_to_page(pfn);
		if (!is_device_private_page(page) && !is_device_coherent_page(page)) {
			system = true;
			continue;
		}
		pgmap = page_pgmap(page);
		several |= first && pgmap != first;
		first = pgmap;
	}

	if (!first)
		return DRM_GPUSVM_SCAN_SYSTEM;
	if (system)
		return DRM_GPUSVM_SCAN_MIXED;
	if (several)
		return DRM_GPUSVM_SCAN_MIXED_DEVICE;

	return first == pagemap ? DRM_GPUSVM_SCAN_EQUAL : DRM_GPUSVM_SCAN_OTHER;
}

/**
 * drm_gpusvm_scan_mm() - Find out where the memory of a range is
 * @range: The range
 * @dev_private_owner: The owner whose device private pages count as present
 * @pagemap: The pagemap that %DRM_GPUSVM_SCAN_EQUAL is about
 *
 * Nothing is faulted in. The answer may be out of date when it is given.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: where the memory is; %DRM_GPUSVM_SCAN_UNPOPULATED also if there was
 * no memory or not enough time to find out, the range was removed, or the mm is dying.
 */
enum drm_gpusvm_scan_result drm_gpusvm_scan_mm(struct drm_gpusvm_range *range,
					       void *dev_private_owner,
					       const struct dev_pagemap *pagemap)
{
	enum drm_gpusvm_scan_result result = DRM_GPUSVM_SCAN_UNPOPULATED;
	struct drm_gpusvm_walk walk __uninitialized;

	if (walk_begin(&walk, range->gpusvm, &range->notifier->notifier,
		       drm_gpusvm_range_start(range),
		       drm_gpusvm_range_end(range), dev_private_owner, 0))
		return result;

	if (!range_snapshot_lock(range, &walk)) {
		result = walk_scan_locked(&walk, pagemap);
		drm_gpusvm_notifier_unlock(range->gpusvm);
	}
	walk_end(&walk);

	return result;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_scan_mm);

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
