// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow: what each byte of a piece has to be, and who may access it.
 *
 * A page that MADV_FREE was told of holds what it did until the kernel takes it,
 * and zero from then on. A write ends that: from then on the page holds the write,
 * and around it either what was there or zero. So there is another shadow, for the
 * case that the kernel took the page before the write.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "soak.h"

int soak_may(const struct soak_piece *p, unsigned int n, bool write)
{
	const struct soak_page *page = &p->page[n];

	if (page->hole)
		return -EFAULT;
	if (!(page->prot & (write ? PROT_WRITE : PROT_READ)))
		return -EPERM;
	return page->guard || n >= p->store_pages ? -EFAULT : 0;
}

/*
 * Behind the end of the file, and nevertheless it may be that it can be accessed: tmpfs
 * maps a huge page as a whole although the file ends within it. Whether there is one is
 * up to the kernel.
 */
bool soak_is_open(const struct soak_piece *p, unsigned int n)
{
	unsigned int end = (p->store_pages + SOAK_HUGE - 1) / SOAK_HUGE * SOAK_HUGE;

	return p->huge && (p->kind->flags & SOAK_SHMEM) && n >= p->store_pages && n < end;
}

/* How many of the bytes can be accessed before the first error, and which */
size_t soak_reach(const struct soak_piece *p, size_t at, size_t len, bool write,
		  int *error)
{
	size_t done = 0;

	*error = 0;
	while (done < len) {
		*error = soak_may(p, (at + done) / soak.page, write);
		if (*error)
			break;
		done += soak.page - (at + done) % soak.page;
	}
	return done < len ? done : len;
}

/* A part of an interval of bytes that is in one page */
struct chunk {
	size_t at, len, page_at;
	struct soak_page *page;
};

static struct chunk first_chunk(const struct soak_piece *p, size_t at, size_t len)
{
	size_t rest = soak.page - at % soak.page;

	return (struct chunk) {
		.at = at,
		.len = len < rest ? len : rest,
		.page_at = at / soak.page * soak.page,
		.page = &p->page[at / soak.page],
	};
}

#define for_each_chunk(c, p, start, length)				\
	for (struct chunk c = first_chunk(p, start, length);		\
	     c.at < (start) + (length);					\
	     c = first_chunk(p, c.at + c.len, (start) + (length) - c.at - c.len))

bool soak_in_doubt(const struct soak_piece *p, size_t at, size_t len)
{
	for_each_chunk(c, p, at, len)
		if (c.page->doubt)
			return true;
	return false;
}

/* Before a write: it is the end of all doubt, or makes what was there certain */
static void settle(struct soak_piece *p, const struct chunk *c)
{
	if (c->len == soak.page) {
		c->page->lazy = false;
		c->page->either = false;
		c->page->doubt = false;
	} else if (c->page->lazy) {
		memset(p->other + c->page_at, 0, soak.page);
		c->page->lazy = false;
		c->page->either = true;
	}
}

void soak_put(struct soak_piece *p, size_t at, const void *data, size_t len)
{
	for_each_chunk(c, p, at, len) {
		const char *from = (const char *)data + (c.at - at);

		settle(p, &c);
		memcpy(p->shadow + c.at, from, c.len);
		if (c.page->either)
			memcpy(p->other + c.at, from, c.len);
	}
}

/* The bytes of a value over and over, from bit @shift of it on */
static void repeat(char *to, size_t len, uint64_t value, unsigned int shift)
{
	size_t i;

	if (shift)
		value = value >> shift | value << (64 - shift);
	for (i = 0; i + sizeof(value) <= len; i += sizeof(value))
		memcpy(to + i, &value, sizeof(value));
	memcpy(to + i, &value, len - i);
}

void soak_fill(struct soak_piece *p, size_t at, size_t len, uint64_t value)
{
	for_each_chunk(c, p, at, len) {
		settle(p, &c);
		repeat(p->shadow + c.at, c.len, value, (c.at - at) % 8 * 8);
		if (c.page->either)
			memcpy(p->other + c.at, p->shadow + c.at, c.len);
	}
}

void soak_add(struct soak_piece *p, size_t at, uint64_t value)
{
	struct chunk c = first_chunk(p, at, sizeof(value));

	settle(p, &c);
	*(uint64_t *)(p->shadow + at) += value;
	if (c.page->either)
		*(uint64_t *)(p->other + at) += value;
}

void soak_fresh(struct soak_piece *p, unsigned int first, unsigned int pages)
{
	for (unsigned int n = first; n < first + pages; n++) {
		char *to = p->shadow + soak_bytes(n);

		p->page[n].lazy = false;
		p->page[n].either = false;
		p->page[n].doubt = false;
		if (p->store)
			memcpy(to, p->store + soak_bytes(n), soak.page);
		else
			memset(to, 0, soak.page);
	}
}

void soak_erased(struct soak_piece *p, unsigned int first, unsigned int pages)
{
	if (p->store)
		memset(p->store + soak_bytes(first), 0, soak_bytes(pages));
	soak_fresh(p, first, pages);
}

void soak_dropped(struct soak_piece *p, unsigned int first, unsigned int pages)
{
	for (unsigned int n = first; n < first + pages; n++)
		if (!p->page[n].hole && !(p->kind->flags & SOAK_SHARED))
			soak_fresh(p, n, 1);
}

static bool is_zero(const char *mem, size_t len)
{
	return !len || (!mem[0] && !memcmp(mem, mem + 1, len - 1));
}

/* Does the page hold what it may? Then learn which of that it is */
static bool chunk_is_right(struct soak_piece *p, const struct chunk *c,
			   const char *got)
{
	bool whole = c->len == soak.page;

	if (!memcmp(got, p->shadow + c->at, c->len)) {
		if (whole)
			c->page->either = false;
		return true;
	}
	if (c->page->lazy && is_zero(got, c->len)) {
		memset(p->shadow + c->page_at, 0, soak.page);
		c->page->lazy = false;
		return true;
	}
	if (c->page->either && !memcmp(got, p->other + c->at, c->len)) {
		memcpy(p->shadow + c->page_at, p->other + c->page_at, soak.page);
		c->page->either = false;
		return true;
	}
	return false;
}

static void report(struct soak_worker *w, const struct soak_piece *p,
		   const struct chunk *c, const char *got, const char *who)
{
	size_t first = 0, differ = 0;

	for (size_t i = c->len; i--;)
		if (got[i] != p->shadow[c->at + i]) {
			first = i;
			differ++;
		}
	soak_fail(w,
		  "%s: page %zu of piece %u (%s, %p) differs in %zu bytes from +%#zx: %#x, not %#x",
		  who, c->page_at / soak.page, p->id, p->kind->name,
		  p->mem + c->at + first, differ, (c->at + first) % soak.page,
		  got[first] & 0xff, p->shadow[c->at + first] & 0xff);
}

static void add_up(struct soak_worker *w, const char *got, size_t len)
{
	if (soak.log < 0)
		return;
	for (size_t i = 0; i < len; i++)
		w->sum = (w->sum ^ (unsigned char)got[i]) * 0x100000001b3ULL;
}

bool soak_compare(struct soak_worker *w, struct soak_piece *p, size_t at,
		  size_t len, const void *data, const char *who)
{
	for_each_chunk(c, p, at, len) {
		const char *got = (const char *)data + (c.at - at);

		if (!chunk_is_right(p, &c, got)) {
			report(w, p, &c, got, who);
			return false;
		}
		if (!c.page->doubt)
			add_up(w, got, c.len);
	}
	return true;
}

bool soak_check(struct soak_worker *w, struct soak_piece *p, unsigned int first,
		unsigned int pages)
{
	for (unsigned int n = first; n < first + pages; n++)
		if (!soak_may(p, n, false) &&
		    !soak_compare(w, p, soak_bytes(n), soak.page, soak_at(p, n),
				  "the CPU"))
			return false;
	return true;
}

static bool holds_what_it_may(struct soak_piece *p, unsigned int n)
{
	struct chunk c = first_chunk(p, soak_bytes(n), soak.page);

	return chunk_is_right(p, &c, soak_at(p, n));
}

void soak_resync(struct soak_piece *p)
{
	for (unsigned int n = 0; n < p->pages; n++) {
		struct iovec to = { p->shadow + soak_bytes(n), soak.page };
		struct iovec from = { soak_at(p, n), soak.page };

		if (soak_may(p, n, false) || holds_what_it_may(p, n))
			continue;
		process_vm_readv(getpid(), &to, 1, &from, 1, 0);
		p->page[n].lazy = false;
		p->page[n].either = false;
		p->tainted = true;
	}
}

/*
 * Choices of pages. The same ones as the last time are taken often: an error wants
 * several things to happen to one page.
 */

struct soak_part soak_choose(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = { .pages = p->pages };
	bool large = p->pages > SOAK_SMALL_PAGES;
	unsigned int most = soak_below(w, large ? 32 : 8) ? 16 : p->pages;

	switch (soak_below(w, 8)) {
	case 0:
		if (!large || !soak_below(w, 16))
			break;
		__attribute__((fallthrough));
	case 1:
	case 2:
		if (p->last.pages && p->last.first + p->last.pages <= p->pages) {
			part = p->last;
			break;
		}
		__attribute__((fallthrough));
	default:
		part.pages = soak_below(w, most < p->pages ? most : p->pages) + 1;
		part.first = soak_below(w, p->pages - part.pages + 1);
	}
	p->last = part;
	w->part = part;
	return part;
}

/* The run of pages in the part that ends with the first that isn't right */
static struct soak_part run_of(const struct soak_piece *p, struct soak_part part,
			       bool (*right)(const struct soak_piece *p,
					     unsigned int page))
{
	unsigned int end = part.first + part.pages;
	struct soak_part run = { .first = part.first };

	while (run.first < end && !right(p, run.first))
		run.first++;
	while (run.first + run.pages < end && right(p, run.first + run.pages))
		run.pages++;
	return run;
}

static bool is_mapped(const struct soak_piece *p, unsigned int page)
{
	return !p->page[page].hole;
}

static bool is_readable(const struct soak_piece *p, unsigned int page)
{
	return !soak_may(p, page, false);
}

static bool is_writable(const struct soak_piece *p, unsigned int page)
{
	return !soak_may(p, page, true);
}

/* Whole units of the kind; huge ones don't come in parts */
static struct soak_part round_out(const struct soak_piece *p,
				  struct soak_part part)
{
	unsigned int unit = p->kind->unit;
	unsigned int end = (part.first + part.pages + unit - 1) / unit * unit;

	part.first = part.first / unit * unit;
	part.pages = end - part.first;
	return part;
}

struct soak_part soak_choose_mapped(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = round_out(p, soak_choose(w, p));

	part = run_of(p, part, is_mapped);
	w->part = part;
	return part;
}

struct soak_part soak_choose_usable(struct soak_worker *w, struct soak_piece *p,
				    bool write, unsigned int most)
{
	struct soak_part part = soak_choose(w, p);

	part = run_of(p, part, write ? is_writable : is_readable);
	if (part.pages > most)
		part.pages = most;
	w->part = part;
	return part;
}
