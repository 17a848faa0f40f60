/* SPDX-License-Identifier: MIT */
/*
 * Calls that come later: what a device does some time after it was asked, while
 * everybody goes on. A thread of its own makes them one after the other, in the
 * order of their times, and in the order of delay_call() if these are the same;
 * so calls that are delayed alike keep their order.
 */
#ifndef VBMG_DELAY_H
#define VBMG_DELAY_H

#include "clock.h"

#define DELAY_DATA	64	/* bytes that a call may have */

struct delayed {
	struct delayed *next;
	u64 due;
	void (*fn)(void *arg, const void *data);
	u64 data[DELAY_DATA / sizeof(u64)];	/* a copy of the caller's */
};

struct delay {
	/* Constant */
	struct clock *clock;
	void *arg;		/* of all calls */
	bool started;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;	/* for the thread */
	pthread_cond_t done;	/* a call has returned */
	struct delayed *first;	/* by time */
	bool calling;
	bool stop;
};

/* 0 or -errno; @thread: without one nothing may be delayed */
int delay_init(struct delay *delay, struct clock *clock, void *arg, bool thread);
/* No call is made any more: those that are due are forgotten */
void delay_stop(struct delay *delay);
void delay_destroy(struct delay *delay);

/* fn(arg, copy of @data) in @ns by the thread; by the caller and now if that is 0 */
void delay_call(struct delay *delay, u64 ns, void (*fn)(void *arg, const void *data),
		const void *data, size_t len);

/* Forget all that was asked before; when it returns, none of it is under way */
void delay_forget(struct delay *delay);

#endif
