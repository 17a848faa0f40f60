// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: many tasks at once, and no memory at any point.
 */

#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/fault-inject.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "drm_gpusvm_fixture.h"

#define RW	(PROT_READ | PROT_WRITE)

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

/*
 * Many tasks
 */

#define TASKS	8

/**
 * struct crowd - What the tasks of a test have in common
 *
 * @start: All of them begin at the same time
 * @rounds: How often each does what it does
 * @ranges: What each has found
 */
struct crowd {
	struct completion start;
	int rounds;
	struct drm_gpusvm_range *ranges[TASKS];
};

static void run_crowd(struct kunit *test, struct crowd *crowd, int n,
		      long (*fn[])(struct svm_task *task), const unsigned long *addrs)
{
	struct svm_task *tasks[TASKS];
	int i;

	init_completion(&crowd->start);
	for (i = 0; i < n; i++)
		tasks[i] = svm_run(test, fn[i], addrs[i], crowd);
	complete_all(&crowd->start);
	for (i = 0; i < n; i++)
		KUNIT_EXPECT_EQ(test, svm_join(tasks[i]), 0);
}

static long find_task(struct svm_task *task)
{
	struct crowd *crowd = task->arg;
	struct drm_gpusvm_range *range;
	unsigned long i;

	wait_for_completion(&crowd->start);
	for (i = 0; i < crowd->rounds; i++) {
		range = drm_gpusvm_range_get_or_insert(&task->svm->gpusvm,
						       task->addr + i * SZ_2M,
						       SVM_BASE, SVM_END, &write_ctx);
		if (IS_ERR(range))
			return PTR_ERR(range);
		if (drm_gpusvm_range_start(range) != task->addr + i * SZ_2M)
			return -ERANGE;
		drm_gpusvm_range_put(range);
	}

	return 0;
}

/* All fault the same addresses: one range for each, and one notifier a window. */
static void faults_of_many_tasks_make_each_range_once(struct kunit *test)
{
	long (*fn[TASKS])(struct svm_task *task);
	struct crowd crowd = { .rounds = SVM_SIZE / SZ_2M };
	struct svm_fixture *svm = to_svm(test);
	unsigned long addrs[TASKS];
	int i;

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	for (i = 0; i < TASKS; i++) {
		fn[i] = find_task;
		addrs[i] = SVM_BASE;
	}
	run_crowd(test, &crowd, TASKS, fn, addrs);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), SVM_SIZE / SZ_2M);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), SVM_SIZE / SVM_WINDOW);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_allocs) - atomic_read(&svm->range_frees),
			SVM_SIZE / SZ_2M);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs) -
			atomic_read(&svm->notifier_frees), SVM_SIZE / SVM_WINDOW);
}

/* What a driver does for a fault, until it has served it. */
static long serve_fault(struct svm_task *task, unsigned long addr, bool remove)
{
	struct drm_gpusvm *gpusvm = &task->svm->gpusvm;
	struct drm_gpusvm_range *base;
	struct svm_range *range;
	long err;

	base = drm_gpusvm_range_get_or_insert(gpusvm, addr, SVM_BASE, SVM_END, &write_ctx);
	if (IS_ERR(base))
		return PTR_ERR(base);

	range = to_svm_range(base);
	mutex_lock(&range->lock);
	err = svm_get(range, 2, &write_ctx);
	if (!err && remove)
		svm_remove(task->test, range);
	mutex_unlock(&range->lock);
	drm_gpusvm_range_put(base);

	/* It was removed by another task: start over. */
	return err == -EFAULT || err == -ESTALE ? -EAGAIN : err;
}

static long fault_task(struct svm_task *task)
{
	struct crowd *crowd = task->arg;
	int i, tries;
	long err;

	wait_for_completion(&crowd->start);
	for (i = 0; i < crowd->rounds; i++) {
		tries = 0;
		do {
			err = serve_fault(task, task->addr + (i % 4) * SZ_64K, false);
		} while (err == -EAGAIN && ++tries < 10000);
		if (err)
			return err;
	}

	return 0;
}

static long remove_task(struct svm_task *task)
{
	struct crowd *crowd = task->arg;
	long err;
	int i;

	wait_for_completion(&crowd->start);
	for (i = 0; i < crowd->rounds; i++) {
		err = serve_fault(task, task->addr + (i % 4) * SZ_64K, true);
		if (err && err != -EAGAIN)
			return err;
	}

	return 0;
}

/*
 * The last range of a window goes, and its notifier, while others insert there.
 * The VMA begins a page late, so that the ranges are small.
 */
static void insertion_meets_removal(struct kunit *test)
{
	static const unsigned long addrs[] = {
		SVM_BASE + SZ_64K, SVM_BASE + SZ_64K,
		SVM_BASE + SZ_64K, SVM_BASE + SZ_128K,
	};
	long (*fn[])(struct svm_task *task) = {
		fault_task, remove_task, remove_task, remove_task,
	};
	struct crowd crowd = { .rounds = 60 };

	svm_map(test, SVM_BASE + PAGE_SIZE, SZ_1M, RW);
	run_crowd(test, &crowd, ARRAY_SIZE(fn), fn, addrs);
	svm_remove_all(test);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), ranges), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), notifiers), 0);
	svm_expect_unmapped(test);
}

/* A page that is mapped for the device must be in use by someone. */
static long look_at_pages(struct svm_fixture *svm, struct svm_range *range)
{
	struct drm_gpusvm_pages *pages = &range->pages[0];
	unsigned int i;
	long err = 0;

	drm_gpusvm_notifier_lock(&svm->gpusvm);
	if (drm_gpusvm_pages_valid(&svm->gpusvm, pages)) {
		for (i = 0; i < pages->nr_addrs; i++) {
			phys_addr_t phys = dma_to_phys(svm->devices[0].dev,
						       pages->dma_addr[i].addr);

			if (!page_count(compound_head(pfn_to_page(PHYS_PFN(phys)))))
				err = -ENXIO;
			READ_ONCE(*(u64 *)phys_to_virt(phys));
		}
	}
	drm_gpusvm_notifier_unlock(&svm->gpusvm);

	return err;
}

static long device_task(struct svm_task *task)
{
	struct crowd *crowd = task->arg;
	struct drm_gpusvm_range *base;
	struct svm_range *range;
	long err = 0;
	int i;

	wait_for_completion(&crowd->start);
	base = drm_gpusvm_range_get_or_insert(&task->svm->gpusvm, task->addr, SVM_BASE,
					      SVM_END, &write_ctx);
	if (IS_ERR(base))
		return PTR_ERR(base);
	range = to_svm_range(base);
	for (i = 0; !err && i < crowd->rounds; i++) {
		mutex_lock(&range->lock);
		err = svm_get(range, 2, i % 3 ? &write_ctx : &read_ctx);
		if (err == -EROFS) {
			svm_unmap(task->test, range);
			err = svm_get(range, 2, &write_ctx);
		}
		if (!err)
			err = look_at_pages(task->svm, range);
		else if (err == -EBUSY)
			err = 0;	/* the CPU was faster all the time */
		if (!err && i % 7 == 0)
			svm_unmap(task->test, range);
		mutex_unlock(&range->lock);
	}
	drm_gpusvm_range_put(base);

	return err;
}

static long cpu_task(struct svm_task *task)
{
	struct crowd *crowd = task->arg;
	int i;

	wait_for_completion(&crowd->start);
	for (i = 0; i < 3 * crowd->rounds; i++) {
		u64 __user *p = (u64 __user *)(task->addr + (i % 16) * PAGE_SIZE);

		usleep_range(50, 100);
		if (put_user(i, p) ||
		    do_madvise(task->mm, task->addr + (i % 5) * PAGE_SIZE, 2 * PAGE_SIZE,
			       MADV_DONTNEED))
			return -EIO;
	}

	return 0;
}

static const struct drm_gpusvm_ops *const race_ops[] = {
	&svm_ops_one_pass, &svm_ops_two_pass,
};

static void race_desc(const struct drm_gpusvm_ops *const *ops, char *desc)
{
	strscpy(desc, *ops == &svm_ops_one_pass ? "one pass" : "two passes",
		KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(race, race_ops, race_desc);

static void devices_and_cpu_race(struct kunit *test)
{
	static const unsigned long addrs[] = {
		SVM_BASE + SZ_64K, SVM_BASE + SZ_64K, SVM_BASE + SZ_64K,
		SVM_BASE + SZ_128K, SVM_BASE + SZ_128K,
	};
	long (*fn[])(struct svm_task *task) = {
		device_task, device_task, cpu_task, device_task, cpu_task,
	};
	const struct drm_gpusvm_ops *const *ops = test->param_value;
	struct crowd crowd = { .rounds = 80 };

	svm_restart(test, *ops, svm_chunks, ARRAY_SIZE(svm_chunks));
	svm_map(test, SVM_BASE + PAGE_SIZE, SZ_1M, RW);
	run_crowd(test, &crowd, ARRAY_SIZE(fn), fn, addrs);
	KUNIT_EXPECT_GT(test, svm_stat(to_svm(test), gets), 2);
	svm_expect_same_memory(test, svm_fault_and_get(test, addrs[0], &write_ctx), 0);
	svm_notify(current->mm, SVM_BASE, SVM_END, MMU_NOTIFY_CLEAR);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), gets), svm_stat(to_svm(test), unmaps));
}

/*
 * No memory
 */

#ifdef CONFIG_FAULT_INJECTION

static bool fails_on_demand(void)
{
	void *p;

	current->fail_nth = 1;
	p = kmalloc(64, GFP_KERNEL);
	current->fail_nth = 0;
	kfree(p);

	return !p;
}

static void need_failures(struct kunit *test)
{
	if (!fails_on_demand())
		kunit_skip(test, "needs CONFIG_FAILSLAB and N in debugfs failslab/ignore-gfp-wait");
}

/**
 * struct effort - Something that takes memory
 *
 * @name: What it is
 * @prepare: What comes before it, with memory
 * @fn: Does it
 * @min: So many failures there are at least
 */
struct effort {
	const char *name;
	struct svm_range *(*prepare)(struct kunit *test);
	long (*fn)(struct kunit *test, struct svm_range *range);
	int min;
};

static struct svm_range *prepare_nothing(struct kunit *test)
{
	return NULL;
}

static struct svm_range *prepare_range(struct kunit *test)
{
	return svm_fault(test, SVM_BASE, &write_ctx);
}

/* Few entries, so that their memory comes from the slab allocator. */
static struct svm_range *prepare_small_range(struct kunit *test)
{
	struct drm_gpusvm_range *range;

	range = drm_gpusvm_range_find_or_insert(&to_svm(test)->gpusvm, SVM_BASE, SVM_BASE,
						SVM_BASE + SZ_64K, &write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);

	return to_svm_range(range);
}

static long try_init(struct kunit *test, struct svm_range *range)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	int err;

	drm_gpusvm_fini(gpusvm);
	err = drm_gpusvm_init(gpusvm, test->name, current->mm, SVM_BASE, SVM_SIZE, SVM_WINDOW,
			      &svm_ops_two_pass, svm_chunks, ARRAY_SIZE(svm_chunks));
	to_svm(test)->live = !err;

	return err;
}

static long try_fault(struct kunit *test, struct svm_range *range)
{
	return svm_fault_err(test, SVM_BASE, &write_ctx);
}

static long try_get(struct kunit *test, struct svm_range *range)
{
	return svm_get(range, SVM_DEVICES, &write_ctx);
}

static long try_evict(struct kunit *test, struct svm_range *range)
{
	return drm_gpusvm_range_evict(&to_svm(test)->gpusvm, &range->base);
}

static const struct effort efforts[] = {
	{ "init", prepare_nothing, try_init, 0 },
	{ "find or insert", prepare_nothing, try_fault, 2 },
	{ "get many pages", prepare_range, try_get, 1 },
	{ "get few pages", prepare_small_range, try_get, SVM_DEVICES },
	{ "evict", prepare_range, try_evict, 1 },
};

KUNIT_ARRAY_PARAM_DESC(effort, efforts, name);

/* As before, but for the range that was there before, or was made. */
static void expect_nothing_left(struct kunit *test, struct svm_range *range, int n)
{
	struct svm_fixture *svm = to_svm(test);
	int i;

	KUNIT_EXPECT_EQ_MSG(test, svm_stat(svm, ranges), !!range, "allocation %d", n);
	KUNIT_EXPECT_EQ_MSG(test, svm_stat(svm, notifiers), !!range, "allocation %d", n);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), svm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_allocs) - atomic_read(&svm->range_frees),
			!!range);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs) -
			atomic_read(&svm->notifier_frees), !!range);
	svm_expect_unmapped(test);
	if (!range)
		return;
	KUNIT_EXPECT_EQ(test, kref_read(&range->base.refcount), 1);
	for (i = 0; i < SVM_DEVICES; i++)
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[i]));
}

/* Do it once with the nth allocation failing. Returns whether it was too many. */
static bool try_with_failure(struct kunit *test, int n, int *failures)
{
	const struct effort *e = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	unsigned int left;
	long err;

	svm_restart(test, &svm_ops_two_pass, svm_chunks, ARRAY_SIZE(svm_chunks));
	range = e->prepare(test);
	svm->failures_left = 0;
	svm->mapping_succeeds = true;
	current->fail_nth = n;
	err = e->fn(test, range);
	left = svm->failures_left ?: current->fail_nth;
	current->fail_nth = 0;
	svm->mapping_succeeds = false;

	if (err) {
		KUNIT_EXPECT_EQ(test, left, 0);
		KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "allocation %d", n);
		expect_nothing_left(test, range, n);
		KUNIT_EXPECT_EQ(test, e->fn(test, range), 0);
		(*failures)++;
	}

	return left;
}

/*
 * Let each allocation fail in turn until none is left that could. The kernel
 * allocates for itself in between, and not the same each time, so that one of
 * ours can be passed over: go through them again then.
 */
static void each_allocation_may_fail(struct kunit *test)
{
	const struct effort *e = test->param_value;
	int n, sweep, failures = 0;

	need_failures(test);
	svm_map(test, SVM_BASE, SZ_2M, RW);
	for (unsigned long i = 0; i < SZ_2M; i += 2 * PAGE_SIZE)
		svm_write(test, SVM_BASE + i, i);
	svm_touch(test, SVM_BASE, SZ_2M);

	for (sweep = 0; !sweep || (failures < e->min && sweep < 5); sweep++) {
		for (n = 1; n < 100 && !try_with_failure(test, n, &failures); n++)
			;
		KUNIT_EXPECT_LT(test, n, 100);
	}
	KUNIT_EXPECT_GE(test, failures, e->min);
	kunit_info(test, "%s: %d failures, the last sweep took %d tries\n", e->name,
		   failures, n);
}

/* Invalidation and the next fault are a device's daily work. */
static void getting_again_allocates_nothing(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	int err;

	need_failures(test);
	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_ASSERT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);

	svm->mapping_succeeds = true;
	current->fail_nth = 1;
	svm_notify(current->mm, SVM_BASE, SVM_BASE + SZ_2M, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &write_ctx), 0);
	err = svm_get(range, SVM_DEVICES, &write_ctx);
	KUNIT_EXPECT_EQ(test, current->fail_nth + svm->failures_left, 1);
	current->fail_nth = 0;
	svm->mapping_succeeds = false;
	KUNIT_EXPECT_EQ(test, err, 0);
	svm_expect_same_memory(test, range, 0);
}

#endif /* CONFIG_FAULT_INJECTION */

static struct kunit_case drm_gpusvm_stress_cases[] = {
	KUNIT_CASE(faults_of_many_tasks_make_each_range_once),
	KUNIT_CASE(insertion_meets_removal),
	KUNIT_CASE_PARAM(devices_and_cpu_race, race_gen_params),
#ifdef CONFIG_FAULT_INJECTION
	KUNIT_CASE_PARAM(each_allocation_may_fail, effort_gen_params),
	KUNIT_CASE(getting_again_allocates_nothing),
#endif
	{}
};

static struct kunit_suite drm_gpusvm_stress_suite = {
	.name = "drm_gpusvm_stress",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_stress_cases,
};

kunit_test_suite(drm_gpusvm_stress_suite);
