/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a provider of our drm_pagemap does what differs between the two.
 */

#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#define BENCH_SIDE	"ours"

static const struct drm_pagemap_ops side_pagemap_ops = {
	.device_map = bench_device_map,
	.device_unmap = bench_device_unmap,
	.devmem_alloc = bench_devmem_alloc,
	.destroy = bench_pagemap_destroy,
};

static const struct drm_pagemap_devmem_ops side_devmem_ops = {
	.devmem_release = bench_devmem_release,
	.populate_devmem_pfn = bench_devmem_pfns,
	.submit_to_devmem = bench_submit_to_devmem,
	.submit_to_ram = bench_submit_to_ram,
};

/* The CPU gets this much back, and more while it reads on. */
static void side_set_fault_window(struct drm_pagemap_devmem *devmem, u32 bytes)
{
	devmem->fault_window = bytes;
}

static int side_evict_many(struct drm_pagemap_devmem **devmem, unsigned int count)
{
	return drm_pagemap_evict_many(devmem, count);
}

#endif /* BENCH_SIDE_H */
