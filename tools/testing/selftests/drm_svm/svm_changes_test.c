// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the address space of a process between jobs of the virtual SVM device:
 * what is unmapped, moved, protected, paged out or merged is so for the device, too.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_device.h"

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

int main(int argc, char **argv)
{
	return svm_harness_main(argc, argv);
}
