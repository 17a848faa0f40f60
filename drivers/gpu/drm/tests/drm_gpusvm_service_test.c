// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: services of page faults that wait for somebody who doesn't answer.
 */

#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include <drm/drm_gpusvm_service.h>

#include "drm_gpusvm_fixture.h"

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

/*
 * A file that answers late, or not at all: a fault waits like one that a
 * userfaultfd is told of.
 *
 * @silent: The first page that it keeps for itself until it answers
 * @asked: How many faults have waited
 * @failed: What a fault is told that was killed while it waited, if not to come again
 * @in_vain: A fault does not wait. It succeeds, and there is no page
 */
struct silence {
	struct svm_file file;
	struct page *page;
	pgoff_t silent;
	wait_queue_head_t wq;
	bool answered;
	atomic_t asked;
	vm_fault_t failed;
	bool in_vain;
};

static vm_fault_t give_page(struct silence *silence, struct vm_fault *vmf)
{
	vmf->page = silence->page;
	get_page(vmf->page);

	return 0;
}

static vm_fault_t silent_fault(struct svm_file *file, struct vm_fault *vmf)
{
	struct silence *silence = file->arg;

	if (vmf->pgoff < silence->silent || READ_ONCE(silence->answered))
		return give_page(silence, vmf);

	if (silence->in_vain) {
		atomic_inc(&silence->asked);
		return VM_FAULT_NOPAGE;
	}

	if (silence->failed) {
		atomic_inc(&silence->asked);
		return wait_event_killable(silence->wq, READ_ONCE(silence->answered)) ?
		       silence->failed : give_page(silence, vmf);
	}

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    !(vmf->flags & FAULT_FLAG_KILLABLE))
		return VM_FAULT_SIGBUS;

	release_fault_lock(vmf);
	atomic_inc(&silence->asked);
	wait_event_killable(silence->wq, READ_ONCE(silence->answered));
	return VM_FAULT_RETRY;
}

static void answer(struct silence *silence)
{
	WRITE_ONCE(silence->answered, true);
	wake_up_all(&silence->wq);
}

static void silence_free(void *arg)
{
	struct silence *silence = arg;

	__free_page(silence->page);
}

static struct silence *map_silence(struct kunit *test, unsigned long len,
				   pgoff_t silent)
{
	struct silence *silence = kunit_kzalloc(test, sizeof(*silence), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, silence);
	silence->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, silence->page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, silence_free, silence));
	init_waitqueue_head(&silence->wq);
	silence->silent = silent;
	silence->file.fault = silent_fault;
	silence->file.arg = silence;
	svm_map_special(test, &silence->file, SVM_BASE, len);

	return silence;
}

/*
 * A task that serves a fault. It may be told to stop at a gate on the way.
 *
 * @range: What it gets, or NULL to pass the gate @in instead
 * @in: A gate within the brackets
 * @after: A gate behind them
 * @err: What the service came to
 * @began: What its beginning returned
 * @clean: No signal was pending or allowed behind the brackets
 */
struct job {
	struct drm_gpusvm_services *services;
	struct svm_range *range;
	const struct drm_gpusvm_ctx *ctx;
	struct svm_gate *in;
	struct svm_gate *after;
	int err;
	int began;
	bool clean;
};

static bool is_clean(void)
{
	const struct sighand_struct *sighand = rcu_dereference_protected(current->sighand, true);

	return !signal_pending(current) && !fatal_signal_pending(current) &&
	       sighand->action[SIGKILL - 1].sa.sa_handler == SIG_IGN;
}

static long do_job(struct svm_task *task)
{
	struct job *job = task->arg;
	struct drm_gpusvm_service service;

	job->began = drm_gpusvm_service_begin(job->services, &service);
	if (!job->began) {
		if (job->in)
			svm_gate_pass(job->in);
		if (job->range)
			job->err = svm_get(job->range, 1, job->ctx);
		drm_gpusvm_service_end(job->services, &service);
	}
	if (job->after)
		svm_gate_pass(job->after);
	job->clean = is_clean();

	return 0;
}

/* A service that nobody answers, once it waits. */
static struct svm_task *start_waiting(struct kunit *test, struct silence *silence,
				      struct job *job)
{
	int asked = atomic_read(&silence->asked);
	struct svm_task *task = svm_run(test, do_job, 0, job);

	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&silence->asked) > asked));

	return task;
}

struct waiting_case {
	const char *name;
	const struct drm_gpusvm_ctx *ctx;
	unsigned long len;
	unsigned long silent;
};

static const struct waiting_case waiting_cases[] = {
	{ "write, a page", &write_ctx, PAGE_SIZE, 0 },
	{ "read, a page", &read_ctx, PAGE_SIZE, 0 },
	{ "write, all of a chunk", &write_ctx, SZ_2M, 0 },
	{ "write, the end of a chunk", &write_ctx, SZ_2M, SZ_1M >> PAGE_SHIFT },
	{ "read, the end of a chunk", &read_ctx, SZ_2M, SZ_1M >> PAGE_SHIFT },
};

KUNIT_ARRAY_PARAM_DESC(waiting, waiting_cases, name);

static void a_waiting_service_is_cancelled(struct kunit *test)
{
	const struct waiting_case *c = test->param_value;
	struct silence *silence = map_silence(test, c->len, c->silent);
	struct svm_range *range = svm_fault(test, SVM_BASE, c->ctx);
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = c->ctx };
	struct svm_task *task;

	drm_gpusvm_services_init(&services, NULL);
	task = start_waiting(test, silence, &job);
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&services));

	drm_gpusvm_services_cancel(&services);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	KUNIT_EXPECT_TRUE(test, job.clean);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_services_cancelled(&services));
	KUNIT_EXPECT_TRUE(test, list_empty(&services.running));

	/* The range is as good as before. */
	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, c->ctx), 0);
	svm_remove(test, range);
	drm_gpusvm_services_fini(&services);
}

/* Whoever did so has what it needs: the next attempt waits again. */
static void a_waiting_service_is_interrupted(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = &write_ctx };
	struct svm_task *task;

	drm_gpusvm_services_init(&services, NULL);
	task = start_waiting(test, silence, &job);
	drm_gpusvm_services_interrupt(&services);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	KUNIT_EXPECT_TRUE(test, job.clean);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&services));
	drm_gpusvm_services_resume(&services);

	task = start_waiting(test, silence, &job);
	KUNIT_EXPECT_FALSE(test, svm_done(task));
	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.began, 0);
	KUNIT_EXPECT_EQ(test, job.err, 0);
	KUNIT_EXPECT_TRUE(test, job.clean);
	svm_remove(test, range);
	drm_gpusvm_services_fini(&services);
}

/* Some file systems say that the memory is broken when a wait for it was killed. */
static void an_interruption_is_no_error_of_the_memory(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = &write_ctx };
	struct svm_task *task;

	silence->failed = VM_FAULT_SIGBUS;
	drm_gpusvm_services_init(&services, NULL);
	task = start_waiting(test, silence, &job);
	drm_gpusvm_services_interrupt(&services);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	drm_gpusvm_services_resume(&services);

	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_remove(test, range);
	drm_gpusvm_services_fini(&services);
}

/* Faults succeed and there is no page, as where memory may be dropped and there is none. */
static void faults_in_vain_end(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = &write_ctx };
	struct svm_task *task;

	silence->in_vain = true;
	drm_gpusvm_services_init(&services, NULL);
	task = start_waiting(test, silence, &job);
	drm_gpusvm_services_cancel(&services);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EBUSY);
	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_remove(test, range);
	drm_gpusvm_services_fini(&services);
}

/* Nobody has asked for the neighbours, so nobody waits for them. */
static void silent_neighbours_hold_up_no_fault(struct kunit *test)
{
	static const struct drm_gpusvm_ctx ctx = { .partial = true, .fault_addr = SVM_BASE };
	struct silence *silence = map_silence(test, SZ_64K, 1);
	struct svm_range *range = svm_fault(test, SVM_BASE, &ctx);
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = &ctx };
	struct svm_task *task;

	drm_gpusvm_services_init(&services, NULL);
	task = svm_run(test, do_job, 0, &job);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(svm_done(task)));
	KUNIT_EXPECT_EQ(test, atomic_read(&silence->asked), 0);

	drm_gpusvm_services_cancel(&services);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, 0);
	answer(silence);
	svm_remove(test, range);
	drm_gpusvm_services_fini(&services);
}

static void others_go_on_waiting(struct kunit *test)
{
	struct silence *silence = map_silence(test, SZ_4M, 0);
	struct drm_gpusvm_services services[2];
	struct svm_task *task[2];
	struct job job[2];
	int i;

	for (i = 0; i < 2; i++) {
		drm_gpusvm_services_init(&services[i], NULL);
		job[i] = (struct job) {
			.services = &services[i],
			.range = svm_fault(test, SVM_BASE + i * SZ_2M, &write_ctx),
			.ctx = &write_ctx,
		};
		task[i] = start_waiting(test, silence, &job[i]);
	}

	drm_gpusvm_services_cancel(&services[0]);
	KUNIT_EXPECT_EQ(test, svm_join(task[0]), 0);
	KUNIT_EXPECT_EQ(test, job[0].err, -EINTR);
	KUNIT_EXPECT_FALSE(test, svm_done(task[1]));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&services[1]));

	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_join(task[1]), 0);
	KUNIT_EXPECT_EQ(test, job[1].err, 0);
	KUNIT_EXPECT_TRUE(test, job[1].clean);
	for (i = 0; i < 2; i++)
		svm_remove(test, job[i].range);
}

/* All of those that are under way, and twice. */
static void many_are_cancelled_at_once(struct kunit *test)
{
	struct silence *silence = map_silence(test, SZ_8M, 0);
	struct drm_gpusvm_services services;
	struct svm_task *task[4];
	struct job job[4];
	int i;

	drm_gpusvm_services_init(&services, NULL);
	for (i = 0; i < 4; i++) {
		job[i] = (struct job) {
			.services = &services,
			.range = svm_fault(test, SVM_BASE + i * SZ_2M, &write_ctx),
			.ctx = &write_ctx,
		};
		task[i] = start_waiting(test, silence, &job[i]);
	}

	drm_gpusvm_services_cancel(&services);
	drm_gpusvm_services_cancel(&services);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, svm_join(task[i]), 0);
		KUNIT_EXPECT_EQ(test, job[i].err, -EINTR);
		KUNIT_EXPECT_TRUE(test, job[i].clean);
		svm_remove(test, job[i].range);
	}
	answer(silence);
}

static void none_begins_once_cancelled(struct kunit *test)
{
	struct drm_gpusvm_services services;
	struct job job = { .services = &services };

	drm_gpusvm_services_init(&services, NULL);
	drm_gpusvm_services_cancel(&services);
	KUNIT_EXPECT_EQ(test, svm_join(svm_run(test, do_job, 0, &job)), 0);
	KUNIT_EXPECT_EQ(test, job.began, -EINTR);
	KUNIT_EXPECT_TRUE(test, job.clean);
	KUNIT_EXPECT_TRUE(test, list_empty(&services.running));
}

/* It would have what others wait for before they do. */
static void none_begins_while_interrupted(struct kunit *test)
{
	struct drm_gpusvm_services services;
	struct job job = { .services = &services };
	int i;

	drm_gpusvm_services_init(&services, NULL);
	for (i = 0; i < 2; i++)
		drm_gpusvm_services_interrupt(&services);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, svm_join(svm_run(test, do_job, 0, &job)), 0);
		KUNIT_EXPECT_EQ(test, job.began, -EINTR);
		KUNIT_EXPECT_TRUE(test, job.clean);
		drm_gpusvm_services_resume(&services);
	}
	KUNIT_EXPECT_EQ(test, svm_join(svm_run(test, do_job, 0, &job)), 0);
	KUNIT_EXPECT_EQ(test, job.began, 0);
	KUNIT_EXPECT_TRUE(test, job.clean);
	drm_gpusvm_services_fini(&services);
}

/* While the task runs: it doesn't begin to wait, nor does it map what is there. */
static void a_running_service_is_cancelled(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct drm_gpusvm_services services;
	struct svm_gate gate;
	struct job job = {
		.services = &services, .range = range, .ctx = &write_ctx, .in = &gate,
	};
	struct svm_task *task;

	answer(silence);
	svm_gate_init(&gate);
	drm_gpusvm_services_init(&services, NULL);
	task = svm_run(test, do_job, 0, &job);
	wait_for_completion(&gate.entered);
	drm_gpusvm_services_cancel(&services);
	complete(&gate.open);

	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	KUNIT_EXPECT_TRUE(test, job.clean);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_mapped(&range->pages[0]));
	svm_remove(test, range);
}

static void nothing_is_sent_behind_the_end(struct kunit *test)
{
	struct drm_gpusvm_services services;
	struct svm_gate gate;
	struct job job = { .services = &services, .after = &gate };
	struct svm_task *task;

	svm_gate_init(&gate);
	drm_gpusvm_services_init(&services, NULL);
	task = svm_run(test, do_job, 0, &job);
	wait_for_completion(&gate.entered);
	drm_gpusvm_services_cancel(&services);
	complete(&gate.open);

	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.began, 0);
	KUNIT_EXPECT_TRUE(test, job.clean);
}

/* The next service of a worker whose last one was cancelled. */
static long do_two_jobs(struct svm_task *task)
{
	struct svm_task next = { .arg = (struct job *)task->arg + 1 };

	do_job(task);

	return do_job(&next);
}

static void a_worker_serves_the_next(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct drm_gpusvm_services services[2];
	struct svm_gate gate;
	struct job jobs[2] = {
		{ .services = &services[0], .in = &gate },
		{ .services = &services[1], .range = range, .ctx = &write_ctx },
	};
	struct svm_task *task;

	answer(silence);
	svm_gate_init(&gate);
	drm_gpusvm_services_init(&services[0], NULL);
	drm_gpusvm_services_init(&services[1], NULL);
	task = svm_run(test, do_two_jobs, 0, jobs);
	wait_for_completion(&gate.entered);
	drm_gpusvm_services_cancel(&services[0]);
	complete(&gate.open);

	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_TRUE(test, jobs[0].clean);
	KUNIT_EXPECT_EQ(test, jobs[1].began, 0);
	KUNIT_EXPECT_EQ(test, jobs[1].err, 0);
	svm_remove(test, range);
}

/* Cancelling races with beginning and ending: no signal is lost or left behind. */
static long do_many_jobs(struct svm_task *task)
{
	struct job *job = task->arg;
	bool clean = true;

	do {
		do_job(task);
		clean &= job->clean;
	} while (!job->began && clean);
	job->clean = clean;

	return 0;
}

static void cancelling_races_with_the_end(struct kunit *test)
{
	struct drm_gpusvm_services services;
	int i;

	for (i = 0; i < 200; i++) {
		struct job job = { .services = &services };
		struct svm_task *task;

		drm_gpusvm_services_init(&services, NULL);
		task = svm_run(test, do_many_jobs, 0, &job);
		if (i % 2)
			schedule_timeout_uninterruptible(1);
		drm_gpusvm_services_cancel(&services);
		KUNIT_ASSERT_EQ(test, svm_join(task), 0);
		KUNIT_ASSERT_TRUE(test, job.clean);
		drm_gpusvm_services_fini(&services);
	}
}

/* What a service asks of address space that somebody else changes for a long time. */
static long look_for_range(struct drm_gpusvm *gpusvm)
{
	struct drm_gpusvm_range *range;

	range = drm_gpusvm_range_get_or_insert(gpusvm, SVM_BASE, SVM_BASE, SVM_END,
					       &write_ctx);
	if (!IS_ERR(range))
		drm_gpusvm_range_put(range);

	return PTR_ERR_OR_ZERO(range);
}

static long look_for_vma(struct drm_gpusvm *gpusvm)
{
	return drm_gpusvm_find_vma_start(gpusvm, SVM_BASE, SVM_END);
}

struct lookup_case {
	const char *name;
	long (*look)(struct drm_gpusvm *gpusvm);
	long interrupted;
};

static const struct lookup_case lookup_cases[] = {
	{ "range", look_for_range, -EINTR },
	{ "VMA", look_for_vma, (long)ULONG_MAX },
};

KUNIT_ARRAY_PARAM_DESC(lookup, lookup_cases, name);

static long do_lookup(struct svm_task *task)
{
	const struct lookup_case *c = task->test->param_value;
	struct drm_gpusvm_services *services = task->arg;
	struct drm_gpusvm_service service;
	long ret;

	if (drm_gpusvm_service_begin(services, &service))
		return 0;
	ret = c->look(&task->svm->gpusvm);
	drm_gpusvm_service_end(services, &service);

	return ret;
}

static void a_service_that_waits_for_the_address_space_is_cancelled(struct kunit *test)
{
	const struct lookup_case *c = test->param_value;
	struct drm_gpusvm_services services;
	struct mm_struct *mm = current->mm;
	struct svm_task *task;

	svm_map(test, SVM_BASE, SZ_64K, PROT_READ | PROT_WRITE);
	drm_gpusvm_services_init(&services, NULL);
	task = svm_prepare(test, do_lookup, 0, &services);
	mmap_write_lock(mm);
	svm_start(task);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(rwsem_is_contended(&mm->mmap_lock)));
	drm_gpusvm_services_cancel(&services);
	/* It ends although the lock is not to be had. */
	KUNIT_EXPECT_TRUE(test, svm_wait_until(svm_done(task)));
	mmap_write_unlock(mm);
	KUNIT_EXPECT_EQ(test, svm_join(task), c->interrupted);
	drm_gpusvm_services_fini(&services);
}

/*
 * A process of its own, which ends when it is told.
 *
 * @services: What it has made or serves
 * @gate: Where it waits for the end, or for a fatal signal
 * @err: What beginning a service returned
 * @killed: A fatal signal was pending
 * @shared: Another process uses its memory until @end
 * @uid: As whom a worker served it
 * @charged: Its memory cgroup was charged
 * @restored: The worker was itself afterwards
 */
struct process {
	struct drm_gpusvm_services services;
	struct svm_gate gate;
	struct completion end;
	struct completion ended;
	struct pid *pid;
	struct mm_struct *mm;
	int err;
	bool killed;
	bool shared;
	uid_t uid;
	bool charged;
	bool restored;
};

static void start_process(struct kunit *test, struct process *process,
			  int (*fn)(void *process))
{
	struct kernel_clone_args args = {
		.flags = CLONE_UNTRACED,
		.exit_signal = SIGCHLD,
		.fn = fn,
		.fn_arg = process,
	};

	svm_gate_init(&process->gate);
	init_completion(&process->end);
	init_completion(&process->ended);
	KUNIT_ASSERT_GT(test, kernel_clone(&args), 0);
	wait_for_completion(&process->gate.entered);
}

static bool is_gone(struct pid *pid)
{
	guard(rcu)();

	return !pid_task(pid, PIDTYPE_TGID);
}

static int sharing_process(void *arg)
{
	struct process *process = arg;

	wait_for_completion(&process->end);
	complete(&process->ended);
	do_exit(0);
}

static void share_memory(struct process *process)
{
	struct kernel_clone_args args = {
		.flags = CLONE_UNTRACED | CLONE_VM,
		.exit_signal = SIGCHLD,
		.fn = sharing_process,
		.fn_arg = process,
	};

	if (kernel_clone(&args) <= 0)
		complete(&process->ended);
}

/* Has an address space that is served, with a reference to its memory, and dies. */
static int dying_process(void *arg)
{
	struct process *process = arg;

	mmget(current->mm);
	process->mm = current->mm;
	process->pid = get_pid(task_tgid(current));
	drm_gpusvm_services_init(&process->services, current->mm);
	if (process->shared)
		share_memory(process);
	svm_gate_pass(&process->gate);
	do_exit(0);
}

/* Returns when everything that watches it has been told, and has acted. */
static void end_process(struct kunit *test, struct process *process)
{
	complete(&process->gate.open);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(is_gone(process->pid)));
	flush_delayed_work(&process->services.work);
}

static void put_process(struct process *process)
{
	drm_gpusvm_services_fini(&process->services);
	put_pid(process->pid);
	mmput(process->mm);
}

static void services_end_with_their_process(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);
	struct job job = { .range = range, .ctx = &write_ctx };
	struct svm_task *task;

	KUNIT_ASSERT_NOT_NULL(test, process);
	start_process(test, process, dying_process);
	job.services = &process->services;
	task = start_waiting(test, silence, &job);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&process->services));

	end_process(test, process);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_services_cancelled(&process->services));
	answer(silence);
	put_process(process);
	svm_remove(test, range);
}

static void memory_may_outlive_the_process(struct kunit *test)
{
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);

	if (!IS_ENABLED(CONFIG_MEMCG))
		kunit_skip(test, "needs MEMCG, which knows whose memory it is");
	KUNIT_ASSERT_NOT_NULL(test, process);
	process->shared = true;
	start_process(test, process, dying_process);
	end_process(test, process);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&process->services));
	complete(&process->end);
	wait_for_completion(&process->ended);
	put_process(process);
}

static bool active_memcg(void)
{
#ifdef CONFIG_MEMCG
	return current->active_memcg;
#else
	return false;
#endif
}

static long look_whose(struct svm_task *task)
{
	struct process *process = task->arg;
	struct drm_gpusvm_service service;

	process->err = drm_gpusvm_service_begin(&process->services, &service);
	if (process->err)
		return process->err;
	process->uid = __kuid_val(current_fsuid());
	process->charged = active_memcg();
	drm_gpusvm_service_end(&process->services, &service);
	process->restored = uid_eq(current_fsuid(), GLOBAL_ROOT_UID) && !active_memcg();

	return 0;
}

/* A worker isn't root for the process: neither what it may nor what it takes. */
static void a_worker_acts_for_the_process(struct kunit *test)
{
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);
	const struct cred *own;
	struct svm_task *task;
	struct cred *cred;

	KUNIT_ASSERT_NOT_NULL(test, process);
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cred->fsuid = KUIDT_INIT(1234);
	own = override_creds(cred);
	drm_gpusvm_services_init(&process->services, current->mm);
	revert_creds(own);
	put_cred(cred);

	task = svm_prepare(test, look_whose, 0, process);
	svm_start(task);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, process->uid, 1234);
	KUNIT_EXPECT_EQ(test, process->charged, !mem_cgroup_disabled());
	KUNIT_EXPECT_TRUE(test, process->restored);
	drm_gpusvm_services_fini(&process->services);
}

/* As an exec() leaves it: the process lives and uses other memory. */
static void memory_that_is_left_is_not_waited_for(struct kunit *test)
{
	struct silence *silence = map_silence(test, PAGE_SIZE, 0);
	struct svm_range *range = svm_fault(test, SVM_BASE, &write_ctx);
	struct mm_struct *mm = mm_alloc();
	struct drm_gpusvm_services services;
	struct job job = { .services = &services, .range = range, .ctx = &write_ctx };
	struct svm_task *task;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	drm_gpusvm_services_init(&services, mm);
	task = start_waiting(test, silence, &job);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&services));
#ifdef CONFIG_MEMCG
	WRITE_ONCE(mm->owner, NULL);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(svm_done(task)));
#endif
	drm_gpusvm_services_cancel(&services);
	answer(silence);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	KUNIT_EXPECT_EQ(test, job.err, -EINTR);
	drm_gpusvm_services_fini(&services);
	mmput(mm);
	svm_remove(test, range);
}

/* After the end of the services, the death of the process is nobody's business. */
static void the_watch_ends(struct kunit *test)
{
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, process);
	start_process(test, process, dying_process);
	drm_gpusvm_services_fini(&process->services);
	end_process(test, process);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_services_cancelled(&process->services));
	put_process(process);
}

/* No kernel thread: SIGKILL would be the end of it. */
static int serving_process(void *arg)
{
	struct process *process = arg;
	struct drm_gpusvm_service service;

	process->err = drm_gpusvm_service_begin(&process->services, &service);
	svm_gate_pass(&process->gate);
	process->killed = fatal_signal_pending(current);
	drm_gpusvm_service_end(&process->services, &service);
	complete(&process->ended);
	do_exit(0);
}

static void a_process_is_not_disturbed(struct kunit *test)
{
	struct process *process = kunit_kzalloc(test, sizeof(*process), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, process);
	drm_gpusvm_services_init(&process->services, NULL);
	drm_gpusvm_services_interrupt(&process->services);
	start_process(test, process, serving_process);
	KUNIT_EXPECT_EQ(test, process->err, 0);
	drm_gpusvm_services_interrupt(&process->services);
	drm_gpusvm_services_cancel(&process->services);
	complete(&process->gate.open);
	wait_for_completion(&process->ended);
	KUNIT_EXPECT_FALSE(test, process->killed);
}

static struct kunit_case drm_gpusvm_service_cases[] = {
	KUNIT_CASE_PARAM(a_waiting_service_is_cancelled, waiting_gen_params),
	KUNIT_CASE(a_waiting_service_is_interrupted),
	KUNIT_CASE(an_interruption_is_no_error_of_the_memory),
	KUNIT_CASE(faults_in_vain_end),
	KUNIT_CASE(silent_neighbours_hold_up_no_fault),
	KUNIT_CASE(others_go_on_waiting),
	KUNIT_CASE(many_are_cancelled_at_once),
	KUNIT_CASE(none_begins_once_cancelled),
	KUNIT_CASE(none_begins_while_interrupted),
	KUNIT_CASE(a_running_service_is_cancelled),
	KUNIT_CASE(nothing_is_sent_behind_the_end),
	KUNIT_CASE(a_worker_serves_the_next),
	KUNIT_CASE(cancelling_races_with_the_end),
	KUNIT_CASE_PARAM(a_service_that_waits_for_the_address_space_is_cancelled,
			 lookup_gen_params),
	KUNIT_CASE(services_end_with_their_process),
	KUNIT_CASE(memory_may_outlive_the_process),
	KUNIT_CASE(memory_that_is_left_is_not_waited_for),
	KUNIT_CASE(a_worker_acts_for_the_process),
	KUNIT_CASE(the_watch_ends),
	KUNIT_CASE(a_process_is_not_disturbed),
	{}
};

static struct kunit_suite drm_gpusvm_service_suite = {
	.name = "drm_gpusvm_service",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_service_cases,
};

kunit_test_suite(drm_gpusvm_service_suite);
