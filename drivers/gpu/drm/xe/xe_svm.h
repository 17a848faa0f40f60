/* SPDX-License-Identifier: MIT */
/*
 * Shared virtual memory in xe.
 *
 * xe_svm_internal.h lists the files that it is in. The "Xe SVM" section in xe_svm.c says
 * how they work together, those in other files how these do their part.
 */

#ifndef _XE_SVM_H_
#define _XE_SVM_H_

#include <drm/drm_gpusvm_service.h>

#include "xe_pagefault_types.h"

#if IS_ENABLED(CONFIG_DRM_XE_GPUSVM)

#include <linux/lockdep.h>
#include <linux/mutex.h>

#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>

#include "xe_device_types.h"

/* What the address of a segment of VRAM means: the device's own, or a bus address */
#define XE_INTERCONNECT_VRAM DRM_INTERCONNECT_DRIVER
#define XE_INTERCONNECT_P2P (XE_INTERCONNECT_VRAM + 1)

struct dma_fence;
struct xe_bo;
struct xe_device;
struct xe_gt;
struct xe_tile;
struct xe_vm;
struct xe_vma;
struct xe_vram_region;

/** struct xe_svm_range - A chunk of address space that the GPU maps */
struct xe_svm_range {
	/** @base: The range of the core */
	struct drm_gpusvm_range base;
	/** @pages: Its mapping for the VM's device */
	struct drm_gpusvm_pages pages;
	/**
	 * @lock: Its holder has the range in hand, as has who holds the VM's lock
	 * for writing: who gets its pages, migrates or binds them. Inside of the
	 * VM's lock, outside of the mmap lock and of the VM's reservation. No
	 * invalidation takes it
	 */
	struct mutex lock;
	/**
	 * @binds: Two for each tile: the job that writes entries of the range,
	 * unless it is known to be done; where it replaces tables, the flushes
	 * after it on both GTs of the tile. Under the notifier lock by who has the range in
	 * hand; they stay as they are while something of it has to be zapped
	 */
	struct dma_fence *binds[2 * XE_MAX_TILES_PER_DEVICE];
	/**
	 * @garbage_collector_link: Links a range that the CPU has unmapped into
	 * the VM's list of garbage, under the list's lock
	 */
	struct list_head garbage_collector_link;
	/**
	 * @tile_present: Tiles whose page tables have entries for the range.
	 * Written under the notifier lock.
	 */
	u8 tile_present;
	/**
	 * @tile_invalidated: Those of them that may lack entries for pages which
	 * are mapped. Written under the notifier lock.
	 */
	u8 tile_invalidated;
	/**
	 * @tile_partial: Those of @tile_invalidated that have some entries. Under
	 * the notifier lock.
	 */
	u8 tile_partial;
	/**
	 * @flushing: Tiles whose TLBs are flushed by who has the range in hand.
	 * Under the notifier lock
	 */
	u8 flushing;
	/**
	 * @changed: An invalidation has taken pages since @window was set. Under
	 * the notifier lock
	 */
	bool changed;
	/**
	 * @hole: Where all pages are that the tiles of @tile_partial may have no
	 * entries for; if empty, they may be anywhere. Under the notifier lock
	 */
	struct {
		/** @hole.start: First address */
		unsigned long start;
		/** @hole.end: Address behind the last one */
		unsigned long end;
	} hole;
	/**
	 * @zap: What the second pass of an invalidation has to zap yet. Nothing is
	 * bound meanwhile. Under the notifier lock
	 */
	struct {
		/** @zap.start: First address */
		unsigned long start;
		/** @zap.end: Address behind the last one */
		unsigned long end;
	} zap;
	/** @window: What may be bound. Of who has the range in hand */
	struct {
		/** @window.start: First address */
		unsigned long start;
		/** @window.end: Address behind the last one */
		unsigned long end;
	} window;
	/**
	 * @wanted: The page that has to be bound, or XE_SVM_ANY_PAGE. Of who has
	 * the range in hand
	 */
	unsigned long wanted;
};

/* Whatever there is of a range is bound. */
#define XE_SVM_ANY_PAGE ULONG_MAX

/**
 * struct xe_pagemap - A region of VRAM as memory of processes
 * @pagemap: The region's struct pages
 * @dpagemap: The region as drm_pagemap sees it, with the reference count
 * @destroy_work: Frees the object where the last reference was put in a context
 *		  that can't
 * @refs: Who needs the memory of the object: one reference is @dpagemap's, one
 *	  devm's, which may unmap @pagemap after @dpagemap is gone
 * @peer: The region among the devices that reach one another
 * @hpa_base: Address that the struct pages have been given
 * @vr: The region of VRAM
 */
struct xe_pagemap {
	struct dev_pagemap pagemap;
	struct drm_pagemap dpagemap;
	struct work_struct destroy_work;
	struct kref refs;
	struct drm_pagemap_peer peer;
	resource_size_t hpa_base;
	struct xe_vram_region *vr;
};

/* The VM's part: xe_svm.c */

int xe_svm_init(struct xe_vm *vm);
void xe_svm_close(struct xe_vm *vm);
void xe_svm_fini(struct xe_vm *vm);
bool xe_svm_can_mirror(struct xe_device *xe);
bool xe_svm_has_mapping(struct xe_vm *vm, u64 start, u64 end);
u64 xe_svm_find_vma_start(struct xe_vm *vm, u64 start, u64 end, struct xe_vma *vma);

/* Removal of the device: xe_svm_remove.c */

void xe_svm_remove_device(struct xe_device *xe);
bool xe_svm_has_device(struct xe_vm *vm);

/* Peers: xe_svm_peer.c */

int xe_svm_acquire_owner(struct drm_pagemap_peer *peer, bool is_vm);
void *xe_svm_private_page_owner(struct xe_vm *vm, bool force_smem);

/* Ranges: xe_svm_range.c */

struct xe_svm_range *xe_svm_range_find_or_insert(struct xe_vm *vm, u64 addr,
						 struct xe_vma *vma,
						 struct drm_gpusvm_ctx *ctx);
struct xe_svm_range *xe_svm_range_get_or_insert(struct xe_vm *vm, u64 addr,
						struct xe_vma *vma,
						struct drm_gpusvm_ctx *ctx);
bool xe_svm_can_map_mixed(struct xe_device *xe);
bool xe_svm_range_validate(struct xe_vm *vm, struct xe_svm_range *range,
			   u8 tile_mask, const struct drm_pagemap *dpagemap);
bool xe_svm_range_serves(struct xe_svm_range *range, u8 tile_id, u64 addr, bool write);
void xe_svm_range_get_served(struct xe_svm_range *range, u8 tile_id, u64 addr,
			     struct xe_pagefault_served *served);
bool xe_svm_range_is_unbound(struct xe_svm_range *range);
bool xe_svm_range_needs_migrate_to_vram(struct xe_svm_range *range, struct xe_vma *vma,
					const struct drm_pagemap *dpagemap);
bool xe_svm_range_addr_in_pagemap(struct xe_svm_range *range, u64 addr,
				  const struct drm_pagemap *dpagemap);
void xe_svm_range_migrate_to_smem(struct xe_vm *vm, struct xe_svm_range *range);
void xe_svm_range_debug(struct xe_svm_range *range, const char *operation);

/* Their memory: xe_svm_get.c */

int xe_svm_range_get_pages(struct xe_vm *vm, struct xe_svm_range *range,
			   struct drm_gpusvm_ctx *ctx);

/* What to bind of them: xe_svm_bind.c */

void xe_svm_range_begin_bind(struct xe_svm_range *range, u64 start, u64 end,
			     unsigned long wanted);
bool xe_svm_range_can_bind(struct xe_svm_range *range);
bool xe_svm_range_can_commit(struct xe_svm_range *range);
void xe_svm_range_to_bind(struct xe_svm_range *range, u8 tile_id, u64 *start, u64 *end);
void xe_svm_range_note_bound(struct xe_svm_range *range, u8 tile_id,
			     struct dma_fence *fence, struct dma_fence *fence2);

/* Zapping: xe_svm_invalidate.c */

u8 xe_svm_ranges_zap_ptes_in_range(struct xe_vm *vm, u64 start, u64 end);

/* Garbage, and other ranges that have to go: xe_svm_gc.c */

void xe_svm_queue_garbage_collector(struct xe_vm *vm);
int xe_svm_flush(struct xe_vm *vm);
int xe_svm_unmap_address_range(struct xe_vm *vm, u64 start, u64 end);
int xe_svm_ranges_collect(struct xe_vm *vm, u64 start, u64 end);
int xe_svm_ranges_remove(struct xe_vm *vm, u64 start, u64 end);
bool xe_svm_has_garbage_at(struct xe_vm *vm, u64 addr);
int xe_svm_collect_garbage_at(struct xe_vm *vm, u64 addr);

/* Page faults: xe_svm_fault.c */

int xe_svm_handle_pagefault(struct xe_vm *vm, struct xe_vma *vma,
			    struct xe_gt *gt, u64 fault_addr,
			    enum xe_pagefault_access_type access, bool exclusive,
			    struct xe_pagefault_served *served);

#if IS_ENABLED(CONFIG_DRM_XE_PAGEMAP)

/* Regions of VRAM: xe_svm_pagemap.c */

int xe_svm_get_pagemaps(struct xe_vm *vm);
void xe_svm_put_pagemaps(struct xe_vm *vm);
int xe_pagemap_shrinker_create(struct xe_device *xe);
int xe_pagemap_cache_create(struct xe_tile *tile);
struct drm_pagemap *xe_drm_pagemap_from_fd(int fd, u32 region_instance);

/* Buffer objects: xe_svm_devmem.c */

int xe_svm_bo_evict(struct xe_bo *bo);

/* Migration to VRAM: xe_svm_migrate.c */

int xe_svm_move_to_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
			struct drm_pagemap *dpagemap);
int xe_svm_alloc_vram(struct xe_svm_range *range, const struct drm_gpusvm_ctx *ctx,
		      struct drm_pagemap *dpagemap);
struct drm_pagemap *xe_vma_resolve_pagemap(struct xe_vma *vma, struct xe_tile *tile);

#else

static inline int xe_svm_get_pagemaps(struct xe_vm *vm)
{
	return 0;
}

static inline void xe_svm_put_pagemaps(struct xe_vm *vm)
{
}

static inline int xe_svm_move_to_vram(struct xe_svm_range *range,
				      const struct drm_gpusvm_ctx *ctx,
				      struct drm_pagemap *dpagemap)
{
	return -EOPNOTSUPP;
}

static inline int xe_svm_alloc_vram(struct xe_svm_range *range,
				    const struct drm_gpusvm_ctx *ctx,
				    struct drm_pagemap *dpagemap)
{
	return -EOPNOTSUPP;
}

static inline int xe_svm_bo_evict(struct xe_bo *bo)
{
	return 0;
}

static inline struct drm_pagemap *xe_vma_resolve_pagemap(struct xe_vma *vma,
							 struct xe_tile *tile)
{
	return NULL;
}

static inline int xe_pagemap_shrinker_create(struct xe_device *xe)
{
	return 0;
}

static inline int xe_pagemap_cache_create(struct xe_tile *tile)
{
	return 0;
}

static inline struct drm_pagemap *xe_drm_pagemap_from_fd(int fd, u32 region_instance)
{
	return ERR_PTR(-ENOENT);
}

#endif /* CONFIG_DRM_XE_PAGEMAP */

/**
 * to_xe_range() - The xe range that embeds a range of the core
 * @r: The core's range
 *
 * Return: the xe range.
 */
static inline struct xe_svm_range *to_xe_range(struct drm_gpusvm_range *r)
{
	return container_of(r, struct xe_svm_range, base);
}

/**
 * xe_svm_range_start() - First address of a range
 * @range: The range
 *
 * Return: the address.
 */
static inline unsigned long xe_svm_range_start(struct xe_svm_range *range)
{
	return drm_gpusvm_range_start(&range->base);
}

/**
 * xe_svm_range_end() - Address behind the last one of a range
 * @range: The range
 *
 * Return: the address.
 */
static inline unsigned long xe_svm_range_end(struct xe_svm_range *range)
{
	return drm_gpusvm_range_end(&range->base);
}

/**
 * xe_svm_range_size() - Size of a range
 * @range: The range
 *
 * Return: the size in bytes.
 */
static inline unsigned long xe_svm_range_size(struct xe_svm_range *range)
{
	return drm_gpusvm_range_size(&range->base);
}

/**
 * xe_svm_range_pages_valid() - Whether a range can be bound
 * @range: The range
 *
 * Needs the notifier lock.
 *
 * Return: true if its pages are mapped for the device.
 */
static inline bool xe_svm_range_pages_valid(struct xe_svm_range *range)
{
	return drm_gpusvm_pages_valid(range->base.gpusvm, &range->pages);
}

/**
 * xe_svm_range_has_dma_mapping() - Whether the DMA addresses of a range are good
 * @range: The range
 *
 * Needs the notifier lock.
 *
 * Return: true if they are.
 */
static inline bool xe_svm_range_has_dma_mapping(struct xe_svm_range *range)
{
	lockdep_assert_held(&range->base.gpusvm->notifier_lock);
	return range->pages.flags.has_dma_mapping;
}

/**
 * xe_svm_range_writable() - Whether a range may be bound for writing
 * @range: The range
 *
 * Reliable under the notifier lock, advisory without it.
 *
 * Return: true if its pages were got for writing.
 */
static inline bool xe_svm_range_writable(struct xe_svm_range *range)
{
	return drm_gpusvm_pages_writable(&range->pages);
}

/**
 * xe_svm_range_binds() - Whether all of an interval is to be bound
 * @range: The range
 * @start: First address
 * @end: Address behind the last one
 *
 * Return: true if it is, as far as there is memory.
 */
static inline bool xe_svm_range_binds(const struct xe_svm_range *range, u64 start, u64 end)
{
	return start >= range->window.start && end <= range->window.end;
}

/*
 * Whether the caller may change what the GPU has of a range, for assertions: it holds the
 * range's lock, or that of the VM for writing.
 */
#define xe_svm_range_is_in_hand(vm__, range__) \
	(lockdep_is_held(&(range__)->lock) || lockdep_is_held_type(&(vm__)->lock, 0))

#else /* CONFIG_DRM_XE_GPUSVM */

#include <linux/interval_tree.h>

#include "xe_vm.h"

struct drm_gpusvm_ctx;
struct drm_gpusvm_range;
struct drm_pagemap;
struct drm_pagemap_addr;
struct xe_bo;
struct xe_tile;

#define XE_INTERCONNECT_VRAM 1
#define XE_INTERCONNECT_P2P (XE_INTERCONNECT_VRAM + 1)

/* As much of a range as its users name; there never is one. */
struct xe_svm_range {
	struct {
		struct interval_tree_node itree;
	} base;
	struct {
		const struct drm_pagemap_addr *dma_addr;
	} pages;
	u32 tile_present;
	u32 tile_invalidated;
	u32 tile_partial;
};

static inline bool xe_svm_range_is_in_hand(struct xe_vm *vm, struct xe_svm_range *range)
{
	return true;
}

/* Without mirrors there still are userptrs, which need the core's lock. */
static inline int xe_svm_init(struct xe_vm *vm)
{
#if IS_ENABLED(CONFIG_DRM_GPUSVM)
	drm_gpusvm_services_init(&vm->svm.services, NULL);
	drm_gpusvm_services_init(&vm->svm.vma_services, NULL);
	drm_gpusvm_services_init(&vm->svm.lock_services, NULL);
	return drm_gpusvm_init(&vm->svm.gpusvm, "Xe userptr", NULL, 0, 0, 0,
			       NULL, NULL, 0);
#else
	return 0;
#endif
}

static inline void xe_svm_fini(struct xe_vm *vm)
{
#if IS_ENABLED(CONFIG_DRM_GPUSVM)
	xe_assert(vm->xe, xe_vm_is_closed(vm));
	drm_gpusvm_services_fini(&vm->svm.lock_services);
	drm_gpusvm_services_fini(&vm->svm.vma_services);
	drm_gpusvm_services_fini(&vm->svm.services);
	drm_gpusvm_fini(&vm->svm.gpusvm);
#endif
}

static inline void xe_svm_close(struct xe_vm *vm)
{
}

static inline void xe_svm_queue_garbage_collector(struct xe_vm *vm)
{
}

static inline int xe_svm_flush(struct xe_vm *vm)
{
	return 0;
}

static inline bool xe_svm_can_mirror(struct xe_device *xe)
{
	return false;
}

static inline void xe_svm_remove_device(struct xe_device *xe)
{
}

static inline bool xe_svm_has_device(struct xe_vm *vm)
{
	return false;
}

static inline void *xe_svm_private_page_owner(struct xe_vm *vm, bool force_smem)
{
	return NULL;
}

static inline bool xe_svm_has_mapping(struct xe_vm *vm, u64 start, u64 end)
{
	return false;
}

static inline u64 xe_svm_find_vma_start(struct xe_vm *vm, u64 start, u64 end,
					struct xe_vma *vma)
{
	return ULONG_MAX;
}

static inline int xe_svm_unmap_address_range(struct xe_vm *vm, u64 start, u64 end)
{
	return 0;
}

static inline int xe_svm_ranges_remove(struct xe_vm *vm, u64 start, u64 end)
{
	return 0;
}

static inline u8 xe_svm_ranges_zap_ptes_in_range(struct xe_vm *vm, u64 start, u64 end)
{
	return 0;
}

static inline struct xe_svm_range *
xe_svm_range_find_or_insert(struct xe_vm *vm, u64 addr, struct xe_vma *vma,
			    struct drm_gpusvm_ctx *ctx)
{
	return ERR_PTR(-EINVAL);
}

static inline int xe_svm_range_get_pages(struct xe_vm *vm, struct xe_svm_range *range,
					 struct drm_gpusvm_ctx *ctx)
{
	return -EINVAL;
}

static inline bool xe_svm_range_validate(struct xe_vm *vm, struct xe_svm_range *range,
					 u8 tile_mask,
					 const struct drm_pagemap *dpagemap)
{
	return false;
}

static inline bool
xe_svm_range_needs_migrate_to_vram(struct xe_svm_range *range, struct xe_vma *vma,
				   const struct drm_pagemap *dpagemap)
{
	return false;
}

static inline void xe_svm_range_migrate_to_smem(struct xe_vm *vm,
						struct xe_svm_range *range)
{
}

static inline void xe_svm_range_debug(struct xe_svm_range *range, const char *operation)
{
}

static inline int xe_svm_handle_pagefault(struct xe_vm *vm, struct xe_vma *vma,
					  struct xe_gt *gt, u64 fault_addr,
					  enum xe_pagefault_access_type access,
					  bool exclusive, struct xe_pagefault_served *served)
{
	return -EOPNOTSUPP;
}

static inline int xe_svm_alloc_vram(struct xe_svm_range *range,
				    const struct drm_gpusvm_ctx *ctx,
				    struct drm_pagemap *dpagemap)
{
	return -EOPNOTSUPP;
}

static inline int xe_svm_bo_evict(struct xe_bo *bo)
{
	return 0;
}

static inline struct drm_pagemap *xe_vma_resolve_pagemap(struct xe_vma *vma,
							 struct xe_tile *tile)
{
	return NULL;
}

static inline int xe_pagemap_shrinker_create(struct xe_device *xe)
{
	return 0;
}

static inline int xe_pagemap_cache_create(struct xe_tile *tile)
{
	return 0;
}

static inline struct drm_pagemap *xe_drm_pagemap_from_fd(int fd, u32 region_instance)
{
	return ERR_PTR(-ENOENT);
}

static inline struct xe_svm_range *to_xe_range(struct drm_gpusvm_range *r)
{
	return NULL;
}

static inline unsigned long xe_svm_range_start(struct xe_svm_range *range)
{
	return 0;
}

static inline unsigned long xe_svm_range_end(struct xe_svm_range *range)
{
	return 0;
}

static inline unsigned long xe_svm_range_size(struct xe_svm_range *range)
{
	return 0;
}

static inline bool xe_svm_range_binds(const struct xe_svm_range *range, u64 start, u64 end)
{
	return false;
}

static inline bool xe_svm_range_can_bind(struct xe_svm_range *range)
{
	return false;
}

static inline bool xe_svm_range_can_commit(struct xe_svm_range *range)
{
	return false;
}

static inline void xe_svm_range_to_bind(struct xe_svm_range *range, u8 tile_id,
					u64 *start, u64 *end)
{
}

static inline void xe_svm_range_note_bound(struct xe_svm_range *range, u8 tile_id,
					   struct dma_fence *fence,
					   struct dma_fence *fence2)
{
}

#endif /* CONFIG_DRM_XE_GPUSVM */

/* The notifier lock, which userptrs need without mirrors, too */

#if IS_ENABLED(CONFIG_DRM_GPUSVM)

#define xe_svm_assert_in_notifier(vm__) \
	lockdep_assert_held_write(&(vm__)->svm.gpusvm.notifier_lock)

/*
 * A commit holds the lock for reading. Where invalidations of userptrs are
 * injected into it, it has to be for writing: they unmap as a notifier does.
 */
#if IS_ENABLED(CONFIG_DRM_XE_USERPTR_INVAL_INJECT)
#define xe_svm_assert_held_read_or_inject_write(vm__) \
	lockdep_assert_held_write(&(vm__)->svm.gpusvm.notifier_lock)
#else
#define xe_svm_assert_held_read_or_inject_write(vm__) \
	lockdep_assert_held_read(&(vm__)->svm.gpusvm.notifier_lock)
#endif

#define xe_svm_notifier_lock(vm__) \
	drm_gpusvm_notifier_lock(&(vm__)->svm.gpusvm)

#define xe_svm_notifier_lock_interruptible(vm__) \
	down_read_interruptible(&(vm__)->svm.gpusvm.notifier_lock)

#define xe_svm_notifier_unlock(vm__) \
	drm_gpusvm_notifier_unlock(&(vm__)->svm.gpusvm)

/*
 * Around what a worker does for a process, with mirrors or with other VMAs; see
 * drm_gpusvm_service.c
 */

#define xe_svm_service_begin(vm__, service__) \
	drm_gpusvm_service_begin(&(vm__)->svm.services, service__)

#define xe_svm_service_end(vm__, service__) \
	drm_gpusvm_service_end(&(vm__)->svm.services, service__)

#define xe_svm_vma_service_begin(vm__, service__) \
	drm_gpusvm_service_begin(&(vm__)->svm.vma_services, service__)

#define xe_svm_vma_service_end(vm__, service__) \
	drm_gpusvm_service_end(&(vm__)->svm.vma_services, service__)

/* Around the wait of a worker for the lock of the VM, while it holds nothing */

#define xe_svm_lock_service_begin(vm__, service__) \
	drm_gpusvm_service_begin(&(vm__)->svm.lock_services, service__)

#define xe_svm_lock_service_end(vm__, service__) \
	drm_gpusvm_service_end(&(vm__)->svm.lock_services, service__)

#define xe_svm_cancel(vm__)						\
do {									\
	typeof(vm__) vm_to_cancel__ = (vm__);				\
									\
	drm_gpusvm_services_cancel(&vm_to_cancel__->svm.services);	\
	drm_gpusvm_services_cancel(&vm_to_cancel__->svm.vma_services);	\
	drm_gpusvm_services_cancel(&vm_to_cancel__->svm.lock_services);	\
} while (0)

/* Around the wait for the lock of a VM of who can't wait for those that serve it */

#define xe_svm_interrupt(vm__)						\
do {									\
	typeof(vm__) vm_to_wait_for__ = (vm__);				\
									\
	drm_gpusvm_services_interrupt(&vm_to_wait_for__->svm.services);	\
	drm_gpusvm_services_interrupt(&vm_to_wait_for__->svm.vma_services); \
} while (0)

#define xe_svm_resume(vm__)						\
do {									\
	typeof(vm__) vm_to_resume__ = (vm__);				\
									\
	drm_gpusvm_services_resume(&vm_to_resume__->svm.services);	\
	drm_gpusvm_services_resume(&vm_to_resume__->svm.vma_services);	\
} while (0)

/* Those that have nothing yet, too */

#define xe_svm_interrupt_lock(vm__)	drm_gpusvm_services_interrupt(&(vm__)->svm.lock_services)

#define xe_svm_resume_lock(vm__)	drm_gpusvm_services_resume(&(vm__)->svm.lock_services)

/* Whether that is all that a service has failed for, so that it can be begun again */

static inline bool xe_svm_is_interruption(int err)
{
	return err == -EINTR || err == -ERESTARTSYS;
}

#define xe_svm_interrupted(vm__, err__) \
	(xe_svm_is_interruption(err__) && \
	 !drm_gpusvm_services_cancelled(&(vm__)->svm.services))

#define xe_svm_vma_interrupted(vm__, err__) \
	(xe_svm_is_interruption(err__) && \
	 !drm_gpusvm_services_cancelled(&(vm__)->svm.vma_services))

/* Nobody will use the VM any more: it is being closed, or the device goes */
#define xe_svm_vma_cancelled(vm__) \
	drm_gpusvm_services_cancelled(&(vm__)->svm.vma_services)

#define xe_svm_lock_interrupted(vm__, err__) \
	(xe_svm_is_interruption(err__) && \
	 !drm_gpusvm_services_cancelled(&(vm__)->svm.lock_services))

#else /* CONFIG_DRM_GPUSVM */

#define xe_svm_assert_in_notifier(...) do {} while (0)

static inline void xe_svm_assert_held_read_or_inject_write(struct xe_vm *vm)
{
}

static inline void xe_svm_notifier_lock(struct xe_vm *vm)
{
}

static inline int xe_svm_notifier_lock_interruptible(struct xe_vm *vm)
{
	return 0;
}

static inline void xe_svm_notifier_unlock(struct xe_vm *vm)
{
}

static inline int xe_svm_service_begin(struct xe_vm *vm,
				       struct drm_gpusvm_service *service)
{
	return 0;
}

static inline void xe_svm_service_end(struct xe_vm *vm,
				      struct drm_gpusvm_service *service)
{
}

static inline int xe_svm_vma_service_begin(struct xe_vm *vm,
					   struct drm_gpusvm_service *service)
{
	return 0;
}

static inline void xe_svm_vma_service_end(struct xe_vm *vm,
					  struct drm_gpusvm_service *service)
{
}

static inline int xe_svm_lock_service_begin(struct xe_vm *vm,
					    struct drm_gpusvm_service *service)
{
	return 0;
}

static inline void xe_svm_lock_service_end(struct xe_vm *vm,
					   struct drm_gpusvm_service *service)
{
}

static inline void xe_svm_cancel(struct xe_vm *vm)
{
}

static inline void xe_svm_interrupt(struct xe_vm *vm)
{
}

static inline void xe_svm_resume(struct xe_vm *vm)
{
}

static inline void xe_svm_interrupt_lock(struct xe_vm *vm)
{
}

static inline void xe_svm_resume_lock(struct xe_vm *vm)
{
}

static inline bool xe_svm_interrupted(struct xe_vm *vm, int err)
{
	return false;
}

static inline bool xe_svm_vma_interrupted(struct xe_vm *vm, int err)
{
	return false;
}

static inline bool xe_svm_vma_cancelled(struct xe_vm *vm)
{
	return false;
}

static inline bool xe_svm_lock_interrupted(struct xe_vm *vm, int err)
{
	return false;
}

#endif /* CONFIG_DRM_GPUSVM */

#endif
