// SPDX-License-Identifier: GPL-2.0
/*
 * What a device writes is never lost, whatever the memory is and whatever the
 * process and the kernel did with it before: each kind of memory is brought into
 * a state in which the CPU may write to it although it is clean, the device writes,
 * and the memory is paged out, written back or looked at by another way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "svm_fuse.h"
#include "svm_harness.h"

#define LEN	(256 * KB)
#define RW	(PROT_READ | PROT_WRITE)

#ifndef __maybe_unused
#define __maybe_unused	__attribute__((__unused__))
#endif

/**
 * struct kind - A kind of memory
 *
 * @map: Map LEN bytes of it; returns a reason if that can't be had here
 * @clean: Bring it into a state in which it is clean, but the CPU may write
 */
struct kind {
	const char *(*map)(int *fd, char **mem);
	const char *(*clean)(int fd, char *mem);
};

static const char *map_file(int fd, char **mem, int flags)
{
	*mem = MAP_FAILED;
	if (fd >= 0 && !ftruncate(fd, LEN))
		*mem = mmap(NULL, LEN, RW, flags, fd, 0);

	return *mem == MAP_FAILED ? "no file to map" : NULL;
}

static const char *map_memfd(int *fd, char **mem)
{
	*fd = memfd_create("svm", MFD_CLOEXEC);

	return map_file(*fd, mem, MAP_SHARED);
}

static const char *map_tmpfs(int *fd, char **mem)
{
	*fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return *fd < 0 ? "no tmpfs" : map_file(*fd, mem, MAP_SHARED);
}

static int open_on_disk(void)
{
	const char *dir = getenv("SVM_DISK");

	return dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
}

static const char *map_disk(int *fd, char **mem)
{
	*fd = open_on_disk();

	return *fd < 0 ? "no SVM_DISK" : map_file(*fd, mem, MAP_SHARED);
}

static const char *map_private_disk(int *fd, char **mem)
{
	*fd = open_on_disk();

	return *fd < 0 ? "no SVM_DISK" : map_file(*fd, mem, MAP_PRIVATE);
}

static const char *map_shared(int *fd, char **mem)
{
	*fd = -1;
	*mem = mmap(NULL, LEN, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return *mem == MAP_FAILED ? "no memory" : NULL;
}

static const char *map_anonymous(int *fd, char **mem)
{
	*fd = -1;
	*mem = svm_map(LEN, RW);
	if (*mem)
		madvise(*mem, LEN, MADV_NOHUGEPAGE);

	return *mem ? NULL : "no memory";
}

static void read_all(const char *mem)
{
	for (size_t i = 0; i < LEN; i += 512)
		(void)*(const volatile char *)(mem + i);
}

static const char *clean_by_reading(int fd __maybe_unused, char *mem)
{
	read_all(mem);

	return NULL;
}

static const char *page_out(char *mem)
{
	if (!svm_want_swap())
		return "no swap";

	return svm_page_out(mem, LEN) ? NULL : "no MADV_PAGEOUT";
}

/* Once out, and in again for a read, there is a clean copy in the swap cache. */
static const char *clean_by_swapping(int fd __maybe_unused, char *mem)
{
	const char *why;

	svm_pattern_fill(mem, LEN, 7);
	why = page_out(mem);
	read_all(mem);

	return why;
}

static const char *clean_by_freeing(int fd __maybe_unused, char *mem)
{
	svm_pattern_fill(mem, LEN, 7);

	return madvise(mem, LEN, MADV_FREE) ? "no MADV_FREE" : NULL;
}

static const char *clean_by_writeback(int fd, char *mem)
{
	svm_pattern_fill(mem, LEN, 7);
	if (fsync(fd))
		return "no fsync()";
	read_all(mem);

	return NULL;
}

/* A child has had it, so that it was write-protected, and is gone. */
static const char *clean_by_forking(int fd, char *mem)
{
	pid_t pid;

	clean_by_swapping(fd, mem);
	pid = fork();
	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	read_all(mem);

	return NULL;
}

/* Returns why it can't be had. */
static const char *make_kind(const struct kind *kind, int *fd, char **mem)
{
	const char *why = kind->map(fd, mem);

	return why ? why : kind->clean(*fd, *mem);
}

FIXTURE(memory)
{
	struct svm svm;
	struct svm_queue *q;
	int fd;
	char *mem;
};

FIXTURE_VARIANT(memory) { struct kind kind; };

FIXTURE_VARIANT_ADD(memory, memfd) {{ map_memfd, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, memfd_swapped) {{ map_memfd, clean_by_swapping }};
FIXTURE_VARIANT_ADD(memory, tmpfs) {{ map_tmpfs, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, shared) {{ map_shared, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, shared_swapped) {{ map_shared, clean_by_swapping }};
FIXTURE_VARIANT_ADD(memory, anonymous) {{ map_anonymous, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, anonymous_swapped) {{ map_anonymous, clean_by_swapping }};
FIXTURE_VARIANT_ADD(memory, anonymous_freed) {{ map_anonymous, clean_by_freeing }};
FIXTURE_VARIANT_ADD(memory, anonymous_forked) {{ map_anonymous, clean_by_forking }};
FIXTURE_VARIANT_ADD(memory, disk) {{ map_disk, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, disk_written_back) {{ map_disk, clean_by_writeback }};
FIXTURE_VARIANT_ADD(memory, private_disk) {{ map_private_disk, clean_by_reading }};
FIXTURE_VARIANT_ADD(memory, private_disk_swapped) {{ map_private_disk, clean_by_swapping }};

FIXTURE_SETUP(memory)
{
	const char *why;

	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
	why = make_kind(&variant->kind, &self->fd, &self->mem);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(memory)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* However it is lost: by reclaim, at once and once more after a read */
SVM_TEST(memory, device_writes_survive_reclaim)
{
	const char *why;

	RUN(self->q, svm_fill(self->mem, LEN, 42));
	why = page_out(self->mem);
	if (why)
		SKIP(return, "%s", why);
	IS_VALUE(self->mem, LEN, 42);
	ASSERT_EQ(NULL, page_out(self->mem));
	SUMS_TO(42 * LEN / 8, self->q, self->mem, LEN);
	RUN(self->q, svm_add(self->mem, LEN, 1));
	ASSERT_EQ(NULL, page_out(self->mem));
	IS_VALUE(self->mem, LEN, 43);
}

/* The device reads first, so that it has a mapping for reading */
SVM_TEST(memory, device_writes_after_reads_survive_reclaim)
{
	struct svm_outcome out;

	ASSERT_EQ(0, svm_run(self->q, svm_sum(self->mem, LEN), &out));
	RUN(self->q, svm_fill(self->mem, LEN, 42));
	if (page_out(self->mem))
		SKIP(return, "no swap");
	IS_VALUE(self->mem, LEN, 42);
}

/* A part that became read-only is refused alone, and keeps what is in it */
SVM_TEST(memory, write_beside_read_only_memory)
{
	size_t half = LEN / 2;

	RUN(self->q, svm_fill(self->mem, LEN, 42));
	ASSERT_EQ(0, mprotect(self->mem, half, PROT_READ));
	RUN(self->q, svm_fill(self->mem + half, half, 43));
	RUN_FAILS(-EPERM, self->mem, self->q, svm_fill(self->mem, half, 44));
	SUMS_TO(42 * half / 8 + 43 * half / 8, self->q, self->mem, LEN);
	RUN(self->q, svm_add(self->mem + half, half, 1));
	IS_VALUE(self->mem, half, 42);
	IS_VALUE(self->mem + half, half, 44);
}

/*
 * Files
 */

FIXTURE(shared_file)
{
	struct svm svm;
	struct svm_queue *q;
	int fd;
	char *mem;
};

FIXTURE_VARIANT(shared_file) { struct kind kind; };

FIXTURE_VARIANT_ADD(shared_file, memfd) {{ map_memfd, clean_by_reading }};
FIXTURE_VARIANT_ADD(shared_file, memfd_swapped) {{ map_memfd, clean_by_swapping }};
FIXTURE_VARIANT_ADD(shared_file, tmpfs) {{ map_tmpfs, clean_by_reading }};
FIXTURE_VARIANT_ADD(shared_file, disk) {{ map_disk, clean_by_reading }};
FIXTURE_VARIANT_ADD(shared_file, disk_written_back) {{ map_disk, clean_by_writeback }};

FIXTURE_SETUP(shared_file)
{
	const char *why;

	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
	why = make_kind(&variant->kind, &self->fd, &self->mem);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(shared_file)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* Nobody maps it any more, and what can be read again from a disk is */
static void file_has(struct __test_metadata *_metadata, int fd, char *mem, uint64_t value)
{
	uint64_t words[512];

	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, munmap(mem, LEN));
	svm_write_file("/proc/sys/vm/drop_caches", "3");
	for (off_t at = 0; at < (off_t)LEN; at += sizeof(words)) {
		ASSERT_EQ(sizeof(words), pread(fd, words, sizeof(words), at));
		IS_VALUE(words, sizeof(words), value);
	}
}

/* What is in a file is there for all who look at it */
SVM_TEST(shared_file, has_what_the_device_wrote)
{
	RUN(self->q, svm_fill(self->mem, LEN, 42));
	file_has(_metadata, self->fd, self->mem, 42);
}

/* Writeback makes it clean again; the next write counts as the first did */
SVM_TEST(shared_file, has_what_the_device_wrote_after_writeback)
{
	for (int value = 1; value < 4; value++) {
		RUN(self->q, svm_fill(self->mem, LEN, value));
		ASSERT_EQ(0, fsync(self->fd));
		svm_write_file("/proc/sys/vm/drop_caches", "1");
	}
	file_has(_metadata, self->fd, self->mem, 3);
}

/*
 * Memory that can't be reached, or that can although it should not
 */

FIXTURE(reach)
{
	struct svm svm;
	struct svm_queue *q;
};

FIXTURE_SETUP(reach)
{
	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(reach)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/*
 * The kernel does not reach it, and a device that is made of software neither: it says
 * so, and goes on with what it can
 */
SVM_TEST(reach, secret_memory_is_refused)
{
	int fd = syscall(__NR_memfd_secret, 0);
	char *mem, *other = svm_map(LEN, PROT_READ | PROT_WRITE);

	if (fd < 0)
		SKIP(return, "no secret memory");
	ASSERT_EQ(0, ftruncate(fd, LEN));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	svm_pattern_fill(mem, LEN, 1);
	RUN_FAILS(-EFAULT, mem, self->q, svm_fill(mem, LEN, 2));
	RUN_FAILS(-EFAULT, mem, self->q, svm_copy(other, mem, LEN));
	RUN_FAILS(-EFAULT, mem, self->q, svm_add(mem, LEN, 2));
	RUN(self->q, svm_fill(other, LEN, 3));
	IS_VALUE(other, LEN, 3);
	IS_PATTERN(mem, LEN, 1);
	munmap(other, LEN);
	munmap(mem, LEN);
	close(fd);
}

static bool cpu_reads(char *mem)
{
	uint64_t word;
	struct iovec here = { &word, sizeof(word) }, there = { mem, sizeof(word) };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(word);
}

/* A device gets as far behind the end of a file as the CPU does, and finds zeroes */
static void read_behind_the_end(struct __test_metadata *_metadata, struct svm_queue *q,
				bool collapse)
{
	int fd = memfd_create("svm", MFD_CLOEXEC);
	char *mem = svm_map_aligned(SVM_PMD_SIZE, SVM_PMD_SIZE);
	size_t page = svm_page_size(), end = 317 * page, behind = 324 * page;
	struct svm_outcome out;
	int err;

	ASSERT_EQ(0, ftruncate(fd, SVM_PMD_SIZE));
	ASSERT_EQ(mem, mmap(mem, SVM_PMD_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, fd, 0));
	svm_pattern_fill(mem, SVM_PMD_SIZE, 4);
	ASSERT_EQ(0, ftruncate(fd, end));
	if (collapse)
		WAIT_FOR(!madvise(mem, SVM_PMD_SIZE, MADV_COLLAPSE) || errno != EAGAIN);

	for (unsigned int i = 0; i < 2; i++) {
		bool before = cpu_reads(mem + behind);

		err = svm_run(q, svm_sum(mem + behind, page), &out);
		/* Reclaim may have come in between */
		if (cpu_reads(mem + behind) == before)
			EXPECT_EQ(before ? 0 : -EFAULT, err);
		if (!err)
			EXPECT_EQ(0, out.result);
		RUN(q, svm_fill(mem, end, i + 1));
		IS_VALUE(mem, end, i + 1);
	}
	ASSERT_EQ(0, ftruncate(fd, SVM_PMD_SIZE));
	RUN(q, svm_add(mem + behind, SVM_PMD_SIZE - behind, 5));
	IS_VALUE(mem + behind, SVM_PMD_SIZE - behind, 5);
	munmap(mem, SVM_PMD_SIZE);
	close(fd);
}

SVM_TEST(reach, end_of_a_file_in_small_pages)
{
	read_behind_the_end(_metadata, self->q, false);
}

/* tmpfs maps the whole of a huge page */
SVM_TEST(reach, end_of_a_file_in_a_huge_page)
{
	read_behind_the_end(_metadata, self->q, true);
}

/*
 * A page whose neighbours wait for a server that says nothing is used all the same, in
 * any kind of mapping and by any access. The process can be killed.
 */
static void read_beside_silence(struct __test_metadata *_metadata, struct svm_queue *q,
				int prot, int flags)
{
	struct svm_fuse fuse;
	char *mem;
	int fd;

	if (!svm_fuse_mount(&fuse, LEN, LEN / 2))
		SKIP(return, "no FUSE: %s", strerror(errno));
	fd = open(fuse.path, (flags & MAP_SHARED) && (prot & PROT_WRITE) ? O_RDWR : O_RDONLY);
	ASSERT_LE(0, fd);
	mem = mmap(NULL, LEN, prot, flags, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);

	SUMS_TO(svm_fuse_sum(&fuse), q, mem, fuse.given);
	if (prot & PROT_WRITE) {
		RUN(q, svm_fill(mem, fuse.given, 1));
		IS_VALUE(mem, fuse.given, 1);
	}
	EXPECT_EQ(0, fuse.asked);
	svm_fuse_unmount(&fuse);
	munmap(mem, LEN);
	close(fd);
}

SVM_TEST(reach, silent_file_beside_a_page)
{
	read_beside_silence(_metadata, self->q, PROT_READ, MAP_SHARED);
	read_beside_silence(_metadata, self->q, PROT_READ, MAP_PRIVATE);
	read_beside_silence(_metadata, self->q, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	read_beside_silence(_metadata, self->q, PROT_READ | PROT_WRITE, MAP_SHARED);
}

TEST_HARNESS_MAIN
