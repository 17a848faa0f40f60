/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Services of page faults that end when the process does for which they work. The
 * "Services" section in drm_gpusvm_service.c says why and how.
 */

#ifndef __DRM_GPUSVM_SERVICE_H__
#define __DRM_GPUSVM_SERVICE_H__

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct cred;
struct mem_cgroup;
struct mm_struct;
struct pid;
struct task_struct;

/**
 * struct drm_gpusvm_services - Services that are cancelled together
 *
 * Embedded in what a driver ends as one: its VM, or a queue that can have a page
 * fault. All fields are the core's.
 *
 * @lock: Protects @running, @cancelled and @interruptions; taken with interrupts off
 * @running: The services under way, of &drm_gpusvm_service.link
 * @cancelled: No service begins any more; never changes back
 * @interruptions: How many have interrupted them and not resumed
 * @mm: The memory that is watched, or NULL; not a reference
 * @process: The process that has begun to use @mm, with a reference
 * @cred: With whose credentials kernel threads serve, with a reference; NULL without
 *	@process
 * @death: Waits for the end of @process
 * @work: Cancels them when nobody uses @mm any more
 */
struct drm_gpusvm_services {
	spinlock_t lock;	/* running, cancelled, interruptions */
	struct list_head running;
	bool cancelled;
	unsigned int interruptions;
	struct mm_struct *mm;
	struct pid *process;
	const struct cred *cred;
	struct wait_queue_entry death;
	struct delayed_work work;
};

/**
 * struct drm_gpusvm_service - One service, on the stack of who does it
 *
 * @link: The entry in &drm_gpusvm_services.running
 * @task: Who does it
 * @cred: Its own credentials meanwhile, or NULL if it has kept them
 * @memcg: What its allocations were charged to before
 * @charged: What they are charged to, with a reference
 */
struct drm_gpusvm_service {
	struct list_head link;
	struct task_struct *task;
	const struct cred *cred;
	struct mem_cgroup *memcg;
	struct mem_cgroup *charged;
};

void drm_gpusvm_services_init(struct drm_gpusvm_services *services,
			      struct mm_struct *mm);
void drm_gpusvm_services_watch(struct drm_gpusvm_services *services,
			       struct mm_struct *mm);
void drm_gpusvm_services_fini(struct drm_gpusvm_services *services);
void drm_gpusvm_services_cancel(struct drm_gpusvm_services *services);
void drm_gpusvm_services_interrupt(struct drm_gpusvm_services *services);
void drm_gpusvm_services_resume(struct drm_gpusvm_services *services);
bool drm_gpusvm_services_cancelled(const struct drm_gpusvm_services *services);

int drm_gpusvm_service_begin(struct drm_gpusvm_services *services,
			     struct drm_gpusvm_service *service);
void drm_gpusvm_service_end(struct drm_gpusvm_services *services,
			    struct drm_gpusvm_service *service);

#endif
