// SPDX-License-Identifier: GPL-2.0
/*
 * No process takes more than its share: queues and address spaces without end, memory
 * that is charged.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_limits.h"

/*
 * Counts
 */

SVM_TEST(limits, queues_of_a_file)
{
	struct svm_queue *queue = calloc(DRM_VSVM_MAX_QUEUES, sizeof(*queue));
	struct svm_queue more;
	unsigned int num = 1; /* svm_open() has made one */

	while (num < DRM_VSVM_MAX_QUEUES) {
		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue[num]))
			TH_LOG("%u: %s", num, svm_why());
		num++;
	}
	EXPECT_EQ(-ENOSPC, svm_queue_create(&self->svm, 0, &more));
	EXPECT_EQ(0, svm_queue_destroy(&queue[1]));
	EXPECT_EQ(0, svm_queue_create(&self->svm, 0, &more));
	EXPECT_EQ(-ENOSPC, svm_queue_create(&self->svm, 0, &queue[1]));
	free(queue);
}

static unsigned int count_tasks(const char *of)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' ?
		    fopen(path, "re") : NULL;
		if (!f)
			continue;
		count += fgets(comm, sizeof(comm), f) && strstr(comm, of);
		fclose(f);
	}
	if (proc)
		closedir(proc);
	return count;
}

/* Nor does one that ran and has nothing to do, nor one that waits for a page */
SVM_TEST(limits, a_queue_has_no_thread)
{
	unsigned int vsvm = count_tasks("vsvm"), kworkers = count_tasks("kworker");
	struct svm_queue queue;
	uint64_t word = 0;

	for (unsigned int i = 0; i < 200; i++) {
		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue));
		RUN(&queue, svm_fill(&word, 8, i));
	}
	/* A worker that is busy has the name of its work */
	EXPECT_GT(vsvm + 20, count_tasks("vsvm"));
	EXPECT_GT(kworkers + 60, count_tasks("kworker"));
}

/* Of more queues than can run, each comes to its turn */
SVM_TEST(limits, endless_jobs_leave_others_a_turn)
{
	volatile uint64_t words[40] = { 0 };
	struct svm_queue queue[40];
	uint64_t seqno, word = 0;

	for (unsigned int i = 0; i < 40; i++) {
		struct drm_vsvm_op op = ENDLESS(&words[i]);

		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue[i]));
		ASSERT_EQ(0, svm_submit(&queue[i], &op, 1, &seqno));
	}
	for (unsigned int i = 0; i < 40; i++)
		WAIT_FOR(words[i]);
	RUN(&self->svm.queue[0], svm_fill(&word, 8, 1));
	EXPECT_EQ(1, word);
	for (unsigned int i = 0; i < 40; i++)
		EXPECT_EQ(0, svm_queue_destroy(&queue[i]));
}

struct feeder {
	struct svm_queue *queue;
	unsigned int num;
	bool stop;
};

static void *feed(void *arg)
{
	static struct drm_vsvm_op nops[64];
	struct feeder *f = arg;
	uint64_t seqno;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
		for (unsigned int i = 0; i < f->num; i++)
			svm_submit(&f->queue[i], nops, ARRAY_SIZE(nops), &seqno);
	return NULL;
}

/* So many that each engine has one, of which none runs dry if that can be helped */
SVM_TEST(limits, empty_jobs_leave_others_a_turn)
{
	struct svm_queue queue[16];
	struct feeder f = { .queue = queue, .num = ARRAY_SIZE(queue) };
	pthread_t thread[2];
	uint64_t word = 0;

	for (unsigned int i = 0; i < f.num; i++)
		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue[i]));
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, feed, &f));
	for (unsigned int i = 0; i < 10; i++)
		RUN(&self->svm.queue[0], svm_atomic_add(&word, 1, 0, 1));
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	EXPECT_EQ(10, word);
	for (unsigned int i = 0; i < f.num; i++)
		EXPECT_EQ(0, svm_queue_destroy(&queue[i]));
}

/* Waiting for words takes no turn away: the one that is waited for comes last */
SVM_TEST(limits, waiting_jobs_take_no_turn)
{
	volatile uint64_t words[40] = { 0 };
	struct svm_queue queue[40];
	uint64_t seqno[40];

	for (unsigned int i = 0; i < 40; i++) {
		struct drm_vsvm_op op = i < 39 ? svm_await(&words[i + 1], 1) :
				       svm_fill((void *)&words[i], 8, 1);

		ASSERT_EQ(0, svm_queue_create(&self->svm, 0, &queue[i]));
		ASSERT_EQ(0, svm_submit_fence(&queue[i], &op, 1, &words[i], 1,
					      &seqno[i]));
	}
	for (unsigned int i = 0; i < 40; i++)
		EXPECT_EQ(0, svm_wait(&queue[i], seqno[i], NULL));
}

SVM_TEST(limits, address_spaces_of_a_file)
{
	uint32_t vms[DRM_VSVM_MAX_VMS];
	struct svm svm = self->svm;

	for (unsigned int i = 1; i < DRM_VSVM_MAX_VMS; i++) {
		struct drm_vsvm_vm_create create = { 0 };

		ASSERT_EQ(0, ioctl(svm.fd, DRM_IOCTL_VSVM_VM_CREATE, &create));
		vms[i] = create.vm_id;
	}
	for (int again = 0; again < 2; again++) {
		struct drm_vsvm_vm_create create = { 0 };

		EXPECT_EQ(-1, ioctl(svm.fd, DRM_IOCTL_VSVM_VM_CREATE, &create));
		EXPECT_EQ(ENOSPC, errno);
		svm.vm = vms[1];
		EXPECT_EQ(0, svm_vm_destroy(&svm));
		EXPECT_EQ(0, ioctl(svm.fd, DRM_IOCTL_VSVM_VM_CREATE, &create));
		vms[1] = create.vm_id;
	}
}

/* Each on a file of its own, with a page mapped */
SVM_TEST(limits, many_address_spaces)
{
	unsigned int num = svm_scaled(500);
	uint64_t word = 0;
	struct svm *svm = calloc(num, sizeof(*svm));

	for (unsigned int i = 0; i < num; i++) {
		struct drm_vsvm_op op = svm_atomic_add(&word, 1, 0, 1);

		ASSERT_EQ(0, svm_open_set(&svm[i], SET, 1)) TH_LOG("%s", svm_why());
		RUN(&svm[i].queue[0], op);
	}
	ASSERT_EQ(num, word);
	madvise((void *)(svm_addr(&word) & -self->page), self->page, MADV_PAGEOUT);
	for (unsigned int i = 0; i < num; i++) {
		check_stale(_metadata, &svm[i]);
		svm_close(&svm[i]);
	}
	free(svm);
}

SVM_TEST(limits, advice_of_an_address_space)
{
	char *mem = (char *)0x100000000000UL;
	size_t page = self->page;
	unsigned int n = DRM_VSVM_MAX_ADVICE;

	for (unsigned int i = 0; i < n; i++)
		ASSERT_EQ(0, svm_advise(&self->svm, mem + 3 * i * page, 2 * page,
					DRM_VSVM_LOCATION_SYSTEM, 0, 0));
	/* No more, neither one of its own nor a part; but the same anew, and another */
	EXPECT_EQ(-ENOSPC, svm_advise(&self->svm, mem + 3 * n * page, page,
				      DRM_VSVM_LOCATION_SYSTEM, 0, 0));
	EXPECT_EQ(-ENOSPC, svm_advise(&self->svm, mem, page,
				      DRM_VSVM_LOCATION_DEVICE(0), 0, 0));
	EXPECT_EQ(0, svm_advise(&self->svm, mem, 2 * page,
				DRM_VSVM_LOCATION_DEVICE(0), 0, 0));
	/* Three become one, so there is room for two */
	EXPECT_EQ(0, svm_advise(&self->svm, mem, 8 * page,
				DRM_VSVM_LOCATION_SYSTEM, 0, 0));
	EXPECT_EQ(0, svm_advise(&self->svm, mem + 2 * page, page,
				DRM_VSVM_LOCATION_NONE, 0, 0));
	EXPECT_EQ(0, svm_advise(&self->svm, mem + 3 * n * page, page,
				DRM_VSVM_LOCATION_SYSTEM, 0, 0));
	EXPECT_EQ(-ENOSPC, svm_advise(&self->svm, mem + 5 * page, page,
				      DRM_VSVM_LOCATION_NONE, 0, 0));
	/* All of it goes */
	EXPECT_EQ(0, svm_advise(&self->svm, mem, 4 * n * page,
				DRM_VSVM_LOCATION_NONE, 0, 0));
	EXPECT_EQ(0, svm_advise(&self->svm, mem, page, DRM_VSVM_LOCATION_SYSTEM, 0, 0));
}

SVM_TEST(limits, operations_of_a_file)
{
	static struct drm_vsvm_op ops[DRM_VSVM_MAX_OPS]; /* NOPs */
	volatile uint64_t word = 0;
	struct drm_vsvm_op await = svm_await(&word, 1);
	unsigned int jobs = DRM_VSVM_MAX_FILE_OPS / DRM_VSVM_MAX_OPS - 1;
	struct svm_queue *q = &self->svm.queue[0];
	uint64_t seqno;

	ASSERT_EQ(0, svm_submit(q, &await, 1, &seqno));
	for (unsigned int i = 0; i < jobs; i++)
		ASSERT_EQ(0, svm_submit(q, ops, DRM_VSVM_MAX_OPS, &seqno));
	EXPECT_EQ(-EBUSY, svm_submit(q, ops, DRM_VSVM_MAX_OPS, &seqno));
	EXPECT_EQ(0, svm_submit(q, ops, DRM_VSVM_MAX_OPS - 1, &seqno));
	word = 1;
	EXPECT_EQ(0, svm_wait(q, seqno, NULL));
	RUN(q, svm_fill((void *)&word, 8, 1));
}

/* There is nothing in which a job's fence could reach another driver */
SVM_TEST(limits, no_syncobjs)
{
	struct drm_syncobj_create create = { 0 };

	EXPECT_EQ(-EOPNOTSUPP, svm_ioctl(self->svm.fd, DRM_IOCTL_SYNCOBJ_CREATE,
					 &create));
}

/* The file is closed under whoever submits */
struct submitter {
	struct svm svm;
	bool stop;
};

static void *submit_on(void *arg)
{
	struct submitter *s = arg;
	uint64_t word = 0, seqno;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		struct drm_vsvm_op op = svm_fill(&word, 8, 1);

		if (svm_submit(&s->svm.queue[0], &op, 1, &seqno) == -EBADF)
			break;
	}
	/* What is left of the last job must not write here any more */
	return (void *)word;
}

SVM_TEST(limits, close_while_another_submits)
{
	for (unsigned int i = 0; i < svm_scaled(30); i++) {
		struct submitter s = { 0 };
		pthread_t thread;

		ASSERT_EQ(0, svm_open_set(&s.svm, SET, 1));
		ASSERT_EQ(0, pthread_create(&thread, NULL, submit_on, &s));
		usleep(svm_scaled(i * 100));
		close(s.svm.fd);
		__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
}

/* The queue is destroyed under those who submit, which may still be about to kick it */
struct rival {
	struct svm_queue queue;	/* its number is replaced */
	bool stop;
};

static void *submit_to(void *arg)
{
	struct drm_vsvm_op nop = { .opcode = DRM_VSVM_OP_NOP };
	struct rival *r = arg;
	uint64_t seqno;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		struct svm_queue queue = {
			.fd = r->queue.fd,
			.id = __atomic_load_n(&r->queue.id, __ATOMIC_RELAXED),
		};

		svm_submit(&queue, &nop, 1, &seqno);
	}
	return NULL;
}

SVM_TEST(limits, destroy_while_others_submit)
{
	uint64_t deadline = svm_deadline_ms(RACE_MS), word = 0;
	struct svm_queue *q = &self->svm.queue[0], next;
	pthread_t thread[4];
	struct rival r = { 0 };

	r.queue = *q;
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, submit_to, &r));
	for (unsigned int i = 0; i < svm_scaled(2000) && !svm_past(deadline); i++) {
		struct svm_queue old = r.queue;

		EXPECT_EQ(0, svm_queue_create(&self->svm, 0, &next));
		__atomic_store_n(&r.queue.id, next.id, __ATOMIC_RELAXED);
		EXPECT_EQ(0, svm_queue_destroy(&old));
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
	*q = r.queue;
	RUN(q, svm_fill(&word, 8, 1));
	EXPECT_EQ(1, word);
}

/*
 * Memory cgroups
 */

#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/svm_limits"

static bool make_cgroup(const char *max)
{
	struct stat st;

	if (stat(CGROUPS "/cgroup.procs", &st))
		mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);
	svm_write_file(CGROUPS "/cgroup.subtree_control", "+memory");
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755) || stat(CGROUP "/memory.max", &st))
		return false;
	return !max || svm_write_file(CGROUP "/memory.max", max);
}

static void remove_cgroup(void)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);

	while (rmdir(CGROUP) && errno == EBUSY && !svm_past(deadline))
		usleep(1000);
}

static bool enter_cgroup(void)
{
	return svm_write_file(CGROUP "/cgroup.procs", "0");
}

/* Bytes of memory that the kernel has for the processes of the group */
static long charged(const char *what)
{
	FILE *f = fopen(CGROUP "/memory.stat", "re");
	char name[64];
	long value, found = -1;

	while (f && fscanf(f, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, what))
			found = value;
	if (f)
		fclose(f);
	return found;
}

#define STEPS		1024

static char *step_at(unsigned int i)
{
	return (char *)0x100000000000UL + i * SVM_PMD_SIZE;
}

static bool map_step(unsigned int i, size_t page)
{
	return mmap(step_at(i), page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	       step_at(i);
}

#define SCATTERED	16

/* Two pieces of memory take turns: in neither do pages lie next to each other in RAM */
static char *map_scattered(size_t page)
{
	size_t len = SCATTERED * SVM_PMD_SIZE;
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);
	char *other = svm_map_aligned(len, SVM_PMD_SIZE);

	if (!mem || !other || madvise(mem, len, MADV_NOHUGEPAGE) ||
	    madvise(other, len, MADV_NOHUGEPAGE))
		return NULL;
	for (size_t at = 0; at < len; at += page) {
		mem[at] = 1;
		other[at] = 1;
	}
	return mem;
}

/*
 * Bytes that the kernel has for each 2 MiB of which every page has an address of its
 * own; at least @wanted, once the counters say so
 */
static long use_addresses(struct svm *svm, long wanted)
{
	char *mem = map_scattered(svm_page_size());
	uint64_t deadline;
	long before, bytes;

	if (!mem)
		_exit(103);
	usleep(2500000); /* what the kernel counts it adds up every two seconds */
	before = charged("kernel");
	if (svm_run(&svm->queue[0], svm_sum(mem, SCATTERED * SVM_PMD_SIZE), NULL))
		_exit(104);
	deadline = svm_deadline_ms(5000);
	do {
		usleep(10000);
		bytes = (charged("kernel") - before) / SCATTERED;
	} while (bytes < wanted && !svm_past(deadline));
	return bytes;
}

/*
 * What the kernel had in slabs before, with a page in every 2 MiB, and when all of that
 * had gone; and for each 2 MiB of addresses
 */
enum { BEFORE, MAPPED, GONE, ADDRESSES, NUM_CHARGES };

/* A page table and a table of the checker, a range; and 16 bytes for each page of 4 KiB */
static long wanted_for_addresses(const long *charge)
{
	return (charge[MAPPED] - charge[BEFORE]) / STEPS +
	       SVM_PMD_SIZE / svm_page_size() * 12;
}

/* A page in every 2 MiB; then all of that goes. Tells what the kernel had for it */
static void use_page_tables(int pipe)
{
	size_t page = svm_page_size();
	long slab[NUM_CHARGES];
	uint64_t deadline;
	struct svm svm;

	if (!enter_cgroup() || svm_open_set(&svm, SET, 1))
		_exit(100);
	slab[BEFORE] = charged("slab");
	for (unsigned int i = 0; i < STEPS; i++)
		if (!map_step(i, page) ||
		    svm_run(&svm.queue[0], svm_fill(step_at(i), 8, i), NULL))
			_exit(101);
	slab[MAPPED] = charged("slab");
	munmap(step_at(0), STEPS * SVM_PMD_SIZE);

	/* The garbage collector, RCU and the counters take their time */
	deadline = svm_deadline_ms(SVM_WAIT_MS);
	do {
		usleep(10000);
		slab[GONE] = charged("slab");
	} while (slab[GONE] - slab[BEFORE] > (slab[MAPPED] - slab[BEFORE]) / 8 &&
		 !svm_past(deadline));
	slab[ADDRESSES] = use_addresses(&svm, wanted_for_addresses(slab));
	if (write(pipe, slab, sizeof(slab)) != sizeof(slab))
		_exit(102);
	_exit(0);
}

SVM_TEST(limits, page_tables_are_charged_and_freed)
{
	int pipes[2], status;
	long slab[NUM_CHARGES];
	pid_t pid;

	if (!make_cgroup(NULL))
		SKIP(return, "no memory cgroups");
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		use_page_tables(pipes[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	remove_cgroup();
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_EQ(sizeof(slab), read(pipes[0], slab, sizeof(slab)));

	/* A page table and a table of the checker for each step, and a range */
	EXPECT_GT(slab[MAPPED] - slab[BEFORE], STEPS * 8 * KB);
	EXPECT_GT((slab[MAPPED] - slab[BEFORE]) / 8, slab[GONE] - slab[BEFORE]);
	EXPECT_LE(wanted_for_addresses(slab), slab[ADDRESSES]);
	TH_LOG("%ld KiB with %u steps mapped, %ld KiB afterwards; %ld bytes a step with addresses",
	       (slab[MAPPED] - slab[BEFORE]) / 1024, STEPS,
	       (slab[GONE] - slab[BEFORE]) / 1024, slab[ADDRESSES]);
}

/* More and more, till the group is full. It fails, or is killed for it */
static void use_all_memory(void)
{
	size_t page = svm_page_size();
	struct svm svm;

	if (!enter_cgroup() || svm_open_set(&svm, SET, 1))
		_exit(100);
	for (unsigned int i = 0; i < 64 * STEPS; i++)
		if (!map_step(i, page) ||
		    svm_run(&svm.queue[0], svm_fill(step_at(i), 8, i), NULL))
			_exit(0);
	_exit(101);
}

SVM_TEST(limits, a_full_memory_cgroup)
{
	char *mem = svm_map(MB, PROT_READ | PROT_WRITE);
	int status;
	pid_t pid;

	if (!make_cgroup("16M"))
		SKIP(return, "no memory cgroups");
	svm_write_file(CGROUP "/memory.swap.max", "0");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		use_all_memory();
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	remove_cgroup();
	EXPECT_TRUE((WIFEXITED(status) && !WEXITSTATUS(status)) ||
		    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		TH_LOG("status %#x", status);
	RUN(&self->svm.queue[0], svm_fill(mem, MB, 3));
	IS_VALUE(mem, MB, 3);
}

/* What the queues of a process take is its own, too */
static void use_queues(void)
{
	struct svm_queue queue;
	struct svm svm;
	long before;

	if (!enter_cgroup() || svm_open_set(&svm, SET, 1))
		_exit(100);
	before = charged("kernel");
	for (unsigned int i = 0; i < 100; i++)
		if (svm_queue_create(&svm, 0, &queue))
			_exit(101);
	_exit(charged("kernel") - before > (long)(100 * 16 * KB) ? 0 : 102);
}

SVM_TEST(limits, queues_are_charged)
{
	int status;
	pid_t pid;

	if (!make_cgroup(NULL))
		SKIP(return, "no memory cgroups");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		use_queues();
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	remove_cgroup();
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
