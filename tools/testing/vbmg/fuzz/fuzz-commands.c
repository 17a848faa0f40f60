// SPDX-License-Identifier: MIT
/*
 * Any bytes as commands, in the ring or in a batch of a user. The engines must
 * neither crash nor touch what isn't theirs, and a reset must end whatever they
 * do.
 *
 * The first byte of an input chooses engine and place, and whether faults are
 * served. The batch can write the page tables that it runs on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../tests/board.h"

#define SAVED_VRAM	0x100000	/* what each input starts with */
#define MAX_INPUT	4096
#define VA		0x100000ull	/* the first 256 KiB of the VRAM */
#define SYSTEM_VA	0x200000ull	/* 64 KiB of guest memory */
#define LARGE_VA	0x400000ull	/* 2 MiB of VRAM */
#define BATCH_VA	0x800000ull
#define TIME_LIMIT_MS	5

#define CHOICE_ENGINE	GENMASK(1, 0)
#define CHOICE_RING	BIT(2)
#define CHOICE_SERVE	BIT(3)

static struct board *board;
static u8 *saved;
static u64 batch;

/* Half of the pages can be had, but nothing is mapped for them: they fault again */
static void serve(struct board *b, const struct fault_report *fault)
{
	board_reply(b, fault, fault->va % SZ_64K == 0);
}

static void refuse(struct board *b, const struct fault_report *fault)
{
	board_reply(b, fault, true);
}

static void prepare(void)
{
	void *state;

	if (board_setup(&state))
		abort();
	board = state;
	batch = board_alloc(board, SZ_64K);
	for (u64 at = 0; at < 64 * SZ_4K; at += SZ_4K)
		board_map(board, VA + at, at, PTE_VRAM, 12);
	for (u64 at = 0; at < SZ_64K; at += SZ_4K)
		board_map(board, SYSTEM_VA + at, at, PTE_SYSTEM, 12);
	board_map(board, LARGE_VA, SZ_2M, PTE_VRAM, 21);
	board_map(board, BATCH_VA, batch, PTE_VRAM, 16);
	saved = malloc(SAVED_VRAM);
	memcpy(saved, board->vram, SAVED_VRAM);
}

static bool ended(void)
{
	return board->interrupts || board->hangs || board->cat_errors;
}

static void wait_for_end(void)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TIME_LIMIT_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&board->lock);
	while (!ended() && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&board->changed, &board->lock, &until);
	pthread_mutex_unlock(&board->lock);
}

static u32 engine_of(u8 choice)
{
	static const u32 classes[] = { GUC_RENDER, GUC_BLITTER, GUC_COMPUTE, GUC_BLITTER };

	return classes[FIELD_GET(CHOICE_ENGINE, choice)];
}

static void execute(u8 choice, const u32 *dw, u32 n)
{
	struct board_context ctx;
	u64 free_vram = board->next_free;

	board->interrupts = 0;
	board->hangs = 0;
	board->cat_errors = 0;
	board->serve = choice & CHOICE_SERVE ? serve : refuse;
	board_context(board, &ctx, 1, engine_of(choice));
	if (choice & CHOICE_RING) {
		board_emit(&ctx, dw, n);
	} else {
		memcpy(board_vram(board, batch), dw, n * 4);
		emit(&ctx, BATCH_START | BATCH_PPGTT, BATCH_VA, 0);
	}
	emit(&ctx, USER_INTERRUPT);
	board_kick(&ctx);
	wait_for_end();
	engines_reset(board->engines);
	board->next_free = free_vram;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 dw[MAX_INPUT / 4];

	if (!board)
		prepare();
	if (size < 5 || size > MAX_INPUT)
		return -1;
	memcpy(board->vram, saved, SAVED_VRAM);
	memcpy(dw, data + 1, (size - 1) & ~3ull);
	execute(data[0], dw, (u32)(size - 1) / 4);
	return 0;
}
