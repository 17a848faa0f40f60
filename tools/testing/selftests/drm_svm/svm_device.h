/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests on one virtual SVM device share: the fixture, uses of any kind of
 * memory, processes that wait for each other, and others that work beside a job.
 *
 * Data is checked after every step. The device refuses and counts accesses by
 * translations that were taken away: no test may leave such a count. Loops that
 * look for races are bounded by a count, which SVM_SCALE multiplies, and by
 * RACE_MS; nothing sleeps in place of a condition.
 */
#ifndef SVM_DEVICE_H
#define SVM_DEVICE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_harness.h"

/* One device, one queue */
FIXTURE(device)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_SETUP(device)
{
	self->page = svm_page_size();
	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(device)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* The device fills it, adds to it and reads it; the CPU checks and answers */
static inline void use_memory(struct __test_metadata *_metadata, struct svm_queue *q,
			      void *mem, size_t len)
{
	svm_pattern_fill(mem, len, 1);
	SUMS_TO(pattern_sum(len, 1), q, mem, len);

	RUN(q, svm_fill(mem, len, 40));
	IS_VALUE(mem, len, 40);

	RUN(q, svm_add(mem, len, 2));
	IS_VALUE(mem, len, 42);

	svm_pattern_fill(mem, len, 2);
	SUMS_TO(pattern_sum(len, 2), q, mem, len);
}

/*
 * Processes that wait for each other
 */

struct gate {
	int fd[2];
};

static inline bool gate_init(struct gate *gate)
{
	return !pipe2(gate->fd, O_CLOEXEC);
}

static inline void gate_open(struct gate *gate)
{
	ssize_t n = write(gate->fd[1], "", 1);

	(void)n;
}

/* False if nobody is left to open it */
static inline bool gate_wait(struct gate *gate)
{
	char c;

	close(gate->fd[1]);
	return read(gate->fd[0], &c, 1) == 1;
}

static inline bool child_ok(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

/* Copy-on-write both ways, with the parent's device bound before the fork? */
static inline void fork_both_ways(struct __test_metadata *_metadata,
				  struct svm_queue *q, bool bind_before)
{
	size_t len = 256 * KB;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	uint64_t *other = svm_map(len, PROT_READ | PROT_WRITE);
	struct gate written, done;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, other);
	ASSERT_TRUE(gate_init(&written) && gate_init(&done));
	svm_pattern_fill(mem, len, 1);
	svm_pattern_fill(other, len, 2);
	if (bind_before) {
		RUN(q, svm_add(mem, len, 0));
		RUN(q, svm_add(other, len, 0));
	}

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(other, 0x11, len);
		gate_open(&done);
		gate_wait(&written);
		_exit(svm_pattern_check(mem, len, 1) >= 0);
	}

	/* The child doesn't see what our device writes */
	RUN(q, svm_fill(mem, len, 5));
	IS_VALUE(mem, len, 5);
	gate_open(&written);

	/* Our device doesn't see what the child writes */
	ASSERT_TRUE(gate_wait(&done));
	SUMS_TO(pattern_sum(len, 2), q, other, len);
	EXPECT_TRUE(child_ok(pid));
	RUN(q, svm_add(other, len, 0));
	IS_PATTERN(other, len, 2);
	IS_VALUE(mem, len, 5);
	munmap(mem, len);
	munmap(other, len);
}

/*
 * Beside a job
 */

#define RACE_LEN	(64 * KB)

/* A CPU that adds to words as the devices do */
struct adder {
	uint64_t *mem;
	unsigned int words, rounds;
	size_t stride;
};

static inline void *cpu_adds(void *arg)
{
	struct adder *adder = arg;

	for (unsigned int i = 0; i < adder->rounds; i++)
		for (unsigned int w = 0; w < adder->words; w++)
			__atomic_fetch_add(adder->mem +
					   w * adder->stride / 8, 1,
					   __ATOMIC_RELAXED);
	return NULL;
}

/* A thread with a queue of its own */
struct worker {
	struct svm *svm;
	struct svm_queue queue;
	unsigned int index;
	char *mem;
	size_t len;
	const char *error;
	pthread_t thread;
};

/* As TEST_HARNESS_MAIN, and says why if there are no devices */
static inline int svm_harness_main(int argc, char **argv)
{
	if (!svm_want_devices(4) && argc < 2) {
		svm_open_device(0);
		ksft_print_header();
		ksft_exit_skip("%s\n", svm_why());
	}
	return test_harness_run(argc, argv);
}

#endif
