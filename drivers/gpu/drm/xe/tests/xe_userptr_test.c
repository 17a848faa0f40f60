// SPDX-License-Identifier: MIT
/*
 * Tests of xe_userptr.c: getting pages, invalidations in one pass and in two, and
 * getting them again.
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/swiotlb.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>

#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_pagefault.h"
#include "xe_svm.h"
#include "xe_userptr.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* Where the CPU has the memory, and where the GPU. */
#define CPU_ADDR	SVM_BASE
#define GPU_ADDR	(2 * SVM_END)

static struct xe_userptr_vma *new_userptr(struct kunit *test, u64 cpu, u64 gpu, u64 size)
{
	struct xe_userptr_vma *uvma = kzalloc_obj(*uvma);
	struct xe_vm *vm = to_svm(test)->vm;
	struct xe_vma *vma = &uvma->vma;

	KUNIT_ASSERT_NOT_NULL(test, uvma);
	INIT_LIST_HEAD(&vma->combined_links.rebind);
	mutex_init(&vma->fault_lock);
	INIT_LIST_HEAD(&vma->gpuva.gem.entry);
	vma->gpuva.vm = &vm->gpuvm;
	vma->gpuva.va.addr = gpu;
	vma->gpuva.va.range = size;
	vma->gpuva.gem.offset = cpu;
	vma->tile_mask = BIT(0);

	return uvma;
}

/* A userptr of the VM, as a bind makes it. */
static struct xe_userptr_vma *add_userptr(struct kunit *test, u64 cpu, u64 gpu, u64 size)
{
	struct xe_userptr_vma *uvma = new_userptr(test, cpu, gpu, size);
	struct xe_vm *vm = to_svm(test)->vm;
	int err = xe_userptr_setup(uvma, current->mm, cpu, size);

	if (err)
		kfree(uvma);
	KUNIT_ASSERT_EQ(test, err, 0);
	xe_vm_get(vm);

	down_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, 0, drm_gpuva_insert(&vm->gpuvm, &uvma->vma.gpuva));
	up_write(&vm->lock);

	return uvma;
}

static int pin_one(struct kunit *test, struct xe_userptr_vma *uvma)
{
	struct xe_vm *vm = to_svm(test)->vm;
	int err;

	down_write(&vm->lock);
	err = xe_vma_userptr_pin_pages(uvma);
	up_write(&vm->lock);

	return err;
}

static int pin_all(struct kunit *test)
{
	struct xe_vm *vm = to_svm(test)->vm;
	int err;

	down_write(&vm->lock);
	err = xe_vm_userptr_pin(vm);
	up_write(&vm->lock);

	return err;
}

/* What a bind does: look, write and note in one go. */
static void bind(struct kunit *test, struct xe_userptr_vma *uvma)
{
	struct xe_vm *vm = to_svm(test)->vm;
	struct xe_vma *vma = &uvma->vma;

	KUNIT_ASSERT_EQ(test, pin_one(test, uvma), 0);
	xe_vm_lock(vm, false);
	xe_svm_notifier_lock(vm);
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), 0);
	KUNIT_EXPECT_EQ(test, xe_vma_end(vma),
			xsvm_gpu_write_ptes(test, xe_vma_start(vma), xe_vma_start(vma),
					    xe_vma_end(vma), &uvma->userptr.pages,
					    GPU_PTE_WRITE));
	vma->tile_present = BIT(0);
	vma->tile_invalidated = 0;
	uvma->userptr.initial_bind = true;
	xe_svm_notifier_unlock(vm);
	xe_vm_unlock(vm);
	/* The GPU uses it. */
	KUNIT_EXPECT_NE(test, xsvm_gpu_pte(test, xe_vma_start(vma)), 0);
}

/* Memory of a file, so that the CPU can lose its pages without losing the mapping. */
static struct file *map_file(struct kunit *test, u64 addr, u64 len)
{
	struct file *file = xsvm_map_file(test, addr, len, len);

	xsvm_touch(test, addr, len);

	return file;
}

static void use_vm_without_faults(struct kunit *test)
{
	xsvm_close_vm(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE);
}

static bool is_mapped(struct xe_userptr_vma *uvma)
{
	return uvma->userptr.pages.flags.has_dma_mapping;
}

static bool needs_repin(struct kunit *test)
{
	struct xe_vm *vm = to_svm(test)->vm;
	int err;

	xe_svm_notifier_lock(vm);
	err = __xe_vm_userptr_needs_repin(vm);
	xe_svm_notifier_unlock(vm);
	KUNIT_EXPECT_EQ(test, err, xe_vm_userptr_check_repin(vm));

	return err == -EAGAIN;
}

/* ------------------------------------------------------------------------
 * Life
 */

/* An invalidation may come as soon as the notifier is there. */
static void set_up_before_the_notifier(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma = new_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	/* There is no notifier for nothing at all. */
	int err = xe_userptr_setup(uvma, current->mm, CPU_ADDR, 0);

	KUNIT_EXPECT_NE(test, err, 0);
	KUNIT_EXPECT_PTR_EQ(test, uvma->userptr.pages.drm, &svm->xe->drm);
	KUNIT_EXPECT_TRUE(test, list_empty(&uvma->userptr.invalidate_link));
	KUNIT_EXPECT_TRUE(test, list_empty(&uvma->userptr.repin_link));
	kfree(uvma);
}

#ifdef CONFIG_SWIOTLB
/* Begin, and end, with a userptr of a device whose memory is bounced. */
static int try_bounced(struct kunit *test, bool *may_bounce)
{
	struct xe_userptr_vma *uvma = new_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	static struct io_tlb_mem bounces = { .nslabs = 1, .force_bounce = true };
	struct device *dev = to_svm(test)->xe->drm.dev;
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	int err;

	dev->dma_io_tlb_mem = &bounces;
	err = xe_userptr_setup(uvma, current->mm, CPU_ADDR, SZ_64K);
	dev->dma_io_tlb_mem = mem;
	*may_bounce = uvma->userptr.pages.flags.may_bounce;
	if (!err)
		xe_userptr_remove(uvma);
	kfree(uvma);

	return err;
}

static void expect_bounced(struct kunit *test)
{
	bool may_bounce;

	KUNIT_EXPECT_EQ(test, try_bounced(test, &may_bounce), 0);
	KUNIT_EXPECT_TRUE(test, may_bounce);
}

/* A copy of the memory will do. */
static void device_that_bounces(struct kunit *test)
{
	expect_bounced(test);
	use_vm_without_faults(test);
	expect_bounced(test);
}
#endif

static void get_pages(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), -EAGAIN);

	KUNIT_EXPECT_EQ(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), 0);

	/* They are there. */
	KUNIT_EXPECT_EQ(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 1);
}

static void no_pages_for_what_is_destroyed(struct kunit *test)
{
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	uvma->vma.gpuva.flags |= XE_VMA_DESTROYED;
	KUNIT_EXPECT_EQ(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
}

/* A userptr that nobody has unmapped takes its mapping along when it goes. */
static void removal_unmaps(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = new_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	KUNIT_ASSERT_EQ(test, xe_userptr_setup(uvma, current->mm, CPU_ADDR, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));

	xe_userptr_remove(uvma);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_NULL(test, uvma->userptr.pages.dma_addr);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);
	kfree(uvma);
}

/* The device goes. Those that have it mapped are told, and others keep theirs. */
static void expect_unmapped_with_device(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_device *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct xe_userptr_vma *mapped, *never;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, other);
	file = map_file(test, CPU_ADDR, SZ_128K);
	mapped = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	never = add_userptr(test, CPU_ADDR + SZ_64K, GPU_ADDR + SZ_64K, SZ_64K);
	KUNIT_ASSERT_EQ(test, pin_one(test, mapped), 0);

	xe_userptr_remove_device(other);
	KUNIT_EXPECT_TRUE(test, is_mapped(mapped));

	svm->xe->drm.unplugged = true;
	xe_userptr_remove_device(svm->xe);
	KUNIT_EXPECT_FALSE(test, is_mapped(mapped));
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);

	/* Nothing is mapped again, whatever the process does next. */
	KUNIT_EXPECT_EQ(test, pin_one(test, never), -ENODEV);
	KUNIT_EXPECT_FALSE(test, is_mapped(never));
	xsvm_zap(file, 0, SZ_128K);
	KUNIT_EXPECT_EQ(test, pin_one(test, mapped), -ENODEV);
	KUNIT_EXPECT_FALSE(test, is_mapped(mapped));
	xsvm_unmap(test, CPU_ADDR, SZ_128K);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);
	xsvm_close_vm(test);
	svm->xe->drm.unplugged = false;
}

static void removal_of_the_device(struct kunit *test)
{
	expect_unmapped_with_device(test);
}

static void removal_of_the_device_without_faults(struct kunit *test)
{
	use_vm_without_faults(test);
	expect_unmapped_with_device(test);
}

static void read_only_memory(struct kunit *test)
{
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *uvma;

	xsvm_map_file_at(test, file, CPU_ADDR + SZ_2M, SZ_64K, PROT_READ);
	uvma = add_userptr(test, CPU_ADDR + SZ_2M, GPU_ADDR, SZ_64K);
	KUNIT_EXPECT_NE(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));

	uvma->vma.gpuva.flags |= XE_VMA_READ_ONLY;
	KUNIT_EXPECT_EQ(test, pin_one(test, uvma), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
}

/* ------------------------------------------------------------------------
 * Invalidation in fault mode
 */

static void expect_mapped_at_flush(struct kunit *test, u64 start, u64 end)
{
	struct xe_svm_fixture *svm = to_svm(test);

	if (start < GPU_ADDR)
		return;
	KUNIT_EXPECT_GT(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
}

static void invalidation_with_faults(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);

	bind(test, uvma);
	svm->before_flush = expect_mapped_at_flush;
	svm->gpu.hold_flushes = 1;
	xsvm_zap(file, 0, PAGE_SIZE);

	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_FALSE(test, uvma->userptr.finish_inuse);
	KUNIT_EXPECT_FALSE(test, uvma->userptr.tlb_inval_submitted);
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), -EAGAIN);
	/* The next fault finds out. */
	KUNIT_EXPECT_FALSE(test, needs_repin(test));

	bind(test, uvma);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
}

/* Faults anywhere in it are served along with one. */
static void fault_serves_all_of_a_userptr(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const struct xe_pagefault pf = {
		.gt = svm->gt,
		.consumer = {
			.page_addr = GPU_ADDR + SZ_32K,
			.asid = SVM_ASID,
			.access_type = GPU_WRITE,
		},
	};
	struct xe_pagefault_served served = { .end = U64_MAX };
	int err;

	map_file(test, CPU_ADDR, SZ_64K);
	bind(test, add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K));
	down_read(&svm->vm->lock);
	err = xe_pagefault_service_locked(svm->vm, &pf, false, &served);
	up_read(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, served.start, GPU_ADDR);
	KUNIT_EXPECT_EQ(test, served.end, GPU_ADDR + SZ_64K);
	KUNIT_EXPECT_EQ(test, served.access, GPU_WRITE);
}

static void no_flush_before_the_first_bind(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);

	KUNIT_ASSERT_EQ(test, pin_one(test, uvma), 0);
	xsvm_zap(file, 0, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 0);
}

/* The flushes of all userptrs that one operation of the CPU hits overlap. */
static void flushes_overlap(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *a, *b;

	a = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_32K);
	b = add_userptr(test, CPU_ADDR + SZ_32K, GPU_ADDR + SZ_2M, SZ_32K);
	bind(test, a);
	bind(test, b);

	svm->gpu.hold_flushes = 2;
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 2);
	KUNIT_EXPECT_FALSE(test, is_mapped(a));
	KUNIT_EXPECT_FALSE(test, is_mapped(b));
}

/* Call the notifier as the MM does. Returns whether it has done its part. */
static bool notify(struct xe_userptr_vma *uvma, unsigned int flags,
		   struct mmu_interval_notifier_finish **finish)
{
	struct mmu_interval_notifier *mni = &uvma->userptr.notifier;
	struct mmu_notifier_range range = {
		.mm = mni->mm,
		.start = CPU_ADDR,
		.end = CPU_ADDR + SZ_64K,
		.flags = flags,
		.event = MMU_NOTIFY_CLEAR,
	};

	*finish = NULL;

	return mni->ops->invalidate_start(mni, &range, mni->invalidate_seq + 2, finish);
}

static void nothing_without_blocking(struct kunit *test)
{
	struct mmu_interval_notifier_finish *finish;
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	KUNIT_EXPECT_FALSE(test, notify(uvma, 0, &finish));
	KUNIT_EXPECT_NULL(test, finish);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), 0);
}

/*
 * One invalidation has a second pass before it. Another one does it all at once,
 * and does not end before the flush that the first one has sent: there is nothing
 * left that it could zap and flush itself.
 */
static void invalidation_during_another(struct kunit *test)
{
	struct mmu_interval_notifier_finish *first, *second;
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	svm->gpu.hold_flushes = 1;
	KUNIT_EXPECT_TRUE(test, notify(uvma, MMU_NOTIFIER_RANGE_BLOCKABLE, &first));
	KUNIT_EXPECT_PTR_EQ(test, first, &uvma->userptr.finish);
	KUNIT_EXPECT_TRUE(test, uvma->userptr.finish_inuse);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));

	KUNIT_EXPECT_TRUE(test, notify(uvma, MMU_NOTIFIER_RANGE_BLOCKABLE, &second));
	KUNIT_EXPECT_NULL(test, second);
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_TRUE(test, uvma->userptr.finish_inuse);

	uvma->userptr.notifier.ops->invalidate_finish(first);
	KUNIT_EXPECT_FALSE(test, uvma->userptr.finish_inuse);
	KUNIT_EXPECT_FALSE(test, uvma->userptr.tlb_inval_submitted);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);
}

/* Binds that are under way come before the entries are zapped. */
static void second_pass_waits_for_jobs(struct kunit *test)
{
	struct mmu_interval_notifier_finish *finish;
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	struct xe_svm_job *job;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);
	job = xsvm_start_job(test);
	/* Whose end was asked for already, and which takes its time. */
	set_bit(DMA_FENCE_FLAG_ENABLE_SIGNAL_BIT, &job->fence.flags);

	KUNIT_EXPECT_TRUE(test, notify(uvma, MMU_NOTIFIER_RANGE_BLOCKABLE, &finish));
	KUNIT_ASSERT_NOT_NULL(test, finish);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));

	dma_fence_signal(&job->fence);
	uvma->userptr.notifier.ops->invalidate_finish(finish);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
}

/* Take memory away while a job is under way. The rest of the VM goes on meanwhile. */
static void expect_lock_is_free(struct kunit *test)
{
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	struct xe_svm_job *job;

	bind(test, uvma);
	job = xsvm_start_job(test);
	job->end_later = true;

	xsvm_zap(file, 0, SZ_64K);
	flush_work(&job->end_work);
	KUNIT_EXPECT_TRUE(test, job->asked);
	KUNIT_EXPECT_FALSE(test, job->wait_under_lock);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
}

/* What is not mapped isn't used: nobody has to stop. */
static void expect_no_wait_for_unmapped(struct kunit *test)
{
	struct file *file = map_file(test, CPU_ADDR, SZ_64K);
	struct xe_userptr_vma *uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	struct mmu_interval_notifier_finish *finish;
	struct xe_svm_job *job;

	bind(test, uvma);
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_ASSERT_FALSE(test, is_mapped(uvma));

	job = xsvm_start_job(test);
	KUNIT_EXPECT_TRUE(test, notify(uvma, MMU_NOTIFIER_RANGE_BLOCKABLE, &finish));
	KUNIT_EXPECT_NULL(test, finish);
	KUNIT_EXPECT_FALSE(test, job->asked);
	dma_fence_signal(&job->fence);
}

static void unmapped_stops_nobody(struct kunit *test)
{
	expect_no_wait_for_unmapped(test);
}

static void jobs_are_waited_for_without_the_lock(struct kunit *test)
{
	expect_lock_is_free(test);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
}

/* ------------------------------------------------------------------------
 * Without faults
 */

static void preemption_is_waited_for_without_the_lock(struct kunit *test)
{
	use_vm_without_faults(test);
	expect_lock_is_free(test);
}

static void unmapped_preempts_nobody(struct kunit *test)
{
	use_vm_without_faults(test);
	expect_no_wait_for_unmapped(test);
	KUNIT_EXPECT_TRUE(test, needs_repin(test));
}

/* Nor does one that was never mapped. It is noted all the same. */
static void never_mapped_preempts_nobody(struct kunit *test)
{
	struct mmu_interval_notifier_finish *finish;
	struct xe_userptr_vma *uvma;
	struct xe_svm_job *job;

	use_vm_without_faults(test);
	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	KUNIT_ASSERT_FALSE(test, needs_repin(test));

	job = xsvm_start_job(test);
	KUNIT_EXPECT_TRUE(test, notify(uvma, MMU_NOTIFIER_RANGE_BLOCKABLE, &finish));
	KUNIT_EXPECT_NULL(test, finish);
	KUNIT_EXPECT_FALSE(test, job->asked);
	KUNIT_EXPECT_TRUE(test, needs_repin(test));
	dma_fence_signal(&job->fence);
}

static void invalidation_without_faults(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	struct xe_svm_job *job;
	struct file *file;

	use_vm_without_faults(test);
	file = map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);
	job = xsvm_start_job(test);

	xsvm_zap(file, 0, SZ_64K);
	/* The GPU has stopped before its pages were taken. */
	KUNIT_EXPECT_TRUE(test, job->asked);
	KUNIT_EXPECT_EQ(test, job->mapped, 1);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	/* If it was about to be killed it has not stopped. */
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_TRUE(test, needs_repin(test));

	KUNIT_EXPECT_EQ(test, pin_all(test), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
	KUNIT_EXPECT_FALSE(test, needs_repin(test));
	KUNIT_EXPECT_TRUE(test, list_is_first(&uvma->vma.combined_links.rebind,
					      &svm->vm->rebind_list));
}

static void invalidated_again(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	struct file *file;

	use_vm_without_faults(test);
	file = map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	xsvm_zap(file, 0, PAGE_SIZE);
	xsvm_touch(test, CPU_ADDR, SZ_64K);
	xsvm_zap(file, 0, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->userptr.invalidated), 1);
	KUNIT_EXPECT_EQ(test, pin_all(test), 0);

	xsvm_zap(file, 0, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, needs_repin(test));
	KUNIT_EXPECT_EQ(test, pin_all(test), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->rebind_list), 1);
}

/* Memory that is gone is no error before it is used, which the GPU can't, then. */
static void memory_is_gone(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	void *pte;

	use_vm_without_faults(test);
	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	pte = xa_load(&svm->gpu.ptes, GPU_ADDR >> PAGE_SHIFT);
	xsvm_unmap(test, CPU_ADDR, SZ_64K);
	/* If page tables were saved before that, the resume brings it back. */
	xa_store(&svm->gpu.ptes, GPU_ADDR >> PAGE_SHIFT, pte, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, pin_all(test), 0);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_FALSE(test, needs_repin(test));
	KUNIT_EXPECT_TRUE(test, list_empty(&svm->vm->rebind_list));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
}

/* One can't be got for now: it is tried again, and nothing is lost of the others. */
static void getting_again_fails(struct kunit *test)
{
	struct xe_userptr_vma *good, *bad, *last;
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file;

	use_vm_without_faults(test);
	file = map_file(test, CPU_ADDR, 3 * SZ_64K);
	good = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bad = add_userptr(test, CPU_ADDR + SZ_64K, GPU_ADDR + SZ_64K, SZ_64K);
	last = add_userptr(test, CPU_ADDR + 2 * SZ_64K, GPU_ADDR + 2 * SZ_64K, SZ_64K);
	bind(test, good);
	bind(test, bad);
	bind(test, last);

	xsvm_zap(file, 0, SZ_64K);
	xsvm_map_file_at(test, file, CPU_ADDR + SZ_64K, SZ_64K, PROT_READ);
	xsvm_zap(file, 2 * SZ_64K, SZ_64K);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->userptr.invalidated), 3);

	KUNIT_EXPECT_NE(test, pin_all(test), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(good));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->rebind_list), 1);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->userptr.invalidated), 2);
	KUNIT_EXPECT_TRUE(test, list_empty(&svm->vm->userptr.repin_list));

	xsvm_map_file_at(test, file, CPU_ADDR + SZ_64K, SZ_64K, PROT_RW);
	KUNIT_EXPECT_EQ(test, pin_all(test), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(bad));
	KUNIT_EXPECT_TRUE(test, is_mapped(last));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&svm->vm->rebind_list), 3);
	KUNIT_EXPECT_FALSE(test, needs_repin(test));
}

static void end_with_invalidated_userptrs(struct kunit *test)
{
	struct xe_userptr_vma *uvma;
	struct file *file;

	use_vm_without_faults(test);
	file = map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_TRUE(test, needs_repin(test));
	xsvm_close_vm(test);
}

/* How long a test waits for what has to happen. */
#define PATIENCE	(5 * HZ)

struct user_fence {
	struct work_struct work;
	struct completion signalled;
};

static void signal_user_fence(struct work_struct *work)
{
	complete(&container_of(work, struct user_fence, work)->signalled);
}

/* Where all user fences of the device are signalled. */
static bool fences_are_signalled(struct xe_device *xe)
{
	struct user_fence fence;
	bool ok;

	INIT_WORK_ONSTACK(&fence.work, signal_user_fence);
	init_completion(&fence.signalled);
	queue_work(xe->ordered_wq, &fence.work);
	ok = wait_for_completion_timeout(&fence.signalled, PATIENCE);
	cancel_work_sync(&fence.work);
	destroy_work_on_stack(&fence.work);

	return ok;
}

static bool rebind_ends(struct xe_vm *vm)
{
	unsigned long deadline = jiffies + PATIENCE;

	while (work_busy(&vm->preempt.rebind_work) && time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);

	return !work_busy(&vm->preempt.rebind_work);
}

/* A rebind, as a preempt fence asks for, waits for memory that doesn't come. */
static struct xsvm_silence *rebind_to_silence(struct kunit *test, struct xe_userptr_vma **uvma)
{
	struct xsvm_silence *silence;

	use_vm_without_faults(test);
	map_file(test, CPU_ADDR, SZ_64K);
	*uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, *uvma);
	silence = xsvm_map_silence(test, CPU_ADDR, SZ_64K);
	KUNIT_EXPECT_TRUE(test, needs_repin(test));

	xe_vm_queue_rebind_worker(to_svm(test)->vm);
	KUNIT_EXPECT_TRUE(test, wait_event_timeout(silence->wq, READ_ONCE(silence->asked),
						   PATIENCE));

	return silence;
}

/* Memory doesn't come. That keeps no other VM waiting, and nobody who closes this one. */
static void memory_does_not_come(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	struct xsvm_silence *silence = rebind_to_silence(test, &uvma);

	KUNIT_EXPECT_TRUE(test, fences_are_signalled(svm->xe));

	xe_svm_cancel(svm->vm);
	KUNIT_EXPECT_TRUE(test, rebind_ends(svm->vm));
	/* That is no error of the VM. */
	KUNIT_EXPECT_FALSE(test, svm->vm->flags & XE_VM_FLAG_BANNED);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	xsvm_answer(silence);
	flush_work(&svm->vm->preempt.rebind_work);
}

/* Who is killed while it waits for the VM has it, and others go on with it. */
static void wait_for_memory_is_interrupted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;
	struct xsvm_silence *silence = rebind_to_silence(test, &uvma);

	xe_svm_interrupt(svm->vm);
	down_write(&svm->vm->lock);
	xe_svm_resume(svm->vm);
	xsvm_answer(silence);
	up_write(&svm->vm->lock);

	KUNIT_EXPECT_TRUE(test, rebind_ends(svm->vm));
	KUNIT_EXPECT_FALSE(test, svm->vm->flags & XE_VM_FLAG_BANNED);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
}

/* What the CPU takes away behind the copy of the page tables must not be in it. */
static void suspend_zaps(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);
	/* They are copied if they are in VRAM. */
	xsvm_init_registers(test);
	svm->xe->info.is_dgfx = true;
	KUNIT_EXPECT_EQ(test, xe_pagefault_suspend(svm->xe), 0);
	svm->xe->info.is_dgfx = false;
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_EQ(test, uvma->vma.tile_invalidated, BIT(0));
	xe_pagefault_resume(svm->xe);
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), 0);
}

/* ------------------------------------------------------------------------
 * Injection
 */

static void inject(struct kunit *test, struct xe_userptr_vma *uvma)
{
	struct xe_vm *vm = to_svm(test)->vm;

	if (!IS_ENABLED(CONFIG_DRM_XE_USERPTR_INVAL_INJECT))
		kunit_skip(test, "needs CONFIG_DRM_XE_USERPTR_INVAL_INJECT");

	down_write(&vm->lock);
	xe_vm_lock(vm, false);
	down_write(&vm->svm.gpusvm.notifier_lock);
	xe_vma_userptr_force_invalidate(uvma);
	up_write(&vm->svm.gpusvm.notifier_lock);
	xe_vm_unlock(vm);
	up_write(&vm->lock);
}

static void injection_with_faults(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_userptr_vma *uvma;

	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	inject(test, uvma);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, GPU_ADDR, GPU_ADDR + SZ_64K));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_FALSE(test, uvma->userptr.finish_inuse);

	/* An invalidation that is injected into another one leaves it as it is. */
	inject(test, uvma);
	KUNIT_EXPECT_EQ(test, xe_vma_userptr_check_repin(uvma), -EAGAIN);
	bind(test, uvma);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
}

static void injection_without_faults(struct kunit *test)
{
	struct xe_userptr_vma *uvma;

	use_vm_without_faults(test);
	map_file(test, CPU_ADDR, SZ_64K);
	uvma = add_userptr(test, CPU_ADDR, GPU_ADDR, SZ_64K);
	bind(test, uvma);

	inject(test, uvma);
	KUNIT_EXPECT_FALSE(test, is_mapped(uvma));
	KUNIT_EXPECT_TRUE(test, needs_repin(test));
	KUNIT_EXPECT_EQ(test, pin_all(test), 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(uvma));
}

static struct kunit_case xe_userptr_cases[] = {
	KUNIT_CASE(set_up_before_the_notifier),
#ifdef CONFIG_SWIOTLB
	KUNIT_CASE(device_that_bounces),
#endif
	KUNIT_CASE(get_pages),
	KUNIT_CASE(no_pages_for_what_is_destroyed),
	KUNIT_CASE(removal_unmaps),
	KUNIT_CASE(removal_of_the_device),
	KUNIT_CASE(removal_of_the_device_without_faults),
	KUNIT_CASE(read_only_memory),
	KUNIT_CASE(invalidation_with_faults),
	KUNIT_CASE(fault_serves_all_of_a_userptr),
	KUNIT_CASE(no_flush_before_the_first_bind),
	KUNIT_CASE(flushes_overlap),
	KUNIT_CASE(nothing_without_blocking),
	KUNIT_CASE(invalidation_during_another),
	KUNIT_CASE(second_pass_waits_for_jobs),
	KUNIT_CASE(unmapped_stops_nobody),
	KUNIT_CASE(jobs_are_waited_for_without_the_lock),
	KUNIT_CASE(unmapped_preempts_nobody),
	KUNIT_CASE(never_mapped_preempts_nobody),
	KUNIT_CASE(preemption_is_waited_for_without_the_lock),
	KUNIT_CASE(invalidation_without_faults),
	KUNIT_CASE(invalidated_again),
	KUNIT_CASE(memory_is_gone),
	KUNIT_CASE(getting_again_fails),
	KUNIT_CASE(end_with_invalidated_userptrs),
	KUNIT_CASE(memory_does_not_come),
	KUNIT_CASE(wait_for_memory_is_interrupted),
	KUNIT_CASE(suspend_zaps),
	KUNIT_CASE(injection_with_faults),
	KUNIT_CASE(injection_without_faults),
	{}
};

static struct kunit_suite xe_userptr_suite = {
	.name = "xe_userptr",
	.init = xe_svm_fixture_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_userptr_cases,
};

kunit_test_suite(xe_userptr_suite);
