// SPDX-License-Identifier: MIT
/*
 * Tests of ranges and their VM: their life, the garbage collector, and the end.
 */

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <drm/drm_file.h>

#include <kunit/resource.h>

#include <uapi/drm/xe_drm.h>

#include <trace/events/drm_gpusvm.h>

#include "tests/xe_svm_fixture.h"
#include "xe_defaults.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_module.h"
#include "xe_svm.h"
#include "xe_vm.h"
#include "xe_vm_madvise.h"

/* The test's VM, as its user calls it. */
#define VM_ID	1

/* ------------------------------------------------------------------------
 * The life of a range
 */

static void range_knows_its_device(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	range = xsvm_find_or_insert(test, SVM_BASE);

	KUNIT_EXPECT_PTR_EQ(test, range->pages.drm, &svm->xe->drm);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_TRUE(test, list_empty(&range->garbage_collector_link));
	KUNIT_EXPECT_EQ(test, range->tile_present, 0);

	KUNIT_EXPECT_EQ(test, xsvm_get_pages(test, range, false), 0);
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, range));
}

static void range_holds_its_vm(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int refs = kref_read(&svm->vm->gpuvm.kref);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, kref_read(&svm->vm->gpuvm.kref), refs + xsvm_stat(svm, ranges));

	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&svm->vm->gpuvm.kref), refs);
}

/* A range that nobody has unmapped takes its mapping along when it goes. */
static void free_unmaps(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	range = xsvm_find_or_insert(test, SVM_BASE);
	KUNIT_ASSERT_EQ(test, xsvm_get_pages(test, range, false), 0);
	KUNIT_ASSERT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps) + 1);

	down_write(&svm->vm->lock);
	drm_gpusvm_range_remove(&svm->vm->svm.gpusvm, &range->base);
	up_write(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
}

/* Both sides see what the other one has written. */
static void gpu_and_cpu_share_memory(struct kunit *test)
{
	xsvm_map(test, SVM_BASE, SZ_2M, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 1);
	xsvm_gpu_write(test, SVM_BASE + SZ_1M, 2);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_1M), 2);
}

/* ------------------------------------------------------------------------
 * Garbage collection
 */

static unsigned int garbage_length(struct kunit *test)
{
	struct xe_vm *vm = to_svm(test)->vm;

	guard(spinlock)(&vm->svm.garbage_collector.lock);

	return list_count_nodes(&vm->svm.garbage_collector.range_list);
}

static void unmap_hands_over_once(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);

	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_64K);

	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_TRUE(test, range->base.flags.unmapped);
	KUNIT_EXPECT_TRUE(test, range->base.flags.partial_unmap);
	KUNIT_EXPECT_TRUE(test, xsvm_collector_pending(test));

	xsvm_unmap(test, SVM_BASE + SZ_32K, PAGE_SIZE);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);

	/* What is mapped there later is not the range's. */
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 1);
	KUNIT_EXPECT_NE(test, xsvm_get_pages(test, range, false), 0);

	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_collector_pending(test));
}

/* What was never bound isn't unbound, but goes all the same. */
static void garbage_that_was_never_bound(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_find_or_insert(test, SVM_BASE);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_run_collector(test);

	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 0);
}

/**
 * struct test_removal - What ranges were like when they were removed
 *
 * @removals: Ranges that were removed
 * @mapped: Of those, the ones that were mapped still
 * @bound: Of those, the ones that had entries still
 */
struct test_removal {
	unsigned int removals;
	unsigned int mapped;
	unsigned int bound;
};

#if IS_BUILTIN(CONFIG_DRM_XE) && IS_ENABLED(CONFIG_TRACEPOINTS)
static void probe_removal(void *data, struct drm_gpusvm_range *r)
{
	struct xe_svm_range *range = to_xe_range(r);
	struct test_removal *removal = data;

	removal->removals++;
	removal->mapped += range->pages.flags.has_dma_mapping;
	removal->bound += !!(range->tile_present & ~range->tile_invalidated);
}

static void unwatch_removals(void *removal)
{
	unregister_trace_drm_gpusvm_range_remove(probe_removal, removal);
	tracepoint_synchronize_unregister();
}

static struct test_removal *watch_removals(struct kunit *test)
{
	struct test_removal *removal = kunit_kzalloc(test, sizeof(*removal), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, removal);
	KUNIT_ASSERT_EQ(test, 0, register_trace_drm_gpusvm_range_remove(probe_removal,
									removal));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unwatch_removals, removal));

	return removal;
}
#else
static struct test_removal *watch_removals(struct kunit *test)
{
	kunit_skip(test, "tracepoints of GPU SVM are not for modules");
}
#endif

static void expect_forgotten(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_svm_fixture *svm = to_svm(test);

	KUNIT_EXPECT_FALSE(test, range->base.flags.removed);
	KUNIT_EXPECT_FALSE(test, range->pages.flags.has_dma_mapping);
	/* Page tables are freed at once, and the job that unbinds isn't waited for. */
	KUNIT_EXPECT_TRUE(test, list_empty(&svm->gt->tlb_inval.pending_fences));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, xe_svm_range_start(range),
						  xe_svm_range_end(range)));
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
}

/* A range that is in use: zap, flush and unmap it, then unbind, then remove it. */
static void collector_keeps_the_order(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct test_removal *removal = watch_removals(test);
	struct xe_svm_range *range;

	range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	drm_gpusvm_range_get(&range->base);

	svm->before_flush = xsvm_expect_still_mapped;
	svm->before_unbind = expect_forgotten;
	down_write(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, xe_svm_ranges_collect(svm->vm, SVM_BASE, SVM_BASE + SZ_64K), 0);
	up_write(&svm->vm->lock);

	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_EQ(test, removal->removals, 1);
	KUNIT_EXPECT_EQ(test, removal->mapped, 0);
	KUNIT_EXPECT_EQ(test, removal->bound, 0);
	KUNIT_EXPECT_TRUE(test, range->base.flags.removed);
	KUNIT_EXPECT_FALSE(test, range->pages.flags.has_dma_mapping);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));

	drm_gpusvm_range_put(&range->base);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
}

/*
 * The CPU has unmapped memory, and the flush for it is still under way when the collector
 * comes: it waits for that.
 */
static void collector_waits_for_the_flush(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const struct mmu_interval_notifier_ops *ops;
	struct mmu_interval_notifier_finish *finish = NULL;
	struct mmu_interval_notifier *mni;
	struct mmu_notifier_range unmapped;
	struct xe_svm_range *range;

	range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	drm_gpusvm_range_get(&range->base);
	mni = &range->base.notifier->notifier;
	ops = mni->ops;
	mmu_notifier_range_init(&unmapped, MMU_NOTIFY_UNMAP, 0, current->mm, SVM_BASE,
				SVM_BASE + SZ_64K);
	unmapped.flags = MMU_NOTIFIER_RANGE_BLOCKABLE;

	svm->gpu.hold_flushes = 1;
	KUNIT_EXPECT_TRUE(test, ops->invalidate_start(mni, &unmapped, 1, &finish));
	KUNIT_ASSERT_NOT_NULL(test, finish);
	KUNIT_EXPECT_FALSE(test, list_empty(&svm->gt->tlb_inval.pending_fences));

	svm->before_unbind = expect_forgotten;
	down_write(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, xe_svm_ranges_collect(svm->vm, SVM_BASE, SVM_BASE + SZ_64K), 0);
	up_write(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	ops->invalidate_finish(finish);
	drm_gpusvm_range_put(&range->base);
}

/* The invalidation has unmapped; the collector and the end of the range do it again. */
static void unmapping_again_has_no_effect(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, unmaps), 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
}

/* Nothing is lost: the range stays what and where it is, and the VM ends. */
static void unbinding_fails(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);

	svm->gpu.unbind_err = -ENOMEM;
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_run_collector(test);

	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, SVM_BASE), range);
	KUNIT_EXPECT_FALSE(test, range->base.flags.removed);
	KUNIT_EXPECT_TRUE(test, xe_vm_is_banned(svm->vm));
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_READ), -ENOENT);

	/* It is collected with the VM. */
	svm->gpu.unbind_err = 0;
	xsvm_close_vm(test);
}

/* The rest of a range gets ranges of its own. */
static void partial_unmap_keeps_the_rest(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);

	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_64K);
	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);

	KUNIT_EXPECT_NE(test, xsvm_gpu_access(test, SVM_BASE, GPU_READ), 0);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + SZ_32K), SVM_BASE + SZ_32K);
	range = xsvm_range_at(test, SVM_BASE + SZ_32K);
	KUNIT_ASSERT_NOT_NULL(test, range);
	KUNIT_EXPECT_GE(test, xe_svm_range_start(range), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, range->base.flags.unmapped);
}

/* Ranges don't cross the border of a VMA that begins within them. */
static void ranges_give_way_to_a_vma(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *inside;

	xsvm_map(test, SVM_BASE, 2 * SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, 2 * SZ_64K);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	inside = xsvm_gpu_touch(test, SVM_BASE + SZ_64K, GPU_WRITE);
	KUNIT_ASSERT_EQ(test, xsvm_stat(svm, ranges), 2);

	down_write(&svm->vm->lock);
	svm->gpu.unbind_err = -ERESTARTSYS;
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS,
			xe_svm_unmap_address_range(svm->vm, SVM_BASE + SZ_32K,
						   SVM_BASE + 2 * SZ_64K));
	svm->gpu.unbind_err = 0;
	KUNIT_EXPECT_EQ(test, 0, xe_svm_unmap_address_range(svm->vm, SVM_BASE + SZ_32K,
							    SVM_BASE + 2 * SZ_64K));
	up_write(&svm->vm->lock);

	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 1);
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, SVM_BASE + SZ_64K), inside);
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, inside));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_64K,
						 SVM_BASE + 2 * SZ_64K));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

/* ------------------------------------------------------------------------
 * The end of a VM
 */

/* As xe_vm_close() leaves it, with page tables that nobody may touch any more. */
static void close_but_keep(struct xe_vm *vm)
{
	down_write(&vm->lock);
	vm->size = 0;
	up_write(&vm->lock);
}

static int fault_directly(struct kunit *test, u64 addr)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;
	int err;

	down_write(&svm->vm->lock);
	err = xe_svm_handle_pagefault(svm->vm, svm->mirror, svm->gt, addr, GPU_READ, true,
				      &served);
	up_write(&svm->vm->lock);

	return err;
}

static void closed_vm(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range, *garbage;

	range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	garbage = xsvm_map_and_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	xsvm_unmap(test, SVM_BASE + SZ_2M, SZ_64K);
	KUNIT_ASSERT_TRUE(test, xsvm_collector_pending(test));
	KUNIT_ASSERT_EQ(test, svm->gpu.zaps, 1);
	close_but_keep(svm->vm);

	/* Nothing is served any more. */
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_READ), -ENOENT);
	KUNIT_EXPECT_EQ(test, fault_directly(test, SVM_BASE), -ENOENT);

	/* An invalidation unmaps, and that is all. */
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, range->pages.flags.has_dma_mapping);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_FALSE(test, range->base.flags.unmapped);

	/* The collector leaves everything as it is. */
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_FALSE(test, garbage->base.flags.removed);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 2);
}

/* The device goes, and the process doesn't notice before it uses it. */
static void device_is_removed(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	unsigned int zaps = svm->gpu.zaps, flushes;

	svm->xe->drm.unplugged = true;
	xe_svm_remove_device(svm->xe);
	flushes = svm->gpu.nr_flushes;
	KUNIT_EXPECT_TRUE(test, xe_vm_is_closed(svm->vm));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages));
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_READ), -ENOENT);
	KUNIT_EXPECT_EQ(test, fault_directly(test, SVM_BASE), -ENOENT);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), SVM_BASE);

	/* Neither page tables nor workqueues are there any more. */
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_collector_pending(test));
	xsvm_close_vm(test);
	svm->xe->drm.unplugged = false;
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, zaps);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, flushes);
}

/* The engines still run where a VM is closed before the removal comes to it. */
static void closed_before_it_is_removed(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int flushes;

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	flushes = svm->gpu.nr_flushes;

	svm->xe->drm.unplugged = true;
	xsvm_close_vm(test);
	KUNIT_EXPECT_GT(test, svm->gpu.nr_flushes, flushes);

	flushes = svm->gpu.nr_flushes;
	xe_svm_remove_device(svm->xe);
	svm->xe->drm.unplugged = false;
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, flushes);
}

/* A kill would get lost, and this is a thread of the kernel, which would keep any other. */
static void expect_signals(struct kunit *test, struct xe_svm_range *range)
{
	KUNIT_EXPECT_FALSE(test, sigismember(&current->blocked, SIGKILL));
	KUNIT_EXPECT_FALSE(test, sigismember(&current->blocked, SIGALRM));
}

/* A job waits for room. Who is interrupted by that comes again, and the VM is as it was. */
static void collection_is_interrupted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, cancel_work(&svm->vm->svm.garbage_collector.work));
	svm->before_unbind = expect_signals;
	svm->gpu.unbind_err = -ERESTARTSYS;
	KUNIT_EXPECT_EQ(test, xe_svm_flush(svm->vm), -ERESTARTSYS);
	KUNIT_EXPECT_FALSE(test, sigismember(&current->blocked, SIGALRM));
	KUNIT_EXPECT_FALSE(test, xe_vm_is_banned(svm->vm));
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_TRUE(test, xsvm_collector_pending(test));

	svm->gpu.unbind_err = 0;
	KUNIT_EXPECT_EQ(test, xe_svm_flush(svm->vm), 0);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
}

/* A file that has the test's VM */
static struct drm_file *open_file(struct kunit *test)
{
	struct drm_file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	struct xe_file *xef = kunit_kzalloc(test, sizeof(*xef), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_NOT_NULL(test, xef);
	xa_init(&xef->vm.xa);
	mutex_init(&xef->vm.lock);
	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store(&xef->vm.xa, VM_ID, to_svm(test)->vm,
						    GFP_KERNEL)));
	file->driver_priv = xef;

	return file;
}

static void close_file(struct drm_file *file)
{
	struct xe_file *xef = to_xe_file(file);

	xa_destroy(&xef->vm.xa);
	mutex_destroy(&xef->vm.lock);
}

/* Who goes on all the same finds that the VM is of no use. */
static void ban_before_unbind(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->vm->flags |= XE_VM_FLAG_BANNED;
}

/* The collector takes up what calls have left, and the VM is as it was. */
static void expect_still_good(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->vm->flags &= ~XE_VM_FLAG_BANNED;
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	KUNIT_EXPECT_TRUE(test, xsvm_collector_pending(test));
}

/* Calls that have to collect it come again, too. */
static void collection_for_calls_is_interrupted(struct kunit *test)
{
	struct drm_xe_vm_bind bind = { .vm_id = VM_ID };
	struct drm_xe_madvise madvise = {
		.vm_id = VM_ID,
		.start = SVM_BASE,
		.range = SZ_64K,
		.type = DRM_XE_MEM_RANGE_ATTR_ATOMIC,
	};
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_file *file = open_file(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	svm->before_unbind = ban_before_unbind;
	svm->gpu.unbind_err = -ERESTARTSYS;
	KUNIT_EXPECT_EQ(test, xe_vm_bind_ioctl(&svm->xe->drm, &bind, file), -ERESTARTSYS);
	expect_still_good(test);
	KUNIT_EXPECT_EQ(test, xe_vm_madvise_ioctl(&svm->xe->drm, &madvise, file),
			-ERESTARTSYS);
	expect_still_good(test);
	close_file(file);

	svm->before_unbind = NULL;
	svm->gpu.unbind_err = 0;
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
}

static int killed_err;

static void flush_and_be_killed(struct kunit *test)
{
	allow_kernel_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	killed_err = xe_svm_flush(to_svm(test)->vm);
	disallow_signal(SIGKILL);
}

/* Others have the VM for as long as they like. */
static void killed_caller_does_not_wait_to_collect(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	killed_err = 0;
	down_read(&svm->vm->lock);
	xsvm_start_meanwhile(test, flush_and_be_killed);
	KUNIT_EXPECT_TRUE(test, xsvm_meanwhile_ends(test));
	up_read(&svm->vm->lock);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_EQ(test, killed_err, -EINTR);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	xsvm_run_collector(test);
}

static void be_killed_before_unbind(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_unbind = NULL;
	send_sig(SIGKILL, current, 1);
}

static void flush_until_killed(struct kunit *test)
{
	allow_kernel_signal(SIGKILL);
	to_svm(test)->before_unbind = be_killed_before_unbind;
	killed_err = xe_svm_flush(to_svm(test)->vm);
	disallow_signal(SIGKILL);
}

/* There may be any number of ranges. The collector has those that are left. */
static void killed_caller_collects_no_more(struct kunit *test)
{
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_and_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE + SZ_2M, SZ_64K);
	killed_err = 0;
	xsvm_start_meanwhile(test, flush_until_killed);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_EQ(test, killed_err, -EINTR);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 1);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, garbage_length(test), 0);
}

/* A fault that has to collect it is tried again. */
static void collection_for_a_fault_is_interrupted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	svm->gpu.unbind_err = -ERESTARTSYS;
	svm->acks = 0;
	xsvm_raise_fault(test, SVM_BASE, GPU_READ);
	KUNIT_EXPECT_TRUE(test, xsvm_serve_once(test));
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
	KUNIT_EXPECT_FALSE(test, xe_vm_is_banned(svm->vm));

	svm->gpu.unbind_err = 0;
	while (xsvm_serve_once(test))
		;
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, 0);
}

/* The VM ends while ranges are mapped and garbage is not collected. */
static void end_unmaps_what_is_left(struct kunit *test)
{
	struct test_removal *removal = watch_removals(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_and_touch(test, SVM_BORDER, SZ_64K);
	xsvm_map_and_touch(test, SVM_BASE + SZ_2M, SZ_64K);
	xsvm_unmap(test, SVM_BASE + SZ_2M, SZ_64K);
	KUNIT_EXPECT_TRUE(test, xsvm_collector_pending(test));

	xsvm_close_vm(test);

	/* While invalidations could still find them, none was mapped any more. */
	KUNIT_EXPECT_EQ(test, removal->removals, 3);
	KUNIT_EXPECT_EQ(test, removal->mapped, 0);
}

/* The process ends before the VM does. */
static void process_ends_first(struct kunit *test)
{
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_and_touch(test, SVM_BORDER, SZ_64K);
	/* The test's mm goes with its task, the VM after that in the fixture's exit. */
}

/* A VM without faults has no mirror, and no ranges. */
static void vm_without_faults(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_close_vm(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE);
	KUNIT_EXPECT_NULL(test, svm->vm->svm.gpusvm.mm);
	KUNIT_EXPECT_NULL(test, svm->vm->svm.peer.owner);
	xe_svm_flush(svm->vm);
}

/* ------------------------------------------------------------------------
 * Questions
 */

/* A window that can't be is no reason to have no VM. */
static void window_of_an_odd_size(struct kunit *test)
{
	const u32 before = xe_modparam.svm_notifier_size;
	const u32 sizes[] = { 300, 0, 4096 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		xsvm_close_vm(test);
		xe_modparam.svm_notifier_size = sizes[i];
		xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
		xe_modparam.svm_notifier_size = before;
		KUNIT_EXPECT_EQ(test, to_svm(test)->vm->svm.gpusvm.notifier_size,
				is_power_of_2(sizes[i]) ? sizes[i] * (u64)SZ_1M :
				XE_DEFAULT_SVM_NOTIFIER_SIZE * (u64)SZ_1M);
	}
}

static void questions_about_ranges(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;
	struct xe_vm *vm = svm->vm;

	xsvm_map(test, SVM_BASE + SZ_64K, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE + SZ_64K, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xe_svm_has_mapping(vm, SVM_BASE, SVM_END));
	range = xsvm_find_or_insert(test, SVM_BASE + SZ_64K);
	KUNIT_EXPECT_TRUE(test, xe_svm_has_mapping(vm, SVM_BASE, SVM_END));
	KUNIT_EXPECT_FALSE(test, xe_svm_has_mapping(vm, SVM_BASE, SVM_BASE + SZ_64K));

	KUNIT_EXPECT_EQ(test, xe_svm_find_vma_start(vm, 0, SVM_END, svm->mirror),
			SVM_BASE + SZ_64K);
	KUNIT_EXPECT_EQ(test, xe_svm_find_vma_start(vm, SVM_BASE + 2 * SZ_64K, SVM_END,
						    svm->mirror), ULONG_MAX);

	/* Bound is what has entries that nobody has zapped, on all of the tiles. */
	down_write(&vm->lock);
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0), NULL));
	up_write(&vm->lock);
	xsvm_gpu_touch(test, SVM_BASE + SZ_64K, GPU_READ);
	down_write(&vm->lock);
	KUNIT_EXPECT_TRUE(test, xe_svm_range_validate(vm, range, BIT(0), NULL));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0) | BIT(1), NULL));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0), (void *)1ul));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_needs_migrate_to_vram(range, svm->mirror,
								    NULL));

	up_write(&vm->lock);
	xsvm_unmap(test, SVM_BASE + SZ_64K, SZ_64K);
	down_write(&vm->lock);
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0), NULL));
	up_write(&vm->lock);
}

/* Attributes change: the entries have to go, the pages may stay. */
static void zap_an_interval(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *in, *out;
	struct xe_vm *vm = svm->vm;

	in = xsvm_map_and_touch(test, SVM_BORDER - SZ_64K, SZ_64K);
	out = xsvm_map_and_touch(test, SVM_BORDER, SZ_64K);

	down_write(&vm->lock);
	xe_svm_notifier_lock(vm);
	KUNIT_EXPECT_EQ(test, xe_svm_ranges_zap_ptes_in_range(vm, SVM_BASE, SVM_BORDER),
			BIT(0));
	KUNIT_EXPECT_EQ(test, xe_svm_ranges_zap_ptes_in_range(vm, SVM_BASE, SVM_BORDER), 0);
	KUNIT_EXPECT_EQ(test, in->tile_invalidated, BIT(0));
	KUNIT_EXPECT_EQ(test, out->tile_invalidated, 0);
	KUNIT_EXPECT_TRUE(test, xe_svm_range_pages_valid(in));
	xe_svm_notifier_unlock(vm);
	up_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
}

static struct kunit_case xe_svm_cases[] = {
	KUNIT_CASE(range_knows_its_device),
	KUNIT_CASE(range_holds_its_vm),
	KUNIT_CASE(free_unmaps),
	KUNIT_CASE(gpu_and_cpu_share_memory),
	KUNIT_CASE(unmap_hands_over_once),
	KUNIT_CASE(garbage_that_was_never_bound),
	KUNIT_CASE(collector_keeps_the_order),
	KUNIT_CASE(collector_waits_for_the_flush),
	KUNIT_CASE(unmapping_again_has_no_effect),
	KUNIT_CASE(unbinding_fails),
	KUNIT_CASE(collection_is_interrupted),
	KUNIT_CASE(collection_for_a_fault_is_interrupted),
	KUNIT_CASE(collection_for_calls_is_interrupted),
	KUNIT_CASE(killed_caller_does_not_wait_to_collect),
	KUNIT_CASE(killed_caller_collects_no_more),
	KUNIT_CASE(partial_unmap_keeps_the_rest),
	KUNIT_CASE(ranges_give_way_to_a_vma),
	KUNIT_CASE(closed_vm),
	KUNIT_CASE(device_is_removed),
	KUNIT_CASE(closed_before_it_is_removed),
	KUNIT_CASE(end_unmaps_what_is_left),
	KUNIT_CASE(process_ends_first),
	KUNIT_CASE(vm_without_faults),
	KUNIT_CASE(window_of_an_odd_size),
	KUNIT_CASE(questions_about_ranges),
	KUNIT_CASE(zap_an_interval),
	{}
};

static struct kunit_suite xe_svm_suite = {
	.name = "xe_svm",
	.init = xe_svm_fixture_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_cases,
};

kunit_test_suite(xe_svm_suite);
