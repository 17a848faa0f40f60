// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: each allocation of memory fails in turn. Nothing may
 * be lost then, and nothing leak.
 */

#include <linux/mm.h>

#include <drm/drm_device.h>

#include "drm_pagemap_fixture.h"

#ifdef CONFIG_FAULT_INJECTION

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)

/* The kernel's own allocations are not counted out, but there are few of them. */
#define MAX_ALLOCATIONS	2000

static bool slab_fails(void)
{
	void *p;

	current->fail_nth = 1;
	p = kmalloc(64, GFP_KERNEL);
	current->fail_nth = 0;
	kfree(p);

	return !p;
}

static bool page_fails(void)
{
	struct page *page;

	current->fail_nth = 1;
	page = alloc_page(GFP_HIGHUSER_MOVABLE);
	current->fail_nth = 0;
	if (page)
		__free_page(page);

	return !page;
}

static void need_failures(struct kunit *test)
{
	if (!slab_fails())
		kunit_skip(test, "needs CONFIG_FAILSLAB and N in debugfs failslab/ignore-gfp-wait");
	if (!page_fails())
		kunit_skip(test, "needs CONFIG_FAIL_PAGE_ALLOC, set in debugfs");
}

/**
 * struct effort - Something that takes memory
 *
 * @name: What it is
 * @len: How much memory of the process it is about
 * @huge_page: In a huge page
 * @filled: There are contents
 * @device: The memory is in this device to begin with; -1: in RAM
 * @fn: Does it
 * @min: So many failures there are at least
 */
struct effort {
	const char *name;
	unsigned long len;
	bool huge_page;
	bool filled;
	int device;
	int (*fn)(struct kunit *test, const struct effort *e);
	int min;
};

static int try_populate(struct kunit *test, const struct effort *e)
{
	return vram_populate(test, &vrams[0], SVM_BASE, e->len);
}

/* What the process sees: nothing, or that there is no memory. */
static int try_cpu_fault(struct kunit *test, const struct effort *e)
{
	vm_fault_t ret = vram_fault(test, SVM_BASE, 0);

	KUNIT_EXPECT_FALSE(test, ret & VM_FAULT_ERROR & ~VM_FAULT_OOM);

	return ret & VM_FAULT_OOM ? -ENOMEM : 0;
}

static int try_evict(struct kunit *test, const struct effort *e)
{
	struct vram_bo *bo = vram_oldest(&vrams[0]);
	int err;

	if (!bo)
		return -EIO;
	err = drm_pagemap_evict_to_ram(&bo->devmem);
	KUNIT_EXPECT_EQ(test, bo->released, !err);
	vram_bo_put(bo);

	return err;
}

static const struct effort efforts[] = {
	{ "populate from RAM", SZ_64K, false, true, -1, try_populate, 3 },
	{ "populate 2M from RAM", SZ_2M, false, true, -1, try_populate, 3 },
	{ "populate from a huge page", SZ_2M, true, true, -1, try_populate, 3 },
	{ "populate part of a huge page", SZ_64K, true, true, -1, try_populate, 3 },
	{ "populate a hole", SZ_64K, false, false, -1, try_populate, 3 },
	{ "populate a huge hole", SZ_2M, true, false, -1, try_populate, 3 },
	{ "populate from a peer", SZ_64K, false, true, 1, try_populate, 3 },
	{ "populate from a peer, huge", SZ_2M, true, true, 1, try_populate, 3 },
	{ "CPU fault", SZ_64K, false, true, 0, try_cpu_fault, 1 },
	{ "CPU fault on a huge page", SZ_2M, true, true, 0, try_cpu_fault, 1 },
	{ "evict", SZ_64K, false, true, 0, try_evict, 1 },
	{ "evict a huge page", SZ_2M, true, true, 0, try_evict, 1 },
};

KUNIT_ARRAY_PARAM_DESC(effort, efforts, name);

static void prepare(struct kunit *test, const struct effort *e)
{
	if (e->huge_page)
		svm_map_huge(test, SVM_BASE);
	else
		svm_map(test, SVM_BASE, SZ_2M, RW);
	if (e->filled)
		vram_fill(test, SVM_BASE, SZ_2M);
	else
		svm_discard(test, SVM_BASE, SZ_2M);
	if (e->device >= 0)
		KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[e->device], SVM_BASE, e->len), 0);
}

/* Every page of the process is somewhere, and once. */
static void expect_consistent(struct kunit *test, const struct effort *e, int n)
{
	unsigned long in_device = 0;
	int i;

	for (i = 0; i < VRAM_MEMORIES; i++) {
		in_device += vram_count(&vrams[i], SVM_BASE, SZ_2M);
		KUNIT_EXPECT_EQ(test, atomic_read(&vrams[i].seen.maps),
				atomic_read(&vrams[i].seen.unmaps));
		KUNIT_EXPECT_EQ_MSG(test, kref_read(&vrams[i].dpagemap->ref),
				    1 + atomic_read(&vrams[i].live), "allocation %d", n);
	}
	KUNIT_EXPECT_EQ_MSG(test, vram_count_place(VRAM_MOVING, SVM_BASE, SZ_2M), 0,
			    "allocation %d", n);
	if (e->filled)
		KUNIT_EXPECT_EQ_MSG(test, vram_count_place(VRAM_RAM, SVM_BASE, SZ_2M) + in_device,
				    NPAGES(SZ_2M), "allocation %d", n);
	svm_expect_unmapped(test);
}

static void expect_contents(struct kunit *test, const struct effort *e)
{
	if (e->filled)
		vram_expect(test, SVM_BASE, SZ_2M);
	else
		vram_expect_zero(test, SVM_BASE, SZ_2M);
}

/* Do it once with the nth allocation failing. Returns whether it was too many. */
static bool try_with_failure(struct kunit *test, int n, int *failures)
{
	const struct effort *e = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	unsigned int left;
	int err, i;

	prepare(test, e);
	svm->failures_left = 0;
	svm->mapping_succeeds = true;
	current->fail_nth = n;
	err = e->fn(test, e);
	left = current->fail_nth + svm->failures_left;
	current->fail_nth = 0;
	svm->failures_left = 0;
	svm->mapping_succeeds = false;

	/* -EBUSY: the core MM had no memory for some of the pages. */
	if (err != -EBUSY)
		KUNIT_EXPECT_TRUE_MSG(test, !err || err == -ENOMEM, "error %d, allocation %d",
				      err, n);
	if (err)
		KUNIT_EXPECT_EQ_MSG(test, left, 0, "error %d, allocation %d", err, n);
	*failures += !left;
	expect_consistent(test, e, n);

	/* With memory, it works. */
	KUNIT_EXPECT_EQ_MSG(test, err ? e->fn(test, e) : 0, 0, "allocation %d", n);
	expect_contents(test, e);
	svm_munmap(test, SVM_BASE, SZ_2M);
	for (i = 0; i < VRAM_MEMORIES; i++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&vrams[i].live), 0, "allocation %d", n);

	return left;
}

/*
 * The core MM allocates in between, and not the same each time. So go on a bit
 * after the first one that was not reached.
 */
static void each_allocation_may_fail(struct kunit *test)
{
	const struct effort *e = test->param_value;
	int n, failures = 0;

	need_failures(test);
	for (n = 1; n < MAX_ALLOCATIONS; n += 1 + n / 16)
		if (try_with_failure(test, n, &failures))
			break;
	KUNIT_EXPECT_LT(test, n, MAX_ALLOCATIONS);
	KUNIT_EXPECT_GE(test, failures, e->min);
	kunit_info(test, "%s: %d failures, the last one of allocation %d\n", e->name, failures,
		   n - 1);
}

/*
 * Do it once with the nth allocation failing, which may be the one of the huge page.
 * Returns whether it was, in @split, and whether there were that many.
 */
static bool try_without_huge_page(struct kunit *test, int n, bool *split)
{
	const struct effort *e = test->param_value;
	struct vram *vram = &vrams[0];
	unsigned int left;
	s64 splits;

	prepare(test, e);
	splits = vram_stat(vram, DRM_PAGEMAP_STAT_SPLIT);
	to_svm(test)->mapping_succeeds = true;
	current->fail_nth = n;
	e->fn(test, e);
	left = current->fail_nth + to_svm(test)->failures_left;
	current->fail_nth = 0;
	to_svm(test)->failures_left = 0;
	to_svm(test)->mapping_succeeds = false;

	*split = vram_stat(vram, DRM_PAGEMAP_STAT_SPLIT) > splits;
	if (*split) {
		KUNIT_EXPECT_FALSE(test, vram_spot(current->mm, SVM_BASE).huge);
		KUNIT_EXPECT_GE(test, vram_count_place(VRAM_RAM, SVM_BASE, SZ_2M),
				NPAGES(DRM_PAGEMAP_FAULT_WINDOW));
	}
	vram_expect(test, SVM_BASE, SZ_2M);
	svm_munmap(test, SVM_BASE, SZ_2M);

	return !left;
}

/*
 * No huge page of RAM: small ones do. Which allocation is the one of the huge page
 * changes from one try to the next, whenever a slab has to be filled before it. So
 * it may be missed, and is looked for again.
 */
static void huge_page_comes_back_in_small_ones(struct kunit *test)
{
	bool split = false;
	int n = 0, tries;

	need_failures(test);
	for (tries = 0; tries < MAX_ALLOCATIONS / 2 && !split; tries++)
		if (!try_without_huge_page(test, ++n, &split))
			n = 0;
	KUNIT_EXPECT_TRUE(test, split);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
}

static const struct effort huge_efforts[] = {
	{ "CPU fault", SZ_2M, true, true, 0, try_cpu_fault, 1 },
	{ "eviction", SZ_2M, true, true, 0, try_evict, 1 },
};

KUNIT_ARRAY_PARAM_DESC(huge_effort, huge_efforts, name);

static void pagemap_needs_memory(struct kunit *test)
{
	struct drm_pagemap *dpagemap = NULL;
	int refs = kref_read(&svm_drm_device(0)->ref);
	int n, failures = 0;

	need_failures(test);
	for (n = 1; n < 10; n++) {
		current->fail_nth = n;
		dpagemap = drm_pagemap_create(svm_drm_device(0), &vrams[0].pagemap, &vram_ops);
		current->fail_nth = 0;
		if (!IS_ERR(dpagemap))
			break;
		KUNIT_EXPECT_EQ(test, PTR_ERR(dpagemap), -ENOMEM);
		KUNIT_EXPECT_EQ(test, kref_read(&svm_drm_device(0)->ref), refs);
		failures++;
	}
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	/* The slab may have refilled itself, and survived a failure at that. */
	KUNIT_EXPECT_GE(test, failures, 1);
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&svm_drm_device(0)->ref) == refs));
}

static struct kunit_case drm_pagemap_nomem_cases[] = {
	KUNIT_CASE_PARAM(each_allocation_may_fail, effort_gen_params),
	KUNIT_CASE_PARAM(huge_page_comes_back_in_small_ones, huge_effort_gen_params),
	KUNIT_CASE(pagemap_needs_memory),
	{}
};

static struct kunit_suite drm_pagemap_nomem_suite = {
	.name = "drm_pagemap_nomem",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_nomem_cases,
};

kunit_test_suite(drm_pagemap_nomem_suite);

#endif /* CONFIG_FAULT_INJECTION */
