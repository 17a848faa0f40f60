// SPDX-License-Identifier: MIT
/*
 * Page faults of the GPU: what is done to serve one.
 */

#include <linux/sched/signal.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_exec.h>

#include "xe_bo.h"
#include "xe_gt.h"
#include "xe_gt_stats.h"
#include "xe_pagefault.h"
#include "xe_pagefault_types.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_trace_bo.h"
#include "xe_userptr.h"
#include "xe_validation.h"
#include "xe_vm.h"
#include "xe_vm_types.h"
#include "xe_vram_types.h"

/**
 * DOC: Service of a page fault
 *
 * Faults of one VM are served at the same time, so that the lock of the VM is held for
 * reading. VMAs stay what they are meanwhile, since who changes them holds the lock for
 * writing. What else faults could do to each other has locks of its own:
 *
 * - Ranges of mirrors are the business of xe_svm_handle_pagefault(). It says if it needs
 *   the lock for writing, as it does to collect garbage, and is called again with that.
 *
 * - For buffer objects and userptrs there is &xe_vma.fault_lock. Who gets it second finds
 *   that the VMA is bound. It is taken after the lock of the VM, and before the mmap lock
 *   and the reservations.
 *
 * - Page tables, and what is noted of them in VMAs, are written with the reservation of
 *   the VM held. It is let go before the fence of the job is waited for.
 *
 * Each wait for one of the first two is one of a service, and so ends when the services
 * are cancelled or interrupted. Readers of the VM's lock wait behind a writer that waits
 * for it: a call that changes the VM is not kept waiting by faults that keep coming. But
 * while a fault waits for user space, such a call, or the collection of garbage, keeps the
 * other faults of that VM waiting as well.
 */

/* How often the pages of a userptr may be lost before they are bound. */
#define XE_PAGEFAULT_LOSSES	4

/* What was tried, without the flag that tells a prefetch. */
static enum xe_pagefault_access_type access_of(const struct xe_pagefault *pf)
{
	return pf->consumer.access_type & XE_PAGEFAULT_ACCESS_TYPE_MASK;
}

/* ------------------------------------------------------------------------
 * Buffer objects and userptrs
 */

/*
 * Whether the contents of a buffer object were given up. Nothing is brought back for the
 * shrinker to take it again: the access gets scratch pages, or there is nothing for it.
 */
static bool bo_is_given_up(struct xe_bo *bo)
{
	return xe_bo_madv_is_dontneed(bo) || xe_bo_is_purged(bo);
}

/* Lock what is written to bind the VMA, and have its memory where it has to be. */
static int prepare_vma(struct drm_exec *exec, struct xe_vma *vma, struct xe_tile *tile,
		       bool to_vram)
{
	struct xe_vm *vm = xe_vma_vm(vma);
	struct xe_bo *bo = xe_vma_bo(vma);
	int err;

	err = xe_vm_lock_vma(exec, vma);
	if (err || !bo)
		return err;

	if (unlikely(bo_is_given_up(bo)))
		return xe_vm_has_scratch(vm) ? 0 : -EACCES;

	if (to_vram)
		return xe_bo_migrate(bo, tile->mem.vram->placement, NULL, exec);

	return xe_bo_validate(bo, vm, true, exec);
}

/* Write the page tables of the tile that has faulted. */
static int bind_vma(struct xe_vma *vma, struct xe_tile *tile, bool to_vram)
{
	struct xe_vm *vm = xe_vma_vm(vma);
	struct dma_fence *fence = NULL;
	struct xe_validation_ctx ctx;
	struct drm_exec exec;
	int err = 0;

	xe_validation_guard(&ctx, &vm->xe->val, &exec, (struct xe_val_flags) {}, err) {
		/* Page tables are being saved, and what is new in them would not be. */
		if (xe_pagefault_is_suspended(vm->xe)) {
			err = -EAGAIN;
			break;
		}
		err = prepare_vma(&exec, vma, tile, to_vram);
		drm_exec_retry_on_contention(&exec);
		xe_validation_retry_on_oom(&ctx, &err);
		if (err)
			break;

		trace_xe_vma_pf_bind(vma);
		xe_vm_set_validation_exec(vm, &exec);
		fence = xe_vma_rebind(vm, vma, BIT(tile->id));
		xe_vm_set_validation_exec(vm, NULL);
		if (IS_ERR(fence)) {
			drm_exec_retry_on_contention(&exec);
			err = PTR_ERR(fence);
			xe_validation_retry_on_oom(&ctx, &err);
			break;
		}
	}
	if (!err) {
		dma_fence_wait(fence, false);
		dma_fence_put(fence);
	}

	return err;
}

static int get_pages(struct xe_vma *vma)
{
	struct xe_userptr_vma *uvma;

	if (!xe_vma_is_userptr(vma))
		return 0;

	uvma = to_userptr_vma(vma);

	return xe_vma_userptr_check_repin(uvma) ? xe_vma_userptr_pin_pages(uvma) : 0;
}

static bool is_bound(struct xe_vma *vma, struct xe_tile *tile)
{
	return xe_vm_has_valid_gpu_mapping(tile, vma->tile_present, vma->tile_invalidated);
}

static int serve_vma_locked(struct xe_vma *vma, struct xe_gt *gt, bool atomic)
{
	struct xe_tile *tile = gt_to_tile(gt);
	unsigned int losses = 0;
	int err, need_vram;

	lockdep_assert_held(&xe_vma_vm(vma)->lock);
	lockdep_assert_held(&vma->fault_lock);

	need_vram = xe_vma_need_vram_for_atomic(xe_vma_vm(vma)->xe, vma, atomic);
	if (need_vram < 0)
		return need_vram;
	if (need_vram && xe_vma_is_userptr(vma))
		return -EACCES;

	xe_gt_stats_incr(gt, XE_GT_STATS_ID_VMA_PAGEFAULT_COUNT, 1);
	xe_gt_stats_incr(gt, XE_GT_STATS_ID_VMA_PAGEFAULT_KB, xe_vma_size(vma) / SZ_1K);
	trace_xe_vma_pagefault(vma);

	/* Another fault was faster. A guess, but if it is wrong the GPU faults again. */
	if (is_bound(vma, tile) && !atomic)
		return 0;

	do {
		err = get_pages(vma);
		if (!err)
			err = bind_vma(vma, tile, need_vram);
	} while (err == -EAGAIN && ++losses < XE_PAGEFAULT_LOSSES);

	return err;
}

/* What the tile can do with a VMA after a fault on it was served. */
static void tell_access(struct xe_vma *vma, bool atomic, struct xe_pagefault_served *served)
{
	if (atomic)
		served->access = XE_PAGEFAULT_ACCESS_TYPE_ATOMIC;
	else if (xe_vma_read_only(vma))
		served->access = XE_PAGEFAULT_ACCESS_TYPE_READ;
	else
		served->access = XE_PAGEFAULT_ACCESS_TYPE_WRITE;
}

/* A service that was interrupted may have failed for that, whatever it says. */
static int end_of_interrupted(int err)
{
	return err && fatal_signal_pending(current) ? -EINTR : err;
}

/* Who has pinned a buffer object may keep it for ever: that is nothing to wait for. */
static int serve_vma(struct xe_vma *vma, const struct xe_pagefault *pf,
		     struct xe_pagefault_served *served)
{
	bool atomic = access_of(pf) == XE_PAGEFAULT_ACCESS_TYPE_ATOMIC;
	struct xe_vm *vm = xe_vma_vm(vma);
	struct drm_gpusvm_service service;
	int err;

	err = xe_svm_vma_service_begin(vm, &service);
	if (err)
		return err;

	xe_pagefault_tell(served, xe_vma_start(vma), xe_vma_end(vma));
	err = mutex_lock_killable(&vma->fault_lock);
	if (!err) {
		err = serve_vma_locked(vma, pf->gt, atomic);
		mutex_unlock(&vma->fault_lock);
	}
	err = end_of_interrupted(err);
	xe_svm_vma_service_end(vm, &service);
	if (!err)
		tell_access(vma, atomic, served);

	return err == -EBUSY && !xe_vma_is_userptr(vma) ? -EIO : err;
}

/* ------------------------------------------------------------------------
 * Mirrors
 */

/*
 * What a worker does for the process of the VM ends with that process. Its mirrors are
 * of no use then, but others that have the file go on with what else they have bound.
 */
static int serve_mirror(struct xe_vma *vma, const struct xe_pagefault *pf, bool exclusive,
			struct xe_pagefault_served *served)
{
	struct xe_vm *vm = xe_vma_vm(vma);
	struct drm_gpusvm_service service;
	int err;

	err = xe_svm_service_begin(vm, &service);
	if (err)
		return err;

	err = xe_svm_handle_pagefault(vm, vma, pf->gt, pf->consumer.page_addr,
				      access_of(pf), exclusive, served);
	err = end_of_interrupted(err);
	xe_svm_service_end(vm, &service);

	return err;
}

/* ------------------------------------------------------------------------
 * All of them
 */

static int serve_any(struct xe_vma *vma, const struct xe_pagefault *pf, bool exclusive,
		     struct xe_pagefault_served *served)
{
	struct xe_vm *vm = xe_vma_vm(vma);
	bool interrupted;
	int err;

	if (xe_vma_is_cpu_addr_mirror(vma)) {
		err = serve_mirror(vma, pf, exclusive, served);
		interrupted = xe_svm_interrupted(vm, err);
	} else {
		err = serve_vma(vma, pf, served);
		interrupted = xe_svm_vma_interrupted(vm, err);
	}

	/* Who has interrupted it waits for the lock of the VM. */
	return interrupted ? -EAGAIN : err;
}

/* Serve a fault; -ESTALE if that takes the lock for writing, and it is not. */
VISIBLE_IF_KUNIT int xe_pagefault_service_locked(struct xe_vm *vm,
						 const struct xe_pagefault *pf,
						 bool exclusive,
						 struct xe_pagefault_served *served)
{
	u64 addr = pf->consumer.page_addr;
	struct xe_vma *vma;
	int err;

	KUNIT_STATIC_STUB_REDIRECT(xe_pagefault_service_locked, vm, pf, exclusive, served);

	lockdep_assert_held(&vm->lock);

	vma = xe_vm_find_vma_by_addr(vm, addr);
	if (!vma)
		return -EINVAL;

	if (xe_vma_read_only(vma) && access_of(pf) != XE_PAGEFAULT_ACCESS_TYPE_READ)
		return -EPERM;

	err = serve_any(vma, pf, exclusive, served);
	if (err)
		return err;

	/* Resetting the attributes of unmapped memory may have freed the VMA. */
	if (exclusive)
		vma = xe_vm_find_vma_by_addr(vm, addr);
	WRITE_ONCE(vm->usm.last_fault_vma, vma);

	return 0;
}

/* A call may hold the lock while it waits for memory. The device does not stay for that. */
static int lock_vm(struct xe_vm *vm, bool exclusive)
{
	struct drm_gpusvm_service service;
	int err;

	if (exclusive ? down_write_trylock(&vm->lock) : down_read_trylock(&vm->lock))
		return 0;

	err = xe_svm_lock_service_begin(vm, &service);
	if (err)
		return err;

	err = exclusive ? down_write_killable(&vm->lock) : down_read_killable(&vm->lock);
	xe_svm_lock_service_end(vm, &service);

	return err;
}

static void unlock_vm(struct xe_vm *vm, bool exclusive)
{
	if (exclusive)
		up_write(&vm->lock);
	else
		up_read(&vm->lock);
}

static int service_once(struct xe_vm *vm, const struct xe_pagefault *pf, bool exclusive,
			struct xe_pagefault_served *served)
{
	int err;

	err = lock_vm(vm, exclusive);
	if (err)
		return xe_svm_lock_interrupted(vm, err) ? -EAGAIN : err;

	err = xe_vm_is_closed(vm) ? -ENOENT :
	      xe_pagefault_service_locked(vm, pf, exclusive, served);
	unlock_vm(vm, exclusive);

	return err;
}

/**
 * xe_pagefault_service() - Serve a page fault
 * @vm: Its VM
 * @pf: The fault
 * @served: What the tile can access now, if it was served; and what is bound, before that
 *
 * Called by workers, for several faults of a VM at the same time.
 *
 * Return: 0 if the access can be repeated; -EAGAIN or -EBUSY if it is worth another
 * attempt; or another error, with which the fault is answered.
 */
int xe_pagefault_service(struct xe_vm *vm, const struct xe_pagefault *pf,
			 struct xe_pagefault_served *served)
{
	int err;

	err = service_once(vm, pf, false, served);
	if (err == -ESTALE)
		err = service_once(vm, pf, true, served);

	return err;
}
