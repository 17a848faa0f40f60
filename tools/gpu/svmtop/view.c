// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A model as text: what the batch mode prints, and what the screen shows.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "view.h"

#define MIB	(1024.0 * 1024.0)

const char * const svm_sort_names[SVM_NUM_SORTS] = {
	[SVM_SORT_FAULTS] = "faults",
	[SVM_SORT_LATENCY] = "latency",
	[SVM_SORT_IN] = "in",
	[SVM_SORT_OUT] = "out",
	[SVM_SORT_HELD] = "held",
	[SVM_SORT_INVALIDATIONS] = "invalidations",
	[SVM_SORT_PID] = "pid",
};

/**
 * svm_view_parse_sort() - Find an order by its name
 * @name: The name
 * @sort: The order
 *
 * Return: 0, or -1 if there is no such order.
 */
int svm_view_parse_sort(const char *name, enum svm_sort *sort)
{
	for (unsigned int i = 0; i < SVM_NUM_SORTS; i++) {
		if (!strcmp(name, svm_sort_names[i])) {
			*sort = i;
			return 0;
		}
	}
	return -1;
}

static uint64_t sort_key(const struct svm_view *view, const struct svm_row *row)
{
	const struct svm_counts *counts = view->totals ? &row->total : &row->shown;

	switch (view->sort) {
	case SVM_SORT_LATENCY:
		return svm_counts_percentile(counts, 99);
	case SVM_SORT_IN:
		return counts->in;
	case SVM_SORT_OUT:
		return counts->out;
	case SVM_SORT_HELD:
		return row->held;
	case SVM_SORT_INVALIDATIONS:
		return counts->invalidations;
	case SVM_SORT_PID:
		return 0;
	default:
		return counts->faults;
	}
}

static int compare_rows(const void *a, const void *b, void *data)
{
	const struct svm_row *one = *(const struct svm_row * const *)a;
	const struct svm_row *other = *(const struct svm_row * const *)b;
	uint64_t first = sort_key(data, one), second = sort_key(data, other);

	if (first != second)
		return first < second ? 1 : -1;
	if (one->pid != other->pid)
		return one->pid < other->pid ? -1 : 1;
	return (one->device > other->device) - (one->device < other->device);
}

static double per_second(const struct svm_view *view, const struct svm_model *model,
			 uint64_t count)
{
	if (view->totals)
		return count;
	return model->seconds > 0 ? count / model->seconds : 0;
}

static double micros(uint64_t ns)
{
	return ns / 1000.0;
}

static unsigned int count_processes(const struct svm_model *model)
{
	unsigned int n = 0, j;

	for (unsigned int i = 0; i < model->num_rows; i++) {
		for (j = 0; j < i && model->rows[j].pid != model->rows[i].pid; j++)
			;
		n += j == i;
	}
	return n;
}

static void print_head(const struct svm_view *view, const struct svm_model *model, FILE *out)
{
	unsigned long long events = view->totals ? model->total.events : model->shown.events;
	unsigned long long lost = view->totals ? model->total.lost : model->shown.lost;
	unsigned int processes = count_processes(model);

	fprintf(out, "svmtop: %s%.1f s, %u process%s, %u device%s, %llu events, ",
		view->totals ? "all of " : "",
		view->totals ? model->seconds_total : model->seconds, processes,
		processes == 1 ? "" : "es", model->num_devices,
		model->num_devices == 1 ? "" : "s", events);
	if (lost)
		fprintf(out, "%llu LOST, so there was more than this\n", lost);
	else
		fprintf(out, "none lost\n");
}

/* Room for the names of devices; longer ones are cut */
static int name_width(const struct svm_model *model)
{
	size_t width = 12;

	for (unsigned int i = 0; i < model->num_devices; i++)
		if (strlen(model->devices[i].name) > width)
			width = strlen(model->devices[i].name);
	return width < 24 ? width : 24;
}

/* A head, of a rate if it is one */
static void head(FILE *out, int width, const char *name, const char *each)
{
	fprintf(out, "%*s%s", width - (int)strlen(each), name, each);
}

static void number(FILE *out, int width, int digits, double value)
{
	fprintf(out, "%*.*f", width, digits, value);
}

static void print_memory(const struct svm_device *device, FILE *out)
{
	if (device->has_memory && device->size)
		fprintf(out, "%10.2f%10.2f\n", device->used / MIB, device->size / MIB);
	else
		fprintf(out, "%10s%10s\n", "-", "-");
}

static void print_device(const struct svm_view *view, const struct svm_model *model,
			 const struct svm_device *device, int width, FILE *out)
{
	const struct svm_counts *counts = view->totals ? &device->total : &device->shown;

	fprintf(out, "%-*.*s %-6.6s", width, width, device->name,
		device->driver[0] ? device->driver : "?");
	number(out, 10, 0, per_second(view, model, counts->faults));
	number(out, 10, 1, micros(svm_counts_average(counts)));
	number(out, 10, 1, micros(svm_counts_percentile(counts, 99)));
	fputc(device->reports ? ' ' : '*', out);
	number(out, 10, 2, per_second(view, model, counts->in) / MIB);
	number(out, 11, 2, per_second(view, model, counts->out) / MIB);
	number(out, 11, 2, per_second(view, model, counts->evicted) / MIB);
	print_memory(device, out);
}

static void print_devices(const struct svm_view *view, const struct svm_model *model,
			  int width, FILE *out)
{
	const char *each = view->totals ? "" : "/s";

	fprintf(out, "%-*s %-6s", width, "DEVICE", "DRIVER");
	head(out, 10, "FAULTS", each);
	head(out, 10, "AVG us", "");
	head(out, 10, "P99 us", "");
	head(out, 11, "IN MiB", each);
	head(out, 11, "OUT MiB", each);
	head(out, 11, "EVICTED", each);
	head(out, 10, "USED MiB", "");
	head(out, 10, "OF MiB", "");
	fputc('\n', out);
	for (unsigned int i = 0; i < model->num_devices; i++)
		print_device(view, model, &model->devices[i], width, out);
}

static void print_row(const struct svm_view *view, const struct svm_model *model,
		      const struct svm_row *row, int width, FILE *out)
{
	const struct svm_counts *counts = view->totals ? &row->total : &row->shown;
	const struct svm_device *device = &model->devices[row->device];

	fprintf(out, "%7d %c%-15.15s %-*.*s", row->pid, row->gone ? '-' : ' ', row->comm,
		width, width, device->name);
	number(out, 10, 0, per_second(view, model, counts->faults));
	number(out, 10, 0, per_second(view, model, counts->failed));
	number(out, 10, 1, micros(svm_counts_average(counts)));
	number(out, 10, 1, micros(svm_counts_percentile(counts, 99)));
	number(out, 10, 1, micros(counts->latency_max));
	fputc(device->reports ? ' ' : '*', out);
	number(out, 10, 2, per_second(view, model, counts->in) / MIB);
	number(out, 11, 2, per_second(view, model, counts->out) / MIB);
	number(out, 9, 2, row->held / MIB);
	fputc(row->guessed ? '~' : ' ', out);
	number(out, 8, 0, per_second(view, model, counts->invalidations));
	number(out, 11, 2, row->mirrored / MIB);
	fputc('\n', out);
}

static void print_row_head(const struct svm_view *view, int width, FILE *out)
{
	const char *each = view->totals ? "" : "/s";

	fprintf(out, "%7s  %-15s %-*s", "PID", "COMMAND", width, "DEVICE");
	head(out, 10, "FAULTS", each);
	head(out, 10, "FAILED", each);
	head(out, 10, "AVG us", "");
	head(out, 10, "P99 us", "");
	head(out, 10, "MAX us", "");
	head(out, 11, "IN MiB", each);
	head(out, 11, "OUT MiB", each);
	head(out, 9, "HELD MiB", "");
	head(out, 9, "INVAL", each);
	head(out, 11, "MIRROR MiB", "");
	fputc('\n', out);
}

/* What the marks mean, where there are any */
static void print_notes(const struct svm_model *model, FILE *out)
{
	bool derived = false, guessed = false, gone = false;

	for (unsigned int i = 0; i < model->num_rows; i++) {
		derived |= !model->devices[model->rows[i].device].reports;
		guessed |= model->rows[i].guessed;
		gone |= model->rows[i].gone;
	}
	if (model->note)
		fprintf(out, "%s\n", model->note);
	if (derived)
		fprintf(out, "* until pages are mapped: the driver reports no more\n");
	if (guessed)
		fprintf(out, "~ no more than the device says: who frees it is not told\n");
	if (gone)
		fprintf(out, "- the process has ended\n");
}

/**
 * svm_view_print() - Print what there is to see
 * @view: How to look at it
 * @model: The model, after a tick
 * @out: Where to
 */
void svm_view_print(const struct svm_view *view, const struct svm_model *model, FILE *out)
{
	int width = name_width(model);
	const struct svm_row **rows;

	print_head(view, model, out);
	fputc('\n', out);
	print_devices(view, model, width, out);
	fputc('\n', out);

	rows = calloc(model->num_rows + 1, sizeof(*rows));
	if (!rows)
		return;
	for (unsigned int i = 0; i < model->num_rows; i++)
		rows[i] = &model->rows[i];
	qsort_r(rows, model->num_rows, sizeof(*rows), compare_rows, (void *)view);

	print_row_head(view, width, out);
	for (unsigned int i = 0; i < model->num_rows; i++)
		print_row(view, model, rows[i], width, out);
	free(rows);
	print_notes(model, out);
}
