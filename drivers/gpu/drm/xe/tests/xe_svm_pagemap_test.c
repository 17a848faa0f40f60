// SPDX-License-Identifier: MIT
/*
 * Tests of memory of processes in VRAM, and who chooses which. The VRAM is RAM, and
 * copies are made by the CPU.
 */

#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pm_runtime.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include <drm/drm_kunit_helpers.h>
#include <drm/drm_pagemap.h>

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_pci_test.h"
#include "tests/xe_svm_fixture.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_exec_queue_types.h"
#include "xe_migrate.h"
#include "xe_mmio.h"
#include "xe_res_cursor.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_tlb_inval.h"
#include "xe_ttm_sys_mgr.h"
#include "xe_ttm_vram_mgr.h"
#include "xe_vm.h"
#include "xe_vram.h"
#include "xe_vram_types.h"

/* The VRAM, its address for the GPU, and behind the BAR. */
#define VRAM_SIZE	SZ_16M
#define VRAM_DPA	SZ_256M
#define VRAM_IO		(SZ_1T)

/* Jobs that are remembered. */
#define COPY_JOBS	16

/**
 * struct test_copies - What the copy engine was told to do
 *
 * @queue: The queue that the driver believes the jobs go to
 * @jobs: Number of jobs
 * @job: The first of them
 * @job.npages: Pages
 * @job.vram: Where in VRAM
 * @job.addr: The first address of the other side
 * @job.to_ram: From VRAM to RAM
 * @err: What jobs return; 0 if they work
 * @err_after: So many jobs work before
 * @interrupts: So many jobs are interrupted before one works
 * @signalled: One of them came with a signal pending
 * @bo: The first memory that was allocated, if the test wants that, with a reference
 */
struct test_copies {
	struct xe_exec_queue *queue;
	unsigned int jobs;
	struct {
		unsigned long npages;
		u64 vram;
		u64 addr;
		bool to_ram;
	} job[COPY_JOBS];
	int err;
	unsigned int err_after;
	unsigned int interrupts;
	bool signalled;
	struct xe_bo *bo;
};

static struct test_copies *to_copies(struct kunit *test)
{
	return to_svm(test)->arg;
}

/* ------------------------------------------------------------------------
 * The GPU: VRAM and copies
 */

static void *vram_at(struct kunit *test, u64 dpa)
{
	KUNIT_EXPECT_GE(test, dpa, VRAM_DPA);
	KUNIT_EXPECT_LT(test, dpa, VRAM_DPA + VRAM_SIZE);

	return to_svm(test)->gpu.vram + (dpa - VRAM_DPA);
}

static struct dma_fence *copy(unsigned long npages, struct drm_pagemap_addr *addr,
			      u64 dpa, struct dma_fence *deps, bool to_ram)
{
	struct kunit *test = kunit_get_current_test();
	struct test_copies *copies = to_copies(test);
	struct device *dev = to_svm(test)->xe->drm.dev;
	unsigned long i, n;

	if (copies->err && copies->jobs >= copies->err_after)
		return ERR_PTR(copies->err);
	copies->signalled |= signal_pending(current);
	if (copies->interrupts) {
		copies->interrupts--;
		return ERR_PTR(-ERESTARTSYS);
	}
	if (copies->jobs < COPY_JOBS) {
		copies->job[copies->jobs].npages = npages;
		copies->job[copies->jobs].vram = dpa;
		copies->job[copies->jobs].addr = addr->addr;
		copies->job[copies->jobs].to_ram = to_ram;
	}
	copies->jobs++;
	if (deps)
		dma_fence_wait(deps, false);

	for (i = 0; i < npages; i += n) {
		void *vram = vram_at(test, dpa + (i << PAGE_SHIFT));
		void *ram = phys_to_virt(dma_to_phys(dev, addr[i].addr));

		n = min(1UL << addr[i].order, npages - i);
		if (to_ram)
			memcpy(ram, vram, n << PAGE_SHIFT);
		else
			memcpy(vram, ram, n << PAGE_SHIFT);
	}

	return dma_fence_get_stub();
}

static struct dma_fence *copy_to_vram(struct xe_migrate *m, unsigned long npages,
				      struct drm_pagemap_addr *src_addr, u64 dst_addr,
				      struct dma_fence *deps)
{
	return copy(npages, src_addr, dst_addr, deps, false);
}

static struct dma_fence *copy_from_vram(struct xe_migrate *m, unsigned long npages,
					u64 src_addr, struct drm_pagemap_addr *dst_addr,
					struct dma_fence *deps)
{
	return copy(npages, dst_addr, src_addr, deps, true);
}

static struct dma_fence *clear_vram(struct xe_migrate *m, struct xe_bo *bo,
				    struct ttm_resource *dst, u32 clear_flags)
{
	struct kunit *test = kunit_get_current_test();
	struct xe_res_cursor cur;

	for (xe_res_first(dst, 0, dst->size, &cur); cur.remaining;
	     xe_res_next(&cur, cur.size))
		memset(to_svm(test)->gpu.vram + cur.start, 0, cur.size);

	return dma_fence_get_stub();
}

static struct xe_exec_queue *copy_queue(struct xe_migrate *migrate)
{
	return to_copies(kunit_get_current_test())->queue;
}

KUNIT_DEFINE_ACTION_WRAPPER(free_memory, vfree, void *);

/* Memory that the CPU uses in place of that of the device; not zeroed. */
static void *vmalloc_for(struct kunit *test, unsigned long size)
{
	void *p = vmalloc(size);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_memory, p));
	memset(p, 0x5a, size);

	return p;
}

static void init_copies(struct kunit *test)
{
	struct test_copies *copies = kunit_kzalloc(test, sizeof(*copies), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copies);
	copies->queue = kunit_kzalloc(test, sizeof(*copies->queue), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copies->queue);
	copies->queue->gt = to_svm(test)->gt;
	to_svm(test)->arg = copies;

	kunit_activate_static_stub(test, xe_migrate_to_vram, copy_to_vram);
	kunit_activate_static_stub(test, xe_migrate_from_vram, copy_from_vram);
	kunit_activate_static_stub(test, xe_migrate_clear, clear_vram);
	kunit_activate_static_stub(test, xe_migrate_exec_queue, copy_queue);
}

/* What is read from the hardware, and what is made of it. */
static void init_vram(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_device *xe = svm->xe;
	struct xe_tile *tile = xe_device_get_root_tile(xe);
	struct xe_vram_region *vram;

	svm->gpu.vram = vmalloc_for(test, VRAM_SIZE);
	svm->gpu.vram_base = VRAM_DPA;
	init_copies(test);

	/* A register is written to, to have writes to VRAM arrive. */
	xe_mmio_init(&tile->mmio, tile, (void __iomem *)vmalloc_for(test, SZ_2M), SZ_2M);
	xe->mmio.regs = tile->mmio.regs;

	tile->migrate = xe_migrate_alloc(tile);
	KUNIT_ASSERT_NOT_NULL(test, tile->migrate);
	vram = xe_vram_region_alloc(xe, 0, XE_PL_VRAM0);
	KUNIT_ASSERT_NOT_NULL(test, vram);
	vram->io_start = VRAM_IO;
	vram->io_size = VRAM_SIZE;
	vram->dpa_base = VRAM_DPA;
	vram->usable_size = VRAM_SIZE;
	vram->actual_physical_size = VRAM_SIZE;
	tile->mem.vram = vram;
	tile->mem.kernel_vram = vram;
	xe->info.mem_region_mask = BIT(0) | BIT(1);

	KUNIT_ASSERT_EQ(test, 0, xe_ttm_sys_mgr_init(xe));
	KUNIT_ASSERT_EQ(test, 0, xe_ttm_vram_mgr_init(xe, vram));
	KUNIT_ASSERT_EQ(test, 0, xe_pagemap_cache_create(tile));
}

static int pagemap_init(struct kunit *test)
{
	static const struct xe_pci_fake_data discrete = {
		.platform = XE_BATTLEMAGE,
		.subplatform = XE_SUBPLATFORM_NONE,
		.step = { .graphics = STEP_A0, .media = STEP_A1 },
		.graphics_verx100 = 2001,
		.media_verx100 = 1301,
	};

	return xe_svm_fixture_init_on(test, &discrete, init_vram);
}

/* ------------------------------------------------------------------------
 * Shorthands
 */

static struct drm_pagemap *local_pagemap(struct kunit *test)
{
	return xe_tile_local_pagemap(xe_device_get_root_tile(to_svm(test)->xe));
}

static bool in_vram(struct kunit *test, u64 addr)
{
	return xsvm_gpu_pte(test, addr) & GPU_PTE_VRAM;
}

static void expect_contents(struct kunit *test, u64 addr, u64 len)
{
	u64 end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, xsvm_read(test, addr), addr);
}

/* Memory that the CPU has written to and that the GPU has used then. */
static struct xe_svm_range *map_and_touch(struct kunit *test, u64 addr, u64 len)
{
	xsvm_map(test, addr, len, PROT_RW);
	xsvm_touch(test, addr, len);

	return xsvm_gpu_touch(test, addr, GPU_WRITE);
}

/* ------------------------------------------------------------------------
 * Who chooses which memory
 */

static void vm_has_the_memory_of_its_device(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = local_pagemap(test);

	KUNIT_ASSERT_NOT_NULL(test, svm->vm->svm.pagemaps[0]);
	KUNIT_EXPECT_PTR_EQ(test, &svm->vm->svm.pagemaps[0]->dpagemap, dpagemap);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap->drm, &svm->xe->drm);
	KUNIT_EXPECT_NULL(test, svm->vm->svm.pagemaps[1]);

	/* It can use its pages in place. */
	KUNIT_EXPECT_NOT_NULL(test, svm->vm->svm.peer.owner);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap->pagemap->owner, svm->vm->svm.peer.owner);
	KUNIT_EXPECT_PTR_EQ(test, xe_svm_private_page_owner(svm->vm, false),
			    svm->vm->svm.peer.owner);
	KUNIT_EXPECT_NULL(test, xe_svm_private_page_owner(svm->vm, true));
}

/* A VM that comes later gets the same memory. */
static void pagemap_is_cached(struct kunit *test)
{
	struct drm_pagemap *dpagemap = local_pagemap(test);

	drm_pagemap_get(dpagemap);
	xsvm_close_vm(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	KUNIT_EXPECT_PTR_EQ(test, &to_svm(test)->vm->svm.pagemaps[0]->dpagemap, dpagemap);
	drm_pagemap_put(dpagemap);
}

/* Integrated devices have no region but the one for RAM. */
static void no_vram(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int i;

	xsvm_close_vm(test);
	svm->xe->info.mem_region_mask = BIT(0);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	for (i = 0; i < ARRAY_SIZE(svm->vm->svm.pagemaps); i++)
		KUNIT_EXPECT_NULL(test, svm->vm->svm.pagemaps[i]);
}

/* Devices that can't reach each other don't share pages, those of one device do. */
static void owners(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "other");
	struct xe_pagemap *other, *same;
	struct drm_device *drm;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	drm = __drm_kunit_helper_alloc_drm_device(test, dev, sizeof(*drm), 0, DRIVER_GEM);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm);
	other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	same = kunit_kzalloc(test, sizeof(*same), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_ASSERT_NOT_NULL(test, same);

	other->dpagemap.drm = drm;
	same->dpagemap.drm = &to_svm(test)->xe->drm;
	KUNIT_ASSERT_EQ(test, xe_svm_acquire_owner(&other->peer, false), 0);
	KUNIT_ASSERT_EQ(test, xe_svm_acquire_owner(&same->peer, false), 0);

	KUNIT_EXPECT_NOT_NULL(test, other->peer.owner);
	KUNIT_EXPECT_PTR_NE(test, other->peer.owner, to_svm(test)->vm->svm.peer.owner);
	KUNIT_EXPECT_PTR_EQ(test, same->peer.owner, to_svm(test)->vm->svm.peer.owner);

	drm_pagemap_release_owner(&same->peer);
	drm_pagemap_release_owner(&other->peer);
}

static void memory_of_a_vma(struct kunit *test)
{
	struct xe_vma_preferred_loc *loc = &to_svm(test)->mirror->attr.preferred_loc;
	struct xe_tile *tile = xe_device_get_root_tile(to_svm(test)->xe);
	struct xe_vma *vma = to_svm(test)->mirror;
	struct drm_pagemap named = {};

	KUNIT_EXPECT_PTR_EQ(test, xe_vma_resolve_pagemap(vma, tile), local_pagemap(test));

	loc->devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	KUNIT_EXPECT_NULL(test, xe_vma_resolve_pagemap(vma, tile));

	loc->dpagemap = &named;
	KUNIT_EXPECT_PTR_EQ(test, xe_vma_resolve_pagemap(vma, tile), &named);
	loc->dpagemap = NULL;
}

/* ------------------------------------------------------------------------
 * Addresses
 */

static void release_vram(void *arg)
{
	struct drm_pagemap_devmem *devmem = arg;

	devmem->ops->devmem_release(devmem);
}

static struct drm_pagemap_devmem *alloc_vram(struct kunit *test, size_t size)
{
	struct drm_pagemap *dpagemap = local_pagemap(test);
	struct drm_pagemap_devmem *devmem;

	devmem = dpagemap->ops->devmem_alloc(dpagemap, current->mm, size, true);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, devmem);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, release_vram, devmem));

	return devmem;
}

static unsigned long first_pfn(struct kunit *test, struct drm_pagemap_devmem *devmem,
			       unsigned long npages)
{
	unsigned long *pfns = kunit_kcalloc(test, npages, sizeof(*pfns), GFP_KERNEL), i;

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	KUNIT_ASSERT_EQ(test, devmem->ops->populate_devmem_pfn(devmem, npages, pfns), 0);
	for (i = 1; i < npages; i++)
		KUNIT_EXPECT_EQ(test, pfns[i], pfns[0] + i);

	return pfns[0];
}

static void expect_addr(struct kunit *test, struct drm_pagemap_addr addr, u64 proto,
			u64 value)
{
	u64 is = addr.proto, order = addr.order;

	KUNIT_EXPECT_EQ(test, is, proto);
	KUNIT_EXPECT_EQ(test, order, 4);
	KUNIT_EXPECT_EQ(test, addr.addr, value);
}

/* Addresses in VRAM are the device's for itself, and behind its BAR for others. */
static void addresses(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem = alloc_vram(test, SZ_64K);
	struct drm_pagemap *dpagemap = local_pagemap(test);
	struct page *page = pfn_to_page(first_pfn(test, devmem, 16));
	u64 offset = page_to_phys(page) - dpagemap->pagemap->range.start;
	struct device *other = kunit_device_register(test, "other");
	struct drm_pagemap_addr addr;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	other->coherent_dma_mask = DMA_BIT_MASK(64);

	addr = dpagemap->ops->device_map(dpagemap, dpagemap->drm->dev, page, 4,
					 DMA_BIDIRECTIONAL);
	expect_addr(test, addr, XE_INTERCONNECT_VRAM, VRAM_DPA + offset);
	dpagemap->ops->device_unmap(dpagemap, dpagemap->drm->dev, &addr);

	addr = dpagemap->ops->device_map(dpagemap, other, page, 4, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, dma_mapping_error(other, addr.addr), 0);
	expect_addr(test, addr, XE_INTERCONNECT_P2P, VRAM_IO + offset);
	dpagemap->ops->device_unmap(dpagemap, other, &addr);
}

/* ------------------------------------------------------------------------
 * Copies
 */

#define COPY_NPAGES	((SZ_8M + SZ_2M) >> PAGE_SHIFT)

/**
 * struct test_copy - A copy that is submitted as the core does it
 *
 * @devmem: The VRAM
 * @pages: Its pages
 * @addr: The other side; the same piece of RAM, over and over again
 */
struct test_copy {
	struct drm_pagemap_devmem *devmem;
	struct page **pages;
	struct drm_pagemap_addr *addr;
};

static void free_ram(void *ram)
{
	__free_page(ram);
}

static void prepare_copy(struct kunit *test, struct test_copy *c)
{
	struct device *dev = to_svm(test)->xe->drm.dev;
	struct page *ram = alloc_page(GFP_KERNEL);
	unsigned long i, pfn;

	KUNIT_ASSERT_NOT_NULL(test, ram);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_ram, ram));
	c->devmem = alloc_vram(test, COPY_NPAGES << PAGE_SHIFT);
	c->pages = kunit_kcalloc(test, COPY_NPAGES, sizeof(*c->pages), GFP_KERNEL);
	c->addr = kunit_kcalloc(test, COPY_NPAGES, sizeof(*c->addr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c->pages);
	KUNIT_ASSERT_NOT_NULL(test, c->addr);

	pfn = first_pfn(test, c->devmem, COPY_NPAGES);
	for (i = 0; i < COPY_NPAGES; i++) {
		c->pages[i] = pfn_to_page(pfn + i);
		c->addr[i].addr = phys_to_dma(dev, page_to_phys(ram));
	}
}

static long submit(struct test_copy *c)
{
	struct dma_fence *fence;

	fence = c->devmem->ops->submit_to_devmem(c->pages, c->addr, COPY_NPAGES,
						 c->devmem->pre_migrate_fence);
	if (!IS_ERR(fence))
		dma_fence_put(fence);

	return PTR_ERR_OR_ZERO(fence);
}

static unsigned long copied(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < copies->jobs; i++)
		sum += copies->job[i].npages;

	return sum;
}

/* A job can only copy so much, whatever the orders of the entries add up to. */
static void large_copies_are_divided(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	struct test_copy c;
	unsigned int i;

	prepare_copy(test, &c);
	KUNIT_EXPECT_EQ(test, submit(&c), 0);
	KUNIT_EXPECT_EQ(test, copies->jobs, 2);
	KUNIT_EXPECT_EQ(test, copied(test), COPY_NPAGES);
	for (i = 0; i < copies->jobs; i++)
		KUNIT_EXPECT_LE(test, copies->job[i].npages, SZ_8M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, copies->job[1].vram, copies->job[0].vram +
			(copies->job[0].npages << PAGE_SHIFT));
}

/* What has no page, or nothing to be copied, is left out, and a job not longer. */
static void copies_leave_out(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	struct test_copy c;

	prepare_copy(test, &c);
	c.pages[0] = NULL;
	c.addr[10] = (struct drm_pagemap_addr) { .hole = true };
	c.pages[20] = NULL;
	c.pages[21] = NULL;
	KUNIT_EXPECT_EQ(test, submit(&c), 0);

	KUNIT_EXPECT_EQ(test, copied(test), COPY_NPAGES - 4);
	KUNIT_EXPECT_EQ(test, copies->job[0].npages, 9);
	KUNIT_EXPECT_EQ(test, copies->job[0].vram & (SZ_64K - 1), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, copies->job[1].npages, 9);
	KUNIT_EXPECT_EQ(test, copies->job[1].vram, copies->job[0].vram + 10 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, copies->job[2].vram, copies->job[0].vram + 21 * PAGE_SIZE);
}

/* VRAM that isn't in one piece takes a job for each piece. */
static void pieces_are_copied_one_by_one(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	struct test_copy c;

	prepare_copy(test, &c);
	swap(c.pages[100], c.pages[200]);
	KUNIT_EXPECT_EQ(test, submit(&c), 0);
	KUNIT_EXPECT_EQ(test, copied(test), COPY_NPAGES);
	KUNIT_EXPECT_EQ(test, copies->job[0].npages, 100);
	KUNIT_EXPECT_EQ(test, copies->job[1].npages, 1);
	KUNIT_EXPECT_EQ(test, copies->job[1].vram, copies->job[0].vram + 200 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, copies->job[2].npages, 99);
	KUNIT_EXPECT_EQ(test, copies->job[3].npages, 1);
	KUNIT_EXPECT_EQ(test, copies->job[3].vram, copies->job[0].vram + 100 * PAGE_SIZE);
}

static void copies_fail(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	struct test_copy c;

	prepare_copy(test, &c);
	copies->err = -EIO;
	copies->err_after = 1;
	KUNIT_EXPECT_EQ(test, submit(&c), -EIO);
	KUNIT_EXPECT_EQ(test, copies->jobs, 1);
}

/* ------------------------------------------------------------------------
 * Migration
 */

static void there_and_back(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = map_and_touch(test, SVM_BASE, SZ_2M);
	struct xe_vm *vm = svm->vm;

	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_validate(vm, range, BIT(0), local_pagemap(test)));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(vm, range, BIT(0), NULL));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_addr_in_pagemap(range, SVM_BASE + SZ_1M,
							     local_pagemap(test)));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_addr_in_pagemap(range, SVM_BASE + SZ_1M, NULL));
	KUNIT_EXPECT_FALSE(test, xe_svm_range_needs_migrate_to_vram(range, svm->mirror,
								    local_pagemap(test)));

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
	xsvm_gpu_write(test, SVM_BASE + SZ_1M, 1);

	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_1M), 1);
	xsvm_write(test, SVM_BASE + SZ_1M, SVM_BASE + SZ_1M);
	expect_contents(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	KUNIT_EXPECT_TRUE(test, xe_svm_range_needs_migrate_to_vram(range, svm->mirror,
								   local_pagemap(test)));
}

/* Pages that were copied to VRAM by the jobs from one on. */
static unsigned long copied_to_vram(struct kunit *test, unsigned int job)
{
	struct test_copies *copies = to_copies(test);
	unsigned long npages = 0;

	for (; job < min(copies->jobs, COPY_JOBS); job++)
		if (!copies->job[job].to_ram)
			npages += copies->job[job].npages;

	return npages;
}

/* The CPU fetches a part. The GPU goes on with the rest, and gets that part again. */
static void part_there_and_back(struct kunit *test)
{
	const u64 hit = SVM_BASE + SZ_1M;
	unsigned int job;

	map_and_touch(test, SVM_BASE, SZ_2M);
	KUNIT_ASSERT_EQ(test, copied_to_vram(test, 0), SZ_2M >> PAGE_SHIFT);
	job = to_copies(test)->jobs;

	KUNIT_EXPECT_EQ(test, xsvm_read(test, hit), hit);
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, hit, hit + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, xsvm_gpu_reaches(test, SVM_BASE + SZ_2M - PAGE_SIZE,
						 SVM_BASE + SZ_2M));

	xsvm_gpu_write(test, hit, 1);
	KUNIT_EXPECT_TRUE(test, in_vram(test, hit));
	KUNIT_EXPECT_GT(test, copied_to_vram(test, job), 0);
	KUNIT_EXPECT_LT(test, copied_to_vram(test, job), SZ_1M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, hit), 1);
}

static void prefer(struct kunit *test, u32 where)
{
	struct xe_svm_fixture *svm = to_svm(test);
	const u64 end = SVM_BASE + SZ_2M;
	struct xe_tlb_inval_batch batch;
	u8 tiles;

	down_write(&svm->vm->lock);
	svm->mirror->attr.preferred_loc.devmem_fd = where;
	xe_svm_notifier_lock(svm->vm);
	tiles = xe_svm_ranges_zap_ptes_in_range(svm->vm, SVM_BASE, end);
	xe_svm_notifier_unlock(svm->vm);
	KUNIT_ASSERT_EQ(test, 0, xe_tlb_inval_range_tilemask_submit(svm->xe, svm->vm->usm.asid,
								    SVM_BASE, end, tiles,
								    &batch));
	xe_tlb_inval_batch_wait(&batch);
	up_write(&svm->vm->lock);
}

/* A part has stayed in RAM, as it was asked to. That is not for ever. */
static void rest_follows(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range = map_and_touch(test, SVM_BASE, SZ_2M);

	prefer(test, DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), SVM_BASE);
	xsvm_gpu_write(test, SVM_BASE, SVM_BASE);
	KUNIT_ASSERT_FALSE(test, in_vram(test, SVM_BASE));
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE + SZ_1M));

	/* A prefetch that comes next has something to do. */
	KUNIT_EXPECT_FALSE(test, xe_svm_range_validate(svm->vm, range, BIT(0),
						       local_pagemap(test)));

	prefer(test, DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE);
	xsvm_gpu_write(test, SVM_BASE + SZ_1M, SVM_BASE + SZ_1M);
	xsvm_gpu_write(test, SVM_BASE, SVM_BASE);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE + SZ_1M));
	expect_contents(test, SVM_BASE, SZ_2M);
}

/* What the CPU has never written to is zero, though the VRAM isn't. */
static void holes_are_zero(struct kunit *test)
{
	u64 addr;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_gpu_write(test, SVM_BASE, 0);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_64K; addr += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), 0);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE + SZ_32K), 0);
}

static void ram_is_preferred(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, 0);
}

/* Memory of files stays where it is, and is used from there. */
static void files_stay(struct kunit *test)
{
	xsvm_map_file(test, SVM_BASE, SZ_64K, SZ_64K);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));

	/* But atomics don't reach it. */
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
}

/* A write is served from RAM, if it has to be. An atomic is not. */
static void migration_fails(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	copies->err = -EIO;
	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);

	KUNIT_EXPECT_NE(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_EQ(test, to_svm(test)->vm->faults.len, 1);
	expect_contents(test, SVM_BASE, SZ_64K);

	copies->err = 0;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), SVM_BASE);
}

static void read_the_page(struct kunit *test)
{
	xsvm_read(test, SVM_BASE);
}

static int reads_left;

static void read_before_bind(struct kunit *test, struct xe_svm_range *range)
{
	if (reads_left && reads_left--)
		xsvm_meanwhile(test, read_the_page);
}

/* A page that was in VRAM is lost to the CPU before it is bound, again and again. */
static void atomic_loses_its_page(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reads_left = 5;
	svm->before_bind = read_before_bind;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	svm->before_bind = NULL;
	KUNIT_EXPECT_EQ(test, reads_left, 0);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	expect_contents(test, SVM_BASE, SZ_64K);
}

/* A write does not fight for its page. */
static void write_loses_its_page(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);
	unsigned int i, to_vram = 0;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reads_left = 2;
	to_svm(test)->before_bind = read_before_bind;
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_WRITE), 0);
	to_svm(test)->before_bind = NULL;
	for (i = 0; i < copies->jobs; i++)
		to_vram += !copies->job[i].to_ram;
	KUNIT_EXPECT_EQ(test, to_vram, 1);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	expect_contents(test, SVM_BASE, SZ_64K);
}

/* Where the user says that the CPU does the atomics, the GPU doesn't. */
static void atomics_of_the_cpu(struct kunit *test)
{
	to_svm(test)->mirror->attr.atomic_access = DRM_XE_ATOMIC_CPU;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
}

/* There is more memory than VRAM. What doesn't fit any more goes back to RAM. */
static void eviction(struct kunit *test)
{
	const u64 len = VRAM_SIZE + 2 * SZ_2M;
	u64 addr;

	xsvm_map(test, SVM_BASE, len, PROT_RW);
	xsvm_touch(test, SVM_BASE, len);
	for (addr = SVM_BASE; addr < SVM_BASE + len; addr += SZ_2M) {
		KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, addr), addr);
		KUNIT_EXPECT_TRUE(test, in_vram(test, addr));
	}
	KUNIT_EXPECT_FALSE(test, xsvm_gpu_reaches(test, SVM_BASE, SVM_BASE + SZ_2M));
	expect_contents(test, SVM_BASE, len);
}

static void remember_bo(struct xe_bo *bo)
{
	struct test_copies *copies = to_copies(kunit_get_current_test());

	dma_resv_unlock(bo->ttm.base.resv);
	if (!copies->bo && bo->flags & XE_BO_FLAG_CPU_ADDR_MIRROR)
		copies->bo = xe_bo_get(bo);
}

/* What can't be had, for whatever reason, keeps nobody from what comes after it. */
static void eviction_fails(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	kunit_activate_static_stub(test, xe_bo_unlock, remember_bo);
	map_and_touch(test, SVM_BASE, SZ_64K);
	kunit_deactivate_static_stub(test, xe_bo_unlock);
	KUNIT_ASSERT_NOT_NULL(test, copies->bo);
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE));

	copies->err = -EIO;
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(copies->bo), -EBUSY);
	copies->err = 0;
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(copies->bo), 0);
	expect_contents(test, SVM_BASE, SZ_64K);
	xe_bo_put(copies->bo);
}

/* As xe_bo_pci_dev_remove_all() does it. */
static int remove_vram(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	int err;

	xe->drm.unplugged = true;
	err = ttm_resource_manager_evict_all(&xe->ttm, ttm_manager_type(&xe->ttm, XE_PL_VRAM0));
	xe->drm.unplugged = false;

	return err;
}

/* The VRAM goes, and what was in it is in RAM. */
static void removal_brings_all_back(struct kunit *test)
{
	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	expect_contents(test, SVM_BASE, SZ_64K);
}

/* Removal ends all the same if copies fail, and only what can't be copied is lost. */
static void removal_ends_where_copies_fail(struct kunit *test)
{
	u64 value = 1;

	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE));
	to_copies(test)->err = -EIO;
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	to_copies(test)->err = 0;
	KUNIT_EXPECT_EQ(test, get_user(value, (u64 __user *)SVM_BASE), -EFAULT);
	KUNIT_EXPECT_EQ(test, value, 0);
}

/* A signal to whoever removes the device is no reason to lose anything. */
static void removal_is_not_interrupted(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE));
	allow_kernel_signal(SIGTERM);
	send_sig(SIGTERM, current, 1);
	copies->interrupts = 200;
	KUNIT_EXPECT_EQ(test, remove_vram(test), 0);
	KUNIT_EXPECT_FALSE(test, copies->signalled);
	KUNIT_EXPECT_TRUE(test, signal_pending(current));
	disallow_signal(SIGTERM);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	expect_contents(test, SVM_BASE, SZ_64K);
}

/* Part of the memory is unmapped. The rest stays where it is, if it can be mapped. */
static void partial_unmap(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int copies;

	map_and_touch(test, SVM_BASE, SZ_64K);
	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	copies = to_copies(test)->jobs;
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, evictions), 0);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, to_copies(test)->jobs, copies);
}

static void partial_unmap_of_large_pages(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	xsvm_unmap(test, SVM_BASE, PAGE_SIZE);
	xsvm_run_collector(test);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, evictions), 1);

	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + PAGE_SIZE), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE + PAGE_SIZE));
	expect_contents(test, SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
}

static void set_power(struct kunit *test, bool on)
{
	struct device *dev = to_svm(test)->xe->drm.dev;

	pm_runtime_disable(dev);
	KUNIT_EXPECT_EQ(test, 0, on ? pm_runtime_set_active(dev) : pm_runtime_set_suspended(dev));
	pm_runtime_enable(dev);
}

/* With folios locked nobody waits until the device has woken up. */
static void sleeping_device_is_not_waited_for(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = &svm->vm->svm.pagemaps[0]->dpagemap;
	struct drm_pagemap_devmem *devmem;

	set_power(test, false);
	devmem = dpagemap->ops->devmem_alloc(dpagemap, current->mm, SZ_64K, false);
	KUNIT_EXPECT_PTR_EQ(test, devmem, ERR_PTR(-EBUSY));
	KUNIT_EXPECT_TRUE(test, pm_runtime_status_suspended(svm->xe->drm.dev));
	set_power(test, true);
}

/* VRAM is saved before the system sleeps, and what comes there later would be lost. */
static void nothing_moves_to_vram_during_a_suspend(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = &svm->vm->svm.pagemaps[0]->dpagemap;

	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reinit_completion(&svm->xe->pm_block);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap->ops->devmem_alloc(dpagemap, current->mm, SZ_64K, true),
			    ERR_PTR(-EBUSY));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
	complete_all(&svm->xe->pm_block);
}

static void expect_awake(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_svm_fixture *svm = to_svm(test);

	KUNIT_EXPECT_TRUE(test, completion_done(&svm->xe->pm_block));
}

static void wake_up_later(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	unsigned long end = jiffies + 4 * HZ;

	while (READ_ONCE(svm->rounds) < 2 && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);
	complete_all(&svm->xe->pm_block);
}

/* What has to be in VRAM waits for it. */
static void atomic_during_a_suspend(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	reinit_completion(&svm->xe->pm_block);
	svm->before_bind = expect_awake;
	svm->rounds = 0;
	xsvm_start_meanwhile(test, wake_up_later);
	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	xsvm_wait_meanwhile(test);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
}

/* An eviction takes the first chance that it has. It finds an allocation without pages. */
static void evict_as_soon_as_unlocked(struct xe_bo *bo)
{
	struct kunit *test = kunit_get_current_test();

	dma_resv_unlock(bo->ttm.base.resv);
	if (!(bo->flags & XE_BO_FLAG_CPU_ADDR_MIRROR))
		return;

	to_svm(test)->rounds++;
	KUNIT_ASSERT_NOT_NULL(test, bo->devmem_allocation.ops);
	kunit_deactivate_static_stub(test, xe_bo_unlock);
	KUNIT_EXPECT_EQ(test, xe_svm_bo_evict(bo), -EBUSY);
}

static void new_memory_is_evicted(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	kunit_activate_static_stub(test, xe_bo_unlock, evict_as_soon_as_unlocked);
	svm->rounds = 0;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	expect_contents(test, SVM_BASE, SZ_64K);
}

/*
 * VRAM comes in 64K, and the CPU has used one page. An atomic gets a range of 64K, also
 * where there was a smaller one.
 */
static void atomic_on_a_small_range(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_svm_range *range;

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	svm->mirror->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM;
	xsvm_map(test, SVM_BASE, SZ_64K, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);
	range = xsvm_gpu_touch(test, SVM_BASE, GPU_READ);
	KUNIT_ASSERT_EQ(test, xe_svm_range_size(range), SZ_4K);
	KUNIT_ASSERT_FALSE(test, in_vram(test, SVM_BASE));

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), 0);
	KUNIT_EXPECT_TRUE(test, in_vram(test, SVM_BASE));
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE), 1);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_read(test, SVM_BASE + SZ_32K), 0);
	KUNIT_EXPECT_EQ(test, xe_svm_range_size(xsvm_range_at(test, SVM_BASE)), SZ_64K);
}

/* 64K of VRAM that may be written in part only are not one entry: they go to RAM. */
static void small_read_only_part(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	map_and_touch(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_WRITE), 0);
	KUNIT_ASSERT_TRUE(test, in_vram(test, SVM_BASE));
	xsvm_protect(test, SVM_BASE, SZ_4K, PROT_READ);
	KUNIT_EXPECT_EQ(test, xsvm_gpu_access(test, SVM_BASE, GPU_READ), 0);
	KUNIT_EXPECT_FALSE(test, in_vram(test, SVM_BASE));
}

/* Where there can't be one, the fault is answered so, at once. */
static void atomic_on_a_small_mapping(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	svm->xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	svm->mirror->attr.atomic_access = DRM_XE_ATOMIC_GLOBAL;
	xsvm_map(test, SVM_BASE, SZ_4K, PROT_RW);
	xsvm_write(test, SVM_BASE, 1);

	KUNIT_EXPECT_EQ(test, xsvm_fault(test, SVM_BASE, GPU_ATOMIC), -EACCES);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), 0);
	KUNIT_EXPECT_EQ(test, xsvm_read(test, SVM_BASE), 1);
}

static struct kunit_case xe_svm_pagemap_cases[] = {
	KUNIT_CASE(vm_has_the_memory_of_its_device),
	KUNIT_CASE(pagemap_is_cached),
	KUNIT_CASE(no_vram),
	KUNIT_CASE(owners),
	KUNIT_CASE(memory_of_a_vma),
	KUNIT_CASE(addresses),
	KUNIT_CASE(large_copies_are_divided),
	KUNIT_CASE(copies_leave_out),
	KUNIT_CASE(pieces_are_copied_one_by_one),
	KUNIT_CASE(copies_fail),
	KUNIT_CASE_SLOW(new_memory_is_evicted),
	KUNIT_CASE(atomic_on_a_small_range),
	KUNIT_CASE(atomic_on_a_small_mapping),
	KUNIT_CASE(small_read_only_part),
	KUNIT_CASE(there_and_back),
	KUNIT_CASE(part_there_and_back),
	KUNIT_CASE(rest_follows),
	KUNIT_CASE(holes_are_zero),
	KUNIT_CASE(ram_is_preferred),
	KUNIT_CASE(files_stay),
	KUNIT_CASE(migration_fails),
	KUNIT_CASE(atomic_loses_its_page),
	KUNIT_CASE(write_loses_its_page),
	KUNIT_CASE(atomics_of_the_cpu),
	KUNIT_CASE(eviction),
	KUNIT_CASE(eviction_fails),
	KUNIT_CASE(removal_brings_all_back),
	KUNIT_CASE(removal_is_not_interrupted),
	KUNIT_CASE(sleeping_device_is_not_waited_for),
	KUNIT_CASE(nothing_moves_to_vram_during_a_suspend),
	KUNIT_CASE(atomic_during_a_suspend),
	KUNIT_CASE(removal_ends_where_copies_fail),
	KUNIT_CASE(partial_unmap),
	KUNIT_CASE(partial_unmap_of_large_pages),
	{}
};

static struct kunit_suite xe_svm_pagemap_suite = {
	.name = "xe_svm_pagemap",
	.init = pagemap_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_pagemap_cases,
};

kunit_test_suite(xe_svm_pagemap_suite);
