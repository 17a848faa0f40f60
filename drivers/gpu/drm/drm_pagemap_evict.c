// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/slab.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

/* ------------------------------------------------------------------------
 * To RAM: eviction
 */

/* How long an eviction waits for those who have pages without locking them. */
#define EVICT_PATIENCE	(HZ / 10)
/* How often it looks again, and how often a copy is tried that fails. */
#define EVICT_ROUNDS	16
#define EVICT_COPIES	3

static void migration_evict(struct drm_pagemap_migration *m,
			    struct drm_pagemap_devmem *devmem)
{
	pagemap_migration_reset(m);
	m->dpagemap = devmem->dpagemap;
	m->devmem = devmem;
	m->details = NULL;
	m->mv.fault_page = NULL;
	m->mv.start = 0;
}

/*
 * The folio that a page of an allocation is in, with a reference; NULL for all pages
 * of the folio but the first, and for those that are not in use. The page may have
 * become another allocation's: who locks the folio knows, see folio_is_of().
 */
static struct folio *evict_folio(const struct devmem_pfns *pfns, unsigned long slot)
{
	return folio_get_nontail_page(pfn_to_page(devmem_pfn(pfns, slot)));
}

/* Whether a locked folio is of the allocation. */
static bool folio_is_of(struct folio *folio, struct drm_pagemap_devmem *devmem)
{
	return drm_pagemap_page_zone_device_data(folio_page(folio, 0)) == &devmem->zdd;
}

/*
 * A huge folio that nobody maps as a whole may have pages that nobody maps at all,
 * since the process unmapped or discarded them. Once it is split, they are free; as
 * parts of it they would move to RAM and occupy that.
 */
static bool folio_may_have_dead_pages(struct folio *folio)
{
	return folio_mapped(folio) && !folio_entire_mapcount(folio);
}

/*
 * Split a locked folio if it has to be. Returns whether it may move as it is now: if
 * the MM can't split it, rather with pages that nobody needs than not at all.
 */
static bool evict_split_folio(struct drm_pagemap_devmem *devmem, struct folio *folio,
			      bool all)
{
	int err;

	if (!folio_is_of(folio, devmem) || !folio_test_large(folio) ||
	    (!all && !folio_may_have_dead_pages(folio)))
		return true;

	err = pagemap_split_page_folio(devmem->dpagemap, folio_page(folio, 0));

	return !err || err == -EOPNOTSUPP;
}

/*
 * Split huge folios: those with pages that nobody needs, or @all, for which there was
 * no huge page of RAM. Returns whether those that are left may move.
 */
static bool evict_split(struct drm_pagemap_devmem *devmem,
			const struct devmem_pfns *pfns, bool all)
{
	unsigned long npages = devmem->size >> PAGE_SHIFT, i, n;
	struct folio *folio;
	bool ret = true;

	for (i = 0; i < npages; i += n) {
		n = 1;
		if (!PageHead(pfn_to_page(devmem_pfn(pfns, i))))
			continue;
		folio = evict_folio(pfns, i);
		if (!folio)
			continue;
		if (folio_trylock(folio)) {
			n = folio_nr_pages(folio);
			ret &= evict_split_folio(devmem, folio, all);
			folio_unlock(folio);
		}
		folio_put(folio);
	}

	return ret;
}

/* Start the eviction of all pages that can be had, in small pages if need be. */
static int evict_start(struct drm_pagemap_migration *m,
		       struct drm_pagemap_devmem *devmem, bool small)
{
	struct devmem_pfns pfns = {};
	int err;

	pagemap_end_timeslice(devmem);
	migration_evict(m, devmem);
	err = pagemap_devmem_list_pfns(devmem, m->mv.src, &pfns);
	if (err)
		return err;

	m->leave_huge = !evict_split(devmem, &pfns, small);
	err = pagemap_collect_pfns(m, pfns.first, devmem->size >> PAGE_SHIFT);
	if (err)
		return err;

	pagemap_migration_select(m);
	err = pagemap_allocate_ram(m);
	if (!err)
		err = pagemap_migration_copy(m);
	if (err)
		pagemap_migration_finish(m, err);

	return err;
}

/*
 * The first page of a folio of the allocation that somebody has locked, or NULL. There is
 * no reference on it: who has locked it can't move it as long as others have one.
 */
static struct page *evict_locked_page(struct drm_pagemap_migration *m,
				      struct drm_pagemap_devmem *devmem)
{
	unsigned long npages = devmem->size >> PAGE_SHIFT, i;
	struct devmem_pfns pfns = {};
	struct page *page = NULL;
	struct folio *folio;

	if (pagemap_devmem_list_pfns(devmem, m->mv.src, &pfns))
		return NULL;

	for (i = 0; !page && i < npages; i++) {
		folio = evict_folio(&pfns, i);
		if (!folio)
			continue;
		if (folio_test_locked(folio))
			page = folio_page(folio, 0);
		folio_put(folio);
	}

	return page;
}

/*
 * Wait until it is worth trying again. Who has locked a folio is about to move it:
 * wait for that. Others have but a reference, and nobody tells when they drop it.
 */
static int evict_wait(struct drm_pagemap_migration *m, struct drm_pagemap_devmem *devmem,
		      bool late)
{
	const struct page *page = evict_locked_page(m, devmem);
	long left;

	if (!page && late)
		return -EBUSY;

	do {
		left = wait_for_completion_killable_timeout(&devmem->detached,
							    EVICT_PATIENCE / EVICT_ROUNDS + 1);
	} while (!left && page && !completion_done(&devmem->detached) && PageLocked(page));

	return left < 0 ? -EINTR : 0;
}

/*
 * What is left after the first attempt was locked or referenced by others: a CPU
 * fault, a migration, a fork. They let go soon, and most of them take the page
 * away. Try again a bounded number of times.
 */
static int evict_rest(struct drm_pagemap_migration *m, struct drm_pagemap_devmem *devmem,
		      unsigned long deadline)
{
	/* What the first attempt has found out may be about another allocation. */
	bool small = m->devmem == devmem && m->unsplit, late;
	unsigned int round, copies = 0;
	int err = 0, wait_err;

	for (round = 0; round < EVICT_ROUNDS && copies < EVICT_COPIES; round++) {
		if (completion_done(&devmem->detached))
			return 0;
		late = round && time_after(jiffies, deadline);
		wait_err = small ? 0 : evict_wait(m, devmem, late);
		if (wait_err) {
			err = err ?: wait_err;
			break;
		}
		/* The pages may be another allocation's by now. */
		if (completion_done(&devmem->detached))
			return 0;

		err = evict_start(m, devmem, small);
		if (!err)
			err = pagemap_migration_finish(m, 0);
		copies += !!err;
		small = m->unsplit;
		if (!err && m->starved)
			err = -ENOMEM;
	}

	return completion_done(&devmem->detached) ? 0 : err ?: -EBUSY;
}

static unsigned long evict_max_pages(struct drm_pagemap_devmem **devmem,
				     unsigned int count)
{
	size_t size = 0;

	while (count--)
		size = max(size, devmem[count]->size);

	return size >> PAGE_SHIFT;
}

/**
 * struct eviction - What it takes to evict some allocations
 *
 * @m: Two migrations that any of the allocations fits in
 * @count: How many allocations there are
 * @held: What keeps the struct pages of each in existence, which its last page may not do
 *	  for as long as they are looked at; NULL for those that have no page any more
 */
struct eviction {
	struct drm_pagemap_migration m[2];
	unsigned int count;
	struct drm_pagemap *held[] __counted_by(count);
};

static struct drm_pagemap *evict_hold(struct drm_pagemap_devmem *devmem)
{
	struct drm_pagemap *dpagemap;

	if (!kref_get_unless_zero(&devmem->zdd.refcount)) {
		/* Its release has begun. */
		wait_for_completion(&devmem->detached);
		return NULL;
	}
	dpagemap = drm_pagemap_get(devmem->dpagemap);
	pagemap_zdd_put(&devmem->zdd);

	return dpagemap;
}

static struct eviction *evict_begin(struct drm_pagemap_devmem **devmem, unsigned int count)
{
	unsigned long npages = evict_max_pages(devmem, count);
	struct eviction *e = kzalloc_flex(*e, held, count);
	unsigned int i;

	if (!e)
		return NULL;
	e->count = count;
	if (pagemap_migration_alloc(&e->m[0], npages))
		goto err_free;
	if (pagemap_migration_alloc(&e->m[1], npages))
		goto err_free_first;
	for (i = 0; i < count; i++)
		e->held[i] = evict_hold(devmem[i]);

	return e;

err_free_first:
	pagemap_migration_free(&e->m[0]);
err_free:
	kfree(e);

	return NULL;
}

static void evict_end(struct eviction *e)
{
	unsigned int i;

	for (i = 0; i < e->count; i++)
		drm_pagemap_put(e->held[i]);
	pagemap_migration_free(&e->m[0]);
	pagemap_migration_free(&e->m[1]);
	kfree(e);
}

/* One attempt for each allocation, two of them in flight. */
static void evict_pipeline(struct drm_pagemap_migration m[2],
			   struct drm_pagemap_devmem **devmem, unsigned int count)
{
	struct drm_pagemap_migration *next = &m[0], *busy = NULL;
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		if (completion_done(&devmem[i]->detached))
			continue;
		err = evict_start(next, devmem[i], false);
		if (busy)
			pagemap_migration_finish(busy, 0);
		busy = err ? NULL : next;
		next = &m[next == m];
	}
	if (busy)
		pagemap_migration_finish(busy, 0);
}

/**
 * drm_pagemap_evict_many() - Move allocations to RAM
 * @devmem: the allocations; the caller keeps the objects in existence, even though
 *	    &drm_pagemap_devmem_ops.devmem_release is called for each
 * @count: how many
 *
 * Works on physical pages alone, whatever has become of the processes that use
 * them. The copy of one allocation overlaps with the preparation of the next one.
 * Pages that processes have unmapped are freed, those within huge folios too.
 *
 * Context: Process context. Sleeps, and waits for RAM and for the provider's copies.
 * Waits, so that it can be killed, for pages that others have locked, and up to a
 * tenth of a second for those who only have references.
 *
 * Return: 0 if no page is left in any of the allocations; else the error of the
 * first one of which something is left: -EBUSY if pages were in use for too long,
 * -ENOMEM, -EINTR if the caller was killed, or an error of the copy. The contents of
 * what is left are unharmed.
 */
int drm_pagemap_evict_many(struct drm_pagemap_devmem **devmem, unsigned int count)
{
	unsigned long deadline = jiffies + EVICT_PATIENCE;
	struct eviction *e;
	int err, ret = 0;
	unsigned int i;

	e = evict_begin(devmem, count);
	if (!e)
		return -ENOMEM;

	evict_pipeline(e->m, devmem, count);
	for (i = 0; i < count; i++) {
		err = evict_rest(&e->m[0], devmem[i], deadline);
		trace_drm_pagemap_evict(devmem[i], err);
		ret = ret ?: err;
	}
	evict_end(e);

	return ret;
}
EXPORT_SYMBOL_GPL(drm_pagemap_evict_many);

/* One page, by its number, or what is left of it after a number of tries. */
static void abandon_page(struct drm_pagemap_migration *m,
			 struct drm_pagemap_devmem *devmem, unsigned long pfn)
{
	unsigned int tries = EVICT_COPIES;
	int err;

	do {
		migration_evict(m, devmem);
		m->leave_huge = true;
		m->abandon = !--tries;
		m->mv.src[0] = pfn;
		pagemap_collect_pfns(m, 0, 1);
		pagemap_migration_select(m);
		err = pagemap_allocate_ram(m);
		if (!err)
			err = pagemap_migration_copy(m);
		err = pagemap_migration_finish(m, err);
	} while (tries && (err || m->starved));
}

/* Page by page, so that one that fails takes no other along. */
static int abandon(struct drm_pagemap_migration m[2], struct drm_pagemap_devmem *devmem)
{
	unsigned long npages = devmem->size >> PAGE_SHIFT, i;
	struct devmem_pfns pfns = {};
	int err;

	pagemap_end_timeslice(devmem);
	/* The list has to stay while the other migration is used for each page. */
	err = pagemap_devmem_list_pfns(devmem, m[1].mv.src, &pfns);
	if (err)
		return err;

	evict_split(devmem, &pfns, true);
	for (i = 0; i < npages && !completion_done(&devmem->detached); i++)
		abandon_page(&m[0], devmem, devmem_pfn(&pfns, i));

	return completion_done(&devmem->detached) ? 0 : -EBUSY;
}

/**
 * drm_pagemap_abandon_many() - Empty allocations of a device that goes
 * @devmem: the allocations, as for drm_pagemap_evict_many()
 * @count: how many
 *
 * For a driver whose device is removed, after drm_pagemap_evict_many() has failed
 * more often than can be accepted. Each page is tried a few times more, by itself.
 * The contents of those that can't be copied are lost: a process that touches one gets
 * SIGBUS, as for memory with a hardware error, until it has unmapped or discarded it.
 * Nothing else is lost. RAM is made for the rest, by the OOM killer if need be.
 *
 * Context: Process context. Sleeps, and waits for RAM and for the provider's copies.
 *
 * Return: 0 if no page is left in any of the allocations; -EBUSY if others still have
 * references on some, which they will drop; -ENOMEM; or an error of
 * &drm_pagemap_devmem_ops.populate_devmem_pfn.
 */
int drm_pagemap_abandon_many(struct drm_pagemap_devmem **devmem, unsigned int count)
{
	struct eviction *e = evict_begin(devmem, count);
	int err, ret = 0;
	unsigned int i;

	if (!e)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		err = abandon(e->m, devmem[i]);
		trace_drm_pagemap_evict(devmem[i], err);
		ret = ret ?: err;
	}
	evict_end(e);

	return ret;
}
EXPORT_SYMBOL_GPL(drm_pagemap_abandon_many);

/**
 * drm_pagemap_evict_to_ram() - Move an allocation to RAM
 * @devmem_allocation: the allocation
 *
 * See drm_pagemap_evict_many().
 *
 * Return: 0 if no page is left in the allocation, or a negative error.
 */
int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation)
{
	return drm_pagemap_evict_many(&devmem_allocation, 1);
}
EXPORT_SYMBOL_GPL(drm_pagemap_evict_to_ram);
