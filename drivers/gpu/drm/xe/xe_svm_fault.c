// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: page faults of the GPU on CPU address mirrors.
 */

#include <linux/jiffies.h>

#include <drm/drm_exec.h>
#include <drm/drm_print.h>

#include "xe_assert.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_gt_stats.h"
#include "xe_pagefault.h"
#include "xe_svm_internal.h"
#include "xe_tile.h"
#include "xe_validation.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe SVM faults
 *
 * A fault is served in the order of the functions below: collect garbage that is
 * in the way, find or make the range, migrate it if it should be in VRAM, get its
 * pages, bind it.
 *
 * The access decides what has to be had. A read needs read permission and leaves
 * copy-on-write alone, and the range is bound for reading. A write to it then
 * faults again and gets the pages for writing. An atomic may need its page to be
 * in VRAM, and to stay there for a timeslice.
 *
 * Migration is best effort. Only where the atomic needs VRAM is the fault not
 * served from RAM, and then it is the page of the fault that counts, not its
 * neighbours in the range.
 *
 * What counts is the page of the fault. Neighbours that can't be had, such as a page
 * behind the end of a file, are left out. If the CPU changes neighbours all the time,
 * the page is bound alone.
 *
 * The CPU can get in between any two of these steps. Then the fault starts over,
 * for as long as XE_SVM_FAULT_TIMEOUT says, and after that when others have had the
 * VM. An error that will not go away is what the fault is answered with.
 *
 * Faults of one VM are served in parallel, those of one range one after the other: what
 * the first one has bound serves the others as well. Only what removes ranges or changes
 * VMAs needs the VM for itself: to collect garbage, and on devices that need VRAM in pages
 * of 64K to have small ranges give way to a larger one.
 */

/*
 * How long a fault may lose against the CPU, until it has to let others have the VM.
 * Each loss takes far less.
 */
#define XE_SVM_FAULT_TIMEOUT		(HZ / 5)

/* How often it may lose its pages before they are bound, until it goes for one page. */
#define XE_SVM_FAULT_LOSSES		3

/* Attempts that are made in any case, so that slow ones get as far as that. */
#define XE_SVM_FAULT_TRIES		(2 * XE_SVM_FAULT_LOSSES)

/* How often to wait for memory, a tick each. */
#define XE_SVM_FAULT_SHORTAGES		HZ

/* Attempts to migrate where it has to be, and where it would be nice. */
#define XE_SVM_MIGRATE_TRIES_NEEDED	3
#define XE_SVM_MIGRATE_TRIES_WANTED	1

/* How often to wait for others to let go of a page, each time twice as long: 250 ms. */
#define XE_SVM_FAULT_USES		6
#define XE_SVM_FAULT_USE_MS		4

/* How often the time that memory stays in VRAM is doubled at most. */
#define XE_SVM_MAX_DOUBLINGS		4

/**
 * struct xe_svm_fault - A fault while it is served
 *
 * @vm: The VM; its lock is held
 * @exclusive: It is held for writing
 * @vma: The mirror; looked up again if it may have changed
 * @gt: The GT that has faulted
 * @tile: Its tile
 * @addr: The address
 * @access: What was tried
 * @begin: When it began
 * @deadline: When to give up, in jiffies
 * @ctx: What the core has to know
 * @dpagemap: Where the memory should be; NULL for RAM
 * @range: The range, with a reference while an attempt has it in hand
 * @size: Its size
 * @served: What the tile can access then
 * @need_vram: The page has to be in VRAM
 * @one_page: No more than the page is to be bound
 * @widened: Smaller ranges have given way to one that can be in VRAM
 * @losses: How often pages were invalid when they were to be bound
 * @remapped: @vma may be stale
 * @migrations: Attempts to migrate since the page was last in place
 * @migrated: The last of them has moved all pages
 * @shortages: How often there was no memory to map pages
 * @uses: How often it has waited for others to let go of the page
 */
struct xe_svm_fault {
	struct xe_vm *vm;
	bool exclusive;
	struct xe_vma *vma;
	struct xe_gt *gt;
	struct xe_tile *tile;
	u64 addr;
	enum xe_pagefault_access_type access;
	ktime_t begin;
	unsigned long deadline;
	struct drm_gpusvm_ctx ctx;
	struct drm_pagemap *dpagemap;
	struct xe_svm_range *range;
	unsigned long size;
	struct xe_pagefault_served *served;
	bool need_vram;
	bool one_page;
	bool widened;
	unsigned int losses;
	bool remapped;
	unsigned int migrations;
	bool migrated;
	unsigned int shortages;
	unsigned int uses;
};

/* ------------------------------------------------------------------------
 * Statistics: one counter for each size that a range can have
 */

struct xe_svm_range_stat {
	enum xe_gt_stats_id for_4k, for_64k, for_2m;
};

#define XE_SVM_RANGE_STAT(what) {				\
	.for_4k = XE_GT_STATS_ID_SVM_4K_##what,			\
	.for_64k = XE_GT_STATS_ID_SVM_64K_##what,		\
	.for_2m = XE_GT_STATS_ID_SVM_2M_##what,			\
}

static const struct xe_svm_range_stat
	stat_faults = XE_SVM_RANGE_STAT(PAGEFAULT_COUNT),
	stat_faults_us = XE_SVM_RANGE_STAT(PAGEFAULT_US),
	stat_valid_faults = XE_SVM_RANGE_STAT(VALID_PAGEFAULT_COUNT),
	stat_migrations = XE_SVM_RANGE_STAT(MIGRATE_COUNT),
	stat_migrations_us = XE_SVM_RANGE_STAT(MIGRATE_US),
	stat_get_pages_us = XE_SVM_RANGE_STAT(GET_PAGES_US),
	stat_binds_us = XE_SVM_RANGE_STAT(BIND_US);

static void fault_stat(struct xe_svm_fault *fault,
		       const struct xe_svm_range_stat *stat, int value)
{
	if (fault->size == SZ_4K)
		xe_gt_stats_incr(fault->gt, stat->for_4k, value);
	else if (fault->size == SZ_64K)
		xe_gt_stats_incr(fault->gt, stat->for_64k, value);
	else if (fault->size == SZ_2M)
		xe_gt_stats_incr(fault->gt, stat->for_2m, value);
}

static void fault_stat_since(struct xe_svm_fault *fault,
			     const struct xe_svm_range_stat *stat, ktime_t begin)
{
	fault_stat(fault, stat, xe_gt_stats_ktime_us_delta(begin));
}

/* ------------------------------------------------------------------------
 * Steps
 */

static bool fault_is_atomic(const struct xe_svm_fault *fault)
{
	return fault->access == XE_PAGEFAULT_ACCESS_TYPE_ATOMIC;
}

/* Look the VMA up again after it may have been split or merged. */
static int fault_refresh_vma(struct xe_svm_fault *fault)
{
	if (!fault->remapped)
		return 0;

	fault->vma = xe_vm_find_vma_by_addr(fault->vm, fault->addr);
	if (!fault->vma || !xe_vma_is_cpu_addr_mirror(fault->vma))
		return -EINVAL;
	fault->remapped = false;

	return 0;
}

/* The more often the CPU was faster, the longer it has to wait. */
static u32 fault_timeslice(const struct xe_svm_fault *fault)
{
	unsigned int doublings = min(fault->migrations + fault->losses,
				     XE_SVM_MAX_DOUBLINGS);

	return fault->vm->xe->atomic_svm_timeslice_ms << doublings;
}

/* What do the access and the attributes of the VMA ask for? */
static int fault_set_policy(struct xe_svm_fault *fault)
{
	struct xe_device *xe = fault->vm->xe;
	struct drm_gpusvm_ctx *ctx = &fault->ctx;
	bool vram = IS_DGFX(xe) && IS_ENABLED(CONFIG_DRM_XE_PAGEMAP);
	int need_vram;

	need_vram = xe_vma_need_vram_for_atomic(xe, fault->vma, fault_is_atomic(fault));
	if (need_vram < 0)
		return need_vram;

	fault->need_vram = need_vram && vram;
	fault->dpagemap = fault->need_vram ?
			  xe_tile_local_pagemap(fault->tile) :
			  xe_vma_resolve_pagemap(fault->vma, fault->tile);

	ctx->read_only = xe_vma_read_only(fault->vma) ||
			 fault->access == XE_PAGEFAULT_ACCESS_TYPE_READ;
	ctx->may_write = !xe_vma_read_only(fault->vma);
	ctx->partial = true;
	ctx->alone = fault->one_page && xe_svm_can_map_mixed(xe);
	ctx->fault_addr = ALIGN_DOWN(fault->addr, PAGE_SIZE);
	ctx->devmem_possible = vram;
	/* 64K that have to be in VRAM in one piece may need pages that aren't there yet. */
	ctx->check_pages_threshold =
		vram && (xe_svm_can_map_mixed(xe) || !fault->need_vram) ? SZ_64K : 0;
	ctx->device_private_page_owner =
		xe_svm_private_page_owner(fault->vm, !fault->dpagemap);
	ctx->timeslice_ms = fault->need_vram ? fault_timeslice(fault) : 0;

	return 0;
}

/* Whether the range is large enough to be where it has to be. */
static bool fault_fits_vram(const struct xe_svm_fault *fault)
{
	return !fault->need_vram || xe_svm_can_map_mixed(fault->vm->xe) ||
	       xe_svm_range_size(fault->range) >= SZ_64K;
}

/* Have small ranges give way to one that can be in VRAM, if there can be one. */
static int fault_widen_range(struct xe_svm_fault *fault)
{
	u64 start = ALIGN_DOWN(fault->addr, SZ_64K);
	int err;

	if (fault->widened)
		return -EACCES;

	fault->widened = true;
	err = xe_svm_ranges_collect(fault->vm, start, start + SZ_64K);
	if (err)
		fault->remapped = true;

	return err ?: -EAGAIN;
}

/*
 * It is for a table of the IOMMU, say, or the process has as much as it may. There will be
 * some when others let go of theirs. For that they may want the VM.
 */
static int fault_wait_for_memory(struct xe_svm_fault *fault)
{
	if (fatal_signal_pending(current))
		return -EINTR;
	if (fault->shortages++ >= XE_SVM_FAULT_SHORTAGES)
		return -EBUSY;

	schedule_timeout_killable(1);
	fault->deadline = jiffies + XE_SVM_FAULT_TIMEOUT;

	return -EAGAIN;
}

static int fault_find_range(struct xe_svm_fault *fault)
{
	struct xe_svm_range *range;

	range = xe_svm_range_get_or_insert(fault->vm, fault->addr, fault->vma, &fault->ctx);
	if (range == ERR_PTR(-ENOMEM))
		return fault_wait_for_memory(fault);
	if (IS_ERR(range))
		return PTR_ERR(range);

	fault->range = range;
	fault->size = xe_svm_range_size(range);
	fault_stat(fault, &stat_faults, 1);

	return 0;
}

/* The page is where it has to be. */
static bool fault_is_placed(struct xe_svm_fault *fault)
{
	return !fault->need_vram ||
	       xe_svm_range_addr_in_pagemap(fault->range, fault->addr,
					    fault->dpagemap);
}

/* Another fault was faster. A guess, but if it is wrong the GPU faults again. */
static bool fault_is_served(struct xe_svm_fault *fault)
{
	return xe_svm_range_serves(fault->range, fault->tile->id, fault->addr,
				   !fault->ctx.read_only) &&
	       fault_is_placed(fault);
}

/*
 * Whether the page is where it should be. Its neighbours are not asked for, unless all of
 * the range is going to be bound, as after an advice: then no fault comes for them.
 */
static bool fault_needs_no_migration(const struct xe_svm_fault *fault)
{
	return xe_svm_range_addr_in_pagemap(fault->range, fault->addr, fault->dpagemap) &&
	       (fault->migrations || !xe_svm_range_is_unbound(fault->range));
}

/*
 * Others use the page. If it is for a write to swap, say, or a read of a file, that ends
 * by itself, and then there is one more attempt. If it takes longer it may be for ever.
 */
static int fault_wait_for_users(struct xe_svm_fault *fault)
{
	if (fault->uses >= XE_SVM_FAULT_USES)
		return -EACCES;

	schedule_timeout_killable(msecs_to_jiffies(XE_SVM_FAULT_USE_MS << fault->uses++));
	/* Who has interrupted this wants it to end, and not to have the last attempt. */
	if (fatal_signal_pending(current))
		return -EINTR;
	fault->deadline = jiffies + XE_SVM_FAULT_TIMEOUT;
	fault->migrations--;

	return -EAGAIN;
}

static int fault_migrate(struct xe_svm_fault *fault)
{
	unsigned int tries = fault->need_vram ? XE_SVM_MIGRATE_TRIES_NEEDED :
						XE_SVM_MIGRATE_TRIES_WANTED;
	ktime_t begin;
	int err;

	fault->migrated = false;
	if (!fault->dpagemap || fault_needs_no_migration(fault))
		return 0;

	if (fault->migrations >= tries ||
	    !xe_svm_range_needs_migrate_to_vram(fault->range, fault->vma,
						fault->dpagemap))
		return 0;

	fault->migrations++;
	begin = xe_gt_stats_ktime_get();
	fault_stat(fault, &stat_migrations, 1);
	err = xe_svm_move_to_vram(fault->range, &fault->ctx, fault->dpagemap);
	fault_stat_since(fault, &stat_migrations_us, begin);
	fault->migrated = !err;
	if (!err || (err == -EBUSY && xe_svm_can_map_mixed(fault->vm->xe)))
		return 0;

	drm_dbg(&fault->vm->xe->drm, "Migration to VRAM failed, asid=%u, errno=%pe\n",
		fault->vm->usm.asid, ERR_PTR(err));

	/* What has to be in VRAM may still get there the next time. */
	if (!fault->need_vram || fault->migrations < tries)
		return 0;

	return err == -EBUSY ? fault_wait_for_users(fault) : err;
}

/* What a failure to get pages means for the fault. */
static int fault_judge_pages(struct xe_svm_fault *fault, int err)
{
	/* The memory was unmapped meanwhile; what is there now? */
	if (drm_gpusvm_range_read_flags(&fault->range->base).unmapped)
		return -EAGAIN;

	switch (err) {
	case -EOPNOTSUPP:	/* A mix, which was moved to RAM */
	case -EROFS:		/* The page was got for reading meanwhile */
	case -ESTALE:		/* The range is gone; is there another one? */
		return -EAGAIN;
	case -ENOMEM:
		return fault_wait_for_memory(fault);
	default:
		return err;
	}
}

static int fault_get_pages(struct xe_svm_fault *fault)
{
	ktime_t begin = xe_gt_stats_ktime_get();
	int err;

	xe_svm_range_debug(fault->range, "PAGE FAULT - GET PAGES");
	err = xe_svm_range_get_pages(fault->vm, fault->range, &fault->ctx);
	if (err) {
		drm_dbg(&fault->vm->xe->drm, "Get pages failed, asid=%u, errno=%pe\n",
			fault->vm->usm.asid, ERR_PTR(err));
		return fault_judge_pages(fault, err);
	}
	fault_stat_since(fault, &stat_get_pages_us, begin);

	if (!fault->need_vram)
		return 0;

	/* It was there. Who was faster to take it may not be the next time. */
	if (fault->migrated || fault_is_placed(fault))
		fault->migrations = 0;
	if (fault_is_placed(fault))
		return 0;

	if (fault->migrations < XE_SVM_MIGRATE_TRIES_NEEDED)
		return -EAGAIN;

	return fault_wait_for_users(fault);
}

/* The CPU was faster. If it is so again and again, is it with the page of the fault? */
static void fault_lose(struct xe_svm_fault *fault)
{
	if (++fault->losses >= XE_SVM_FAULT_LOSSES)
		fault->one_page = true;
}

/* What of the range to bind. */
static void fault_begin_bind(struct xe_svm_fault *fault)
{
	u64 start = xe_svm_range_start(fault->range), end = xe_svm_range_end(fault->range);
	u64 addr = ALIGN_DOWN(fault->addr, PAGE_SIZE);

	if (fault->one_page) {
		u64 size = xe_svm_can_map_mixed(fault->vm->xe) ? PAGE_SIZE : SZ_64K;

		start = ALIGN_DOWN(addr, size);
		end = start + size;
	}

	xe_svm_range_begin_bind(fault->range, start, end, addr);
}

/* Write the page tables of the tile that has faulted. */
static int fault_bind(struct xe_svm_fault *fault)
{
	ktime_t begin = xe_gt_stats_ktime_get();
	struct xe_vm *vm = fault->vm;
	struct dma_fence *fence = NULL;
	struct xe_validation_ctx vctx;
	struct drm_exec exec;
	int err = 0;

	xe_svm_range_debug(fault->range, "PAGE FAULT - BIND");
	fault_begin_bind(fault);

	xe_validation_guard(&vctx, &vm->xe->val, &exec, (struct xe_val_flags) {}, err) {
		/* Page tables are being saved, and what is new in them would not be. */
		if (xe_pagefault_is_suspended(vm->xe)) {
			err = -EBUSY;
			break;
		}
		err = xe_vm_drm_exec_lock(vm, &exec);
		drm_exec_retry_on_contention(&exec);
		if (err)
			break;

		xe_vm_set_validation_exec(vm, &exec);
		fence = xe_vm_range_rebind(vm, fault->vma, fault->range,
					   BIT(fault->tile->id));
		xe_vm_set_validation_exec(vm, NULL);
		if (IS_ERR(fence)) {
			drm_exec_retry_on_contention(&exec);
			err = PTR_ERR(fence);
			xe_validation_retry_on_oom(&vctx, &err);
			break;
		}
	}
	if (!err) {
		dma_fence_wait(fence, false);
		dma_fence_put(fence);
		xe_svm_range_forget_binds(fault->range);
	}
	fault_stat_since(fault, &stat_binds_us, begin);
	if (err == -EAGAIN)
		fault_lose(fault);

	return err;
}

/* What others may be told that are after the same. */
static void fault_note_served(struct xe_svm_fault *fault)
{
	u64 page = ALIGN_DOWN(fault->addr, PAGE_SIZE);
	struct xe_pagefault_served served;

	xe_svm_range_get_served(fault->range, fault->tile->id, fault->addr, &served);
	if (fault_is_atomic(fault) && served.access == XE_PAGEFAULT_ACCESS_TYPE_WRITE) {
		served.access = XE_PAGEFAULT_ACCESS_TYPE_ATOMIC;
		/* Whether neighbours are in VRAM was not looked at. */
		if (fault->need_vram) {
			served.start = max(served.start, page);
			served.end = min(served.end, page + PAGE_SIZE);
		}
	}
	xe_pagefault_tell(fault->served, served.start, served.end);
	fault->served->access = served.access;
}

/* ------------------------------------------------------------------------
 * The fault
 */

/* Other faults can be served meanwhile, but not for this range. */
static int fault_serve_range(struct xe_svm_fault *fault)
{
	int err;

	xe_svm_range_forget_binds(fault->range);
	if (fault_is_served(fault)) {
		xe_svm_range_debug(fault->range, "PAGE FAULT - VALID");
		fault_stat(fault, &stat_valid_faults, 1);
		return 0;
	}

	xe_svm_range_debug(fault->range, "PAGE FAULT");
	err = fault_migrate(fault);
	if (!err)
		err = fault_get_pages(fault);
	if (!err)
		err = fault_bind(fault);
	if (err == -EAGAIN)
		xe_svm_range_debug(fault->range, "PAGE FAULT - RETRY");

	return err;
}

static int fault_try_range(struct xe_svm_fault *fault)
{
	struct xe_svm_range *range = fault->range;
	int err;

	if (fault->need_vram && !drm_gpusvm_range_read_flags(&range->base).migrate_devmem)
		return -EACCES;
	if (!fault_fits_vram(fault))
		return fault_widen_range(fault);

	xe_pagefault_tell(fault->served, xe_svm_range_start(range), xe_svm_range_end(range));
	/* Who has it may wait for user space, as long as nobody interrupts that. */
	err = mutex_lock_killable(&range->lock);
	if (err)
		return err;
	err = fault_serve_range(fault);
	if (!err)
		fault_note_served(fault);
	mutex_unlock(&range->lock);

	return err;
}

/* Whether ranges have to be removed, for which nobody else may serve the VM. */
static bool fault_is_exclusive(const struct xe_svm_fault *fault)
{
	return !xe_svm_can_map_mixed(fault->vm->xe) ||
	       xe_svm_has_garbage_at(fault->vm, fault->addr);
}

/* What has to be gone first. */
static int fault_prepare(struct xe_svm_fault *fault)
{
	int err;

	if (xe_vm_is_closed_or_banned(fault->vm))
		return -ENOENT;

	if (!fault->exclusive)
		return fault_is_exclusive(fault) ? -ESTALE : 0;

	err = xe_svm_collect_garbage_at(fault->vm, fault->addr);
	if (err)
		fault->remapped = true;

	return err ?: fault_refresh_vma(fault);
}

/* Returns -EAGAIN if the fault has to be looked at again from the beginning. */
static int fault_try(struct xe_svm_fault *fault)
{
	int err;

	err = fault_prepare(fault);
	if (!err)
		err = fault_set_policy(fault);
	if (!err)
		err = fault_find_range(fault);
	if (err)
		return err;

	err = fault_try_range(fault);
	drm_gpusvm_range_put(&fault->range->base);

	return err;
}

/**
 * xe_svm_handle_pagefault() - Serve a fault on a CPU address mirror
 * @vm: The VM; its lock is held
 * @vma: The mirror
 * @gt: The GT that has faulted
 * @fault_addr: The address
 * @access: What the GPU tried to do
 * @exclusive: The lock is held for writing
 * @served: Set to the range; and then to what the GPU can access, if there is no error
 *
 * Return: 0 if the access can be repeated; -EACCES or -EPERM if it is not allowed;
 * -EFAULT, -ENOENT, -EINVAL or -EIO if there is nothing to be mapped; -EBUSY or
 * -EAGAIN if the CPU or another device did not leave enough time, so that it is worth
 * another attempt; -ESTALE if that has to be with the lock held for writing; or another
 * error.
 */
int xe_svm_handle_pagefault(struct xe_vm *vm, struct xe_vma *vma,
			    struct xe_gt *gt, u64 fault_addr,
			    enum xe_pagefault_access_type access, bool exclusive,
			    struct xe_pagefault_served *served)
{
	struct xe_svm_fault fault = {
		.vm = vm,
		.exclusive = exclusive,
		.vma = vma,
		.gt = gt,
		.tile = gt_to_tile(gt),
		.addr = fault_addr,
		.access = access,
		.begin = xe_gt_stats_ktime_get(),
		.deadline = jiffies + XE_SVM_FAULT_TIMEOUT,
		.served = served,
	};
	unsigned int tries = 0;
	int err;

	lockdep_assert(lockdep_is_held_type(&vm->lock, exclusive ? 0 : 1));
	xe_assert(vm->xe, xe_vma_is_cpu_addr_mirror(vma));

	xe_gt_stats_incr(gt, XE_GT_STATS_ID_SVM_PAGEFAULT_COUNT, 1);

	do {
		err = fault_try(&fault);
	} while (err == -EAGAIN && (++tries < XE_SVM_FAULT_TRIES ||
				    time_before(jiffies, fault.deadline)));

	if (!err)
		fault_stat_since(&fault, &stat_faults_us, fault.begin);

	return err;
}
