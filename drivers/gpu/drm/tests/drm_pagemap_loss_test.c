// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: nothing is lost that could be kept, and what is lost with a
 * device takes nothing else along.
 */

#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>

#include <trace/events/drm_pagemap.h>

#include "drm_pagemap_fixture.h"

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)

KUNIT_DEFINE_ACTION_WRAPPER(put_bo, vram_bo_put, struct vram_bo *);

static struct vram_bo *hold(struct kunit *test, struct vram_bo *bo)
{
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bo);
	kref_get(&bo->ref);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_bo, bo));

	return bo;
}

static struct vram_bo *create(struct kunit *test, size_t size)
{
	return hold(test, vram_bo_create(vrams[0].dpagemap, current->mm, size));
}

/* Populate all of it, which is filled, with one allocation. */
static struct vram_bo *populate(struct kunit *test, unsigned long addr, unsigned long len)
{
	struct vram_bo *bo = create(test, len);

	KUNIT_ASSERT_EQ(test, vram_migrate(test, bo, addr, len), 0);
	vram_expect_in(test, &vrams[0], addr, len);

	return bo;
}

static void map_filled(struct kunit *test, unsigned long addr, unsigned long len, bool huge)
{
	if (huge)
		svm_map_huge(test, addr);
	else
		svm_map(test, addr, len, RW);
	vram_fill(test, addr, len);
}

static int evict(struct vram_bo *bo)
{
	return drm_pagemap_evict_to_ram(&bo->devmem);
}

static int abandon(struct vram_bo *bo)
{
	struct drm_pagemap_devmem *devmem = &bo->devmem;

	return drm_pagemap_abandon_many(&devmem, 1);
}

static struct folio *folio_at(unsigned long addr)
{
	return page_folio(vram_spot(current->mm, addr).page);
}

/*
 * Providers
 */

/*
 * Small pages and huge ones in turn, so that what is left of one chunk is in the
 * buffers of the next one.
 */
static void provider_may_step_by_pages(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem[4];
	struct vram *vram = &vrams[0];
	int i;

	vram->rules.ops = &vram_stepping_ops;
	for (i = 0; i < ARRAY_SIZE(devmem); i++)
		map_filled(test, SVM_BASE + i * SZ_2M, SZ_2M, i >= 2);
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_8M), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_8M);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE + SZ_4M).huge);
	vram_expect(test, SVM_BASE, SZ_8M);
	vram_expect_in_ram(test, SVM_BASE, SZ_8M);

	for (i = 0; i < ARRAY_SIZE(devmem); i++)
		devmem[i] = &populate(test, SVM_BASE + i * SZ_2M, SZ_2M)->devmem;
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, ARRAY_SIZE(devmem)), 0);
	vram_expect_in_ram(test, SVM_BASE, SZ_8M);
	KUNIT_EXPECT_TRUE(test, vram_spot(current->mm, SVM_BASE + SZ_4M).huge);
}

/* Its own populate_mm, and holes between and behind what is copied. */
static void provider_of_its_own_may_step_by_pages(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long addr;

	vram->rules.ops = &vram_stepping_ops;
	vram->dpagemap->ops = &vram_ops_by_provider;
	map_filled(test, SVM_BASE, SZ_2M, true);
	svm_map(test, SVM_BASE + SZ_2M, SZ_4M, RW);
	svm_advise(test, SVM_BASE + SZ_4M, SZ_2M, MADV_HUGEPAGE);
	for (addr = SVM_BASE + SZ_2M; addr < SVM_BASE + SZ_4M; addr += 4 * PAGE_SIZE)
		vram_fill(test, addr, PAGE_SIZE);
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_2M + SZ_4M; addr += SZ_2M)
		KUNIT_EXPECT_EQ(test, vram_populate(test, vram, addr, SZ_2M), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
	for (addr = SVM_BASE + SZ_2M; addr < SVM_BASE + SZ_4M; addr += 4 * PAGE_SIZE) {
		vram_expect(test, addr, PAGE_SIZE);
		vram_expect_zero(test, addr + PAGE_SIZE, 3 * PAGE_SIZE);
	}
	vram_expect_zero(test, SVM_BASE + SZ_4M, SZ_2M);
}

/* Memory may begin at address 0 for those who reach it. */
static void address_may_be_zero(struct kunit *test)
{
	vram_addr = 0;
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE, SZ_64K), 0);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[0], SVM_BASE, SZ_64K), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.maps), NPAGES(SZ_64K));
	vram_expect(test, SVM_BASE, SZ_64K);
}

struct fence_case {
	const char *name;
	bool filled;
	bool huge;
	bool hasty;
	int err;
	const struct drm_pagemap_devmem_ops *ops;
};

static const struct fence_case fence_cases[] = {
	{ "hole", false, false, false, -EIO, &vram_submit_ops },
	{ "hole, nobody else waits", false, false, true, -EIO, &vram_instant_ops },
	{ "hole, it goes well", false, false, true, 0, &vram_instant_ops },
	{ "huge hole", false, true, true, -EIO, &vram_submit_ops },
	{ "pages", true, false, false, -EIO, &vram_submit_ops },
	{ "pages, waiting ops", true, false, false, -EIO, &vram_waiting_ops },
	{ "huge page", true, true, true, -EIO, &vram_submit_ops },
};

KUNIT_ARRAY_PARAM_DESC(fence, fence_cases, name);

static long populate_task(struct svm_task *task)
{
	return drm_pagemap_populate_mm(task->arg, task->addr, task->addr + SZ_2M, task->mm, 0);
}

/* Memory that could not be cleared may hold what another process had in it. */
static void memory_is_used_once_its_fence_allows(struct kunit *test)
{
	const struct fence_case *c = test->param_value;
	struct dma_fence *fence = vram_fence_create(test);
	struct vram *vram = &vrams[0];
	struct svm_task *task;

	if (c->filled) {
		map_filled(test, SVM_BASE, SZ_2M, c->huge);
	} else {
		svm_map(test, SVM_BASE, SZ_2M, RW);
		if (c->huge)
			svm_advise(test, SVM_BASE, SZ_2M, MADV_HUGEPAGE);
	}
	vram->rules.ops = c->ops;
	vram->rules.hasty = c->hasty;
	vram->rules.pre_fence = fence;
	task = svm_run(test, populate_task, SVM_BASE, vram->dpagemap);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&vram->live)));
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	if (c->err)
		dma_fence_set_error(fence, c->err);
	dma_fence_signal(fence);
	KUNIT_EXPECT_EQ(test, svm_join(task), c->err);
	vram_flush();

	KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_2M), c->err ? 0 : NPAGES(SZ_2M));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), !c->err);
	if (c->filled)
		vram_expect(test, SVM_BASE, SZ_2M);
	else
		vram_expect_zero(test, SVM_BASE, SZ_2M);
}

/*
 * Pages that can't be copied
 */

static struct page *bad_page;

/* Copies fail that have the bad page in them. */
static int fail_bad_page(struct vram_copy *copy)
{
	unsigned long i;

	for (i = 0; i < copy->npages; i += 1UL << copy->addrs[i].order)
		if (copy->pages[i] && bad_page >= copy->pages[i] &&
		    bad_page < copy->pages[i] + (1UL << copy->addrs[i].order))
			return -EIO;

	return 0;
}

static int fail_all(struct vram_copy *copy)
{
	return -EIO;
}

struct bad_case {
	const char *name;
	unsigned long len;
	bool huge;
	const struct drm_pagemap_devmem_ops *ops;
};

static const struct bad_case bad_cases[] = {
	{ "small pages", SZ_64K, false, &vram_submit_ops },
	{ "small pages, waiting ops", SZ_64K, false, &vram_waiting_ops },
	{ "huge page", SZ_2M, true, &vram_submit_ops },
	{ "huge page, instant ops", SZ_2M, true, &vram_instant_ops },
};

KUNIT_ARRAY_PARAM_DESC(bad, bad_cases, name);

static struct vram_bo *populate_bad(struct kunit *test, unsigned long bad)
{
	const struct bad_case *c = test->param_value;
	struct vram *vram = &vrams[0];
	struct vram_bo *bo;

	vram->rules.ops = c->ops;
	map_filled(test, SVM_BASE, c->len, c->huge);
	bo = populate(test, SVM_BASE, c->len);
	bad_page = vram_spot(current->mm, bad).page;
	vram->rules.copy = fail_bad_page;

	return bo;
}

/* All but one page are right and in RAM. */
static void expect_all_but(struct kunit *test, unsigned long len, unsigned long bad)
{
	vram_expect(test, SVM_BASE, bad - SVM_BASE);
	vram_expect(test, bad + PAGE_SIZE, SVM_BASE + len - bad - PAGE_SIZE);
}

/* The CPU gets each page that can be copied, whatever is around it. */
static void bad_page_harms_no_neighbour(struct kunit *test)
{
	const struct bad_case *c = test->param_value;
	unsigned long bad = SVM_BASE + 5 * PAGE_SIZE;

	populate_bad(test, bad);
	KUNIT_EXPECT_FALSE(test, !!(vram_fault(test, SVM_BASE, 0) & VM_FAULT_ERROR));
	expect_all_but(test, c->len, bad);
	KUNIT_EXPECT_TRUE(test, !!(vram_fault(test, bad, 0) & VM_FAULT_SIGBUS));
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], SVM_BASE, c->len), 1);

	/* It is not lost, either: next time it may work. */
	vrams[0].rules.copy = NULL;
	vram_expect(test, SVM_BASE, c->len);
	vram_expect_in_ram(test, SVM_BASE, c->len);
}

static int failures;

/* Copies fail, but for those of a single page. */
static int fail_large(struct vram_copy *copy)
{
	if (copy->npages == 1)
		return 0;
	failures++;

	return -EBUSY;
}

/* Nor does an error that sounds as if it were worth trying again. */
static void page_comes_alone_whatever_the_error(struct kunit *test)
{
	const struct bad_case *c = test->param_value;

	failures = 0;
	populate_bad(test, SVM_BASE);
	vrams[0].rules.copy = fail_large;
	vram_expect(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_GT(test, failures, 0);
	vrams[0].rules.copy = NULL;
	vram_expect(test, SVM_BASE, c->len);
	vram_expect_in_ram(test, SVM_BASE, c->len);
}

/*
 * Devices that go
 */

static void expect_lost(struct kunit *test, unsigned long addr)
{
	u64 value;

	KUNIT_EXPECT_TRUE(test, vram_fault(test, addr, 0) & VM_FAULT_HWPOISON);
	KUNIT_EXPECT_TRUE(test, vram_fault(test, addr, FAULT_FLAG_WRITE) & VM_FAULT_HWPOISON);
	KUNIT_EXPECT_EQ(test, access_remote_vm(current->mm, addr, &value, sizeof(value), 0), 0);
}

/* A process gives up the address, and can use it again. */
static void expect_usable_again(struct kunit *test, unsigned long addr)
{
	svm_discard(test, addr, PAGE_SIZE);
	vram_expect_zero(test, addr, PAGE_SIZE);
	vram_fill(test, addr, PAGE_SIZE);
}

/* What can't be had is lost, that alone, and nothing keeps the device. */
static void only_the_bad_page_is_lost(struct kunit *test)
{
	const struct bad_case *c = test->param_value;
	unsigned long bad = SVM_BASE + 5 * PAGE_SIZE;
	struct vram_bo *bo = populate_bad(test, bad);
	struct mm_struct *child = svm_fork(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, evict(bo), -EIO);
	KUNIT_EXPECT_FALSE(test, bo->released);
	KUNIT_EXPECT_EQ(test, abandon(bo), 0);
	KUNIT_EXPECT_TRUE(test, completion_done(&bo->devmem.detached));
	KUNIT_EXPECT_TRUE(test, bo->released);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_LOST), 1);

	expect_lost(test, bad);
	expect_all_but(test, c->len, bad);
	vram_expect_mm(test, child, SVM_BASE, bad - SVM_BASE);
	vram_expect_mm(test, child, bad + PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, access_remote_vm(child, bad, &value, sizeof(value), 0), 0);
	mmput(child);
	expect_usable_again(test, bad);
	vram_expect(test, SVM_BASE, c->len);
	KUNIT_EXPECT_EQ(test, abandon(bo), 0);
}

/* The device is dead: all is lost, and the counts of the mm know. */
static void dead_device_is_emptied(struct kunit *test)
{
	const struct bad_case *c = test->param_value;
	unsigned long anon = get_mm_counter_sum(current->mm, MM_ANONPAGES), addr;
	struct vram_bo *bo = populate_bad(test, SVM_BASE);

	vrams[0].rules.copy = fail_all;
	svm_munmap(test, SVM_BASE + 3 * PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, evict(bo), -EIO);
	KUNIT_EXPECT_EQ(test, abandon(bo), 0);
	KUNIT_EXPECT_TRUE(test, bo->released);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_LOST), NPAGES(c->len) - 1);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), anon);
	for (addr = SVM_BASE; addr < SVM_BASE + 3 * PAGE_SIZE; addr += PAGE_SIZE)
		expect_lost(test, addr);
	expect_lost(test, SVM_BASE + c->len - PAGE_SIZE);
	svm_mprotect(test, SVM_BASE, PAGE_SIZE, PROT_READ);
	expect_lost(test, SVM_BASE + PAGE_SIZE);
	svm_mremap(test, SVM_BASE + PAGE_SIZE, PAGE_SIZE, SVM_BASE + SZ_8M);
	expect_lost(test, SVM_BASE + SZ_8M);
	expect_usable_again(test, SVM_BASE + SZ_8M);
}

/* Where copies work, giving up loses nothing, be it ever so early. */
static void nothing_is_given_up_that_can_be_had(struct kunit *test)
{
	const struct bad_case *c = test->param_value;
	struct vram_bo *bo = populate_bad(test, SVM_BASE);
	struct page *page = vram_spot(current->mm, SVM_BASE + PAGE_SIZE).page;

	vrams[0].rules.copy = NULL;
	get_page(page);
	KUNIT_EXPECT_EQ(test, abandon(bo), -EBUSY);
	put_page(page);
	KUNIT_EXPECT_EQ(test, abandon(bo), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_LOST), 0);
	vram_expect_in_ram(test, SVM_BASE, c->len);
}

/*
 * Parts of huge folios
 */

struct part_case {
	const char *name;
	unsigned long start, end;
	bool discard;
};

static const struct part_case part_cases[] = {
	{ "first half unmapped", 0, SZ_1M, false },
	{ "second half unmapped", SZ_1M, SZ_2M, false },
	{ "page unmapped", SZ_64K, SZ_64K + SZ_4K, false },
	{ "all but a page unmapped", SZ_4K, SZ_2M, false },
	{ "middle discarded", SZ_512K, SZ_1M, true },
};

KUNIT_ARRAY_PARAM_DESC(part, part_cases, name);

/* What the process has given up takes no RAM. */
static void dead_part_of_a_huge_folio_goes(struct kunit *test)
{
	const struct part_case *c = test->param_value;
	unsigned long len = c->end - c->start, addr;
	struct vram_bo *bo;

	map_filled(test, SVM_BASE, SZ_2M, true);
	bo = populate(test, SVM_BASE, SZ_2M);
	KUNIT_ASSERT_TRUE(test, vram_spot(current->mm, SVM_BASE).huge);
	if (c->discard)
		svm_discard(test, SVM_BASE + c->start, len);
	else
		svm_munmap(test, SVM_BASE + c->start, len);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_TRUE(test, bo->released);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED),
			NPAGES(SZ_2M - len));
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_2M; addr += PAGE_SIZE)
		if (addr < SVM_BASE + c->start || addr >= SVM_BASE + c->end)
			KUNIT_ASSERT_FALSE(test, folio_test_large(folio_at(addr)));
	vram_expect(test, SVM_BASE, c->start);
	vram_expect(test, SVM_BASE + c->end, SZ_2M - c->end);
}

/* While somebody is at the folio, it stays as it is. */
static void dead_part_waits_for_a_reference(struct kunit *test)
{
	struct vram_bo *bo;
	struct page *page;

	map_filled(test, SVM_BASE, SZ_2M, true);
	bo = populate(test, SVM_BASE, SZ_2M);
	page = vram_spot(current->mm, SVM_BASE).page;
	get_page(page);
	svm_munmap(test, SVM_BASE + SZ_1M, SZ_1M);
	KUNIT_EXPECT_EQ(test, evict(bo), -EBUSY);
	put_page(page);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED), NPAGES(SZ_1M));
	vram_expect(test, SVM_BASE, SZ_1M);
}

/* What another process has is not dead. */
static void part_that_others_have_stays(struct kunit *test)
{
	struct mm_struct *child;
	struct vram_bo *bo;

	map_filled(test, SVM_BASE, SZ_2M, true);
	bo = populate(test, SVM_BASE, SZ_2M);
	child = svm_fork(test);
	svm_munmap(test, SVM_BASE + SZ_1M, SZ_1M);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED), NPAGES(SZ_2M));
	KUNIT_EXPECT_TRUE(test, vram_spot(child, SVM_BASE).huge);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_1M);
	mmput(child);
}

/* The pages of the memory have been parts of a huge folio. */
static void make_stale(struct kunit *test)
{
	map_filled(test, SVM_BASE, SZ_2M, true);
	populate(test, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
	KUNIT_ASSERT_EQ(test, atomic_read(&vrams[0].live), 0);
}

struct stale_case {
	const char *name;
	size_t skip;		/* of the former huge folio */
	size_t size;
	unsigned long len;
	int pinned;		/* page that can't move, or -1 */
};

static const struct stale_case stale_cases[] = {
	{ "first page left", 0, SZ_2M, SZ_2M, 0 },
	{ "second page left", 0, SZ_2M, SZ_2M, 1 },
	{ "last page left", 0, SZ_2M, SZ_2M, 511 },
	{ "much room behind", 0, SZ_2M, SZ_64K, 0 },
	{ "from the middle on", SZ_1M, SZ_1M, SZ_1M, 0 },
	{ "from the middle on, room behind", SZ_1M, SZ_1M, SZ_64K, 0 },
};

KUNIT_ARRAY_PARAM_DESC(stale, stale_cases, name);

/* An allocation with pages that no folio is made of can be emptied all the same. */
static void pages_left_out_don_t_hide_others(struct kunit *test)
{
	const struct stale_case *c = test->param_value;
	unsigned long base = SVM_BASE + SZ_4M;
	struct drm_pagemap_migrate_stats stats = {};
	struct vram_bo *before = NULL, *bo;
	struct page *page;

	make_stale(test);
	if (c->skip)
		before = create(test, c->skip);
	bo = create(test, c->size);
	KUNIT_ASSERT_EQ(test, bo->page[0], NPAGES(c->skip));

	vram_map_filled(test, base, c->len);
	KUNIT_ASSERT_EQ(test, pin_user_pages_fast(base + c->pinned * PAGE_SIZE, 1,
						  FOLL_WRITE | FOLL_LONGTERM, &page), 1);
	KUNIT_EXPECT_EQ(test, vram_migrate_stats(test, bo, base, c->len, &stats), -EBUSY);
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], base, c->len), NPAGES(c->len) - 1);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_TRUE(test, bo->released);
	unpin_user_page(page);
	vram_expect_in_ram(test, base, c->len);
	if (before) {
		svm_map(test, base + SZ_4M, c->skip, RW);
		KUNIT_EXPECT_EQ(test, vram_migrate(test, before, base + SZ_4M, c->skip), 0);
	}
}

/*
 * Other things that must not happen
 */

static void *committed;

static void probe_commit(void *unused, struct drm_pagemap *dpagemap,
			 struct mm_struct *mm, bool in, unsigned long start,
			 unsigned long moved, unsigned long huge, unsigned long resident,
			 unsigned long left, int err)
{
	committed = dpagemap;
}

static void remove_probe(void *unused)
{
	unregister_trace_drm_pagemap_commit(probe_commit, NULL);
	tracepoint_synchronize_unregister();
}

static struct kunit *list_test;

static void unmap_all(struct vram_bo *bo)
{
	svm_munmap(list_test, SVM_BASE, SZ_64K);
}

/* The last page, and with it the pagemap, goes while an eviction begins. */
static void eviction_forgets_a_pagemap_that_is_gone(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct drm_pagemap *dpagemap;
	struct vram_bo *bo;

	dpagemap = drm_pagemap_create(svm_drm_device(vram->device), &vram->pagemap, &vram_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	bo = hold(test, vram_bo_create(dpagemap, current->mm, SZ_64K));
	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_migrate(test, bo, SVM_BASE, SZ_64K), 0);
	drm_pagemap_put(dpagemap);

	KUNIT_ASSERT_EQ(test, register_trace_drm_pagemap_commit(probe_commit, NULL), 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_probe, NULL));
	committed = NULL;
	list_test = test;
	vram->rules.list = unmap_all;
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_TRUE(test, bo->released);
	KUNIT_EXPECT_NULL(test, committed);
	vram->rules.list = NULL;
}

static long populate_two(struct svm_task *task)
{
	return drm_pagemap_populate_mm(vrams[0].dpagemap, task->addr, task->addr + SZ_4M,
				       task->mm, 0);
}

/* Whoever has it may wait for what the migration has: it doesn't wait for a lock. */
static void locked_huge_page_in_small_entries_is_left(struct kunit *test)
{
	struct folio *folio;
	struct svm_task *task;

	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_2M);
	map_filled(test, SVM_BASE, SZ_2M, true);
	svm_mprotect(test, SVM_BASE, PAGE_SIZE, PROT_READ);
	folio = folio_at(SVM_BASE + SZ_64K);
	KUNIT_ASSERT_TRUE(test, folio_test_large(folio));
	folio_get(folio);
	folio_lock(folio);
	task = svm_run(test, populate_two, SVM_BASE, NULL);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(svm_done(task)));
	folio_unlock(folio);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, svm_join(task), -EBUSY);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_2M, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_4M);
}

struct free_case {
	const char *name;
	bool huge;
	bool by_eviction;
};

static const struct free_case free_cases[] = {
	{ "small pages", false, false },
	{ "small pages, evicted", false, true },
	{ "huge page", true, false },
	{ "huge page, evicted", true, true },
};

KUNIT_ARRAY_PARAM_DESC(free, free_cases, name);

/* Memory that may be dropped as long as nobody writes is written by the device. */
static void device_write_ends_madv_free(struct kunit *test)
{
	const struct free_case *c = test->param_value;
	unsigned long len = c->huge ? SZ_2M : SZ_64K, addr;
	struct vram_bo *bo;

	map_filled(test, SVM_BASE, len, c->huge);
	svm_advise(test, SVM_BASE, len, MADV_FREE);
	lru_add_drain_all();
	KUNIT_ASSERT_FALSE(test, folio_test_swapbacked(folio_at(SVM_BASE)));
	bo = populate(test, SVM_BASE, len);
	for (addr = SVM_BASE; addr < SVM_BASE + len; addr += PAGE_SIZE)
		*vram_word(vram_spot(current->mm, addr).page) = addr;
	if (c->by_eviction)
		KUNIT_EXPECT_EQ(test, evict(bo), 0);
	for (addr = SVM_BASE; addr < SVM_BASE + len; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, svm_read(test, addr), addr);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);

	svm_advise(test, SVM_BASE, len, MADV_PAGEOUT);
	for (addr = SVM_BASE; addr < SVM_BASE + len; addr += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, svm_read(test, addr), addr);
}

static struct kunit_case drm_pagemap_loss_cases[] = {
	KUNIT_CASE(provider_may_step_by_pages),
	KUNIT_CASE(provider_of_its_own_may_step_by_pages),
	KUNIT_CASE(address_may_be_zero),
	KUNIT_CASE_PARAM(memory_is_used_once_its_fence_allows, fence_gen_params),
	KUNIT_CASE_PARAM(bad_page_harms_no_neighbour, bad_gen_params),
	KUNIT_CASE_PARAM(page_comes_alone_whatever_the_error, bad_gen_params),
	KUNIT_CASE_PARAM(only_the_bad_page_is_lost, bad_gen_params),
	KUNIT_CASE_PARAM(dead_device_is_emptied, bad_gen_params),
	KUNIT_CASE_PARAM(nothing_is_given_up_that_can_be_had, bad_gen_params),
	KUNIT_CASE_PARAM(dead_part_of_a_huge_folio_goes, part_gen_params),
	KUNIT_CASE(dead_part_waits_for_a_reference),
	KUNIT_CASE(part_that_others_have_stays),
	KUNIT_CASE_PARAM(pages_left_out_don_t_hide_others, stale_gen_params),
	KUNIT_CASE(eviction_forgets_a_pagemap_that_is_gone),
	KUNIT_CASE(locked_huge_page_in_small_entries_is_left),
	KUNIT_CASE_PARAM(device_write_ends_madv_free, free_gen_params),
	{}
};

static struct kunit_suite drm_pagemap_loss_suite = {
	.name = "drm_pagemap_loss",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_loss_cases,
};

kunit_test_suite(drm_pagemap_loss_suite);
