/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of GPU SVM know of one another. A file uses those above it and none
 * below it:
 *
 *	drm_gpusvm_range.c	windows of the address space, and the ranges in them
 *	drm_gpusvm_parts.c	which segments of a mapping there are, and where gaps are
 *	drm_gpusvm_map.c	mappings: DMA addresses for what a walk has found
 *	drm_gpusvm_invalidate.c	what the CPU takes away, in one pass or two
 *	drm_gpusvm_walk.c	what the CPU has, and how it is faulted in
 *	drm_gpusvm_segments.c	whether what a walk has found will do
 *	drm_gpusvm_find.c	the range of a fault
 *	drm_gpusvm_request.c	what a get is about, and whether it is served
 *	drm_gpusvm_fill.c	what a get does: find gaps and fill them
 *	drm_gpusvm_get.c	getting
 *	drm_gpusvm_evict.c	where the memory of a range is, and moving it to RAM
 *	drm_gpusvm.c		the GPU SVM itself, debugfs
 *
 * The life of a pages object, whose owner does one thing at a time:
 *
 *	state       told by                 becomes     by
 *	unmapped    neither flag            mapped      a get of all pages
 *	                                    with gaps   a get of some pages
 *	mapped      has_dma_mapping         with gaps   who takes a part
 *	                                    unmapped    who takes all
 *	with gaps   has_gaps, nr_missing    mapped      a get that fills the last gap
 *	                                    unmapped    who takes what is left
 *
 * The owner gets, and takes, with the notifier lock held for reading; an invalidation
 * takes with the lock held for writing. What a first pass has taken is deferred in
 * addition: deferred_by tells, and dma_addr, dpagemap and the IOVA space are the second
 * pass's until it resets that, under finish_lock. Before, nothing can be got but what is
 * mapped still.
 */

#ifndef __DRM_GPUSVM_INTERNAL_H__
#define __DRM_GPUSVM_INTERNAL_H__

#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>

#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>

static inline s64 elapsed_since(ktime_t begin)
{
	return ktime_to_ns(ktime_sub(ktime_get(), begin));
}

/**
 * struct drm_gpusvm_gap - A part of a pages object that is not mapped
 *
 * A run of segments, or the whole object, which has no segments then. Several devices may
 * have it, each with segments of its own, see &drm_gpusvm_pages.fill_first.
 *
 * @page: Index of its first page
 * @npages: Number of pages
 */
struct drm_gpusvm_gap {
	unsigned long page;
	unsigned long npages;
};

/* Walks of up to this many pages have their buffer on the stack. */
#define WALK_INLINE_PFNS	16

/* What &drm_gpusvm_walk.wanted is if all pages are. */
#define WALK_WANTS_ALL		ULONG_MAX

/**
 * enum drm_gpusvm_walk_mode - What a run of a walk does
 *
 * @WALK_LOOK: Takes pages as they are. Nearly all of the time that will do, and
 *	       it costs much less than to have each page tested for a fault
 * @WALK_TOUCH: Faults in the one page that is wanted, or the first that is missing.
 *		That may well bring the others, if the CPU then maps a large folio
 * @WALK_FAULT: Faults in whatever is missing
 * @WALK_BRING: Faults in what is marked, and leaves what lies between where it is
 * @WALK_EVICT: Moves to RAM what is marked, as far as that is possible
 *
 * The pages that are marked have HMM_PFN_REQ_FAULT instead of what was found.
 */
enum drm_gpusvm_walk_mode {
	WALK_LOOK,
	WALK_TOUCH,
	WALK_FAULT,
	WALK_BRING,
	WALK_EVICT,
};

/**
 * struct drm_gpusvm_walk - A lookup of CPU pages that can be repeated
 *
 * @gpusvm: The GPU SVM
 * @hmm: The request, and after a run its result
 * @window: The notifier of ours that @hmm uses, NULL if it is a driver's
 * @buffer: The pages' numbers; @hmm.hmm_pfns is where those of @hmm begin
 * @max_pages: Size of @buffer
 * @npages: Number of pages that @hmm is about
 * @needed: What each pfn has to have: HMM_PFN_VALID, HMM_PFN_WRITE
 * @wanted: Index of the page that counts. The others are had if they can be
 * @system_start: First address around @wanted from which WALK_FAULT may fault
 * @system_end: Address behind the last one
 * @missing: Index of the pfn that the next WALK_TOUCH is for, or WALK_BRING begins at
 * @come: Index of the first page behind those that came last
 * @nr_before: Invalidations of @window before the last run
 * @deadline: When to give up, in jiffies
 * @nr_segments: Segments of the result; 0: not counted yet
 * @losses: Results that invalidations have made useless
 * @renewals: How often @deadline began anew without progress
 * @mode: What the next run does
 * @touched: A page was faulted in already
 * @faulted: Whatever is missing was faulted in already, as far as that was possible
 * @bring_home: WALK_TOUCH moves a page from device memory to RAM
 * @allow_mixed: The result may have device memory and RAM
 * @trim: Only what is around @wanted is taken of the result
 * @by_page: Each page of system memory is a segment
 * @may_write: The result is to be writable if that costs nothing
 * @has_devmem: Some of the pages found are device memory
 * @writable: All of the pages found may be written to by the device
 * @inline_pfns: The buffer of a small walk
 */
struct drm_gpusvm_walk {
	struct drm_gpusvm *gpusvm;
	struct hmm_range hmm;
	struct drm_gpusvm_notifier *window;
	unsigned long *buffer;
	unsigned long max_pages;
	unsigned long npages;
	unsigned long needed;
	unsigned long wanted;
	unsigned long system_start;
	unsigned long system_end;
	unsigned long missing;
	unsigned long come;
	unsigned long nr_before;
	unsigned long deadline;
	unsigned int nr_segments;
	unsigned int losses;
	unsigned int renewals;
	enum drm_gpusvm_walk_mode mode;
	bool touched;
	bool faulted;
	bool bring_home;
	bool allow_mixed;
	bool trim;
	bool by_page;
	bool may_write;
	bool has_devmem;
	bool writable;
	unsigned long inline_pfns[WALK_INLINE_PFNS];
};

/**
 * struct drm_gpusvm_progress - How far a request has come
 *
 * @deadline: When to give up, in jiffies
 * @lost_walks: Walks after which there was nothing to fill
 * @segments: How many were found by the others
 * @trim: Some of the pages can't be had
 * @served: Nothing was missing when the last walk was used
 */
struct drm_gpusvm_progress {
	unsigned long deadline;
	unsigned int lost_walks;
	unsigned int segments;
	bool trim;
	bool served;
};

/**
 * struct drm_gpusvm_request - A request to map a piece of an mm
 *
 * @gpusvm: The GPU SVM
 * @range: The range that the pages belong to, NULL for bare pages
 * @pages: The pages objects, one for each device
 * @pages_end: What is behind the last one
 * @mm: The mm
 * @notifier: The MMU interval notifier that covers the addresses
 * @start: First address
 * @end: Address behind the last one
 * @npages: Number of pages between them
 * @wanted: Index of the page that counts, WALK_WANTS_ALL if all do
 * @ctx: How to map
 */
struct drm_gpusvm_request {
	struct drm_gpusvm *gpusvm;
	struct drm_gpusvm_range *range;
	struct drm_gpusvm_pages *pages;
	struct drm_gpusvm_pages *pages_end;
	struct mm_struct *mm;
	struct mmu_interval_notifier *notifier;
	unsigned long start;
	unsigned long end;
	unsigned long npages;
	unsigned long wanted;
	const struct drm_gpusvm_ctx *ctx;
};

/* Visit the pages objects of a request. */
#define for_each_request_pages(pages__, req__)	\
	for ((pages__) = (req__)->pages; (pages__) < (req__)->pages_end; (pages__)++)

/* What all of them ask */

/* Flags have one writer, since they are read without the lock as a whole. */
static inline void pages_set_flags(struct drm_gpusvm_pages *pages,
				   struct drm_gpusvm_pages_flags flags)
{
	WRITE_ONCE(pages->flags.__flags, flags.__flags);
}

/* Whether the DMA API may bounce the pages, or has caches to look after. */
static inline bool pages_may_bounce(const struct drm_gpusvm_pages *pages)
{
	return drm_gpusvm_pages_read_flags(pages).may_bounce;
}

/*
 * Whether a segment is mapped. The order is for those who hold the notifier lock for
 * reading, see addr_taken_to_gap().
 */
static inline bool addr_is_mapped(const struct drm_pagemap_addr *addr)
{
	return !addr->taken && !addr->hole;
}

/* How many segments a gap of so many pages takes. */
static inline unsigned int gap_segments(unsigned long npages)
{
	return hweight_long(npages);
}

/* Where the walk has found something within a gap, and what that leaves of the gap. */
static inline unsigned long gap_pages_before(const struct drm_gpusvm_walk *walk)
{
	return walk->hmm.hmm_pfns - walk->buffer;
}

static inline unsigned long gap_pages_behind(const struct drm_gpusvm_gap *gap,
					     const struct drm_gpusvm_walk *walk)
{
	return gap->npages - walk->npages - gap_pages_before(walk);
}

/* How many segments there are then in its place. */
static inline unsigned int gap_count_filled(const struct drm_gpusvm_gap *gap,
					    const struct drm_gpusvm_walk *walk)
{
	/* Most find all of it. */
	if (walk->npages == gap->npages)
		return walk->nr_segments;

	return gap_segments(gap_pages_before(walk)) + walk->nr_segments +
	       gap_segments(gap_pages_behind(gap, walk));
}

/* drm_gpusvm_range.c */

#ifdef CONFIG_LOCKDEP
static inline void assert_driver_lock_held(struct drm_gpusvm *gpusvm)
{
	if (gpusvm->lock_dep_map)
		lockdep_assert(lock_is_held_type(gpusvm->lock_dep_map, 0));
}
#else
static inline void assert_driver_lock_held(struct drm_gpusvm *gpusvm)
{
}
#endif

void gpusvm_range_set_flags_locked(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_range_flags flags);
struct drm_gpusvm_notifier *
gpusvm_notifier_create(struct drm_gpusvm *gpusvm, unsigned long addr,
		       const struct mmu_interval_notifier_ops *mmu_ops);
void gpusvm_notifier_link_locked(struct drm_gpusvm_notifier *notifier);
void gpusvm_notifier_put(struct drm_gpusvm_notifier *notifier);
void gpusvm_notifier_retire(struct drm_gpusvm_notifier *notifier);
struct drm_gpusvm_range *
gpusvm_range_alloc(struct drm_gpusvm *gpusvm, unsigned long start, unsigned long size,
		   bool migrate_devmem);
void gpusvm_range_link_locked(struct drm_gpusvm_notifier *notifier,
			      struct drm_gpusvm_range *range);

/* drm_gpusvm_parts.c */

unsigned int gpusvm_pages_seek(const struct drm_gpusvm_pages *pages,
			       unsigned long page, unsigned long *first_page);
bool gpusvm_pages_find_gap_locked(struct drm_gpusvm_pages *pages, unsigned long page,
				  struct drm_gpusvm_gap *gap);
unsigned long gpusvm_pages_take(struct drm_gpusvm_pages *pages, unsigned long *start,
				unsigned long *end);
void gpusvm_pages_publish_locked(struct drm_gpusvm_pages *pages, unsigned long npages,
				 const struct drm_gpusvm_walk *walk);
bool gpusvm_pages_all_writable(const struct drm_gpusvm_pages *pages);

/* drm_gpusvm_map.c */

void gpusvm_pages_clear_mapped(struct drm_gpusvm_pages *pages);
void gpusvm_pages_free_addrs(struct drm_gpusvm_pages *pages);
void gpusvm_pages_unmap_addrs(struct drm_gpusvm_pages *pages);
void gpusvm_pages_unmap_locked(struct drm_gpusvm *gpusvm,
			       struct drm_gpusvm_pages *pages);
void gpusvm_pages_unmap_taken_locked(struct drm_gpusvm *gpusvm,
				     struct drm_gpusvm_pages *pages);
int gpusvm_pages_fill_locked(struct drm_gpusvm_pages *pages,
			     const struct drm_gpusvm_gap *gap,
			     const struct drm_gpusvm_walk *walk,
			     const struct drm_gpusvm_ctx *ctx);
void gpusvm_pages_unfill_locked(struct drm_gpusvm_pages *pages,
				const struct drm_gpusvm_gap *gap,
				const struct drm_gpusvm_walk *walk, unsigned int n);

/* drm_gpusvm_invalidate.c */

extern const struct mmu_interval_notifier_ops gpusvm_notifier_ops;
extern const struct mmu_interval_notifier_ops gpusvm_notifier_two_pass_ops;

static inline const struct mmu_interval_notifier_ops *
gpusvm_notifier_mmu_ops(const struct drm_gpusvm *gpusvm)
{
	return gpusvm->ops->invalidate_start ? &gpusvm_notifier_two_pass_ops :
					       &gpusvm_notifier_ops;
}

/* The window that an MMU interval notifier belongs to, or NULL if it is a driver's. */
static inline struct drm_gpusvm_notifier *gpusvm_to_window(struct mmu_interval_notifier *mni)
{
	if (mni->ops != &gpusvm_notifier_ops && mni->ops != &gpusvm_notifier_two_pass_ops)
		return NULL;

	return container_of(mni, struct drm_gpusvm_notifier, notifier);
}

void gpusvm_pages_finish_and_lock(struct drm_gpusvm *gpusvm,
				  struct drm_gpusvm_pages *pages);

/* drm_gpusvm_walk.c */

static inline unsigned long walk_timeout(void)
{
	return msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
}

static inline unsigned long walk_new_deadline(void)
{
	return jiffies + walk_timeout();
}

static inline bool walk_timed_out(const struct drm_gpusvm_walk *walk)
{
	return time_after_eq(jiffies, walk->deadline);
}

static inline bool walk_is_all(const struct drm_gpusvm_walk *walk, unsigned long start,
			       unsigned long end)
{
	return end - start == walk->npages << PAGE_SHIFT;
}

int gpusvm_walk_begin(struct drm_gpusvm_walk *walk, struct drm_gpusvm *gpusvm,
		      struct mmu_interval_notifier *notifier,
		      unsigned long start, unsigned long end,
		      void *owner, unsigned long needed);
void gpusvm_walk_put_buffer(struct drm_gpusvm_walk *walk);
void gpusvm_walk_shrink(struct drm_gpusvm_walk *walk, unsigned long first,
			unsigned long npages);
int gpusvm_walk_run(struct drm_gpusvm_walk *walk, struct mm_struct *mm);
void gpusvm_walk_renew(struct drm_gpusvm_walk *walk, unsigned long come);
bool gpusvm_walk_was_hit_locked(const struct drm_gpusvm_walk *walk);

/* Whether an invalidation has hit the addresses since the walk began its run. */
static inline bool gpusvm_walk_stale_locked(const struct drm_gpusvm_walk *walk)
{
	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	return mmu_interval_read_retry(walk->hmm.notifier, walk->hmm.notifier_seq) &&
	       gpusvm_walk_was_hit_locked(walk);
}

static inline void gpusvm_walk_end(struct drm_gpusvm_walk *walk)
{
	if (walk->buffer != walk->inline_pfns)
		gpusvm_walk_put_buffer(walk);
}

/* drm_gpusvm_segments.c */

unsigned int gpusvm_walk_cpu_order(const struct drm_gpusvm_walk *walk,
				   unsigned long index);
int gpusvm_walk_use_locked(struct drm_gpusvm_walk *walk);

/* drm_gpusvm_request.c */

const struct drm_pagemap_addr *
gpusvm_request_wanted_locked(const struct drm_gpusvm_request *req,
			     const struct drm_gpusvm_pages *pages);
bool gpusvm_request_refresh(const struct drm_gpusvm_request *req);
bool gpusvm_request_is_refused(const struct drm_gpusvm_request *req);
bool gpusvm_request_is_in_ram(const struct drm_gpusvm_request *req);

/* What to say of memory that was unmapped: bare pages have no range to ask for again. */
static inline int request_gone_error(const struct drm_gpusvm_request *req)
{
	return req->range ? -ESTALE : -EFAULT;
}

/* Nothing to map, whoever asks: it went away on the CPU side. */
static inline bool range_is_gone(const struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_range_flags flags;

	if (!range)
		return false;

	flags = drm_gpusvm_range_read_flags(range);

	return flags.unmapped || flags.removed;
}

/* The flags of pages that can be used the way @ctx says. */
static inline u16 flags_needed(const struct drm_gpusvm_ctx *ctx)
{
	const struct drm_gpusvm_pages_flags flags = {
		.has_dma_mapping = true,
		.writable = !ctx->read_only,
	};

	return flags.__flags;
}

static inline bool pages_serve(const struct drm_gpusvm_pages *pages, u16 needed)
{
	return (drm_gpusvm_pages_read_flags(pages).__flags & needed) == needed;
}

static inline bool pages_serve_locked(const struct drm_gpusvm_request *req,
				      const struct drm_gpusvm_pages *pages, u16 needed)
{
	const struct drm_pagemap_addr *addr;

	if (pages_serve(pages, needed))
		return true;

	addr = gpusvm_request_wanted_locked(req, pages);

	return addr && (req->ctx->read_only || drm_pagemap_addr_writable(addr));
}

/* drm_gpusvm_fill.c */

int gpusvm_request_map(const struct drm_gpusvm_request *req,
		       struct drm_gpusvm_progress *progress);

#endif /* __DRM_GPUSVM_INTERNAL_H__ */
