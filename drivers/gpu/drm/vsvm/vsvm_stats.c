// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/uaccess.h>

#include <drm/drm_file.h>
#include <drm/vsvm_drm.h>

#include "vsvm_device.h"
#include "vsvm_pagemap.h"
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
	[VSVM_STAT_LOCAL_PAGES] = "local_pages",
	[VSVM_STAT_PEER_PAGES] = "peer_pages",
	[VSVM_STAT_MIGRATIONS] = "migrations",
	[VSVM_STAT_MIGRATED_PAGES] = "migrated_pages",
	[VSVM_STAT_RESIDENT_PAGES] = "resident_pages",
	[VSVM_STAT_LEFT_PAGES] = "left_pages",
	[VSVM_STAT_FALLBACKS] = "fallbacks",
	[VSVM_STAT_ATOMIC_FAULTS] = "atomic_faults",
};

/* The counters of a device are in two places of user space's struct. */
#define FIRST_BEHIND	VSVM_STAT_LOCAL_PAGES

static_assert(offsetof(struct drm_vsvm_device_stats, walks) ==
	      FIRST_BEHIND * sizeof(u64));
static_assert(offsetof(struct drm_vsvm_device_stats, mem_size) -
	      offsetof(struct drm_vsvm_device_stats, local_pages) ==
	      (VSVM_NUM_STATS - FIRST_BEHIND) * sizeof(u64));

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

static u64 read_pagemap(struct vsvm_pagemap *vpagemap,
			enum drm_pagemap_stat stat)
{
	return atomic64_read(&vpagemap->dpagemap.stats[stat]);
}

static void collect_memory(struct vsvm_pagemap *vpagemap,
			   struct drm_vsvm_device_stats *out)
{
	struct vsvm_copy_engine *copy = &vpagemap->copy;
	struct vsvm_mem *mem = &vpagemap->mem;

	out->mem_size += mem->size;
	out->mem_used += vsvm_mem_used(mem);
	out->mem_allocs += atomic_read(&mem->num_allocs);
	out->mem_evictions += atomic64_read(&mem->evictions);
	out->to_devmem += read_pagemap(vpagemap, DRM_PAGEMAP_STAT_TO_DEVMEM);
	out->to_devmem_huge += read_pagemap(vpagemap,
					    DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE);
	out->zeroed += read_pagemap(vpagemap, DRM_PAGEMAP_STAT_ZEROED);
	out->to_ram += read_pagemap(vpagemap, DRM_PAGEMAP_STAT_TO_RAM);
	out->evicted += read_pagemap(vpagemap, DRM_PAGEMAP_STAT_EVICTED);
	out->cpu_faults += read_pagemap(vpagemap, DRM_PAGEMAP_STAT_CPU_FAULTS);
	out->timeslice_waits += read_pagemap(vpagemap,
					     DRM_PAGEMAP_STAT_TIMESLICE_WAITS);
	out->copies += atomic64_read(&copy->copies);
	out->copied_in += atomic64_read(&copy->copied_in);
	out->copied_out += atomic64_read(&copy->copied_out);
	out->failed_copies += atomic64_read(&copy->failed);
}

static void collect_device(struct vsvm_vm_device *vmdev,
			   struct drm_vsvm_device_stats *out)
{
	u64 *first = (u64 *)out, *behind = &out->local_pages;

	for (int i = 0; i < FIRST_BEHIND; i++)
		first[i] += atomic64_read(&vmdev->stats.count[i]);
	for (int i = FIRST_BEHIND; i < VSVM_NUM_STATS; i++)
		behind[i - FIRST_BEHIND] +=
			atomic64_read(&vmdev->stats.count[i]);

	if (vmdev->vdev->vpagemap)
		collect_memory(vmdev->vdev->vpagemap, out);
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
			collect_device(&vm->devices[i], out);
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
