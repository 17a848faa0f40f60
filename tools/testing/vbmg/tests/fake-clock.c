// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#include "fake-clock.h"

#define POLL_NS		1000000		/* how often a sleeper looks at the clock */

static u64 fake_now(struct clock *clock)
{
	struct fake_clock *fake = container_of(clock, struct fake_clock, clock);
	u64 time;

	pthread_mutex_lock(&fake->lock);
	time = fake->time;
	pthread_mutex_unlock(&fake->lock);
	return time;
}

static void in(struct timespec *at, long s, long ns)
{
	clock_gettime(CLOCK_MONOTONIC, at);
	at->tv_nsec += ns;
	at->tv_sec += s + at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
}

static void fake_wait(struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
		      u64 until)
{
	struct fake_clock *fake = container_of(clock, struct fake_clock, clock);
	struct timespec at;

	pthread_mutex_lock(&fake->lock);
	if (until == fake->wanted) {
		fake->sleeps++;
		pthread_cond_broadcast(&fake->changed);
	}
	pthread_mutex_unlock(&fake->lock);
	in(&at, 0, POLL_NS);
	pthread_cond_timedwait(cond, mutex, &at);
}

void fake_clock_init(struct fake_clock *fake)
{
	*fake = (struct fake_clock) {
		.clock = { .now = fake_now, .wait = fake_wait },
		.time = FAKE_START,
	};
	pthread_mutex_init(&fake->lock, NULL);
	clock_cond_init(&fake->changed);
}

void fake_clock_destroy(struct fake_clock *fake)
{
	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->lock);
}

void fake_clock_set(struct fake_clock *fake, u64 ns)
{
	pthread_mutex_lock(&fake->lock);
	fake->time = FAKE_START + ns;
	pthread_mutex_unlock(&fake->lock);
}

/* The first sleep may follow a look at the clock from before; not so the second */
void fake_clock_sleeper(struct fake_clock *fake, u64 ns)
{
	struct timespec until;
	bool found;
	int ret = 0;

	in(&until, 10, 0);
	pthread_mutex_lock(&fake->lock);
	fake->wanted = FAKE_START + ns;
	fake->sleeps = 0;
	while (fake->sleeps < 2 && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&fake->changed, &fake->lock, &until);
	found = fake->sleeps >= 2;
	pthread_mutex_unlock(&fake->lock);
	assert_true(found);
}
