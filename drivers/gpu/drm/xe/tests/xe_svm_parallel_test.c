// SPDX-License-Identifier: MIT
/*
 * Tests of xe_svm_fault.c: faults of one VM at the same time.
 */

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_pagefault.h"
#include "xe_svm.h"
#include "xe_vm.h"

/* Serve a fault as a worker does that shares the VM with others. */
static int fault_shared(struct kunit *test, u64 addr, u8 access, struct xe_pagefault_served *served)
{
	struct xe_svm_fixture *svm = to_svm(test);
	int err;

	down_read(&svm->vm->lock);
	err = xe_svm_handle_pagefault(svm->vm, svm->mirror, svm->gt, addr, access, false,
				      served);
	up_read(&svm->vm->lock);

	return err;
}

static void fault_above(struct kunit *test)
{
	struct xe_pagefault_served served;

	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE + SZ_2M, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_LE(test, served.start, SVM_BASE + SZ_2M);
	KUNIT_EXPECT_GT(test, served.end, SVM_BASE + SZ_2M);
}

static void fault_again(struct kunit *test)
{
	struct xe_pagefault_served served;

	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE + PAGE_SIZE, GPU_WRITE, &served), 0);
}

static void zap_above(struct kunit *test)
{
	xsvm_zap(to_svm(test)->arg, SZ_2M, SZ_64K);
}

/* What another thread does, once, while a fault is served. */
static void (*meanwhile)(struct kunit *test);

/* It is done before the fault gets its pages. */
static int get_pages_afterwards(struct xe_vm *vm, struct xe_svm_range *range,
				struct drm_gpusvm_ctx *ctx)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, xe_svm_range_get_pages);
	xsvm_meanwhile(test, meanwhile);

	return xe_svm_range_get_pages(vm, range, ctx);
}

/* It is done before the fault binds, with the reservation of the VM held. */
static void do_meanwhile(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_bind = NULL;
	xsvm_meanwhile(test, meanwhile);
}

static void begin_meanwhile(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_bind = NULL;
	xsvm_start_meanwhile(test, meanwhile);
}

/* The second fault is served, from the beginning to the end, while the first one is. */
static void faults_on_two_ranges(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;

	xsvm_map(test, SVM_BASE, 2 * SZ_2M, PROT_RW);
	meanwhile = fault_above;
	kunit_activate_static_stub(test, xe_svm_range_get_pages, get_pages_afterwards);
	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 2);
	xsvm_gpu_write(test, SVM_BASE, 1);
	xsvm_gpu_write(test, SVM_BASE + SZ_2M, 2);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 1);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_2M), 2);
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
}

/* The one that comes second gets what the first one has bound. */
static void faults_on_one_range(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	meanwhile = fault_again;
	svm->before_bind = begin_meanwhile;
	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 1);
}

/* An invalidation doesn't wait for a fault, nor does it disturb that of a neighbour. */
static void invalidation_while_a_neighbour_is_served(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;

	svm->arg = xsvm_map_file(test, SVM_BASE, 2 * SZ_2M, 2 * SZ_2M);
	xsvm_touch(test, SVM_BASE, PAGE_SIZE);
	xsvm_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE + SZ_2M, GPU_WRITE, &served), 0);

	meanwhile = zap_above;
	svm->before_bind = do_meanwhile;
	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 2);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_2M,
						  SVM_BASE + SZ_2M + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
}

/* A range whose memory is gone has to be removed, for which the fault must be alone. */
static void garbage_needs_the_lock(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);

	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), -ESTALE);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 0);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
}

/* A prefetch whose queue was banned in between has bound nothing, whatever it said. */
static void bind_that_failed(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;
	struct xe_svm_job *job;

	job = xsvm_start_bind(test, xsvm_map_and_touch(test, SVM_BASE, SZ_64K));
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);

	dma_fence_set_error(&job->fence, -ECANCELED);
	dma_fence_signal(&job->fence);
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 2);
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, SZ_64K);
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 2);
}

/* Nor has it bound what is left beside a page that was taken meanwhile. */
static void bind_that_failed_beside_a_hole(struct kunit *test)
{
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;
	struct xe_svm_job *job;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	job = xsvm_start_bind(test, xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE));
	dma_fence_set_error(&job->fence, -ECANCELED);
	xsvm_zap(file, SZ_1M, PAGE_SIZE);
	KUNIT_ASSERT_TRUE(test, job->asked);

	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE + SZ_1M, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, SZ_2M);
}

/* Before anything is bound, others are chained to the fault as far as its range goes. */
static void expect_range_was_told(struct kunit *test, struct xe_svm_range *range)
{
	const struct xe_pagefault_served *served = to_svm(test)->arg;

	to_svm(test)->before_bind = NULL;
	KUNIT_EXPECT_EQ(test, served->start, xe_svm_range_start(range));
	KUNIT_EXPECT_EQ(test, served->end, xe_svm_range_end(range));
}

/* What is said to be served is, for that access, and what is not bound isn't. */
static void what_is_served(struct kunit *test)
{
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_64K);
	struct xe_pagefault_served served = { .end = U64_MAX };
	struct xe_svm_fixture *svm = to_svm(test);

	svm->arg = &served;
	svm->before_bind = expect_range_was_told;
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE, GPU_WRITE, &served), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);
	KUNIT_EXPECT_EQ(test, served.start, SVM_BASE);
	KUNIT_EXPECT_LE(test, served.end, SVM_BASE + SZ_64K);
	KUNIT_EXPECT_GE(test, served.end, SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, served.access, GPU_WRITE);
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE, GPU_ATOMIC, &served), 0);
	KUNIT_EXPECT_EQ(test, served.access, GPU_ATOMIC);

	/* Constants can be read, and no more. */
	xsvm_map_file_at(test, file, SVM_BASE + SZ_2M, SZ_64K, PROT_READ);
	KUNIT_ASSERT_EQ(test, fault_shared(test, SVM_BASE + SZ_2M, GPU_READ, &served), 0);
	KUNIT_EXPECT_EQ(test, served.access, GPU_READ);
}

/* A worker that has served for a while lets others run, and comes back. */
static void serve_all(struct kunit *test)
{
	while (xsvm_serve_once(test))
		;
}

static DECLARE_COMPLETION(binds);
static bool suspend_waits;

/* Nothing is bound before somebody waits for that, and for the end of the service. */
static void bind_while_suspending(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned long deadline = jiffies + SVM_PATIENCE / 2;

	svm->before_bind = NULL;
	complete(&binds);
	while (!rwsem_is_contended(&svm->xe->val.lock) && time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);
	suspend_waits = rwsem_is_contended(&svm->xe->val.lock);
}

/* What is served when the system goes to sleep is served, and answered, before. */
static void suspend_waits_for_a_service(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	reinit_completion(&binds);
	suspend_waits = false;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	svm->before_bind = bind_while_suspending;
	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	xsvm_start_meanwhile(test, serve_all);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&binds, SVM_PATIENCE));

	xe_pagefault_suspend(svm->xe);
	KUNIT_EXPECT_EQ(test, READ_ONCE(svm->acks), 1);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_TRUE(test, suspend_waits);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);
	xe_pagefault_resume(svm->xe);
}

static struct kunit_case xe_svm_parallel_cases[] = {
	KUNIT_CASE(faults_on_two_ranges),
	KUNIT_CASE(faults_on_one_range),
	KUNIT_CASE(invalidation_while_a_neighbour_is_served),
	KUNIT_CASE(garbage_needs_the_lock),
	KUNIT_CASE(bind_that_failed),
	KUNIT_CASE(bind_that_failed_beside_a_hole),
	KUNIT_CASE(what_is_served),
	KUNIT_CASE(suspend_waits_for_a_service),
	{}
};

static struct kunit_suite xe_svm_parallel_suite = {
	.name = "xe_svm_parallel",
	.init = xe_svm_fixture_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_parallel_cases,
};

kunit_test_suite(xe_svm_parallel_suite);
