// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: invalidations, in two passes and in one, beside one another
 * and beside everything else.
 */

#include <linux/mman.h>
#include <linux/mmu_notifier.h>

#include "drm_gpusvm_fixture.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Ranges of these tests are small, so that they take little time. */
#define CHUNK	SZ_64K

static const unsigned long chunks[] = { CHUNK };

static const struct drm_gpusvm_ctx write_ctx;

/*
 * Order
 */

/**
 * struct passes - What the passes of an invalidation saw
 *
 * @order: The passes as letters, in the order in which they came
 * @n: Number of them
 * @range: A range to look at, or NULL
 * @valid: Whether its pages were mapped in the last pass
 * @addrs: Entries that they had in the last pass
 * @bytes: Bytes that were mapped for the first device in the last pass
 */
struct passes {
	char order[16];
	unsigned int n;
	struct svm_range *range;
	bool valid;
	unsigned int addrs;
	long bytes;
};

static void note_pass(struct svm_fixture *svm, char pass)
{
	struct passes *passes = svm->arg;

	if (passes->n < sizeof(passes->order) - 1)
		passes->order[passes->n++] = pass;
	if (passes->range) {
		passes->valid = passes->range->pages[0].flags.has_dma_mapping;
		passes->addrs = passes->range->pages[0].nr_addrs;
	}
	passes->bytes = svm_dma_bytes(svm, 0);
}

static void note_start(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *mmu_range)
{
	note_pass(svm, 'S');
}

static void note_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	note_pass(svm, 'F');
}

/* The end of the mm invalidates as well, when what is on the stack here is gone. */
static void forget_passes(struct svm_fixture *svm)
{
	svm->hooks.start = NULL;
	svm->hooks.finish = NULL;
}

static void pages_are_invalid_first_and_unmapped_last(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct passes passes = {};

	svm_map(test, SVM_BASE, CHUNK, RW);
	passes.range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm->arg = &passes;
	svm->hooks.start = note_start;
	svm_discard(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, passes.valid);
	KUNIT_EXPECT_GT(test, passes.addrs, 0);
	if (svm_counts_dma(svm))
		KUNIT_EXPECT_EQ(test, passes.bytes, CHUNK);
	svm_expect_unmapped(test);

	KUNIT_EXPECT_EQ(test, svm_get(passes.range, 1, &write_ctx), 0);
	svm->hooks.finish = note_finish;
	svm_discard(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, passes.order, "SSF");
	KUNIT_EXPECT_FALSE(test, passes.valid);
	KUNIT_EXPECT_GT(test, passes.addrs, 0);
	if (svm_counts_dma(svm))
		KUNIT_EXPECT_EQ(test, passes.bytes, CHUNK);
	KUNIT_EXPECT_EQ(test, passes.range->pages[0].nr_addrs, 0);
	svm_expect_unmapped(test);
	forget_passes(svm);
}

static void all_windows_start_before_one_finishes(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct passes passes = {};
	unsigned long addr;

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	for (addr = SVM_BASE; addr < SVM_BASE + 3 * SVM_WINDOW; addr += SVM_WINDOW) {
		svm_fault_and_get(test, addr, &write_ctx);
		svm_fault_and_get(test, addr + 4 * CHUNK, &write_ctx);
	}
	svm->arg = &passes;
	svm->hooks.start = note_start;
	svm->hooks.finish = note_finish;
	svm_munmap(test, SVM_BASE, SVM_SIZE);
	KUNIT_EXPECT_STREQ(test, passes.order, "SSSFFF");
	svm_expect_unmapped(test);
	forget_passes(svm);
}

static void nothing_mapped_means_no_second_pass(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);

	svm_map(test, SVM_BASE, 4 * CHUNK, RW);
	svm_fault(test, SVM_BASE, &write_ctx);
	svm_notify(current->mm, SVM_BASE, SVM_BASE + CHUNK, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 0);
	svm_notify(current->mm, SVM_BASE + CHUNK, SVM_BASE + 4 * CHUNK, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, invalidations), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, invalidations_idle), 1);
}

static void caller_that_must_not_sleep_is_sent_away(struct kunit *test)
{
	struct mmu_notifier_range mmu_range;
	struct svm_range *range;

	svm_map(test, SVM_BASE, CHUNK, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	mmu_notifier_range_init(&mmu_range, MMU_NOTIFY_CLEAR, 0, current->mm,
				SVM_BASE, SVM_BASE + CHUNK);
	KUNIT_EXPECT_EQ(test, mmu_notifier_invalidate_range_start_nonblock(&mmu_range), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
}

/*
 * A walk that an invalidation meets
 */

struct meeting {
	const char *name;
	struct {
		unsigned long start, end;
	} hit[12];			/* offsets in the window, in order */
	unsigned int retries;
};

#define ELSEWHERE	{ 2 * CHUNK, 3 * CHUNK }
#define IN_RANGE	{ CHUNK, CHUNK + SZ_4K }

/* Where invalidations are; the range is the second chunk. */
static const struct meeting meetings[] = {
	{ "elsewhere", { ELSEWHERE }, 0 },
	{ "right before", { { CHUNK - SZ_4K, CHUNK } }, 0 },
	{ "right behind", { { 2 * CHUNK, 2 * CHUNK + SZ_4K } }, 0 },
	{ "first page", { IN_RANGE }, 1 },
	{ "last page", { { 2 * CHUNK - SZ_4K, 4 * CHUNK } }, 1 },
	{ "end reaches in", { { 0, CHUNK + SZ_4K } }, 1 },
	{ "all of it", { { 0, SVM_WINDOW } }, 1 },
	{ "first hits, second does not", { IN_RANGE, ELSEWHERE }, 1 },
	{ "second hits, first does not", { ELSEWHERE, IN_RANGE }, 1 },
	{ "as many as are remembered", {
		ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE,
		ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE }, 0 },
	{ "as many as are remembered, first hits", {
		IN_RANGE, ELSEWHERE, ELSEWHERE, ELSEWHERE,
		ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE }, 1 },
	{ "more than are remembered", {
		ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE,
		ELSEWHERE, ELSEWHERE, ELSEWHERE, ELSEWHERE }, 1 },
};

KUNIT_ARRAY_PARAM_DESC(meeting, meetings, name);

static long notify_task(struct svm_task *task)
{
	const unsigned long *bounds = task->arg;

	svm_notify(task->mm, task->addr + bounds[0], task->addr + bounds[1],
		   MMU_NOTIFY_CLEAR);

	return 0;
}

static long get_task(struct svm_task *task)
{
	return svm_get(task->arg, 1, &write_ctx);
}

/*
 * The notifier lock is held, so that all queue up at it: the invalidations, with
 * the sequence not yet set, and behind them the walk, with its result.
 */
static void walk_is_wasted_only_where_it_was_hit(struct kunit *test)
{
	const struct meeting *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *getter, *hits[ARRAY_SIZE(c->hit)];
	struct svm_range *range;
	bool queued = true;
	long err;
	int i;

	svm_map(test, SVM_BASE, 4 * CHUNK, RW);
	svm_touch(test, SVM_BASE + CHUNK, CHUNK);
	range = svm_fault(test, SVM_BASE + CHUNK, &write_ctx);

	for (i = 0; c->hit[i].end; i++)
		hits[i] = svm_prepare(test, notify_task, SVM_BASE, (void *)&c->hit[i]);
	getter = svm_prepare(test, get_task, 0, range);

	down_write(&svm->gpusvm.notifier_lock);
	for (i = 0; c->hit[i].end; i++) {
		svm_start(hits[i]);
		queued &= svm_wait_blocked(hits[i]);
	}
	svm_start(getter);
	queued &= svm_wait_until(svm_stat(svm, walks) == 1);
	queued &= svm_wait_blocked(getter);
	up_write(&svm->gpusvm.notifier_lock);

	KUNIT_EXPECT_TRUE(test, queued);
	err = svm_join(getter);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, retries), c->retries);
	/* On a slow machine the time for the second walk may be up. */
	if (err == -EBUSY && c->retries)
		err = svm_get(range, 1, &write_ctx);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 1 + c->retries);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	svm_expect_same_memory(test, range, 0);
}

static long unmap_notify_task(struct svm_task *task)
{
	svm_notify(task->mm, task->addr, task->addr + PAGE_SIZE, MMU_NOTIFY_UNMAP);

	return 0;
}

static long get_bare_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	return drm_gpusvm_get_pages(&task->svm->gpusvm, &range->pages[0], task->mm,
				    &range->base.notifier->notifier,
				    drm_gpusvm_range_start(&range->base),
				    drm_gpusvm_range_end(&range->base), &write_ctx);
}

/* With and without a range: pages that were unmapped meanwhile are not mapped. */
static void unmap_during_a_walk_fails_it(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *getters[2], *unmap[2];
	struct svm_range *ranges[2];
	bool queued = true;
	int i;

	svm_map(test, SVM_BASE, 2 * CHUNK, RW);
	svm_touch(test, SVM_BASE, 2 * CHUNK);
	for (i = 0; i < 2; i++) {
		ranges[i] = svm_fault(test, SVM_BASE + i * CHUNK, &write_ctx);
		unmap[i] = svm_prepare(test, unmap_notify_task, SVM_BASE + i * CHUNK, NULL);
		getters[i] = svm_prepare(test, i ? get_bare_task : get_task, 0, ranges[i]);
	}

	down_write(&svm->gpusvm.notifier_lock);
	for (i = 0; i < 2; i++) {
		svm_start(unmap[i]);
		queued &= svm_wait_blocked(unmap[i]);
	}
	for (i = 0; i < 2; i++) {
		svm_start(getters[i]);
		queued &= svm_wait_until(svm_stat(svm, walks) == i + 1);
		queued &= svm_wait_blocked(getters[i]);
	}
	up_write(&svm->gpusvm.notifier_lock);

	KUNIT_EXPECT_TRUE(test, queued);
	for (i = 0; i < 2; i++) {
		long err = svm_join(getters[i]);

		/* On a slow machine the time for the second walk may be up. */
		KUNIT_EXPECT_TRUE_MSG(test, err == (i ? -EFAULT : -ESTALE) || err == -EBUSY,
				      "%ld", err);
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &ranges[i]->pages[0]));
	}
}

/*
 * Second passes that take their time
 */

static struct svm_gate finish_gate;

/* Stops in the window that svm->arg is in, or in all. */
static void gate_finish(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier)
{
	if (!svm->arg || svm->arg == notifier)
		svm_gate_pass(&finish_gate);
}

static void gate_start(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *mmu_range)
{
	gate_finish(svm, notifier);
}

static const unsigned long first_page[] = { 0, PAGE_SIZE };

/* Start an invalidation of a range and wait until it waits for the device. */
static struct svm_task *start_slow_invalidation(struct kunit *test, unsigned long addr)
{
	struct svm_task *task;

	svm_gate_init(&finish_gate);
	to_svm(test)->hooks.finish = gate_finish;
	task = svm_run(test, notify_task, addr, (void *)first_page);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&finish_gate.entered, SVM_PATIENCE));

	return task;
}

static void end_slow_invalidation(struct kunit *test, struct svm_task *task)
{
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	complete_all(&finish_gate.open);
	svm_join(task);
}

static void expect_mapped(struct kunit *test, long bytes)
{
	struct svm_fixture *svm = to_svm(test);

	if (svm_counts_dma(svm))
		KUNIT_EXPECT_EQ(test, svm_dma_bytes(svm, 0), bytes);
}

/* The second finds nothing to do, yet its pages are in use until the first is done. */
static void second_invalidation_waits_for_the_first_flush(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *first, *second;

	svm_map(test, SVM_BASE, CHUNK, RW);
	svm_fault_and_get(test, SVM_BASE, &write_ctx);
	first = start_slow_invalidation(test, SVM_BASE);
	second = svm_run(test, notify_task, SVM_BASE, (void *)first_page);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
	expect_mapped(test, CHUNK);
	end_slow_invalidation(test, first);
	svm_join(second);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 1);
}

/* The MM has one second pass a window, so the other one is done at once. */
static void two_invalidations_of_one_window_both_finish(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *first, *second;
	struct svm_range *range;

	svm_map(test, SVM_BASE, 2 * CHUNK, RW);
	svm_fault_and_get(test, SVM_BASE, &write_ctx);
	range = svm_fault_and_get(test, SVM_BASE + CHUNK, &write_ctx);
	first = start_slow_invalidation(test, SVM_BASE);
	second = svm_run(test, notify_task, SVM_BASE + CHUNK, (void *)first_page);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(second));
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	expect_mapped(test, 2 * CHUNK);
	end_slow_invalidation(test, first);
	svm_join(second);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);

	/* And the MM's one is free again. */
	KUNIT_EXPECT_EQ(test, range->base.notifier->finish_busy, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&range->base.notifier->nr_deferred), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_notify(current->mm, SVM_BASE, SVM_BASE + 2 * CHUNK, MMU_NOTIFY_CLEAR);
	svm_expect_unmapped(test);
}

static long unmap_pages_task(struct svm_task *task)
{
	svm_unmap(task->test, task->arg);

	return 0;
}

static long free_pages_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;

	drm_gpusvm_free_pages(&task->svm->gpusvm, &range->pages[0], CHUNK >> PAGE_SHIFT);

	return 0;
}

static long remove_range_task(struct svm_task *task)
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
	{ "unmap", unmap_pages_task },
	{ "free", free_pages_task },
	{ "remove with the last reference", remove_range_task },
	{ "get again", get_task },
};

KUNIT_ARRAY_PARAM_DESC(settle, settle_cases, name);

/* Whatever wants the pages waits until the device is done with them. */
static void pages_settle_before_they_are_used_again(struct kunit *test)
{
	const struct settle_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_task *slow, *task;
	struct svm_range *range;

	svm_map(test, SVM_BASE, CHUNK, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	slow = start_slow_invalidation(test, SVM_BASE);
	task = svm_run(test, c->fn, 0, range);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	expect_mapped(test, CHUNK);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 0);
	end_slow_invalidation(test, slow);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	if (c->fn == get_task)
		svm_expect_same_memory(test, range, 0);
	else
		svm_expect_unmapped(test);
}

/* What goes on in another window while one waits: get, insert, commit, invalidate. */
static long other_window_task(struct svm_task *task)
{
	struct svm_range *range = task->arg;
	struct drm_gpusvm_range *more;
	int err;

	err = svm_get(range, 1, &write_ctx);
	if (err)
		return err;
	if (!svm_valid(task->test, &range->pages[0]))
		return -EAGAIN;

	more = drm_gpusvm_range_get_or_insert(&task->svm->gpusvm, task->addr + 2 * CHUNK,
					      SVM_BASE, SVM_END, &write_ctx);
	if (IS_ERR(more))
		return PTR_ERR(more);
	err = svm_get(to_svm_range(more), 1, &write_ctx);
	drm_gpusvm_range_put(more);
	if (err)
		return err;

	svm_notify(task->mm, task->addr, task->addr + CHUNK, MMU_NOTIFY_CLEAR);

	return svm_valid(task->test, &range->pages[0]) ? -EBUSY : 0;
}

static void waiting_disturbs_no_other_window(struct kunit *test)
{
	unsigned long other = SVM_BASE + SVM_WINDOW;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *slow, *range;
	struct svm_task *first, *task;

	svm_map(test, SVM_BASE, 2 * SVM_WINDOW, RW);
	slow = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	range = svm_fault(test, other, &write_ctx);
	svm->arg = slow->base.notifier;
	first = start_slow_invalidation(test, SVM_BASE);
	task = svm_run(test, other_window_task, other, range);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(svm_done(task)));
	end_slow_invalidation(test, first);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 2);
}

/* What the second pass is there for: with one, everybody waits. */
static void one_pass_stops_the_address_space(struct kunit *test)
{
	unsigned long other = SVM_BASE + SVM_WINDOW;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *slow, *range;
	struct svm_task *first, *task;

	svm_restart(test, &svm_ops_one_pass, chunks, ARRAY_SIZE(chunks));
	svm_map(test, SVM_BASE, 2 * SVM_WINDOW, RW);
	slow = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	range = svm_fault(test, other, &write_ctx);
	svm->arg = slow->base.notifier;
	svm->hooks.start = gate_start;
	first = start_slow_invalidation(test, SVM_BASE);
	task = svm_run(test, other_window_task, other, range);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	end_slow_invalidation(test, first);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
}

/* Two windows, each with a slow pass, and an invalidation of both: no deadlock. */
static void invalidations_of_two_windows_do_not_deadlock(struct kunit *test)
{
	static const unsigned long both[] = { 0, 2 * SVM_WINDOW };
	struct svm_task *tasks[6];
	int i, round;

	svm_map(test, SVM_BASE, 2 * SVM_WINDOW, RW);
	for (round = 0; round < 10; round++) {
		svm_fault_and_get(test, SVM_BASE, &write_ctx);
		svm_fault_and_get(test, SVM_BASE + SVM_WINDOW, &write_ctx);
		for (i = 0; i < ARRAY_SIZE(tasks); i++)
			tasks[i] = svm_run(test, notify_task, SVM_BASE, (void *)both);
		for (i = 0; i < ARRAY_SIZE(tasks); i++)
			KUNIT_ASSERT_EQ(test, svm_join(tasks[i]), 0);
		svm_expect_unmapped(test);
	}
}

static int invalidate_init(struct kunit *test)
{
	int err = svm_init(test);

	if (!err)
		svm_restart(test, &svm_ops_two_pass, chunks, ARRAY_SIZE(chunks));

	return err;
}

static struct kunit_case drm_gpusvm_invalidate_cases[] = {
	KUNIT_CASE(pages_are_invalid_first_and_unmapped_last),
	KUNIT_CASE(all_windows_start_before_one_finishes),
	KUNIT_CASE(nothing_mapped_means_no_second_pass),
	KUNIT_CASE(caller_that_must_not_sleep_is_sent_away),
	KUNIT_CASE_PARAM(walk_is_wasted_only_where_it_was_hit, meeting_gen_params),
	KUNIT_CASE(unmap_during_a_walk_fails_it),
	KUNIT_CASE(second_invalidation_waits_for_the_first_flush),
	KUNIT_CASE(two_invalidations_of_one_window_both_finish),
	KUNIT_CASE_PARAM(pages_settle_before_they_are_used_again, settle_gen_params),
	KUNIT_CASE(waiting_disturbs_no_other_window),
	KUNIT_CASE(one_pass_stops_the_address_space),
	KUNIT_CASE(invalidations_of_two_windows_do_not_deadlock),
	{}
};

static struct kunit_suite drm_gpusvm_invalidate_suite = {
	.name = "drm_gpusvm_invalidate",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = invalidate_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_invalidate_cases,
};

kunit_test_suite(drm_gpusvm_invalidate_suite);
