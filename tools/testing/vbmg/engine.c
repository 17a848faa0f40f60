// SPDX-License-Identifier: MIT
/*
 * The set of engines: made, reset and asked by the device. What they do with it
 * is in engine-thread.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "exec.h"
#include "mem.h"

static const struct engine_place {
	enum engine_class class;
	enum guc_class guc_class;
	u32 instance;
	u32 logical;
	u32 base;
	const char *name;
} places[MAX_ENGINES] = {
	{ ENGINE_RENDER, GUC_RENDER, 0, 0, 0x2000, "rcs0" },
	{ ENGINE_COPY, GUC_BLITTER, 0, 0, 0x22000, "bcs0" },
	{ ENGINE_COPY, GUC_BLITTER, 8, 1, 0x3ee000, "bcs8" },
	{ ENGINE_COMPUTE, GUC_COMPUTE, 0, 0, 0x1a000, "ccs0" },
	{ ENGINE_COMPUTE, GUC_COMPUTE, 1, 1, 0x1c000, "ccs1" },
	{ ENGINE_COMPUTE, GUC_COMPUTE, 2, 2, 0x1e000, "ccs2" },
	{ ENGINE_COMPUTE, GUC_COMPUTE, 3, 3, 0x26000, "ccs3" },
};

/* Under engines->lock: make the engine look at its contexts again */
static void poke(struct engine *e)
{
	set_flag(&e->attention, true);
	pthread_cond_broadcast(&e->wake);
}

void engine_list_append(struct engine *e, struct context *ctx)
{
	struct context **p = &e->contexts;

	while (*p)
		p = &(*p)->next;
	ctx->next = NULL;
	*p = ctx;
}

void engine_list_remove(struct engine *e, struct context *ctx)
{
	struct context **p = &e->contexts;

	while (*p != ctx)
		p = &(*p)->next;
	*p = ctx->next;
}

void engine_forget(struct engine *e, struct context *ctx)
{
	engine_list_remove(e, ctx);
	e->parent->contexts[ctx->guc_id] = NULL;
	if (e->ctx == ctx)
		e->ctx = NULL;
	free(ctx);
}

static void engine_init(struct engines *engines, struct engine *e,
			const struct engine_place *place)
{
	e->parent = engines;
	e->class = place->class;
	e->guc_class = place->guc_class;
	e->instance = place->instance;
	e->logical = place->logical;
	e->base = place->base;
	e->name = place->name;
	engine_regs_reset(e);
	pthread_mutex_init(&e->tlb_lock, NULL);
	clock_cond_init(&e->wake);
}

/* The threads wait for the lock until all are there */
static u32 start_threads(struct engines *engines)
{
	u32 started = 0;

	pthread_mutex_lock(&engines->lock);
	while (started < engines->n &&
	       !pthread_create(&engines->engine[started].thread, NULL, engine_main,
			       &engines->engine[started]))
		started++;
	if (started < engines->n)
		engines->stop = true;
	pthread_mutex_unlock(&engines->lock);
	return started;
}

static void destroy(struct engines *engines, u32 started)
{
	for (u32 i = 0; i < started; i++)
		pthread_join(engines->engine[i].thread, NULL);
	for (u32 i = 0; i < MAX_GUC_ID; i++)
		free(engines->contexts[i]);
	for (u32 i = 0; i < engines->n; i++) {
		pthread_cond_destroy(&engines->engine[i].wake);
		pthread_mutex_destroy(&engines->engine[i].tlb_lock);
	}
	pthread_cond_destroy(&engines->parked);
	pthread_mutex_destroy(&engines->lock);
	free(engines);
}

struct engines *engines_create(const struct engine_config *config)
{
	struct engines *engines;
	u32 started;

	if (config->n_compute < 1 || config->n_compute > ENGINE_MAX_COMPUTE)
		return NULL;
	engines = calloc(1, sizeof(*engines));
	if (!engines)
		return NULL;
	engines->config = *config;
	if (!config->clock)
		engines->config.clock = &clock_real;
	engines->vram = (struct vram) { .base = config->vram, .size = config->vram_size };
	engines->n = MAX_ENGINES - ENGINE_MAX_COMPUTE + config->n_compute;
	pthread_mutex_init(&engines->lock, NULL);
	pthread_cond_init(&engines->parked, NULL);
	for (u32 i = 0; i < engines->n; i++)
		engine_init(engines, &engines->engine[i], &places[i]);

	started = start_threads(engines);
	if (started == engines->n)
		return engines;
	log_error("can't start a thread for %s", engines->engine[started].name);
	destroy(engines, started);
	return NULL;
}

static void cancel_all(struct engines *engines)
{
	for (u32 i = 0; i < engines->n; i++) {
		set_flag(&engines->engine[i].cancel, true);
		poke(&engines->engine[i]);
	}
}

void engines_destroy(struct engines *engines)
{
	if (!engines)
		return;
	pthread_mutex_lock(&engines->lock);
	engines->stop = true;
	cancel_all(engines);
	pthread_mutex_unlock(&engines->lock);
	destroy(engines, engines->n);
}

static bool any_busy(const struct engines *engines)
{
	for (u32 i = 0; i < engines->n; i++) {
		if (engines->engine[i].busy)
			return true;
	}
	return false;
}

static void reset_parked(struct engine *e)
{
	while (e->contexts)
		engine_forget(e, e->contexts);
	e->ctx = NULL;
	e->free_at = 0;
	e->kill_current = false;
	exec_flush_tlb(e);
	set_flag(&e->cancel, false);
}

void engines_reset(struct engines *engines)
{
	pthread_mutex_lock(&engines->lock);
	cancel_all(engines);
	while (any_busy(engines))
		pthread_cond_wait(&engines->parked, &engines->lock);
	for (u32 i = 0; i < engines->n; i++)
		reset_parked(&engines->engine[i]);
	pthread_mutex_unlock(&engines->lock);
}

void engine_reset_one(struct engines *engines, enum engine_class class, u32 instance)
{
	pthread_mutex_lock(&engines->lock);
	for (u32 i = 0; i < engines->n; i++) {
		struct engine *e = &engines->engine[i];

		if (e->class == class && e->instance == instance && e->ctx) {
			e->kill_current = true;
			poke(e);
		}
	}
	pthread_mutex_unlock(&engines->lock);
}

static u32 list_length(const struct engine *e)
{
	u32 n = 0;

	for (const struct context *ctx = e->contexts; ctx; ctx = ctx->next)
		n++;
	return n;
}

/* Of the engines that the context may use, the one with the fewest others */
static struct engine *choose_engine(struct engines *engines, const struct context_desc *desc)
{
	struct engine *best = NULL;

	for (u32 i = 0; i < engines->n; i++) {
		struct engine *e = &engines->engine[i];

		if (e->guc_class != desc->guc_class || !(desc->logical_mask & BIT(e->logical)))
			continue;
		if (!best || list_length(e) < list_length(best))
			best = e;
	}
	return best;
}

int context_register(struct engines *engines, const struct context_desc *desc)
{
	struct context *ctx;
	int ret = 0;

	if (desc->guc_id >= MAX_GUC_ID)
		return -EINVAL;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;

	pthread_mutex_lock(&engines->lock);
	*ctx = (struct context) {
		.guc_id = desc->guc_id,
		.lrca = lower_32_bits(desc->lrca) & ~GENMASK(11, 0),
		.engine = choose_engine(engines, desc),
		.idle = true,
	};
	if (!ctx->engine)
		ret = -EINVAL;
	else if (engines->contexts[desc->guc_id])
		ret = -EEXIST;
	if (!ret) {
		engines->contexts[desc->guc_id] = ctx;
		engine_list_append(ctx->engine, ctx);
		trace(TRACE_CONTEXT, "%s: register %u lrca %#x", ctx->engine->name, ctx->guc_id,
		      ctx->lrca);
	}
	pthread_mutex_unlock(&engines->lock);
	if (ret)
		free(ctx);
	return ret;
}

static struct context *find_context(struct engines *engines, u32 guc_id)
{
	struct context *ctx = guc_id < MAX_GUC_ID ? engines->contexts[guc_id] : NULL;

	return ctx && !ctx->tell_gone ? ctx : NULL;
}

static void kick(struct context *ctx)
{
	ctx->kicked = true;
	ctx->idle = false;
	ctx->wake_at = 0;
	pthread_cond_broadcast(&ctx->engine->wake);
}

static void set_sched(struct context *ctx, bool enable)
{
	trace(TRACE_CONTEXT, "%s: %s %u", ctx->engine->name, enable ? "enable" : "disable",
	      ctx->guc_id);
	ctx->enabled = enable;
	if (enable) {
		ctx->tell_enabled = true;
		kick(ctx);
	} else {
		ctx->tell_disabled = true;
	}
	poke(ctx->engine);
}

int context_set_sched(struct engines *engines, u32 guc_id, bool enable)
{
	struct context *ctx;

	pthread_mutex_lock(&engines->lock);
	ctx = find_context(engines, guc_id);
	if (ctx)
		set_sched(ctx, enable);
	pthread_mutex_unlock(&engines->lock);
	return ctx ? 0 : -ENOENT;
}

int context_kick(struct engines *engines, u32 guc_id)
{
	struct context *ctx;

	pthread_mutex_lock(&engines->lock);
	ctx = find_context(engines, guc_id);
	if (ctx)
		kick(ctx);
	pthread_mutex_unlock(&engines->lock);
	return ctx ? 0 : -ENOENT;
}

int context_deregister(struct engines *engines, u32 guc_id)
{
	struct context *ctx;

	pthread_mutex_lock(&engines->lock);
	ctx = find_context(engines, guc_id);
	if (ctx) {
		trace(TRACE_CONTEXT, "%s: deregister %u", ctx->engine->name, guc_id);
		ctx->enabled = false;
		ctx->tell_gone = true;
		poke(ctx->engine);
	}
	pthread_mutex_unlock(&engines->lock);
	return ctx ? 0 : -ENOENT;
}

static void invalidate(struct tlb *tlb, const struct tlb_invalidation *inv)
{
	switch (inv->scope) {
	case TLB_ALL:
		tlb_flush(tlb);
		break;
	case TLB_GGTT:
		tlb_flush_asid(tlb, TLB_ASID_GGTT);
		break;
	case TLB_ASID:
		tlb_flush_asid(tlb, inv->asid);
		break;
	case TLB_RANGE:
		tlb_flush_range(tlb, inv->asid, inv->start, inv->size);
		break;
	}
}

/* The lock is held during each access: when it is ours, none is under way */
void engines_tlb_invalidate(struct engines *engines, const struct tlb_invalidation *inv)
{
	static const char * const scopes[] = { "all", "ggtt", "asid", "range" };

	trace(TRACE_TLB, "invalidate %s asid %u %#llx+%#llx", scopes[inv->scope], inv->asid,
	      (unsigned long long)inv->start, (unsigned long long)inv->size);
	for (u32 i = 0; i < engines->n; i++) {
		struct engine *e = &engines->engine[i];

		pthread_mutex_lock(&e->tlb_lock);
		mem_audit_tlb(e);
		invalidate(&e->tlb, inv);
		pthread_mutex_unlock(&e->tlb_lock);
	}
	count(engines->engine[0].stats.invalidations, 1);
}

#define add_stat(total, part, field) \
	((total)->field += __atomic_load_n(&(part)->field, __ATOMIC_RELAXED))

void engines_stats(struct engines *engines, struct engine_stats *stats)
{
	*stats = (struct engine_stats) { 0 };
	for (u32 i = 0; i < engines->n; i++) {
		const struct engine_stats *part = &engines->engine[i].stats;

		add_stat(stats, part, commands);
		add_stat(stats, part, bytes_copied);
		add_stat(stats, part, faults);
		add_stat(stats, part, faults_failed);
		add_stat(stats, part, invalidations);
		add_stat(stats, part, stale_accesses);
		add_stat(stats, part, context_errors);
	}
	pthread_mutex_lock(&engines->lock);
	stats->stray_replies = engines->stray_replies;
	pthread_mutex_unlock(&engines->lock);
}
