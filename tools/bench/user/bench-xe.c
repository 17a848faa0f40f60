// SPDX-License-Identifier: GPL-2.0
/*
 * bench-xe [MIB [ROUNDS]]: what SVM of xe takes on the GPU that this machine has. The
 * memory is mapped anew in each round, and passes through all rows in their order; a
 * figure is the median of the rounds, beside the best and the worst. The copy engine
 * does the work, since it is the one that needs no shader.
 *
 * bench-xe rows [FACTOR]: rows to be paired with those of another driver, see xe-rows.c
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "svm_mem.h"
#include "xe-rows.h"
#include "xe_lib.h"

#define MB		(1UL << 20)
#define FAULTS		64	/* single pages in a row of those */
#define MAX_ROUNDS	1000
#define SKIPPED		4

struct bench {
	struct xe_gpu gpu;
	size_t len;
	char *mem;
	char *pages;		/* of FAULTS faults, each in a huge page of its own */
	uint8_t byte;		/* what the GPU has filled the memory with */
};

static struct xe_queue *copy_engine(struct bench *b)
{
	return &b->gpu.queue[XE_COPY];
}

static int gpu_fills(struct bench *b)
{
	b->byte++;
	for (size_t i = 0; i < b->len; i += MB)
		xe_emit_fill(copy_engine(b), b->mem + i, b->byte, MB);
	return xe_run(copy_engine(b));
}

/* A byte of each page, which has to be what the GPU has written */
static int process_reads(struct bench *b)
{
	for (size_t i = 0; i < b->len; i += svm_page_size())
		if (*(volatile uint8_t *)(b->mem + i) != b->byte)
			return svm_failed(-EIO, "byte %zu is wrong", i);
	return 0;
}

static int to_vram(struct bench *b)
{
	return xe_prefetch(&b->gpu, b->mem, b->len, b->gpu.vram);
}

static int to_system(struct bench *b)
{
	return xe_prefetch(&b->gpu, b->mem, b->len, b->gpu.system);
}

/* One batch and one fault at a time: what a program waits for */
static int single_faults(struct bench *b)
{
	for (size_t i = 0; i < FAULTS; i++) {
		xe_emit_fill(copy_engine(b), b->pages + i * SVM_PMD_SIZE, 1, 256);
		if (xe_run(copy_engine(b)))
			return -EIO;
	}
	return 0;
}

static const struct row {
	const char *what;
	int (*run)(struct bench *b);
	size_t times;		/* a figure in microseconds each; 0: in MiB/s */
} rows[] = {
	{ "GPU writes memory of the system, faults", gpu_fills, 0 },
	{ "GPU writes it again, mapped", gpu_fills, 0 },
	{ "prefetch to VRAM", to_vram, 0 },
	{ "GPU writes VRAM", gpu_fills, 0 },
	{ "process reads it, page by page", process_reads, 0 },
	{ "prefetch to VRAM again", to_vram, 0 },
	{ "prefetch to the system", to_system, 0 },
	{ "a GPU page fault and its batch", single_faults, FAULTS },
	/* Nothing is missing any more */
	{ "a batch without a fault", single_faults, FAULTS },
};

#define N_ROWS	(sizeof(rows) / sizeof(rows[0]))

/* The system's, all there, and told to stay until it is moved by name */
static char *new_memory(struct bench *b, size_t len)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	if (!mem)
		return NULL;
	madvise(mem, len, MADV_NOHUGEPAGE);
	memset(mem, 0, len);
	return xe_prefer(&b->gpu, mem, len, b->gpu.system) ? NULL : mem;
}

/* Only the first page of each 2 MiB is there: the others take no memory */
static char *new_pages(struct bench *b)
{
	char *mem = svm_map_aligned(FAULTS * SVM_PMD_SIZE, SVM_PMD_SIZE);

	if (!mem)
		return NULL;
	madvise(mem, FAULTS * SVM_PMD_SIZE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < FAULTS; i++)
		mem[i * SVM_PMD_SIZE] = 0;
	return xe_prefer(&b->gpu, mem, FAULTS * SVM_PMD_SIZE, b->gpu.system) ? NULL : mem;
}

static int run_round(struct bench *b, double figures[N_ROWS])
{
	int err = 0;

	b->mem = new_memory(b, b->len);
	b->pages = new_pages(b);
	if (!b->mem || !b->pages)
		return svm_failed(-ENOMEM, "no memory: %s", strerror(errno));
	for (size_t i = 0; !err && i < N_ROWS; i++) {
		uint64_t start = svm_now_ns();

		err = rows[i].run(b);
		figures[i] = svm_now_ns() - start;
		if (rows[i].times)
			figures[i] = figures[i] / 1e3 / rows[i].times;
		else
			figures[i] = b->len / (double)MB / (figures[i] / 1e9);
	}
	munmap(b->mem, b->len);
	munmap(b->pages, FAULTS * SVM_PMD_SIZE);
	return err;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_rows(double (*figures)[N_ROWS], size_t rounds)
{
	static double sorted[MAX_ROUNDS];

	printf("%-41s%8s%11s%11s%11s\n", "", "unit", "median", "least", "most");
	for (size_t i = 0; i < N_ROWS; i++) {
		for (size_t round = 0; round < rounds; round++)
			sorted[round] = figures[round][i];
		qsort(sorted, rounds, sizeof(sorted[0]), compare);
		printf("%-41s%8s%11.1f%11.1f%11.1f\n", rows[i].what,
		       rows[i].times ? "us" : "MiB/s", sorted[rounds / 2], sorted[0],
		       sorted[rounds - 1]);
	}
}

static int run_rounds(struct bench *b, size_t rounds)
{
	static double figures[MAX_ROUNDS][N_ROWS];

	printf("device %04x, %llu MiB of VRAM; %zu MiB of memory in small pages, %zu rounds\n\n",
	       b->gpu.device_id, (unsigned long long)(b->gpu.vram_size / MB), b->len / MB,
	       rounds);
	for (size_t round = 0; round < rounds; round++)
		if (run_round(b, figures[round]))
			return -EIO;
	print_rows(figures, rounds);
	return 0;
}

static int report_failure(int err)
{
	fprintf(stderr, "bench-xe: %s%s\n", err == -ENODEV ? "skipped: " : "", svm_why());
	return err == -ENODEV ? SKIPPED : 1;
}

static int rows_main(int argc, char **argv)
{
	struct xe_gpu gpu;
	int err = xe_open(&gpu);

	if (err)
		return report_failure(err);
	err = xe_rows(&gpu, argc > 2 ? strtoul(argv[2], NULL, 0) : 1);
	xe_close(&gpu);
	return err ? report_failure(err) : 0;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 9;
	struct bench b = { .len = (argc > 1 ? strtoul(argv[1], NULL, 0) : 64) * MB };
	int err;

	if (argc > 1 && !strcmp(argv[1], "rows"))
		return rows_main(argc, argv);
	if (!b.len || !rounds || rounds > MAX_ROUNDS) {
		fprintf(stderr, "bench-xe [MIB [ROUNDS]]\nbench-xe rows [FACTOR]\n");
		return 2;
	}
	err = xe_open(&b.gpu);
	if (!err) {
		err = run_rounds(&b, rounds);
		xe_close(&b.gpu);
		if (err)
			printf("NOT all right: %s\n", svm_why());
		return err ? 1 : 0;
	}
	printf("bench-xe: %s%s\n", err == -ENODEV ? "skipped: " : "", svm_why());
	return err == -ENODEV ? SKIPPED : 1;
}
