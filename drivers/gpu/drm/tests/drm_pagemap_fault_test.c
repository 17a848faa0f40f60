// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: CPU faults on device memory, and copies with fences.
 */

#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include <kunit/test-bug.h>

#include "drm_pagemap_fixture.h"

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)

static void populate(struct kunit *test, unsigned long addr, unsigned long len)
{
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[0], addr, len), 0);
	KUNIT_ASSERT_EQ(test, vram_count(&vrams[0], addr, len), NPAGES(len));
}

static void populate_filled(struct kunit *test, unsigned long addr, unsigned long len)
{
	vram_map_filled(test, addr, len);
	populate(test, addr, len);
}

static s64 faults(void)
{
	return vram_stat(&vrams[0], DRM_PAGEMAP_STAT_CPU_FAULTS);
}

/* What is back in RAM of an interval, in bytes. */
static unsigned long back(unsigned long addr, unsigned long len)
{
	return vram_count_place(VRAM_RAM, addr, len) << PAGE_SHIFT;
}

/*
 * The window
 */

struct window_case {
	const char *name;
	u32 window;		/* 0: the default */
	unsigned long touch;	/* offset of the touch */
	unsigned long start;	/* what comes back */
	unsigned long end;
};

static const struct window_case window_cases[] = {
	{ "default, first", 0, 0, 0, SZ_64K },
	{ "default, inside", 0, SZ_1M + SZ_4K, SZ_1M, SZ_1M + SZ_64K },
	{ "default, last", 0, SZ_2M - 8, SZ_2M - SZ_64K, SZ_2M },
	{ "a page", SZ_4K, SZ_1M + SZ_4K, SZ_1M + SZ_4K, SZ_1M + SZ_8K },
	{ "less than a page", 1, SZ_1M + SZ_4K + 8, SZ_1M + SZ_4K, SZ_1M + SZ_8K },
	{ "256K", SZ_256K, SZ_1M - 8, SZ_1M - SZ_256K, SZ_1M },
	{ "a chunk", SZ_2M, SZ_1M, 0, SZ_2M },
	{ "more than a chunk", SZ_4M, SZ_1M, 0, SZ_2M },
	{ "as much as can be said", 1U << 31, SZ_1M, 0, SZ_2M },
};

KUNIT_ARRAY_PARAM_DESC(window, window_cases, name);

static void touch_brings_back_a_window(struct kunit *test)
{
	const struct window_case *c = test->param_value;

	vrams[0].rules.window = c->window;
	populate_filled(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_FALSE(test, vram_fault(test, SVM_BASE + c->touch, 0) & VM_FAULT_ERROR);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_2M), c->end - c->start);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE + c->start, c->end - c->start),
			c->end - c->start);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_RAM),
			NPAGES(c->end - c->start));
	vram_expect_in(test, &vrams[0], SVM_BASE, c->start);
	vram_expect_in(test, &vrams[0], SVM_BASE + c->end, SZ_2M - c->end);
	vram_expect(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
}

/* A reader that goes on needs few faults, one that jumps gets no more each time. */
static void window_grows_with_a_reader(struct kunit *test)
{
	unsigned long windows = SZ_2M / DRM_PAGEMAP_FAULT_WINDOW, i, before;

	populate_filled(test, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_2M);
	/* 1, 2, 4, 8, 16 and the rest */
	KUNIT_EXPECT_LE(test, faults(), ilog2(windows) + 1);
	KUNIT_EXPECT_GE(test, faults(), 2);

	/* Backwards, each touch brings back a window and no more. */
	populate(test, SVM_BASE, SZ_2M);
	before = faults();
	for (i = windows; i-- > 1;) {
		svm_read(test, SVM_BASE + i * DRM_PAGEMAP_FAULT_WINDOW);
		KUNIT_ASSERT_EQ(test, back(SVM_BASE, SZ_2M),
				(windows - i) * DRM_PAGEMAP_FAULT_WINDOW);
	}
	KUNIT_EXPECT_EQ(test, faults() - before, windows - 1);
	vram_expect(test, SVM_BASE, SZ_2M);
}

/* A jump ends what has grown. */
static void window_shrinks_after_a_jump(struct kunit *test)
{
	unsigned long in_ram;

	populate_filled(test, SVM_BASE, SZ_2M);
	vram_expect(test, SVM_BASE, SZ_512K);
	in_ram = back(SVM_BASE, SZ_2M);
	KUNIT_ASSERT_LE(test, in_ram, SZ_1M);
	svm_read(test, SVM_BASE + SZ_2M - SZ_256K);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_2M), in_ram + DRM_PAGEMAP_FAULT_WINDOW);
}

/* The window ends where the VMA does, and takes nobody else's memory along. */
static void window_stays_in_its_vma(struct kunit *test)
{
	vrams[0].rules.window = SZ_256K;
	populate_filled(test, SVM_BASE, SZ_256K);
	svm_munmap(test, SVM_BASE, SZ_64K);
	svm_mprotect(test, SVM_BASE + SZ_128K, SZ_64K, PROT_READ);
	svm_read(test, SVM_BASE + SZ_64K);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE + SZ_64K, SZ_64K), SZ_64K);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_128K, SZ_128K);
	vram_expect(test, SVM_BASE + SZ_64K, SZ_256K - SZ_64K);
}

static void window_takes_several_allocations(struct kunit *test)
{
	unsigned long step = SZ_16K, i;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	for (i = 0; i < SZ_64K; i += step)
		populate(test, SVM_BASE + i, step);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 4);
	svm_read(test, SVM_BASE);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
	KUNIT_EXPECT_EQ(test, faults(), 1);
}

/* Memory of a peer in the window is not this device's to copy. */
static void window_leaves_other_memory(struct kunit *test)
{
	vram_map_filled(test, SVM_BASE, SZ_64K);
	populate(test, SVM_BASE, SZ_32K);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[1], SVM_BASE + SZ_32K, SZ_16K), 0);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[VRAM_STRANGER],
					    SVM_BASE + SZ_32K + SZ_16K, SZ_16K), 0);
	svm_read(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_32K), SZ_32K);
	vram_expect_in(test, &vrams[VRAM_STRANGER], SVM_BASE + SZ_32K + SZ_16K, SZ_16K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/* mremap() puts memory to an address that is not aligned as before. */
static void window_follows_mremap(struct kunit *test)
{
	unsigned long to = SVM_BASE + SZ_8M + SZ_4K * 3, i;

	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	vram_map_filled(test, SVM_BASE + SZ_2M, SZ_64K);
	populate(test, SVM_BASE, SZ_2M + SZ_64K);
	svm_mremap(test, SVM_BASE, SZ_2M, to);
	svm_mremap(test, SVM_BASE + SZ_2M, SZ_64K, to + SZ_2M);
	for (i = 0; i < SZ_2M + SZ_64K; i += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, svm_read(test, to + i), SVM_BASE + i + 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
}

/* Another device pulls part of a huge folio's memory over the CPU's head. */
static void huge_folio_in_small_entries_comes_back(struct kunit *test)
{
	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	populate(test, SVM_BASE, SZ_2M);
	svm_mprotect(test, SVM_BASE + SZ_64K, SZ_4K, PROT_READ);
	KUNIT_EXPECT_FALSE(test, vram_spot(current->mm, SVM_BASE).huge);
	vram_expect(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 0);
}

/* CPU faults for writing count no less. */
static void write_brings_back_a_window(struct kunit *test)
{
	populate_filled(test, SVM_BASE, SZ_128K);
	vram_fill(test, SVM_BASE + SZ_64K, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_128K), SZ_64K);
	vram_expect(test, SVM_BASE, SZ_128K);
}

/*
 * The timeslice
 */

/* Long enough for what has to happen in it, however slow the machine. */
#define TIMESLICE_MS	2000

static void populate_for(struct kunit *test, unsigned long addr, unsigned long len,
			 unsigned long timeslice_ms)
{
	vram_map_filled(test, addr, len);
	KUNIT_ASSERT_EQ(test, drm_pagemap_populate_mm(vrams[0].dpagemap, addr, addr + len,
						      current->mm, timeslice_ms), 0);
	vram_expect_in(test, &vrams[0], addr, len);
}

static long read_word(struct svm_task *task)
{
	u64 value = 0;

	return get_user(value, (u64 __user *)task->addr) ?: value != task->addr + 1;
}

/*
 * Whoever touches the memory sleeps, once, instead of trying again and again,
 * and the mmap lock is free meanwhile.
 */
static void timeslice_lets_the_cpu_sleep(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long start = jiffies;
	struct svm_task *task;

	populate_for(test, SVM_BASE, SZ_64K, TIMESLICE_MS);
	task = svm_run(test, read_word, SVM_BASE, NULL);
	KUNIT_EXPECT_TRUE(test,
			  svm_wait_until(vram_stat(vram, DRM_PAGEMAP_STAT_TIMESLICE_WAITS)));
	mmap_write_lock(current->mm);
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 1);
	mmap_write_unlock(current->mm);

	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies,
					      start + msecs_to_jiffies(TIMESLICE_MS)));
	KUNIT_EXPECT_LE(test, vram_stat(vram, DRM_PAGEMAP_STAT_TIMESLICE_WAITS), 2);
	KUNIT_EXPECT_LE(test, faults(), 4);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/* Once it is over, there is no more to wait for. */
static void timeslice_ends(struct kunit *test)
{
	struct vram_bo *bo;
	bool over;

	populate_for(test, SVM_BASE, SZ_64K, 1);
	bo = vram_oldest(&vrams[0]);
	over = svm_wait_until(time_after_eq64(get_jiffies_64(),
					      bo->devmem.timeslice_expiration));
	vram_bo_put(bo);
	KUNIT_ASSERT_TRUE(test, over);
	vram_expect(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TIMESLICE_WAITS), 0);
	KUNIT_EXPECT_EQ(test, faults(), 1);
}

/* Populating again what is there already extends its time. */
static void timeslice_is_extended(struct kunit *test)
{
	unsigned long start;

	populate_for(test, SVM_BASE, SZ_64K, 0);
	start = jiffies;
	KUNIT_EXPECT_EQ(test, drm_pagemap_populate_mm(vrams[0].dpagemap, SVM_BASE,
						      SVM_BASE + SZ_64K, current->mm,
						      TIMESLICE_MS), 0);
	vram_expect(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies,
					      start + msecs_to_jiffies(TIMESLICE_MS)));
}

/* Who can't let go of the lock waits with it; who can't wait is told so. */
static void timeslice_respects_the_kind_of_fault(struct kunit *test)
{
	unsigned long start = jiffies;
	vm_fault_t ret;

	populate_for(test, SVM_BASE, SZ_64K, TIMESLICE_MS);
	ret = vram_fault(test, SVM_BASE, FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT);
	KUNIT_EXPECT_TRUE(test, ret & VM_FAULT_RETRY);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, start + msecs_to_jiffies(TIMESLICE_MS)));
	KUNIT_EXPECT_EQ(test, atomic_read(&vrams[0].live), 1);

	ret = vram_fault(test, SVM_BASE, 0);
	KUNIT_EXPECT_FALSE(test, ret & (VM_FAULT_ERROR | VM_FAULT_RETRY));
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies,
					      start + msecs_to_jiffies(TIMESLICE_MS)));
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/* The window of a fault does not shorten the time of what lies beside it. */
static void timeslice_is_kept_by_neighbours(struct kunit *test)
{
	vram_map_filled(test, SVM_BASE, SZ_64K);
	populate(test, SVM_BASE, SZ_32K);
	KUNIT_ASSERT_EQ(test, drm_pagemap_populate_mm(vrams[0].dpagemap, SVM_BASE + SZ_32K,
						      SVM_BASE + SZ_64K, current->mm,
						      10 * TIMESLICE_MS), 0);
	svm_read(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_32K), SZ_32K);
	vram_expect_in(test, &vrams[0], SVM_BASE + SZ_32K, SZ_32K);
	svm_discard(test, SVM_BASE, SZ_64K);
}

/*
 * Another process has the memory, too, since a fork. It has not asked for the timeslice, but
 * takes no more than it needs meanwhile.
 */
static void timeslice_binds_one_process_alone(struct kunit *test)
{
	struct mm_struct *child;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	child = svm_fork(test);
	KUNIT_ASSERT_EQ(test, drm_pagemap_populate_mm(vrams[0].dpagemap, SVM_BASE,
						      SVM_BASE + SZ_64K, child,
						      100 * TIMESLICE_MS), 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	svm_read(test, SVM_BASE);
	KUNIT_EXPECT_EQ(test, back(SVM_BASE, SZ_64K), PAGE_SIZE);
	vram_expect_in(test, &vrams[0], SVM_BASE + PAGE_SIZE, SZ_64K - PAGE_SIZE);
	vram_expect(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_EQ(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TIMESLICE_WAITS), 0);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
	vram_expect_mm(test, child, SVM_BASE, SZ_64K);
	mmput(child);
}

static long read_of_mm(struct svm_task *task)
{
	u64 value = 0;

	return access_remote_vm(task->arg, task->addr, &value, sizeof(value), 0) -
	       (int)sizeof(value);
}

/* One who sleeps keeps a page in its place. Others don't copy it in vain meanwhile. */
static void timeslice_is_not_spent_copying(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct svm_task *task;
	struct mm_struct *child;
	struct vram_bo *bo;

	vram_map_filled(test, SVM_BASE, PAGE_SIZE);
	child = svm_fork(test);
	KUNIT_ASSERT_EQ(test, drm_pagemap_populate_mm(vram->dpagemap, SVM_BASE,
						      SVM_BASE + PAGE_SIZE, child,
						      10 * TIMESLICE_MS), 0);
	task = svm_run(test, read_of_mm, SVM_BASE, child);
	KUNIT_EXPECT_TRUE(test,
			  svm_wait_until(vram_stat(vram, DRM_PAGEMAP_STAT_TIMESLICE_WAITS)));
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, FAULT_FLAG_ALLOW_RETRY |
					   FAULT_FLAG_RETRY_NOWAIT) & VM_FAULT_RETRY);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[true]), 0);

	/* It ends the timeslice. Whether it or the sleeper brings the page back is open. */
	bo = vram_oldest(vram);
	drm_pagemap_evict_to_ram(&bo->devmem);
	vram_bo_put(bo);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	vram_expect(test, SVM_BASE, PAGE_SIZE);
	vram_expect_mm(test, child, SVM_BASE, PAGE_SIZE);
	mmput(child);
}

/* Memory that is given up needs no time. */
static void timeslice_does_not_delay_munmap(struct kunit *test)
{
	unsigned long start = jiffies;
	struct svm_task *task;

	populate_for(test, SVM_BASE, SZ_64K, 10 * TIMESLICE_MS);
	task = svm_run(test, read_word, SVM_BASE, NULL);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(vram_stat(&vrams[0],
							 DRM_PAGEMAP_STAT_TIMESLICE_WAITS)));
	svm_munmap(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, time_before(jiffies,
					    start + msecs_to_jiffies(10 * TIMESLICE_MS)));
	KUNIT_EXPECT_EQ(test, svm_join(task), -EFAULT);
}

/*
 * A CPU fault that fails
 */

static int copy_err;

static int fail_copy(struct vram_copy *copy)
{
	return copy_err;
}

static void failed_copy_loses_nothing(struct kunit *test)
{
	u64 __user *p = (u64 __user *)SVM_BASE;
	u64 value = 1;

	populate_filled(test, SVM_BASE, SZ_64K);
	copy_err = -EIO;
	vrams[0].rules.copy = fail_copy;
	KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_SIGBUS);
	KUNIT_EXPECT_EQ(test, get_user(value, p), -EFAULT);
	KUNIT_EXPECT_EQ(test, value, 0);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	KUNIT_EXPECT_GE(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_FAILED), 1);
	svm_expect_unmapped(test);

	/* A lack of memory on the way is no fault of the process. */
	copy_err = -ENOMEM;
	KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_OOM);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);

	vrams[0].rules.copy = NULL;
	vrams[0].rules.submit_err = -ENOMEM;
	KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_OOM);

	/* What the core uses to tell itself something is an error of a provider's. */
	vrams[0].rules.submit_err = -EAGAIN;
	KUNIT_EXPECT_TRUE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_SIGBUS);
	vrams[0].rules.submit_err = 0;
	vram_expect(test, SVM_BASE, SZ_64K);
}

static int signal_copies;

/* As a driver that waits for room in its batches, so that a signal ends that */
static int copy_with_a_signal(struct vram_copy *copy)
{
	return signal_copies-- > 0 ? -ERESTARTSYS : 0;
}

static void signal_is_no_bus_error(struct kunit *test)
{
	populate_filled(test, SVM_BASE, SZ_64K);
	vrams[0].rules.copy = copy_with_a_signal;
	signal_copies = 2;
	KUNIT_EXPECT_FALSE(test, vram_fault(test, SVM_BASE, 0) & VM_FAULT_ERROR);
	vram_expect_in(test, &vrams[0], SVM_BASE, SZ_64K);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/* An engine that can't do the window may still do a page. */
static int fail_long_copy(struct vram_copy *copy)
{
	return copy->npages > 1 ? -ENOMEM : 0;
}

static void page_comes_if_the_window_can_not(struct kunit *test)
{
	populate_filled(test, SVM_BASE, SZ_64K);
	vrams[0].rules.copy = fail_long_copy;
	vram_expect(test, SVM_BASE, SZ_64K);
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/*
 * Fences
 */

static long populate_task(struct svm_task *task)
{
	unsigned long len = (unsigned long)task->arg;

	return drm_pagemap_populate_mm(vrams[0].dpagemap, task->addr, task->addr + len,
				       current->mm, 0);
}

static struct svm_task *populate_by_task(struct kunit *test, unsigned long addr,
					 unsigned long len)
{
	return svm_run(test, populate_task, addr, (void *)len);
}

static void nothing_is_copied_before_the_fence(struct kunit *test)
{
	struct dma_fence *fence = vram_fence_create(test);
	struct vram *vram = &vrams[0];
	struct svm_task *task;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	vram->rules.pre_fence = fence;
	task = populate_by_task(test, SVM_BASE, SZ_64K);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 0);
	dma_fence_signal(fence);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 1);
	vram_expect_in(test, vram, SVM_BASE, SZ_64K);

	/* It is put as soon as it has served. */
	vram_flush();
	KUNIT_EXPECT_EQ(test, kref_read(&fence->refcount), 1);
	vram->rules.pre_fence = NULL;
	vram_expect(test, SVM_BASE, SZ_64K);
}

/* The second of two copies fails: neither side is the worse for it. */
static atomic_t copies_left;

static int fail_after(struct vram_copy *copy)
{
	return atomic_dec_return(&copies_left) < 0 ? -EIO : 0;
}

static void error_of_a_fence_undoes_all(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long addr;

	/* RAM, peer, RAM, peer: copies of two engines */
	vram_map_filled(test, SVM_BASE, SZ_64K);
	for (addr = SVM_BASE; addr < SVM_BASE + SZ_64K; addr += SZ_32K)
		KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[1], addr, SZ_16K), 0);
	vram->rules.copy = fail_after;
	for (int n = 0; n < 2; n++) {
		atomic_set(&copies_left, n);
		KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), -EIO);
		KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
		KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_64K), 0);
		for (addr = SVM_BASE; addr < SVM_BASE + SZ_64K; addr += SZ_32K)
			vram_expect_in(test, &vrams[1], addr, SZ_16K);
		svm_expect_unmapped(test);
	}
	vram->rules.copy = NULL;
	vram_expect(test, SVM_BASE, SZ_64K);
}

/* An error in the middle leaves what came before, and nothing half way. */
static void error_of_a_chunk_leaves_the_others(struct kunit *test)
{
	struct drm_pagemap_migrate_stats stats = {};
	struct drm_pagemap_migrate_details details = { .stats = &stats };
	struct vram *vram = &vrams[0];
	unsigned long moved;

	vram_map_filled(test, SVM_BASE, SZ_8M);
	atomic_set(&copies_left, 2);
	vram->rules.copy = fail_after;
	KUNIT_EXPECT_EQ(test, vram_populate_stats(test, vram, SVM_BASE, SZ_8M, &details), -EIO);
	vram->rules.copy = NULL;
	moved = vram_count(vram, SVM_BASE, SZ_8M);
	KUNIT_EXPECT_EQ(test, moved, NPAGES(SZ_4M));
	KUNIT_EXPECT_EQ(test, stats.moved, moved);
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_RAM, SVM_BASE, SZ_8M),
			NPAGES(SZ_8M) - moved);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 2);
	svm_expect_unmapped(test);
	vram_expect(test, SVM_BASE, SZ_8M);
}

/*
 * The pipeline
 */

/* While the copy of a chunk is under way, the next chunk is made ready. */
static void chunk_is_prepared_during_a_copy(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct svm_task *task;
	struct svm_gate gate;

	vram_map_filled(test, SVM_BASE, SZ_4M);
	svm_gate_init(&gate);
	vram_gate_set(&gate);
	vram->rules.copy = vram_gate_copies;
	task = populate_by_task(test, SVM_BASE, SZ_4M);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&vram->seen.fences) == 2));
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.copies[false]), 0);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE).place, VRAM_MOVING);
	KUNIT_EXPECT_EQ(test, vram_spot(current->mm, SVM_BASE + SZ_2M).place, VRAM_MOVING);
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	vram_gate_set(NULL);
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	vram_expect_in(test, vram, SVM_BASE, SZ_4M);
	vram_flush();
}

/* A CPU that touches what is on its way waits for it, and gets it back. */
static void cpu_waits_for_a_copy(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	struct svm_task *task, *reader;
	struct svm_gate gate;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	svm_gate_init(&gate);
	vram_gate_set(&gate);
	vram->rules.copy = vram_gate_copies;
	task = populate_by_task(test, SVM_BASE, SZ_64K);
	wait_for_completion_timeout(&gate.entered, SVM_PATIENCE);
	reader = svm_run(test, read_word, SVM_BASE, NULL);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(reader));
	vram_gate_set(NULL);
	complete_all(&gate.open);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, svm_join(reader), 0);
	vram_flush();
	/* Its neighbours may have been locked still when it looked at them. */
	vram_expect_in_ram(test, SVM_BASE, PAGE_SIZE);
	vram_expect(test, SVM_BASE, SZ_64K);
}

/*
 * Making room
 */

static atomic_t busy_left;

static int busy_at_first(struct vram *vram, size_t size, bool may_wait)
{
	if (!may_wait && atomic_dec_return(&busy_left) >= 0)
		return -EBUSY;
	if (may_wait) {
		/* Whatever was on its way has arrived: all of it can be evicted. */
		KUNIT_EXPECT_EQ(kunit_get_current_test(), vram_count_place(VRAM_MOVING, SVM_BASE,
									   SZ_8M), 0);
		mmap_write_lock(current->mm);
		mmap_write_unlock(current->mm);
	}

	return 0;
}

static void provider_may_wait_without_locks(struct kunit *test)
{
	struct vram *vram = &vrams[0];

	vram_map_filled(test, SVM_BASE, SZ_8M);
	atomic_set(&busy_left, 2);
	vram->rules.alloc = busy_at_first;
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_8M), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.waits), 2);
	vram_expect_in(test, vram, SVM_BASE, SZ_8M);
	vram_expect(test, SVM_BASE, SZ_8M);
}

/* What was waited for is not wanted any more: it goes back. */
static int discard_meanwhile(struct vram *vram, size_t size, bool may_wait)
{
	if (!may_wait && vram->seen.alloc_size == SZ_64K)
		return -EBUSY;
	if (may_wait)
		return do_madvise(current->mm, SVM_BASE, SZ_32K, MADV_DONTNEED) ?:
		       vm_munmap(SVM_BASE + SZ_32K, SZ_16K);

	return 0;
}

static void memory_may_go_while_room_is_made(struct kunit *test)
{
	struct vram *vram = &vrams[0];

	vram_map_filled(test, SVM_BASE, SZ_64K);
	vram->rules.alloc = discard_meanwhile;
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_64K), NPAGES(SZ_64K - SZ_16K));
	vram_expect_zero(test, SVM_BASE, SZ_32K);
	vram_expect(test, SVM_BASE + SZ_64K - SZ_16K, SZ_16K);
}

/*
 * Making room for a part takes other pages of that part away, so more of it is to be
 * moved than there is room for, again and again.
 */
static void room_is_made_of_the_chunk_itself(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long i;

	vram->rules.limit = 16;
	vram->rules.window = PAGE_SIZE;
	vram_map_filled(test, SVM_BASE, 16 * PAGE_SIZE);
	for (i = 0; i < 6; i++)
		KUNIT_ASSERT_EQ(test, 0, vram_populate(test, vram, SVM_BASE + i * PAGE_SIZE,
						       PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, vram_populate(test, vram, SVM_BASE + 6 * PAGE_SIZE,
					       2 * PAGE_SIZE));
	svm_read(test, SVM_BASE + 7 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, 16 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.waits), 2);
	vram_expect_in(test, vram, SVM_BASE, 16 * PAGE_SIZE);
	vram_expect(test, SVM_BASE, 16 * PAGE_SIZE);
}

static int unmap_a_page_meanwhile(struct vram *vram, size_t size, bool may_wait)
{
	return may_wait ? vm_munmap(SVM_BASE + size - PAGE_SIZE, PAGE_SIZE) : -EBUSY;
}

/* What was waited for is larger than need be, and all there is. */
static void more_room_than_wanted_will_do(struct kunit *test)
{
	struct vram *vram = &vrams[0];

	vram_map_filled(test, SVM_BASE, SZ_64K);
	vram->rules.alloc = unmap_a_page_meanwhile;
	KUNIT_EXPECT_EQ(test, vram_populate(test, vram, SVM_BASE, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->seen.waits), 1);
	vram_expect_in(test, vram, SVM_BASE, SZ_64K - PAGE_SIZE);
	vram_expect(test, SVM_BASE, SZ_64K - PAGE_SIZE);
}

static int always_busy(struct vram *vram, size_t size, bool may_wait)
{
	return may_wait ? 0 : -EBUSY;
}

/* It ends, whatever the provider says. */
static void provider_that_stays_busy_is_given_up(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	int err;

	vram_map_filled(test, SVM_BASE, SZ_4M);
	vram->rules.alloc = always_busy;
	/* What was waited for may do. */
	err = vram_populate(test, vram, SVM_BASE, SZ_4M);
	KUNIT_EXPECT_TRUE(test, !err || err == -EBUSY);
	KUNIT_EXPECT_LE(test, atomic_read(&vram->seen.waits), 16);
	vram_expect(test, SVM_BASE, SZ_4M);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
}

/* Four times as much memory as the device has goes through it. */
static void device_memory_is_oversubscribed(struct kunit *test)
{
	struct vram *vram = &vrams[0];
	unsigned long addr;
	int round;

	vram->rules.limit = NPAGES(SZ_1M);
	vram_map_filled(test, SVM_BASE, SZ_4M);
	for (round = 0; round < 2; round++) {
		for (addr = SVM_BASE; addr < SVM_BASE + SZ_4M; addr += SZ_1M) {
			KUNIT_EXPECT_EQ(test, vram_populate(test, vram, addr, SZ_1M), 0);
			vram_expect_in(test, vram, addr, SZ_1M);
		}
		KUNIT_EXPECT_EQ(test, vram_count(vram, SVM_BASE, SZ_4M), NPAGES(SZ_1M));
	}
	KUNIT_EXPECT_GE(test, atomic_read(&vram->seen.evictions), 7);
	vram_expect(test, SVM_BASE, SZ_4M);
}

static struct kunit_case drm_pagemap_fault_cases[] = {
	KUNIT_CASE_PARAM(touch_brings_back_a_window, window_gen_params),
	KUNIT_CASE(window_grows_with_a_reader),
	KUNIT_CASE(window_shrinks_after_a_jump),
	KUNIT_CASE(window_stays_in_its_vma),
	KUNIT_CASE(window_takes_several_allocations),
	KUNIT_CASE(window_leaves_other_memory),
	KUNIT_CASE(window_follows_mremap),
	KUNIT_CASE(huge_folio_in_small_entries_comes_back),
	KUNIT_CASE(write_brings_back_a_window),
	KUNIT_CASE(timeslice_lets_the_cpu_sleep),
	KUNIT_CASE(timeslice_ends),
	KUNIT_CASE(timeslice_is_extended),
	KUNIT_CASE(timeslice_respects_the_kind_of_fault),
	KUNIT_CASE(timeslice_is_kept_by_neighbours),
	KUNIT_CASE(timeslice_binds_one_process_alone),
	KUNIT_CASE(timeslice_is_not_spent_copying),
	KUNIT_CASE(timeslice_does_not_delay_munmap),
	KUNIT_CASE(failed_copy_loses_nothing),
	KUNIT_CASE(signal_is_no_bus_error),
	KUNIT_CASE(page_comes_if_the_window_can_not),
	KUNIT_CASE(nothing_is_copied_before_the_fence),
	KUNIT_CASE(error_of_a_fence_undoes_all),
	KUNIT_CASE(error_of_a_chunk_leaves_the_others),
	KUNIT_CASE(chunk_is_prepared_during_a_copy),
	KUNIT_CASE(cpu_waits_for_a_copy),
	KUNIT_CASE(provider_may_wait_without_locks),
	KUNIT_CASE(memory_may_go_while_room_is_made),
	KUNIT_CASE(room_is_made_of_the_chunk_itself),
	KUNIT_CASE(more_room_than_wanted_will_do),
	KUNIT_CASE(provider_that_stays_busy_is_given_up),
	KUNIT_CASE(device_memory_is_oversubscribed),
	{}
};

static struct kunit_suite drm_pagemap_fault_suite = {
	.name = "drm_pagemap_fault",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_fault_cases,
};

kunit_test_suite(drm_pagemap_fault_suite);
