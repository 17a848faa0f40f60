// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../log.h"
#include "board.h"

#define LRC_SIZE	(4 * SZ_4K)
#define IMAGE(dword)	(SZ_4K + (dword) * 4)

static void *pin(void *dev, u64 addr, size_t len, bool write)
{
	struct board *board = dev;
	void *host = NULL;

	(void)write;
	pthread_mutex_lock(&board->lock);
	if (!board->ram_gone && addr < BOARD_RAM && len <= BOARD_RAM - addr) {
		host = board->ram + addr;
		board->pins++;
	}
	pthread_mutex_unlock(&board->lock);
	return host;
}

static void unpin(void *dev, void *host)
{
	struct board *board = dev;

	(void)host;
	pthread_mutex_lock(&board->lock);
	board->pins--;
	pthread_mutex_unlock(&board->lock);
}

static u32 reg_read(void *dev, u32 offset)
{
	struct board *board = dev;

	(void)offset;
	return board->device_reg;
}

static void reg_write(void *dev, u32 offset, u32 value)
{
	struct board *board = dev;

	(void)offset;
	board->device_reg = value;
}

static void add(struct board *board, u32 *counter)
{
	pthread_mutex_lock(&board->lock);
	(*counter)++;
	pthread_cond_broadcast(&board->changed);
	pthread_mutex_unlock(&board->lock);
}

static void user_interrupt(void *dev, enum engine_class class, u32 instance)
{
	struct board *board = dev;

	(void)class;
	(void)instance;
	add(board, &board->interrupts);
}

static void msix(void *dev, u32 vector)
{
	struct board *board = dev;

	if (vector < ARRAY_SIZE(board->msix))
		add(board, &board->msix[vector]);
}

static void page_fault(void *dev, const struct fault_report *fault)
{
	struct board *board = dev;

	pthread_mutex_lock(&board->lock);
	board->faults[board->n_faults % BOARD_FAULTS] = *fault;
	pthread_mutex_unlock(&board->lock);
	add(board, &board->n_faults);
	if (board->serve)
		board->serve(board, fault);
}

static void context_error(void *dev, u32 guc_id, enum context_error why)
{
	struct board *board = dev;

	(void)guc_id;
	add(board, why == CONTEXT_HANG ? &board->hangs : &board->cat_errors);
}

static void sched_done(void *dev, u32 guc_id, bool enable)
{
	struct board *board = dev;

	(void)guc_id;
	add(board, enable ? &board->enabled : &board->disabled);
}

static void deregister_done(void *dev, u32 guc_id)
{
	struct board *board = dev;

	(void)guc_id;
	add(board, &board->gone);
}

static const struct engine_ops board_ops = {
	.pin = pin,
	.unpin = unpin,
	.reg_read = reg_read,
	.reg_write = reg_write,
	.user_interrupt = user_interrupt,
	.msix = msix,
	.page_fault = page_fault,
	.context_error = context_error,
	.sched_done = sched_done,
	.deregister_done = deregister_done,
};

int board_setup_with(void **state, u32 n_compute, const struct latencies *latencies,
		     struct clock *clock)
{
	struct board *board = calloc(1, sizeof(*board));

	/* Many tests do what the engines warn of */
	log_set_level(getenv("VBMG_LOG") ? LOG_DEBUG : LOG_ERROR);
	board->vram = calloc(1, BOARD_VRAM);
	board->ram = calloc(1, BOARD_RAM);
	board->ggtt = calloc(BOARD_GGTT, 8);
	for (u64 at = 0; at < BOARD_VRAM; at += SZ_4K)
		board->ggtt[(GGTT_VRAM + at) >> 12] = at | 3;
	board->next_free = SZ_4K;
	board->root = board_alloc(board, SZ_4K);
	pthread_mutex_init(&board->lock, NULL);
	clock_cond_init(&board->changed);
	board->engines = engines_create(&(struct engine_config) {
		.ops = &board_ops,
		.dev = board,
		.vram = board->vram,
		.vram_size = BOARD_VRAM,
		.ggtt = board->ggtt,
		.ggtt_entries = BOARD_GGTT,
		.n_compute = n_compute,
		.latencies = *latencies,
		.clock = clock,
	});
	*state = board;
	return board->engines ? 0 : -1;
}

int board_setup(void **state)
{
	return board_setup_with(state, 1, &(struct latencies) { 0 }, NULL);
}

int board_teardown(void **state)
{
	struct board *board = *state;
	u32 pins;

	engines_destroy(board->engines);
	pins = board->pins;
	pthread_mutex_destroy(&board->lock);
	pthread_cond_destroy(&board->changed);
	free(board->vram);
	free(board->ram);
	free(board->ggtt);
	free(board);
	return pins ? -1 : 0;
}

u64 board_alloc(struct board *board, u64 size)
{
	u64 at = (board->next_free + size - 1) & ~(size - 1);

	board->next_free = at + size;
	return at;
}

void *board_vram(struct board *board, u64 offset)
{
	return board->vram + offset;
}

static u64 *entry_of(struct board *board, u64 table, u64 va, u32 level)
{
	return board_vram(board, table + (va >> (12 + 9 * level)) % 512 * 8);
}

static u64 *leaf_of(struct board *board, u64 va, u32 shift)
{
	u32 last = shift == 30 ? 2 : shift == 21 ? 1 : 0;
	u64 table = board->root;

	for (u32 level = PPGTT_ROOT_LEVEL; level > last; level--) {
		u64 *entry = entry_of(board, table, va, level);

		if (!*entry)
			*entry = board_alloc(board, SZ_4K) | PTE_PRESENT | PTE_RW |
				 (level == 1 && shift == 16 ? PTE_64K : 0);
		table = *entry & GENMASK_ULL(51, 12);
	}
	if (shift == 16)
		return board_vram(board, table + (va >> 16) % 32 * 8);
	return entry_of(board, table, va, last);
}

void board_set_entry(struct board *board, u64 va, u64 entry, u32 shift)
{
	__atomic_store_n(leaf_of(board, va, shift), entry, __ATOMIC_RELEASE);
}

void board_map(struct board *board, u64 va, u64 phys, u64 flags, u32 shift)
{
	board_set_entry(board, va, phys | flags | (shift > 16 ? PTE_PS : 0), shift);
}

void board_set_image(struct board_context *ctx, u32 dword, u32 value)
{
	u32 *image = board_vram(ctx->board, ctx->lrc + IMAGE(dword));

	__atomic_store_n(image, value, __ATOMIC_RELEASE);
}

u32 image_dword(struct board_context *ctx, u32 dword)
{
	u32 *image = board_vram(ctx->board, ctx->lrc + IMAGE(dword));

	return __atomic_load_n(image, __ATOMIC_ACQUIRE);
}

void board_context(struct board *board, struct board_context *ctx, u32 id, u32 guc_class)
{
	board_context_on(board, ctx, id, guc_class, 0);
}

void board_context_on(struct board *board, struct board_context *ctx, u32 id, u32 guc_class,
		      u32 logical)
{
	u32 enabled = board->enabled;

	*ctx = (struct board_context) {
		.board = board,
		.id = id,
		.ring = (u32)board_alloc(board, BOARD_RING),
		.lrc = (u32)board_alloc(board, LRC_SIZE),
	};
	board_set_image(ctx, 0x09, ggtt_of(ctx->ring));
	board_set_image(ctx, 0x0b, (BOARD_RING - SZ_4K) | 1);
	board_set_image(ctx, 0x2f, BOARD_ASID);
	board_set_image(ctx, 0x31, upper_32_bits(board->root));
	board_set_image(ctx, 0x33, lower_32_bits(board->root) | 0x1b);
	assert_int_equal(context_register(board->engines, &(struct context_desc) {
		.guc_id = id,
		.guc_class = guc_class,
		.logical_mask = BIT(logical),
		.lrca = ggtt_of(ctx->lrc) | 0x119,
	}), 0);
	assert_int_equal(context_set_sched(board->engines, id, true), 0);
	board_wait(board, &board->enabled, enabled + 1);
}

void board_emit(struct board_context *ctx, const u32 *dw, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		memcpy(board_vram(ctx->board, ctx->ring + ctx->tail), &dw[i], 4);
		ctx->tail = (ctx->tail + 4) % BOARD_RING;
	}
}

void board_kick(struct board_context *ctx)
{
	/* The tail counts in qwords */
	if (ctx->tail % 8)
		emit(ctx, NOOP);
	board_set_image(ctx, 0x07, ctx->tail);
	assert_int_equal(context_kick(ctx->board->engines, ctx->id), 0);
}

void board_start(struct board_context *ctx, const u32 *dw, u32 n)
{
	board_emit(ctx, dw, n);
	emit(ctx, USER_INTERRUPT);
	board_kick(ctx);
}

void board_run(struct board_context *ctx, const u32 *dw, u32 n)
{
	u32 interrupts = ctx->board->interrupts;

	board_start(ctx, dw, n);
	board_wait(ctx->board, &ctx->board->interrupts, interrupts + 1);
}

void board_wait(struct board *board, const u32 *counter, u32 n)
{
	struct timespec until;
	bool reached;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&board->lock);
	while (*counter < n && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&board->changed, &board->lock, &until);
	reached = *counter >= n;
	pthread_mutex_unlock(&board->lock);
	assert_true(reached);
}

void board_reply(struct board *board, const struct fault_report *fault, bool failed)
{
	engines_fault_reply(board->engines, &(struct fault_reply) {
		.failed = failed,
		.asid = fault->asid,
		.engine_class = fault->engine_class,
		.engine_instance = fault->engine_instance,
		.pdata = fault->pdata,
	});
}
