// SPDX-License-Identifier: MIT
/*
 * Tests of xe_svm.c: what invalidations take from the GPU, and what they wait for.
 */

#include <linux/mm.h>

#include "tests/xe_svm_fixture.h"
#include "xe_gt.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"

static void invalidation_takes_all_away(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	struct xe_svm_range *range;
	u64 start, end;

	xsvm_touch(test, SVM_BASE, SZ_64K);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	start = xe_svm_range_start(range);
	end = xe_svm_range_end(range);
	KUNIT_ASSERT_TRUE(test, xsvm_gpu_reaches(test, start, end));
	KUNIT_ASSERT_EQ(test, svm->gpu.nr_flushes, 0);

	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, start, end));
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_FALSE(test, range->pages.flags.has_dma_mapping);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, start, end));

	/* The range is still there, for the next fault, and nothing to be collected. */
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, SVM_BASE), range);
	KUNIT_EXPECT_FALSE(test, xsvm_collector_pending(test));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	KUNIT_EXPECT_PTR_EQ(test, xsvm_range_at(test, SVM_BASE), range);
}

/* The GPU has nothing to forget of what it never had, or was taken already. */
static void no_flush_without_entries(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	struct xe_svm_range *range;

	xsvm_touch(test, SVM_BASE, SZ_64K);
	range = xsvm_find_or_insert(test, SVM_BASE);
	KUNIT_ASSERT_EQ(test, xsvm_get_pages(test, range, false), 0);

	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 0);

	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);

	/* Pages that were got, but not bound again: the old entries are gone. */
	KUNIT_ASSERT_EQ(test, xsvm_get_pages(test, range, false), 0);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
}

/* Ranges that are not hit are left alone, also where they are in between. */
static void neighbours_are_left_alone(struct kunit *test)
{
	const u64 hit = SVM_BASE + SZ_2M, other = SVM_BASE + 2 * SZ_2M;
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *below, *range, *above;
	struct file *file;

	below = xsvm_map_and_touch(test, hit - SZ_64K, SZ_64K);
	above = xsvm_map_and_touch(test, other, SZ_64K);
	file = xsvm_map_file(test, hit, SZ_64K, SZ_64K);
	xsvm_touch(test, hit, SZ_64K);
	range = xsvm_gpu_touch(test, hit, GPU_WRITE);

	xsvm_zap(file, 0, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, below));
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, above));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_flushed(test, hit - PAGE_SIZE, hit + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, xsvm_flushed(test, hit, other + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, hit - SZ_64K, hit));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, other, other + SZ_64K));
}

/*
 * Each range that is hit is zapped as a whole, so each has to be flushed as a whole,
 * however little of the first and of the last one the CPU has changed.
 */
static void flush_covers_all_ranges_that_are_hit(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, 3 * SZ_64K, 3 * SZ_64K);
	unsigned int i;

	xsvm_touch(test, SVM_BASE, 3 * SZ_64K);
	for (i = 0; i < 3; i++) {
		struct xe_svm_range *range;

		range = xsvm_gpu_touch(test, SVM_BASE + i * SZ_64K, GPU_WRITE);
		KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_64K);
	}

	xsvm_zap(file, SZ_64K - PAGE_SIZE, SZ_64K + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 3);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, SVM_BASE, SVM_BASE + 3 * SZ_64K));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + 3 * SZ_64K));
}

/* How many pages are mapped in one piece with an address; one, most likely. */
static long segment_npages(struct kunit *test, struct xe_svm_range *range, u64 addr)
{
	u64 end = xe_svm_range_start(range);
	unsigned int i;

	for (i = 0; i < range->pages.nr_addrs; i++) {
		end += PAGE_SIZE << range->pages.dma_addr[i].order;
		if (addr < end)
			break;
	}
	KUNIT_ASSERT_LT(test, addr, end);

	return 1L << range->pages.dma_addr[i].order;
}

/* The GPU goes on with what the CPU has not changed, and gets only the rest again. */
static void small_invalidation_takes_little(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	const u64 hit = SVM_BASE + SZ_1M + SZ_64K;
	struct xe_svm_range *range;
	unsigned int faults;
	long pages, npages;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_2M);
	KUNIT_ASSERT_EQ(test, svm->gpu.bound, SZ_2M);
	pages = xsvm_stat(svm, pages);
	faults = svm->acks;
	npages = segment_npages(test, range, hit);

	xsvm_zap(file, hit - SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, parts), 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, hit, hit + SZ_64K));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, hit, hit + SZ_64K));
	KUNIT_EXPECT_EQ(test, svm->gpu.flushes[0].end - svm->gpu.flushes[0].start, SZ_64K);

	/* No fault for what is left on both sides. */
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, hit - PAGE_SIZE), hit - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, hit + SZ_64K), hit + SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->acks, faults);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, hit), hit);
	KUNIT_EXPECT_EQ(test, svm->acks, faults + 1);
	KUNIT_EXPECT_TRUE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, pages), pages + npages);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 1);
	KUNIT_EXPECT_EQ(test, range->tile_partial, 0);
	KUNIT_EXPECT_EQ(test, range->tile_invalidated, 0);
}

/* What is left of the entries can be reached, so it is zapped when its turn comes. */
static void holes_grow(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_range *range;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);

	xsvm_zap(file, SZ_64K, PAGE_SIZE);
	xsvm_zap(file, 3 * SZ_64K, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 2);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_64K,
						  SVM_BASE + 2 * SZ_64K));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + 3 * SZ_64K,
						  SVM_BASE + 4 * SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + 2 * SZ_64K,
						 SVM_BASE + 3 * SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + 4 * SZ_64K,
						 SVM_BASE + SZ_2M));

	/* Bound again from the first to the last. */
	xsvm_gpu_touch(test, SVM_BASE + SZ_64K, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, 3 * SZ_64K);
	xsvm_gpu_touch(test, SVM_BASE + 3 * SZ_64K, GPU_WRITE);
	KUNIT_ASSERT_TRUE(test, xsvm_pages_valid(test, range));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + 3 * SZ_64K,
						 SVM_BASE + 4 * SZ_64K));

	/* The next hole has nothing to do with these. */
	xsvm_zap(file, SZ_1M, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, range->hole.start, SVM_BASE + SZ_1M);
	KUNIT_EXPECT_EQ(test, range->hole.end, SVM_BASE + SZ_1M + SZ_64K);

	/* Everything, while there is a hole. */
	xsvm_zap(file, 0, SZ_2M);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	KUNIT_EXPECT_EQ(test, range->tile_partial, 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, SZ_2M);
}

/* The GPU has one entry for all: that goes, though the mapping for DMA stays. */
static void large_entries_go_as_a_whole(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_range *range;
	long pages, npages;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	pages = xsvm_stat(svm, pages);
	npages = segment_npages(test, range, SVM_BASE + SZ_1M);

	svm->gpu.large_entries = true;
	xsvm_zap(file, SZ_1M, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, SVM_BASE, SVM_BASE + SZ_2M));
	KUNIT_EXPECT_EQ(test, range->tile_partial, 0);

	xsvm_gpu_touch(test, SVM_BASE + SZ_1M, GPU_WRITE);
	KUNIT_EXPECT_EQ(test, svm->gpu.bound, SZ_2M);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, pages), pages + npages);
}

/* With a job under way the second pass zaps, no more than the first one would. */
static void small_invalidation_waits_for_jobs(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);
	struct xe_svm_job *job;

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	job = xsvm_start_bind(test, xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE));

	xsvm_zap(file, SZ_1M, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, job->asked);
	KUNIT_EXPECT_EQ(test, job->zaps, 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, SVM_BASE + SZ_1M,
					     SVM_BASE + SZ_1M + SZ_64K));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_1M,
						  SVM_BASE + SZ_1M + SZ_64K));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_1M));
}

/*
 * Writing to what was got for reading, with a hole in it: the entries for reading go,
 * and are there again afterwards.
 */
static void upgrade_of_holes(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_READ);
	KUNIT_ASSERT_FALSE(test, xe_svm_range_writable(range));

	xsvm_write(test, SVM_BASE + PAGE_SIZE, 1);
	xsvm_gpu_write(test, SVM_BASE + PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + PAGE_SIZE), 2);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 0);
	xsvm_gpu_write(test, SVM_BASE, 3);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 3);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), 2);
	KUNIT_EXPECT_EQ(test, svm->vm->faults.len, 0);
}

/*
 * What was taken before is zapped and flushed. Taking it again does neither, and leaves
 * no flush behind that nobody waits for.
 */
static void invalidation_inside_of_a_hole(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_2M, SZ_2M);

	xsvm_touch_scattered(test, SVM_BASE, SZ_2M);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);

	xsvm_zap(file, SZ_1M, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);

	/* What is sent now is finished only once somebody waits for it. */
	svm->gpu.hold_flushes = 2;
	xsvm_touch(test, SVM_BASE + SZ_1M, PAGE_SIZE);
	xsvm_zap(file, SZ_1M, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&svm->gt->tlb_inval.pending_fences));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_1M));
	svm->gpu.hold_flushes = 0;
}

/* The device may use its TLB until it has flushed it, so until then it is mapped. */
static void unmapped_after_the_flush(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);

	xsvm_touch(test, SVM_BASE, SZ_64K);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);

	svm->before_flush = xsvm_expect_still_mapped;
	svm->gpu.hold_flushes = 1;
	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 1);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
}

/*
 * The flush of one window is not finished before that of the other one was asked
 * for, nor while the notifier lock is held: the fixture sees to that.
 */
static void flushes_of_windows_overlap(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *below, *above;

	xsvm_map(test, SVM_BORDER - SZ_64K, 2 * SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BORDER - SZ_64K, 2 * SZ_64K);
	below = xsvm_gpu_touch(test, SVM_BORDER - SZ_64K, GPU_WRITE);
	above = xsvm_gpu_touch(test, SVM_BORDER, GPU_WRITE);
	KUNIT_ASSERT_PTR_NE(test, below->base.notifier, above->base.notifier);

	svm->gpu.hold_flushes = 2;
	xsvm_unmap(test, SVM_BORDER - SZ_64K, 2 * SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 2);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BORDER - SZ_64K,
						  SVM_BORDER + SZ_64K));
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
}

/* A job that writes page tables comes first, and the lock is not held meanwhile. */
static void zap_waits_for_jobs(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	struct xe_svm_range *range;
	struct xe_svm_job *job;

	xsvm_touch(test, SVM_BASE, SZ_64K);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	job = xsvm_start_bind(test, range);

	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_TRUE(test, job->asked);
	KUNIT_EXPECT_EQ(test, job->zaps, 0);
	KUNIT_EXPECT_EQ(test, job->mapped, 1);
	KUNIT_EXPECT_FALSE(test, job->under_lock);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, xe_svm_range_start(range),
					     xe_svm_range_end(range)));
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
}

/* What a job writes for another range is no reason to wait for it. */
static void jobs_of_others_are_not_waited_for(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct file *file = xsvm_map_file(test, SVM_BASE, 2 * SZ_64K, 2 * SZ_64K);
	struct xe_svm_job *job;

	xsvm_touch(test, SVM_BASE, 2 * SZ_64K);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	job = xsvm_start_bind(test, xsvm_gpu_touch(test, SVM_BASE + SZ_64K, GPU_WRITE));

	xsvm_zap(file, 0, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_64K));
	KUNIT_EXPECT_FALSE(test, job->asked);

	/* Both: the job is waited for, and one flush does. */
	xsvm_touch(test, SVM_BASE, SZ_64K);
	xsvm_gpu_touch(test, SVM_BASE, GPU_WRITE);
	xsvm_zap(file, 0, 2 * SZ_64K);
	KUNIT_EXPECT_TRUE(test, job->asked);
	KUNIT_EXPECT_EQ(test, job->zaps, 1);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 3);
	KUNIT_EXPECT_EQ(test, svm->gpu.nr_flushes, 2);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + 2 * SZ_64K));
}

/* Writing to what was got for reading: the entries go first, with the lock free. */
static void upgrade_zaps_first(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_READ);
	KUNIT_EXPECT_FALSE(test, xe_svm_range_writable(range));
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_pte(test, SVM_BASE) & GPU_PTE_WRITE);

	svm->before_flush = xsvm_expect_still_mapped;
	svm->gpu.hold_flushes = 1;
	xsvm_gpu_write(test, SVM_BASE, 1);
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
	KUNIT_EXPECT_TRUE(test, xe_svm_range_writable(range));
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
	KUNIT_EXPECT_TRUE(test, xsvm_flushed(test, xe_svm_range_start(range),
					     xe_svm_range_end(range)));
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 1);

	/* Reading what may be written takes nothing. */
	KUNIT_EXPECT_EQ(test, xsvm_get_pages(test, range, true), 0);
	KUNIT_EXPECT_EQ(test, svm->gpu.zaps, 1);
}

/* Once the flush is under way, write to a page that was there for reading. */
static void write_meanwhile(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	u64 pte;

	wait_for_completion(svm->arg);
	xsvm_write(test, SVM_BASE + PAGE_SIZE, 1);
	/* The GPU may have the new page by now, but not the old one. */
	pte = xsvm_gpu_pte(test, SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, pte && is_zero_pfn(PHYS_PFN(pte)));
}

static void let_write(struct kunit *test, u64 start, u64 end)
{
	complete_all(to_svm(test)->arg);
}

/*
 * An invalidation while somebody flushes what he has zapped has nothing to zap any more.
 * It has to flush nevertheless: the GPU may still use what it takes.
 */
static void invalidation_flushes_what_is_being_flushed(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	DECLARE_COMPLETION_ONSTACK(flushing);

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_gpu_touch(test, SVM_BASE, GPU_READ);
	/* All of it is in the TLB. */
	KUNIT_ASSERT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), 0);

	svm->arg = &flushing;
	xsvm_start_meanwhile(test, write_meanwhile);
	svm->gpu.hold_flushes = 1;
	svm->before_flush = let_write;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	svm->before_flush = NULL;
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), 1);
}

static int flush_all(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_tlb_inval_batch batch;
	int err;

	err = xe_tlb_inval_range_tilemask_submit(svm->xe, SVM_ASID, SVM_BASE, SVM_END, BIT(0),
						 &batch);
	if (!err)
		xe_tlb_inval_batch_wait(&batch);

	return err;
}

/* Whatever is the matter with a GT, the others forget what they have to. */
static void gt_that_fails_keeps_no_other_from_flushing(struct kunit *test)
{
	struct xe_svm_gpu *gpu = &to_svm(test)->gpu;

	if (!to_svm(test)->xe->tiles[0].media_gt)
		kunit_skip(test, "there is one GT");

	gpu->flush_err = -EPIPE;
	KUNIT_EXPECT_EQ(test, flush_all(test), -EPIPE);
	KUNIT_EXPECT_EQ(test, gpu->other_flushes, 1);

	/* It has nothing in its TLBs: it was reset, and has no firmware yet. */
	gpu->flush_err = -ENODEV;
	KUNIT_EXPECT_EQ(test, flush_all(test), 0);
	KUNIT_EXPECT_EQ(test, gpu->other_flushes, 2);
	gpu->flush_err = 0;
}

/* Engines run until they are reset, and pages are not free before. */
static void reset_is_waited_for(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	xe_tlb_inval_stop(&svm->gt->tlb_inval);
	svm->gpu.flush_err = -ECANCELED;
	xsvm_unmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, svm->gpu.wait_under_lock);
	KUNIT_EXPECT_FALSE(test, svm->gt->tlb_inval.stopped);
	flush_work(&svm->gpu.flush_work);
	svm->gpu.flush_err = 0;
}

static struct kunit_case xe_svm_invalidate_cases[] = {
	KUNIT_CASE(invalidation_takes_all_away),
	KUNIT_CASE(no_flush_without_entries),
	KUNIT_CASE(neighbours_are_left_alone),
	KUNIT_CASE(flush_covers_all_ranges_that_are_hit),
	KUNIT_CASE(small_invalidation_takes_little),
	KUNIT_CASE(holes_grow),
	KUNIT_CASE(large_entries_go_as_a_whole),
	KUNIT_CASE(small_invalidation_waits_for_jobs),
	KUNIT_CASE(upgrade_of_holes),
	KUNIT_CASE(invalidation_inside_of_a_hole),
	KUNIT_CASE(unmapped_after_the_flush),
	KUNIT_CASE(flushes_of_windows_overlap),
	KUNIT_CASE(zap_waits_for_jobs),
	KUNIT_CASE(jobs_of_others_are_not_waited_for),
	KUNIT_CASE(upgrade_zaps_first),
	KUNIT_CASE(invalidation_flushes_what_is_being_flushed),
	KUNIT_CASE(gt_that_fails_keeps_no_other_from_flushing),
	KUNIT_CASE(reset_is_waited_for),
	{}
};

static struct kunit_suite xe_svm_invalidate_suite = {
	.name = "xe_svm_invalidate",
	.init = xe_svm_fixture_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_invalidate_cases,
};

kunit_test_suite(xe_svm_invalidate_suite);
