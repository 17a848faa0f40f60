// SPDX-License-Identifier: GPL-2.0
/*
 * Tracking of writes to memory of a process that is in the memory of a virtual SVM
 * device: by soft-dirty bits and by userfaultfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/userfaultfd.h>

#include "svm_walkers.h"

/*
 * Tracking of writes
 */

/* The pages of [mem, mem + len) whose soft-dirty bits are set */
static size_t soft_dirty(struct __test_metadata *_metadata, const char *mem,
			 size_t len)
{
	size_t page = svm_page_size(), count = 0;

	for (size_t at = 0; at < len; at += page)
		count += !!pagemap_bits(_metadata, mem + at, PM_SOFT_DIRTY);
	return count;
}

static bool has_soft_dirty(struct __test_metadata *_metadata, char *mem)
{
	mem[0] = 1;

	return pagemap_bits(_metadata, mem, PM_SOFT_DIRTY);
}

/* As a checkpoint does: forget what was written so far */
#define CLEAR_SOFT_DIRTY() \
	ASSERT_TRUE(svm_write_file("/proc/self/clear_refs", "4"))
#define SOFT_DIRTY(num, mem, len) \
	ASSERT_EQ(num, soft_dirty(_metadata, mem, len))

SVM_TEST(walk, soft_dirty_tells_of_writes)
{
	char *part = self->mem + PART;

	if (!has_soft_dirty(_metadata, self->mem))
		SKIP(return, "needs CONFIG_MEM_SOFT_DIRTY");
	FILL_AND_PUT(1);
	SOFT_DIRTY(LEN / self->page, self->mem, LEN);
	CLEAR_SOFT_DIRTY();
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	SOFT_DIRTY(0, self->mem, LEN);

	/* Reading is not writing */
	SUMS_TO(pattern_sum(LEN, 1), self->q, self->mem, LEN);
	SOFT_DIRTY(0, self->mem, LEN);

	/* By the device, which had it for writing before */
	RUN(self->q, svm_add(part, self->page, 1));
	EXPECT_TRUE(soft_dirty(_metadata, part, self->page));

	/* By the CPU */
	TRY_PUT(self->mem, LEN);
	CLEAR_SOFT_DIRTY();
	part[0]++;
	EXPECT_TRUE(soft_dirty(_metadata, part, self->page));
	TRY_PUT(self->mem, LEN);
	EXPECT_TRUE(soft_dirty(_metadata, part, self->page));
}

SVM_TEST(walk, soft_dirty_survives)
{
	char *to = map_len(_metadata, LEN, variant->huge);
	size_t all = LEN / self->page, len;
	pid_t pid;

	if (!has_soft_dirty(_metadata, self->mem))
		SKIP(return, "needs CONFIG_MEM_SOFT_DIRTY");
	FILL_AND_PUT(1);
	RUN(self->q, svm_add(self->mem, LEN, 1));
	CLEAR_SOFT_DIRTY();
	RUN(self->q, svm_add(self->mem, LEN, 1));
	TRY_PUT(self->mem, LEN);

	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ));
	SOFT_DIRTY(all, self->mem, LEN);
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ | PROT_WRITE));
	SOFT_DIRTY(all, self->mem, LEN);

	RUN(self->q, svm_add(self->mem, LEN, 1));
	TRY_PUT(self->mem, LEN);
	pid = fork();
	if (!pid)
		_exit(soft_dirty(_metadata, self->mem, LEN) != all);
	ASSERT_TRUE(child_is_content(pid));
	SOFT_DIRTY(all, self->mem, LEN);

	/* A move is a change of what is there, unless whole page tables move */
	TRY_PUT(self->mem, LEN);
	CLEAR_SOFT_DIRTY();
	len = variant->huge ? LEN : LEN / 2;
	ASSERT_EQ(to, mremap(self->mem, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	SOFT_DIRTY(len / self->page, to, len);
}

/* What the device had first is no less new than what the CPU had */
SVM_TEST(walk, soft_dirty_of_holes)
{
	if (!has_soft_dirty(_metadata, self->mem))
		SKIP(return, "needs CONFIG_MEM_SOFT_DIRTY");
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_DONTNEED));
	CLEAR_SOFT_DIRTY();
	SOFT_DIRTY(0, self->mem, LEN);
	TRY_PUT(self->mem, LEN);
	RUN(self->q, svm_fill(self->mem, LEN, 3));
	SOFT_DIRTY(LEN / self->page, self->mem, LEN);
	IS_VALUE(self->mem, LEN, 3);
	SOFT_DIRTY(LEN / self->page, self->mem, LEN);
}

static int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A userfaultfd for some memory, or a negative number if there is no such */
static int uffd_watch(struct __test_metadata *_metadata, uint64_t features, void *mem,
		      size_t len, uint64_t modes)
{
	struct uffdio_register reg = {
		.range = { svm_addr(mem), len },
		.mode = modes,
	};
	int uffd = uffd_open(features);

	if (uffd >= 0)
		EXPECT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg)) TH_LOG("%s", strerror(errno));

	return uffd;
}

static int uffd_protect(int uffd, void *mem, size_t len, bool on)
{
	struct uffdio_writeprotect arg = {
		.range = { svm_addr(mem), len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &arg);
}

/* The pages that were written since the last scan, which protects them anew */
static long scan_written(void *mem, size_t len)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_region regions[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = svm_addr(mem),
		.end = svm_addr(mem) + len,
		.vec = svm_addr(regions),
		.vec_len = ARRAY_SIZE(regions),
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	long n = ioctl(fd, PAGEMAP_SCAN, &arg), count = 0;

	close(fd);
	for (long i = 0; i < n; i++)
		count += (regions[i].end - regions[i].start) / svm_page_size();
	return n < 0 ? -errno : count;
}

SVM_TEST(walk, pagemap_scan_tells_of_writes)
{
	char *part = self->mem + PART;
	int uffd;

	uffd = uffd_watch(_metadata, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
			  self->mem, LEN, UFFDIO_REGISTER_MODE_WP);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	FILL_AND_PUT(1);
	RUN(self->q, svm_add(self->mem, LEN, 0));
	ASSERT_EQ(LEN / self->page, scan_written(self->mem, LEN));
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	ASSERT_EQ(0, scan_written(self->mem, LEN));
	SUMS_TO(pattern_sum(LEN, 1), self->q, self->mem, LEN);
	ASSERT_EQ(0, scan_written(self->mem, LEN));

	RUN(self->q, svm_add(part, 8, 1));
	EXPECT_LT(0, scan_written(self->mem, LEN));
	TRY_PUT(self->mem, LEN);
	ASSERT_EQ(0, scan_written(self->mem, LEN));
	part[0]++;
	EXPECT_LT(0, scan_written(self->mem, LEN));

	/* Protected in part */
	TRY_PUT(self->mem, LEN);
	scan_written(self->mem, LEN);
	RUN(self->q, svm_add(self->mem, LEN, 0));
	TRY_PUT(self->mem, LEN);
	ASSERT_EQ(PART_LEN / self->page, scan_written(part, PART_LEN));
	ASSERT_EQ((LEN - PART_LEN) / self->page, scan_written(self->mem, LEN));
	close(uffd);
}

/*
 * The event that the handler gets of an access. A device may access more than it
 * was told to, so the address is somewhere in the test's memory.
 */
#define GETS_EVENT(uffd, flag) do {				\
	struct pollfd poll_ = { .fd = uffd, .events = POLLIN };		\
	struct uffd_msg msg_;						\
									\
	ASSERT_EQ(1, poll(&poll_, 1, SVM_WAIT_MS));			\
	ASSERT_EQ(sizeof(msg_), read(uffd, &msg_, sizeof(msg_)));	\
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg_.event);			\
	ASSERT_TRUE(msg_.arg.pagefault.flags & (flag));			\
	ASSERT_GT(LEN, msg_.arg.pagefault.address - svm_addr(self->mem)); \
} while (0)

static void *write_byte(void *arg)
{
	(*(volatile char *)arg)++;
	return NULL;
}

/* As a snapshot does: each page is saved before it is written */
SVM_TEST(walk, userfaultfd_sees_writes)
{
	char *part = self->mem + PART;
	struct drm_vsvm_op op = svm_add(part, self->page, 1);
	uint64_t seqno, word;
	pthread_t thread;
	int uffd;

	uffd = uffd_watch(_metadata, UFFD_FEATURE_PAGEFAULT_FLAG_WP,
			  self->mem, LEN, UFFDIO_REGISTER_MODE_WP);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	FILL_AND_PUT(1);
	RUN(self->q, svm_add(self->mem, LEN, 0));
	ASSERT_EQ(0, uffd_protect(uffd, self->mem, LEN, true));
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	ASSERT_TRUE(pagemap_bits(_metadata, part, PM_UFFD_WP));

	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	GETS_EVENT(uffd, UFFD_PAGEFAULT_FLAG_WP);
	word = *(uint64_t *)part;
	EXPECT_EQ(svm_pattern_word(1, PART / 8), word);
	ASSERT_EQ(0, uffd_protect(uffd, self->mem, LEN, false));
	ASSERT_EQ(0, svm_wait(self->q, seqno, NULL)) TH_LOG("%s", svm_why());
	ASSERT_EQ(word + 1, *(uint64_t *)part);

	ASSERT_EQ(0, uffd_protect(uffd, self->mem, LEN, true));
	TRY_PUT(self->mem, LEN);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_byte, part));
	GETS_EVENT(uffd, UFFD_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, uffd_protect(uffd, part, self->page, false));
	pthread_join(thread, NULL);
	close(uffd);
}

/* Also of memory that nobody has written yet */
SVM_TEST(walk, userfaultfd_sees_writes_to_zero_pages)
{
	struct drm_vsvm_op op = svm_fill(self->mem + PART, 8, 5);
	uint64_t seqno;
	int uffd;

	uffd = uffd_watch(_metadata, UFFD_FEATURE_PAGEFAULT_FLAG_WP,
			  self->mem, LEN, UFFDIO_REGISTER_MODE_WP);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_POPULATE_READ));
	ASSERT_EQ(0, uffd_protect(uffd, self->mem, LEN, true));
	TRY_PUT(self->mem, LEN);
	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	GETS_EVENT(uffd, UFFD_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, uffd_protect(uffd, self->mem, LEN, false));
	ASSERT_EQ(0, svm_wait(self->q, seqno, NULL)) TH_LOG("%s", svm_why());
	ASSERT_EQ(5, *(uint64_t *)(self->mem + PART));
	close(uffd);
}

#ifdef UFFD_FEATURE_RWP
static int uffd_hide(int uffd, void *mem, size_t len, bool on)
{
	struct uffdio_rwprotect arg = {
		.range = { svm_addr(mem), len },
		.mode = on ? UFFDIO_RWPROTECT_MODE_RWP : 0,
	};

	return ioctl(uffd, UFFDIO_RWPROTECT, &arg);
}

SVM_TEST(walk, userfaultfd_sees_reads)
{
	char *part = self->mem + PART;
	struct drm_vsvm_op op = svm_sum(part, self->page);
	uint64_t seqno;
	int uffd;

	uffd = uffd_watch(_metadata, UFFD_FEATURE_RWP,
			  self->mem, LEN, UFFDIO_REGISTER_MODE_RWP);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	FILL_AND_PUT(1);
	RUN(self->q, svm_add(self->mem, LEN, 0));
	ASSERT_EQ(0, uffd_hide(uffd, self->mem, LEN, true));
	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	GETS_EVENT(uffd, UFFD_PAGEFAULT_FLAG_RWP);
	ASSERT_EQ(0, uffd_hide(uffd, self->mem, LEN, false));
	ASSERT_EQ(0, svm_wait(self->q, seqno, NULL)) TH_LOG("%s", svm_why());
	IS_PATTERN(self->mem, LEN, 1);
	close(uffd);
}
#endif

static int64_t uffd_move(int uffd, void *to, void *from, size_t len)
{
	struct uffdio_move arg = {
		.dst = svm_addr(to), .src = svm_addr(from), .len = len,
	};

	return ioctl(uffd, UFFDIO_MOVE, &arg) ? -errno : arg.move;
}

SVM_TEST(walk, userfaultfd_moves_pages)
{
	char *to = map_len(_metadata, LEN, variant->huge);
	char *mem = self->mem;
	int uffd;

	uffd = uffd_watch(_metadata, UFFD_FEATURE_MOVE,
			  to, LEN, UFFDIO_REGISTER_MODE_MISSING);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	FILL_AND_PUT(1);
	ASSERT_EQ(LEN, uffd_move(uffd, to, mem, LEN));
	COUNT_AT(LEN / self->page, self->place, to, LEN);
	RUN(self->q, svm_add(to, LEN, 0));
	IS_PATTERN(to, LEN, 1);
	IS_VALUE(mem, LEN, 0);

	/* A part, which splits a huge page; its pages go to where there are none */
	ASSERT_EQ(0, madvise(to, LEN, MADV_DONTNEED));
	ASSERT_EQ(0, madvise(mem, LEN, MADV_DONTNEED));
	FILL_AND_PUT(2);
	ASSERT_EQ(PART_LEN, uffd_move(uffd, to + PART, mem + PART, PART_LEN));
	COUNT_AT(PART_LEN / self->page, self->place, to + PART, PART_LEN);
	close(uffd);
	for (size_t w = 0; w < PART_LEN / 8; w++)
		ASSERT_EQ(svm_pattern_word(2, PART / 8 + w),
			  ((uint64_t *)(to + PART))[w]);
	IS_VALUE(mem + PART, PART_LEN, 0);
	IS_PATTERN(mem, PART, 2);
}

/* What has a page is not missing any */
SVM_TEST(walk, userfaultfd_fills_no_pages)
{
	char *other = map_len(_metadata, LEN, variant->huge);
	struct uffdio_copy copy = {
		.dst = svm_addr(self->mem + PART), .src = svm_addr(other),
		.len = self->page,
	};
	struct uffdio_zeropage zero = {
		.range = { svm_addr(self->mem + PART), self->page },
	};
	int uffd;

	svm_pattern_fill(other, LEN, 2);
	FILL_AND_PUT(1);
	uffd = uffd_watch(_metadata, UFFD_FEATURE_MOVE,
			  self->mem, LEN, UFFDIO_REGISTER_MODE_MISSING);
	if (uffd < 0)
		SKIP(return, "no such userfaultfd: %s", strerror(errno));
	ASSERT_EQ(-1, ioctl(uffd, UFFDIO_COPY, &copy));
	EXPECT_EQ(EEXIST, errno);
	ASSERT_EQ(-1, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(-EEXIST, uffd_move(uffd, self->mem, other, LEN));
	EXPECT_EQ(-EEXIST, uffd_move(uffd, self->mem + PART, other, self->page));
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	IS_PATTERN(self->mem, LEN, 1);
	IS_PATTERN(other, LEN, 2);
	close(uffd);
}

TEST_HARNESS_MAIN
