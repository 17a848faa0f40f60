// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/bitops.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iommu-dma.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "drm_gpusvm_internal.h"

/*
 * The mapping of a pages object
 */

/*
 * SVM has CPU and device at the same memory at once: no bounces, no flushes. Only pages
 * that may bounce take what the DMA API does for them.
 */
static unsigned long pages_dma_attrs(const struct drm_gpusvm_pages *pages)
{
	return pages_may_bounce(pages) ? 0 : DMA_ATTR_REQUIRE_COHERENT;
}

void gpusvm_pages_clear_mapped(struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(pages);

	flags.has_dma_mapping = false;
	flags.has_devmem_pages = false;
	flags.writable = false;
	flags.has_gaps = false;
	pages_set_flags(pages, flags);
}

void gpusvm_pages_free_addrs(struct drm_gpusvm_pages *pages)
{
	if (pages->dma_addr != &pages->single_addr)
		kvfree(pages->dma_addr);
	pages->dma_addr = NULL;
	pages->max_addrs = 0;
}

/* Whether a segment of system memory is in the IOVA space of the pages. */
static bool addr_is_linked(struct drm_gpusvm_pages *pages,
			   const struct drm_pagemap_addr *addr)
{
	return addr->addr - pages->state.addr < dma_iova_size(&pages->state);
}

/**
 * struct drm_gpusvm_unmapper - Unmaps segments of a device
 *
 * @pages: What the segments belong to
 * @dev: The device
 * @attrs: How the segments were mapped
 * @unmap_system: System memory outside of the IOVA space has to be unmapped
 * @dir: Direction of the segments that are to be unlinked
 * @start: First byte in the IOVA space that is to be unlinked
 * @end: The byte behind the last; segments in a row are unlinked together
 */
struct drm_gpusvm_unmapper {
	struct drm_gpusvm_pages *pages;
	struct device *dev;
	unsigned long attrs;
	bool unmap_system;
	enum dma_data_direction dir;
	size_t start;
	size_t end;
};

static void unmap_begin(struct drm_gpusvm_unmapper *unmap,
			struct drm_gpusvm_pages *pages)
{
	*unmap = (struct drm_gpusvm_unmapper) {
		.pages = pages,
		.dev = pages->drm->dev,
		.attrs = pages_dma_attrs(pages),
		.unmap_system = dma_need_unmap(pages->drm->dev),
	};
}

static void unmap_end(struct drm_gpusvm_unmapper *unmap)
{
	if (unmap->start < unmap->end)
		dma_iova_unlink(unmap->dev, &unmap->pages->state, unmap->start,
				unmap->end - unmap->start, unmap->dir, unmap->attrs);
}

/* Only devices that are not coherent care for the direction. */
static bool unmap_same_dir(const struct drm_gpusvm_unmapper *unmap,
			   const struct drm_pagemap_addr *addr)
{
	return (unmap->attrs & DMA_ATTR_REQUIRE_COHERENT) || addr->dir == unmap->dir;
}

static void unmap_linked(struct drm_gpusvm_unmapper *unmap,
			 const struct drm_pagemap_addr *addr)
{
	size_t offset = addr->addr - unmap->pages->state.addr;

	if (offset != unmap->end || !unmap_same_dir(unmap, addr)) {
		unmap_end(unmap);
		unmap->start = offset;
		unmap->dir = addr->dir;
	}
	unmap->end = offset + (PAGE_SIZE << addr->order);
}

static void unmap_addr(struct drm_gpusvm_unmapper *unmap,
		       const struct drm_pagemap_addr *addr)
{
	struct drm_pagemap *dpagemap = unmap->pages->dpagemap;

	if (addr->proto != DRM_INTERCONNECT_SYSTEM) {
		if (dpagemap->ops->device_unmap)
			dpagemap->ops->device_unmap(dpagemap, unmap->dev, addr);
	} else if (addr_is_linked(unmap->pages, addr)) {
		unmap_linked(unmap, addr);
	} else if (unmap->unmap_system) {
		dma_unmap_phys(unmap->dev, addr->addr, PAGE_SIZE << addr->order,
			       addr->dir, unmap->attrs);
	}
}

/*
 * Unmap @n segments but for gaps, with @attrs in addition to those that they were mapped
 * with. Where nothing has to be done, none is looked at.
 */
static void pages_unmap_segments(struct drm_gpusvm_pages *pages,
				 const struct drm_pagemap_addr *addrs, unsigned int n,
				 unsigned long attrs)
{
	struct drm_gpusvm_unmapper unmap;
	unsigned int i;

	if (!dma_need_unmap(pages->drm->dev) && !pages->dpagemap)
		return;

	unmap_begin(&unmap, pages);
	unmap.attrs |= attrs;
	for (i = 0; i < n; i++)
		if (!addrs[i].hole)
			unmap_addr(&unmap, &addrs[i]);
	unmap_end(&unmap);
}

static void pages_free_iova(struct drm_gpusvm_pages *pages)
{
	if (!dma_use_iova(&pages->state))
		return;

	dma_iova_free(pages->drm->dev, &pages->state);
	pages->state = (struct dma_iova_state) {};
	pages->state_offset = 0;
}

/* Release all that is mapped. */
void gpusvm_pages_unmap_addrs(struct drm_gpusvm_pages *pages)
{
	pages_unmap_segments(pages, pages->dma_addr, pages->nr_addrs, 0);
	pages_free_iova(pages);
	pages->nr_addrs = 0;
	drm_pagemap_put(pages->dpagemap);
	pages->dpagemap = NULL;
}

void gpusvm_pages_unmap_locked(struct drm_gpusvm *gpusvm,
			       struct drm_gpusvm_pages *pages)
{
	lockdep_assert_held(&gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(pages))
		return;

	gpusvm_pages_clear_mapped(pages);
	gpusvm_pages_unmap_addrs(pages);
	atomic_long_inc(&gpusvm->stats.unmaps);
}

/* Whether there is system memory, or device memory, among what is mapped. */
static bool pages_have_memory(const struct drm_gpusvm_pages *pages, bool system)
{
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		bool is_system = addr->proto == DRM_INTERCONNECT_SYSTEM;

		if (!addr->hole && is_system == system)
			return true;
	}

	return false;
}

/* Let go of the device memory if nothing of it is mapped any more. */
static void pages_check_dpagemap(struct drm_gpusvm_pages *pages)
{
	if (!pages->dpagemap || pages_have_memory(pages, false))
		return;

	drm_pagemap_put(pages->dpagemap);
	pages->dpagemap = NULL;
}

/*
 * What was taken is a gap from now on. Others who hold the notifier lock for reading
 * look meanwhile: they must find one of the two, or they take the segment for mapped.
 */
static void addr_taken_to_gap(struct drm_pagemap_addr *addr)
{
	addr->hole = true;
	barrier();	/* both are bits of one word, which CPUs see in order */
	addr->taken = false;
}

/* What was taken can't be reached any more: unmap it. */
void gpusvm_pages_unmap_taken_locked(struct drm_gpusvm *gpusvm,
				     struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(pages);
	struct drm_gpusvm_unmapper unmap;
	unsigned int i;

	lockdep_assert_held(&gpusvm->notifier_lock);

	unmap_begin(&unmap, pages);
	for (i = pages->taken_first; i < pages->taken_end; i++) {
		struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		if (!addr->taken)
			continue;
		unmap_addr(&unmap, addr);
		addr_taken_to_gap(addr);
	}
	unmap_end(&unmap);
	pages->taken_first = 0;
	pages->taken_end = 0;

	pages_check_dpagemap(pages);
	flags.has_devmem_pages = !!pages->dpagemap;
	pages_set_flags(pages, flags);
}

static enum dma_data_direction walk_dir(const struct drm_gpusvm_walk *walk)
{
	return walk->writable ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
}

/**
 * struct drm_gpusvm_mapper - Maps the segments of a walk for one device
 *
 * @pages: What is being mapped
 * @walk: Where the pages are
 * @ctx: What may be mapped
 * @addrs: Where the segments go to
 * @nr_addrs: How many there are so far
 * @dev: The device that maps
 * @dir: What the device may do
 * @attrs: How to map
 * @offset: Where in the IOVA space the first page of @walk has its place
 * @use_iova: System pages go to the IOVA space
 * @may_ask_iova: The first system page is to ask for an IOVA space
 * @has_system: Whether there was system memory so far
 */
struct drm_gpusvm_mapper {
	struct drm_gpusvm_pages *pages;
	const struct drm_gpusvm_walk *walk;
	const struct drm_gpusvm_ctx *ctx;
	struct drm_pagemap_addr *addrs;
	unsigned int nr_addrs;
	struct device *dev;
	enum dma_data_direction dir;
	unsigned long attrs;
	size_t offset;
	bool use_iova;
	bool may_ask_iova;
	bool has_system;
};

/*
 * Whether a mapping that is refused may be granted later: an IOMMU, or what a platform has
 * in place of one, needs addresses and memory for its tables, and there are only so many
 * bounce buffers. Otherwise nothing is allocated: the device can't reach the memory, and
 * never will.
 */
static bool map_may_lack_memory(const struct drm_gpusvm_pages *pages)
{
	struct device *dev = pages->drm->dev;

	return use_dma_iommu(dev) || get_dma_ops(dev) || pages_may_bounce(pages);
}

/*
 * Who asks for a page and will ask again has to tell a shortage from one for good. So has
 * who bounces a userptr: what is not there for good is given up.
 */
static int map_error(const struct drm_gpusvm_pages *pages, const struct drm_gpusvm_ctx *ctx)
{
	return (ctx->partial || pages_may_bounce(pages)) && map_may_lack_memory(pages) ?
	       -ENOMEM : -EFAULT;
}

/*
 * Whether all of the pages are mapped anew, and may have an IOVA space. A segment alone
 * has nothing to gain from it.
 */
static bool pages_may_have_iova(const struct drm_gpusvm_pages *pages,
				const struct drm_gpusvm_gap *gap,
				const struct drm_gpusvm_walk *walk)
{
	return walk->nr_segments > 1 && walk->npages == gap->npages &&
	       !drm_gpusvm_pages_mapped(pages);
}

/*
 * Ask for an IOVA space for all of the pages. The space is aligned to its size: begin in
 * it where the virtual addresses do, and all that is aligned there is aligned here.
 */
static void pages_ask_iova(struct drm_gpusvm_pages *pages,
			   const struct drm_gpusvm_walk *walk)
{
	size_t size = walk->npages << PAGE_SHIFT;
	size_t offset = walk->hmm.start & (roundup_pow_of_two(size) - 1);

	if (dma_iova_try_alloc(pages->drm->dev, &pages->state, 0, size + offset))
		pages->state_offset = offset;
}

static void map_add(struct drm_gpusvm_mapper *map, dma_addr_t addr,
		    unsigned int order)
{
	map->addrs[map->nr_addrs++] =
		drm_pagemap_addr_encode(addr, DRM_INTERCONNECT_SYSTEM, order,
					map->dir);
}

/* Each page has its place in the IOVA space, whatever is mapped before it. */
static int map_system_iova(struct drm_gpusvm_mapper *map, phys_addr_t phys,
			   unsigned long index, unsigned int order)
{
	struct dma_iova_state *state = &map->pages->state;
	size_t offset = map->offset + (index << PAGE_SHIFT);
	int err;

	err = dma_iova_link(map->dev, state, phys, offset, PAGE_SIZE << order,
			    map->dir, map->attrs);
	if (err)
		return err;

	map_add(map, state->addr + offset, order);

	return 0;
}

static int map_system_plain(struct drm_gpusvm_mapper *map, phys_addr_t phys,
			    unsigned int order)
{
	dma_addr_t addr = dma_map_phys(map->dev, phys, PAGE_SIZE << order,
				       map->dir, map->attrs);

	if (dma_mapping_error(map->dev, addr))
		return map_error(map->pages, map->ctx);

	map_add(map, addr, order);

	return 0;
}

static int map_system(struct drm_gpusvm_mapper *map, unsigned long index,
		      unsigned int order)
{
	phys_addr_t phys = hmm_pfn_to_phys(map->walk->hmm.hmm_pfns[index]);

	/* The first system page decides, for itself and all behind it. */
	if (map->may_ask_iova) {
		map->may_ask_iova = false;
		pages_ask_iova(map->pages, map->walk);
		map->use_iova = dma_use_iova(&map->pages->state);
		map->offset = map->pages->state_offset;
	}

	return map->use_iova ? map_system_iova(map, phys, index, order) :
			       map_system_plain(map, phys, order);
}

static int map_devmem(struct drm_gpusvm_mapper *map, unsigned long index,
		      unsigned int order)
{
	struct page *page = hmm_pfn_to_page(map->walk->hmm.hmm_pfns[index]);
	struct drm_pagemap *dpagemap = drm_pagemap_page_to_dpagemap(page);
	struct drm_gpusvm_pages *pages = map->pages;
	struct drm_pagemap_addr addr;

	/* A page whose device is going away: the next walk brings it to RAM. */
	if (drm_WARN_ON(pages->drm, !dpagemap))
		return -EAGAIN;

	if (map->has_system && !map->ctx->allow_mixed)
		return -EOPNOTSUPP;
	if (pages->dpagemap && pages->dpagemap != dpagemap)
		return -EOPNOTSUPP;

	if (!pages->dpagemap)
		pages->dpagemap = drm_pagemap_get(dpagemap);

	addr = dpagemap->ops->device_map(dpagemap, map->dev, page, order,
					 map->dir);
	if (dma_mapping_error(map->dev, addr.addr))
		return map_error(pages, map->ctx);

	map->addrs[map->nr_addrs++] = addr;

	return 0;
}

/* Map a segment of a walk that has found device memory somewhere. */
static int map_any(struct drm_gpusvm_mapper *map, unsigned long index,
		   unsigned int order)
{
	struct page *page = hmm_pfn_to_page(map->walk->hmm.hmm_pfns[index]);

	if (is_zone_device_page(page))
		return map_devmem(map, index, order);

	if (map->pages->dpagemap && !map->ctx->allow_mixed)
		return -EOPNOTSUPP;

	map->has_system = true;

	return map->ctx->devmem_only ? -EFAULT : map_system(map, index, order);
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

/* Have @n segments in all, @behind of them as they are behind the gap. */
static void pages_resize(struct drm_gpusvm_pages *pages, unsigned int n,
			 unsigned int behind)
{
	struct drm_pagemap_addr *addr = pages->dma_addr;

	if (behind)
		memmove(addr + n - behind, addr + pages->nr_addrs - behind,
			behind * sizeof(*addr));
	pages->nr_addrs = n;
}

/*
 * Make place where a walk has found something in a gap. What is left of it stays a gap.
 * Returns where the segments of the walk have to go.
 */
static __always_inline struct drm_pagemap_addr *
pages_open_gap(struct drm_gpusvm_pages *pages, const struct drm_gpusvm_gap *gap,
	       const struct drm_gpusvm_walk *walk)
{
	struct drm_pagemap_addr *at = pages->dma_addr + pages->fill_first;

	pages_resize(pages, pages->nr_filled,
		     pages->nr_addrs - pages->fill_first - pages->fill_count);
	/* Most walks find all of it. */
	if (walk->npages == gap->npages)
		return at;

	at = gap_write(at, gap_pages_before(walk));
	gap_write(at + walk->nr_segments, gap_pages_behind(gap, walk));

	return at;
}

/* Undo pages_open_gap(). The gap takes no more segments than it did. */
static void pages_close_gap(struct drm_gpusvm_pages *pages, const struct drm_gpusvm_gap *gap,
			    const struct drm_gpusvm_walk *walk)
{
	unsigned int end = pages->fill_first + gap_count_filled(gap, walk);
	unsigned int behind = pages->nr_addrs - end;

	if (!drm_gpusvm_pages_mapped(pages)) {
		pages->nr_addrs = 0;
		return;
	}

	pages_resize(pages, pages->fill_first + gap_segments(gap->npages) + behind, behind);
	gap_write(pages->dma_addr + pages->fill_first, gap->npages);
}

/* Undo gpusvm_pages_fill_locked(), of which @n segments were mapped. */
void gpusvm_pages_unfill_locked(struct drm_gpusvm_pages *pages,
				const struct drm_gpusvm_gap *gap,
				const struct drm_gpusvm_walk *walk, unsigned int n)
{
	const struct drm_pagemap_addr *addrs = pages->dma_addr + pages->fill_first +
					       gap_segments(gap_pages_before(walk));

	/* No device has written to a copy, but the CPU may have to what it is of. */
	pages_unmap_segments(pages, addrs, n, DMA_ATTR_SKIP_CPU_SYNC);
	pages_close_gap(pages, gap, walk);
	if (!pages->nr_addrs)
		pages_free_iova(pages);
	pages_check_dpagemap(pages);
}

/* Map whatever there is: device memory, an IOVA space, a mix. */
static int pages_fill_any(struct drm_gpusvm_pages *pages, const struct drm_gpusvm_gap *gap,
			  const struct drm_gpusvm_walk *walk, const struct drm_gpusvm_ctx *ctx)
{
	unsigned long page = gap->page + gap_pages_before(walk);
	struct drm_gpusvm_mapper map = {
		.pages = pages,
		.walk = walk,
		.ctx = ctx,
		.dev = pages->drm->dev,
		.dir = walk_dir(walk),
		.attrs = pages_dma_attrs(pages),
		.offset = pages->state_offset + (page << PAGE_SHIFT),
		.use_iova = dma_use_iova(&pages->state),
		.may_ask_iova = walk->has_devmem && pages_may_have_iova(pages, gap, walk),
		.has_system = walk->has_devmem && !ctx->allow_mixed &&
			      pages_have_memory(pages, true),
	};
	unsigned int order;
	unsigned long i;
	int err = 0;

	map.addrs = pages_open_gap(pages, gap, walk);
	for (i = 0; !err && i < walk->npages; i += 1UL << order) {
		order = hmm_pfn_to_map_order(walk->hmm.hmm_pfns[i]);
		err = map_any(&map, i, order);
	}

	if (!err && map.use_iova)
		err = dma_iova_sync(map.dev, &pages->state, map.offset,
				    walk->npages << PAGE_SHIFT);
	if (err)
		gpusvm_pages_unfill_locked(pages, gap, walk, map.nr_addrs);

	return err;
}

/* What almost all mappings are: system memory, each segment for itself. */
static int pages_fill_plain(struct drm_gpusvm_pages *pages, const struct drm_gpusvm_gap *gap,
			    const struct drm_gpusvm_walk *walk, const struct drm_gpusvm_ctx *ctx)
{
	struct drm_pagemap_addr *addrs = pages_open_gap(pages, gap, walk);
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long i, npages = walk->npages;
	enum dma_data_direction dir = walk_dir(walk);
	unsigned long attrs = pages_dma_attrs(pages);
	struct drm_pagemap_addr *addr = addrs;
	struct device *dev = pages->drm->dev;
	unsigned int order;

	for (i = 0; i < npages; i += 1UL << order) {
		dma_addr_t dma;

		order = hmm_pfn_to_map_order(pfns[i]);
		dma = dma_map_phys(dev, hmm_pfn_to_phys(pfns[i]),
				   PAGE_SIZE << order, dir, attrs);
		if (dma_mapping_error(dev, dma)) {
			gpusvm_pages_unfill_locked(pages, gap, walk, addr - addrs);
			return map_error(pages, ctx);
		}
		*addr++ = drm_pagemap_addr_encode(dma, DRM_INTERCONNECT_SYSTEM,
						  order, dir);
	}

	return 0;
}

/*
 * Whoever unmaps everything after drm_dev_unplug() takes the notifier lock for it, and
 * nothing is mapped behind their back.
 */
static int pages_check_device(const struct drm_gpusvm_pages *pages)
{
	return drm_dev_is_unplugged(pages->drm) ? -ENODEV : 0;
}

/*
 * Map what a walk has found in a gap, and put it there. Flags don't tell yet, so that
 * those of other devices can be mapped, too, before the request is known to succeed.
 */
int gpusvm_pages_fill_locked(struct drm_gpusvm_pages *pages,
			     const struct drm_gpusvm_gap *gap,
			     const struct drm_gpusvm_walk *walk,
			     const struct drm_gpusvm_ctx *ctx)
{
	int err;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	err = pages_check_device(pages);
	if (err)
		return err;

	if (!walk->has_devmem) {
		if (ctx->devmem_only)
			return -EFAULT;
		if (pages_may_have_iova(pages, gap, walk))
			pages_ask_iova(pages, walk);
	}

	return walk->has_devmem || pages->dpagemap || dma_use_iova(&pages->state) ?
	       pages_fill_any(pages, gap, walk, ctx) :
	       pages_fill_plain(pages, gap, walk, ctx);
}
