// SPDX-License-Identifier: GPL-2.0
/*
 * A demonstration on a GPU of Intel's: the engines of an xe device compute on
 * one buffer from malloc(), which moves between the system and VRAM by faults,
 * by prefetches and by what the process touches. Prints a table with a row for
 * each step, and exits with 0 only if all data were right and in the right
 * place; with 4 where there is no such GPU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "svm_check.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define SKIPPED		4	/* what kselftest takes for it */

#define MB		(1UL << 20)
#define LEN		(8 * MB)
#define WORDS		(LEN / sizeof(uint64_t))
#define HALF		(LEN / 2)

/*
 * @want is what the buffer should hold: all that is done to it is done to @want
 * by the process alone. @witness is where the copy engine shows what it finds in
 * the buffer, so that the process can compare that and not move the buffer.
 */
struct demo {
	struct xe_gpu gpu;
	void *buffer;
	uint64_t *mem, *want, *witness;
	uint64_t writes;
};

static bool works(int err)
{
	return check(!err, "%s", svm_why());
}

static bool is_wanted(const struct demo *d, const uint64_t *found, const char *who)
{
	for (size_t i = 0; i < WORDS; i++)
		if (!check(found[i] == d->want[i],
			   "word %zu is %#llx to %s, not %#llx", i,
			   (unsigned long long)found[i], who,
			   (unsigned long long)d->want[i]))
			return false;
	return true;
}

static bool gpu_sees_it(struct demo *d)
{
	struct xe_queue *copy = &d->gpu.queue[XE_COPY];

	xe_emit_copy(copy, d->witness, d->mem, LEN);
	return works(xe_run(copy)) && is_wanted(d, d->witness, "the GPU");
}

static bool process_sees_it(struct demo *d)
{
	return is_wanted(d, d->mem, "the process");
}

/*
 * Steps
 */

static bool process_writes(struct demo *d)
{
	d->writes++;
	svm_pattern_fill(d->want, LEN, d->writes);
	svm_pattern_fill(d->mem, LEN, d->writes);
	return true;
}

static bool process_reads_a_byte(struct demo *d)
{
	volatile uint8_t *byte = (uint8_t *)d->mem + HALF;

	return check(*byte == (uint8_t)d->want[WORDS / 2], "the byte is wrong");
}

typedef void (*emit_add_fn)(struct xe_queue *queue, const uint64_t *word,
			    uint64_t value);

/* A word of each page, never the same place in two neighbours */
static bool engine_adds(struct demo *d, enum xe_engine engine, emit_add_fn emit_add)
{
	size_t words = svm_page_size() / sizeof(uint64_t);
	uint64_t value = 0x0123456789abcdefULL << engine;

	for (size_t page = 0; page < WORDS / words; page++) {
		size_t i = page * words + page % words;

		emit_add(&d->gpu.queue[engine], &d->mem[i], value);
		d->want[i] += value;
	}
	return works(xe_run(&d->gpu.queue[engine]));
}

static bool compute_adds(struct demo *d)
{
	return engine_adds(d, XE_COMPUTE, xe_emit_add);
}

static bool compute_adds_in_system(struct demo *d)
{
	return works(xe_prefer(&d->gpu, d->mem, LEN, d->gpu.system)) &&
	       compute_adds(d);
}

/* Preferred or not: what is atomic to both sides has to be in VRAM */
static bool compute_adds_atomically(struct demo *d)
{
	return works(xe_prefer(&d->gpu, d->mem, LEN, d->gpu.system)) &&
	       engine_adds(d, XE_COMPUTE, xe_emit_atomic_add);
}

static bool render_adds(struct demo *d)
{
	return engine_adds(d, XE_RENDER, xe_emit_add);
}

static bool copy_half(struct demo *d)
{
	struct xe_queue *copy = &d->gpu.queue[XE_COPY];
	char *mem = (char *)d->mem, *want = (char *)d->want;

	xe_emit_copy(copy, mem + HALF, mem, HALF);
	memcpy(want + HALF, want, HALF);
	return works(xe_prefer(&d->gpu, mem, LEN, d->gpu.vram)) &&
	       works(xe_run(copy));
}

static bool copy_engine_fills(struct demo *d)
{
	struct xe_queue *copy = &d->gpu.queue[XE_COPY];

	xe_emit_fill(copy, d->mem, 0x5a, MB);
	memset(d->want, 0x5a, MB);
	return works(xe_run(copy));
}

static bool to_vram(struct demo *d)
{
	return works(xe_prefetch(&d->gpu, d->mem, LEN, d->gpu.vram));
}

static bool to_system(struct demo *d)
{
	return works(xe_prefetch(&d->gpu, d->mem, LEN, d->gpu.system));
}

/* All engines and the process, to a word in each of some pages, at one time */
static bool all_add(struct demo *d)
{
	enum { PAGES = 16, TIMES = 50 };
	size_t words = svm_page_size() / sizeof(uint64_t);
	bool ok = true;

	for (int i = 0; i < XE_ENGINES; i++) {
		for (size_t n = 0; n < PAGES * TIMES; n++)
			xe_emit_atomic_add(&d->gpu.queue[i],
					   &d->mem[n % PAGES * words], 1);
		ok = works(xe_submit(&d->gpu.queue[i])) && ok;
	}
	for (size_t n = 0; n < PAGES * TIMES; n++)
		__atomic_fetch_add(&d->mem[n % PAGES * words], 1, __ATOMIC_RELAXED);
	for (int i = 0; i < XE_ENGINES; i++)
		ok = works(xe_wait(&d->gpu.queue[i])) && ok;
	for (size_t n = 0; n < PAGES; n++)
		d->want[n * words] += TIMES * (XE_ENGINES + 1);
	return ok;
}

/* Where the buffer has to be after a step */
enum place { ANYWHERE, SYSTEM, VRAM };

static const struct step {
	const char *what;
	bool (*run)(struct demo *d);
	/* Or nothing, where that would move what the next step is to find */
	bool (*verify)(struct demo *d);
	enum place place;
} steps[] = {
	{ "the process writes 8 MiB of malloc()", process_writes, NULL, SYSTEM },
	{ "compute adds, advised to stay", compute_adds_in_system, gpu_sees_it, SYSTEM },
	{ "copy engine copies half, advised to VRAM", copy_half, gpu_sees_it, VRAM },
	{ "the process reads one byte", process_reads_a_byte, NULL, ANYWHERE },
	{ "compute adds", compute_adds, gpu_sees_it, VRAM },
	{ "the process reads it all", process_sees_it, NULL, SYSTEM },
	{ "prefetch to VRAM", to_vram, gpu_sees_it, VRAM },
	{ "render adds", render_adds, gpu_sees_it, VRAM },
	{ "prefetch to the system", to_system, gpu_sees_it, SYSTEM },
	{ "compute adds atomically, advised to stay", compute_adds_atomically, gpu_sees_it, VRAM },
	{ "copy engine fills 1 MiB", copy_engine_fills, gpu_sees_it, VRAM },
	{ "3 engines and CPU add to the same words", all_add, NULL, ANYWHERE },
	{ "the process reads it all", process_sees_it, NULL, SYSTEM },
};

#define N_STEPS	(sizeof(steps) / sizeof(steps[0]))

static bool is_placed(const struct svm_places *places, enum place place)
{
	size_t pages = LEN / svm_page_size();

	return check(place != SYSTEM || places->in_system == pages,
		     "it isn't all in the system") &&
	       check(place != VRAM || places->in_device == pages,
		     "it isn't all in VRAM");
}

/*
 * The table
 */

struct counts {
	struct xe_stats gpu;
	uint64_t cpu_faults;
	uint64_t ns;
};

static bool count(const struct demo *d, struct counts *counts)
{
	struct rusage usage;

	counts->ns = svm_now_ns();
	getrusage(RUSAGE_SELF, &usage);
	counts->cpu_faults = usage.ru_minflt + usage.ru_majflt;
	return works(xe_stats(&d->gpu, &counts->gpu));
}

static void counts_sub(struct counts *to, const struct counts *from)
{
	xe_stats_sub(&to->gpu, &from->gpu);
	to->cpu_faults -= from->cpu_faults;
	to->ns -= from->ns;
}

static double mib(size_t pages)
{
	return pages * (double)svm_page_size() / MB;
}

static void print_header(const struct demo *d)
{
	struct utsname name;

	uname(&name);
	printf("GPU SVM of xe on Linux %s: device %04x, %llu MiB of VRAM\n\n",
	       name.release, d->gpu.device_id,
	       (unsigned long long)(d->gpu.vram_size / MB));
	printf("%-41s%15s%16s%9s%8s%8s%8s\n", "", "MiB are now in", "MiB moved",
	       "device", "TLB", "CPU", "time");
	printf("%-41s%7s%8s%8s%8s%9s%8s%8s%8s  %s\n", "memory of the process",
	       "system", "VRAM", "in", "out", "faults", "flushes", "faults",
	       "ms", "verified");
}

static void print_row(const char *what, const struct svm_places *places,
		      const struct counts *counts, bool ok)
{
	printf("%-41s%7.2f%8.2f%8.2f%8.2f%9llu%8llu%8llu%8.1f  %s\n", what,
	       mib(places->in_system), mib(places->in_device),
	       counts->gpu.kb_in / 1024.0, counts->gpu.kb_out / 1024.0,
	       (unsigned long long)counts->gpu.faults,
	       (unsigned long long)counts->gpu.tlb_invalidations,
	       (unsigned long long)counts->cpu_faults, counts->ns / 1e6,
	       ok ? "yes" : "NO");
	if (!ok)
		printf("    %s\n", why_not);
	fflush(stdout);
}

/* The numbers are the step's own: looking at what it did comes after them */
static bool run_step(struct demo *d, const struct step *step)
{
	struct svm_places places = { 0 };
	struct counts before = { 0 }, after = { 0 };
	bool ok;

	why_not[0] = '\0';
	ok = count(d, &before) && step->run(d);
	ok = count(d, &after) && ok;
	counts_sub(&after, &before);
	ok = check(svm_places(d->mem, LEN, &places), "no page map") && ok;
	ok = ok && is_placed(&places, step->place) &&
	     (!step->verify || step->verify(d));
	print_row(step->what, &places, &after, ok);
	return ok;
}

/*
 * From malloc(), for all of it; and whole pages, as advice and prefetches are
 * about pages. What the process alone uses is no concern of the GPU's.
 */
static bool take_memory(struct demo *d)
{
	size_t page = svm_page_size();

	d->buffer = malloc(LEN + page);
	d->mem = (uint64_t *)((svm_addr(d->buffer) + page - 1) & ~(page - 1));
	d->want = malloc(LEN);
	d->witness = svm_map_aligned(LEN, SVM_PMD_SIZE);
	if (!check(d->buffer && d->want && d->witness, "no memory"))
		return false;
	memset(d->want, 0, LEN);
	memset(d->witness, 0, LEN);
	return works(xe_prefer(&d->gpu, d->witness, LEN, d->gpu.system)) &&
	       works(xe_prefetch(&d->gpu, d->witness, LEN, d->gpu.system));
}

static bool run_steps(struct demo *d, struct counts *total)
{
	struct counts begin = { 0 };
	bool ok = take_memory(d) && count(d, &begin);

	if (!ok) {
		printf("%s\n", why_not);
		return false;
	}
	print_header(d);
	for (size_t i = 0; ok && i < N_STEPS; i++)
		ok = run_step(d, &steps[i]);
	ok = count(d, total) && ok;
	counts_sub(total, &begin);
	return ok;
}

int main(void)
{
	struct counts total = { 0 };
	struct demo d = { 0 };
	int err = xe_open(&d.gpu);
	bool ok;

	if (err) {
		printf("xe_svm_demo: %s%s\n", err == -ENODEV ? "skipped: " : "",
		       svm_why());
		return err == -ENODEV ? SKIPPED : 1;
	}
	ok = run_steps(&d, &total);
	xe_close(&d.gpu);
	free(d.buffer);
	free(d.want);
	if (ok)
		printf("\nAll right: %zu steps verified, %llu device page faults served, "
		       "%.0f MiB moved in and %.0f out.\n", N_STEPS,
		       (unsigned long long)total.gpu.faults,
		       total.gpu.kb_in / 1024.0, total.gpu.kb_out / 1024.0);
	else
		printf("\nNOT all right.\n");
	return ok ? 0 : 1;
}
