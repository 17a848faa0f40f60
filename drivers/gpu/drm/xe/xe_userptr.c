// SPDX-License-Identifier: MIT
/*
 * Userptrs: VMAs that map memory which the CPU has at another address.
 */

#include "xe_svm.h"
#include "xe_userptr.h"

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>

#include <drm/drm_drv.h>

#include "xe_device.h"
#include "xe_tlb_inval.h"
#include "xe_trace_bo.h"
#include "xe_vm.h"

/**
 * DOC: Xe userptrs
 *
 * A userptr is a pages object of drm_gpusvm with an MMU interval notifier of its
 * own. Its pages are not pinned, whatever the functions are called: they are got,
 * and an invalidation takes them away again.
 *
 * In fault mode the next fault, or the bind in question, gets them anew. In other
 * modes the invalidation stops the GPU, with the preempt fences in the VM's
 * reservation, and puts the userptr on the list &xe_userptr_vm.invalidated. Exec
 * and the rebind worker move what they find there to
 * &xe_userptr_vm.repin_list, get the pages, and have the VMAs bound again.
 *
 * An invalidation has up to three stages:
 *
 * 1. Ask for all fences of the VM: jobs are preempted, binds run to their end.
 * 2. With the fences signaled, zap the entries and send the flush of the TLBs. In
 *    long-running mode without faults, too: a queue that was killed, or that is about
 *    to be reset, runs on behind its preempt fence. Only fences of jobs tell that
 *    nothing runs any more.
 * 3. With the TLBs flushed, unmap the pages.
 *
 * The MM runs all notifiers once before it waits for any of them. A pass goes as
 * far as there is nothing to be waited for, and what is left comes in the second
 * one. The notifier lock, which all userptrs and ranges of the VM share, is not held
 * by anybody who waits.
 *
 * The device can go while processes keep their VMs. When it can't reach memory any more,
 * all that it has mapped is unmapped, and the core maps nothing for it again.
 *
 * Only one invalidation of a userptr at a time can have a second pass with the MM.
 * Others do theirs at once. &xe_userptr.finish_lock has one second pass after the
 * other: the next one finds that there is nothing left to do.
 */

/* Returns the VM's device, for messages. */
static struct drm_device *userptr_drm(struct xe_userptr_vma *uvma)
{
	return &xe_vma_vm(&uvma->vma)->xe->drm;
}

/*
 * The notifier lock for writing, or what an injected invalidation has instead:
 * nobody gets pages, invalidates or executes meanwhile.
 */
static void assert_in_invalidation(struct xe_vm *vm)
{
	lockdep_assert(lockdep_is_held_type(&vm->svm.gpusvm.notifier_lock, 0) ||
		       (lockdep_is_held_type(&vm->svm.gpusvm.notifier_lock, 1) &&
			lockdep_is_held(&vm->lock) &&
			dma_resv_held(xe_vm_resv(vm))));
}

/* ------------------------------------------------------------------------
 * Getting pages
 */

/**
 * xe_vma_userptr_check_repin() - Whether the pages have to be got again
 * @uvma: The userptr
 *
 * Needs no lock, so the answer may be outdated. It is checked again under the
 * notifier lock before the pages are used.
 *
 * Return: 0 if they haven't, -EAGAIN if they have.
 */
int xe_vma_userptr_check_repin(struct xe_userptr_vma *uvma)
{
	struct xe_userptr *userptr = &uvma->userptr;

	return mmu_interval_check_retry(&userptr->notifier,
					userptr->pages.notifier_seq) ? -EAGAIN : 0;
}

/**
 * xe_vma_userptr_pin_pages() - Get the pages of a userptr
 * @uvma: The userptr; the lock of its VM is held
 *
 * Return: 0, or an error as drm_gpusvm_get_pages() returns it.
 */
int xe_vma_userptr_pin_pages(struct xe_userptr_vma *uvma)
{
	struct xe_userptr *userptr = &uvma->userptr;
	struct xe_vma *vma = &uvma->vma;
	struct xe_vm *vm = xe_vma_vm(vma);
	struct drm_gpusvm_ctx ctx = {
		.read_only = xe_vma_read_only(vma),
		.allow_mixed = true,
		.device_private_page_owner = xe_svm_private_page_owner(vm, false),
	};
	u64 start = xe_vma_userptr(vma);

	lockdep_assert_held(&vm->lock);
	xe_assert(vm->xe, xe_vma_is_userptr(vma));

	/* Nobody will use them any more. */
	if (vma->gpuva.flags & XE_VMA_DESTROYED)
		return 0;

	return drm_gpusvm_get_pages(&vm->svm.gpusvm, &userptr->pages,
				    userptr->notifier.mm, &userptr->notifier,
				    start, start + xe_vma_size(vma), &ctx);
}

/* Nothing of the userptr is in the GPU's entries any more, or no job of the VM runs. */
static void unmap_pages_locked(struct xe_userptr_vma *uvma)
{
	struct xe_vma *vma = &uvma->vma;
	struct drm_gpusvm_ctx ctx = {
		.in_notifier = true,
		.read_only = xe_vma_read_only(vma),
	};

	drm_gpusvm_unmap_pages(&xe_vma_vm(vma)->svm.gpusvm, &uvma->userptr.pages,
			       xe_vma_size(vma) >> PAGE_SHIFT, &ctx);
}

/* ------------------------------------------------------------------------
 * Invalidation
 */

/* Tell exec and the rebind worker; without a fault they would not find out. */
static void add_invalidated(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	if (xe_vm_in_fault_mode(vm) || uvma->vma.gpuva.flags & XE_VMA_DESTROYED)
		return;

	spin_lock(&vm->userptr.invalidated_lock);
	list_move_tail(&uvma->userptr.invalidate_link, &vm->userptr.invalidated);
	spin_unlock(&vm->userptr.invalidated_lock);
}

/* Have all fences signal, without waiting. Returns whether they have. */
static bool request_fences(struct xe_vm *vm)
{
	struct dma_resv_iter cursor;
	struct dma_fence *fence;
	bool signaled = true;

	dma_resv_iter_begin(&cursor, xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP);
	dma_resv_for_each_fence_unlocked(&cursor, fence) {
		/* After an iteration that began anew nothing is lost but time. */
		dma_fence_enable_signaling(fence);
		signaled &= dma_fence_is_signaled(fence);
	}
	dma_resv_iter_end(&cursor);

	return signaled;
}

/* How often an invalidation lets jobs pass it while it waits. */
#define XE_USERPTR_WAITS	8

static void wait_fences(struct xe_vm *vm)
{
	long left = dma_resv_wait_timeout(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP,
					  false, MAX_SCHEDULE_TIMEOUT);

	XE_WARN_ON(left <= 0);
}

/*
 * Whether something of the GPU may run with entries for the pages although all fences have
 * signaled. A closed VM has no entries. When page tables go along with the device, no pages
 * are mapped any more.
 */
static bool has_entries(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	return xe_vm_in_lr_mode(vm) && !xe_vm_is_closed(vm) && uvma->userptr.initial_bind &&
	       drm_gpusvm_pages_mapped(&uvma->userptr.pages);
}

/* Stage 2, with all fences signaled. Returns whether the flush has to be waited for. */
static bool submit_flush_locked(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	struct xe_userptr *userptr = &uvma->userptr;

	assert_in_invalidation(vm);
	xe_assert(vm->xe, !userptr->tlb_inval_submitted);

	if (has_entries(vm, uvma) &&
	    !XE_WARN_ON(xe_vm_invalidate_vma_submit(&uvma->vma, &userptr->inval_batch)))
		userptr->tlb_inval_submitted = true;

	return userptr->tlb_inval_submitted;
}

/*
 * Take the notifier lock when no job of the VM is under way. Those that come meanwhile
 * are not for a userptr that is being invalidated: its pages are not valid. If there is
 * always another one, the last of them are waited for under the lock, where none is added.
 */
static void lock_without_jobs(struct xe_vm *vm)
{
	int tries;

	for (tries = 0; tries < XE_USERPTR_WAITS; tries++) {
		wait_fences(vm);
		down_write(&vm->svm.gpusvm.notifier_lock);
		if (dma_resv_test_signaled(xe_vm_resv(vm), DMA_RESV_USAGE_BOOKKEEP))
			return;
		up_write(&vm->svm.gpusvm.notifier_lock);
	}
	down_write(&vm->svm.gpusvm.notifier_lock);
	wait_fences(vm);
}

/* Stage 2 where the first pass had to leave it; returns as stage 2 does. */
static bool submit_flush(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	bool submitted;

	lock_without_jobs(vm);
	submitted = uvma->userptr.tlb_inval_submitted || submit_flush_locked(vm, uvma);
	up_write(&vm->svm.gpusvm.notifier_lock);

	return submitted;
}

/* Stage 3, with the TLBs flushed. */
static void complete_flush(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	guard(rwsem_write)(&vm->svm.gpusvm.notifier_lock);

	uvma->userptr.tlb_inval_submitted = false;
	unmap_pages_locked(uvma);
}

/*
 * The first pass. Returns whether it takes a second one. Another first pass may have
 * sent a flush, which has to be waited for. What is not mapped is not used, so that
 * there is nobody to be stopped.
 */
static bool invalidate_first(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	bool signaled;

	assert_in_invalidation(vm);

	add_invalidated(vm, uvma);
	if (!drm_gpusvm_pages_mapped(&uvma->userptr.pages))
		return false;
	signaled = request_fences(vm);

	if (uvma->userptr.tlb_inval_submitted || !signaled || submit_flush_locked(vm, uvma))
		return true;

	unmap_pages_locked(uvma);

	return false;
}

/* The second pass: it does what the first one had to leave. */
static void invalidate_second(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	guard(mutex)(&uvma->userptr.finish_lock);

	if (submit_flush(vm, uvma))
		xe_tlb_inval_batch_wait(&uvma->userptr.inval_batch);
	complete_flush(vm, uvma);
}

static bool userptr_invalidate_start(struct mmu_interval_notifier *mni,
				     const struct mmu_notifier_range *range,
				     unsigned long cur_seq,
				     struct mmu_interval_notifier_finish **finish)
{
	struct xe_userptr_vma *uvma =
		container_of(mni, struct xe_userptr_vma, userptr.notifier);
	struct xe_vma *vma = &uvma->vma;
	struct xe_vm *vm = xe_vma_vm(vma);
	bool second, busy;

	xe_assert(vm->xe, xe_vma_is_userptr(vma));
	trace_xe_vma_userptr_invalidate(vma);

	if (!mmu_notifier_range_blockable(range))
		return false;

	vm_dbg(userptr_drm(uvma), "NOTIFIER PASS1: addr=0x%016llx, range=0x%016llx",
	       xe_vma_start(vma), xe_vma_size(vma));

	down_write(&vm->svm.gpusvm.notifier_lock);
	mmu_interval_set_seq(mni, cur_seq);
	second = invalidate_first(vm, uvma);
	busy = uvma->userptr.finish_inuse;
	if (second && !busy) {
		uvma->userptr.finish_inuse = true;
		*finish = &uvma->userptr.finish;
	}
	up_write(&vm->svm.gpusvm.notifier_lock);

	if (second && busy)
		invalidate_second(vm, uvma);
	if (!*finish)
		trace_xe_vma_userptr_invalidate_complete(vma);

	return true;
}

static void userptr_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct xe_userptr_vma *uvma =
		container_of(finish, struct xe_userptr_vma, userptr.finish);
	struct xe_vma *vma = &uvma->vma;
	struct xe_vm *vm = xe_vma_vm(vma);

	vm_dbg(userptr_drm(uvma), "NOTIFIER PASS2: addr=0x%016llx, range=0x%016llx",
	       xe_vma_start(vma), xe_vma_size(vma));

	invalidate_second(vm, uvma);
	scoped_guard(rwsem_write, &vm->svm.gpusvm.notifier_lock)
		uvma->userptr.finish_inuse = false;

	trace_xe_vma_userptr_invalidate_complete(vma);
}

static const struct mmu_interval_notifier_ops userptr_notifier_ops = {
	.invalidate_start = userptr_invalidate_start,
	.invalidate_finish = userptr_invalidate_finish,
};

#if IS_ENABLED(CONFIG_DRM_XE_USERPTR_INVAL_INJECT)
/**
 * xe_vma_userptr_force_invalidate() - Invalidate a userptr as the CPU would
 * @uvma: The userptr
 *
 * For tests. Called with the VM's lock, its reservation and the notifier lock
 * held, so that nobody gets pages, invalidates or executes meanwhile.
 */
void xe_vma_userptr_force_invalidate(struct xe_userptr_vma *uvma)
{
	struct xe_userptr *userptr = &uvma->userptr;
	struct xe_vm *vm = xe_vma_vm(&uvma->vma);

	lockdep_assert_held(&vm->lock);
	lockdep_assert_held(&vm->svm.gpusvm.notifier_lock);
	xe_vm_assert_held(vm);

	/* Sequences of finished invalidations are two apart. */
	if (!mmu_interval_read_retry(&userptr->notifier, userptr->pages.notifier_seq))
		userptr->pages.notifier_seq -= 2;

	/* The lock is the caller's, so what has to be waited for is waited for under it. */
	if (!invalidate_first(vm, uvma))
		return;

	wait_fences(vm);
	if (userptr->tlb_inval_submitted || submit_flush_locked(vm, uvma))
		xe_tlb_inval_batch_wait(&userptr->inval_batch);
	userptr->tlb_inval_submitted = false;
	unmap_pages_locked(uvma);
}
#endif

/* ------------------------------------------------------------------------
 * Getting pages again: modes without faults
 */

/**
 * __xe_vm_userptr_needs_repin() - Whether userptrs of a VM have to be got again
 * @vm: The VM; the notifier lock is held for reading
 *
 * Return: 0 if none has, -EAGAIN otherwise.
 */
int __xe_vm_userptr_needs_repin(struct xe_vm *vm)
{
	struct xe_userptr_vm *userptr = &vm->userptr;

	lockdep_assert_held_read(&vm->svm.gpusvm.notifier_lock);

	return list_empty(&userptr->repin_list) &&
	       list_empty(&userptr->invalidated) ? 0 : -EAGAIN;
}

/**
 * xe_vm_userptr_check_repin() - Same, without a lock
 * @vm: The VM
 *
 * Return: 0 if it looks as if none has, -EAGAIN otherwise.
 */
int xe_vm_userptr_check_repin(struct xe_vm *vm)
{
	struct xe_userptr_vm *userptr = &vm->userptr;

	return list_empty_careful(&userptr->repin_list) &&
	       list_empty_careful(&userptr->invalidated) ? 0 : -EAGAIN;
}

/* Take over what was invalidated so far. */
static void collect_invalidated(struct xe_vm *vm)
{
	struct list_head *from = &vm->userptr.invalidated;
	struct xe_userptr *userptr;

	guard(spinlock)(&vm->userptr.invalidated_lock);

	xe_assert(vm->xe, list_empty(&vm->userptr.repin_list));
	while (!list_empty(from)) {
		userptr = list_first_entry(from, struct xe_userptr, invalidate_link);
		list_del_init(&userptr->invalidate_link);
		list_add_tail(&userptr->repin_link, &vm->userptr.repin_list);
	}
}

/* Give back what was not reached, for the next attempt. */
static void return_invalidated(struct xe_vm *vm)
{
	struct list_head *from = &vm->userptr.repin_list;
	struct xe_userptr *userptr;

	guard(rwsem_write)(&vm->svm.gpusvm.notifier_lock);
	guard(spinlock)(&vm->userptr.invalidated_lock);

	while (!list_empty(from)) {
		userptr = list_first_entry(from, struct xe_userptr, repin_link);
		list_del_init(&userptr->repin_link);
		/* It may be there again already. */
		list_move_tail(&userptr->invalidate_link, &vm->userptr.invalidated);
	}
}

/*
 * The memory is gone. That is no error until the GPU touches it, so all it takes is
 * that the GPU's entries are gone, too, and stay away. They are for pages that were
 * unmapped before, so no invalidation has to wait for this flush.
 */
static int give_up_pages(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	struct xe_tlb_inval_batch batch = {};
	int idx, err = 0;

	/* An earlier attempt may have got as far as this. */
	list_del_init(&uvma->vma.combined_links.rebind);

	xe_vm_lock(vm, false);
	wait_fences(vm);
	xe_svm_notifier_lock(vm);
	if (drm_dev_enter(&vm->xe->drm, &idx)) {
		/* What was zapped while the device slept is back with its page tables. */
		WRITE_ONCE(uvma->vma.tile_invalidated, 0);
		err = xe_vm_invalidate_vma_submit(&uvma->vma, &batch);
		drm_dev_exit(idx);
	}
	xe_svm_notifier_unlock(vm);
	if (!err) {
		xe_tlb_inval_batch_wait(&batch);
		list_del_init(&uvma->userptr.repin_link);
	}
	xe_vm_unlock(vm);

	return err;
}

static int repin(struct xe_vm *vm, struct xe_userptr_vma *uvma)
{
	int err = xe_vma_userptr_pin_pages(uvma);

	if (err == -EFAULT)
		return give_up_pages(vm, uvma);
	if (err)
		return err;

	list_del_init(&uvma->userptr.repin_link);
	list_move_tail(&uvma->vma.combined_links.rebind, &vm->rebind_list);

	return 0;
}

/**
 * xe_vm_userptr_pin() - Get the pages of all userptrs that were invalidated
 * @vm: The VM, not in fault mode; its lock is held for writing
 *
 * Those that were got are put on &xe_vm.rebind_list.
 *
 * Return: 0, or a negative error.
 */
int xe_vm_userptr_pin(struct xe_vm *vm)
{
	struct xe_userptr_vma *uvma, *next;
	int err = 0;

	lockdep_assert_held_write(&vm->lock);
	xe_assert(vm->xe, !xe_vm_in_fault_mode(vm));

	collect_invalidated(vm);
	list_for_each_entry_safe(uvma, next, &vm->userptr.repin_list,
				 userptr.repin_link) {
		err = repin(vm, uvma);
		if (err) {
			return_invalidated(vm);
			break;
		}
	}

	return err;
}

/* ------------------------------------------------------------------------
 * Life
 */

/*
 * The userptrs of all devices, for the removal of one of them. A VM has no lock for its
 * own that could be waited for then. The notifier locks are taken under this one.
 */
static DEFINE_MUTEX(userptrs_lock);
static LIST_HEAD(userptrs);

/**
 * xe_userptr_setup() - Begin to watch the memory of a userptr
 * @uvma: The userptr, zeroed but for its VMA
 * @mm: Whose memory it is; the caller's if that process is gone, which has none any more
 * @start: Where the CPU has the memory
 * @range: How much of it there is, in bytes
 *
 * Return: 0, -EOVERFLOW if a process has no such addresses, or another negative error.
 */
int xe_userptr_setup(struct xe_userptr_vma *uvma, struct mm_struct *mm, u64 start, u64 range)
{
	struct xe_userptr *userptr = &uvma->userptr;
	int err;

	/* The GPU's addresses have more bits than those of a 32-bit kernel. */
	if (start > ULONG_MAX || range > ULONG_MAX - start)
		return -EOVERFLOW;

	/* As soon as the notifier is there, it may be called. */
	INIT_LIST_HEAD(&userptr->invalidate_link);
	INIT_LIST_HEAD(&userptr->repin_link);
	mutex_init(&userptr->finish_lock);
	/* Who binds it expects no more than what it is at that time, and after the unbind. */
	drm_gpusvm_init_pages_may_bounce(&userptr->pages, userptr_drm(uvma));

	if (!mmget_not_zero(mm)) {
		mm = current->mm;
		mmget(mm);
	}
	err = mmu_interval_notifier_insert(&userptr->notifier, mm, start, range,
					   &userptr_notifier_ops);
	mmput(mm);
	if (err)
		return err;

	scoped_guard(mutex, &userptrs_lock)
		list_add_tail(&userptr->link, &userptrs);

	return 0;
}

/**
 * xe_userptr_remove() - Stop watching
 * @uvma: The userptr; the GPU does not use it any more
 */
void xe_userptr_remove(struct xe_userptr_vma *uvma)
{
	struct xe_vma *vma = &uvma->vma;

	/* The notifier goes last: it must not miss a page that is mapped. */
	drm_gpusvm_free_pages(&xe_vma_vm(vma)->svm.gpusvm, &uvma->userptr.pages,
			      xe_vma_size(vma) >> PAGE_SHIFT);
	/* Nor must the removal of the device. */
	scoped_guard(mutex, &userptrs_lock)
		list_del(&uvma->userptr.link);
	mmu_interval_notifier_remove(&uvma->userptr.notifier);
	mutex_destroy(&uvma->userptr.finish_lock);
}

/**
 * xe_userptr_destroy() - Take a userptr off its VM's lists
 * @uvma: The userptr, which is being destroyed
 */
void xe_userptr_destroy(struct xe_userptr_vma *uvma)
{
	struct xe_userptr_vm *userptr = &xe_vma_vm(&uvma->vma)->userptr;

	spin_lock(&userptr->invalidated_lock);
	xe_assert(xe_vma_vm(&uvma->vma)->xe, list_empty(&uvma->userptr.repin_link));
	list_del_init(&uvma->userptr.invalidate_link);
	spin_unlock(&userptr->invalidated_lock);
}

static void unmap_of_removed(struct xe_userptr_vma *uvma)
{
	struct xe_vm *vm = xe_vma_vm(&uvma->vma);

	guard(rwsem_write)(&vm->svm.gpusvm.notifier_lock);
	unmap_pages_locked(uvma);
}

/**
 * xe_userptr_remove_device() - Unmap all userptrs of a device
 * @xe: The device; unplugged, and unable to reach memory
 *
 * Processes keep their VMs for as long as they like, but what is mapped behind an IOMMU
 * can't be unmapped any more when that has let go of the device.
 */
void xe_userptr_remove_device(struct xe_device *xe)
{
	struct xe_userptr *userptr;

	guard(mutex)(&userptrs_lock);

	list_for_each_entry(userptr, &userptrs, link) {
		struct xe_userptr_vma *uvma =
			container_of(userptr, struct xe_userptr_vma, userptr);

		if (xe_vma_vm(&uvma->vma)->xe == xe)
			unmap_of_removed(uvma);
	}
}

static void userptr_fini_device(void *arg)
{
	struct xe_device *xe = arg;

	/* Jobs of processes that have not noticed yet may be left. */
	pci_clear_master(to_pci_dev(xe->drm.dev));
	xe_userptr_remove_device(xe);
}

/**
 * xe_userptr_init_device() - Have the userptrs of a device unmapped when it goes
 * @xe: The device, of which no engine has been set up yet
 *
 * What is set up later is gone by then.
 *
 * Return: 0, or a negative error.
 */
int xe_userptr_init_device(struct xe_device *xe)
{
	return devm_add_action_or_reset(xe->drm.dev, userptr_fini_device, xe);
}
