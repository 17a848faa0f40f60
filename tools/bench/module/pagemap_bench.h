/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the benchmark's program asks of the modules that migrate.
 *
 * An open file is an array of chunks of the calling process, 2 MiB each. Each
 * step does one thing to all of them.
 */

#ifndef PAGEMAP_BENCH_H
#define PAGEMAP_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PAGEMAP_BENCH_CHUNK		(2U << 20)
#define PAGEMAP_BENCH_MAX_CHUNKS	32

/**
 * struct pagemap_bench_setup - The memory, and the device's copy engine
 *
 * @addr: First address of the array, aligned to a chunk
 * @chunks: Number of chunks
 * @chunk_ns: What the engine takes to copy a chunk; 0 if copies take no time
 * @copy_ns: What it takes for each copy in addition, however small, if so
 * @fault_window: Bytes that a CPU fault is to bring back, where that can be
 *		  chosen; 0 for what is the default there
 */
struct pagemap_bench_setup {
	__u64 addr;
	__u32 chunks;
	__u32 chunk_ns;
	__u32 copy_ns;
	__u32 fault_window;
};

enum pagemap_bench_op {
	/* Counted: the result is the sum over all chunks. */
	PAGEMAP_BENCH_MIGRATE,		/* drm_pagemap_migrate_to_devmem() */
	PAGEMAP_BENCH_POPULATE,		/* drm_pagemap_populate_mm(), a chunk each */
	PAGEMAP_BENCH_EVICT,		/* drm_pagemap_evict_to_ram() */
	PAGEMAP_BENCH_FLOOR_VMA,	/* collect by address and put back */
	PAGEMAP_BENCH_FLOOR_DEVICE,	/* collect by device page and put back */
	PAGEMAP_BENCH_BARE_VMA,		/* move without contents; to be undone by the next */
	PAGEMAP_BENCH_BARE_DEVICE,	/* move back what that has moved */
	/* In modelled time: the result is in nanoseconds. */
	PAGEMAP_BENCH_POPULATE_ALL,	/* all chunks by one call */
	PAGEMAP_BENCH_EVICT_ALL,	/* all chunks, as fast as may be */
	PAGEMAP_BENCH_OPS
};

/**
 * struct pagemap_bench_step - One step
 *
 * @op: What to do
 * @error: Errno of a chunk that was not done, or not all of it; else 0
 * @result: What it took
 * @to_device: Pages copied to the device
 * @to_ram: Pages copied to RAM
 * @zeroed: Device pages zeroed
 */
struct pagemap_bench_step {
	__u32 op;
	__s32 error;
	__u64 result;
	__u64 to_device;
	__u64 to_ram;
	__u64 zeroed;
};

#define PAGEMAP_BENCH_SETUP	_IOW('P', 0x60, struct pagemap_bench_setup)
#define PAGEMAP_BENCH_STEP	_IOWR('P', 0x61, struct pagemap_bench_step)

#endif /* PAGEMAP_BENCH_H */
