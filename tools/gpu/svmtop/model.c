// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * From events to who mirrors what.
 *
 * An event names an address space, the process that it mirrors, and a device, but not
 * each event names all of them. An address space is where they meet: it learns its
 * process and its devices from the events that name them, and the events that don't
 * count for what it has learnt.
 *
 * A driver that reports how long a fault took is believed. For others, a fault is from
 * when a worker asked for the range to when it has got the pages, which leaves out what
 * the device has to be told then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define MAX_SPACE_DEVICES	8
#define FORGET_TICKS		5

/* A range that is mirrored; those of an address space don't overlap */
struct svm_range {
	uint64_t start;
	uint64_t bytes;
};

/* An address space: what its events have told so far. Its ranges are sorted. */
struct svm_space {
	uint64_t svm;
	char name[SVM_NAME_LEN];
	int pid;
	uint64_t mirrored;
	struct svm_range *ranges;
	unsigned int num_ranges;
	unsigned int num_devices;
	unsigned int devices[MAX_SPACE_DEVICES];
};

/* The last lookup of a task */
struct svm_pending {
	int task;
	int pid;
	bool is_thread;
	uint64_t svm;
	uint64_t addr;
	uint64_t begin;
};

static void *grow(void *array, unsigned int *num, size_t size)
{
	char *bigger = realloc(array, (*num + 1) * size);

	if (!bigger) {
		fprintf(stderr, "svmtop: out of memory\n");
		exit(1);
	}
	memset(bigger + *num * size, 0, size);
	(*num)++;
	return bigger;
}

/* Longer names are cut */
static void copy_name(char *to, size_t len, const char *from)
{
	snprintf(to, len, "%s", from);
}

/**
 * svm_model_init() - Begin with nothing
 * @model: The model
 * @ops: What it asks about the system, or NULL
 */
void svm_model_init(struct svm_model *model, const struct svm_model_ops *ops)
{
	memset(model, 0, sizeof(*model));
	if (ops)
		model->ops = *ops;
}

/**
 * svm_model_fini() - Free all of it
 * @model: The model
 */
void svm_model_fini(struct svm_model *model)
{
	for (unsigned int i = 0; i < model->num_spaces; i++)
		free(model->spaces[i].ranges);
	free(model->devices);
	free(model->rows);
	free(model->spaces);
	free(model->pending);
	svm_model_init(model, NULL);
}

static unsigned int device_index(struct svm_model *model, const char *name)
{
	unsigned int i;

	for (i = 0; i < model->num_devices; i++)
		if (!strncmp(model->devices[i].name, name, SVM_NAME_LEN - 1))
			return i;

	model->devices = grow(model->devices, &model->num_devices,
			      sizeof(*model->devices));
	copy_name(model->devices[i].name, SVM_NAME_LEN, name);
	return i;
}

/**
 * svm_device_count() - Tell how many faults a driver has counted itself
 * @device: The device
 * @faults: Since the driver was loaded
 * @begin: These were before svmtop came
 */
void svm_device_count(struct svm_device *device, uint64_t faults, bool begin)
{
	device->is_fresh = true;
	device->own_faults = faults;
	if (begin) {
		device->own_begin = faults;
		device->own_before = faults;
	}
}

/**
 * svm_model_device() - Find a device or make one
 * @model: The model
 * @name: The name that events have
 *
 * Return: The device, until the next one is made.
 */
struct svm_device *svm_model_device(struct svm_model *model, const char *name)
{
	unsigned int index = device_index(model, name);

	return &model->devices[index];
}

static struct svm_row *row_of(struct svm_model *model, int pid, unsigned int device)
{
	struct svm_row *row;
	unsigned int i;

	for (i = 0; i < model->num_rows; i++) {
		row = &model->rows[i];
		if (row->pid == pid && row->device == device && !row->gone)
			return row;
	}

	model->rows = grow(model->rows, &model->num_rows, sizeof(*model->rows));
	row = &model->rows[i];
	row->pid = pid;
	row->device = device;
	copy_name(row->comm, sizeof(row->comm), "?");
	if (model->ops.comm)
		model->ops.comm(pid, row->comm, sizeof(row->comm));
	return row;
}

static bool is_same_space(const struct svm_space *space, const struct svm_event *event)
{
	return (!event->pid || event->pid == space->pid) &&
	       (!event->name || !strncmp(event->name, space->name, SVM_NAME_LEN - 1));
}

static void space_begin(struct svm_space *space, const struct svm_event *event)
{
	free(space->ranges);
	*space = (struct svm_space){ .svm = event->svm, .pid = event->pid };
	if (event->name)
		copy_name(space->name, sizeof(space->name), event->name);
}

/*
 * The address space of an event. Nothing tells when one ends, and then another one may
 * get its number.
 */
static struct svm_space *space_of(struct svm_model *model, const struct svm_event *event)
{
	struct svm_space *space;

	for (unsigned int i = 0; i < model->num_spaces; i++) {
		space = &model->spaces[i];
		if (space->svm != event->svm)
			continue;
		if (is_same_space(space, event))
			return space;
		if (!event->pid)
			return NULL;
		space_begin(space, event);
		return space;
	}

	if (!event->pid)
		return NULL;
	model->spaces = grow(model->spaces, &model->num_spaces, sizeof(*model->spaces));
	space = &model->spaces[model->num_spaces - 1];
	space_begin(space, event);
	return space;
}

/* Where a range is, or would be */
static unsigned int range_index(const struct svm_space *space, uint64_t start)
{
	unsigned int low = 0, high = space->num_ranges, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (space->ranges[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_range(const struct svm_space *space, unsigned int i, uint64_t start)
{
	return i < space->num_ranges && space->ranges[i].start == start;
}

static void remove_range(struct svm_space *space, uint64_t start)
{
	unsigned int i = range_index(space, start);

	if (!has_range(space, i, start))
		return;
	space->mirrored -= space->ranges[i].bytes;
	space->num_ranges--;
	memmove(&space->ranges[i], &space->ranges[i + 1],
		(space->num_ranges - i) * sizeof(*space->ranges));
}

/* Ranges that were there before svmtop came are known once they get pages */
static void add_range(struct svm_space *space, uint64_t start, uint64_t bytes)
{
	unsigned int i = range_index(space, start);

	if (has_range(space, i, start)) {
		space->mirrored -= space->ranges[i].bytes;
	} else {
		space->ranges = grow(space->ranges, &space->num_ranges,
				     sizeof(*space->ranges));
		memmove(&space->ranges[i + 1], &space->ranges[i],
			(space->num_ranges - 1 - i) * sizeof(*space->ranges));
	}
	space->ranges[i] = (struct svm_range){ start, bytes };
	space->mirrored += bytes;
}

static void space_add_device(struct svm_space *space, unsigned int device)
{
	for (unsigned int i = 0; i < space->num_devices; i++)
		if (space->devices[i] == device)
			return;
	if (space->num_devices < MAX_SPACE_DEVICES)
		space->devices[space->num_devices++] = device;
}

/* Four buckets a power of two: a bucket's bounds are at most 25% apart */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int log, bucket;

	if (ns < 4)
		return ns;
	log = 63 - __builtin_clzll(ns);
	bucket = 4 * (log - 1) + ((ns >> (log - 2)) & 3);
	return bucket < SVM_BUCKETS ? bucket : SVM_BUCKETS - 1;
}

static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int log = bucket / 4 + 1;

	if (bucket < 4)
		return bucket;
	return ((5ULL + bucket % 4) << (log - 2)) - 1;
}

static void count_fault(struct svm_counts *counts, uint64_t ns, int err)
{
	counts->faults++;
	counts->failed += !!err;
	counts->latency_sum += ns;
	if (ns > counts->latency_max)
		counts->latency_max = ns;
	counts->latency[bucket_of(ns)]++;
}

static void fault(struct svm_model *model, int pid, unsigned int device, uint64_t ns,
		  int err)
{
	count_fault(&row_of(model, pid, device)->now, ns, err);
	count_fault(&model->devices[device].now, ns, err);
}

static struct svm_pending *pending_of(struct svm_model *model, int task)
{
	unsigned int i;

	for (i = 0; i < model->num_pending; i++)
		if (model->pending[i].task == task)
			return &model->pending[i];

	model->pending = grow(model->pending, &model->num_pending,
			      sizeof(*model->pending));
	model->pending[i].task = task;
	return &model->pending[i];
}

/* A fault that is tried again has begun with the first lookup */
static void on_lookup(struct svm_model *model, struct svm_space *space,
		      const struct svm_event *event)
{
	struct svm_pending *pending = pending_of(model, event->task);

	if (pending->pid != space->pid) {
		pending->pid = space->pid;
		pending->is_thread = model->ops.is_thread &&
				     model->ops.is_thread(space->pid, event->task);
	}
	if (pending->begin && pending->svm == event->svm && pending->addr == event->addr)
		return;
	pending->svm = event->svm;
	pending->addr = event->addr;
	pending->begin = event->time - event->duration;
}

/* A thread of the process itself prefetches, which is no fault */
static void on_get(struct svm_model *model, struct svm_space *space,
		   const struct svm_event *event)
{
	struct svm_pending *pending = pending_of(model, event->task);
	unsigned int device;

	if (!event->dev)
		return;
	device = device_index(model, event->dev);
	space_add_device(space, device);
	row_of(model, space->pid, device);
	add_range(space, event->addr, event->bytes);

	if (!model->devices[device].reports && pending->begin &&
	    pending->svm == event->svm && !pending->is_thread)
		fault(model, space->pid, device, event->time - pending->begin,
		      event->err);
	if (pending->svm == event->svm)
		pending->begin = 0;
}

static void on_fault(struct svm_model *model, struct svm_space *space,
		     const struct svm_event *event)
{
	unsigned int device;

	if (!event->dev)
		return;
	device = device_index(model, event->dev);
	model->devices[device].reports = true;
	space_add_device(space, device);
	fault(model, space->pid, device, event->duration, event->err);
}

static void on_invalidate(struct svm_model *model, struct svm_space *space)
{
	for (unsigned int i = 0; i < space->num_devices; i++) {
		row_of(model, space->pid, space->devices[i])->now.invalidations++;
		model->devices[space->devices[i]].now.invalidations++;
	}
}

/* Without a process, it is the device that makes room */
static void on_move(struct svm_model *model, const struct svm_event *event)
{
	struct svm_counts *device;
	struct svm_row *row = NULL;
	unsigned int index;

	if (!event->dev || !event->bytes)
		return;
	index = device_index(model, event->dev);
	device = &model->devices[index].now;
	if (event->pid)
		row = row_of(model, event->pid, index);

	if (event->in) {
		device->in += event->bytes;
		if (row) {
			row->now.in += event->bytes;
			row->holds += event->bytes;
		}
	} else if (row) {
		device->out += event->bytes;
		row->now.out += event->bytes;
		row->holds -= event->bytes < row->holds ? event->bytes : row->holds;
	} else {
		device->evicted += event->bytes;
	}
}

/**
 * svm_model_event() - Count an event
 * @model: The model
 * @event: The event
 */
void svm_model_event(struct svm_model *model, const struct svm_event *event)
{
	struct svm_space *space;

	model->events++;
	if (event->type == SVM_MOVE) {
		on_move(model, event);
		return;
	}

	space = space_of(model, event);
	if (!space) {
		model->strays++;
		return;
	}
	switch (event->type) {
	case SVM_LOOKUP:
		on_lookup(model, space, event);
		break;
	case SVM_GET:
		on_get(model, space, event);
		break;
	case SVM_FAULT:
		on_fault(model, space, event);
		break;
	case SVM_INVALIDATE:
		on_invalidate(model, space);
		break;
	case SVM_INSERT:
		add_range(space, event->addr, event->bytes);
		break;
	case SVM_REMOVE:
		remove_range(space, event->addr);
		break;
	default:
		break;
	}
}

/**
 * svm_model_lost() - Count events that nobody will see
 * @model: The model
 * @count: How many
 */
void svm_model_lost(struct svm_model *model, uint64_t count)
{
	model->lost += count;
}

static void add_counts(struct svm_counts *to, const struct svm_counts *counts)
{
	to->faults += counts->faults;
	to->failed += counts->failed;
	to->latency_sum += counts->latency_sum;
	if (counts->latency_max > to->latency_max)
		to->latency_max = counts->latency_max;
	for (int i = 0; i < SVM_BUCKETS; i++)
		to->latency[i] += counts->latency[i];
	to->in += counts->in;
	to->out += counts->out;
	to->evicted += counts->evicted;
	to->invalidations += counts->invalidations;
}

static bool is_idle(const struct svm_counts *counts)
{
	return !counts->faults && !counts->in && !counts->out && !counts->invalidations;
}

static void forget_spaces(struct svm_model *model, int pid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < model->num_spaces; i++)
		if (model->spaces[i].pid != pid)
			model->spaces[n++] = model->spaces[i];
		else
			free(model->spaces[i].ranges);
	model->num_spaces = n;
}

static uint64_t mirrored_by(const struct svm_model *model, const struct svm_row *row)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < model->num_spaces; i++) {
		const struct svm_space *space = &model->spaces[i];

		for (unsigned int d = 0; d < space->num_devices; d++)
			if (space->pid == row->pid && space->devices[d] == row->device)
				sum += space->mirrored;
	}
	return sum;
}

static void tick_row(struct svm_model *model, struct svm_row *row)
{
	row->idle = is_idle(&row->now) ? row->idle + 1 : 0;
	add_counts(&row->total, &row->now);
	row->shown = row->now;
	memset(&row->now, 0, sizeof(row->now));

	if (!row->gone && model->ops.is_alive && !model->ops.is_alive(row->pid)) {
		row->gone = true;
		row->holds = 0;
		forget_spaces(model, row->pid);
	}
	row->mirrored = row->gone ? 0 : mirrored_by(model, row);
}

/* The driver's own count is right where events were lost, but ends with the device */
static void tick_device(struct svm_device *device)
{
	uint64_t own = device->own_faults - device->own_begin;

	add_counts(&device->total, &device->now);
	device->shown = device->now;
	memset(&device->now, 0, sizeof(device->now));

	device->seen_faults += device->shown.faults;
	device->total.faults = device->seen_faults > own ? device->seen_faults : own;
	if (device->is_fresh)
		device->shown.faults = device->own_faults - device->own_before;
	device->own_before = device->own_faults;
	device->is_fresh = false;
}

/*
 * Memory that was evicted, or went to another device, is not taken from anybody's
 * account. What is more than the device has is taken from all in proportion.
 */
static void cut_held(struct svm_model *model, unsigned int index)
{
	struct svm_device *device = &model->devices[index];
	uint64_t sum = 0;

	for (unsigned int i = 0; i < model->num_rows; i++)
		if (model->rows[i].device == index)
			sum += model->rows[i].holds;
	for (unsigned int i = 0; i < model->num_rows; i++) {
		struct svm_row *row = &model->rows[i];

		if (row->device != index)
			continue;
		if (device->has_memory && sum > device->used && row->holds) {
			row->holds = (double)row->holds * device->used / sum;
			row->guessed = true;
		}
		row->held = row->holds;
	}
}

/* Processes that have ended are shown for some ticks */
static void forget_rows(struct svm_model *model)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < model->num_rows; i++) {
		if (model->rows[i].gone && model->rows[i].idle >= FORGET_TICKS)
			continue;
		model->rows[n++] = model->rows[i];
	}
	model->num_rows = n;
}

/**
 * svm_model_tick() - End an interval
 * @model: The model
 * @seconds: How long it was
 *
 * What was counted is what is shown now, and counting begins anew.
 */
void svm_model_tick(struct svm_model *model, double seconds)
{
	model->seconds = seconds;
	model->seconds_total += seconds;
	for (unsigned int i = 0; i < model->num_rows; i++)
		tick_row(model, &model->rows[i]);
	for (unsigned int i = 0; i < model->num_devices; i++) {
		tick_device(&model->devices[i]);
		cut_held(model, i);
	}
	forget_rows(model);

	model->shown.events = model->events;
	model->shown.lost = model->lost;
	model->shown.strays = model->strays;
	model->total.events += model->events;
	model->total.lost += model->lost;
	model->total.strays += model->strays;
	model->events = 0;
	model->lost = 0;
	model->strays = 0;
}

/**
 * svm_counts_average() - How long a fault took on average
 * @counts: The counts
 *
 * Return: Nanoseconds, 0 if there was none.
 */
uint64_t svm_counts_average(const struct svm_counts *counts)
{
	uint64_t num = 0;

	for (int i = 0; i < SVM_BUCKETS; i++)
		num += counts->latency[i];
	return num ? counts->latency_sum / num : 0;
}

/**
 * svm_counts_percentile() - How long all but the slowest faults took
 * @counts: The counts
 * @percent: 99, for instance
 *
 * Return: Nanoseconds, at most a quarter too many; 0 if there was no fault.
 */
uint64_t svm_counts_percentile(const struct svm_counts *counts, unsigned int percent)
{
	uint64_t num = 0, seen = 0, want;
	uint64_t end;

	for (int i = 0; i < SVM_BUCKETS; i++)
		num += counts->latency[i];
	if (!num)
		return 0;
	want = (num * percent + 99) / 100;
	for (int i = 0; i < SVM_BUCKETS; i++) {
		seen += counts->latency[i];
		if (seen >= want) {
			end = bucket_end(i);
			return end < counts->latency_max ? end : counts->latency_max;
		}
	}
	return counts->latency_max;
}
