// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/dma-direct.h>
#include <linux/slab.h>

#include "vsvm_device.h"
#include "vsvm_migrate.h"
#include "vsvm_pagemap.h"
#include "vsvm_range.h"
#include "vsvm_vm.h"

static struct drm_gpusvm_notifier *notifier_alloc(void)
{
	struct vsvm_notifier *notifier = kzalloc_obj(*notifier, GFP_KERNEL_ACCOUNT);

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

	range = kzalloc_flex(*range, pages, vm->num_devices, GFP_KERNEL_ACCOUNT);
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
static int bind_prepare(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			struct vsvm_bind *bind)
{
	unsigned long start = drm_gpusvm_range_start(&range->base);
	unsigned long end = drm_gpusvm_range_end(&range->base);

	if (vsvm_radix_prepare(&vmdev->pt.radix, start, end, &bind->pt) ||
	    vsvm_radix_prepare(&vmdev->checker.grants, start, end,
			       &bind->grants))
		return -ENOMEM;

	return 0;
}

/* The page table entry of a segment's first page. */
static u64 segment_pte(const struct vsvm_range *range,
		       const struct vsvm_vm_device *vmdev,
		       const struct drm_pagemap_addr *seg)
{
	struct device *dev = vmdev->vdev->drm.dev;
	u64 addr = seg->addr;
	u64 pte;

	if (seg->proto == DRM_INTERCONNECT_SYSTEM)
		addr = dma_to_phys(dev, addr);

	pte = vsvm_pte_make(addr, drm_pagemap_addr_writable(seg));
	if (seg->proto == VSVM_PROTO_LOCAL || !range->atomic_local ||
	    !vsvm_advice_is_heeded(vmdev))
		pte |= VSVM_PTE_ATOMIC;

	return pte;
}

static void count_segment(struct vsvm_vm_device *vmdev,
			  const struct drm_pagemap_addr *seg)
{
	vsvm_stats_inc(vmdev, VSVM_STAT_SEGMENTS);
	vsvm_stats_add(vmdev, VSVM_STAT_PAGES, NR_PAGES(seg->order));
	if (seg->proto == VSVM_PROTO_LOCAL)
		vsvm_stats_add(vmdev, VSVM_STAT_LOCAL_PAGES,
			       NR_PAGES(seg->order));
	else if (seg->proto == VSVM_PROTO_PEER)
		vsvm_stats_add(vmdev, VSVM_STAT_PEER_PAGES,
			       NR_PAGES(seg->order));
}

/* What could not be had, or was taken again, is left out. */
static bool segment_is_mapped(const struct drm_pagemap_addr *seg)
{
	/* In the order of drm_gpusvm: what was taken becomes a hole. */
	return !seg->taken && !seg->hole;
}

static int bind_segment(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			struct vsvm_bind *bind, unsigned long addr,
			const struct drm_pagemap_addr *seg)
{
	u64 pte = segment_pte(range, vmdev, seg);
	int err;

	count_segment(vmdev, seg);
	err = vsvm_checker_grant(&vmdev->checker, &bind->grants, addr, seg->order, pte);

	return err ?: vsvm_pt_map(&vmdev->pt, &bind->pt, addr, seg->order, pte);
}

static int bind_device(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		       struct vsvm_bind *bind)
{
	struct drm_gpusvm_pages *pages = &range->pages[vmdev - vmdev->vm->devices];
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	int err = 0;

	for (int i = 0; !err && i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *seg = &pages->dma_addr[i];

		if (segment_is_mapped(seg))
			err = bind_segment(range, vmdev, bind, addr, seg);
		addr += PAGE_SIZE << seg->order;
	}

	return err;
}

/* The devices that a page fault of @vmdev is served for, the first of them. */
static struct vsvm_vm_device *group_of(struct vsvm_vm_device *vmdev)
{
	return &vmdev->vm->devices[vmdev->group];
}

static struct drm_gpusvm_pages *group_pages(struct vsvm_range *range,
					    struct vsvm_vm_device *vmdev)
{
	return &range->pages[vmdev->group];
}

/* Whether each device of the group has the page of the fault mapped. */
static bool group_is_valid(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			   const struct vsvm_request *request)
{
	unsigned long start, end;

	for (int i = 0; i < group_of(vmdev)->group_size; i++)
		if (!drm_gpusvm_pages_mapped_around(&vmdev->vm->svm,
						    &group_pages(range, vmdev)[i],
						    drm_gpusvm_range_start(&range->base),
						    request->ctx.fault_addr, &start, &end))
			return false;

	return !range->base.flags.removed;
}

/* Whether all of it is in the device's own memory. */
static bool is_local(struct vsvm_range *range, struct vsvm_vm_device *vmdev)
{
	struct drm_gpusvm_pages *pages = &range->pages[vmdev - vmdev->vm->devices];

	for (int i = 0; i < pages->nr_addrs; i++)
		if (segment_is_mapped(&pages->dma_addr[i]) &&
		    pages->dma_addr[i].proto != VSVM_PROTO_LOCAL)
			return false;

	return true;
}

/* Enter what was got into page tables, unless it was taken away again. */
static int range_bind(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		      const struct vsvm_request *request)
{
	struct vsvm_bind binds[DRM_VSVM_MAX_DEVICES] = {};
	struct vsvm_vm_device *first = group_of(vmdev);
	unsigned int num = first->group_size;
	struct vsvm_vm *vm = vmdev->vm;
	int err = 0;

	for (int i = 0; !err && i < num; i++)
		err = bind_prepare(range, &first[i], &binds[i]);

	if (!err) {
		drm_gpusvm_notifier_lock(&vm->svm);
		if (!group_is_valid(range, vmdev, request))
			err = -EAGAIN;
		else if (request->ctx.devmem_only && !is_local(range, vmdev))
			err = -EFAULT;
		for (int i = 0; !err && i < num; i++)
			err = bind_device(range, &first[i], &binds[i]);
		drm_gpusvm_notifier_unlock(&vm->svm);
	}

	for (int i = 0; i < num; i++) {
		vsvm_radix_finish(&binds[i].pt);
		vsvm_radix_finish(&binds[i].grants);
	}

	return err;
}

/**
 * struct vsvm_part - A part of a range
 * @start: First address
 * @end: Address behind the last; not above @start if there is none
 */
struct vsvm_part {
	unsigned long start;
	unsigned long end;
};

static bool part_is_empty(const struct vsvm_part *part)
{
	return part->start >= part->end;
}

/*
 * Take a part of the range from each of some devices: zap, wait for the TLBs of all of
 * them, then unmap. An invalidation can do the same meanwhile; nothing here minds.
 */
static void range_unmap_parts(struct vsvm_range *range, struct vsvm_vm *vm,
			      unsigned int first, unsigned int num,
			      const struct vsvm_part *parts)
{
	u64 seqno[DRM_VSVM_MAX_DEVICES];

	lockdep_assert_held(&range->lock);

	for (int i = 0; i < num; i++)
		if (!part_is_empty(&parts[i]))
			seqno[i] = vsvm_zap_start(&vm->devices[first + i],
						  parts[i].start, parts[i].end);

	for (int i = 0; i < num; i++)
		if (!part_is_empty(&parts[i]))
			vsvm_zap_finish(&vm->devices[first + i], seqno[i]);

	for (int i = 0; i < num; i++)
		if (!part_is_empty(&parts[i]))
			drm_gpusvm_unmap_part(&vm->svm, &range->pages[first + i],
					      drm_gpusvm_range_start(&range->base),
					      parts[i].start, parts[i].end);

	for (int i = 0; i < num; i++)
		if (!part_is_empty(&parts[i]))
			vsvm_checker_forget(&vm->devices[first + i].checker,
					    parts[i].start, parts[i].end);
}

/* Take all of the range from some devices. */
static void range_unmap(struct vsvm_range *range, struct vsvm_vm *vm,
			unsigned int first, unsigned int num)
{
	struct vsvm_part parts[DRM_VSVM_MAX_DEVICES];

	for (int i = 0; i < num; i++)
		parts[i] = (struct vsvm_part) {
			.start = drm_gpusvm_range_start(&range->base),
			.end = drm_gpusvm_range_end(&range->base),
		};
	range_unmap_parts(range, vm, first, num, parts);
}

/*
 * What an earlier fault has made of the range: whether it is mapped, and whether that is
 * all that is asked for.
 */
static bool is_mapped(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		      const struct vsvm_request *request, bool *suits)
{
	bool mapped;

	drm_gpusvm_notifier_lock(&vmdev->vm->svm);
	mapped = group_is_valid(range, vmdev, request);
	*suits = mapped && (!request->ctx.devmem_only || is_local(range, vmdev));
	drm_gpusvm_notifier_unlock(&vmdev->vm->svm);

	return mapped;
}

/*
 * What each device of the group has mapped for reading around the page of the fault.
 * Returns whether there is any.
 */
static bool find_read_only(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
			   const struct vsvm_request *request, struct vsvm_part *parts)
{
	struct drm_gpusvm *svm = &vmdev->vm->svm;
	bool found = false;

	drm_gpusvm_notifier_lock(svm);
	for (int i = 0; i < group_of(vmdev)->group_size; i++) {
		struct drm_gpusvm_pages *pages = &group_pages(range, vmdev)[i];

		parts[i] = (struct vsvm_part) {};
		found |= drm_gpusvm_pages_read_only_around(svm, pages,
							   drm_gpusvm_range_start(&range->base),
							   request->ctx.fault_addr,
							   &parts[i].start, &parts[i].end);
	}
	drm_gpusvm_notifier_unlock(svm);

	return found;
}

/* Whether there is nothing to do; else whatever does not serve goes. */
static bool serves(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		   const struct vsvm_request *request)
{
	struct vsvm_part parts[DRM_VSVM_MAX_DEVICES];
	unsigned int num = group_of(vmdev)->group_size;
	bool suits;

	if (!request->ctx.read_only && find_read_only(range, vmdev, request, parts)) {
		vsvm_stats_inc(vmdev, VSVM_STAT_UPGRADES);
		range_unmap_parts(range, vmdev->vm, vmdev->group, num, parts);
		return false;
	}

	if (!is_mapped(range, vmdev, request, &suits))
		return false;

	/* Of those that miss together, the first has moved it for all. */
	if (suits) {
		vsvm_stats_inc(vmdev, VSVM_STAT_SPURIOUS_FAULTS);
		return true;
	}

	vsvm_stats_inc(vmdev, VSVM_STAT_UPGRADES);
	range_unmap(range, vmdev->vm, vmdev->group, num);
	return false;
}

static int map_locked(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		      struct vsvm_request *request)
{
	int err;

	lockdep_assert_held(&range->lock);

	if (vsvm_advice_is_old(vmdev->vm, &request->advice))
		return -ESTALE;

	if (!serves(range, vmdev, request)) {
		range->atomic_local = request->advice.atomic_local;
		vsvm_migrate_range(range, vmdev, request);
	}

	err = drm_gpusvm_range_get_pages(&range->base, group_pages(range, vmdev),
					 group_of(vmdev)->group_size,
					 &request->ctx);
	return err ?: range_bind(range, vmdev, request);
}

/* Unlock after mapping. What the collector found locked meanwhile, it gets now. */
static void map_unlock(struct vsvm_range *range, struct vsvm_vm *vm)
{
	struct drm_gpusvm_range_flags flags;

	mutex_unlock(&range->lock);

	/* Either that is seen to be unlocked, or this to be unmapped. */
	smp_mb();
	flags = drm_gpusvm_range_read_flags(&range->base);
	if (flags.unmapped && !flags.removed)
		vsvm_gc_add(&vm->gc, range);
}

/**
 * vsvm_range_map() - Map a range on all devices that share memory
 * @range: The range, with a reference
 * @vmdev: The device that faulted
 * @request: What it asks for
 *
 * Return: 0; -EAGAIN if it was taken away again meanwhile; -ESTALE if it is to
 * be removed, since there is new advice; -EINTR if the service was cancelled; or an
 * error as drm_gpusvm_range_get_pages() returns it.
 */
int vsvm_range_map(struct vsvm_range *range, struct vsvm_vm_device *vmdev,
		   struct vsvm_request *request)
{
	int err;

	/* Whoever has the lock may be waiting for the same page. */
	err = mutex_lock_killable(&range->lock);
	if (err)
		return err;

	err = map_locked(range, vmdev, request);
	map_unlock(range, vmdev->vm);
	return err;
}

/* Return: whether it had not been removed before. */
static bool remove_locked(struct vsvm_range *range)
{
	struct vsvm_vm *vm = to_vsvm_vm(range->base.gpusvm);

	lockdep_assert_held(&range->lock);

	/* Its addresses may belong to another range by now. */
	if (range->base.flags.removed)
		return false;

	/* Before the removal: an invalidation doesn't find it afterwards. */
	range_unmap(range, vm, 0, vm->num_devices);
	drm_gpusvm_range_remove(&vm->svm, &range->base);
	return true;
}

/**
 * vsvm_range_try_remove() - Take a range out of its address space
 * @range: The range, with a reference; marked as unmapped, may have been removed before
 *
 * Return: whether it was taken out. If not, and nobody else did, a fault is mapping it:
 * then it is handed to the garbage collector once more afterwards.
 */
bool vsvm_range_try_remove(struct vsvm_range *range)
{
	bool removed;

	/* Pairs with the barrier in map_unlock(). */
	smp_mb();
	if (!mutex_trylock(&range->lock))
		return false;

	removed = remove_locked(range);
	mutex_unlock(&range->lock);
	return removed;
}

/**
 * vsvm_range_remove_killable() - Take a range out of its address space
 * @range: The range, with a reference; may have been removed before
 *
 * Return: 0, or -EINTR if the caller was killed, or its service was cancelled,
 * while a fault was mapping it.
 */
int vsvm_range_remove_killable(struct vsvm_range *range)
{
	int err = mutex_lock_killable(&range->lock);

	if (err)
		return err;

	remove_locked(range);
	mutex_unlock(&range->lock);
	return 0;
}

/* The first range in an interval, with a reference; or NULL. */
static struct drm_gpusvm_range *first_range(struct vsvm_vm *vm,
					    unsigned long start,
					    unsigned long end)
{
	struct drm_gpusvm_range *range = NULL;
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_notifier_lock(&vm->svm);
	drm_gpusvm_for_each_notifier(notifier, &vm->svm, start, end) {
		range = drm_gpusvm_range_find(notifier, start, end);
		if (range) {
			drm_gpusvm_range_get(range);
			break;
		}
	}
	drm_gpusvm_notifier_unlock(&vm->svm);

	return range;
}

/**
 * vsvm_range_remove_interval() - Take ranges out of an address space
 * @vm: The address space
 * @start: First address
 * @end: Address behind the last
 *
 * Those that reach into the interval at the time of the call; faults may make
 * new ones meanwhile.
 *
 * Return: 0, or -EINTR if the caller was killed before it was through.
 */
int vsvm_range_remove_interval(struct vsvm_vm *vm, unsigned long start,
			       unsigned long end)
{
	struct drm_gpusvm_range *range;
	int err = 0;

	while (!err && start < end && (range = first_range(vm, start, end))) {
		start = drm_gpusvm_range_end(range);
		err = vsvm_range_remove_killable(to_vsvm_range(range));
		drm_gpusvm_range_put(range);
	}

	return err;
}

/**
 * vsvm_range_remove_all() - Empty an address space
 * @vm: The address space; none of its queues raises page faults any more
 */
void vsvm_range_remove_all(struct vsvm_vm *vm)
{
	struct drm_gpusvm_range *range;

	while ((range = first_range(vm, vm->va_start, vm->va_end))) {
		scoped_guard(mutex, &to_vsvm_range(range)->lock)
			remove_locked(to_vsvm_range(range));
		drm_gpusvm_range_put(range);
	}

	/* Nothing is left that an invalidation could hand to the collector. */
	flush_work(&vm->gc.work);
}
