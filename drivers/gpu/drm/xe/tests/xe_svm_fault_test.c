// SPDX-License-Identifier: MIT
/*
 * Tests of xe_svm_fault.c: what a fault is answered, and what is there then.
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>

#include <uapi/drm/xe_drm.h>

#include <trace/events/dma.h>

#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_svm.h"
#include "xe_vm.h"

/* The fault has to be answered with an error, and the user to be told of it. */
static void expect_failed(struct kunit *test, u64 addr, u8 access, int err)
{
	struct xe_vm *vm = to_svm(test)->vm;
	unsigned int recorded = vm->faults.len;
	struct xe_vm_fault_entry *entry;

	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, addr, access), err);
	KUNIT_ASSERT_EQ(test, vm->faults.len, recorded + 1);

	entry = list_last_entry(&vm->faults.list, struct xe_vm_fault_entry, list);
	KUNIT_EXPECT_EQ(test, entry->address, ALIGN_DOWN(addr, SZ_4K));
	KUNIT_EXPECT_EQ(test, entry->access_type, access);
}

static void expect_served(struct kunit *test, u64 addr, u8 access)
{
	struct xe_vm *vm = to_svm(test)->vm;
	unsigned int recorded = vm->faults.len;

	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, addr, access), 0);
	KUNIT_EXPECT_EQ(test, vm->faults.len, recorded);
}

/* ------------------------------------------------------------------------
 * Access
 */

static void memory_that_may_only_be_read(struct kunit *test)
{
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	const u64 addr = SVM_BASE + SZ_2M;

	xsvm_touch(test, SVM_BASE, SZ_64K);
	xsvm_map_file_at(test, file, addr, SZ_64K, PROT_READ);

	expect_failed(test, addr, GPU_WRITE, -EPERM);
	expect_served(test, addr, GPU_READ);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), SVM_BASE);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_pte(test, addr) & GPU_PTE_WRITE);

	expect_failed(test, addr, GPU_WRITE, -EPERM);
	expect_failed(test, addr, GPU_ATOMIC, -EPERM);

	/* What was there before is still there, though the GPU was told no. */
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), SVM_BASE);
}

static void memory_without_permissions(struct kunit *test)
{
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_NONE);
	expect_failed(test, SVM_BASE, GPU_READ, -EPERM);
	expect_failed(test, SVM_BASE, GPU_WRITE, -EPERM);
}

/* The mirror says less than the CPU's mapping. */
static void mirror_that_may_only_be_read(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->gpuva.flags |= XE_VMA_READ_ONLY;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);

	expect_failed(test, SVM_BASE, GPU_WRITE, -EPERM);
	expect_failed(test, SVM_BASE, GPU_ATOMIC, -EPERM);
	expect_served(test, SVM_BASE, GPU_READ | XE_PAGEFAULT_ACCESS_PREFETCH);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

/* Reading takes no memory, and what the CPU writes then is seen. */
static void reading_leaves_copy_on_write_alone(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 0);
	KUNIT_EXPECT_TRUE(test, is_zero_pfn(PHYS_PFN(xsvm_gpu_pte(test, SVM_BASE))));

	xsvm_write(test, SVM_BASE, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 1);
	xsvm_gpu_write(test, SVM_BASE, 2);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 2);
	KUNIT_EXPECT_EQ(test, svm->vm->faults.len, 0);
}

/* What can be written may be read, and be the aim of atomics: one fault does. */
static void writing_serves_all(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int acks;

	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	expect_served(test, SVM_BASE, GPU_WRITE);
	acks = svm->acks;
	expect_served(test, SVM_BASE, GPU_READ);
	expect_served(test, SVM_BASE, GPU_ATOMIC);
	KUNIT_EXPECT_EQ(test, svm->acks, acks);
}

/* Engines fault on the same page at the same time. It is mapped once. */
static void fault_that_was_served_already(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_READ), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 1);
}

/* ------------------------------------------------------------------------
 * Errors
 */

static void nothing_is_mapped(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	/* Neither by the CPU ... */
	expect_failed(test, SVM_BASE, GPU_READ, -ENOENT);
	/* ... nor by the GPU. */
	expect_failed(test, SVM_END, GPU_READ, -EINVAL);

	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, notifiers), 0);
}

/*
 * Behind the end of a file there is no memory. The pages before it are served, by the
 * range that is for all of it, and the others refused, neither after many attempts.
 * What comes there later is served.
 */
static void end_of_a_file(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;
	unsigned int binds;
	struct file *file;

	file = xsvm_map_file(test, SVM_BASE, SZ_64K, 2 * PAGE_SIZE);
	xsvm_touch(test, SVM_BASE, 2 * PAGE_SIZE);

	expect_served(test, SVM_BASE, GPU_READ);
	range = xsvm_range_at(test, SVM_BASE);
	KUNIT_ASSERT_NOT_NULL(test, range);
	KUNIT_EXPECT_EQ(test, xe_svm_range_size(range), SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE),
			SVM_BASE + PAGE_SIZE);
	binds = svm->gpu.binds;

	expect_failed(test, SVM_BASE + 2 * PAGE_SIZE, GPU_READ, -EFAULT);
	expect_failed(test, SVM_BASE + SZ_32K, GPU_WRITE, -EFAULT);
	KUNIT_EXPECT_EQ(test, svm->gpu.binds, binds);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);

	/* Faults of others on a page that is there are served all the same. */
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_READ), 0);

	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, SZ_64K));
	xsvm_gpu_write(test, SVM_BASE + SZ_32K, 1);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_32K), 1);
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, SVM_BASE), range);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 0);
}

/* Half of it is there for reading only, since a write has to make a copy first. */
static void memory_that_is_partly_for_reading(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const u64 zeroes = SVM_BASE + SZ_1M;
	u64 i;

	xsvm_map(test, SVM_BASE, SZ_2M, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_1M);
	for (i = zeroes; i < SVM_BASE + SZ_2M; i += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, xsvm_read(test, i), 0);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, zeroes), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_pte(test, zeroes) & GPU_PTE_WRITE);

	xsvm_gpu_write(test, SVM_BASE, 1);
	xsvm_gpu_write(test, zeroes + PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 1);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, zeroes + PAGE_SIZE), 2);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE),
			SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, zeroes + 2 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, svm->vm->faults.len, 0);
}

static void binding_fails(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	svm->gpu.bind_err = -EIO;
	expect_failed(test, SVM_BASE, GPU_READ, -EIO);
	svm->gpu.bind_err = 0;
	expect_served(test, SVM_BASE, GPU_READ);
}

static void vm_is_banned(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;
	struct xe_vm *vm = svm->vm;

	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	down_write(&vm->lock);
	xe_vm_kill(vm, true);
	KUNIT_EXPECT_EQ(test, xe_svm_handle_pagefault(vm, svm->mirror, svm->gt, SVM_BASE,
						      GPU_READ, true, &served), -ENOENT);
	up_write(&vm->lock);
	/* It has no VMAs for the GPU any more. */
	expect_failed(test, SVM_BASE, GPU_READ, -EINVAL);
}

#if IS_BUILTIN(CONFIG_DRM_XE) && IS_ENABLED(CONFIG_FAULT_INJECTION) && \
	IS_ENABLED(CONFIG_TRACEPOINTS)
/* More allocations than a fault makes. */
#define MAX_ALLOCATIONS	100

/* Once a page is mapped, failures would only hit the debugging of the DMA API. */
static void end_failures(void *left, struct device *dev, phys_addr_t phys,
			 dma_addr_t dma, size_t size, enum dma_data_direction dir,
			 unsigned long attrs)
{
	int nth = xsvm_stop_failures();

	if (nth)
		*(int *)left = nth;
}

static void unwatch_mappings(void *left)
{
	unregister_trace_dma_map_phys(end_failures, left);
	tracepoint_synchronize_unregister();
}

static int *watch_mappings(struct kunit *test)
{
	int *left = kunit_kzalloc(test, sizeof(*left), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, left);
	KUNIT_ASSERT_EQ(test, 0, register_trace_dma_map_phys(end_failures, left));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unwatch_mappings, left));

	return left;
}

static void need_failures(struct kunit *test)
{
	void *p;

	xsvm_resume_failures(1);
	p = kmalloc(64, GFP_KERNEL);
	xsvm_stop_failures();
	kfree(p);
	if (p)
		kunit_skip(test, "needs CONFIG_FAILSLAB and N in debugfs failslab/ignore-gfp-wait");
}

/*
 * Each allocation fails in turn. The fault waits for memory, or does without, and is
 * served.
 */
static void memory_is_short(struct kunit *test)
{
	int n, *left = watch_mappings(test);
	u64 addr;

	need_failures(test);
	for (n = 1; n < MAX_ALLOCATIONS && !*left; n++) {
		addr = SVM_BASE + n * SZ_2M;
		xsvm_map(test, addr, PAGE_SIZE, PROT_RW);
		xsvm_touch(test, addr, PAGE_SIZE);

		xsvm_resume_failures(n);
		KUNIT_EXPECT_EQ(test, xsvm_fault(test, addr, GPU_WRITE), 0);
		xsvm_stop_failures();

		KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, addr, addr + PAGE_SIZE));
	}
	/* In the end nothing failed any more. */
	KUNIT_EXPECT_GT(test, n, 2);
	KUNIT_EXPECT_GT(test, *left, 0);
}

/* Count mappings: those while the range counts as bound, and others. */
static void note_mapping(void *data, struct device *dev, phys_addr_t phys,
			 dma_addr_t dma, size_t size, enum dma_data_direction dir,
			 unsigned long attrs)
{
	struct xe_svm_range *range = to_svm(kunit_get_current_test())->arg;
	unsigned int *seen = data;

	seen[!(READ_ONCE(range->tile_present) & ~READ_ONCE(range->tile_invalidated))]++;
}

static void unwatch_range(void *seen)
{
	unregister_trace_dma_map_phys(note_mapping, seen);
	tracepoint_synchronize_unregister();
}

/*
 * Of two pages that are missing one is bound, and the range counts as bound, since there
 * is no more. Before the other one comes it must not, or what invalidates a third page
 * then would be all that is known to be missing.
 */
static void range_is_not_bound_while_pages_come(struct kunit *test)
{
	unsigned int *seen = kunit_kcalloc(test, 2, sizeof(*seen), GFP_KERNEL);
	const u64 first = SVM_BASE, second = SVM_BASE + SZ_1M;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	expect_served(test, SVM_BASE, GPU_WRITE);
	xsvm_zap(file, first - SVM_BASE, PAGE_SIZE);
	xsvm_zap(file, second - SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, first, GPU_WRITE), 0);

	to_svm(test)->arg = xsvm_range_at(test, SVM_BASE);
	KUNIT_ASSERT_EQ(test, 0, register_trace_dma_map_phys(note_mapping, seen));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unwatch_range, seen));
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, second, GPU_WRITE), 0);
	kunit_release_action(test, unwatch_range, seen);
	KUNIT_EXPECT_EQ(test, seen[0], 0);
	KUNIT_EXPECT_EQ(test, seen[1], 1);
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, second, second + PAGE_SIZE));
}
#else
static void memory_is_short(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_FAULT_INJECTION, and xe built in");
}

static void range_is_not_bound_while_pages_come(struct kunit *test)
{
	memory_is_short(test);
}
#endif

static int get_pages_later(struct xe_vm *vm, struct xe_svm_range *range,
			   struct drm_gpusvm_ctx *ctx)
{
	kunit_deactivate_static_stub(kunit_get_current_test(), xe_svm_range_get_pages);

	return -ENOMEM;
}

/* The tables of an IOMMU, say, need memory that there will be when the fault is back. */
static void memory_for_pages_is_short(struct kunit *test)
{
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	kunit_activate_static_stub(test, xe_svm_range_get_pages, get_pages_later);
	expect_served(test, SVM_BASE, GPU_WRITE);
}

static int get_no_pages(struct xe_vm *vm, struct xe_svm_range *range,
			struct drm_gpusvm_ctx *ctx)
{
	return -ENOMEM;
}

/* It may last. The fault comes back as long as nobody kills the process. */
static void memory_for_pages_stays_short(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_served served;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	kunit_activate_static_stub(test, xe_svm_range_get_pages, get_no_pages);
	down_read(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			xe_svm_handle_pagefault(svm->vm, svm->mirror, svm->gt, SVM_BASE,
						GPU_WRITE, false, &served));
	up_read(&svm->vm->lock);
	kunit_deactivate_static_stub(test, xe_svm_range_get_pages);
	expect_served(test, SVM_BASE, GPU_WRITE);
}

/* ------------------------------------------------------------------------
 * Races with the CPU
 */

/**
 * struct test_race - The CPU gets in between getting pages and binding them
 *
 * @file: What is mapped
 * @left: How often; negative for each time
 * @times: How often it did
 */
struct test_race {
	struct file *file;
	int left;
	unsigned int times;
};

static void race_bind(struct kunit *test, struct xe_svm_range *range)
{
	struct test_race *race = to_svm(test)->arg;

	if (!race->left)
		return;
	race->left--;
	race->times++;
	xsvm_zap(race->file, 0, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
}

static void start_race(struct kunit *test, struct test_race *race, int left)
{
	struct xe_svm_fixture *svm = to_svm(test);

	race->file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	race->left = left;
	race->times = 0;
	xsvm_touch_scattered(test, SVM_BASE, SZ_64K);
	svm->arg = race;
	svm->before_bind = race_bind;
}

static void cpu_is_faster_at_first(struct kunit *test)
{
	struct test_race race;

	start_race(test, &race, 5);
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, race.times, 5);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

static void get_range(struct kunit *test, struct xe_svm_range *range,
		      struct drm_gpusvm_ctx ctx)
{
	struct xe_vm *vm = to_svm(test)->vm;

	down_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, xe_svm_range_get_pages(vm, range, &ctx), 0);
	up_write(&vm->lock);
}

static void expect_to_bind(struct kunit *test, struct xe_svm_range *range, u8 tile_id,
			   u64 start, u64 end)
{
	struct xe_vm *vm = to_svm(test)->vm;
	u64 from, to;

	xe_svm_notifier_lock(vm);
	xe_svm_range_to_bind(range, tile_id, &from, &to);
	xe_svm_notifier_unlock(vm);
	KUNIT_EXPECT_EQ(test, from, start);
	KUNIT_EXPECT_EQ(test, to, end);
}

/* The bind that succeeds is the first one, and no entries are missing after it. */
static void what_was_lost_before_the_bind_is_forgotten(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;
	struct test_race race;

	start_race(test, &race, 1);
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, race.times, 1);
	range = xsvm_range_at(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, range->hole.start, range->hole.end);

	/* Nor are they when a prefetch finds that it has nothing to do. */
	svm->before_bind = NULL;
	get_range(test, range, (struct drm_gpusvm_ctx) {});
	expect_to_bind(test, range, 0, SVM_BASE, SVM_BASE + SZ_64K);
	KUNIT_EXPECT_EQ(test, range->tile_invalidated, 0);
}

/*
 * What is lost, or given back, before anything is bound is missing as the rest is. What
 * comes last is a page that was neither the one that was lost nor the one that was bound.
 */
static void pages_that_were_never_bound_are_missing(struct kunit *test)
{
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;
	struct xe_vm *vm = svm->vm;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	/* There is a range, and nothing of it was ever bound. */
	svm->gpu.bind_err = -ENOSPC;
	expect_failed(test, SVM_BASE + SZ_1M, GPU_READ, -ENOSPC);
	range = xsvm_range_at(test, SVM_BASE);
	xsvm_zap(file, 0, SZ_2M);
	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_2M);
	get_range(test, range, (struct drm_gpusvm_ctx) {
		.partial = true, .fault_addr = SVM_BASE + SZ_1M, .read_only = true,
	});
	xsvm_zap(file, 0, PAGE_SIZE);
	get_range(test, range, (struct drm_gpusvm_ctx) {
		.partial = true, .fault_addr = SVM_BASE + SZ_512K, .alone = true,
	});
	down_write(&vm->lock);
	xe_svm_notifier_lock(vm);
	xe_svm_range_note_bound(range, 0, NULL, NULL);
	xe_svm_notifier_unlock(vm);
	up_write(&vm->lock);
	get_range(test, range, (struct drm_gpusvm_ctx) {
		.partial = true, .fault_addr = SVM_BASE + SZ_1M, .read_only = true,
	});
	expect_to_bind(test, range, 0, SVM_BASE, SVM_BASE + SZ_2M);
}

/* One tile has all of its entries again, and what another one lacks is as it was. */
static void each_tile_binds_what_it_lacks(struct kunit *test)
{
	const u64 lost = SVM_BASE + SZ_512K;
	struct xe_svm_range *range;
	struct xe_vm *vm = to_svm(test)->vm;
	struct file *file;

	file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	expect_served(test, SVM_BASE, GPU_WRITE);
	range = xsvm_range_at(test, SVM_BASE);
	xsvm_zap(file, lost - SVM_BASE, PAGE_SIZE);
	get_range(test, range, (struct drm_gpusvm_ctx) { .partial = true, .fault_addr = lost });

	/* The fake GPU has one tile: let there be another one that lacks the same. */
	xe_svm_notifier_lock(vm);
	range->tile_present |= BIT(1);
	range->tile_partial |= BIT(1);
	range->tile_invalidated |= BIT(1);
	xe_svm_range_note_bound(range, 0, NULL, NULL);
	xe_svm_notifier_unlock(vm);
	expect_to_bind(test, range, 1, lost, lost + SZ_64K);

	xe_svm_notifier_lock(vm);
	xe_svm_range_note_bound(range, 1, NULL, NULL);
	range->tile_present &= ~BIT(1);
	xe_svm_notifier_unlock(vm);
	KUNIT_EXPECT_EQ(test, range->hole.start, range->hole.end);
}

/* A prefetch asks for all, also for what is missing in the midst of what is there. */
static void prefetch_fills_what_is_missing(struct kunit *test)
{
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_range *range;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	expect_served(test, SVM_BASE, GPU_WRITE);
	range = xsvm_range_at(test, SVM_BASE);
	xsvm_zap(file, SZ_512K, PAGE_SIZE);
	xsvm_zap(file, SZ_1M, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	get_range(test, range, (struct drm_gpusvm_ctx) {});
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, range));
	expect_served(test, SVM_BASE + SZ_512K, GPU_WRITE);
	expect_served(test, SVM_BASE + SZ_1M, GPU_WRITE);
}

static void race_bind_for_long(struct kunit *test, struct xe_svm_range *range)
{
	/* Somebody else can have the VM now and then. */
	if (to_svm(test)->rounds < 3)
		race_bind(test, range);
}

/*
 * A fault that loses all the time is not answered as one that can't be served. It goes
 * back, and others have the VM's lock. When the CPU leaves it alone it is served.
 */
static void cpu_is_faster_for_long(struct kunit *test)
{
	struct test_race race;

	start_race(test, &race, -1);
	to_svm(test)->before_bind = race_bind_for_long;
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_GE(test, to_svm(test)->rounds, 3);
	KUNIT_EXPECT_GT(test, race.times, 3);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

/* It is not tried for ever on behalf of a VM that is closed. */
static void cpu_is_faster_until_the_end(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct test_race race;

	start_race(test, &race, -1);
	xsvm_raise_fault(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_TRUE(test, xsvm_serve_once(test));
	KUNIT_EXPECT_EQ(test, svm->acks, 0);
	KUNIT_EXPECT_GT(test, race.times, 0);

	down_write(&svm->vm->lock);
	svm->vm->size = 0;
	up_write(&svm->vm->lock);
	while (xsvm_serve_once(test))
		;
	KUNIT_EXPECT_EQ(test, svm->acks, 1);
	KUNIT_EXPECT_EQ(test, svm->ack, -ENOENT);
}

static void race_beside_bind(struct kunit *test, struct xe_svm_range *range)
{
	struct test_race *race = to_svm(test)->arg;

	race->times++;
	xsvm_zap(race->file, PAGE_SIZE, SZ_64K - PAGE_SIZE);
}

/* Each attempt loses other pages than that of the fault, which is bound alone then. */
static void cpu_changes_neighbours_forever(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct test_race race;

	start_race(test, &race, -1);
	svm->before_bind = NULL;
	svm->before_commit = race_beside_bind;
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_GT(test, race.times, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + PAGE_SIZE,
						  SVM_BASE + SZ_64K));

	/* The others come when they are asked for. */
	svm->before_commit = NULL;
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE),
			SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_64K - PAGE_SIZE,
						 SVM_BASE + SZ_64K));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

/* More of them than a fault needs. */
#define MAX_RACES	100

static void race_beside_bind_at_times(struct kunit *test, struct xe_svm_range *range)
{
	struct test_race *race = to_svm(test)->arg;

	if (race->times < MAX_RACES)
		race_beside_bind(test, range);
}

/* The same where they are in a row, and so mapped, and taken, in one piece. */
static void cpu_changes_neighbours_in_a_row(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct test_race race = { };

	race.file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	svm->arg = &race;
	svm->before_commit = race_beside_bind_at_times;
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_LT(test, race.times, MAX_RACES);
	svm->before_commit = NULL;
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

static void race_far_from_bind(struct kunit *test, struct xe_svm_range *range)
{
	struct test_race *race = to_svm(test)->arg;

	xsvm_zap(race->file, SZ_1M + race->times++ * PAGE_SIZE, PAGE_SIZE);
}

/* The first bind of all is for one page, so that entries are missing everywhere else. */
static void cpu_changes_a_part_before_the_first_bind(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct test_race race = {
		.file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M),
	};
	u64 addr;

	xsvm_touch(test, SVM_BASE, SZ_2M);
	svm->arg = &race;
	svm->before_commit = race_far_from_bind;
	expect_served(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_GT(test, race.times, 1);
	svm->before_commit = NULL;
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_2M; addr += SZ_512K)
		KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), addr);
}

static void replace_memory(struct kunit *test)
{
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_map(test, SVM_BASE, PAGE_SIZE, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);
}

static void replace_before_bind(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_bind = NULL;
	xsvm_meanwhile(test, replace_memory);
}

/* The memory is replaced meanwhile: the range that was for the old one goes first. */
static void memory_is_replaced_meanwhile(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	svm->before_bind = replace_before_bind;
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 1);
	KUNIT_EXPECT_EQ(test, xe_svm_range_size(xsvm_range_at(test, SVM_BASE)), PAGE_SIZE);
}

static void unmap_memory(struct kunit *test)
{
	xsvm_unmap(test, SVM_BASE, SZ_64K);
}

static void unmap_before_bind(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_bind = NULL;
	xsvm_meanwhile(test, unmap_memory);
}

static void memory_is_unmapped_meanwhile(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	svm->before_bind = unmap_before_bind;
	expect_failed(test, SVM_BASE, GPU_WRITE, -ENOENT);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
}

/* ------------------------------------------------------------------------
 * Garbage
 */

/* A fault collects what is in its way, and leaves the rest to the worker. */
static void garbage_in_the_way(struct kunit *test)
{
	const u64 near = SVM_BASE + SZ_2M, far = SVM_BASE + 16 * SZ_2M;
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *left;

	xsvm_map(test, near, SZ_64K, PROT_RW);
	xsvm_map(test, far, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, near, GPU_WRITE);
	left = xsvm_gpu_touch(test, far, GPU_WRITE);
	xsvm_unmap(test, near, SZ_64K);
	xsvm_unmap(test, far, SZ_64K);

	xsvm_map(test, near, SZ_64K, PROT_RW);
	xsvm_write(test, near, 1);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, near), 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 1);
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, far), left);
	KUNIT_EXPECT_TRUE(test, xsvm_collector_pending(test));

	xsvm_run_collector(test);
	KUNIT_EXPECT_NULL(test, xsvm_range_at(test, far));
	KUNIT_EXPECT_NOT_NULL(test, xsvm_range_at(test, near));
	KUNIT_EXPECT_EQ(test, svm->gpu.unbinds, 2);
}

static struct xe_vma *vma_at(struct kunit *test, u64 addr)
{
	struct xe_vm *vm = to_svm(test)->vm;
	struct xe_vma *vma;

	down_write(&vm->lock);
	vma = xe_vm_find_vma_by_addr(vm, addr);
	up_write(&vm->lock);
	KUNIT_ASSERT_NOT_NULL(test, vma);

	return vma;
}

/* Any but the first one */
#define RESET_PAT	2

static struct xe_vma *add_reset_mirror(struct kunit *test, u64 start, u64 end)
{
	struct xe_vma *vma = xsvm_add_mirror(test, start, end - start, XE_VMA_MADV_AUTORESET);

	vma->attr.default_pat_index = RESET_PAT;
	vma->attr.pat_index = RESET_PAT;

	return vma;
}

/* A mirror of which the middle part has attributes that go with the memory. */
static void add_advised_mirrors(struct kunit *test, u64 start, u64 end)
{
	xsvm_close_vm(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	add_reset_mirror(test, SVM_BASE, start);
	add_reset_mirror(test, start, end)->attr.atomic_access = DRM_XE_ATOMIC_DEVICE;
	add_reset_mirror(test, end, SVM_END);
}

/*
 * The fault finds garbage, which resets attributes, which replaces the VMA that the
 * fault was for. It goes on with the new one.
 */
static void fault_loses_its_vma(struct kunit *test)
{
	const u64 start = SVM_BASE + SZ_2M, end = start + SZ_2M;
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vma *vma;

	add_advised_mirrors(test, start, end);
	xsvm_map(test, start, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, start, GPU_WRITE);
	KUNIT_EXPECT_FALSE(test, xe_vma_has_default_mem_attrs(vma_at(test, start)));

	xsvm_unmap(test, start, SZ_64K);
	xsvm_map(test, start, SZ_64K, PROT_RW);
	expect_served(test, start, GPU_WRITE);

	vma = vma_at(test, start);
	KUNIT_EXPECT_TRUE(test, xe_vma_has_default_mem_attrs(vma));
	KUNIT_EXPECT_EQ(test, vma->attr.pat_index, RESET_PAT);
	KUNIT_EXPECT_EQ(test, xe_vma_start(vma), SVM_BASE);
	KUNIT_EXPECT_EQ(test, xe_vma_end(vma), start + SZ_64K);
	KUNIT_EXPECT_PTR_EQ(test, svm->vm->usm.last_fault_vma, vma);

	/* The memory behind keeps its attributes. */
	vma = vma_at(test, start + SZ_64K);
	KUNIT_EXPECT_EQ(test, vma->attr.atomic_access, DRM_XE_ATOMIC_DEVICE);
	KUNIT_EXPECT_EQ(test, xe_vma_end(vma), end);
}

static void whole_vma_is_reset(struct kunit *test)
{
	const u64 start = SVM_BASE + SZ_2M, end = start + SZ_64K;
	struct xe_vma *vma;

	add_advised_mirrors(test, start, end);
	xsvm_map(test, start, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, start, GPU_WRITE);
	xsvm_unmap(test, start, SZ_64K);
	xsvm_run_collector(test);

	vma = vma_at(test, start);
	KUNIT_EXPECT_TRUE(test, xe_vma_has_default_mem_attrs(vma));
	KUNIT_EXPECT_EQ(test, vma->attr.pat_index, RESET_PAT);
	KUNIT_EXPECT_EQ(test, xe_vma_start(vma), SVM_BASE);
	KUNIT_EXPECT_EQ(test, xe_vma_end(vma), SVM_END);
}

static void unmap_advised(struct kunit *test)
{
	xsvm_unmap(test, SVM_BASE + SZ_2M, SZ_64K);
}

static void unmap_before_unbind(struct kunit *test, struct xe_svm_range *range)
{
	to_svm(test)->before_unbind = NULL;
	xsvm_meanwhile(test, unmap_advised);
}

/* A range goes so that there can be a larger one, and the memory goes at that moment. */
static void range_is_unmapped_while_it_goes(struct kunit *test)
{
	const u64 start = SVM_BASE + SZ_2M, end = start + SZ_64K;
	struct xe_svm_fixture *svm = to_svm(test);

	add_advised_mirrors(test, start, end);
	xsvm_map(test, start, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, start, GPU_WRITE);
	svm->before_unbind = unmap_before_unbind;

	down_write(&svm->vm->lock);
	KUNIT_EXPECT_EQ(test, xe_svm_ranges_collect(svm->vm, start, end), -EAGAIN);
	up_write(&svm->vm->lock);
	KUNIT_EXPECT_NULL(test, xsvm_range_at(test, start));
	KUNIT_EXPECT_TRUE(test, xe_vma_has_default_mem_attrs(vma_at(test, start)));
}

/* Where nobody has asked for that, attributes stay. */
static void attributes_stay(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_DEVICE;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	xsvm_run_collector(test);

	KUNIT_EXPECT_PTR_EQ(test, vma_at(test, SVM_BASE), svm->mirror);
	KUNIT_EXPECT_EQ(test, svm->mirror->attr.atomic_access, DRM_XE_ATOMIC_DEVICE);
}

static struct kunit_case xe_svm_fault_cases[] = {
	KUNIT_CASE(memory_that_may_only_be_read),
	KUNIT_CASE(memory_without_permissions),
	KUNIT_CASE(mirror_that_may_only_be_read),
	KUNIT_CASE(reading_leaves_copy_on_write_alone),
	KUNIT_CASE(writing_serves_all),
	KUNIT_CASE(fault_that_was_served_already),
	KUNIT_CASE(nothing_is_mapped),
	KUNIT_CASE(end_of_a_file),
	KUNIT_CASE(memory_that_is_partly_for_reading),
	KUNIT_CASE(binding_fails),
	KUNIT_CASE(vm_is_banned),
	KUNIT_CASE(memory_is_short),
	KUNIT_CASE(memory_for_pages_is_short),
	KUNIT_CASE(memory_for_pages_stays_short),
	KUNIT_CASE(range_is_not_bound_while_pages_come),
	KUNIT_CASE(cpu_is_faster_at_first),
	KUNIT_CASE(what_was_lost_before_the_bind_is_forgotten),
	KUNIT_CASE(pages_that_were_never_bound_are_missing),
	KUNIT_CASE(each_tile_binds_what_it_lacks),
	KUNIT_CASE(prefetch_fills_what_is_missing),
	KUNIT_CASE(cpu_is_faster_for_long),
	KUNIT_CASE(cpu_is_faster_until_the_end),
	KUNIT_CASE(cpu_changes_neighbours_forever),
	KUNIT_CASE(cpu_changes_neighbours_in_a_row),
	KUNIT_CASE(cpu_changes_a_part_before_the_first_bind),
	KUNIT_CASE(memory_is_replaced_meanwhile),
	KUNIT_CASE(memory_is_unmapped_meanwhile),
	KUNIT_CASE(garbage_in_the_way),
	KUNIT_CASE(fault_loses_its_vma),
	KUNIT_CASE(whole_vma_is_reset),
	KUNIT_CASE(range_is_unmapped_while_it_goes),
	KUNIT_CASE(attributes_stay),
	{}
};

static struct kunit_suite xe_svm_fault_suite = {
	.name = "xe_svm_fault",
	.init = xe_svm_fixture_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_fault_cases,
};

kunit_test_suite(xe_svm_fault_suite);
