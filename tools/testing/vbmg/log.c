// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

u32 trace_topics;

static enum log_level log_level = LOG_INFO;
static const char *log_prefix = "vbmg";

static const char * const level_names[] = { "error", "warning", "info", "debug" };

static const char * const topic_names[TRACE_TOPICS] = {
	[TRACE_COMMAND] = "command",
	[TRACE_CONTEXT] = "context",
	[TRACE_FAULT] = "fault",
	[TRACE_TLB] = "tlb",
	[TRACE_MMIO] = "mmio",
	[TRACE_GUC] = "guc",
	[TRACE_IRQ] = "irq",
	[TRACE_VFU] = "vfu",
};

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_prefix(const char *prefix)
{
	log_prefix = prefix;
}

static int topic_of(const char *name, size_t len)
{
	for (int i = 0; i < TRACE_TOPICS; i++) {
		if (strlen(topic_names[i]) == len && !memcmp(topic_names[i], name, len))
			return i;
	}
	return -EINVAL;
}

int trace_set_topics(const char *names)
{
	u32 topics = 0;

	while (*names) {
		size_t len = strcspn(names, ",");
		int topic = topic_of(names, len);

		if (len == 3 && !memcmp(names, "all", 3))
			topics = BIT(TRACE_TOPICS) - 1;
		else if (topic < 0)
			return topic;
		else
			topics |= BIT(topic);
		names += len + (names[len] == ',');
	}
	trace_topics = topics;
	return 0;
}

/* One write a line, so that lines of several threads don't mix */
static void print_line(const char *kind, const char *format, va_list args)
{
	char line[1024];
	struct timespec now;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	n = snprintf(line, sizeof(line), "%s %5ld.%06ld %s: ", log_prefix, (long)now.tv_sec,
		     now.tv_nsec / 1000, kind);
	if (n < 0 || n >= (int)sizeof(line))
		return;
	vsnprintf(line + n, sizeof(line) - n, format, args);
	fprintf(stderr, "%s\n", line);
}

void log_print(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	print_line(level_names[level], format, args);
	va_end(args);
}

void trace_print(enum trace_topic topic, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(topic_names[topic], format, args);
	va_end(args);
}
