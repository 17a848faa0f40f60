// SPDX-License-Identifier: GPL-2.0
/*
 * What a process asks virtual SVM devices about its memory: advice where it is to be,
 * and bad arguments of all that is about device memory.
 */
#include <errno.h>
#include <unistd.h>

#include "svm_devmem.h"

/*
 * Advice: where memory lands that device 0 touches
 */

enum { ADVICE_NONE, ADVICE_SYSTEM, ADVICE_OWN, ADVICE_OTHER, NUM_ADVICE };

static const uint32_t advice_location[NUM_ADVICE] = {
	[ADVICE_NONE] = NOWHERE,
	[ADVICE_SYSTEM] = RAM,
	[ADVICE_OWN] = DEV(0),
	[ADVICE_OTHER] = DEV(1),
};

FIXTURE(advised)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
};

FIXTURE_VARIANT(advised)
{
	const char *settings[4];
	uint32_t lands[NUM_ADVICE];
};

FIXTURE_VARIANT_ADD(advised, system) {
	.settings = { "devices=2", "mem_size=8M", "policy=system" },
	.lands = { RAM, RAM, RAM, RAM },
};
FIXTURE_VARIANT_ADD(advised, advice) {
	.settings = { "devices=2", "mem_size=8M", "policy=advice" },
	.lands = { RAM, RAM, DEV(0), DEV(1) },
};
FIXTURE_VARIANT_ADD(advised, first_touch) {
	.settings = { "devices=2", "mem_size=8M", "policy=first_touch" },
	.lands = { DEV(0), RAM, DEV(0), DEV(1) },
};

FIXTURE_SETUP(advised)
{
	self->page = svm_page_size();
	open_set(_metadata, &self->svm, variant->settings, 2);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(advised)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

static void advise(struct __test_metadata *_metadata, struct svm *svm, void *mem,
		   size_t len, unsigned int advice)
{
	ASSERT_EQ(0, svm_advise(svm, mem, len, advice_location[advice], 0, 0))
		TH_LOG("%s", svm_why());
}

SVM_TEST(advised, decides_where_memory_lands)
{
	for (unsigned int i = 0; i < NUM_ADVICE; i++) {
		char *mem = map_pages(_metadata, LEN, i % 2);

		svm_pattern_fill(mem, LEN, i);
		advise(_metadata, &self->svm, mem, LEN, i);
		ALL_AT(RAM, &self->svm, mem, LEN);
		RUN(self->q, svm_add(mem, LEN, 1));
		ALL_AT(variant->lands[i], &self->svm, mem, LEN);
		ASSERT_TRUE(is_pattern_plus(mem, LEN, i, 1));
		munmap(mem, LEN);
	}
}

SVM_TEST(advised, can_be_taken_back)
{
	char *mem = map_pages(_metadata, LEN, false);

	advise(_metadata, &self->svm, mem, LEN, ADVICE_OTHER);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_NONE);
	RUN(self->q, svm_add(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_NONE], &self->svm, mem, LEN);
	munmap(mem, LEN);
}

SVM_TEST(advised, counts_for_its_addresses_only)
{
	size_t part = LEN / 4;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 1);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	advise(_metadata, &self->svm, mem, 2 * part, ADVICE_OWN);
	advise(_metadata, &self->svm, mem + part, 2 * part, ADVICE_OTHER);
	RUN(self->q, svm_add(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_OWN], &self->svm, mem, part);
	ALL_AT(variant->lands[ADVICE_OTHER], &self->svm, mem + part, 2 * part);
	ALL_AT(variant->lands[ADVICE_SYSTEM], &self->svm, mem + 3 * part, part);
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 1, 1));
	munmap(mem, LEN);
}

SVM_TEST(advised, counts_where_memory_is_mapped_already)
{
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_device_stats mark, stats;

	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	RUN(self->q, svm_fill(mem, LEN, 1));
	ALL_AT(RAM, &self->svm, mem, LEN);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_OWN);
	ALL_AT(RAM, &self->svm, mem, LEN);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	RUN(self->q, svm_add(mem, LEN, 1));
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_LT(0, stats.write_faults);
	ALL_AT(variant->lands[ADVICE_OWN], &self->svm, mem, LEN);
	IS_VALUE(mem, LEN, 2);
	munmap(mem, LEN);
}

SVM_TEST(advised, outlives_the_mapping)
{
	char *mem = map_pages(_metadata, LEN, false);

	advise(_metadata, &self->svm, mem, LEN, ADVICE_OTHER);
	ASSERT_EQ(mem, mmap(mem, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	RUN(self->q, svm_fill(mem, LEN, 1));
	ALL_AT(variant->lands[ADVICE_OTHER], &self->svm, mem, LEN);
	IS_VALUE(mem, LEN, 1);
	munmap(mem, LEN);
}

SVM_TEST(advised, prefetch_goes_where_it_is_told)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 2);
	advise(_metadata, &self->svm, mem, LEN, ADVICE_SYSTEM);
	move(_metadata, &self->svm, mem, LEN, DEV(1));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	move(_metadata, &self->svm, mem, LEN, RAM);
	IS_PATTERN(mem, LEN, 2);
	munmap(mem, LEN);
}

/*
 * Bad arguments
 */

FIXTURE(arguments)
{
	struct svm svm;
	char *mem;
};

FIXTURE_SETUP(arguments)
{
	static const char *const settings[] = { "mem_size=2M", NULL };

	open_set(_metadata, &self->svm, settings, 1);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->mem = map_pages(_metadata, LEN, false);
}

FIXTURE_TEARDOWN(arguments)
{
	svm_close(&self->svm);
}

#define PREFETCH_IS(error, field, value) do {				\
	struct drm_vsvm_prefetch arg_ = {				\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.location = DEV(0),					\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_PREFETCH, \
				   &arg_))				\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_prefetch)
{
	PREFETCH_IS(0, timeslice_ms, 0);
	PREFETCH_IS(0, location, RAM);
	PREFETCH_IS(-ENOENT, vm_id, self->svm.vm + 1);
	PREFETCH_IS(-EINVAL, flags, 1);
	PREFETCH_IS(-EINVAL, size, 0);
	PREFETCH_IS(-EINVAL, size, LEN - 1);
	PREFETCH_IS(-EINVAL, size, 0ULL - svm_page_size());
	PREFETCH_IS(-EINVAL, size, 1ULL << 63);
	PREFETCH_IS(-EINVAL, start, svm_addr(self->mem) + 8);
	PREFETCH_IS(-EINVAL, start, TOP);
	PREFETCH_IS(-EINVAL, start, TOP - svm_page_size());
	PREFETCH_IS(-EINVAL, start, 0ULL - svm_page_size());
	PREFETCH_IS(-EINVAL, location, NOWHERE);
	PREFETCH_IS(-EINVAL, location, 2);
	PREFETCH_IS(-EINVAL, location, DEV(0) - 1);
	PREFETCH_IS(-EINVAL, location, DEV(1));
	PREFETCH_IS(-EINVAL, location, DEV(DRM_VSVM_MAX_DEVICES));
	PREFETCH_IS(-EINVAL, location, ~0U);
	PREFETCH_IS(-EINVAL, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS + 1);
}

#define ADVISE_IS(error, field, value) do {				\
	struct drm_vsvm_advise arg_ = {					\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.location = DEV(0),					\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_ADVISE,	\
				   &arg_))				\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_advise)
{
	ADVISE_IS(0, flags, DRM_VSVM_ADVISE_ATOMIC_LOCAL);
	ADVISE_IS(0, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS);
	ADVISE_IS(0, location, RAM);
	ADVISE_IS(0, location, NOWHERE);
	ADVISE_IS(-ENOENT, vm_id, self->svm.vm + 1);
	ADVISE_IS(-EINVAL, flags, 2);
	ADVISE_IS(-EINVAL, flags, ~0U);
	ADVISE_IS(-EINVAL, size, 0);
	ADVISE_IS(-EINVAL, size, LEN - 1);
	ADVISE_IS(-EINVAL, size, 0ULL - svm_page_size());
	ADVISE_IS(-EINVAL, start, svm_addr(self->mem) + 8);
	ADVISE_IS(-EINVAL, start, TOP);
	ADVISE_IS(-EINVAL, start, 0ULL - svm_page_size());
	ADVISE_IS(-EINVAL, location, 2);
	ADVISE_IS(-EINVAL, location, DEV(1));
	ADVISE_IS(-EINVAL, location, ~0U);
	ADVISE_IS(-EINVAL, timeslice_ms, DRM_VSVM_MAX_TIMESLICE_MS + 1);
}

#define PLACEMENT_IS(error, field, value) do {				\
	struct drm_vsvm_placement arg_ = {				\
		.vm_id = self->svm.vm,					\
		.start = svm_addr(self->mem),				\
		.size = LEN,						\
		.pages = svm_addr(place),				\
	};								\
									\
	arg_.field = (value);						\
	EXPECT_EQ(error, svm_ioctl(self->svm.fd,			\
				   DRM_IOCTL_VSVM_PLACEMENT, &arg_))	\
		TH_LOG("%s", #field " = " #value);			\
} while (0)

SVM_TEST(arguments, of_placement)
{
	size_t page = svm_page_size();
	uint8_t place[LEN / page];

	PLACEMENT_IS(0, flags, 0);
	PLACEMENT_IS(-ENOENT, vm_id, self->svm.vm + 1);
	PLACEMENT_IS(-EINVAL, flags, 1);
	PLACEMENT_IS(-EINVAL, size, 0);
	PLACEMENT_IS(-EINVAL, size, page / 2);
	PLACEMENT_IS(-EINVAL, size, 0ULL - page);
	PLACEMENT_IS(-EINVAL, size, DRM_VSVM_MAX_PLACEMENT + page);
	PLACEMENT_IS(-EINVAL, start, svm_addr(self->mem) + 1);
	PLACEMENT_IS(-EINVAL, start, TOP);
	PLACEMENT_IS(-EINVAL, start, 0ULL - page);
	PLACEMENT_IS(-EFAULT, pages, 0);
	PLACEMENT_IS(-EFAULT, pages, svm_addr(pattern_sum));
}

/* A window of addresses: nothing outside of it moves or is told */
SVM_TEST(arguments, outside_of_the_window)
{
	uint8_t place[2];
	struct svm svm;
	int fd = svm_set_open(TEST_SET, 0);
	struct drm_vsvm_vm_create create = {
		.va_start = svm_addr(self->mem),
		.va_size = LEN / 2,
	};

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, svm_ioctl(fd, DRM_IOCTL_VSVM_VM_CREATE, &create));
	svm = (struct svm){ .fd = fd, .vm = create.vm_id, .num_devices = 1 };
	EXPECT_EQ(0, svm_prefetch(&svm, self->mem, LEN / 2, DEV(0), NULL));
	EXPECT_EQ(-EINVAL, svm_prefetch(&svm, self->mem, LEN, DEV(0), NULL));
	EXPECT_EQ(-EINVAL, svm_advise(&svm, self->mem + LEN / 2, LEN / 2,
				      DEV(0), 0, 0));
	EXPECT_EQ(0, svm_placement(&svm, self->mem, svm_page_size(), place));
	EXPECT_EQ(DEV(0), place[0]);
	EXPECT_EQ(-EINVAL,
		  svm_placement(&svm, self->mem + LEN / 2 - svm_page_size(),
				2 * svm_page_size(), place));
	close(fd);
}

SVM_TEST(arguments, of_another_process)
{
	pid_t pid = fork();

	if (!pid) {
		uint8_t place;

		_exit((svm_prefetch(&self->svm, self->mem, LEN, DEV(0), NULL) !=
		       -EPERM) |
		      (svm_advise(&self->svm, self->mem, LEN, DEV(0), 0, 0) !=
		       -EPERM) << 1 |
		      (svm_placement(&self->svm, self->mem, svm_page_size(),
				     &place) != -EPERM) << 2);
	}
	ASSERT_LT(0, pid);
	ASSERT_TRUE(child_is_content(pid));
}

SVM_TEST(arguments, device_without_memory)
{
	static const char *const settings[] = { "mem_size=0", NULL };
	struct drm_vsvm_query query;
	struct svm_moved moved;
	struct svm svm;

	make_set(_metadata, OTHER_SET, settings);
	EXPECT_EQ(0, svm_open_set(&svm, OTHER_SET, 1)) TH_LOG("%s", svm_why());
	EXPECT_EQ(0, svm_query(svm.fd, &query));
	EXPECT_EQ(0, query.mem_size);
	EXPECT_EQ(-EINVAL, svm_prefetch(&svm, self->mem, LEN, DEV(0), &moved));
	EXPECT_EQ(-EINVAL, svm_advise(&svm, self->mem, LEN, DEV(0), 0, 0));
	svm_pattern_fill(self->mem, LEN, 1);
	EXPECT_EQ(0, svm_run(&svm.queue[0], svm_add(self->mem, LEN, 1), NULL));
	EXPECT_TRUE(is_pattern_plus(self->mem, LEN, 1, 1));

	/* It can read, but not see where, what is in memory of a stranger */
	move(_metadata, &self->svm, self->mem, LEN, DEV(0));
	EXPECT_EQ(0, svm_count_at(&svm, self->mem, LEN, RAM));
	EXPECT_EQ(0, svm_run(&svm.queue[0], svm_add(self->mem, LEN, 1), NULL));
	EXPECT_TRUE(is_pattern_plus(self->mem, LEN, 1, 2));
	svm_close(&svm);
	svm_set_remove(OTHER_SET);
}

/* Programs that were built when there were fewer counters */
SVM_TEST(arguments, short_stats)
{
	uint64_t counters[3] = { 0, 0, ~0ULL };
	struct drm_vsvm_stats arg = {
		.vm_id = self->svm.vm,
		.size = 2 * sizeof(*counters),
		.stats = svm_addr(counters),
	};

	RUN(&self->svm.queue[0], svm_sum(self->mem, LEN));
	ASSERT_EQ(0, svm_ioctl(self->svm.fd, DRM_IOCTL_VSVM_STATS, &arg));
	EXPECT_EQ(2 * sizeof(*counters), arg.size);
	EXPECT_LT(0, counters[0]);
	EXPECT_EQ(~0ULL, counters[2]);
}

SVM_TEST(arguments, settings_that_cannot_be)
{
	static const char *const bad[] = {
		"mem_size=1M", "mem_size=128G", "mem_size=x", "policy=none",
		"fault_window=3K", "fault_window=4M", "fault_window=0",
		"interconnect=2x", "eviction=maybe", "timeslice_ms=10001",
		"copy_latency_us=1000001", "copy_bandwidth=-1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *const settings[] = { bad[i], NULL };

		svm_set_remove(OTHER_SET);
		EXPECT_EQ(-EINVAL, svm_set_make(OTHER_SET, settings))
			TH_LOG("%s", bad[i]);
	}
}

TEST_HARNESS_MAIN
