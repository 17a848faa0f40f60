// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/drm_syncobj.h>
#include <drm/drm_utils.h>

#include "vsvm_device.h"
#include "vsvm_queue.h"
#include "vsvm_trace.h"
#include "vsvm_vm.h"

/**
 * DOC: Fences
 *
 * A job's fence signals after page faults were served, which allocates memory.
 * So memory reclaim must never wait for it, and that is why it is only ever put
 * into syncobjs that user space owns, not into a reservation object.
 *
 * The fence is an object of its own without a release function. Once signalled
 * it needs nothing of this module any more.
 */

static const char *fence_driver_name(struct dma_fence *fence)
{
	return "vsvm";
}

static const char *fence_timeline_name(struct dma_fence *fence)
{
	return "vsvm-queue";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
};

static void job_free(struct vsvm_job *job)
{
	dma_fence_put(job->in);
	kvfree(job->ops);
	kfree(job);
}

static void in_fence_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct vsvm_job *job = container_of(cb, struct vsvm_job, in_cb);

	wake_up_all(&job->queue->wq);
}

static int wait_for_in_fence(struct vsvm_queue *queue, struct vsvm_job *job)
{
	if (job->in && !dma_fence_add_callback(job->in, &job->in_cb,
					       in_fence_signalled)) {
		wait_event_idle(queue->wq, dma_fence_is_signaled(job->in) ||
				READ_ONCE(queue->error));
		dma_fence_remove_callback(job->in, &job->in_cb);
	}

	return READ_ONCE(queue->error);
}

static void finish_job(struct vsvm_queue *queue, struct vsvm_job *job)
{
	int status = job->outcome.status;

	vsvm_stats_inc(queue->vmdev, VSVM_STAT_JOBS);
	if (status)
		vsvm_stats_inc(queue->vmdev, VSVM_STAT_FAILED_JOBS);

	scoped_guard(spinlock, &queue->lock) {
		list_del(&job->link);
		queue->history[job->seqno % DRM_VSVM_JOB_HISTORY] = job->outcome;
		/* Pairs with the acquires of those who wait for jobs. */
		smp_store_release(&queue->finished, job->seqno);
	}

	if (status)
		dma_fence_set_error(job->fence, status);
	dma_fence_signal(job->fence);
	dma_fence_put(job->fence);
	wake_up_all(&queue->wq);
	job_free(job);
}

static void run_job(struct vsvm_queue *queue, struct vsvm_job *job)
{
	ktime_t begin;
	int err;

	err = wait_for_in_fence(queue, job);
	begin = ktime_get();
	trace_vsvm_job_begin(queue, job);
	job->outcome.status = err ?: vsvm_engine_run(queue, job);
	trace_vsvm_job_end(queue, job, ktime_sub(ktime_get(), begin));
	finish_job(queue, job);
}

/**
 * vsvm_job_thread() - Run the jobs of a queue
 * @data: The queue
 *
 * Return: 0.
 */
int vsvm_job_thread(void *data)
{
	struct vsvm_queue *queue = data;

	while (!kthread_should_stop()) {
		struct vsvm_job *job;

		wait_event_idle(queue->wq, !list_empty_careful(&queue->jobs) ||
				kthread_should_stop());

		scoped_guard(spinlock, &queue->lock)
			job = list_first_entry_or_null(&queue->jobs,
						       struct vsvm_job, link);
		if (job)
			run_job(queue, job);
	}

	return 0;
}

static int copy_ops(struct vsvm_job *job, const struct drm_vsvm_submit *args)
{
	job->num_ops = args->num_ops;
	job->ops = vmemdup_array_user(u64_to_user_ptr(args->ops), args->num_ops,
				      sizeof(*job->ops));
	if (IS_ERR(job->ops)) {
		int err = PTR_ERR(job->ops);

		job->ops = NULL;
		return err;
	}

	for (u32 i = 0; i < job->num_ops; i++)
		if (!vsvm_op_is_valid(&job->ops[i]))
			return -EINVAL;

	return 0;
}

static struct vsvm_job *job_create(struct vsvm_queue *queue,
				   struct drm_file *file,
				   const struct drm_vsvm_submit *args)
{
	struct vsvm_job *job = kzalloc_obj(*job);
	int err;

	if (!job)
		return ERR_PTR(-ENOMEM);

	job->queue = queue;
	err = copy_ops(job, args);
	if (!err && args->in_sync)
		err = drm_syncobj_find_fence(file, args->in_sync, 0, 0,
					     &job->in);
	if (!err) {
		job->fence = kzalloc_obj(*job->fence);
		err = job->fence ? 0 : -ENOMEM;
	}
	if (err) {
		job_free(job);
		return ERR_PTR(err);
	}

	return job;
}

/*
 * Give the job its number and let it run. A reference to its fence is returned,
 * the job may have ended by then.
 */
static struct dma_fence *queue_job(struct vsvm_queue *queue,
				   struct vsvm_job *job, u64 *seqno)
{
	struct dma_fence *fence = job->fence;

	scoped_guard(spinlock, &queue->lock) {
		if (queue->error)
			return ERR_PTR(queue->error);
		if (queue->submitted - queue->finished >= DRM_VSVM_MAX_JOBS)
			return ERR_PTR(-EBUSY);

		*seqno = job->seqno = queue->submitted + 1;
		dma_fence_init64(fence, &fence_ops, NULL, queue->fence_context,
				 job->seqno);
		dma_fence_get(fence);
		list_add_tail(&job->link, &queue->jobs);
		WRITE_ONCE(queue->submitted, job->seqno);
	}

	wake_up_all(&queue->wq);
	return fence;
}

static int submit(struct vsvm_queue *queue, struct drm_file *file,
		  struct drm_vsvm_submit *args)
{
	struct drm_syncobj *out = NULL;
	struct dma_fence *fence;
	struct vsvm_job *job;
	int err = 0;

	if (!vsvm_vm_is_ours(queue->vm))
		return -EPERM;

	if (args->out_sync) {
		out = drm_syncobj_find(file, args->out_sync);
		if (!out)
			return -ENOENT;
	}

	job = job_create(queue, file, args);
	if (IS_ERR(job)) {
		err = PTR_ERR(job);
		goto out_syncobj;
	}

	fence = queue_job(queue, job, &args->seqno);
	if (IS_ERR(fence)) {
		err = PTR_ERR(fence);
		kfree(job->fence); /* not a fence yet */
		job_free(job);
		goto out_syncobj;
	}

	if (out)
		drm_syncobj_replace_fence(out, fence);
	dma_fence_put(fence);

out_syncobj:
	if (out)
		drm_syncobj_put(out);
	return err;
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
	    args->num_ops > DRM_VSVM_MAX_OPS)
		return -EINVAL;

	queue = vsvm_queue_lookup(file->driver_priv, args->queue_id);
	if (!queue)
		return -ENOENT;

	err = submit(queue, file, args);
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
