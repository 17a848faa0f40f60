// SPDX-License-Identifier: GPL-2.0
/*
 * Queues of the virtual SVM device, fences of their jobs, and bad arguments of all
 * that is not about device memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "svm_device.h"

/*
 * Queues, fences and bad arguments
 */

SVM_TEST(device, queue_destroy_in_mid_job)
{
	for (unsigned int i = 0; i < svm_scaled(10); i++) {
		volatile uint64_t word = 0;
		struct drm_vsvm_op op = ENDLESS(&word);
		uint64_t seqno[2], seen, other = 0;
		volatile uint64_t fence[2] = { 0 };
		struct svm_queue queue;

		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue));
		for (int j = 0; j < 2; j++)
			ASSERT_EQ(0, svm_submit_fence(&queue, &op, 1, &fence[j],
						      1, &seqno[j]));
		WAIT_FOR(word);
		EXPECT_EQ(0, fence[0]);
		ASSERT_EQ(0, svm_queue_destroy(&queue));
		seen = word;

		/* The one that ran and the one that waited: nothing writes any more */
		EXPECT_EQ(-ENOENT, svm_wait(&queue, seqno[0], NULL));
		EXPECT_EQ(-ENOENT, svm_queue_destroy(&queue));
		RUN(self->q, svm_atomic_add(&other, 10000, 0, 1));
		ASSERT_EQ(seen, word);
		EXPECT_EQ(0, fence[0]);
		EXPECT_EQ(0, fence[1]);
	}
}

SVM_TEST(device, vm_destroy_in_mid_job)
{
	volatile uint64_t word = 0, fence = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	uint64_t seqno, seen, other = 0;
	struct svm svm;

	ASSERT_EQ(0, svm_open_on(&svm, self->svm.fd)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, svm_submit_fence(&svm.queue[0], &op, 1, &fence, 1, &seqno));
	WAIT_FOR(word);
	ASSERT_EQ(0, svm_vm_destroy(&svm));
	seen = word;
	RUN(self->q, svm_atomic_add(&other, 10000, 0, 1));
	ASSERT_EQ(seen, word);
	EXPECT_EQ(0, fence);
}

static void *wait_for_queue(void *arg)
{
	struct worker *w = arg;

	w->len = -svm_wait(&w->queue, 1, NULL);
	return NULL;
}

SVM_TEST(device, queue_destroy_wakes_waiters)
{
	volatile uint64_t word = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	struct worker w = { .svm = &self->svm };
	uint64_t seqno;

	ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &w.queue));
	ASSERT_EQ(0, svm_submit(&w.queue, &op, 1, &seqno));
	ASSERT_EQ(1, seqno);
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, wait_for_queue, &w));
	WAIT_FOR(word);
	ASSERT_EQ(0, svm_queue_destroy(&w.queue));
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	/* Cancelled, or gone already when it looked */
	EXPECT_TRUE(w.len == ECANCELED || w.len == ENOENT)
		TH_LOG("%s", strerror(w.len));
}

static void on_alarm(int signal)
{
	(void)signal;
}

SVM_TEST(device, signals_interrupt_waits)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { };
	struct sigaction action = { .sa_handler = on_alarm };
	struct svm_queue queue;
	uint64_t word = 0, seqno;
	struct drm_vsvm_op op = svm_atomic_add(&word, 1000000, 0, 1);

	ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	ASSERT_EQ(0, svm_submit(&queue, &op, 1, &seqno));
	EXPECT_EQ(0, svm_wait(&queue, seqno, NULL)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	ASSERT_EQ(1000000, word);
}

SVM_TEST(device, jobs_of_a_queue_run_in_order)
{
	unsigned int n = 200;
	uint64_t words[2] = { 0 }, seqno = 0, last = 0;
	struct svm_outcome out;

	for (unsigned int i = 0; i < n; i++) {
		struct drm_vsvm_op op = i % 2 ? svm_copy(&words[1], words, 8) :
						svm_fill(words, 8, i);

		ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
		ASSERT_EQ(last + 1, seqno);
		last = seqno;
	}
	ASSERT_EQ(0, svm_wait(self->q, seqno, &out));
	ASSERT_EQ(n - 2, words[1]);
	for (uint64_t s = 1; s <= seqno; s++) {
		ASSERT_EQ(0, svm_poll(self->q, s, &out));
	}
}

SVM_TEST(device, queues_run_at_the_same_time)
{
	volatile uint64_t word = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	struct svm_queue queue;
	uint64_t seqno, other = 0;
	struct svm_outcome out;

	/* A job that doesn't end doesn't keep others from running */
	ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue));
	ASSERT_EQ(0, svm_submit(&queue, &op, 1, &seqno));
	WAIT_FOR(word);
	for (int i = 0; i < 10; i++) {
		RUN(self->q, svm_add(&other, 8, 1));
	}
	ASSERT_EQ(10, other);
	ASSERT_EQ(-ETIME, svm_poll(&queue, seqno, &out));
	ASSERT_EQ(0, svm_queue_destroy(&queue));
}

SVM_TEST(device, full_queue)
{
	volatile uint64_t word = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	struct drm_vsvm_op nop = { .opcode = DRM_VSVM_OP_NOP };
	struct svm_queue queue;
	uint64_t seqno;

	ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue));
	ASSERT_EQ(0, svm_submit(&queue, &op, 1, &seqno));
	for (unsigned int i = 1; i < DRM_VSVM_MAX_JOBS; i++) {
		ASSERT_EQ(0, svm_submit(&queue, &nop, 1, &seqno));
	}
	ASSERT_EQ(-EBUSY, svm_submit(&queue, &nop, 1, &seqno));
	ASSERT_EQ(0, svm_queue_destroy(&queue));
}

SVM_TEST(device, history_has_an_end)
{
	struct drm_vsvm_op nop = { .opcode = DRM_VSVM_OP_NOP };
	struct svm_outcome out;
	uint64_t seqno = 0;

	for (unsigned int i = 0; i < DRM_VSVM_JOB_HISTORY + 1; i++) {
		ASSERT_EQ(0, svm_submit(self->q, &nop, 1, &seqno));
		if (!(i % 128)) {
			ASSERT_EQ(0, svm_wait(self->q, seqno, &out));
		}
	}
	ASSERT_EQ(0, svm_wait(self->q, seqno, &out));
	EXPECT_EQ(0, svm_poll(self->q, seqno - DRM_VSVM_JOB_HISTORY / 2, &out));
	EXPECT_EQ(0, svm_poll(self->q, seqno - DRM_VSVM_JOB_HISTORY + 1, &out));
	EXPECT_EQ(-ENOENT, svm_poll(self->q, seqno - DRM_VSVM_JOB_HISTORY,
				    &out));
	EXPECT_EQ(-EINVAL, svm_poll(self->q, seqno + 1, &out));
}

SVM_TEST(device, fences_order_queues)
{
	struct svm_queue second;
	uint64_t words[2] = { 0 }, seqno[2];
	volatile uint64_t fence = 0;
	struct drm_vsvm_op op[3];

	ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &second));
	for (unsigned int i = 0; i < svm_scaled(10); i++) {
		words[0] = 0;
		words[1] = 0;
		op[0] = svm_atomic_add(&words[0], 20000, 0, 1);
		op[1] = svm_await(&fence, i + 1);
		op[2] = svm_copy(&words[1], &words[0], 8);
		ASSERT_EQ(0, svm_submit(&second, &op[1], 2, &seqno[1]));
		ASSERT_EQ(0, svm_submit_fence(self->q, &op[0], 1, &fence, i + 1,
					      &seqno[0]));
		ASSERT_EQ(0, svm_wait(&second, seqno[1], NULL));
		ASSERT_EQ(20000, words[1]);
		EXPECT_EQ(i + 1, fence);
		ASSERT_EQ(0, svm_wait(self->q, seqno[0], NULL));
	}
}

/* Whoever waits for the fence learns that the job is over, and asks how it went */
SVM_TEST(device, fence_of_a_job_that_fails)
{
	char *hole = svm_map(self->page, PROT_NONE);
	struct drm_vsvm_op op[2] = { svm_fill(hole, 8, 1) };
	volatile uint64_t fence = 0;
	struct svm_outcome out;
	uint64_t seqno, word = 0;

	munmap(hole, self->page);
	op[1] = svm_fill(&word, 8, 1);
	ASSERT_EQ(0, svm_submit_fence(self->q, op, 2, &fence, 7, &seqno));
	WAIT_FOR(fence);
	EXPECT_EQ(7, fence);
	EXPECT_EQ(-EFAULT, svm_wait(self->q, seqno, &out));
	EXPECT_EQ(svm_addr(hole), out.fault_addr);
	EXPECT_EQ(0, word);
}

SVM_TEST(device, fence_that_cant_be_written)
{
	char *hole = svm_map(self->page, PROT_READ);
	struct svm_outcome out;
	uint64_t seqno, word = 0;
	struct drm_vsvm_op op = svm_fill(&word, 8, 1);

	ASSERT_EQ(0, svm_submit_fence(self->q, &op, 1, (uint64_t *)hole, 1,
				      &seqno));
	EXPECT_EQ(-EPERM, svm_wait(self->q, seqno, &out));
	EXPECT_EQ(svm_addr(hole), out.fault_addr);
	EXPECT_EQ(1, word);
	munmap(hole, self->page);
}

/* The process writes what a job waits for; the memory of the word moves meanwhile */
SVM_TEST(device, await_the_process)
{
	volatile uint64_t *word = svm_map(self->page, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = svm_await(word, 3);
	uint64_t seqno;

	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	for (unsigned int i = 1; i < 4; i++) {
		usleep(1000);
		EXPECT_EQ(-ETIME, svm_poll(self->q, seqno, NULL));
		*word = i;
		madvise((void *)word, self->page, MADV_PAGEOUT);
	}
	EXPECT_EQ(0, svm_wait(self->q, seqno, NULL));
	munmap((void *)word, self->page);
}

/* All addresses below are good ones, if the device were to look at them */
#define GOOD	0x10000000ULL

static const struct {
	const char *what;
	struct drm_vsvm_op op;
} bad_ops[] = {
#define BAD(what_, ...) { .what = what_, .op = { __VA_ARGS__ } }
#define FILL .opcode = DRM_VSVM_OP_FILL, .dst = GOOD
#define COPY .opcode = DRM_VSVM_OP_COPY, .dst = GOOD
#define ADD .opcode = DRM_VSVM_OP_ADD
#define ATOMIC .opcode = DRM_VSVM_OP_ATOMIC_ADD
#define CAS .opcode = DRM_VSVM_OP_CAS
#define CHASE .opcode = DRM_VSVM_OP_CHASE
#define SUM .opcode = DRM_VSVM_OP_SUM
#define AWAIT .opcode = DRM_VSVM_OP_AWAIT
#define U32 .flags = DRM_VSVM_OP_FLAG_U32
	BAD("unknown opcode", .opcode = DRM_VSVM_OP_AWAIT + 1),
	BAD("huge opcode", .opcode = ~0U),
	BAD("await with dst", AWAIT, .src = GOOD, .dst = GOOD),
	BAD("await with length", AWAIT, .src = GOOD, .length = 8),
	BAD("await unaligned", AWAIT, .src = GOOD + 4),
	BAD("await behind the end", AWAIT, .src = TOP),
	BAD("unknown flag", ADD, .dst = GOOD, .length = 8, .flags = 2),
	BAD("all flags", ADD, .dst = GOOD, .length = 8, .flags = ~0U),
	BAD("pad", FILL, .length = 8, .pad = 1),

	BAD("nop with dst", .dst = GOOD),
	BAD("nop with src", .src = GOOD),
	BAD("nop with length", .length = 8),
	BAD("nop with value", .value = 1),
	BAD("nop with repeat", .repeat = 1),
	BAD("nop with flag", U32),

	BAD("fill of nothing", FILL),
	BAD("fill with src", FILL, .length = 8, .src = GOOD),
	BAD("fill with count", FILL, .length = 8, .count = 1),
	BAD("fill with stride", FILL, .length = 8, .stride = 8),
	BAD("fill with compare", FILL, .length = 8, .compare = 1),
	BAD("fill with repeat", FILL, .length = 8, .repeat = 1),
	BAD("fill of 32 bits", FILL, .length = 8, U32),
	BAD("fill over the top", FILL, .length = TOP),
	BAD("fill around", FILL, .length = ~0ULL),

	BAD("copy of nothing", COPY, .src = 2 * GOOD),
	BAD("copy that overlaps", COPY, .src = GOOD + 8, .length = 16),
	BAD("copy to itself", COPY, .src = GOOD, .length = 8),
	BAD("copy with value", COPY, .src = 2 * GOOD, .length = 8, .value = 1),
	BAD("copy from the top", COPY, .src = TOP, .length = 8),
	BAD("copy over the top", COPY, .src = TOP - 8, .length = 16),

	BAD("add to nothing", ADD, .dst = GOOD),
	BAD("add misaligned", ADD, .dst = GOOD + 4, .length = 8),
	BAD("add to a half", ADD, .dst = GOOD, .length = 12),
	BAD("add 32 misaligned", ADD, .dst = GOOD + 2, .length = 4, U32),
	BAD("add 32 to a half", ADD, .dst = GOOD, .length = 6, U32),
	BAD("add with src", ADD, .dst = GOOD, .length = 8, .src = GOOD),
	BAD("add over the top", ADD, .dst = TOP - 8, .length = 16),

	BAD("atomic to nothing", ATOMIC, .dst = GOOD),
	BAD("atomic misaligned", ATOMIC, .dst = GOOD + 4, .count = 1),
	BAD("atomic 32 misaligned", ATOMIC, .dst = GOOD + 2, .count = 1, U32),
	BAD("atomic stride", ATOMIC, .dst = GOOD, .count = 2, .stride = 4),
	BAD("atomic 32 stride", ATOMIC, .dst = GOOD, .count = 2, .stride = 2,
	    U32),
	BAD("atomic with length", ATOMIC, .dst = GOOD, .count = 1, .length = 8),
	BAD("atomic over the top", ATOMIC, .dst = TOP - 8, .count = 2,
	    .stride = 8),
	BAD("atomic around", ATOMIC, .dst = GOOD, .count = 1ULL << 61,
	    .stride = 8),
	BAD("atomic around twice", ATOMIC, .dst = GOOD, .count = 1ULL << 32,
	    .stride = 1ULL << 32),

	BAD("cas misaligned", CAS, .dst = GOOD + 1),
	BAD("cas 32 misaligned", CAS, .dst = GOOD + 2, U32),
	BAD("cas with length", CAS, .dst = GOOD, .length = 8),
	BAD("cas with count", CAS, .dst = GOOD, .count = 1),
	BAD("cas with src", CAS, .dst = GOOD, .src = GOOD),
	BAD("cas at the top", CAS, .dst = TOP),

	BAD("chase nothing", CHASE, .src = GOOD),
	BAD("chase misaligned", CHASE, .src = GOOD + 4, .count = 1),
	BAD("chase with dst", CHASE, .src = GOOD, .count = 1, .dst = GOOD),
	BAD("chase of 32 bits", CHASE, .src = GOOD, .count = 1, U32),
	BAD("chase at the top", CHASE, .src = TOP, .count = 1),

	BAD("sum of nothing", SUM, .src = GOOD),
	BAD("sum misaligned", SUM, .src = GOOD + 4, .length = 8),
	BAD("sum of a half", SUM, .src = GOOD, .length = 12),
	BAD("sum with dst", SUM, .src = GOOD, .length = 8, .dst = GOOD),
	BAD("sum with value", SUM, .src = GOOD, .length = 8, .value = 1),
	BAD("sum over the top", SUM, .src = TOP - 8, .length = 16),
#undef BAD
#undef FILL
#undef COPY
#undef ADD
#undef ATOMIC
#undef CAS
#undef CHASE
#undef SUM
#undef AWAIT
#undef U32
};

SVM_TEST(device, bad_operations)
{
	struct drm_vsvm_op good = { .opcode = DRM_VSVM_OP_NOP }, two[2];
	uint64_t seqno;

	for (size_t i = 0; i < ARRAY_SIZE(bad_ops); i++) {
		EXPECT_EQ(-EINVAL, svm_submit(self->q, &bad_ops[i].op, 1,
					      &seqno))
			TH_LOG("%s", bad_ops[i].what);
		/* Also behind a good one, which must not run alone */
		two[0] = good;
		two[1] = bad_ops[i].op;
		EXPECT_EQ(-EINVAL, svm_submit(self->q, two, 2, &seqno))
			TH_LOG("%s", bad_ops[i].what);
	}
	/* Refused jobs have no number */
	ASSERT_EQ(0, svm_submit(self->q, &good, 1, &seqno));
	EXPECT_EQ(1, seqno);
	ASSERT_EQ(0, svm_wait(self->q, seqno, NULL));
}

/* One row a call: the argument, and the error that it has to give */
struct bad_call {
	const char *what;
	unsigned long request;
	const void *arg;
	int error;
};

#define NOWHERE		8

static void check_bad_calls(struct __test_metadata *_metadata, int fd,
			    const struct bad_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		union {
			struct drm_vsvm_query query;
			struct drm_vsvm_vm_create vm_create;
			struct drm_vsvm_submit submit;
			struct drm_vsvm_wait wait;
			char bytes[256];
		} arg = { 0 };

		memcpy(&arg, calls[i].arg, _IOC_SIZE(calls[i].request));
		EXPECT_EQ(calls[i].error,
			  svm_ioctl(fd, calls[i].request, &arg))
			TH_LOG("%s", calls[i].what);
	}
}

SVM_TEST(device, bad_submits)
{
	struct drm_vsvm_op nop = { .opcode = DRM_VSVM_OP_NOP };
	uint64_t page = self->page;
	uint32_t queue = self->q->id;

#define SUBMIT(what, error, ...) \
	{ what, DRM_IOCTL_VSVM_SUBMIT, &(struct drm_vsvm_submit) { \
		.queue_id = queue, .ops = (uintptr_t)&nop, \
		.num_ops = 1, __VA_ARGS__ }, error }
	const struct bad_call calls[] = {
		SUBMIT("good", 0, .flags = 0),
		SUBMIT("flags", -EINVAL, .flags = 1),
		SUBMIT("pad", -EINVAL, .pad = 1),
		SUBMIT("no queue", -ENOENT, .queue_id = 0),
		SUBMIT("unknown queue", -ENOENT, .queue_id = 9999),
		SUBMIT("huge queue", -ENOENT, .queue_id = ~0U),
		SUBMIT("no ops", -EINVAL, .num_ops = 0),
		SUBMIT("too many ops", -EINVAL,
		       .num_ops = DRM_VSVM_MAX_OPS + 1),
		SUBMIT("all ops", -EINVAL, .num_ops = ~0U),
		SUBMIT("null ops", -EFAULT, .ops = 0),
		SUBMIT("ops nowhere", -EFAULT, .ops = NOWHERE),
		SUBMIT("ops in the kernel", -EFAULT, .ops = 1ULL << 63),
		SUBMIT("value without fence", -EINVAL, .fence_value = 1),
		SUBMIT("fence not aligned", -EINVAL, .fence_addr = page + 4),
		SUBMIT("fence in the kernel", -EINVAL, .fence_addr = 1ULL << 63),
		SUBMIT("fence behind the end", -EINVAL,
		       .fence_addr = 1ULL << DRM_VSVM_VA_BITS),
	};
#undef SUBMIT
	check_bad_calls(_metadata, self->svm.fd, calls,
			ARRAY_SIZE(calls));
}

SVM_TEST(device, bad_address_spaces)
{
	int null = open("/dev/null", O_RDWR), other = svm_open_device(0);
	int32_t not_drm[] = { null }, not_open[] = { -1 };
	int32_t same[] = { other };
	uint64_t page = self->page;

	ASSERT_LE(0, null);
	ASSERT_LE(0, other);

#define VM(what, error, ...) \
	{ what, DRM_IOCTL_VSVM_VM_CREATE, \
		&(struct drm_vsvm_vm_create) { __VA_ARGS__ }, error }
	const struct bad_call calls[] = {
		VM("good", 0, .flags = 0),
		VM("flags", -EINVAL, .flags = 1),
		VM("pad", -EINVAL, .pad = 1),
		VM("null devices", -EFAULT, .num_fds = 1),
		VM("devices nowhere", -EFAULT, .num_fds = 1,
		   .fds = NOWHERE),
		VM("too many devices", -EINVAL, .fds = svm_addr(same),
		   .num_fds = DRM_VSVM_MAX_DEVICES),
		VM("all devices", -EINVAL, .fds = svm_addr(same),
		   .num_fds = ~0U),
		VM("closed device", -EBADF, .num_fds = 1,
		   .fds = svm_addr(not_open)),
		VM("no device", -EINVAL, .num_fds = 1,
		   .fds = svm_addr(not_drm)),
		VM("device twice", -EINVAL, .num_fds = 1,
		   .fds = svm_addr(same)),
		VM("start misaligned", -EINVAL, .va_start = page + 8),
		VM("size misaligned", -EINVAL, .va_start = page,
		   .va_size = page / 2),
		VM("window over the top", -EINVAL, .va_start = TOP,
		   .va_size = page),
		VM("window too big", -EINVAL, .va_start = page,
		   .va_size = TOP),
		VM("window around", -EINVAL, .va_start = page,
		   .va_size = -page),
		VM("window at the end", 0, .va_start = TOP - page,
		   .va_size = page),
	};
#undef VM
	check_bad_calls(_metadata, self->svm.fd, calls,
			ARRAY_SIZE(calls));
	close(null);
	close(other);
}

SVM_TEST(device, bad_handles)
{
	struct drm_vsvm_op nop = { .opcode = DRM_VSVM_OP_NOP };
	struct drm_vsvm_device_stats stats;
	uint32_t vm = self->svm.vm, queue = self->q->id;
	uint64_t seqno;

	ASSERT_EQ(0, svm_submit(self->q, &nop, 1, &seqno));
	ASSERT_EQ(0, svm_wait(self->q, seqno, NULL));

#define CALL(what, name, type, error, ...) \
	{ what, DRM_IOCTL_VSVM_ ## name, \
		&(struct drm_vsvm_ ## type) { __VA_ARGS__ }, error }
	const struct bad_call calls[] = {
		CALL("query", QUERY, query, 0, .flags = 0),
		CALL("query flags", QUERY, query, -EINVAL, .flags = 1),
		CALL("query pad", QUERY, query, -EINVAL, .pad = 1),

		CALL("destroy no vm", VM_DESTROY, vm_destroy, -ENOENT,
		     .vm_id = 0),
		CALL("destroy unknown vm", VM_DESTROY, vm_destroy,
		     -ENOENT, .vm_id = 9999),
		CALL("destroy vm pad", VM_DESTROY, vm_destroy, -EINVAL,
		     .vm_id = vm, .pad = 1),

		CALL("queue flags", QUEUE_CREATE, queue_create, -EINVAL,
		     .vm_id = vm, .flags = 1),
		CALL("queue of no vm", QUEUE_CREATE, queue_create,
		     -ENOENT, .vm_id = 0),
		CALL("queue of unknown vm", QUEUE_CREATE, queue_create,
		     -ENOENT, .vm_id = 9999),
		CALL("queue of unknown device", QUEUE_CREATE,
		     queue_create, -EINVAL, .vm_id = vm,
		     .device_index = 1),
		CALL("queue of huge device", QUEUE_CREATE, queue_create,
		     -EINVAL, .vm_id = vm, .device_index = ~0U),
		CALL("destroy unknown queue", QUEUE_DESTROY,
		     queue_destroy, -ENOENT, .queue_id = 9999),
		CALL("destroy queue pad", QUEUE_DESTROY, queue_destroy,
		     -EINVAL, .queue_id = queue, .pad = 1),

		CALL("wait", WAIT, wait, 0, .queue_id = queue,
		     .seqno = seqno),
		CALL("wait flags", WAIT, wait, -EINVAL,
		     .queue_id = queue, .seqno = seqno, .flags = 1),
		CALL("wait pad", WAIT, wait, -EINVAL,
		     .queue_id = queue, .seqno = seqno, .pad = 1),
		CALL("wait on unknown queue", WAIT, wait, -ENOENT,
		     .queue_id = 9999, .seqno = seqno),
		CALL("wait for the future", WAIT, wait, -EINVAL,
		     .queue_id = queue, .seqno = seqno + 1),

		CALL("stats", STATS, stats, 0, .vm_id = vm,
		     .size = sizeof(stats), .stats = svm_addr(&stats)),
		CALL("stats flags", STATS, stats, -EINVAL, .vm_id = vm,
		     .size = sizeof(stats), .stats = svm_addr(&stats),
		     .flags = 1),
		CALL("stats of unknown vm", STATS, stats, -ENOENT,
		     .vm_id = 9999, .size = sizeof(stats),
		     .stats = svm_addr(&stats)),
		CALL("stats of unknown device", STATS, stats, -EINVAL,
		     .vm_id = vm, .size = sizeof(stats),
		     .stats = svm_addr(&stats), .device_index = 1),
		CALL("stats nowhere", STATS, stats, -EFAULT,
		     .vm_id = vm, .size = sizeof(stats),
		     .stats = NOWHERE),
	};
#undef CALL
	check_bad_calls(_metadata, self->svm.fd, calls,
			ARRAY_SIZE(calls));
	EXPECT_EQ(-EINVAL, svm_ioctl(self->svm.fd,
				     DRM_IO(DRM_COMMAND_BASE + 0x3f), NULL));
}

SVM_TEST(device, handles_are_of_their_file)
{
	struct svm other;

	ASSERT_EQ(0, svm_open(&other, 1)) TH_LOG("%s", svm_why());
	/* The numbers may be the same: use each on the other's file, once gone */
	ASSERT_EQ(0, svm_queue_destroy(&other.queue[0]));
	other.queue[0].id = self->q->id;
	EXPECT_EQ(-ENOENT, svm_queue_destroy(&other.queue[0]));
	ASSERT_EQ(0, svm_vm_destroy(&other));
	other.vm = self->svm.vm;
	EXPECT_EQ(-ENOENT, svm_vm_destroy(&other));
	svm_close(&other);
}

SVM_TEST(device, stats_of_another_size)
{
	struct {
		struct drm_vsvm_device_stats stats;
		uint64_t more[2];
	} big;
	uint64_t word = 0, one[2] = { ~0ULL, ~0ULL };
	struct drm_vsvm_stats arg = { .vm_id = self->svm.vm };

	RUN(self->q, svm_sum(&word, 8));

	/* A caller who knows one counter gets one */
	arg.size = 8;
	arg.stats = svm_addr(one);
	ASSERT_EQ(0, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_STATS, &arg));
	EXPECT_EQ(1, one[0]);
	EXPECT_EQ(~0ULL, one[1]);

	/* One who knows more is told how much there is */
	memset(&big, 0xff, sizeof(big));
	arg.size = sizeof(big);
	arg.stats = svm_addr(&big);
	ASSERT_EQ(0, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_STATS, &arg));
	EXPECT_GE(arg.size, sizeof(big.stats));
	EXPECT_EQ(1, big.stats.read_faults);
	if (arg.size == sizeof(big.stats)) {
		EXPECT_EQ(0, big.more[0]);
		EXPECT_EQ(0, big.more[1]);
	}
}

SVM_TEST(device, stats_add_up)
{
	struct drm_vsvm_device_stats stats;
	size_t len = 64 * KB;
	char *mem = svm_map_aligned(len, len);

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, len, 1));
	SUMS_TO(len / 8, self->q, mem, len);
	munmap(mem, len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, len));

	ASSERT_EQ(0, svm_stats(&self->svm, &stats));
	EXPECT_EQ(3, stats.jobs);
	EXPECT_EQ(1, stats.failed_jobs);
	EXPECT_GE(stats.write_faults, 1);
	EXPECT_EQ(1, stats.read_faults);
	EXPECT_EQ(1, stats.failed_faults);
	EXPECT_GE(stats.pages, len / self->page);
	EXPECT_GE(stats.segments, 1);
	EXPECT_LE(stats.segments, stats.pages);
	EXPECT_GE(stats.walks, 1);
	EXPECT_GE(stats.invalidations, 1);
}

int main(int argc, char **argv)
{
	return svm_harness_main(argc, argv);
}
