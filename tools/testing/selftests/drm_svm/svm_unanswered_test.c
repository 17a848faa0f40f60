// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults of a device that nobody answers: they stop no other process, and whoever
 * is killed goes.
 *
 * A handler that gives no answer is a userfaultfd that nobody reads. What must not
 * hang is done by another process or thread, and waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "svm_limits.h"

#define STUCK		(2 * WORKERS)

/* Several of them, so that a limit by address space would not do */
#define STUCK_VMS	3

/*
 * A process whose page faults are not answered
 */

struct silent {
	pid_t pid;
	int uffd;	/* of its memory; the last one that is open */
	int ready;	/* closed when it ends */
};

static int uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool uffd_register(int uffd, void *mem, size_t len)
{
	struct uffdio_register reg = {
		.range = { .start = svm_addr(mem), .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return !ioctl(uffd, UFFDIO_REGISTER, &reg);
}

/* So many faults wait, or it is over */
static bool uffd_asked(int uffd, unsigned int count)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);
	struct uffd_msg msg;

	while (count && !svm_past(deadline)) {
		if (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
			count--;
		else
			sched_yield();
	}
	return !count;
}

static bool send_fd(int socket, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'u';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1;
}

static int receive_fd(int socket)
{
	char space[CMSG_SPACE(sizeof(int))], c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

/* A queue that reads a page which doesn't come */
static int ask_for(struct svm *svm, void *page, struct svm_queue *queue,
		   uint64_t *seqno)
{
	struct drm_vsvm_op op = svm_sum(page, 8);

	return svm_queue_create(svm, 0, queue) ?: svm_submit(queue, &op, 1, seqno);
}

/*
 * Runs in the child; @fd is a file of the device to use, or -1. Each fault is in
 * a chunk of its own, as those in the same one wait for each other.
 */
static void be_silent(int socket, int fd, unsigned int vms)
{
	size_t size = vms * STUCK * SVM_PMD_SIZE;
	char *mem = svm_map_aligned(size, SVM_PMD_SIZE);
	int uffd = uffd_open();

	if (uffd < 0 || !uffd_register(uffd, mem, size) || !send_fd(socket, uffd))
		_exit(100);
	close(uffd);

	for (unsigned int i = 0; i < vms; i++) {
		struct svm_queue queue;
		uint64_t seqno;
		struct svm svm;

		if (fd < 0 ? svm_open_set(&svm, SET, 1) : svm_open_on(&svm, fd))
			_exit(101);
		for (unsigned int j = 0; j < STUCK; j++)
			if (ask_for(&svm, mem + (i * STUCK + j) * SVM_PMD_SIZE,
				    &queue, &seqno))
				_exit(102);
	}
	if (write(socket, "r", 1) != 1)
		_exit(103);
	for (;;)
		pause();
}

static bool reaped(pid_t pid)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);

	while (!svm_past(deadline)) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(1000);
	}
	return false;
}

/* Kills it; whatever happens, it doesn't stay behind */
static bool end_silent(struct silent *silent)
{
	bool gone;

	kill(silent->pid, SIGKILL);
	gone = reaped(silent->pid);
	close(silent->uffd);
	close(silent->ready);
	if (!gone)
		reaped(silent->pid);
	return gone;
}

/* Returns false where there is no userfaultfd */
static bool start_silent(struct silent *silent, int fd, unsigned int vms)
{
	int sockets[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return false;
	silent->pid = fork();
	if (!silent->pid) {
		close(sockets[0]);
		be_silent(sockets[1], fd, vms);
	}
	close(sockets[1]);
	silent->ready = sockets[0];
	silent->uffd = receive_fd(sockets[0]);
	if (silent->uffd >= 0 && read(sockets[0], &c, 1) == 1 &&
	    uffd_asked(silent->uffd, WORKERS))
		return true;
	end_silent(silent);
	return false;
}

/* Nobody uses the memory any more: it can't be filled */
static bool memory_is_gone(int uffd)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);
	size_t page = svm_page_size();
	struct uffdio_zeropage zero = {
		.range = { .start = 256 * MB, .len = page },
	};

	while (!svm_past(deadline)) {
		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) && errno == ESRCH)
			return true;
		usleep(1000);
	}
	return false;
}

SVM_TEST(limits, silent_process_stops_no_other)
{
	char *mem = svm_map(MB, PROT_READ | PROT_WRITE);
	struct silent silent;

	if (!start_silent(&silent, -1, STUCK_VMS))
		SKIP(return, "no userfaultfd");
	svm_pattern_fill(mem, MB, 1);
	RUN(&self->svm.queue[0], svm_add(mem, MB, 1));
	EXPECT_TRUE(end_silent(&silent));
	RUN(&self->svm.queue[0], svm_fill(mem, MB, 5));
	IS_VALUE(mem, MB, 5);
}

SVM_TEST(limits, silent_process_goes_when_killed)
{
	struct silent silent;

	if (!start_silent(&silent, -1, STUCK_VMS))
		SKIP(return, "no userfaultfd");
	EXPECT_TRUE(end_silent(&silent));
}

/* Others have the file open, so it is not closed when the process dies */
SVM_TEST(limits, memory_goes_though_the_file_is_shared)
{
	int fd = svm_set_open(SET, 0);
	struct silent silent;

	ASSERT_LE(0, fd);
	if (!start_silent(&silent, fd, 1))
		SKIP(return, "no userfaultfd");
	kill(silent.pid, SIGKILL);
	EXPECT_TRUE(reaped(silent.pid));
	EXPECT_TRUE(memory_is_gone(silent.uffd));
	close(silent.uffd);
	close(silent.ready);
	close(fd);
}

SVM_TEST(limits, device_goes_though_a_fault_waits)
{
	struct silent silent;

	if (!start_silent(&silent, -1, STUCK_VMS))
		SKIP(return, "no userfaultfd");
	svm_close(&self->svm);
	svm_set_remove(SET);
	EXPECT_NE(0, access("/sys/kernel/config/vsvm/" SET, F_OK));
	EXPECT_TRUE(end_silent(&silent));
}

/*
 * In one process
 */

enum end { END_QUEUE, END_VM, END_FILE, END_NUM };

struct waiting {
	struct svm svm;
	struct svm_queue queue[2];
	uint64_t seqno[2];
	char *mem;
	int uffd;
};

/* Two queues wait: one for the page, the other for the first one */
static bool start_waiting(struct waiting *w)
{
	w->mem = svm_map_aligned(SVM_PMD_SIZE, SVM_PMD_SIZE);
	w->uffd = uffd_open();
	if (w->uffd < 0 || !uffd_register(w->uffd, w->mem, SVM_PMD_SIZE) ||
	    svm_open_set(&w->svm, SET, 1))
		return false;
	for (int i = 0; i < 2; i++)
		if (ask_for(&w->svm, w->mem, &w->queue[i], &w->seqno[i]))
			return false;
	return uffd_asked(w->uffd, 1);
}

static void stop_waiting(struct waiting *w)
{
	close(w->uffd);
	munmap(w->mem, SVM_PMD_SIZE);
	svm_close(&w->svm);
}

SVM_TEST(limits, a_waiting_queue_ends)
{
	for (int how = 0; how < END_NUM; how++) {
		struct waiting w;

		if (!start_waiting(&w))
			SKIP(return, "no userfaultfd");
		switch (how) {
		case END_QUEUE:
			EXPECT_EQ(0, svm_queue_destroy(&w.queue[1]));
			EXPECT_EQ(-ETIME, svm_poll(&w.queue[0], w.seqno[0], NULL));
			EXPECT_EQ(0, svm_queue_destroy(&w.queue[0]));
			break;
		case END_VM:
			EXPECT_EQ(0, svm_vm_destroy(&w.svm));
			break;
		case END_FILE:
			svm_close(&w.svm);
			break;
		}
		stop_waiting(&w);
	}
}

static uint64_t ranges(struct __test_metadata *_metadata, struct svm *svm)
{
	struct drm_vsvm_device_stats stats;

	EXPECT_EQ(0, svm_stats(svm, &stats)) TH_LOG("%s", svm_why());
	return stats.ranges;
}

/* What is unmapped elsewhere is collected, and this when the answer has come */
SVM_TEST(limits, a_waiting_queue_holds_up_no_collector)
{
	char *other = svm_map_aligned(SVM_PMD_SIZE, SVM_PMD_SIZE);
	struct uffdio_zeropage zero = { 0 };
	struct svm_queue queue;
	struct svm_outcome out;
	uint64_t deadline;
	struct waiting w;

	if (!start_waiting(&w))
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, svm_queue_create(&w.svm, 0, &queue));
	RUN(&queue, svm_fill(other, SVM_PMD_SIZE, 1));
	EXPECT_EQ(2, ranges(_metadata, &w.svm));

	munmap(w.mem + SVM_PMD_SIZE / 2, self->page);
	munmap(other, SVM_PMD_SIZE);
	deadline = svm_deadline_ms(1000);
	while (ranges(_metadata, &w.svm) > 1 && !svm_past(deadline))
		usleep(1000);
	EXPECT_EQ(1, ranges(_metadata, &w.svm));
	EXPECT_EQ(-ETIME, svm_poll(&w.queue[0], w.seqno[0], NULL));

	zero.range.start = svm_addr(w.mem);
	zero.range.len = SVM_PMD_SIZE / 2;
	ASSERT_EQ(0, ioctl(w.uffd, UFFDIO_ZEROPAGE, &zero));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, svm_wait(&w.queue[i], w.seqno[i], &out));
	munmap(w.mem, SVM_PMD_SIZE);
	WAIT_FOR(ranges(_metadata, &w.svm) == 0);
	stop_waiting(&w);
}

/* The answer comes after all, and the page is used */
SVM_TEST(limits, a_waiting_queue_is_answered)
{
	struct uffdio_zeropage zero = { 0 };
	struct svm_outcome out;
	struct waiting w;

	if (!start_waiting(&w))
		SKIP(return, "no userfaultfd");
	zero.range.start = svm_addr(w.mem);
	zero.range.len = SVM_PMD_SIZE;
	ASSERT_EQ(0, ioctl(w.uffd, UFFDIO_ZEROPAGE, &zero));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, svm_wait(&w.queue[i], w.seqno[i], &out));
		EXPECT_EQ(0, out.result);
	}
	stop_waiting(&w);
}

/* Calls that touch a range which a fault is waiting to map can be killed, too */
static void advise_and_wait(int socket)
{
	struct waiting w;

	if (!start_waiting(&w) || !send_fd(socket, w.uffd))
		_exit(100);
	close(w.uffd);
	if (write(socket, "r", 1) != 1)
		_exit(101);
	svm_advise(&w.svm, w.mem, SVM_PMD_SIZE, DRM_VSVM_LOCATION_SYSTEM, 0, 0);
	for (;;)
		pause();
}

SVM_TEST(limits, a_call_that_waits_is_killed)
{
	struct silent silent;
	int sockets[2];
	char c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	silent.pid = fork();
	ASSERT_LE(0, silent.pid);
	if (!silent.pid)
		advise_and_wait(sockets[1]);
	close(sockets[1]);
	silent.ready = sockets[0];
	silent.uffd = receive_fd(sockets[0]);
	if (silent.uffd < 0 || read(sockets[0], &c, 1) != 1) {
		end_silent(&silent);
		SKIP(return, "no userfaultfd");
	}
	usleep(100000); /* it may be in the call by now; either way it must go */
	EXPECT_TRUE(end_silent(&silent));
}

TEST_HARNESS_MAIN
