// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of holes in mappings share: a range of small pages, invalidations
 * of some of them, and what has changed since a test has looked at it.
 *
 * Most tests map a file whose pages are chosen such that each of them is a segment
 * of its own, unless the test wants longer ones.
 */

#include <linux/dma-direct.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/slab.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_holes_fixture.h"

const unsigned long svm_holes_chunks[] = { SZ_2M, LARGE, SMALL };

static const struct drm_gpusvm_ctx write_ctx;

/*
 * Memory of the test's choice
 */

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
void svm_show_scattered(struct block *block, unsigned int page, unsigned int n)
{
	for (; n; n--, page++)
		block->at[page] = block->npages - 1 - page;
}

/* And here such that aligned neighbours are. */
void svm_show_in_a_row(struct block *block, unsigned int page, unsigned int n)
{
	for (; n; n--, page++)
		block->at[page] = block->npages + page;
}

struct block *svm_make_block(struct kunit *test, unsigned int npages)
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
	svm_show_scattered(block, 0, npages);

	return block;
}

void svm_map_block(struct kunit *test, struct block *block)
{
	unsigned long len = block->npages * PAGE_SIZE;

	svm_map_special(test, &block->file, AT, len);
	svm_touch(test, AT, len);
}

/* A range of small pages for the first devices. */
struct svm_range *svm_get_block(struct kunit *test, struct block *block,
				unsigned int devices)
{
	struct svm_range *range;

	svm_map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), block->npages * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, svm_get(range, devices, &write_ctx), 0);

	return range;
}

struct svm_range *svm_get_small(struct kunit *test, unsigned int devices)
{
	return svm_get_block(test, svm_make_block(test, SMALL_PAGES), devices);
}

/* Announce a change of pages. */
void svm_hit(long page, long n)
{
	svm_notify(current->mm, page_addr(page), page_addr(page + n), MMU_NOTIFY_CLEAR);
}

/* Change pages to what the file shows now. */
void svm_change(struct kunit *test, long page, long n)
{
	svm_discard(test, page_addr(page), n * PAGE_SIZE);
	svm_touch(test, page_addr(page), n * PAGE_SIZE);
}

/*
 * What has changed
 */

void svm_look_again(struct kunit *test, struct svm_range *range, unsigned int device,
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

struct look *svm_look_at(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct look *look = kunit_kzalloc(test, sizeof(*look), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, look);
	svm_look_again(test, range, device, look);

	return look;
}

/* Of @npages of the range, all have the address they had, but for @n from @page on. */
void svm_expect_kept(struct kunit *test, struct svm_range *range, unsigned int device,
		     const struct look *before, unsigned int page, unsigned int n)
{
	unsigned int i, npages = drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
	struct look *now = svm_look_at(test, range, device);

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
	struct look *now = svm_look_at(test, range, device);
	unsigned int missing = 0;

	for (i = 0; i < npages; i++)
		missing += !now->dma[i];
	if (svm_counts_dma(to_svm(test)))
		KUNIT_EXPECT_EQ(test, now->bytes, (npages - missing) * PAGE_SIZE);
	kunit_kfree(test, now);

	return missing;
}

void svm_expect_calls(struct kunit *test, unsigned int device, const struct look *before,
		      int maps, int unmaps)
{
	struct svm_fixture *svm = to_svm(test);

	if (!svm_counts_dma(svm))
		return;
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[device].maps) - before->maps, maps);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[device].unmaps) - before->unmaps,
			unmaps);
}

void svm_expect_work(struct kunit *test, const struct look *before, long walks, long fills)
{
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), walks) - before->walks, walks);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), fills) - before->fills, fills);
}

void svm_expect_taken(struct kunit *test, unsigned int device, long page, long n)
{
	struct svm_device *dev = &to_svm(test)->devices[device];

	KUNIT_EXPECT_EQ(test, dev->taken_start, page_addr(page));
	KUNIT_EXPECT_EQ(test, dev->taken_end, page_addr(page + n));
}

void svm_expect_holes(struct kunit *test, struct svm_range *range, unsigned int device,
		      unsigned int missing)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_NULL(test, pages->deferred_by);
	KUNIT_EXPECT_EQ(test, count_missing(test, range, device), missing);
}

void svm_expect_whole(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_TRUE(test, svm_valid(test, pages));
	KUNIT_EXPECT_FALSE(test, pages->flags.has_gaps);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_EQ(test, count_missing(test, range, device), 0);
	svm_expect_same_memory(test, range, device);
}

void svm_expect_nothing(struct kunit *test, struct svm_range *range, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &range->pages[device];

	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(pages));
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, 0);
	if (svm_counts_dma(to_svm(test)))
		KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), device), 0);
}

/* Holes stay holes, and the rest is as it was. */
void svm_expect_still(struct kunit *test, struct svm_range *range, unsigned int devices,
		      struct look *const *before, unsigned int page, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < devices; i++) {
		svm_expect_holes(test, range, i, n);
		svm_expect_kept(test, range, i, before[i], page, n);
	}
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
void svm_expect_same_places(struct kunit *test, struct svm_range *range,
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

void svm_fill_small(struct kunit *test)
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

void svm_move_to_device(struct kunit *test, long page, long n)
{
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[0], page_addr(page), n * PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[0], page_addr(page), n * PAGE_SIZE), n);
}

void svm_move_to_ram(struct kunit *test, long page, long n)
{
	vram_expect(test, page_addr(page), n * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[0], page_addr(page), n * PAGE_SIZE), 0);
}

struct svm_range *svm_get_owned(struct kunit *test, unsigned int devices,
				const struct drm_gpusvm_ctx *ctx)
{
	struct svm_range *range = svm_fault(test, AT, ctx);

	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SMALL);
	KUNIT_ASSERT_EQ(test, svm_get(range, devices, ctx), 0);
	svm_expect_same_places(test, range, 0);

	return range;
}

/* With device memory, and ranges that invalidations may take parts of. */
int svm_holes_init(struct kunit *test)
{
	int err = vram_init(test);

	if (!err)
		svm_restart(test, &svm_ops_parts, svm_holes_chunks,
			    ARRAY_SIZE(svm_holes_chunks));

	return err;
}
