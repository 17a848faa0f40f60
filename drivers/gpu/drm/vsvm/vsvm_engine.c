// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/unaligned.h>

#include <drm/drm_print.h>

#include "vsvm_device.h"
#include "vsvm_mem.h"
#include "vsvm_queue.h"
#include "vsvm_vm.h"

/**
 * DOC: Engine
 *
 * The engine runs a job's operations in steps. A step translates one address,
 * or two for a copy, through the queue's TLB or the page table, and works on
 * what it finds up to the end of the page. All of that happens under
 * &vsvm_tlb.access, the only thing that keeps a translation good: the engine
 * holds no page references and takes no lock of the driver's.
 *
 * A step that misses leaves no trace. The fault is raised without the lock, and
 * the step is done anew. So there is always progress by pages, or an error.
 *
 * Meanwhile the engine runs other queues. All that it knows of a job that waits is
 * in its &struct vsvm_cursor.
 */

/* Faults were served, but each time the page was gone again: when to give up. */
#define PROGRESS_TIMEOUT	(20 * HZ)
#define PROGRESS_MISSES		64

/* Elements that one step works on at most, lest invalidations wait for long. */
#define STEP_ELEMENTS		512

static struct vsvm_job *to_job(struct vsvm_cursor *cursor)
{
	return container_of(cursor, struct vsvm_job, cursor);
}

static struct vsvm_queue *to_queue(struct vsvm_cursor *cursor)
{
	return to_job(cursor)->queue;
}

static int stale_access(struct vsvm_cursor *cursor, unsigned long addr, u64 pte)
{
	struct vsvm_queue *queue = to_queue(cursor);

	vsvm_stats_inc(queue->vmdev, VSVM_STAT_STALE_ACCESSES);
	drm_err_ratelimited(&queue->vmdev->vdev->drm,
			    "%s: stale %s access to %#lx, address %#llx\n",
			    queue->vm->name,
			    cursor->fault_access == VSVM_READ ? "read" : "write",
			    addr, vsvm_pte_addr(pte));

	/* So that the device is of use again once the cause is gone. */
	vsvm_tlb_flush(&queue->tlb, addr, addr + 1);
	return -EIO;
}

static u64 translate(struct vsvm_queue *queue, unsigned long addr,
		     enum vsvm_access access)
{
	u64 pte = vsvm_tlb_lookup(&queue->tlb, addr);

	if (vsvm_pte_allows(pte, access)) {
		vsvm_stats_inc(queue->vmdev, VSVM_STAT_TLB_HITS);
		return pte;
	}

	vsvm_stats_inc(queue->vmdev, VSVM_STAT_TLB_MISSES);
	pte = vsvm_pt_walk(&queue->vmdev->pt, addr);
	if (!vsvm_pte_allows(pte, access))
		return 0;

	vsvm_tlb_fill(&queue->tlb, addr, pte);
	return pte;
}

/*
 * Secret memory (memfd_secret()) is not in the kernel's page tables, where a device that
 * is made of software has to go. One of hardware would not notice.
 */
static void *map_page(struct page *page, unsigned long offset)
{
	u8 *p = kmap_local_page(page), byte;

	if (!copy_from_kernel_nofault(&byte, p, sizeof(byte)))
		return p + offset;

	kunmap_local(p);

	return ERR_PTR(-EFAULT);
}

/*
 * Get at the memory behind a virtual address. Returns its address in the kernel,
 * good until the end of the page and until kunmap_local(); or -EAGAIN after
 * noting a page fault; or -EFAULT if the kernel can't reach it; or -EIO.
 */
static void *access_begin(struct vsvm_cursor *cursor, unsigned long addr,
			  enum vsvm_access access)
{
	struct vsvm_queue *queue = to_queue(cursor);
	struct page *page;
	u64 pte;

	lockdep_assert_held(&queue->tlb.access);

	cursor->fault_addr = addr;
	cursor->fault_access = access;

	pte = translate(queue, addr, access);
	if (!pte)
		return ERR_PTR(-EAGAIN);

	page = vsvm_addr_page(vsvm_pte_addr(pte));
	if (!page ||
	    !vsvm_checker_allows(&queue->vmdev->checker, addr, pte, access))
		return ERR_PTR(stale_access(cursor, addr, pte));

	return map_page(page, offset_in_page(addr));
}

/* Bytes from @addr to the end of its page, or what is left of the operation. */
static u64 step_length(const struct vsvm_cursor *cursor, u64 addr)
{
	return min(PAGE_SIZE - offset_in_page(addr),
		   cursor->op->length - cursor->done);
}

static int step_fill(struct vsvm_cursor *cursor)
{
	u64 dst = cursor->op->dst + cursor->done;
	u64 length = step_length(cursor, dst);
	u64 value = ror64(cursor->op->value, 8 * (cursor->done % 8));
	u8 *p = access_begin(cursor, dst, VSVM_WRITE);
	u64 i;

	if (IS_ERR(p))
		return PTR_ERR(p);

	for (i = 0; i + sizeof(value) <= length; i += sizeof(value))
		put_unaligned_le64(value, p + i);
	for (; i < length; i++, value >>= 8)
		p[i] = value;

	kunmap_local(p);
	cursor->done += length;
	return 0;
}

static int step_copy(struct vsvm_cursor *cursor)
{
	u64 src = cursor->op->src + cursor->done;
	u64 dst = cursor->op->dst + cursor->done;
	u64 length = min(step_length(cursor, src), step_length(cursor, dst));
	void *from, *to;

	from = access_begin(cursor, src, VSVM_READ);
	if (IS_ERR(from))
		return PTR_ERR(from);

	to = access_begin(cursor, dst, VSVM_WRITE);
	if (IS_ERR(to)) {
		kunmap_local(from);
		return PTR_ERR(to);
	}

	memcpy(to, from, length);

	kunmap_local(to);
	kunmap_local(from);
	cursor->done += length;
	return 0;
}

static int step_add(struct vsvm_cursor *cursor)
{
	u64 dst = cursor->op->dst + cursor->done;
	u64 length = step_length(cursor, dst);
	void *p = access_begin(cursor, dst, VSVM_WRITE);

	if (IS_ERR(p))
		return PTR_ERR(p);

	if (cursor->op->flags & DRM_VSVM_OP_FLAG_U32)
		for (u32 *e = p; (void *)e < p + length; e++)
			*e += cursor->op->value;
	else
		for (u64 *e = p; (void *)e < p + length; e++)
			*e += cursor->op->value;

	kunmap_local(p);
	cursor->done += length;
	return 0;
}

static u64 atomic_add_element(void *p, const struct drm_vsvm_op *op)
{
	if (op->flags & DRM_VSVM_OP_FLAG_U32)
		return (u32)atomic_fetch_add((int)op->value, p);

	return atomic64_fetch_add(op->value, p);
}

/* As many elements as lie in the same page. */
static int step_atomic_add(struct vsvm_cursor *cursor)
{
	const struct drm_vsvm_op *op = cursor->op;
	u64 left = vsvm_op_total(op) - cursor->done;
	u64 index = cursor->done % op->count;
	u64 first = op->dst + index * op->stride;
	u64 offset = 0;
	void *p;

	p = access_begin(cursor, first, VSVM_ATOMIC);
	if (IS_ERR(p))
		return PTR_ERR(p);

	left = min3(left, op->count - index, (u64)STEP_ELEMENTS);
	if (!op->stride)
		left = min_t(u64, vsvm_op_total(op) - cursor->done, STEP_ELEMENTS);

	while (left-- && offset_in_page(first) + offset < PAGE_SIZE) {
		cursor->result = atomic_add_element(p + offset, op);
		cursor->done++;
		offset += op->stride;
	}

	kunmap_local(p);
	return 0;
}

static int step_cas(struct vsvm_cursor *cursor)
{
	const struct drm_vsvm_op *op = cursor->op;
	void *p = access_begin(cursor, op->dst, VSVM_ATOMIC);

	if (IS_ERR(p))
		return PTR_ERR(p);

	if (op->flags & DRM_VSVM_OP_FLAG_U32)
		cursor->result = cmpxchg((u32 *)p, (u32)op->compare,
					 (u32)op->value);
	else
		cursor->result = cmpxchg((u64 *)p, op->compare, op->value);

	kunmap_local(p);
	cursor->done = 1;
	return 0;
}

static int step_chase(struct vsvm_cursor *cursor)
{
	u64 addr = cursor->done ? cursor->result : cursor->op->src;
	u64 *p;

	if (!IS_ALIGNED(addr, sizeof(*p))) {
		cursor->fault_addr = addr;
		return -EFAULT;
	}

	p = access_begin(cursor, addr, VSVM_READ);
	if (IS_ERR(p))
		return PTR_ERR(p);

	cursor->result = READ_ONCE(*p);

	kunmap_local(p);
	cursor->done++;
	return 0;
}

static int step_sum(struct vsvm_cursor *cursor)
{
	u64 src = cursor->op->src + cursor->done;
	u64 length = step_length(cursor, src);
	const void *p = access_begin(cursor, src, VSVM_READ);

	if (IS_ERR(p))
		return PTR_ERR(p);

	if (cursor->op->flags & DRM_VSVM_OP_FLAG_U32)
		for (const u32 *e = p; (void *)e < p + length; e++)
			cursor->result += READ_ONCE(*e);
	else
		for (const u64 *e = p; (void *)e < p + length; e++)
			cursor->result += READ_ONCE(*e);

	kunmap_local(p);
	cursor->done += length;
	return 0;
}

/* Another queue, another device or the CPU writes the word. */
static int step_await(struct vsvm_cursor *cursor)
{
	const struct drm_vsvm_op *op = cursor->op;
	const void *p = access_begin(cursor, op->src, VSVM_READ);

	if (IS_ERR(p))
		return PTR_ERR(p);

	if (op->flags & DRM_VSVM_OP_FLAG_U32)
		cursor->done = READ_ONCE(*(const u32 *)p) >= (u32)op->value;
	else
		cursor->done = READ_ONCE(*(const u64 *)p) >= op->value;
	/* What is done from now on comes after it. Pairs with step_fence(). */
	smp_mb();

	kunmap_local(p);
	return 0;
}

static int step_fence(struct vsvm_cursor *cursor)
{
	void *p = access_begin(cursor, cursor->op->dst, VSVM_WRITE);

	if (IS_ERR(p))
		return PTR_ERR(p);

	/* All that the job did is seen before. */
	smp_store_release((u64 *)p, cursor->op->value);

	kunmap_local(p);
	cursor->done = sizeof(u64);
	return 0;
}

/**
 * struct vsvm_op_type - How the engine runs an operation
 * @step: Works on up to a page. Returns 0 after some progress, -EAGAIN on a page
 *	  fault, or another error. Called with &vsvm_tlb.access held
 * @has_result: There is something to tell in &drm_vsvm_wait.result
 */
struct vsvm_op_type {
	int (*step)(struct vsvm_cursor *cursor);
	bool has_result;
};

static const struct vsvm_op_type op_types[] = {
	[DRM_VSVM_OP_NOP] = {},
	[DRM_VSVM_OP_FILL] = { .step = step_fill },
	[DRM_VSVM_OP_COPY] = { .step = step_copy },
	[DRM_VSVM_OP_ADD] = { .step = step_add },
	[DRM_VSVM_OP_ATOMIC_ADD] = { .step = step_atomic_add, .has_result = true },
	[DRM_VSVM_OP_CAS] = { .step = step_cas, .has_result = true },
	[DRM_VSVM_OP_CHASE] = { .step = step_chase, .has_result = true },
	[DRM_VSVM_OP_SUM] = { .step = step_sum, .has_result = true },
	[DRM_VSVM_OP_AWAIT] = { .step = step_await },
};

static const struct vsvm_op_type fence_type = { .step = step_fence };

static const struct vsvm_op_type *type_of(struct vsvm_cursor *cursor)
{
	return cursor->op == &to_job(cursor)->fence ?
	       &fence_type : &op_types[cursor->op->opcode];
}

/* What became of the page fault that the last step has raised, if any. */
static enum vsvm_pause take_fault(struct vsvm_queue *queue, int *err)
{
	struct vsvm_fault *fault = &queue->fault;

	*err = 0;
	/* Pairs with the release in fault_work(). */
	switch (smp_load_acquire(&fault->state)) {
	case VSVM_FAULT_RAISED:
		return VSVM_PAUSE_FAULT;
	case VSVM_FAULT_SERVED:
		*err = fault->err;
		fault->state = VSVM_FAULT_NONE;
		return VSVM_PAUSE_NONE;
	default:
		return VSVM_PAUSE_NONE;
	}
}

static int raise_fault(struct vsvm_cursor *cursor)
{
	if (cursor->misses > PROGRESS_MISSES &&
	    time_after(jiffies, cursor->deadline))
		return -EBUSY;

	to_job(cursor)->outcome.faults++;
	vsvm_fault_raise(to_queue(cursor), cursor->fault_addr,
			 cursor->fault_access, cursor->misses++);
	return -EAGAIN;
}

/* Return: 0 after progress, -EAGAIN after a page fault was raised, or an error. */
static int do_step(struct vsvm_cursor *cursor)
{
	int err;

	scoped_guard(mutex, &to_queue(cursor)->tlb.access)
		err = type_of(cursor)->step(cursor);

	if (err == -EAGAIN)
		return raise_fault(cursor);

	cursor->deadline = jiffies + PROGRESS_TIMEOUT;
	cursor->misses /= 2;
	return err;
}

static bool begin_op(struct vsvm_job *job)
{
	struct vsvm_cursor *cursor = &job->cursor;
	const struct drm_vsvm_op *op;

	if (cursor->op)
		return true;

	if (job->index < job->num_ops)
		op = &job->ops[job->index];
	else if (job->index == job->num_ops && job->fence.dst)
		op = &job->fence;
	else
		return false;

	*cursor = (struct vsvm_cursor) {
		.op = op,
		.deadline = jiffies + PROGRESS_TIMEOUT,
	};
	return true;
}

/* A job fails with its first operation that does. Its fence is written all the same. */
static void end_op(struct vsvm_job *job, int err)
{
	struct vsvm_outcome *outcome = &job->outcome;

	if (!err && type_of(&job->cursor)->has_result)
		outcome->result = job->cursor.result;
	if (err && !outcome->status) {
		outcome->status = err;
		outcome->fault_addr = job->cursor.fault_addr;
	}

	job->cursor.op = NULL;
	job->index++;
	if (err)
		job->index = max(job->index, job->num_ops);
}

/* Run an operation until it pauses or ends, with an error or without. */
static enum vsvm_pause run_op(struct vsvm_cursor *cursor, int *err)
{
	struct vsvm_queue *queue = to_queue(cursor);
	u64 total = vsvm_op_total(cursor->op);

	while (!*err && cursor->done < total) {
		u64 done = cursor->done;

		if (time_after(jiffies, queue->turn_end))
			return VSVM_PAUSE_TURN;
		if (READ_ONCE(queue->error))
			return VSVM_PAUSE_NONE;

		*err = do_step(cursor);
		if (*err == -EAGAIN)
			return VSVM_PAUSE_FAULT;
		if (!*err && cursor->done == done)
			return VSVM_PAUSE_POLL;
		cond_resched();
	}

	return VSVM_PAUSE_NONE;
}

/**
 * vsvm_engine_run() - Run a job, or go on with it
 * @queue: The queue
 * @job: The job; &vsvm_job.outcome is filled
 *
 * Return: why the job has to wait, or VSVM_PAUSE_NONE if it has ended.
 */
enum vsvm_pause vsvm_engine_run(struct vsvm_queue *queue, struct vsvm_job *job)
{
	enum vsvm_pause pause;
	int err;

	pause = take_fault(queue, &err);
	while (pause == VSVM_PAUSE_NONE && begin_op(job)) {
		/* A queue that was cancelled touches no memory any more. */
		if (READ_ONCE(queue->error)) {
			job->outcome.status = job->outcome.status ?: queue->error;
			break;
		}

		pause = run_op(&job->cursor, &err);
		if (pause == VSVM_PAUSE_NONE && !READ_ONCE(queue->error)) {
			end_op(job, err);
			err = 0;
		}
	}

	return pause;
}
