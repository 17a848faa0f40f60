// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds of memory that a process shares with a GPU that has the xe driver: what the
 * GPU writes is never lost, pages that can't be had are in nobody's way, and neither
 * is a process that doesn't answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/falloc.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#ifndef MADV_FREE
#define MADV_FREE	8
#endif

/* One range of the driver's */
#define LEN	SVM_PMD_SIZE
/* Few enough to be paged out at once */
#define SMALL	(256UL << 10)
#define RW	(PROT_READ | PROT_WRITE)
#define TEST_SECONDS	120

FIXTURE(memory)
{
	struct xe_gpu gpu;
	struct xe_queue *copy, *compute;
	char *seen;
	size_t page;
};

FIXTURE_SETUP(memory)
{
	int err = xe_open(&self->gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	self->copy = &self->gpu.queue[XE_COPY];
	self->compute = &self->gpu.queue[XE_COMPUTE];
	self->page = svm_page_size();
	self->seen = svm_map_aligned(LEN, LEN);
	ASSERT_NE(NULL, self->seen);
}

FIXTURE_TEARDOWN(memory)
{
	munmap(self->seen, LEN);
	xe_close(&self->gpu);
}

#define MEMORY_TEST(name)	TEST_F_TIMEOUT(memory, name, TEST_SECONDS)

#define GPU_FILLS(mem, byte, len) do {					\
	xe_emit_fill(self->copy, mem, byte, len);			\
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());	\
} while (0)

/* The GPU reads; what it sees is in self->seen */
#define GPU_READS(mem, len) do {					\
	xe_emit_copy(self->copy, self->seen, mem, len);			\
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());	\
} while (0)

static uint64_t word_of(uint8_t byte)
{
	return 0x0101010101010101 * byte;
}

#define IS_FILLED(mem, byte, len) \
	ASSERT_EQ(-1, svm_value_check(mem, len, word_of(byte)))

#define GPU_SEES(mem, byte, len) do {					\
	GPU_READS(mem, len);						\
	IS_FILLED(self->seen, byte, len);				\
} while (0)

static char *map_shared(int fd, size_t len)
{
	char *mem = mmap(NULL, len, RW, MAP_SHARED, fd, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static int memory_file(size_t len)
{
	int fd = memfd_create("xe_memory", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Aligned so that all of it may be one range */
static char *map_file_aligned(int fd)
{
	char *mem = svm_map_aligned(LEN, LEN);

	if (!mem)
		return NULL;
	mem = mmap(mem, LEN, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

/*
 * What the GPU wrote is there after reclaim, whoever used the memory before
 */

/* First the CPU or the GPU reads, so that nothing looks as if it were written to */
static int read_first(struct xe_queue *copy, char *seen, char *mem, bool cpu)
{
	for (size_t i = 0; cpu && i < SMALL; i += 512)
		*(volatile char *)(mem + i);
	xe_emit_copy(copy, seen, mem, SMALL);
	return xe_run(copy);
}

#define SWAP_OUT(mem)	ASSERT_TRUE(svm_swap_out(mem, SMALL))

MEMORY_TEST(shared_memory_is_paged_out)
{
	if (!svm_want_swap())
		SKIP(return, "no swap");
	for (int cpu = 0; cpu < 2; cpu++) {
		int fd = memory_file(SMALL);
		char *mem = map_shared(fd, SMALL);

		ASSERT_NE(NULL, mem);
		ASSERT_EQ(0, read_first(self->copy, self->seen, mem, cpu));
		GPU_FILLS(mem, 7, SMALL);
		SWAP_OUT(mem);
		IS_FILLED(mem, 7, SMALL);
		/* It comes back for reading, and is written to again */
		SWAP_OUT(mem);
		ASSERT_EQ(0, read_first(self->copy, self->seen, mem, cpu));
		IS_FILLED(self->seen, 7, SMALL);
		GPU_FILLS(mem, 8, SMALL);
		SWAP_OUT(mem);
		IS_FILLED(mem, 8, SMALL);
		munmap(mem, SMALL);
		close(fd);
	}
}

MEMORY_TEST(anonymous_memory_is_paged_out)
{
	char *mem = svm_map(SMALL, RW);

	if (!svm_want_swap())
		SKIP(return, "no swap");
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, SMALL, self->gpu.system));
	for (uint8_t i = 1; i < 5; i++) {
		ASSERT_EQ(0, read_first(self->copy, self->seen, mem, i & 1));
		GPU_FILLS(mem, i, SMALL);
		SWAP_OUT(mem);
		IS_FILLED(mem, i, SMALL);
		SWAP_OUT(mem);
	}
}

/* Memory that the CPU has no use for any more, and the GPU writes to */
MEMORY_TEST(freed_memory_is_written_to)
{
	char *mem = svm_map(SMALL, RW);

	if (!svm_want_swap())
		SKIP(return, "no swap");
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, SMALL, self->gpu.system));
	for (int gpu_first = 0; gpu_first < 2; gpu_first++) {
		memset(mem, 1, SMALL);
		if (gpu_first)
			GPU_SEES(mem, 1, SMALL);
		ASSERT_EQ(0, madvise(mem, SMALL, MADV_FREE));
		GPU_FILLS(mem, 7, SMALL);
		SWAP_OUT(mem);
		IS_FILLED(mem, 7, SMALL);
	}
}

static int file_on_disk(size_t len)
{
	char name[256];
	const char *dir = getenv("SVM_DISK");
	int fd;

	if (!dir)
		return -ENOENT;
	snprintf(name, sizeof(name), "%s/xe_memory_XXXXXX", dir);
	fd = mkstemp(name);
	if (fd < 0)
		return -errno;
	unlink(name);
	for (size_t i = 0; i < len; i += 4096) {
		char block[4096];

		memset(block, 1, sizeof(block));
		if (pwrite(fd, block, sizeof(block), i) != sizeof(block))
			return -EIO;
	}
	return fsync(fd) ? -errno : fd;
}

/* The file system has to learn of the write, else the disk does not */
MEMORY_TEST(file_reaches_the_disk)
{
	int fd = file_on_disk(SMALL);
	char *mem, *disk;

	if (fd == -ENOENT)
		SKIP(return, "no SVM_DISK");
	ASSERT_LE(0, fd);
	mem = map_shared(fd, SMALL);
	ASSERT_NE(NULL, mem);
	disk = svm_map(SMALL, RW);
	for (uint8_t i = 2; i < 6; i++) {
		ASSERT_EQ(0, read_first(self->copy, self->seen, mem, i & 1));
		IS_FILLED(self->seen, i - 1, SMALL);
		GPU_FILLS(mem, i, SMALL);
		ASSERT_EQ(0, msync(mem, SMALL, MS_SYNC));
		/* Not dirty and not mapped: what is read comes from the disk */
		ASSERT_EQ(0, madvise(mem, SMALL, MADV_DONTNEED));
		ASSERT_EQ(0, posix_fadvise(fd, 0, SMALL, POSIX_FADV_DONTNEED));
		ASSERT_EQ(SMALL, pread(fd, disk, SMALL, 0));
		IS_FILLED(disk, i, SMALL);
	}
	close(fd);
}

/*
 * Pages that can't be had
 */

MEMORY_TEST(write_beside_memory_for_reading)
{
	char *mem = svm_map_aligned(LEN, LEN);

	ASSERT_NE(NULL, mem);
	memset(mem, 1, LEN);
	for (int part = 0; part < 2; part++) {
		char *write = mem + !part * LEN / 2, *read = mem + part * LEN / 2;

		GPU_FILLS(mem, 3, LEN);
		ASSERT_EQ(0, mprotect(read, LEN / 2, PROT_READ));
		GPU_FILLS(write, 4, LEN / 2);
		GPU_SEES(read, 3, LEN / 2);
		IS_FILLED(write, 4, LEN / 2);
		ASSERT_EQ(0, mprotect(read, LEN / 2, RW));
		GPU_FILLS(read, 5, LEN / 2);
		IS_FILLED(read, 5, LEN / 2);
	}
}

/* Each second page can only be read, within all sizes that entries can have */
MEMORY_TEST(pages_for_reading_in_between)
{
	char *mem = svm_map_aligned(LEN, LEN);
	const size_t n = 64;

	ASSERT_NE(NULL, mem);
	memset(mem, 1, LEN);
	GPU_FILLS(mem, 2, LEN);
	for (size_t i = 0; i < n; i += 2)
		ASSERT_EQ(0, mprotect(mem + i * self->page, self->page, PROT_READ));
	for (size_t i = 1; i < n; i += 2)
		GPU_FILLS(mem + i * self->page, 3, self->page);
	GPU_READS(mem, n * self->page);
	for (size_t i = 0; i < n; i++)
		IS_FILLED(self->seen + i * self->page, i & 1 ? 3 : 2, self->page);
	GPU_SEES(mem + n * self->page, 2, LEN - n * self->page);
	GPU_FILLS(mem + n * self->page, 4, LEN - n * self->page);
}

/* In a process of its own, whose queue is lost */
static int child_fails(char *mem, size_t len)
{
	struct xe_gpu gpu;
	int err = xe_open(&gpu);

	if (err)
		return 2;
	xe_emit_fill(&gpu.queue[XE_COPY], mem, 9, len);
	return xe_run(&gpu.queue[XE_COPY]) ? 0 : 1;
}

static int status_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
	       WEXITSTATUS(status) : -1;
}

/* A write that is not allowed fails, and changes nothing, on either side of one that is */
MEMORY_TEST(write_to_memory_for_reading)
{
	int fd = memory_file(LEN);
	char *mem = map_file_aligned(fd);
	pid_t pid;

	ASSERT_NE(NULL, mem);
	memset(mem, 1, LEN);
	ASSERT_EQ(0, mprotect(mem, LEN / 2, PROT_READ));
	pid = fork();
	if (!pid)
		_exit(child_fails(mem + LEN / 4, self->page));
	ASSERT_EQ(0, status_of(pid));
	GPU_FILLS(mem + LEN / 2, 2, LEN / 2);
	IS_FILLED(mem, 1, LEN / 2);
	IS_FILLED(mem + LEN / 2, 2, LEN / 2);
}

MEMORY_TEST(end_of_a_file)
{
	int fd = memory_file(3 * self->page);
	char *mem = map_file_aligned(fd);
	pid_t pid;

	ASSERT_NE(NULL, mem);
	GPU_FILLS(mem, 1, 3 * self->page);
	IS_FILLED(mem, 1, 3 * self->page);
	pid = fork();
	if (!pid)
		_exit(child_fails(mem + 4 * self->page, self->page));
	ASSERT_EQ(0, status_of(pid));
	GPU_FILLS(mem, 2, 3 * self->page);

	/* It grows, shrinks and grows again */
	ASSERT_EQ(0, ftruncate(fd, LEN));
	GPU_FILLS(mem, 3, LEN);
	ASSERT_EQ(0, ftruncate(fd, 5 * self->page));
	GPU_SEES(mem, 3, 5 * self->page);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	GPU_SEES(mem + 5 * self->page, 0, LEN - 5 * self->page);
	GPU_FILLS(mem, 4, LEN);
	IS_FILLED(mem, 4, LEN);
}

MEMORY_TEST(holes_are_punched)
{
	int fd = memory_file(LEN);
	char *mem = map_file_aligned(fd);
	const size_t at = 100 * self->page, len = 40 * self->page;

	ASSERT_NE(NULL, mem);
	for (uint8_t i = 1; i < 4; i++) {
		GPU_FILLS(mem, i, LEN);
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       at, len));
		GPU_SEES(mem + at, 0, len);
		IS_FILLED(mem, i, at);
		IS_FILLED(mem + at + len, i, LEN - at - len);
		GPU_FILLS(mem + at, 10, len);
		IS_FILLED(mem + at, 10, len);
	}
}

/* Each process writes to its own copy, the parent by the GPU */
MEMORY_TEST(copies_after_fork)
{
	char *mem = svm_map_aligned(LEN, LEN);
	int go[2];
	char byte;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	GPU_FILLS(mem, 1, LEN);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 1 ||
		    svm_value_check(mem, LEN, word_of(1)) != -1)
			_exit(1);
		memset(mem, 3, LEN);
		_exit(0);
	}
	close(go[0]);
	GPU_SEES(mem, 1, LEN);
	GPU_FILLS(mem, 2, LEN / 2);
	ASSERT_EQ(1, write(go[1], "x", 1));
	ASSERT_EQ(0, status_of(pid));
	IS_FILLED(mem, 2, LEN / 2);
	GPU_SEES(mem + LEN / 2, 1, LEN / 2);
	GPU_FILLS(mem, 4, LEN);
	IS_FILLED(mem, 4, LEN);
}

/*
 * A read of what may be written is no reason for a second fault
 */
MEMORY_TEST(read_then_write_faults_once)
{
	char *mem = svm_map_aligned(LEN, LEN);
	struct xe_stats before, after;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, LEN, self->gpu.system));
	memset(mem, 1, LEN);
	/* Its own memory comes first */
	xe_emit_add(self->compute, (uint64_t *)self->seen, 1);
	ASSERT_EQ(0, xe_run(self->compute));

	ASSERT_EQ(0, xe_stats(&self->gpu, &before));
	xe_emit_add(self->compute, (uint64_t *)mem, 5);
	ASSERT_EQ(0, xe_run(self->compute)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	xe_stats_sub(&after, &before);
	EXPECT_GE(1, after.faults);
	EXPECT_EQ(0, after.tlb_invalidations);
	ASSERT_EQ(word_of(1) + 5, *(uint64_t *)mem);
}

/* What was read and then prefetched is there for writing */
MEMORY_TEST(prefetch_after_read)
{
	char *mem = svm_map_aligned(LEN, LEN);
	struct xe_stats before, after;

	ASSERT_NE(NULL, mem);
	/* Zero pages: the first write has to make room */
	GPU_SEES(mem, 0, LEN);
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, LEN, self->gpu.system));
	ASSERT_EQ(0, xe_stats(&self->gpu, &before));
	GPU_FILLS(mem, 5, LEN);
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	EXPECT_EQ(before.faults, after.faults);
	IS_FILLED(mem, 5, LEN);
}

/* A prefetch leaves out what the CPU may not read, and nothing else */
MEMORY_TEST(prefetch_past_memory_that_cannot_be_read)
{
	char *mem = svm_map_aligned(3 * LEN, LEN);
	struct xe_stats before, after;

	ASSERT_NE(NULL, mem);
	memset(mem, 1, 3 * LEN);
	ASSERT_EQ(0, mprotect(mem + LEN, LEN, PROT_WRITE));
	ASSERT_EQ(0, xe_stats(&self->gpu, &before));
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, 3 * LEN, self->gpu.vram))
		TH_LOG("%s", svm_why());
	GPU_FILLS(mem, 2, LEN);
	GPU_FILLS(mem + 2 * LEN, 3, LEN);
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	xe_stats_sub(&after, &before);
	EXPECT_EQ(0, after.faults);
	EXPECT_LE(2 * LEN >> 10, after.kb_in);

	ASSERT_EQ(0, mprotect(mem + LEN, LEN, RW));
	IS_FILLED(mem, 2, LEN);
	IS_FILLED(mem + LEN, 1, LEN);
	IS_FILLED(mem + 2 * LEN, 3, LEN);
}

/*
 * Memory goes where it is asked to go, although a part of it was elsewhere
 */

/* All is in VRAM but what the CPU has fetched since; the GPU has that from RAM */
#define LEAVE_PART_IN_RAM(mem) do {					\
	ASSERT_NE(NULL, mem);						\
	ASSERT_EQ(0, madvise(mem, LEN, MADV_NOHUGEPAGE));		\
	memset(mem, 1, LEN);						\
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, LEN, self->gpu.system));	\
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, LEN, self->gpu.vram));	\
	ASSERT_EQ(1, *(volatile char *)mem);				\
	GPU_FILLS(mem, 2, self->page);					\
} while (0)

MEMORY_TEST(prefetch_moves_the_rest)
{
	char *mem = svm_map_aligned(LEN, LEN);
	struct xe_stats before, after;

	LEAVE_PART_IN_RAM(mem);
	ASSERT_EQ(0, xe_stats(&self->gpu, &before));
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, LEN, self->gpu.vram))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	xe_stats_sub(&after, &before);
	EXPECT_LE(self->page >> 10, after.kb_in);
	IS_FILLED(mem, 2, self->page);
	IS_FILLED(mem + self->page, 1, LEN - self->page);
}

MEMORY_TEST(advice_moves_the_rest)
{
	char *mem = svm_map_aligned(LEN, LEN);
	struct xe_stats before, after;

	LEAVE_PART_IN_RAM(mem);
	ASSERT_EQ(0, xe_stats(&self->gpu, &before));
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, LEN, self->gpu.vram));
	GPU_FILLS(mem + LEN / 2, 3, self->page);
	GPU_FILLS(mem, 4, self->page);
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	xe_stats_sub(&after, &before);
	EXPECT_LE(self->page >> 10, after.kb_in);
	IS_FILLED(mem, 4, self->page);
	IS_FILLED(mem + self->page, 1, LEN / 2 - self->page);
	IS_FILLED(mem + LEN / 2, 3, self->page);
}

/* What was swapped out moves to VRAM, by one prefetch or one fault */
MEMORY_TEST(swapped_out_memory_moves)
{
	struct xe_stats before, after;
	int prefetch;

	if (!svm_want_swap())
		SKIP(return, "no swap");
	for (prefetch = 0; prefetch < 2; prefetch++) {
		char *mem = svm_map_aligned(SMALL, LEN);

		ASSERT_NE(NULL, mem);
		memset(mem, 1, SMALL);
		SWAP_OUT(mem);
		ASSERT_EQ(0, xe_stats(&self->gpu, &before));
		if (prefetch) {
			ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, SMALL, self->gpu.vram));
		} else {
			GPU_FILLS(mem, 2, SMALL);
		}
		ASSERT_EQ(0, xe_stats(&self->gpu, &after));
		xe_stats_sub(&after, &before);
		EXPECT_LE(SMALL >> 10, after.kb_in);
		IS_FILLED(mem, 2 - prefetch, SMALL);
	}
}

/*
 * Mirrors, buffer objects, and lists of binds
 */

#define BIND(...) do {							\
	const struct xe_bind binds_[] = { __VA_ARGS__ };		\
									\
	ASSERT_EQ(0, xe_bind(&self->gpu, binds_, ARRAY_SIZE(binds_)))	\
		TH_LOG("%s", svm_why());				\
} while (0)

#define UNBIND(m, l)	{ .what = XE_UNBIND, .mem = (m), .len = (l) }
#define MIRROR(m, l)	{ .what = XE_BIND_MIRROR, .mem = (m), .len = (l) }
#define OBJECT(o, m, l)	{ .what = XE_BIND_OBJECT, .mem = (m), .len = (l), .object = (o) }
#define PREFETCH(m, l, r) { .what = XE_PREFETCH, .mem = (m), .len = (l), .region = (r) }

/* The GPU has the object there, and not the memory */
#define GPU_FILLS_OBJECT(object, mem) do {				\
	BIND(OBJECT(object, mem, LEN));					\
	GPU_FILLS(mem, 9, LEN);						\
} while (0)

/* The GPU has the memory there, and not the object any more */
#define GPU_HAS_MEMORY_AGAIN(mem, byte) do {				\
	BIND(MIRROR(mem, LEN));						\
	GPU_FILLS(mem, byte, LEN);					\
	IS_FILLED(mem, byte, LEN);					\
} while (0)

/* Other memory at the same place, which the GPU has not used: only that can be unbound */
#define RENEW(mem)							\
	ASSERT_EQ(mem, mmap(mem, LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS |	\
			    MAP_FIXED, -1, 0))

/* The object is gone although what the list prefetches is behind the end of a file */
MEMORY_TEST(list_with_memory_that_cannot_be_had)
{
	char *mem = svm_map_aligned(LEN, LEN);
	char *behind = map_file_aligned(memory_file(0));
	uint32_t object;

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, behind);
	ASSERT_EQ(0, xe_create_object(&self->gpu, LEN, &object)) TH_LOG("%s", svm_why());
	GPU_FILLS_OBJECT(object, mem);
	BIND(UNBIND(mem, LEN), PREFETCH(behind, LEN, self->gpu.system));
	GPU_HAS_MEMORY_AGAIN(mem, 1);

	GPU_FILLS_OBJECT(object, self->seen);
	BIND(PREFETCH(behind, LEN, self->gpu.vram), UNBIND(self->seen, LEN),
	     PREFETCH(mem, LEN, self->gpu.system));
	GPU_HAS_MEMORY_AGAIN(self->seen, 2);
	IS_FILLED(mem, 1, LEN);
}

/* The mirror that is prefetched goes with the list: a later bind replaces it */
MEMORY_TEST(list_replaces_what_it_prefetches)
{
	char *mem = svm_map_aligned(2 * LEN, LEN);

	ASSERT_NE(NULL, mem);
	memset(mem, 1, 2 * LEN);
	for (unsigned int i = 0; i < 16; i++) {
		ASSERT_EQ(0, madvise(mem, LEN, MADV_DONTNEED));
		BIND(PREFETCH(mem, LEN, self->gpu.system), MIRROR(mem, LEN));
	}
	GPU_FILLS(mem, 2, LEN);
	IS_FILLED(mem, 2, LEN);
	IS_FILLED(mem + LEN, 1, LEN);
}

/* Or the list that makes the mirror fails */
MEMORY_TEST(list_fails_after_a_prefetch)
{
	char *mem = svm_map_aligned(2 * LEN, LEN), *used = mem + LEN;
	const struct xe_bind list[] = {
		MIRROR(mem, LEN), PREFETCH(mem, LEN, self->gpu.system), UNBIND(used, LEN),
	};

	ASSERT_NE(NULL, mem);
	memset(mem, 1, 2 * LEN);
	GPU_FILLS(used, 2, LEN);
	for (unsigned int i = 0; i < 16; i++) {
		BIND(UNBIND(mem, LEN));
		ASSERT_EQ(-EBUSY, xe_bind(&self->gpu, list, ARRAY_SIZE(list)));
		BIND(MIRROR(mem, LEN));
		RENEW(mem);
	}
	GPU_FILLS(mem, 3, 2 * LEN);
	IS_FILLED(mem, 3, 2 * LEN);
}

/* Beside one that is for reading only the GPU goes on to write */
MEMORY_TEST(mirror_for_reading_beside_one_for_writing)
{
	char *mem = svm_map_aligned(3 * LEN, LEN);
	const struct xe_bind read_only = {
		.what = XE_BIND_MIRROR, .mem = mem + LEN, .len = LEN, .read_only = true,
	};

	ASSERT_NE(NULL, mem);
	memset(mem, 1, 3 * LEN);
	BIND(read_only);
	GPU_FILLS(mem, 2, LEN);
	GPU_FILLS(mem + 2 * LEN, 3, LEN);
	GPU_SEES(mem + LEN, 1, LEN);
	IS_FILLED(mem, 2, LEN);
	IS_FILLED(mem + 2 * LEN, 3, LEN);
	EXPECT_EQ(3, xe_count_binds(&self->gpu, mem, 3 * LEN)) TH_LOG("%s", svm_why());
}

/* Mirrors become one where they touch, and nothing in between does */
MEMORY_TEST(page_between_mirrors)
{
	char *mem = svm_map_aligned(LEN, LEN);

	ASSERT_NE(NULL, mem);
	BIND(UNBIND(mem, 3 * self->page));
	ASSERT_EQ(0, xe_count_binds(&self->gpu, mem, 3 * self->page));
	BIND(MIRROR(mem + self->page, self->page));
	EXPECT_EQ(0, xe_count_binds(&self->gpu, mem, self->page));
	EXPECT_EQ(0, xe_count_binds(&self->gpu, mem + 2 * self->page, self->page));
	BIND(MIRROR(mem, self->page));
	BIND(MIRROR(mem + 2 * self->page, self->page));
	EXPECT_EQ(1, xe_count_binds(&self->gpu, mem, LEN));
	GPU_FILLS(mem, 1, LEN);
	IS_FILLED(mem, 1, LEN);
}

/* A prefetch is of all that is bound there, whatever comes first */
MEMORY_TEST(prefetch_of_an_object_and_memory)
{
	char *mem = svm_map_aligned(2 * LEN, LEN);
	struct xe_stats before, after;
	uint32_t object;

	ASSERT_NE(NULL, mem);
	memset(mem + LEN, 1, LEN);
	ASSERT_EQ(0, xe_create_object(&self->gpu, LEN, &object)) TH_LOG("%s", svm_why());
	BIND(OBJECT(object, mem, LEN));
	ASSERT_EQ(0, xe_stats(&self->gpu, &before)) TH_LOG("%s", svm_why());
	BIND(PREFETCH(mem, 2 * LEN, self->gpu.vram));
	GPU_FILLS(mem, 9, LEN);
	GPU_FILLS(mem + LEN, 2, LEN);
	ASSERT_EQ(0, xe_stats(&self->gpu, &after));
	xe_stats_sub(&after, &before);
	EXPECT_EQ(0, after.faults);
	EXPECT_LE(LEN >> 10, after.kb_in);
	IS_FILLED(mem + LEN, 2, LEN);
}

/* Nor is that refused where the GPU has the memory already, whatever it is divided into */
MEMORY_TEST(mirror_for_reading_where_the_gpu_has_written)
{
	char *mem = svm_map_aligned(3 * LEN, LEN), *part = mem + LEN / 2;
	const struct xe_bind read_only = {
		.what = XE_BIND_MIRROR, .mem = part, .len = 2 * LEN, .read_only = true,
	};

	ASSERT_NE(NULL, mem);
	GPU_FILLS(mem, 1, 3 * LEN);
	BIND(read_only);
	GPU_FILLS(mem, 2, LEN / 2);
	GPU_FILLS(part + 2 * LEN, 3, LEN / 2);
	GPU_SEES(part, 1, LEN);
	IS_FILLED(mem, 2, LEN / 2);
	IS_FILLED(part, 1, 2 * LEN);
	IS_FILLED(part + 2 * LEN, 3, LEN / 2);
	EXPECT_EQ(3, xe_count_binds(&self->gpu, mem, 3 * LEN)) TH_LOG("%s", svm_why());
}

/*
 * Memory that another thread has to provide, sooner or later or never
 */

struct provider {
	int uffd;
	size_t page;
	const bool *may_provide;
	bool asked, provided;
};

/* Provides nothing before it may */
static void *provide_late(void *arg)
{
	struct provider *provider = arg;
	uint64_t addr = svm_missing_page(provider->uffd);

	__atomic_store_n(&provider->asked, !!addr, __ATOMIC_RELEASE);
	while (!__atomic_load_n(provider->may_provide, __ATOMIC_ACQUIRE))
		usleep(1000);
	provider->provided = !svm_provide_zeroes(provider->uffd, addr, provider->page);
	return NULL;
}

/* The rest of a range does not wait for a page that takes its time */
MEMORY_TEST(slow_page)
{
	char *mem = svm_map_aligned(LEN, LEN), *slow;
	struct provider provider = { .page = self->page };
	bool may_provide = false;
	pthread_t thread;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, madvise(mem, LEN, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, xe_prefer(&self->gpu, mem, LEN, self->gpu.system));
	memset(mem, 1, LEN);
	slow = mem + 200 * self->page;
	ASSERT_EQ(0, madvise(slow, self->page, MADV_DONTNEED));
	provider.uffd = svm_watch_missing(mem, LEN);
	if (provider.uffd == -EPERM)
		SKIP(return, "no userfaultfd");
	ASSERT_LE(0, provider.uffd);
	provider.may_provide = &may_provide;
	ASSERT_EQ(0, pthread_create(&thread, NULL, provide_late, &provider));

	/* On both sides, near and far */
	GPU_FILLS(mem, 2, 200 * self->page);
	GPU_FILLS(slow + self->page, 3, LEN - 201 * self->page);
	GPU_FILLS(slow - self->page, 4, self->page);

	xe_emit_fill(self->copy, slow, 5, self->page);
	ASSERT_EQ(0, xe_submit(self->copy));
	while (!__atomic_load_n(&provider.asked, __ATOMIC_ACQUIRE))
		usleep(1000);
	__atomic_store_n(&may_provide, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, xe_wait(self->copy)) TH_LOG("%s", svm_why());
	pthread_join(thread, NULL);
	ASSERT_TRUE(provider.provided);
	IS_FILLED(slow, 5, self->page);
	IS_FILLED(mem, 2, 199 * self->page);
	close(provider.uffd);
}

/*
 * A process that waits for memory that never comes; @ready tells when it does. Somebody
 * else has the userfaultfd as well, so its end does not help
 */
static void stay_silent(const struct xe_gpu *gpu, int ready, int keep)
{
	char byte;

	if (!fork()) {
		close(gpu->fd);
		close(ready);
		if (read(keep, &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	if (write(ready, "x", 1) != 1)
		_exit(4);
	for (;;)
		pause();
}

/* Its job does. The job keeps its engine, so it isn't that of the others */
static void fault_in_vain(int ready, int keep)
{
	struct xe_gpu gpu;
	char *mem = svm_map(4096, RW);
	int uffd = mem ? svm_watch_missing(mem, 4096) : -1;

	if (uffd < 0 || xe_open(&gpu))
		_exit(2);
	xe_emit_add(&gpu.queue[XE_COMPUTE], (uint64_t *)mem, 1);
	if (xe_submit(&gpu.queue[XE_COMPUTE]) || !svm_missing_page(uffd))
		_exit(3);
	stay_silent(&gpu, ready, keep);
}

struct caller {
	struct xe_gpu *gpu;
	char *mem;
	pid_t tid;
};

static void *advise(void *arg)
{
	struct caller *caller = arg;

	__atomic_store_n(&caller->tid, gettid(), __ATOMIC_RELEASE);
	xe_prefer(caller->gpu, caller->mem, 4096, caller->gpu->system);
	return NULL;
}

static void *destroy_queue(void *arg)
{
	struct caller *caller = arg;

	__atomic_store_n(&caller->tid, gettid(), __ATOMIC_RELEASE);
	xe_destroy_queue(&caller->gpu->queue[XE_COMPUTE]);
	return NULL;
}

static bool is_blocked(pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		_exit(5);
	fclose(file);
	return state == 'D';
}

/* A system call of a thread is waiting for something, and not just for a moment */
static void wait_until_blocked(pid_t tid)
{
	for (unsigned int seen = 0; seen < 5; usleep(10000))
		seen = is_blocked(tid) ? seen + 1 : 0;
}

/* A thread makes a call, and waits in it */
static void wait_in_call(void *(*call)(void *), struct caller *caller)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, call, caller))
		_exit(3);
	while (!__atomic_load_n(&caller->tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	wait_until_blocked(caller->tid);
}

/* Its job does, and something has been unmapped that an ioctl has to see */
static void advise_in_vain(int ready, int keep)
{
	struct xe_gpu gpu;
	struct caller caller = { .gpu = &gpu, .mem = svm_map(4096, RW) };
	char *mem = svm_map(4096, RW), *gone = svm_map(4096, RW);
	int uffd = mem ? svm_watch_missing(mem, 4096) : -1;

	if (uffd < 0 || !gone || !caller.mem || xe_open(&gpu))
		_exit(2);
	xe_emit_fill(&gpu.queue[XE_COPY], gone, 1, 4096);
	if (xe_run(&gpu.queue[XE_COPY]))
		_exit(2);
	xe_emit_add(&gpu.queue[XE_COMPUTE], (uint64_t *)mem, 1);
	if (xe_submit(&gpu.queue[XE_COMPUTE]) || !svm_missing_page(uffd))
		_exit(3);

	munmap(gone, 4096);
	wait_in_call(advise, &caller);
	stay_silent(&gpu, ready, keep);
}

/*
 * It has lost the memory that its queue is stopped for until it is there again. A queue
 * that had nothing to do yet would not care
 */
static void wait_for_rebind(struct xe_gpu *gpu)
{
	char *mem = svm_map(4096, RW);
	int uffd;

	if (!mem)
		_exit(2);
	*mem = 1;
	uffd = svm_watch_missing(mem, 4096);
	if (uffd < 0 || xe_open_userptr(gpu, mem, 4096))
		_exit(2);
	if (madvise(mem, 4096, MADV_DONTNEED) || xe_use_userptr(gpu) ||
	    !svm_missing_page(uffd))
		_exit(3);
}

static void rebind_in_vain(int ready, int keep)
{
	struct xe_gpu gpu;

	wait_for_rebind(&gpu);
	stay_silent(&gpu, ready, keep);
}

/* And a thread destroys the queue meanwhile */
static void destroy_in_vain(int ready, int keep)
{
	struct xe_gpu gpu;
	struct caller caller = { .gpu = &gpu };

	wait_for_rebind(&gpu);
	wait_in_call(destroy_queue, &caller);
	stay_silent(&gpu, ready, keep);
}

static int others_work(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct xe_gpu gpu;
		char *mem = svm_map(4096, RW);
		int err = mem ? xe_open(&gpu) : -ENOMEM;

		if (err)
			return err;
		xe_emit_fill(&gpu.queue[XE_COPY], mem, 1, 4096);
		err = xe_run(&gpu.queue[XE_COPY]);
		xe_close(&gpu);
		munmap(mem, 4096);
		if (err)
			return err;
	}
	return 0;
}

struct silent {
	pid_t pid;
	int keep;	/* closed when it isn't needed any more */
};

/* Returns once it waits */
static int start_silent(struct silent *silent, void (*be)(int ready, int keep))
{
	int ready[2], keep[2];
	char byte;

	if (pipe(ready) || pipe(keep))
		return -errno;
	silent->pid = fork();
	if (!silent->pid) {
		close(ready[0]);
		close(keep[1]);
		be(ready[1], keep[0]);
	}
	close(ready[1]);
	close(keep[0]);
	silent->keep = keep[1];
	return read(ready[0], &byte, 1) == 1 ? 0 : -ECHILD;
}

/* Returns after how many milliseconds it is gone */
static int kill_silent(const struct silent *silent)
{
	uint64_t begin = svm_now_ns(), deadline = svm_deadline_ms(10000);

	if (kill(silent->pid, SIGKILL))
		return -errno;
	while (!waitpid(silent->pid, NULL, WNOHANG)) {
		if (svm_past(deadline))
			return -ETIME;
		usleep(1000);
	}
	return (svm_now_ns() - begin) / 1000000;
}

#define OTHERS_GO_ON() do {						\
	EXPECT_EQ(0, others_work(8)) TH_LOG("%s", svm_why());		\
	GPU_FILLS(self->seen, 1, self->page);				\
} while (0)

#define GOES_WHEN_KILLED(silent) do {					\
	int ms_ = kill_silent(silent);					\
									\
	EXPECT_LE(0, ms_);						\
	TH_LOG("gone after %d ms", ms_);				\
} while (0)

/*
 * Nobody answers the page fault of a process. The jobs of others go on, whatever queue
 * of the driver their address spaces have, and the silent one can be killed.
 */
MEMORY_TEST(silent_process)
{
	struct silent silent;

	ASSERT_EQ(0, start_silent(&silent, fault_in_vain));
	OTHERS_GO_ON();
	GOES_WHEN_KILLED(&silent);
	OTHERS_GO_ON();
	close(silent.keep);
}

/* It can be killed although an ioctl of its waits for what nobody answers */
MEMORY_TEST(silent_process_with_an_ioctl)
{
	struct silent silent;

	ASSERT_EQ(0, start_silent(&silent, advise_in_vain));
	OTHERS_GO_ON();
	GOES_WHEN_KILLED(&silent);
	close(silent.keep);
	OTHERS_GO_ON();
}

/*
 * A process goes on with an address space whose maker is gone, and waits for a page
 *
 * @pid: The process
 * @late: It uses the address space only when the maker has gone
 * @given: It can have what belongs to the address space
 * @bound: It has it
 * @may_fault: It is to use it
 * @asked: It waits
 * @may_provide: The page is to be provided
 * @err: How its job has ended
 */
struct heir {
	pid_t pid;
	bool late, given, bound, may_fault, asked, may_provide;
	int err;
};

static void wait_for(const bool *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static void inherit(const struct xe_gpu *from, struct heir *heir, int keep)
{
	struct xe_gpu gpu = *from;
	uint64_t *mem = svm_map(4096, RW);
	uint64_t addr;
	char byte;
	int uffd;

	wait_for(&heir->given);
	/* The page is there when it is bound, and then it is not */
	if (!mem || xe_inherit(&gpu, mem, 4096)) {
		fprintf(stderr, "heir: %s\n", svm_why());
		_exit(2);
	}
	set(&heir->bound);
	wait_for(&heir->may_fault);
	uffd = svm_watch_missing(mem, 4096);
	if (uffd < 0 || madvise(mem, 4096, MADV_DONTNEED)) {
		perror("heir");
		_exit(2);
	}
	xe_emit_add(&gpu.queue[XE_COMPUTE], mem, 1);
	addr = xe_submit(&gpu.queue[XE_COMPUTE]) ? 0 : svm_missing_page(uffd);
	if (!addr)
		_exit(3);
	/* Somebody else has the userfaultfd, so that its end does not help */
	if (!fork()) {
		close(gpu.fd);
		_exit(read(keep, &byte, 1) < 0);
	}
	set(&heir->asked);
	wait_for(&heir->may_provide);
	if (svm_provide_zeroes(uffd, addr, 4096))
		_exit(4);
	heir->err = xe_wait(&gpu.queue[XE_COMPUTE]);
	if (!heir->err && *mem != 1)
		heir->err = -EIO;
	_exit(0);
}

/* Makes the address space, and goes when the other one has it, or waits */
static void bequeath(struct heir *heir, int keep)
{
	const bool *until;
	struct xe_gpu gpu;
	pid_t pid;

	if (xe_open(&gpu))
		_exit(2);
	pid = fork();
	if (!pid)
		inherit(&gpu, heir, keep);
	heir->pid = pid;
	xe_bequeath(&gpu);
	set(&heir->given);
	until = heir->late ? &heir->bound : &heir->asked;
	while (!__atomic_load_n(until, __ATOMIC_ACQUIRE)) {
		if (waitpid(pid, NULL, WNOHANG))
			_exit(3);
		usleep(1000);
	}
	_exit(0);
}

static struct heir *start_heir(struct __test_metadata *_metadata, bool late, int *keep)
{
	struct heir *heir = mmap(NULL, sizeof(*heir), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fds[2], status;
	pid_t maker;

	ASSERT_NE(MAP_FAILED, heir);
	heir->late = late;
	heir->may_fault = !late;
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	maker = fork();
	if (!maker) {
		close(fds[1]);
		bequeath(heir, fds[0]);
	}
	close(fds[0]);
	*keep = fds[1];
	ASSERT_EQ(maker, waitpid(maker, &status, 0));
	ASSERT_EQ(0, status);
	/* Time for all who watch the maker. */
	usleep(200000);
	set(&heir->may_fault);
	wait_for(&heir->asked);
	return heir;
}

MEMORY_TEST(maker_of_a_vm_is_gone)
{
	int keep, status;
	struct heir *heir = start_heir(_metadata, false, &keep);

	set(&heir->may_provide);
	ASSERT_EQ(heir->pid, waitpid(heir->pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, heir->err);
	close(keep);
}

MEMORY_TEST(silent_heir_of_a_vm)
{
	struct silent silent;
	struct heir *heir = start_heir(_metadata, true, &silent.keep);

	silent.pid = heir->pid;
	OTHERS_GO_ON();
	GOES_WHEN_KILLED(&silent);
	close(silent.keep);
	OTHERS_GO_ON();
}

/* Nor does anybody when its memory is to be bound again */
MEMORY_TEST(silent_process_without_faults)
{
	struct silent silent;

	ASSERT_EQ(0, start_silent(&silent, rebind_in_vain));
	OTHERS_GO_ON();
	GOES_WHEN_KILLED(&silent);
	/* Or else nobody can go on from here */
	close(silent.keep);
	OTHERS_GO_ON();
}

/* Nor does that keep a thread of it that destroys a queue */
MEMORY_TEST(silent_process_that_destroys_a_queue)
{
	struct silent silent;

	ASSERT_EQ(0, start_silent(&silent, destroy_in_vain));
	OTHERS_GO_ON();
	GOES_WHEN_KILLED(&silent);
	close(silent.keep);
	OTHERS_GO_ON();
}

TEST_HARNESS_MAIN
