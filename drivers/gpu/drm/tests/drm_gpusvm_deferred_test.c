// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: invalidations whose second pass is still to come, and what else
 * happens to the pages meanwhile: other invalidations, gets, and their end.
 */

#include <linux/dma-direct.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "drm_gpusvm_holes_fixture.h"

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static const struct drm_gpusvm_ctx owner_ctx = {
	.device_private_page_owner = &vram_owner,
	.devmem_possible = true,
};

/*
 * Second passes that take their time
 */

/* One for each second pass of a test, in the order in which they come. */
static struct svm_gate gates[4];

static void gate_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	unsigned int n = atomic_read(&svm->finishes) - 1;

	if (n < ARRAY_SIZE(gates))
		svm_gate_pass(&gates[n]);
}

static void set_gates(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(gates); i++)
		svm_gate_init(&gates[i]);
	atomic_set(&to_svm(test)->finishes, 0);
	to_svm(test)->hooks.finish = gate_finish;
}

static void open_gate(unsigned int n)
{
	complete_all(&gates[n].open);
}

static void open_all_gates(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(gates); i++)
		open_gate(i);
}

static bool wait_at_gate(unsigned int n)
{
	return wait_for_completion_timeout(&gates[n].entered, SVM_PATIENCE);
}

/* Pages, the first and how many. */
struct spot {
	s8 page, n;
};

static long hit_task(struct svm_task *task)
{
	const struct spot *spot = task->arg;

	svm_notify(task->mm, page_addr(spot->page), page_addr(spot->page + spot->n),
		   MMU_NOTIFY_CLEAR);

	return 0;
}

static struct svm_task *hit_slowly(struct kunit *test, const struct spot *spot)
{
	return svm_run(test, hit_task, 0, (void *)spot);
}

static const struct spot third = { 3, 1 };

struct second_case {
	const char *name;
	struct spot spot;
	int finishes;
	unsigned int missing;	/* in the end */
	int unmaps;		/* of pages objects */
};

static const struct second_case second_cases[] = {
	{ "another page", { 9, 1 }, 2, 2, 0 },
	{ "the page before", { 2, 1 }, 2, 2, 0 },
	{ "a page and the same one", { 3, 2 }, 2, 2, 0 },
	{ "the same page", { 3, 1 }, 1, 1, 0 },
	{ "the whole range", { 0, SMALL_PAGES }, 2, SMALL_PAGES, 1 },
};

KUNIT_ARRAY_PARAM_DESC(second, second_cases, name);

/*
 * A second pass waits for what was zapped before it began to. What is taken after
 * that has to be waited for, too, before it is unmapped and before anyone returns
 * who is waiting for it.
 */
static void second_invalidation_has_its_own_flush(struct kunit *test)
{
	const struct second_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *first, *second;
	struct svm_range *range;
	struct look *look;

	range = svm_get_small(test, 1);
	look = svm_look_at(test, range, 0);
	set_gates(test);
	first = hit_slowly(test, &third);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	second = hit_slowly(test, &c->spot);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	svm_expect_calls(test, 0, look, 0, 0);

	open_gate(0);
	if (c->finishes > 1) {
		/* No more than the page of the first may be unmapped. */
		KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&svm->finishes) == 2));
		KUNIT_EXPECT_FALSE(test, svm_done(second));
		if (svm_counts_dma(svm))
			KUNIT_EXPECT_GE(test, svm_dma_bytes(svm, 0), SMALL - PAGE_SIZE);
	}
	open_all_gates();
	KUNIT_EXPECT_EQ(test, svm_join(first), 0);
	KUNIT_EXPECT_EQ(test, svm_join(second), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), c->finishes);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), c->unmaps);
	KUNIT_EXPECT_EQ(test, atomic_read(&range->base.notifier->nr_deferred), 0);
	svm_expect_calls(test, 0, look, 0, c->missing);
	if (c->unmaps)
		svm_expect_nothing(test, range, 0);
	else
		svm_expect_holes(test, range, 0, c->missing);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_whole(test, range, 0);
	svm_expect_calls(test, 0, look, c->missing, c->missing);
}

/* And once more while that is waited for, for two devices. */
static void third_invalidation_takes_the_rest(struct kunit *test)
{
	static const struct spot spots[] = { { 3, 1 }, { 9, 1 }, { 0, SMALL_PAGES } };
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *tasks[3];
	struct svm_range *range;
	struct look *look[2];
	int i;

	range = svm_get_small(test, 2);
	for (i = 0; i < 2; i++)
		look[i] = svm_look_at(test, range, i);
	set_gates(test);
	tasks[0] = hit_slowly(test, &spots[0]);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	tasks[1] = hit_slowly(test, &spots[1]);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[1]));
	open_gate(0);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(1));
	tasks[2] = hit_slowly(test, &spots[2]);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[2]));
	open_gate(1);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(2));
	KUNIT_EXPECT_FALSE(test, svm_done(tasks[2]));
	if (svm_counts_dma(svm))
		KUNIT_EXPECT_GE(test, svm_dma_bytes(svm, 0), SMALL - 2 * PAGE_SIZE);
	open_all_gates();
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, svm_join(tasks[i]), 0);
	for (i = 0; i < 2; i++) {
		svm_expect_nothing(test, range, i);
		svm_expect_calls(test, i, look[i], 0, SMALL_PAGES);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
	svm_expect_whole(test, range, 1);
}

/* Set while a driver has taken pages but not told the device to flush yet. */
static bool starting;
static bool finished_while_starting;
static struct svm_gate start_gate;

static void gate_start(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *mmu_range)
{
	if (mmu_range->start != page_addr(12))
		return;
	WRITE_ONCE(starting, true);
	svm_gate_pass(&start_gate);
	WRITE_ONCE(starting, false);
}

static void note_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	gate_finish(svm, notifier);
	if (atomic_read(&svm->finishes) > 1 && READ_ONCE(starting))
		WRITE_ONCE(finished_while_starting, true);
}

/*
 * The pages are on the list before the driver has done all it does in its first
 * pass; a second pass that takes them from there has to wait until it has.
 */
static void second_pass_waits_for_a_first_that_is_under_way(struct kunit *test)
{
	static const struct spot behind = { SMALL_PAGES, SMALL_PAGES };
	static const struct spot spot = { 12, 1 };
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *tasks[3];
	struct svm_range *other;
	int i;

	starting = false;
	finished_while_starting = false;
	svm_gate_init(&start_gate);
	svm_map(test, page_addr(SMALL_PAGES), SMALL, RW);
	svm_get_small(test, 1);
	other = svm_fault_and_get(test, page_addr(SMALL_PAGES), &write_ctx);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(&other->base), SMALL);

	/* The first waits for the device, the second for the first. */
	set_gates(test);
	svm->hooks.finish = note_finish;
	tasks[0] = hit_slowly(test, &behind);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	tasks[1] = hit_slowly(test, &behind);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(tasks[1]));

	/* The third has taken a page, and is at it. */
	svm->hooks.start = gate_start;
	tasks[2] = hit_slowly(test, &spot);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&start_gate.entered, SVM_PATIENCE));
	open_all_gates();
	schedule_timeout_uninterruptible(HZ / 10);
	complete_all(&start_gate.open);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, svm_join(tasks[i]), 0);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(finished_while_starting));
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 2);
}

static long get_task(struct svm_task *task)
{
	return svm_get(task->arg, 1, &write_ctx);
}

static long unmap_pages_task(struct svm_task *task)
{
	svm_unmap(task->test, task->arg);

	return 0;
}

static long free_pages_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_free_pages(&task->svm->gpusvm, &range->pages[0], SMALL_PAGES);

	return 0;
}

static long remove_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_range_remove(&task->svm->gpusvm, &range->base);

	return 0;
}

struct settle_case {
	const char *name;
	long (*fn)(struct svm_task *task);
};

static const struct settle_case settle_cases[] = {
	{ "get", get_task },
	{ "unmap", unmap_pages_task },
	{ "free", free_pages_task },
	{ "remove with the last reference", remove_task },
};

KUNIT_ARRAY_PARAM_DESC(settle, settle_cases, name);

static void pages_settle_before_they_are_used_again(struct kunit *test)
{
	const struct settle_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *slow, *task;
	struct svm_range *range;
	struct look *look;

	range = svm_get_small(test, 1);
	look = svm_look_at(test, range, 0);
	set_gates(test);
	slow = hit_slowly(test, &third);
	KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
	task = svm_run(test, c->fn, 0, range);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	svm_expect_calls(test, 0, look, 0, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 0);
	KUNIT_EXPECT_FALSE(test, svm_done(slow));
	open_all_gates();
	KUNIT_EXPECT_EQ(test, svm_join(slow), 0);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	if (c->fn == get_task) {
		svm_expect_whole(test, range, 0);
		svm_expect_calls(test, 0, look, 1, 1);
		KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), 1);
	} else {
		svm_expect_unmapped(test);
		svm_expect_calls(test, 0, look, 0, SMALL_PAGES);
		KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	}
}

/* Taken again while a get, and while an unmap, waits for the first. */
static void pages_settle_until_nothing_is_taken(struct kunit *test)
{
	static const struct spot spot = { 9, 1 };
	struct svm_task *first, *second, *task;
	struct svm_range *range;
	struct look *look;
	int i;

	range = svm_get_small(test, 1);
	for (i = 0; i < 2; i++) {
		look = svm_look_at(test, range, 0);
		set_gates(test);
		first = hit_slowly(test, &third);
		KUNIT_EXPECT_TRUE(test, wait_at_gate(0));
		task = svm_run(test, i ? unmap_pages_task : get_task, 0, range);
		KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
		second = hit_slowly(test, &spot);
		KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
		open_gate(0);
		KUNIT_EXPECT_TRUE(test, wait_at_gate(1));
		KUNIT_EXPECT_FALSE(test, svm_done(task));
		open_all_gates();
		KUNIT_EXPECT_EQ(test, svm_join(first), 0);
		KUNIT_EXPECT_EQ(test, svm_join(second), 0);
		KUNIT_EXPECT_EQ(test, svm_join(task), 0);
		if (i) {
			svm_expect_nothing(test, range, 0);
			svm_expect_calls(test, 0, look, 0, SMALL_PAGES);
		} else {
			svm_expect_whole(test, range, 0);
			svm_expect_calls(test, 0, look, 2, 2);
		}
	}
}

/*
 * A fill that an invalidation meets
 */

static const struct spot *fault_spot;

/* Once, in the fault that a fill takes. */
static void hit_in_fault(struct block *block, struct vm_fault *vmf)
{
	const struct spot *spot = xchg(&fault_spot, NULL);

	if (spot)
		svm_hit(spot->page, spot->n);
}

struct meet_case {
	const char *name;
	struct spot spot;
	long fills;
	long gets;
	int unmaps;
	long retries;	/* where the hit is between the walk and the commit */
};

static const struct meet_case meet_cases[] = {
	{ "elsewhere", { SMALL_PAGES + 1, 1 }, 1, 1, 1, 0 },
	{ "the hole", { 7, 1 }, 1, 1, 1, 1 },
	{ "another page", { 11, 1 }, 2, 1, 2, 0 },
	{ "a page before the hole", { 2, 1 }, 2, 1, 2, 0 },
	{ "the page next to the hole", { 8, 1 }, 1, 1, 2, 0 },
	{ "the page before the hole", { 6, 1 }, 1, 1, 2, 0 },
	{ "the hole and more", { 5, 4 }, 1, 1, 4, 1 },
	{ "the whole range", { 0, SMALL_PAGES }, 0, 2, SMALL_PAGES, 1 },
};

KUNIT_ARRAY_PARAM_DESC(meet, meet_cases, name);

static void fill_meets_an_invalidation_in_its_fault(struct kunit *test)
{
	const struct meet_case *c = test->param_value;
	struct block *block = svm_make_block(test, SMALL_PAGES);
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct look *look;

	range = svm_get_block(test, block, 1);
	look = svm_look_at(test, range, 0);
	svm_show_in_a_row(block, 7, 1);
	svm_discard(test, page_addr(7), PAGE_SIZE);
	svm_expect_holes(test, range, 0, 1);
	fault_spot = &c->spot;
	block->fault = hit_in_fault;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_NULL(test, fault_spot);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 7, 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), c->fills);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), c->gets);
	svm_expect_calls(test, 0, look, c->unmaps, c->unmaps);
}

/**
 * struct meeting - A get that is stopped between its walk and its commit
 *
 * @getter: The get
 * @queued: All have come to where they have to wait for the test
 */
struct meeting {
	struct svm_task *getter;
	bool queued;
};

/*
 * Begin a get whose walk waits for the mmap lock. Then hold the notifier lock, so
 * that invalidations queue up at it, with the sequence not yet set.
 */
static void begin_meeting(struct kunit *test, struct meeting *meeting,
			  long (*fn)(struct svm_task *task), struct svm_range *range)
{
	struct svm_task *getter = svm_prepare(test, fn, 0, range);

	mmap_write_lock(current->mm);
	svm_start(getter);
	meeting->getter = getter;
	meeting->queued = svm_wait_until(READ_ONCE(getter->task->__state) == TASK_KILLABLE ||
					 svm_done(getter));
	meeting->queued &= !svm_done(getter);
	down_write(&to_svm(test)->gpusvm.notifier_lock);
}

static void join_meeting(struct meeting *meeting, struct svm_task *hit)
{
	svm_start(hit);
	meeting->queued &= svm_wait_blocked(hit);
}

/* The walk goes on, and its result queues up behind the invalidations. */
static void end_meeting(struct kunit *test, struct meeting *meeting)
{
	mmap_write_unlock(current->mm);
	meeting->queued &= svm_wait_blocked(meeting->getter);
	up_write(&to_svm(test)->gpusvm.notifier_lock);
	KUNIT_EXPECT_TRUE(test, meeting->queued);
}

static void fill_meets_an_invalidation_before_its_commit(struct kunit *test)
{
	const struct meet_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct meeting meeting;
	struct svm_range *range;
	struct svm_task *task;
	struct look *look;
	long err;

	range = svm_get_small(test, 1);
	look = svm_look_at(test, range, 0);
	svm_hit(7, 1);
	svm_expect_holes(test, range, 0, 1);
	task = svm_prepare(test, hit_task, 0, (void *)&c->spot);
	begin_meeting(test, &meeting, get_task, range);
	join_meeting(&meeting, task);
	end_meeting(test, &meeting);

	err = svm_join(meeting.getter);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	/* On a slow machine the time for the next walk may be up. */
	if (err == -EBUSY)
		err = svm_get(range, 1, &write_ctx);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, retries), c->retries);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, fills), c->fills);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), c->gets);
	svm_expect_whole(test, range, 0);
	svm_expect_kept(test, range, 0, look, 0, 0);
	svm_expect_calls(test, 0, look, c->unmaps, c->unmaps);
}

static struct drm_gpusvm_pages *deferred_pages;

/* Lets a second pass go on, and waits for its end, while a device is being mapped. */
static struct drm_pagemap_addr map_and_open(struct drm_pagemap *dpagemap, struct device *dev,
					    struct page *page, unsigned int order,
					    enum dma_data_direction dir)
{
	struct drm_gpusvm_pages *pages = xchg(&deferred_pages, NULL);
	unsigned long end = jiffies + HZ;

	if (pages)
		open_all_gates();
	while (pages && READ_ONCE(pages->deferred_by) && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);

	return vram_ops.device_map(dpagemap, dev, page, order, dir);
}

static long get_owned_task(struct svm_task *task)
{
	return svm_get(task->arg, 2, &owner_ctx);
}

/*
 * While a hole is filled, the first device has lost another page and waits for its
 * second pass, so it is not served. It must not be thought to have been when that
 * pass ends before the second device is done.
 */
static void second_pass_ends_while_others_are_filled(struct kunit *test)
{
	struct drm_pagemap_ops *ops = kunit_kzalloc(test, sizeof(*ops), GFP_KERNEL);
	static const struct spot spot = { 9, 1 };
	struct meeting meeting;
	struct svm_range *range;
	struct svm_task *task;
	struct look *look[2];
	long err;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, ops);
	*ops = vram_ops;
	ops->device_map = map_and_open;
	svm_fill_small(test);
	svm_move_to_device(test, 0, SMALL_PAGES);
	range = svm_get_owned(test, 2, &owner_ctx);
	for (i = 0; i < 2; i++)
		look[i] = svm_look_at(test, range, i);
	svm_hit(9, 1);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &owner_ctx), 0);
	svm_hit(2, 1);

	set_gates(test);
	task = svm_prepare(test, hit_task, 0, (void *)&spot);
	begin_meeting(test, &meeting, get_owned_task, range);
	join_meeting(&meeting, task);
	deferred_pages = &range->pages[0];
	vrams[0].dpagemap->ops = ops;
	end_meeting(test, &meeting);
	err = svm_join(meeting.getter);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_NULL(test, deferred_pages);
	/* On a slow machine the time for the next walk may be up. */
	if (err == -EBUSY)
		err = svm_get(range, 2, &owner_ctx);
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 2; i++) {
		svm_expect_same_places(test, range, i);
		svm_expect_kept(test, range, i, look[i], 0, 0);
	}
}

/*
 * Many tasks
 */

#define STRESS_ROUNDS	300

/**
 * struct stress - What the tasks of a test have in common
 *
 * @range: The range
 * @lock: Held while the CPU changes memory, and while that is compared
 * @words: What the CPU has in the first word of each page
 */
struct stress {
	struct svm_range *range;
	struct mutex lock;
	u64 words[SMALL_PAGES];
};

/* The same numbers in each run; the tasks make it different enough. */
static u32 next_number(u32 *state)
{
	*state = *state * 1664525 + 1013904223;

	return *state >> 16;
}

/* Whatever is mapped, be it with holes, leads to what the CPU has. */
static long compare(struct svm_fixture *svm, struct stress *stress, unsigned int device)
{
	struct drm_gpusvm_pages *pages = &stress->range->pages[device];
	unsigned int i, page = 0, n;
	long err = 0;

	drm_gpusvm_notifier_lock(&svm->gpusvm);
	for (i = 0; drm_gpusvm_pages_mapped(pages) && i < pages->nr_addrs; i++, page += n) {
		const struct drm_pagemap_addr *addr = &pages->dma_addr[i];
		const void *memory = phys_to_virt(dma_to_phys(svm->devices[device].dev,
							      addr->addr));
		unsigned int j;

		n = 1U << addr->order;
		if (addr->hole || addr->taken) {
			if (drm_gpusvm_pages_valid(&svm->gpusvm, pages))
				err = -ENXIO;
			continue;
		}
		for (j = 0; j < n; j++)
			if (READ_ONCE(*(u64 *)(memory + j * PAGE_SIZE)) != stress->words[page + j])
				err = -EIO;
	}
	if (drm_gpusvm_pages_mapped(pages) && page != SMALL_PAGES)
		err = -ERANGE;
	drm_gpusvm_notifier_unlock(&svm->gpusvm);

	return err;
}

static long stress_device(struct svm_task *task)
{
	unsigned int devices = task->addr, i;
	struct stress *stress = task->arg;
	struct svm_range *range = stress->range;
	long err = 0;

	for (i = 0; !err && i < STRESS_ROUNDS; i++) {
		mutex_lock(&range->lock);
		err = svm_get(range, devices, i % 5 ? &write_ctx : &read_ctx);
		if (err == -EROFS) {
			svm_unmap(task->test, range);
			err = svm_get(range, devices, &write_ctx);
		}
		if (err == -EBUSY)
			err = 0;	/* the CPU was faster all the time */
		mutex_lock(&stress->lock);
		if (!err)
			err = compare(task->svm, stress, i % devices);
		mutex_unlock(&stress->lock);
		if (i % 16 == 0)
			svm_unmap(task->test, range);
		mutex_unlock(&range->lock);
	}

	return err;
}

static long stress_cpu(struct svm_task *task)
{
	struct stress *stress = task->arg;
	u32 number = task->addr;
	long err = 0;
	int i;

	for (i = 0; !err && i < STRESS_ROUNDS; i++) {
		unsigned int page = next_number(&number) % SMALL_PAGES;
		u64 __user *p = (u64 __user *)page_addr(page);

		mutex_lock(&stress->lock);
		stress->words[page] = 0;
		err = do_madvise(task->mm, page_addr(page), PAGE_SIZE, MADV_DONTNEED);
		if (!err && next_number(&number) % 4) {
			stress->words[page] = number;
			err = put_user((u64)number, p);
		}
		mutex_unlock(&stress->lock);
		if (i % 4 == 0)
			schedule_timeout_uninterruptible(1);
	}

	return err;
}

/* Invalidations that change nothing, of any length. */
static long stress_notify(struct svm_task *task)
{
	u32 number = task->addr;
	int i;

	for (i = 0; i < STRESS_ROUNDS; i++) {
		long page = next_number(&number) % SMALL_PAGES;
		long n = 1 + next_number(&number) % (i % 8 ? 3 : SMALL_PAGES);

		svm_notify(task->mm, page_addr(page), page_addr(page + n), MMU_NOTIFY_CLEAR);
		if (i % 4 == 0)
			schedule_timeout_uninterruptible(1);
	}

	return 0;
}

static void devices_and_cpu_race_for_single_pages(struct kunit *test)
{
	static const struct {
		long (*fn)(struct svm_task *task);
		unsigned long arg;	/* devices, or where random numbers begin */
	} jobs[] = {
		{ stress_device, 2 },
		{ stress_device, SVM_DEVICES },
		{ stress_cpu, 1 },
		{ stress_cpu, 2 },
		{ stress_notify, 3 },
		{ stress_notify, 4 },
	};
	struct stress *stress = kunit_kzalloc(test, sizeof(*stress), GFP_KERNEL);
	struct svm_task *tasks[ARRAY_SIZE(jobs)];
	struct svm_fixture *svm = to_svm(test);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, stress);
	mutex_init(&stress->lock);
	svm_map(test, AT, SMALL, RW);
	stress->range = svm_fault_and_get(test, AT, &write_ctx);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		tasks[i] = svm_run(test, jobs[i].fn, jobs[i].arg, stress);
	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ_MSG(test, svm_join(tasks[i]), 0, "task %d", i);
	KUNIT_EXPECT_GT(test, svm_stat(svm, parts), 100);
	KUNIT_EXPECT_GT(test, svm_stat(svm, fills), 10);

	KUNIT_EXPECT_EQ(test, svm_get(stress->range, SVM_DEVICES, &write_ctx), 0);
	for (i = 0; i < SVM_DEVICES; i++)
		svm_expect_whole(test, stress->range, i);
	svm_hit(0, SMALL_PAGES);
	svm_expect_unmapped(test);
}

static struct kunit_case drm_gpusvm_deferred_cases[] = {
	KUNIT_CASE_PARAM(second_invalidation_has_its_own_flush, second_gen_params),
	KUNIT_CASE(third_invalidation_takes_the_rest),
	KUNIT_CASE(second_pass_waits_for_a_first_that_is_under_way),
	KUNIT_CASE_PARAM(pages_settle_before_they_are_used_again, settle_gen_params),
	KUNIT_CASE(pages_settle_until_nothing_is_taken),
	KUNIT_CASE_PARAM(fill_meets_an_invalidation_in_its_fault, meet_gen_params),
	KUNIT_CASE_PARAM(fill_meets_an_invalidation_before_its_commit, meet_gen_params),
	KUNIT_CASE(second_pass_ends_while_others_are_filled),
	KUNIT_CASE(devices_and_cpu_race_for_single_pages),
	{}
};

static struct kunit_suite drm_gpusvm_deferred_suite = {
	.name = "drm_gpusvm_deferred",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = svm_holes_init,
	.exit = vram_exit,
	.test_cases = drm_gpusvm_deferred_cases,
};

kunit_test_suite(drm_gpusvm_deferred_suite);
