/* SPDX-License-Identifier: MIT */
/*
 * How long things take that take no time in the model itself: what hardware
 * would need for them. All 0 by default: then nothing waits and nobody looks at
 * a clock.
 *
 * As text it is a list of parts:
 *
 *	LIST	PART=COST,...		each part at most once
 *	COST	TIME, RATE, or TIME+RATE
 *	TIME	a number, then ns, us or ms; at most 1000ms
 *	RATE	a number, then MB/s or GB/s; 1MB/s to 1000GB/s; for parts with bytes
 *
 * A number is decimal, such as 5 or 2.5. Examples: tlb=20us,fault=10us,reply=5us
 * or copy=5us+10GB/s,pte=1us.
 */
#ifndef VBMG_LATENCY_H
#define VBMG_LATENCY_H

#include "types.h"

enum latency_part {
	LATENCY_TLB,		/* an invalidation, until the host is told that it is done */
	LATENCY_COPY,		/* a copy or a fill of a copy engine; its bytes */
	LATENCY_PTE,		/* a command that writes page table entries; its bytes */
	LATENCY_FAULT,		/* a fault, until the host is told */
	LATENCY_REPLY,		/* an answer to a fault, until the engine goes on */
	LATENCY_PARTS
};

struct latency {
	u64 ns;
	u64 bytes_per_s;	/* 0: bytes take no time */
};

struct latencies {
	struct latency part[LATENCY_PARTS];
};

/*
 * Read @text. Parts that it doesn't name stay as they are. If it is wrong: false,
 * *latencies is unchanged, and @why says what is wrong and what would be right.
 */
#define LATENCY_WHY	200	/* bytes that @why has to have */

bool latencies_parse(struct latencies *latencies, const char *text, char *why);

/* Whether any part takes time */
bool latencies_any(const struct latencies *latencies);

static inline bool latency_is_set(const struct latency *latency)
{
	return latency->ns || latency->bytes_per_s;
}

/* What @bytes take, beside the time that it takes anyhow */
static inline u64 latency_of_bytes(const struct latency *latency, u64 bytes)
{
	if (!latency->bytes_per_s)
		return 0;
	return (u64)((double)bytes * 1e9 / (double)latency->bytes_per_s);
}

#endif
