/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_EVENT_H
#define SVMTOP_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * enum svm_event_type - What has happened
 * @SVM_LOOKUP: somebody who serves a fault, or prefetches, asked for its range
 * @SVM_GET: pages were found and mapped for devices
 * @SVM_FAULT: a device's fault was answered, as the driver reports it
 * @SVM_INVALIDATE: the MM took memory away that devices had mapped
 * @SVM_INSERT: a range is mirrored from now on
 * @SVM_REMOVE: a range isn't mirrored any more
 * @SVM_MOVE: pages went to a device's memory or came from there
 */
enum svm_event_type {
	SVM_LOOKUP,
	SVM_GET,
	SVM_FAULT,
	SVM_INVALIDATE,
	SVM_INSERT,
	SVM_REMOVE,
	SVM_MOVE,
};

/**
 * struct svm_event - A tracepoint's event, whichever tracepoint it is from
 * @type: What has happened; the rest is zero where it has no meaning
 * @time: When it was over, in nanoseconds
 * @duration: How long it took, in nanoseconds
 * @task: The thread that did it, often a worker of the kernel
 * @pid: The process whose memory it is about, 0 if that is not known
 * @svm: The address space, a number without a meaning
 * @name: The address space's name, or NULL; drivers may call all of theirs the same
 * @dev: The device's name, or NULL
 * @addr: The address of a fault, or the first one of a range
 * @bytes: How much memory
 * @err: 0 or a negative error
 * @in: Into the device's memory
 */
struct svm_event {
	enum svm_event_type type;
	uint64_t time;
	uint64_t duration;
	int task;
	int pid;
	uint64_t svm;
	const char *name;
	const char *dev;
	uint64_t addr;
	uint64_t bytes;
	int err;
	bool in;
};

#endif
