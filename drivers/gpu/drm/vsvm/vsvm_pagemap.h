/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_PAGEMAP_H_
#define _VSVM_PAGEMAP_H_

#include <linux/completion.h>
#include <linux/memremap.h>
#include <linux/mutex.h>

#include <drm/drm_pagemap.h>

#include "vsvm_copy.h"
#include "vsvm_mem.h"

struct drm_pagemap_peer;
struct drm_printer;
struct vsvm_device;

/* Protocols of &struct drm_pagemap_addr: the device's own memory, a peer's. */
#define VSVM_PROTO_LOCAL	DRM_INTERCONNECT_DRIVER
#define VSVM_PROTO_PEER		(DRM_INTERCONNECT_DRIVER + 1)

/**
 * struct vsvm_pagemap - A device's memory as processes can use it
 *
 * @dpagemap: The memory as drm_pagemap knows it. Without references, it is idle
 * @pagemap: The memory as the MM knows it
 * @vdev: The device
 * @mem: The memory
 * @copy: The copy engine
 * @lock: Serialises bringing @dpagemap back to life
 * @idle: Complete while @dpagemap is idle
 * @evict_lock: Serialises those who make room, so that who evicts also gets it
 */
struct vsvm_pagemap {
	struct drm_pagemap dpagemap;
	struct dev_pagemap pagemap;
	struct vsvm_device *vdev;
	struct vsvm_mem mem;
	struct vsvm_copy_engine copy;
	struct mutex lock;
	struct completion idle;
	struct mutex evict_lock;
};

static inline struct vsvm_pagemap *to_vsvm_pagemap(struct drm_pagemap *dpagemap)
{
	return container_of(dpagemap, struct vsvm_pagemap, dpagemap);
}

struct vsvm_pagemap *vsvm_pagemap_create(struct vsvm_device *vdev);
void vsvm_pagemap_remove(struct vsvm_pagemap *vpagemap);
struct drm_pagemap *vsvm_pagemap_get(struct vsvm_pagemap *vpagemap);
struct vsvm_device *vsvm_pagemap_device_of(struct page *page);
int vsvm_pagemap_join_peers(struct vsvm_device *vdev);
void vsvm_pagemap_print(struct vsvm_pagemap *vpagemap, struct drm_printer *p);

#endif
