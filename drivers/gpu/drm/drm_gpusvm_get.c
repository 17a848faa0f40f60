// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/mm.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/*
 * Getting pages
 */

/* A page alone has no neighbours to do without. */
static unsigned long wanted_page(const struct drm_gpusvm_ctx *ctx, unsigned long start,
				 unsigned long end)
{
	if (!ctx->partial || end - start <= PAGE_SIZE)
		return WALK_WANTS_ALL;

	return (ctx->fault_addr - start) >> PAGE_SHIFT;
}

/* Return: 0, or what has to come first. */
static int request_check_locked(const struct drm_gpusvm_request *req,
				const struct drm_gpusvm_walk *walk)
{
	unsigned int i;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		if (pages->flags.has_gaps && !gpusvm_request_wanted_locked(req, pages))
			return COMMIT_NEEDS_FILLING;
		if (drm_gpusvm_pages_mapped(pages))
			continue;
		if (walk->npages != walk->max_pages)
			return COMMIT_NEEDS_GAPS;
		if (!gpusvm_pages_have_room(pages, walk->nr_segments))
			return COMMIT_NEEDS_ROOM;
	}

	return 0;
}

/* Map all pages that are not, or none. */
static int request_map_locked(const struct drm_gpusvm_request *req,
			      const struct drm_gpusvm_walk *walk)
{
	unsigned int i;
	int err;

	for (i = 0; i < req->count; i++) {
		if (drm_gpusvm_pages_mapped(&req->pages[i]))
			continue;
		err = gpusvm_pages_map_locked(&req->pages[i], walk, req->ctx);
		if (err)
			goto err_unmap;
	}

	return 0;

err_unmap:
	while (i--)
		if (!drm_gpusvm_pages_mapped(&req->pages[i]))
			gpusvm_pages_unmap_addrs(&req->pages[i]);
	return err;
}

static void request_publish_locked(const struct drm_gpusvm_request *req,
				   const struct drm_gpusvm_walk *walk)
{
	const struct drm_gpusvm_pages_flags flags = {
		.has_dma_mapping = true,
		.has_devmem_pages = walk->has_devmem,
		.writable = walk->writable,
	};
	struct drm_gpusvm_stats *stats = &req->gpusvm->stats;
	unsigned int i, n = 0;

	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		pages->notifier_seq = walk->hmm.notifier_seq;
		if (drm_gpusvm_pages_mapped(pages))
			continue;
		pages->npages = walk->npages;
		pages_set_flags(pages, flags);
		n++;
	}

	atomic_long_add(n, &stats->gets);
	atomic_long_add(n * walk->nr_segments, &stats->segments);
	atomic_long_add(n * walk->npages, &stats->pages);
}

/* Return: 0, a negative error, or what has to come first. */
static int request_commit_locked(const struct drm_gpusvm_request *req,
				 struct drm_gpusvm_walk *walk)
{
	int err;

	/* Nobody tells a walk that it is stale once the notifier has been removed. */
	if (gpusvm_request_is_gone_locked(req))
		return request_gone_error(req);

	err = gpusvm_walk_use_locked(walk);
	if (err)
		return err;

	err = request_check_locked(req, walk);
	if (err)
		return err;

	err = request_map_locked(req, walk);
	if (err)
		return err;

	request_publish_locked(req, walk);

	return 0;
}

/* Not all pages can be had: begin with none of them, and fill in what can. */
static int request_begin_gaps(const struct drm_gpusvm_request *req)
{
	unsigned long npages = (req->end - req->start) >> PAGE_SHIFT;
	unsigned int i, n = gap_segments(npages);
	int err;

	err = gpusvm_request_make_room(req, n);
	if (err)
		return err;

	drm_gpusvm_notifier_lock(req->gpusvm);
	for (i = 0; i < req->count; i++) {
		struct drm_gpusvm_pages *pages = &req->pages[i];

		/* What an invalidation has taken meanwhile is left to the next round. */
		if (drm_gpusvm_pages_mapped(pages) || pages_deferred(pages) ||
		    !gpusvm_pages_have_room(pages, n))
			continue;
		gpusvm_pages_become_gap_locked(pages, npages);
		atomic_long_inc(&req->gpusvm->stats.gets);
	}
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return COMMIT_NEEDS_FILLING;
}

/* Memory for addresses is allocated without the lock; then the walk may be stale. */
static int request_commit(const struct drm_gpusvm_request *req,
			  struct drm_gpusvm_walk *walk)
{
	int err;

	for (;;) {
		drm_gpusvm_notifier_lock(req->gpusvm);
		err = request_commit_locked(req, walk);
		drm_gpusvm_notifier_unlock(req->gpusvm);
		if (err == COMMIT_NEEDS_GAPS)
			return request_begin_gaps(req);
		if (err != COMMIT_NEEDS_ROOM)
			return err;

		err = gpusvm_request_make_room(req, walk->nr_segments);
		if (err)
			return err;
	}
}

/* Map all that has no mapping. What has gaps is left alone. */
static int request_walk_and_map(const struct drm_gpusvm_request *req,
				struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_walk walk __uninitialized;
	int err;

	err = gpusvm_request_walk_begin(req, effort, &walk, req->start, req->end);
	if (err)
		return err;

	/* Ends at the latest with the walk's deadline, as -EBUSY. */
	do {
		err = gpusvm_walk_run(&walk, req->mm);
		if (!err)
			err = request_commit(req, &walk);
	} while (err == -EAGAIN);
	gpusvm_request_walk_end(effort, &walk, err);

	return err;
}

/* Fill what has gaps, if there may be any, and map what has no mapping. */
static int request_map(const struct drm_gpusvm_request *req,
		       struct drm_gpusvm_effort *effort, bool fill)
{
	int err;

	effort->deadline = walk_new_deadline();
	do {
		if (effort->rounds++ == EFFORT_MAX_ROUNDS)
			return -EBUSY;
		err = fill ? gpusvm_request_fill(req, effort) : 0;
		if (!err && !(fill && gpusvm_request_serves(req)))
			err = request_walk_and_map(req, effort);
		fill = true;
	} while (err == COMMIT_NEEDS_FILLING);

	return err;
}

static bool request_is_sane(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_ctx *ctx = req->ctx;

	return req->start < req->end && PAGE_ALIGNED(req->start | req->end) &&
	       (req->end - req->start) >> PAGE_SHIFT <= UINT_MAX &&
	       (!ctx->partial || (ctx->fault_addr >= req->start &&
				  ctx->fault_addr < req->end));
}

/* What has to be done if a glance did not tell that all is well. */
static int request_serve(const struct drm_gpusvm_request *req,
			 struct drm_gpusvm_effort *effort)
{
	struct drm_gpusvm_pages_flags any;

	if (!gpusvm_request_look(req, &any) || !request_is_sane(req))
		return -EINVAL;

	if (any.unmapped || gpusvm_range_is_gone(req->range))
		return request_gone_error(req);

	if (any.has_dma_mapping || any.has_gaps) {
		if (gpusvm_request_refresh(req)) {
			atomic_long_inc(&req->gpusvm->stats.gets_valid);
			return 0;
		}
		if (gpusvm_request_is_refused(req))
			return -EROFS;
	}

	return request_map(req, effort, any.has_gaps);
}

static int request_get(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_effort effort = {};
	ktime_t begin;
	int err;

	if (gpusvm_request_is_current(req)) {
		atomic_long_inc(&req->gpusvm->stats.gets_valid);
		return 0;
	}

	begin = trace_drm_gpusvm_get_pages_enabled() ? ktime_get() : 0;
	err = request_serve(req, &effort);
	if (trace_drm_gpusvm_get_pages_enabled())
		trace_drm_gpusvm_get_pages(req->gpusvm,
					   req->count ? req->pages->drm : NULL,
					   req->start, req->end, req->count,
					   effort.segments, req->ctx->read_only,
					   err, elapsed_since(begin));

	return err;
}

/**
 * drm_gpusvm_get_pages() - Find the CPU's pages and map them for one device
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @mm: The mm
 * @notifier: The MMU interval notifier that covers the addresses: that of the
 *	      range's notifier, or the driver's for a userptr
 * @pages_start: First address, page aligned
 * @pages_end: Address behind the last one, page aligned
 * @ctx: How to map: &drm_gpusvm_ctx.read_only, &drm_gpusvm_ctx.may_write,
 *	 &drm_gpusvm_ctx.partial, &drm_gpusvm_ctx.devmem_only,
 *	 &drm_gpusvm_ctx.allow_mixed, &drm_gpusvm_ctx.device_private_page_owner
 *
 * Pages that are mapped already, and for writing if that is asked for, only have
 * their sequence refreshed. Nothing is unmapped: what was got for reading and is
 * asked for writing is for the driver to zap and to unmap first.
 *
 * With &drm_gpusvm_ctx.partial the page at &drm_gpusvm_ctx.fault_addr decides. An
 * error is the error of that page, and the other pages are mapped as far as they can
 * be. drm_gpusvm_pages_mapped_around() tells how far that is.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0; or an error, and what is mapped then may have fewer gaps than before,
 * but nothing is mapped that had no mapping at all: -EINVAL for pages without a
 * device, addresses that are not page aligned or a fault address outside of them,
 * -ENODEV once drm_dev_unplug() was called for one of the devices,
 * -EROFS if it is mapped for reading and asked for writing, -EFAULT if the mm is dying,
 * the memory was unmapped, can't be faulted in or mapped, is that of a device without a
 * drm_pagemap, or is in RAM with devmem_only, -EPERM if the CPU mapping does not allow
 * writing, -EOPNOTSUPP for a mix of memory that is not allowed,
 * -EBUSY if invalidations did not leave enough time, -EINTR on a fatal signal, -ENOMEM.
 * With &drm_gpusvm_ctx.partial, -ENOMEM is also that the device can't map the memory: for
 * lack of tables of an IOMMU, say, so that it is worth another attempt.
 */
int drm_gpusvm_get_pages(struct drm_gpusvm *gpusvm,
			 struct drm_gpusvm_pages *svm_pages,
			 struct mm_struct *mm,
			 struct mmu_interval_notifier *notifier,
			 unsigned long pages_start, unsigned long pages_end,
			 const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_request req = {
		.gpusvm = gpusvm,
		.pages = svm_pages,
		.count = 1,
		.mm = mm,
		.notifier = notifier,
		.start = pages_start,
		.end = pages_end,
		.wanted = wanted_page(ctx, pages_start, pages_end),
		.ctx = ctx,
	};

	return request_get(&req);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_get_pages);

/**
 * drm_gpusvm_range_get_pages() - Map a range for one or more devices
 * @range: The range
 * @pages: Array of pages objects, one for each device
 * @pages_count: Number of @pages
 * @ctx: How to map, as for drm_gpusvm_get_pages()
 *
 * Walks the CPU's page tables once, however many devices there are. Pages of the
 * array that are mapped already are left as they are.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0 with all pages mapped, or with &drm_gpusvm_ctx.partial that of the fault
 * for each device; or an error as drm_gpusvm_get_pages() returns it, but -ESTALE if the
 * memory was unmapped or the range removed.
 */
int drm_gpusvm_range_get_pages(struct drm_gpusvm_range *range,
			       struct drm_gpusvm_pages *pages,
			       unsigned int pages_count,
			       const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_request req = {
		.gpusvm = range->gpusvm,
		.range = range,
		.pages = pages,
		.count = pages_count,
		.mm = range->gpusvm->mm,
		.notifier = &range->notifier->notifier,
		.start = drm_gpusvm_range_start(range),
		.end = drm_gpusvm_range_end(range),
		.wanted = wanted_page(ctx, drm_gpusvm_range_start(range),
				      drm_gpusvm_range_end(range)),
		.ctx = ctx,
	};

	return request_get(&req);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get_pages);
