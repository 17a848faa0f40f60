// SPDX-License-Identifier: GPL-2.0
/*
 * Events that change where memory is mapped, whether it can be accessed, and
 * whether anything stands behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soak.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

static bool advise(struct soak_worker *w, struct soak_piece *p,
		   struct soak_part part, int advice, const char *name)
{
	if (!madvise(soak_at(p, part.first), soak_bytes(part.pages), advice))
		return true;
	soak_fail(w, "%s of %u pages from page %u on: %s", name, part.pages,
		  part.first, strerror(errno));
	return false;
}

static void map_protect(struct soak_worker *w, struct soak_piece *p)
{
	static const int prots[] = {
		PROT_READ, PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	};
	struct soak_part part = soak_choose_mapped(w, p);
	int prot = prots[soak_below(w, 6)];

	if (!part.pages)
		return;
	if (mprotect(soak_at(p, part.first), soak_bytes(part.pages), prot)) {
		soak_fail(w, "mprotect: %s", strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < part.pages; i++)
		p->page[part.first + i].prot = prot;
	w->result = prot & PROT_WRITE ? "writable" : prot ? "readable" : "none";
}

static void map_dontneed(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);

	if (part.pages && advise(w, p, part, MADV_DONTNEED, "MADV_DONTNEED"))
		soak_dropped(p, part.first, part.pages);
}

/* What a page holds has to be certain when it becomes doubtful again */
static void map_free(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, false, 64);

	if (!part.pages || !soak_check(w, p, part.first, part.pages) ||
	    !advise(w, p, part, MADV_FREE, "MADV_FREE"))
		return;
	for (unsigned int n = part.first; n < part.first + part.pages; n++) {
		p->page[n].lazy = true;
		p->page[n].doubt = true;
	}
}

static void map_guard(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);

	if (part.pages > 8)
		part.pages = 8;
	if (!part.pages ||
	    !advise(w, p, part, MADV_GUARD_INSTALL, "MADV_GUARD_INSTALL"))
		return;
	soak_dropped(p, part.first, part.pages);
	for (unsigned int i = 0; i < part.pages; i++)
		p->page[part.first + i].guard = true;
}

static void map_unguard(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);

	if (!part.pages ||
	    !advise(w, p, part, MADV_GUARD_REMOVE, "MADV_GUARD_REMOVE"))
		return;
	for (unsigned int i = 0; i < part.pages; i++)
		p->page[part.first + i].guard = false;
}

/* Some of it stays */
static void map_unmap(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);
	unsigned int mapped = 0;

	for (unsigned int n = 0; n < p->pages; n++)
		mapped += !p->page[n].hole;
	if (!part.pages || mapped < part.pages + p->kind->unit)
		return;
	if (munmap(soak_at(p, part.first), soak_bytes(part.pages)))
		soak_fail(w, "munmap: %s", strerror(errno));
	for (unsigned int i = 0; i < part.pages; i++)
		p->page[part.first + i].hole = true;
}

/* Shared memory without a file can't be mapped a second time */
static void map_again(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part hole = { };

	while (hole.first < p->pages && !p->page[hole.first].hole)
		hole.first++;
	while (hole.first + hole.pages < p->pages &&
	       p->page[hole.first + hole.pages].hole)
		hole.pages++;
	w->part = hole;
	if (hole.pages)
		soak_map_pages(w, p, hole);
}

static bool move_to(struct soak_worker *w, char *from, char *to, size_t len)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (mremap(from, len, len, flags, to) != MAP_FAILED)
		return true;
	if (errno != EFAULT) {
		soak_fail(w, "mremap of %zu bytes: %s", len, strerror(errno));
		return false;
	}
	/* Several VMAs, for which it wants a call each on some kernels */
	for (size_t at = 0; at < len; at += soak.page)
		if (mremap(from + at, soak.page, soak.page, flags, to + at) ==
		    MAP_FAILED) {
			soak_fail(w, "mremap of a page: %s", strerror(errno));
			return false;
		}
	return true;
}

/* A part goes to another place, is used there, and comes back */
static void map_move_part(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, SOAK_HUGE);
	struct soak_piece there = *p;
	size_t at = soak_bytes(part.first), len = soak_bytes(part.pages);
	char *to = soak_place(w, p->slot, 2, soak_below(w, 8));

	if (!part.pages || !move_to(w, p->mem + at, to, len))
		return;
	there.mem = to - at;
	if (!soak_below(w, 4))
		soak_device_is_refused(w, p->mem + at);
	if (soak_below(w, 2))
		soak_device_read(w, &there, at, len);
	if (soak_below(w, 2))
		soak_device_fill(w, &there, at, soak.page, svm_rand(&w->rand));
	move_to(w, to, p->mem + at, len);
	if (!soak_below(w, 4))
		soak_device_is_refused(w, to);
}

/* All of it goes, with its holes */
static void map_move(struct soak_worker *w, struct soak_piece *p)
{
	bool home = p->mem < soak_place(w, 0, 1, 0);
	char *to = soak_place(w, p->slot, home, 0), *old = p->mem;

	if (p->slot < SOAK_SMALL_SLOTS || soak_below(w, 2))
		to += soak_bytes(soak_below(w, 8));
	if (p->slot >= SOAK_SMALL_SLOTS && p->pages == p->max_pages)
		to = soak_place(w, p->slot, home, 0);
	w->part = (struct soak_part) { .pages = p->pages };
	for (unsigned int n = 0; n < p->pages;) {
		unsigned int first = n;

		while (n < p->pages && !p->page[n].hole)
			n++;
		if (n == first)
			n++;
		else if (!move_to(w, soak_at(p, first), to + soak_bytes(first),
				  soak_bytes(n - first)))
			return;
	}
	p->mem = to;
	if (!soak_below(w, 2))
		soak_device_is_refused(w, old + soak_bytes(soak_below(w, p->pages)));
}

static bool resize_file(struct soak_worker *w, struct soak_piece *p,
			unsigned int pages)
{
	if (!ftruncate(p->fd, soak_bytes(pages)))
		return true;
	soak_fail(w, "ftruncate to %u pages: %s", pages, strerror(errno));
	return false;
}

/* By a few pages at its end, where there is room */
static void map_grow(struct soak_worker *w, struct soak_piece *p)
{
	unsigned int old = p->pages, last = old - 1, pages;
	unsigned int room = p->max_pages - old;

	if (p->slot >= SOAK_SMALL_SLOTS && room)
		room -= 8;
	if (!room || p->page[last].hole)
		return;
	pages = soak_below(w, room < 16 ? room : 16) + 1;
	w->part = (struct soak_part) { .first = old, .pages = pages };
	if (p->fd >= 0 && !resize_file(w, p, old + pages))
		return;
	if (mremap(soak_at(p, last), soak.page, soak_bytes(pages + 1), 0) ==
	    MAP_FAILED) {
		soak_fail(w, "mremap by %u pages: %s", pages, strerror(errno));
		return;
	}
	for (unsigned int i = 0; i < pages; i++)
		p->page[old + i] = (struct soak_page) { .prot = p->page[last].prot };
	p->pages += pages;
	if (p->fd >= 0) {
		p->store_pages = p->pages;
		soak_erased(p, old, pages);
	} else {
		soak_fresh(p, old, pages);
	}
}

static void map_truncate(struct soak_worker *w, struct soak_piece *p)
{
	unsigned int unit = p->kind->unit;
	unsigned int pages = soak_choose(w, p).first / unit * unit ?: unit;

	if (pages >= p->store_pages)
		return;
	soak_join_child(w);
	w->part = (struct soak_part) { pages, p->store_pages - pages };
	if (!resize_file(w, p, pages))
		return;
	soak_erased(p, pages, p->store_pages - pages);
	p->store_pages = pages;
}

static void map_extend(struct soak_worker *w, struct soak_piece *p)
{
	if (p->store_pages >= p->pages)
		return;
	w->part = (struct soak_part) { p->store_pages, p->pages - p->store_pages };
	if (resize_file(w, p, p->pages))
		p->store_pages = p->pages;
}

static bool all_writable(const struct soak_piece *p, struct soak_part part)
{
	for (unsigned int i = 0; i < part.pages; i++)
		if (p->page[part.first + i].hole ||
		    !(p->page[part.first + i].prot & PROT_WRITE))
			return false;
	return true;
}

static void map_punch(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_mapped(w, p);
	bool by_address = soak_below(w, 2) || p->fd < 0;

	if (!part.pages || (by_address && !all_writable(p, part)))
		return;
	if (by_address) {
		if (!advise(w, p, part, MADV_REMOVE, "MADV_REMOVE"))
			return;
	} else if (fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     soak_bytes(part.first), soak_bytes(part.pages))) {
		soak_fail(w, "fallocate: %s", strerror(errno));
		return;
	}
	soak_erased(p, part.first, part.pages);
}

const struct soak_operation soak_map_ops[] = {
	{ "protect", map_protect, 8, 0, 0 },
	{ "dontneed", map_dontneed, 4, 0, 0 },
	{ "free", map_free, 5, SOAK_ANON, 0 },
	{ "guard", map_guard, 2, 0, SOAK_HUGETLB },
	{ "unguard", map_unguard, 3, 0, SOAK_HUGETLB },
	{ "unmap", map_unmap, 2, 0, 0 },
	{ "map again", map_again, 4, SOAK_FD, 0 },
	{ "map again", map_again, 4, SOAK_ANON, 0 },
	{ "move part", map_move_part, 3, 0, SOAK_HUGETLB },
	{ "move", map_move, 2, 0, SOAK_HUGETLB },
	{ "grow", map_grow, 2, SOAK_ANON, 0 },
	{ "grow", map_grow, 2, SOAK_FD, SOAK_HUGETLB },
	{ "truncate", map_truncate, 2, SOAK_FD, 0 },
	{ "extend", map_extend, 4, SOAK_FD, 0 },
	{ "punch", map_punch, 3, SOAK_SHARED, 0 },
	{ }
};
