// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The model, by itself: needs neither a kernel nor a device. Prints TAP. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "view.h"

#define MIB	(1024 * 1024ULL)
#define US	1000ULL

static int failures;
static int dead;

#define EXPECT(got, want)						\
	expect(__LINE__, #got, (unsigned long long)(got), (unsigned long long)(want))

static void expect(int line, const char *what, unsigned long long got,
		   unsigned long long want)
{
	if (got == want)
		return;
	printf("# line %d: %s is %llu, not %llu\n", line, what, got, want);
	failures++;
}

static void name_of(int pid, char *buf, size_t len)
{
	snprintf(buf, len, "job%d", pid);
}

static bool is_alive(int pid)
{
	return pid != dead;
}

/* Threads of a process have numbers right behind its own */
static bool is_thread(int pid, int task)
{
	return task >= pid && task < pid + 10;
}

static const struct svm_model_ops ops = {
	.comm = name_of,
	.is_alive = is_alive,
	.is_thread = is_thread,
};

static void give(struct svm_model *model, struct svm_event event)
{
	svm_model_event(model, &event);
}

static void lookup(struct svm_model *model, int task, int pid, uint64_t svm, uint64_t addr,
		   uint64_t time)
{
	struct svm_event event = {
		.type = SVM_LOOKUP,
		.task = task,
		.pid = pid,
		.svm = svm,
		.addr = addr,
		.time = time,
		.duration = 5 * US,
	};

	give(model, event);
}

static void get(struct svm_model *model, int task, int pid, uint64_t svm, const char *dev,
		uint64_t time)
{
	struct svm_event event = {
		.type = SVM_GET,
		.task = task,
		.pid = pid,
		.svm = svm,
		.dev = dev,
		.time = time,
	};

	give(model, event);
}

static void reported(struct svm_model *model, uint64_t svm, const char *dev, uint64_t ns,
		     int err)
{
	struct svm_event event = {
		.type = SVM_FAULT,
		.svm = svm,
		.dev = dev,
		.duration = ns,
		.err = err,
	};

	give(model, event);
}

static void invalidate(struct svm_model *model, uint64_t svm, const char *name)
{
	give(model, (struct svm_event){ .type = SVM_INVALIDATE, .svm = svm, .name = name });
}

static void move(struct svm_model *model, int pid, const char *dev, bool in, uint64_t bytes)
{
	struct svm_event event = {
		.type = SVM_MOVE,
		.pid = pid,
		.dev = dev,
		.in = in,
		.bytes = bytes,
	};

	give(model, event);
}

/* A driver that reports its faults is believed, and its lookups are not counted */
static void test_reported_faults(struct svm_model *model)
{
	svm_model_device(model, "vsvm.0")->reports = true;
	for (int i = 0; i < 100; i++) {
		lookup(model, 900, 10, 1, 0x1000 * i, 1000 * US * (i + 1));
		get(model, 900, 10, 1, "vsvm.0", 1000 * US * (i + 1));
		reported(model, 1, "vsvm.0", i < 99 ? 100 * US : 5000 * US, i ? 0 : -14);
	}
	svm_model_tick(model, 2);
	EXPECT(model->num_rows, 1);
	EXPECT(model->rows[0].pid, 10);
	EXPECT(strcmp(model->rows[0].comm, "job10"), 0);
	EXPECT(model->rows[0].shown.faults, 100);
	EXPECT(model->rows[0].shown.failed, 1);
	EXPECT(svm_counts_average(&model->rows[0].shown), 149 * US);
	EXPECT(svm_counts_percentile(&model->rows[0].shown, 99) >= 100 * US, 1);
	EXPECT(svm_counts_percentile(&model->rows[0].shown, 99) <= 125 * US, 1);
	EXPECT(svm_counts_percentile(&model->rows[0].shown, 100), 5000 * US);
	EXPECT(model->devices[0].shown.faults, 100);
	EXPECT(model->shown.events, 300);

	svm_model_tick(model, 1);
	EXPECT(model->rows[0].shown.faults, 0);
	EXPECT(model->rows[0].total.faults, 100);
	EXPECT(model->rows[0].total.latency_max, 5000 * US);
}

/* For others, a fault is from the first lookup to the pages */
static void test_derived_faults(struct svm_model *model)
{
	lookup(model, 900, 10, 1, 0x1000, 1000 * US);
	lookup(model, 900, 10, 1, 0x1000, 1100 * US);
	get(model, 900, 10, 1, "0000:03:00.0", 1200 * US);
	/* Somebody else's pages are not the answer */
	lookup(model, 900, 10, 1, 0x2000, 2000 * US);
	get(model, 901, 10, 1, "0000:03:00.0", 2010 * US);
	/* A thread of the process prefetches */
	lookup(model, 11, 10, 1, 0x9000, 3000 * US);
	get(model, 11, 10, 1, "0000:03:00.0", 3010 * US);
	svm_model_tick(model, 1);
	EXPECT(model->rows[0].shown.faults, 1);
	EXPECT(svm_counts_average(&model->rows[0].shown), 205 * US);
}

static void test_buckets(struct svm_model *model)
{
	struct svm_counts counts;

	svm_model_device(model, "d")->reports = true;
	lookup(model, 900, 10, 1, 0, US);
	for (uint64_t ns = 0; ns < 1ULL << 40; ns = ns * 9 / 8 + 1) {
		reported(model, 1, "d", ns, 0);
		counts = model->rows[0].now;
		/* Not cut by the maximum, which the function does */
		counts.latency_max = ~0ULL;
		EXPECT(svm_counts_percentile(&counts, 100) >= ns, 1);
		EXPECT(svm_counts_percentile(&counts, 100) <= ns + ns / 4, 1);
	}
	memset(&counts, 0, sizeof(counts));
	EXPECT(svm_counts_average(&counts), 0);
	EXPECT(svm_counts_percentile(&counts, 99), 0);
}

/* An invalidation takes memory from all devices of the address space, and no other */
static void test_invalidations(struct svm_model *model)
{
	get(model, 900, 10, 1, "a", US);
	reported(model, 1, "b", US, 0);
	get(model, 900, 20, 2, "a", US);
	invalidate(model, 1, NULL);
	invalidate(model, 1, NULL);
	svm_model_tick(model, 1);
	EXPECT(model->num_rows, 3);
	for (unsigned int i = 0; i < model->num_rows; i++)
		EXPECT(model->rows[i].shown.invalidations,
		       model->rows[i].pid == 10 ? 2 : 0);
	EXPECT(model->devices[0].shown.invalidations, 2);
}

static void test_moves(struct svm_model *model)
{
	move(model, 10, "a", true, 8 * MIB);
	move(model, 20, "a", true, 4 * MIB);
	move(model, 10, "a", false, 2 * MIB);
	svm_model_tick(model, 1);
	EXPECT(model->rows[0].shown.in, 8 * MIB);
	EXPECT(model->rows[0].shown.out, 2 * MIB);
	EXPECT(model->rows[0].held, 6 * MIB);
	EXPECT(model->rows[0].guessed, 0);
	EXPECT(model->devices[0].shown.in, 12 * MIB);

	/* While it is looked at, it stays */
	move(model, 10, "a", true, 1 * MIB);
	EXPECT(model->rows[0].held, 6 * MIB);
	move(model, 10, "a", false, 1 * MIB);

	/* Nobody's account: the device says how much there is */
	move(model, 0, "a", false, 5 * MIB);
	svm_model_device(model, "a")->has_memory = true;
	svm_model_device(model, "a")->used = 5 * MIB;
	svm_model_tick(model, 1);
	EXPECT(model->devices[0].shown.evicted, 5 * MIB);
	EXPECT(model->rows[0].held, 3 * MIB);
	EXPECT(model->rows[1].held, 2 * MIB);
	EXPECT(model->rows[1].guessed, 1);

	/* What was there before svmtop came is not known to be there */
	move(model, 20, "a", false, 50 * MIB);
	svm_model_tick(model, 1);
	EXPECT(model->rows[1].held, 0);
}

static void range(struct svm_model *model, enum svm_event_type type, uint64_t start,
		  uint64_t bytes)
{
	struct svm_event event = {
		.type = type,
		.svm = 1,
		.pid = 10,
		.addr = start,
		.dev = "a",
		.bytes = bytes,
		.task = 900,
	};

	give(model, event);
}

/* Ranges come and go in any order; those from before are known by their pages */
static void test_mirrored(struct svm_model *model)
{
	for (uint64_t i = 0; i < 50; i++)
		range(model, SVM_INSERT, (i * 17 % 50) * 4 * MIB, 2 * MIB);
	range(model, SVM_GET, 0, 2 * MIB);
	range(model, SVM_GET, 1000 * MIB, 3 * MIB);
	svm_model_tick(model, 1);
	EXPECT(model->rows[0].mirrored, 103 * MIB);
	for (uint64_t i = 0; i < 50; i++)
		range(model, SVM_REMOVE, (i * 7 % 50) * 4 * MIB, 2 * MIB);
	range(model, SVM_REMOVE, 7 * MIB, 2 * MIB);
	svm_model_tick(model, 1);
	EXPECT(model->rows[0].mirrored, 3 * MIB);
	range(model, SVM_INSERT, 1000 * MIB, 4 * MIB);
	svm_model_tick(model, 1);
	EXPECT(model->rows[0].mirrored, 4 * MIB);
}

/* The kernel may use an address again for the address space of another process */
static void test_reuse(struct svm_model *model)
{
	const struct svm_event named = {
		.type = SVM_GET,
		.svm = 1,
		.pid = 20,
		.dev = "c",
		.name = "vsvm-2",
	};

	range(model, SVM_INSERT, 0, 2 * MIB);
	get(model, 900, 10, 1, "a", US);
	get(model, 900, 20, 1, "b", US);
	invalidate(model, 1, NULL);
	svm_model_tick(model, 1);
	EXPECT(model->num_rows, 2);
	EXPECT(model->rows[0].shown.invalidations, 0);
	EXPECT(model->rows[1].pid, 20);
	EXPECT(model->rows[1].shown.invalidations, 1);
	EXPECT(model->rows[1].mirrored, 0);

	/* Or for the same process, which a name tells */
	give(model, named);
	invalidate(model, 1, "vsvm-2");
	invalidate(model, 1, "vsvm-1");
	svm_model_tick(model, 1);
	EXPECT(model->num_rows, 3);
	EXPECT(model->rows[1].shown.invalidations, 0);
	EXPECT(model->rows[2].shown.invalidations, 1);
	EXPECT(model->shown.strays, 1);
}

static void test_lost(struct svm_model *model)
{
	invalidate(model, 7, NULL);
	svm_model_lost(model, 3);
	svm_model_lost(model, 4);
	svm_model_tick(model, 1);
	EXPECT(model->shown.lost, 7);
	EXPECT(model->shown.strays, 1);
	svm_model_tick(model, 1);
	EXPECT(model->shown.lost, 0);
	EXPECT(model->total.lost, 7);
	EXPECT(model->total.strays, 1);
}

/* Who has ended is shown a little longer; the number may come back */
static void test_ended(struct svm_model *model)
{
	get(model, 900, 10, 1, "a", US);
	move(model, 10, "a", true, 8 * MIB);
	svm_model_tick(model, 1);
	dead = 10;
	svm_model_tick(model, 1);
	EXPECT(model->num_rows, 1);
	EXPECT(model->rows[0].gone, 1);
	EXPECT(model->rows[0].held, 0);
	dead = 0;
	get(model, 900, 10, 2, "a", US);
	EXPECT(model->num_rows, 2);
	EXPECT(model->rows[1].gone, 0);
	for (int i = 0; i < 10; i++)
		svm_model_tick(model, 1);
	EXPECT(model->num_rows, 1);
	EXPECT(model->rows[0].gone, 0);
	EXPECT(model->num_spaces, 1);
}

/* The driver's own count is right where events are lost */
static void test_own_faults(struct svm_model *model)
{
	struct svm_device *device = svm_model_device(model, "a");

	svm_device_count(device, 1000, true);
	svm_model_tick(model, 1);
	EXPECT(device->shown.faults, 0);
	svm_device_count(device, 1500, false);
	svm_model_tick(model, 1);
	EXPECT(device->shown.faults, 500);
	EXPECT(device->total.faults, 500);
	svm_device_count(device, 1600, false);
	svm_model_tick(model, 1);
	EXPECT(device->shown.faults, 100);
	EXPECT(device->total.faults, 600);

	/* One that comes later has had no faults before; one that goes tells no more */
	device = svm_model_device(model, "b");
	svm_device_count(device, 30, false);
	svm_model_tick(model, 1);
	EXPECT(device->shown.faults, 30);
	lookup(model, 900, 10, 1, 0, US);
	reported(model, 1, "b", US, 0);
	svm_model_tick(model, 1);
	EXPECT(device->shown.faults, 1);
	EXPECT(device->total.faults, 30);
}

/* The text has the larger first, and says what is missing */
static void test_view(struct svm_model *model)
{
	struct svm_view view = { .sort = SVM_SORT_FAULTS };
	char *text = NULL, *first, *second;
	size_t size;
	FILE *out;

	svm_model_device(model, "vsvm")->reports = true;
	for (int i = 0; i < 30; i++) {
		lookup(model, 900, i % 3 ? 20 : 10, i % 3 ? 2 : 1, 0, US);
		reported(model, i % 3 ? 2 : 1, "vsvm", 7 * US, 0);
	}
	svm_model_lost(model, 3);
	svm_model_tick(model, 2);
	for (int totals = 0; totals < 2; totals++) {
		view.totals = totals;
		view.sort = totals ? SVM_SORT_PID : SVM_SORT_FAULTS;
		out = open_memstream(&text, &size);
		svm_view_print(&view, model, out);
		fclose(out);
		first = strstr(text, "job20");
		second = strstr(text, "job10");
		EXPECT(first && second && (first < second) == !totals, 1);
		EXPECT(!!strstr(text, "3 LOST"), 1);
		EXPECT(!!strstr(text, "7.0"), 1);
		EXPECT(!!strstr(first, totals ? " 20 " : " 10 "), 1);
		free(text);
	}
	EXPECT(svm_view_parse_sort("held", &view.sort), 0);
	EXPECT(view.sort, SVM_SORT_HELD);
	EXPECT(svm_view_parse_sort("heaviest", &view.sort), -1);
}

static const struct {
	const char *name;
	void (*run)(struct svm_model *model);
} tests[] = {
	{ "reported_faults", test_reported_faults },
	{ "derived_faults", test_derived_faults },
	{ "buckets", test_buckets },
	{ "invalidations", test_invalidations },
	{ "moves", test_moves },
	{ "mirrored", test_mirrored },
	{ "reuse", test_reuse },
	{ "lost", test_lost },
	{ "ended", test_ended },
	{ "own_faults", test_own_faults },
	{ "view", test_view },
};

int main(void)
{
	int failed = 0, n = ARRAY_SIZE(tests);

	printf("TAP version 13\n1..%d\n", n);
	for (int i = 0; i < n; i++) {
		struct svm_model model;

		failures = 0;
		dead = 0;
		svm_model_init(&model, &ops);
		tests[i].run(&model);
		svm_model_fini(&model);
		printf("%s %d model.%s\n", failures ? "not ok" : "ok", i + 1, tests[i].name);
		failed += !!failures;
	}
	return failed ? 1 : 0;
}
