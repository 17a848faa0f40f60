// SPDX-License-Identifier: GPL-2.0
/*
 * The soak (see soak.h) on a GPU with the xe driver: its copy engine fills and
 * copies, its other engines add. Each worker has a VM of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest.h"
#include "soak.h"
#include "xe_lib.h"

static const char *const rounds[] = {
	"moved to where it is used",
	"system memory",
};

/* One for each worker */
struct gpu {
	struct xe_gpu xe;
	struct xe_queue *used;
};

static struct {
	void *start;
	size_t len;
	struct xe_gpu counters;
	struct xe_stats before;
} window;

static int open_gpu(struct xe_gpu *xe)
{
	int err = xe_open(xe);

	if (!err && soak.kind == 1 && window.len)
		err = xe_prefer(xe, window.start, window.len, xe->system);
	return err;
}

static int probe(void)
{
	struct xe_gpu xe;
	int err = xe_open(&xe);

	if (!err)
		xe_close(&xe);
	return err;
}

static int open_device(void *start, size_t len)
{
	int err = xe_open(&window.counters);

	window.start = start;
	window.len = len;
	return err ?: xe_stats(&window.counters, &window.before);
}

static int open_worker(struct soak_worker *w)
{
	struct gpu *gpu = calloc(1, sizeof(*gpu));

	w->device = gpu;
	return gpu ? open_gpu(&gpu->xe) : -ENOMEM;
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

	gpu->used = &gpu->xe.queue[choose_engine(w, op->what)];
	emit(gpu->used, op);
	return xe_submit(gpu->used);
}

/* A queue whose job failed is of no more use */
static int wait_for(struct soak_worker *w, struct soak_outcome *out)
{
	struct gpu *gpu = w->device;
	int err = xe_wait(gpu->used);

	if (err == -ETIME)
		return err;
	out->status = err;
	if (!err)
		return 0;
	xe_close(&gpu->xe);
	return open_gpu(&gpu->xe);
}

static int prefetch(struct soak_worker *w, char *mem, size_t len,
		    unsigned int place)
{
	struct gpu *gpu = w->device;
	int err = xe_prefetch(&gpu->xe, mem, len,
			      place ? gpu->xe.vram : gpu->xe.system);

	/* Memory that can't be accessed can't be moved; both kernels say so */
	if (err && err != -ETIME)
		w->result = "refused";
	return err == -ETIME ? err : 0;
}

static int prefer(struct soak_worker *w, char *mem, size_t len,
		  unsigned int place)
{
	struct gpu *gpu = w->device;

	return xe_prefer(&gpu->xe, mem, len,
			 place ? gpu->xe.vram : gpu->xe.system);
}

static const char *verdict(uint64_t jobs, uint64_t failed_jobs)
{
	(void)jobs;
	(void)failed_jobs;
	return NULL;
}

static void progress(char *text, size_t size)
{
	struct xe_stats stats;

	if (xe_stats(&window.counters, &stats))
		return;
	xe_stats_sub(&stats, &window.before);
	snprintf(text, size, "%llu faults, %llu KiB to the GPU, %llu back",
		 (unsigned long long)stats.faults,
		 (unsigned long long)stats.kb_in,
		 (unsigned long long)stats.kb_out);
}

static const struct soak_backend xe = {
	.name = "xe_soak",
	.rounds = rounds,
	.num_rounds = ARRAY_SIZE(rounds),
	.threads = 1,
	.bytes_only = true,
	.atomics_move = true,
	.copy_unit = XE_COPY_UNIT,
	.max_words = 16,
	.places = 2,
	.probe = probe,
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
