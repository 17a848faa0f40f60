/* SPDX-License-Identifier: MIT */
/*
 * Userptrs: VMAs that map memory which the CPU has at another address.
 */

#ifndef _XE_USERPTR_H_
#define _XE_USERPTR_H_

#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>

#include <drm/drm_gpusvm.h>

#include "xe_tlb_inval_types.h"

struct xe_device;
struct xe_userptr_vma;
struct xe_vm;
struct xe_vma;

/** struct xe_userptr_vm - What a VM knows about its userptrs */
struct xe_userptr_vm {
	/**
	 * @repin_list: Userptrs whose pages have to be got again. Under the VM's
	 * lock.
	 */
	struct list_head repin_list;
	/** @invalidated_lock: Protects @invalidated */
	spinlock_t invalidated_lock;
	/**
	 * @invalidated: Userptrs that were invalidated since the last look at
	 * this list. Adding takes the notifier lock or the VM's lock for writing,
	 * removing the VM's lock for writing.
	 */
	struct list_head invalidated;
};

/**
 * struct xe_userptr - The pages of a userptr
 *
 * @finish, @finish_inuse and @tlb_inval_submitted belong to whoever holds the
 * notifier lock for writing, or for reading together with the VM's reservation; so does
 * @inval_batch while it is not under way. It is waited for without the lock.
 */
struct xe_userptr {
	/** @link: Links into the list of all userptrs, for the removal of a device */
	struct list_head link;
	/** @invalidate_link: Links into &xe_userptr_vm.invalidated */
	struct list_head invalidate_link;
	/** @repin_link: Links into &xe_userptr_vm.repin_list */
	struct list_head repin_link;
	/** @pages: The mapping for the VM's device */
	struct drm_gpusvm_pages pages;
	/** @notifier: Tells when the CPU changes the memory */
	struct mmu_interval_notifier notifier;
	/** @finish: The second pass of an invalidation, as the MM knows it */
	struct mmu_interval_notifier_finish finish;
	/** @finish_lock: Held during a second pass. The notifier lock is taken under it */
	struct mutex finish_lock;
	/** @inval_batch: The flush of the TLBs that the second pass waits for */
	struct xe_tlb_inval_batch inval_batch;
	/** @finish_inuse: @finish is with the MM; others do without a second pass */
	bool finish_inuse;
	/** @tlb_inval_submitted: @inval_batch is under way */
	bool tlb_inval_submitted;
	/**
	 * @initial_bind: It was bound at least once. Written with the notifier
	 * lock held for reading and the VM's reservation, read with either the
	 * notifier lock held for writing or the reservation.
	 */
	bool initial_bind;
#if IS_ENABLED(CONFIG_DRM_XE_USERPTR_INVAL_INJECT)
	/** @divisor: How rarely an invalidation is injected */
	u32 divisor;
#endif
};

#if IS_ENABLED(CONFIG_DRM_GPUSVM)

int xe_userptr_setup(struct xe_userptr_vma *uvma, struct mm_struct *mm, u64 start,
		     u64 range);
void xe_userptr_remove(struct xe_userptr_vma *uvma);
void xe_userptr_destroy(struct xe_userptr_vma *uvma);

int xe_userptr_init_device(struct xe_device *xe);
void xe_userptr_remove_device(struct xe_device *xe);

int xe_vma_userptr_pin_pages(struct xe_userptr_vma *uvma);
int xe_vma_userptr_check_repin(struct xe_userptr_vma *uvma);

int xe_vm_userptr_pin(struct xe_vm *vm);
int xe_vm_userptr_check_repin(struct xe_vm *vm);
int __xe_vm_userptr_needs_repin(struct xe_vm *vm);

#else

static inline int xe_userptr_setup(struct xe_userptr_vma *uvma, struct mm_struct *mm,
				   u64 start, u64 range)
{
	return -ENODEV;
}

static inline void xe_userptr_remove(struct xe_userptr_vma *uvma)
{
}

static inline void xe_userptr_destroy(struct xe_userptr_vma *uvma)
{
}

static inline int xe_userptr_init_device(struct xe_device *xe)
{
	return 0;
}

static inline int xe_vma_userptr_pin_pages(struct xe_userptr_vma *uvma)
{
	return -ENODEV;
}

static inline int xe_vma_userptr_check_repin(struct xe_userptr_vma *uvma)
{
	return -ENODEV;
}

static inline int xe_vm_userptr_pin(struct xe_vm *vm)
{
	return 0;
}

static inline int xe_vm_userptr_check_repin(struct xe_vm *vm)
{
	return 0;
}

static inline int __xe_vm_userptr_needs_repin(struct xe_vm *vm)
{
	return 0;
}

#endif

#if IS_ENABLED(CONFIG_DRM_XE_USERPTR_INVAL_INJECT)
void xe_vma_userptr_force_invalidate(struct xe_userptr_vma *uvma);
#else
static inline void xe_vma_userptr_force_invalidate(struct xe_userptr_vma *uvma)
{
}
#endif

#endif
