// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of GPU SVM with device memory share: memories of a device.
 *
 * The device memory is real to the mm: device private pages of a free piece of
 * the physical address space, with ordinary memory behind them that the copy
 * operations use.
 *
 * Device coherent memory of DRM is not tested, it takes a machine that has some. It
 * can't be unmapped in another way than it was mapped, since each entry says
 * which of the two ways it is.
 */

#include <linux/dma-direct.h>
#include <linux/ioport.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_devmem_fixture.h"

/* An allocation: pages in a row. */
struct svm_bo {
	struct drm_pagemap_devmem devmem;
	struct svm_devmem *memory;
	unsigned long first_pfn;
};

struct svm_devmem svm_memories[2];
/* Both memories have it, so both are where a walk may leave them. */
char svm_devmem_owner;

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
	memory->pagemap.owner = &svm_devmem_owner;
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

/* Device memory takes long to come and to go, so all tests share it. */
int svm_devmem_suite_init(struct kunit_suite *suite)
{
	int err = svm_suite_init(suite);
	int i;

	for (i = 0; !err && i < ARRAY_SIZE(svm_memories); i++)
		err = memory_create(&svm_memories[i], svm_drm_device(0));

	return err;
}

void svm_devmem_suite_exit(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_memories); i++)
		memory_destroy(&svm_memories[i]);
	svm_suite_exit(suite);
}

int svm_devmem_init(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_memories); i++) {
		svm_memories[i].next = 0;
		svm_memories[i].maps = 0;
		svm_memories[i].unmaps = 0;
		svm_memories[i].fail_map = 0;
		svm_memories[i].broken = 0;
		svm_memories[i].delay = 0;
		svm_memories[i].window = 0;
	}

	return svm_init(test);
}

void svm_devmem_exit(struct kunit *test)
{
	int i;

	svm_exit(test);
	for (i = 0; i < ARRAY_SIZE(svm_memories); i++) {
		struct svm_devmem *memory = &svm_memories[i];

		/* The mm of the test exits on its own. */
		KUNIT_EXPECT_TRUE(test, svm_wait_until(!atomic_read(&memory->allocs)));
		KUNIT_EXPECT_EQ(test, memory->maps, memory->unmaps);
		KUNIT_EXPECT_EQ(test, kref_read(&memory->dpagemap->ref), 1);
	}
}

/* Move memory to a device, as one allocation. */
void svm_migrate(struct kunit *test, struct svm_devmem *memory,
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
	bo->devmem.fault_window = memory->window ?: DRM_PAGEMAP_FAULT_WINDOW;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&bo->devmem, current->mm, addr, addr + len,
					    &details);
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* Memory in RAM, each page with its address in it. */
void svm_map_touched(struct kunit *test, unsigned long addr, unsigned long len)
{
	svm_map(test, addr, len, RW);
	svm_touch(test, addr, len);
}

void svm_expect_content(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, svm_read(test, addr), addr);
}

/* What the device finds at an offset of the range. */
u64 *svm_device_word(struct kunit *test, struct drm_gpusvm_pages *pages,
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

void svm_expect_device_content(struct kunit *test, struct svm_range *range,
			       unsigned int device)
{
	unsigned long start = drm_gpusvm_range_start(&range->base);
	unsigned long offset;

	for (offset = 0; offset < drm_gpusvm_range_size(&range->base); offset += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, *svm_device_word(test, &range->pages[device], offset),
				start + offset);
}
