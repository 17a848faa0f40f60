/* SPDX-License-Identifier: MIT */
/*
 * The GuC, the firmware that schedules contexts: its side of every message. No
 * firmware is executed; the driver loads a file of zeros (guc-blob.c).
 *
 *   guc.c         loading, reset, registers
 *   guc-mmio.c    messages in registers, before the rings are there
 *   guc-ct.c      the two rings of the command transport (CT)
 *   guc-h2g.c     what the host asks through the ring
 *   guc-slpc.c    frequencies
 *   guc-engine.c  what engines tell the host: interrupts, faults, errors
 */
#ifndef VBMG_GUC_H
#define VBMG_GUC_H

#include <pthread.h>

#include "engine.h"
#include "types.h"

struct vbmg;

/* One direction of the command transport: a ring in GGTT memory */
struct guc_ctb {
	u32 buffer;		/* GGTT addresses */
	u32 desc;
	u32 size;		/* dwords */
};

#define GUC_EVENT_MAX	8	/* dwords of the longest message to the host, headers included */

struct guc_event {
	u32 len;
	u32 dw[GUC_EVENT_MAX];
};

struct guc_slpc {
	u32 shared;		/* GGTT address, 0: not started */
	u32 min_freq;		/* in units of 50/3 MHz */
	u32 max_freq;
};

struct guc {
	u32 status;		/* GUC_STATUS register */
	bool mmio_request;	/* VF_SW_FLAG(0) was written since the last doorbell */
	struct guc_slpc slpc;

	/* Under the lock, because engine threads send events */
	pthread_mutex_t lock;
	bool ct_enabled;
	struct guc_ctb h2g;
	struct guc_ctb g2h;
	struct guc_event *backlog;	/* found the ring full; oldest first */
	size_t backlog_count;
	size_t backlog_space;
};

void guc_init(struct vbmg *dev);
void guc_destroy(struct vbmg *dev);
/* Everything is forgotten until the driver loads it again */
void guc_reset(struct vbmg *dev);

/* false if it isn't one of the GuC's registers with a meaning of its own */
bool guc_mmio_read(struct vbmg *dev, u32 offset, u32 *value);
bool guc_mmio_write(struct vbmg *dev, u32 offset, u32 value);

/* Send what found no space before */
void guc_flush_backlog(struct vbmg *dev);

extern const struct engine_ops guc_engine_ops;

#endif
