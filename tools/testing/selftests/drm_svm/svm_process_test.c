// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes with memory in common on the virtual SVM device, and processes
 * that exit, are killed or execute another program while a job of theirs runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_device.h"

/*
 * After a fork
 */

SVM_TEST(device, fork_read_keeps_sharing)
{
	size_t len = 64 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct gate done;
	uint64_t pfn;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	ASSERT_TRUE(gate_init(&done));
	svm_pattern_fill(mem, len, 3);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		gate_wait(&done);
		_exit(svm_pattern_check(mem, len, 3) >= 0);
	}

	/* The page is the child's too; a read must leave it so */
	pfn = svm_pfn(mem);
	SUMS_TO(pattern_sum(len, 3), self->q, mem, len);
	EXPECT_EQ(pfn, svm_pfn(mem));

	/* A write must not */
	RUN(self->q, svm_fill(mem, len, 8));
	if (pfn) {
		EXPECT_NE(pfn, svm_pfn(mem));
	}
	gate_open(&done);
	EXPECT_TRUE(child_ok(pid));
	IS_VALUE(mem, len, 8);
	munmap(mem, len);
}

SVM_TEST(device, fork_cow_bound_before)
{
	fork_both_ways(_metadata, self->q, true);
}

SVM_TEST(device, fork_cow_bound_after)
{
	fork_both_ways(_metadata, self->q, false);
}

SVM_TEST(device, fork_shared_memory)
{
	size_t len = 64 * KB;
	uint64_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct gate written;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_TRUE(gate_init(&written));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!gate_wait(&written) || svm_value_check(mem, len, 21) >= 0)
			_exit(1);
		svm_pattern_fill(mem, len, 4);
		_exit(0);
	}
	RUN(self->q, svm_fill(mem, len, 21));
	gate_open(&written);
	ASSERT_TRUE(child_ok(pid));
	SUMS_TO(pattern_sum(len, 4), self->q, mem, len);
	munmap(mem, len);
}

/* In a child: the parent's address space is not ours, one of our own works */
static int use_file_of_parent(struct svm *parents)
{
	uint64_t word = 3, seqno;
	struct drm_vsvm_op op = svm_fill(&word, 8, 4);
	struct svm_queue queue;
	struct svm mine;

	if (svm_submit(&parents->queue[0], &op, 1, &seqno) != -EPERM)
		return 1;
	if (svm_queue_create(parents, 0, &queue) != -EPERM)
		return 2;
	if (svm_open_on(&mine, parents->fd))
		return 3;
	if (svm_run(&mine.queue[0], op, NULL) || word != 4)
		return 4;
	return svm_vm_destroy(&mine) ? 5 : 0;
}

SVM_TEST(device, fork_file_is_shared_memory_is_not)
{
	uint64_t word = 1;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(use_file_of_parent(&self->svm));
	ASSERT_TRUE(child_ok(pid));
	RUN(self->q, svm_add(&word, 8, 1));
	ASSERT_EQ(2, word);
}

/*
 * Processes and their ends
 */

/* A process of its own: 0, or the number of what went wrong */
static int process_work(unsigned int index)
{
	size_t len = 200 * KB;
	struct drm_vsvm_device_stats stats;
	struct svm svm;

	if (svm_open(&svm, 1)) {
		fprintf(stderr, "# process %u: %s\n", index, svm_why());
		return 1;
	}
	for (unsigned int i = 0; i < svm_scaled(4); i++) {
		uint64_t seed = index * 100 + i;
		char *mem = svm_map(2 * len, PROT_READ | PROT_WRITE);

		if (!mem)
			return 2;
		svm_pattern_fill(mem, len, seed);
		if (svm_run(&svm.queue[0], svm_copy(mem + len, mem, len), NULL))
			return 3;
		if (svm_pattern_check(mem + len, len, seed) >= 0)
			return 4;
		if (svm_run(&svm.queue[0], svm_fill(mem, len, seed), NULL))
			return 5;
		if (svm_value_check(mem, len, seed) >= 0)
			return 6;
		munmap(mem, 2 * len);
	}
	if (svm_stats(&svm, &stats) || stats.stale_accesses)
		return 7;
	svm_close(&svm);
	return 0;
}

SVM_TEST(device, many_processes)
{
	unsigned int n = svm_scaled(8);
	pid_t pid[16];

	if (n > ARRAY_SIZE(pid))
		n = ARRAY_SIZE(pid);
	for (unsigned int i = 0; i < n; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(process_work(i));
	}
	for (unsigned int i = 0; i < n; i++) {
		EXPECT_TRUE(child_ok(pid[i])) TH_LOG("process %u", i);
	}
}

/* How a process leaves its jobs behind */
enum leave {
	LEAVE_BY_EXIT,
	LEAVE_BY_KILL,
	LEAVE_BY_CLOSE,
};

/*
 * Child: an address space on the parent's file @fd, an endless job on memory
 * that others may get next. Says through @running when the job runs.
 */
static void leave_behind(int fd, enum leave how, struct gate *running,
			 uint32_t *vm)
{
	size_t len = 256 * KB;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = svm_atomic_add(mem, len / 8, 8, 1);
	uint64_t seqno, deadline = svm_deadline_ms(SVM_WAIT_MS);
	struct svm svm;

	op.repeat = ~0U;
	if (!mem || svm_open_on(&svm, fd) ||
	    svm_submit(&svm.queue[0], &op, 1, &seqno))
		_exit(1);
	*vm = svm.vm;
	while (__atomic_load_n(&mem[len / 8 - 1], __ATOMIC_RELAXED) < 2)
		if (svm_past(deadline))
			_exit(2);
	gate_open(running);
	if (how == LEAVE_BY_CLOSE)
		close(fd);
	if (how == LEAVE_BY_KILL)
		for (;;)
			pause();
	_exit(0);
}

static void end_in_mid_job(struct __test_metadata *_metadata, struct svm *svm,
			   enum leave how)
{
	uint32_t *vm = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t len = 1 * MB;

	ASSERT_NE(MAP_FAILED, vm);
	for (unsigned int i = 0; i < svm_scaled(4); i++) {
		/* With a file that lives on here, and with one that doesn't */
		int fd = i % 2 ? -1 : svm_open_device(0);
		struct svm theirs = { .fd = fd };
		struct gate running;
		pid_t pid;
		char *mem;

		ASSERT_TRUE(gate_init(&running));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			leave_behind(fd < 0 ? svm_open_device(0) : fd, how,
				     &running, vm);
		ASSERT_TRUE(gate_wait(&running));
		if (how == LEAVE_BY_KILL) {
			int status;

			ASSERT_EQ(0, kill(pid, SIGKILL));
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_TRUE(WIFSIGNALED(status));
		} else {
			ASSERT_TRUE(child_ok(pid));
		}

		/* The pages are free now: take them, and let nobody write */
		mem = svm_map(len, PROT_READ | PROT_WRITE);
		ASSERT_NE(NULL, mem);
		svm_pattern_fill(mem, len, 1);
		SUMS_TO(pattern_sum(len, 1), &svm->queue[0], mem, len);
		IS_PATTERN(mem, len, 1);
		munmap(mem, len);
		if (fd >= 0) {
			theirs.vm = *vm;
			check_stale(_metadata, &theirs);
			close(fd);
		}
		close(running.fd[0]);
	}
	munmap(vm, 4096);
}

SVM_TEST(device, exit_in_mid_job)
{
	end_in_mid_job(_metadata, &self->svm, LEAVE_BY_EXIT);
}

SVM_TEST(device, kill_in_mid_job)
{
	end_in_mid_job(_metadata, &self->svm, LEAVE_BY_KILL);
}

SVM_TEST(device, exit_after_close_in_mid_job)
{
	end_in_mid_job(_metadata, &self->svm, LEAVE_BY_CLOSE);
}

SVM_TEST(device, close_in_mid_job)
{
	for (unsigned int i = 0; i < svm_scaled(10); i++) {
		volatile uint64_t word = 0;
		struct drm_vsvm_op op = ENDLESS(&word);
		uint64_t seqno, seen, other = 0;
		struct svm svm;

		ASSERT_EQ(0, svm_open(&svm, 1)) TH_LOG("%s", svm_why());
		ASSERT_EQ(0, svm_submit(&svm.queue[0], &op, 1, &seqno));
		WAIT_FOR(word);
		svm_close(&svm);

		/* Nothing counts any more, whatever time another job takes */
		seen = word;
		RUN(self->q, svm_atomic_add(&other, 10000, 0, 1));
		ASSERT_EQ(seen, word);
	}
}

/* What main() runs after execve(): the old address space is nobody's */
static int after_exec(int fd, uint32_t vm, uint32_t queue, uint64_t seqno)
{
	struct svm old = { .fd = fd, .vm = vm };
	struct svm_queue q = { .fd = fd, .id = queue };
	struct drm_vsvm_device_stats stats;
	struct svm_outcome out;
	uint64_t word = 1, s;
	struct drm_vsvm_op op = svm_add(&word, 8, 1);
	struct svm mine;

	/* The job ends, as its memory is gone */
	if (svm_wait(&q, seqno, &out) != -EFAULT)
		return 1;
	if (svm_submit(&q, &op, 1, &s) != -EPERM)
		return 2;
	if (svm_stats(&old, &stats) || stats.stale_accesses)
		return 3;
	if (svm_open_on(&mine, fd) || svm_run(&mine.queue[0], op, NULL))
		return 4;
	if (word != 2)
		return 5;
	return svm_vm_destroy(&old) ? 6 : 0;
}

static void exec_in_mid_job(void)
{
	uint64_t *word = svm_map(svm_page_size(), PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = ENDLESS(word);
	char arg[4][24];
	char *argv[] = {
		"svm_process_test", "--after-exec", arg[0], arg[1], arg[2], arg[3], NULL
	};
	uint64_t seqno, deadline = svm_deadline_ms(SVM_WAIT_MS);
	struct svm svm;

	if (svm_open(&svm, 1) || fcntl(svm.fd, F_SETFD, 0) ||
	    svm_submit(&svm.queue[0], &op, 1, &seqno))
		_exit(100);
	while (!__atomic_load_n(word, __ATOMIC_RELAXED))
		if (svm_past(deadline))
			_exit(101);
	snprintf(arg[0], sizeof(arg[0]), "%d", svm.fd);
	snprintf(arg[1], sizeof(arg[1]), "%u", svm.vm);
	snprintf(arg[2], sizeof(arg[2]), "%u", svm.queue[0].id);
	snprintf(arg[3], sizeof(arg[3]), "%llu", (unsigned long long)seqno);
	execv("/proc/self/exe", argv);
	_exit(102);
}

SVM_TEST(device, exec_in_mid_job)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		exec_in_mid_job();
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
}

/* As the others, and the second half of the execve() test */
int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]),
				  atoll(argv[5]));

	return svm_harness_main(argc, argv);
}
