// SPDX-License-Identifier: MIT
/*
 * What an engine's thread does: contexts in turn, one at a time, until the ring
 * is empty, the time slice ends, a semaphore is not signalled, or somebody wants
 * something (engine->attention).
 */
#include <errno.h>
#include <time.h>

#include "exec.h"
#include "mem.h"

#define TICKS_PER_US		19	/* of engine_clock(), rounded down */
#define DEFAULT_TIMESLICE_US	1000
#define CLOCK_CHECK		64	/* commands between looks at the clock */

/* A wait for memory to change has nothing to sleep on: poll, ever less often */
#define MIN_BACKOFF		(20 * TICKS_PER_US)
#define MAX_BACKOFF		(200 * TICKS_PER_US)

static u64 timeslice(struct engine *e)
{
	u32 us = e->parent->config.timeslice_us;

	return (u64)(us ? us : DEFAULT_TIMESLICE_US) * TICKS_PER_US;
}

/* The engine leaves the lock to execute or to call back; engines_reset() waits */
static void leave_lock(struct engine *e)
{
	e->busy = true;
	pthread_mutex_unlock(&e->parent->lock);
}

static void enter_lock(struct engine *e)
{
	pthread_mutex_lock(&e->parent->lock);
	e->busy = false;
	pthread_cond_broadcast(&e->parent->parked);
}

/* The context ends, as after a hang that the GuC found */
static void fail(struct engine *e, struct context *ctx, int error)
{
	const struct engine_config *config = &e->parent->config;
	enum context_error why = error == -EIO ? CONTEXT_CAT_ERROR : CONTEXT_HANG;

	if (why == CONTEXT_CAT_ERROR)
		exec_dump(e, LOG_INFO, "memory error");
	else
		exec_dump(e, LOG_WARN, "invalid command, or asked for");
	context_save(e, ctx);
	pthread_mutex_lock(&e->parent->lock);
	ctx->dead = true;
	pthread_mutex_unlock(&e->parent->lock);
	count(e->stats.context_errors, 1);
	config->ops->context_error(config->dev, ctx->guc_id, why);
}

/* Execute until something else is due: 0, or what exec_step() stopped with */
static int run_slice(struct engine *e, struct context *ctx)
{
	u64 end = engine_clock() + timeslice(e);

	for (u32 n = 1;; n++) {
		int ret;

		if (flagged(&e->attention))
			return 0;
		ret = exec_step(e);
		if (ret == -EFAULT)
			ret = fault_resolve(e);
		if (ret)
			return ret;
		if (n % CLOCK_CHECK == 0 && engine_clock() > end && !ctx->no_arbitration)
			return 0;
	}
}

static int switch_to(struct engine *e, struct context *ctx, bool kicked)
{
	if (e->ctx == ctx)
		return kicked ? context_read_tail(e, ctx) : 0;
	if (e->ctx)
		context_save(e, e->ctx);
	return context_load(e, ctx);
}

static void note_idle(struct engine *e, struct context *ctx)
{
	bool idle;

	pthread_mutex_lock(&e->parent->lock);
	idle = !ctx->kicked;
	ctx->idle = idle;
	pthread_mutex_unlock(&e->parent->lock);
	ctx->backoff = 0;
	/* The driver learns from the image that the ring is empty */
	if (idle)
		context_save(e, ctx);
}

static void note_blocked(struct engine *e, struct context *ctx)
{
	ctx->backoff = min(max(ctx->backoff * 2, MIN_BACKOFF), MAX_BACKOFF);
	pthread_mutex_lock(&e->parent->lock);
	ctx->wake_at = engine_clock() + ctx->backoff;
	pthread_mutex_unlock(&e->parent->lock);
}

static void run(struct engine *e, struct context *ctx, bool kicked)
{
	int ret = switch_to(e, ctx, kicked);

	if (!ret)
		ret = run_slice(e, ctx);

	switch (ret) {
	case 0:
	case -EINTR:
	case -ECANCELED:
		break;
	case -ENODATA:
		note_idle(e, ctx);
		break;
	case -EAGAIN:
		note_blocked(e, ctx);
		break;
	default:
		fail(e, ctx, ret);
		break;
	}
}

static bool has_work(const struct context *ctx)
{
	return ctx->enabled && !ctx->dead && !ctx->idle;
}

/* The next in turn goes to the end of the list */
static struct context *pick(struct engine *e)
{
	u64 now = engine_clock();

	for (struct context *ctx = e->contexts; ctx; ctx = ctx->next) {
		if (!has_work(ctx) || ctx->wake_at > now)
			continue;
		engine_list_remove(e, ctx);
		engine_list_append(e, ctx);
		return ctx;
	}
	return NULL;
}

static void wait_for_work(struct engine *e)
{
	struct timespec until;
	u64 wake_at = ~0ull;
	u64 now;

	for (struct context *ctx = e->contexts; ctx; ctx = ctx->next) {
		if (has_work(ctx))
			wake_at = min(wake_at, ctx->wake_at);
	}
	if (wake_at == ~0ull || e->cancel) {
		pthread_cond_wait(&e->wake, &e->parent->lock);
		return;
	}
	now = engine_clock();
	clock_gettime(CLOCK_MONOTONIC, &until);
	if (wake_at > now)
		until.tv_nsec += (long)((wake_at - now) * 625 / 12);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&e->wake, &e->parent->lock, &until);
}

/*
 * Tell the device about one change that is complete now that the engine stands
 * still. An enable comes before the disable that followed it.
 */
static bool tell_one(struct engine *e, struct context *ctx)
{
	const struct engine_config *config = &e->parent->config;
	u32 guc_id = ctx->guc_id;

	if (ctx->tell_enabled) {
		ctx->tell_enabled = false;
		leave_lock(e);
		/* Preempt fences rely on it: bind_op_prepare() in xe_pt.c */
		mem_forget_unserved(e);
		config->ops->sched_done(config->dev, guc_id, true);
		enter_lock(e);
	} else if (ctx->tell_disabled) {
		ctx->tell_disabled = false;
		leave_lock(e);
		if (e->ctx == ctx)
			context_save(e, ctx);
		config->ops->sched_done(config->dev, guc_id, false);
		enter_lock(e);
	} else if (ctx->tell_gone) {
		engine_forget(e, ctx);
		leave_lock(e);
		config->ops->deregister_done(config->dev, guc_id);
		enter_lock(e);
	} else {
		return false;
	}
	return true;
}

static bool tell(struct engine *e)
{
	for (struct context *ctx = e->contexts; ctx; ctx = ctx->next) {
		/* The list may be another one afterwards */
		if (tell_one(e, ctx))
			return true;
	}
	return false;
}

/* engine_reset_one() was called: whatever is loaded ends */
static bool kill_current(struct engine *e)
{
	struct context *ctx = e->ctx;

	if (!e->kill_current)
		return false;
	e->kill_current = false;
	if (ctx) {
		leave_lock(e);
		fail(e, ctx, -EILSEQ);
		enter_lock(e);
	}
	return true;
}

void *engine_main(void *arg)
{
	struct engine *e = arg;
	struct engines *engines = e->parent;

	if (latencies_any(&engines->config.latencies))
		clock_want_precision();
	pthread_mutex_lock(&engines->lock);
	while (!engines->stop) {
		struct context *ctx = NULL;

		set_flag(&e->attention, false);
		if (!e->cancel) {
			if (kill_current(e) || tell(e))
				continue;
			ctx = pick(e);
		}
		if (ctx) {
			bool kicked = ctx->kicked;

			ctx->kicked = false;
			leave_lock(e);
			run(e, ctx, kicked);
			enter_lock(e);
		} else {
			wait_for_work(e);
		}
	}
	pthread_mutex_unlock(&engines->lock);
	return NULL;
}
