// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/sched/signal.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

/* ------------------------------------------------------------------------
 * To RAM: CPU faults
 */

/*
 * How long a CPU has to leave the memory alone, in jiffies: until the timeslice is over.
 * Processes that have the memory since a fork, and have not asked for it to be moved, need
 * not wait. But a page that somebody sleeps for can't be moved, for the sleeper has a
 * reference: they come back a little later, and don't copy it in vain meanwhile.
 */
static s64 timeslice_left(struct vm_fault *vmf, struct drm_pagemap_devmem *devmem)
{
	struct folio *folio = page_folio(vmf->page);
	s64 left = READ_ONCE(devmem->timeslice_expiration) - get_jiffies_64();

	if (left <= 0 || devmem->mm == vmf->vma->vm_mm)
		return left;

	return folio_ref_count(folio) > folio_mapcount(folio) + 1;
}

/* Sleep for @left jiffies, or until there is no timeslice or a signal to be handled. */
static void timeslice_sleep(struct vm_fault *vmf, struct drm_pagemap_devmem *devmem,
			    s64 left)
{
	bool user = (vmf->flags & (FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE)) ==
		    (FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE);

	if (user)
		wait_event_interruptible_timeout(pagemap_timeslice_wq,
						 !in_timeslice(devmem), left);
	else
		wait_event_killable_timeout(pagemap_timeslice_wq,
					    !in_timeslice(devmem), left);
}

/*
 * The device has asked for the memory for a while. Let the CPU sleep, without the
 * page's lock, and if possible without the mmap lock. The caller's reference keeps
 * the allocation in existence, but also the page in its place: an eviction ends the
 * timeslice. The caller unlocks the page, so it has to be locked again.
 */
static vm_fault_t timeslice_wait(struct vm_fault *vmf,
				 struct drm_pagemap_devmem *devmem, s64 left)
{
	struct folio *folio = page_folio(vmf->page);
	bool retry = vmf->flags & FAULT_FLAG_ALLOW_RETRY;

	stat_add(devmem->dpagemap, DRM_PAGEMAP_STAT_TIMESLICE_WAITS, 1);
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	folio_unlock(folio);
	if (retry)
		release_fault_lock(vmf);
	timeslice_sleep(vmf, devmem, left);
	folio_lock(page_folio(vmf->page));

	return retry ? VM_FAULT_RETRY : 0;
}

/* Windows of a sequential reader grow; any other fault starts small again. */
static unsigned long fault_readahead(struct drm_pagemap_devmem *devmem,
				     unsigned long addr, unsigned long window)
{
	unsigned long windows = READ_ONCE(devmem->readahead);

	windows = addr == READ_ONCE(devmem->next_fault) ? windows * 2 : 1;
	windows = clamp(windows, 1, CHUNK_SIZE / window);
	WRITE_ONCE(devmem->readahead, windows);

	return windows * window;
}

/*
 * What to bring back: the window around the address, or from it on, but all of a
 * huge folio, and nothing beyond the VMA or the next huge page.
 */
static void fault_interval(struct vm_fault *vmf, struct drm_pagemap_devmem *devmem,
			   unsigned long *start, unsigned long *end)
{
	unsigned long window = clamp(READ_ONCE(devmem->fault_window), PAGE_SIZE,
				     CHUNK_SIZE);
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned long size = fault_readahead(devmem, addr, window);

	if (folio_order(page_folio(vmf->page)) >= PMD_ORDER) {
		*start = ALIGN_DOWN(addr, CHUNK_SIZE);
		*end = *start + CHUNK_SIZE;
	} else {
		*start = ALIGN_DOWN(addr, window);
		*end = min(*start + size, ALIGN(addr + 1, CHUNK_SIZE));
	}
	*start = max(*start, vmf->vma->vm_start);
	*end = min(*end, vmf->vma->vm_end);
	WRITE_ONCE(devmem->next_fault, *end);
}

/*
 * Bring back [start, end), at least the page of the fault. -EAGAIN: there is no huge
 * page for the huge folio that it is part of.
 */
static int fault_migrate(struct vm_fault *vmf, struct drm_pagemap *dpagemap,
			 unsigned long start, unsigned long end)
{
	struct drm_pagemap_migration m = {
		.dpagemap = dpagemap,
		.mv = {
			.pgmap_owner = dpagemap->pagemap->owner,
			.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
				 MIGRATE_VMA_SELECT_COMPOUND,
			.fault_page = vmf->page,
		},
	};
	int err;

	err = pagemap_migration_alloc(&m, (end - start) >> PAGE_SHIFT);
	if (err)
		return err;

	err = pagemap_collect_vma(&m, vmf->vma, start, end);
	if (!err) {
		pagemap_migration_select(&m);
		err = pagemap_allocate_ram(&m);
		if (!err)
			err = pagemap_migration_copy(&m);
		err = pagemap_migration_finish(&m, err);
	}
	pagemap_migration_free(&m);

	return err ?: m.unsplit ? -EAGAIN : 0;
}

/*
 * A module for a kernel that can't split a page's folio has migrate_vma_setup() do it. It
 * collects nothing but the page of the fault, which at most stays where it is. It locks
 * that page some time after the split, in which others may take it.
 */
static int fault_split_by_vma(struct vm_fault *vmf, struct drm_pagemap *dpagemap)
{
	unsigned long addr = vmf->address & PAGE_MASK, src, dst;
	struct migrate_vma mv = {
		.vma = vmf->vma,
		.start = addr,
		.end = addr + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = dpagemap->pagemap->owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = vmf->page,
	};
	int err;

	err = migrate_vma_setup(&mv);
	if (err)
		return err;
	migrate_vma_pages(&mv);
	migrate_vma_finalize(&mv);
	if (folio_test_large(page_folio(vmf->page)))
		return -EBUSY;
	stat_add(dpagemap, DRM_PAGEMAP_STAT_SPLIT, 1);

	return 0;
}

/*
 * A huge folio that is mapped by small page table entries, since it was moved or
 * unmapped in part, is split before anything is collected. migrate_vma_setup() would
 * do it, but then take the first page for the one that the CPU has locked.
 */
static int fault_split(struct vm_fault *vmf, struct drm_pagemap *dpagemap)
{
	int err;

	/* Only a fault on a huge entry has no page table to point to. */
	if (!vmf->pte || !folio_test_large(page_folio(vmf->page)))
		return 0;

	err = pagemap_split_page_folio(dpagemap, vmf->page);
	if (err == -EOPNOTSUPP)
		return fault_split_by_vma(vmf, dpagemap);

	return err ? -EBUSY : 0;
}

/*
 * Bring back the window of the fault, or all of a huge folio. What keeps a neighbour
 * from coming back, a copy that fails for instance, is no reason to refuse the page
 * that the CPU wants: then that comes alone.
 */
static int fault_fetch(struct vm_fault *vmf, struct drm_pagemap_devmem *devmem)
{
	struct drm_pagemap *dpagemap = devmem->dpagemap;
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned long start, end;
	int err;

	fault_interval(vmf, devmem, &start, &end);
	err = fault_migrate(vmf, dpagemap, start, end);
	if (err && end - start > PAGE_SIZE && !folio_test_large(page_folio(vmf->page)))
		err = fault_migrate(vmf, dpagemap, addr, addr + PAGE_SIZE);
	trace_drm_pagemap_cpu_fault(dpagemap, addr, start, end, err);

	return err;
}

static vm_fault_t fault_result(int err)
{
	switch (err) {
	case 0:
	case -EBUSY:	/* Lost a race: the CPU tries again if it has to. */
	case -EINTR:	/* The copy has waited: after the signal the CPU comes again. */
	case -ERESTARTSYS:
		return 0;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t drm_pagemap_migrate_to_ram(struct vm_fault *vmf)
{
	struct drm_pagemap_devmem *devmem = page_to_devmem(vmf->page);
	struct drm_pagemap *dpagemap = devmem->dpagemap;
	s64 left = timeslice_left(vmf, devmem);
	vm_fault_t ret;
	int err;

	stat_add(dpagemap, DRM_PAGEMAP_STAT_CPU_FAULTS, 1);
	if (left > 0) {
		ret = timeslice_wait(vmf, devmem, left);
		if (ret)
			return ret;
	}

	err = fault_split(vmf, dpagemap);
	if (!err)
		err = fault_fetch(vmf, devmem);
	/* No huge page to be had, or not all of it: the window in small pages. */
	if (err && folio_test_large(page_folio(vmf->page)))
		err = pagemap_split_page_folio(dpagemap, vmf->page) ? -EBUSY :
							      fault_fetch(vmf, devmem);

	return fault_result(err);
}

static void drm_pagemap_folio_free(struct folio *folio)
{
	pagemap_zdd_put(drm_pagemap_page_zone_device_data(folio_page(folio, 0)));
}

/* Each part of a folio that is split holds its own reference. */
static void drm_pagemap_folio_split(struct folio *head, struct folio *tail)
{
	if (!tail)
		return;

	tail->pgmap = head->pgmap;
	folio_set_zone_device_data(tail, folio_zone_device_data(head));
	kref_get(&drm_pagemap_page_zone_device_data(folio_page(tail, 0))->refcount);
}

static const struct dev_pagemap_ops drm_pagemap_pagemap_ops = {
	.folio_free = drm_pagemap_folio_free,
	.migrate_to_ram = drm_pagemap_migrate_to_ram,
	.folio_split = drm_pagemap_folio_split,
};

/**
 * drm_pagemap_pagemap_ops_get() - The operations of a &struct dev_pagemap
 *
 * Return: what &dev_pagemap.ops of the region has to point to.
 */
const struct dev_pagemap_ops *drm_pagemap_pagemap_ops_get(void)
{
	return &drm_pagemap_pagemap_ops;
}
EXPORT_SYMBOL_GPL(drm_pagemap_pagemap_ops_get);
