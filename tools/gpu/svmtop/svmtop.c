// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * svmtop: who mirrors what with which device, a second at a time.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collect.h"
#include "debugfs.h"
#include "model.h"
#include "screen.h"
#include "view.h"

/* The kernel's buffers are emptied this often */
#define READ_SECONDS	0.1

static volatile sig_atomic_t stop;

struct options {
	bool batch;
	long num;
	double delay;
	int buffer_kib;
	struct svm_view view;
};

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: svmtop [OPTION]...\n"
		"Show which processes share memory with which devices: page faults of devices,\n"
		"how long they took, memory that moved, and invalidations.\n"
		"\n"
		"  -b          print text, for files and pipes, and sums at the end\n"
		"  -n NUM      end after NUM intervals; 0, the default, means never\n"
		"  -d SECONDS  length of an interval, 1 by default, 0.1 at least\n"
		"  -s ORDER    faults, latency, in, out, held, invalidations, or pid\n"
		"  -t          sums since the start instead of rates\n"
		"  -m KIB      buffer of each CPU, 1024 by default: more if events are lost\n"
		"  -h          this text\n"
		"\n"
		"Keys: f faults, l latency, i in, o out, h held, v invalidations, n pid;\n"
		"t sums or rates, p or space pause, q quit.\n");
}

static void parse(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt(argc, argv, "bn:d:s:tm:h")) != -1) {
		switch (c) {
		case 'b':
			options->batch = true;
			break;
		case 'n':
			options->num = atol(optarg);
			break;
		case 'd':
			options->delay = fmax(atof(optarg), READ_SECONDS);
			break;
		case 's':
			if (svm_view_parse_sort(optarg, &options->view.sort)) {
				fprintf(stderr, "svmtop: there is no order '%s'\n", optarg);
				exit(2);
			}
			break;
		case 't':
			options->view.totals = true;
			break;
		case 'm':
			options->buffer_kib = atoi(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc || options->buffer_kib <= 0 || options->num < 0) {
		usage(stderr);
		exit(2);
	}
}

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal };

	for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	/* A reader that goes shows as an error of the output */
	signal(SIGPIPE, SIG_IGN);
}

static void comm_of(int pid, char *buf, size_t len)
{
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fgets(buf, len, file))
		buf[strcspn(buf, "\n")] = '\0';
	fclose(file);
}

static bool is_alive(int pid)
{
	return !kill(pid, 0) || errno != ESRCH;
}

static bool is_thread(int pid, int task)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, task);
	return !access(path, F_OK);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Wait for a key, for a signal, or until it is time to read again */
static void wait_until(double until, bool batch)
{
	struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };
	double left = fmin(until - now(), READ_SECONDS);

	if (left > 0)
		poll(&terminal, batch ? 0 : 1, ceil(left * 1000));
}

/* Returns whether to go on */
static bool handle_key(struct options *options, const struct svm_model *model, bool *paused)
{
	switch (svm_screen_key(&options->view)) {
	case SVM_KEY_QUIT:
		return false;
	case SVM_KEY_PAUSE:
		*paused = !*paused;
		break;
	case SVM_KEY_REDRAW:
		break;
	default:
		return true;
	}
	svm_screen_draw(&options->view, model, *paused);
	return true;
}

static bool print(const struct svm_view *view, const struct svm_model *model)
{
	svm_view_print(view, model, stdout);
	putchar('\n');
	return !fflush(stdout);
}

/* While it is paused, events go on to be counted, for the interval in which it ends */
static void run(struct options *options, struct svm_model *model,
		struct svm_collect *collect)
{
	double begin = now(), end = begin + options->delay;
	bool paused = false;
	long num = 0;

	if (!options->batch)
		svm_screen_draw(&options->view, model, paused);
	while (!stop) {
		wait_until(end, options->batch);
		svm_collect_read(collect);
		if (!options->batch && !handle_key(options, model, &paused))
			return;
		if (stop || paused || now() < end)
			continue;

		svm_debugfs_read(model, false);
		svm_model_tick(model, now() - begin);
		begin = now();
		end = begin + options->delay;
		if (!options->batch)
			svm_screen_draw(&options->view, model, paused);
		else if (!print(&options->view, model))
			return;
		if (options->num && ++num == options->num)
			return;
	}
	svm_model_tick(model, now() - begin);
}

int main(int argc, char **argv)
{
	static const struct svm_model_ops ops = {
		.comm = comm_of,
		.is_alive = is_alive,
		.is_thread = is_thread,
	};
	struct options options = { .delay = 1, .buffer_kib = 1024 };
	const struct svm_view sums = { .totals = true };
	struct svm_collect *collect;
	struct svm_model model;

	parse(argc, argv, &options);
	svm_model_init(&model, &ops);
	catch_signals();
	collect = svm_collect_open(&model, options.buffer_kib);
	if (!collect)
		return 1;
	svm_debugfs_read(&model, true);

	if (options.batch || !svm_screen_open()) {
		run(&options, &model, collect);
		if (!options.batch)
			svm_screen_close();
		else
			print(&sums, &model);
	}
	svm_collect_close(collect);
	svm_model_fini(&model);
	return 0;
}
