/* SPDX-License-Identifier: MIT */
/*
 * Page faults of the GPU: from a producer to its answer.
 */

#ifndef _XE_PAGEFAULT_H_
#define _XE_PAGEFAULT_H_

#include <linux/types.h>

struct drm_printer;
struct xe_device;
struct xe_gt;
struct xe_pagefault;
struct xe_pagefault_queue;
struct xe_pagefault_served;
struct xe_vm;

/* The queue: xe_pagefault.c */

#define xe_pagefault_queue_of(vm__)	(&(vm__)->xe->usm.pf_queue)

int xe_pagefault_init(struct xe_device *xe);
int xe_pagefault_vm_init(struct xe_vm *vm);
void xe_pagefault_vm_fini(struct xe_vm *vm);
int xe_pagefault_handler(struct xe_device *xe, struct xe_pagefault *pf);
void xe_pagefault_reset(struct xe_device *xe, struct xe_gt *gt);
void xe_pagefault_wake_vm(struct xe_vm *vm);
bool xe_pagefault_work_begin(struct xe_device *xe);
void xe_pagefault_work_end(struct xe_device *xe);

/* Suspend: xe_pagefault_suspend.c */

int xe_pagefault_suspend(struct xe_device *xe);
void xe_pagefault_resume(struct xe_device *xe);
bool xe_pagefault_is_suspended(struct xe_device *xe);
#if IS_ENABLED(CONFIG_KUNIT)
bool xe_pagefault_wait_for_works(struct xe_pagefault_queue *queue);
#endif

/* What there is: xe_pagefault_info.c */

void xe_pagefault_print_info(struct xe_device *xe, struct drm_printer *p);

/* One fault: xe_pagefault_service.c */

int xe_pagefault_service(struct xe_vm *vm, const struct xe_pagefault *pf,
			 struct xe_pagefault_served *served);
#if IS_ENABLED(CONFIG_KUNIT)
int xe_pagefault_service_locked(struct xe_vm *vm, const struct xe_pagefault *pf,
				bool exclusive, struct xe_pagefault_served *served);
#endif

#endif
