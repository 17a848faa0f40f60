// SPDX-License-Identifier: MIT
/* Contexts: registered, switched, stopped, forgotten */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "board.h"

#define VA		0x7f0000000000ull
#define LO(va)		lower_32_bits(va)
#define HI(va)		upper_32_bits(va)
#define RING_HEAD	0x05
#define BB_PER_CTX	0x13
#define TIMESTAMP	0x23
#define INT_STATUS_PTR	0x57
#define INT_SOURCE_PTR	0x59
#define INT_VECTOR	0x5b
#define BCS0_GFX_MODE	0x2229c
#define MSIX_ENABLE	BIT(13)
#define BCS_SOURCE	15

static u32 *map_page(struct board *board)
{
	u64 page = board_alloc(board, SZ_4K);

	board_map(board, VA, page, PTE_VRAM, 12);
	return board_vram(board, page);
}

static int add(struct board *board, u32 id, u32 class, u32 mask)
{
	return context_register(board->engines, &(struct context_desc) {
		.guc_id = id, .guc_class = class, .logical_mask = mask, .lrca = 0x400000,
	});
}

static void only_what_exists_can_be_registered(void **state)
{
	struct board *board = *state;

	assert_int_equal(add(board, 1, GUC_BLITTER, 1), 0);
	assert_int_equal(add(board, 1, GUC_BLITTER, 1), -EEXIST);
	assert_int_equal(add(board, 2, GUC_BLITTER, 4), -EINVAL);
	assert_int_equal(add(board, 2, GUC_COMPUTE, 2), -EINVAL);
	assert_int_equal(add(board, 2, 99, 1), -EINVAL);
	assert_int_equal(add(board, 65536, GUC_RENDER, 1), -EINVAL);
	assert_int_equal(add(board, 65535, GUC_RENDER, 1), 0);
	assert_int_equal(context_kick(board->engines, 2), -ENOENT);
	assert_int_equal(context_set_sched(board->engines, ~0u, true), -ENOENT);
	assert_int_equal(context_deregister(board->engines, 2), -ENOENT);
}

static void the_image_is_saved_when_the_ring_is_empty(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_RENDER);
	run(&ctx, NOOP);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	assert_int_equal(image_dword(&ctx, RING_HEAD), ctx.tail);
	assert_int_not_equal(image_dword(&ctx, TIMESTAMP), 0);
}

/* With MSI-X a page says who it was: status and source, of the first of the class */
static void interrupts_are_reported_to_memory(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u32 page = (u32)board_alloc(board, SZ_4K);
	const u8 *report = board_vram(board, page);

	assert_true(engines_mmio_write(board->engines, BCS0_GFX_MODE, MSIX_ENABLE << 16 |
				       MSIX_ENABLE));
	board_context(board, &ctx, 1, GUC_BLITTER);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	board_set_image(&ctx, INT_STATUS_PTR, ggtt_of(page));
	board_set_image(&ctx, INT_SOURCE_PTR, ggtt_of(page) + 0x400);
	board_set_image(&ctx, INT_VECTOR, 1 << 16 | 1);
	context_set_sched(board->engines, 1, true);
	board_wait(board, &board->enabled, 2);

	emit(&ctx, USER_INTERRUPT);
	board_kick(&ctx);
	board_wait(board, &board->msix[1], 1);
	assert_int_equal(report[BCS_SOURCE * 16], 0xff);
	assert_int_equal(report[0x400 + BCS_SOURCE], 0xff);
	assert_int_equal(report[0x400 + BCS_SOURCE - 1] | report[0x400 + BCS_SOURCE + 1], 0);
	assert_int_equal(board->interrupts + board->msix[0], 0);
}

static void nothing_runs_while_disabled(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u32 *page = map_page(board);

	board_context(board, &ctx, 1, GUC_RENDER);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	emit(&ctx, SDI, LO(VA), HI(VA), 1, USER_INTERRUPT);
	board_kick(&ctx);
	context_set_sched(board->engines, 1, true);
	board_wait(board, &board->interrupts, 1);
	assert_int_equal(*page, 1);
}

/* Each writes its turn; neither can finish without the other */
static void contexts_take_turns_on_an_engine(void **state)
{
	struct board *board = *state;
	struct board_context a, b;
	u32 *page = map_page(board);

	board_context(board, &a, 1, GUC_RENDER);
	board_context(board, &b, 2, GUC_RENDER);
	for (u32 i = 0; i < 20; i++) {
		emit(&a, SDI, LO(VA), HI(VA), i + 1, SEMAPHORE_EQ, i + 1, LO(VA + 4), HI(VA), 0);
		emit(&b, SEMAPHORE_EQ, i + 1, LO(VA), HI(VA), 0, SDI, LO(VA + 4), HI(VA), i + 1);
	}
	emit(&a, USER_INTERRUPT);
	emit(&b, USER_INTERRUPT);
	board_kick(&a);
	board_kick(&b);
	board_wait(board, &board->interrupts, 2);
	assert_int_equal(page[0], 20);
	assert_int_equal(page[1], 20);
}

/* Until the engine has written it */
static void wait_for_write(const u32 *dword)
{
	time_t until = time(NULL) + 10;

	while (!__atomic_load_n(dword, __ATOMIC_ACQUIRE)) {
		assert_true(time(NULL) <= until);
		sched_yield();
	}
}

/* The batch is running on return: a look at an empty ring isn't mistaken for it */
static u32 *spin(struct board *board, struct board_context *ctx)
{
	u64 batch = board_alloc(board, SZ_4K);
	u32 *dw = board_vram(board, batch);
	u64 va = VA + SZ_64K;

	board_map(board, va, batch, PTE_VRAM, 12);
	memcpy(dw, (const u32[]) { BATCH_START, LO(va), HI(va), BATCH_END, 0 }, 20);
	emit(ctx, SDI, LO(va) + 16, HI(va), 1,
	     BATCH_START | BATCH_PPGTT, LO(va), HI(va), USER_INTERRUPT);
	board_kick(ctx);
	wait_for_write(dw + 4);
	return dw;
}

static void an_endless_batch_can_be_stopped_and_goes_on(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u32 *batch;

	board_context(board, &ctx, 1, GUC_COMPUTE);
	batch = spin(board, &ctx);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	assert_int_equal(board->interrupts, 0);
	__atomic_store_n(batch, BATCH_END, __ATOMIC_RELEASE);
	context_set_sched(board->engines, 1, true);
	board_wait(board, &board->interrupts, 1);
}

static void an_endless_batch_leaves_time_for_others(void **state)
{
	struct board *board = *state;
	struct board_context endless, other;

	board_context(board, &endless, 1, GUC_COMPUTE);
	board_context(board, &other, 2, GUC_COMPUTE);
	spin(board, &endless);
	run(&other, NOOP);
	context_deregister(board->engines, 1);
	board_wait(board, &board->gone, 1);
}

static void one_engine_can_be_reset(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_COMPUTE);
	spin(board, &ctx);
	engine_reset_one(board->engines, ENGINE_COPY, 0);
	engine_reset_one(board->engines, ENGINE_COMPUTE, 0);
	board_wait(board, &board->hangs, 1);
	assert_int_equal(board->interrupts, 0);
}

static void the_timestamp_runs_while_loaded(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u32 lo, later;

	board_context(board, &ctx, 1, GUC_COMPUTE);
	spin(board, &ctx);
	assert_true(engines_mmio_read(board->engines, 0x1a3a8, &lo));
	do {
		engines_mmio_read(board->engines, 0x1a3a8, &later);
	} while (later == lo);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	assert_true(image_dword(&ctx, TIMESTAMP) >= later);
}

/* The driver's workaround batch notes which engine has the context */
static void the_restore_batch_runs_before_the_ring(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u64 wa = board_alloc(board, SZ_4K);
	u64 out = board_alloc(board, SZ_4K);
	u32 *noted = board_vram(board, out);

	memcpy(board_vram(board, wa), (const u32[]) {
		0x24u << 23 | BIT(22) | BIT(19) | 2, 0x8c, ggtt_of(out), 0, BATCH_END }, 20);
	board_context(board, &ctx, 1, GUC_COMPUTE);
	*(u32 *)board_vram(board, ctx.lrc + SZ_4K + BB_PER_CTX * 4) = ggtt_of(wa) | 1;
	run(&ctx, NOOP);
	assert_int_equal(*noted, ENGINE_COMPUTE);
}

static void a_bad_image_is_a_hang(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_COMPUTE);
	*(u32 *)board_vram(board, ctx.lrc + SZ_4K + 0x0b * 4) = 0;
	emit(&ctx, USER_INTERRUPT);
	board_kick(&ctx);
	board_wait(board, &board->hangs, 1);
}

static void general_registers_belong_to_the_context(void **state)
{
	struct board *board = *state;
	struct board_context a, b;
	u32 *page = map_page(board);

	board_context(board, &a, 1, GUC_RENDER);
	board_context(board, &b, 2, GUC_RENDER);
	run(&a, 0x22u << 23 | BIT(19) | 1, 0x600, 11);
	run(&b, 0x22u << 23 | BIT(19) | 1, 0x600, 22);
	run(&a, 0x24u << 23 | BIT(19) | 2, 0x600, LO(VA), HI(VA));
	assert_int_equal(*page, 11);
}

static void a_reset_forgets_without_a_word(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_COMPUTE);
	spin(board, &ctx);
	engines_reset(board->engines);
	assert_int_equal(board->gone + board->disabled + board->hangs, 0);
	assert_int_equal(context_kick(board->engines, 1), -ENOENT);
	board_context(board, &ctx, 1, GUC_COMPUTE);
	run(&ctx, NOOP);
}

static void registers_are_masked_or_plain(void **state)
{
	struct board *board = *state;
	u32 value;

	assert_true(engines_mmio_write(board->engines, 0x2244, 0x00090009));
	assert_true(engines_mmio_write(board->engines, 0x2244, 0x00010000));
	assert_true(engines_mmio_read(board->engines, 0x2244, &value));
	assert_int_equal(value, 8);
	assert_true(engines_mmio_write(board->engines, 0x3ee080, 0x12345));
	assert_true(engines_mmio_read(board->engines, 0x3ee080, &value));
	assert_int_equal(value, 0x12345);
	assert_true(engines_mmio_read(board->engines, 0x3ee08c, &value));
	assert_int_equal(value, 8 << 4 | ENGINE_COPY);
	assert_true(engines_mmio_read(board->engines, 0x22054, &value));
	assert_int_not_equal(value, 0);
	assert_false(engines_mmio_read(board->engines, 0x1c08c, &value));
}

#define test(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(only_what_exists_can_be_registered),
		test(the_image_is_saved_when_the_ring_is_empty),
		test(interrupts_are_reported_to_memory),
		test(nothing_runs_while_disabled),
		test(contexts_take_turns_on_an_engine),
		test(an_endless_batch_can_be_stopped_and_goes_on),
		test(an_endless_batch_leaves_time_for_others),
		test(one_engine_can_be_reset),
		test(the_timestamp_runs_while_loaded),
		test(the_restore_batch_runs_before_the_ring),
		test(a_bad_image_is_a_hang),
		test(general_registers_belong_to_the_context),
		test(a_reset_forgets_without_a_word),
		test(registers_are_masked_or_plain),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
