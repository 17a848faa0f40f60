// SPDX-License-Identifier: GPL-2.0
/*
 * Several virtual SVM devices in one address space; and several threads, and several
 * address spaces, on one device.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "svm_device.h"

/*
 * Several devices in one address space
 */

FIXTURE(devices)
{
	struct svm svm;
};

FIXTURE_VARIANT(devices)
{
	unsigned int num;
};

FIXTURE_VARIANT_ADD(devices, two) { .num = 2 };
FIXTURE_VARIANT_ADD(devices, four) { .num = 4 };

FIXTURE_SETUP(devices)
{
	if (svm_count_devices() < variant->num) {
		self->svm.fd = -1;
		SKIP(return, "fewer than %u devices: modprobe vsvm devices=%u",
		     variant->num, variant->num);
	}
	ASSERT_EQ(0, svm_open(&self->svm, variant->num))
		TH_LOG("%s", svm_why());
}

FIXTURE_TEARDOWN(devices)
{
	check_stale(_metadata, &self->svm);
	svm_close(&self->svm);
}

SVM_TEST(devices, pass_data_on)
{
	size_t len = 128 * KB;
	char *mem = svm_map(2 * len, PROT_READ | PROT_WRITE);
	unsigned int n = variant->num;

	ASSERT_NE(NULL, mem);
	svm_pattern_fill(mem, len, 1);
	for (unsigned int i = 0; i < 4 * n; i++) {
		char *from = i % 2 ? mem + len : mem;
		char *to = i % 2 ? mem : mem + len;

		/* Each device adds to what the one before copied */
		RUN(&self->svm.queue[i % n], svm_copy(to, from, len));
		RUN(&self->svm.queue[(i + 1) % n], svm_add(to, len, 1));
		for (size_t w = 0; w < len / 8; w++) {
			ASSERT_EQ(svm_pattern_word(1, w) + i + 1,
				  ((uint64_t *)to)[w]);
		}
	}
	munmap(mem, 2 * len);
}

SVM_TEST(devices, one_walk_for_all)
{
	struct drm_vsvm_device_stats mark, stats;
	size_t len = 16 * svm_page_size();
	char *mem = svm_map_aligned(len, len);

	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	svm_pattern_fill(mem, len, 1);
	ASSERT_EQ(0, svm_stats(&self->svm, &mark));
	for (unsigned int i = 0; i < variant->num; i++) {
		SUMS_TO(pattern_sum(len, 1), &self->svm.queue[i], mem, len);
	}
	stats = counted(_metadata, &self->svm, &mark);
	EXPECT_EQ(1, stats.walks);
	munmap(mem, len);
}

SVM_TEST(devices, all_lose_what_is_unmapped)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);

	ASSERT_NE(NULL, mem);
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN(&self->svm.queue[i], svm_add(mem, len, 1));
	}
	IS_VALUE(mem, len, variant->num);
	ASSERT_EQ(0, mprotect(mem, len, PROT_READ));
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN_FAILS(-EPERM, mem, &self->svm.queue[i],
			  svm_add(mem, len, 1));
		SUMS_TO(variant->num * len / 8, &self->svm.queue[i], mem, len);
	}
	munmap(mem, len);
	for (unsigned int i = 0; i < variant->num; i++) {
		RUN_FAILS(-EFAULT, mem, &self->svm.queue[i],
			  svm_sum(mem, len));
	}
}

SVM_TEST(devices, atomics_of_all_and_cpu)
{
	enum { CPUS = 2 };
	size_t page = svm_page_size();
	unsigned int n = variant->num;
	struct adder adder = {
		.words = 16,
		.stride = page + 8,
		.rounds = svm_scaled(3000),
	};
	size_t len = (adder.words + 1) * adder.stride;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct drm_vsvm_op op;
	pthread_t cpu[CPUS];

	adder.mem = svm_map(len, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, adder.mem);
	op = svm_atomic_add(adder.mem, adder.words, adder.stride, 1);
	op.repeat = adder.rounds;
	for (unsigned int i = 0; i < n; i++) {
		ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
					&seqno[i]));
	}
	for (unsigned int i = 0; i < CPUS; i++) {
		ASSERT_EQ(0, pthread_create(&cpu[i], NULL, cpu_adds, &adder));
	}
	/* Meanwhile the pages come and go */
	for (unsigned int i = 0; i < svm_scaled(20); i++)
		mprotect(adder.mem, len, i % 2 ? PROT_READ | PROT_WRITE :
			 PROT_READ | PROT_WRITE | PROT_EXEC);
	for (unsigned int i = 0; i < CPUS; i++)
		pthread_join(cpu[i], NULL);
	for (unsigned int i = 0; i < n; i++) {
		ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i], NULL))
			TH_LOG("device %u: %s", i, svm_why());
	}
	for (unsigned int w = 0; w < adder.words; w++) {
		ASSERT_EQ((n + CPUS) * adder.rounds,
			  adder.mem[w * adder.stride / 8]);
	}
	munmap(adder.mem, len);
}

SVM_TEST(devices, compare_and_swap_has_one_winner)
{
	unsigned int n = variant->num, rounds = svm_scaled(100);
	uint64_t word = 0, seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_outcome out;

	for (unsigned int round = 1; round <= rounds; round++) {
		unsigned int winners = 0, winner = 0;

		for (unsigned int i = 0; i < n; i++) {
			struct drm_vsvm_op op = svm_cas(&word, 0, i + 1);

			ASSERT_EQ(0, svm_submit(&self->svm.queue[i], &op, 1,
						&seqno[i]));
		}
		for (unsigned int i = 0; i < n; i++) {
			ASSERT_EQ(0, svm_wait(&self->svm.queue[i], seqno[i],
					      &out));
			if (!out.result) {
				winners++;
				winner = i + 1;
			}
		}
		ASSERT_EQ(1, winners);
		ASSERT_EQ(winner, word);
		word = 0;
	}
}

SVM_TEST(devices, race_munmap_under_all)
{
	unsigned int n = variant->num;
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size(), len = RACE_LEN;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_rand rand = { .state = 3 };
	struct svm_outcome out;

	for (unsigned int i = 0; i < svm_scaled(30); i++) {
		size_t at = svm_rand_below(&rand, len / page) * page;
		uint64_t *mem = (uint64_t *)svm_map_aligned(len, len);
		char *hole = (char *)mem + at;
		struct drm_vsvm_op op;

		if (svm_past(deadline))
			break;
		ASSERT_NE(NULL, mem);
		op = svm_atomic_add(mem, len / page, page, 1);
		op.repeat = 1U << 30;
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(0, svm_submit(&self->svm.queue[d], &op, 1,
						&seqno[d]));
		}
		WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED) > n);
		ASSERT_EQ(0, munmap(hole, page));
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(-EFAULT, svm_wait(&self->svm.queue[d],
						    seqno[d], &out));
			ASSERT_EQ(svm_addr(hole), out.fault_addr);
		}
		/* In front of the hole each device was once more than behind */
		if (at && at + page < len) {
			ASSERT_EQ(mem[0], mem[(len - page) / 8] + n);
		}
		munmap(mem, len);
	}
}

SVM_TEST(devices, race_mprotect_under_all)
{
	unsigned int n = variant->num;
	uint64_t deadline = svm_deadline_ms(RACE_MS);
	size_t page = svm_page_size(), len = RACE_LEN;
	uint64_t seqno[DRM_VSVM_MAX_DEVICES];
	struct svm_outcome out;
	uint64_t copy[16];

	for (unsigned int i = 0; i < svm_scaled(30); i++) {
		uint64_t *mem = (uint64_t *)svm_map_aligned(len, len);
		struct drm_vsvm_op op;

		if (svm_past(deadline))
			break;
		ASSERT_NE(NULL, mem);
		op = svm_atomic_add(mem, len / page, page, 1);
		op.repeat = 1U << 30;
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(0, svm_submit(&self->svm.queue[d], &op, 1,
						&seqno[d]));
		}
		WAIT_FOR(__atomic_load_n(mem, __ATOMIC_RELAXED) > n);
		ASSERT_EQ(0, mprotect(mem, len, PROT_READ));
		for (unsigned int w = 0; w < 16; w++)
			copy[w] = mem[w * page / 8];
		for (unsigned int d = 0; d < n; d++) {
			ASSERT_EQ(-EPERM, svm_wait(&self->svm.queue[d],
						   seqno[d], &out));
		}
		for (unsigned int w = 0; w < 16; w++) {
			ASSERT_EQ(copy[w], mem[w * page / 8]);
		}
		munmap(mem, len);
	}
}

/*
 * Threads
 */

enum { THREADS = 8 };

/* Its own memory, on the heap and on its own stack */
static void *own_memory(void *arg)
{
	struct worker *w = arg;
	uint64_t stack[512];

	for (unsigned int i = 0; i < svm_scaled(8); i++) {
		size_t len = (w->index + 1) * 24 * KB;
		uint64_t value = w->index * 1000 + i;
		void *mem = malloc(len);

		if (svm_run(&w->queue, svm_fill(mem, len, value), NULL) ||
		    svm_run(&w->queue, svm_fill(stack, sizeof(stack), value),
			    NULL))
			w->error = "a fill failed";
		else if (svm_value_check(mem, len, value) >= 0 ||
			 svm_value_check(stack, sizeof(stack), value) >= 0)
			w->error = "wrong data";
		free(mem);
		if (w->error)
			break;
	}
	return NULL;
}

/* The same memory for all, at the same time: each adds to every word */
static void *same_memory(void *arg)
{
	struct worker *w = arg;
	struct drm_vsvm_op op = svm_atomic_add(w->mem, w->len / 8, 8, 1);

	if (svm_run(&w->queue, op, NULL))
		w->error = "an atomic addition failed";
	return NULL;
}

static void run_workers(struct __test_metadata *_metadata, struct svm *svm,
			void *(*fn)(void *), char *mem, size_t len)
{
	struct worker w[THREADS] = { 0 };

	for (unsigned int i = 0; i < THREADS; i++) {
		w[i].svm = svm;
		w[i].index = i;
		w[i].mem = mem;
		w[i].len = len;
		ASSERT_EQ(0, svm_queue_create(svm, 0, &w[i].queue));
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, fn, &w[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	for (unsigned int i = 0; i < THREADS; i++) {
		ASSERT_EQ(NULL, w[i].error)
			TH_LOG("thread %u: %s", i, w[i].error);
		ASSERT_EQ(0, svm_queue_destroy(&w[i].queue));
	}
}

SVM_TEST(device, threads_with_memory_of_their_own)
{
	run_workers(_metadata, &self->svm, own_memory, NULL, 0);
}

SVM_TEST(device, threads_on_the_same_memory)
{
	size_t len = 256 * KB;

	for (unsigned int i = 0; i < svm_scaled(5); i++) {
		char *mem = svm_map(len, PROT_READ | PROT_WRITE);

		ASSERT_NE(NULL, mem);
		run_workers(_metadata, &self->svm, same_memory, mem, len);
		IS_VALUE(mem, len, THREADS);
		munmap(mem, len);
	}
}

SVM_TEST(device, two_address_spaces)
{
	size_t len = 128 * KB;
	char *mem = svm_map(len, PROT_READ | PROT_WRITE);
	struct svm other;

	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, svm_open(&other, 1)) TH_LOG("%s", svm_why());
	for (unsigned int i = 0; i < 10; i++) {
		RUN(self->q, svm_add(mem, len, 1));
		RUN(&other.queue[0], svm_add(mem, len, 1));
	}
	IS_VALUE(mem, len, 20);

	/* One ends; the other has its mappings */
	check_stale(_metadata, &other);
	svm_close(&other);
	RUN(self->q, svm_add(mem, len, 1));
	IS_VALUE(mem, len, 21);
	munmap(mem, len);
	RUN_FAILS(-EFAULT, mem, self->q, svm_sum(mem, len));
}

SVM_TEST(device, two_address_spaces_on_one_file)
{
	uint64_t word = 0;
	struct svm other;

	ASSERT_EQ(0, svm_open_on(&other, self->svm.fd)) TH_LOG("%s", svm_why());
	ASSERT_NE(other.vm, self->svm.vm);
	RUN(&other.queue[0], svm_add(&word, 8, 1));
	RUN(self->q, svm_add(&word, 8, 1));
	check_stale(_metadata, &other);
	ASSERT_EQ(0, svm_vm_destroy(&other));
	EXPECT_EQ(-ENOENT, svm_vm_destroy(&other));
	EXPECT_EQ(-ENOENT, svm_run(&other.queue[0], svm_sum(&word, 8), NULL));
	RUN(self->q, svm_add(&word, 8, 1));
	ASSERT_EQ(3, word);
}

int main(int argc, char **argv)
{
	return svm_harness_main(argc, argv);
}
