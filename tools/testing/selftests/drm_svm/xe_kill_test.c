// SPDX-License-Identifier: GPL-2.0
/*
 * A process of one thread that is killed in a call of the xe driver which first collects
 * garbage, and then waits for memory which never comes: it goes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define RW	(PROT_READ | PROT_WRITE)

#define TEST_SECONDS	300

#define GARBAGE_LEN	(32UL << 20)
#define KILL_ROUNDS	8
#define KILL_US		30000

/* How a process has ended, or -ETIME if it hangs */
static int end_of(pid_t pid)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);
	int status;

	while (!svm_past(deadline)) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	return -ETIME;
}

static bool has_userfaultfd(void)
{
	char *mem = svm_map(svm_page_size(), RW);
	int uffd = mem ? svm_watch_missing(mem, svm_page_size()) : -1;

	if (uffd >= 0)
		close(uffd);
	return uffd >= 0;
}

static void collect_and_wait(int ready)
{
	char *garbage = svm_map_aligned(GARBAGE_LEN, SVM_PMD_SIZE);
	char *mem = svm_map(svm_page_size(), RW);
	struct xe_gpu gpu;

	if (!garbage || !mem || xe_open(&gpu) || svm_watch_missing(mem, svm_page_size()) < 0)
		_exit(2);
	if (xe_prefer(&gpu, garbage, GARBAGE_LEN, gpu.system))
		_exit(3);
	for (size_t at = 0; at < GARBAGE_LEN; at += SVM_PMD_SIZE)
		xe_emit_fill(&gpu.queue[XE_COPY], garbage + at, 1, XE_COPY_UNIT);
	if (xe_run(&gpu.queue[XE_COPY]) || write(ready, "x", 1) != 1)
		_exit(4);
	munmap(garbage, GARBAGE_LEN);
	xe_prefetch(&gpu, mem, svm_page_size(), gpu.system);
	_exit(5);
}

static pid_t fork_collector(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return 0;
	pid = fork();
	if (!pid)
		collect_and_wait(ready[1]);
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid > 0 ? pid : 0;
}

FIXTURE(collector)
{
	struct svm_rand rand;
};

FIXTURE_SETUP(collector)
{
	struct xe_gpu gpu;
	int err = xe_open(&gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	xe_close(&gpu);
	if (!has_userfaultfd())
		SKIP(return, "no userfaultfd");
	self->rand.state = 1;
}

FIXTURE_TEARDOWN(collector)
{
}

TEST_F_TIMEOUT(collector, goes_when_killed, TEST_SECONDS)
{
	for (int i = 0; i < KILL_ROUNDS; i++) {
		pid_t pid = fork_collector();

		ASSERT_NE(0, pid);
		/* Any time will do: somewhere in the middle of it */
		usleep(svm_rand_below(&self->rand, KILL_US));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(SIGKILL, end_of(pid));
	}
}

TEST_HARNESS_MAIN
