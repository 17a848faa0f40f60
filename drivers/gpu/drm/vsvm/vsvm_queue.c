// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/slab.h>
#include <linux/workqueue.h>

#include <drm/drm_file.h>

#include "vsvm_device.h"
#include "vsvm_queue.h"
#include "vsvm_share.h"
#include "vsvm_vm.h"

static struct vsvm_queue *queue_alloc(void)
{
	static atomic64_t serial;
	struct vsvm_queue *queue = kzalloc_obj(*queue, GFP_KERNEL_ACCOUNT);

	if (!queue)
		return NULL;

	queue->history = kvzalloc_objs(*queue->history, DRM_VSVM_JOB_HISTORY,
				       GFP_KERNEL_ACCOUNT);
	if (!queue->history) {
		kfree(queue);
		return NULL;
	}

	kref_init(&queue->ref);
	INIT_LIST_HEAD(&queue->vm_link);
	init_waitqueue_head(&queue->wq);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->jobs);
	queue->serial = atomic64_inc_return(&serial);
	INIT_DELAYED_WORK(&queue->work, vsvm_job_work);
	vsvm_fault_init(&queue->fault);
	return queue;
}

static void queue_release(struct kref *ref)
{
	struct vsvm_queue *queue = container_of(ref, struct vsvm_queue, ref);

	vsvm_vm_put(queue->vm);
	kvfree(queue->history);
	kfree(queue);
}

/**
 * vsvm_queue_put() - Drop a reference
 * @queue: The queue
 */
void vsvm_queue_put(struct vsvm_queue *queue)
{
	kref_put(&queue->ref, queue_release);
}

/**
 * vsvm_queue_lookup() - Find a queue by its number
 * @vfile: The file that it belongs to
 * @id: The number
 *
 * Return: the queue with a reference, or NULL.
 */
struct vsvm_queue *vsvm_queue_lookup(struct vsvm_file *vfile, u32 id)
{
	struct vsvm_queue *queue;

	xa_lock(&vfile->queues);
	queue = xa_load(&vfile->queues, id);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock(&vfile->queues);

	return queue;
}

/**
 * vsvm_queue_kick() - Let a queue run, there may be something to do
 * @queue: The queue
 */
void vsvm_queue_kick(struct vsvm_queue *queue)
{
	mod_delayed_work(queue->vmdev->share->engines, &queue->work, 0);
}

/**
 * vsvm_queue_cancel() - Stop a queue
 * @queue: The queue
 * @error: What its jobs end with; the first error stays
 *
 * The service of its page fault may be waiting for another process, which gives no
 * answer. It is cancelled.
 */
void vsvm_queue_cancel(struct vsvm_queue *queue, int error)
{
	scoped_guard(spinlock, &queue->lock) {
		if (!queue->error)
			WRITE_ONCE(queue->error, error);
	}
	/* Pairs with the barrier in vsvm_fault_raise(). */
	smp_mb();
	vsvm_fault_cancel(queue);
	vsvm_queue_kick(queue);
}

/**
 * vsvm_queue_drain() - Wait until the jobs of a queue have ended
 * @queue: The queue, cancelled
 *
 * When it returns, the queue touches no memory any more.
 */
void vsvm_queue_drain(struct vsvm_queue *queue)
{
	/* Pairs with the release in finish_job(). */
	wait_event(queue->wq, smp_load_acquire(&queue->finished) ==
		   READ_ONCE(queue->submitted));
}

/* Start a queue, with a reference to its address space. */
static int queue_start(struct vsvm_queue *queue, struct vsvm_vm *vm,
		       unsigned int device_index)
{
	struct vsvm_vm_device *vmdev = &vm->devices[device_index];

	guard(mutex)(&vm->lock);

	if (vm->error)
		return vm->error;

	queue->vmdev = vmdev;
	queue->vm = vm;
	drm_gpusvm_services_init(&queue->services, vm->svm.mm);
	vsvm_tlb_init(&queue->tlb, &vmdev->tlb_owner);
	vsvm_vm_get(vm);
	vsvm_tlb_unit_add(&vmdev->vdev->tlb_unit, &queue->tlb);
	list_add_tail(&queue->vm_link, &vm->queues);
	return 0;
}

/* Undo queue_start() and drop the file's reference. */
static void queue_destroy(struct vsvm_file *vfile, struct vsvm_queue *queue)
{
	vsvm_queue_cancel(queue, -ECANCELED);
	vsvm_queue_drain(queue);

	scoped_guard(mutex, &queue->vm->lock)
		list_del_init(&queue->vm_link);

	/* The fault wakes the queue, and the queue raises no fault any more. */
	flush_work(&queue->fault.work);
	/* Whoever has submitted a job that is over by now may be late to kick it. */
	disable_delayed_work_sync(&queue->work);
	drm_gpusvm_services_fini(&queue->services);
	vsvm_tlb_unit_remove(&queue->vmdev->vdev->tlb_unit, &queue->tlb);
	vsvm_queue_put(queue);
	vsvm_quota_give(&vfile->num_queues, 1);
}

/**
 * vsvm_queue_destroy_of_vm() - Destroy queues
 * @vfile: The file that they belong to
 * @vm: The address space whose queues go, or NULL for all
 */
void vsvm_queue_destroy_of_vm(struct vsvm_file *vfile, struct vsvm_vm *vm)
{
	struct vsvm_queue *queue;
	unsigned long id;

	xa_for_each(&vfile->queues, id, queue) {
		/* Someone else may have been faster. */
		xa_lock(&vfile->queues);
		queue = xa_load(&vfile->queues, id);
		if (queue && (!vm || queue->vm == vm))
			__xa_erase(&vfile->queues, id);
		else
			queue = NULL;
		xa_unlock(&vfile->queues);

		if (queue)
			queue_destroy(vfile, queue);
	}
}

static struct vsvm_queue *queue_create(struct vsvm_file *vfile,
				       struct vsvm_vm *vm, unsigned int device)
{
	struct vsvm_queue *queue;
	int err;

	if (!vsvm_quota_take(&vfile->num_queues, 1, DRM_VSVM_MAX_QUEUES))
		return ERR_PTR(-ENOSPC);

	queue = queue_alloc();
	err = queue ? 0 : -ENOMEM;
	if (!err) {
		queue->file_ops = &vfile->num_ops;
		err = queue_start(queue, vm, device);
		if (!err)
			return queue;
		kvfree(queue->history);
		kfree(queue);
	}

	vsvm_quota_give(&vfile->num_queues, 1);
	return ERR_PTR(err);
}

/**
 * vsvm_queue_create_ioctl() - DRM_IOCTL_VSVM_QUEUE_CREATE
 * @drm: The device
 * @data: A &struct drm_vsvm_queue_create
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_queue_create_ioctl(struct drm_device *drm, void *data,
			    struct drm_file *file)
{
	struct drm_vsvm_queue_create *args = data;
	struct vsvm_file *vfile = file->driver_priv;
	struct vsvm_queue *queue;
	struct vsvm_vm *vm;
	int err;

	if (args->flags)
		return -EINVAL;

	vm = vsvm_vm_lookup(vfile, args->vm_id);
	if (!vm)
		return -ENOENT;

	err = -EPERM;
	if (!vsvm_vm_is_ours(vm))
		goto out_vm;

	err = -EINVAL;
	if (args->device_index >= vm->num_devices)
		goto out_vm;

	queue = queue_create(vfile, vm, args->device_index);
	err = PTR_ERR_OR_ZERO(queue);
	if (err)
		goto out_vm;

	err = xa_alloc(&vfile->queues, &args->queue_id, queue, xa_limit_31b,
		       GFP_KERNEL);
	if (err)
		queue_destroy(vfile, queue);

out_vm:
	vsvm_vm_put(vm);
	return err;
}

/**
 * vsvm_queue_destroy_ioctl() - DRM_IOCTL_VSVM_QUEUE_DESTROY
 * @drm: The device
 * @data: A &struct drm_vsvm_queue_destroy
 * @file: The file that the queue belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_queue_destroy_ioctl(struct drm_device *drm, void *data,
			     struct drm_file *file)
{
	struct drm_vsvm_queue_destroy *args = data;
	struct vsvm_file *vfile = file->driver_priv;
	struct vsvm_queue *queue;

	if (args->pad)
		return -EINVAL;

	queue = xa_erase(&vfile->queues, args->queue_id);
	if (!queue)
		return -ENOENT;

	queue_destroy(vfile, queue);
	return 0;
}
