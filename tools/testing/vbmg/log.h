/* SPDX-License-Identifier: MIT */
/*
 * Messages for people. Log lines have a level; trace lines have a topic, so
 * that a trace of faults isn't buried under one of commands.
 */
#ifndef VBMG_LOG_H
#define VBMG_LOG_H

#include "types.h"

enum log_level {
	LOG_ERROR,	/* the model can't go on, or can't do what was asked */
	LOG_WARN,	/* the driver or the guest did what it should not */
	LOG_INFO,	/* rare events: start, reset, end */
	LOG_DEBUG,
};

enum trace_topic {
	TRACE_COMMAND,	/* every command of every engine */
	TRACE_CONTEXT,	/* contexts come, go, switch in and out */
	TRACE_FAULT,
	TRACE_TLB,
	TRACE_MMIO,
	TRACE_GUC,
	TRACE_IRQ,
	TRACE_VFU,
	TRACE_TOPICS
};

/* What goes to stderr; both may be set once, before threads start */
void log_set_level(enum log_level level);
/* @names: topics separated by commas, or "all"; -EINVAL for a name that isn't one */
int trace_set_topics(const char *names);
/* In front of each line, to tell several devices apart */
void log_set_prefix(const char *prefix);

extern u32 trace_topics;

static inline bool trace_on(enum trace_topic topic)
{
	return trace_topics & BIT(topic);
}

__attribute__((format(printf, 2, 3)))
void log_print(enum log_level level, const char *format, ...);
__attribute__((format(printf, 2, 3)))
void trace_print(enum trace_topic topic, const char *format, ...);

#define log_error(...)	log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_print(LOG_DEBUG, __VA_ARGS__)

/* The arguments aren't computed for a topic that is off */
#define trace(topic, ...) \
	do { \
		if (trace_on(topic)) \
			trace_print(topic, __VA_ARGS__); \
	} while (0)

#endif
