/* SPDX-License-Identifier: MIT */
/*
 * The GuC, the firmware that schedules contexts: its side of every message. No
 * firmware is executed; the driver loads a file of zeros (guc-blob.c).
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
	u32 size;		/* bytes */
};

#define GUC_EVENT_MAX	8	/* dwords of the longest event, headers included */

struct guc_event {
	u32 len;
	u32 dw[GUC_EVENT_MAX];
};

struct guc {
	bool loaded;
	u32 status;		/* GUC_STATUS register */
	bool mmio_request;	/* VF_SW_FLAG(0) was written since the last doorbell */

	/* Under the lock, because engine threads send events */
	pthread_mutex_t lock;
	bool ct_enabled;
	struct guc_ctb h2g;
	struct guc_ctb g2h;
	struct guc_event *backlog;	/* events that found the ring full */
	size_t backlog_count;
	size_t backlog_space;
};

void guc_init(struct vbmg *dev);
void guc_destroy(struct vbmg *dev);
void guc_reset(struct vbmg *dev);

/* The driver asks the DMA engine to start what it loaded */
void guc_load(struct vbmg *dev);
/* GUC_HOST_INTERRUPT was written: a message by registers or by the ring */
void guc_doorbell(struct vbmg *dev);
/* Send what found no space before */
void guc_flush_backlog(struct vbmg *dev);

extern const struct engine_ops guc_engine_ops;

#endif
