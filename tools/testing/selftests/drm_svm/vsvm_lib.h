/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The virtual SVM device as tests use it: open devices into one address space,
 * run operations, read counters. Plain ioctls, no libdrm.
 *
 *	struct svm svm;
 *	struct svm_outcome out;
 *
 *	if (svm_open(&svm, 1))
 *		die(svm_why());
 *	svm_run(&svm.queue[0], svm_fill(mem, len, 1), &out);
 *	svm_close(&svm);
 *
 * Functions that return int return 0 or a negative error number.
 */
#ifndef VSVM_LIB_H
#define VSVM_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drm/vsvm_drm.h>

#include "svm_drm.h"

struct svm_queue {
	int fd;
	uint32_t id;
};

/* An address space on the first num_devices devices, and a queue on each */
struct svm {
	int fd;
	uint32_t vm;
	unsigned int num_devices;
	struct svm_queue queue[DRM_VSVM_MAX_DEVICES];
};

/* How a job ended */
struct svm_outcome {
	int status;
	uint64_t fault_addr;
	uint64_t result;
	uint64_t faults;
};

/* Devices of this machine; open number @index of them */
unsigned int svm_count_devices(void);
int svm_open_device(unsigned int index);
int svm_query(int fd, struct drm_vsvm_query *query);

/*
 * Have @num devices, if need be by making some. Those end with the process that
 * asked. Returns how many there are: without root it may be fewer.
 */
unsigned int svm_want_devices(unsigned int num);

/*
 * A set of devices of one's own, by configfs (root only). @settings is a list of
 * "attribute=value", NULL at its end; see the driver for their names.
 */
int svm_set_make(const char *name, const char *const *settings);
int svm_set_open(const char *name, unsigned int index);
void svm_set_remove(const char *name);

int svm_open(struct svm *svm, unsigned int num_devices);
int svm_open_window(struct svm *svm, unsigned int num_devices, void *start,
		    size_t size);

/* The same on an open file, one device; svm_close() closes it */
int svm_open_on(struct svm *svm, int fd);

/* The same on several open files, which it takes over; or on devices of a set */
int svm_open_fds(struct svm *svm, const int *fds, unsigned int num_devices);
int svm_open_set(struct svm *svm, const char *name, unsigned int num_devices);
void svm_close(struct svm *svm);

int svm_queue_create(struct svm *svm, unsigned int device,
		     struct svm_queue *queue);
int svm_queue_destroy(struct svm_queue *queue);
int svm_vm_destroy(struct svm *svm);

int svm_submit(const struct svm_queue *queue, const struct drm_vsvm_op *ops,
	       unsigned int num_ops, uint64_t *seqno);

/* The device makes @fence @value when the job has ended, in whichever way */
int svm_submit_fence(const struct svm_queue *queue,
		     const struct drm_vsvm_op *ops, unsigned int num_ops,
		     volatile uint64_t *fence, uint64_t value, uint64_t *seqno);

/*
 * Wait for a job, at most SVM_WAIT_MS: a job that takes longer hangs, and that
 * is an error (-ETIME). Returns how the job ended, which @out tells in full.
 */
int svm_wait(const struct svm_queue *queue, uint64_t seqno,
	     struct svm_outcome *out);

/* -ETIME if the job still runs */
int svm_poll(const struct svm_queue *queue, uint64_t seqno,
	     struct svm_outcome *out);

/* Submit and wait; @out may be NULL */
int svm_run_ops(const struct svm_queue *queue, const struct drm_vsvm_op *ops,
		unsigned int num_ops, struct svm_outcome *out);
int svm_run(const struct svm_queue *queue, struct drm_vsvm_op op,
	    struct svm_outcome *out);

/* Counters of all devices, or of one */
int svm_stats(const struct svm *svm, struct drm_vsvm_device_stats *stats);
int svm_stats_of(const struct svm *svm, unsigned int device,
		 struct drm_vsvm_device_stats *stats);
void svm_stats_sub(struct drm_vsvm_device_stats *to,
		   const struct drm_vsvm_device_stats *from);

/*
 * Device memory. Locations are DRM_VSVM_LOCATION_*. svm_prefetch() moves, and
 * tells in @out, which may be NULL, how many pages were moved, were there
 * already, and stayed elsewhere.
 */
struct svm_moved {
	uint64_t moved;
	uint64_t resident;
	uint64_t left;
};

int svm_prefetch(const struct svm *svm, const volatile void *start, size_t size,
		 uint32_t location, struct svm_moved *out);
int svm_prefetch_for(const struct svm *svm, const volatile void *start,
		     size_t size, uint32_t location, uint32_t timeslice_ms,
		     struct svm_moved *out);
int svm_advise(const struct svm *svm, const volatile void *start, size_t size,
	       uint32_t location, uint32_t flags, uint32_t timeslice_ms);

/* A byte for each page: DRM_VSVM_LOCATION_*, maybe DRM_VSVM_PLACEMENT_HUGE */
int svm_placement(const struct svm *svm, const volatile void *start, size_t size,
		  uint8_t *pages);

/* How many pages are at @location, or a negative error number */
long svm_count_at(const struct svm *svm, const volatile void *start, size_t size,
		  uint32_t location);

static inline struct drm_vsvm_op svm_fill(void *dst, size_t length,
					  uint64_t value)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_FILL,
		.dst = svm_addr(dst),
		.length = length,
		.value = value,
	};
}

static inline struct drm_vsvm_op svm_copy(void *dst, const void *src,
					  size_t length)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_COPY,
		.dst = svm_addr(dst),
		.src = svm_addr(src),
		.length = length,
	};
}

static inline struct drm_vsvm_op svm_add(void *dst, size_t length,
					 uint64_t value)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_ADD,
		.dst = svm_addr(dst),
		.length = length,
		.value = value,
	};
}

static inline struct drm_vsvm_op svm_atomic_add(volatile void *dst,
						uint64_t count, uint64_t stride,
						uint64_t value)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_ATOMIC_ADD,
		.dst = svm_addr(dst),
		.count = count,
		.stride = stride,
		.value = value,
	};
}

static inline struct drm_vsvm_op svm_cas(void *dst, uint64_t compare,
					 uint64_t value)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_CAS,
		.dst = svm_addr(dst),
		.compare = compare,
		.value = value,
	};
}

static inline struct drm_vsvm_op svm_chase(const void *src, uint64_t count)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_CHASE,
		.src = svm_addr(src),
		.count = count,
	};
}

static inline struct drm_vsvm_op svm_sum(const void *src, size_t length)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_SUM,
		.src = svm_addr(src),
		.length = length,
	};
}

/* Wait until a word is at least @value, as a fence is */
static inline struct drm_vsvm_op svm_await(const volatile void *src,
					   uint64_t value)
{
	return (struct drm_vsvm_op){
		.opcode = DRM_VSVM_OP_AWAIT,
		.src = svm_addr(src),
		.value = value,
	};
}

static inline struct drm_vsvm_op svm_u32(struct drm_vsvm_op op)
{
	op.flags |= DRM_VSVM_OP_FLAG_U32;
	return op;
}

#endif
