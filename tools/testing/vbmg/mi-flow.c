// SPDX-License-Identifier: MIT
/* MI commands that decide what comes next, and the table of all MI commands */
#include <errno.h>

#include "exec.h"
#include "mem.h"

#define BB_START_PPGTT		BIT(8)
#define BB_START_SECOND_LEVEL	BIT(22)

#define COMPARE_OP		GENMASK(14, 12)
#define COMPARE_GGTT		BIT(22)

#define COND_END_MASK_MODE	BIT(19)
#define COND_END_THIS_LEVEL	BIT(18)

#define SEMAPHORE_REGISTER	BIT(16)

#define ARB_ENABLE		BIT(0)

#define ADDRESS_MASK		GENMASK_ULL(56, 2)

const struct command_info mi_commands[64] = {
	[0x00] = { "MI_NOOP", NULL, 1, 0 },
	[0x01] = { "MI_SET_PREDICATE", NULL, 1, 0 },
	[0x02] = { "MI_USER_INTERRUPT", mi_user_interrupt, 1, 0 },
	[0x04] = { "MI_WAIT_FOR_EVENT", NULL, 1, 0 },
	[0x05] = { "MI_ARB_CHECK", NULL, 1, 0 },
	[0x06] = { "MI_RS_CONTROL", NULL, 1, 0 },
	[0x07] = { "MI_REPORT_HEAD", NULL, 1, 0 },
	[0x08] = { "MI_ARB_ON_OFF", mi_arb_on_off, 1, 0 },
	[0x09] = { "MI_MEM_FENCE", NULL, 1, 0 },
	[0x0a] = { "MI_BATCH_BUFFER_END", mi_batch_end, 1, 0 },
	[0x0b] = { "MI_SUSPEND_FLUSH", NULL, 1, 0 },
	[0x0d] = { "MI_TOPOLOGY_FILTER", NULL, 1, 0 },
	[0x0e] = { "MI_SET_APPID", NULL, 1, 0 },
	[0x1a] = { "MI_MATH", mi_math, 2, LEN_8 },
	[0x1b] = { "MI_SEMAPHORE_SIGNAL", NULL, 2, LEN_8 },
	[0x1c] = { "MI_SEMAPHORE_WAIT", mi_semaphore_wait, 4, LEN_8 },
	[0x1d] = { "MI_FORCE_WAKEUP", NULL, 2, LEN_8 },
	[0x20] = { "MI_STORE_DATA_IMM", mi_store_data_imm, 4, LEN_10 },
	[0x22] = { "MI_LOAD_REGISTER_IMM", mi_load_register_imm, 3, LEN_8 },
	[0x24] = { "MI_STORE_REGISTER_MEM", mi_store_register_mem, 4, LEN_8 },
	[0x26] = { "MI_FLUSH_DW", mi_flush_dw, 3, LEN_6 },
	[0x28] = { "MI_REPORT_PERF_COUNT", NULL, 4, LEN_6 },
	[0x29] = { "MI_LOAD_REGISTER_MEM", mi_load_register_mem, 4, LEN_8 },
	[0x2a] = { "MI_LOAD_REGISTER_REG", mi_load_register_reg, 3, LEN_8 },
	[0x2e] = { "MI_COPY_MEM_MEM", mi_copy_mem_mem, 5, LEN_8 },
	[0x2f] = { "MI_ATOMIC", mi_atomic, 3, LEN_8 },
	[0x31] = { "MI_BATCH_BUFFER_START", mi_batch_start, 3, LEN_8 },
	[0x36] = { "MI_CONDITIONAL_BATCH_BUFFER_END", mi_conditional_end, 4, LEN_8 },
};

/* Where a batch starts: what came from a PPGTT batch stays in that PPGTT */
static enum mem_space batch_space(const struct context *ctx, u32 header)
{
	if (exec_in_user_batch(ctx))
		return MEM_PPGTT;
	return header & BB_START_PPGTT ? MEM_PPGTT : MEM_GGTT;
}

/*
 * From the ring, or with the second level bit: a call, and the end of the batch
 * comes back. Otherwise a jump.
 */
int mi_batch_start(struct engine *e, const struct command *cmd)
{
	struct context *ctx = e->ctx;
	bool call = ctx->level == 0 || (cmd->dw[0] & BB_START_SECOND_LEVEL);
	struct cursor target = {
		.at = command_address(cmd, 1) & ADDRESS_MASK,
		.space = batch_space(ctx, cmd->dw[0]),
	};

	if (call && ctx->level == MAX_BATCH_LEVEL)
		return -EILSEQ;
	if (call) {
		struct cursor *back = exec_cursor(ctx);

		back->at += cmd->len * 4;
		if (ctx->level == 0)
			back->at %= ctx->lrc.ring_size;
		ctx->level++;
	} else if (target.at <= exec_cursor(ctx)->at) {
		e->jumps_back++;
	}
	*exec_cursor(ctx) = target;
	e->jumped = true;
	return 0;
}

int mi_batch_end(struct engine *e, const struct command *cmd)
{
	(void)cmd;
	/* In the ring there is nothing to end */
	if (e->ctx->level == 0)
		return -EILSEQ;
	e->ctx->level--;
	e->jumped = true;
	return 0;
}

/* The address has the compared dword, in mask mode followed by a mask */
int mi_conditional_end(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & COMPARE_GGTT ? MEM_GGTT : MEM_PPGTT;
	bool masked = cmd->dw[0] & COND_END_MASK_MODE;
	u32 value[2] = { 0, ~0u };
	int ret = mem_read(e, space, command_address(cmd, 2) & ADDRESS_MASK, value,
			   masked ? 8 : 4);

	if (ret)
		return ret;
	if (e->ctx->level == 0)
		return -EILSEQ;
	if (exec_compare(FIELD_GET(COMPARE_OP, cmd->dw[0]), value[0] & value[1], cmd->dw[1]))
		return 0;
	e->ctx->level = cmd->dw[0] & COND_END_THIS_LEVEL ? e->ctx->level - 1 : 0;
	e->jumped = true;
	return 0;
}

int mi_semaphore_wait(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & COMPARE_GGTT ? MEM_GGTT : MEM_PPGTT;
	u32 value;
	int ret = 0;

	if (cmd->dw[0] & SEMAPHORE_REGISTER)
		value = exec_reg_read(e, cmd->dw[2] & GENMASK(22, 2), false);
	else
		ret = mem_read32(e, space, command_address(cmd, 2) & ADDRESS_MASK, &value);
	if (ret)
		return ret;
	if (!exec_compare(FIELD_GET(COMPARE_OP, cmd->dw[0]), value, cmd->dw[1]))
		return -EAGAIN;
	e->ctx->backoff = 0;
	return 0;
}

int mi_arb_on_off(struct engine *e, const struct command *cmd)
{
	e->ctx->no_arbitration = !(cmd->dw[0] & ARB_ENABLE);
	return 0;
}

/*
 * Every instance reports as the first of its class, and has pages of its own for
 * it (xe_memirq.c): a byte for the event, 16 of them for each source, then one
 * for the source. The bit of that in GT_INTR_DW0 is its place.
 */
static u32 interrupt_source(enum engine_class class)
{
	switch (class) {
	case ENGINE_COPY:
		return 15;
	case ENGINE_COMPUTE:
		return 4;
	default:
		return 0;
	}
}

static int report_interrupt(struct engine *e)
{
	const struct engine_config *config = &e->parent->config;
	u32 source = interrupt_source(e->class);
	u8 set = 0xff;
	int ret;

	ret = mem_write(e, MEM_GGTT,
			engine_reg_read(e, RING_INT_STATUS_RPT_PTR) + source * 16, &set, 1);
	if (!ret)
		ret = mem_write(e, MEM_GGTT, engine_reg_read(e, RING_INT_SRC_RPT_PTR) + source,
				&set, 1);
	if (!ret)
		config->ops->msix(config->dev, engine_reg_read(e, CS_INT_VEC) & 0xffff);
	return ret;
}

int mi_user_interrupt(struct engine *e, const struct command *cmd)
{
	const struct engine_config *config = &e->parent->config;
	int ret = engine_settle(e);

	(void)cmd;
	if (ret)
		return ret;
	if (engine_uses_msix(e))
		return report_interrupt(e);
	config->ops->user_interrupt(config->dev, e->class, e->instance);
	return 0;
}
