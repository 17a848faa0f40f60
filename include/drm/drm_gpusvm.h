/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * GPU shared virtual memory: mirror a process's address space on devices.
 *
 * Who owns what:
 *
 *   struct drm_gpusvm		embedded in the driver's VM; one per mirrored mm
 *   struct drm_gpusvm_notifier	the core's; one per aligned window of the mm
 *   struct drm_gpusvm_range	the core's, reference counted; a chunk of VA
 *   struct drm_gpusvm_pages	the driver's; a chunk's mapping for one device
 *
 * The "Overview" and "Locking" sections in drm_gpusvm.c say how they work
 * together, its "Examples" section shows a driver.
 */

#ifndef __DRM_GPUSVM_H__
#define __DRM_GPUSVM_H__

#include <linux/atomic.h>
#include <linux/dma-mapping.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>

#include <drm/drm_pagemap.h>

struct dev_pagemap;
struct drm_device;
struct drm_gpusvm;
struct drm_gpusvm_notifier;
struct drm_gpusvm_range;
struct seq_file;

/**
 * struct drm_gpusvm_ops - What a driver does for its GPU SVM
 *
 * A driver provides either @invalidate (one pass) or both of
 * @invalidate_start and @invalidate_finish (two passes). All other operations
 * are optional.
 */
struct drm_gpusvm_ops {
	/**
	 * @notifier_alloc: Allocate the driver structure that embeds a notifier
	 *
	 * Optional; by default the core allocates a bare notifier. The memory
	 * must be zeroed. May sleep.
	 *
	 * Return: the embedded notifier, or NULL when out of memory.
	 */
	struct drm_gpusvm_notifier *(*notifier_alloc)(void);

	/**
	 * @notifier_free: Free what @notifier_alloc returned
	 * @notifier: The notifier; nothing refers to it any more
	 *
	 * Called without locks of the core's held.
	 */
	void (*notifier_free)(struct drm_gpusvm_notifier *notifier);

	/**
	 * @range_alloc: Allocate the driver structure that embeds a range
	 * @gpusvm: The GPU SVM that the range is for
	 *
	 * Optional; by default the core allocates a bare range. The memory must
	 * be zeroed. The driver calls drm_gpusvm_init_pages() on each pages
	 * object that it keeps with the range. Called with the mmap lock held
	 * for reading; may sleep.
	 *
	 * Return: the embedded range, or NULL when out of memory.
	 */
	struct drm_gpusvm_range *(*range_alloc)(struct drm_gpusvm *gpusvm);

	/**
	 * @range_free: Free what @range_alloc returned
	 * @range: The range; its last reference is gone
	 *
	 * Calls drm_gpusvm_free_pages() on each pages object of the range. May
	 * sleep; the notifier lock is not held. After drm_gpusvm_fini() this may
	 * be what frees the GPU SVM.
	 *
	 * A fault that finds another one to have been faster frees the range
	 * that it has made with the mmap lock held for reading. So the op takes
	 * no lock that is held where the mmap lock is taken. Such a range has
	 * no &drm_gpusvm_range.notifier.
	 */
	void (*range_free)(struct drm_gpusvm_range *range);

	/**
	 * @invalidate: Take CPU pages away from the device, in one pass
	 * @gpusvm: The GPU SVM
	 * @notifier: The notifier whose window is hit; at least one of its
	 * ranges overlaps @mmu_range
	 * @mmu_range: What the CPU is about to change
	 *
	 * Zaps the device's page table entries, waits until the device can't
	 * use them, and calls drm_gpusvm_unmap_pages() with
	 * &drm_gpusvm_ctx.in_notifier set on the pages of each overlapping
	 * range. That unmaps the whole range. So the whole range is zapped
	 * before, what lies outside of @mmu_range included. Called with the
	 * notifier lock held for writing, so no other range of this GPU SVM
	 * can be mapped or committed while it waits.
	 */
	void (*invalidate)(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range);

	/**
	 * @invalidate_start: First pass: zap, and start the device's flush
	 * @gpusvm: The GPU SVM
	 * @notifier: The notifier whose window is hit; at least one of its
	 * ranges overlaps @mmu_range
	 * @mmu_range: What the CPU is about to change
	 *
	 * Zaps the device's page table entries, starts flushing its caches of
	 * them without waiting, and calls drm_gpusvm_unmap_pages_deferred() on
	 * the pages of each overlapping range. That takes the whole range. So
	 * the whole range is zapped and flushed, what lies outside of
	 * @mmu_range included. drm_gpusvm_unmap_part_deferred() takes less,
	 * and tells what. Called with the notifier lock held for writing; must
	 * not wait for hardware.
	 *
	 * Return: true if there is a flush to wait for, be it one that was sent
	 * before. Where pages were taken away there is a second pass in any case.
	 */
	bool (*invalidate_start)(struct drm_gpusvm *gpusvm,
				 struct drm_gpusvm_notifier *notifier,
				 const struct mmu_notifier_range *mmu_range);

	/**
	 * @invalidate_finish: Second pass: wait for what the first one started
	 * @gpusvm: The GPU SVM
	 * @notifier: The notifier
	 *
	 * Returns when no device can use a translation that @invalidate_start
	 * zapped in this notifier's window before the call; the core then DMA
	 * unmaps the deferred pages. The notifier lock is not held, so the rest
	 * of the address space goes on meanwhile. Runs where memory is
	 * reclaimed: it must not allocate with __GFP_DIRECT_RECLAIM, nor take a
	 * lock under which that is done.
	 *
	 * It must not unmap, get or free pages, nor put or remove a range: these
	 * wait for &drm_gpusvm_notifier.finish_lock, which is held, or for the
	 * end of the invalidation.
	 */
	void (*invalidate_finish)(struct drm_gpusvm *gpusvm,
				  struct drm_gpusvm_notifier *notifier);
};

/* How many invalidations a notifier remembers, a power of two. */
#define DRM_GPUSVM_NOTIFIER_LOG		8

/**
 * struct drm_gpusvm_notifier - A window of the address space that is watched
 *
 * Exists while it has ranges, and as long as anyone holds one of them.
 *
 * @gpusvm: The GPU SVM
 * @ops: Its operations; they outlive it, as the notifier may
 * @notifier: The MMU interval notifier that covers the window
 * @itree: The window's interval, in &drm_gpusvm.root
 * @entry: The window's place in &drm_gpusvm.notifier_list
 * @root: The window's ranges by address
 * @range_list: The same ranges as a list, in the order of their addresses
 * @refcount: One reference for being in the tree, one for each of its ranges
 * @finish: The second pass as the MM knows it; in use while @finish_busy is set
 * @finish_busy: Bit 0: @finish is with the MM, a concurrent invalidation of the
 *		 same window does its second pass at once
 * @finish_lock: Held while a second pass waits for the devices and unmaps
 * @deferred: Pages that a first pass took away and a second has yet to unmap;
 *	      taken off with @finish_lock held
 * @nr_deferred: Pages objects that are not unmapped yet, whether on @deferred
 *		 or in the hands of a running second pass
 * @log: Where the last invalidations were, indexed by their count
 * @log.start: First address
 * @log.end: Address behind the last
 * @nr_invalidations: How many there were; written under the notifier lock
 * @asked_at: How many there were when a first pass has last sent a flush; written under
 *	      the notifier lock
 * @flushed_at: How many there were when the last flush to be waited for was begun;
 *		under @finish_lock
 * @flags: Flags of the notifier
 * @flags.removed: @notifier was removed from the MM
 */
struct drm_gpusvm_notifier {
	struct drm_gpusvm *gpusvm;
	const struct drm_gpusvm_ops *ops;
	struct mmu_interval_notifier notifier;
	struct interval_tree_node itree;
	struct list_head entry;
	struct rb_root_cached root;
	struct list_head range_list;
	struct kref refcount;
	struct mmu_interval_notifier_finish finish;
	unsigned long finish_busy;
	struct mutex finish_lock;
	struct llist_head deferred;
	atomic_t nr_deferred;
	struct {
		unsigned long start;
		unsigned long end;
	} log[DRM_GPUSVM_NOTIFIER_LOG];
	unsigned long nr_invalidations;
	unsigned long asked_at;
	unsigned long flushed_at;
	struct {
		u32 removed : 1;
	} flags;
};

/**
 * struct drm_gpusvm_pages_flags - Device flags of a pages object
 *
 * Written as a whole with WRITE_ONCE() under the notifier lock, so an advisory
 * check may read them without it, by drm_gpusvm_pages_read_flags().
 *
 * @unmapped: The CPU unmapped the memory; it can't be got any more
 * @has_devmem_pages: Some of the mapped pages are device memory
 * @has_dma_mapping: The pages are mapped and may be bound
 * @writable: All of the segments that are mapped let the device write
 * @has_gaps: Some of the segments are not mapped: an invalidation has taken them, or
 *	      they could not be had. Excludes @has_dma_mapping
 * @may_bounce: The device may have a copy of the memory while it is mapped. Never
 *		changes, see drm_gpusvm_init_pages_may_bounce()
 * @__flags: All flags
 */
struct drm_gpusvm_pages_flags {
	union {
		struct {
			u16 unmapped : 1;
			u16 has_devmem_pages : 1;
			u16 has_dma_mapping : 1;
			u16 writable : 1;
			u16 has_gaps : 1;
			u16 may_bounce : 1;
		};
		u16 __flags;
	};
};

/**
 * struct drm_gpusvm_pages - The mapping of a piece of an mm for one device
 *
 * Embedded by the driver, zeroed, initialised with drm_gpusvm_init_pages() and
 * not moved afterwards. Get, unmap outside of the notifier, and free of one
 * pages object exclude each other by a lock of the driver; pages objects do not
 * disturb one another.
 *
 * @drm: The device that the pages are mapped for; NULL if never initialised
 * @dma_addr: The mapping: @nr_addrs entries in the order of the virtual
 *	      addresses, each for PAGE_SIZE << order bytes
 * @dpagemap: The device memory that the entries which are not of protocol
 *	      DRM_INTERCONNECT_SYSTEM belong to, with a reference; or NULL
 * @notifier_seq: The MMU interval notifier's sequence that the mapping was last
 *		  known to be good at
 * @nr_addrs: Entries of @dma_addr that are in use
 * @npages: Number of pages that were mapped when all were
 * @nr_missing: Number of those that are taken or gaps now
 * @flags: Flags, see &struct drm_gpusvm_pages_flags
 */
struct drm_gpusvm_pages {
	struct drm_device *drm;
	struct drm_pagemap_addr *dma_addr;
	struct drm_pagemap *dpagemap;
	unsigned long notifier_seq;
	unsigned int nr_addrs;
	unsigned int npages;
	unsigned int nr_missing;
	struct drm_gpusvm_pages_flags flags;

	/* private: */
	/*
	 * For the core alone:
	 *
	 * nr_takes: How often some were taken since all were mapped
	 * max_addrs: Entries of dma_addr that there is room for
	 * nr_filled: Entries there will be once the get that is at work has filled a gap;
	 *	      0 if these pages don't have it
	 * single_addr: Where dma_addr points to when one entry is enough
	 * state: The IOVA space of the system pages, where the device has one
	 * state_offset: Where the first page has its place in state, in bytes
	 * deferred_link: Links the pages into &drm_gpusvm_notifier.deferred
	 * deferred_by: The notifier whose second pass will unmap; NULL if none
	 * deferred_at: How many invalidations deferred_by had when one of them took any of
	 *		the pages last
	 * gap_at: No segment before this one is a gap or taken
	 * gap_page: Index of its first page
	 * taken_first: No segment before this one is taken
	 * taken_end: Nor this one, nor one behind it
	 * fill_first: First segment of that gap
	 * fill_count: Number of its segments; pages without a mapping have none
	 */
	u16 nr_takes;
	unsigned int max_addrs;
	unsigned int nr_filled;
	struct drm_pagemap_addr single_addr;
	struct dma_iova_state state;
	unsigned long state_offset;
	struct llist_node deferred_link;
	struct drm_gpusvm_notifier *deferred_by;
	unsigned long deferred_at;
	unsigned int gap_at;
	unsigned int gap_page;
	unsigned int taken_first;
	unsigned int taken_end;
	unsigned int fill_first;
	unsigned int fill_count;
};

/**
 * struct drm_gpusvm_range_flags - MM flags of a range
 *
 * Written as a whole with WRITE_ONCE() under the notifier lock (held for
 * writing, but for @migrate_devmem, which is set before anyone sees the range),
 * so an advisory check may read them without it, by drm_gpusvm_range_read_flags().
 *
 * @migrate_devmem: The memory can migrate to device memory
 * @unmapped: The CPU unmapped some or all of it
 * @partial_unmap: The CPU unmapped some of it
 * @removed: The range was removed from its notifier
 * @__flags: All flags
 */
struct drm_gpusvm_range_flags {
	union {
		struct {
			u16 migrate_devmem	: 1;
			u16 unmapped		: 1;
			u16 partial_unmap	: 1;
			u16 removed		: 1;
		};
		u16 __flags;
	};
};

/**
 * struct drm_gpusvm_range - A chunk of the address space that devices may map
 *
 * @gpusvm: The GPU SVM
 * @notifier: The notifier whose window the range lies in, with a reference
 * @refcount: One reference for being in the tree, and those of drivers
 * @flags: Flags, see &struct drm_gpusvm_range_flags
 * @itree: The range's interval, in &drm_gpusvm_notifier.root
 * @entry: The range's place in &drm_gpusvm_notifier.range_list
 */
struct drm_gpusvm_range {
	struct drm_gpusvm *gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct kref refcount;
	struct drm_gpusvm_range_flags flags;
	struct interval_tree_node itree;
	struct list_head entry;
};

/**
 * struct drm_gpusvm_stats - What a GPU SVM did so far
 *
 * @ranges: Ranges that exist now
 * @notifiers: Notifiers that exist now
 * @gets: Pages objects that were mapped
 * @gets_valid: Requests for pages that were mapped already
 * @walks: Walks of the CPU's page tables
 * @faults: Walks that had to fault pages in
 * @retries: Walks that an invalidation made useless
 * @segments: Address entries that were mapped
 * @pages: Pages that these entries cover
 * @fills: Gaps of pages objects that were mapped again
 * @parts: Invalidations that took a part of a pages object
 * @unmaps: Pages objects that were unmapped
 * @invalidations: Invalidations that hit a range
 * @invalidations_idle: Invalidations that hit no range
 * @evictions: Ranges that were moved back to RAM
 */
struct drm_gpusvm_stats {
	atomic_long_t ranges;
	atomic_long_t notifiers;
	atomic_long_t gets;
	atomic_long_t gets_valid;
	atomic_long_t walks;
	atomic_long_t faults;
	atomic_long_t retries;
	atomic_long_t segments;
	atomic_long_t pages;
	atomic_long_t fills;
	atomic_long_t parts;
	atomic_long_t unmaps;
	atomic_long_t invalidations;
	atomic_long_t invalidations_idle;
	atomic_long_t evictions;
};

/* How many owners of device private pages a GPU SVM remembers. */
#define DRM_GPUSVM_MAX_OWNERS		4

/**
 * struct drm_gpusvm - The mirror of an address space
 *
 * Embedded in the driver's VM, whose reference count serves both. Knows no
 * device: what is mapped for a device is in &struct drm_gpusvm_pages.
 *
 * @name: Name for messages, traces and debugfs
 * @mm: The mirrored mm, pinned with mmgrab(); NULL in userptr mode
 * @mm_start: First address that is mirrored
 * @mm_range: Size of the part that is mirrored; the bounds are half open
 * @notifier_size: Size of a notifier's window, a power of two
 * @ops: The driver's operations
 * @chunk_sizes: Sizes that a range can have, powers of two in descending order
 * @num_chunks: Number of entries in @chunk_sizes
 * @notifier_lock: What protects trees, flags and mappings from invalidations
 * @root: The notifiers by address
 * @notifier_list: The same notifiers as a list, in the order of their addresses
 * @pfn_cache: A buffer for walks of up to the size of a huge page, or NULL
 *	       while a walk uses it
 * @owners: The owners of device private pages that ranges were looked up with; an
 *	    eviction looks for their pages
 * @nr_owners: How many there are; more than %DRM_GPUSVM_MAX_OWNERS if they are too many
 *	       to be remembered. Written under @notifier_lock held for writing, after
 *	       the owner that it counts
 * @stats: Counters
 */
struct drm_gpusvm {
	const char *name;
	struct mm_struct *mm;
	unsigned long mm_start;
	unsigned long mm_range;
	unsigned long notifier_size;
	const struct drm_gpusvm_ops *ops;
	const unsigned long *chunk_sizes;
	int num_chunks;
	struct rw_semaphore notifier_lock;
	struct rb_root_cached root;
	struct list_head notifier_list;
	unsigned long *pfn_cache;
	void *owners[DRM_GPUSVM_MAX_OWNERS];
	unsigned int nr_owners;
	struct drm_gpusvm_stats stats;
#ifdef CONFIG_LOCKDEP
	/**
	 * @lock_dep_map: The driver's lock that serialises lookup and removal
	 * of ranges, where it has one; see drm_gpusvm_driver_set_lock()
	 */
	struct lockdep_map *lock_dep_map;
#endif
};

/**
 * struct drm_gpusvm_ctx - How an operation is to be done
 *
 * @device_private_page_owner: Owner of the device private pages that may stay
 *			       where they are; those of others move to RAM
 * @check_pages_threshold: A chunk of more than a page and at most this size is
 *			   chosen only if all its CPU pages are present; bytes
 * @timeslice_ms: For the driver to note how long memory is to stay with the device, in
 *		  milliseconds. The core doesn't read it: the time counts when the driver
 *		  passes it to drm_pagemap_populate_mm()
 * @fault_addr: The address that @partial is about
 * @in_notifier: Called from &drm_gpusvm_ops.invalidate
 * @read_only: The device only reads. Needs no more than read permission,
 *	       breaks no copy-on-write, and maps with DMA_TO_DEVICE
 * @devmem_possible: Device memory can be used
 * @devmem_only: Only device memory will do, whichever device has it. What is mapped
 *		 already stays mapped, be it system memory
 * @allow_mixed: System pages and pages of one drm_pagemap may be mapped
 *		 together
 * @partial: The page at @fault_addr has to be had, and the others if they can be: what
 *	     is read-only, behind the end of a file, broken, of an unknown device, out of
 *	     the device's reach, or has another process to wait for, is left out. The
 *	     driver binds what is there
 * @alone: With @partial, that page only. It is mapped as a segment of its own, so what
 *	   the CPU does to its neighbours leaves it to the device
 * @may_write: The device may come to write, although @read_only says that it does not
 *	       yet. Pages that are all writable for the CPU, and dirty or sure to be
 *	       kept anyway, are mapped for writing
 */
struct drm_gpusvm_ctx {
	void *device_private_page_owner;
	unsigned long check_pages_threshold;
	unsigned long timeslice_ms;
	unsigned long fault_addr;
	unsigned int in_notifier :1;
	unsigned int read_only :1;
	unsigned int devmem_possible :1;
	unsigned int devmem_only :1;
	unsigned int allow_mixed :1;
	unsigned int partial :1;
	unsigned int alone :1;
	unsigned int may_write :1;
};

int drm_gpusvm_init(struct drm_gpusvm *gpusvm,
		    const char *name,
		    struct mm_struct *mm,
		    unsigned long mm_start, unsigned long mm_range,
		    unsigned long notifier_size,
		    const struct drm_gpusvm_ops *ops,
		    const unsigned long *chunk_sizes, int num_chunks);

void drm_gpusvm_fini(struct drm_gpusvm *gpusvm);

int drm_gpusvm_check_device(struct drm_device *drm);

int drm_gpusvm_init_pages(struct drm_gpusvm_pages *svm_pages, struct drm_device *drm);

void drm_gpusvm_init_pages_may_bounce(struct drm_gpusvm_pages *svm_pages,
				      struct drm_device *drm);

unsigned long
drm_gpusvm_find_vma_start(struct drm_gpusvm *gpusvm,
			  unsigned long start,
			  unsigned long end);

struct drm_gpusvm_range *
drm_gpusvm_range_find_or_insert(struct drm_gpusvm *gpusvm,
				unsigned long fault_addr,
				unsigned long gpuva_start,
				unsigned long gpuva_end,
				const struct drm_gpusvm_ctx *ctx);

struct drm_gpusvm_range *
drm_gpusvm_range_get_or_insert(struct drm_gpusvm *gpusvm,
			       unsigned long fault_addr,
			       unsigned long gpuva_start,
			       unsigned long gpuva_end,
			       const struct drm_gpusvm_ctx *ctx);

void drm_gpusvm_range_remove(struct drm_gpusvm *gpusvm,
			     struct drm_gpusvm_range *range);

int drm_gpusvm_range_evict(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_range *range);

struct drm_gpusvm_range *
drm_gpusvm_range_get(struct drm_gpusvm_range *range);

void drm_gpusvm_range_put(struct drm_gpusvm_range *range);

bool drm_gpusvm_pages_valid(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages);

bool drm_gpusvm_pages_mapped_around(struct drm_gpusvm *gpusvm,
				    const struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start, unsigned long addr,
				    unsigned long *start, unsigned long *end);

bool drm_gpusvm_pages_read_only_around(struct drm_gpusvm *gpusvm,
				       const struct drm_gpusvm_pages *svm_pages,
				       unsigned long pages_start, unsigned long addr,
				       unsigned long *start, unsigned long *end);

bool drm_gpusvm_has_mapping(struct drm_gpusvm *gpusvm, unsigned long start,
			    unsigned long end);

struct drm_gpusvm_notifier *
drm_gpusvm_notifier_find(struct drm_gpusvm *gpusvm, unsigned long start,
			 unsigned long end);

struct drm_gpusvm_range *
drm_gpusvm_range_find(struct drm_gpusvm_notifier *notifier, unsigned long start,
		      unsigned long end);

void drm_gpusvm_range_set_unmapped(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_pages *pages,
				   unsigned int pages_count,
				   const struct mmu_notifier_range *mmu_range);

int drm_gpusvm_get_pages(struct drm_gpusvm *gpusvm,
			 struct drm_gpusvm_pages *svm_pages,
			 struct mm_struct *mm,
			 struct mmu_interval_notifier *notifier,
			 unsigned long pages_start, unsigned long pages_end,
			 const struct drm_gpusvm_ctx *ctx);

int drm_gpusvm_range_get_pages(struct drm_gpusvm_range *range,
			       struct drm_gpusvm_pages *pages,
			       unsigned int pages_count,
			       const struct drm_gpusvm_ctx *ctx);

void drm_gpusvm_unmap_pages(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages,
			    unsigned long npages,
			    const struct drm_gpusvm_ctx *ctx);

void drm_gpusvm_unmap_part(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *svm_pages,
			   unsigned long pages_start, unsigned long start,
			   unsigned long end);

void drm_gpusvm_unmap_pages_deferred(struct drm_gpusvm_notifier *notifier,
				     struct drm_gpusvm_pages *svm_pages);

void drm_gpusvm_unmap_part_deferred(struct drm_gpusvm_notifier *notifier,
				    struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start,
				    unsigned long *start, unsigned long *end);

void drm_gpusvm_free_pages(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_pages *svm_pages,
			   unsigned long npages);

void drm_gpusvm_debugfs_info(struct seq_file *m, struct drm_gpusvm *gpusvm);

/**
 * drm_gpusvm_pages_read_flags() - The flags of a pages object
 * @svm_pages: The pages object
 *
 * Reliable under the notifier lock, advisory without it.
 *
 * Return: the flags, all of one moment.
 */
static inline struct drm_gpusvm_pages_flags
drm_gpusvm_pages_read_flags(const struct drm_gpusvm_pages *svm_pages)
{
	return (struct drm_gpusvm_pages_flags) {
		.__flags = READ_ONCE(svm_pages->flags.__flags),
	};
}

/**
 * drm_gpusvm_range_read_flags() - The flags of a range
 * @range: The range
 *
 * Reliable under the notifier lock, advisory without it.
 *
 * Return: the flags, all of one moment.
 */
static inline struct drm_gpusvm_range_flags
drm_gpusvm_range_read_flags(const struct drm_gpusvm_range *range)
{
	return (struct drm_gpusvm_range_flags) {
		.__flags = READ_ONCE(range->flags.__flags),
	};
}

/**
 * drm_gpusvm_pages_mapped() - Whether anything of the pages is mapped
 * @svm_pages: The pages object
 *
 * Pages that are mapped but for gaps may not be bound, as drm_gpusvm_pages_valid()
 * tells, yet parts of them may be bound still.
 *
 * Reliable under the notifier lock, advisory without it.
 *
 * Return: true if the pages are mapped, be it with gaps.
 */
static inline bool drm_gpusvm_pages_mapped(const struct drm_gpusvm_pages *svm_pages)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(svm_pages);

	return flags.has_dma_mapping || flags.has_gaps;
}

/**
 * drm_gpusvm_pages_deferred() - Whether some of the pages have yet to be unmapped
 * @svm_pages: The pages object
 *
 * An invalidation has taken them, and its second pass does that. Under the notifier lock
 * that may end, but not begin.
 *
 * Return: true if there is something left for a second pass to do.
 */
static inline bool drm_gpusvm_pages_deferred(const struct drm_gpusvm_pages *svm_pages)
{
	/* Pairs with the end of the second pass, which doesn't take the lock for writing. */
	return smp_load_acquire(&svm_pages->deferred_by);
}

/**
 * drm_gpusvm_pages_writable() - Whether a mapping lets the device write
 * @svm_pages: The pages object
 *
 * Reliable under the notifier lock, advisory without it.
 *
 * Return: true if all that there is of the mapping lets the device write.
 */
static inline bool drm_gpusvm_pages_writable(const struct drm_gpusvm_pages *svm_pages)
{
	return drm_gpusvm_pages_read_flags(svm_pages).writable;
}

/**
 * enum drm_gpusvm_scan_result - Where the memory of a range is
 *
 * @DRM_GPUSVM_SCAN_UNPOPULATED: Some page is not present or not accessible
 * @DRM_GPUSVM_SCAN_EQUAL: All is device memory of the pagemap asked about, or system
 *	memory if that was asked about
 * @DRM_GPUSVM_SCAN_OTHER: All is device memory of one other pagemap
 * @DRM_GPUSVM_SCAN_SYSTEM: All is system memory, and a pagemap was asked about
 * @DRM_GPUSVM_SCAN_MIXED_DEVICE: All is device memory, of at least two pagemaps
 * @DRM_GPUSVM_SCAN_MIXED: Some is system memory, some device memory
 */
enum drm_gpusvm_scan_result {
	DRM_GPUSVM_SCAN_UNPOPULATED,
	DRM_GPUSVM_SCAN_EQUAL,
	DRM_GPUSVM_SCAN_OTHER,
	DRM_GPUSVM_SCAN_SYSTEM,
	DRM_GPUSVM_SCAN_MIXED_DEVICE,
	DRM_GPUSVM_SCAN_MIXED,
};

enum drm_gpusvm_scan_result drm_gpusvm_scan_mm(struct drm_gpusvm_range *range,
					       void *dev_private_owner,
					       const struct dev_pagemap *pagemap);

#ifdef CONFIG_LOCKDEP
/**
 * drm_gpusvm_driver_set_lock() - Tell lockdep which lock the driver uses
 * @gpusvm: The GPU SVM
 * @lock: A lock with a dep_map, which the driver holds around
 *	  drm_gpusvm_range_find_or_insert() and drm_gpusvm_range_remove()
 *
 * For drivers that work with borrowed range pointers. A driver that takes
 * references with drm_gpusvm_range_get_or_insert() needs no such lock.
 */
#define drm_gpusvm_driver_set_lock(gpusvm, lock) \
	do { \
		if (!WARN((gpusvm)->lock_dep_map, \
			  "%s: the driver lock is set already", (gpusvm)->name)) \
			(gpusvm)->lock_dep_map = &(lock)->dep_map;	\
	} while (0)
#else
#define drm_gpusvm_driver_set_lock(gpusvm, lock) do {} while (0)
#endif

/**
 * drm_gpusvm_notifier_lock() - Keep invalidations out
 * @gpusvm__: The GPU SVM
 *
 * Held by a driver around drm_gpusvm_pages_valid() and the commit that
 * depends on it. No memory may be allocated under it that waits for reclaim.
 */
#define drm_gpusvm_notifier_lock(gpusvm__)	\
	down_read(&(gpusvm__)->notifier_lock)

/**
 * drm_gpusvm_notifier_unlock() - Let invalidations in again
 * @gpusvm__: The GPU SVM
 */
#define drm_gpusvm_notifier_unlock(gpusvm__)	\
	up_read(&(gpusvm__)->notifier_lock)

/**
 * drm_gpusvm_range_start() - First address of a range
 * @range: The range
 *
 * Return: the address.
 */
static inline unsigned long
drm_gpusvm_range_start(struct drm_gpusvm_range *range)
{
	return range->itree.start;
}

/**
 * drm_gpusvm_range_end() - Address behind the last one of a range
 * @range: The range
 *
 * Return: the address.
 */
static inline unsigned long
drm_gpusvm_range_end(struct drm_gpusvm_range *range)
{
	return range->itree.last + 1;
}

/**
 * drm_gpusvm_range_size() - Size of a range
 * @range: The range
 *
 * Return: the size in bytes.
 */
static inline unsigned long
drm_gpusvm_range_size(struct drm_gpusvm_range *range)
{
	return range->itree.last - range->itree.start + 1;
}

/**
 * drm_gpusvm_notifier_start() - First address of a notifier's window
 * @notifier: The notifier
 *
 * Return: the address.
 */
static inline unsigned long
drm_gpusvm_notifier_start(struct drm_gpusvm_notifier *notifier)
{
	return notifier->itree.start;
}

/**
 * drm_gpusvm_notifier_end() - Address behind the last one of a window
 * @notifier: The notifier
 *
 * Return: the address.
 */
static inline unsigned long
drm_gpusvm_notifier_end(struct drm_gpusvm_notifier *notifier)
{
	return notifier->itree.last + 1;
}

/**
 * drm_gpusvm_notifier_size() - Size of a notifier's window
 * @notifier: The notifier
 *
 * Return: the size in bytes.
 */
static inline unsigned long
drm_gpusvm_notifier_size(struct drm_gpusvm_notifier *notifier)
{
	return notifier->itree.last - notifier->itree.start + 1;
}

/**
 * __drm_gpusvm_range_next() - The range behind another in the same notifier
 * @range: A range or NULL
 *
 * Return: the next range; NULL if @range is NULL or the last one.
 */
static inline struct drm_gpusvm_range *
__drm_gpusvm_range_next(struct drm_gpusvm_range *range)
{
	if (!range || list_is_last(&range->entry, &range->notifier->range_list))
		return NULL;

	return list_next_entry(range, entry);
}

/**
 * drm_gpusvm_for_each_range() - Visit the ranges of a notifier in an interval
 * @range__: The cursor: where to begin, or NULL for the first range that
 *	     overlaps the interval
 * @notifier__: The notifier
 * @start__: First address of the interval
 * @end__: Address behind the last one
 *
 * Needs the notifier lock, or the driver's lock for ranges where it has one.
 */
#define drm_gpusvm_for_each_range(range__, notifier__, start__, end__)	\
	for ((range__) = (range__) ?:					\
	     drm_gpusvm_range_find((notifier__), (start__), (end__));	\
	     (range__) && (drm_gpusvm_range_start(range__) < (end__));	\
	     (range__) = __drm_gpusvm_range_next(range__))

/**
 * drm_gpusvm_for_each_range_safe() - Same, and the body may remove the range
 * @range__: The cursor
 * @next__: Storage for the next range
 * @notifier__: The notifier
 * @start__: First address of the interval
 * @end__: Address behind the last one
 *
 * Needs the driver's lock for ranges, since removal takes the notifier lock.
 */
#define drm_gpusvm_for_each_range_safe(range__, next__, notifier__, start__, end__)	\
	for ((range__) = drm_gpusvm_range_find((notifier__), (start__), (end__)),	\
	     (next__) = __drm_gpusvm_range_next(range__);				\
	     (range__) && (drm_gpusvm_range_start(range__) < (end__));			\
	     (range__) = (next__), (next__) = __drm_gpusvm_range_next(range__))

/**
 * __drm_gpusvm_notifier_next() - The notifier behind another
 * @notifier: A notifier or NULL
 *
 * Return: the next notifier; NULL if @notifier is NULL or the last one.
 */
static inline struct drm_gpusvm_notifier *
__drm_gpusvm_notifier_next(struct drm_gpusvm_notifier *notifier)
{
	if (!notifier ||
	    list_is_last(&notifier->entry, &notifier->gpusvm->notifier_list))
		return NULL;

	return list_next_entry(notifier, entry);
}

/**
 * drm_gpusvm_for_each_notifier() - Visit the notifiers in an interval
 * @notifier__: The cursor
 * @gpusvm__: The GPU SVM
 * @start__: First address of the interval
 * @end__: Address behind the last one
 *
 * Needs the notifier lock, or the driver's lock for ranges where it has one.
 */
#define drm_gpusvm_for_each_notifier(notifier__, gpusvm__, start__, end__)		\
	for ((notifier__) = drm_gpusvm_notifier_find((gpusvm__), (start__), (end__));	\
	     (notifier__) && (drm_gpusvm_notifier_start(notifier__) < (end__));		\
	     (notifier__) = __drm_gpusvm_notifier_next(notifier__))

/**
 * drm_gpusvm_for_each_notifier_safe() - Same, and the body may remove its ranges
 * @notifier__: The cursor
 * @next__: Storage for the next notifier
 * @gpusvm__: The GPU SVM
 * @start__: First address of the interval
 * @end__: Address behind the last one
 *
 * A notifier goes with its last range. Needs the driver's lock for ranges.
 */
#define drm_gpusvm_for_each_notifier_safe(notifier__, next__, gpusvm__, start__, end__)	\
	for ((notifier__) = drm_gpusvm_notifier_find((gpusvm__), (start__), (end__)),	\
	     (next__) = __drm_gpusvm_notifier_next(notifier__);				\
	     (notifier__) && (drm_gpusvm_notifier_start(notifier__) < (end__));		\
	     (notifier__) = (next__), (next__) = __drm_gpusvm_notifier_next(notifier__))

#endif /* __DRM_GPUSVM_H__ */
