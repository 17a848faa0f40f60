// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-fence.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

/* ------------------------------------------------------------------------
 * A migration
 */

/* The arrays of a migration, in one buffer; none of it needs clearing. */
int pagemap_migration_alloc(struct drm_pagemap_migration *m, unsigned long npages)
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

void pagemap_migration_free(struct drm_pagemap_migration *m)
{
	kvfree(m->addr);
}

/* Make a migration ready for the next chunk; its buffer stays. */
void pagemap_migration_reset(struct drm_pagemap_migration *m)
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

/* ------------------------------------------------------------------------
 * Collect
 */

int pagemap_collect_vma(struct drm_pagemap_migration *m, struct vm_area_struct *vma,
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
int pagemap_collect_pfns(struct drm_pagemap_migration *m, unsigned long first,
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
DECLARE_WAIT_QUEUE_HEAD(pagemap_timeslice_wq);

static void start_timeslice(struct drm_pagemap_devmem *devmem,
			    unsigned long timeslice_ms)
{
	u64 expires = get_jiffies_64() + msecs_to_jiffies(timeslice_ms);

	if (time_after64(expires, READ_ONCE(devmem->timeslice_expiration)))
		WRITE_ONCE(devmem->timeslice_expiration, expires);
}

/* The device needs the room more than the time. */
void pagemap_end_timeslice(struct drm_pagemap_devmem *devmem)
{
	if (!in_timeslice(devmem))
		return;

	WRITE_ONCE(devmem->timeslice_expiration, 0);
	wake_up_all(&pagemap_timeslice_wq);
}

/*
 * To device memory goes all that isn't there already. That stays for longer, unless the
 * caller wants all in one place, and is about to evict it. The holes of a userfaultfd are
 * for its handler to fill.
 */
static bool select_to_devmem(struct drm_pagemap_migration *m, unsigned long mpfn,
			     unsigned int order, struct drm_pagemap_zdd *zdd)
{
	struct page *page = migrate_pfn_to_page(mpfn);

	if (!page && userfaultfd_missing(m->mv.vma))
		return false;

	if (!zdd || page_pgmap(page) != m->dpagemap->pagemap ||
	    m->details->can_migrate_same_pagemap)
		return true;

	m->resident += 1UL << order;
	if (m->details->timeslice_ms && part_will_do(m) &&
	    zdd_to_devmem(zdd)->mm == m->mv.vma->vm_mm)
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
 * not from other devices, and not from allocations whose time hasn't come, or that
 * only move as wholes.
 */
static bool select_to_ram(struct drm_pagemap_migration *m, unsigned long mpfn,
			  struct drm_pagemap_zdd *zdd)
{
	struct page *page = migrate_pfn_to_page(mpfn), *fault_page = m->mv.fault_page;

	if (!zdd || folio_is_retired(page_folio(page)))
		return false;
	if (!fault_page || page_folio(page) == page_folio(fault_page))
		return true;
	if (moves_whole_allocations(m->dpagemap) &&
	    zdd != drm_pagemap_page_zone_device_data(fault_page))
		return false;

	return zdd->dpagemap == m->dpagemap && !in_timeslice(zdd_to_devmem(zdd));
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

void pagemap_migration_select(struct drm_pagemap_migration *m)
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
 * Commit
 */

static void put_all_dst(struct drm_pagemap_migration *m)
{
	unsigned int order;
	unsigned long i;

	for (i = 0; i < m->mv.npages; i += 1UL << order) {
		order = entry_order(m->mv.dst[i]);
		if (m->mv.dst[i])
			pagemap_put_dst(&m->mv.dst[i]);
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
int pagemap_migration_finish(struct drm_pagemap_migration *m, int err)
{
	int wait_err = pagemap_copies_wait(m);

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
void pagemap_migration_abort(struct drm_pagemap_migration *m)
{
	commit_pages(m);
	commit_finalize(m);
}

/* Split a folio that is locked and referenced; both are the page's afterwards. */
int pagemap_split_page_folio(struct drm_pagemap *dpagemap, struct page *page)
{
	int err = migrate_device_split_page(page);

	if (!err)
		stat_add(dpagemap, DRM_PAGEMAP_STAT_SPLIT, 1);

	return err;
}
