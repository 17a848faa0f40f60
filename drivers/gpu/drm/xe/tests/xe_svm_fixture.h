/* SPDX-License-Identifier: MIT */
#ifndef _XE_SVM_FIXTURE_H_
#define _XE_SVM_FIXTURE_H_

#include <linux/completion.h>
#include <linux/dma-fence.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <kunit/test.h>

#include "xe_pagefault_types.h"

struct drm_gpusvm_pages;
struct file;
struct page;
struct test_thread;
struct xe_device;
struct xe_gt;
struct xe_pci_fake_data;
struct xe_svm_fixture;
struct xe_svm_range;
struct xe_tlb_inval_ops;
struct xe_vm;
struct xe_vma;

/* What is mirrored by default. There is the border of a window in the middle. */
#define SVM_BASE	(64UL * SZ_1G)
#define SVM_SIZE	SZ_1G
#define SVM_END		(SVM_BASE + SVM_SIZE)
#define SVM_BORDER	(SVM_BASE + SZ_512M)

#define PROT_RW		(PROT_READ | PROT_WRITE)

/* The address space of the test's VM, as the GPU calls it. */
#define SVM_ASID	1

/* That of another VM, which uses no memory. */
#define SVM_OTHER_ASID	2

/* How long somebody may be waited for. */
#define SVM_PATIENCE	(10 * HZ)

/* What the GPU does with memory. */
#define GPU_READ	XE_PAGEFAULT_ACCESS_TYPE_READ
#define GPU_WRITE	XE_PAGEFAULT_ACCESS_TYPE_WRITE
#define GPU_ATOMIC	XE_PAGEFAULT_ACCESS_TYPE_ATOMIC

/* An access that the tables of the fake GPU allow. */
#define GPU_PTE_WRITE	BIT_ULL(0)
#define GPU_PTE_VRAM	BIT_ULL(1)

/* Flushes that are remembered. */
#define GPU_FLUSHES	32

/**
 * struct xe_svm_flush - A flush of TLBs that the driver has asked for
 *
 * @gt: Of which GT
 * @start: First address
 * @end: Address behind the last one
 * @seqno: Its number
 */
struct xe_svm_flush {
	struct xe_gt *gt;
	u64 start, end;
	u32 seqno;
};

/**
 * struct xe_svm_gpu - The GPU of a test
 *
 * One tile, whose primary GT has a TLB. Page tables and TLB are kept by the page of
 * the address, the entries are addresses with flags.
 *
 * @ptes: The page tables
 * @tlb: The TLB
 * @large_entries: Entries of a range can't be zapped in part
 * @binds: Ranges that were bound
 * @bound: How much of the last range was, in bytes
 * @unbinds: Ranges that were unbound
 * @zaps: Ranges and VMAs whose entries were zapped, from the CPU
 * @nr_flushes: Flushes
 * @flushes: The first of them
 * @hold_flushes: Flushes up to this number are finished only when so many of them
 *		  are there and somebody waits for one
 * @flush_work: Finishes them
 * @wait_under_lock: Somebody waited for a flush with the notifier lock held
 * @flush_err: What a flush returns that is not done; -ECANCELED: a reset is about to do it
 * @other_flushes: Flushes of the VM that other GTs were asked for
 * @vram: Its memory; NULL if it has none
 * @vram_base: Where that is for the GPU
 * @bind_err: What binding returns; 0 if it works
 * @unbind_err: What unbinding returns; 0 if it works
 */
struct xe_svm_gpu {
	struct xarray ptes;
	struct xarray tlb;
	bool large_entries;
	unsigned int binds;
	u64 bound;
	unsigned int unbinds;
	unsigned int zaps;
	unsigned int nr_flushes;
	struct xe_svm_flush flushes[GPU_FLUSHES];
	unsigned int hold_flushes;
	struct work_struct flush_work;
	bool wait_under_lock;
	int flush_err;
	unsigned int other_flushes;
	void *vram;
	u64 vram_base;
	int bind_err;
	int unbind_err;
};

/**
 * struct xe_svm_job - A job of the GPU, done when somebody asks for its end
 *
 * @fence: Its fence
 * @lock: Of the fence
 * @svm: The fixture
 * @asked: Somebody has asked for its end
 * @end_later: It takes until somebody could take the notifier lock
 * @end_work: Ends it
 * @wait_under_lock: Nobody could
 * @under_lock: And somebody held the notifier lock then
 * @zaps: What was zapped before that
 * @mapped: Pages objects that were mapped then
 */
struct xe_svm_job {
	struct dma_fence fence;
	spinlock_t lock;	/* of the fence */
	struct xe_svm_fixture *svm;
	bool asked;
	bool end_later;
	struct work_struct end_work;
	bool wait_under_lock;
	bool under_lock;
	unsigned int zaps;
	long mapped;
};

/**
 * struct xsvm_silence - A file that gives out nothing before it answers
 *
 * A fault waits like one that a userfaultfd is told of.
 *
 * @page: What it has
 * @wq: Where faults wait, and the test for them
 * @asked: There is one that waits
 * @answered: They don't have to any more
 */
struct xsvm_silence {
	struct page *page;
	wait_queue_head_t wq;
	bool asked;
	bool answered;
};

/**
 * struct xe_svm_fixture - What a test has
 *
 * @xe: The device
 * @gt: The primary GT of its first tile
 * @mm: The test's, with a reference to the structure
 * @vm: A VM in fault mode that mirrors &current->mm, unless it was closed
 * @mirror: The mirror in it
 * @gpu: The GPU
 * @before_bind: Called before entries for a range are put together
 * @before_commit: Called before they are written
 * @before_unbind: Called before a range is unbound
 * @before_flush: Called when a flush is asked for
 * @arg: For the test's hooks
 * @ack: The answer to the last fault
 * @acks: Number of answers
 * @rounds: How often a worker of the VM ran for the last fault
 * @meanwhile: What another thread does
 * @busy: Keeps the workers of the device from running
 * @go_on: Lets them run
 * @vm_busy: Keeps those of the VM from running
 * @vm_go_on: Lets them run, when the VM is closed
 * @vm_destroy: What frees a VM
 * @vm_gone: @vm is freed
 */
struct xe_svm_fixture {
	struct xe_device *xe;
	struct xe_gt *gt;
	struct mm_struct *mm;
	struct xe_vm *vm;
	struct xe_vma *mirror;
	struct xe_svm_gpu gpu;
	void (*before_bind)(struct kunit *test, struct xe_svm_range *range);
	void (*before_commit)(struct kunit *test, struct xe_svm_range *range);
	void (*before_unbind)(struct kunit *test, struct xe_svm_range *range);
	void (*before_flush)(struct kunit *test, u64 start, u64 end);
	void *arg;
	int ack;
	unsigned int acks;
	unsigned int rounds;
	struct test_thread *meanwhile;
	struct work_struct busy;
	struct completion go_on;
	struct work_struct vm_busy;
	struct completion vm_go_on;
	work_func_t vm_destroy;
	struct completion vm_gone;
};

static inline struct xe_svm_fixture *to_svm(struct kunit *test)
{
	return test->priv;
}

int xe_svm_fixture_init_on(struct kunit *test, const struct xe_pci_fake_data *data,
			   void (*init_vram)(struct kunit *test));
int xe_svm_fixture_init(struct kunit *test);
void xe_svm_fixture_exit(struct kunit *test);

/* Between the parts of the fixture */

extern struct xe_svm_fixture *xsvm_current;
extern const struct xe_tlb_inval_ops xsvm_gpu_tlb_ops;

void xsvm_init_gpu(struct kunit *test, struct xe_svm_gpu *gpu);
bool xsvm_run_work(struct work_struct *work);

/* The driver */

void *xsvm_vmalloc(struct kunit *test, unsigned long size);
void xsvm_init_registers(struct kunit *test);
struct xe_vm *xsvm_create_vm(struct kunit *test, u32 flags);
void xsvm_close_vm(struct kunit *test);
struct xe_vma *xsvm_add_mirror(struct kunit *test, u64 start, u64 size, u32 flags);
struct xe_svm_range *xsvm_range_at(struct kunit *test, u64 addr);
struct xe_svm_range *xsvm_find_or_insert(struct kunit *test, u64 addr);
int xsvm_get_pages(struct kunit *test, struct xe_svm_range *range, bool read_only);
bool xsvm_pages_valid(struct kunit *test, struct xe_svm_range *range);
void xsvm_expect_still_mapped(struct kunit *test, u64 start, u64 end);
bool xsvm_collector_pending(struct kunit *test);
void xsvm_run_collector(struct kunit *test);

#define xsvm_stat(fixture, field) \
	atomic_long_read(&(fixture)->vm->svm.gpusvm.stats.field)

/* The GPU */

void xsvm_raise_fault(struct kunit *test, u64 addr, u8 access);
bool xsvm_serve_once(struct kunit *test);
int xsvm_fault(struct kunit *test, u64 addr, u8 access);
int xsvm_gpu_access(struct kunit *test, u64 addr, u8 access);
u64 xsvm_gpu_read(struct kunit *test, u64 addr);
void xsvm_gpu_write(struct kunit *test, u64 addr, u64 value);
struct xe_svm_range *xsvm_gpu_touch(struct kunit *test, u64 addr, u8 access);
bool xsvm_gpu_reaches(struct kunit *test, u64 start, u64 end);
u64 xsvm_gpu_write_ptes(struct kunit *test, u64 addr, u64 start, u64 end,
			const struct drm_gpusvm_pages *pages, u64 flags);
u64 xsvm_gpu_pte(struct kunit *test, u64 addr);
struct xe_svm_job *xsvm_start_job(struct kunit *test);
struct xe_svm_job *xsvm_start_bind(struct kunit *test, struct xe_svm_range *range);
bool xsvm_flushed(struct kunit *test, u64 start, u64 end);

/* The CPU */

void xsvm_map(struct kunit *test, u64 addr, u64 len, unsigned long prot);
struct file *xsvm_map_file(struct kunit *test, u64 addr, u64 len, u64 file_size);
void xsvm_map_file_at(struct kunit *test, struct file *file, u64 addr, u64 len,
		      unsigned long prot);
struct xsvm_silence *xsvm_map_silence(struct kunit *test, u64 addr, u64 len);
void xsvm_answer(struct xsvm_silence *silence);
void xsvm_unmap(struct kunit *test, u64 addr, u64 len);
void xsvm_protect(struct kunit *test, u64 addr, u64 len, unsigned long prot);
void xsvm_start_meanwhile(struct kunit *test, void (*fn)(struct kunit *test));
bool xsvm_meanwhile_ends(struct kunit *test);
void xsvm_wait_meanwhile(struct kunit *test);
void xsvm_meanwhile(struct kunit *test, void (*fn)(struct kunit *test));
void xsvm_zap(struct file *file, u64 offset, u64 len);
void xsvm_write(struct kunit *test, u64 addr, u64 value);
u64 xsvm_read(struct kunit *test, u64 addr);
void xsvm_touch(struct kunit *test, u64 addr, u64 len);
void xsvm_touch_scattered(struct kunit *test, u64 addr, u64 len);
struct xe_svm_range *xsvm_map_and_touch(struct kunit *test, u64 addr, u64 len);

/* Allocations */

int xsvm_stop_failures(void);
void xsvm_resume_failures(int nth);

#endif
