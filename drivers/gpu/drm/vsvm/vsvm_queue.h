/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_QUEUE_H_
#define _VSVM_QUEUE_H_

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_gpusvm_service.h>
#include <drm/vsvm_drm.h>

#include "vsvm_fault.h"
#include "vsvm_tlb.h"

struct drm_device;
struct drm_file;
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
 * struct vsvm_cursor - How far an operation got
 *
 * @op: The operation, or NULL between two
 * @done: Bytes, elements or steps that are done
 * @result: What the operation found so far
 * @fault_addr: Where the last step missed
 * @fault_access: What it was about to do
 * @deadline: When to give up if there is no progress, in jiffies
 * @misses: Faults in vain of late; progress halves them
 */
struct vsvm_cursor {
	const struct drm_vsvm_op *op;
	u64 done;
	u64 result;
	unsigned long fault_addr;
	enum vsvm_access fault_access;
	unsigned long deadline;
	unsigned int misses;
};

/**
 * struct vsvm_job - A job
 * @link: The entry in &vsvm_queue.jobs
 * @queue: The queue
 * @seqno: Its number in the queue
 * @begin: When it began to run, or 0
 * @outcome: What became of it
 * @cursor: How far the current operation got
 * @index: The operation that is next; @num_ops stands for the fence
 * @fence: Writes the fence; its address is 0 if the job has none
 * @num_ops: Number of operations
 * @ops: The operations
 */
struct vsvm_job {
	struct list_head link;
	struct vsvm_queue *queue;
	u64 seqno;
	ktime_t begin;
	struct vsvm_outcome outcome;
	struct vsvm_cursor cursor;
	u32 index;
	struct drm_vsvm_op fence;
	u32 num_ops;
	struct drm_vsvm_op ops[] __counted_by(num_ops);
};

/**
 * struct vsvm_queue - A queue of jobs, and what an engine needs to run them
 *
 * @ref: Reference count
 * @vmdev: The device in the address space; @vm has a reference
 * @vm: The address space
 * @vm_link: The entry in &vsvm_vm.queues
 * @work: Runs the jobs while there is something to do
 * @turn_end: When others have their turn, in jiffies; of @work
 * @wq: Wakes those who wait for jobs
 * @lock: Protects @jobs, @submitted, @finished, @history; innermost
 * @jobs: Jobs that have not ended, in order
 * @submitted: Number of the last job
 * @finished: Number of the last job that has ended
 * @history: What became of the last ones, by number
 * @error: 0, or why no more jobs are run; written under @lock
 * @file_ops: Counts the unfinished operations of the file
 * @serial: Tells queues apart in traces
 * @tlb: What the engine remembers of the page table
 * @services: The service of @fault; cancelled with the queue
 * @fault: The page fault that the engine waits for
 */
struct vsvm_queue {
	struct kref ref;
	struct vsvm_vm_device *vmdev;
	struct vsvm_vm *vm;
	struct list_head vm_link;
	struct delayed_work work;
	unsigned long turn_end;
	wait_queue_head_t wq;
	spinlock_t lock;
	struct list_head jobs;
	u64 submitted;
	u64 finished;
	struct vsvm_outcome *history;
	int error;
	atomic_t *file_ops;
	u64 serial;
	struct vsvm_tlb tlb;
	struct drm_gpusvm_services services;
	struct vsvm_fault fault;
};

/**
 * enum vsvm_pause - Why a queue stops running for now
 * @VSVM_PAUSE_NONE: it doesn't
 * @VSVM_PAUSE_FAULT: it has raised a page fault
 * @VSVM_PAUSE_TURN: it is others' turn
 * @VSVM_PAUSE_POLL: it waits for a word in memory to change
 */
enum vsvm_pause {
	VSVM_PAUSE_NONE,
	VSVM_PAUSE_FAULT,
	VSVM_PAUSE_TURN,
	VSVM_PAUSE_POLL,
};

void vsvm_queue_kick(struct vsvm_queue *queue);
void vsvm_queue_cancel(struct vsvm_queue *queue, int error);
void vsvm_queue_drain(struct vsvm_queue *queue);
void vsvm_queue_destroy_of_vm(struct vsvm_file *vfile, struct vsvm_vm *vm);

int vsvm_queue_create_ioctl(struct drm_device *drm, void *data,
			    struct drm_file *file);
int vsvm_queue_destroy_ioctl(struct drm_device *drm, void *data,
			     struct drm_file *file);

/* From vsvm_job.c */
void vsvm_job_work(struct work_struct *work);
int vsvm_submit_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file);
int vsvm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
struct vsvm_queue *vsvm_queue_lookup(struct vsvm_file *vfile, u32 id);
void vsvm_queue_put(struct vsvm_queue *queue);

/* From vsvm_op.c */
bool vsvm_op_is_valid(const struct drm_vsvm_op *op);
u64 vsvm_op_total(const struct drm_vsvm_op *op);

/* From vsvm_engine.c */
enum vsvm_pause vsvm_engine_run(struct vsvm_queue *queue,
				struct vsvm_job *job);

#endif
