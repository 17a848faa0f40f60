// SPDX-License-Identifier: MIT
/* The GuC as the driver meets it: load, registers, rings; and rings gone wrong */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../guc-private.h"
#include "../guc-regs.h"
#include "../log.h"
#include "../mmio.h"
#include "../vbmg.h"
#include "fake-clock.h"

#define GGTT_BASE	0x800000u	/* maps the first pages of VRAM */
#define PAGES		64
#define H2G_DESC	0x0000u
#define G2H_DESC	0x0800u
#define H2G_BUFFER	0x1000u
#define H2G_DWORDS	1024u
#define G2H_BUFFER	0x2000u
#define G2H_DWORDS	64u		/* small: it is to wrap and to fill up */

struct driver {
	struct vbmg dev;
	u32 *memory;		/* what GGTT_BASE maps */
	u32 h2g_tail;
	u32 g2h_head;
};

static void reg_write(struct driver *d, u32 offset, u32 value)
{
	mmio_write(&d->dev, offset, &value, sizeof(value));
}

static u32 reg_read(struct driver *d, u32 offset)
{
	u32 value;

	mmio_read(&d->dev, offset, &value, sizeof(value));
	return value;
}

static u32 mmio_message(struct driver *d, u32 dw0, u32 dw1, u32 dw2)
{
	reg_write(d, VF_SW_FLAG(0), dw0);
	reg_write(d, VF_SW_FLAG(1), dw1);
	reg_write(d, VF_SW_FLAG(2), dw2);
	reg_write(d, VF_SW_FLAG(3), 0);
	reg_write(d, GUC_HOST_INTERRUPT, 0);
	return reg_read(d, VF_SW_FLAG(0));
}

static void load(struct driver *d)
{
	reg_write(d, DMA_CTRL, 0x110011);
	assert_int_equal(reg_read(d, DMA_CTRL) & START_DMA, 0);
	assert_int_equal(reg_read(d, GUC_STATUS), 0x8001f0ec);
}

static void self_cfg(struct driver *d, u32 key, u32 value)
{
	assert_int_equal(mmio_message(d, H2G_SELF_CFG, key << 16 | 1, value), 0xf0000001);
}

static void open_rings(struct driver *d)
{
	self_cfg(d, 0x902, GGTT_BASE + H2G_BUFFER);
	self_cfg(d, 0x903, GGTT_BASE + H2G_DESC);
	self_cfg(d, 0x904, H2G_DWORDS * 4);
	self_cfg(d, 0x905, GGTT_BASE + G2H_BUFFER);
	self_cfg(d, 0x906, GGTT_BASE + G2H_DESC);
	self_cfg(d, 0x907, G2H_DWORDS * 4);
	assert_int_equal(mmio_message(d, H2G_CONTROL_CTB, 1, 0), 0xf0000000);
}

static int driver_setup_with(void **state, const struct vbmg_config *config)
{
	struct driver *d = calloc(1, sizeof(*d));
	u64 *ggtt;

	log_set_level(LOG_ERROR);
	*state = d;
	if (vbmg_init(&d->dev, 0, config))
		return -1;
	ggtt = (u64 *)(d->dev.bar0 + GGTT_OFFSET);
	for (u64 i = 0; i < PAGES; i++)
		ggtt[GGTT_BASE / SZ_4K + i] = i * SZ_4K | 3;	/* present, in VRAM */
	d->memory = (u32 *)d->dev.vram;
	return 0;
}

static int driver_setup(void **state)
{
	return driver_setup_with(state, &(struct vbmg_config) {
		.vram_size = SZ_1G, .n_compute = 1,
	});
}

static int driver_teardown(void **state)
{
	struct driver *d = *state;

	vbmg_destroy(&d->dev);
	free(d);
	return 0;
}

static u32 *at(struct driver *d, u32 offset)
{
	return d->memory + offset / 4;
}

static void send(struct driver *d, u32 fence, const u32 *dw, u32 len)
{
	u32 *ring = at(d, H2G_BUFFER);

	ring[d->h2g_tail++] = fence << 16 | len;
	for (u32 i = 0; i < len; i++)
		ring[d->h2g_tail++] = dw[i];
	at(d, H2G_DESC)[1] = d->h2g_tail;
	reg_write(d, GUC_HOST_INTERRUPT, 0);
}

#define SEND(d, fence, ...) \
	send(d, fence, (const u32 []){ __VA_ARGS__ }, \
	     sizeof((const u32 []){ __VA_ARGS__ }) / sizeof(u32))

/* The next message: its dwords without the header, which is returned */
static u32 receive(struct driver *d, u32 *dw)
{
	const u32 *ring = at(d, G2H_BUFFER);
	u32 header;

	assert_int_not_equal(d->g2h_head, at(d, G2H_DESC)[1]);
	header = ring[d->g2h_head];
	for (u32 i = 0; i < (header & 0xff); i++)
		dw[i] = ring[(d->g2h_head + 1 + i) % G2H_DWORDS];
	d->g2h_head = (d->g2h_head + 1 + (header & 0xff)) % G2H_DWORDS;
	at(d, G2H_DESC)[0] = d->g2h_head;
	return header;
}

static bool nothing_received(struct driver *d)
{
	return d->g2h_head == at(d, G2H_DESC)[1];
}

#define FAST		(HXG_FAST_REQUEST << 28)
#define EVENT(action)	(HXG_ORIGIN_GUC | HXG_EVENT << 28 | (action))

static void it_loads_and_resets(void **state)
{
	struct driver *d = *state;

	assert_int_equal(reg_read(d, GUC_STATUS), GS_MIA_IN_RESET);
	/* Nobody is there yet to answer */
	assert_int_equal(mmio_message(d, H2G_SELF_CFG, 0x902 << 16 | 1, 0), H2G_SELF_CFG);
	reg_write(d, GUC_WOPCM_SIZE, 0x7f3000);
	assert_int_equal(reg_read(d, GUC_WOPCM_SIZE), 0x7f3001);
	load(d);
	reg_write(d, 0x941c, 8);
	assert_int_equal(reg_read(d, 0x941c), 0);
	assert_int_equal(reg_read(d, GUC_STATUS), GS_MIA_IN_RESET);
	assert_int_equal(reg_read(d, GUC_WOPCM_SIZE), 0);
}

static void registers_carry_messages(void **state)
{
	struct driver *d = *state;

	load(d);
	assert_int_equal(mmio_message(d, H2G_GET_HWCONFIG, 0, 0), 0xf0000018);
	assert_int_equal(mmio_message(d, 0x1234, 0, 0) >> 28, 8 | HXG_FAILURE);
	assert_int_equal(mmio_message(d, H2G_SELF_CFG, 0x999 << 16 | 1, 0) >> 28, 8 | HXG_FAILURE);
	/* Rings that were not described can't be opened */
	assert_int_equal(mmio_message(d, H2G_CONTROL_CTB, 1, 0) >> 28, 8 | HXG_FAILURE);
}

static void requests_are_answered_fast_ones_are_not(void **state)
{
	struct driver *d = *state;
	u32 dw[256];

	load(d);
	open_rings(d);
	SEND(d, 5, H2G_UPDATE_SCHEDULING_POLICIES);
	assert_int_equal(receive(d, dw), 5 << 16 | 1);
	assert_int_equal(dw[0], 0xf0000000);
	SEND(d, 6, FAST | H2G_SETUP_PC_GUCRC, 1);
	assert_true(nothing_received(d));
	/* Unless they fail */
	SEND(d, 7, FAST | H2G_SCHED_CONTEXT, 42);
	assert_int_equal(receive(d, dw), 7 << 16 | 1);
	assert_int_equal(dw[0] >> 28, 8 | HXG_FAILURE);
	SEND(d, 8, 0xfff);
	receive(d, dw);
	assert_int_equal(dw[0] >> 28, 8 | HXG_FAILURE);
	/* Too short for what it asks */
	SEND(d, 9, H2G_REGISTER_CONTEXT, 1, 2);
	receive(d, dw);
	assert_int_equal(dw[0] >> 28, 8 | HXG_FAILURE);
	assert_int_equal(at(d, H2G_DESC)[0], d->h2g_tail);
}

static void invalidations_are_acknowledged(void **state)
{
	struct driver *d = *state;
	u32 dw[256];

	load(d);
	open_rings(d);
	/* Around the end of the small ring several times */
	for (u32 i = 0; i < 50; i++) {
		SEND(d, 1, FAST | H2G_TLB_INVALIDATION, i, BIT(31) | 1, 9, 0x1000, 0, 0);
		assert_int_equal(receive(d, dw), 2);
		assert_int_equal(dw[0], EVENT(G2H_TLB_INVALIDATION_DONE));
		assert_int_equal(dw[1], i);
	}
}

static void events_wait_for_space_in_order(void **state)
{
	struct driver *d = *state;
	u32 dw[256];

	load(d);
	open_rings(d);
	for (u32 i = 0; i < 100; i++)
		SEND(d, 1, FAST | H2G_TLB_INVALIDATION_ALL, i);
	assert_true(d->dev.guc.backlog_count > 0);
	for (u32 i = 0; i < 100; i++) {
		if (nothing_received(d))	/* the handler of the driver is through */
			reg_write(d, 0x190008, BIT(31));
		receive(d, dw);
		assert_int_equal(dw[1], i);
	}
	assert_int_equal(d->dev.guc.backlog_count, 0);
	assert_true(nothing_received(d));
}

static void broken_ring(void **state, u32 head, u32 tail, u32 header)
{
	struct driver *d = *state;

	load(d);
	open_rings(d);
	at(d, H2G_BUFFER)[0] = header;
	at(d, H2G_DESC)[0] = head;
	at(d, H2G_DESC)[1] = tail;
	reg_write(d, GUC_HOST_INTERRUPT, 0);
	assert_false(d->dev.guc.ct_enabled);
	assert_int_not_equal(at(d, H2G_DESC)[2], 0);
}

static void a_tail_outside_stops_the_ring(void **state)
{
	broken_ring(state, 0, H2G_DWORDS, 0);
}

static void a_head_outside_stops_the_ring(void **state)
{
	broken_ring(state, ~0u, 1, 0);
}

static void a_message_beyond_the_tail_stops_the_ring(void **state)
{
	broken_ring(state, 0, 4, 4);
}

static void an_unknown_format_stops_the_ring(void **state)
{
	broken_ring(state, 0, 4, 0x1001);
}

static void a_ring_that_is_not_mapped_is_no_harm(void **state)
{
	struct driver *d = *state;

	load(d);
	open_rings(d);
	memset(d->dev.bar0 + GGTT_OFFSET, 0, BAR0_SIZE - GGTT_OFFSET);
	reg_write(d, GUC_HOST_INTERRUPT, 0);
	assert_false(d->dev.guc.ct_enabled);
}

static void frequencies_are_kept(void **state)
{
	struct driver *d = *state;
	u32 shared = 0x8000, *data = at(d, shared);

	load(d);
	open_rings(d);
	SEND(d, 1, FAST | H2G_PC_SLPC_REQUEST, 0 << 8 | 2, GGTT_BASE + shared, 0);
	assert_int_equal(data[1], 3);
	SEND(d, 2, FAST | H2G_PC_SLPC_REQUEST, 6 << 8 | 2, 6, 1200);
	SEND(d, 3, FAST | H2G_PC_SLPC_REQUEST, 5 << 8 | 2, GGTT_BASE + shared, 0);
	assert_int_equal(data[33], 72u << 24 | 144 << 16 | 72 << 8 | 144);
}

/* The fuse that the driver finds its compute engines by, and the engines */
static void compute_engines_are_fused_in(void **state)
{
	struct driver *d = *state;
	u32 dw[256];

	assert_int_equal(reg_read(d, 0x9114), 0xf0000);
	assert_int_equal(reg_read(d, 0x2608c), 3 << 4 | 5);	/* ENGINE_ID of ccs3 */
	load(d);
	open_rings(d);
	/* A context for the fourth of them, and one for a fifth */
	SEND(d, 1, H2G_REGISTER_CONTEXT, 0, 7, 4, BIT(3), 0, 0, 0, 0, 0, GGTT_BASE, 0);
	receive(d, dw);
	assert_int_equal(dw[0], 0xf0000000);
	SEND(d, 2, H2G_REGISTER_CONTEXT, 0, 8, 4, BIT(4), 0, 0, 0, 0, 0, GGTT_BASE, 0);
	receive(d, dw);
	assert_int_equal(dw[0] >> 28, 8 | HXG_FAILURE);
	/* A reset doesn't change fuses */
	reg_write(d, 0x941c, 8);
	vbmg_reset(&d->dev);
	assert_int_equal(reg_read(d, 0x9114), 0xf0000);
}

static void one_compute_engine_is_the_default_of_most(void **state)
{
	struct driver *d = *state;

	assert_int_equal(reg_read(d, 0x9114), 0x10000);
	/* No engine's register: storage */
	assert_int_equal(reg_read(d, 0x1c08c), 0);
}

static int four_setup(void **state)
{
	return driver_setup_with(state, &(struct vbmg_config) {
		.vram_size = SZ_1G, .n_compute = 4,
	});
}

/*
 * With latencies, on a clock of ours
 */

static struct fake_clock fake;

static int timed_setup(void **state)
{
	fake_clock_init(&fake);
	return driver_setup_with(state, &(struct vbmg_config) {
		.vram_size = SZ_1G, .n_compute = 1, .clock = &fake.clock,
		.latencies.part = {
			[LATENCY_TLB].ns = 20 * US,
			[LATENCY_FAULT].ns = 10 * US,
			[LATENCY_REPLY].ns = 5 * US,
		},
	});
}

static int timed_teardown(void **state)
{
	int ret = driver_teardown(state);

	fake_clock_destroy(&fake);
	return ret;
}

/* The next message is of a thread that nobody else waits for */
static void await(struct driver *d, u32 *dw)
{
	while (nothing_received(d))
		sched_yield();
	receive(d, dw);
}

static u64 invalidations(struct driver *d)
{
	struct engine_stats stats;

	engines_stats(d->dev.engines, &stats);
	return stats.invalidations;
}

static void expect_done(struct driver *d, u32 seqno)
{
	u32 dw[256];

	await(d, dw);
	assert_int_equal(dw[0], EVENT(G2H_TLB_INVALIDATION_DONE));
	assert_int_equal(dw[1], seqno);
}

static void invalidations_take_their_time_side_by_side(void **state)
{
	struct driver *d = *state;
	u32 dw[256];

	load(d);
	open_rings(d);
	SEND(d, 1, FAST | H2G_TLB_INVALIDATION, 5, BIT(31) | 1, 9, 0x1000, 0, 0);
	SEND(d, 1, FAST | H2G_TLB_INVALIDATION_ALL, 6);
	fake_clock_sleeper(&fake, 20 * US);
	/* Others are taken, messages answered and registers read meanwhile */
	fake_clock_set(&fake, 15 * US);
	SEND(d, 1, FAST | H2G_TLB_INVALIDATION, 7, BIT(31), 9, 0, 0, 0);
	SEND(d, 5, H2G_UPDATE_SCHEDULING_POLICIES);
	receive(d, dw);
	assert_int_equal(dw[0], 0xf0000000);
	assert_int_equal(reg_read(d, GUC_STATUS), 0x8001f0ec);
	fake_clock_sleeper(&fake, 20 * US);
	assert_true(nothing_received(d));
	assert_int_equal(invalidations(d), 0);

	fake_clock_set(&fake, 20 * US);
	expect_done(d, 5);
	expect_done(d, 6);
	fake_clock_sleeper(&fake, 35 * US);
	assert_int_equal(invalidations(d), 2);
	assert_true(nothing_received(d));
	fake_clock_set(&fake, 35 * US);
	expect_done(d, 7);
}

static void a_reset_drops_what_is_under_way(void **state)
{
	struct driver *d = *state;

	load(d);
	open_rings(d);
	SEND(d, 1, FAST | H2G_TLB_INVALIDATION_ALL, 5);
	fake_clock_sleeper(&fake, 20 * US);
	reg_write(d, 0x941c, 8);
	load(d);
	d->h2g_tail = 0;
	memset(at(d, H2G_DESC), 0, 64);
	memset(at(d, G2H_DESC), 0, 64);
	open_rings(d);
	SEND(d, 1, FAST | H2G_TLB_INVALIDATION_ALL, 1);
	fake_clock_set(&fake, 100 * US);
	expect_done(d, 1);
	assert_true(nothing_received(d));
}

static void a_fault_is_told_and_answered_late(void **state)
{
	const struct fault_report fault = { .va = 0x5000, .asid = 9, .pdata = 3 };
	struct driver *d = *state;
	struct engine_stats stats;
	u32 dw[256];

	load(d);
	open_rings(d);
	guc_engine_ops.page_fault(&d->dev, &fault);
	fake_clock_sleeper(&fake, 10 * US);
	assert_true(nothing_received(d));
	fake_clock_set(&fake, 10 * US);
	await(d, dw);
	assert_int_equal(dw[0], EVENT(G2H_PAGE_FAULT));
	assert_int_equal(dw[3], 0x5000);

	/* No engine has this fault, so that it counts the answer when it comes */
	SEND(d, 1, FAST | H2G_PAGE_FAULT_REPLY, 9 << 12, 3 << 16);
	fake_clock_sleeper(&fake, 15 * US);
	engines_stats(d->dev.engines, &stats);
	assert_int_equal(stats.stray_replies, 0);
	fake_clock_set(&fake, 15 * US);
	do {
		engines_stats(d->dev.engines, &stats);
	} while (!stats.stray_replies && !sched_yield());
	assert_int_equal(stats.stray_replies, 1);
}

#define TIMED(name)	cmocka_unit_test_setup_teardown(name, timed_setup, timed_teardown)
#define TEST(name)	cmocka_unit_test_setup_teardown(name, driver_setup, driver_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_loads_and_resets),
		TEST(registers_carry_messages),
		TEST(requests_are_answered_fast_ones_are_not),
		TEST(invalidations_are_acknowledged),
		TEST(events_wait_for_space_in_order),
		TEST(a_tail_outside_stops_the_ring),
		TEST(a_head_outside_stops_the_ring),
		TEST(a_message_beyond_the_tail_stops_the_ring),
		TEST(an_unknown_format_stops_the_ring),
		TEST(a_ring_that_is_not_mapped_is_no_harm),
		TEST(frequencies_are_kept),
		TEST(one_compute_engine_is_the_default_of_most),
		cmocka_unit_test_setup_teardown(compute_engines_are_fused_in, four_setup,
						driver_teardown),
		TIMED(invalidations_take_their_time_side_by_side),
		TIMED(a_reset_drops_what_is_under_way),
		TIMED(a_fault_is_told_and_answered_late),
	};

	return cmocka_run_group_tests_name("guc", tests, NULL, NULL);
}
