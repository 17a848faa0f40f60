// SPDX-License-Identifier: MIT
/*
 * Tests of memory of processes in VRAM: who chooses which, its addresses, and copies.
 */

#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/srcu.h>

#include <drm/drm_drv.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/drm_pagemap.h>

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_svm_pagemap_fixture.h"
#include "xe_device.h"
#include "xe_svm_internal.h"
#include "xe_tile.h"
#include "xe_vm.h"
#include "xe_vram_types.h"

/* ------------------------------------------------------------------------
 * Who chooses which memory
 */

static void vm_has_the_memory_of_its_device(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct drm_pagemap *dpagemap = xsvm_local_pagemap(test);

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
	struct drm_pagemap *dpagemap = xsvm_local_pagemap(test);

	drm_pagemap_get(dpagemap);
	xsvm_close_vm(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	KUNIT_EXPECT_PTR_EQ(test, &to_svm(test)->vm->svm.pagemaps[0]->dpagemap, dpagemap);
	drm_pagemap_put(dpagemap);
}

/* What a pagemap is made of goes with the device. */
static void device_that_is_gone_has_no_memory(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	xe_svm_put_pagemaps(svm->vm);
	svm->xe->drm.unplugged = true;
	KUNIT_EXPECT_EQ(test, xe_svm_get_pagemaps(svm->vm), -ENODEV);
	KUNIT_EXPECT_NULL(test, svm->vm->svm.pagemaps[0]);
	svm->xe->drm.unplugged = false;
	KUNIT_EXPECT_EQ(test, xe_svm_get_pagemaps(svm->vm), 0);
	KUNIT_EXPECT_NOT_NULL(test, svm->vm->svm.pagemaps[0]);
}

/* Another device, with memory of which the BAR shows all. */
static struct xe_device *other_device(struct kunit *test, const char *name,
				      struct xe_vram_region *vr)
{
	struct device *dev = kunit_device_register(test, name);
	struct drm_device *drm;
	struct xe_device *xe;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	drm = __drm_kunit_helper_alloc_drm_device(test, dev, sizeof(*xe),
						  offsetof(struct xe_device, drm), DRIVER_GEM);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm);

	xe = to_xe_device(drm);
	vr->xe = xe;
	vr->usable_size = SZ_1G;
	vr->io_size = SZ_1G;
	xe->info.tile_count = 1;
	xe->tiles[0].mem.vram = vr;

	return xe;
}

/*
 * Any device is as good as the test's own, which its fixture removes: the removal of each
 * waits for whoever uses one of them.
 */
static struct xe_device *removed_device;
static bool is_removed;

static void remove_device(struct kunit *test)
{
	drm_dev_unplug(&removed_device->drm);
	WRITE_ONCE(is_removed, true);
}

/* Without anybody to wait for, a removal takes about as long as one of these. */
#define GRACE_PERIODS	5

DEFINE_STATIC_SRCU(without_readers);

/* The device goes in the midst of the creation. */
static int acquire_while_removed(struct drm_pagemap_peer *peer, bool is_vm)
{
	struct kunit *test = kunit_get_current_test();
	unsigned long deadline = jiffies + SVM_PATIENCE;
	int i;

	kunit_deactivate_static_stub(test, xe_svm_acquire_owner);
	xsvm_start_meanwhile(test, remove_device);
	while (!drm_dev_is_unplugged(&removed_device->drm) && time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);
	for (i = 0; i < GRACE_PERIODS && !READ_ONCE(is_removed); i++)
		synchronize_srcu(&without_readers);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(is_removed));

	return xe_svm_acquire_owner(peer, is_vm);
}

/* What is made for it when the device goes would be left over. */
static void removal_waits_for_new_memory(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vram_region vr = {};

	/* A cache of its own has no pagemap yet. */
	xe_svm_put_pagemaps(svm->vm);
	KUNIT_ASSERT_EQ(test, 0, xe_pagemap_cache_create(xe_device_get_root_tile(svm->xe)));
	removed_device = other_device(test, "removed", &vr);
	is_removed = false;
	kunit_activate_static_stub(test, xe_svm_acquire_owner, acquire_while_removed);
	KUNIT_EXPECT_EQ(test, xe_svm_get_pagemaps(svm->vm), 0);
	KUNIT_EXPECT_NOT_NULL(test, svm->vm->svm.pagemaps[0]);
	KUNIT_ASSERT_NOT_NULL(test, svm->meanwhile);
	xsvm_wait_meanwhile(test);
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

static bool are_connected(struct device *a, struct device *b)
{
	return true;
}

static struct xe_pagemap *acquire_pagemap(struct kunit *test, struct xe_vram_region *vr)
{
	struct xe_pagemap *xpagemap = kunit_kzalloc(test, sizeof(*xpagemap), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, xpagemap);
	xpagemap->vr = vr;
	xpagemap->dpagemap.drm = &vr->xe->drm;
	KUNIT_ASSERT_EQ(test, xe_svm_acquire_owner(&xpagemap->peer, false), 0);
	KUNIT_EXPECT_NOT_NULL(test, xpagemap->peer.owner);

	return xpagemap;
}

static struct xe_vm *acquire_vm(struct kunit *test, struct xe_device *xe)
{
	struct xe_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm->xe = xe;
	KUNIT_ASSERT_EQ(test, xe_svm_acquire_owner(&vm->svm.peer, true), 0);

	return vm;
}

/* Devices that can't reach each other don't share pages, those of one device do. */
static void owners(struct kunit *test)
{
	void *owner = to_svm(test)->vm->svm.peer.owner;
	struct xe_pagemap *other, *same;
	struct xe_vram_region vr = {};

	other_device(test, "other", &vr);
	other = acquire_pagemap(test, &vr);
	KUNIT_EXPECT_PTR_NE(test, other->peer.owner, owner);
	drm_pagemap_release_owner(&other->peer);

	vr.xe = to_svm(test)->xe;
	same = acquire_pagemap(test, &vr);
	KUNIT_EXPECT_PTR_EQ(test, same->peer.owner, owner);
	drm_pagemap_release_owner(&same->peer);
}

/* Those that can do, unless there is memory behind the end of a BAR. */
static void owners_that_reach_each_other(struct kunit *test)
{
	void *owner = to_svm(test)->vm->svm.peer.owner;
	struct xe_vram_region vr = {};
	struct xe_pagemap *other;

	kunit_activate_static_stub(test, xe_svm_devices_are_connected, are_connected);
	other_device(test, "other", &vr);
	other = acquire_pagemap(test, &vr);
	KUNIT_EXPECT_PTR_EQ(test, other->peer.owner, owner);
	drm_pagemap_release_owner(&other->peer);

	vr.io_size = SZ_256M;
	other = acquire_pagemap(test, &vr);
	KUNIT_EXPECT_PTR_NE(test, other->peer.owner, owner);
	drm_pagemap_release_owner(&other->peer);
}

/* Whoever was there first, a VM is to use the memory of its own device in place. */
static void vm_and_its_memory_have_one_owner(struct kunit *test)
{
	struct xe_vram_region small = {}, large = {};
	struct xe_pagemap *of_large, *of_small;
	struct xe_vm *first, *vm;

	kunit_activate_static_stub(test, xe_svm_devices_are_connected, are_connected);
	other_device(test, "large", &large);
	other_device(test, "small", &small);
	small.io_size = SZ_256M;

	first = acquire_vm(test, large.xe);
	of_large = acquire_pagemap(test, &large);
	vm = acquire_vm(test, small.xe);
	of_small = acquire_pagemap(test, &small);
	KUNIT_EXPECT_PTR_EQ(test, first->svm.peer.owner, of_large->peer.owner);
	KUNIT_EXPECT_PTR_EQ(test, vm->svm.peer.owner, of_small->peer.owner);
	KUNIT_EXPECT_PTR_NE(test, vm->svm.peer.owner, first->svm.peer.owner);

	drm_pagemap_release_owner(&of_small->peer);
	drm_pagemap_release_owner(&vm->svm.peer);
	drm_pagemap_release_owner(&of_large->peer);
	drm_pagemap_release_owner(&first->svm.peer);
}

static void memory_of_a_vma(struct kunit *test)
{
	struct xe_vma_preferred_loc *loc = &to_svm(test)->mirror->attr.preferred_loc;
	struct xe_tile *tile = xe_device_get_root_tile(to_svm(test)->xe);
	struct xe_vma *vma = to_svm(test)->mirror;
	struct drm_pagemap named = {};

	KUNIT_EXPECT_PTR_EQ(test, xe_vma_resolve_pagemap(vma, tile), xsvm_local_pagemap(test));

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
	struct drm_pagemap *dpagemap = xsvm_local_pagemap(test);
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
	struct drm_pagemap *dpagemap = xsvm_local_pagemap(test);
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

static struct kunit_case xe_svm_pagemap_cases[] = {
	KUNIT_CASE(vm_has_the_memory_of_its_device),
	KUNIT_CASE(pagemap_is_cached),
	KUNIT_CASE(device_that_is_gone_has_no_memory),
	KUNIT_CASE(removal_waits_for_new_memory),
	KUNIT_CASE(no_vram),
	KUNIT_CASE(owners),
	KUNIT_CASE(owners_that_reach_each_other),
	KUNIT_CASE(vm_and_its_memory_have_one_owner),
	KUNIT_CASE(memory_of_a_vma),
	KUNIT_CASE(addresses),
	KUNIT_CASE(large_copies_are_divided),
	KUNIT_CASE(copies_leave_out),
	KUNIT_CASE(pieces_are_copied_one_by_one),
	KUNIT_CASE(copies_fail),
	{}
};

static struct kunit_suite xe_svm_pagemap_suite = {
	.name = "xe_svm_pagemap",
	.init = xsvm_pagemap_init,
	.exit = xe_svm_fixture_exit,
	.test_cases = xe_svm_pagemap_cases,
};

kunit_test_suite(xe_svm_pagemap_suite);
