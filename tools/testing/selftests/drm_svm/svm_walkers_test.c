// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's memory management does to memory of a process that is in the
 * memory of a device, seen from user space, on the virtual SVM device.
 *
 * In this order: who reads and writes the memory of a process; what changes the
 * mapping; the reports in /proc; what moves and merges pages; what has to survive a
 * move.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/futex.h>
#include <linux/mempolicy.h>

#include "svm_walkers.h"

/* What is behind an address may be a signal */
static sigjmp_buf no_access;
static int no_access_signal;

static void on_no_access(int sig)
{
	no_access_signal = sig;
	siglongjmp(no_access, 1);
}

static void read_it(volatile char *at)
{
	(void)*at;
}

static void write_it(volatile char *at)
{
	char c = *at;

	*at = c;
}

static void poison_it(volatile char *at)
{
	madvise((void *)at, svm_page_size(), MADV_HWPOISON);
}

/* The signal of an access, or 0 */
static int signal_of(void (*access)(volatile char *at), volatile char *at)
{
	struct sigaction new = { .sa_handler = on_no_access }, segv, bus;

	sigaction(SIGSEGV, &new, &segv);
	sigaction(SIGBUS, &new, &bus);
	no_access_signal = 0;
	if (!sigsetjmp(no_access, 1))
		access(at);
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return no_access_signal;
}

/*
 * Who reads and writes the memory of a process
 */

static bool core_has(const char *path, const void *mem, size_t len, uint64_t seed)
{
	uint64_t addr = svm_addr(mem);
	char *data = malloc(len);
	bool found = false;
	Elf64_Ehdr head;
	Elf64_Phdr part;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (data && fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head))
		for (int i = 0; !found && i < head.e_phnum; i++)
			found = pread(fd, &part, sizeof(part), head.e_phoff +
				      i * sizeof(part)) == sizeof(part) &&
				part.p_type == PT_LOAD && addr >= part.p_vaddr &&
				addr + len <= part.p_vaddr + part.p_filesz &&
				pread(fd, data, len, part.p_offset + addr -
				      part.p_vaddr) == (ssize_t)len &&
				svm_pattern_check(data, len, seed) < 0;
	close(fd);
	free(data);
	return found;
}

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}

/* It dies of this; the memory is a copy of its parent's, in the device */
static void dump_core(const char *dir)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (chdir(dir) || setrlimit(RLIMIT_CORE, &limit))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGABRT, SIG_DFL);
	abort();
}

SVM_TEST(walk, core_file)
{
	static const char pattern_file[] = "/proc/sys/kernel/core_pattern";
	char dir[] = "/tmp/svm_core.XXXXXX", path[64], before[256];
	int status;
	pid_t pid;

	FILL_AND_PUT(1);
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/core", dir);
	ASSERT_TRUE(read_text(pattern_file, before, sizeof(before)));
	ASSERT_TRUE(svm_write_file(pattern_file, path));
	pid = fork();
	if (!pid)
		dump_core(dir);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	svm_write_file(pattern_file, before);
	EXPECT_TRUE(WIFSIGNALED(status) && WCOREDUMP(status));
	if (access(path, R_OK)) {
		/* kernel.core_uses_pid */
		snprintf(path, sizeof(path), "%s/core.%d", dir, pid);
	}
	EXPECT_TRUE(core_has(path, self->mem, LEN, 1));
	unlink(path);
	rmdir(dir);
	IS_PATTERN(self->mem, LEN, 1);
}

SVM_TEST(walk, proc_mem)
{
	uint64_t word = 0, value = 42;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	FILL_AND_PUT(1);
	ASSERT_EQ(8, pread(fd, &word, 8, svm_addr(self->mem + PART)));
	ASSERT_EQ(svm_pattern_word(1, PART / 8), word);
	PUT(self->mem, LEN);
	ASSERT_EQ(8, pwrite(fd, &value, 8, svm_addr(self->mem + PART)));
	SUMS_TO(pattern_sum(LEN, 1) - word + value, self->q, self->mem, LEN);
	close(fd);
}

SVM_TEST(walk, process_vm)
{
	char *copy = map_len(_metadata, LEN, false);
	struct iovec local = { copy, LEN }, remote = { self->mem, LEN };

	FILL_AND_PUT(1);
	ASSERT_EQ((ssize_t)LEN,
		  process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	IS_PATTERN(copy, LEN, 1);
	svm_pattern_fill(copy, LEN, 2);
	PUT(self->mem, LEN);
	ASSERT_EQ((ssize_t)LEN,
		  process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	SUMS_TO(pattern_sum(LEN, 2), self->q, self->mem, LEN);
	IS_PATTERN(self->mem, LEN, 2);
}

SVM_TEST(walk, ptrace_pokes)
{
	uint64_t *word = (uint64_t *)(self->mem + PART);
	int status;
	pid_t pid;

	FILL_AND_PUT(1);
	pid = fork();
	if (!pid) {
		/* For a debugger, what is read-only can be written */
		mprotect(self->mem, LEN, PROT_READ);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(*word != 42);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	errno = 0;
	ASSERT_EQ((long)svm_pattern_word(1, PART / 8),
		  ptrace(PTRACE_PEEKDATA, pid, word, NULL));
	ASSERT_EQ(0, errno);
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, pid, word, 42L));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, NULL, NULL));
	ASSERT_TRUE(child_is_content(pid));
	IS_PATTERN(self->mem, LEN, 1);
}

SVM_TEST(walk, pin)
{
	int pin;

	FILL_AND_PUT(1);
	pin = svm_pin(self->mem + PART, PART_LEN);
	ASSERT_LE(0, pin) TH_LOG("%s", strerror(-pin));
	COUNT_AT(PART_LEN / self->page, RAM, self->mem + PART, PART_LEN);
	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem, LEN, self->place, NULL));
	COUNT_AT(PART_LEN / self->page, RAM, self->mem + PART, PART_LEN);
	svm_unpin(pin);
	IS_PATTERN(self->mem, LEN, 1);
}

static void *wake_later(void *arg)
{
	uint32_t *word = arg;

	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	while (syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) != 1)
		sched_yield();
	return NULL;
}

SVM_TEST(walk, futex)
{
	uint32_t *word = (uint32_t *)(self->mem + PART);
	pthread_t thread;

	memset(self->mem, 0, LEN);
	PUT(self->mem, LEN);
	ASSERT_EQ(-1, syscall(SYS_futex, word, FUTEX_WAIT, 7, NULL, NULL, 0));
	ASSERT_EQ(EAGAIN, errno);
	PUT(self->mem, LEN);
	*word = 1;
	PUT(self->mem, LEN);
	ASSERT_EQ(0, pthread_create(&thread, NULL, wake_later, word));
	ASSERT_EQ(0, syscall(SYS_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0))
		TH_LOG("%s", strerror(errno));
	pthread_join(thread, NULL);
	ASSERT_EQ(1, *word);
}

/*
 * What changes the mapping
 */

#define ADVISE_TRIES	100

/* A page that the kernel looks at, at this moment, can't be taken offline. */
static int advise_patiently(char *mem, size_t len, int advice)
{
	int tries = ADVISE_TRIES, err;

	do {
		err = madvise(mem, len, advice);
	} while (err && errno == EBUSY && tries-- && !sched_yield());
	return err;
}

SVM_TEST(walk, advice_keeps_contents)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_SOFT_OFFLINE, MADV_DONTFORK,
		MADV_DOFORK, MADV_GUARD_REMOVE,
	};
	char *mem = self->mem;

	svm_want_swap();
	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		/* A part, which splits a huge page, and then all of it */
		FILL_AND_PUT(i);
		EXPECT_EQ(0, advise_patiently(mem + PART, PART_LEN, advice[i]))
			TH_LOG("%d: %s", advice[i], strerror(errno));
		IS_PATTERN(mem, LEN, i);

		/* But don't take that many pages offline */
		FILL_AND_PUT(i + 1);
		if (advice[i] != MADV_SOFT_OFFLINE)
			EXPECT_EQ(0, madvise(mem, LEN, advice[i]))
				TH_LOG("%d: %s", advice[i], strerror(errno));
		RUN(self->q, svm_add(mem, LEN, 0));
		IS_PATTERN(mem, LEN, i + 1);
	}
}

SVM_TEST(walk, discarding_a_part)
{
	static const int advice[] = { MADV_DONTNEED, MADV_GUARD_INSTALL };
	char *part = self->mem + PART;

	for (size_t i = 0; i < ARRAY_SIZE(advice); i++) {
		FILL_AND_PUT(i);
		ASSERT_EQ(0, madvise(part, PART_LEN, advice[i]));
		if (advice[i] == MADV_GUARD_INSTALL) {
			RUN_FAILS(-EFAULT, part, self->q, svm_sum(part, self->page));
			ASSERT_EQ(SIGSEGV, signal_of(read_it, part));
			/* All around it moves, and it stays what it is */
			TRY_PUT(self->mem, LEN);
			ASSERT_EQ(SIGSEGV, signal_of(read_it, part));
			ASSERT_EQ(0, madvise(self->mem, LEN, MADV_GUARD_REMOVE));
		}
		IS_VALUE(part, PART_LEN, 0);
		IS_PATTERN(self->mem, PART, i);
		for (size_t w = (PART + PART_LEN) / 8; w < LEN / 8; w++)
			ASSERT_EQ(svm_pattern_word(i, w), ((uint64_t *)self->mem)[w]);
	}

	/* Of a whole one, too */
	FILL_AND_PUT(3);
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_GUARD_INSTALL));
	RUN_FAILS(-EFAULT, self->mem, self->q, svm_sum(self->mem, LEN));
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_GUARD_REMOVE));
	IS_VALUE(self->mem, LEN, 0);
}

SVM_TEST(walk, poison_of_a_page)
{
	char *part = self->mem + PART;

	FILL_AND_PUT(1);
	/* Who uses it just now learns it at once */
	ASSERT_EQ(SIGBUS, signal_of(poison_it, part));
	TRY_PUT(self->mem, LEN);
	RUN_FAILS(-EFAULT, part, self->q, svm_sum(part, self->page));
	ASSERT_EQ(SIGBUS, signal_of(read_it, part));
	IS_PATTERN(self->mem, PART, 1);
	ASSERT_EQ(svm_pattern_word(1, (PART + self->page) / 8),
		  *(uint64_t *)(part + self->page));
}

SVM_TEST(walk, mprotect_and_back)
{
	static const int prots[] = { PROT_NONE, PROT_READ };

	for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
		size_t len = i % 2 ? LEN : PART_LEN;
		char *part = self->mem + (i % 2 ? 0 : PART);

		FILL_AND_PUT(i);
		ASSERT_EQ(0, mprotect(part, len, prots[i]));
		TRY_PUT(self->mem, LEN);
		ASSERT_EQ(SIGSEGV, signal_of(write_it, part));
		ASSERT_EQ(-EPERM, svm_run(self->q, svm_fill(part, 8, 0), NULL));
		ASSERT_EQ(0, mprotect(part, len, PROT_READ | PROT_WRITE));
		TRY_PUT(self->mem, LEN);
		ASSERT_EQ(0, signal_of(write_it, part));
		RUN(self->q, svm_add(self->mem, LEN, 0));
		IS_PATTERN(self->mem, LEN, i);
	}
}

SVM_TEST(walk, mremap)
{
	char *to = map_len(_metadata, LEN, variant->huge);
	char *at = self->mem + PART;

	/* The whole, then a part of it to where it isn't aligned the same */
	FILL_AND_PUT(1);
	ASSERT_EQ(to, mremap(self->mem, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	COUNT_AT(LEN / self->page, self->place, to, LEN);
	SUMS_TO(pattern_sum(LEN, 1), self->q, to, LEN);
	ASSERT_EQ(at, mremap(to + self->page, PART_LEN, PART_LEN,
			     MREMAP_MAYMOVE | MREMAP_FIXED, at));
	COUNT_AT(PART_LEN / self->page, self->place, at, PART_LEN);
	for (size_t w = 0; w < PART_LEN / 8; w++)
		ASSERT_EQ(svm_pattern_word(1, w + self->page / 8),
			  ((uint64_t *)at)[w]);
	IS_PATTERN(to, self->page, 1);
}

SVM_TEST(walk, fork_and_unmap)
{
	char *mem = self->mem;
	pid_t pid;

	FILL_AND_PUT(1);
	pid = fork();
	if (!pid) {
		bool right = svm_pattern_check(mem, LEN, 1) < 0;

		memset(mem, 3, PART);
		right &= !munmap(mem + PART, PART_LEN) && mem[PART - 1] == 3;
		_exit(!right);
	}
	RUN(self->q, svm_add(mem + LEN / 2, LEN / 2, 0));
	ASSERT_TRUE(child_is_content(pid));
	IS_PATTERN(mem, LEN, 1);

	/* With parts that only one of them still has */
	PUT(mem, LEN);
	ASSERT_EQ(0, munmap(mem + PART, PART_LEN));
	IS_PATTERN(mem, PART, 1);
	ASSERT_EQ(0, munmap(mem, LEN));
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/*
 * Reports
 */

SVM_TEST(walk, mincore)
{
	unsigned char in_core[LEN / svm_page_size()];

	FILL_AND_PUT(1);
	ASSERT_EQ(0, mincore(self->mem, LEN, in_core));
	for (size_t i = 0; i < LEN / self->page; i++)
		ASSERT_EQ(1, in_core[i] & 1);
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
}

SVM_TEST(walk, smaps)
{
	const void *mem = self->mem;
	long kb = LEN / 1024;

	FILL_AND_PUT(1);
	ASSERT_EQ(kb, svm_smaps_kb(mem, "Rss"));
	EXPECT_EQ(kb, svm_smaps_kb(mem, "Pss"));
	EXPECT_EQ(kb, svm_smaps_kb(mem, "Anonymous"));
	EXPECT_EQ(variant->huge ? kb : 0, svm_smaps_kb(mem, "AnonHugePages"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "Swap"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "LazyFree"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "Shared_Clean"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "Shared_Dirty"));
	EXPECT_EQ(0, svm_smaps_kb(mem, "Private_Clean"));
	EXPECT_EQ(kb, svm_smaps_kb(mem, "Private_Dirty"));
	COUNT_AT(LEN / self->page, self->place, mem, LEN);
}

SVM_TEST(walk, reports_disturb_nothing)
{
	static const char *const files[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "status", "statm",
	};
	char text[4096], path[64];

	FILL_AND_PUT(1);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd) TH_LOG("%s", path);
		while ((n = read(fd, text, sizeof(text))) > 0)
			;
		EXPECT_EQ(0, n);
		close(fd);
	}
	for (char c = '1'; c <= '3'; c++)
		ASSERT_TRUE(svm_write_file("/proc/self/clear_refs",
					   (char []){ c, '\0' }));
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	IS_PATTERN(self->mem, LEN, 1);
}

SVM_TEST(walk, numa_calls)
{
	unsigned long node = 1;
	void *page = self->mem + PART;
	int status = -1;

	FILL_AND_PUT(1);
	ASSERT_EQ(0, syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0));
	ASSERT_EQ(0, syscall(SYS_mbind, self->mem, LEN, MPOL_BIND, &node, 8UL,
			     MPOL_MF_MOVE | MPOL_MF_STRICT))
		TH_LOG("%s", strerror(errno));
	ASSERT_EQ(0, syscall(SYS_migrate_pages, 0, 8UL, &node, &node));
	RUN(self->q, svm_add(self->mem, LEN, 0));
	IS_PATTERN(self->mem, LEN, 1);
	status = -1;
	ASSERT_EQ(0, syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0));
	ASSERT_EQ(0, status);
}

/*
 * What moves and merges pages
 */

SVM_TEST(walk, collapse)
{
	FILL_AND_PUT(1);
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_HUGEPAGE));
	/* What has just come back may be in use still */
	WAIT_FOR(!madvise(self->mem, LEN, MADV_COLLAPSE) || errno != EAGAIN);
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_COLLAPSE))
		TH_LOG("%s", strerror(errno));
	ASSERT_EQ(LEN / 1024, svm_smaps_kb(self->mem, "AnonHugePages"));
	if (variant->huge)
		COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	IS_PATTERN(self->mem, LEN, 1);
}

static long proc_number(const char *path)
{
	char text[32] = "-1";

	read_text(path, text, sizeof(text));
	return atol(text);
}

#define KSM(file) "/sys/kernel/mm/ksm/" file

/* KSM has been around so many times more */
#define KSM_SCANS(num) do {						\
	long until_ = proc_number(KSM("full_scans")) + (num);		\
									\
	WAIT_FOR(proc_number(KSM("full_scans")) >= until_);		\
} while (0)

SVM_TEST(walk, merged_pages)
{
	char *more = map_len(_metadata, LEN, false);
	char *mem = map_len(_metadata, LEN, false);
	long run = proc_number(KSM("run"));
	char old[16];

	snprintf(old, sizeof(old), "%ld", run);
	if (!svm_write_file(KSM("run"), "1") ||
	    !svm_write_file(KSM("pages_to_scan"), "4096") ||
	    !svm_write_file(KSM("sleep_millisecs"), "1"))
		SKIP(return, "needs CONFIG_KSM and root");
	memset(mem, 5, LEN);
	ASSERT_EQ(0, madvise(mem, LEN, MADV_MERGEABLE));
	KSM_SCANS(3);

	/* Whether merged or not: it reads them, and compares others with them */
	TRY_PUT(mem, LEN);
	memset(more, 5, LEN);
	ASSERT_EQ(0, madvise(more, LEN, MADV_MERGEABLE));
	KSM_SCANS(3);
	TRY_PUT(more, LEN / 2);
	KSM_SCANS(2);
	IS_VALUE(mem, LEN, 0x0505050505050505);
	RUN(self->q, svm_add(mem, LEN, 1));
	IS_VALUE(mem, LEN, 0x0505050505050506);
	IS_VALUE(more, LEN, 0x0505050505050505);
	TRY_PUT(more, LEN);
	EXPECT_EQ(0, madvise(more, LEN, MADV_UNMERGEABLE));
	IS_VALUE(more, LEN, 0x0505050505050505);
	svm_write_file(KSM("run"), old);
}

SVM_TEST(walk, swapoff)
{
	char *other = map_len(_metadata, LEN, false);

	if (!svm_want_swap())
		SKIP(return, "no swap");
	svm_pattern_fill(other, LEN, 2);
	FILL_AND_PUT(1);
	svm_page_out(other, LEN);
	EXPECT_LT(0, svm_smaps_kb(other, "Swap"));
	ASSERT_EQ(0, swapoff("/dev/zram0")) TH_LOG("%s", strerror(errno));
	COUNT_AT(LEN / self->page, self->place, self->mem, LEN);
	EXPECT_EQ(0, swapon("/dev/zram0", 0));
	IS_PATTERN(self->mem, LEN, 1);
	IS_PATTERN(other, LEN, 2);
}

/*
 * What has to survive a move
 */

/* Once it is written, what was to be freed lazily isn't any more */
SVM_TEST(walk, lazily_freed)
{
	if (!svm_want_swap())
		SKIP(return, "no swap");
	svm_pattern_fill(self->mem, LEN, 1);
	ASSERT_EQ(0, madvise(self->mem, LEN, MADV_FREE));
	PUT(self->mem, LEN);
	if (variant->ram)
		svm_pattern_fill(self->mem, LEN, 1);
	else
		RUN(self->q, svm_add(self->mem, LEN, 0));
	TAKE_BACK(self->mem, LEN);
	ASSERT_TRUE(svm_swap_out(self->mem, LEN));
	IS_PATTERN(self->mem, LEN, 1);
}

/* Memory that may go at any time, but never to swap, where it would be found again */
SVM_TEST(walk, droppable)
{
	char *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);

	if (!svm_want_swap() || mem == MAP_FAILED)
		SKIP(return, "no swap, or no droppable memory");
	/* Other memory does go to swap */
	svm_pattern_fill(self->mem, LEN, 1);
	ASSERT_TRUE(svm_swap_out(self->mem, LEN));
	svm_pattern_fill(mem, LEN, 1);
	PUT(mem, LEN);
	TAKE_BACK(mem, LEN);
	WAIT_FOR(svm_page_out(mem, LEN) && !svm_smaps_kb(mem, "Rss"));
	for (size_t at = 0; at < LEN; at += self->page)
		ASSERT_EQ(0, pagemap_bits(_metadata, mem + at, PM_SWAP));
	munmap(mem, LEN);
}

SVM_TEST(walk, swap_cache)
{
	if (!svm_want_swap())
		SKIP(return, "no swap");
	svm_pattern_fill(self->mem, LEN, 1);
	ASSERT_TRUE(svm_swap_out(self->mem, LEN));
	IS_PATTERN(self->mem, LEN, 1);
	TRY_PUT(self->mem, LEN);
	RUN(self->q, svm_add(self->mem, LEN, 1));
	TAKE_BACK(self->mem, LEN);
	ASSERT_TRUE(svm_swap_out(self->mem, LEN));
	RUN(self->q, svm_add(self->mem, LEN, -1ULL));
	IS_PATTERN(self->mem, LEN, 1);
}

SVM_TEST(walk, mlock)
{
	long before = svm_proc_field("/proc/meminfo", "Mlocked");
	char *mem = self->mem;

	FILL_AND_PUT(1);
	ASSERT_EQ(0, mlock(mem + PART, PART_LEN));
	IS_PATTERN(mem, LEN, 1);
	ASSERT_EQ(0, munlock(mem + PART, PART_LEN));
	ASSERT_EQ(0, mlock(mem, LEN));
	EXPECT_EQ(LEN / 1024, svm_smaps_kb(mem, "Locked"));

	/* It moves nevertheless, and back; on the way it is unlocked and gone */
	TRY_PUT(mem, LEN);
	TAKE_BACK(mem, LEN);
	EXPECT_EQ(LEN / 1024, svm_smaps_kb(mem, "Locked"));
	TRY_PUT(mem, LEN);
	RUN(self->q, svm_add(mem, LEN, 0));
	ASSERT_EQ(0, munlock(mem, LEN));
	IS_PATTERN(mem, LEN / 2, 1);
	munmap(mem, LEN);
	WAIT_FOR(svm_proc_field("/proc/meminfo", "Mlocked") <= before);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

/* Pages of the device that were one process's say nothing about another's */
SVM_TEST(walk, second_life_of_pages)
{
	for (int i = 0; i < 4; i++) {
		char *mem = map_len(_metadata, LEN, variant->huge);

		svm_pattern_fill(mem, LEN, i);
		if (i % 2)
			ASSERT_EQ(0, mlock(mem, LEN));
		TRY_PUT(mem, LEN);
		RUN(self->q, svm_add(mem, LEN, 0));
		TAKE_BACK(mem, LEN);
		IS_PATTERN(mem, LEN, i);
		TRY_PUT(mem, LEN);
		munmap(mem, LEN);
		WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	}
}

#define CGROUP "/sys/fs/cgroup/svm_walkers"

static bool make_cgroup(void)
{
	svm_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	return (!mkdir(CGROUP, 0755) || errno == EEXIST) &&
	       !access(CGROUP "/memory.current", R_OK);
}

/* What a child makes from here on is the group's */
static int enter_cgroup(struct svm *svm)
{
	if (!svm_write_file(CGROUP "/cgroup.procs", "0"))
		return -errno;
	svm_close(svm);
	return svm_open_set(svm, TEST_SET, 1);
}

/* Whoever pays for memory pays for it where it is, and once */
SVM_TEST(walk, memory_cgroup)
{
	long empty, full, moved, back;
	pid_t pid;

	if (!make_cgroup())
		SKIP(return, "needs cgroup2 with memory");
	pid = fork();
	if (!pid) {
		char *mem;

		if (enter_cgroup(&self->svm))
			_exit(100);
		mem = map_len(_metadata, LEN, variant->huge);
		empty = proc_number(CGROUP "/memory.current");
		svm_pattern_fill(mem, LEN, 1);
		full = proc_number(CGROUP "/memory.current");
		svm_prefetch(&self->svm, mem, LEN, self->place, NULL);
		moved = proc_number(CGROUP "/memory.current");
		svm_prefetch(&self->svm, mem, LEN, RAM, NULL);
		back = proc_number(CGROUP "/memory.current");
		svm_prefetch(&self->svm, mem, LEN, self->place, NULL);
		munmap(mem, LEN);
		fprintf(stderr, "# %ld %ld %ld %ld %ld\n", empty, full, moved, back,
			proc_number(CGROUP "/memory.current"));
		_exit((full - empty < (long)LEN / 2) |
		      (labs(moved - full) > (long)LEN / 2) << 1 |
		      (labs(back - full) > (long)LEN / 2) << 2 |
		      (proc_number(CGROUP "/memory.current") - empty >
		       (long)LEN / 2) << 3);
	}
	EXPECT_TRUE(child_is_content(pid));
	WAIT_FOR(!rmdir(CGROUP) || errno == ENOENT);
}

/*
 * The first pages of a group are some that a device makes of nothing. What becomes of
 * them in RAM is unmapped in part, and so is what comes later. Huge pages are on the
 * kernel's lists then, which it complains about if they are not the group's
 */
SVM_TEST(walk, first_pages_of_a_memory_cgroup)
{
	pid_t pid;

	if (!make_cgroup())
		SKIP(return, "needs cgroup2 with memory");
	pid = fork();
	if (!pid) {
		char *mem, *later;

		if (enter_cgroup(&self->svm))
			_exit(100);
		mem = map_len(_metadata, LEN, variant->huge);
		later = map_len(_metadata, LEN, variant->huge);
		if (svm_prefetch(&self->svm, mem, LEN, self->place, NULL) ||
		    svm_prefetch(&self->svm, mem, LEN, RAM, NULL) || *mem)
			_exit(1);
		for (size_t i = 0; i < LEN; i += SVM_PMD_SIZE)
			munmap(mem + i, self->page);
		memset(later, 1, LEN);
		for (size_t i = 0; i < LEN; i += SVM_PMD_SIZE)
			munmap(later + i, self->page);
		munmap(mem, LEN);
		munmap(later, LEN);
		_exit(0);
	}
	EXPECT_TRUE(child_is_content(pid));
	WAIT_FOR(!rmdir(CGROUP) || errno == ENOENT);
}

TEST_HARNESS_MAIN
