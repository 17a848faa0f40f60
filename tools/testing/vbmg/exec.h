/* SPDX-License-Identifier: MIT */
/*
 * Command streams: fetch, decode, execute.
 *
 * A command has a header dword that says its kind and length. exec_step()
 * executes one; the files mi-*.c, blit.c and gfx.c have one function for each
 * kind, and a table that names them. To add a command, write its function and
 * its line in the table.
 */
#ifndef VBMG_EXEC_H
#define VBMG_EXEC_H

#include "engine-private.h"

struct command {
	const u32 *dw;
	u32 len;		/* dwords; at least what the table asks for */
	enum mem_space space;	/* that it came from */
};

/*
 * Commands return 0, an error of mem.h, or
 *	-EAGAIN		nothing to do but wait; the command is not done
 *	-EILSEQ		it makes no sense: the context is reset
 *
 * The other way round, an engine that was told to stop waiting for a fault makes
 * -ECANCELED of it.
 */
typedef int (*command_fn)(struct engine *e, const struct command *cmd);

struct command_info {
	const char *name;
	command_fn run;		/* NULL with a name: no effect that could be seen */
	u32 min_len;
	u32 len_mask;		/* of the length field; 0: one dword */
};

/* Length fields hold the number of dwords minus two */
#define LEN_6		GENMASK(5, 0)
#define LEN_8		GENMASK(7, 0)
#define LEN_9		GENMASK(8, 0)
#define LEN_10		GENMASK(9, 0)

extern const struct command_info mi_commands[64];	/* by dw0[28:23] */
extern const struct command_info blit_commands[128];	/* by dw0[28:22] */
const struct command_info *gfx_command(u32 header);

/*
 * One command of the loaded context. Besides what a command returns: -ENODATA
 * when the ring is empty, -EAGAIN also for a loop that keeps jumping back.
 */
int exec_step(struct engine *e);

/* What the hardware runs when it restores a context: its workaround batches */
int exec_restore_batches(struct engine *e);

/* Print where the engine is, and the commands there */
void exec_dump(struct engine *e, enum log_level level, const char *why);

/* Does the ring, or any batch, hold more? */
static inline bool exec_has_work(const struct context *ctx)
{
	return ctx->level || ctx->stack[0].at != ctx->lrc.tail;
}

static inline struct cursor *exec_cursor(struct context *ctx)
{
	return &ctx->stack[ctx->level];
}

/* User batches run in the PPGTT; the ring and GGTT batches are the driver's own */
static inline bool exec_in_user_batch(const struct context *ctx)
{
	return ctx->level && ctx->stack[ctx->level].space == MEM_PPGTT;
}

/* Comparison of semaphores and conditional ends: a op b */
enum compare_op {
	COMPARE_GT, COMPARE_GTE, COMPARE_LT, COMPARE_LTE, COMPARE_EQ, COMPARE_NEQ,
};

bool exec_compare(u32 op, u32 a, u32 b);

static inline u64 command_address(const struct command *cmd, u32 dword)
{
	return make_u64(cmd->dw[dword], cmd->dw[dword + 1]);
}

/* mi-flow.c */
int mi_batch_start(struct engine *e, const struct command *cmd);
int mi_batch_end(struct engine *e, const struct command *cmd);
int mi_conditional_end(struct engine *e, const struct command *cmd);
int mi_semaphore_wait(struct engine *e, const struct command *cmd);
int mi_arb_on_off(struct engine *e, const struct command *cmd);
int mi_user_interrupt(struct engine *e, const struct command *cmd);

/* mi-store.c */
int mi_store_data_imm(struct engine *e, const struct command *cmd);
int mi_flush_dw(struct engine *e, const struct command *cmd);
int mi_copy_mem_mem(struct engine *e, const struct command *cmd);
int exec_flush_tlb(struct engine *e);

/* mi-atomic.c */
int mi_atomic(struct engine *e, const struct command *cmd);

/* mi-reg.c */
u32 exec_reg_read(struct engine *e, u32 offset, bool relative);
void exec_reg_write(struct engine *e, u32 offset, bool relative, u32 value);
int mi_load_register_imm(struct engine *e, const struct command *cmd);
int mi_store_register_mem(struct engine *e, const struct command *cmd);
int mi_load_register_mem(struct engine *e, const struct command *cmd);
int mi_load_register_reg(struct engine *e, const struct command *cmd);

/* mi-math.c */
int mi_math(struct engine *e, const struct command *cmd);

#endif
