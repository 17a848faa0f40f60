// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <drm/drm_file.h>
#include <drm/drm_utils.h>

#include "vsvm_device.h"
#include "vsvm_queue.h"
#include "vsvm_share.h"
#include "vsvm_trace.h"
#include "vsvm_vm.h"

/**
 * DOC: Fences
 *
 * A job ends after its page faults were served, which allocates memory and may wait
 * for any other process. Whoever waits for a dma_fence may be what memory is
 * reclaimed by, or another driver's queue. So jobs have no dma_fence at all, and no
 * syncobjs. Processes wait by DRM_IOCTL_VSVM_WAIT or look at a word in their memory,
 * which the device writes when a job has ended; jobs wait for such words, too, with
 * DRM_VSVM_OP_AWAIT.
 */

/* How long a queue may run before it is the turn of others. */
#define TURN		msecs_to_jiffies(20)

static void finish_job(struct vsvm_queue *queue, struct vsvm_job *job)
{
	vsvm_stats_inc(queue->vmdev, VSVM_STAT_JOBS);
	if (job->outcome.status)
		vsvm_stats_inc(queue->vmdev, VSVM_STAT_FAILED_JOBS);
	trace_vsvm_job_end(queue, job, ktime_sub(ktime_get(), job->begin));
	vsvm_quota_give(queue->file_ops, job->num_ops);

	scoped_guard(spinlock, &queue->lock) {
		list_del(&job->link);
		queue->history[job->seqno % DRM_VSVM_JOB_HISTORY] = job->outcome;
		/* Pairs with the acquires of those who wait for jobs. */
		smp_store_release(&queue->finished, job->seqno);
	}

	wake_up_all(&queue->wq);
	kvfree(job);
}

static enum vsvm_pause run_job(struct vsvm_queue *queue, struct vsvm_job *job)
{
	enum vsvm_pause pause;

	if (!job->begin) {
		job->begin = ktime_get();
		trace_vsvm_job_begin(queue, job);
	}

	pause = vsvm_engine_run(queue, job);
	if (pause == VSVM_PAUSE_NONE)
		finish_job(queue, job);

	return pause;
}

static struct vsvm_job *first_job(struct vsvm_queue *queue)
{
	guard(spinlock)(&queue->lock);

	return list_first_entry_or_null(&queue->jobs, struct vsvm_job, link);
}

/**
 * vsvm_job_work() - Run the jobs of a queue
 * @work: &vsvm_queue.work
 *
 * Until there are none, or one has to wait. Nobody is waited for in here: a queue
 * that has to wait, or whose turn is over, leaves the engine to others.
 */
void vsvm_job_work(struct work_struct *work)
{
	struct vsvm_queue *queue = container_of(to_delayed_work(work),
						struct vsvm_queue, work);
	struct workqueue_struct *engines = queue->vmdev->share->engines;
	enum vsvm_pause pause = VSVM_PAUSE_NONE;
	struct vsvm_job *job;

	queue->turn_end = jiffies + TURN;
	while (pause == VSVM_PAUSE_NONE && (job = first_job(queue))) {
		pause = run_job(queue, job);
		/* Jobs that have nothing to do don't look at the time. */
		if (pause == VSVM_PAUSE_NONE && time_after(jiffies, queue->turn_end))
			pause = VSVM_PAUSE_TURN;
		cond_resched();
	}

	/* Not if someone has kicked the queue meanwhile. */
	if (pause == VSVM_PAUSE_TURN)
		queue_delayed_work(engines, &queue->work, 0);
	else if (pause == VSVM_PAUSE_POLL)
		queue_delayed_work(engines, &queue->work, 1);
}

static int copy_ops(struct vsvm_job *job, const struct drm_vsvm_submit *args)
{
	if (copy_from_user(job->ops, u64_to_user_ptr(args->ops),
			   array_size(args->num_ops, sizeof(job->ops[0]))))
		return -EFAULT;

	for (u32 i = 0; i < job->num_ops; i++)
		if (!vsvm_op_is_valid(&job->ops[i]))
			return -EINVAL;

	return 0;
}

static struct vsvm_job *job_create(struct vsvm_queue *queue,
				   const struct drm_vsvm_submit *args)
{
	struct vsvm_job *job;
	int err;

	job = kvzalloc_flex(*job, ops, args->num_ops, GFP_KERNEL_ACCOUNT);
	if (!job)
		return ERR_PTR(-ENOMEM);

	job->num_ops = args->num_ops;
	job->queue = queue;
	job->fence = (struct drm_vsvm_op) {
		.opcode = DRM_VSVM_OP_FILL,
		.dst = args->fence_addr,
		.length = sizeof(u64),
		.value = args->fence_value,
	};
	err = copy_ops(job, args);
	if (err) {
		kvfree(job);
		return ERR_PTR(err);
	}

	return job;
}

/* Give the job its number and let it run. It may have ended by the return. */
static int queue_job(struct vsvm_queue *queue, struct vsvm_job *job, u64 *seqno)
{
	scoped_guard(spinlock, &queue->lock) {
		if (queue->error)
			return queue->error;
		if (queue->submitted - queue->finished >= DRM_VSVM_MAX_JOBS)
			return -EBUSY;

		*seqno = job->seqno = queue->submitted + 1;
		list_add_tail(&job->link, &queue->jobs);
		WRITE_ONCE(queue->submitted, job->seqno);
	}

	vsvm_queue_kick(queue);
	return 0;
}

static int submit(struct vsvm_queue *queue, struct drm_vsvm_submit *args)
{
	struct vsvm_job *job;
	int err;

	if (!vsvm_vm_is_ours(queue->vm))
		return -EPERM;

	if (!vsvm_quota_take(queue->file_ops, args->num_ops,
			     DRM_VSVM_MAX_FILE_OPS))
		return -EBUSY;

	job = job_create(queue, args);
	err = PTR_ERR_OR_ZERO(job);
	if (!err) {
		err = queue_job(queue, job, &args->seqno);
		if (!err)
			return 0;
		kvfree(job);
	}

	vsvm_quota_give(queue->file_ops, args->num_ops);
	return err;
}

static bool fence_is_valid(const struct drm_vsvm_submit *args)
{
	if (!args->fence_addr)
		return !args->fence_value;

	return IS_ALIGNED(args->fence_addr, sizeof(u64)) &&
	       args->fence_addr < BIT_ULL(DRM_VSVM_VA_BITS);
}

/**
 * vsvm_submit_ioctl() - DRM_IOCTL_VSVM_SUBMIT
 * @drm: The device
 * @data: A &struct drm_vsvm_submit
 * @file: The file that the queue belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_submit_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file)
{
	struct drm_vsvm_submit *args = data;
	struct vsvm_queue *queue;
	int err;

	if (args->flags || args->pad || !args->num_ops ||
	    args->num_ops > DRM_VSVM_MAX_OPS || !fence_is_valid(args))
		return -EINVAL;

	queue = vsvm_queue_lookup(file->driver_priv, args->queue_id);
	if (!queue)
		return -ENOENT;

	err = submit(queue, args);
	vsvm_queue_put(queue);
	return err;
}

/* The outcome of a job that has ended. */
static int read_history(struct vsvm_queue *queue, struct drm_vsvm_wait *args)
{
	struct vsvm_outcome *outcome;

	guard(spinlock)(&queue->lock);

	if (queue->finished - args->seqno >= DRM_VSVM_JOB_HISTORY)
		return -ENOENT;

	outcome = &queue->history[args->seqno % DRM_VSVM_JOB_HISTORY];
	args->status = outcome->status;
	args->fault_addr = outcome->fault_addr;
	args->result = outcome->result;
	args->faults = outcome->faults;
	return 0;
}

static bool has_finished(struct vsvm_queue *queue, u64 seqno)
{
	/* Pairs with the release in finish_job(). */
	return smp_load_acquire(&queue->finished) >= seqno;
}

static int wait_for_job(struct vsvm_queue *queue, struct drm_vsvm_wait *args)
{
	long left = drm_timeout_abs_to_jiffies(args->timeout_ns);

	if (!args->seqno || args->seqno > READ_ONCE(queue->submitted))
		return -EINVAL;

	left = wait_event_interruptible_timeout(queue->wq,
						has_finished(queue, args->seqno),
						left);
	if (left < 0)
		return left;

	return left ? read_history(queue, args) : -ETIME;
}

/**
 * vsvm_wait_ioctl() - DRM_IOCTL_VSVM_WAIT
 * @drm: The device
 * @data: A &struct drm_vsvm_wait
 * @file: The file that the queue belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_wait *args = data;
	struct vsvm_queue *queue;
	int err;

	if (args->flags || args->pad)
		return -EINVAL;

	queue = vsvm_queue_lookup(file->driver_priv, args->queue_id);
	if (!queue)
		return -ENOENT;

	err = wait_for_job(queue, args);
	vsvm_queue_put(queue);
	return err;
}
