// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: where the memory of a range is, and how it comes from a device
 * to RAM: all of it, when it is evicted, or as much as an access needs.
 */

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "drm_gpusvm_devmem_fixture.h"

static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
};

static const struct drm_gpusvm_ctx mixed_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
	.allow_mixed = true,
};

/*
 * Where the memory is
 */

static enum drm_gpusvm_scan_result scan(struct svm_range *range, void *by)
{
	return drm_gpusvm_scan_mm(&range->base, by, &svm_memories[0].pagemap);
}

static void scan_tells_where_memory_is(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_UNPOPULATED);
	svm_touch(test, SVM_BASE, SZ_64K - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_UNPOPULATED);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			(SZ_64K >> PAGE_SHIFT) - 1);
	svm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_SYSTEM);

	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_32K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_MIXED);
	svm_migrate(test, &svm_memories[1], SVM_BASE + SZ_32K, SZ_32K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_MIXED_DEVICE);
	KUNIT_EXPECT_EQ(test, scan(range, NULL), DRM_GPUSVM_SCAN_UNPOPULATED);

	svm_touch(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_EQUAL);
	svm_touch(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[1], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_OTHER);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 0);
}

/* Without a pagemap, system memory is what is asked about. */
static void scan_for_system_memory_finds_it(struct kunit *test)
{
	struct drm_gpusvm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	range = &svm_fault(test, SVM_BASE, &owner_ctx)->base;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(range, &svm_devmem_owner, NULL),
			DRM_GPUSVM_SCAN_EQUAL);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_32K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(range, &svm_devmem_owner, NULL),
			DRM_GPUSVM_SCAN_MIXED);
	svm_migrate(test, &svm_memories[0], SVM_BASE + SZ_32K, SZ_32K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(range, &svm_devmem_owner, NULL),
			DRM_GPUSVM_SCAN_OTHER);
}

/*
 * Back to RAM
 */

static void eviction_moves_to_ram(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_SYSTEM);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, evictions), 1);
	svm_expect_content(test, SVM_BASE, SZ_64K);

	/* There is nothing left to move. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
}

/* How many pages of a range the CPU has in RAM, be it the zero page. */
static unsigned long count_present(struct kunit *test, struct svm_range *range)
{
	unsigned long i, n = 0, npages = drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
	struct hmm_range hmm = {
		.notifier = &range->base.notifier->notifier,
		.start = drm_gpusvm_range_start(&range->base),
		.end = drm_gpusvm_range_end(&range->base),
		.hmm_pfns = kunit_kcalloc(test, npages, sizeof(*hmm.hmm_pfns), GFP_KERNEL),
	};

	KUNIT_ASSERT_NOT_NULL(test, hmm.hmm_pfns);
	hmm.notifier_seq = mmu_interval_read_begin(hmm.notifier);
	mmap_read_lock(current->mm);
	KUNIT_EXPECT_EQ(test, hmm_range_fault(&hmm), 0);
	mmap_read_unlock(current->mm);
	for (i = 0; i < npages; i++)
		n += !!(hmm.hmm_pfns[i] & HMM_PFN_VALID);

	return n;
}

/* A range that the CPU has cut, with memory in it that was never touched. */
static void eviction_leaves_holes(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_touch(test, SVM_BASE, SZ_32K);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_32K);
	svm_munmap(test, SVM_BASE + SZ_16K, SZ_4K);
	KUNIT_EXPECT_EQ(test, count_present(test, range), 0);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_32K - SZ_4K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
	svm_expect_content(test, SVM_BASE, SZ_16K);
	svm_expect_content(test, SVM_BASE + SZ_16K + SZ_4K, SZ_16K - SZ_4K);
}

static void eviction_passes_guard_pages(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE + SZ_16K, SZ_4K, MADV_GUARD_INSTALL);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_64K - SZ_4K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
	svm_expect_content(test, SVM_BASE, SZ_16K);
	svm_expect_content(test, SVM_BASE + SZ_16K + SZ_4K, SZ_64K - SZ_16K - SZ_4K);
}

/* Memory that can't be read any more keeps neither its neighbours nor what is far off. */
static void eviction_passes_broken_memory(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE + SZ_64K, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE + SZ_1M, SZ_64K);
	svm_memories[0].broken = SZ_64K;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, evictions), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_2M - SZ_64K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 1);

	svm_memories[0].broken = 0;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
	svm_expect_content(test, SVM_BASE, SZ_2M);
}

/* A range that was looked up without an owner: all that is missing is fetched. */
static void eviction_without_an_owner_fetches_all(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &read_ctx);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
	svm_expect_content(test, SVM_BASE, SZ_64K);

	/* What can't be fetched is no reason to leave the rest. */
	svm_memories[0].window = SZ_16K;
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE + SZ_16K, SZ_4K, MADV_GUARD_INSTALL);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -EFAULT);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
}

/* Lookups on behalf of others don't hide it. */
static void eviction_finds_the_memory_of_all_owners(struct kunit *test)
{
	static char others[DRM_GPUSVM_MAX_OWNERS];
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		struct drm_gpusvm_ctx ctx = { .device_private_page_owner = &others[i] };

		svm_map_touched(test, SVM_BASE, SZ_64K);
		range = svm_fault(test, SVM_BASE, &owner_ctx);
		svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
		svm_fault(test, SVM_BASE, &ctx);
		KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
		KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_SYSTEM);
		KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), 0);
		svm_munmap(test, SVM_BASE, SZ_64K);
		svm_remove(test, range);
	}
	KUNIT_EXPECT_GT(test, svm->gpusvm.nr_owners, DRM_GPUSVM_MAX_OWNERS);
}

/* What a fork has shared is copied page by page. A CPU fault brings no more than 64 KiB. */
static void one_copied_page_comes_to_ram_alone(struct kunit *test)
{
	const struct drm_gpusvm_ctx ctx = {
		.device_private_page_owner = &svm_devmem_owner,
		.allow_mixed = true,
		.partial = true,
		.fault_addr = SVM_BASE + SZ_8K,
	};
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct mm_struct *child;

	svm_map_touched(test, SVM_BASE, SZ_2M);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &mixed_ctx);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_2M);
	child = svm_fork(test);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, pages, 1, &ctx), 0);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_MIXED);
	KUNIT_EXPECT_EQ(test, pages->nr_missing, (SZ_2M - SZ_64K) >> PAGE_SHIFT);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));

	/* All are copied if all are wanted. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, pages));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));
	mmput(child);
}

/*
 * Memory half of which the CPU has taken back since a fork. What is left comes to RAM in
 * many pieces. That takes longer than a walk may without progress, and there is no need
 * to look at all of it for each of them.
 */
static void copying_many_pieces_takes_its_time(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct mm_struct *child;
	unsigned long at;
	long walks;

	svm_map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	svm_memories[0].window = SZ_16K;
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_2M);
	child = svm_fork(test);
	for (at = 0; at < SZ_2M; at += SZ_32K)
		svm_touch(test, SVM_BASE + at, SZ_16K);
	KUNIT_EXPECT_EQ(test, scan(range, &svm_devmem_owner), DRM_GPUSVM_SCAN_MIXED);
	walks = svm_stat(svm, walks);
	svm_memories[0].delay = msecs_to_jiffies(25);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_LE(test, svm_stat(svm, walks) - walks, 4);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_memories[0].delay = 0;
	mmput(child);
	svm_remove(test, range);
	svm_expect_content(test, SVM_BASE, SZ_2M);
}

/* Only what is missing is fetched: device memory that can be written to stays. */
static void device_memory_between_holes_stays(struct kunit *test)
{
	struct svm_range *range;
	unsigned long at;

	svm_map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	for (at = 0; at < SZ_2M; at += SZ_256K) {
		svm_migrate(test, &svm_memories[0], SVM_BASE + at, SZ_128K);
		svm_discard(test, SVM_BASE + at + SZ_128K, SZ_64K);
	}
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_LE(test, svm_stat(to_svm(test), walks), 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm_memories[0].allocs), SZ_2M / SZ_256K);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, SZ_1M >> PAGE_SHIFT);
	svm_remove(test, range);
}

static struct kunit_case drm_gpusvm_evict_cases[] = {
	KUNIT_CASE(scan_tells_where_memory_is),
	KUNIT_CASE(scan_for_system_memory_finds_it),
	KUNIT_CASE(eviction_moves_to_ram),
	KUNIT_CASE(eviction_finds_the_memory_of_all_owners),
	KUNIT_CASE(one_copied_page_comes_to_ram_alone),
	KUNIT_CASE_SLOW(copying_many_pieces_takes_its_time),
	KUNIT_CASE(device_memory_between_holes_stays),
	KUNIT_CASE(eviction_leaves_holes),
	KUNIT_CASE(eviction_passes_guard_pages),
	KUNIT_CASE(eviction_passes_broken_memory),
	KUNIT_CASE(eviction_without_an_owner_fetches_all),
	{}
};

static struct kunit_suite drm_gpusvm_evict_suite = {
	.name = "drm_gpusvm_evict",
	.suite_init = svm_devmem_suite_init,
	.suite_exit = svm_devmem_suite_exit,
	.init = svm_devmem_init,
	.exit = svm_devmem_exit,
	.test_cases = drm_gpusvm_evict_cases,
};

kunit_test_suite(drm_gpusvm_evict_suite);
