// SPDX-License-Identifier: GPL-2.0
/*
 * svm_job SET: something to look at. A device with memory of its own, in a set of that
 * name, and the process take turns on the same memory until a signal ends them, so that
 * the device faults, memory moves both ways, and invalidations come.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_mem.h"
#include "vsvm_lib.h"

#define LEN	(2UL << 20)

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = 1;
}

/* The last signal may come before the job has begun */
static int work(struct svm *svm, char *mem)
{
	unsigned int rounds = 0;

	while (!stop) {
		memset(mem, 1, LEN);
		if (svm_run(&svm->queue[0], svm_add(mem, LEN, 1), NULL))
			return -1;
		madvise(mem, LEN / 4, MADV_DONTNEED);
		rounds++;
	}
	printf("%u rounds\n", rounds);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const settings[] = { "mem_size=16M", NULL };
	char *mem = svm_map(LEN, PROT_READ | PROT_WRITE);
	struct svm svm;
	int err;

	if (argc != 2 || !mem) {
		fprintf(stderr, "Usage: svm_job SET\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (svm_set_make(argv[1], settings) || svm_open_set(&svm, argv[1], 1)) {
		fprintf(stderr, "svm_job: %s\n", svm_why());
		return 1;
	}
	err = work(&svm, mem);
	if (err)
		fprintf(stderr, "svm_job: %s\n", svm_why());
	svm_close(&svm);
	svm_set_remove(argv[1]);
	return err ? 1 : 0;
}
