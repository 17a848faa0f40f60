// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/userfaultfd.h>

#include "svm_mem.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* As often as it takes for the lists of reclaim to come round */
#define PAGE_OUT_ROUNDS		3
/* How long until all of a memory ought to be in swap */
#define SWAP_OUT_MS	10000
#define MISSING_PAGE_MS		60000
#define PAGEMAP_PRESENT		(1ULL << 63)
#define PAGEMAP_SWAPPED		(1ULL << 62)
#define PAGEMAP_PFN		((1ULL << 55) - 1)
#define KPAGEFLAGS_ZERO_PAGE	(1ULL << 24)

size_t svm_page_size(void)
{
	static size_t size;

	if (!size)
		size = sysconf(_SC_PAGESIZE);
	return size;
}

unsigned int svm_scaled(unsigned int count)
{
	const char *text = getenv("SVM_SCALE");
	double scale = text ? atof(text) : 1.0;

	if (scale <= 0)
		scale = 1.0;
	return count * scale < 1 ? 1 : count * scale;
}

uint64_t svm_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* splitmix64: every seed, zero included, gives a full-period sequence */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t svm_rand(struct svm_rand *r)
{
	r->state += 0x9e3779b97f4a7c15ULL;
	return mix(r->state);
}

void *svm_map(size_t len, int prot)
{
	void *mem = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* Map more than asked for, then cut off what stands before and after */
void *svm_map_aligned(size_t len, size_t align)
{
	char *raw = svm_map(len + align, PROT_READ | PROT_WRITE);
	char *mem;

	if (!raw)
		return NULL;
	mem = (char *)(((uintptr_t)raw + align - 1) & ~(align - 1));
	if (mem > raw)
		munmap(raw, mem - raw);
	if (mem < raw + align)
		munmap(mem + len, raw + align - mem);
	return mem;
}

void *svm_map_file(int fd, size_t len, int prot, int flags)
{
	void *mem = mmap(NULL, len, prot, flags, fd, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static bool write_all(int fd, const char *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n <= 0)
			return false;
		from += n;
		len -= n;
	}
	return true;
}

int svm_tmpfile(size_t len, uint64_t seed)
{
	const char *dir = getenv("TMPDIR");
	char path[256];
	char *data;
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/drm_svm.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	unlink(path);

	data = malloc(len);
	if (data)
		svm_pattern_fill(data, len, seed);
	ok = data && write_all(fd, data, len);
	free(data);
	if (!ok) {
		close(fd);
		return -1;
	}
	return fd;
}

uint64_t svm_pattern_word(uint64_t seed, size_t index)
{
	return mix(seed * 0x9e3779b97f4a7c15ULL + index + 1);
}

void svm_pattern_fill(void *mem, size_t len, uint64_t seed)
{
	uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		word[i] = svm_pattern_word(seed, i);
}

long svm_pattern_check(const void *mem, size_t len, uint64_t seed)
{
	const uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		if (word[i] != svm_pattern_word(seed, i))
			return i * sizeof(*word);
	return -1;
}

long svm_value_check(const void *mem, size_t len, uint64_t value)
{
	const uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		if (word[i] != value)
			return i * sizeof(*word);
	return -1;
}

static bool read_word(const char *path, uint64_t index, uint64_t *word)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = pread(fd, word, sizeof(*word), index * sizeof(*word));
		close(fd);
	}
	return n == sizeof(*word);
}

static bool pagemap_entry(const void *addr, uint64_t *entry)
{
	return read_word("/proc/self/pagemap",
			 (uintptr_t)addr / svm_page_size(), entry);
}

uint64_t svm_pfn(const void *addr)
{
	uint64_t entry;

	if (!pagemap_entry(addr, &entry) || !(entry & PAGEMAP_PRESENT))
		return 0;
	return entry & PAGEMAP_PFN;
}

enum svm_backing svm_backing(const void *addr)
{
	uint64_t entry, flags;

	if (!pagemap_entry(addr, &entry))
		return SVM_BACKING_UNKNOWN;
	if (entry & PAGEMAP_SWAPPED)
		return SVM_BACKING_SWAP;
	if (!(entry & PAGEMAP_PRESENT))
		return SVM_BACKING_NONE;
	if (!(entry & PAGEMAP_PFN) ||
	    !read_word("/proc/kpageflags", entry & PAGEMAP_PFN, &flags))
		return SVM_BACKING_UNKNOWN;
	return flags & KPAGEFLAGS_ZERO_PAGE ? SVM_BACKING_ZERO_PAGE :
					      SVM_BACKING_PAGE;
}

/*
 * The page map shows pages in a device as swapped out, but mincore(), which
 * tells what an access has to be waited for, has them in memory.
 */
static void count_places(const uint64_t *entries, const unsigned char *in_core,
			 size_t pages, struct svm_places *places)
{
	*places = (struct svm_places) { 0 };
	for (size_t i = 0; i < pages; i++) {
		if (entries[i] & PAGEMAP_PRESENT)
			places->in_system++;
		else if ((entries[i] & PAGEMAP_SWAPPED) && (in_core[i] & 1))
			places->in_device++;
		else
			places->elsewhere++;
	}
}

static bool read_entries(const void *mem, uint64_t *entries, size_t size)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)mem / svm_page_size() * sizeof(*entries);
	ssize_t n = -1;

	if (fd >= 0) {
		n = pread(fd, entries, size, at);
		close(fd);
	}
	return n == (ssize_t)size;
}

bool svm_places(const void *mem, size_t len, struct svm_places *places)
{
	size_t pages = len / svm_page_size();
	uint64_t *entries = calloc(pages, sizeof(*entries));
	unsigned char *in_core = calloc(pages, 1);
	bool ok = entries && in_core &&
		  read_entries(mem, entries, pages * sizeof(*entries)) &&
		  !mincore((void *)mem, len, in_core);

	if (ok)
		count_places(entries, in_core, pages, places);
	free(entries);
	free(in_core);
	return ok;
}

const char *svm_backing_name(enum svm_backing backing)
{
	switch (backing) {
	case SVM_BACKING_NONE:
		return "nothing";
	case SVM_BACKING_ZERO_PAGE:
		return "zero page";
	case SVM_BACKING_PAGE:
		return "page";
	case SVM_BACKING_SWAP:
		return "swap";
	default:
		return "unknown";
	}
}

long svm_smaps_kb(const void *addr, const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	size_t len = strlen(field);
	bool inside = false;
	char line[512];
	long kb = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		/* A header line "start-end perms ..." opens each mapping */
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)addr >= start &&
				 (uintptr_t)addr < end;
		else if (inside && !strncmp(line, field, len) &&
			 line[len] == ':')
			kb = atol(line + len + 1);
		if (kb >= 0)
			break;
	}
	fclose(f);
	return kb;
}

long svm_proc_field(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	size_t len = strlen(field);
	char line[256];
	long value = -1;

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			value = atol(line + len + 1);
	fclose(f);
	return value;
}

bool svm_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, text, strlen(text));
	close(fd);
	return ok;
}

/* The buffers of an io_uring are pinned */
int svm_pin(void *mem, size_t len)
{
	struct iovec iov = { .iov_base = mem, .iov_len = len };
	struct io_uring_params params = { 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);
	int err;

	if (fd < 0)
		return -errno;
	if (!syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov,
		     1))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

void svm_unpin(int pin)
{
	syscall(__NR_io_uring_register, pin, IORING_UNREGISTER_BUFFERS, NULL, 0);
	close(pin);
}

/* What mkswap writes: version and last page at 1 KiB, the magic at the end */
static bool write_swap_header(const char *path, size_t size)
{
	size_t page = svm_page_size();
	uint32_t *head = calloc(1, page);
	bool ok = false;
	int fd;

	if (!head)
		return false;
	head[256] = 1;
	head[257] = size / page - 1;
	memcpy((char *)head + page - 10, "SWAPSPACE2", 10);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		ok = write_all(fd, (char *)head, page) && !fsync(fd);
		close(fd);
	}
	free(head);
	return ok;
}

bool svm_want_swap(void)
{
	if (svm_proc_field("/proc/meminfo", "SwapTotal") > 0)
		return true;
	return svm_write_file("/sys/block/zram0/disksize", "64M") &&
	       write_swap_header("/dev/zram0", 64UL << 20) &&
	       !swapon("/dev/zram0", 0);
}

int svm_watch_missing(void *mem, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, len }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

uint64_t svm_missing_page(int uffd)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&pfd, 1, MISSING_PAGE_MS) != 1 ||
	    read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		return 0;
	return msg.arg.pagefault.address;
}

int svm_provide_zeroes(int uffd, uint64_t addr, size_t len)
{
	struct uffdio_zeropage zero = { .range = { addr & -len, len } };

	return ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
}

bool svm_page_out(void *mem, size_t len)
{
	cpu_set_t all, one;
	bool ok = true;

	if (sched_getaffinity(0, sizeof(all), &all))
		return !madvise(mem, len, MADV_PAGEOUT);

	for (int i = 0; i < PAGE_OUT_ROUNDS * CPU_SETSIZE && ok; i++) {
		int cpu = i % CPU_SETSIZE;

		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		ok = !madvise(mem, len, MADV_PAGEOUT);
	}
	sched_setaffinity(0, sizeof(all), &all);
	return ok;
}

bool svm_swap_out(void *mem, size_t len)
{
	uint64_t deadline = svm_deadline_ms(SWAP_OUT_MS);

	while (svm_page_out(mem, len)) {
		if (svm_smaps_kb(mem, "Swap") >= (long)(len / 1024))
			return true;
		if (svm_past(deadline))
			break;
		/* What isn't mapped isn't paged out, though it may be in memory */
		for (size_t at = 0; at < len; at += svm_page_size())
			*(volatile char *)((char *)mem + at);
	}
	return false;
}

bool svm_want_huge_pages(unsigned int count)
{
	char text[16];

	if (svm_proc_field("/proc/meminfo", "HugePages_Free") >= (long)count)
		return true;
	snprintf(text, sizeof(text), "%u", count);
	svm_write_file("/proc/sys/vm/nr_hugepages", text);
	return svm_proc_field("/proc/meminfo", "HugePages_Free") >= (long)count;
}
