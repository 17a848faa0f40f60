// SPDX-License-Identifier: GPL-2.0
/*
 * The soak (see soak.h) on a GPU with the xe driver: its copy engine fills and
 * copies, its other engines add. Workers have VMs of their own or share one; and
 * VRAM is theirs or nearly full.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"
#include "xe_lib.h"

enum kind { MOVED, SYSTEM, SHARED_VM, LITTLE_VRAM };

static const char *const rounds[] = {
	[MOVED] = "moved to where it is used",
	[SYSTEM] = "system memory",
	[SHARED_VM] = "one VM for all",
	[LITTLE_VRAM] = "little VRAM",
};

/* One for each worker; the VM may be everybody's, the queues are its own */
struct gpu {
	struct xe_gpu own, *xe;
	struct xe_queue queue[XE_ENGINES], *used;
};

static struct {
	void *start;
	size_t len;
	struct xe_gpu shared;	/* and where the counters are */
	struct xe_stats before;
	uint64_t vram_used;	/* before the round */
} window;

/*
 * Objects that want all of VRAM, so that what is used next evicts what was used last:
 * memory of the workers, or other objects. They know what they hold, too.
 */

#define OBJECT_SIZE	(16UL << 20)
#define OBJECT_PAUSE_US	100000

static struct {
	struct xe_gpu gpu;
	char *mem;		/* where the GPU has them; the CPU has nothing there */
	uint8_t *seen;
	unsigned int n;
	uint64_t uses;
	int err;
	char why[200];
	pthread_t thread;
} objects;

static int make_object(unsigned int i)
{
	struct xe_bind bind = {
		.what = XE_BIND_OBJECT, .mem = objects.mem + i * OBJECT_SIZE, .len = OBJECT_SIZE,
	};
	int err = xe_create_object(&objects.gpu, OBJECT_SIZE, &bind.object);

	if (!err)
		err = xe_bind(&objects.gpu, &bind, 1);
	if (err)
		return err;
	xe_emit_fill(&objects.gpu.queue[XE_COPY], bind.mem, i + 1, OBJECT_SIZE);
	return xe_run(&objects.gpu.queue[XE_COPY]);
}

/* At its beginning and at its end */
static int use_object(unsigned int i)
{
	char *mem = objects.mem + i * OBJECT_SIZE, *last = mem + OBJECT_SIZE - XE_COPY_UNIT;
	struct xe_queue *copy = &objects.gpu.queue[XE_COPY];
	int err;

	xe_emit_copy(copy, objects.seen, mem, XE_COPY_UNIT);
	xe_emit_copy(copy, objects.seen + XE_COPY_UNIT, last, XE_COPY_UNIT);
	err = xe_run(copy);
	for (size_t at = 0; !err && at < 2 * XE_COPY_UNIT; at++)
		if (objects.seen[at] != (uint8_t)(i + 1))
			err = svm_failed(-EIO, "object %u holds %#x at +%zu", i,
					 objects.seen[at], at);
	return err;
}

static void *use_objects(void *arg)
{
	struct svm_rand rand = { .state = soak.seed };
	int err;

	(void)arg;
	do {
		usleep(OBJECT_PAUSE_US);
		err = use_object(svm_rand_below(&rand, objects.n));
		__atomic_add_fetch(&objects.uses, 1, __ATOMIC_RELAXED);
	} while (!err);
	snprintf(objects.why, sizeof(objects.why), "%s", svm_why());
	__atomic_store_n(&objects.err, err, __ATOMIC_RELEASE);
	return NULL;
}

static int fill_vram(void)
{
	int err = xe_open(&objects.gpu);

	if (err)
		return err;
	objects.n = objects.gpu.vram_size / OBJECT_SIZE;
	objects.mem = svm_map_aligned(objects.n * OBJECT_SIZE, SVM_PMD_SIZE);
	objects.seen = svm_map(soak.page, PROT_READ | PROT_WRITE);
	if (!objects.mem || !objects.seen)
		return svm_failed(-ENOMEM, "no addresses for objects");
	for (unsigned int i = 0; !err && i < objects.n; i++)
		err = make_object(i);
	return err ?: -pthread_create(&objects.thread, NULL, use_objects, NULL);
}

static int probe(void)
{
	struct xe_gpu xe;
	int err = xe_open(&xe);

	if (!err)
		xe_close(&xe);
	return err;
}

/* Before anybody has anything in VRAM, and when that has gone with its process */
static int begin_round(unsigned int kind)
{
	(void)kind;
	return xe_vram_used(&window.vram_used);
}

static int end_round(void)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS), used;
	int err;

	while (!(err = xe_vram_used(&used)) && used > window.vram_used &&
	       !svm_past(deadline))
		usleep(1000);
	if (err || used <= window.vram_used)
		return err;
	return svm_failed(-EBUSY, "%llu bytes of VRAM are in use, not %llu as before",
			  (unsigned long long)used, (unsigned long long)window.vram_used);
}

static int open_device(void *start, size_t len)
{
	int err = xe_open(&window.shared);

	window.start = start;
	window.len = len;
	if (!err)
		err = xe_stats(&window.shared, &window.before);
	return err || soak.kind != LITTLE_VRAM ? err : fill_vram();
}

static int open_own_vm(struct gpu *gpu)
{
	int err = xe_open(&gpu->own);

	gpu->xe = &gpu->own;
	memcpy(gpu->queue, gpu->own.queue, sizeof(gpu->queue));
	if (!err && soak.kind == SYSTEM)
		err = xe_prefer(gpu->xe, window.start, window.len, gpu->xe->system);
	return err;
}

static int open_shared_vm(struct gpu *gpu)
{
	int err = 0;

	gpu->xe = &window.shared;
	for (int i = 0; !err && i < XE_ENGINES; i++)
		err = xe_open_another(gpu->xe, i, &gpu->queue[i]);
	return err;
}

static int open_worker(struct soak_worker *w)
{
	struct gpu *gpu = calloc(1, sizeof(*gpu));

	w->device = gpu;
	if (!gpu)
		return -ENOMEM;
	return soak.kind == SHARED_VM ? open_shared_vm(gpu) : open_own_vm(gpu);
}

static void emit(struct xe_queue *queue, const struct soak_op *op)
{
	if (op->what == SOAK_FILL)
		xe_emit_fill(queue, op->dst, op->value, op->len);
	if (op->what == SOAK_COPY)
		xe_emit_copy(queue, op->dst, op->src, op->len);
	for (size_t i = 0; i < op->count; i++) {
		uint64_t *word = (uint64_t *)(op->dst + i * op->stride);

		if (op->what == SOAK_ATOMIC)
			xe_emit_atomic_add(queue, word, op->value);
		else
			xe_emit_add(queue, word, op->value);
	}
}

static enum xe_engine choose_engine(struct soak_worker *w, enum soak_op_what what)
{
	if (what == SOAK_FILL || what == SOAK_COPY)
		return XE_COPY;
	return soak_below(w, 2) ? XE_COMPUTE : XE_RENDER;
}

static int submit(struct soak_worker *w, const struct soak_op *op)
{
	struct gpu *gpu = w->device;

	gpu->used = &gpu->queue[choose_engine(w, op->what)];
	emit(gpu->used, op);
	return xe_submit(gpu->used);
}

/* A queue whose job failed is of no more use; its VM is, with all ranges and advice */
static int renew_queue(struct gpu *gpu)
{
	enum xe_engine engine = gpu->used - gpu->queue;

	xe_close_queue(gpu->used);
	return xe_open_another(gpu->xe, engine, gpu->used);
}

static int wait_for(struct soak_worker *w, struct soak_outcome *out)
{
	struct gpu *gpu = w->device;
	int err = xe_wait(gpu->used);

	if (err == -ETIME)
		return err;
	out->status = err;
	return err ? renew_queue(gpu) : 0;
}

static int prefetch(struct soak_worker *w, char *mem, size_t len,
		    unsigned int place)
{
	struct gpu *gpu = w->device;

	return xe_prefetch(gpu->xe, mem, len, place ? gpu->xe->vram : gpu->xe->system);
}

static int prefer(struct soak_worker *w, char *mem, size_t len,
		  unsigned int place)
{
	struct gpu *gpu = w->device;

	return xe_prefer(gpu->xe, mem, len,
			 place ? gpu->xe->vram : gpu->xe->system);
}

static const char *verdict(uint64_t jobs, uint64_t failed_jobs)
{
	(void)jobs;
	(void)failed_jobs;
	return __atomic_load_n(&objects.err, __ATOMIC_ACQUIRE) ? objects.why : NULL;
}

static void progress(char *text, size_t size)
{
	struct xe_stats stats;

	if (xe_stats(&window.shared, &stats))
		return;
	xe_stats_sub(&stats, &window.before);
	snprintf(text, size, "%llu faults, %llu KiB to the GPU, %llu back, %llu uses of objects",
		 (unsigned long long)stats.faults,
		 (unsigned long long)stats.kb_in,
		 (unsigned long long)stats.kb_out,
		 (unsigned long long)__atomic_load_n(&objects.uses, __ATOMIC_RELAXED));
}

static const struct soak_backend xe = {
	.name = "xe_soak",
	.rounds = rounds,
	.num_rounds = ARRAY_SIZE(rounds),
	.threads = 3,
	.bytes_only = true,
	.atomics_move = true,
	.copy_unit = XE_COPY_UNIT,
	.max_words = 16,
	.places = 2,
	.probe = probe,
	.begin_round = begin_round,
	.end_round = end_round,
	.open = open_device,
	.open_worker = open_worker,
	.submit = submit,
	.wait = wait_for,
	.prefetch = prefetch,
	.prefer = prefer,
	.verdict = verdict,
	.progress = progress,
};

int main(int argc, char **argv)
{
	return soak_main(argc, argv, &xe);
}
