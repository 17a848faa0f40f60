/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_QUEUE_H_
#define _VSVM_QUEUE_H_

#include <linux/dma-fence.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <drm/vsvm_drm.h>

#include "vsvm_fault.h"
#include "vsvm_tlb.h"

struct drm_device;
struct drm_file;
struct task_struct;
struct vsvm_file;
struct vsvm_vm;
struct vsvm_vm_device;

/**
 * struct vsvm_outcome - What became of a job
 * @status: 0 or a negative error code
 * @fault_addr: The address that it failed at, or 0
 * @result: Result of the last operation that has one
 * @faults: Page faults that it raised
 */
struct vsvm_outcome {
	int status;
	u64 fault_addr;
	u64 result;
	u64 faults;
};

/**
 * struct vsvm_job - A job
 * @link: The entry in &vsvm_queue.jobs
 * @queue: The queue
 * @seqno: Its number in the queue
 * @in: Fence that it waits for, or NULL
 * @in_cb: Wakes the queue when @in signals
 * @fence: Signals when the job has ended
 * @outcome: What became of it
 * @num_ops: Number of operations
 * @ops: The operations
 */
struct vsvm_job {
	struct list_head link;
	struct vsvm_queue *queue;
	u64 seqno;
	struct dma_fence *in;
	struct dma_fence_cb in_cb;
	struct dma_fence *fence;
	struct vsvm_outcome outcome;
	u32 num_ops;
	struct drm_vsvm_op *ops;
};

/**
 * struct vsvm_queue - A queue of jobs and the engine that runs them
 *
 * @ref: Reference count
 * @vmdev: The device in the address space; @vm has a reference
 * @vm: The address space
 * @vm_link: The entry in &vsvm_vm.queues
 * @thread: Runs the jobs
 * @wq: Wakes the thread, and those who wait for jobs
 * @lock: Protects @jobs, @submitted, @finished, @history; innermost
 * @jobs: Jobs that have not ended, in order
 * @submitted: Number of the last job
 * @finished: Number of the last job that has ended
 * @history: What became of the last ones, by number
 * @error: 0, or why no more jobs are run; written under @lock
 * @fence_context: For the jobs' fences
 * @tlb: What the engine remembers of the page table
 * @fault: The page fault that the engine waits for
 */
struct vsvm_queue {
	struct kref ref;
	struct vsvm_vm_device *vmdev;
	struct vsvm_vm *vm;
	struct list_head vm_link;
	struct task_struct *thread;
	wait_queue_head_t wq;
	spinlock_t lock;
	struct list_head jobs;
	u64 submitted;
	u64 finished;
	struct vsvm_outcome *history;
	int error;
	u64 fence_context;
	struct vsvm_tlb tlb;
	struct vsvm_fault fault;
};

void vsvm_queue_cancel(struct vsvm_queue *queue, int error);
void vsvm_queue_drain(struct vsvm_queue *queue);
void vsvm_queue_destroy_of_vm(struct vsvm_file *vfile, struct vsvm_vm *vm);

int vsvm_queue_create_ioctl(struct drm_device *drm, void *data,
			    struct drm_file *file);
int vsvm_queue_destroy_ioctl(struct drm_device *drm, void *data,
			     struct drm_file *file);

/* From vsvm_job.c */
int vsvm_job_thread(void *data);
int vsvm_submit_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file);
int vsvm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
struct vsvm_queue *vsvm_queue_lookup(struct vsvm_file *vfile, u32 id);
void vsvm_queue_put(struct vsvm_queue *queue);

/* From vsvm_op.c */
bool vsvm_op_is_valid(const struct drm_vsvm_op *op);
u64 vsvm_op_total(const struct drm_vsvm_op *op);

/* From vsvm_engine.c */
int vsvm_engine_run(struct vsvm_queue *queue, struct vsvm_job *job);

#endif
