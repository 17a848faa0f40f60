// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-direct.h>
#include <linux/jiffies.h>
#include <linux/pm_runtime.h>

#include <drm/drm_buddy.h>
#include <drm/drm_managed.h>
#include <drm/drm_pagemap_util.h>
#include <drm/drm_print.h>

#include "vsvm_device.h"
#include "vsvm_pagemap.h"
#include "vsvm_trace.h"

/**
 * DOC: Device memory
 *
 * What a driver does so that processes can have their memory on its device. The
 * rest is drm_pagemap's: which pages move, and when they come back.
 *
 * - vsvm_pagemap_create() finds a piece of the physical address space that
 *   nobody uses, and makes device private pages for it.
 *
 * - devmem_alloc() allocates, and evicts others if it may. An allocation is
 *   released when the last of its pages has left the device.
 *
 * - submit_to_devmem() and submit_to_ram() have the copy engine move what is in
 *   the pages, and return a fence.
 *
 * - device_map() says how a device gets at a page: its own device and those that
 *   have an interconnect to it.
 *
 * - vsvm_pagemap_remove() evicts everything. What can't be copied any more is lost
 *   then, and removal ends.
 *
 * A &struct drm_pagemap with references keeps device and module. So it has some
 * only while pages of it are in use, or it is about to be used, see
 * vsvm_pagemap_get().
 */

/* How often a full memory is tried to make room in. */
#define EVICT_TRIES		16
/* How many evictions may fail before a device that goes takes along what it has. */
#define REMOVE_TRIES		8
/* Allocations that are evicted together, so that their copies overlap. */
#define MAX_VICTIMS		4

static struct vsvm_alloc *to_alloc(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct vsvm_alloc, devmem);
}

static struct vsvm_alloc *page_to_alloc(struct page *page)
{
	struct drm_pagemap_zdd *zdd = drm_pagemap_page_zone_device_data(page);

	return to_alloc(container_of(zdd, struct drm_pagemap_devmem, zdd));
}

static struct vsvm_pagemap *page_to_vpagemap(struct page *page)
{
	return container_of(page_pgmap(page), struct vsvm_pagemap, pagemap);
}

/**
 * vsvm_pagemap_device_of() - The device that a page is on
 * @page: A device private page whose owner is that of a device of ours
 *
 * Return: the device.
 */
struct vsvm_device *vsvm_pagemap_device_of(struct page *page)
{
	return page_to_vpagemap(page)->vdev;
}

/* What is behind a device page. */
static struct page *backing_page(struct page *page)
{
	struct vsvm_pagemap *vpagemap = page_to_vpagemap(page);

	return vsvm_mem_page(&vpagemap->mem, PFN_PHYS(page_to_pfn(page)) -
			     vpagemap->pagemap.range.start);
}

/*
 * Reaching device memory
 */

static DRM_PAGEMAP_OWNER_LIST_DEFINE(owner_list);

static bool has_interconnect(struct drm_pagemap_peer *a,
			     struct drm_pagemap_peer *b)
{
	const struct vsvm_device *adev = a->private, *bdev = b->private;

	return adev->config.interconnect && bdev->config.interconnect;
}

static void leave_peers(struct drm_device *drm, void *data)
{
	drm_pagemap_release_owner(data);
}

/**
 * vsvm_pagemap_join_peers() - Find out whose memory a device can reach
 * @vdev: The device
 *
 * Sets the owner in &vsvm_device.peer, which is the same for devices that reach
 * each other's memory; NULL for one that has none and reaches none.
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_pagemap_join_peers(struct vsvm_device *vdev)
{
	int err;

	if (!vdev->config.mem_size && !vdev->config.interconnect)
		return 0;

	vdev->peer.private = vdev;
	err = drm_pagemap_acquire_owner(&vdev->peer, &owner_list,
					has_interconnect);
	return err ?: drmm_add_action_or_reset(&vdev->drm, leave_peers,
					       &vdev->peer);
}

static struct drm_pagemap_addr device_map(struct drm_pagemap *dpagemap,
					  struct device *dev, struct page *page,
					  unsigned int order,
					  enum dma_data_direction dir)
{
	struct vsvm_device *vdev = to_vsvm_pagemap(dpagemap)->vdev;
	dma_addr_t addr = vsvm_addr_make(backing_page(page));
	bool local = dev == vdev->drm.dev;

	/* Whoever else knows of the page is a peer, by the page's owner. */
	if (!local && !vdev->config.interconnect)
		addr = DMA_MAPPING_ERROR;

	vsvm_mem_touch(page_to_alloc(page));
	return drm_pagemap_addr_encode(addr, local ? VSVM_PROTO_LOCAL :
						     VSVM_PROTO_PEER,
				       order, dir);
}

/* Nothing was set up. The address ends with the allocation. */
static void device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
			 const struct drm_pagemap_addr *addr)
{
}

/*
 * Copies
 */

/* The side of a copy that isn't the engine's own memory; 0 for zeroes. */
static u64 other_side(const struct vsvm_pagemap *vpagemap,
		      const struct drm_pagemap_addr *addr)
{
	if (addr->hole)
		return 0;
	if (addr->proto != DRM_INTERCONNECT_SYSTEM)
		return addr->addr;

	return dma_to_phys(vpagemap->vdev->drm.dev, addr->addr);
}

/* Pages from a device page on that lie in the same block of memory. */
static unsigned long pages_in_block(const struct page *page, unsigned long npages)
{
	const unsigned long block = VSVM_MEM_BLOCK / PAGE_SIZE;

	return min(npages, block - page_to_pfn(page) % block);
}

/* Add @npages from a device page on, which may lie in several blocks of memory. */
static void add_segment(struct vsvm_copy *copy, struct page *page, u64 other,
			unsigned long npages)
{
	while (npages) {
		unsigned long n = pages_in_block(page, npages);
		u64 own = vsvm_addr_make(backing_page(page));

		if (copy->out)
			vsvm_copy_add(copy, own, other, n);
		else
			vsvm_copy_add(copy, other, own, n);
		page += n;
		npages -= n;
		if (other)
			other += n * PAGE_SIZE;
	}
}

/* How many segments add_segment() makes of @npages from a device page on. */
static unsigned int count_segments(const struct page *page, unsigned long npages)
{
	const unsigned long block = VSVM_MEM_BLOCK / PAGE_SIZE;

	return 1 + DIV_ROUND_UP(npages - pages_in_block(page, npages), block);
}

/* How many segments there will be. */
static unsigned int max_segments(struct page **pages,
				 const struct drm_pagemap_addr *addr,
				 unsigned long npages)
{
	unsigned int num = 0;

	for (unsigned long i = 0; i < npages; i += NR_PAGES(addr[i].order))
		if (pages[i])
			num += count_segments(pages[i], NR_PAGES(addr[i].order));

	return num;
}

static struct dma_fence *submit_copy(struct page **pages,
				     struct drm_pagemap_addr *addr,
				     unsigned long npages,
				     struct dma_fence *before, bool out)
{
	struct vsvm_pagemap *vpagemap = NULL;
	struct vsvm_copy *copy;

	copy = vsvm_copy_alloc(max_segments(pages, addr, npages), out);
	if (!copy)
		return ERR_PTR(-ENOMEM);

	for (unsigned long i = 0; i < npages; i += NR_PAGES(addr[i].order)) {
		if (!pages[i])
			continue;
		vpagemap = page_to_vpagemap(pages[i]);
		if (!out)
			vsvm_mem_touch(page_to_alloc(pages[i]));
		add_segment(copy, pages[i], other_side(vpagemap, &addr[i]),
			    NR_PAGES(addr[i].order));
	}

	return vsvm_copy_submit(vpagemap ? &vpagemap->copy : NULL, copy, before);
}

static struct dma_fence *submit_to_devmem(struct page **pages,
					  struct drm_pagemap_addr *addr,
					  unsigned long npages,
					  struct dma_fence *before)
{
	return submit_copy(pages, addr, npages, before, false);
}

static struct dma_fence *submit_to_ram(struct page **pages,
				       struct drm_pagemap_addr *addr,
				       unsigned long npages,
				       struct dma_fence *before)
{
	return submit_copy(pages, addr, npages, before, true);
}

/*
 * Allocations
 */

static void devmem_release(struct drm_pagemap_devmem *devmem)
{
	struct device *dev = devmem->dev;

	vsvm_mem_free(to_alloc(devmem));
	pm_runtime_put(dev);
}

static unsigned long block_pfn(const struct vsvm_pagemap *vpagemap,
			       const struct gpu_buddy_block *block)
{
	return PHYS_PFN(vpagemap->pagemap.range.start +
			gpu_buddy_block_offset(block));
}

/* For allocations of several pieces. Of others, the first page says it all. */
static int populate_devmem_pfn(struct drm_pagemap_devmem *devmem,
			       unsigned long npages, unsigned long *pfn)
{
	struct vsvm_pagemap *vpagemap = to_vsvm_pagemap(devmem->dpagemap);
	struct gpu_buddy_block *block;
	unsigned long n = 0;

	list_for_each_entry(block, &to_alloc(devmem)->blocks, link) {
		u64 size = gpu_buddy_block_size(&vpagemap->mem.buddy, block);
		unsigned long first = block_pfn(vpagemap, block);

		for (u64 i = 0; i < PHYS_PFN(size) && n < npages; i++)
			pfn[n++] = first + i;
	}

	return n == npages ? 0 : -EINVAL;
}

static const struct drm_pagemap_devmem_ops devmem_ops = {
	.devmem_release = devmem_release,
	.populate_devmem_pfn = populate_devmem_pfn,
	.submit_to_devmem = submit_to_devmem,
	.submit_to_ram = submit_to_ram,
};

/*
 * Evict, by @evict, what was not used for longest. Returns how many allocations were
 * tried, and in @err_out whether something is left of them.
 */
static unsigned int evict_some(struct vsvm_pagemap *vpagemap, u64 size,
			       int (*evict)(struct drm_pagemap_devmem **devmem,
					    unsigned int count), int *err_out)
{
	struct drm_pagemap_devmem *devmem[MAX_VICTIMS];
	struct vsvm_alloc *victims[MAX_VICTIMS];
	ktime_t begin = ktime_get();
	unsigned int num;
	int err;

	num = vsvm_mem_take_victims(&vpagemap->mem, size, victims, MAX_VICTIMS);
	if (!num)
		return 0;

	for (unsigned int i = 0; i < num; i++)
		devmem[i] = &victims[i]->devmem;
	err = evict(devmem, num);
	vsvm_mem_put_victims(&vpagemap->mem, victims, num);

	trace_vsvm_evict(vpagemap->vdev, num, size, err,
			 ktime_sub(ktime_get(), begin));
	*err_out = err;
	return num;
}

/* Who holds memory that isn't used yet, or not any more, is soon done with it. */
static int wait_for_release(struct vsvm_mem *mem, int allocs)
{
	long ret = wait_event_killable_timeout(mem->wq,
					       atomic_read(&mem->num_allocs) < allocs,
					       1 + HZ / 100);

	return ret < 0 ? -EINTR : 0;
}

/*
 * Others may be faster to take what was evicted, so there is an end to it: after so many
 * attempts none of which has brought what is in use below what it ever was.
 */
static struct vsvm_alloc *alloc_evicting(struct vsvm_pagemap *vpagemap, u64 size)
{
	struct vsvm_mem *mem = &vpagemap->mem;
	u64 used, lowest = U64_MAX;
	struct vsvm_alloc *alloc;
	int allocs, err = 0;

	ACQUIRE(mutex_kill, lock)(&vpagemap->evict_lock);
	if (ACQUIRE_ERR(mutex_kill, &lock))
		return ERR_PTR(-EINTR);

	for (int tries = 0; tries < EVICT_TRIES && err != -EINTR; tries++) {
		/* What was freed may be still on its way. */
		flush_work(&mem->free_work);
		allocs = atomic_read(&mem->num_allocs);
		alloc = vsvm_mem_alloc(mem, size);
		if (alloc != ERR_PTR(-ENOSPC) || !vpagemap->vdev->config.eviction)
			return alloc;

		used = vsvm_mem_used(mem);
		if (used < lowest) {
			lowest = used;
			tries = 0;
		}
		evict_some(vpagemap, size, drm_pagemap_evict_many, &err);
		if (err != -EINTR)
			err = wait_for_release(mem, allocs);
	}

	return ERR_PTR(err ?: -ENOSPC);
}

/*
 * The device has to be awake as long as there is something in its memory. Waking it
 * takes its time: who may not wait has to come again if it sleeps.
 */
static int device_get_awake(struct device *dev, bool may_wait)
{
	int ret;

	if (may_wait || !pm_runtime_enabled(dev))
		return pm_runtime_resume_and_get(dev);

	ret = pm_runtime_get_if_active(dev);
	return ret > 0 ? 0 : ret ?: -EBUSY;
}

static struct drm_pagemap_devmem *devmem_alloc(struct drm_pagemap *dpagemap,
					       struct mm_struct *mm, size_t size,
					       bool may_wait)
{
	struct vsvm_pagemap *vpagemap = to_vsvm_pagemap(dpagemap);
	struct device *dev = dpagemap->drm->dev;
	struct vsvm_alloc *alloc;
	int err;

	err = device_get_awake(dev, may_wait);
	if (err)
		return ERR_PTR(err);

	alloc = may_wait ? alloc_evicting(vpagemap, size) :
			   vsvm_mem_alloc(&vpagemap->mem, size);
	if (IS_ERR(alloc)) {
		pm_runtime_put(dev);
		return alloc == ERR_PTR(-ENOSPC) && !may_wait ?
		       ERR_PTR(-EBUSY) : ERR_CAST(alloc);
	}

	drm_pagemap_devmem_init(&alloc->devmem, dev, mm, &devmem_ops, dpagemap,
				size, NULL);
	alloc->devmem.fault_window = vpagemap->vdev->config.fault_window;
	if (list_is_singular(&alloc->blocks))
		alloc->devmem.first_pfn =
			block_pfn(vpagemap,
				  list_first_entry(&alloc->blocks,
						   struct gpu_buddy_block,
						   link));

	return &alloc->devmem;
}

/*
 * The pagemap
 */

/* Nothing is freed: it can be brought back to life as long as the device exists. */
static void pagemap_destroy(struct drm_pagemap *dpagemap,
			    bool is_atomic_or_reclaim)
{
	complete_all(&to_vsvm_pagemap(dpagemap)->idle);
}

static const struct drm_pagemap_ops pagemap_ops = {
	.device_map = device_map,
	.device_unmap = device_unmap,
	.devmem_alloc = devmem_alloc,
	.destroy = pagemap_destroy,
};

/**
 * vsvm_pagemap_get() - Take a reference in order to use the memory
 * @vpagemap: The memory; the caller has a reference to its device
 *
 * Return: the pagemap, for drm_pagemap_put(); or -ENOMEM, -ENODEV.
 */
struct drm_pagemap *vsvm_pagemap_get(struct vsvm_pagemap *vpagemap)
{
	struct drm_pagemap *dpagemap = &vpagemap->dpagemap;
	int err;

	guard(mutex)(&vpagemap->lock);

	if (drm_pagemap_get_unless_zero(dpagemap))
		return dpagemap;

	/* The last reference is gone, but maybe not yet who dropped it. */
	wait_for_completion(&vpagemap->idle);
	if (dpagemap->ops)
		err = drm_pagemap_reinit(dpagemap);
	else
		err = drm_pagemap_init(dpagemap, &vpagemap->pagemap,
				       &vpagemap->vdev->drm, &pagemap_ops);
	if (err)
		return ERR_PTR(err);

	reinit_completion(&vpagemap->idle);
	return dpagemap;
}

static int map_pages(struct vsvm_pagemap *vpagemap)
{
	struct dev_pagemap *pagemap = &vpagemap->pagemap;
	struct vsvm_device *vdev = vpagemap->vdev;
	struct resource *res;
	void *ret;

	res = devm_request_free_mem_region(vdev->drm.dev, &iomem_resource,
					   vpagemap->mem.size);
	if (IS_ERR(res))
		return PTR_ERR(res);

	pagemap->type = MEMORY_DEVICE_PRIVATE;
	pagemap->range.start = res->start;
	pagemap->range.end = res->end;
	pagemap->nr_range = 1;
	pagemap->owner = vdev->peer.owner;
	pagemap->ops = drm_pagemap_pagemap_ops_get();

	ret = devm_memremap_pages(vdev->drm.dev, pagemap);
	return PTR_ERR_OR_ZERO(ret);
}

static void mem_release(struct drm_device *drm, void *data)
{
	vsvm_mem_fini(data);
}

static void copy_release(struct drm_device *drm, void *data)
{
	vsvm_copy_engine_stop(data);
}

static int hardware_init(struct vsvm_pagemap *vpagemap)
{
	const struct vsvm_config *config = &vpagemap->vdev->config;
	struct drm_device *drm = &vpagemap->vdev->drm;
	int err;

	err = vsvm_mem_init(&vpagemap->mem, config->mem_size);
	if (err)
		return err;

	err = drmm_add_action_or_reset(drm, mem_release, &vpagemap->mem);
	if (err)
		return err;

	err = vsvm_copy_engine_init(&vpagemap->copy, dev_name(drm->dev),
				    config->copy_latency_us,
				    config->copy_bandwidth);
	if (err)
		return err;

	return drmm_add_action_or_reset(drm, copy_release, &vpagemap->copy);
}

/**
 * vsvm_pagemap_create() - Give a device its memory
 * @vdev: The device, not registered yet, that knows its peers
 *
 * The memory is released with the device.
 *
 * Return: the memory or an error pointer.
 */
struct vsvm_pagemap *vsvm_pagemap_create(struct vsvm_device *vdev)
{
	struct drm_device *drm = &vdev->drm;
	struct vsvm_pagemap *vpagemap;
	int err;

	vpagemap = drmm_kzalloc(drm, sizeof(*vpagemap), GFP_KERNEL);
	if (!vpagemap)
		return ERR_PTR(-ENOMEM);

	vpagemap->vdev = vdev;
	init_completion(&vpagemap->idle);
	complete_all(&vpagemap->idle);
	err = drmm_mutex_init(drm, &vpagemap->lock);
	if (!err)
		err = drmm_mutex_init(drm, &vpagemap->evict_lock);
	if (!err)
		err = hardware_init(vpagemap);
	if (!err)
		err = devm_pm_runtime_enable(drm->dev);
	if (!err)
		err = map_pages(vpagemap);

	return err ? ERR_PTR(err) : vpagemap;
}

/**
 * vsvm_pagemap_remove() - Take a device's memory away from all processes
 * @vpagemap: The memory of a device that was unplugged
 *
 * When it returns, everything is in system memory, but for what could not be copied
 * in a number of attempts: that is lost. A page that someone is at for the moment is
 * waited for, as devm_memremap_pages() would do later.
 */
void vsvm_pagemap_remove(struct vsvm_pagemap *vpagemap)
{
	struct vsvm_mem *mem = &vpagemap->mem;
	unsigned int failures = 0;

	while (atomic_read(&mem->num_allocs)) {
		int err = 0;

		evict_some(vpagemap, mem->size,
			   failures < REMOVE_TRIES ? drm_pagemap_evict_many :
						     drm_pagemap_abandon_many, &err);
		failures += err && err != -EBUSY && err != -EINTR;
		wait_event_timeout(mem->wq, !atomic_read(&mem->num_allocs), 1);
	}
}

/**
 * vsvm_pagemap_print() - Describe the memory
 * @vpagemap: The memory
 * @p: Where to
 */
void vsvm_pagemap_print(struct vsvm_pagemap *vpagemap, struct drm_printer *p)
{
	struct vsvm_mem *mem = &vpagemap->mem;
	struct vsvm_alloc *alloc;

	drm_printf(p, "used: %llu of %llu bytes in %d allocations\n",
		   vsvm_mem_used(mem), mem->size,
		   atomic_read(&mem->num_allocs));
	drm_printf(p, "evicted allocations: %lld\n",
		   atomic64_read(&mem->evictions));
	drm_printf(p, "copies: %lld, failed: %lld, bytes in: %lld, out: %lld\n",
		   atomic64_read(&vpagemap->copy.copies),
		   atomic64_read(&vpagemap->copy.failed),
		   atomic64_read(&vpagemap->copy.copied_in),
		   atomic64_read(&vpagemap->copy.copied_out));
	drm_pagemap_debugfs_info(&vpagemap->dpagemap, p);

	scoped_guard(mutex, &mem->lock)
		drm_buddy_print(&mem->buddy, p);

	drm_puts(p, "least recently used first:\n");
	guard(spinlock_irqsave)(&mem->lru_lock);
	list_for_each_entry(alloc, &mem->lru, lru)
		drm_printf(p, "  %llu KiB, tag %u\n", alloc->size / SZ_1K,
			   alloc->tag);
}
