/* SPDX-License-Identifier: MIT */
#ifndef _XE_SVM_PAGEMAP_FIXTURE_H_
#define _XE_SVM_PAGEMAP_FIXTURE_H_

#include "tests/xe_svm_fixture.h"

struct drm_pagemap;
struct xe_bo;
struct xe_exec_queue;

/* The VRAM, its address for the GPU, and behind the BAR. */
#define VRAM_SIZE	SZ_16M
#define VRAM_DPA	SZ_256M
#define VRAM_IO		(SZ_1T)

/* Jobs that are remembered. */
#define COPY_JOBS	16

/**
 * struct test_copies - What the copy engine was told to do
 *
 * @queue: The queue that the driver believes the jobs go to
 * @jobs: Number of jobs
 * @job: The first of them
 * @job.npages: Pages
 * @job.vram: Where in VRAM
 * @job.addr: The first address of the other side
 * @job.to_ram: From VRAM to RAM
 * @err: What jobs return; 0 if they work
 * @err_after: So many jobs work before
 * @interrupts: So many jobs are interrupted before one works
 * @signalled: One of them came with a signal pending
 * @bo: The first memory that was allocated, if the test wants that, with a reference
 */
struct test_copies {
	struct xe_exec_queue *queue;
	unsigned int jobs;
	struct {
		unsigned long npages;
		u64 vram;
		u64 addr;
		bool to_ram;
	} job[COPY_JOBS];
	int err;
	unsigned int err_after;
	unsigned int interrupts;
	bool signalled;
	struct xe_bo *bo;
};

static inline struct test_copies *to_copies(struct kunit *test)
{
	return to_svm(test)->arg;
}

int xsvm_pagemap_init(struct kunit *test);
struct drm_pagemap *xsvm_local_pagemap(struct kunit *test);
bool xsvm_in_vram(struct kunit *test, u64 addr);
struct xe_bo *xsvm_bring_to_object(struct kunit *test);
void xsvm_expect_contents(struct kunit *test, u64 addr, u64 len);

#endif
