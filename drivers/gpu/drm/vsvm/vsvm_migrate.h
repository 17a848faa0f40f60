/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_MIGRATE_H_
#define _VSVM_MIGRATE_H_

#include <linux/types.h>

#include <drm/drm_gpusvm.h>

#include "vsvm_pt.h"

struct drm_device;
struct drm_file;
struct vsvm_range;
struct vsvm_vm;
struct vsvm_vm_device;

/**
 * struct vsvm_advice - Where user space wants memory to be
 *
 * @start: First address that it is for
 * @end: Address behind the last
 * @location: DRM_VSVM_LOCATION_*
 * @timeslice_ms: For how long the CPU leaves it there, 0 for the default
 * @atomic_local: Atomic access needs the device's own memory, with devices that heed it
 * @seq: What &vsvm_vm.advice_seq was
 */
struct vsvm_advice {
	unsigned long start;
	unsigned long end;
	u32 location;
	unsigned int timeslice_ms;
	bool atomic_local;
	int seq;
};

/**
 * struct vsvm_request - What a page fault asks for
 *
 * @access: What the device is about to do
 * @advice: What user space said about the address
 * @timeslice_ms: For how long the CPU leaves what is moved to the device
 * @ctx: How to map
 * @stay: To move it again and again hasn't helped; map it where it is
 * @left: Some of what was to move could not
 */
struct vsvm_request {
	enum vsvm_access access;
	struct vsvm_advice advice;
	unsigned int timeslice_ms;
	struct drm_gpusvm_ctx ctx;
	bool stay;
	bool left;
};

void vsvm_advice_get(struct vsvm_vm *vm, unsigned long addr,
		     struct vsvm_advice *advice);
bool vsvm_advice_is_old(struct vsvm_vm *vm, const struct vsvm_advice *advice);
bool vsvm_advice_is_heeded(const struct vsvm_vm_device *vmdev);

void vsvm_request_init(struct vsvm_request *request,
		       struct vsvm_vm_device *vmdev, unsigned long addr,
		       enum vsvm_access access);
void vsvm_migrate_range(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			struct vsvm_request *request);

int vsvm_prefetch_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file);
int vsvm_advise_ioctl(struct drm_device *drm, void *data,
		      struct drm_file *file);

/* From vsvm_placement.c */
int vsvm_recall(struct vsvm_vm *vm, unsigned long start, unsigned long end,
		const void *keep, struct drm_pagemap_migrate_stats *stats);
int vsvm_placement_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);

#endif
