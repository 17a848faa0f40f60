// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/workqueue.h>

#include "vsvm_device.h"
#include "vsvm_range.h"
#include "vsvm_trace.h"
#include "vsvm_vm.h"

/**
 * vsvm_zap_start() - Begin to take an interval away from a device
 * @vmdev: The device in the address space
 * @start: First address
 * @end: Address behind the last
 *
 * Zaps and submits a TLB invalidation. Doesn't sleep.
 *
 * Return: a number for vsvm_zap_finish().
 */
u64 vsvm_zap_start(struct vsvm_vm_device *vmdev, unsigned long start,
		   unsigned long end)
{
	u64 seqno;

	vsvm_pt_zap(&vmdev->pt, start, end);
	seqno = vsvm_tlb_inval_submit(&vmdev->vdev->tlb_unit, &vmdev->tlb_owner,
				      start, end);
	vsvm_checker_revoke(&vmdev->checker, start, end, seqno);
	vsvm_stats_inc(vmdev, VSVM_STAT_TLB_INVALS);

	return seqno;
}

/**
 * vsvm_zap_finish() - Wait until the device can't use what was zapped
 * @vmdev: The device in the address space
 * @seqno: What vsvm_zap_start() returned
 */
void vsvm_zap_finish(struct vsvm_vm_device *vmdev, u64 seqno)
{
	vsvm_tlb_inval_wait(&vmdev->vdev->tlb_unit, seqno);
	vsvm_checker_revoked(&vmdev->checker, seqno);
}

/*
 * A fault that is mapping a range may wait for another process, for ever. The collector
 * goes on to the next one: whoever has the lock comes back with the range.
 */
static void gc_work(struct work_struct *work)
{
	struct vsvm_gc *gc = container_of(work, struct vsvm_gc, work);
	struct vsvm_range *range;

	for (;;) {
		scoped_guard(spinlock, &gc->lock) {
			range = list_first_entry_or_null(&gc->ranges,
							 struct vsvm_range,
							 gc_link);
			if (range)
				list_del_init(&range->gc_link);
		}
		if (!range)
			break;

		if (vsvm_range_try_remove(range))
			atomic64_inc(&gc->collected);
		drm_gpusvm_range_put(&range->base);
		cond_resched();
	}
}

/**
 * vsvm_gc_init() - Make a garbage collector
 * @gc: The garbage collector
 */
void vsvm_gc_init(struct vsvm_gc *gc)
{
	spin_lock_init(&gc->lock);
	INIT_LIST_HEAD(&gc->ranges);
	INIT_WORK(&gc->work, gc_work);
}

/**
 * vsvm_gc_add() - Hand a range to the garbage collector
 * @gc: The garbage collector
 * @range: The range, with a reference or under the notifier lock; marked as unmapped
 *
 * Doesn't sleep.
 */
void vsvm_gc_add(struct vsvm_gc *gc, struct vsvm_range *range)
{
	guard(spinlock)(&gc->lock);

	if (!list_empty(&range->gc_link))
		return;

	drm_gpusvm_range_get(&range->base);
	list_add_tail(&range->gc_link, &gc->ranges);
	queue_work(system_dfl_wq, &gc->work);
}

/* Begin to take an interval away from all devices. */
static void zap_window(struct vsvm_vm *vm, struct vsvm_notifier *notifier,
		       unsigned long start, unsigned long end)
{
	for (int i = 0; i < vm->num_devices; i++)
		WRITE_ONCE(notifier->seqno[i],
			   vsvm_zap_start(&vm->devices[i], start, end));
}

/*
 * Take pages of a range from all devices. What is not invalidated stays, unless it
 * is part of a segment that is, of the same device.
 *
 * Return: whether there was anything to take; then the interval has grown to it.
 */
static bool take_pages(struct vsvm_vm *vm, struct drm_gpusvm_notifier *notifier,
		       struct vsvm_range *range, unsigned long *start,
		       unsigned long *end)
{
	unsigned long range_start = drm_gpusvm_range_start(&range->base);
	unsigned long hit_start = *start, hit_end = *end;
	bool mapped = false;

	for (int i = 0; i < vm->num_devices; i++) {
		unsigned long from = hit_start, to = hit_end;

		mapped |= drm_gpusvm_pages_mapped(&range->pages[i]);
		drm_gpusvm_unmap_part_deferred(notifier, &range->pages[i],
					       range_start, &from, &to);
		*start = min(*start, from);
		*end = max(*end, to);
	}

	return mapped;
}

/**
 * vsvm_invalidate_start() - &drm_gpusvm_ops.invalidate_start
 * @svm: The GPU SVM
 * @notifier: The notifier whose window is hit
 * @mmu_range: What the CPU is about to change
 *
 * A range of which no device has a mapping has nothing to wait for but what
 * first passes before have submitted, which &vsvm_notifier.seqno remembers.
 *
 * Return: true if there is a TLB invalidation to wait for.
 */
bool vsvm_invalidate_start(struct drm_gpusvm *svm,
			   struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range)
{
	unsigned long start = max(mmu_range->start,
				  drm_gpusvm_notifier_start(notifier));
	unsigned long end = min(mmu_range->end,
				drm_gpusvm_notifier_end(notifier));
	unsigned long first = ULONG_MAX, last = 0;
	struct drm_gpusvm_range *base = NULL;
	struct vsvm_vm *vm = to_vsvm_vm(svm);

	trace_vsvm_invalidate(vm, start, end, mmu_range->event);

	drm_gpusvm_for_each_range(base, notifier, start, end) {
		unsigned long from = max(start, drm_gpusvm_range_start(base));
		unsigned long to = min(end, drm_gpusvm_range_end(base));
		struct vsvm_range *range = to_vsvm_range(base);

		if (take_pages(vm, notifier, range, &from, &to)) {
			first = min(first, from);
			last = max(last, to);
		}
		if (mmu_range->event == MMU_NOTIFY_UNMAP) {
			drm_gpusvm_range_set_unmapped(base, range->pages,
						      vm->num_devices,
						      mmu_range);
			vsvm_gc_add(&vm->gc, range);
		}
	}

	if (first >= last)
		return false;

	zap_window(vm, to_vsvm_notifier(notifier), first, last);

	return true;
}

/**
 * vsvm_invalidate_finish() - &drm_gpusvm_ops.invalidate_finish
 * @svm: The GPU SVM
 * @notifier: The notifier whose window was hit
 */
void vsvm_invalidate_finish(struct drm_gpusvm *svm,
			    struct drm_gpusvm_notifier *notifier)
{
	struct vsvm_notifier *vnotifier = to_vsvm_notifier(notifier);
	struct vsvm_vm *vm = to_vsvm_vm(svm);

	for (int i = 0; i < vm->num_devices; i++)
		vsvm_zap_finish(&vm->devices[i],
				READ_ONCE(vnotifier->seqno[i]));
}
