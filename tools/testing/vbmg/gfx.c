// SPDX-License-Identifier: MIT
/*
 * Commands of the render and compute pipelines. No shader is executed: state is
 * skipped by its length, walkers are skipped with a note; the synchronisation
 * that xe and the tests rely on is in PIPE_CONTROL.
 */
#include <errno.h>

#include "exec.h"
#include "mem.h"

#define PIPELINE		GENMASK(28, 27)
#define PIPELINE_SINGLE_DW	1
#define PIPELINE_COMPUTE	2
#define COMMAND			GENMASK(28, 16)	/* pipeline, opcode, subopcode */

#define PIPE_CONTROL		0x1a00		/* pipeline 3, opcode 2, subopcode 0 */
#define SO_DECL_LIST		0x1917
#define COMPUTE_WALKER		0x1208		/* pipeline 2, opcode 2, subopcode 8 */

#define PIPE_CONTROL_GGTT	BIT(24)
#define PIPE_CONTROL_INDEX	BIT(21)
#define PIPE_CONTROL_TLB	BIT(18)
#define PIPE_CONTROL_POST_SYNC	GENMASK(15, 14)
#define POST_SYNC_NONE		0
#define POST_SYNC_IMMEDIATE	1
#define POST_SYNC_PS_COUNT	2
#define POST_SYNC_TIMESTAMP	3

#define ADDRESS_MASK		GENMASK_ULL(56, 2)

static u64 post_sync_value(const struct command *cmd)
{
	switch (FIELD_GET(PIPE_CONTROL_POST_SYNC, cmd->dw[1])) {
	case POST_SYNC_IMMEDIATE:
		return command_address(cmd, 4);
	case POST_SYNC_TIMESTAMP:
		return engine_clock();
	default:
		return 0; /* nothing was drawn */
	}
}

static int pipe_control(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[1] & PIPE_CONTROL_GGTT ? MEM_GGTT : MEM_PPGTT;
	u64 address = command_address(cmd, 2) & ADDRESS_MASK;
	int ret;

	if (cmd->dw[1] & PIPE_CONTROL_TLB)
		exec_flush_tlb(e);
	if (FIELD_GET(PIPE_CONTROL_POST_SYNC, cmd->dw[1]) == POST_SYNC_NONE)
		return 0;
	ret = engine_settle(e); /* before the time is read */
	if (ret)
		return ret;
	if (cmd->dw[1] & PIPE_CONTROL_INDEX) {
		space = MEM_GGTT;
		address = e->ctx->lrca + (address & (SZ_4K - 1));
	}
	return mem_write64(e, space, address, post_sync_value(cmd));
}

static int compute_walker(struct engine *e, const struct command *cmd)
{
	(void)cmd;
	log_warn("%s: context %u: COMPUTE_WALKER skipped, there are no execution units", e->name,
		 e->ctx->guc_id);
	return 0;
}

static const struct command_info pipe_control_info = { "PIPE_CONTROL", pipe_control, 6, LEN_8 };
static const struct command_info walker_info = { "COMPUTE_WALKER", compute_walker, 2, LEN_8 };
static const struct command_info decl_list_info = { "SO_DECL_LIST", NULL, 2, LEN_9 };
static const struct command_info single_info = { "GFX_STATE_1", NULL, 1, 0 };
static const struct command_info state_info = { "GFX_STATE", NULL, 2, LEN_8 };

const struct command_info *gfx_command(u32 header)
{
	switch (FIELD_GET(COMMAND, header)) {
	case PIPE_CONTROL:
		return &pipe_control_info;
	case SO_DECL_LIST:
		return &decl_list_info;
	case COMPUTE_WALKER:
		return &walker_info;
	default:
		return FIELD_GET(PIPELINE, header) == PIPELINE_SINGLE_DW ? &single_info :
									  &state_info;
	}
}
