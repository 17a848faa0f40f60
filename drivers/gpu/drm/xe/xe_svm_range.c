// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: ranges, what is mapped of them, and where that is.
 */

#include <linux/dma-fence.h>
#include <linux/slab.h>

#include <drm/drm_print.h>

#include "xe_assert.h"
#include "xe_device_types.h"
#include "xe_svm_internal.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * xe_svm_range_debug() - Say what happens to a range
 * @range: The range
 * @operation: What happens
 *
 * Says so only with CONFIG_DRM_XE_DEBUG_VM.
 */
void xe_svm_range_debug(struct xe_svm_range *range, const char *operation)
{
	struct xe_vm *vm = range_to_vm(range);

	vm_dbg(&vm->xe->drm,
	       "%s: asid=%u, range=[0x%014lx, 0x%014lx), vram=%d, present=%#x, invalidated=%#x, seqno=%lu",
	       operation, vm->usm.asid, xe_svm_range_start(range),
	       xe_svm_range_end(range), range_in_vram(range),
	       range->tile_present, range->tile_invalidated,
	       range->pages.notifier_seq);
}

struct drm_gpusvm_range *xe_svm_range_alloc(struct drm_gpusvm *gpusvm)
{
	struct xe_vm *vm = gpusvm_to_vm(gpusvm);
	struct xe_svm_range *range = kzalloc_obj(*range, GFP_KERNEL_ACCOUNT);

	if (!range)
		return NULL;

	if (drm_gpusvm_init_pages(&range->pages, &vm->xe->drm)) {
		kfree(range);
		return NULL;
	}
	mutex_init(&range->lock);
	INIT_LIST_HEAD(&range->garbage_collector_link);
	range->wanted = XE_SVM_ANY_PAGE;
	xe_vm_get(vm);

	return &range->base;
}

void xe_svm_range_free(struct drm_gpusvm_range *base)
{
	struct xe_svm_range *range = to_xe_range(base);
	struct xe_vm *vm = range_to_vm(range);
	unsigned int i;

	drm_gpusvm_free_pages(base->gpusvm, &range->pages, range_npages(range));
	for (i = 0; i < ARRAY_SIZE(range->binds); i++)
		dma_fence_put(range->binds[i]);
	mutex_destroy(&range->lock);
	kfree(range);
	/* The VM embeds the GPU SVM, so this comes last. */
	xe_vm_put(vm);
}

/* Whether nobody can have anything of an address that the CPU has a VMA for. */
static bool addr_is_unreadable(struct xe_vm *vm, u64 addr)
{
	return drm_gpusvm_find_vma_start(&vm->svm.gpusvm, addr, addr + 1) == ULONG_MAX;
}

/**
 * xe_svm_range_get_or_insert() - The range of an address, with a reference
 * @vm: The VM; its lock is held
 * @addr: The address, in @vma
 * @vma: The mirror that the range has to fit in
 * @ctx: How the range is going to be used
 *
 * Return: the range, or an error pointer as drm_gpusvm_range_get_or_insert() returns it.
 */
struct xe_svm_range *xe_svm_range_get_or_insert(struct xe_vm *vm, u64 addr,
						struct xe_vma *vma,
						struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_range *r;

	r = drm_gpusvm_range_get_or_insert(&vm->svm.gpusvm, addr, xe_vma_start(vma),
					   xe_vma_end(vma), ctx);

	return IS_ERR(r) ? ERR_CAST(r) : to_xe_range(r);
}

/**
 * xe_svm_range_find_or_insert() - The range of an address
 * @vm: The VM; its lock is held for writing
 * @addr: The address; if it is below @vma, the start of @vma is taken
 * @vma: The mirror that the range has to fit in
 * @ctx: How the range is going to be used
 *
 * To a prefetch, which is one without &drm_gpusvm_ctx.partial, memory that the CPU may
 * not read is like none: it goes on behind it, as xe_svm_find_vma_start() says.
 *
 * Return: the range, or an error pointer as drm_gpusvm_range_find_or_insert()
 * returns it.
 */
struct xe_svm_range *xe_svm_range_find_or_insert(struct xe_vm *vm, u64 addr,
						 struct xe_vma *vma,
						 struct drm_gpusvm_ctx *ctx)
{
	u64 start = xe_vma_start(vma);
	struct drm_gpusvm_range *r;

	addr = max(addr, start);
	r = drm_gpusvm_range_find_or_insert(&vm->svm.gpusvm, addr, start,
					    xe_vma_end(vma), ctx);
	if (r == ERR_PTR(-EPERM) && !ctx->partial && addr_is_unreadable(vm, addr))
		return ERR_PTR(-ENOENT);

	return IS_ERR(r) ? ERR_CAST(r) : to_xe_range(r);
}

/* ------------------------------------------------------------------------
 * What is mapped
 */

/**
 * xe_svm_can_map_mixed() - Whether a range may be partly in VRAM and partly in RAM
 * @xe: The device
 *
 * Return: false if VRAM has to be mapped in pages of 64K.
 */
bool xe_svm_can_map_mixed(struct xe_device *xe)
{
	return !(xe->info.vram_flags & XE_VRAM_FLAGS_NEED64K);
}

bool xe_svm_range_maps_locked(struct xe_svm_range *range, unsigned long addr,
			      unsigned long *start, unsigned long *end)
{
	return drm_gpusvm_pages_mapped_around(range->base.gpusvm, &range->pages,
					      xe_svm_range_start(range), addr, start, end);
}

/* Whether a page is mapped for reading only; from where to where its like are. */
bool xe_svm_range_is_read_only_locked(struct xe_svm_range *range, unsigned long addr,
				      unsigned long *start, unsigned long *end)
{
	return drm_gpusvm_pages_read_only_around(range->base.gpusvm, &range->pages,
						 xe_svm_range_start(range), addr,
						 start, end);
}

/* Whether a page is mapped as an access needs it. */
bool xe_svm_range_has_page_locked(struct xe_svm_range *range, unsigned long addr, bool write)
{
	unsigned long start, end;

	return xe_svm_range_maps_locked(range, addr, &start, &end) &&
	       !(write && xe_svm_range_is_read_only_locked(range, addr, &start, &end));
}

/**
 * xe_svm_range_serves() - Whether a tile can access a page
 * @range: The range
 * @tile_id: The tile
 * @addr: The address of the page
 * @write: It is going to write, too
 *
 * Return: true if it could when the function looked.
 */
bool xe_svm_range_serves(struct xe_svm_range *range, u8 tile_id, u64 addr, bool write)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_bound_tiles(range) & BIT(tile_id) &&
	      xe_svm_range_has_page_locked(range, addr, write);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/* The page is bound. How far the same can be said around it? */
static void range_note_served_locked(struct xe_svm_range *range, u8 tile_id, u64 addr,
				     struct xe_pagefault_served *served)
{
	unsigned long start, end, unused;

	if (!xe_svm_range_maps_locked(range, addr, &start, &end))
		return;

	if (xe_svm_range_is_read_only_locked(range, addr, &unused, &unused)) {
		served->access = XE_PAGEFAULT_ACCESS_TYPE_READ;
	} else if (!xe_svm_range_writable(range)) {
		start = max(start, ALIGN_DOWN((unsigned long)addr, PAGE_SIZE));
		end = min(end, start + PAGE_SIZE);
	}

	/* What was bound last is there, if not everything is. */
	if (!(range_bound_tiles(range) & BIT(tile_id))) {
		start = max(start, range->window.start);
		end = min(end, range->window.end);
	}
	served->start = start;
	served->end = end;
}

/**
 * xe_svm_range_get_served() - What a tile can access after a fault of it was served
 * @range: The range, which the caller has in hand
 * @tile_id: The tile
 * @addr: The fault address
 * @served: Set to an interval around @addr, and to reading or writing; to an empty
 *	    interval if an invalidation was faster
 */
void xe_svm_range_get_served(struct xe_svm_range *range, u8 tile_id, u64 addr,
			     struct xe_pagefault_served *served)
{
	struct xe_vm *vm = range_to_vm(range);

	lockdep_assert(xe_svm_range_is_in_hand(vm, range));

	*served = (struct xe_pagefault_served) { .access = XE_PAGEFAULT_ACCESS_TYPE_WRITE };

	xe_svm_notifier_lock(vm);
	if (range_live_tiles(range) & BIT(tile_id))
		range_note_served_locked(range, tile_id, addr, served);
	xe_svm_notifier_unlock(vm);
}

/**
 * xe_svm_range_is_unbound() - Whether all of a range is there, and no GPU has any of it
 * @range: The range
 *
 * Return: true if it was so when the function looked.
 */
bool xe_svm_range_is_unbound(struct xe_svm_range *range)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = xe_svm_range_pages_valid(range) && !range_live_tiles(range);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/* ------------------------------------------------------------------------
 * Where that is
 */

/* Whether a segment is memory of the pagemap; the pages have no other one. */
static bool addr_is_devmem(const struct drm_pagemap_addr *addr)
{
	return addr_is_mapped(addr) && addr->proto != DRM_INTERCONNECT_SYSTEM;
}

static bool range_all_in_pagemap_locked(struct xe_svm_range *range,
					const struct drm_pagemap *dpagemap)
{
	unsigned int i;

	if (!xe_svm_range_pages_valid(range) || range->pages.dpagemap != dpagemap)
		return false;

	for (i = 0; i < range->pages.nr_addrs; i++)
		if (!addr_is_devmem(&range->pages.dma_addr[i]))
			return false;

	return true;
}

static bool range_addr_in_pagemap_locked(struct xe_svm_range *range, u64 addr,
					 const struct drm_pagemap *dpagemap)
{
	u64 end = xe_svm_range_start(range);
	unsigned int i;

	if (!drm_gpusvm_pages_mapped(&range->pages) || range->pages.dpagemap != dpagemap)
		return false;

	for (i = 0; i < range->pages.nr_addrs; i++) {
		end += PAGE_SIZE << range->pages.dma_addr[i].order;
		if (addr < end)
			return addr_is_devmem(&range->pages.dma_addr[i]);
	}

	return false;
}

/**
 * xe_svm_range_addr_in_pagemap() - Whether an address is mapped to certain memory
 * @range: The range
 * @addr: An address in it
 * @dpagemap: The memory
 *
 * Return: true if it was when the function looked.
 */
bool xe_svm_range_addr_in_pagemap(struct xe_svm_range *range, u64 addr,
				  const struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = range_addr_in_pagemap_locked(range, addr, dpagemap);
	xe_svm_notifier_unlock(vm);

	return ret;
}

static bool range_vma_is_read_only(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct xe_vma *vma = xe_vm_find_vma_by_addr(vm, xe_svm_range_start(range));

	return vma && xe_vma_read_only(vma);
}

/**
 * xe_svm_range_validate() - Whether a range is bound and where it should be
 * @vm: The VM; its lock is held for writing
 * @range: The range
 * @tile_mask: Tiles that it has to be bound on
 * @dpagemap: Where it should be; NULL for RAM
 *
 * A part in the right device memory does not do: what could not be migrated before may
 * have become free. To be bound for reading does only if nobody may write.
 *
 * Return: true if it is.
 */
bool xe_svm_range_validate(struct xe_vm *vm, struct xe_svm_range *range,
			   u8 tile_mask, const struct drm_pagemap *dpagemap)
{
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = !(tile_mask & ~range_bound_tiles(range)) &&
	      xe_svm_range_pages_valid(range) &&
	      (dpagemap ? range_all_in_pagemap_locked(range, dpagemap) :
			  !range->pages.dpagemap) &&
	      (xe_svm_range_writable(range) || range_vma_is_read_only(vm, range));
	xe_svm_notifier_unlock(vm);

	return ret;
}

/**
 * xe_svm_range_needs_migrate_to_vram() - Whether to try and migrate a range
 * @range: The range
 * @vma: Its VMA
 * @dpagemap: Where the range should be; NULL for RAM
 *
 * Return: true if it could be there and isn't.
 */
bool xe_svm_range_needs_migrate_to_vram(struct xe_svm_range *range, struct xe_vma *vma,
					const struct drm_pagemap *dpagemap)
{
	struct xe_vm *vm = range_to_vm(range);
	bool there;

	if (!dpagemap || !drm_gpusvm_range_read_flags(&range->base).migrate_devmem)
		return false;

	xe_assert(vm->xe, IS_DGFX(vm->xe));

	if (xe_svm_range_size(range) < SZ_64K && !xe_svm_can_map_mixed(vm->xe)) {
		drm_dbg(&vm->xe->drm, "Too small for a page of VRAM\n");
		return false;
	}

	xe_svm_notifier_lock(vm);
	there = range_all_in_pagemap_locked(range, dpagemap);
	xe_svm_notifier_unlock(vm);
	if (there)
		drm_dbg(&vm->xe->drm, "Range is in VRAM already\n");

	return !there;
}

/**
 * xe_svm_range_migrate_to_smem() - Move what a range has in VRAM to RAM
 * @vm: The VM
 * @range: The range
 */
void xe_svm_range_migrate_to_smem(struct xe_vm *vm, struct xe_svm_range *range)
{
	if (range_in_vram(range))
		drm_gpusvm_range_evict(&vm->svm.gpusvm, &range->base);
}
