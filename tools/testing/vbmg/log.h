/* SPDX-License-Identifier: MIT */
/*
 * What the model says: messages by level to stderr, and a trace by topic to a
 * file. Both are lines, written whole, from any thread.
 */
#ifndef VBMG_LOG_H
#define VBMG_LOG_H

#include "types.h"

enum log_level {
	LOG_ERROR,	/* the model can't go on, or a bug of the guest's driver */
	LOG_WARN,	/* something that hardware would not have understood either */
	LOG_INFO,
	LOG_DEBUG,
};

enum trace_topic {
	TRACE_VFU,	/* vfio-user messages */
	TRACE_MMIO,	/* trapping register accesses */
	TRACE_IRQ,
	TRACE_GUC,	/* messages in both directions */
	TRACE_COMMAND,	/* commands of rings and batches */
	TRACE_CONTEXT,	/* registration, scheduling, switches */
	TRACE_FAULT,	/* page faults and their answers */
	TRACE_TLB,	/* invalidations */
	TRACE_TOPICS
};

void log_set_level(enum log_level level);
bool log_parse_level(const char *name, enum log_level *level);

__attribute__((format(printf, 2, 3)))
void log_print(enum log_level level, const char *fmt, ...);

#define log_error(...)	log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_print(LOG_DEBUG, __VA_ARGS__)

/* @topics: names separated by commas, or "all"; false if one is unknown */
bool trace_parse_topics(const char *topics);
/* 0 or -errno; without it the trace goes to stderr */
int trace_open(const char *path);
void trace_close(void);

bool trace_on(enum trace_topic topic);
__attribute__((format(printf, 2, 3)))
void trace(enum trace_topic topic, const char *fmt, ...);

#endif
