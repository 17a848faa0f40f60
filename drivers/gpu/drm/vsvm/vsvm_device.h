/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_DEVICE_H_
#define _VSVM_DEVICE_H_

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>
#include <drm/drm_pagemap_util.h>

#include "vsvm_config.h"
#include "vsvm_stats.h"
#include "vsvm_tlb.h"

struct faux_device;
struct file;
struct vsvm_pagemap;

/**
 * struct vsvm_device - A virtual device
 *
 * @drm: The DRM device
 * @faux: What it sits on
 * @config: What it is like, never changes
 * @index: Its place in the set of devices that were created together
 * @tlb_unit: Invalidates the TLBs of its queues
 * @peer: Tells whose memory it reaches, by the owner
 * @vpagemap: Its memory, or NULL
 * @stats: Counters, over all address spaces
 * @vms_lock: Protects @vms and @gone; nothing is locked inside
 * @vms: The address spaces that the device is in, of &vsvm_vm_device.link
 * @gone: The device was removed
 * @shares_lock: Protects @shares; workqueues are made inside
 * @shares: What processes have of it, of &vsvm_share.link
 */
struct vsvm_device {
	struct drm_device drm;
	struct faux_device *faux;
	struct vsvm_config config;
	unsigned int index;
	struct vsvm_tlb_unit tlb_unit;
	struct drm_pagemap_peer peer;
	struct vsvm_pagemap *vpagemap;
	struct vsvm_stats stats;
	struct mutex vms_lock;
	struct list_head vms;
	bool gone;
	struct mutex shares_lock;
	struct list_head shares;
};

static inline struct vsvm_device *to_vsvm_device(struct drm_device *drm)
{
	return container_of(drm, struct vsvm_device, drm);
}

/**
 * struct vsvm_file - An open file of a device
 *
 * @vms: Address spaces by number, each with a reference
 * @queues: Queues by number, each with a reference
 * @num_vms: How many of @vms there are, up to DRM_VSVM_MAX_VMS
 * @num_queues: How many of @queues there are, up to DRM_VSVM_MAX_QUEUES
 * @num_ops: Operations of jobs that have not ended, up to DRM_VSVM_MAX_FILE_OPS
 */
struct vsvm_file {
	struct xarray vms;
	struct xarray queues;
	atomic_t num_vms;
	atomic_t num_queues;
	atomic_t num_ops;
};

/**
 * vsvm_quota_take() - Take something of which there is a limited number
 * @count: How many are taken
 * @n: How many to take, far below INT_MAX
 * @max: How many there are
 *
 * Return: whether there were so many; otherwise none is taken.
 */
static inline bool vsvm_quota_take(atomic_t *count, int n, int max)
{
	if (atomic_add_return(n, count) <= max)
		return true;

	atomic_sub(n, count);
	return false;
}

/**
 * vsvm_quota_give() - Undo vsvm_quota_take()
 * @count: How many are taken
 * @n: How many to give back
 */
static inline void vsvm_quota_give(atomic_t *count, int n)
{
	atomic_sub(n, count);
}

/**
 * struct vsvm_set - Devices that are created and removed together
 *
 * @num_devices: Entries of @devices that are in use
 * @devices: The devices
 */
struct vsvm_set {
	unsigned int num_devices;
	struct vsvm_device *devices[DRM_VSVM_MAX_DEVICES];
};

extern const struct drm_driver vsvm_drm_driver;

struct vsvm_device *vsvm_device_from_file(struct file *file);

struct vsvm_set *vsvm_set_create(const char *name,
				 const struct vsvm_config *config);
void vsvm_set_destroy(struct vsvm_set *set);

#ifdef CONFIG_DEBUG_FS
void vsvm_debugfs_init(struct vsvm_device *vdev);
#else
static inline void vsvm_debugfs_init(struct vsvm_device *vdev)
{
}
#endif

#endif
