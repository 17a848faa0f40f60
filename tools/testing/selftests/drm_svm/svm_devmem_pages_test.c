// SPDX-License-Identifier: GPL-2.0
/*
 * What of a process's memory moves to a virtual SVM device and back, and what stays,
 * page by page.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_devmem.h"

/*
 * What moves and what stays, page by page
 */

FIXTURE(pages)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
	struct drm_vsvm_query query;
};

FIXTURE_SETUP(pages)
{
	static const char *const settings[] = {
		"mem_size=16M", "policy=advice", "fault_window=64K",
		"timeslice_ms=0", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	ASSERT_EQ(0, svm_query(self->svm.fd, &self->query));
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(pages)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static bool is_huge_at(struct svm *svm, char *mem, uint32_t location)
{
	uint8_t place = 0;

	return !svm_placement(svm, mem, svm_page_size(), &place) &&
	       place == (location | DRM_VSVM_PLACEMENT_HUGE);
}

SVM_TEST(pages, query_tells_of_memory)
{
	EXPECT_EQ(16 * MB, self->query.mem_size);
	EXPECT_EQ(64 * KB, self->query.fault_window);
	EXPECT_EQ(DRM_VSVM_POLICY_ADVICE, self->query.policy);
	EXPECT_EQ(DRM_VSVM_MEM_INTERCONNECT | DRM_VSVM_MEM_EVICTION,
		  self->query.mem_flags);
	EXPECT_EQ(0, self->query.timeslice_ms);
	EXPECT_EQ(0, mem_used(_metadata, &self->svm));
}

SVM_TEST(pages, placement_of_each)
{
	size_t page = self->page;
	char *mem = map_pages(_metadata, LEN, false);
	uint8_t place[5];

	/* One in the device, one in RAM, one nowhere, one no memory at all */
	ASSERT_EQ(0, munmap(mem + 3 * page, page));
	move(_metadata, &self->svm, mem, page, DEV(0));
	mem[page] = 1;
	ASSERT_EQ(0, svm_placement(&self->svm, mem, sizeof(place) * page,
				   place));
	EXPECT_EQ(DEV(0), place[0]);
	EXPECT_EQ(RAM, place[1]);
	EXPECT_EQ(NOWHERE, place[2]);
	EXPECT_EQ(NOWHERE, place[3]);
	EXPECT_EQ(NOWHERE, place[4]);

	/* To ask doesn't move */
	EXPECT_EQ(SVM_BACKING_NONE, svm_backing(mem + 2 * page));
	COUNT_AT(1, DEV(0), &self->svm, mem, LEN);
	munmap(mem, LEN);
}

SVM_TEST(pages, holes_between_pages)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	size_t filled = 0;

	for (size_t i = 0; i < pages; i += 3, filled++)
		svm_pattern_fill(mem + i * page, page, i);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(pages, stats.to_devmem);
	EXPECT_EQ(pages - filled, stats.zeroed);
	EXPECT_EQ(filled * page, stats.copied_in);
	for (size_t i = 0; i < pages; i++) {
		if (i % 3) {
			IS_VALUE(mem + i * page, page, 0);
		} else {
			IS_PATTERN(mem + i * page, page, i);
		}
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, only_what_is_missing)
{
	size_t page = self->page, pages = LEN / page;
	size_t window = self->query.fault_window;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;

	svm_pattern_fill(mem, LEN, 1);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(pages, moved.moved);
	EXPECT_EQ(0, moved.resident);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(0, moved.moved);
	EXPECT_EQ(pages, moved.resident);

	/* A part comes back and moves again, the rest didn't stir */
	move(_metadata, &self->svm, mem + window, window, RAM);
	COUNT_AT(pages - window / page, DEV(0), &self->svm, mem, LEN);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(window / page, moved.moved);
	EXPECT_EQ(pages - window / page, moved.resident);
	EXPECT_EQ(0, moved.left);

	/* An allocation is held by its last page, and there is one more now */
	ASSERT_EQ(LEN + window, mem_used(_metadata, &self->svm));
	IS_PATTERN(mem, LEN, 1);
	munmap(mem, LEN);
}

SVM_TEST(pages, any_part_of_memory)
{
	size_t page = self->page, len = 3 * LEN;
	size_t at = LEN - 5 * page, size = LEN + 12 * page;
	char *mem = map_pages(_metadata, len, false);

	svm_pattern_fill(mem, len, 2);
	move(_metadata, &self->svm, mem + at, size, DEV(0));
	ALL_AT(RAM, &self->svm, mem, at);
	ALL_AT(RAM, &self->svm, mem + at + size, len - at - size);
	SUMS_TO(pattern_sum(len, 2), self->q, mem, len);
	RUN(self->q, svm_add(mem, len, 1));
	ALL_AT(DEV(0), &self->svm, mem + at, size);
	ASSERT_TRUE(is_pattern_plus(mem, len, 2, 1));
	munmap(mem, len);
}

/* Advice makes a range that begins inside a huge page. It is about that part of it */
SVM_TEST(pages, a_part_of_a_huge_page)
{
	size_t at = LEN / 4, len = LEN / 8;
	char *mem = map_pages(_metadata, LEN, true);
	char *copy = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 4);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(0, svm_advise(&self->svm, mem + at, len, NOWHERE, 0, 1));
	RUN(self->q, svm_copy(copy, mem + at, len));
	ASSERT_EQ(0, memcmp(copy, mem + at, len));

	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(self->q, svm_add(mem + at, len, 1));
	for (size_t i = 0; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(4, i) + (i >= at / 8 && i < (at + len) / 8),
			  ((uint64_t *)mem)[i]);
	}
	munmap(copy, LEN);
	munmap(mem, LEN);
}

SVM_TEST(pages, several_mappings)
{
	size_t page = self->page, part = 16 * page;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;

	/* A gap, and a change of rights */
	svm_pattern_fill(mem, LEN, 3);
	ASSERT_EQ(0, munmap(mem + part, part));
	ASSERT_EQ(0, mprotect(mem + 3 * part, part, PROT_READ));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ((LEN - part) / page, moved.moved);
	EXPECT_EQ(0, moved.left);
	COUNT_AT((LEN - part) / page, DEV(0), &self->svm, mem, LEN);
	IS_PATTERN(mem, part, 3);
	for (size_t i = 2 * part / 8; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(3, i), ((uint64_t *)mem)[i]);
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, touch_brings_back_a_window)
{
	size_t page = self->page, window = self->query.fault_window;
	char *mem = map_pages(_metadata, LEN, false);
	size_t at = 3 * window + 5 * page;

	svm_pattern_fill(mem, LEN, 4);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(svm_pattern_word(4, at / 8),
		  *(volatile uint64_t *)(mem + at));
	ALL_AT(RAM, &self->svm, mem + 3 * window, window);
	COUNT_AT((LEN - window) / page, DEV(0), &self->svm, mem, LEN);
	IS_PATTERN(mem, LEN, 4);
	munmap(mem, LEN);
}

SVM_TEST(pages, reading_on_takes_few_faults)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 5);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	IS_PATTERN(mem, LEN, 5);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(LEN / self->page, stats.to_ram);
	EXPECT_LT(0, stats.cpu_faults);
	EXPECT_GE(LEN / self->query.fault_window, stats.cpu_faults);
	munmap(mem, LEN);
}

SVM_TEST(pages, huge_stays_huge)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, LEN, true);

	svm_pattern_fill(mem, LEN, 6);
	if (!is_huge_at(&self->svm, mem, RAM))
		SKIP(return, "no huge page to be had");
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	EXPECT_TRUE(is_huge_at(&self->svm, mem, DEV(0)));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(LEN / self->page, stats.to_devmem_huge);

	/* One byte brings back all of it, by one fault */
	ASSERT_EQ(svm_pattern_word(6, 999), ((volatile uint64_t *)mem)[999]);
	ALL_AT(RAM, &self->svm, mem, LEN);
	EXPECT_TRUE(is_huge_at(&self->svm, mem, RAM));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(1, stats.cpu_faults);
	IS_PATTERN(mem, LEN, 6);
	munmap(mem, LEN);
}

SVM_TEST(pages, huge_is_split)
{
	size_t page = self->page, at = 64 * page;
	char *mem = map_pages(_metadata, LEN, true);

	svm_pattern_fill(mem, LEN, 7);
	move(_metadata, &self->svm, mem, LEN, DEV(0));

	/* One page leaves, the others stay where they are */
	ASSERT_EQ(0, munmap(mem + at, page));
	EXPECT_FALSE(is_huge_at(&self->svm, mem, DEV(0)));
	COUNT_AT(LEN / page - 1, DEV(0), &self->svm, mem, LEN);
	RUN(self->q, svm_add(mem, at, 1));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem + at + page, 8 * page, RAM,
				  NULL));
	ASSERT_TRUE(is_pattern_plus(mem, at, 7, 1));
	for (size_t i = (at + page) / 8; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(7, i), ((uint64_t *)mem)[i]);
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, part_of_a_huge_page)
{
	size_t page = self->page, at = 32 * page, len = 16 * page;
	char *mem = map_pages(_metadata, LEN, true);
	struct svm_moved moved;

	/* However much moves, the counts and the contents have to be right */
	svm_pattern_fill(mem, LEN, 8);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem + at, len, DEV(0), &moved));
	EXPECT_EQ(len / page, moved.moved + moved.resident + moved.left);
	COUNT_AT(moved.moved, DEV(0), &self->svm, mem + at, len);
	ALL_AT(RAM, &self->svm, mem, at);
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 8, 1));
	munmap(mem, LEN);
}

SVM_TEST(pages, pinned_ones_stay)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;
	int pin;

	svm_pattern_fill(mem, LEN, 9);
	pin = svm_pin(mem + 5 * page, 3 * page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(pages - 3, moved.moved);
	EXPECT_EQ(3, moved.left);
	ALL_AT(RAM, &self->svm, mem + 5 * page, 3 * page);
	COUNT_AT(pages - 3, DEV(0), &self->svm, mem, LEN);

	/* The device works on what is here and what is there */
	RUN(self->q, svm_add(mem, LEN, 1));
	COUNT_AT(pages - 3, DEV(0), &self->svm, mem, LEN);
	ASSERT_EQ(svm_pattern_word(9, 5 * page / 8) + 1,
		  *(volatile uint64_t *)(mem + 5 * page));
	svm_unpin(pin);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 9, 1));
	munmap(mem, LEN);
}

SVM_TEST(pages, pinned_in_a_huge_page)
{
	char *mem = map_pages(_metadata, 2 * LEN, true);
	struct svm_moved moved;
	int pin;

	svm_pattern_fill(mem, 2 * LEN, 10);
	pin = svm_pin(mem + 5 * self->page, self->page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, 2 * LEN, DEV(0), &moved));
	EXPECT_EQ(2 * LEN / self->page, moved.moved + moved.left);
	ALL_AT(RAM, &self->svm, mem + 5 * self->page, self->page);
	ALL_AT(DEV(0), &self->svm, mem + LEN, LEN);
	RUN(self->q, svm_add(mem, 2 * LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, 2 * LEN, 10, 1));
	svm_unpin(pin);
	move(_metadata, &self->svm, mem, 2 * LEN, DEV(0));
	munmap(mem, 2 * LEN);
}

SVM_TEST(pages, pinning_brings_back)
{
	size_t page = self->page;
	char *mem = map_pages(_metadata, LEN, false);
	int pin;

	svm_pattern_fill(mem, LEN, 11);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	pin = svm_pin(mem + 40 * page, 2 * page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ALL_AT(RAM, &self->svm, mem + 40 * page, 2 * page);
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 11, 1));
	svm_unpin(pin);
	munmap(mem, LEN);
}

static void file_stays(struct __test_metadata *_metadata,
		       FIXTURE_DATA(pages) *self, char *mem, size_t len)
{
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, len, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(0, moved.moved);
	EXPECT_EQ(len / self->page, moved.left);
	COUNT_AT(0, DEV(0), &self->svm, mem, len);
}

SVM_TEST(pages, file_mappings_stay)
{
	static const int kinds[] = { MAP_SHARED, MAP_PRIVATE };
	size_t len = 128 * KB;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int fd = svm_tmpfile(len, 12);
		uint64_t word = 0;
		char *mem;

		ASSERT_LE(0, fd);
		mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, kinds[i]);
		ASSERT_NE(NULL, mem);
		SUMS_TO(pattern_sum(len, 12), self->q, mem, len);
		file_stays(_metadata, self, mem, len);
		RUN(self->q, svm_add(mem, len, 1));
		file_stays(_metadata, self, mem, len);
		ASSERT_TRUE(is_pattern_plus(mem, len, 12, 1));
		ASSERT_EQ(8, pread(fd, &word, 8, 0));
		ASSERT_EQ(svm_pattern_word(12, 0) + (kinds[i] == MAP_SHARED),
			  word);
		munmap(mem, len);
		close(fd);
	}
}

SVM_TEST(pages, file_beside_memory)
{
	size_t len = 64 * KB;
	char *mem = map_pages(_metadata, 3 * len, false);
	int fd = svm_tmpfile(len, 13);
	struct svm_moved moved;

	ASSERT_LE(0, fd);
	svm_pattern_fill(mem, 3 * len, 13);
	ASSERT_EQ(mem + len, mmap(mem + len, len, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, 3 * len, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(2 * len / self->page, moved.moved);
	EXPECT_EQ(len / self->page, moved.left);
	RUN(self->q, svm_copy(mem, mem + len, len));
	IS_PATTERN(mem, len, 13);
	munmap(mem, 3 * len);
	close(fd);
}

SVM_TEST(pages, locked_memory_moves)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 14);
	ASSERT_EQ(0, mlock(mem, LEN)) TH_LOG("%s", strerror(errno));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 14, 1));
	munmap(mem, LEN);
}

/* The CPU sleeps, it doesn't spin, until the device's time is over */
SVM_TEST(pages, timeslice_makes_the_cpu_wait)
{
	enum { MS = 300 };
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	struct rusage before, after;
	uint64_t start, cpu_us;

	svm_pattern_fill(mem, LEN, 15);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	start = svm_now_ns();
	ASSERT_EQ(0, svm_prefetch_for(&self->svm, mem, LEN, DEV(0), MS, NULL));
	getrusage(RUSAGE_SELF, &before);
	ASSERT_EQ(svm_pattern_word(15, 0), *(volatile uint64_t *)mem);
	getrusage(RUSAGE_SELF, &after);

	/* Less the tick that the kernel's clock may be behind */
	EXPECT_LE(MS * 1000000ULL, svm_now_ns() - start + 10000000);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LE(1, stats.timeslice_waits);
	EXPECT_GE(10, stats.cpu_faults);
	cpu_us = (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
		 after.ru_stime.tv_usec - before.ru_stime.tv_usec;
	EXPECT_GT(MS * 1000 / 2, cpu_us);
	IS_PATTERN(mem, LEN, 15);
	munmap(mem, LEN);
}

static int read_word(void *mem)
{
	return !*(volatile uint64_t *)mem;
}

/* A process with the same memory: others that have some of it don't wait */
SVM_TEST(pages, killed_while_it_waits)
{
	static char stack[64 * KB] __attribute__((aligned(16)));
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	uint64_t start;
	pid_t pid;

	svm_pattern_fill(mem, LEN, 16);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	ASSERT_EQ(0, svm_prefetch_for(&self->svm, mem, LEN, DEV(0),
				      DRM_VSVM_MAX_TIMESLICE_MS, NULL));
	pid = clone(read_word, stack + sizeof(stack), CLONE_VM | SIGCHLD, mem);
	ASSERT_LT(0, pid);
	WAIT_FOR(!svm_stats(&self->svm, &stats) &&
		 stats.timeslice_waits > mark.timeslice_waits);
	start = svm_now_ns();
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_GT(DRM_VSVM_MAX_TIMESLICE_MS / 2 * 1000000ULL,
		  svm_now_ns() - start);
	munmap(mem, LEN);
}

/* A page that never comes to rest: all that is around it is told to be left, no more */
struct restless {
	char *page;
	bool stop;
	pthread_t thread;
};

static void *drop_and_drop(void *arg)
{
	struct restless *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		madvise(r->page, svm_page_size(), MADV_DONTNEED);
	return NULL;
}

SVM_TEST(pages, prefetch_beside_a_restless_page)
{
	size_t len = 4 * LEN, pages = len / self->page;
	char *mem = map_pages(_metadata, len, false);
	struct restless r = { .page = mem + LEN + 5 * self->page };
	struct svm_moved moved;

	svm_pattern_fill(mem, len, 1);
	move(_metadata, &self->svm, mem, len, DEV(0));
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, drop_and_drop, &r));
	while (svm_count_at(&self->svm, r.page, self->page, DEV(0)) > 0)
		sched_yield();
	EXPECT_EQ(0, svm_prefetch(&self->svm, mem, len, RAM, &moved));
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(r.thread, NULL));

	TH_LOG("%llu moved, %llu resident, %llu left",
	       (unsigned long long)moved.moved,
	       (unsigned long long)moved.resident,
	       (unsigned long long)moved.left);
	/* The one page counts if the look at its chunk found no quiet moment */
	EXPECT_GE(pages, moved.moved + moved.resident + moved.left);
	EXPECT_LE(pages - 1, moved.moved + moved.resident + moved.left);
	ALL_AT(RAM, &self->svm, mem, LEN);
	ALL_AT(RAM, &self->svm, mem + 2 * LEN, 2 * LEN);
	IS_PATTERN(mem, LEN, 1);
	munmap(mem, len);
}

TEST_HARNESS_MAIN
