// SPDX-License-Identifier: GPL-2.0
/*
 * The soak (see soak.h) on the virtual SVM device. Each round has a set of devices
 * of its own: without memory, with much of it or little, which reach each other's or
 * don't. Memory is asked to move between the system and the devices, and moves since
 * it is touched, or since there isn't room for all.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"
#include "soak.h"
#include "vsvm_lib.h"

#define MAX_SETTINGS	8
#define DEVICE_SET	"drm_svm_soak"

static const char *const rounds[] = {
	"system memory",
	"first touch",
	"little memory, no links",
	"advice, timeslices, slow copies",
};

static const char *const settings[][MAX_SETTINGS] = {
	{ "mem_size=0" },
	{ "mem_size=16M" },
	{ "mem_size=4M", "interconnect=0", "fault_window=4K" },
	{ "mem_size=8M", "policy=advice", "timeslice_ms=1", "copy_latency_us=200",
	  "chunk_sizes=2M,4K" },
};

/* One for each worker */
struct queues {
	struct svm_queue queue[DRM_VSVM_MAX_DEVICES];
	struct svm_queue *used;
	uint64_t seqno;
};

static struct svm svm;

static int probe(void)
{
	if (soak.devices < 1 || soak.devices > DRM_VSVM_MAX_DEVICES)
		soak.devices = DRM_VSVM_MAX_DEVICES;
	return svm_count_devices() ? 0 : svm_open_device(0);
}

static int begin_round(unsigned int kind)
{
	const char *all[MAX_SETTINGS + 2];
	char devices[16];
	unsigned int n = 0;

	snprintf(devices, sizeof(devices), "devices=%u", soak.devices);
	all[n++] = devices;
	for (unsigned int i = 0; i < MAX_SETTINGS && settings[kind][i]; i++)
		all[n++] = settings[kind][i];
	all[n] = NULL;
	svm_set_remove(DEVICE_SET);
	return svm_set_make(DEVICE_SET, all);
}

/* All memory of the devices has to come free when its process has gone */
static int check_empty(void)
{
	uint64_t deadline = svm_deadline_ms(SVM_WAIT_MS);
	struct drm_vsvm_device_stats stats = { .mem_used = 1 };
	struct svm other;
	int err = svm_open_set(&other, DEVICE_SET, soak.devices);

	if (err)
		return err;
	while (!svm_stats(&other, &stats) && stats.mem_used && !svm_past(deadline))
		sched_yield();
	svm_close(&other);
	if (!stats.mem_used)
		return 0;
	return svm_failed(-EBUSY, "%llu bytes of device memory are left",
			  (unsigned long long)stats.mem_used);
}

static int end_round(void)
{
	int err = check_empty();

	svm_set_remove(DEVICE_SET);
	return err;
}

static int open_devices(void *window, size_t len)
{
	(void)window;
	(void)len;
	return svm_open_set(&svm, DEVICE_SET, soak.devices);
}

static int open_worker(struct soak_worker *w)
{
	struct queues *queues = calloc(1, sizeof(*queues));
	int err = queues ? 0 : -ENOMEM;

	w->device = queues;
	for (unsigned int i = 0; !err && i < soak.devices; i++)
		err = svm_queue_create(&svm, i, &queues->queue[i]);
	return err;
}

static struct drm_vsvm_op translate(const struct soak_op *op)
{
	struct drm_vsvm_op to;

	switch (op->what) {
	case SOAK_FILL:
		return svm_fill(op->dst, op->len, op->value);
	case SOAK_COPY:
		return svm_copy(op->dst, op->src, op->len);
	case SOAK_SUM:
		return svm_sum(op->src, op->len);
	case SOAK_READ_ADD:
		return svm_sum(op->dst, 8);
	case SOAK_ADD:
		return svm_add(op->dst, 8, op->value);
	case SOAK_ATOMIC:
		to = svm_atomic_add(op->dst, op->count, op->stride, op->value);
		to.repeat = 1;
		return to;
	}
	abort();
}

static int submit(struct soak_worker *w, const struct soak_op *op)
{
	struct queues *queues = w->device;
	struct drm_vsvm_op ops[512] = { translate(op) };
	unsigned int n = 1;

	queues->used = &queues->queue[soak_below(w, soak.devices)];
	if (op->what == SOAK_READ_ADD)
		ops[n++] = svm_add(op->dst, 8, op->value);
	if (op->what == SOAK_ADD && op->stride == 8)
		ops[0].length = op->count * 8;
	else if (op->what == SOAK_ADD)
		for (; n < op->count; n++)
			ops[n] = svm_add(op->dst + n * op->stride, 8, op->value);
	return svm_submit(queues->used, ops, n, &queues->seqno);
}

static int wait_for(struct soak_worker *w, struct soak_outcome *out)
{
	struct queues *queues = w->device;
	struct svm_outcome outcome = { };
	int err = svm_wait(queues->used, queues->seqno, &outcome);

	if (err == -ETIME)
		return err;
	out->status = outcome.status;
	out->fault_addr = outcome.fault_addr;
	out->result = outcome.result;
	out->faults = outcome.faults;
	return 0;
}

static uint32_t location(struct soak_worker *w, unsigned int place)
{
	return place ? DRM_VSVM_LOCATION_DEVICE(soak_below(w, soak.devices)) :
		       DRM_VSVM_LOCATION_SYSTEM;
}

static bool have_memory(void)
{
	return soak.kind != 0;
}

static int prefetch(struct soak_worker *w, char *mem, size_t len,
		    unsigned int place)
{
	unsigned int timeslice = soak_below(w, 8) ? 0 : soak_below(w, 5);
	uint32_t where = location(w, place);
	struct svm_moved moved = { };
	int err;

	if (!have_memory())
		return 0;
	err = svm_prefetch_for(&svm, mem, len, where, timeslice, &moved);
	if (moved.moved + moved.resident + moved.left > len / soak.page)
		return svm_failed(-EINVAL, "%llu + %llu + %llu of %zu pages moved",
				  (unsigned long long)moved.moved,
				  (unsigned long long)moved.resident,
				  (unsigned long long)moved.left,
				  len / soak.page);
	return err == -ENOSPC ? 0 : err;
}

static int prefer(struct soak_worker *w, char *mem, size_t len,
		  unsigned int place)
{
	uint32_t where = location(w, place);

	if (!have_memory())
		return 0;
	return svm_advise(&svm, mem, len, soak_below(w, 2) ? where :
			  DRM_VSVM_LOCATION_NONE, 0, soak_below(w, 3));
}

static const char *verdict(uint64_t jobs, uint64_t failed_jobs)
{
	static char text[128];
	struct drm_vsvm_device_stats stats;

	if (svm_stats(&svm, &stats))
		return svm_why();
	if (stats.stale_accesses) {
		snprintf(text, sizeof(text), "%llu stale accesses",
			 (unsigned long long)stats.stale_accesses);
		return text;
	}
	if (stats.jobs == jobs && stats.failed_jobs == failed_jobs)
		return NULL;
	snprintf(text, sizeof(text), "devices count %llu jobs, %llu failed",
		 (unsigned long long)stats.jobs,
		 (unsigned long long)stats.failed_jobs);
	return text;
}

static void progress(char *text, size_t size)
{
	struct drm_vsvm_device_stats stats;

	if (svm_stats(&svm, &stats))
		return;
	snprintf(text, size,
		 "%llu jobs, %llu faults, %llu of CPUs, %llu pages to devices, %llu back, %llu evicted",
		 (unsigned long long)stats.jobs,
		 (unsigned long long)(stats.read_faults + stats.write_faults),
		 (unsigned long long)stats.cpu_faults,
		 (unsigned long long)stats.to_devmem,
		 (unsigned long long)stats.to_ram,
		 (unsigned long long)stats.evicted);
}

static const struct soak_backend vsvm = {
	.name = "svm_soak",
	.rounds = rounds,
	.num_rounds = ARRAY_SIZE(rounds),
	.threads = 3,
	.exact = true,
	.counts_faults = true,
	.copy_unit = 1,
	.max_words = 512,
	.places = 2,
	.probe = probe,
	.begin_round = begin_round,
	.end_round = end_round,
	.open = open_devices,
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
	return soak_main(argc, argv, &vsvm);
}
