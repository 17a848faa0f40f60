// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/slab.h>

#include "vsvm_device.h"
#include "vsvm_range.h"
#include "vsvm_vm.h"

static struct drm_gpusvm_notifier *notifier_alloc(void)
{
	struct vsvm_notifier *notifier = kzalloc_obj(*notifier);

	return notifier ? &notifier->base : NULL;
}

static void notifier_free(struct drm_gpusvm_notifier *notifier)
{
	kfree(to_vsvm_notifier(notifier));
}

static struct drm_gpusvm_range *range_alloc(struct drm_gpusvm *svm)
{
	struct vsvm_vm *vm = to_vsvm_vm(svm);
	struct vsvm_range *range;

	range = kzalloc_flex(*range, pages, vm->num_devices);
	if (!range)
		return NULL;

	mutex_init(&range->lock);
	INIT_LIST_HEAD(&range->gc_link);
	for (int i = 0; i < vm->num_devices; i++)
		drm_gpusvm_init_pages(&range->pages[i],
				      &vm->devices[i].vdev->drm);

	return &range->base;
}

static void range_free(struct drm_gpusvm_range *base)
{
	struct vsvm_range *range = to_vsvm_range(base);
	struct vsvm_vm *vm = to_vsvm_vm(base->gpusvm);

	for (int i = 0; i < vm->num_devices; i++)
		drm_gpusvm_free_pages(&vm->svm, &range->pages[i],
				      drm_gpusvm_range_size(base) >> PAGE_SHIFT);

	mutex_destroy(&range->lock);
	kfree(range);
}

const struct drm_gpusvm_ops vsvm_gpusvm_ops = {
	.notifier_alloc = notifier_alloc,
	.notifier_free = notifier_free,
	.range_alloc = range_alloc,
	.range_free = range_free,
	.invalidate_start = vsvm_invalidate_start,
	.invalidate_finish = vsvm_invalidate_finish,
};

/**
 * struct vsvm_bind - Memory to bind a range for one device with
 * @pt: Nodes for the page table
 * @grants: Nodes for the checker
 */
struct vsvm_bind {
	struct vsvm_radix_batch pt;
	struct vsvm_radix_batch grants;
};

/* Allocate, while it is allowed to. */
static int bind_prepare(struct vsvm_range *range, struct vsvm_vm *vm,
			struct vsvm_bind *binds)
{
	unsigned long start = drm_gpusvm_range_start(&range->base);
	unsigned long end = drm_gpusvm_range_end(&range->base);

	for (int i = 0; i < vm->num_devices; i++) {
		struct vsvm_vm_device *vmdev = &vm->devices[i];

		if (vsvm_radix_prepare(&vmdev->pt.radix, start, end,
				       &binds[i].pt) ||
		    vsvm_radix_prepare(&vmdev->checker.grants, start, end,
				       &binds[i].grants))
			return -ENOMEM;
	}

	return 0;
}

static int bind_device(struct vsvm_range *range, struct vsvm_vm *vm,
		       unsigned int index, struct vsvm_bind *bind)
{
	struct vsvm_vm_device *vmdev = &vm->devices[index];
	struct drm_gpusvm_pages *pages = &range->pages[index];
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	bool writable = drm_gpusvm_pages_writable(pages);
	int err = 0;

	for (int i = 0; !err && i < pages->nr_addrs; i++) {
		struct drm_pagemap_addr *seg = &pages->dma_addr[i];

		err = vsvm_checker_grant(&vmdev->checker, &bind->grants, addr,
					 seg->order, seg->addr, writable);
		if (!err)
			err = vsvm_pt_map(&vmdev->pt, &bind->pt, addr,
					  seg->order, seg->addr, writable);
		addr += PAGE_SIZE << seg->order;
	}

	vsvm_stats_add(vmdev, VSVM_STAT_SEGMENTS, pages->nr_addrs);
	vsvm_stats_add(vmdev, VSVM_STAT_PAGES,
		       (addr - drm_gpusvm_range_start(&range->base)) >>
		       PAGE_SHIFT);
	return err;
}

static bool all_pages_valid(struct vsvm_range *range, struct vsvm_vm *vm)
{
	for (int i = 0; i < vm->num_devices; i++)
		if (!drm_gpusvm_pages_valid(&vm->svm, &range->pages[i]))
			return false;

	return !range->base.flags.removed;
}

/* Enter what was got into all page tables, unless it was taken away again. */
static int range_bind(struct vsvm_range *range, struct vsvm_vm *vm)
{
	struct vsvm_bind binds[DRM_VSVM_MAX_DEVICES] = {};
	int err;

	err = bind_prepare(range, vm, binds);
	if (!err) {
		drm_gpusvm_notifier_lock(&vm->svm);
		if (!all_pages_valid(range, vm))
			err = -EAGAIN;
		for (int i = 0; !err && i < vm->num_devices; i++)
			err = bind_device(range, vm, i, &binds[i]);
		drm_gpusvm_notifier_unlock(&vm->svm);
	}

	for (int i = 0; i < vm->num_devices; i++) {
		vsvm_radix_finish(&binds[i].pt);
		vsvm_radix_finish(&binds[i].grants);
	}

	return err;
}

/*
 * Take the range from all devices: zap, wait for the TLBs of all of them, then
 * unmap. An invalidation can do the same meanwhile; nothing here minds.
 */
static void range_unmap(struct vsvm_range *range, struct vsvm_vm *vm)
{
	struct drm_gpusvm_range *base = &range->base;
	const struct drm_gpusvm_ctx ctx = {};
	u64 seqno[DRM_VSVM_MAX_DEVICES];

	lockdep_assert_held(&range->lock);

	for (int i = 0; i < vm->num_devices; i++)
		seqno[i] = vsvm_zap_start(&vm->devices[i],
					  drm_gpusvm_range_start(base),
					  drm_gpusvm_range_end(base));

	for (int i = 0; i < vm->num_devices; i++)
		vsvm_zap_finish(&vm->devices[i], seqno[i]);

	for (int i = 0; i < vm->num_devices; i++)
		drm_gpusvm_unmap_pages(&vm->svm, &range->pages[i],
				       drm_gpusvm_range_size(base) >> PAGE_SHIFT,
				       &ctx);
}

/* What an earlier fault has made of the range. All devices are alike. */
static bool is_mapped(struct vsvm_range *range, struct vsvm_vm *vm)
{
	bool mapped;

	drm_gpusvm_notifier_lock(&vm->svm);
	mapped = all_pages_valid(range, vm);
	drm_gpusvm_notifier_unlock(&vm->svm);

	return mapped;
}

/**
 * vsvm_range_map() - Map a range on all devices of its address space
 * @range: The range, with a reference
 * @vmdev: The device that faulted
 * @ctx: How to map
 *
 * Return: 0; -EAGAIN if it was taken away again meanwhile; or an error as
 * drm_gpusvm_range_get_pages() returns it.
 */
int vsvm_range_map(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		   const struct drm_gpusvm_ctx *ctx)
{
	struct vsvm_vm *vm = vmdev->vm;
	int err;

	guard(mutex)(&range->lock);

	if (is_mapped(range, vm)) {
		if (ctx->read_only ||
		    drm_gpusvm_pages_writable(&range->pages[0])) {
			vsvm_stats_inc(vmdev, VSVM_STAT_SPURIOUS_FAULTS);
		} else {
			vsvm_stats_inc(vmdev, VSVM_STAT_UPGRADES);
			range_unmap(range, vm);
		}
	}

	err = drm_gpusvm_range_get_pages(&range->base, range->pages,
					 vm->num_devices, ctx);
	return err ?: range_bind(range, vm);
}

/**
 * vsvm_range_remove() - Take a range out of its address space
 * @range: The range, with a reference; may have been removed before
 */
void vsvm_range_remove(struct vsvm_range *range)
{
	struct vsvm_vm *vm = to_vsvm_vm(range->base.gpusvm);

	guard(mutex)(&range->lock);

	/* Its addresses may belong to another range by now. */
	if (range->base.flags.removed)
		return;

	/* Before the removal: an invalidation doesn't find it afterwards. */
	range_unmap(range, vm);
	drm_gpusvm_range_remove(&vm->svm, &range->base);
}

/* Any range of the address space, with a reference; or NULL. */
static struct drm_gpusvm_range *first_range(struct vsvm_vm *vm)
{
	struct drm_gpusvm_range *range = NULL;
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_notifier_lock(&vm->svm);
	drm_gpusvm_for_each_notifier(notifier, &vm->svm, vm->va_start,
				     vm->va_end) {
		range = list_first_entry_or_null(&notifier->range_list,
						 struct drm_gpusvm_range, entry);
		if (range) {
			drm_gpusvm_range_get(range);
			break;
		}
	}
	drm_gpusvm_notifier_unlock(&vm->svm);

	return range;
}

/**
 * vsvm_range_remove_all() - Empty an address space
 * @vm: The address space; none of its queues raises page faults any more
 */
void vsvm_range_remove_all(struct vsvm_vm *vm)
{
	struct drm_gpusvm_range *range;

	while ((range = first_range(vm))) {
		vsvm_range_remove(to_vsvm_range(range));
		drm_gpusvm_range_put(range);
	}

	/* Nothing is left that an invalidation could hand to the collector. */
	flush_work(&vm->gc.work);
}
