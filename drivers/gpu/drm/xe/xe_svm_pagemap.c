// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: regions of VRAM, and their struct pages.
 */

#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/memremap.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>

#include "xe_device.h"
#include "xe_svm_internal.h"
#include "xe_tile.h"
#include "xe_vm_types.h"
#include "xe_vram_types.h"

/**
 * DOC: Xe SVM device memory
 *
 * Each region of VRAM that a VM in fault mode, or a user who asks for it with
 * madvise, may migrate to has a &struct xe_pagemap. It is made when it is first
 * needed and kept in a cache of the region, from where a shrinker frees it.
 * References on it are held by
 *
 * - VMs in fault mode, on those of their own device,
 *
 * - VMAs, on the one that madvise has named,
 *
 * - allocations that have pages in some mm,
 *
 * - pages objects that map device memory.
 *
 * Memory is allocated as a buffer object for at most one huge page at a time, so
 * that TTM evicts it under pressure like any other. The object is contiguous, its
 * contents begin as zeroes, and it is released with the last of its pages. While
 * it has pages, it holds a reference of runtime power management.
 *
 * Copies are made by the migration engine of the region's tile, in either
 * direction. They are submitted and not waited for; the engine works through them
 * in order, so the fence of the last one stands for all.
 */

/* The address that others use, behind the device's BAR. */
static u64 page_to_pcie(struct page *page)
{
	return page_to_xe_pagemap(page)->vr->io_start + page_vram_offset(page);
}

static struct drm_pagemap_addr
xe_pagemap_device_map(struct drm_pagemap *dpagemap, struct device *dev,
		      struct page *page, unsigned int order,
		      enum dma_data_direction dir)
{
	dma_addr_t addr;

	if (dev == dpagemap->drm->dev)
		return drm_pagemap_addr_encode(page_to_dpa(page), XE_INTERCONNECT_VRAM,
					       order, dir);

	addr = dma_map_resource(dev, page_to_pcie(page), PAGE_SIZE << order, dir,
				DMA_ATTR_SKIP_CPU_SYNC);

	return drm_pagemap_addr_encode(addr, XE_INTERCONNECT_P2P, order, dir);
}

static void xe_pagemap_device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
				    const struct drm_pagemap_addr *addr)
{
	if (addr->proto == XE_INTERCONNECT_P2P)
		dma_unmap_resource(dev, addr->addr, PAGE_SIZE << addr->order,
				   addr->dir, DMA_ATTR_SKIP_CPU_SYNC);
}

static void pagemap_free(struct kref *ref)
{
	kfree(container_of(ref, struct xe_pagemap, refs));
}

/* Also what devm calls once it has unmapped the pages. */
static void pagemap_put(void *xpagemap)
{
	kref_put(&((struct xe_pagemap *)xpagemap)->refs, pagemap_free);
}

/* Give back the pages and the addresses, unless devm does or has done that. */
static void pagemap_release_pages(struct xe_pagemap *xpagemap)
{
	struct drm_device *drm = xpagemap->dpagemap.drm;
	struct dev_pagemap *pagemap = &xpagemap->pagemap;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return;

	devm_memunmap_pages(drm->dev, pagemap);
	devm_release_action(drm->dev, pagemap_put, xpagemap);
	devm_release_mem_region(drm->dev, pagemap->range.start,
				range_len(&pagemap->range));
	drm_dev_exit(idx);
}

static void xe_pagemap_destroy_work(struct work_struct *work)
{
	struct xe_pagemap *xpagemap = container_of(work, struct xe_pagemap, destroy_work);

	pagemap_release_pages(xpagemap);
	drm_pagemap_release_owner(&xpagemap->peer);
	pagemap_put(xpagemap);
}

static void xe_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	struct work_struct *work = &to_xe_pagemap(dpagemap)->destroy_work;

	if (is_atomic_or_reclaim)
		queue_work(to_xe_device(dpagemap->drm)->destroy_wq, work);
	else
		xe_pagemap_destroy_work(work);
}

static const struct drm_pagemap_ops xe_pagemap_ops = {
	.device_map = xe_pagemap_device_map,
	.device_unmap = xe_pagemap_device_unmap,
	.devmem_alloc = xe_svm_devmem_alloc,
	.destroy = xe_pagemap_destroy,
};

/* Addresses for the struct pages, and the pages themselves. */
static int pagemap_create_pages(struct xe_pagemap *xpagemap)
{
	struct device *dev = xpagemap->vr->xe->drm.dev;
	struct dev_pagemap *pagemap = &xpagemap->pagemap;
	struct resource *res;
	void *addr;
	int err;

	res = devm_request_free_mem_region(dev, &iomem_resource,
					   xpagemap->vr->usable_size);
	if (IS_ERR(res))
		return PTR_ERR(res);

	xpagemap->hpa_base = res->start;
	pagemap->type = MEMORY_DEVICE_PRIVATE;
	pagemap->range = (struct range) { .start = res->start, .end = res->end };
	pagemap->nr_range = 1;
	pagemap->owner = xpagemap->peer.owner;
	pagemap->ops = drm_pagemap_pagemap_ops_get();

	/* In this order: devm unmaps the pages before it lets go of the object. */
	kref_get(&xpagemap->refs);
	err = devm_add_action_or_reset(dev, pagemap_put, xpagemap);
	if (err)
		goto err_region;

	addr = devm_memremap_pages(dev, pagemap);
	if (!IS_ERR(addr))
		return 0;

	err = PTR_ERR(addr);
	devm_release_action(dev, pagemap_put, xpagemap);
err_region:
	devm_release_mem_region(dev, res->start, resource_size(res));
	return err;
}

static struct xe_pagemap *pagemap_create(struct xe_vram_region *vr)
{
	struct xe_pagemap *xpagemap = kzalloc_obj(*xpagemap);
	struct drm_device *drm = &vr->xe->drm;
	int err;

	if (!xpagemap)
		return ERR_PTR(-ENOMEM);

	INIT_WORK(&xpagemap->destroy_work, xe_pagemap_destroy_work);
	kref_init(&xpagemap->refs);
	xpagemap->vr = vr;
	/* Peers are compared by their device. */
	xpagemap->dpagemap.drm = drm;

	err = xe_svm_acquire_owner(&xpagemap->peer, false);
	if (err)
		goto err_free;

	err = pagemap_create_pages(xpagemap);
	if (err)
		goto err_owner;

	err = drm_pagemap_init(&xpagemap->dpagemap, &xpagemap->pagemap, drm,
			       &xe_pagemap_ops);
	if (err)
		goto err_pages;

	return xpagemap;

err_pages:
	pagemap_release_pages(xpagemap);
err_owner:
	drm_pagemap_release_owner(&xpagemap->peer);
err_free:
	pagemap_put(xpagemap);
	return ERR_PTR(err);
}

/* The lookup of the cache is locked, so nobody else makes a pagemap meanwhile. */
static struct xe_pagemap *pagemap_get_locked(struct xe_vram_region *vr)
{
	struct drm_pagemap *dpagemap = drm_pagemap_get_from_cache(vr->dpagemap_cache);
	struct xe_pagemap *xpagemap;

	if (IS_ERR(dpagemap))
		return ERR_CAST(dpagemap);
	if (dpagemap)
		return to_xe_pagemap(dpagemap);

	xpagemap = pagemap_create(vr);
	if (!IS_ERR(xpagemap))
		drm_pagemap_cache_set_pagemap(vr->dpagemap_cache, &xpagemap->dpagemap);

	return xpagemap;
}

/* The pagemap of a region, with a reference. */
static struct xe_pagemap *pagemap_get(struct xe_vram_region *vr)
{
	struct xe_pagemap *xpagemap;
	int err;

	err = drm_pagemap_cache_lock_lookup(vr->dpagemap_cache);
	if (err)
		return ERR_PTR(err);

	xpagemap = pagemap_get_locked(vr);
	drm_pagemap_cache_unlock_lookup(vr->dpagemap_cache);

	return xpagemap;
}

/* Whether a tile has VRAM that the user can see. */
static bool tile_has_vram(struct xe_device *xe, unsigned int id)
{
	return xe->info.mem_region_mask & (BIT(id) << 1);
}

/**
 * xe_svm_put_pagemaps() - Undo xe_svm_get_pagemaps()
 * @vm: The VM
 */
void xe_svm_put_pagemaps(struct xe_vm *vm)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vm->svm.pagemaps); i++) {
		if (vm->svm.pagemaps[i])
			drm_pagemap_put(&vm->svm.pagemaps[i]->dpagemap);
		vm->svm.pagemaps[i] = NULL;
	}
}

static int get_pagemaps(struct xe_vm *vm)
{
	struct xe_pagemap *xpagemap;
	struct xe_tile *tile;
	u8 id;

	for_each_tile(tile, vm->xe, id) {
		if (!tile_has_vram(vm->xe, id))
			continue;

		xpagemap = pagemap_get(xe_tile_to_vr(tile));
		if (IS_ERR(xpagemap)) {
			xe_svm_put_pagemaps(vm);
			return PTR_ERR(xpagemap);
		}
		vm->svm.pagemaps[id] = xpagemap;
	}

	return 0;
}

/**
 * xe_svm_get_pagemaps() - Give a VM the memory of its device
 * @vm: The VM
 *
 * Return: 0, -ENODEV if the device is gone, or another negative error.
 */
int xe_svm_get_pagemaps(struct xe_vm *vm)
{
	int idx, err;

	/* The caches go with the device, and so does what devm has of a pagemap. */
	if (!drm_dev_enter(&vm->xe->drm, &idx))
		return -ENODEV;
	err = get_pagemaps(vm);
	drm_dev_exit(idx);

	return err;
}

/**
 * xe_pagemap_shrinker_create() - Create what frees pagemaps that nobody uses
 * @xe: The device
 *
 * Return: 0, or a negative error.
 */
int xe_pagemap_shrinker_create(struct xe_device *xe)
{
	xe->usm.dpagemap_shrinker = drm_pagemap_shrinker_create_devm(&xe->drm);

	return PTR_ERR_OR_ZERO(xe->usm.dpagemap_shrinker);
}

/**
 * xe_pagemap_cache_create() - Create the cache of a tile's pagemap
 * @tile: The tile
 *
 * Return: 0, or a negative error.
 */
int xe_pagemap_cache_create(struct xe_tile *tile)
{
	struct xe_device *xe = tile_to_xe(tile);
	struct drm_pagemap_cache *cache;

	if (!IS_DGFX(xe))
		return 0;

	cache = drm_pagemap_cache_create_devm(xe->usm.dpagemap_shrinker);
	if (!IS_ERR(cache))
		tile->mem.vram->dpagemap_cache = cache;

	return PTR_ERR_OR_ZERO(cache);
}

/* Regions are numbered as in the query: 0 is RAM, behind it come the tiles. */
static struct drm_pagemap *open_region(struct xe_device *xe, u32 region_instance)
{
	u32 id = region_instance - 1;
	struct xe_pagemap *xpagemap;

	if (id >= xe->info.tile_count || !tile_has_vram(xe, id))
		return ERR_PTR(-ENOENT);

	xpagemap = pagemap_get(xe_tile_to_vr(&xe->tiles[id]));

	return IS_ERR(xpagemap) ? ERR_CAST(xpagemap) : &xpagemap->dpagemap;
}

static struct drm_pagemap *open_file_region(struct file *file, u32 region_instance)
{
	struct drm_pagemap *dpagemap = ERR_PTR(-ENODEV);
	struct drm_file *file_priv;
	struct drm_device *drm;
	int idx;

	if (!xe_is_xe_file(file))
		return ERR_PTR(-ENOENT);

	file_priv = file->private_data;
	drm = file_priv->minor->dev;
	if (drm_dev_enter(drm, &idx)) {
		dpagemap = open_region(to_xe_device(drm), region_instance);
		drm_dev_exit(idx);
	}

	return dpagemap;
}

/**
 * xe_drm_pagemap_from_fd() - Memory that a user names
 * @fd: A file descriptor of an xe device
 * @region_instance: The region of the device
 *
 * Return: the memory, with a reference; or an error pointer: -EINVAL or -ENOENT if
 * there is no such thing, -ENODEV if the device is gone.
 */
struct drm_pagemap *xe_drm_pagemap_from_fd(int fd, u32 region_instance)
{
	struct drm_pagemap *dpagemap;
	struct file *file;

	if (fd <= 0)
		return ERR_PTR(-EINVAL);

	file = fget(fd);
	if (!file)
		return ERR_PTR(-ENOENT);

	dpagemap = open_file_region(file, region_instance);
	fput(file);

	return dpagemap;
}
