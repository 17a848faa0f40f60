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

static bool request_is_sane(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_ctx *ctx = req->ctx;

	return req->start < req->end && PAGE_ALIGNED(req->start | req->end) &&
	       req->npages <= UINT_MAX &&
	       (!ctx->partial || (ctx->fault_addr >= req->start &&
				  ctx->fault_addr < req->end));
}

/*
 * Look at all pages before anything is done.
 *
 * Return: true if each has a device; @any gets the flags that any of them has.
 */
static bool request_collect_flags(const struct drm_gpusvm_request *req,
				  struct drm_gpusvm_pages_flags *any)
{
	const struct drm_gpusvm_pages *pages;
	u16 flags = 0;

	for_each_request_pages(pages, req) {
		if (!pages->drm)
			return false;
		flags |= drm_gpusvm_pages_read_flags(pages).__flags;
	}
	any->__flags = flags;

	return pages > req->pages;
}

/* What has to be done if a glance did not tell that all is well. */
static int request_serve(const struct drm_gpusvm_request *req,
			 struct drm_gpusvm_progress *progress)
{
	struct drm_gpusvm_pages_flags any;

	if (!request_collect_flags(req, &any) || !request_is_sane(req))
		return -EINVAL;

	if (any.unmapped || range_is_gone(req->range))
		return request_gone_error(req);

	if (any.has_dma_mapping || any.has_gaps) {
		if (req->ctx->devmem_only && gpusvm_request_is_in_ram(req))
			return -EFAULT;
		if (gpusvm_request_refresh(req)) {
			atomic_long_inc(&req->gpusvm->stats.gets_valid);
			return 0;
		}
		if (gpusvm_request_is_refused(req))
			return -EROFS;
	}

	return gpusvm_request_map(req, progress);
}

/*
 * Whether the pages serve the request and no invalidation has come since they
 * were known to. Needs no lock: the answer is as good as one given a moment ago
 * under it, and the driver checks before it commits.
 */
static bool request_is_current(const struct drm_gpusvm_request *req)
{
	unsigned long seq = READ_ONCE(req->notifier->invalidate_seq);
	u16 needed = flags_needed(req->ctx);
	const struct drm_gpusvm_pages *pages;

	/* Flags don't tell where the memory is. */
	if (req->ctx->devmem_only)
		return false;

	for_each_request_pages(pages, req)
		if (!pages_serve(pages, needed) || READ_ONCE(pages->notifier_seq) != seq)
			return false;

	return pages > req->pages;
}

static int request_get(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_progress progress = {};
	ktime_t begin;
	int err;

	if (request_is_current(req)) {
		atomic_long_inc(&req->gpusvm->stats.gets_valid);
		return 0;
	}

	begin = trace_drm_gpusvm_get_pages_enabled() ? ktime_get() : 0;
	err = request_serve(req, &progress);
	if (trace_drm_gpusvm_get_pages_enabled())
		trace_drm_gpusvm_get_pages(req->gpusvm,
					   req->pages < req->pages_end ?
					   req->pages->drm : NULL,
					   req->start, req->end,
					   req->pages_end - req->pages,
					   progress.segments, req->ctx->read_only,
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
 * Knows no range, and does not notice that one was removed. What it maps then is not found
 * by any invalidation. For a range that others may remove meanwhile there is
 * drm_gpusvm_range_get_pages().
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
 * With &drm_gpusvm_ctx.partial, -ENOMEM is also that an IOMMU can't map the memory: for
 * lack of tables, say, so that it is worth another attempt. So is a lack of bounce buffers,
 * in any case. Without both, memory that the device can't reach is -EFAULT.
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
		.pages_end = svm_pages + 1,
		.mm = mm,
		.notifier = notifier,
		.start = pages_start,
		.end = pages_end,
		.npages = (pages_end - pages_start) >> PAGE_SHIFT,
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
 * The others are mapped for all of the devices or for none: what one of them can't reach
 * fails the call, as does one that was unplugged. So @pages are those of devices which have
 * one owner of device private pages, see drm_pagemap_acquire_owner(), and of none that is
 * unplugged. For another owner there is another call.
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
		.pages_end = pages + pages_count,
		.mm = range->gpusvm->mm,
		.notifier = &range->notifier->notifier,
		.start = drm_gpusvm_range_start(range),
		.end = drm_gpusvm_range_end(range),
		.npages = drm_gpusvm_range_size(range) >> PAGE_SHIFT,
		.wanted = wanted_page(ctx, drm_gpusvm_range_start(range),
				      drm_gpusvm_range_end(range)),
		.ctx = ctx,
	};

	return request_get(&req);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get_pages);
