/* SPDX-License-Identifier: MIT */
#ifndef _DRM_PAGEMAP_H_
#define _DRM_PAGEMAP_H_

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/dma-direction.h>
#include <linux/hmm.h>
#include <linux/kref.h>
#include <linux/memremap.h>
#include <linux/sizes.h>
#include <linux/types.h>

#define NR_PAGES(order) (1U << (order))

struct device;
struct dma_fence;
struct drm_device;
struct drm_pagemap;
struct drm_pagemap_cache;
struct drm_pagemap_dev_hold;
struct drm_pagemap_devmem;
struct drm_printer;
struct mm_struct;

/**
 * enum drm_interconnect_protocol - What the address of a segment means
 *
 * @DRM_INTERCONNECT_SYSTEM: a DMA address of system memory
 * @DRM_INTERCONNECT_DRIVER: a DMA or bus address that the driver chose
 */
enum drm_interconnect_protocol {
	DRM_INTERCONNECT_SYSTEM,
	DRM_INTERCONNECT_DRIVER,
	/* Drivers may use greater values for protocols of their own. */
};

/**
 * struct drm_pagemap_addr - Where a device finds a segment of memory
 * @addr: address, in the address space that @proto names
 * @taken: the segment was taken from the device and is about to be unmapped; never
 *	   set in what a driver may bind
 * @hole: the segment is not mapped; never set in what a driver may bind. For the copy
 *	  ops: there is no source, whatever @addr is; the pages have to read as zeroes
 * @proto: &enum drm_interconnect_protocol, or a driver's own value
 * @order: the segment is PAGE_SIZE << @order bytes long
 * @dir: &enum dma_data_direction it was mapped with
 */
struct drm_pagemap_addr {
	dma_addr_t addr;
	u64 taken : 1;
	u64 hole : 1;
	u64 proto : 52;
	u64 order : 8;
	u64 dir : 2;
};

/**
 * drm_pagemap_addr_writable() - Whether a segment lets the device write
 * @addr: the segment, mapped
 *
 * Return: true if it does; then its memory is marked as dirty.
 */
static inline bool drm_pagemap_addr_writable(const struct drm_pagemap_addr *addr)
{
	return addr->dir == DMA_BIDIRECTIONAL;
}

/**
 * drm_pagemap_addr_encode() - Make a segment address
 * @addr: address
 * @proto: what @addr means
 * @order: the segment is PAGE_SIZE << @order bytes long
 * @dir: direction it was mapped with
 *
 * Return: the four values in one struct.
 */
static inline struct drm_pagemap_addr
drm_pagemap_addr_encode(dma_addr_t addr,
			enum drm_interconnect_protocol proto,
			unsigned int order,
			enum dma_data_direction dir)
{
	return (struct drm_pagemap_addr) {
		.addr = addr,
		.proto = proto,
		.order = order,
		.dir = dir,
	};
}

/**
 * struct drm_pagemap_ops - What the provider of device memory implements
 *
 * A provider offers either @devmem_alloc and leaves the work of populating to
 * the core, or @populate_mm and does it itself.
 */
struct drm_pagemap_ops {
	/**
	 * @device_map: Make device memory reachable for a device (required)
	 *
	 * @dpagemap: the memory's pagemap
	 * @dev: the device that wants access; may be the memory's own
	 * @page: first page
	 * @order: PAGE_SIZE << @order bytes are wanted, physically contiguous
	 * @dir: direction of the access
	 *
	 * Called with the folio locked or under a notifier lock; must neither
	 * sleep nor allocate with reclaim.
	 *
	 * Return: the address for @dev, with &drm_pagemap_addr.addr set to
	 * DMA_MAPPING_ERROR where @dev has no way to the memory. Its protocol
	 * is not %DRM_INTERCONNECT_SYSTEM: the core would take it for RAM, and
	 * DMA unmap it in place of @device_unmap.
	 */
	struct drm_pagemap_addr (*device_map)(struct drm_pagemap *dpagemap,
					      struct device *dev,
					      struct page *page,
					      unsigned int order,
					      enum dma_data_direction dir);

	/**
	 * @device_unmap: Undo @device_map (required)
	 *
	 * @dpagemap: the memory's pagemap
	 * @dev: the device that had access
	 * @addr: what @device_map returned
	 *
	 * Called where @device_map is, and in the second pass of an
	 * invalidation, which may run in reclaim.
	 */
	void (*device_unmap)(struct drm_pagemap *dpagemap,
			     struct device *dev,
			     const struct drm_pagemap_addr *addr);

	/**
	 * @populate_mm: Move part of an mm into this memory (optional)
	 *
	 * @dpagemap: the memory's pagemap
	 * @start: first address, page aligned
	 * @end: address behind the last one, page aligned
	 * @mm: the mm; the caller has an mmget() reference and holds the mmap
	 * lock at least for reading
	 * @timeslice_ms: how long the CPU is asked to wait before it takes
	 * the memory back, in milliseconds
	 *
	 * For providers that do the work of drm_pagemap_populate_range()
	 * themselves. Best effort. The op takes its own references (runtime
	 * PM, drm_dev_enter()) and holds them as long as the pages are in use.
	 *
	 * Return: 0, -ENODEV once the device is gone, or another error.
	 */
	int (*populate_mm)(struct drm_pagemap *dpagemap,
			   unsigned long start, unsigned long end,
			   struct mm_struct *mm,
			   unsigned long timeslice_ms);

	/**
	 * @devmem_alloc: Allocate device memory (optional)
	 *
	 * @dpagemap: the memory's pagemap
	 * @mm: the mm that will use the memory, for accounting only
	 * @size: bytes, a multiple of PAGE_SIZE, at most HPAGE_PMD_SIZE where
	 * there are huge pages
	 * @may_wait: %true: the op may evict others and sleep for it, the mmap
	 * lock is not held. %false: folios are locked and copies
	 * are under way; the op must return -EBUSY instead of
	 * waiting for anything but a short mutex
	 *
	 * The op initialises the allocation with drm_pagemap_devmem_init() and
	 * takes what keeps the device usable (runtime PM) until
	 * &drm_pagemap_devmem_ops.devmem_release. Called inside
	 * drm_dev_enter().
	 *
	 * Return: the allocation, with a &drm_pagemap_devmem.size of exactly
	 * @size whatever the granularity of the device; ERR_PTR(-EBUSY) as
	 * said, ERR_PTR(-ENOSPC) where nothing can be evicted, or another
	 * error.
	 */
	struct drm_pagemap_devmem *(*devmem_alloc)(struct drm_pagemap *dpagemap,
						   struct mm_struct *mm,
						   size_t size, bool may_wait);

	/**
	 * @destroy: Free the pagemap
	 *
	 * @dpagemap: the pagemap
	 * @is_atomic_or_reclaim: the context may be atomic or reclaim
	 *
	 * Optional for a pagemap of drm_pagemap_create(), which is passed to
	 * kfree() without it. Required for one that the driver embeds.
	 *
	 * May be called after the device was unbound, so it must not release
	 * what devm has released. Work that it defers has to be flushed before
	 * the module goes.
	 */
	void (*destroy)(struct drm_pagemap *dpagemap,
			bool is_atomic_or_reclaim);
};

/**
 * enum drm_pagemap_stat - What a pagemap counts
 *
 * @DRM_PAGEMAP_STAT_TO_DEVMEM: pages moved into this memory
 * @DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE: those of them that moved in huge folios
 * @DRM_PAGEMAP_STAT_ZEROED: those of them that had no source, only zeroes
 * @DRM_PAGEMAP_STAT_LEFT: pages that were asked for and could not be moved
 * @DRM_PAGEMAP_STAT_TO_RAM: pages that a CPU fault brought back
 * @DRM_PAGEMAP_STAT_EVICTED: pages that an eviction brought back
 * @DRM_PAGEMAP_STAT_SPLIT: huge folios that came back as small pages
 * @DRM_PAGEMAP_STAT_CPU_FAULTS: CPU faults on this memory
 * @DRM_PAGEMAP_STAT_TIMESLICE_WAITS: CPU faults that slept out a timeslice
 * @DRM_PAGEMAP_STAT_FAILED: copies, mappings and allocations that failed
 * @DRM_PAGEMAP_STAT_LOST: pages that were lost with the device
 * @DRM_PAGEMAP_STAT_COUNT: number of counters
 */
enum drm_pagemap_stat {
	DRM_PAGEMAP_STAT_TO_DEVMEM,
	DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE,
	DRM_PAGEMAP_STAT_ZEROED,
	DRM_PAGEMAP_STAT_LEFT,
	DRM_PAGEMAP_STAT_TO_RAM,
	DRM_PAGEMAP_STAT_EVICTED,
	DRM_PAGEMAP_STAT_SPLIT,
	DRM_PAGEMAP_STAT_CPU_FAULTS,
	DRM_PAGEMAP_STAT_TIMESLICE_WAITS,
	DRM_PAGEMAP_STAT_FAILED,
	DRM_PAGEMAP_STAT_LOST,
	DRM_PAGEMAP_STAT_COUNT
};

/**
 * struct drm_pagemap - A region of device memory that an mm can use
 * @ops: the provider's operations
 * @ref: reference count; device pages in use hold one for their allocation
 * @drm: the device that provides the memory
 * @pagemap: the memory's &struct dev_pagemap
 * @dev_hold: reference to @drm and its module while @ref is not zero
 * @cache: cache of the pagemap, or NULL
 * @shrink_link: link in the shrinker's list of unused pagemaps, with @cache
 * @stats: counters, by &enum drm_pagemap_stat
 */
struct drm_pagemap {
	const struct drm_pagemap_ops *ops;
	struct kref ref;
	struct drm_device *drm;
	struct dev_pagemap *pagemap;
	struct drm_pagemap_dev_hold *dev_hold;
	struct drm_pagemap_cache *cache;
	struct list_head shrink_link;
	atomic64_t stats[DRM_PAGEMAP_STAT_COUNT];
};

/**
 * struct drm_pagemap_devmem_ops - Operations on an allocation of device memory
 *
 * For each direction one of the copy and submit ops is required, and
 * @populate_devmem_pfn unless the allocation has &drm_pagemap_devmem.first_pfn.
 *
 * The copy and submit ops of a direction take the same arguments. Entry i of
 * @pages is a device page, entry i of @pagemap_addr the other side of its copy.
 * An entry with an order stands for the whole segment, whose device pages are
 * contiguous. The entries behind it, and those of pages that stay, mean nothing:
 * there is neither a page nor an address, so the ops may as well step through
 * the entries one by one and skip these. To devmem, an entry with a page and with
 * &drm_pagemap_addr.hole has no source: the page has to read as zeroes afterwards
 * (nothing to do where allocations are handed out zeroed). Its address is 0, but
 * others may have that as well.
 *
 * Nothing of a copy may be under way any more once an op has returned an error, or
 * its fence has signaled one: the core unmaps the addresses at once, and the pages
 * become somebody else's.
 */
struct drm_pagemap_devmem_ops {
	/**
	 * @devmem_release: Give an allocation back (optional)
	 * @devmem_allocation: the allocation; no page of it is in use any more
	 *
	 * May be called from any context in which a page is freed, interrupts
	 * included: what sleeps has to be deferred. The op puts
	 * &drm_pagemap_devmem.pre_migrate_fence where it is not NULL.
	 */
	void (*devmem_release)(struct drm_pagemap_devmem *devmem_allocation);

	/**
	 * @populate_devmem_pfn: List the pages of an allocation
	 * @devmem_allocation: the allocation
	 * @npages: number of entries
	 * @pfn: filled with the page frame numbers of the first @npages pages
	 *
	 * Huge folios are used where the numbers are contiguous and aligned,
	 * small ones elsewhere.
	 *
	 * Return: 0 or a negative error.
	 */
	int (*populate_devmem_pfn)(struct drm_pagemap_devmem *devmem_allocation,
				   unsigned long npages, unsigned long *pfn);

	/**
	 * @copy_to_devmem: Copy into device memory and wait for it
	 * @pages: device pages, the destination
	 * @pagemap_addr: addresses of the source
	 * @npages: number of entries
	 * @pre_migrate_fence: has to signal before the first write, or NULL
	 *
	 * Return: 0 once everything is copied, or a negative error.
	 */
	int (*copy_to_devmem)(struct page **pages,
			      struct drm_pagemap_addr *pagemap_addr,
			      unsigned long npages,
			      struct dma_fence *pre_migrate_fence);

	/**
	 * @copy_to_ram: Copy out of device memory and wait for it
	 * @pages: device pages, the source
	 * @pagemap_addr: addresses of the destination: system memory, or a
	 * peer's memory that was mapped for this device
	 * @npages: number of entries
	 * @pre_migrate_fence: has to signal before the first read, or NULL
	 *
	 * Return: 0 once everything is copied, or a negative error.
	 */
	int (*copy_to_ram)(struct page **pages,
			   struct drm_pagemap_addr *pagemap_addr,
			   unsigned long npages,
			   struct dma_fence *pre_migrate_fence);

	/**
	 * @submit_to_devmem: Start a copy into device memory
	 * @pages: as for @copy_to_devmem; the array is valid during the call
	 * @pagemap_addr: as for @copy_to_devmem; valid during the call
	 * @npages: number of entries
	 * @pre_migrate_fence: as for @copy_to_devmem
	 *
	 * Instead of @copy_to_devmem, so that the CPU prepares the next chunk
	 * while the device copies this one. The addresses themselves stay
	 * mapped until the fence has signaled.
	 *
	 * Return: a fence reference, with an error set where the copy failed,
	 * NULL where nothing is left to wait for, or an ERR_PTR(). With the last
	 * there is no fence to wait for: what was started before the error has
	 * to be stopped, or waited for by the op.
	 */
	struct dma_fence *(*submit_to_devmem)(struct page **pages,
					      struct drm_pagemap_addr *pagemap_addr,
					      unsigned long npages,
					      struct dma_fence *pre_migrate_fence);

	/**
	 * @submit_to_ram: Start a copy out of device memory
	 * @pages: as for @copy_to_ram; the array is valid during the call
	 * @pagemap_addr: as for @copy_to_ram; valid during the call
	 * @npages: number of entries
	 * @pre_migrate_fence: as for @copy_to_ram
	 *
	 * Return: as for @submit_to_devmem.
	 */
	struct dma_fence *(*submit_to_ram)(struct page **pages,
					   struct drm_pagemap_addr *pagemap_addr,
					   unsigned long npages,
					   struct dma_fence *pre_migrate_fence);
};

/**
 * struct drm_pagemap_zdd - Zone device data: what a device page points to
 * @refcount: one for each folio of the allocation, one while it is populated
 * @dpagemap: referenced pagemap of the folios; outlives the allocation
 */
struct drm_pagemap_zdd {
	struct kref refcount;
	struct drm_pagemap *dpagemap;
};

/* What a CPU fault brings back of an allocation that the devmem_alloc op has made. */
#define DRM_PAGEMAP_FAULT_WINDOW	SZ_64K

/**
 * struct drm_pagemap_devmem - An allocation of device memory
 *
 * Embedded in the driver's own object and set up by drm_pagemap_devmem_init().
 * It serves one migration: its pages go to an mm once, and the last of them
 * to come back releases it.
 *
 * @dev: device that owns the memory and copies to and from it
 * @mm: the mm it was allocated for; neither referenced nor used by the core,
 *      since its pages may outlive it in another mm after a fork
 * @detached: completes when the last page has left
 * @ops: operations
 * @dpagemap: pagemap of the memory
 * @size: bytes
 * @first_pfn: number of the first page of a physically contiguous allocation; 0:
 *             ask &drm_pagemap_devmem_ops.populate_devmem_pfn. The driver may
 *             set it after drm_pagemap_devmem_init()
 * @timeslice_expiration: CPU faults wait until then, in jiffies
 * @pre_migrate_fence: fence before the first copy, or NULL; if it signals an error,
 *                     the memory is not used
 * @zdd: what the pages point to
 * @fault_window: bytes that one CPU fault brings back at least, a power of two:
 *                %DRM_PAGEMAP_FAULT_WINDOW, or without
 *                &drm_pagemap_ops.devmem_alloc all of the allocation, up to a
 *                huge page; the driver may change it after
 *                drm_pagemap_devmem_init()
 * @readahead: number of windows that the next CPU fault brings back, grows
 *             while faults are sequential
 * @next_fault: CPU address where a sequential reader will fault next
 */
struct drm_pagemap_devmem {
	struct device *dev;
	struct mm_struct *mm;
	struct completion detached;
	const struct drm_pagemap_devmem_ops *ops;
	struct drm_pagemap *dpagemap;
	size_t size;
	unsigned long first_pfn;
	u64 timeslice_expiration;
	struct dma_fence *pre_migrate_fence;
	struct drm_pagemap_zdd zdd;
	u32 fault_window;
	u32 readahead;
	unsigned long next_fault;
};

/**
 * struct drm_pagemap_migrate_stats - What a migration did, in pages
 * @moved: moved to where they were wanted
 * @resident: there already
 * @left: left where they are: pinned, busy, not anonymous, or of a foreign
 *        device
 */
struct drm_pagemap_migrate_stats {
	unsigned long moved;
	unsigned long resident;
	unsigned long left;
};

/**
 * struct drm_pagemap_migrate_details - How to migrate
 * @timeslice_ms: how long CPU faults wait before they take the memory back,
 *                in milliseconds
 * @can_migrate_same_pagemap: the copy ops can copy within the pagemap, so
 *                            pages that are there already may move again
 * @stats: added to, or NULL: then drm_pagemap_migrate_to_devmem() moves all
 *         or nothing
 */
struct drm_pagemap_migrate_details {
	unsigned long timeslice_ms;
	u32 can_migrate_same_pagemap : 1;
	struct drm_pagemap_migrate_stats *stats;
};

/* Kept in the zone device data of a folio whose contents have moved on. */
#define DRM_PAGEMAP_ZDD_FLAG_MIGRATED	BIT(0)
#define DRM_PAGEMAP_ZDD_FLAG_MASK	DRM_PAGEMAP_ZDD_FLAG_MIGRATED

#if IS_ENABLED(CONFIG_ZONE_DEVICE)

int drm_pagemap_init(struct drm_pagemap *dpagemap,
		     struct dev_pagemap *pagemap,
		     struct drm_device *drm,
		     const struct drm_pagemap_ops *ops);

struct drm_pagemap *drm_pagemap_create(struct drm_device *drm,
				       struct dev_pagemap *pagemap,
				       const struct drm_pagemap_ops *ops);

int drm_pagemap_reinit(struct drm_pagemap *dpagemap);

void drm_pagemap_put(struct drm_pagemap *dpagemap);

void drm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim);

struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page);

const struct dev_pagemap_ops *drm_pagemap_pagemap_ops_get(void);

void drm_pagemap_devmem_init(struct drm_pagemap_devmem *devmem_allocation,
			     struct device *dev, struct mm_struct *mm,
			     const struct drm_pagemap_devmem_ops *ops,
			     struct drm_pagemap *dpagemap, size_t size,
			     struct dma_fence *pre_migrate_fence);

int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails);

int drm_pagemap_populate_mm(struct drm_pagemap *dpagemap,
			    unsigned long start, unsigned long end,
			    struct mm_struct *mm,
			    unsigned long timeslice_ms);

int drm_pagemap_populate_range(struct drm_pagemap *dpagemap,
			       unsigned long start, unsigned long end,
			       struct mm_struct *mm,
			       const struct drm_pagemap_migrate_details *mdetails);

int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation);

int drm_pagemap_evict_many(struct drm_pagemap_devmem **devmem, unsigned int count);

int drm_pagemap_abandon_many(struct drm_pagemap_devmem **devmem, unsigned int count);

void drm_pagemap_debugfs_info(struct drm_pagemap *dpagemap, struct drm_printer *p);

/**
 * drm_pagemap_page_zone_device_data() - What a device page points to
 * @page: a page of a folio that was populated by a pagemap
 *
 * Return: the zone device data, without the flags that share the pointer.
 */
static inline struct drm_pagemap_zdd *drm_pagemap_page_zone_device_data(struct page *page)
{
	unsigned long data = (unsigned long)folio_zone_device_data(page_folio(page));

	return (struct drm_pagemap_zdd *)(data & ~DRM_PAGEMAP_ZDD_FLAG_MASK);
}

/**
 * drm_pagemap_has_page() - Whether a device page came from a pagemap of DRM
 * @page: a page of any device's memory
 *
 * Only then may the other functions for pages be asked about it.
 *
 * Return: true if it did.
 */
static inline bool drm_pagemap_has_page(struct page *page)
{
	return page_pgmap(page)->ops == drm_pagemap_pagemap_ops_get();
}

#else

static inline struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page)
{
	return NULL;
}

static inline void drm_pagemap_put(struct drm_pagemap *dpagemap)
{
}

static inline struct drm_pagemap_zdd *drm_pagemap_page_zone_device_data(struct page *page)
{
	return NULL;
}

static inline bool drm_pagemap_has_page(struct page *page)
{
	return false;
}

#endif /* IS_ENABLED(CONFIG_ZONE_DEVICE) */

/**
 * drm_pagemap_get() - Take a reference
 * @dpagemap: the pagemap, or NULL
 *
 * Return: @dpagemap.
 */
static inline struct drm_pagemap *
drm_pagemap_get(struct drm_pagemap *dpagemap)
{
	if (likely(dpagemap))
		kref_get(&dpagemap->ref);

	return dpagemap;
}

/**
 * drm_pagemap_get_unless_zero() - Take a reference if there still is one
 * @dpagemap: the pagemap, or NULL
 *
 * Return: @dpagemap, or NULL if it is on its way out.
 */
static inline struct drm_pagemap * __must_check
drm_pagemap_get_unless_zero(struct drm_pagemap *dpagemap)
{
	return (dpagemap && kref_get_unless_zero(&dpagemap->ref)) ? dpagemap : NULL;
}

#endif
