/* SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define WINDOW		(512UL << 20)

/*
 * What lies where in physical memory decides how much a GPU SVM can map at a
 * time, and the page allocator's free lists would decide that differently in
 * each boot. So nothing is left to it.
 */
enum layout {
	SCATTERED,	/* small pages, no two of them adjacent */
	ADJACENT,	/* small pages, adjacent up to 2 MiB */
	HUGE,		/* huge pages */
};

char *reserve(unsigned int windows);
void populate(char *mem, size_t bytes, enum layout layout);
void sort(double *values, unsigned int n);
double median(double *values, unsigned int n);

/* pagemap.c: what it takes to move memory to a device and back */
void count_pagemap(void);

#endif /* BENCH_H */
