// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: device memory, where it meets the mirror of an mm.
 *
 * The device memory is real to the mm: device private pages of a free piece of
 * the physical address space, with ordinary memory behind them that the copy
 * operations use.
 *
 * Device coherent memory of DRM is not tested, it takes a machine that has some. It
 * can't be unmapped in another way than it was mapped, since each entry says
 * which of the two ways it is. That of others has pages, but nothing behind them.
 */

#include <linux/dma-direct.h>
#include <linux/hmm.h>
#include <linux/ioport.h>
#include <linux/iommu.h>
#include <linux/memremap.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_fixture.h"

#define RW		(PROT_READ | PROT_WRITE)
#define DEVMEM_SIZE	SZ_8M
/* Device addresses are offsets in the device memory with this bit. */
#define DEVMEM_ADDR	BIT_ULL(40)

/**
 * struct svm_devmem - The memory of a device
 *
 * @pagemap: Its pages
 * @dpagemap: The same for DRM
 * @backing: What is in it
 * @next: First page that is not in use yet
 * @allocs: Allocations that exist
 * @maps: Entries that were mapped for some device
 * @unmaps: Entries that were unmapped
 * @mapped: @pagemap is in use
 * @fail_map: Let mapping fail when so many entries are mapped; 0: never
 * @broken: So many bytes at the beginning can't be copied to RAM
 * @delay: How long a copy to RAM takes at least, in jiffies
 * @window: How much a CPU fault brings to RAM; 0: the default
 */
struct svm_devmem {
	struct dev_pagemap pagemap;
	struct drm_pagemap *dpagemap;
	void *backing;
	unsigned long next;
	atomic_t allocs;
	int maps;
	int unmaps;
	int fail_map;
	unsigned long broken;
	unsigned long delay;
	u32 window;
	bool mapped;
};

/* An allocation: pages in a row. */
struct svm_bo {
	struct drm_pagemap_devmem devmem;
	struct svm_devmem *memory;
	unsigned long first_pfn;
};

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

static struct svm_devmem memories[2];
static struct svm_foreign foreigners[2];
/* Both memories have it, so both are where a walk may leave them. */
static char owner;

static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &owner,
	.devmem_possible = true,
};

static const struct drm_gpusvm_ctx owner_read_ctx = {
	.device_private_page_owner = &owner,
	.devmem_possible = true,
	.read_only = true,
};

static const struct drm_gpusvm_ctx mixed_ctx = {
	.device_private_page_owner = &owner,
	.devmem_possible = true,
	.allow_mixed = true,
};

static const struct drm_gpusvm_ctx only_ctx = {
	.device_private_page_owner = &owner,
	.devmem_possible = true,
	.devmem_only = true,
};

/*
 * The device memory
 */

static struct svm_devmem *memory_of(struct page *page)
{
	return container_of(page_pgmap(page), struct svm_devmem, pagemap);
}

static unsigned long offset_of(struct page *page)
{
	return page_to_phys(page) - memory_of(page)->pagemap.range.start;
}

static struct drm_pagemap_addr devmem_map(struct drm_pagemap *dpagemap, struct device *dev,
					  struct page *page, unsigned int order,
					  enum dma_data_direction dir)
{
	struct svm_devmem *memory = memory_of(page);
	dma_addr_t addr = DEVMEM_ADDR + offset_of(page);

	if (memory->fail_map && memory->maps - memory->unmaps >= memory->fail_map)
		addr = DMA_MAPPING_ERROR;
	else
		memory->maps++;

	return drm_pagemap_addr_encode(addr, DRM_INTERCONNECT_DRIVER, order, dir);
}

static void devmem_unmap(struct drm_pagemap *dpagemap, struct device *dev,
			 const struct drm_pagemap_addr *addr)
{
	container_of(dpagemap->pagemap, struct svm_devmem, pagemap)->unmaps++;
}

static const struct drm_pagemap_ops devmem_pagemap_ops = {
	.device_map = devmem_map,
	.device_unmap = devmem_unmap,
};

static void bo_release(struct drm_pagemap_devmem *devmem)
{
	struct svm_bo *bo = container_of(devmem, struct svm_bo, devmem);

	atomic_dec(&bo->memory->allocs);
	kfree(bo);
}

static int bo_populate(struct drm_pagemap_devmem *devmem, unsigned long npages,
		       unsigned long *pfn)
{
	struct svm_bo *bo = container_of(devmem, struct svm_bo, devmem);
	unsigned long i;

	for (i = 0; i < npages; i++)
		pfn[i] = bo->first_pfn + i;

	return 0;
}

static int copy_blocks(struct page **pages, struct drm_pagemap_addr *addrs,
		       unsigned long npages, bool to_ram)
{
	unsigned long i;

	for (i = 0; i < npages; i += 1UL << addrs[i].order) {
		size_t size = PAGE_SIZE << addrs[i].order;
		void *ram, *devmem;

		if (!pages[i] || !addrs[i].addr)
			continue;
		ram = phys_to_virt(addrs[i].addr);
		devmem = memory_of(pages[i])->backing + offset_of(pages[i]);
		memcpy(to_ram ? ram : devmem, to_ram ? devmem : ram, size);
	}

	return 0;
}

static int copy_to_devmem(struct page **pages, struct drm_pagemap_addr *addrs,
			  unsigned long npages, struct dma_fence *fence)
{
	return copy_blocks(pages, addrs, npages, false);
}

static int copy_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
		       unsigned long npages, struct dma_fence *fence)
{
	unsigned long i, delay = 0;

	for (i = 0; i < npages; i++) {
		if (!pages[i])
			continue;
		if (offset_of(pages[i]) < memory_of(pages[i])->broken)
			return -EIO;
		delay = memory_of(pages[i])->delay;
	}
	if (delay)
		schedule_timeout_uninterruptible(delay);

	return copy_blocks(pages, addrs, npages, true);
}

static const struct drm_pagemap_devmem_ops bo_ops = {
	.devmem_release = bo_release,
	.populate_devmem_pfn = bo_populate,
	.copy_to_devmem = copy_to_devmem,
	.copy_to_ram = copy_to_ram,
};

static int memory_create(struct svm_devmem *memory, struct drm_device *drm)
{
	struct resource *res;
	void *ret;

	res = request_free_mem_region(&iomem_resource, DEVMEM_SIZE, "drm_gpusvm_test");
	if (IS_ERR(res))
		return PTR_ERR(res);

	memory->pagemap.type = MEMORY_DEVICE_PRIVATE;
	memory->pagemap.range.start = res->start;
	memory->pagemap.range.end = res->end;
	memory->pagemap.nr_range = 1;
	memory->pagemap.ops = drm_pagemap_pagemap_ops_get();
	memory->pagemap.owner = &owner;
	ret = memremap_pages(&memory->pagemap, NUMA_NO_NODE);
	if (IS_ERR(ret)) {
		release_mem_region(res->start, resource_size(res));
		return PTR_ERR(ret);
	}
	memory->mapped = true;

	memory->backing = vzalloc(DEVMEM_SIZE);
	memory->dpagemap = kzalloc_obj(*memory->dpagemap);
	if (!memory->backing || !memory->dpagemap)
		return -ENOMEM;

	return drm_pagemap_init(memory->dpagemap, &memory->pagemap, drm, &devmem_pagemap_ops);
}

static void memory_destroy(struct svm_devmem *memory)
{
	struct range range = memory->pagemap.range;

	drm_pagemap_put(memory->dpagemap);
	if (memory->mapped) {
		memunmap_pages(&memory->pagemap);
		release_mem_region(range.start, range_len(&range));
	}
	vfree(memory->backing);
	memset(memory, 0, sizeof(*memory));
}

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

/* Device memory takes long to come and to go, so all tests share it. */
static int devmem_suite_init(struct kunit_suite *suite)
{
	int err = svm_suite_init(suite);
	int i;

	for (i = 0; !err && i < ARRAY_SIZE(memories); i++)
		err = memory_create(&memories[i], svm_drm_device(0));
	if (!err)
		err = foreign_create(&foreigners[0], MEMORY_DEVICE_GENERIC);

	return err ?: foreign_create(&foreigners[1], MEMORY_DEVICE_COHERENT);
}

static void devmem_suite_exit(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(foreigners); i++)
		foreign_destroy(&foreigners[i]);
	for (i = 0; i < ARRAY_SIZE(memories); i++)
		memory_destroy(&memories[i]);
	svm_suite_exit(suite);
}

static int devmem_init(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(memories); i++) {
		memories[i].next = 0;
		memories[i].maps = 0;
		memories[i].unmaps = 0;
		memories[i].fail_map = 0;
		memories[i].broken = 0;
		memories[i].delay = 0;
		memories[i].window = 0;
	}

	return svm_init(test);
}

static void devmem_exit(struct kunit *test)
{
	int i;

	svm_exit(test);
	for (i = 0; i < ARRAY_SIZE(memories); i++) {
		struct svm_devmem *memory = &memories[i];

		/* The mm of the test exits on its own. */
		KUNIT_EXPECT_TRUE(test, svm_wait_until(!atomic_read(&memory->allocs)));
		KUNIT_EXPECT_EQ(test, memory->maps, memory->unmaps);
		KUNIT_EXPECT_EQ(test, kref_read(&memory->dpagemap->ref), 1);
	}
}

/* Move memory to a device, as one allocation. */
static void migrate(struct kunit *test, struct svm_devmem *memory,
		    unsigned long addr, unsigned long len)
{
	static const struct drm_pagemap_migrate_details details;
	struct svm_bo *bo = kzalloc_obj(*bo);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, bo);
	memory->next = ALIGN(memory->next, len >> PAGE_SHIFT);
	bo->memory = memory;
	bo->first_pfn = PHYS_PFN(memory->pagemap.range.start) + memory->next;
	memory->next += len >> PAGE_SHIFT;
	atomic_inc(&memory->allocs);
	drm_pagemap_devmem_init(&bo->devmem, to_svm(test)->devices[0].dev, current->mm,
				&bo_ops, memory->dpagemap, len, NULL);
	if (memory->window)
		bo->devmem.fault_window = memory->window;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&bo->devmem, current->mm, addr, addr + len,
					    &details);
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* Memory in RAM, each page with its address in it. */
static void map_touched(struct kunit *test, unsigned long addr, unsigned long len)
{
	svm_map(test, addr, len, RW);
	svm_touch(test, addr, len);
}

static void expect_content(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, svm_read(test, addr), addr);
}

/* What the device finds at an offset of the range. */
static u64 *device_word(struct kunit *test, struct drm_gpusvm_pages *pages,
			unsigned long offset)
{
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		unsigned long size = PAGE_SIZE << addr->order;

		if (offset >= size) {
			offset -= size;
			continue;
		}
		if (addr->proto == DRM_INTERCONNECT_SYSTEM)
			return phys_to_virt(dma_to_phys(pages->drm->dev, addr->addr) + offset);
		return container_of(pages->dpagemap->pagemap, struct svm_devmem, pagemap)
			->backing + (addr->addr - DEVMEM_ADDR) + offset;
	}
	KUNIT_FAIL_AND_ABORT(test, "nothing mapped at 0x%lx", offset);

	return NULL;
}

static void expect_device_content(struct kunit *test, struct svm_range *range,
				  unsigned int device)
{
	unsigned long start = drm_gpusvm_range_start(&range->base);
	unsigned long offset;

	for (offset = 0; offset < drm_gpusvm_range_size(&range->base); offset += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, *device_word(test, &range->pages[device], offset),
				start + offset);
}

/*
 * Getting device pages
 */

static void device_pages_are_mapped_for_their_owner(struct kunit *test)
{
	struct svm_devmem *memory = &memories[0];
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	unsigned int i;

	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, memory, SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &only_ctx);
	pages = &range->pages[0];
	KUNIT_EXPECT_TRUE(test, pages->flags.has_devmem_pages);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));
	KUNIT_EXPECT_PTR_EQ(test, pages->dpagemap, memory->dpagemap);
	KUNIT_EXPECT_EQ(test, svm_dma_bytes(to_svm(test), 0), 0);
	for (i = 0; i < pages->nr_addrs; i++)
		KUNIT_EXPECT_EQ(test, (u64)pages->dma_addr[i].proto, DRM_INTERCONNECT_DRIVER);
	expect_device_content(test, range, 0);

	/* The CPU takes it back. */
	expect_content(test, SVM_BASE, SZ_64K);
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
	migrate(test, &memories[0], SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &owner_ctx), 0);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, 1);
	KUNIT_EXPECT_EQ(test, memories[0].maps, SVM_DEVICES);
	expect_device_content(test, range, SVM_DEVICES - 1);
	expect_content(test, SVM_BASE, SZ_2M);
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
	migrate(test, &memories[0], SVM_BASE, SZ_2M);
	part = drm_gpusvm_range_find_or_insert(&svm->gpusvm, at, at, at + SZ_64K, &owner_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, part);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(part), SZ_64K);
	KUNIT_ASSERT_EQ(test, svm_get(to_svm_range(part), SVM_DEVICES, &owner_ctx), 0);
	KUNIT_EXPECT_TRUE(test, to_svm_range(part)->pages[0].flags.has_devmem_pages);
	expect_device_content(test, to_svm_range(part), SVM_DEVICES - 1);
	svm_remove(test, to_svm_range(part));

	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_2M);
	KUNIT_ASSERT_EQ(test, svm_get(range, 1, &page), 0);
	KUNIT_EXPECT_EQ(test, *device_word(test, &range->pages[0],
					   page.fault_addr - SVM_BASE), page.fault_addr);
	expect_content(test, SVM_BASE, SZ_2M);
}

static void pages_of_others_move_to_ram(struct kunit *test)
{
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_FALSE(test, range->pages[0].flags.has_devmem_pages);
	svm_expect_same_memory(test, range, 0);
	expect_device_content(test, range, 0);
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
		migrate(test, &memories[0], addr + i * SZ_16K, strspn(first, "0") * SZ_16K);
		return;
	}
	for (i = 0; i < 4; i++)
		if (c->where[i] != 'r')
			migrate(test, &memories[c->where[i] - '0'], addr + i * SZ_16K, SZ_16K);
}

static void mix_is_mapped_if_allowed(struct kunit *test)
{
	const struct mix_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	place(test, c, SVM_BASE);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), c->err);
	if (c->err) {
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
		KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 0);
		KUNIT_EXPECT_NULL(test, range->pages[0].dpagemap);
		KUNIT_EXPECT_EQ(test, memories[0].maps, memories[0].unmaps);
		KUNIT_EXPECT_EQ(test, memories[1].maps, memories[1].unmaps);
		svm_expect_unmapped(test);
	}

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &mixed_ctx), c->mixed_err);
	if (!c->mixed_err) {
		KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_devmem_pages);
		expect_device_content(test, range, 0);
		expect_device_content(test, range, 1);
	}
	svm_remove(test, range);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, memories[0].maps, memories[0].unmaps);
	expect_content(test, SVM_BASE, SZ_64K);
}

static void device_memory_alone_is_demanded_of_all_pages(struct kunit *test)
{
	struct drm_gpusvm_ctx ctx = only_ctx;
	struct svm_range *range;

	ctx.allow_mixed = true;
	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K - SZ_16K);
	range = svm_fault(test, SVM_BASE, &ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, memories[0].maps, memories[0].unmaps);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
}

static void device_that_can_not_map_leaves_nothing(struct kunit *test)
{
	const struct drm_gpusvm_ctx page_ctx = {
		.device_private_page_owner = &owner,
		.partial = true,
		.fault_addr = SVM_BASE,
	};
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	memories[0].fail_map = (SZ_64K >> PAGE_SHIFT) + 1;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), -EFAULT);
	/* Not to be taken for a page that isn't there. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &page_ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, memories[0].maps, memories[0].unmaps);
	KUNIT_EXPECT_EQ(test, kref_read(&memories[0].dpagemap->ref), 2);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	memories[0].fail_map = 0;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &owner_ctx), 0);
	expect_device_content(test, range, 1);
}

/* fork() shares device pages, too. A write of the device is the parent's alone. */
static void writing_breaks_copy_on_write_of_device_pages(struct kunit *test)
{
	struct svm_range *range;
	struct mm_struct *child;
	phys_addr_t phys;

	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &owner_ctx);
	child = svm_fork(test);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));

	/* Reading leaves it shared and where it is. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_read_ctx), 0);
	KUNIT_EXPECT_TRUE(test, range->pages[0].flags.has_devmem_pages);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_device_content(test, range, 0);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), -EROFS);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	expect_device_content(test, range, 0);
	*device_word(test, &range->pages[0], 0) = 1;

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
	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_16K);
	migrate(test, &memories[0], SVM_BASE + SZ_32K, SZ_16K);
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
	KUNIT_EXPECT_EQ(test, memories[0].maps, memories[0].unmaps);
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
		.device_private_page_owner = &owner,
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

/*
 * Where the memory is
 */

static enum drm_gpusvm_scan_result scan(struct svm_range *range, void *by)
{
	return drm_gpusvm_scan_mm(&range->base, by, &memories[0].pagemap);
}

static void scan_tells_where_memory_is(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_UNPOPULATED);
	svm_touch(test, SVM_BASE, SZ_64K - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_UNPOPULATED);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			(SZ_64K >> PAGE_SHIFT) - 1);
	svm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_SYSTEM);

	migrate(test, &memories[0], SVM_BASE, SZ_32K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_MIXED);
	migrate(test, &memories[1], SVM_BASE + SZ_32K, SZ_32K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_MIXED_DEVICE);
	KUNIT_EXPECT_EQ(test, scan(range, NULL), DRM_GPUSVM_SCAN_UNPOPULATED);

	svm_touch(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_EQUAL);
	svm_touch(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[1], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_OTHER);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 0);
}

/*
 * Back to RAM
 */

static void eviction_moves_to_ram(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &owner_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_SYSTEM);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, evictions), 1);
	expect_content(test, SVM_BASE, SZ_64K);

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
	migrate(test, &memories[0], SVM_BASE, SZ_32K);
	svm_munmap(test, SVM_BASE + SZ_16K, SZ_4K);
	KUNIT_EXPECT_EQ(test, count_present(test, range), 0);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_32K - SZ_4K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
	expect_content(test, SVM_BASE, SZ_16K);
	expect_content(test, SVM_BASE + SZ_16K + SZ_4K, SZ_16K - SZ_4K);
}

static void eviction_passes_guard_pages(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE + SZ_16K, SZ_4K, MADV_GUARD_INSTALL);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_64K - SZ_4K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
	expect_content(test, SVM_BASE, SZ_16K);
	expect_content(test, SVM_BASE + SZ_16K + SZ_4K, SZ_64K - SZ_16K - SZ_4K);
}

/* Memory that can't be read any more keeps neither its neighbours nor what is far off. */
static void eviction_passes_broken_memory(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &owner_ctx);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	migrate(test, &memories[0], SVM_BASE + SZ_64K, SZ_64K);
	migrate(test, &memories[0], SVM_BASE + SZ_1M, SZ_64K);
	memories[0].broken = SZ_64K;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, evictions), 0);
	KUNIT_EXPECT_EQ(test, count_present(test, range), (SZ_2M - SZ_64K) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 1);

	memories[0].broken = 0;
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
	expect_content(test, SVM_BASE, SZ_2M);
}

/* A range that was looked up without an owner: all that is missing is fetched. */
static void eviction_without_an_owner_fetches_all(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	map_touched(test, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &read_ctx);
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
	expect_content(test, SVM_BASE, SZ_64K);

	/* What can't be fetched is no reason to leave the rest. */
	memories[0].window = SZ_16K;
	migrate(test, &memories[0], SVM_BASE, SZ_64K);
	svm_advise(test, SVM_BASE + SZ_16K, SZ_4K, MADV_GUARD_INSTALL);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -EFAULT);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
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

		map_touched(test, SVM_BASE, SZ_64K);
		range = svm_fault(test, SVM_BASE, &owner_ctx);
		migrate(test, &memories[0], SVM_BASE, SZ_64K);
		svm_fault(test, SVM_BASE, &ctx);
		KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
		KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_SYSTEM);
		KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), 0);
		svm_munmap(test, SVM_BASE, SZ_64K);
		svm_remove(test, range);
	}
	KUNIT_EXPECT_GT(test, svm->gpusvm.nr_owners, DRM_GPUSVM_MAX_OWNERS);
}

/* What a fork has shared is copied page by page. A CPU fault brings no more than 64 KiB. */
static void one_copied_page_comes_to_ram_alone(struct kunit *test)
{
	const struct drm_gpusvm_ctx ctx = {
		.device_private_page_owner = &owner,
		.allow_mixed = true,
		.partial = true,
		.fault_addr = SVM_BASE + SZ_8K,
	};
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	struct mm_struct *child;

	map_touched(test, SVM_BASE, SZ_2M);
	migrate(test, &memories[0], SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &mixed_ctx);
	pages = &range->pages[0];
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_2M);
	child = svm_fork(test);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, pages, 1, &ctx), 0);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_MIXED);
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

	map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	memories[0].window = SZ_16K;
	migrate(test, &memories[0], SVM_BASE, SZ_2M);
	child = svm_fork(test);
	for (at = 0; at < SZ_2M; at += SZ_32K)
		svm_touch(test, SVM_BASE + at, SZ_16K);
	KUNIT_EXPECT_EQ(test, scan(range, &owner), DRM_GPUSVM_SCAN_MIXED);
	walks = svm_stat(svm, walks);
	memories[0].delay = msecs_to_jiffies(25);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_LE(test, svm_stat(svm, walks) - walks, 4);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	memories[0].delay = 0;
	mmput(child);
	svm_remove(test, range);
	expect_content(test, SVM_BASE, SZ_2M);
}

/* Only what is missing is fetched: device memory that can be written to stays. */
static void device_memory_between_holes_stays(struct kunit *test)
{
	struct svm_range *range;
	unsigned long at;

	map_touched(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &mixed_ctx);
	for (at = 0; at < SZ_2M; at += SZ_256K) {
		migrate(test, &memories[0], SVM_BASE + at, SZ_128K);
		svm_discard(test, SVM_BASE + at + SZ_128K, SZ_64K);
	}
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &mixed_ctx), 0);
	KUNIT_EXPECT_LE(test, svm_stat(to_svm(test), walks), 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&memories[0].allocs), SZ_2M / SZ_256K);
	KUNIT_EXPECT_EQ(test, memories[0].maps, SZ_1M >> PAGE_SHIFT);
	svm_remove(test, range);
}

static struct kunit_case drm_gpusvm_devmem_cases[] = {
	KUNIT_CASE(device_pages_are_mapped_for_their_owner),
	KUNIT_CASE(huge_device_page_takes_one_entry),
	KUNIT_CASE(walk_begins_inside_a_huge_device_page),
	KUNIT_CASE(pages_of_others_move_to_ram),
	KUNIT_CASE_PARAM(mix_is_mapped_if_allowed, mix_gen_params),
	KUNIT_CASE(device_memory_alone_is_demanded_of_all_pages),
	KUNIT_CASE(device_that_can_not_map_leaves_nothing),
	KUNIT_CASE(writing_breaks_copy_on_write_of_device_pages),
	KUNIT_CASE(iova_space_serves_the_rest_of_a_mix),
	KUNIT_CASE_PARAM(memory_of_unknown_devices_fails_alone, foreign_gen_params),
	KUNIT_CASE(scan_tells_where_memory_is),
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

static struct kunit_suite drm_gpusvm_devmem_suite = {
	.name = "drm_gpusvm_devmem",
	.suite_init = devmem_suite_init,
	.suite_exit = devmem_suite_exit,
	.init = devmem_init,
	.exit = devmem_exit,
	.test_cases = drm_gpusvm_devmem_cases,
};

kunit_test_suite(drm_gpusvm_devmem_suite);
