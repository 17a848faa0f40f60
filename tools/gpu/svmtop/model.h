/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_MODEL_H
#define SVMTOP_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define SVM_NAME_LEN	40
#define SVM_BUCKETS	192

/**
 * struct svm_counts - What is counted, for a process on a device and for a device
 * @faults: Faults that were answered
 * @failed: Those that were answered with an error
 * @latency_sum: Nanoseconds that the answers took
 * @latency_max: The longest
 * @latency: How many took how long; a power of two has four buckets
 * @in: Bytes that went to the device's memory
 * @out: Bytes that came back by faults of the CPU
 * @evicted: Bytes that the device made room with; only for devices
 * @invalidations: Invalidations that hit something
 */
struct svm_counts {
	uint64_t faults;
	uint64_t failed;
	uint64_t latency_sum;
	uint64_t latency_max;
	uint32_t latency[SVM_BUCKETS];
	uint64_t in;
	uint64_t out;
	uint64_t evicted;
	uint64_t invalidations;
};

/**
 * struct svm_device - A device
 * @name: The name that events have
 * @driver: The driver's name, or ""
 * @reports: Its driver says how long a fault took, from report to reply
 * @has_memory: @used and @size are known
 * @used: Bytes of its memory that are in use
 * @size: Bytes of its memory
 * @is_fresh: @own_faults was read since the last tick
 * @seen_faults: Faults that events told of
 * @own_faults: Faults since its driver was loaded, by the driver's count
 * @own_before: The same one tick before
 * @own_begin: The same when it was first seen
 * @now: Since the last tick
 * @shown: Between the last two ticks
 * @total: Up to the last tick
 */
struct svm_device {
	char name[SVM_NAME_LEN];
	char driver[16];
	bool reports;
	bool has_memory;
	uint64_t used;
	uint64_t size;
	bool is_fresh;
	uint64_t seen_faults;
	uint64_t own_faults;
	uint64_t own_before;
	uint64_t own_begin;
	struct svm_counts now;
	struct svm_counts shown;
	struct svm_counts total;
};

/**
 * struct svm_row - A process on a device
 * @pid: The process
 * @comm: Its name
 * @device: The device, an index
 * @gone: It has ended
 * @holds: Bytes of it in the device's memory, as far as events tell
 * @held: The same at the last tick
 * @guessed: It was more than the device says is used, and was cut
 * @mirrored: Bytes in ranges of it that are known, at the last tick
 * @idle: Ticks without an event
 * @now: Since the last tick
 * @shown: Between the last two ticks
 * @total: Up to the last tick
 */
struct svm_row {
	int pid;
	char comm[16];
	unsigned int device;
	bool gone;
	uint64_t holds;
	uint64_t held;
	bool guessed;
	uint64_t mirrored;
	unsigned int idle;
	struct svm_counts now;
	struct svm_counts shown;
	struct svm_counts total;
};

/**
 * struct svm_model_ops - What the model asks about the system; any may be NULL
 * @comm: Write the name of a process
 * @is_alive: Whether there is such a process
 * @is_thread: Whether a task is a thread of that process
 */
struct svm_model_ops {
	void (*comm)(int pid, char *buf, size_t len);
	bool (*is_alive)(int pid);
	bool (*is_thread)(int pid, int task);
};

struct svm_space;
struct svm_pending;

/**
 * struct svm_model - Who mirrors what
 * @ops: What it asks about the system
 * @note: What has to be known to read this, or NULL
 * @devices: The devices
 * @num_devices: How many
 * @rows: The processes on devices
 * @num_rows: How many
 * @spaces: Address spaces, by which events find processes and devices
 * @num_spaces: How many
 * @pending: Lookups of tasks that have not got their pages yet
 * @num_pending: How many
 * @seconds: Time between the last two ticks
 * @seconds_total: Time up to the last tick
 * @events: Events since the last tick
 * @lost: Events that the kernel has lost since the last tick
 * @strays: Events of no known process since the last tick
 * @shown: These three between the last two ticks
 * @total: The same up to the last tick
 */
struct svm_model {
	struct svm_model_ops ops;
	const char *note;
	struct svm_device *devices;
	unsigned int num_devices;
	struct svm_row *rows;
	unsigned int num_rows;
	struct svm_space *spaces;
	unsigned int num_spaces;
	struct svm_pending *pending;
	unsigned int num_pending;
	double seconds;
	double seconds_total;
	uint64_t events;
	uint64_t lost;
	uint64_t strays;
	struct {
		uint64_t events;
		uint64_t lost;
		uint64_t strays;
	} shown, total;
};

void svm_model_init(struct svm_model *model, const struct svm_model_ops *ops);
void svm_model_fini(struct svm_model *model);
struct svm_device *svm_model_device(struct svm_model *model, const char *name);
void svm_device_count(struct svm_device *device, uint64_t faults, bool begin);
void svm_model_event(struct svm_model *model, const struct svm_event *event);
void svm_model_lost(struct svm_model *model, uint64_t count);
void svm_model_tick(struct svm_model *model, double seconds);

uint64_t svm_counts_average(const struct svm_counts *counts);
uint64_t svm_counts_percentile(const struct svm_counts *counts, unsigned int percent);

#endif
