// SPDX-License-Identifier: MIT
/*
 * Registers of the engines, at engine->base; offsets from regs/xe_engine_regs.h.
 * Most are plain storage. The driver reads and writes them by MMIO, commands by
 * MI_LOAD_REGISTER_* and friends.
 */
#include <time.h>

#include "engine-private.h"

#define RING_PSMI_CTL		0x050
#define RING_PWRCTX_MAXCNT	0x054
#define ENGINE_ID		0x08c
#define RING_MI_MODE		0x09c
#define INSTPM			0x0c0
#define RING_CMD_CCTL		0x0c4
#define CSFE_CHICKEN1		0x0d4
#define CS_DEBUG_MODE2		0x0d8
#define FF_SLICE_CS_CHICKEN1	0x0e0
#define CS_DEBUG_MODE1		0x0ec
#define BCS_SWCTRL		0x200
#define RING_CONTEXT_CONTROL	0x244
#define RING_TIMESTAMP		0x358
#define RING_TIMESTAMP_UDW	0x35c
#define RING_CTX_TIMESTAMP	0x3a8
#define RING_CTX_TIMESTAMP_UDW	0x3ac
#define CS_GPR_DATA		0x600

#define IDLE_WAIT_TIME		0x40	/* must be more than RING_IDLEDLY, which is 0 */

/* The upper half of a write says which bits of the lower half change */
static bool is_masked(u32 offset)
{
	switch (offset) {
	case RING_PSMI_CTL:
	case RING_MI_MODE:
	case INSTPM:
	case RING_CMD_CCTL:
	case CSFE_CHICKEN1:
	case CS_DEBUG_MODE2:
	case FF_SLICE_CS_CHICKEN1:
	case CS_DEBUG_MODE1:
	case BCS_SWCTRL:
	case RING_CONTEXT_CONTROL:
	case GFX_MODE:
		return true;
	default:
		return false;
	}
}

static bool is_constant(u32 offset)
{
	switch (offset) {
	case ENGINE_ID:
	case RING_TIMESTAMP:
	case RING_TIMESTAMP_UDW:
	case RING_CTX_TIMESTAMP:
	case RING_CTX_TIMESTAMP_UDW:
		return true;
	default:
		return false;
	}
}

u64 engine_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* 19.2 MHz is 12 ticks in 625 ns */
	return now.tv_sec * 19200000ull + now.tv_nsec * 12ull / 625;
}

void engine_regs_reset(struct engine *e)
{
	for (u32 i = 0; i < ENGINE_REGS; i++)
		__atomic_store_n(&e->regs[i], 0, __ATOMIC_RELAXED);
	e->regs[RING_PWRCTX_MAXCNT / 4] = IDLE_WAIT_TIME;
}

/* @offset is relative to the engine's base and less than 4 KiB */
u32 engine_reg_read(struct engine *e, u32 offset)
{
	switch (offset) {
	case ENGINE_ID:
		return e->instance << 4 | e->class;
	case RING_TIMESTAMP:
		return lower_32_bits(engine_clock());
	case RING_TIMESTAMP_UDW:
		return upper_32_bits(engine_clock());
	case RING_CTX_TIMESTAMP:
		return lower_32_bits(context_live_timestamp(e));
	case RING_CTX_TIMESTAMP_UDW:
		return upper_32_bits(context_live_timestamp(e));
	default:
		return __atomic_load_n(&e->regs[offset / 4], __ATOMIC_RELAXED);
	}
}

void engine_reg_write(struct engine *e, u32 offset, u32 value)
{
	u32 *reg = &e->regs[offset / 4];

	if (is_constant(offset))
		return;
	if (is_masked(offset)) {
		u32 mask = value >> 16;

		value = (*reg & ~mask) | (value & mask & 0xffff);
	}
	__atomic_store_n(reg, value, __ATOMIC_RELAXED);
}

u64 engine_gpr(struct engine *e, u32 n)
{
	const u32 *gpr = &e->regs[CS_GPR_DATA / 4 + n * 2];

	return make_u64(gpr[0], gpr[1]);
}

void engine_gpr_set(struct engine *e, u32 n, u64 value)
{
	engine_reg_write(e, CS_GPR_DATA + n * 8, lower_32_bits(value));
	engine_reg_write(e, CS_GPR_DATA + n * 8 + 4, upper_32_bits(value));
}

static struct engine *engine_at(struct engines *engines, u32 offset)
{
	for (u32 i = 0; i < engines->n; i++) {
		if (offset - engines->engine[i].base < ENGINE_REGS * 4)
			return &engines->engine[i];
	}
	return NULL;
}

bool engines_mmio_read(struct engines *engines, u32 offset, u32 *value)
{
	struct engine *e = engine_at(engines, offset);

	if (e)
		*value = engine_reg_read(e, (offset - e->base) & ~3u);
	return e;
}

bool engines_mmio_write(struct engines *engines, u32 offset, u32 value)
{
	struct engine *e = engine_at(engines, offset);

	if (e)
		engine_reg_write(e, (offset - e->base) & ~3u, value);
	return e;
}
