/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the SVM tests need to know about their own memory: map it, fill it,
 * check it, and ask the kernel what stands behind an address. Knows no device.
 */
#ifndef SVM_MEM_H
#define SVM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SVM_PMD_SIZE	(2UL << 20)

size_t svm_page_size(void);

/* Work is a count times SVM_SCALE (a decimal in the environment), at least 1 */
unsigned int svm_scaled(unsigned int count);

/* Time, for bounds on loops and for reports; never in place of a condition */
uint64_t svm_now_ns(void);
static inline uint64_t svm_deadline_ms(unsigned int ms)
{
	return svm_now_ns() + ms * 1000000ULL;
}

static inline bool svm_past(uint64_t deadline)
{
	return svm_now_ns() >= deadline;
}

/* A small generator, so that a seed gives the same sequence on every libc */
struct svm_rand {
	uint64_t state;
};

uint64_t svm_rand(struct svm_rand *r);
static inline uint64_t svm_rand_below(struct svm_rand *r, uint64_t limit)
{
	return svm_rand(r) % limit;
}

/* Mappings; NULL with errno set on failure */
void *svm_map(size_t len, int prot);
void *svm_map_aligned(size_t len, size_t align);
void *svm_map_file(int fd, size_t len, int prot, int flags);

/* An unlinked temporary file of @len bytes that hold the pattern of @seed */
int svm_tmpfile(size_t len, uint64_t seed);

/* A pattern of 64-bit words, each different, made from a seed */
uint64_t svm_pattern_word(uint64_t seed, size_t index);
void svm_pattern_fill(void *mem, size_t len, uint64_t seed);

/* Byte offset of the first difference, or -1 */
long svm_pattern_check(const void *mem, size_t len, uint64_t seed);
long svm_value_check(const void *mem, size_t len, uint64_t value);

/* What is behind an address; a negative value when the kernel won't tell */
enum svm_backing {
	SVM_BACKING_UNKNOWN = -1,
	SVM_BACKING_NONE,
	SVM_BACKING_ZERO_PAGE,
	SVM_BACKING_PAGE,
	SVM_BACKING_SWAP,
};

enum svm_backing svm_backing(const void *addr);
const char *svm_backing_name(enum svm_backing backing);

/*
 * Where the pages of anonymous memory are: in the system, in memory that only a
 * device reaches, or in neither, such as swap. False: the kernel won't tell.
 */
struct svm_places {
	size_t in_system, in_device, elsewhere;
};

bool svm_places(const void *mem, size_t len, struct svm_places *places);

/* Page frame number behind an address, 0 when absent or not told */
uint64_t svm_pfn(const void *addr);

/* A field of /proc/self/smaps for the mapping that holds @addr, kB, or -1 */
long svm_smaps_kb(const void *addr, const char *field);

/* A field of a "name: value" file such as /proc/meminfo, or -1 */
long svm_proc_field(const char *path, const char *field);

/*
 * Pin pages as a device without page faults would, for as long as it takes.
 * Returns a handle, or a negative error number.
 */
int svm_pin(void *mem, size_t len);
void svm_unpin(int pin);

/*
 * Provide what a test needs if it is missing and we may: swap on a zram disk,
 * a pool of huge pages. False: not there, the test has to be skipped.
 */
bool svm_want_swap(void);
bool svm_want_huge_pages(unsigned int count);

/*
 * Page out all that can be. What a CPU has brought waits in lists of its own for
 * a while, where only this CPU finds it: so each of them looks.
 */
bool svm_page_out(void *mem, size_t len);

/*
 * The same until all of it is in swap, as a page that somebody else holds stays for
 * another round. False: some of it stays. Nothing else of its VMA may be in swap.
 */
bool svm_swap_out(void *mem, size_t len);

/*
 * A userfaultfd that is told of each page which somebody needs and nobody has written,
 * or a negative error number; wait for such a page, and get its address or 0; and
 * provide zeroes around one.
 */
int svm_watch_missing(void *mem, size_t len);
uint64_t svm_missing_page(int uffd);
int svm_provide_zeroes(int uffd, uint64_t addr, size_t len);

/* Write a line to a control file of the kernel */
bool svm_write_file(const char *path, const char *text);

#endif
