// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: the removal of the device.
 */

#include <linux/cleanup.h>
#include <linux/xarray.h>

#include "xe_device.h"
#include "xe_pt.h"
#include "xe_svm_internal.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* While invalidations can still find them: a munmap() must not miss a mapping. */
void xe_svm_unmap_all_ranges(struct xe_vm *vm, bool locked)
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

/* Page tables of a VM that is closed meanwhile may be gone, and were cleared before. */
static void cut_off_locked(struct xe_vm *vm)
{
	struct xe_tile *tile;
	struct xe_gt *gt;
	u8 id;

	if (!xe_vm_is_closed(vm)) {
		vm->size = 0;
		xe_svm_binds_wait(vm);
		for_each_tile(tile, vm->xe, id)
			if (vm->pt_root[id])
				xe_pt_clear(vm->xe, vm->pt_root[id]);
		for_each_gt(gt, vm->xe, id)
			xe_tlb_inval_vm(&gt->tlb_inval, vm);
	}
	xe_svm_unmap_all_ranges(vm, true);
}

/* A range that the second pass of an invalidation has yet to unmap, with a reference. */
static struct xe_svm_range *find_deferred_range(struct xe_vm *vm)
{
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm.gpusvm, 0, ULONG_MAX) {
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, 0, ULONG_MAX)
			if (drm_gpusvm_pages_deferred(&to_xe_range(r)->pages))
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
