// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: what the CPU takes away, and the GPU has to forget.
 */

#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/mmu_notifier.h>
#include <linux/slab.h>

#include "xe_device.h"
#include "xe_gt_stats.h"
#include "xe_macros.h"
#include "xe_pt.h"
#include "xe_svm_internal.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe SVM invalidation
 *
 * Zapping writes zeroes into page tables from the CPU. It must come after the
 * jobs that write them from the GPU, so where a range has such a job under way, that
 * has to be waited for: &xe_svm_range.binds. Both that and the flush of the TLBs take
 * long, compared with everything else here, so an invalidation has two passes. Jobs of
 * other ranges write other entries. One that has made a page table for both comes before
 * the range's own, which then is not done either.
 *
 * The first one, under the notifier lock, takes the pages away from the ranges,
 * so that nobody can bind them, and notes in each range, and in the window's &struct
 * xe_svm_notifier, from where to where there is something to be zapped. If no job of
 * these ranges is under way it zaps at once and sends the flush. Otherwise nothing of
 * them is bound until that was done.
 *
 * The second one does what is left, and waits without the notifier lock. Faults
 * and invalidations elsewhere in the address space go on meanwhile, and the
 * flushes of windows and devices that one CPU operation hits overlap.
 *
 * Of a range only that is zapped which the CPU changes, in steps of 64 KiB, the
 * largest page that several entries can be marked as. The GPU goes on with the rest,
 * and the next fault looks at, maps and binds no more than the hole. The exceptions
 * are ranges that the GPU has one entry for, page tables of 64 KiB pages, and what is
 * mapped for DMA in one piece.
 *
 * Who has a range in hand zaps as well: to write to what was bound for reading, and to
 * collect garbage. It does not keep the notifier lock while it waits for the flush
 * either. An invalidation that comes meanwhile may find nothing to be zapped, and yet the
 * GPU may reach what it takes. So it sends a flush of its own: &xe_svm_range.flushing.
 *
 * A closed VM has no page table entries any more, and its TLBs are flushed. Then
 * the pages are unmapped, and that is all. A VM is closed with its file, or by the
 * removal of the device, which does not wait for &xe_vm.lock. So whoever binds looks
 * for that under the notifier lock.
 */

/**
 * struct xe_svm_notifier - A window of the address space
 *
 * @base: The core's window
 * @zap_start: First address of what has to be zapped; under the notifier lock
 * @zap_end: Address behind the last; nothing has to be if not above @zap_start
 * @batch: The flush that is under way
 * @flushing: Tiles that @batch flushes; 0 if it can be used. Set under the
 *	      notifier lock, cleared by the only second pass that runs
 * @begin: When the first pass of what @batch flushes began
 */
struct xe_svm_notifier {
	struct drm_gpusvm_notifier base;
	unsigned long zap_start;
	unsigned long zap_end;
	struct xe_tlb_inval_batch batch;
	u8 flushing;
	ktime_t begin;
};

static struct xe_svm_notifier *to_xe_notifier(struct drm_gpusvm_notifier *notifier)
{
	return container_of(notifier, struct xe_svm_notifier, base);
}

struct drm_gpusvm_notifier *xe_svm_notifier_alloc(void)
{
	struct xe_svm_notifier *xnotifier = kzalloc_obj(*xnotifier, GFP_KERNEL_ACCOUNT);

	return xnotifier ? &xnotifier->base : NULL;
}

void xe_svm_notifier_free(struct drm_gpusvm_notifier *notifier)
{
	kfree(to_xe_notifier(notifier));
}

/* ------------------------------------------------------------------------
 * Zapping
 */

/* Note where entries of a range are missing; as much as can be marked as one page. */
static void range_add_hole_locked(struct xe_svm_range *range, u64 start, u64 end, bool anew)
{
	if (!anew) {
		/* It may be missing anywhere already. */
		if (range->hole.start >= range->hole.end)
			return;
		start = min(start, range->hole.start);
		end = max(end, range->hole.end);
	}
	range->hole.start = start;
	range->hole.end = end;
}

/* Note that a tile has lost some entries, or all. */
static void range_note_zapped_locked(struct xe_svm_range *range, struct xe_tile *tile,
				     u64 start, u64 end)
{
	u8 partial = range->tile_partial & ~BIT(tile->id);

	if (start > xe_svm_range_start(range) || end < xe_svm_range_end(range)) {
		partial |= BIT(tile->id);
	} else {
		range->hole.start = 0;
		range->hole.end = 0;
	}
	WRITE_ONCE(range->tile_partial, partial);
	/* Is read without a lock by xe_vm_has_valid_gpu_mapping(). */
	WRITE_ONCE(range->tile_invalidated, range->tile_invalidated | BIT(tile->id));
}

/*
 * Clear page table entries of a part of a range. Where a tile has large ones the
 * interval grows. Returns which tiles need a flush.
 */
static u8 range_zap(struct xe_vm *vm, struct xe_svm_range *range, u64 *start, u64 *end)
{
	const u64 from = *start, to = *end;
	struct xe_tile *tile;
	u8 id, mask = 0;

	for_each_tile(tile, vm->xe, id) {
		u64 tile_start = from, tile_end = to;

		if (!xe_pt_zap_ptes_range(tile, vm, range, &tile_start, &tile_end))
			continue;
		range_note_zapped_locked(range, tile, tile_start, tile_end);
		mask |= BIT(id);
		*start = min(*start, tile_start);
		*end = max(*end, tile_end);
	}

	return mask;
}

static u8 range_zap_all(struct xe_vm *vm, struct xe_svm_range *range)
{
	u64 start = xe_svm_range_start(range), end = xe_svm_range_end(range);

	return range_zap(vm, range, &start, &end);
}

static void stat_add_gts(struct xe_tile *tile, enum xe_gt_stats_id stat, int value)
{
	xe_gt_stats_incr(tile->primary_gt, stat, value);
	if (tile->media_gt)
		xe_gt_stats_incr(tile->media_gt, stat, value);
}

static void stat_add_tiles(struct xe_device *xe, u8 mask, enum xe_gt_stats_id stat,
			   int value)
{
	struct xe_tile *tile;
	u8 id;

	for_each_tile(tile, xe, id)
		if (mask & BIT(id))
			stat_add_gts(tile, stat, value);
}

/* Send the flush of an interval that was zapped. */
static int flush_submit(struct xe_vm *vm, unsigned long start, unsigned long end,
			u8 tiles, struct xe_tlb_inval_batch *batch)
{
	stat_add_tiles(vm->xe, tiles, XE_GT_STATS_ID_SVM_TLB_INVAL_COUNT, 1);
	xe_device_wmb(vm->xe);

	return xe_tlb_inval_range_tilemask_submit(vm->xe, vm->usm.asid, start, end,
						  tiles, batch);
}

/* Wait for all jobs that write page tables of a VM. No new ones can come. */
void xe_svm_binds_wait(struct xe_vm *vm)
{
	long left = dma_resv_wait_timeout(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP,
					  false, MAX_SCHEDULE_TIMEOUT);

	XE_WARN_ON(left <= 0);
}

/* A job that writes entries of a range and is not done yet; NULL if there is none. */
static struct dma_fence *range_bind_locked(struct xe_svm_range *range)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(range->binds); i++)
		if (range->binds[i] && !dma_fence_is_signaled(range->binds[i]))
			return range->binds[i];

	return NULL;
}

/* Wait for the jobs that write entries of a range that the caller has in hand. */
static void range_binds_wait(struct xe_svm_range *range)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(range->binds); i++)
		if (range->binds[i])
			dma_fence_wait(range->binds[i], false);
}

/* What a job has not written may be missing anywhere. */
static void range_note_failed_bind_locked(struct xe_svm_range *range, u8 tile_id)
{
	WRITE_ONCE(range->tile_partial, range->tile_partial | BIT(tile_id));
	WRITE_ONCE(range->tile_invalidated, range->tile_invalidated | BIT(tile_id));
	range->hole.start = 0;
	range->hole.end = 0;
}

/**
 * xe_svm_range_forget_binds() - Let go of the jobs of a range that are done
 * @range: The range, which the caller has in hand
 *
 * A job may have failed: its queue was banned, for instance. Then what it should have
 * bound isn't.
 */
void xe_svm_range_forget_binds(struct xe_svm_range *range)
{
	struct xe_vm *vm = range_to_vm(range);
	unsigned int i;

	lockdep_assert(xe_svm_range_is_in_hand(vm, range));

	xe_svm_notifier_lock(vm);
	/* The second pass of an invalidation may be looking at them. */
	for (i = 0; !range_zap_is_pending(range) && i < ARRAY_SIZE(range->binds); i++) {
		struct dma_fence *bind = range->binds[i];
		int status = bind ? dma_fence_get_status(bind) : 0;

		if (!status)
			continue;
		if (status < 0)
			range_note_failed_bind_locked(range, i / 2);
		range->binds[i] = NULL;
		dma_fence_put(bind);
	}
	xe_svm_notifier_unlock(vm);
}

/* The largest page that several entries can be marked as goes as one. */
static void range_round(const struct xe_svm_range *range, u64 *start, u64 *end)
{
	*start = max(ALIGN_DOWN(*start, SZ_64K), range->base.itree.start);
	*end = min(ALIGN(*end, SZ_64K), range->base.itree.last + 1);
}

/* Whether all that is mapped is bound where anything is. */
static bool range_has_no_hole_locked(struct xe_svm_range *range)
{
	return xe_svm_range_pages_valid(range) &&
	       !(range->tile_present & range->tile_invalidated);
}

/* Zap, and send the flush. Returns the tiles for which it has to be waited for. */
static u8 range_zap_and_submit_locked(struct xe_vm *vm, struct xe_svm_range *range,
				      u64 start, u64 end,
				      struct xe_tlb_inval_batch *batch)
{
	bool anew = range_has_no_hole_locked(range);
	u8 tiles;

	if (xe_vm_is_closed(vm))
		return 0;

	range_round(range, &start, &end);
	range_add_hole_locked(range, start, end, anew);
	tiles = range_zap(vm, range, &start, &end);
	if (tiles && WARN_ON_ONCE(flush_submit(vm, start, end, tiles, batch)))
		tiles = 0;

	return tiles;
}

/*
 * Zap a part of a range whose pages are mapped, outside of an invalidation. The caller has
 * it in hand, so that there are no new jobs for it.
 */
void xe_svm_range_zap_and_flush(struct xe_vm *vm, struct xe_svm_range *range,
				u64 start, u64 end)
{
	struct xe_tlb_inval_batch batch;

	lockdep_assert(xe_svm_range_is_in_hand(vm, range));

	range_binds_wait(range);

	xe_svm_notifier_lock(vm);
	range->flushing = range_zap_and_submit_locked(vm, range, start, end, &batch);
	xe_svm_notifier_unlock(vm);
	if (!range->flushing)
		return;

	xe_tlb_inval_batch_wait(&batch);
	xe_svm_notifier_lock(vm);
	range->flushing = 0;
	xe_svm_notifier_unlock(vm);
}

/**
 * xe_svm_ranges_zap_ptes_in_range() - Zap all ranges that overlap an interval
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 *
 * The caller flushes the TLBs. Until it has, it holds the VM's lock for writing and the
 * notifier lock for reading, or the other way round.
 *
 * Return: mask of the tiles whose TLBs have to be flushed.
 */
u8 xe_svm_ranges_zap_ptes_in_range(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;
	u8 tiles = 0;

	lockdep_assert_held(&vm->lock);
	lockdep_assert_held(&vm->svm.gpusvm.notifier_lock);

	/* The device went meanwhile. */
	if (xe_vm_is_closed(vm))
		return 0;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm.gpusvm, start, end) {
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, start, end)
			tiles |= range_zap_all(vm, to_xe_range(r));
	}

	return tiles;
}

/* ------------------------------------------------------------------------
 * Invalidation
 */

static bool zap_is_pending(const struct xe_svm_notifier *xnotifier)
{
	return xnotifier->zap_start < xnotifier->zap_end;
}

/* The interval grows over all that is hit. */
static void zap_add_locked(struct xe_svm_notifier *xnotifier, unsigned long start,
			   unsigned long end)
{
	if (zap_is_pending(xnotifier)) {
		start = min(start, xnotifier->zap_start);
		end = max(end, xnotifier->zap_end);
	}
	xnotifier->zap_start = start;
	xnotifier->zap_end = end;
}

/* A job that has to be done before what is pending is zapped; NULL if there is none. */
static struct dma_fence *pending_bind_locked(struct xe_svm_notifier *xnotifier)
{
	struct drm_gpusvm_range *r = NULL;
	struct dma_fence *bind;

	drm_gpusvm_for_each_range(r, &xnotifier->base, xnotifier->zap_start,
				  xnotifier->zap_end) {
		bind = range_zap_is_pending(to_xe_range(r)) ?
		       range_bind_locked(to_xe_range(r)) : NULL;
		if (bind)
			return bind;
	}

	return NULL;
}

/* Zap what is pending. */
static u8 zap_pending_ranges_locked(struct xe_vm *vm, struct xe_svm_notifier *xnotifier)
{
	const unsigned long first = xnotifier->zap_start, last = xnotifier->zap_end;
	struct drm_gpusvm_range *r = NULL;
	u8 tiles = 0;

	drm_gpusvm_for_each_range(r, &xnotifier->base, first, last) {
		struct xe_svm_range *range = to_xe_range(r);
		u64 start = range->zap.start, end = range->zap.end;
		u8 zapped;

		if (!range_zap_is_pending(range))
			continue;
		range->zap.start = 0;
		range->zap.end = 0;
		zapped = range_zap(vm, range, &start, &end) | range->flushing;
		if (zapped)
			zap_add_locked(xnotifier, start, end);
		tiles |= zapped;
	}

	return tiles;
}

/*
 * Zap what is pending and send the flush for it. No job that writes the entries
 * is under way, and no flush.
 */
static void zap_and_submit_locked(struct xe_vm *vm, struct xe_svm_notifier *xnotifier)
{
	u8 tiles;

	lockdep_assert_held_write(&vm->svm.gpusvm.notifier_lock);

	/* The page tables may be gone; they were cleared before. */
	tiles = xe_vm_is_closed(vm) ? 0 : zap_pending_ranges_locked(vm, xnotifier);

	if (tiles && !WARN_ON_ONCE(flush_submit(vm, xnotifier->zap_start,
						xnotifier->zap_end, tiles,
						&xnotifier->batch)))
		xnotifier->flushing = tiles;
	xnotifier->zap_start = 0;
	xnotifier->zap_end = 0;
}

/* Wait for the flush that is under way. */
static void flush_wait(struct xe_vm *vm, struct xe_svm_notifier *xnotifier)
{
	u8 tiles = READ_ONCE(xnotifier->flushing);

	if (!tiles)
		return;

	xe_tlb_inval_batch_wait(&xnotifier->batch);
	stat_add_tiles(vm->xe, tiles, XE_GT_STATS_ID_SVM_TLB_INVAL_US,
		       xe_gt_stats_ktime_us_delta(xnotifier->begin));
	/* Pairs with invalidate_start(): the batch can be used again. */
	smp_store_release(&xnotifier->flushing, 0);
}

/**
 * xe_svm_queue_garbage_collector() - Have the garbage collected soon
 * @vm: The VM
 */
void xe_svm_queue_garbage_collector(struct xe_vm *vm)
{
	queue_work(vm->usm.pf.wq, &vm->svm.garbage_collector.work);
}

/* The CPU has unmapped memory of a range. */
static void garbage_add_locked(struct xe_vm *vm, struct xe_svm_range *range,
			       const struct mmu_notifier_range *mmu_range)
{
	xe_svm_range_debug(range, "GARBAGE COLLECTOR ADD");

	drm_gpusvm_range_set_unmapped(&range->base, &range->pages, 1, mmu_range);

	spin_lock(&vm->svm.garbage_collector.lock);
	if (list_empty(&range->garbage_collector_link))
		list_add_tail(&range->garbage_collector_link,
			      &vm->svm.garbage_collector.range_list);
	spin_unlock(&vm->svm.garbage_collector.lock);

	xe_svm_queue_garbage_collector(vm);
}

/* Note what is to be zapped of a range. */
static void range_add_zap_locked(struct xe_svm_notifier *xnotifier,
				 struct xe_svm_range *range, u64 start, u64 end)
{
	if (range_zap_is_pending(range)) {
		start = min(start, range->zap.start);
		end = max(end, range->zap.end);
	}
	range->zap.start = start;
	range->zap.end = end;
	zap_add_locked(xnotifier, start, end);
}

/*
 * Take what is hit, which may be more than @start and @end tell: they are set to
 * what it is. Returns whether there was anything left to take.
 */
static bool range_take_locked(struct xe_svm_notifier *xnotifier,
			      struct xe_svm_range *range, u64 *start, u64 *end)
{
	struct drm_gpusvm_pages *pages = &range->pages;
	bool valid = xe_svm_range_pages_valid(range);
	unsigned int missing = pages->nr_missing;
	unsigned long first = *start, last = *end;

	if (!drm_gpusvm_pages_mapped(pages))
		return false;

	drm_gpusvm_unmap_part_deferred(&xnotifier->base, pages,
				       xe_svm_range_start(range), &first, &last);
	*start = first;
	*end = last;
	range_round(range, start, end);

	return valid || pages->nr_missing != missing || !drm_gpusvm_pages_mapped(pages);
}

/* First pass: what is hit is not valid any more, and the GPU has to forget it. */
static void range_invalidate(struct xe_vm *vm, struct xe_svm_notifier *xnotifier,
			     struct xe_svm_range *range,
			     const struct mmu_notifier_range *mmu_range)
{
	u64 start = max(mmu_range->start, xe_svm_range_start(range));
	u64 end = min(mmu_range->end, xe_svm_range_end(range));
	bool anew = range_has_no_hole_locked(range);
	bool taken;

	xe_svm_range_debug(range, "NOTIFIER");

	taken = range_take_locked(xnotifier, range, &start, &end);
	if (taken) {
		range->changed = true;
		range_add_hole_locked(range, start, end, anew);
	}

	if (xe_vm_is_closed(vm))
		return;

	/* What was taken before is zapped, or is going to be. */
	if (taken && (range_live_tiles(range) || range->flushing))
		range_add_zap_locked(xnotifier, range, start, end);
	if (mmu_range->event == MMU_NOTIFY_UNMAP)
		garbage_add_locked(vm, range, mmu_range);
}

/* Whether the second pass has more to do than the core knows of. */
static bool notifier_needs_finish(struct xe_svm_notifier *xnotifier)
{
	return zap_is_pending(xnotifier) || READ_ONCE(xnotifier->flushing);
}

bool xe_svm_invalidate_start(struct drm_gpusvm *gpusvm,
			     struct drm_gpusvm_notifier *notifier,
			     const struct mmu_notifier_range *mmu_range)
{
	struct xe_svm_notifier *xnotifier = to_xe_notifier(notifier);
	struct xe_vm *vm = gpusvm_to_vm(gpusvm);
	struct drm_gpusvm_range *r = NULL;

	xe_svm_assert_in_notifier(vm);
	vm_dbg(&vm->xe->drm, "INVALIDATE: asid=%u, [0x%016lx, 0x%016lx), event=%d",
	       vm->usm.asid, mmu_range->start, mmu_range->end, mmu_range->event);

	drm_gpusvm_for_each_range(r, notifier, mmu_range->start, mmu_range->end)
		range_invalidate(vm, xnotifier, to_xe_range(r), mmu_range);

	/* Pairs with flush_wait(). A flush that is under way came too early. */
	if (zap_is_pending(xnotifier) && !smp_load_acquire(&xnotifier->flushing) &&
	    !pending_bind_locked(xnotifier)) {
		xnotifier->begin = xe_gt_stats_ktime_get();
		zap_and_submit_locked(vm, xnotifier);
	}

	return notifier_needs_finish(xnotifier);
}

/*
 * Wait for the jobs of the ranges in question, which are not bound again before they were
 * zapped.
 */
static void pending_binds_wait(struct xe_vm *vm, struct xe_svm_notifier *xnotifier)
{
	struct dma_fence *bind;

	do {
		xe_svm_notifier_lock(vm);
		bind = dma_fence_get(pending_bind_locked(xnotifier));
		xe_svm_notifier_unlock(vm);
		if (bind)
			dma_fence_wait(bind, false);
		dma_fence_put(bind);
	} while (bind);
}

/* Zap what a first pass could not. Returns false if another one has brought more jobs. */
static bool finish_zap(struct xe_vm *vm, struct xe_svm_notifier *xnotifier, ktime_t begin)
{
	struct rw_semaphore *lock = &vm->svm.gpusvm.notifier_lock;
	bool done;

	pending_binds_wait(vm, xnotifier);

	down_write(lock);
	/* A first pass may have been faster, with a flush that covers it all. */
	done = xnotifier->flushing || !pending_bind_locked(xnotifier);
	if (done && !xnotifier->flushing) {
		xnotifier->begin = begin;
		zap_and_submit_locked(vm, xnotifier);
	}
	up_write(lock);

	return done;
}

/* The core lets only one second pass of a window run at a time. */
void xe_svm_invalidate_finish(struct drm_gpusvm *gpusvm,
			      struct drm_gpusvm_notifier *notifier)
{
	struct xe_svm_notifier *xnotifier = to_xe_notifier(notifier);
	struct xe_vm *vm = gpusvm_to_vm(gpusvm);
	ktime_t begin = xe_gt_stats_ktime_get();
	bool pending;

	flush_wait(vm, xnotifier);

	xe_svm_notifier_lock(vm);
	pending = zap_is_pending(xnotifier);
	xe_svm_notifier_unlock(vm);
	while (pending && !finish_zap(vm, xnotifier, begin))
		;

	/* What another first pass has zapped it had flushed when the lock was free for us. */
	flush_wait(vm, xnotifier);
}
