/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests share that move memory of a process to the memory of virtual SVM
 * devices: devices to do so, and where memory is.
 *
 * Each test makes the devices that it needs. Where memory is gets checked by
 * DRM_IOCTL_VSVM_PLACEMENT, what is in it after every step. Loops that look for
 * races are bounded by a count, which SVM_SCALE multiplies, and by RACE_MS.
 */
#ifndef SVM_DEVMEM_H
#define SVM_DEVMEM_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svm_harness.h"

#define TEST_SET	"drm_svm_devmem"
#define OTHER_SET	"drm_svm_devmem_other"

#define NOWHERE		DRM_VSVM_LOCATION_NONE
#define RAM		DRM_VSVM_LOCATION_SYSTEM
#define DEV(index)	DRM_VSVM_LOCATION_DEVICE(index)

/* What most tests work on: the size of a huge page */
#define LEN		SVM_PMD_SIZE

/* So many pages of [mem, mem + len) must be there */
#define COUNT_AT(num, location, svm, mem, len)				\
	ASSERT_EQ((long)(num), svm_count_at(svm, mem, len, location))	\
		TH_LOG("location %u", (unsigned int)(location))
#define ALL_AT(location, svm, mem, len) \
	COUNT_AT((len) / svm_page_size(), location, svm, mem, len)

/*
 * It takes a while to make devices. Tests in a row that want the same ones share
 * them; each has a process of its own, so what there is has to be known by all.
 */
static struct shared {
	pid_t owner;
	char settings[256];
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

static inline void make_set(struct __test_metadata *_metadata, const char *name,
			    const char *const *settings)
{
	svm_set_remove(name);
	ASSERT_EQ(0, svm_set_make(name, settings)) TH_LOG("%s", svm_why());
}

static inline void forget_set(void)
{
	svm_set_remove(TEST_SET);
	shared->settings[0] = '\0';
}

/* One address space on so many devices of the set, whose memory must be empty */
static inline void open_set(struct __test_metadata *_metadata, struct svm *svm,
			    const char *const *settings, unsigned int num)
{
	char wanted[sizeof(shared->settings)] = "";

	svm->fd = -1;
	for (unsigned int i = 0; settings[i]; i++) {
		strcat(wanted, settings[i]);
		strcat(wanted, " ");
	}
	if (strcmp(wanted, shared->settings)) {
		forget_set();
		make_set(_metadata, TEST_SET, settings);
		strcpy(shared->settings, wanted);
	}
	ASSERT_EQ(0, svm_open_set(svm, TEST_SET, num)) TH_LOG("%s", svm_why());
}

/* Move memory and expect all of it to have moved */
static inline void move(struct __test_metadata *_metadata, struct svm *svm, void *mem,
			size_t len, uint32_t location)
{
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(svm, mem, len, location, &moved))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, moved.left);
	ALL_AT(location, svm, mem, len);
}

/* Anonymous memory of huge pages, or of small ones only */
static inline char *map_pages(struct __test_metadata *_metadata, size_t len, bool huge)
{
	char *mem = svm_map_aligned(len, SVM_PMD_SIZE);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return mem;
}

/* Whether the device added to what the CPU had filled it with */
static inline bool is_pattern_plus(const void *mem, size_t len, uint64_t seed,
				   uint64_t plus)
{
	const uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		if (word[i] != svm_pattern_word(seed, i) + plus)
			return false;
	return true;
}

#endif
