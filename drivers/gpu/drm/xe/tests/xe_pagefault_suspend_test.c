// SPDX-License-Identifier: MIT
/*
 * Tests of xe_pagefault_suspend.c: what is served, bound and zapped around the time that
 * the system sleeps.
 */

#include <linux/mm.h>
#include <linux/pm_runtime.h>
#include <linux/suspend.h>
#include <linux/uaccess.h>

#include <drm/drm_pagemap.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_svm_pagemap_fixture.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_pagefault.h"
#include "xe_pm.h"
#include "xe_svm.h"
#include "xe_vm.h"

/* Workers that are queued have no fault yet. */
static bool wait_for_nothing(struct xe_pagefault_queue *queue)
{
	return true;
}

/* As the driver does it before page tables are saved, and when its engines run again. */
static int suspend(struct kunit *test)
{
	kunit_activate_static_stub(test, xe_pagefault_wait_for_works, wait_for_nothing);

	return xe_pagefault_suspend(to_svm(test)->xe);
}

static void resume(struct kunit *test)
{
	xe_pagefault_resume(to_svm(test)->xe);
}

/* VRAM is saved before the system sleeps, and what comes there later would be lost. */
static void nothing_moves_to_vram_during_a_suspend(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = &svm->vm->svm.pagemaps[0]->dpagemap;

	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap->ops->devmem_alloc(dpagemap, current->mm, SZ_64K, true),
			    ERR_PTR(-EBUSY));
	resume(test);
}

/* A fault that comes while somebody waits is not served. */
static bool wait_in_vain(struct xe_pagefault_queue *queue)
{
	struct kunit *test = kunit_get_current_test();

	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_FALSE(test, xsvm_serve_once(test));

	return false;
}

static void fini_pm(void *arg)
{
	struct xe_device *xe = arg;

	xe_pm_fini(xe);
	pm_runtime_put_noidle(xe->drm.dev);
}

/* Have the driver listen to what the system is about to do. */
static void init_pm(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;

	/* That lets go of the device, which is to stay awake. */
	pm_runtime_get_noresume(xe->drm.dev);
	KUNIT_ASSERT_EQ(test, 0, xe_pm_init(xe));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fini_pm, xe));
}

static void announce(struct kunit *test, unsigned long action)
{
	struct notifier_block *nb = &to_svm(test)->xe->pm_notifier;

	KUNIT_EXPECT_EQ(test, nb->notifier_call(nb, action, NULL), NOTIFY_DONE);
}

/*
 * While processes may still run, engines do, and a job that waits for a fault would keep
 * others from them.
 */
static void faults_are_served_until_devices_sleep(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	init_pm(test);
	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	announce(test, PM_SUSPEND_PREPARE);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));

	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	xsvm_raise_fault(test, SVM_BASE + PAGE_SIZE, GPU_WRITE);
	KUNIT_EXPECT_FALSE(test, xsvm_serve_once(test));
	/* Where the device does not come back, that is the end of it. */
	announce(test, PM_POST_SUSPEND);
	KUNIT_EXPECT_TRUE(test, xsvm_serve_once(test));
}

/* What would be bound behind the copy of the page tables would be lost. */
static void faults_wait_for_the_resume(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	xsvm_raise_fault(test, SVM_BASE, GPU_READ);
	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	/* The worker had been woken already. */
	xsvm_serve_once(test);
	xsvm_raise_fault(test, SVM_BASE, GPU_ATOMIC);
	KUNIT_EXPECT_FALSE(test, xsvm_serve_once(test));
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 0);

	resume(test);
	while (xsvm_serve_once(test))
		;
	KUNIT_EXPECT_EQ(test, svm->acks, 2);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
}

/* Nobody would answer them when the VM is gone. */
static void closed_vm_waits_for_no_resume(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vm *vm = svm->vm;

	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	xsvm_raise_fault(test, SVM_BASE, GPU_READ);
	KUNIT_EXPECT_FALSE(test, xsvm_serve_once(test));

	xe_vm_get(vm);
	xe_vm_close_and_put(vm);
	KUNIT_EXPECT_TRUE(test, xsvm_serve_once(test));
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_NE(test, svm->ack, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm->usm.pf.waiting));
	resume(test);

	svm->vm = NULL;
	complete_all(&svm->vm_go_on);
	xe_vm_put(vm);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&svm->vm_gone, SVM_PATIENCE));
}

/* A service that nothing can interrupt keeps no system awake. */
static void suspend_waits_in_vain(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	kunit_activate_static_stub(test, xe_pagefault_wait_for_works, wait_in_vain);
	KUNIT_EXPECT_EQ(test, xe_pagefault_suspend(svm->xe), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_serve_once(test));
	resume(test);
	while (xsvm_serve_once(test))
		;
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
}

static int suspend_meanwhile(struct xe_vm *vm, struct xe_svm_range *range,
			     struct drm_gpusvm_ctx *ctx)
{
	struct kunit *test = kunit_get_current_test();
	int err;

	kunit_deactivate_static_stub(test, xe_svm_range_get_pages);
	err = xe_svm_range_get_pages(vm, range, ctx);
	KUNIT_EXPECT_EQ(test, suspend(test), 0);

	return err;
}

/* Not even by a service that was under way, and could not be interrupted. */
static void nothing_is_bound_during_a_suspend(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	kunit_activate_static_stub(test, xe_svm_range_get_pages, suspend_meanwhile);
	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_TRUE(test, xsvm_serve_once(test));
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 0);

	resume(test);
	while (xsvm_serve_once(test))
		;
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);
}

/* Page tables that were freed would come back, too. */
static void garbage_waits_for_the_resume(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 0);
	KUNIT_EXPECT_FALSE(test, xsvm_collector_pending(test));

	resume(test);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
}

static void suspend_without_stub(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, xe_pagefault_suspend(to_svm(test)->xe), 0);
}

/* What has begun is waited for. */
static void suspend_before_unbind(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->before_unbind = NULL;
	xsvm_start_meanwhile(test, suspend_without_stub);
	while (!xe_pagefault_is_suspended(svm->xe))
		schedule_timeout_uninterruptible(1);
}

/* However much there is of it, it does not keep the system awake. */
static void suspend_ends_a_collection(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_and_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE + SZ_2M, SZ_64K);
	svm->before_unbind = suspend_before_unbind;
	xsvm_run_collector(test);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_EQ(test, svm->xe->usm.pf_queue.works, 0);

	resume(test);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 2);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
}

/* It keeps the system awake no longer than that. */
static void suspend_of_a_wedged_device(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	struct xe_bo *bo;
	u64 value = 1;

	bo = xsvm_bring_to_object(test);
	atomic_set(&xe->wedged.flag, 1);
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(bo), -EBUSY);
	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(bo), 0);
	resume(test);
	atomic_set(&xe->wedged.flag, 0);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, get_user(value, (u64 __user *)SVM_BASE), -EFAULT);
	KUNIT_EXPECT_EQ(test, value, 0);
	xe_bo_put(bo);
}

static void serve_meanwhile(struct kunit *test)
{
	xsvm_serve_once(test);
}

/* A worker that has served for a while lets others run, and comes back. */
static void serve_all(struct kunit *test)
{
	while (xsvm_serve_once(test))
		;
}

static bool services_end;

static bool wait_for_service(struct xe_pagefault_queue *queue)
{
	struct kunit *test = kunit_get_current_test();

	if (!xsvm_meanwhile_ends(test))
		return false;
	serve_all(test);
	services_end = !queue->works;

	return services_end;
}

/* Who would give the memory to a fault is going to be frozen. */
static void suspend_does_not_wait_for_memory(struct kunit *test)
{
	struct xsvm_silence *silence = xsvm_map_silence(test, SVM_BASE, SZ_64K);
	struct xe_svm_fixture *svm = to_svm(test);

	kunit_activate_static_stub(test, xe_pagefault_wait_for_works, wait_for_service);
	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	xsvm_start_meanwhile(test, serve_meanwhile);
	KUNIT_EXPECT_TRUE(test, wait_event_timeout(silence->wq, READ_ONCE(silence->asked),
						   SVM_PATIENCE));
	services_end = false;
	KUNIT_EXPECT_EQ(test, xe_pagefault_suspend(svm->xe), 0);
	KUNIT_EXPECT_TRUE(test, services_end);
	KUNIT_EXPECT_FALSE(test, silence->answered);
	KUNIT_EXPECT_EQ(test, svm->acks, 0);

	xsvm_answer(silence);
	xsvm_wait_meanwhile(test);
	xe_pagefault_resume(svm->xe);
	serve_all(test);
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
}

static bool is_contended_soon(struct rw_semaphore *lock)
{
	unsigned long deadline = jiffies + SVM_PATIENCE;

	while (!rwsem_is_contended(lock) && time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);

	return rwsem_is_contended(lock);
}

/* Nor for a call that has the VM until it is frozen itself. */
static void suspend_does_not_wait_for_the_lock(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	kunit_activate_static_stub(test, xe_pagefault_wait_for_works, wait_for_service);
	down_write(&svm->vm->lock);
	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	xsvm_start_meanwhile(test, serve_meanwhile);
	/* Before that the worker would find that it has nothing to do. */
	KUNIT_EXPECT_TRUE(test, is_contended_soon(&svm->vm->lock));
	services_end = false;
	/* The call that has it may be about to bind. */
	KUNIT_EXPECT_EQ(test, xe_pagefault_suspend(svm->xe), -EBUSY);
	KUNIT_EXPECT_TRUE(test, services_end);
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
	up_write(&svm->vm->lock);

	xsvm_wait_meanwhile(test);
	xe_pagefault_resume(svm->xe);
	serve_all(test);
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
}

/* What is taken away behind the copy of the page tables must not be in it. */
static void page_tables_are_saved_empty(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_and_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));

	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_2M,
						  SVM_BASE + SZ_2M + PAGE_SIZE));

	resume(test);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + SZ_2M), SVM_BASE + SZ_2M);
}

/* A bind that is under way would write its entries later. */
static void binds_are_waited_for(struct kunit *test)
{
	struct xe_svm_job *job;

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	job = xsvm_start_bind(test, xsvm_range_at(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, suspend(test), 0);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&job->fence));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	resume(test);
}

/* Who has the lock of a VM may be about to bind where nobody looks. */
static void vm_in_use_is_not_saved(struct kunit *test)
{
	struct xe_vm *vm = to_svm(test)->vm;

	down_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, suspend(test), -EBUSY);
	up_write(&vm->lock);
	resume(test);
}

static struct kunit_case xe_pagefault_suspend_cases[] = {
	KUNIT_CASE(nothing_moves_to_vram_during_a_suspend),
	KUNIT_CASE(faults_are_served_until_devices_sleep),
	KUNIT_CASE(faults_wait_for_the_resume),
	KUNIT_CASE(closed_vm_waits_for_no_resume),
	KUNIT_CASE(suspend_waits_in_vain),
	KUNIT_CASE(nothing_is_bound_during_a_suspend),
	KUNIT_CASE(garbage_waits_for_the_resume),
	KUNIT_CASE(suspend_ends_a_collection),
	KUNIT_CASE(suspend_of_a_wedged_device),
	KUNIT_CASE(suspend_does_not_wait_for_memory),
	KUNIT_CASE(suspend_does_not_wait_for_the_lock),
	KUNIT_CASE(page_tables_are_saved_empty),
	KUNIT_CASE(binds_are_waited_for),
	KUNIT_CASE(vm_in_use_is_not_saved),
	{}
};

static struct kunit_suite xe_pagefault_suspend_suite = {
	.name = "xe_pagefault_suspend",
	.init = xsvm_pagemap_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_pagefault_suspend_cases,
};

kunit_test_suite(xe_pagefault_suspend_suite);
