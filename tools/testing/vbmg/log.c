// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define LOG_LINES	10000	/* warnings in one run */

static enum log_level log_level = LOG_INFO;
static const char * const level_names[] = { "error", "warn", "info", "debug" };

static u32 trace_mask;
static FILE *trace_file;
static const char * const topic_names[TRACE_TOPICS] = {
	[TRACE_VFU] = "vfu",
	[TRACE_MMIO] = "mmio",
	[TRACE_IRQ] = "irq",
	[TRACE_GUC] = "guc",
	[TRACE_COMMAND] = "command",
	[TRACE_CONTEXT] = "context",
	[TRACE_FAULT] = "fault",
	[TRACE_TLB] = "tlb",
};

static int find_name(const char * const *names, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return (int)i;
	}
	return -1;
}

/* Seconds since boot: what the host's other logs can be compared with */
static void print_line(FILE *file, const char *head, const char *fmt, va_list args)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	flockfile(file);
	fprintf(file, "%5lld.%06ld %-7s ", (long long)now.tv_sec, now.tv_nsec / 1000, head);
	vfprintf(file, fmt, args);
	fputc('\n', file);
	funlockfile(file);
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

bool log_parse_level(const char *name, enum log_level *level)
{
	int i = find_name(level_names, ARRAY_SIZE(level_names), name, strlen(name));

	if (i < 0)
		return false;
	*level = (enum log_level)i;
	return true;
}

/* A guest can give reason for a message as often as it likes: it won't fill a disk */
static bool log_too_much(void)
{
	static u32 lines;
	u32 n = __atomic_add_fetch(&lines, 1, __ATOMIC_RELAXED);

	if (n == LOG_LINES)
		fputs("... and more, not printed\n", stderr);
	if (n >= 2 * LOG_LINES)		/* far from an overflow */
		__atomic_store_n(&lines, LOG_LINES, __ATOMIC_RELAXED);
	return n >= LOG_LINES;
}

void log_print(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > log_level || (level == LOG_WARN && log_too_much()))
		return;
	va_start(args, fmt);
	print_line(stderr, level_names[level], fmt, args);
	va_end(args);
}

bool trace_parse_topics(const char *topics)
{
	while (*topics) {
		size_t len = strcspn(topics, ",");
		int topic = find_name(topic_names, TRACE_TOPICS, topics, len);

		if (topic >= 0)
			trace_mask |= BIT(topic);
		else if (len == 3 && !memcmp(topics, "all", 3))
			trace_mask = ~0u;
		else
			return false;
		topics += len;
		topics += *topics == ',';
	}
	return true;
}

int trace_open(const char *path)
{
	trace_file = fopen(path, "we");
	if (!trace_file)
		return -errno;
	/* Whole, also if the model is killed */
	setvbuf(trace_file, NULL, _IOLBF, 0);
	return 0;
}

void trace_close(void)
{
	if (trace_file)
		fclose(trace_file);
	trace_file = NULL;
}

bool trace_on(enum trace_topic topic)
{
	return trace_mask & BIT(topic);
}

void trace(enum trace_topic topic, const char *fmt, ...)
{
	va_list args;

	if (!trace_on(topic))
		return;
	va_start(args, fmt);
	print_line(trace_file ? trace_file : stderr, topic_names[topic], fmt, args);
	va_end(args);
}
