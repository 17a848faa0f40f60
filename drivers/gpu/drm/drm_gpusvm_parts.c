// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/string.h>

#include "drm_gpusvm_internal.h"

/*
 * Gaps in a mapping
 *
 * An invalidation that hits a part of the pages takes the segments there. They are
 * marked as taken until the second pass has unmapped them, and as gaps from then
 * on. The other segments stay mapped. The next get fills the gaps, one walk for
 * each, and the pages are valid again.
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

/*
 * Find the first gap, from where the last one was found. Returns whether there is one.
 *
 * The owner calls it with the notifier lock held for reading.
 */
bool gpusvm_pages_find_gap(struct drm_gpusvm_pages *pages, struct drm_gpusvm_gap *gap)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned int page = pages->gap_page;
	unsigned int i = pages->gap_at;

	for (; i < pages->nr_addrs && !addr[i].hole; i++)
		page += 1UL << addr[i].order;
	pages->gap_at = i;
	pages->gap_page = page;

	gap->first = i;
	gap->page = page;
	for (; i < pages->nr_addrs && addr[i].hole; i++)
		page += 1UL << addr[i].order;
	gap->count = i - gap->first;
	gap->npages = page - gap->page;

	return gap->count;
}

/* Before anything is taken from pages that are mapped as a whole. */
void gpusvm_pages_begin_gaps(struct drm_gpusvm_pages *pages)
{
	pages->nr_takes = 0;
	pages->nr_missing = 0;
	pages->gap_at = pages->nr_addrs;
	pages->gap_page = pages->npages;
	pages->taken_first = 0;
	pages->taken_end = 0;
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

/* The gap around a page. Returns whether there is one. */
bool gpusvm_pages_find_gap_at(const struct drm_gpusvm_pages *pages, unsigned long page,
			      struct drm_gpusvm_gap *gap)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned long at;
	unsigned int i = gpusvm_pages_seek(pages, page, &at);

	if (!addr[i].hole)
		return false;

	while (i && addr[i - 1].hole)
		at -= 1UL << addr[--i].order;
	gap->first = i;
	gap->page = at;
	for (; i < pages->nr_addrs && addr[i].hole; i++)
		at += 1UL << addr[i].order;
	gap->count = i - gap->first;
	gap->npages = at - gap->page;

	return true;
}

/*
 * Whether the pages have a gap where @gap is. Then @gap says which of the segments
 * it is.
 */
bool gpusvm_pages_have_gap_locked(struct drm_gpusvm_pages *pages,
				  struct drm_gpusvm_gap *gap)
{
	struct drm_gpusvm_gap found;

	/* What was taken is not a gap yet, and may become part of this one. */
	if (!pages->flags.has_gaps || pages_deferred(pages) ||
	    !gpusvm_pages_find_gap_at(pages, gap->page, &found) ||
	    found.page != gap->page || found.npages != gap->npages)
		return false;

	*gap = found;

	return true;
}

/* Make a gap. Returns the place behind it. */
static struct drm_pagemap_addr *gap_write(struct drm_pagemap_addr *addr,
					  unsigned long npages)
{
	while (npages) {
		unsigned int order = __fls(npages);

		*addr++ = (struct drm_pagemap_addr) { .hole = true, .order = order };
		npages -= 1UL << order;
	}

	return addr;
}

/* Make pages that have no mapping ones that are a gap; they have room for it. */
void gpusvm_pages_become_gap_locked(struct drm_gpusvm_pages *pages, unsigned long npages)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	pages->npages = npages;
	pages->nr_addrs = gap_write(pages->dma_addr, npages) - pages->dma_addr;
	gpusvm_pages_begin_gaps(pages);
	pages->nr_missing = npages;
	pages->gap_at = 0;
	pages->gap_page = 0;
	flags.has_gaps = true;
	flags.writable = true;	/* of what there is */
	pages_set_flags(pages, flags);
}

/* How many segments there are once what the walk has found is in the place of the gap. */
unsigned int gpusvm_pages_count_filled(const struct drm_gpusvm_pages *pages,
				       const struct drm_gpusvm_gap *gap,
				       const struct drm_gpusvm_walk *walk)
{
	return pages->nr_addrs - gap->count + walk->nr_segments +
	       gap_segments(gap_pages_before(walk)) +
	       gap_segments(gap_pages_behind(gap, walk));
}

/* Put segments in the place of a gap, or of a part of it. */
void gpusvm_pages_fill_gap_locked(struct drm_gpusvm_pages *pages,
				  const struct drm_gpusvm_gap *gap,
				  const struct drm_gpusvm_walk *walk,
				  const struct drm_pagemap_addr *addrs)
{
	unsigned int nr_addrs = gpusvm_pages_count_filled(pages, gap, walk);
	unsigned int behind = pages->nr_addrs - gap->first - gap->count;
	struct drm_pagemap_addr *at = &pages->dma_addr[gap->first];

	memmove(pages->dma_addr + nr_addrs - behind, at + gap->count,
		behind * sizeof(*at));
	at = gap_write(at, gap_pages_before(walk));
	memcpy(at, addrs, walk->nr_segments * sizeof(*at));
	gap_write(at + walk->nr_segments, gap_pages_behind(gap, walk));
	pages->nr_addrs = nr_addrs;
	pages->nr_missing -= walk->npages;
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
