// SPDX-License-Identifier: MIT
/*
 * Page faults of the GPU: how many there are at the moment, and where.
 */

#include <linux/bitmap.h>

#include <drm/drm_print.h>

#include "xe_device.h"
#include "xe_pagefault.h"
#include "xe_pagefault_types.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

static void print_vm(struct xe_vm *vm, struct drm_printer *p)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);
	struct xe_pagefault_vm *pf_vm = &vm->usm.pf;
	size_t waiting, serving, chained = 0;
	struct xe_pagefault_entry *entry;
	unsigned int busy;

	scoped_guard(spinlock_irq, &queue->lock) {
		waiting = list_count_nodes(&pf_vm->waiting);
		serving = list_count_nodes(&pf_vm->serving);
		list_for_each_entry(entry, &pf_vm->serving, link)
			chained += list_count_nodes(&entry->chain);
		busy = hweight_long(pf_vm->busy);
	}

	drm_printf(p, "asid %u: waiting %zu, served %zu, chained %zu, workers %u of %u\n",
		   vm->usm.asid, waiting, serving, chained, busy, pf_vm->nr_workers);
}

static void print_queue(struct xe_pagefault_queue *queue, struct drm_printer *p)
{
	size_t nr_free, pending;
	unsigned int helpers;

	scoped_guard(spinlock_irq, &queue->lock) {
		nr_free = list_count_nodes(&queue->free);
		pending = list_count_nodes(&queue->pending);
		helpers = queue->helpers;
	}

	drm_printf(p, "entries: %u\nfree: %zu\npending: %zu\n", queue->size, nr_free, pending);
	drm_printf(p, "helpers: %u of %u\n", helpers, XE_PAGEFAULT_MAX_HELPERS);
}

/**
 * xe_pagefault_print_info() - Print how many page faults there are, and where
 * @xe: The device
 * @p: The printer
 */
void xe_pagefault_print_info(struct xe_device *xe, struct drm_printer *p)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	unsigned long asid;
	struct xe_vm *vm;

	if (!queue->entries)
		return;

	print_queue(queue, p);

	guard(rwsem_read)(&xe->usm.lock);

	xa_for_each(&xe->usm.asid_to_vm, asid, vm)
		if (xe_vm_in_fault_mode(vm))
			print_vm(vm, p);
}
