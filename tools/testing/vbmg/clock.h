/* SPDX-License-Identifier: MIT */
/*
 * The time of modelled latencies, in ns. All waits for it come through here, so
 * that a test can have a clock of its own, which stands still until it is told.
 */
#ifndef VBMG_CLOCK_H
#define VBMG_CLOCK_H

#include <pthread.h>

#include "types.h"

struct clock {
	u64 (*now)(struct clock *clock);
	/*
	 * Wait for @cond under @mutex, until @until at the latest. It may come back
	 * for no reason, so the caller looks at its condition and at the time again.
	 */
	void (*wait)(struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
		     u64 until);
};

/* The machine's, CLOCK_MONOTONIC; so is that of @cond */
extern struct clock clock_real;

/* A condition that can wait for CLOCK_MONOTONIC */
void clock_cond_init(pthread_cond_t *cond);

/* Sleeps of this thread end when they ought to, not when it suits the kernel */
void clock_want_precision(void);

#endif
