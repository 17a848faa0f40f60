// SPDX-License-Identifier: MIT
/*
 * The time that hardware would need for what an engine does (latency.h).
 *
 * Nobody sleeps for each command: that would cost more than most commands are to
 * take. What a command takes is added to e->free_at, from when it began, so that
 * the model's own work counts as part of it. The engine goes on at once, and
 * sleeps until that time, engine_settle(), before it does anything that others
 * could see: write memory other than by a copy, raise an interrupt, report a
 * fault, read a clock for a timestamp, save a context. What copies and writes of
 * page table entries have written is in memory before its time; but whoever
 * relies on it waits for a fence.
 */
#include <errno.h>

#include "engine-private.h"

static const struct latency *latency_of(const struct engine *e, enum latency_part part)
{
	return &e->parent->config.latencies.part[part];
}

static u64 now(struct engine *e)
{
	struct clock *clock = e->parent->config.clock;

	return clock->now(clock);
}

static void busy_for(struct engine *e, u64 begin, u64 ns)
{
	if (ns)
		e->free_at = max(e->free_at, begin) + ns;
}

/* The time for engine_end_bytes(); 0 without a look at the clock if nobody will need it */
u64 engine_begin(struct engine *e, enum latency_part part)
{
	return latency_of(e, part)->bytes_per_s ? now(e) : 0;
}

/* These bytes of it are done */
void engine_end_bytes(struct engine *e, enum latency_part part, u64 begin, u64 bytes)
{
	busy_for(e, begin, latency_of_bytes(latency_of(e, part), bytes));
}

/* All of it is done: the time that it takes beside that for its bytes */
void engine_end(struct engine *e, enum latency_part part)
{
	if (latency_of(e, part)->ns)
		busy_for(e, now(e), latency_of(e, part)->ns);
}

/* Sleep until it is all over: 0, or -ECANCELED if the engine is to stop */
int engine_settle(struct engine *e)
{
	struct engines *engines = e->parent;
	struct clock *clock = engines->config.clock;
	int ret = 0;

	if (!e->free_at)
		return 0;
	pthread_mutex_lock(&engines->lock);
	while (!e->cancel && clock->now(clock) < e->free_at)
		clock->wait(clock, &e->wake, &engines->lock, e->free_at);
	if (e->cancel)
		ret = -ECANCELED;
	else
		e->free_at = 0;
	pthread_mutex_unlock(&engines->lock);
	return ret;
}
