// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/vsvm_drm.h>

#include "vsvm_device.h"
#include "vsvm_stats.h"
#include "vsvm_vm.h"

const char * const vsvm_stat_names[VSVM_NUM_STATS] = {
	[VSVM_STAT_READ_FAULTS] = "read_faults",
	[VSVM_STAT_WRITE_FAULTS] = "write_faults",
	[VSVM_STAT_UPGRADES] = "upgrades",
	[VSVM_STAT_SPURIOUS_FAULTS] = "spurious_faults",
	[VSVM_STAT_NARROWED] = "narrowed",
	[VSVM_STAT_RETRIES] = "retries",
	[VSVM_STAT_FAILED_FAULTS] = "failed_faults",
	[VSVM_STAT_PAGES] = "pages",
	[VSVM_STAT_SEGMENTS] = "segments",
	[VSVM_STAT_TLB_HITS] = "tlb_hits",
	[VSVM_STAT_TLB_MISSES] = "tlb_misses",
	[VSVM_STAT_TLB_INVALS] = "tlb_invals",
	[VSVM_STAT_STALE_ACCESSES] = "stale_accesses",
	[VSVM_STAT_JOBS] = "jobs",
	[VSVM_STAT_FAILED_JOBS] = "failed_jobs",
};

/* The counters of a device come first in user space's struct, in this order. */
static_assert(offsetof(struct drm_vsvm_device_stats, walks) ==
	      VSVM_NUM_STATS * sizeof(u64));

/**
 * vsvm_stats_add() - Count something, for the address space and for the device
 * @vmdev: The device in an address space
 * @stat: The counter
 * @amount: How much to add
 */
void vsvm_stats_add(struct vsvm_vm_device *vmdev, enum vsvm_stat stat,
		    u64 amount)
{
	atomic64_add(amount, &vmdev->stats.count[stat]);
	atomic64_add(amount, &vmdev->vdev->stats.count[stat]);
}

static void collect_device(struct vsvm_vm_device *vmdev, u64 *out)
{
	for (int i = 0; i < VSVM_NUM_STATS; i++)
		out[i] += atomic64_read(&vmdev->stats.count[i]);
}

static void collect(struct vsvm_vm *vm, u32 device_index,
		    struct drm_vsvm_device_stats *out)
{
	struct drm_gpusvm_stats *svm = &vm->svm.stats;

	*out = (struct drm_vsvm_device_stats) {
		.walks = atomic_long_read(&svm->walks),
		.gets = atomic_long_read(&svm->gets),
		.invalidations = atomic_long_read(&svm->invalidations),
		.ranges = atomic_long_read(&svm->ranges),
		.notifiers = atomic_long_read(&svm->notifiers),
		.collected = atomic64_read(&vm->gc.collected),
	};

	for (int i = 0; i < vm->num_devices; i++)
		if (device_index == DRM_VSVM_ALL_DEVICES || device_index == i)
			collect_device(&vm->devices[i], (u64 *)out);
}

/**
 * vsvm_stats_ioctl() - DRM_IOCTL_VSVM_STATS
 * @drm: The device
 * @data: A &struct drm_vsvm_stats
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_stats_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_device_stats stats;
	struct drm_vsvm_stats *args = data;
	struct vsvm_vm *vm;
	int err = 0;

	if (args->flags)
		return -EINVAL;

	vm = vsvm_vm_lookup(file->driver_priv, args->vm_id);
	if (!vm)
		return -ENOENT;

	if (args->device_index == DRM_VSVM_ALL_DEVICES ||
	    args->device_index < vm->num_devices)
		collect(vm, args->device_index, &stats);
	else
		err = -EINVAL;
	vsvm_vm_put(vm);

	if (!err)
		err = copy_struct_to_user(u64_to_user_ptr(args->stats),
					  args->size, &stats, sizeof(stats),
					  NULL);
	if (!err)
		args->size = min_t(u32, args->size, sizeof(stats));

	return err;
}
