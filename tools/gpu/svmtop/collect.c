// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From tracepoints to events.
 *
 * All is done in a tracefs instance that svmtop makes for itself and removes when it
 * ends: the events, filters and buffers of others stay as they are. Its buffers are
 * emptied some times a second. What did not fit in is counted as lost.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tracefs.h>

#include "collect.h"
#include "model.h"

#define INSTANCE	"svmtop-"

/* A tracepoint that is read, and the fields that make it an event */
struct source {
	const char *system;
	const char *name;
	enum svm_event_type type;
	bool optional;
	const char *filter;
	const char *svm, *space, *pid, *dev, *addr, *start, *end, *pages, *in, *err, *duration;
};

static const struct source sources[] = {
	{
		.system = "drm_gpusvm", .name = "drm_gpusvm_fault", .type = SVM_LOOKUP,
		.svm = "gpusvm", .space = "name", .pid = "pid", .addr = "addr",
		.err = "err", .duration = "duration",
	},
	{
		.system = "drm_gpusvm", .name = "drm_gpusvm_get_pages", .type = SVM_GET,
		.svm = "gpusvm", .space = "name", .pid = "pid", .dev = "dev",
		.start = "start", .end = "end", .err = "err", .duration = "duration",
	},
	{
		.system = "drm_gpusvm", .name = "drm_gpusvm_invalidate",
		.type = SVM_INVALIDATE, .filter = "hit == 1",
		.svm = "gpusvm", .space = "name", .pid = "pid", .duration = "duration",
	},
	{
		.system = "drm_gpusvm", .name = "drm_gpusvm_range_insert",
		.type = SVM_INSERT, .svm = "gpusvm", .space = "name", .pid = "pid",
		.start = "start", .end = "end",
	},
	{
		.system = "drm_gpusvm", .name = "drm_gpusvm_range_remove",
		.type = SVM_REMOVE, .svm = "gpusvm", .space = "name", .pid = "pid",
		.start = "start", .end = "end",
	},
	{
		.system = "drm_pagemap", .name = "drm_pagemap_commit", .type = SVM_MOVE,
		.pid = "pid", .dev = "dev", .pages = "moved", .in = "in", .err = "err",
	},
	{
		.system = "vsvm", .name = "vsvm_fault_end", .type = SVM_FAULT,
		.optional = true, .svm = "gpusvm", .space = "vm", .dev = "dev",
		.addr = "addr", .err = "err", .duration = "ns",
	},
};

struct svm_collect {
	struct svm_model *model;
	struct tracefs_instance *instance;
	struct tep_handle *tep;
	long page_size;
	int num_cpus;
	uint64_t lost;
	struct bound_source {
		struct svm_collect *collect;
		const struct source *source;
		struct tep_event *event;
	} bound[ARRAY_SIZE(sources)];
};

static uint64_t number(struct tep_event *event, struct tep_record *record, const char *name)
{
	unsigned long long value;

	if (!name || tep_get_field_val(NULL, event, name, record, &value, 0))
		return 0;
	return value;
}

static const char *string(struct tep_event *event, struct tep_record *record,
			  const char *name)
{
	int len;

	return name ? tep_get_field_raw(NULL, event, name, record, &len, 0) : NULL;
}

static int on_record(struct tep_event *event, struct tep_record *record, int cpu, void *data)
{
	struct bound_source *bound = data;
	const struct source *source = bound->source;
	struct svm_event e = {
		.type = source->type,
		.time = record->ts,
		.duration = number(event, record, source->duration),
		.task = tep_data_pid(event->tep, record),
		.pid = (int)number(event, record, source->pid),
		.svm = number(event, record, source->svm),
		.name = string(event, record, source->space),
		.dev = string(event, record, source->dev),
		.addr = number(event, record, source->addr ? source->addr : source->start),
		.bytes = number(event, record, source->end) -
			 number(event, record, source->start) +
			 number(event, record, source->pages) * bound->collect->page_size,
		.err = (int)number(event, record, source->err),
		.in = number(event, record, source->in),
	};

	(void)cpu;
	svm_model_event(bound->collect->model, &e);
	return 0;
}

/* Whoever was killed could not remove its instance */
static void remove_left_instances(void)
{
	struct tracefs_instance *instance;
	char **names = tracefs_instances("^" INSTANCE "[0-9][0-9]*$");
	pid_t pid;

	for (int i = 0; names && names[i]; i++) {
		pid = atoi(names[i] + strlen(INSTANCE));
		if (!kill(pid, 0) || errno != ESRCH)
			continue;
		instance = tracefs_instance_alloc(NULL, names[i]);
		if (instance) {
			tracefs_instance_destroy(instance);
			tracefs_instance_free(instance);
		}
	}
	tracefs_list_free(names);
}

static int bind_source(struct svm_collect *collect, unsigned int i)
{
	const struct source *source = &sources[i];
	struct bound_source *bound = &collect->bound[i];
	struct tep_event *event;

	event = tep_find_event_by_name(collect->tep, source->system, source->name);
	if (!event) {
		if (source->optional)
			return 0;
		fprintf(stderr,
			"svmtop: the kernel has no event %s:%s.\n"
			"Load a driver with GPU SVM first, such as 'modprobe vsvm'.\n",
			source->system, source->name);
		return -1;
	}
	if (source->pid && !tep_find_field(event, source->pid)) {
		fprintf(stderr,
			"svmtop: the event %s:%s of this kernel does not say which process it is about.\n"
			"Run a kernel whose GPU SVM does.\n",
			source->system, source->name);
		return -1;
	}

	*bound = (struct bound_source){ collect, source, event };
	if ((source->filter &&
	     tracefs_event_filter_apply(collect->instance, event, source->filter) < 0) ||
	    tracefs_follow_event(collect->tep, collect->instance, source->system,
				 source->name, on_record, bound) ||
	    tracefs_event_enable(collect->instance, source->system, source->name)) {
		fprintf(stderr, "svmtop: the event %s:%s can't be enabled: %s\n",
			source->system, source->name, strerror(errno));
		return -1;
	}
	return 0;
}

static int make_instance(struct svm_collect *collect, int buffer_kib)
{
	char name[32];

	snprintf(name, sizeof(name), INSTANCE "%d", getpid());
	collect->instance = tracefs_instance_create(name);
	if (!collect->instance) {
		fprintf(stderr,
			"svmtop: no tracefs instance can be made: %s\n"
			"The kernel needs CONFIG_TRACING, and tracefs has to be writable.\n",
			strerror(errno));
		return -1;
	}
	/* One clock for all CPUs: a task may change its CPU between two events */
	tracefs_instance_file_write(collect->instance, "trace_clock", "mono");
	tracefs_instance_set_buffer_size(collect->instance, buffer_kib, -1);
	return 0;
}

/*
 * The formats of no more than what is read. tracefs_local_events_system() would look up
 * all symbols of the kernel as well, which takes longer than all the rest.
 */
static int parse_formats(struct svm_collect *collect)
{
	int size, err;
	char *text;

	collect->tep = tep_alloc();
	if (!collect->tep)
		return -1;
	tep_set_file_bigendian(collect->tep, tep_is_bigendian());
	tep_set_local_bigendian(collect->tep, tep_is_bigendian());

	text = tracefs_instance_file_read(NULL, "events/header_page", &size);
	if (!text)
		return -1;
	err = tep_parse_header_page(collect->tep, text, size, sizeof(long));
	free(text);

	for (unsigned int i = 0; !err && i < ARRAY_SIZE(sources); i++) {
		text = tracefs_event_file_read(NULL, sources[i].system, sources[i].name,
					       "format", &size);
		if (!text)
			continue; /* which is told when it is missed */
		err = tep_parse_event(collect->tep, text, size, sources[i].system);
		free(text);
	}
	return err;
}

/*
 * Modules that have the core linked in bring its events each, by the same names, of
 * which tracefs opens one.
 */
static bool is_there_twice(const char *system, const char *name)
{
	char *path = tracefs_get_tracing_file("events");
	char folder[300];
	struct dirent *entry;
	int num = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/%s", path ? path : "", system);
	tracefs_put_tracing_file(path);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir)))
		num += !strcmp(entry->d_name, name);
	if (dir)
		closedir(dir);
	return num > 1;
}

static int bind_all(struct svm_collect *collect)
{
	if (parse_formats(collect)) {
		fprintf(stderr, "svmtop: the formats of the kernel's events can't be read.\n"
			"Check that /sys/kernel/tracing/events is readable.\n");
		return -1;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sources); i++)
		if (bind_source(collect, i))
			return -1;
	if (is_there_twice(sources[0].system, sources[0].name))
		collect->model->note =
			"! Two modules have these events, and only one of them is seen: unload one";
	return 0;
}

/**
 * svm_collect_open() - Begin to collect
 * @model: Where the events go
 * @buffer_kib: Size of the buffer of each CPU, in KiB
 *
 * Return: What collects, or NULL after a message that says what to do.
 */
struct svm_collect *svm_collect_open(struct svm_model *model, int buffer_kib)
{
	struct svm_collect *collect;

	if (geteuid()) {
		fprintf(stderr,
			"svmtop: only root can read tracepoints.\nRun 'sudo svmtop'.\n");
		return NULL;
	}
	if (!tracefs_tracing_dir()) {
		fprintf(stderr,
			"svmtop: there is no tracefs.\n"
			"Run 'mount -t tracefs nodev /sys/kernel/tracing'.\n");
		return NULL;
	}

	collect = calloc(1, sizeof(*collect));
	if (!collect)
		return NULL;
	collect->model = model;
	collect->page_size = sysconf(_SC_PAGESIZE);
	collect->num_cpus = sysconf(_SC_NPROCESSORS_CONF);
	remove_left_instances();
	if (make_instance(collect, buffer_kib) || bind_all(collect)) {
		svm_collect_close(collect);
		return NULL;
	}
	return collect;
}

static uint64_t count_lost(struct svm_collect *collect)
{
	struct tracefs_buffer_stat *stat;
	uint64_t lost = 0;

	for (int cpu = 0; cpu < collect->num_cpus; cpu++) {
		stat = tracefs_instance_get_stat(collect->instance, cpu);
		if (!stat)
			continue;
		lost += tracefs_buffer_stat_overrun(stat) +
			tracefs_buffer_stat_commit_overrun(stat) +
			tracefs_buffer_stat_dropped_events(stat);
		tracefs_instance_put_stat(stat);
	}
	return lost;
}

/**
 * svm_collect_read() - Give the model all events that there are
 * @collect: What collects
 */
void svm_collect_read(struct svm_collect *collect)
{
	uint64_t lost;

	tracefs_iterate_raw_events(collect->tep, collect->instance, NULL, 0, NULL, NULL);
	lost = count_lost(collect);
	if (lost > collect->lost)
		svm_model_lost(collect->model, lost - collect->lost);
	collect->lost = lost;
}

/**
 * svm_collect_close() - Remove all traces of the collection
 * @collect: What collects
 */
void svm_collect_close(struct svm_collect *collect)
{
	if (collect->tep)
		tep_free(collect->tep);
	if (collect->instance) {
		tracefs_event_disable(collect->instance, NULL, NULL);
		if (tracefs_instance_destroy(collect->instance))
			fprintf(stderr, "svmtop: its tracefs instance %s is still there\n",
				tracefs_instance_get_name(collect->instance));
		tracefs_instance_free(collect->instance);
	}
	free(collect);
}
