// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/vsvm_drm.h>

#include "vsvm_configfs.h"
#include "vsvm_device.h"
#include "vsvm_migrate.h"
#include "vsvm_queue.h"
#include "vsvm_radix.h"
#include "vsvm_vm.h"

#define CREATE_TRACE_POINTS
#include "vsvm_trace.h"

/**
 * DOC: Overview
 *
 * From the user's side to the memory:
 *
 * - &struct vsvm_device is a DRM device; &struct vsvm_set the devices that one
 *   &struct vsvm_config made.
 * - &struct vsvm_vm mirrors a process's address space, for one device or more.
 *   It embeds &struct drm_gpusvm and has a &struct vsvm_vm_device, with a page
 *   table, for each of them.
 * - &struct vsvm_share is what one process has of a device: workers that play
 *   its engines, and others that serve its page faults.
 * - &struct vsvm_queue runs jobs. It has a TLB.
 * - &struct vsvm_fault is a page fault of a queue. The engine does something else
 *   until it was served.
 * - &struct vsvm_range embeds &struct drm_gpusvm_range, with one
 *   &struct drm_gpusvm_pages for each device.
 * - &struct vsvm_pagemap is the memory of a device. It embeds
 *   &struct drm_pagemap; &struct vsvm_alloc, an allocation in it, embeds
 *   &struct drm_pagemap_devmem.
 *
 * Hardware and driver are kept apart. The device is vsvm_engine.c, vsvm_pt.c,
 * vsvm_tlb.c, vsvm_copy.c and vsvm_checker.c; the driver is vsvm_fault.c,
 * vsvm_range.c, vsvm_invalidate.c, vsvm_migrate.c and vsvm_pagemap.c, which are
 * what a driver for real hardware has to write.
 */

/**
 * DOC: Locking
 *
 * From the outside to the inside::
 *
 *	vsvm_vm.lock			queues of an address space, and its end
 *	  vsvm_range.lock		map, upgrade and remove a range
 *	    mmap_lock, notifier lock	in GPU SVM, see there
 *	      vsvm_radix.lock		page table and checker
 *	      vsvm_tlb_unit.lock	submit a TLB invalidation
 *	      vsvm_gc.lock		list of unmapped ranges
 *	  vsvm_queue.lock		jobs of a queue
 *
 *	vsvm_range.lock
 *	  vsvm_pagemap.lock		bring a pagemap back to life
 *	  vsvm_pagemap.evict_lock	make room in device memory
 *	    mmap_lock, page locks	of any process, in drm_pagemap
 *	      vsvm_mem.lock		what is free
 *	        vsvm_mem.lru_lock	the order of eviction, in any context
 *
 *	vsvm_tlb_unit.tlbs_lock		only the thread that invalidates holds both
 *	  vsvm_tlb.access		the engine: translate and use
 *
 *	vsvm_device.vms_lock		address spaces of a device
 *	vsvm_device.shares_lock		shares that processes have of a device
 *	vsvm_vm.advice_lock		changes of the advice
 *
 * Invalidations come from memory reclaim. They take the spinlocks below the
 * notifier lock, and wait for the thread that invalidates TLBs, which takes the
 * two locks of the second group. Nothing is allocated under any of these, and
 * no lock of the first group is taken under &vsvm_tlb.access.
 *
 * Ending an address space waits for its jobs under &vsvm_vm.lock, so neither
 * the engine nor the fault workers take that.
 *
 * The service of a fault may wait for another process with &vsvm_range.lock held.
 * Whoever can be killed takes that lock killably; the garbage collector only tries to.
 */

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Devices to create when the module is loaded");

static unsigned int fault_workers;
module_param(fault_workers, uint, 0444);
MODULE_PARM_DESC(fault_workers, "Page faults of a process that a device has served at a time");

static char *chunk_sizes;
module_param(chunk_sizes, charp, 0444);
MODULE_PARM_DESC(chunk_sizes, "Sizes of ranges, e.g. 2M,64K,4K");

static char *notifier_size;
module_param(notifier_size, charp, 0444);
MODULE_PARM_DESC(notifier_size, "Size of notifiers, e.g. 512M");

static char *check_pages_threshold;
module_param(check_pages_threshold, charp, 0444);
MODULE_PARM_DESC(check_pages_threshold, "Chunks up to this size must be present");

static unsigned int tlb_inval_latency_us;
module_param(tlb_inval_latency_us, uint, 0444);
MODULE_PARM_DESC(tlb_inval_latency_us, "Time that a TLB invalidation takes");

static char *mem_size;
module_param(mem_size, charp, 0444);
MODULE_PARM_DESC(mem_size, "Size of the device memory, e.g. 64M");

static unsigned int copy_latency_us;
module_param(copy_latency_us, uint, 0444);
MODULE_PARM_DESC(copy_latency_us, "Time that each copy takes to begin");

static unsigned int copy_bandwidth;
module_param(copy_bandwidth, uint, 0444);
MODULE_PARM_DESC(copy_bandwidth, "MiB that are copied in a second, 0: no limit");

static char *policy;
module_param(policy, charp, 0444);
MODULE_PARM_DESC(policy, "Migration policy: system, advice or first_touch");

static bool interconnect = true;
module_param(interconnect, bool, 0444);
MODULE_PARM_DESC(interconnect, "Devices reach each other's memory");

static bool eviction = true;
module_param(eviction, bool, 0444);
MODULE_PARM_DESC(eviction, "A full device memory evicts what was used least recently");

static char *fault_window;
module_param(fault_window, charp, 0444);
MODULE_PARM_DESC(fault_window, "What a CPU fault brings back, e.g. 64K");

static unsigned int timeslice_ms;
module_param(timeslice_ms, uint, 0444);
MODULE_PARM_DESC(timeslice_ms, "For how long the CPU leaves memory to a device");

static struct vsvm_set *default_set;

static u32 query_mem_flags(const struct vsvm_config *config)
{
	return (config->interconnect ? DRM_VSVM_MEM_INTERCONNECT : 0) |
	       (config->eviction ? DRM_VSVM_MEM_EVICTION : 0);
}

static int query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct vsvm_device *vdev = to_vsvm_device(drm);
	const struct vsvm_config *config = &vdev->config;
	struct drm_vsvm_query *args = data;

	if (args->flags || args->pad || args->pad2)
		return -EINVAL;

	*args = (struct drm_vsvm_query) {
		.device_index = vdev->index,
		.num_devices = config->num_devices,
		.fault_workers = config->fault_workers,
		.notifier_size = config->notifier_size,
		.va_bits = DRM_VSVM_VA_BITS,
		.num_chunks = config->num_chunks,
		.tlb_inval_latency_us = config->tlb_inval_latency_us,
		.check_pages_threshold = config->check_pages_threshold,
		.mem_size = config->mem_size,
		.fault_window = config->fault_window,
		.mem_flags = query_mem_flags(config),
		.policy = config->policy,
		.timeslice_ms = config->timeslice_ms,
		.copy_latency_us = config->copy_latency_us,
		.copy_bandwidth = config->copy_bandwidth,
	};
	for (int i = 0; i < config->num_chunks; i++)
		args->chunk_sizes[i] = config->chunk_sizes[i];

	return 0;
}

static const struct drm_ioctl_desc vsvm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(VSVM_QUERY, query_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_VM_CREATE, vsvm_vm_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_VM_DESTROY, vsvm_vm_destroy_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_QUEUE_CREATE, vsvm_queue_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_QUEUE_DESTROY, vsvm_queue_destroy_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_SUBMIT, vsvm_submit_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_WAIT, vsvm_wait_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_STATS, vsvm_stats_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_PREFETCH, vsvm_prefetch_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_ADVISE, vsvm_advise_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_PLACEMENT, vsvm_placement_ioctl, DRM_RENDER_ALLOW),
};

static int vsvm_open(struct drm_device *drm, struct drm_file *file)
{
	struct vsvm_file *vfile = kzalloc_obj(*vfile, GFP_KERNEL_ACCOUNT);

	if (!vfile)
		return -ENOMEM;

	xa_init_flags(&vfile->vms, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&vfile->queues, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	file->driver_priv = vfile;
	return 0;
}

static void vsvm_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct vsvm_vm *vm;
	unsigned long id;

	vsvm_queue_destroy_of_vm(vfile, NULL);
	xa_for_each(&vfile->vms, id, vm) {
		vsvm_vm_kill(vm, -ECANCELED);
		vsvm_vm_put(vm);
	}

	xa_destroy(&vfile->queues);
	xa_destroy(&vfile->vms);
	kfree(vfile);
}

static const struct file_operations vsvm_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

const struct drm_driver vsvm_drm_driver = {
	.driver_features = DRIVER_RENDER,
	.open = vsvm_open,
	.postclose = vsvm_postclose,
	.ioctls = vsvm_ioctls,
	.num_ioctls = ARRAY_SIZE(vsvm_ioctls),
	.fops = &vsvm_fops,
	.name = "vsvm",
	.desc = "Virtual SVM device",
	.major = 1,
	.minor = 0,
};

static int memory_from_params(struct vsvm_config *config)
{
	int err = 0;

	config->copy_latency_us = copy_latency_us;
	config->copy_bandwidth = copy_bandwidth;
	config->interconnect = interconnect;
	config->eviction = eviction;
	config->timeslice_ms = timeslice_ms;
	if (mem_size)
		err = vsvm_config_parse_size(mem_size, &config->mem_size);
	if (!err && fault_window)
		err = vsvm_config_parse_size(fault_window,
					     &config->fault_window);
	if (!err && policy)
		err = vsvm_config_parse_policy(policy, &config->policy);
	return err;
}

static int config_from_params(struct vsvm_config *config)
{
	int err = 0;

	vsvm_config_init(config);
	config->num_devices = devices;
	config->tlb_inval_latency_us = tlb_inval_latency_us;
	if (fault_workers)
		config->fault_workers = fault_workers;
	if (chunk_sizes)
		err = vsvm_config_parse_chunks(config, chunk_sizes);
	if (!err && notifier_size)
		err = vsvm_config_parse_size(notifier_size,
					     &config->notifier_size);
	if (!err && check_pages_threshold)
		err = vsvm_config_parse_size(check_pages_threshold,
					     &config->check_pages_threshold);
	return err ?: memory_from_params(config);
}

static int __init vsvm_init(void)
{
	struct vsvm_config config;
	int err;

	err = vsvm_radix_module_init();
	if (err)
		return err;

	err = vsvm_configfs_register();
	if (err)
		goto err_radix;
	if (!devices)
		return 0;

	err = config_from_params(&config);
	if (!err) {
		default_set = vsvm_set_create("vsvm", &config);
		err = PTR_ERR_OR_ZERO(default_set);
	}
	if (err)
		goto err_configfs;

	return 0;

err_configfs:
	vsvm_configfs_unregister();
err_radix:
	vsvm_radix_module_exit();
	return err;
}

static void __exit vsvm_exit(void)
{
	vsvm_configfs_unregister();
	if (default_set)
		vsvm_set_destroy(default_set);
	vsvm_radix_module_exit();
}

module_init(vsvm_init);
module_exit(vsvm_exit);

MODULE_DESCRIPTION("Virtual SVM device");
MODULE_LICENSE("Dual MIT/GPL");
