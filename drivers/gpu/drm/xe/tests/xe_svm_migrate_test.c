// SPDX-License-Identifier: MIT
/*
 * Tests of xe_svm_pagemap.c: memory of processes that moves to VRAM and back, and
 * what stays where it is.
 */

#include <linux/mm.h>
#include <linux/pm_runtime.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include <drm/drm_pagemap.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_svm_pagemap_fixture.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vram_types.h"

static void there_and_back(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_2M);
	struct xe_vm *vm = svm->vm;

	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_validate(vm, range, BIT(0), xsvm_local_pagemap(test)));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0), NULL));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_addr_in_pagemap(range, SVM_BASE + SZ_1M,
							     xsvm_local_pagemap(test)));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_addr_in_pagemap(range, SVM_BASE + SZ_1M, NULL));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_needs_migrate_to_vram(range, svm->mirror,
								    xsvm_local_pagemap(test)));

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	xsvm_gpu_write(test, SVM_BASE + SZ_1M, 1);

	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_1M), 1);
	xsvm_write(test, SVM_BASE + SZ_1M, SVM_BASE + SZ_1M);
	xsvm_expect_contents(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_needs_migrate_to_vram(range, svm->mirror,
								   xsvm_local_pagemap(test)));
}

/* Pages that were copied to VRAM by the jobs from one on. */
static unsigned long copied_to_vram(struct kunit *test, unsigned int job)
{
	struct test_copies *copies = to_copies(test);
	unsigned long npages = 0;

	for (; job < min(copies->jobs, COPY_JOBS); job++)
		if (!copies->job[job].to_ram)
			npages += copies->job[job].npages;

	return npages;
}

/* The CPU fetches a part. The GPU goes on with the rest, and gets that part again. */
static void part_there_and_back(struct kunit *test)
{
	const u64 hit = SVM_BASE + SZ_1M;
	unsigned int job;

	xsvm_map_and_touch(test, SVM_BASE, SZ_2M);
	KUNIT_ASSERT_EQ(test, copied_to_vram(test, 0), SZ_2M >> PAGE_SHIFT);
	job = to_copies(test)->jobs;

	KUNIT_EXPECT_EQ(test, xsvm_read(test, hit), hit);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, hit, hit + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_2M - PAGE_SIZE,
						 SVM_BASE + SZ_2M));

	xsvm_gpu_write(test, hit, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, hit));
	KUNIT_EXPECT_GT(test, copied_to_vram(test, job), 0);
	KUNIT_EXPECT_LT(test, copied_to_vram(test, job), SZ_1M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, hit), 1);
}

static void prefer(struct kunit *test, u32 where)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const u64 end = SVM_BASE + SZ_2M;
	struct xe_tlb_inval_batch batch;
	u8 tiles;

	down_write(&svm->vm->lock);
	svm->mirror->attr.preferred_loc.devmem_fd = where;
	xe_svm_notifier_lock(svm->vm);
	tiles = xe_svm_ranges_zap_ptes_in_range(svm->vm, SVM_BASE, end);
	xe_svm_notifier_unlock(svm->vm);
	KUNIT_ASSERT_EQ(test, 0, xe_tlb_inval_range_tilemask_submit(svm->xe, svm->vm->usm.asid,
								    SVM_BASE, end, tiles,
								    &batch));
	xe_tlb_inval_batch_wait(&batch);
	up_write(&svm->vm->lock);
}

/* A part has stayed in RAM, as it was asked to. That is not for ever. */
static void rest_follows(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_2M);

	prefer(test, DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), SVM_BASE);
	xsvm_gpu_write(test, SVM_BASE, SVM_BASE);
	KUNIT_ASSERT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE + SZ_1M));

	/* A prefetch that comes next has something to do. */
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(svm->vm, range, BIT(0),
						       xsvm_local_pagemap(test)));

	prefer(test, DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE);
	xsvm_gpu_write(test, SVM_BASE + SZ_1M, SVM_BASE + SZ_1M);
	xsvm_gpu_write(test, SVM_BASE, SVM_BASE);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE + SZ_1M));
	xsvm_expect_contents(test, SVM_BASE, SZ_2M);
}

/* What the CPU has never written to is zero, though the VRAM isn't. */
static void holes_are_zero(struct kunit *test)
{
	u64 addr;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_gpu_write(test, SVM_BASE, 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_64K; addr += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), 0);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_32K), 0);
}

static void ram_is_preferred(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, 0);
}

/* Memory of files stays where it is, and is used from there. */
static void files_stay(struct kunit *test)
{
	xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));

	/* But atomics don't reach it. */
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
}

/* A write is served from RAM, if it has to be. An atomic is not. */
static void migration_fails(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	copies->err = -EIO;
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);

	KUNIT_EXPECT_NE(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_EQ(test, to_svm(test)->vm->faults.len, 1);
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);

	copies->err = 0;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

struct page_user {
	struct delayed_work work;
	struct page *page;
};

static void page_user_leaves(struct work_struct *work)
{
	struct page_user *user = container_of(to_delayed_work(work), struct page_user, work);

	put_page(user->page);
}

/* A page that is written to swap, say, is in use for some time. An atomic waits for it. */
static void page_is_in_use(struct kunit *test)
{
	struct page_user user;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(SVM_BASE, 1, 0, &user.page), 1);
	INIT_DELAYED_WORK_ONSTACK(&user.work, page_user_leaves);
	schedule_delayed_work(&user.work, HZ / 20);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	flush_delayed_work(&user.work);
	destroy_delayed_work_on_stack(&user.work);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

static unsigned int gets;

static int get_nothing(struct xe_vm *vm, struct xe_svm_range *range, struct drm_gpusvm_ctx *ctx)
{
	gets++;

	return 0;
}

static int fault_and_be_killed(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;
	int err;

	allow_kernel_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	down_read(&svm->vm->lock);
	err = xe_svm_handle_pagefault(svm->vm, svm->mirror, svm->gt, addr, access, false,
				      &served);
	up_read(&svm->vm->lock);
	disallow_signal(SIGKILL);

	return err;
}

/* Whoever interrupts that wait does not mean that it was in vain. */
static void wait_for_a_page_is_interrupted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct page *page;

	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map_and_touch(test, SVM_BASE, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(SVM_BASE, 1, 0, &page), 1);
	/* With a signal that is there from the beginning, it would go no further than that. */
	kunit_activate_static_stub(test, xe_svm_range_get_pages, get_nothing);
	gets = 0;
	KUNIT_EXPECT_EQ(test, fault_and_be_killed(test, SVM_BASE, GPU_ATOMIC), -EINTR);
	KUNIT_EXPECT_GE(test, gets, 3);
	kunit_deactivate_static_stub(test, xe_svm_range_get_pages);
	put_page(page);

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, PAGE_SIZE);
}

static void read_the_page(struct kunit *test)
{
	xsvm_read(test, SVM_BASE);
}

static int reads_left;

static void read_before_bind(struct kunit *test, struct xe_svm_range *range)
{
	if (reads_left && reads_left--)
		xsvm_meanwhile(test, read_the_page);
}

/* A page that was in VRAM is lost to the CPU before it is bound, again and again. */
static void atomic_loses_its_page(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reads_left = 5;
	svm->before_bind = read_before_bind;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	svm->before_bind = NULL;
	KUNIT_EXPECT_EQ(test, reads_left, 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

/* A write does not fight for its page. */
static void write_loses_its_page(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	unsigned int i, to_vram = 0;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reads_left = 2;
	to_svm(test)->before_bind = read_before_bind;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	to_svm(test)->before_bind = NULL;
	for (i = 0; i < copies->jobs; i++)
		to_vram += !copies->job[i].to_ram;
	KUNIT_EXPECT_EQ(test, to_vram, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

/* Where the user says that the CPU does the atomics, the GPU doesn't. */
static void atomics_of_the_cpu(struct kunit *test)
{
	to_svm(test)->mirror->attr.atomic_access = DRM_XE_ATOMIC_CPU;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
}

/* What comes of its neighbours, which may have stayed in RAM, is for their own faults. */
static void atomic_serves_its_page(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const u64 addr = SVM_BASE + SZ_32K;
	struct xe_pagefault_served served;
	int err;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	down_read(&svm->vm->lock);
	err = xe_svm_handle_pagefault(svm->vm, svm->mirror, svm->gt, addr, GPU_ATOMIC, false,
				      &served);
	up_read(&svm->vm->lock);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, addr));
	KUNIT_EXPECT_EQ(test, served.start, addr);
	KUNIT_EXPECT_EQ(test, served.end, addr + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, served.access, GPU_ATOMIC);
}

/* There is more memory than VRAM. What doesn't fit any more goes back to RAM. */
static void eviction(struct kunit *test)
{
	const u64 len = VRAM_SIZE + 2 * SZ_2M;
	u64 addr;

	xsvm_map(test, SVM_BASE, len, PROT_RW);
	xsvm_touch(test, SVM_BASE, len);
	for (addr = SVM_BASE; addr < SVM_BASE + len; addr += SZ_2M) {
		KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), addr);
		KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, addr));
	}
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	xsvm_expect_contents(test, SVM_BASE, len);
}

/* What can't be had, for whatever reason, keeps nobody from what comes after it. */
static void eviction_fails(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	xsvm_bring_to_object(test);
	copies->err = -EIO;
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(copies->bo), -EBUSY);
	copies->err = 0;
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(copies->bo), 0);
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
	xe_bo_put(copies->bo);
}

/* As xe_bo_pci_dev_remove_all() does it. */
static int remove_vram(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	int err;

	xe->drm.unplugged = true;
	err = ttm_resource_manager_evict_all(&xe->ttm, ttm_manager_type(&xe->ttm, XE_PL_VRAM0));
	xe->drm.unplugged = false;

	return err;
}

/* The VRAM goes, and what was in it is in RAM. */
static void removal_brings_all_back(struct kunit *test)
{
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

/* Removal ends all the same if copies fail, and only what can't be copied is lost. */
static void removal_ends_where_copies_fail(struct kunit *test)
{
	u64 value = 1;

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	to_copies(test)->err = -EIO;
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	to_copies(test)->err = 0;
	KUNIT_EXPECT_EQ(test, get_user(value, (u64 __user *)SVM_BASE), -EFAULT);
	KUNIT_EXPECT_EQ(test, value, 0);
}

static void bring_to_vram(struct kunit *test, u64 addr)
{
	xsvm_map_and_touch(test, addr, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, addr));
}

/* How many migrations fail while the VRAM goes. */
static s64 failures_of_removal(struct kunit *test)
{
	atomic64_t *failures = &xsvm_local_pagemap(test)->stats[DRM_PAGEMAP_STAT_FAILED];
	s64 before = atomic64_read(failures);

	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);

	return atomic64_read(failures) - before;
}

/* Nothing is asked for copies that can't be had, nor are they tried for all of it at once. */
static void removal_of_a_wedged_device(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	unsigned int jobs;
	s64 failures;
	u64 value = 1;

	bring_to_vram(test, SVM_BASE + SZ_2M);
	to_copies(test)->err = -EIO;
	failures = failures_of_removal(test);
	to_copies(test)->err = 0;

	bring_to_vram(test, SVM_BASE);
	jobs = to_copies(test)->jobs;
	atomic_set(&xe->wedged.flag, 1);
	KUNIT_EXPECT_LT(test, failures_of_removal(test), failures);
	atomic_set(&xe->wedged.flag, 0);
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, jobs);
	KUNIT_EXPECT_EQ(test, get_user(value, (u64 __user *)SVM_BASE), -EFAULT);
	KUNIT_EXPECT_EQ(test, value, 0);
}

/* The GPU may still write, but there is no way to VRAM. */
static void wedged_device_gets_no_memory(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	atomic_set(&svm->xe->wedged.flag, 1);
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, 0);
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
	atomic_set(&svm->xe->wedged.flag, 0);
}

/* A signal to whoever removes the device is no reason to lose anything. */
static void removal_is_not_interrupted(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	allow_kernel_signal(SIGTERM);
	send_sig(SIGTERM, current, 1);
	copies->interrupts = 200;
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	KUNIT_EXPECT_FALSE(test, copies->signalled);
	KUNIT_EXPECT_TRUE(test, signal_pending(current));
	disallow_signal(SIGTERM);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

/* Part of the memory is unmapped. The rest stays where it is, if it can be mapped. */
static void partial_unmap(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int copies;

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	copies = to_copies(test)->jobs;
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, evictions), 0);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, copies);
}

static void partial_unmap_of_large_pages(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, evictions), 1);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE + PAGE_SIZE));
	xsvm_expect_contents(test, SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
}

static void set_power(struct kunit *test, bool on)
{
	struct device *dev = to_svm(test)->xe->drm.dev;

	pm_runtime_disable(dev);
	KUNIT_EXPECT_EQ(test, 0, on ? pm_runtime_set_active(dev) : pm_runtime_set_suspended(dev));
	pm_runtime_enable(dev);
}

/* With folios locked nobody waits until the device has woken up. */
static void sleeping_device_is_not_waited_for(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = &svm->vm->svm.pagemaps[0]->dpagemap;
	struct drm_pagemap_devmem *devmem;

	set_power(test, false);
	devmem = dpagemap->ops->devmem_alloc(dpagemap, current->mm, SZ_64K, false);
	KUNIT_EXPECT_PTR_EQ(test, devmem, ERR_PTR(-EBUSY));
	KUNIT_EXPECT_TRUE(test, pm_runtime_status_suspended(svm->xe->drm.dev));
	set_power(test, true);
}

/* An eviction takes the first chance that it has. It finds an allocation without pages. */
static void evict_as_soon_as_unlocked(struct xe_bo *bo)
{
	struct kunit *test = kunit_get_current_test();

	dma_resv_unlock(bo->ttm.base.resv);
	if (!(bo->flags & XE_BO_FLAG_CPU_ADDR_MIRROR))
		return;

	to_svm(test)->rounds++;
	KUNIT_ASSERT_NOT_NULL(test, bo->devmem_allocation.ops);
	kunit_deactivate_static_stub(test, xe_bo_unlock);
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(bo), -EBUSY);
}

static void new_memory_is_evicted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	kunit_activate_static_stub(test, xe_bo_unlock, evict_as_soon_as_unlocked);
	svm->rounds = 0;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_expect_contents(test, SVM_BASE, SZ_64K);
}

/*
 * VRAM comes in 64K, and the CPU has used one page. An atomic gets a range of 64K, also
 * where there was a smaller one.
 */
static void atomic_on_a_small_range(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_READ);
	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_4K);
	KUNIT_ASSERT_FALSE(test, xsvm_in_vram(test, SVM_BASE));

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 1);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + SZ_32K), 0);
	KUNIT_EXPECT_EQ(test, xe_svm_range_size(xsvm_range_at(test, SVM_BASE)), SZ_64K);
}

/* 64K of VRAM that may be written in part only are not one entry: they go to RAM. */
static void small_read_only_part(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE));
	xsvm_protect(test, SVM_BASE, SZ_4K, PROT_READ);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_READ), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_in_vram(test, SVM_BASE));
}

/* Where there can't be one, the fault is answered so, at once. */
static void atomic_on_a_small_mapping(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_4K, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 0);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 1);
}

static struct kunit_case xe_svm_migrate_cases[] = {
	KUNIT_CASE_SLOW(new_memory_is_evicted),
	KUNIT_CASE(atomic_on_a_small_range),
	KUNIT_CASE(atomic_on_a_small_mapping),
	KUNIT_CASE(small_read_only_part),
	KUNIT_CASE(there_and_back),
	KUNIT_CASE(part_there_and_back),
	KUNIT_CASE(rest_follows),
	KUNIT_CASE(holes_are_zero),
	KUNIT_CASE(ram_is_preferred),
	KUNIT_CASE(files_stay),
	KUNIT_CASE(migration_fails),
	KUNIT_CASE(page_is_in_use),
	KUNIT_CASE(wait_for_a_page_is_interrupted),
	KUNIT_CASE(atomic_loses_its_page),
	KUNIT_CASE(write_loses_its_page),
	KUNIT_CASE(atomics_of_the_cpu),
	KUNIT_CASE(atomic_serves_its_page),
	KUNIT_CASE(eviction),
	KUNIT_CASE(eviction_fails),
	KUNIT_CASE(removal_brings_all_back),
	KUNIT_CASE(removal_is_not_interrupted),
	KUNIT_CASE(sleeping_device_is_not_waited_for),
	KUNIT_CASE(removal_ends_where_copies_fail),
	KUNIT_CASE(removal_of_a_wedged_device),
	KUNIT_CASE(wedged_device_gets_no_memory),
	KUNIT_CASE(partial_unmap),
	KUNIT_CASE(partial_unmap_of_large_pages),
	{}
};

static struct kunit_suite xe_svm_migrate_suite = {
	.name = "xe_svm_migrate",
	.init = xsvm_pagemap_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_migrate_cases,
};

kunit_test_suite(xe_svm_migrate_suite);
