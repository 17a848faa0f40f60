// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "vsvm_device.h"
#include "vsvm_fault.h"
#include "vsvm_migrate.h"
#include "vsvm_queue.h"
#include "vsvm_range.h"
#include "vsvm_share.h"
#include "vsvm_trace.h"
#include "vsvm_vm.h"

/*
 * Invalidations can't keep a fault from being served for longer than this, nor
 * does a slow machine that hardly gets to try make it fail.
 */
#define FAULT_TIMEOUT		(10 * HZ)
#define FAULT_TRIES		32

/* Memory that hasn't moved for so long doesn't: an atomic access fails. */
#define ATOMIC_PATIENCE		HZ
/* So many faults in vain are served by moving memory; then it may stay. */
#define MAX_MOVES		4
/* So often the timeslice of an atomic access is doubled. */
#define MAX_DOUBLINGS		6
/* For so long the CPU leaves it the memory at first, if nothing else is said. */
#define ATOMIC_TIMESLICE_MS	5U

/**
 * struct vsvm_service - How far the service of a fault got
 * @vmdev: The device in the address space
 * @fault: The fault
 * @start: First address that its range may have
 * @end: Address behind the last
 * @request: How to serve it
 * @tries: Attempts so far
 * @atomic_tries: Those for which others had the memory, not the device
 * @moved: When memory for an atomic access last moved, or could have
 */
struct vsvm_service {
	struct vsvm_vm_device *vmdev;
	const struct vsvm_fault *fault;
	unsigned long start;
	unsigned long end;
	struct vsvm_request request;
	unsigned int tries;
	unsigned int atomic_tries;
	unsigned long moved;
};

/*
 * The page was mapped, but not where an atomic access needs it. That others are
 * faster to take it is a reason to go on. That it doesn't come at all is one only
 * if they have had the time to be done with it.
 */
static int retry_atomic(struct vsvm_service *service)
{
	service->atomic_tries = min(service->atomic_tries + 1, MAX_DOUBLINGS);
	if (!service->request.left)
		service->moved = jiffies;

	return time_before(jiffies, service->moved + ATOMIC_PATIENCE) ?
	       -EAGAIN : -EACCES;
}

/*
 * The range as a whole can't be mapped: it is in the memory of two devices, not all in that
 * of the device, or the CPU changes it faster than it can be walked. So try again with
 * nothing but the page that is needed.
 */
static int narrow_range(struct vsvm_service *service, struct vsvm_range *range, int err)
{
	if (drm_gpusvm_range_size(&range->base) == PAGE_SIZE) {
		if (err == -EFAULT)
			return retry_atomic(service);
		return err == -EBUSY ? -EAGAIN : err;
	}

	service->start = service->fault->addr & PAGE_MASK;
	service->end = service->start + PAGE_SIZE;
	vsvm_stats_inc(service->vmdev, VSVM_STAT_NARROWED);

	return vsvm_range_remove_killable(range) ?: -EAGAIN;
}

/* What a failure to map says; of a page that can't be had it is about that page alone. */
static int judge_range(struct vsvm_service *service, struct vsvm_range *range, int err)
{
	struct drm_gpusvm_range_flags flags = drm_gpusvm_range_read_flags(&range->base);

	switch (err) {
	case -EFAULT:
	case -EPERM:
	case -EBUSY:
	case -ENOMEM:
	case -EOPNOTSUPP:
		/* The garbage collector is late: do its work. */
		if (!flags.unmapped && !flags.removed)
			break;
		fallthrough;
	case -ESTALE:
		return vsvm_range_remove_killable(range) ?: -EAGAIN;
	default:
		return err;
	}

	if (err == -EPERM || err == -ENOMEM ||
	    (err == -EFAULT && !service->request.ctx.devmem_only))
		return err;

	return narrow_range(service, range, err);
}

/* What is asked for now; advice may be new, and an atomic access impatient. */
static void renew_request(struct vsvm_service *service)
{
	struct vsvm_request *request = &service->request;

	vsvm_request_init(request, service->vmdev, service->fault->addr,
			  service->fault->access);
	request->stay = service->fault->misses >= MAX_MOVES;
	if (request->ctx.devmem_only)
		request->timeslice_ms =
			min_t(unsigned int, DRM_VSVM_MAX_TIMESLICE_MS,
			      (request->timeslice_ms ?: ATOMIC_TIMESLICE_MS) <<
			      service->atomic_tries);
}

static int try_to_serve(struct vsvm_service *service)
{
	struct vsvm_vm_device *vmdev = service->vmdev;
	struct vsvm_request *request = &service->request;
	struct drm_gpusvm_range *base;
	int err;

	renew_request(service);
	base = drm_gpusvm_range_get_or_insert(&vmdev->vm->svm,
					      service->fault->addr,
					      max(service->start,
						  request->advice.start),
					      min(service->end,
						  request->advice.end),
					      &request->ctx);
	if (IS_ERR(base))
		return PTR_ERR(base);

	err = vsvm_range_map(to_vsvm_range(base), vmdev, request);
	if (err)
		err = judge_range(service, to_vsvm_range(base), err);

	drm_gpusvm_range_put(base);
	return err;
}

/* The errors of a lookup, as the errors of an access. */
static int access_error(int err)
{
	switch (err) {
	case -ENOENT:	/* no VMA */
	case -EIO:	/* memory of a device */
	case -EINVAL:	/* outside of the address space's window */
	case -EINTR:	/* the process is gone, or the queue was cancelled */
		return -EFAULT;
	case -EAGAIN:	/* time is over */
		return -EBUSY;
	default:
		return err;
	}
}

static int serve(struct vsvm_queue *queue, const struct vsvm_fault *fault)
{
	struct vsvm_vm_device *vmdev = queue->vmdev;
	struct vsvm_service service = {
		.vmdev = vmdev,
		.fault = fault,
		.start = vmdev->vm->va_start,
		.end = vmdev->vm->va_end,
		.moved = jiffies,
	};
	unsigned long timeout = jiffies + FAULT_TIMEOUT;
	ktime_t begin = ktime_get();
	int err;

	trace_vsvm_fault_begin(vmdev, fault);
	do {
		if (service.tries++) {
			vsvm_stats_inc(vmdev, VSVM_STAT_RETRIES);
			cond_resched();
		}
		err = READ_ONCE(queue->error) ?: try_to_serve(&service);
	} while (err == -EAGAIN && (service.tries < FAULT_TRIES ||
				    time_before(jiffies, timeout)));

	if (service.request.ctx.devmem_only)
		vsvm_stats_inc(vmdev, VSVM_STAT_ATOMIC_FAULTS);
	err = access_error(err);
	if (err)
		vsvm_stats_inc(vmdev, VSVM_STAT_FAILED_FAULTS);
	trace_vsvm_fault_end(vmdev, fault, err, service.tries,
			     ktime_sub(ktime_get(), begin));
	return err;
}

/*
 * The memory may be such that another process decides when it is there, as with
 * userfaultfd. Who has the fault can be killed meanwhile, or the device removed.
 */
static int serve_for_process(struct vsvm_queue *queue,
			     const struct vsvm_fault *fault)
{
	struct drm_gpusvm_service service;
	int err;

	if (drm_gpusvm_service_begin(&queue->services, &service))
		return -EFAULT;

	err = serve(queue, fault);
	drm_gpusvm_service_end(&queue->services, &service);
	return err;
}

static void answer(struct vsvm_queue *queue, struct vsvm_fault *fault, int err)
{
	fault->err = err;
	/* Pairs with the acquire in take_fault(). */
	smp_store_release(&fault->state, VSVM_FAULT_SERVED);
	vsvm_queue_kick(queue);
}

static void fault_work(struct work_struct *work)
{
	struct vsvm_fault *fault = container_of(work, struct vsvm_fault, work);
	struct vsvm_queue *queue = container_of(fault, struct vsvm_queue, fault);

	answer(queue, fault, serve_for_process(queue, fault));
}

/**
 * vsvm_fault_init() - Initialise a queue's page fault
 * @fault: The page fault
 */
void vsvm_fault_init(struct vsvm_fault *fault)
{
	INIT_WORK(&fault->work, fault_work);
}

/**
 * vsvm_fault_raise() - Raise a page fault
 * @queue: The queue, which has none
 * @addr: The address
 * @access: What the device is about to do
 * @misses: How many faults of late were served and didn't get the device further
 *
 * The queue runs again once it was served. That doesn't mean that the page is still
 * there when the device looks again. It raises another fault, then.
 */
void vsvm_fault_raise(struct vsvm_queue *queue, unsigned long addr,
		      enum vsvm_access access, unsigned int misses)
{
	struct vsvm_fault *fault = &queue->fault;

	fault->addr = addr;
	fault->access = access;
	fault->misses = misses;
	fault->state = VSVM_FAULT_RAISED;
	vsvm_stats_inc(queue->vmdev, access == VSVM_READ ?
		       VSVM_STAT_READ_FAULTS : VSVM_STAT_WRITE_FAULTS);

	/* The work is idle. If it looks pending, somebody is about to cancel it. */
	if (!queue_work(queue->vmdev->share->faults, &fault->work)) {
		answer(queue, fault, -EFAULT);
		return;
	}

	/* Whoever cancelled the queue meanwhile didn't see the fault. */
	smp_mb();
	if (READ_ONCE(queue->error))
		vsvm_fault_cancel(queue);
}

/**
 * vsvm_fault_cancel() - Give up a page fault
 * @queue: The queue, cancelled
 *
 * All workers of the process may be waiting with faults of queues that nobody
 * cancels. So one that no worker has begun with is answered here.
 */
void vsvm_fault_cancel(struct vsvm_queue *queue)
{
	drm_gpusvm_services_cancel(&queue->services);
	if (cancel_work(&queue->fault.work))
		answer(queue, &queue->fault, -EFAULT);
}
