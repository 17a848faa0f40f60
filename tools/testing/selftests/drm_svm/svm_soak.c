// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on shared virtual memory, checked against a model, for as
 * long as is wanted.
 *
 * It goes in rounds. Each has a process and a set of devices of its own: without
 * memory, with much of it or little, which reach each other's or don't. Memory
 * is asked to move between the system and the devices, and moves since it is
 * touched, or since there isn't room for all.
 *
 * Each thread has a part of one address range, its arena, and a model of it:
 * what is mapped where, with which rights, and what every byte holds. It draws
 * operations from a generator of its own: mmap, munmap, mprotect, madvise,
 * mremap and fork on the one hand, jobs of all devices on the other. As the
 * model knows the arena, it knows how each job has to end: with which data, or
 * with which error at which address. The arenas lie side by side and are not
 * aligned, so that the threads meet in the same ranges and notifiers, though
 * never in the same bytes; but for some words that all threads and devices add
 * to atomically, whose sums are checked at the end.
 *
 * A seed gives each thread of each round the same operations in every run; how
 * they interleave is up to the machine. Nothing allocates memory while the
 * threads run: a hole in an arena must stay a hole.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "svm_mem.h"
#include "vsvm_lib.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define ARENA_PAGES	700
#define SHARED_WORDS	32
#define MAX_THREADS	16
#define FILE_SEED	77
#define MAX_SETTINGS	8
#define MAX_ROUND_S	30
#define PROGRESS_S	10
#define DEVICE_SET	"drm_svm_soak"

/* What the devices of a round are like */
static const struct kind_of_round {
	const char *name;
	bool memory;
	const char *settings[MAX_SETTINGS];
} kinds_of_rounds[] = {
	{ "system memory", false, { "mem_size=0" } },
	{ "first touch", true, { "mem_size=8M" } },
	{ "little memory, no links", true, {
		"mem_size=2M", "interconnect=0", "fault_window=4K",
	} },
	{ "advice, timeslices, slow copies", true, {
		"mem_size=4M", "policy=advice", "timeslice_ms=1",
		"copy_latency_us=200", "chunk_sizes=2M,4K",
	} },
};

#define KINDS	ARRAY_SIZE(kinds_of_rounds)

enum kind {
	KIND_HOLE,
	KIND_ANON,
	KIND_FILE,
};

/* One page of an arena */
struct page {
	enum kind kind;
	int prot;
	/* Which mmap() made it, and where in that: a run of equals is one VMA */
	unsigned int mapping;
	unsigned int index;
};

struct thread {
	unsigned int number;
	struct svm_rand rand;
	struct svm_queue queue[DRM_VSVM_MAX_DEVICES];
	char *arena;
	char *shadow;
	struct page page[ARENA_PAGES];
	unsigned int mappings;
	pid_t child;
	uint64_t added[SHARED_WORDS];
	uint64_t ops, jobs, failed_jobs;
	const char *op;
	pthread_t thread;
};

static struct {
	unsigned int seconds, threads, devices;
	uint64_t seed, max_ops, only_round;
	/* This round */
	uint64_t round, deadline;
	const struct kind_of_round *kind;
	struct svm svm;
	size_t page;
	int file;
	char *file_data;
	char *shared;
	size_t shared_stride;
	bool stop;
	unsigned int running;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	pthread_barrier_t start;
	char error[512];
} run = {
	.seconds = 30,
	.threads = 4,
	.devices = 4,
	.max_ops = ~0ULL,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
};

/* The first error is the one to look at; it ends the run */
static void __attribute__((format(printf, 2, 3)))
fail(struct thread *t, const char *format, ...)
{
	va_list args;
	int n;

	pthread_mutex_lock(&run.lock);
	if (!run.error[0]) {
		n = snprintf(run.error, sizeof(run.error),
			     "thread %u, operation %llu (%s): ", t->number,
			     (unsigned long long)t->ops, t->op);
		va_start(args, format);
		vsnprintf(run.error + n, sizeof(run.error) - n, format, args);
		va_end(args);
	}
	__atomic_store_n(&run.stop, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&run.lock);
}

/*
 * The model
 */

static int may(const struct page *page, bool write)
{
	if (page->kind == KIND_HOLE)
		return -EFAULT;
	return page->prot & (write ? PROT_WRITE : PROT_READ) ? 0 : -EPERM;
}

/* How many of the bytes can be accessed before the first error, and which */
static size_t reach(const struct thread *t, size_t at, size_t len, bool write,
		    int *error)
{
	size_t done = 0;

	*error = 0;
	while (done < len) {
		*error = may(&t->page[(at + done) / run.page], write);
		if (*error)
			break;
		done += run.page - (at + done) % run.page;
	}
	return done < len ? done : len;
}

/* What a page holds that nobody has written to */
static void model_fresh(struct thread *t, unsigned int n)
{
	struct page *page = &t->page[n];
	char *to = t->shadow + n * run.page;

	if (page->kind == KIND_FILE)
		memcpy(to, run.file_data + page->index * run.page, run.page);
	else
		memset(to, 0, run.page);
}

static void model_map(struct thread *t, unsigned int first, unsigned int pages,
		      enum kind kind, int prot)
{
	t->mappings++;
	for (unsigned int i = 0; i < pages; i++) {
		t->page[first + i] = (struct page){
			.kind = kind,
			.prot = prot,
			.mapping = t->mappings,
			.index = i,
		};
		model_fresh(t, first + i);
	}
}

static void model_fill(struct thread *t, size_t at, size_t len, uint64_t value)
{
	for (size_t i = 0; i < len; i++)
		t->shadow[at + i] = value >> (i % 8 * 8);
}

/* Are pages the continuation of each other, with the same rights? */
static bool same_vma(const struct page *a, const struct page *b,
		     unsigned int distance)
{
	return a->kind != KIND_HOLE && a->kind == b->kind &&
	       a->prot == b->prot && a->mapping == b->mapping &&
	       a->index + distance == b->index;
}

/* All that the CPU may read must be as in the model */
static long arena_differs(const struct thread *t)
{
	for (unsigned int n = 0; n < ARENA_PAGES; n++) {
		size_t at = n * run.page;

		if (!may(&t->page[n], false) &&
		    memcmp(t->arena + at, t->shadow + at, run.page))
			return n;
	}
	return -1;
}

/*
 * Choices
 */

static unsigned int below(struct thread *t, unsigned int limit)
{
	return svm_rand_below(&t->rand, limit);
}

/* Some pages in a row: mostly a few, at times many */
static unsigned int choose_pages(struct thread *t, unsigned int *first)
{
	unsigned int most = below(t, 8) ? 12 : ARENA_PAGES / 2;
	unsigned int pages = below(t, most) + 1;

	*first = below(t, ARENA_PAGES - pages + 1);
	return pages;
}

static size_t choose_bytes(struct thread *t, size_t align, size_t *at)
{
	unsigned int first, pages = choose_pages(t, &first);
	size_t skip = below(t, run.page), cut = below(t, run.page);
	size_t end = (first + pages) * run.page;

	*at = first * run.page + skip / align * align;
	end -= cut / align * align;
	return end > *at ? end - *at : align;
}

static struct svm_queue *choose_queue(struct thread *t)
{
	return &t->queue[below(t, run.devices)];
}

/*
 * Operations of the CPU
 */

static void map_at(struct thread *t, unsigned int first, unsigned int pages,
		   enum kind kind, int prot)
{
	int flags = MAP_PRIVATE | MAP_FIXED;
	int fd = kind == KIND_FILE ? run.file : -1;

	if (kind == KIND_ANON)
		flags |= MAP_ANONYMOUS;
	if (mmap(t->arena + first * run.page, pages * run.page, prot, flags,
		 fd, 0) == MAP_FAILED)
		fail(t, "mmap: %s", strerror(errno));
	else
		model_map(t, first, pages, kind, prot);
}

static void op_map(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);

	map_at(t, first, pages, KIND_ANON, PROT_READ | PROT_WRITE);
}

static void op_map_file(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);
	int prot = below(t, 2) ? PROT_READ : PROT_READ | PROT_WRITE;

	map_at(t, first, pages, KIND_FILE, prot);
}

static void op_unmap(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);

	if (munmap(t->arena + first * run.page, pages * run.page))
		fail(t, "munmap: %s", strerror(errno));
	for (unsigned int i = first; i < first + pages; i++)
		t->page[i].kind = KIND_HOLE;
}

/* Change each part of the pages that has no hole in it */
static void op_protect(struct thread *t)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
	};
	unsigned int first, pages = choose_pages(t, &first);
	int prot = prots[below(t, 4)];

	for (unsigned int i = first; i < first + pages; i++) {
		if (t->page[i].kind == KIND_HOLE)
			continue;
		if (mprotect(t->arena + i * run.page, run.page, prot))
			fail(t, "mprotect: %s", strerror(errno));
		t->page[i].prot = prot;
	}
}

static void op_dontneed(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);

	/* A hole is reported, but all the rest is done */
	if (madvise(t->arena + first * run.page, pages * run.page,
		    MADV_DONTNEED) && errno != ENOMEM)
		fail(t, "MADV_DONTNEED: %s", strerror(errno));
	for (unsigned int i = first; i < first + pages; i++)
		if (t->page[i].kind != KIND_HOLE)
			model_fresh(t, i);
}

/* What changes where pages are, not what they hold; may fail as it likes */
static void op_advise(struct thread *t)
{
	static const int advice[] = {
		MADV_PAGEOUT, MADV_COLLAPSE, MADV_COLD, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	unsigned int first, pages = choose_pages(t, &first);
	unsigned int which = below(t, ARRAY_SIZE(advice));

	if (advice[which] == MADV_COLLAPSE) {
		first = 0;
		pages = ARENA_PAGES;
	}
	madvise(t->arena + first * run.page, pages * run.page, advice[which]);
}

static void op_move(struct thread *t)
{
	unsigned int from = below(t, ARENA_PAGES), n = 1, to;
	unsigned int most = below(t, 16) + 1;

	while (n < most && from + n < ARENA_PAGES &&
	       same_vma(&t->page[from], &t->page[from + n], n))
		n++;
	to = below(t, ARENA_PAGES - n + 1);
	if (t->page[from].kind == KIND_HOLE || (to < from + n && from < to + n))
		return;

	if (mremap(t->arena + from * run.page, n * run.page, n * run.page,
		   MREMAP_MAYMOVE | MREMAP_FIXED, t->arena + to * run.page) ==
	    MAP_FAILED) {
		fail(t, "mremap of %u pages: %s", n, strerror(errno));
		return;
	}
	memcpy(t->shadow + to * run.page, t->shadow + from * run.page,
	       n * run.page);
	for (unsigned int i = 0; i < n; i++) {
		t->page[to + i] = t->page[from + i];
		t->page[from + i].kind = KIND_HOLE;
	}
}

static void op_cpu_write(struct thread *t)
{
	size_t at, len = choose_bytes(t, 1, &at);
	uint64_t value = svm_rand(&t->rand);
	int error;

	len = reach(t, at, len, true, &error);
	model_fill(t, at, len, value);
	memcpy(t->arena + at, t->shadow + at, len);
}

static void op_verify(struct thread *t)
{
	long n = arena_differs(t);

	if (n >= 0)
		fail(t, "page %ld (%p) differs from the model", n,
		     t->arena + n * run.page);
}

static void join_child(struct thread *t)
{
	int status;

	if (!t->child)
		return;
	if (waitpid(t->child, &status, 0) != t->child || status)
		fail(t, "a child saw memory change: status %#x", status);
	t->child = 0;
}

/* The child looks at its copy while the parent and its devices go on */
static void op_fork(struct thread *t)
{
	join_child(t);
	t->child = fork();
	if (!t->child)
		_exit(arena_differs(t) >= 0);
	if (t->child < 0) {
		t->child = 0;
		fail(t, "fork: %s", strerror(errno));
	}
}

/*
 * Operations of devices
 */

/* Run the job; often something else happens to the memory meanwhile */
static void run_job(struct thread *t, struct drm_vsvm_op *op,
		    struct svm_outcome *out)
{
	struct svm_queue *queue = choose_queue(t);
	bool advise = !below(t, 3);
	uint64_t seqno;

	t->jobs++;
	if (svm_submit(queue, op, 1, &seqno)) {
		fail(t, "%s", svm_why());
		return;
	}
	if (advise)
		op_advise(t);
	svm_wait(queue, seqno, out);
	t->failed_jobs += !!out->status;
}

/* Did it end as the model says? @where2: a second place that can fail first */
static bool ended_as(struct thread *t, const struct svm_outcome *out, int error,
		     size_t where, int error2, size_t where2)
{
	uint64_t base = svm_addr(t->arena);

	if (!error && !error2 && !out->status)
		return true;
	if (error && out->status == error && out->fault_addr == base + where)
		return true;
	if (error2 && out->status == error2 && out->fault_addr == base + where2)
		return true;
	fail(t, "job ended with %d at %#llx, expected %d at %#llx", out->status,
	     (unsigned long long)out->fault_addr, error ?: error2,
	     (unsigned long long)(base + (error ? where : where2)));
	return false;
}

static void op_fill(struct thread *t)
{
	size_t at, len = choose_bytes(t, 1, &at), done;
	uint64_t value = svm_rand(&t->rand);
	struct drm_vsvm_op op = svm_fill(t->arena + at, len, value);
	struct svm_outcome out = { 0 };
	int error;

	done = reach(t, at, len, true, &error);
	run_job(t, &op, &out);
	if (ended_as(t, &out, error, at + done, 0, 0))
		model_fill(t, at, done, value);
}

static void op_add(struct thread *t)
{
	size_t at, len = choose_bytes(t, 8, &at), done;
	uint64_t value = svm_rand(&t->rand);
	struct drm_vsvm_op op = svm_add(t->arena + at, len, value);
	struct svm_outcome out = { 0 };
	int error;

	done = reach(t, at, len, true, &error);
	run_job(t, &op, &out);
	if (!ended_as(t, &out, error, at + done, 0, 0))
		return;
	for (size_t i = 0; i < done; i += 8)
		*(uint64_t *)(t->shadow + at + i) += value;
}

static void op_copy(struct thread *t)
{
	size_t from, len = choose_bytes(t, 1, &from), to, most, get, put;
	struct svm_outcome out = { 0 };
	struct drm_vsvm_op op;
	int from_error, to_error;

	most = choose_bytes(t, 1, &to);
	if (len > most)
		len = most;
	if (from < to + len && to < from + len)
		return;
	op = svm_copy(t->arena + to, t->arena + from, len);
	get = reach(t, from, len, false, &from_error);
	put = reach(t, to, len, true, &to_error);
	run_job(t, &op, &out);

	/* The nearer error hides the farther; of two, the device has a choice */
	if (get < put)
		to_error = 0;
	if (put < get)
		from_error = 0;
	len = get < put ? get : put;
	if (ended_as(t, &out, from_error, from + len, to_error, to + len))
		memcpy(t->shadow + to, t->shadow + from, len);
}

static void op_sum(struct thread *t)
{
	size_t at, len = choose_bytes(t, 8, &at), done;
	struct drm_vsvm_op op = svm_sum(t->arena + at, len);
	struct svm_outcome out = { 0 };
	uint64_t sum = 0;
	int error;

	done = reach(t, at, len, false, &error);
	run_job(t, &op, &out);
	if (!ended_as(t, &out, error, at + done, 0, 0) || error)
		return;
	for (size_t i = 0; i < len; i += 8)
		sum += *(uint64_t *)(t->shadow + at + i);
	if (sum != out.result)
		fail(t, "sum of +%#zx, %zu bytes is %#llx, not %#llx", at, len,
		     (unsigned long long)out.result, (unsigned long long)sum);
}

static uint64_t *shared_word(unsigned int n)
{
	return (uint64_t *)(run.shared + n * run.shared_stride);
}

/* All threads and devices at the same words */
static void op_atomics(struct thread *t)
{
	unsigned int first = below(t, SHARED_WORDS);
	unsigned int n = below(t, SHARED_WORDS - first) + 1;
	uint64_t value = svm_rand(&t->rand);
	struct drm_vsvm_op op = svm_atomic_add(shared_word(first), n,
					       run.shared_stride, value);
	struct svm_outcome out = { 0 };
	unsigned int cpu = below(t, SHARED_WORDS);

	op.repeat = below(t, 50) + 1;
	run_job(t, &op, &out);
	if (out.status)
		fail(t, "atomics: %s", svm_why());
	for (unsigned int i = first; i < first + n; i++)
		t->added[i] += value * op.repeat;

	__atomic_fetch_add(shared_word(cpu), value, __ATOMIC_RELAXED);
	t->added[cpu] += value;
}

/* The shared words' pages come and go as well */
static void op_disturb_shared(struct thread *t)
{
	size_t len = SHARED_WORDS * run.shared_stride;

	switch (below(t, 3)) {
	case 0:
		madvise(run.shared, len, MADV_PAGEOUT);
		break;
	case 1:
		mprotect(run.shared, len, PROT_READ | PROT_WRITE | PROT_EXEC);
		break;
	case 2:
		mprotect(run.shared, len, PROT_READ | PROT_WRITE);
		break;
	}
}

/*
 * Where memory is
 */

static uint32_t choose_location(struct thread *t)
{
	return below(t, 3) ? DRM_VSVM_LOCATION_DEVICE(below(t, run.devices)) :
			     DRM_VSVM_LOCATION_SYSTEM;
}

/* Pages that can't move stay, and so do those for which there is no room */
static void move_pages(struct thread *t, unsigned int first, unsigned int pages)
{
	unsigned int timeslice = below(t, 8) ? 0 : below(t, 5);
	struct svm_moved moved = { 0 };
	int err;

	err = svm_prefetch_for(&run.svm, t->arena + first * run.page,
			       pages * run.page, choose_location(t), timeslice,
			       &moved);
	if (err && err != -ENOSPC)
		fail(t, "%s", svm_why());
	if (moved.moved + moved.resident + moved.left > pages)
		fail(t, "%llu + %llu + %llu of %u pages moved",
		     (unsigned long long)moved.moved,
		     (unsigned long long)moved.resident,
		     (unsigned long long)moved.left, pages);
}

static void op_prefetch(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);

	if (run.kind->memory)
		move_pages(t, first, pages);
}

static void op_say_where(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);
	bool shared = !below(t, 4);
	size_t len = SHARED_WORDS * run.shared_stride;
	uint32_t where = below(t, 2) ? choose_location(t) :
				       DRM_VSVM_LOCATION_NONE;

	if (!run.kind->memory)
		return;
	if (svm_advise(&run.svm, shared ? run.shared :
		       t->arena + first * run.page,
		       shared ? len & ~(run.page - 1) : pages * run.page, where,
		       0, below(t, 3)))
		fail(t, "%s", svm_why());
}

/* Nobody else moves holes, and files don't move at all */
static bool may_be_at(const struct page *page, uint8_t place)
{
	unsigned int where = place & DRM_VSVM_PLACEMENT_LOCATION;

	if (where == DRM_VSVM_LOCATION_NONE)
		return true;
	if (page->kind == KIND_HOLE)
		return false;
	if (where == DRM_VSVM_LOCATION_SYSTEM)
		return true;
	return page->kind == KIND_ANON && run.kind->memory &&
	       where >= DRM_VSVM_LOCATION_DEVICE(0) &&
	       where < DRM_VSVM_LOCATION_DEVICE(run.devices);
}

static void op_placement(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first);
	uint8_t place[ARENA_PAGES];
	int err;

	err = svm_placement(&run.svm, t->arena + first * run.page,
			    pages * run.page, place);
	/* Others keep it from coming to rest */
	if (err == -EBUSY)
		return;
	if (err)
		fail(t, "%s", svm_why());
	for (unsigned int i = 0; !err && i < pages; i++)
		if (!may_be_at(&t->page[first + i], place[i]))
			fail(t, "page %u is at %#x", first + i, place[i]);
}

/* Of pages that are pinned none moves, whoever asks for it */
static void op_pin(struct thread *t)
{
	unsigned int first, pages = choose_pages(t, &first), n;
	uint8_t place[ARENA_PAGES];
	int pin;

	for (n = 0; n < pages; n++)
		if (t->page[first + n].kind != KIND_ANON ||
		    may(&t->page[first + n], true))
			break;
	pin = n ? svm_pin(t->arena + first * run.page, n * run.page) : -1;
	if (pin < 0)
		return;
	if (run.kind->memory)
		move_pages(t, first, pages);
	if (!svm_placement(&run.svm, t->arena + first * run.page, n * run.page,
			   place))
		for (unsigned int i = 0; i < n; i++)
			if ((place[i] & DRM_VSVM_PLACEMENT_LOCATION) >
			    DRM_VSVM_LOCATION_SYSTEM)
				fail(t, "pinned page %u is at %#x", first + i,
				     place[i]);
	svm_unpin(pin);
}

static const struct {
	const char *name;
	void (*fn)(struct thread *t);
	unsigned int weight;
} operations[] = {
	{ "map", op_map, 14 },
	{ "map file", op_map_file, 4 },
	{ "unmap", op_unmap, 6 },
	{ "protect", op_protect, 6 },
	{ "dontneed", op_dontneed, 5 },
	{ "advise", op_advise, 4 },
	{ "move", op_move, 6 },
	{ "cpu write", op_cpu_write, 8 },
	{ "verify", op_verify, 3 },
	{ "fork", op_fork, 1 },
	{ "fill", op_fill, 14 },
	{ "add", op_add, 10 },
	{ "copy", op_copy, 14 },
	{ "sum", op_sum, 10 },
	{ "atomics", op_atomics, 8 },
	{ "disturb shared", op_disturb_shared, 3 },
	{ "prefetch", op_prefetch, 14 },
	{ "say where", op_say_where, 4 },
	{ "placement", op_placement, 4 },
	{ "pin", op_pin, 2 },
};

static void one_operation(struct thread *t)
{
	unsigned int total = 0, i, draw;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		total += operations[i].weight;
	draw = below(t, total);
	for (i = 0; draw >= operations[i].weight; i++)
		draw -= operations[i].weight;
	t->op = operations[i].name;
	operations[i].fn(t);
	t->ops++;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	/* The last stack is mapped before the first hole is made */
	pthread_barrier_wait(&run.start);
	while (t->ops < run.max_ops && !svm_past(run.deadline) &&
	       !__atomic_load_n(&run.stop, __ATOMIC_RELAXED))
		one_operation(t);
	t->op = "the end";
	op_verify(t);
	join_child(t);
	pthread_mutex_lock(&run.lock);
	run.running--;
	pthread_cond_signal(&run.ended);
	pthread_mutex_unlock(&run.lock);
	return NULL;
}

/*
 * A round, in a process of its own
 */

static bool setup_thread(struct thread *t, unsigned int number, char *arena)
{
	t->number = number;
	t->rand.state = run.seed + run.round * 0x2545f491ULL +
			number * 0x5bd1e995ULL;
	t->arena = arena;
	t->shadow = calloc(ARENA_PAGES, run.page);
	t->op = "setup";
	if (!t->shadow)
		return false;
	map_at(t, 0, ARENA_PAGES, KIND_ANON, PROT_READ | PROT_WRITE);
	for (unsigned int i = 0; i < run.devices; i++)
		if (svm_queue_create(&run.svm, i, &t->queue[i]))
			return false;
	return true;
}

static bool setup(struct thread *threads)
{
	size_t arena = ARENA_PAGES * run.page;
	char *arenas;

	if (svm_open_set(&run.svm, DEVICE_SET, run.devices))
		return false;
	run.file = svm_tmpfile(arena, FILE_SEED);
	run.file_data = malloc(arena);
	run.shared_stride = run.page / 2 + 8;
	run.shared = svm_map(SHARED_WORDS * run.shared_stride,
			     PROT_READ | PROT_WRITE);
	/* Not where a chunk begins: three pages behind it */
	arenas = svm_map_aligned(run.threads * arena + 3 * run.page,
				 SVM_PMD_SIZE);
	if (run.file < 0 || !run.file_data || !run.shared || !arenas)
		return false;
	svm_pattern_fill(run.file_data, arena, FILE_SEED);

	for (unsigned int i = 0; i < run.threads; i++)
		if (!setup_thread(&threads[i], i,
				  arenas + 3 * run.page + i * arena))
			return false;
	return true;
}

static void check_shared(struct thread *threads)
{
	for (unsigned int w = 0; w < SHARED_WORDS; w++) {
		uint64_t sum = 0;

		for (unsigned int i = 0; i < run.threads; i++)
			sum += threads[i].added[w];
		if (*shared_word(w) != sum)
			fail(&threads[0], "shared word %u is %#llx, not %#llx",
			     w, (unsigned long long)*shared_word(w),
			     (unsigned long long)sum);
	}
}

/* A line for people who wait; run-tests shows it */
static void progress(const struct thread *threads)
{
	struct drm_vsvm_device_stats stats;
	uint64_t ops = 0;

	for (unsigned int i = 0; i < run.threads; i++)
		ops += __atomic_load_n(&threads[i].ops, __ATOMIC_RELAXED);
	if (svm_stats(&run.svm, &stats))
		return;
	ksft_print_msg("at work: round %llu (%s): %llu operations, %llu jobs,",
		       (unsigned long long)run.round, run.kind->name,
		       (unsigned long long)ops, (unsigned long long)stats.jobs);
	printf(" %llu faults, %llu of CPUs,",
	       (unsigned long long)(stats.read_faults + stats.write_faults),
	       (unsigned long long)stats.cpu_faults);
	printf(" %llu pages to devices, %llu back, %llu evicted\n",
	       (unsigned long long)stats.to_devmem,
	       (unsigned long long)stats.to_ram,
	       (unsigned long long)stats.evicted);
	fflush(stdout);
}

static void check_stats(struct thread *threads)
{
	struct drm_vsvm_device_stats stats;
	uint64_t jobs = 0, failed = 0;

	for (unsigned int i = 0; i < run.threads; i++) {
		jobs += threads[i].jobs;
		failed += threads[i].failed_jobs;
	}
	if (svm_stats(&run.svm, &stats)) {
		fail(&threads[0], "%s", svm_why());
		return;
	}
	if (stats.stale_accesses)
		fail(&threads[0], "%llu stale accesses",
		     (unsigned long long)stats.stale_accesses);
	if (stats.jobs != jobs || stats.failed_jobs != failed)
		fail(&threads[0], "device counts %llu jobs, %llu failed",
		     (unsigned long long)stats.jobs,
		     (unsigned long long)stats.failed_jobs);
}

/* Wait until all threads are through, and say every now and then how far */
static void watch(const struct thread *threads)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PROGRESS_S;
	pthread_mutex_lock(&run.lock);
	while (run.running) {
		if (!pthread_cond_timedwait(&run.ended, &run.lock, &until))
			continue;
		until.tv_sec += PROGRESS_S;
		pthread_mutex_unlock(&run.lock);
		progress(threads);
		pthread_mutex_lock(&run.lock);
	}
	pthread_mutex_unlock(&run.lock);
}

static int round_main(unsigned int seconds)
{
	struct thread *threads = calloc(run.threads, sizeof(*threads));

	if (!threads || !setup(threads)) {
		ksft_print_msg("setup: %s\n", svm_why());
		return KSFT_FAIL;
	}
	/* Printing gets its memory now, before there are holes that have to stay */
	ksft_print_msg("round %llu: %s, %u s\n", (unsigned long long)run.round,
		       run.kind->name, seconds);
	fflush(stdout);
	run.deadline = svm_deadline_ms(seconds * 1000);
	run.running = run.threads;
	pthread_barrier_init(&run.start, NULL, run.threads);
	for (unsigned int i = 0; i < run.threads; i++)
		if (pthread_create(&threads[i].thread, NULL, thread_main,
				   &threads[i]))
			return KSFT_FAIL;
	watch(threads);
	for (unsigned int i = 0; i < run.threads; i++)
		pthread_join(threads[i].thread, NULL);

	check_shared(threads);
	check_stats(threads);
	progress(threads);
	if (run.error[0])
		ksft_print_msg("round %llu: %s\n",
			       (unsigned long long)run.round, run.error);
	fflush(stdout);
	/* What is on the devices now goes with the process */
	return run.error[0] ? KSFT_FAIL : KSFT_PASS;
}

/*
 * All rounds
 */

static bool make_devices(void)
{
	const char *settings[MAX_SETTINGS + 1];
	char devices[16];
	unsigned int n = 0;

	snprintf(devices, sizeof(devices), "devices=%u", run.devices);
	settings[n++] = devices;
	for (unsigned int i = 0; i < MAX_SETTINGS && run.kind->settings[i]; i++)
		settings[n++] = run.kind->settings[i];
	settings[n] = NULL;
	svm_set_remove(DEVICE_SET);
	return !svm_set_make(DEVICE_SET, settings);
}

/* All memory of the devices has to come free when its process has gone */
static bool devices_are_empty(void)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);
	struct drm_vsvm_device_stats stats = { .mem_used = 1 };
	struct svm svm;

	if (svm_open_set(&svm, DEVICE_SET, run.devices))
		return false;
	while (!svm_stats(&svm, &stats) && stats.mem_used &&
	       !svm_past(deadline))
		sched_yield();
	svm_close(&svm);
	if (stats.mem_used)
		ksft_print_msg("%llu bytes of device memory are left\n",
			       (unsigned long long)stats.mem_used);
	return !stats.mem_used;
}

static bool one_round(unsigned int seconds)
{
	int status = -1;
	pid_t pid;
	bool ok;

	run.kind = &kinds_of_rounds[run.round % KINDS];
	if (!make_devices()) {
		ksft_print_msg("%s\n", svm_why());
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(round_main(seconds));
	ok = pid > 0 && waitpid(pid, &status, 0) == pid && !status;
	if (!ok)
		ksft_print_msg("ended with %#x; again: svm_soak --seed %llu --round %llu\n",
			       status,
			       (unsigned long long)run.seed,
			       (unsigned long long)run.round);
	ok = devices_are_empty() && ok;
	svm_set_remove(DEVICE_SET);
	return ok;
}

/* As many rounds as there is time for, but each kind at least once */
static void all_rounds(bool *ok)
{
	uint64_t end = svm_deadline_ms(run.seconds * 1000);
	unsigned int seconds = run.seconds / KINDS;

	if (seconds > MAX_ROUND_S)
		seconds = MAX_ROUND_S;
	for (unsigned int i = 0; i < KINDS; i++)
		ok[i] = true;
	for (run.round = 0; run.round < KINDS || !svm_past(end); run.round++) {
		ok[run.round % KINDS] = one_round(seconds);
		if (!ok[run.round % KINDS])
			break;
	}
}

static void only_round(bool *ok)
{
	for (unsigned int i = 0; i < KINDS; i++)
		ok[i] = true;
	run.round = run.only_round;
	ok[run.round % KINDS] = one_round(run.seconds);
}

/* In the environment, so that it passes through make and the guest */
static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void parse_args(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "round", required_argument, NULL, 'n' },
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "devices", required_argument, NULL, 'd' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case 's':
			run.seconds = number;
			break;
		case 'r':
			run.seed = number;
			break;
		case 'n':
			run.only_round = number;
			break;
		case 'o':
			run.max_ops = number;
			break;
		case 't':
			run.threads = number;
			break;
		case 'd':
			run.devices = number;
			break;
		default:
			fprintf(stderr,
				"usage: %s [--seconds N] [--seed N] [--round N] [--ops N] [--threads N] [--devices N]\n"
				"In the environment: SOAK, in minutes, and SEED\n",
				argv[0]);
			exit(KSFT_FAIL);
		}
	}
	if (!run.threads || run.threads > MAX_THREADS)
		run.threads = MAX_THREADS;
	if (!run.devices || run.devices > DRM_VSVM_MAX_DEVICES)
		run.devices = DRM_VSVM_MAX_DEVICES;
}

int main(int argc, char **argv)
{
	bool ok[KINDS];

	run.page = svm_page_size();
	run.only_round = ~0ULL;
	run.seed = environment("SEED", svm_now_ns());
	run.seconds = environment("SOAK", 0) * 60 ?: run.seconds;
	parse_args(argc, argv);
	ksft_print_header();
	if (!svm_count_devices()) {
		svm_open_device(0);
		ksft_exit_skip("%s\n", svm_why());
	}
	if (geteuid())
		ksft_exit_skip("makes devices of its own: run it as root\n");
	ksft_set_plan(KINDS);
	svm_want_swap();
	ksft_print_msg("seed %llu, %u s, %u threads, %u devices\n",
		       (unsigned long long)run.seed, run.seconds, run.threads,
		       run.devices);
	if (run.only_round == ~0ULL)
		all_rounds(ok);
	else
		only_round(ok);
	for (unsigned int i = 0; i < KINDS; i++)
		ksft_test_result(ok[i], "svm_soak %s, seed %llu\n",
				 kinds_of_rounds[i].name,
				 (unsigned long long)run.seed);
	ksft_finished();
}
