// SPDX-License-Identifier: GPL-2.0
/*
 * What the user asks of the soak, and what the machine has for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest.h"
#include "soak.h"

/*
 * The machine
 */

/* On a disk, pages that are read in may stay in swap as well, and be dropped */
static void use_disk_swap(void)
{
	const char *device = getenv("SVM_SWAP");

	if (!device)
		return;
	soak.swap_on_disk = !swapon(device, SWAP_FLAG_PREFER | 100) ||
			    errno == EBUSY;
}

static bool have_remote(void)
{
	char a = 1, b = 0;
	struct iovec from = { &a, 1 }, to = { &b, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

static void say_without(bool there, const char *what)
{
	if (!there)
		ksft_print_msg("without %s\n", what);
}

static void prepare(void)
{
	say_without(svm_want_swap(), "swap");
	use_disk_swap();
	say_without(svm_want_huge_pages(8), "hugetlb pages");
	say_without(svm_write_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
				   "advise"), "huge pages of shared memory");
	say_without(svm_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "200") &&
		    svm_write_file("/sys/kernel/mm/ksm/run", "1"), "merging of pages");
	soak.disk = getenv("SVM_DISK");
	soak.remote = have_remote();
	soak.uffd = !access("/proc/sys/vm/unprivileged_userfaultfd", F_OK);
	soak_find_kinds();
}

static void say_what_there_is(void)
{
	for (unsigned int i = 0; i < soak_num_kinds; i++)
		if (!(soak.kinds & 1U << i))
			ksft_print_msg("without %s memory\n", soak_kinds[i].name);
	say_without(soak.swap_on_disk, "swap on a disk");
	say_without(soak.remote, "access to other processes' memory");
	say_without(soak.uffd, "userfaultfd");
}

void soak_prepare_machine(void)
{
	prepare();
	say_what_there_is();
}

/*
 * Arguments
 */

/* In the environment, so that it passes through make and the guest */
static uint64_t environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void say_usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--seconds N] [--seed N] [--round N] [--ops N] [--threads N] [--devices N]\n"
		"       [--log FILE] [--keep-going]\n"
		"--ops bounds each worker of each round in place of the time. --log tells each\n"
		"step; --keep-going notes failures there and takes what is for right from then on.\n"
		"In the environment: SOAK, in minutes, SOAK_SECONDS, SOAK_OPS and SEED\n",
		name);
	exit(KSFT_FAIL);
}

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
}

void soak_parse_args(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "round", required_argument, NULL, 'n' },
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "devices", required_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "keep-going", no_argument, NULL, 'k' },
		{ }
	};
	int opt;

	soak.seed = environment("SEED", svm_now_ns());
	soak.seconds = environment("SOAK", 0) * 60 ?:
		       environment("SOAK_SECONDS", soak.seconds);
	soak.max_ops = environment("SOAK_OPS", soak.max_ops);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case 's':
			soak.seconds = number;
			break;
		case 'r':
			soak.seed = number;
			break;
		case 'n':
			soak.only_round = number;
			break;
		case 'o':
			soak.max_ops = number;
			break;
		case 't':
			soak.threads = number;
			break;
		case 'd':
			soak.devices = number;
			break;
		case 'l':
			soak.log = open_log(optarg);
			break;
		case 'k':
			soak.keep_going = true;
			break;
		default:
			say_usage(argv[0]);
		}
	}
	if (!soak.threads || soak.threads > SOAK_MAX_WORKERS)
		soak.threads = SOAK_MAX_WORKERS;
}
