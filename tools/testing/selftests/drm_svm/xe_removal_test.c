// SPDX-License-Identifier: GPL-2.0
/*
 * A GPU that has the xe driver is removed while processes have memory in it: the memory
 * is there afterwards, whatever the processes do with it then, and the GPU can come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "svm_mem.h"
#include "xe_lib.h"

#define LEN	(4 * SVM_PMD_SIZE)
#define RW	(PROT_READ | PROT_WRITE)

FIXTURE(removal)
{
	struct xe_gpu gpu;
	struct xe_queue *copy;
	char name[32];
	char *mem;
	size_t page;
	bool removed;
};

/* The device's name on its bus */
static int find_name(const struct xe_gpu *gpu, char *name, size_t size)
{
	char path[64], target[256];
	struct stat st;
	ssize_t len;

	if (fstat(gpu->fd, &st))
		return -errno;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device",
		 major(st.st_rdev), minor(st.st_rdev));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
	return 0;
}

static int tell_driver(const char *what, const char *name)
{
	char path[64];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/xe/%s", what);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, name, strlen(name)) < 0)
		err = -errno;
	close(fd);
	return err;
}

FIXTURE_SETUP(removal)
{
	int err = xe_open(&self->gpu);

	if (err == -ENODEV)
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, err) TH_LOG("%s", svm_why());
	self->copy = &self->gpu.queue[XE_COPY];
	self->page = svm_page_size();
	ASSERT_EQ(0, find_name(&self->gpu, self->name, sizeof(self->name)));
	self->mem = svm_map_aligned(LEN, SVM_PMD_SIZE);
	ASSERT_NE(NULL, self->mem);
}

FIXTURE_TEARDOWN(removal)
{
	if (self->removed && tell_driver("bind", self->name))
		TH_LOG("the GPU does not come back");
}

#define REMOVAL_TEST(name)	TEST_F_TIMEOUT(removal, name, 300)

#define REMOVE_GPU() do {						\
	self->removed = true;						\
	ASSERT_EQ(0, tell_driver("unbind", self->name));		\
} while (0)

#define GPU_COMES_BACK() do {						\
	ASSERT_EQ(0, tell_driver("bind", self->name));			\
	self->removed = false;						\
	ASSERT_EQ(0, xe_open(&self->gpu)) TH_LOG("%s", svm_why());	\
} while (0)

static uint64_t word_of(uint8_t byte)
{
	return 0x0101010101010101 * byte;
}

/* All of it is in VRAM, as far as the kernel tells */
static bool is_in_vram(const char *mem, size_t len)
{
	struct svm_places places;

	return svm_places(mem, len, &places) && places.in_device == len / svm_page_size();
}

static bool is_in_ram(const char *mem, size_t len)
{
	struct svm_places places;

	return svm_places(mem, len, &places) && places.in_system == len / svm_page_size();
}

#define IS_FILLED(mem, byte, len) \
	ASSERT_EQ(-1, svm_value_check(mem, len, word_of(byte)))

/* In VRAM, in RAM, and mapped for both; then the CPU does all that it can do to memory */
REMOVAL_TEST(memory_is_there)
{
	const size_t part = LEN / 4;
	char *mem = self->mem;

	xe_emit_fill(self->copy, mem, 1, LEN);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem, 2 * part, self->gpu.vram));
	ASSERT_EQ(0, xe_prefetch(&self->gpu, mem + 2 * part, 2 * part, self->gpu.system));
	ASSERT_TRUE(is_in_vram(mem, 2 * part));
	ASSERT_TRUE(is_in_ram(mem + 2 * part, 2 * part));
	xe_emit_fill(self->copy, mem, 2, LEN);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());

	REMOVE_GPU();
	IS_FILLED(mem, 2, LEN);
	xe_emit_fill(self->copy, mem, 3, LEN);
	ASSERT_NE(0, xe_run(self->copy));

	/* Each of these asks whoever mirrors the memory */
	ASSERT_EQ(0, munmap(mem, part));
	ASSERT_EQ(0, madvise(mem + part, part, MADV_DONTNEED));
	ASSERT_EQ(0, mprotect(mem + 2 * part, part, PROT_READ));
	memset(mem + 3 * part, 4, part);
	IS_FILLED(mem + part, 0, part);
	IS_FILLED(mem + 2 * part, 2, part);
	IS_FILLED(mem + 3 * part, 4, part);
	xe_close(&self->gpu);

	GPU_COMES_BACK();
	xe_emit_fill(self->copy, mem + 3 * part, 5, part);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
	IS_FILLED(mem + 3 * part, 5, part);
	xe_close(&self->gpu);
}

struct writer {
	struct xe_queue *queue;
	struct xe_gpu *gpu;
	char *mem;
	unsigned int runs;	/* that are complete */
};

/* Until the GPU doesn't do it any more. Each run leaves a byte of its own. */
static void *write_on(void *arg)
{
	struct writer *writer = arg;

	for (;;) {
		xe_emit_fill(writer->queue, writer->mem, writer->runs + 1, LEN);
		if (writer->runs & 1)
			xe_prefetch(writer->gpu, writer->mem, LEN, writer->gpu->vram);
		if (xe_run(writer->queue))
			return NULL;
		__atomic_add_fetch(&writer->runs, 1, __ATOMIC_RELAXED);
	}
}

/* What this run wrote, and before that what the next one came to */
static bool holds_run(const char *mem, size_t len, unsigned int run)
{
	uint8_t last = run, next = run + 1;
	size_t i = 0;

	while (i < len && (uint8_t)mem[i] == next)
		i++;
	while (i < len && (uint8_t)mem[i] == last)
		i++;
	return i == len;
}

/* What a dump of a hang would look at. The jobs of a device that goes don't hang. */
static int bind_dumpable(const struct xe_gpu *gpu, char *mem)
{
	struct xe_bind bind = {
		.what = XE_BIND_OBJECT, .mem = mem, .len = LEN, .dumpable = true,
	};
	int err = xe_create_object(gpu, LEN, &bind.object);

	return err ? err : xe_bind(gpu, &bind, 1);
}

/* Faults, copies and jobs are under way: nothing is lost but what was not written yet */
REMOVAL_TEST(under_work)
{
	char *dumpable = svm_map_aligned(LEN, SVM_PMD_SIZE);
	struct writer writer = {
		.queue = self->copy, .gpu = &self->gpu, .mem = self->mem,
	};
	pthread_t thread;

	ASSERT_NE(NULL, dumpable);
	ASSERT_EQ(0, bind_dumpable(&self->gpu, dumpable)) TH_LOG("%s", svm_why());
	memset(self->mem, 0, LEN);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_on, &writer));
	/* A touch brings memory back; one that wrote would hide what is lost */
	for (size_t at = 0; __atomic_load_n(&writer.runs, __ATOMIC_RELAXED) < 4;
	     at = (at + 17 * self->page) % LEN)
		*(volatile char *)(self->mem + at);
	REMOVE_GPU();
	pthread_join(thread, NULL);
	ASSERT_TRUE(holds_run(self->mem, LEN, writer.runs))
		TH_LOG("%u runs, but %#x at first and %#x at last", writer.runs,
		       self->mem[0] & 0xff, self->mem[LEN - 1] & 0xff);
	munmap(self->mem, LEN);
	munmap(dumpable, LEN);
	xe_close(&self->gpu);
	GPU_COMES_BACK();
	xe_close(&self->gpu);
}

struct prefetcher {
	struct xe_gpu *gpu;
	char *mem;
	size_t page;
	int err;
};

static void *prefetch(void *arg)
{
	struct prefetcher *p = arg;

	p->err = xe_prefetch(p->gpu, p->mem, p->page, p->gpu->system);
	return NULL;
}

/* A call waits for memory that does not come. The removal doesn't wait for that. */
REMOVAL_TEST(call_waits_for_memory)
{
	struct prefetcher prefetcher = {
		.gpu = &self->gpu, .mem = self->mem, .page = self->page,
	};
	int uffd = svm_watch_missing(self->mem, LEN);
	pthread_t thread;
	uint64_t addr;

	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, pthread_create(&thread, NULL, prefetch, &prefetcher));
	addr = svm_missing_page(uffd);
	ASSERT_NE(0, addr);
	REMOVE_GPU();
	ASSERT_EQ(0, svm_provide_zeroes(uffd, addr, self->page));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ENODEV, prefetcher.err);
	munmap(self->mem, LEN);
	close(uffd);
	xe_close(&self->gpu);
	GPU_COMES_BACK();
	xe_close(&self->gpu);
}

struct remover {
	const char *name;
	bool done;
	int err;
};

static void *remove_gpu(void *arg)
{
	struct remover *remover = arg;

	remover->err = tell_driver("unbind", remover->name);
	__atomic_store_n(&remover->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The removal ends within this time, whatever nobody answers */
#define REMOVE_SECONDS	100

static bool ends_in_time(const struct remover *remover)
{
	uint64_t deadline = svm_deadline_ms(REMOVE_SECONDS * 1000);

	while (!__atomic_load_n(&remover->done, __ATOMIC_ACQUIRE)) {
		if (svm_past(deadline))
			return false;
		usleep(10000);
	}
	return true;
}

/*
 * Others wait for that call: a page fault of the GPU, and what has to forget memory that
 * was unmapped. The removal doesn't wait for these either.
 */
REMOVAL_TEST(others_wait_for_a_call_that_waits_for_memory)
{
	char *late = self->mem, *never = self->mem + SVM_PMD_SIZE;
	char *wanted = self->mem + 2 * SVM_PMD_SIZE, *gone = self->mem + 3 * SVM_PMD_SIZE;
	struct prefetcher prefetcher = {
		.gpu = &self->gpu, .mem = never, .page = self->page,
	};
	struct remover remover = { .name = self->name };
	pthread_t thread, removal;
	int uffd;

	memset(gone, 1, SVM_PMD_SIZE);
	xe_emit_fill(self->copy, gone, 2, SVM_PMD_SIZE);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
	uffd = svm_watch_missing(self->mem, 2 * SVM_PMD_SIZE);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");

	/* The call waits for the first fault, and the second fault for the call */
	xe_emit_fill(self->copy, late, 1, self->page);
	xe_emit_fill(self->copy, wanted, 1, self->page);
	ASSERT_EQ(0, xe_submit(self->copy)) TH_LOG("%s", svm_why());
	ASSERT_EQ(svm_addr(late), svm_missing_page(uffd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, prefetch, &prefetcher));
	usleep(200000);
	ASSERT_EQ(0, svm_provide_zeroes(uffd, svm_addr(late), self->page));
	ASSERT_EQ(svm_addr(never), svm_missing_page(uffd));
	ASSERT_EQ(0, munmap(gone, SVM_PMD_SIZE));
	usleep(200000);

	self->removed = true;
	ASSERT_EQ(0, pthread_create(&removal, NULL, remove_gpu, &remover));
	EXPECT_TRUE(ends_in_time(&remover));
	ASSERT_EQ(0, svm_provide_zeroes(uffd, svm_addr(never), self->page));
	pthread_join(removal, NULL);
	EXPECT_EQ(0, remover.err);
	pthread_join(thread, NULL);
	EXPECT_EQ(-ENODEV, prefetcher.err);
	close(uffd);
	xe_close(&self->gpu);
	GPU_COMES_BACK();
	xe_close(&self->gpu);
}

/* Pages that a VM without page faults has mapped for good, with a queue and without one */
REMOVAL_TEST(userptrs)
{
	const size_t part = LEN / 4;
	char *mem = self->mem;
	struct xe_gpu idle, used;

	memset(mem, 1, LEN);
	ASSERT_EQ(0, xe_open_userptr(&idle, mem, 2 * part)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_open_userptr(&used, mem + part, 3 * part)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_use_userptr(&used)) TH_LOG("%s", svm_why());
	xe_close(&self->gpu);

	REMOVE_GPU();
	IS_FILLED(mem, 1, LEN);

	/* Before the VMs are closed, and after one is */
	ASSERT_EQ(0, munmap(mem, part));
	ASSERT_EQ(0, madvise(mem + part, part / 2, MADV_DONTNEED));
	xe_close(&idle);
	ASSERT_EQ(0, munmap(mem + part, part));
	ASSERT_EQ(0, mprotect(mem + 2 * part, part, PROT_READ));
	memset(mem + 3 * part, 2, part);
	xe_close(&used);
	IS_FILLED(mem + 2 * part, 1, part);
	IS_FILLED(mem + 3 * part, 2, part);

	GPU_COMES_BACK();
	xe_close(&self->gpu);
}

/* The memory is still in VRAM when nobody has the device open any more */
REMOVAL_TEST(closed_before)
{
	xe_emit_fill(self->copy, self->mem, 1, LEN);
	ASSERT_EQ(0, xe_run(self->copy)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, xe_prefetch(&self->gpu, self->mem, LEN, self->gpu.vram));
	ASSERT_TRUE(is_in_vram(self->mem, LEN));
	xe_close(&self->gpu);

	REMOVE_GPU();
	IS_FILLED(self->mem, 1, LEN);
	munmap(self->mem, LEN);
	GPU_COMES_BACK();
	xe_close(&self->gpu);
}

TEST_HARNESS_MAIN
