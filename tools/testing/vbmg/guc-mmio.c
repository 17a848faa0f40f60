// SPDX-License-Identifier: MIT
/*
 * Messages of up to four dwords in the VF_SW_FLAG registers, answered in place.
 * They configure the command transport, which carries all else.
 */
#include "ggtt.h"
#include "guc-private.h"
#include "guc-regs.h"
#include "log.h"
#include "mmio.h"
#include "vbmg.h"

/* abi/guc_klvs_abi.h */
#define SELF_CFG_KEY		GENMASK(31, 16)
#define SELF_CFG_LEN		GENMASK(15, 0)
enum self_cfg_key {
	SELF_CFG_H2G_BUFFER = 0x902,
	SELF_CFG_H2G_DESC = 0x903,
	SELF_CFG_H2G_SIZE = 0x904,
	SELF_CFG_G2H_BUFFER = 0x905,
	SELF_CFG_G2H_DESC = 0x906,
	SELF_CFG_G2H_SIZE = 0x907,
};

/*
 * Triples of key, length and value (the driver hands them to user space and
 * looks for these two, xe_guc_hwconfig.c): one slice of four subslices.
 */
static const u32 hwconfig[] = {
	1, 1, 1,	/* MAX_SLICES_SUPPORTED */
	70, 1, 4,	/* MAX_SUBSLICE */
};

static u32 guc_success(u32 data0)
{
	return HXG_ORIGIN_GUC | FIELD_PREP(HXG_TYPE, HXG_SUCCESS) | FIELD_PREP(HXG_AUX, data0);
}

static u32 guc_failure(u32 error)
{
	return HXG_ORIGIN_GUC | FIELD_PREP(HXG_TYPE, HXG_FAILURE) | error;
}

/* Answers how many KLVs were accepted: one */
static u32 guc_self_cfg(struct vbmg *dev, const u32 *dw)
{
	struct guc *guc = &dev->guc;
	u32 reply = guc_success(1);

	pthread_mutex_lock(&guc->lock);
	switch (FIELD_GET(SELF_CFG_KEY, dw[1])) {
	case SELF_CFG_H2G_BUFFER:
		guc->h2g.buffer = dw[2];
		break;
	case SELF_CFG_H2G_DESC:
		guc->h2g.desc = dw[2];
		break;
	case SELF_CFG_H2G_SIZE:
		guc->h2g.size = dw[2] / sizeof(u32);
		break;
	case SELF_CFG_G2H_BUFFER:
		guc->g2h.buffer = dw[2];
		break;
	case SELF_CFG_G2H_DESC:
		guc->g2h.desc = dw[2];
		break;
	case SELF_CFG_G2H_SIZE:
		guc->g2h.size = dw[2] / sizeof(u32);
		break;
	default:
		reply = guc_failure(GUC_ERROR_INVALID_PARAMS);
	}
	pthread_mutex_unlock(&guc->lock);
	return reply;
}

static u32 guc_control_ctb(struct vbmg *dev, bool enable)
{
	struct guc *guc = &dev->guc;

	if (!enable) {
		guc_ct_disable(dev);
		return guc_success(0);
	}
	pthread_mutex_lock(&guc->lock);
	guc->ct_enabled = guc->h2g.size && guc->g2h.size;
	enable = guc->ct_enabled;
	pthread_mutex_unlock(&guc->lock);
	return enable ? guc_success(0) : guc_failure(GUC_ERROR_INVALID_PARAMS);
}

/* With a size of 0 the driver asks for the size */
static u32 guc_get_hwconfig(struct vbmg *dev, u32 address, u32 size)
{
	if (!size)
		return guc_success(sizeof(hwconfig));
	if (size < sizeof(hwconfig) || ggtt_write(dev, address, hwconfig, sizeof(hwconfig)))
		return guc_failure(GUC_ERROR_INVALID_PARAMS);
	return guc_success(0);
}

static u32 guc_client_reset(struct vbmg *dev)
{
	guc_ct_disable(dev);
	engines_reset(dev->engines);
	delay_forget(&dev->delay);
	return guc_success(0);
}

static u32 guc_mmio_action(struct vbmg *dev, const u32 *dw)
{
	switch (FIELD_GET(HXG_ACTION, dw[0])) {
	case H2G_SELF_CFG:
		return guc_self_cfg(dev, dw);
	case H2G_CONTROL_CTB:
		return guc_control_ctb(dev, dw[1]);
	case H2G_GET_HWCONFIG:
		return guc_get_hwconfig(dev, dw[1], dw[3]);
	case H2G_CLIENT_SOFT_RESET:
		return guc_client_reset(dev);
	default:
		log_warn("GuC message by registers: unknown action 0x%04x", dw[0] & 0xffff);
		return guc_failure(GUC_ERROR_UNKNOWN_ACTION);
	}
}

void guc_mmio_message(struct vbmg *dev)
{
	u32 dw[VF_SW_FLAGS], reply;

	for (u32 i = 0; i < VF_SW_FLAGS; i++)
		dw[i] = mmio_peek(dev, VF_SW_FLAG(i));
	reply = guc_mmio_action(dev, dw);
	trace(TRACE_GUC, "registers: %08x %08x %08x %08x -> %08x", dw[0], dw[1], dw[2], dw[3],
	      reply);
	mmio_poke(dev, VF_SW_FLAG(0), reply);
}
