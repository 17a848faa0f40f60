// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a process in the memory of devices, tested on the virtual SVM
 * device: it moves there and back, and nobody can tell by what is in it.
 *
 * In this order: what the process and the device do to memory that has moved;
 * what moves and what stays, page by page; a device whose memory is full;
 * processes that end or lose their device; several devices; advice; races; bad
 * arguments.
 *
 * Each test makes the devices that it needs. Where memory is gets checked by
 * DRM_IOCTL_VSVM_PLACEMENT, what is in it after every step. Loops that look for
 * races are bounded by a count, which SVM_SCALE multiplies, and by RACE_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_harness.h"

#define TEST_SET	"drm_svm_devmem"
#define OTHER_SET	"drm_svm_devmem_other"

#define NOWHERE		DRM_VSVM_LOCATION_NONE
#define RAM		DRM_VSVM_LOCATION_SYSTEM
#define DEV(index)	DRM_VSVM_LOCATION_DEVICE(index)

/* What most tests work on: the size of a huge page */
#define LEN		SVM_PMD_SIZE

/* So many pages of [mem, mem + len) must be there */
#define COUNT_AT(num, location, svm, mem, len)				\
	ASSERT_EQ((long)(num), svm_count_at(svm, mem, len, location))	\
		TH_LOG("location %u", (unsigned int)(location))
#define ALL_AT(location, svm, mem, len) \
	COUNT_AT((len) / svm_page_size(), location, svm, mem, len)

/*
 * It takes a while to make devices. Tests in a row that want the same ones share
 * them; each has a process of its own, so what there is has to be known by all.
 */
static struct shared {
	pid_t owner;
	char settings[256];
} *shared;

static void __attribute__((constructor)) begin(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	shared->owner = getpid();
}

static void __attribute__((destructor)) end(void)
{
	if (getpid() == shared->owner)
		svm_set_remove(TEST_SET);
}

static void make_set(struct __test_metadata *_metadata, const char *name,
		     const char *const *settings)
{
	svm_set_remove(name);
	ASSERT_EQ(0, svm_set_make(name, settings)) TH_LOG("%s", svm_why());
}

static void forget_set(void)
{
	svm_set_remove(TEST_SET);
	shared->settings[0] = '\0';
}

/* One address space on so many devices of the set, whose memory must be empty */
static void open_set(struct __test_metadata *_metadata, struct svm *svm,
		     const char *const *settings, unsigned int num)
{
	char wanted[sizeof(shared->settings)] = "";

	svm->fd = -1;
	for (unsigned int i = 0; settings[i]; i++) {
		strcat(wanted, settings[i]);
		strcat(wanted, " ");
	}
	if (strcmp(wanted, shared->settings)) {
		forget_set();
		make_set(_metadata, TEST_SET, settings);
		strcpy(shared->settings, wanted);
	}
	ASSERT_EQ(0, svm_open_set(svm, TEST_SET, num)) TH_LOG("%s", svm_why());
}

/* Move memory and expect all of it to have moved */
static void move(struct __test_metadata *_metadata, struct svm *svm, void *mem,
		 size_t len, uint32_t location)
{
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(svm, mem, len, location, &moved))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, moved.left);
	ALL_AT(location, svm, mem, len);
}

/* Anonymous memory of huge pages, or of small ones only */
static char *map_pages(struct __test_metadata *_metadata, size_t len, bool huge)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return mem;
}

static bool is_huge_at(struct svm *svm, char *mem, uint32_t location)
{
	uint8_t place = 0;

	return !svm_placement(svm, mem, svm_page_size(), &place) &&
	       place == (location | DRM_VSVM_PLACEMENT_HUGE);
}

/* Whether the device added to what the CPU had filled it with */
static bool is_pattern_plus(const void *mem, size_t len, uint64_t seed,
			    uint64_t plus)
{
	const uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		if (word[i] != svm_pattern_word(seed, i) + plus)
			return false;
	return true;
}

/*
 * Memory that has moved to the device, by request or since the device touched it
 */

FIXTURE(moved)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page, len;
	bool huge, touch;
};

FIXTURE_VARIANT(moved)
{
	const char *settings[4];
	bool huge, touch;
};

FIXTURE_VARIANT_ADD(moved, small) {
	.settings = { "mem_size=8M", "policy=advice" },
};
FIXTURE_VARIANT_ADD(moved, huge) {
	.settings = { "mem_size=8M", "policy=advice" },
	.huge = true,
};
FIXTURE_VARIANT_ADD(moved, first_touch) {
	.settings = { "mem_size=8M", "policy=first_touch" },
	.touch = true,
};

FIXTURE_SETUP(moved)
{
	self->page = svm_page_size();
	self->huge = variant->huge;
	self->touch = variant->touch;
	self->len = self->huge ? LEN : LEN / 4;
	open_set(_metadata, &self->svm, variant->settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(moved)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static void move_in(struct __test_metadata *_metadata, FIXTURE_DATA(moved) *self,
		    void *mem, size_t len)
{
	if (self->touch) {
		RUN(self->q, svm_atomic_add(mem, len / self->page, self->page,
					    0));
		ALL_AT(DEV(0), &self->svm, mem, len);
	} else {
		move(_metadata, &self->svm, mem, len, DEV(0));
	}
}

/* Mapped, filled by the CPU, moved */
static char *moved_pattern(struct __test_metadata *_metadata,
			   FIXTURE_DATA(moved) *self, size_t len, uint64_t seed)
{
	char *mem = map_pages(_metadata, len, self->huge);

	svm_pattern_fill(mem, len, seed);
	ALL_AT(RAM, &self->svm, mem, len);
	move_in(_metadata, self, mem, len);
	return mem;
}

SVM_TEST(moved, every_operation)
{
	char *mem = moved_pattern(_metadata, self, self->len, 1);
	uint64_t *last = (uint64_t *)(mem + self->len - 8);
	struct svm_outcome out;

	SUMS_TO(pattern_sum(self->len, 1), self->q, mem, self->len);
	RUN(self->q, svm_add(mem, self->len, 5));
	RUN(self->q, svm_fill(mem, self->len / 2, 3));
	RUN(self->q, svm_copy(mem + self->len / 2, mem, self->len / 2 - 8));
	RUN(self->q, svm_atomic_add(mem, self->len / self->page, self->page, 4));
	ASSERT_EQ(0, svm_run(self->q,
			     svm_cas(last, svm_pattern_word(1, self->len / 8 - 1) + 5,
				     9), &out));
	ASSERT_EQ(svm_pattern_word(1, self->len / 8 - 1) + 5, out.result);
	ALL_AT(DEV(0), &self->svm, mem, self->len);

	ASSERT_EQ(9, *last);
	for (size_t i = 0; i < self->len / 8 - 1; i++) {
		ASSERT_EQ(i % (self->page / 8) ? 3 : 7, ((uint64_t *)mem)[i]);
	}
	ALL_AT(RAM, &self->svm, mem, self->len);
	munmap(mem, self->len);
}

SVM_TEST(moved, list_is_chased)
{
	size_t pages = self->len / self->page, at = 0;
	char *mem = map_pages(_metadata, self->len, self->huge);
	struct svm_outcome out;

	for (size_t i = 0; i < pages; i++) {
		size_t next = (at + 77) % pages;

		*(uint64_t *)(mem + at * self->page) =
			svm_addr(mem + next * self->page);
		at = next;
	}
	move_in(_metadata, self, mem, self->len);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(mem, pages), &out))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(svm_addr(mem), out.result);
	ALL_AT(DEV(0), &self->svm, mem, self->len);
	munmap(mem, self->len);
}

SVM_TEST(moved, ping_pong)
{
	unsigned int rounds = svm_scaled(6);
	char *mem = map_pages(_metadata, self->len, self->huge);

	for (unsigned int i = 0; i < rounds; i++) {
		move_in(_metadata, self, mem, self->len);
		RUN(self->q, svm_add(mem, self->len, 1));
		ALL_AT(DEV(0), &self->svm, mem, self->len);
		for (size_t w = 0; w < self->len / 8; w++)
			((uint64_t *)mem)[w]++;
		ALL_AT(RAM, &self->svm, mem, self->len);
		IS_VALUE(mem, self->len, 2 * i + 2);
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, back_by_request)
{
	char *mem = moved_pattern(_metadata, self, self->len, 2);

	RUN(self->q, svm_add(mem, self->len, 1));
	move(_metadata, &self->svm, mem, self->len, RAM);
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 2, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, holes_become_zeroes)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, self->len, self->huge);
	size_t pages = self->len / self->page;

	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move_in(_metadata, self, mem, self->len);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(pages, stats.to_devmem);
	EXPECT_EQ(pages, stats.zeroed);
	EXPECT_EQ(0, stats.copied_in);
	SUMS_TO(0, self->q, mem, self->len);

	/* Also when the memory has had other contents before */
	RUN(self->q, svm_fill(mem, self->len, ~0ULL));
	ASSERT_EQ(0, madvise(mem, self->len, MADV_DONTNEED));
	move_in(_metadata, self, mem, self->len);
	SUMS_TO(0, self->q, mem, self->len);
	IS_VALUE(mem, self->len, 0);
	munmap(mem, self->len);
}

SVM_TEST(moved, zero_page_is_left_alone)
{
	char *mem = map_pages(_metadata, self->len, self->huge);
	char *other = map_pages(_metadata, self->len, self->huge);

	/* Reads give both the zero page; only one of them may change */
	IS_VALUE(mem, self->len, 0);
	IS_VALUE(other, self->len, 0);
	move_in(_metadata, self, mem, self->len);
	RUN(self->q, svm_fill(mem, self->len, 6));
	IS_VALUE(other, self->len, 0);
	IS_VALUE(mem, self->len, 6);
	munmap(mem, self->len);
	munmap(other, self->len);
}

/* An allocation comes free with its last page; these are two */
SVM_TEST(moved, memory_comes_free)
{
	char *mem = moved_pattern(_metadata, self, 2 * LEN, 3);

	ASSERT_EQ(2 * LEN, mem_used(_metadata, &self->svm));
	munmap(mem, LEN);
	WAIT_FOR(mem_used(_metadata, &self->svm) == LEN);
	ASSERT_EQ(0, madvise(mem + LEN, LEN, MADV_DONTNEED));
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	IS_VALUE(mem + LEN, LEN, 0);
	munmap(mem + LEN, LEN);
}

SVM_TEST(moved, munmap_of_a_part)
{
	size_t cut = 37 * self->page, len = 5 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 4);

	ASSERT_EQ(0, munmap(mem + cut, len));
	ALL_AT(DEV(0), &self->svm, mem, cut);
	ALL_AT(NOWHERE, &self->svm, mem + cut, len);
	ALL_AT(DEV(0), &self->svm, mem + cut + len, self->len - cut - len);
	RUN_FAILS(-EFAULT, mem + cut, self->q, svm_add(mem, self->len, 1));
	RUN(self->q, svm_add(mem + cut + len, self->len - cut - len, 1));

	for (size_t i = 0; i < self->len / 8; i++) {
		if (i * 8 < cut || i * 8 >= cut + len) {
			ASSERT_EQ(svm_pattern_word(4, i) + 1,
				  ((uint64_t *)mem)[i]);
		}
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, mremap_takes_it_along)
{
	char *mem = moved_pattern(_metadata, self, self->len, 5);
	char *to = map_pages(_metadata, self->len, self->huge);

	ASSERT_EQ(to, mremap(mem, self->len, self->len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ALL_AT(DEV(0), &self->svm, to, self->len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, self->len));
	RUN(self->q, svm_add(to, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(to, self->len, 5, 1));
	munmap(to, self->len);
}

SVM_TEST(moved, mremap_of_a_part)
{
	size_t at = 100 * self->page, len = 9 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 6);
	char *to = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, to);
	ASSERT_EQ(to, mremap(mem + at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	ALL_AT(DEV(0), &self->svm, to, len);
	RUN(self->q, svm_add(to, len, 1));
	for (size_t i = 0; i < len / 8; i++) {
		ASSERT_EQ(svm_pattern_word(6, at / 8 + i) + 1,
			  ((uint64_t *)to)[i]);
	}
	IS_PATTERN(mem, at, 6);
	munmap(to, len);
	munmap(mem, self->len);
}

SVM_TEST(moved, mprotect_decides)
{
	char *mem = moved_pattern(_metadata, self, self->len, 7);

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ));
	RUN_FAILS(-EPERM, mem, self->q, svm_fill(mem, self->len, 1));
	SUMS_TO(pattern_sum(self->len, 7), self->q, mem, self->len);
	ALL_AT(DEV(0), &self->svm, mem, self->len);

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_NONE));
	RUN_FAILS(-EPERM, mem, self->q, svm_sum(mem, self->len));

	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ | PROT_WRITE));
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 7, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, mprotect_of_a_part)
{
	size_t at = 9 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 8);

	ASSERT_EQ(0, mprotect(mem + at, self->page, PROT_READ));
	RUN_FAILS(-EPERM, mem + at, self->q, svm_add(mem, self->len, 1));
	SUMS_TO(pattern_sum(self->len, 8) + at / 8, self->q, mem, self->len);
	ALL_AT(DEV(0), &self->svm, mem, self->len);
	ASSERT_TRUE(is_pattern_plus(mem, at, 8, 1));
	ASSERT_EQ(svm_pattern_word(8, at / 8), *(uint64_t *)(mem + at));
	ASSERT_EQ(svm_pattern_word(8, self->len / 8 - 1),
		  *(uint64_t *)(mem + self->len - 8));
	munmap(mem, self->len);
}

SVM_TEST(moved, madvise_dontneed)
{
	size_t at = 3 * self->page, len = 2 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 9);

	ASSERT_EQ(0, madvise(mem + at, len, MADV_DONTNEED));
	SUMS_TO(0, self->q, mem + at, len);
	IS_PATTERN(mem, at, 9);
	IS_VALUE(mem + at, len, 0);
	ASSERT_EQ(svm_pattern_word(9, (at + len) / 8),
		  *(uint64_t *)(mem + at + len));
	ASSERT_EQ(0, madvise(mem, self->len, MADV_DONTNEED));
	SUMS_TO(0, self->q, mem, self->len);
	munmap(mem, self->len);
}

/* A page may be freed, and then is zero; or not, and then is as it was */
SVM_TEST(moved, madvise_free)
{
	char *mem = moved_pattern(_metadata, self, self->len, 10);

	ASSERT_EQ(0, madvise(mem, self->len, MADV_FREE));
	move_in(_metadata, self, mem, self->len);
	for (size_t i = 0; i < self->len / 8; i += self->page / 8) {
		uint64_t *word = (uint64_t *)mem + i;

		ASSERT_TRUE(!*word || *word == svm_pattern_word(10, i));
		ASSERT_EQ(*word ? svm_pattern_word(10, i + 1) : 0, word[1]);
	}
	RUN(self->q, svm_fill(mem, self->len, 1));
	IS_VALUE(mem, self->len, 1);
	munmap(mem, self->len);
}

SVM_TEST(moved, madvise_that_moves_pages)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_COLD, MADV_COLLAPSE, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_WILLNEED,
	};
	char *mem = moved_pattern(_metadata, self, self->len, 11);

	svm_want_swap();
	for (unsigned int i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(mem, self->len, advice[i]);
		RUN(self->q, svm_add(mem, self->len, 1));
		madvise(mem, self->len / 2, advice[i]);
		ASSERT_TRUE(is_pattern_plus(mem, self->len, 11, i + 1));
		move_in(_metadata, self, mem, self->len);
	}
	munmap(mem, self->len);
}

SVM_TEST(moved, from_swap)
{
	char *mem = map_pages(_metadata, self->len, self->huge);

	if (!svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	svm_pattern_fill(mem, self->len, 12);
	ASSERT_TRUE(svm_page_out(mem, self->len));
	ASSERT_EQ(SVM_BACKING_SWAP, svm_backing(mem));
	SUMS_TO(pattern_sum(self->len, 12), self->q, mem, self->len);

	/* Now that it is in memory again it can move, with the next page fault */
	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ));
	ASSERT_EQ(0, mprotect(mem, self->len, PROT_READ | PROT_WRITE));
	move_in(_metadata, self, mem, self->len);
	IS_PATTERN(mem, self->len, 12);
	munmap(mem, self->len);
}

SVM_TEST(moved, fork_then_child_reads)
{
	char *mem = moved_pattern(_metadata, self, self->len, 13);
	pid_t pid = fork();

	if (!pid)
		_exit(svm_pattern_check(mem, self->len, 13) >= 0);
	ASSERT_LT(0, pid);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 13, 1));
	munmap(mem, self->len);
}

SVM_TEST(moved, fork_then_child_writes)
{
	char *mem = moved_pattern(_metadata, self, self->len, 14);
	pid_t pid = fork();

	if (!pid) {
		memset(mem, 0x55, self->len);
		_exit(svm_value_check(mem, self->len, 0x5555555555555555) >= 0);
	}
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	SUMS_TO(pattern_sum(self->len, 14), self->q, mem, self->len);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 14, 1));
	munmap(mem, self->len);
}

/* A shared page can move as well, and a write of the device still copies */
SVM_TEST(moved, shared_with_a_child)
{
	char *mem = map_pages(_metadata, self->len, self->huge);
	int go[2];
	pid_t pid;
	char c = 0;

	svm_pattern_fill(mem, self->len, 15);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(2);
		_exit(svm_pattern_check(mem, self->len, 15) >= 0);
	}
	ASSERT_LT(0, pid);
	SUMS_TO(pattern_sum(self->len, 15), self->q, mem, self->len);
	svm_prefetch(&self->svm, mem, self->len, DEV(0), NULL);
	RUN(self->q, svm_add(mem, self->len, 1));
	ASSERT_EQ(1, write(go[1], &c, 1));
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_TRUE(is_pattern_plus(mem, self->len, 15, 1));
	close(go[0]);
	close(go[1]);
	munmap(mem, self->len);
}

/* The kernel reads and writes it for the process */
SVM_TEST(moved, system_calls_use_it)
{
	size_t len = 64 * KB, at = 17 * self->page;
	char *mem = moved_pattern(_metadata, self, self->len, 16);
	int fd = svm_tmpfile(len, 17);
	char *copy = malloc(len);

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, copy);
	ASSERT_EQ(len, pwrite(fd, mem, len, 0));
	ASSERT_EQ(len, pread(fd, copy, len, 0));
	IS_PATTERN(copy, len, 16);

	svm_pattern_fill(copy, len, 18);
	ASSERT_EQ(len, pwrite(fd, copy, len, 0));
	move_in(_metadata, self, mem, self->len);
	ASSERT_EQ(len, pread(fd, mem + at, len, 0));
	IS_PATTERN(mem + at, len, 18);
	RUN(self->q, svm_copy(copy, mem + at, len));
	IS_PATTERN(copy, len, 18);
	free(copy);
	close(fd);
	munmap(mem, self->len);
}

/*
 * What moves and what stays, page by page
 */

FIXTURE(pages)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
	struct drm_vsvm_query query;
};

FIXTURE_SETUP(pages)
{
	static const char *const settings[] = {
		"mem_size=16M", "policy=advice", "fault_window=64K",
		"timeslice_ms=0", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	ASSERT_EQ(0, svm_query(self->svm.fd, &self->query));
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(pages)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

SVM_TEST(pages, query_tells_of_memory)
{
	EXPECT_EQ(16 * MB, self->query.mem_size);
	EXPECT_EQ(64 * KB, self->query.fault_window);
	EXPECT_EQ(DRM_VSVM_POLICY_ADVICE, self->query.policy);
	EXPECT_EQ(DRM_VSVM_MEM_INTERCONNECT | DRM_VSVM_MEM_EVICTION,
		  self->query.mem_flags);
	EXPECT_EQ(0, self->query.timeslice_ms);
	EXPECT_EQ(0, mem_used(_metadata, &self->svm));
}

SVM_TEST(pages, placement_of_each)
{
	size_t page = self->page;
	char *mem = map_pages(_metadata, LEN, false);
	uint8_t place[5];

	/* One in the device, one in RAM, one nowhere, one no memory at all */
	ASSERT_EQ(0, munmap(mem + 3 * page, page));
	move(_metadata, &self->svm, mem, page, DEV(0));
	mem[page] = 1;
	ASSERT_EQ(0, svm_placement(&self->svm, mem, sizeof(place) * page,
				   place));
	EXPECT_EQ(DEV(0), place[0]);
	EXPECT_EQ(RAM, place[1]);
	EXPECT_EQ(NOWHERE, place[2]);
	EXPECT_EQ(NOWHERE, place[3]);
	EXPECT_EQ(NOWHERE, place[4]);

	/* To ask doesn't move */
	EXPECT_EQ(SVM_BACKING_NONE, svm_backing(mem + 2 * page));
	COUNT_AT(1, DEV(0), &self->svm, mem, LEN);
	munmap(mem, LEN);
}

SVM_TEST(pages, holes_between_pages)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	size_t filled = 0;

	for (size_t i = 0; i < pages; i += 3, filled++)
		svm_pattern_fill(mem + i * page, page, i);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(pages, stats.to_devmem);
	EXPECT_EQ(pages - filled, stats.zeroed);
	EXPECT_EQ(filled * page, stats.copied_in);
	for (size_t i = 0; i < pages; i++) {
		if (i % 3) {
			IS_VALUE(mem + i * page, page, 0);
		} else {
			IS_PATTERN(mem + i * page, page, i);
		}
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, only_what_is_missing)
{
	size_t page = self->page, pages = LEN / page;
	size_t window = self->query.fault_window;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;

	svm_pattern_fill(mem, LEN, 1);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(pages, moved.moved);
	EXPECT_EQ(0, moved.resident);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(0, moved.moved);
	EXPECT_EQ(pages, moved.resident);

	/* A part comes back and moves again, the rest didn't stir */
	move(_metadata, &self->svm, mem + window, window, RAM);
	COUNT_AT(pages - window / page, DEV(0), &self->svm, mem, LEN);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(window / page, moved.moved);
	EXPECT_EQ(pages - window / page, moved.resident);
	EXPECT_EQ(0, moved.left);

	/* An allocation is held by its last page, and there is one more now */
	ASSERT_EQ(LEN + window, mem_used(_metadata, &self->svm));
	IS_PATTERN(mem, LEN, 1);
	munmap(mem, LEN);
}

SVM_TEST(pages, any_part_of_memory)
{
	size_t page = self->page, len = 3 * LEN;
	size_t at = LEN - 5 * page, size = LEN + 12 * page;
	char *mem = map_pages(_metadata, len, false);

	svm_pattern_fill(mem, len, 2);
	move(_metadata, &self->svm, mem + at, size, DEV(0));
	ALL_AT(RAM, &self->svm, mem, at);
	ALL_AT(RAM, &self->svm, mem + at + size, len - at - size);
	SUMS_TO(pattern_sum(len, 2), self->q, mem, len);
	RUN(self->q, svm_add(mem, len, 1));
	ALL_AT(DEV(0), &self->svm, mem + at, size);
	ASSERT_TRUE(is_pattern_plus(mem, len, 2, 1));
	munmap(mem, len);
}

/* Advice makes a range that begins inside a huge page. It is about that part of it */
SVM_TEST(pages, a_part_of_a_huge_page)
{
	size_t at = LEN / 4, len = LEN / 8;
	char *mem = map_pages(_metadata, LEN, true);
	char *copy = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 4);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(0, svm_advise(&self->svm, mem + at, len, NOWHERE, 0, 1));
	RUN(self->q, svm_copy(copy, mem + at, len));
	ASSERT_EQ(0, memcmp(copy, mem + at, len));

	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(self->q, svm_add(mem + at, len, 1));
	for (size_t i = 0; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(4, i) + (i >= at / 8 && i < (at + len) / 8),
			  ((uint64_t *)mem)[i]);
	}
	munmap(copy, LEN);
	munmap(mem, LEN);
}

SVM_TEST(pages, several_mappings)
{
	size_t page = self->page, part = 16 * page;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;

	/* A gap, and a change of rights */
	svm_pattern_fill(mem, LEN, 3);
	ASSERT_EQ(0, munmap(mem + part, part));
	ASSERT_EQ(0, mprotect(mem + 3 * part, part, PROT_READ));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ((LEN - part) / page, moved.moved);
	EXPECT_EQ(0, moved.left);
	COUNT_AT((LEN - part) / page, DEV(0), &self->svm, mem, LEN);
	IS_PATTERN(mem, part, 3);
	for (size_t i = 2 * part / 8; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(3, i), ((uint64_t *)mem)[i]);
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, touch_brings_back_a_window)
{
	size_t page = self->page, window = self->query.fault_window;
	char *mem = map_pages(_metadata, LEN, false);
	size_t at = 3 * window + 5 * page;

	svm_pattern_fill(mem, LEN, 4);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(svm_pattern_word(4, at / 8),
		  *(volatile uint64_t *)(mem + at));
	ALL_AT(RAM, &self->svm, mem + 3 * window, window);
	COUNT_AT((LEN - window) / page, DEV(0), &self->svm, mem, LEN);
	IS_PATTERN(mem, LEN, 4);
	munmap(mem, LEN);
}

SVM_TEST(pages, reading_on_takes_few_faults)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 5);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	IS_PATTERN(mem, LEN, 5);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(LEN / self->page, stats.to_ram);
	EXPECT_LT(0, stats.cpu_faults);
	EXPECT_GE(LEN / self->query.fault_window, stats.cpu_faults);
	munmap(mem, LEN);
}

SVM_TEST(pages, huge_stays_huge)
{
	struct drm_vsvm_device_stats mark, stats;
	char *mem = map_pages(_metadata, LEN, true);

	svm_pattern_fill(mem, LEN, 6);
	if (!is_huge_at(&self->svm, mem, RAM))
		SKIP(return, "no huge page to be had");
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	EXPECT_TRUE(is_huge_at(&self->svm, mem, DEV(0)));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(LEN / self->page, stats.to_devmem_huge);

	/* One byte brings back all of it, by one fault */
	ASSERT_EQ(svm_pattern_word(6, 999), ((volatile uint64_t *)mem)[999]);
	ALL_AT(RAM, &self->svm, mem, LEN);
	EXPECT_TRUE(is_huge_at(&self->svm, mem, RAM));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(1, stats.cpu_faults);
	IS_PATTERN(mem, LEN, 6);
	munmap(mem, LEN);
}

SVM_TEST(pages, huge_is_split)
{
	size_t page = self->page, at = 64 * page;
	char *mem = map_pages(_metadata, LEN, true);

	svm_pattern_fill(mem, LEN, 7);
	move(_metadata, &self->svm, mem, LEN, DEV(0));

	/* One page leaves, the others stay where they are */
	ASSERT_EQ(0, munmap(mem + at, page));
	EXPECT_FALSE(is_huge_at(&self->svm, mem, DEV(0)));
	COUNT_AT(LEN / page - 1, DEV(0), &self->svm, mem, LEN);
	RUN(self->q, svm_add(mem, at, 1));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem + at + page, 8 * page, RAM,
				  NULL));
	ASSERT_TRUE(is_pattern_plus(mem, at, 7, 1));
	for (size_t i = (at + page) / 8; i < LEN / 8; i++) {
		ASSERT_EQ(svm_pattern_word(7, i), ((uint64_t *)mem)[i]);
	}
	munmap(mem, LEN);
}

SVM_TEST(pages, part_of_a_huge_page)
{
	size_t page = self->page, at = 32 * page, len = 16 * page;
	char *mem = map_pages(_metadata, LEN, true);
	struct svm_moved moved;

	/* However much moves, the counts and the contents have to be right */
	svm_pattern_fill(mem, LEN, 8);
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem + at, len, DEV(0), &moved));
	EXPECT_EQ(len / page, moved.moved + moved.resident + moved.left);
	COUNT_AT(moved.moved, DEV(0), &self->svm, mem + at, len);
	ALL_AT(RAM, &self->svm, mem, at);
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 8, 1));
	munmap(mem, LEN);
}

SVM_TEST(pages, pinned_ones_stay)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);
	struct svm_moved moved;
	int pin;

	svm_pattern_fill(mem, LEN, 9);
	pin = svm_pin(mem + 5 * page, 3 * page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(pages - 3, moved.moved);
	EXPECT_EQ(3, moved.left);
	ALL_AT(RAM, &self->svm, mem + 5 * page, 3 * page);
	COUNT_AT(pages - 3, DEV(0), &self->svm, mem, LEN);

	/* The device works on what is here and what is there */
	RUN(self->q, svm_add(mem, LEN, 1));
	COUNT_AT(pages - 3, DEV(0), &self->svm, mem, LEN);
	ASSERT_EQ(svm_pattern_word(9, 5 * page / 8) + 1,
		  *(volatile uint64_t *)(mem + 5 * page));
	svm_unpin(pin);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 9, 1));
	munmap(mem, LEN);
}

SVM_TEST(pages, pinned_in_a_huge_page)
{
	char *mem = map_pages(_metadata, 2 * LEN, true);
	struct svm_moved moved;
	int pin;

	svm_pattern_fill(mem, 2 * LEN, 10);
	pin = svm_pin(mem + 5 * self->page, self->page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, 2 * LEN, DEV(0), &moved));
	EXPECT_EQ(2 * LEN / self->page, moved.moved + moved.left);
	ALL_AT(RAM, &self->svm, mem + 5 * self->page, self->page);
	ALL_AT(DEV(0), &self->svm, mem + LEN, LEN);
	RUN(self->q, svm_add(mem, 2 * LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, 2 * LEN, 10, 1));
	svm_unpin(pin);
	move(_metadata, &self->svm, mem, 2 * LEN, DEV(0));
	munmap(mem, 2 * LEN);
}

SVM_TEST(pages, pinning_brings_back)
{
	size_t page = self->page;
	char *mem = map_pages(_metadata, LEN, false);
	int pin;

	svm_pattern_fill(mem, LEN, 11);
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	pin = svm_pin(mem + 40 * page, 2 * page);
	if (pin < 0)
		SKIP(return, "no io_uring: %s", strerror(-pin));
	ALL_AT(RAM, &self->svm, mem + 40 * page, 2 * page);
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 11, 1));
	svm_unpin(pin);
	munmap(mem, LEN);
}

static void file_stays(struct __test_metadata *_metadata,
		       FIXTURE_DATA(pages) *self, char *mem, size_t len)
{
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, len, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(0, moved.moved);
	EXPECT_EQ(len / self->page, moved.left);
	COUNT_AT(0, DEV(0), &self->svm, mem, len);
}

SVM_TEST(pages, file_mappings_stay)
{
	static const int kinds[] = { MAP_SHARED, MAP_PRIVATE };
	size_t len = 128 * KB;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int fd = svm_tmpfile(len, 12);
		uint64_t word = 0;
		char *mem;

		ASSERT_LE(0, fd);
		mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, kinds[i]);
		ASSERT_NE(NULL, mem);
		SUMS_TO(pattern_sum(len, 12), self->q, mem, len);
		file_stays(_metadata, self, mem, len);
		RUN(self->q, svm_add(mem, len, 1));
		file_stays(_metadata, self, mem, len);
		ASSERT_TRUE(is_pattern_plus(mem, len, 12, 1));
		ASSERT_EQ(8, pread(fd, &word, 8, 0));
		ASSERT_EQ(svm_pattern_word(12, 0) + (kinds[i] == MAP_SHARED),
			  word);
		munmap(mem, len);
		close(fd);
	}
}

SVM_TEST(pages, file_beside_memory)
{
	size_t len = 64 * KB;
	char *mem = map_pages(_metadata, 3 * len, false);
	int fd = svm_tmpfile(len, 13);
	struct svm_moved moved;

	ASSERT_LE(0, fd);
	svm_pattern_fill(mem, 3 * len, 13);
	ASSERT_EQ(mem + len, mmap(mem + len, len, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, 3 * len, DEV(0), &moved))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(2 * len / self->page, moved.moved);
	EXPECT_EQ(len / self->page, moved.left);
	RUN(self->q, svm_copy(mem, mem + len, len));
	IS_PATTERN(mem, len, 13);
	munmap(mem, 3 * len);
	close(fd);
}

SVM_TEST(pages, locked_memory_moves)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 14);
	ASSERT_EQ(0, mlock(mem, LEN)) TH_LOG("%s", strerror(errno));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(self->q, svm_add(mem, LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 14, 1));
	munmap(mem, LEN);
}

/* The CPU sleeps, it doesn't spin, until the device's time is over */
SVM_TEST(pages, timeslice_makes_the_cpu_wait)
{
	enum { MS = 300 };
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	struct rusage before, after;
	uint64_t start, cpu_us;

	svm_pattern_fill(mem, LEN, 15);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	start = svm_now_ns();
	ASSERT_EQ(0, svm_prefetch_for(&self->svm, mem, LEN, DEV(0), MS, NULL));
	getrusage(RUSAGE_SELF, &before);
	ASSERT_EQ(svm_pattern_word(15, 0), *(volatile uint64_t *)mem);
	getrusage(RUSAGE_SELF, &after);

	/* Less the tick that the kernel's clock may be behind */
	EXPECT_LE(MS * 1000000ULL, svm_now_ns() - start + 10000000);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LE(1, stats.timeslice_waits);
	EXPECT_GE(10, stats.cpu_faults);
	cpu_us = (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
		 after.ru_stime.tv_usec - before.ru_stime.tv_usec;
	EXPECT_GT(MS * 1000 / 2, cpu_us);
	IS_PATTERN(mem, LEN, 15);
	munmap(mem, LEN);
}

static int read_word(void *mem)
{
	return !*(volatile uint64_t *)mem;
}

/* A process with the same memory: others that have some of it don't wait */
SVM_TEST(pages, killed_while_it_waits)
{
	static char stack[64 * KB] __attribute__((aligned(16)));
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;
	uint64_t start;
	pid_t pid;

	svm_pattern_fill(mem, LEN, 16);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	ASSERT_EQ(0, svm_prefetch_for(&self->svm, mem, LEN, DEV(0),
				      DRM_VSVM_MAX_TIMESLICE_MS, NULL));
	pid = clone(read_word, stack + sizeof(stack), CLONE_VM | SIGCHLD, mem);
	ASSERT_LT(0, pid);
	WAIT_FOR(!svm_stats(&self->svm, &stats) &&
		 stats.timeslice_waits > mark.timeslice_waits);
	start = svm_now_ns();
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_GT(DRM_VSVM_MAX_TIMESLICE_MS / 2 * 1000000ULL,
		  svm_now_ns() - start);
	munmap(mem, LEN);
}

/*
 * A device whose memory is full
 */

#define SMALL_MEM	(2 * MB)
#define WORKING_SET	(4 * SMALL_MEM)

FIXTURE(full)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_VARIANT(full)
{
	const char *settings[4];
	bool huge;
};

FIXTURE_VARIANT_ADD(full, small) {
	.settings = { "mem_size=2M", "policy=first_touch" },
};
FIXTURE_VARIANT_ADD(full, huge) {
	.settings = { "mem_size=2M", "policy=first_touch" },
	.huge = true,
};
FIXTURE_VARIANT_ADD(full, no_eviction) {
	.settings = { "mem_size=2M", "policy=first_touch", "eviction=0" },
};

FIXTURE_SETUP(full)
{
	self->page = svm_page_size();
	open_set(_metadata, &self->svm, variant->settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(full)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static bool evicts(const FIXTURE_VARIANT(full) *variant)
{
	return !variant->settings[2];
}

SVM_TEST(full, four_times_oversubscribed)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	struct drm_vsvm_device_stats mark, stats;

	svm_pattern_fill(mem, WORKING_SET, 1);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < 2; i++) {
		RUN(self->q, svm_add(mem, WORKING_SET, 1));
	}
	SUMS_TO(pattern_sum(WORKING_SET, 1) + 2 * WORKING_SET / 8, self->q, mem,
		WORKING_SET);
	EXPECT_GE(SMALL_MEM, mem_used(_metadata, &self->svm));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LE(SMALL_MEM / self->page, stats.to_devmem);
	if (evicts(variant)) {
		EXPECT_LT(0, stats.mem_evictions);
		EXPECT_LT(0, stats.evicted);
	} else {
		EXPECT_EQ(0, stats.mem_evictions);
		EXPECT_LT(0, stats.fallbacks);
	}
	ASSERT_TRUE(is_pattern_plus(mem, WORKING_SET, 1, 2));
	munmap(mem, WORKING_SET);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/* To copy a byte takes two pages at once, and there is room for either's chunk */
SVM_TEST(full, copy_needs_more_than_fits)
{
	char *mem = map_pages(_metadata, 2 * SMALL_MEM, variant->huge);

	svm_pattern_fill(mem, 2 * SMALL_MEM, 7);
	RUN(self->q, svm_copy(mem + SMALL_MEM, mem, SMALL_MEM));
	IS_PATTERN(mem + SMALL_MEM, SMALL_MEM, 7);
	IS_PATTERN(mem, SMALL_MEM, 7);
	munmap(mem, 2 * SMALL_MEM);
}

static void prefetch_by_pages(struct __test_metadata *_metadata, struct svm *svm, char *mem,
			      unsigned int pages)
{
	size_t page = svm_page_size();

	for (unsigned int i = 0; i < pages; i++) {
		ASSERT_EQ(0, svm_prefetch(svm, mem + i * page, page, DEV(0), NULL))
			TH_LOG("page %u", i);
	}
}

/* What has to go for a piece of memory is of that piece, which then needs more */
SVM_TEST(full, pieces_become_one)
{
	char *mem = map_pages(_metadata, SMALL_MEM, variant->huge);
	char *pair = mem + 24 * self->page;
	char copy[self->page];

	svm_pattern_fill(mem, SMALL_MEM, 8);
	memcpy(copy, pair + self->page, self->page);
	prefetch_by_pages(_metadata, &self->svm, mem, 24);
	ASSERT_EQ(0, svm_prefetch(&self->svm, pair, 2 * self->page, DEV(0), NULL));
	ASSERT_EQ(0, madvise(pair + self->page, self->page, MADV_DONTNEED));
	memcpy(pair + self->page, copy, self->page);

	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mem, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 25, DEV(0), &self->svm, mem,
		 SMALL_MEM);
	IS_PATTERN(mem, SMALL_MEM, 8);
	munmap(mem, SMALL_MEM);
}

SVM_TEST(full, many_small_ones_go_for_a_large_one)
{
	char *mem = map_pages(_metadata, 2 * SMALL_MEM, variant->huge);

	svm_pattern_fill(mem, 2 * SMALL_MEM, 9);
	prefetch_by_pages(_metadata, &self->svm, mem, SMALL_MEM / self->page);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mem + SMALL_MEM, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 0, DEV(0), &self->svm,
		 mem + SMALL_MEM, SMALL_MEM);
	IS_PATTERN(mem, 2 * SMALL_MEM, 9);
	munmap(mem, 2 * SMALL_MEM);
}

SVM_TEST(full, prefetch_of_too_much)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	struct svm_moved moved;
	int err;

	svm_pattern_fill(mem, WORKING_SET, 2);
	err = svm_prefetch(&self->svm, mem, WORKING_SET, DEV(0), &moved);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC, err);
	EXPECT_LE(SMALL_MEM / self->page, moved.moved);
	COUNT_AT(SMALL_MEM / self->page, DEV(0), &self->svm, mem, WORKING_SET);

	/* What was used last is what is there */
	if (evicts(variant)) {
		ALL_AT(DEV(0), &self->svm, mem + WORKING_SET - LEN, LEN);
	} else {
		ALL_AT(DEV(0), &self->svm, mem, SMALL_MEM);
	}
	IS_PATTERN(mem, WORKING_SET, 2);
	munmap(mem, WORKING_SET);
}

/* A process with a share of the device that all others want too */
static int compete(size_t len, bool huge, unsigned int rounds, uint64_t seed)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);
	struct svm svm;

	if (!mem || svm_open_set(&svm, TEST_SET, 1))
		return 1;
	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	svm_pattern_fill(mem, len, seed);
	for (unsigned int i = 0; i < rounds; i++) {
		if (svm_run(&svm.queue[0], svm_add(mem, len, 1), NULL)) {
			ksft_print_msg("%s\n", svm_why());
			return 2;
		}
		/* A part of it comes back in between */
		if (!is_pattern_plus(mem, len / 8, seed, i + 1))
			return 3;
	}
	return is_pattern_plus(mem, len, seed, rounds) ? 0 : 4;
}

SVM_TEST(full, processes_compete)
{
	enum { PROCESSES = 3 };
	struct drm_vsvm_device_stats mark, stats;
	unsigned int rounds = svm_scaled(3);
	pid_t pid[PROCESSES];

	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(compete(SMALL_MEM, variant->huge, rounds, i));
		ASSERT_LT(0, pid[i]);
	}
	for (unsigned int i = 0; i < PROCESSES; i++) {
		EXPECT_TRUE(child_is_content(pid[i])) TH_LOG("process %u", i);
	}
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(evicts(variant), stats.mem_evictions > 0);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/*
 * Pages that outlive their process in a child, which knows nothing of devices:
 * they can be evicted all the same
 */
static int leave_pages_to_child(char *mem, size_t len, int go, int done)
{
	struct svm svm;
	pid_t pid;
	char c;

	svm_pattern_fill(mem, len, 3);
	if (svm_open_set(&svm, TEST_SET, 1) ||
	    svm_prefetch(&svm, mem, len, DEV(0), NULL) ||
	    svm_count_at(&svm, mem, len, DEV(0)) !=
	    (long)(len / svm_page_size()))
		return 1;
	pid = fork();
	if (pid)
		return pid < 0;

	svm_close(&svm);
	if (read(go, &c, 1) != 1)
		_exit(1);
	c = svm_pattern_check(mem, len, 3) < 0 ? 'y' : 'n';
	_exit(write(done, &c, 1) != 1);
}

SVM_TEST(full, orphaned_pages)
{
	char *mem = map_pages(_metadata, SMALL_MEM, variant->huge);
	char *mine = map_pages(_metadata, SMALL_MEM, variant->huge);
	int go[2], done[2];
	pid_t pid;
	char c = 0;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid)
		_exit(leave_pages_to_child(mem, SMALL_MEM, go[0], done[1]));
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	ASSERT_EQ(SMALL_MEM, mem_used(_metadata, &self->svm));

	svm_pattern_fill(mine, SMALL_MEM, 4);
	EXPECT_EQ(evicts(variant) ? 0 : -ENOSPC,
		  svm_prefetch(&self->svm, mine, SMALL_MEM, DEV(0), NULL));
	COUNT_AT(evicts(variant) ? SMALL_MEM / self->page : 0, DEV(0),
		 &self->svm, mine, SMALL_MEM);

	ASSERT_EQ(1, write(go[1], &c, 1));
	close(done[1]);
	ASSERT_EQ(1, read(done[0], &c, 1));
	EXPECT_EQ('y', c);
	IS_PATTERN(mine, SMALL_MEM, 4);
	munmap(mine, SMALL_MEM);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	close(go[0]);
	close(go[1]);
	close(done[0]);
	munmap(mem, SMALL_MEM);
}

/* Put this process where it may have only so much memory, then go on in @run */
static bool limit_memory(const char *dir, const char *limit)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	if (!svm_write_file(path, "+memory"))
		return false;
	snprintf(path, sizeof(path), "%s/svm", dir);
	if (mkdir(path, 0700))
		return false;
	snprintf(path, sizeof(path), "%s/svm/memory.max", dir);
	if (!svm_write_file(path, limit))
		return false;
	snprintf(path, sizeof(path), "%s/svm/cgroup.procs", dir);
	return svm_write_file(path, "0");
}

static int work_under_pressure(const char *dir, char *mem, size_t len)
{
	struct svm svm;

	if (!limit_memory(dir, "6M"))
		return 10;
	if (svm_open_set(&svm, TEST_SET, 1))
		return 1;
	svm_pattern_fill(mem, len, 5);
	if (svm_proc_field("/proc/self/status", "VmSwap") <= 0)
		return 2;
	for (unsigned int i = 0; i < 2; i++)
		if (svm_run(&svm.queue[0], svm_add(mem, len, 1), NULL)) {
			ksft_print_msg("%s\n", svm_why());
			return 3;
		}
	return is_pattern_plus(mem, len, 5, 2) ? 0 : 4;
}

SVM_TEST(full, more_than_ram_and_device_together)
{
	char *mem = map_pages(_metadata, WORKING_SET, variant->huge);
	char dir[] = "/tmp/drm_svm.XXXXXX", path[64];
	int status = 0;
	pid_t pid;

	if (!svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("none", dir, "cgroup2", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "no cgroup2: %s", strerror(errno));
	}
	pid = fork();
	if (!pid)
		_exit(work_under_pressure(dir, mem, WORKING_SET));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	snprintf(path, sizeof(path), "%s/svm", dir);
	EXPECT_EQ(0, rmdir(path));
	umount(dir);
	rmdir(dir);
	ASSERT_EQ(0, status) TH_LOG("status %#x", status);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	munmap(mem, WORKING_SET);
}

/*
 * The end of a process, and of a device
 */

FIXTURE(ending)
{
	struct svm svm;
	size_t page;
};

FIXTURE_VARIANT(ending)
{
	bool huge;
};

FIXTURE_VARIANT_ADD(ending, small) { .huge = false };
FIXTURE_VARIANT_ADD(ending, huge) { .huge = true };

FIXTURE_SETUP(ending)
{
	/* Copies take so long that there is a middle */
	static const char *const settings[] = {
		"mem_size=16M", "policy=first_touch", "devices=2",
		"copy_latency_us=20000", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 2);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

FIXTURE_TEARDOWN(ending)
{
	svm_close(&self->svm);
	forget_set();
	svm_set_remove(OTHER_SET);
}

static void prefetch_for_ever(char *mem, size_t len)
{
	struct svm svm;

	if (svm_open_set(&svm, TEST_SET, 1))
		_exit(1);
	for (unsigned int i = 0;; i++) {
		memset(mem, i, len);
		if (svm_prefetch(&svm, mem, len, DEV(0), NULL))
			_exit(2);
	}
}

SVM_TEST(ending, process_killed_in_mid_migration)
{
	char *mem = map_pages(_metadata, 8 * MB, variant->huge);
	unsigned int rounds = svm_scaled(4);

	for (unsigned int i = 1; i <= rounds; i++) {
		pid_t pid = fork();

		if (!pid)
			prefetch_for_ever(mem, 8 * MB);
		ASSERT_LT(0, pid);
		WAIT_FOR(mem_used(_metadata, &self->svm) >= i % 4 * LEN + 1);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	}
	check_stale(_metadata, &self->svm);
	munmap(mem, 8 * MB);
}

/* Exit as soon as all that the job works on is in device memory */
static void exit_with_job(char *mem, size_t len)
{
	size_t pages = len / svm_page_size();
	struct drm_vsvm_op op = svm_atomic_add(mem, pages, svm_page_size(), 1);
	uint64_t seqno;
	struct svm svm;

	op.repeat = ~0U;
	if (svm_open_set(&svm, TEST_SET, 1) ||
	    svm_submit(&svm.queue[0], &op, 1, &seqno))
		_exit(1);
	while (svm_count_at(&svm, mem, len, DEV(0)) != (long)pages)
		sched_yield();
	_exit(0);
}

SVM_TEST(ending, process_exits_with_jobs_on_its_pages)
{
	char *mem = map_pages(_metadata, LEN, variant->huge);
	pid_t pid = fork();

	if (!pid)
		exit_with_job(mem, LEN);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	check_stale(_metadata, &self->svm);
	munmap(mem, LEN);
}

/* It has a copy of the pages, and looks at it when the device is gone */
static pid_t fork_witness(const char *mem, size_t len, uint64_t seed)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (!access("/sys/kernel/config/vsvm/" TEST_SET, F_OK))
		sched_yield();
	_exit(svm_pattern_check(mem, len, seed) >= 0);
}

SVM_TEST(ending, device_removed)
{
	char *mem = map_pages(_metadata, 4 * LEN, variant->huge);
	uint64_t *words = (uint64_t *)(mem + 3 * LEN);
	struct svm_moved moved;
	uint64_t seqno[2], seen;
	pid_t pid;

	/* Pages on both devices, of two processes, and jobs that use them */
	svm_pattern_fill(mem, 3 * LEN, 1);
	move(_metadata, &self->svm, mem, 2 * LEN, DEV(0));
	move(_metadata, &self->svm, mem + 2 * LEN, LEN, DEV(1));
	pid = fork_witness(mem, 3 * LEN, 1);
	ASSERT_LT(0, pid);
	for (unsigned int i = 0; i < 2; i++) {
		struct drm_vsvm_op op = ENDLESS(words + i);

		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	WAIT_FOR(words[0] && words[1]);
	check_stale(_metadata, &self->svm);
	svm_set_remove(TEST_SET);
	seen = *(volatile uint64_t *)words;

	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(-ENODEV, svm_wait(&self->svm.queue[i], seqno[i],
					    NULL));
	}
	EXPECT_EQ(-ENODEV, svm_prefetch(&self->svm, mem, LEN, DEV(0), &moved));
	EXPECT_EQ(-ENODEV, svm_advise(&self->svm, mem, LEN, DEV(0), 0, 0));
	EXPECT_EQ(-ENODEV, svm_count_at(&self->svm, mem, LEN, DEV(0)));

	/* All data is back, and nobody changes it any more */
	IS_PATTERN(mem, 3 * LEN, 1);
	EXPECT_TRUE(child_is_content(pid));
	ASSERT_EQ(seen, *(volatile uint64_t *)words);
	munmap(mem, 4 * LEN);
}

SVM_TEST(ending, device_removed_in_mid_migration)
{
	char *mem = map_pages(_metadata, 8 * MB, variant->huge);
	struct svm_moved moved;
	int err = 0;
	pid_t pid;

	svm_pattern_fill(mem, 8 * MB, 2);
	pid = fork();
	if (!pid) {
		struct svm svm;

		if (svm_open_set(&svm, TEST_SET, 1))
			_exit(1);
		while (!err)
			err = svm_prefetch(&svm, mem, 8 * MB, DEV(0), &moved) ?:
			      svm_prefetch(&svm, mem, 8 * MB, RAM, &moved);
		_exit(err != -ENODEV || svm_pattern_check(mem, 8 * MB, 2) >= 0);
	}
	ASSERT_LT(0, pid);
	WAIT_FOR(mem_used(_metadata, &self->svm) >= 2 * LEN);
	svm_set_remove(TEST_SET);
	EXPECT_TRUE(child_is_content(pid));
	munmap(mem, 8 * MB);
}

/* One device of an address space goes; what was in its memory doesn't */
SVM_TEST(ending, one_device_of_two_removed)
{
	static const char *const settings[] = { "mem_size=4M", NULL };
	char *mem = map_pages(_metadata, 2 * LEN, variant->huge);
	struct svm svm;
	int fds[2];

	make_set(_metadata, OTHER_SET, settings);
	fds[0] = svm_set_open(TEST_SET, 0);
	fds[1] = svm_set_open(OTHER_SET, 0);
	ASSERT_EQ(0, svm_open_fds(&svm, fds, 2)) TH_LOG("%s", svm_why());
	svm_pattern_fill(mem, 2 * LEN, 3);
	move(_metadata, &svm, mem, LEN, DEV(0));
	move(_metadata, &svm, mem + LEN, LEN, DEV(1));
	svm_set_remove(OTHER_SET);
	EXPECT_EQ(-ENODEV, svm_prefetch(&svm, mem, LEN, DEV(0), NULL));
	svm_close(&svm);

	/* The other address space on the device that is left doesn't mind */
	RUN(&self->svm.queue[0], svm_add(mem, 2 * LEN, 1));
	ASSERT_TRUE(is_pattern_plus(mem, 2 * LEN, 3, 1));
	check_stale(_metadata, &self->svm);
	munmap(mem, 2 * LEN);
}

/*
 * Several devices, which reach each other's memory or don't
 */

FIXTURE(peers)
{
	struct svm svm;
	size_t page;
	unsigned int num;
};

FIXTURE_VARIANT(peers)
{
	const char *settings[5];
	unsigned int num;
	bool linked;
};

#define PEERS(devices, interconnect) {					\
	.settings = {							\
		"devices=" #devices, "interconnect=" #interconnect,	\
		"mem_size=8M", "policy=first_touch",			\
	},								\
	.num = (devices),						\
	.linked = (interconnect),					\
}

FIXTURE_VARIANT_ADD(peers, two_linked) PEERS(2, 1);
FIXTURE_VARIANT_ADD(peers, four_apart) PEERS(4, 0);

FIXTURE_SETUP(peers)
{
	self->page = svm_page_size();
	self->num = variant->num;
	open_set(_metadata, &self->svm, variant->settings, self->num);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

FIXTURE_TEARDOWN(peers)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

SVM_TEST(peers, memory_of_another_device)
{
	struct drm_vsvm_device_stats stats;

	for (unsigned int huge = 0; huge < 2; huge++) {
		char *mem = map_pages(_metadata, LEN, huge);

		svm_pattern_fill(mem, LEN, 1);
		move(_metadata, &self->svm, mem, LEN, DEV(0));
		SUMS_TO(pattern_sum(LEN, 1), &self->svm.queue[1], mem, LEN);
		RUN(&self->svm.queue[1], svm_add(mem, LEN, 1));
		ALL_AT(variant->linked ? DEV(0) : DEV(1), &self->svm, mem, LEN);
		RUN(&self->svm.queue[0], svm_add(mem, LEN, 1));
		ALL_AT(DEV(0), &self->svm, mem, LEN);
		ASSERT_TRUE(is_pattern_plus(mem, LEN, 1, 2));
		munmap(mem, LEN);
	}
	ASSERT_EQ(0, svm_stats_of(&self->svm, 1, &stats));
	EXPECT_EQ(variant->linked, stats.peer_pages > 0);
	EXPECT_EQ(variant->linked, stats.migrated_pages == 0);
}

SVM_TEST(peers, from_device_to_device)
{
	for (unsigned int huge = 0; huge < 2; huge++) {
		char *mem = map_pages(_metadata, LEN, huge);

		svm_pattern_fill(mem, LEN, 2);
		for (unsigned int i = 0; i < 2 * self->num; i++) {
			unsigned int device = i % self->num;

			move(_metadata, &self->svm, mem, LEN, DEV(device));
			RUN(&self->svm.queue[device], svm_add(mem, LEN, 1));
		}
		ASSERT_TRUE(is_pattern_plus(mem, LEN, 2, 2 * self->num));
		munmap(mem, LEN);
	}
}

SVM_TEST(peers, data_is_passed_on)
{
	size_t len = 128 * KB;
	char *mem = map_pages(_metadata, 2 * len, false);

	svm_pattern_fill(mem, len, 3);
	for (unsigned int i = 0; i < 4 * self->num; i++) {
		char *from = i % 2 ? mem + len : mem;
		char *to = i % 2 ? mem : mem + len;

		/* Each device adds to what the one before copied */
		RUN(&self->svm.queue[i % self->num], svm_copy(to, from, len));
		RUN(&self->svm.queue[(i + 1) % self->num], svm_add(to, len, 1));
		ASSERT_TRUE(!(i % 3) || is_pattern_plus(to, len, 3, i + 1));
	}
	munmap(mem, 2 * len);
}

SVM_TEST(peers, parts_on_each)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 4);
	for (size_t i = 0; i < pages; i += 32) {
		move(_metadata, &self->svm, mem + i * page, 16 * page,
		     DEV(i / 32 % self->num));
	}
	for (unsigned int i = 0; i < self->num; i++) {
		RUN(&self->svm.queue[i], svm_add(mem, LEN, 1));
	}
	/* All of it from wherever it is to one device */
	move(_metadata, &self->svm, mem, LEN, DEV(self->num - 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 4, self->num));
	munmap(mem, LEN);
}

struct puller {
	struct svm *svm;
	unsigned int device, rounds;
	char *mem;
	int err;
	pthread_t thread;
};

static void *pull(void *arg)
{
	struct puller *p = arg;

	for (unsigned int i = 0; i < p->rounds && !p->err; i++) {
		p->err = svm_prefetch(p->svm, p->mem, LEN, DEV(p->device),
				      NULL);
		if (!p->err)
			p->err = svm_run(&p->svm->queue[p->device],
					 svm_atomic_add(p->mem, 16,
							LEN / 16, 1), NULL);
	}
	return NULL;
}

SVM_TEST(peers, all_pull_the_same_pages)
{
	char *mem = map_pages(_metadata, LEN, false);
	unsigned int rounds = svm_scaled(5);
	struct puller p[DRM_VSVM_MAX_DEVICES];

	for (unsigned int i = 0; i < self->num; i++) {
		p[i] = (struct puller){
			.svm = &self->svm,
			.device = i,
			.rounds = rounds,
			.mem = mem,
		};
		ASSERT_EQ(0, pthread_create(&p[i].thread, NULL, pull, &p[i]));
	}
	for (unsigned int i = 0; i < rounds; i++)
		for (unsigned int w = 0; w < 16; w++)
			__atomic_fetch_add((uint64_t *)(mem + w * LEN / 16), 1,
					   __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < self->num; i++) {
		pthread_join(p[i].thread, NULL);
		EXPECT_EQ(0, p[i].err) TH_LOG("device %u", i);
	}
	for (unsigned int w = 0; w < 16; w++) {
		ASSERT_EQ((self->num + 1) * rounds,
			  *(uint64_t *)(mem + w * LEN / 16));
	}
	munmap(mem, LEN);
}

/* Atomics that each device can do in its own memory only */
SVM_TEST(peers, local_atomics_of_all_and_cpu)
{
	enum { WORDS = 4, MS = 2 };
	size_t stride = 16 * self->page;
	unsigned int rounds = svm_scaled(12);
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_op op = svm_atomic_add(mem, WORDS, stride, 1);
	struct drm_vsvm_device_stats stats;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];

	ASSERT_EQ(0, svm_advise(&self->svm, mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, MS))
		TH_LOG("%s", svm_why());
	op.repeat = rounds;
	for (unsigned int i = 0; i < self->num; i++) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	for (unsigned int i = 0; i < rounds; i++)
		for (unsigned int w = 0; w < WORDS; w++)
			__atomic_fetch_add((uint64_t *)(mem + w * stride), 1,
					   __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < self->num; i++) {
		ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i], NULL))
			TH_LOG("device %u: %s", i, svm_why());
	}
	ASSERT_EQ(0, svm_stats(&self->svm, &stats));
	EXPECT_LT(0, stats.atomic_faults);
	for (unsigned int w = 0; w < WORDS; w++) {
		ASSERT_EQ((self->num + 1) * rounds,
			  *(uint64_t *)(mem + w * stride));
	}
	munmap(mem, LEN);
}

SVM_TEST(peers, local_atomic_takes_it_away)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 5);
	ASSERT_EQ(0, svm_advise(&self->svm, mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(&self->svm.queue[1], svm_atomic_add(mem, 1, 0, 1));
	ALL_AT(DEV(1), &self->svm, mem, self->page);
	RUN(&self->svm.queue[0], svm_atomic_add(mem, 1, 0, 1));
	ALL_AT(DEV(0), &self->svm, mem, self->page);
	ASSERT_EQ(svm_pattern_word(5, 0) + 2, *(uint64_t *)mem);
	munmap(mem, LEN);
}

SVM_TEST(peers, local_atomic_on_a_file)
{
	size_t len = 64 * KB;
	int fd = svm_tmpfile(len, 6);
	char *mem;

	ASSERT_LE(0, fd);
	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, svm_advise(&self->svm, mem, len, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	RUN_FAILS(-EACCES, mem + 8, &self->svm.queue[0],
		  svm_atomic_add(mem + 8, 1, 0, 1));
	RUN_FAILS(-EACCES, mem + 8, &self->svm.queue[0],
		  svm_cas(mem + 8, 0, 1));

	/* What isn't atomic may go there as ever */
	RUN(&self->svm.queue[0], svm_add(mem, len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, len, 6, 1));
	ASSERT_EQ(0, svm_advise(&self->svm, mem, len, NOWHERE, 0, 0));
	RUN(&self->svm.queue[0], svm_atomic_add(mem, 1, 0, 1));
	ASSERT_EQ(svm_pattern_word(6, 0) + 2, *(uint64_t *)mem);
	munmap(mem, len);
	close(fd);
}

/* A page that never comes to rest: all that is around it is told to be left, no more */
struct restless {
	char *page;
	bool stop;
	pthread_t thread;
};

static void *drop_and_drop(void *arg)
{
	struct restless *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		madvise(r->page, svm_page_size(), MADV_DONTNEED);
	return NULL;
}

SVM_TEST(pages, prefetch_beside_a_restless_page)
{
	size_t len = 4 * LEN, pages = len / self->page;
	char *mem = map_pages(_metadata, len, false);
	struct restless r = { .page = mem + LEN + 5 * self->page };
	struct svm_moved moved;

	svm_pattern_fill(mem, len, 1);
	move(_metadata, &self->svm, mem, len, DEV(0));
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, drop_and_drop, &r));
	while (svm_count_at(&self->svm, r.page, self->page, DEV(0)) > 0)
		sched_yield();
	EXPECT_EQ(0, svm_prefetch(&self->svm, mem, len, RAM, &moved));
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(r.thread, NULL));

	TH_LOG("%llu moved, %llu resident, %llu left",
	       (unsigned long long)moved.moved,
	       (unsigned long long)moved.resident,
	       (unsigned long long)moved.left);
	/* The one page counts if the look at its chunk found no quiet moment */
	EXPECT_GE(pages, moved.moved + moved.resident + moved.left);
	EXPECT_LE(pages - 1, moved.moved + moved.resident + moved.left);
	ALL_AT(RAM, &self->svm, mem, LEN);
	ALL_AT(RAM, &self->svm, mem + 2 * LEN, 2 * LEN);
	IS_PATTERN(mem, LEN, 1);
	munmap(mem, len);
}

/*
 * Devices that a test makes as it needs them, with one piece of memory
 */

FIXTURE(several)
{
	size_t page;
	char *mem;
};

FIXTURE_SETUP(several)
{
	self->page = svm_page_size();
	self->mem = map_pages(_metadata, LEN, false);
}

FIXTURE_TEARDOWN(several)
{
	svm_set_remove(OTHER_SET);
	munmap(self->mem, LEN);
}

/* Queues that miss the same word together don't take it from each other */
SVM_TEST(several, local_atomics_of_many_queues)
{
	enum { QUEUES = 16, REPEAT = 1 << 15 };
	static const char *const settings[] = {
		"mem_size=64M", "policy=advice", "tlb_inval_latency_us=1000", NULL
	};
	struct drm_vsvm_op op = svm_atomic_add(self->mem, 1, 0, 1);
	struct svm_queue queue[QUEUES];
	struct drm_vsvm_device_stats stats;
	uint64_t seqno[QUEUES];
	struct svm svm;

	op.repeat = REPEAT;
	open_set(_metadata, &svm, settings, 1);
	ASSERT_EQ(0, svm_advise(&svm, self->mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	RUN(&svm.queue[0], svm_fill(self->mem, LEN, 0));
	for (unsigned int i = 0; i < QUEUES; i++) {
		ASSERT_EQ(0, svm_queue_create(&svm, 0, &queue[i]));
		ASSERT_EQ(0, svm_submit(&queue[i], &op, 1, &seqno[i]));
	}
	for (unsigned int i = 0; i < QUEUES; i++) {
		EXPECT_EQ(0, svm_wait(&queue[i], seqno[i], NULL))
			TH_LOG("queue %u: %s", i, svm_why());
	}
	ASSERT_EQ(0, svm_stats(&svm, &stats));
	EXPECT_GE(QUEUES, stats.upgrades);
	TH_LOG("%llu upgrades, %llu atomic faults, %llu spurious ones",
	       (unsigned long long)stats.upgrades,
	       (unsigned long long)stats.atomic_faults,
	       (unsigned long long)stats.spurious_faults);
	EXPECT_EQ(QUEUES * REPEAT, *(uint64_t *)self->mem);
	check_stale(_metadata, &svm);
	svm_close(&svm);
}

/* Two sets of devices: what one heeds is none of the other's business */
SVM_TEST(several, local_atomics_of_one_device_only)
{
	static const char *const system[] = { "mem_size=8M", "policy=system", NULL };
	static const char *const advice[] = { "mem_size=8M", "policy=advice", NULL };

	for (unsigned int first = 0; first < 2; first++) {
		struct svm_queue *a, *b;
		struct svm_outcome out;
		struct svm svm;
		int fds[2];

		forget_set();
		make_set(_metadata, TEST_SET, system);
		make_set(_metadata, OTHER_SET, advice);
		fds[first] = svm_set_open(TEST_SET, 0);
		fds[!first] = svm_set_open(OTHER_SET, 0);
		ASSERT_EQ(0, svm_open_fds(&svm, fds, 2)) TH_LOG("%s", svm_why());
		a = &svm.queue[first];
		b = &svm.queue[!first];

		ASSERT_EQ(0, svm_advise(&svm, self->mem, LEN, NOWHERE,
					DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
		/* Mapped for both by the one, used by the other */
		RUN(b, svm_fill(self->mem, LEN, 1));
		EXPECT_EQ(0, svm_run(a, svm_atomic_add(self->mem, 1, 0, 1), &out))
			TH_LOG("%s", svm_why());
		EXPECT_GT(4, out.faults);
		/* And the other way round */
		RUN(b, svm_atomic_add(self->mem, 1, 0, 1));
		ALL_AT(DEV(!first), &svm, self->mem, self->page);
		EXPECT_EQ(0, svm_run(a, svm_atomic_add(self->mem, 1, 0, 1), &out))
			TH_LOG("%s", svm_why());
		EXPECT_GT(4, out.faults);
		EXPECT_EQ(4, *(uint64_t *)self->mem);
		check_stale(_metadata, &svm);
		svm_close(&svm);
		forget_set();
		svm_set_remove(OTHER_SET);
	}
}

/*
 * Advice: where memory lands that device 0 touches
 */

enum { ADVICE_NONE, ADVICE_SYSTEM, ADVICE_OWN, ADVICE_OTHER, NUM_ADVICE };

static const uint32_t advice_location[NUM_ADVICE] = {
	[ADVICE_NONE] = NOWHERE,
	[ADVICE_SYSTEM] = RAM,
	[ADVICE_OWN] = DEV(0),
	[ADVICE_OTHER] = DEV(1),
};

FIXTURE(advised)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_VARIANT(advised)
{
	const char *settings[4];
	uint32_t lands[NUM_ADVICE];
};

FIXTURE_VARIANT_ADD(advised, system) {
	.settings = { "devices=2", "mem_size=8M", "policy=system" },
	.lands = { RAM, RAM, RAM, RAM },
};
FIXTURE_VARIANT_ADD(advised, advice) {
	.settings = { "devices=2", "mem_size=8M", "policy=advice" },
	.lands = { RAM, RAM, DEV(0), DEV(1) },
};
FIXTURE_VARIANT_ADD(advised, first_touch) {
	.settings = { "devices=2", "mem_size=8M", "policy=first_touch" },
	.lands = { DEV(0), RAM, DEV(0), DEV(1) },
};

FIXTURE_SETUP(advised)
{
	self->page = svm_page_size();
	open_set(_metadata, &self->svm, variant->settings, 2);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(advised)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static void advise(struct __test_metadata *_metadata, struct svm *svm, void *mem,
		   size_t len, unsigned int advice)
{
	ASSERT_EQ(0, svm_advise(svm, mem, len, advice_location[advice], 0, 0))
		TH_LOG("%s", svm_why());
}

SVM_TEST(advised, decides_where_memory_lands)
{
	for (unsigned int i = 0; i < NUM_ADVICE; i++) {
		char *mem = map_pages(_metadata, LEN, i % 2);

		svm_pattern_fill(mem, LEN, i);
		advise(_metadata, &self->svm, mem, LEN, i);
		ALL_AT(RAM, &self->svm, mem, LEN);
		RUN(self->q, svm_add(mem, LEN, 1));
		ALL_AT(variant->lands[i], &self->svm, mem, LEN);
		ASSERT_TRUE(is_pattern_plus(mem, LEN, i, 1));
		munmap(mem, LEN);
	}
}

SVM_TEST(advised, can_be_taken_back)
{
	char *mem = map_pages(_metadata, LEN, false);

	advise(_metadata, &self->svm, mem, LEN, ADVICE_OTHER);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_NONE);
	RUN(self->q, svm_add(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_NONE], &self->svm, mem, LEN);
	munmap(mem, LEN);
}

SVM_TEST(advised, counts_for_its_addresses_only)
{
	size_t part = LEN / 4;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 1);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	advise(_metadata, &self->svm, mem, 2 * part, ADVICE_OWN);
	advise(_metadata, &self->svm, mem + part, 2 * part, ADVICE_OTHER);
	RUN(self->q, svm_add(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_OWN], &self->svm, mem, part);
	ALL_AT(variant->lands[ADVICE_OTHER], &self->svm, mem + part, 2 * part);
	ALL_AT(variant->lands[ADVICE_SYSTEM], &self->svm, mem + 3 * part, part);
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 1, 1));
	munmap(mem, LEN);
}

SVM_TEST(advised, counts_where_memory_is_mapped_already)
{
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;

	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	RUN(self->q, svm_fill(mem, LEN, 1));
	ALL_AT(RAM, &self->svm, mem, LEN);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_OWN);
	ALL_AT(RAM, &self->svm, mem, LEN);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	RUN(self->q, svm_add(mem, LEN, 1));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LT(0, stats.write_faults);
	ALL_AT(variant->lands[ADVICE_OWN], &self->svm, mem, LEN);
	IS_VALUE(mem, LEN, 2);
	munmap(mem, LEN);
}

SVM_TEST(advised, outlives_the_mapping)
{
	char *mem = map_pages(_metadata, LEN, false);

	advise(_metadata, &self->svm, mem, LEN, ADVICE_OTHER);
	ASSERT_EQ(mem, mmap(mem, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	RUN(self->q, svm_fill(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_OTHER], &self->svm, mem, LEN);
	IS_VALUE(mem, LEN, 1);
	munmap(mem, LEN);
}

SVM_TEST(advised, prefetch_goes_where_it_is_told)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 2);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	move(_metadata, &self->svm, mem, LEN, DEV(1));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	move(_metadata, &self->svm, mem, LEN, RAM);
	IS_PATTERN(mem, LEN, 2);
	munmap(mem, LEN);
}

/*
 * Races: pages move to the device and back while something else happens to them
 */

enum race {
	RACE_TOUCH,
	RACE_UNMAP,
	RACE_FORK,
	RACE_PROTECT,
	RACE_MOVE,
	RACE_DONTNEED,
	RACE_PAGEOUT,
	RACE_COLLAPSE,
	RACE_PIN,
};

FIXTURE(race)
{
	struct svm svm;
	size_t page;
	char *mem, *spare;
};

FIXTURE_VARIANT(race)
{
	enum race kind;
};

FIXTURE_VARIANT_ADD(race, touch) { .kind = RACE_TOUCH };
FIXTURE_VARIANT_ADD(race, unmap) { .kind = RACE_UNMAP };
FIXTURE_VARIANT_ADD(race, fork) { .kind = RACE_FORK };
FIXTURE_VARIANT_ADD(race, protect) { .kind = RACE_PROTECT };
FIXTURE_VARIANT_ADD(race, move) { .kind = RACE_MOVE };
FIXTURE_VARIANT_ADD(race, dontneed) { .kind = RACE_DONTNEED };
FIXTURE_VARIANT_ADD(race, pageout) { .kind = RACE_PAGEOUT };
FIXTURE_VARIANT_ADD(race, collapse) { .kind = RACE_COLLAPSE };
FIXTURE_VARIANT_ADD(race, pin) { .kind = RACE_PIN };

FIXTURE_SETUP(race)
{
	/* Less than what the test works on: evictions join in */
	static const char *const settings[] = {
		"mem_size=2M", "policy=advice", NULL
	};

	self->page = svm_page_size();
	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->mem = map_pages(_metadata, 2 * LEN, false);
	self->spare = map_pages(_metadata, 2 * LEN, false);
	madvise(self->mem, LEN, MADV_HUGEPAGE);
	svm_want_swap();
}

FIXTURE_TEARDOWN(race)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

struct mover {
	struct svm *svm;
	char *mem;
	bool stop;
	int err;
	unsigned int rounds;
	pthread_t thread;
};

static void *move_about(void *arg)
{
	struct mover *m = arg;
	struct svm_rand rand = { .state = 4 };
	size_t page = svm_page_size();

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED) && !m->err) {
		size_t len = (svm_rand_below(&rand, 512) + 1) * page;
		size_t at = svm_rand_below(&rand, (2 * LEN - len) / page + 1);

		m->err = svm_prefetch(m->svm, m->mem + at * page, len,
				      svm_rand_below(&rand, 4) ? DEV(0) : RAM,
				      NULL);
		/* What others hold just now can't be evicted */
		if (m->err == -ENOSPC)
			m->err = 0;
		__atomic_fetch_add(&m->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void stop_moving(struct __test_metadata *_metadata, struct mover *mover)
{
	WAIT_FOR(__atomic_load_n(&mover->rounds, __ATOMIC_RELAXED));
	__atomic_store_n(&mover->stop, true, __ATOMIC_RELAXED);
	pthread_join(mover->thread, NULL);
	EXPECT_EQ(0, mover->err) TH_LOG("%s", strerror(-mover->err));
}

/*
 * Do something to the pages [at, at + len) that have the pattern of @seed, then
 * give them this pattern anew if it took it away. What was to be seen meanwhile?
 */
static bool race_once(enum race kind, char *at, char *spare, size_t len,
		      uint64_t seed)
{
	pid_t pid;
	int pin;

	switch (kind) {
	case RACE_TOUCH:
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_UNMAP:
		if (munmap(at, len) ||
		    mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
			return false;
		return svm_value_check(at, len, 0) < 0;
	case RACE_FORK:
		pid = fork();
		if (!pid)
			_exit(svm_pattern_check(at, len, seed) >= 0);
		svm_pattern_fill(at, len, seed + 1);
		return pid > 0 && child_is_content(pid);
	case RACE_PROTECT:
		return !mprotect(at, len, PROT_READ) &&
		       svm_pattern_check(at, len, seed) < 0 &&
		       !mprotect(at, len, PROT_READ | PROT_WRITE);
	case RACE_MOVE:
		return mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			      spare) == spare &&
		       svm_pattern_check(spare, len, seed) < 0 &&
		       mremap(spare, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			      at) == at;
	case RACE_DONTNEED:
		return !madvise(at, len, MADV_DONTNEED) &&
		       svm_value_check(at, len, 0) < 0;
	case RACE_PAGEOUT:
		madvise(at, len, MADV_PAGEOUT);
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_COLLAPSE:
		madvise(at, len, MADV_COLLAPSE);
		return svm_pattern_check(at, len, seed) < 0;
	case RACE_PIN:
		pin = svm_pin(at, len);
		if (pin == -EFAULT)
			return false;
		svm_pattern_fill(at, len, seed);
		if (pin >= 0)
			svm_unpin(pin);
		return svm_pattern_check(at, len, seed) < 0;
	}
	return false;
}

SVM_TEST(race, data_stays_right)
{
	struct mover mover = { .svm = &self->svm, .mem = self->mem };
	uint64_t deadline = svm_deadline_ms(RACE_MS / 10);
	unsigned int rounds = svm_scaled(40);
	struct svm_rand rand = { .state = variant->kind };

	ASSERT_EQ(0, pthread_create(&mover.thread, NULL, move_about, &mover));
	for (unsigned int i = 0; i < rounds && !svm_past(deadline); i++) {
		size_t len = (svm_rand_below(&rand, 48) + 1) * self->page;
		size_t at = svm_rand_below(&rand, (2 * LEN - len) / self->page);

		if (variant->kind == RACE_COLLAPSE) {
			len = LEN;
			at = i % 2 * LEN / self->page;
		}
		svm_pattern_fill(self->mem + at * self->page, len, i);
		EXPECT_TRUE(race_once(variant->kind,
				      self->mem + at * self->page, self->spare,
				      len, i)) {
			TH_LOG("round %u", i);
			break;
		}
	}
	stop_moving(_metadata, &mover);
}

/* The device and the CPU add in turn, and the memory moves all the time */
SVM_TEST(moved, every_addition_counts)
{
	struct mover mover = { .svm = &self->svm };
	uint64_t deadline = svm_deadline_ms(RACE_MS / 6);
	unsigned int rounds = svm_scaled(6), done = 0;
	size_t len = 64 * self->page;
	char *at;

	mover.mem = map_pages(_metadata, 2 * LEN, self->huge);
	at = mover.mem + LEN - len / 2;
	ASSERT_EQ(0, pthread_create(&mover.thread, NULL, move_about, &mover));
	for (; done < rounds && !svm_past(deadline); done++) {
		RUN(self->q, svm_add(at, len, 1));
		for (size_t w = 0; w < len / 8; w++)
			((uint64_t *)at)[w]++;
	}
	stop_moving(_metadata, &mover);
	IS_VALUE(at, len, 2 * done);
	munmap(mover.mem, 2 * LEN);
}

/*
 * Bad arguments
 */

FIXTURE(arguments)
{
	struct svm svm;
	char *mem;
};

FIXTURE_SETUP(arguments)
{
	static const char *const settings[] = { "mem_size=2M", NULL };

	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->mem = map_pages(_metadata, LEN, false);
}

FIXTURE_TEARDOWN(arguments)
{
	svm_close(&self->svm);
}

#define PREFETCH_IS(error, field, value) do {				\
	struct drm_vsvm_prefetch arg_ = {				\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.location = DEV(0),					\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_PREFETCH, \
				   &arg_))				\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_prefetch)
{
	PREFETCH_IS(0, timeslice_ms, 0);
	PREFETCH_IS(0, location, RAM);
	PREFETCH_IS(-ENOENT, vm_id, self->svm.vm + 1);
	PREFETCH_IS(-EINVAL, flags, 1);
	PREFETCH_IS(-EINVAL, size, 0);
	PREFETCH_IS(-EINVAL, size, LEN - 1);
	PREFETCH_IS(-EINVAL, size, 0ULL - svm_page_size());
	PREFETCH_IS(-EINVAL, size, 1ULL << 63);
	PREFETCH_IS(-EINVAL, start, svm_addr(self->mem) + 8);
	PREFETCH_IS(-EINVAL, start, TOP);
	PREFETCH_IS(-EINVAL, start, TOP - svm_page_size());
	PREFETCH_IS(-EINVAL, start, 0ULL - svm_page_size());
	PREFETCH_IS(-EINVAL, location, NOWHERE);
	PREFETCH_IS(-EINVAL, location, 2);
	PREFETCH_IS(-EINVAL, location, DEV(0) - 1);
	PREFETCH_IS(-EINVAL, location, DEV(1));
	PREFETCH_IS(-EINVAL, location, DEV(DRM_VSVM_MAX_DEVICES));
	PREFETCH_IS(-EINVAL, location, ~0U);
	PREFETCH_IS(-EINVAL, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS + 1);
}

#define ADVISE_IS(error, field, value) do {				\
	struct drm_vsvm_advise arg_ = {					\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.location = DEV(0),					\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_ADVISE,	\
				   &arg_))				\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_advise)
{
	ADVISE_IS(0, flags, DRM_VSVM_ADVISE_ATOMIC_LOCAL);
	ADVISE_IS(0, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS);
	ADVISE_IS(0, location, RAM);
	ADVISE_IS(0, location, NOWHERE);
	ADVISE_IS(-ENOENT, vm_id, self->svm.vm + 1);
	ADVISE_IS(-EINVAL, flags, 2);
	ADVISE_IS(-EINVAL, flags, ~0U);
	ADVISE_IS(-EINVAL, size, 0);
	ADVISE_IS(-EINVAL, size, LEN - 1);
	ADVISE_IS(-EINVAL, size, 0ULL - svm_page_size());
	ADVISE_IS(-EINVAL, start, svm_addr(self->mem) + 8);
	ADVISE_IS(-EINVAL, start, TOP);
	ADVISE_IS(-EINVAL, start, 0ULL - svm_page_size());
	ADVISE_IS(-EINVAL, location, 2);
	ADVISE_IS(-EINVAL, location, DEV(1));
	ADVISE_IS(-EINVAL, location, ~0U);
	ADVISE_IS(-EINVAL, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS + 1);
}

#define PLACEMENT_IS(error, field, value) do {				\
	struct drm_vsvm_placement arg_ = {				\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.pages = svm_addr(place),				\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd,			\
				   DRM_IOCTL_VSVM_PLACEMENT, &arg_))	\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_placement)
{
	size_t page = svm_page_size();
	uint8_t place[LEN / page];

	PLACEMENT_IS(0, flags, 0);
	PLACEMENT_IS(-ENOENT, vm_id, self->svm.vm + 1);
	PLACEMENT_IS(-EINVAL, flags, 1);
	PLACEMENT_IS(-EINVAL, size, 0);
	PLACEMENT_IS(-EINVAL, size, page / 2);
	PLACEMENT_IS(-EINVAL, size, 0ULL - page);
	PLACEMENT_IS(-EINVAL, size, DRM_VSVM_MAX_PLACEMENT + page);
	PLACEMENT_IS(-EINVAL, start, svm_addr(self->mem) + 1);
	PLACEMENT_IS(-EINVAL, start, TOP);
	PLACEMENT_IS(-EINVAL, start, 0ULL - page);
	PLACEMENT_IS(-EFAULT, pages, 0);
	PLACEMENT_IS(-EFAULT, pages, svm_addr(pattern_sum));
}

/* A window of addresses: nothing outside of it moves or is told */
SVM_TEST(arguments, outside_of_the_window)
{
	uint8_t place[2];
	struct svm svm;
	int fd = svm_set_open(TEST_SET, 0);
	struct drm_vsvm_vm_create create = {
		.va_start = svm_addr(self->mem),
		.va_size = LEN / 2,
	};

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, svm_ioctl(fd, DRM_IOCTL_VSVM_VM_CREATE, &create));
	svm = (struct svm){ .fd = fd, .vm = create.vm_id, .num_devices = 1 };
	EXPECT_EQ(0, svm_prefetch(&svm, self->mem, LEN / 2, DEV(0), NULL));
	EXPECT_EQ(-EINVAL, svm_prefetch(&svm, self->mem, LEN, DEV(0), NULL));
	EXPECT_EQ(-EINVAL, svm_advise(&svm, self->mem + LEN / 2, LEN / 2,
				      DEV(0), 0, 0));
	EXPECT_EQ(0, svm_placement(&svm, self->mem, svm_page_size(), place));
	EXPECT_EQ(DEV(0), place[0]);
	EXPECT_EQ(-EINVAL,
		  svm_placement(&svm, self->mem + LEN / 2 - svm_page_size(),
				2 * svm_page_size(), place));
	close(fd);
}

SVM_TEST(arguments, of_another_process)
{
	pid_t pid = fork();

	if (!pid) {
		uint8_t place;

		_exit((svm_prefetch(&self->svm, self->mem, LEN, DEV(0), NULL) !=
		       -EPERM) |
		      (svm_advise(&self->svm, self->mem, LEN, DEV(0), 0, 0) !=
		       -EPERM) << 1 |
		      (svm_placement(&self->svm, self->mem, svm_page_size(),
				     &place) != -EPERM) << 2);
	}
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
}

SVM_TEST(arguments, device_without_memory)
{
	static const char *const settings[] = { "mem_size=0", NULL };
	struct drm_vsvm_query query;
	struct svm_moved moved;
	struct svm svm;

	make_set(_metadata, OTHER_SET, settings);
	EXPECT_EQ(0, svm_open_set(&svm, OTHER_SET, 1)) TH_LOG("%s", svm_why());
	EXPECT_EQ(0, svm_query(svm.fd, &query));
	EXPECT_EQ(0, query.mem_size);
	EXPECT_EQ(-EINVAL, svm_prefetch(&svm, self->mem, LEN, DEV(0), &moved));
	EXPECT_EQ(-EINVAL, svm_advise(&svm, self->mem, LEN, DEV(0), 0, 0));
	svm_pattern_fill(self->mem, LEN, 1);
	EXPECT_EQ(0, svm_run(&svm.queue[0], svm_add(self->mem, LEN, 1), NULL));
	EXPECT_TRUE(is_pattern_plus(self->mem, LEN, 1, 1));

	/* It can read, but not see where, what is in memory of a stranger */
	move(_metadata, &self->svm, self->mem, LEN, DEV(0));
	EXPECT_EQ(0, svm_count_at(&svm, self->mem, LEN, RAM));
	EXPECT_EQ(0, svm_run(&svm.queue[0], svm_add(self->mem, LEN, 1), NULL));
	EXPECT_TRUE(is_pattern_plus(self->mem, LEN, 1, 2));
	svm_close(&svm);
	svm_set_remove(OTHER_SET);
}

/* Programs that were built when there were fewer counters */
SVM_TEST(arguments, short_stats)
{
	uint64_t counters[3] = { 0, 0, ~0ULL };
	struct drm_vsvm_stats arg = {
		.vm_id = self->svm.vm,
		.size = 2 * sizeof(*counters),
		.stats = svm_addr(counters),
	};

	RUN(&self->svm.queue[0], svm_sum(self->mem, LEN));
	ASSERT_EQ(0, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_STATS, &arg));
	EXPECT_EQ(2 * sizeof(*counters), arg.size);
	EXPECT_LT(0, counters[0]);
	EXPECT_EQ(~0ULL, counters[2]);
}

SVM_TEST(arguments, settings_that_cannot_be)
{
	static const char *const bad[] = {
		"mem_size=1M", "mem_size=128G", "mem_size=x", "policy=none",
		"fault_window=3K", "fault_window=4M", "fault_window=0",
		"interconnect=2x", "eviction=maybe", "timeslice_ms=10001",
		"copy_latency_us=1000001", "copy_bandwidth=-1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *const settings[] = { bad[i], NULL };

		svm_set_remove(OTHER_SET);
		EXPECT_EQ(-EINVAL, svm_set_make(OTHER_SET, settings))
			TH_LOG("%s", bad[i]);
	}
}

TEST_HARNESS_MAIN
