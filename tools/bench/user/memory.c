// SPDX-License-Identifier: MIT
/*
 * Memory that lies where it is wanted, and what else both benchmarks need.
 */

#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

/* A free piece of the address space of @windows windows, at a window's start. */
char *reserve(unsigned int windows)
{
	size_t bytes = (windows + 1) * WINDOW;
	char *mem = mmap(NULL, bytes, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "mmap");
	munmap(mem, bytes);

	return (char *)(((uintptr_t)mem + WINDOW - 1) & ~(WINDOW - 1));
}

static size_t huge_bytes(const char *mem)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kb, sum = 0;
	bool inside = false;
	char line[256];

	if (!f)
		err(1, "smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (uintptr_t)mem;
		else if (inside && sscanf(line, "AnonHugePages: %lu", &kb) == 1)
			sum += kb << 10;
	}
	fclose(f);

	return sum;
}

/* Virtual neighbours are touched, and so allocated, far from each other. */
static void touch(char *mem, size_t bytes)
{
	size_t i, pages = bytes / 4096;

	for (i = 0; i < pages; i++)
		mem[i * 7919 % pages * 4096] = 1;
}

/*
 * Changing one page's protection makes the CPU map all by small pages, and
 * khugepaged is told to leave it at that.
 */
static void split(char *mem, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i += 2 << 20)
		if (mprotect(mem + i, 4096, PROT_READ) ||
		    mprotect(mem + i, 4096, PROT_READ | PROT_WRITE))
			err(1, "mprotect");
	if (madvise(mem, bytes, MADV_NOHUGEPAGE))
		err(1, "madvise");
	touch(mem, bytes);
}

void populate(char *mem, size_t bytes, enum layout layout)
{
	bool huge = layout != SCATTERED;
	size_t huge_now;

	if (mmap(mem, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != mem)
		err(1, "mmap of %zu bytes", bytes);
	if (madvise(mem, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		err(1, "madvise");
	touch(mem, bytes);
	if (layout == ADJACENT)
		split(mem, bytes);

	huge_now = huge_bytes(mem);
	if (huge_now != (layout == HUGE ? bytes : 0))
		errx(1, "%zu of %zu bytes are huge pages", huge_now, bytes);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void sort(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
}

double median(double *values, unsigned int n)
{
	sort(values, n);

	return values[n / 2];
}
