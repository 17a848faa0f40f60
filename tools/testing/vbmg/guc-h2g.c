// SPDX-License-Identifier: MIT
/*
 * What the host asks through the ring. Layouts are those that xe_guc_submit.c,
 * xe_guc_tlb_inval.c and xe_guc_pagefault.c build; payload words start at
 * dw[1], behind the HXG header.
 */
#include <errno.h>

#include "guc-private.h"
#include "log.h"
#include "vbmg.h"

#define CONTEXT_WORDS		12
static u32 guc_register_context(struct vbmg *dev, const struct guc_request *r)
{
	/* dw[1] flags, dw[5..9] work queue of parallel submission */
	struct context_desc desc = {
		.guc_id = r->dw[2],
		.guc_class = r->dw[3],
		.logical_mask = r->dw[4],
		.lrca = make_u64(r->dw[10], r->dw[11]),
	};

	return context_register(dev->engines, &desc) ? GUC_ERROR_INVALID_PARAMS : 0;
}

static u32 guc_context_result(const struct guc_request *r, int err)
{
	if (!err)
		return 0;
	log_warn("GuC: action 0x%04x for context %u, which is not registered",
		 FIELD_GET(HXG_ACTION, r->dw[0]), r->dw[1]);
	return GUC_ERROR_INVALID_CONTEXT;
}

static u32 guc_sched_context(struct vbmg *dev, const struct guc_request *r)
{
	return guc_context_result(r, context_kick(dev->engines, r->dw[1]));
}

static u32 guc_sched_mode(struct vbmg *dev, const struct guc_request *r)
{
	return guc_context_result(r, context_set_sched(dev->engines, r->dw[1], r->dw[2]));
}

static u32 guc_deregister_context(struct vbmg *dev, const struct guc_request *r)
{
	return guc_context_result(r, context_deregister(dev->engines, r->dw[1]));
}

/* struct xe_guc_pagefault_reply (xe_guc_fwif.h) */
#define PFR_FAILED		BIT(1)	/* named PFR_SUCCESS; the driver sets it for errors */
#define PFR_ASID		GENMASK(31, 12)
#define PFR_ENG_INSTANCE	GENMASK(12, 7)
#define PFR_ENG_CLASS		GENMASK(15, 13)
#define PFR_PDATA		GENMASK(31, 16)
static void guc_fault_answered(void *arg, const void *data)
{
	struct vbmg *dev = arg;

	engines_fault_reply(dev->engines, data);
}

static u32 guc_page_fault_reply(struct vbmg *dev, const struct guc_request *r)
{
	struct fault_reply reply = {
		.failed = r->dw[1] & PFR_FAILED,
		.asid = FIELD_GET(PFR_ASID, r->dw[1]),
		.engine_class = FIELD_GET(PFR_ENG_CLASS, r->dw[2]),
		.engine_instance = FIELD_GET(PFR_ENG_INSTANCE, r->dw[2]),
		.pdata = (u16)FIELD_GET(PFR_PDATA, r->dw[2]),
	};

	guc_later(dev, LATENCY_REPLY, guc_fault_answered, &reply, sizeof(reply));
	return 0;
}

/* abi/guc_actions_abi.h, XE_GUC_TLB_INVAL_TYPE_SHIFT and what follows it */
#define TLB_INVAL_TYPE		GENMASK(7, 0)
#define   TLB_INVAL_FULL	0
#define   TLB_INVAL_PAGES	1
#define   TLB_INVAL_PAGES_CTX	2
#define   TLB_INVAL_GUC		3
static void guc_tlb_scope(const struct guc_request *r, struct tlb_invalidation *inv)
{
	u32 type = FIELD_GET(TLB_INVAL_TYPE, r->dw[2]);

	*inv = (struct tlb_invalidation){ .scope = TLB_ALL };
	if (type == TLB_INVAL_GUC) {
		inv->scope = TLB_GGTT;
	} else if (type == TLB_INVAL_PAGES && r->len >= 7 && r->dw[6] <= 51) {
		inv->scope = TLB_RANGE;
		inv->asid = r->dw[3];
		inv->start = make_u64(r->dw[4], r->dw[5]) & ~0xfffull;
		inv->size = SZ_4K << r->dw[6];
	}
}

struct guc_tlb_request {
	struct tlb_invalidation inv;
	u32 seqno;
};

/*
 * The old translations are in use as long as they may be, until the host is told.
 * All invalidations take the same time, so they are done in the order of their
 * seqnos, which the driver relies on.
 */
static void guc_tlb_done(void *arg, const void *data)
{
	const struct guc_tlb_request *request = data;
	struct vbmg *dev = arg;

	engines_tlb_invalidate(dev->engines, &request->inv);
	guc_ct_event(dev, G2H_TLB_INVALIDATION_DONE, &request->seqno, 1);
}

static u32 guc_tlb_invalidate(struct vbmg *dev, const struct guc_request *r)
{
	struct guc_tlb_request request = { .seqno = r->dw[1] };

	guc_tlb_scope(r, &request.inv);
	guc_later(dev, LATENCY_TLB, guc_tlb_done, &request, sizeof(request));
	return 0;
}

static u32 guc_tlb_invalidate_all(struct vbmg *dev, const struct guc_request *r)
{
	struct guc_tlb_request request = { .inv.scope = TLB_ALL, .seqno = r->dw[1] };

	guc_later(dev, LATENCY_TLB, guc_tlb_done, &request, sizeof(request));
	return 0;
}

/* Tuning and logging: nothing of it shows in what this device does */
static u32 guc_accept(struct vbmg *dev, const struct guc_request *r)
{
	(void)dev;
	(void)r;
	return 0;
}

static const struct guc_handler {
	enum guc_action action;
	u32 min_len;		/* dwords, HXG header included */
	u32 (*handle)(struct vbmg *dev, const struct guc_request *r);
} guc_handlers[] = {
	{ H2G_SCHED_CONTEXT, 2, guc_sched_context },
	{ H2G_SCHED_CONTEXT_MODE_SET, 3, guc_sched_mode },
	{ H2G_PAGE_FAULT_REPLY, 3, guc_page_fault_reply },
	{ H2G_TLB_INVALIDATION, 3, guc_tlb_invalidate },
	{ H2G_TLB_INVALIDATION_ALL, 2, guc_tlb_invalidate_all },
	{ H2G_REGISTER_CONTEXT, CONTEXT_WORDS, guc_register_context },
	{ H2G_DEREGISTER_CONTEXT, 2, guc_deregister_context },
	{ H2G_PC_SLPC_REQUEST, 2, guc_slpc_request },
	{ H2G_SETUP_PC_GUCRC, 1, guc_accept },
	{ H2G_UPDATE_CONTEXT_POLICIES, 2, guc_accept },
	{ H2G_UPDATE_SCHEDULING_POLICIES, 1, guc_accept },
	{ H2G_GLOBAL_SCHED_POLICY_CHANGE, 1, guc_accept },
	{ H2G_OPT_IN_FEATURE_KLV, 1, guc_accept },
	{ H2G_SET_DEVICE_ENGINE_ACTIVITY, 1, guc_accept },
	{ H2G_SET_FUNCTION_ENGINE_ACTIVITY, 1, guc_accept },
	{ H2G_LOG_FLUSH_COMPLETE, 1, guc_accept },
	{ H2G_ENABLE_LOGGING, 1, guc_accept },
};

u32 guc_h2g(struct vbmg *dev, const struct guc_request *r)
{
	u32 action = FIELD_GET(HXG_ACTION, r->dw[0]);

	for (size_t i = 0; i < ARRAY_SIZE(guc_handlers); i++) {
		const struct guc_handler *h = &guc_handlers[i];

		if (h->action != action)
			continue;
		if (r->len >= h->min_len)
			return h->handle(dev, r);
		log_warn("GuC: action 0x%04x with only %u dwords", action, r->len);
		return GUC_ERROR_INVALID_PARAMS;
	}
	log_warn("GuC: unknown action 0x%04x", action);
	return GUC_ERROR_UNKNOWN_ACTION;
}
