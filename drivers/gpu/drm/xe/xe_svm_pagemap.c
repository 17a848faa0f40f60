// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: VRAM as memory of processes.
 */

#include <linux/file.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/memremap.h>
#include <linux/sched/signal.h>

#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_file.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>

#include "xe_assert.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_exec_queue_types.h"
#include "xe_gt_stats.h"
#include "xe_migrate.h"
#include "xe_pm.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_ttm_vram_mgr.h"
#include "xe_validation.h"
#include "xe_vm.h"
#include "xe_vm_types.h"
#include "xe_vram_types.h"

/**
 * DOC: Xe SVM device memory
 *
 * Each region of VRAM that a VM in fault mode, or a user who asks for it with
 * madvise, may migrate to has a &struct xe_pagemap. It is made when it is first
 * needed and kept in a cache of the region, from where a shrinker frees it.
 * References on it are held by
 *
 * - VMs in fault mode, on those of their own device,
 *
 * - VMAs, on the one that madvise has named,
 *
 * - allocations that have pages in some mm,
 *
 * - pages objects that map device memory.
 *
 * Memory is allocated as a buffer object for at most one huge page at a time, so
 * that TTM evicts it under pressure like any other. The object is contiguous, its
 * contents begin as zeroes, and it is released with the last of its pages. While
 * it has pages, it holds a reference of runtime power management.
 *
 * Copies are made by the migration engine of the region's tile, in either
 * direction. They are submitted and not waited for; the engine works through them
 * in order, so the fence of the last one stands for all.
 */

/* The most that the migration engine copies in one job. */
#define XE_SVM_COPY_MAX_PAGES	(SZ_8M >> PAGE_SHIFT)

static struct xe_pagemap *to_xe_pagemap(struct drm_pagemap *dpagemap)
{
	return container_of(dpagemap, struct xe_pagemap, dpagemap);
}

static struct xe_pagemap *page_to_xe_pagemap(struct page *page)
{
	return container_of(page_pgmap(page), struct xe_pagemap, pagemap);
}

static struct xe_bo *to_xe_bo(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct xe_bo, devmem_allocation);
}

/* Where in its region a page is, in bytes. */
static u64 page_vram_offset(struct page *page)
{
	struct xe_pagemap *xpagemap = page_to_xe_pagemap(page);

	xe_assert(xpagemap->vr->xe, is_device_private_page(page));

	return page_to_phys(page) - xpagemap->hpa_base;
}

/* The address that the device itself uses for a page of its VRAM. */
static u64 page_to_dpa(struct page *page)
{
	return page_to_xe_pagemap(page)->vr->dpa_base + page_vram_offset(page);
}

/* The address that others use, behind the device's BAR. */
static u64 page_to_pcie(struct page *page)
{
	return page_to_xe_pagemap(page)->vr->io_start + page_vram_offset(page);
}

/* ------------------------------------------------------------------------
 * Statistics of copies
 */

/**
 * struct xe_svm_copy_stats - Counters of one direction
 *
 * @kb: Kilobytes, by the size of a job: 4K, 64K, 2M, and all
 * @us: Microseconds, by the size of what was to be copied: the same
 */
struct xe_svm_copy_stats {
	enum xe_gt_stats_id kb[4];
	enum xe_gt_stats_id us[4];
};

#define XE_SVM_COPY_STATS(dir, unit) {				\
	XE_GT_STATS_ID_SVM_4K_##dir##_COPY_##unit,		\
	XE_GT_STATS_ID_SVM_64K_##dir##_COPY_##unit,		\
	XE_GT_STATS_ID_SVM_2M_##dir##_COPY_##unit,		\
	XE_GT_STATS_ID_SVM_##dir##_COPY_##unit,			\
}

static const struct xe_svm_copy_stats to_vram_stats = {
	.kb = XE_SVM_COPY_STATS(DEVICE, KB),
	.us = XE_SVM_COPY_STATS(DEVICE, US),
};

static const struct xe_svm_copy_stats to_ram_stats = {
	.kb = XE_SVM_COPY_STATS(CPU, KB),
	.us = XE_SVM_COPY_STATS(CPU, US),
};

static void copy_stat(struct xe_gt *gt, const enum xe_gt_stats_id ids[4],
		      unsigned long npages, int value)
{
	unsigned long size = npages << PAGE_SHIFT;

	if (size == SZ_4K)
		xe_gt_stats_incr(gt, ids[0], value);
	else if (size == SZ_64K)
		xe_gt_stats_incr(gt, ids[1], value);
	else if (size == SZ_2M)
		xe_gt_stats_incr(gt, ids[2], value);
	xe_gt_stats_incr(gt, ids[3], value);
}

/**
 * struct xe_svm_copy_timer - Measures a copy that nobody waits for here
 *
 * @cb: Called when it is done
 * @gt: Where to count
 * @stats: What to count
 * @npages: How much is copied
 * @begin: When it began
 */
struct xe_svm_copy_timer {
	struct dma_fence_cb cb;
	struct xe_gt *gt;
	const struct xe_svm_copy_stats *stats;
	unsigned long npages;
	ktime_t begin;
};

static void copy_timer_done(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct xe_svm_copy_timer *timer = container_of(cb, struct xe_svm_copy_timer, cb);

	copy_stat(timer->gt, timer->stats->us, timer->npages,
		  xe_gt_stats_ktime_us_delta(timer->begin));
	kfree(timer);
}

/* Statistics are no reason to fail: without memory there are none. */
static void copy_timer_start(struct dma_fence *fence, const struct xe_svm_copy_timer *init)
{
	struct xe_svm_copy_timer *timer;

	if (!IS_ENABLED(CONFIG_DEBUG_FS))
		return;

	timer = kmemdup(init, sizeof(*init), GFP_NOWAIT);
	if (timer && dma_fence_add_callback(fence, &timer->cb, copy_timer_done))
		copy_timer_done(fence, &timer->cb);
}

/* ------------------------------------------------------------------------
 * Copies
 */

/**
 * struct xe_svm_copy - A copy that is being put together
 *
 * @vr: The region of VRAM; NULL as long as there was no page
 * @stats: Counters of the direction, which is the one of &to_ram_stats or not
 * @addr: Addresses of the other side, all of them
 * @first: Index of the first one that no job has yet
 * @npages: Number of pages that no job has yet
 * @vram: Where they are in VRAM
 * @deps: What the next job has to wait for; NULL once a job does
 * @fence: Fence of the last job
 */
struct xe_svm_copy {
	struct xe_vram_region *vr;
	const struct xe_svm_copy_stats *stats;
	struct drm_pagemap_addr *addr;
	unsigned long first, npages;
	u64 vram;
	struct dma_fence *deps;
	struct dma_fence *fence;
};

static struct xe_gt *copy_gt(const struct xe_svm_copy *copy)
{
	return xe_migrate_exec_queue(copy->vr->migrate)->gt;
}

static struct dma_fence *copy_job(struct xe_svm_copy *copy)
{
	struct drm_pagemap_addr *addr = &copy->addr[copy->first];
	struct xe_migrate *migrate = copy->vr->migrate;
	bool to_ram = copy->stats == &to_ram_stats;

	vm_dbg(&copy->vr->xe->drm, "COPY VRAM 0x%016llx %s 0x%016llx, NPAGES=%lu",
	       copy->vram, to_ram ? "->" : "<-", (u64)addr->addr, copy->npages);

	return to_ram ?
	       xe_migrate_from_vram(migrate, copy->npages, copy->vram, addr, copy->deps) :
	       xe_migrate_to_vram(migrate, copy->npages, addr, copy->vram, copy->deps);
}

/* Submit a job for the pages that have none yet. */
static int copy_flush(struct xe_svm_copy *copy)
{
	struct dma_fence *fence;

	if (!copy->npages)
		return 0;

	fence = copy_job(copy);
	if (IS_ERR(fence))
		return PTR_ERR(fence);

	copy_stat(copy_gt(copy), copy->stats->kb, copy->npages,
		  copy->npages << (PAGE_SHIFT - 10));
	dma_fence_put(copy->fence);
	copy->fence = fence;
	copy->deps = NULL;
	copy->npages = 0;

	return 0;
}

/* Add @npages pages at @index, which are contiguous in VRAM. */
static int copy_add(struct xe_svm_copy *copy, unsigned long index,
		    unsigned long npages, u64 vram)
{
	int err;

	if (index != copy->first + copy->npages ||
	    vram != copy->vram + (copy->npages << PAGE_SHIFT) ||
	    copy->npages + npages > XE_SVM_COPY_MAX_PAGES) {
		err = copy_flush(copy);
		if (err)
			return err;
	}

	if (!copy->npages) {
		copy->first = index;
		copy->vram = vram;
	}
	copy->npages += npages;

	return 0;
}

/* Entries without a page are none; without a source, there is nothing to copy. */
static int copy_add_all(struct xe_svm_copy *copy, struct page **pages,
			unsigned long npages)
{
	unsigned long i, n;
	int err;

	for (i = 0; i < npages; i += n) {
		n = 1;
		if (!pages[i] || copy->addr[i].hole)
			continue;

		if (!copy->vr)
			copy->vr = page_to_xe_pagemap(pages[i])->vr;
		xe_assert(copy->vr->xe, copy->vr == page_to_xe_pagemap(pages[i])->vr);

		n = min(1UL << copy->addr[i].order, npages - i);
		err = copy_add(copy, i, n, page_to_dpa(pages[i]));
		if (err)
			return err;
	}

	return copy_flush(copy);
}

/*
 * Submit all copies. Returns the fence to wait for, also if nothing was copied: the
 * VRAM may not be used before it was cleared.
 */
static struct dma_fence *copy_submit(struct page **pages, struct drm_pagemap_addr *addr,
				     unsigned long npages,
				     const struct xe_svm_copy_stats *stats,
				     struct dma_fence *deps)
{
	struct xe_svm_copy copy = { .stats = stats, .addr = addr, .deps = deps };
	ktime_t begin = xe_gt_stats_ktime_get();
	int err = copy_add_all(&copy, pages, npages);

	if (err) {
		/* The caller unmaps what earlier jobs still use. */
		if (copy.fence)
			dma_fence_wait(copy.fence, false);
		dma_fence_put(copy.fence);
		return ERR_PTR(err);
	}

	if (!copy.fence)
		return dma_fence_get(deps);

	copy_timer_start(copy.fence, &(struct xe_svm_copy_timer) {
		.gt = copy_gt(&copy),
		.stats = stats,
		.npages = npages,
		.begin = begin,
	});

	return copy.fence;
}

static struct dma_fence *xe_svm_submit_to_devmem(struct page **pages,
						 struct drm_pagemap_addr *pagemap_addr,
						 unsigned long npages,
						 struct dma_fence *pre_migrate_fence)
{
	return copy_submit(pages, pagemap_addr, npages, &to_vram_stats,
			   pre_migrate_fence);
}

static struct dma_fence *xe_svm_submit_to_ram(struct page **pages,
					      struct drm_pagemap_addr *pagemap_addr,
					      unsigned long npages,
					      struct dma_fence *pre_migrate_fence)
{
	return copy_submit(pages, pagemap_addr, npages, &to_ram_stats,
			   pre_migrate_fence);
}

/* ------------------------------------------------------------------------
 * Allocations
 */

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
		if (xe_svm_suspends(xe)) {
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
		xe_bo_unlock(bo);
		if (err)
			xe_bo_put(bo);
	}

	return err ? ERR_PTR(err) : bo;
}

/* The device has to be awake until the allocation is released. */
static bool devmem_get_power(struct xe_device *xe, bool may_wait)
{
	if (!may_wait)
		return xe_pm_runtime_get_if_active(xe);

	xe_pm_runtime_get(xe);
	return true;
}

static struct drm_pagemap_devmem *
xe_pagemap_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
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
	unsigned int failures = 0;
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
 * A signal to whoever removes the device changes nothing of that. Jobs wait for room in a
 * way that it would disturb.
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
 * Return: 0 if no page is left in it, which is always so once the device is unplugged;
 * -EINTR if the caller was killed; -ERESTARTSYS if a signal came; else -EBUSY.
 */
int xe_svm_bo_evict(struct xe_bo *bo)
{
	int err;

	if (drm_dev_is_unplugged(&xe_bo_device(bo)->drm))
		return bo_empty(bo);

	err = drm_pagemap_evict_to_ram(&bo->devmem_allocation);

	return !err || err == -EINTR || err == -ERESTARTSYS ? err : -EBUSY;
}

/* ------------------------------------------------------------------------
 * Migration
 */

/* A page that is busy now may not be the next time. */
#define XE_SVM_POPULATE_TRIES	2

/* Find the segments without memory around an address. There may be none. */
static void range_find_gap_locked(struct xe_svm_range *range, unsigned long addr,
				  unsigned long *start, unsigned long *end)
{
	unsigned long at = xe_svm_range_start(range);
	unsigned int i;

	*start = at;
	for (i = 0; i < range->pages.nr_addrs; i++) {
		const struct drm_pagemap_addr *a = &range->pages.dma_addr[i];
		bool gap = a->taken || a->hole;

		if (!gap && at > addr)
			break;
		at += PAGE_SIZE << a->order;
		if (!gap)
			*start = at;
	}
	*end = at;
}

/* From where to where there is anything that is not memory of a pagemap, if that is so. */
static void range_find_rest_locked(struct xe_svm_range *range, unsigned long *start,
				   unsigned long *end)
{
	unsigned long at = *start, first = *end, last = *start;
	unsigned int i;

	for (i = 0; i < range->pages.nr_addrs; i++) {
		const struct drm_pagemap_addr *a = &range->pages.dma_addr[i];
		unsigned long next = at + (PAGE_SIZE << a->order);

		if (a->taken || a->hole || a->proto == DRM_INTERCONNECT_SYSTEM) {
			first = min(first, at);
			last = next;
		}
		at = next;
	}
	if (first < last) {
		*start = first;
		*end = last;
	}
}

/*
 * What of a range has to be migrated. What is mapped from that memory stays: asking for it
 * again would take it from the GPU. For a fault it is no more than the gap around it, if
 * there is one; what is in RAM there could not be migrated when it was mapped.
 */
static void range_to_migrate(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
			     const struct drm_pagemap *dpagemap,
			     unsigned long *start, unsigned long *end)
{
	unsigned long first, last;

	*start = xe_svm_range_start(range);
	*end = xe_svm_range_end(range);

	drm_gpusvm_notifier_lock(range->base.gpusvm);
	if (drm_gpusvm_pages_mapped(&range->pages) && range->pages.dpagemap == dpagemap) {
		range_find_gap_locked(range, ctx->fault_addr, &first, &last);
		if (ctx->partial && first <= ctx->fault_addr && ctx->fault_addr < last) {
			*start = first;
			*end = last;
		} else {
			range_find_rest_locked(range, start, end);
		}
	}
	drm_gpusvm_notifier_unlock(range->base.gpusvm);
}

/*
 * Bring to RAM what can't be collected: what was swapped out, or is another device's. It
 * moves from there. If that takes all of the range along, all of it has to move.
 */
static void range_fetch(struct xe_vm *vm, struct xe_svm_range *range,
			const struct drm_gpusvm_ctx *ctx, unsigned long *start,
			unsigned long *end)
{
	bool whole = *start == xe_svm_range_start(range) && *end == xe_svm_range_end(range);
	struct drm_gpusvm_ctx get = *ctx;

	/* A mix that can't be mapped is evicted: not for the sake of a part. */
	if (!whole && !xe_svm_can_map_mixed(vm->xe))
		return;

	xe_svm_range_get_pages(vm, range, &get);
	if (drm_gpusvm_pages_mapped(&range->pages))
		return;
	*start = xe_svm_range_start(range);
	*end = xe_svm_range_end(range);
}

/**
 * xe_svm_move_to_vram() - Migrate a range to VRAM
 * @range: The range
 * @ctx: How long it is to stay there
 * @dpagemap: The memory
 *
 * Return: 0 if all of it is there now; -EBUSY if some had to be left, which is all of it
 * on devices that can't map a mix; or another negative error.
 */
int xe_svm_move_to_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
			struct drm_pagemap *dpagemap)
{
	struct drm_gpusvm *gpusvm = range->base.gpusvm;
	struct xe_vm *vm = container_of(gpusvm, struct xe_vm, svm.gpusvm);
	unsigned long start, end;
	int err, tries = 0;

	xe_assert(vm->xe, range->base.flags.migrate_devmem);
	xe_svm_range_debug(range, "ALLOCATE VRAM");

	/* Looking first doesn't disturb memory that is where it should be. */
	if (drm_gpusvm_scan_mm(&range->base, xe_svm_private_page_owner(vm, false),
			       dpagemap->pagemap) == DRM_GPUSVM_SCAN_EQUAL) {
		vm_dbg(dpagemap->drm, "Already migrated!\n");
		return 0;
	}
	vm_dbg(&vm->xe->drm, "Migrate to memory of \"%s\"\n", dpagemap->drm->unique);

	range_to_migrate(range, ctx, dpagemap, &start, &end);
	for (;;) {
		err = drm_pagemap_populate_mm(dpagemap, start, end, gpusvm->mm,
					      ctx->timeslice_ms);
		if (err != -EBUSY || ++tries == XE_SVM_POPULATE_TRIES)
			break;
		range_fetch(vm, range, ctx, &start, &end);
	}

	if (err == -EBUSY && !xe_svm_can_map_mixed(vm->xe))
		drm_gpusvm_range_evict(gpusvm, &range->base);

	return err;
}

/**
 * xe_svm_alloc_vram() - Migrate as much of a range to VRAM as can be used there
 * @range: The range
 * @ctx: How long it is to stay there
 * @dpagemap: The memory
 *
 * Return: 0 if all of it is there now, or, on devices that can map that, as much
 * as can be; or a negative error.
 */
int xe_svm_alloc_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
		      struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = container_of(range->base.gpusvm, struct xe_vm, svm.gpusvm);
	int err = xe_svm_move_to_vram(range, ctx, dpagemap);

	return err == -EBUSY && xe_svm_can_map_mixed(vm->xe) ? 0 : err;
}

/**
 * xe_vma_resolve_pagemap() - Where the memory of a VMA should be
 * @vma: The VMA
 * @tile: The tile that is going to use it
 *
 * Return: the device memory, without a reference; NULL for RAM.
 */
struct drm_pagemap *xe_vma_resolve_pagemap(struct xe_vma *vma, struct xe_tile *tile)
{
	struct drm_pagemap *named = vma->attr.preferred_loc.dpagemap;

	if (named)
		return named;

	if ((s32)vma->attr.preferred_loc.devmem_fd != DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE ||
	    !IS_DGFX(tile_to_xe(tile)))
		return NULL;

	return xe_tile_local_pagemap(tile);
}

/* ------------------------------------------------------------------------
 * Pagemaps
 */

static struct drm_pagemap_addr
xe_pagemap_device_map(struct drm_pagemap *dpagemap, struct device *dev,
		      struct page *page, unsigned int order,
		      enum dma_data_direction dir)
{
	dma_addr_t addr;

	if (dev == dpagemap->drm->dev)
		return drm_pagemap_addr_encode(page_to_dpa(page), XE_INTERCONNECT_VRAM,
					       order, dir);

	addr = dma_map_resource(dev, page_to_pcie(page), PAGE_SIZE << order, dir,
				DMA_ATTR_SKIP_CPU_SYNC);

	return drm_pagemap_addr_encode(addr, XE_INTERCONNECT_P2P, order, dir);
}

static void xe_pagemap_device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
				    const struct drm_pagemap_addr *addr)
{
	if (addr->proto == XE_INTERCONNECT_P2P)
		dma_unmap_resource(dev, addr->addr, PAGE_SIZE << addr->order,
				   addr->dir, DMA_ATTR_SKIP_CPU_SYNC);
}

static void pagemap_free(struct kref *ref)
{
	kfree(container_of(ref, struct xe_pagemap, refs));
}

/* Also what devm calls once it has unmapped the pages. */
static void pagemap_put(void *xpagemap)
{
	kref_put(&((struct xe_pagemap *)xpagemap)->refs, pagemap_free);
}

/* Give back the pages and the addresses, unless devm does or has done that. */
static void pagemap_release_pages(struct xe_pagemap *xpagemap)
{
	struct drm_device *drm = xpagemap->dpagemap.drm;
	struct dev_pagemap *pagemap = &xpagemap->pagemap;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return;

	devm_memunmap_pages(drm->dev, pagemap);
	devm_release_action(drm->dev, pagemap_put, xpagemap);
	devm_release_mem_region(drm->dev, pagemap->range.start,
				range_len(&pagemap->range));
	drm_dev_exit(idx);
}

static void xe_pagemap_destroy_work(struct work_struct *work)
{
	struct xe_pagemap *xpagemap = container_of(work, struct xe_pagemap, destroy_work);

	pagemap_release_pages(xpagemap);
	drm_pagemap_release_owner(&xpagemap->peer);
	pagemap_put(xpagemap);
}

static void xe_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	struct work_struct *work = &to_xe_pagemap(dpagemap)->destroy_work;

	if (is_atomic_or_reclaim)
		queue_work(to_xe_device(dpagemap->drm)->destroy_wq, work);
	else
		xe_pagemap_destroy_work(work);
}

static const struct drm_pagemap_ops xe_pagemap_ops = {
	.device_map = xe_pagemap_device_map,
	.device_unmap = xe_pagemap_device_unmap,
	.devmem_alloc = xe_pagemap_devmem_alloc,
	.destroy = xe_pagemap_destroy,
};

/* Addresses for the struct pages, and the pages themselves. */
static int pagemap_create_pages(struct xe_pagemap *xpagemap)
{
	struct device *dev = xpagemap->vr->xe->drm.dev;
	struct dev_pagemap *pagemap = &xpagemap->pagemap;
	struct resource *res;
	void *addr;
	int err;

	res = devm_request_free_mem_region(dev, &iomem_resource,
					   xpagemap->vr->usable_size);
	if (IS_ERR(res))
		return PTR_ERR(res);

	xpagemap->hpa_base = res->start;
	pagemap->type = MEMORY_DEVICE_PRIVATE;
	pagemap->range = (struct range) { .start = res->start, .end = res->end };
	pagemap->nr_range = 1;
	pagemap->owner = xpagemap->peer.owner;
	pagemap->ops = drm_pagemap_pagemap_ops_get();

	/* In this order: devm unmaps the pages before it lets go of the object. */
	kref_get(&xpagemap->refs);
	err = devm_add_action_or_reset(dev, pagemap_put, xpagemap);
	if (err)
		goto err_region;

	addr = devm_memremap_pages(dev, pagemap);
	if (!IS_ERR(addr))
		return 0;

	err = PTR_ERR(addr);
	devm_release_action(dev, pagemap_put, xpagemap);
err_region:
	devm_release_mem_region(dev, res->start, resource_size(res));
	return err;
}

static struct xe_pagemap *pagemap_create(struct xe_vram_region *vr)
{
	struct xe_pagemap *xpagemap = kzalloc_obj(*xpagemap);
	struct drm_device *drm = &vr->xe->drm;
	int err;

	if (!xpagemap)
		return ERR_PTR(-ENOMEM);

	INIT_WORK(&xpagemap->destroy_work, xe_pagemap_destroy_work);
	kref_init(&xpagemap->refs);
	xpagemap->vr = vr;
	/* Peers are compared by their device. */
	xpagemap->dpagemap.drm = drm;

	err = xe_svm_acquire_owner(&xpagemap->peer, false);
	if (err)
		goto err_free;

	err = pagemap_create_pages(xpagemap);
	if (err)
		goto err_owner;

	err = drm_pagemap_init(&xpagemap->dpagemap, &xpagemap->pagemap, drm,
			       &xe_pagemap_ops);
	if (err)
		goto err_pages;

	return xpagemap;

err_pages:
	pagemap_release_pages(xpagemap);
err_owner:
	drm_pagemap_release_owner(&xpagemap->peer);
err_free:
	pagemap_put(xpagemap);
	return ERR_PTR(err);
}

/* The lookup of the cache is locked, so nobody else makes a pagemap meanwhile. */
static struct xe_pagemap *pagemap_get_locked(struct xe_vram_region *vr)
{
	struct drm_pagemap *dpagemap = drm_pagemap_get_from_cache(vr->dpagemap_cache);
	struct xe_pagemap *xpagemap;

	if (IS_ERR(dpagemap))
		return ERR_CAST(dpagemap);
	if (dpagemap)
		return to_xe_pagemap(dpagemap);

	xpagemap = pagemap_create(vr);
	if (!IS_ERR(xpagemap))
		drm_pagemap_cache_set_pagemap(vr->dpagemap_cache, &xpagemap->dpagemap);

	return xpagemap;
}

/* The pagemap of a region, with a reference. */
static struct xe_pagemap *pagemap_get(struct xe_vram_region *vr)
{
	struct xe_pagemap *xpagemap;
	int err;

	err = drm_pagemap_cache_lock_lookup(vr->dpagemap_cache);
	if (err)
		return ERR_PTR(err);

	xpagemap = pagemap_get_locked(vr);
	drm_pagemap_cache_unlock_lookup(vr->dpagemap_cache);

	return xpagemap;
}

/* Whether a tile has VRAM that the user can see. */
static bool tile_has_vram(struct xe_device *xe, unsigned int id)
{
	return xe->info.mem_region_mask & (BIT(id) << 1);
}

/**
 * xe_svm_put_pagemaps() - Undo xe_svm_get_pagemaps()
 * @vm: The VM
 */
void xe_svm_put_pagemaps(struct xe_vm *vm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vm->svm.pagemaps); i++) {
		if (vm->svm.pagemaps[i])
			drm_pagemap_put(&vm->svm.pagemaps[i]->dpagemap);
		vm->svm.pagemaps[i] = NULL;
	}
}

/**
 * xe_svm_get_pagemaps() - Give a VM the memory of its device
 * @vm: The VM
 *
 * Return: 0, or a negative error.
 */
int xe_svm_get_pagemaps(struct xe_vm *vm)
{
	struct xe_pagemap *xpagemap;
	struct xe_tile *tile;
	u8 id;

	for_each_tile(tile, vm->xe, id) {
		if (!tile_has_vram(vm->xe, id))
			continue;

		xpagemap = pagemap_get(xe_tile_to_vr(tile));
		if (IS_ERR(xpagemap)) {
			xe_svm_put_pagemaps(vm);
			return PTR_ERR(xpagemap);
		}
		vm->svm.pagemaps[id] = xpagemap;
	}

	return 0;
}

/**
 * xe_pagemap_shrinker_create() - Create what frees pagemaps that nobody uses
 * @xe: The device
 *
 * Return: 0, or a negative error.
 */
int xe_pagemap_shrinker_create(struct xe_device *xe)
{
	xe->usm.dpagemap_shrinker = drm_pagemap_shrinker_create_devm(&xe->drm);

	return PTR_ERR_OR_ZERO(xe->usm.dpagemap_shrinker);
}

/**
 * xe_pagemap_cache_create() - Create the cache of a tile's pagemap
 * @tile: The tile
 *
 * Return: 0, or a negative error.
 */
int xe_pagemap_cache_create(struct xe_tile *tile)
{
	struct xe_device *xe = tile_to_xe(tile);
	struct drm_pagemap_cache *cache;

	if (!IS_DGFX(xe))
		return 0;

	cache = drm_pagemap_cache_create_devm(xe->usm.dpagemap_shrinker);
	if (!IS_ERR(cache))
		tile->mem.vram->dpagemap_cache = cache;

	return PTR_ERR_OR_ZERO(cache);
}

/* Regions are numbered as in the query: 0 is RAM, behind it come the tiles. */
static struct drm_pagemap *open_region(struct xe_device *xe, u32 region_instance)
{
	u32 id = region_instance - 1;
	struct xe_pagemap *xpagemap;

	if (id >= xe->info.tile_count || !tile_has_vram(xe, id))
		return ERR_PTR(-ENOENT);

	xpagemap = pagemap_get(xe_tile_to_vr(&xe->tiles[id]));

	return IS_ERR(xpagemap) ? ERR_CAST(xpagemap) : &xpagemap->dpagemap;
}

static struct drm_pagemap *open_file_region(struct file *file, u32 region_instance)
{
	struct drm_pagemap *dpagemap = ERR_PTR(-ENODEV);
	struct drm_file *file_priv;
	struct drm_device *drm;
	int idx;

	if (!xe_is_xe_file(file))
		return ERR_PTR(-ENOENT);

	file_priv = file->private_data;
	drm = file_priv->minor->dev;
	if (drm_dev_enter(drm, &idx)) {
		dpagemap = open_region(to_xe_device(drm), region_instance);
		drm_dev_exit(idx);
	}

	return dpagemap;
}

/**
 * xe_drm_pagemap_from_fd() - Memory that a user names
 * @fd: A file descriptor of an xe device
 * @region_instance: The region of the device
 *
 * Return: the memory, with a reference; or an error pointer: -EINVAL or -ENOENT if
 * there is no such thing, -ENODEV if the device is gone.
 */
struct drm_pagemap *xe_drm_pagemap_from_fd(int fd, u32 region_instance)
{
	struct drm_pagemap *dpagemap;
	struct file *file;

	if (fd <= 0)
		return ERR_PTR(-EINVAL);

	file = fget(fd);
	if (!file)
		return ERR_PTR(-ENOENT);

	dpagemap = open_file_region(file, region_instance);
	fput(file);

	return dpagemap;
}
