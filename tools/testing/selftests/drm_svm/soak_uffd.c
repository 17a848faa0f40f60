// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd: pages that somebody in user space has to bring, at times slowly, and
 * writes that somebody wants to know of, before they happen or afterwards.
 *
 * Each is one operation from registering to unregistering, so that no memory is
 * registered when others look at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/userfaultfd.h>

#include "soak.h"

#define MOST_PAGES	16
#define SLOW_US		20000

/* One registered part, and the thread that answers its faults */
struct watch {
	int fd, stop;
	char *start;
	size_t len;
	unsigned int delay_us;
	bool seen[MOST_PAGES];	/* write faults on protected pages */
	bool failed;
	pthread_t thread;
};

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(soak.page - 1);
}

static bool bring(struct watch *watch, uint64_t address)
{
	struct uffdio_zeropage zero = {
		.range = { .start = address, .len = soak.page },
	};
	struct uffdio_range range = zero.range;

	if (watch->delay_us)
		usleep(watch->delay_us);
	if (!ioctl(watch->fd, UFFDIO_ZEROPAGE, &zero))
		return true;
	/* It came since: another access of the same page was first */
	return errno == EEXIST && !ioctl(watch->fd, UFFDIO_WAKE, &range);
}

static bool let_write(struct watch *watch, uint64_t address)
{
	struct uffdio_writeprotect args = {
		.range = { .start = address, .len = soak.page },
	};

	if (watch->delay_us)
		usleep(watch->delay_us);
	__atomic_store_n(&watch->seen[(address - svm_addr(watch->start)) / soak.page],
			 true, __ATOMIC_RELAXED);
	return !ioctl(watch->fd, UFFDIO_WRITEPROTECT, &args);
}

static bool answer(struct watch *watch)
{
	struct uffd_msg msg;
	uint64_t address;

	if (read(watch->fd, &msg, sizeof(msg)) != sizeof(msg))
		return errno == EAGAIN;
	if (msg.event != UFFD_EVENT_PAGEFAULT)
		return false;
	address = page_of(msg.arg.pagefault.address);
	return msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP ?
	       let_write(watch, address) : bring(watch, address);
}

static void *answer_all(void *arg)
{
	struct watch *watch = arg;
	struct pollfd fds[] = {
		{ .fd = watch->fd, .events = POLLIN },
		{ .fd = watch->stop, .events = POLLIN },
	};

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		if (fds[0].revents && !answer(watch))
			watch->failed = true;
	return NULL;
}

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool register_part(int fd, char *start, size_t len, uint64_t mode)
{
	struct uffdio_register args = {
		.range = { .start = svm_addr(start), .len = len },
		.mode = mode,
	};

	return !ioctl(fd, UFFDIO_REGISTER, &args);
}

static bool protect(int fd, char *start, size_t len)
{
	struct uffdio_writeprotect args = {
		.range = { .start = svm_addr(start), .len = len },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return !ioctl(fd, UFFDIO_WRITEPROTECT, &args);
}

static bool begin(struct soak_worker *w, struct watch *watch, uint64_t features,
		  uint64_t mode)
{
	watch->delay_us = soak_below(w, 3) ? 0 : SLOW_US;
	watch->fd = open_uffd(features);
	if (watch->fd < 0) {
		soak_fail(w, "userfaultfd: %s", strerror(errno));
		return false;
	}
	watch->stop = eventfd(0, EFD_CLOEXEC);
	if (register_part(watch->fd, watch->start, watch->len, mode) &&
	    !pthread_create(&watch->thread, NULL, answer_all, watch))
		return true;
	soak_fail(w, "registering for userfaultfd: %s", strerror(errno));
	close(watch->stop);
	close(watch->fd);
	return false;
}

/* Closing would unregister, but for a child of another worker that has the file, too */
static void release(int fd, char *start, size_t len)
{
	struct uffdio_range range = { .start = svm_addr(start), .len = len };

	ioctl(fd, UFFDIO_UNREGISTER, &range);
	close(fd);
}

static void end(struct soak_worker *w, struct watch *watch)
{
	if (eventfd_write(watch->stop, 1))
		abort();
	pthread_join(watch->thread, NULL);
	close(watch->stop);
	release(watch->fd, watch->start, watch->len);
	if (watch->failed)
		soak_fail(w, "cannot answer a userfaultfd");
}

/* Some of the part, by a device or by the CPU */
static void write_some(struct soak_worker *w, struct soak_piece *p,
		       struct soak_part *part)
{
	unsigned int pages = soak_below(w, part->pages) + 1;
	uint64_t value = svm_rand(&w->rand);

	part->first += soak_below(w, part->pages - pages + 1);
	part->pages = pages;
	if (soak_below(w, 4)) {
		soak_device_fill(w, p, soak_bytes(part->first),
				 soak_bytes(pages), value);
		return;
	}
	soak_fill(p, soak_bytes(part->first), soak_bytes(pages), value);
	memcpy(soak_at(p, part->first), p->shadow + soak_bytes(part->first),
	       soak_bytes(pages));
}

/* Pages that are not there when they are used */
static void uffd_missing(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, MOST_PAGES);
	bool shared = p->kind->flags & SOAK_SHARED;
	struct watch watch = {
		.start = soak_at(p, part.first), .len = soak_bytes(part.pages),
	};

	if (!part.pages || !soak.uffd)
		return;
	if (madvise(watch.start, watch.len, shared ? MADV_REMOVE : MADV_DONTNEED)) {
		soak_fail(w, "emptying %u pages: %s", part.pages, strerror(errno));
		return;
	}
	soak_erased(p, part.first, part.pages);
	if (!begin(w, &watch, 0, UFFDIO_REGISTER_MODE_MISSING))
		return;
	if (soak_below(w, 3))
		soak_device_read(w, p, soak_bytes(part.first), watch.len);
	else
		write_some(w, p, &part);
	end(w, &watch);
}

/* Memory that is dropped after MADV_FREE takes its protection along */
static bool any_is_lazy(const struct soak_piece *p, struct soak_part part)
{
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		if (p->page[n].lazy)
			return true;
	return false;
}

/*
 * Without a page there is nothing to protect. A page that KSM replaces is no longer
 * protected, whoever writes to it.
 */
static void populate(struct soak_worker *w, struct soak_piece *p,
		     struct soak_part part)
{
	if (p->kind->flags & SOAK_ANON)
		madvise(soak_at(p, part.first), soak_bytes(part.pages),
			MADV_UNMERGEABLE);
	soak_check(w, p, part.first, part.pages);
	if (soak_below(w, 2))
		soak_disturb(w, p, part);
}

#define WP_FEATURES (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED | \
		     UFFD_FEATURE_WP_HUGETLBFS_SHMEM)

/* Each page that is written has been asked for before */
static void uffd_protect(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, MOST_PAGES);
	unsigned int first = part.first;
	struct watch watch = {
		.start = soak_at(p, first), .len = soak_bytes(part.pages),
	};

	if (!part.pages || !soak.uffd || any_is_lazy(p, part))
		return;
	populate(w, p, part);
	if (!begin(w, &watch, WP_FEATURES, UFFDIO_REGISTER_MODE_WP))
		return;
	if (!protect(watch.fd, watch.start, watch.len))
		soak_fail(w, "UFFDIO_WRITEPROTECT: %s", strerror(errno));
	if (soak_below(w, 2))
		soak_device_read(w, p, soak_bytes(first), watch.len);
	if (soak_below(w, 2))
		soak_disturb(w, p, part);
	write_some(w, p, &part);
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		if (!__atomic_load_n(&watch.seen[n - first], __ATOMIC_RELAXED))
			soak_fail(w, "page %u was written although it was protected",
				  n);
	end(w, &watch);
}

/* Which pages were written since they were protected; false: not told */
static bool pages_written(char *start, size_t len, bool *written)
{
	struct page_region regions[MOST_PAGES];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = svm_addr(start),
		.end = svm_addr(start) + len,
		.vec = svm_addr(regions),
		.vec_len = MOST_PAGES,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int n = ioctl(fd, PAGEMAP_SCAN, &scan);

	close(fd);
	for (int i = 0; i < n; i++)
		for (uint64_t at = regions[i].start; at < regions[i].end;
		     at += soak.page)
			written[(at - scan.start) / soak.page] = true;
	return n >= 0;
}

/* Each page that was written is told afterwards */
static void uffd_track(struct soak_worker *w, struct soak_piece *p)
{
	struct soak_part part = soak_choose_usable(w, p, true, MOST_PAGES);
	unsigned int first = part.first;
	char *start = soak_at(p, first);
	size_t len = soak_bytes(part.pages);
	bool written[MOST_PAGES] = { };
	int fd;

	if (!part.pages || !soak.uffd || any_is_lazy(p, part))
		return;
	populate(w, p, part);
	fd = open_uffd(WP_FEATURES | UFFD_FEATURE_WP_ASYNC);
	if (fd < 0 || !register_part(fd, start, len, UFFDIO_REGISTER_MODE_WP) ||
	    !protect(fd, start, len)) {
		soak_fail(w, "tracking writes: %s", strerror(errno));
		close(fd);
		return;
	}
	if (soak_below(w, 2))
		soak_device_read(w, p, soak_bytes(first), len);
	if (soak_below(w, 2))
		soak_disturb(w, p, part);
	write_some(w, p, &part);
	if (!pages_written(start, len, written))
		soak_fail(w, "PAGEMAP_SCAN: %s", strerror(errno));
	for (unsigned int n = part.first; n < part.first + part.pages; n++)
		if (!written[n - first])
			soak_fail(w, "page %u was written, and nobody knows", n);
	release(fd, start, len);
}

#define NOT	(SOAK_DISK | SOAK_HUGETLB)

const struct soak_operation soak_uffd_ops[] = {
	{ "missing pages", uffd_missing, 3, 0, NOT },
	{ "protected pages", uffd_protect, 3, 0, NOT },
	{ "tracked pages", uffd_track, 3, 0, NOT },
	{ }
};
