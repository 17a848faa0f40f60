// SPDX-License-Identifier: MIT
/*
 * SLPC, the GuC's frequency control (abi/guc_actions_slpc_abi.h): it keeps the
 * limits that the driver sets and reports them. No clock ever changes.
 */
#include <errno.h>

#include "ggtt.h"
#include "guc-private.h"
#include "log.h"
#include "vbmg.h"

#define SLPC_EVENT_ID		GENMASK(15, 8)
enum slpc_event {
	SLPC_EVENT_RESET = 0,
	SLPC_EVENT_SHUTDOWN = 1,
	SLPC_EVENT_QUERY_TASK_STATE = 5,
	SLPC_EVENT_PARAMETER_SET = 6,
	SLPC_EVENT_PARAMETER_UNSET = 7,
};

enum slpc_parameter {
	SLPC_MIN_UNSLICE_FREQ_MHZ = 6,
	SLPC_MAX_UNSLICE_FREQ_MHZ = 7,
};

/* struct slpc_shared_data: byte offsets */
#define SLPC_GLOBAL_STATE	4
#define   SLPC_NOT_RUNNING	0
#define   SLPC_RUNNING		3
#define SLPC_TASK_STATUS	128
#define   SLPC_GTPERF_ENABLED	BIT(0)
#define SLPC_TASK_FREQ		132
#define   SLPC_MAX_UNSLICE	GENMASK(7, 0)
#define   SLPC_MIN_UNSLICE	GENMASK(15, 8)
#define   SLPC_MAX_SLICE	GENMASK(23, 16)
#define   SLPC_MIN_SLICE	GENMASK(31, 24)

/* As RP_STATE_CAP says, in units of 50/3 MHz */
#define FREQ_MIN		24
#define FREQ_MAX		144

void guc_slpc_reset(struct guc_slpc *slpc)
{
	*slpc = (struct guc_slpc){ .min_freq = FREQ_MIN, .max_freq = FREQ_MAX };
}

static u32 freq_from_mhz(u32 mhz)
{
	u32 freq = mhz > 3000 ? FREQ_MAX : (mhz * 3 + 25) / 50;

	return max((u32)FREQ_MIN, min((u32)FREQ_MAX, freq));
}

static u32 slpc_task_freq(const struct guc_slpc *slpc)
{
	return FIELD_PREP(SLPC_MAX_UNSLICE, slpc->max_freq) |
	       FIELD_PREP(SLPC_MIN_UNSLICE, slpc->min_freq) |
	       FIELD_PREP(SLPC_MAX_SLICE, slpc->max_freq) |
	       FIELD_PREP(SLPC_MIN_SLICE, slpc->min_freq);
}

static u32 slpc_report(struct vbmg *dev)
{
	struct guc_slpc *slpc = &dev->guc.slpc;

	if (ggtt_store(dev, slpc->shared + SLPC_TASK_STATUS, SLPC_GTPERF_ENABLED) ||
	    ggtt_store(dev, slpc->shared + SLPC_TASK_FREQ, slpc_task_freq(slpc)))
		return GUC_ERROR_INVALID_PARAMS;
	return 0;
}

static u32 slpc_set(struct guc_slpc *slpc, u32 parameter, u32 value)
{
	if (parameter == SLPC_MIN_UNSLICE_FREQ_MHZ)
		slpc->min_freq = freq_from_mhz(value);
	else if (parameter == SLPC_MAX_UNSLICE_FREQ_MHZ)
		slpc->max_freq = freq_from_mhz(value);
	return 0;
}

static u32 slpc_unset(struct guc_slpc *slpc, u32 parameter)
{
	if (parameter == SLPC_MIN_UNSLICE_FREQ_MHZ)
		slpc->min_freq = FREQ_MIN;
	else if (parameter == SLPC_MAX_UNSLICE_FREQ_MHZ)
		slpc->max_freq = FREQ_MAX;
	return 0;
}

static u32 slpc_start(struct vbmg *dev, u32 shared)
{
	guc_slpc_reset(&dev->guc.slpc);
	dev->guc.slpc.shared = shared;
	if (slpc_report(dev) || ggtt_store(dev, shared + SLPC_GLOBAL_STATE, SLPC_RUNNING))
		return GUC_ERROR_INVALID_PARAMS;
	return 0;
}

/* Events and their arguments from dw[2] on */
u32 guc_slpc_request(struct vbmg *dev, const struct guc_request *r)
{
	struct guc_slpc *slpc = &dev->guc.slpc;
	u32 event = FIELD_GET(SLPC_EVENT_ID, r->dw[1]);

	if (event == SLPC_EVENT_SHUTDOWN)
		return ggtt_store(dev, slpc->shared + SLPC_GLOBAL_STATE, SLPC_NOT_RUNNING) ?
		       GUC_ERROR_INVALID_PARAMS : 0;
	if (event == SLPC_EVENT_RESET && r->len >= 3)
		return slpc_start(dev, r->dw[2]);
	if (event == SLPC_EVENT_QUERY_TASK_STATE && r->len >= 3)
		return slpc_report(dev);
	if (event == SLPC_EVENT_PARAMETER_SET && r->len >= 4)
		return slpc_set(slpc, r->dw[2], r->dw[3]);
	if (event == SLPC_EVENT_PARAMETER_UNSET && r->len >= 3)
		return slpc_unset(slpc, r->dw[2]);
	log_warn("SLPC: unknown event %u with %u dwords", event, r->len);
	return GUC_ERROR_INVALID_PARAMS;
}
