/* SPDX-License-Identifier: MIT */
/*
 * A board for the engines to run on in tests: VRAM, guest memory and a GGTT as
 * plain arrays, one address space, and a host that notes what it is told.
 */
#ifndef VBMG_TESTS_BOARD_H
#define VBMG_TESTS_BOARD_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../engine.h"
#include "../ppgtt.h"

#define BOARD_VRAM		(64ull << 20)
#define BOARD_RAM		(16ull << 20)
#define BOARD_GGTT		32768	/* entries; the VRAM at GGTT_VRAM */
#define GGTT_VRAM		0x400000u
#define BOARD_ASID		7
#define BOARD_FAULTS		64
#define BOARD_RING		0x4000u

/* Entry bits, as regs/xe_gtt_defs.h has them */
#define PTE_PRESENT		BIT_ULL(0)
#define PTE_RW			BIT_ULL(1)
#define PTE_64K			BIT_ULL(6)
#define PTE_PS			BIT_ULL(7)
#define PTE_NULL		BIT_ULL(9)
#define PTE_AE			BIT_ULL(10)
#define PTE_DM			BIT_ULL(11)
#define PTE_VRAM		(PTE_PRESENT | PTE_RW | PTE_DM | PTE_AE)
#define PTE_SYSTEM		(PTE_PRESENT | PTE_RW | PTE_AE)

/* Commands that most tests need */
#define NOOP			0u
#define USER_INTERRUPT		(0x02u << 23)
#define BATCH_END		(0x0au << 23)
#define BATCH_START		(0x31u << 23 | 1)
#define BATCH_PPGTT		BIT(8)
#define SDI			(0x20u << 23 | 2)
#define SDI_GGTT		(SDI | BIT(22))
#define SDI_QWORD		(0x20u << 23 | 3 | BIT(21))
#define SEMAPHORE_EQ		(0x1cu << 23 | 3 | BIT(15) | 4 << 12)

struct board {
	u8 *vram;
	u8 *ram;
	u64 *ggtt;
	struct engines *engines;
	u64 root;		/* of the address space */
	u64 next_free;		/* VRAM that nothing uses yet */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	u32 interrupts;
	u32 msix[2];		/* by vector */
	u32 enabled, disabled, gone;
	u32 hangs, cat_errors;
	struct fault_report faults[BOARD_FAULTS];
	u32 n_faults;
	/* Called for each fault, with no lock; NULL: the test answers itself */
	void (*serve)(struct board *board, const struct fault_report *fault);
	bool ram_gone;		/* pins fail */
	u32 pins;
	u32 device_reg;		/* the only register outside of engines */
};

struct board_context {
	struct board *board;
	u32 id;
	u32 ring;		/* VRAM offsets */
	u32 lrc;
	u32 tail;
};

int board_setup(void **state);
/* With more compute engines, and with times on a clock that the caller keeps */
int board_setup_with(void **state, u32 n_compute, const struct latencies *latencies,
		     struct clock *clock);
int board_teardown(void **state);

u64 board_alloc(struct board *board, u64 size);

static inline u32 ggtt_of(u64 vram)
{
	return GGTT_VRAM + (u32)vram;
}

void *board_vram(struct board *board, u64 offset);

/* Map a page of 1 << @shift bytes (12, 16 compact, 21, 30); @flags are entry bits */
void board_map(struct board *board, u64 va, u64 phys, u64 flags, u32 shift);
/* Write the leaf entry again, whatever it maps; 0 takes the page away */
void board_set_entry(struct board *board, u64 va, u64 entry, u32 shift);

/* A context on the engine of that class; registered, and enabled */
void board_context(struct board *board, struct board_context *ctx, u32 id, u32 guc_class);
/* The same on one of several: @logical counts from 0 */
void board_context_on(struct board *board, struct board_context *ctx, u32 id, u32 guc_class,
		      u32 logical);
void board_emit(struct board_context *ctx, const u32 *dw, u32 n);
/* The tail moves, the GuC tells the engine */
void board_kick(struct board_context *ctx);
/* Emit, then MI_USER_INTERRUPT, kick, and wait for the interrupt */
void board_run(struct board_context *ctx, const u32 *dw, u32 n);
/* The same without waiting */
void board_start(struct board_context *ctx, const u32 *dw, u32 n);

#define emit(ctx, ...) \
	board_emit(ctx, (const u32[]) { __VA_ARGS__ }, sizeof((u32[]) { __VA_ARGS__ }) / 4)
#define start(ctx, ...) \
	board_start(ctx, (const u32[]) { __VA_ARGS__ }, sizeof((u32[]) { __VA_ARGS__ }) / 4)
#define run(ctx, ...) \
	board_run(ctx, (const u32[]) { __VA_ARGS__ }, sizeof((u32[]) { __VA_ARGS__ }) / 4)

/* Wait until a counter of the board has reached @n; fails the test after 10 s */
void board_wait(struct board *board, const u32 *counter, u32 n);
void board_reply(struct board *board, const struct fault_report *fault, bool failed);

u32 image_dword(struct board_context *ctx, u32 dword);
/* Takes effect when the engine loads the context */
void board_set_image(struct board_context *ctx, u32 dword, u32 value);

#endif
