/* SPDX-License-Identifier: MIT */
/* A clock for tests of latencies: it stands still until it is set */
#ifndef VBMG_TESTS_FAKE_CLOCK_H
#define VBMG_TESTS_FAKE_CLOCK_H

#include "../clock.h"

#define FAKE_START	1000000000ull	/* ns */
#define US		1000ull

struct fake_clock {
	struct clock clock;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	u64 time;
	u64 wanted;		/* the time that fake_clock_sleeper() looks for */
	u32 sleeps;		/* until that time, since it looks */
};

void fake_clock_init(struct fake_clock *fake);
void fake_clock_destroy(struct fake_clock *fake);

/* @ns from the start of the clock */
void fake_clock_set(struct fake_clock *fake, u64 ns);

/*
 * Wait until somebody has seen what time it is now and sleeps until @ns from the
 * start; fails the test after 10 s.
 */
void fake_clock_sleeper(struct fake_clock *fake, u64 ns);

#endif
