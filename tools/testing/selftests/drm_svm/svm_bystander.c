// SPDX-License-Identifier: GPL-2.0
/*
 * A device that works on all memory of a program and changes nothing, so that the program
 * must not notice. It is a library that any program can be started with:
 *
 *	SVM_BYSTANDER=SET LD_PRELOAD=./svm_bystander.so PROGRAM
 *
 * A thread picks places of the address space at random. The devices of the set read them,
 * add nothing to them, atomically, and move them into their memory and back. They touch
 * what is there: a page that is missing would be made by a device as it is by a CPU, which
 * programs that look for it may see. Children have a thread of their own.
 *
 * SVM_BYSTANDER_SEED is a number. SVM_BYSTANDER_OPS is what devices do: any of the letters
 * r (read), w (write), m (move to a device), b (move back); all of them where it is empty.
 * SVM_BYSTANDER_LOG is a file to which a process that ends adds a line: the pages that its
 * devices looked up, that they moved in, and that they moved out.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_mem.h"
#include "vsvm_lib.h"

#define MAX_AREAS	4096
#define MAX_LENGTH	(4UL << 20)
#define MAX_TOUCHED	(16UL << 12)
#define FIRST_FD	700

struct area {
	unsigned long start, end;
	char prot[5];
};

static struct bystander {
	struct svm svm;
	struct svm_rand rand;
	const char *ops;
	int maps, pagemap;
} by;

/* Out of the way of programs that expect numbers of their own */
static int move_fd(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

	if (moved < 0)
		return fd;
	close(fd);
	return moved;
}

/* One area of all, with equal chances for each; false where there is none */
static bool pick_area(struct area *picked)
{
	static char text[1 << 16];
	struct area area;
	size_t have = 0, seen = 0;
	ssize_t got;

	if (lseek(by.maps, 0, SEEK_SET))
		return false;
	while ((got = read(by.maps, text + have, sizeof(text) - 1 - have)) > 0) {
		char *line = text, *end;

		have += got;
		text[have] = '\0';
		while ((end = strchr(line, '\n'))) {
			if (sscanf(line, "%lx-%lx %4s", &area.start, &area.end, area.prot) == 3 &&
			    area.start < 1UL << DRM_VSVM_VA_BITS && area.prot[0] == 'r' &&
			    !svm_rand_below(&by.rand, ++seen))
				*picked = area;
			line = end + 1;
		}
		have = strlen(line);
		memmove(text, line, have);
	}
	return seen;
}

/* Bytes from @start that are in memory, in a device's, or in swap */
static unsigned long present(unsigned long start, unsigned long length)
{
	static uint64_t entries[MAX_LENGTH >> 12];
	const size_t page = svm_page_size();
	ssize_t got = pread(by.pagemap, entries, length / page * sizeof(*entries),
			    start / page * sizeof(*entries));
	unsigned long i = 0;

	while (got > 0 && i < got / sizeof(*entries) && entries[i] >> 62)
		i++;
	return i * page;
}

static void work(void)
{
	const size_t page = svm_page_size();
	unsigned long start, length, pages;
	unsigned int device = svm_rand_below(&by.rand, by.svm.num_devices);
	struct svm_queue *queue = &by.svm.queue[device];
	struct area area = {};
	char op;

	if (!pick_area(&area))
		return;
	pages = (area.end - area.start) / page;
	start = area.start + svm_rand_below(&by.rand, pages) * page;
	if (!svm_rand_below(&by.rand, 4))
		start = area.start;
	length = area.end - start;
	if (length > MAX_LENGTH)
		length = MAX_LENGTH;
	if (svm_rand_below(&by.rand, 2))
		length = page * (1 + svm_rand_below(&by.rand, length / page));

	op = by.ops[svm_rand_below(&by.rand, strlen(by.ops))];
	if (op == 'm') {
		svm_prefetch(&by.svm, (void *)start, length,
			     DRM_VSVM_LOCATION_DEVICE(device), NULL);
		return;
	}
	if (op == 'b') {
		svm_prefetch(&by.svm, (void *)start, length, DRM_VSVM_LOCATION_SYSTEM, NULL);
		return;
	}
	/* What moves is huge at times. What is used is little, or the program gets nowhere */
	length = present(start, length < MAX_TOUCHED ? length : MAX_TOUCHED);
	if (!length)
		return;
	if (op == 'w' && area.prot[1] == 'w')
		svm_run(queue, svm_atomic_add((void *)start, length / page, page, 0), NULL);
	else
		svm_run(queue, svm_sum((void *)start, length), NULL);
}

static void *run(void *unused)
{
	/* A program that has all of its memory moved, all of the time, does nothing else */
	for (;;) {
		uint64_t begin = svm_now_ns();

		work();
		usleep((svm_now_ns() - begin) / 1000 * 3);
	}
	return NULL;
}

static void begin(void)
{
	const char *set = getenv("SVM_BYSTANDER"), *seed = getenv("SVM_BYSTANDER_SEED");
	int fds[2], num = 0;
	sigset_t all, old;
	pthread_t thread;

	/* After fork(): they are the parent's, which still works with them */
	if (by.svm.fd) {
		close(by.svm.fd);
		close(by.maps);
		close(by.pagemap);
	}
	memset(&by, 0, sizeof(by));
	by.ops = getenv("SVM_BYSTANDER_OPS");
	if (!by.ops || !by.ops[0])
		by.ops = "rrwwmb";
	by.rand.state = (seed ? strtoul(seed, NULL, 0) : 1) + (unsigned long)getpid();
	while (set && num < 2) {
		int fd = svm_set_open(set, num);

		if (fd < 0)
			break;
		fds[num++] = move_fd(fd);
	}
	if (!num || svm_open_fds(&by.svm, fds, num)) {
		fprintf(stderr, "svm_bystander: %s\n", svm_why());
		by.svm.fd = 0;
		return;
	}
	by.maps = move_fd(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
	by.pagemap = move_fd(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, NULL, run, NULL))
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void __attribute__((destructor)) end(void)
{
	const char *log = getenv("SVM_BYSTANDER_LOG");
	struct drm_vsvm_device_stats stats;
	FILE *f;

	if (!log || !by.svm.fd || svm_stats(&by.svm, &stats))
		return;
	f = fopen(log, "ae");
	if (!f)
		return;
	fprintf(f, "%llu %llu %llu\n", stats.pages, stats.migrated_pages, stats.to_ram);
	fclose(f);
}

static void __attribute__((constructor)) init(void)
{
	pthread_atfork(NULL, NULL, begin);
	begin();
}
