// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

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

int pagemap_copies_wait(struct drm_pagemap_migration *m)
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
		err = pagemap_copies_wait(m);
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

int pagemap_migration_copy(struct drm_pagemap_migration *m)
{
	if (!m->ready)
		return 0;

	return m->mixed ? migration_copy_mixed(m) :
			  copy_start(m, m->first, m->end, m->zdd);
}
