// SPDX-License-Identifier: GPL-2.0
/*
 * Shared virtual memory as a process sees it, tested on the virtual SVM device.
 *
 * In this order: kinds of memory; what reads and writes do to pages; changes of
 * the address space between jobs, and under them; several devices; threads,
 * processes and their ends; queues, fences and bad arguments.
 *
 * Data is checked after every step. The device refuses and counts accesses by
 * translations that were taken away: no test may leave such a count. Loops that
 * look for races are bounded by a count, which SVM_SCALE multiplies, and by
 * RACE_MS; nothing sleeps in place of a condition.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_harness.h"

/* One device, one queue */
FIXTURE(device)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_SETUP(device)
{
	self->page = svm_page_size();
	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(device)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/*
 * Kinds of memory
 */

static uint64_t data_words[1024] = { 1, 2, 3 };
static uint64_t bss_words[4096];
static const uint64_t const_words[1024] = { [0 ... 1023] = 0x1234567 };

/* The device fills it, adds to it and reads it; the CPU checks and answers */
static void use_memory(struct __test_metadata *_metadata, struct svm_queue *q,
		       void *mem, size_t len)
{
	svm_pattern_fill(mem, len, 1);
	SUMS_TO(pattern_sum(len, 1), q, mem, len);

	RUN(q, svm_fill(mem, len, 40));
	IS_VALUE(mem, len, 40);

	RUN(q, svm_add(mem, len, 2));
	IS_VALUE(mem, len, 42);

	svm_pattern_fill(mem, len, 2);
	SUMS_TO(pattern_sum(len, 2), q, mem, len);
}

SVM_TEST(device, query)
{
	struct drm_vsvm_query query;

	ASSERT_EQ(0, svm_query(self->svm.fd, &query)) TH_LOG("%s", svm_why());
	EXPECT_LT(query.device_index, query.num_devices);
	EXPECT_LE(query.num_devices, svm_count_devices());
	EXPECT_EQ(DRM_VSVM_VA_BITS, query.va_bits);
	EXPECT_GE(query.fault_workers, 1);
	EXPECT_EQ(0, query.notifier_size & (query.notifier_size - 1));
	ASSERT_GE(query.num_chunks, 1);
	ASSERT_LE(query.num_chunks, DRM_VSVM_MAX_CHUNKS);
	for (unsigned int i = 0; i < query.num_chunks; i++) {
		uint64_t size = query.chunk_sizes[i];

		EXPECT_EQ(0, size & (size - 1));
		EXPECT_GE(size, self->page);
		if (i) {
			EXPECT_LT(size, query.chunk_sizes[i - 1]);
		}
	}
	EXPECT_GE(query.notifier_size, query.chunk_sizes[0]);
}

SVM_TEST(device, malloc_memory)
{
	/* From the heap of small blocks, and mappings of their own */
	static const size_t sizes[] = { 16, 4080, 100 * KB, 3 * MB };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *mem = malloc(sizes[i]);

		ASSERT_NE(NULL, mem);
		use_memory(_metadata, self->q, mem, sizes[i]);
		free(mem);
	}
}

SVM_TEST(device, malloc_and_free_many)
{
	unsigned int rounds = svm_scaled(40);

	for (unsigned int i = 0; i < rounds; i++) {
		size_t len = (i % 7 + 1) * 48 * KB;
		void *mem = malloc(len);

		ASSERT_NE(NULL, mem);
		RUN(self->q, svm_fill(mem, len, i + 1));
		IS_VALUE(mem, len, i + 1);
		free(mem);
	}
}

SVM_TEST(device, stack_memory)
{
	uint64_t words[6 * KB];

	use_memory(_metadata, self->q, words, sizeof(words));
}

SVM_TEST(device, globals)
{
	ASSERT_EQ(3, data_words[2]);
	use_memory(_metadata, self->q, data_words, sizeof(data_words));
	SUMS_TO(0, self->q, bss_words, sizeof(bss_words));
	use_memory(_metadata, self->q, bss_words, sizeof(bss_words));
}

SVM_TEST(device, constants_are_readable)
{
	uint64_t copy[ARRAY_SIZE(const_words)];

	SUMS_TO(0x1234567ULL * ARRAY_SIZE(const_words), self->q, const_words,
		sizeof(const_words));
	RUN(self->q, svm_copy(copy, const_words, sizeof(copy)));
	ASSERT_EQ(0, memcmp(copy, const_words, sizeof(copy)));
}

SVM_TEST(device, constants_are_not_writable)
{
	RUN_FAILS(-EPERM, const_words, self->q,
		  svm_fill((void *)const_words, 8, 1));
	RUN_FAILS(-EPERM, &const_words[5], self->q,
		  svm_cas((void *)&const_words[5], 0x1234567, 1));

	/* Also when it is mapped for reading already */
	SUMS_TO(0x1234567ULL * ARRAY_SIZE(const_words), self->q, const_words,
		sizeof(const_words));
	RUN_FAILS(-EPERM, const_words, self->q,
		  svm_fill((void *)const_words, 8, 1));
	IS_VALUE(const_words, sizeof(const_words), 0x1234567);
}

SVM_TEST(device, program_text_is_readable)
{
	char copy[64];

	RUN(self->q, svm_copy(copy, (void *)use_memory, sizeof(copy)));
	ASSERT_EQ(0, memcmp(copy, (void *)use_memory, sizeof(copy)));
	RUN_FAILS(-EPERM, use_memory, self->q,
		  svm_fill((void *)use_memory, 8, 0));
}

SVM_TEST(device, literals_are_readable)
{
	const char *text = "a string that the compiler put where it likes";
	char copy[64];

	RUN(self->q, svm_copy(copy, text, strlen(text) + 1));
	ASSERT_STREQ(text, copy);
}

SVM_TEST(device, file_read_only)
{
	static const int kinds[] = { MAP_PRIVATE, MAP_SHARED };
	size_t len = 256 * KB;
	int fd = svm_tmpfile(len, 5);
	char path[64];
	int ro;

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY);
	ASSERT_LE(0, ro);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char *mem = svm_map_file(ro, len, PROT_READ, kinds[i]);

		ASSERT_NE(NULL, mem);
		SUMS_TO(pattern_sum(len, 5), self->q, mem, len);
		RUN_FAILS(-EPERM, mem + 8 * KB, self->q,
			  svm_fill(mem + 8 * KB, 8, 1));
		IS_PATTERN(mem, len, 5);
		munmap(mem, len);
	}
	close(ro);
	close(fd);
}

/* What read() gets from the file, where a mapping may differ */
static bool file_is(int fd, size_t len, bool pattern, uint64_t seed)
{
	void *data = malloc(len);
	bool ok = data && pread(fd, data, len, 0) == (ssize_t)len;

	if (ok)
		ok = (pattern ? svm_pattern_check(data, len, seed) :
				svm_value_check(data, len, seed)) < 0;
	free(data);
	return ok;
}

SVM_TEST(device, file_private)
{
	size_t len = 256 * KB;
	int fd = svm_tmpfile(len, 6);
	char *mem;

	ASSERT_LE(0, fd);
	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, mem);
	SUMS_TO(pattern_sum(len, 6), self->q, mem, len);

	/* The device writes to copies: the file keeps what it had */
	RUN(self->q, svm_fill(mem, len, 99));
	IS_VALUE(mem, len, 99);
	ASSERT_TRUE(file_is(fd, len, true, 6));
	munmap(mem, len);
	close(fd);
}

static void use_shared_file(struct __test_metadata *_metadata,
			    struct svm_queue *q, int fd, size_t len)
{
	uint64_t word = 0xabcdef;
	char *mem;

	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, mem);
	SUMS_TO(pattern_sum(len, 7), q, mem, len);

	RUN(q, svm_fill(mem, len, 77));
	IS_VALUE(mem, len, 77);
	ASSERT_TRUE(file_is(fd, len, false, 77));

	/* And the other way: the device reads what write() wrote */
	ASSERT_EQ(8, pwrite(fd, &word, 8, len / 2));
	SUMS_TO(word, q, mem + len / 2, 8);
	munmap(mem, len);
}

SVM_TEST(device, file_shared)
{
	int fd = svm_tmpfile(256 * KB, 7);

	ASSERT_LE(0, fd);
	use_shared_file(_metadata, self->q, fd, 256 * KB);
	close(fd);
}

SVM_TEST(device, memfd)
{
	size_t len = 256 * KB;
	int fd = memfd_create("svm", MFD_CLOEXEC);
	char *mem;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, len));
	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, mem);

	/* The first touch of a hole is the device's */
	RUN(self->q, svm_fill(mem, len, 3));
	ASSERT_TRUE(file_is(fd, len, false, 3));
	svm_pattern_fill(mem, len, 7);
	munmap(mem, len);
	use_shared_file(_metadata, self->q, fd, len);
	close(fd);
}

SVM_TEST(device, file_end)
{
	size_t page = self->page;
	int fd = svm_tmpfile(page + 512, 8);
	char *mem;

	/* Sixteen pages of mapping, two of file, and a break in the second */
	ASSERT_LE(0, fd);
	mem = svm_map_file(fd, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, mem);

	/* What lies behind the end must not spoil what lies before it */
	SUMS_TO(pattern_sum(page + 512, 8), self->q, mem, 2 * page);
	RUN(self->q, svm_fill(mem, page, 1));
	IS_VALUE(mem, page, 1);

	RUN_FAILS(-EFAULT, mem + 2 * page, self->q,
		  svm_sum(mem + 2 * page, page));
	RUN_FAILS(-EFAULT, mem + 2 * page, self->q, svm_fill(mem, 3 * page, 2));
	IS_VALUE(mem, 2 * page, 2);

	/* The file grows: what was an error becomes memory */
	ASSERT_EQ(0, ftruncate(fd, 16 * page));
	RUN(self->q, svm_fill(mem, 16 * page, 3));
	IS_VALUE(mem, 16 * page, 3);

	/* And shrinks under the device's mapping */
	ASSERT_EQ(0, ftruncate(fd, 4 * page));
	RUN_FAILS(-EFAULT, mem + 4 * page, self->q,
		  svm_fill(mem, 16 * page, 4));
	IS_VALUE(mem, 4 * page, 4);
	munmap(mem, 16 * page);
	close(fd);
}

SVM_TEST(device, hugetlb)
{
	size_t len = 2 * SVM_PMD_SIZE;
	char *mem;

	if (!svm_want_huge_pages(2))
		SKIP(return, "no huge pages: echo 2 > /proc/sys/vm/nr_hugepages");
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (mem == MAP_FAILED)
		SKIP(return, "huge pages are reserved by others");

	use_memory(_metadata, self->q, mem, len);
	ASSERT_EQ(0, munmap(mem, SVM_PMD_SIZE));
	RUN_FAILS(-EFAULT, mem, self->q, svm_fill(mem, 8, 1));
	SUMS_TO(svm_pattern_word(2, SVM_PMD_SIZE / 8), self->q,
		mem + SVM_PMD_SIZE, 8);
	munmap(mem + SVM_PMD_SIZE, SVM_PMD_SIZE);
}

static char *map_thp(size_t len)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	if (mem && madvise(mem, len, MADV_HUGEPAGE)) {
		munmap(mem, len);
		return NULL;
	}
	return mem;
}

SVM_TEST(device, thp_is_one_segment)
{
	struct drm_vsvm_device_stats mark, stats;
	struct drm_vsvm_query query;
	size_t len = 2 * SVM_PMD_SIZE;
	char *mem = map_thp(len);

	if (!mem)
		SKIP(return, "no transparent huge pages");
	ASSERT_EQ(0, svm_query(self->svm.fd, &query));
	svm_pattern_fill(mem, len, 1);
	if (svm_smaps_kb(mem, "AnonHugePages") != (long)(len / KB))
		SKIP(return, "memory too fragmented for huge pages");

	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	SUMS_TO(pattern_sum(len, 1), self->q, mem, len);
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(len / self->page, stats.pages);
	if (query.chunk_sizes[0] >= SVM_PMD_SIZE) {
		EXPECT_EQ(2, stats.segments);
		EXPECT_EQ(2, stats.read_faults);
	}
	use_memory(_metadata, self->q, mem, len);
	munmap(mem, len);
}

SVM_TEST(device, thp_first_touch_by_device)
{
	size_t len = 2 * SVM_PMD_SIZE;
	char *mem = map_thp(len);

	if (!mem)
		SKIP(return, "no transparent huge pages");
	SUMS_TO(0, self->q, mem, len);
	use_memory(_metadata, self->q, mem, len);
	munmap(mem, len);
}

SVM_TEST(device, thp_split_keeps_data)
{
	size_t page = self->page;
	char *mem = map_thp(SVM_PMD_SIZE);

	if (!mem)
		SKIP(return, "no transparent huge pages");
	RUN(self->q, svm_fill(mem, SVM_PMD_SIZE, 5));
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_READ));
	ASSERT_EQ(0, munmap(mem + 8 * page, page));

	RUN(self->q, svm_add(mem, page, 1));
	RUN_FAILS(-EPERM, mem + page, self->q, svm_add(mem + page, page, 1));
	RUN_FAILS(-EFAULT, mem + 8 * page, self->q,
		  svm_add(mem + 2 * page, 8 * page, 1));
	RUN(self->q, svm_add(mem + 9 * page, SVM_PMD_SIZE - 9 * page, 1));
	IS_VALUE(mem, page, 6);
	IS_VALUE(mem + page, page, 5);
	IS_VALUE(mem + 2 * page, 6 * page, 6);
	IS_VALUE(mem + 9 * page, SVM_PMD_SIZE - 9 * page, 6);
	munmap(mem, SVM_PMD_SIZE);
}

/* Registers of a PCI device, any that lets us: memory without pages */
static void *map_registers(void)
{
	glob_t found;
	void *mem = NULL;

	if (glob("/sys/bus/pci/devices/*/resource0", 0, NULL, &found))
		return NULL;
	for (size_t i = 0; !mem && i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDWR);

		if (fd < 0)
			continue;
		mem = svm_map_file(fd, svm_page_size(), PROT_READ | PROT_WRITE,
				   MAP_SHARED);
		close(fd);
	}
	globfree(&found);
	return mem;
}

SVM_TEST(device, io_memory_is_refused)
{
	char copy[64];
	void *registers = map_registers();

	if (!registers)
		SKIP(return, "no PCI device with registers to map, or not root");
	RUN_FAILS(-EFAULT, registers, self->q,
		  svm_copy(copy, registers, sizeof(copy)));
	RUN_FAILS(-EFAULT, registers, self->q, svm_fill(registers, 8, 0));
	munmap(registers, self->page);
}

/*
 * What reads and writes do to pages
 */

SVM_TEST(device, read_allocates_nothing)
{
	size_t len = 1 * MB, page = self->page;
	enum svm_backing backing;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	SUMS_TO(0, self->q, mem, len);
	EXPECT_EQ(0, svm_smaps_kb(mem, "Anonymous"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "Private_Dirty"));
	backing = svm_backing(mem);
	if (backing == SVM_BACKING_UNKNOWN)
		SKIP(return, "only root can tell pages from the zero page");
	for (size_t at = 0; at < len; at += page) {
		backing = svm_backing(mem + at);
		ASSERT_TRUE(backing == SVM_BACKING_NONE ||
			    backing == SVM_BACKING_ZERO_PAGE)
			TH_LOG("a read left a %s at +%#zx",
			       svm_backing_name(backing), at);
	}

	/* A write makes pages, and the zero page stays zero */
	RUN(self->q, svm_fill(mem + 5 * page, 8, 9));
	EXPECT_EQ(SVM_BACKING_PAGE, svm_backing(mem + 5 * page));
	SUMS_TO(9, self->q, mem, len);
	munmap(mem, len);
	mem = svm_map(len, PROT_READ);
	ASSERT_NE(NULL, mem);
	IS_VALUE(mem, len, 0);
	munmap(mem, len);
}

SVM_TEST(device, read_does_not_dirty_a_file)
{
	size_t len = 64 * KB;
	int fd = svm_tmpfile(len, 9);
	char *mem;

	ASSERT_LE(0, fd);
	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, mem);
	SUMS_TO(pattern_sum(len, 9), self->q, mem, len);
	/* No copies were made for the read */
	EXPECT_EQ(0, svm_smaps_kb(mem, "Anonymous"));

	/* So what is written to the file is still seen */
	ASSERT_EQ(4, pwrite(fd, "\1\0\0\0", 4, 0));
	ASSERT_EQ(4, pwrite(fd, "\0\0\0\0", 4, 4));
	SUMS_TO(1, self->q, mem, 8);
	munmap(mem, len);
	close(fd);
}

SVM_TEST(device, write_upgrades_a_read_mapping)
{
	struct drm_vsvm_device_stats mark, stats;
	size_t len = 64 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	SUMS_TO(0, self->q, mem, len);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));

	RUN(self->q, svm_fill(mem, len, 6));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_GE(stats.upgrades, 1);
	IS_VALUE(mem, len, 6);

	/* Mapped for writing now: neither a read nor a write faults again */
	SUMS_TO(6 * len / 8, self->q, mem, len);
	RUN(self->q, svm_add(mem, len, 1));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(0, stats.read_faults + stats.write_faults);
	IS_VALUE(mem, len, 7);
	munmap(mem, len);
}

SVM_TEST(device, bound_memory_does_not_fault_again)
{
	struct svm_outcome out;
	size_t len = 1 * MB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, len, 1));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, svm_run(self->q, svm_add(mem, len, 1), &out));
		EXPECT_EQ(0, out.faults);
	}
	IS_VALUE(mem, len, 4);
	munmap(mem, len);
}

/*
 * Processes that wait for each other
 */

struct gate {
	int fd[2];
};

static bool gate_init(struct gate *gate)
{
	return !pipe2(gate->fd, O_CLOEXEC);
}

static void gate_open(struct gate *gate)
{
	ssize_t n = write(gate->fd[1], "", 1);

	(void)n;
}

/* False if nobody is left to open it */
static bool gate_wait(struct gate *gate)
{
	char c;

	close(gate->fd[1]);
	return read(gate->fd[0], &c, 1) == 1;
}

static bool child_ok(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

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

/* Copy-on-write both ways, with the parent's device bound before the fork? */
static void fork_both_ways(struct __test_metadata *_metadata,
			   struct svm_queue *q, bool bind_before)
{
	size_t len = 256 * KB;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	uint64_t *other = svm_map(len, PROT_READ | PROT_WRITE);
	struct gate written, done;
	pid_t pid;

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, other);
	ASSERT_TRUE(gate_init(&written) && gate_init(&done));
	svm_pattern_fill(mem, len, 1);
	svm_pattern_fill(other, len, 2);
	if (bind_before) {
		RUN(q, svm_add(mem, len, 0));
		RUN(q, svm_add(other, len, 0));
	}

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(other, 0x11, len);
		gate_open(&done);
		gate_wait(&written);
		_exit(svm_pattern_check(mem, len, 1) >= 0);
	}

	/* The child doesn't see what our device writes */
	RUN(q, svm_fill(mem, len, 5));
	IS_VALUE(mem, len, 5);
	gate_open(&written);

	/* Our device doesn't see what the child writes */
	ASSERT_TRUE(gate_wait(&done));
	SUMS_TO(pattern_sum(len, 2), q, other, len);
	EXPECT_TRUE(child_ok(pid));
	RUN(q, svm_add(other, len, 0));
	IS_PATTERN(other, len, 2);
	IS_VALUE(mem, len, 5);
	munmap(mem, len);
	munmap(other, len);
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
 * Changes of the address space between jobs
 */

SVM_TEST(device, unmapped_address)
{
	size_t len = 64 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	uint64_t word = 0;

	ASSERT_NE(NULL, mem);
	munmap(mem, len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_fill(mem, 8, 1));
	RUN_FAILS(-EFAULT, mem + 40, self->q, svm_sum(mem + 40, 8));
	RUN_FAILS(-EFAULT, NULL, self->q, svm_fill(NULL, 8, 1));
	RUN_FAILS(-EFAULT, (char *)8, self->q, svm_sum((void *)8, 8));
	RUN_FAILS(-EFAULT, (char *)TOP - 8, self->q,
		  svm_fill((char *)TOP - 8, 8, 1));

	/* The queue lives on */
	RUN(self->q, svm_fill(&word, 8, 11));
	ASSERT_EQ(11, word);
}

SVM_TEST(device, failed_job_stops_where_it_failed)
{
	size_t page = self->page;
	char *mem = svm_map(4 * page, PROT_READ | PROT_WRITE);
	uint64_t word = 0, seqno[2];
	struct svm_outcome out;
	struct drm_vsvm_op first[] = {
		svm_fill(mem, 4 * page, 1),
		svm_fill(&word, 8, 1),
	};
	struct drm_vsvm_op second = svm_add(&word, 8, 5);

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, munmap(mem + 2 * page, page));
	ASSERT_EQ(0, svm_submit(self->q, first, 2, &seqno[0]));
	ASSERT_EQ(0, svm_submit(self->q, &second, 1, &seqno[1]));
	EXPECT_EQ(seqno[0] + 1, seqno[1]);
	EXPECT_EQ(-EFAULT, svm_wait(self->q, seqno[0], &out));
	EXPECT_EQ(svm_addr(mem + 2 * page), out.fault_addr);
	EXPECT_EQ(0, svm_wait(self->q, seqno[1], &out));

	/* Done up to the hole; nothing behind it; the next job ran */
	IS_VALUE(mem, 2 * page, 1);
	IS_VALUE(mem + 3 * page, page, 0);
	ASSERT_EQ(5, word);
}

SVM_TEST(device, munmap_and_map_again)
{
	size_t len = 256 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	for (unsigned int i = 0; i < svm_scaled(20); i++) {
		RUN(self->q, svm_fill(mem, len, i + 1));
		ASSERT_EQ(0, munmap(mem, len));
		RUN_FAILS(-EFAULT, mem, self->q, svm_fill(mem, len, 2));

		/* Other memory at the same address */
		ASSERT_EQ(mem, mmap(mem, len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				    -1, 0));
		SUMS_TO(0, self->q, mem, len);
	}
	munmap(mem, len);
}

SVM_TEST(device, replace_mapping_in_place)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	int fd = svm_tmpfile(len, 12);

	ASSERT_NE(NULL, mem);
	ASSERT_LE(0, fd);
	RUN(self->q, svm_fill(mem, len, 1));
	ASSERT_EQ(mem, mmap(mem, len, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd,
			    0));
	SUMS_TO(pattern_sum(len, 12), self->q, mem, len);
	RUN_FAILS(-EPERM, mem, self->q, svm_fill(mem, len, 2));
	IS_PATTERN(mem, len, 12);
	munmap(mem, len);
	close(fd);
}

SVM_TEST(device, munmap_part_keeps_the_rest)
{
	size_t len = 2 * MB, page = self->page, hole = 37 * page;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	RUN(self->q, svm_fill(mem, len, 1));
	ASSERT_EQ(0, munmap(mem + hole, page));

	RUN(self->q, svm_add(mem, hole, 1));
	RUN(self->q, svm_add(mem + hole + page, len - hole - page, 1));
	IS_VALUE(mem, hole, 2);
	IS_VALUE(mem + hole + page, len - hole - page, 2);
	RUN_FAILS(-EFAULT, mem + hole, self->q, svm_add(mem + hole, page, 1));

	/* The hole is filled: old memory beside new */
	ASSERT_EQ(mem + hole, mmap(mem + hole, page, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				   0));
	RUN(self->q, svm_add(mem, len, 3));
	IS_VALUE(mem, hole, 5);
	IS_VALUE(mem + hole, page, 3);
	IS_VALUE(mem + hole + page, len - hole - page, 5);
	munmap(mem, len);
}

/* XFAIL as long as the driver drops a range as a whole */
SVM_TEST(device, munmap_part_keeps_mappings)
{
	size_t len = 2 * MB, page = self->page;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);
	struct svm_outcome out;

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	RUN(self->q, svm_fill(mem, len, 1));
	ASSERT_EQ(0, munmap(mem, page));
	ASSERT_EQ(0, svm_run(self->q, svm_add(mem + page, len - page, 1),
			     &out));
	IS_VALUE(mem + page, len - page, 2);
	munmap(mem, len);
	if (out.faults)
		SKIP(_metadata->exit_code = KSFT_XFAIL; return,
		     "%llu faults on memory that was not unmapped",
		     (unsigned long long)out.faults);
}

SVM_TEST(device, munmap_in_pieces)
{
	size_t page = self->page, pages = 512;
	char *mem = svm_map_aligned(pages * page, SVM_PMD_SIZE);
	struct svm_rand rand = { .state = 42 };
	bool gone[512] = { false };
	struct svm_outcome out;

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, pages * page, 3));
	for (unsigned int i = 0; i < svm_scaled(60); i++) {
		size_t at = svm_rand_below(&rand, pages);
		size_t n = svm_rand_below(&rand, 8) + 1;
		size_t probe = svm_rand_below(&rand, pages);

		if (at + n > pages)
			n = pages - at;
		ASSERT_EQ(0, munmap(mem + at * page, n * page));
		memset(gone + at, true, n);

		ASSERT_EQ(gone[probe] ? -EFAULT : 0,
			  svm_run(self->q, svm_sum(mem + probe * page, page),
				  &out));
		if (!gone[probe]) {
			ASSERT_EQ(3 * page / 8, out.result);
		}
	}
	munmap(mem, pages * page);
}

SVM_TEST(device, mremap_moves)
{
	size_t len = 512 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	char *room = svm_map(len, PROT_NONE);

	ASSERT_NE(NULL, mem);
	ASSERT_NE(NULL, room);
	svm_pattern_fill(mem, len, 1);
	RUN(self->q, svm_add(mem, len, 0));
	ASSERT_EQ(room, mremap(mem, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			       room));
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, len));
	RUN_FAILS(-EFAULT, mem, self->q, svm_fill(mem, len, 1));
	SUMS_TO(pattern_sum(len, 1), self->q, room, len);
	RUN(self->q, svm_fill(room, len, 2));
	IS_VALUE(room, len, 2);
	munmap(room, len);
}

SVM_TEST(device, mremap_grows_and_shrinks)
{
	size_t len = 128 * KB;
	char *mem = svm_map(4 * len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	munmap(mem + len, 3 * len);
	RUN(self->q, svm_fill(mem, len, 1));
	RUN_FAILS(-EFAULT, mem + len, self->q, svm_fill(mem, 2 * len, 2));
	ASSERT_EQ(mem, mremap(mem, len, 4 * len, 0));
	RUN(self->q, svm_fill(mem, 4 * len, 3));
	ASSERT_EQ(mem, mremap(mem, 4 * len, 2 * len, 0));
	RUN_FAILS(-EFAULT, mem + 2 * len, self->q, svm_fill(mem, 4 * len, 4));
	IS_VALUE(mem, 2 * len, 4);
	munmap(mem, 2 * len);
}

SVM_TEST(device, mremap_leaves_the_old_address)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	char *to;

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, len, 1));
	to = mremap(mem, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_NE(MAP_FAILED, to);
	SUMS_TO(0, self->q, mem, len);
	SUMS_TO(len / 8, self->q, to, len);
	RUN(self->q, svm_fill(mem, len, 2));
	IS_VALUE(to, len, 1);
	munmap(mem, len);
	munmap(to, len);
}

SVM_TEST(device, madvise_dontneed)
{
	size_t len = 512 * KB, page = self->page;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, len, 1));
	ASSERT_EQ(0, madvise(mem + 3 * page, 2 * page, MADV_DONTNEED));
	SUMS_TO((len - 2 * page) / 8, self->q, mem, len);
	ASSERT_EQ(0, madvise(mem, len, MADV_DONTNEED));
	SUMS_TO(0, self->q, mem, len);
	RUN(self->q, svm_add(mem, len, 4));
	IS_VALUE(mem, len, 4);
	munmap(mem, len);
}

SVM_TEST(device, mprotect_decides)
{
	size_t len = 256 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	RUN(self->q, svm_fill(mem, len, 1));

	ASSERT_EQ(0, mprotect(mem, len, PROT_READ));
	RUN_FAILS(-EPERM, mem, self->q, svm_fill(mem, len, 2));
	SUMS_TO(len / 8, self->q, mem, len);
	RUN_FAILS(-EPERM, mem + 64, self->q, svm_atomic_add(mem + 64, 1, 0, 1));
	IS_VALUE(mem, len, 1);

	ASSERT_EQ(0, mprotect(mem, len, PROT_NONE));
	RUN_FAILS(-EPERM, mem, self->q, svm_sum(mem, len));
	RUN_FAILS(-EPERM, mem, self->q, svm_fill(mem, len, 2));

	ASSERT_EQ(0, mprotect(mem, len, PROT_READ | PROT_WRITE));
	RUN(self->q, svm_add(mem, len, 1));
	IS_VALUE(mem, len, 2);
	munmap(mem, len);
}

SVM_TEST(device, mprotect_of_a_part)
{
	size_t len = 2 * MB, page = self->page;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	RUN(self->q, svm_fill(mem, len, 1));
	ASSERT_EQ(0, mprotect(mem + 9 * page, page, PROT_READ));
	RUN_FAILS(-EPERM, mem + 9 * page, self->q, svm_fill(mem, len, 2));
	SUMS_TO(2 * 9 * page / 8 + (len - 9 * page) / 8, self->q, mem, len);
	RUN(self->q, svm_fill(mem + 10 * page, len - 10 * page, 3));
	IS_VALUE(mem, 9 * page, 2);
	IS_VALUE(mem + 9 * page, page, 1);
	IS_VALUE(mem + 10 * page, len - 10 * page, 3);
	munmap(mem, len);
}

SVM_TEST(device, swap_out_and_in)
{
	size_t len = 512 * KB, page = self->page;
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	bool swapped = false;
	char *mem;

	if (!svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	mem = svm_map(len, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	svm_pattern_fill(mem, len, 1);
	RUN(self->q, svm_add(mem, len, 0));

	/* A page with a reference from elsewhere stays for another round */
	while (!swapped && !svm_past(deadline)) {
		ASSERT_TRUE(svm_page_out(mem, len));
		swapped = true;
		for (size_t at = 0; at < len; at += page)
			swapped &= svm_backing(mem + at) == SVM_BACKING_SWAP;
	}
	ASSERT_TRUE(swapped);
	SUMS_TO(pattern_sum(len, 1), self->q, mem, len);

	ASSERT_EQ(0, madvise(mem, len, MADV_PAGEOUT));
	RUN(self->q, svm_add(mem, len, 1));
	RUN(self->q, svm_add(mem, len, -1ULL));
	IS_PATTERN(mem, len, 1);
	munmap(mem, len);
}

SVM_TEST(device, same_page_merging)
{
	static const char run[] = "/sys/kernel/mm/ksm/run";
	size_t page = self->page;
	uint64_t deadline = svm_deadline_ms(5 * RACE_MS);
	char *mem = svm_map(2 * page, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	svm_pattern_fill(mem, page, 1);
	svm_pattern_fill(mem + page, page, 1);
	RUN(self->q, svm_add(mem, 2 * page, 0));
	if (!svm_pfn(mem) || madvise(mem, 2 * page, MADV_MERGEABLE) ||
	    !svm_write_file(run, "1"))
		SKIP(return, "no same page merging, or not root");
	svm_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "1");

	while (svm_pfn(mem) != svm_pfn(mem + page) && !svm_past(deadline))
		sched_yield();
	svm_write_file(run, "0");
	svm_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "20");
	if (svm_pfn(mem) != svm_pfn(mem + page))
		SKIP(return, "the merger didn't come by in time");

	/* One page behind two addresses, until one is written */
	SUMS_TO(2 * pattern_sum(page, 1), self->q, mem, 2 * page);
	ASSERT_EQ(svm_pfn(mem), svm_pfn(mem + page));
	RUN(self->q, svm_fill(mem, page, 2));
	IS_VALUE(mem, page, 2);
	IS_PATTERN(mem + page, page, 1);
	munmap(mem, 2 * page);
}

SVM_TEST(device, window)
{
	size_t len = 64 * KB, page = self->page;
	char *mem = svm_map(3 * len, PROT_READ | PROT_WRITE);
	struct svm window;

	/* Half open: the first byte is in, the last plus one is out */
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, svm_open_window(&window, 1, mem + len, len))
		TH_LOG("%s", svm_why());
	RUN(&window.queue[0], svm_fill(mem + len, len, 1));
	RUN_FAILS(-EFAULT, mem + len - page, &window.queue[0],
		  svm_fill(mem + len - page, page, 2));
	RUN_FAILS(-EFAULT, mem + len - 8, &window.queue[0],
		  svm_sum(mem + len - 8, 8));
	RUN_FAILS(-EFAULT, mem + 2 * len, &window.queue[0],
		  svm_fill(mem + 2 * len, 8, 2));
	RUN_FAILS(-EFAULT, mem + 2 * len, &window.queue[0],
		  svm_fill(mem + 2 * len - page, 2 * page, 2));
	IS_VALUE(mem, len, 0);
	IS_VALUE(mem + len, len - page, 1);
	IS_VALUE(mem + 2 * len - page, page, 2);
	IS_VALUE(mem + 2 * len, len, 0);
	check_stale(_metadata, &window);
	svm_close(&window);
	munmap(mem, 3 * len);
}

/*
 * Operations
 */

SVM_TEST(device, unaligned_copies)
{
	size_t len = 64 * KB, page = self->page;
	unsigned char *src = svm_map(len, PROT_READ | PROT_WRITE);
	unsigned char *dst = svm_map(len, PROT_READ | PROT_WRITE);
	unsigned char *want = malloc(len);
	struct svm_rand rand = { .state = 7 };

	ASSERT_TRUE(src && dst && want);
	svm_pattern_fill(src, len, 1);
	memset(want, 0, len);
	for (unsigned int i = 0; i < svm_scaled(200); i++) {
		size_t n = svm_rand_below(&rand, 3 * page) + 1;
		size_t from = svm_rand_below(&rand, len - n);
		size_t to = svm_rand_below(&rand, len - n);

		RUN(self->q, svm_copy(dst + to, src + from, n));
		memcpy(want + to, src + from, n);
		ASSERT_EQ(0, memcmp(dst, want, len))
			TH_LOG("copy %zu bytes +%#zx to +%#zx", n, from, to);
	}
	free(want);
	munmap(src, len);
	munmap(dst, len);
}

SVM_TEST(device, unaligned_fills)
{
	size_t page = self->page;
	unsigned char *mem = svm_map(4 * page, PROT_READ | PROT_WRITE);
	uint64_t value = 0x8877665544332211ULL;

	ASSERT_NE(NULL, mem);
	for (size_t off = page - 9; off <= page + 9; off++)
		for (size_t n = 1; n < 20; n++) {
			memset(mem, 0, 4 * page);
			RUN(self->q, svm_fill(mem + off, n, value));
			for (size_t i = 0; i < n; i++) {
				ASSERT_EQ((i % 8 + 1) * 0x11, mem[off + i]);
			}
			ASSERT_EQ(0, mem[off - 1]);
			ASSERT_EQ(0, mem[off + n]);
		}
	munmap(mem, 4 * page);
}

SVM_TEST(device, atomics)
{
	uint64_t words[64] = { 0 };
	uint32_t halves[4] = { 0 };
	struct drm_vsvm_op op;
	struct svm_outcome out;

	/* Every eighth word, three times */
	op = svm_atomic_add(words, 8, 64, 5);
	op.repeat = 3;
	ASSERT_EQ(0, svm_run(self->q, op, &out));
	EXPECT_EQ(10, out.result);
	for (int i = 0; i < 64; i++) {
		ASSERT_EQ(i % 8 ? 0 : 15, words[i]);
	}

	/* Half a word has no carry into the other */
	halves[1] = ~0U;
	ASSERT_EQ(0, svm_run(self->q,
			     svm_u32(svm_atomic_add(&halves[1], 1, 0, 2)),
			     &out));
	EXPECT_EQ(~0U, out.result);
	EXPECT_EQ(1, halves[1]);
	EXPECT_EQ(0, halves[2]);

	ASSERT_EQ(0, svm_run(self->q, svm_cas(&words[1], 0, 9), &out));
	EXPECT_EQ(0, out.result);
	EXPECT_EQ(9, words[1]);
	ASSERT_EQ(0, svm_run(self->q, svm_cas(&words[1], 8, 10), &out));
	EXPECT_EQ(9, out.result);
	EXPECT_EQ(9, words[1]);
	ASSERT_EQ(0, svm_run(self->q, svm_u32(svm_cas(&halves[3], 0, 6)),
			     &out));
	EXPECT_EQ(0, out.result);
	EXPECT_EQ(6, halves[3]);

	for (int i = 0; i < 3; i++)
		halves[i] = ~0U;
	RUN(self->q, svm_u32(svm_add(halves, 8, 3)));
	EXPECT_EQ(2, halves[0]);
	EXPECT_EQ(2, halves[1]);
	EXPECT_EQ(~0U, halves[2]);
	ASSERT_EQ(0, svm_run(self->q, svm_u32(svm_sum(halves, 16)), &out));
	EXPECT_EQ(2 + 2 + 0xffffffffULL + 6, out.result);
}

SVM_TEST(device, many_operations_in_a_job)
{
	struct drm_vsvm_op *ops = calloc(DRM_VSVM_MAX_OPS, sizeof(*ops));
	unsigned int n = DRM_VSVM_MAX_OPS;
	uint64_t *mem = malloc(n * 8);
	struct svm_outcome out;

	ASSERT_TRUE(ops && mem);
	for (unsigned int i = 0; i < n - 1; i++)
		ops[i] = svm_fill(&mem[i], 8, i);
	ops[n - 1] = svm_sum(mem, (n - 1) * 8);
	ASSERT_EQ(0, svm_run_ops(self->q, ops, n, &out));
	ASSERT_EQ((uint64_t)(n - 1) * (n - 2) / 2, out.result);
	for (unsigned int i = 0; i < n - 1; i++) {
		ASSERT_EQ(i, mem[i]);
	}
	free(ops);
	free(mem);
}

/* One random cycle through a word of every page */
static void make_cycle(char *mem, size_t pages, size_t page, uint64_t seed)
{
	struct svm_rand rand = { .state = seed };
	size_t *order = malloc(pages * sizeof(*order));

	for (size_t i = 0; i < pages; i++)
		order[i] = i;
	/* Page 0 stays first, for the caller to begin with */
	for (size_t i = pages - 1; i > 1; i--) {
		size_t j = svm_rand_below(&rand, i) + 1, t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (size_t i = 0; i < pages; i++)
		*(uint64_t *)(mem + order[i] * page) =
			svm_addr(mem + order[(i + 1) % pages] * page);
	free(order);
}

SVM_TEST(device, pointer_chase)
{
	size_t pages = 1024, page = self->page;
	char *mem = svm_map(pages * page, PROT_READ | PROT_WRITE);
	struct svm_outcome out;

	ASSERT_NE(NULL, mem);
	make_cycle(mem, pages, page, 1);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(mem, 1), &out));
	EXPECT_EQ(*(uint64_t *)mem, out.result);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(mem, pages), &out));
	EXPECT_EQ(svm_addr(mem), out.result);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(mem, 3 * pages), &out));
	EXPECT_EQ(svm_addr(mem), out.result);
	munmap(mem, pages * page);
}

SVM_TEST(device, pointer_chase_far)
{
	enum { STOPS = 32 };
	char *stop[STOPS];
	struct svm_outcome out;

	/* Terabytes apart: every stop needs tables and a notifier of its own */
	for (size_t i = 0; i < STOPS; i++) {
		char *hint = (char *)(0x100000000000UL + i * 0x18000000000UL);

		stop[i] = mmap(hint, self->page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, stop[i]);
	}
	for (size_t i = 0; i < STOPS; i++)
		*(uint64_t *)stop[i] = svm_addr(stop[(i + 5) % STOPS]);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(stop[0], STOPS), &out));
	EXPECT_EQ(svm_addr(stop[0]), out.result);
	for (size_t i = 0; i < STOPS; i++)
		munmap(stop[i], self->page);
	RUN_FAILS(-EFAULT, stop[3], self->q, svm_chase(stop[3], 1));
}

SVM_TEST(device, pointer_chase_off_the_track)
{
	char *hole = svm_map(self->page, PROT_NONE);
	uint64_t list[4];
	struct svm_outcome out;

	munmap(hole, self->page);
	list[0] = svm_addr(&list[1]);
	list[1] = svm_addr(hole + 16);
	ASSERT_EQ(0, svm_run(self->q, svm_chase(list, 2), &out));
	EXPECT_EQ(svm_addr(hole + 16), out.result);
	RUN_FAILS(-EFAULT, hole + 16, self->q, svm_chase(list, 3));

	/* Not aligned, and not an address */
	list[1] = svm_addr(&list[2]) + 4;
	ASSERT_EQ(-EFAULT, svm_run(self->q, svm_chase(list, 3), &out));
	list[1] = 0xdead000000000000ULL;
	ASSERT_EQ(-EFAULT, svm_run(self->q, svm_chase(list, 3), &out));
	list[1] = ~7ULL;
	ASSERT_EQ(-EFAULT, svm_run(self->q, svm_chase(list, 3), &out));

	/* Beyond what is translated, though the lower bits are good */
	list[1] = svm_addr(list) | TOP;
	RUN_FAILS(-EFAULT, (char *)list[1], self->q, svm_chase(list, 3));
	list[1] = svm_addr(list) | 1ULL << 63;
	RUN_FAILS(-EFAULT, (char *)list[1], self->q, svm_chase(list, 3));
	list[1] = svm_addr(list);
	RUN(self->q, svm_chase(list, 100));
}

/*
 * Changes of the address space under a running job
 *
 * A race is one job, which writes over and over, and one change of the memory
 * that it writes to. Between rounds everything is mapped anew.
 */

#define RACE_LEN	(64 * KB)
#define RACE_OPS	2048

struct race {
	char *mem;
	struct drm_vsvm_op *ops;
	unsigned int num_ops;
	uint64_t seqno;
	uint64_t deadline;
	unsigned int rounds_left;
	struct svm_rand rand;
};

/* Ops that fill the memory with 1, then with 2, and so on */
static void race_init(struct __test_metadata *_metadata, struct race *race,
		      unsigned int rounds)
{
	race->num_ops = RACE_OPS;
	race->ops = calloc(RACE_OPS, sizeof(*race->ops));
	ASSERT_NE(NULL, race->ops);
	race->deadline = svm_deadline_ms(RACE_MS);
	race->rounds_left = svm_scaled(rounds);
	race->rand.state = 1;
}

static bool race_goes_on(struct race *race)
{
	return race->rounds_left-- && !svm_past(race->deadline);
}

static void race_start(struct __test_metadata *_metadata, struct race *race,
		       struct svm_queue *queue)
{
	race->mem = svm_map_aligned(RACE_LEN, RACE_LEN);
	ASSERT_NE(NULL, race->mem);
	for (unsigned int i = 0; i < race->num_ops; i++)
		race->ops[i] = svm_fill(race->mem, RACE_LEN, i + 1);
	ASSERT_EQ(0, svm_submit(queue, race->ops, race->num_ops, &race->seqno));

	/* The first write is there; then some time that differs */
	WAIT_FOR(__atomic_load_n((uint64_t *)race->mem, __ATOMIC_RELAXED));
	for (uint64_t spin = svm_rand_below(&race->rand, 20000); spin; spin--)
		__asm__ volatile("");
}

/*
 * A job that ended at @stop wrote one value up to there and the one before
 * behind; so says what can still be read at @mem, which was at @home then.
 */
static bool race_data_right(const char *mem, size_t len, uint64_t home,
			    uint64_t stop)
{
	const uint64_t *word = (const uint64_t *)mem;
	uint64_t last = 0, at;

	for (size_t i = 0; i < len / 8; i++) {
		at = home + i * 8;
		if (at < stop)
			last = last ? last : word[i];
		else
			last = last ? last : word[i] + 1;
		if (word[i] != (at < stop ? last : last - 1))
			return false;
	}
	return true;
}

SVM_TEST(device, race_munmap_whole)
{
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 60);
	while (race_goes_on(&race)) {
		char *victim = svm_map(RACE_LEN, PROT_READ | PROT_WRITE);

		ASSERT_NE(NULL, victim);
		race_start(_metadata, &race, self->q);
		ASSERT_EQ(0, munmap(race.mem, RACE_LEN));
		/* This is likely to get the pages that the device had */
		svm_pattern_fill(victim, RACE_LEN, 1);

		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		IS_PATTERN(victim, RACE_LEN, 1);
		munmap(victim, RACE_LEN);
	}
	free(race.ops);
}

static void race_munmap_part(struct __test_metadata *_metadata,
			     struct svm_queue *q, unsigned int rounds)
{
	size_t page = svm_page_size();
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, rounds);
	while (race_goes_on(&race)) {
		size_t first = svm_rand_below(&race.rand, RACE_LEN / page);
		size_t pages = svm_rand_below(&race.rand, 3) + 1;
		char *from, *end;

		if (first + pages > RACE_LEN / page)
			pages = RACE_LEN / page - first;
		race_start(_metadata, &race, q);
		from = race.mem + first * page;
		end = from + pages * page;
		ASSERT_EQ(0, munmap(from, pages * page));

		svm_wait(q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(from));
			ASSERT_LT(out.fault_addr, svm_addr(end));
		}
		ASSERT_TRUE(race_data_right(race.mem, from - race.mem,
					    svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		ASSERT_TRUE(race_data_right(end, race.mem + RACE_LEN - end,
					    svm_addr(end),
					    out.fault_addr ?: ~0ULL));
		munmap(race.mem, RACE_LEN);
	}
	free(race.ops);
}

SVM_TEST(device, race_munmap_part)
{
	race_munmap_part(_metadata, self->q, 60);
}

static void race_mprotect(struct __test_metadata *_metadata,
			  struct svm_queue *q, unsigned int rounds)
{
	char *copy = malloc(RACE_LEN);
	struct race race;
	struct svm_outcome out;

	ASSERT_NE(NULL, copy);
	race_init(_metadata, &race, rounds);
	while (race_goes_on(&race)) {
		race_start(_metadata, &race, q);
		ASSERT_EQ(0, mprotect(race.mem, RACE_LEN, PROT_READ));

		/* From here on nothing may change any more */
		memcpy(copy, race.mem, RACE_LEN);
		svm_wait(q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EPERM, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		ASSERT_EQ(0, memcmp(copy, race.mem, RACE_LEN));
		ASSERT_TRUE(race_data_right(race.mem, RACE_LEN,
					    svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		munmap(race.mem, RACE_LEN);
	}
	free(race.ops);
	free(copy);
}

SVM_TEST(device, race_mprotect)
{
	race_mprotect(_metadata, self->q, 60);
}

SVM_TEST(device, race_mremap)
{
	char *copy = malloc(RACE_LEN);
	struct race race;
	struct svm_outcome out;

	ASSERT_NE(NULL, copy);
	race_init(_metadata, &race, 60);
	while (race_goes_on(&race)) {
		char *room = svm_map_aligned(RACE_LEN, RACE_LEN);

		ASSERT_NE(NULL, room);
		race_start(_metadata, &race, self->q);
		ASSERT_EQ(room, mremap(race.mem, RACE_LEN, RACE_LEN,
				       MREMAP_MAYMOVE | MREMAP_FIXED, room));
		memcpy(copy, room, RACE_LEN);
		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		ASSERT_EQ(0, memcmp(copy, room, RACE_LEN));
		ASSERT_TRUE(race_data_right(room, RACE_LEN, svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		munmap(room, RACE_LEN);
	}
	free(race.ops);
	free(copy);
}

SVM_TEST(device, race_fork)
{
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 20);
	race.num_ops = 256;
	while (race_goes_on(&race)) {
		struct gate done;
		pid_t pid;

		ASSERT_TRUE(gate_init(&done));
		race_start(_metadata, &race, self->q);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			char *copy = malloc(RACE_LEN);

			/* Our half of the memory must stand still */
			memcpy(copy, race.mem, RACE_LEN);
			gate_wait(&done);
			_exit(memcmp(copy, race.mem, RACE_LEN) != 0);
		}
		ASSERT_EQ(0, svm_wait(self->q, race.seqno, &out))
			TH_LOG("%s", svm_why());
		gate_open(&done);
		ASSERT_TRUE(child_ok(pid));
		IS_VALUE(race.mem, RACE_LEN, race.num_ops);
		munmap(race.mem, RACE_LEN);
		close(done.fd[0]);
		close(done.fd[1]);
	}
	free(race.ops);
}

SVM_TEST(device, race_dontneed)
{
	const uint64_t value = 0x5a5a5a5a5a5a5a5aULL;
	size_t page = self->page;
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 30);
	while (race_goes_on(&race)) {
		char *mem = svm_map_aligned(RACE_LEN, RACE_LEN);
		unsigned int changes = 0;

		ASSERT_NE(NULL, mem);
		for (unsigned int i = 0; i < 128; i++)
			race.ops[i] = svm_fill(mem, RACE_LEN, value);
		ASSERT_EQ(0, svm_submit(self->q, race.ops, 128, &race.seqno));
		while (svm_poll(self->q, race.seqno, &out) == -ETIME &&
		       changes++ < 200) {
			size_t at = svm_rand_below(&race.rand, RACE_LEN / page);

			ASSERT_EQ(0, madvise(mem + at * page, page,
					     MADV_DONTNEED));
		}
		ASSERT_EQ(0, svm_wait(self->q, race.seqno, &out))
			TH_LOG("%s", svm_why());

		/* Zero or what the device wrote, nothing else */
		for (size_t i = 0; i < RACE_LEN / 8; i++) {
			uint64_t word = ((uint64_t *)mem)[i];

			ASSERT_TRUE(!word || word == value);
		}
		RUN(self->q, svm_fill(mem, RACE_LEN, value + 1));
		IS_VALUE(mem, RACE_LEN, value + 1);
		munmap(mem, RACE_LEN);
	}
	free(race.ops);
}

SVM_TEST(device, race_truncate)
{
	size_t page = self->page;
	struct race race;
	struct svm_outcome out;
	int fd = memfd_create("svm", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	race_init(_metadata, &race, 30);
	while (race_goes_on(&race)) {
		size_t keep = svm_rand_below(&race.rand, 15) + 1;
		char *mem;

		ASSERT_EQ(0, ftruncate(fd, 16 * page));
		mem = svm_map_file(fd, 16 * page, PROT_READ | PROT_WRITE,
				   MAP_SHARED);
		ASSERT_NE(NULL, mem);
		*(volatile uint64_t *)mem = 0;
		for (unsigned int i = 0; i < RACE_OPS; i++)
			race.ops[i] = svm_fill(mem, 16 * page, i + 1);
		ASSERT_EQ(0, svm_submit(self->q, race.ops, RACE_OPS,
					&race.seqno));
		WAIT_FOR(*(volatile uint64_t *)mem);
		ASSERT_EQ(0, ftruncate(fd, keep * page));
		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(mem + keep * page));
			ASSERT_LT(out.fault_addr, svm_addr(mem + 16 * page));
		}
		ASSERT_TRUE(race_data_right(mem, keep * page, svm_addr(mem),
					    out.fault_addr ?: ~0ULL));
		munmap(mem, 16 * page);
		ASSERT_EQ(0, ftruncate(fd, 0));
	}
	close(fd);
	free(race.ops);
}

/*
 * Changes that a process can't see: the job must not see them either
 */

enum disturbance {
	DISTURB_PAGEOUT,
	DISTURB_COLLAPSE,
	DISTURB_SPLIT,
	DISTURB_COMPACT,
	DISTURB_FORK,
	DISTURB_PROTECT,
};

FIXTURE(disturbed)
{
	struct svm svm;
	struct svm_rand rand;
	char *mem;
};

FIXTURE_VARIANT(disturbed)
{
	enum disturbance kind;
};

FIXTURE_VARIANT_ADD(disturbed, pageout) { .kind = DISTURB_PAGEOUT };
FIXTURE_VARIANT_ADD(disturbed, collapse) { .kind = DISTURB_COLLAPSE };
FIXTURE_VARIANT_ADD(disturbed, split) { .kind = DISTURB_SPLIT };
FIXTURE_VARIANT_ADD(disturbed, compact) { .kind = DISTURB_COMPACT };
FIXTURE_VARIANT_ADD(disturbed, fork) { .kind = DISTURB_FORK };
FIXTURE_VARIANT_ADD(disturbed, protect) { .kind = DISTURB_PROTECT };

FIXTURE_SETUP(disturbed)
{
	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->mem = svm_map_aligned(SVM_PMD_SIZE, SVM_PMD_SIZE);
	ASSERT_NE(NULL, self->mem);
	if (variant->kind == DISTURB_PAGEOUT && !svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	if (variant->kind == DISTURB_COMPACT &&
	    !svm_write_file("/proc/sys/vm/compact_memory", "1"))
		SKIP(return, "no compaction, or not root");
	madvise(self->mem, SVM_PMD_SIZE, MADV_HUGEPAGE);
}

FIXTURE_TEARDOWN(disturbed)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* Take a few pages out of the middle of a huge page, so that it is split */
static void disturb_split(char *mem, struct svm_rand *rand)
{
	size_t page = svm_page_size();
	char *at = mem + svm_rand_below(rand, SVM_PMD_SIZE / page - 4) * page;

	madvise(mem, SVM_PMD_SIZE, MADV_COLLAPSE);
	mprotect(at, 4 * page, PROT_READ | PROT_WRITE | PROT_EXEC);
	mprotect(at, 4 * page, PROT_READ | PROT_WRITE);
}

static void disturb(enum disturbance kind, char *mem, struct svm_rand *rand)
{
	size_t page = svm_page_size();
	size_t at = svm_rand_below(rand, SVM_PMD_SIZE / page - 16) * page;
	pid_t pid;

	switch (kind) {
	case DISTURB_PAGEOUT:
		madvise(mem + at, 16 * page, MADV_PAGEOUT);
		break;
	case DISTURB_COLLAPSE:
		madvise(mem, SVM_PMD_SIZE, MADV_COLLAPSE);
		break;
	case DISTURB_SPLIT:
		disturb_split(mem, rand);
		break;
	case DISTURB_COMPACT:
		svm_write_file("/proc/sys/vm/compact_memory", "1");
		break;
	case DISTURB_FORK:
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		break;
	case DISTURB_PROTECT:
		mprotect(mem + at, 16 * page, PROT_READ | PROT_WRITE |
			 (svm_rand_below(rand, 2) ? PROT_EXEC : 0));
		break;
	}
}

/* Change the memory while the job runs, but not for ever */
static int disturb_until_done(struct svm_queue *q, uint64_t seqno,
			      enum disturbance kind, char *mem,
			      struct svm_rand *rand, uint64_t deadline)
{
	unsigned int changes = svm_scaled(50);
	struct svm_outcome out;

	while (svm_poll(q, seqno, &out) == -ETIME && changes-- &&
	       !svm_past(deadline))
		disturb(kind, mem, rand);
	return svm_wait(q, seqno, &out);
}

/* The part of the huge page that jobs work on, at both of its ends */
#define DISTURBED_LEN	(192 * KB)

SVM_TEST(disturbed, every_addition_counts)
{
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	char *mem = self->mem, *tail = mem + SVM_PMD_SIZE - DISTURBED_LEN;
	unsigned int rounds = svm_scaled(10), added = 0;
	struct drm_vsvm_op ops[20];
	uint64_t seqno;

	for (unsigned int i = 0; i < 20; i++)
		ops[i] = svm_add(i % 2 ? tail : mem, DISTURBED_LEN, 1);
	while (rounds-- && !svm_past(deadline)) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[0], ops, 20, &seqno));
		ASSERT_EQ(0, disturb_until_done(&self->svm.queue[0], seqno,
						variant->kind, mem,
						&self->rand, deadline))
			TH_LOG("%s", svm_why());
		added += 10;
		IS_VALUE(mem, DISTURBED_LEN, added);
		IS_VALUE(tail, DISTURBED_LEN, added);
	}
	IS_VALUE(mem + DISTURBED_LEN, SVM_PMD_SIZE - 2 * DISTURBED_LEN, 0);
}

struct adder {
	uint64_t *mem;
	unsigned int words, rounds;
	size_t stride;
};

static void *cpu_adds(void *arg)
{
	struct adder *adder = arg;

	for (unsigned int i = 0; i < adder->rounds; i++)
		for (unsigned int w = 0; w < adder->words; w++)
			__atomic_fetch_add(adder->mem +
					   w * adder->stride / 8, 1,
					   __ATOMIC_RELAXED);
	return NULL;
}

SVM_TEST(disturbed, every_atomic_counts)
{
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size();
	struct adder adder = {
		.mem = (uint64_t *)self->mem,
		.words = SVM_PMD_SIZE / page / 8,
		.stride = 8 * page,
		.rounds = svm_scaled(1000),
	};
	struct drm_vsvm_op op = svm_atomic_add(adder.mem, adder.words,
					       adder.stride, 1);
	pthread_t thread;
	uint64_t seqno;

	op.repeat = adder.rounds;
	ASSERT_EQ(0, svm_submit(&self->svm.queue[0], &op, 1, &seqno));
	ASSERT_EQ(0, pthread_create(&thread, NULL, cpu_adds, &adder));
	ASSERT_EQ(0, disturb_until_done(&self->svm.queue[0], seqno,
					variant->kind, self->mem, &self->rand,
					deadline))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, pthread_join(thread, NULL));
	for (unsigned int w = 0; w < adder.words; w++) {
		ASSERT_EQ(2 * adder.rounds, adder.mem[w * adder.stride / 8]);
	}
}

/*
 * Several devices in one address space
 */

FIXTURE(devices)
{
	struct svm svm;
};

FIXTURE_VARIANT(devices)
{
	unsigned int num;
};

FIXTURE_VARIANT_ADD(devices, two) { .num = 2 };
FIXTURE_VARIANT_ADD(devices, four) { .num = 4 };

FIXTURE_SETUP(devices)
{
	if (svm_count_devices() < variant->num) {
		self->svm.fd = -1;
		SKIP(return, "fewer than %u devices: modprobe vsvm devices=%u",
		     variant->num, variant->num);
	}
	ASSERT_EQ(0, svm_open(&self->svm, variant->num))
		TH_LOG("%s", svm_why());
}

FIXTURE_TEARDOWN(devices)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

SVM_TEST(devices, pass_data_on)
{
	size_t len = 128 * KB;
	char *mem = svm_map(2 * len, PROT_READ | PROT_WRITE);
	unsigned int n = variant->num;

	ASSERT_NE(NULL, mem);
	svm_pattern_fill(mem, len, 1);
	for (unsigned int i = 0; i < 4 * n; i++) {
		char *from = i % 2 ? mem + len : mem;
		char *to = i % 2 ? mem : mem + len;

		/* Each device adds to what the one before copied */
		RUN(&self->svm.queue[i % n], svm_copy(to, from, len));
		RUN(&self->svm.queue[(i + 1) % n], svm_add(to, len, 1));
		for (size_t w = 0; w < len / 8; w++) {
			ASSERT_EQ(svm_pattern_word(1, w) + i + 1,
				  ((uint64_t *)to)[w]);
		}
	}
	munmap(mem, 2 * len);
}

SVM_TEST(devices, one_walk_for_all)
{
	struct drm_vsvm_device_stats mark, stats;
	size_t len = 16 * svm_page_size();
	char *mem = svm_map_aligned(len, len);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	svm_pattern_fill(mem, len, 1);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < variant->num; i++) {
		SUMS_TO(pattern_sum(len, 1), &self->svm.queue[i], mem, len);
	}
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(1, stats.walks);
	munmap(mem, len);
}

SVM_TEST(devices, all_lose_what_is_unmapped)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN(&self->svm.queue[i], svm_add(mem, len, 1));
	}
	IS_VALUE(mem, len, variant->num);
	ASSERT_EQ(0, mprotect(mem, len, PROT_READ));
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN_FAILS(-EPERM, mem, &self->svm.queue[i],
			  svm_add(mem, len, 1));
		SUMS_TO(variant->num * len / 8, &self->svm.queue[i], mem, len);
	}
	munmap(mem, len);
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN_FAILS(-EFAULT, mem, &self->svm.queue[i],
			  svm_sum(mem, len));
	}
}

SVM_TEST(devices, atomics_of_all_and_cpu)
{
	enum { CPUS = 2 };
	size_t page = svm_page_size();
	unsigned int n = variant->num;
	struct adder adder = {
		.words = 16,
		.stride = page + 8,
		.rounds = svm_scaled(3000),
	};
	size_t len = (adder.words + 1) * adder.stride;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct drm_vsvm_op op;
	pthread_t cpu[CPUS];

	adder.mem = svm_map(len, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, adder.mem);
	op = svm_atomic_add(adder.mem, adder.words, adder.stride, 1);
	op.repeat = adder.rounds;
	for (unsigned int i = 0; i < n; i++) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	for (unsigned int i = 0; i < CPUS; i++) {
		ASSERT_EQ(0, pthread_create(&cpu[i], NULL, cpu_adds, &adder));
	}
	/* Meanwhile the pages come and go */
	for (unsigned int i = 0; i < svm_scaled(20); i++)
		mprotect(adder.mem, len, i % 2 ? PROT_READ | PROT_WRITE :
			 PROT_READ | PROT_WRITE | PROT_EXEC);
	for (unsigned int i = 0; i < CPUS; i++)
		pthread_join(cpu[i], NULL);
	for (unsigned int i = 0; i < n; i++) {
		ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i], NULL))
			TH_LOG("device %u: %s", i, svm_why());
	}
	for (unsigned int w = 0; w < adder.words; w++) {
		ASSERT_EQ((n + CPUS) * adder.rounds,
			  adder.mem[w * adder.stride / 8]);
	}
	munmap(adder.mem, len);
}

SVM_TEST(devices, compare_and_swap_has_one_winner)
{
	unsigned int n = variant->num, rounds = svm_scaled(100);
	uint64_t word = 0, seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_outcome out;

	for (unsigned int round = 1; round <= rounds; round++) {
		unsigned int winners = 0, winner = 0;

		for (unsigned int i = 0; i < n; i++) {
			struct drm_vsvm_op op = svm_cas(&word, 0, i + 1);

			ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
						&seqno[i]));
		}
		for (unsigned int i = 0; i < n; i++) {
			ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i],
					      &out));
			if (!out.result) {
				winners++;
				winner = i + 1;
			}
		}
		ASSERT_EQ(1, winners);
		ASSERT_EQ(winner, word);
		word = 0;
	}
}

SVM_TEST(devices, race_munmap_under_all)
{
	unsigned int n = variant->num;
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size(), len = RACE_LEN;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_rand rand = { .state = 3 };
	struct svm_outcome out;

	for (unsigned int i = 0; i < svm_scaled(30); i++) {
		size_t at = svm_rand_below(&rand, len / page) * page;
		uint64_t *mem = (uint64_t *)svm_map_aligned(len, len);
		char *hole = (char *)mem + at;
		struct drm_vsvm_op op;

		if (svm_past(deadline))
			break;
		ASSERT_NE(NULL, mem);
		op = svm_atomic_add(mem, len / page, page, 1);
		op.repeat = 1U << 30;
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(0, svm_submit(&self->svm.queue[d], &op, 1,
						&seqno[d]));
		}
		WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED) > n);
		ASSERT_EQ(0, munmap(hole, page));
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(-EFAULT, svm_wait(&self->svm.queue[d],
						    seqno[d], &out));
			ASSERT_EQ(svm_addr(hole), out.fault_addr);
		}
		/* In front of the hole each device was once more than behind */
		if (at && at + page < len) {
			ASSERT_EQ(mem[0], mem[(len - page) / 8] + n);
		}
		munmap(mem, len);
	}
}

SVM_TEST(devices, race_mprotect_under_all)
{
	unsigned int n = variant->num;
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size(), len = RACE_LEN;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_outcome out;
	uint64_t copy[16];

	for (unsigned int i = 0; i < svm_scaled(30); i++) {
		uint64_t *mem = (uint64_t *)svm_map_aligned(len, len);
		struct drm_vsvm_op op;

		if (svm_past(deadline))
			break;
		ASSERT_NE(NULL, mem);
		op = svm_atomic_add(mem, len / page, page, 1);
		op.repeat = 1U << 30;
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(0, svm_submit(&self->svm.queue[d], &op, 1,
						&seqno[d]));
		}
		WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED) > n);
		ASSERT_EQ(0, mprotect(mem, len, PROT_READ));
		for (unsigned int w = 0; w < 16; w++)
			copy[w] = mem[w * page / 8];
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(-EPERM, svm_wait(&self->svm.queue[d],
						   seqno[d], &out));
		}
		for (unsigned int w = 0; w < 16; w++) {
			ASSERT_EQ(copy[w], mem[w * page / 8]);
		}
		munmap(mem, len);
	}
}

/*
 * Devices of another configuration, their removal, and their checker
 */

FIXTURE(configured)
{
	struct svm svm;
	struct svm_queue *q;
};

FIXTURE_VARIANT(configured)
{
	const char *settings[3];
};

FIXTURE_VARIANT_ADD(configured, pages) {
	.settings = { "chunk_sizes=4K" },
};
FIXTURE_VARIANT_ADD(configured, huge_or_pages) {
	.settings = { "chunk_sizes=2M,4K", "check_pages_threshold=4K" },
};
FIXTURE_VARIANT_ADD(configured, small_notifiers) {
	.settings = { "chunk_sizes=64K,4K", "notifier_size=64K" },
};
FIXTURE_VARIANT_ADD(configured, slow_invalidations) {
	.settings = { "tlb_inval_latency_us=3000", "fault_workers=1" },
};

#define TEST_SET	"drm_svm_test"

FIXTURE_SETUP(configured)
{
	self->svm.fd = -1;
	svm_set_remove(TEST_SET);
	if (svm_set_make(TEST_SET, variant->settings))
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, svm_open_on(&self->svm, svm_set_open(TEST_SET, 0)))
		TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(configured)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
	svm_set_remove(TEST_SET);
}

SVM_TEST(configured, memory)
{
	size_t len = 2 * SVM_PMD_SIZE + 100 * KB;
	void *mem = malloc(len);

	ASSERT_NE(NULL, mem);
	use_memory(_metadata, self->q, mem, len);
	free(mem);
}

SVM_TEST(configured, copy_on_write)
{
	fork_both_ways(_metadata, self->q, true);
}

SVM_TEST(configured, race_munmap)
{
	race_munmap_part(_metadata, self->q, 20);
}

SVM_TEST(configured, race_mprotect)
{
	race_mprotect(_metadata, self->q, 20);
}

SVM_TEST(configured, removed_in_mid_job)
{
	struct drm_vsvm_device_stats stats;
	volatile uint64_t word = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	uint64_t seqno, seen, other = 0;
	struct svm_queue queue;
	struct svm svm;

	ASSERT_EQ(0, svm_open(&svm, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	WAIT_FOR(word);
	check_stale(_metadata, &self->svm);
	svm_set_remove(TEST_SET);
	seen = word;

	EXPECT_EQ(-ENODEV, svm_wait(self->q, seqno, NULL));
	EXPECT_EQ(-ENODEV, svm_submit(self->q, &op, 1, &seqno));
	EXPECT_EQ(-ENODEV, svm_queue_create(&self->svm, 0, &queue));
	EXPECT_EQ(-ENODEV, svm_stats(&self->svm, &stats));

	/* Another device lives on, and nobody writes to the word */
	RUN(&svm.queue[0], svm_atomic_add(&other, 10000, 0, 1));
	ASSERT_EQ(seen, word);
	check_stale(_metadata, &svm);
	svm_close(&svm);
	svm_close(&self->svm);
}

/*
 * That no test sees stale accesses means something only if they would be seen:
 * take the TLB invalidation out of the device and look.
 */
SVM_TEST(device, checker_finds_stale_accesses)
{
	struct drm_vsvm_device_stats stats;
	size_t len = 16 * self->page;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	char *victim = svm_map(len, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = ENDLESS(mem);
	char path[128];
	uint64_t seqno;
	struct svm svm;
	int status;

	ASSERT_TRUE(mem && victim);
	ASSERT_EQ(0, svm_open(&svm, 1)) TH_LOG("%s", svm_why());
	svm_debugfs_path(svm.fd, "drop_tlb_inval", path, sizeof(path));
	if (access(path, W_OK))
		SKIP(return, "no %s, or not root", path);

	ASSERT_EQ(0, svm_submit(&svm.queue[0], &op, 1, &seqno));
	WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED));
	ASSERT_TRUE(svm_write_file(path, "Y"));
	munmap(mem, len);
	svm_pattern_fill(victim, len, 1);
	status = svm_wait(&svm.queue[0], seqno, NULL);
	ASSERT_TRUE(svm_write_file(path, "N"));

	/* Seen, counted and refused */
	EXPECT_EQ(-EIO, status);
	ASSERT_EQ(0, svm_stats(&svm, &stats));
	EXPECT_GE(stats.stale_accesses, 1);
	IS_PATTERN(victim, len, 1);
	svm_close(&svm);
	munmap(victim, len);
}

/*
 * Threads
 */

enum { THREADS = 8 };

struct worker {
	struct svm *svm;
	struct svm_queue queue;
	unsigned int index;
	char *mem;
	size_t len;
	const char *error;
	pthread_t thread;
};

/* Its own memory, on the heap and on its own stack */
static void *own_memory(void *arg)
{
	struct worker *w = arg;
	uint64_t stack[512];

	for (unsigned int i = 0; i < svm_scaled(8); i++) {
		size_t len = (w->index + 1) * 24 * KB;
		uint64_t value = w->index * 1000 + i;
		void *mem = malloc(len);

		if (svm_run(&w->queue, svm_fill(mem, len, value), NULL) ||
		    svm_run(&w->queue, svm_fill(stack, sizeof(stack), value),
			    NULL))
			w->error = "a fill failed";
		else if (svm_value_check(mem, len, value) >= 0 ||
			 svm_value_check(stack, sizeof(stack), value) >= 0)
			w->error = "wrong data";
		free(mem);
		if (w->error)
			break;
	}
	return NULL;
}

/* The same memory for all, at the same time: each adds to every word */
static void *same_memory(void *arg)
{
	struct worker *w = arg;
	struct drm_vsvm_op op = svm_atomic_add(w->mem, w->len / 8, 8, 1);

	if (svm_run(&w->queue, op, NULL))
		w->error = "an atomic addition failed";
	return NULL;
}

static void run_workers(struct __test_metadata *_metadata, struct svm *svm,
			void *(*fn)(void *), char *mem, size_t len)
{
	struct worker w[THREADS] = { 0 };

	for (unsigned int i = 0; i < THREADS; i++) {
		w[i].svm = svm;
		w[i].index = i;
		w[i].mem = mem;
		w[i].len = len;
		ASSERT_EQ(0, svm_queue_create(svm, 0, &w[i].queue));
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, fn, &w[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	for (unsigned int i = 0; i < THREADS; i++) {
		ASSERT_EQ(NULL, w[i].error)
			TH_LOG("thread %u: %s", i, w[i].error);
		ASSERT_EQ(0, svm_queue_destroy(&w[i].queue));
	}
}

SVM_TEST(device, threads_with_memory_of_their_own)
{
	run_workers(_metadata, &self->svm, own_memory, NULL, 0);
}

SVM_TEST(device, threads_on_the_same_memory)
{
	size_t len = 256 * KB;

	for (unsigned int i = 0; i < svm_scaled(5); i++) {
		char *mem = svm_map(len, PROT_READ | PROT_WRITE);

		ASSERT_NE(NULL, mem);
		run_workers(_metadata, &self->svm, same_memory, mem, len);
		IS_VALUE(mem, len, THREADS);
		munmap(mem, len);
	}
}

SVM_TEST(device, two_address_spaces)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct svm other;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, svm_open(&other, 1)) TH_LOG("%s", svm_why());
	for (unsigned int i = 0; i < 10; i++) {
		RUN(self->q, svm_add(mem, len, 1));
		RUN(&other.queue[0], svm_add(mem, len, 1));
	}
	IS_VALUE(mem, len, 20);

	/* One ends; the other has its mappings */
	check_stale(_metadata, &other);
	svm_close(&other);
	RUN(self->q, svm_add(mem, len, 1));
	IS_VALUE(mem, len, 21);
	munmap(mem, len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, len));
}

SVM_TEST(device, two_address_spaces_on_one_file)
{
	uint64_t word = 0;
	struct svm other;

	ASSERT_EQ(0, svm_open_on(&other, self->svm.fd)) TH_LOG("%s", svm_why());
	ASSERT_NE(other.vm, self->svm.vm);
	RUN(&other.queue[0], svm_add(&word, 8, 1));
	RUN(self->q, svm_add(&word, 8, 1));
	check_stale(_metadata, &other);
	ASSERT_EQ(0, svm_vm_destroy(&other));
	EXPECT_EQ(-ENOENT, svm_vm_destroy(&other));
	EXPECT_EQ(-ENOENT, svm_run(&other.queue[0], svm_sum(&word, 8), NULL));
	RUN(self->q, svm_add(&word, 8, 1));
	ASSERT_EQ(3, word);
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
		"svm_test", "--after-exec", arg[0], arg[1], arg[2], arg[3], NULL
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

/* As TEST_HARNESS_MAIN, and the second half of the execve() test */
int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]),
				  atoll(argv[5]));

	if (!svm_want_devices(4) && argc < 2) {
		svm_open_device(0);
		ksft_print_header();
		ksft_exit_skip("%s\n", svm_why());
	}
	return test_harness_run(argc, argv);
}
