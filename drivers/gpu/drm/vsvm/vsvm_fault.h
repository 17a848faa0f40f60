/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_FAULT_H_
#define _VSVM_FAULT_H_

#include <linux/types.h>
#include <linux/workqueue.h>

#include "vsvm_pt.h"

struct vsvm_queue;

/**
 * enum vsvm_fault_state - Who has a page fault
 * @VSVM_FAULT_NONE: nobody, there is none
 * @VSVM_FAULT_RAISED: a worker, until it has served it
 * @VSVM_FAULT_SERVED: the queue, which is to look at &vsvm_fault.err
 */
enum vsvm_fault_state {
	VSVM_FAULT_NONE,
	VSVM_FAULT_RAISED,
	VSVM_FAULT_SERVED,
};

/**
 * struct vsvm_fault - A page fault that a queue has raised
 *
 * A queue stops at a page fault, so it has at most one. It is raised by the queue,
 * and served from then on until a worker says so; the queue runs again then.
 *
 * @work: Its entry among the page faults of the process, see &struct vsvm_share
 * @state: Who has it
 * @addr: Where it happened
 * @access: What the device was about to do
 * @misses: Faults before it that didn't get the device further
 * @err: What became of it
 */
struct vsvm_fault {
	struct work_struct work;
	enum vsvm_fault_state state;
	unsigned long addr;
	enum vsvm_access access;
	unsigned int misses;
	int err;
};

void vsvm_fault_init(struct vsvm_fault *fault);
void vsvm_fault_raise(struct vsvm_queue *queue, unsigned long addr,
		      enum vsvm_access access, unsigned int misses);
void vsvm_fault_cancel(struct vsvm_queue *queue);

#endif
