/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SVM of Intel's xe driver as tests use it: a VM that mirrors the address space
 * of the process, and queues on the engines of one GPU. Plain ioctls, no libdrm;
 * batches and fences are memory of the process like all else.
 *
 *	struct xe_gpu gpu;
 *	struct xe_queue *copy = &gpu.queue[XE_COPY];
 *
 *	if (xe_open(&gpu))
 *		die(svm_why());
 *	xe_emit_copy(copy, dst, src, len);
 *	if (xe_run(copy))
 *		die(svm_why());
 *	xe_close(&gpu);
 *
 * Functions that return int return 0 or a negative error number.
 */
#ifndef XE_LIB_H
#define XE_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "svm_drm.h"

enum xe_engine { XE_COPY, XE_COMPUTE, XE_RENDER, XE_ENGINES };

/* What a queue and the process share */
struct xe_job;

struct xe_queue {
	int fd;
	uint32_t id;
	struct xe_job *job;
	uint64_t seqno;		/* what the fence says after the last batch */
	size_t length;		/* of the next batch so far, in dwords */
};

struct xe_gpu {
	int fd;
	uint32_t vm;
	uint16_t device_id;
	uint16_t gt;
	uint16_t system, vram;	/* regions, as xe_prefetch() takes them */
	uint64_t vram_size;
	struct xe_queue queue[XE_ENGINES];
};

/* -ENODEV: there is no GPU here that can do this */
int xe_open(struct xe_gpu *gpu);
void xe_close(struct xe_gpu *gpu);

/*
 * Commands are gathered in the queue's batch, which the process may touch again
 * once the last one is done. xe_wait() waits at most SVM_WAIT_MS.
 */
int xe_submit(struct xe_queue *queue);
int xe_wait(const struct xe_queue *queue);
int xe_run(struct xe_queue *queue);

/* Every engine: add to a word with the engine's ALU, or in one atomic step */
void xe_emit_add(struct xe_queue *queue, const uint64_t *word, uint64_t value);
void xe_emit_atomic_add(struct xe_queue *queue, const uint64_t *word,
			uint64_t value);

/* The lower half of the engine's clock, which runs at xe_clock_hz(), 0: not told */
void xe_emit_timestamp(struct xe_queue *queue, uint32_t *to);
uint32_t xe_clock_hz(const struct xe_gpu *gpu);

/* The copy engine; copies are in units of XE_COPY_UNIT bytes */
#define XE_COPY_UNIT	256
void xe_emit_copy(struct xe_queue *queue, void *dst, const void *src, size_t len);
void xe_emit_fill(struct xe_queue *queue, void *dst, uint8_t byte, size_t len);

/* Move whole pages to a region now; or tell where faults should move them */
int xe_prefetch(const struct xe_gpu *gpu, void *mem, size_t len, uint16_t region);
int xe_prefer(const struct xe_gpu *gpu, void *mem, size_t len, uint16_t region);

/*
 * What is bound beside the mirror of all that xe_open() makes, or in place of it. One
 * call does all of a list, in its order, and has done it when it returns.
 */
struct xe_bind {
	enum {
		XE_UNBIND, XE_BIND_MIRROR, XE_BIND_OBJECT, XE_BIND_USERPTR, XE_PREFETCH
	} what;
	void *mem;		/* whole pages */
	size_t len;
	uint32_t object;	/* for XE_BIND_OBJECT */
	uint16_t region;	/* for XE_PREFETCH */
	bool read_only;
	bool dumpable;		/* goes into dumps of a hang */
};

int xe_bind(const struct xe_gpu *gpu, const struct xe_bind *binds, size_t n);

/*
 * Not waited for: @done, which the caller has cleared, becomes 1. Until then
 * xe_poll_bind() returns -ETIME
 */
int xe_bind_begin(const struct xe_gpu *gpu, const struct xe_bind *bind,
		  volatile uint64_t *done);
int xe_wait_bind(const struct xe_gpu *gpu, volatile uint64_t *done);
int xe_poll_bind(const struct xe_gpu *gpu, volatile uint64_t *done);

/*
 * On a queue of its own, which is destroyed at once, when the fence in a file has signalled.
 * @done is for xe_wait_bind(), and 0 until then.
 */
int xe_bind_behind(const struct xe_gpu *gpu, const struct xe_bind *bind, int sync_file,
		   volatile uint64_t *done);

/* How much VRAM nobody uses; root only, others are told that it is all of it */
int xe_vram_free(const struct xe_gpu *gpu, uint64_t *bytes);

/* A buffer object in VRAM, which goes with the file */
int xe_create_object(const struct xe_gpu *gpu, size_t len, uint32_t *object);

/* How many binds there are of anything in these pages, or a negative error number */
int xe_count_binds(const struct xe_gpu *gpu, void *mem, size_t len);

/*
 * A VM without page faults, with whole pages of the process mapped at their address, and
 * then a queue for it, without a batch. Its jobs are stopped while these pages change. To
 * be closed by its file
 */
int xe_open_userptr(struct xe_gpu *gpu, void *mem, size_t len);
int xe_use_userptr(struct xe_gpu *gpu);

int xe_destroy_queue(const struct xe_queue *queue);

/*
 * More queues than xe_open() makes, on any engine of the GPU that user space may have:
 * 0 and up to what xe_count_engines() says, which may be a negative error number
 */
int xe_count_engines(const struct xe_gpu *gpu);
int xe_open_queue(struct xe_gpu *gpu, unsigned int engine, struct xe_queue *queue);
/* One more of those that xe_open() makes */
int xe_open_another(struct xe_gpu *gpu, enum xe_engine engine, struct xe_queue *queue);
void xe_close_queue(struct xe_queue *queue);

/* Bytes of VRAM that are in use, by whomever; root only */
int xe_vram_used(uint64_t *used);

/*
 * After fork(): the process that has opened the GPU gives up its queues, and then its
 * child has their jobs find what the child has in their batches, and in whole pages of
 * its memory
 */
void xe_bequeath(struct xe_gpu *gpu);
int xe_inherit(const struct xe_gpu *gpu, void *mem, size_t len);

/* The driver's counters, of everything that the GPU ever did; root only */
struct xe_stats {
	uint64_t faults;
	uint64_t tlb_invalidations;
	uint64_t kb_in, kb_out;		/* migrated to VRAM, and back */
};

int xe_stats(const struct xe_gpu *gpu, struct xe_stats *stats);
void xe_stats_sub(struct xe_stats *to, const struct xe_stats *from);

#endif
