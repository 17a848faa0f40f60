// SPDX-License-Identifier: MIT
/*
 * Page faults of the GPU: from a producer to its answer.
 */

#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/sizes.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "xe_assert.h"
#include "xe_device.h"
#include "xe_gt_printk.h"
#include "xe_gt_stats.h"
#include "xe_gt_types.h"
#include "xe_hw_engine.h"
#include "xe_module.h"
#include "xe_pagefault.h"
#include "xe_pagefault_types.h"
#include "xe_pm.h"
#include "xe_svm.h"
#include "xe_trace_pagefault.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/**
 * DOC: Xe page faults
 *
 * A producer, such as the GuC, reports page faults with xe_pagefault_handler(), from
 * interrupts, too. They come into the queue of the device, and from there to their VMs.
 * The workers of a VM serve them, as xe_pagefault_service.c describes it, and answer
 * them with &xe_pagefault_ops.ack_fault. Answers have no order.
 *
 * All entries for faults are allocated when the device is probed. One lock, that of the
 * queue, protects the lists of the device and of all its VMs. It is held for no longer
 * than it takes to move entries. The life of an entry::
 *
 *	state    in which list        where it goes from there, and who moves it
 *	-------  -------------------  ------------------------------------------------
 *	free     queue: free          to pending: xe_pagefault_handler()
 *	pending  queue: pending       to waiting: the work of the queue. It answers the
 *	                              fault if there is no VM
 *	waiting  VM: waiting          to served or chained: a worker of the VM, which has
 *	                              one unless it has to wait for a resume
 *	chained  its leader's: chain  to waiting, unless it is answered along with the
 *	                              leader: the worker that serves the leader
 *	served   VM: serving          to waiting if it is worth another attempt, else it
 *	                              is answered: its worker
 *	taken    none                 to free: who answers it
 *
 * A reset of a GT squashes the faults of that GT, wherever they are. Those in a list of
 * pending, waiting or chained ones are free at once, since they need not wait for a VM
 * that is kept waiting itself. Those that are served, or being answered, are marked, so
 * that they get no answer any more. Faults of another GT of the tile may be chained to
 * such a one. They stay, since what is bound is bound for the tile.
 *
 * Chains. Engines mostly fault in the same place at the same time. A worker that takes a
 * fault looks whether another one serves a fault of the same tile in the same 2 MiB, or
 * in the same range or VMA as soon as that is known. This is the leader then, to which
 * the fault is chained, and the worker goes on with the next one. When the leader is
 * served, all that its service has covered are answered with it: those in what can be
 * accessed now that do not need a stronger access. The others go back to where they were,
 * to the front of the VM's list, in their order. If the leader could not be served, that
 * is shared by faults on the same page that need no less. Others go back: a page that
 * can't be had fails nobody else. A fault that was chained in vain waits for no other
 * page than its own after that, so it is not chained for ever.
 *
 * Prefetches are neither chained nor do they lead. They fail for reasons for which other
 * faults are tried again.
 *
 * Fairness. A fault that can't be served at the moment goes to the end of its VM's list,
 * behind all that wait. To serve a fault may take as long as another process likes, a
 * userfaultfd handler for instance. So each VM has a workqueue, for its workers and its
 * collector of garbage, and its first worker is never refused. More workers of a VM are
 * helpers, of which the device has a limited number, since each that waits is a thread:
 * when VMs whose faults are not answered by their processes have used them up, the others
 * still have a worker each.
 *
 * A VM that is closed, or whose process was killed, has the services that are under way
 * cancelled, see xe_svm_cancel(). All its faults are answered with an error then.
 */

/* Where faults may have one range. It is the largest one that a fault on a mirror binds. */
#define XE_PAGEFAULT_WINDOW		SZ_2M

/* How long a worker keeps a CPU, and the device awake, until it begins anew. */
#define XE_PAGEFAULT_RUNTIME_MS		20

/*
 * Faults that each execution unit can have at a time: it has up to eight threads. Twice
 * as many, since an entry is in use until its fault was answered.
 */
#define XE_PAGEFAULT_PER_UNIT		16

/* How many workers a VM has by default. */
#define XE_PAGEFAULT_MIN_WORKERS	2

static bool is_prefetch(const struct xe_pagefault *pf)
{
	return pf->consumer.access_type & XE_PAGEFAULT_ACCESS_PREFETCH;
}

static u8 access_of(const struct xe_pagefault *pf)
{
	return pf->consumer.access_type & XE_PAGEFAULT_ACCESS_TYPE_MASK;
}

static void count(const struct xe_pagefault *pf, enum xe_gt_stats_id id)
{
	xe_gt_stats_incr(pf->gt, id, 1);
}

/* ------------------------------------------------------------------------
 * Entries
 */

static void move_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry,
			enum xe_pagefault_state state, struct list_head *list)
{
	lockdep_assert_held(&queue->lock);

	entry->state = state;
	list_move_tail(&entry->link, list);
}

static void free_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry)
{
	xe_assert(queue->xe, list_empty(&entry->chain));
	move_locked(queue, entry, XE_PAGEFAULT_FREE, &queue->free);
}

/* From here on the entry is the caller's, who answers it. */
static void take_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry)
{
	lockdep_assert_held(&queue->lock);

	entry->state = XE_PAGEFAULT_TAKEN;
	list_del_init(&entry->link);
}

static struct xe_pagefault_entry *take_first(struct xe_pagefault_queue *queue,
					     struct list_head *list)
{
	struct xe_pagefault_entry *entry;

	guard(spinlock_irq)(&queue->lock);

	entry = list_first_entry_or_null(list, struct xe_pagefault_entry, link);
	if (entry)
		take_locked(queue, entry);

	return entry;
}

/* ------------------------------------------------------------------------
 * Answers
 */

static void print_fault(const struct xe_pagefault *pf, int err)
{
	u8 type_level = pf->consumer.fault_type_level;

	xe_gt_info(pf->gt, "Page fault not served: %pe\n"
		   "\tASID: %u\n"
		   "\tFaulted Address: %#014llx\n"
		   "\tFaultType: %lu\n"
		   "\tAccessType: %u\n"
		   "\tFaultLevel: %lu\n"
		   "\tEngine: %s %u\n",
		   ERR_PTR(err), pf->consumer.asid, pf->consumer.page_addr,
		   FIELD_GET(XE_PAGEFAULT_TYPE_MASK, type_level), access_of(pf),
		   FIELD_GET(XE_PAGEFAULT_LEVEL_MASK, type_level),
		   xe_hw_engine_class_to_str(pf->consumer.engine_class),
		   pf->consumer.engine_instance);
}

static struct xe_vm *find_vm(struct xe_device *xe, u32 asid)
{
	struct xe_vm *vm;

	guard(rwsem_read)(&xe->usm.lock);

	vm = xa_load(&xe->usm.asid_to_vm, asid);

	return vm ? xe_vm_get(vm) : NULL;
}

/* The user can ask for the faults of any VM that were not served. */
static void record_fault(struct xe_pagefault *pf)
{
	struct xe_vm *vm = find_vm(gt_to_xe(pf->gt), pf->consumer.asid);

	if (vm) {
		xe_vm_add_fault_entry_pf(vm, pf);
		xe_vm_put(vm);
	}
}

static void report_failure(struct xe_pagefault *pf, int err)
{
	/* All fail that a device still has when it goes. */
	if (drm_dev_is_unplugged(&gt_to_xe(pf->gt)->drm))
		return;

	record_fault(pf);
	if (!is_prefetch(pf)) {
		print_fault(pf, err);
		return;
	}

	count(pf, XE_GT_STATS_ID_INVALID_PREFETCH_PAGEFAULT_COUNT);
	xe_gt_dbg(pf->gt, "Prefetch not served: %pe\n", ERR_PTR(err));
}

/* Answer a fault that was taken out of its list. */
static void answer(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry, int err)
{
	struct xe_pagefault pf = entry->pf;
	bool squashed;

	scoped_guard(spinlock_irq, &queue->lock)
		squashed = entry->squashed;

	if (!squashed) {
		if (err)
			report_failure(&pf, err);
		trace_xe_pagefault_reply(&pf, err,
					 ktime_to_ns(ktime_sub(ktime_get(), entry->raised)));
		count(&pf, XE_GT_STATS_ID_PAGEFAULT_ACK_COUNT);
		pf.producer.ops->ack_fault(&pf, err);
	}

	guard(spinlock_irq)(&queue->lock);

	free_locked(queue, entry);
}

/* ------------------------------------------------------------------------
 * Workers
 */

/* Whether faults stay where they are until the system is awake. */
static bool has_to_wait_locked(struct xe_pagefault_queue *queue, struct xe_vm *vm)
{
	lockdep_assert_held(&queue->lock);

	return queue->suspended && !xe_vm_is_closed(vm);
}

static void enter_locked(struct xe_pagefault_queue *queue)
{
	lockdep_assert_held(&queue->lock);

	queue->works++;
}

static void leave_locked(struct xe_pagefault_queue *queue)
{
	lockdep_assert_held(&queue->lock);

	if (!--queue->works)
		wake_up_all(&queue->idle);
}

/* Have one more worker look for faults, if the VM may have one. */
static void wake_locked(struct xe_pagefault_queue *queue, struct xe_vm *vm)
{
	struct xe_pagefault_vm *pf_vm = &vm->usm.pf;
	struct xe_pagefault_worker *worker;
	unsigned int nr;

	lockdep_assert_held(&queue->lock);

	nr = find_first_zero_bit(&pf_vm->busy, pf_vm->nr_workers);
	if (nr >= pf_vm->nr_workers || has_to_wait_locked(queue, vm))
		return;

	worker = &pf_vm->workers[nr];
	worker->helper = pf_vm->busy;
	if (worker->helper) {
		if (queue->helpers >= XE_PAGEFAULT_MAX_HELPERS)
			return;
		queue->helpers++;
	}

	__set_bit(nr, &pf_vm->busy);
	enter_locked(queue);
	xe_vm_get(vm);
	queue_work(pf_vm->wq, &worker->work);
}

/* There is nothing to do. The caller puts the reference to the VM, and leaves. */
static void rest_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_worker *worker)
{
	struct xe_pagefault_vm *pf_vm = &worker->vm->usm.pf;

	lockdep_assert_held(&queue->lock);
	xe_assert(queue->xe, has_to_wait_locked(queue, worker->vm) ||
		  list_empty(&pf_vm->waiting));

	__clear_bit(worker - pf_vm->workers, &pf_vm->busy);
	if (worker->helper)
		queue->helpers--;
}

/* ------------------------------------------------------------------------
 * Chains
 */

/* Whether a fault waits for another one that is served. */
static bool can_follow(const struct xe_pagefault_entry *entry,
		       const struct xe_pagefault_entry *leader)
{
	u64 addr = entry->pf.consumer.page_addr;
	u64 leader_addr = leader->pf.consumer.page_addr;

	if (is_prefetch(&entry->pf) || is_prefetch(&leader->pf) ||
	    gt_to_tile(entry->pf.gt) != gt_to_tile(leader->pf.gt))
		return false;

	if (entry->page_only)
		return addr == leader_addr;

	return addr >= READ_ONCE(leader->served.start) && addr < READ_ONCE(leader->served.end);
}

static struct xe_pagefault_entry *find_leader_locked(struct xe_pagefault_vm *pf_vm,
						     const struct xe_pagefault_entry *entry)
{
	struct xe_pagefault_entry *leader;

	list_for_each_entry(leader, &pf_vm->serving, link)
		if (can_follow(entry, leader))
			return leader;

	return NULL;
}

/* Whether what has come of the leader holds for a fault that was chained to it. */
static bool is_covered(const struct xe_pagefault_entry *entry,
		       const struct xe_pagefault_entry *leader, int err)
{
	const struct xe_pagefault_served *served = &leader->served;
	u64 addr = entry->pf.consumer.page_addr;

	if (err)
		return addr == leader->pf.consumer.page_addr &&
		       access_of(&entry->pf) >= access_of(&leader->pf);

	return addr >= served->start && addr < served->end &&
	       access_of(&entry->pf) <= served->access;
}

/* Those that are not covered have to be served for themselves, before all that came later. */
static void release_locked(struct xe_vm *vm, struct xe_pagefault_entry *leader, int err)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);
	struct xe_pagefault_entry *entry, *prev;

	lockdep_assert_held(&queue->lock);

	list_for_each_entry_safe_reverse(entry, prev, &leader->chain, link) {
		if (is_covered(entry, leader, err))
			continue;
		entry->page_only = true;
		entry->state = XE_PAGEFAULT_WAITING;
		list_move(&entry->link, &vm->usm.pf.waiting);
		count(&entry->pf, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT);
		wake_locked(queue, vm);
	}
}

/* ------------------------------------------------------------------------
 * Serving
 */

/* The CPU was faster all the time, or has memory in use that has to move. */
static bool is_transient(int err)
{
	return err == -EAGAIN || err == -EBUSY;
}

/* Have a fault, and those that share its lot, tried again after all others. */
static void postpone_locked(struct xe_vm *vm, struct xe_pagefault_entry *leader)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);
	struct list_head *waiting = &vm->usm.pf.waiting;
	struct xe_pagefault_entry *entry, *next;

	if (!leader->squashed) {
		count(&leader->pf, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT);
		move_locked(queue, leader, XE_PAGEFAULT_WAITING, waiting);
	}
	list_for_each_entry_safe(entry, next, &leader->chain, link) {
		count(&entry->pf, XE_GT_STATS_ID_REQUEUED_PAGEFAULT_COUNT);
		move_locked(queue, entry, XE_PAGEFAULT_WAITING, waiting);
	}
}

/*
 * A fault was served, or was not. Returns whether it is to be answered, together with
 * what is left of its chain.
 */
static bool conclude(struct xe_vm *vm, struct xe_pagefault_entry *leader, int err)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);

	guard(spinlock_irq)(&queue->lock);

	take_locked(queue, leader);
	release_locked(vm, leader, err);
	if (!is_transient(err) || is_prefetch(&leader->pf))
		return true;

	postpone_locked(vm, leader);

	return leader->squashed;
}

static void serve(struct xe_vm *vm, struct xe_pagefault_entry *leader)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);
	struct xe_pagefault_entry *entry;
	int err;

	trace_xe_pagefault_serve(&leader->pf);
	err = xe_pagefault_service(vm, &leader->pf, &leader->served);
	if (!conclude(vm, leader, err))
		return;

	while ((entry = take_first(queue, &leader->chain)))
		answer(queue, entry, err);
	answer(queue, leader, err);
}

static void chain_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry,
			 struct xe_pagefault_entry *leader)
{
	trace_xe_pagefault_chain(&entry->pf, leader->pf.consumer.page_addr);
	count(&entry->pf, XE_GT_STATS_ID_CHAIN_PAGEFAULT_COUNT);
	move_locked(queue, entry, XE_PAGEFAULT_CHAINED, &leader->chain);
}

/*
 * Take the next fault. Returns false if there is none, after which the worker is done;
 * @entry is NULL if the fault was chained.
 */
static bool take_next(struct xe_pagefault_worker *worker, struct xe_pagefault_entry **entry)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(worker->vm);
	struct xe_pagefault_vm *pf_vm = &worker->vm->usm.pf;
	struct xe_pagefault_entry *first, *leader;
	u64 addr;

	guard(spinlock_irq)(&queue->lock);

	first = list_first_entry_or_null(&pf_vm->waiting, struct xe_pagefault_entry, link);
	if (!first || has_to_wait_locked(queue, worker->vm)) {
		rest_locked(queue, worker);
		return false;
	}

	leader = find_leader_locked(pf_vm, first);
	if (leader) {
		chain_locked(queue, first, leader);
		*entry = NULL;
		return true;
	}

	if (!list_empty(&pf_vm->serving))
		count(&first->pf, XE_GT_STATS_ID_PARALLEL_PAGEFAULT_COUNT);
	addr = ALIGN_DOWN(first->pf.consumer.page_addr, XE_PAGEFAULT_WINDOW);
	xe_pagefault_tell(&first->served, addr, addr + XE_PAGEFAULT_WINDOW);
	move_locked(queue, first, XE_PAGEFAULT_SERVED, &pf_vm->serving);
	*entry = first;

	return true;
}

/* Returns whether there may be more to serve. */
static bool serve_for_a_while(struct xe_pagefault_worker *worker)
{
	unsigned long end = jiffies + msecs_to_jiffies(XE_PAGEFAULT_RUNTIME_MS);
	struct xe_pagefault_entry *entry;

	/* A closed VM holds no PM reference, but its faults are answered. */
	guard(xe_pm_runtime)(worker->vm->xe);

	while (take_next(worker, &entry)) {
		if (entry)
			serve(worker->vm, entry);
		if (time_after(jiffies, end))
			return true;
	}

	return false;
}

static void worker_func(struct work_struct *work)
{
	struct xe_pagefault_worker *worker =
		container_of(work, struct xe_pagefault_worker, work);
	struct xe_vm *vm = worker->vm;
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);

	if (serve_for_a_while(worker)) {
		/* It is still busy, and keeps its reference. */
		queue_work(vm->usm.pf.wq, work);
		return;
	}

	xe_vm_put(vm);
	/* Who waits for that may take the device apart, so it comes last. */
	scoped_guard(spinlock_irq, &queue->lock)
		leave_locked(queue);
}

static unsigned int nr_workers(void)
{
	unsigned int nr = READ_ONCE(xe_modparam.num_pf_work);

	/* Workers wait for the GPU, or for memory, for the most part of a service. */
	if (!nr)
		nr = max(num_online_cpus(), XE_PAGEFAULT_MIN_WORKERS);

	return min(nr, XE_PAGEFAULT_MAX_WORKERS);
}

/**
 * xe_pagefault_vm_init() - Prepare a VM for page faults
 * @vm: The VM; one that is not in fault mode has none
 *
 * Return: 0, or -ENOMEM.
 */
int xe_pagefault_vm_init(struct xe_vm *vm)
{
	struct xe_pagefault_vm *pf_vm = &vm->usm.pf;
	unsigned int i;

	INIT_LIST_HEAD(&pf_vm->waiting);
	INIT_LIST_HEAD(&pf_vm->serving);
	pf_vm->nr_workers = nr_workers();
	for (i = 0; i < ARRAY_SIZE(pf_vm->workers); i++) {
		INIT_WORK(&pf_vm->workers[i].work, worker_func);
		pf_vm->workers[i].vm = vm;
	}

	if (!(vm->flags & XE_VM_FLAG_FAULT_MODE))
		return 0;

	/*
	 * None of them waits for another one to begin, nor for the process, which may have
	 * all CPUs busy while it waits for the GPU.
	 */
	pf_vm->wq = alloc_workqueue("xe_pagefault_vm", WQ_UNBOUND | WQ_HIGHPRI,
				    WQ_MAX_ACTIVE);

	return pf_vm->wq ? 0 : -ENOMEM;
}

/**
 * xe_pagefault_vm_fini() - Undo xe_pagefault_vm_init()
 * @vm: The VM, which nobody has a reference to
 */
void xe_pagefault_vm_fini(struct xe_vm *vm)
{
	if (vm->usm.pf.wq)
		destroy_workqueue(vm->usm.pf.wq);
}

/**
 * xe_pagefault_work_begin() - Begin a work that writes page tables
 * @xe: The device
 *
 * Return: false if it has to wait for the resume; true if it may go on, until
 * xe_pagefault_work_end().
 */
bool xe_pagefault_work_begin(struct xe_device *xe)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;

	guard(spinlock_irq)(&queue->lock);

	if (queue->suspended)
		return false;
	enter_locked(queue);

	return true;
}

/**
 * xe_pagefault_work_end() - End a work that writes page tables
 * @xe: The device
 */
void xe_pagefault_work_end(struct xe_device *xe)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;

	guard(spinlock_irq)(&queue->lock);

	leave_locked(queue);
}

/**
 * xe_pagefault_wake_vm() - Have the faults of a VM served, or answered
 * @vm: The VM, in fault mode; it was closed, or the system is awake again
 */
void xe_pagefault_wake_vm(struct xe_vm *vm)
{
	struct xe_pagefault_queue *queue = xe_pagefault_queue_of(vm);
	struct list_head *pos;

	guard(spinlock_irq)(&queue->lock);

	list_for_each(pos, &vm->usm.pf.waiting)
		wake_locked(queue, vm);
}

/* ------------------------------------------------------------------------
 * From the queue to the VMs
 */

static int fault_to_vm(struct xe_device *xe, const struct xe_pagefault *pf, struct xe_vm **vm)
{
	if (pf->consumer.fault_type_level == XE_PAGEFAULT_TYPE_LEVEL_NACK)
		return -EFAULT;

	*vm = find_vm(xe, pf->consumer.asid);
	if (!*vm)
		return -EINVAL;

	if (!xe_vm_in_fault_mode(*vm)) {
		xe_vm_put(*vm);
		return -EINVAL;
	}

	return 0;
}

static void hand_over(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry)
{
	struct xe_vm *vm;
	int err;

	err = fault_to_vm(queue->xe, &entry->pf, &vm);
	if (err) {
		answer(queue, entry, err);
		return;
	}

	scoped_guard(spinlock_irq, &queue->lock) {
		if (entry->squashed) {
			free_locked(queue, entry);
		} else {
			move_locked(queue, entry, XE_PAGEFAULT_WAITING, &vm->usm.pf.waiting);
			wake_locked(queue, vm);
		}
	}
	xe_vm_put(vm);
}

static void queue_func(struct work_struct *work)
{
	struct xe_pagefault_queue *queue =
		container_of(work, struct xe_pagefault_queue, work);
	struct xe_pagefault_entry *entry;

	/*
	 * Faults may be left of a VM that is closed, and so holds no PM reference. The
	 * device is awake for their answers.
	 */
	guard(xe_pm_runtime)(queue->xe);

	while ((entry = take_first(queue, &queue->pending)))
		hand_over(queue, entry);
}

/**
 * xe_pagefault_handler() - Report a page fault
 * @xe: The device
 * @pf: The fault, which is copied
 *
 * May be called from interrupts, and allocates nothing, since what reclaim waits for may
 * be behind this fault.
 *
 * Return: 0 if the fault will be answered, squashed by a reset, or is of a device that
 * goes; -ENOSPC if there are more faults than the device can have.
 */
int xe_pagefault_handler(struct xe_device *xe, struct xe_pagefault *pf)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	struct xe_pagefault_entry *entry;

	guard(spinlock_irqsave)(&queue->lock);

	/* The engines are stopped soon, and wait for no answer. */
	if (queue->gone)
		return 0;

	entry = list_first_entry_or_null(&queue->free, struct xe_pagefault_entry, link);
	if (!entry) {
		drm_warn(&xe->drm, "No entry for a page fault, asid=%u, addr=%#llx\n",
			 pf->consumer.asid, pf->consumer.page_addr);
		return -ENOSPC;
	}

	entry->pf = *pf;
	entry->raised = ktime_get();
	entry->page_only = false;
	entry->squashed = false;
	move_locked(queue, entry, XE_PAGEFAULT_PENDING, &queue->pending);
	trace_xe_pagefault_begin(&entry->pf);
	queue_work(xe->usm.pf_wq, &queue->work);

	return 0;
}

/* ------------------------------------------------------------------------
 * Reset
 */

static void squash_locked(struct xe_pagefault_queue *queue, struct xe_pagefault_entry *entry)
{
	switch (entry->state) {
	case XE_PAGEFAULT_PENDING:
	case XE_PAGEFAULT_WAITING:
	case XE_PAGEFAULT_CHAINED:
		free_locked(queue, entry);
		break;
	case XE_PAGEFAULT_SERVED:
	case XE_PAGEFAULT_TAKEN:
		entry->squashed = true;
		break;
	case XE_PAGEFAULT_FREE:
		break;
	}
}

/**
 * xe_pagefault_reset() - Forget the page faults of a GT
 * @xe: The device
 * @gt: The GT, which is reset, and waits for no answers any more
 */
void xe_pagefault_reset(struct xe_device *xe, struct xe_gt *gt)
{
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	u32 i;

	/* The device has no page faults, or fails to load. */
	if (!queue->entries)
		return;

	guard(spinlock_irq)(&queue->lock);

	for (i = 0; i < queue->size; i++)
		if (queue->entries[i].pf.gt == gt)
			squash_locked(queue, &queue->entries[i]);
}

/* ------------------------------------------------------------------------
 * The device
 */

/* Units that can have a fault of their own. */
static unsigned int count_units(struct xe_device *xe)
{
	unsigned int units = 0;
	struct xe_gt *gt;
	u8 id;

	for_each_gt(gt, xe, id) {
		xe_dss_mask_t dss;

		units += bitmap_weighted_or(dss, gt->fuse_topo.g_dss_mask,
					    gt->fuse_topo.c_dss_mask, XE_MAX_DSS_FUSE_BITS) *
			 bitmap_weight(gt->fuse_topo.eu_mask_per_dss, XE_MAX_EU_FUSE_BITS);
	}
	xe_assert(xe, units);

	return units;
}

static void free_entries(struct drm_device *drm, void *entries)
{
	kvfree(entries);
}

static int init_queue(struct xe_device *xe, struct xe_pagefault_queue *queue)
{
	int err;
	u32 i;

	queue->xe = xe;
	queue->size = roundup_pow_of_two((count_units(xe) + XE_NUM_HW_ENGINES) *
					 XE_PAGEFAULT_PER_UNIT);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->free);
	INIT_LIST_HEAD(&queue->pending);
	INIT_WORK(&queue->work, queue_func);
	init_waitqueue_head(&queue->idle);

	queue->entries = kvcalloc(queue->size, sizeof(*queue->entries), GFP_KERNEL);
	if (!queue->entries)
		return -ENOMEM;

	err = drmm_add_action_or_reset(&xe->drm, free_entries, queue->entries);
	if (err) {
		queue->entries = NULL;
		return err;
	}

	for (i = 0; i < queue->size; i++) {
		INIT_LIST_HEAD(&queue->entries[i].chain);
		list_add_tail(&queue->entries[i].link, &queue->free);
	}
	drm_dbg(&xe->drm, "%u entries for page faults\n", queue->size);

	return 0;
}

static void fini(void *arg)
{
	struct xe_device *xe = arg;
	struct xe_pagefault_queue *queue = &xe->usm.pf_queue;
	struct xe_vm *vm;
	unsigned long asid;

	scoped_guard(spinlock_irq, &queue->lock)
		queue->gone = true;
	destroy_workqueue(xe->usm.pf_wq);

	/* The device goes: nobody has to wait for memory that it would use. */
	scoped_guard(rwsem_read, &xe->usm.lock)
		xa_for_each(&xe->usm.asid_to_vm, asid, vm)
			xe_svm_cancel(vm);
	/* Nobody else does if the system is asleep. */
	xe_pagefault_resume(xe);
	wait_event(queue->idle, !READ_ONCE(queue->works));
	/* The last one has let go of the lock. */
	scoped_guard(spinlock_irq, &queue->lock)
		xe_assert(xe, list_empty(&queue->pending));
}

/**
 * xe_pagefault_init() - Prepare a device for page faults
 * @xe: The device, whose fuses were read
 *
 * Return: 0, or a negative error.
 */
int xe_pagefault_init(struct xe_device *xe)
{
	int err;

	if (!xe->info.has_usm)
		return 0;

	xe->usm.pf_wq = alloc_workqueue("xe_pagefault", WQ_UNBOUND | WQ_HIGHPRI, 1);
	if (!xe->usm.pf_wq)
		return -ENOMEM;

	err = init_queue(xe, &xe->usm.pf_queue);
	if (err) {
		destroy_workqueue(xe->usm.pf_wq);
		return err;
	}

	return devm_add_action_or_reset(xe->drm.dev, fini, xe);
}
