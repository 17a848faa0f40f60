// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: invalidations that take a part of a mapping, and the holes
 * they leave until the next get.
 *
 * Most tests map a file whose pages are chosen such that each of them is a segment
 * of its own, unless the test wants longer ones.
 */

#include <linux/dma-direct.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/slab.h>

#include <drm/drm_device.h>

#include "drm_pagemap_fixture.h"

/* Where the range of most tests is: something is mapped before and behind it. */
#define AT		(SVM_BASE + SZ_1M)
#define SMALL_PAGES	16
#define SMALL		(SMALL_PAGES * PAGE_SIZE)
#define LARGE_PAGES	128
#define LARGE		(LARGE_PAGES * PAGE_SIZE)
#define MOST_PAGES	(SZ_2M / SZ_4K)

/* See PAGES_MAX_HOLES. */
#define MOST_HOLES	32

static const unsigned long chunks[] = { SZ_2M, LARGE, SMALL };

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &vram_owner,
	.devmem_possible = true,
};

static const struct drm_gpusvm_ctx mixed_ctx = {
	.device_private_page_owner = &vram_owner,
	.devmem_possible = true,
	.allow_mixed = true,
};

static unsigned long page_addr(long page)
{
	return AT + page * PAGE_SIZE;
}

/*
 * Memory of the test's choice
 */

#define NOWHERE		U16_MAX

/**
 * struct block - A file that shows pages of a block in any order
 *
 * @file: The file
 * @pages: The block, with twice as many pages as the file
 * @npages: Pages of the file
 * @at: Which page of the block each page of the file is, or NOWHERE
 * @fault: Called before a page is faulted in
 */
struct block {
	struct svm_file file;
	struct page *pages;
	unsigned int npages;
	u16 at[LARGE_PAGES];
	void (*fault)(struct block *block, struct vm_fault *vmf);
};

static vm_fault_t block_fault(struct svm_file *file, struct vm_fault *vmf)
{
	struct block *block = file->arg;
	u16 at = block->at[vmf->pgoff];

	if (block->fault)
		block->fault(block, vmf);
	if (at == NOWHERE)
		return VM_FAULT_SIGBUS;
	vmf->page = block->pages + at;
	get_page(vmf->page);

	return 0;
}

static void block_free(void *data)
{
	struct block *block = data;
	int i;

	for (i = 0; i < 2 * block->npages; i++)
		__free_page(block->pages + i);
}

/* From here on, the file shows pages backwards: neighbours are never merged. */
static void show_scattered(struct block *block, unsigned int page, unsigned int n)
{
	for (; n; n--, page++)
		block->at[page] = block->npages - 1 - page;
}

/* And here such that aligned neighbours are. */
static void show_in_a_row(struct block *block, unsigned int page, unsigned int n)
{
	for (; n; n--, page++)
		block->at[page] = block->npages + page;
}

static struct block *make_block(struct kunit *test, unsigned int npages)
{
	struct block *block = kunit_kzalloc(test, sizeof(*block), GFP_KERNEL);
	unsigned int order = get_order(2 * npages * PAGE_SIZE);

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "counts on pages of 4 KiB");
	KUNIT_ASSERT_NOT_NULL(test, block);
	block->pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	KUNIT_ASSERT_NOT_NULL(test, block->pages);
	split_page(block->pages, order);
	block->npages = npages;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, block_free, block));
	block->file.fault = block_fault;
	block->file.arg = block;
	show_scattered(block, 0, npages);

	return block;
}

static void map_block(struct kunit *test, struct block *block)
{
	unsigned long len = block->npages * PAGE_SIZE;

	svm_map_special(test, &block->file, AT, len);
	svm_touch(test, AT, len);
}

/* A range of small pages for the first devices. */
static struct svm_range *get_block(struct kunit *test, struct block *block,
				   unsigned int devices)
{
	struct svm_range *range;

	map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), block->npages * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, svm_get(range, devices, &write_ctx), 0);

	return range;
}

static struct svm_range *get_small(struct kunit *test, unsigned int devices)
{
	return get_block(test, make_block(test, SMALL_PAGES), devices);
}

/* Announce a change of pages. */
static void hit(long page, long n)
{
	svm_notify(current->mm, page_addr(page), page_addr(page + n), MMU_NOTIFY_CLEAR);
}

/* Change pages to what the file shows now. */
static void change(struct kunit *test, long page, long n)
{
	svm_discard(test, page_addr(page), n * PAGE_SIZE);
	svm_touch(test, page_addr(page), n * PAGE_SIZE);
}

/*
 * What has changed
 */

/**
 * struct look - What a range looks like for a device
 *
 * @dma: Address of each page, 0 where nothing is mapped
 * @maps: See &struct svm_device
 * @unmaps: Likewise
 * @bytes: Likewise
 * @walks: See &struct drm_gpusvm_stats
 * @fills: Likewise
 * @parts: Likewise
 * @segments: Likewise
 */
struct look {
	dma_addr_t dma[MOST_PAGES];
	int maps;
	int unmaps;
	long bytes;
	long walks;
	long fills;
	long parts;
	long segments;
};

static void look_again(struct kunit *test, struct svm_range *range, unsigned int device,
		       struct look *look)
{
	const struct drm_gpusvm_pages *pages = &range->pages[device];
	struct svm_fixture *svm = to_svm(test);
	unsigned int i, page = 0;
	unsigned long offset;

	memset(look, 0, sizeof(*look));
	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		unsigned long size = PAGE_SIZE << addr->order;

		for (offset = 0; offset < size; offset += PAGE_SIZE, page++) {
			KUNIT_ASSERT_LT(test, page, MOST_PAGES);
			if (!addr->hole && !addr->taken)
				look->dma[page] = addr->addr + offset;
		}
	}
	look->maps = atomic_read(&svm->devices[device].maps);
	look->unmaps = atomic_read(&svm->devices[device].unmaps);
	look->bytes = svm_dma_bytes(svm, device);
	look->walks = svm_stat(svm, walks);
	look->fills = svm_stat(svm, fills);
	look->parts = svm_stat(svm, parts);
	look->segments = svm_stat(svm, segments);
}

static struct look *look_at(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct look *look = kunit_kzalloc(test, sizeof(*look), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, look);
	look_again(test, range, device, look);

	return look;
}

/* Of @npages of the range, all have the address they had, but for @n from @page on. */
static void expect_kept(struct kunit *test, struct svm_range *range, unsigned int device,
			const struct look *before, unsigned int page, unsigned int n)
{
	unsigned int i, npages = drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
	struct look *now = look_at(test, range, device);

	for (i = 0; i < npages; i++)
		if (i < page || i >= page + n)
			KUNIT_ASSERT_EQ_MSG(test, now->dma[i], before->dma[i], "page %u", i);
	kunit_kfree(test, now);
}

/* How many pages there are no addresses of, and that all others are mapped. */
static unsigned int count_missing(struct kunit *test, struct svm_range *range,
				  unsigned int device)
{
	unsigned int i, npages = drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
	struct look *now = look_at(test, range, device);
	unsigned int missing = 0;

	for (i = 0; i < npages; i++)
		missing += !now->dma[i];
	if (svm_counts_dma(to_svm(test)))
		KUNIT_EXPECT_EQ(test, now->bytes, (npages - missing) * PAGE_SIZE);
	kunit_kfree(test, now);

	return missing;
}

static void expect_calls(struct kunit *test, unsigned int device, const struct look *before,
			 int maps, int unmaps)
{
	struct svm_fixture *svm = to_svm(test);

	if (!svm_counts_dma(svm))
		return;
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[device].maps) - before->maps, maps);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[device].unmaps) - before->unmaps,
			unmaps);
}

static void expect_work(struct kunit *test, const struct look *before, long walks, long fills)
{
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), walks) - before->walks, walks);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills) - before->fills, fills);
}

static void expect_taken(struct kunit *test, unsigned int device, long page, long n)
{
	struct svm_device *dev = &to_svm(test)->devices[device];

	KUNIT_EXPECT_EQ(test, dev->taken_start, page_addr(page));
	KUNIT_EXPECT_EQ(test, dev->taken_end, page_addr(page + n));
}

static void expect_holes(struct kunit *test, struct svm_range *range, unsigned int device,
			 unsigned int missing)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_NULL(test, pages->deferred_by);
	KUNIT_EXPECT_EQ(test, count_missing(test, range, device), missing);
}

static void expect_whole(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_TRUE(test, svm_valid(test, pages));
	KUNIT_EXPECT_FALSE(test, pages->flags.has_holes);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_EQ(test, count_missing(test, range, device), 0);
	svm_expect_same_memory(test, range, device);
}

static void expect_nothing(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, 0);
	if (svm_counts_dma(to_svm(test)))
		KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), device), 0);
}

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
	look = look_at(test, range, 0);

	pass.range = range;
	svm->arg = &pass;
	svm->hooks.start = note_first_pass;
	svm_discard(test, SVM_BASE + 100 * PAGE_SIZE, PAGE_SIZE);
	svm->hooks.start = NULL;
	KUNIT_EXPECT_FALSE(test, pass.flags.has_dma_mapping);
	KUNIT_EXPECT_TRUE(test, pass.flags.has_holes);
	KUNIT_EXPECT_TRUE(test, pass.flags.writable);
	KUNIT_EXPECT_EQ(test, pass.unmaps, look->unmaps);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_start, SVM_BASE + page * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm->devices[0].taken_end, SVM_BASE + (page + n) * PAGE_SIZE);
	expect_holes(test, range, 0, n);
	expect_kept(test, range, 0, look, page, n);
	expect_calls(test, 0, look, 0, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 1);

	/* The hole alone is looked at and mapped. */
	svm_touch(test, SVM_BASE + 100 * PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, page, n);
	expect_work(test, look, 1, 1);
	if (n == 1)
		expect_calls(test, 0, look, 1, 1);
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

	range = get_small(test, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES);
	look = look_at(test, range, 0);
	for (i = 0; i < ARRAY_SIZE(c->hits) && c->hits[i].n; i++) {
		hit(c->hits[i].page, c->hits[i].n);
		expect_taken(test, 0, c->hits[i].page, c->hits[i].n);
	}

	expect_holes(test, range, 0, n);
	expect_calls(test, 0, look, 0, n);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), c->parts);
	now = look_at(test, range, 0);
	for (i = 0; i < SMALL_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, !now->dma[i], !!(c->missing & BIT(i)), "page %u", i);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, n, n);
	expect_work(test, look, c->holes, c->holes);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, segments) - look->segments, n);
}

/* Whatever is done to get there, all of the range is gone at once. */
static void nothing_is_left_of_what_is_hit_wholly(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	range = get_small(test, 1);
	hit(-1, SMALL_PAGES + 2);
	expect_nothing(test, range, 0);
	expect_taken(test, 0, -1, SMALL_PAGES + 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);

	/* The last part takes the holes along. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	hit(0, 8);
	expect_holes(test, range, 0, 8);
	hit(8, 8);
	expect_nothing(test, range, 0);
	expect_taken(test, 0, 0, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 3);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);
	expect_whole(test, range, 0);
}

/*
 * Segments
 */

static void hit_takes_the_whole_segment(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	show_in_a_row(block, 4, 4);
	range = get_block(test, block, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES - 3);
	look = look_at(test, range, 0);

	hit(5, 1);
	expect_taken(test, 0, 4, 4);
	expect_holes(test, range, 0, 4);
	expect_calls(test, 0, look, 0, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, 1, 1);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, SMALL_PAGES - 3);

	/* A hit that ends in it, and one that begins in it. */
	hit(2, 3);
	expect_taken(test, 0, 2, 6);
	expect_holes(test, range, 0, 6);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	hit(7, 2);
	expect_taken(test, 0, 4, 5);
	expect_holes(test, range, 0, 5);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);

	/* Next to it on both sides. */
	hit(3, 1);
	hit(8, 1);
	expect_holes(test, range, 0, 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, 8, 8);
}

/* A hole is one segment or several, but nobody takes it from a device. */
static void hit_in_a_hole_does_not_grow(struct kunit *test)
{
	const struct drm_gpusvm_ctx page = {
		.partial = true,
		.alone = true,
		.fault_addr = page_addr(5),
	};
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_special(test, &block->file, AT, SMALL);
	svm_touch(test, AT, SMALL);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SMALL);
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &page), 0);

	hit(12, 1);
	expect_taken(test, 0, 12, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_missing, SMALL_PAGES - 1);

	/* What is hit with its neighbours is the whole of what there is. */
	hit(4, 3);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
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
	expect_nothing(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_memory(test, range, 0);
}

static void hole_takes_more_segments_than_before(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look;

	show_in_a_row(block, 0, 8);
	range = get_block(test, block, 1);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, pages->nr_addrs, 9);
	KUNIT_ASSERT_EQ(test, pages->max_addrs, 9);
	look = look_at(test, range, 0);

	show_scattered(block, 0, 8);
	change(test, 0, 8);
	expect_holes(test, range, 0, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 8);
	expect_calls(test, 0, look, 8, 1);
	expect_work(test, look, 1, 1);
}

static void hole_takes_fewer_segments_than_before(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look;

	range = get_block(test, block, 1);
	pages = &range->pages[0];
	look = look_at(test, range, 0);
	show_in_a_row(block, 4, 8);
	change(test, 3, 10);
	expect_holes(test, range, 0, 10);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	/* Page 3, twice four pages, page 12. */
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES - 10 + 4);
	KUNIT_EXPECT_EQ(test, pages->max_addrs, SMALL_PAGES);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 3, 10);
	expect_calls(test, 0, look, 4, 10);
	expect_work(test, look, 1, 1);

	/* And back. */
	show_scattered(block, 4, 8);
	change(test, 4, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
}

/* More than a stack has room for, and for several devices. */
static void few_segments_become_many(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_range *range;
	int i;

	show_in_a_row(block, 0, SMALL_PAGES);
	show_scattered(block, 0, 1);
	range = get_block(test, block, SVM_DEVICES);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, 5);
	show_scattered(block, 8, 8);
	change(test, 8, 8);
	for (i = 0; i < SVM_DEVICES; i++)
		expect_holes(test, range, i, 8);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		KUNIT_EXPECT_EQ(test, range->pages[i].nr_addrs, 12);
		expect_whole(test, range, i);
	}
}

/*
 * Many holes
 */

static void many_holes_are_filled_and_one_more_takes_all(struct kunit *test)
{
	struct block *block = make_block(test, LARGE_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;
	int i;

	range = get_block(test, block, 1);
	KUNIT_ASSERT_EQ(test, range->pages[0].nr_addrs, LARGE_PAGES);
	look = look_at(test, range, 0);
	for (i = 0; i < MOST_HOLES; i++)
		hit(1 + 2 * i, 1);
	expect_holes(test, range, 0, MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, MOST_HOLES, MOST_HOLES);
	expect_work(test, look, MOST_HOLES, MOST_HOLES);

	for (i = 0; i < MOST_HOLES; i++)
		hit(1 + 2 * i, 1);
	/* What is a hole already makes no other one. */
	hit(1, 1);
	expect_holes(test, range, 0, MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);

	hit(110, 1);
	expect_nothing(test, range, 0);
	expect_taken(test, 0, 0, LARGE_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, parts), 2 * MOST_HOLES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	expect_calls(test, 0, look, MOST_HOLES, MOST_HOLES + LARGE_PAGES);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), MOST_HOLES);
	expect_whole(test, range, 0);
}

/*
 * The end of pages that have holes
 */

static void end_invalidate(struct kunit *test, struct svm_range *range)
{
	hit(0, SMALL_PAGES);
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
	expect_holes(test, range, 0, 4);
	KUNIT_EXPECT_TRUE(test, range->base.flags.partial_unmap);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), -ESTALE);
	expect_holes(test, range, 0, 4);
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
	svm_restart(test, &svm_ops_parts, chunks, ARRAY_SIZE(chunks));
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

	range = get_small(test, 2);
	for (i = 0; i < 2; i++)
		look[i] = look_at(test, range, i);
	hit(0, 1);
	hit(4, 2);
	c->end(test, range);
	svm_expect_unmapped(test);
	for (i = 0; i < 2; i++)
		expect_calls(test, i, look[i], 0, SMALL_PAGES);
	if (!c->restarts)
		KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
}

static void pages_with_holes_are_got_again_after_unmap(struct kunit *test)
{
	struct svm_range *range;

	range = get_small(test, 1);
	hit(3, 1);
	svm_unmap(test, range);
	expect_nothing(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills), 0);
}

/*
 * Second passes that take their time
 */

/* One for each second pass of a test, in the order in which they come. */
static struct svm_gate gates[4];

static void gate_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	unsigned int n = atomic_read(&svm->finishes) - 1;

	if (n < ARRAY_SIZE(gates))
		svm_gate_pass(&gates[n]);
}

static void set_gates(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(gates); i++)
		svm_gate_init(&gates[i]);
	atomic_set(&to_svm(test)->finishes, 0);
	to_svm(test)->hooks.finish = gate_finish;
}

static void open_gate(unsigned int n)
{
	complete_all(&gates[n].open);
}

static void open_all_gates(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(gates); i++)
		open_gate(i);
}

static bool wait_at_gate(unsigned int n)
{
	return wait_for_completion_timeout(&gates[n].entered, SVM_PATIENCE);
}

/* Pages, the first and how many. */
struct spot {
	s8 page, n;
};

static long hit_task(struct svm_task *task)
{
	const struct spot *spot = task->arg;

	svm_notify(task->mm, page_addr(spot->page), page_addr(spot->page + spot->n),
		   MMU_NOTIFY_CLEAR);

	return 0;
}

static struct svm_task *hit_slowly(struct kunit *test, const struct spot *spot)
{
	return svm_run(test, hit_task, 0, (void *)spot);
}

static const struct spot third = { 3, 1 };

struct second_case {
	const char *name;
	struct spot spot;
	int finishes;
	unsigned int missing;	/* in the end */
	int unmaps;		/* of pages objects */
};

static const struct second_case second_cases[] = {
	{ "another page", { 9, 1 }, 2, 2, 0 },
	{ "the page before", { 2, 1 }, 2, 2, 0 },
	{ "a page and the same one", { 3, 2 }, 2, 2, 0 },
	{ "the same page", { 3, 1 }, 1, 1, 0 },
	{ "the whole range", { 0, SMALL_PAGES }, 2, SMALL_PAGES, 1 },
};

KUNIT_ARRAY_PARAM_DESC(second, second_cases, name);

/*
 * A second pass waits for what was zapped before it began to. What is taken after
 * that has to be waited for, too, before it is unmapped and before anyone returns
 * who is waiting for it.
 */
static void second_invalidation_has_its_own_flush(struct kunit *test)
{
	const struct second_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *first, *second;
	struct svm_range *range;
	struct look *look;

	range = get_small(test, 1);
	look = look_at(test, range, 0);
	set_gates(test);
	first = hit_slowly(test, &third);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	second = hit_slowly(test, &c->spot);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	expect_calls(test, 0, look, 0, 0);

	open_gate(0);
	if (c->finishes > 1) {
		/* No more than the page of the first may be unmapped. */
		KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&svm->finishes) == 2));
		KUNIT_EXPECT_FALSE(test, svm_done(second));
		if (svm_counts_dma(svm))
			KUNIT_EXPECT_GE(test, svm_dma_bytes(svm, 0), SMALL - PAGE_SIZE);
	}
	open_all_gates();
	KUNIT_EXPECT_EQ(test, svm_join(first), 0);
	KUNIT_EXPECT_EQ(test, svm_join(second), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), c->finishes);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), c->unmaps);
	KUNIT_EXPECT_EQ(test, atomic_read(&range->base.notifier->nr_deferred), 0);
	expect_calls(test, 0, look, 0, c->missing);
	if (c->unmaps)
		expect_nothing(test, range, 0);
	else
		expect_holes(test, range, 0, c->missing);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_calls(test, 0, look, c->missing, c->missing);
}

/* And once more while that is waited for, for two devices. */
static void third_invalidation_takes_the_rest(struct kunit *test)
{
	static const struct spot spots[] = { { 3, 1 }, { 9, 1 }, { 0, SMALL_PAGES } };
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *tasks[3];
	struct svm_range *range;
	struct look *look[2];
	int i;

	range = get_small(test, 2);
	for (i = 0; i < 2; i++)
		look[i] = look_at(test, range, i);
	set_gates(test);
	tasks[0] = hit_slowly(test, &spots[0]);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	tasks[1] = hit_slowly(test, &spots[1]);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[1]));
	open_gate(0);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(1));
	tasks[2] = hit_slowly(test, &spots[2]);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[2]));
	open_gate(1);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(2));
	KUNIT_EXPECT_FALSE(test, svm_done(tasks[2]));
	if (svm_counts_dma(svm))
		KUNIT_EXPECT_GE(test, svm_dma_bytes(svm, 0), SMALL - 2 * PAGE_SIZE);
	open_all_gates();
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, svm_join(tasks[i]), 0);
	for (i = 0; i < 2; i++) {
		expect_nothing(test, range, i);
		expect_calls(test, i, look[i], 0, SMALL_PAGES);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
	expect_whole(test, range, 1);
}

/* Set while a driver has taken pages but not told the device to flush yet. */
static bool starting;
static bool finished_while_starting;
static struct svm_gate start_gate;

static void gate_start(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *mmu_range)
{
	if (mmu_range->start != page_addr(12))
		return;
	WRITE_ONCE(starting, true);
	svm_gate_pass(&start_gate);
	WRITE_ONCE(starting, false);
}

static void note_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	gate_finish(svm, notifier);
	if (atomic_read(&svm->finishes) > 1 && READ_ONCE(starting))
		WRITE_ONCE(finished_while_starting, true);
}

/*
 * The pages are on the list before the driver has done all it does in its first
 * pass; a second pass that takes them from there has to wait until it has.
 */
static void second_pass_waits_for_a_first_that_is_under_way(struct kunit *test)
{
	static const struct spot behind = { SMALL_PAGES, SMALL_PAGES };
	static const struct spot spot = { 12, 1 };
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *tasks[3];
	struct svm_range *other;
	int i;

	starting = false;
	finished_while_starting = false;
	svm_gate_init(&start_gate);
	svm_map(test, page_addr(SMALL_PAGES), SMALL, RW);
	get_small(test, 1);
	other = svm_fault_and_get(test, page_addr(SMALL_PAGES), &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&other->base), SMALL);

	/* The first waits for the device, the second for the first. */
	set_gates(test);
	svm->hooks.finish = note_finish;
	tasks[0] = hit_slowly(test, &behind);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	tasks[1] = hit_slowly(test, &behind);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[1]));

	/* The third has taken a page, and is at it. */
	svm->hooks.start = gate_start;
	tasks[2] = hit_slowly(test, &spot);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&start_gate.entered, SVM_PATIENCE));
	open_all_gates();
	schedule_timeout_uninterruptible(HZ / 10);
	complete_all(&start_gate.open);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, svm_join(tasks[i]), 0);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(finished_while_starting));
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 2);
}

static long get_task(struct svm_task *task)
{
	return svm_get(task->arg, 1, &write_ctx);
}

static long unmap_pages_task(struct svm_task *task)
{
	svm_unmap(task->test, task->arg);

	return 0;
}

static long free_pages_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_free_pages(&task->svm->gpusvm, &range->pages[0], SMALL_PAGES);

	return 0;
}

static long remove_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_range_remove(&task->svm->gpusvm, &range->base);

	return 0;
}

struct settle_case {
	const char *name;
	long (*fn)(struct svm_task *task);
};

static const struct settle_case settle_cases[] = {
	{ "get", get_task },
	{ "unmap", unmap_pages_task },
	{ "free", free_pages_task },
	{ "remove with the last reference", remove_task },
};

KUNIT_ARRAY_PARAM_DESC(settle, settle_cases, name);

static void pages_settle_before_they_are_used_again(struct kunit *test)
{
	const struct settle_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *slow, *task;
	struct svm_range *range;
	struct look *look;

	range = get_small(test, 1);
	look = look_at(test, range, 0);
	set_gates(test);
	slow = hit_slowly(test, &third);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	task = svm_run(test, c->fn, 0, range);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	expect_calls(test, 0, look, 0, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 0);
	KUNIT_EXPECT_FALSE(test, svm_done(slow));
	open_all_gates();
	KUNIT_EXPECT_EQ(test, svm_join(slow), 0);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	if (c->fn == get_task) {
		expect_whole(test, range, 0);
		expect_calls(test, 0, look, 1, 1);
		KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 1);
	} else {
		svm_expect_unmapped(test);
		expect_calls(test, 0, look, 0, SMALL_PAGES);
		KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	}
}

/* Taken again while a get, and while an unmap, waits for the first. */
static void pages_settle_until_nothing_is_taken(struct kunit *test)
{
	static const struct spot spot = { 9, 1 };
	struct svm_task *first, *second, *task;
	struct svm_range *range;
	struct look *look;
	int i;

	range = get_small(test, 1);
	for (i = 0; i < 2; i++) {
		look = look_at(test, range, 0);
		set_gates(test);
		first = hit_slowly(test, &third);
		KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
		task = svm_run(test, i ? unmap_pages_task : get_task, 0, range);
		KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
		second = hit_slowly(test, &spot);
		KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
		open_gate(0);
		KUNIT_EXPECT_TRUE(test, wait_at_gate(1));
		KUNIT_EXPECT_FALSE(test, svm_done(task));
		open_all_gates();
		KUNIT_EXPECT_EQ(test, svm_join(first), 0);
		KUNIT_EXPECT_EQ(test, svm_join(second), 0);
		KUNIT_EXPECT_EQ(test, svm_join(task), 0);
		if (i) {
			expect_nothing(test, range, 0);
			expect_calls(test, 0, look, 0, SMALL_PAGES);
		} else {
			expect_whole(test, range, 0);
			expect_calls(test, 0, look, 2, 2);
		}
	}
}

/*
 * A fill that an invalidation meets
 */

static const struct spot *fault_spot;

/* Once, in the fault that a fill takes. */
static void hit_in_fault(struct block *block, struct vm_fault *vmf)
{
	const struct spot *spot = xchg(&fault_spot, NULL);

	if (spot)
		hit(spot->page, spot->n);
}

struct meet_case {
	const char *name;
	struct spot spot;
	long fills;
	long gets;
	int unmaps;
	long retries;	/* where the hit is between the walk and the commit */
};

static const struct meet_case meet_cases[] = {
	{ "elsewhere", { SMALL_PAGES + 1, 1 }, 1, 1, 1, 0 },
	{ "the hole", { 7, 1 }, 1, 1, 1, 1 },
	{ "another page", { 11, 1 }, 2, 1, 2, 0 },
	{ "a page before the hole", { 2, 1 }, 2, 1, 2, 0 },
	{ "the page next to the hole", { 8, 1 }, 1, 1, 2, 0 },
	{ "the page before the hole", { 6, 1 }, 1, 1, 2, 0 },
	{ "the hole and more", { 5, 4 }, 1, 1, 4, 1 },
	{ "the whole range", { 0, SMALL_PAGES }, 0, 2, SMALL_PAGES, 1 },
};

KUNIT_ARRAY_PARAM_DESC(meet, meet_cases, name);

static void fill_meets_an_invalidation_in_its_fault(struct kunit *test)
{
	const struct meet_case *c = test->param_value;
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = get_block(test, block, 1);
	look = look_at(test, range, 0);
	show_in_a_row(block, 7, 1);
	svm_discard(test, page_addr(7), PAGE_SIZE);
	expect_holes(test, range, 0, 1);
	fault_spot = &c->spot;
	block->fault = hit_in_fault;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_NULL(test, fault_spot);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 7, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), c->fills);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), c->gets);
	expect_calls(test, 0, look, c->unmaps, c->unmaps);
}

/**
 * struct meeting - A get that is stopped between its walk and its commit
 *
 * @getter: The get
 * @queued: All have come to where they have to wait for the test
 */
struct meeting {
	struct svm_task *getter;
	bool queued;
};

/*
 * Begin a get whose walk waits for the mmap lock. Then hold the notifier lock, so
 * that invalidations queue up at it, with the sequence not yet set.
 */
static void begin_meeting(struct kunit *test, struct meeting *meeting,
			  long (*fn)(struct svm_task *task), struct svm_range *range)
{
	struct svm_task *getter = svm_prepare(test, fn, 0, range);

	mmap_write_lock(current->mm);
	svm_start(getter);
	meeting->getter = getter;
	meeting->queued = svm_wait_until(READ_ONCE(getter->task->__state) == TASK_KILLABLE ||
					 svm_done(getter));
	meeting->queued &= !svm_done(getter);
	down_write(&to_svm(test)->gpusvm.notifier_lock);
}

static void join_meeting(struct meeting *meeting, struct svm_task *hit)
{
	svm_start(hit);
	meeting->queued &= svm_wait_blocked(hit);
}

/* The walk goes on, and its result queues up behind the invalidations. */
static void end_meeting(struct kunit *test, struct meeting *meeting)
{
	mmap_write_unlock(current->mm);
	meeting->queued &= svm_wait_blocked(meeting->getter);
	up_write(&to_svm(test)->gpusvm.notifier_lock);
	KUNIT_EXPECT_TRUE(test, meeting->queued);
}

static void fill_meets_an_invalidation_before_its_commit(struct kunit *test)
{
	const struct meet_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct meeting meeting;
	struct svm_range *range;
	struct svm_task *task;
	struct look *look;
	long err;

	range = get_small(test, 1);
	look = look_at(test, range, 0);
	hit(7, 1);
	expect_holes(test, range, 0, 1);
	task = svm_prepare(test, hit_task, 0, (void *)&c->spot);
	begin_meeting(test, &meeting, get_task, range);
	join_meeting(&meeting, task);
	end_meeting(test, &meeting);

	err = svm_join(meeting.getter);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	/* On a slow machine the time for the next walk may be up. */
	if (err == -EBUSY)
		err = svm_get(range, 1, &write_ctx);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, retries), c->retries);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), c->fills);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), c->gets);
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, c->unmaps, c->unmaps);
}

/*
 * Fills that fail
 */

/* Holes stay holes, and the rest is as it was. */
static void expect_still(struct kunit *test, struct svm_range *range, unsigned int devices,
			 struct look *const *before, unsigned int page, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < devices; i++) {
		expect_holes(test, range, i, n);
		expect_kept(test, range, i, before[i], page, n);
	}
}

static void memory_that_can_not_be_had_leaves_the_hole(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	range = get_block(test, block, 1);
	look = look_at(test, range, 0);
	block->at[5] = NOWHERE;
	svm_discard(test, page_addr(4), 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	expect_still(test, range, 1, &look, 4, 3);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), -EFAULT);
	expect_still(test, range, 1, &look, 4, 3);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_calls(test, 0, look, 0, 3);

	show_scattered(block, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	expect_calls(test, 0, look, 3, 3);
}

/* A hole that is filled counts, although the next one can't be. */
static void one_of_two_holes_is_filled(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_range *range;
	struct look *look;

	range = get_block(test, block, 1);
	look = look_at(test, range, 0);
	block->at[9] = NOWHERE;
	svm_discard(test, page_addr(4), PAGE_SIZE);
	svm_discard(test, page_addr(9), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	expect_still(test, range, 1, &look, 9, 1);
	expect_calls(test, 0, look, 1, 2);
	svm_unmap(test, range);
	expect_nothing(test, range, 0);
	expect_calls(test, 0, look, 1, SMALL_PAGES + 1);
}

static void device_that_can_not_map_leaves_the_hole(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned int last = SVM_DEVICES - 1, i;
	struct look *look[SVM_DEVICES];
	struct svm_range *range;

	range = get_small(test, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = look_at(test, range, i);
	hit(5, 2);
	*svm->devices[last].dev->dma_mask = DMA_BIT_MASK(16);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), -EFAULT);
	*svm->devices[last].dev->dma_mask = DMA_BIT_MASK(64);
	expect_still(test, range, SVM_DEVICES, look, 5, 2);
	/* What was mapped for the others is undone. */
	for (i = 0; i < last; i++)
		expect_calls(test, i, look[i], 2, 4);
	expect_calls(test, last, look[last], 0, 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);

	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		expect_whole(test, range, i);
		expect_kept(test, range, i, look[i], 0, 0);
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
	expect_still(test, range, 2, look, 0, 8);
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
		show_in_a_row(block, 0, 8);
		change(test, 0, 8);
		range = svm_fault(test, AT, &write_ctx);
		KUNIT_ASSERT_EQ(test, svm_get(range, 2, &write_ctx), 0);
		KUNIT_ASSERT_EQ(test, range->pages[1].nr_addrs, 9);
		for (i = 0; i < 2; i++)
			look[i] = look_at(test, range, i);
		show_scattered(block, 0, 8);
		change(test, 0, 8);

		done = fill_with_failure(test, range, look, n, &failures);
		for (i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, range->pages[i].nr_addrs, SMALL_PAGES);
			expect_whole(test, range, i);
			expect_kept(test, range, i, look[i], 0, 8);
		}
		/* For the next attempt, without the room it has made. */
		svm_remove(test, range);
	}
	KUNIT_EXPECT_TRUE(test, done);

	return failures;
}

/*
 * The new segments of both devices are too many for the stack, and for what each of
 * the devices has room for: three allocations. One is missed if the allocator takes
 * memory for itself just then, but not each time.
 */
static void no_memory_leaves_the_hole(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	int sweep, failures = 0;

	if (!fails_on_demand())
		kunit_skip(test, "needs CONFIG_FAILSLAB and N in debugfs failslab/ignore-gfp-wait");

	map_block(test, block);
	for (sweep = 0; failures < 3 && sweep < 10; sweep++)
		failures = fail_each_allocation(test, block);
	KUNIT_EXPECT_GE(test, failures, 3);
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
	expect_holes(test, range, 0, n);
}

static void read_only_memory_fills_a_hole_for_reading(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = get_small(test, 1);
	look = look_at(test, range, 0);
	svm_mprotect(test, page_addr(5), PAGE_SIZE, PROT_READ);
	expect_holes(test, range, 0, 1);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	expect_still(test, range, 1, &look, 5, 1);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_whole(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	expect_calls(test, 0, look, 1, 1);
	expect_dir(test, range, 4, DMA_BIDIRECTIONAL);
	expect_dir(test, range, 5, DMA_TO_DEVICE);
	expect_dir(test, range, 6, DMA_BIDIRECTIONAL);

	/* Writing is refused, and what is good for reading stays until the driver takes it. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	expect_whole(test, range, 0);
	expect_calls(test, 0, look, 1, 1);
	take_read_only(test, range, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	expect_holes(test, range, 0, 1);

	svm_mprotect(test, page_addr(5), PAGE_SIZE, RW);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_whole(test, range, 0);
	expect_calls(test, 0, look, 2, 2);
	expect_dir(test, range, 5, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
}

static void writable_pages_filled_for_reading_are_got_anew_for_writing(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = get_small(test, 1);
	look = look_at(test, range, 0);
	hit(5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_calls(test, 0, look, 1, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	take_read_only(test, range, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_calls(test, 0, look, 2, 2);
	expect_whole(test, range, 0);
	expect_dir(test, range, 5, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);
}

static void pages_for_reading_with_a_hole_are_got_anew_for_writing(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	map_block(test, block);
	range = svm_fault_and_get(test, AT, &read_ctx);
	look = look_at(test, range, 0);
	hit(5, 1);
	expect_holes(test, range, 0, 1);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	expect_holes(test, range, 0, 1);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_whole(test, range, 0);
	expect_calls(test, 0, look, SMALL_PAGES, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	expect_dir(test, range, 4, DMA_BIDIRECTIONAL);

	/* But for reading, it is filled. */
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	hit(5, 1);
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
	struct block *block = make_block(test, SMALL_PAGES);
	struct look *look[SVM_DEVICES];
	struct svm_range *range;
	int i;

	range = get_block(test, block, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = look_at(test, range, i);
	show_in_a_row(block, 5, 1);
	change(test, 5, 1);
	for (i = 0; i < SVM_DEVICES; i++)
		expect_taken(test, i, 5, 1);
	expect_still(test, range, SVM_DEVICES, look, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	expect_work(test, look[0], 1, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++) {
		expect_whole(test, range, i);
		expect_kept(test, range, i, look[i], 5, 1);
		expect_calls(test, i, look[i], 1, 1);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), gets), SVM_DEVICES);
}

static void devices_have_holes_of_their_own(struct kunit *test)
{
	struct look *look[SVM_DEVICES];
	struct svm_range *range;
	int i;

	range = get_small(test, SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = look_at(test, range, i);
	hit(3, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_whole(test, range, 0);
	hit(9, 1);
	expect_holes(test, range, 0, 1);
	expect_holes(test, range, 1, 2);
	expect_work(test, look[0], 1, 1);

	/* The hole that all have is not the first one of all. */
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		expect_whole(test, range, i);
		expect_kept(test, range, i, look[i], 0, 0);
		expect_calls(test, i, look[i], 2, 2);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills), 2 * SVM_DEVICES);

	/* One has a large one, the others a part of it. */
	hit(6, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 3, &write_ctx), 0);
	hit(5, 1);
	expect_holes(test, range, 0, 1);
	expect_holes(test, range, SVM_DEVICES - 1, 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++) {
		expect_whole(test, range, i);
		expect_calls(test, i, look[i], 4, 4);
	}
}

/* A hole of a device is filled, and another device mapped that never was. */
static void holes_and_unmapped_devices_are_served_together(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned int last = SVM_DEVICES - 1, i;
	struct look *look[SVM_DEVICES];
	struct svm_range *range;

	range = get_small(test, last);
	for (i = 0; i < SVM_DEVICES; i++)
		look[i] = look_at(test, range, i);
	hit(5, 1);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[last]));
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	expect_work(test, look[0], 2, last);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++)
		expect_whole(test, range, i);
	for (i = 0; i < last; i++)
		expect_calls(test, i, look[i], 1, 1);
	expect_calls(test, last, look[last], SMALL_PAGES, 0);

	/* The other way round: the first has none, and is no part of the next get. */
	hit(5, 1);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, &range->pages[1], last,
							 &write_ctx), 0);
	expect_holes(test, range, 0, 1);
	expect_whole(test, range, 1);
	expect_whole(test, range, last);
}

/*
 * Device memory
 */

/* Where the CPU side of a device's address is. */
static void *device_memory(struct drm_gpusvm_pages *pages, const struct drm_pagemap_addr *addr)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(pages->drm->dev);

	if (addr->proto != DRM_INTERCONNECT_SYSTEM)
		return vram_at(addr->addr);

	return phys_to_virt(domain ? iommu_iova_to_phys(domain, addr->addr) :
				     dma_to_phys(pages->drm->dev, addr->addr));
}

/* The device is at what the CPU has, be it system or device memory. */
static void expect_same_places(struct kunit *test, struct svm_range *range,
			       unsigned int device)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];
	unsigned long at = drm_gpusvm_range_start(&range->base), offset;
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, svm_valid(test, pages));
	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];

		KUNIT_EXPECT_FALSE(test, addr->hole || addr->taken);
		for (offset = 0; offset < PAGE_SIZE << addr->order; offset += PAGE_SIZE) {
			struct vram_spot spot = vram_spot(current->mm, at);

			KUNIT_ASSERT_NOT_NULL(test, spot.page);
			KUNIT_EXPECT_EQ(test, spot.place == VRAM_DEVICE,
					addr->proto != DRM_INTERCONNECT_SYSTEM);
			KUNIT_ASSERT_PTR_EQ_MSG(test, device_memory(pages, addr) + offset,
						spot.vram ? (void *)vram_word(spot.page) :
							    page_address(spot.page),
						"address 0x%lx", at);
			at += PAGE_SIZE;
		}
	}
	KUNIT_EXPECT_EQ(test, at, drm_gpusvm_range_end(&range->base));
}

static void fill_small(struct kunit *test)
{
	unsigned int page;

	svm_map(test, AT, SMALL, RW);
	/* Every other page first, so that neighbours are unlikely to be adjacent. */
	for (page = 0; page < SMALL_PAGES; page += 2)
		svm_touch(test, page_addr(page), PAGE_SIZE);
	vram_fill(test, AT, SMALL);
	/* The CPU brings back no more than what it touches. */
	vrams[0].rules.window = PAGE_SIZE;
}

static void move_to_device(struct kunit *test, long page, long n)
{
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[0], page_addr(page), n * PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[0], page_addr(page), n * PAGE_SIZE), n);
}

static void move_to_ram(struct kunit *test, long page, long n)
{
	vram_expect(test, page_addr(page), n * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[0], page_addr(page), n * PAGE_SIZE), 0);
}

static struct svm_range *get_owned(struct kunit *test, unsigned int devices,
				   const struct drm_gpusvm_ctx *ctx)
{
	struct svm_range *range = svm_fault(test, AT, ctx);

	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SMALL);
	KUNIT_ASSERT_EQ(test, svm_get(range, devices, ctx), 0);
	expect_same_places(test, range, 0);

	return range;
}

static unsigned int count_device_segments(struct drm_gpusvm_pages *pages)
{
	unsigned int i, n = 0;

	for (i = 0; i < pages->nr_addrs; i++)
		n += !pages->dma_addr[i].hole &&
		     pages->dma_addr[i].proto != DRM_INTERCONNECT_SYSTEM;

	return n;
}

static void hole_in_device_memory_comes_back_as_system_memory(struct kunit *test)
{
	struct vram_seen *seen = &vrams[0].seen;
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look[2];
	int i;

	fill_small(test);
	move_to_device(test, 0, SMALL_PAGES);
	range = get_owned(test, 2, &owner_ctx);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 2 * SMALL_PAGES);
	for (i = 0; i < 2; i++)
		look[i] = look_at(test, range, i);

	move_to_ram(test, 5, 1);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	expect_kept(test, range, 0, look[0], 5, 1);

	/* One kind of memory only: all that there was stays. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	expect_kept(test, range, 0, look[0], 5, 1);
	svm_expect_unmapped(test);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 2 * SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	for (i = 0; i < 2; i++) {
		expect_same_places(test, range, i);
		expect_kept(test, range, i, look[i], 5, 1);
		KUNIT_EXPECT_TRUE(test, range->pages[i].flags.has_devmem_pages);
		if (svm_counts_dma(to_svm(test)))
			KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), i), PAGE_SIZE);
	}

	/* And as device memory once more. */
	move_to_device(test, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), SMALL_PAGES);
	expect_same_places(test, range, 0);
	expect_same_places(test, range, 1);
	expect_kept(test, range, 1, look[1], 5, 1);
	svm_expect_unmapped(test);
	svm_remove(test, range);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), atomic_read(&seen->unmaps));
}

static void hole_in_system_memory_comes_back_as_device_memory(struct kunit *test)
{
	int refs = kref_read(&vrams[0].dpagemap->ref);
	struct vram_seen *seen = &vrams[0].seen;
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct look *look;

	fill_small(test);
	range = get_owned(test, 1, &owner_ctx);
	pages = &range->pages[0];
	look = look_at(test, range, 0);
	move_to_device(test, 5, 1);
	if (!pages->flags.has_holes)
		kunit_skip(test, "the pages happened to lie in a row");
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_FALSE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 0);

	/* A device that can't reach it is none the worse. */
	vrams[0].rules.alone = true;
	vrams[0].device = 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), -EFAULT);
	vrams[0].device = 0;
	vrams[0].rules.alone = false;
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	expect_same_places(test, range, 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 1);
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);

	/* With the last of it goes the hold on the device memory. */
	move_to_ram(test, 5, 1);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_FALSE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 1);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&vrams[0].dpagemap->ref) == refs));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	expect_same_places(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), 0), look->bytes);
}

/* One page after the other comes back, until none is left. */
static void device_memory_is_let_go_with_its_last_page(struct kunit *test)
{
	int i, refs = kref_read(&vrams[0].dpagemap->ref);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;

	fill_small(test);
	move_to_device(test, 0, SMALL_PAGES);
	range = get_owned(test, 1, &mixed_ctx);
	pages = &range->pages[0];
	for (i = 0; i < SMALL_PAGES; i++) {
		KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
		KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
		/* Not in a row, which would bring more than one. */
		move_to_ram(test, (i * 5) % SMALL_PAGES, 1);
		KUNIT_EXPECT_TRUE(test, pages->flags.has_holes);
		KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
		expect_same_places(test, range, 0);
		KUNIT_EXPECT_EQ(test, count_device_segments(pages), SMALL_PAGES - 1 - i);
	}
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_FALSE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.maps), SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.unmaps), SMALL_PAGES);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&vrams[0].dpagemap->ref) == refs));
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), unmaps), 0);
}

/* Memory of two devices is not for one mapping, hole or not. */
static void hole_with_memory_of_another_device_stays(struct kunit *test)
{
	struct svm_range *range;
	struct look *look;

	fill_small(test);
	move_to_device(test, 0, SMALL_PAGES);
	range = get_owned(test, 1, &mixed_ctx);
	look = look_at(test, range, 0);
	move_to_ram(test, 5, 1);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[1], page_addr(5), PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[1], page_addr(5), PAGE_SIZE), 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_holes);
	KUNIT_EXPECT_PTR_EQ(test, range->pages[0].dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[1].seen.maps), 0);
	expect_kept(test, range, 0, look, 5, 1);
	svm_touch(test, page_addr(5), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	expect_same_places(test, range, 0);
}

/* Device memory fails for the second of two devices. */
static void device_memory_that_can_not_be_mapped_leaves_the_hole(struct kunit *test)
{
	struct vram_seen *seen = &vrams[0].seen;
	struct svm_range *range;
	struct look *look[2];
	int i;

	fill_small(test);
	move_to_device(test, 0, SMALL_PAGES);
	range = get_owned(test, 2, &owner_ctx);
	for (i = 0; i < 2; i++)
		look[i] = look_at(test, range, i);
	hit(5, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	vrams[0].rules.fail_map = 2 * SMALL_PAGES - 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EFAULT);
	vrams[0].rules.fail_map = 0;
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 3);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_TRUE(test, range->pages[i].flags.has_holes);
		KUNIT_EXPECT_PTR_EQ(test, range->pages[i].dpagemap, vrams[0].dpagemap);
		expect_kept(test, range, i, look[i], 5, 1);
	}
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	expect_same_places(test, range, 0);
	expect_same_places(test, range, 1);
}

static struct drm_gpusvm_pages *deferred_pages;

/* Lets a second pass go on, and waits for its end, while a device is being mapped. */
static struct drm_pagemap_addr map_and_open(struct drm_pagemap *dpagemap, struct device *dev,
					    struct page *page, unsigned int order,
					    enum dma_data_direction dir)
{
	struct drm_gpusvm_pages *pages = xchg(&deferred_pages, NULL);
	unsigned long end = jiffies + HZ;

	if (pages)
		open_all_gates();
	while (pages && READ_ONCE(pages->deferred_by) && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);

	return vram_ops.device_map(dpagemap, dev, page, order, dir);
}

static long get_owned_task(struct svm_task *task)
{
	return svm_get(task->arg, 2, &owner_ctx);
}

/*
 * While a hole is filled, the first device has lost another page and waits for its
 * second pass, so it is not served. It must not be thought to have been when that
 * pass ends before the second device is done.
 */
static void second_pass_ends_while_others_are_filled(struct kunit *test)
{
	struct drm_pagemap_ops *ops = kunit_kzalloc(test, sizeof(*ops), GFP_KERNEL);
	static const struct spot spot = { 9, 1 };
	struct meeting meeting;
	struct svm_range *range;
	struct svm_task *task;
	struct look *look[2];
	long err;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, ops);
	*ops = vram_ops;
	ops->device_map = map_and_open;
	fill_small(test);
	move_to_device(test, 0, SMALL_PAGES);
	range = get_owned(test, 2, &owner_ctx);
	for (i = 0; i < 2; i++)
		look[i] = look_at(test, range, i);
	hit(9, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	hit(2, 1);

	set_gates(test);
	task = svm_prepare(test, hit_task, 0, (void *)&spot);
	begin_meeting(test, &meeting, get_owned_task, range);
	join_meeting(&meeting, task);
	deferred_pages = &range->pages[0];
	vrams[0].dpagemap->ops = ops;
	end_meeting(test, &meeting);
	err = svm_join(meeting.getter);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_NULL(test, deferred_pages);
	/* On a slow machine the time for the next walk may be up. */
	if (err == -EBUSY)
		err = svm_get(range, 2, &owner_ctx);
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 2; i++) {
		expect_same_places(test, range, i);
		expect_kept(test, range, i, look[i], 0, 0);
	}
}

/*
 * IOVA
 */

/* Have the first device be one behind an IOMMU. */
static struct iommu_domain *put_behind_iommu(struct kunit *test, struct svm_range *range)
{
	struct drm_device *drm = kunit_kzalloc(test, sizeof(*drm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, drm);
	drm->dev = svm_translated_device(test);
	drm_gpusvm_init_pages(&range->pages[0], drm);

	return iommu_get_domain_for_dev(drm->dev);
}

/* Pages of the IOVA space that lead somewhere, a bit for each. */
static unsigned int linked_pages(struct iommu_domain *domain, dma_addr_t iova)
{
	unsigned int page, linked = 0;

	for (page = 0; page < SMALL_PAGES; page++)
		if (iommu_iova_to_phys(domain, iova + page * PAGE_SIZE))
			linked |= BIT(page);

	return linked;
}

static void hole_has_its_place_in_the_iova_space(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	struct svm_range *range;
	struct look *look;
	dma_addr_t iova;

	map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_ASSERT_TRUE(test, dma_use_iova(&pages->state));
	iova = pages->state.addr;
	look = look_at(test, range, 0);

	show_in_a_row(block, 5, 1);
	change(test, 5, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xffdf);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_same_places(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);

	/* Next to it on both sides, and the first and the last one. */
	hit(6, 1);
	hit(4, 1);
	hit(0, 1);
	hit(15, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0x7fae);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_same_places(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);

	/* Longer segments, in a hole of several. */
	show_in_a_row(block, 4, 8);
	change(test, 3, 10);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xe007);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES - 10 + 4);
	expect_same_places(test, range, 0);
	expect_kept(test, range, 0, look, 0, 0);
	hit(5, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xff0f);

	/* What can't be had leaves nothing behind. */
	block->at[12] = NOWHERE;
	svm_discard(test, page_addr(11), 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xe00f);
	KUNIT_EXPECT_TRUE(test, dma_use_iova(&pages->state));

	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0);
	KUNIT_EXPECT_FALSE(test, dma_use_iova(&pages->state));
	show_scattered(block, 12, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	expect_same_places(test, range, 0);
	svm_remove(test, range);
}

/* The rest is taken by an invalidation. */
static void last_of_the_iova_space_is_given_back(struct kunit *test)
{
	struct block *block = make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	struct svm_range *range;
	dma_addr_t iova;

	map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	iova = pages->state.addr;
	hit(3, 2);
	hit(9, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xfde7);
	hit(0, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0);
	KUNIT_EXPECT_FALSE(test, dma_use_iova(&pages->state));
	KUNIT_EXPECT_EQ(test, pages->state_offset, 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, 0);
	svm_remove(test, range);
}

/* What was device memory in between comes back to its place. */
static void device_memory_leaves_the_iova_space(struct kunit *test)
{
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	struct svm_range *range;
	struct look *look;
	dma_addr_t iova;

	fill_small(test);
	range = svm_fault(test, AT, &mixed_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	if (!dma_use_iova(&pages->state))
		kunit_skip(test, "the pages happened to lie in a row");
	iova = pages->state.addr;

	move_to_device(test, 5, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), 0);
	expect_same_places(test, range, 0);

	move_to_ram(test, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 0);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), BIT(5));
	expect_same_places(test, range, 0);
	look = look_at(test, range, 0);
	KUNIT_EXPECT_EQ(test, look->dma[5], iova + 5 * PAGE_SIZE);

	hit(4, 3);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[5]), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	expect_same_places(test, range, 0);
	expect_kept(test, range, 0, look, 4, 3);

	look_again(test, range, 0, look);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[4]), 0);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[5]), 0);
	svm_remove(test, range);
}

/*
 * Many tasks
 */

#define STRESS_ROUNDS	300

/**
 * struct stress - What the tasks of a test have in common
 *
 * @range: The range
 * @lock: Held while the CPU changes memory, and while that is compared
 * @words: What the CPU has in the first word of each page
 */
struct stress {
	struct svm_range *range;
	struct mutex lock;
	u64 words[SMALL_PAGES];
};

/* The same numbers in each run; the tasks make it different enough. */
static u32 next_number(u32 *state)
{
	*state = *state * 1664525 + 1013904223;

	return *state >> 16;
}

/* Whatever is mapped, be it with holes, leads to what the CPU has. */
static long compare(struct svm_fixture *svm, struct stress *stress, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &stress->range->pages[device];
	unsigned int i, page = 0, n;
	long err = 0;

	drm_gpusvm_notifier_lock(&svm->gpusvm);
	for (i = 0; drm_gpusvm_pages_mapped(pages) && i < pages->nr_addrs; i++, page += n) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		const void *memory = phys_to_virt(dma_to_phys(svm->devices[device].dev,
							      addr->addr));
		unsigned int j;

		n = 1U << addr->order;
		if (addr->hole || addr->taken) {
			if (drm_gpusvm_pages_valid(&svm->gpusvm, pages))
				err = -ENXIO;
			continue;
		}
		for (j = 0; j < n; j++)
			if (READ_ONCE(*(u64 *)(memory + j * PAGE_SIZE)) != stress->words[page + j])
				err = -EIO;
	}
	if (drm_gpusvm_pages_mapped(pages) && page != SMALL_PAGES)
		err = -ERANGE;
	drm_gpusvm_notifier_unlock(&svm->gpusvm);

	return err;
}

static long stress_device(struct svm_task *task)
{
	unsigned int devices = task->addr, i;
	struct stress *stress = task->arg;
	struct svm_range *range = stress->range;
	long err = 0;

	for (i = 0; !err && i < STRESS_ROUNDS; i++) {
		mutex_lock(&range->lock);
		err = svm_get(range, devices, i % 5 ? &write_ctx : &read_ctx);
		if (err == -EROFS) {
			svm_unmap(task->test, range);
			err = svm_get(range, devices, &write_ctx);
		}
		if (err == -EBUSY)
			err = 0;	/* the CPU was faster all the time */
		mutex_lock(&stress->lock);
		if (!err)
			err = compare(task->svm, stress, i % devices);
		mutex_unlock(&stress->lock);
		if (i % 16 == 0)
			svm_unmap(task->test, range);
		mutex_unlock(&range->lock);
	}

	return err;
}

static long stress_cpu(struct svm_task *task)
{
	struct stress *stress = task->arg;
	u32 number = task->addr;
	long err = 0;
	int i;

	for (i = 0; !err && i < STRESS_ROUNDS; i++) {
		unsigned int page = next_number(&number) % SMALL_PAGES;
		u64 __user *p = (u64 __user *)page_addr(page);

		mutex_lock(&stress->lock);
		stress->words[page] = 0;
		err = do_madvise(task->mm, page_addr(page), PAGE_SIZE, MADV_DONTNEED);
		if (!err && next_number(&number) % 4) {
			stress->words[page] = number;
			err = put_user((u64)number, p);
		}
		mutex_unlock(&stress->lock);
		if (i % 4 == 0)
			schedule_timeout_uninterruptible(1);
	}

	return err;
}

/* Invalidations that change nothing, of any length. */
static long stress_notify(struct svm_task *task)
{
	u32 number = task->addr;
	int i;

	for (i = 0; i < STRESS_ROUNDS; i++) {
		long page = next_number(&number) % SMALL_PAGES;
		long n = 1 + next_number(&number) % (i % 8 ? 3 : SMALL_PAGES);

		svm_notify(task->mm, page_addr(page), page_addr(page + n), MMU_NOTIFY_CLEAR);
		if (i % 4 == 0)
			schedule_timeout_uninterruptible(1);
	}

	return 0;
}

static void devices_and_cpu_race_for_single_pages(struct kunit *test)
{
	static const struct {
		long (*fn)(struct svm_task *task);
		unsigned long arg;	/* devices, or where random numbers begin */
	} jobs[] = {
		{ stress_device, 2 },
		{ stress_device, SVM_DEVICES },
		{ stress_cpu, 1 },
		{ stress_cpu, 2 },
		{ stress_notify, 3 },
		{ stress_notify, 4 },
	};
	struct stress *stress = kunit_kzalloc(test, sizeof(*stress), GFP_KERNEL);
	struct svm_task *tasks[ARRAY_SIZE(jobs)];
	struct svm_fixture *svm = to_svm(test);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, stress);
	mutex_init(&stress->lock);
	svm_map(test, AT, SMALL, RW);
	stress->range = svm_fault_and_get(test, AT, &write_ctx);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		tasks[i] = svm_run(test, jobs[i].fn, jobs[i].arg, stress);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ_MSG(test, svm_join(tasks[i]), 0, "task %d", i);
	KUNIT_EXPECT_GT(test, svm_stat(svm, parts), 100);
	KUNIT_EXPECT_GT(test, svm_stat(svm, fills), 10);

	KUNIT_EXPECT_EQ(test, svm_get(stress->range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++)
		expect_whole(test, stress->range, i);
	hit(0, SMALL_PAGES);
	svm_expect_unmapped(test);
}

static int holes_init(struct kunit *test)
{
	int err = vram_init(test);

	if (!err)
		svm_restart(test, &svm_ops_parts, chunks, ARRAY_SIZE(chunks));

	return err;
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
	KUNIT_CASE_PARAM(second_invalidation_has_its_own_flush, second_gen_params),
	KUNIT_CASE(third_invalidation_takes_the_rest),
	KUNIT_CASE(second_pass_waits_for_a_first_that_is_under_way),
	KUNIT_CASE_PARAM(pages_settle_before_they_are_used_again, settle_gen_params),
	KUNIT_CASE(pages_settle_until_nothing_is_taken),
	KUNIT_CASE_PARAM(fill_meets_an_invalidation_in_its_fault, meet_gen_params),
	KUNIT_CASE_PARAM(fill_meets_an_invalidation_before_its_commit, meet_gen_params),
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
	KUNIT_CASE(hole_in_device_memory_comes_back_as_system_memory),
	KUNIT_CASE(hole_in_system_memory_comes_back_as_device_memory),
	KUNIT_CASE(device_memory_is_let_go_with_its_last_page),
	KUNIT_CASE(hole_with_memory_of_another_device_stays),
	KUNIT_CASE(device_memory_that_can_not_be_mapped_leaves_the_hole),
	KUNIT_CASE(second_pass_ends_while_others_are_filled),
	KUNIT_CASE(hole_has_its_place_in_the_iova_space),
	KUNIT_CASE(last_of_the_iova_space_is_given_back),
	KUNIT_CASE(device_memory_leaves_the_iova_space),
	KUNIT_CASE(devices_and_cpu_race_for_single_pages),
	{}
};

static struct kunit_suite drm_gpusvm_holes_suite = {
	.name = "drm_gpusvm_holes",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = holes_init,
	.exit = vram_exit,
	.test_cases = drm_gpusvm_holes_cases,
};

kunit_test_suite(drm_gpusvm_holes_suite);
