// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exec.h"
#include "mem.h"

/* Kind of a command: dw0[31:29] */
#define KIND(header)		((header) >> 29)
#define KIND_MI			0
#define KIND_BLIT		2
#define KIND_GFX		3
#define KIND_STATE		4

/* A loop that jumps back this often in a row waits for something */
#define MAX_JUMPS_BACK		16

/* Workaround batches are a handful of commands; more is an endless loop */
#define MAX_RESTORE_COMMANDS	1024

static const struct command_info state_command = { "STATE", NULL, 1, LEN_8 };

static const struct command_info *find_command(u32 header)
{
	const struct command_info *info = NULL;

	switch (KIND(header)) {
	case KIND_MI:
		info = &mi_commands[FIELD_GET(GENMASK(28, 23), header)];
		break;
	case KIND_BLIT:
		info = &blit_commands[FIELD_GET(GENMASK(28, 22), header)];
		break;
	case KIND_GFX:
		info = gfx_command(header);
		break;
	case KIND_STATE:
		info = &state_command;
		break;
	}
	return info && info->name ? info : NULL;
}

static u32 command_length(const struct command_info *info, u32 header)
{
	return info->len_mask ? (header & info->len_mask) + 2 : 1;
}

/* Dwords that the ring holds from the cursor to the tail */
static u32 ring_fill(const struct context *ctx)
{
	u32 size = ctx->lrc.ring_size;

	return (ctx->lrc.tail + size - (u32)ctx->stack[0].at) % size / 4;
}

/* A command may wrap at the end of the ring */
static int fetch_ring(struct engine *e, u32 skip, u32 *dw, u32 n)
{
	const struct lrc *lrc = &e->ctx->lrc;
	u32 at = ((u32)e->ctx->stack[0].at + skip * 4) % lrc->ring_size;
	u32 first = min(n, (lrc->ring_size - at) / 4);
	int ret;

	if (skip + n > ring_fill(e->ctx))
		return -EILSEQ;
	ret = mem_read(e, MEM_GGTT, (u64)lrc->ring_start + at, dw, first * 4);
	if (!ret && first < n)
		ret = mem_read(e, MEM_GGTT, lrc->ring_start, dw + first, (n - first) * 4);
	return ret;
}

static int fetch(struct engine *e, u32 skip, u32 *dw, u32 n)
{
	const struct cursor *cursor = exec_cursor(e->ctx);

	if (e->ctx->level == 0)
		return fetch_ring(e, skip, dw, n);
	return mem_read(e, cursor->space, cursor->at + skip * 4, dw, n * 4);
}

static void advance(struct context *ctx, u32 dwords)
{
	struct cursor *cursor = exec_cursor(ctx);

	cursor->at += dwords * 4;
	if (ctx->level == 0)
		cursor->at %= ctx->lrc.ring_size;
}

static void trace_command(struct engine *e, const struct command_info *info,
			  const struct command *cmd)
{
	char text[160] = "";
	u32 n = min(cmd->len, 12u);

	for (u32 i = 0; i < n; i++)
		snprintf(text + i * 9, sizeof(text) - i * 9, " %08x", cmd->dw[i]);
	trace(TRACE_COMMAND, "%s: %u %s%#llx %s%s%s", e->name, e->ctx->guc_id,
		    e->ctx->level ? "batch " : "ring ",
		    (unsigned long long)exec_cursor(e->ctx)->at, info->name, text,
		    n < cmd->len ? " ..." : "");
}

static int execute(struct engine *e, const struct command_info *info, const struct command *cmd)
{
	struct context *ctx = e->ctx;
	int ret = 0;

	e->jumped = false;
	if (info->run)
		ret = info->run(e, cmd);
	if (ret)
		return ret;
	ctx->done = 0;
	count(e->stats.commands, 1);
	if (!e->jumped)
		advance(ctx, cmd->len);
	if (e->jumps_back < MAX_JUMPS_BACK)
		return 0;
	e->jumps_back = 0;
	return -EAGAIN;
}

int exec_step(struct engine *e)
{
	struct context *ctx = e->ctx;
	const struct command_info *info;
	struct command cmd = {
		.dw = e->command,
		.space = exec_cursor(ctx)->space,
	};
	int ret;

	e->n_faults = 0;
	if (!exec_has_work(ctx))
		return -ENODATA;
	ret = fetch(e, 0, e->command, 1);
	if (ret)
		return ret;
	info = find_command(e->command[0]);
	if (!info)
		return -EILSEQ;
	cmd.len = command_length(info, e->command[0]);
	if (cmd.len < info->min_len || cmd.len > MAX_COMMAND_DW)
		return -EILSEQ;
	if (cmd.len > 1)
		ret = fetch(e, 1, e->command + 1, cmd.len - 1);
	if (ret)
		return ret;
	if (trace_on(TRACE_COMMAND))
		trace_command(e, info, &cmd);
	return execute(e, info, &cmd);
}

/* Until the batch has ended, or @end is reached if there is one */
static int run_restore_batch(struct engine *e, u64 end)
{
	struct context *ctx = e->ctx;

	for (u32 n = 0; n < MAX_RESTORE_COMMANDS; n++) {
		int ret;

		if (ctx->level == 0 || (ctx->level == 1 && end && exec_cursor(ctx)->at >= end))
			return 0;
		ret = exec_step(e);
		if (ret)
			return ret == -EFAULT || ret == -EAGAIN ? -EILSEQ : ret;
	}
	return -EILSEQ;
}

/* Run a GGTT batch aside from what the context was doing */
static int restore_batch(struct engine *e, u64 start, u64 end)
{
	struct context *ctx = e->ctx;
	struct cursor stack[MAX_BATCH_LEVEL + 1];
	u32 level = ctx->level;
	u64 done = ctx->done;
	int ret;

	memcpy(stack, ctx->stack, sizeof(stack));
	ctx->level = 1;
	ctx->stack[1] = (struct cursor) { .at = start, .space = MEM_GGTT };
	ctx->done = 0;
	ret = run_restore_batch(e, end);
	if (ret)
		exec_dump(e, LOG_WARN, "its restore batch failed");
	memcpy(ctx->stack, stack, sizeof(stack));
	ctx->level = level;
	ctx->done = done;
	return ret;
}

#define RESTORE_BB_VALID	BIT(0)
#define INDIRECT_CTX_LINES	GENMASK(5, 0)	/* size in cache lines of 64 bytes */

int exec_restore_batches(struct engine *e)
{
	u32 indirect = e->ctx->lrc.indirect_ctx;
	u32 size = (indirect & INDIRECT_CTX_LINES) * 64;
	u64 start = indirect & ~INDIRECT_CTX_LINES;
	int ret = 0;

	if (size)
		ret = restore_batch(e, start, start + size);
	if (!ret && (e->ctx->lrc.restore_bb & RESTORE_BB_VALID))
		ret = restore_batch(e, e->ctx->lrc.restore_bb & ~GENMASK(11, 0), 0);
	return ret;
}

static void dump_dwords(struct engine *e, enum log_level level)
{
	char text[160] = "";
	u32 n;

	for (n = 0; n < 16; n++) {
		u32 dw;

		/* The ring knows its end */
		if (fetch(e, n, &dw, 1))
			break;
		snprintf(text + n * 9, sizeof(text) - n * 9, " %08x", dw);
	}
	e->n_faults = 0;
	log_print(level, "%s: here:%s", e->name, n ? text : " unreadable");
}

void exec_dump(struct engine *e, enum log_level level, const char *why)
{
	const struct context *ctx = e->ctx;

	log_print(level, "%s: context %u asid %u is reset: %s", e->name, ctx->guc_id,
		  ctx->lrc.asid, why);
	log_print(level, "%s: ring %#x+%#x head %#x tail %#x, batch level %u", e->name,
		  ctx->lrc.ring_start, ctx->lrc.ring_size, (u32)ctx->stack[0].at, ctx->lrc.tail,
		  ctx->level);
	for (u32 l = ctx->level; l > 0; l--)
		log_print(level, "%s: level %u at %#llx in the %s", e->name, l,
			  (unsigned long long)ctx->stack[l].at,
			  ctx->stack[l].space == MEM_GGTT ? "GGTT" : "PPGTT");
	dump_dwords(e, level);
}

bool exec_compare(u32 op, u32 a, u32 b)
{
	switch (op) {
	case COMPARE_GT:
		return a > b;
	case COMPARE_GTE:
		return a >= b;
	case COMPARE_LT:
		return a < b;
	case COMPARE_LTE:
		return a <= b;
	case COMPARE_EQ:
		return a == b;
	case COMPARE_NEQ:
		return a != b;
	default:
		return true;
	}
}
