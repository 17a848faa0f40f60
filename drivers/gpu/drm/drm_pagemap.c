// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_pagemap_util.h>
#include <drm/drm_print.h>

#define CREATE_TRACE_POINTS
#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_internal.h"

/**
 * DOC: Overview
 *
 * A &struct drm_pagemap is a region of device memory that a process can use
 * without knowing: device private pages stand for it in the CPU's page tables,
 * and a CPU that touches one gets its contents back in RAM. This file moves the
 * contents of pages between RAM and device memory, and between devices. It
 * knows nothing of GPU page tables, and nothing of &struct drm_gpusvm: whoever
 * has mapped a page learns from its MMU notifier that the page moves.
 *
 * A driver that provides memory
 *
 * - registers it with memremap_pages() as MEMORY_DEVICE_PRIVATE, with an owner and
 *   with the operations that drm_pagemap_pagemap_ops_get() returns,
 *
 * - embeds a &struct drm_pagemap for the region, calls drm_pagemap_init() on it, and
 *   implements &drm_pagemap_ops.destroy,
 *
 * - embeds a &struct drm_pagemap_devmem in its allocation object, and implements
 *   &struct drm_pagemap_devmem_ops: list the pages, copy in and out, release,
 *
 * - implements &drm_pagemap_ops.devmem_alloc. That is all it takes for
 *   drm_pagemap_populate_mm() to work.
 *
 * .. code-block:: c
 *
 *	static struct drm_pagemap_devmem *
 *	driver_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
 *			    size_t size, bool may_wait)
 *	{
 *		struct driver_chunk *chunk;
 *		int err;
 *
 *		// Until the release. -EBUSY if it would have to wait and may not.
 *		err = driver_get_awake(to_driver(dpagemap), may_wait);
 *		if (err)
 *			return ERR_PTR(err);
 *
 *		// driver_evict_oldest() gives up when it has tried often enough.
 *		chunk = driver_chunk_alloc(to_driver(dpagemap), size);
 *		while (IS_ERR(chunk) && may_wait && driver_evict_oldest(dpagemap))
 *			chunk = driver_chunk_alloc(to_driver(dpagemap), size);
 *		if (IS_ERR(chunk)) {
 *			driver_put_awake(to_driver(dpagemap));
 *			return may_wait ? ERR_PTR(-ENOSPC) : ERR_PTR(-EBUSY);
 *		}
 *
 *		drm_pagemap_devmem_init(&chunk->devmem, dpagemap->drm->dev, mm,
 *					&driver_devmem_ops, dpagemap, size, NULL);
 *		return &chunk->devmem;
 *	}
 *
 *	// In any context. What has to sleep is deferred.
 *	static void driver_chunk_release(struct drm_pagemap_devmem *devmem)
 *	{
 *		struct driver *driver = to_driver(devmem->dpagemap);
 *
 *		dma_fence_put(devmem->pre_migrate_fence);
 *		driver_chunk_free(driver, to_chunk(devmem));
 *		driver_put_awake(driver);	// pm_runtime_put(), for instance
 *	}
 */

/**
 * DOC: Migration
 *
 * All migrations go through the same steps, whether they go to device memory,
 * come back because a CPU touched them, or because the device needs the room:
 *
 * collect
 *	The core MM locks the pages and replaces them in all page tables by
 *	migration entries. From here on nobody can get at them.
 * select
 *	Of what was collected, what is to move?
 * allocate
 *	Where to? Device pages of an allocation, or RAM.
 * copy
 *	Map the other side for the device that copies and start the copy. Pages
 *	that come from a peer are pushed by the peer's engine, everything else
 *	is done by the engine of the device memory in question.
 * commit
 *	Wait for the copies, make the new pages the process's pages, and release
 *	the old ones. If anything went wrong, the old pages stay.
 *
 * A migration is best effort, and by page, but for what is said below of providers that
 * move wholes: a page that can't move, because it is pinned, busy or someone else's,
 * keeps no other page back. Addresses of an
 * anonymous VMA that have no page get a zeroed page of device memory without a
 * page of RAM ever being allocated. Huge pages move whole where both sides have
 * room for that, and page by page otherwise.
 *
 * drm_pagemap_populate_range() works chunk by chunk and keeps two chunks in
 * flight: while the device copies one, the CPU collects and maps the next one.
 * Device memory is asked for when it is known how much of it a chunk needs. Only
 * what can be had at once is taken then; where something has to be evicted first,
 * the migration lets go of its pages and of the mmap lock before it waits.
 *
 * A CPU fault brings back a window around the address, not the allocation: see
 * &drm_pagemap_devmem.fault_window. The window grows while a process reads on.
 * Until the timeslice of an allocation has expired, a CPU fault of the process that
 * it was made for sleeps.
 *
 * A provider that implements &drm_pagemap_ops.populate_mm, and no
 * &drm_pagemap_ops.devmem_alloc, fills its allocations with
 * drm_pagemap_migrate_to_devmem() and knows them as wholes. A CPU fault brings back
 * all of one that is no larger than a huge page and aligned to its size, and nothing of
 * others. None is filled in part, or with what others have a part of, unless the
 * provider asks for &drm_pagemap_migrate_details.stats.
 *
 * Eviction starts from the physical pages of an allocation. It needs neither the
 * mm nor a VMA, so it works after the process has gone or forked.
 */

/**
 * DOC: Locking and lifetime
 *
 * There is no lock in this file. What serializes migrations is the folio lock,
 * which the collect step only ever tries to take: of two that want the same page
 * one leaves it alone. That goes for the core MM as well, which collects on our
 * behalf: migrate_vma_split_folio() would otherwise wait for a huge folio that is
 * mapped by small entries, with all locked that was collected before. Two populates
 * that each have one chunk in flight, and whose next chunk has a part of what the
 * other one has in flight as a whole, as parent and child of a fork can, would wait
 * for each other for ever. An eviction waits for a folio lock, but with none held.
 *
 * Between collect and commit a migration may allocate RAM,
 * call the provider's ops and wait for its fences. So the order is mmap lock,
 * folio lock, provider's locks; and a provider must not, with a lock held that
 * its ops take, touch memory of a process or migrate.
 *
 * Each folio holds a reference on its allocation's &struct drm_pagemap_zdd. When
 * the last one is freed, the allocation is released to the driver and the
 * reference on the pagemap dropped. A pagemap holds references on its device and
 * on the module of its driver; they are put from a work item, since the last page
 * of an allocation may be freed anywhere.
 *
 * A device that is unplugged gets no new pages (-ENODEV). Its driver then evicts
 * what there is, with drm_pagemap_evict_many(), and all references are gone. If its
 * copies keep failing, drm_pagemap_abandon_many() gives up what can't be had.
 */

/* ------------------------------------------------------------------------
 * Zone device data
 */

/* The allocation is about to be populated: its pages keep the pagemap alive. */
void pagemap_zdd_start(struct drm_pagemap_devmem *devmem)
{
	if (!devmem->zdd.dpagemap)
		devmem->zdd.dpagemap = drm_pagemap_get(devmem->dpagemap);
}

/* One for each folio; they are all locked still, and can't be freed before. */
void pagemap_zdd_get_many(struct drm_pagemap_zdd *zdd, unsigned int folios)
{
	refcount_add(folios, &zdd->refcount.refcount);
}

static void zdd_release(struct kref *ref)
{
	struct drm_pagemap_zdd *zdd =
		container_of(ref, struct drm_pagemap_zdd, refcount);
	struct drm_pagemap_devmem *devmem = zdd_to_devmem(zdd);
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;
	struct drm_pagemap *dpagemap = zdd->dpagemap;

	/* Without an op to wait for, whoever waits for this frees it now. */
	complete_all(&devmem->detached);
	if (ops->devmem_release)
		ops->devmem_release(devmem);
	drm_pagemap_put(dpagemap);
}

void pagemap_zdd_put(struct drm_pagemap_zdd *zdd)
{
	kref_put(&zdd->refcount, zdd_release);
}

/* ------------------------------------------------------------------------
 * Allocations and pagemaps
 */

/*
 * What stays behind keeps all of its allocation in use, and who moves wholes would make
 * another one for the rest.
 */
static u32 default_fault_window(const struct drm_pagemap *dpagemap, size_t size)
{
	return moves_whole_allocations(dpagemap) ? roundup_pow_of_two(min(size, CHUNK_SIZE)) :
						   DRM_PAGEMAP_FAULT_WINDOW;
}

/**
 * drm_pagemap_devmem_init() - Initialise an allocation of device memory
 * @devmem_allocation: the allocation
 * @dev: the device that owns the memory and copies to and from it
 * @mm: the mm that it was allocated for; no reference is taken
 * @ops: its operations
 * @dpagemap: pagemap of the memory; a reference is taken when it is populated
 * @size: bytes, a multiple of PAGE_SIZE
 * @pre_migrate_fence: fence that has to signal before the memory is written, or
 *		       NULL; the reference passes to the allocation
 */
void drm_pagemap_devmem_init(struct drm_pagemap_devmem *devmem_allocation,
			     struct device *dev, struct mm_struct *mm,
			     const struct drm_pagemap_devmem_ops *ops,
			     struct drm_pagemap *dpagemap, size_t size,
			     struct dma_fence *pre_migrate_fence)
{
	init_completion(&devmem_allocation->detached);
	kref_init(&devmem_allocation->zdd.refcount);
	devmem_allocation->zdd.dpagemap = NULL;
	devmem_allocation->dev = dev;
	devmem_allocation->mm = mm;
	devmem_allocation->ops = ops;
	devmem_allocation->dpagemap = dpagemap;
	devmem_allocation->size = size;
	devmem_allocation->first_pfn = 0;
	devmem_allocation->timeslice_expiration = 0;
	devmem_allocation->pre_migrate_fence = pre_migrate_fence;
	devmem_allocation->fault_window = default_fault_window(dpagemap, size);
	devmem_allocation->readahead = 0;
	devmem_allocation->next_fault = 0;
}
EXPORT_SYMBOL_GPL(drm_pagemap_devmem_init);

/**
 * drm_pagemap_page_to_dpagemap() - The pagemap that a device page came from
 * @page: a device private page that was populated by a pagemap
 *
 * Context: The caller holds off the release of the page: by a reference, its lock,
 * or a notifier lock under which the page was seen to be mapped.
 *
 * Return: the pagemap.
 */
struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page)
{
	return drm_pagemap_page_zone_device_data(page)->dpagemap;
}
EXPORT_SYMBOL_GPL(drm_pagemap_page_to_dpagemap);

/**
 * struct drm_pagemap_dev_hold - A pagemap's hold on its device
 *
 * The last reference on a pagemap may be put where neither a device nor a module
 * can be let go of. So the two are put from a work item, and since a cached pagemap
 * may be in use again before that runs, each use has a hold of its own.
 *
 * @link: Link in the list of holds to release
 * @drm: The device
 */
struct drm_pagemap_dev_hold {
	struct llist_node link;
	struct drm_device *drm;
};

static LLIST_HEAD(dev_unhold_list);

static void dev_unhold_work_fn(struct work_struct *work)
{
	struct drm_pagemap_dev_hold *hold, *next;

	llist_for_each_entry_safe(hold, next, llist_del_all(&dev_unhold_list), link) {
		struct module *owner = hold->drm->driver->fops->owner;

		drm_dev_put(hold->drm);
		module_put(owner);
		kfree(hold);
	}
}

static DECLARE_WORK(dev_unhold_work, dev_unhold_work_fn);

static int dev_hold(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_dev_hold *hold = kzalloc_obj(*hold);

	if (!hold)
		return -ENOMEM;
	if (!try_module_get(dpagemap->drm->driver->fops->owner)) {
		kfree(hold);
		return -ENODEV;
	}

	hold->drm = dpagemap->drm;
	drm_dev_get(hold->drm);
	dpagemap->dev_hold = hold;

	return 0;
}

static void drm_pagemap_release(struct kref *ref)
{
	struct drm_pagemap *dpagemap = container_of(ref, struct drm_pagemap, ref);
	struct drm_pagemap_dev_hold *hold = dpagemap->dev_hold;

	/* The shrinker may free the pagemap at once, or hand it out again. */
	dpagemap->dev_hold = NULL;
	drm_pagemap_shrinker_add(dpagemap);

	llist_add(&hold->link, &dev_unhold_list);
	schedule_work(&dev_unhold_work);
}

/**
 * drm_pagemap_put() - Drop a reference
 * @dpagemap: the pagemap, or NULL
 *
 * The last one passes it to its cache, or has it destroyed if it has none.
 *
 * Context: Any context.
 */
void drm_pagemap_put(struct drm_pagemap *dpagemap)
{
	if (!dpagemap)
		return;

	drm_pagemap_shrinker_might_lock(dpagemap);
	kref_put(&dpagemap->ref, drm_pagemap_release);
}
EXPORT_SYMBOL(drm_pagemap_put);

/**
 * drm_pagemap_destroy() - Free a pagemap that nobody refers to
 * @dpagemap: the pagemap
 * @is_atomic_or_reclaim: the context may be atomic or reclaim
 */
void drm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	drm_pagemap_cache_leave(dpagemap);
	if (dpagemap->ops->destroy)
		dpagemap->ops->destroy(dpagemap, is_atomic_or_reclaim);
	else
		kfree(dpagemap);
}

/**
 * drm_pagemap_reinit() - Bring a pagemap to life again
 * @dpagemap: a pagemap whose last reference was put, from a cache
 *
 * Return: 0 with one reference held; -ENOMEM; -ENODEV if the driver is going.
 */
int drm_pagemap_reinit(struct drm_pagemap *dpagemap)
{
	int err = dev_hold(dpagemap);

	if (!err)
		kref_init(&dpagemap->ref);

	return err;
}
EXPORT_SYMBOL(drm_pagemap_reinit);

/**
 * drm_pagemap_init() - Initialise a pagemap
 * @dpagemap: the pagemap, in the driver's object
 * @pagemap: the &struct dev_pagemap of the memory
 * @drm: the device that provides the memory
 * @ops: the provider's operations
 *
 * References on @drm and on its driver's module are held until the last reference
 * on the pagemap is put. Then &drm_pagemap_ops.destroy is called, which has to be there,
 * since the pagemap is embedded in something.
 *
 * Return: 0 with one reference held; -ENOMEM; -ENODEV if the driver is going.
 */
int drm_pagemap_init(struct drm_pagemap *dpagemap, struct dev_pagemap *pagemap,
		     struct drm_device *drm, const struct drm_pagemap_ops *ops)
{
	unsigned int i;

	dpagemap->ops = ops;
	dpagemap->pagemap = pagemap;
	dpagemap->drm = drm;
	dpagemap->cache = NULL;
	INIT_LIST_HEAD(&dpagemap->shrink_link);
	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		atomic64_set(&dpagemap->stats[i], 0);

	return drm_pagemap_reinit(dpagemap);
}
EXPORT_SYMBOL(drm_pagemap_init);

/**
 * drm_pagemap_create() - Allocate and initialise a pagemap
 * @drm: the device that provides the memory
 * @pagemap: the &struct dev_pagemap of the memory
 * @ops: the provider's operations
 *
 * As drm_pagemap_init(), but without &drm_pagemap_ops.destroy the pagemap is freed when
 * the last reference is put.
 *
 * Return: the pagemap, with one reference held, or an ERR_PTR().
 */
struct drm_pagemap *drm_pagemap_create(struct drm_device *drm,
				       struct dev_pagemap *pagemap,
				       const struct drm_pagemap_ops *ops)
{
	struct drm_pagemap *dpagemap = kzalloc_obj(*dpagemap);
	int err;

	if (!dpagemap)
		return ERR_PTR(-ENOMEM);

	err = drm_pagemap_init(dpagemap, pagemap, drm, ops);
	if (err) {
		kfree(dpagemap);
		return ERR_PTR(err);
	}

	return dpagemap;
}
EXPORT_SYMBOL(drm_pagemap_create);

/**
 * drm_pagemap_debugfs_info() - Print the counters of a pagemap
 * @dpagemap: the pagemap
 * @p: where to
 */
void drm_pagemap_debugfs_info(struct drm_pagemap *dpagemap, struct drm_printer *p)
{
	static const char * const names[DRM_PAGEMAP_STAT_COUNT] = {
		[DRM_PAGEMAP_STAT_TO_DEVMEM] = "pages to device memory",
		[DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE] = "of them in huge folios",
		[DRM_PAGEMAP_STAT_ZEROED] = "of them zeroed",
		[DRM_PAGEMAP_STAT_LEFT] = "pages left",
		[DRM_PAGEMAP_STAT_TO_RAM] = "pages to RAM by CPU faults",
		[DRM_PAGEMAP_STAT_EVICTED] = "pages to RAM by eviction",
		[DRM_PAGEMAP_STAT_SPLIT] = "huge folios split",
		[DRM_PAGEMAP_STAT_CPU_FAULTS] = "CPU faults",
		[DRM_PAGEMAP_STAT_TIMESLICE_WAITS] = "CPU faults that waited",
		[DRM_PAGEMAP_STAT_FAILED] = "migrations that failed",
		[DRM_PAGEMAP_STAT_LOST] = "pages lost with the device",
	};
	unsigned int i;

	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		drm_printf(p, "%s: %lld\n", names[i],
			   (long long)atomic64_read(&dpagemap->stats[i]));
}
EXPORT_SYMBOL_GPL(drm_pagemap_debugfs_info);

static void __exit drm_pagemap_exit(void)
{
	flush_work(&dev_unhold_work);
	if (WARN_ON(!llist_empty(&dev_unhold_list)))
		disable_work_sync(&dev_unhold_work);
}
module_exit(drm_pagemap_exit);
