// SPDX-License-Identifier: MIT
/*
 * What the tests of memory of processes in VRAM share: a device that has some. The
 * VRAM is RAM, and copies are made by the CPU.
 */

#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include <drm/drm_pagemap.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include "tests/xe_pci_test.h"
#include "tests/xe_svm_pagemap_fixture.h"
#include "xe_bo.h"
#include "xe_device.h"
#include "xe_exec_queue_types.h"
#include "xe_migrate.h"
#include "xe_res_cursor.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_ttm_sys_mgr.h"
#include "xe_ttm_vram_mgr.h"
#include "xe_vram.h"
#include "xe_vram_types.h"

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

	svm->gpu.vram = xsvm_vmalloc(test, VRAM_SIZE);
	svm->gpu.vram_base = VRAM_DPA;
	init_copies(test);

	xsvm_init_registers(test);
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

int xsvm_pagemap_init(struct kunit *test)
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

struct drm_pagemap *xsvm_local_pagemap(struct kunit *test)
{
	return xe_tile_local_pagemap(xe_device_get_root_tile(to_svm(test)->xe));
}

bool xsvm_in_vram(struct kunit *test, u64 addr)
{
	return xsvm_gpu_pte(test, addr) & GPU_PTE_VRAM;
}

void xsvm_expect_contents(struct kunit *test, u64 addr, u64 len)
{
	u64 end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, xsvm_read(test, addr), addr);
}

static void remember_bo(struct xe_bo *bo)
{
	struct test_copies *copies = to_copies(kunit_get_current_test());

	dma_resv_unlock(bo->ttm.base.resv);
	if (!copies->bo && bo->flags & XE_BO_FLAG_CPU_ADDR_MIRROR)
		copies->bo = xe_bo_get(bo);
}

/* Returns what the memory is in, with a reference. */
struct xe_bo *xsvm_bring_to_object(struct kunit *test)
{
	struct test_copies *copies = to_copies(test);

	kunit_activate_static_stub(test, xe_bo_unlock, remember_bo);
	xsvm_map_and_touch(test, SVM_BASE, SZ_64K);
	kunit_deactivate_static_stub(test, xe_bo_unlock);
	KUNIT_ASSERT_NOT_NULL(test, copies->bo);
	KUNIT_ASSERT_TRUE(test, xsvm_in_vram(test, SVM_BASE));

	return copies->bo;
}
