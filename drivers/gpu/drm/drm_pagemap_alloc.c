// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/gfp.h>
#include <linux/mempolicy.h>
#include <linux/topology.h>

#include "drm_pagemap_internal.h"

/*
 * How many pages an entry stands for. A huge hole has no page to ask; a huge page
 * that couldn't be locked has left its flag, but no page and nothing that is wanted.
 */
noinline unsigned int pagemap_entry_compound_order(unsigned long mpfn)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	if (page)
		return folio_order(page_folio(page));

	return entry_wanted(mpfn) ? PMD_ORDER : 0;
}

/* ------------------------------------------------------------------------
 * Allocate: device pages
 */

/* Whether the pages from @slot on can be one folio. */
static bool pfns_make_folio(const struct devmem_pfns *pfns, unsigned long slot,
			    unsigned int order)
{
	unsigned long i, first = devmem_pfn(pfns, slot);

	if (!IS_ALIGNED(first, 1UL << order))
		return false;

	for (i = 1; pfns->list && i < 1UL << order; i++)
		if (pfns->list[slot + i] != first + i)
			return false;

	return true;
}

/* @src is the source if it is device memory; its own engine pushes it then. */
static void devmem_folio(struct drm_pagemap_migration *m, struct devmem_pfns *pfns,
			 unsigned long slot, unsigned long i, unsigned int order,
			 struct page *src)
{
	unsigned long pfn = devmem_pfn(pfns, slot);
	struct page *page = pfn_to_page(pfn);
	struct folio *folio = (struct folio *)page;

	zone_device_folio_init(folio, m->dpagemap->pagemap, order);
	folio_set_zone_device_data(folio, &m->devmem->zdd);
	pfns->folios++;

	m->mv.dst[i] = migrate_pfn(pfn) | (order ? MIGRATE_PFN_COMPOUND : 0);
	m->pages[i] = src ?: page;
}

/* Give an entry its pages. A huge hole gets small ones if the numbers allow no other. */
static void devmem_assign(struct drm_pagemap_migration *m, struct devmem_pfns *pfns,
			  unsigned long slot, unsigned long i, unsigned int order)
{
	struct page *src = NULL;
	unsigned long j;

	if (m->from_device && entry_zdd(m->mv.src[i]))
		src = migrate_pfn_to_page(m->mv.src[i]);

	if (!order || pfns_make_folio(pfns, slot, order)) {
		devmem_folio(m, pfns, slot, i, order, src);
		return;
	}

	for (j = 0; j < 1UL << order; j++)
		devmem_folio(m, pfns, slot + j, i + j, 0, NULL);
}

/*
 * A page that no folio is made of may still look like a part of a huge folio that it
 * was in before, and the core MM would take it for that when it looks for what is to
 * be evicted: neither the page nor what follows it would ever be found.
 */
static void devmem_reset_page(struct drm_pagemap_migration *m, struct page *page)
{
	struct folio *folio = (struct folio *)page;

	if (!PageCompound(page))
		return;

	zone_device_folio_init(folio, m->dpagemap->pagemap, 0);
	folio_set_zone_device_data(folio, &m->devmem->zdd);
	pagemap_zdd_get_many(&m->devmem->zdd, 1);
	folio_unlock(folio);
	folio_put(folio);
}

static void devmem_leave(struct drm_pagemap_migration *m,
			 const struct devmem_pfns *pfns, unsigned long slot,
			 unsigned long end)
{
	for (; slot < end; slot++)
		devmem_reset_page(m, pfn_to_page(devmem_pfn(pfns, slot)));
}

/* @room is for page numbers, of which the allocation may have a list. */
int pagemap_devmem_list_pfns(struct drm_pagemap_devmem *devmem, unsigned long *room,
			     struct devmem_pfns *pfns)
{
	if (devmem->first_pfn) {
		pfns->first = devmem->first_pfn;
		return 0;
	}

	pfns->list = room;

	return devmem->ops->populate_devmem_pfn(devmem, devmem->size >> PAGE_SHIFT,
						room);
}

/*
 * Whether each huge page that moves gets a huge one. If not, the core MM would split it
 * when it is unmapped already, and in the mm that it moves for: after a fork another
 * process would be left with a huge entry for the first of the small pages. The caller
 * collects it in small pages instead, which splits it for all.
 */
bool pagemap_devmem_takes_huge(struct drm_pagemap_migration *m,
			       struct drm_pagemap_devmem *devmem)
{
	bool whole = devmem->size >> PAGE_SHIFT >= m->mv.npages;
	unsigned long *src = m->mv.src, i, slot = 0;
	struct devmem_pfns pfns = {};
	unsigned int order;

	if (!m->huge)
		return true;
	if (pagemap_devmem_list_pfns(devmem, (unsigned long *)m->addr, &pfns))
		return false;

	for (i = 0; i < m->mv.npages; i += 1UL << order) {
		order = entry_order(src[i]);
		if (!entry_wanted(src[i]))
			continue;
		if (whole)
			slot = i;
		if (order && migrate_pfn_to_page(src[i]) &&
		    !pfns_make_folio(&pfns, slot, order))
			return false;
		slot += 1UL << order;
	}

	return true;
}

/*
 * Spread the pages of the allocation over the entries that are wanted. If it has
 * a page for each entry, huge pages stay aligned whatever is left out; else they
 * are dealt out in order.
 */
int pagemap_allocate_devmem(struct drm_pagemap_migration *m)
{
	unsigned long npages = m->devmem->size >> PAGE_SHIFT, i, slot = 0;
	bool whole = npages >= m->mv.npages;
	struct devmem_pfns pfns = {};
	unsigned int order;
	int err;

	/* The addresses aren't known yet, so there is room for page numbers. */
	err = pagemap_devmem_list_pfns(m->devmem, (unsigned long *)m->addr, &pfns);
	if (err)
		return err;

	pagemap_zdd_start(m->devmem);
	for (i = 0; i < m->mv.npages; i += 1UL << order) {
		order = entry_order(m->mv.src[i]);
		m->pages[i] = NULL;
		if (whole)
			slot = i;
		if (entry_wanted(m->mv.src[i])) {
			devmem_assign(m, &pfns, slot, i, order);
			slot += 1UL << order;
		} else if (whole) {
			devmem_leave(m, &pfns, slot, slot + (1UL << order));
		}
	}
	devmem_leave(m, &pfns, whole ? i : slot, npages);
	pagemap_zdd_get_many(&m->devmem->zdd, pfns.folios);
	m->ready = true;

	return 0;
}

/* ------------------------------------------------------------------------
 * Allocate: RAM
 */

/* A small page must be had for the page that the CPU waits for. */
#define RAM_GFP_NEEDED	GFP_HIGHUSER_MOVABLE
/* What comes along with it is not worth killing anyone. */
#define RAM_GFP_WINDOW	(GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)
/* For an eviction the device's owner waits, not the memory's. */
#define RAM_GFP_EVICT	(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
/* There is a fallback for huge pages: don't compact for long. */
#define RAM_GFP_HUGE	(GFP_TRANSHUGE | __GFP_NORETRY | __GFP_NOWARN)

/**
 * struct ram_stock - Small pages that were allocated in one go
 *
 * @pages: The pages
 * @count: How many there are
 * @used: How many of them have been used
 */
struct ram_stock {
	struct page **pages;
	unsigned long count, used;
};

static gfp_t ram_gfp(struct drm_pagemap_migration *m, unsigned int order,
		     bool needed)
{
	if (order)
		return RAM_GFP_HUGE;
	/* Rather have somebody killed than lose what is there. */
	if (m->abandon)
		return RAM_GFP_NEEDED;
	if (!m->mv.vma)
		return RAM_GFP_EVICT;

	return needed ? RAM_GFP_NEEDED : RAM_GFP_WINDOW;
}

/*
 * Where memory without a policy goes: to the node of the CPU that wants it, or of
 * the device whose eviction asks nobody.
 */
static int ram_node(struct drm_pagemap_migration *m)
{
	int nid = m->mv.vma ? NUMA_NO_NODE : dev_to_node(m->devmem->dev);

	return nid == NUMA_NO_NODE ? numa_mem_id() : nid;
}

/*
 * A page for the address of entry @i, by the policy of its VMA. An eviction knows
 * of no VMA.
 */
static struct folio *ram_folio_alloc(struct drm_pagemap_migration *m,
				     unsigned long i, unsigned int order, bool needed)
{
	unsigned long addr = m->mv.start + (i << PAGE_SHIFT);
	gfp_t gfp = ram_gfp(m, order, needed);

	if (m->mv.vma)
		return vma_alloc_folio(gfp, order, m->mv.vma, addr);

	return __folio_alloc(gfp, order, ram_node(m), NULL);
}

/* Small pages come from the stock as long as there are any. */
static bool ram_folio(struct drm_pagemap_migration *m, struct ram_stock *stock,
		      unsigned long i, unsigned int order, bool needed)
{
	struct folio *folio;

	if (!order && stock->used < stock->count)
		folio = page_folio(stock->pages[stock->used++]);
	else
		folio = ram_folio_alloc(m, i, order, needed);
	if (!folio)
		return false;

	/* Nobody else knows the folio, so there is nobody to wait for. */
	__folio_set_locked(folio);
	m->mv.dst[i] = migrate_pfn(folio_pfn(folio)) |
		       (order ? MIGRATE_PFN_COMPOUND : 0);

	return true;
}

void pagemap_put_dst(unsigned long *dst)
{
	struct folio *folio = page_folio(migrate_pfn_to_page(*dst));

	folio_unlock(folio);
	folio_put(folio);
	*dst = 0;
}

/*
 * A huge folio for which there is no huge page is left: the core MM would split it,
 * but neither without a VMA nor with a CPU fault's reference on it. Whoever wants it
 * in small pages splits it and begins anew.
 */
static bool ram_assign(struct drm_pagemap_migration *m, struct ram_stock *stock,
		       unsigned long i, unsigned int order, bool needed)
{
	if (ram_folio(m, stock, i, order, needed)) {
		m->pages[i] = migrate_pfn_to_page(m->mv.src[i]);
		return true;
	}

	if (order)
		m->unsplit = true;
	else
		m->starved = true;

	return false;
}

/* Whether the CPU waits for the page of this entry. */
static bool entry_needed(struct drm_pagemap_migration *m, unsigned long mpfn)
{
	return m->mv.fault_page && page_folio(migrate_pfn_to_page(mpfn)) ==
				   page_folio(m->mv.fault_page);
}

/* Whether someone has a say in where the memory goes. */
static bool ram_has_policy(struct drm_pagemap_migration *m)
{
#ifdef CONFIG_NUMA
	return m->mv.vma && (vma_policy(m->mv.vma) || current->mempolicy);
#else
	return false;
#endif
}

/*
 * What is wanted is mostly small pages. The page allocator gives away many of them
 * at once for much less than one by one, but knows no policy then.
 */
static void ram_stock_up(struct drm_pagemap_migration *m, struct ram_stock *stock)
{
	if (m->wanted < 2 || m->huge || ram_has_policy(m))
		return;

	/* The addresses aren't known yet, so there is room for pages. */
	stock->pages = (struct page **)m->addr;
	memset_p((void **)stock->pages, NULL, m->wanted);
	stock->count = __alloc_pages_bulk(ram_gfp(m, 0, false), ram_node(m), NULL,
					  m->wanted, stock->pages);
}

static void ram_stock_put(struct ram_stock *stock)
{
	while (stock->used < stock->count)
		put_page(stock->pages[stock->used++]);
}

/* Entries for which there is no memory stay, but not the one of the fault. */
int pagemap_allocate_ram(struct drm_pagemap_migration *m)
{
	struct ram_stock stock = {};
	unsigned long *src = m->mv.src, i;
	unsigned int order;
	int err = 0;

	ram_stock_up(m, &stock);
	for (i = 0; i < m->mv.npages && !err; i += 1UL << order) {
		order = entry_order(src[i]);
		m->pages[i] = NULL;
		if (entry_wanted(src[i])) {
			bool needed = entry_needed(m, src[i]);

			if (ram_assign(m, &stock, i, order, needed))
				m->ready = true;
			else if (needed && !order)
				err = -ENOMEM;
		}
	}
	ram_stock_put(&stock);

	return err;
}
