// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the address space of a process under a running job of the virtual SVM
 * device: those that the process sees, those that it can't see, and the same on
 * devices of another configuration. Then what the device's checker finds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svm_device.h"

/*
 * Changes of the address space under a running job
 *
 * A race is one job, which writes over and over, and one change of the memory
 * that it writes to. Between rounds everything is mapped anew.
 */

#define RACE_OPS	2048

struct race {
	char *mem;
	struct drm_vsvm_op *ops;
	unsigned int num_ops;
	uint64_t seqno;
	uint64_t deadline;
	unsigned int rounds_left;
	struct svm_rand rand;
};

/* Ops that fill the memory with 1, then with 2, and so on */
static void race_init(struct __test_metadata *_metadata, struct race *race,
		      unsigned int rounds)
{
	race->num_ops = RACE_OPS;
	race->ops = calloc(RACE_OPS, sizeof(*race->ops));
	ASSERT_NE(NULL, race->ops);
	race->deadline = svm_deadline_ms(RACE_MS);
	race->rounds_left = svm_scaled(rounds);
	race->rand.state = 1;
}

static bool race_goes_on(struct race *race)
{
	return race->rounds_left-- && !svm_past(race->deadline);
}

static void race_start(struct __test_metadata *_metadata, struct race *race,
		       struct svm_queue *queue)
{
	race->mem = svm_map_aligned(RACE_LEN, RACE_LEN);
	ASSERT_NE(NULL, race->mem);
	for (unsigned int i = 0; i < race->num_ops; i++)
		race->ops[i] = svm_fill(race->mem, RACE_LEN, i + 1);
	ASSERT_EQ(0, svm_submit(queue, race->ops, race->num_ops, &race->seqno));

	/* The first write is there; then some time that differs */
	WAIT_FOR(__atomic_load_n((uint64_t *)race->mem, __ATOMIC_RELAXED));
	for (uint64_t spin = svm_rand_below(&race->rand, 20000); spin; spin--)
		__asm__ volatile("");
}

/*
 * A job that ended at @stop wrote one value up to there and the one before
 * behind; so says what can still be read at @mem, which was at @home then.
 */
static bool race_data_right(const char *mem, size_t len, uint64_t home,
			    uint64_t stop)
{
	const uint64_t *word = (const uint64_t *)mem;
	uint64_t last = 0, at;

	for (size_t i = 0; i < len / 8; i++) {
		at = home + i * 8;
		if (at < stop)
			last = last ? last : word[i];
		else
			last = last ? last : word[i] + 1;
		if (word[i] != (at < stop ? last : last - 1))
			return false;
	}
	return true;
}

SVM_TEST(device, race_munmap_whole)
{
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 60);
	while (race_goes_on(&race)) {
		char *victim = svm_map(RACE_LEN, PROT_READ | PROT_WRITE);

		ASSERT_NE(NULL, victim);
		race_start(_metadata, &race, self->q);
		ASSERT_EQ(0, munmap(race.mem, RACE_LEN));
		/* This is likely to get the pages that the device had */
		svm_pattern_fill(victim, RACE_LEN, 1);

		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		IS_PATTERN(victim, RACE_LEN, 1);
		munmap(victim, RACE_LEN);
	}
	free(race.ops);
}

static void race_munmap_part(struct __test_metadata *_metadata,
			     struct svm_queue *q, unsigned int rounds)
{
	size_t page = svm_page_size();
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, rounds);
	while (race_goes_on(&race)) {
		size_t first = svm_rand_below(&race.rand, RACE_LEN / page);
		size_t pages = svm_rand_below(&race.rand, 3) + 1;
		char *from, *end;

		if (first + pages > RACE_LEN / page)
			pages = RACE_LEN / page - first;
		race_start(_metadata, &race, q);
		from = race.mem + first * page;
		end = from + pages * page;
		ASSERT_EQ(0, munmap(from, pages * page));

		svm_wait(q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(from));
			ASSERT_LT(out.fault_addr, svm_addr(end));
		}
		ASSERT_TRUE(race_data_right(race.mem, from - race.mem,
					    svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		ASSERT_TRUE(race_data_right(end, race.mem + RACE_LEN - end,
					    svm_addr(end),
					    out.fault_addr ?: ~0ULL));
		munmap(race.mem, RACE_LEN);
	}
	free(race.ops);
}

SVM_TEST(device, race_munmap_part)
{
	race_munmap_part(_metadata, self->q, 60);
}

static void race_mprotect(struct __test_metadata *_metadata,
			  struct svm_queue *q, unsigned int rounds)
{
	char *copy = malloc(RACE_LEN);
	struct race race;
	struct svm_outcome out;

	ASSERT_NE(NULL, copy);
	race_init(_metadata, &race, rounds);
	while (race_goes_on(&race)) {
		race_start(_metadata, &race, q);
		ASSERT_EQ(0, mprotect(race.mem, RACE_LEN, PROT_READ));

		/* From here on nothing may change any more */
		memcpy(copy, race.mem, RACE_LEN);
		svm_wait(q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EPERM, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		ASSERT_EQ(0, memcmp(copy, race.mem, RACE_LEN));
		ASSERT_TRUE(race_data_right(race.mem, RACE_LEN,
					    svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		munmap(race.mem, RACE_LEN);
	}
	free(race.ops);
	free(copy);
}

SVM_TEST(device, race_mprotect)
{
	race_mprotect(_metadata, self->q, 60);
}

SVM_TEST(device, race_mremap)
{
	char *copy = malloc(RACE_LEN);
	struct race race;
	struct svm_outcome out;

	ASSERT_NE(NULL, copy);
	race_init(_metadata, &race, 60);
	while (race_goes_on(&race)) {
		char *room = svm_map_aligned(RACE_LEN, RACE_LEN);

		ASSERT_NE(NULL, room);
		race_start(_metadata, &race, self->q);
		ASSERT_EQ(room, mremap(race.mem, RACE_LEN, RACE_LEN,
				       MREMAP_MAYMOVE | MREMAP_FIXED, room));
		memcpy(copy, room, RACE_LEN);
		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(race.mem));
			ASSERT_LT(out.fault_addr,
				  svm_addr(race.mem + RACE_LEN));
		}
		ASSERT_EQ(0, memcmp(copy, room, RACE_LEN));
		ASSERT_TRUE(race_data_right(room, RACE_LEN, svm_addr(race.mem),
					    out.fault_addr ?: ~0ULL));
		munmap(room, RACE_LEN);
	}
	free(race.ops);
	free(copy);
}

SVM_TEST(device, race_fork)
{
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 20);
	race.num_ops = 256;
	while (race_goes_on(&race)) {
		struct gate done;
		pid_t pid;

		ASSERT_TRUE(gate_init(&done));
		race_start(_metadata, &race, self->q);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			char *copy = malloc(RACE_LEN);

			/* Our half of the memory must stand still */
			memcpy(copy, race.mem, RACE_LEN);
			gate_wait(&done);
			_exit(memcmp(copy, race.mem, RACE_LEN) != 0);
		}
		ASSERT_EQ(0, svm_wait(self->q, race.seqno, &out))
			TH_LOG("%s", svm_why());
		gate_open(&done);
		ASSERT_TRUE(child_ok(pid));
		IS_VALUE(race.mem, RACE_LEN, race.num_ops);
		munmap(race.mem, RACE_LEN);
		close(done.fd[0]);
		close(done.fd[1]);
	}
	free(race.ops);
}

SVM_TEST(device, race_dontneed)
{
	const uint64_t value = 0x5a5a5a5a5a5a5a5aULL;
	size_t page = self->page;
	struct race race;
	struct svm_outcome out;

	race_init(_metadata, &race, 30);
	while (race_goes_on(&race)) {
		char *mem = svm_map_aligned(RACE_LEN, RACE_LEN);
		unsigned int changes = 0;

		ASSERT_NE(NULL, mem);
		for (unsigned int i = 0; i < 128; i++)
			race.ops[i] = svm_fill(mem, RACE_LEN, value);
		ASSERT_EQ(0, svm_submit(self->q, race.ops, 128, &race.seqno));
		while (svm_poll(self->q, race.seqno, &out) == -ETIME &&
		       changes++ < 200) {
			size_t at = svm_rand_below(&race.rand, RACE_LEN / page);

			ASSERT_EQ(0, madvise(mem + at * page, page,
					     MADV_DONTNEED));
		}
		ASSERT_EQ(0, svm_wait(self->q, race.seqno, &out))
			TH_LOG("%s", svm_why());

		/* Zero or what the device wrote, nothing else */
		for (size_t i = 0; i < RACE_LEN / 8; i++) {
			uint64_t word = ((uint64_t *)mem)[i];

			ASSERT_TRUE(!word || word == value);
		}
		RUN(self->q, svm_fill(mem, RACE_LEN, value + 1));
		IS_VALUE(mem, RACE_LEN, value + 1);
		munmap(mem, RACE_LEN);
	}
	free(race.ops);
}

SVM_TEST(device, race_truncate)
{
	size_t page = self->page;
	struct race race;
	struct svm_outcome out;
	int fd = memfd_create("svm", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	race_init(_metadata, &race, 30);
	while (race_goes_on(&race)) {
		size_t keep = svm_rand_below(&race.rand, 15) + 1;
		char *mem;

		ASSERT_EQ(0, ftruncate(fd, 16 * page));
		mem = svm_map_file(fd, 16 * page, PROT_READ | PROT_WRITE,
				   MAP_SHARED);
		ASSERT_NE(NULL, mem);
		*(volatile uint64_t *)mem = 0;
		for (unsigned int i = 0; i < RACE_OPS; i++)
			race.ops[i] = svm_fill(mem, 16 * page, i + 1);
		ASSERT_EQ(0, svm_submit(self->q, race.ops, RACE_OPS,
					&race.seqno));
		WAIT_FOR(*(volatile uint64_t *)mem);
		ASSERT_EQ(0, ftruncate(fd, keep * page));
		svm_wait(self->q, race.seqno, &out);
		if (out.status) {
			ASSERT_EQ(-EFAULT, out.status);
			ASSERT_GE(out.fault_addr, svm_addr(mem + keep * page));
			ASSERT_LT(out.fault_addr, svm_addr(mem + 16 * page));
		}
		ASSERT_TRUE(race_data_right(mem, keep * page, svm_addr(mem),
					    out.fault_addr ?: ~0ULL));
		munmap(mem, 16 * page);
		ASSERT_EQ(0, ftruncate(fd, 0));
	}
	close(fd);
	free(race.ops);
}

/*
 * Changes that a process can't see: the job must not see them either
 */

enum disturbance {
	DISTURB_PAGEOUT,
	DISTURB_COLLAPSE,
	DISTURB_SPLIT,
	DISTURB_COMPACT,
	DISTURB_FORK,
	DISTURB_PROTECT,
};

FIXTURE(disturbed)
{
	struct svm svm;
	struct svm_rand rand;
	char *mem;
};

FIXTURE_VARIANT(disturbed)
{
	enum disturbance kind;
};

FIXTURE_VARIANT_ADD(disturbed, pageout) { .kind = DISTURB_PAGEOUT };
FIXTURE_VARIANT_ADD(disturbed, collapse) { .kind = DISTURB_COLLAPSE };
FIXTURE_VARIANT_ADD(disturbed, split) { .kind = DISTURB_SPLIT };
FIXTURE_VARIANT_ADD(disturbed, compact) { .kind = DISTURB_COMPACT };
FIXTURE_VARIANT_ADD(disturbed, fork) { .kind = DISTURB_FORK };
FIXTURE_VARIANT_ADD(disturbed, protect) { .kind = DISTURB_PROTECT };

FIXTURE_SETUP(disturbed)
{
	ASSERT_EQ(0, svm_open(&self->svm, 1)) TH_LOG("%s", svm_why());
	self->mem = svm_map_aligned(SVM_PMD_SIZE, SVM_PMD_SIZE);
	ASSERT_NE(NULL, self->mem);
	if (variant->kind == DISTURB_PAGEOUT && !svm_want_swap())
		SKIP(return, "no swap: add a swap device, or zram as root");
	if (variant->kind == DISTURB_COMPACT &&
	    !svm_write_file("/proc/sys/vm/compact_memory", "1"))
		SKIP(return, "no compaction, or not root");
	madvise(self->mem, SVM_PMD_SIZE, MADV_HUGEPAGE);
}

FIXTURE_TEARDOWN(disturbed)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

/* Take a few pages out of the middle of a huge page, so that it is split */
static void disturb_split(char *mem, struct svm_rand *rand)
{
	size_t page = svm_page_size();
	char *at = mem + svm_rand_below(rand, SVM_PMD_SIZE / page - 4) * page;

	madvise(mem, SVM_PMD_SIZE, MADV_COLLAPSE);
	mprotect(at, 4 * page, PROT_READ | PROT_WRITE | PROT_EXEC);
	mprotect(at, 4 * page, PROT_READ | PROT_WRITE);
}

static void disturb(enum disturbance kind, char *mem, struct svm_rand *rand)
{
	size_t page = svm_page_size();
	size_t at = svm_rand_below(rand, SVM_PMD_SIZE / page - 16) * page;
	pid_t pid;

	switch (kind) {
	case DISTURB_PAGEOUT:
		madvise(mem + at, 16 * page, MADV_PAGEOUT);
		break;
	case DISTURB_COLLAPSE:
		madvise(mem, SVM_PMD_SIZE, MADV_COLLAPSE);
		break;
	case DISTURB_SPLIT:
		disturb_split(mem, rand);
		break;
	case DISTURB_COMPACT:
		svm_write_file("/proc/sys/vm/compact_memory", "1");
		break;
	case DISTURB_FORK:
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		break;
	case DISTURB_PROTECT:
		mprotect(mem + at, 16 * page, PROT_READ | PROT_WRITE |
			 (svm_rand_below(rand, 2) ? PROT_EXEC : 0));
		break;
	}
}

/* Change the memory while the job runs, but not for ever */
static int disturb_until_done(struct svm_queue *q, uint64_t seqno,
			      enum disturbance kind, char *mem,
			      struct svm_rand *rand, uint64_t deadline)
{
	unsigned int changes = svm_scaled(50);
	struct svm_outcome out;

	while (svm_poll(q, seqno, &out) == -ETIME && changes-- &&
	       !svm_past(deadline))
		disturb(kind, mem, rand);
	return svm_wait(q, seqno, &out);
}

/* The part of the huge page that jobs work on, at both of its ends */
#define DISTURBED_LEN	(192 * KB)

SVM_TEST(disturbed, every_addition_counts)
{
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	char *mem = self->mem, *tail = mem + SVM_PMD_SIZE - DISTURBED_LEN;
	unsigned int rounds = svm_scaled(10), added = 0;
	struct drm_vsvm_op ops[20];
	uint64_t seqno;

	for (unsigned int i = 0; i < 20; i++)
		ops[i] = svm_add(i % 2 ? tail : mem, DISTURBED_LEN, 1);
	while (rounds-- && !svm_past(deadline)) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[0], ops, 20, &seqno));
		ASSERT_EQ(0, disturb_until_done(&self->svm.queue[0], seqno,
						variant->kind, mem,
						&self->rand, deadline))
			TH_LOG("%s", svm_why());
		added += 10;
		IS_VALUE(mem, DISTURBED_LEN, added);
		IS_VALUE(tail, DISTURBED_LEN, added);
	}
	IS_VALUE(mem + DISTURBED_LEN, SVM_PMD_SIZE - 2 * DISTURBED_LEN, 0);
}

SVM_TEST(disturbed, every_atomic_counts)
{
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size();
	struct adder adder = {
		.mem = (uint64_t *)self->mem,
		.words = SVM_PMD_SIZE / page / 8,
		.stride = 8 * page,
		.rounds = svm_scaled(1000),
	};
	struct drm_vsvm_op op = svm_atomic_add(adder.mem, adder.words,
					       adder.stride, 1);
	pthread_t thread;
	uint64_t seqno;

	op.repeat = adder.rounds;
	ASSERT_EQ(0, svm_submit(&self->svm.queue[0], &op, 1, &seqno));
	ASSERT_EQ(0, pthread_create(&thread, NULL, cpu_adds, &adder));
	ASSERT_EQ(0, disturb_until_done(&self->svm.queue[0], seqno,
					variant->kind, self->mem, &self->rand,
					deadline))
		TH_LOG("%s", svm_why());
	ASSERT_EQ(0, pthread_join(thread, NULL));
	for (unsigned int w = 0; w < adder.words; w++) {
		ASSERT_EQ(2 * adder.rounds, adder.mem[w * adder.stride / 8]);
	}
}

/*
 * Devices of another configuration, their removal, and their checker
 */

FIXTURE(configured)
{
	struct svm svm;
	struct svm_queue *q;
};

FIXTURE_VARIANT(configured)
{
	const char *settings[3];
};

FIXTURE_VARIANT_ADD(configured, pages) {
	.settings = { "chunk_sizes=4K" },
};
FIXTURE_VARIANT_ADD(configured, huge_or_pages) {
	.settings = { "chunk_sizes=2M,4K", "check_pages_threshold=4K" },
};
FIXTURE_VARIANT_ADD(configured, small_notifiers) {
	.settings = { "chunk_sizes=64K,4K", "notifier_size=64K" },
};
FIXTURE_VARIANT_ADD(configured, slow_invalidations) {
	.settings = { "tlb_inval_latency_us=3000", "fault_workers=1" },
};

#define TEST_SET	"drm_svm_test"

FIXTURE_SETUP(configured)
{
	self->svm.fd = -1;
	svm_set_remove(TEST_SET);
	if (svm_set_make(TEST_SET, variant->settings))
		SKIP(return, "%s", svm_why());
	ASSERT_EQ(0, svm_open_on(&self->svm, svm_set_open(TEST_SET, 0)))
		TH_LOG("%s", svm_why());
	self->q = &self->svm.queue[0];
}

FIXTURE_TEARDOWN(configured)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
	svm_set_remove(TEST_SET);
}

SVM_TEST(configured, memory)
{
	size_t len = 2 * SVM_PMD_SIZE + 100 * KB;
	void *mem = malloc(len);

	ASSERT_NE(NULL, mem);
	use_memory(_metadata, self->q, mem, len);
	free(mem);
}

SVM_TEST(configured, copy_on_write)
{
	fork_both_ways(_metadata, self->q, true);
}

SVM_TEST(configured, race_munmap)
{
	race_munmap_part(_metadata, self->q, 20);
}

SVM_TEST(configured, race_mprotect)
{
	race_mprotect(_metadata, self->q, 20);
}

SVM_TEST(configured, removed_in_mid_job)
{
	struct drm_vsvm_device_stats stats;
	volatile uint64_t word = 0;
	struct drm_vsvm_op op = ENDLESS(&word);
	uint64_t seqno, seen, other = 0;
	struct svm_queue queue;
	struct svm svm;

	ASSERT_EQ(0, svm_open(&svm, 1)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, svm_submit(self->q, &op, 1, &seqno));
	WAIT_FOR(word);
	check_stale(_metadata, &self->svm);
	svm_set_remove(TEST_SET);
	seen = word;

	EXPECT_EQ(-ENODEV, svm_wait(self->q, seqno, NULL));
	EXPECT_EQ(-ENODEV, svm_submit(self->q, &op, 1, &seqno));
	EXPECT_EQ(-ENODEV, svm_queue_create(&self->svm, 0, &queue));
	EXPECT_EQ(-ENODEV, svm_stats(&self->svm, &stats));

	/* Another device lives on, and nobody writes to the word */
	RUN(&svm.queue[0], svm_atomic_add(&other, 10000, 0, 1));
	ASSERT_EQ(seen, word);
	check_stale(_metadata, &svm);
	svm_close(&svm);
	svm_close(&self->svm);
}

/*
 * That no test sees stale accesses means something only if they would be seen:
 * take the TLB invalidation out of the device and look.
 */
SVM_TEST(device, checker_finds_stale_accesses)
{
	struct drm_vsvm_device_stats stats;
	size_t len = 16 * self->page;
	uint64_t *mem = svm_map(len, PROT_READ | PROT_WRITE);
	char *victim = svm_map(len, PROT_READ | PROT_WRITE);
	struct drm_vsvm_op op = ENDLESS(mem);
	char path[128];
	uint64_t seqno;
	struct svm svm;
	int status;

	ASSERT_TRUE(mem && victim);
	ASSERT_EQ(0, svm_open(&svm, 1)) TH_LOG("%s", svm_why());
	svm_debugfs_path(svm.fd, "drop_tlb_inval", path, sizeof(path));
	if (access(path, W_OK))
		SKIP(return, "no %s, or not root", path);

	ASSERT_EQ(0, svm_submit(&svm.queue[0], &op, 1, &seqno));
	WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED));
	ASSERT_TRUE(svm_write_file(path, "Y"));
	munmap(mem, len);
	svm_pattern_fill(victim, len, 1);
	status = svm_wait(&svm.queue[0], seqno, NULL);
	ASSERT_TRUE(svm_write_file(path, "N"));

	/* Seen, counted and refused */
	EXPECT_EQ(-EIO, status);
	ASSERT_EQ(0, svm_stats(&svm, &stats));
	EXPECT_GE(stats.stale_accesses, 1);
	IS_PATTERN(victim, len, 1);
	svm_close(&svm);
	munmap(victim, len);
}

int main(int argc, char **argv)
{
	return svm_harness_main(argc, argv);
}
