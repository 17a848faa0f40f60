// SPDX-License-Identifier: MIT
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "vbmg.h"
#include "vfu.h"

#define MAX_INSTANCES	8

/* One device and the thread that serves its client */
struct instance {
	struct vbmg dev;
	const char *path;
	int listener;
	pthread_t thread;
	int err;
};

struct options {
	struct vbmg_config config;
	const char *paths[MAX_INSTANCES];
	unsigned int instances;
};

static const char usage_text[] =
	"usage: vbmg [OPTION]... SOCKET...\n"
	"Serve a virtual Intel Battlemage GPU on each vfio-user SOCKET, for\n"
	"qemu-system-x86_64 -device '{\"driver\":\"vfio-user-pci\",\n"
	"    \"socket\":{\"type\":\"unix\",\"path\":\"SOCKET\"}}'\n"
	"It ends when its last client has left.\n"
	"\n"
	"  --vram GIB          video memory in GiB (default 1)\n"
	"  --ccs N             compute engines, 1 to 4 (default 1); also --compute\n"
	"  --timeslice US      of contexts that share an engine\n"
	"  --latency LIST      how long things take, as PART=COST,...: with a time in ns,\n"
	"                      us or ms tlb, copy, pte, fault, reply; copy and pte also\n"
	"                      with a rate in MB/s or GB/s. Default: no time at all.\n"
	"                      As tlb=20us,copy=5us+10GB/s,pte=1us,fault=10us,reply=5us\n"
	"  --msix              MSI-X instead of MSI; engines report to memory\n"
	"  --log LEVEL         error, warn, info (default) or debug\n"
	"  --trace TOPIC,...   vfu, mmio, irq, guc, command, context, fault, tlb or all\n"
	"  --trace-file FILE   where the trace goes (default: stderr)\n"
	"  --help\n";

static void __attribute__((noreturn)) usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static unsigned long parse_number(const char *text, unsigned long low, unsigned long high)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value < low || value > high) {
		fprintf(stderr, "vbmg: '%s' is no number from %lu to %lu\n", text, low, high);
		exit(2);
	}
	return value;
}

static void parse_latency(struct options *options, const char *text)
{
	char why[LATENCY_WHY];

	if (!latencies_parse(&options->config.latencies, text, why)) {
		fprintf(stderr, "vbmg: --latency: %s\n", why);
		exit(2);
	}
}

static void parse_log(const char *text)
{
	enum log_level level;

	if (!log_parse_level(text, &level))
		usage(2);
	log_set_level(level);
}

static void parse_trace_file(const char *path)
{
	int err = trace_open(path);

	if (err) {
		fprintf(stderr, "vbmg: %s: %s\n", path, strerror(-err));
		exit(1);
	}
}

enum {
	OPT_VRAM = 1, OPT_COMPUTE, OPT_TIMESLICE, OPT_LATENCY, OPT_MSIX, OPT_LOG, OPT_TRACE,
	OPT_TRACE_FILE, OPT_HELP,
};

static const struct option long_options[] = {
	{ "vram", required_argument, NULL, OPT_VRAM },
	{ "ccs", required_argument, NULL, OPT_COMPUTE },
	{ "compute", required_argument, NULL, OPT_COMPUTE },
	{ "timeslice", required_argument, NULL, OPT_TIMESLICE },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "msix", no_argument, NULL, OPT_MSIX },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "trace-file", required_argument, NULL, OPT_TRACE_FILE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static void parse_option(struct options *options, int option)
{
	switch (option) {
	case OPT_VRAM:
		options->config.vram_size = parse_number(optarg, 1, 64) << 30;
		break;
	case OPT_COMPUTE:
		options->config.n_compute = (u32)parse_number(optarg, 1, ENGINE_MAX_COMPUTE);
		break;
	case OPT_TIMESLICE:
		options->config.timeslice_us = (u32)parse_number(optarg, 1, 1000000);
		break;
	case OPT_LATENCY:
		parse_latency(options, optarg);
		break;
	case OPT_MSIX:
		options->config.msix = true;
		break;
	case OPT_LOG:
		parse_log(optarg);
		break;
	case OPT_TRACE:
		if (!trace_parse_topics(optarg))
			usage(2);
		break;
	case OPT_TRACE_FILE:
		parse_trace_file(optarg);
		break;
	case OPT_HELP:
		usage(0);
	default:
		usage(2);
	}
}

static void parse_options(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ .config = { .vram_size = SZ_1G, .n_compute = 1 } };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		parse_option(options, option);
	if (optind == argc || argc - optind > MAX_INSTANCES)
		usage(2);
	while (optind < argc)
		options->paths[options->instances++] = argv[optind++];
}

static int instance_init(struct instance *in, unsigned int index, const struct options *options)
{
	int err = vbmg_init(&in->dev, index, &options->config);

	if (err)
		return err;
	in->path = options->paths[index];
	in->listener = vfu_listen(in->path);
	if (in->listener < 0) {
		vbmg_destroy(&in->dev);
		return in->listener;
	}
	return 0;
}

static void instance_destroy(struct instance *in)
{
	close(in->listener);
	unlink(in->path);
	vbmg_destroy(&in->dev);
}

static u64 instance_bar2(void *arg)
{
	struct instance *in = arg;

	return pci_bar2_address(&in->dev.pci);
}

/* Every device reaches the VRAM of every other one */
static void connect_peers(struct instance *instances, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		for (unsigned int j = 0; j < count; j++) {
			struct dma_peer peer = {
				.address = instance_bar2,
				.arg = &instances[j],
				.host = instances[j].dev.vram,
				.size = instances[j].dev.config.vram_size,
			};

			if (i != j)
				dma_add_peer(&instances[i].dev.dma, &peer);
		}
	}
}

static void *instance_serve(void *arg)
{
	struct instance *in = arg;

	in->err = vfu_serve(&in->dev, in->listener);
	if (in->err)
		log_error("%s: %s", in->path, strerror(-in->err));
	return NULL;
}

static int serve_all(struct instance *instances, unsigned int count)
{
	unsigned int started = 0;
	int status = 0;

	while (started < count && !pthread_create(&instances[started].thread, NULL,
						  instance_serve, &instances[started]))
		started++;
	if (started < count) {
		log_error("cannot start a thread");
		exit(1);
	}
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(instances[i].thread, NULL);
		status |= instances[i].err != 0;
	}
	return status;
}

static void report(const struct instance *in)
{
	struct engine_stats stats;

	engines_stats(in->dev.engines, &stats);
	log_info("device %u: %llu commands, %llu bytes copied, %llu faults (%llu failed), %llu invalidations, %llu interrupts",
		 in->dev.index, (unsigned long long)stats.commands,
		 (unsigned long long)stats.bytes_copied, (unsigned long long)stats.faults,
		 (unsigned long long)stats.faults_failed, (unsigned long long)stats.invalidations,
		 (unsigned long long)in->dev.irq.count);
	log_info("device %u: %llu contexts failed; bugs of the driver: %llu stale translations, %llu DMA outside of maps, %llu stray fault replies",
		 in->dev.index, (unsigned long long)stats.context_errors,
		 (unsigned long long)stats.stale_accesses,
		 (unsigned long long)in->dev.dma.stats.refused,
		 (unsigned long long)stats.stray_replies);
}

int main(int argc, char **argv)
{
	static struct instance instances[MAX_INSTANCES];
	struct options options;
	unsigned int ready = 0;
	int err = 0, status = 1;

	parse_options(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	while (ready < options.instances && !err) {
		err = instance_init(&instances[ready], ready, &options);
		if (err)
			log_error("%s: %s", options.paths[ready], strerror(-err));
		else
			ready++;
	}
	if (!err) {
		connect_peers(instances, ready);
		status = serve_all(instances, ready);
	}
	/* All of them first: a peer's memory is used until its engines stop */
	for (unsigned int i = 0; i < ready; i++)
		report(&instances[i]);
	for (unsigned int i = 0; i < ready; i++)
		instance_destroy(&instances[i]);
	trace_close();
	return status;
}
