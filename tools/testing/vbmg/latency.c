// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"

#define MAX_NS		1e9
#define MIN_RATE	1e6
#define MAX_RATE	1e12

static const struct part_info {
	const char *name;
	bool has_bytes;
} parts[LATENCY_PARTS] = {
	[LATENCY_TLB] = { "tlb", false },
	[LATENCY_COPY] = { "copy", true },
	[LATENCY_PTE] = { "pte", true },
	[LATENCY_FAULT] = { "fault", false },
	[LATENCY_REPLY] = { "reply", false },
};

static const struct unit {
	const char *name;
	double factor;		/* to ns, or to bytes a second */
	bool rate;
} units[] = {
	{ "ns", 1, false },
	{ "us", 1e3, false },
	{ "ms", 1e6, false },
	{ "MB/s", 1e6, true },
	{ "GB/s", 1e9, true },
};

/* A piece of the text that is being read, and where to say what is wrong with it */
struct piece {
	const char *text;
	size_t len;
	char *why;
};

/* "'PIECE' FMT": not more of what somebody typed than leaves space for the rest */
__attribute__((format(printf, 2, 3)))
static bool wrong(const struct piece *piece, const char *fmt, ...)
{
	int shown = (int)min(piece->len, (size_t)30);
	int len = snprintf(piece->why, LATENCY_WHY, "'%.*s'", shown, piece->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(piece->why + len, LATENCY_WHY - (size_t)len, fmt, args);
	va_end(args);
	return false;
}

static bool is(const struct piece *piece, const char *name)
{
	return strlen(name) == piece->len && !memcmp(piece->text, name, piece->len);
}

/* Cut off what comes before the first @separator: false if there is none, it is all then */
static bool take(struct piece *from, char separator, struct piece *piece)
{
	const char *at = memchr(from->text, separator, from->len);
	size_t taken = from->len;

	*piece = *from;
	if (at) {
		piece->len = (size_t)(at - from->text);
		taken = piece->len + 1;
	}
	from->text += taken;
	from->len -= taken;
	return at;
}

static bool find_part(const struct piece *name, enum latency_part *part)
{
	for (*part = 0; *part < LATENCY_PARTS; (*part)++) {
		if (is(name, parts[*part].name))
			return true;
	}
	return wrong(name, " has no latency: it is tlb, copy, pte, fault or reply");
}

static const struct unit *find_unit(const struct piece *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (is(name, units[i].name))
			return &units[i];
	}
	return NULL;
}

/* Digits, and perhaps a point and more of them: less than strtod() takes */
static size_t number_length(const struct piece *piece)
{
	size_t len = 0, points = 0;

	while (len < piece->len) {
		char c = piece->text[len];

		if (c == '.' && len && !points)
			points++;
		else if (c < '0' || c > '9')
			break;
		len++;
	}
	return len && piece->text[len - 1] != '.' ? len : 0;
}

static bool set_time(const struct piece *piece, struct latency *latency, double ns)
{
	if (ns > MAX_NS)
		return wrong(piece, " is too long: at most 1000ms");
	latency->ns = (u64)(ns + 0.5);
	return true;
}

static bool set_rate(const struct piece *piece, enum latency_part part, struct latency *latency,
		     double rate)
{
	if (!parts[part].has_bytes)
		return wrong(piece, ": %s has no bytes, so only a time: %s=20us",
			     parts[part].name, parts[part].name);
	if (rate < MIN_RATE || rate > MAX_RATE)
		return wrong(piece, " is out of range: 1MB/s to 1000GB/s");
	latency->bytes_per_s = (u64)(rate + 0.5);
	return true;
}

/* A time or a rate; @unit is what it was */
static bool parse_quantity(const struct piece *piece, enum latency_part part,
			   struct latency *latency, const struct unit **unit)
{
	size_t digits = number_length(piece);
	struct piece rest = { piece->text + digits, piece->len - digits, piece->why };
	double value = strtod(piece->text, NULL);

	*unit = digits ? find_unit(&rest) : NULL;
	if (!*unit)
		return wrong(piece, " of %s: a number with ns, us or ms%s is wanted, as %s",
			     parts[part].name,
			     parts[part].has_bytes ? ", or with MB/s or GB/s" : "",
			     parts[part].has_bytes ? "copy=5us+10GB/s" : "tlb=20us");
	if ((*unit)->rate)
		return set_rate(piece, part, latency, value * (*unit)->factor);
	return set_time(piece, latency, value * (*unit)->factor);
}

static bool parse_cost(struct piece *cost, enum latency_part part, struct latency *latency)
{
	const struct piece whole = *cost;
	const struct unit *unit, *second;
	struct piece first;
	bool more = take(cost, '+', &first);

	*latency = (struct latency) { 0 };
	if (!parse_quantity(&first, part, latency, &unit))
		return false;
	if (!more)
		return true;
	if (!parse_quantity(cost, part, latency, &second))
		return false;
	if (unit->rate || !second->rate)
		return wrong(&whole, ": before '+' comes a time, behind it a rate: %s=5us+10GB/s",
			     parts[part].name);
	return true;
}

static bool parse_part(struct piece *text, struct latencies *latencies, u32 *given)
{
	enum latency_part part;
	struct piece name;

	take(text, '=', &name);
	if (!find_part(&name, &part))
		return false;
	if (*given & BIT(part))
		return wrong(&name, " is given twice");
	*given |= BIT(part);
	return parse_cost(text, part, &latencies->part[part]);
}

bool latencies_parse(struct latencies *latencies, const char *text, char *why)
{
	struct piece rest = { text, strlen(text), why };
	struct latencies parsed = *latencies;
	struct piece part;
	u32 given = 0;
	bool more;

	do {
		more = take(&rest, ',', &part);
		if (!parse_part(&part, &parsed, &given))
			return false;
	} while (more);
	*latencies = parsed;
	return true;
}

bool latencies_any(const struct latencies *latencies)
{
	for (u32 i = 0; i < LATENCY_PARTS; i++) {
		if (latency_is_set(&latencies->part[i]))
			return true;
	}
	return false;
}
