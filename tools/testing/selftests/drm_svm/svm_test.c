// SPDX-License-Identifier: GPL-2.0
/*
 * Shared virtual memory as a process sees it, tested on the virtual SVM device.
 *
 * In this order: kinds of memory; what reads and writes do to pages; operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_device.h"

/*
 * Kinds of memory
 */

static uint64_t data_words[1024] = { 1, 2, 3 };
static uint64_t bss_words[4096];
static const uint64_t const_words[1024] = { [0 ... 1023] = 0x1234567 };

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

int main(int argc, char **argv)
{
	return svm_harness_main(argc, argv);
}
