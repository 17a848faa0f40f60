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
 */

/* Faults were served, but each time the page was gone again: when to give up. */
#define PROGRESS_TIMEOUT	(20 * HZ)
#define PROGRESS_MISSES		64

/* Elements that one step works on at most, lest invalidations wait for long. */
#define STEP_ELEMENTS		512

/**
 * struct vsvm_cursor - How far an operation got
 *
 * @queue: The queue
 * @job: The job
 * @op: The operation
 * @done: Bytes, elements or steps that are done
 * @result: What the operation found so far
 * @fault_addr: Where the last step missed
 * @fault_access: What it was about to do
 * @deadline: When to give up if there is no progress, in jiffies
 * @misses: Faults in vain of late; progress halves them
 */
struct vsvm_cursor {
	struct vsvm_queue *queue;
	struct vsvm_job *job;
	const struct drm_vsvm_op *op;
	u64 done;
	u64 result;
	unsigned long fault_addr;
	enum vsvm_access fault_access;
	unsigned long deadline;
	unsigned int misses;
};

static int stale_access(struct vsvm_cursor *cursor, unsigned long addr, u64 pte)
{
	struct vsvm_queue *queue = cursor->queue;

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
 * Get at the memory behind a virtual address. Returns its address in the kernel,
 * good until the end of the page and until kunmap_local(); or -EAGAIN after
 * noting a page fault; or -EIO.
 */
static void *access_begin(struct vsvm_cursor *cursor, unsigned long addr,
			  enum vsvm_access access)
{
	struct vsvm_queue *queue = cursor->queue;
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

	return kmap_local_page(page) + offset_in_page(addr);
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
};

static int page_fault(struct vsvm_cursor *cursor)
{
	if (cursor->misses > PROGRESS_MISSES &&
	    time_after(jiffies, cursor->deadline))
		return -EBUSY;

	cursor->job->outcome.faults++;
	return vsvm_fault_raise(cursor->queue, cursor->fault_addr,
				cursor->fault_access, cursor->misses++);
}

static int do_step(struct vsvm_cursor *cursor, const struct vsvm_op_type *type)
{
	int err;

	scoped_guard(mutex, &cursor->queue->tlb.access)
		err = type->step(cursor);

	if (err == -EAGAIN)
		return page_fault(cursor);

	cursor->deadline = jiffies + PROGRESS_TIMEOUT;
	cursor->misses /= 2;
	return err;
}

static int run_op(struct vsvm_cursor *cursor)
{
	const struct vsvm_op_type *type = &op_types[cursor->op->opcode];
	struct vsvm_outcome *outcome = &cursor->job->outcome;
	u64 total = vsvm_op_total(cursor->op);
	int err = 0;

	cursor->deadline = jiffies + PROGRESS_TIMEOUT;
	while (cursor->done < total) {
		err = READ_ONCE(cursor->queue->error);
		if (err)
			return err;

		err = do_step(cursor, type);
		if (err) {
			outcome->fault_addr = cursor->fault_addr;
			return err;
		}
		cond_resched();
	}

	if (type->has_result)
		outcome->result = cursor->result;
	return 0;
}

/**
 * vsvm_engine_run() - Run a job
 * @queue: The queue
 * @job: The job; &vsvm_job.outcome is filled, but for the status
 *
 * Return: 0 or a negative error code.
 */
int vsvm_engine_run(struct vsvm_queue *queue, struct vsvm_job *job)
{
	int err = 0;

	for (u32 i = 0; !err && i < job->num_ops; i++) {
		struct vsvm_cursor cursor = {
			.queue = queue,
			.job = job,
			.op = &job->ops[i],
		};

		err = run_op(&cursor);
	}

	return err;
}
