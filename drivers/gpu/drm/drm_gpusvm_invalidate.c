// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/*
 * Invalidation
 */

/* Have the second pass unmap what was taken of the pages. */
static void pages_defer_locked(struct drm_gpusvm_notifier *notifier,
			       struct drm_gpusvm_pages *pages)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	pages->deferred_at = notifier->nr_invalidations;
	if (pages->deferred_by)
		return;

	pages->deferred_by = notifier;
	atomic_inc(&notifier->nr_deferred);
	llist_add(&pages->deferred_link, &notifier->deferred);
}

/* Nothing of the unmap is left to be done. The owner may free the pages now. */
static void pages_end_deferral(struct drm_gpusvm_pages *pages)
{
	/* Pairs with gpusvm_pages_finish_and_lock() and drm_gpusvm_pages_deferred(). */
	smp_store_release(&pages->deferred_by, NULL);
}

/*
 * Wait until no device can use what first passes have taken so far. One of them may
 * be under way: its pages are deferred, but the devices not yet told to flush.
 *
 * Return: the number of invalidations that this is about.
 */
static unsigned long notifier_flush(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	unsigned long count;

	drm_gpusvm_notifier_lock(gpusvm);
	count = notifier->nr_invalidations;
	drm_gpusvm_notifier_unlock(gpusvm);

	gpusvm->ops->invalidate_finish(gpusvm, notifier);
	notifier->flushed_at = count;

	return count;
}

/* Whether a first pass has sent a flush that nobody has waited for yet. */
static bool notifier_must_flush(const struct drm_gpusvm_notifier *notifier,
				unsigned long asked_at)
{
	lockdep_assert_held(&notifier->finish_lock);

	return (long)(asked_at - notifier->flushed_at) > 0;
}

static void deferred_add(struct llist_node **list, struct drm_gpusvm_pages *pages)
{
	pages->deferred_link.next = *list;
	*list = &pages->deferred_link;
}

/*
 * Unmap what was deferred by the first @flushed invalidations. @n counts the pages
 * objects that are done, @unmaps those of them that are gone as a whole.
 *
 * Return: the pages objects of which more was taken since.
 */
static struct llist_node *notifier_unmap(struct drm_gpusvm_notifier *notifier,
					 struct llist_node *taken, unsigned long flushed,
					 unsigned int *n, unsigned int *unmaps)
{
	struct llist_node *again = NULL, *whole = NULL;
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	struct drm_gpusvm_pages *pages, *next;

	drm_gpusvm_notifier_lock(gpusvm);
	llist_for_each_entry_safe(pages, next, taken, deferred_link) {
		if ((long)(pages->deferred_at - flushed) > 0) {
			deferred_add(&again, pages);
			continue;
		}

		++*n;
		if (!pages->flags.has_gaps) {
			deferred_add(&whole, pages);
			continue;
		}
		gpusvm_pages_unmap_taken_locked(gpusvm, pages);
		pages_end_deferral(pages);
	}
	drm_gpusvm_notifier_unlock(gpusvm);

	/* Of these there is nothing left to take. */
	llist_for_each_entry_safe(pages, next, whole, deferred_link) {
		gpusvm_pages_unmap_addrs(pages);
		pages_end_deferral(pages);
		++*unmaps;
	}

	return again;
}

/*
 * Unmap all that first passes in the window have deferred. See the section on
 * invalidation for why it is all, and why it may wait for finish_lock. A flush may have
 * to be waited for even if there is nothing to unmap.
 */
static void notifier_finish(struct drm_gpusvm_notifier *notifier)
{
	ktime_t begin = trace_drm_gpusvm_invalidate_finish_enabled() ? ktime_get() : 0;
	unsigned long asked_at = READ_ONCE(notifier->asked_at);
	unsigned int n = 0, unmaps = 0;
	struct llist_node *taken;

	mutex_lock(&notifier->finish_lock);
	taken = llist_del_all(&notifier->deferred);
	/* Ends: what has gaps is not filled before, so there is less and less to take. */
	while (taken || notifier_must_flush(notifier, asked_at))
		taken = notifier_unmap(notifier, taken, notifier_flush(notifier), &n, &unmaps);
	atomic_sub(n, &notifier->nr_deferred);
	mutex_unlock(&notifier->finish_lock);

	atomic_long_add(unmaps, &notifier->gpusvm->stats.unmaps);
	if (trace_drm_gpusvm_invalidate_finish_enabled())
		trace_drm_gpusvm_invalidate_finish(notifier, n,
						   elapsed_since(begin));
}

/* Remember where an invalidation was, for gpusvm_walk_was_hit_locked(). */
static void log_invalidation(struct drm_gpusvm_notifier *notifier,
			     const struct mmu_notifier_range *mmu_range)
{
	unsigned long n = notifier->nr_invalidations;
	unsigned int slot = n % DRM_GPUSVM_NOTIFIER_LOG;

	notifier->log[slot].start = mmu_range->start;
	notifier->log[slot].end = mmu_range->end;
	/* Pairs with walk_note_invalidations(), which does not take the lock. */
	smp_store_release(&notifier->nr_invalidations, n + 1);
}

/**
 * struct drm_gpusvm_hit - What an invalidation has come to
 *
 * @range: It has hit a range
 * @pending: There is something for a second pass to do
 */
struct drm_gpusvm_hit {
	bool range;
	bool pending;
};

/* What both kinds of driver have in common. */
static struct drm_gpusvm_hit
notifier_invalidate_locked(struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range,
			   unsigned long cur_seq)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;
	struct drm_gpusvm_hit hit = { .range = true };

	mmu_interval_set_seq(&notifier->notifier, cur_seq);
	log_invalidation(notifier, mmu_range);

	if (!drm_gpusvm_range_find(notifier, mmu_range->start, mmu_range->end)) {
		atomic_long_inc(&gpusvm->stats.invalidations_idle);
		return (struct drm_gpusvm_hit) {};
	}

	atomic_long_inc(&gpusvm->stats.invalidations);
	if (!gpusvm->ops->invalidate_start) {
		gpusvm->ops->invalidate(gpusvm, notifier, mmu_range);
		return hit;
	}

	if (gpusvm->ops->invalidate_start(gpusvm, notifier, mmu_range)) {
		WRITE_ONCE(notifier->asked_at, notifier->nr_invalidations);
		hit.pending = true;
	}
	hit.pending |= atomic_read(&notifier->nr_deferred);

	return hit;
}

/*
 * Lock for an invalidation. One that may not block, as the OOM killer's, must not wait
 * for the lock, and can be served only if it has no range to wait for. It is not begun
 * otherwise, and the MM comes back.
 */
static bool notifier_lock_to_invalidate(struct drm_gpusvm_notifier *notifier,
					const struct mmu_notifier_range *mmu_range)
{
	struct rw_semaphore *lock = &notifier->gpusvm->notifier_lock;

	if (mmu_notifier_range_blockable(mmu_range)) {
		down_write(lock);
		return true;
	}

	if (!down_write_trylock(lock))
		return false;
	if (!drm_gpusvm_range_find(notifier, mmu_range->start, mmu_range->end))
		return true;
	up_write(lock);

	return false;
}

/* The first pass, or the only one. Returns false if it would have to block. */
static bool notifier_first_pass(struct drm_gpusvm_notifier *notifier,
				const struct mmu_notifier_range *mmu_range,
				unsigned long cur_seq, struct drm_gpusvm_hit *hit)
{
	ktime_t begin = trace_drm_gpusvm_invalidate_enabled() ? ktime_get() : 0;

	if (!notifier_lock_to_invalidate(notifier, mmu_range))
		return false;
	*hit = notifier_invalidate_locked(notifier, mmu_range, cur_seq);
	up_write(&notifier->gpusvm->notifier_lock);

	if (trace_drm_gpusvm_invalidate_enabled())
		trace_drm_gpusvm_invalidate(notifier, mmu_range, hit->range, hit->pending,
					    elapsed_since(begin));

	return true;
}

static bool notifier_invalidate(struct mmu_interval_notifier *mni,
				const struct mmu_notifier_range *mmu_range,
				unsigned long cur_seq)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(mni, struct drm_gpusvm_notifier, notifier);
	struct drm_gpusvm_hit hit;

	return notifier_first_pass(notifier, mmu_range, cur_seq, &hit);
}

/* What the MM calls for the notifiers of a GPU SVM. */
const struct mmu_interval_notifier_ops gpusvm_notifier_ops = {
	.invalidate = notifier_invalidate,
};

static bool notifier_invalidate_start(struct mmu_interval_notifier *mni,
				      const struct mmu_notifier_range *mmu_range,
				      unsigned long cur_seq,
				      struct mmu_interval_notifier_finish **finish)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(mni, struct drm_gpusvm_notifier, notifier);
	struct drm_gpusvm_hit hit;

	if (!notifier_first_pass(notifier, mmu_range, cur_seq, &hit))
		return false;
	if (!hit.pending)
		return true;

	if (test_and_set_bit_lock(0, &notifier->finish_busy))
		notifier_finish(notifier);
	else
		*finish = &notifier->finish;

	return true;
}

static void notifier_invalidate_finish(struct mmu_interval_notifier_finish *finish)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(finish, struct drm_gpusvm_notifier, finish);

	notifier_finish(notifier);
	clear_bit_unlock(0, &notifier->finish_busy);
}

const struct mmu_interval_notifier_ops gpusvm_notifier_two_pass_ops = {
	.invalidate_start = notifier_invalidate_start,
	.invalidate_finish = notifier_invalidate_finish,
};

/*
 * Lock with nothing of the pages left for a second pass to do, by doing that. More of them
 * may have been taken when the lock is there.
 */
void gpusvm_pages_finish_and_lock(struct drm_gpusvm *gpusvm,
				  struct drm_gpusvm_pages *pages)
{
	struct drm_gpusvm_notifier *notifier;

	for (;;) {
		/* Pairs with pages_end_deferral(). */
		notifier = smp_load_acquire(&pages->deferred_by);
		if (notifier)
			notifier_finish(notifier);
		drm_gpusvm_notifier_lock(gpusvm);
		if (!drm_gpusvm_pages_deferred(pages))
			return;
		drm_gpusvm_notifier_unlock(gpusvm);
	}
}

/*
 * With more gaps, or more of the pages hit than one in so many, it is cheaper to begin
 * anew: each gap costs a walk, and each hit a flush.
 */
#define PAGES_MAX_TAKES		32
#define PAGES_PER_TAKE		4

/**
 * drm_gpusvm_unmap_pages() - Unmap pages
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @npages: Number of pages that it was got for; the mapping knows itself how
 *	    much of it there is
 * @ctx: &drm_gpusvm_ctx.in_notifier tells where the call comes from
 *
 * When it returns the device can't reach the memory any more, as far as the
 * IOMMU can see to that. Pages that are not mapped are left alone.
 *
 * Unmaps all of the object. In an invalidation that includes what lies outside of the
 * addresses that are hit. The driver has zapped all of it before, and waited for the
 * flush: the DMA addresses may be somebody else's when it returns.
 *
 * Context: With in_notifier set the notifier lock is held for writing.
 * Otherwise it is taken here, and the call may wait for a second pass of an
 * invalidation that took the pages.
 */
void drm_gpusvm_unmap_pages(struct drm_gpusvm *gpusvm,
			    struct drm_gpusvm_pages *svm_pages,
			    unsigned long npages,
			    const struct drm_gpusvm_ctx *ctx)
{
	if (!ctx->in_notifier) {
		gpusvm_pages_finish_and_lock(gpusvm, svm_pages);
		gpusvm_pages_unmap_locked(gpusvm, svm_pages);
		drm_gpusvm_notifier_unlock(gpusvm);
		return;
	}

	lockdep_assert_held_write(&gpusvm->notifier_lock);
	if (svm_pages->deferred_by)
		gpusvm_pages_clear_mapped(svm_pages);
	else
		gpusvm_pages_unmap_locked(gpusvm, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_pages);

/* Unmap the segments that overlap an interval, and leave a gap. */
static void pages_unmap_part_locked(struct drm_gpusvm *gpusvm,
				    struct drm_gpusvm_pages *pages,
				    unsigned long first, unsigned long last)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(pages);

	pages->nr_missing += gpusvm_pages_take(pages, &first, &last);
	if (pages->nr_missing == pages->npages) {
		gpusvm_pages_unmap_locked(gpusvm, pages);
		return;
	}
	if (!pages->nr_missing)
		return;

	flags.has_dma_mapping = false;
	flags.has_gaps = true;
	pages_set_flags(pages, flags);
	gpusvm_pages_unmap_taken_locked(gpusvm, pages);
}

/**
 * drm_gpusvm_unmap_part() - Unmap a part of pages
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @start: First address of the part
 * @end: Address behind the last one
 *
 * Unmaps the segments that overlap the part, each as a whole. No device can use them any
 * more: the driver has zapped them, outside of the part as well, and waited for the flush.
 * The next get fills the gap.
 *
 * Context: The owner of the pages; not from a notifier. Takes the notifier lock, and
 * may wait for a second pass of an invalidation that took some of the pages.
 */
void drm_gpusvm_unmap_part(struct drm_gpusvm *gpusvm, struct drm_gpusvm_pages *svm_pages,
			   unsigned long pages_start, unsigned long start,
			   unsigned long end)
{
	unsigned long pages_end, from, to;

	gpusvm_pages_finish_and_lock(gpusvm, svm_pages);
	pages_end = pages_start + ((unsigned long)svm_pages->npages << PAGE_SHIFT);
	from = max(start, pages_start);
	to = min(end, pages_end);
	if (drm_gpusvm_pages_mapped(svm_pages) && from < to)
		pages_unmap_part_locked(gpusvm, svm_pages,
					(from - pages_start) >> PAGE_SHIFT,
					PAGE_ALIGN(to - pages_start) >> PAGE_SHIFT);
	drm_gpusvm_notifier_unlock(gpusvm);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_part);

/**
 * drm_gpusvm_unmap_pages_deferred() - Take pages away, unmap in the second pass
 * @notifier: The notifier that is being invalidated
 * @svm_pages: The pages object
 *
 * The pages are not valid any more when it returns, and unmapped once
 * &drm_gpusvm_ops.invalidate_finish has returned. Pages that are not mapped are
 * left alone.
 *
 * Takes all of the object. That includes what lies outside of the addresses that are hit.
 * All of it has to be zapped, and flushed when the second pass returns.
 *
 * Context: Called from &drm_gpusvm_ops.invalidate_start, with the notifier lock
 * held for writing.
 */
void drm_gpusvm_unmap_pages_deferred(struct drm_gpusvm_notifier *notifier,
				     struct drm_gpusvm_pages *svm_pages)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(svm_pages))
		return;

	gpusvm_pages_clear_mapped(svm_pages);
	pages_defer_locked(notifier, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_pages_deferred);

/* Returns false if all of the pages should go. */
static bool pages_take_part_locked(struct drm_gpusvm_notifier *notifier,
				   struct drm_gpusvm_pages *pages,
				   unsigned long pages_start,
				   unsigned long *start, unsigned long *end)
{
	struct drm_gpusvm_pages_flags flags = drm_gpusvm_pages_read_flags(pages);
	unsigned long first = 0, last = pages->npages, taken;

	if (*start > pages_start)
		first = (*start - pages_start) >> PAGE_SHIFT;
	if (*end < pages_start + (last << PAGE_SHIFT))
		last = PAGE_ALIGN(*end - pages_start) >> PAGE_SHIFT;

	taken = gpusvm_pages_take(pages, &first, &last);
	*start = min(*start, pages_start + (first << PAGE_SHIFT));
	*end = max(*end, pages_start + (last << PAGE_SHIFT));
	/* All of it may be gaps already. */
	if (!taken)
		return true;

	pages->nr_takes++;
	pages->nr_missing += taken;
	if (pages->nr_missing == pages->npages || pages->nr_takes > PAGES_MAX_TAKES ||
	    pages->nr_takes * PAGES_PER_TAKE > pages->npages)
		return false;

	flags.has_dma_mapping = false;
	flags.has_gaps = true;
	pages_set_flags(pages, flags);
	pages_defer_locked(notifier, pages);
	atomic_long_inc(&notifier->gpusvm->stats.parts);

	return true;
}

/**
 * drm_gpusvm_unmap_part_deferred() - Take a part of pages away, unmap in the second
 *				      pass
 * @notifier: The notifier that is being invalidated
 * @svm_pages: The pages object
 * @pages_start: Address of its first page
 * @start: First address that is invalidated, and on return that was taken
 * @end: Address behind the last one
 *
 * Takes the segments that overlap the interval; the interval grows to what they
 * cover. The driver zaps all of it, as with drm_gpusvm_unmap_pages_deferred(), but after
 * the call, which tells what it is. The other segments stay mapped, and bindings of
 * them may stay, although the pages are not valid before the next get. That looks
 * at no more than what is missing and leaves the other segments as they are.
 *
 * Where nothing would be left, or many gaps, everything is taken.
 *
 * Context: Called from &drm_gpusvm_ops.invalidate_start, with the notifier lock
 * held for writing.
 */
void drm_gpusvm_unmap_part_deferred(struct drm_gpusvm_notifier *notifier,
				    struct drm_gpusvm_pages *svm_pages,
				    unsigned long pages_start,
				    unsigned long *start, unsigned long *end)
{
	unsigned long pages_end =
		pages_start + ((unsigned long)svm_pages->npages << PAGE_SHIFT);

	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	if (!drm_gpusvm_pages_mapped(svm_pages) || *start >= pages_end ||
	    *end <= pages_start)
		return;

	if ((*start > pages_start || *end < pages_end) &&
	    pages_take_part_locked(notifier, svm_pages, pages_start, start, end))
		return;

	*start = min(*start, pages_start);
	*end = max(*end, pages_end);
	drm_gpusvm_unmap_pages_deferred(notifier, svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_unmap_part_deferred);

/**
 * drm_gpusvm_free_pages() - Free what a pages object holds
 * @gpusvm: The GPU SVM
 * @svm_pages: The pages object
 * @npages: Number of pages that it was got for
 *
 * Unmaps what is still mapped. No device can use it any more: the driver has zapped it, and
 * waited for the flush. The object may be got again afterwards.
 *
 * Context: May sleep; takes the notifier lock.
 */
void drm_gpusvm_free_pages(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_pages *svm_pages,
			   unsigned long npages)
{
	const struct drm_gpusvm_ctx ctx = {};

	drm_gpusvm_unmap_pages(gpusvm, svm_pages, npages, &ctx);
	gpusvm_pages_free_addrs(svm_pages);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_free_pages);

/**
 * drm_gpusvm_range_set_unmapped() - Note that the CPU unmaps memory of a range
 * @range: The range
 * @pages: Array of the range's pages objects
 * @pages_count: Number of @pages
 * @mmu_range: What is being unmapped
 *
 * Context: Called from an invalidation, with the notifier lock held for writing.
 */
void drm_gpusvm_range_set_unmapped(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_pages *pages,
				   unsigned int pages_count,
				   const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range_flags flags = drm_gpusvm_range_read_flags(range);
	unsigned int i;

	lockdep_assert_held_write(&range->gpusvm->notifier_lock);

	flags.unmapped = true;
	if (mmu_range->start > drm_gpusvm_range_start(range) ||
	    mmu_range->end < drm_gpusvm_range_end(range))
		flags.partial_unmap = true;
	gpusvm_range_set_flags_locked(range, flags);

	for (i = 0; i < pages_count; i++) {
		struct drm_gpusvm_pages_flags pflags = drm_gpusvm_pages_read_flags(&pages[i]);

		pflags.unmapped = true;
		pages_set_flags(&pages[i], pflags);
	}
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_set_unmapped);
