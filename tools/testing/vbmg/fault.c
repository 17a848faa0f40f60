// SPDX-License-Identifier: MIT
/*
 * Recoverable faults. An access that failed left reports in engine->faults;
 * fault_resolve() sends them and sleeps until the host has answered each. The
 * engine does nothing else meanwhile.
 */
#include <errno.h>

#include "engine-private.h"

/* An answer without a mapping may be a race with the CPU, but not this often */
#define REPEATS_WORTH_A_WARNING	100

static bool pdata_in_use(struct engines *engines, u16 pdata)
{
	for (u32 i = 0; i < engines->n; i++) {
		for (u32 s = 0; s < MAX_FAULTS; s++) {
			const struct fault_slot *slot = &engines->engine[i].slots[s];

			if (slot->pending && slot->pdata == pdata)
				return true;
		}
	}
	return false;
}

static void take_slots(struct engine *e)
{
	struct engines *engines = e->parent;

	pthread_mutex_lock(&engines->lock);
	for (u32 i = 0; i < e->n_faults; i++) {
		while (pdata_in_use(engines, engines->next_pdata))
			engines->next_pdata++;
		e->faults[i].pdata = engines->next_pdata++;
		e->slots[i] = (struct fault_slot) { .pending = true, .pdata = e->faults[i].pdata };
	}
	pthread_mutex_unlock(&engines->lock);
}

static void send_reports(struct engine *e)
{
	const struct engine_config *config = &e->parent->config;

	for (u32 i = 0; i < e->n_faults; i++) {
		const struct fault_report *f = &e->faults[i];

		trace(TRACE_FAULT, "%s: fault %u asid %u va %#llx access %u type %u level %u",
		      e->name, f->pdata, f->asid, (unsigned long long)f->va, f->access, f->type,
		      f->level);
		count(e->stats.faults, 1);
		config->ops->page_fault(config->dev, f);
	}
}

static bool unanswered(const struct engine *e)
{
	for (u32 i = 0; i < e->n_faults; i++) {
		if (e->slots[i].pending)
			return true;
	}
	return false;
}

/* The first fault is the one that the command can't do without */
static int wait_for_replies(struct engine *e)
{
	struct engines *engines = e->parent;
	int ret = 0;

	pthread_mutex_lock(&engines->lock);
	while (unanswered(e) && !e->cancel)
		pthread_cond_wait(&e->wake, &engines->lock);
	if (unanswered(e))
		ret = -ECANCELED;
	else if (e->slots[0].failed)
		ret = -EIO;
	for (u32 i = 0; i < MAX_FAULTS; i++)
		e->slots[i].pending = false;
	pthread_mutex_unlock(&engines->lock);
	return ret;
}

static void note_repeats(struct engine *e, u64 va)
{
	e->fault_repeats = va == e->fault_va ? e->fault_repeats + 1 : 0;
	e->fault_va = va;
	if (e->fault_repeats && e->fault_repeats % REPEATS_WORTH_A_WARNING == 0)
		log_warn("%s: va %#llx faulted %u times in a row, each was acknowledged as served",
			 e->name, (unsigned long long)va, e->fault_repeats);
}

int fault_resolve(struct engine *e)
{
	int ret = engine_settle(e);

	if (ret)
		return ret;
	take_slots(e);
	send_reports(e);
	ret = wait_for_replies(e);
	if (ret == -EIO) {
		count(e->stats.faults_failed, 1);
		log_info("%s: the host can't serve va %#llx of asid %u", e->name,
			 (unsigned long long)e->faults[0].va, e->faults[0].asid);
	}
	note_repeats(e, e->faults[0].va);
	e->n_faults = 0;
	return ret;
}

static bool answer(struct engine *e, const struct fault_reply *reply)
{
	for (u32 i = 0; i < MAX_FAULTS; i++) {
		if (!e->slots[i].pending || e->slots[i].pdata != reply->pdata)
			continue;
		e->slots[i].pending = false;
		e->slots[i].failed = reply->failed;
		if (!reply->failed)
			note_served(e->parent, reply->asid);
		pthread_cond_broadcast(&e->wake);
		return true;
	}
	return false;
}

void engines_fault_reply(struct engines *engines, const struct fault_reply *reply)
{
	bool found = false;

	trace(TRACE_FAULT, "reply %u asid %u: %s", reply->pdata, reply->asid,
	      reply->failed ? "failed" : "served");
	pthread_mutex_lock(&engines->lock);
	for (u32 i = 0; i < engines->n && !found; i++)
		found = answer(&engines->engine[i], reply);
	if (!found)
		engines->stray_replies++;
	pthread_mutex_unlock(&engines->lock);
	if (!found)
		log_debug("a reply for fault %u, which nothing waits for", reply->pdata);
}
