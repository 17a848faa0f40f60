// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: copies between RAM and VRAM.
 */

#include <linux/dma-fence.h>
#include <linux/slab.h>

#include <drm/drm_pagemap.h>

#include "xe_assert.h"
#include "xe_device.h"
#include "xe_exec_queue_types.h"
#include "xe_gt_stats.h"
#include "xe_migrate.h"
#include "xe_svm_internal.h"
#include "xe_vm.h"
#include "xe_vram_types.h"

/* ------------------------------------------------------------------------
 * Statistics
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

/* The most that the migration engine copies in one job. */
#define XE_SVM_COPY_MAX_PAGES	(SZ_8M >> PAGE_SHIFT)

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

	/* Nothing runs there any more, and each job would have to be cancelled. */
	if (xe_device_wedged(copy->vr->xe))
		return -ECANCELED;

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

struct dma_fence *xe_svm_submit_to_devmem(struct page **pages,
					  struct drm_pagemap_addr *pagemap_addr,
					  unsigned long npages,
					  struct dma_fence *pre_migrate_fence)
{
	return copy_submit(pages, pagemap_addr, npages, &to_vram_stats,
			   pre_migrate_fence);
}

struct dma_fence *xe_svm_submit_to_ram(struct page **pages,
				       struct drm_pagemap_addr *pagemap_addr,
				       unsigned long npages,
				       struct dma_fence *pre_migrate_fence)
{
	return copy_submit(pages, pagemap_addr, npages, &to_ram_stats,
			   pre_migrate_fence);
}
