/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_DEVICE_H_
#define _VSVM_DEVICE_H_

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
struct workqueue_struct;

/**
 * struct vsvm_device - A virtual device
 *
 * @drm: The DRM device
 * @faux: What it sits on
 * @config: What it is like, never changes
 * @index: Its place in the set of devices that were created together
 * @fault_wq: The fault queue, with as many workers as are configured
 * @tlb_unit: Invalidates the TLBs of its queues
 * @peer: Tells whose memory it reaches, by the owner
 * @vpagemap: Its memory, or NULL
 * @stats: Counters, over all address spaces
 * @vms_lock: Protects @vms and @gone; nothing is locked inside
 * @vms: The address spaces that the device is in, of &vsvm_vm_device.link
 * @gone: The device was removed
 */
struct vsvm_device {
	struct drm_device drm;
	struct faux_device *faux;
	struct vsvm_config config;
	unsigned int index;
	struct workqueue_struct *fault_wq;
	struct vsvm_tlb_unit tlb_unit;
	struct drm_pagemap_peer peer;
	struct vsvm_pagemap *vpagemap;
	struct vsvm_stats stats;
	struct mutex vms_lock;
	struct list_head vms;
	bool gone;
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
 */
struct vsvm_file {
	struct xarray vms;
	struct xarray queues;
};

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
