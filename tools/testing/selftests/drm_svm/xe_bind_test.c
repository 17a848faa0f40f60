// SPDX-License-Identifier: GPL-2.0
/*
 * Binds of the xe driver that wait for a fence: what they replace must be what it was
 * until then, and must be replaced then, whatever becomes of their queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define LEN		SVM_PMD_SIZE
#define OBJECT_BYTE	0x5a
#define TEST_SECONDS	120

/* A timeline whose fences a process signals. There is no header of it for users. */
#define SW_SYNC		"/sys/kernel/debug/sync/sw_sync"

struct sw_sync_fence {
	uint32_t value;
	char name[32];
	int32_t fd;
};

#define SW_SYNC_CREATE_FENCE	_IOWR('W', 0, struct sw_sync_fence)
#define SW_SYNC_INC		_IOW('W', 1, uint32_t)

/* An object where the process has memory, and a place for what the GPU sees there */
FIXTURE(bind)
{
	struct xe_gpu gpu;
	struct xe_queue *copy;
	char *mem, *seen;
	int timeline;
	struct sw_sync_fence fence;
};

static char *take_memory(const struct xe_gpu *gpu, uint64_t seed)
{
	char *mem = svm_map_aligned(LEN, SVM_PMD_SIZE);

	if (!mem)
		return NULL;
	svm_pattern_fill(mem, LEN, seed);
	return xe_prefer(gpu, mem, LEN, gpu->system) ? NULL : mem;
}

static int bind_object(const struct xe_gpu *gpu, char *mem)
{
	struct xe_bind bind = { .what = XE_BIND_OBJECT, .mem = mem, .len = LEN };
	int err = xe_create_object(gpu, LEN, &bind.object);

	return err ? err : xe_bind(gpu, &bind, 1);
}

FIXTURE_SETUP(bind)
{
	int err;

	self->fence = (struct sw_sync_fence) { .value = 1 };
	self->timeline = open(SW_SYNC, O_RDWR | O_CLOEXEC);
	if (self->timeline < 0)
		SKIP(return, "%s: %s", SW_SYNC, strerror(errno));
	ASSERT_EQ(0, ioctl(self->timeline, SW_SYNC_CREATE_FENCE, &self->fence));
	err = xe_open(&self->gpu);
	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	self->copy = &self->gpu.queue[XE_COPY];
	self->mem = take_memory(&self->gpu, 1);
	self->seen = take_memory(&self->gpu, 2);
	ASSERT_NE(NULL, self->mem);
	ASSERT_NE(NULL, self->seen);
	ASSERT_EQ(0, bind_object(&self->gpu, self->mem)) TH_LOG("%s", svm_why());
	xe_emit_fill(self->copy, self->mem, OBJECT_BYTE, LEN);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
}

FIXTURE_TEARDOWN(bind)
{
	munmap(self->mem, LEN);
	munmap(self->seen, LEN);
	close(self->fence.fd);
	close(self->timeline);
	xe_close(&self->gpu);
}

static bool all_are(const char *mem, char byte)
{
	return mem[0] == byte && !memcmp(mem, mem + 1, LEN - 1);
}

#define GPU_LOOKS() do {						\
	xe_emit_copy(self->copy, self->seen, self->mem, LEN);		\
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());	\
} while (0)

#define SIGNAL() \
	ASSERT_EQ(0, ioctl(self->timeline, SW_SYNC_INC, &(uint32_t){ 1 }))

/* The mirror comes back in place of the object, whose queue is gone by then. */
TEST_F_TIMEOUT(bind, outlives_its_queue, TEST_SECONDS)
{
	struct xe_bind bind = { .what = XE_BIND_MIRROR, .mem = self->mem, .len = LEN };
	volatile uint64_t done = 0;

	ASSERT_EQ(0, xe_bind_behind(&self->gpu, &bind, self->fence.fd, &done))
		TH_LOG("%s", svm_why());
	EXPECT_EQ(0, done);
	SIGNAL();
	ASSERT_EQ(0, xe_wait_bind(&self->gpu, &done)) TH_LOG("%s", svm_why());
	GPU_LOOKS();
	EXPECT_FALSE(all_are(self->seen, OBJECT_BYTE));
	EXPECT_EQ(0, memcmp(self->seen, self->mem, LEN));
}

TEST_HARNESS_MAIN
