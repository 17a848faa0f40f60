// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses that the kernel makes for somebody: by files, pipes, disks and other
 * processes. And pins, which keep pages where they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "soak.h"

#define PIPE_PAGES	16

static bool all_of(struct soak_worker *w, ssize_t n, size_t len, const char *what)
{
	if (n == (ssize_t)len)
		return true;
	soak_fail(w, "%s: %zd of %zu bytes: %s", what, n, len,
		  n < 0 ? strerror(errno) : "that is all");
	return false;
}

static void io_remote_read(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, false, 64);
	size_t len = soak_bytes(part.pages);
	struct iovec to = { w->buf, len };
	struct iovec from = { soak_at(p, part.first), len };

	if (!part.pages || !soak.remote)
		return;
	if (all_of(w, process_vm_readv(getpid(), &to, 1, &from, 1, 0), len,
		   "process_vm_readv"))
		soak_compare(w, p, soak_bytes(part.first), len, w->buf,
			     "process_vm_readv");
}

static void random_buf(struct soak_worker *w, size_t len)
{
	svm_pattern_fill(w->buf, len, svm_rand(&w->rand));
}

static void io_remote_write(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, 32);
	size_t len = soak_bytes(part.pages);
	struct iovec from = { w->buf, len };
	struct iovec to = { soak_at(p, part.first), len };

	if (!part.pages || !soak.remote)
		return;
	random_buf(w, len);
	if (all_of(w, process_vm_writev(getpid(), &from, 1, &to, 1, 0), len,
		   "process_vm_writev"))
		soak_put(p, soak_bytes(part.first), w->buf, len);
}

/* What may not be accessed can't be, by nobody */
static void io_forbidden(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose(w, p);
	struct iovec here = { w->buf, 8 };

	if (!soak.remote)
		return;
	for (unsigned int n = part.first; n < part.first + part.pages; n++) {
		struct iovec there = { soak_at(p, n), 8 };

		if (soak_is_open(p, n))
			continue;
		if (soak_may(p, n, false) &&
		    process_vm_readv(getpid(), &here, 1, &there, 1, 0) >= 0)
			soak_fail(w, "page %u can be read", n);
		if (soak_may(p, n, true) &&
		    process_vm_writev(getpid(), &here, 1, &there, 1, 0) >= 0)
			soak_fail(w, "page %u can be written", n);
	}
}

/*
 * Files
 */

static struct soak_part in_file(const struct soak_piece *p, struct soak_part part)
{
	if (part.first >= p->store_pages)
		part.pages = 0;
	else if (part.pages > p->store_pages - part.first)
		part.pages = p->store_pages - part.first;
	return part;
}

static void io_file_read(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = in_file(p, soak_choose(w, p));
	size_t at = soak_bytes(part.first), len = soak_bytes(part.pages);

	if (len && all_of(w, pread(p->fd, w->buf, len, at), len, "pread"))
		soak_compare(w, p, at, len, w->buf, "pread");
}

static void io_file_write(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = in_file(p, soak_choose(w, p));
	size_t at = soak_bytes(part.first), len;

	if (part.pages > 32)
		part.pages = 32;
	len = soak_bytes(part.pages);
	random_buf(w, len);
	if (len && all_of(w, pwrite(p->fd, w->buf, len, at), len, "pwrite"))
		soak_put(p, at, w->buf, len);
}

/* The same pages in a pipe */
static void io_splice(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = in_file(p, soak_choose(w, p));
	loff_t at = soak_bytes(part.first);
	size_t len, from = at;
	ssize_t n;
	int ends[2];

	if (part.pages > PIPE_PAGES)
		part.pages = PIPE_PAGES;
	len = soak_bytes(part.pages);
	if (!len || !soak_count("pipe", !pipe(ends)))
		return;
	n = splice(p->fd, &at, ends[1], NULL, len, 0);
	if (n <= 0)
		soak_fail(w, "splice: %s", strerror(errno));
	else if (all_of(w, read(ends[0], w->buf, n), n, "read of a pipe"))
		soak_compare(w, p, from, n, w->buf, "splice");
	close(ends[0]);
	close(ends[1]);
}

static void io_vmsplice(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, false, PIPE_PAGES);
	size_t at = soak_bytes(part.first), len = soak_bytes(part.pages);
	struct iovec from = { p->mem + at, len };
	ssize_t n;
	int ends[2];

	if (!len || !soak_count("pipe", !pipe(ends)))
		return;
	n = vmsplice(ends[1], &from, 1, 0);
	if (n <= 0)
		soak_fail(w, "vmsplice: %s", strerror(errno));
	else if (all_of(w, read(ends[0], w->buf, n), n, "read of a pipe"))
		soak_compare(w, p, at, n, w->buf, "vmsplice");
	close(ends[0]);
	close(ends[1]);
}

/*
 * Disks
 */

static int open_direct(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static bool have_scratch(struct soak_worker *w)
{
	int fd;

	if (w->scratch >= 0)
		return true;
	fd = soak_tmpfile();
	if (fd < 0)
		return false;
	w->scratch = open_direct(fd);
	close(fd);
	return w->scratch >= 0;
}

/* From the piece to the disk, without a copy in between */
static void io_direct_write(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, false, 32);
	size_t at = soak_bytes(part.first), len = soak_bytes(part.pages);

	if (!len || !soak_count("a file for O_DIRECT", have_scratch(w)))
		return;
	if (all_of(w, pwrite(w->scratch, p->mem + at, len, 0), len,
		   "O_DIRECT write") &&
	    all_of(w, pread(w->scratch, w->buf, len, 0), len, "read back"))
		soak_compare(w, p, at, len, w->buf, "O_DIRECT write");
}

static void io_direct_read(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, 32);
	size_t at = soak_bytes(part.first), len = soak_bytes(part.pages);

	if (!len || !soak_count("a file for O_DIRECT", have_scratch(w)))
		return;
	random_buf(w, len);
	if (all_of(w, pwrite(w->scratch, w->buf, len, 0), len, "write to a disk") &&
	    all_of(w, pread(w->scratch, p->mem + at, len, 0), len, "O_DIRECT read"))
		soak_put(p, at, w->buf, len);
}

/* Write back as if the machine were to be switched off */
static bool write_back(struct soak_worker *w, struct soak_piece *p)
{
	bool whole = soak_below(w, 2);

	for (unsigned int n = 0; whole && n < p->pages; n++)
		whole = !p->page[n].hole;
	if (whole ? !msync(p->mem, soak_bytes(p->pages), MS_SYNC) : !fsync(p->fd))
		return true;
	soak_fail(w, "%s: %s", whole ? "msync" : "fsync", strerror(errno));
	return false;
}

/* Let go of what is in memory, then read what is on the disk */
static void io_disk(struct soak_worker *w, struct soak_piece *p)
{
	size_t len = soak_bytes(p->store_pages);
	int fd;

	w->part = (struct soak_part) { .pages = p->store_pages };
	if (!write_back(w, p))
		return;
	if (soak_below(w, 2)) {
		madvise(p->mem, soak_bytes(p->pages), MADV_PAGEOUT);
		posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED);
		if (!soak_below(w, 8))
			svm_write_file("/proc/sys/vm/drop_caches", "1");
	}
	fd = open_direct(p->fd);
	if (fd < 0) {
		soak_fail(w, "open O_DIRECT: %s", strerror(errno));
		return;
	}
	if (all_of(w, pread(fd, w->buf, len, 0), len, "reading the disk"))
		soak_compare(w, p, 0, len, w->buf, "the disk");
	close(fd);
}

/*
 * Pins
 */

static void io_pin(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, 16);

	soak_unpin(p);
	if (!part.pages)
		return;
	p->pin = svm_pin(soak_at(p, part.first), soak_bytes(part.pages));
	if (p->pin < 0)
		soak_fail(w, "pinning %u pages: %s", part.pages, strerror(-p->pin));
}

static void io_unpin(struct soak_worker *w, struct soak_piece *p)
{
	(void)w;
	soak_unpin(p);
}

const struct soak_operation soak_io_ops[] = {
	{ "remote read", io_remote_read, 4, 0, 0 },
	{ "remote write", io_remote_write, 3, 0, 0 },
	{ "forbidden", io_forbidden, 2, 0, 0 },
	{ "file read", io_file_read, 4, SOAK_FD | SOAK_SHARED, 0 },
	{ "file write", io_file_write, 4, SOAK_FD | SOAK_SHARED, SOAK_HUGETLB },
	{ "splice", io_splice, 2, SOAK_FD | SOAK_SHARED, SOAK_HUGETLB },
	{ "vmsplice", io_vmsplice, 2, 0, 0 },
	{ "direct write", io_direct_write, 3, 0, 0 },
	{ "direct read", io_direct_read, 3, 0, 0 },
	{ "disk", io_disk, 8, SOAK_DISK | SOAK_SHARED, 0 },
	{ "pin", io_pin, 2, 0, SOAK_DISK },
	{ "unpin", io_unpin, 2, 0, SOAK_DISK },
	{ }
};
