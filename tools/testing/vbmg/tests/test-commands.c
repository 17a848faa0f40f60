// SPDX-License-Identifier: MIT
/* What commands do to memory and registers */
#include <string.h>

#include "board.h"

#define VA		0x7f0000000000ull	/* 2 MiB of VRAM */
#define SYSTEM_VA	0x7f1000000000ull	/* guest memory from 0 on, 64 KiB */
#define BATCH_VA	0x7f2000000000ull
#define LO(va)		lower_32_bits(va)
#define HI(va)		upper_32_bits(va)

struct bench {
	struct board *board;
	struct board_context ctx;
	u8 *data;		/* what VA maps */
	u32 *batch;		/* what BATCH_VA maps */
};

static struct bench bench_on(struct board *board, u32 guc_class)
{
	struct bench b = { .board = board };
	u64 data = board_alloc(board, SZ_2M);
	u64 batch = board_alloc(board, SZ_64K);

	board_map(board, VA, data, PTE_VRAM, 21);
	for (u32 i = 0; i < 16; i++)
		board_map(board, SYSTEM_VA + i * SZ_4K, i * SZ_4K, PTE_SYSTEM, 12);
	board_map(board, BATCH_VA, batch, PTE_VRAM, 16);
	b.data = board_vram(board, data);
	b.batch = board_vram(board, batch);
	board_context(board, &b.ctx, 1, guc_class);
	return b;
}

static struct bench bench_of(void **state)
{
	return bench_on(*state, GUC_BLITTER);
}

static u32 dword(struct bench *b, u64 offset)
{
	u32 value;

	memcpy(&value, b->data + offset, 4);
	return value;
}

static u64 qword(struct bench *b, u64 offset)
{
	return make_u64(dword(b, offset), dword(b, offset + 4));
}

#define batch(b, ...) \
	memcpy((b)->batch, (const u32[]) { __VA_ARGS__ }, sizeof((u32[]) { __VA_ARGS__ }))
#define run_batch(b) \
	run(&(b)->ctx, BATCH_START | BATCH_PPGTT, LO(BATCH_VA), HI(BATCH_VA))

static void store_writes_dwords_and_qwords(void **state)
{
	struct bench b = bench_of(state);

	run(&b.ctx, SDI, LO(VA + 8), HI(VA), 0x1234,
	    SDI_QWORD, LO(VA + 16), HI(VA), 0x89abcdef, 0x01234567,
	    (0x20u << 23) | BIT(21) | 5, LO(VA + 32), HI(VA), 1, 2, 3, 4);
	assert_int_equal(dword(&b, 8), 0x1234);
	assert_int_equal(qword(&b, 16), 0x0123456789abcdef);
	assert_int_equal(qword(&b, 32), 1 | 2ull << 32);
	assert_int_equal(qword(&b, 40), 3 | 4ull << 32);
}

static void store_reaches_system_memory(void **state)
{
	struct bench b = bench_of(state);

	run(&b.ctx, SDI, LO(SYSTEM_VA + 0x2004), HI(SYSTEM_VA), 0xfeed);
	assert_int_equal(*(u32 *)(b.board->ram + 0x2004), 0xfeed);
}

static void store_reaches_the_ggtt(void **state)
{
	struct bench b = bench_of(state);
	u64 page = board_alloc(b.board, SZ_4K);

	run(&b.ctx, SDI_GGTT, ggtt_of(page), 0, 77);
	assert_int_equal(*(u32 *)board_vram(b.board, page), 77);
}

static void null_pages_swallow_and_read_zero(void **state)
{
	struct bench b = bench_of(state);

	board_map(b.board, 0x1000, 0, PTE_PRESENT | PTE_RW | PTE_NULL, 12);
	memset(b.data, 0xaa, 8);
	run(&b.ctx, SDI, 0x1000, 0, 5,
	    0x2eu << 23 | 3, LO(VA), HI(VA), 0x1000, 0);
	assert_int_equal(dword(&b, 0), 0);
	assert_int_equal(dword(&b, 4), 0xaaaaaaaa);
}

static void flush_stores_after_it(void **state)
{
	struct bench b = bench_of(state);
	u64 page = board_alloc(b.board, SZ_4K);

	run(&b.ctx, 0x26u << 23 | BIT(14) | 2, ggtt_of(page) | BIT(2), 0, 0x11,
	    0x26u << 23 | BIT(14) | 3, LO(VA), HI(VA), 0x22, 0x33,
	    0x26u << 23 | BIT(14) | BIT(21) | 2, 0x40 | BIT(2), 0, 0x44,
	    0x26u << 23 | 2, 0, 0, 0);
	assert_int_equal(*(u32 *)board_vram(b.board, page), 0x11);
	assert_int_equal(qword(&b, 0), 0x3300000022);
	assert_int_equal(*(u32 *)board_vram(b.board, b.ctx.lrc + 0x40), 0x44);
}

static void pipe_control_stores_a_qword(void **state)
{
	struct bench b = bench_on(*state, GUC_COMPUTE);

	run(&b.ctx, 0x7a000004, BIT(14), LO(VA), HI(VA), 1, 2,
	    0x7a000004, BIT(14) | BIT(21), 0x80, 0, 3, 0,
	    0x7a000004, BIT(20), 0, 0, 0, 0);
	assert_int_equal(qword(&b, 0), 1 | 2ull << 32);
	assert_int_equal(*(u32 *)board_vram(b.board, b.ctx.lrc + 0x80), 3);
}

static void batch_runs_and_returns(void **state)
{
	struct bench b = bench_of(state);

	batch(&b, SDI, LO(VA), HI(VA), 1, BATCH_END, 0xffffffff);
	run(&b.ctx, BATCH_START | BATCH_PPGTT, LO(BATCH_VA), HI(BATCH_VA),
	    SDI, LO(VA + 4), HI(VA), 2);
	assert_int_equal(qword(&b, 0), 1 | 2ull << 32);
}

/* Second level: back to after the call; otherwise the end of the target ends all */
static void batch_nests_and_jumps(void **state)
{
	struct bench b = bench_of(state);

	batch(&b, BATCH_START | BIT(22) | BATCH_PPGTT, LO(BATCH_VA + 64), HI(BATCH_VA),
	      SDI, LO(VA), HI(VA), 1,
	      BATCH_START, LO(BATCH_VA + 128), HI(BATCH_VA), 0xffffffff);
	memcpy(b.batch + 16, (const u32[]) { SDI, LO(VA + 4), HI(VA), 2, BATCH_END }, 20);
	memcpy(b.batch + 32, (const u32[]) { SDI, LO(VA + 8), HI(VA), 3, BATCH_END }, 20);
	run_batch(&b);
	assert_int_equal(qword(&b, 0), 1 | 2ull << 32);
	assert_int_equal(dword(&b, 8), 3);
}

static void ring_wraps_inside_a_command(void **state)
{
	struct bench b = bench_of(state);

	for (u32 i = 0; i < BOARD_RING / 4 - 16; i++)
		emit(&b.ctx, NOOP);
	run(&b.ctx, NOOP);
	while (b.ctx.tail != BOARD_RING - 8)
		emit(&b.ctx, NOOP);
	run(&b.ctx, SDI, LO(VA), HI(VA), 0xabc);
	assert_int_equal(dword(&b, 0), 0xabc);
}

static void conditional_end_compares(void **state)
{
	struct bench b = bench_of(state);

	/* memory is 5: "greater than 4" goes on, "greater than 5" ends the batch */
	memcpy(b.data, &(u32) { 5 }, 4);
	batch(&b, 0x36u << 23 | 2, 4, LO(VA), HI(VA),
	      SDI, LO(VA + 4), HI(VA), 1,
	      0x36u << 23 | 2, 5, LO(VA), HI(VA),
	      SDI, LO(VA + 8), HI(VA), 1, BATCH_END);
	run_batch(&b);
	assert_int_equal(dword(&b, 4), 1);
	assert_int_equal(dword(&b, 8), 0);
}

static void semaphore_waits_for_memory(void **state)
{
	struct bench b = bench_of(state);
	u32 interrupts = b.board->interrupts;

	emit(&b.ctx, SEMAPHORE_EQ, 42, LO(VA), HI(VA), 0, SDI, LO(VA + 4), HI(VA), 1,
	     USER_INTERRUPT);
	board_kick(&b.ctx);
	assert_int_equal(dword(&b, 4), 0);
	__atomic_store_n((u32 *)b.data, 42, __ATOMIC_RELEASE);
	board_wait(b.board, &b.board->interrupts, interrupts + 1);
	assert_int_equal(dword(&b, 4), 1);
}

static void registers_move(void **state)
{
	struct bench b = bench_of(state);

	memcpy(b.data, &(u32) { 0x77 }, 4);
	/* GPR 0 from the command, 1 from memory, 2 from 1 */
	run(&b.ctx, 0x22u << 23 | BIT(19) | 3, 0x600, 5, 0x604, 6,
	    0x29u << 23 | BIT(19) | 2, 0x608, LO(VA), HI(VA),
	    0x2au << 23 | BIT(18) | BIT(19) | 1, 0x608, 0x610,
	    0x24u << 23 | BIT(19) | 2, 0x604, LO(VA + 8), HI(VA),
	    0x24u << 23 | 2, 0x22610, LO(VA + 12), HI(VA));		/* absolute: bcs0 */
	assert_int_equal(dword(&b, 8), 6);
	assert_int_equal(dword(&b, 12), 0x77);
}

/* The driver's own commands reach the device's registers, a user's batch doesn't */
static void user_batches_have_no_device_registers(void **state)
{
	struct bench b = bench_of(state);

	run(&b.ctx, 0x22u << 23 | 1, 0x4000, 5);
	assert_int_equal(b.board->device_reg, 5);
	batch(&b, 0x22u << 23 | 1, 0x4000, 6,
	      0x24u << 23 | 2, 0x4000, LO(VA), HI(VA), BATCH_END);
	memset(b.data, 0xff, 4);
	run_batch(&b);
	assert_int_equal(b.board->device_reg, 5);
	assert_int_equal(dword(&b, 0), 0);
}

#define ALU(opcode, a, b)	((opcode) << 20 | (a) << 10 | (b))

static void math_computes(void **state)
{
	struct bench b = bench_of(state);

	run(&b.ctx, 0x22u << 23 | BIT(19) | 7, 0x600, 40, 0x604, 0, 0x608, 2, 0x60c, 0,
	    0x1au << 23 | 7,
	    ALU(0x080, 0x20, 0), ALU(0x080, 0x21, 1), ALU(0x100, 0, 0), ALU(0x180, 2, 0x31),
	    ALU(0x101, 0, 0), ALU(0x180, 3, 0x31), ALU(0x080, 0x20, 1), ALU(0x101, 0, 0),
	    0x1au << 23 | 0, ALU(0, 0, 0),
	    0x24u << 23 | BIT(19) | 2, 0x610, LO(VA), HI(VA),
	    0x24u << 23 | BIT(19) | 2, 0x618, LO(VA + 4), HI(VA));
	assert_int_equal(dword(&b, 0), 42);
	assert_int_equal(dword(&b, 4), 38);
}

static void atomics_change_memory(void **state)
{
	struct bench b = bench_of(state);

	memcpy(b.data, (const u32[]) { 10, 10, 10, 0, 7, 0, 9, 0 }, 32);
	run(&b.ctx, 0x2fu << 23 | 5 << 8 | 1, LO(VA), HI(VA),			/* inc */
	    0x2fu << 23 | BIT(18) | 7 << 8 | 2, LO(VA + 4), HI(VA), 5,		/* add 5 */
	    0x2fu << 23 | BIT(18) | 8 << 8 | 2, LO(VA + 8), HI(VA), 3,		/* sub 3 */
	    0x2fu << 23 | BIT(18) | BIT(19) | 0x2e << 8 | 9, LO(VA + 16), HI(VA),
	    7, 8, 0, 1, 0, 0, 0, 0,						/* 7 -> 8 | 1 << 32 */
	    0x2fu << 23 | BIT(18) | BIT(19) | 0x2e << 8 | 9, LO(VA + 24), HI(VA),
	    7, 8, 0, 1, 0, 0, 0, 0);						/* isn't 7 */
	assert_int_equal(dword(&b, 0), 11);
	assert_int_equal(dword(&b, 4), 15);
	assert_int_equal(dword(&b, 8), 7);
	assert_int_equal(qword(&b, 16), 8 | 1ull << 32);
	assert_int_equal(qword(&b, 24), 9);
}

static void fill_random(u8 *p, size_t n)
{
	u32 x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = x >> 24;
	}
}

static void copies_are_linear_paged_or_rectangles(void **state)
{
	struct bench b = bench_of(state);
	u64 dst = VA + 0x100000;

	fill_random(b.data, 0x20000);
	run(&b.ctx, 2u << 29 | 0x5au << 22 | BIT(19) | 8, 0x1ff, 0, 0, 0,	/* 128 KiB */
	    LO(VA), HI(VA), LO(dst), HI(dst), 0);
	assert_memory_equal(b.data, b.data + 0x100000, 0x20000);
	run(&b.ctx, 2u << 29 | 0x5au << 22 | 8, 9, 0, 0, 0,			/* 10 bytes */
	    LO(VA + 3), HI(VA), LO(dst + 0x20001), HI(dst), 0);
	assert_memory_equal(b.data + 3, b.data + 0x120001, 10);
	assert_int_equal(b.data[0x12000b], 0);
	run(&b.ctx, 2u << 29 | 0x5au << 22 | BIT(17) | 8, 15, 3, 63, 31,	/* 16 x 4 */
	    LO(VA), HI(VA), LO(dst + 0x40000), HI(dst), 0);
	for (u32 y = 0; y < 4; y++)
		assert_memory_equal(b.data + y * 64, b.data + 0x140000 + y * 32, 16);
	assert_int_equal(b.data[0x140010], 0);
}

static void copies_cross_apertures(void **state)
{
	struct bench b = bench_of(state);

	fill_random(b.data, 0x10000);
	run(&b.ctx, 2u << 29 | 0x5au << 22 | BIT(19) | 8, 0xff, 0, 0, 0,	/* 64 KiB */
	    LO(VA), HI(VA), LO(SYSTEM_VA), HI(SYSTEM_VA), 0);
	assert_memory_equal(b.data, b.board->ram, 0x10000);
}

static void a_copy_onto_itself_moves(void **state)
{
	struct bench b = bench_of(state);
	u8 before[512];

	fill_random(b.data, sizeof(before));
	memcpy(before, b.data, sizeof(before));
	run(&b.ctx, 2u << 29 | 0x5au << 22 | 8, sizeof(before) - 1, 0, 0, 0,
	    LO(VA), HI(VA), LO(VA + 64), HI(VA), 0);
	assert_memory_equal(b.data + 64, before, sizeof(before));
}

static void fills_are_linear_or_rectangles(void **state)
{
	struct bench b = bench_of(state);

	run(&b.ctx, 2u << 29 | 0x5bu << 22 | 5, 99, 0, 0, LO(VA), HI(VA), 0x5a000000,
	    2u << 29 | 0x5bu << 22 | BIT(17) | 5, 7, 2, 15, LO(VA + 0x1000), HI(VA), 0x11000000,
	    2u << 29 | 0x44u << 22 | 2 << 19 | 14, 63, 0, 2 << 16 | 4, LO(VA + 0x2000), HI(VA),
	    0, 0xdeadbeef, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(b.data[99], 0x5a);
	assert_int_equal(b.data[100], 0);
	assert_int_equal(b.data[0x1000 + 2 * 16 + 7], 0x11);
	assert_int_equal(b.data[0x1000 + 8], 0);
	assert_int_equal(dword(&b, 0x2000 + 64 + 12), 0xdeadbeef);
	assert_int_equal(dword(&b, 0x2000 + 16), 0);
}

static void expect_hang(struct bench *b, const u32 *dw, u32 n)
{
	board_emit(&b->ctx, dw, n);
	board_kick(&b->ctx);
	board_wait(b->board, &b->board->hangs, 1);
	assert_int_equal(b->board->interrupts, 0);
	/* Dead until registered anew, but still obedient */
	board_kick(&b->ctx);
	context_set_sched(b->board->engines, b->ctx.id, false);
	board_wait(b->board, &b->board->disabled, 1);
	context_deregister(b->board->engines, b->ctx.id);
	board_wait(b->board, &b->board->gone, 1);
}

#define hangs(b, ...) \
	expect_hang(b, (const u32[]) { __VA_ARGS__, USER_INTERRUPT }, \
		    sizeof((u32[]) { __VA_ARGS__ }) / 4 + 1)

static void unknown_commands_hang(void **state)
{
	struct bench b = bench_of(state);

	hangs(&b, 0x3fu << 23);
}

static void commands_longer_than_the_ring_hang(void **state)
{
	struct bench b = bench_of(state);

	hangs(&b, 0x20u << 23 | 0x3ff, 0, 0);
}

static void commands_too_short_hang(void **state)
{
	struct bench b = bench_of(state);

	hangs(&b, 2u << 29 | 0x5au << 22 | 2, 0, 0, 0);
}

static void batches_nest_only_so_deep(void **state)
{
	struct bench b = bench_of(state);

	batch(&b, BATCH_START | BIT(22) | BATCH_PPGTT, LO(BATCH_VA), HI(BATCH_VA));
	hangs(&b, BATCH_START | BATCH_PPGTT, LO(BATCH_VA), HI(BATCH_VA));
}

static void missing_ggtt_pages_are_memory_errors(void **state)
{
	struct bench b = bench_of(state);

	emit(&b.ctx, SDI_GGTT, 0x1000, 0, 1);
	board_kick(&b.ctx);
	board_wait(b.board, &b.board->cat_errors, 1);
}

static void writes_to_nowhere_are_swallowed(void **state)
{
	struct bench b = bench_of(state);

	board_map(b.board, 0x1000, BOARD_RAM * 2, PTE_SYSTEM, 12);
	board_map(b.board, 0x2000, BOARD_VRAM * 2, PTE_VRAM, 12);
	run(&b.ctx, SDI, 0x1000, 0, 5, SDI, 0x2000, 0, 5,
	    0x2eu << 23 | 3, LO(VA), HI(VA), 0x1000, 0);
	assert_int_equal(dword(&b, 0), 0xffffffff);
}

#define test(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(store_writes_dwords_and_qwords),
		test(store_reaches_system_memory),
		test(store_reaches_the_ggtt),
		test(null_pages_swallow_and_read_zero),
		test(flush_stores_after_it),
		test(pipe_control_stores_a_qword),
		test(batch_runs_and_returns),
		test(batch_nests_and_jumps),
		test(ring_wraps_inside_a_command),
		test(conditional_end_compares),
		test(semaphore_waits_for_memory),
		test(registers_move),
		test(user_batches_have_no_device_registers),
		test(math_computes),
		test(atomics_change_memory),
		test(copies_are_linear_paged_or_rectangles),
		test(copies_cross_apertures),
		test(a_copy_onto_itself_moves),
		test(fills_are_linear_or_rectangles),
		test(unknown_commands_hang),
		test(commands_longer_than_the_ring_hang),
		test(commands_too_short_hang),
		test(batches_nest_only_so_deep),
		test(missing_ggtt_pages_are_memory_errors),
		test(writes_to_nowhere_are_swallowed),
	};

	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
