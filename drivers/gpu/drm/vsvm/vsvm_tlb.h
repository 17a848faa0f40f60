/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_TLB_H_
#define _VSVM_TLB_H_

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct task_struct;

#define VSVM_TLB_ENTRIES	64
#define VSVM_TLB_QUEUE		32

/**
 * struct vsvm_tlb_entry - A translation of one page
 * @page: Virtual address of the page
 * @pte: Its page table entry, or zero if this one is unused
 */
struct vsvm_tlb_entry {
	unsigned long page;
	u64 pte;
};

/**
 * struct vsvm_tlb_owner - Whose page table TLBs cache
 * @tlbs: These TLBs, of &vsvm_tlb.owner_link; protected by &vsvm_tlb_unit.tlbs_lock
 */
struct vsvm_tlb_owner {
	struct list_head tlbs;
};

static inline void vsvm_tlb_owner_init(struct vsvm_tlb_owner *owner)
{
	INIT_LIST_HEAD(&owner->tlbs);
}

/**
 * struct vsvm_tlb - What a queue remembers of the page table
 *
 * @access: Held by the queue while it translates an address and uses what it
 *	    got, for one page at most; and while entries are invalidated. So an
 *	    invalidation waits for accesses by old translations, those that came
 *	    from the page table directly included
 * @link: The TLB's place in &vsvm_tlb_unit.tlbs
 * @owner_link: The same in &vsvm_tlb_owner.tlbs
 * @owner: Whose page table this caches
 * @entries: The translations, by the lower bits of their page numbers
 */
struct vsvm_tlb {
	struct mutex access;
	struct list_head link;
	struct list_head owner_link;
	struct vsvm_tlb_owner *owner;
	struct vsvm_tlb_entry entries[VSVM_TLB_ENTRIES];
};

void vsvm_tlb_init(struct vsvm_tlb *tlb, struct vsvm_tlb_owner *owner);
u64 vsvm_tlb_lookup(const struct vsvm_tlb *tlb, unsigned long addr);
void vsvm_tlb_fill(struct vsvm_tlb *tlb, unsigned long addr, u64 pte);
void vsvm_tlb_flush(struct vsvm_tlb *tlb, unsigned long start,
		    unsigned long end);

/**
 * struct vsvm_tlb_inval - A TLB invalidation on its way
 * @owner: Whose translations go, NULL for everyone's. Whoever submitted it keeps the
 *	   owner until it is complete
 * @start: First address
 * @end: Address behind the last
 * @seqno: The latest invalidation that this one stands for
 * @due: When the modelled latency is over
 */
struct vsvm_tlb_inval {
	struct vsvm_tlb_owner *owner;
	unsigned long start;
	unsigned long end;
	u64 seqno;
	ktime_t due;
};

/**
 * struct vsvm_tlb_unit - The part of a device that invalidates its TLBs
 *
 * A thread of its own plays the hardware. It allocates nothing and waits for
 * nothing but the accesses in flight, so that memory reclaim can wait for it.
 *
 * @thread: The thread
 * @wq: Wakes the thread, and those who wait for a sequence number
 * @lock: Protects @queue, @head, @count and @submitted
 * @queue: Invalidations under way, a ring
 * @head: The oldest one
 * @count: How many there are
 * @submitted: Number of the last one that was submitted
 * @completed: Number up to which all are complete
 * @tlbs_lock: Protects @tlbs, and each owner's; taken before &vsvm_tlb.access
 * @tlbs: The TLBs of all queues
 * @latency_us: How long an invalidation takes
 * @drop: Report invalidations complete with the translations still there, though
 *	  no access that used them is in flight; to prove that the checker finds
 *	  out, before anything is written
 */
struct vsvm_tlb_unit {
	struct task_struct *thread;
	wait_queue_head_t wq;
	spinlock_t lock;
	struct vsvm_tlb_inval queue[VSVM_TLB_QUEUE];
	unsigned int head;
	unsigned int count;
	u64 submitted;
	u64 completed;
	struct mutex tlbs_lock;
	struct list_head tlbs;
	unsigned int latency_us;
	bool drop;
};

int vsvm_tlb_unit_init(struct vsvm_tlb_unit *unit, const char *name,
		       unsigned int latency_us);
void vsvm_tlb_unit_fini(struct vsvm_tlb_unit *unit);
void vsvm_tlb_unit_add(struct vsvm_tlb_unit *unit, struct vsvm_tlb *tlb);
void vsvm_tlb_unit_remove(struct vsvm_tlb_unit *unit, struct vsvm_tlb *tlb);
u64 vsvm_tlb_inval_submit(struct vsvm_tlb_unit *unit,
			  struct vsvm_tlb_owner *owner,
			  unsigned long start, unsigned long end);
void vsvm_tlb_inval_wait(struct vsvm_tlb_unit *unit, u64 seqno);

#endif
