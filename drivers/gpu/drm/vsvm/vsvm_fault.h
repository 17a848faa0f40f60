/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_FAULT_H_
#define _VSVM_FAULT_H_

#include <linux/completion.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "vsvm_pt.h"

struct vsvm_queue;

/**
 * struct vsvm_fault - A page fault that a queue has raised
 *
 * A queue stops at a page fault, so it has at most one.
 *
 * @work: Its entry in the device's fault queue
 * @done: Completed when the fault was served
 * @addr: Where it happened
 * @access: What the device was about to do
 * @misses: Faults before it that didn't get the device further
 * @err: What became of it
 */
struct vsvm_fault {
	struct work_struct work;
	struct completion done;
	unsigned long addr;
	enum vsvm_access access;
	unsigned int misses;
	int err;
};

void vsvm_fault_init(struct vsvm_fault *fault);
int vsvm_fault_raise(struct vsvm_queue *queue, unsigned long addr,
		     enum vsvm_access access, unsigned int misses);

#endif
