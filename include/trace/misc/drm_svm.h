/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the tracepoints of GPU SVM and of device memory have in common.
 */
#ifndef _TRACE_MISC_DRM_SVM_H
#define _TRACE_MISC_DRM_SVM_H

#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

/*
 * The process that the memory belongs to: faults are served by workers, which say
 * nothing about that. 0 without an mm, once the process is gone, or where the kernel
 * keeps no account of owners.
 */
static inline pid_t drm_svm_trace_pid(const struct mm_struct *mm)
{
	pid_t pid = 0;

#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	if (!mm)
		return 0;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		pid = owner->tgid;
	rcu_read_unlock();
#endif

	return pid;
}

#endif
