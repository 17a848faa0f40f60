// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>

#include "drm_gpusvm_internal.h"

/*
 * Gaps in a mapping
 *
 * An invalidation that hits a part of the pages takes the segments there. They are
 * marked as taken until the second pass has unmapped them, and as gaps from then
 * on. The other segments stay mapped. The next get fills the gaps, one walk for
 * each, and the pages are valid again. Pages that have no mapping are a gap as a whole, for
 * which there are no segments.
 */

/* The segment of a page, and the index of the segment's first page. */
unsigned int gpusvm_pages_seek(const struct drm_gpusvm_pages *pages,
			       unsigned long page, unsigned long *first_page)
{
	unsigned long next, at = 0;
	unsigned int i = 0;

	if (pages->nr_addrs == pages->npages) {
		*first_page = page;
		return page;
	}

	while ((next = at + (1UL << pages->dma_addr[i].order)) <= page) {
		at = next;
		i++;
	}
	*first_page = at;

	return i;
}

/* Go on with the search for the first gap where the last one has ended. */
static unsigned int pages_seek_gap(struct drm_gpusvm_pages *pages, unsigned long *page)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;

	for (; pages->gap_at < pages->nr_addrs && !addr[pages->gap_at].hole; pages->gap_at++)
		pages->gap_page += 1UL << addr[pages->gap_at].order;
	*page = pages->gap_page;

	return pages->gap_at;
}

/*
 * Find the gap around a page, or the first one of all, and note its segments. Returns
 * whether there is one. What a second pass has to unmap yet may become part of it, so
 * until then there is none.
 *
 * The owner calls it.
 */
bool gpusvm_pages_find_gap_locked(struct drm_gpusvm_pages *pages, unsigned long page,
				  struct drm_gpusvm_gap *gap)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned long at;
	unsigned int i;

	if (drm_gpusvm_pages_deferred(pages) || !pages->flags.has_gaps)
		return false;

	i = page == WALK_WANTS_ALL ? pages_seek_gap(pages, &at) :
				     gpusvm_pages_seek(pages, page, &at);
	if (i == pages->nr_addrs || !addr[i].hole)
		return false;

	while (i && addr[i - 1].hole)
		at -= 1UL << addr[--i].order;
	pages->fill_first = i;
	gap->page = at;
	for (; i < pages->nr_addrs && addr[i].hole; i++)
		at += 1UL << addr[i].order;
	pages->fill_count = i - pages->fill_first;
	gap->npages = at - gap->page;

	return true;
}

/* Note that these segments were taken. */
static void pages_note_taken(struct drm_gpusvm_pages *pages, unsigned int first,
			     unsigned long first_page, unsigned int end)
{
	if (first < pages->gap_at) {
		pages->gap_at = first;
		pages->gap_page = first_page;
	}
	if (pages->taken_end) {
		first = min(first, pages->taken_first);
		end = max(end, pages->taken_end);
	}
	pages->taken_first = first;
	pages->taken_end = end;
}

/*
 * Take the segments of an interval, in pages, and grow the interval to them. Returns
 * the number of pages that were taken; those of gaps are no more to be had.
 */
unsigned long gpusvm_pages_take(struct drm_gpusvm_pages *pages, unsigned long *start,
				unsigned long *end)
{
	unsigned long taken = 0, page, from = 0, to = 0;
	unsigned int i = gpusvm_pages_seek(pages, *start, &page), first = 0, last = 0;

	for (; page < *end; i++) {
		struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		unsigned long next = page + (1UL << addr->order);

		if (addr_is_mapped(addr)) {
			if (!taken) {
				first = i;
				from = page;
			}
			last = i + 1;
			to = next;
			addr->taken = true;
			taken += next - page;
		}
		page = next;
	}
	if (taken) {
		pages_note_taken(pages, first, from, last);
		*start = min(*start, from);
		*end = max(*end, to);
	}

	return taken;
}

/* Whether all of the segments that are mapped let the device write. */
bool gpusvm_pages_all_writable(const struct drm_gpusvm_pages *pages)
{
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++)
		if (!pages->dma_addr[i].hole &&
		    !drm_pagemap_addr_writable(&pages->dma_addr[i]))
			return false;

	return true;
}

/* Have flags tell that a gap is filled with what a walk has found. All pages are @npages. */
void gpusvm_pages_publish_locked(struct drm_gpusvm_pages *pages, unsigned long npages,
				 const struct drm_gpusvm_walk *walk)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(pages);

	if (!drm_gpusvm_pages_mapped(pages)) {
		flags.writable = walk->writable;
		pages->npages = npages;
		pages->nr_missing = npages;
		pages->nr_takes = 0;
		pages->gap_at = 0;
		pages->gap_page = 0;
		pages->taken_first = 0;
		pages->taken_end = 0;
	} else {
		flags.writable = walk->writable &&
				 (flags.writable || gpusvm_pages_all_writable(pages));
	}

	pages->nr_missing -= walk->npages;
	if (!pages->nr_missing) {
		pages->nr_takes = 0;
		pages->gap_at = pages->nr_addrs;
		pages->gap_page = npages;
	}
	flags.has_devmem_pages = !!pages->dpagemap;
	flags.has_gaps = !!pages->nr_missing;
	flags.has_dma_mapping = !pages->nr_missing;
	pages_set_flags(pages, flags);
}

/*
 * What a driver asks
 */

/**
 * drm_gpusvm_pages_valid() - Whether pages can be bound
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 *
 * The last check before a driver commits a binding, under the same hold of the
 * notifier lock. The sequence number would be too coarse for it, since a
 * notifier spans many ranges.
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: true if the pages are mapped.
 */
bool drm_gpusvm_pages_valid(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return svm_pages->flags.has_dma_mapping;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_valid);

/* What a run of segments has in common. */
enum {
	RUN_MAPPED,
	RUN_READ_ONLY,
};

static bool addr_is_of(const struct drm_pagemap_addr *addr, int kind)
{
	return addr_is_mapped(addr) &&
	       (kind == RUN_MAPPED || !drm_pagemap_addr_writable(addr));
}

static bool pages_find_run_locked(const struct drm_gpusvm_pages *pages,
				  unsigned long pages_start, unsigned long addr,
				  int kind, unsigned long *start, unsigned long *end)
{
	unsigned long page = (addr - pages_start) >> PAGE_SHIFT, at;
	unsigned int i;

	if (!drm_gpusvm_pages_mapped(pages) || addr < pages_start ||
	    page >= pages->npages)
		return false;

	i = gpusvm_pages_seek(pages, page, &at);
	if (!addr_is_of(&pages->dma_addr[i], kind))
		return false;

	while (i && addr_is_of(&pages->dma_addr[i - 1], kind))
		at -= 1UL << pages->dma_addr[--i].order;
	*start = pages_start + (at << PAGE_SHIFT);
	for (; i < pages->nr_addrs && addr_is_of(&pages->dma_addr[i], kind); i++)
		at += 1UL << pages->dma_addr[i].order;
	*end = pages_start + (at << PAGE_SHIFT);

	return true;
}

/**
 * drm_gpusvm_pages_mapped_around() - What is mapped around an address
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @addr: The address
 * @start: On success the first address of the largest interval around @addr that has
 *	   no gap
 * @end: The address behind its last one
 *
 * After a get with &drm_gpusvm_ctx.partial this is what the driver may bind, under the
 * same hold of the notifier lock. Whether the device may write there, each segment
 * tells by drm_pagemap_addr_writable().
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: false if @addr itself is not mapped.
 */
bool drm_gpusvm_pages_mapped_around(struct drm_gpusvm *gpusvm,
				    const struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start, unsigned long addr,
				    unsigned long *start, unsigned long *end)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return pages_find_run_locked(svm_pages, pages_start, addr, RUN_MAPPED, start, end);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_mapped_around);

/**
 * drm_gpusvm_pages_read_only_around() - What is mapped for reading around an address
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @addr: The address
 * @start: On success the first address of the largest interval around @addr whose
 *	   segments are all mapped, and for reading only
 * @end: The address behind its last one
 *
 * This is what a driver zaps, flushes and gives to drm_gpusvm_unmap_part() before it
 * gets the pages for a write to @addr.
 *
 * Context: The notifier lock is held, for reading or writing.
 *
 * Return: false if @addr itself is not mapped, or is mapped for writing.
 */
bool drm_gpusvm_pages_read_only_around(struct drm_gpusvm *gpusvm,
				       const struct drm_gpusvm_pages *svm_pages,
				       unsigned long pages_start, unsigned long addr,
				       unsigned long *start, unsigned long *end)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	return pages_find_run_locked(svm_pages, pages_start, addr, RUN_READ_ONLY, start,
				     end);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_pages_read_only_around);
