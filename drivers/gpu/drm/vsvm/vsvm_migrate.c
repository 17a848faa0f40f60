// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/maple_tree.h>
#include <linux/xarray.h>

#include <drm/drm_file.h>

#include "vsvm_device.h"
#include "vsvm_migrate.h"
#include "vsvm_pagemap.h"
#include "vsvm_range.h"
#include "vsvm_trace.h"
#include "vsvm_vm.h"

/**
 * DOC: Migration
 *
 * Where memory is to be is up to the device that faults. request_target()
 * decides, by the configured policy and what user space has advised; what a
 * driver for real hardware would decide by, it puts there. Moving is an attempt:
 * whatever stays elsewhere is mapped where it is.
 *
 * A step of an engine may need more at once than there is room for, or others may
 * want the same memory. Then each move undoes the last one. After a few faults
 * that didn't get the engine further, memory stays where it is.
 *
 * The exception is an atomic access that needs local memory. The range is then
 * mapped with &drm_gpusvm_ctx.devmem_only, and if the CPU was faster, moved
 * again with a timeslice twice as long.
 *
 * Advice is kept by address. Ranges never reach across its borders, and new
 * advice removes the ranges that it is for. A fault that looked the advice up
 * before finds that out under the range's lock, see vsvm_advice_is_old().
 */

/* Advice as an entry of the maple tree. None is kept as no entry. */
#define ADVICE_LOCATION		GENMASK(6, 0)
#define ADVICE_ATOMIC_LOCAL	BIT(7)
#define ADVICE_TIMESLICE	GENMASK(31, 8)

static void *advice_to_entry(const struct drm_vsvm_advise *args)
{
	unsigned long value = FIELD_PREP(ADVICE_LOCATION, args->location) |
			      FIELD_PREP(ADVICE_TIMESLICE, args->timeslice_ms);

	if (args->flags & DRM_VSVM_ADVISE_ATOMIC_LOCAL)
		value |= ADVICE_ATOMIC_LOCAL;

	return value ? xa_mk_value(value) : NULL;
}

/**
 * vsvm_advice_get() - Look up the advice for an address
 * @vm: The address space
 * @addr: The address, in its window
 * @advice: Receives it, and the interval in which it is the same
 */
void vsvm_advice_get(struct vsvm_vm *vm, unsigned long addr,
		     struct vsvm_advice *advice)
{
	MA_STATE(mas, &vm->advice, addr, addr);
	unsigned long value;
	void *entry;

	/* Pairs with the release in vsvm_advise_ioctl(). */
	advice->seq = atomic_read_acquire(&vm->advice_seq);

	mas_lock(&mas);
	entry = mas_walk(&mas);
	advice->start = max(mas.index, vm->va_start);
	advice->end = min(mas.last, vm->va_end - 1) + 1;
	mas_unlock(&mas);

	value = entry ? xa_to_value(entry) : 0;
	advice->location = FIELD_GET(ADVICE_LOCATION, value);
	advice->timeslice_ms = FIELD_GET(ADVICE_TIMESLICE, value);
	advice->atomic_local = value & ADVICE_ATOMIC_LOCAL;
}

/**
 * vsvm_advice_is_old() - Whether there was new advice since
 * @vm: The address space
 * @advice: What was looked up
 *
 * To be asked under the lock of a range. Either it is seen then that the range
 * may be one of the past, or whoever changes the advice sees the range.
 *
 * Return: true if so.
 */
bool vsvm_advice_is_old(struct vsvm_vm *vm, const struct vsvm_advice *advice)
{
	return atomic_read(&vm->advice_seq) != advice->seq;
}

/**
 * vsvm_advice_is_heeded() - Whether a device goes by the advice
 * @vmdev: The device in an address space
 *
 * Return: false if its policy is to leave memory where it is, whatever the advice.
 */
bool vsvm_advice_is_heeded(const struct vsvm_vm_device *vmdev)
{
	return vmdev->vdev->config.policy != DRM_VSVM_POLICY_SYSTEM;
}

/**
 * vsvm_request_init() - Decide how to serve a page fault
 * @request: Filled
 * @vmdev: The device that faulted
 * @addr: Where
 * @access: What it was about to do
 */
void vsvm_request_init(struct vsvm_request *request,
		       struct vsvm_vm_device *vmdev, unsigned long addr,
		       enum vsvm_access access)
{
	const struct vsvm_config *config = &vmdev->vdev->config;
	struct vsvm_advice *advice = &request->advice;
	bool local;

	vsvm_advice_get(vmdev->vm, addr, advice);
	if (config->policy == DRM_VSVM_POLICY_SYSTEM)
		advice->location = DRM_VSVM_LOCATION_NONE;
	local = access == VSVM_ATOMIC && advice->atomic_local &&
		vsvm_advice_is_heeded(vmdev);

	request->access = access;
	request->stay = false;
	request->left = false;
	request->timeslice_ms = advice->timeslice_ms ?: config->timeslice_ms;
	request->ctx = (struct drm_gpusvm_ctx) {
		.read_only = access == VSVM_READ,
		.check_pages_threshold = config->check_pages_threshold,
		.device_private_page_owner = vmdev->vdev->peer.owner,
		.devmem_possible = true,
		.devmem_only = local,
		.allow_mixed = true,
		.partial = true,
		.fault_addr = addr,
		.may_write = true,
	};

	/* Without an owner, whatever is in device memory comes back. */
	if (advice->location == DRM_VSVM_LOCATION_SYSTEM && !local)
		request->ctx.device_private_page_owner = NULL;
}

static struct vsvm_vm_device *location_device(struct vsvm_vm *vm, u32 location)
{
	u32 index = location - DRM_VSVM_LOCATION_DEVICE(0);

	return index < vm->num_devices ? &vm->devices[index] : NULL;
}

/* To which device's memory a fault moves what it is about, or NULL. */
static struct vsvm_vm_device *request_target(struct vsvm_vm_device *vmdev,
					     const struct vsvm_request *request)
{
	enum drm_vsvm_policy policy = vmdev->vdev->config.policy;
	struct vsvm_vm_device *target = NULL;

	if (policy == DRM_VSVM_POLICY_SYSTEM)
		return NULL;

	if (request->ctx.devmem_only)
		target = vmdev;
	else if (request->advice.location != DRM_VSVM_LOCATION_NONE)
		target = location_device(vmdev->vm, request->advice.location);
	else if (policy == DRM_VSVM_POLICY_FIRST_TOUCH)
		target = vmdev;

	/* Memory that the device couldn't reach would come back at once. */
	if (!target || !target->vdev->vpagemap ||
	    target->vdev->peer.owner != vmdev->vdev->peer.owner)
		return NULL;

	return target;
}

/* Whether the memory of a range is where it ought to be, or almost. */
static bool is_in_place(struct vsvm_range *range, struct vsvm_vm_device *target,
			const struct vsvm_request *request)
{
	struct vsvm_pagemap *vpagemap = target->vdev->vpagemap;

	switch (drm_gpusvm_scan_mm(&range->base, target->vdev->peer.owner,
				   &vpagemap->pagemap)) {
	case DRM_GPUSVM_SCAN_EQUAL:
		return true;
	case DRM_GPUSVM_SCAN_OTHER:
	case DRM_GPUSVM_SCAN_MIXED_DEVICE:
		/* With a peer: good enough, unless told otherwise. */
		return !request->ctx.devmem_only &&
		       request->advice.location == DRM_VSVM_LOCATION_NONE;
	default:
		return false;
	}
}

static int populate(struct vsvm_vm_device *target, unsigned long start,
		    unsigned long end, unsigned int timeslice_ms,
		       struct drm_pagemap_migrate_stats *stats)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
		.stats = stats,
	};
	struct drm_pagemap *dpagemap;
	int err;

	dpagemap = vsvm_pagemap_get(target->vdev->vpagemap);
	if (IS_ERR(dpagemap))
		return PTR_ERR(dpagemap);

	err = drm_pagemap_populate_range(dpagemap, start, end,
					 target->vm->svm.mm, &details);
	drm_pagemap_put(dpagemap);
	return err;
}

/* What is with a device that has no interconnect has to go through RAM. */
static int populate_again(struct vsvm_vm_device *target, unsigned long start,
			  unsigned long end, unsigned int timeslice_ms,
			  struct drm_pagemap_migrate_stats *stats, int err)
{
	struct drm_pagemap_migrate_stats recalled = {}, again = {};
	unsigned long arrived;

	if (!target->vm->has_strangers ||
	    vsvm_recall(target->vm, start, end, target->vdev->peer.owner,
			&recalled) || !recalled.moved)
		return err;

	err = populate(target, start, end, timeslice_ms, &again);

	/* Others may have taken away what the first attempt moved or found. */
	arrived = again.moved + again.resident;
	stats->moved = min(stats->moved + again.moved, arrived);
	stats->resident = arrived - stats->moved;
	stats->left = again.left;
	return err;
}

/* Move an interval to a device's memory. */
static int migrate(struct vsvm_vm_device *target, unsigned long start,
		   unsigned long end, unsigned int timeslice_ms,
		   struct drm_pagemap_migrate_stats *stats)
{
	ktime_t begin = ktime_get();
	int err;

	err = populate(target, start, end, timeslice_ms, stats);
	if (err == -EBUSY)
		err = populate_again(target, start, end, timeslice_ms, stats,
				     err);

	vsvm_stats_inc(target, VSVM_STAT_MIGRATIONS);
	vsvm_stats_add(target, VSVM_STAT_MIGRATED_PAGES, stats->moved);
	vsvm_stats_add(target, VSVM_STAT_RESIDENT_PAGES, stats->resident);
	vsvm_stats_add(target, VSVM_STAT_LEFT_PAGES, stats->left);
	trace_vsvm_migrate(target, start, end, stats, err,
			   ktime_sub(ktime_get(), begin));
	return err;
}

/**
 * vsvm_migrate_range() - Move a range to where a fault wants it
 * @range: The range, locked, and not mapped for the device
 * @vmdev: The device that faulted
 * @request: What it asks for
 *
 * Does what can be done, and notes in @request if that wasn't all. Mapping the
 * range shows whether it was enough.
 */
void vsvm_migrate_range(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			struct vsvm_request *request)
{
	struct vsvm_vm_device *target = request_target(vmdev, request);
	struct drm_pagemap_migrate_stats stats = {};

	if (!target || !range->base.flags.migrate_devmem) {
		request->left = true;
		return;
	}
	if (is_in_place(range, target, request))
		return;
	if (request->stay && !request->ctx.devmem_only) {
		vsvm_stats_inc(vmdev, VSVM_STAT_FALLBACKS);
		return;
	}

	request->left = migrate(target, drm_gpusvm_range_start(&range->base),
				drm_gpusvm_range_end(&range->base),
				request->timeslice_ms, &stats);
	if (request->left)
		vsvm_stats_inc(vmdev, VSVM_STAT_FALLBACKS);
}

/*
 * From user space
 */

/* That some pages stay where they are is told, but no error. */
static int prefetch_error(int err)
{
	switch (err) {
	case -EBUSY:
	case -ENOENT:	/* nothing is mapped there */
		return 0;
	default:
		return err;
	}
}

static int prefetch_to(struct vsvm_vm *vm,
		       const struct drm_vsvm_prefetch *args,
		       struct drm_pagemap_migrate_stats *stats)
{
	unsigned long start = args->start, end = start + args->size;
	struct vsvm_vm_device *target;

	if (args->location == DRM_VSVM_LOCATION_SYSTEM)
		return prefetch_error(vsvm_recall(vm, start, end, NULL, stats));

	target = location_device(vm, args->location);
	if (!target || !target->vdev->vpagemap)
		return -EINVAL;

	return prefetch_error(migrate(target, start, end, args->timeslice_ms,
				      stats));
}

/**
 * vsvm_prefetch_ioctl() - DRM_IOCTL_VSVM_PREFETCH
 * @drm: The device
 * @data: A &struct drm_vsvm_prefetch
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_prefetch_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file)
{
	struct drm_pagemap_migrate_stats stats = {};
	struct drm_vsvm_prefetch *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->flags || args->timeslice_ms > DRM_VSVM_MAX_TIMESLICE_MS)
		return -EINVAL;

	vm = vsvm_vm_lookup_interval(file, args->vm_id, args->start, args->size);
	if (IS_ERR(vm))
		return PTR_ERR(vm);

	err = prefetch_to(vm, args, &stats);
	vsvm_vm_put(vm);

	args->moved = stats.moved;
	args->resident = stats.resident;
	args->left = stats.left;
	return err;
}

static bool advice_is_valid(struct vsvm_vm *vm,
			    const struct drm_vsvm_advise *args)
{
	struct vsvm_vm_device *vmdev = location_device(vm, args->location);

	if (args->location == DRM_VSVM_LOCATION_NONE ||
	    args->location == DRM_VSVM_LOCATION_SYSTEM)
		return true;

	return vmdev && vmdev->vdev->vpagemap;
}

/* How many more entries there will be with one that replaces an interval. */
static int count_new_advice(struct vsvm_vm *vm, unsigned long start,
			    unsigned long last, const void *entry)
{
	MA_STATE(mas, &vm->advice, start, start);
	int more = entry ? 1 : 0;
	void *old;

	lockdep_assert_held(&vm->advice_lock);

	mas_lock(&mas);
	mas_for_each(&mas, old, last)
		more += (mas.index < start) + (mas.last > last) - 1;
	mas_unlock(&mas);

	return more;
}

static int store_advice(struct vsvm_vm *vm, unsigned long start,
			unsigned long last, void *entry)
{
	int more, err;

	guard(mutex)(&vm->advice_lock);

	more = count_new_advice(vm, start, last, entry);
	if (more > 0 && vm->num_advice + more > DRM_VSVM_MAX_ADVICE)
		return -ENOSPC;

	err = mtree_store_range(&vm->advice, start, last, entry,
				GFP_KERNEL_ACCOUNT);
	if (!err)
		vm->num_advice += more;
	return err;
}

static int advise(struct vsvm_vm *vm, const struct drm_vsvm_advise *args)
{
	unsigned long start = args->start, end = start + args->size;
	int err;

	if (!advice_is_valid(vm, args))
		return -EINVAL;

	err = store_advice(vm, start, end - 1, advice_to_entry(args));
	if (err)
		return err;

	/* Faults that come to a range from now on know that they are late. */
	atomic_inc_return_release(&vm->advice_seq);
	return vsvm_range_remove_interval(vm, start, end);
}

/**
 * vsvm_advise_ioctl() - DRM_IOCTL_VSVM_ADVISE
 * @drm: The device
 * @data: A &struct drm_vsvm_advise
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_advise_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file)
{
	struct drm_vsvm_advise *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->flags & ~DRM_VSVM_ADVISE_ATOMIC_LOCAL ||
	    args->timeslice_ms > DRM_VSVM_MAX_TIMESLICE_MS)
		return -EINVAL;

	vm = vsvm_vm_lookup_interval(file, args->vm_id, args->start, args->size);
	if (IS_ERR(vm))
		return PTR_ERR(vm);

	err = advise(vm, args);
	vsvm_vm_put(vm);
	return err;
}
