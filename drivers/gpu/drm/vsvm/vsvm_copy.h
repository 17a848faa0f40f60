/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_COPY_H_
#define _VSVM_COPY_H_

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct dma_fence;

/**
 * struct vsvm_copy_seg - A piece of a copy
 * @src: Where it comes from, an address as in vsvm_mem.h; 0 for zeroes
 * @dst: Where it goes
 * @npages: Pages, contiguous on both sides
 */
struct vsvm_copy_seg {
	u64 src;
	u64 dst;
	u32 npages;
};

/**
 * struct vsvm_copy - A copy
 * @work: Does it
 * @engine: The copy engine
 * @fence: Signals when it is done
 * @before: What has to signal before it begins, or NULL
 * @bytes: How much it is, without zeroes
 * @out: It comes out of the engine's device memory, instead of going there
 * @num_segs: Entries of @segs that are in use
 * @segs: The pieces
 */
struct vsvm_copy {
	struct work_struct work;
	struct vsvm_copy_engine *engine;
	struct dma_fence *fence;
	struct dma_fence *before;
	u64 bytes;
	bool out;
	u32 num_segs;
	struct vsvm_copy_seg segs[];
};

/**
 * struct vsvm_copy_engine - The part of a device that moves memory
 *
 * Does one copy at a time, in the order in which they were submitted.
 *
 * @wq: Runs the copies
 * @lock: Protects @seqno and @stopped
 * @fence_context: For the copies' fences
 * @seqno: Number of the last copy
 * @stopped: No more copies are taken
 * @latency_us: How long each copy takes to begin
 * @bandwidth: MiB that are copied in a second, zero for no limit
 * @fail: So many of the next copies fail; to prove that nothing is lost
 * @copies: Copies that were done
 * @failed: Copies that failed
 * @copied_in: Bytes that were copied into the device's memory
 * @copied_out: Bytes that were copied out of it
 */
struct vsvm_copy_engine {
	struct workqueue_struct *wq;
	spinlock_t lock;
	u64 fence_context;
	u64 seqno;
	bool stopped;
	unsigned int latency_us;
	unsigned int bandwidth;
	atomic_t fail;
	atomic64_t copies;
	atomic64_t failed;
	atomic64_t copied_in;
	atomic64_t copied_out;
};

int vsvm_copy_engine_init(struct vsvm_copy_engine *engine, const char *name,
			  unsigned int latency_us, unsigned int bandwidth);
void vsvm_copy_engine_stop(struct vsvm_copy_engine *engine);

struct vsvm_copy *vsvm_copy_alloc(unsigned int max_segs, bool out);
void vsvm_copy_add(struct vsvm_copy *copy, u64 src, u64 dst, u32 npages);
struct dma_fence *vsvm_copy_submit(struct vsvm_copy_engine *engine,
				   struct vsvm_copy *copy,
				   struct dma_fence *before);

#endif
