// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/huge_mm.h>
#include <linux/llist.h>
#include <linux/mempolicy.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>
#include <drm/drm_print.h>

#define CREATE_TRACE_POINTS
#include <trace/events/drm_pagemap.h>

/**
 * DOC: Overview
 *
 * A &struct drm_pagemap is a region of device memory that a process can use
 * without knowing: device private pages stand for it in the CPU's page tables,
 * and a CPU that touches one gets its contents back in RAM. This file moves the
 * contents of pages between RAM and device memory, and between devices. It
 * knows nothing of GPU page tables, and nothing of &struct drm_gpusvm: whoever
 * has mapped a page learns from its MMU notifier that the page moves.
 *
 * A driver that provides memory
 *
 * - registers it with memremap_pages() as MEMORY_DEVICE_PRIVATE, with the
 *   operations that drm_pagemap_pagemap_ops_get() returns,
 *
 * - embeds a &struct drm_pagemap for the region,
 *
 * - embeds a &struct drm_pagemap_devmem in its allocation object, and implements
 *   &struct drm_pagemap_devmem_ops: list the pages, copy in and out, release,
 *
 * - implements &drm_pagemap_ops.devmem_alloc. That is all it takes for
 *   drm_pagemap_populate_mm() to work.
 *
 * .. code-block:: c
 *
 *	static struct drm_pagemap_devmem *
 *	driver_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
 *			    size_t size, bool may_wait)
 *	{
 *		struct driver_chunk *chunk;
 *
 *		chunk = driver_chunk_alloc(to_driver(dpagemap), size);
 *		while (IS_ERR(chunk) && may_wait && driver_evict_oldest(dpagemap))
 *			chunk = driver_chunk_alloc(to_driver(dpagemap), size);
 *		if (IS_ERR(chunk))
 *			return may_wait ? ERR_PTR(-ENOSPC) : ERR_PTR(-EBUSY);
 *
 *		drm_pagemap_devmem_init(&chunk->devmem, dpagemap->drm->dev, mm,
 *					&driver_devmem_ops, dpagemap, size, NULL);
 *		return &chunk->devmem;
 *	}
 */

/**
 * DOC: Migration
 *
 * All migrations go through the same steps, whether they go to device memory,
 * come back because a CPU touched them, or because the device needs the room:
 *
 * collect
 *	The core MM locks the pages and replaces them in all page tables by
 *	migration entries. From here on nobody can get at them.
 * select
 *	Of what was collected, what is to move?
 * allocate
 *	Where to? Device pages of an allocation, or RAM.
 * copy
 *	Map the other side for the device that copies and start the copy. Pages
 *	that come from a peer are pushed by the peer's engine, everything else
 *	is done by the engine of the device memory in question.
 * commit
 *	Wait for the copies, make the new pages the process's pages, and release
 *	the old ones. If anything went wrong, the old pages stay.
 *
 * A migration is best effort, and by page: a page that can't move, because it is
 * pinned, busy or someone else's, keeps no other page back. Addresses of an
 * anonymous VMA that have no page get a zeroed page of device memory without a
 * page of RAM ever being allocated. Huge pages move whole where both sides have
 * room for that, and page by page otherwise.
 *
 * drm_pagemap_populate_range() works chunk by chunk and keeps two chunks in
 * flight: while the device copies one, the CPU collects and maps the next one.
 * Device memory is asked for when it is known how much of it a chunk needs. Only
 * what can be had at once is taken then; where something has to be evicted first,
 * the migration lets go of its pages and of the mmap lock before it waits.
 *
 * A CPU fault brings back a window around the address, not the allocation: see
 * &drm_pagemap_devmem.fault_window. The window grows while a process reads on.
 * Until the timeslice of an allocation has expired, a CPU fault of the process that
 * it was made for sleeps.
 *
 * Eviction starts from the physical pages of an allocation. It needs neither the
 * mm nor a VMA, so it works after the process has gone or forked.
 */

/**
 * DOC: Locking and lifetime
 *
 * There is no lock in this file. What serializes migrations is the folio lock,
 * which the collect step only ever tries to take: of two that want the same page
 * one leaves it alone. That goes for the core MM as well, which collects on our
 * behalf: migrate_vma_split_folio() would otherwise wait for a huge folio that is
 * mapped by small entries, with all locked that was collected before. Two populates
 * that each have one chunk in flight, and whose next chunk has a part of what the
 * other one has in flight as a whole, as parent and child of a fork can, would wait
 * for each other for ever. An eviction waits for a folio lock, but with none held.
 *
 * Between collect and commit a migration may allocate RAM,
 * call the provider's ops and wait for its fences. So the order is mmap lock,
 * folio lock, provider's locks; and a provider must not, with a lock held that
 * its ops take, touch memory of a process or migrate.
 *
 * Each folio holds a reference on its allocation's &struct drm_pagemap_zdd. When
 * the last one is freed, the allocation is released to the driver and the
 * reference on the pagemap dropped. A pagemap holds references on its device and
 * on the module of its driver; they are put from a work item, since the last page
 * of an allocation may be freed anywhere.
 *
 * A device that is unplugged gets no new pages (-ENODEV). Its driver then evicts
 * what there is, with drm_pagemap_evict_many(), and all references are gone. If its
 * copies keep failing, drm_pagemap_abandon_many() gives up what can't be had.
 */

/* ------------------------------------------------------------------------
 * Zone device data
 */

static struct drm_pagemap_devmem *zdd_to_devmem(struct drm_pagemap_zdd *zdd)
{
	return container_of(zdd, struct drm_pagemap_devmem, zdd);
}

static struct drm_pagemap_devmem *page_to_devmem(struct page *page)
{
	return zdd_to_devmem(drm_pagemap_page_zone_device_data(page));
}

/* The allocation is about to be populated: its pages keep the pagemap alive. */
static void zdd_start(struct drm_pagemap_devmem *devmem)
{
	if (!devmem->zdd.dpagemap)
		devmem->zdd.dpagemap = drm_pagemap_get(devmem->dpagemap);
}

/* One for each folio; they are all locked still, and can't be freed before. */
static void zdd_get_many(struct drm_pagemap_zdd *zdd, unsigned int folios)
{
	refcount_add(folios, &zdd->refcount.refcount);
}

static void zdd_release(struct kref *ref)
{
	struct drm_pagemap_zdd *zdd =
		container_of(ref, struct drm_pagemap_zdd, refcount);
	struct drm_pagemap_devmem *devmem = zdd_to_devmem(zdd);
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;
	struct drm_pagemap *dpagemap = zdd->dpagemap;

	/* Without an op to wait for, whoever waits for this frees it now. */
	complete_all(&devmem->detached);
	if (ops->devmem_release)
		ops->devmem_release(devmem);
	drm_pagemap_put(dpagemap);
}

static void zdd_put(struct drm_pagemap_zdd *zdd)
{
	kref_put(&zdd->refcount, zdd_release);
}

static bool folio_is_retired(struct folio *folio)
{
	return (unsigned long)folio_zone_device_data(folio) &
	       DRM_PAGEMAP_ZDD_FLAG_MIGRATED;
}

/*
 * The contents have moved on. Someone may still hold a reference on the folio,
 * so an eviction may still come across it.
 */
static void folio_retire(struct folio *folio)
{
	unsigned long data = (unsigned long)folio_zone_device_data(folio);

	data |= DRM_PAGEMAP_ZDD_FLAG_MIGRATED;
	folio_set_zone_device_data(folio, (void *)data);
}

static void stat_add(struct drm_pagemap *dpagemap, enum drm_pagemap_stat stat,
		     unsigned long count)
{
	if (count)
		atomic64_add(count, &dpagemap->stats[stat]);
}

/* ------------------------------------------------------------------------
 * A migration
 */

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

/* The arrays of a migration, in one buffer; none of it needs clearing. */
static int migration_alloc(struct drm_pagemap_migration *m, unsigned long npages)
{
	void *buf = kvmalloc_array(npages, sizeof(*m->addr) + sizeof(*m->pages) +
				   sizeof(*m->mv.src) + sizeof(*m->mv.dst),
				   GFP_KERNEL);

	if (!buf)
		return -ENOMEM;

	m->addr = buf;
	m->pages = (void *)(m->addr + npages);
	m->mv.src = (void *)(m->pages + npages);
	m->mv.dst = m->mv.src + npages;

	return 0;
}

static void migration_free(struct drm_pagemap_migration *m)
{
	kvfree(m->addr);
}

/* Make a migration ready for the next chunk; its buffer stays. */
static void migration_reset(struct drm_pagemap_migration *m)
{
	m->devmem = NULL;
	m->wanted = 0;
	m->huge = false;
	m->from_device = false;
	m->mixed = false;
	m->ready = false;
	m->moved = 0;
	m->moved_huge = 0;
	m->zeroed = 0;
	m->resident = 0;
	m->unsplit = false;
	m->starved = false;
	m->leave_huge = false;
	m->abandon = false;
	m->ncopies = 0;
}

/* Whether an entry of the source array is one that is to move. */
static bool entry_wanted(unsigned long mpfn)
{
	return mpfn & MIGRATE_PFN_MIGRATE;
}

/*
 * How many pages an entry stands for. A huge hole has no page to ask; a huge page
 * that couldn't be locked has left its flag, but no page and nothing that is wanted.
 */
static noinline unsigned int entry_compound_order(unsigned long mpfn)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	if (page)
		return folio_order(page_folio(page));

	return entry_wanted(mpfn) ? PMD_ORDER : 0;
}

/* Asked several times for each page: small pages must cost next to nothing. */
static __always_inline unsigned int entry_order(unsigned long mpfn)
{
	return likely(!(mpfn & MIGRATE_PFN_COMPOUND)) ? 0 : entry_compound_order(mpfn);
}

/* The allocation that an entry's page belongs to, if it is device memory. */
static __always_inline struct drm_pagemap_zdd *entry_zdd(unsigned long mpfn)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	return page && is_device_private_page(page) ?
	       drm_pagemap_page_zone_device_data(page) : NULL;
}

/* ------------------------------------------------------------------------
 * Collect
 */

static int collect_vma(struct drm_pagemap_migration *m, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end)
{
	int err;

	m->mv.vma = vma;
	m->mv.start = start;
	m->mv.end = end;

	err = migrate_vma_setup(&m->mv);
	trace_drm_pagemap_collect(m->dpagemap, start, (end - start) >> PAGE_SHIFT,
				  err ? 0 : m->mv.cpages, err);

	return err;
}

/* Without a VMA: @npages device pages from @first on, or those listed as source. */
static int collect_pfns(struct drm_pagemap_migration *m, unsigned long first,
			unsigned long npages)
{
	m->mv.vma = NULL;
	m->mv.npages = npages;
	memset_l(m->mv.dst, 0, npages);

	return first ? migrate_device_range(m->mv.src, first, npages) :
		       migrate_device_pfns(m->mv.src, npages);
}

/* ------------------------------------------------------------------------
 * Select
 */

/* CPU faults that sleep out a timeslice; all of them, since they are few. */
static DECLARE_WAIT_QUEUE_HEAD(timeslice_wq);

static bool in_timeslice(struct drm_pagemap_devmem *devmem)
{
	return time_before64(get_jiffies_64(),
			     READ_ONCE(devmem->timeslice_expiration));
}

/*
 * Whether the memory stays where it is for a while. Other processes may have some of it
 * since a fork, which they neither asked to be moved nor have to wait for.
 */
static bool keeps_timeslice(struct drm_pagemap_devmem *devmem, struct mm_struct *mm)
{
	return devmem->mm == mm && in_timeslice(devmem);
}

static void start_timeslice(struct drm_pagemap_devmem *devmem,
			    unsigned long timeslice_ms)
{
	u64 expires = get_jiffies_64() + msecs_to_jiffies(timeslice_ms);

	if (time_after64(expires, READ_ONCE(devmem->timeslice_expiration)))
		WRITE_ONCE(devmem->timeslice_expiration, expires);
}

/* The device needs the room more than the time. */
static void end_timeslice(struct drm_pagemap_devmem *devmem)
{
	if (!in_timeslice(devmem))
		return;

	WRITE_ONCE(devmem->timeslice_expiration, 0);
	wake_up_all(&timeslice_wq);
}

/* To device memory goes all that isn't there already. */
static bool select_to_devmem(struct drm_pagemap_migration *m, unsigned long mpfn,
			     unsigned int order, struct drm_pagemap_zdd *zdd)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	if (!zdd || page_pgmap(page) != m->dpagemap->pagemap ||
	    m->details->can_migrate_same_pagemap)
		return true;

	m->resident += 1UL << order;
	if (m->details->timeslice_ms && zdd_to_devmem(zdd)->mm == m->mv.vma->vm_mm)
		start_timeslice(zdd_to_devmem(zdd), m->details->timeslice_ms);

	return false;
}

/*
 * An eviction finds pages by their numbers, and the last of them may have left
 * meanwhile. Then they are another allocation's, or about to become that: the core
 * MM gives a page its reference before it is locked and knows of its allocation,
 * and the one that it knows of may not exist any more.
 */
static bool select_to_evict(struct drm_pagemap_migration *m, unsigned long mpfn,
			    unsigned int order, struct drm_pagemap_zdd *zdd)
{
	return zdd == &m->devmem->zdd && !(order && m->leave_huge) &&
	       !folio_is_retired(page_folio(migrate_pfn_to_page(mpfn)));
}

/*
 * To RAM goes what has contents. A CPU fault takes along what lies around it, but
 * not from other devices, and not from allocations whose time hasn't come.
 */
static bool select_to_ram(struct drm_pagemap_migration *m, unsigned long mpfn,
			  struct drm_pagemap_zdd *zdd)
{
	struct page *page = migrate_pfn_to_page(mpfn), *fault_page = m->mv.fault_page;

	if (!zdd || folio_is_retired(page_folio(page)))
		return false;
	if (!fault_page || page_folio(page) == page_folio(fault_page))
		return true;

	return zdd->dpagemap == m->dpagemap &&
	       !keeps_timeslice(zdd_to_devmem(zdd), m->mv.vma->vm_mm);
}

/* Whether an entry of the source array is to move. */
static bool select_wants(struct drm_pagemap_migration *m, unsigned long mpfn,
			 unsigned int order, struct drm_pagemap_zdd *zdd)
{
	if (m->details)
		return select_to_devmem(m, mpfn, order, zdd);

	return m->mv.vma ? select_to_ram(m, mpfn, zdd) :
			   select_to_evict(m, mpfn, order, zdd);
}

/* Add an entry to what is wanted, and note what later steps can rely on. */
static void select_entry(struct drm_pagemap_migration *m, unsigned long i,
			 unsigned int order, struct drm_pagemap_zdd *zdd)
{
	if (!m->wanted) {
		m->first = i;
		m->zdd = zdd;
	}
	m->wanted += 1UL << order;
	m->end = i + (1UL << order);
	m->huge |= order;
	m->from_device |= !!zdd;
	m->mixed |= zdd != m->zdd;
}

static void migration_select(struct drm_pagemap_migration *m)
{
	unsigned long *src = m->mv.src, i;
	struct drm_pagemap_zdd *zdd;
	unsigned int order;

	for (i = 0; i < m->mv.npages; i += 1UL << order) {
		order = entry_order(src[i]);
		if (!entry_wanted(src[i]))
			continue;
		zdd = entry_zdd(src[i]);
		if (select_wants(m, src[i], order, zdd))
			select_entry(m, i, order, zdd);
		else
			src[i] &= ~MIGRATE_PFN_MIGRATE;
	}
}

/* ------------------------------------------------------------------------
 * Allocate: device pages
 */

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

static unsigned long devmem_pfn(const struct devmem_pfns *pfns, unsigned long slot)
{
	return pfns->list ? pfns->list[slot] : pfns->first + slot;
}

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
	zdd_get_many(&m->devmem->zdd, 1);
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
static int devmem_list_pfns(struct drm_pagemap_devmem *devmem, unsigned long *room,
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
static bool devmem_takes_huge(struct drm_pagemap_migration *m,
			      struct drm_pagemap_devmem *devmem)
{
	bool whole = devmem->size >> PAGE_SHIFT >= m->mv.npages;
	unsigned long *src = m->mv.src, i, slot = 0;
	struct devmem_pfns pfns = {};
	unsigned int order;

	if (!m->huge)
		return true;
	if (devmem_list_pfns(devmem, (unsigned long *)m->addr, &pfns))
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
static int allocate_devmem(struct drm_pagemap_migration *m)
{
	unsigned long npages = m->devmem->size >> PAGE_SHIFT, i, slot = 0;
	bool whole = npages >= m->mv.npages;
	struct devmem_pfns pfns = {};
	unsigned int order;
	int err;

	/* The addresses aren't known yet, so there is room for page numbers. */
	err = devmem_list_pfns(m->devmem, (unsigned long *)m->addr, &pfns);
	if (err)
		return err;

	zdd_start(m->devmem);
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
	zdd_get_many(&m->devmem->zdd, pfns.folios);
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

static void put_dst(unsigned long *dst)
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
static int allocate_ram(struct drm_pagemap_migration *m)
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

/* ------------------------------------------------------------------------
 * Copy
 */

static enum dma_data_direction copy_dir(struct drm_pagemap_copy *copy)
{
	return copy->push ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
}

static int map_ram(struct drm_pagemap_copy *copy, struct page *page,
		   unsigned int order, struct drm_pagemap_addr *addr)
{
	enum dma_data_direction dir = copy_dir(copy);
	phys_addr_t phys = page_to_phys(page);
	size_t size = PAGE_SIZE << order;
	dma_addr_t dma;
	int err;

	if (dma_use_iova(&copy->iova)) {
		err = dma_iova_link(copy->dev, &copy->iova, phys, copy->iova_used,
				    size, dir, 0);
		if (err)
			return err;
		dma = copy->iova.addr + copy->iova_used;
		copy->iova_used += size;
	} else {
		dma = dma_map_phys(copy->dev, phys, size, dir, 0);
		if (dma_mapping_error(copy->dev, dma))
			return -ENOMEM;
	}

	*addr = drm_pagemap_addr_encode(dma, DRM_INTERCONNECT_SYSTEM, order, dir);

	return 0;
}

static int map_peer(struct drm_pagemap_copy *copy, struct page *page,
		    unsigned int order, struct drm_pagemap_addr *addr)
{
	struct drm_pagemap *dpagemap = drm_pagemap_page_to_dpagemap(page);

	*addr = dpagemap->ops->device_map(dpagemap, copy->dev, page, order,
					  DMA_FROM_DEVICE);

	return dma_mapping_error(copy->dev, addr->addr) ? -EFAULT : 0;
}

/* An entry without a source: the device page is to read as zeroes. */
static void map_nothing(struct drm_pagemap_addr *addr, unsigned int order)
{
	*addr = (struct drm_pagemap_addr) {
		.hole = 1,
		.order = order,
		.dir = DMA_TO_DEVICE,
	};
}

/*
 * Map the side of an entry that isn't the engine's own memory. @src is the source
 * page, or NULL.
 */
static int map_entry(struct drm_pagemap_migration *m, struct drm_pagemap_copy *copy,
		     unsigned long i, unsigned int order, struct page *src)
{
	struct page *other = copy->push ? migrate_pfn_to_page(m->mv.dst[i]) : src;

	if (!other) {
		map_nothing(&m->addr[i], order);
		return 0;
	}

	return copy->peer ? map_peer(copy, other, order, &m->addr[i]) :
			    map_ram(copy, other, order, &m->addr[i]);
}

/*
 * What stays has neither a page nor an address, and what lies behind the first page
 * of a segment hasn't either: a provider may step through the pages one by one, and
 * goes by either array. Both have been used for other things.
 */
static void clear_entries(struct drm_pagemap_migration *m, unsigned long i,
			  unsigned long nr)
{
	memset_l((unsigned long *)&m->addr[i], 0,
		 nr * sizeof(*m->addr) / sizeof(long));
	memset_p((void **)&m->pages[i], NULL, nr);
}

/* Map all of a run; it ends before what can't be mapped. */
static int copy_map(struct drm_pagemap_migration *m, struct drm_pagemap_copy *copy)
{
	struct page *src = NULL;
	unsigned int order;
	unsigned long i;
	int err;

	/* One space saves IOVAs and flushes, unless there is but one mapping. */
	if (!copy->peer && copy->end - copy->first > 1 &&
	    !(m->mv.dst[copy->first] & MIGRATE_PFN_COMPOUND))
		dma_iova_try_alloc(copy->dev, &copy->iova, 0,
				   (copy->end - copy->first) << PAGE_SHIFT);

	for (i = copy->first; i < copy->end; i += 1UL << order) {
		/* Behind a huge hole there are no entries for its small pages. */
		if (m->mv.src[i])
			src = migrate_pfn_to_page(m->mv.src[i]);
		order = entry_order(m->mv.dst[i]);
		if (!m->mv.dst[i]) {
			clear_entries(m, i, 1);
			continue;
		}
		if (order)
			clear_entries(m, i + 1, (1UL << order) - 1);
		err = map_entry(m, copy, i, order, src);
		if (err) {
			copy->end = i;
			return err;
		}
	}

	return dma_use_iova(&copy->iova) && copy->iova_used ?
	       dma_iova_sync(copy->dev, &copy->iova, 0, copy->iova_used) : 0;
}

static void unmap_entry(struct drm_pagemap_copy *copy, unsigned long dst,
			const struct drm_pagemap_addr *addr)
{
	struct drm_pagemap *dpagemap;

	if (copy->peer) {
		dpagemap = drm_pagemap_page_to_dpagemap(migrate_pfn_to_page(dst));
		dpagemap->ops->device_unmap(dpagemap, copy->dev, addr);
	} else {
		dma_unmap_phys(copy->dev, addr->addr, PAGE_SIZE << addr->order,
			       addr->dir, 0);
	}
}

static void copy_unmap(struct drm_pagemap_migration *m,
		       struct drm_pagemap_copy *copy)
{
	unsigned long i;

	if (dma_use_iova(&copy->iova)) {
		dma_iova_destroy(copy->dev, &copy->iova, copy->iova_used,
				 copy_dir(copy), 0);
		return;
	}
	if (!copy->peer && !dma_need_unmap(copy->dev))
		return;

	for (i = copy->first; i < copy->end; i += 1UL << entry_order(m->mv.dst[i]))
		if (m->mv.dst[i] && !m->addr[i].hole)
			unmap_entry(copy, m->mv.dst[i], &m->addr[i]);
}

/* Hand a run to the engine. A waiting op is done when it returns. */
static int copy_submit(struct drm_pagemap_migration *m, struct drm_pagemap_copy *copy)
{
	struct dma_fence *before = m->details ? m->devmem->pre_migrate_fence : NULL;
	unsigned long nr = copy->end - copy->first;
	struct page **pages = m->pages + copy->first;
	struct drm_pagemap_addr *addr = m->addr + copy->first;
	const struct drm_pagemap_devmem_ops *ops = copy->ops;
	struct dma_fence *fence;

	if (copy->push && !ops->submit_to_ram)
		return ops->copy_to_ram(pages, addr, nr, before);
	if (!copy->push && !ops->submit_to_devmem)
		return ops->copy_to_devmem(pages, addr, nr, before);

	fence = copy->push ? ops->submit_to_ram(pages, addr, nr, before) :
			     ops->submit_to_devmem(pages, addr, nr, before);
	if (IS_ERR(fence))
		return PTR_ERR(fence);
	copy->fence = fence;

	return 0;
}

static int copy_finish(struct drm_pagemap_migration *m, struct drm_pagemap_copy *copy)
{
	int err = 0;

	if (copy->fence) {
		dma_fence_wait(copy->fence, false);
		err = min(dma_fence_get_status(copy->fence), 0);
		dma_fence_put(copy->fence);
	}
	copy_unmap(m, copy);

	return err;
}

static int copies_wait(struct drm_pagemap_migration *m)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < m->ncopies; i++)
		err = copy_finish(m, &m->copies[i]) ?: err;
	m->ncopies = 0;

	return err;
}

/* Start the copy of the run [first, end), whose pages all belong to @zdd. */
static int copy_start(struct drm_pagemap_migration *m, unsigned long first,
		      unsigned long end, struct drm_pagemap_zdd *zdd)
{
	struct drm_pagemap_devmem *devmem = zdd ? zdd_to_devmem(zdd) : m->devmem;
	struct drm_pagemap_copy *copy;
	int err;

	if (m->ncopies == MAX_COPIES) {
		err = copies_wait(m);
		if (err)
			return err;
	}

	copy = &m->copies[m->ncopies++];
	*copy = (struct drm_pagemap_copy) {
		.first = first,
		.end = end,
		.ops = devmem->ops,
		.dpagemap = devmem->dpagemap,
		.dev = devmem->dev,
		.push = zdd,
		.peer = zdd && m->details,
	};

	err = copy_map(m, copy);
	if (!err)
		err = copy_submit(m, copy);
	trace_drm_pagemap_copy(m->dpagemap, copy->dpagemap, copy->push, end - first, err);

	return err;
}

/* Whether the engine that copies for @a copies for @b, too. */
static bool same_engine(struct drm_pagemap_zdd *a, struct drm_pagemap_zdd *b)
{
	if (a == b)
		return true;

	return a && b && a->dpagemap == b->dpagemap &&
	       zdd_to_devmem(a)->ops == zdd_to_devmem(b)->ops &&
	       zdd_to_devmem(a)->dev == zdd_to_devmem(b)->dev;
}

/* Copy everything that has a destination, in runs of one engine each. */
static int migration_copy_mixed(struct drm_pagemap_migration *m)
{
	struct drm_pagemap_zdd *zdd = NULL, *run_zdd = NULL;
	unsigned long i, first = 0, end = 0;
	int err;

	for (i = 0; i < m->mv.npages; i += 1UL << entry_order(m->mv.dst[i])) {
		if (!m->mv.dst[i])
			continue;
		/* The pages behind a huge hole go the way of the first one. */
		if (m->mv.src[i])
			zdd = entry_zdd(m->mv.src[i]);
		if (end && !same_engine(zdd, run_zdd)) {
			err = copy_start(m, first, end, run_zdd);
			if (err)
				return err;
			end = 0;
		}
		if (!end) {
			first = i;
			run_zdd = zdd;
		}
		end = i + (1UL << entry_order(m->mv.dst[i]));
	}

	return end ? copy_start(m, first, end, run_zdd) : 0;
}

static int migration_copy(struct drm_pagemap_migration *m)
{
	if (!m->ready)
		return 0;

	return m->mixed ? migration_copy_mixed(m) :
			  copy_start(m, m->first, m->end, m->zdd);
}

/* ------------------------------------------------------------------------
 * Commit
 */

static void put_all_dst(struct drm_pagemap_migration *m)
{
	unsigned int order;
	unsigned long i;

	for (i = 0; i < m->mv.npages; i += 1UL << order) {
		order = entry_order(m->mv.dst[i]);
		if (m->mv.dst[i])
			put_dst(&m->mv.dst[i]);
	}
}

/*
 * Nobody notices what a device writes to its memory. So it is dirty, and memory that a
 * process doesn't need any more (MADV_FREE), which is dropped unless it was written
 * since, stays. Droppable memory goes whatever was written, and never to swap.
 */
static void commit_keep_contents(struct drm_pagemap_migration *m, unsigned long dst)
{
	struct folio *folio = page_folio(migrate_pfn_to_page(dst));

	folio_set_dirty(folio);
	if (!(m->mv.vma->vm_flags & VM_DROPPABLE))
		folio_set_swapbacked(folio);
}

/* Count what has moved, and mark the device pages that it has left. */
static void commit_account(struct drm_pagemap_migration *m)
{
	unsigned long i, nr, src, dst;

	for (i = 0; i < m->mv.npages; i += nr) {
		src = m->mv.src[i];
		dst = m->mv.dst[i];
		nr = 1UL << entry_order(dst);
		if (!dst || !entry_wanted(src))
			continue;

		m->moved += nr;
		if (nr > 1)
			m->moved_huge += nr;
		if (m->details)
			commit_keep_contents(m, dst);
		if (!(src & MIGRATE_PFN_VALID))
			m->zeroed += nr;
		else if (m->from_device && (!m->mixed || entry_zdd(src)))
			folio_retire(page_folio(migrate_pfn_to_page(src)));
	}
}

/* Only pages that are still locked keep the pagemap that an eviction is about. */
static bool commit_may_count(struct drm_pagemap_migration *m)
{
	return m->mv.vma || m->wanted;
}

static void commit_stats(struct drm_pagemap_migration *m, int err)
{
	struct drm_pagemap_migrate_stats *stats = m->details ? m->details->stats : NULL;
	struct drm_pagemap *dpagemap = m->dpagemap;
	unsigned long left = m->wanted - m->moved;

	if (m->details) {
		left = m->mv.npages - m->moved - m->resident;
		stat_add(dpagemap, DRM_PAGEMAP_STAT_TO_DEVMEM, m->moved);
		stat_add(dpagemap, DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE, m->moved_huge);
		stat_add(dpagemap, DRM_PAGEMAP_STAT_ZEROED, m->zeroed);
		stat_add(dpagemap, DRM_PAGEMAP_STAT_LEFT, left);
	} else {
		stat_add(dpagemap, m->mv.vma ? DRM_PAGEMAP_STAT_TO_RAM :
					       DRM_PAGEMAP_STAT_EVICTED, m->moved);
	}
	stat_add(dpagemap, DRM_PAGEMAP_STAT_FAILED, !!err);

	if (stats) {
		stats->moved += m->moved;
		stats->resident += m->resident;
		stats->left += left;
	}
	trace_drm_pagemap_commit(dpagemap, m->mv.vma ? m->mv.vma->vm_mm : NULL,
				 !!m->details, m->mv.start, m->moved,
				 m->moved_huge, m->resident, left, err);
}

/* The new pages take the place of the old ones, but for the page tables. */
static void commit_pages(struct drm_pagemap_migration *m)
{
	if (m->mv.vma)
		migrate_vma_pages(&m->mv);
	else
		migrate_device_pages(m->mv.src, m->mv.dst, m->mv.npages);
}

/* The page tables follow, and all pages are unlocked. */
static void commit_finalize(struct drm_pagemap_migration *m)
{
	if (m->mv.vma)
		migrate_vma_finalize(&m->mv);
	else
		migrate_device_finalize(m->mv.src, m->mv.dst, m->mv.npages);
}

/*
 * Device memory may be used once its fence has signaled, and if that went well: it
 * may stand for the clearing of what belonged to another process. Where nothing had
 * to be copied, nobody has waited for it yet.
 */
static int wait_until_usable(struct drm_pagemap_migration *m)
{
	struct dma_fence *fence = m->details && m->ready ?
				  m->devmem->pre_migrate_fence : NULL;

	if (!fence)
		return 0;

	dma_fence_wait(fence, false);

	return min(dma_fence_get_status(fence), 0);
}

/*
 * The device goes and the contents can't be had: processes get SIGBUS where they look
 * for them. Whoever else has a reference on the pages must not find any contents.
 */
static void commit_abandon(struct drm_pagemap_migration *m)
{
	unsigned long i, lost = 0;

	for (i = 0; i < m->mv.npages; i++) {
		if (!entry_wanted(m->mv.src[i]))
			continue;
		folio_retire(page_folio(migrate_pfn_to_page(m->mv.src[i])));
		lost++;
	}
	migrate_device_poison(m->mv.src, m->mv.npages);
	stat_add(m->dpagemap, DRM_PAGEMAP_STAT_LOST, lost);
}

/*
 * The end of every migration that has collected: wait for the copies and let the
 * core MM have the pages, the new ones or, after an error, the old ones.
 */
static int migration_finish(struct drm_pagemap_migration *m, int err)
{
	int wait_err = copies_wait(m);

	err = err ?: wait_err ?: wait_until_usable(m);
	if (err)
		put_all_dst(m);
	else if (m->details && m->wanted)
		start_timeslice(m->devmem, m->details->timeslice_ms);
	if (m->abandon && (err || m->starved))
		commit_abandon(m);

	commit_pages(m);
	commit_account(m);
	if (commit_may_count(m))
		commit_stats(m, err);
	commit_finalize(m);

	return err;
}

/* Nothing has been allocated yet, and nothing was tried that would count. */
static void migration_abort(struct drm_pagemap_migration *m)
{
	commit_pages(m);
	commit_finalize(m);
}

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

static bool devmem_ops_complete(const struct drm_pagemap_devmem *devmem)
{
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;

	return (devmem->first_pfn || ops->populate_devmem_pfn) &&
	       (ops->copy_to_devmem || ops->submit_to_devmem) &&
	       (ops->copy_to_ram || ops->submit_to_ram);
}

/* Allocate and copy into @m->devmem what was selected. */
static int migration_fill_devmem(struct drm_pagemap_migration *m)
{
	int err = allocate_devmem(m);

	return err ?: migration_copy(m);
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
	int err = collect_vma(m, vma, start, end);

	if (err)
		return err;

	migration_select(m);
	if (devmem_takes_huge(m, devmem))
		return 0;

	migration_abort(m);
	migration_reset(m);
	m->mv.flags &= ~MIGRATE_VMA_SELECT_COMPOUND;
	err = collect_vma(m, vma, start, end);
	if (!err)
		migration_select(m);

	return err;
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
	if (m->wanted)
		err = migration_fill_devmem(m);
	err = migration_finish(m, err);
	if (!err && m->wanted)
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
 * Context: Process context, the mmap lock held at least for reading.
 *
 * Return: 0 if all pages are in the pagemap of @devmem_allocation now; -EBUSY if
 * some had to be left, while others have moved; -ENOENT or -EINVAL if the interval
 * isn't in one VMA, or is larger than the allocation; -EOPNOTSUPP if an op is
 * missing; -ENOMEM; or an error of the copy. After an error other than -EBUSY
 * nothing has moved.
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
	err = devmem_ops_complete(devmem_allocation) ?
	      vma_check(vma, start, end) : -EOPNOTSUPP;
	if (!err && end - start > devmem_allocation->size)
		err = -EINVAL;
	if (!err)
		err = migration_alloc(&m, devmem_allocation->size >> PAGE_SHIFT);
	if (!err) {
		err = migrate_vma_to_devmem(&m, devmem_allocation, vma, start, end);
		migration_free(&m);
	}
	zdd_put(&devmem_allocation->zdd);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_migrate_to_devmem);

/* ------------------------------------------------------------------------
 * Populate: a pipeline of chunks
 */

/* Chunks are as large as the largest folio that the core MM migrates. */
#define CHUNK_SIZE	PMD_SIZE

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
	err = migration_finish(m, 0);
	if (!err)
		devmem_put_fence(m->devmem);
	zdd_put(&m->devmem->zdd);

	return err;
}

static struct drm_pagemap_devmem *
populate_devmem_alloc(struct drm_pagemap_populate *p, size_t size, bool may_wait)
{
	struct drm_pagemap *dpagemap = p->dpagemap;
	struct drm_pagemap_devmem *devmem;

	devmem = dpagemap->ops->devmem_alloc(dpagemap, p->mm, size, may_wait);
	trace_drm_pagemap_alloc(dpagemap, size, may_wait,
				PTR_ERR_OR_ZERO(devmem));
	if (!IS_ERR(devmem) && !devmem_ops_complete(devmem)) {
		zdd_put(&devmem->zdd);
		return ERR_PTR(-EOPNOTSUPP);
	}

	return devmem;
}

static void populate_drop_spare(struct drm_pagemap_populate *p)
{
	if (p->spare)
		zdd_put(&p->spare->zdd);
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

	/* Nobody may touch it: it would take memory that the process does not use. */
	if (!vma_is_accessible(vma))
		return 0;

	/* Memory of a kind that doesn't migrate is all that can't be collected. */
	migration_reset(m);
	m->mv.flags = flags;
	if (!vma_can_move(vma) || collect_vma(m, vma, start, end)) {
		populate_leave(p, start, end);
		return 0;
	}

	migration_select(m);
	if (!m->wanted)
		return migration_finish(m, 0);

	devmem = populate_take_devmem(p, m);
	if (IS_ERR(devmem)) {
		migration_abort(m);
		return PTR_ERR(devmem);
	}
	if (!devmem_takes_huge(m, devmem)) {
		migration_abort(m);
		p->spare = devmem;
		return populate_chunk(p, vma, start, end,
				      flags & ~MIGRATE_VMA_SELECT_COMPOUND);
	}

	m->devmem = devmem;
	err = migration_fill_devmem(m);
	if (err) {
		migration_finish(m, err);
		zdd_put(&devmem->zdd);
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

/* Populate the first chunk of [@start, @end) and say where it begins and ends. */
static int populate_step(struct drm_pagemap_populate *p, unsigned long *start,
			 unsigned long end, unsigned long *next)
{
	struct vm_area_struct *vma = find_vma_intersection(p->mm, *start, end);

	if (!vma) {
		*next = end;
		return 0;
	}

	*start = max(*start, vma->vm_start);
	*next = chunk_end(vma, *start, end);

	return populate_chunk(p, vma, *start, *next, TO_DEVMEM_FLAGS);
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
		if (migration_alloc(&p->chunks[i], npages))
			goto err_free;
	}

	return p;

err_free:
	while (i--)
		migration_free(&p->chunks[i]);
	kfree(p);

	return NULL;
}

static void populate_destroy(struct drm_pagemap_populate *p)
{
	int i;

	populate_drop_spare(p);
	for (i = 0; i < ARRAY_SIZE(p->chunks); i++)
		migration_free(&p->chunks[i]);
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
 * the caller was killed; -EOPNOTSUPP if the provider lacks an op; -ENOMEM; or an
 * error of a copy.
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

/* Split a folio that is locked and referenced; both are the page's afterwards. */
static int split_page_folio(struct drm_pagemap *dpagemap, struct page *page)
{
	int err = migrate_device_split_page(page);

	if (!err)
		stat_add(dpagemap, DRM_PAGEMAP_STAT_SPLIT, 1);

	return err;
}

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
	migration_reset(m);
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

	err = split_page_folio(devmem->dpagemap, folio_page(folio, 0));

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

	end_timeslice(devmem);
	migration_evict(m, devmem);
	err = devmem_list_pfns(devmem, m->mv.src, &pfns);
	if (err)
		return err;

	m->leave_huge = !evict_split(devmem, &pfns, small);
	err = collect_pfns(m, pfns.first, devmem->size >> PAGE_SHIFT);
	if (err)
		return err;

	migration_select(m);
	err = allocate_ram(m);
	if (!err)
		err = migration_copy(m);
	if (err)
		migration_finish(m, err);

	return err;
}

/* A folio of the allocation that somebody has locked, with a reference, or NULL. */
static struct folio *evict_locked_folio(struct drm_pagemap_migration *m,
					struct drm_pagemap_devmem *devmem)
{
	unsigned long npages = devmem->size >> PAGE_SHIFT, i;
	struct devmem_pfns pfns = {};
	struct folio *folio;

	if (devmem_list_pfns(devmem, m->mv.src, &pfns))
		return NULL;

	for (i = 0; i < npages; i++) {
		folio = evict_folio(&pfns, i);
		if (folio && folio_test_locked(folio))
			return folio;
		if (folio)
			folio_put(folio);
	}

	return NULL;
}

/*
 * Wait until it is worth trying again. Who has locked a folio is about to move it:
 * wait for that. Others have but a reference, and nobody tells when they drop it.
 */
static int evict_wait(struct drm_pagemap_migration *m, struct drm_pagemap_devmem *devmem,
		      bool late)
{
	struct folio *folio = evict_locked_folio(m, devmem);
	int err;

	if (folio) {
		err = folio_wait_locked_killable(folio);
		folio_put(folio);
		return err ? -EINTR : 0;
	}
	if (late)
		return -EBUSY;

	return wait_for_completion_killable_timeout(&devmem->detached,
						    EVICT_PATIENCE / EVICT_ROUNDS + 1) < 0 ?
	       -EINTR : 0;
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

		err = evict_start(m, devmem, small);
		if (!err)
			err = migration_finish(m, 0);
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

/* Two migrations that any of the allocations fits in, or NULL. */
static struct drm_pagemap_migration *evict_alloc(struct drm_pagemap_devmem **devmem,
						 unsigned int count)
{
	unsigned long npages = evict_max_pages(devmem, count);
	struct drm_pagemap_migration *m = kcalloc(2, sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	if (migration_alloc(&m[0], npages))
		goto err_free;
	if (migration_alloc(&m[1], npages))
		goto err_free_first;

	return m;

err_free_first:
	migration_free(&m[0]);
err_free:
	kfree(m);

	return NULL;
}

static void evict_free(struct drm_pagemap_migration *m)
{
	migration_free(&m[0]);
	migration_free(&m[1]);
	kfree(m);
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
			migration_finish(busy, 0);
		busy = err ? NULL : next;
		next = &m[next == m];
	}
	if (busy)
		migration_finish(busy, 0);
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
	struct drm_pagemap_migration *m;
	int err, ret = 0;
	unsigned int i;

	m = evict_alloc(devmem, count);
	if (!m)
		return -ENOMEM;

	evict_pipeline(m, devmem, count);
	for (i = 0; i < count; i++) {
		err = evict_rest(&m[0], devmem[i], deadline);
		trace_drm_pagemap_evict(devmem[i], err);
		ret = ret ?: err;
	}
	evict_free(m);

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
		collect_pfns(m, 0, 1);
		migration_select(m);
		err = allocate_ram(m);
		if (!err)
			err = migration_copy(m);
		err = migration_finish(m, err);
	} while (tries && (err || m->starved));
}

/* Page by page, so that one that fails takes no other along. */
static int abandon(struct drm_pagemap_migration m[2], struct drm_pagemap_devmem *devmem)
{
	unsigned long npages = devmem->size >> PAGE_SHIFT, i;
	struct devmem_pfns pfns = {};
	int err;

	end_timeslice(devmem);
	/* The list has to stay while the other migration is used for each page. */
	err = devmem_list_pfns(devmem, m[1].mv.src, &pfns);
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
	struct drm_pagemap_migration *m = evict_alloc(devmem, count);
	int err, ret = 0;
	unsigned int i;

	if (!m)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		err = abandon(m, devmem[i]);
		trace_drm_pagemap_evict(devmem[i], err);
		ret = ret ?: err;
	}
	evict_free(m);

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

/* ------------------------------------------------------------------------
 * To RAM: CPU faults
 */

/* Sleep until the timeslice is over or a signal wants to be handled. */
static void timeslice_sleep(struct vm_fault *vmf, struct drm_pagemap_devmem *devmem)
{
	bool user = (vmf->flags & (FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE)) ==
		    (FAULT_FLAG_USER | FAULT_FLAG_INTERRUPTIBLE);
	s64 left = READ_ONCE(devmem->timeslice_expiration) - get_jiffies_64();

	if (left <= 0)
		return;
	if (user)
		wait_event_interruptible_timeout(timeslice_wq,
						 !in_timeslice(devmem), left);
	else
		wait_event_killable_timeout(timeslice_wq,
					    !in_timeslice(devmem), left);
}

/*
 * The device has asked for the memory for a while. Let the CPU sleep, without the
 * page's lock, and if possible without the mmap lock. The caller's reference keeps
 * the allocation in existence, but also the page in its place: an eviction ends the
 * timeslice. The caller unlocks the page, so it has to be locked again.
 */
static vm_fault_t timeslice_wait(struct vm_fault *vmf,
				 struct drm_pagemap_devmem *devmem)
{
	struct folio *folio = page_folio(vmf->page);
	bool retry = vmf->flags & FAULT_FLAG_ALLOW_RETRY;

	stat_add(devmem->dpagemap, DRM_PAGEMAP_STAT_TIMESLICE_WAITS, 1);
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	folio_unlock(folio);
	if (retry)
		release_fault_lock(vmf);
	timeslice_sleep(vmf, devmem);
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

	err = migration_alloc(&m, (end - start) >> PAGE_SHIFT);
	if (err)
		return err;

	err = collect_vma(&m, vmf->vma, start, end);
	if (!err) {
		migration_select(&m);
		err = allocate_ram(&m);
		if (!err)
			err = migration_copy(&m);
		err = migration_finish(&m, err);
	}
	migration_free(&m);

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

	err = split_page_folio(dpagemap, vmf->page);
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
	vm_fault_t ret;
	int err;

	stat_add(dpagemap, DRM_PAGEMAP_STAT_CPU_FAULTS, 1);
	if (keeps_timeslice(devmem, vmf->vma->vm_mm)) {
		ret = timeslice_wait(vmf, devmem);
		if (ret)
			return ret;
	}

	err = fault_split(vmf, dpagemap);
	if (!err)
		err = fault_fetch(vmf, devmem);
	/* No huge page to be had, or not all of it: the window in small pages. */
	if (err && folio_test_large(page_folio(vmf->page)))
		err = split_page_folio(dpagemap, vmf->page) ? -EBUSY :
							      fault_fetch(vmf, devmem);

	return fault_result(err);
}

static void drm_pagemap_folio_free(struct folio *folio)
{
	zdd_put(drm_pagemap_page_zone_device_data(folio_page(folio, 0)));
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

/* ------------------------------------------------------------------------
 * Allocations and pagemaps
 */

/**
 * drm_pagemap_devmem_init() - Initialise an allocation of device memory
 * @devmem_allocation: the allocation
 * @dev: the device that owns the memory and copies to and from it
 * @mm: the mm that it was allocated for; no reference is taken
 * @ops: its operations
 * @dpagemap: pagemap of the memory; a reference is taken when it is populated
 * @size: bytes, a multiple of PAGE_SIZE
 * @pre_migrate_fence: fence that has to signal before the memory is written, or
 *		       NULL; the reference passes to the allocation
 */
void drm_pagemap_devmem_init(struct drm_pagemap_devmem *devmem_allocation,
			     struct device *dev, struct mm_struct *mm,
			     const struct drm_pagemap_devmem_ops *ops,
			     struct drm_pagemap *dpagemap, size_t size,
			     struct dma_fence *pre_migrate_fence)
{
	init_completion(&devmem_allocation->detached);
	kref_init(&devmem_allocation->zdd.refcount);
	devmem_allocation->zdd.dpagemap = NULL;
	devmem_allocation->dev = dev;
	devmem_allocation->mm = mm;
	devmem_allocation->ops = ops;
	devmem_allocation->dpagemap = dpagemap;
	devmem_allocation->size = size;
	devmem_allocation->first_pfn = 0;
	devmem_allocation->timeslice_expiration = 0;
	devmem_allocation->pre_migrate_fence = pre_migrate_fence;
	devmem_allocation->fault_window = DRM_PAGEMAP_FAULT_WINDOW;
	devmem_allocation->readahead = 0;
	devmem_allocation->next_fault = 0;
}
EXPORT_SYMBOL_GPL(drm_pagemap_devmem_init);

/**
 * drm_pagemap_page_to_dpagemap() - The pagemap that a device page came from
 * @page: a device private page that was populated by a pagemap
 *
 * Context: The caller holds off the release of the page: by a reference, its lock,
 * or a notifier lock under which the page was seen to be mapped.
 *
 * Return: the pagemap.
 */
struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page)
{
	return drm_pagemap_page_zone_device_data(page)->dpagemap;
}
EXPORT_SYMBOL_GPL(drm_pagemap_page_to_dpagemap);

/**
 * struct drm_pagemap_dev_hold - A pagemap's hold on its device
 *
 * The last reference on a pagemap may be put where neither a device nor a module
 * can be let go of. So the two are put from a work item, and since a cached pagemap
 * may be in use again before that runs, each use has a hold of its own.
 *
 * @link: Link in the list of holds to release
 * @drm: The device
 */
struct drm_pagemap_dev_hold {
	struct llist_node link;
	struct drm_device *drm;
};

static LLIST_HEAD(dev_unhold_list);

static void dev_unhold_work_fn(struct work_struct *work)
{
	struct drm_pagemap_dev_hold *hold, *next;

	llist_for_each_entry_safe(hold, next, llist_del_all(&dev_unhold_list), link) {
		struct module *owner = hold->drm->driver->fops->owner;

		drm_dev_put(hold->drm);
		module_put(owner);
		kfree(hold);
	}
}

static DECLARE_WORK(dev_unhold_work, dev_unhold_work_fn);

static int dev_hold(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_dev_hold *hold = kzalloc_obj(*hold);

	if (!hold)
		return -ENOMEM;
	if (!try_module_get(dpagemap->drm->driver->fops->owner)) {
		kfree(hold);
		return -ENODEV;
	}

	hold->drm = dpagemap->drm;
	drm_dev_get(hold->drm);
	dpagemap->dev_hold = hold;

	return 0;
}

static void drm_pagemap_release(struct kref *ref)
{
	struct drm_pagemap *dpagemap = container_of(ref, struct drm_pagemap, ref);
	struct drm_pagemap_dev_hold *hold = dpagemap->dev_hold;

	/* The shrinker may free the pagemap at once, or hand it out again. */
	dpagemap->dev_hold = NULL;
	drm_pagemap_shrinker_add(dpagemap);

	llist_add(&hold->link, &dev_unhold_list);
	schedule_work(&dev_unhold_work);
}

/**
 * drm_pagemap_put() - Drop a reference
 * @dpagemap: the pagemap, or NULL
 *
 * The last one passes it to its cache, or has it destroyed if it has none.
 *
 * Context: Any context.
 */
void drm_pagemap_put(struct drm_pagemap *dpagemap)
{
	if (!dpagemap)
		return;

	drm_pagemap_shrinker_might_lock(dpagemap);
	kref_put(&dpagemap->ref, drm_pagemap_release);
}
EXPORT_SYMBOL(drm_pagemap_put);

/**
 * drm_pagemap_destroy() - Free a pagemap that nobody refers to
 * @dpagemap: the pagemap
 * @is_atomic_or_reclaim: the context may be atomic or reclaim
 */
void drm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	drm_pagemap_cache_leave(dpagemap);
	if (dpagemap->ops->destroy)
		dpagemap->ops->destroy(dpagemap, is_atomic_or_reclaim);
	else
		kfree(dpagemap);
}

/**
 * drm_pagemap_reinit() - Bring a pagemap to life again
 * @dpagemap: a pagemap whose last reference was put, from a cache
 *
 * Return: 0 with one reference held; -ENOMEM; -ENODEV if the driver is going.
 */
int drm_pagemap_reinit(struct drm_pagemap *dpagemap)
{
	int err = dev_hold(dpagemap);

	if (!err)
		kref_init(&dpagemap->ref);

	return err;
}
EXPORT_SYMBOL(drm_pagemap_reinit);

/**
 * drm_pagemap_init() - Initialise a pagemap
 * @dpagemap: the pagemap, in the driver's object
 * @pagemap: the &struct dev_pagemap of the memory
 * @drm: the device that provides the memory
 * @ops: the provider's operations
 *
 * References on @drm and on its driver's module are held until the last reference
 * on the pagemap is put.
 *
 * Return: 0 with one reference held; -ENOMEM; -ENODEV if the driver is going.
 */
int drm_pagemap_init(struct drm_pagemap *dpagemap, struct dev_pagemap *pagemap,
		     struct drm_device *drm, const struct drm_pagemap_ops *ops)
{
	unsigned int i;

	dpagemap->ops = ops;
	dpagemap->pagemap = pagemap;
	dpagemap->drm = drm;
	dpagemap->cache = NULL;
	INIT_LIST_HEAD(&dpagemap->shrink_link);
	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		atomic64_set(&dpagemap->stats[i], 0);

	return drm_pagemap_reinit(dpagemap);
}
EXPORT_SYMBOL(drm_pagemap_init);

/**
 * drm_pagemap_create() - Allocate and initialise a pagemap
 * @drm: the device that provides the memory
 * @pagemap: the &struct dev_pagemap of the memory
 * @ops: the provider's operations
 *
 * Return: the pagemap, with one reference held, or an ERR_PTR().
 */
struct drm_pagemap *drm_pagemap_create(struct drm_device *drm,
				       struct dev_pagemap *pagemap,
				       const struct drm_pagemap_ops *ops)
{
	struct drm_pagemap *dpagemap = kzalloc_obj(*dpagemap);
	int err;

	if (!dpagemap)
		return ERR_PTR(-ENOMEM);

	err = drm_pagemap_init(dpagemap, pagemap, drm, ops);
	if (err) {
		kfree(dpagemap);
		return ERR_PTR(err);
	}

	return dpagemap;
}
EXPORT_SYMBOL(drm_pagemap_create);

/**
 * drm_pagemap_debugfs_info() - Print the counters of a pagemap
 * @dpagemap: the pagemap
 * @p: where to
 */
void drm_pagemap_debugfs_info(struct drm_pagemap *dpagemap, struct drm_printer *p)
{
	static const char * const names[DRM_PAGEMAP_STAT_COUNT] = {
		[DRM_PAGEMAP_STAT_TO_DEVMEM] = "pages to device memory",
		[DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE] = "of them in huge folios",
		[DRM_PAGEMAP_STAT_ZEROED] = "of them zeroed",
		[DRM_PAGEMAP_STAT_LEFT] = "pages left",
		[DRM_PAGEMAP_STAT_TO_RAM] = "pages to RAM by CPU faults",
		[DRM_PAGEMAP_STAT_EVICTED] = "pages to RAM by eviction",
		[DRM_PAGEMAP_STAT_SPLIT] = "huge folios split",
		[DRM_PAGEMAP_STAT_CPU_FAULTS] = "CPU faults",
		[DRM_PAGEMAP_STAT_TIMESLICE_WAITS] = "CPU faults that waited",
		[DRM_PAGEMAP_STAT_FAILED] = "migrations that failed",
		[DRM_PAGEMAP_STAT_LOST] = "pages lost with the device",
	};
	unsigned int i;

	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		drm_printf(p, "%s: %lld\n", names[i],
			   (long long)atomic64_read(&dpagemap->stats[i]));
}
EXPORT_SYMBOL_GPL(drm_pagemap_debugfs_info);

static void __exit drm_pagemap_exit(void)
{
	flush_work(&dev_unhold_work);
	if (WARN_ON(!llist_empty(&dev_unhold_list)))
		disable_work_sync(&dev_unhold_work);
}
module_exit(drm_pagemap_exit);
