// SPDX-License-Identifier: MIT
/*
 * Page faults of the GPU while the system is suspended.
 */

#include <linux/dma-resv.h>
#include <linux/jiffies.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_print.h>

#include "xe_bo.h"
#include "xe_device.h"
#include "xe_pagefault.h"
#include "xe_pagefault_types.h"
#include "xe_pt.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_tlb_inval_types.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Page faults and suspend
 *
 * The page tables of a device with memory of its own are saved while its engines still
 * run, and come back with the resume. Whatever is written to them behind that copy is
 * lost, with nobody knowing. So from the time before they are saved until the engines run
 * again
 *
 * - no fault is served, and no garbage collected. Services that wait for a process, which
 *   is frozen by then, are interrupted. A closed VM binds nothing, so that its faults are
 *   answered meanwhile, too;
 *
 * - page tables have no entries for what may be taken away meanwhile: memory is reclaimed
 *   until the system sleeps, for what other devices have to save, for instance. All that
 *   VMs with page faults have bound is zapped, so whatever the CPU takes away has been
 *   before. The next jobs get it back with faults. All others bind again what was
 *   taken away before their next job.
 */

/* How long to wait for services that are through with binding, and only wait for that. */
#define XE_PAGEFAULT_SUSPEND_TIMEOUT	(5 * HZ)

/* A device without page faults may have memory that others get. */
static void suspend_queue(struct xe_pagefault_queue *queue, bool suspend)
{
	if (!queue->entries) {
		WRITE_ONCE(queue->suspended, suspend);
		return;
	}

	guard(spinlock_irq)(&queue->lock);

	WRITE_ONCE(queue->suspended, suspend);
}

/* ------------------------------------------------------------------------
 * Services
 */

/* VMs that come meanwhile have no services. */
static void interrupt_vms(struct xe_device *xe)
{
	unsigned long asid;
	struct xe_vm *vm;

	guard(rwsem_read)(&xe->usm.lock);

	xa_for_each(&xe->usm.asid_to_vm, asid, vm) {
		if (!xe_vm_in_fault_mode(vm))
			continue;
		vm->usm.pf.interrupted = true;
		xe_svm_interrupt(vm);
		xe_svm_interrupt_lock(vm);
	}
}

static void resume_vms(struct xe_device *xe)
{
	unsigned long asid;
	struct xe_vm *vm;

	guard(rwsem_read)(&xe->usm.lock);

	xa_for_each(&xe->usm.asid_to_vm, asid, vm) {
		if (!vm->usm.pf.interrupted)
			continue;
		vm->usm.pf.interrupted = false;
		xe_svm_resume_lock(vm);
		xe_svm_resume(vm);
	}
}

/* Returns whether all works have ended. Those that come now do nothing. */
VISIBLE_IF_KUNIT bool xe_pagefault_wait_for_works(struct xe_pagefault_queue *queue)
{
	KUNIT_STATIC_STUB_REDIRECT(xe_pagefault_wait_for_works, queue);

	return wait_event_timeout(queue->idle, !READ_ONCE(queue->works),
				  XE_PAGEFAULT_SUSPEND_TIMEOUT);
}

/* ------------------------------------------------------------------------
 * What must not be saved
 */

/* Binds wait for fences only. */
static int wait_for_binds(struct xe_vm *vm)
{
	long left = dma_resv_wait_timeout(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP, false,
					  XE_PAGEFAULT_SUSPEND_TIMEOUT);

	return left > 0 ? 0 : left ?: -ETIMEDOUT;
}

/* With the lock of each object until its TLBs are flushed: others may move it then. */
static int zap_bos(struct xe_vm *vm)
{
	struct drm_gpuva *gpuva;
	int err = 0;

	drm_gpuvm_for_each_va(gpuva, &vm->gpuvm) {
		struct xe_bo *bo = xe_vma_bo(gpuva_to_vma(gpuva));

		if (!bo)
			continue;
		xe_bo_lock(bo, false);
		err = xe_vm_invalidate_vma(gpuva_to_vma(gpuva));
		xe_bo_unlock(bo);
		if (err)
			break;
	}

	return err;
}

static u8 vma_zap(struct xe_vma *vma)
{
	struct xe_tile *tile;
	u8 id, tiles = 0;

	for_each_tile(tile, xe_vma_vm(vma)->xe, id)
		if (xe_pt_zap_ptes(tile, vma))
			tiles |= BIT(id);
	/* Pairs with the READ_ONCE in xe_vm_has_valid_gpu_mapping(). */
	WRITE_ONCE(vma->tile_invalidated, vma->tile_invalidated | tiles);

	return tiles;
}

static u8 zap_userptrs_locked(struct xe_vm *vm)
{
	struct drm_gpuva *gpuva;
	u8 tiles = 0;

	drm_gpuvm_for_each_va(gpuva, &vm->gpuvm)
		if (xe_vma_is_userptr(gpuva_to_vma(gpuva)))
			tiles |= vma_zap(gpuva_to_vma(gpuva));

	return tiles;
}

static int flush(struct xe_vm *vm, u8 tiles)
{
	struct xe_tlb_inval_batch batch;
	int err;

	if (!tiles)
		return 0;

	xe_device_wmb(vm->xe);
	err = xe_tlb_inval_range_tilemask_submit(vm->xe, vm->usm.asid, 0, vm->size, tiles,
						 &batch);
	if (!err)
		xe_tlb_inval_batch_wait(&batch);

	return err;
}

static int zap_vm_locked(struct xe_vm *vm)
{
	u8 tiles;
	int err;

	lockdep_assert_held(&vm->lock);

	err = wait_for_binds(vm);
	if (err)
		return err;

	err = zap_bos(vm);
	if (err)
		return err;

	/* Against invalidations, and who has a range in hand. */
	guard(rwsem_write)(&vm->svm.gpusvm.notifier_lock);
	tiles = zap_userptrs_locked(vm);
	tiles |= xe_svm_ranges_zap_ptes_in_range(vm, 0, vm->size);

	return flush(vm, tiles);
}

static struct xe_vm *find_next_vm(struct xe_device *xe, unsigned long asid)
{
	struct xe_vm *vm;

	guard(rwsem_read)(&xe->usm.lock);

	vm = xa_find(&xe->usm.asid_to_vm, &asid, ULONG_MAX, XA_PRESENT);

	return vm ? xe_vm_get(vm) : NULL;
}

/*
 * All processes are frozen, and have no lock of a VM. Only a service may have one that
 * nothing can interrupt.
 */
static int zap_vm(struct xe_vm *vm)
{
	int err;

	if (!xe_vm_in_fault_mode(vm))
		return 0;

	if (!down_read_trylock(&vm->lock))
		return -EBUSY;

	err = xe_vm_is_closed(vm) ? 0 : zap_vm_locked(vm);
	up_read(&vm->lock);

	return err;
}

static int zap_vms(struct xe_device *xe)
{
	struct xe_vm *vm;
	int err = 0;
	u32 asid;

	for (asid = 0; !err && (vm = find_next_vm(xe, asid)); asid++) {
		asid = vm->usm.asid;
		err = zap_vm(vm);
		xe_vm_put(vm);
	}

	return err;
}

/* ------------------------------------------------------------------------
 * Suspend and resume
 */

/**
 * xe_pagefault_suspend() - Serve no page faults until xe_pagefault_resume()
 * @xe: The device, which is about to be suspended
 *
 * Faults that come meanwhile wait, or are squashed by a reset. Who binds, or gets VRAM for
 * another device, has done so by the end of this, or does not. A service that waits for a
 * process where nothing can interrupt it may go on, but it binds nothing any more.
 *
 * Return: 0; -EBUSY or -ETIMEDOUT if page tables may have entries that must not be saved,
 * because of such a service, or of binds that do not end; or another error. The caller
 * resumes then, too.
 */
int xe_pagefault_suspend(struct xe_device *xe)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	int err;

	suspend_queue(queue, true);
	interrupt_vms(xe);
	down_write(&xe->val.lock);
	up_write(&xe->val.lock);
	if (queue->entries && !xe_pagefault_wait_for_works(queue))
		drm_dbg(&xe->drm, "A page fault is not served in time for a suspend\n");
	resume_vms(xe);

	/* Page tables in RAM are not copied. */
	err = IS_DGFX(xe) ? zap_vms(xe) : 0;
	if (err)
		drm_warn(&xe->drm, "Memory of processes is in use, try again: %pe\n",
			 ERR_PTR(err));

	return err;
}

/**
 * xe_pagefault_is_suspended() - Whether who writes page tables is asked to end
 * @xe: The device
 *
 * Return: true from the beginning of xe_pagefault_suspend() to xe_pagefault_resume().
 */
bool xe_pagefault_is_suspended(struct xe_device *xe)
{
	return READ_ONCE(xe->usm.pf_queue.suspended);
}

/**
 * xe_pagefault_resume() - Undo xe_pagefault_suspend()
 * @xe: The device
 */
void xe_pagefault_resume(struct xe_device *xe)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	unsigned long asid;
	struct xe_vm *vm;

	suspend_queue(queue, false);
	if (!queue->entries)
		return;

	guard(rwsem_read)(&xe->usm.lock);

	xa_for_each(&xe->usm.asid_to_vm, asid, vm) {
		if (!xe_vm_in_fault_mode(vm))
			continue;
		xe_pagefault_wake_vm(vm);
		xe_svm_queue_garbage_collector(vm);
	}
}
