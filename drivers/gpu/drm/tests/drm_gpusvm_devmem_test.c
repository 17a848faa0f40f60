// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: device memory, where it meets the mirror of an mm.
 *
 * The memory of other drivers than DRM's has pages, but nothing behind them.
 */

#include <linux/dma-direct.h>
#include <linux/hmm.h>
#include <linux/ioport.h>
#include <linux/iommu.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_devmem_fixture.h"

/**
 * struct svm_foreign - The memory of a device that DRM knows nothing of
 *
 * @pagemap: Its pages
 * @page: One of them
 * @data: What the page points to; nobody but its driver knows what that is
 * @mapped: @pagemap is in use
 */
struct svm_foreign {
	struct dev_pagemap pagemap;
	struct page *page;
	u64 data[16];
	bool mapped;
};

static struct svm_foreign foreigners[2];

static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };
static const struct drm_gpusvm_ctx write_ctx;

static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
};

static const struct drm_gpusvm_ctx owner_read_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
	.read_only = true,
};

static const struct drm_gpusvm_ctx mixed_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
	.allow_mixed = true,
};

static const struct drm_gpusvm_ctx only_ctx = {
	.device_private_page_owner = &svm_devmem_owner,
	.devmem_possible = true,
	.devmem_only = true,
};

/*
 * The memory of others
 */

static void foreign_free(struct folio *folio)
{
}

static const struct dev_pagemap_ops foreign_ops = {
	.folio_free = foreign_free,
};

static int foreign_create(struct svm_foreign *foreign, enum memory_type type)
{
	struct dev_pagemap *pagemap = &foreign->pagemap;
	struct resource *res;
	void *ret;

	res = request_free_mem_region(&iomem_resource, DEVMEM_SIZE, "drm_gpusvm_test");
	if (IS_ERR(res))
		return PTR_ERR(res);

	pagemap->type = type;
	pagemap->range.start = res->start;
	pagemap->range.end = res->end;
	pagemap->nr_range = 1;
	pagemap->ops = type == MEMORY_DEVICE_COHERENT ? &foreign_ops : NULL;
	pagemap->owner = foreign;
	ret = memremap_pages(pagemap, NUMA_NO_NODE);
	if (IS_ERR(ret)) {
		release_mem_region(res->start, resource_size(res));
		return PTR_ERR(ret);
	}
	foreign->mapped = true;

	foreign->page = pfn_to_page(PHYS_PFN(res->start));
	if (type == MEMORY_DEVICE_COHERENT) {
		zone_device_page_init(foreign->page, pagemap, 0);
		unlock_page(foreign->page);
	}
	foreign->page->zone_device_data = foreign->data;

	return 0;
}

static void foreign_destroy(struct svm_foreign *foreign)
{
	struct range range = foreign->pagemap.range;

	if (foreign->mapped) {
		if (foreign->pagemap.type == MEMORY_DEVICE_COHERENT)
			put_page(foreign->page);
		memunmap_pages(&foreign->pagemap);
		release_mem_region(range.start, range_len(&range));
	}
	memset(foreign, 0, sizeof(*foreign));
}

static int pages_suite_init(struct kunit_suite *suite)
{
	int err = svm_devmem_suite_init(suite);

	if (!err)
		err = foreign_create(&foreigners[0], MEMORY_DEVICE_GENERIC);

	return err ?: foreign_create(&foreigners[1], MEMORY_DEVICE_COHERENT);
}

static void pages_suite_exit(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(foreigners); i++)
		foreign_destroy(&foreigners[i]);
	svm_devmem_suite_exit(suite);
}

/*
 * Getting device pages
 */

static void device_pages_are_mapped_for_their_owner(struct kunit *test)
{
	struct svm_devmem *memory = &svm_memories[0];
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	unsigned int i;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, memory, SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &only_ctx);
	pages = &range->pages[0];
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, memory->dpagemap);
	KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), 0), 0);
	for (i = 0; i < pages->nr_addrs; i++)
		KUNIT_EXPECT_EQ(test, (u64)pages->dma_addr[i].proto, DRM_INTERCONNECT_DRIVER);
	svm_expect_device_content(test, range, 0);

	/* The CPU takes it back. */
	svm_expect_content(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	KUNIT_EXPECT_FALSE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_NULL(test, pages->dpagemap);
	KUNIT_EXPECT_EQ(test, memory->maps, memory->unmaps);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &only_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	svm_expect_same_memory(test, range, 0);
}

static void huge_device_page_takes_one_entry(struct kunit *test)
{
	struct svm_range *range;

	svm_map_huge(test, SVM_BASE);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &owner_ctx), 0);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, 1);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, SVM_DEVICES);
	svm_expect_device_content(test, range, SVM_DEVICES - 1);
	svm_expect_content(test, SVM_BASE, SZ_2M);
}

/* What is asked for may begin inside a huge page, which nobody splits for that. */
static void walk_begins_inside_a_huge_device_page(struct kunit *test)
{
	const unsigned long at = SVM_BASE + SZ_64K;
	const struct drm_gpusvm_ctx page = {
		.device_private_page_owner = owner_ctx.device_private_page_owner,
		.partial = true,
		.alone = true,
		.fault_addr = SVM_BASE + SZ_1M + PAGE_SIZE,
	};
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_range *part;
	struct svm_range *range;

	svm_map_huge(test, SVM_BASE);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_2M);
	part = drm_gpusvm_range_find_or_insert(&svm->gpusvm, at, at, at + SZ_64K, &owner_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, part);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(part), SZ_64K);
	KUNIT_ASSERT_EQ(test, svm_get(to_svm_range(part), SVM_DEVICES, &owner_ctx), 0);
	KUNIT_EXPECT_TRUE(test, to_svm_range(part)->pages[0].flags.has_devmem_pages);
	svm_expect_device_content(test, to_svm_range(part), SVM_DEVICES - 1);
	svm_remove(test, to_svm_range(part));

	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_2M);
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &page), 0);
	KUNIT_EXPECT_EQ(test, *svm_device_word(test, &range->pages[0],
					       page.fault_addr - SVM_BASE), page.fault_addr);
	svm_expect_content(test, SVM_BASE, SZ_2M);
}

/* What HMM finds without a fault. */
static unsigned long hmm_finds(struct kunit *test, struct svm_range *range, unsigned long addr)
{
	unsigned long pfn = 0;
	struct hmm_range hmm = {
		.notifier = &range->base.notifier->notifier,
		.start = addr,
		.end = addr + PAGE_SIZE,
		.hmm_pfns = &pfn,
		.dev_private_owner = &svm_devmem_owner,
	};

	hmm.notifier_seq = mmu_interval_read_begin(hmm.notifier);
	mmap_read_lock(current->mm);
	KUNIT_EXPECT_EQ(test, hmm_range_fault(&hmm), 0);
	mmap_read_unlock(current->mm);

	return pfn;
}

/* As a folio that is split has it for a while. HMM, which takes no lock, may look then. */
static void expect_nobodys_without_pagemap(struct kunit *test)
{
	struct svm_range *range = svm_fault(test, SVM_BASE, &owner_ctx);
	unsigned long pfn = hmm_finds(test, range, SVM_BASE);
	struct folio *folio;

	KUNIT_ASSERT_TRUE(test, pfn & HMM_PFN_VALID);
	folio = page_folio(hmm_pfn_to_page(pfn));
	KUNIT_ASSERT_PTR_EQ(test, folio->pgmap, &svm_memories[0].pagemap);
	folio->pgmap = NULL;
	KUNIT_EXPECT_FALSE(test, hmm_finds(test, range, SVM_BASE) & HMM_PFN_VALID);
	folio->pgmap = &svm_memories[0].pagemap;
	KUNIT_EXPECT_EQ(test, hmm_finds(test, range, SVM_BASE), pfn);
	svm_remove(test, range);
}

static void device_page_without_pagemap_is_nobodys(struct kunit *test)
{
	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	expect_nobodys_without_pagemap(test);
}

static void huge_device_page_without_pagemap_is_nobodys(struct kunit *test)
{
	svm_map_huge(test, SVM_BASE);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_2M);
	expect_nobodys_without_pagemap(test);
}

static void pages_of_others_move_to_ram(struct kunit *test)
{
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_FALSE(test, range->pages[0].flags.has_devmem_pages);
	svm_expect_same_memory(test, range, 0);
	svm_expect_device_content(test, range, 0);
}

struct mix_case {
	const char *name;
	/* Where each quarter of the range is: 'r'am, device '0' or '1'. */
	const char *where;
	bool joint;		/* device memory is one allocation */
	int err;		/* without allow_mixed */
	int mixed_err;		/* with it */
};

static const struct mix_case mix_cases[] = {
	{ "device first", "00rr", true, -EOPNOTSUPP, 0 },
	{ "RAM first", "rr00", true, -EOPNOTSUPP, 0 },
	{ "RAM in the middle", "0rr0", false, -EOPNOTSUPP, 0 },
	{ "device in the middle", "r00r", true, -EOPNOTSUPP, 0 },
	{ "one allocation", "0000", true, 0, 0 },
	{ "two allocations", "0000", false, 0, 0 },
	{ "two devices", "0011", false, -EOPNOTSUPP, -EOPNOTSUPP },
	{ "two devices and RAM", "0rr1", false, -EOPNOTSUPP, -EOPNOTSUPP },
};

KUNIT_ARRAY_PARAM_DESC(mix, mix_cases, name);

static void place(struct kunit *test, const struct mix_case *c, unsigned long addr)
{
	const char *first = strchr(c->where, '0');
	int i;

	if (c->joint) {
		i = first - c->where;
		svm_migrate(test, &svm_memories[0], addr + i * SZ_16K, strspn(first, "0") * SZ_16K);
		return;
	}
	for (i = 0; i < 4; i++)
		if (c->where[i] != 'r')
			svm_migrate(test, &svm_memories[c->where[i] - '0'], addr + i * SZ_16K,
				    SZ_16K);
}

static void mix_is_mapped_if_allowed(struct kunit *test)
{
	const struct mix_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	place(test, c, SVM_BASE);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), c->err);
	if (c->err) {
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
		KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 0);
		KUNIT_EXPECT_NULL(test, range->pages[0].dpagemap);
		KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
		KUNIT_EXPECT_EQ(test, svm_memories[1].maps, svm_memories[1].unmaps);
		svm_expect_unmapped(test);
	}

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &mixed_ctx), c->mixed_err);
	if (!c->mixed_err) {
		KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_devmem_pages);
		svm_expect_device_content(test, range, 0);
		svm_expect_device_content(test, range, 1);
	}
	svm_remove(test, range);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
	svm_expect_content(test, SVM_BASE, SZ_64K);
}

static void device_memory_alone_is_demanded_of_all_pages(struct kunit *test)
{
	struct drm_gpusvm_ctx ctx = only_ctx;
	struct svm_range *range;

	ctx.allow_mixed = true;
	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K - SZ_16K);
	range = svm_fault(test, SVM_BASE, &ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
}

/* With an IOMMU in front of the devices, which this kind of memory doesn't ask. */
static int get_behind_iommu(struct svm_range *range, unsigned int devices,
			    const struct drm_gpusvm_ctx *ctx)
{
	unsigned int i;
	int err;

	for (i = 0; i < devices; i++)
		dev_set_dma_iommu(range->pages[i].drm->dev);
	err = svm_get(range, devices, ctx);
	for (i = 0; i < devices; i++)
		dev_clear_dma_iommu(range->pages[i].drm->dev);

	return err;
}

static void device_that_can_not_map_leaves_nothing(struct kunit *test)
{
	const struct drm_gpusvm_ctx page_ctx = {
		.device_private_page_owner = &svm_devmem_owner,
		.partial = true,
		.fault_addr = SVM_BASE,
	};
	struct svm_range *range;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	svm_memories[0].fail_map = (SZ_64K >> PAGE_SHIFT) + 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);

	/* The page fails without its neighbours, too. An IOMMU might have more room later. */
	svm_memories[0].fail_map = 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &page_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
	KUNIT_EXPECT_EQ(test, get_behind_iommu(range, 2, &page_ctx),
			IS_ENABLED(CONFIG_IOMMU_DMA) ? -ENOMEM : -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
	KUNIT_EXPECT_EQ(test, kref_read(&svm_memories[0].dpagemap->ref), 2);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	svm_memories[0].fail_map = 0;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	svm_expect_device_content(test, range, 1);
}

/* fork() shares device pages, too. A write of the device is the parent's alone. */
static void writing_breaks_copy_on_write_of_device_pages(struct kunit *test)
{
	struct svm_range *range;
	struct mm_struct *child;
	phys_addr_t phys;

	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &owner_ctx);
	child = svm_fork(test);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));

	/* Reading leaves it shared and where it is. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_read_ctx), 0);
	KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_devmem_pages);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_device_content(test, range, 0);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), -EROFS);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_device_content(test, range, 0);
	*svm_device_word(test, &range->pages[0], 0) = 1;

	phys = svm_phys(test, child, SVM_BASE);
	KUNIT_ASSERT_NE(test, phys, 0);
	KUNIT_EXPECT_EQ(test, *(u64 *)phys_to_virt(phys), SVM_BASE);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), 1);
	mmput(child);
}

/* The pages in RAM have an IOVA space, whatever the range begins with. */
static void iova_space_serves_the_rest_of_a_mix(struct kunit *test)
{
	struct drm_device *drm = kunit_kzalloc(test, sizeof(*drm), GFP_KERNEL);
	struct device *dev = svm_translated_device(test);
	struct drm_gpusvm_pages *pages;
	struct iommu_domain *domain;
	unsigned long offset = 0;
	struct svm_range *range;
	dma_addr_t iova;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, drm);
	drm->dev = dev;
	domain = iommu_get_domain_for_dev(drm->dev);
	svm_map_touched(test, SVM_BASE, SZ_64K);
	svm_migrate(test, &svm_memories[0], SVM_BASE, SZ_16K);
	svm_migrate(test, &svm_memories[0], SVM_BASE + SZ_32K, SZ_16K);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	pages = &range->pages[0];
	drm_gpusvm_init_pages(pages, drm);
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_TRUE(test, dma_use_iova(&pages->state));
	iova = pages->state.addr;
	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		bool system = addr->proto == DRM_INTERCONNECT_SYSTEM;

		/* Each page has its place, whatever is mapped before it. */
		if (system)
			KUNIT_EXPECT_EQ(test, addr->addr, iova + offset);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(addr->addr, PAGE_SIZE << addr->order));
		KUNIT_EXPECT_EQ(test, !!iommu_iova_to_phys(domain, iova + offset), system);
		offset += PAGE_SIZE << addr->order;
	}
	KUNIT_EXPECT_EQ(test, offset, SZ_64K);

	svm_unmap(test, range);
	for (offset = 0; offset < SZ_64K; offset += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, iova + offset), 0);
	KUNIT_EXPECT_EQ(test, svm_memories[0].maps, svm_memories[0].unmaps);
	svm_remove(test, range);
}

/* A file with one page of somebody else's device among its pages. */
#define FOREIGN_PAGE	5UL

static vm_fault_t one_is_foreign(struct svm_file *file, struct vm_fault *vmf)
{
	struct svm_foreign *foreign = file->arg;

	if (vmf->pgoff == FOREIGN_PAGE)
		return vmf_insert_page_mkwrite(vmf, foreign->page, true);
	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	return vmf->page ? 0 : VM_FAULT_OOM;
}

static int get_page_of(struct svm_range *range, unsigned long page, bool write)
{
	const struct drm_gpusvm_ctx ctx = {
		.device_private_page_owner = &svm_devmem_owner,
		.allow_mixed = true,
		.partial = true,
		.fault_addr = SVM_BASE + (page << PAGE_SHIFT),
		.read_only = !write,
	};

	return drm_gpusvm_range_get_pages(&range->base, range->pages, 2, &ctx);
}

static const char *const foreign_kinds[] = { "generic", "coherent" };

static void foreign_kind_name(const char *const *kind, char *name)
{
	strscpy(name, *kind, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(foreign, foreign_kinds, foreign_kind_name);

/* Such memory can't be mapped. That is final, and no more than a hole in the rest. */
static void memory_of_unknown_devices_fails_alone(struct kunit *test)
{
	const char *const *kind = test->param_value;
	struct svm_file file = {
		.fault = one_is_foreign,
		.arg = &foreigners[kind - foreign_kinds],
	};
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_pages *pages;
	unsigned long page, start, end;
	struct svm_range *range;

	svm_map_special(test, &file, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	pages = &range->pages[1];
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &mixed_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &read_ctx), -EFAULT);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(pages));

	KUNIT_EXPECT_EQ(test, get_page_of(range, FOREIGN_PAGE, true), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_page_of(range, FOREIGN_PAGE, false), -EFAULT);
	for (page = 0; page < SZ_64K >> PAGE_SHIFT; page++)
		KUNIT_EXPECT_EQ_MSG(test, get_page_of(range, page, true),
				    page == FOREIGN_PAGE ? -EFAULT : 0, "page %lu", page);
	KUNIT_EXPECT_EQ(test, pages->nr_missing, 1);
	drm_gpusvm_notifier_lock(&svm->gpusvm);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_mapped_around(&svm->gpusvm, pages, SVM_BASE,
							       SVM_BASE, &start, &end));
	drm_gpusvm_notifier_unlock(&svm->gpusvm);
	KUNIT_EXPECT_EQ(test, start, SVM_BASE);
	KUNIT_EXPECT_EQ(test, end, SVM_BASE + (FOREIGN_PAGE << PAGE_SHIFT));

	svm_remove(test, range);
	svm_munmap(test, SVM_BASE, SZ_64K);
}

static struct kunit_case drm_gpusvm_devmem_cases[] = {
	KUNIT_CASE(device_pages_are_mapped_for_their_owner),
	KUNIT_CASE(huge_device_page_takes_one_entry),
	KUNIT_CASE(walk_begins_inside_a_huge_device_page),
	KUNIT_CASE(device_page_without_pagemap_is_nobodys),
	KUNIT_CASE(huge_device_page_without_pagemap_is_nobodys),
	KUNIT_CASE(pages_of_others_move_to_ram),
	KUNIT_CASE_PARAM(mix_is_mapped_if_allowed, mix_gen_params),
	KUNIT_CASE(device_memory_alone_is_demanded_of_all_pages),
	KUNIT_CASE(device_that_can_not_map_leaves_nothing),
	KUNIT_CASE(writing_breaks_copy_on_write_of_device_pages),
	KUNIT_CASE(iova_space_serves_the_rest_of_a_mix),
	KUNIT_CASE_PARAM(memory_of_unknown_devices_fails_alone, foreign_gen_params),
	{}
};

static struct kunit_suite drm_gpusvm_devmem_suite = {
	.name = "drm_gpusvm_devmem",
	.suite_init = pages_suite_init,
	.suite_exit = pages_suite_exit,
	.init = svm_devmem_init,
	.exit = svm_devmem_exit,
	.test_cases = drm_gpusvm_devmem_cases,
};

kunit_test_suite(drm_gpusvm_devmem_suite);
