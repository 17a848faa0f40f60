// SPDX-License-Identifier: GPL-2.0
/*
 * The system goes to sleep, as far as to stop its processes, while a GPU that has the xe
 * driver works on their memory: memory comes out of VRAM, faults wait, and all goes on
 * afterwards. The devices stay awake, so that this works in any guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define LEN	(4 * SVM_PMD_SIZE)
#define RW	(PROT_READ | PROT_WRITE)

#define PM_TEST		"/sys/power/pm_test"
#define PM_TEST_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

FIXTURE(suspend)
{
	struct xe_gpu gpu;
	struct xe_queue *copy;
	char *mem;
	size_t page;
};

FIXTURE_SETUP(suspend)
{
	int err;

	if (!svm_write_file(PM_TEST, "freezer"))
		SKIP(return, "this kernel can't go to sleep for a test");
	ASSERT_TRUE(svm_write_file(PM_TEST_DELAY, "1"));
	err = xe_open(&self->gpu);
	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	self->copy = &self->gpu.queue[XE_COPY];
	self->page = svm_page_size();
	self->mem = svm_map_aligned(LEN, SVM_PMD_SIZE);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(suspend)
{
	svm_write_file(PM_TEST, "none");
	if (self->mem)
		xe_close(&self->gpu);
}

#define SUSPEND_TEST(name)	TEST_F_TIMEOUT(suspend, name, 300)

/* A negative error number if something keeps the system awake */
static int sleep_and_wake(void)
{
	int fd = open("/sys/power/state", O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "freeze", 6) < 0)
		err = -errno;
	close(fd);
	return err;
}

#define IS_FILLED(mem, byte, len) \
	ASSERT_EQ(-1, svm_value_check(mem, len, 0x0101010101010101 * (byte)))

/* In VRAM and in RAM, mapped for the GPU */
SUSPEND_TEST(memory_is_there)
{
	char *mem = self->mem;

	for (int i = 1; i < 4; i++) {
		xe_emit_fill(self->copy, mem, i, LEN);
		ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
		ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, LEN / 2, self->gpu.vram));
		ASSERT_EQ(0, xe_prefetch(&self->gpu, mem + LEN / 2, LEN / 2,
					 self->gpu.system));
		ASSERT_EQ(0, sleep_and_wake());
		if (i & 1)
			IS_FILLED(mem, i, LEN);
	}
	/* The GPU wrote at once after it was awake, to memory that nobody touched since */
	IS_FILLED(mem, 3, LEN);
}

struct worker {
	struct xe_gpu *gpu;
	char *mem;
	unsigned int runs;
	bool stop, wrong;
	int err;
};

/* Each run faults on memory that is new, and leaves garbage of what was there before */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct xe_queue *copy = &w->gpu->queue[XE_COPY];

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED) && !w->err && !w->wrong) {
		uint8_t byte = ++w->runs;

		if (mmap(w->mem, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			w->err = -errno;
		if (w->runs & 1)
			madvise(w->mem, LEN, MADV_HUGEPAGE);
		xe_emit_fill(copy, w->mem, byte, LEN);
		if (!w->err)
			w->err = xe_run(copy);
		w->wrong = svm_value_check(w->mem, LEN,
					   0x0101010101010101 * byte) >= 0;
	}
	return NULL;
}

SUSPEND_TEST(under_work)
{
	struct worker worker = { .gpu = &self->gpu, .mem = self->mem };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, work, &worker));
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, sleep_and_wake());
	__atomic_store_n(&worker.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, worker.err) TH_LOG("%s", svm_why());
	ASSERT_FALSE(worker.wrong);
}

/* A fault waits for memory that comes when everybody is awake again */
SUSPEND_TEST(fault_waits_for_memory)
{
	int uffd = svm_watch_missing(self->mem, SVM_PMD_SIZE);

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	xe_emit_fill(self->copy, self->mem, 1, self->page);
	ASSERT_EQ(0, xe_submit(self->copy)) TH_LOG("%s", svm_why());
	ASSERT_EQ(svm_addr(self->mem), svm_missing_page(uffd));
	ASSERT_EQ(0, sleep_and_wake());
	ASSERT_EQ(0, svm_provide_zeroes(uffd, svm_addr(self->mem), self->page));
	ASSERT_EQ(0, xe_wait(self->copy)) TH_LOG("%s", svm_why());
	IS_FILLED(self->mem, 1, self->page);
	close(uffd);
}

TEST_HARNESS_MAIN
