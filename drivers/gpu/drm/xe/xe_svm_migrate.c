// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: what of a range goes to VRAM, and to which.
 */

#include <drm/drm_pagemap.h>

#include <uapi/drm/xe_drm.h>

#include "xe_assert.h"
#include "xe_device_types.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* A page that is busy now may not be the next time. */
#define XE_SVM_POPULATE_TRIES	2

/* Find the segments without memory around an address. There may be none. */
static void range_find_gap_locked(struct xe_svm_range *range, unsigned long addr,
				  unsigned long *start, unsigned long *end)
{
	unsigned long at = xe_svm_range_start(range);
	unsigned int i;

	*start = at;
	for (i = 0; i < range->pages.nr_addrs; i++) {
		const struct drm_pagemap_addr *a = &range->pages.dma_addr[i];
		bool gap = a->taken || a->hole;

		if (!gap && at > addr)
			break;
		at += PAGE_SIZE << a->order;
		if (!gap)
			*start = at;
	}
	*end = at;
}

/* From where to where there is anything that is not memory of a pagemap, if that is so. */
static void range_find_rest_locked(struct xe_svm_range *range, unsigned long *start,
				   unsigned long *end)
{
	unsigned long at = *start, first = *end, last = *start;
	unsigned int i;

	for (i = 0; i < range->pages.nr_addrs; i++) {
		const struct drm_pagemap_addr *a = &range->pages.dma_addr[i];
		unsigned long next = at + (PAGE_SIZE << a->order);

		if (a->taken || a->hole || a->proto == DRM_INTERCONNECT_SYSTEM) {
			first = min(first, at);
			last = next;
		}
		at = next;
	}
	if (first < last) {
		*start = first;
		*end = last;
	}
}

/*
 * What of a range has to be migrated. What is mapped from that memory stays: asking for it
 * again would take it from the GPU. For a fault it is no more than the gap around it, if
 * there is one; what is in RAM there could not be migrated when it was mapped.
 */
static void range_to_migrate(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
			     const struct drm_pagemap *dpagemap,
			     unsigned long *start, unsigned long *end)
{
	unsigned long first, last;

	*start = xe_svm_range_start(range);
	*end = xe_svm_range_end(range);

	drm_gpusvm_notifier_lock(range->base.gpusvm);
	if (drm_gpusvm_pages_mapped(&range->pages) && range->pages.dpagemap == dpagemap) {
		range_find_gap_locked(range, ctx->fault_addr, &first, &last);
		if (ctx->partial && first <= ctx->fault_addr && ctx->fault_addr < last) {
			*start = first;
			*end = last;
		} else {
			range_find_rest_locked(range, start, end);
		}
	}
	drm_gpusvm_notifier_unlock(range->base.gpusvm);
}

/*
 * Bring to RAM what can't be collected: what was swapped out, or is another device's. It
 * moves from there. If that takes all of the range along, all of it has to move.
 */
static void range_fetch(struct xe_vm *vm, struct xe_svm_range *range,
			const struct drm_gpusvm_ctx *ctx, unsigned long *start,
			unsigned long *end)
{
	bool whole = *start == xe_svm_range_start(range) && *end == xe_svm_range_end(range);
	struct drm_gpusvm_ctx get = *ctx;

	/* A mix that can't be mapped is evicted: not for the sake of a part. */
	if (!whole && !xe_svm_can_map_mixed(vm->xe))
		return;

	xe_svm_range_get_pages(vm, range, &get);
	if (drm_gpusvm_pages_mapped(&range->pages))
		return;
	*start = xe_svm_range_start(range);
	*end = xe_svm_range_end(range);
}

/**
 * xe_svm_move_to_vram() - Migrate a range to VRAM
 * @range: The range
 * @ctx: How long it is to stay there
 * @dpagemap: The memory
 *
 * Return: 0 if all of it is there now; -EBUSY if some had to be left, which is all of it
 * on devices that can't map a mix; or another negative error.
 */
int xe_svm_move_to_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
			struct drm_pagemap *dpagemap)
{
	struct drm_gpusvm *gpusvm = range->base.gpusvm;
	struct xe_vm *vm = container_of(gpusvm, struct xe_vm, svm.gpusvm);
	unsigned long start, end;
	int err, tries = 0;

	xe_assert(vm->xe, range->base.flags.migrate_devmem);
	xe_svm_range_debug(range, "ALLOCATE VRAM");

	/* Looking first doesn't disturb memory that is where it should be. */
	if (drm_gpusvm_scan_mm(&range->base, xe_svm_private_page_owner(vm, false),
			       dpagemap->pagemap) == DRM_GPUSVM_SCAN_EQUAL) {
		vm_dbg(dpagemap->drm, "Already migrated!\n");
		return 0;
	}
	vm_dbg(&vm->xe->drm, "Migrate to memory of \"%s\"\n", dpagemap->drm->unique);

	range_to_migrate(range, ctx, dpagemap, &start, &end);
	for (;;) {
		err = drm_pagemap_populate_mm(dpagemap, start, end, gpusvm->mm,
					      ctx->timeslice_ms);
		if (err != -EBUSY || ++tries == XE_SVM_POPULATE_TRIES)
			break;
		range_fetch(vm, range, ctx, &start, &end);
	}

	if (err == -EBUSY && !xe_svm_can_map_mixed(vm->xe))
		drm_gpusvm_range_evict(gpusvm, &range->base);

	return err;
}

/**
 * xe_svm_alloc_vram() - Migrate as much of a range to VRAM as can be used there
 * @range: The range
 * @ctx: How long it is to stay there
 * @dpagemap: The memory
 *
 * Return: 0 if all of it is there now, or, on devices that can map that, as much
 * as can be; or a negative error.
 */
int xe_svm_alloc_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
		      struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = container_of(range->base.gpusvm, struct xe_vm, svm.gpusvm);
	int err = xe_svm_move_to_vram(range, ctx, dpagemap);

	return err == -EBUSY && xe_svm_can_map_mixed(vm->xe) ? 0 : err;
}

/**
 * xe_vma_resolve_pagemap() - Where the memory of a VMA should be
 * @vma: The VMA
 * @tile: The tile that is going to use it
 *
 * Return: the device memory, without a reference; NULL for RAM.
 */
struct drm_pagemap *xe_vma_resolve_pagemap(struct xe_vma *vma, struct xe_tile *tile)
{
	struct drm_pagemap *named = vma->attr.preferred_loc.dpagemap;

	if (named)
		return named;

	if ((s32)vma->attr.preferred_loc.devmem_fd != DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE ||
	    !IS_DGFX(tile_to_xe(tile)))
		return NULL;

	return xe_tile_local_pagemap(tile);
}
