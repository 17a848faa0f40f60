// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: the functions one by one, what they refer to and what
 * they return.
 */

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_pagemap_util.h>
#include <drm/drm_print.h>

#include "drm_pagemap_fixture.h"

/*
 * A device of its own, of a driver that can go
 */

/* Not a module that could be loaded, but as much of one as counts references. */
static struct module gpu_module = {
	.name = "gpu",
};

static const struct file_operations gpu_fops = {
	.owner = &gpu_module,
};

static const struct drm_driver gpu_driver = {
	.name = "gpu",
	.fops = &gpu_fops,
};

struct gpu {
	struct drm_device *drm;
	struct drm_pagemap_ops ops;
};

/* There is one at a time. The pagemap is in the test's hands. */
static struct {
	int calls;
	bool atomic;
	struct drm_pagemap *dpagemap;
} destroyed;

static void count_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	destroyed.calls++;
	destroyed.atomic = is_atomic_or_reclaim;
	destroyed.dpagemap = dpagemap;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_drm, drm_dev_put, struct drm_device *);

static void gpu_module_init(void)
{
	gpu_module.state = MODULE_STATE_LIVE;
#ifdef CONFIG_MODULE_UNLOAD
	atomic_set(&gpu_module.refcnt, 1);
#endif
}

static struct gpu *gpu_create(struct kunit *test)
{
	struct gpu *gpu = kunit_kzalloc(test, sizeof(*gpu), GFP_KERNEL);
	struct device *dev;

	KUNIT_ASSERT_NOT_NULL(test, gpu);
	gpu_module_init();
	gpu->ops = vram_ops;
	gpu->ops.destroy = count_destroy;
	memset(&destroyed, 0, sizeof(destroyed));

	dev = root_device_register("gpu");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->dma_mask = &dev->coherent_dma_mask;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	gpu->drm = drm_dev_alloc(&gpu_driver, dev);
	root_device_unregister(dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gpu->drm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_drm, gpu->drm));

	return gpu;
}

static int gpu_module_refs(void)
{
#ifdef CONFIG_MODULE_UNLOAD
	return atomic_read(&gpu_module.refcnt) - 1;
#else
	return 0;
#endif
}

static int gpu_refs(struct gpu *gpu)
{
	return kref_read(&gpu->drm->ref) - 1;
}

/* References are put by a work item. */
static void expect_gpu_refs(struct kunit *test, struct gpu *gpu, int refs)
{
	KUNIT_EXPECT_TRUE(test, svm_wait_until(gpu_refs(gpu) == refs));
	if (IS_ENABLED(CONFIG_MODULE_UNLOAD))
		KUNIT_EXPECT_TRUE(test, svm_wait_until(gpu_module_refs() == refs));
}

/*
 * References
 */

static void pagemap_holds_device_and_module(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap dpagemap;
	int i;

	memset(&dpagemap, 0xff, sizeof(dpagemap));
	KUNIT_ASSERT_EQ(test, 0, drm_pagemap_init(&dpagemap, &vrams[0].pagemap, gpu->drm,
						  &gpu->ops));
	KUNIT_EXPECT_PTR_EQ(test, dpagemap.ops, &gpu->ops);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap.pagemap, &vrams[0].pagemap);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap.drm, gpu->drm);
	KUNIT_EXPECT_NULL(test, dpagemap.cache);
	KUNIT_EXPECT_TRUE(test, list_empty(&dpagemap.shrink_link));
	KUNIT_EXPECT_EQ(test, kref_read(&dpagemap.ref), 1);
	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		KUNIT_EXPECT_EQ(test, atomic64_read(&dpagemap.stats[i]), 0);
	expect_gpu_refs(test, gpu, 1);

	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_get(&dpagemap), &dpagemap);
	drm_pagemap_put(&dpagemap);
	KUNIT_EXPECT_EQ(test, destroyed.calls, 0);
	expect_gpu_refs(test, gpu, 1);

	drm_pagemap_put(&dpagemap);
	KUNIT_EXPECT_EQ(test, destroyed.calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, destroyed.dpagemap, &dpagemap);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_unless_zero(&dpagemap));
	expect_gpu_refs(test, gpu, 0);
}

static void pagemap_without_destroy_is_freed(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap *dpagemap;

	gpu->ops.destroy = NULL;
	dpagemap = drm_pagemap_create(gpu->drm, &vrams[0].pagemap, &gpu->ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	KUNIT_EXPECT_EQ(test, kref_read(&dpagemap->ref), 1);
	expect_gpu_refs(test, gpu, 1);
	drm_pagemap_put(dpagemap);
	expect_gpu_refs(test, gpu, 0);
}

static void no_pagemap_is_fine(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, drm_pagemap_get(NULL));
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_unless_zero(NULL));
	drm_pagemap_put(NULL);
}

/* A cache brings pagemaps back to life, maybe before the old hold is gone. */
static void pagemap_lives_again(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap dpagemap;
	int i;

	KUNIT_ASSERT_EQ(test, 0, drm_pagemap_init(&dpagemap, &vrams[0].pagemap, gpu->drm,
						  &gpu->ops));
	for (i = 1; i <= 3; i++) {
		drm_pagemap_put(&dpagemap);
		KUNIT_EXPECT_EQ(test, destroyed.calls, i);
		KUNIT_ASSERT_EQ(test, 0, drm_pagemap_reinit(&dpagemap));
		KUNIT_EXPECT_EQ(test, kref_read(&dpagemap.ref), 1);
		KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_get_unless_zero(&dpagemap), &dpagemap);
		drm_pagemap_put(&dpagemap);
		expect_gpu_refs(test, gpu, 1);
	}
	drm_pagemap_put(&dpagemap);
	expect_gpu_refs(test, gpu, 0);
}

/* A device that is unplugged frees its pagemap at once, and its cache must not look. */
static void cache_forgets_what_is_freed(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap_shrinker *shrinker;
	struct drm_pagemap_cache *cache;
	struct drm_pagemap *dpagemap;

	gpu->ops.destroy = NULL;
	shrinker = drm_pagemap_shrinker_create_devm(gpu->drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shrinker);
	cache = drm_pagemap_cache_create_devm(shrinker);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cache);
	dpagemap = drm_pagemap_create(gpu->drm, &vrams[0].pagemap, &gpu->ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);

	KUNIT_ASSERT_EQ(test, drm_pagemap_cache_lock_lookup(cache), 0);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache(cache));
	drm_pagemap_cache_set_pagemap(cache, dpagemap);

	/* Unused, and used again */
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache_if_active(cache));
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_get_from_cache(cache), dpagemap);

	gpu->drm->unplugged = true;
	drm_pagemap_put(dpagemap);
	gpu->drm->unplugged = false;
	expect_gpu_refs(test, gpu, 0);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache_if_active(cache));
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache(cache));
	drm_pagemap_cache_unlock_lookup(cache);
}

static void destroy_is_told_its_context(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap dpagemap = { .ops = &gpu->ops };

	drm_pagemap_destroy(&dpagemap, false);
	KUNIT_EXPECT_FALSE(test, destroyed.atomic);
	drm_pagemap_destroy(&dpagemap, true);
	KUNIT_EXPECT_TRUE(test, destroyed.atomic);
	KUNIT_EXPECT_EQ(test, destroyed.calls, 2);
}

/* A module that is being unloaded can't be held, and is not put either. */
static void driver_that_goes_is_refused(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap dpagemap;

	if (!IS_ENABLED(CONFIG_MODULE_UNLOAD))
		kunit_skip(test, "modules can't go");

	KUNIT_ASSERT_EQ(test, 0, drm_pagemap_init(&dpagemap, &vrams[0].pagemap, gpu->drm,
						  &gpu->ops));
	drm_pagemap_put(&dpagemap);
	expect_gpu_refs(test, gpu, 0);

	gpu_module.state = MODULE_STATE_GOING;
	KUNIT_EXPECT_EQ(test, drm_pagemap_reinit(&dpagemap), -ENODEV);
	KUNIT_EXPECT_EQ(test, drm_pagemap_init(&dpagemap, &vrams[0].pagemap, gpu->drm,
					       &gpu->ops), -ENODEV);
	KUNIT_EXPECT_EQ(test, PTR_ERR(drm_pagemap_create(gpu->drm, &vrams[0].pagemap,
							 &gpu->ops)), -ENODEV);
	expect_gpu_refs(test, gpu, 0);
}

/* Pages that a process has keep what they need: pagemap, device and module. */
static void pages_hold_the_pagemap(struct kunit *test)
{
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap *dpagemap;
	struct vram_spot spot;

	gpu->ops.destroy = NULL;
	dpagemap = drm_pagemap_create(gpu->drm, &vrams[0].pagemap, &gpu->ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(dpagemap, SVM_BASE, SVM_BASE + SZ_64K,
						      current->mm, 0), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&dpagemap->ref), 2);
	spot = vram_spot(current->mm, SVM_BASE + SZ_16K);
	KUNIT_ASSERT_EQ(test, spot.place, VRAM_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_page_to_dpagemap(spot.page), dpagemap);
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_page_zone_device_data(spot.page)->dpagemap,
			    dpagemap);
	drm_pagemap_put(dpagemap);
	expect_gpu_refs(test, gpu, 1);

	vram_expect(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
	expect_gpu_refs(test, gpu, 0);
}

/*
 * An allocation
 */

static void devmem_starts_empty(struct kunit *test)
{
	struct drm_pagemap *dpagemap = vrams[0].dpagemap;
	struct device *dev = svm_drm_device(0)->dev;
	struct dma_fence *fence = vram_fence_create(test);
	struct drm_pagemap_devmem devmem;

	memset(&devmem, 0xff, sizeof(devmem));
	drm_pagemap_devmem_init(&devmem, dev, current->mm, &vram_submit_ops, dpagemap, SZ_64K,
				fence);
	KUNIT_EXPECT_PTR_EQ(test, devmem.dev, dev);
	KUNIT_EXPECT_PTR_EQ(test, devmem.mm, current->mm);
	KUNIT_EXPECT_PTR_EQ(test, devmem.ops, &vram_submit_ops);
	KUNIT_EXPECT_PTR_EQ(test, devmem.dpagemap, dpagemap);
	KUNIT_EXPECT_EQ(test, devmem.size, SZ_64K);
	KUNIT_EXPECT_PTR_EQ(test, devmem.pre_migrate_fence, fence);
	KUNIT_EXPECT_EQ(test, devmem.fault_window, DRM_PAGEMAP_FAULT_WINDOW);
	KUNIT_EXPECT_EQ(test, devmem.timeslice_expiration, 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&devmem.detached));
	KUNIT_EXPECT_EQ(test, kref_read(&dpagemap->ref), 1);
	KUNIT_EXPECT_EQ(test, kref_read(&fence->refcount), 1);
}

/*
 * What moving memory returns. Whatever that is, the allocation is consumed.
 */

struct refusal {
	const char *name;
	unsigned long addr;
	unsigned long len;
	size_t size;
	int err;
	void (*prepare)(struct kunit *test);
};

static struct drm_pagemap_devmem_ops broken_ops;

static void no_list(struct kunit *test)
{
	broken_ops.populate_devmem_pfn = NULL;
	vrams[0].rules.ops = &broken_ops;
}

static void no_way_in(struct kunit *test)
{
	broken_ops.submit_to_devmem = NULL;
	vrams[0].rules.ops = &broken_ops;
}

static void no_way_out(struct kunit *test)
{
	broken_ops.submit_to_ram = NULL;
	vrams[0].rules.ops = &broken_ops;
}

static void list_fails(struct kunit *test)
{
	vrams[0].rules.populate_err = -EIO;
}

/* Not to be mistaken for memory that can't move. */
static void list_is_invalid(struct kunit *test)
{
	vrams[0].rules.populate_err = -EINVAL;
}

static void submit_fails(struct kunit *test)
{
	vrams[0].rules.submit_err = -ECANCELED;
}

static void waiting_copy_fails(struct kunit *test)
{
	vrams[0].rules.ops = &vram_waiting_ops;
	vrams[0].rules.submit_err = -EREMOTEIO;
}

static int fail_copy(struct vram_copy *copy)
{
	return -EIO;
}

static void fence_fails(struct kunit *test)
{
	vrams[0].rules.copy = fail_copy;
}

/* At SVM_BASE there are 64K of memory, behind them 64K of a file, then nothing. */
static const struct refusal refusals[] = {
	{ "no list of pages", SVM_BASE, SZ_64K, SZ_64K, -EOPNOTSUPP, no_list },
	{ "no copy to devmem", SVM_BASE, SZ_64K, SZ_64K, -EOPNOTSUPP, no_way_in },
	{ "no copy to RAM", SVM_BASE, SZ_64K, SZ_64K, -EOPNOTSUPP, no_way_out },
	{ "no VMA", SVM_BASE + SZ_128K, SZ_64K, SZ_64K, -ENOENT },
	{ "end of VMA", SVM_BASE + SZ_32K, SZ_64K, SZ_64K, -EINVAL },
	{ "nothing to do", SVM_BASE, 0, SZ_64K, -EINVAL },
	{ "more than there is", SVM_BASE, SZ_64K, SZ_32K, -EINVAL },
	{ "a file", SVM_BASE + SZ_64K, SZ_64K, SZ_64K, -EBUSY },
	{ "list fails", SVM_BASE, SZ_64K, SZ_64K, -EIO, list_fails },
	{ "submit fails", SVM_BASE, SZ_64K, SZ_64K, -ECANCELED, submit_fails },
	{ "waiting copy fails", SVM_BASE, SZ_64K, SZ_64K, -EREMOTEIO, waiting_copy_fails },
	{ "fence has an error", SVM_BASE, SZ_64K, SZ_64K, -EIO, fence_fails },
};

KUNIT_ARRAY_PARAM_DESC(refusal, refusals, name);

static void map_memory_and_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("svm", SZ_64K, EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, SVM_BASE + SZ_64K, SZ_64K, RW, MAP_SHARED);
	fput(file);
	vram_map_filled(test, SVM_BASE, SZ_64K);
	vram_fill(test, SVM_BASE + SZ_64K, SZ_64K);
}

static void refusal_consumes_the_allocation(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	struct vram_rules rules = vrams[0].rules;

	map_memory_and_file(test);
	broken_ops = vram_submit_ops;
	if (r->prepare)
		r->prepare(test);
	vrams[0].rules.pre_fence = vram_fence_create(test);
	dma_fence_signal(vrams[0].rules.pre_fence);
	KUNIT_EXPECT_EQ(test, vram_migrate(test,
					   vram_bo_create(vrams[0].dpagemap, current->mm,
							  r->size),
					   r->addr, r->len), r->err);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
	KUNIT_EXPECT_EQ(test, vrams[0].used, 0);
	vram_flush();
	KUNIT_EXPECT_EQ(test, kref_read(&vrams[0].rules.pre_fence->refcount), 1);
	KUNIT_EXPECT_EQ(test, kref_read(&vrams[0].dpagemap->ref), 1);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_DEVMEM), 0);
	svm_expect_unmapped(test);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE + SZ_64K, SZ_64K);

	/* It was nothing that lasts. */
	vrams[0].rules = rules;
	KUNIT_EXPECT_EQ(test, vram_migrate(test,
					   vram_bo_create(vrams[0].dpagemap, current->mm,
							  SZ_64K),
					   SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/*
 * What populating returns
 */

static int no_memory(struct vram *vram, size_t size, bool may_wait)
{
	return -ENOMEM;
}

static int no_space(struct vram *vram, size_t size, bool may_wait)
{
	return may_wait ? -ENOSPC : -EBUSY;
}

static void alloc_fails(struct kunit *test)
{
	vrams[0].rules.alloc = no_memory;
}

static void device_is_full(struct kunit *test)
{
	vrams[0].rules.alloc = no_space;
}

/* Pages come in 64K, and nobody looks at how many were asked for. */
static struct drm_pagemap_devmem *alloc_too_much(struct drm_pagemap *dpagemap,
						 struct mm_struct *mm, size_t size,
						 bool may_wait)
{
	struct vram_bo *bo = vram_bo_create(dpagemap, mm, ALIGN(size + 1, SZ_64K));

	return IS_ERR(bo) ? ERR_CAST(bo) : &bo->devmem;
}

static void device_is_generous(struct kunit *test)
{
	static const struct drm_pagemap_ops generous = { .devmem_alloc = alloc_too_much };

	vrams[0].dpagemap->ops = &generous;
}

/* Half of what is asked for. Behind it are pages that nobody has. */
static struct drm_pagemap_devmem *alloc_too_little(struct drm_pagemap *dpagemap,
						   struct mm_struct *mm, size_t size,
						   bool may_wait)
{
	struct vram_bo *bo = vram_bo_create(dpagemap, mm, size / 2);

	if (IS_ERR(bo))
		return ERR_CAST(bo);
	bo->devmem.first_pfn = PHYS_PFN(dpagemap->pagemap->range.start) + bo->page[0];

	return &bo->devmem;
}

static void device_is_stingy(struct kunit *test)
{
	static const struct drm_pagemap_ops stingy = { .devmem_alloc = alloc_too_little };

	vrams[0].dpagemap->ops = &stingy;
}

static void nothing_implemented(struct kunit *test)
{
	static const struct drm_pagemap_ops nothing = {};

	vrams[0].dpagemap->ops = &nothing;
}

static const struct refusal populate_refusals[] = {
	{ "nothing to do", SVM_BASE, 0, 0, -EINVAL },
	{ "backwards", SVM_BASE + SZ_64K, -SZ_64K, 0, -EINVAL },
	{ "start not aligned", SVM_BASE + 8, SZ_64K - 8, 0, -EINVAL },
	{ "end not aligned", SVM_BASE, SZ_64K - 8, 0, -EINVAL },
	{ "no VMA", SVM_BASE + SZ_1M, SZ_64K, 0, -ENOENT },
	{ "a file", SVM_BASE + SZ_64K, SZ_64K, 0, -EBUSY },
	{ "no op", SVM_BASE, SZ_64K, 0, -EOPNOTSUPP, nothing_implemented },
	{ "too much", SVM_BASE, SZ_64K, 0, -EINVAL, device_is_generous },
	{ "too little", SVM_BASE, SZ_64K, 0, -EINVAL, device_is_stingy },
	{ "no copy to devmem", SVM_BASE, SZ_64K, 0, -EOPNOTSUPP, no_way_in },
	{ "no memory", SVM_BASE, SZ_64K, 0, -ENOMEM, alloc_fails },
	{ "no space", SVM_BASE, SZ_64K, 0, -ENOSPC, device_is_full },
	{ "list fails", SVM_BASE, SZ_64K, 0, -EIO, list_fails },
	{ "list is invalid", SVM_BASE, SZ_64K, 0, -EINVAL, list_is_invalid },
	{ "submit fails", SVM_BASE, SZ_64K, 0, -ECANCELED, submit_fails },
	{ "waiting copy fails", SVM_BASE, SZ_64K, 0, -EREMOTEIO, waiting_copy_fails },
	{ "fence has an error", SVM_BASE, SZ_64K, 0, -EIO, fence_fails },
};

KUNIT_ARRAY_PARAM_DESC(populate_refusal, populate_refusals, name);

static void populate_tells_why_not(struct kunit *test)
{
	const struct refusal *r = test->param_value;
	struct drm_pagemap_migrate_stats stats = {};
	struct drm_pagemap_migrate_details details = { .stats = &stats };
	struct vram_rules rules = vrams[0].rules;

	map_memory_and_file(test);
	broken_ops = vram_submit_ops;
	if (r->prepare)
		r->prepare(test);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[0], r->addr, r->len), r->err);
	KUNIT_EXPECT_EQ(test, vram_populate_stats(test, &vrams[0], r->addr, r->len, &details),
			r->err);
	KUNIT_EXPECT_EQ(test, stats.moved, 0);
	KUNIT_EXPECT_EQ(test, stats.resident, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&vrams[0].dpagemap->ref), 1);
	svm_expect_unmapped(test);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE + SZ_64K, SZ_64K);

	vrams[0].rules = rules;
	vrams[0].dpagemap->ops = &vram_ops;
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[0], SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
}

static void process_that_has_gone_has_no_memory(struct kunit *test)
{
	struct mm_struct *mm = svm_fork(test);
	struct vram *vram = &vrams[0];

	mmgrab(mm);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&mm->mm_users) == 1));
	mmput(mm);
	KUNIT_EXPECT_EQ(test, atomic_read(&mm->mm_users), 0);
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(vram->dpagemap, SVM_BASE,
						      SVM_BASE + SZ_64K, mm, 0), -EFAULT);
	vram->dpagemap->ops = &vram_ops_by_provider;
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(vram->dpagemap, SVM_BASE,
						      SVM_BASE + SZ_64K, mm, 0), -EFAULT);
	mmdrop(mm);
}

static void unplugged_device_gets_nothing(struct kunit *test)
{
	const struct drm_pagemap_migrate_details details = {};
	struct gpu *gpu = gpu_create(test);
	struct drm_pagemap *dpagemap;
	struct vram_bo *bo;

	gpu->ops.destroy = NULL;
	dpagemap = drm_pagemap_create(gpu->drm, &vrams[0].pagemap, &gpu->ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	vram_map_filled(test, SVM_BASE, SZ_128K);
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(dpagemap, SVM_BASE, SVM_BASE + SZ_64K,
						      current->mm, 0), 0);
	drm_dev_unplug(gpu->drm);
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(dpagemap, SVM_BASE + SZ_64K,
						      SVM_BASE + SZ_128K, current->mm, 0),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_range(dpagemap, SVM_BASE + SZ_64K,
							 SVM_BASE + SZ_128K, current->mm,
							 &details), -ENODEV);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 1);

	/* What is there comes back, and then nothing holds the device. */
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	bo = vram_oldest(&vrams[0]);
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_to_ram(&bo->devmem), 0);
	vram_bo_put(bo);
	vram_expect_in_ram(test, SVM_BASE, SZ_128K);
	drm_pagemap_put(dpagemap);
	expect_gpu_refs(test, gpu, 0);
}

/*
 * Each way to populate, and each kind of copy
 */

struct provider {
	const char *name;
	const struct drm_pagemap_ops *ops;
	const struct drm_pagemap_devmem_ops *devmem_ops;
};

static const struct provider providers[] = {
	{ "core, fences", &vram_ops, &vram_submit_ops },
	{ "core, waiting", &vram_ops, &vram_waiting_ops },
	{ "core, done at once", &vram_ops, &vram_instant_ops },
	{ "provider, fences", &vram_ops_by_provider, &vram_submit_ops },
	{ "provider, waiting", &vram_ops_by_provider, &vram_waiting_ops },
};

KUNIT_ARRAY_PARAM_DESC(provider, providers, name);

static void memory_goes_and_comes(struct kunit *test)
{
	const struct provider *p = test->param_value;
	struct vram *vram = &vrams[0];
	s64 npages = SZ_64K >> PAGE_SHIFT;

	vram->dpagemap->ops = p->ops;
	vram->rules.ops = p->devmem_ops;
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_TO_DEVMEM), npages);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_LEFT), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_FAILED), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vram->seen.pages[false]), npages);
	svm_expect_unmapped(test);

	vram_expect(test, SVM_BASE, SZ_64K);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_TO_RAM), npages);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_CPU_FAULTS), 1);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_EVICTED), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
	svm_expect_unmapped(test);
}

/*
 * A provider that fills its allocations itself, and knows them as wholes
 */

static void allocation_comes_back_as_a_whole(struct kunit *test)
{
	static const size_t sizes[] = { SZ_2M, SZ_64K + SZ_32K };
	struct vram *vram = &vrams[0];
	int i;

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_2M);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_ASSERT_EQ(test, vram_populate(test, vram, SVM_BASE, sizes[i]), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
		svm_read(test, SVM_BASE + SZ_32K);
		KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_CPU_FAULTS), i + 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
		vram_expect_in_ram(test, SVM_BASE, sizes[i]);
	}
}

/* The window of the first one, a power of two, is larger than itself. */
static void allocation_comes_back_without_others(struct kunit *test)
{
	unsigned long rest = SVM_BASE + SZ_32K + SZ_16K;
	struct vram *vram = &vrams[0];

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_32K + SZ_16K), 0);
	KUNIT_ASSERT_EQ(test, vram_populate(test, vram, rest, SZ_16K), 0);
	svm_read(test, SVM_BASE);
	vram_expect_in(test, vram, rest, SZ_16K);
	vram_expect_in_ram(test, SVM_BASE, SZ_32K + SZ_16K);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_CPU_FAULTS), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
	vram_expect(test, rest, SZ_16K);
}

/* Of 2M, 64K are in an allocation. With one more there would be two for 2M. */
static void memory_is_not_spread_over_allocations(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct vram_bo *bo;
	u64 expiration;

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_2M);
	KUNIT_ASSERT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	bo = vram_oldest(vram);
	expiration = bo->devmem.timeslice_expiration;
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(vram->dpagemap, SVM_BASE,
						      SVM_BASE + SZ_2M, current->mm, 1000),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_2M), SZ_64K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 1);
	/* It is in the way: nobody has to wait before it goes. */
	KUNIT_EXPECT_EQ(test, bo->devmem.timeslice_expiration, expiration);

	/* Where all is there already, there is nothing to do. */
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_32K), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);

	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_to_ram(&bo->devmem), 0);
	vram_bo_put(bo);
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_2M), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
	vram_expect_in(test, vram, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
}

/* Before anything is copied, and not only once it turns out that something is left. */
static void pinned_page_keeps_all_of_an_allocation_back(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct page *page;

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_EQ(test, pin_user_pages_fast(SVM_BASE + SZ_32K, 1,
						  FOLL_WRITE | FOLL_LONGTERM, &page), 1);
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), -EBUSY);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_LEFT), SZ_64K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
	unpin_user_page(page);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);

	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

static void set_userfaultfd(struct kunit *test, unsigned long addr, bool on)
{
	struct vm_area_struct *vma;

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (!vma)
		KUNIT_FAIL(test, "no memory at %#lx", addr);
	else if (on)
		vm_flags_set(vma, VM_UFFD_MISSING);
	else
		vm_flags_clear(vma, VM_UFFD_MISSING);
	mmap_write_unlock(current->mm);
}

/* The MM would not let a device fill it, which it says after the copy. */
static void hole_of_a_userfaultfd_keeps_an_allocation_back(struct kunit *test)
{
	struct vram *vram = &vrams[0];

	if (!IS_ENABLED(CONFIG_USERFAULTFD))
		kunit_skip(test, "needs CONFIG_USERFAULTFD");

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_64K);
	svm_discard(test, SVM_BASE + SZ_32K, SZ_32K);
	set_userfaultfd(test, SVM_BASE, true);
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), -EBUSY);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
	set_userfaultfd(test, SVM_BASE, false);

	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_32K);
}

/* Who counts what became of the pages gets the rest, too. */
static void memory_is_spread_on_request(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats = {};
	struct vram *vram = &vrams[0];

	vram->dpagemap->ops = &vram_ops_by_provider;
	vram_map_filled(test, SVM_BASE, SZ_128K);
	KUNIT_ASSERT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, vram_migrate_stats(test, vram_bo_create(vram->dpagemap, current->mm,
								      SZ_128K),
						 SVM_BASE, SZ_128K, &stats), 0);
	KUNIT_EXPECT_EQ(test, stats.moved, SZ_64K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, stats.resident, SZ_64K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 2);
	vram_expect_in(test, vram, SVM_BASE, SZ_128K);
	vram_expect(test, SVM_BASE, SZ_128K);
}

/*
 * Counters, for people
 */

static void debugfs_prints_each_counter(struct kunit *test)
{
	char *text = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	struct drm_print_iterator iter = { .data = text, .remain = SZ_4K - 1 };
	struct drm_printer p = drm_coredump_printer(&iter);
	struct vram *vram = &vrams[0];
	char number[32], *line;
	int i, lines = 0;

	KUNIT_ASSERT_NOT_NULL(test, text);
	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++)
		atomic64_set(&vram->dpagemap->stats[i], 1000000000000LL + i);
	drm_pagemap_debugfs_info(vram->dpagemap, &p);

	for (line = text; (line = strchr(line, '\n')); line++)
		lines++;
	KUNIT_EXPECT_EQ(test, lines, DRM_PAGEMAP_STAT_COUNT);
	for (i = 0; i < DRM_PAGEMAP_STAT_COUNT; i++) {
		snprintf(number, sizeof(number), " %lld\n", 1000000000000LL + i);
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, number), "%d", i);
	}
	KUNIT_EXPECT_NULL(test, strstr(text, "(null)"));
}

static struct kunit_case drm_pagemap_cases[] = {
	KUNIT_CASE(pagemap_holds_device_and_module),
	KUNIT_CASE(pagemap_without_destroy_is_freed),
	KUNIT_CASE(no_pagemap_is_fine),
	KUNIT_CASE(pagemap_lives_again),
	KUNIT_CASE(cache_forgets_what_is_freed),
	KUNIT_CASE(destroy_is_told_its_context),
	KUNIT_CASE(driver_that_goes_is_refused),
	KUNIT_CASE(pages_hold_the_pagemap),
	KUNIT_CASE(devmem_starts_empty),
	KUNIT_CASE_PARAM(refusal_consumes_the_allocation, refusal_gen_params),
	KUNIT_CASE_PARAM(populate_tells_why_not, populate_refusal_gen_params),
	KUNIT_CASE(process_that_has_gone_has_no_memory),
	KUNIT_CASE(unplugged_device_gets_nothing),
	KUNIT_CASE_PARAM(memory_goes_and_comes, provider_gen_params),
	KUNIT_CASE(allocation_comes_back_as_a_whole),
	KUNIT_CASE(allocation_comes_back_without_others),
	KUNIT_CASE(memory_is_not_spread_over_allocations),
	KUNIT_CASE(pinned_page_keeps_all_of_an_allocation_back),
	KUNIT_CASE(hole_of_a_userfaultfd_keeps_an_allocation_back),
	KUNIT_CASE(memory_is_spread_on_request),
	KUNIT_CASE(debugfs_prints_each_counter),
	{}
};

static struct kunit_suite drm_pagemap_suite = {
	.name = "drm_pagemap",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_cases,
};

kunit_test_suite(drm_pagemap_suite);
