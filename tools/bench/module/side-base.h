/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a driver of the base's drm_gpusvm does what differs between the two.
 */

#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#define BENCH_SIDE	"base"

/* One walk for each device. */
static int side_get_pages(struct drm_gpusvm_range *range,
			  struct drm_gpusvm_pages *pages, unsigned int count,
			  const struct drm_gpusvm_ctx *ctx)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = drm_gpusvm_get_pages(range->gpusvm, &pages[i],
					   range->gpusvm->mm,
					   &range->notifier->notifier,
					   drm_gpusvm_range_start(range),
					   drm_gpusvm_range_end(range), ctx);
		if (err)
			return err;
	}

	return 0;
}

/* Ranges are borrowed, so a lock of the driver spans the whole fault. */
static struct drm_gpusvm_range *
side_fault_begin(struct drm_gpusvm *gpusvm, struct mutex *driver_lock,
		 unsigned long addr, const struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_range *range;

	mutex_lock(driver_lock);
	range = drm_gpusvm_range_find_or_insert(gpusvm, addr, gpusvm->mm_start,
						gpusvm->mm_start + gpusvm->mm_range,
						ctx);
	if (IS_ERR(range))
		mutex_unlock(driver_lock);

	return range;
}

static void side_fault_end(struct drm_gpusvm_range *range,
			   struct mutex *driver_lock)
{
	mutex_unlock(driver_lock);
}

static unsigned long side_pages_bytes(const struct drm_gpusvm_pages *pages)
{
	return bench_bytes(pages->dma_addr);
}

/* There is one pass only, and it unmaps ranges as a whole. */
#define side_parts_ops		bench_one_pass_ops
#define side_two_pass_ops	bench_one_pass_ops

#endif /* BENCH_SIDE_H */
