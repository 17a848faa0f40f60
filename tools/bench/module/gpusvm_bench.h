/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the benchmark's program asks of its modules.
 *
 * An open file is one GPU SVM of the calling process: the first call sets it
 * up, the others each do one step on all ranges of an array, and closing the
 * file takes down whatever is left.
 */

#ifndef GPUSVM_BENCH_H
#define GPUSVM_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define GPUSVM_BENCH_MAX_DEVICES	4

/* What the driver unmaps, and when. The base's GPU SVM can do the first only. */
enum gpusvm_bench_driver {
	GPUSVM_BENCH_ONE_PASS,		/* ranges, at once */
	GPUSVM_BENCH_TWO_PASS,		/* ranges, in the second pass */
	GPUSVM_BENCH_PARTS,		/* what is invalidated, in the second pass */
};

/**
 * struct gpusvm_bench_setup - The shape of the GPU SVM
 *
 * @addr: First address of the array
 * @bytes: Size of the mirrored part of the address space, from @addr on
 * @size: Size of a range
 * @ranges: Number of ranges in the array
 * @devices: Number of devices that each range is mapped for
 * @flush_us: What a device takes to flush its translations, 0 for nothing
 * @bind_us: What a device takes to bind a range, 0 for nothing
 * @driver: &enum gpusvm_bench_driver, how it invalidates
 */
struct gpusvm_bench_setup {
	__u64 addr;
	__u64 bytes;
	__u32 size;
	__u32 ranges;
	__u32 devices;
	__u32 flush_us;
	__u32 bind_us;
	__u32 driver;
};

enum gpusvm_bench_op {
	/* Counted: the result is the sum over all ranges. */
	GPUSVM_BENCH_INSERT,		/* find_or_insert() */
	GPUSVM_BENCH_GET,		/* get_pages() for all devices */
	GPUSVM_BENCH_INVALIDATE,	/* the MMU notifier's call, a range each */
	GPUSVM_BENCH_INVALIDATE_PAGE,	/* same, one page of each range */
	GPUSVM_BENCH_INVALIDATE_8_PAGES, /* same, 8 pages, a call each */
	GPUSVM_BENCH_IDLE,		/* same, where no range is */
	GPUSVM_BENCH_FAIL,		/* find_or_insert() where nothing is mapped */
	GPUSVM_BENCH_FLOOR_GET,		/* walk and DMA map, nothing else */
	GPUSVM_BENCH_FLOOR_UNMAP,	/* DMA unmap of what the floor mapped */
	GPUSVM_BENCH_FINI,		/* fini() of the GPU SVM */
	GPUSVM_BENCH_CALIBRATE,		/* a loop of @ranges x 1000 instructions */
	/* Not counted: tells mappings apart, 0 where nothing is mapped. */
	GPUSVM_BENCH_CHECKSUM,
	/* Not counted: the result is in bytes. */
	GPUSVM_BENCH_BYTES_PAGES,	/* address arrays of the first range */
	GPUSVM_BENCH_BYTES_RANGE,	/* the range with its pages objects */
	GPUSVM_BENCH_BYTES_NOTIFIER,	/* the notifier */
	/* In real time: the result is in nanoseconds. */
	GPUSVM_BENCH_FAULT,		/* find, get, check and bind, a range each */
	GPUSVM_BENCH_LATENCY,		/* get and unmap; the time of each get in @samples */
	GPUSVM_BENCH_DISTURB,		/* invalidate and get until stopped */
	GPUSVM_BENCH_STOP,		/* end GPUSVM_BENCH_DISTURB */
	GPUSVM_BENCH_OPS
};

/**
 * struct gpusvm_bench_step - One step
 *
 * @samples: GPUSVM_BENCH_LATENCY: address of @nr_samples times, 32 bits each
 * @op: What to do
 * @first: The first range to do it on
 * @count: On how many ranges
 * @nr_samples: See @samples
 * @result: What it took, or how much there is
 */
struct gpusvm_bench_step {
	__u64 samples;
	__u32 op;
	__u32 first;
	__u32 count;
	__u32 nr_samples;
	__u64 result;
};

#define GPUSVM_BENCH_SETUP	_IOW('G', 0x60, struct gpusvm_bench_setup)
#define GPUSVM_BENCH_STEP	_IOWR('G', 0x61, struct gpusvm_bench_step)

#endif /* GPUSVM_BENCH_H */
