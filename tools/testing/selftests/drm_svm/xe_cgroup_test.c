// SPDX-License-Identifier: GPL-2.0
/*
 * A GPU that has the xe driver, and a process whose cgroup is entitled to VRAM that others
 * use.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/xe_cgroup"

#define LEN		SVM_PMD_SIZE
/* What objects are made of */
#define UNIT		(64UL << 10)
/* A call that takes longer will not end */
#define CALL_SECONDS	60

/* The name and the size of the first device memory that cgroups know */
static bool first_region(char line[256])
{
	FILE *f = fopen(CGROUPS "/dmem.capacity", "re");
	bool found = f && fgets(line, 256, f);

	if (f)
		fclose(f);
	return found;
}

/* A cgroup to which @which of all VRAM is promised */
static bool make_cgroup(const char *which)
{
	char line[256], path[64];
	struct stat st;

	if (stat(CGROUPS "/cgroup.procs", &st))
		mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);
	svm_write_file(CGROUPS "/cgroup.subtree_control", "+dmem");
	rmdir(CGROUP);
	snprintf(path, sizeof(path), CGROUP "/%s", which);
	return !mkdir(CGROUP, 0755) && first_region(line) && svm_write_file(path, line);
}

static bool enter_cgroup(void)
{
	return svm_write_file(CGROUP "/cgroup.procs", "0");
}

/*
 * VRAM is full, and what was used least recently is memory of the process itself. Its ends
 * were brought back by the CPU: there is room for them only if something is evicted.
 */
static const char *fill_vram(struct xe_gpu *gpu, char *mem)
{
	uint64_t free;
	uint32_t object;

	xe_emit_fill(&gpu->queue[XE_COPY], mem, 1, LEN);
	if (xe_run(&gpu->queue[XE_COPY]) || xe_prefetch(gpu, mem, LEN, gpu->vram))
		return "memory does not move";
	if (xe_vram_free(gpu, &free))
		return "nobody tells how much VRAM is free";
	if (xe_create_object(gpu, free / UNIT * UNIT, &object))
		return "VRAM can't be filled";
	mem[0] = 2;
	mem[LEN - 1] = 2;
	return NULL;
}

static int prefetch_in_cgroup(void)
{
	struct xe_gpu gpu;
	char *mem = svm_map_aligned(LEN, SVM_PMD_SIZE);
	const char *why;
	int err;

	if (!mem || madvise(mem, LEN, MADV_NOHUGEPAGE) || xe_open(&gpu))
		return 2;
	why = fill_vram(&gpu, mem);
	if (why || !enter_cgroup()) {
		fprintf(stderr, "# %s: %s\n", why ?: "no cgroup", svm_why());
		return 3;
	}

	alarm(CALL_SECONDS);
	err = xe_prefetch(&gpu, mem, LEN, gpu.vram);
	alarm(0);
	if (err)
		return 4;
	if (mem[0] != 2 || mem[LEN - 1] != 2 || mem[1] != 1 || mem[LEN - 2] != 1 ||
	    svm_value_check(mem + UNIT, LEN - 2 * UNIT, 0x0101010101010101) >= 0)
		return 5;
	return 0;
}

FIXTURE(cgroup)
{
	bool made;
};

FIXTURE_VARIANT(cgroup)
{
	const char *which;
};

FIXTURE_VARIANT_ADD(cgroup, low) { .which = "dmem.low" };
FIXTURE_VARIANT_ADD(cgroup, min) { .which = "dmem.min" };

FIXTURE_SETUP(cgroup)
{
	struct xe_gpu gpu;
	int err = xe_open(&gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	xe_close(&gpu);
	if (!make_cgroup(variant->which))
		SKIP(return, "no cgroups for device memory");
	self->made = true;
}

FIXTURE_TEARDOWN(cgroup)
{
	if (self->made)
		rmdir(CGROUP);
}

/* It waits for nothing that it keeps from going itself */
TEST_F_TIMEOUT(cgroup, prefetch_finds_no_room, 300)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(prefetch_in_cgroup());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
