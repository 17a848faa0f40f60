// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/*
 * Where the memory is, and moving it back
 */

/* A range may outlive its GPU SVM, which would keep the buffer of the walk for the next one. */
static int range_walk_begin(struct drm_gpusvm_range *range, struct drm_gpusvm_walk *walk,
			    void *owner)
{
	if (drm_gpusvm_range_read_flags(range).removed)
		return -ESTALE;

	return gpusvm_walk_begin(walk, range->gpusvm, &range->notifier->notifier,
				 drm_gpusvm_range_start(range),
				 drm_gpusvm_range_end(range), owner, 0);
}

/* Run a walk over a range that takes pages as they are, until it is not stale. */
static int range_snapshot_lock(struct drm_gpusvm_range *range,
			       struct drm_gpusvm_walk *walk)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	int err;

	for (;;) {
		/* Nobody tells a range that was removed what changes there. */
		if (drm_gpusvm_range_read_flags(range).removed)
			return -ESTALE;

		err = gpusvm_walk_run(walk, gpusvm->mm);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;

		drm_gpusvm_notifier_lock(gpusvm);
		if (!gpusvm_walk_stale_locked(walk) && !range->flags.removed)
			return 0;
		drm_gpusvm_notifier_unlock(gpusvm);
	}
}

/* Whether a page has to be faulted in to be in RAM. */
static bool pfn_needs_eviction(unsigned long pfn, void *owner)
{
	if (pfn & HMM_PFN_VALID)
		return is_device_private_page(hmm_pfn_to_page(pfn));

	/* Without an owner device memory looks like memory that is not there. */
	return !owner && !(pfn & HMM_PFN_ERROR);
}

/* Mark the pages of a snapshot that are not in RAM. Returns how many there are. */
static unsigned long walk_mark_eviction_locked(struct drm_gpusvm_walk *walk)
{
	void *owner = walk->hmm.dev_private_owner;
	unsigned long i, n = 0;

	for (i = 0; i < walk->npages; i++) {
		bool evict = pfn_needs_eviction(walk->hmm.hmm_pfns[i], owner);

		walk->hmm.hmm_pfns[i] = evict ? HMM_PFN_REQ_FAULT : 0;
		n += evict;
	}
	walk->mode = WALK_EVICT;

	return n;
}

/* Move the device memory of one owner. */
static int range_evict_from(struct drm_gpusvm_range *range, void *owner,
			    unsigned long *pages)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	struct drm_gpusvm_walk walk __uninitialized;
	unsigned long n;
	int err;

	err = range_walk_begin(range, &walk, owner);
	if (err)
		return err;

	err = range_snapshot_lock(range, &walk);
	if (!err) {
		n = walk_mark_eviction_locked(&walk);
		drm_gpusvm_notifier_unlock(gpusvm);
		if (n)
			err = gpusvm_walk_run(&walk, gpusvm->mm);
		*pages += n;
	}
	gpusvm_walk_end(&walk);

	return err == -EBUSY ? -ETIME : err;
}

/* The memory of one owner is not there for a walk on behalf of another one. */
static int range_evict(struct drm_gpusvm_range *range, unsigned long *pages)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;
	/* Pairs with note_owner(). */
	unsigned int n = smp_load_acquire(&gpusvm->nr_owners);
	int err, first_err = 0;
	unsigned int i;

	if (!n || n > DRM_GPUSVM_MAX_OWNERS)
		return range_evict_from(range, NULL, pages);

	for (i = 0; i < n; i++) {
		err = range_evict_from(range, gpusvm->owners[i], pages);
		first_err = first_err ?: err;
	}

	return first_err;
}

/**
 * drm_gpusvm_range_evict() - Move a range's device memory back to RAM
 * @gpusvm: The GPU SVM
 * @range: The range
 *
 * Moves what there is: holes and memory that was never touched stay as they are,
 * provided that ranges were looked up with the owners of the device memory, and that
 * these are not more than %DRM_GPUSVM_MAX_OWNERS. A page that can't be moved does not
 * keep those behind it; its error is returned when all have been tried.
 * What moves goes through the MMU notifiers, so mappings are invalidated.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: 0; -ESTALE if the range was removed, -EFAULT if the mm is dying, -ETIME if
 * invalidations did not leave enough time, -ENOMEM, or the error of the CPU fault.
 */
int drm_gpusvm_range_evict(struct drm_gpusvm *gpusvm,
			   struct drm_gpusvm_range *range)
{
	ktime_t begin = trace_drm_gpusvm_evict_enabled() ? ktime_get() : 0;
	unsigned long pages = 0;
	int err;

	err = range_evict(range, &pages);
	if (!err)
		atomic_long_inc(&gpusvm->stats.evictions);
	if (trace_drm_gpusvm_evict_enabled())
		trace_drm_gpusvm_evict(range, pages, err, elapsed_since(begin));

	return err;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_evict);

static enum drm_gpusvm_scan_result
walk_scan_locked(const struct drm_gpusvm_walk *walk,
		 const struct dev_pagemap *pagemap)
{
	const struct dev_pagemap *first = NULL;
	bool system = false, several = false;
	unsigned long i;

	for (i = 0; i < walk->npages; i += 1UL << gpusvm_walk_cpu_order(walk, i)) {
		unsigned long pfn = walk->hmm.hmm_pfns[i];
		const struct dev_pagemap *pgmap;
		struct page *page;

		if (!(pfn & HMM_PFN_VALID))
			return DRM_GPUSVM_SCAN_UNPOPULATED;

		page = hmm_pfn_to_page(pfn);
		if (!is_device_private_page(page) && !is_device_coherent_page(page)) {
			system = true;
			continue;
		}
		pgmap = page_pgmap(page);
		several |= first && pgmap != first;
		first = pgmap;
	}

	if (!first)
		return pagemap ? DRM_GPUSVM_SCAN_SYSTEM : DRM_GPUSVM_SCAN_EQUAL;
	if (system)
		return DRM_GPUSVM_SCAN_MIXED;
	if (several)
		return DRM_GPUSVM_SCAN_MIXED_DEVICE;

	return first == pagemap ? DRM_GPUSVM_SCAN_EQUAL : DRM_GPUSVM_SCAN_OTHER;
}

/**
 * drm_gpusvm_scan_mm() - Find out where the memory of a range is
 * @range: The range
 * @dev_private_owner: The owner whose device private pages count as present
 * @pagemap: The pagemap that %DRM_GPUSVM_SCAN_EQUAL is about, or NULL for system memory
 *
 * Nothing is faulted in. The answer may be out of date when it is given.
 *
 * Context: May sleep; takes the mmap lock and the notifier lock for reading.
 *
 * Return: where the memory is; %DRM_GPUSVM_SCAN_UNPOPULATED also if there was
 * no memory or not enough time to find out, the range was removed, or the mm is dying.
 */
enum drm_gpusvm_scan_result drm_gpusvm_scan_mm(struct drm_gpusvm_range *range,
					       void *dev_private_owner,
					       const struct dev_pagemap *pagemap)
{
	enum drm_gpusvm_scan_result result = DRM_GPUSVM_SCAN_UNPOPULATED;
	struct drm_gpusvm_walk walk __uninitialized;

	if (range_walk_begin(range, &walk, dev_private_owner))
		return result;

	if (!range_snapshot_lock(range, &walk)) {
		result = walk_scan_locked(&walk, pagemap);
		drm_gpusvm_notifier_unlock(range->gpusvm);
	}
	gpusvm_walk_end(&walk);

	return result;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_scan_mm);
