// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "log.h"

/* Under the lock, which is dropped for the call */
static void call_first(struct delay *delay)
{
	struct delayed *call = delay->first;

	delay->first = call->next;
	delay->calling = true;
	pthread_mutex_unlock(&delay->lock);
	call->fn(delay->arg, call->data);
	free(call);
	pthread_mutex_lock(&delay->lock);
	delay->calling = false;
	pthread_cond_broadcast(&delay->done);
}

static void *delay_main(void *arg)
{
	struct delay *delay = arg;
	struct clock *clock = delay->clock;

	clock_want_precision();
	pthread_mutex_lock(&delay->lock);
	while (!delay->stop) {
		if (!delay->first)
			pthread_cond_wait(&delay->wake, &delay->lock);
		else if (clock->now(clock) < delay->first->due)
			clock->wait(clock, &delay->wake, &delay->lock, delay->first->due);
		else
			call_first(delay);
	}
	pthread_mutex_unlock(&delay->lock);
	return NULL;
}

int delay_init(struct delay *delay, struct clock *clock, void *arg, bool thread)
{
	int err = 0;

	*delay = (struct delay) { .clock = clock, .arg = arg };
	pthread_mutex_init(&delay->lock, NULL);
	clock_cond_init(&delay->wake);
	pthread_cond_init(&delay->done, NULL);
	if (thread)
		err = pthread_create(&delay->thread, NULL, delay_main, delay);
	delay->started = thread && !err;
	if (err)
		delay_destroy(delay);
	return -err;
}

static void forget_locked(struct delay *delay)
{
	while (delay->first) {
		struct delayed *call = delay->first;

		delay->first = call->next;
		free(call);
	}
}

void delay_stop(struct delay *delay)
{
	pthread_mutex_lock(&delay->lock);
	delay->stop = true;
	forget_locked(delay);
	pthread_cond_broadcast(&delay->wake);
	pthread_mutex_unlock(&delay->lock);
	if (delay->started)
		pthread_join(delay->thread, NULL);
	delay->started = false;
}

void delay_destroy(struct delay *delay)
{
	delay_stop(delay);
	pthread_cond_destroy(&delay->done);
	pthread_cond_destroy(&delay->wake);
	pthread_mutex_destroy(&delay->lock);
}

static void insert_locked(struct delay *delay, struct delayed *call)
{
	struct delayed **p = &delay->first;

	while (*p && (*p)->due <= call->due)
		p = &(*p)->next;
	call->next = *p;
	*p = call;
}

void delay_call(struct delay *delay, u64 ns, void (*fn)(void *arg, const void *data),
		const void *data, size_t len)
{
	struct delayed *call = ns ? malloc(sizeof(*call)) : NULL;

	if (!call) {
		if (ns)
			log_error("no memory for a call to come: it comes now");
		fn(delay->arg, data);
		return;
	}
	call->fn = fn;
	memcpy(call->data, data, len);
	pthread_mutex_lock(&delay->lock);
	if (delay->stop) {
		free(call);
	} else {
		call->due = delay->clock->now(delay->clock) + ns;
		insert_locked(delay, call);
		pthread_cond_broadcast(&delay->wake);
	}
	pthread_mutex_unlock(&delay->lock);
}

void delay_forget(struct delay *delay)
{
	pthread_mutex_lock(&delay->lock);
	forget_locked(delay);
	while (delay->calling)
		pthread_cond_wait(&delay->done, &delay->lock);
	pthread_mutex_unlock(&delay->lock);
}
