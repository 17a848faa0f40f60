/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of drm_pagemap know of one another. A file uses those above it and none
 * below it:
 *
 *	drm_pagemap.c		allocations and pagemaps: what lives how long
 *	drm_pagemap_alloc.c	pages for what is to move
 *	drm_pagemap_copy.c	its copy, by one engine or several
 *	drm_pagemap_migrate.c	a migration: collect, select, allocate, copy, commit
 *	drm_pagemap_populate.c	migrations to device memory
 *	drm_pagemap_evict.c	migrations to RAM, of allocations
 *	drm_pagemap_fault.c	migrations to RAM, for a CPU that wants the memory
 */

#ifndef __DRM_PAGEMAP_INTERNAL_H__
#define __DRM_PAGEMAP_INTERNAL_H__

#include <linux/dma-mapping.h>
#include <linux/huge_mm.h>
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/wait.h>

#include <drm/drm_pagemap.h>

/* Chunks are as large as the largest folio that the core MM migrates. */
#define CHUNK_SIZE	PMD_SIZE

/**
 * struct drm_pagemap_copy - A run of pages that one engine copies
 *
 * @first: Index of the first page
 * @end: Index behind the last page
 * @ops: Operations of the device memory whose engine copies
 * @dpagemap: Pagemap of that device memory
 * @dev: The device that copies
 * @push: The engine's own memory is the source, not the destination
 * @peer: The destination is device memory, too
 * @iova: IOVA space of the system memory, if it has one
 * @iova_used: How much of it is mapped, in bytes
 * @fence: Signals when the copy is done; NULL if it is
 */
struct drm_pagemap_copy {
	unsigned long first, end;
	const struct drm_pagemap_devmem_ops *ops;
	struct drm_pagemap *dpagemap;
	struct device *dev;
	bool push, peer;
	struct dma_iova_state iova;
	size_t iova_used;
	struct dma_fence *fence;
};

/* More runs than this are waited for in between. */
#define MAX_COPIES	4

/**
 * struct drm_pagemap_migration - A chunk of memory on its way
 *
 * @dpagemap: Pagemap of the device memory that is filled or emptied
 * @devmem: Allocation that is filled or evicted; NULL for a CPU fault, which may
 *	    empty several
 * @details: How to migrate, to device memory; NULL to RAM
 * @mv: The core MM's part. Without a VMA, the source is a list of device pages
 * @addr: Other side of the copy of each page
 * @pages: Device pages that the copy ops get
 * @wanted: Number of pages that are to move
 * @huge: Some of them are in huge folios
 * @from_device: Some of them are in device memory now
 * @mixed: They don't all belong to @zdd
 * @first: Index of the first of them
 * @end: Index behind the last of them
 * @zdd: Allocation of the first of them, or NULL for RAM and holes
 * @ready: Some of them have a destination
 * @moved: Number of pages that have moved, and how
 * @moved_huge: those in huge folios
 * @zeroed: those without a source
 * @resident: Number of pages that were where they are wanted
 * @unsplit: Huge folios were left because there was no huge page of RAM
 * @leave_huge: Huge folios are not to move: one had to be split first and wasn't
 * @abandon: What can't be had is lost: the device goes
 * @starved: Small folios were left because there was no page of RAM
 * @ncopies: Number of copies under way
 * @copies: The copies
 */
struct drm_pagemap_migration {
	struct drm_pagemap *dpagemap;
	struct drm_pagemap_devmem *devmem;
	const struct drm_pagemap_migrate_details *details;
	struct migrate_vma mv;
	struct drm_pagemap_addr *addr;
	struct page **pages;
	unsigned long wanted;
	bool huge, from_device, mixed;
	unsigned long first, end;
	struct drm_pagemap_zdd *zdd;
	bool ready;
	unsigned long moved, moved_huge, zeroed;
	unsigned long resident;
	bool unsplit, starved;
	bool leave_huge, abandon;
	unsigned int ncopies;
	struct drm_pagemap_copy copies[MAX_COPIES];
};

/**
 * struct devmem_pfns - The pages of an allocation, as they are dealt out
 *
 * @first: Number of the first page, if they are contiguous
 * @list: Numbers of the pages, if they aren't; else NULL
 * @folios: Number of folios that were made of them
 */
struct devmem_pfns {
	unsigned long first;
	unsigned long *list;
	unsigned long folios;
};

/* drm_pagemap.c */

/*
 * Whether allocations move as wholes. A provider that fills them itself makes one for each
 * interval, and expects to get it back with all that is in it.
 */
static inline bool moves_whole_allocations(const struct drm_pagemap *dpagemap)
{
	return !dpagemap->ops->devmem_alloc;
}

static inline struct drm_pagemap_devmem *zdd_to_devmem(struct drm_pagemap_zdd *zdd)
{
	return container_of(zdd, struct drm_pagemap_devmem, zdd);
}

static inline struct drm_pagemap_devmem *page_to_devmem(struct page *page)
{
	return zdd_to_devmem(drm_pagemap_page_zone_device_data(page));
}

static inline bool folio_is_retired(struct folio *folio)
{
	return (unsigned long)folio_zone_device_data(folio) &
	       DRM_PAGEMAP_ZDD_FLAG_MIGRATED;
}

/*
 * The contents have moved on. Someone may still hold a reference on the folio,
 * so an eviction may still come across it.
 */
static inline void folio_retire(struct folio *folio)
{
	unsigned long data = (unsigned long)folio_zone_device_data(folio);

	data |= DRM_PAGEMAP_ZDD_FLAG_MIGRATED;
	folio_set_zone_device_data(folio, (void *)data);
}

static inline void stat_add(struct drm_pagemap *dpagemap, enum drm_pagemap_stat stat,
			    unsigned long count)
{
	if (count)
		atomic64_add(count, &dpagemap->stats[stat]);
}

void pagemap_zdd_start(struct drm_pagemap_devmem *devmem);
void pagemap_zdd_get_many(struct drm_pagemap_zdd *zdd, unsigned int folios);
void pagemap_zdd_put(struct drm_pagemap_zdd *zdd);

/* drm_pagemap_alloc.c */

unsigned int pagemap_entry_compound_order(unsigned long mpfn);

/* Whether an entry of the source array is one that is to move. */
static inline bool entry_wanted(unsigned long mpfn)
{
	return mpfn & MIGRATE_PFN_MIGRATE;
}

/* Asked several times for each page: small pages must cost next to nothing. */
static __always_inline unsigned int entry_order(unsigned long mpfn)
{
	return likely(!(mpfn & MIGRATE_PFN_COMPOUND)) ? 0 : pagemap_entry_compound_order(mpfn);
}

/* The allocation that an entry's page belongs to, if it is device memory. */
static __always_inline struct drm_pagemap_zdd *entry_zdd(unsigned long mpfn)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	return page && is_device_private_page(page) ?
	       drm_pagemap_page_zone_device_data(page) : NULL;
}

static inline unsigned long devmem_pfn(const struct devmem_pfns *pfns, unsigned long slot)
{
	return pfns->list ? pfns->list[slot] : pfns->first + slot;
}

int pagemap_devmem_list_pfns(struct drm_pagemap_devmem *devmem, unsigned long *room,
			     struct devmem_pfns *pfns);
bool pagemap_devmem_takes_huge(struct drm_pagemap_migration *m,
			       struct drm_pagemap_devmem *devmem);
int pagemap_allocate_devmem(struct drm_pagemap_migration *m);
int pagemap_allocate_ram(struct drm_pagemap_migration *m);
void pagemap_put_dst(unsigned long *dst);

/* drm_pagemap_copy.c */

int pagemap_copies_wait(struct drm_pagemap_migration *m);
int pagemap_migration_copy(struct drm_pagemap_migration *m);

/* drm_pagemap_migrate.c */

extern wait_queue_head_t pagemap_timeslice_wq;

static inline bool in_timeslice(struct drm_pagemap_devmem *devmem)
{
	return time_before64(get_jiffies_64(),
			     READ_ONCE(devmem->timeslice_expiration));
}

/* Whether a part of what is to go to a device will do: who counts the pages can tell. */
static inline bool part_will_do(const struct drm_pagemap_migration *m)
{
	return m->details->stats;
}

int pagemap_migration_alloc(struct drm_pagemap_migration *m, unsigned long npages);
void pagemap_migration_free(struct drm_pagemap_migration *m);
void pagemap_migration_reset(struct drm_pagemap_migration *m);
int pagemap_collect_vma(struct drm_pagemap_migration *m, struct vm_area_struct *vma,
			unsigned long start, unsigned long end);
int pagemap_collect_pfns(struct drm_pagemap_migration *m, unsigned long first,
			 unsigned long npages);
void pagemap_migration_select(struct drm_pagemap_migration *m);
void pagemap_end_timeslice(struct drm_pagemap_devmem *devmem);
int pagemap_migration_finish(struct drm_pagemap_migration *m, int err);
void pagemap_migration_abort(struct drm_pagemap_migration *m);
int pagemap_split_page_folio(struct drm_pagemap *dpagemap, struct page *page);

#endif /* __DRM_PAGEMAP_INTERNAL_H__ */
