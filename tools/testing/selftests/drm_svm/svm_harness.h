/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the kselftest harness have in common: run operations, check
 * what the device and the process see, wait for conditions.
 */
#ifndef SVM_HARNESS_H
#define SVM_HARNESS_H

#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "vsvm_lib.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define KB		1024UL
#define MB		(1024 * KB)
#define TOP		(1ULL << DRM_VSVM_VA_BITS)
#define RACE_MS		6000
#define TEST_SECONDS	120

/* A job that runs until it is stopped; @word counts up */
#define ENDLESS(word)	svm_atomic_add(word, 1ULL << 40, 0, 1)

#define SVM_TEST(fixture, name)	TEST_F_TIMEOUT(fixture, name, TEST_SECONDS)

/* The job must succeed */
#define RUN(queue, op) \
	ASSERT_EQ(0, svm_run(queue, op, NULL)) TH_LOG("%s", svm_why())

/* The job must fail, with this status and at this address */
#define RUN_FAILS(error, where, queue, op) do {				\
	struct svm_outcome out_;					\
									\
	ASSERT_EQ(error, svm_run(queue, op, &out_));			\
	ASSERT_EQ(svm_addr(where), out_.fault_addr);			\
} while (0)

/* The device must add this memory up to that */
#define SUMS_TO(sum, queue, mem, len) do {				\
	struct svm_outcome out_;					\
									\
	ASSERT_EQ(0, svm_run(queue, svm_sum(mem, len), &out_))		\
		TH_LOG("%s", svm_why());				\
	ASSERT_EQ(sum, out_.result);					\
} while (0)

#define IS_PATTERN(mem, len, seed) \
	ASSERT_EQ(-1, svm_pattern_check(mem, len, seed))
#define IS_VALUE(mem, len, value) \
	ASSERT_EQ(-1, svm_value_check(mem, len, value))

/* Waits for a thing that must happen, and fails the test if it doesn't */
#define WAIT_FOR(condition) do {					\
	uint64_t deadline_ = svm_deadline_ms(SVM_WAIT_MS);		\
									\
	while (!(condition) && !svm_past(deadline_))			\
		sched_yield();						\
	ASSERT_TRUE(condition);						\
} while (0)

static inline uint64_t pattern_sum(size_t len, uint64_t seed)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len / sizeof(uint64_t); i++)
		sum += svm_pattern_word(seed, i);
	return sum;
}

static inline void check_stale(struct __test_metadata *_metadata,
			       struct svm *svm)
{
	struct drm_vsvm_device_stats stats;

	if (svm->fd < 0)
		return;
	EXPECT_EQ(0, svm_stats(svm, &stats)) TH_LOG("%s", svm_why());
	EXPECT_EQ(0, stats.stale_accesses);
}

/* What was counted since the last call on the same @mark */
static inline struct drm_vsvm_device_stats
counted(struct __test_metadata *_metadata, struct svm *svm,
	struct drm_vsvm_device_stats *mark)
{
	struct drm_vsvm_device_stats now, delta;

	ASSERT_EQ(0, svm_stats(svm, &now)) TH_LOG("%s", svm_why());
	delta = now;
	svm_stats_sub(&delta, mark);
	*mark = now;
	return delta;
}

static inline uint64_t mem_used(struct __test_metadata *_metadata, struct svm *svm)
{
	struct drm_vsvm_device_stats stats;

	ASSERT_EQ(0, svm_stats(svm, &stats)) TH_LOG("%s", svm_why());
	return stats.mem_used;
}

/* Whether a child ended by itself and was content */
static inline bool child_is_content(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && !status;
}

#endif
