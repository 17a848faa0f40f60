// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a process in the memory of a device whose copies fail, tested on the
 * virtual SVM device: whoever asks for it back is told, nothing is lost while the
 * device is there, and when it goes nothing is lost but what could not be copied.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "svm_harness.h"

#define TEST_SET	"drm_svm_lost"
#define RAM		DRM_VSVM_LOCATION_SYSTEM
#define DEV		DRM_VSVM_LOCATION_DEVICE(0)
#define LEN		SVM_PMD_SIZE

/* More copies than there ever are */
#define ALL_COPIES	1000000000

FIXTURE(lost)
{
	struct svm svm;
	size_t page;
	char *mem;
};

FIXTURE_VARIANT(lost)
{
	bool huge;
};

FIXTURE_VARIANT_ADD(lost, small) { .huge = false };
FIXTURE_VARIANT_ADD(lost, huge) { .huge = true };

static bool set_failures(struct svm *svm, unsigned int count)
{
	char path[64], text[16];
	struct stat st;

	if (fstat(svm->fd, &st))
		return false;
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/fail_copies",
		 minor(st.st_rdev));
	snprintf(text, sizeof(text), "%u", count);
	return svm_write_file(path, text);
}

/* Filled and with the device */
FIXTURE_SETUP(lost)
{
	static const char *const settings[] = {
		"mem_size=16M", "policy=advice", NULL
	};
	struct svm_moved moved;

	self->page = svm_page_size();
	svm_set_remove(TEST_SET);
	ASSERT_EQ(0, svm_set_make(TEST_SET, settings)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, svm_open_set(&self->svm, TEST_SET, 1)) TH_LOG("%s", svm_why());
	if (!set_failures(&self->svm, 0))
		SKIP(return, "no debugfs");

	self->mem = svm_map_aligned(LEN, LEN);
	ASSERT_NE(NULL, self->mem);
	madvise(self->mem, LEN, variant->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	svm_pattern_fill(self->mem, LEN, 1);
	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem, LEN, DEV, &moved))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, moved.left);
}

FIXTURE_TEARDOWN(lost)
{
	set_failures(&self->svm, 0);
	svm_close(&self->svm);
	svm_set_remove(TEST_SET);
}

static sigjmp_buf jump;

static void on_sigbus(int sig)
{
	siglongjmp(jump, sig);
}

/* Whether a byte can be read, and isn't answered by SIGBUS */
static bool is_there(const char *addr)
{
	struct sigaction action = { .sa_handler = on_sigbus }, old;
	bool ret = false;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(jump, 1)) {
		(void)__atomic_load_n(addr, __ATOMIC_RELAXED);
		ret = true;
	}
	sigaction(SIGBUS, &old, NULL);
	return ret;
}

/* Whoever asks for memory back is told that it doesn't come */
SVM_TEST(lost, prefetch_tells_that_copies_fail)
{
	struct svm_moved moved;

	ASSERT_TRUE(set_failures(&self->svm, ALL_COPIES));
	ASSERT_EQ(-EIO, svm_prefetch(&self->svm, self->mem, LEN, RAM, &moved));
	ASSERT_FALSE(is_there(self->mem));
	ASSERT_EQ((long)(LEN / self->page), svm_count_at(&self->svm, self->mem, LEN, DEV));

	ASSERT_TRUE(set_failures(&self->svm, 0));
	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem, LEN, RAM, &moved))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, moved.left);
	IS_PATTERN(self->mem, LEN, 1);
}

/* A few copies that fail are no reason not to bring the last page back */
SVM_TEST(lost, prefetch_asks_again_for_the_last_page)
{
	char *last = self->mem + LEN - self->page;
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem, LEN - self->page, RAM, NULL));
	ASSERT_EQ(0, svm_prefetch(&self->svm, last, self->page, DEV, &moved));
	ASSERT_EQ(0, moved.left);
	ASSERT_TRUE(set_failures(&self->svm, 3));
	ASSERT_EQ(0, svm_prefetch(&self->svm, last, self->page, RAM, &moved))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, moved.left);
	ASSERT_TRUE(set_failures(&self->svm, 0));
	IS_PATTERN(self->mem, LEN, 1);
}

/* One copy that fails is no reason to refuse the CPU its page */
SVM_TEST(lost, cpu_gets_its_page_after_a_failure)
{
	for (size_t i = 0; i < 4; i++) {
		ASSERT_TRUE(set_failures(&self->svm, 1));
		ASSERT_TRUE(is_there(self->mem + i * 16 * self->page));
	}
	ASSERT_TRUE(set_failures(&self->svm, 0));
	IS_PATTERN(self->mem, LEN, 1);
}

/* The device ends, with whatever of the memory it could not give back */
SVM_TEST(lost, dead_device_can_be_removed)
{
	size_t beside = 4 * self->page;
	struct svm_moved moved;

	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem, beside, RAM, NULL));
	ASSERT_EQ(0, svm_prefetch(&self->svm, self->mem + beside, LEN - beside, DEV,
				  &moved));
	ASSERT_EQ(0, moved.left);
	ASSERT_TRUE(set_failures(&self->svm, ALL_COPIES));
	svm_close(&self->svm);
	svm_set_remove(TEST_SET);
	for (size_t i = beside; i < LEN; i += 16 * self->page)
		ASSERT_FALSE(is_there(self->mem + i));
	IS_PATTERN(self->mem, beside, 1);

	/* The address can be used again. */
	ASSERT_EQ(0, madvise(self->mem + beside, LEN - beside, MADV_DONTNEED));
	IS_VALUE(self->mem + beside, LEN - beside, 0);
	IS_PATTERN(self->mem, beside, 1);
}

/* A device that recovers in time takes nothing along */
SVM_TEST(lost, device_that_recovers_loses_nothing)
{
	ASSERT_TRUE(set_failures(&self->svm, 6));
	svm_close(&self->svm);
	svm_set_remove(TEST_SET);
	IS_PATTERN(self->mem, LEN, 1);
}

TEST_HARNESS_MAIN
