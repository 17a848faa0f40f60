// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a process in the memory of several virtual SVM devices, which reach each
 * other's or don't, and atomics that a device does in its own memory only.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "svm_devmem.h"

/*
 * Several devices, which reach each other's memory or don't
 */

FIXTURE(peers)
{
	struct svm svm;
	size_t page;
	unsigned int num;
};

FIXTURE_VARIANT(peers)
{
	const char *settings[5];
	unsigned int num;
	bool linked;
};

#define PEERS(devices, interconnect) {					\
	.settings = {							\
		"devices=" #devices, "interconnect=" #interconnect,	\
		"mem_size=8M", "policy=first_touch",			\
	},								\
	.num = (devices),						\
	.linked = (interconnect),					\
}

FIXTURE_VARIANT_ADD(peers, two_linked) PEERS(2, 1);
FIXTURE_VARIANT_ADD(peers, four_apart) PEERS(4, 0);

FIXTURE_SETUP(peers)
{
	self->page = svm_page_size();
	self->num = variant->num;
	open_set(_metadata, &self->svm, variant->settings, self->num);
	WAIT_FOR(mem_used(_metadata, &self->svm) == 0);
}

FIXTURE_TEARDOWN(peers)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

SVM_TEST(peers, memory_of_another_device)
{
	struct drm_vsvm_device_stats stats;

	for (unsigned int huge = 0; huge < 2; huge++) {
		char *mem = map_pages(_metadata, LEN, huge);

		svm_pattern_fill(mem, LEN, 1);
		move(_metadata, &self->svm, mem, LEN, DEV(0));
		SUMS_TO(pattern_sum(LEN, 1), &self->svm.queue[1], mem, LEN);
		RUN(&self->svm.queue[1], svm_add(mem, LEN, 1));
		ALL_AT(variant->linked ? DEV(0) : DEV(1), &self->svm, mem, LEN);
		RUN(&self->svm.queue[0], svm_add(mem, LEN, 1));
		ALL_AT(DEV(0), &self->svm, mem, LEN);
		ASSERT_TRUE(is_pattern_plus(mem, LEN, 1, 2));
		munmap(mem, LEN);
	}
	ASSERT_EQ(0, svm_stats_of(&self->svm, 1, &stats));
	EXPECT_EQ(variant->linked, stats.peer_pages > 0);
	EXPECT_EQ(variant->linked, stats.migrated_pages == 0);
}

SVM_TEST(peers, from_device_to_device)
{
	for (unsigned int huge = 0; huge < 2; huge++) {
		char *mem = map_pages(_metadata, LEN, huge);

		svm_pattern_fill(mem, LEN, 2);
		for (unsigned int i = 0; i < 2 * self->num; i++) {
			unsigned int device = i % self->num;

			move(_metadata, &self->svm, mem, LEN, DEV(device));
			RUN(&self->svm.queue[device], svm_add(mem, LEN, 1));
		}
		ASSERT_TRUE(is_pattern_plus(mem, LEN, 2, 2 * self->num));
		munmap(mem, LEN);
	}
}

SVM_TEST(peers, data_is_passed_on)
{
	size_t len = 128 * KB;
	char *mem = map_pages(_metadata, 2 * len, false);

	svm_pattern_fill(mem, len, 3);
	for (unsigned int i = 0; i < 4 * self->num; i++) {
		char *from = i % 2 ? mem + len : mem;
		char *to = i % 2 ? mem : mem + len;

		/* Each device adds to what the one before copied */
		RUN(&self->svm.queue[i % self->num], svm_copy(to, from, len));
		RUN(&self->svm.queue[(i + 1) % self->num], svm_add(to, len, 1));
		ASSERT_TRUE(!(i % 3) || is_pattern_plus(to, len, 3, i + 1));
	}
	munmap(mem, 2 * len);
}

SVM_TEST(peers, parts_on_each)
{
	size_t page = self->page, pages = LEN / page;
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 4);
	for (size_t i = 0; i < pages; i += 32) {
		move(_metadata, &self->svm, mem + i * page, 16 * page,
		     DEV(i / 32 % self->num));
	}
	for (unsigned int i = 0; i < self->num; i++) {
		RUN(&self->svm.queue[i], svm_add(mem, LEN, 1));
	}
	/* All of it from wherever it is to one device */
	move(_metadata, &self->svm, mem, LEN, DEV(self->num - 1));
	ASSERT_TRUE(is_pattern_plus(mem, LEN, 4, self->num));
	munmap(mem, LEN);
}

struct puller {
	struct svm *svm;
	unsigned int device, rounds;
	char *mem;
	int err;
	pthread_t thread;
};

static void *pull(void *arg)
{
	struct puller *p = arg;

	for (unsigned int i = 0; i < p->rounds && !p->err; i++) {
		p->err = svm_prefetch(p->svm, p->mem, LEN, DEV(p->device),
				      NULL);
		if (!p->err)
			p->err = svm_run(&p->svm->queue[p->device],
					 svm_atomic_add(p->mem, 16,
							LEN / 16, 1), NULL);
	}
	return NULL;
}

SVM_TEST(peers, all_pull_the_same_pages)
{
	char *mem = map_pages(_metadata, LEN, false);
	unsigned int rounds = svm_scaled(5);
	struct puller p[DRM_VSVM_MAX_DEVICES];

	for (unsigned int i = 0; i < self->num; i++) {
		p[i] = (struct puller){
			.svm = &self->svm,
			.device = i,
			.rounds = rounds,
			.mem = mem,
		};
		ASSERT_EQ(0, pthread_create(&p[i].thread, NULL, pull, &p[i]));
	}
	for (unsigned int i = 0; i < rounds; i++)
		for (unsigned int w = 0; w < 16; w++)
			__atomic_fetch_add((uint64_t *)(mem + w * LEN / 16), 1,
					   __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < self->num; i++) {
		pthread_join(p[i].thread, NULL);
		EXPECT_EQ(0, p[i].err) TH_LOG("device %u", i);
	}
	for (unsigned int w = 0; w < 16; w++) {
		ASSERT_EQ((self->num + 1) * rounds,
			  *(uint64_t *)(mem + w * LEN / 16));
	}
	munmap(mem, LEN);
}

/* Atomics that each device can do in its own memory only */
SVM_TEST(peers, local_atomics_of_all_and_cpu)
{
	enum { WORDS = 4, MS = 2 };
	size_t stride = 16 * self->page;
	unsigned int rounds = svm_scaled(12);
	char *mem = map_pages(_metadata, LEN, false);
	struct drm_vsvm_op op = svm_atomic_add(mem, WORDS, stride, 1);
	struct drm_vsvm_device_stats stats;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];

	ASSERT_EQ(0, svm_advise(&self->svm, mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, MS))
		TH_LOG("%s", svm_why());
	op.repeat = rounds;
	for (unsigned int i = 0; i < self->num; i++) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	for (unsigned int i = 0; i < rounds; i++)
		for (unsigned int w = 0; w < WORDS; w++)
			__atomic_fetch_add((uint64_t *)(mem + w * stride), 1,
					   __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < self->num; i++) {
		ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i], NULL))
			TH_LOG("device %u: %s", i, svm_why());
	}
	ASSERT_EQ(0, svm_stats(&self->svm, &stats));
	EXPECT_LT(0, stats.atomic_faults);
	for (unsigned int w = 0; w < WORDS; w++) {
		ASSERT_EQ((self->num + 1) * rounds,
			  *(uint64_t *)(mem + w * stride));
	}
	munmap(mem, LEN);
}

SVM_TEST(peers, local_atomic_takes_it_away)
{
	char *mem = map_pages(_metadata, LEN, false);

	svm_pattern_fill(mem, LEN, 5);
	ASSERT_EQ(0, svm_advise(&self->svm, mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	move(_metadata, &self->svm, mem, LEN, DEV(0));
	RUN(&self->svm.queue[1], svm_atomic_add(mem, 1, 0, 1));
	ALL_AT(DEV(1), &self->svm, mem, self->page);
	RUN(&self->svm.queue[0], svm_atomic_add(mem, 1, 0, 1));
	ALL_AT(DEV(0), &self->svm, mem, self->page);
	ASSERT_EQ(svm_pattern_word(5, 0) + 2, *(uint64_t *)mem);
	munmap(mem, LEN);
}

SVM_TEST(peers, local_atomic_on_a_file)
{
	size_t len = 64 * KB;
	int fd = svm_tmpfile(len, 6);
	char *mem;

	ASSERT_LE(0, fd);
	mem = svm_map_file(fd, len, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, svm_advise(&self->svm, mem, len, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	RUN_FAILS(-EACCES, mem + 8, &self->svm.queue[0],
		  svm_atomic_add(mem + 8, 1, 0, 1));
	RUN_FAILS(-EACCES, mem + 8, &self->svm.queue[0],
		  svm_cas(mem + 8, 0, 1));

	/* What isn't atomic may go there as ever */
	RUN(&self->svm.queue[0], svm_add(mem, len, 1));
	ASSERT_TRUE(is_pattern_plus(mem, len, 6, 1));
	ASSERT_EQ(0, svm_advise(&self->svm, mem, len, NOWHERE, 0, 0));
	RUN(&self->svm.queue[0], svm_atomic_add(mem, 1, 0, 1));
	ASSERT_EQ(svm_pattern_word(6, 0) + 2, *(uint64_t *)mem);
	munmap(mem, len);
	close(fd);
}

/*
 * Devices that a test makes as it needs them, with one piece of memory
 */

FIXTURE(several)
{
	size_t page;
	char *mem;
};

FIXTURE_SETUP(several)
{
	self->page = svm_page_size();
	self->mem = map_pages(_metadata, LEN, false);
}

FIXTURE_TEARDOWN(several)
{
	svm_set_remove(OTHER_SET);
	munmap(self->mem, LEN);
}

/* Queues that miss the same word together don't take it from each other */
SVM_TEST(several, local_atomics_of_many_queues)
{
	enum { QUEUES = 16, REPEAT = 1 << 15 };
	static const char *const settings[] = {
		"mem_size=64M", "policy=advice", "tlb_inval_latency_us=1000", NULL
	};
	struct drm_vsvm_op op = svm_atomic_add(self->mem, 1, 0, 1);
	struct svm_queue queue[QUEUES];
	struct drm_vsvm_device_stats stats;
	uint64_t seqno[QUEUES];
	struct svm svm;

	op.repeat = REPEAT;
	open_set(_metadata, &svm, settings, 1);
	ASSERT_EQ(0, svm_advise(&svm, self->mem, LEN, NOWHERE,
				DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
	RUN(&svm.queue[0], svm_fill(self->mem, LEN, 0));
	for (unsigned int i = 0; i < QUEUES; i++) {
		ASSERT_EQ(0, svm_queue_create(&svm, 0, &queue[i]));
		ASSERT_EQ(0, svm_submit(&queue[i], &op, 1, &seqno[i]));
	}
	for (unsigned int i = 0; i < QUEUES; i++) {
		EXPECT_EQ(0, svm_wait(&queue[i], seqno[i], NULL))
			TH_LOG("queue %u: %s", i, svm_why());
	}
	ASSERT_EQ(0, svm_stats(&svm, &stats));
	EXPECT_GE(QUEUES, stats.upgrades);
	TH_LOG("%llu upgrades, %llu atomic faults, %llu spurious ones",
	       (unsigned long long)stats.upgrades,
	       (unsigned long long)stats.atomic_faults,
	       (unsigned long long)stats.spurious_faults);
	EXPECT_EQ(QUEUES * REPEAT, *(uint64_t *)self->mem);
	check_stale(_metadata, &svm);
	svm_close(&svm);
}

/* Two sets of devices: what one heeds is none of the other's business */
SVM_TEST(several, local_atomics_of_one_device_only)
{
	static const char *const system[] = { "mem_size=8M", "policy=system", NULL };
	static const char *const advice[] = { "mem_size=8M", "policy=advice", NULL };

	for (unsigned int first = 0; first < 2; first++) {
		struct svm_queue *a, *b;
		struct svm_outcome out;
		struct svm svm;
		int fds[2];

		forget_set();
		make_set(_metadata, TEST_SET, system);
		make_set(_metadata, OTHER_SET, advice);
		fds[first] = svm_set_open(TEST_SET, 0);
		fds[!first] = svm_set_open(OTHER_SET, 0);
		ASSERT_EQ(0, svm_open_fds(&svm, fds, 2)) TH_LOG("%s", svm_why());
		a = &svm.queue[first];
		b = &svm.queue[!first];

		ASSERT_EQ(0, svm_advise(&svm, self->mem, LEN, NOWHERE,
					DRM_VSVM_ADVISE_ATOMIC_LOCAL, 0));
		/* Mapped for both by the one, used by the other */
		RUN(b, svm_fill(self->mem, LEN, 1));
		EXPECT_EQ(0, svm_run(a, svm_atomic_add(self->mem, 1, 0, 1), &out))
			TH_LOG("%s", svm_why());
		EXPECT_GT(4, out.faults);
		/* And the other way round */
		RUN(b, svm_atomic_add(self->mem, 1, 0, 1));
		ALL_AT(DEV(!first), &svm, self->mem, self->page);
		EXPECT_EQ(0, svm_run(a, svm_atomic_add(self->mem, 1, 0, 1), &out))
			TH_LOG("%s", svm_why());
		EXPECT_GT(4, out.faults);
		EXPECT_EQ(4, *(uint64_t *)self->mem);
		check_stale(_metadata, &svm);
		svm_close(&svm);
		forget_set();
		svm_set_remove(OTHER_SET);
	}
}

TEST_HARNESS_MAIN
