// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: the garbage collector, and others who remove ranges.
 */

#include <linux/dma-fence.h>
#include <linux/sched/signal.h>

#include <drm/drm_print.h>

#include <uapi/drm/xe_drm.h>

#include "xe_bo.h"
#include "xe_device_types.h"
#include "xe_pagefault.h"
#include "xe_svm_internal.h"
#include "xe_validation.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

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
		xe_svm_range_zap_and_flush(vm, range, xe_svm_range_start(range),
					   xe_svm_range_end(range));
	drm_gpusvm_unmap_pages(&vm->svm.gpusvm, &range->pages, range_npages(range),
			       &ctx);
}

/* Returns the fence of the job; -EINTR if page tables are being saved. */
static struct dma_fence *range_submit_unbind(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct xe_validation_ctx vctx;
	struct dma_fence *fence = NULL;
	struct drm_exec exec;
	int err = 0;

	xe_validation_guard(&vctx, &vm->xe->val, &exec, (struct xe_val_flags) {}, err) {
		/* What is freed now would be back with them. */
		if (xe_pagefault_is_suspended(vm->xe)) {
			err = -EINTR;
			break;
		}
		err = xe_vm_drm_exec_lock(vm, &exec);
		drm_exec_retry_on_contention(&exec);
		if (err)
			break;

		fence = xe_vm_range_unbind(vm, range);
		if (IS_ERR(fence))
			err = PTR_ERR(fence);
	}

	return err ? ERR_PTR(err) : fence;
}

/*
 * Jobs wait for room, and that with signals on. One to whoever happens to collect is not for
 * the range, unless it kills: that one would not arrive any more. Nor do threads of the
 * kernel forget what they have blocked, while they ignore all but the end of a service.
 */
static void block_signals(sigset_t *old)
{
	sigset_t mask = current->blocked;

	if (!(current->flags & PF_KTHREAD))
		siginitsetinv(&mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	sigprocmask(SIG_SETMASK, &mask, old);
}

static int range_unbind(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct dma_fence *fence;
	sigset_t old;

	block_signals(&old);
	fence = range_submit_unbind(vm, range);
	sigprocmask(SIG_SETMASK, &old, NULL);
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
	struct drm_gpusvm_range_flags flags = drm_gpusvm_range_read_flags(&range->base);

	return flags.partial_unmap && flags.migrate_devmem && IS_DGFX(vm->xe) &&
	       !xe_svm_can_map_mixed(vm->xe);
}

/*
 * Unmap, unbind and remove a range. It is gone then, unless the caller has a
 * reference; after an error it is still there. A suspend counts as an interruption, and
 * so does that the caller was killed: there may be any number of ranges.
 */
static int range_collect(struct xe_vm *vm, struct xe_svm_range *range)
{
	int err;

	lockdep_assert_held_write(&vm->lock);
	xe_svm_range_debug(range, "GARBAGE COLLECTOR");

	if (fatal_signal_pending(current))
		return -EINTR;

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
		.default_pat_index = vma->attr.default_pat_index,
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

	xe_vm_find_cpu_addr_mirror_vma_range(vm, &start, &end, vma->gpuva.flags,
					     vma->attr.default_pat_index);
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
	unmapped = drm_gpusvm_range_read_flags(&range->base).unmapped;
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

/*
 * A range that can't be unbound stays where it is, and the VM can't go on. But the end of
 * the process that collects is not the end of a VM that others may have, too.
 */
static int collect_or_kill(struct xe_vm *vm, struct xe_svm_range *range)
{
	int err = range_collect(vm, range);

	if (!err)
		return 0;

	if (xe_svm_is_interruption(err)) {
		xe_svm_queue_garbage_collector(vm);
		return err;
	}

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
			if (drm_gpusvm_range_read_flags(r).unmapped)
				return to_xe_range(r);
	}

	return NULL;
}

/**
 * xe_svm_has_garbage_at() - Whether anything has to be collected for a fault
 * @vm: The VM; its lock is held
 * @addr: The fault address
 *
 * Return: true if there is garbage as far away as the largest range could reach.
 */
bool xe_svm_has_garbage_at(struct xe_vm *vm, u64 addr)
{
	u64 start = ALIGN_DOWN(addr, SZ_2M);
	bool ret;

	lockdep_assert_held(&vm->lock);

	xe_svm_notifier_lock(vm);
	ret = garbage_find(vm, start, start + SZ_2M);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_collect_garbage_at() - Collect what is in the way of a fault
 * @vm: The VM; its lock is held for writing
 * @addr: The fault address
 *
 * Collects what xe_svm_has_garbage_at() looks for. The rest is left to the worker.
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

static int collect_all_garbage(struct xe_vm *vm)
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

	return err == -EAGAIN ? 0 : err;
}

/*
 * A call may hold the lock while it waits for memory. The device does not stay for that, and
 * what is left when the device goes, or the VM, goes with it.
 */
static int lock_vm(struct xe_vm *vm)
{
	struct drm_gpusvm_service service;
	int err;

	err = xe_svm_lock_service_begin(vm, &service);
	if (err)
		return err;

	err = down_write_killable(&vm->lock);
	xe_svm_lock_service_end(vm, &service);

	return err;
}

void xe_svm_garbage_collector_work(struct work_struct *w)
{
	struct xe_vm *vm = container_of(w, struct xe_vm, svm.garbage_collector.work);

	/* The resume queues it again. */
	if (!xe_pagefault_work_begin(vm->xe))
		return;

	if (!lock_vm(vm)) {
		collect_all_garbage(vm);
		up_write(&vm->lock);
	}
	xe_pagefault_work_end(vm->xe);
}

/**
 * xe_svm_flush() - Collect the garbage
 * @vm: The VM
 *
 * What the caller has unmapped before is gone afterwards. To wait for the worker would not
 * do: that waits for the VM's lock, which a fault may hold for as long as the process does
 * not answer it.
 *
 * Return: 0, -EINTR if the caller was killed, -ERESTARTSYS if it has something else to do
 * first, or another error, after which the VM is of no use.
 */
int xe_svm_flush(struct xe_vm *vm)
{
	int err;

	if (!xe_vm_in_fault_mode(vm) || !garbage_first(vm))
		return 0;

	err = down_write_killable(&vm->lock);
	if (err)
		return err;

	err = collect_all_garbage(vm);
	up_write(&vm->lock);

	return err;
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
 *
 * Return: 0, or an error, after which some may still be there.
 */
int xe_svm_unmap_address_range(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier, *next_notifier;
	struct drm_gpusvm_range *r, *next;
	int err;

	lockdep_assert_held_write(&vm->lock);

	drm_gpusvm_for_each_notifier_safe(notifier, next_notifier, &vm->svm.gpusvm,
					  start, end) {
		drm_gpusvm_for_each_range_safe(r, next, notifier, start, end) {
			if (!range_straddles(to_xe_range(r), start, end))
				continue;
			xe_svm_range_migrate_to_smem(vm, to_xe_range(r));
			err = collect_or_kill(vm, to_xe_range(r));
			if (err)
				return err;
		}
	}

	return 0;
}

/**
 * xe_svm_ranges_remove() - Make room for a VMA that replaces a part of another one
 * @vm: The VM; its lock is held for writing
 * @start: First address of that part
 * @end: Address behind the last one
 *
 * All ranges in the interval are removed, those that reach over either end as
 * xe_svm_unmap_address_range() does it. The VMAs stay as they are.
 *
 * Return: 0, or an error, after which some may still be there.
 */
int xe_svm_ranges_remove(struct xe_vm *vm, u64 start, u64 end)
{
	struct drm_gpusvm_notifier *notifier, *next_notifier;
	struct drm_gpusvm_range *r, *next;
	int err;

	lockdep_assert_held_write(&vm->lock);

	drm_gpusvm_for_each_notifier_safe(notifier, next_notifier, &vm->svm.gpusvm,
					  start, end) {
		drm_gpusvm_for_each_range_safe(r, next, notifier, start, end) {
			if (range_straddles(to_xe_range(r), start, end))
				xe_svm_range_migrate_to_smem(vm, to_xe_range(r));
			err = range_collect(vm, to_xe_range(r));
			if (err)
				return err;
		}
	}

	return 0;
}
