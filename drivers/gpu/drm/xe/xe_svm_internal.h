/* SPDX-License-Identifier: MIT */
/*
 * What the files of SVM know of one another. A file uses those above it and none below
 * it:
 *
 *	xe_svm_peer.c		whose VRAM a VM can use in place
 *	xe_svm_range.c		ranges, what is mapped of them, and where that is
 *	xe_svm_bind.c		what to bind of a range
 *	xe_svm_invalidate.c	what the CPU takes away, and the GPU has to forget
 *	xe_svm_gc.c		the garbage collector, and others who remove ranges
 *	xe_svm_get.c		mapping the memory of a range
 *	xe_svm_copy.c		copies between RAM and VRAM
 *	xe_svm_devmem.c		buffer objects as memory of processes, and their eviction
 *	xe_svm_pagemap.c	regions of VRAM, and their struct pages
 *	xe_svm_migrate.c	what of a range goes to VRAM
 *	xe_svm_fault.c		page faults of the GPU on CPU address mirrors
 *	xe_svm_remove.c		the removal of the device
 *	xe_svm.c		the VM's part
 *
 * Those from xe_svm_copy.c to xe_svm_migrate.c are only there with CONFIG_DRM_XE_PAGEMAP.
 */

#ifndef _XE_SVM_INTERNAL_H_
#define _XE_SVM_INTERNAL_H_

#include <linux/io.h>
#include <linux/memremap.h>

#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>

#include "xe_assert.h"
#include "xe_svm.h"
#include "xe_vm_types.h"
#include "xe_vram_types.h"

/* Ranges */

static inline struct xe_vm *gpusvm_to_vm(struct drm_gpusvm *gpusvm)
{
	return container_of(gpusvm, struct xe_vm, svm.gpusvm);
}

static inline struct xe_vm *range_to_vm(struct xe_svm_range *range)
{
	return gpusvm_to_vm(range->base.gpusvm);
}

static inline unsigned long range_npages(struct xe_svm_range *range)
{
	return xe_svm_range_size(range) >> PAGE_SHIFT;
}

/* Whether there is VRAM in the mapping; advisory without the notifier lock. */
static inline bool range_in_vram(struct xe_svm_range *range)
{
	return drm_gpusvm_pages_read_flags(&range->pages).has_devmem_pages;
}

/* Tiles that can reach all that is mapped of the range. */
static inline u8 range_bound_tiles(struct xe_svm_range *range)
{
	return READ_ONCE(range->tile_present) & ~READ_ONCE(range->tile_invalidated);
}

/* Tiles that can reach some of it. */
static inline u8 range_live_tiles(struct xe_svm_range *range)
{
	return range_bound_tiles(range) |
	       (READ_ONCE(range->tile_present) & READ_ONCE(range->tile_partial));
}

static inline bool range_zap_is_pending(const struct xe_svm_range *range)
{
	return range->zap.start < range->zap.end;
}

/* Whether there is memory of a segment at the moment. */
static inline bool addr_is_mapped(const struct drm_pagemap_addr *addr)
{
	/* In the order of drm_gpusvm: what was taken becomes a hole. */
	return !addr->taken && !addr->hole;
}

/* xe_svm_peer.c */

bool xe_svm_devices_are_connected(struct device *a, struct device *b);

/* xe_svm_range.c */

struct drm_gpusvm_range *xe_svm_range_alloc(struct drm_gpusvm *gpusvm);
void xe_svm_range_free(struct drm_gpusvm_range *base);
bool xe_svm_range_maps_locked(struct xe_svm_range *range, unsigned long addr,
			      unsigned long *start, unsigned long *end);
bool xe_svm_range_is_read_only_locked(struct xe_svm_range *range, unsigned long addr,
				      unsigned long *start, unsigned long *end);
bool xe_svm_range_has_page_locked(struct xe_svm_range *range, unsigned long addr, bool write);

/* xe_svm_invalidate.c */

struct drm_gpusvm_notifier *xe_svm_notifier_alloc(void);
void xe_svm_notifier_free(struct drm_gpusvm_notifier *notifier);
void xe_svm_binds_wait(struct xe_vm *vm);
void xe_svm_range_forget_binds(struct xe_svm_range *range);
void xe_svm_range_zap_and_flush(struct xe_vm *vm, struct xe_svm_range *range,
				u64 start, u64 end);
bool xe_svm_invalidate_start(struct drm_gpusvm *gpusvm,
			     struct drm_gpusvm_notifier *notifier,
			     const struct mmu_notifier_range *mmu_range);
void xe_svm_invalidate_finish(struct drm_gpusvm *gpusvm,
			      struct drm_gpusvm_notifier *notifier);

/* xe_svm_gc.c */

void xe_svm_garbage_collector_work(struct work_struct *w);

/* Pages of VRAM */

static inline struct xe_pagemap *to_xe_pagemap(struct drm_pagemap *dpagemap)
{
	return container_of(dpagemap, struct xe_pagemap, dpagemap);
}

static inline struct xe_pagemap *page_to_xe_pagemap(struct page *page)
{
	return container_of(page_pgmap(page), struct xe_pagemap, pagemap);
}

/* Where in its region a page is, in bytes. */
static inline u64 page_vram_offset(struct page *page)
{
	struct xe_pagemap *xpagemap = page_to_xe_pagemap(page);

	xe_assert(xpagemap->vr->xe, is_device_private_page(page));

	return page_to_phys(page) - xpagemap->hpa_base;
}

/* The address that the device itself uses for a page of its VRAM. */
static inline u64 page_to_dpa(struct page *page)
{
	return page_to_xe_pagemap(page)->vr->dpa_base + page_vram_offset(page);
}

/* xe_svm_copy.c */

struct dma_fence *xe_svm_submit_to_devmem(struct page **pages,
					  struct drm_pagemap_addr *pagemap_addr,
					  unsigned long npages,
					  struct dma_fence *pre_migrate_fence);
struct dma_fence *xe_svm_submit_to_ram(struct page **pages,
				       struct drm_pagemap_addr *pagemap_addr,
				       unsigned long npages,
				       struct dma_fence *pre_migrate_fence);

/* xe_svm_devmem.c */

struct drm_pagemap_devmem *
xe_svm_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm, size_t size,
		    bool may_wait);

/* xe_svm_remove.c */

void xe_svm_unmap_all_ranges(struct xe_vm *vm, bool locked);

#endif
