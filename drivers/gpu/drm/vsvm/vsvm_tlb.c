// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>

#include <kunit/visibility.h>

#include "vsvm_tlb.h"

static unsigned int entry_index(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) % VSVM_TLB_ENTRIES;
}

/**
 * vsvm_tlb_init() - Make an empty TLB
 * @tlb: The TLB
 * @owner: Whose page table it caches
 */
void vsvm_tlb_init(struct vsvm_tlb *tlb, struct vsvm_tlb_owner *owner)
{
	mutex_init(&tlb->access);
	INIT_LIST_HEAD(&tlb->link);
	INIT_LIST_HEAD(&tlb->owner_link);
	tlb->owner = owner;
	memset(tlb->entries, 0, sizeof(tlb->entries));
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_init);

/**
 * vsvm_tlb_lookup() - Look for a translation
 * @tlb: The TLB, locked for access
 * @addr: The virtual address
 *
 * Return: the page table entry, or zero.
 */
u64 vsvm_tlb_lookup(const struct vsvm_tlb *tlb, unsigned long addr)
{
	const struct vsvm_tlb_entry *entry = &tlb->entries[entry_index(addr)];

	lockdep_assert_held(&tlb->access);

	return entry->page == (addr & PAGE_MASK) ? entry->pte : 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_lookup);

/**
 * vsvm_tlb_fill() - Remember a translation, forget whatever was in its place
 * @tlb: The TLB, locked for access
 * @addr: The virtual address
 * @pte: The page table entry
 */
void vsvm_tlb_fill(struct vsvm_tlb *tlb, unsigned long addr, u64 pte)
{
	lockdep_assert_held(&tlb->access);

	tlb->entries[entry_index(addr)] = (struct vsvm_tlb_entry) {
		.page = addr & PAGE_MASK,
		.pte = pte,
	};
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_fill);

/**
 * vsvm_tlb_flush() - Forget translations
 * @tlb: The TLB, locked for access
 * @start: First virtual address
 * @end: Address behind the last
 */
void vsvm_tlb_flush(struct vsvm_tlb *tlb, unsigned long start,
		    unsigned long end)
{
	lockdep_assert_held(&tlb->access);

	for (int i = 0; i < VSVM_TLB_ENTRIES; i++) {
		struct vsvm_tlb_entry *entry = &tlb->entries[i];

		if (entry->page < end && entry->page + PAGE_SIZE > start)
			entry->pte = 0;
	}
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_flush);

/* Taking each TLB's lock is what waits for accesses in flight. */
static void flush_one(struct vsvm_tlb_unit *unit, struct vsvm_tlb *tlb,
		      const struct vsvm_tlb_inval *inval)
{
	guard(mutex)(&tlb->access);

	if (!READ_ONCE(unit->drop))
		vsvm_tlb_flush(tlb, inval->start, inval->end);
}

/* The TLBs of others cost nothing, however many there are. */
static void flush_all(struct vsvm_tlb_unit *unit,
		      const struct vsvm_tlb_inval *inval)
{
	struct vsvm_tlb *tlb;

	guard(mutex)(&unit->tlbs_lock);

	if (inval->owner) {
		list_for_each_entry(tlb, &inval->owner->tlbs, owner_link)
			flush_one(unit, tlb, inval);
	} else {
		list_for_each_entry(tlb, &unit->tlbs, link)
			flush_one(unit, tlb, inval);
	}
}

static bool take_oldest(struct vsvm_tlb_unit *unit,
			struct vsvm_tlb_inval *inval)
{
	guard(spinlock)(&unit->lock);

	if (!unit->count)
		return false;

	*inval = unit->queue[unit->head];
	unit->head = (unit->head + 1) % VSVM_TLB_QUEUE;
	unit->count--;
	return true;
}

static void wait_until(ktime_t due)
{
	set_current_state(TASK_IDLE);
	schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
	__set_current_state(TASK_RUNNING);
}

static int tlb_thread(void *data)
{
	struct vsvm_tlb_unit *unit = data;

	while (!kthread_should_stop()) {
		struct vsvm_tlb_inval inval;

		wait_event_idle(unit->wq, READ_ONCE(unit->count) ||
				kthread_should_stop());
		while (take_oldest(unit, &inval)) {
			if (ktime_before(ktime_get(), inval.due))
				wait_until(inval.due);
			flush_all(unit, &inval);

			/* Pairs with the acquire in vsvm_tlb_inval_wait(). */
			smp_store_release(&unit->completed, inval.seqno);
			wake_up_all(&unit->wq);
		}
	}

	return 0;
}

/**
 * vsvm_tlb_unit_init() - Start the invalidation hardware
 * @unit: The unit, zeroed
 * @name: Name of the device
 * @latency_us: How long an invalidation takes
 *
 * Return: 0 or a negative error code.
 */
int vsvm_tlb_unit_init(struct vsvm_tlb_unit *unit, const char *name,
		       unsigned int latency_us)
{
	struct task_struct *thread;

	init_waitqueue_head(&unit->wq);
	spin_lock_init(&unit->lock);
	mutex_init(&unit->tlbs_lock);
	INIT_LIST_HEAD(&unit->tlbs);
	unit->latency_us = latency_us;

	thread = kthread_run(tlb_thread, unit, "%s/tlb", name);
	if (IS_ERR(thread))
		return PTR_ERR(thread);

	unit->thread = thread;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_unit_init);

/**
 * vsvm_tlb_unit_fini() - Stop the invalidation hardware
 * @unit: The unit; what was submitted to it has been waited for
 */
void vsvm_tlb_unit_fini(struct vsvm_tlb_unit *unit)
{
	kthread_stop(unit->thread);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_unit_fini);

/**
 * vsvm_tlb_unit_add() - Let invalidations reach a TLB
 * @unit: The unit
 * @tlb: The TLB, still empty
 */
void vsvm_tlb_unit_add(struct vsvm_tlb_unit *unit, struct vsvm_tlb *tlb)
{
	guard(mutex)(&unit->tlbs_lock);
	list_add_tail(&tlb->link, &unit->tlbs);
	list_add_tail(&tlb->owner_link, &tlb->owner->tlbs);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_unit_add);

/**
 * vsvm_tlb_unit_remove() - Undo vsvm_tlb_unit_add()
 * @unit: The unit
 * @tlb: The TLB, not used any more
 */
void vsvm_tlb_unit_remove(struct vsvm_tlb_unit *unit, struct vsvm_tlb *tlb)
{
	guard(mutex)(&unit->tlbs_lock);
	list_del_init(&tlb->link);
	list_del_init(&tlb->owner_link);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_unit_remove);

/* The ring is full: let its last entry stand for this one too. */
static void widen(struct vsvm_tlb_inval *last, const struct vsvm_tlb_inval *inval)
{
	if (last->owner != inval->owner)
		last->owner = NULL;
	last->start = min(last->start, inval->start);
	last->end = max(last->end, inval->end);
	last->seqno = inval->seqno;
	last->due = inval->due;
}

/**
 * vsvm_tlb_inval_submit() - Start to invalidate an interval
 * @unit: The unit
 * @owner: Whose translations go; stays until vsvm_tlb_inval_wait() has returned
 * @start: First virtual address
 * @end: Address behind the last
 *
 * Doesn't sleep. Page table entries must have been zapped before.
 *
 * Return: a number for vsvm_tlb_inval_wait(). Invalidations of a unit complete
 * in the order of their numbers.
 */
u64 vsvm_tlb_inval_submit(struct vsvm_tlb_unit *unit,
			  struct vsvm_tlb_owner *owner,
			  unsigned long start, unsigned long end)
{
	struct vsvm_tlb_inval inval = {
		.owner = owner,
		.start = start,
		.end = end,
		.due = ktime_add_us(ktime_get(), unit->latency_us),
	};

	scoped_guard(spinlock, &unit->lock) {
		unsigned int tail = unit->head + unit->count;

		inval.seqno = ++unit->submitted;
		if (unit->count < VSVM_TLB_QUEUE) {
			unit->queue[tail % VSVM_TLB_QUEUE] = inval;
			WRITE_ONCE(unit->count, unit->count + 1);
		} else {
			widen(&unit->queue[(tail - 1) % VSVM_TLB_QUEUE], &inval);
		}
	}

	wake_up_all(&unit->wq);
	return inval.seqno;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_inval_submit);

/**
 * vsvm_tlb_inval_wait() - Wait until an invalidation is complete
 * @unit: The unit
 * @seqno: Its number; zero is complete from the start
 */
void vsvm_tlb_inval_wait(struct vsvm_tlb_unit *unit, u64 seqno)
{
	/* Pairs with the release in tlb_thread(). */
	wait_event(unit->wq, smp_load_acquire(&unit->completed) >= seqno);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_tlb_inval_wait);
