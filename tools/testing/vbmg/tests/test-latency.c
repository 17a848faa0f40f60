// SPDX-License-Identifier: MIT
/* Modelled time: how it is written, and what waits for it. The clock is the test's */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board.h"
#include "fake-clock.h"
#include "../delay.h"

#define VA		0x7f0000000000ull
#define LO(va)		lower_32_bits(va)
#define HI(va)		upper_32_bits(va)
/*
 * The text
 */

static void every_part_can_be_set(void **state)
{
	struct latencies l = { 0 };
	char why[LATENCY_WHY];

	(void)state;
	assert_false(latencies_any(&l));
	assert_true(latencies_parse(&l, "tlb=20us,copy=5us+10GB/s,pte=250ns,fault=1.5ms,reply=0us",
				    why));
	assert_int_equal(l.part[LATENCY_TLB].ns, 20 * US);
	assert_int_equal(l.part[LATENCY_COPY].ns, 5 * US);
	assert_int_equal(l.part[LATENCY_COPY].bytes_per_s, 10000000000);
	assert_int_equal(l.part[LATENCY_PTE].ns, 250);
	assert_int_equal(l.part[LATENCY_PTE].bytes_per_s, 0);
	assert_int_equal(l.part[LATENCY_FAULT].ns, 1500 * US);
	assert_int_equal(l.part[LATENCY_REPLY].ns, 0);
	assert_true(latencies_any(&l));
}

static void the_last_option_wins_for_its_parts(void **state)
{
	struct latencies l = { 0 };
	char why[LATENCY_WHY];

	(void)state;
	assert_true(latencies_parse(&l, "copy=5us+10GB/s,tlb=1us", why));
	assert_true(latencies_parse(&l, "copy=500MB/s", why));
	assert_int_equal(l.part[LATENCY_COPY].ns, 0);
	assert_int_equal(l.part[LATENCY_COPY].bytes_per_s, 500000000);
	assert_int_equal(l.part[LATENCY_TLB].ns, US);
}

static void the_limits_are_allowed(void **state)
{
	struct latencies l = { 0 };
	char why[LATENCY_WHY];

	(void)state;
	assert_true(latencies_parse(&l, "tlb=1000ms,copy=1MB/s,pte=1000GB/s", why));
}

static void a_rate_makes_bytes_take_time(void **state)
{
	const struct latency latency = { .bytes_per_s = 10000000000 };

	(void)state;
	assert_int_equal(latency_of_bytes(&latency, 1 << 20), 104857);
	assert_int_equal(latency_of_bytes(&(struct latency) { .ns = 5 }, 1 << 20), 0);
}

static void what_is_wrong_is_told(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "it is tlb, copy, pte, fault or reply" },
		{ "disk=1ms", "'disk' has no latency" },
		{ "TLB=1us", "'TLB' has no latency" },
		{ "tlb", "'' of tlb: a number with ns, us or ms is wanted" },
		{ "tlb=20", "'20' of tlb: a number" },
		{ "tlb=20 us", "'20 us' of tlb" },
		{ "tlb=-1us", "'-1us' of tlb" },
		{ "tlb=1e3us", "'1e3us' of tlb" },
		{ "tlb=0x10us", "'0x10us' of tlb" },
		{ "tlb=infus", "'infus' of tlb" },
		{ "tlb=1.us", "'1.us' of tlb" },
		{ "tlb=1s", "'1s' of tlb" },
		{ "tlb=1000.1ms", "at most 1000ms" },
		{ "tlb=1us,", "'' has no latency" },
		{ ",tlb=1us", "'' has no latency" },
		{ "tlb=1us,tlb=2us", "'tlb' is given twice" },
		{ "tlb=1us+1GB/s", "tlb has no bytes" },
		{ "fault=1GB/s", "fault has no bytes" },
		{ "copy=1", "or with MB/s or GB/s" },
		{ "copy=0.9MB/s", "1MB/s to 1000GB/s" },
		{ "copy=1001GB/s", "1MB/s to 1000GB/s" },
		{ "copy=5us+", "'' of copy" },
		{ "copy=1GB/s+5us", "before '+' comes a time" },
		{ "copy=1us+2us", "before '+' comes a time" },
		{ "copy=1us+1GB/s+1GB/s", "of copy" },
	};
	struct latencies l = { .part[LATENCY_TLB].ns = 7 };
	const struct latencies before = l;
	char why[LATENCY_WHY];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(latencies_parse(&l, bad[i].text, why));
		if (!strstr(why, bad[i].why))
			fail_msg("'%s': %s", bad[i].text, why);
		assert_memory_equal(&l, &before, sizeof(l));
	}
}

static void a_long_text_is_not_repeated_in_full(void **state)
{
	struct latencies l = { 0 };
	char why[LATENCY_WHY], text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(latencies_parse(&l, text, why));
	assert_non_null(strstr(why, "it is tlb"));
}

/*
 * Calls that come later
 */

#define MAX_CALLS	8

struct calls {
	struct fake_clock fake;
	struct delay delay;
	u32 made[MAX_CALLS];
	u32 n;			/* under the fake clock's lock */
};

static void note_call(void *arg, const void *data)
{
	struct calls *calls = arg;

	pthread_mutex_lock(&calls->fake.lock);
	memcpy(&calls->made[calls->n++], data, sizeof(u32));
	pthread_cond_broadcast(&calls->fake.changed);
	pthread_mutex_unlock(&calls->fake.lock);
}

static void later(struct calls *calls, u64 ns, u32 which)
{
	delay_call(&calls->delay, ns, note_call, &which, sizeof(which));
}

static void wait_for_calls(struct calls *calls, u32 n)
{
	pthread_mutex_lock(&calls->fake.lock);
	while (calls->n < n)
		pthread_cond_wait(&calls->fake.changed, &calls->fake.lock);
	pthread_mutex_unlock(&calls->fake.lock);
	assert_int_equal(calls->n, n);
}

static int calls_setup(void **state)
{
	struct calls *calls = calloc(1, sizeof(*calls));

	*state = calls;
	fake_clock_init(&calls->fake);
	return delay_init(&calls->delay, &calls->fake.clock, calls, true);
}

static int calls_teardown(void **state)
{
	struct calls *calls = *state;

	delay_destroy(&calls->delay);
	fake_clock_destroy(&calls->fake);
	free(calls);
	return 0;
}

static void calls_come_at_their_time_in_order(void **state)
{
	static const u32 order[] = { 9, 2, 3, 1, 4 };
	struct calls *calls = *state;

	later(calls, 20 * US, 1);
	later(calls, 10 * US, 2);
	later(calls, 10 * US, 3);
	later(calls, 30 * US, 4);
	later(calls, 0, 9);
	assert_int_equal(calls->n, 1);
	fake_clock_set(&calls->fake, 10 * US - 1);
	fake_clock_sleeper(&calls->fake, 10 * US);
	assert_int_equal(calls->n, 1);
	fake_clock_set(&calls->fake, 20 * US);
	fake_clock_sleeper(&calls->fake, 30 * US);
	assert_int_equal(calls->n, 4);
	fake_clock_set(&calls->fake, 30 * US);
	wait_for_calls(calls, 5);
	assert_memory_equal(calls->made, order, sizeof(order));
}

static void forgotten_calls_never_come(void **state)
{
	struct calls *calls = *state;

	later(calls, 10 * US, 1);
	delay_forget(&calls->delay);
	later(calls, 20 * US, 2);
	fake_clock_set(&calls->fake, 20 * US);
	wait_for_calls(calls, 1);
	assert_int_equal(calls->made[0], 2);
	later(calls, 10 * US, 3);
	delay_stop(&calls->delay);
	later(calls, 10 * US, 4);
	fake_clock_set(&calls->fake, 100 * US);
	assert_int_equal(calls->n, 1);
}

/*
 * Engines
 */

static struct fake_clock fake;

static int timed_setup(void **state, const char *text, u32 n_compute)
{
	struct latencies l = { 0 };
	char why[LATENCY_WHY];

	fake_clock_init(&fake);
	if (!latencies_parse(&l, text, why))
		return -1;
	return board_setup_with(state, n_compute, &l, &fake.clock);
}

static int copy_setup(void **state)
{
	return timed_setup(state, "copy=5us+1GB/s,pte=2us", 1);
}

static int timed_teardown(void **state)
{
	int ret = board_teardown(state);

	fake_clock_destroy(&fake);
	return ret;
}

/* 64 KiB at VA, a page that tells the end at VA + SZ_2M */
static u32 *map_all(struct board *board)
{
	u64 mem = board_alloc(board, SZ_64K), end = board_alloc(board, SZ_4K);

	for (u64 at = 0; at < SZ_64K; at += SZ_4K)
		board_map(board, VA + at, mem + at, PTE_VRAM, 12);
	board_map(board, VA + SZ_2M, end, PTE_VRAM, 12);
	return board_vram(board, end);
}

static void fill(struct board_context *ctx, u64 va, u32 len)
{
	emit(ctx, 2u << 29 | 0x5bu << 22 | 5, len - 1, 0, 0, LO(va), HI(va), 0x5a000000);
}

static void copy(struct board_context *ctx, u64 dst, u64 src, u32 len)
{
	emit(ctx, 2u << 29 | 0x5au << 22 | 8, len - 1, 0, 0, 0, LO(src), HI(src), LO(dst), HI(dst),
	     0);
}

static void nothing_is_told_before_the_time_of_a_copy(void **state)
{
	struct board *board = *state;
	struct board_context ctx, other;
	u32 *end = map_all(board);

	board_context(board, &ctx, 1, GUC_BLITTER);
	board_context(board, &other, 2, GUC_COMPUTE);
	/* 5 us and 8 KiB at 1 GB/s, the fill 5 us and 4 KiB */
	fill(&ctx, VA, 4096);
	copy(&ctx, VA + 0x2000, VA, 8192);
	start(&ctx, SDI, LO(VA + SZ_2M), HI(VA + SZ_2M), 1);
	fake_clock_sleeper(&fake, 10 * US + 12288);
	/* Others go on meanwhile */
	run(&other, NOOP);
	fake_clock_set(&fake, 10 * US + 12287);
	fake_clock_sleeper(&fake, 10 * US + 12288);
	assert_int_equal(*end, 0);
	assert_int_equal(board->interrupts, 1);
	fake_clock_set(&fake, 10 * US + 12288);
	board_wait(board, &board->interrupts, 2);
	assert_int_equal(*end, 1);
}

/* What has been asked for meanwhile starts when the engine is free; idle time doesn't count */
static void time_begins_with_the_work(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, NOOP);
	fake_clock_sleeper(&fake, 6 * US);
	fill(&ctx, VA, 1000);
	start(&ctx, NOOP);
	fake_clock_set(&fake, 6 * US);
	fake_clock_sleeper(&fake, 12 * US);
	fake_clock_set(&fake, 100 * US);
	board_wait(board, &board->interrupts, 2);
	fill(&ctx, VA, 1000);
	start(&ctx, NOOP);
	fake_clock_sleeper(&fake, 106 * US);
	fake_clock_set(&fake, 106 * US);
	board_wait(board, &board->interrupts, 3);
}

static void an_interrupt_waits_by_itself(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, NOOP);
	fake_clock_sleeper(&fake, 6 * US);
	assert_int_equal(board->interrupts, 0);
	fake_clock_set(&fake, 6 * US);
	board_wait(board, &board->interrupts, 1);
}

/* The engine's clock is the real one: it has to be read after the sleep */
static void a_timestamp_is_of_the_end(void **state)
{
	struct board *board = *state;
	u64 *end = (u64 *)map_all(board);
	struct board_context ctx;
	u64 before;

	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, 0x26u << 23 | 3u << 14 | 3, LO(VA + SZ_2M), HI(VA + SZ_2M), 0, 0);
	fake_clock_sleeper(&fake, 6 * US);
	before = engine_clock();
	fake_clock_set(&fake, 6 * US);
	board_wait(board, &board->interrupts, 1);
	assert_true(*end >= before);
}

/* For a batch with a write of qwords: where it is, and what it writes to */
static void run_qword_batch(struct board *board, struct board_context *ctx)
{
	u64 page = board_alloc(board, SZ_4K);
	const u32 batch[] = { SDI_QWORD, LO(VA + SZ_2M), HI(VA + SZ_2M), 7, 0, BATCH_END };

	memcpy(board_vram(board, page), batch, sizeof(batch));
	start(ctx, BATCH_START, ggtt_of(page), 0);
}

static void page_table_writes_take_time(void **state)
{
	struct board *board = *state;
	u32 *end = map_all(board);
	struct board_context ctx;

	board_context_on(board, &ctx, 1, GUC_BLITTER, 1);
	run_qword_batch(board, &ctx);
	fake_clock_sleeper(&fake, 2 * US);
	/* They are there before their time, like the bytes of a copy */
	assert_int_equal(*end, 7);
	assert_int_equal(board->interrupts, 0);
	fake_clock_set(&fake, 2 * US);
	board_wait(board, &board->interrupts, 1);
}

static void the_same_stores_of_others_are_no_page_tables(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	run_qword_batch(board, &ctx);
	board_wait(board, &board->interrupts, 1);
	/* In the ring it is a fence */
	board_context_on(board, &ctx, 2, GUC_BLITTER, 1);
	run(&ctx, SDI_QWORD, LO(VA + SZ_2M), HI(VA + SZ_2M), 7, 0);
}

static void a_fault_is_told_after_what_came_before(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, SDI, LO(VA + SZ_64K), HI(VA), 1);
	fake_clock_sleeper(&fake, 6 * US);
	assert_int_equal(board->n_faults, 0);
	fake_clock_set(&fake, 6 * US);
	board_wait(board, &board->n_faults, 1);
}

static void a_reset_ends_the_sleep(void **state)
{
	struct board *board = *state;
	u32 *end = map_all(board);
	struct board_context ctx;

	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, SDI, LO(VA + SZ_2M), HI(VA + SZ_2M), 1);
	fake_clock_sleeper(&fake, 6 * US);
	engines_reset(board->engines);
	assert_int_equal(*end, 0);
	/* Nothing is left of it for the next one */
	board_context(board, &ctx, 1, GUC_BLITTER);
	run(&ctx, SDI, LO(VA + SZ_2M), HI(VA + SZ_2M), 2);
	assert_int_equal(*end, 2);
}

static void a_disable_is_done_after_the_time(void **state)
{
	struct board *board = *state;
	struct board_context ctx;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	fill(&ctx, VA, 1000);
	start(&ctx, NOOP);
	fake_clock_sleeper(&fake, 6 * US);
	context_set_sched(board->engines, 1, false);
	fake_clock_sleeper(&fake, 6 * US);
	assert_int_equal(board->disabled, 0);
	fake_clock_set(&fake, 6 * US);
	board_wait(board, &board->disabled, 1);
}

static int real_setup(void **state)
{
	const struct latencies l = { .part[LATENCY_COPY].ns = 20000 * US };

	return board_setup_with(state, 1, &l, NULL);
}

/* On the machine's clock, that it is not less */
static void real_time_passes(void **state)
{
	struct board *board = *state;
	struct board_context ctx;
	u64 before;

	map_all(board);
	board_context(board, &ctx, 1, GUC_BLITTER);
	before = clock_real.now(&clock_real);
	fill(&ctx, VA, 1000);
	run(&ctx, NOOP);
	assert_true(clock_real.now(&clock_real) - before >= 20000 * US);
}

#define text(name)	cmocka_unit_test(name)
#define calls(name)	cmocka_unit_test_setup_teardown(name, calls_setup, calls_teardown)
#define timed(name)	cmocka_unit_test_setup_teardown(name, copy_setup, timed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		text(every_part_can_be_set),
		text(the_last_option_wins_for_its_parts),
		text(the_limits_are_allowed),
		text(a_rate_makes_bytes_take_time),
		text(what_is_wrong_is_told),
		text(a_long_text_is_not_repeated_in_full),
		calls(calls_come_at_their_time_in_order),
		calls(forgotten_calls_never_come),
		timed(nothing_is_told_before_the_time_of_a_copy),
		timed(time_begins_with_the_work),
		timed(an_interrupt_waits_by_itself),
		timed(a_timestamp_is_of_the_end),
		timed(page_table_writes_take_time),
		timed(the_same_stores_of_others_are_no_page_tables),
		timed(a_fault_is_told_after_what_came_before),
		timed(a_reset_ends_the_sleep),
		timed(a_disable_is_done_after_the_time),
		cmocka_unit_test_setup_teardown(real_time_passes, real_setup, board_teardown),
	};

	return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
