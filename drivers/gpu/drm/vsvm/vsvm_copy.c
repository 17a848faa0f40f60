// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-fence.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include "vsvm_copy.h"
#include "vsvm_mem.h"
#include "vsvm_trace.h"

/**
 * DOC: Copy engine
 *
 * Memory reclaim may wait for a copy: a CPU fault does, with pages locked. So
 * what a copy needs is allocated before its fence exists, and between then and
 * the signal nothing is allocated and no lock is taken. As with
 * jobs, the fence is an object of its own that needs nothing of this module
 * once it has signalled.
 */

static const char *fence_driver_name(struct dma_fence *fence)
{
	return "vsvm";
}

static const char *fence_timeline_name(struct dma_fence *fence)
{
	return "vsvm-copy";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
};

static int copy_segment(const struct vsvm_copy_seg *seg)
{
	/* A tag that doesn't fit: the driver copies what isn't its any more. */
	struct page *dst = vsvm_addr_page(seg->dst);
	struct page *src = seg->src ? vsvm_addr_page(seg->src) : dst;

	if (!src || !dst)
		return -EFAULT;

	for (u32 i = 0; i < seg->npages; i++) {
		if (seg->src)
			copy_highpage(dst + i, src + i);
		else
			clear_highpage(dst + i);
		cond_resched();
	}

	return 0;
}

static int copy_all(const struct vsvm_copy *copy)
{
	int err = 0;

	if (atomic_dec_if_positive(&copy->engine->fail) >= 0)
		return -EIO;

	for (u32 i = 0; !err && i < copy->num_segs; i++)
		err = copy_segment(&copy->segs[i]);

	return err;
}

/* When hardware would be through with it. */
static ktime_t copy_due(const struct vsvm_copy *copy, ktime_t begin)
{
	const struct vsvm_copy_engine *engine = copy->engine;
	u64 ns = engine->latency_us * NSEC_PER_USEC;

	if (engine->bandwidth)
		ns += mul_u64_u64_div_u64(copy->bytes, NSEC_PER_SEC,
					  (u64)engine->bandwidth * SZ_1M);

	return ktime_add_ns(begin, ns);
}

static void wait_until(ktime_t due)
{
	while (ktime_before(ktime_get(), due)) {
		set_current_state(TASK_IDLE);
		schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
	}
}

static int run_copy(const struct vsvm_copy *copy)
{
	ktime_t begin;
	int err;

	if (copy->before) {
		dma_fence_wait(copy->before, false);
		err = copy->before->error;
		if (err)
			return err;
	}

	begin = ktime_get();
	err = copy_all(copy);
	wait_until(copy_due(copy, begin));
	return err;
}

static void count_copy(const struct vsvm_copy *copy, int err)
{
	struct vsvm_copy_engine *engine = copy->engine;

	atomic64_inc(err ? &engine->failed : &engine->copies);
	if (!err)
		atomic64_add(copy->bytes, copy->out ? &engine->copied_out :
						      &engine->copied_in);
}

static void copy_free(struct vsvm_copy *copy)
{
	dma_fence_put(copy->before);
	kvfree(copy);
}

static void copy_work(struct work_struct *work)
{
	struct vsvm_copy *copy = container_of(work, struct vsvm_copy, work);
	bool cookie = dma_fence_begin_signalling();
	ktime_t begin = ktime_get();
	int err = run_copy(copy);

	count_copy(copy, err);
	trace_vsvm_copy(copy, err, ktime_sub(ktime_get(), begin));
	if (err)
		dma_fence_set_error(copy->fence, err);
	dma_fence_signal(copy->fence);
	dma_fence_end_signalling(cookie);

	dma_fence_put(copy->fence);
	copy_free(copy);
}

/**
 * vsvm_copy_alloc() - Make an empty copy
 * @max_segs: How many pieces it may have
 * @out: It comes out of the engine's device memory, instead of going there
 *
 * May sleep.
 *
 * Return: the copy, or NULL if there is no memory. vsvm_copy_submit() consumes
 * it.
 */
struct vsvm_copy *vsvm_copy_alloc(unsigned int max_segs, bool out)
{
	struct vsvm_copy *copy;

	copy = kvzalloc_flex(*copy, segs, max_segs);
	if (!copy)
		return NULL;

	copy->fence = kzalloc_obj(*copy->fence);
	if (!copy->fence) {
		kvfree(copy);
		return NULL;
	}

	INIT_WORK(&copy->work, copy_work);
	copy->out = out;
	return copy;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_copy_alloc);

/**
 * vsvm_copy_add() - Add a piece to a copy
 * @copy: The copy, with room for another piece
 * @src: Where it comes from, 0 for zeroes
 * @dst: Where it goes
 * @npages: Pages, contiguous on both sides
 */
void vsvm_copy_add(struct vsvm_copy *copy, u64 src, u64 dst, u32 npages)
{
	copy->segs[copy->num_segs++] = (struct vsvm_copy_seg) {
		.src = src,
		.dst = dst,
		.npages = npages,
	};
	if (src)
		copy->bytes += (u64)npages * PAGE_SIZE;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_copy_add);

/* Give it a number and let it run, unless the engine was stopped. */
static struct dma_fence *queue_copy(struct vsvm_copy_engine *engine,
				    struct vsvm_copy *copy)
{
	struct dma_fence *fence = copy->fence;

	guard(spinlock)(&engine->lock);

	if (engine->stopped)
		return ERR_PTR(-ENODEV);

	dma_fence_init64(fence, &fence_ops, NULL, engine->fence_context,
			 ++engine->seqno);
	dma_fence_get(fence);
	queue_work(engine->wq, &copy->work);
	return fence;
}

/**
 * vsvm_copy_submit() - Submit a copy
 * @engine: The copy engine
 * @copy: The copy; the engine's or gone from now on
 * @before: A fence that has to signal before it begins, or NULL
 *
 * Doesn't sleep.
 *
 * Return: a fence that signals when the copy is done, with an error if it
 * failed; NULL if there was nothing to copy; -ENODEV if the engine was stopped.
 */
struct dma_fence *vsvm_copy_submit(struct vsvm_copy_engine *engine,
				   struct vsvm_copy *copy,
				   struct dma_fence *before)
{
	struct dma_fence *fence = NULL;

	copy->engine = engine;
	copy->before = before ? dma_fence_get(before) : NULL;

	if (copy->num_segs)
		fence = queue_copy(engine, copy);
	if (IS_ERR_OR_NULL(fence)) {
		kfree(copy->fence); /* not a fence yet */
		copy_free(copy);
	}

	return fence;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_copy_submit);

/**
 * vsvm_copy_engine_init() - Start a copy engine
 * @engine: The engine, zeroed
 * @name: Name of the device
 * @latency_us: How long each copy takes to begin
 * @bandwidth: MiB that are copied in a second, zero for no limit
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_copy_engine_init(struct vsvm_copy_engine *engine, const char *name,
			  unsigned int latency_us, unsigned int bandwidth)
{
	engine->wq = alloc_ordered_workqueue("%s/copy", WQ_MEM_RECLAIM, name);
	if (!engine->wq)
		return -ENOMEM;

	spin_lock_init(&engine->lock);
	engine->fence_context = dma_fence_context_alloc(1);
	engine->latency_us = latency_us;
	engine->bandwidth = bandwidth;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_copy_engine_init);

/**
 * vsvm_copy_engine_stop() - Stop a copy engine
 * @engine: The engine
 *
 * What was submitted is done when it returns; from now on nothing is taken.
 */
void vsvm_copy_engine_stop(struct vsvm_copy_engine *engine)
{
	scoped_guard(spinlock, &engine->lock)
		engine->stopped = true;

	destroy_workqueue(engine->wq);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_copy_engine_stop);
