// SPDX-License-Identifier: GPL-2.0
/*
 * A process that waits for memory which never comes, in calls of a GPU with the xe driver:
 * others make, use and destroy queues meanwhile, and it goes when it is killed.
 *
 * Nobody answers for the memory: it has a userfaultfd that is not served. What must not
 * hang is done by another process, and waited for.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Engines that share their hardware share a lock; all here use the one that userptrs do */
#define ENGINE	XE_COMPUTE

#define TEST_SECONDS	300

FIXTURE(unanswered)
{
	pid_t silent;
};

/* What the silent process waits in */
FIXTURE_VARIANT(unanswered)
{
	bool fenced;	/* the kernel waits for its jobs */
	bool bind;	/* the memory is being bound, or it was, and is gone since */
};

FIXTURE_VARIANT_ADD(unanswered, exec) { .fenced = true };
FIXTURE_VARIANT_ADD(unanswered, exec_behind_bind) { .fenced = true, .bind = true };
FIXTURE_VARIANT_ADD(unanswered, endless_exec_behind_bind) { .bind = true };

/*
 * The silent process
 */

struct silent {
	struct xe_gpu gpu;
	struct xe_bind bind;
	size_t page;
	int uffd;
	pid_t executes;	/* the thread that does */
};

static bool lose_memory(struct silent *s, void *mem)
{
	s->uffd = svm_watch_missing(mem, s->page);
	return s->uffd >= 0 && !madvise(mem, s->page, MADV_DONTNEED);
}

static void *bind_memory(void *arg)
{
	struct silent *s = arg;

	xe_bind(&s->gpu, &s->bind, 1);
	return NULL;
}

static bool wait_in_bind(struct silent *s)
{
	pthread_t thread;

	s->bind = (struct xe_bind) {
		.what = XE_BIND_USERPTR, .mem = svm_map(s->page, RW), .len = s->page,
	};
	return s->bind.mem && lose_memory(s, s->bind.mem) &&
	       !pthread_create(&thread, NULL, bind_memory, s) &&
	       svm_missing_page(s->uffd);
}

static void *execute(void *arg)
{
	struct silent *s = arg;

	__atomic_store_n(&s->executes, gettid(), __ATOMIC_RELEASE);
	xe_submit_nothing(&s->gpu.queue[ENGINE]);
	return NULL;
}

static bool is_asleep(pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		_exit(10);
	fclose(file);
	return state == 'S' || state == 'D';
}

/* And not just for a moment */
static void wait_until_asleep(const pid_t *tid)
{
	while (!__atomic_load_n(tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	for (unsigned int seen = 0; seen < 10; usleep(10000))
		seen = is_asleep(*tid) ? seen + 1 : 0;
}

/* Once a thread waits in a call that executes, and where @bind is set another in a bind */
static void be_silent(bool fenced, bool bind, int ready)
{
	struct silent s = { .page = svm_page_size() };
	char *mem = svm_map(s.page, RW);
	pthread_t thread;
	int err;

	if (!mem)
		_exit(2);
	*mem = 1;
	err = fenced ? xe_open_fenced(&s.gpu, mem, s.page) :
		       xe_open_userptr(&s.gpu, mem, s.page);
	if (!err)
		err = xe_use_userptr(&s.gpu);
	if (err) {
		fprintf(stderr, "# silent: %s\n", svm_why());
		_exit(3);
	}
	if (!(bind ? wait_in_bind(&s) : lose_memory(&s, mem)))
		_exit(4);
	if (pthread_create(&thread, NULL, execute, &s))
		_exit(5);
	if (!bind && !svm_missing_page(s.uffd))
		_exit(6);
	wait_until_asleep(&s.executes);
	if (write(ready, "x", 1) != 1)
		_exit(7);
	for (;;)
		pause();
}

/*
 * Others
 */

/* Makes a queue, and another one, uses that, and destroys all */
static int use_queues(void)
{
	uint64_t *word = svm_map(svm_page_size(), RW);
	struct xe_queue queue;
	struct xe_gpu gpu;

	if (!word || xe_open(&gpu))
		return 2;
	if (xe_open_another(&gpu, ENGINE, &queue))
		return 3;
	xe_emit_add(&queue, word, 1);
	if (xe_run(&queue) || *word != 1)
		return 4;
	xe_close_queue(&queue);
	xe_close(&gpu);
	return 0;
}

static pid_t fork_user(void)
{
	pid_t pid = fork();
	int err;

	if (pid)
		return pid;
	err = use_queues();
	if (err)
		fprintf(stderr, "# user: %s\n", svm_why());
	_exit(err);
}

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

/* Returns once it waits; 0 if it does not */
static pid_t fork_silent(bool fenced, bool bind)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return 0;
	pid = fork();
	if (!pid) {
		close(ready[0]);
		be_silent(fenced, bind, ready[1]);
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid > 0 ? pid : 0;
}

static bool has_userfaultfd(void)
{
	char *mem = svm_map(svm_page_size(), RW);
	int uffd = mem ? svm_watch_missing(mem, svm_page_size()) : -1;

	if (uffd >= 0)
		close(uffd);
	return uffd >= 0;
}

FIXTURE_SETUP(unanswered)
{
	struct xe_gpu gpu;
	int err = xe_open(&gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	xe_close(&gpu);
	if (!has_userfaultfd())
		SKIP(return, "no userfaultfd");
	self->silent = fork_silent(variant->fenced, variant->bind);
	ASSERT_NE(0, self->silent);
}

FIXTURE_TEARDOWN(unanswered)
{
}

TEST_F_TIMEOUT(unanswered, others_use_queues, TEST_SECONDS)
{
	pid_t user = fork_user();
	int end = end_of(user);

	EXPECT_EQ(0, end);
	ASSERT_EQ(0, kill(self->silent, SIGKILL));
	EXPECT_EQ(SIGKILL, end_of(self->silent));
	/* It does not stay behind */
	if (end == -ETIME)
		waitpid(user, NULL, 0);

	EXPECT_EQ(0, end_of(fork_user()));
}

/*
 * A process of one thread that is killed in a call which first collects garbage, and then
 * waits for memory
 */

#define GARBAGE_LEN	(32UL << 20)
#define KILL_ROUNDS	8
#define KILL_US		30000

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
