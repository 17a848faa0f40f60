/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a driver of our drm_gpusvm does what differs between the two.
 */

#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#define BENCH_SIDE	"ours"

/* One walk for all devices; for a single one the same call as the base's. */
static int side_get_pages(struct drm_gpusvm_range *range,
			  struct drm_gpusvm_pages *pages, unsigned int count,
			  const struct drm_gpusvm_ctx *ctx)
{
	if (count > 1)
		return drm_gpusvm_range_get_pages(range, pages, count, ctx);

	return drm_gpusvm_get_pages(range->gpusvm, pages, range->gpusvm->mm,
				    &range->notifier->notifier,
				    drm_gpusvm_range_start(range),
				    drm_gpusvm_range_end(range), ctx);
}

/* A reference keeps the range; no lock of the driver. */
static struct drm_gpusvm_range *
side_fault_begin(struct drm_gpusvm *gpusvm, struct mutex *driver_lock,
		 unsigned long addr, const struct drm_gpusvm_ctx *ctx)
{
	return drm_gpusvm_range_get_or_insert(gpusvm, addr, gpusvm->mm_start,
					      gpusvm->mm_start + gpusvm->mm_range,
					      ctx);
}

static void side_fault_end(struct drm_gpusvm_range *range,
			   struct mutex *driver_lock)
{
	drm_gpusvm_range_put(range);
}

static unsigned long side_pages_bytes(const struct drm_gpusvm_pages *pages)
{
	if (pages->dma_addr == &pages->single_addr)
		return 0;

	return bench_bytes(pages->dma_addr);
}

static bool side_invalidate_start(struct drm_gpusvm *gpusvm,
				  struct drm_gpusvm_notifier *notifier,
				  const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range *range = NULL;
	struct bench_range *br;
	unsigned int i;

	drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
				  mmu_range->end) {
		br = to_bench_range(range);
		for (i = 0; i < br->devices; i++)
			drm_gpusvm_unmap_pages_deferred(notifier, &br->pages[i]);
	}

	return false;
}

/* What is beside the part stays mapped. */
static bool side_invalidate_start_parts(struct drm_gpusvm *gpusvm,
					struct drm_gpusvm_notifier *notifier,
					const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range *range = NULL;
	unsigned long start, end;
	struct bench_range *br;
	unsigned int i;

	drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
				  mmu_range->end) {
		br = to_bench_range(range);
		start = max(mmu_range->start, drm_gpusvm_range_start(range));
		end = min(mmu_range->end, drm_gpusvm_range_end(range));
		for (i = 0; i < br->devices; i++)
			drm_gpusvm_unmap_part_deferred(notifier, &br->pages[i],
						       drm_gpusvm_range_start(range),
						       &start, &end);
	}

	return false;
}

/* The modelled flush takes its time from here on, a little pessimistic. */
static void side_invalidate_finish(struct drm_gpusvm *gpusvm,
				   struct drm_gpusvm_notifier *notifier)
{
	bench_wait_us(to_bench_vm(gpusvm)->setup.flush_us);
}

static const struct drm_gpusvm_ops side_two_pass_ops = {
	.range_alloc = bench_range_alloc,
	.range_free = bench_range_free,
	.invalidate_start = side_invalidate_start,
	.invalidate_finish = side_invalidate_finish,
};

static const struct drm_gpusvm_ops side_parts_ops = {
	.range_alloc = bench_range_alloc,
	.range_free = bench_range_free,
	.invalidate_start = side_invalidate_start_parts,
	.invalidate_finish = side_invalidate_finish,
};

#endif /* BENCH_SIDE_H */
