// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: the VM's part.
 */

#include "xe_svm.h"

#include <linux/log2.h>
#include <linux/sched.h>

#include <drm/drm_pagemap_util.h>
#include <drm/drm_print.h>

#include "xe_assert.h"
#include "xe_defaults.h"
#include "xe_module.h"
#include "xe_svm_internal.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe SVM
 *
 * A VM in fault mode mirrors the address space of the process that made it. Each
 * &struct xe_svm_range is a range of drm_gpusvm together with its mapping for the
 * one device of the VM. The life of a range, and who does what:
 *
 * alloc
 *	A fault or a prefetch finds no range. The core allocates one with
 *	&drm_gpusvm_ops.range_alloc, where its pages learn which device they are
 *	for. The range holds a reference on the VM.
 * get
 *	xe_svm_range_get_pages() has the core look at the CPU's page tables and map
 *	what it finds.
 * bind
 *	xe_vm_range_rebind() writes the GPU's page tables, if the pages are still
 *	valid under the notifier lock. Entries allow writing if the pages do.
 * invalidate
 *	The CPU takes pages away. The GPU's entries are zapped, its TLBs flushed,
 *	and the pages unmapped. The range stays, for the next fault.
 * collect
 *	The CPU has unmapped the memory. What the invalidation can't do, since it
 *	may run in reclaim, is left to the garbage collector: it waits until the GPU
 *	has forgotten the range and its pages are unmapped, unbinds it, and removes
 *	it. In this order, because the page tables are freed with the unbinding, and
 *	because an invalidation does not find a range that was removed.
 * free
 *	With the last reference the range frees its pages and puts the VM.
 *
 * Locks, from the outermost to the innermost:
 *
 * &xe_vm.lock
 *	Faults hold it for reading, so that those of one VM are served in parallel. Who
 *	binds, prefetches, advises, collects garbage or closes the VM holds it for
 *	writing. A range is removed, and VMAs change, only then: a fault needs not look
 *	whether its range is still there.
 * &xe_svm_range.lock
 *	One fault at a time migrates, gets and binds a range, and waits until that is
 *	bound. Who holds the VM's lock for writing has all ranges in hand.
 * the mmap lock
 *	The core takes it.
 * the VM's reservation
 *	Page tables are put together and committed under it.
 * the notifier lock
 *	For reading to commit, and for what a range says of its entries; for writing in
 *	the first pass of an invalidation.
 *
 * A bind does not commit what is stale: under the notifier lock it looks whether an
 * invalidation has taken anything since the entries were put together, and no other
 * fault can have changed the range, for its lock is held. An invalidation waits for no
 * fault: it takes none of the outer locks, and nobody waits with the notifier lock held.
 * The removal of the device doesn't take the VM's lock: it closes the VM under the notifier
 * lock, which is what a commit looks at.
 */

static const struct drm_gpusvm_ops xe_gpusvm_ops = {
	.notifier_alloc = xe_svm_notifier_alloc,
	.notifier_free = xe_svm_notifier_free,
	.range_alloc = xe_svm_range_alloc,
	.range_free = xe_svm_range_free,
	.invalidate_start = xe_svm_invalidate_start,
	.invalidate_finish = xe_svm_invalidate_finish,
};

/* What a range can be large, so that it fits the GPU's page sizes. */
static const unsigned long xe_svm_chunk_sizes[] = { SZ_2M, SZ_64K, SZ_4K };

/* The user may have asked for one that can't be. */
static unsigned long notifier_size(struct xe_vm *vm)
{
	unsigned long size = READ_ONCE(xe_modparam.svm_notifier_size);

	if (is_power_of_2(size) && size <= ULONG_MAX / SZ_1M && size * SZ_1M >= SZ_2M)
		return size * SZ_1M;

	drm_warn_once(&vm->xe->drm, "svm_notifier_size=%lu is not a power of 2 from 2 on: taking %u\n",
		      size, XE_DEFAULT_SVM_NOTIFIER_SIZE);

	return (unsigned long)XE_DEFAULT_SVM_NOTIFIER_SIZE * SZ_1M;
}

static int mirror_init(struct xe_vm *vm)
{
	int err;

	spin_lock_init(&vm->svm.garbage_collector.lock);
	INIT_LIST_HEAD(&vm->svm.garbage_collector.range_list);
	INIT_WORK(&vm->svm.garbage_collector.work, xe_svm_garbage_collector_work);

	err = xe_svm_acquire_owner(&vm->svm.peer, true);
	if (err)
		return err;

	err = xe_svm_get_pagemaps(vm);
	if (err)
		goto err_owner;

	err = drm_gpusvm_init(&vm->svm.gpusvm, "Xe SVM", current->mm, 0, vm->size,
			      notifier_size(vm), &xe_gpusvm_ops,
			      xe_svm_chunk_sizes, ARRAY_SIZE(xe_svm_chunk_sizes));
	if (err)
		goto err_pagemaps;
	drm_gpusvm_driver_set_lock(&vm->svm.gpusvm, &vm->lock);
	drm_gpusvm_services_init(&vm->svm.services, current->mm);
	drm_gpusvm_services_init(&vm->svm.vma_services, NULL);
	drm_gpusvm_services_init(&vm->svm.lock_services, NULL);

	return 0;

err_pagemaps:
	xe_svm_put_pagemaps(vm);
err_owner:
	drm_pagemap_release_owner(&vm->svm.peer);
	return err;
}

/**
 * xe_svm_init() - Set up a VM for SVM
 * @vm: The VM
 *
 * A VM that is not in fault mode has no mirror. It needs the core for userptrs.
 *
 * Return: 0, or a negative error.
 */
int xe_svm_init(struct xe_vm *vm)
{
	if (vm->flags & XE_VM_FLAG_FAULT_MODE)
		return mirror_init(vm);

	drm_gpusvm_services_init(&vm->svm.services, NULL);
	drm_gpusvm_services_init(&vm->svm.vma_services, NULL);
	drm_gpusvm_services_init(&vm->svm.lock_services, NULL);

	return drm_gpusvm_init(&vm->svm.gpusvm, "Xe userptr", NULL, 0, 0, 0, NULL,
			       NULL, 0);
}

/**
 * xe_svm_close() - Stop what a VM does for SVM
 * @vm: The VM, in fault mode and closed
 *
 * Invalidations may still come, until xe_svm_fini().
 */
void xe_svm_close(struct xe_vm *vm)
{
	xe_assert(vm->xe, xe_vm_is_closed(vm));

	disable_work_sync(&vm->svm.garbage_collector.work);
	xe_svm_put_pagemaps(vm);
	drm_pagemap_release_owner(&vm->svm.peer);
}

/**
 * xe_svm_fini() - Undo xe_svm_init()
 * @vm: The VM, closed; its lock is held for writing if it ever had ranges
 */
void xe_svm_fini(struct xe_vm *vm)
{
	xe_assert(vm->xe, xe_vm_is_closed(vm));

	drm_gpusvm_services_fini(&vm->svm.lock_services);
	drm_gpusvm_services_fini(&vm->svm.vma_services);
	drm_gpusvm_services_fini(&vm->svm.services);
	xe_svm_unmap_all_ranges(vm, false);
	drm_gpusvm_fini(&vm->svm.gpusvm);
}

/**
 * xe_svm_can_mirror() - Whether a device can mirror the memory of processes
 * @xe: The device
 *
 * Return: true if its DMA is coherent and needs no bounce buffers.
 */
bool xe_svm_can_mirror(struct xe_device *xe)
{
	return !drm_gpusvm_check_device(&xe->drm);
}

/**
 * xe_svm_has_mapping() - Whether there are ranges in an interval
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 *
 * Return: true if there are.
 */
bool xe_svm_has_mapping(struct xe_vm *vm, u64 start, u64 end)
{
	return drm_gpusvm_has_mapping(&vm->svm.gpusvm, start, end);
}

/**
 * xe_svm_find_vma_start() - The first address in an interval that the CPU may read
 * @vm: The VM
 * @start: First address
 * @end: Address behind the last one
 * @vma: The GPU VMA that bounds the interval
 *
 * Return: the address, or ULONG_MAX if there is none.
 */
u64 xe_svm_find_vma_start(struct xe_vm *vm, u64 start, u64 end, struct xe_vma *vma)
{
	start = max(start, xe_vma_start(vma));
	end = min(end, xe_vma_end(vma));

	return drm_gpusvm_find_vma_start(&vm->svm.gpusvm, start, end);
}
