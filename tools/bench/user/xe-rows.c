// SPDX-License-Identifier: GPL-2.0
/*
 * What several contexts, that is queues, on one address space get of a driver, as
 * rows to be paired with those of another driver. How much work a row is doesn't
 * depend on how long it takes. Where a fault begins and ends is told by the clock
 * of the engine, around a load that it can't go on without.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "svm_mem.h"
#include "xe-rows.h"

#define KB		1024UL
#define MB		(1UL << 20)
#define MAX_CONTEXTS	4
#define MAX_FACTOR	16
#define MAX_FAULTS	(64 * MAX_FACTOR)	/* of a context */
#define STAMPS_SIZE	(2 * MAX_FAULTS * sizeof(uint32_t))
#define MOVED		(64 * MB)
#define MOVES		3
#define ROUNDS		16			/* of ping-pong */
#define STIRRED		(64 * KB)

/* What a fault is about: as many bytes as are mapped there in one piece */
static const struct shape {
	const char *name;
	size_t size, stride;
	unsigned int faults;	/* of a context, times the factor */
} shapes[] = {
	/* Holes keep the driver from serving more than the piece by one fault */
	{ "4K", 4 * KB, 8 * KB, 64 },
	{ "64K", 64 * KB, 128 * KB, 32 },
	{ "2M", 2 * MB, 2 * MB, 8 },
};

struct context {
	struct xe_queue queue;
	uint32_t *stamps;	/* before and behind each fault */
};

struct rows {
	struct xe_gpu *gpu;
	unsigned int factor;
	uint32_t clock_hz;
	struct context context[MAX_CONTEXTS];
};

struct row {
	const struct shape *shape;
	bool vram, storm, stirred;
	unsigned int contexts;
	/* Made of these */
	unsigned int faults;
	char name[64];
	char *mem;
	size_t len;
};

static void print_row(const char *name, const char *what, const char *unit, double value)
{
	printf("%s%s%s\t%s\t%.3f\n", name, *what ? " " : "", what, unit, value);
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Times in us, which get sorted */
static void print_times(const char *name, double *us, size_t n)
{
	qsort(us, n, sizeof(*us), compare);
	print_row(name, "p50", "us", us[n / 2]);
	print_row(name, "p99", "us", us[(n * 99 - 1) / 100]);
	print_row(name, "max", "us", us[n - 1]);
}

/*
 * A thread that has memory mapped, by the GPU too, and taken away again, for as long
 * as others measure
 */
struct stirrer {
	const struct xe_gpu *gpu;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	unsigned int times;
	int err;
};

static int stir(const struct xe_gpu *gpu)
{
	char *mem = svm_map_aligned(STIRRED, STIRRED);
	int err;

	if (!mem)
		return svm_failed(-ENOMEM, "no memory to map and unmap");
	memset(mem, 1, STIRRED);
	err = xe_prefetch(gpu, mem, STIRRED, gpu->system);
	munmap(mem, STIRRED);
	return err;
}

static void *stirrer_main(void *arg)
{
	struct stirrer *s = arg;
	int err = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && !err) {
		pthread_mutex_unlock(&s->lock);
		err = stir(s->gpu);
		pthread_mutex_lock(&s->lock);
		s->times++;
		s->err = err;
		pthread_cond_broadcast(&s->changed);
	}
	if (err)
		fprintf(stderr, "bench-xe: while memory is unmapped: %s\n", svm_why());
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* When it returns, the thread has got going */
static int stirrer_start(struct stirrer *s, const struct xe_gpu *gpu)
{
	*s = (struct stirrer) { .gpu = gpu };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	if (pthread_create(&s->thread, NULL, stirrer_main, s))
		return svm_failed(-EAGAIN, "no thread to unmap memory");
	pthread_mutex_lock(&s->lock);
	while (!s->times)
		pthread_cond_wait(&s->changed, &s->lock);
	s->times = 0;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int stirrer_stop(struct stirrer *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	return s->err ? svm_failed(s->err, "the thread that unmaps memory failed") : 0;
}

/*
 * Faults
 */

static uint64_t *word_of(const struct row *row, unsigned int context, unsigned int i)
{
	unsigned int piece = row->storm ? i : context * row->faults + i;

	/* In a storm each context has a word of its own */
	return (uint64_t *)(row->mem + piece * row->shape->stride) + context;
}

/* There, in the system, and in pieces of the row's size */
static int row_map(struct rows *rows, struct row *row)
{
	const struct shape *shape = row->shape;
	struct xe_gpu *gpu = rows->gpu;
	unsigned int pieces;

	row->faults = shape->faults * rows->factor;
	pieces = row->faults * (row->storm ? 1 : row->contexts);
	row->len = pieces * shape->stride;
	row->mem = svm_map_aligned(row->len, SVM_PMD_SIZE);
	if (!row->mem)
		return svm_failed(-ENOMEM, "no memory: %s", strerror(errno));
	madvise(row->mem, row->len,
		shape->size == SVM_PMD_SIZE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < pieces; i++) {
		char *piece = row->mem + i * shape->stride;

		memset(piece, 0, shape->size);
		if (shape->stride > shape->size)
			munmap(piece + shape->size, shape->stride - shape->size);
	}
	return xe_prefer(gpu, row->mem, row->len, row->vram ? gpu->vram : gpu->system);
}

static void row_emit(const struct row *row, struct context *context, unsigned int n)
{
	for (unsigned int i = 0; i < row->faults; i++) {
		xe_emit_timestamp(&context->queue, &context->stamps[2 * i]);
		xe_emit_add(&context->queue, word_of(row, n, i), 1);
		xe_emit_timestamp(&context->queue, &context->stamps[2 * i + 1]);
	}
}

static int row_run(struct rows *rows, const struct row *row, double *seconds)
{
	uint64_t start;
	int err = 0;

	for (unsigned int n = 0; n < row->contexts; n++)
		row_emit(row, &rows->context[n], n);
	start = svm_now_ns();
	for (unsigned int n = 0; !err && n < row->contexts; n++)
		err = xe_submit(&rows->context[n].queue);
	for (unsigned int n = 0; !err && n < row->contexts; n++)
		err = xe_wait(&rows->context[n].queue);
	*seconds = (svm_now_ns() - start) / 1e9;
	return err;
}

static int row_check(const struct row *row)
{
	for (unsigned int n = 0; n < row->contexts; n++)
		for (unsigned int i = 0; i < row->faults; i++)
			if (*(volatile uint64_t *)word_of(row, n, i) != 1)
				return svm_failed(-EIO, "context %u did not write word %u", n, i);
	return 0;
}

static void row_report(const struct rows *rows, const struct row *row, double seconds)
{
	static double us[MAX_CONTEXTS * MAX_FAULTS];
	size_t all = 0;

	for (unsigned int n = 0; n < row->contexts; n++) {
		const uint32_t *stamps = rows->context[n].stamps;

		for (unsigned int i = 0; i < row->faults; i++)
			us[all++] = (stamps[2 * i + 1] - stamps[2 * i]) * 1e6 / rows->clock_hz;
	}
	print_row(row->name, "rate", "faults/s", all / seconds);
	print_times(row->name, us, all);
}

static int row_measure(struct rows *rows, const struct row *row)
{
	struct stirrer stirrer;
	double seconds;
	int err = 0;

	if (row->stirred)
		err = stirrer_start(&stirrer, rows->gpu);
	if (err)
		return err;
	err = row_run(rows, row, &seconds);
	if (row->stirred) {
		int stirred = stirrer_stop(&stirrer);

		err = err ? err : stirred;
	}
	if (!err)
		err = row_check(row);
	if (err)
		return err;
	row_report(rows, row, seconds);
	if (row->stirred)
		print_row(row->name, "unmapped", "times/s", stirrer.times / seconds);
	return 0;
}

static int row_do(struct rows *rows, struct row *row)
{
	int err;

	snprintf(row->name, sizeof(row->name), "%s %s %s, %u context%s%s",
		 row->vram ? "to VRAM" : "in RAM", row->shape->name,
		 row->storm ? "shared" : "apart", row->contexts, row->contexts > 1 ? "s" : "",
		 row->stirred ? ", unmaps" : "");
	fprintf(stderr, "%s\n", row->name);
	err = row_map(rows, row);
	if (!err)
		err = row_measure(rows, row);
	if (row->mem)
		munmap(row->mem, row->len);
	return err;
}

/* All contexts apart and, if there are several, on the same pieces */
static int fault_rows_of(struct rows *rows, const struct shape *shape, bool vram, bool stirred)
{
	int err = 0;

	for (unsigned int n = 1; !err && n <= MAX_CONTEXTS; n *= 2) {
		struct row row = {
			.shape = shape, .vram = vram, .stirred = stirred, .contexts = n,
		};

		err = row_do(rows, &row);
		row.storm = true;
		if (!err && n > 1)
			err = row_do(rows, &row);
	}
	return err;
}

static int fault_rows(struct rows *rows)
{
	int err = 0;

	for (unsigned int bits = 0; !err && bits < 4; bits++)
		for (size_t i = 0; !err && i < sizeof(shapes) / sizeof(shapes[0]); i++)
			err = fault_rows_of(rows, &shapes[i], bits & 1, bits & 2);
	return err;
}

/*
 * Moves
 */

static int timed_prefetch(struct rows *rows, void *mem, uint16_t region, double *gb_per_s)
{
	uint64_t start = svm_now_ns();
	int err = xe_prefetch(rows->gpu, mem, MOVED, region);

	*gb_per_s = MOVED / (double)(svm_now_ns() - start);
	return err;
}

static int move_rows_of(struct rows *rows, char *mem, const char *pages)
{
	double in[MOVES], out[MOVES];
	char name[64];
	int err = 0;

	for (int i = 0; !err && i < MOVES; i++) {
		err = timed_prefetch(rows, mem, rows->gpu->vram, &in[i]);
		if (!err)
			err = timed_prefetch(rows, mem, rows->gpu->system, &out[i]);
	}
	if (err)
		return err;
	qsort(in, MOVES, sizeof(in[0]), compare);
	qsort(out, MOVES, sizeof(out[0]), compare);
	snprintf(name, sizeof(name), "prefetch 64 MiB in %s pages", pages);
	print_row(name, "in", "GB/s", in[MOVES / 2]);
	print_row(name, "out", "GB/s", out[MOVES / 2]);
	return 0;
}

static int move_rows(struct rows *rows, bool huge)
{
	char *mem = svm_map_aligned(MOVED, SVM_PMD_SIZE);
	int err;

	if (!mem)
		return svm_failed(-ENOMEM, "no memory: %s", strerror(errno));
	fprintf(stderr, "prefetch, %s pages\n", huge ? "huge" : "small");
	madvise(mem, MOVED, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(mem, 1, MOVED);
	err = move_rows_of(rows, mem, huge ? "huge" : "small");
	munmap(mem, MOVED);
	return err;
}

/* The GPU and the process add to the same word in turns, and each wants it near */
static int ping_pong(struct rows *rows, uint64_t *word, double *us, unsigned int rounds)
{
	struct xe_queue *queue = &rows->context[0].queue;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start = svm_now_ns();
		int err;

		xe_emit_add(queue, word, 1);
		err = xe_run(queue);
		if (err)
			return err;
		++*(volatile uint64_t *)word;
		us[i] = (svm_now_ns() - start) / 1e3;
	}
	if (*word != 2 * rounds)
		return svm_failed(-EIO, "ping-pong ends with %llu", (unsigned long long)*word);
	return 0;
}

static int ping_pong_rows_of(struct rows *rows, const struct shape *shape)
{
	static double us[ROUNDS * MAX_FACTOR];
	unsigned int rounds = ROUNDS * rows->factor;
	struct row row = { .shape = shape, .vram = true, .contexts = 1 };
	int err;

	snprintf(row.name, sizeof(row.name), "ping-pong %s", shape->name);
	fprintf(stderr, "%s\n", row.name);
	err = row_map(rows, &row);
	if (!err)
		err = ping_pong(rows, (uint64_t *)row.mem, us, rounds);
	if (!err)
		print_times(row.name, us, rounds);
	if (row.mem)
		munmap(row.mem, row.len);
	return err;
}

static int ping_pong_rows(struct rows *rows)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(shapes) / sizeof(shapes[0]); i++)
		err = ping_pong_rows_of(rows, &shapes[i]);
	return err;
}

/*
 * Set up
 */

static int context_open(struct rows *rows, struct context *context, unsigned int engine)
{
	struct xe_gpu *gpu = rows->gpu;
	int err = xe_open_queue(gpu, engine, &context->queue);

	if (err)
		return err;
	context->stamps = svm_map_aligned(STAMPS_SIZE, SVM_PMD_SIZE);
	if (!context->stamps)
		return svm_failed(-ENOMEM, "no memory for timestamps");
	memset(context->stamps, 0, STAMPS_SIZE);
	/* They are to make no faults themselves */
	err = xe_prefer(gpu, context->stamps, STAMPS_SIZE, gpu->system);
	return err ? err : xe_prefetch(gpu, context->stamps, STAMPS_SIZE, gpu->system);
}

static void contexts_close(struct rows *rows)
{
	for (unsigned int n = 0; n < MAX_CONTEXTS; n++) {
		xe_close_queue(&rows->context[n].queue);
		if (rows->context[n].stamps)
			munmap(rows->context[n].stamps, STAMPS_SIZE);
	}
}

static int contexts_open(struct rows *rows)
{
	int engines = xe_count_engines(rows->gpu), err = 0;

	if (engines <= 0)
		return engines ? engines : svm_failed(-ENODEV, "this GPU has no engines");
	fprintf(stderr, "%d engines for %d contexts\n", engines, MAX_CONTEXTS);
	print_row("engines", "", "count", engines);
	for (int n = 0; !err && n < MAX_CONTEXTS; n++)
		err = context_open(rows, &rows->context[n], n % engines);
	return err;
}

int xe_rows(struct xe_gpu *gpu, unsigned int factor)
{
	struct rows rows = { .gpu = gpu, .factor = factor, .clock_hz = xe_clock_hz(gpu) };
	int err;

	if (!factor || factor > MAX_FACTOR)
		return svm_failed(-EINVAL, "a factor of 1 to %d is wanted", MAX_FACTOR);
	if (!rows.clock_hz)
		return svm_failed(-ENODEV, "the GPU does not tell how fast its clock is");
	err = contexts_open(&rows);
	if (!err)
		err = fault_rows(&rows);
	if (!err)
		err = move_rows(&rows, false);
	if (!err)
		err = move_rows(&rows, true);
	if (!err)
		err = ping_pong_rows(&rows);
	contexts_close(&rows);
	return err;
}
