// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: buffer objects as memory of processes, and their eviction.
 */

#include <linux/sched/signal.h>

#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_pagemap.h>

#include "xe_bo.h"
#include "xe_pagefault.h"
#include "xe_pm.h"
#include "xe_svm_internal.h"
#include "xe_ttm_vram_mgr.h"
#include "xe_validation.h"
#include "xe_vram.h"
#include "xe_vram_types.h"

/* ------------------------------------------------------------------------
 * Allocation
 */

static struct xe_bo *to_xe_bo(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct xe_bo, devmem_allocation);
}

/* May be called from wherever a page is freed. */
static void xe_svm_devmem_release(struct drm_pagemap_devmem *devmem)
{
	struct xe_bo *bo = to_xe_bo(devmem);
	struct xe_device *xe = xe_bo_device(bo);

	dma_fence_put(devmem->pre_migrate_fence);
	xe_bo_put_async(bo);
	xe_pm_runtime_put(xe);
}

static int xe_svm_populate_devmem_pfn(struct drm_pagemap_devmem *devmem,
				      unsigned long npages, unsigned long *pfn)
{
	struct ttm_resource *res = to_xe_bo(devmem)->ttm.resource;
	struct gpu_buddy *buddy = &xe_map_resource_to_region(res)->ttm.mm;
	struct gpu_buddy_block *block;
	unsigned long i = 0, next, end;

	list_for_each_entry(block, &to_xe_ttm_vram_mgr_resource(res)->blocks, link) {
		next = PHYS_PFN(to_xe_pagemap(devmem->dpagemap)->hpa_base +
				gpu_buddy_block_offset(block));
		end = next + PHYS_PFN(gpu_buddy_block_size(buddy, block));
		while (i < npages && next < end)
			pfn[i++] = next++;
	}

	return i == npages ? 0 : -EINVAL;
}

static const struct drm_pagemap_devmem_ops xe_devmem_ops = {
	.devmem_release = xe_svm_devmem_release,
	.populate_devmem_pfn = xe_svm_populate_devmem_pfn,
	.submit_to_devmem = xe_svm_submit_to_devmem,
	.submit_to_ram = xe_svm_submit_to_ram,
};

/* The fence of the clearing of a new object, and of the eviction before it. */
static int bo_get_fence(struct xe_bo *bo, struct dma_fence **fence)
{
	struct dma_resv *resv = bo->ttm.base.resv;
	int err;

	*fence = NULL;
	if (dma_resv_test_signaled(resv, DMA_RESV_USAGE_KERNEL))
		return 0;

	err = dma_resv_get_singleton(resv, DMA_RESV_USAGE_KERNEL, fence);
	if (!err && *fence)
		dma_fence_enable_signaling(*fence);

	return err;
}

/*
 * As soon as a new object is unlocked it may be evicted, and has to be an allocation by
 * then. One whose memory is not used yet can't be, which is what an eviction finds out.
 */
static int bo_make_devmem(struct xe_bo *bo, struct drm_pagemap *dpagemap,
			  struct mm_struct *mm, size_t size)
{
	drm_pagemap_devmem_init(&bo->devmem_allocation, dpagemap->drm->dev, mm,
				&xe_devmem_ops, dpagemap, size, NULL);

	return bo_get_fence(bo, &bo->devmem_allocation.pre_migrate_fence);
}

/* Without waiting, neither others that evict nor other objects are disturbed. */
static struct xe_bo *bo_create(struct drm_pagemap *dpagemap, struct mm_struct *mm,
			       size_t size, bool may_wait)
{
	struct xe_vram_region *vr = to_xe_pagemap(dpagemap)->vr;
	const struct xe_val_flags flags = { .no_block = !may_wait };
	struct xe_device *xe = vr->xe;
	size_t bo_size = xe_svm_can_map_mixed(xe) ? size : ALIGN(size, SZ_64K);
	struct xe_validation_ctx vctx;
	struct drm_exec exec;
	struct xe_bo *bo = NULL;
	int err = 0;

	xe_validation_guard(&vctx, &xe->val, &exec, flags, err) {
		/* VRAM is being saved, and what is new in it would not be. */
		if (xe_pagefault_is_suspended(xe)) {
			err = -EBUSY;
			break;
		}
		bo = xe_bo_create_locked(xe, NULL, NULL, bo_size, ttm_bo_type_device,
					 XE_BO_FLAG_VRAM(vr) | XE_BO_FLAG_CPU_ADDR_MIRROR |
					 (may_wait ? 0 : XE_BO_FLAG_NO_EVICT), &exec);
		drm_exec_retry_on_contention(&exec);
		if (IS_ERR(bo)) {
			err = PTR_ERR(bo);
			if (may_wait)
				xe_validation_retry_on_oom(&vctx, &err);
			break;
		}
		err = bo_make_devmem(bo, dpagemap, mm, size);
		/* Nothing will ever be in it that an eviction would have to wait for. */
		if (err)
			complete_all(&bo->devmem_allocation.detached);
		xe_bo_unlock(bo);
		if (err)
			xe_bo_put(bo);
	}

	return err ? ERR_PTR(err) : bo;
}

/* The device has to be awake until the allocation is released. */
static bool devmem_get_power(struct xe_device *xe, bool may_wait)
{
	if (!may_wait && IS_ENABLED(CONFIG_PM))
		return xe_pm_runtime_get_if_active(xe);

	xe_pm_runtime_get(xe);
	return true;
}

struct drm_pagemap_devmem *
xe_svm_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
		    size_t size, bool may_wait)
{
	struct xe_device *xe = to_xe_pagemap(dpagemap)->vr->xe;
	struct xe_bo *bo;

	if (!devmem_get_power(xe, may_wait))
		return ERR_PTR(-EBUSY);

	bo = bo_create(dpagemap, mm, size, may_wait);
	if (IS_ERR(bo)) {
		xe_pm_runtime_put(xe);
		if (!may_wait)
			return ERR_PTR(-EBUSY);
		/* TTM calls it memory, too, if there is no VRAM. */
		return bo == ERR_PTR(-ENOMEM) ? ERR_PTR(-ENOSPC) : ERR_CAST(bo);
	}

	return &bo->devmem_allocation;
}

/* ------------------------------------------------------------------------
 * Eviction
 */

/* How often the copies of an object may fail before some of it is given up. */
#define XE_SVM_REMOVE_TRIES	8

/* Whether a failure says something of the pages, not of who works on them. */
static bool is_failure(int err)
{
	return err && err != -EBUSY && err != -EINTR && err != -ERESTARTSYS;
}

/* Those that can't be copied in a number of attempts are lost. */
static void bo_empty_or_abandon(struct xe_bo *bo)
{
	struct drm_pagemap_devmem *devmem = &bo->devmem_allocation;
	/* A device that is wedged copies nothing any more, and says so slowly. */
	unsigned int failures = xe_device_wedged(xe_bo_device(bo)) ? XE_SVM_REMOVE_TRIES : 0;
	int err;

	do {
		err = failures < XE_SVM_REMOVE_TRIES ? drm_pagemap_evict_many(&devmem, 1) :
						       drm_pagemap_abandon_many(&devmem, 1);
		failures += is_failure(err);
	} while (err && !wait_for_completion_timeout(&devmem->detached, 1));
}

/*
 * The memory goes, and its pages have to be gone before. Others have a reference on some
 * for the moment, and those of an object that is not used yet are just about to be used.
 *
 * A signal to whoever removes the device changes nothing of that, not even one that kills.
 * Jobs wait for room in a way that it would disturb.
 */
static int bo_empty(struct xe_bo *bo)
{
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	bo_empty_or_abandon(bo);
	sigprocmask(SIG_SETMASK, &old, NULL);

	return 0;
}

/**
 * xe_svm_bo_evict() - Move all pages of a buffer object to RAM
 * @bo: The object, one of those that SVM has made
 *
 * Whoever needs the room tries the next object, whatever it is that keeps this one: the
 * memory of another process that may have no more RAM, for instance.
 *
 * What a wedged device has when it is suspended is lost: who touches it gets SIGBUS.
 *
 * Return: 0 if no page is left in it, which is always so once the device is unplugged;
 * -EINTR if the caller was killed; -ERESTARTSYS if a signal came; else -EBUSY.
 */
int xe_svm_bo_evict(struct xe_bo *bo)
{
	struct drm_pagemap_devmem *devmem = &bo->devmem_allocation;
	struct xe_device *xe = xe_bo_device(bo);
	int err;

	if (drm_dev_is_unplugged(&xe->drm))
		return bo_empty(bo);

	/* Nothing can copy it, and a device that sleeps loses it. */
	if (xe_device_wedged(xe) && xe_pagefault_is_suspended(xe))
		err = drm_pagemap_abandon_many(&devmem, 1);
	else
		err = drm_pagemap_evict_to_ram(devmem);

	return !err || err == -EINTR || err == -ERESTARTSYS ? err : -EBUSY;
}
