// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a process in the memory of a device, tested on the virtual SVM device:
 * it moves there and back, and nobody can tell by what is in it.
 *
 * In this order: what the process and the device do to memory that has moved; races
 * of pages that move there and back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svm_devmem.h"

/*
 * Memory that has moved to the device, by request or since the device touched it
 */

FIXTURE(moved)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page, len;
	bool huge, touch;
};

FIXTURE_VARIANT(moved)
{
	const char *settings[4];
	bool huge, touch;
};

FIXTURE_VARIANT_ADD(moved, small) {
	.settings = { "mem_size=8M", "policy=advice" },
};
FIXTURE_VARIANT_ADD(moved, huge) {
	.settings = { "mem_size=8M", "policy=advice" },
	.huge = true,
};
FIXTURE_VARIANT_ADD(moved, first_touch) {
	.settings = { "mem_size=8M", "policy=first_touch" },
	.touch = true,
};

FIXTURE_SETUP(moved)
{
	self->page = svm_page_size();
	self->huge = variant->huge;
	self->touch = variant->touch;
	self->len = self->huge ? LEN : LEN / 4;
	open_set(_metadata, &self->svm, variant->settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(moved)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static void move_in(struct __test_metadata *_metadata, FIXTURE_DATA(moved) *self,
		    void *mem, size_t len)
{
	if (self->touch) {
		RUN(self->q, svm_atomic_add(mem, len / self->page, self->page,
					    0));
		ALL_AT(DEV(0), &self->svm, mem, len);
	} else {
		move(_metadata, &self->svm, mem, len, DEV(0));
	}
}

/* Mapped, filled by the CPU, moved */
static char *moved_pattern(struct __test_metadata *_metadata,
			   FIXTURE_DATA(moved) *self, size_t len, uint64_t seed)
{
	char *mem = map_pages(_metadata, len, self->huge);

	svm_pattern_fill(mem, len, seed);
	ALL_AT(RAM, &self->svm, mem, len);
	move_in(_metadata, self, mem, len);
	return mem;
}

SVM_TEST(moved, every_operation)
{
	char *mem = moved_pattern(_metadata, self, self->len, 1);
	uint64_t *last = (uint64_t *)(mem + self->len - 8);
	struct svm_outcome out;

	SUMS_TO(pattern_sum(self->len, 1), self->q, mem, self->len);
	RUN(self->q, svm_add(mem, self->len, 5));
	RUN(self->q, svm_fill(mem, self->len / 2, 3));
	RUN(self->q, svm_copy(mem + self->len / 2, mem, self->len / 2 - 8));
	RUN(self->q, svm_atomic_add(mem, self->len / self->page, self->page, 4));
	ASSERT_EQ(0, svm_run(self->q,
			     svm_cas(last, svm_pattern_word(1, self->len / 8 - 1) + 5,
				     9), &out));
	ASSERT_EQ(svm_pattern_word(1, self->len / 8 - 1) + 5, out.result);
	ALL_AT(DEV(0), &self->svm, mem, self->len);

	ASSERT_EQ(9, *last);
	for (size_t i = 0; i < self->len / 8 - 1; i++) {
		ASSERT_EQ(i % (self->page / 8) ? 3 : 7, ((uint64_t *)mem)[i]);
	}
	ALL_AT(RAM, &self->svm, mem, self->len);
	munmap(mem, self->len);
}

SVM_TEST(moved, list_is_chased)
{
	size_t pages = self->len / self->page, at = 0;
	char *mem = map_pages(_metadata, self->len, self->huge);
	struct svm_outcome out;

	for (size_t i = 0; i < pages; i++) {
		size_t next = (at + 77) % pages;

		*(uint64_t *)(mem + at * self->page) =
			svm_addr(mem + next * self->page);
		at = next;
	}
	move_in(_metadata, self, mem, self->len);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(mem, pages), &out))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(svm_addr(mem), out.result);
	ALL_AT(DEV(0), &self->svm, mem, self->len);
	munmap(mem, self->len);
}

SVM_TEST(moved, ping_pong)
{
	unsigned int rounds = svm_scaled(6);
	char *mem = map_pages(_metadata, self->len, self->huge);

	for (unsigned int i = 0; i < rounds; i++) {
		move_in(_metadata, self, mem, self->len);
		RUN(self->q, svm_add(mem, self->len, 1));
		ALL_AT(DEV(0), &self->svm, mem, self->len);
		for (size_t w = 0; w < self->len / 8; w++)
			((uint64_t *)mem)[w]++;
		ALL_AT(RAM, &self->svm, mem, self->len);
		IS_VALUE(mem, self->len, 2 * i + 2);
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, back_by_request)
{
	char *mem = moved_pattern(_metadata, self, self->len, 2);

	RUN(self->q, svm_add(mem, self->len, 1));
	move(_metadata, &self->svm, mem, self->len, RAM);
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 2, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, holes_become_zeroes)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, self->len, self->huge);
	size_t pages = self->len / self->page;

	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move_in(_metadata, self, mem, self->len);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(pages, stats.to_devmem);
	EXPECT_EQ(pages, stats.zeroed);
	EXPECT_EQ(0, stats.copied_in);
	SUMS_TO(0, self->q, mem, self->len);

	/* Also when the memory has had other contents before */
	RUN(self->q, svm_fill(mem, self->len, ~0ULL));
	ASSERT_EQ(0, madvise(mem, self->len, MADV_DONTNEED));
	move_in(_metadata, self, mem, self->len);
	SUMS_TO(0, self->q, mem, self->len);
	IS_VALUE(mem, self->len, 0);
	munmap(mem, self->len);
}

SVM_TEST(moved, zero_page_is_left_alone)
{
	char *mem = map_pages(_metadata, self->len, self->huge);
	char *other = map_pages(_metadata, self->len, self->huge);

	/* Reads give both the zero page; only one of them may change */
	IS_VALUE(mem, self->len, 0);
	IS_VALUE(other, self->len, 0);
	move_in(_metadata, self, mem, self->len);
	RUN(self->q, svm_fill(mem, self->len, 6));
	IS_VALUE(other, self->len, 0);
	IS_VALUE(mem, self->len, 6);
	munmap(mem, self->len);
	munmap(other, self->len);
}

/* An allocation comes free with its last page; these are two */
SVM_TEST(moved, memory_comes_free)
{
	char *mem = moved_pattern(_metadata, self, 2 * LEN, 3);

	ASSERT_EQ(2 * LEN, mem_used(_metadata, &self->svm));
	munmap(mem, LEN);
	WAIT_FOR(mem_used(_metadata, &self->svm) == LEN);
	ASSERT_EQ(0, madvise(mem + LEN, LEN, MADV_DONTNEED));
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	IS_VALUE(mem + LEN, LEN, 0);
	munmap(mem + LEN, LEN);
}

SVM_TEST(moved, munmap_of_a_part)
{
	size_t cut = 37 * self->page, len = 5 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 4);

	ASSERT_EQ(0, munmap(mem + cut, len));
	ALL_AT(DEV(0), &self->svm, mem, cut);
	ALL_AT(NOWHERE, &self->svm, mem + cut, len);
	ALL_AT(DEV(0), &self->svm, mem + cut + len, self->len - cut - len);
	RUN_FAILS(-EFAULT, mem + cut, self->q, svm_add(mem, self->len, 1));
	RUN(self->q, svm_add(mem + cut + len, self->len - cut - len, 1));

	for (size_t i = 0; i < self->len / 8; i++) {
		if (i * 8 < cut || i * 8 >= cut + len) {
			ASSERT_EQ(svm_pattern_word(4, i) + 1,
				  ((uint64_t *)mem)[i]);
		}
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, mremap_takes_it_along)
{
	char *mem = moved_pattern(_metadata, self, self->len, 5);
	char *to = map_pages(_metadata, self->len, self->huge);

	ASSERT_EQ(to, mremap(mem, self->len, self->len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ALL_AT(DEV(0), &self->svm, to, self->len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, self->len));
	RUN(self->q, svm_add(to, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(to, self->len, 5, 1));
	munmap(to, self->len);
}

SVM_TEST(moved, mremap_of_a_part)
{
	size_t at = 100 * self->page, len = 9 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 6);
	char *to = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, to);
	ASSERT_EQ(to, mremap(mem + at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	ALL_AT(DEV(0), &self->svm, to, len);
	RUN(self->q, svm_add(to, len, 1));
	for (size_t i = 0; i < len / 8; i++) {
		ASSERT_EQ(svm_pattern_word(6, at / 8 + i) + 1,
			  ((uint64_t *)to)[i]);
	}
	IS_PATTERN(mem, at, 6);
	munmap(to, len);
	munmap(mem, self->len);
}

SVM_TEST(moved, mprotect_decides)
{
	char *mem = moved_pattern(_metadata, self, self->len, 7);

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ));
	RUN_FAILS(-EPERM, mem, self->q, svm_fill(mem, self->len, 1));
	SUMS_TO(pattern_sum(self->len, 7), self->q, mem, self->len);
	ALL_AT(DEV(0), &self->svm, mem, self->len);

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_NONE));
	RUN_FAILS(-EPERM, mem, self->q, svm_sum(mem, self->len));

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ | PROT_WRITE));
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 7, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, mprotect_of_a_part)
{
	size_t at = 9 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 8);

	ASSERT_EQ(0, mprotect(mem + at, self->page, PROT_READ));
	RUN_FAILS(-EPERM, mem + at, self->q, svm_add(mem, self->len, 1));
	SUMS_TO(pattern_sum(self->len, 8) + at / 8, self->q, mem, self->len);
	ALL_AT(DEV(0), &self->svm, mem, self->len);
	ASSERT_TRUE(is_pattern_plus(mem, at, 8, 1));
	ASSERT_EQ(svm_pattern_word(8, at / 8), *(uint64_t *)(mem + at));
	ASSERT_EQ(svm_pattern_word(8, self->len / 8 - 1),
		  *(uint64_t *)(mem + self->len - 8));
	munmap(mem, self->len);
}

SVM_TEST(moved, madvise_dontneed)
{
	size_t at = 3 * self->page, len = 2 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 9);

	ASSERT_EQ(0, madvise(mem + at, len, MADV_DONTNEED));
	SUMS_TO(0, self->q, mem + at, len);
	IS_PATTERN(mem, at, 9);
	IS_VALUE(mem + at, len, 0);
	ASSERT_EQ(svm_pattern_word(9, (at + len) / 8),
		  *(uint64_t *)(mem + at + len));
	ASSERT_EQ(0, madvise(mem, self->len, MADV_DONTNEED));
	SUMS_TO(0, self->q, mem, self->len);
	munmap(mem, self->len);
}

/* A page may be freed, and then is zero; or not, and then is as it was */
SVM_TEST(moved, madvise_free)
{
	char *mem = moved_pattern(_metadata, self, self->len, 10);

	ASSERT_EQ(0, madvise(mem, self->len, MADV_FREE));
	move_in(_metadata, self, mem, self->len);
	for (size_t i = 0; i < self->len / 8; i += self->page / 8) {
		uint64_t *word = (uint64_t *)mem + i;

		ASSERT_TRUE(!*word || *word == svm_pattern_word(10, i));
		ASSERT_EQ(*word ? svm_pattern_word(10, i + 1) : 0, word[1]);
	}
	RUN(self->q, svm_fill(mem, self->len, 1));
	IS_VALUE(mem, self->len, 1);
	munmap(mem, self->len);
}

SVM_TEST(moved, madvise_that_moves_pages)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_WILLNEED,
	};
	char *mem = moved_pattern(_metadata, self, self->len, 11);

	svm_want_swap();
	for (unsigned int i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(mem, self->len, advice[i]);
		RUN(self->q, svm_add(mem, self->len, 1));
		madvise(mem, self->len / 2, advice[i]);
		ASSERT_TRUE(is_pattern_plus(mem, self->len, 11, i + 1));
		move_in(_metadata, self, mem, self->len);
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, from_swap)
{
	char *mem = map_pages(_metadata, self->len, self->huge);

	if (!svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	svm_pattern_fill(mem, self->len, 12);
	ASSERT_TRUE(svm_page_out(mem, self->len));
	ASSERT_EQ(SVM_BACKING_SWAP, svm_backing(mem));
	SUMS_TO(pattern_sum(self->len, 12), self->q, mem, self->len);

	/* Now that it is in memory again it can move, with the next page fault */
	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ));
	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ | PROT_WRITE));
	move_in(_metadata, self, mem, self->len);
	IS_PATTERN(mem, self->len, 12);
	munmap(mem, self->len);
}

SVM_TEST(moved, fork_then_child_reads)
{
	char *mem = moved_pattern(_metadata, self, self->len, 13);
	pid_t pid = fork();

	if (!pid)
		_exit(svm_pattern_check(mem, self->len, 13) >= 0);
	ASSERT_LT(0, pid);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 13, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, fork_then_child_writes)
{
	char *mem = moved_pattern(_metadata, self, self->len, 14);
	pid_t pid = fork();

	if (!pid) {
		memset(mem, 0x55, self->len);
		_exit(svm_value_check(mem, self->len, 0x5555555555555555) >= 0);
	}
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	SUMS_TO(pattern_sum(self->len, 14), self->q, mem, self->len);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 14, 1));
	munmap(mem, self->len);
}

/* A shared page can move as well, and a write of the device still copies */
SVM_TEST(moved, shared_with_a_child)
{
	char *mem = map_pages(_metadata, self->len, self->huge);
	int go[2];
	pid_t pid;
	char c = 0;

	svm_pattern_fill(mem, self->len, 15);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(2);
		_exit(svm_pattern_check(mem, self->len, 15) >= 0);
	}
	ASSERT_LT(0, pid);
	SUMS_TO(pattern_sum(self->len, 15), self->q, mem, self->len);
	svm_prefetch(&self->svm, mem, self->len, DEV(0), NULL);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_EQ(1, write(go[1], &c, 1));
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 15, 1));
	close(go[0]);
	close(go[1]);
	munmap(mem, self->len);
}

/* The kernel reads and writes it for the process */
SVM_TEST(moved, system_calls_use_it)
{
	size_t len = 64 * KB, at = 17 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 16);
	int fd = svm_tmpfile(len, 17);
	char *copy = malloc(len);

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, copy);
	ASSERT_EQ(len, pwrite(fd, mem, len, 0));
	ASSERT_EQ(len, pread(fd, copy, len, 0));
	IS_PATTERN(copy, len, 16);

	svm_pattern_fill(copy, len, 18);
	ASSERT_EQ(len, pwrite(fd, copy, len, 0));
	move_in(_metadata, self, mem, self->len);
	ASSERT_EQ(len, pread(fd, mem + at, len, 0));
	IS_PATTERN(mem + at, len, 18);
	RUN(self->q, svm_copy(copy, mem + at, len));
	IS_PATTERN(copy, len, 18);
	free(copy);
	close(fd);
	munmap(mem, self->len);
}

/*
 * Races: pages move to the device and back while something else happens to them
 */

enum race {
	RACE_TOUCH,
	RACE_UNMAP,
	RACE_FORK,
	RACE_PROTECT,
	RACE_MOVE,
	RACE_DONTNEED,
	RACE_PAGEOUT,
	RACE_COLLAPSE,
	RACE_PIN,
};

FIXTURE(race)
{
	struct svm svm;
	size_t page;
	char *mem, *spare;
};

FIXTURE_VARIANT(race)
{
	enum race kind;
};

FIXTURE_VARIANT_ADD(race, touch) { .kind = RACE_TOUCH };
FIXTURE_VARIANT_ADD(race, unmap) { .kind = RACE_UNMAP };
FIXTURE_VARIANT_ADD(race, fork) { .kind = RACE_FORK };
FIXTURE_VARIANT_ADD(race, protect) { .kind = RACE_PROTECT };
FIXTURE_VARIANT_ADD(race, move) { .kind = RACE_MOVE };
FIXTURE_VARIANT_ADD(race, dontneed) { .kind = RACE_DONTNEED };
FIXTURE_VARIANT_ADD(race, pageout) { .kind = RACE_PAGEOUT };
FIXTURE_VARIANT_ADD(race, collapse) { .kind = RACE_COLLAPSE };
FIXTURE_VARIANT_ADD(race, pin) { .kind = RACE_PIN };

FIXTURE_SETUP(race)
{
	/* Less than what the test works on: evictions join in */
	static const char *const settings[] = {
		"mem_size=2M", "policy=advice", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->mem = map_pages(_metadata, 2 * LEN, false);
	self->spare = map_pages(_metadata, 2 * LEN, false);
	madvise(self->mem, LEN, MADV_HUGEPAGE);
	svm_want_swap();
}

FIXTURE_TEARDOWN(race)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

struct mover {
	struct svm *svm;
	char *mem;
	bool stop;
	int err;
	unsigned int rounds;
	pthread_t thread;
};

static void *move_about(void *arg)
{
	struct mover *m = arg;
	struct svm_rand rand = { .state = 4 };
	size_t page = svm_page_size();

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED) && !m->err) {
		size_t len = (svm_rand_below(&rand, 512) + 1) * page;
		size_t at = svm_rand_below(&rand, (2 * LEN - len) / page + 1);

		m->err = svm_prefetch(m->svm, m->mem + at * page, len,
				      svm_rand_below(&rand, 4) ? DEV(0) : RAM,
				      NULL);
		/* What others hold just now can't be evicted */
		if (m->err == -ENOSPC)
			m->err = 0;
		__atomic_fetch_add(&m->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void stop_moving(struct __test_metadata *_metadata, struct mover *mover)
{
	WAIT_FOR(__atomic_load_n(&mover->rounds, __ATOMIC_RELAXED));
	__atomic_store_n(&mover->stop, true, __ATOMIC_RELAXED);
	pthread_join(mover->thread, NULL);
	EXPECT_EQ(0, mover->err) TH_LOG("%s", strerror(-mover->err));
}

/*
 * Do something to the pages [at, at + len) that have the pattern of @seed, then
 * give them this pattern anew if it took it away. What was to be seen meanwhile?
 */
static bool race_once(enum race kind, char *at, char *spare, size_t len,
		      uint64_t seed)
{
	pid_t pid;
	int pin;

	switch (kind) {
	case RACE_TOUCH:
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_UNMAP:
		if (munmap(at, len) ||
		    mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
			return false;
		return svm_value_check(at, len, 0) < 0;
	case RACE_FORK:
		pid = fork();
		if (!pid)
			_exit(svm_pattern_check(at, len, seed) >= 0);
		svm_pattern_fill(at, len, seed + 1);
		return pid > 0 && child_is_content(pid);
	case RACE_PROTECT:
		return !mprotect(at, len, PROT_READ) &&
		       svm_pattern_check(at, len, seed) < 0 &&
		       !mprotect(at, len, PROT_READ | PROT_WRITE);
	case RACE_MOVE:
		return mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			      spare) == spare &&
		       svm_pattern_check(spare, len, seed) < 0 &&
		       mremap(spare, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			      at) == at;
	case RACE_DONTNEED:
		return !madvise(at, len, MADV_DONTNEED) &&
		       svm_value_check(at, len, 0) < 0;
	case RACE_PAGEOUT:
		madvise(at, len, MADV_PAGEOUT);
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_COLLAPSE:
		madvise(at, len, MADV_COLLAPSE);
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_PIN:
		pin = svm_pin(at, len);
		if (pin == -EFAULT)
			return false;
		svm_pattern_fill(at, len, seed);
		if (pin >= 0)
			svm_unpin(pin);
		return svm_pattern_check(at, len, seed) < 0;
	}
	return false;
}

SVM_TEST(race, data_stays_right)
{
	struct mover mover = { .svm = &self->svm, .mem = self->mem };
	uint64_t deadline = svm_deadline_ms(RACE_MS / 10);
	unsigned int rounds = svm_scaled(40);
	struct svm_rand rand = { .state = variant->kind };

	ASSERT_EQ(0, pthread_create(&mover.thread, NULL, move_about, &mover));
	for (unsigned int i = 0; i < rounds && !svm_past(deadline); i++) {
		size_t len = (svm_rand_below(&rand, 48) + 1) * self->page;
		size_t at = svm_rand_below(&rand, (2 * LEN - len) / self->page);

		if (variant->kind == RACE_COLLAPSE) {
			len = LEN;
			at = i % 2 * LEN / self->page;
		}
		svm_pattern_fill(self->mem + at * self->page, len, i);
		EXPECT_TRUE(race_once(variant->kind,
				      self->mem + at * self->page, self->spare,
				      len, i)) {
			TH_LOG("round %u", i);
			break;
		}
	}
	stop_moving(_metadata, &mover);
}

/* The device and the CPU add in turn, and the memory moves all the time */
SVM_TEST(moved, every_addition_counts)
{
	struct mover mover = { .svm = &self->svm };
	uint64_t deadline = svm_deadline_ms(RACE_MS / 6);
	unsigned int rounds = svm_scaled(6), done = 0;
	size_t len = 64 * self->page;
	char *at;

	mover.mem = map_pages(_metadata, 2 * LEN, self->huge);
	at = mover.mem + LEN - len / 2;
	ASSERT_EQ(0, pthread_create(&mover.thread, NULL, move_about, &mover));
	for (; done < rounds && !svm_past(deadline); done++) {
		RUN(self->q, svm_add(at, len, 1));
		for (size_t w = 0; w < len / 8; w++)
			((uint64_t *)at)[w]++;
	}
	stop_moving(_metadata, &mover);
	IS_VALUE(at, len, 2 * done);
	munmap(mover.mem, 2 * LEN);
}

TEST_HARNESS_MAIN
