// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: holes that come back as memory of another kind, from the device
 * to RAM and from RAM to the device; and their place in an IOVA space.
 */

#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_holes_fixture.h"

static const struct drm_gpusvm_ctx write_ctx;

static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &vram_owner,
	.devmem_possible = true,
};

static const struct drm_gpusvm_ctx mixed_ctx = {
	.device_private_page_owner = &vram_owner,
	.devmem_possible = true,
	.allow_mixed = true,
};

/*
 * Device memory
 */

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

	svm_fill_small(test);
	svm_move_to_device(test, 0, SMALL_PAGES);
	range = svm_get_owned(test, 2, &owner_ctx);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, pages->nr_addrs, SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 2 * SMALL_PAGES);
	for (i = 0; i < 2; i++)
		look[i] = svm_look_at(test, range, i);

	svm_move_to_ram(test, 5, 1);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	svm_expect_kept(test, range, 0, look[0], 5, 1);

	/* One kind of memory only: all that there was stays. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	svm_expect_kept(test, range, 0, look[0], 5, 1);
	svm_expect_unmapped(test);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 2 * SMALL_PAGES);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	for (i = 0; i < 2; i++) {
		svm_expect_same_places(test, range, i);
		svm_expect_kept(test, range, i, look[i], 5, 1);
		KUNIT_EXPECT_TRUE(test, range->pages[i].flags.has_devmem_pages);
		if (svm_counts_dma(to_svm(test)))
			KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), i), PAGE_SIZE);
	}

	/* And as device memory once more. */
	svm_move_to_device(test, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), SMALL_PAGES);
	svm_expect_same_places(test, range, 0);
	svm_expect_same_places(test, range, 1);
	svm_expect_kept(test, range, 1, look[1], 5, 1);
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

	svm_fill_small(test);
	range = svm_get_owned(test, 1, &owner_ctx);
	pages = &range->pages[0];
	look = svm_look_at(test, range, 0);
	svm_move_to_device(test, 5, 1);
	if (!pages->flags.has_gaps)
		kunit_skip(test, "the pages happened to lie in a row");
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
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
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	svm_expect_same_places(test, range, 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 1);
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);

	/* With the last of it goes the hold on the device memory. */
	svm_move_to_ram(test, 5, 1);
	KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_FALSE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->maps), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 1);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&vrams[0].dpagemap->ref) == refs));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	svm_expect_same_places(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), 0), look->bytes);
}

/* One page after the other comes back, until none is left. */
static void device_memory_is_let_go_with_its_last_page(struct kunit *test)
{
	int i, refs = kref_read(&vrams[0].dpagemap->ref);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;

	svm_fill_small(test);
	svm_move_to_device(test, 0, SMALL_PAGES);
	range = svm_get_owned(test, 1, &mixed_ctx);
	pages = &range->pages[0];
	for (i = 0; i < SMALL_PAGES; i++) {
		KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, vrams[0].dpagemap);
		KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
		/* Not in a row, which would bring more than one. */
		svm_move_to_ram(test, (i * 5) % SMALL_PAGES, 1);
		KUNIT_EXPECT_TRUE(test, pages->flags.has_gaps);
		KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
		svm_expect_same_places(test, range, 0);
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

	svm_fill_small(test);
	svm_move_to_device(test, 0, SMALL_PAGES);
	range = svm_get_owned(test, 1, &mixed_ctx);
	look = svm_look_at(test, range, 0);
	svm_move_to_ram(test, 5, 1);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[1], page_addr(5), PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[1], page_addr(5), PAGE_SIZE), 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), -EOPNOTSUPP);
	KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_gaps);
	KUNIT_EXPECT_PTR_EQ(test, range->pages[0].dpagemap, vrams[0].dpagemap);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[1].seen.maps), 0);
	svm_expect_kept(test, range, 0, look, 5, 1);
	svm_touch(test, page_addr(5), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	svm_expect_same_places(test, range, 0);
}

/* Device memory fails for the second of two devices. */
static void device_memory_that_can_not_be_mapped_leaves_the_hole(struct kunit *test)
{
	struct vram_seen *seen = &vrams[0].seen;
	struct svm_range *range;
	struct look *look[2];
	int i;

	svm_fill_small(test);
	svm_move_to_device(test, 0, SMALL_PAGES);
	range = svm_get_owned(test, 2, &owner_ctx);
	for (i = 0; i < 2; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(5, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 2);
	vrams[0].rules.fail_map = 2 * SMALL_PAGES - 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EFAULT);
	vrams[0].rules.fail_map = 0;
	KUNIT_EXPECT_EQ(test, atomic_read(&seen->unmaps), 3);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_TRUE(test, range->pages[i].flags.has_gaps);
		KUNIT_EXPECT_PTR_EQ(test, range->pages[i].dpagemap, vrams[0].dpagemap);
		svm_expect_kept(test, range, i, look[i], 5, 1);
	}
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	svm_expect_same_places(test, range, 0);
	svm_expect_same_places(test, range, 1);
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
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	struct svm_range *range;
	struct look *look;
	dma_addr_t iova;

	svm_map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_ASSERT_TRUE(test, dma_use_iova(&pages->state));
	iova = pages->state.addr;
	look = svm_look_at(test, range, 0);

	svm_show_in_a_row(block, 5, 1);
	svm_change(test, 5, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xffdf);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_places(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);

	/* Next to it on both sides, and the first and the last one. */
	svm_hit(6, 1);
	svm_hit(4, 1);
	svm_hit(0, 1);
	svm_hit(15, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0x7fae);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_places(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);

	/* Longer segments, in a hole of several. */
	svm_show_in_a_row(block, 4, 8);
	svm_change(test, 3, 10);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xe007);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, pages->nr_addrs, SMALL_PAGES - 10 + 4);
	svm_expect_same_places(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_hit(5, 1);
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
	svm_show_scattered(block, 12, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_places(test, range, 0);
	svm_remove(test, range);
}

/* The rest is taken by an invalidation. */
static void last_of_the_iova_space_is_given_back(struct kunit *test)
{
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	struct svm_range *range;
	dma_addr_t iova;

	svm_map_block(test, block);
	range = svm_fault(test, AT, &write_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	iova = pages->state.addr;
	svm_hit(3, 2);
	svm_hit(9, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0xfde7);
	svm_hit(0, SMALL_PAGES);
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

	svm_fill_small(test);
	range = svm_fault(test, AT, &mixed_ctx);
	domain = put_behind_iommu(test, range);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	if (!dma_use_iova(&pages->state))
		kunit_skip(test, "the pages happened to lie in a row");
	iova = pages->state.addr;

	svm_move_to_device(test, 5, 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 1);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), 0);
	svm_expect_same_places(test, range, 0);

	svm_move_to_ram(test, 5, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_EQ(test, count_device_segments(pages), 0);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova) & BIT(5), BIT(5));
	svm_expect_same_places(test, range, 0);
	look = svm_look_at(test, range, 0);
	KUNIT_EXPECT_EQ(test, look->dma[5], iova + 5 * PAGE_SIZE);

	svm_hit(4, 3);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[5]), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	svm_expect_same_places(test, range, 0);
	svm_expect_kept(test, range, 0, look, 4, 3);

	svm_look_again(test, range, 0, look);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, linked_pages(domain, iova), 0);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[4]), 0);
	KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, look->dma[5]), 0);
	svm_remove(test, range);
}

static struct kunit_case drm_gpusvm_holes_devmem_cases[] = {
	KUNIT_CASE(hole_in_device_memory_comes_back_as_system_memory),
	KUNIT_CASE(hole_in_system_memory_comes_back_as_device_memory),
	KUNIT_CASE(device_memory_is_let_go_with_its_last_page),
	KUNIT_CASE(hole_with_memory_of_another_device_stays),
	KUNIT_CASE(device_memory_that_can_not_be_mapped_leaves_the_hole),
	KUNIT_CASE(hole_has_its_place_in_the_iova_space),
	KUNIT_CASE(last_of_the_iova_space_is_given_back),
	KUNIT_CASE(device_memory_leaves_the_iova_space),
	{}
};

static struct kunit_suite drm_gpusvm_holes_devmem_suite = {
	.name = "drm_gpusvm_holes_devmem",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = svm_holes_init,
	.exit = vram_exit,
	.test_cases = drm_gpusvm_holes_devmem_cases,
};

kunit_test_suite(drm_gpusvm_holes_devmem_suite);
