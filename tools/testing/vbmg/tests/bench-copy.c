// SPDX-License-Identifier: MIT
/*
 * What the model adds to a copy: 64 MiB through page tables, TLB and pins
 * against one memcpy() of the same bytes. 'make bench' prints both and the
 * ratio, in CPU time and of the best of several rounds: others use the machine,
 * too.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "board.h"

#define VRAM_VA		0x7f0000000000ull
#define SYSTEM_VA	0x7f1000000000ull
#define SIZE		(8ull << 20)	/* of each copy */
#define COPIES		8
#define ROUNDS		10
#define PAGES		(SIZE / 256)	/* units of MEM_COPY's page mode */
#define LO(va)		lower_32_bits(va)
#define HI(va)		upper_32_bits(va)

/* Of all threads: the engine's that copies, and ours that waits for it */
static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static double memcpy_ms(struct board *board, u64 vram)
{
	double start = cpu_ms();

	for (u32 i = 0; i < COPIES; i++) {
		memcpy(board->ram, board_vram(board, vram), SIZE);
		/* The compiler must not think that one is enough */
		__asm__ volatile("" : : : "memory");
	}
	return cpu_ms() - start;
}

static double engine_ms(struct board_context *ctx, u64 src, u64 dst)
{
	double start = cpu_ms();

	for (u32 i = 0; i < COPIES - 1; i++)
		emit(ctx, 2u << 29 | 0x5au << 22 | BIT(19) | 8, PAGES - 1, 0, 0, 0,
		     LO(src), HI(src), LO(dst), HI(dst), 0);
	run(ctx, 2u << 29 | 0x5au << 22 | BIT(19) | 8, PAGES - 1, 0, 0, 0,
	    LO(src), HI(src), LO(dst), HI(dst), 0);
	return cpu_ms() - start;
}

static void keep_best(double *best, double ms)
{
	*best = min(*best, ms);
}

static void copy(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u64 vram = board_alloc(board, SIZE);
	u64 second = board_alloc(board, SIZE);
	double base = 1e9, out = 1e9, back = 1e9, within = 1e9;

	for (u64 at = 0; at < SIZE; at += SZ_2M) {
		board_map(board, VRAM_VA + at, vram + at, PTE_VRAM, 21);
		board_map(board, VRAM_VA + SIZE + at, second + at, PTE_VRAM, 21);
	}
	for (u64 at = 0; at < SIZE; at += SZ_4K)
		board_map(board, SYSTEM_VA + at, at, PTE_SYSTEM, 12);
	memset(board_vram(board, vram), 1, 2 * SIZE);
	memset(board->ram, 2, SIZE);
	board_context(board, &ctx, 1, GUC_BLITTER);

	for (u32 i = 0; i < ROUNDS; i++) {
		keep_best(&base, memcpy_ms(board, vram));
		keep_best(&out, engine_ms(&ctx, VRAM_VA, SYSTEM_VA));
		keep_best(&back, engine_ms(&ctx, SYSTEM_VA, VRAM_VA));
		keep_best(&within, engine_ms(&ctx, VRAM_VA, VRAM_VA + SIZE));
	}
	printf("# ms for 64 MiB: memcpy %.1f; VRAM to system %.1f, back %.1f, within VRAM %.1f\n",
	       base, out, back, within);
	printf("# the model takes %.2f times a memcpy\n", max(out, max(back, within)) / base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copy, board_setup, board_teardown),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
