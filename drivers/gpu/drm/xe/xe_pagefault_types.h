/* SPDX-License-Identifier: MIT */
/*
 * Page faults of the GPU: what who reports them and who serves them have in common.
 */

#ifndef _XE_PAGEFAULT_TYPES_H_
#define _XE_PAGEFAULT_TYPES_H_

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct xe_device;
struct xe_gt;
struct xe_pagefault;
struct xe_vm;

/**
 * enum xe_pagefault_access_type - What the GPU tried to do
 *
 * The values are those of the hardware. What needs more has the higher one, so that
 * they can be compared.
 */
enum xe_pagefault_access_type {
	/** @XE_PAGEFAULT_ACCESS_TYPE_READ: Read */
	XE_PAGEFAULT_ACCESS_TYPE_READ	= 0,
	/** @XE_PAGEFAULT_ACCESS_TYPE_WRITE: Write */
	XE_PAGEFAULT_ACCESS_TYPE_WRITE	= 1,
	/** @XE_PAGEFAULT_ACCESS_TYPE_ATOMIC: Read and write in one go */
	XE_PAGEFAULT_ACCESS_TYPE_ATOMIC	= 2,
};

/** enum xe_pagefault_type - What was wrong; the values are those of the hardware */
enum xe_pagefault_type {
	/** @XE_PAGEFAULT_TYPE_NOT_PRESENT: There is no entry */
	XE_PAGEFAULT_TYPE_NOT_PRESENT			= 0,
	/** @XE_PAGEFAULT_TYPE_WRITE_ACCESS_VIOLATION: It does not allow writes */
	XE_PAGEFAULT_TYPE_WRITE_ACCESS_VIOLATION	= 1,
	/** @XE_PAGEFAULT_TYPE_ATOMIC_ACCESS_VIOLATION: It does not allow atomics */
	XE_PAGEFAULT_TYPE_ATOMIC_ACCESS_VIOLATION	= 2,
};

/** struct xe_pagefault_ops - How to tell a producer */
struct xe_pagefault_ops {
	/**
	 * @ack_fault: Answer a fault
	 * @pf: The fault, as it was reported
	 * @err: 0 if the access can be repeated, or why it can't
	 *
	 * Called in process context, once for each fault that no reset has squashed.
	 */
	void (*ack_fault)(struct xe_pagefault *pf, int err);
};

/**
 * struct xe_pagefault - A page fault, as a producer reports it
 *
 * It has 64 bytes, a line of the cache, and is copied.
 */
struct xe_pagefault {
	/** @gt: The GT that has faulted */
	struct xe_gt *gt;
	/** @consumer: What has to be known to serve the fault */
	struct {
		/** @consumer.page_addr: The address, aligned to 4K */
		u64 page_addr;
		/** @consumer.asid: Of which address space */
		u32 asid;
		/** @consumer.access_type: The access, and a flag that marks a prefetch */
		u8 access_type;
#define XE_PAGEFAULT_ACCESS_TYPE_MASK	GENMASK(1, 0)
#define XE_PAGEFAULT_ACCESS_PREFETCH	BIT(7)
		/**
		 * @consumer.fault_type_level: Type, and level of the page table; or
		 * that the producer wants it to fail
		 */
		u8 fault_type_level;
#define XE_PAGEFAULT_TYPE_LEVEL_NACK		0xff
#define XE_PAGEFAULT_LEVEL_MASK			GENMASK(3, 0)
#define XE_PAGEFAULT_TYPE_MASK			GENMASK(7, 4)
		/** @consumer.engine_class: Class of the engine */
		u8 engine_class;
		/** @consumer.engine_instance: Which one of the class */
		u8 engine_instance;
		/** @consumer.reserved: Not used */
		u64 reserved;
	} consumer;
	/** @producer: What the producer needs to answer it; nobody else's business */
	struct {
		/** @producer.private: The producer */
		void *private;
		/** @producer.ops: Its operations */
		const struct xe_pagefault_ops *ops;
#define XE_PAGEFAULT_PRODUCER_MSG_LEN_DW	4
		/** @producer.msg: The message that told of the fault */
		u32 msg[XE_PAGEFAULT_PRODUCER_MSG_LEN_DW];
	} producer;
};

/**
 * struct xe_pagefault_served - What a tile can access after a fault was served
 *
 * While that is being done, it is where other faults are chained to this one. They look
 * without a lock, so xe_pagefault_tell() sets it. Who is told nonsense is chained in vain.
 */
struct xe_pagefault_served {
	/** @start: First address */
	u64 start;
	/** @end: Address behind the last one; not above @start if that is nothing any more */
	u64 end;
	/** @access: The strongest access that it can make */
	enum xe_pagefault_access_type access;
};

/**
 * xe_pagefault_tell() - Tell what a fault is served along with, or was
 * @served: Where others find that
 * @start: First address
 * @end: Address behind the last one
 */
static inline void xe_pagefault_tell(struct xe_pagefault_served *served, u64 start, u64 end)
{
	WRITE_ONCE(served->start, start);
	WRITE_ONCE(served->end, end);
}

/**
 * enum xe_pagefault_state - Where the entry of a fault is
 *
 * The "Xe page faults" section in xe_pagefault.c says how it gets from one to another.
 */
enum xe_pagefault_state {
	/** @XE_PAGEFAULT_FREE: In &xe_pagefault_queue.free */
	XE_PAGEFAULT_FREE,
	/** @XE_PAGEFAULT_PENDING: In &xe_pagefault_queue.pending, without a VM */
	XE_PAGEFAULT_PENDING,
	/** @XE_PAGEFAULT_WAITING: In &xe_pagefault_vm.waiting */
	XE_PAGEFAULT_WAITING,
	/** @XE_PAGEFAULT_SERVED: In &xe_pagefault_vm.serving, with a worker */
	XE_PAGEFAULT_SERVED,
	/** @XE_PAGEFAULT_CHAINED: In the &xe_pagefault_entry.chain of one that is served */
	XE_PAGEFAULT_CHAINED,
	/** @XE_PAGEFAULT_TAKEN: In no list, with who hands it over or answers it */
	XE_PAGEFAULT_TAKEN,
};

/**
 * struct xe_pagefault_entry - A page fault until it is answered
 *
 * All but @pf, which does not change, is protected by the lock of the queue.
 */
struct xe_pagefault_entry {
	/** @link: Links the entry into the list that @state names */
	struct list_head link;
	/** @chain: Entries that wait for this one's service */
	struct list_head chain;
	/** @pf: The fault */
	struct xe_pagefault pf;
	/** @served: What its service is for; of use while it is served */
	struct xe_pagefault_served served;
	/** @raised: When it was reported */
	ktime_t raised;
	/** @state: Where the entry is */
	enum xe_pagefault_state state;
	/** @page_only: It was chained in vain, and so waits only for its own page now */
	bool page_only;
	/** @squashed: A reset of the GT came meanwhile: nobody waits for an answer */
	bool squashed;
};

/** struct xe_pagefault_queue - The page faults of a device */
struct xe_pagefault_queue {
	/** @xe: The device */
	struct xe_device *xe;
	/** @entries: All entries, @size of them; NULL if the device has no page faults */
	struct xe_pagefault_entry *entries;
	/** @size: How many faults there can be at a time */
	u32 size;
	/** @lock: Protects the lists of the queue and of all VMs; taken in interrupts */
	spinlock_t lock;
	/** @free: Entries without a fault */
	struct list_head free;
	/** @pending: Faults that no VM has yet */
	struct list_head pending;
	/** @work: Hands them over to their VMs */
	struct work_struct work;
	/** @helpers: Workers of VMs that have another one at work already */
	unsigned int helpers;
	/** @works: Workers that are queued or run, and collectors of garbage that run */
	unsigned int works;
	/** @idle: Wakes who waits for @works to end */
	wait_queue_head_t idle;
	/** @suspended: No fault is served */
	bool suspended;
	/** @gone: No fault is taken any more */
	bool gone;
};

/* Each is a thread of the kernel while its service waits. */
#define XE_PAGEFAULT_MAX_HELPERS	1024

/* No VM has more workers than that. */
#define XE_PAGEFAULT_MAX_WORKERS	16

/** struct xe_pagefault_worker - One that serves faults of a VM */
struct xe_pagefault_worker {
	/** @work: The work; the VM has a reference while it is queued or runs */
	struct work_struct work;
	/** @vm: The VM */
	struct xe_vm *vm;
	/** @helper: It is one of &xe_pagefault_queue.helpers */
	bool helper;
};

/**
 * struct xe_pagefault_vm - The page faults of a VM
 *
 * All but @wq and @interrupted is protected by the lock of the queue.
 */
struct xe_pagefault_vm {
	/** @wq: Where @workers are queued, and the collector of garbage */
	struct workqueue_struct *wq;
	/** @waiting: Faults that wait for a worker. If there is one, a worker is busy */
	struct list_head waiting;
	/** @serving: Faults that are served, one a worker */
	struct list_head serving;
	/** @workers: The workers, of which @nr_workers are used */
	struct xe_pagefault_worker workers[XE_PAGEFAULT_MAX_WORKERS];
	/** @nr_workers: How many faults are served at a time; does not change */
	unsigned int nr_workers;
	/** @busy: Workers that are queued or run, a bit each */
	unsigned long busy;
	/** @interrupted: By xe_pagefault_suspend(), which does so one at a time */
	bool interrupted;
};

#endif
