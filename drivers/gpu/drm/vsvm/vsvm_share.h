/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_SHARE_H_
#define _VSVM_SHARE_H_

#include <linux/kref.h>
#include <linux/list.h>

struct mm_struct;
struct vsvm_device;
struct workqueue_struct;

/* Queues of a process that a device runs at the same time. */
#define VSVM_ENGINES		16

/**
 * struct vsvm_share - What a process has of a device
 *
 * Page faults may wait for other processes, and jobs may never end. So no process
 * has more workers than its share, however many address spaces and queues it
 * makes; and what it has it doesn't take from others.
 *
 * @vdev: The device; the address spaces that have the share keep it
 * @mm: The memory of the process, with a reference; may be that of several
 * @ref: Counts the address spaces
 * @link: The entry in &vsvm_device.shares
 * @faults: Serves page faults, as many at a time as are configured
 * @engines: Runs queues, VSVM_ENGINES at a time; they take turns
 */
struct vsvm_share {
	struct vsvm_device *vdev;
	struct mm_struct *mm;
	struct kref ref;
	struct list_head link;
	struct workqueue_struct *faults;
	struct workqueue_struct *engines;
};

struct vsvm_share *vsvm_share_get(struct vsvm_device *vdev,
				  struct mm_struct *mm);
void vsvm_share_put(struct vsvm_share *share);

#endif
