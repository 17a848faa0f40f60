/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demos check with: a step goes on while all is as it should be.
 */
#ifndef SVM_CHECK_H
#define SVM_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static char why_not[256];

/* A check of a step: remember what the first one that failed was about */
static inline bool __attribute__((format(printf, 2, 3)))
check(bool ok, const char *format, ...)
{
	va_list args;

	if (!ok && !why_not[0]) {
		va_start(args, format);
		vsnprintf(why_not, sizeof(why_not), format, args);
		va_end(args);
	}
	return ok;
}

#endif
