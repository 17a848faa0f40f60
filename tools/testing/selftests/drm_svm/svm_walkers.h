/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share of what the kernel's memory management does to memory of a
 * process that is in the memory of a virtual SVM device, seen from user space.
 *
 * Each test runs on small and on huge pages, and on memory that is in RAM as well:
 * what is expected is what happens there. The one difference that may be seen is
 * where the memory is.
 */
#ifndef SVM_WALKERS_H
#define SVM_WALKERS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_harness.h"

#define TEST_SET	"drm_svm_walkers"
#define RAM		DRM_VSVM_LOCATION_SYSTEM
#define DEV		DRM_VSVM_LOCATION_DEVICE(0)

/* What tests work on, a huge page; and a part of it in the middle */
#define LEN		SVM_PMD_SIZE
#define PART		(LEN / 4)
#define PART_LEN	(5 * svm_page_size())

#define PM_SWAP		(1ULL << 62)
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_UFFD_WP	(1ULL << 57)

/* Later than the headers of some C libraries */
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

FIXTURE(walk)
{
	struct svm svm;
	struct svm_queue *q;
	size_t page;
	uint32_t place;
	char *mem;
};

FIXTURE_VARIANT(walk)
{
	bool huge, ram;
};

FIXTURE_VARIANT_ADD(walk, small) { };
FIXTURE_VARIANT_ADD(walk, huge) { .huge = true };
FIXTURE_VARIANT_ADD(walk, ram_small) { .ram = true };
FIXTURE_VARIANT_ADD(walk, ram_huge) { .huge = true, .ram = true };

/* It takes a while to make the device: all tests share it */
static struct shared {
	pid_t owner;
	bool made;
} *shared;

static void __attribute__((constructor)) begin(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	shared->owner = getpid();
}

static void __attribute__((destructor)) end(void)
{
	if (getpid() == shared->owner)
		svm_set_remove(TEST_SET);
}

static inline char *map_len(struct __test_metadata *_metadata, size_t len, bool huge)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return mem;
}

FIXTURE_SETUP(walk)
{
	static const char *const settings[] = {
		"mem_size=8M", "policy=advice", NULL
	};

	self->svm.fd = -1;
	if (!shared->made) {
		svm_set_remove(TEST_SET);
		ASSERT_EQ(0, svm_set_make(TEST_SET, settings))
			TH_LOG("%s", svm_why());
		shared->made = true;
	}
	ASSERT_EQ(0, svm_open_set(&self->svm, TEST_SET, 1))
		TH_LOG("%s", svm_why());
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
	self->q = &self->svm.queue[0];
	self->page = svm_page_size();
	self->place = variant->ram ? RAM : DEV;
	self->mem = map_len(_metadata, LEN, variant->huge);
}

FIXTURE_TEARDOWN(walk)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* So many pages of [mem, mem + len) must be there */
#define COUNT_AT(num, location, mem, len) \
	ASSERT_EQ((long)(num), svm_count_at(&self->svm, mem, len, location)) \
		TH_LOG("location %u", (unsigned int)(location))

/* Pages stay where they are while they are in a batch of some CPU's for the LRU lists */
static inline void put_all(struct svm *svm, const void *mem, size_t len, uint32_t place)
{
	for (int i = 0; i < 5; i++) {
		svm_prefetch(svm, mem, len, place, NULL);
		if (svm_count_at(svm, mem, len, place) ==
		    (long)(len / svm_page_size()))
			return;

		/* This empties them all */
		svm_write_file("/proc/sys/vm/drop_caches", "1");
	}
}

/* Bring memory to where the variant has it; all of it, or what can be moved */
#define TRY_PUT(mem, len) \
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, len, self->place, NULL)) \
		TH_LOG("%s", svm_why())
#define PUT(mem, len) do {						\
	put_all(&self->svm, mem, len, self->place);			\
	COUNT_AT((len) / self->page, self->place, mem, len);		\
} while (0)
#define TAKE_BACK(mem, len) do {					\
	ASSERT_EQ(0, svm_prefetch(&self->svm, mem, len, RAM, NULL))	\
		TH_LOG("%s", svm_why());				\
	COUNT_AT(0, DEV, mem, len);					\
} while (0)

/* Fill what the test works on, and move it there */
#define FILL_AND_PUT(seed) do {						\
	svm_pattern_fill(self->mem, LEN, seed);				\
	PUT(self->mem, LEN);						\
} while (0)

static inline uint64_t pagemap_bits(struct __test_metadata *_metadata, const void *mem,
				    uint64_t bits)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(8, pread(fd, &entry, 8, svm_addr(mem) / svm_page_size() * 8));
	close(fd);
	return entry & bits;
}

#endif
