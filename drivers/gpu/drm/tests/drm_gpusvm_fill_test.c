// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: filling holes in mappings. Fills that fail, what an access
 * needs and gets, and several devices.
 */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>

#include "drm_gpusvm_holes_fixture.h"

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

/*
 * Fills that fail
 */

static void memory_that_can_not_be_had_leaves_the_hole(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	range = svm_get_block(test, block, 1);
	look = svm_look_at(test, range, 0);
	block->at[5] = NOWHERE;
	svm_discard(test, page_addr(4), 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	svm_expect_still(test, range, 1, &look, 4, 3);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), -EFAULT);
	svm_expect_still(test, range, 1, &look, 4, 3);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_calls(test, 0, look, 0, 3);

	svm_show_scattered(block, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_calls(test, 0, look, 3, 3);
}

/* A hole that is filled counts, although the next one can't be. */
static void one_of_two_holes_is_filled(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	range = svm_get_block(test, block, 1);
	look = svm_look_at(test, range, 0);
	block->at[9] = NOWHERE;
	svm_discard(test, page_addr(4), PAGE_SIZE);
	svm_discard(test, page_addr(9), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	svm_expect_still(test, range, 1, &look, 9, 1);
	svm_expect_calls(test, 0, look, 1, 2);
	svm_unmap(test, range);
	svm_expect_nothing(test, range, 0);
	svm_expect_calls(test, 0, look, 1, SMALL_PAGES + 1);
}

static void device_that_can_not_map_leaves_the_hole(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned int last = SVM_DEVICES - 1, i;
	struct look *look[SVM_DEVICES];
	struct svm_range *range;

	range = svm_get_small(test, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(5, 2);
	*svm->devices[last].dev->dma_mask = DMA_BIT_MASK(16);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), -EFAULT);
	*svm->devices[last].dev->dma_mask = DMA_BIT_MASK(64);
	svm_expect_still(test, range, SVM_DEVICES, look, 5, 2);
	/* What was mapped for the others is undone. */
	for (i = 0; i < last; i++)
		svm_expect_calls(test, i, look[i], 2, 4);
	svm_expect_calls(test, last, look[last], 0, 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);

	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm_expect_whole(test, range, i);
		svm_expect_kept(test, range, i, look[i], 0, 0);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), SVM_DEVICES);
}

#ifdef CONFIG_FAULT_INJECTION

static bool fails_on_demand(void)
{
	void *p;

	current->fail_nth = 1;
	p = kmalloc(64, GFP_KERNEL);
	current->fail_nth = 0;
	kfree(p);

	return !p;
}

/* Fill a hole with the nth allocation failing. Returns whether it was too many. */
static bool fill_with_failure(struct kunit *test, struct svm_range *range,
			      struct look *const *look, int n, int *failures)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned int left;
	int err;

	svm->failures_left = 0;
	svm->mapping_succeeds = true;
	current->fail_nth = n;
	err = svm_get(range, 2, &write_ctx);
	left = svm->failures_left ?: current->fail_nth;
	current->fail_nth = 0;
	svm->mapping_succeeds = false;
	if (!err)
		return left;

	KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "allocation %d", n);
	svm_expect_still(test, range, 2, look, 0, 8);
	(*failures)++;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);

	return false;
}

/* Let each allocation of a fill fail in turn. Returns how many did. */
static int fail_each_allocation(struct kunit *test, struct block *block)
{
	struct svm_range *range;
	int n, i, failures = 0;
	struct look *look[2];
	bool done;

	for (n = 1, done = false; !done && n < 100; n++) {
		svm_show_in_a_row(block, 0, 8);
		svm_change(test, 0, 8);
		range = svm_fault(test, AT, &write_ctx);
		KUNIT_ASSERT_EQ(test, svm_get(range, 2, &write_ctx), 0);
		KUNIT_ASSERT_EQ(test, range->pages[1].nr_addrs, 9);
		for (i = 0; i < 2; i++)
			look[i] = svm_look_at(test, range, i);
		svm_show_scattered(block, 0, 8);
		svm_change(test, 0, 8);

		done = fill_with_failure(test, range, look, n, &failures);
		for (i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, range->pages[i].nr_addrs, SMALL_PAGES);
			svm_expect_whole(test, range, i);
			svm_expect_kept(test, range, i, look[i], 0, 8);
		}
		/* For the next attempt, without the room it has made. */
		svm_remove(test, range);
	}
	KUNIT_EXPECT_TRUE(test, done);

	return failures;
}

/*
 * The new segments are too many for what each of the two devices has room for: two
 * allocations. One is missed if the allocator takes memory for itself just then, but not
 * each time.
 */
static void no_memory_leaves_the_hole(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	int sweep, failures = 0;

	if (!fails_on_demand())
		kunit_skip(test, "needs CONFIG_FAILSLAB and N in debugfs failslab/ignore-gfp-wait");

	svm_map_block(test, block);
	for (sweep = 0; failures < 2 && sweep < 10; sweep++)
		failures = fail_each_allocation(test, block);
	KUNIT_EXPECT_GE(test, failures, 2);
}

#endif /* CONFIG_FAULT_INJECTION */

/*
 * Access
 */

static void expect_dir(struct kunit *test, struct svm_range *range, unsigned int segment,
		       enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ(test, (unsigned int)range->pages[0].dma_addr[segment].dir, dir);
}

/* What a driver does before it gets what is mapped for reading for writing. */
static void take_read_only(struct kunit *test, struct svm_range *range, long page, long n)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct drm_gpusvm_pages *pages = &range->pages[0];
	unsigned long start, end;

	drm_gpusvm_notifier_lock(gpusvm);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_read_only_around(gpusvm, pages, AT,
								  page_addr(page), &start,
								  &end));
	KUNIT_EXPECT_EQ(test, start, page_addr(page));
	KUNIT_EXPECT_EQ(test, end, page_addr(page + n));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_read_only_around(gpusvm, pages, AT,
								   page_addr(page - 1), &start,
								   &end));
	drm_gpusvm_notifier_unlock(gpusvm);

	drm_gpusvm_unmap_part(gpusvm, pages, AT, page_addr(page), page_addr(page + n));
	svm_expect_holes(test, range, 0, n);
}

static void read_only_memory_fills_a_hole_for_reading(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = svm_get_small(test, 1);
	look = svm_look_at(test, range, 0);
	svm_mprotect(test, page_addr(5), PAGE_SIZE, PROT_READ);
	svm_expect_holes(test, range, 0, 1);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	svm_expect_still(test, range, 1, &look, 5, 1);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, 1, 1);
	expect_dir(test, range, 4, DMA_BIDIRECTIONAL);
	expect_dir(test, range, 5, DMA_TO_DEVICE);
	expect_dir(test, range, 6, DMA_BIDIRECTIONAL);

	/* Writing is refused, and what is good for reading stays until the driver takes it. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	svm_expect_whole(test, range, 0);
	svm_expect_calls(test, 0, look, 1, 1);
	take_read_only(test, range, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	svm_expect_holes(test, range, 0, 1);

	svm_mprotect(test, page_addr(5), PAGE_SIZE, RW);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_whole(test, range, 0);
	svm_expect_calls(test, 0, look, 2, 2);
	expect_dir(test, range, 5, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
}

static void writable_pages_filled_for_reading_are_got_anew_for_writing(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = svm_get_small(test, 1);
	look = svm_look_at(test, range, 0);
	svm_hit(5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_calls(test, 0, look, 1, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	take_read_only(test, range, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_calls(test, 0, look, 2, 2);
	svm_expect_whole(test, range, 0);
	expect_dir(test, range, 5, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);
}

static void pages_for_reading_with_a_hole_are_got_anew_for_writing(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	svm_map_block(test, block);
	range = svm_fault_and_get(test, AT, &read_ctx);
	look = svm_look_at(test, range, 0);
	svm_hit(5, 1);
	svm_expect_holes(test, range, 0, 1);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	svm_expect_holes(test, range, 0, 1);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_whole(test, range, 0);
	svm_expect_calls(test, 0, look, SMALL_PAGES, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	expect_dir(test, range, 4, DMA_BIDIRECTIONAL);

	/* But for reading, it is filled. */
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	svm_hit(5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 1);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_dir(test, range, 5, DMA_TO_DEVICE);
}

/*
 * Several devices
 */

static void one_walk_fills_a_hole_of_all_devices(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct look *look[SVM_DEVICES];
	struct svm_range *range;
	int i;

	range = svm_get_block(test, block, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = svm_look_at(test, range, i);
	svm_show_in_a_row(block, 5, 1);
	svm_change(test, 5, 1);
	for (i = 0; i < SVM_DEVICES; i++)
		svm_expect_taken(test, i, 5, 1);
	svm_expect_still(test, range, SVM_DEVICES, look, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	svm_expect_work(test, look[0], 1, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm_expect_whole(test, range, i);
		svm_expect_kept(test, range, i, look[i], 5, 1);
		svm_expect_calls(test, i, look[i], 1, 1);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), gets), SVM_DEVICES);
}

static void devices_have_holes_of_their_own(struct kunit *test)
{
	struct look *look[SVM_DEVICES];
	struct svm_range *range;
	int i;

	range = svm_get_small(test, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(3, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_hit(9, 1);
	svm_expect_holes(test, range, 0, 1);
	svm_expect_holes(test, range, 1, 2);
	svm_expect_work(test, look[0], 1, 1);

	/* The hole that all have is not the first one of all. */
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm_expect_whole(test, range, i);
		svm_expect_kept(test, range, i, look[i], 0, 0);
		svm_expect_calls(test, i, look[i], 2, 2);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills), 2 * SVM_DEVICES);

	/* One has a large one, the others a part of it. */
	svm_hit(6, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 3, &write_ctx), 0);
	svm_hit(5, 1);
	svm_expect_holes(test, range, 0, 1);
	svm_expect_holes(test, range, SVM_DEVICES - 1, 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm_expect_whole(test, range, i);
		svm_expect_calls(test, i, look[i], 4, 4);
	}
}

/* A hole of a device is filled, and another device mapped that never was. */
static void holes_and_unmapped_devices_are_served_together(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned int last = SVM_DEVICES - 1, i;
	struct look *look[SVM_DEVICES];
	struct svm_range *range;

	range = svm_get_small(test, last);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(5, 1);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[last]));
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	svm_expect_work(test, look[0], 2, last);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		svm_expect_whole(test, range, i);
	for (i = 0; i < last; i++)
		svm_expect_calls(test, i, look[i], 1, 1);
	svm_expect_calls(test, last, look[last], SMALL_PAGES, 0);

	/* The other way round: the first has none, and is no part of the next get. */
	svm_hit(5, 1);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, &range->pages[1], last,
							 &write_ctx), 0);
	svm_expect_holes(test, range, 0, 1);
	svm_expect_whole(test, range, 1);
	svm_expect_whole(test, range, last);
}

static struct kunit_case drm_gpusvm_fill_cases[] = {
	KUNIT_CASE(memory_that_can_not_be_had_leaves_the_hole),
	KUNIT_CASE(one_of_two_holes_is_filled),
	KUNIT_CASE(device_that_can_not_map_leaves_the_hole),
#ifdef CONFIG_FAULT_INJECTION
	KUNIT_CASE(no_memory_leaves_the_hole),
#endif
	KUNIT_CASE(read_only_memory_fills_a_hole_for_reading),
	KUNIT_CASE(writable_pages_filled_for_reading_are_got_anew_for_writing),
	KUNIT_CASE(pages_for_reading_with_a_hole_are_got_anew_for_writing),
	KUNIT_CASE(one_walk_fills_a_hole_of_all_devices),
	KUNIT_CASE(devices_have_holes_of_their_own),
	KUNIT_CASE(holes_and_unmapped_devices_are_served_together),
	{}
};

static struct kunit_suite drm_gpusvm_fill_suite = {
	.name = "drm_gpusvm_fill",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = svm_holes_init,
	.exit = vram_exit,
	.test_cases = drm_gpusvm_fill_cases,
};

kunit_test_suite(drm_gpusvm_fill_suite);
