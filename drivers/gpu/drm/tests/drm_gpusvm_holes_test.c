// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: invalidations that take a part of a mapping, and the holes
 * they leave until the next get.
 */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>

#include "drm_gpusvm_holes_fixture.h"

/* See PAGES_MAX_HOLES. */
#define MOST_HOLES	32

static const struct drm_gpusvm_ctx write_ctx;

/*
 * One hole, and several
 */

/* What there was at the end of a first pass. */
struct first_pass {
	struct svm_range *range;
	struct drm_gpusvm_pages_flags flags;
	int unmaps;
};

static void note_first_pass(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
			    const struct mmu_notifier_range *mmu_range)
{
	struct first_pass *pass = svm->arg;

	pass->flags = pass->range->pages[0].flags;
	pass->unmaps = atomic_read(&svm->devices[0].unmaps);
}

/* Where the segment of a page begins, and how many pages it has. */
static unsigned int segment_of(struct kunit *test, const struct drm_gpusvm_pages *pages,
			       unsigned int page, unsigned int *n)
{
	unsigned int i, first = 0;

	for (i = 0; i < pages->nr_addrs; i++, first += *n) {
		*n = 1U << pages->dma_addr[i].order;
		if (page < first + *n)
			return first;
	}
	KUNIT_FAIL_AND_ABORT(test, "no page %u", page);

	return 0;
}

static void discarded_page_alone_is_unmapped_and_mapped(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct first_pass pass = {};
	struct svm_range *range;
	unsigned int page, n;
	struct look *look;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_advise(test, SVM_BASE, SZ_2M, MADV_NOHUGEPAGE);
	/* Every other page first, so that neighbours are unlikely to be adjacent. */
	for (unsigned long i = 0; i < SZ_2M; i += 2 * PAGE_SIZE)
		svm_write(test, SVM_BASE + i, i);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_2M);
	KUNIT_ASSERT_GT(test, range->pages[0].nr_addrs, 8);
	page = segment_of(test, &range->pages[0], 100, &n);
	look = svm_look_at(test, range, 0);

	pass.range = range;
	svm->arg = &pass;
	svm->hooks.start = note_first_pass;
	svm_discard(test, SVM_BASE + 100 * PAGE_SIZE, PAGE_SIZE);
	svm->hooks.start = NULL;
	KUNIT_EXPECT_FALSE(test, pass.flags.has_dma_mapping);
	KUNIT_EXPECT_TRUE(test, pass.flags.has_gaps);
	KUNIT_EXPECT_TRUE(test, pass.flags.writable);
	KUNIT_EXPECT_EQ(test, pass.unmaps, look->unmaps);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_start, SVM_BASE + page * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_end, SVM_BASE + (page + n) * PAGE_SIZE);
	svm_expect_holes(test, range, 0, n);
	svm_expect_kept(test, range, 0, look, page, n);
	svm_expect_calls(test, 0, look, 0, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 1);

	/* The hole alone is looked at and mapped. */
	svm_touch(test, SVM_BASE + 100 * PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, page, n);
	svm_expect_work(test, look, 1, 1);
	if (n == 1)
		svm_expect_calls(test, 0, look, 1, 1);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets_valid), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 1);
}

struct hole_case {
	const char *name;
	struct {
		s8 page, n;
	} hits[4];
	u16 missing;		/* a bit for each page */
	unsigned int holes;
	unsigned int parts;
};

static const struct hole_case hole_cases[] = {
	{ "at the start", { { 0, 1 } }, 0x0001, 1, 1 },
	{ "at the end", { { 15, 1 } }, 0x8000, 1, 1 },
	{ "in the middle", { { 7, 1 } }, 0x0080, 1, 1 },
	{ "several pages", { { 5, 4 } }, 0x01e0, 1, 1 },
	{ "all but the first", { { 1, 15 } }, 0xfffe, 1, 1 },
	{ "all but the last", { { 0, 15 } }, 0x7fff, 1, 1 },
	{ "two holes", { { 3, 1 }, { 9, 2 } }, 0x0608, 2, 2 },
	{ "two holes, the second first", { { 9, 2 }, { 3, 1 } }, 0x0608, 2, 2 },
	{ "two next to each other", { { 3, 2 }, { 5, 1 } }, 0x0038, 1, 2 },
	{ "two, and then what is between", { { 3, 1 }, { 5, 1 }, { 4, 1 } }, 0x0038, 1, 3 },
	{ "two that overlap", { { 3, 3 }, { 5, 3 } }, 0x00f8, 1, 2 },
	{ "one twice", { { 6, 2 }, { 6, 1 } }, 0x00c0, 1, 1 },
	{ "over both", { { 3, 1 }, { 9, 1 }, { 2, 9 } }, 0x07fc, 1, 3 },
	{ "from before the start", { { -3, 5 } }, 0x0003, 1, 1 },
	{ "to behind the end", { { 14, 6 } }, 0xc000, 1, 1 },
	{ "from before and to behind", { { -1, 2 }, { 15, 2 } }, 0x8001, 2, 2 },
	{ "every other page", { { 0, 1 }, { 2, 1 }, { 4, 1 }, { 6, 1 } }, 0x0055, 4, 4 },
};

KUNIT_ARRAY_PARAM_DESC(hole, hole_cases, name);

static void holes_are_where_the_hits_were(struct kunit *test)
{
	const struct hole_case *c = test->param_value;
	unsigned int i, n = hweight16(c->missing);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look, *now;

	range = svm_get_small(test, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES);
	look = svm_look_at(test, range, 0);
	for (i = 0; i < ARRAY_SIZE(c->hits) && c->hits[i].n; i++) {
		svm_hit(c->hits[i].page, c->hits[i].n);
		svm_expect_taken(test, 0, c->hits[i].page, c->hits[i].n);
	}

	svm_expect_holes(test, range, 0, n);
	svm_expect_calls(test, 0, look, 0, n);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), c->parts);
	now = svm_look_at(test, range, 0);
	for (i = 0; i < SMALL_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, !now->dma[i], !!(c->missing & BIT(i)), "page %u", i);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, n, n);
	svm_expect_work(test, look, c->holes, c->holes);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, segments) - look->segments, n);
}

/* Whatever is done to get there, all of the range is gone at once. */
static void nothing_is_left_of_what_is_hit_wholly(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	range = svm_get_small(test, 1);
	svm_hit(-1, SMALL_PAGES + 2);
	svm_expect_nothing(test, range, 0);
	svm_expect_taken(test, 0, -1, SMALL_PAGES + 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);

	/* The last part takes the holes along. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_hit(0, 8);
	svm_expect_holes(test, range, 0, 8);
	svm_hit(8, 8);
	svm_expect_nothing(test, range, 0);
	svm_expect_taken(test, 0, 0, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 3);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);
	svm_expect_whole(test, range, 0);
}

/*
 * Segments
 */

static void hit_takes_the_whole_segment(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	svm_show_in_a_row(block, 4, 4);
	range = svm_get_block(test, block, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES - 3);
	look = svm_look_at(test, range, 0);

	svm_hit(5, 1);
	svm_expect_taken(test, 0, 4, 4);
	svm_expect_holes(test, range, 0, 4);
	svm_expect_calls(test, 0, look, 0, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, 1, 1);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES - 3);

	/* A hit that ends in it, and one that begins in it. */
	svm_hit(2, 3);
	svm_expect_taken(test, 0, 2, 6);
	svm_expect_holes(test, range, 0, 6);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_hit(7, 2);
	svm_expect_taken(test, 0, 4, 5);
	svm_expect_holes(test, range, 0, 5);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);

	/* Next to it on both sides. */
	svm_hit(3, 1);
	svm_hit(8, 1);
	svm_expect_holes(test, range, 0, 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, 8, 8);
}

/* A hole is one segment or several, but nobody takes it from a device. */
static void hit_in_a_hole_does_not_grow(struct kunit *test)
{
	const struct drm_gpusvm_ctx page = {
		.partial = true,
		.alone = true,
		.fault_addr = page_addr(5),
	};
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_special(test, &block->file, AT, SMALL);
	svm_touch(test, AT, SMALL);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SMALL);
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &page), 0);

	svm_hit(12, 1);
	svm_expect_taken(test, 0, 12, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_missing, SMALL_PAGES - 1);

	/* What is hit with its neighbours is the whole of what there is. */
	svm_hit(4, 3);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
}

static void huge_page_is_all_there_is_to_take(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_huge(test, SVM_BASE);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, 1);
	svm_notify(current->mm, SVM_BASE + SZ_1M, SVM_BASE + SZ_1M + PAGE_SIZE,
		   MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_start, SVM_BASE);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_end, SVM_BASE + SZ_2M);
	svm_expect_nothing(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_memory(test, range, 0);
}

static void hole_takes_more_segments_than_before(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look;

	svm_show_in_a_row(block, 0, 8);
	range = svm_get_block(test, block, 1);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, pages->nr_addrs, 9);
	KUNIT_ASSERT_EQ(test, pages->max_addrs, 9);
	look = svm_look_at(test, range, 0);

	svm_show_scattered(block, 0, 8);
	svm_change(test, 0, 8);
	svm_expect_holes(test, range, 0, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 8);
	svm_expect_calls(test, 0, look, 8, 1);
	svm_expect_work(test, look, 1, 1);
}

static void hole_takes_fewer_segments_than_before(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look;

	range = svm_get_block(test, block, 1);
	pages = &range->pages[0];
	look = svm_look_at(test, range, 0);
	svm_show_in_a_row(block, 4, 8);
	svm_change(test, 3, 10);
	svm_expect_holes(test, range, 0, 10);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	/* Page 3, twice four pages, page 12. */
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES - 10 + 4);
	KUNIT_EXPECT_EQ(test, pages->max_addrs, SMALL_PAGES);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 3, 10);
	svm_expect_calls(test, 0, look, 4, 10);
	svm_expect_work(test, look, 1, 1);

	/* And back. */
	svm_show_scattered(block, 4, 8);
	svm_change(test, 4, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
}

/* More than a stack has room for, and for several devices. */
static void few_segments_become_many(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_range *range;
	int i;

	svm_show_in_a_row(block, 0, SMALL_PAGES);
	svm_show_scattered(block, 0, 1);
	range = svm_get_block(test, block, SVM_DEVICES);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, 5);
	svm_show_scattered(block, 8, 8);
	svm_change(test, 8, 8);
	for (i = 0; i < SVM_DEVICES; i++)
		svm_expect_holes(test, range, i, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		KUNIT_EXPECT_EQ(test, range->pages[i].nr_addrs, 12);
		svm_expect_whole(test, range, i);
	}
}

/*
 * Many holes
 */

static void many_holes_are_filled_and_one_more_takes_all(struct kunit *test)
{
	struct block *block = svm_make_block(test, LARGE_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;
	int i;

	range = svm_get_block(test, block, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, LARGE_PAGES);
	look = svm_look_at(test, range, 0);
	for (i = 0; i < MOST_HOLES; i++)
		svm_hit(1 + 2 * i, 1);
	svm_expect_holes(test, range, 0, MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, MOST_HOLES, MOST_HOLES);
	svm_expect_work(test, look, MOST_HOLES, MOST_HOLES);

	for (i = 0; i < MOST_HOLES; i++)
		svm_hit(1 + 2 * i, 1);
	/* What is a hole already makes no other one. */
	svm_hit(1, 1);
	svm_expect_holes(test, range, 0, MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);

	svm_hit(110, 1);
	svm_expect_nothing(test, range, 0);
	svm_expect_taken(test, 0, 0, LARGE_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 2 * MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	svm_expect_calls(test, 0, look, MOST_HOLES, MOST_HOLES + LARGE_PAGES);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), MOST_HOLES);
	svm_expect_whole(test, range, 0);
}

/*
 * The end of pages that have holes
 */

static void end_invalidate(struct kunit *test, struct svm_range *range)
{
	svm_hit(0, SMALL_PAGES);
}

static void end_unmap(struct kunit *test, struct svm_range *range)
{
	svm_unmap(test, range);
}

static void end_free(struct kunit *test, struct svm_range *range)
{
	drm_gpusvm_free_pages(&to_svm(test)->gpusvm, &range->pages[0], SMALL_PAGES);
	drm_gpusvm_free_pages(&to_svm(test)->gpusvm, &range->pages[1], SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, range->pages[0].max_addrs, 0);
}

static void end_munmap(struct kunit *test, struct svm_range *range)
{
	svm_munmap(test, AT, SMALL);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), -ESTALE);
}

static void end_munmap_part(struct kunit *test, struct svm_range *range)
{
	svm_munmap(test, page_addr(8), PAGE_SIZE);
	svm_expect_holes(test, range, 0, 4);
	KUNIT_EXPECT_TRUE(test, range->base.flags.partial_unmap);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), -ESTALE);
	svm_expect_holes(test, range, 0, 4);
	svm_remove(test, range);
}

static void end_remove(struct kunit *test, struct svm_range *range)
{
	svm_remove(test, range);
}

static void end_last_reference(struct kunit *test, struct svm_range *range)
{
	drm_gpusvm_range_remove(&to_svm(test)->gpusvm, &range->base);
}

static void end_restart(struct kunit *test, struct svm_range *range)
{
	svm_restart(test, &svm_ops_parts, svm_holes_chunks, ARRAY_SIZE(svm_holes_chunks));
}

struct end_case {
	const char *name;
	void (*end)(struct kunit *test, struct svm_range *range);
	bool restarts;
};

static const struct end_case end_cases[] = {
	{ "invalidation of all", end_invalidate },
	{ "unmap", end_unmap },
	{ "free", end_free },
	{ "munmap", end_munmap },
	{ "munmap of a part", end_munmap_part },
	{ "removal", end_remove },
	{ "last reference", end_last_reference },
	{ "end of the mirror", end_restart, true },
};

KUNIT_ARRAY_PARAM_DESC(end, end_cases, name);

static void pages_with_holes_leave_nothing(struct kunit *test)
{
	const struct end_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look[2];
	int i;

	range = svm_get_small(test, 2);
	for (i = 0; i < 2; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(0, 1);
	svm_hit(4, 2);
	c->end(test, range);
	svm_expect_unmapped(test);
	for (i = 0; i < 2; i++)
		svm_expect_calls(test, i, look[i], 0, SMALL_PAGES);
	if (!c->restarts)
		KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
}

static void pages_with_holes_are_got_again_after_unmap(struct kunit *test)
{
	struct svm_range *range;

	range = svm_get_small(test, 1);
	svm_hit(3, 1);
	svm_unmap(test, range);
	svm_expect_nothing(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills), 0);
}

static struct kunit_case drm_gpusvm_holes_cases[] = {
	KUNIT_CASE(discarded_page_alone_is_unmapped_and_mapped),
	KUNIT_CASE_PARAM(holes_are_where_the_hits_were, hole_gen_params),
	KUNIT_CASE(nothing_is_left_of_what_is_hit_wholly),
	KUNIT_CASE(hit_takes_the_whole_segment),
	KUNIT_CASE(hit_in_a_hole_does_not_grow),
	KUNIT_CASE(huge_page_is_all_there_is_to_take),
	KUNIT_CASE(hole_takes_more_segments_than_before),
	KUNIT_CASE(hole_takes_fewer_segments_than_before),
	KUNIT_CASE(few_segments_become_many),
	KUNIT_CASE(many_holes_are_filled_and_one_more_takes_all),
	KUNIT_CASE_PARAM(pages_with_holes_leave_nothing, end_gen_params),
	KUNIT_CASE(pages_with_holes_are_got_again_after_unmap),
	{}
};

static struct kunit_suite drm_gpusvm_holes_suite = {
	.name = "drm_gpusvm_holes",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = svm_holes_init,
	.exit = vram_exit,
	.test_cases = drm_gpusvm_holes_cases,
};

kunit_test_suite(drm_gpusvm_holes_suite);
