// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/mmu_notifier.h>

#include "drm_gpusvm_internal.h"

/*
 * A request to map a piece of an mm for some devices
 */

/* The segment of the page that is wanted, if it is mapped; else NULL. */
const struct drm_pagemap_addr *
gpusvm_request_wanted_locked(const struct drm_gpusvm_request *req,
			     const struct drm_gpusvm_pages *pages)
{
	const struct drm_pagemap_addr *addr;
	unsigned long first;

	if (req->wanted == WALK_WANTS_ALL || !drm_gpusvm_pages_mapped(pages))
		return NULL;

	addr = &pages->dma_addr[gpusvm_pages_seek(pages, req->wanted, &first)];

	return addr_is_mapped(addr) ? addr : NULL;
}

static bool request_serves_locked(const struct drm_gpusvm_request *req)
{
	u16 needed = flags_needed(req->ctx);
	const struct drm_gpusvm_pages *pages;

	lockdep_assert_held(&req->gpusvm->notifier_lock);

	for_each_request_pages(pages, req)
		if (!pages_serve_locked(req, pages, needed))
			return false;

	return true;
}

/* If all pages are wanted, flags tell, and need no lock. */
static bool request_serves(const struct drm_gpusvm_request *req)
{
	u16 needed = flags_needed(req->ctx);
	const struct drm_gpusvm_pages *pages;
	bool serves = true;

	if (req->wanted == WALK_WANTS_ALL) {
		for_each_request_pages(pages, req)
			serves = serves && pages_serve(pages, needed);
		return serves;
	}

	drm_gpusvm_notifier_lock(req->gpusvm);
	serves = request_serves_locked(req);
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return serves;
}

/* Whether the pages still serve after invalidations, which hit others then. */
bool gpusvm_request_refresh(const struct drm_gpusvm_request *req)
{
	struct drm_gpusvm_pages *pages;
	unsigned long seq;
	bool serves;

	if (!request_serves(req))
		return false;

	/* Waits for an invalidation that has not got to the pages yet. */
	seq = mmu_interval_read_begin(req->notifier);

	drm_gpusvm_notifier_lock(req->gpusvm);
	serves = request_serves_locked(req);
	if (serves)
		for_each_request_pages(pages, req)
			pages->notifier_seq = seq;
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return serves;
}

/* Whether what is mapped for reading is in the way of a write. */
static bool pages_refuse_locked(const struct drm_gpusvm_request *req,
				const struct drm_gpusvm_pages *pages)
{
	const struct drm_pagemap_addr *addr;

	if (!drm_gpusvm_pages_mapped(pages) || pages->flags.writable)
		return false;

	if (req->wanted == WALK_WANTS_ALL)
		return !gpusvm_pages_all_writable(pages);

	addr = gpusvm_request_wanted_locked(req, pages);

	return addr && !drm_pagemap_addr_writable(addr);
}

bool gpusvm_request_is_refused(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_pages *pages;
	bool refused = false;

	if (req->ctx->read_only)
		return false;

	drm_gpusvm_notifier_lock(req->gpusvm);
	for_each_request_pages(pages, req)
		refused = refused || pages_refuse_locked(req, pages);
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return refused;
}

static bool pages_in_ram_locked(const struct drm_gpusvm_request *req,
				const struct drm_gpusvm_pages *pages)
{
	const struct drm_pagemap_addr *addr;
	unsigned int i;

	if (!drm_gpusvm_pages_mapped(pages))
		return false;

	if (req->wanted != WALK_WANTS_ALL) {
		addr = gpusvm_request_wanted_locked(req, pages);
		return addr && addr->proto == DRM_INTERCONNECT_SYSTEM;
	}

	for (i = 0; i < pages->nr_addrs; i++)
		if (addr_is_mapped(&pages->dma_addr[i]) &&
		    pages->dma_addr[i].proto == DRM_INTERCONNECT_SYSTEM)
			return true;

	return false;
}

/* Whether what is mapped already is not the device memory that is asked for. */
bool gpusvm_request_is_in_ram(const struct drm_gpusvm_request *req)
{
	const struct drm_gpusvm_pages *pages;
	bool in_ram = false;

	drm_gpusvm_notifier_lock(req->gpusvm);
	for_each_request_pages(pages, req)
		in_ram = in_ram || pages_in_ram_locked(req, pages);
	drm_gpusvm_notifier_unlock(req->gpusvm);

	return in_ram;
}
