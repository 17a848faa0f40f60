// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/slab.h>
#include <linux/string.h>

#include "drm_gpusvm_internal.h"

/*
 * Filling gaps
 */

/**
 * struct drm_gpusvm_filling - A gap on its way to be filled
 *
 * @req: The request
 * @walk: What the CPU has there
 * @gap: Where it is
 * @addrs: Room for the new segments of all pages objects that have the gap
 * @max_addrs: How many that is for
 * @few_addrs: The room that most gaps get by with
 */
struct drm_gpusvm_filling {
	const struct drm_gpusvm_request *req;
	struct drm_gpusvm_walk walk;
	struct drm_gpusvm_gap gap;
	struct drm_pagemap_addr *addrs;
	unsigned int max_addrs;
	struct drm_pagemap_addr few_addrs[4];
};

/* The gap that is to be filled next. */
static bool pages_next_gap_locked(const struct drm_gpusvm_request *req,
				  struct drm_gpusvm_pages *pages,
				  struct drm_gpusvm_gap *gap)
{
	lockdep_assert_held(&req->gpusvm->notifier_lock);

	if (!pages->flags.has_gaps || pages_deferred(pages))
		return false;

	if (req->wanted != WALK_WANTS_ALL)
		return gpusvm_pages_find_gap_at(pages, req->wanted, gap);

	return gpusvm_pages_find_gap(pages, gap);
}

/* Find a gap in any of the pages that an invalidation is done with. */
static bool request_find_gap(const struct drm_gpusvm_request *req,
			     struct drm_gpusvm_gap *gap)
{
	bool found = false;
	unsigned int i;

	for (i = 0; !found && i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		if (!pages_flags(pages).has_gaps)
			continue;
		gpusvm_pages_settle(pages);
		drm_gpusvm_notifier_lock(req->gpusvm);
		found = pages_next_gap_locked(req, pages, gap);
		drm_gpusvm_notifier_unlock(req->gpusvm);
	}

	return found;
}

/* More room for the segments of pages that are mapped. */
static int pages_grow(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *pages,
		      unsigned int n)
{
	struct drm_pagemap_addr *addrs = kvmalloc_array(n, sizeof(*addrs), GFP_KERNEL_ACCOUNT);

	if (!addrs)
		return -ENOMEM;

	gpusvm_pages_settle(pages);
	drm_gpusvm_notifier_lock(gpusvm);
	/* A second pass looks at the segments, too; then the next attempt grows. */
	if (!pages_deferred(pages) && n >= pages->nr_addrs && n > pages->max_addrs) {
		memcpy(addrs, pages->dma_addr, pages->nr_addrs * sizeof(*addrs));
		swap(addrs, pages->dma_addr);
		pages->max_addrs = n;
		if (addrs == &pages->single_addr)
			addrs = NULL;
	}
	drm_gpusvm_notifier_unlock(gpusvm);
	kvfree(addrs);

	return 0;
}

static int filling_make_room(struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	unsigned int i, n = req->count * fill->walk.nr_segments;
	int err = 0;

	if (n > fill->max_addrs) {
		if (fill->addrs != fill->few_addrs)
			kvfree(fill->addrs);
		fill->max_addrs = 0;
		fill->addrs = kvmalloc_array(n, sizeof(*fill->addrs), GFP_KERNEL_ACCOUNT);
		if (!fill->addrs)
			return -ENOMEM;
		fill->max_addrs = n;
	}

	for (i = 0; !err && i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		/* At least one segment goes, and what is left of a gap is a gap. */
		n = pages->nr_addrs + fill->walk.nr_segments - 1 +
		    gap_segments(gap_pages_before(&fill->walk)) +
		    gap_segments(gap_pages_behind(&fill->gap, &fill->walk));
		if (pages_flags(pages).has_gaps && n > pages->max_addrs)
			err = pages_grow(req->gpusvm, pages, n);
	}

	return err;
}

static struct drm_pagemap_addr *filling_addrs(const struct drm_gpusvm_filling *fill,
					      unsigned int i)
{
	return fill->addrs + i * fill->walk.nr_segments;
}

/*
 * Whether pages are to have the gap filled, and @gap then says where it is. It is
 * decided once, by filling_check_locked(): a second pass that ends meanwhile leaves
 * pages that look as if they were part of it.
 */
static bool filling_is_for(const struct drm_gpusvm_filling *fill, unsigned int i,
			   struct drm_gpusvm_gap *gap)
{
	*gap = fill->gap;

	return !filling_addrs(fill, i)->hole &&
	       gpusvm_pages_have_gap_locked(&fill->req->pages[i], gap);
}

static int filling_check_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	unsigned int i;

	if (fill->max_addrs < req->count * fill->walk.nr_segments)
		return COMMIT_NEEDS_ROOM;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];
		struct drm_gpusvm_gap gap = fill->gap;
		bool has_gap = gpusvm_pages_have_gap_locked(pages, &gap);

		if (has_gap && gpusvm_pages_count_filled(pages, &gap, &fill->walk) >
				pages->max_addrs)
			return COMMIT_NEEDS_ROOM;
		*filling_addrs(fill, i) = (struct drm_pagemap_addr) { .hole = !has_gap };
	}

	return 0;
}

/* Map for all pages objects that have the gap, or for none. */
static int filling_map_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	struct drm_gpusvm_gap gap;
	unsigned int i;
	int err;

	for (i = 0; i < req->count; i++) {
		if (!filling_is_for(fill, i, &gap))
			continue;
		err = gpusvm_pages_map_gap_locked(&req->pages[i], &gap, &fill->walk,
						  req->ctx, filling_addrs(fill, i));
		if (err)
			goto err_unmap;
	}

	return 0;

err_unmap:
	while (i--) {
		if (!filling_is_for(fill, i, &gap))
			continue;
		gpusvm_pages_unmap_segments(&req->pages[i], filling_addrs(fill, i),
					    fill->walk.nr_segments);
		gpusvm_pages_check_dpagemap(&req->pages[i]);
	}
	return err;
}

static void pages_publish_filled_locked(struct drm_gpusvm_pages *pages,
					const struct drm_gpusvm_filling *fill)
{
	struct drm_gpusvm_pages_flags flags = pages_flags(pages);

	flags.has_devmem_pages = !!pages->dpagemap;
	flags.writable = fill->walk.writable &&
			 (flags.writable || gpusvm_pages_all_writable(pages));
	flags.has_gaps = !!pages->nr_missing;
	flags.has_dma_mapping = !pages->nr_missing;
	pages->notifier_seq = fill->walk.hmm.notifier_seq;
	pages_set_flags(pages, flags);
}

static void filling_publish_locked(const struct drm_gpusvm_filling *fill)
{
	const struct drm_gpusvm_request *req = fill->req;
	struct drm_gpusvm_stats *stats = &req->gpusvm->stats;
	unsigned int i, n = 0;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_gap gap;

		if (!filling_is_for(fill, i, &gap))
			continue;
		gpusvm_pages_fill_gap_locked(&req->pages[i], &gap, &fill->walk,
					     filling_addrs(fill, i));
		pages_publish_filled_locked(&req->pages[i], fill);
		n++;
	}

	atomic_long_add(n, &stats->fills);
	atomic_long_add(n * fill->walk.nr_segments, &stats->segments);
	atomic_long_add(n * fill->walk.npages, &stats->pages);
}

/* Return: 0, a negative error, or what has to come first. */
static int filling_commit_locked(struct drm_gpusvm_filling *fill)
{
	int err;

	if (gpusvm_request_is_gone_locked(fill->req))
		return request_gone_error(fill->req);

	err = gpusvm_walk_use_locked(&fill->walk);
	if (err)
		return err;

	err = filling_check_locked(fill);
	if (err)
		return err;

	err = filling_map_locked(fill);
	if (err)
		return err;

	filling_publish_locked(fill);

	return 0;
}

static int filling_commit(struct drm_gpusvm_filling *fill)
{
	int err;

	for (;;) {
		drm_gpusvm_notifier_lock(fill->req->gpusvm);
		err = filling_commit_locked(fill);
		drm_gpusvm_notifier_unlock(fill->req->gpusvm);
		if (err != COMMIT_NEEDS_ROOM)
			return err;

		err = filling_make_room(fill);
		if (err)
			return err;
	}
}

static int request_fill_gap(const struct drm_gpusvm_request *req,
			    struct drm_gpusvm_effort *effort,
			    const struct drm_gpusvm_gap *gap)
{
	struct drm_gpusvm_filling fill __uninitialized;
	unsigned long start = req->start + (gap->page << PAGE_SHIFT);
	int err;

	fill.req = req;
	fill.gap = *gap;
	fill.addrs = fill.few_addrs;
	fill.max_addrs = ARRAY_SIZE(fill.few_addrs);
	err = gpusvm_request_walk_begin(req, effort, &fill.walk, start,
					start + (gap->npages << PAGE_SHIFT));
	if (err)
		return err;

	do {
		err = gpusvm_walk_run(&fill.walk, req->mm);
		if (!err)
			err = filling_commit(&fill);
	} while (err == -EAGAIN);

	if (fill.addrs != fill.few_addrs)
		kvfree(fill.addrs);
	gpusvm_request_walk_end(effort, &fill.walk, err);

	return err;
}

/* Gaps may come while others are filled: the deadline of the walks is the end. */
int gpusvm_request_fill(const struct drm_gpusvm_request *req,
			struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_gap gap;
	int err = 0;

	while (!err && request_find_gap(req, &gap))
		err = request_fill_gap(req, effort, &gap);

	return err;
}
