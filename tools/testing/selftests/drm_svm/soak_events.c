// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses of the CPU, and events that change what stands behind memory but not
 * what it holds: reclaim, huge pages made and split, equal pages merged, and
 * children that share it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak.h"

#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define COMPACT	"/proc/sys/vm/compact_memory"

static const char *name_of(int advice)
{
	switch (advice) {
	case MADV_PAGEOUT:
		return "MADV_PAGEOUT";
	case MADV_COLD:
		return "MADV_COLD";
	case MADV_COLLAPSE:
		return "MADV_COLLAPSE";
	case MADV_HUGEPAGE:
		return "MADV_HUGEPAGE";
	case MADV_NOHUGEPAGE:
		return "MADV_NOHUGEPAGE";
	case MADV_MERGEABLE:
		return "MADV_MERGEABLE";
	default:
		return "MADV_UNMERGEABLE";
	}
}

/* It may fail, but not each time */
static void hint(struct soak_piece *p, struct soak_part part, int advice)
{
	if (part.pages)
		soak_count(name_of(advice), !madvise(soak_at(p, part.first),
						     soak_bytes(part.pages), advice));
}

/* A huge page of all that was asked to be one */
static void collapse_meanwhile(struct soak_piece *p)
{
	struct soak_part all = { .pages = p->pages };

	if (p->huge && p->pages >= SOAK_HUGE)
		hint(p, all, MADV_COLLAPSE);
}

/* What is private has to be copied when it is written to, by whomever */
static void fork_meanwhile(struct soak_worker *w)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		soak_fail(w, "a child that does nothing: %s", strerror(errno));
}

static void touch_meanwhile(struct soak_piece *p, struct soak_part part)
{
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		if (!soak_may(p, n, false))
			*(volatile char *)soak_at(p, n);
}

/* Another VMA for a moment, with as much as may be done to it */
static void split_meanwhile(struct soak_worker *w, struct soak_piece *p, unsigned int page)
{
	char *at = soak_at(p, page);

	if (!soak_may(p, page, true) &&
	    soak_count("mprotect during a job",
		       !mprotect(at, soak.page, PROT_READ | PROT_WRITE | PROT_EXEC)) &&
	    mprotect(at, soak.page, PROT_READ | PROT_WRITE))
		soak_fail(w, "mprotect of page %u: %s", page, strerror(errno));
}

/* Where there is no room it stays, and it may not be there at all */
static void move_meanwhile(struct soak_worker *w, struct soak_piece *p,
			   struct soak_part part)
{
	unsigned int place = soak_below(w, soak.backend->places);

	soak_count("prefetch during a job",
		   !soak.backend->prefetch(w, soak_at(p, part.first),
					   soak_bytes(part.pages), place));
}

void soak_disturb(struct soak_worker *w, struct soak_piece *p,
		  struct soak_part part)
{
	switch (soak_below(w, 16)) {
	case 0 ... 4:
		hint(p, part, MADV_PAGEOUT);
		break;
	case 5:
		hint(p, part, MADV_COLD);
		break;
	case 6:
		collapse_meanwhile(p);
		break;
	case 7:
		hint(p, part, MADV_NOHUGEPAGE);
		break;
	case 8:
		fork_meanwhile(w);
		break;
	case 9:
		split_meanwhile(w, p, part.first);
		break;
	case 10 ... 11:
		touch_meanwhile(p, part);
		break;
	case 12:
		if (p->kind->flags & SOAK_DISK)
			soak_count("fsync during a job", !fsync(p->fd));
		break;
	case 13:
		if (!soak_below(w, 4))
			soak_count("compaction", svm_write_file(COMPACT, "1"));
		break;
	default:
		move_meanwhile(w, p, part);
	}
}

static void event_pageout(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose(w, p);

	hint(p, part, MADV_PAGEOUT);
	if ((p->kind->flags & SOAK_ANON) && !soak_may(p, part.first, false))
		soak_count("a page in swap",
			   svm_backing(soak_at(p, part.first)) == SVM_BACKING_SWAP);
}

static void event_cold(struct soak_worker *w, struct soak_piece *p)
{
	hint(p, soak_choose(w, p), MADV_COLD);
}

static void event_populate(struct soak_worker *w, struct soak_piece *p)
{
	bool write = soak_below(w, 2);
	struct soak_part part = soak_choose_usable(w, p, write, SOAK_HUGE);
	int advice = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	if (part.pages &&
	    madvise(soak_at(p, part.first), soak_bytes(part.pages), advice))
		soak_fail(w, "populating %u pages from page %u on: %s",
			  part.pages, part.first, strerror(errno));
}

static void event_collapse(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part all = { .pages = p->pages };

	if (p->pages < SOAK_HUGE)
		return;
	w->part = all;
	p->huge = true;
	hint(p, all, soak_below(w, 4) ? MADV_COLLAPSE : MADV_HUGEPAGE);
}

static void event_small_pages(struct soak_worker *w, struct soak_piece *p)
{
	hint(p, soak_choose(w, p), MADV_NOHUGEPAGE);
}

/* Equal pages to merge, with each other and with other pieces' */
static void event_merge(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, 8);
	uint64_t value = 0x0101010101010101ULL * soak_below(w, 3);

	for (unsigned int n = part.first; n < part.first + part.pages; n++) {
		soak_fill(p, soak_bytes(n), soak.page, value);
		memset(soak_at(p, n), value & 0xff, soak.page);
	}
	hint(p, part, MADV_MERGEABLE);
}

static void event_unmerge(struct soak_worker *w, struct soak_piece *p)
{
	hint(p, soak_choose(w, p), MADV_UNMERGEABLE);
}

/*
 * The CPU
 */

static void event_write(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, 64);
	size_t skip = soak_below(w, soak.page), cut = soak_below(w, soak.page);
	size_t at = soak_bytes(part.first) + skip;
	size_t end = soak_bytes(part.first + part.pages) - cut;

	if (!part.pages || end <= at)
		return;
	if (!soak_below(w, 3)) {
		at -= skip;
		end += cut;
	}
	for (; at < end; at += soak.page - at % soak.page) {
		size_t len = soak.page - at % soak.page;

		if (len > end - at)
			len = end - at;
		soak_fill(p, at, len, svm_rand(&w->rand));
		memcpy(p->mem + at, p->shadow + at, len);
	}
}

static void event_check(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose(w, p);

	if (!soak_below(w, p->pages > SOAK_SMALL_PAGES ? 16 : 2))
		part = (struct soak_part) { .pages = p->pages };
	w->part = part;
	soak_check(w, p, part.first, part.pages);
}

/* One byte of each page: less than anything else changes */
static void event_touch(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, false, 32);

	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		soak_compare(w, p, soak_bytes(n), 1, soak_at(p, n), "the CPU");
}

/*
 * A child has what was private as it was, whatever the parent does to it, and the
 * parent what it has whatever the child does. It waits for its parent's word, so
 * that much can happen to what they share.
 */

static bool child_checks(struct soak_worker *w)
{
	for (unsigned int i = 0; i < SOAK_SLOTS; i++) {
		struct soak_piece *p = &w->piece[i];

		if (!(p->kind->flags & SOAK_SHARED) &&
		    !soak_check(w, p, 0, p->pages))
			return false;
	}
	return true;
}

static void child_writes(struct soak_worker *w)
{
	for (unsigned int i = 0; i < SOAK_SLOTS; i++) {
		struct soak_piece *p = &w->piece[i];

		for (unsigned int n = 0; n < p->pages; n += 1 + soak_below(w, 4)) {
			if ((p->kind->flags & SOAK_SHARED) || soak_may(p, n, true))
				continue;
			memset(soak_at(p, n), 0xcc, soak.page);
			soak_fill(p, soak_bytes(n), soak.page,
				  0xccccccccccccccccULL);
		}
	}
}

static void child_main(struct soak_worker *w, int from)
{
	char word;

	w->in_child = true;
	while (read(from, &word, 1) < 0)
		;
	if (!child_checks(w))
		_exit(1);
	child_writes(w);
	_exit(!child_checks(w));
}

void soak_join_child(struct soak_worker *w)
{
	int status;

	if (!w->child)
		return;
	close(w->child_pipe);
	if (waitpid(w->child, &status, 0) != w->child || status)
		soak_fail(w, "a child ended with status %#x", status);
	w->child = 0;
}

/*
 * A child has the pipes of those that were forked before it, other workers' as well: they
 * end after it. If it had a later one's, too, both would wait for each other.
 */
static pthread_mutex_t one_pipe = PTHREAD_MUTEX_INITIALIZER;

static void event_fork(struct soak_worker *w, struct soak_piece *p)
{
	int ends[2];

	(void)p;
	soak_join_child(w);
	pthread_mutex_lock(&one_pipe);
	if (pipe(ends)) {
		pthread_mutex_unlock(&one_pipe);
		soak_fail(w, "pipe: %s", strerror(errno));
		return;
	}
	w->child = fork();
	if (!w->child) {
		close(ends[1]);
		child_main(w, ends[0]);
	}
	pthread_mutex_unlock(&one_pipe);
	close(ends[0]);
	w->child_pipe = ends[1];
	if (w->child < 0) {
		close(ends[1]);
		w->child = 0;
		soak_fail(w, "fork: %s", strerror(errno));
	}
}

static void event_join(struct soak_worker *w, struct soak_piece *p)
{
	(void)p;
	soak_join_child(w);
}

const struct soak_operation soak_event_ops[] = {
	{ "page out", event_pageout, 10, 0, SOAK_HUGETLB },
	{ "cold", event_cold, 2, 0, SOAK_HUGETLB },
	{ "populate", event_populate, 3, 0, 0 },
	{ "collapse", event_collapse, 3, SOAK_LARGE_SIZE, SOAK_HUGETLB },
	{ "small pages", event_small_pages, 1, SOAK_ANON, 0 },
	{ "merge", event_merge, 3, SOAK_ANON, 0 },
	{ "unmerge", event_unmerge, 1, SOAK_ANON, 0 },
	{ "CPU write", event_write, 10, 0, 0 },
	{ "CPU check", event_check, 8, 0, 0 },
	{ "CPU touch", event_touch, 4, 0, 0 },
	{ "fork", event_fork, 1, 0, 0 },
	{ "join", event_join, 2, 0, 0 },
	{ }
};
