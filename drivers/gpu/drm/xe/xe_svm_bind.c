// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: what to bind of a range, and whether it may be.
 */

#include <linux/dma-fence.h>

#include "xe_svm_internal.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

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
 * xe_svm_range_begin_bind() - Say what the following binds are for
 * @range: The range, which the caller has in hand
 * @start: First address that may be bound
 * @end: Address behind the last one
 * @wanted: Address of a page without which it is no use; or XE_SVM_ANY_PAGE
 */
void xe_svm_range_begin_bind(struct xe_svm_range *range, u64 start, u64 end,
			     unsigned long wanted)
{
	struct xe_vm *vm = range_to_vm(range);

	lockdep_assert(xe_svm_range_is_in_hand(vm, range));

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
	       xe_svm_range_maps_locked(range, range->wanted, &start, &end);
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
	       (xe_svm_range_maps_locked(range, range->window.start, &start, &end) &&
		start <= range->window.start && end >= range->window.end);
}

/* Whether the last job for a tile has written nothing. Then the hole is not all. */
static bool range_has_failed(struct xe_svm_range *range, u8 tile_id)
{
	struct dma_fence *bind = range->binds[2 * tile_id];

	return bind && dma_fence_get_status(bind) < 0;
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
		    range->hole.start < range->hole.end && !range_has_failed(range, tile_id);

	*start = part ? range->hole.start : xe_svm_range_start(range);
	*end = part ? range->hole.end : xe_svm_range_end(range);
}

/**
 * xe_svm_range_note_bound() - Note that a range is bound, as far as it may be
 * @range: The range
 * @tile_id: The tile
 * @fence: Signals when the entries are written, and what they replace was flushed
 * @fence2: Signals when that was flushed on the tile's other GT; may be NULL
 *
 * Needs the notifier lock, and the VM's reservation.
 */
void xe_svm_range_note_bound(struct xe_svm_range *range, u8 tile_id,
			     struct dma_fence *fence, struct dma_fence *fence2)
{
	bool all = xe_svm_range_binds(range, xe_svm_range_start(range),
				      xe_svm_range_end(range));
	u8 bit = BIT(tile_id);
	bool first = !(range->tile_present & range->tile_partial & bit);
	struct dma_fence **binds = &range->binds[2 * tile_id];

	dma_fence_put(binds[0]);
	dma_fence_put(binds[1]);
	binds[0] = dma_fence_get(fence);
	binds[1] = dma_fence_get(fence2);

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
