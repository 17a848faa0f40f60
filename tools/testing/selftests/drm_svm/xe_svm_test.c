// SPDX-License-Identifier: GPL-2.0
/*
 * What the CPU does to a part of memory that a GPU with the xe driver uses: the GPU
 * must see it, and must not be disturbed elsewhere.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* One range of the driver's, of pages that are as small as can be */
#define LEN	SVM_PMD_SIZE
/* What the GPU may have one entry for */
#define STEP	(64UL << 10)
#define RW	(PROT_READ | PROT_WRITE)
#define TEST_SECONDS	120

/*
 * Memory that is shared with the GPU: what the CPU changes, and where the copy
 * engine puts what it sees of that. In RAM, as a change of VRAM moves it.
 */
FIXTURE(gpu)
{
	struct xe_gpu gpu;
	struct xe_queue *copy;
	char *mem, *seen;
	size_t page;
};

static char *take_memory(const struct xe_gpu *gpu, uint64_t seed)
{
	char *mem = svm_map_aligned(LEN, SVM_PMD_SIZE);

	if (!mem || madvise(mem, LEN, MADV_NOHUGEPAGE))
		return NULL;
	svm_pattern_fill(mem, LEN, seed);
	return xe_prefer(gpu, mem, LEN, gpu->system) ? NULL : mem;
}

FIXTURE_SETUP(gpu)
{
	int err = xe_open(&self->gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	self->copy = &self->gpu.queue[XE_COPY];
	self->page = svm_page_size();
	self->mem = take_memory(&self->gpu, 1);
	self->seen = take_memory(&self->gpu, 2);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->seen);
}

FIXTURE_TEARDOWN(gpu)
{
	munmap(self->mem, LEN);
	munmap(self->seen, LEN);
	xe_close(&self->gpu);
}

/* Let the GPU copy a part of the memory */
#define COPY(from, to) do {						\
	if ((from) < (to))						\
		xe_emit_copy(self->copy, self->seen + (from),		\
			     self->mem + (from), (to) - (from));	\
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());	\
} while (0)

#define GPU_SEES_ALL() do {						\
	COPY(0, LEN);							\
	ASSERT_EQ(0, memcmp(self->seen, self->mem, LEN));		\
} while (0)

static unsigned long long faults(const struct xe_gpu *gpu)
{
	struct xe_stats stats;

	return xe_stats(gpu, &stats) ? 0 : stats.faults;
}

/* Ways to change some pages so that the GPU has to forget them */

static bool discard(char *mem, size_t len)
{
	return !madvise(mem, len, MADV_DONTNEED);
}

static bool protect(char *mem, size_t len)
{
	return !mprotect(mem, len, PROT_READ) && !mprotect(mem, len, RW);
}

static bool page_out(char *mem, size_t len)
{
	return !madvise(mem, len, MADV_PAGEOUT);
}

static bool replace(char *mem, size_t len)
{
	return mmap(mem, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == mem;
}

/* Other memory comes in its place, with what is in it */
static bool move_over(char *mem, size_t len)
{
	char *other = svm_map(len, RW);

	if (!other)
		return false;
	svm_pattern_fill(other, len, 3);
	return mremap(other, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, mem) == mem;
}

/*
 * Some leave no memory for a moment. And some split a VMA, for which the kernel gets a
 * huge page out of the way that could be there: all that one would cover is invalidated.
 */
static const struct change {
	const char *name;
	bool (*fn)(char *mem, size_t len);
	bool unmaps, splits;
} changes[] = {
	{ "discard", discard, false, false },
	{ "page_out", page_out, false, false },
	{ "protect", protect, false, true },
	{ "replace", replace, true, true },
	{ "move_over", move_over, true, true },
};

#define for_each_change(c) \
	for (const struct change *c = changes; c < changes + ARRAY_SIZE(changes); c++)

/* First, last, both sides of a border, more than one step, nearly all */
static const struct { size_t first, n; } parts[] = {
	{ 0, 1 }, { 511, 1 }, { 100, 1 }, { 255, 2 }, { 15, 2 }, { 200, 40 },
	{ 1, 510 },
};

/* The GPU sees what the CPU has done to a part, and the other way round */
TEST_F_TIMEOUT(gpu, parts_are_changed, TEST_SECONDS)
{
	GPU_SEES_ALL();
	for_each_change(change) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			char *mem = self->mem + parts[i].first * self->page;
			size_t len = parts[i].n * self->page;

			ASSERT_TRUE(change->fn(mem, len)) TH_LOG("%s", change->name);
			GPU_SEES_ALL();
			svm_pattern_fill(mem, len, 10 + i);
			GPU_SEES_ALL();

			xe_emit_fill(self->copy, mem, i + 1, len);
			ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
			ASSERT_EQ(-1, svm_value_check(mem, len,
						      0x0101010101010101 * (i + 1)))
				TH_LOG("%s", change->name);
		}
	}
}

/* The GPU keeps what is left, so it has no page fault there */
TEST_F_TIMEOUT(gpu, rest_is_not_disturbed, TEST_SECONDS)
{
	for_each_change(change) {
		for (size_t i = 0; !change->splits && i < ARRAY_SIZE(parts); i++) {
			size_t first = parts[i].first * self->page;
			size_t end = first + parts[i].n * self->page;
			unsigned long long before;

			GPU_SEES_ALL();
			before = faults(&self->gpu);
			ASSERT_LT(0, before);
			ASSERT_TRUE(change->fn(self->mem + first, end - first));
			COPY(0, first & ~(STEP - 1));
			COPY((end + STEP - 1) & ~(STEP - 1), LEN);
			EXPECT_EQ(before, faults(&self->gpu))
				TH_LOG("%s, pages %zu to %zu", change->name,
				       parts[i].first, parts[i].first + parts[i].n - 1);
		}
	}
}

/*
 * Mirrors side by side: one that the GPU may write to in the middle of two that it may
 * not. What it has bound there, it has in no other one
 */
static int mirror_in_the_middle(const struct xe_gpu *gpu, char *mem)
{
	const struct xe_bind binds[] = {
		{ .what = XE_BIND_MIRROR, .mem = mem - LEN, .len = 3 * LEN, .read_only = true },
		{ .what = XE_BIND_MIRROR, .mem = mem, .len = LEN },
	};
	int err = xe_bind(gpu, &binds[0], 1);

	return err ? err : xe_bind(gpu, &binds[1], 1);
}

static char *map_three(void)
{
	char *mem = svm_map_aligned(3 * LEN, SVM_PMD_SIZE);

	return mem ? mem + LEN : NULL;
}

#define GPU_WRITES(mem, byte) ({					\
	xe_emit_fill(self->copy, mem, byte, STEP);			\
	xe_run(self->copy);						\
})

TEST_F_TIMEOUT(gpu, mirror_becomes_read_only, TEST_SECONDS)
{
	char *mem = map_three();
	const struct xe_bind bind = {
		.what = XE_BIND_MIRROR, .mem = mem, .len = LEN, .read_only = true,
	};

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, mirror_in_the_middle(&self->gpu, mem)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, GPU_WRITES(mem, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_bind(&self->gpu, &bind, 1)) TH_LOG("%s", svm_why());
	ASSERT_NE(0, GPU_WRITES(mem, 2));
	ASSERT_EQ(-1, svm_value_check(mem, STEP, 0x0101010101010101));
}

/* The first bind of the list may be merged with others, which the second one has to find */
TEST_F_TIMEOUT(gpu, mirror_is_unbound_behind_a_bind, TEST_SECONDS)
{
	char *mem = map_three();
	const struct xe_bind binds[] = {
		{ .what = XE_BIND_MIRROR, .mem = mem - LEN, .len = LEN, .read_only = true },
		{ .what = XE_UNBIND, .mem = mem, .len = LEN },
	};

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, mirror_in_the_middle(&self->gpu, mem)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, GPU_WRITES(mem, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_bind(&self->gpu, binds, 2)) TH_LOG("%s", svm_why());
	ASSERT_NE(0, GPU_WRITES(mem, 2));
	ASSERT_EQ(-1, svm_value_check(mem, STEP, 0x0101010101010101));
}

/* What a child leaves of the memory of its parent stays that */
TEST_F_TIMEOUT(gpu, userptr_is_split_by_a_child, TEST_SECONDS)
{
	char *mem = svm_map_aligned(LEN, SVM_PMD_SIZE);
	const struct xe_bind whole = {
		.what = XE_BIND_USERPTR, .mem = mem, .len = LEN,
	}, last = {
		.what = XE_UNBIND, .mem = mem + LEN - self->page, .len = self->page,
	};
	int status;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	memset(mem, 1, LEN);
	ASSERT_EQ(0, xe_bind(&self->gpu, &whole, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, GPU_WRITES(mem, 2)) TH_LOG("%s", svm_why());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!xe_bind(&self->gpu, &last, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);

	memset(mem, 3, STEP);
	ASSERT_EQ(0, GPU_WRITES(mem, 4)) TH_LOG("%s", svm_why());
	ASSERT_EQ(-1, svm_value_check(mem, STEP, 0x0404040404040404));
	ASSERT_NE(0, GPU_WRITES(mem + LEN - STEP, 5));
}

/* What is advised for a part of it leaves nothing behind that the GPU could use */
TEST_F_TIMEOUT(gpu, userptr_gets_advice, TEST_SECONDS)
{
	char *mem = svm_map_aligned(LEN, SVM_PMD_SIZE);
	const struct xe_bind bind = { .what = XE_BIND_USERPTR, .mem = mem, .len = LEN };

	ASSERT_NE(NULL, mem);
	memset(mem, 1, LEN);
	ASSERT_EQ(0, xe_bind(&self->gpu, &bind, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, GPU_WRITES(mem, 2)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, LEN / 2, self->gpu.system))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, GPU_WRITES(mem, 3)) TH_LOG("%s", svm_why());
	ASSERT_EQ(-1, svm_value_check(mem, STEP, 0x0303030303030303));
	ASSERT_EQ(0, munmap(mem, LEN));
	ASSERT_NE(0, GPU_WRITES(mem, 4));
}

struct race {
	char *mem;
	size_t page;
	const struct change *change;
	bool failed, done;
};

static void *change_parts(void *arg)
{
	struct svm_rand rand = { .state = 5 };
	struct race *race = arg;

	for (unsigned int i = 0; i < svm_scaled(200); i++) {
		size_t n = svm_rand_below(&rand, 20) + 1;
		char *mem = race->mem + svm_rand_below(&rand, 512 - n) * race->page;

		if (!race->change->fn(mem, n * race->page))
			race->failed = true;
		memset(mem, i, n * race->page);
	}
	__atomic_store_n(&race->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The device model tells if the GPU ever used a page that was not its to use */
TEST_F_TIMEOUT(gpu, parts_are_changed_all_the_time, 3 * TEST_SECONDS)
{
	for_each_change(change) {
		struct race race = {
			.mem = self->mem, .page = self->page, .change = change,
		};
		pthread_t thread;

		if (change->unmaps)
			continue;
		ASSERT_EQ(0, pthread_create(&thread, NULL, change_parts, &race));
		while (!__atomic_load_n(&race.done, __ATOMIC_ACQUIRE))
			COPY(0, LEN);
		pthread_join(thread, NULL);
		ASSERT_FALSE(race.failed);
		GPU_SEES_ALL();
	}
}

TEST_HARNESS_MAIN
