// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: what can be seen of it from outside, in debugfs and traces.
 */

#include <linux/mman.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/trace_events.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_fixture.h"

#define RW	(PROT_READ | PROT_WRITE)

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static char *show(struct kunit *test)
{
	struct seq_file m = { .size = SZ_16K };

	m.buf = kunit_kzalloc(test, m.size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m.buf);
	mutex_init(&m.lock);
	drm_gpusvm_debugfs_info(&m, &to_svm(test)->gpusvm);
	KUNIT_ASSERT_FALSE(test, seq_has_overflowed(&m));
	KUNIT_EXPECT_EQ(test, m.buf[m.count], '\0');

	return m.buf;
}

static __printf(3, 4)
void expect_shown(struct kunit *test, const char *text, const char *format, ...)
{
	char wanted[80];
	va_list args;

	va_start(args, format);
	vscnprintf(wanted, sizeof(wanted), format, args);
	va_end(args);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, wanted), "\"%s\" not in:\n%s",
				  wanted, text);
}

static void debugfs_shows_state_and_counters(struct kunit *test)
{
	static const struct drm_gpusvm_ctx devmem = { .devmem_possible = true };
	static const char *const counters[] = {
		"ranges", "notifiers", "gets", "gets_valid", "walks", "retries",
		"segments", "pages", "unmaps", "invalidations",
		"invalidations_idle", "evictions",
	};
	char *text = show(test);
	int i;

	expect_shown(test, text, "%s", test->name);
	expect_shown(test, text, "0x%lx-0x%lx", SVM_BASE, SVM_END);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		expect_shown(test, text, "%s ", counters[i]);
	KUNIT_EXPECT_NULL(test, strstr(text, "notifier ["));

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	svm_fault_and_get(test, SVM_BASE, &devmem);
	svm_fault_and_get(test, SVM_BASE + SVM_WINDOW, &write_ctx);
	svm_munmap(test, SVM_BASE + SVM_WINDOW, SZ_64K);
	text = show(test);
	expect_shown(test, text, "notifier [0x%lx-0x%lx)", SVM_BASE, SVM_BASE + SVM_WINDOW);
	expect_shown(test, text, "range [0x%lx-0x%lx) 2048 KiB migratable\n",
		     SVM_BASE, SVM_BASE + SZ_2M);
	expect_shown(test, text, "range [0x%lx-0x%lx) 2048 KiB unmapped partly\n",
		     SVM_BASE + SVM_WINDOW, SVM_BASE + SVM_WINDOW + SZ_2M);
}

/*
 * Trace points
 */

/**
 * struct seen - What the trace points reported of the test's GPU SVM
 *
 * @gpusvm: The GPU SVM; others do not count
 * @inserted: Ranges that were inserted
 * @removed: Ranges that were removed
 * @faults: Faults; the other fields of the group are those of the last one
 * @addr: Its address
 * @read_only: Whether it was for reading
 * @fault_err: Its result
 * @gets: Requests for pages, as above
 * @start: First address
 * @end: Address behind the last one
 * @devices: Number of devices
 * @segments: Entries
 * @get_err: Result
 * @hits: Invalidations that hit a range
 * @idle: Invalidations that did not
 * @finished: Pages objects that second passes unmapped
 * @evictions: Evictions
 * @backwards: A duration was negative
 */
static struct seen {
	struct drm_gpusvm *gpusvm;
	int inserted, removed;
	int faults;
	unsigned long addr;
	bool read_only;
	long fault_err;
	int gets;
	unsigned long start, end;
	unsigned int devices, segments;
	int get_err;
	int hits, idle;
	unsigned int finished;
	int evictions;
	bool backwards;
} seen;

static void probe_insert(void *data, struct drm_gpusvm_range *range)
{
	seen.inserted += range->gpusvm == seen.gpusvm;
}

static void probe_remove(void *data, struct drm_gpusvm_range *range)
{
	seen.removed += range->gpusvm == seen.gpusvm;
}

static void probe_fault(void *data, struct drm_gpusvm *gpusvm, unsigned long addr,
			bool read_only, long err, s64 duration)
{
	if (gpusvm != seen.gpusvm)
		return;
	seen.faults++;
	seen.addr = addr;
	seen.read_only = read_only;
	seen.fault_err = err;
	seen.backwards |= duration < 0;
}

static void probe_get(void *data, struct drm_gpusvm *gpusvm,
		      const struct drm_device *drm, unsigned long start,
		      unsigned long end, unsigned int devices, unsigned int segments,
		      bool read_only, int err, s64 duration)
{
	if (gpusvm != seen.gpusvm)
		return;
	seen.gets++;
	seen.start = start;
	seen.end = end;
	seen.devices = devices;
	seen.segments = segments;
	seen.read_only = read_only;
	seen.get_err = err;
	seen.backwards |= duration < 0;
}

static void probe_invalidate(void *data, struct drm_gpusvm_notifier *notifier,
			     const struct mmu_notifier_range *mmu_range, bool hit,
			     bool deferred, s64 duration)
{
	if (notifier->gpusvm != seen.gpusvm)
		return;
	seen.hits += hit;
	seen.idle += !hit;
	seen.backwards |= duration < 0;
}

static void probe_finish(void *data, struct drm_gpusvm_notifier *notifier,
			 unsigned int pages, s64 duration)
{
	if (notifier->gpusvm != seen.gpusvm)
		return;
	seen.finished += pages;
	seen.backwards |= duration < 0;
}

static void probe_evict(void *data, struct drm_gpusvm_range *range, unsigned long pages,
			int err, s64 duration)
{
	if (range->gpusvm != seen.gpusvm)
		return;
	seen.evictions++;
	seen.backwards |= duration < 0;
}

static int observe_suite_init(struct kunit_suite *suite)
{
	int err = svm_suite_init(suite);

	if (err || !IS_ENABLED(CONFIG_TRACEPOINTS))
		return err;

	return register_trace_drm_gpusvm_range_insert(probe_insert, NULL) ?:
	       register_trace_drm_gpusvm_range_remove(probe_remove, NULL) ?:
	       register_trace_drm_gpusvm_fault(probe_fault, NULL) ?:
	       register_trace_drm_gpusvm_get_pages(probe_get, NULL) ?:
	       register_trace_drm_gpusvm_invalidate(probe_invalidate, NULL) ?:
	       register_trace_drm_gpusvm_invalidate_finish(probe_finish, NULL) ?:
	       register_trace_drm_gpusvm_evict(probe_evict, NULL);
}

static void observe_suite_exit(struct kunit_suite *suite)
{
	if (IS_ENABLED(CONFIG_TRACEPOINTS)) {
		unregister_trace_drm_gpusvm_range_insert(probe_insert, NULL);
		unregister_trace_drm_gpusvm_range_remove(probe_remove, NULL);
		unregister_trace_drm_gpusvm_fault(probe_fault, NULL);
		unregister_trace_drm_gpusvm_get_pages(probe_get, NULL);
		unregister_trace_drm_gpusvm_invalidate(probe_invalidate, NULL);
		unregister_trace_drm_gpusvm_invalidate_finish(probe_finish, NULL);
		unregister_trace_drm_gpusvm_evict(probe_evict, NULL);
	}
	svm_suite_exit(suite);
}

static void traces_tell_what_happens(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "no trace points");

	seen = (struct seen) { .gpusvm = &svm->gpusvm };
	svm_map(test, SVM_BASE, SZ_8M, RW);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_END, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, seen.fault_err, -EINVAL);
	KUNIT_EXPECT_EQ(test, seen.addr, SVM_END);
	KUNIT_EXPECT_FALSE(test, seen.read_only);

	range = svm_fault(test, SVM_BASE + 5, &read_ctx);
	KUNIT_EXPECT_EQ(test, seen.faults, 2);
	KUNIT_EXPECT_EQ(test, seen.fault_err, 0);
	KUNIT_EXPECT_EQ(test, seen.addr, SVM_BASE + 5);
	KUNIT_EXPECT_TRUE(test, seen.read_only);
	KUNIT_EXPECT_EQ(test, seen.inserted, 1);

	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, seen.gets, 1);
	KUNIT_EXPECT_EQ(test, seen.start, SVM_BASE);
	KUNIT_EXPECT_EQ(test, seen.end, SVM_BASE + SZ_2M);
	KUNIT_EXPECT_EQ(test, seen.devices, 2);
	KUNIT_EXPECT_EQ(test, seen.segments, range->pages[0].nr_addrs);
	KUNIT_EXPECT_EQ(test, seen.get_err, 0);
	KUNIT_EXPECT_FALSE(test, seen.read_only);

	svm_notify(current->mm, SVM_BASE, SVM_BASE + SZ_2M, MMU_NOTIFY_CLEAR);
	svm_notify(current->mm, SVM_BASE + SZ_4M, SVM_BASE + SZ_8M, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_EQ(test, seen.hits, 1);
	KUNIT_EXPECT_EQ(test, seen.idle, 1);
	KUNIT_EXPECT_EQ(test, seen.finished, 2);

	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), 0);
	KUNIT_EXPECT_EQ(test, seen.evictions, 1);
	svm_munmap(test, SVM_BASE, SZ_8M);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), -ESTALE);
	KUNIT_EXPECT_EQ(test, seen.get_err, -ESTALE);
	svm_remove(test, range);
	KUNIT_EXPECT_EQ(test, seen.removed, 1);
	KUNIT_EXPECT_FALSE(test, seen.backwards);
	seen.gpusvm = NULL;
}

/* An event looks closer than a probe, and must not at what the caller got wrong. */
static void events_take_pages_without_a_device(struct kunit *test)
{
	struct svm_range *range;
	struct drm_device *drm;

	if (!IS_ENABLED(CONFIG_EVENT_TRACING))
		kunit_skip(test, "no events");

	svm_map(test, SVM_BASE, SZ_64K, RW);
	KUNIT_ASSERT_EQ(test, trace_set_clr_event("drm_gpusvm", NULL, 1), 0);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	drm = range->pages[0].drm;
	range->pages[0].drm = NULL;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, NULL, 0, &write_ctx),
			-EINVAL);
	range->pages[0].drm = drm;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_notify(current->mm, SVM_BASE, SVM_BASE + SZ_64K, MMU_NOTIFY_CLEAR);
	svm_remove(test, range);
	trace_set_clr_event("drm_gpusvm", NULL, 0);
}

static struct kunit_case drm_gpusvm_observe_cases[] = {
	KUNIT_CASE(debugfs_shows_state_and_counters),
	KUNIT_CASE(traces_tell_what_happens),
	KUNIT_CASE(events_take_pages_without_a_device),
	{}
};

static struct kunit_suite drm_gpusvm_observe_suite = {
	.name = "drm_gpusvm_observe",
	.suite_init = observe_suite_init,
	.suite_exit = observe_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_observe_cases,
};

kunit_test_suite(drm_gpusvm_observe_suite);
