// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_file.h>

#include "vsvm_device.h"
#include "vsvm_migrate.h"
#include "vsvm_pagemap.h"
#include "vsvm_vm.h"

/* How much is looked at in one go. */
#define CHUNK_SIZE	SZ_2M
#define CHUNK_PAGES	(CHUNK_SIZE / PAGE_SIZE)

/* How often a page is asked for that doesn't come back. */
#define RECALL_TRIES	4

/**
 * struct vsvm_look - A look at the page tables of a process
 *
 * HMM tells apart only device memory of one owner. Others look as if nothing
 * were there, so there is a walk for each owner.
 *
 * @vm: The address space
 * @notifier: Tells that the page tables have changed, where the look is at; others may
 *	      change theirs all the time
 * @lock: Keeps the pages that were found from going
 * @pfns: What HMM finds
 * @pages: The same as in &drm_vsvm_placement.pages
 */
struct vsvm_look {
	struct vsvm_vm *vm;
	struct mmu_interval_notifier notifier;
	spinlock_t lock;
	unsigned long pfns[CHUNK_PAGES];
	u8 pages[CHUNK_PAGES];
};

static bool look_invalidate(struct mmu_interval_notifier *notifier,
			    const struct mmu_notifier_range *range,
			    unsigned long seq)
{
	struct vsvm_look *look = container_of(notifier, struct vsvm_look,
					      notifier);

	guard(spinlock)(&look->lock);
	mmu_interval_set_seq(notifier, seq);
	return true;
}

static const struct mmu_interval_notifier_ops look_ops = {
	.invalidate = look_invalidate,
};

static struct vsvm_look *look_create(struct vsvm_vm *vm)
{
	struct vsvm_look *look = kvzalloc_obj(*look);

	if (!look)
		return NULL;

	look->vm = vm;
	spin_lock_init(&look->lock);
	return look;
}

/* Turn to up to CHUNK_SIZE. Needs an mmget() reference, until look_end(). */
static int look_begin(struct vsvm_look *look, unsigned long start,
		      unsigned long end)
{
	return mmu_interval_notifier_insert(&look->notifier, look->vm->svm.mm,
					    start, end - start, &look_ops);
}

static void look_end(struct vsvm_look *look)
{
	mmu_interval_notifier_remove(&look->notifier);
}

static u8 device_location(const struct vsvm_vm *vm, struct page *page)
{
	struct vsvm_device *vdev = vsvm_pagemap_device_of(page);

	for (int i = 0; i < vm->num_devices; i++)
		if (vm->devices[i].vdev == vdev)
			return DRM_VSVM_LOCATION_DEVICE(i);

	return DRM_VSVM_LOCATION_NONE;
}

static u8 pfn_location(const struct vsvm_vm *vm, unsigned long pfn)
{
	struct page *page = hmm_pfn_to_page(pfn);
	u8 location = DRM_VSVM_LOCATION_SYSTEM;

	if (!(pfn & HMM_PFN_VALID))
		return DRM_VSVM_LOCATION_NONE;

	if (is_device_private_page(page))
		location = device_location(vm, page);
	if (location && hmm_pfn_to_map_order(pfn))
		location |= DRM_VSVM_PLACEMENT_HUGE;

	return location;
}

/* Note what HMM has found, if it is still so. */
static int look_note(struct vsvm_look *look, const struct hmm_range *hmm)
{
	unsigned long npages = (hmm->end - hmm->start) / PAGE_SIZE;

	guard(spinlock)(&look->lock);

	if (mmu_interval_read_retry(&look->notifier, hmm->notifier_seq))
		return -EBUSY;

	for (unsigned long i = 0; i < npages; i++)
		look->pages[i] = look->pages[i] ?:
				 pfn_location(look->vm, look->pfns[i]);

	return 0;
}

/* Look at up to CHUNK_SIZE, as one owner sees it. */
static int look_as(struct vsvm_look *look, void *owner, unsigned long start,
		   unsigned long end)
{
	unsigned long timeout = jiffies + HZ;
	struct mm_struct *mm = look->vm->svm.mm;
	struct hmm_range hmm = {
		.notifier = &look->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = look->pfns,
		.dev_private_owner = owner,
	};
	int err;

	memset(look->pfns, 0, sizeof(look->pfns));
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		hmm.notifier_seq = mmu_interval_read_begin(&look->notifier);
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		err = hmm_range_fault(&hmm);
		mmap_read_unlock(mm);
		err = err ?: look_note(look, &hmm);
	} while (err == -EBUSY && time_before(jiffies, timeout));

	return err;
}

static bool owner_is_new(const struct vsvm_vm *vm, unsigned int index)
{
	for (unsigned int i = 0; i < index; i++)
		if (vm->devices[i].vdev->peer.owner ==
		    vm->devices[index].vdev->peer.owner)
			return false;

	return true;
}

/* Find out where the pages of up to CHUNK_SIZE are. */
static int look_chunk(struct vsvm_look *look, unsigned long start,
		      unsigned long end)
{
	struct vsvm_vm *vm = look->vm;
	int err = 0;

	memset(look->pages, DRM_VSVM_LOCATION_NONE, sizeof(look->pages));
	for (unsigned int i = 0; !err && i < vm->num_devices; i++)
		if (owner_is_new(vm, i))
			err = look_as(look, vm->devices[i].vdev->peer.owner,
				      start, end);

	return err;
}

/* Whether a page is to come back: it is with a device of another owner. */
static bool is_recalled(const struct vsvm_vm *vm, u8 page, const void *keep)
{
	u8 location = page & DRM_VSVM_PLACEMENT_LOCATION;

	if (location < DRM_VSVM_LOCATION_DEVICE(0))
		return false;

	return vm->devices[location - DRM_VSVM_LOCATION_DEVICE(0)].vdev
		       ->peer.owner != keep;
}

static void count_recalled(const struct vsvm_look *look, unsigned long npages,
			   const void *keep, unsigned long *devmem,
			   unsigned long *system)
{
	*devmem = 0;
	*system = 0;
	for (unsigned long i = 0; i < npages; i++) {
		u8 location = look->pages[i] & DRM_VSVM_PLACEMENT_LOCATION;

		if (is_recalled(look->vm, look->pages[i], keep))
			(*devmem)++;
		else if (location == DRM_VSVM_LOCATION_SYSTEM)
			(*system)++;
	}
}

/*
 * A CPU touches the page, in effect: any, whatever protection keys the caller has. A fault
 * brings back its neighbours, too.
 */
static int recall_page(struct mm_struct *mm, unsigned long addr)
{
	bool unlocked = false;
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = fixup_user_fault(mm, addr, FAULT_FLAG_REMOTE, &unlocked);
	mmap_read_unlock(mm);

	return err;
}

/*
 * That an address is bad says that the page couldn't be copied, or that it was
 * unmapped meanwhile, or its protection changed: *@refused tells, and another look. Each
 * refusal has cost an attempt to move the whole chunk. If the last round brought nothing
 * back (@stuck), one tells enough.
 */
static int recall_pages(struct vsvm_look *look, unsigned long start,
			unsigned long npages, const void *keep, bool stuck,
			bool *refused)
{
	int err = 0;

	*refused = false;
	for (unsigned long i = 0; !err && i < npages; i++) {
		if (!is_recalled(look->vm, look->pages[i], keep))
			continue;
		if (stuck && *refused)
			break;
		err = recall_page(look->vm->svm.mm, start + i * PAGE_SIZE);
		if (err == -EFAULT) {
			*refused = true;
			err = 0;
		}
	}

	return err;
}

/*
 * A fault that has lost a race brings nothing back, so look whether it did. Where there
 * is too much going on to look, all is left that isn't known to have come.
 */
static int recall_seen(struct vsvm_look *look, unsigned long start,
		       unsigned long end, const void *keep,
		       struct drm_pagemap_migrate_stats *stats)
{
	unsigned long npages = (end - start) / PAGE_SIZE;
	unsigned long devmem, left, system;
	bool refused = false, stuck = false;
	int err;

	err = look_chunk(look, start, end);
	if (err) {
		stats->left += npages;
		return err;
	}

	count_recalled(look, npages, keep, &devmem, &system);
	stats->resident += system;

	left = devmem;
	for (int i = 0; !err && left && i < RECALL_TRIES; i++) {
		unsigned long before = left;

		err = recall_pages(look, start, npages, keep, stuck, &refused);
		err = err ?: look_chunk(look, start, end);
		if (!err)
			count_recalled(look, npages, keep, &left, &system);
		stuck = refused && left == before;
	}

	stats->moved += devmem - min(left, devmem);
	stats->left += left;
	return err ?: left && refused ? -EIO : 0;
}

/* That others don't let it be is no reason not to go on with the next one. */
static int recall_chunk(struct vsvm_look *look, unsigned long start,
			unsigned long end, const void *keep,
			struct drm_pagemap_migrate_stats *stats)
{
	int err;

	err = look_begin(look, start, end);
	if (err)
		return err;

	err = recall_seen(look, start, end, keep, stats);
	look_end(look);
	return err == -EBUSY ? 0 : err;
}

/**
 * vsvm_recall() - Bring back to system memory what is with devices
 * @vm: The address space
 * @start: First address
 * @end: Address behind the last
 * @keep: The owner of device memory that may stay where it is, or NULL
 * @stats: What is added to: pages that came back, pages that were there
 *	   already, pages that did not come or that would not come to rest
 *
 * Return: 0; -EIO if a device can't give back what it has; or a negative error code.
 */
int vsvm_recall(struct vsvm_vm *vm, unsigned long start, unsigned long end,
		const void *keep, struct drm_pagemap_migrate_stats *stats)
{
	struct vsvm_look *look;
	unsigned long next;
	int err = 0;

	if (!mmget_not_zero(vm->svm.mm))
		return -EFAULT;

	look = look_create(vm);
	if (!look) {
		mmput(vm->svm.mm);
		return -ENOMEM;
	}

	for (; (!err || err == -EIO) && start < end; start = next) {
		int chunk_err;

		/* Nothing is with a device where there is no memory. */
		start = max(start, drm_gpusvm_find_vma_start(&vm->svm, start, end));
		if (start >= end)
			break;

		next = min(end, ALIGN(start + 1, CHUNK_SIZE));
		chunk_err = recall_chunk(look, start, next, keep, stats);
		err = chunk_err ?: err;
		cond_resched();
	}

	kvfree(look);
	mmput(vm->svm.mm);
	return err;
}

static int placement(struct vsvm_vm *vm, const struct drm_vsvm_placement *args)
{
	u8 __user *out = u64_to_user_ptr(args->pages);
	unsigned long start = args->start;
	unsigned long end = start + args->size;
	struct vsvm_look *look;
	unsigned long next;
	int err = 0;

	look = look_create(vm);
	if (!look)
		return -ENOMEM;

	for (; !err && start < end; start = next) {
		unsigned long npages;

		next = min(end, ALIGN(start + 1, CHUNK_SIZE));
		npages = (next - start) / PAGE_SIZE;
		err = look_begin(look, start, next);
		if (err)
			break;
		err = look_chunk(look, start, next);
		look_end(look);
		if (!err && copy_to_user(out, look->pages, npages))
			err = -EFAULT;
		out += npages;
		cond_resched();
	}

	kvfree(look);
	return err;
}

/**
 * vsvm_placement_ioctl() - DRM_IOCTL_VSVM_PLACEMENT
 * @drm: The device
 * @data: A &struct drm_vsvm_placement
 * @file: The file that the address space belongs to
 *
 * Return: 0 or a negative error code.
 */
int vsvm_placement_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct drm_vsvm_placement *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->flags || args->size > DRM_VSVM_MAX_PLACEMENT)
		return -EINVAL;

	vm = vsvm_vm_lookup_interval(file, args->vm_id, args->start, args->size);
	if (IS_ERR(vm))
		return PTR_ERR(vm);

	err = placement(vm, args);
	vsvm_vm_put(vm);
	return err;
}
