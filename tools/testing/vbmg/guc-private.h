/* SPDX-License-Identifier: MIT */
/* What the GuC's files share: the message format, abi/guc_messages_abi.h */
#ifndef VBMG_GUC_PRIVATE_H
#define VBMG_GUC_PRIVATE_H

#include "guc.h"

#define HXG_ORIGIN_GUC		BIT(31)
#define HXG_TYPE		GENMASK(30, 28)
#define   HXG_REQUEST		0
#define   HXG_EVENT		1
#define   HXG_FAST_REQUEST	2
#define   HXG_FAILURE		6
#define   HXG_SUCCESS		7
#define HXG_DATA0		GENMASK(27, 16)
#define HXG_ACTION		GENMASK(15, 0)
#define HXG_AUX			GENMASK(27, 0)

/* abi/guc_actions_abi.h, abi/guc_actions_slpc_abi.h */
enum guc_action {
	H2G_LOG_FLUSH_COMPLETE = 0x30,
	H2G_ENABLE_LOGGING = 0x40,
	H2G_GLOBAL_SCHED_POLICY_CHANGE = 0x506,
	H2G_SELF_CFG = 0x508,
	H2G_UPDATE_SCHEDULING_POLICIES = 0x509,
	H2G_SCHED_CONTEXT = 0x1000,
	H2G_SCHED_CONTEXT_MODE_SET = 0x1001,
	G2H_SCHED_CONTEXT_MODE_DONE = 0x1002,
	G2H_CONTEXT_RESET_NOTIFICATION = 0x1008,
	H2G_UPDATE_CONTEXT_POLICIES = 0x100b,
	H2G_PC_SLPC_REQUEST = 0x3003,
	H2G_SETUP_PC_GUCRC = 0x3004,
	H2G_GET_HWCONFIG = 0x4100,
	H2G_REGISTER_CONTEXT = 0x4502,
	H2G_DEREGISTER_CONTEXT = 0x4503,
	H2G_CONTROL_CTB = 0x4509,
	G2H_DEREGISTER_CONTEXT_DONE = 0x4600,
	H2G_CLIENT_SOFT_RESET = 0x5507,
	H2G_SET_DEVICE_ENGINE_ACTIVITY = 0x550c,
	H2G_SET_FUNCTION_ENGINE_ACTIVITY = 0x550d,
	H2G_OPT_IN_FEATURE_KLV = 0x550e,
	G2H_MEMORY_CAT_ERROR = 0x6000,
	G2H_PAGE_FAULT = 0x6002,
	H2G_PAGE_FAULT_REPLY = 0x6003,
	H2G_TLB_INVALIDATION = 0x7000,
	G2H_TLB_INVALIDATION_DONE = 0x7001,
	H2G_TLB_INVALIDATION_ALL = 0x7002,
};

/* abi/guc_errors_abi.h */
enum guc_error {
	GUC_ERROR_UNKNOWN_ACTION = 0x30,
	GUC_ERROR_INVALID_CONTEXT = 0xb,
	GUC_ERROR_INVALID_PARAMS = 0x60,
};

/* A request of the host, the HXG dword included */
struct guc_request {
	const u32 *dw;
	u32 len;
};

/* guc-mmio.c: take the message in the registers and put the answer there */
void guc_mmio_message(struct vbmg *dev);

/* guc-ct.c */
void guc_ct_disable(struct vbmg *dev);
void guc_ct_receive(struct vbmg *dev);
void guc_ct_send(struct vbmg *dev, u32 fence, const u32 *hxg, u32 len);
void guc_ct_event(struct vbmg *dev, enum guc_action action, const u32 *payload, u32 len);

/* guc.c: fn(@dev, copy of @data) when the time of the part is over, at once if it has none */
void guc_later(struct vbmg *dev, enum latency_part part,
	       void (*fn)(void *dev, const void *data), const void *data, size_t len);

/* guc-h2g.c: 0, or an enum guc_error */
u32 guc_h2g(struct vbmg *dev, const struct guc_request *request);

/* guc-slpc.c */
u32 guc_slpc_request(struct vbmg *dev, const struct guc_request *request);
void guc_slpc_reset(struct guc_slpc *slpc);

#endif
