// SPDX-License-Identifier: GPL-2.0
/*
 * User fences of binds of the xe driver in memory that nobody answers for: the kernel
 * can't write such a fence, but it writes those of others, and a process that waits for
 * one goes when it is killed.
 *
 * The memory is a page that a userfaultfd has protected, and that can be read. What must
 * not hang is done by another process, and waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define RW		(PROT_READ | PROT_WRITE)
#define TEST_SECONDS	300

/* A process that has such a fence */
struct silent {
	pid_t pid;
	int gpu;		/* its file, which the test has, too */
	int uffd;		/* that of its memory, which stays when it goes */
	uint64_t fence;		/* its address there */
};

FIXTURE(fence)
{
	struct xe_gpu gpu;
	struct silent silent;
};

static bool set_protection(int uffd, uint64_t addr, uint64_t mode)
{
	struct uffdio_writeprotect args = {
		.range = { .start = addr, .len = svm_page_size() },
		.mode = mode,
	};

	return !ioctl(uffd, UFFDIO_WRITEPROTECT, &args);
}

static bool register_page(int uffd, void *page)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register args = {
		.range = { .start = svm_addr(page), .len = svm_page_size() },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return !ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &args);
}

/* A userfaultfd that is asked before anyone writes to the page, or -1 */
static int protect_page(void *page)
{
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		return -1;
	if (register_page(uffd, page) &&
	    set_protection(uffd, svm_addr(page), UFFDIO_WRITEPROTECT_MODE_WP))
		return uffd;
	close(uffd);
	return -1;
}

static void *map_page(void)
{
	char *page = svm_map(svm_page_size(), RW);

	/* There is nothing to protect, or to prefetch, before it is written */
	if (page)
		memset(page, 0, svm_page_size());
	return page;
}

/*
 * The silent process
 */

/* Polls for the fence until that is written, and tells who it is once that waits */
static int be_silent(int tell)
{
	struct xe_bind bind = { .what = XE_PREFETCH, .mem = map_page() };
	struct silent silent = { .pid = getpid() };
	volatile uint64_t *fence = map_page();
	struct xe_gpu gpu;

	if (!bind.mem || !fence || xe_open(&gpu))
		return 2;
	silent.uffd = protect_page((void *)fence);
	silent.fence = svm_addr(fence);
	silent.gpu = gpu.fd;
	bind.len = svm_page_size();
	bind.region = gpu.system;
	if (silent.uffd < 0 || xe_bind_begin(&gpu, &bind, fence))
		return 3;
	if (svm_missing_page(silent.uffd) != silent.fence)
		return 4;
	if (write(tell, &silent, sizeof(silent)) != sizeof(silent))
		return 5;
	while (xe_poll_bind(&gpu, fence) == -ETIME)
		;
	return *fence == 1 ? 0 : 6;
}

/* A file of another process */
static int take_file(pid_t pid, int fd)
{
	int pidfd = syscall(__NR_pidfd_open, pid, 0);
	int file = syscall(__NR_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return file;
}

/* Returns once the kernel waits for its memory */
static bool start_silent(struct silent *silent)
{
	int tell[2];
	bool told;
	pid_t pid;

	if (pipe(tell))
		return false;
	pid = fork();
	if (!pid) {
		int err = be_silent(tell[1]);

		fprintf(stderr, "# silent: %d, %s\n", err, svm_why());
		_exit(err);
	}
	close(tell[1]);
	told = read(tell[0], silent, sizeof(*silent)) == sizeof(*silent);
	close(tell[0]);
	if (!told) {
		waitpid(pid, NULL, 0);
		return false;
	}
	silent->gpu = take_file(silent->pid, silent->gpu);
	silent->uffd = take_file(silent->pid, silent->uffd);
	return silent->gpu >= 0 && silent->uffd >= 0;
}

/* Nobody uses its memory any more: it can't be filled */
static bool memory_is_gone(int uffd)
{
	struct uffdio_zeropage zero = {
		.range = { .start = 256UL << 20, .len = svm_page_size() },
	};
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);

	while (!svm_past(deadline)) {
		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) && errno == ESRCH)
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * Others
 */

/* Has binds of its own done, and polls for a fence that nobody has */
static int use_fences(void)
{
	volatile uint64_t none = 0;
	void *mem = map_page();
	struct xe_gpu gpu;

	if (!mem || xe_open(&gpu))
		return 2;
	if (xe_prefetch(&gpu, mem, svm_page_size(), gpu.system))
		return 3;
	if (xe_poll_bind(&gpu, &none) != -ETIME)
		return 4;
	return 0;
}

static pid_t fork_user(void)
{
	pid_t pid = fork();
	int err;

	if (pid)
		return pid;
	err = use_fences();
	if (err)
		fprintf(stderr, "# user: %d, %s\n", err, svm_why());
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

static bool can_protect(void)
{
	void *page = map_page();
	int uffd = page ? protect_page(page) : -1;

	close(uffd);
	return uffd >= 0;
}

FIXTURE_SETUP(fence)
{
	int err = xe_open(&self->gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	if (!can_protect())
		SKIP(return, "no userfaultfd that protects");
	ASSERT_TRUE(start_silent(&self->silent));
}

FIXTURE_TEARDOWN(fence)
{
	xe_close(&self->gpu);
}

#define FENCE_TEST(name)	TEST_F_TIMEOUT(fence, name, TEST_SECONDS)

FENCE_TEST(others_go_on)
{
	pid_t user = fork_user();
	int end = end_of(user);

	EXPECT_EQ(0, end);
	ASSERT_EQ(0, kill(self->silent.pid, SIGKILL));
	EXPECT_EQ(SIGKILL, end_of(self->silent.pid));
	EXPECT_EQ(0, end_of(fork_user()));

	/* That is an answer: what hangs does not stay behind */
	close(self->silent.uffd);
	if (end == -ETIME)
		waitpid(user, NULL, 0);
}

FENCE_TEST(goes_when_killed)
{
	ASSERT_EQ(0, kill(self->silent.pid, SIGKILL));
	EXPECT_EQ(SIGKILL, end_of(self->silent.pid));
	EXPECT_TRUE(memory_is_gone(self->silent.uffd));
	close(self->silent.uffd);
}

/* The answer comes after all */
FENCE_TEST(is_written)
{
	ASSERT_TRUE(set_protection(self->silent.uffd, self->silent.fence, 0));
	EXPECT_EQ(0, end_of(self->silent.pid));
	close(self->silent.uffd);
}

TEST_HARNESS_MAIN
