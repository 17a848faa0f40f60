// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual SVM device whose memory is full; and processes that end, or lose their
 * device, while memory of theirs is there.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_devmem.h"

/*
 * A device whose memory is full
 */

#define SMALL_MEM	(2 * MB)
#define WORKING_SET	(4 * SMALL_MEM)

FIXTURE(full)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_VARIANT(full)
{
	const char *settings[4];
	bool huge;
};

FIXTURE_VARIANT_ADD(full, small) {
	.settings = { "mem_size=2M", "policy=first_touch" },
};
FIXTURE_VARIANT_ADD(full, huge) {
	.settings = { "mem_size=2M", "policy=first_touch" },
	.huge = true,
};
FIXTURE_VARIANT_ADD(full, no_eviction) {
	.settings = { "mem_size=2M", "policy=first_touch", "eviction=0" },
};

FIXTURE_SETUP(full)
{
	self->page = svm_page_size();
	open_set(_metadata, &self->svm, variant->settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(full)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static bool evicts(const FIXTURE_VARIANT(full) *variant)
{
	return !variant->settings[2];
}

SVM_TEST(full, four_times_oversubscribed)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	struct drm_vsvm_device_stats mark, stats;

	svm_pattern_fill(mem, WORKING_SET, 1);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < 2; i++) {
		RUN(self->q, svm_add(mem, WORKING_SET, 1));
	}
	SUMS_TO(pattern_sum(WORKING_SET, 1) + 2 * WORKING_SET / 8, self->q, mem,
		WORKING_SET);
	EXPECT_GE(SMALL_MEM, mem_used(_metadata, &self->svm));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LE(SMALL_MEM / self->page, stats.to_devmem);
	if (evicts(variant)) {
		EXPECT_LT(0, stats.mem_evictions);
		EXPECT_LT(0, stats.evicted);
	} else {
		EXPECT_EQ(0, stats.mem_evictions);
		EXPECT_LT(0, stats.fallbacks);
	}
	ASSERT_TRUE(is_pattern_plus(mem, WORKING_SET, 1, 2));
	munmap(mem, WORKING_SET);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/* To copy a byte takes two pages at once, and there is room for either's chunk */
SVM_TEST(full, copy_needs_more_than_fits)
{
	char *mem = map_pages(_metadata, 2 * SMALL_MEM, variant->huge);

	svm_pattern_fill(mem, 2 * SMALL_MEM, 7);
	RUN(self->q, svm_copy(mem + SMALL_MEM, mem, SMALL_MEM));
	IS_PATTERN(mem + SMALL_MEM, SMALL_MEM, 7);
	IS_PATTERN(mem, SMALL_MEM, 7);
	munmap(mem, 2 * SMALL_MEM);
}

static void prefetch_by_pages(struct __test_metadata *_metadata, struct svm *svm, char *mem,
			      unsigned int pages)
{
	size_t page = svm_page_size();

	for (unsigned int i = 0; i < pages; i++) {
		ASSERT_EQ(0, svm_prefetch(svm, mem + i * page, page, DEV(0), NULL))
			TH_LOG("page %u", i);
	}
}

/* What has to go for a piece of memory is of that piece, which then needs more */
SVM_TEST(full, pieces_become_one)
{
	char *mem = map_pages(_metadata, SMALL_MEM, variant->huge);
	char *pair = mem + 24 * self->page;
	char copy[self->page];

	svm_pattern_fill(mem, SMALL_MEM, 8);
	memcpy(copy, pair + self->page, self->page);
	prefetch_by_pages(_metadata, &self->svm, mem, 24);
	ASSERT_EQ(0, svm_prefetch(&self->svm, pair, 2 * self->page, DEV(0), NULL));
	ASSERT_EQ(0, madvise(pair + self->page, self->page, MADV_DONTNEED));
	memcpy(pair + self->page, copy, self->page);

	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mem, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 25, DEV(0), &self->svm, mem,
		 SMALL_MEM);
	IS_PATTERN(mem, SMALL_MEM, 8);
	munmap(mem, SMALL_MEM);
}

SVM_TEST(full, many_small_ones_go_for_a_large_one)
{
	char *mem = map_pages(_metadata, 2 * SMALL_MEM, variant->huge);

	svm_pattern_fill(mem, 2 * SMALL_MEM, 9);
	prefetch_by_pages(_metadata, &self->svm, mem, SMALL_MEM / self->page);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mem + SMALL_MEM, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 0, DEV(0), &self->svm,
		 mem + SMALL_MEM, SMALL_MEM);
	IS_PATTERN(mem, 2 * SMALL_MEM, 9);
	munmap(mem, 2 * SMALL_MEM);
}

SVM_TEST(full, prefetch_of_too_much)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	struct svm_moved moved;
	int err;

	svm_pattern_fill(mem, WORKING_SET, 2);
	err = svm_prefetch(&self->svm, mem, WORKING_SET, DEV(0), &moved);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC, err);
	EXPECT_LE(SMALL_MEM / self->page, moved.moved);
	COUNT_AT(SMALL_MEM / self->page, DEV(0), &self->svm, mem, WORKING_SET);

	/* What was used last is what is there */
	if (evicts(variant)) {
		ALL_AT(DEV(0), &self->svm, mem + WORKING_SET - LEN, LEN);
	} else {
		ALL_AT(DEV(0), &self->svm, mem, SMALL_MEM);
	}
	IS_PATTERN(mem, WORKING_SET, 2);
	munmap(mem, WORKING_SET);
}

/* A process with a share of the device that all others want too */
static int compete(size_t len, bool huge, unsigned int rounds, uint64_t seed)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);
	struct svm svm;

	if (!mem || svm_open_set(&svm, TEST_SET, 1))
		return 1;
	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	svm_pattern_fill(mem, len, seed);
	for (unsigned int i = 0; i < rounds; i++) {
		if (svm_run(&svm.queue[0], svm_add(mem, len, 1), NULL)) {
			ksft_print_msg("%s\n", svm_why());
			return 2;
		}
		/* A part of it comes back in between */
		if (!is_pattern_plus(mem, len / 8, seed, i + 1))
			return 3;
	}
	return is_pattern_plus(mem, len, seed, rounds) ? 0 : 4;
}

SVM_TEST(full, processes_compete)
{
	enum { PROCESSES = 3 };
	struct drm_vsvm_device_stats mark, stats;
	unsigned int rounds = svm_scaled(3);
	pid_t pid[PROCESSES];

	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(compete(SMALL_MEM, variant->huge, rounds, i));
		ASSERT_LT(0, pid[i]);
	}
	for (unsigned int i = 0; i < PROCESSES; i++) {
		EXPECT_TRUE(child_is_content(pid[i])) TH_LOG("process %u", i);
	}
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(evicts(variant), stats.mem_evictions > 0);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/*
 * Pages that outlive their process in a child, which knows nothing of devices:
 * they can be evicted all the same
 */
static int leave_pages_to_child(char *mem, size_t len, int go, int done)
{
	struct svm svm;
	pid_t pid;
	char c;

	svm_pattern_fill(mem, len, 3);
	if (svm_open_set(&svm, TEST_SET, 1) ||
	    svm_prefetch(&svm, mem, len, DEV(0), NULL) ||
	    svm_count_at(&svm, mem, len, DEV(0)) !=
	    (long)(len / svm_page_size()))
		return 1;
	pid = fork();
	if (pid)
		return pid < 0;

	svm_close(&svm);
	if (read(go, &c, 1) != 1)
		_exit(1);
	c = svm_pattern_check(mem, len, 3) < 0 ? 'y' : 'n';
	_exit(write(done, &c, 1) != 1);
}

SVM_TEST(full, orphaned_pages)
{
	char *mem = map_pages(_metadata, SMALL_MEM, variant->huge);
	char *mine = map_pages(_metadata, SMALL_MEM, variant->huge);
	int go[2], done[2];
	pid_t pid;
	char c = 0;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid)
		_exit(leave_pages_to_child(mem, SMALL_MEM, go[0], done[1]));
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_EQ(SMALL_MEM, mem_used(_metadata, &self->svm));

	svm_pattern_fill(mine, SMALL_MEM, 4);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mine, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 0, DEV(0),
		 &self->svm, mine, SMALL_MEM);

	ASSERT_EQ(1, write(go[1], &c, 1));
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	EXPECT_EQ('y', c);
	IS_PATTERN(mine, SMALL_MEM, 4);
	munmap(mine, SMALL_MEM);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	close(go[0]);
	close(go[1]);
	close(done[0]);
	munmap(mem, SMALL_MEM);
}

/* Put this process where it may have only so much memory, then go on in @run */
static bool limit_memory(const char *dir, const char *limit)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	if (!svm_write_file(path, "+memory"))
		return false;
	snprintf(path, sizeof(path), "%s/svm", dir);
	if (mkdir(path, 0700))
		return false;
	snprintf(path, sizeof(path), "%s/svm/memory.max", dir);
	if (!svm_write_file(path, limit))
		return false;
	snprintf(path, sizeof(path), "%s/svm/cgroup.procs", dir);
	return svm_write_file(path, "0");
}

static int work_under_pressure(const char *dir, char *mem, size_t len)
{
	struct svm svm;

	if (!limit_memory(dir, "6M"))
		return 10;
	if (svm_open_set(&svm, TEST_SET, 1))
		return 1;
	svm_pattern_fill(mem, len, 5);
	if (svm_proc_field("/proc/self/status", "VmSwap") <= 0)
		return 2;
	for (unsigned int i = 0; i < 2; i++)
		if (svm_run(&svm.queue[0], svm_add(mem, len, 1), NULL)) {
			ksft_print_msg("%s\n", svm_why());
			return 3;
		}
	return is_pattern_plus(mem, len, 5, 2) ? 0 : 4;
}

SVM_TEST(full, more_than_ram_and_device_together)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	char dir[] = "/tmp/drm_svm.XXXXXX", path[64];
	int status = 0;
	pid_t pid;

	if (!svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("none", dir, "cgroup2", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "no cgroup2: %s", strerror(errno));
	}
	pid = fork();
	if (!pid)
		_exit(work_under_pressure(dir, mem, WORKING_SET));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	snprintf(path, sizeof(path), "%s/svm", dir);
	EXPECT_EQ(0, rmdir(path));
	umount(dir);
	rmdir(dir);
	ASSERT_EQ(0, status) TH_LOG("status %#x", status);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	munmap(mem, WORKING_SET);
}

/*
 * The end of a process, and of a device
 */

FIXTURE(ending)
{
	struct svm svm;
	size_t page;
};

FIXTURE_VARIANT(ending)
{
	bool huge;
};

FIXTURE_VARIANT_ADD(ending, small) { .huge = false };
FIXTURE_VARIANT_ADD(ending, huge) { .huge = true };

FIXTURE_SETUP(ending)
{
	/* Copies take so long that there is a middle */
	static const char *const settings[] = {
		"mem_size=16M", "policy=first_touch", "devices=2",
		"copy_latency_us=20000", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 2);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

FIXTURE_TEARDOWN(ending)
{
	svm_close(&self->svm);
	forget_set();
	svm_set_remove(OTHER_SET);
}

static void prefetch_for_ever(char *mem, size_t len)
{
	struct svm svm;

	if (svm_open_set(&svm, TEST_SET, 1))
		_exit(1);
	for (unsigned int i = 0;; i++) {
		memset(mem, i, len);
		if (svm_prefetch(&svm, mem, len, DEV(0), NULL))
			_exit(2);
	}
}

SVM_TEST(ending, process_killed_in_mid_migration)
{
	char *mem = map_pages(_metadata, 8 * MB, variant->huge);
	unsigned int rounds = svm_scaled(4);

	for (unsigned int i = 1; i <= rounds; i++) {
		pid_t pid = fork();

		if (!pid)
			prefetch_for_ever(mem, 8 * MB);
		ASSERT_LT(0, pid);
		WAIT_FOR(mem_used(_metadata, &self->svm) >= i % 4 * LEN + 1);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	}
	check_stale(_metadata, &self->svm);
	munmap(mem, 8 * MB);
}

/* Exit as soon as all that the job works on is in device memory */
static void exit_with_job(char *mem, size_t len)
{
	size_t pages = len / svm_page_size();
	struct drm_vsvm_op op = svm_atomic_add(mem, pages, svm_page_size(), 1);
	uint64_t seqno;
	struct svm svm;

	op.repeat = ~0U;
	if (svm_open_set(&svm, TEST_SET, 1) ||
	    svm_submit(&svm.queue[0], &op, 1, &seqno))
		_exit(1);
	while (svm_count_at(&svm, mem, len, DEV(0)) != (long)pages)
		sched_yield();
	_exit(0);
}

SVM_TEST(ending, process_exits_with_jobs_on_its_pages)
{
	char *mem = map_pages(_metadata, LEN, variant->huge);
	pid_t pid = fork();

	if (!pid)
		exit_with_job(mem, LEN);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	check_stale(_metadata, &self->svm);
	munmap(mem, LEN);
}

/* It has a copy of the pages, and looks at it when the device is gone */
static pid_t fork_witness(const char *mem, size_t len, uint64_t seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (!access("/sys/kernel/config/vsvm/" TEST_SET, F_OK))
		sched_yield();
	_exit(svm_pattern_check(mem, len, seed) >= 0);
}

SVM_TEST(ending, device_removed)
{
	char *mem = map_pages(_metadata, 4 * LEN, variant->huge);
	uint64_t *words = (uint64_t *)(mem + 3 * LEN);
	struct svm_moved moved;
	uint64_t seqno[2], seen;
	pid_t pid;

	/* Pages on both devices, of two processes, and jobs that use them */
	svm_pattern_fill(mem, 3 * LEN, 1);
	move(_metadata, &self->svm, mem, 2 * LEN, DEV(0));
	move(_metadata, &self->svm, mem + 2 * LEN, LEN, DEV(1));
	pid = fork_witness(mem, 3 * LEN, 1);
	ASSERT_LT(0, pid);
	for (unsigned int i = 0; i < 2; i++) {
		struct drm_vsvm_op op = ENDLESS(words + i);

		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	WAIT_FOR(words[0] && words[1]);
	check_stale(_metadata, &self->svm);
	svm_set_remove(TEST_SET);
	seen = *(volatile uint64_t *)words;

	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(-ENODEV, svm_wait(&self->svm.queue[i], seqno[i],
					    NULL));
	}
	EXPECT_EQ(-ENODEV, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(-ENODEV, svm_advise(&self->svm, mem, LEN, DEV(0), 0, 0));
	EXPECT_EQ(-ENODEV, svm_count_at(&self->svm, mem, LEN, DEV(0)));

	/* All data is back, and nobody changes it any more */
	IS_PATTERN(mem, 3 * LEN, 1);
	EXPECT_TRUE(child_is_content(pid));
	ASSERT_EQ(seen, *(volatile uint64_t *)words);
	munmap(mem, 4 * LEN);
}

SVM_TEST(ending, device_removed_in_mid_migration)
{
	char *mem = map_pages(_metadata, 8 * MB, variant->huge);
	struct svm_moved moved;
	int err = 0;
	pid_t pid;

	svm_pattern_fill(mem, 8 * MB, 2);
	pid = fork();
	if (!pid) {
		struct svm svm;

		if (svm_open_set(&svm, TEST_SET, 1))
			_exit(1);
		while (!err)
			err = svm_prefetch(&svm, mem, 8 * MB, DEV(0), &moved) ?:
			      svm_prefetch(&svm, mem, 8 * MB, RAM, &moved);
		_exit(err != -ENODEV || svm_pattern_check(mem, 8 * MB, 2) >= 0);
	}
	ASSERT_LT(0, pid);
	WAIT_FOR(mem_used(_metadata, &self->svm) >= 2 * LEN);
	svm_set_remove(TEST_SET);
	EXPECT_TRUE(child_is_content(pid));
	munmap(mem, 8 * MB);
}

/* One device of an address space goes; what was in its memory doesn't */
SVM_TEST(ending, one_device_of_two_removed)
{
	static const char *const settings[] = { "mem_size=4M", NULL };
	char *mem = map_pages(_metadata, 2 * LEN, variant->huge);
	struct svm svm;
	int fds[2];

	make_set(_metadata, OTHER_SET, settings);
	fds[0] = svm_set_open(TEST_SET, 0);
	fds[1] = svm_set_open(OTHER_SET, 0);
	ASSERT_EQ(0, svm_open_fds(&svm, fds, 2)) TH_LOG("%s", svm_why());
	svm_pattern_fill(mem, 2 * LEN, 3);
	move(_metadata, &svm, mem, LEN, DEV(0));
	move(_metadata, &svm, mem + LEN, LEN, DEV(1));
	svm_set_remove(OTHER_SET);
	EXPECT_EQ(-ENODEV, svm_prefetch(&svm, mem, LEN, DEV(0), NULL));
	svm_close(&svm);

	/* The other address space on the device that is left doesn't mind */
	RUN(&self->svm.queue[0], svm_add(mem, 2 * LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, 2 * LEN, 3, 1));
	check_stale(_metadata, &self->svm);
	munmap(mem, 2 * LEN);
}

TEST_HARNESS_MAIN
