// SPDX-License-Identifier: MIT
/*
 * What the tests of SVM and userptrs share: a fake device, a VM of the real driver
 * on it, and a process's address space, which is the test's own.
 *
 * Only the GPU is replaced: its page tables and its TLB are xarrays, of which the
 * driver knows by what it asks the GPU to do. The GPU's accesses look there, and
 * raise a fault where there is nothing, which takes the way that all faults take.
 * The workers of the device don't run but when the test lets them, as part of the
 * test, so that it can look at what is in between.
 */

#include <linux/dma-direct.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pm_runtime.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/drm_managed.h>

#include <kunit/resource.h>
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include <uapi/drm/xe_drm.h>

#include "tests/xe_pci_test.h"
#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_gt_stats.h"
#include "xe_hw_engine.h"
#include "xe_irq.h"
#include "xe_pagefault.h"
#include "xe_pt.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* The address space of the test's VM, as the GPU calls it. */
#define SVM_ASID	1

/* How long somebody may be waited for. */
#define SVM_PATIENCE	(10 * HZ)

/* Operations of the GPU get no context: there is one test at a time. */
static struct xe_svm_fixture *current_svm;

/* ------------------------------------------------------------------------
 * Allocations that are made to fail
 */

#ifdef CONFIG_FAULT_INJECTION
int xsvm_stop_failures(void)
{
	int nth = current->fail_nth;

	current->fail_nth = 0;

	return nth;
}

/* Let the nth allocation from now on fail; 0 for none. */
void xsvm_resume_failures(int nth)
{
	current->fail_nth = nth;
}
#else
int xsvm_stop_failures(void)
{
	return 0;
}

void xsvm_resume_failures(int nth)
{
}
#endif

/* ------------------------------------------------------------------------
 * The GPU: page tables
 */

static unsigned long addr_to_index(u64 addr)
{
	return addr >> PAGE_SHIFT;
}

/* The GPU needs no memory, so it is not affected if allocations are made to fail. */
static void entries_set(struct kunit *test, struct xarray *xa, u64 addr, u64 pte)
{
	int nth = xsvm_stop_failures();
	void *old = xa_store(xa, addr_to_index(addr), xa_mk_value(pte), GFP_KERNEL);

	xsvm_resume_failures(nth);
	KUNIT_ASSERT_FALSE(test, xa_is_err(old));
}

static u64 entries_get(struct xarray *xa, u64 addr)
{
	void *entry = xa_load(xa, addr_to_index(addr));

	return entry ? xa_to_value(entry) : 0;
}

/* Returns whether there was anything. */
static bool entries_clear(struct xarray *xa, u64 start, u64 end)
{
	unsigned long index;
	bool found = false;
	void *entry;

	xa_for_each_range(xa, index, entry, addr_to_index(start), addr_to_index(end - 1)) {
		xa_erase(xa, index);
		found = true;
	}

	return found;
}

/* There is no memory for page tables in the fake device, nor does it need any. */
static struct xe_pt *gpu_create_pt(struct xe_vm *vm, struct xe_tile *tile,
				   unsigned int level, struct drm_exec *exec)
{
	return NULL;
}

static bool gpu_zap_range(struct xe_tile *tile, struct xe_vm *vm,
			  struct xe_svm_range *range, u64 *start, u64 *end)
{
	struct kunit *test = kunit_get_current_test();

	if (current_svm->gpu.large_entries) {
		*start = xe_svm_range_start(range);
		*end = xe_svm_range_end(range);
	}

	/* A job that is under way could write the entries again. */
	KUNIT_EXPECT_TRUE(test, dma_resv_test_signaled(xe_vm_resv(vm),
						       DMA_RESV_USAGE_BOOKKEEP));
	current_svm->gpu.zaps++;

	return entries_clear(&current_svm->gpu.ptes, *start, *end);
}

static bool gpu_zap_vma(struct xe_tile *tile, struct xe_vma *vma)
{
	current_svm->gpu.zaps++;

	return entries_clear(&current_svm->gpu.ptes, xe_vma_start(vma),
			     xe_vma_end(vma));
}

/*
 * Write page tables for what was got at an address, as far as it is in an interval.
 * Returns the address behind what was got.
 */
u64 xsvm_gpu_write_ptes(struct kunit *test, u64 addr, u64 start, u64 end,
			const struct drm_gpusvm_pages *pages, u64 flags)
{
	u64 offset;
	unsigned int i;

	for (i = 0; i < pages->nr_addrs; i++) {
		const struct drm_pagemap_addr *a = &pages->dma_addr[i];
		u64 vram = a->proto == XE_INTERCONNECT_VRAM ? GPU_PTE_VRAM : 0;
		u64 write = a->dir == DMA_TO_DEVICE ? 0 : flags;

		for (offset = 0; offset < PAGE_SIZE << a->order; offset += PAGE_SIZE) {
			if (addr + offset < start || addr + offset >= end)
				continue;
			if (a->hole || a->taken)
				entries_clear(&current_svm->gpu.ptes, addr + offset,
					      addr + offset + PAGE_SIZE);
			else
				entries_set(test, &current_svm->gpu.ptes, addr + offset,
					    (a->addr + offset) | write | vram);
		}
		addr += offset;
	}

	return addr;
}

/* What xe_pt.c puts together. Returns whether there is anything to be written. */
static bool gpu_stage_range(struct xe_vm *vm, struct xe_svm_range *range,
			    u64 *start, u64 *end)
{
	bool ok;

	xe_svm_notifier_lock(vm);
	ok = xe_svm_range_can_bind(range);
	if (ok)
		xe_svm_range_to_bind(range, 0, start, end);
	xe_svm_notifier_unlock(vm);

	return ok;
}

/* And how it writes that: look, write and note in one go, or not at all. */
static bool gpu_commit_range(struct kunit *test, struct xe_vm *vm, struct xe_vma *vma,
			     struct xe_svm_range *range, u64 start, u64 end)
{
	struct xe_svm_gpu *gpu = &current_svm->gpu;
	bool ok;

	xe_svm_notifier_lock(vm);
	ok = xe_svm_range_can_commit(range);
	if (ok) {
		entries_clear(&gpu->ptes, start, end);
		xsvm_gpu_write_ptes(test, xe_svm_range_start(range),
				    max_t(u64, start, range->window.start),
				    min_t(u64, end, range->window.end), &range->pages,
				    xe_vma_read_only(vma) ? 0 : GPU_PTE_WRITE);
		xe_svm_range_note_bound(range, 0);
		gpu->bound = end - start;
	}
	xe_svm_notifier_unlock(vm);

	return ok;
}

static struct dma_fence *gpu_bind_range(struct xe_vm *vm, struct xe_vma *vma,
					struct xe_svm_range *range, u8 tile_mask)
{
	struct kunit *test = kunit_get_current_test();
	struct xe_svm_fixture *svm = current_svm;
	u64 start, end;

	if (svm->before_bind)
		svm->before_bind(test, range);
	if (svm->gpu.bind_err)
		return ERR_PTR(svm->gpu.bind_err);

	KUNIT_EXPECT_FALSE(test, range->base.flags.removed);
	if (!gpu_stage_range(vm, range, &start, &end))
		return ERR_PTR(-EAGAIN);
	if (svm->before_commit)
		svm->before_commit(test, range);
	if (!gpu_commit_range(test, vm, vma, range, start, end))
		return ERR_PTR(-EAGAIN);
	svm->gpu.binds++;

	return dma_fence_get_stub();
}

static struct dma_fence *gpu_unbind_range(struct xe_vm *vm, struct xe_svm_range *range)
{
	struct kunit *test = kunit_get_current_test();
	struct xe_svm_fixture *svm = current_svm;

	if (svm->before_unbind)
		svm->before_unbind(test, range);
	if (svm->gpu.unbind_err)
		return ERR_PTR(svm->gpu.unbind_err);

	entries_clear(&svm->gpu.ptes, xe_svm_range_start(range), xe_svm_range_end(range));
	WRITE_ONCE(range->tile_present, 0);
	svm->gpu.unbinds++;

	return dma_fence_get_stub();
}

static int gpu_no_irqs(struct xe_device *xe)
{
	return 0;
}

/* ------------------------------------------------------------------------
 * The GPU: TLBs
 */

static void gpu_finish_flush(struct xe_svm_gpu *gpu, const struct xe_svm_flush *flush)
{
	entries_clear(&gpu->tlb, flush->start, flush->end);
	xe_tlb_inval_done_handler(&flush->gt->tlb_inval, flush->seqno);
}

/* Whether somebody waits for a flush. */
static bool gpu_flush_is_awaited(struct xe_tlb_inval *tlb_inval)
{
	struct xe_tlb_inval_fence *fence;

	guard(spinlock_irq)(&tlb_inval->pending_lock);

	list_for_each_entry(fence, &tlb_inval->pending_fences, link)
		if (!list_empty(&fence->base.cb_list))
			return true;

	return false;
}

/* Whether the rest of the VM could go on within some time. */
static bool gpu_can_lock(struct rw_semaphore *lock)
{
	unsigned long deadline = jiffies + HZ;

	while (!down_write_trylock(lock)) {
		if (time_after(jiffies, deadline))
			return false;
		schedule_timeout_uninterruptible(1);
	}
	up_write(lock);

	return true;
}

/* Finish what is held back once somebody waits for it, and not before. */
static void gpu_flush_work(struct work_struct *work)
{
	struct xe_svm_fixture *svm =
		container_of(work, struct xe_svm_fixture, gpu.flush_work);
	unsigned long deadline = jiffies + SVM_PATIENCE / 2;
	unsigned int i;

	while (!gpu_flush_is_awaited(&svm->gt->tlb_inval) && time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);

	svm->gpu.wait_under_lock = !gpu_can_lock(&svm->vm->svm.gpusvm.notifier_lock);
	for (i = 0; i < svm->gpu.hold_flushes; i++)
		gpu_finish_flush(&svm->gpu, &svm->gpu.flushes[i]);
}

static int gpu_flush_range(struct xe_tlb_inval *tlb_inval, u32 seqno, u64 start,
			   u64 end, u32 asid, struct drm_suballoc *prl_sa)
{
	struct xe_svm_fixture *svm = current_svm;
	struct xe_svm_gpu *gpu = &svm->gpu;
	const struct xe_svm_flush flush = {
		.gt = container_of(tlb_inval, struct xe_gt, tlb_inval),
		.start = start, .end = end, .seqno = seqno,
	};

	/* The other GTs have nothing to forget. */
	if (flush.gt != svm->gt) {
		xe_tlb_inval_done_handler(tlb_inval, seqno);
		return 0;
	}

	KUNIT_EXPECT_EQ(kunit_get_current_test(), asid, SVM_ASID);
	if (svm->before_flush)
		svm->before_flush(kunit_get_current_test(), start, end);

	if (gpu->nr_flushes < GPU_FLUSHES)
		gpu->flushes[gpu->nr_flushes] = flush;
	gpu->nr_flushes++;
	if (gpu->nr_flushes > gpu->hold_flushes)
		gpu_finish_flush(gpu, &flush);
	else if (gpu->nr_flushes == gpu->hold_flushes)
		schedule_work(&gpu->flush_work);

	return 0;
}

static int gpu_flush_nothing(struct xe_tlb_inval *tlb_inval, u32 seqno)
{
	xe_tlb_inval_done_handler(tlb_inval, seqno);
	return 0;
}

static bool gpu_tlbs_initialized(struct xe_tlb_inval *tlb_inval)
{
	return true;
}

static void gpu_push_flushes(struct xe_tlb_inval *tlb_inval)
{
}

static long gpu_flush_timeout(struct xe_tlb_inval *tlb_inval)
{
	return SVM_PATIENCE;
}

static const struct xe_tlb_inval_ops gpu_tlb_ops = {
	.all = gpu_flush_nothing,
	.ggtt = gpu_flush_nothing,
	.ppgtt = gpu_flush_range,
	.initialized = gpu_tlbs_initialized,
	.flush = gpu_push_flushes,
	.timeout_delay = gpu_flush_timeout,
};

/* ------------------------------------------------------------------------
 * The GPU: faults and accesses
 */

static void gpu_ack_fault(struct xe_pagefault *pf, int err)
{
	struct xe_svm_fixture *svm = pf->producer.private;

	svm->ack = err;
	svm->acks++;
}

static const struct xe_pagefault_ops gpu_fault_ops = {
	.ack_fault = gpu_ack_fault,
};

/* Do what a worker was told to do, here and now. */
static bool run_work(struct work_struct *work)
{
	if (!cancel_work(work))
		return false;
	work->func(work);

	return true;
}

/* Raise a fault. It is with its VM then, and not answered. */
void xsvm_raise_fault(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_queue *queue =
		&svm->xe->usm.pf_queue[SVM_ASID % XE_PAGEFAULT_QUEUE_COUNT];
	struct xe_pagefault pf = {
		.gt = svm->gt,
		.consumer = {
			.page_addr = ALIGN_DOWN(addr, SZ_4K),
			.asid = SVM_ASID,
			.access_type = access,
			.engine_class = XE_ENGINE_CLASS_RENDER,
		},
		.producer = {
			.private = svm,
			.ops = &gpu_fault_ops,
		},
	};

	KUNIT_ASSERT_EQ(test, 0, xe_pagefault_handler(svm->xe, &pf));
	KUNIT_ASSERT_TRUE(test, run_work(&queue->worker));
}

/* Let the worker of the VM run, if it is to. */
bool xsvm_serve_once(struct kunit *test)
{
	return run_work(&to_svm(test)->vm->usm.fault_work);
}

/* Raise a fault, and have it served. Returns the answer. */
int xsvm_fault(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_fixture *svm = to_svm(test);
	unsigned int acks = svm->acks;

	xsvm_raise_fault(test, addr, access);
	svm->rounds = 0;
	while (xsvm_serve_once(test))
		svm->rounds++;
	KUNIT_ASSERT_EQ(test, svm->acks, acks + 1);

	return svm->ack;
}

static bool pte_allows(u64 pte, u8 access)
{
	if (!pte)
		return false;

	return (access & XE_PAGEFAULT_ACCESS_TYPE_MASK) == XE_PAGEFAULT_ACCESS_TYPE_READ ||
	       pte & GPU_PTE_WRITE;
}

/* The entry that the GPU uses, which is the one in the TLB if there is one. */
u64 xsvm_gpu_pte(struct kunit *test, u64 addr)
{
	struct xe_svm_gpu *gpu = &to_svm(test)->gpu;
	u64 pte = entries_get(&gpu->tlb, addr);

	if (pte)
		return pte;

	pte = entries_get(&gpu->ptes, addr);
	if (pte)
		entries_set(test, &gpu->tlb, addr, pte);

	return pte;
}

/* Access memory. Returns the error of a fault that was answered as failed. */
int xsvm_gpu_access(struct kunit *test, u64 addr, u8 access)
{
	int err;

	if (pte_allows(xsvm_gpu_pte(test, addr), access))
		return 0;

	/* An entry that doesn't allow the access is looked up anew. */
	xa_erase(&to_svm(test)->gpu.tlb, addr_to_index(addr));
	if (pte_allows(xsvm_gpu_pte(test, addr), access))
		return 0;

	err = xsvm_fault(test, addr, access);
	if (err)
		return err;

	xa_erase(&to_svm(test)->gpu.tlb, addr_to_index(addr));
	KUNIT_EXPECT_TRUE_MSG(test, pte_allows(xsvm_gpu_pte(test, addr), access),
			      "a fault at 0x%llx was not served, but answered so", addr);

	return 0;
}

static u64 *gpu_memory(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_fixture *svm = to_svm(test);
	u64 pte, phys;

	KUNIT_ASSERT_EQ(test, 0, xsvm_gpu_access(test, addr, access));
	pte = xsvm_gpu_pte(test, addr);
	phys = pte & PAGE_MASK;

	if (pte & GPU_PTE_VRAM)
		return svm->gpu.vram + (phys - svm->gpu.vram_base) + offset_in_page(addr);

	return phys_to_virt(dma_to_phys(svm->xe->drm.dev, phys)) + offset_in_page(addr);
}

u64 xsvm_gpu_read(struct kunit *test, u64 addr)
{
	return *gpu_memory(test, addr, XE_PAGEFAULT_ACCESS_TYPE_READ);
}

void xsvm_gpu_write(struct kunit *test, u64 addr, u64 value)
{
	*gpu_memory(test, addr, XE_PAGEFAULT_ACCESS_TYPE_WRITE) = value;
}

/* Have the GPU access an address. Returns the range that serves it. */
struct xe_svm_range *xsvm_gpu_touch(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_range *range;

	KUNIT_ASSERT_EQ(test, 0, xsvm_gpu_access(test, addr, access));
	range = xsvm_range_at(test, addr);
	KUNIT_ASSERT_NOT_NULL(test, range);

	return range;
}

/* Whether the GPU could access anything in an interval without a fault. */
bool xsvm_gpu_reaches(struct kunit *test, u64 start, u64 end)
{
	struct xe_svm_gpu *gpu = &to_svm(test)->gpu;
	unsigned long first = addr_to_index(start), last = addr_to_index(end - 1);
	unsigned long tlb = first, pte = first;

	return xa_find(&gpu->tlb, &tlb, last, XA_PRESENT) ||
	       xa_find(&gpu->ptes, &pte, last, XA_PRESENT);
}

/* Whether one of the flushes so far covered all of an interval. */
bool xsvm_flushed(struct kunit *test, u64 start, u64 end)
{
	struct xe_svm_gpu *gpu = &to_svm(test)->gpu;
	unsigned int i;

	for (i = 0; i < min(gpu->nr_flushes, GPU_FLUSHES); i++)
		if (gpu->flushes[i].start <= start && gpu->flushes[i].end >= end)
			return true;

	return false;
}

/* ------------------------------------------------------------------------
 * The GPU: jobs
 */

static const char *gpu_job_name(struct dma_fence *fence)
{
	return "xe_svm_job";
}

static bool gpu_job_end(struct dma_fence *fence)
{
	struct xe_svm_job *job = container_of(fence, struct xe_svm_job, fence);
	struct xe_svm_fixture *svm = job->svm;

	job->asked = true;
	job->under_lock = rwsem_is_locked(&svm->vm->svm.gpusvm.notifier_lock);
	job->zaps = svm->gpu.zaps;
	job->mapped = xsvm_stat(svm, gets) - xsvm_stat(svm, unmaps);
	if (job->end_later)
		schedule_work(&job->end_work);

	return job->end_later;
}

/* Whoever has asked now waits for the end, and should not keep others from going on. */
static void gpu_job_end_work(struct work_struct *work)
{
	struct xe_svm_job *job = container_of(work, struct xe_svm_job, end_work);

	job->wait_under_lock = !gpu_can_lock(&job->svm->vm->svm.gpusvm.notifier_lock);
	dma_fence_signal(&job->fence);
}

/* The memory is the test's. */
static void gpu_job_release(struct dma_fence *fence)
{
}

static const struct dma_fence_ops gpu_job_ops = {
	.get_driver_name = gpu_job_name,
	.get_timeline_name = gpu_job_name,
	.enable_signaling = gpu_job_end,
	.release = gpu_job_release,
};

/* Start a job that uses the VM, one that binds for instance. */
struct xe_svm_job *xsvm_start_job(struct kunit *test)
{
	struct xe_svm_job *job = kunit_kzalloc(test, sizeof(*job), GFP_KERNEL);
	struct xe_vm *vm = to_svm(test)->vm;

	KUNIT_ASSERT_NOT_NULL(test, job);
	job->svm = to_svm(test);
	spin_lock_init(&job->lock);
	INIT_WORK(&job->end_work, gpu_job_end_work);
	dma_fence_init(&job->fence, &gpu_job_ops, &job->lock, dma_fence_context_alloc(1), 1);

	xe_vm_lock(vm, false);
	KUNIT_EXPECT_EQ(test, 0, dma_resv_reserve_fences(xe_vm_resv(vm), 1));
	dma_resv_add_fence(xe_vm_resv(vm), &job->fence, DMA_RESV_USAGE_BOOKKEEP);
	xe_vm_unlock(vm);

	return job;
}

/* ------------------------------------------------------------------------
 * The CPU
 */

void xsvm_map(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	KUNIT_ASSERT_EQ(test, addr, vm_mmap(NULL, addr, len, prot, MAP_PRIVATE |
					    MAP_ANONYMOUS | MAP_FIXED, 0));
}

KUNIT_DEFINE_ACTION_WRAPPER(put_file, fput, struct file *);

void xsvm_map_file_at(struct kunit *test, struct file *file, u64 addr, u64 len,
		      unsigned long prot)
{
	KUNIT_ASSERT_EQ(test, addr, vm_mmap(file, addr, len, prot,
					    MAP_SHARED | MAP_FIXED, 0));
}

/* A shared mapping of a file that is only there for the test. */
struct file *xsvm_map_file(struct kunit *test, u64 addr, u64 len, u64 file_size)
{
	struct file *file = shmem_file_setup("xe_svm", file_size, EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file, file));
	xsvm_map_file_at(test, file, addr, len, PROT_READ | PROT_WRITE);

	return file;
}

void xsvm_unmap(struct kunit *test, u64 addr, u64 len)
{
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, len));
}

#if defined(CONFIG_X86_64) && IS_BUILTIN(CONFIG_DRM_XE)
/* From SYSCALL_DEFINE3(mprotect), which declares it for itself alone */
long __x64_sys_mprotect(const struct pt_regs *regs);

void xsvm_protect(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	struct pt_regs regs = { .di = addr, .si = len, .dx = prot };

	KUNIT_ASSERT_EQ(test, 0, __x64_sys_mprotect(&regs));
}
#else
void xsvm_protect(struct kunit *test, u64 addr, u64 len, unsigned long prot)
{
	kunit_skip(test, "mprotect() can't be called from here");
}
#endif

/* Take pages out of the CPU's page tables. They stay in the file. */
void xsvm_zap(struct file *file, u64 offset, u64 len)
{
	unmap_mapping_range(file->f_mapping, offset, len, 1);
}

void xsvm_write(struct kunit *test, u64 addr, u64 value)
{
	KUNIT_ASSERT_EQ(test, 0, put_user(value, (u64 __user *)(uintptr_t)addr));
}

u64 xsvm_read(struct kunit *test, u64 addr)
{
	u64 value = 0;

	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u64 __user *)(uintptr_t)addr));

	return value;
}

/**
 * struct test_thread - Another thread of the test's process
 *
 * @test: The test
 * @mm: Its address space
 * @fn: What the thread does
 * @done: That is done
 */
struct test_thread {
	struct kunit *test;
	struct mm_struct *mm;
	void (*fn)(struct kunit *test);
	struct completion done;
};

static int test_thread(void *data)
{
	struct test_thread *thread = data;

	current->kunit_test = thread->test;	/* the stubs apply here, too */
	kthread_use_mm(thread->mm);
	thread->fn(thread->test);
	kthread_unuse_mm(thread->mm);
	current->kunit_test = NULL;
	complete(&thread->done);

	return 0;
}

/* What another thread does from now on. */
void xsvm_start_meanwhile(struct kunit *test, void (*fn)(struct kunit *test))
{
	struct test_thread *thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, thread);
	thread->test = test;
	thread->mm = current->mm;
	thread->fn = fn;
	init_completion(&thread->done);
	to_svm(test)->meanwhile = thread;
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(test_thread, thread, "xe_svm_test")));
}

void xsvm_wait_meanwhile(struct kunit *test)
{
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&to_svm(test)->meanwhile->done,
							     SVM_PATIENCE));
}

/*
 * What another thread does right now, on a CPU of its own. It may take locks that
 * come before those that the caller has: of the real threads, none waits for the
 * other.
 */
void xsvm_meanwhile(struct kunit *test, void (*fn)(struct kunit *test))
{
	xsvm_start_meanwhile(test, fn);
	xsvm_wait_meanwhile(test);
}

/* Write to each page, its address. */
void xsvm_touch(struct kunit *test, u64 addr, u64 len)
{
	u64 end = addr + len;

	for (; addr < end; addr += PAGE_SIZE)
		xsvm_write(test, addr, addr);
}

/*
 * Write to pages in an order that keeps neighbours from having memory in a row, which
 * would be mapped, and taken, in one piece.
 */
void xsvm_touch_scattered(struct kunit *test, u64 addr, u64 len)
{
	u64 offset;

	for (offset = 0; offset < len; offset += 2 * PAGE_SIZE)
		xsvm_write(test, addr + offset, addr + offset);
	for (offset = PAGE_SIZE; offset < len; offset += 2 * PAGE_SIZE)
		xsvm_write(test, addr + offset, addr + offset);
}

/* ------------------------------------------------------------------------
 * The driver
 */

/* The range at an address; NULL if there is none. */
struct xe_svm_range *xsvm_range_at(struct kunit *test, u64 addr)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->vm->svm.gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *range = NULL;

	drm_gpusvm_notifier_lock(gpusvm);
	notifier = drm_gpusvm_notifier_find(gpusvm, addr, addr + 1);
	if (notifier)
		range = drm_gpusvm_range_find(notifier, addr, addr + 1);
	drm_gpusvm_notifier_unlock(gpusvm);

	return range ? to_xe_range(range) : NULL;
}

bool xsvm_pages_valid(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_vm *vm = to_svm(test)->vm;
	bool valid;

	xe_svm_notifier_lock(vm);
	valid = xe_svm_range_pages_valid(range);
	xe_svm_notifier_unlock(vm);

	return valid;
}

bool xsvm_collector_pending(struct kunit *test)
{
	return work_pending(&to_svm(test)->vm->svm.garbage_collector.work);
}

void xsvm_run_collector(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, run_work(&to_svm(test)->vm->svm.garbage_collector.work));
}

/* Let VMAs in, as a bind of the user does, but without its arguments. */
struct xe_vma *xsvm_add_mirror(struct kunit *test, u64 start, u64 size, u32 flags)
{
	struct xe_vm *vm = to_svm(test)->vm;
	struct xe_vma *vma = kzalloc_obj(*vma);

	KUNIT_ASSERT_NOT_NULL(test, vma);
	INIT_LIST_HEAD(&vma->combined_links.rebind);
	INIT_LIST_HEAD(&vma->gpuva.gem.entry);
	vma->gpuva.vm = &vm->gpuvm;
	vma->gpuva.va.addr = start;
	vma->gpuva.va.range = size;
	vma->gpuva.flags = XE_VMA_SYSTEM_ALLOCATOR | flags;
	vma->tile_mask = BIT(0);
	vma->attr.preferred_loc.devmem_fd = DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE;
	vma->attr.preferred_loc.migration_policy = DRM_XE_MIGRATE_ALL_PAGES;
	xe_vm_get(vm);

	down_write(&vm->lock);
	KUNIT_EXPECT_EQ(test, 0, drm_gpuva_insert(&vm->gpuvm, &vma->gpuva));
	up_write(&vm->lock);

	return vma;
}

static void vm_destroyed(struct work_struct *work)
{
	current_svm->vm_destroy(work);
	complete(&current_svm->vm_gone);
}

struct xe_vm *xsvm_create_vm(struct kunit *test, u32 flags)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vm *vm = xe_vm_create(svm->xe, flags, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vm);
	vm->usm.asid = SVM_ASID;
	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store(&svm->xe->usm.asid_to_vm, SVM_ASID,
						    vm, GFP_KERNEL)));
	init_completion(&svm->vm_gone);
	svm->vm_destroy = vm->destroy_work.func;
	vm->destroy_work.func = vm_destroyed;
	svm->vm = vm;

	return vm;
}

/* Close the VM. All that it had is given back. */
void xsvm_close_vm(struct kunit *test)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_vm *vm = svm->vm;

	xe_vm_get(vm);
	xe_vm_close_and_put(vm);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, notifiers), 0);
	KUNIT_EXPECT_EQ(test, xsvm_stat(svm, gets), xsvm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, kref_read(&vm->gpuvm.kref), 1);
	svm->vm = NULL;
	xe_vm_put(vm);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&svm->vm_gone, SVM_PATIENCE));
}

/* ------------------------------------------------------------------------
 * Set-up and tear-down
 */

static void be_busy(struct work_struct *work)
{
	wait_for_completion(&current_svm->go_on);
}

/* The only work of a queue that runs. */
static void keep_busy(struct workqueue_struct *wq, struct work_struct *work)
{
	INIT_WORK(work, be_busy);
	workqueue_set_max_active(wq, 1);
	queue_work(wq, work);
}

/* What is read from the hardware, as far as faults and flushes need it. */
static void init_gt(struct kunit *test, struct xe_gt *gt)
{
	struct xe_hw_engine *hwe = &gt->hw_engines[XE_HW_ENGINE_RCS0];

	hwe->gt = gt;
	hwe->name = "rcs0";
	hwe->class = XE_ENGINE_CLASS_RENDER;
	__set_bit(0, gt->fuse_topo.g_dss_mask);
	bitmap_fill(gt->fuse_topo.eu_mask_per_dss, 8);

	/* A VM tells lockdep that this lock is taken below its own. */
	KUNIT_ASSERT_EQ(test, 0, drmm_mutex_init(&gt_to_xe(gt)->drm, &gt->uc.guc.ct.lock));
	KUNIT_ASSERT_EQ(test, 0, xe_gt_stats_init(gt));
	KUNIT_ASSERT_EQ(test, 0, xe_gt_tlb_inval_init_early(gt));
	gt->tlb_inval.ops = &gpu_tlb_ops;
}

/* The device is awake all the time. */
static void init_power(struct device *dev)
{
	pm_runtime_set_active(dev);
	pm_runtime_enable(dev);
	pm_runtime_get_noresume(dev);
}

/* Pagemaps hold the module of their driver. */
static const struct file_operations svm_fops = {
	.owner = THIS_MODULE,
};

static const struct drm_driver svm_driver = {
	.driver_features = DRIVER_GEM,
	.fops = &svm_fops,
};

static void init_device(struct kunit *test, struct xe_svm_fixture *svm,
			const struct xe_pci_fake_data *data)
{
	struct device *dev;
	struct xe_gt *gt;
	u8 id;

	dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	init_power(dev);

	svm->xe = drm_kunit_helper_alloc_drm_device_with_driver(test, dev, struct xe_device,
								drm, &svm_driver);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, svm->xe);
	test->priv = (void *)data;
	KUNIT_ASSERT_EQ(test, 0, xe_pci_fake_device_init(svm->xe));
	svm->gt = svm->xe->tiles[0].primary_gt;

	kunit_activate_static_stub(test, xe_irq_init, gpu_no_irqs);
	KUNIT_ASSERT_EQ(test, 0, xe_device_init_early(svm->xe));
	/* The system is awake. */
	init_completion(&svm->xe->pm_block);
	complete_all(&svm->xe->pm_block);
	for_each_gt(gt, svm->xe, id)
		init_gt(test, gt);
	KUNIT_ASSERT_EQ(test, 0, xe_pagefault_init(svm->xe));
}

static void init_gpu(struct kunit *test, struct xe_svm_gpu *gpu)
{
	xa_init(&gpu->ptes);
	xa_init(&gpu->tlb);
	INIT_WORK(&gpu->flush_work, gpu_flush_work);

	kunit_activate_static_stub(test, xe_pt_create, gpu_create_pt);
	kunit_activate_static_stub(test, xe_pt_zap_ptes, gpu_zap_vma);
	kunit_activate_static_stub(test, xe_pt_zap_ptes_range, gpu_zap_range);
	kunit_activate_static_stub(test, xe_vm_range_rebind, gpu_bind_range);
	kunit_activate_static_stub(test, xe_vm_range_unbind, gpu_unbind_range);
}

/* Prepare a test on a device; @init_vram adds its memory, if it has any. */
int xe_svm_fixture_init_on(struct kunit *test, const struct xe_pci_fake_data *data,
			   void (*init_vram)(struct kunit *test))
{
	struct xe_svm_fixture *svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, svm);
	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	svm->mm = current->mm;
	mmgrab(svm->mm);
	init_device(test, svm, data);
	init_gpu(test, &svm->gpu);
	test->priv = svm;
	current_svm = svm;

	init_completion(&svm->go_on);
	keep_busy(svm->xe->usm.pf_wq, &svm->busy);
	keep_busy(svm->xe->usm.vm_wq, &svm->vm_busy);

	if (init_vram)
		init_vram(test);
	xsvm_create_vm(test, XE_VM_FLAG_LR_MODE | XE_VM_FLAG_FAULT_MODE);
	svm->mirror = xsvm_add_mirror(test, SVM_BASE, SVM_SIZE, 0);

	return 0;
}

int xe_svm_fixture_init(struct kunit *test)
{
	static const struct xe_pci_fake_data integrated = {
		.platform = XE_LUNARLAKE,
		.subplatform = XE_SUBPLATFORM_NONE,
		.step = { .graphics = STEP_B0, .media = STEP_A0 },
		.graphics_verx100 = 2004,
		.media_verx100 = 2000,
	};

	return xe_svm_fixture_init_on(test, &integrated, NULL);
}

/* The task of the test is ending, and its memory with it: some of that may be VRAM. */
static bool memory_is_gone(const struct mm_struct *mm)
{
	unsigned long deadline = jiffies + SVM_PATIENCE;

	/* Where there is nothing mapped, nothing is unmapped, nor noted. */
	while (mm->map_count && !mm_flags_test(MMF_OOM_SKIP, mm) &&
	       time_before(jiffies, deadline))
		schedule_timeout_uninterruptible(1);

	return !mm->map_count || mm_flags_test(MMF_OOM_SKIP, mm);
}

void xe_svm_fixture_exit(struct kunit *test)
{
	struct xe_svm_fixture *svm = current_svm;

	if (!svm)
		return;

	test->priv = svm;
	svm->before_bind = NULL;
	svm->before_commit = NULL;
	svm->before_unbind = NULL;
	svm->before_flush = NULL;
	flush_work(&svm->gpu.flush_work);
	svm->gpu.hold_flushes = 0;
	if (svm->vm)
		xsvm_close_vm(test);
	if (svm->mm) {
		KUNIT_EXPECT_TRUE(test, memory_is_gone(svm->mm));
		mmdrop(svm->mm);
	}
	/* The driver does that, too, before devm takes the device apart. */
	drm_dev_unplug(&svm->xe->drm);
	complete_all(&svm->go_on);
	flush_work(&svm->busy);
	flush_work(&svm->vm_busy);
	xa_destroy(&svm->gpu.ptes);
	xa_destroy(&svm->gpu.tlb);
	current_svm = NULL;
}
