/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The soak: random operations on shared virtual memory, checked against a model,
 * on any device that soak_main() is given.
 *
 * Each worker, a thread, has a few pieces of memory, of kinds such as anonymous
 * memory or a file on a disk. It draws a piece, and an operation that such a piece
 * can be asked for: accesses of the CPU, of devices and of the kernel on its
 * behalf, and events of the memory management. A shadow says what each byte of a
 * piece has to be and which accesses have to fail.
 *
 *	soak_main	rounds, workers, operations, reports
 *	soak_machine	arguments, and what the machine has
 *	soak_shadow	what a piece has to hold, and who may access it
 *	soak_kinds	kinds of memory, life of a piece
 *	soak_map	events that change where and whether memory is
 *	soak_events	events that change what stands behind it
 *	soak_io		accesses of the kernel: files, pipes, other processes
 *	soak_uffd	userfaultfd
 *	soak_device	accesses of devices
 *	soak_count	how often what may fail came to something
 *
 * A seed gives each worker the same operations in every run: each step draws from
 * a generator that begins with seed, round, worker and step, and nothing that is
 * drawn depends on what the kernel did. How workers interleave is up to the
 * machine; --threads 1 has but one.
 */
#ifndef SOAK_H
#define SOAK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "svm_drm.h"
#include "svm_mem.h"

#define SOAK_SMALL_SLOTS	5
#define SOAK_SLOTS		7
#define SOAK_SMALL_PAGES	120
#define SOAK_LARGE_PAGES	1024
#define SOAK_HUGE		512	/* pages of a huge one */
#define SOAK_MAX_WORKERS	8
#define SOAK_SHARED_WORDS	16
#define SOAK_HISTORY		48

struct soak_worker;
struct soak_piece;

/* What a kind of memory is like; a set of these says what an operation needs */
#define SOAK_ANON	(1 << 0)	/* private and anonymous */
#define SOAK_SHARED	(1 << 1)
#define SOAK_FD		(1 << 2)	/* mapped from a file */
#define SOAK_SHMEM	(1 << 3)	/* shared, in swappable memory */
#define SOAK_DISK	(1 << 4)	/* of a file on a disk */
#define SOAK_HUGETLB	(1 << 5)
#define SOAK_SMALL_SIZE	(1 << 6)	/* can be small */
#define SOAK_LARGE_SIZE	(1 << 7)	/* can be of huge pages' size */

struct soak_kind {
	const char *name;
	unsigned int flags;
	unsigned int unit;	/* pages that come and go together */
	int (*open)(size_t len);
	int advice;		/* for madvise(), or 0 */
};

struct soak_page {
	uint8_t prot;
	bool hole:1;
	bool guard:1;
	/* MADV_FREE: holds what it did, or zero at any time from now on */
	bool lazy:1;
	/* Holds what the shadow or what the other shadow has, for good */
	bool either:1;
	/* It was lazy: what it holds is for the kernel to choose */
	bool doubt:1;
};

struct soak_part {
	unsigned int first, pages;
};

struct soak_piece {
	const struct soak_kind *kind;
	unsigned int id, slot;
	char *mem;
	unsigned int pages;		/* of the mapping */
	unsigned int max_pages;
	unsigned int store_pages;	/* of the file; those behind fail */
	int fd;
	int pin;
	bool tainted;			/* failed, and goes on nevertheless */
	bool huge;			/* huge pages were asked for */
	char *shadow, *other;
	char *store;			/* a private mapping's file */
	struct soak_page *page;
	struct soak_part last;
	char history[SOAK_HISTORY][96];
	unsigned int events;
};

enum soak_op_what {
	SOAK_FILL, SOAK_COPY, SOAK_ADD, SOAK_ATOMIC, SOAK_SUM, SOAK_READ_ADD
};

/*
 * A job of a device; ADD and ATOMIC go to @count words, @stride bytes apart,
 * READ_ADD reads a word and adds to it
 */
struct soak_op {
	enum soak_op_what what;
	char *dst;
	const char *src;
	size_t len, count, stride;
	uint64_t value;
};

struct soak_outcome {
	int status;
	uint64_t fault_addr, result, faults;
};

/*
 * A kind of device. Functions that return int return 0 or a negative error
 * number, with svm_why(); NULL where a device has no such thing.
 */
struct soak_backend {
	const char *name;
	const char *const *rounds;	/* names; what devices are like in each */
	unsigned int num_rounds;
	unsigned int threads;		/* unless the user says otherwise */
	/*
	 * Says where a job failed, having done all before. If not so, a job that
	 * has to fail is one that does nothing else.
	 */
	bool exact;
	bool bytes_only;		/* fills with one byte over and over */
	bool counts_faults;		/* of each job */
	/* Atomic accesses move memory to the device, or fail where it can't move */
	bool atomics_move;
	size_t copy_unit;
	unsigned int max_words;
	unsigned int places;		/* 0 is the system, others are devices */
	int (*probe)(void);
	int (*begin_round)(unsigned int kind);
	int (*end_round)(void);
	/* In the process of the round, before its threads and for each */
	int (*open)(void *window, size_t len);
	int (*open_worker)(struct soak_worker *w);
	int (*submit)(struct soak_worker *w, const struct soak_op *op);
	int (*wait)(struct soak_worker *w, struct soak_outcome *out);
	int (*prefetch)(struct soak_worker *w, char *mem, size_t len,
			unsigned int place);
	int (*prefer)(struct soak_worker *w, char *mem, size_t len,
		      unsigned int place);
	/* What else is wrong, when all threads have ended; NULL if nothing */
	const char *(*verdict)(uint64_t jobs, uint64_t failed_jobs);
	void (*progress)(char *text, size_t size);
};

struct soak_worker {
	unsigned int number;
	uint64_t step;
	struct svm_rand rand;
	struct soak_piece piece[SOAK_SLOTS];
	unsigned int current, pieces_made;
	char *buf;			/* as large as a piece; devices reach it */
	int scratch;			/* a file for O_DIRECT, or -1 */
	pid_t child;
	int child_pipe;
	bool in_child;
	uint64_t added[SOAK_SHARED_WORDS];
	uint64_t jobs, failed_jobs;
	void *device;			/* the backend's */
	/* This operation */
	const char *op;
	struct soak_piece *p, *from;	/* of a copy between two */
	struct soak_part part;
	const char *result;
	uint64_t sum;
	bool bad;
	pthread_t thread;
};

extern struct soak_run {
	const struct soak_backend *backend;
	uint64_t seed, round, max_ops, only_round, deadline;
	unsigned int seconds, threads, devices, kind;
	bool keep_going;
	size_t page;
	const char *disk;
	unsigned int kinds;		/* that this machine has, by number */
	bool uffd, remote, swap_on_disk;
	char *shared;
	int log;
	bool stop;
} soak;

/* The first failure counts, unless the run is to go on: see --keep-going */
void __attribute__((format(printf, 2, 3)))
soak_fail(struct soak_worker *w, const char *format, ...);
void __attribute__((format(printf, 2, 3)))
soak_note(struct soak_piece *p, const char *format, ...);

static inline unsigned int soak_below(struct soak_worker *w, unsigned int limit)
{
	return svm_rand_below(&w->rand, limit);
}

static inline size_t soak_bytes(unsigned int pages)
{
	return pages * soak.page;
}

static inline char *soak_at(const struct soak_piece *p, unsigned int page)
{
	return p->mem + page * soak.page;
}

/* Shadow */

int soak_may(const struct soak_piece *p, unsigned int page, bool write);
size_t soak_reach(const struct soak_piece *p, size_t at, size_t len, bool write,
		  int *error);
bool soak_is_open(const struct soak_piece *p, unsigned int page);
bool soak_in_doubt(const struct soak_piece *p, size_t at, size_t len);
void soak_put(struct soak_piece *p, size_t at, const void *data, size_t len);
void soak_fill(struct soak_piece *p, size_t at, size_t len, uint64_t value);
void soak_add(struct soak_piece *p, size_t at, uint64_t value);
/* Nobody has written to it; all that a file forgot; a private copy forgot */
void soak_fresh(struct soak_piece *p, unsigned int first, unsigned int pages);
void soak_erased(struct soak_piece *p, unsigned int first, unsigned int pages);
void soak_dropped(struct soak_piece *p, unsigned int first, unsigned int pages);
bool soak_compare(struct soak_worker *w, struct soak_piece *p, size_t at,
		  size_t len, const void *got, const char *who);
/* By the CPU, what it may read of these pages */
bool soak_check(struct soak_worker *w, struct soak_piece *p, unsigned int first,
		unsigned int pages);
/* Take what is there for right */
void soak_resync(struct soak_piece *p);

/* Choices of pages: some of the piece; those of it that are not a hole, writable */
struct soak_part soak_choose(struct soak_worker *w, struct soak_piece *p);
struct soak_part soak_choose_mapped(struct soak_worker *w, struct soak_piece *p);
struct soak_part soak_choose_usable(struct soak_worker *w, struct soak_piece *p,
				    bool write, unsigned int most);

/* Kinds */

extern const struct soak_kind soak_kinds[];
extern const unsigned int soak_num_kinds;

void soak_find_kinds(void);
char *soak_place(const struct soak_worker *w, unsigned int slot,
		 unsigned int place, unsigned int skip);
void *soak_window(size_t *len);
bool soak_make_piece(struct soak_worker *w, unsigned int slot);
void soak_drop_piece(struct soak_worker *w, struct soak_piece *p);
void soak_unpin(struct soak_piece *p);
/* Map pages that are a hole, or not mapped yet */
bool soak_map_pages(struct soak_worker *w, struct soak_piece *p,
		    struct soak_part part);
int soak_tmpfile(void);
void soak_join_child(struct soak_worker *w);

/* Accesses of devices, as others need them */
bool soak_device_read(struct soak_worker *w, struct soak_piece *p, size_t at,
		      size_t len);
bool soak_device_fill(struct soak_worker *w, struct soak_piece *p, size_t at,
		      size_t len, uint64_t value);
/* No device may access memory that isn't there */
bool soak_device_is_refused(struct soak_worker *w, char *mem);
/* Something that leaves what memory holds alone */
void soak_disturb(struct soak_worker *w, struct soak_piece *p,
		  struct soak_part part);
bool soak_check_shared(const struct soak_worker *workers);

/* An operation, and the kinds that it is for: all of @needs, none of @not */
struct soak_operation {
	const char *name;
	void (*fn)(struct soak_worker *w, struct soak_piece *p);
	unsigned int weight;
	unsigned int needs, not;
};

extern const struct soak_operation soak_device_ops[], soak_map_ops[];
extern const struct soak_operation soak_event_ops[], soak_io_ops[];
extern const struct soak_operation soak_uffd_ops[];

/*
 * Attempts at what may fail; returns @success. A report is false if what was tried often
 * enough never came to anything
 */

bool soak_begin_counting(void);
bool soak_count(const char *name, bool success);
bool soak_report_counts(void);

/* Machine and user */

void soak_parse_args(int argc, char **argv);
void soak_prepare_machine(void);

int soak_main(int argc, char **argv, const struct soak_backend *backend);

#endif
