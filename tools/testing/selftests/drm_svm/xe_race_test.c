// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the address space under a running job of a GPU with the xe driver: what is
 * there afterwards is what the GPU wrote until then, and nothing that it wrote later.
 *
 * A race is one job, which writes to the same memory over and over, each time another
 * byte, and one change of that memory. As the GPU writes from the beginning to the end,
 * the memory holds at any time one byte up to somewhere, and the byte before behind that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define RACE_LEN	(256UL << 10)
#define RACE_FILLS	200
#define RACE_ROUNDS		10
#define RACE_MS		20000
#define RW		(PROT_READ | PROT_WRITE)
#define TEST_SECONDS	180

FIXTURE(race)
{
	struct xe_gpu gpu;
	struct xe_queue copy;
	struct svm_rand rand;
	uint64_t deadline;
	unsigned int rounds, hits;
	size_t page;
	char *mem, *seen;
	int status;
};

FIXTURE_VARIANT(race)
{
	bool vram;
};

FIXTURE_VARIANT_ADD(race, ram) { };
FIXTURE_VARIANT_ADD(race, vram) { .vram = true };

FIXTURE_SETUP(race)
{
	int err = xe_open(&self->gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_open_another(&self->gpu, XE_COPY, &self->copy))
		TH_LOG("%s", svm_why());
	self->page = svm_page_size();
	self->seen = malloc(RACE_LEN);
	ASSERT_NE(NULL, self->seen);
	self->rounds = svm_scaled(RACE_ROUNDS);
	self->deadline = svm_deadline_ms(RACE_MS);
	self->rand.state = 1;
}

FIXTURE_TEARDOWN(race)
{
	TH_LOG("%u jobs were stopped", self->hits);
	xe_close_queue(&self->copy);
	xe_close(&self->gpu);
	free(self->seen);
}

#define RACE_TEST(name)	TEST_F_TIMEOUT(race, name, TEST_SECONDS)

#define RACE_GOES_ON()	(self->rounds-- && !svm_past(self->deadline))

static char *map_for_race(const struct xe_gpu *gpu, bool vram)
{
	char *mem = svm_map_aligned(RACE_LEN, SVM_PMD_SIZE);

	return mem && !xe_prefer(gpu, mem, RACE_LEN, vram ? gpu->vram : gpu->system) ? mem :
										       NULL;
}

/* The first bytes are there; then some time that differs */
static void wait_a_little(const char *mem, struct svm_rand *rand)
{
	while (!*(volatile char *)mem)
		;
	for (uint64_t spin = svm_rand_below(rand, 200000); spin; spin--)
		__asm__ volatile("");
}

#define START_FILLS(m) do {						\
	self->mem = (m);						\
	ASSERT_NE(NULL, self->mem);					\
	for (int i = 1; i <= RACE_FILLS; i++)				\
		xe_emit_fill(&self->copy, self->mem, i, RACE_LEN);	\
	ASSERT_EQ(0, xe_submit(&self->copy)) TH_LOG("%s", svm_why());	\
	wait_a_little(self->mem, &self->rand);				\
} while (0)

#define START()	START_FILLS(map_for_race(&self->gpu, variant->vram))

/* One whose job was stopped is of no more use */
#define END() do {							\
	self->status = xe_wait(&self->copy);				\
	ASSERT_NE(-ETIME, self->status) TH_LOG("%s", svm_why());	\
	if (self->status) {						\
		self->hits++;						\
		xe_close_queue(&self->copy);				\
		ASSERT_EQ(0, xe_open_another(&self->gpu, XE_COPY, &self->copy)) \
			TH_LOG("%s", svm_why());			\
	}								\
} while (0)

/* One byte, then the one before; all of the last one after a job that was not stopped */
static bool is_right(const char *mem, size_t len, bool stopped)
{
	uint8_t first = mem[0], at;
	size_t i = 0;

	while (i < len && (uint8_t)mem[i] == first)
		i++;
	if (!stopped)
		return i == len && first == RACE_FILLS;
	for (at = first - 1; i < len && (uint8_t)mem[i] == at; i++)
		;
	return i == len;
}

#define IS_RIGHT(mem, len) \
	ASSERT_TRUE(is_right(mem, len, self->status)) \
		TH_LOG("%#x and %#x, status %d", (mem)[0] & 0xff, (mem)[(len) - 1] & 0xff, \
		       self->status)

RACE_TEST(munmap_whole)
{
	while (RACE_GOES_ON()) {
		char *victim = svm_map(RACE_LEN, RW);

		ASSERT_NE(NULL, victim);
		START();
		ASSERT_EQ(0, munmap(self->mem, RACE_LEN));
		/* This is likely to get the pages that the GPU had */
		svm_pattern_fill(victim, RACE_LEN, 1);
		END();
		ASSERT_EQ(-1, svm_pattern_check(victim, RACE_LEN, 1));
		munmap(victim, RACE_LEN);
	}
}

/* The job stops there; before that is its last byte, and behind it the one before */
RACE_TEST(munmap_part)
{
	while (RACE_GOES_ON()) {
		size_t first = svm_rand_below(&self->rand, RACE_LEN / self->page - 4) + 1;
		size_t at = first * self->page, end = at;

		end += (svm_rand_below(&self->rand, 3) + 1) * self->page;
		START();
		ASSERT_EQ(0, munmap(self->mem + at, end - at));
		END();
		memmove(self->seen, self->mem, at);
		memmove(self->seen + at, self->mem + end, RACE_LEN - end);
		IS_RIGHT(self->seen, RACE_LEN - (end - at));
		munmap(self->mem, RACE_LEN);
	}
}

RACE_TEST(mprotect)
{
	while (RACE_GOES_ON()) {
		START();
		ASSERT_EQ(0, mprotect(self->mem, RACE_LEN, PROT_READ));
		/* From here on nothing may change any more */
		memcpy(self->seen, self->mem, RACE_LEN);
		END();
		ASSERT_EQ(0, memcmp(self->seen, self->mem, RACE_LEN));
		IS_RIGHT(self->mem, RACE_LEN);
		munmap(self->mem, RACE_LEN);
	}
}

RACE_TEST(mremap)
{
	while (RACE_GOES_ON()) {
		char *room = svm_map_aligned(RACE_LEN, SVM_PMD_SIZE);

		ASSERT_NE(NULL, room);
		START();
		ASSERT_EQ(room, mremap(self->mem, RACE_LEN, RACE_LEN,
				       MREMAP_MAYMOVE | MREMAP_FIXED, room));
		memcpy(self->seen, room, RACE_LEN);
		END();
		ASSERT_EQ(0, memcmp(self->seen, room, RACE_LEN));
		IS_RIGHT(room, RACE_LEN);
		munmap(room, RACE_LEN);
	}
}

/* The child's half of the memory stands still until the parent closes the pipe */
static int child_main(const char *mem, char *seen, const int *go)
{
	char byte;

	close(go[1]);
	memcpy(seen, mem, RACE_LEN);
	if (read(go[0], &byte, 1))
		return 1;
	return memcmp(seen, mem, RACE_LEN) ? 2 : !is_right(mem, RACE_LEN, true) * 3;
}

RACE_TEST(fork)
{
	while (RACE_GOES_ON()) {
		int go[2], status;
		pid_t pid;

		ASSERT_EQ(0, pipe(go));
		START();
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(child_main(self->mem, self->seen, go));
		close(go[0]);
		END();
		close(go[1]);
		ASSERT_EQ(0, self->status);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		IS_RIGHT(self->mem, RACE_LEN);
		munmap(self->mem, RACE_LEN);
	}
}

static int file_on_disk(void)
{
	const char *dir = getenv("SVM_DISK");
	int fd = dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -ENOENT;

	return fd >= 0 && ftruncate(fd, RACE_LEN) ? -errno : fd;
}

/* What is written while it goes to the disk goes there once more */
RACE_TEST(writeback)
{
	int fd = file_on_disk();
	char *mem;

	if (fd == -ENOENT)
		SKIP(return, "no SVM_DISK");
	ASSERT_LE(0, fd);
	while (RACE_GOES_ON()) {
		mem = svm_map_file(fd, RACE_LEN, RW, MAP_SHARED);
		ASSERT_NE(NULL, mem);
		memset(mem, 0, RACE_LEN);
		START_FILLS(mem);
		for (int i = 0; i < 3; i++)
			ASSERT_EQ(0, fsync(fd));
		END();
		ASSERT_EQ(0, self->status);
		ASSERT_EQ(0, msync(mem, RACE_LEN, MS_SYNC));
		/* Not dirty and not mapped: what is read comes from the disk */
		ASSERT_EQ(0, munmap(mem, RACE_LEN));
		ASSERT_EQ(0, posix_fadvise(fd, 0, RACE_LEN, POSIX_FADV_DONTNEED));
		ASSERT_EQ(RACE_LEN, pread(fd, self->seen, RACE_LEN, 0));
		IS_RIGHT(self->seen, RACE_LEN);
	}
	close(fd);
}

RACE_TEST(truncate)
{
	int fd = memfd_create("xe_race", MFD_CLOEXEC);
	char *mem;

	ASSERT_LE(0, fd);
	while (RACE_GOES_ON()) {
		size_t keep = (svm_rand_below(&self->rand, RACE_LEN / self->page - 1) + 1) *
			      self->page;

		ASSERT_EQ(0, ftruncate(fd, RACE_LEN));
		mem = svm_map_file(fd, RACE_LEN, RW, MAP_SHARED);
		ASSERT_NE(NULL, mem);
		START_FILLS(mem);
		ASSERT_EQ(0, ftruncate(fd, keep));
		END();
		IS_RIGHT(mem, keep);
		munmap(mem, RACE_LEN);
		ASSERT_EQ(0, ftruncate(fd, 0));
	}
	close(fd);
}

TEST_HARNESS_MAIN
