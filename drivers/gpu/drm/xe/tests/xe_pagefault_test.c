// SPDX-License-Identifier: MIT
/*
 * Tests of xe_pagefault.c: which faults are served at the same time, which wait for one
 * another, and that each one is answered once, or squashed.
 *
 * The workers of VMs are threads of the test, since stubs are not for workqueues. What
 * it takes to serve a fault is the test's, too.
 */

#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/wait.h>

#include <kunit/static_stub.h>

#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_gt_stats.h"
#include "xe_pagefault.h"
#include "xe_svm.h"
#include "xe_tile.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* Workers of a VM, and of all VMs of a test. */
#define NR_WORKERS	3
#define NR_THREADS	(2 * NR_WORKERS)

/* Services and answers that are remembered. */
#define NR_REMEMBERED	16

/* Addresses in windows of their own, and the second page in each. */
#define WINDOW(n)	(SVM_BASE + (n) * SZ_2M)
#define PAGE(w, n)	(WINDOW(w) + (n) * SZ_4K)

#define NO_FAULT	U64_MAX

/**
 * struct test_thread_worker - A thread in place of a worker
 *
 * @worker: The worker
 * @task: The thread; NULL if there is none
 */
struct test_thread_worker {
	struct xe_pagefault_worker *worker;
	struct task_struct *task;
};

/**
 * struct test_fault - A fault that was served or answered
 *
 * @addr: Its address
 * @access: The access
 * @asid: The address space
 * @exclusive: It was served with the lock of the VM held for writing
 * @err: What it was answered
 */
struct test_fault {
	u64 addr;
	u8 access;
	u32 asid;
	bool exclusive;
	int err;
};

/**
 * struct test_faults - What a test knows of its faults
 *
 * @test: The test
 * @other: Another VM than that of the fixture, or NULL
 * @threads: Those that serve
 * @nr_threads: How many there are
 * @lock: Protects what follows
 * @changed: Wakes who waits for a change of it
 * @services: The first services, in the order of their begin
 * @nr_services: How many there were
 * @answers: The first answers
 * @nr_answers: How many there were
 * @failures: Those that were errors
 * @held: Services of these addresses don't end
 * @narrow: A service is for no more than the page, and says so
 * @timed_out: Somebody has waited in vain
 * @serve: What a service does and returns; NULL to serve all of the window
 */
struct test_faults {
	struct kunit *test;
	struct xe_vm *other;
	struct test_thread_worker threads[NR_THREADS];
	unsigned int nr_threads;
	spinlock_t lock;	/* all of the following */
	wait_queue_head_t changed;
	struct test_fault services[NR_REMEMBERED];
	unsigned int nr_services;
	struct test_fault answers[NR_REMEMBERED];
	unsigned int nr_answers;
	unsigned int failures;
	u64 held[NR_THREADS];
	bool narrow;
	bool timed_out;
	int (*serve)(const struct xe_pagefault *pf, bool exclusive,
		     struct xe_pagefault_served *served);
};

/* Stubs get no context: there is one test at a time. */
static struct test_faults *faults;

static struct xe_pagefault_queue *test_queue(void)
{
	return &to_svm(faults->test)->xe->usm.pf_queue;
}

/* ------------------------------------------------------------------------
 * Service and answer
 */

static bool is_held(u64 addr)
{
	unsigned int i;

	guard(spinlock_irq)(&faults->lock);

	for (i = 0; i < NR_THREADS; i++)
		if (faults->held[i] == addr)
			return true;

	return false;
}

static void replace_held(u64 from, u64 to)
{
	unsigned int i;

	guard(spinlock_irq)(&faults->lock);

	for (i = 0; i < NR_THREADS; i++) {
		if (faults->held[i] == from) {
			faults->held[i] = to;
			return;
		}
	}
}

/* From now on a service of this address does not end. */
static void hold(u64 addr)
{
	replace_held(NO_FAULT, addr);
}

static void let_go(u64 addr)
{
	replace_held(addr, NO_FAULT);
	wake_up_all(&faults->changed);
}

static void note_service(struct xe_vm *vm, const struct xe_pagefault *pf, bool exclusive)
{
	guard(spinlock_irq)(&faults->lock);

	if (faults->nr_services < NR_REMEMBERED)
		faults->services[faults->nr_services] = (struct test_fault) {
			.addr = pf->consumer.page_addr,
			.access = pf->consumer.access_type,
			.asid = vm->usm.asid,
			.exclusive = exclusive,
		};
	faults->nr_services++;
}

static int serve_window(const struct xe_pagefault *pf, struct xe_pagefault_served *served)
{
	served->start = ALIGN_DOWN(pf->consumer.page_addr, SZ_2M);
	served->end = served->start + SZ_2M;
	served->access = pf->consumer.access_type;

	return 0;
}

static int test_service(struct xe_vm *vm, const struct xe_pagefault *pf, bool exclusive,
			struct xe_pagefault_served *served)
{
	if (exclusive)
		lockdep_assert_held_write(&vm->lock);
	else
		lockdep_assert_held_read(&vm->lock);

	if (faults->narrow)
		xe_pagefault_tell(served, pf->consumer.page_addr, pf->consumer.page_addr + SZ_4K);
	note_service(vm, pf, exclusive);
	wake_up_all(&faults->changed);
	if (!wait_event_timeout(faults->changed, !is_held(pf->consumer.page_addr),
				SVM_PATIENCE))
		faults->timed_out = true;

	return faults->serve ? faults->serve(pf, exclusive, served) :
			       serve_window(pf, served);
}

static void test_ack(struct xe_pagefault *pf, int err)
{
	scoped_guard(spinlock_irq, &faults->lock) {
		if (faults->nr_answers < NR_REMEMBERED)
			faults->answers[faults->nr_answers] = (struct test_fault) {
				.addr = pf->consumer.page_addr,
				.access = pf->consumer.access_type,
				.asid = pf->consumer.asid,
				.err = err,
			};
		faults->nr_answers++;
		faults->failures += !!err;
	}
	wake_up_all(&faults->changed);
}

static const struct xe_pagefault_ops test_ops = {
	.ack_fault = test_ack,
};

static unsigned int nr_services(void)
{
	return READ_ONCE(faults->nr_services);
}

static unsigned int nr_answers(void)
{
	return READ_ONCE(faults->nr_answers);
}

/* Returns the answer to a fault; 1 if there is none, or are several. */
static int answer_to(u64 addr, u8 access)
{
	int err = 1, found = 0;
	unsigned int i;

	guard(spinlock_irq)(&faults->lock);

	for (i = 0; i < min(faults->nr_answers, NR_REMEMBERED); i++) {
		if (faults->answers[i].addr != addr || faults->answers[i].access != access)
			continue;
		err = faults->answers[i].err;
		found++;
	}

	return found == 1 ? err : 1;
}

/* ------------------------------------------------------------------------
 * Faults and workers
 */

static int report_fault(u32 asid, struct xe_gt *gt, u64 addr, u8 access, u8 type_level)
{
	struct xe_pagefault pf = {
		.gt = gt,
		.consumer = {
			.page_addr = addr,
			.asid = asid,
			.access_type = access,
			.fault_type_level = type_level,
			.engine_class = XE_ENGINE_CLASS_RENDER,
		},
		.producer.ops = &test_ops,
	};

	return xe_pagefault_handler(to_svm(faults->test)->xe, &pf);
}

static void raise_on(u32 asid, struct xe_gt *gt, u64 addr, u8 access)
{
	KUNIT_ASSERT_EQ(faults->test, 0, report_fault(asid, gt, addr, access, 0));
	xsvm_run_work(&test_queue()->work);
}

static void raise_fault(u64 addr, u8 access)
{
	raise_on(SVM_ASID, to_svm(faults->test)->gt, addr, access);
}

/* Where the faults of the VM are. */
static size_t count_waiting(void)
{
	guard(spinlock_irq)(&test_queue()->lock);

	return list_count_nodes(&to_svm(faults->test)->vm->usm.pf.waiting);
}

static size_t count_free(void)
{
	guard(spinlock_irq)(&test_queue()->lock);

	return list_count_nodes(&test_queue()->free);
}

static size_t count_chained(void)
{
	struct xe_pagefault_entry *entry;
	size_t chained = 0;

	guard(spinlock_irq)(&test_queue()->lock);

	list_for_each_entry(entry, &to_svm(faults->test)->vm->usm.pf.serving, link)
		chained += list_count_nodes(&entry->chain);

	return chained;
}

#define expect_soon(test, condition)						\
do {										\
	unsigned long end__ = jiffies + SVM_PATIENCE;				\
	bool true__;								\
										\
	while (!(true__ = (condition)) && time_before(jiffies, end__))		\
		schedule_timeout_uninterruptible(1);				\
	KUNIT_ASSERT_TRUE_MSG(test, true__, #condition);			\
} while (0)

#define expect_all_free(test) \
	expect_soon(test, count_free() == test_queue()->size)

static u64 gt_stat(enum xe_gt_stats_id id)
{
	struct xe_gt *gt = to_svm(faults->test)->gt;
	unsigned int cpu;
	u64 sum = 0;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(gt->stats, cpu)->counters[id];

	return sum;
}

static void expect_stat(struct kunit *test, enum xe_gt_stats_id id, u64 n)
{
	if (IS_ENABLED(CONFIG_DEBUG_FS))
		KUNIT_EXPECT_EQ(test, gt_stat(id), n);
}

/* A worker runs in one thread at a time, as in a workqueue. */
static int worker_thread(void *data)
{
	struct test_thread_worker *thread = data;

	current->kunit_test = faults->test;	/* the stubs apply here, too */
	while (!kthread_should_stop())
		if (!xsvm_run_work(&thread->worker->work))
			schedule_timeout_interruptible(1);
	current->kunit_test = NULL;

	return 0;
}

/* Let the workers of a VM run. */
static void start_workers(struct xe_vm *vm)
{
	struct test_thread_worker *thread;
	unsigned int i;

	for (i = 0; i < vm->usm.pf.nr_workers; i++) {
		thread = &faults->threads[faults->nr_threads];
		thread->worker = &vm->usm.pf.workers[i];
		thread->task = kthread_run(worker_thread, thread, "xe_pagefault_test");
		KUNIT_ASSERT_FALSE(faults->test, IS_ERR(thread->task));
		faults->nr_threads++;
	}
}

static void start(struct kunit *test, unsigned int nr_workers)
{
	struct xe_vm *vm = to_svm(test)->vm;

	vm->usm.pf.nr_workers = nr_workers;
	start_workers(vm);
}

static bool run_any_worker(void)
{
	unsigned int i;

	for (i = 0; i < faults->nr_threads; i++)
		if (xsvm_run_work(&faults->threads[i].worker->work))
			return true;

	return false;
}

/* What is left of the faults is served before the VM goes. */
static void stop_workers(void)
{
	unsigned int i;

	scoped_guard(spinlock_irq, &faults->lock)
		for (i = 0; i < NR_THREADS; i++)
			faults->held[i] = NO_FAULT;
	faults->serve = NULL;
	wake_up_all(&faults->changed);

	for (i = 0; i < faults->nr_threads; i++)
		kthread_stop(faults->threads[i].task);
	xsvm_run_work(&test_queue()->work);
	while (run_any_worker())
		;
	faults->nr_threads = 0;
}

/* ------------------------------------------------------------------------
 * At the same time
 */

static bool both_are_inside(void)
{
	return nr_services() >= 2;
}

/* None returns before the other one is there. */
static int serve_together(const struct xe_pagefault *pf, bool exclusive,
			  struct xe_pagefault_served *served)
{
	if (!wait_event_timeout(faults->changed, both_are_inside(), SVM_PATIENCE))
		faults->timed_out = true;

	return serve_window(pf, served);
}

static void faults_of_a_vm_are_served_at_the_same_time(struct kunit *test)
{
	faults->serve = serve_together;
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_WRITE);
	raise_fault(WINDOW(1), GPU_WRITE);
	expect_soon(test, nr_answers() == 2);

	KUNIT_EXPECT_FALSE(test, faults->timed_out);
	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	KUNIT_EXPECT_EQ(test, faults->nr_services, 2);
	KUNIT_EXPECT_FALSE(test, faults->services[0].exclusive);
	KUNIT_EXPECT_FALSE(test, faults->services[1].exclusive);
	expect_all_free(test);
	expect_stat(test, XE_GT_STATS_ID_PARALLEL_PAGEFAULT_COUNT, 1);
	expect_stat(test, XE_GT_STATS_ID_PAGEFAULT_ACK_COUNT, 2);
}

/* There are no more of them than the VM has workers. */
static void workers_are_limited(struct kunit *test)
{
	hold(WINDOW(0));
	hold(WINDOW(1));
	start(test, 2);
	raise_fault(WINDOW(0), GPU_WRITE);
	raise_fault(WINDOW(1), GPU_WRITE);
	expect_soon(test, nr_services() == 2);
	raise_fault(WINDOW(2), GPU_WRITE);
	KUNIT_EXPECT_EQ(test, count_waiting(), 1);
	KUNIT_EXPECT_EQ(test, hweight_long(to_svm(test)->vm->usm.pf.busy), 2);

	let_go(WINDOW(1));
	expect_soon(test, nr_answers() == 2);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(2), GPU_WRITE), 0);
	let_go(WINDOW(0));
	expect_soon(test, nr_answers() == 3);
	expect_all_free(test);
}

/* If others have used up the device's helpers, a VM still has one worker. */
static void first_worker_is_never_refused(struct kunit *test)
{
	struct xe_pagefault_vm *pf_vm = &to_svm(test)->vm->usm.pf;

	test_queue()->helpers = WQ_MAX_ACTIVE;
	pf_vm->nr_workers = NR_WORKERS;
	raise_fault(WINDOW(0), GPU_WRITE);
	raise_fault(WINDOW(1), GPU_WRITE);
	KUNIT_EXPECT_EQ(test, hweight_long(pf_vm->busy), 1);
	start_workers(to_svm(test)->vm);
	expect_soon(test, nr_answers() == 2);
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, test_queue()->helpers, WQ_MAX_ACTIVE);
	test_queue()->helpers = 0;
}

static int serve_exclusively(const struct xe_pagefault *pf, bool exclusive,
			     struct xe_pagefault_served *served)
{
	return exclusive ? serve_window(pf, served) : -ESTALE;
}

static void lock_is_taken_for_writing(struct kunit *test)
{
	faults->serve = serve_exclusively;
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_WRITE);
	expect_soon(test, nr_answers() == 1);

	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	KUNIT_ASSERT_EQ(test, faults->nr_services, 2);
	KUNIT_EXPECT_FALSE(test, faults->services[0].exclusive);
	KUNIT_EXPECT_TRUE(test, faults->services[1].exclusive);
}

/* ------------------------------------------------------------------------
 * Chains
 */

/* However many come while one is served, that is all that is done for them. */
static void storm_costs_one_service(struct kunit *test)
{
	unsigned int i, n = test_queue()->size - 1;

	hold(WINDOW(0));
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_WRITE);
	expect_soon(test, nr_services() == 1);
	for (i = 0; i < n; i++)
		raise_fault(PAGE(0, i % 512), i % 2 ? GPU_WRITE : GPU_READ);
	expect_soon(test, count_chained() == n);
	KUNIT_EXPECT_EQ(test, nr_answers(), 0);
	KUNIT_EXPECT_EQ(test, report_fault(SVM_ASID, to_svm(test)->gt, WINDOW(0), GPU_READ, 0),
			-ENOSPC);

	let_go(WINDOW(0));
	expect_soon(test, nr_answers() == n + 1);
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, nr_answers(), n + 1);
	KUNIT_EXPECT_EQ(test, nr_services(), 1);
	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	expect_stat(test, XE_GT_STATS_ID_CHAIN_PAGEFAULT_COUNT, n);
	expect_stat(test, XE_GT_STATS_ID_PAGEFAULT_ACK_COUNT, n + 1);
	expect_stat(test, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT, 0);
}

/* Have a fault served that does not end, and others chained to it. */
static void serve_and_chain(struct kunit *test, u64 addr, u8 access, u64 addr2, u8 access2,
			    u64 addr3, u8 access3)
{
	hold(addr);
	raise_fault(addr, access);
	expect_soon(test, nr_services() == 1);
	raise_fault(addr2, access2);
	raise_fault(addr3, access3);
	expect_soon(test, count_chained() == 2);
}

/* What is mapped for reading does not do for a write. */
static void write_is_not_served_by_a_read(struct kunit *test)
{
	start(test, NR_WORKERS);
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 1), GPU_WRITE,
			PAGE(0, 2), GPU_READ);
	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 3);

	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	KUNIT_ASSERT_EQ(test, faults->nr_services, 2);
	KUNIT_EXPECT_EQ(test, faults->services[1].addr, PAGE(0, 1));
	KUNIT_EXPECT_EQ(test, faults->services[1].access, GPU_WRITE);
	expect_stat(test, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT, 1);
}

/* The page that can't be had is the first one of the window. */
static int serve_but_first_page(const struct xe_pagefault *pf, bool exclusive,
				struct xe_pagefault_served *served)
{
	return IS_ALIGNED(pf->consumer.page_addr, SZ_2M) ? -EFAULT : serve_window(pf, served);
}

static void bad_page_fails_nobody_else(struct kunit *test)
{
	faults->serve = serve_but_first_page;
	start(test, NR_WORKERS);
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 1), GPU_READ,
			PAGE(0, 0), GPU_WRITE);
	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 3);

	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 0), GPU_READ), -EFAULT);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 0), GPU_WRITE), -EFAULT);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 1), GPU_READ), 0);
	KUNIT_EXPECT_EQ(test, nr_services(), 2);
	expect_all_free(test);
}

static int serve_reads(const struct xe_pagefault *pf, bool exclusive,
		       struct xe_pagefault_served *served)
{
	return pf->consumer.access_type == GPU_READ ? serve_window(pf, served) : -EPERM;
}

/* A write that is not allowed says nothing of a read of the page. */
static void failed_write_fails_no_read(struct kunit *test)
{
	faults->serve = serve_reads;
	start(test, NR_WORKERS);
	serve_and_chain(test, PAGE(0, 0), GPU_WRITE, PAGE(0, 0), GPU_READ,
			PAGE(0, 0), GPU_ATOMIC);
	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 3);

	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 0), GPU_WRITE), -EPERM);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 0), GPU_ATOMIC), -EPERM);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 0), GPU_READ), 0);
	KUNIT_EXPECT_EQ(test, nr_services(), 2);
}

/* Who can't be served along with another one does not wait for it. */
static void chains_end_with_the_range(struct kunit *test)
{
	faults->narrow = true;
	hold(PAGE(0, 0));
	start(test, 2);
	raise_fault(PAGE(0, 0), GPU_READ);
	expect_soon(test, nr_services() == 1);
	raise_fault(PAGE(0, 1), GPU_READ);
	expect_soon(test, nr_answers() == 1);
	raise_fault(PAGE(0, 0), GPU_READ);
	expect_soon(test, count_chained() == 1);
	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 3 && nr_services() == 2);
}

static int serve_page(const struct xe_pagefault *pf, bool exclusive,
		      struct xe_pagefault_served *served)
{
	serve_window(pf, served);
	served->start = pf->consumer.page_addr;
	served->end = served->start + SZ_4K;

	return 0;
}

/* The range turned out to be smaller. The faults are served in their order, first of all. */
static void smaller_range_serves_those_in_it(struct kunit *test)
{
	faults->serve = serve_page;
	hold(WINDOW(1));
	start(test, 2);
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 1), GPU_READ,
			PAGE(0, 2), GPU_READ);
	raise_fault(PAGE(0, 0), GPU_READ);
	expect_soon(test, count_chained() == 3);
	raise_fault(WINDOW(1), GPU_READ);
	expect_soon(test, nr_services() == 2);
	raise_fault(WINDOW(2), GPU_READ);
	KUNIT_EXPECT_EQ(test, count_waiting(), 1);

	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 5);
	KUNIT_ASSERT_EQ(test, nr_services(), 5);
	KUNIT_EXPECT_EQ(test, faults->services[2].addr, PAGE(0, 1));
	KUNIT_EXPECT_EQ(test, faults->services[3].addr, PAGE(0, 2));
	KUNIT_EXPECT_EQ(test, faults->services[4].addr, WINDOW(2));

	let_go(WINDOW(1));
	expect_soon(test, nr_answers() == 6);
	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	expect_all_free(test);
}

/* It has waited for its neighbour once, and now does so for its own page alone. */
static void fault_is_chained_to_a_neighbour_once(struct kunit *test)
{
	faults->serve = serve_page;
	start(test, NR_WORKERS);
	hold(PAGE(0, 1));
	hold(PAGE(0, 2));
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 1), GPU_READ,
			PAGE(0, 2), GPU_READ);
	let_go(PAGE(0, 0));

	/* Both are served now, which takes the first one's not being the leader. */
	expect_soon(test, nr_services() == 3);
	raise_fault(PAGE(0, 2), GPU_READ);
	expect_soon(test, count_chained() == 1);
	let_go(PAGE(0, 1));
	let_go(PAGE(0, 2));
	expect_soon(test, nr_answers() == 4);
	expect_all_free(test);
}

/* ------------------------------------------------------------------------
 * Another attempt
 */

static int serve_the_second_time(const struct xe_pagefault *pf, bool exclusive,
				 struct xe_pagefault_served *served)
{
	return nr_services() == 1 ? -EAGAIN : serve_window(pf, served);
}

/* A fault that can't be served at the moment lets all others go first. */
static void fault_is_tried_again(struct kunit *test)
{
	faults->serve = serve_the_second_time;
	to_svm(test)->vm->usm.pf.nr_workers = 1;
	raise_fault(WINDOW(0), GPU_WRITE);
	raise_fault(WINDOW(1), GPU_WRITE);
	start_workers(to_svm(test)->vm);
	expect_soon(test, nr_answers() == 2);

	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	KUNIT_ASSERT_EQ(test, nr_services(), 3);
	KUNIT_EXPECT_EQ(test, faults->services[0].addr, WINDOW(0));
	KUNIT_EXPECT_EQ(test, faults->services[1].addr, WINDOW(1));
	KUNIT_EXPECT_EQ(test, faults->services[2].addr, WINDOW(0));
	expect_stat(test, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT, 1);
	expect_all_free(test);
}

/* So does what was chained to it. */
static void chain_is_tried_again(struct kunit *test)
{
	faults->serve = serve_the_second_time;
	start(test, NR_WORKERS);
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 0), GPU_READ,
			PAGE(0, 1), GPU_READ);
	let_go(PAGE(0, 0));
	expect_soon(test, nr_answers() == 3);
	KUNIT_EXPECT_EQ(test, faults->failures, 0);
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, nr_answers(), 3);
	expect_stat(test, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT, 3);
}

static int serve_never(const struct xe_pagefault *pf, bool exclusive,
		       struct xe_pagefault_served *served)
{
	return -EAGAIN;
}

/* Nobody waits for a prefetch, so nobody is kept waiting for another attempt. */
static void prefetch_is_tried_once(struct kunit *test)
{
	const u8 access = GPU_READ | XE_PAGEFAULT_ACCESS_PREFETCH;

	faults->serve = serve_never;
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), access);
	expect_soon(test, nr_answers() == 1);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(0), access), -EAGAIN);
	KUNIT_EXPECT_EQ(test, nr_services(), 1);
	expect_stat(test, XE_GT_STATS_ID_INVALID_PREFETCH_PAGEFAULT_COUNT, 1);
	expect_all_free(test);
}

/* A fault has nothing to do with a prefetch that fails, and the other way round. */
static void prefetch_is_served_alone(struct kunit *test)
{
	hold(WINDOW(0));
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_READ | XE_PAGEFAULT_ACCESS_PREFETCH);
	expect_soon(test, nr_services() == 1);
	raise_fault(PAGE(0, 1), GPU_READ);
	expect_soon(test, nr_answers() == 1);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 1), GPU_READ), 0);
	let_go(WINDOW(0));
	expect_soon(test, nr_answers() == 2);
	expect_stat(test, XE_GT_STATS_ID_CHAIN_PAGEFAULT_COUNT, 0);
}

/* ------------------------------------------------------------------------
 * The end of a GT, and of VMs
 */

/* Nobody is answered after a reset, wherever the fault was. What comes then is served. */
static void reset_squashes_all(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	hold(WINDOW(1));
	start(test, 2);
	serve_and_chain(test, PAGE(0, 0), GPU_READ, PAGE(0, 1), GPU_READ,
			PAGE(0, 2), GPU_WRITE);
	raise_fault(WINDOW(1), GPU_READ);
	expect_soon(test, nr_services() == 2);
	raise_fault(WINDOW(2), GPU_READ);
	KUNIT_EXPECT_EQ(test, count_waiting(), 1);
	KUNIT_ASSERT_EQ(test, report_fault(SVM_ASID, svm->gt, WINDOW(3), GPU_READ, 0), 0);

	/* Of six faults, two are being served. */
	KUNIT_EXPECT_EQ(test, count_free(), test_queue()->size - 6);
	xe_pagefault_reset(svm->xe, svm->gt);
	KUNIT_EXPECT_EQ(test, count_free(), test_queue()->size - 2);
	KUNIT_EXPECT_EQ(test, count_chained(), 0);
	xsvm_run_work(&test_queue()->work);

	let_go(PAGE(0, 0));
	let_go(WINDOW(1));
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, nr_answers(), 0);
	KUNIT_EXPECT_EQ(test, nr_services(), 2);

	raise_fault(WINDOW(0), GPU_READ);
	expect_soon(test, nr_answers() == 1);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(0), GPU_READ), 0);
}

/* What was bound is good for the other GT of the tile, which was not reset. */
static void reset_leaves_other_gts_alone(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_gt *other = gt_to_tile(svm->gt)->media_gt;

	KUNIT_ASSERT_NOT_NULL(test, other);
	hold(WINDOW(0));
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_READ);
	expect_soon(test, nr_services() == 1);
	raise_on(SVM_ASID, other, PAGE(0, 1), GPU_READ);
	expect_soon(test, count_chained() == 1);

	xe_pagefault_reset(svm->xe, svm->gt);
	KUNIT_EXPECT_EQ(test, count_chained(), 1);
	let_go(WINDOW(0));
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, nr_answers(), 1);
	KUNIT_EXPECT_EQ(test, answer_to(PAGE(0, 1), GPU_READ), 0);
	KUNIT_EXPECT_EQ(test, nr_services(), 1);
}

/* A fault that is squashed while it is served is not tried again. */
static void squashed_fault_is_not_tried_again(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);

	faults->serve = serve_never;
	hold(WINDOW(0));
	start(test, NR_WORKERS);
	raise_fault(WINDOW(0), GPU_READ);
	expect_soon(test, nr_services() == 1);
	xe_pagefault_reset(svm->xe, svm->gt);
	let_go(WINDOW(0));
	expect_all_free(test);
	KUNIT_EXPECT_EQ(test, nr_services(), 1);
	KUNIT_EXPECT_EQ(test, nr_answers(), 0);
}

static void (*destroy_other)(struct work_struct *work);
static DECLARE_COMPLETION(other_is_gone);

static void destroy_other_vm(struct work_struct *work)
{
	destroy_other(work);
	complete(&other_is_gone);
}

static struct xe_vm *create_other_vm(struct kunit *test)
{
	struct xe_device *xe = to_svm(test)->xe;
	struct xe_vm *vm;

	vm = xe_vm_create(xe, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	vm->usm.asid = SVM_OTHER_ASID;
	vm->usm.pf.nr_workers = NR_WORKERS;
	reinit_completion(&other_is_gone);
	destroy_other = vm->destroy_work.func;
	vm->destroy_work.func = destroy_other_vm;
	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store(&xe->usm.asid_to_vm, SVM_OTHER_ASID, vm,
						    GFP_KERNEL)));
	faults->other = vm;

	return vm;
}

static void close_other_vm(struct kunit *test)
{
	struct xe_vm *vm = faults->other;

	if (!vm)
		return;

	faults->other = NULL;
	xe_vm_close_and_put(vm);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&other_is_gone, SVM_PATIENCE));
}

/* All workers of a VM wait, and its workqueue runs none. Those of another one run. */
static void vms_have_workers_of_their_own(struct kunit *test)
{
	unsigned int i;

	create_other_vm(test);
	start(test, NR_WORKERS);
	for (i = 0; i < NR_WORKERS; i++) {
		hold(WINDOW(i));
		raise_fault(WINDOW(i), GPU_READ);
	}
	expect_soon(test, nr_services() == NR_WORKERS);
	raise_on(SVM_OTHER_ASID, to_svm(test)->gt, WINDOW(NR_WORKERS), GPU_READ);
	raise_on(SVM_OTHER_ASID, to_svm(test)->gt, PAGE(0, 1), GPU_READ);
	expect_soon(test, nr_answers() == 2);
	KUNIT_EXPECT_EQ(test, faults->answers[0].asid, SVM_OTHER_ASID);
	KUNIT_EXPECT_EQ(test, faults->answers[1].asid, SVM_OTHER_ASID);
	KUNIT_EXPECT_EQ(test, faults->failures, 2);
	KUNIT_EXPECT_EQ(test, count_chained(), 0);

	for (i = 0; i < NR_WORKERS; i++)
		let_go(WINDOW(i));
	expect_soon(test, nr_answers() == NR_WORKERS + 2);
	KUNIT_EXPECT_EQ(test, faults->failures, 2);
	expect_all_free(test);
}

/* Faults of a VM that is closed are answered, and nothing is done for them. */
static void closed_vm_is_answered(struct kunit *test)
{
	struct xe_vm *vm = to_svm(test)->vm;

	raise_fault(WINDOW(0), GPU_READ);
	raise_fault(WINDOW(1), GPU_WRITE);
	scoped_guard(rwsem_write, &vm->lock)
		vm->size = 0;
	start(test, NR_WORKERS);
	expect_soon(test, nr_answers() == 2);

	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(0), GPU_READ), -ENOENT);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(1), GPU_WRITE), -ENOENT);
	KUNIT_EXPECT_EQ(test, nr_services(), 0);
	expect_all_free(test);
}

/* No VM has these. */
static void fault_without_a_vm_is_answered(struct kunit *test)
{
	struct xe_gt *gt = to_svm(test)->gt;

	raise_on(SVM_OTHER_ASID, gt, WINDOW(0), GPU_READ);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(0), GPU_READ), -EINVAL);

	KUNIT_ASSERT_EQ(test, 0, report_fault(SVM_ASID, gt, WINDOW(1), GPU_READ,
					      XE_PAGEFAULT_TYPE_LEVEL_NACK));
	xsvm_run_work(&test_queue()->work);
	KUNIT_EXPECT_EQ(test, answer_to(WINDOW(1), GPU_READ), -EFAULT);
	KUNIT_EXPECT_EQ(test, nr_answers(), 2);
	expect_all_free(test);
}

static int pagefault_test_init(struct kunit *test)
{
	unsigned int i;
	int err;

	err = xe_svm_fixture_init(test);
	if (err)
		return err;

	faults = kunit_kzalloc(test, sizeof(*faults), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, faults);
	faults->test = test;
	spin_lock_init(&faults->lock);
	init_waitqueue_head(&faults->changed);
	for (i = 0; i < NR_THREADS; i++)
		faults->held[i] = NO_FAULT;
	kunit_activate_static_stub(test, xe_pagefault_service_locked, test_service);

	return 0;
}

static void pagefault_test_exit(struct kunit *test)
{
	if (faults) {
		stop_workers();
		close_other_vm(test);
		KUNIT_EXPECT_FALSE(test, faults->timed_out);
		faults = NULL;
	}
	xe_svm_fixture_exit(test);
}

static struct kunit_case xe_pagefault_cases[] = {
	KUNIT_CASE(faults_of_a_vm_are_served_at_the_same_time),
	KUNIT_CASE(workers_are_limited),
	KUNIT_CASE(first_worker_is_never_refused),
	KUNIT_CASE(lock_is_taken_for_writing),
	KUNIT_CASE(storm_costs_one_service),
	KUNIT_CASE(write_is_not_served_by_a_read),
	KUNIT_CASE(bad_page_fails_nobody_else),
	KUNIT_CASE(failed_write_fails_no_read),
	KUNIT_CASE(chains_end_with_the_range),
	KUNIT_CASE(smaller_range_serves_those_in_it),
	KUNIT_CASE(fault_is_chained_to_a_neighbour_once),
	KUNIT_CASE(fault_is_tried_again),
	KUNIT_CASE(chain_is_tried_again),
	KUNIT_CASE(prefetch_is_tried_once),
	KUNIT_CASE(prefetch_is_served_alone),
	KUNIT_CASE(reset_squashes_all),
	KUNIT_CASE(reset_leaves_other_gts_alone),
	KUNIT_CASE(squashed_fault_is_not_tried_again),
	KUNIT_CASE(vms_have_workers_of_their_own),
	KUNIT_CASE(closed_vm_is_answered),
	KUNIT_CASE(fault_without_a_vm_is_answered),
	{}
};

static struct kunit_suite xe_pagefault_suite = {
	.name = "xe_pagefault",
	.init = pagefault_test_init,
	.exit = pagefault_test_exit,
	.test_cases = xe_pagefault_cases,
};

kunit_test_suite(xe_pagefault_suite);
