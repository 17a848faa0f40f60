// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: what moves to device memory, what is left, and that
 * the contents are right wherever they are.
 */

#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include <trace/events/kmem.h>

#include "drm_pagemap_fixture.h"

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)

/* The result of populating, all of it. */
static int populate(struct kunit *test, unsigned long addr, unsigned long len,
		    struct drm_pagemap_migrate_stats *stats)
{
	struct drm_pagemap_migrate_details details = { .stats = stats };

	memset(stats, 0, sizeof(*stats));

	return vram_populate_stats(test, &vrams[0], addr, len, &details);
}

static void expect_stats(struct kunit *test, const struct drm_pagemap_migrate_stats *stats,
			 unsigned long moved, unsigned long resident, unsigned long left)
{
	KUNIT_EXPECT_EQ(test, stats->moved, moved);
	KUNIT_EXPECT_EQ(test, stats->resident, resident);
	KUNIT_EXPECT_EQ(test, stats->left, left);
}

/* Populate, and all of it has to be there, whatever it takes. */
static void populate_all(struct kunit *test, unsigned long addr, unsigned long len)
{
	struct drm_pagemap_migrate_stats stats;

	KUNIT_EXPECT_EQ(test, populate(test, addr, len, &stats), 0);
	expect_stats(test, &stats, NPAGES(len), 0, 0);
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], addr, len), NPAGES(len));
	svm_expect_unmapped(test);
}

/*
 * Pages that can't move
 */

static struct page *pin(struct kunit *test, unsigned long addr)
{
	struct page *page;

	KUNIT_ASSERT_EQ(test, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page),
			1);

	return page;
}

static void pinned_page_keeps_no_other_back(struct kunit *test)
{
	unsigned long pinned = SVM_BASE + 5 * PAGE_SIZE;
	struct drm_pagemap_migrate_stats stats;
	struct page *page;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	page = pin(test, pinned);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_64K, &stats), -EBUSY);
	expect_stats(test, &stats, 15, 0, 1);
	KUNIT_EXPECT_EQ(test, vrams[0].seen.alloc_size, 15 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_LEFT), 1);
	vram_expect_in(test, &vrams[0], SVM_BASE, 5 * PAGE_SIZE);
	vram_expect_in(test, &vrams[0], pinned + PAGE_SIZE, 10 * PAGE_SIZE);

	/* Who has pinned it and the process still see the same page. */
	KUNIT_EXPECT_PTR_EQ(test, vram_spot(current->mm, pinned).page, page);
	*(u64 *)page_address(page) = 1;
	KUNIT_EXPECT_EQ(test, svm_read(test, pinned), 1);
	unpin_user_page(page);
	vram_fill(test, pinned, PAGE_SIZE);

	/* Only what is missing is asked for. */
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_64K, &stats), 0);
	expect_stats(test, &stats, 1, 15, 0);
	KUNIT_EXPECT_EQ(test, vrams[0].seen.alloc_size, PAGE_SIZE);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

static void pinned_huge_page_is_left(struct kunit *test)
{
	unsigned long after = SVM_BASE + SZ_2M;
	struct drm_pagemap_migrate_stats stats;
	struct page *page;

	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	vram_map_filled(test, after, SZ_64K);
	page = pin(test, SVM_BASE + SZ_1M);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M + SZ_64K, &stats), -EBUSY);
	expect_stats(test, &stats, NPAGES(SZ_64K), 0, NPAGES(SZ_2M));
	vram_expect_in(test, &vrams[0], after, SZ_64K);
	vram_expect_in_ram(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_PTR_EQ(test, vram_spot(current->mm, SVM_BASE + SZ_1M).page, page);
	unpin_user_page(page);

	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M + SZ_64K, &stats), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_2M + SZ_64K);
}

/* Nor does a large folio that can't be split, in the page table that it shares. */
static void pinned_part_keeps_no_other_page_back(struct kunit *test)
{
	unsigned long small = SVM_BASE + SZ_1M;
	struct drm_pagemap_migrate_stats stats;
	struct page *page;

	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	svm_discard(test, small, SZ_1M);
	vram_fill(test, small, SZ_1M);
	page = pin(test, SVM_BASE + SZ_64K);
	KUNIT_ASSERT_TRUE(test, PageCompound(page));
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M, &stats), -EBUSY);
	expect_stats(test, &stats, NPAGES(SZ_1M), 0, NPAGES(SZ_1M));
	vram_expect_in(test, &vrams[0], small, SZ_1M);
	vram_expect_in_ram(test, SVM_BASE, SZ_1M);
	unpin_user_page(page);

	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M, &stats), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
}

/* migrate_to_devmem() with stats is best effort, too; the allocation covers it all. */
static void pinned_page_keeps_no_other_of_an_allocation_back(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats = {};
	struct vram *vram = &vrams[0];
	struct page *page;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	page = pin(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, vram_migrate_stats(test, vram_bo_create(vram->dpagemap, current->mm,
								      SZ_64K),
						 SVM_BASE, SZ_64K, &stats), -EBUSY);
	expect_stats(test, &stats, NPAGES(SZ_64K) - 1, 0, 1);
	vram_expect_in(test, vram, SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
	unpin_user_page(page);
	vram_expect(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
}

/*
 * Addresses without a page
 */

struct empty_case {
	const char *name;
	unsigned long len;
	enum vram_layout layout;
	bool huge_page;
	bool read_first;
};

static const struct empty_case empty_cases[] = {
	{ "4K hole", SZ_4K },
	{ "64K hole", SZ_64K },
	{ "2M hole", SZ_2M },
	{ "2M hole, THP", SZ_2M, VRAM_ROW, true },
	{ "2M hole, THP, shifted", SZ_2M, VRAM_SHIFTED, true },
	{ "2M hole, THP, reversed", SZ_2M, VRAM_REVERSED, true },
	{ "64K of zero pages", SZ_64K, VRAM_ROW, false, true },
	{ "huge zero page", SZ_2M, VRAM_ROW, true, true },
	{ "huge zero page, sparse", SZ_2M, VRAM_SPARSE, true, true },
};

KUNIT_ARRAY_PARAM_DESC(empty, empty_cases, name);

/* There is nothing to copy, but what the device sees is clean. */
static void emptiness_becomes_zeroes(struct kunit *test)
{
	const struct empty_case *c = test->param_value;
	unsigned long addr;

	svm_map(test, SVM_BASE, c->len, RW);
	if (c->huge_page)
		svm_advise(test, SVM_BASE, c->len, MADV_HUGEPAGE);
	if (c->read_first) {
		vram_expect_zero(test, SVM_BASE, c->len);
		KUNIT_ASSERT_EQ(test, vram_count_place(VRAM_ZERO, SVM_BASE, c->len),
				NPAGES(c->len));
	}
	vrams[0].rules.layout = c->layout;
	populate_all(test, SVM_BASE, c->len);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vrams[0].seen.pages[false]), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_ZEROED), NPAGES(c->len));
	for (addr = SVM_BASE; addr < SVM_BASE + c->len; addr += PAGE_SIZE)
		KUNIT_ASSERT_NULL(test,
				  memchr_inv(vram_word(vram_spot(current->mm, addr).page), 0,
					     PAGE_SIZE));
	vram_expect_zero(test, SVM_BASE, c->len);
	vram_fill(test, SVM_BASE, c->len);
	vram_expect_in_ram(test, SVM_BASE, c->len);
}

/* A hole of 2M takes one huge folio where the VMA may have huge pages. */
static void huge_hole_becomes_a_huge_folio(struct kunit *test)
{
	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_advise(test, SVM_BASE, SZ_2M, MADV_HUGEPAGE);
	populate_all(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE).huge);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE),
			NPAGES(SZ_2M));
}

static void holes_between_pages_are_filled(struct kunit *test)
{
	unsigned long addr;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_2M; addr += 2 * PAGE_SIZE)
		vram_fill(test, addr, PAGE_SIZE);
	populate_all(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vrams[0].seen.zeroed), NPAGES(SZ_1M));
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_2M; addr += 2 * PAGE_SIZE) {
		vram_expect(test, addr, PAGE_SIZE);
		vram_expect_zero(test, addr + PAGE_SIZE, PAGE_SIZE);
	}
}

/*
 * Huge pages
 */

static void map_huge_filled(struct kunit *test, unsigned long addr)
{
	svm_map_huge(test, addr);
	vram_fill(test, addr, SZ_2M);
}

static void huge_page_moves_whole(struct kunit *test)
{
	struct vram *vram = &vrams[0];

	map_huge_filled(test, SVM_BASE);
	populate_all(test, SVM_BASE, SZ_2M);
	vram_expect_in(test, vram, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE).huge);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vram->seen.segments[false]), 1);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE), NPAGES(SZ_2M));

	/* One touch brings it back, whole again. */
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE + SZ_1M), SVM_BASE + SZ_1M + 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE).huge);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vram->seen.segments[true]), 1);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_SPLIT), 0);
	vram_expect_in_ram(test, SVM_BASE, SZ_2M);
}

static void part_of_a_huge_page_moves(struct kunit *test)
{
	map_huge_filled(test, SVM_BASE);
	populate_all(test, SVM_BASE + SZ_512K, SZ_64K);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_512K, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_RAM, SVM_BASE, SZ_2M),
			NPAGES(SZ_2M - SZ_64K));
	vram_expect(test, SVM_BASE, SZ_2M);
}

struct layout_case {
	const char *name;
	enum vram_layout layout;
	bool huge;
};

static const struct layout_case layout_cases[] = {
	{ "row", VRAM_ROW, true },
	{ "shifted", VRAM_SHIFTED, false },
	{ "reversed", VRAM_REVERSED, false },
	{ "sparse", VRAM_SPARSE, false },
};

KUNIT_ARRAY_PARAM_DESC(layout, layout_cases, name);

/* Device memory need not be in a row. A folio has to be. */
static void huge_page_fits_fragmented_memory(struct kunit *test)
{
	const struct layout_case *c = test->param_value;
	struct vram *vram = &vrams[0];

	vram->rules.layout = c->layout;
	map_huge_filled(test, SVM_BASE);
	populate_all(test, SVM_BASE, SZ_2M);
	vram_expect_in(test, vram, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).huge, c->huge);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_TO_DEVMEM_HUGE),
			c->huge ? NPAGES(SZ_2M) : 0);
	vram_expect(test, SVM_BASE, SZ_2M);
	vram_expect_in_ram(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
}

/* The same from device to device. */
static void huge_folio_moves_to_a_fragmented_peer(struct kunit *test)
{
	const struct layout_case *c = test->param_value;

	map_huge_filled(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_2M), 0);
	vrams[0].rules.layout = c->layout;
	populate_all(test, SVM_BASE, SZ_2M);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).huge, c->huge);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[1].live), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vrams[1].seen.pages[true]), NPAGES(SZ_2M));
	vram_expect(test, SVM_BASE, SZ_2M);
	vram_expect_in_ram(test, SVM_BASE, SZ_2M);
}

/* After a fork the folio is split for the other process, too, which keeps the contents. */
static void shared_huge_folio_moves_to_fragmented_memory(struct kunit *test)
{
	const struct layout_case *c = test->param_value;
	struct vram *vram = &vrams[0];
	struct mm_struct *child;

	vram->rules.layout = c->layout;
	map_huge_filled(test, SVM_BASE);
	child = svm_fork(test);
	populate_all(test, SVM_BASE, SZ_2M);
	vram_expect_in(test, vram, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).huge, c->huge);
	KUNIT_EXPECT_EQ(test, vram_spot(child, SVM_BASE).huge, c->huge);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
	mmput(child);
}

/* The same from device to device. */
static void shared_huge_folio_moves_to_a_fragmented_peer(struct kunit *test)
{
	const struct layout_case *c = test->param_value;
	struct mm_struct *child;

	map_huge_filled(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_2M), 0);
	child = svm_fork(test);
	vrams[0].rules.layout = c->layout;
	populate_all(test, SVM_BASE, SZ_2M);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, vram_spot(child, SVM_BASE).huge, c->huge);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
	mmput(child);
}

/* Part of a huge folio of a peer, and of one's own that comes back in part. */
static void part_of_a_huge_folio_moves_on(struct kunit *test)
{
	map_huge_filled(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_2M), 0);
	populate_all(test, SVM_BASE + SZ_64K, SZ_64K);
	vram_expect_in(test, &vrams[1], SVM_BASE, SZ_64K);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_64K, SZ_64K);
	vram_expect_in(test, &vrams[1], SVM_BASE + SZ_128K, SZ_2M - SZ_128K);
	vram_expect(test, SVM_BASE, SZ_2M);
}

/*
 * Sources of all kinds
 */

struct source_case {
	const char *name;
	/*
	 * Each sixteenth: 'r'am, 'h'ole, 'z'ero page, device '0' or '1', the
	 * 's'tranger's, 'p'inned
	 */
	const char *where;
	int err;
};

static const struct source_case source_cases[] = {
	{ "RAM and own", "r0r0r0r0r0r0r0r0", 0 },
	{ "RAM and peer", "r1r1r1r1r1r1r1r1", 0 },
	{ "own and peer", "0101010101010101", 0 },
	{ "halves", "1111111100000000", 0 },
	{ "peer first", "1rrrrrrrrrrrrrrr", 0 },
	{ "peer last", "rrrrrrrrrrrrrrr1", 0 },
	{ "holes and peer", "1h1h1h1h1h1h1h1h", 0 },
	{ "all that moves", "r0h1zr1h0z10hzr1", 0 },
	{ "stranger", "rrrrssss11110000", -EBUSY },
	{ "pinned", "r0h1p01zprs01hz0", -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(source, source_cases, name);

static void place(struct kunit *test, char where, unsigned long addr, unsigned long len)
{
	struct vram *vram = NULL;

	if (where == 'h')
		return;
	if (where == 'z') {
		vram_expect_zero(test, addr, len);
		return;
	}
	vram_fill(test, addr, len);
	if (where == '0' || where == '1')
		vram = &vrams[where - '0'];
	else if (where == 's')
		vram = &vrams[VRAM_STRANGER];
	if (vram)
		KUNIT_ASSERT_EQ(test, vram_populate(test, vram, addr, len), 0);
}

static bool stays(char where)
{
	return where == 's' || where == 'p';
}

static void expect_place(struct kunit *test, char where, unsigned long addr,
			 unsigned long len)
{
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], addr, len), stays(where) ? 0 : NPAGES(len));
}

static void expect_contents(struct kunit *test, char where, unsigned long addr,
			    unsigned long len)
{
	if (where == 'h' || where == 'z')
		vram_expect_zero(test, addr, len);
	else
		vram_expect(test, addr, len);
}

static void sources_of_all_kinds_move(struct kunit *test)
{
	const struct source_case *c = test->param_value;
	unsigned long step = SZ_2M / 16, resident = 0, left = 0;
	struct drm_pagemap_migrate_stats stats;
	struct page *pages[2 * 32];
	int i, j, pinned = 0;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	for (i = 0; i < 16; i++) {
		place(test, c->where[i], SVM_BASE + i * step, step);
		resident += c->where[i] == '0' ? NPAGES(step) : 0;
		left += stays(c->where[i]) ? NPAGES(step) : 0;
		for (j = 0; c->where[i] == 'p' && j < NPAGES(step); j++)
			pages[pinned++] = pin(test, SVM_BASE + i * step + j * PAGE_SIZE);
	}

	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M, &stats), c->err);
	expect_stats(test, &stats, NPAGES(SZ_2M) - resident - left, resident, left);
	svm_expect_unmapped(test);
	unpin_user_pages(pages, pinned);
	/* The contents come last, since who looks takes them back. */
	for (i = 0; i < 16; i++)
		expect_place(test, c->where[i], SVM_BASE + i * step, step);
	for (i = 0; i < 16; i++)
		expect_contents(test, c->where[i], SVM_BASE + i * step, step);
}

static void peer_out_of_reach_stays(struct kunit *test)
{
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_32K), 0);
	/* The peer pushes: it is our memory that it has to reach. */
	vrams[0].rules.alone = true;
	KUNIT_EXPECT_LT(test, vram_populate(test, &vrams[0], SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, &vrams[1], SVM_BASE, SZ_32K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
	vram_expect(test, SVM_BASE, SZ_64K);

	vrams[0].rules.alone = false;
	vrams[0].rules.fail_map = 3;
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_32K), 0);
	KUNIT_EXPECT_LT(test, vram_populate(test, &vrams[0], SVM_BASE, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.maps),
			atomic_read(&vrams[0].seen.unmaps));
	vram_expect_in(test, &vrams[1], SVM_BASE, SZ_32K);
	vrams[0].rules.fail_map = 0;
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[0], SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
}

/* Within a pagemap there is nothing to move, unless the driver wants it. */
static void own_pages_move_on_request(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats = {};
	struct drm_pagemap_migrate_details details = {
		.can_migrate_same_pagemap = true,
		.stats = &stats,
	};
	struct vram *vram = &vrams[0];
	struct page *page;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	populate_all(test, SVM_BASE, SZ_64K);
	page = vram_spot(current->mm, SVM_BASE).page;
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	KUNIT_EXPECT_PTR_EQ(test, vram_spot(current->mm, SVM_BASE).page, page);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.allocs), 1);

	KUNIT_EXPECT_EQ(test, vram_populate_stats(test, vram, SVM_BASE, SZ_64K, &details), 0);
	expect_stats(test, &stats, NPAGES(SZ_64K), 0, 0);
	KUNIT_EXPECT_PTR_NE(test, vram_spot(current->mm, SVM_BASE).page, page);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
	vram_expect_in(test, vram, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/*
 * VMAs of all kinds
 */

static void map_shmem(struct kunit *test)
{
	struct file *file = shmem_file_setup("svm", SZ_64K, EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, SVM_BASE, SZ_64K, RW, MAP_SHARED);
	fput(file);
}

static void map_private_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("svm", SZ_64K, EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, SVM_BASE, SZ_64K, RW, MAP_PRIVATE);
	fput(file);
}

static void map_shared_memory(struct kunit *test)
{
	svm_map_file(test, NULL, SVM_BASE, SZ_64K, RW, MAP_SHARED | MAP_ANONYMOUS);
}

static void map_locked(struct kunit *test)
{
	svm_map_file(test, NULL, SVM_BASE, SZ_64K, RW,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED);
}

static void map_private(struct kunit *test)
{
	svm_map(test, SVM_BASE, SZ_64K, RW);
}

struct vma_case {
	const char *name;
	void (*map)(struct kunit *test);
	bool moves;
};

static const struct vma_case vma_cases[] = {
	{ "private memory", map_private, true },
	{ "locked memory", map_locked, true },
	{ "shared memory", map_shared_memory, false },
	{ "shared file", map_shmem, false },
	{ "private file", map_private_file, false },
};

KUNIT_ARRAY_PARAM_DESC(vma, vma_cases, name);

static void kind_of_memory_decides(struct kunit *test)
{
	const struct vma_case *c = test->param_value;
	struct drm_pagemap_migrate_stats stats;

	c->map(test);
	vram_fill(test, SVM_BASE, SZ_64K);
	vram_map_filled(test, SVM_BASE + SZ_64K, SZ_64K);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_128K, &stats), c->moves ? 0 : -EBUSY);
	expect_stats(test, &stats, NPAGES(c->moves ? SZ_128K : SZ_64K), 0,
		     NPAGES(c->moves ? 0 : SZ_64K));
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], SVM_BASE, SZ_64K),
			c->moves ? NPAGES(SZ_64K) : 0);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_64K, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_128K);
	svm_munmap(test, SVM_BASE, SZ_128K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
}

static void hugetlb_is_left(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;
	struct file *file;
	unsigned long at;

	file = hugetlb_file_setup("svm", SZ_2M, EMPTY_VMA_FLAGS, HUGETLB_ANONHUGE_INODE, 21);
	if (IS_ERR(file))
		kunit_skip(test, "no hugetlbfs with pages of 2 MiB");
	at = vm_mmap(file, SVM_BASE, SZ_2M, RW, MAP_FIXED | MAP_PRIVATE, 0);
	fput(file);
	if (at != SVM_BASE)
		kunit_skip(test, "no huge pages reserved: nr_hugepages");
	vram_fill(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_2M, &stats), -EBUSY);
	expect_stats(test, &stats, 0, 0, NPAGES(SZ_2M));
	vram_expect(test, SVM_BASE, SZ_2M);
}

static vm_fault_t give_page(struct svm_file *file, struct vm_fault *vmf)
{
	vmf->page = file->arg;
	get_page(vmf->page);

	return 0;
}

static void pages_of_drivers_are_left(struct kunit *test)
{
	struct svm_file file = { .fault = give_page };
	struct drm_pagemap_migrate_stats stats;
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	file.arg = page;
	svm_map_special(test, &file, SVM_BASE, PAGE_SIZE);
	vram_fill(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, PAGE_SIZE, &stats), -EBUSY);
	vram_expect(test, SVM_BASE, PAGE_SIZE);
	svm_munmap(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, page_count(page), 1);
	__free_page(page);
}

/* Memory that the process has hidden from itself is memory all the same. */
static void protection_stays(struct kunit *test)
{
	u64 __user *p = (u64 __user *)SVM_BASE;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	svm_mprotect(test, SVM_BASE + SZ_32K, SZ_32K, PROT_READ);
	populate_all(test, SVM_BASE, SZ_64K);
	svm_mprotect(test, SVM_BASE, SZ_32K, PROT_NONE);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, vram_spot(current->mm, SVM_BASE + SZ_32K).writable);
	KUNIT_EXPECT_EQ(test, put_user(1, p), -EFAULT);
	KUNIT_EXPECT_EQ(test, put_user(1, p + SZ_32K / sizeof(*p)), -EFAULT);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_32K);
	vram_expect(test, SVM_BASE + SZ_32K, SZ_32K);
	KUNIT_EXPECT_EQ(test, put_user(1, p + SZ_32K / sizeof(*p)), -EFAULT);

	svm_mprotect(test, SVM_BASE, SZ_64K, RW);
	vram_expect(test, SVM_BASE, SZ_64K);
	vram_fill(test, SVM_BASE, SZ_64K);
}

static void gaps_between_vmas_are_skipped(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;
	int i;

	for (i = 0; i < 4; i++)
		vram_map_filled(test, SVM_BASE + SZ_1M + i * SZ_1M, SZ_64K);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_8M, &stats), 0);
	expect_stats(test, &stats, 4 * NPAGES(SZ_64K), 0, 0);
	for (i = 0; i < 4; i++)
		vram_expect_in(test, &vrams[0], SVM_BASE + SZ_1M + i * SZ_1M, SZ_64K);
}

/*
 * Pages that others have as well
 */

static void copy_on_write_survives(struct kunit *test)
{
	struct mm_struct *child;
	u64 value = 42;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	child = svm_fork(test);
	populate_all(test, SVM_BASE, SZ_64K);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_PTR_EQ(test, vram_spot(child, SVM_BASE).page,
			    vram_spot(current->mm, SVM_BASE).page);
	KUNIT_EXPECT_FALSE(test, vram_spot(child, SVM_BASE).writable);

	/* Each writes for itself. */
	KUNIT_EXPECT_EQ(test, access_remote_vm(child, SVM_BASE, &value, sizeof(value),
					       FOLL_WRITE), sizeof(value));
	vram_expect(test, SVM_BASE, SZ_64K);
	svm_write(test, SVM_BASE + PAGE_SIZE, 43);
	vram_expect_mm(test, child, SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
	mmput(child);
}

/* fork() while the memory is in the device, huge or not. */
static void fork_shares_device_memory(struct kunit *test)
{
	struct mm_struct *child;

	map_huge_filled(test, SVM_BASE);
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_64K);
	populate_all(test, SVM_BASE, SZ_2M + SZ_64K);
	child = svm_fork(test);
	KUNIT_EXPECT_EQ(test, vram_spot(child, SVM_BASE + SZ_2M).place, VRAM_DEVICE);
	svm_write(test, SVM_BASE, 42);
	svm_write(test, SVM_BASE + SZ_2M, 42);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M + SZ_64K);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), 42);
	mmput(child);
}

/* Whether KSM has made one page of two, and is done with it. */
static bool merged(unsigned long a, unsigned long b)
{
	struct page *page = vram_spot(current->mm, a).page;
	struct folio *folio;

	if (!page || page != vram_spot(current->mm, b).page)
		return false;

	/* It is locked until KSM knows where it is mapped. */
	folio = page_folio(page);
	folio_lock(folio);
	folio_unlock(folio);

	return (unsigned long)folio->mapping & ~FOLIO_MAPPING_FLAGS;
}

/* What KSM has merged may move or stay, but what is read doesn't change. */
static void merged_pages_keep_their_contents(struct kunit *test)
{
	unsigned long other = SVM_BASE + PAGE_SIZE;
	struct drm_pagemap_migrate_stats stats;
	int err, i;

	if (!IS_ENABLED(CONFIG_KSM))
		kunit_skip(test, "needs CONFIG_KSM");

	svm_map(test, SVM_BASE, 4 * PAGE_SIZE, RW);
	for (i = 0; i < 4; i++)
		svm_write(test, SVM_BASE + i * PAGE_SIZE, 42);
	svm_advise(test, SVM_BASE, 2 * PAGE_SIZE, MADV_MERGEABLE);
	if (!svm_wait_until(merged(SVM_BASE, other)))
		kunit_skip(test, "nothing is merged: /sys/kernel/mm/ksm/run");

	err = populate(test, SVM_BASE, 4 * PAGE_SIZE, &stats);
	KUNIT_EXPECT_EQ(test, err, stats.left ? -EBUSY : 0);
	KUNIT_EXPECT_EQ(test, stats.moved + stats.left, 4);
	KUNIT_EXPECT_GE(test, stats.moved, 2);
	svm_write(test, other, 43);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), 42);
	KUNIT_EXPECT_EQ(test, svm_read(test, other), 43);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE + 2 * PAGE_SIZE), 42);
}

/* A process may have KSM look at all of its memory. What differs moves. */
static void memory_that_may_be_merged_moves(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;

	if (!IS_ENABLED(CONFIG_KSM))
		kunit_skip(test, "needs CONFIG_KSM");

	vram_map_filled(test, SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE, SZ_64K, MADV_MERGEABLE);
	/* A page that KSM looks at just then comes the next time. */
	KUNIT_EXPECT_TRUE(test, svm_wait_until(!populate(test, SVM_BASE, SZ_64K, &stats)));
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/* KSM counts where it has mapped the zero page, until something else is mapped there. */
static void zero_pages_of_ksm_are_counted_out(struct kunit *test)
{
#ifdef CONFIG_KSM
	struct mm_struct *mm = current->mm;
	spinlock_t *ptl;	/* of the entry */
	pte_t *ptep;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	vram_expect_zero(test, SVM_BASE, SZ_64K);
	mmap_read_lock(mm);
	ptep = get_locked_pte(mm, SVM_BASE, &ptl);
	if (ptep) {
		set_pte_at(mm, SVM_BASE, ptep, pte_mkdirty(ptep_get(ptep)));
		ksm_map_zero_page(mm);
		pte_unmap_unlock(ptep, ptl);
	}
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, mm_ksm_zero_pages(mm), 1);
	populate_all(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, mm_ksm_zero_pages(mm), 0);
#else
	kunit_skip(test, "needs CONFIG_KSM");
#endif
}

static void swapped_out_pages_are_left(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE, SZ_32K, MADV_PAGEOUT);
	if (vram_count_place(VRAM_SWAP, SVM_BASE, SZ_64K) != NPAGES(SZ_32K))
		kunit_skip(test, "nothing was swapped out: no swap?");

	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_64K, &stats), -EBUSY);
	expect_stats(test, &stats, NPAGES(SZ_32K), 0, NPAGES(SZ_32K));
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_SWAP, SVM_BASE, SZ_32K), NPAGES(SZ_32K));
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_32K, SZ_32K);
	vram_expect(test, SVM_BASE, SZ_64K);

	/* Swapped in, and maybe still in the swap cache, it moves. */
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, SZ_64K, &stats), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
}

static void soft_dirty_is_kept(struct kunit *test)
{
	if (!pgtable_supports_soft_dirty())
		kunit_skip(test, "needs CONFIG_MEM_SOFT_DIRTY");

	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, vram_spot(current->mm, SVM_BASE).soft_dirty);
	populate_all(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE).soft_dirty);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), SVM_BASE + 1);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE).soft_dirty);
}

/*
 * The pages of RAM that contents come back to
 */

struct page_watch {
	struct task_struct *task;
	atomic_t movable;
	atomic_t others;
};

/* Of the pages for user space, which have __GFP_HARDWALL. */
static void watch_page_alloc(void *data, struct page *page, unsigned int order,
			     gfp_t gfp, int migratetype)
{
	struct page_watch *watch = data;

	if (current != watch->task || !page || !(gfp & __GFP_HARDWALL))
		return;
	atomic_add(1 << order, gfp & __GFP_MOVABLE ? &watch->movable : &watch->others);
}

static void returned_pages_are_movable(struct kunit *test)
{
	struct page_watch watch = { .task = current };
	struct vram_bo *bo;
	int err;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "needs CONFIG_TRACEPOINTS");

	map_huge_filled(test, SVM_BASE);
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_128K);
	populate_all(test, SVM_BASE, SZ_2M);
	populate_all(test, SVM_BASE + SZ_2M, SZ_64K);
	populate_all(test, SVM_BASE + SZ_2M + SZ_64K, SZ_64K);

	KUNIT_ASSERT_EQ(test, 0, register_trace_mm_page_alloc(watch_page_alloc, &watch));
	svm_read(test, SVM_BASE + SZ_2M);
	bo = vram_oldest(&vrams[0]);
	err = drm_pagemap_evict_to_ram(&bo->devmem);
	svm_read(test, SVM_BASE + SZ_2M + SZ_64K);
	unregister_trace_mm_page_alloc(watch_page_alloc, &watch);
	tracepoint_synchronize_unregister();
	vram_bo_put(bo);

	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&watch.others), 0);
	/* There is no event for pages that were allocated in bulk. */
	KUNIT_EXPECT_GE(test, atomic_read(&watch.movable), NPAGES(SZ_2M));
	vram_expect_in_ram(test, SVM_BASE, SZ_2M + SZ_128K);
}

/* Memory is still charged to the process, and counted, wherever it is. */
static void counts_of_the_mm_stay(struct kunit *test)
{
	unsigned long pages;

	map_huge_filled(test, SVM_BASE);
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_64K);
	pages = get_mm_counter_sum(current->mm, MM_ANONPAGES);
	populate_all(test, SVM_BASE, SZ_2M + SZ_64K);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), pages);
	vram_expect(test, SVM_BASE, SZ_2M + SZ_64K);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), pages);
	svm_munmap(test, SVM_BASE, SZ_2M + SZ_64K);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			pages - NPAGES(SZ_2M + SZ_64K));
}

/*
 * More than a chunk
 */

static void many_chunks_move(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;
	struct page *page;

	vram_map_filled(test, SVM_BASE + SZ_1M, SZ_8M);
	populate_all(test, SVM_BASE + SZ_1M, SZ_8M);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_1M, SZ_8M);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.allocs), 5);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.waits), 0);

	/* One page of each chunk comes back: so much is asked for. */
	vrams[0].rules.window = PAGE_SIZE;
	vram_expect(test, SVM_BASE + SZ_1M, SZ_8M);
	populate_all(test, SVM_BASE + SZ_1M, SZ_8M);
	svm_read(test, SVM_BASE + SZ_4M);
	page = pin(test, SVM_BASE + SZ_4M + SZ_64K);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE + SZ_1M, SZ_8M, &stats), -EBUSY);
	expect_stats(test, &stats, 1, NPAGES(SZ_8M) - 2, 1);
	unpin_user_page(page);
}

/* Nobody may touch it, so it takes no memory. */
static void guard_area_stays_empty(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_map(test, SVM_BASE + SZ_64K, SZ_64K, PROT_NONE);
	svm_map(test, SVM_BASE + SZ_128K, SZ_64K, RW);
	vram_fill(test, SVM_BASE, SZ_64K);
	vram_fill(test, SVM_BASE + SZ_128K, SZ_64K);
	KUNIT_EXPECT_EQ(test, populate(test, SVM_BASE, 3 * SZ_64K, &stats), 0);
	expect_stats(test, &stats, NPAGES(2 * SZ_64K), 0, 0);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_ZEROED), 0);
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_NOWHERE, SVM_BASE + SZ_64K, SZ_64K),
			NPAGES(SZ_64K));
	vram_expect(test, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE + SZ_128K, SZ_64K);
}

static struct kunit_case drm_pagemap_migrate_cases[] = {
	KUNIT_CASE(guard_area_stays_empty),
	KUNIT_CASE(pinned_page_keeps_no_other_back),
	KUNIT_CASE(pinned_huge_page_is_left),
	KUNIT_CASE(pinned_part_keeps_no_other_page_back),
	KUNIT_CASE(pinned_page_keeps_no_other_of_an_allocation_back),
	KUNIT_CASE_PARAM(emptiness_becomes_zeroes, empty_gen_params),
	KUNIT_CASE(huge_hole_becomes_a_huge_folio),
	KUNIT_CASE(holes_between_pages_are_filled),
	KUNIT_CASE(huge_page_moves_whole),
	KUNIT_CASE(part_of_a_huge_page_moves),
	KUNIT_CASE_PARAM(huge_page_fits_fragmented_memory, layout_gen_params),
	KUNIT_CASE_PARAM(huge_folio_moves_to_a_fragmented_peer, layout_gen_params),
	KUNIT_CASE_PARAM(shared_huge_folio_moves_to_fragmented_memory, layout_gen_params),
	KUNIT_CASE_PARAM(shared_huge_folio_moves_to_a_fragmented_peer, layout_gen_params),
	KUNIT_CASE(part_of_a_huge_folio_moves_on),
	KUNIT_CASE_PARAM(sources_of_all_kinds_move, source_gen_params),
	KUNIT_CASE(peer_out_of_reach_stays),
	KUNIT_CASE(own_pages_move_on_request),
	KUNIT_CASE_PARAM(kind_of_memory_decides, vma_gen_params),
	KUNIT_CASE(hugetlb_is_left),
	KUNIT_CASE(pages_of_drivers_are_left),
	KUNIT_CASE(protection_stays),
	KUNIT_CASE(gaps_between_vmas_are_skipped),
	KUNIT_CASE(copy_on_write_survives),
	KUNIT_CASE(fork_shares_device_memory),
	KUNIT_CASE(merged_pages_keep_their_contents),
	KUNIT_CASE(memory_that_may_be_merged_moves),
	KUNIT_CASE(zero_pages_of_ksm_are_counted_out),
	KUNIT_CASE(swapped_out_pages_are_left),
	KUNIT_CASE(soft_dirty_is_kept),
	KUNIT_CASE(returned_pages_are_movable),
	KUNIT_CASE(counts_of_the_mm_stay),
	KUNIT_CASE(many_chunks_move),
	{}
};

static struct kunit_suite drm_pagemap_migrate_suite = {
	.name = "drm_pagemap_migrate",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_migrate_cases,
};

kunit_test_suite(drm_pagemap_migrate_suite);
