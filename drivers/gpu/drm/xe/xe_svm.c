// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: ranges, invalidation, garbage collection.
 */

#include "xe_svm.h"

#include <linux/pci-p2pdma.h>

#include <kunit/static_stub.h>

#include <drm/drm_device.h>
#include <drm/drm_pagemap.h>

#include "xe_assert.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_gt_stats.h"
#include "xe_macros.h"
#include "xe_module.h"
#include "xe_pt.h"
#include "xe_tile.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe SVM
 *
 * A VM in fault mode mirrors the address space of the process that made it. Each
 * &struct xe_svm_range is a range of drm_gpusvm together with its mapping for the
 * one device of the VM. The life of a range, and who does what:
 *
 * alloc
 *	A fault or a prefetch finds no range. The core allocates one with
 *	&drm_gpusvm_ops.range_alloc, where its pages learn which device they are
 *	for. The range holds a reference on the VM.
 * get
 *	xe_svm_range_get_pages() has the core look at the CPU's page tables and map
 *	what it finds.
 * bind
 *	xe_vm_range_rebind() writes the GPU's page tables, if the pages are still
 *	valid under the notifier lock. Entries allow writing if the pages do.
 * invalidate
 *	The CPU takes pages away. The GPU's entries are zapped, its TLBs flushed,
 *	and the pages unmapped. The range stays, for the next fault.
 * collect
 *	The CPU has unmapped the memory. What the invalidation can't do, since it
 *	may run in reclaim, is left to the garbage collector: it waits until the GPU
 *	has forgotten the range and its pages are unmapped, unbinds it, and removes
 *	it. In this order, because the page tables are freed with the unbinding, and
 *	because an invalidation does not find a range that was removed.
 * free
 *	With the last reference the range frees its pages and puts the VM.
 *
 * &xe_vm.lock, held for writing, serialises everything but the invalidation and the
 * removal of the device. It is taken around a fault, a bind and the garbage collector.
 */

/**
 * DOC: Xe SVM invalidation
 *
 * Zapping writes zeroes into page tables from the CPU. It must come after the
 * jobs that write them from the GPU, so where such a job is under way it has to be
 * waited for. Both that and the flush of the TLBs take long, compared with
 * everything else here, so an invalidation has two passes.
 *
 * The first one, under the notifier lock, takes the pages away from the ranges,
 * so that nobody can bind them, and notes in each range, and in the window's &struct
 * xe_svm_notifier, from where to where there is something to be zapped. If no job
 * is under way it zaps at once and sends the flush. Otherwise nothing of the range is
 * bound until that was done.
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
 * The owner of a VM zaps as well: to write to what was bound for reading, and to
 * collect garbage. It does not keep the notifier lock while it waits for the flush
 * either. An invalidation that comes meanwhile finds nothing to be zapped, but waits
 * for the flush before anything is unmapped.
 *
 * A closed VM has no page table entries any more, and its TLBs are flushed. Then
 * the pages are unmapped, and that is all. A VM is closed with its file, or by the
 * removal of the device, which does not wait for &xe_vm.lock. So whoever binds looks
 * for that under the notifier lock.
 */

/**
 * DOC: Xe SVM binding
 *
 * What is mapped of a range is bound, and the rest of the entries are zero: pages
 * behind the end of a file, pages that a write may not touch, and those that an
 * invalidation has taken. Each segment of the mapping says whether it may be written to.
 *
 * The first bind on a tile is for all of a range, gaps included, since its entries
 * are counted there. Later ones are for &xe_svm_range.hole, which holds all pages that
 * lack an entry. A tile whose bit in &xe_svm_range.tile_invalidated is clear has
 * entries for all that is mapped.
 *
 * A bind puts its entries together without the notifier lock. It is void if an
 * invalidation has taken anything of the range before it is committed. Where that
 * happens again and again, the bind is for one page, &xe_svm_range.window, and only
 * that page has to be there still.
 */

/**
 * DOC: Xe SVM memory that can't be migrated in part
 *
 * Migration is best effort, so a range can be partly in VRAM and partly in RAM,
 * and is mapped as it is. Devices that need VRAM to be mapped in pages of 64K are
 * the exception. For these a range has to be in one place, and what comes out
 * different is evicted.
 */

/*
 * What the owner of pages is asked about: a region of VRAM, or a VM. Tells which
 * object a peer is embedded in.
 */
#define XE_PEER_PAGEMAP	((void *)0ul)
#define XE_PEER_VM	((void *)1ul)

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
 * @owner_flushing: The VM's owner waits for a flush of its own. Set under the
 *		    notifier lock and the VM's, cleared under the latter
 */
struct xe_svm_notifier {
	struct drm_gpusvm_notifier base;
	unsigned long zap_start;
	unsigned long zap_end;
	struct xe_tlb_inval_batch batch;
	u8 flushing;
	ktime_t begin;
	bool owner_flushing;
};

static struct xe_svm_notifier *to_xe_notifier(struct drm_gpusvm_notifier *notifier)
{
	return container_of(notifier, struct xe_svm_notifier, base);
}

static struct xe_vm *gpusvm_to_vm(struct drm_gpusvm *gpusvm)
{
	return container_of(gpusvm, struct xe_vm, svm.gpusvm);
}

static struct xe_vm *range_to_vm(struct xe_svm_range *range)
{
	return gpusvm_to_vm(range->base.gpusvm);
}

static unsigned long range_npages(struct xe_svm_range *range)
{
	return xe_svm_range_size(range) >> PAGE_SHIFT;
}

/* Flags of a range have one writer, which uses WRITE_ONCE() in the core. */
static struct drm_gpusvm_range_flags range_flags(struct xe_svm_range *range)
{
	return (struct drm_gpusvm_range_flags) {
		.__flags = READ_ONCE(range->base.flags.__flags),
	};
}

/* Whether there is VRAM in the mapping; advisory without the notifier lock. */
static bool range_in_vram(struct xe_svm_range *range)
{
	struct drm_gpusvm_pages_flags flags = {
		.__flags = READ_ONCE(range->pages.flags.__flags),
	};

	return flags.has_devmem_pages;
}

/* Tiles that can reach all that is mapped of the range. */
static u8 range_bound_tiles(struct xe_svm_range *range)
{
	return READ_ONCE(range->tile_present) & ~READ_ONCE(range->tile_invalidated);
}

/* Tiles that can reach some of it. */
static u8 range_live_tiles(struct xe_svm_range *range)
{
	return range_bound_tiles(range) |
	       (READ_ONCE(range->tile_present) & READ_ONCE(range->tile_partial));
}

/**
 * xe_svm_range_debug() - Say what happens to a range
 * @range: The range
 * @operation: What happens
 *
 * Says so only with CONFIG_DRM_XE_DEBUG_VM.
 */
void xe_svm_range_debug(struct xe_svm_range *range, const char *operation)
{
	struct xe_vm *vm = range_to_vm(range);

	vm_dbg(&vm->xe->drm,
	       "%s: asid=%u, range=[0x%014lx, 0x%014lx), vram=%d, present=%#x, invalidated=%#x, seqno=%lu",
	       operation, vm->usm.asid, xe_svm_range_start(range),
	       xe_svm_range_end(range), range_in_vram(range),
	       range->tile_present, range->tile_invalidated,
	       range->pages.notifier_seq);
}

/* ------------------------------------------------------------------------
 * Objects
 */

static struct drm_gpusvm_notifier *xe_svm_notifier_alloc(void)
{
	struct xe_svm_notifier *xnotifier = kzalloc_obj(*xnotifier);

	return xnotifier ? &xnotifier->base : NULL;
}

static void xe_svm_notifier_free(struct drm_gpusvm_notifier *notifier)
{
	kfree(to_xe_notifier(notifier));
}

static struct drm_gpusvm_range *xe_svm_range_alloc(struct drm_gpusvm *gpusvm)
{
	struct xe_vm *vm = gpusvm_to_vm(gpusvm);
	struct xe_svm_range *range = kzalloc_obj(*range);

	if (!range)
		return NULL;

	if (drm_gpusvm_init_pages(&range->pages, &vm->xe->drm)) {
		kfree(range);
		return NULL;
	}
	INIT_LIST_HEAD(&range->garbage_collector_link);
	range->wanted = XE_SVM_ANY_PAGE;
	xe_vm_get(vm);

	return &range->base;
}

static void xe_svm_range_free(struct drm_gpusvm_range *base)
{
	struct xe_svm_range *range = to_xe_range(base);
	struct xe_vm *vm = range_to_vm(range);

	drm_gpusvm_free_pages(base->gpusvm, &range->pages, range_npages(range));
	kfree(range);
	/* The VM embeds the GPU SVM, so this comes last. */
	xe_vm_put(vm);
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

/* Wait for the jobs that write page tables. */
static void binds_wait(struct xe_vm *vm)
{
	long left = dma_resv_wait_timeout(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP,
					  false, MAX_SCHEDULE_TIMEOUT);

	XE_WARN_ON(left <= 0);
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

/* Zap, and send the flush. Returns whether there is one to be waited for. */
static bool range_zap_and_submit_locked(struct xe_vm *vm, struct xe_svm_range *range,
					u64 start, u64 end,
					struct xe_tlb_inval_batch *batch)
{
	bool anew = range_has_no_hole_locked(range);
	u8 tiles;

	if (xe_vm_is_closed(vm))
		return false;

	range_round(range, &start, &end);
	range_add_hole_locked(range, start, end, anew);
	tiles = range_zap(vm, range, &start, &end);

	return tiles && !WARN_ON_ONCE(flush_submit(vm, start, end, tiles, batch));
}

/*
 * Zap a part of a range whose pages are mapped, outside of an invalidation. One that
 * comes while the TLBs are flushed has nothing to zap, and waits for this flush.
 */
static void range_zap_and_flush(struct xe_vm *vm, struct xe_svm_range *range,
				u64 start, u64 end)
{
	struct xe_svm_notifier *xnotifier = to_xe_notifier(range->base.notifier);
	struct xe_tlb_inval_batch batch;

	lockdep_assert_held_write(&vm->lock);

	/* No new jobs can come while the VM's lock is held. */
	binds_wait(vm);

	xe_svm_notifier_lock(vm);
	if (range_zap_and_submit_locked(vm, range, start, end, &batch))
		WRITE_ONCE(xnotifier->owner_flushing, true);
	xe_svm_notifier_unlock(vm);

	if (!xnotifier->owner_flushing)
		return;

	xe_tlb_inval_batch_wait(&batch);
	/* Pairs with owner_flush_wait(). */
	smp_store_release(&xnotifier->owner_flushing, false);
	wake_up_var(&xnotifier->owner_flushing);
}

static bool owner_is_flushing(struct xe_svm_notifier *xnotifier)
{
	/* Pairs with range_zap_and_flush(). */
	return smp_load_acquire(&xnotifier->owner_flushing);
}

/* Wait for the flush of the owner, who waits for nothing else meanwhile. */
static void owner_flush_wait(struct xe_svm_notifier *xnotifier)
{
	wait_var_event(&xnotifier->owner_flushing, !owner_is_flushing(xnotifier));
}

/**
 * xe_svm_ranges_zap_ptes_in_range() - Zap all ranges that overlap an interval
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 *
 * The caller flushes the TLBs and holds the VM's lock for writing and the
 * notifier lock for reading until it has.
 *
 * Return: mask of the tiles whose TLBs have to be flushed.
 */
u8 xe_svm_ranges_zap_ptes_in_range(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;
	u8 tiles = 0;

	lockdep_assert_held_write(&vm->lock);
	lockdep_assert_held_read(&vm->svm.gpusvm.notifier_lock);

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

static bool range_zap_is_pending(const struct xe_svm_range *range)
{
	return range->zap.start < range->zap.end;
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
		zapped = range_zap(vm, range, &start, &end);
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

	queue_work(vm->xe->usm.vm_wq, &vm->svm.garbage_collector.work);
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
	if (taken && range_live_tiles(range))
		range_add_zap_locked(xnotifier, range, start, end);
	if (mmu_range->event == MMU_NOTIFY_UNMAP)
		garbage_add_locked(vm, range, mmu_range);
}

/* Whether the second pass has more to do than the core knows of. */
static bool notifier_needs_finish(struct xe_svm_notifier *xnotifier)
{
	return zap_is_pending(xnotifier) || READ_ONCE(xnotifier->flushing) ||
	       READ_ONCE(xnotifier->owner_flushing);
}

static bool xe_svm_invalidate_start(struct drm_gpusvm *gpusvm,
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
	    dma_resv_test_signaled(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP)) {
		xnotifier->begin = xe_gt_stats_ktime_get();
		zap_and_submit_locked(vm, xnotifier);
	}

	return notifier_needs_finish(xnotifier);
}

/* Zap what a first pass could not, since a job was under way. */
static void finish_zap(struct xe_vm *vm, struct xe_svm_notifier *xnotifier, ktime_t begin)
{
	struct rw_semaphore *lock = &vm->svm.gpusvm.notifier_lock;

	/*
	 * Jobs that come after this can't be for the ranges in question, which are
	 * not bound before they were zapped.
	 */
	binds_wait(vm);

	down_write(lock);
	/* A first pass may have been faster, with a flush that covers it all. */
	if (!xnotifier->flushing) {
		xnotifier->begin = begin;
		zap_and_submit_locked(vm, xnotifier);
	}
	up_write(lock);
}

/* The core lets only one second pass of a window run at a time. */
static void xe_svm_invalidate_finish(struct drm_gpusvm *gpusvm,
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
	if (pending)
		finish_zap(vm, xnotifier, begin);

	/*
	 * Whoever else has zapped what was pending, the owner or another first pass,
	 * had sent the flush when the lock was free for us.
	 */
	owner_flush_wait(xnotifier);
	flush_wait(vm, xnotifier);
}

static const struct drm_gpusvm_ops xe_gpusvm_ops = {
	.notifier_alloc = xe_svm_notifier_alloc,
	.notifier_free = xe_svm_notifier_free,
	.range_alloc = xe_svm_range_alloc,
	.range_free = xe_svm_range_free,
	.invalidate_start = xe_svm_invalidate_start,
	.invalidate_finish = xe_svm_invalidate_finish,
};

/* ------------------------------------------------------------------------
 * Garbage collection
 */

static void garbage_remove(struct xe_vm *vm, struct xe_svm_range *range)
{
	spin_lock(&vm->svm.garbage_collector.lock);
	list_del_init(&range->garbage_collector_link);
	spin_unlock(&vm->svm.garbage_collector.lock);
}

static struct xe_svm_range *garbage_first(struct xe_vm *vm)
{
	struct xe_svm_range *range;

	spin_lock(&vm->svm.garbage_collector.lock);
	range = list_first_entry_or_null(&vm->svm.garbage_collector.range_list,
					 struct xe_svm_range, garbage_collector_link);
	spin_unlock(&vm->svm.garbage_collector.lock);

	return range;
}

/*
 * Have the GPU forget a range, and unmap its pages. That waits for the flush of an
 * invalidation, too.
 */
static void range_unmap(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct drm_gpusvm_ctx ctx = {};

	if (range_live_tiles(range))
		range_zap_and_flush(vm, range, xe_svm_range_start(range),
				    xe_svm_range_end(range));
	drm_gpusvm_unmap_pages(&vm->svm.gpusvm, &range->pages, range_npages(range),
			       &ctx);
}

static int range_unbind(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct dma_fence *fence;

	xe_vm_lock(vm, false);
	fence = xe_vm_range_unbind(vm, range);
	xe_vm_unlock(vm);
	if (!IS_ERR(fence))
		dma_fence_put(fence);

	return PTR_ERR_OR_ZERO(fence);
}

/*
 * What is left of the range stays in VRAM: it gets new, smaller ranges, and if the
 * VRAM is needed for something else TTM evicts it. But a device that maps VRAM in
 * pages of 64K can't map small ranges of it.
 */
static bool range_must_leave_vram(struct xe_vm *vm, struct xe_svm_range *range)
{
	return range_flags(range).partial_unmap && range->base.flags.migrate_devmem &&
	       IS_DGFX(vm->xe) && !xe_svm_can_map_mixed(vm->xe);
}

/*
 * Unmap, unbind and remove a range. It is gone then, unless the caller has a
 * reference; after an error it is still there.
 */
static int range_collect(struct xe_vm *vm, struct xe_svm_range *range)
{
	int err;

	lockdep_assert_held_write(&vm->lock);
	xe_svm_range_debug(range, "GARBAGE COLLECTOR");

	/* Page tables are freed when they are unbound: until then the GPU may read them. */
	range_unmap(vm, range);
	err = range_unbind(vm, range);
	if (err)
		return err;

	if (range_must_leave_vram(vm, range))
		drm_gpusvm_range_evict(&vm->svm.gpusvm, &range->base);

	drm_gpusvm_range_get(&range->base);
	drm_gpusvm_range_remove(&vm->svm.gpusvm, &range->base);
	/* Only now no invalidation can put it on the list any more. */
	garbage_remove(vm, range);
	drm_gpusvm_range_put(&range->base);

	return 0;
}

static void vma_reset_attributes(struct xe_vma *vma)
{
	struct xe_vma_mem_attr attr = {
		.atomic_access = DRM_XE_ATOMIC_UNDEFINED,
		.pat_index = vma->attr.default_pat_index,
		.preferred_loc = {
			.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE,
			.migration_policy = DRM_XE_MIGRATE_ALL_PAGES,
		},
		.purgeable_state = XE_MADV_PURGEABLE_WILLNEED,
	};

	xe_vma_mem_attr_copy(&vma->attr, &attr);
}

/*
 * Memory that is unmapped takes its attributes along, where the user asked for
 * that. The interval gets a VMA with the default attributes, together with its
 * neighbours that have them.
 *
 * Return: 0; -EAGAIN if VMAs have changed, so that pointers to them are stale; or
 * another error, after which the VM is of no use.
 */
static int reset_attributes(struct xe_vm *vm, u64 start, u64 end)
{
	struct xe_vma *vma = xe_vm_find_vma_by_addr(vm, start);
	bool is_default;
	int err;

	/* The mirror itself may be gone. */
	if (!vma || !(vma->gpuva.flags & XE_VMA_MADV_AUTORESET))
		return 0;

	is_default = xe_vma_has_default_mem_attrs(vma);
	if (is_default) {
		start = xe_vma_start(vma);
		end = xe_vma_end(vma);
	} else if (xe_vma_start(vma) == start && xe_vma_end(vma) == end) {
		vma_reset_attributes(vma);
	}

	xe_vm_find_cpu_addr_mirror_vma_range(vm, &start, &end);
	if (is_default && xe_vma_start(vma) == start && xe_vma_end(vma) == end)
		return 0;

	vm_dbg(&vm->xe->drm, "Default attributes for [0x%016llx, 0x%016llx)\n",
	       start, end);
	err = xe_vm_alloc_cpu_addr_mirror_vma(vm, start, end - start);
	if (!err)
		return -EAGAIN;

	drm_warn(&vm->xe->drm, "Resetting memory attributes failed: %pe\n", ERR_PTR(err));
	xe_vm_kill(vm, true);

	return err;
}

/* If the memory was unmapped meanwhile, do what the garbage collector would. */
static int range_collect_and_reset(struct xe_vm *vm, struct xe_svm_range *range)
{
	u64 start = xe_svm_range_start(range), end = xe_svm_range_end(range);
	bool unmapped;
	int err;

	drm_gpusvm_range_get(&range->base);
	err = range_collect(vm, range);
	unmapped = range_flags(range).unmapped;
	drm_gpusvm_range_put(&range->base);

	return err || !unmapped ? err : reset_attributes(vm, start, end);
}

/**
 * xe_svm_ranges_collect() - Unbind, unmap and remove all ranges in an interval
 * @vm: The VM; its lock is held for writing
 * @start: First address
 * @end: Address behind the last one
 *
 * Memory attributes that go with the memory of a range go, too, if that was unmapped
 * meanwhile.
 *
 * Return: 0, -EAGAIN if the VMAs have changed because of that, or another error.
 */
int xe_svm_ranges_collect(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier, *next_notifier;
	struct drm_gpusvm_range *r, *next;
	int err, ret = 0;

	lockdep_assert_held_write(&vm->lock);

	drm_gpusvm_for_each_notifier_safe(notifier, next_notifier, &vm->svm.gpusvm,
					  start, end) {
		drm_gpusvm_for_each_range_safe(r, next, notifier, start, end) {
			err = range_collect_and_reset(vm, to_xe_range(r));
			if (err && err != -EAGAIN)
				return err;
			ret = ret ?: err;
		}
	}

	return ret;
}

/* A range that can't be unbound stays where it is, and the VM can't go on. */
static int collect_or_kill(struct xe_vm *vm, struct xe_svm_range *range)
{
	int err = range_collect(vm, range);

	if (!err)
		return 0;

	drm_warn(&vm->xe->drm, "Garbage collection failed: %pe\n", ERR_PTR(err));
	xe_vm_kill(vm, true);

	return err;
}

static int collect_garbage_range(struct xe_vm *vm, struct xe_svm_range *range)
{
	u64 start = xe_svm_range_start(range), end = xe_svm_range_end(range);
	int err = collect_or_kill(vm, range);

	return err ?: reset_attributes(vm, start, end);
}

static struct xe_svm_range *garbage_find(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm.gpusvm, start, end) {
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, start, end)
			if (range_flags(to_xe_range(r)).unmapped)
				return to_xe_range(r);
	}

	return NULL;
}

/**
 * xe_svm_collect_garbage_at() - Collect what is in the way of a fault
 * @vm: The VM; its lock is held for writing
 * @addr: The fault address
 *
 * Collects garbage as far away as the largest range could reach. The rest is left
 * to the worker.
 *
 * Return: 0; -EAGAIN if VMAs have changed; -ENOENT if the VM is closed or banned;
 * or another error.
 */
int xe_svm_collect_garbage_at(struct xe_vm *vm, u64 addr)
{
	u64 start = ALIGN_DOWN(addr, SZ_2M), end = start + SZ_2M;
	struct xe_svm_range *range;
	int err, ret = 0;

	lockdep_assert_held_write(&vm->lock);

	if (xe_vm_is_closed_or_banned(vm))
		return -ENOENT;

	while ((range = garbage_find(vm, start, end))) {
		err = collect_garbage_range(vm, range);
		if (err && err != -EAGAIN)
			return err;
		ret = ret ?: err;
	}

	return ret;
}

static void collect_all_garbage(struct xe_vm *vm)
{
	struct xe_svm_range *range;
	int err = 0;

	lockdep_assert_held_write(&vm->lock);

	while (!xe_vm_is_closed_or_banned(vm) && (!err || err == -EAGAIN)) {
		range = garbage_first(vm);
		if (!range)
			break;
		err = collect_garbage_range(vm, range);
	}
}

static void garbage_collector_work(struct work_struct *w)
{
	struct xe_vm *vm = container_of(w, struct xe_vm, svm.garbage_collector.work);

	guard(rwsem_write)(&vm->lock);
	collect_all_garbage(vm);
}

/* Whether the range reaches over either end of the interval. */
static bool range_straddles(struct xe_svm_range *range, u64 start, u64 end)
{
	return xe_svm_range_start(range) < start || xe_svm_range_end(range) > end;
}

/**
 * xe_svm_unmap_address_range() - Make room for a VMA that begins or ends within
 *				  ranges
 * @vm: The VM; its lock is held for writing
 * @start: First address of the VMA
 * @end: Address behind the last one
 *
 * Ranges don't cross the border of a VMA. Those that would are removed; faults
 * make new ones that fit. Their memory goes to RAM, because smaller ranges may
 * belong somewhere else.
 */
void xe_svm_unmap_address_range(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier, *next_notifier;
	struct drm_gpusvm_range *r, *next;

	lockdep_assert_held_write(&vm->lock);

	drm_gpusvm_for_each_notifier_safe(notifier, next_notifier, &vm->svm.gpusvm,
					  start, end) {
		drm_gpusvm_for_each_range_safe(r, next, notifier, start, end) {
			if (!range_straddles(to_xe_range(r), start, end))
				continue;
			xe_svm_range_migrate_to_smem(vm, to_xe_range(r));
			if (collect_or_kill(vm, to_xe_range(r)))
				return;
		}
	}
}

/* ------------------------------------------------------------------------
 * The VM's life
 */

static struct device *peer_to_dev(struct drm_pagemap_peer *peer)
{
	if (peer->private == XE_PEER_VM)
		return container_of(peer, struct xe_vm, svm.peer)->xe->drm.dev;

	return container_of(peer, struct xe_pagemap, peer)->dpagemap.drm->dev;
}

static bool peers_are_connected(struct drm_pagemap_peer *peer1,
				struct drm_pagemap_peer *peer2)
{
	struct device *a = peer_to_dev(peer1), *b = peer_to_dev(peer2);

	return a == b || pci_p2pdma_distance(to_pci_dev(a), b, true) >= 0;
}

static DRM_PAGEMAP_OWNER_LIST_DEFINE(xe_owner_list);

/**
 * xe_svm_acquire_owner() - Find an owner of device pages that a peer may share
 * @peer: The peer
 * @is_vm: It is part of a &struct xe_vm, not of a &struct xe_pagemap
 *
 * Return: 0, or a negative error.
 */
int xe_svm_acquire_owner(struct drm_pagemap_peer *peer, bool is_vm)
{
	peer->private = is_vm ? XE_PEER_VM : XE_PEER_PAGEMAP;

	return drm_pagemap_acquire_owner(peer, &xe_owner_list, peers_are_connected);
}

/**
 * xe_svm_private_page_owner() - Whose device pages a VM can use in place
 * @vm: The VM
 * @force_smem: None: everything is to be in RAM
 *
 * Return: the owner, or NULL.
 */
void *xe_svm_private_page_owner(struct xe_vm *vm, bool force_smem)
{
	return force_smem ? NULL : vm->svm.peer.owner;
}

/* What a range can be large, so that it fits the GPU's page sizes. */
static const unsigned long xe_svm_chunk_sizes[] = { SZ_2M, SZ_64K, SZ_4K };

static int mirror_init(struct xe_vm *vm)
{
	int err;

	spin_lock_init(&vm->svm.garbage_collector.lock);
	INIT_LIST_HEAD(&vm->svm.garbage_collector.range_list);
	INIT_WORK(&vm->svm.garbage_collector.work, garbage_collector_work);

	err = xe_svm_acquire_owner(&vm->svm.peer, true);
	if (err)
		return err;

	err = xe_svm_get_pagemaps(vm);
	if (err)
		goto err_owner;

	err = drm_gpusvm_init(&vm->svm.gpusvm, "Xe SVM", current->mm, 0, vm->size,
			      xe_modparam.svm_notifier_size * SZ_1M, &xe_gpusvm_ops,
			      xe_svm_chunk_sizes, ARRAY_SIZE(xe_svm_chunk_sizes));
	if (err)
		goto err_pagemaps;
	drm_gpusvm_driver_set_lock(&vm->svm.gpusvm, &vm->lock);
	drm_gpusvm_services_init(&vm->svm.services, current->mm);
	drm_gpusvm_services_init(&vm->svm.vma_services, NULL);

	return 0;

err_pagemaps:
	xe_svm_put_pagemaps(vm);
err_owner:
	drm_pagemap_release_owner(&vm->svm.peer);
	return err;
}

/**
 * xe_svm_init() - Set up a VM for SVM
 * @vm: The VM
 *
 * A VM that is not in fault mode has no mirror. It needs the core for userptrs.
 *
 * Return: 0, or a negative error.
 */
int xe_svm_init(struct xe_vm *vm)
{
	if (vm->flags & XE_VM_FLAG_FAULT_MODE)
		return mirror_init(vm);

	drm_gpusvm_services_init(&vm->svm.services, NULL);
	drm_gpusvm_services_init(&vm->svm.vma_services, NULL);

	return drm_gpusvm_init(&vm->svm.gpusvm, "Xe userptr", NULL, 0, 0, 0, NULL,
			       NULL, 0);
}

/**
 * xe_svm_close() - Stop what a VM does for SVM
 * @vm: The VM, in fault mode and closed
 *
 * Invalidations may still come, until xe_svm_fini().
 */
void xe_svm_close(struct xe_vm *vm)
{
	xe_assert(vm->xe, xe_vm_is_closed(vm));

	disable_work_sync(&vm->svm.garbage_collector.work);
	xe_svm_put_pagemaps(vm);
	drm_pagemap_release_owner(&vm->svm.peer);
}

/* While invalidations can still find them: a munmap() must not miss a mapping. */
static void unmap_all_ranges(struct xe_vm *vm, bool locked)
{
	struct drm_gpusvm *gpusvm = &vm->svm.gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;
	struct drm_gpusvm_ctx ctx = { .in_notifier = locked };

	drm_gpusvm_for_each_notifier(notifier, gpusvm, 0, ULONG_MAX) {
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, 0, ULONG_MAX)
			drm_gpusvm_unmap_pages(gpusvm, &to_xe_range(r)->pages,
					       range_npages(to_xe_range(r)), &ctx);
	}
}

/**
 * xe_svm_fini() - Undo xe_svm_init()
 * @vm: The VM, closed; its lock is held for writing if it ever had ranges
 */
void xe_svm_fini(struct xe_vm *vm)
{
	xe_assert(vm->xe, xe_vm_is_closed(vm));

	drm_gpusvm_services_fini(&vm->svm.vma_services);
	drm_gpusvm_services_fini(&vm->svm.services);
	unmap_all_ranges(vm, false);
	drm_gpusvm_fini(&vm->svm.gpusvm);
}

/* Page tables of a VM that is closed meanwhile may be gone, and were cleared before. */
static void cut_off_locked(struct xe_vm *vm)
{
	struct xe_tile *tile;
	struct xe_gt *gt;
	u8 id;

	if (!xe_vm_is_closed(vm)) {
		vm->size = 0;
		binds_wait(vm);
		for_each_tile(tile, vm->xe, id)
			if (vm->pt_root[id])
				xe_pt_clear(vm->xe, vm->pt_root[id]);
		for_each_gt(gt, vm->xe, id)
			xe_tlb_inval_vm(&gt->tlb_inval, vm);
	}
	unmap_all_ranges(vm, true);
}

/* A range that the second pass of an invalidation has yet to unmap, with a reference. */
static struct xe_svm_range *find_deferred_range(struct xe_vm *vm)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm.gpusvm, 0, ULONG_MAX) {
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, 0, ULONG_MAX)
			if (READ_ONCE(to_xe_range(r)->pages.deferred_by))
				return to_xe_range(drm_gpusvm_range_get(r));
	}

	return NULL;
}

/*
 * Do for a VM what its user's last close does: nothing is mapped for the GPU any more, so
 * that page tables are left alone. The rest of it waits for the close.
 *
 * The VM's lock would not do: a call may hold it while it waits for memory that never
 * comes.
 */
static void vm_cut_off(struct xe_vm *vm)
{
	struct rw_semaphore *lock = &vm->svm.gpusvm.notifier_lock;
	struct xe_svm_range *range;

	xe_svm_cancel(vm);

	down_write(lock);
	cut_off_locked(vm);
	range = find_deferred_range(vm);
	up_write(lock);

	while (range) {
		/* Nothing of it: that waits for the second pass. */
		drm_gpusvm_unmap_part(&vm->svm.gpusvm, &range->pages,
				      xe_svm_range_start(range), 0, 0);
		drm_gpusvm_range_put(&range->base);
		down_read(lock);
		range = find_deferred_range(vm);
		up_read(lock);
	}
}

/* The first VM from an address space id on, with a reference. */
static struct xe_vm *next_vm(struct xe_device *xe, unsigned long *asid)
{
	struct xe_vm *vm;

	guard(rwsem_read)(&xe->usm.lock);

	vm = xa_find(&xe->usm.asid_to_vm, asid, ULONG_MAX, XA_PRESENT);

	return vm ? xe_vm_get(vm) : NULL;
}

/**
 * xe_svm_remove_device() - Take the memory of all processes away from a device
 * @xe: The device; unplugged, but its engines still run
 *
 * What the CPU does to the memory later is no longer the device's business, which can't
 * be asked any more.
 */
void xe_svm_remove_device(struct xe_device *xe)
{
	unsigned long asid;
	struct xe_vm *vm;

	for (asid = 0; (vm = next_vm(xe, &asid)); asid++) {
		if (xe_vm_in_fault_mode(vm))
			vm_cut_off(vm);
		xe_vm_put(vm);
	}
}

/**
 * xe_svm_has_device() - Whether the removal of the device has yet to come to a VM
 * @vm: The VM; its notifier lock is held
 *
 * The engines run until xe_svm_remove_device() is through, and that waits for the lock.
 * A VM that gets its address space id after the device was unplugged is not waited for,
 * so xe_vm_create() gives it none.
 *
 * Return: true if page tables may be written and TLBs flushed as long as the lock is held.
 */
bool xe_svm_has_device(struct xe_vm *vm)
{
	return xe_vm_in_fault_mode(vm) && vm->usm.asid && !xe_vm_is_closed(vm);
}

/**
 * xe_svm_flush() - Collect the garbage
 * @vm: The VM
 *
 * What the caller has unmapped before is gone afterwards, unless the caller was killed.
 * To wait for the worker would not do: that waits for the VM's lock, which a fault may
 * hold for as long as the process does not answer it.
 */
void xe_svm_flush(struct xe_vm *vm)
{
	if (!xe_vm_in_fault_mode(vm) || !garbage_first(vm) ||
	    down_write_killable(&vm->lock))
		return;

	collect_all_garbage(vm);
	up_write(&vm->lock);
}

/**
 * xe_svm_can_mirror() - Whether a device can mirror the memory of processes
 * @xe: The device
 *
 * Return: true if its DMA is coherent and needs no bounce buffers.
 */
bool xe_svm_can_mirror(struct xe_device *xe)
{
	return !drm_gpusvm_check_device(&xe->drm);
}

/**
 * xe_svm_has_mapping() - Whether there are ranges in an interval
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 *
 * Return: true if there are.
 */
bool xe_svm_has_mapping(struct xe_vm *vm, u64 start, u64 end)
{
	return drm_gpusvm_has_mapping(&vm->svm.gpusvm, start, end);
}

/**
 * xe_svm_find_vma_start() - The first address in an interval that the CPU may read
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 * @vma: The GPU VMA that bounds the interval
 *
 * Return: the address, or ULONG_MAX if there is none.
 */
u64 xe_svm_find_vma_start(struct xe_vm *vm, u64 start, u64 end, struct xe_vma *vma)
{
	start = max(start, xe_vma_start(vma));
	end = min(end, xe_vma_end(vma));

	return drm_gpusvm_find_vma_start(&vm->svm.gpusvm, start, end);
}

/* ------------------------------------------------------------------------
 * Ranges for faults and prefetches
 */

/* Whether nobody can have anything of an address that the CPU has a VMA for. */
static bool addr_is_unreadable(struct xe_vm *vm, u64 addr)
{
	return drm_gpusvm_find_vma_start(&vm->svm.gpusvm, addr, addr + 1) == ULONG_MAX;
}

/**
 * xe_svm_range_find_or_insert() - The range of an address
 * @vm: The VM; its lock is held for writing
 * @addr: The address; if it is below @vma, the start of @vma is taken
 * @vma: The mirror that the range has to fit in
 * @ctx: How the range is going to be used
 *
 * To a prefetch, which is one without &drm_gpusvm_ctx.partial, memory that the CPU may
 * not read is like none: it goes on behind it, as xe_svm_find_vma_start() says.
 *
 * Return: the range, or an error pointer as drm_gpusvm_range_find_or_insert()
 * returns it.
 */
struct xe_svm_range *xe_svm_range_find_or_insert(struct xe_vm *vm, u64 addr,
						 struct xe_vma *vma,
						 struct drm_gpusvm_ctx *ctx)
{
	u64 start = xe_vma_start(vma);
	struct drm_gpusvm_range *r;

	addr = max(addr, start);
	r = drm_gpusvm_range_find_or_insert(&vm->svm.gpusvm, addr, start,
					    xe_vma_end(vma), ctx);
	if (r == ERR_PTR(-EPERM) && !ctx->partial && addr_is_unreadable(vm, addr))
		return ERR_PTR(-ENOENT);

	return IS_ERR(r) ? ERR_CAST(r) : to_xe_range(r);
}

/**
 * xe_svm_can_map_mixed() - Whether a range may be partly in VRAM and partly in RAM
 * @xe: The device
 *
 * Return: false if VRAM has to be mapped in pages of 64K.
 */
bool xe_svm_can_map_mixed(struct xe_device *xe)
{
	return !(xe->info.vram_flags & XE_VRAM_FLAGS_NEED64K);
}

/* Whether there is memory of a segment at the moment. */
static bool addr_is_mapped(const struct drm_pagemap_addr *addr)
{
	/* In the order of drm_gpusvm: what was taken becomes a hole. */
	return !addr->taken && !addr->hole;
}

static bool addr_is_vram(const struct drm_pagemap_addr *addr)
{
	return addr_is_mapped(addr) && addr->proto == XE_INTERCONNECT_VRAM;
}

/* Whether a segment of VRAM goes on where the one before it ends, and as that does. */
static bool addr_continues(const struct drm_pagemap_addr *last,
			   const struct drm_pagemap_addr *addr)
{
	return last && addr_is_vram(last) && addr_is_vram(addr) && last->dir == addr->dir &&
	       last->addr + (PAGE_SIZE << last->order) == addr->addr;
}

/* Whether each 64K that have any VRAM are one piece of it. */
static bool range_maps_64k_locked(struct xe_svm_range *range)
{
	const struct drm_pagemap_addr *addr = range->pages.dma_addr, *last = NULL;
	unsigned long offset = xe_svm_range_start(range) & (SZ_64K - 1);
	unsigned int i;

	for (i = 0; i < range->pages.nr_addrs; i++, last = addr++) {
		bool vram = addr_is_vram(addr) || (last && addr_is_vram(last));

		if (addr_is_vram(addr) && (addr->addr & (SZ_64K - 1)) != offset)
			return false;
		if (offset && vram && !addr_continues(last, addr))
			return false;
		offset = (offset + (PAGE_SIZE << addr->order)) & (SZ_64K - 1);
	}

	return !offset || !last || !addr_is_vram(last);
}

/* Whether the device can map what was got for the range. */
static bool range_is_mappable(struct xe_vm *vm, struct xe_svm_range *range)
{
	bool ret;

	if (xe_svm_can_map_mixed(vm->xe) || !range_in_vram(range))
		return true;

	xe_svm_notifier_lock(vm);
	/* What is gone again is found out by the bind. */
	ret = !drm_gpusvm_pages_mapped(&range->pages) || range_maps_64k_locked(range);
	xe_svm_notifier_unlock(vm);

	return ret;
}

static bool range_maps_locked(struct xe_svm_range *range, unsigned long addr,
			      unsigned long *start, unsigned long *end)
{
	return drm_gpusvm_pages_mapped_around(range->base.gpusvm, &range->pages,
					      xe_svm_range_start(range), addr, start, end);
}

/* Whether a page is mapped for reading only; from where to where its like are. */
static bool range_is_read_only_locked(struct xe_svm_range *range, unsigned long addr,
				      unsigned long *start, unsigned long *end)
{
	return drm_gpusvm_pages_read_only_around(range->base.gpusvm, &range->pages,
						 xe_svm_range_start(range), addr,
						 start, end);
}

/* Whether a page is mapped as an access needs it. */
static bool range_has_page_locked(struct xe_svm_range *range, unsigned long addr, bool write)
{
	unsigned long start, end;

	return range_maps_locked(range, addr, &start, &end) &&
	       !(write && range_is_read_only_locked(range, addr, &start, &end));
}

static bool range_has_page(struct xe_svm_range *range, unsigned long addr, bool write)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_has_page_locked(range, addr, write);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_range_serves() - Whether a tile can access a page
 * @range: The range
 * @tile_id: The tile
 * @addr: The address of the page
 * @write: It is going to write, too
 *
 * Return: true if it could when the function looked.
 */
bool xe_svm_range_serves(struct xe_svm_range *range, u8 tile_id, u64 addr, bool write)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_bound_tiles(range) & BIT(tile_id) &&
	      range_has_page_locked(range, addr, write);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_range_is_unbound() - Whether all of a range is there, and no GPU has any of it
 * @range: The range
 *
 * Return: true if it was so when the function looked.
 */
bool xe_svm_range_is_unbound(struct xe_svm_range *range)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = xe_svm_range_pages_valid(range) && !range_live_tiles(range);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_range_begin_bind() - Say what the following binds are for
 * @range: The range; the VM's lock is held for writing
 * @start: First address that may be bound
 * @end: Address behind the last one
 * @wanted: Address of a page without which it is no use; or XE_SVM_ANY_PAGE
 */
void xe_svm_range_begin_bind(struct xe_svm_range *range, u64 start, u64 end,
			     unsigned long wanted)
{
	struct xe_vm *vm = range_to_vm(range);

	lockdep_assert_held_write(&vm->lock);

	xe_svm_notifier_lock(vm);
	range->window.start = max(start, xe_svm_range_start(range));
	range->window.end = min(end, xe_svm_range_end(range));
	range->wanted = wanted;
	range->changed = false;
	xe_svm_notifier_unlock(vm);
}

/**
 * xe_svm_range_can_bind() - Whether to put entries together
 * @range: The range
 *
 * Needs the notifier lock.
 *
 * Return: true if there is something to bind, and what has to be.
 */
bool xe_svm_range_can_bind(struct xe_svm_range *range)
{
	unsigned long start, end;

	lockdep_assert_held(&range->base.gpusvm->notifier_lock);

	if (xe_vm_is_closed(range_to_vm(range)) ||
	    !drm_gpusvm_pages_mapped(&range->pages) || range_zap_is_pending(range))
		return false;

	return range->wanted == XE_SVM_ANY_PAGE ||
	       range_maps_locked(range, range->wanted, &start, &end);
}

/**
 * xe_svm_range_can_commit() - Whether entries that were put together are good
 * @range: The range
 *
 * Needs the notifier lock, until the entries are committed.
 *
 * Return: true if they are.
 */
bool xe_svm_range_can_commit(struct xe_svm_range *range)
{
	unsigned long start, end;

	if (!xe_svm_range_can_bind(range))
		return false;

	return !range->changed ||
	       (range_maps_locked(range, range->window.start, &start, &end) &&
		start <= range->window.start && end >= range->window.end);
}

/**
 * xe_svm_range_to_bind() - What entries have to be written
 * @range: The range
 * @tile_id: The tile
 * @start: Set to the first address
 * @end: Set to the address behind the last one
 *
 * Needs the notifier lock.
 */
void xe_svm_range_to_bind(struct xe_svm_range *range, u8 tile_id, u64 *start, u64 *end)
{
	bool part = range->tile_present & range->tile_partial & BIT(tile_id) &&
		    range->hole.start < range->hole.end;

	*start = part ? range->hole.start : xe_svm_range_start(range);
	*end = part ? range->hole.end : xe_svm_range_end(range);
}

/**
 * xe_svm_range_note_bound() - Note that a range is bound, as far as it may be
 * @range: The range
 * @tile_id: The tile
 *
 * Needs the notifier lock, and the VM's reservation.
 */
void xe_svm_range_note_bound(struct xe_svm_range *range, u8 tile_id)
{
	bool all = xe_svm_range_binds(range, xe_svm_range_start(range),
				      xe_svm_range_end(range));
	u8 bit = BIT(tile_id);
	bool first = !(range->tile_present & range->tile_partial & bit);

	/* All WRITE_ONCE pair with READ_ONCE in xe_vm_has_valid_gpu_mapping() */
	WRITE_ONCE(range->tile_present, range->tile_present | bit);
	WRITE_ONCE(range->tile_partial, all ? range->tile_partial & ~bit :
					      range->tile_partial | bit);
	WRITE_ONCE(range->tile_invalidated, all ? range->tile_invalidated & ~bit :
						  range->tile_invalidated | bit);

	/*
	 * The interval tells where the entries of tiles are missing as long as some
	 * are. If more is got later, or this bind was a tile's first one and not of
	 * all, they are missing anywhere.
	 */
	if ((first && !all) || !(range->tile_present & range->tile_invalidated)) {
		range->hole.start = 0;
		range->hole.end = 0;
	}
}

/*
 * What is going to be got is not bound yet. If that was noted afterwards, an invalidation
 * in between would take the range for bound, with no hole but its own. If all of it is
 * there, nothing is going to be got.
 */
static void range_note_get(struct xe_vm *vm, struct xe_svm_range *range)
{
	u8 bound;

	xe_svm_notifier_lock(vm);
	bound = xe_svm_range_pages_valid(range) ? 0 : range_bound_tiles(range);
	WRITE_ONCE(range->tile_partial, range->tile_partial | bound);
	WRITE_ONCE(range->tile_invalidated, range->tile_invalidated | bound);
	xe_svm_notifier_unlock(vm);
}

/* Take pages away, outside of an invalidation. */
static void range_unmap_part(struct xe_vm *vm, struct xe_svm_range *range,
			     unsigned long start, unsigned long end)
{
	if (range_live_tiles(range))
		range_zap_and_flush(vm, range, start, end);
	drm_gpusvm_unmap_part(&vm->svm.gpusvm, &range->pages, xe_svm_range_start(range),
			      start, end);
}

/* Before pages are got for writing: give back those that were got for reading. */
static void range_drop_read_only(struct xe_vm *vm, struct xe_svm_range *range,
				 const struct drm_gpusvm_ctx *ctx)
{
	unsigned long start, end;
	bool read_only;

	xe_svm_notifier_lock(vm);
	read_only = range_is_read_only_locked(range, ctx->fault_addr, &start, &end);
	xe_svm_notifier_unlock(vm);

	if (read_only)
		range_unmap_part(vm, range, start, end);
}

static int range_get(struct xe_vm *vm, struct xe_svm_range *range,
		     const struct drm_gpusvm_ctx *ctx)
{
	unsigned long start = xe_svm_range_start(range), end = xe_svm_range_end(range);
	struct mmu_interval_notifier *mni = &range->base.notifier->notifier;
	struct drm_gpusvm *gpusvm = &vm->svm.gpusvm;

	range_note_get(vm, range);

	return drm_gpusvm_get_pages(gpusvm, &range->pages, gpusvm->mm, mni, start, end, ctx);
}

/* One page is what it is about, and the rest is welcome. */
static int range_get_page(struct xe_vm *vm, struct xe_svm_range *range,
			  const struct drm_gpusvm_ctx *ctx)
{
	/* Its entry is missing for the sake of a neighbour: nothing to be got. */
	if (range_has_page(range, ctx->fault_addr, !ctx->read_only))
		return 0;

	if (!ctx->read_only)
		range_drop_read_only(vm, range, ctx);

	return range_get(vm, range, ctx);
}

/* Whether all of the range is mapped, be it for a moment. */
static bool range_is_mapped(struct xe_svm_range *range)
{
	struct drm_gpusvm_pages_flags flags = {
		.__flags = READ_ONCE(range->pages.flags.__flags),
	};

	return flags.has_dma_mapping;
}

static bool range_find_mapped(struct xe_svm_range *range, unsigned long addr,
			      unsigned long *end)
{
	struct xe_vm *vm = range_to_vm(range);
	unsigned long start;
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_maps_locked(range, addr, &start, end);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/* Get all that is missing. One page that can't be had keeps no other one from it. */
static int range_fill(struct xe_vm *vm, struct xe_svm_range *range,
		      struct drm_gpusvm_ctx *get)
{
	unsigned long addr = xe_svm_range_start(range), mapped_end;
	int err, first_err = 0;

	get->alone = false;
	while (addr < xe_svm_range_end(range)) {
		if (range_find_mapped(range, addr, &mapped_end)) {
			addr = mapped_end;
			continue;
		}

		get->fault_addr = addr;
		err = range_get(vm, range, get);
		if (err && err != -EFAULT && err != -EPERM)
			return err;
		first_err = first_err ?: err;
		/* Where one can't be had the next one may well be the same. */
		get->alone = !!err;
		/* Whether it was got or not: it may be gone again. */
		addr += PAGE_SIZE;
	}

	return first_err;
}

/*
 * As much as can be had is to be there for any access: what may be written is got for
 * writing, and the rest for reading.
 */
static int range_get_all(struct xe_vm *vm, struct xe_svm_range *range,
			 const struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_ctx get = *ctx;
	int err;

	get.partial = true;
	get.may_write = !get.read_only;

	if (!get.read_only && drm_gpusvm_pages_mapped(&range->pages) &&
	    !xe_svm_range_writable(range))
		range_unmap_part(vm, range, xe_svm_range_start(range),
				 xe_svm_range_end(range));

	err = range_fill(vm, range, &get);
	if (!get.read_only && err != -EINTR && err != -ENODEV && !range_is_mapped(range)) {
		get.read_only = true;
		err = range_fill(vm, range, &get);
	}

	if (drm_gpusvm_pages_mapped(&range->pages))
		return 0;

	/* To a prefetch, memory that is gone, or not mapped, is memory that can't be had. */
	return err == -ESTALE || err == -ENOMEM ? -EFAULT : err;
}

/**
 * xe_svm_range_get_pages() - Map the memory of a range for the device
 * @vm: The VM; its lock is held for writing
 * @range: The range
 * @ctx: How it is going to be used
 *
 * With &drm_gpusvm_ctx.partial it is about one page; otherwise as much is mapped as
 * can be.
 *
 * Memory that can't be mapped as it is goes to RAM, so that the next attempt will
 * do better.
 *
 * Return: 0, -EOPNOTSUPP in that case, or another error as drm_gpusvm_get_pages()
 * returns it.
 */
int xe_svm_range_get_pages(struct xe_vm *vm, struct xe_svm_range *range,
			   struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_ctx get = *ctx;
	int err;

	KUNIT_STATIC_STUB_REDIRECT(xe_svm_range_get_pages, vm, range, ctx);

	lockdep_assert_held_write(&vm->lock);

	get.allow_mixed = xe_svm_can_map_mixed(vm->xe);
	err = get.partial ? range_get_page(vm, range, &get) :
			    range_get_all(vm, range, &get);
	if (!err && !range_is_mappable(vm, range))
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP) {
		xe_svm_range_debug(range, "EVICT PAGES");
		drm_gpusvm_range_evict(&vm->svm.gpusvm, &range->base);
	}
	xe_svm_range_begin_bind(range, xe_svm_range_start(range), xe_svm_range_end(range),
				XE_SVM_ANY_PAGE);

	return err;
}

/* Whether a segment is memory of the pagemap; the pages have no other one. */
static bool addr_is_devmem(const struct drm_pagemap_addr *addr)
{
	return addr_is_mapped(addr) && addr->proto != DRM_INTERCONNECT_SYSTEM;
}

static bool range_all_in_pagemap_locked(struct xe_svm_range *range,
					const struct drm_pagemap *dpagemap)
{
	unsigned int i;

	if (!xe_svm_range_pages_valid(range) || range->pages.dpagemap != dpagemap)
		return false;

	for (i = 0; i < range->pages.nr_addrs; i++)
		if (!addr_is_devmem(&range->pages.dma_addr[i]))
			return false;

	return true;
}

static bool range_addr_in_pagemap_locked(struct xe_svm_range *range, u64 addr,
					 const struct drm_pagemap *dpagemap)
{
	u64 end = xe_svm_range_start(range);
	unsigned int i;

	if (!drm_gpusvm_pages_mapped(&range->pages) || range->pages.dpagemap != dpagemap)
		return false;

	for (i = 0; i < range->pages.nr_addrs; i++) {
		end += PAGE_SIZE << range->pages.dma_addr[i].order;
		if (addr < end)
			return addr_is_devmem(&range->pages.dma_addr[i]);
	}

	return false;
}

/**
 * xe_svm_range_addr_in_pagemap() - Whether an address is mapped to certain memory
 * @range: The range
 * @addr: An address in it
 * @dpagemap: The memory
 *
 * Return: true if it was when the function looked.
 */
bool xe_svm_range_addr_in_pagemap(struct xe_svm_range *range, u64 addr,
				  const struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_addr_in_pagemap_locked(range, addr, dpagemap);
	xe_svm_notifier_unlock(vm);

	return ret;
}

static bool range_vma_is_read_only(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct xe_vma *vma = xe_vm_find_vma_by_addr(vm, xe_svm_range_start(range));

	return vma && xe_vma_read_only(vma);
}

/**
 * xe_svm_range_validate() - Whether a range is bound and where it should be
 * @vm: The VM; its lock is held for writing
 * @range: The range
 * @tile_mask: Tiles that it has to be bound on
 * @dpagemap: Where it should be; NULL for RAM
 *
 * A part in the right device memory does not do: what could not be migrated before may
 * have become free. To be bound for reading does only if nobody may write.
 *
 * Return: true if it is.
 */
bool xe_svm_range_validate(struct xe_vm *vm, struct xe_svm_range *range,
			   u8 tile_mask, const struct drm_pagemap *dpagemap)
{
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = !(tile_mask & ~range_bound_tiles(range)) &&
	      xe_svm_range_pages_valid(range) &&
	      (dpagemap ? range_all_in_pagemap_locked(range, dpagemap) :
			  !range->pages.dpagemap) &&
	      (xe_svm_range_writable(range) || range_vma_is_read_only(vm, range));
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_range_needs_migrate_to_vram() - Whether to try and migrate a range
 * @range: The range
 * @vma: Its VMA
 * @dpagemap: Where the range should be; NULL for RAM
 *
 * Return: true if it could be there and isn't.
 */
bool xe_svm_range_needs_migrate_to_vram(struct xe_svm_range *range, struct xe_vma *vma,
					const struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = range_to_vm(range);
	bool there;

	if (!dpagemap || !range_flags(range).migrate_devmem)
		return false;

	xe_assert(vm->xe, IS_DGFX(vm->xe));

	if (xe_svm_range_size(range) < SZ_64K && !xe_svm_can_map_mixed(vm->xe)) {
		drm_dbg(&vm->xe->drm, "Too small for a page of VRAM\n");
		return false;
	}

	xe_svm_notifier_lock(vm);
	there = range_all_in_pagemap_locked(range, dpagemap);
	xe_svm_notifier_unlock(vm);
	if (there)
		drm_dbg(&vm->xe->drm, "Range is in VRAM already\n");

	return !there;
}

/**
 * xe_svm_range_migrate_to_smem() - Move what a range has in VRAM to RAM
 * @vm: The VM
 * @range: The range
 */
void xe_svm_range_migrate_to_smem(struct xe_vm *vm, struct xe_svm_range *range)
{
	if (range_in_vram(range))
		drm_gpusvm_range_evict(&vm->svm.gpusvm, &range->base);
}
