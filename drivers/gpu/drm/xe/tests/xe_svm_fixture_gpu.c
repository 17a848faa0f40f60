// SPDX-License-Identifier: MIT
/*
 * The GPU of the tests of SVM and userptrs: its page tables and its TLB are xarrays,
 * of which the driver knows by what it asks the GPU to do. The GPU's accesses look
 * there, and raise a fault where there is nothing, which takes the way that all faults
 * take.
 */

#include <linux/dma-direct.h>
#include <linux/mm.h>

#include <kunit/static_stub.h>
#include <kunit/test-bug.h>

#include "tests/xe_svm_fixture.h"
#include "xe_device.h"
#include "xe_gt.h"
#include "xe_hw_engine.h"
#include "xe_pagefault.h"
#include "xe_pt.h"
#include "xe_svm.h"
#include "xe_tlb_inval.h"
#include "xe_vm.h"
#include "xe_vm_types.h"

/* ------------------------------------------------------------------------
 * Page tables
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

	if (xsvm_current->gpu.large_entries) {
		*start = xe_svm_range_start(range);
		*end = xe_svm_range_end(range);
	}

	/* A job that is under way could write the entries again. */
	KUNIT_EXPECT_TRUE(test, !range->binds[0] ||
			  dma_fence_is_signaled(range->binds[0]));
	xsvm_current->gpu.zaps++;

	return entries_clear(&xsvm_current->gpu.ptes, *start, *end);
}

static bool gpu_zap_vma(struct xe_tile *tile, struct xe_vma *vma)
{
	xsvm_current->gpu.zaps++;

	return entries_clear(&xsvm_current->gpu.ptes, xe_vma_start(vma),
			     xe_vma_end(vma));
}

/*
 * The GPU may look at an entry at any time, and does it at once: whatever has been there
 * takes a flush. What it has already it keeps.
 */
static void gpu_write_pte(struct kunit *test, u64 addr, u64 pte)
{
	struct xe_svm_gpu *gpu = &xsvm_current->gpu;

	entries_set(test, &gpu->ptes, addr, pte);
	if (!entries_get(&gpu->tlb, addr))
		entries_set(test, &gpu->tlb, addr, pte);
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
				entries_clear(&xsvm_current->gpu.ptes, addr + offset,
					      addr + offset + PAGE_SIZE);
			else
				gpu_write_pte(test, addr + offset,
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
	struct xe_svm_gpu *gpu = &xsvm_current->gpu;
	bool ok;

	xe_svm_notifier_lock(vm);
	ok = xe_svm_range_can_commit(range);
	if (ok) {
		entries_clear(&gpu->ptes, start, end);
		xsvm_gpu_write_ptes(test, xe_svm_range_start(range),
				    max_t(u64, start, range->window.start),
				    min_t(u64, end, range->window.end), &range->pages,
				    xe_vma_read_only(vma) ? 0 : GPU_PTE_WRITE);
		xe_svm_range_note_bound(range, 0, NULL, NULL);
		gpu->bound = end - start;
	}
	xe_svm_notifier_unlock(vm);

	return ok;
}

static struct dma_fence *gpu_bind_range(struct xe_vm *vm, struct xe_vma *vma,
					struct xe_svm_range *range, u8 tile_mask)
{
	struct kunit *test = kunit_get_current_test();
	struct xe_svm_fixture *svm = xsvm_current;
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
	struct xe_svm_fixture *svm = xsvm_current;

	if (svm->before_unbind)
		svm->before_unbind(test, range);
	if (svm->gpu.unbind_err)
		return ERR_PTR(svm->gpu.unbind_err);

	entries_clear(&svm->gpu.ptes, xe_svm_range_start(range), xe_svm_range_end(range));
	WRITE_ONCE(range->tile_present, 0);
	svm->gpu.unbinds++;

	return dma_fence_get_stub();
}

/* ------------------------------------------------------------------------
 * TLBs
 */

/* What is still there is looked at anew. Invalidations come here, which can't allocate. */
static void gpu_refill(struct xe_svm_gpu *gpu, u64 start, u64 end)
{
	int nth = xsvm_stop_failures();
	unsigned long index;
	void *entry;

	xa_for_each_range(&gpu->ptes, index, entry, addr_to_index(start), addr_to_index(end - 1))
		xa_store(&gpu->tlb, index, entry, GFP_ATOMIC);
	xsvm_resume_failures(nth);
}

static void gpu_finish_flush(struct xe_svm_gpu *gpu, const struct xe_svm_flush *flush)
{
	entries_clear(&gpu->tlb, flush->start, flush->end);
	gpu_refill(gpu, flush->start, flush->end);
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
	if (svm->gpu.flush_err == -ECANCELED) {
		entries_clear(&svm->gpu.tlb, SVM_BASE, SVM_END);
		xe_tlb_inval_reset(&svm->gt->tlb_inval);
	}
	for (i = 0; i < svm->gpu.hold_flushes; i++)
		gpu_finish_flush(&svm->gpu, &svm->gpu.flushes[i]);
}

static int gpu_flush_range(struct xe_tlb_inval *tlb_inval, u32 seqno, u64 start,
			   u64 end, u32 asid, struct drm_suballoc *prl_sa)
{
	struct xe_svm_fixture *svm = xsvm_current;
	struct xe_svm_gpu *gpu = &svm->gpu;
	const struct xe_svm_flush flush = {
		.gt = container_of(tlb_inval, struct xe_gt, tlb_inval),
		.start = start, .end = end, .seqno = seqno,
	};

	/* The other GTs have nothing to forget. */
	if (flush.gt != svm->gt) {
		gpu->other_flushes += asid == SVM_ASID;
		xe_tlb_inval_done_handler(tlb_inval, seqno);
		return 0;
	}

	if (gpu->flush_err) {
		if (gpu->flush_err == -ECANCELED)
			schedule_work(&gpu->flush_work);
		return gpu->flush_err;
	}

	if (asid == SVM_OTHER_ASID) {
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

const struct xe_tlb_inval_ops xsvm_gpu_tlb_ops = {
	.all = gpu_flush_nothing,
	.ggtt = gpu_flush_nothing,
	.ppgtt = gpu_flush_range,
	.initialized = gpu_tlbs_initialized,
	.flush = gpu_push_flushes,
	.timeout_delay = gpu_flush_timeout,
};

/* ------------------------------------------------------------------------
 * Faults and accesses
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

/*
 * Do what a worker was told to do, here and now. Who cancels a work that is not pending
 * makes it look so for a moment, and who queues it just then queues nothing.
 */
bool xsvm_run_work(struct work_struct *work)
{
	if (!work_pending(work) || !cancel_work(work))
		return false;
	work->func(work);

	return true;
}

/* Raise a fault. It is with its VM then, and not answered. */
void xsvm_raise_fault(struct kunit *test, u64 addr, u8 access)
{
	struct xe_svm_fixture *svm = to_svm(test);
	struct xe_pagefault_queue *queue = &svm->xe->usm.pf_queue;
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
	KUNIT_ASSERT_TRUE(test, xsvm_run_work(&queue->work));
}

/* Let a worker of the VM run, if one is to. */
bool xsvm_serve_once(struct kunit *test)
{
	struct xe_pagefault_vm *pf_vm = &to_svm(test)->vm->usm.pf;
	unsigned int i;

	for (i = 0; i < pf_vm->nr_workers; i++)
		if (xsvm_run_work(&pf_vm->workers[i].work))
			return true;

	return false;
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
 * Jobs
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

/* Start a job that binds a range which is bound already. */
struct xe_svm_job *xsvm_start_bind(struct kunit *test, struct xe_svm_range *range)
{
	struct xe_svm_job *job = xsvm_start_job(test);
	struct xe_vm *vm = to_svm(test)->vm;

	xe_vm_lock(vm, false);
	xe_svm_notifier_lock(vm);
	xe_svm_range_note_bound(range, 0, &job->fence, NULL);
	xe_svm_notifier_unlock(vm);
	xe_vm_unlock(vm);

	return job;
}

void xsvm_init_gpu(struct kunit *test, struct xe_svm_gpu *gpu)
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
