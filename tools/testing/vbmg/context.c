// SPDX-License-Identifier: MIT
/*
 * Contexts: the image in memory, and switching to and from it.
 *
 * A logical ring context (LRC) is in GGTT memory: at its address the per-process
 * status page, one page on the register image, which is a list of
 * MI_LOAD_REGISTER_IMM whose values sit at fixed dwords (regs/xe_lrc_layout.h).
 * A switch restores from there and saves back what the hardware changed and the
 * driver reads: head and timestamp. What else is needed to go on in the middle
 * of a batch stays in struct context.
 */
#include <errno.h>
#include <string.h>

#include "exec.h"
#include "mem.h"

#define LRC_STATE		SZ_4K	/* register image, from the status page */

#define CTX_RING_HEAD		0x05
#define CTX_RING_TAIL		0x07
#define CTX_RING_START		0x09
#define CTX_RING_CTL		0x0b
#define CTX_BB_PER_CTX_PTR	0x13
#define CTX_CS_INDIRECT_CTX	0x15
#define CTX_TIMESTAMP		0x23
#define CTX_TIMESTAMP_UDW	0x25
#define CTX_ASID		0x2f
#define CTX_PDP0_UDW		0x31
#define CTX_PDP0_LDW		0x33
#define CTX_INT_STATUS_REPORT_PTR	0x57
#define CTX_INT_SRC_REPORT_PTR	0x59
#define CTX_CS_INT_VEC_DATA	0x5b
#define CTX_DWORDS		0x5c

#define HEAD_ADDR		GENMASK(20, 2)
#define TAIL_ADDR		GENMASK(20, 3)
#define RING_VALID		BIT(0)
#define RING_NR_PAGES		GENMASK(20, 12)	/* size in pages, minus one */
#define ASID_MASK		GENMASK(19, 0)
#define CS_GPR_DATA		0x600

static u64 image_address(const struct context *ctx, u32 dword)
{
	return ctx->lrca + LRC_STATE + dword * 4ull;
}

/* Time of the context that is loaded, or where it stopped when its save began */
static u64 current_timestamp(const struct engine *e)
{
	if (!e->ctx)
		return 0;
	return e->ctx->timestamp + (e->loaded_at ? engine_clock() - e->loaded_at : 0);
}

/* Time of the context that is loaded, now; another thread may ask */
u64 context_live_timestamp(struct engine *e)
{
	struct engines *engines = e->parent;
	u64 timestamp;

	/* The engine's own thread can't lose its context meanwhile */
	if (pthread_equal(pthread_self(), e->thread))
		return current_timestamp(e);

	pthread_mutex_lock(&engines->lock);
	timestamp = current_timestamp(e);
	pthread_mutex_unlock(&engines->lock);
	return timestamp;
}

/* Nobody is to see more time than what is saved, or see it counted twice. */
static u64 stop_time(struct engine *e)
{
	u64 timestamp;

	pthread_mutex_lock(&e->parent->lock);
	timestamp = current_timestamp(e);
	e->ctx->timestamp = timestamp;
	e->loaded_at = 0;
	pthread_mutex_unlock(&e->parent->lock);
	return timestamp;
}

static int parse_image(struct context *ctx, const u32 *image)
{
	struct lrc *lrc = &ctx->lrc;

	*lrc = (struct lrc) {
		.ring_start = image[CTX_RING_START],
		.ring_size = (image[CTX_RING_CTL] & RING_NR_PAGES) + SZ_4K,
		.tail = image[CTX_RING_TAIL] & TAIL_ADDR,
		.asid = image[CTX_ASID] & ASID_MASK,
		.root = make_u64(image[CTX_PDP0_LDW], image[CTX_PDP0_UDW]),
		.restore_bb = image[CTX_BB_PER_CTX_PTR],
		.indirect_ctx = image[CTX_CS_INDIRECT_CTX],
	};
	ctx->timestamp = make_u64(image[CTX_TIMESTAMP], image[CTX_TIMESTAMP_UDW]);
	ctx->stack[0].at = image[CTX_RING_HEAD] & HEAD_ADDR;

	if (!(image[CTX_RING_CTL] & RING_VALID) || (lrc->ring_start & (SZ_4K - 1)))
		return -EILSEQ;
	if (lrc->tail >= lrc->ring_size || ctx->stack[0].at >= lrc->ring_size)
		return -EILSEQ;
	return 0;
}

/* Where to report interrupts to, and by which vector; there with MSI-X only */
static void restore_interrupts(struct engine *e, const u32 *image)
{
	if (!engine_uses_msix(e))
		return;
	engine_reg_write(e, RING_INT_STATUS_RPT_PTR, image[CTX_INT_STATUS_REPORT_PTR]);
	engine_reg_write(e, RING_INT_SRC_RPT_PTR, image[CTX_INT_SRC_REPORT_PTR]);
	engine_reg_write(e, CS_INT_VEC, image[CTX_CS_INT_VEC_DATA]);
}

static void restore_registers(struct engine *e, const struct context *ctx)
{
	for (u32 i = 0; i < ARRAY_SIZE(ctx->gpr); i++)
		engine_reg_write(e, CS_GPR_DATA + i * 4, ctx->gpr[i]);
}

static void make_current(struct engine *e, struct context *ctx)
{
	pthread_mutex_lock(&e->parent->lock);
	e->ctx = ctx;
	e->loaded_at = engine_clock();
	pthread_mutex_unlock(&e->parent->lock);
}

int context_load(struct engine *e, struct context *ctx)
{
	u32 image[CTX_DWORDS];
	int ret;

	make_current(e, ctx);
	ret = mem_read(e, MEM_GGTT, image_address(ctx, 0), image, sizeof(image));
	if (!ret)
		ret = parse_image(ctx, image);
	if (ret) {
		log_warn("%s: context %u at %#x: no valid image (ring %#x, control %#x, head %#x, tail %#x)",
			 e->name, ctx->guc_id, ctx->lrca, ctx->lrc.ring_start,
			 ret == -EIO ? 0 : image[CTX_RING_CTL], (u32)ctx->stack[0].at,
			 ctx->lrc.tail);
		return ret;
	}
	restore_registers(e, ctx);
	restore_interrupts(e, image);
	trace(TRACE_CONTEXT, "%s: load %u asid %u ring %#x+%#x head %#x tail %#x level %u",
	      e->name, ctx->guc_id, ctx->lrc.asid, ctx->lrc.ring_start, ctx->lrc.ring_size,
	      (u32)ctx->stack[0].at, ctx->lrc.tail, ctx->level);
	return exec_restore_batches(e);
}

/* The driver queued more */
int context_read_tail(struct engine *e, struct context *ctx)
{
	u32 tail;
	int ret = mem_read32(e, MEM_GGTT, image_address(ctx, CTX_RING_TAIL), &tail);

	if (ret)
		return ret;
	tail &= TAIL_ADDR;
	if (tail >= ctx->lrc.ring_size) {
		log_warn("%s: context %u: tail %#x is beyond the ring", e->name, ctx->guc_id,
			 tail);
		return -EILSEQ;
	}
	ctx->lrc.tail = tail;
	return 0;
}

void context_save(struct engine *e, struct context *ctx)
{
	u64 timestamp = stop_time(e);

	for (u32 i = 0; i < ARRAY_SIZE(ctx->gpr); i++)
		ctx->gpr[i] = engine_reg_read(e, CS_GPR_DATA + i * 4);
	mem_write32(e, MEM_GGTT, image_address(ctx, CTX_RING_HEAD), (u32)ctx->stack[0].at);
	mem_write32(e, MEM_GGTT, image_address(ctx, CTX_TIMESTAMP_UDW),
		    upper_32_bits(timestamp));
	mem_write32(e, MEM_GGTT, image_address(ctx, CTX_TIMESTAMP), lower_32_bits(timestamp));
	trace(TRACE_CONTEXT, "%s: save %u head %#x level %u", e->name, ctx->guc_id,
	      (u32)ctx->stack[0].at, ctx->level);
	make_current(e, NULL);
}
