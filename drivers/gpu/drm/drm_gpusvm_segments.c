// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/backing-dev.h>
#include <linux/log2.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>

#include <xen/xen.h>

#include "drm_gpusvm_internal.h"

/*
 * What a walk has found
 *
 * Each page has what is needed, or the next run of the walk is to bring it. What is good
 * is divided into segments, and marked as dirty where the device may write.
 */

/*
 * The most small pages that become one segment. Within an aligned block of this
 * size memory is of one kind, system or device: it is the granule at which
 * memory is added to the memory map.
 */
#define SEGMENT_MERGE_ORDER	ilog2(SZ_2M >> PAGE_SHIFT)

/* Where HMM says how large the CPU's mapping is; see hmm_pfn_to_map_order(). */
#define PFN_ORDER_MASK		(0x1fUL << HMM_PFN_ORDER_SHIFT)

/* How often invalidations of its neighbours may outrun a page that is wanted. */
#define WALK_MAX_LOSSES		4

/*
 * The order of the naturally aligned block that begins at @index and is part of
 * one CPU mapping, within the bounds of the walk.
 */
unsigned int gpusvm_walk_cpu_order(const struct drm_gpusvm_walk *walk,
				   unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];
	unsigned int order = hmm_pfn_to_map_order(pfn);

	if (!order)
		return 0;

	/* The bit at the order bounds the result and keeps it defined. */
	order = __ffs((pfn & ~HMM_PFN_FLAGS) | BIT(order));

	return min_t(unsigned int, order, ilog2(walk->npages - index));
}

/* Whether the block of the order behind @pfns continues the one at @pfns. */
static bool pfns_continue(const unsigned long *pfns, unsigned int order)
{
	unsigned long i, n = 1UL << order;

	for (i = n; i < 2 * n; i++)
		if (pfns[i] != pfns[0] + i)
			return false;

	return true;
}

/*
 * Grow a block of system pages while its buddy is next to it on both sides. Xen's
 * paravirtual guests have page numbers that say nothing about what is adjacent.
 */
static unsigned int walk_merge_order(const struct drm_gpusvm_walk *walk,
				     unsigned long index, unsigned int order)
{
	const unsigned long *pfns = &walk->hmm.hmm_pfns[index];
	unsigned long where = (*pfns & ~HMM_PFN_FLAGS) |
			      ((walk->hmm.start >> PAGE_SHIFT) + index);

	if (xen_pv_domain())
		return order;

	while (order < SEGMENT_MERGE_ORDER && !(where & BIT(order)) &&
	       (2UL << order) <= walk->npages - index &&
	       pfns_continue(pfns, order))
		order++;

	return order;
}

static void walk_set_order(struct drm_gpusvm_walk *walk, unsigned long index,
			   unsigned int order)
{
	unsigned long *pfn = &walk->hmm.hmm_pfns[index];

	*pfn &= ~PFN_ORDER_MASK;
	*pfn |= (unsigned long)order << HMM_PFN_ORDER_SHIFT;
}

/* Whether the CPU has a page in the way that the walk needs it. */
static bool walk_finds(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	return !(~walk->hmm.hmm_pfns[index] & walk->needed);
}

/*
 * Whether a page is the memory of a device that nobody here knows how to map. It stays
 * so however often it is faulted in, unless a write is still to make a copy of it.
 */
static bool walk_is_foreign(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	struct page *page;

	if (!walk_finds(walk, index))
		return false;
	page = hmm_pfn_to_page(walk->hmm.hmm_pfns[index]);

	return is_zone_device_page(page) && !drm_pagemap_has_page(page);
}

/* Whether a page has what the walk needs. */
static bool walk_has(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	return walk_finds(walk, index) && !walk_is_foreign(walk, index);
}

/*
 * Whether a page is device memory that must be copied before it is written to. HMM
 * reports it as it is even if it is asked for a page that can be written to.
 */
static bool walk_must_bring_home(const struct drm_gpusvm_walk *walk,
				 unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];

	return (pfn & HMM_PFN_VALID) && !(pfn & HMM_PFN_WRITE) &&
	       (walk->needed & HMM_PFN_WRITE) &&
	       is_device_private_page(hmm_pfn_to_page(pfn));
}

static void walk_touch_next(struct drm_gpusvm_walk *walk, unsigned long index,
			    bool bring_home)
{
	walk->mode = WALK_TOUCH;
	walk->missing = index;
	walk->bring_home = bring_home;
}

static bool walk_sees_devmem(const struct drm_gpusvm_walk *walk, unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];

	return (pfn & HMM_PFN_VALID) && is_device_private_page(hmm_pfn_to_page(pfn));
}

/*
 * The pages around one that have no device memory between them. HMM faults all that
 * follow a missing page, and a fault brings device memory to RAM. Only under the notifier
 * lock, with a result that is not stale, are there pages to be looked at.
 */
static void walk_find_system(const struct drm_gpusvm_walk *walk, unsigned long index,
			     unsigned long *start, unsigned long *end)
{
	unsigned long first = index, last = index + 1;

	while (first && !walk_sees_devmem(walk, first - 1))
		first--;
	while (last < walk->npages && !walk_sees_devmem(walk, last))
		last++;
	*start = walk->hmm.start + (first << PAGE_SHIFT);
	*end = walk->hmm.start + (last << PAGE_SHIFT);
}

/* A neighbour of the page that is wanted: bring it if it can be brought easily. */
static void walk_do_without(struct drm_gpusvm_walk *walk, unsigned long index)
{
	if (walk->faulted || walk_must_bring_home(walk, index) ||
	    walk_is_foreign(walk, index)) {
		walk->trim = true;
		walk->mode = WALK_LOOK;
	} else {
		walk->mode = WALK_FAULT;
		walk_find_system(walk, walk->wanted, &walk->system_start,
				 &walk->system_end);
	}
}

/* All that is missing is to come, from @index on, and nothing else is to move. */
static void walk_bring_next(struct drm_gpusvm_walk *walk, unsigned long index)
{
	unsigned long i;

	walk->mode = WALK_BRING;
	walk->missing = index;
	for (i = index; i < walk->npages; i++)
		walk->hmm.hmm_pfns[i] = walk_finds(walk, i) ? 0 : HMM_PFN_REQ_FAULT;
}

/* Whether all of the pages may be faulted in at once, which brings device memory to RAM. */
static bool walk_may_fault_all(const struct drm_gpusvm_walk *walk)
{
	unsigned long start, end;

	if (!walk->allow_mixed)
		return true;

	walk_find_system(walk, walk->missing, &start, &end);

	return walk_is_all(walk, start, end);
}

/* A page that has to be had. Without an owner device memory comes to RAM. */
static void walk_insist(struct drm_gpusvm_walk *walk, unsigned long index, bool wants_one)
{
	if (walk->mode == WALK_FAULT || (wants_one && walk_must_bring_home(walk, index)))
		walk->hmm.dev_private_owner = NULL;

	walk_touch_next(walk, index, false);
	if (wants_one || (!walk->touched && walk->npages > 1))
		return;
	if (walk_may_fault_all(walk))
		walk->mode = WALK_FAULT;
	else
		walk_bring_next(walk, index);
}

/*
 * A page is missing, or can't be written to: fault. A page of device memory that is
 * shared copy-on-write comes to RAM, where the fault makes a copy if it takes one.
 * The others come along if the result can't be mixed.
 */
static int walk_fault_next(struct drm_gpusvm_walk *walk, unsigned long index)
{
	bool wants_one = walk->wanted != WALK_WANTS_ALL;

	/* A long look that nothing has disturbed leaves time for what it has found. */
	if (walk_timed_out(walk))
		gpusvm_walk_renew(walk, 0);
	walk->nr_segments = 0;
	if (wants_one && !walk_has(walk, walk->wanted))
		index = walk->wanted;

	if (wants_one && index != walk->wanted)
		walk_do_without(walk, index);
	else if (walk_is_foreign(walk, index))
		return -EFAULT;
	else if (!walk_must_bring_home(walk, index) || !walk->allow_mixed)
		walk_insist(walk, index, wants_one);
	else if (wants_one)
		walk_touch_next(walk, index, true);
	else
		walk_bring_next(walk, index);

	return -EAGAIN;
}

/* Take what is good around the page that is wanted, and leave the rest. */
static int walk_trim_locked(struct drm_gpusvm_walk *walk)
{
	unsigned long first = walk->wanted, end = first + 1;

	if (!walk_has(walk, first))
		return walk_fault_next(walk, first);

	while (first && walk_has(walk, first - 1))
		first--;
	while (end < walk->npages && walk_has(walk, end))
		end++;
	gpusvm_walk_shrink(walk, first, end - first);

	return 0;
}

/*
 * The result is useless. If that goes on, is it for the sake of the page that is
 * wanted, or of its neighbours? Then do without them.
 */
static int walk_lose(struct drm_gpusvm_walk *walk)
{
	atomic_long_inc(&walk->gpusvm->stats.retries);
	walk->nr_segments = 0;
	if (walk->mode == WALK_FAULT && walk->wanted != WALK_WANTS_ALL)
		walk->mode = WALK_LOOK;
	if (++walk->losses == WALK_MAX_LOSSES && walk->wanted != WALK_WANTS_ALL)
		gpusvm_walk_shrink(walk, walk->wanted, 1);

	return -EAGAIN;
}

/* The order of the segment at @index, put where HMM had that of the mapping. */
static unsigned int walk_segment_order(struct drm_gpusvm_walk *walk,
				       unsigned long index)
{
	unsigned long pfn = walk->hmm.hmm_pfns[index];
	unsigned int order = gpusvm_walk_cpu_order(walk, index);

	if (!is_zone_device_page(hmm_pfn_to_page(pfn)))
		order = walk->by_page ? 0 : walk_merge_order(walk, index, order);
	walk_set_order(walk, index, order);

	return order;
}

/*
 * Dirty memory
 *
 * A page that the CPU may write to need not be dirty: it was only read since it came
 * from a file or from swap, or it was freed with MADV_FREE. What the device writes
 * there leaves no trace in the CPU's page tables. Therefore memory that is mapped for
 * writing is marked as dirty, which see "Dirty memory" in the documentation.
 */

/* Pages of the folio from this one on that the segment has, too. */
static unsigned long folio_pages_left(const struct folio *folio, struct page *page,
				      unsigned long left)
{
	return min(left, folio_nr_pages(folio) - folio_page_idx(folio, page));
}

/*
 * Whether the folio is written back, or its contents kept, anyway. It costs nothing
 * then to have it dirty.
 */
static bool folio_is_kept(const struct folio *folio)
{
	return folio_test_dirty(folio) || folio_test_hugetlb(folio) ||
	       (folio_test_anon(folio) && folio_test_swapbacked(folio) &&
		!folio_test_swapcache(folio));
}

/* Whether the device may as well write to what it asked to read. */
static bool walk_writes_are_free_locked(const struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, n;

	for (i = 0; i < walk->npages; i += n) {
		struct page *page = hmm_pfn_to_page(pfns[i]);
		struct folio *folio = page_folio(page);

		n = folio_pages_left(folio, page, 1UL << hmm_pfn_to_map_order(pfns[i]));
		if (!folio_is_zone_device(folio) && !folio_is_kept(folio))
			return false;
	}

	return true;
}

/*
 * A file that is written back learns of a write before it happens, and has the folio
 * dirty when the CPU may write to it. If the folio is clean, the fault that will mark
 * it is under way. Only that one may, since the file system may have to allocate.
 */
static bool folio_is_late(const struct folio *folio)
{
	return !folio_test_anon(folio) && folio->mapping &&
	       mapping_can_writeback(folio->mapping);
}

static bool folio_make_dirty(struct folio *folio)
{
	if (folio_test_dirty(folio) || folio_is_zone_device(folio))
		return true;
	if (folio_is_late(folio))
		return false;
	folio_mark_dirty(folio);

	return true;
}

/* The folios of a segment, which may be several. */
static bool segment_make_dirty(unsigned long pfn, unsigned long npages)
{
	unsigned long i, n;

	for (i = 0; i < npages; i += n) {
		struct page *page = hmm_pfn_to_page(pfn + i);
		struct folio *folio = page_folio(page);

		n = folio_pages_left(folio, page, npages - i);
		if (!folio_make_dirty(folio))
			return false;
	}

	return true;
}

/*
 * The device may write from now on. The pages can't be truncated, reclaimed or
 * cleaned meanwhile: before that an invalidation has to come.
 *
 * Returns false if the walk has to be run again.
 */
static bool walk_mark_dirty_locked(const struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i;
	unsigned int order;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	for (i = 0; i < walk->npages; i += 1UL << order) {
		order = hmm_pfn_to_map_order(pfns[i]);
		/* Most are, and this is done for each of many small pages. */
		if (!order && folio_test_dirty(page_folio(hmm_pfn_to_page(pfns[i]))))
			continue;
		if (!segment_make_dirty(pfns[i], 1UL << order))
			return false;
	}

	return true;
}

/*
 * Divide the result into segments: runs that are mapped as one. The order of
 * each goes where its first pfn is.
 *
 * Return: 0, -EAGAIN if the walk has to be run again, or -EFAULT if that won't help.
 */
static int walk_find_segments_locked(struct drm_gpusvm_walk *walk)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, npages = walk->npages;
	unsigned long needed = walk->needed;
	unsigned long all = ~0UL;
	unsigned int order, n = 0;
	bool devmem = false;

	for (i = 0; i < npages; i += 1UL << order, n++) {
		unsigned long pfn = pfns[i];

		if (~pfn & needed)
			return walk_fault_next(walk, i);
		all &= pfn;
		if (unlikely(is_zone_device_page(hmm_pfn_to_page(pfn)))) {
			if (walk_is_foreign(walk, i))
				return walk_fault_next(walk, i);
			devmem = true;
		}

		order = 0;
		if ((pfn & PFN_ORDER_MASK) ||
		    (i + 1 < npages && pfns[i + 1] == pfn + 1))
			order = walk_segment_order(walk, i);
	}
	walk->nr_segments = n;
	walk->has_devmem = devmem;
	walk->writable = (needed & HMM_PFN_WRITE) ||
			 (walk->may_write && (all & HMM_PFN_WRITE) &&
			  walk_writes_are_free_locked(walk));

	return 0;
}

/* The result of a walk, if it is good: how many segments it has. */
int gpusvm_walk_use_locked(struct drm_gpusvm_walk *walk)
{
	int err;

	if (gpusvm_walk_stale_locked(walk))
		return walk_lose(walk);

	if (walk->nr_segments)
		return 0;

	if (walk->trim) {
		err = walk_trim_locked(walk);
		if (err)
			return err;
	}

	err = walk_find_segments_locked(walk);
	if (!err && walk->writable && !walk_mark_dirty_locked(walk))
		err = walk_lose(walk);

	return err;
}
