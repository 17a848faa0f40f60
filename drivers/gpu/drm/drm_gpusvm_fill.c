// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_internal.h"

/*
 * Filling gaps
 *
 * Pages that are not mapped are one gap, and those of which a part was taken, or could
 * not be had, have smaller ones. Whatever a request has to map, it finds a gap that is in
 * its way, walks it, and fills it for all devices that have it. It does so until the
 * access is served.
 */

/* Each is a walk that has filled nothing, since an invalidation has changed the gap. */
#define MAX_LOST_WALKS		64

/*
 * Find a gap that is in the way of the access. Pages that have no mapping at all come
 * last: they get one when nothing else can fail.
 */
static bool request_find_gap(const struct drm_gpusvm_request *req,
			     struct drm_gpusvm_gap *gap)
{
	struct drm_gpusvm_pages *pages;
	bool found;

	for_each_request_pages(pages, req) {
		if (!drm_gpusvm_pages_read_flags(pages).has_gaps)
			continue;
		gpusvm_pages_finish_and_lock(req->gpusvm, pages);
		found = gpusvm_pages_find_gap_locked(pages, req->wanted, gap);
		drm_gpusvm_notifier_unlock(req->gpusvm);
		if (found)
			return true;
	}

	gap->page = 0;
	gap->npages = req->npages;
	for_each_request_pages(pages, req)
		if (!drm_gpusvm_pages_mapped(pages))
			return true;

	return false;
}

/*
 * Pages that have no mapping get one when all others have what the access needs, and all
 * at once: nothing is left to fail then. Invalidations may have come since the walk began.
 */
static bool request_may_map_all_locked(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_pages *pages;

	for_each_request_pages(pages, req)
		if (pages->flags.has_gaps ? !gpusvm_request_wanted_locked(req, pages) :
					    drm_gpusvm_pages_deferred(pages))
			return false;

	return true;
}

/* Whether the pages have the gap, which of their segments it is then, too. */
static bool pages_have_gap_locked(struct drm_gpusvm_pages *pages,
				  const struct drm_gpusvm_gap *gap)
{
	struct drm_gpusvm_gap own;

	return gpusvm_pages_find_gap_locked(pages, gap->page, &own) &&
	       own.page == gap->page && own.npages == gap->npages;
}

/* Same for a gap that is all of the pages. It has no segments. */
static bool pages_are_gap_locked(struct drm_gpusvm_pages *pages)
{
	pages->fill_first = 0;
	pages->fill_count = 0;

	return !drm_gpusvm_pages_mapped(pages);
}

/*
 * Whether there is room for @n entries, and not for many more: what was mapped by small
 * pages, and is now by a huge one, gives its memory back. What is mapped keeps it.
 */
static bool pages_have_room(struct drm_gpusvm_pages *pages, unsigned int n)
{
	if (n == 1 && !pages->max_addrs) {
		pages->dma_addr = &pages->single_addr;
		pages->max_addrs = 1;
	}

	return n <= pages->max_addrs && (pages->nr_addrs || pages->max_addrs / 4 < n);
}

/*
 * Choose the pages that are to have the gap filled. That is done once: a second pass that
 * ends meanwhile leaves pages that look as if they had the gap. Returns whether all that
 * were chosen have room.
 */
static bool request_choose_locked(const struct drm_gpusvm_request *req,
				  const struct drm_gpusvm_gap *gap,
				  const struct drm_gpusvm_walk *walk)
{
	bool is_all = gap->npages == req->npages, have_room = true;
	bool may_fill = !is_all || request_may_map_all_locked(req);
	unsigned int count = gap_count_filled(gap, walk);
	struct drm_gpusvm_pages *pages;

	for_each_request_pages(pages, req) {
		pages->nr_filled = 0;
		if (!may_fill || !(is_all ? pages_are_gap_locked(pages) :
					    pages_have_gap_locked(pages, gap)))
			continue;
		pages->nr_filled = pages->nr_addrs - pages->fill_count + count;
		have_room &= pages_have_room(pages, pages->nr_filled);
	}

	return have_room;
}

/* Make room for @n entries. Those that are in use move. */
static int pages_make_room(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *pages,
			   unsigned int n)
{
	struct drm_pagemap_addr *addrs = &pages->single_addr;

	if (n > 1)
		addrs = kvmalloc_array(n, sizeof(*addrs), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!addrs)
		return -ENOMEM;

	/* A second pass looks at the entries, too. */
	gpusvm_pages_finish_and_lock(gpusvm, pages);
	if (!pages_have_room(pages, n)) {
		memcpy(addrs, pages->dma_addr, pages->nr_addrs * sizeof(*addrs));
		swap(addrs, pages->dma_addr);
		pages->max_addrs = n;
	}
	drm_gpusvm_notifier_unlock(gpusvm);
	if (addrs != &pages->single_addr)
		kvfree(addrs);

	return 0;
}

/* Those that were chosen and have room need none. The choice is made again afterwards. */
static void request_choose_roomless_locked(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_pages *pages;

	for_each_request_pages(pages, req)
		if (pages_have_room(pages, pages->nr_filled))
			pages->nr_filled = 0;
}

static int request_make_room(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_pages *pages;
	int err = 0;

	for_each_request_pages(pages, req)
		if (!err && pages->nr_filled)
			err = pages_make_room(req->gpusvm, pages, pages->nr_filled);

	return err;
}

/* Map for all that were chosen, or for none. */
static int request_map_locked(const struct drm_gpusvm_request *req,
			      const struct drm_gpusvm_gap *gap,
			      const struct drm_gpusvm_walk *walk)
{
	struct drm_gpusvm_pages *pages;
	int err;

	for_each_request_pages(pages, req) {
		if (!pages->nr_filled)
			continue;
		err = gpusvm_pages_fill_locked(pages, gap, walk, req->ctx);
		if (err)
			goto err_undo;
	}

	return 0;

err_undo:
	while (pages-- > req->pages)
		if (pages->nr_filled)
			gpusvm_pages_unfill_locked(pages, gap, walk, walk->nr_segments);
	return err;
}

static void request_publish_locked(const struct drm_gpusvm_request *req,
				   struct drm_gpusvm_progress *progress,
				   const struct drm_gpusvm_gap *gap,
				   const struct drm_gpusvm_walk *walk)
{
	struct drm_gpusvm_stats *stats = &req->gpusvm->stats;
	u16 needed = flags_needed(req->ctx);
	struct drm_gpusvm_pages *pages;
	bool served = true;
	unsigned int n = 0;

	for_each_request_pages(pages, req) {
		if (pages->nr_filled) {
			gpusvm_pages_publish_locked(pages, req->npages, walk);
			n++;
		}
		if (drm_gpusvm_pages_mapped(pages))
			pages->notifier_seq = walk->hmm.notifier_seq;
		served = served && pages_serve_locked(req, pages, needed);
	}
	progress->served = served;
	if (!n) {
		progress->lost_walks++;
		return;
	}

	progress->segments += walk->nr_segments;
	atomic_long_add(n, gap->npages == req->npages ? &stats->gets : &stats->fills);
	atomic_long_add(n * walk->nr_segments, &stats->segments);
	atomic_long_add(n * walk->npages, &stats->pages);
}

/* Whether the CPU has unmapped the memory. */
static bool request_is_gone_locked(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_pages *pages;

	for_each_request_pages(pages, req)
		if (pages->flags.unmapped)
			return true;

	return range_is_gone(req->range);
}

/* Return: 0, a negative error, or that there is no room. */
enum {
	COMMIT_NEEDS_ROOM = 1,
};

/*
 * Whether it may be for the sake of a neighbour that nothing could be mapped. Then go on
 * without any, as the page that is wanted is the one that decides. What is in RAM where
 * only device memory will do is another matter: the driver moves it.
 */
static bool request_map_less(const struct drm_gpusvm_request *req,
			     struct drm_gpusvm_walk *walk, int err)
{
	if (walk->wanted == WALK_WANTS_ALL || walk->npages == 1 || req->ctx->devmem_only ||
	    (err != -EFAULT && err != -ENOMEM))
		return false;

	gpusvm_walk_shrink(walk, walk->wanted, 1);
	walk->nr_segments = 0;

	return true;
}

static int request_commit_locked(const struct drm_gpusvm_request *req,
				 struct drm_gpusvm_progress *progress,
				 const struct drm_gpusvm_gap *gap,
				 struct drm_gpusvm_walk *walk)
{
	int err;

	/* Nobody tells a walk that it is stale once the notifier has been removed. */
	if (request_is_gone_locked(req))
		return request_gone_error(req);

	err = gpusvm_walk_use_locked(walk);
	if (err)
		return err;

	if (!request_choose_locked(req, gap, walk)) {
		request_choose_roomless_locked(req);
		return COMMIT_NEEDS_ROOM;
	}

	err = request_map_locked(req, gap, walk);
	if (err)
		return request_map_less(req, walk, err) ? -EAGAIN : err;

	request_publish_locked(req, progress, gap, walk);

	return 0;
}

/* Memory for addresses is allocated without the lock; then the walk may be stale. */
static int request_commit(const struct drm_gpusvm_request *req,
			  struct drm_gpusvm_progress *progress,
			  const struct drm_gpusvm_gap *gap, struct drm_gpusvm_walk *walk)
{
	int err;

	for (;;) {
		drm_gpusvm_notifier_lock(req->gpusvm);
		err = request_commit_locked(req, progress, gap, walk);
		drm_gpusvm_notifier_unlock(req->gpusvm);
		if (err != COMMIT_NEEDS_ROOM)
			return err;

		err = request_make_room(req);
		if (err)
			return err;
	}
}

/*
 * Whether each page is to have a bounce buffer of its own. There are none for large
 * segments, and of those for several pages the last may be taken long before the others.
 */
static bool pages_bounce_alone(const struct drm_gpusvm_pages *pages)
{
	return pages_may_bounce(pages) && dma_max_mapping_size(pages->drm->dev) < SIZE_MAX;
}

static int request_walk_begin(const struct drm_gpusvm_request *req,
			      const struct drm_gpusvm_progress *progress,
			      const struct drm_gpusvm_gap *gap,
			      struct drm_gpusvm_walk *walk)
{
	unsigned long start = req->start + (gap->page << PAGE_SHIFT);
	unsigned long needed = HMM_PFN_VALID;
	int err;

	if (!req->ctx->read_only)
		needed |= HMM_PFN_WRITE;
	err = gpusvm_walk_begin(walk, req->gpusvm, req->notifier, start,
				start + (gap->npages << PAGE_SHIFT),
				req->ctx->device_private_page_owner, needed);
	walk->deadline = progress->deadline;
	walk->may_write = req->ctx->may_write;
	walk->allow_mixed = req->ctx->allow_mixed;
	walk->trim = progress->trim;
	/* Those of a range, which may be several, are not bounced. */
	walk->by_page = pages_bounce_alone(req->pages);
	if (req->wanted != WALK_WANTS_ALL) {
		walk->wanted = req->wanted - gap->page;
		if (req->ctx->alone)
			gpusvm_walk_shrink(walk, walk->wanted, 1);
	}

	return err;
}

/* Fill a gap, or as much of it as can be had. */
static int request_fill(const struct drm_gpusvm_request *req,
			struct drm_gpusvm_progress *progress,
			const struct drm_gpusvm_gap *gap)
{
	struct drm_gpusvm_walk walk __uninitialized;
	int err;

	err = request_walk_begin(req, progress, gap, &walk);
	if (err)
		return err;

	/* Ends at the latest with the walk's deadline, as -EBUSY. */
	do {
		err = gpusvm_walk_run(&walk, req->mm);
		if (!err)
			err = request_commit(req, progress, gap, &walk);
	} while (err == -EAGAIN);

	/* What a walk has found out is good for the next one. */
	progress->deadline = walk.deadline;
	progress->trim = walk.trim || walk.npages < walk.max_pages;
	gpusvm_walk_end(&walk);

	return err;
}

/* Gaps may come while others are filled: the deadline of the walks is the end. */
int gpusvm_request_map(const struct drm_gpusvm_request *req,
		       struct drm_gpusvm_progress *progress)
{
	struct drm_gpusvm_gap gap;
	int err = 0;

	progress->deadline = walk_new_deadline();
	while (!err && !progress->served && request_find_gap(req, &gap))
		err = progress->lost_walks < MAX_LOST_WALKS ?
		      request_fill(req, progress, &gap) : -EBUSY;

	return err;
}
