// SPDX-License-Identifier: MIT
/*
 * What it takes to move memory to a device and back.
 *
 * Memory is fresh for each step that is measured, and the contents of each page
 * are checked when they have come back.
 */

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../module/pagemap_bench.h"
#include "bench.h"

#define CHUNK		PAGEMAP_BENCH_CHUNK
#define PAGE		4096UL
#define CHUNK_PAGES	(CHUNK / PAGE)
#define TURNS		5

enum side { OURS, BASE, SIDES };

static const char *const devices[] = {
	[OURS] = "/dev/pagemap-bench-ours",
	[BASE] = "/dev/pagemap-bench-base",
};

/*
 * The modelled copy engines take half as long for a chunk as the CPU does, as
 * long, and twice as long. The CPU takes a nanosecond for an instruction.
 */
static const struct shape {
	const char *name;
	enum layout layout;
	unsigned int chunk_us[3];
} shapes[] = {
	{ "2M small",	SCATTERED,	{ 750, 1500, 3000 } },
	{ "2M huge",	HUGE,		{ 30, 60, 120 } },
};

#define COPY_NS	5000

/**
 * struct bench - What is measured
 * @shape: Kind of memory
 * @mem: The memory
 * @chunks: Number of chunks
 * @fd: The device that it is measured on
 */
struct bench {
	const struct shape *shape;
	char *mem;
	unsigned int chunks;
	int fd;
};

static size_t pages(const struct bench *b)
{
	return b->chunks * CHUNK_PAGES;
}

static void open_side(struct bench *b, enum side side, unsigned int chunk_us,
		      unsigned int fault_window)
{
	struct pagemap_bench_setup s = {
		.addr = (uintptr_t)b->mem,
		.chunks = b->chunks,
		.chunk_ns = chunk_us * 1000,
		.copy_ns = COPY_NS,
		.fault_window = fault_window,
	};

	b->fd = open(devices[side], O_RDWR);
	if (b->fd < 0)
		err(1, "%s", devices[side]);
	if (ioctl(b->fd, PAGEMAP_BENCH_SETUP, &s))
		err(1, "%s, first call", devices[side]);
}

static struct pagemap_bench_step step(const struct bench *b, unsigned int op)
{
	struct pagemap_bench_step s = { .op = op };

	if (ioctl(b->fd, PAGEMAP_BENCH_STEP, &s))
		err(1, "%s: operation %u", b->shape->name, op);

	return s;
}

/* Contents: a word for each page */

static __u64 *word(const struct bench *b, size_t page)
{
	return (__u64 *)(b->mem + page * PAGE);
}

static __u64 load(const struct bench *b, size_t page)
{
	return __atomic_load_n(word(b, page), __ATOMIC_RELAXED);
}

static __u64 contents(size_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15UL;
}

static void fresh(const struct bench *b)
{
	size_t i;

	munmap(b->mem, b->chunks * (size_t)CHUNK);
	populate(b->mem, b->chunks * (size_t)CHUNK, b->shape->layout);
	for (i = 0; i < pages(b); i++)
		*word(b, i) = contents(i);
}

/* Memory that nobody has touched */
static void fresh_hole(const struct bench *b)
{
	size_t bytes = b->chunks * (size_t)CHUNK;

	munmap(b->mem, bytes);
	if (mmap(b->mem, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != b->mem)
		err(1, "mmap");
	if (madvise(b->mem, bytes, b->shape->layout == HUGE ? MADV_HUGEPAGE :
							      MADV_NOHUGEPAGE))
		err(1, "madvise");
}

static void check_contents(const struct bench *b, bool hole)
{
	size_t i;

	for (i = 0; i < pages(b); i++)
		if (load(b, i) != (hole ? 0 : contents(i)))
			errx(1, "%s: page %zu has lost its contents",
			     b->shape->name, i);
}

static void check_pages(const struct bench *b, const char *what, size_t is,
			size_t expected)
{
	if (is != expected)
		errx(1, "%s: %s %zu pages, not %zu", b->shape->name, what, is,
		     expected);
}

/* Rows: each takes its turn and leaves everything in RAM */

/* To the device, all of it */
static double to_device(const struct bench *b, unsigned int op)
{
	struct pagemap_bench_step s;

	fresh(b);
	s = step(b, op);
	if (s.error)
		errx(1, "%s: to the device: %s", b->shape->name, strerror(-s.error));
	check_pages(b, "copied to the device", s.to_device, pages(b));

	return s.result;
}

/* To RAM, whatever is left on the device */
static double to_ram(const struct bench *b, unsigned int op, size_t *copied)
{
	struct pagemap_bench_step s = step(b, op);

	if (s.error)
		errx(1, "%s: eviction: %s", b->shape->name, strerror(-s.error));
	*copied = s.to_ram;
	check_contents(b, false);

	return s.result;
}

static double row_to_device(const struct bench *b)
{
	double took = to_device(b, PAGEMAP_BENCH_MIGRATE);

	check_contents(b, false);

	return took;
}

static double row_populate(const struct bench *b)
{
	double took = to_device(b, PAGEMAP_BENCH_POPULATE);

	check_contents(b, false);

	return took;
}

static double row_evict(const struct bench *b)
{
	size_t copied;
	double took;

	to_device(b, PAGEMAP_BENCH_MIGRATE);
	took = to_ram(b, PAGEMAP_BENCH_EVICT, &copied);
	check_pages(b, "copied to RAM", copied, pages(b));

	return took;
}

static __u64 now(void)
{
	unsigned int cpu;

	return __rdtscp(&cpu);
}

/* One page somewhere in each chunk */
static double row_touch(const struct bench *b)
{
	__u64 start, took = 0;
	unsigned int i;

	to_device(b, PAGEMAP_BENCH_MIGRATE);
	for (i = 0; i < b->chunks; i++) {
		start = now();
		load(b, i * CHUNK_PAGES + 200);
		took += now() - start;
	}
	check_contents(b, false);

	return took;
}

/* Each page, in order */
static double row_read(const struct bench *b)
{
	__u64 start, took;
	size_t i;

	to_device(b, PAGEMAP_BENCH_MIGRATE);
	start = now();
	for (i = 0; i < pages(b); i++)
		load(b, i);
	took = now() - start;
	check_contents(b, false);

	return took;
}

/* What an unpopulated chunk returned last */
static int hole_error;

static double row_hole(const struct bench *b)
{
	struct pagemap_bench_step s;

	fresh_hole(b);
	s = step(b, PAGEMAP_BENCH_POPULATE);
	hole_error = -s.error;
	check_pages(b, "zeroed", s.zeroed, pages(b));
	check_contents(b, true);

	return s.result;
}

static double floor_to_device(const struct bench *b)
{
	struct pagemap_bench_step s;

	fresh(b);
	s = step(b, PAGEMAP_BENCH_FLOOR_VMA);
	check_pages(b, "moved", s.to_device + s.to_ram, 0);
	check_contents(b, false);

	return s.result;
}

static double floor_evict(const struct bench *b)
{
	struct pagemap_bench_step s;
	size_t copied;

	to_device(b, PAGEMAP_BENCH_MIGRATE);
	s = step(b, PAGEMAP_BENCH_FLOOR_DEVICE);
	to_ram(b, PAGEMAP_BENCH_EVICT, &copied);
	check_pages(b, "moved", s.to_device + s.to_ram, 0);
	check_pages(b, "copied to RAM", copied, pages(b));

	return s.result;
}

static double bare(const struct bench *b, double *evict)
{
	struct pagemap_bench_step to, from;

	fresh(b);
	to = step(b, PAGEMAP_BENCH_BARE_VMA);
	from = step(b, PAGEMAP_BENCH_BARE_DEVICE);
	if (to.error || from.error)
		errx(1, "%s: moving without contents: %s", b->shape->name,
		     strerror(-(to.error ?: from.error)));
	*evict = from.result;

	return to.result;
}

static double bare_to_device(const struct bench *b)
{
	double evict;

	return bare(b, &evict);
}

static double bare_evict(const struct bench *b)
{
	double evict;

	bare(b, &evict);

	return evict;
}

typedef double (*row_fn)(const struct bench *b);

static const struct row {
	const char *name;
	row_fn fn, floor, bare;
} rows[] = {
	{ "to-device",	row_to_device,	floor_to_device,	bare_to_device },
	{ "populate",	row_populate,	floor_to_device,	bare_to_device },
	{ "hole",	row_hole,	NULL,			NULL },
	{ "touch",	row_touch,	NULL,			NULL },
	{ "read",	row_read,	NULL,			NULL },
	{ "evict",	row_evict,	floor_evict,		bare_evict },
};

static double count_side(struct bench *b, enum side side, row_fn fn)
{
	double took;

	if (!fn)
		return 0;

	open_side(b, side, 0, 0);
	took = fn(b) / b->chunks;
	close(b->fd);

	return took;
}

static void count_row(struct bench *b, const struct row *row)
{
	double v[SIDES][TURNS], floor[TURNS], bare[TURNS];
	int errors[SIDES] = {};
	enum side side;
	int turn, to;

	/* The turn before the first one warms up, and is overwritten. */
	for (turn = -1; turn < TURNS; turn++) {
		to = turn < 0 ? 0 : turn;
		for (side = 0; side < SIDES; side++) {
			hole_error = 0;
			v[side][to] = count_side(b, side, row->fn);
			errors[side] = hole_error;
		}
		floor[to] = count_side(b, OURS, row->floor);
		bare[to] = count_side(b, OURS, row->bare);
	}

	printf("move\t%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\n",
	       b->shape->name, row->name, median(v[OURS], TURNS),
	       median(v[BASE], TURNS), median(floor, TURNS), median(bare, TURNS),
	       errors[OURS], errors[BASE]);
}

/* How much should a CPU fault bring back? Small pages only: huge ones come whole. */

static double window_row(struct bench *b, unsigned int window, row_fn fn)
{
	double took;

	open_side(b, OURS, 0, window);
	took = fn(b) / b->chunks;
	close(b->fd);

	return took;
}

static void count_windows(struct bench *b)
{
	static const unsigned int kib[] = { 4, 16, 64, 256, 2048 };
	double touch[TURNS], read[TURNS];
	unsigned int i;
	int turn;

	for (i = 0; i < ARRAY_SIZE(kib); i++) {
		for (turn = 0; turn < TURNS; turn++) {
			touch[turn] = window_row(b, kib[i] << 10, row_touch);
			read[turn] = window_row(b, kib[i] << 10, row_read);
		}
		printf("window\t%u\t%.0f\t%.0f\n", kib[i], median(touch, TURNS),
		       median(read, TURNS));
	}
}

/* Modelled time */

#define MODEL_TURNS	3

enum { POPULATE, EVICT, MODELS };

static void model_side(struct bench *b, enum side side, unsigned int chunk_us,
		       double v[MODELS][MODEL_TURNS], int turn)
{
	size_t copied;

	open_side(b, side, chunk_us, 0);
	v[POPULATE][turn] = to_device(b, PAGEMAP_BENCH_POPULATE_ALL) / 1e3;
	v[EVICT][turn] = to_ram(b, PAGEMAP_BENCH_EVICT_ALL, &copied) / 1e3;
	check_pages(b, "copied to RAM", copied, pages(b));
	close(b->fd);
}

static void model(struct bench *b, unsigned int chunk_us)
{
	static const char *const names[] = { "populate", "evict" };
	double v[SIDES][MODELS][MODEL_TURNS];
	int turn, row;

	for (turn = 0; turn < MODEL_TURNS; turn++) {
		model_side(b, OURS, chunk_us, v[OURS], turn);
		model_side(b, BASE, chunk_us, v[BASE], turn);
	}
	for (row = 0; row < MODELS; row++)
		printf("modelled\t%s\t%s\t%u\t%.0f\t%.0f\n", b->shape->name,
		       names[row], chunk_us, median(v[OURS][row], MODEL_TURNS),
		       median(v[BASE][row], MODEL_TURNS));
}

static void count_shape(const struct shape *shape)
{
	struct bench b = { .shape = shape, .mem = reserve(1), .chunks = 8 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		count_row(&b, &rows[i]);
	if (shape->layout != HUGE)
		count_windows(&b);

	munmap(b.mem, b.chunks * (size_t)CHUNK);
	b.chunks = PAGEMAP_BENCH_MAX_CHUNKS;
	for (i = 0; i < ARRAY_SIZE(shape->chunk_us); i++)
		model(&b, shape->chunk_us[i]);
	munmap(b.mem, b.chunks * (size_t)CHUNK);
}

void count_pagemap(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		count_shape(&shapes[i]);
}
