// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/vsvm_drm.h>

#include "vsvm_device.h"
#include "vsvm_queue.h"
#include "vsvm_range.h"
#include "vsvm_share.h"
#include "vsvm_vm.h"

static void leave_device(struct vsvm_vm_device *vmdev)
{
	struct vsvm_device *vdev = vmdev->vdev;

	scoped_guard(mutex, &vdev->vms_lock)
		list_del_init(&vmdev->link);
}

/* Works for devices that were initialised in part, or not at all. */
static void device_fini(struct vsvm_vm_device *vmdev)
{
	vsvm_checker_fini(&vmdev->checker);
	vsvm_pt_fini(&vmdev->pt);
	if (vmdev->share)
		vsvm_share_put(vmdev->share);
	if (vmdev->vdev)
		drm_dev_put(&vmdev->vdev->drm);
}

static void vm_free(struct vsvm_vm *vm)
{
	for (int i = 0; i < vm->num_devices; i++)
		device_fini(&vm->devices[i]);

	mtree_destroy(&vm->advice);
	mutex_destroy(&vm->advice_lock);
	mutex_destroy(&vm->lock);
	kfree(vm);
}

static void vm_release(struct kref *ref)
{
	struct vsvm_vm *vm = container_of(ref, struct vsvm_vm, ref);

	for (int i = 0; i < vm->num_devices; i++)
		leave_device(&vm->devices[i]);

	drm_gpusvm_fini(&vm->svm);
	vm_free(vm);
}

/**
 * vsvm_vm_put() - Drop a reference
 * @vm: The address space; was killed if this is the last one
 */
void vsvm_vm_put(struct vsvm_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

/**
 * vsvm_vm_lookup() - Find an address space by its number
 * @vfile: The file that it belongs to
 * @id: The number
 *
 * Return: the address space with a reference, or NULL.
 */
struct vsvm_vm *vsvm_vm_lookup(struct vsvm_file *vfile, u32 id)
{
	struct vsvm_vm *vm;

	xa_lock(&vfile->vms);
	vm = xa_load(&vfile->vms, id);
	if (vm)
		vsvm_vm_get(vm);
	xa_unlock(&vfile->vms);

	return vm;
}

/**
 * vsvm_vm_is_ours() - Whether an address space is that of the caller's process
 * @vm: The address space
 *
 * Return: true if so.
 */
bool vsvm_vm_is_ours(const struct vsvm_vm *vm)
{
	return vm->svm.mm == current->mm;
}

static bool interval_is_valid(struct vsvm_vm *vm, u64 start, u64 size)
{
	return size && PAGE_ALIGNED(start) && PAGE_ALIGNED(size) &&
	       start >= vm->va_start && start < vm->va_end &&
	       size <= vm->va_end - start;
}

/**
 * vsvm_vm_lookup_interval() - Find an address space for a call on part of it
 * @file: The file that it belongs to
 * @id: Its number
 * @start: First address
 * @size: Bytes
 *
 * Return: the address space with a reference; -ENOENT if there is none, -EPERM
 * if it isn't the caller's, -EINVAL if the interval isn't one of it, or why it
 * ended.
 */
struct vsvm_vm *vsvm_vm_lookup_interval(struct drm_file *file, u32 id, u64 start,
					u64 size)
{
	struct vsvm_vm *vm = vsvm_vm_lookup(file->driver_priv, id);
	int err;

	if (!vm)
		return ERR_PTR(-ENOENT);

	if (!vsvm_vm_is_ours(vm))
		err = -EPERM;
	else if (!interval_is_valid(vm, start, size))
		err = -EINVAL;
	else
		err = READ_ONCE(vm->error);
	if (err) {
		vsvm_vm_put(vm);
		return ERR_PTR(err);
	}

	return vm;
}

/**
 * vsvm_vm_kill() - End an address space
 * @vm: The address space
 * @error: What its jobs end with
 *
 * When it returns, no job runs, nothing is mapped for any device, and it stays
 * like that. May be called more than once; the first error stays.
 */
void vsvm_vm_kill(struct vsvm_vm *vm, int error)
{
	struct vsvm_queue *queue;

	guard(mutex)(&vm->lock);

	if (!vm->error)
		WRITE_ONCE(vm->error, error);

	list_for_each_entry(queue, &vm->queues, vm_link)
		vsvm_queue_cancel(queue, error);
	list_for_each_entry(queue, &vm->queues, vm_link)
		vsvm_queue_drain(queue);

	vsvm_range_remove_all(vm);
}

static bool has_device(struct vsvm_vm *vm, struct vsvm_device *vdev)
{
	for (int i = 0; i < vm->num_devices; i++)
		if (vm->devices[i].vdev == vdev)
			return true;

	return false;
}

static int device_init(struct vsvm_vm *vm, unsigned int index,
		       struct vsvm_device *vdev)
{
	struct vsvm_vm_device *vmdev = &vm->devices[index];
	struct vsvm_share *share;
	int err;

	if (has_device(vm, vdev))
		return -EINVAL;

	drm_dev_get(&vdev->drm);
	vmdev->vdev = vdev;

	share = vsvm_share_get(vdev, current->mm);
	if (IS_ERR(share))
		return PTR_ERR(share);
	vmdev->share = share;

	err = vsvm_pt_init(&vmdev->pt);
	return err ?: vsvm_checker_init(&vmdev->checker);
}

static int device_init_fd(struct vsvm_vm *vm, unsigned int index, int fd)
{
	CLASS(fd, f)(fd);
	struct vsvm_device *vdev;

	if (fd_empty(f))
		return -EBADF;

	vdev = vsvm_device_from_file(fd_file(f));
	return vdev ? device_init(vm, index, vdev) : -EINVAL;
}

/* The device of the file, then those of the file descriptors. */
static int devices_init(struct vsvm_vm *vm, struct vsvm_device *vdev,
			const struct drm_vsvm_vm_create *args)
{
	s32 fds[DRM_VSVM_MAX_DEVICES - 1];
	int err;

	if (copy_from_user(fds, u64_to_user_ptr(args->fds),
			   args->num_fds * sizeof(fds[0])))
		return -EFAULT;

	err = device_init(vm, 0, vdev);
	for (int i = 0; !err && i < args->num_fds; i++)
		err = device_init_fd(vm, i + 1, fds[i]);

	return err;
}

static struct vsvm_vm *vm_alloc(unsigned int num_devices)
{
	static atomic_t number;
	struct vsvm_vm *vm;

	vm = kzalloc_flex(*vm, devices, num_devices, GFP_KERNEL_ACCOUNT);
	if (!vm)
		return NULL;

	vm->num_devices = num_devices;
	for (int i = 0; i < num_devices; i++) {
		vm->devices[i].vm = vm;
		INIT_LIST_HEAD(&vm->devices[i].link);
		vsvm_tlb_owner_init(&vm->devices[i].tlb_owner);
	}

	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	mutex_init(&vm->advice_lock);
	INIT_LIST_HEAD(&vm->queues);
	vsvm_gc_init(&vm->gc);
	mt_init(&vm->advice);
	snprintf(vm->name, sizeof(vm->name), "vsvm-%u",
		 (u32)atomic_inc_return(&number));
	return vm;
}

/* Find the devices that a page fault of one is served for together. */
static void find_groups(struct vsvm_vm *vm)
{
	for (unsigned int i = 0; i < vm->num_devices; i++) {
		struct vsvm_vm_device *vmdev = &vm->devices[i];

		if (i && vmdev[-1].vdev->peer.owner == vmdev->vdev->peer.owner)
			vmdev->group = vmdev[-1].group;
		else
			vmdev->group = i;
		vm->devices[vmdev->group].group_size++;
		vm->has_strangers |= vmdev->vdev->peer.owner !=
				     vm->devices[0].vdev->peer.owner;
	}
}

static struct vsvm_vm *vm_create(struct vsvm_device *vdev,
				 const struct drm_vsvm_vm_create *args)
{
	const struct vsvm_config *config = &vdev->config;
	struct vsvm_vm *vm = vm_alloc(args->num_fds + 1);
	int err;

	if (!vm)
		return ERR_PTR(-ENOMEM);

	vm->va_start = args->va_start;
	vm->va_end = args->va_size ? args->va_start + args->va_size :
				     BIT(DRM_VSVM_VA_BITS);

	err = devices_init(vm, vdev, args);
	if (!err) {
		find_groups(vm);
		err = drm_gpusvm_init(&vm->svm, vm->name, current->mm,
				      vm->va_start, vm->va_end - vm->va_start,
				      config->notifier_size,
				      &vsvm_gpusvm_ops, config->chunk_sizes,
				      config->num_chunks);
	}
	if (err) {
		vm_free(vm);
		return ERR_PTR(err);
	}

	return vm;
}

/* From here on, the removal of a device ends the address space. */
static int join_devices(struct vsvm_vm *vm)
{
	for (int i = 0; i < vm->num_devices; i++) {
		struct vsvm_vm_device *vmdev = &vm->devices[i];

		guard(mutex)(&vmdev->vdev->vms_lock);

		if (vmdev->vdev->gone)
			return -ENODEV;
		list_add_tail(&vmdev->link, &vmdev->vdev->vms);
	}

	return 0;
}

static bool window_is_valid(const struct drm_vsvm_vm_create *args)
{
	const u64 limit = BIT_ULL(DRM_VSVM_VA_BITS);

	return PAGE_ALIGNED(args->va_start) && PAGE_ALIGNED(args->va_size) &&
	       args->va_start < limit && args->va_size <= limit - args->va_start;
}

/**
 * vsvm_vm_create_ioctl() - DRM_IOCTL_VSVM_VM_CREATE
 * @drm: The device
 * @data: A &struct drm_vsvm_vm_create
 * @file: The file
 *
 * Return: 0 or a negative error code.
 */
int vsvm_vm_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_create *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->flags || args->pad || !window_is_valid(args) ||
	    args->num_fds >= DRM_VSVM_MAX_DEVICES)
		return -EINVAL;

	if (!vsvm_quota_take(&vfile->num_vms, 1, DRM_VSVM_MAX_VMS))
		return -ENOSPC;

	vm = vm_create(to_vsvm_device(drm), args);
	if (IS_ERR(vm)) {
		vsvm_quota_give(&vfile->num_vms, 1);
		return PTR_ERR(vm);
	}

	err = join_devices(vm);
	if (!err)
		err = xa_alloc(&vfile->vms, &args->vm_id, vm, xa_limit_31b,
			       GFP_KERNEL);
	if (err) {
		vsvm_vm_kill(vm, -ENODEV);
		vsvm_vm_put(vm);
		vsvm_quota_give(&vfile->num_vms, 1);
	}

	return err;
}

/**
 * vsvm_vm_destroy_ioctl() - DRM_IOCTL_VSVM_VM_DESTROY
 * @drm: The device
 * @data: A &struct drm_vsvm_vm_destroy
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_vm_destroy_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_destroy *args = data;
	struct vsvm_vm *vm;

	if (args->pad)
		return -EINVAL;

	vm = xa_erase(&vfile->vms, args->vm_id);
	if (!vm)
		return -ENOENT;

	vsvm_vm_kill(vm, -ECANCELED);
	vsvm_queue_destroy_of_vm(vfile, vm);
	vsvm_vm_put(vm);
	vsvm_quota_give(&vfile->num_vms, 1);
	return 0;
}
