// SPDX-License-Identifier: MIT
/*
 * Drive the benchmark's two modules over the same memory and print results.
 *
 *   bench count	instructions and bytes; wants one CPU and -icount shift=0
 *   bench move		migration to device memory and back; wants the same
 *   bench time		concurrency in real time; wants two CPUs
 *
 * Ours, the base's and the floor take turns; each figure is a median over the
 * turns. The output is one result a line, its fields separated by tabs.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../module/gpusvm_bench.h"
#include "bench.h"

#define TURNS		11

enum side { OURS, BASE, FLOOR, SIDES };

static const char *const devices[] = {
	[OURS] = "/dev/gpusvm-bench-ours",
	[BASE] = "/dev/gpusvm-bench-base",
	/* The floor is the same code in both. */
	[FLOOR] = "/dev/gpusvm-bench-ours",
};

/* Steps */

static int setup(enum side side, const struct gpusvm_bench_setup *s)
{
	int fd = open(devices[side], O_RDWR);

	if (fd < 0)
		err(1, "%s", devices[side]);
	if (ioctl(fd, GPUSVM_BENCH_SETUP, s))
		err(1, "%s, first call", devices[side]);

	return fd;
}

static __u64 step(int fd, unsigned int op, unsigned int first,
		  unsigned int count)
{
	struct gpusvm_bench_step s = { .op = op, .first = first, .count = count };

	if (ioctl(fd, GPUSVM_BENCH_STEP, &s))
		err(1, "operation %u on %u ranges from %u", op, count, first);

	return s.result;
}

/* Instructions */

enum row {
	FAIL, INSERT, GET, VALID, INVALIDATE, GET_AGAIN, IDLE, FINI, TWO_PASS,
	PARTS_ALL, PARTS_1, PARTS_1_GET, PARTS_8, PARTS_8_GET,
	ROWS
};

static const char *const row_names[] = {
	[FAIL] = "fail",
	[INSERT] = "insert",
	[GET] = "get",
	[VALID] = "get-valid",
	[INVALIDATE] = "invalidate",
	[GET_AGAIN] = "get-again",
	[IDLE] = "invalidate-idle",
	[FINI] = "fini",
	[TWO_PASS] = "invalidate-2pass",
	[PARTS_ALL] = "parts-all",
	[PARTS_1] = "parts-1",
	[PARTS_1_GET] = "parts-1-get",
	[PARTS_8] = "parts-8",
	[PARTS_8_GET] = "parts-8-get",
};

static const struct shape {
	const char *name;
	unsigned int size, ranges, devices;
	enum layout layout;
	bool parts; /* count what a part of a range costs */
} shapes[] = {
	{ "4K",			4 << 10,	512,	1, SCATTERED },
	{ "64K small",		64 << 10,	256,	1, SCATTERED },
	{ "2M small",		2 << 20,	32,	1, SCATTERED,	true },
	{ "2M adjacent",	2 << 20,	32,	1, ADJACENT },
	{ "2M huge",		2 << 20,	64,	1, HUGE },
	{ "64K small x4",	64 << 10,	256,	4, SCATTERED },
	{ "2M small x4",	2 << 20,	32,	4, SCATTERED,	true },
	{ "2M huge x4",		2 << 20,	64,	4, HUGE },
};

/* Sums over all ranges of a shape */
struct figures {
	double v[SIDES][ROWS][TURNS];
};

static void count_floor(const struct gpusvm_bench_setup *s, struct figures *f, int turn)
{
	int fd = setup(FLOOR, s);

	f->v[FLOOR][GET][turn] = step(fd, GPUSVM_BENCH_FLOOR_GET, 0, s->ranges);
	f->v[FLOOR][INVALIDATE][turn] =
		step(fd, GPUSVM_BENCH_FLOOR_UNMAP, 0, s->ranges);
	f->v[FLOOR][GET_AGAIN][turn] = f->v[FLOOR][GET][turn];
	f->v[FLOOR][TWO_PASS][turn] = f->v[FLOOR][INVALIDATE][turn];
	close(fd);
}

/* What is mapped, by whichever side was first; 0 while that is open */
static __u64 checksum;

/* Both have to map the same pages, and none after an invalidation. */
static void check(int fd, const struct gpusvm_bench_setup *s, bool mapped)
{
	__u64 now = step(fd, GPUSVM_BENCH_CHECKSUM, 0, s->ranges);

	if (mapped && !checksum)
		checksum = now;
	if (now != (mapped ? checksum : 0))
		errx(1, "mapped: %llx, not %llx", now, mapped ? checksum : 0);
}

static void count_two_pass(enum side side, const struct gpusvm_bench_setup *s,
			   struct figures *f, int turn)
{
	struct gpusvm_bench_setup two = *s;
	int fd;

	two.driver = GPUSVM_BENCH_TWO_PASS;
	fd = setup(side, &two);
	step(fd, GPUSVM_BENCH_INSERT, 0, s->ranges);
	step(fd, GPUSVM_BENCH_GET, 0, s->ranges);
	f->v[side][TWO_PASS][turn] =
		step(fd, GPUSVM_BENCH_INVALIDATE, 0, s->ranges);
	check(fd, s, false);
	close(fd);
}

/* A part of each range, and the get after it that makes it whole again */
static void count_part(int fd, const struct gpusvm_bench_setup *s, unsigned int op,
		       double *invalidate, double *get)
{
	*invalidate = step(fd, op, 0, s->ranges);
	check(fd, s, false);
	*get = step(fd, GPUSVM_BENCH_GET, 0, s->ranges);
	check(fd, s, true);
}

static void count_parts(enum side side, const struct gpusvm_bench_setup *s,
			struct figures *f, int turn)
{
	struct gpusvm_bench_setup parts = *s;
	int fd;

	parts.driver = GPUSVM_BENCH_PARTS;
	fd = setup(side, &parts);
	step(fd, GPUSVM_BENCH_INSERT, 0, s->ranges);
	step(fd, GPUSVM_BENCH_GET, 0, s->ranges);
	count_part(fd, s, GPUSVM_BENCH_INVALIDATE_PAGE,
		   &f->v[side][PARTS_1][turn], &f->v[side][PARTS_1_GET][turn]);
	count_part(fd, s, GPUSVM_BENCH_INVALIDATE_8_PAGES,
		   &f->v[side][PARTS_8][turn], &f->v[side][PARTS_8_GET][turn]);
	f->v[side][PARTS_ALL][turn] =
		step(fd, GPUSVM_BENCH_INVALIDATE, 0, s->ranges);
	check(fd, s, false);
	close(fd);
}

static void count_side(enum side side, const struct gpusvm_bench_setup *s,
		       struct figures *f, int turn)
{
	unsigned int n = s->ranges;
	int fd = setup(side, s);

	f->v[side][FAIL][turn] = step(fd, GPUSVM_BENCH_FAIL, 0, n);
	/* The first insertion also makes the notifier. */
	step(fd, GPUSVM_BENCH_INSERT, 0, 1);
	f->v[side][INSERT][turn] =
		step(fd, GPUSVM_BENCH_INSERT, 1, n - 1) * n / (n - 1);
	f->v[side][GET][turn] = step(fd, GPUSVM_BENCH_GET, 0, n);
	f->v[side][VALID][turn] = step(fd, GPUSVM_BENCH_GET, 0, n);
	check(fd, s, true);
	f->v[side][INVALIDATE][turn] = step(fd, GPUSVM_BENCH_INVALIDATE, 0, n);
	check(fd, s, false);
	f->v[side][GET_AGAIN][turn] = step(fd, GPUSVM_BENCH_GET, 0, n);
	check(fd, s, true);
	f->v[side][IDLE][turn] = step(fd, GPUSVM_BENCH_IDLE, 0, n);
	f->v[side][FINI][turn] = step(fd, GPUSVM_BENCH_FINI, 0, n);
	close(fd);

	count_two_pass(side, s, f, turn);
}

static void print_counts(const struct shape *shape, struct figures *f)
{
	int side, row;

	for (row = 0; row < ROWS; row++) {
		if (row >= PARTS_ALL && !shape->parts)
			continue;
		printf("count\t%s\t%s", shape->name, row_names[row]);
		for (side = 0; side < SIDES; side++)
			printf("\t%.0f",
			       median(f->v[side][row], TURNS) / shape->ranges);
		printf("\n");
	}
}

static void print_bytes(const struct shape *shape,
			const struct gpusvm_bench_setup *s)
{
	static const char *const names[] = { "addresses", "range", "notifier" };
	__u64 bytes[ARRAY_SIZE(names)][FLOOR];
	unsigned int i;
	int side, fd;

	for (side = 0; side < FLOOR; side++) {
		fd = setup(side, s);
		step(fd, GPUSVM_BENCH_INSERT, 0, 1);
		step(fd, GPUSVM_BENCH_GET, 0, 1);
		for (i = 0; i < ARRAY_SIZE(names); i++)
			bytes[i][side] =
				step(fd, GPUSVM_BENCH_BYTES_PAGES + i, 0, 1);
		close(fd);
	}
	for (i = 0; i < ARRAY_SIZE(names); i++)
		printf("bytes\t%s\t%s\t%llu\t%llu\n", shape->name, names[i],
		       bytes[i][OURS], bytes[i][BASE]);
}

static void count_shape(const struct shape *shape)
{
	size_t bytes = (size_t)shape->size * shape->ranges;
	char *mem = reserve(2);
	struct gpusvm_bench_setup s = {
		.addr = (uintptr_t)mem,
		.bytes = 2 * WINDOW,
		.size = shape->size,
		.ranges = shape->ranges,
		.devices = shape->devices,
	};
	static struct figures f;
	int turn, first;

	populate(mem, bytes, shape->layout);
	checksum = 0;
	/* The turn before the first one warms up, and is overwritten. */
	for (turn = -1; turn < TURNS; turn++) {
		first = turn < 0 ? 0 : turn;
		count_side(OURS, &s, &f, first);
		count_side(BASE, &s, &f, first);
		count_floor(&s, &f, first);
		if (shape->parts) {
			count_parts(OURS, &s, &f, first);
			count_parts(BASE, &s, &f, first);
		}
	}
	print_counts(shape, &f);
	print_bytes(shape, &s);
	munmap(mem, bytes);
}

static void calibrate(void)
{
	const unsigned int loops = 1000;
	struct gpusvm_bench_setup s = {
		.bytes = WINDOW, .size = 4096, .ranges = loops, .devices = 1,
	};
	int turn, fd = setup(OURS, &s);
	double counts[TURNS];

	for (turn = 0; turn < TURNS; turn++)
		counts[turn] = step(fd, GPUSVM_BENCH_CALIBRATE, 0, loops);
	close(fd);

	/* Each loop is 1000 instructions, and one to set its counter. */
	printf("calibration\t%u\t%.0f\n", loops * 1001,
	       median(counts, TURNS));
}

static void count(void)
{
	unsigned int i;

	calibrate();
	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		count_shape(&shapes[i]);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Real time: latency of one window while another is invalidated */

#define BATCH		64
#define BATCHES		2000
#define TIME_SIZE	(64U << 10)
#define TIME_RANGES	64
#define TIME_FLUSH_US	200
#define TIME_S		0.3

static const unsigned int window_b = WINDOW / TIME_SIZE;

struct disturber {
	pthread_t thread;
	int fd;
	__u64 invalidations;
};

static void *disturb(void *arg)
{
	struct disturber *d = arg;

	d->invalidations = step(d->fd, GPUSVM_BENCH_DISTURB, window_b,
				TIME_RANGES);

	return NULL;
}

enum { MEAN, P99, MAX, RATE, INVALIDATIONS, LATENCIES };

/* Gets one range after the other for a while. */
static void latency(int fd, double v[LATENCIES][TURNS], int turn)
{
	static __u32 samples[BATCHES * BATCH];
	static double sorted[BATCHES * BATCH];
	struct gpusvm_bench_step s = {
		.op = GPUSVM_BENCH_LATENCY,
		.count = TIME_RANGES,
		.nr_samples = BATCH,
	};
	unsigned int i, n = 0;
	double start = now_s(), took, sum = 0;

	do {
		s.samples = (uintptr_t)&samples[n];
		if (ioctl(fd, GPUSVM_BENCH_STEP, &s))
			err(1, "latency");
		n += BATCH;
		took = now_s() - start;
	} while (took < TIME_S && n < BATCHES * BATCH);

	for (i = 0; i < n; i++) {
		sorted[i] = samples[i] / 1e3;
		sum += sorted[i];
	}
	sort(sorted, n);
	v[MEAN][turn] = sum / n;
	v[P99][turn] = sorted[n * 99UL / 100];
	v[MAX][turn] = sorted[n - 1];
	v[RATE][turn] = n / took;
}

static void time_latency_turn(enum side side, char *mem,
			      double quiet[LATENCIES][TURNS],
			      double busy[LATENCIES][TURNS], int turn)
{
	struct gpusvm_bench_setup s = {
		.addr = (uintptr_t)mem,
		.bytes = 2 * WINDOW,
		.size = TIME_SIZE,
		.ranges = window_b + TIME_RANGES,
		.devices = 1,
		.flush_us = TIME_FLUSH_US,
		.driver = GPUSVM_BENCH_TWO_PASS,
	};
	struct disturber d = { .fd = setup(side, &s) };
	double start;

	step(d.fd, GPUSVM_BENCH_INSERT, 0, TIME_RANGES);
	step(d.fd, GPUSVM_BENCH_INSERT, window_b, TIME_RANGES);
	latency(d.fd, quiet, turn);

	start = now_s();
	if (pthread_create(&d.thread, NULL, disturb, &d))
		errx(1, "pthread_create");
	latency(d.fd, busy, turn);
	step(d.fd, GPUSVM_BENCH_STOP, 0, 1);
	pthread_join(d.thread, NULL);
	busy[INVALIDATIONS][turn] = d.invalidations / (now_s() - start);
	close(d.fd);
}

/*
 * The machine may have other things to do, and then is slow for both sides of a
 * turn: so the ratio is the median of the turns' ratios.
 */
static void print_time(const char *what, const char *unit,
		       double ours[TURNS], double base[TURNS])
{
	double ratios[TURNS];
	int turn;

	for (turn = 0; turn < TURNS; turn++)
		ratios[turn] = ours[turn] / base[turn];
	printf("time\t%s: %s\t%.1f\t%.1f\t%.3f\n", what, unit,
	       median(ours, TURNS), median(base, TURNS), median(ratios, TURNS));
}

static void time_latency(void)
{
	static const char alone[] = "get, alone";
	static const char disturbed[] = "get, other window flushes 200 us";
	static double quiet[FLOOR][LATENCIES][TURNS];
	static double busy[FLOOR][LATENCIES][TURNS];
	char *mem = reserve(2);
	int turn, side;

	populate(mem, TIME_SIZE * TIME_RANGES, SCATTERED);
	populate(mem + WINDOW, TIME_SIZE * TIME_RANGES, SCATTERED);
	for (turn = 0; turn < TURNS; turn++)
		for (side = 0; side < FLOOR; side++)
			time_latency_turn(side, mem, quiet[side], busy[side], turn);

	print_time(alone, "mean us", quiet[OURS][MEAN], quiet[BASE][MEAN]);
	print_time(alone, "p99 us", quiet[OURS][P99], quiet[BASE][P99]);
	print_time(disturbed, "mean us", busy[OURS][MEAN], busy[BASE][MEAN]);
	print_time(disturbed, "p99 us", busy[OURS][P99], busy[BASE][P99]);
	print_time(disturbed, "max us", busy[OURS][MAX], busy[BASE][MAX]);
	print_time(disturbed, "gets/s", busy[OURS][RATE], busy[BASE][RATE]);
	print_time(disturbed, "flushes/s", busy[OURS][INVALIDATIONS],
		   busy[BASE][INVALIDATIONS]);

	munmap(mem, TIME_SIZE * TIME_RANGES);
	munmap(mem + WINDOW, TIME_SIZE * TIME_RANGES);
}

/* Real time: faults of several threads */

#define FAULT_RANGES	4096
/* Fewer where each takes its time. */
#define BIND_RANGES	512

struct faulter {
	pthread_t thread;
	pthread_barrier_t *start;
	unsigned int first, count;
	int fd;
};

static void *faulter(void *arg)
{
	struct faulter *f = arg;

	pthread_barrier_wait(f->start);
	step(f->fd, GPUSVM_BENCH_FAULT, f->first, f->count);

	return NULL;
}

/* Returns faults per second. */
static double fault_all(int fd, unsigned int ranges, unsigned int threads)
{
	struct faulter f[8];
	pthread_barrier_t barrier;
	unsigned int i;
	double start;

	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (i = 0; i < threads; i++) {
		f[i].start = &barrier;
		f[i].count = ranges / threads;
		f[i].first = i * f[i].count;
		f[i].fd = fd;
		if (pthread_create(&f[i].thread, NULL, faulter, &f[i]))
			errx(1, "pthread_create");
	}
	start = now_s();
	pthread_barrier_wait(&barrier);
	for (i = 0; i < threads; i++)
		pthread_join(f[i].thread, NULL);
	pthread_barrier_destroy(&barrier);

	return ranges / (now_s() - start);
}

static void time_faults(char *mem, unsigned int threads, unsigned int bind_us)
{
	struct gpusvm_bench_setup s = {
		.addr = (uintptr_t)mem,
		.bytes = WINDOW,
		.size = TIME_SIZE,
		.ranges = bind_us ? BIND_RANGES : FAULT_RANGES,
		.devices = 1,
		.bind_us = bind_us,
	};
	double v[FLOOR][TURNS];
	int turn, side, fd;
	char what[64];

	for (turn = 0; turn < TURNS; turn++) {
		for (side = 0; side < FLOOR; side++) {
			fd = setup(side, &s);
			v[side][turn] = fault_all(fd, s.ranges, threads);
			close(fd);
		}
	}
	snprintf(what, sizeof(what), "%u threads fault, bind takes %u us",
		 threads, bind_us);
	print_time(what, "faults/s", v[OURS], v[BASE]);
}

static void time_all(void)
{
	char *mem = reserve(1);
	unsigned int threads;

	time_latency();
	populate(mem, TIME_SIZE * FAULT_RANGES, SCATTERED);
	for (threads = 1; threads <= 4; threads *= 2)
		time_faults(mem, threads, 0);
	for (threads = 1; threads <= 4; threads *= 2)
		time_faults(mem, threads, 100);
	munmap(mem, TIME_SIZE * FAULT_RANGES);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "count"))
		count();
	else if (argc == 2 && !strcmp(argv[1], "move"))
		count_pagemap();
	else if (argc == 2 && !strcmp(argv[1], "time"))
		time_all();
	else
		errx(2, "usage: bench count|move|time");

	return 0;
}
