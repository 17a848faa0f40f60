// SPDX-License-Identifier: MIT
#include <sys/prctl.h>
#include <time.h>

#include "clock.h"

#define NS_PER_S	1000000000ull

static u64 real_now(struct clock *clock)
{
	struct timespec now;

	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void real_wait(struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
		      u64 until)
{
	struct timespec at = {
		.tv_sec = until / NS_PER_S,
		.tv_nsec = until % NS_PER_S,
	};

	(void)clock;
	pthread_cond_timedwait(cond, mutex, &at);
}

struct clock clock_real = {
	.now = real_now,
	.wait = real_wait,
};

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* By default the kernel is 50 us late, to wake up several sleepers at once */
void clock_want_precision(void)
{
	prctl(PR_SET_TIMERSLACK, 1ul);
}
