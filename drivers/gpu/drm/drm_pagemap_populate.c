// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-fence.h>
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

/* ------------------------------------------------------------------------
 * To device memory
 */

/* Coherent device memory is fine where it is. */
#define TO_DEVMEM_FLAGS	(MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_DEVICE_PRIVATE | \
			 MIGRATE_VMA_SELECT_COMPOUND)

static void migration_to_devmem(struct drm_pagemap_migration *m,
				struct drm_pagemap *dpagemap,
				const struct drm_pagemap_migrate_details *details)
{
	*m = (struct drm_pagemap_migration) {
		.dpagemap = dpagemap,
		.details = details,
		.mv = {
			.pgmap_owner = dpagemap->pagemap->owner,
			.flags = TO_DEVMEM_FLAGS,
		},
	};
}

/* What the CPU can reach is never evicted: it has no fault that brings it back. */
static bool devmem_is_supported(const struct drm_pagemap_devmem *devmem)
{
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;

	return devmem->dpagemap->pagemap->type == MEMORY_DEVICE_PRIVATE &&
	       (devmem->first_pfn || ops->populate_devmem_pfn) &&
	       (ops->copy_to_devmem || ops->submit_to_devmem) &&
	       (ops->copy_to_ram || ops->submit_to_ram);
}

/* Allocate and copy into @m->devmem what was selected. */
static int migration_fill_devmem(struct drm_pagemap_migration *m)
{
	int err = pagemap_allocate_devmem(m);

	return err ?: pagemap_migration_copy(m);
}

/* The fence belonged to the first migration into the allocation. */
static void devmem_put_fence(struct drm_pagemap_devmem *devmem)
{
	dma_fence_put(devmem->pre_migrate_fence);
	devmem->pre_migrate_fence = NULL;
}

/* Collect, as huge pages those for which @devmem has one. */
static int collect_for_devmem(struct drm_pagemap_migration *m,
			      struct drm_pagemap_devmem *devmem,
			      struct vm_area_struct *vma,
			      unsigned long start, unsigned long end)
{
	int err = pagemap_collect_vma(m, vma, start, end);

	if (err)
		return err;

	pagemap_migration_select(m);
	if (pagemap_devmem_takes_huge(m, devmem))
		return 0;

	pagemap_migration_abort(m);
	pagemap_migration_reset(m);
	m->mv.flags &= ~MIGRATE_VMA_SELECT_COMPOUND;
	err = pagemap_collect_vma(m, vma, start, end);
	if (!err)
		pagemap_migration_select(m);

	return err;
}

/*
 * Who doesn't count pages takes success to mean that one allocation has them all. If some
 * can't move, the rest would be copied in vain, each time that the device tries again.
 * Those that other allocations have would stay there, and keep these in use as well.
 */
static bool should_fill(const struct drm_pagemap_migration *m)
{
	return part_will_do(m) ? m->wanted : m->wanted == m->mv.npages;
}

static int migrate_vma_to_devmem(struct drm_pagemap_migration *m,
				 struct drm_pagemap_devmem *devmem,
				 struct vm_area_struct *vma,
				 unsigned long start, unsigned long end)
{
	int err = collect_for_devmem(m, devmem, vma, start, end);

	if (err)
		return err;

	m->devmem = devmem;
	if (should_fill(m))
		err = migration_fill_devmem(m);
	err = pagemap_migration_finish(m, err);
	if (!err && m->ready)
		devmem_put_fence(devmem);
	if (!err && m->moved + m->resident < m->mv.npages)
		err = -EBUSY;

	return err;
}

/*
 * The core MM moves anonymous memory only. Pages that KSM has merged it leaves alone. Of
 * tagged memory (MTE) a device would copy the contents without the tags.
 */
static bool vma_can_move(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) && !(vma->vm_flags & VM_MTE);
}

static int vma_check(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	if (!vma)
		return -ENOENT;
	if (start >= end || start < vma->vm_start || end > vma->vm_end)
		return -EINVAL;

	return vma_can_move(vma) ? 0 : -EBUSY;
}

/**
 * drm_pagemap_migrate_to_devmem() - Move an interval of an mm to an allocation
 * @devmem_allocation: where to; the caller's reference is consumed, whatever the
 *		       outcome, and the last page that leaves it releases it
 * @mm: the mm
 * @start: first address, page aligned
 * @end: address behind the last one; all in one VMA, at most the allocation's size
 * @mdetails: how
 *
 * For drivers that implement &drm_pagemap_ops.populate_mm. The copies are done
 * when the function returns.
 *
 * It is all or nothing. Nothing is copied if some page can't move, or if other
 * allocations of the pagemap have a part of the interval already: memory would be
 * spread over ever more of them. The driver evicts that part and tries again. What is
 * swapped out, or in memory of an owner that the driver doesn't know, it has to get from
 * the CPU before.
 *
 * With &drm_pagemap_migrate_details.stats it is best effort: what other allocations
 * have stays there, and of the rest all that can move goes to @devmem_allocation.
 * &drm_pagemap_migrate_details.can_migrate_same_pagemap moves what they have, too.
 *
 * Context: Process context, the mmap lock held at least for reading.
 *
 * Return: 0 if all pages are in @devmem_allocation now, or all were in its pagemap
 * before (or, with stats, each is one or the other); -EBUSY if only some were, or if
 * some had to be left: others have moved then with stats, or if the MM would not let
 * these go after the copy; -ENOENT or -EINVAL if the interval isn't in one VMA, or is
 * larger than the allocation; -EOPNOTSUPP if an op is missing; -ENOMEM; or an error of
 * the copy. After an error other than -EBUSY nothing has moved.
 */
int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails)
{
	struct drm_pagemap_migration m;
	struct vm_area_struct *vma;
	int err;

	mmap_assert_locked(mm);

	migration_to_devmem(&m, devmem_allocation->dpagemap, mdetails);
	vma = vma_lookup(mm, start);
	err = devmem_is_supported(devmem_allocation) ?
	      vma_check(vma, start, end) : -EOPNOTSUPP;
	if (!err && end - start > devmem_allocation->size)
		err = -EINVAL;
	if (!err)
		err = pagemap_migration_alloc(&m, devmem_allocation->size >> PAGE_SHIFT);
	if (!err) {
		err = migrate_vma_to_devmem(&m, devmem_allocation, vma, start, end);
		pagemap_migration_free(&m);
	}
	pagemap_zdd_put(&devmem_allocation->zdd);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_migrate_to_devmem);

/* ------------------------------------------------------------------------
 * Populate: a pipeline of chunks
 */

/* How often a chunk may lose the memory that was evicted for it. */
#define MAX_EVICTIONS	4

/* How long memory that was waited for is kept from others, in jiffies. */
#define SPARE_TIME	(HZ / 10)

/**
 * struct drm_pagemap_populate - Populating an interval
 *
 * @dpagemap: Where to
 * @mm: Whose memory
 * @details: How
 * @stats: What has become of the pages
 * @chunks: The chunk that is prepared and the one that is copied
 * @next: The one of @chunks that is prepared next
 * @busy: The one of @chunks that is copied, or NULL
 * @spare: Allocation that was waited for
 * @need: Bytes that the last chunk found no room for, or 0
 * @dev_idx: What drm_dev_enter() has given while @locked
 * @locked: The mmap lock is held, and the device is there
 */
struct drm_pagemap_populate {
	struct drm_pagemap *dpagemap;
	struct mm_struct *mm;
	struct drm_pagemap_migrate_details details;
	struct drm_pagemap_migrate_stats stats;
	struct drm_pagemap_migration chunks[2];
	struct drm_pagemap_migration *next, *busy;
	struct drm_pagemap_devmem *spare;
	size_t need;
	int dev_idx;
	bool locked;
};

/* Wait for the chunk that is being copied and commit it. */
static int populate_drain(struct drm_pagemap_populate *p)
{
	struct drm_pagemap_migration *m = p->busy;
	int err;

	if (!m)
		return 0;

	p->busy = NULL;
	err = pagemap_migration_finish(m, 0);
	if (!err)
		devmem_put_fence(m->devmem);
	pagemap_zdd_put(&m->devmem->zdd);

	return err;
}

static struct drm_pagemap_devmem *
populate_devmem_alloc(struct drm_pagemap_populate *p, size_t size, bool may_wait)
{
	struct drm_pagemap *dpagemap = p->dpagemap;
	struct drm_pagemap_devmem *devmem;
	int err;

	devmem = dpagemap->ops->devmem_alloc(dpagemap, p->mm, size, may_wait);
	trace_drm_pagemap_alloc(dpagemap, size, may_wait,
				PTR_ERR_OR_ZERO(devmem));
	if (IS_ERR(devmem))
		return devmem;

	err = devmem_is_supported(devmem) ? 0 : -EOPNOTSUPP;
	if (!err && devmem->size != size)
		err = -EINVAL;
	if (err) {
		pagemap_zdd_put(&devmem->zdd);
		return ERR_PTR(err);
	}

	return devmem;
}

static void populate_drop_spare(struct drm_pagemap_populate *p)
{
	if (p->spare)
		pagemap_zdd_put(&p->spare->zdd);
	p->spare = NULL;
}

/*
 * Device memory for a chunk, without waiting. What was waited for is kept until there
 * is something that fits better. It is too small if pages of this chunk were evicted to
 * make room for it, so that more of them have to move now: then all of the chunk is
 * waited for, since there is no end to it otherwise.
 */
static struct drm_pagemap_devmem *
populate_take_devmem(struct drm_pagemap_populate *p, struct drm_pagemap_migration *m)
{
	struct drm_pagemap_devmem *spare = p->spare, *devmem;
	size_t size = m->wanted << PAGE_SHIFT;
	bool small = spare && spare->size < size;

	if (spare && spare->size == size) {
		p->spare = NULL;
		return spare;
	}
	if (small)
		populate_drop_spare(p);

	devmem = populate_devmem_alloc(p, size, false);
	if (IS_ERR(devmem) && p->spare) {
		p->spare = NULL;
		return spare;
	}
	populate_drop_spare(p);
	if (devmem == ERR_PTR(-EBUSY) || devmem == ERR_PTR(-ENOSPC))
		p->need = small ? m->mv.npages << PAGE_SHIFT : size;

	return devmem;
}

static void populate_leave(struct drm_pagemap_populate *p, unsigned long start,
			   unsigned long end)
{
	unsigned long npages = (end - start) >> PAGE_SHIFT;

	p->stats.left += npages;
	stat_add(p->dpagemap, DRM_PAGEMAP_STAT_LEFT, npages);
}

/* Collect a chunk and start its copy; then let the one before it land. */
static int populate_chunk(struct drm_pagemap_populate *p, struct vm_area_struct *vma,
			  unsigned long start, unsigned long end, unsigned long flags)
{
	struct drm_pagemap_migration *m = p->next;
	struct drm_pagemap_devmem *devmem;
	int err;

	/* Nobody may touch it, or no device: it would take memory that none uses. */
	if (!vma_is_accessible(vma) || vma->vm_flags & VM_SHADOW_STACK)
		return 0;

	/* Memory of a kind that doesn't migrate is all that can't be collected. */
	pagemap_migration_reset(m);
	m->mv.flags = flags;
	if (!vma_can_move(vma) || pagemap_collect_vma(m, vma, start, end)) {
		populate_leave(p, start, end);
		return 0;
	}

	pagemap_migration_select(m);
	if (!m->wanted)
		return pagemap_migration_finish(m, 0);

	devmem = populate_take_devmem(p, m);
	if (IS_ERR(devmem)) {
		pagemap_migration_abort(m);
		return PTR_ERR(devmem);
	}
	if (!pagemap_devmem_takes_huge(m, devmem)) {
		pagemap_migration_abort(m);
		p->spare = devmem;
		return populate_chunk(p, vma, start, end,
				      flags & ~MIGRATE_VMA_SELECT_COMPOUND);
	}

	m->devmem = devmem;
	err = migration_fill_devmem(m);
	if (err) {
		pagemap_migration_finish(m, err);
		pagemap_zdd_put(&devmem->zdd);
		return err;
	}

	err = populate_drain(p);
	p->busy = m;
	p->next = &p->chunks[m == p->chunks];

	return err;
}

/* With the mmap lock, which is let go of if the device has been removed. */
static int populate_enter(struct drm_pagemap_populate *p)
{
	if (!drm_dev_enter(p->dpagemap->drm, &p->dev_idx)) {
		mmap_read_unlock(p->mm);
		return -ENODEV;
	}
	p->locked = true;

	return 0;
}

/*
 * The mmap lock can take as long as a FUSE server or the handler of a userfaultfd
 * wants. So the wait for it can be killed, and the device may be removed meanwhile.
 */
static int populate_lock(struct drm_pagemap_populate *p)
{
	if (mmap_read_lock_killable(p->mm))
		return -EINTR;

	return populate_enter(p);
}

/*
 * The same with memory that was waited for. That can't be evicted yet, so it is kept
 * for a moment only: after that, others get it, and the device can be removed.
 */
static int populate_lock_soon(struct drm_pagemap_populate *p)
{
	unsigned long end = jiffies + SPARE_TIME;

	while (!mmap_read_trylock(p->mm)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, end)) {
			populate_drop_spare(p);
			return populate_lock(p);
		}
		schedule_timeout_killable(1);
	}

	return populate_enter(p);
}

static void populate_unlock(struct drm_pagemap_populate *p)
{
	p->locked = false;
	drm_dev_exit(p->dev_idx);
	mmap_read_unlock(p->mm);
}

static struct drm_pagemap_devmem *populate_wait_devmem(struct drm_pagemap_populate *p)
{
	struct drm_pagemap_devmem *devmem;
	int idx;

	if (!drm_dev_enter(p->dpagemap->drm, &idx))
		return ERR_PTR(-ENODEV);
	devmem = populate_devmem_alloc(p, p->need, true);
	drm_dev_exit(idx);

	return devmem;
}

/* Make room, with nothing locked that whoever has to make it could want. */
static int populate_make_room(struct drm_pagemap_populate *p)
{
	struct drm_pagemap_devmem *devmem;
	int err;

	err = populate_drain(p);
	if (err)
		return err;

	populate_unlock(p);
	devmem = populate_wait_devmem(p);
	p->need = 0;
	if (IS_ERR(devmem))
		return PTR_ERR(devmem);
	p->spare = devmem;

	return populate_lock_soon(p);
}

/* Let those in who wait for the mmap lock. */
static int populate_yield(struct drm_pagemap_populate *p)
{
	int err;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (!mmap_lock_is_contended(p->mm))
		return 0;

	err = populate_drain(p);
	populate_unlock(p);
	cond_resched();

	if (err)
		return err;

	return p->spare ? populate_lock_soon(p) : populate_lock(p);
}

/* The end of the chunk at @addr. */
static unsigned long chunk_end(struct vm_area_struct *vma, unsigned long addr,
			       unsigned long end)
{
	return min3(ALIGN(addr + 1, CHUNK_SIZE), vma->vm_end, end);
}

/*
 * Populate the first chunk of [@start, @end) and say where it begins and ends. If it has
 * nothing to be copied, the one before has nothing to wait for, while others wait for it.
 */
static int populate_step(struct drm_pagemap_populate *p, unsigned long *start,
			 unsigned long end, unsigned long *next)
{
	struct vm_area_struct *vma = find_vma_intersection(p->mm, *start, end);
	struct drm_pagemap_migration *busy = p->busy;
	int err;

	if (!vma) {
		*next = end;
		return 0;
	}

	*start = max(*start, vma->vm_start);
	*next = chunk_end(vma, *start, end);

	err = populate_chunk(p, vma, *start, *next, TO_DEVMEM_FLAGS);
	if (!err && p->busy == busy)
		err = populate_drain(p);

	return err;
}

static int populate_all_locked(struct drm_pagemap_populate *p, unsigned long start,
			       unsigned long end)
{
	unsigned int evictions = 0;
	unsigned long next;
	int err, drain_err;

	if (!find_vma_intersection(p->mm, start, end))
		return -ENOENT;

	do {
		err = populate_step(p, &start, end, &next);
		if (p->need && evictions++ < MAX_EVICTIONS) {
			err = populate_make_room(p);
			continue;
		}
		if (p->need) {
			p->need = 0;
			populate_leave(p, start, next);
			err = 0;
		}
		if (err)
			break;
		evictions = 0;
		start = next;
		if (start < end)
			err = populate_yield(p);
	} while (!err && start < end);

	drain_err = populate_drain(p);

	return err ?: drain_err;
}

static struct drm_pagemap_populate *
populate_create(struct drm_pagemap *dpagemap, struct mm_struct *mm,
		unsigned long start, unsigned long end,
		const struct drm_pagemap_migrate_details *mdetails)
{
	struct drm_pagemap_populate *p = kzalloc_obj(*p);
	unsigned long npages = min(end - start, CHUNK_SIZE) >> PAGE_SHIFT;
	int i;

	if (!p)
		return NULL;

	p->dpagemap = dpagemap;
	p->mm = mm;
	p->details = *mdetails;
	p->details.stats = &p->stats;
	p->next = &p->chunks[0];
	for (i = 0; i < ARRAY_SIZE(p->chunks); i++) {
		migration_to_devmem(&p->chunks[i], dpagemap, &p->details);
		if (pagemap_migration_alloc(&p->chunks[i], npages))
			goto err_free;
	}

	return p;

err_free:
	while (i--)
		pagemap_migration_free(&p->chunks[i]);
	kfree(p);

	return NULL;
}

static void populate_destroy(struct drm_pagemap_populate *p)
{
	int i;

	populate_drop_spare(p);
	for (i = 0; i < ARRAY_SIZE(p->chunks); i++)
		pagemap_migration_free(&p->chunks[i]);
	kfree(p);
}

static int populate_run(struct drm_pagemap *dpagemap, struct mm_struct *mm,
			unsigned long start, unsigned long end,
			const struct drm_pagemap_migrate_details *mdetails)
{
	struct drm_pagemap_migrate_stats *stats = mdetails->stats;
	struct drm_pagemap_populate *p;
	int err;

	p = populate_create(dpagemap, mm, start, end, mdetails);
	if (!p)
		return -ENOMEM;

	err = populate_lock(p);
	if (!err)
		err = populate_all_locked(p, start, end);
	if (p->locked)
		populate_unlock(p);

	if (stats) {
		stats->moved += p->stats.moved;
		stats->resident += p->stats.resident;
		stats->left += p->stats.left;
	}
	if (!err && p->stats.left)
		err = -EBUSY;
	populate_destroy(p);

	return err;
}

/**
 * drm_pagemap_populate_range() - Move an interval of an mm to device memory
 * @dpagemap: where to; has &drm_pagemap_ops.devmem_alloc
 * @start: first address, page aligned
 * @end: address behind the last one, page aligned
 * @mm: the mm
 * @mdetails: how; &drm_pagemap_migrate_details.stats tells what has become of the
 *	      pages, after an error as well
 *
 * The interval may span VMAs and holes between them; memory that the process may not
 * access counts as a hole. It is done chunk by chunk,
 * and the copy of one chunk overlaps with the preparation of the next one. The
 * mmap lock is let go of whenever a writer waits for it, and while device memory
 * is being made available. What was moved before an error stays moved.
 *
 * All pages of the interval that are collected lose their mappings for a moment,
 * those that needn't move included. A caller that expects to find most of the
 * memory in place looks first, with drm_gpusvm_scan_mm() for instance.
 *
 * Context: Process context, no mmap lock held.
 *
 * Return: 0 if all memory there is in the interval is in device memory now;
 * -EBUSY if some pages had to be left; -ENOENT if there is nothing but a hole;
 * -EINVAL for a bad interval; -ENODEV once the device is gone; -ENOSPC if the
 * device memory is full and stays so; -EFAULT if the process has gone; -EINTR if
 * the caller was killed; -EOPNOTSUPP if the provider lacks an op; -EINVAL as well if it
 * has allocated more or less than it was asked for; -ENOMEM; or an error of a copy.
 */
int drm_pagemap_populate_range(struct drm_pagemap *dpagemap,
			       unsigned long start, unsigned long end,
			       struct mm_struct *mm,
			       const struct drm_pagemap_migrate_details *mdetails)
{
	int err;

	if (!dpagemap->ops->devmem_alloc)
		return -EOPNOTSUPP;
	if (start >= end || !PAGE_ALIGNED(start | end))
		return -EINVAL;
	if (drm_dev_is_unplugged(dpagemap->drm))
		return -ENODEV;
	if (!mmget_not_zero(mm))
		return -EFAULT;

	err = populate_run(dpagemap, mm, start, end, mdetails);
	mmput(mm);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_populate_range);

/* The provider does it itself. */
static int populate_by_provider(struct drm_pagemap *dpagemap, unsigned long start,
				unsigned long end, struct mm_struct *mm,
				unsigned long timeslice_ms)
{
	int err;

	if (!mmget_not_zero(mm))
		return -EFAULT;

	err = mmap_read_lock_killable(mm);
	if (!err) {
		err = dpagemap->ops->populate_mm(dpagemap, start, end, mm, timeslice_ms);
		mmap_read_unlock(mm);
	}
	mmput(mm);

	return err;
}

/**
 * drm_pagemap_populate_mm() - Move an interval of an mm to device memory
 * @dpagemap: where to
 * @start: first address, page aligned
 * @end: address behind the last one, page aligned
 * @mm: the mm
 * @timeslice_ms: how long CPU faults wait before they take the memory back, in
 *		  milliseconds
 *
 * Uses &drm_pagemap_ops.populate_mm where the provider has it, else
 * drm_pagemap_populate_range().
 *
 * Context: Process context, no mmap lock held.
 *
 * Return: as drm_pagemap_populate_range(), or what the provider's op returns.
 */
int drm_pagemap_populate_mm(struct drm_pagemap *dpagemap,
			    unsigned long start, unsigned long end,
			    struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
	};

	if (dpagemap->ops->populate_mm)
		return populate_by_provider(dpagemap, start, end, mm, timeslice_ms);

	return drm_pagemap_populate_range(dpagemap, start, end, mm, &details);
}
EXPORT_SYMBOL(drm_pagemap_populate_mm);
