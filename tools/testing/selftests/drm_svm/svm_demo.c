// SPDX-License-Identifier: GPL-2.0
/*
 * A demonstration: a device computes on the memory of a process, wherever that
 * memory comes from and whatever happens to it; and the memory moves to devices
 * and back. Prints a table with a row for each scenario and another with a row
 * for each step of a journey, and exits with 0 only if all results were right.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_check.h"
#include "svm_mem.h"
#include "vsvm_lib.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define KB		1024UL
#define MB		(1024 * KB)
#define MANY		4	/* devices and threads, where there are several */

static bool runs(struct svm_queue *queue, struct drm_vsvm_op op)
{
	return check(!svm_run(queue, op, NULL), "%s", svm_why());
}

static bool sums_to(struct svm_queue *queue, const void *mem, size_t len,
		    uint64_t sum)
{
	struct svm_outcome out;

	return check(!svm_run(queue, svm_sum(mem, len), &out), "%s",
		     svm_why()) &&
	       check(out.result == sum, "the device read other data");
}

static bool is_value(const void *mem, size_t len, uint64_t value)
{
	return check(svm_value_check(mem, len, value) < 0,
		     "the process reads other data than the device wrote");
}

/* Wait for a thing that has to happen, but not for ever */
static bool comes_true(volatile uint64_t *word)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);

	while (!*word && !svm_past(deadline))
		sched_yield();
	return check(*word, "a job doesn't begin");
}

/* The device writes, adds and reads; the process checks */
static bool compute(struct svm_queue *queue, void *mem, size_t len)
{
	return runs(queue, svm_fill(mem, len, 40)) &&
	       runs(queue, svm_add(mem, len, 2)) && is_value(mem, len, 42) &&
	       sums_to(queue, mem, len, 42 * (len / 8));
}

static bool malloc_memory(struct svm *svm)
{
	size_t len = 4 * MB;
	void *mem = malloc(len);
	bool ok = check(mem, "no memory") && compute(&svm->queue[0], mem, len);

	free(mem);
	return ok;
}

static uint64_t global_words[8192];
static const uint64_t constant_words[512] = { [0 ... 511] = 7 };

static bool stack_and_globals(struct svm *svm)
{
	uint64_t stack_words[4096];
	struct svm_outcome out;

	svm_run(&svm->queue[0], svm_fill((void *)constant_words, 8, 1), &out);
	return compute(&svm->queue[0], stack_words, sizeof(stack_words)) &&
	       compute(&svm->queue[0], global_words, sizeof(global_words)) &&
	       sums_to(&svm->queue[0], constant_words, sizeof(constant_words),
		       512 * 7) &&
	       check(out.status == -EPERM, "the device could write a constant");
}

static bool file_mapping(struct svm *svm)
{
	size_t len = 1 * MB;
	int fd = svm_tmpfile(len, 1);
	char *shared = svm_map_file(fd, len, PROT_READ | PROT_WRITE,
				    MAP_SHARED);
	char *private = svm_map_file(fd, len, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE);
	uint64_t word = 0;
	bool ok;

	ok = check(shared && private, "no file: %s", strerror(errno)) &&
	     runs(&svm->queue[0], svm_fill(private, len, 1)) &&
	     check(svm_pattern_check(shared, len, 1) < 0,
		   "a private write reached the file") &&
	     compute(&svm->queue[0], shared, len) &&
	     check(pread(fd, &word, 8, len - 8) == 8 && word == 42,
		   "read() doesn't see what the device wrote") &&
	     is_value(private, len, 1);
	munmap(shared, len);
	munmap(private, len);
	close(fd);
	return ok;
}

static bool huge_page(struct svm *svm)
{
	size_t len = 4 * SVM_PMD_SIZE;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);
	bool ok;

	if (!check(mem, "no memory"))
		return false;
	madvise(mem, len, MADV_HUGEPAGE);
	memset(mem, 1, len);
	ok = compute(&svm->queue[0], mem, len);
	munmap(mem, len);
	return ok;
}

static bool fork_both_ways(struct svm *svm)
{
	size_t len = 1 * MB;
	char *mine = svm_map(len, PROT_READ | PROT_WRITE);
	char *theirs = svm_map(len, PROT_READ | PROT_WRITE);
	int go[2], status;
	bool ok;
	pid_t pid;
	char c = 0;

	if (!check(mine && theirs && !pipe(go), "no memory") ||
	    !compute(&svm->queue[0], mine, len) ||
	    !compute(&svm->queue[0], theirs, len))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* Write to the one; see nothing of what is done to the other */
		memset(theirs, 0x77, len);
		close(go[1]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(svm_value_check(mine, len, 42) >= 0);
	}
	ok = check(pid > 0, "no process") &&
	     runs(&svm->queue[0], svm_fill(mine, len, 9)) &&
	     check(write(go[1], &c, 1) == 1, "no pipe") &&
	     check(waitpid(pid, &status, 0) == pid && !status,
		   "the child saw what the parent's device wrote") &&
	     sums_to(&svm->queue[0], theirs, len, 42 * (len / 8)) &&
	     is_value(mine, len, 9);
	close(go[0]);
	close(go[1]);
	munmap(mine, len);
	munmap(theirs, len);
	return ok;
}

/* One round: unmap what a job writes to, take the pages for something else */
static bool unmap_under_job(struct svm_queue *queue)
{
	size_t len = 256 * KB;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	char *other = svm_map(len, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = svm_atomic_add(mem, len / 8, 8, 1);
	struct svm_outcome out;
	uint64_t seqno;
	bool ok;

	op.repeat = 1U << 30;
	if (!check(mem && other && !svm_submit(queue, &op, 1, &seqno), "%s",
		   svm_why()) ||
	    !comes_true(mem))
		return false;
	munmap(mem, len);
	svm_pattern_fill(other, len, 1);
	svm_wait(queue, seqno, &out);
	ok = check(out.status == -EFAULT && out.fault_addr >= svm_addr(mem) &&
		   out.fault_addr < svm_addr(mem) + len,
		   "the job ended with %d at %#llx", out.status,
		   (unsigned long long)out.fault_addr) &&
	     check(svm_pattern_check(other, len, 1) < 0,
		   "the device wrote to a page after its munmap");
	munmap(other, len);
	return ok;
}

static bool munmap_under_jobs(struct svm *svm)
{
	for (int i = 0; i < 20; i++)
		if (!unmap_under_job(&svm->queue[0]))
			return false;
	return true;
}

static bool protect_and_swap(struct svm *svm)
{
	size_t len = 1 * MB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct svm_outcome out;
	bool ok;

	if (!check(mem, "no memory") || !compute(&svm->queue[0], mem, len))
		return false;
	svm_want_swap();
	madvise(mem, len, MADV_PAGEOUT);
	mprotect(mem, len, PROT_READ);
	svm_run(&svm->queue[0], svm_fill(mem, len, 1), &out);
	ok = check(out.status == -EPERM && out.fault_addr == svm_addr(mem),
		   "the device could write after mprotect") &&
	     sums_to(&svm->queue[0], mem, len, 42 * (len / 8));
	mprotect(mem, len, PROT_READ | PROT_WRITE);
	madvise(mem, len, MADV_PAGEOUT);
	ok = ok && runs(&svm->queue[0], svm_add(mem, len, 1)) &&
	     is_value(mem, len, 43);
	munmap(mem, len);
	return ok;
}

static bool pointer_chase(struct svm *svm)
{
	size_t pages = 2048, page = svm_page_size(), at = 0;
	char *mem = svm_map(pages * page, PROT_READ | PROT_WRITE);
	struct svm_outcome out;
	bool ok;

	if (!check(mem, "no memory"))
		return false;
	/* An odd stride visits all pages of a power of two */
	for (size_t i = 0; i < pages; i++) {
		size_t next = (at + 1021) % pages;

		*(uint64_t *)(mem + at * page) = svm_addr(mem + next * page);
		at = next;
	}
	ok = check(!svm_run(&svm->queue[0], svm_chase(mem, 4 * pages), &out),
		   "%s", svm_why()) &&
	     check(out.result == svm_addr(mem), "the list ended elsewhere");
	munmap(mem, pages * page);
	return ok;
}

static bool atomics_together(struct svm *svm)
{
	enum { WORDS = 64, REPEAT = 300 };
	size_t page = svm_page_size();
	uint64_t *mem = svm_map(WORDS * page, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = svm_atomic_add(mem, WORDS, page, 1);
	uint64_t seqno[MANY];
	bool ok = check(mem, "no memory");

	op.repeat = REPEAT;
	for (unsigned int i = 0; ok && i < svm->num_devices; i++)
		ok = check(!svm_submit(&svm->queue[i], &op, 1, &seqno[i]), "%s",
			   svm_why());
	for (int r = 0; ok && r < REPEAT; r++)
		for (int w = 0; w < WORDS; w++)
			__atomic_fetch_add(&mem[w * page / 8], 1,
					   __ATOMIC_RELAXED);
	for (unsigned int i = 0; ok && i < svm->num_devices; i++)
		ok = check(!svm_wait(&svm->queue[i], seqno[i], NULL), "%s",
			   svm_why());
	for (int w = 0; ok && w < WORDS; w++)
		ok = check(mem[w * page / 8] == (svm->num_devices + 1) * REPEAT,
			   "an addition was lost");
	munmap(mem, WORDS * page);
	return ok;
}

/* A process is killed while its job runs; ours goes on */
static bool killed_process(struct svm *svm)
{
	uint64_t *mem = mmap(NULL, svm_page_size(), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t word = 1;
	bool ok;
	pid_t pid;

	if (!check(mem != MAP_FAILED, "no memory"))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct drm_vsvm_op op = svm_atomic_add(mem, 1ULL << 40, 0, 1);
		struct svm theirs;
		uint64_t seqno;

		if (svm_open(&theirs, 1) ||
		    svm_submit(&theirs.queue[0], &op, 1, &seqno))
			_exit(1);
		for (;;)
			pause();
	}
	ok = check(pid > 0, "no process") && comes_true(mem);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (ok) {
		uint64_t last = *(volatile uint64_t *)mem;

		ok = compute(&svm->queue[0], global_words,
			     sizeof(global_words)) &&
		     runs(&svm->queue[0], svm_add(&word, 8, 1)) &&
		     check(*(volatile uint64_t *)mem == last,
			   "the job outlived its process");
	}
	munmap(mem, svm_page_size());
	return ok;
}

static const struct scenario {
	const char *what;
	unsigned int devices;
	bool (*run)(struct svm *svm);
} scenarios[] = {
	{ "4 MiB from malloc()", 1, malloc_memory },
	{ "stack, globals; constants only readable", 1, stack_and_globals },
	{ "file mapped private and shared", 1, file_mapping },
	{ "8 MiB in huge pages", 1, huge_page },
	{ "fork(): copy-on-write in both directions", 1, fork_both_ways },
	{ "munmap() under a running job, 20 times", 1, munmap_under_jobs },
	{ "read-only by mprotect(), paged out and in", 1, protect_and_swap },
	{ "a list chased through 2048 pages", 1, pointer_chase },
	{ "devices and CPU add to the same words", MANY, atomics_together },
	{ "a process killed in the middle of a job", 1, killed_process },
};

#define N_SCENARIOS	(sizeof(scenarios) / sizeof(scenarios[0]))

struct total {
	unsigned int right;
	uint64_t faults, stale;
};

static void print_header(unsigned int devices)
{
	struct drm_vsvm_query query = { 0 };
	struct utsname name;
	int fd = svm_open_device(0);

	uname(&name);
	svm_query(fd, &query);
	close(fd);
	printf("GPU SVM on Linux %s, %ld CPUs, %ld MiB of memory\n",
	       name.release, sysconf(_SC_NPROCESSORS_ONLN),
	       svm_proc_field("/proc/meminfo", "MemTotal") / 1024);
	printf("%u virtual device%s (vsvm), %u faults at a time each, chunks of",
	       devices, devices == 1 ? "" : "s", query.fault_workers);
	for (unsigned int i = 0; i < query.num_chunks; i++)
		printf(" %llu", (unsigned long long)query.chunk_sizes[i] / 1024);
	printf(" KiB\n\n");
	printf("%-44s%8s%9s%9s%9s  %s\n", "", "device", "pages", "invali-",
	       "time", "");
	printf("%-44s%8s%9s%9s%9s  %s\n", "what the device worked on", "faults",
	       "mapped", "dations", "ms", "verified");
}

static void print_row(const char *what, const struct drm_vsvm_device_stats *st,
		      uint64_t ns, bool ok)
{
	printf("%-44s%8llu%9llu%9llu%9.1f  %s\n", what,
	       (unsigned long long)(st->read_faults + st->write_faults),
	       (unsigned long long)st->pages,
	       (unsigned long long)st->invalidations, ns / 1e6,
	       ok ? "yes" : "NO");
	if (!ok)
		printf("    %s\n", why_not);
	fflush(stdout);
}

static void run_scenario(const struct scenario *s, unsigned int devices,
			 struct total *total)
{
	struct drm_vsvm_device_stats stats = { 0 };
	unsigned int n = s->devices < devices ? s->devices : devices;
	struct svm svm;
	uint64_t start;
	char what[64];
	bool ok;

	why_not[0] = '\0';
	start = svm_now_ns();
	ok = check(!svm_open(&svm, n), "%s", svm_why()) && s->run(&svm);
	start = svm_now_ns() - start;
	ok = check(!svm_stats(&svm, &stats), "%s", svm_why()) && ok;
	ok = check(!stats.stale_accesses, "%llu stale accesses",
		   (unsigned long long)stats.stale_accesses) && ok;
	svm_close(&svm);

	if (s->devices > 1)
		snprintf(what, sizeof(what), "%u %s", n, s->what);
	else
		snprintf(what, sizeof(what), "%s", s->what);
	print_row(what, &stats, start, ok);
	total->right += ok;
	total->faults += stats.read_faults + stats.write_faults;
	total->stale += stats.stale_accesses;
}

/*
 * A journey: some memory of the process moves between the system and the memory
 * of two devices. All words of it have the same value.
 */
#define JOURNEY_SET	"drm_svm_demo"
#define JOURNEY_LEN	(8 * MB)
#define DEVICE_MEM	(16 * MB)

struct journey {
	struct svm svm;
	/* Another address space, which sees where memory is after the removal */
	struct svm onlooker;
	char *mem;
	size_t len;
	uint64_t value;
};

static bool goes_to(struct journey *j, uint32_t location)
{
	struct svm_moved moved;

	return check(!svm_prefetch(&j->svm, j->mem, j->len, location, &moved),
		     "%s", svm_why()) &&
	       check(!moved.left, "%llu pages couldn't move",
		     (unsigned long long)moved.left);
}

static bool device_adds(struct journey *j, unsigned int device)
{
	struct svm_queue *queue = &j->svm.queue[device];

	j->value++;
	return runs(queue, svm_add(j->mem, j->len, 1)) &&
	       sums_to(queue, j->mem, j->len, j->value * (j->len / 8));
}

static bool process_writes(struct journey *j)
{
	uint64_t *word = (uint64_t *)j->mem;

	for (size_t i = 0; i < j->len / 8; i++)
		word[i] = j->value;
	return true;
}

static bool to_device_0(struct journey *j)
{
	return goes_to(j, DRM_VSVM_LOCATION_DEVICE(0));
}

static bool to_device_1(struct journey *j)
{
	return goes_to(j, DRM_VSVM_LOCATION_DEVICE(1));
}

static bool to_system(struct journey *j)
{
	return goes_to(j, DRM_VSVM_LOCATION_SYSTEM) &&
	       is_value(j->mem, j->len, j->value);
}

static bool device_0_adds(struct journey *j)
{
	return device_adds(j, 0);
}

static bool device_1_adds(struct journey *j)
{
	return device_adds(j, 1);
}

static bool process_reads_a_byte(struct journey *j)
{
	return check(*(volatile uint8_t *)(j->mem + j->len / 2) == j->value,
		     "the byte is wrong");
}

static bool process_reads_all(struct journey *j)
{
	return is_value(j->mem, j->len, j->value);
}

static bool child_writes(struct journey *j)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool same = svm_value_check(j->mem, j->len, j->value) < 0;

		memset(j->mem, 0x77, j->len);
		_exit(!same);
	}
	return check(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
		     "the child has other data") &&
	       sums_to(&j->svm.queue[1], j->mem, j->len,
		       j->value * (j->len / 8));
}

/* Memory of a size of its own instead; nobody has written to it */
static bool take_new(struct journey *j, size_t len, int advice)
{
	munmap(j->mem, j->len);
	j->mem = svm_map_aligned(len, SVM_PMD_SIZE);
	j->len = len;
	j->value = 0;
	return check(j->mem, "no memory") && !madvise(j->mem, len, advice);
}

static bool fresh_to_device_0(struct journey *j)
{
	return take_new(j, JOURNEY_LEN, MADV_NOHUGEPAGE) && to_device_0(j) &&
	       sums_to(&j->svm.queue[0], j->mem, j->len, 0);
}

static bool huge_pages(struct journey *j)
{
	return take_new(j, JOURNEY_LEN, MADV_HUGEPAGE) && process_writes(j) &&
	       to_device_1(j) && device_adds(j, 1);
}

static bool too_much(struct journey *j)
{
	return take_new(j, 4 * DEVICE_MEM, MADV_NOHUGEPAGE) &&
	       process_writes(j) && device_adds(j, 0);
}

static bool devices_removed(struct journey *j)
{
	svm_set_remove(JOURNEY_SET);
	return check(svm_run(&j->svm.queue[0], svm_add(j->mem, 8, 1), NULL) ==
		     -ENODEV, "a device runs that was removed") &&
	       is_value(j->mem, j->len, j->value);
}

static const struct step {
	const char *what;
	bool (*run)(struct journey *j);
} steps[] = {
	{ "the process writes 8 MiB", process_writes },
	{ "prefetch to device 0", to_device_0 },
	{ "device 0 adds", device_0_adds },
	{ "the process reads one byte", process_reads_a_byte },
	{ "device 1 adds, through its link to 0", device_1_adds },
	{ "prefetch to device 1", to_device_1 },
	{ "prefetch to the system", to_system },
	{ "device 1 touches it first and adds", device_1_adds },
	{ "a child reads and overwrites its copy", child_writes },
	{ "device 0 adds to what was shared", device_0_adds },
	{ "the process reads it all", process_reads_all },
	{ "8 MiB without contents to device 0", fresh_to_device_0 },
	{ "8 MiB of huge pages to device 1, adds", huge_pages },
	{ "the process reads it all", process_reads_all },
	{ "device 0 adds to 64 MiB, has 16", too_much },
	{ "both devices are removed", devices_removed },
};

#define N_STEPS	(sizeof(steps) / sizeof(steps[0]))

static void print_journey_header(void)
{
	printf("\n%-40s%23s%16s%8s%8s\n", "", "MiB are now in", "MiB moved",
	       "CPU", "time");
	printf("%-40s%7s%8s%8s%8s%8s%8s%8s  %s\n",
	       "memory of the process, 2 devices", "system", "dev 0", "dev 1",
	       "in", "out", "faults", "ms", "verified");
}

static double mib_at(const struct journey *j, const struct svm *svm,
		     uint32_t location)
{
	long pages = svm_count_at(svm, j->mem, j->len, location);

	return check(pages >= 0, "%s", svm_why()) ?
	       pages * (double)svm_page_size() / MB : -1;
}

static void print_step(const struct journey *j, const char *what,
		       const struct drm_vsvm_device_stats *stats, uint64_t ns,
		       bool gone, bool ok)
{
	printf("%-40s%7.2f", what,
	       mib_at(j, gone ? &j->onlooker : &j->svm,
		      DRM_VSVM_LOCATION_SYSTEM));
	for (unsigned int i = 0; i < 2; i++)
		printf("%8.2f", gone ? 0 :
		       mib_at(j, &j->svm, DRM_VSVM_LOCATION_DEVICE(i)));
	if (gone)
		printf("%8s%8s%8s", "-", "-", "-");
	else
		printf("%8.2f%8.2f%8llu", stats->copied_in / (double)MB,
		       stats->copied_out / (double)MB,
		       (unsigned long long)stats->cpu_faults);
	printf("%8.1f  %s\n", ns / 1e6, ok ? "yes" : "NO");
	if (!ok)
		printf("    %s\n", why_not);
	fflush(stdout);
}

static bool run_step(struct journey *j, const struct step *step,
		     struct total *total)
{
	struct drm_vsvm_device_stats before = { 0 }, after = { 0 };
	uint64_t start;
	bool ok, gone;

	why_not[0] = '\0';
	ok = check(!svm_stats(&j->svm, &before), "%s", svm_why());
	start = svm_now_ns();
	ok = ok && step->run(j);
	start = svm_now_ns() - start;
	/* A device that was removed can't tell any more */
	gone = svm_stats(&j->svm, &after) == -ENODEV;
	total->stale += after.stale_accesses;
	ok = check(!after.stale_accesses, "a stale access") && ok;
	svm_stats_sub(&after, &before);
	if (!gone)
		total->faults += after.read_faults + after.write_faults;
	print_step(j, step->what, &after, start, gone, ok);
	return ok;
}

static bool show_journey(struct total *total)
{
	static const char *const settings[] = {
		"devices=2", "mem_size=16M", "policy=first_touch", NULL
	};
	struct journey j = { .len = JOURNEY_LEN, .value = 1 };
	bool ok;

	svm_set_remove(JOURNEY_SET);
	ok = !svm_set_make(JOURNEY_SET, settings) &&
	     !svm_open_set(&j.svm, JOURNEY_SET, 2) && !svm_open(&j.onlooker, 1);
	if (!ok) {
		printf("\nDevice memory: %s\n", svm_why());
		svm_set_remove(JOURNEY_SET);
		return false;
	}
	j.mem = svm_map_aligned(j.len, SVM_PMD_SIZE);
	ok = j.mem && !madvise(j.mem, j.len, MADV_NOHUGEPAGE);
	print_journey_header();
	for (size_t i = 0; ok && i < N_STEPS; i++)
		ok = run_step(&j, &steps[i], total);
	munmap(j.mem, j.len);
	svm_close(&j.svm);
	svm_close(&j.onlooker);
	svm_set_remove(JOURNEY_SET);
	return ok;
}

/*
 * Throughput: threads that touch fresh pages, each by a queue of its own. Every
 * other page is no memory, so that each page takes a fault.
 */
struct toucher {
	struct svm_queue queue;
	char *mem;
	size_t pages;
	bool ok;
	pthread_t thread;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;
	size_t page = svm_page_size();
	struct drm_vsvm_op op = svm_atomic_add(t->mem, t->pages, 2 * page, 1);

	t->ok = !svm_run(&t->queue, op, NULL);
	for (size_t i = 0; i < t->pages; i++)
		t->ok &= *(uint64_t *)(t->mem + 2 * i * page) == 1;
	return NULL;
}

/* Faults a second, or a negative number */
static double fault_rate(unsigned int threads, size_t pages)
{
	size_t page = svm_page_size(), share = pages / threads;
	size_t len = 2 * pages * page;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct drm_vsvm_device_stats stats = { 0 };
	struct toucher t[MANY];
	uint64_t start, ns;
	struct svm svm;
	bool ok = true;

	if (!mem || svm_open(&svm, 1))
		return -1;
	for (size_t i = 0; i < pages; i++)
		mprotect(mem + (2 * i + 1) * page, page, PROT_NONE);
	for (unsigned int i = 0; i < threads; i++) {
		t[i].mem = mem + i * share * 2 * page;
		t[i].pages = share;
		ok &= !svm_queue_create(&svm, 0, &t[i].queue);
	}
	start = svm_now_ns();
	for (unsigned int i = 0; ok && i < threads; i++)
		ok = !pthread_create(&t[i].thread, NULL, touch, &t[i]);
	for (unsigned int i = 0; ok && i < threads; i++) {
		pthread_join(t[i].thread, NULL);
		ok = t[i].ok;
	}
	ns = svm_now_ns() - start;
	ok &= !svm_stats(&svm, &stats) && !stats.stale_accesses;
	svm_close(&svm);
	munmap(mem, len);
	return ok ? stats.write_faults * 1e9 / ns : -1;
}

static bool show_rates(void)
{
	double one = fault_rate(1, 2000), many = fault_rate(MANY, 2000);

	if (one < 0 || many < 0) {
		printf("\nFault throughput: %s\n", svm_why());
		return false;
	}
	printf("\nPage faults in one address space: "
	       "%.0f a second by 1 thread, %.0f by %d (%.2f times)\n",
	       one, many, MANY, many / one);
	return true;
}

int main(void)
{
	unsigned int devices = svm_want_devices(MANY);
	struct total total = { 0 };
	bool ok;

	if (!devices) {
		svm_open_device(0);
		fprintf(stderr, "svm_demo: %s\n", svm_why());
		return 1;
	}
	print_header(devices);
	for (size_t i = 0; i < N_SCENARIOS; i++)
		run_scenario(&scenarios[i], devices, &total);
	ok = show_journey(&total);
	ok = show_rates() && ok && total.right == N_SCENARIOS;

	if (ok)
		printf("\nAll right: %zu scenarios and %zu steps verified, %llu device "
		       "page faults\nserved, and not one access to memory that had been taken away.\n",
		       N_SCENARIOS, N_STEPS, (unsigned long long)total.faults);
	else
		printf("\nNOT all right: %u of %zu scenarios verified, %llu stale accesses.\n",
		       total.right, N_SCENARIOS,
		       (unsigned long long)total.stale);
	return ok ? 0 : 1;
}
