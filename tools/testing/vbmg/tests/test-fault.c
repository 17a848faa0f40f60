// SPDX-License-Identifier: MIT
/* Faults: reported, answered, retried; and the TLB as the engines use it */
#include <string.h>

#include "board.h"

#define VA		0x7f0000000000ull
#define LO(va)		lower_32_bits(va)
#define HI(va)		upper_32_bits(va)

/* The host maps the page that is asked for, identically, and says so */
static void map_and_serve(struct board *board, const struct fault_report *fault)
{
	board_map(board, fault->va, fault->va & 0xffffff, PTE_SYSTEM, 12);
	board_reply(board, fault, false);
}

static void refuse(struct board *board, const struct fault_report *fault)
{
	board_reply(board, fault, true);
}

static void expect(const struct fault_report *f, u64 va, enum fault_access access,
		   enum fault_type type, u32 level)
{
	assert_int_equal(f->va, va);
	assert_int_equal(f->asid, BOARD_ASID);
	assert_int_equal(f->access, access);
	assert_int_equal(f->type, type);
	assert_int_equal(f->level, level);
	assert_int_equal(f->engine_class, ENGINE_COPY);
	assert_int_equal(f->engine_instance, 0);
}

static void a_missing_page_is_asked_for_and_written(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board->serve = map_and_serve;
	run(&ctx, SDI, LO(VA + 0x5008), HI(VA), 42);
	assert_int_equal(board->n_faults, 1);
	expect(&board->faults[0], VA + 0x5000, FAULT_WRITE, FAULT_NOT_PRESENT, 4);
	assert_int_equal(*(u32 *)(board->ram + 0x5008), 42);
}

static void an_engine_does_nothing_until_the_answer(void **state)
{
	struct board *board = *state;
	struct board_context ctx, other;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_context(board, &other, 2, GUC_COMPUTE);
	start(&ctx, SDI, LO(VA), HI(VA), 42);
	board_wait(board, &board->n_faults, 1);
	/* Other engines go on meanwhile */
	run(&other, NOOP);
	assert_int_equal(board->interrupts, 1);
	map_and_serve(board, &board->faults[0]);
	board_wait(board, &board->interrupts, 2);
	assert_int_equal(*(u32 *)board->ram, 42);
}

static void the_first_fault_may_be_the_batch_itself(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	memcpy(board->ram + 0x3000, (const u32[]) { SDI, LO(VA), HI(VA), 5, BATCH_END }, 20);
	board_context(board, &ctx, 1, GUC_BLITTER);
	board->serve = map_and_serve;
	run(&ctx, BATCH_START | BATCH_PPGTT, LO(VA + 0x3000), HI(VA));
	assert_int_equal(board->n_faults, 2);
	expect(&board->faults[0], VA + 0x3000, FAULT_READ, FAULT_NOT_PRESENT, 4);
	expect(&board->faults[1], VA, FAULT_WRITE, FAULT_NOT_PRESENT, 0);
}

static void upgrade(struct board *board, const struct fault_report *fault)
{
	board_map(board, fault->va, 0x1000, PTE_SYSTEM, 12);
	board_reply(board, fault, false);
}

static void read_only_and_no_atomics_are_violations(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board->serve = upgrade;
	board_map(board, VA, 0x1000, PTE_PRESENT, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 42);
	expect(&board->faults[0], VA, FAULT_WRITE, FAULT_WRITE_VIOLATION, 0);

	board_map(board, VA + SZ_4K, 0x1000, PTE_PRESENT | PTE_RW, 12);
	run(&ctx, 0x2fu << 23 | 5 << 8 | 1, LO(VA + SZ_4K), HI(VA));
	expect(&board->faults[1], VA + SZ_4K, FAULT_ATOMIC, FAULT_ATOMIC_VIOLATION, 0);
	assert_int_equal(*(u32 *)(board->ram + 0x1000), 43);
}

static void a_refused_fault_ends_the_context(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	struct engine_stats stats;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board->serve = refuse;
	start(&ctx, SDI, LO(VA), HI(VA), 42);
	board_wait(board, &board->cat_errors, 1);
	assert_int_equal(board->interrupts, 0);
	engines_stats(board->engines, &stats);
	assert_int_equal(stats.faults_failed, 1);
}

static void a_copy_goes_on_where_it_faulted(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	for (u32 i = 0; i < 0x40000; i++)
		board->ram[i] = (u8)(i * 7 + i / 256);
	board_context(board, &ctx, 1, GUC_BLITTER);
	board->serve = map_and_serve;
	run(&ctx, 2u << 29 | 0x5au << 22 | BIT(19) | 8, 0x3ff, 0, 0, 0,
	    LO(VA), HI(VA), LO(VA + 0x100000), HI(VA), 0);
	assert_memory_equal(board->ram, board->ram + 0x100000, 0x40000);
	/* Each page was asked for once at most */
	assert_true(board->n_faults <= 2 * 64);
}

/* A blitter has several pages in flight; answers come in any order */
static void a_copy_asks_for_several_pages_at_once(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_map(board, VA, 0, PTE_SYSTEM, 12);
	board_map(board, VA, 0, 0, 12);
	start(&ctx, 2u << 29 | 0x5bu << 22 | 5, 0x2ffff, 0, 0, LO(VA), HI(VA), 0x5a000000);
	board_wait(board, &board->n_faults, 3);
	assert_int_equal(board->faults[1].va, VA + SZ_64K);
	assert_int_equal(board->faults[2].va, VA + 2 * SZ_64K);
	for (u32 va = 0; va < 0x30000; va += SZ_4K)
		board_map(board, VA + va, va, PTE_SYSTEM, 12);
	board_reply(board, &board->faults[2], false);
	board_reply(board, &board->faults[0], false);
	assert_int_equal(board->interrupts, 0);
	board_reply(board, &board->faults[1], false);
	board_wait(board, &board->interrupts, 1);
	assert_int_equal(board->ram[0x2ffff], 0x5a);
}

static int six_setup(void **state)
{
	return board_setup_with(state, 4, &(struct latencies) { 0 }, NULL);
}

/* Each of the driver's engines that user space may have */
static void six_engines_fault_at_once(void **state)
{
	static const struct {
		u32 guc_class, logical;
	} places[] = {
		{ GUC_RENDER, 0 }, { GUC_BLITTER, 0 }, { GUC_COMPUTE, 0 },
		{ GUC_COMPUTE, 1 }, { GUC_COMPUTE, 2 }, { GUC_COMPUTE, 3 },
	};
	struct board *board = *state;
	struct board_context ctx[6];
	u32 computes = 0;

	for (u32 i = 0; i < 6; i++) {
		u64 va = VA + i * SZ_4K;

		board_context_on(board, &ctx[i], i, places[i].guc_class, places[i].logical);
		start(&ctx[i], SDI, LO(va), HI(va), i + 1);
	}
	board_wait(board, &board->n_faults, 6);
	assert_int_equal(board->interrupts, 0);
	for (u32 i = 0; i < 6; i++) {
		const struct fault_report *fault = &board->faults[i];

		if (fault->engine_class == ENGINE_COMPUTE)
			computes |= BIT(fault->engine_instance);
		map_and_serve(board, fault);
	}
	assert_int_equal(computes, 0xf);
	board_wait(board, &board->interrupts, 6);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(*(u32 *)(board->ram + i * SZ_4K), i + 1);
}

static void a_stray_answer_is_counted(void **state)
{
	struct board *board = *state;
	struct fault_report nothing = { .pdata = 5 };
	struct engine_stats stats;

	board_reply(board, &nothing, false);
	engines_stats(board->engines, &stats);
	assert_int_equal(stats.stray_replies, 1);
}

static void a_reset_ends_a_fault(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	start(&ctx, SDI, LO(VA), HI(VA), 42);
	board_wait(board, &board->n_faults, 1);
	engines_reset(board->engines);
	assert_int_equal(context_kick(board->engines, 1), -2);
	/* Nothing is left over for the next one */
	board->serve = map_and_serve;
	board_context(board, &ctx, 1, GUC_BLITTER);
	run(&ctx, SDI, LO(VA), HI(VA), 43);
	assert_int_equal(*(u32 *)board->ram, 43);
}

static void a_disable_waits_for_the_answer(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	start(&ctx, SDI, LO(VA), HI(VA), 42);
	board_wait(board, &board->n_faults, 1);
	context_set_sched(board->engines, 1, false);
	assert_int_equal(board->disabled, 0);
	map_and_serve(board, &board->faults[0]);
	board_wait(board, &board->disabled, 1);
}

/* The old page until the invalidation, the new one from then on */
static void stale_translations_last_until_invalidated(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_map(board, VA, 0x1000, PTE_SYSTEM, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 1);
	board_map(board, VA, 0x2000, PTE_SYSTEM, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 2);
	assert_int_equal(*(u32 *)(board->ram + 0x1000), 2);
	assert_int_equal(*(u32 *)(board->ram + 0x2000), 0);

	engines_tlb_invalidate(board->engines, &(struct tlb_invalidation) {
		.scope = TLB_RANGE, .asid = BOARD_ASID, .start = VA, .size = SZ_4K,
	});
	run(&ctx, SDI, LO(VA), HI(VA), 3);
	assert_int_equal(*(u32 *)(board->ram + 0x1000), 2);
	assert_int_equal(*(u32 *)(board->ram + 0x2000), 3);
}

static void flushes_in_the_ring_invalidate(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_map(board, VA, 0x1000, PTE_SYSTEM, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 1);
	board_map(board, VA, 0x2000, PTE_SYSTEM, 12);
	run(&ctx, 0x26u << 23 | BIT(18) | 2, 0, 0, 0, SDI, LO(VA), HI(VA), 2);
	assert_int_equal(*(u32 *)(board->ram + 0x2000), 2);
}

/* The driver doesn't invalidate for contexts that it stopped meanwhile */
static void enabling_a_context_invalidates(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_map(board, VA, 0x1000, PTE_SYSTEM, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 1);
	context_set_sched(board->engines, 1, false);
	board_wait(board, &board->disabled, 1);
	board_map(board, VA, 0x2000, PTE_SYSTEM, 12);
	context_set_sched(board->engines, 1, true);
	board_wait(board, &board->enabled, 2);
	run(&ctx, SDI, LO(VA), HI(VA), 2);
	assert_int_equal(*(u32 *)(board->ram + 0x2000), 2);
}

/* More rights in the table need no invalidation: the hardware looks again */
static void gained_rights_need_no_invalidation(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_map(board, VA, 0x1000, PTE_PRESENT, 12);
	run(&ctx, 0x2eu << 23 | 3 | BIT(21), ggtt_of(0), 0, LO(VA), HI(VA));
	board_map(board, VA, 0x1000, PTE_SYSTEM, 12);
	run(&ctx, SDI, LO(VA), HI(VA), 9);
	assert_int_equal(board->n_faults, 0);
	assert_int_equal(*(u32 *)(board->ram + 0x1000), 9);
}

#define test(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_missing_page_is_asked_for_and_written),
		test(an_engine_does_nothing_until_the_answer),
		test(the_first_fault_may_be_the_batch_itself),
		test(read_only_and_no_atomics_are_violations),
		test(a_refused_fault_ends_the_context),
		test(a_copy_goes_on_where_it_faulted),
		test(a_copy_asks_for_several_pages_at_once),
		cmocka_unit_test_setup_teardown(six_engines_fault_at_once, six_setup,
						board_teardown),
		test(a_stray_answer_is_counted),
		test(a_reset_ends_a_fault),
		test(a_disable_waits_for_the_answer),
		test(stale_translations_last_until_invalidated),
		test(flushes_in_the_ring_invalidate),
		test(enabling_a_context_invalidates),
		test(gained_rights_need_no_invalidation),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
