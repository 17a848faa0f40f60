// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of DRM pagemaps share: a provider of device memory.
 *
 * The memory is real to the mm: device private pages of a free piece of the
 * physical address space. Behind each is a page of ordinary memory that copies
 * go to and come from, so that the contents can be verified wherever they are.
 * What is handed out is dirty, and a copy that is not waited for is done by
 * another task, so that what is forgotten and what comes too early shows.
 */

#include <linux/dma-direct.h>
#include <linux/ioport.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>

#include "drm_pagemap_fixture.h"

struct vram vrams[VRAM_MEMORIES];
char vram_owner;
u64 vram_addr;
u64 vram_fence_context;
atomic64_t vram_fence_seqno;

/* The stranger's pages are not ours to move. */
static char stranger;
static struct kunit *vram_test;
static struct workqueue_struct *vram_engines;
static struct svm_gate *vram_gate;

#define VRAM_DIRT	0x5a

static struct vram *to_vram(struct drm_pagemap *dpagemap)
{
	return container_of(dpagemap->pagemap, struct vram, pagemap);
}

static unsigned long first_pfn(struct vram *vram)
{
	return PHYS_PFN(vram->pagemap.range.start);
}

static unsigned long index_of(struct page *page)
{
	return page_to_pfn(page) - first_pfn(vram_of(page));
}

static void *backing_of(struct page *page)
{
	return vram_of(page)->backing + (index_of(page) << PAGE_SHIFT);
}

/* What is in a device page, by words. */
u64 *vram_word(struct page *page)
{
	return backing_of(page);
}

/*
 * Allocations
 */

/* The row that a layout needs, and which page of it is the nth one. */
static unsigned long layout_row(enum vram_layout layout, unsigned long npages)
{
	return layout == VRAM_SPARSE ? 2 * npages : npages + (layout == VRAM_SHIFTED);
}

static unsigned long layout_page(enum vram_layout layout, unsigned long npages,
				 unsigned long n)
{
	switch (layout) {
	case VRAM_SHIFTED:
		return n + 1;
	case VRAM_REVERSED:
		return npages - 1 - n;
	case VRAM_SPARSE:
		return 2 * n;
	default:
		return n;
	}
}

static bool row_is_free(struct vram *vram, unsigned long first, unsigned long npages)
{
	while (npages--)
		if (vram->owner[first + npages])
			return false;

	return true;
}

/* Give the allocation its pages. */
static bool bo_take_pages(struct vram_bo *bo)
{
	struct vram *vram = bo->vram;
	enum vram_layout layout = vram->rules.layout;
	unsigned long row = layout_row(layout, bo->npages), first, i;

	if (vram->used + bo->npages > vram->rules.limit)
		return false;

	for (first = 0; first + row <= VRAM_PAGES; first += roundup_pow_of_two(bo->npages))
		if (row_is_free(vram, first, row))
			break;
	if (first + row > VRAM_PAGES)
		return false;

	for (i = 0; i < bo->npages; i++) {
		bo->page[i] = first + layout_page(layout, bo->npages, i);
		vram->owner[bo->page[i]] = bo;
	}
	vram->used += bo->npages;

	return true;
}

static void bo_make_dirty(struct vram_bo *bo)
{
	unsigned long i;

	for (i = 0; i < bo->npages; i++)
		memset(bo->vram->backing + ((unsigned long)bo->page[i] << PAGE_SHIFT),
		       VRAM_DIRT, PAGE_SIZE);
}

static void bo_free(struct kref *ref)
{
	kfree(container_of(ref, struct vram_bo, ref));
}

void vram_bo_put(struct vram_bo *bo)
{
	kref_put(&bo->ref, bo_free);
}

void vram_bo_put_action(void *bo)
{
	vram_bo_put(bo);
}

struct vram_bo *vram_bo_create(struct drm_pagemap *dpagemap, struct mm_struct *mm,
			       size_t size)
{
	struct vram *vram = to_vram(dpagemap);
	unsigned long npages = size >> PAGE_SHIFT;
	struct vram_bo *bo = kzalloc_flex(*bo, page, npages);
	bool taken;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	kref_init(&bo->ref);
	bo->vram = vram;
	bo->npages = npages;

	spin_lock_irq(&vram->lock);
	taken = bo_take_pages(bo);
	spin_unlock_irq(&vram->lock);
	if (!taken) {
		kfree(bo);
		return ERR_PTR(-ENOSPC);
	}

	atomic_inc(&vram->live);
	bo_make_dirty(bo);
	drm_pagemap_devmem_init(&bo->devmem, svm_drm_device(vram->device)->dev, mm,
				vram->rules.ops, dpagemap, size,
				dma_fence_get(vram->rules.pre_fence));
	if (vram->rules.window)
		bo->devmem.fault_window = vram->rules.window;

	/* From here on, others find it and may evict it. */
	spin_lock_irq(&vram->lock);
	list_add_tail(&bo->entry, &vram->bos);
	spin_unlock_irq(&vram->lock);

	return bo;
}

/* The allocation that has existed longest, with a reference, or NULL. */
struct vram_bo *vram_oldest(struct vram *vram)
{
	struct vram_bo *bo;

	spin_lock_irq(&vram->lock);
	bo = list_first_entry_or_null(&vram->bos, struct vram_bo, entry);
	if (bo)
		kref_get(&bo->ref);
	spin_unlock_irq(&vram->lock);

	return bo;
}

/* Evict the oldest one. Returns whether it is worth trying to allocate again. */
static bool evict_oldest(struct vram *vram)
{
	struct vram_bo *bo = vram_oldest(vram);
	int err;

	if (!bo)
		return false;

	err = drm_pagemap_evict_to_ram(&bo->devmem);
	if (!err)
		atomic_inc(&vram->seen.evictions);
	else
		spin_lock_irq(&vram->lock);
	if (err && !bo->released)
		list_move_tail(&bo->entry, &vram->bos);
	if (err)
		spin_unlock_irq(&vram->lock);
	vram_bo_put(bo);

	return !err || err == -EBUSY;
}

static struct drm_pagemap_devmem *vram_devmem_alloc(struct drm_pagemap *dpagemap,
						    struct mm_struct *mm, size_t size,
						    bool may_wait)
{
	struct vram *vram = to_vram(dpagemap);
	unsigned int tries = 8;
	struct vram_bo *bo;
	int err;

	KUNIT_EXPECT_TRUE(vram_test, size && PAGE_ALIGNED(size) && size <= PMD_SIZE);
	/* Whoever may wait must not keep others from what they need to make room. */
	if (may_wait)
		lockdep_assert_not_held(&mm->mmap_lock);
	atomic_inc(&vram->seen.allocs);
	atomic_add(may_wait, &vram->seen.waits);
	vram->seen.alloc_size = size;

	err = vram->rules.alloc ? vram->rules.alloc(vram, size, may_wait) : 0;
	if (err)
		return ERR_PTR(err);

	bo = vram_bo_create(dpagemap, mm, size);
	if (!may_wait && PTR_ERR_OR_ZERO(bo) == -ENOSPC)
		return ERR_PTR(-EBUSY);
	while (PTR_ERR_OR_ZERO(bo) == -ENOSPC && tries-- && evict_oldest(vram))
		bo = vram_bo_create(dpagemap, mm, size);

	return IS_ERR(bo) ? ERR_CAST(bo) : &bo->devmem;
}

static int vram_populate_mm(struct drm_pagemap *dpagemap, unsigned long start,
			    unsigned long end, struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	const struct drm_pagemap_migrate_details details = { .timeslice_ms = timeslice_ms };
	struct vram_bo *bo;

	lockdep_assert_held(&mm->mmap_lock);
	bo = vram_bo_create(dpagemap, mm, end - start);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	return drm_pagemap_migrate_to_devmem(&bo->devmem, mm, start, end, &details);
}

/* May be called anywhere: nothing here sleeps. */
static void vram_release(struct drm_pagemap_devmem *devmem)
{
	struct vram_bo *bo = to_vram_bo(devmem);
	struct vram *vram = bo->vram;
	unsigned long flags, i;

	KUNIT_EXPECT_FALSE(vram_test, bo->released);
	spin_lock_irqsave(&vram->lock, flags);
	for (i = 0; i < bo->npages; i++)
		vram->owner[bo->page[i]] = NULL;
	vram->used -= bo->npages;
	list_del(&bo->entry);
	bo->released = true;
	spin_unlock_irqrestore(&vram->lock, flags);

	dma_fence_put(devmem->pre_migrate_fence);
	atomic_inc(&vram->seen.releases);
	atomic_dec(&vram->live);
	vram_bo_put(bo);
}

static int vram_list_pages(struct drm_pagemap_devmem *devmem, unsigned long npages,
			   unsigned long *pfn)
{
	struct vram_bo *bo = to_vram_bo(devmem);
	unsigned long i;

	if (bo->vram->rules.list)
		bo->vram->rules.list(bo);
	if (bo->vram->rules.populate_err)
		return bo->vram->rules.populate_err;
	/* The pages may be another one's by now: who asks may have been too late. */
	if (bo->vram->rules.listed)
		bo = bo->vram->rules.listed;
	KUNIT_EXPECT_LE(vram_test, npages, bo->npages);

	for (i = 0; i < npages; i++)
		pfn[i] = first_pfn(bo->vram) + bo->page[i];

	return 0;
}

/*
 * Reaching memory
 */

static struct drm_pagemap_addr vram_map(struct drm_pagemap *dpagemap, struct device *dev,
					struct page *page, unsigned int order,
					enum dma_data_direction dir)
{
	struct vram *vram = vram_of(page);
	dma_addr_t addr = vram_addr + (u64)vram->index * VRAM_SIZE +
			  ((u64)index_of(page) << PAGE_SHIFT);
	int mapped = atomic_read(&vram->seen.maps) - atomic_read(&vram->seen.unmaps);

	if ((vram->rules.fail_map && mapped >= vram->rules.fail_map) ||
	    (vram->rules.alone && dev != svm_drm_device(vram->device)->dev))
		addr = DMA_MAPPING_ERROR;
	else
		atomic_inc(&vram->seen.maps);

	return drm_pagemap_addr_encode(addr, DRM_INTERCONNECT_DRIVER, order, dir);
}

static void vram_unmap(struct drm_pagemap *dpagemap, struct device *dev,
		       const struct drm_pagemap_addr *addr)
{
	struct vram *vram = to_vram(dpagemap);

	KUNIT_EXPECT_EQ(vram_test, div_u64(addr->addr - vram_addr, VRAM_SIZE), vram->index);
	atomic_inc(&vram->seen.unmaps);
}

const struct drm_pagemap_ops vram_ops = {
	.device_map = vram_map,
	.device_unmap = vram_unmap,
	.devmem_alloc = vram_devmem_alloc,
};

const struct drm_pagemap_ops vram_ops_by_provider = {
	.device_map = vram_map,
	.device_unmap = vram_unmap,
	.populate_mm = vram_populate_mm,
};

/* What is behind a device address that vram_map() has made. */
void *vram_at(dma_addr_t addr)
{
	struct vram *vram;
	u64 offset;

	vram = &vrams[div64_u64_rem(addr - vram_addr, VRAM_SIZE, &offset)];
	KUNIT_EXPECT_GT(vram_test, atomic_read(&vram->seen.maps),
			atomic_read(&vram->seen.unmaps));

	return vram->backing + offset;
}

/* Where the other side of a copy is, for the engine of a memory. */
static void *reach(struct vram *vram, const struct drm_pagemap_addr *addr)
{
	if (addr->proto == DRM_INTERCONNECT_SYSTEM)
		return phys_to_virt(dma_to_phys(svm_drm_device(vram->device)->dev,
						addr->addr));

	return vram_at(addr->addr);
}

/* A segment is one piece of one allocation. */
static void expect_segment(struct vram *vram, struct page *page, unsigned long npages)
{
	unsigned long first = index_of(page), i;

	KUNIT_EXPECT_PTR_EQ(vram_test, vram_of(page), vram);
	KUNIT_EXPECT_TRUE(vram_test, folio_test_locked(page_folio(page)));
	KUNIT_EXPECT_NOT_NULL(vram_test, vram->owner[first]);
	for (i = 1; i < npages; i++)
		KUNIT_EXPECT_PTR_EQ(vram_test, vram->owner[first + i], vram->owner[first]);
}

static void copy_segment(struct vram_copy *copy, struct page *page,
			 const struct drm_pagemap_addr *addr)
{
	unsigned long npages = 1UL << addr->order;
	void *vram = backing_of(page), *other;

	expect_segment(copy->vram, page, npages);
	if (addr->hole) {
		KUNIT_EXPECT_FALSE(vram_test, copy->to_ram);
		memset(vram, 0, npages << PAGE_SHIFT);
		atomic_long_add(npages, &copy->vram->seen.zeroed);
		return;
	}

	other = reach(copy->vram, addr);
	KUNIT_EXPECT_TRUE(vram_test, addr->dir == DMA_BIDIRECTIONAL ||
			  addr->dir == (copy->to_ram ? DMA_FROM_DEVICE : DMA_TO_DEVICE));
	memcpy(copy->to_ram ? other : vram, copy->to_ram ? vram : other,
	       npages << PAGE_SHIFT);
	atomic_long_add(npages, &copy->vram->seen.pages[copy->to_ram]);
	atomic_long_inc(&copy->vram->seen.segments[copy->to_ram]);
}

/* The memory that is copied has to be mapped as long as that takes. */
static void expect_mapped(struct vram_copy *copy)
{
	struct svm_fixture *svm = to_svm(vram_test);
	unsigned long bytes = 0, i;

	for (i = 0; i < copy->npages; i += 1UL << copy->addrs[i].order)
		if (copy->pages[i] && !copy->addrs[i].hole &&
		    copy->addrs[i].proto == DRM_INTERCONNECT_SYSTEM)
			bytes += PAGE_SIZE << copy->addrs[i].order;
	if (svm_counts_dma(svm))
		KUNIT_EXPECT_GE(vram_test, svm_dma_bytes(svm, copy->vram->device), bytes);
}

static bool means_nothing(const struct drm_pagemap_addr *addr)
{
	return !addr->addr && !addr->order && !addr->proto && !addr->dir && !addr->hole;
}

/* What is no segment, nor the first page of one, has neither a page nor an address. */
static bool is_clean(struct vram_copy *copy)
{
	unsigned long i, behind = 0;

	for (i = 0; i < copy->npages; i++) {
		if (!behind && copy->pages[i])
			behind = 1UL << copy->addrs[i].order;
		else if (copy->pages[i] || !means_nothing(&copy->addrs[i]))
			return false;
		behind -= !!behind;
	}

	return true;
}

static int do_copy(struct vram_copy *copy)
{
	struct vram *vram = copy->vram;
	unsigned long i;
	int err;

	if (copy->before && !vram->rules.hasty)
		dma_fence_wait(copy->before, false);
	err = vram->rules.copy ? vram->rules.copy(copy) : 0;
	if (err)
		return err;
	KUNIT_EXPECT_TRUE(vram_test, is_clean(copy));

	atomic_inc(&vram->seen.copies[copy->to_ram]);
	expect_mapped(copy);
	for (i = 0; i < copy->npages; i += 1UL << copy->addrs[i].order)
		if (copy->pages[i])
			copy_segment(copy, copy->pages[i], &copy->addrs[i]);
	expect_mapped(copy);

	return 0;
}

/*
 * Copies that are waited for
 */

/* The engine is that of the device pages. */
static struct vram *engine_of(struct page **pages, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		if (pages[i])
			return vram_of(pages[i]);

	return NULL;
}

static int copy_now(struct page **pages, struct drm_pagemap_addr *addrs,
		    unsigned long npages, struct dma_fence *before, bool to_ram)
{
	struct vram_copy copy = {
		.vram = engine_of(pages, npages),
		.before = before,
		.to_ram = to_ram,
		.npages = npages,
		.pages = pages,
		.addrs = addrs,
	};

	if (!copy.vram)
		return 0;

	svm_resume_failures(to_svm(vram_test));

	return copy.vram->rules.submit_err ?: do_copy(&copy);
}

static int copy_to_devmem(struct page **pages, struct drm_pagemap_addr *addrs,
			  unsigned long npages, struct dma_fence *before)
{
	return copy_now(pages, addrs, npages, before, false);
}

static int copy_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
		       unsigned long npages, struct dma_fence *before)
{
	return copy_now(pages, addrs, npages, before, true);
}

const struct drm_pagemap_devmem_ops vram_waiting_ops = {
	.devmem_release = vram_release,
	.populate_devmem_pfn = vram_list_pages,
	.copy_to_devmem = copy_to_devmem,
	.copy_to_ram = copy_to_ram,
};

/*
 * Copies with a fence
 */

const char *vram_fence_name(struct dma_fence *fence)
{
	return "vram";
}

static void copy_release(struct dma_fence *fence)
{
	struct vram_copy *copy = container_of(fence, struct vram_copy, fence);

	atomic_dec(&copy->vram->seen.fences);
	dma_fence_free(fence);
}

static const struct dma_fence_ops copy_fence_ops = {
	.get_driver_name = vram_fence_name,
	.get_timeline_name = vram_fence_name,
	.release = copy_release,
};

static void copy_free_entries(struct vram_copy *copy)
{
	kvfree(copy->pages);
	kvfree(copy->addrs);
}

static void copy_work(struct work_struct *work)
{
	struct vram_copy *copy = container_of(work, struct vram_copy, work);
	int err = do_copy(copy);

	copy_free_entries(copy);
	dma_fence_put(copy->before);
	if (err)
		dma_fence_set_error(&copy->fence, err);
	dma_fence_signal(&copy->fence);
	dma_fence_put(&copy->fence);
}

static struct vram_copy *copy_create(struct page **pages, struct drm_pagemap_addr *addrs,
				     unsigned long npages)
{
	struct vram_copy *copy = kzalloc_obj(*copy);

	if (!copy)
		return NULL;

	/* The arrays are the caller's again when the op returns. */
	copy->pages = kvmemdup(pages, npages * sizeof(*pages), GFP_KERNEL);
	copy->addrs = kvmemdup(addrs, npages * sizeof(*addrs), GFP_KERNEL);
	if (!copy->pages || !copy->addrs) {
		copy_free_entries(copy);
		kfree(copy);
		return NULL;
	}

	return copy;
}

static struct dma_fence *copy_submit(struct page **pages, struct drm_pagemap_addr *addrs,
				     unsigned long npages, struct dma_fence *before,
				     bool to_ram)
{
	struct vram *vram = engine_of(pages, npages);
	struct vram_copy *copy;

	if (!vram)
		return NULL;
	svm_resume_failures(to_svm(vram_test));
	if (vram->rules.submit_err)
		return ERR_PTR(vram->rules.submit_err);

	copy = copy_create(pages, addrs, npages);
	if (!copy)
		return ERR_PTR(-ENOMEM);

	copy->vram = vram;
	copy->before = dma_fence_get(before);
	copy->to_ram = to_ram;
	copy->npages = npages;
	spin_lock_init(&copy->lock);
	INIT_WORK(&copy->work, copy_work);
	dma_fence_init(&copy->fence, &copy_fence_ops, &copy->lock, vram_fence_context,
		       atomic64_inc_return(&vram_fence_seqno));
	atomic_inc(&vram->seen.fences);
	dma_fence_get(&copy->fence);
	queue_work(vram_engines, &copy->work);

	return &copy->fence;
}

static struct dma_fence *submit_to_devmem(struct page **pages,
					  struct drm_pagemap_addr *addrs,
					  unsigned long npages, struct dma_fence *before)
{
	return copy_submit(pages, addrs, npages, before, false);
}

static struct dma_fence *submit_to_ram(struct page **pages,
				       struct drm_pagemap_addr *addrs,
				       unsigned long npages, struct dma_fence *before)
{
	return copy_submit(pages, addrs, npages, before, true);
}

const struct drm_pagemap_devmem_ops vram_submit_ops = {
	.devmem_release = vram_release,
	.populate_devmem_pfn = vram_list_pages,
	.submit_to_devmem = submit_to_devmem,
	.submit_to_ram = submit_to_ram,
};

/*
 * As the first providers were written: they step through the pages one by one and
 * copy a segment for each that has a page, or to RAM, for each that has an address.
 */
static int step_copy(struct page **pages, struct drm_pagemap_addr *addrs,
		     unsigned long npages, struct dma_fence *before, bool to_ram)
{
	struct vram_copy copy = {
		.vram = engine_of(pages, npages),
		.to_ram = to_ram,
		.npages = npages,
		.pages = pages,
		.addrs = addrs,
	};
	unsigned long i;

	if (!copy.vram)
		return 0;
	if (before)
		dma_fence_wait(before, false);
	/* What is stale may not even be a page. */
	if (!is_clean(&copy)) {
		KUNIT_FAIL(vram_test, "there are entries that mean nothing");
		return -EINVAL;
	}

	for (i = 0; i < npages; i++)
		if (to_ram ? addrs[i].addr : !!pages[i])
			copy_segment(&copy, pages[i], &addrs[i]);
	atomic_inc(&copy.vram->seen.copies[to_ram]);

	return 0;
}

static int step_to_devmem(struct page **pages, struct drm_pagemap_addr *addrs,
			  unsigned long npages, struct dma_fence *before)
{
	return step_copy(pages, addrs, npages, before, false);
}

static int step_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
		       unsigned long npages, struct dma_fence *before)
{
	return step_copy(pages, addrs, npages, before, true);
}

const struct drm_pagemap_devmem_ops vram_stepping_ops = {
	.devmem_release = vram_release,
	.populate_devmem_pfn = vram_list_pages,
	.copy_to_devmem = step_to_devmem,
	.copy_to_ram = step_to_ram,
};

/* Submitted and done at once: there is no fence to wait for. */
static struct dma_fence *instant_to_devmem(struct page **pages,
					   struct drm_pagemap_addr *addrs,
					   unsigned long npages, struct dma_fence *before)
{
	return ERR_PTR(copy_now(pages, addrs, npages, before, false));
}

static struct dma_fence *instant_to_ram(struct page **pages,
					struct drm_pagemap_addr *addrs,
					unsigned long npages, struct dma_fence *before)
{
	return ERR_PTR(copy_now(pages, addrs, npages, before, true));
}

const struct drm_pagemap_devmem_ops vram_instant_ops = {
	.devmem_release = vram_release,
	.populate_devmem_pfn = vram_list_pages,
	.submit_to_devmem = instant_to_devmem,
	.submit_to_ram = instant_to_ram,
};

/* Let copies wait for a gate; NULL: for none any more. */
void vram_gate_set(struct svm_gate *gate)
{
	WRITE_ONCE(vram_gate, gate);
}

int vram_gate_copies(struct vram_copy *copy)
{
	struct svm_gate *gate = READ_ONCE(vram_gate);

	if (gate)
		svm_gate_pass(gate);

	return 0;
}

/*
 * Set-up and tear-down
 */

static int memory_map(struct vram *vram)
{
	struct resource *res = request_free_mem_region(&iomem_resource, VRAM_SIZE, "vram");
	void *ret;

	if (IS_ERR(res))
		return PTR_ERR(res);

	vram->pagemap.type = MEMORY_DEVICE_PRIVATE;
	vram->pagemap.range.start = res->start;
	vram->pagemap.range.end = res->end;
	vram->pagemap.nr_range = 1;
	vram->pagemap.ops = drm_pagemap_pagemap_ops_get();
	vram->pagemap.owner = vram->index == VRAM_STRANGER ? &stranger : &vram_owner;
	ret = memremap_pages(&vram->pagemap, NUMA_NO_NODE);
	if (IS_ERR(ret))
		release_mem_region(res->start, resource_size(res));
	vram->mapped = !IS_ERR(ret);

	return PTR_ERR_OR_ZERO(ret);
}

static int memory_create(struct vram *vram, unsigned int index)
{
	int err;

	vram->index = index;
	vram->device = index;
	spin_lock_init(&vram->lock);
	INIT_LIST_HEAD(&vram->bos);
	vram->backing = vzalloc(VRAM_SIZE);
	vram->owner = vcalloc(VRAM_PAGES, sizeof(*vram->owner));
	if (!vram->backing || !vram->owner)
		return -ENOMEM;

	err = memory_map(vram);
	if (err)
		return err;

	vram->dpagemap = drm_pagemap_create(svm_drm_device(vram->device), &vram->pagemap,
					    &vram_ops);
	if (!IS_ERR(vram->dpagemap))
		return 0;
	err = PTR_ERR(vram->dpagemap);
	vram->dpagemap = NULL;

	return err;
}

static void memory_destroy(struct vram *vram)
{
	struct range range = vram->pagemap.range;

	drm_pagemap_put(vram->dpagemap);
	if (vram->mapped) {
		memunmap_pages(&vram->pagemap);
		release_mem_region(range.start, range_len(&range));
	}
	vfree(vram->backing);
	vfree(vram->owner);
	memset(vram, 0, sizeof(*vram));
}

/* Device memory takes long to come and to go, so all tests of a suite share it. */
int vram_suite_init(struct kunit_suite *suite)
{
	int err = svm_suite_init(suite);
	int i;

	vram_fence_context = dma_fence_context_alloc(1);
	vram_engines = alloc_workqueue("vram", WQ_UNBOUND, 0);
	if (!vram_engines)
		return -ENOMEM;
	for (i = 0; !err && i < VRAM_MEMORIES; i++)
		err = memory_create(&vrams[i], i);

	return err;
}

void vram_suite_exit(struct kunit_suite *suite)
{
	int i;

	for (i = 0; i < VRAM_MEMORIES; i++)
		memory_destroy(&vrams[i]);
	if (vram_engines)
		destroy_workqueue(vram_engines);
	vram_engines = NULL;
	svm_suite_exit(suite);
}

/* Until all copies are done and their fences are gone. */
void vram_flush(void)
{
	flush_workqueue(vram_engines);
	rcu_barrier();
}

int vram_init(struct kunit *test)
{
	struct vram *vram;
	int i;

	vram_test = test;
	vram_gate = NULL;
	vram_addr = VRAM_ADDR;
	for (vram = vrams; vram < vrams + VRAM_MEMORIES; vram++) {
		memset(&vram->seen, 0, sizeof(vram->seen));
		vram->rules = (struct vram_rules) {
			.ops = &vram_submit_ops,
			.limit = VRAM_PAGES,
		};
		vram->dpagemap->ops = &vram_ops;
		for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
			atomic64_set(&vram->dpagemap->stats[i], 0);
	}

	return svm_init(test);
}

/* Every test ends with the proof that no page and no reference is left. */
static void expect_unused(struct kunit *test, struct vram *vram)
{
	unsigned long i;

	KUNIT_EXPECT_TRUE(test, svm_wait_until(!atomic_read(&vram->live)));
	KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&vram->dpagemap->ref) == 1));
	vram_flush();
	KUNIT_EXPECT_EQ(test, vram->used, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.maps), atomic_read(&vram->seen.unmaps));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.fences), 0);
	for (i = 0; i < VRAM_PAGES; i++)
		KUNIT_ASSERT_EQ_MSG(test, page_count(pfn_to_page(first_pfn(vram) + i)), 0,
				    "page %lu of memory %u", i, vram->index);
}

void vram_exit(struct kunit *test)
{
	struct vram *vram;

	vram_gate = NULL;
	for (vram = vrams; vram < vrams + VRAM_MEMORIES; vram++)
		vram->rules.copy = NULL;
	svm_exit(test);

	/* The mm of the test exits on its own. */
	for (vram = vrams; vram < vrams + VRAM_MEMORIES; vram++)
		expect_unused(test, vram);
}
