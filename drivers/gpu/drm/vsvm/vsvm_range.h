/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_RANGE_H_
#define _VSVM_RANGE_H_

#include <linux/mutex.h>

#include <drm/drm_gpusvm.h>
#include <drm/vsvm_drm.h>

struct vsvm_gc;
struct vsvm_request;
struct vsvm_vm;
struct vsvm_vm_device;

/**
 * struct vsvm_range - A range and its mappings
 *
 * @base: The range
 * @lock: Serialises mapping, upgrade and removal, so that of two faults on the
 *	  range one does the work
 * @gc_link: The entry in &vsvm_gc.ranges
 * @atomic_local: Advice is that atomic access needs the device's own memory; not
 *		  every device heeds it, see vsvm_advice_is_heeded()
 * @pages: The mapping for each device of the address space
 */
struct vsvm_range {
	struct drm_gpusvm_range base;
	struct mutex lock;
	struct list_head gc_link;
	bool atomic_local;
	struct drm_gpusvm_pages pages[];
};

static inline struct vsvm_range *to_vsvm_range(struct drm_gpusvm_range *range)
{
	return container_of(range, struct vsvm_range, base);
}

/**
 * struct vsvm_notifier - A notifier and what its second pass waits for
 *
 * @base: The notifier
 * @seqno: For each device, the last TLB invalidation that a first pass has
 *	   submitted; written under the notifier lock
 */
struct vsvm_notifier {
	struct drm_gpusvm_notifier base;
	u64 seqno[DRM_VSVM_MAX_DEVICES];
};

static inline struct vsvm_notifier *
to_vsvm_notifier(struct drm_gpusvm_notifier *notifier)
{
	return container_of(notifier, struct vsvm_notifier, base);
}

extern const struct drm_gpusvm_ops vsvm_gpusvm_ops;

int vsvm_range_map(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		   struct vsvm_request *request);
bool vsvm_range_try_remove(struct vsvm_range *range);
int vsvm_range_remove_killable(struct vsvm_range *range);
int vsvm_range_remove_interval(struct vsvm_vm *vm, unsigned long start,
			       unsigned long end);
void vsvm_range_remove_all(struct vsvm_vm *vm);

/* From vsvm_invalidate.c */
u64 vsvm_zap_start(struct vsvm_vm_device *vmdev, unsigned long start,
		   unsigned long end);
void vsvm_zap_finish(struct vsvm_vm_device *vmdev, u64 seqno);
bool vsvm_invalidate_start(struct drm_gpusvm *svm,
			   struct drm_gpusvm_notifier *notifier,
			   const struct mmu_notifier_range *mmu_range);
void vsvm_invalidate_finish(struct drm_gpusvm *svm,
			    struct drm_gpusvm_notifier *notifier);
void vsvm_gc_init(struct vsvm_gc *gc);
void vsvm_gc_add(struct vsvm_gc *gc, struct vsvm_range *range);

#endif
