// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds of memory, and the life of a piece of it.
 *
 * Pieces have places of their own, far below all else that is mapped, so that a
 * hole in one stays a hole. Small pieces of all workers lie side by side, several
 * in 2 MiB: workers meet in the same ranges and notifiers, though never in the same
 * bytes. Each piece has three places: two between which it moves as a whole, and
 * one where a part of it goes for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soak.h"

#ifndef MFD_HUGETLB
#define MFD_HUGETLB	4U
#endif

#define WINDOW		0x200000000000UL
#define PLACE_STEP	(1UL << 30)
#define LARGE_FROM	(1UL << 28)
#define PLACES		3
#define SLOT_PAGES	128
#define RW		(PROT_READ | PROT_WRITE)

static int sized(int fd, size_t len)
{
	if (fd >= 0 && ftruncate(fd, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_memfd(size_t len)
{
	return sized(memfd_create("soak", MFD_CLOEXEC), len);
}

static int open_hugetlb(size_t len)
{
	return sized(memfd_create("soak", MFD_CLOEXEC | MFD_HUGETLB), len);
}

int soak_tmpfile(void)
{
	return soak.disk ? open(soak.disk, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) :
			   -1;
}

static int open_disk(size_t len)
{
	return sized(soak_tmpfile(), len);
}

#define BOTH	(SOAK_SMALL_SIZE | SOAK_LARGE_SIZE)

const struct soak_kind soak_kinds[] = {
	{ "anonymous", SOAK_ANON | BOTH, 1, NULL, MADV_NOHUGEPAGE },
	{ "anonymous huge", SOAK_ANON | SOAK_LARGE_SIZE, 1, NULL, MADV_HUGEPAGE },
	{ "shared anonymous", SOAK_SHARED | SOAK_SHMEM | BOTH, 1, NULL, 0 },
	{ "memfd", SOAK_SHARED | SOAK_SHMEM | SOAK_FD | BOTH, 1, open_memfd, 0 },
	{ "memfd huge", SOAK_SHARED | SOAK_SHMEM | SOAK_FD | SOAK_LARGE_SIZE, 1,
	  open_memfd, MADV_HUGEPAGE },
	{ "hugetlb", SOAK_SHARED | SOAK_FD | SOAK_HUGETLB | SOAK_LARGE_SIZE,
	  SOAK_HUGE, open_hugetlb, 0 },
	{ "file", SOAK_SHARED | SOAK_FD | SOAK_DISK | BOTH, 1, open_disk, 0 },
	{ "private file", SOAK_FD | SOAK_DISK | BOTH, 1, open_disk, 0 },
};

const unsigned int soak_num_kinds = sizeof(soak_kinds) / sizeof(soak_kinds[0]);

/* Whether there are such pieces here at all */
static bool is_there(const struct soak_kind *kind)
{
	size_t len = soak_bytes(kind->unit);
	void *mem;
	int fd;

	if (!kind->open)
		return true;
	fd = kind->open(len);
	if (fd < 0)
		return false;
	mem = svm_map_file(fd, len, RW, MAP_SHARED);
	close(fd);
	if (!mem)
		return false;
	munmap(mem, len);
	return true;
}

void soak_find_kinds(void)
{
	soak.kinds = 0;
	for (unsigned int i = 0; i < soak_num_kinds; i++)
		if (is_there(&soak_kinds[i]))
			soak.kinds |= 1U << i;
}

void *soak_window(size_t *len)
{
	*len = PLACES * PLACE_STEP;
	return (void *)WINDOW;
}

/* Where a slot begins, @skip pages further */
char *soak_place(const struct soak_worker *w, unsigned int slot,
		 unsigned int place, unsigned int skip)
{
	size_t at = WINDOW + place * PLACE_STEP;

	if (slot < SOAK_SMALL_SLOTS)
		at += soak_bytes(SLOT_PAGES * (slot * soak.threads + w->number));
	else
		at += LARGE_FROM + soak_bytes(SOAK_LARGE_PAGES) *
		      ((slot - SOAK_SMALL_SLOTS) * soak.threads + w->number);
	return (char *)at + soak_bytes(skip);
}

bool soak_map_pages(struct soak_worker *w, struct soak_piece *p,
		    struct soak_part part)
{
	size_t len = soak_bytes(part.pages), offset = soak_bytes(part.first);
	int flags = p->kind->flags & SOAK_SHARED ? MAP_SHARED : MAP_PRIVATE;
	char *at = soak_at(p, part.first);

	if (p->fd < 0) {
		flags |= MAP_ANONYMOUS;
		offset = 0;
	}
	if (mmap(at, len, RW, flags | MAP_FIXED, p->fd, offset) == MAP_FAILED) {
		soak_fail(w, "mmap of %zu bytes: %s", len, strerror(errno));
		return false;
	}
	if (p->kind->advice)
		madvise(at, len, p->kind->advice);
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		p->page[n] = (struct soak_page) { .prot = RW };
	if (!(p->kind->flags & SOAK_SHARED))
		soak_fresh(p, part.first, part.pages);
	return true;
}

static const struct soak_kind *choose_kind(struct soak_worker *w, unsigned int slot)
{
	unsigned int size = slot < SOAK_SMALL_SLOTS ? SOAK_SMALL_SIZE :
						      SOAK_LARGE_SIZE;

	for (;;) {
		unsigned int i = soak_below(w, soak_num_kinds);

		if ((soak.kinds & 1U << i) && (soak_kinds[i].flags & size))
			return &soak_kinds[i];
	}
}

static void choose_size(struct soak_worker *w, struct soak_piece *p)
{
	unsigned int skip = 0;

	if (p->slot < SOAK_SMALL_SLOTS) {
		skip = soak_below(w, 8);
		p->max_pages = SOAK_SMALL_PAGES;
		p->pages = soak_below(w, SOAK_SMALL_PAGES / 2) + 8;
	} else {
		p->max_pages = SOAK_LARGE_PAGES;
		p->pages = soak_below(w, 8) ? SOAK_HUGE : 2 * SOAK_HUGE;
	}
	p->mem = soak_place(w, p->slot, 0, skip);
}

/* What a file holds before it is mapped; on a disk, and not in memory */
static bool fill_file(struct soak_worker *w, struct soak_piece *p)
{
	size_t len = soak_bytes(p->pages);

	svm_pattern_fill(p->shadow, len, p->id);
	if (p->store)
		memcpy(p->store, p->shadow, len);
	if (pwrite(p->fd, p->shadow, len, 0) != (ssize_t)len || fsync(p->fd) ||
	    posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED)) {
		soak_fail(w, "writing a file of %zu bytes: %s", len,
			  strerror(errno));
		return false;
	}
	return true;
}

static bool allocate(struct soak_piece *p)
{
	size_t most = p->slot < SOAK_SMALL_SLOTS ? SOAK_SMALL_PAGES :
						   SOAK_LARGE_PAGES;

	if (p->shadow)
		return true;
	p->shadow = svm_map(3 * soak_bytes(most), RW);
	p->page = calloc(most, sizeof(*p->page));
	if (!p->shadow || !p->page)
		return false;
	p->other = p->shadow + soak_bytes(most);
	return true;
}

static bool give_contents(struct soak_worker *w, struct soak_piece *p)
{
	bool private_file = (p->kind->flags & SOAK_FD) &&
			    !(p->kind->flags & SOAK_SHARED);
	struct soak_part all = { .pages = p->pages };

	p->store = private_file ? p->other + soak_bytes(p->max_pages) : NULL;
	p->store_pages = p->kind->flags & SOAK_ANON ? p->max_pages : p->pages;
	memset(p->page, 0, p->max_pages * sizeof(*p->page));
	if (p->store)
		memset(p->store, 0, soak_bytes(p->max_pages));
	soak_fresh(p, 0, p->pages);
	if ((p->kind->flags & SOAK_DISK) && (private_file || soak_below(w, 2)) &&
	    !fill_file(w, p))
		return false;
	return soak_map_pages(w, p, all);
}

bool soak_make_piece(struct soak_worker *w, unsigned int slot)
{
	struct soak_piece *p = &w->piece[slot];

	p->slot = slot;
	p->id = w->pieces_made++ * soak.threads + w->number;
	p->kind = choose_kind(w, slot);
	p->huge = p->kind->advice == MADV_HUGEPAGE;
	p->pin = -1;
	p->fd = -1;
	p->last = (struct soak_part) { };
	p->tainted = false;
	p->events = 0;
	choose_size(w, p);
	if (!allocate(p))
		return false;
	if (p->kind->open) {
		p->fd = p->kind->open(soak_bytes(p->pages));
		if (p->fd < 0) {
			soak_fail(w, "no %s: %s", p->kind->name, strerror(errno));
			return false;
		}
	}
	soak_note(p, "%s, %u pages at %p", p->kind->name, p->pages, p->mem);
	return give_contents(w, p);
}

void soak_unpin(struct soak_piece *p)
{
	if (p->pin >= 0)
		svm_unpin(p->pin);
	p->pin = -1;
}

/* Let all be seen that was written before it was protected */
static void unprotect(struct soak_worker *w, struct soak_piece *p)
{
	for (unsigned int n = 0; n < p->pages; n++) {
		unsigned int first = n;

		for (; n < p->pages && !p->page[n].hole; n++)
			p->page[n].prot = RW;
		if (n > first && mprotect(soak_at(p, first), soak_bytes(n - first), RW))
			soak_fail(w, "mprotect: %s", strerror(errno));
	}
}

/*
 * The file, as no mapping shows it: what is behind holes of a shared one, and under the
 * copies of a private one, which nobody has written to
 */
static void check_file(struct soak_worker *w, struct soak_piece *p)
{
	size_t len = soak_bytes(p->store_pages);

	if (p->fd < 0 || p->tainted)
		return;
	if (pread(p->fd, w->buf, len, 0) != (ssize_t)len)
		soak_fail(w, "pread of %zu bytes: %s", len, strerror(errno));
	else if (!p->store)
		soak_compare(w, p, 0, len, w->buf, "the file");
	else if (memcmp(w->buf, p->store, len))
		soak_fail(w, "the file of piece %u is written by its private mapping", p->id);
}

void soak_drop_piece(struct soak_worker *w, struct soak_piece *p)
{
	unprotect(w, p);
	soak_check(w, p, 0, p->pages);
	check_file(w, p);
	soak_unpin(p);
	if (munmap(p->mem, soak_bytes(p->pages)))
		soak_fail(w, "munmap: %s", strerror(errno));
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
