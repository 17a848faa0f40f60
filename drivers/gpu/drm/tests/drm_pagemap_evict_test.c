// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: eviction, which starts from the pages of an allocation
 * and needs to know nothing of who uses them.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "drm_pagemap_fixture.h"

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)

KUNIT_DEFINE_ACTION_WRAPPER(put_bo, vram_bo_put, struct vram_bo *);

static struct vram_bo *hold(struct kunit *test, struct vram_bo *bo)
{
	KUNIT_ASSERT_NOT_NULL(test, bo);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_bo, bo));

	return bo;
}

static struct vram_bo *populate(struct kunit *test, unsigned long addr, unsigned long len)
{
	struct vram *vram = &vrams[0];
	struct vram_bo *bo;

	KUNIT_ASSERT_EQ(test, vram_populate(test, vram, addr, len), 0);
	KUNIT_ASSERT_EQ(test, vram_count(vram, addr, len), NPAGES(len));
	spin_lock_irq(&vram->lock);
	bo = list_last_entry(&vram->bos, struct vram_bo, entry);
	kref_get(&bo->ref);
	spin_unlock_irq(&vram->lock);

	return hold(test, bo);
}

static struct vram_bo *populate_filled(struct kunit *test, unsigned long addr,
				       unsigned long len)
{
	vram_map_filled(test, addr, len);

	return populate(test, addr, len);
}

static int evict(struct vram_bo *bo)
{
	return drm_pagemap_evict_to_ram(&bo->devmem);
}

static long evict_task(struct svm_task *task)
{
	return evict(task->arg);
}

/* Whoever lets go of the last page releases the memory, and not before it is detached. */
static void expect_gone(struct kunit *test, struct vram_bo *bo)
{
	KUNIT_EXPECT_TRUE(test, completion_done(&bo->devmem.detached));
	KUNIT_EXPECT_TRUE(test, svm_wait_until(READ_ONCE(bo->released)));
	svm_expect_unmapped(test);
}

/*
 * What comes back, and how
 */

struct evict_case {
	const char *name;
	unsigned long len;
	bool huge_page;
	enum vram_layout layout;
	const struct drm_pagemap_devmem_ops *ops;
};

static const struct evict_case evict_cases[] = {
	{ "64K", SZ_64K, false, VRAM_ROW, &vram_submit_ops },
	{ "64K, waiting", SZ_64K, false, VRAM_ROW, &vram_waiting_ops },
	{ "64K, done at once", SZ_64K, false, VRAM_ROW, &vram_instant_ops },
	{ "64K, reversed", SZ_64K, false, VRAM_REVERSED, &vram_submit_ops },
	{ "2M of small pages", SZ_2M, false, VRAM_ROW, &vram_submit_ops },
	{ "huge page", SZ_2M, true, VRAM_ROW, &vram_submit_ops },
	{ "huge page, sparse", SZ_2M, true, VRAM_SPARSE, &vram_waiting_ops },
};

KUNIT_ARRAY_PARAM_DESC(evict, evict_cases, name);

static void all_comes_back(struct kunit *test)
{
	const struct evict_case *c = test->param_value;
	struct vram *vram = &vrams[0];
	bool huge = c->huge_page && c->layout == VRAM_ROW;
	struct vram_bo *bo;

	vram->rules.layout = c->layout;
	vram->rules.ops = c->ops;
	if (c->huge_page)
		svm_map_huge(test, SVM_BASE);
	else
		svm_map(test, SVM_BASE, c->len, RW);
	vram_fill(test, SVM_BASE, c->len);
	bo = populate(test, SVM_BASE, c->len);

	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_EVICTED), NPAGES(c->len));
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_TO_RAM), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_SPLIT), 0);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).huge, huge);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vram->seen.segments[true]),
			huge ? 1 : NPAGES(c->len));
	vram_expect_in_ram(test, SVM_BASE, c->len);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_CPU_FAULTS), 0);

	/* Nothing is left to do. */
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_EVICTED), NPAGES(c->len));
}

/* The CPU has taken some of it, some was unmapped, some was written anew. */
static void rest_of_an_allocation_comes_back(struct kunit *test)
{
	struct vram_bo *bo;

	vrams[0].rules.window = SZ_16K;
	bo = populate_filled(test, SVM_BASE, SZ_256K);
	vram_expect(test, SVM_BASE + SZ_32K, SZ_16K);
	svm_munmap(test, SVM_BASE, SZ_16K);
	svm_discard(test, SVM_BASE + SZ_128K, SZ_64K);
	vram_fill(test, SVM_BASE + SZ_128K, SZ_64K);
	KUNIT_EXPECT_FALSE(test, bo->released);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED),
			NPAGES(SZ_256K - SZ_64K - SZ_16K - SZ_16K));
	vram_expect_in_ram(test, SVM_BASE + SZ_16K, SZ_256K - SZ_16K);
}

static void protected_and_moved_memory_comes_back(struct kunit *test)
{
	unsigned long to = SVM_BASE + SZ_8M + SZ_4K, i;
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);

	svm_mremap(test, SVM_BASE, SZ_64K, to);
	svm_mprotect(test, to, SZ_32K, PROT_NONE);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	svm_mprotect(test, to, SZ_32K, PROT_READ);
	for (i = 0; i < SZ_64K; i += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, svm_read(test, to + i), SVM_BASE + i + 1);
}

/*
 * Whose memory it is does not matter
 */

static void memory_of_a_fork_comes_back(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct mm_struct *child = svm_fork(test);

	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_RAM, SVM_BASE, SZ_64K), NPAGES(SZ_64K));
	KUNIT_EXPECT_EQ(test, vram_spot(child, SVM_BASE).place, VRAM_RAM);
	svm_write(test, SVM_BASE, 42);
	vram_expect_mm(test, child, SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
	mmput(child);
}

/* The process that had the memory allocated is no more, its child is. */
static void memory_outlives_its_process(struct kunit *test)
{
	struct mm_struct *child;
	struct vram_bo *bo;

	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_64K);
	bo = populate(test, SVM_BASE + SZ_2M, SZ_64K);
	populate(test, SVM_BASE, SZ_2M);
	child = svm_fork(test);
	svm_kill_mm(test);

	KUNIT_EXPECT_PTR_EQ(test, vram_spot(child, SVM_BASE + SZ_2M).vram, &vrams[0]);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	bo = hold(test, vram_oldest(&vrams[0]));
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, vram_spot(child, SVM_BASE).place, VRAM_RAM);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M + SZ_64K);
	mmput(child);
}

/* Its process is gone, and so is the memory, but for a reference. */
static void reference_delays_but_does_not_block(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct page *page = vram_spot(current->mm, SVM_BASE).page;

	get_page(page);
	svm_munmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, evict(bo), -EBUSY);
	KUNIT_EXPECT_FALSE(test, bo->released);
	put_page(page);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
}

/* Only the page that is held stays. */
static void busy_page_stays_alone(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct page *page = vram_spot(current->mm, SVM_BASE + SZ_16K).page;

	get_page(page);
	KUNIT_EXPECT_EQ(test, evict(bo), -EBUSY);
	KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], SVM_BASE, SZ_64K), 1);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_16K, PAGE_SIZE);
	put_page(page);
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/* It waits for who has locked a page, and others go meanwhile. */
static void eviction_waits_for_a_lock(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct folio *folio = page_folio(vram_spot(current->mm, SVM_BASE + SZ_16K).page);
	unsigned long start = jiffies;
	struct svm_task *task;

	folio_get(folio);
	folio_lock(folio);
	task = svm_run(test, evict_task, 0, bo);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED) ==
					       NPAGES(SZ_64K) - 1));
	/* However long that takes. */
	KUNIT_EXPECT_TRUE(test, svm_wait_until(time_after(jiffies, start + 3 * HZ)));
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	folio_unlock(folio);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	expect_gone(test, bo);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

static long evict_mortal(struct svm_task *task)
{
	allow_signal(SIGKILL);

	return evict(task->arg);
}

/* Whoever is killed doesn't wait any more. */
static void eviction_can_be_killed(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct folio *folio = page_folio(vram_spot(current->mm, SVM_BASE + SZ_16K).page);
	struct svm_task *task;

	folio_get(folio);
	folio_lock(folio);
	task = svm_run(test, evict_mortal, 0, bo);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED) ==
					       NPAGES(SZ_64K) - 1));
	KUNIT_EXPECT_TRUE(test, svm_wait_until(READ_ONCE(task->task->__state) & TASK_WAKEKILL));
	send_sig(SIGKILL, task->task, 1);
	KUNIT_EXPECT_EQ(test, svm_join(task), -EINTR);
	folio_unlock(folio);
	folio_put(folio);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/*
 * CPU faults at the same time
 */

static long read_word(struct svm_task *task)
{
	u64 value = 0;

	return get_user(value, (u64 __user *)task->addr) ?: value != task->addr + 1;
}

/* An eviction that is in the middle of its first copy, until @gate is opened. */
static struct svm_task *evict_to_gate(struct kunit *test, struct vram_bo *bo,
				      struct svm_gate *gate,
				      int (*copy)(struct vram_copy *copy))
{
	struct svm_task *evictor;

	svm_gate_init(gate);
	vram_gate_set(gate);
	vrams[0].rules.copy = copy;
	evictor = svm_run(test, evict_task, 0, bo);
	wait_for_completion_timeout(&gate->entered, SVM_PATIENCE);
	vram_gate_set(NULL);

	return evictor;
}

static void cpu_waits_for_an_eviction(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct svm_task *evictor, *reader;
	struct svm_gate gate;

	evictor = evict_to_gate(test, bo, &gate, vram_gate_copies);
	reader = svm_run(test, read_word, SVM_BASE + SZ_16K, NULL);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(reader));
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(evictor), 0);
	KUNIT_EXPECT_EQ(test, svm_join(reader), 0);
	vram_flush();
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].seen.copies[true]), 1);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/*
 * Migration entries keep no anon_vma, and the process may unmap what is on its way:
 * who looks for the entries later keeps it.
 */
static void unmapped_memory_keeps_its_anon_vma(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct page *page = vram_spot(current->mm, SVM_BASE).page;
	unsigned long mapping = (unsigned long)page_folio(page)->mapping;
	struct svm_task *evictor;
	struct anon_vma *anon_vma;
	struct svm_gate gate;

	KUNIT_ASSERT_EQ(test, mapping & FOLIO_MAPPING_FLAGS, FOLIO_MAPPING_ANON);
	anon_vma = (struct anon_vma *)(mapping - FOLIO_MAPPING_ANON);
	evictor = evict_to_gate(test, bo, &gate, vram_gate_copies);
	svm_munmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_GT(test, atomic_read(&anon_vma->refcount), 0);
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(evictor), 0);
	vram_flush();
	expect_gone(test, bo);
}

static struct vram_bo *populate_huge(struct kunit *test)
{
	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);

	return populate(test, SVM_BASE, SZ_2M);
}

/* An entry of a page that is on its way has neither a mapping nor a reference of it. */
static void huge_memory_is_unmapped_on_its_way(struct kunit *test)
{
	struct vram_bo *bo = populate_huge(test);
	struct folio *folio = page_folio(vram_spot(current->mm, SVM_BASE).page);
	struct svm_task *evictor;
	struct svm_gate gate;

	evictor = evict_to_gate(test, bo, &gate, vram_gate_copies);
	svm_munmap(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(evictor), 0);
	vram_flush();
	expect_gone(test, bo);
}

static int gate_and_fail(struct vram_copy *copy)
{
	return vram_gate_copies(copy) ?: -EIO;
}

/* It stays where it is, and is still another process's. */
static void huge_memory_of_two_is_unmapped_on_its_way(struct kunit *test)
{
	struct vram_bo *bo = populate_huge(test);
	struct mm_struct *child = svm_fork(test);
	struct svm_task *evictor;
	struct svm_gate gate;

	evictor = evict_to_gate(test, bo, &gate, gate_and_fail);
	svm_munmap(test, SVM_BASE, SZ_2M);
	complete_all(&gate.open);
	KUNIT_EXPECT_NE(test, svm_join(evictor), 0);
	KUNIT_EXPECT_EQ(test, folio_mapcount(page_folio(vram_spot(child, SVM_BASE).page)), 1);
	vrams[0].rules.copy = NULL;
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	vram_flush();
	expect_gone(test, bo);
	vram_expect_mm(test, child, SVM_BASE, SZ_2M);
	mmput(child);
}

/* What nobody maps any more, but somebody holds, has nowhere to be moved from. */
static void unmapped_memory_is_held(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	struct page *page = vram_spot(current->mm, SVM_BASE).page;

	get_page(page);
	svm_munmap(test, SVM_BASE, SZ_64K);
	/* From here on, KASAN knows that the anon_vma is gone. */
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, evict(bo), -EBUSY);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED), 0);
	put_page(page);
	vram_flush();
	expect_gone(test, bo);
}

static void eviction_waits_for_a_cpu_fault(struct kunit *test)
{
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_128K);
	struct svm_task *evictor, *reader;
	struct svm_gate gate;
	long err;

	svm_gate_init(&gate);
	vram_gate_set(&gate);
	vrams[0].rules.copy = vram_gate_copies;
	reader = svm_run(test, read_word, SVM_BASE, NULL);
	wait_for_completion_timeout(&gate.entered, SVM_PATIENCE);
	vram_gate_set(NULL);
	evictor = svm_run(test, evict_task, 0, bo);
	/* What the CPU has not taken goes meanwhile. */
	KUNIT_EXPECT_TRUE(test, svm_wait_until(vram_stat(&vrams[0], DRM_PAGEMAP_STAT_EVICTED)));
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(evictor));
	KUNIT_EXPECT_FALSE(test, svm_done(evictor));
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(reader), 0);
	/* Nor does it keep the CPU from what that has copied. */
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_CPU_FAULTS), 1);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_RAM),
			DRM_PAGEMAP_FAULT_WINDOW >> PAGE_SHIFT);
	err = svm_join(evictor);
	/* It doesn't wait for ever for a reader that is slow. */
	if (err == -EBUSY)
		err = evict(bo);
	KUNIT_EXPECT_EQ(test, err, 0);
	vram_flush();
	expect_gone(test, bo);
	vram_expect_in_ram(test, SVM_BASE, SZ_128K);
}

/*
 * The last page left, and the pages went to somebody else, while an eviction was
 * about to look for them: they are not its pages any more.
 */
static void pages_of_others_stay(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct vram_bo *bo, *other;

	vram->rules.layout = VRAM_SPARSE;
	bo = populate_filled(test, SVM_BASE, SZ_64K);
	other = populate_filled(test, SVM_BASE + SZ_64K, SZ_64K);
	vram->rules.listed = other;
	KUNIT_EXPECT_EQ(test, evict(bo), -EBUSY);
	KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_128K), NPAGES(SZ_128K));
	KUNIT_EXPECT_EQ(test, vram_stat(vram, DRM_PAGEMAP_STAT_EVICTED), 0);

	vram->rules.listed = NULL;
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	KUNIT_EXPECT_EQ(test, evict(other), 0);
	vram_expect_in_ram(test, SVM_BASE, SZ_128K);
}

/* A CPU that sleeps until a timeslice is over does not keep the page from it. */
static void eviction_does_not_wait_for_a_timeslice(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long start = jiffies;
	struct svm_task *reader;
	struct vram_bo *bo;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	KUNIT_ASSERT_EQ(test, drm_pagemap_populate_mm(vram->dpagemap, SVM_BASE,
						      SVM_BASE + SZ_64K, current->mm,
						      jiffies_to_msecs(SVM_PATIENCE)), 0);
	bo = hold(test, vram_oldest(vram));
	reader = svm_run(test, read_word, SVM_BASE, NULL);
	KUNIT_EXPECT_TRUE(test,
			  svm_wait_until(vram_stat(vram, DRM_PAGEMAP_STAT_TIMESLICE_WAITS)));
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	KUNIT_EXPECT_EQ(test, svm_join(reader), 0);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + SVM_PATIENCE / 2));
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/*
 * Many at once
 */

#define MANY	4

static void bring_many(struct kunit *test, struct drm_pagemap_devmem **devmem,
		       struct vram_bo **bos)
{
	int i;

	vram_map_filled(test, SVM_BASE, MANY * SZ_256K);
	for (i = 0; i < MANY; i++) {
		bos[i] = populate(test, SVM_BASE + i * SZ_256K, SZ_64K << (i % 3));
		devmem[i] = &bos[i]->devmem;
	}
}

static void many_come_back(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem[MANY];
	struct vram_bo *bos[MANY];
	int i;

	bring_many(test, devmem, bos);
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), MANY);
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, MANY), 0);
	for (i = 0; i < MANY; i++)
		expect_gone(test, bos[i]);
	vram_expect_in_ram(test, SVM_BASE, MANY * SZ_256K);
}

/* Any of them may have gone already. */
static void some_of_many_are_gone(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem[MANY];
	struct vram_bo *bos[MANY];
	unsigned int gone;
	int i;

	for (gone = 0; gone < BIT(MANY); gone++) {
		bring_many(test, devmem, bos);
		for (i = 0; i < MANY; i++)
			if (gone & BIT(i))
				vram_expect(test, SVM_BASE + i * SZ_256K, SZ_256K);
		KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, MANY), 0);
		for (i = 0; i < MANY; i++)
			expect_gone(test, bos[i]);
		vram_expect_in_ram(test, SVM_BASE, MANY * SZ_256K);
	}
}

/* One that is busy keeps no other back. */
static void one_of_many_is_busy(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem[MANY];
	struct vram_bo *bos[MANY];
	struct page *page;
	int i;

	bring_many(test, devmem, bos);
	page = vram_spot(current->mm, SVM_BASE + SZ_256K).page;
	get_page(page);
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, MANY), -EBUSY);
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, bos[i]->released, i != 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, drm_pagemap_evict_many(devmem, MANY), 0);
	vram_expect_in_ram(test, SVM_BASE, MANY * SZ_256K);
}

static long evict_many_task(struct svm_task *task)
{
	return drm_pagemap_evict_many(task->arg, MANY);
}

/* While one is copied, the next one is made ready. */
static void eviction_is_a_pipeline(struct kunit *test)
{
	struct drm_pagemap_devmem *devmem[MANY];
	struct vram *vram = &vrams[0];
	struct vram_bo *bos[MANY];
	struct svm_task *task;
	struct svm_gate gate;

	bring_many(test, devmem, bos);
	svm_gate_init(&gate);
	vram_gate_set(&gate);
	vram->rules.copy = vram_gate_copies;
	task = svm_run(test, evict_many_task, 0, devmem);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&vram->seen.fences) == 2));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[true]), 0);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).place, VRAM_MOVING);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE + SZ_256K).place, VRAM_MOVING);
	vram_gate_set(NULL);
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	vram_flush();
	vram_expect_in_ram(test, SVM_BASE, MANY * SZ_256K);
}

/*
 * Errors
 */

static int fail_copy(struct vram_copy *copy)
{
	return -EIO;
}

static void failed_eviction_loses_nothing(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct vram_rules rules = vram->rules;
	struct vram_bo *bo = populate_filled(test, SVM_BASE, SZ_64K);
	int i;

	for (i = 0; i < 4; i++) {
		vram->rules = rules;
		if (i == 0)
			vram->rules.copy = fail_copy;
		else if (i == 1)
			vram->rules.submit_err = -EIO;
		else if (i == 2)
			vram->rules.populate_err = -EIO;
		else
			break;
		KUNIT_EXPECT_EQ(test, evict(bo), -EIO);
		KUNIT_EXPECT_FALSE(test, bo->released);
		vram_expect_in(test, vram, SVM_BASE, SZ_64K);
		svm_expect_unmapped(test);
	}
	KUNIT_EXPECT_EQ(test, evict(bo), 0);
	expect_gone(test, bo);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/* Where nothing is moved, nothing may be used up. */
static void failures_leak_no_ram(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct vram_bo *bo;
	long before = 0, lost;
	int i;

	vram->rules.window = SZ_2M;
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_2M);
	bo = populate_filled(test, SVM_BASE, SZ_2M);
	vram->rules.copy = fail_copy;

	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE + SZ_2M, SZ_2M), -EIO);

	/* The first few rounds fill the page allocator's lists. */
	for (i = 0; i < 40; i++) {
		if (i == 8)
			before = si_mem_available();
		KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_SIGBUS);
	}
	/* This one tries several times. */
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, evict(bo), -EIO);
	lost = before - si_mem_available();
	/* Each kind of failure would lose 60M or more, the lists hold less. */
	KUNIT_EXPECT_LT(test, lost, (long)NPAGES(SZ_32M));
	vram->rules.copy = NULL;
	vram_expect(test, SVM_BASE, SZ_4M);
}

static struct kunit_case drm_pagemap_evict_cases[] = {
	KUNIT_CASE_PARAM(all_comes_back, evict_gen_params),
	KUNIT_CASE(rest_of_an_allocation_comes_back),
	KUNIT_CASE(protected_and_moved_memory_comes_back),
	KUNIT_CASE(memory_of_a_fork_comes_back),
	KUNIT_CASE(memory_outlives_its_process),
	KUNIT_CASE(reference_delays_but_does_not_block),
	KUNIT_CASE(busy_page_stays_alone),
	KUNIT_CASE_SLOW(eviction_waits_for_a_lock),
	KUNIT_CASE(eviction_can_be_killed),
	KUNIT_CASE(cpu_waits_for_an_eviction),
	KUNIT_CASE(unmapped_memory_keeps_its_anon_vma),
	KUNIT_CASE(huge_memory_is_unmapped_on_its_way),
	KUNIT_CASE(huge_memory_of_two_is_unmapped_on_its_way),
	KUNIT_CASE(unmapped_memory_is_held),
	KUNIT_CASE(eviction_waits_for_a_cpu_fault),
	KUNIT_CASE(pages_of_others_stay),
	KUNIT_CASE(eviction_does_not_wait_for_a_timeslice),
	KUNIT_CASE(many_come_back),
	KUNIT_CASE(some_of_many_are_gone),
	KUNIT_CASE(one_of_many_is_busy),
	KUNIT_CASE(eviction_is_a_pipeline),
	KUNIT_CASE(failed_eviction_loses_nothing),
	KUNIT_CASE(failures_leak_no_ram),
	{}
};

static struct kunit_suite drm_pagemap_evict_suite = {
	.name = "drm_pagemap_evict",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_evict_cases,
};

kunit_test_suite(drm_pagemap_evict_suite);
