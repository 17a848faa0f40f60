/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_GPUSVM_HOLES_FIXTURE_H_
#define _DRM_GPUSVM_HOLES_FIXTURE_H_

#include "drm_pagemap_fixture.h"

/* Where the range of most tests is: something is mapped before and behind it. */
#define AT		(SVM_BASE + SZ_1M)
#define SMALL_PAGES	16
#define SMALL		(SMALL_PAGES * PAGE_SIZE)
#define LARGE_PAGES	128
#define LARGE		(LARGE_PAGES * PAGE_SIZE)
#define MOST_PAGES	(SZ_2M / SZ_4K)

extern const unsigned long svm_holes_chunks[3];

static inline unsigned long page_addr(long page)
{
	return AT + page * PAGE_SIZE;
}

int svm_holes_init(struct kunit *test);

/* Memory of the test's choice */

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

void svm_show_scattered(struct block *block, unsigned int page, unsigned int n);
void svm_show_in_a_row(struct block *block, unsigned int page, unsigned int n);
struct block *svm_make_block(struct kunit *test, unsigned int npages);
void svm_map_block(struct kunit *test, struct block *block);
struct svm_range *svm_get_block(struct kunit *test, struct block *block, unsigned int devices);
struct svm_range *svm_get_small(struct kunit *test, unsigned int devices);
void svm_hit(long page, long n);
void svm_change(struct kunit *test, long page, long n);

/* What has changed */

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

void svm_look_again(struct kunit *test, struct svm_range *range, unsigned int device,
		    struct look *look);
struct look *svm_look_at(struct kunit *test, struct svm_range *range, unsigned int device);
void svm_expect_kept(struct kunit *test, struct svm_range *range, unsigned int device,
		     const struct look *before, unsigned int page, unsigned int n);
void svm_expect_calls(struct kunit *test, unsigned int device, const struct look *before,
		      int maps, int unmaps);
void svm_expect_work(struct kunit *test, const struct look *before, long walks, long fills);
void svm_expect_taken(struct kunit *test, unsigned int device, long page, long n);
void svm_expect_holes(struct kunit *test, struct svm_range *range, unsigned int device,
		      unsigned int missing);
void svm_expect_whole(struct kunit *test, struct svm_range *range, unsigned int device);
void svm_expect_nothing(struct kunit *test, struct svm_range *range, unsigned int device);
void svm_expect_still(struct kunit *test, struct svm_range *range, unsigned int devices,
		      struct look *const *before, unsigned int page, unsigned int n);

/* Device memory */

void svm_fill_small(struct kunit *test);
void svm_move_to_device(struct kunit *test, long page, long n);
void svm_move_to_ram(struct kunit *test, long page, long n);
struct svm_range *svm_get_owned(struct kunit *test, unsigned int devices,
				const struct drm_gpusvm_ctx *ctx);
void svm_expect_same_places(struct kunit *test, struct svm_range *range,
			    unsigned int device);

#endif
