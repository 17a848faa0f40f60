/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The virtual SVM device: a compute device without hardware, which runs small
 * programs on the virtual addresses of a process.
 *
 *	fd = open("/dev/dri/renderD128");
 *	ioctl(fd, DRM_IOCTL_VSVM_VM_CREATE, &vm);
 *	queue.vm_id = vm.vm_id;
 *	ioctl(fd, DRM_IOCTL_VSVM_QUEUE_CREATE, &queue);
 *
 *	op.opcode = DRM_VSVM_OP_FILL;
 *	op.dst = (__u64)(uintptr_t)malloc(size);
 *	op.length = size;
 *	submit.queue_id = queue.queue_id;
 *	submit.ops = (__u64)(uintptr_t)&op;
 *	submit.num_ops = 1;
 *	ioctl(fd, DRM_IOCTL_VSVM_SUBMIT, &submit);
 *
 *	wait.queue_id = queue.queue_id;
 *	wait.seqno = submit.seqno;
 *	wait.timeout_ns = INT64_MAX;
 *	ioctl(fd, DRM_IOCTL_VSVM_WAIT, &wait);
 *
 * Rules for all structs: fields marked "out" are written by the kernel and
 * ignored on the way in; every field named pad or reserved, and every flag that
 * is not defined here, must be zero, or the call fails with EINVAL. Structs
 * grow at the end only; what an older caller doesn't pass counts as zero.
 *
 * What a process makes the kernel allocate is charged to its memory cgroup, and a
 * file has only so many objects, see DRM_VSVM_MAX_*: more give ENOSPC, or EBUSY
 * where there will be room once jobs have ended.
 *
 * Every call fails with ENODEV once the device of the file was removed. When another
 * device of an address space was, so do the calls that would use it: those that create
 * queues, submit jobs, move memory, advise on it or ask where it is. It can still be
 * destroyed, as its queues can, its counters can be read, and jobs be waited for, whose
 * status is ENODEV.
 */

#ifndef _UAPI_VSVM_DRM_H_
#define _UAPI_VSVM_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* Devices that can share one address space. */
#define DRM_VSVM_MAX_DEVICES		8
/* Entries of &drm_vsvm_query.chunk_sizes. */
#define DRM_VSVM_MAX_CHUNKS		8
/* Operations of one job. */
#define DRM_VSVM_MAX_OPS		4096
/* Jobs of one queue that may be unfinished at a time. */
#define DRM_VSVM_MAX_JOBS		256
/* Operations of all unfinished jobs of a file. */
#define DRM_VSVM_MAX_FILE_OPS		(1 << 18)
/* Address spaces of a file. */
#define DRM_VSVM_MAX_VMS		256
/* Queues of a file. */
#define DRM_VSVM_MAX_QUEUES		1024
/* Intervals of one address space with advice of their own. */
#define DRM_VSVM_MAX_ADVICE		4096
/* Latest jobs of one queue whose outcome DRM_IOCTL_VSVM_WAIT can tell. */
#define DRM_VSVM_JOB_HISTORY		1024
/* Bits of a virtual address that the device's page tables translate. */
#define DRM_VSVM_VA_BITS		47
/* For &drm_vsvm_stats.device_index: the sum over the address space's devices. */
#define DRM_VSVM_ALL_DEVICES		(~0U)

/*
 * Where memory is or ought to be: nowhere or anywhere, in system memory, or in
 * the memory of one of the address space's devices.
 */
#define DRM_VSVM_LOCATION_NONE		0
#define DRM_VSVM_LOCATION_SYSTEM	1
#define DRM_VSVM_LOCATION_DEVICE(index)	(16 + (index))

#define DRM_VSVM_QUERY			0x00
#define DRM_VSVM_VM_CREATE		0x01
#define DRM_VSVM_VM_DESTROY		0x02
#define DRM_VSVM_QUEUE_CREATE		0x03
#define DRM_VSVM_QUEUE_DESTROY		0x04
#define DRM_VSVM_SUBMIT			0x05
#define DRM_VSVM_WAIT			0x06
#define DRM_VSVM_STATS			0x07
#define DRM_VSVM_PREFETCH		0x08
#define DRM_VSVM_ADVISE			0x09
#define DRM_VSVM_PLACEMENT		0x0a

/** enum drm_vsvm_policy - What a page fault of the device does to memory */
enum drm_vsvm_policy {
	/** @DRM_VSVM_POLICY_SYSTEM: Leave it where it is, whatever the advice */
	DRM_VSVM_POLICY_SYSTEM = 0,

	/**
	 * @DRM_VSVM_POLICY_ADVICE: Move it where DRM_IOCTL_VSVM_ADVISE says, and
	 * leave it where nothing was said
	 */
	DRM_VSVM_POLICY_ADVICE = 1,

	/**
	 * @DRM_VSVM_POLICY_FIRST_TOUCH: Move it to the device that touches it,
	 * unless it is in device memory that this device reaches already, or
	 * DRM_IOCTL_VSVM_ADVISE says otherwise
	 */
	DRM_VSVM_POLICY_FIRST_TOUCH = 2,
};

/* The device reaches the memory of others that have this, too. */
#define DRM_VSVM_MEM_INTERCONNECT	(1 << 0)
/* When the memory is full, what was not used for longest makes room. */
#define DRM_VSVM_MEM_EVICTION		(1 << 1)

/**
 * struct drm_vsvm_query - What the device is like
 *
 * For DRM_IOCTL_VSVM_QUERY.
 */
struct drm_vsvm_query {
	/** @flags: Must be zero */
	__u32 flags;

	/** @device_index: Out: the device's place in its configuration */
	__u32 device_index;

	/** @num_devices: Out: devices of the configuration */
	__u32 num_devices;

	/**
	 * @fault_workers: Out: page faults of one process that are served at the
	 * same time
	 */
	__u32 fault_workers;

	/** @notifier_size: Out: bytes that one MMU notifier watches */
	__u64 notifier_size;

	/** @va_bits: Out: bits of a virtual address that are translated */
	__u32 va_bits;

	/** @num_chunks: Out: entries of @chunk_sizes that are in use */
	__u32 num_chunks;

	/**
	 * @chunk_sizes: Out: sizes in which memory is looked up and mapped, in
	 * bytes, in descending order
	 */
	__u64 chunk_sizes[DRM_VSVM_MAX_CHUNKS];

	/** @tlb_inval_latency_us: Out: time that a TLB invalidation takes */
	__u32 tlb_inval_latency_us;

	/** @pad: Must be zero */
	__u32 pad;

	/** @check_pages_threshold: Out: chunks up to this size need to be present */
	__u64 check_pages_threshold;

	/** @mem_size: Out: bytes of device memory, zero if there is none */
	__u64 mem_size;

	/** @fault_window: Out: bytes that a CPU fault brings back at a time */
	__u64 fault_window;

	/** @mem_flags: Out: DRM_VSVM_MEM_* */
	__u32 mem_flags;

	/** @policy: Out: one of &enum drm_vsvm_policy */
	__u32 policy;

	/**
	 * @timeslice_ms: Out: time for which the CPU leaves memory to the device
	 * that it was moved to, in milliseconds
	 */
	__u32 timeslice_ms;

	/** @copy_latency_us: Out: time that each copy takes to begin */
	__u32 copy_latency_us;

	/** @copy_bandwidth: Out: MiB a second that are copied, zero: no limit */
	__u32 copy_bandwidth;

	/** @pad2: Must be zero */
	__u32 pad2;
};

/**
 * struct drm_vsvm_vm_create - Mirror the calling process's address space
 *
 * For DRM_IOCTL_VSVM_VM_CREATE. The address space belongs to the file that it
 * is created on, and all further calls on it are made on that file. It mirrors
 * the memory of the calling process, also after fork() and when the file is
 * passed on: only threads of this process can create queues and submit jobs. When
 * the process dies, page faults that are waiting for memory of its are given up, even
 * if others have the file open.
 *
 * Device 0 of the address space is the one of the file. Others can join it by
 * their open render nodes; the page tables of all are kept together, so that a
 * page fault of one device is served for all of them. Chunk and notifier sizes
 * are those of device 0. The address space ends with the first of its devices:
 * when one is removed, all its queues stop.
 *
 * Errors: EINVAL for a bad window, too many devices, a device that is named
 * twice, or a file that isn't one of this driver's render nodes; EBADF for a
 * file descriptor that isn't open; EFAULT for a bad pointer; ENOSPC for more than
 * DRM_VSVM_MAX_VMS in a file.
 */
struct drm_vsvm_vm_create {
	/** @flags: Must be zero */
	__u32 flags;

	/** @num_fds: Number of further devices, below DRM_VSVM_MAX_DEVICES */
	__u32 num_fds;

	/**
	 * @fds: Pointer to an array of @num_fds __s32, file descriptors of the
	 * devices 1 and up; they may be closed when the call returns
	 */
	__u64 fds;

	/** @va_start: First address that the devices can use; page aligned */
	__u64 va_start;

	/**
	 * @va_size: Size of the window that they can use, in bytes; page
	 * aligned, or zero for all up to 1 << DRM_VSVM_VA_BITS. An access
	 * outside the window fails the job with EFAULT
	 */
	__u64 va_size;

	/** @vm_id: Out: the address space, not zero */
	__u32 vm_id;

	/** @pad: Must be zero */
	__u32 pad;
};

/**
 * struct drm_vsvm_vm_destroy - End an address space
 *
 * For DRM_IOCTL_VSVM_VM_DESTROY. Destroys its queues first. ENOENT if there is
 * no such address space.
 */
struct drm_vsvm_vm_destroy {
	/** @vm_id: The address space */
	__u32 vm_id;

	/** @pad: Must be zero */
	__u32 pad;
};

/**
 * struct drm_vsvm_queue_create - Create a queue
 *
 * For DRM_IOCTL_VSVM_QUEUE_CREATE. Jobs of one queue run one after the other,
 * those of different queues run at the same time; of many, they take turns.
 *
 * Errors: ENOENT for an unknown address space, EINVAL for a device that is not
 * in it, EPERM in another process than the one mirrored, ENOSPC for more than
 * DRM_VSVM_MAX_QUEUES in a file.
 */
struct drm_vsvm_queue_create {
	/** @flags: Must be zero */
	__u32 flags;

	/** @vm_id: The address space */
	__u32 vm_id;

	/** @device_index: Which of the address space's devices runs the jobs */
	__u32 device_index;

	/** @queue_id: Out: the queue, not zero */
	__u32 queue_id;
};

/**
 * struct drm_vsvm_queue_destroy - Destroy a queue
 *
 * For DRM_IOCTL_VSVM_QUEUE_DESTROY. The running job is stopped and the waiting
 * ones are dropped; their fences are not written. Returns when the device no
 * longer touches memory for this queue. ENOENT if there is no such queue.
 */
struct drm_vsvm_queue_destroy {
	/** @queue_id: The queue */
	__u32 queue_id;

	/** @pad: Must be zero */
	__u32 pad;
};

/** enum drm_vsvm_opcode - What an operation does */
enum drm_vsvm_opcode {
	/** @DRM_VSVM_OP_NOP: Nothing; all other fields must be zero */
	DRM_VSVM_OP_NOP = 0,

	/**
	 * @DRM_VSVM_OP_FILL: Write @length bytes at @dst: the eight bytes of
	 * @value, little end first, over and over. Any alignment. Takes write
	 * faults.
	 */
	DRM_VSVM_OP_FILL = 1,

	/**
	 * @DRM_VSVM_OP_COPY: Copy @length bytes from @src to @dst, which must
	 * not overlap. Any alignment. Takes read faults on @src, write faults
	 * on @dst.
	 */
	DRM_VSVM_OP_COPY = 2,

	/**
	 * @DRM_VSVM_OP_ADD: Add @value to each element of the array of @length
	 * bytes at @dst. Not atomic. Takes write faults.
	 */
	DRM_VSVM_OP_ADD = 3,

	/**
	 * @DRM_VSVM_OP_ATOMIC_ADD: Add @value to @count elements, @stride bytes
	 * apart, the first at @dst; and all that @repeat times (zero means
	 * once). Each addition is atomic against CPUs and devices. Takes write
	 * faults. Result: what the last element was before the last addition.
	 */
	DRM_VSVM_OP_ATOMIC_ADD = 4,

	/**
	 * @DRM_VSVM_OP_CAS: If the element at @dst is @compare, make it @value;
	 * atomic against CPUs and devices. Takes write faults. Result: what the
	 * element was before.
	 */
	DRM_VSVM_OP_CAS = 5,

	/**
	 * @DRM_VSVM_OP_CHASE: Begin with the address @src; @count times, load
	 * the next address from there. Elements are 64 bits. Takes read faults.
	 * Result: the last address that was loaded. A loaded address that isn't
	 * aligned or lies outside the window fails the job with EFAULT when it
	 * is followed.
	 */
	DRM_VSVM_OP_CHASE = 6,

	/**
	 * @DRM_VSVM_OP_SUM: Add up the array of @length bytes at @src. Takes
	 * read faults. Result: the sum, modulo 2^64.
	 */
	DRM_VSVM_OP_SUM = 7,

	/**
	 * @DRM_VSVM_OP_AWAIT: Wait until the element at @src is at least @value,
	 * without sign: a fence that another job, the CPU or whoever else writes.
	 * Everything behind it in the queue waits as well. Takes read faults.
	 */
	DRM_VSVM_OP_AWAIT = 8,
};

/*
 * For ADD, ATOMIC_ADD, CAS, SUM and AWAIT: elements are 32 bits, not 64; of @value and
 * @compare the lower half counts.
 */
#define DRM_VSVM_OP_FLAG_U32		(1 << 0)

/**
 * struct drm_vsvm_op - An operation of a job
 *
 * All addresses are those of the mirrored process. Elements must be aligned to
 * their size, as must @stride, and @length a multiple of it. Fields that an
 * opcode doesn't use must be zero, @length or @count must not.
 *
 * An operation whose addresses are misaligned, or that reaches beyond
 * 1 << DRM_VSVM_VA_BITS, is refused when it is submitted, with EINVAL. One that
 * meets memory that the process itself couldn't read or write fails the job
 * when it gets there; what it did up to there stays done.
 */
struct drm_vsvm_op {
	/** @opcode: One of &enum drm_vsvm_opcode */
	__u32 opcode;

	/** @flags: DRM_VSVM_OP_FLAG_* */
	__u32 flags;

	/** @dst: Address that is written (FILL, COPY, ADD, ATOMIC_ADD, CAS) */
	__u64 dst;

	/** @src: Address that is read (COPY, CHASE, SUM, AWAIT) */
	__u64 src;

	/** @length: Bytes (FILL, COPY, ADD, SUM) */
	__u64 length;

	/** @count: Elements (ATOMIC_ADD) or steps (CHASE) */
	__u64 count;

	/**
	 * @stride: Distance between elements in bytes (ATOMIC_ADD); zero puts
	 * all on the same element
	 */
	__u64 stride;

	/** @value: What to fill with, add, swap in, or wait for */
	__u64 value;

	/** @compare: What is expected (CAS) */
	__u64 compare;

	/** @repeat: How often to do it (ATOMIC_ADD) */
	__u32 repeat;

	/** @pad: Must be zero */
	__u32 pad;
};

/**
 * struct drm_vsvm_submit - Submit a job
 *
 * For DRM_IOCTL_VSVM_SUBMIT. The operations run in order. A job fails with its
 * first operation that does; the jobs behind it run all the same.
 *
 * A job can take for as long as it likes, so its end is no fence that other drivers
 * could wait for. It can write a word in memory, which the process or other jobs
 * look at.
 *
 * Errors: ENOENT for an unknown queue; EINVAL for a bad operation or address of the
 * fence; EPERM in another process than the one mirrored; EBUSY if
 * DRM_VSVM_MAX_JOBS of the queue's jobs, or jobs of the file with more than
 * DRM_VSVM_MAX_FILE_OPS operations together with this one, are unfinished.
 */
struct drm_vsvm_submit {
	/** @flags: Must be zero */
	__u32 flags;

	/** @queue_id: The queue */
	__u32 queue_id;

	/** @ops: Pointer to an array of @num_ops &struct drm_vsvm_op */
	__u64 ops;

	/** @num_ops: Number of operations, 1 to DRM_VSVM_MAX_OPS */
	__u32 num_ops;

	/** @pad: Must be zero */
	__u32 pad;

	/**
	 * @fence_addr: Address of a 64-bit word that the device makes @fence_value
	 * when the operations are over, also by an error; aligned. Zero for none.
	 * Takes a write fault; if that fails, so does the job. Not written once the
	 * queue or a device of the address space ends
	 */
	__u64 fence_addr;

	/** @fence_value: What to write */
	__u64 fence_value;

	/** @seqno: Out: the job's number in its queue, from 1 */
	__u64 seqno;
};

/**
 * struct drm_vsvm_wait - Wait for a job and learn its outcome
 *
 * For DRM_IOCTL_VSVM_WAIT. The call succeeds when the job ended, even if it
 * failed: see @status.
 *
 * Errors: ENOENT for an unknown queue, or for a job that DRM_VSVM_JOB_HISTORY
 * or more others followed; EINVAL for a job that was not submitted yet; ETIME
 * when the time is over.
 */
struct drm_vsvm_wait {
	/** @flags: Must be zero */
	__u32 flags;

	/** @queue_id: The queue */
	__u32 queue_id;

	/** @seqno: The job, as returned in &drm_vsvm_submit.seqno */
	__u64 seqno;

	/**
	 * @timeout_ns: Until when to wait: an absolute time on CLOCK_MONOTONIC,
	 * so that an interrupted call can be repeated as it is. Zero or a time
	 * that is past: just look. INT64_MAX: for ever
	 */
	__s64 timeout_ns;

	/**
	 * @status: Out: 0 if the job succeeded, or a negative error number:
	 *
	 * * -EFAULT: nothing is mapped at @fault_addr, or nothing that a device
	 *   can use, or the process is gone
	 * * -EPERM: @fault_addr isn't mapped for this kind of access
	 * * -ECANCELED: the queue, its address space or the file was destroyed
	 * * -ENODEV: a device of the address space was removed
	 * * -EIO: the device refused a stale translation (see
	 *   &drm_vsvm_device_stats.stale_accesses), or its copy engine failed
	 * * -EACCES: an atomic access that needs local memory (see
	 *   DRM_VSVM_ADVISE_ATOMIC_LOCAL) met memory that can't be moved
	 * * others, as -ENOMEM or -EBUSY, from serving a page fault
	 */
	__s32 status;

	/** @pad: Must be zero */
	__u32 pad;

	/** @fault_addr: Out: where a job that failed met the page fault, or 0 */
	__u64 fault_addr;

	/** @result: Out: the result of the last operation that has one */
	__u64 result;

	/** @faults: Out: page faults that the job raised */
	__u64 faults;
};

/**
 * struct drm_vsvm_device_stats - Counters
 *
 * What a device did for an address space; what the address space did for all its
 * devices together; and what a device's memory did for all address spaces. All
 * grow from zero, but for those that tell what there is now.
 */
struct drm_vsvm_device_stats {
	/** @read_faults: Page faults by reads */
	__u64 read_faults;
	/** @write_faults: Page faults by writes */
	__u64 write_faults;
	/** @upgrades: Write faults on memory that was mapped for reading */
	__u64 upgrades;
	/** @spurious_faults: Faults that found their memory mapped already */
	__u64 spurious_faults;
	/** @narrowed: Faults that were served by a page, their chunk being mixed */
	__u64 narrowed;
	/** @retries: Attempts that an invalidation made useless */
	__u64 retries;
	/** @failed_faults: Faults that failed their job */
	__u64 failed_faults;
	/** @pages: Pages that were bound into the device's page table */
	__u64 pages;
	/** @segments: Address entries that these were bound from */
	__u64 segments;
	/** @tlb_hits: Accesses that the queues' TLBs translated */
	__u64 tlb_hits;
	/** @tlb_misses: Accesses that needed a walk of the device's page table */
	__u64 tlb_misses;
	/** @tlb_invals: TLB invalidations that were submitted */
	__u64 tlb_invals;
	/** @stale_accesses: Accesses refused, their translation taken away */
	__u64 stale_accesses;
	/** @jobs: Jobs that ended */
	__u64 jobs;
	/** @failed_jobs: Those that ended with an error */
	__u64 failed_jobs;

	/** @walks: Walks of the CPU's page tables (address space) */
	__u64 walks;
	/** @gets: Pages objects that were mapped (address space) */
	__u64 gets;
	/** @invalidations: Invalidations that hit a range (address space) */
	__u64 invalidations;
	/** @ranges: Ranges there are now (address space) */
	__u64 ranges;
	/** @notifiers: Notifiers there are now (address space) */
	__u64 notifiers;
	/** @collected: Ranges that the garbage collector took (address space) */
	__u64 collected;

	/** @local_pages: Those of @pages that were in the device's own memory */
	__u64 local_pages;
	/** @peer_pages: Those of @pages that were in another device's memory */
	__u64 peer_pages;
	/** @migrations: Faults and prefetches that asked for device memory */
	__u64 migrations;
	/** @migrated_pages: Pages that these moved to the device */
	__u64 migrated_pages;
	/** @resident_pages: Pages that these found there already */
	__u64 resident_pages;
	/** @left_pages: Pages that these had to leave where they were */
	__u64 left_pages;
	/** @fallbacks: Faults that took system memory instead */
	__u64 fallbacks;
	/** @atomic_faults: Atomic accesses that had to wait for local memory */
	__u64 atomic_faults;

	/** @mem_size: Bytes of device memory there are (device) */
	__u64 mem_size;
	/** @mem_used: Bytes of it that are in use now (device) */
	__u64 mem_used;
	/** @mem_allocs: Allocations there are now (device) */
	__u64 mem_allocs;
	/** @mem_evictions: Allocations that were evicted to make room (device) */
	__u64 mem_evictions;
	/** @to_devmem: Pages that moved into the memory (device) */
	__u64 to_devmem;
	/** @to_devmem_huge: Those of them that moved in huge pages (device) */
	__u64 to_devmem_huge;
	/** @zeroed: Those of them that there was nothing to copy for (device) */
	__u64 zeroed;
	/** @to_ram: Pages that CPU faults brought back (device) */
	__u64 to_ram;
	/** @evicted: Pages that evictions brought back (device) */
	__u64 evicted;
	/** @cpu_faults: CPU faults on the memory (device) */
	__u64 cpu_faults;
	/** @timeslice_waits: CPU faults that slept out a timeslice (device) */
	__u64 timeslice_waits;
	/** @copies: Copies that the copy engine did (device) */
	__u64 copies;
	/** @copied_in: Bytes that these brought into the memory (device) */
	__u64 copied_in;
	/** @copied_out: Bytes that these brought out of it (device) */
	__u64 copied_out;
	/** @failed_copies: Copies that failed (device) */
	__u64 failed_copies;
};

/**
 * struct drm_vsvm_stats - Read the counters of an address space
 *
 * For DRM_IOCTL_VSVM_STATS. ENOENT for an unknown address space, EINVAL for a
 * device that is not in it.
 */
struct drm_vsvm_stats {
	/** @flags: Must be zero */
	__u32 flags;

	/** @vm_id: The address space */
	__u32 vm_id;

	/** @device_index: Which of its devices, or DRM_VSVM_ALL_DEVICES */
	__u32 device_index;

	/**
	 * @size: In: size of the caller's struct. Out: how much of it the
	 * kernel knows and wrote; the rest is zeroed
	 */
	__u32 size;

	/** @stats: Pointer to a &struct drm_vsvm_device_stats */
	__u64 stats;
};

/**
 * struct drm_vsvm_prefetch - Move memory before it is needed
 *
 * For DRM_IOCTL_VSVM_PREFETCH. Best effort: pages that can't be moved, since
 * they are pinned, of a file or busy, stay where they are. To a device, holes of
 * anonymous memory move as zeroes without ever being allocated in system
 * memory. To system memory, only what is in the memory of the address space's
 * devices moves.
 *
 * Nothing is mapped for any device by this.
 *
 * Errors: ENOENT for an unknown address space; EINVAL for an interval that is
 * empty, not page aligned or outside of the window, an unknown location, or
 * a device without memory; EPERM in another process than the one mirrored; EINTR
 * when a signal came; ENOSPC if there is no room and nothing can be evicted;
 * EIO if the copy engine failed. @moved, @resident and @left are written in any
 * case but for EFAULT, ENOENT, EINVAL and EPERM.
 */
struct drm_vsvm_prefetch {
	/** @flags: Must be zero */
	__u32 flags;

	/** @vm_id: The address space */
	__u32 vm_id;

	/** @start: First address; page aligned */
	__u64 start;

	/** @size: Bytes; page aligned */
	__u64 size;

	/**
	 * @location: Where to: DRM_VSVM_LOCATION_SYSTEM or
	 * DRM_VSVM_LOCATION_DEVICE()
	 */
	__u32 location;

	/**
	 * @timeslice_ms: For how long the CPU is to leave it there, in
	 * milliseconds; zero for no time
	 */
	__u32 timeslice_ms;

	/** @moved: Out: pages that were moved */
	__u64 moved;

	/** @resident: Out: pages that were there already */
	__u64 resident;

	/** @left: Out: pages that stayed elsewhere, or would not come to rest */
	__u64 left;
};

/* At most this many milliseconds can be asked for as a timeslice. */
#define DRM_VSVM_MAX_TIMESLICE_MS	10000

/*
 * An atomic access of a device needs the memory to be the device's own: it is
 * moved there first, and the CPU has to wait for the timeslice to be over. Where
 * it can't be moved, the access fails with EACCES.
 */
#define DRM_VSVM_ADVISE_ATOMIC_LOCAL	(1 << 0)

/**
 * struct drm_vsvm_advise - Say where memory ought to be
 *
 * For DRM_IOCTL_VSVM_ADVISE. Replaces what was said about these addresses
 * before; all zeroes take it back. The advice belongs to the addresses, whatever
 * is mapped there, and is heeded by page faults from now on, as far as the
 * device's &enum drm_vsvm_policy allows. It moves nothing by itself, but devices
 * will fault anew where they had mappings.
 *
 * Errors: as for DRM_IOCTL_VSVM_PREFETCH; ENOMEM; EINTR if the caller was killed;
 * and ENOSPC for more than DRM_VSVM_MAX_ADVICE intervals, also by taking back a
 * part in the middle of one.
 */
struct drm_vsvm_advise {
	/** @flags: DRM_VSVM_ADVISE_* */
	__u32 flags;

	/** @vm_id: The address space */
	__u32 vm_id;

	/** @start: First address; page aligned */
	__u64 start;

	/** @size: Bytes; page aligned */
	__u64 size;

	/**
	 * @location: Where it ought to be: DRM_VSVM_LOCATION_NONE for what the
	 * policy says, DRM_VSVM_LOCATION_SYSTEM or DRM_VSVM_LOCATION_DEVICE()
	 */
	__u32 location;

	/**
	 * @timeslice_ms: For how long the CPU is to leave memory that moves by
	 * this advice to the device, in milliseconds, at most
	 * DRM_VSVM_MAX_TIMESLICE_MS; zero for the device's default
	 */
	__u32 timeslice_ms;
};

/* In &drm_vsvm_placement.pages: mapped as part of a huge page. */
#define DRM_VSVM_PLACEMENT_HUGE		0x80
/* In &drm_vsvm_placement.pages: where the page is. */
#define DRM_VSVM_PLACEMENT_LOCATION	0x7f
/* Most bytes that one call can ask about. */
#define DRM_VSVM_MAX_PLACEMENT		(1ULL << 30)

/**
 * struct drm_vsvm_placement - Tell where memory is
 *
 * For DRM_IOCTL_VSVM_PLACEMENT. Looks at the page tables of the process as they
 * are, faults nothing in and moves nothing. It may be different by the time the
 * call returns.
 *
 * Errors: ENOENT for an unknown address space; EINVAL for an interval that is
 * empty, not page aligned, outside of the window, or greater than
 * DRM_VSVM_MAX_PLACEMENT; EPERM in another process than the one mirrored; EBUSY
 * if the memory would not come to rest; EFAULT for a bad pointer.
 */
struct drm_vsvm_placement {
	/** @flags: Must be zero */
	__u32 flags;

	/** @vm_id: The address space */
	__u32 vm_id;

	/** @start: First address; page aligned */
	__u64 start;

	/** @size: Bytes; page aligned */
	__u64 size;

	/**
	 * @pages: Pointer to an array of __u8, one for each page: which location
	 * it has (see DRM_VSVM_PLACEMENT_LOCATION), and
	 * DRM_VSVM_PLACEMENT_HUGE. DRM_VSVM_LOCATION_NONE if it is nowhere:
	 * not there yet, paged out, or nothing is mapped; so is the memory of
	 * devices that are not in the address space
	 */
	__u64 pages;
};

#define DRM_IOCTL_VSVM_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_QUERY, struct drm_vsvm_query)
#define DRM_IOCTL_VSVM_VM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_VM_CREATE, struct drm_vsvm_vm_create)
#define DRM_IOCTL_VSVM_VM_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_VM_DESTROY, struct drm_vsvm_vm_destroy)
#define DRM_IOCTL_VSVM_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_QUEUE_CREATE, struct drm_vsvm_queue_create)
#define DRM_IOCTL_VSVM_QUEUE_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_QUEUE_DESTROY, struct drm_vsvm_queue_destroy)
#define DRM_IOCTL_VSVM_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_SUBMIT, struct drm_vsvm_submit)
#define DRM_IOCTL_VSVM_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_WAIT, struct drm_vsvm_wait)
#define DRM_IOCTL_VSVM_STATS \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_STATS, struct drm_vsvm_stats)
#define DRM_IOCTL_VSVM_PREFETCH \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_PREFETCH, struct drm_vsvm_prefetch)
#define DRM_IOCTL_VSVM_ADVISE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_ADVISE, struct drm_vsvm_advise)
#define DRM_IOCTL_VSVM_PLACEMENT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_PLACEMENT, struct drm_vsvm_placement)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_VSVM_DRM_H_ */
