/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a provider of the base's drm_pagemap does what differs between the two.
 */

#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#define BENCH_SIDE	"base"

/* One chunk after the other, each with an allocation of its own. */
static int side_populate_mm(struct drm_pagemap *dpagemap, unsigned long start,
			    unsigned long end, struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
	};
	struct drm_pagemap_devmem *devmem;
	int err = 0;

	for (; start < end && !err; start += PAGEMAP_BENCH_CHUNK) {
		devmem = bench_devmem_alloc(dpagemap, mm, PAGEMAP_BENCH_CHUNK, true);
		if (IS_ERR(devmem))
			return PTR_ERR(devmem);
		err = drm_pagemap_migrate_to_devmem(devmem, mm, start,
						    start + PAGEMAP_BENCH_CHUNK,
						    &details);
	}

	return err;
}

static const struct drm_pagemap_ops side_pagemap_ops = {
	.device_map = bench_device_map,
	.device_unmap = bench_device_unmap,
	.populate_mm = side_populate_mm,
	.destroy = bench_pagemap_destroy,
};

/* There are ops that wait only. */
static const struct drm_pagemap_devmem_ops side_devmem_ops = {
	.devmem_release = bench_devmem_release,
	.populate_devmem_pfn = bench_devmem_pfns,
	.copy_to_devmem = bench_copy_to_devmem,
	.copy_to_ram = bench_copy_to_ram,
};

/* The CPU gets all of an allocation back. */
static void side_set_fault_window(struct drm_pagemap_devmem *devmem, u32 bytes)
{
}

static int side_evict_many(struct drm_pagemap_devmem **devmem, unsigned int count)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < count && !err; i++)
		err = drm_pagemap_evict_to_ram(devmem[i]);

	return err;
}

#endif /* BENCH_SIDE_H */
