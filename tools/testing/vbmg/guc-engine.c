// SPDX-License-Identifier: MIT
/* What engines tell: interrupts to the host, everything else in messages */
#include "guc-private.h"
#include "irq.h"
#include "log.h"
#include "mmio.h"
#include "vbmg.h"

static void *engine_pin(void *arg, u64 addr, size_t len, bool write)
{
	struct vbmg *dev = arg;

	return dma_pin(&dev->dma, addr, len, write);
}

static void engine_unpin(void *arg, void *host)
{
	struct vbmg *dev = arg;

	(void)host;
	dma_unpin(&dev->dma);
}

/* A batch never reaches a register with a side effect: it sees their storage */
static u32 engine_reg_peek(void *arg, u32 offset)
{
	return offset < REGS_SIZE && !(offset % 4) ? mmio_peek(arg, offset) : 0;
}

static void engine_reg_poke(void *arg, u32 offset, u32 value)
{
	if (offset < REGS_SIZE && !(offset % 4))
		mmio_poke(arg, offset, value);
}

static void engine_user_interrupt(void *arg, enum engine_class class, u32 instance)
{
	struct vbmg *dev = arg;
	enum irq_source source = IRQ_RCS0;

	if (class == ENGINE_COPY)
		source = instance ? IRQ_BCS8 : IRQ_BCS0;
	else if (class == ENGINE_COMPUTE)
		source = IRQ_CCS0 + instance;
	irq_raise(&dev->irq, source, IRQ_USER_INTERRUPT);
}

static void engine_msix(void *arg, u32 vector)
{
	struct vbmg *dev = arg;

	irq_notify(&dev->irq, vector);
}

/* struct xe_guc_pagefault_desc (xe_guc_fwif.h) */
#define PFD_LEVEL		GENMASK(2, 0)
#define PFD_SRC_ID		GENMASK(10, 3)
#define PFD_ENG_INSTANCE	GENMASK(24, 19)
#define PFD_ENG_CLASS		GENMASK(27, 25)
#define PFD_PDATA_LO		GENMASK(31, 28)
#define PFD_PDATA_HI		GENMASK(11, 0)
#define PFD_ASID		GENMASK(31, 12)
#define PFD_ACCESS_TYPE		GENMASK(1, 0)
#define PFD_FAULT_TYPE		GENMASK(3, 2)
static void engine_tell_fault(void *arg, const void *data)
{
	const struct fault_report *f = data;
	u32 desc[4] = {
		FIELD_PREP(PFD_LEVEL, f->level) | FIELD_PREP(PFD_SRC_ID, f->src) |
		FIELD_PREP(PFD_ENG_INSTANCE, f->engine_instance) |
		FIELD_PREP(PFD_ENG_CLASS, f->engine_class) |
		FIELD_PREP(PFD_PDATA_LO, (u32)f->pdata & 0xf),
		FIELD_PREP(PFD_PDATA_HI, (u32)f->pdata >> 4) | FIELD_PREP(PFD_ASID, f->asid),
		FIELD_PREP(PFD_ACCESS_TYPE, (u32)f->access) |
		FIELD_PREP(PFD_FAULT_TYPE, (u32)f->type) | (lower_32_bits(f->va) & ~0xfffu),
		upper_32_bits(f->va),
	};

	guc_ct_event(arg, G2H_PAGE_FAULT, desc, ARRAY_SIZE(desc));
}

static void engine_page_fault(void *arg, const struct fault_report *f)
{
	guc_later(arg, LATENCY_FAULT, engine_tell_fault, f, sizeof(*f));
}

static void engine_context_error(void *arg, u32 guc_id, enum context_error why)
{
	u32 cat_error[2] = { guc_id, 0 };

	if (why == CONTEXT_CAT_ERROR)
		guc_ct_event(arg, G2H_MEMORY_CAT_ERROR, cat_error, 2);
	guc_ct_event(arg, G2H_CONTEXT_RESET_NOTIFICATION, &guc_id, 1);
}

static void engine_sched_done(void *arg, u32 guc_id, bool enable)
{
	u32 done[2] = { guc_id, enable };

	guc_ct_event(arg, G2H_SCHED_CONTEXT_MODE_DONE, done, 2);
}

static void engine_deregister_done(void *arg, u32 guc_id)
{
	guc_ct_event(arg, G2H_DEREGISTER_CONTEXT_DONE, &guc_id, 1);
}

const struct engine_ops guc_engine_ops = {
	.pin = engine_pin,
	.unpin = engine_unpin,
	.reg_read = engine_reg_peek,
	.reg_write = engine_reg_poke,
	.user_interrupt = engine_user_interrupt,
	.msix = engine_msix,
	.page_fault = engine_page_fault,
	.context_error = engine_context_error,
	.sched_done = engine_sched_done,
	.deregister_done = engine_deregister_done,
};
