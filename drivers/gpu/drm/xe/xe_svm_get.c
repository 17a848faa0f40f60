// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: mapping the memory of a range for the device.
 */

#include <kunit/static_stub.h>

#include "xe_svm_internal.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe SVM memory that can't be migrated in part
 *
 * Migration is best effort, so a range can be partly in VRAM and partly in RAM,
 * and is mapped as it is. Devices that need VRAM to be mapped in pages of 64K are
 * the exception. For these a range has to be in one place, and what comes out
 * different is evicted.
 */

static bool addr_is_vram(const struct drm_pagemap_addr *addr)
{
	return addr_is_mapped(addr) && addr->proto == XE_INTERCONNECT_VRAM;
}

/* Whether a segment of VRAM goes on where the one before it ends, and as that does. */
static bool addr_continues(const struct drm_pagemap_addr *last,
			   const struct drm_pagemap_addr *addr)
{
	return last && addr_is_vram(last) && addr_is_vram(addr) && last->dir == addr->dir &&
	       last->addr + (PAGE_SIZE << last->order) == addr->addr;
}

/* Whether each 64K that have any VRAM are one piece of it. */
static bool range_maps_64k_locked(struct xe_svm_range *range)
{
	const struct drm_pagemap_addr *addr = range->pages.dma_addr, *last = NULL;
	unsigned long offset = xe_svm_range_start(range) & (SZ_64K - 1);
	unsigned int i;

	for (i = 0; i < range->pages.nr_addrs; i++, last = addr++) {
		bool vram = addr_is_vram(addr) || (last && addr_is_vram(last));

		if (addr_is_vram(addr) && (addr->addr & (SZ_64K - 1)) != offset)
			return false;
		if (offset && vram && !addr_continues(last, addr))
			return false;
		offset = (offset + (PAGE_SIZE << addr->order)) & (SZ_64K - 1);
	}

	return !offset || !last || !addr_is_vram(last);
}

/* Whether the device can map what was got for the range. */
static bool range_is_mappable(struct xe_vm *vm, struct xe_svm_range *range)
{
	bool ret;

	if (xe_svm_can_map_mixed(vm->xe) || !range_in_vram(range))
		return true;

	xe_svm_notifier_lock(vm);
	/* What is gone again is found out by the bind. */
	ret = !drm_gpusvm_pages_mapped(&range->pages) || range_maps_64k_locked(range);
	xe_svm_notifier_unlock(vm);

	return ret;
}

static bool range_has_page(struct xe_svm_range *range, unsigned long addr, bool write)
{
	struct xe_vm *vm = range_to_vm(range);
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = xe_svm_range_has_page_locked(range, addr, write);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/*
 * What is going to be got is not bound yet. If that was noted afterwards, an invalidation
 * in between would take the range for bound, with no hole but its own. If all of it is
 * there, nothing is going to be got.
 */
static void range_note_get(struct xe_vm *vm, struct xe_svm_range *range)
{
	u8 bound;

	xe_svm_notifier_lock(vm);
	bound = xe_svm_range_pages_valid(range) ? 0 : range_bound_tiles(range);
	WRITE_ONCE(range->tile_partial, range->tile_partial | bound);
	WRITE_ONCE(range->tile_invalidated, range->tile_invalidated | bound);
	xe_svm_notifier_unlock(vm);
}

/* Take pages away, outside of an invalidation. */
static void range_unmap_part(struct xe_vm *vm, struct xe_svm_range *range,
			     unsigned long start, unsigned long end)
{
	if (range_live_tiles(range))
		xe_svm_range_zap_and_flush(vm, range, start, end);
	drm_gpusvm_unmap_part(&vm->svm.gpusvm, &range->pages, xe_svm_range_start(range),
			      start, end);
}

/* Before pages are got for writing: give back those that were got for reading. */
static void range_drop_read_only(struct xe_vm *vm, struct xe_svm_range *range,
				 const struct drm_gpusvm_ctx *ctx)
{
	unsigned long start, end;
	bool read_only;

	xe_svm_notifier_lock(vm);
	read_only = xe_svm_range_is_read_only_locked(range, ctx->fault_addr, &start, &end);
	xe_svm_notifier_unlock(vm);

	if (read_only)
		range_unmap_part(vm, range, start, end);
}

static int range_get(struct xe_vm *vm, struct xe_svm_range *range,
		     const struct drm_gpusvm_ctx *ctx)
{
	unsigned long start = xe_svm_range_start(range), end = xe_svm_range_end(range);
	struct mmu_interval_notifier *mni = &range->base.notifier->notifier;
	struct drm_gpusvm *gpusvm = &vm->svm.gpusvm;

	range_note_get(vm, range);

	return drm_gpusvm_get_pages(gpusvm, &range->pages, gpusvm->mm, mni, start, end, ctx);
}

/* One page is what it is about, and the rest is welcome. */
static int range_get_page(struct xe_vm *vm, struct xe_svm_range *range,
			  const struct drm_gpusvm_ctx *ctx)
{
	/* Its entry is missing for the sake of a neighbour: nothing to be got. */
	if (range_has_page(range, ctx->fault_addr, !ctx->read_only))
		return 0;

	if (!ctx->read_only)
		range_drop_read_only(vm, range, ctx);

	return range_get(vm, range, ctx);
}

/* Whether all of the range is mapped, be it for a moment. */
static bool range_is_mapped(struct xe_svm_range *range)
{
	return drm_gpusvm_pages_read_flags(&range->pages).has_dma_mapping;
}

static bool range_find_mapped(struct xe_svm_range *range, unsigned long addr,
			      unsigned long *end)
{
	struct xe_vm *vm = range_to_vm(range);
	unsigned long start;
	bool ret;

	xe_svm_notifier_lock(vm);
	ret = xe_svm_range_maps_locked(range, addr, &start, end);
	xe_svm_notifier_unlock(vm);

	return ret;
}

/* Get all that is missing. One page that can't be had keeps no other one from it. */
static int range_fill(struct xe_vm *vm, struct xe_svm_range *range,
		      struct drm_gpusvm_ctx *get)
{
	unsigned long addr = xe_svm_range_start(range), mapped_end;
	int err, first_err = 0;

	get->alone = false;
	while (addr < xe_svm_range_end(range)) {
		if (range_find_mapped(range, addr, &mapped_end)) {
			addr = mapped_end;
			continue;
		}

		get->fault_addr = addr;
		err = range_get(vm, range, get);
		if (err && err != -EFAULT && err != -EPERM)
			return err;
		first_err = first_err ?: err;
		/* Where one can't be had the next one may well be the same. */
		get->alone = !!err;
		/* Whether it was got or not: it may be gone again. */
		addr += PAGE_SIZE;
	}

	return first_err;
}

/*
 * As much as can be had is to be there for any access: what may be written is got for
 * writing, and the rest for reading.
 */
static int range_get_all(struct xe_vm *vm, struct xe_svm_range *range,
			 const struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_ctx get = *ctx;
	int err;

	get.partial = true;
	get.may_write = !get.read_only;

	if (!get.read_only && drm_gpusvm_pages_mapped(&range->pages) &&
	    !xe_svm_range_writable(range))
		range_unmap_part(vm, range, xe_svm_range_start(range),
				 xe_svm_range_end(range));

	err = range_fill(vm, range, &get);
	if (!get.read_only && err != -EINTR && err != -ENODEV && !range_is_mapped(range)) {
		get.read_only = true;
		err = range_fill(vm, range, &get);
	}

	if (drm_gpusvm_pages_mapped(&range->pages))
		return 0;

	/* To a prefetch, memory that is gone, or not mapped, is memory that can't be had. */
	return err == -ESTALE || err == -ENOMEM ? -EFAULT : err;
}

/**
 * xe_svm_range_get_pages() - Map the memory of a range for the device
 * @vm: The VM
 * @range: The range, which the caller has in hand
 * @ctx: How it is going to be used
 *
 * With &drm_gpusvm_ctx.partial it is about one page; otherwise as much is mapped as
 * can be.
 *
 * Memory that can't be mapped as it is goes to RAM, so that the next attempt will
 * do better.
 *
 * Return: 0, -EOPNOTSUPP in that case, or another error as drm_gpusvm_get_pages()
 * returns it.
 */
int xe_svm_range_get_pages(struct xe_vm *vm, struct xe_svm_range *range,
			   struct drm_gpusvm_ctx *ctx)
{
	struct drm_gpusvm_ctx get = *ctx;
	int err;

	KUNIT_STATIC_STUB_REDIRECT(xe_svm_range_get_pages, vm, range, ctx);

	lockdep_assert(xe_svm_range_is_in_hand(vm, range));

	get.allow_mixed = xe_svm_can_map_mixed(vm->xe);
	err = get.partial ? range_get_page(vm, range, &get) :
			    range_get_all(vm, range, &get);
	if (!err && !range_is_mappable(vm, range))
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP) {
		xe_svm_range_debug(range, "EVICT PAGES");
		drm_gpusvm_range_evict(&vm->svm.gpusvm, &range->base);
	}
	xe_svm_range_begin_bind(range, xe_svm_range_start(range), xe_svm_range_end(range),
				XE_SVM_ANY_PAGE);

	return err;
}
