// SPDX-License-Identifier: GPL-2.0
/*
 * Rounds, workers and operations of the soak, and its reports. Each round is a
 * process of its own, so that its devices and memory go when it does.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"
#include "svm_drm.h"

#define MAX_ROUND_S	30
#define PROGRESS_S	10
#define HANGS_S		240

struct soak_run soak = {
	.seconds = 60,
	.devices = 4,
	.max_ops = ~0ULL,
	.only_round = ~0ULL,
	.log = -1,
};

static struct {
	struct soak_worker *workers;
	unsigned int running, bad;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	pthread_barrier_t start;
	char error[512];
	const struct soak_piece *piece[2];
} round_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
};

static __thread struct soak_worker *this_worker;

static const struct soak_operation *const tables[] = {
	soak_device_ops, soak_map_ops, soak_event_ops, soak_io_ops, soak_uffd_ops,
};

/*
 * What is told
 */

void soak_note(struct soak_piece *p, const char *format, ...)
{
	char *to = p->history[p->events++ % SOAK_HISTORY];
	va_list args;

	va_start(args, format);
	vsnprintf(to, sizeof(p->history[0]), format, args);
	va_end(args);
}

/* A line without the help of stdio, which memory might be lacking for */
static void __attribute__((format(printf, 2, 3)))
say(int fd, const char *format, ...)
{
	char line[640];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 1)
		n = sizeof(line) - 1;
	if (fd >= 0 && write(fd, line, n) != n)
		abort();
}

void soak_fail(struct soak_worker *w, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (w->in_child)
		say(STDOUT_FILENO, "# in a child: %s\n", text);
	if (w->in_child || soak.keep_going) {
		w->bad = true;
		say(soak.log, "BAD %llu %llu %u %s: %s\n",
		    (unsigned long long)soak.round, (unsigned long long)w->step,
		    w->p ? w->p->id : 0, w->op, text);
		return;
	}
	pthread_mutex_lock(&round_state.lock);
	if (!round_state.error[0]) {
		snprintf(round_state.error, sizeof(round_state.error),
			 "worker %u, step %llu (%s, pages %u+%u): %s", w->number,
			 (unsigned long long)w->step, w->op, w->part.first,
			 w->part.pages, text);
		round_state.piece[0] = w->p;
		round_state.piece[1] = w->from != w->p ? w->from : NULL;
	}
	__atomic_store_n(&soak.stop, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&round_state.lock);
}

static void print_history(const struct soak_piece *p)
{
	unsigned int first = p->events > SOAK_HISTORY ? p->events - SOAK_HISTORY : 0;

	say(STDOUT_FILENO,
	    "# piece %u (%s) at %p, %u pages, %u of its file; what happened to it:\n",
	    p->id, p->kind->name, p->mem, p->pages, p->store_pages);
	for (unsigned int i = first; i < p->events; i++)
		say(STDOUT_FILENO, "#   %s\n", p->history[i % SOAK_HISTORY]);
}

/* Memory that is gone shows as a signal as well */
static void on_signal(int number, siginfo_t *info, void *context)
{
	struct soak_worker *w = this_worker;

	(void)context;
	say(STDOUT_FILENO, "# signal %d (code %d) at %p\n", number, info->si_code,
	    info->si_addr);
	if (w && w->p) {
		say(STDOUT_FILENO, "# worker %u%s, step %llu (%s, pages %u+%u)\n",
		    w->number, w->in_child ? ", a child" : "",
		    (unsigned long long)w->step, w->op, w->part.first,
		    w->part.pages);
		print_history(w->p);
	}
	_exit(KSFT_FAIL);
}

/* What user space saw of this step, for a comparison with another kernel */
static void log_step(const struct soak_worker *w)
{
	if (soak.log < 0)
		return;
	say(soak.log, "%llu %llu %u %s [%s] %u+%u: %s %016llx%s\n",
	    (unsigned long long)soak.round, (unsigned long long)w->step, w->p->id,
	    w->op, w->p->kind->name, w->part.first, w->part.pages, w->result,
	    (unsigned long long)w->sum, w->p->tainted ? " *" : "");
}

/*
 * Operations
 */

/* A step's choices depend on nothing else */
static void begin_step(struct soak_worker *w)
{
	const uint64_t parts[] = { soak.round, w->number, w->step };

	w->rand.state = soak.seed;
	for (int i = 0; i < 3; i++)
		w->rand.state = svm_rand(&w->rand) ^ parts[i];
	w->result = "done";
	w->sum = 0;
	w->bad = false;
	w->from = NULL;
	w->part = (struct soak_part) { };
}

static bool fits(const struct soak_operation *op, const struct soak_piece *p)
{
	return (p->kind->flags & op->needs) == op->needs &&
	       !(p->kind->flags & op->not);
}

static const struct soak_operation *choose_operation(struct soak_worker *w)
{
	unsigned int total = 0, draw;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct soak_operation *op = tables[i]; op->fn; op++)
			total += fits(op, w->p) ? op->weight : 0;
	draw = soak_below(w, total);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct soak_operation *op = tables[i]; op->fn; op++) {
			if (!fits(op, w->p))
				continue;
			if (draw < op->weight)
				return op;
			draw -= op->weight;
		}
	abort();
}

static void renew_piece(struct soak_worker *w)
{
	w->op = "new piece";
	soak_drop_piece(w, w->p);
	if (!w->bad || soak.keep_going)
		soak_make_piece(w, w->p->slot);
}

static void one_operation(struct soak_worker *w)
{
	const struct soak_operation *op;

	w->step++;
	begin_step(w);
	/* Mostly the same piece as before, so that much happens to one */
	if (!soak_below(w, 12))
		w->current = soak_below(w, soak_below(w, 3) ? SOAK_SMALL_SLOTS :
							      SOAK_SLOTS);
	w->p = &w->piece[w->current];
	if (!soak_below(w, 80)) {
		renew_piece(w);
		log_step(w);
		return;
	}
	op = choose_operation(w);
	w->op = op->name;
	op->fn(w, w->p);
	soak_note(w->p, "step %llu: %s %u+%u: %s", (unsigned long long)w->step,
		  w->op, w->part.first, w->part.pages, w->result);
	if (w->bad)
		for (unsigned int i = 0; i < SOAK_SLOTS; i++)
			soak_resync(&w->piece[i]);
	log_step(w);
}

static void end_worker(struct soak_worker *w)
{
	w->op = "the end";
	soak_join_child(w);
	for (unsigned int i = 0; i < SOAK_SLOTS; i++) {
		w->p = &w->piece[i];
		soak_drop_piece(w, w->p);
	}
}

static void *worker_main(void *arg)
{
	struct soak_worker *w = arg;

	this_worker = w;
	pthread_barrier_wait(&round_state.start);
	while (w->step < soak.max_ops && !svm_past(soak.deadline) &&
	       !__atomic_load_n(&soak.stop, __ATOMIC_RELAXED))
		one_operation(w);
	if (!__atomic_load_n(&soak.stop, __ATOMIC_RELAXED))
		end_worker(w);
	else
		soak_join_child(w);
	pthread_mutex_lock(&round_state.lock);
	round_state.running--;
	pthread_cond_signal(&round_state.ended);
	pthread_mutex_unlock(&round_state.lock);
	return NULL;
}

/*
 * A round
 */

static bool setup_worker(struct soak_worker *w, unsigned int number)
{
	w->number = number;
	w->scratch = -1;
	w->op = "setup";
	w->buf = svm_map_aligned(soak_bytes(SOAK_LARGE_PAGES + 1), SVM_PMD_SIZE);
	if (!w->buf || soak.backend->open_worker(w))
		return false;
	begin_step(w);
	for (unsigned int i = 0; i < SOAK_SLOTS; i++) {
		w->p = &w->piece[i];
		if (!soak_make_piece(w, i))
			return false;
	}
	return true;
}

static bool setup_round(void)
{
	size_t len;
	void *window = soak_window(&len);

	soak.shared = svm_map((SOAK_SHARED_WORDS + 1) * soak.page,
			      PROT_READ | PROT_WRITE);
	if (!soak.shared || soak.backend->open(window, len))
		return false;
	round_state.workers = calloc(soak.threads, sizeof(struct soak_worker));
	if (!round_state.workers)
		return false;
	for (unsigned int i = 0; i < soak.threads; i++)
		if (!setup_worker(&round_state.workers[i], i))
			return false;
	return true;
}

static uint64_t steps(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < soak.threads; i++)
		sum += __atomic_load_n(&round_state.workers[i].step,
				       __ATOMIC_RELAXED);
	return sum;
}

/* A line for people who wait; run-tests shows it */
static void progress(void)
{
	char text[200] = "";

	soak.backend->progress(text, sizeof(text));
	say(STDOUT_FILENO, "# at work: round %llu (%s): %llu operations, %s\n",
	    (unsigned long long)soak.round, soak.backend->rounds[soak.kind],
	    (unsigned long long)steps(), text);
}

static void end_if_it_hangs(uint64_t *last, uint64_t *since)
{
	if (steps() != *last) {
		*last = steps();
		*since = svm_now_ns();
	}
	if (svm_now_ns() - *since < HANGS_S * 1000000000ULL)
		return;
	for (unsigned int i = 0; i < soak.threads; i++) {
		struct soak_worker *w = &round_state.workers[i];

		say(STDOUT_FILENO, "# worker %u hangs in step %llu (%s)\n", i,
		    (unsigned long long)w->step, w->op);
		if (w->p)
			print_history(w->p);
	}
	_exit(KSFT_FAIL);
}

/* Wait until all workers are through, and say every now and then how far */
static void watch(void)
{
	uint64_t last = ~0ULL, since = 0;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PROGRESS_S;
	pthread_mutex_lock(&round_state.lock);
	while (round_state.running) {
		if (!pthread_cond_timedwait(&round_state.ended, &round_state.lock,
					    &until))
			continue;
		until.tv_sec += PROGRESS_S;
		pthread_mutex_unlock(&round_state.lock);
		progress();
		end_if_it_hangs(&last, &since);
		pthread_mutex_lock(&round_state.lock);
	}
	pthread_mutex_unlock(&round_state.lock);
}

static void check_round(void)
{
	uint64_t jobs = 0, failed = 0;
	struct soak_worker *w = &round_state.workers[0];
	const char *verdict;

	for (unsigned int i = 0; i < soak.threads; i++) {
		jobs += round_state.workers[i].jobs;
		failed += round_state.workers[i].failed_jobs;
	}
	w->op = "the end";
	w->p = NULL;
	if (!soak_check_shared(round_state.workers))
		soak_fail(w, "the shared words don't add up");
	verdict = soak.backend->verdict(jobs, failed);
	if (verdict)
		soak_fail(w, "%s", verdict);
}

static void catch_signals(void)
{
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static int round_main(unsigned int seconds)
{
	catch_signals();
	if (!setup_round()) {
		say(STDOUT_FILENO, "# setup: %s %s\n", svm_why(), round_state.error);
		return KSFT_FAIL;
	}
	say(STDOUT_FILENO, "# round %llu: %s\n", (unsigned long long)soak.round,
	    soak.backend->rounds[soak.kind]);
	soak.deadline = seconds ? svm_deadline_ms(seconds * 1000) : ~0ULL;
	round_state.running = soak.threads;
	pthread_barrier_init(&round_state.start, NULL, soak.threads);
	for (unsigned int i = 0; i < soak.threads; i++)
		if (pthread_create(&round_state.workers[i].thread, NULL,
				   worker_main, &round_state.workers[i]))
			return KSFT_FAIL;
	watch();
	for (unsigned int i = 0; i < soak.threads; i++)
		pthread_join(round_state.workers[i].thread, NULL);
	if (!round_state.error[0])
		check_round();
	progress();
	if (!round_state.error[0])
		return KSFT_PASS;
	say(STDOUT_FILENO, "# round %llu: %s\n", (unsigned long long)soak.round,
	    round_state.error);
	for (int i = 0; i < 2; i++)
		if (round_state.piece[i])
			print_history(round_state.piece[i]);
	return KSFT_FAIL;
}

/*
 * All rounds
 */

static bool one_round(unsigned int seconds)
{
	int status = -1;
	pid_t pid;
	bool ok;

	soak.kind = soak.round % soak.backend->num_rounds;
	if (soak.backend->begin_round && soak.backend->begin_round(soak.kind)) {
		ksft_print_msg("%s\n", svm_why());
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(round_main(seconds));
	ok = pid > 0 && waitpid(pid, &status, 0) == pid && !status;
	if (!ok)
		ksft_print_msg("ended with %#x; again: %s --seed %llu --round %llu --threads %u\n",
			       status, soak.backend->name,
			       (unsigned long long)soak.seed,
			       (unsigned long long)soak.round, soak.threads);
	if (soak.backend->end_round && soak.backend->end_round()) {
		ksft_print_msg("%s\n", svm_why());
		return false;
	}
	return ok;
}

enum result { NOT_RUN, RIGHT, WRONG };

/* As many rounds as there is time for, but each kind at least once */
static void all_rounds(enum result *results)
{
	unsigned int kinds = soak.backend->num_rounds;
	unsigned int seconds = soak.seconds / kinds ?: 1;
	uint64_t end = svm_deadline_ms(soak.seconds * 1000);

	if (soak.max_ops != ~0ULL)
		seconds = 0;
	else if (seconds > MAX_ROUND_S)
		seconds = MAX_ROUND_S;
	for (soak.round = 0; soak.round < kinds || (seconds && !svm_past(end));
	     soak.round++) {
		results[soak.round % kinds] = one_round(seconds) ? RIGHT : WRONG;
		if (results[soak.round % kinds] == WRONG)
			break;
	}
}

static void run_rounds(enum result *results)
{
	if (soak.only_round == ~0ULL) {
		all_rounds(results);
		return;
	}
	soak.round = soak.only_round;
	results[soak.round % soak.backend->num_rounds] =
		one_round(soak.max_ops == ~0ULL ? soak.seconds : 0) ? RIGHT : WRONG;
}

static void report(const enum result *results)
{
	const struct soak_backend *backend = soak.backend;

	for (unsigned int i = 0; i < backend->num_rounds; i++) {
		if (results[i] == NOT_RUN)
			ksft_test_result_skip("%s %s, seed %llu\n", backend->name,
					      backend->rounds[i],
					      (unsigned long long)soak.seed);
		else
			ksft_test_result(results[i] == RIGHT, "%s %s, seed %llu\n",
					 backend->name, backend->rounds[i],
					 (unsigned long long)soak.seed);
	}
	ksft_test_result(soak_report_counts(), "%s has come to what it tries\n",
			 backend->name);
}

int soak_main(int argc, char **argv, const struct soak_backend *backend)
{
	enum result results[16] = { };

	soak.backend = backend;
	soak.page = svm_page_size();
	soak.threads = backend->threads;
	soak_parse_args(argc, argv);
	ksft_print_header();
	if (backend->probe())
		ksft_exit_skip("%s\n", svm_why());
	if (geteuid())
		ksft_exit_skip("changes the machine's swap and caches: run it as root\n");
	ksft_set_plan(backend->num_rounds + 1);
	if (!soak_begin_counting())
		ksft_exit_fail_msg("no memory to count in\n");
	soak_prepare_machine();
	say(soak.log, "has %#x %d %d %d\n", soak.kinds, soak.swap_on_disk,
	    soak.remote, soak.uffd);
	ksft_print_msg("seed %llu, %u s, %u workers\n",
		       (unsigned long long)soak.seed, soak.seconds, soak.threads);
	run_rounds(results);
	report(results);
	ksft_finished();
}
