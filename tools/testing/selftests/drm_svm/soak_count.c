// SPDX-License-Identifier: GPL-2.0
/*
 * How often the soak has tried what may fail, and how often that came to something. An
 * advice that the kernel never takes is none that is tested, although all goes well.
 *
 * All rounds add to the same numbers, which they share with the process that reports.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest.h"
#include "soak.h"

#define MOST_NAMES	32
#define ENOUGH_TRIES	100

static struct count {
	const char *name;
	uint64_t tries, successes;
} *counts;

bool soak_begin_counting(void)
{
	counts = mmap(NULL, MOST_NAMES * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return counts != MAP_FAILED;
}

/* The place of a name, which the first who has something to count takes */
static struct count *find(const char *name)
{
	for (int i = 0; i < MOST_NAMES; i++) {
		const char *other = NULL;

		if (__atomic_compare_exchange_n(&counts[i].name, &other, name, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
		    !strcmp(other, name))
			return &counts[i];
	}
	abort();
}

bool soak_count(const char *name, bool success)
{
	struct count *count = find(name);

	__atomic_add_fetch(&count->tries, 1, __ATOMIC_RELAXED);
	if (success)
		__atomic_add_fetch(&count->successes, 1, __ATOMIC_RELAXED);
	return success;
}

bool soak_report_counts(void)
{
	bool right = true;

	for (int i = 0; i < MOST_NAMES && counts[i].name; i++) {
		bool never = counts[i].tries > ENOUGH_TRIES && !counts[i].successes;

		ksft_print_msg("%s: %llu of %llu%s\n", counts[i].name,
			       (unsigned long long)counts[i].successes,
			       (unsigned long long)counts[i].tries,
			       never ? ", which is never" : "");
		right &= !never;
	}
	return right;
}
