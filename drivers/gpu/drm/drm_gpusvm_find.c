// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/* A device reads what the CPU may read, but for return addresses. */
static bool vma_is_readable(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_READ && !(vma->vm_flags & VM_SHADOW_STACK);
}

/* The first VMA in an interval that a device may read. */
static struct vm_area_struct *find_readable_vma(struct mm_struct *mm,
						unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	VMA_ITERATOR(vmi, mm, start);

	for_each_vma_range(vmi, vma, end)
		if (vma_is_readable(vma))
			return vma;

	return NULL;
}

/**
 * drm_gpusvm_find_vma_start() - Find where CPU memory begins in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * What the CPU may not read is passed over, and so are shadow stacks: no access can be
 * served there.
 *
 * Context: Takes the mmap lock for reading.
 *
 * Return: the start of the first VMA that overlaps the interval, which may be
 * below @start; ULONG_MAX if there is none, the mm is dying, or a fatal signal came
 * while the lock was waited for.
 */
unsigned long
drm_gpusvm_find_vma_start(struct drm_gpusvm *gpusvm,
			  unsigned long start,
			  unsigned long end)
{
	struct mm_struct *mm = gpusvm->mm;
	unsigned long addr = ULONG_MAX;
	struct vm_area_struct *vma;

	if (!mmget_not_zero(mm))
		return ULONG_MAX;

	if (!mmap_read_lock_killable(mm)) {
		vma = find_readable_vma(mm, start, end);
		if (vma)
			addr = vma->vm_start;
		mmap_read_unlock(mm);
	}
	mmput(mm);

	return addr;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_find_vma_start);

/*
 * Finding the range of a fault, or making it
 */

/**
 * struct drm_gpusvm_fault - A device fault on its way to a range
 *
 * @gpusvm: The GPU SVM
 * @ctx: How the fault is to be served
 * @addr: The fault address
 * @start: First address of what the driver mirrors there
 * @end: Address behind the last one
 * @free_start: First address of what no range has of that
 * @free_end: Address behind the last one
 * @notifier: The notifier that a new range belongs to, with a reference
 * @spare: @notifier was made for this fault and is in no tree
 * @get: The caller wants a reference
 */
struct drm_gpusvm_fault {
	struct drm_gpusvm *gpusvm;
	const struct drm_gpusvm_ctx *ctx;
	unsigned long addr;
	unsigned long start;
	unsigned long end;
	unsigned long free_start;
	unsigned long free_end;
	struct drm_gpusvm_notifier *notifier;
	bool spare;
	bool get;
};

static bool owner_is_known(const struct drm_gpusvm *gpusvm, const void *owner,
			   unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && i < DRM_GPUSVM_MAX_OWNERS; i++)
		if (gpusvm->owners[i] == owner)
			return true;

	return !owner || n > DRM_GPUSVM_MAX_OWNERS;
}

/* Remember whose device memory there may be. An eviction has to look for it. */
static void note_owner(struct drm_gpusvm *gpusvm, void *owner)
{
	/* Pairs with the store below. */
	unsigned int n = smp_load_acquire(&gpusvm->nr_owners);

	if (likely(owner_is_known(gpusvm, owner, n)))
		return;

	down_write(&gpusvm->notifier_lock);
	n = gpusvm->nr_owners;
	if (!owner_is_known(gpusvm, owner, n)) {
		if (n < DRM_GPUSVM_MAX_OWNERS)
			gpusvm->owners[n] = owner;
		/* Pairs with those who read it without the lock. */
		smp_store_release(&gpusvm->nr_owners, n + 1);
	}
	up_write(&gpusvm->notifier_lock);
}

/* The VMA of the fault, or why the access is not allowed. */
static struct vm_area_struct *fault_vma(const struct drm_gpusvm_fault *fault)
{
	struct vm_area_struct *vma = vma_lookup(fault->gpusvm->mm, fault->addr);

	if (!vma)
		return ERR_PTR(-ENOENT);
	if (!vma_is_readable(vma) ||
	    (!fault->ctx->read_only && !(vma->vm_flags & VM_WRITE)))
		return ERR_PTR(-EPERM);
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return ERR_PTR(-EIO);

	return vma;
}

/*
 * Find the range at the fault address. Where there is none, a new one has to fit
 * between its neighbours, which the search comes past on its way.
 */
static struct drm_gpusvm_range *
fault_search_notifier(struct drm_gpusvm_fault *fault,
		      struct drm_gpusvm_notifier *notifier)
{
	struct rb_node *node = notifier->root.rb_root.rb_node;

	while (node) {
		struct drm_gpusvm_range *range =
			rb_entry(node, struct drm_gpusvm_range, itree.rb);

		if (fault->addr < range->itree.start) {
			fault->free_end = min(fault->free_end, range->itree.start);
			node = node->rb_left;
		} else if (fault->addr > range->itree.last) {
			fault->free_start = max(fault->free_start,
						range->itree.last + 1);
			node = node->rb_right;
		} else {
			return range;
		}
	}

	return NULL;
}

/* Find the range at the fault address, and where there is none its notifier. */
static struct drm_gpusvm_range *fault_find(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm *gpusvm = fault->gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *range = NULL;

	fault->free_start = fault->start;
	fault->free_end = fault->end;

	drm_gpusvm_notifier_lock(gpusvm);
	notifier = drm_gpusvm_notifier_find(gpusvm, fault->addr, fault->addr + 1);
	if (notifier)
		range = fault_search_notifier(fault, notifier);
	if (range) {
		if (fault->get)
			drm_gpusvm_range_get(range);
	} else if (notifier && !fault->notifier) {
		kref_get(&notifier->refcount);
		fault->notifier = notifier;
	}
	drm_gpusvm_notifier_unlock(gpusvm);

	return range;
}

/* Whether the CPU has all the pages; advisory, nothing is faulted in. */
static bool fault_chunk_present(const struct drm_gpusvm_fault *fault,
				unsigned long start, unsigned long end)
{
	struct mmu_interval_notifier *mni = &fault->notifier->notifier;
	struct drm_gpusvm_walk walk __uninitialized;
	unsigned long i;
	int err;

	mmap_assert_locked(fault->gpusvm->mm);

	if (gpusvm_walk_begin(&walk, fault->gpusvm, mni, start, end,
			      fault->ctx->device_private_page_owner, 0))
		return false;

	do {
		walk.hmm.notifier_seq = mmu_interval_read_begin(mni);
		err = hmm_range_fault(&walk.hmm);
	} while (err == -EBUSY && !walk_timed_out(&walk));

	for (i = 0; !err && i < walk.npages; i += 1UL << gpusvm_walk_cpu_order(&walk, i))
		if (!(walk.hmm.hmm_pfns[i] & HMM_PFN_VALID))
			err = -ENOENT;
	gpusvm_walk_end(&walk);

	return !err;
}

/*
 * The largest chunk around the fault address that lies in the VMA, in the
 * notifier's window and between other ranges. Small ones have to be present: that
 * keeps memory which the process never touched, next to what it uses, from being
 * populated and migrated.
 *
 * Return: the size, or 0 if not even the smallest chunk fits.
 */
static unsigned long fault_chunk_size(const struct drm_gpusvm_fault *fault,
				      const struct vm_area_struct *vma)
{
	unsigned long low = max3(fault->free_start, vma->vm_start,
				 drm_gpusvm_notifier_start(fault->notifier));
	unsigned long high = min3(fault->free_end, vma->vm_end,
				  drm_gpusvm_notifier_end(fault->notifier));
	int i;

	for (i = 0; i < fault->gpusvm->num_chunks; i++) {
		unsigned long size = max(fault->gpusvm->chunk_sizes[i], PAGE_SIZE);
		unsigned long start = ALIGN_DOWN(fault->addr, size);
		unsigned long end = start + size;

		if (start < low || end > high)
			continue;
		if (size > PAGE_SIZE &&
		    size <= fault->ctx->check_pages_threshold &&
		    !fault_chunk_present(fault, start, end))
			continue;

		return size;
	}

	return 0;
}

/*
 * Whether what was found under the lock, a while ago, is no longer so: another
 * fault has made a notifier here, or a range, or the notifier went with its last
 * range.
 */
static bool fault_must_look_again(const struct drm_gpusvm_fault *fault,
				  unsigned long start, unsigned long end)
{
	if (fault->spare)
		return drm_gpusvm_notifier_find(fault->gpusvm, start, end);

	return fault->notifier->flags.removed ||
	       drm_gpusvm_range_find(fault->notifier, start, end);
}

/* Put the range in the tree, and with the first one its notifier. */
static int fault_link(struct drm_gpusvm_fault *fault, struct drm_gpusvm_range *range)
{
	struct drm_gpusvm *gpusvm = fault->gpusvm;
	int err = 0;

	down_write(&gpusvm->notifier_lock);
	if (fault_must_look_again(fault, drm_gpusvm_range_start(range),
				  drm_gpusvm_range_end(range))) {
		err = -EAGAIN;
	} else {
		if (fault->spare)
			gpusvm_notifier_link_locked(fault->notifier);
		gpusvm_range_link_locked(fault->notifier, range);
		fault->notifier = NULL;
		if (fault->get)
			drm_gpusvm_range_get(range);
		trace_drm_gpusvm_range_insert(range);
	}
	up_write(&gpusvm->notifier_lock);

	return err;
}

static struct drm_gpusvm_range *fault_insert(struct drm_gpusvm_fault *fault,
					     const struct vm_area_struct *vma)
{
	bool migrate_devmem = fault->ctx->devmem_possible &&
			      vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma);
	struct drm_gpusvm_range *range;
	unsigned long size;
	int err;

	size = fault_chunk_size(fault, vma);
	if (!size)
		return ERR_PTR(-EINVAL);

	range = gpusvm_range_alloc(fault->gpusvm, ALIGN_DOWN(fault->addr, size), size,
				   migrate_devmem);
	if (!range)
		return ERR_PTR(-ENOMEM);

	err = fault_link(fault, range);
	if (err) {
		drm_gpusvm_range_put(range);
		return ERR_PTR(err);
	}

	return range;
}

/* Returns NULL if it takes a notifier that is not there yet. */
static struct drm_gpusvm_range *
fault_find_or_insert_locked(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm_range *range;
	struct vm_area_struct *vma;

	mmap_assert_locked(fault->gpusvm->mm);

	vma = fault_vma(fault);
	if (IS_ERR(vma))
		return ERR_CAST(vma);

	range = fault_find(fault);
	if (range || !fault->notifier)
		return range;

	return fault_insert(fault, vma);
}

static void fault_drop_notifier(struct drm_gpusvm_fault *fault)
{
	if (!fault->notifier)
		return;

	if (fault->spare)
		gpusvm_notifier_retire(fault->notifier);
	gpusvm_notifier_put(fault->notifier);
	fault->notifier = NULL;
	fault->spare = false;
}

/* Needs the mmap lock for writing, perhaps, so it is done without it. */
static int fault_make_notifier(struct drm_gpusvm_fault *fault)
{
	struct drm_gpusvm_notifier *notifier;

	notifier = gpusvm_notifier_create(fault->gpusvm, fault->addr,
					  gpusvm_notifier_mmu_ops(fault->gpusvm));
	if (IS_ERR(notifier))
		return PTR_ERR(notifier);

	kref_get(&notifier->refcount);
	fault->notifier = notifier;
	fault->spare = true;

	return 0;
}

/*
 * A notifier is made only after the access was found to be allowed, and the
 * access is looked at again afterwards. Each -EAGAIN means that another fault
 * has made progress.
 */
static struct drm_gpusvm_range *fault_to_range(struct drm_gpusvm_fault *fault)
{
	struct mm_struct *mm = fault->gpusvm->mm;
	struct drm_gpusvm_range *range;
	int err;

	do {
		err = mmap_read_lock_killable(mm);
		if (err)
			break;
		range = fault_find_or_insert_locked(fault);
		mmap_read_unlock(mm);

		if (range == ERR_PTR(-EAGAIN))
			fault_drop_notifier(fault);
		else if (!range)
			err = fault_make_notifier(fault);
	} while (!err && (!range || range == ERR_PTR(-EAGAIN)));
	fault_drop_notifier(fault);

	return err ? ERR_PTR(err) : range;
}

static struct drm_gpusvm_range *
fault_handle(struct drm_gpusvm *gpusvm, unsigned long addr, unsigned long start,
	     unsigned long end, const struct drm_gpusvm_ctx *ctx, bool get)
{
	unsigned long mm_end = gpusvm->mm_start + gpusvm->mm_range;
	struct drm_gpusvm_fault fault = {
		.gpusvm = gpusvm,
		.ctx = ctx,
		.addr = addr,
		.start = max(start, gpusvm->mm_start),
		.end = min(end, mm_end),
		.get = get,
	};
	ktime_t begin = trace_drm_gpusvm_fault_enabled() ? ktime_get() : 0;
	struct drm_gpusvm_range *range;

	if (addr < gpusvm->mm_start || addr >= mm_end) {
		range = ERR_PTR(-EINVAL);
	} else if (!mmget_not_zero(gpusvm->mm)) {
		range = ERR_PTR(-EFAULT);
	} else {
		note_owner(gpusvm, ctx->device_private_page_owner);
		range = fault_to_range(&fault);
		mmput(gpusvm->mm);
	}

	if (trace_drm_gpusvm_fault_enabled())
		trace_drm_gpusvm_fault(gpusvm, addr, ctx->read_only,
				       PTR_ERR_OR_ZERO(range),
				       elapsed_since(begin));

	return range;
}

/**
 * drm_gpusvm_range_find_or_insert() - Find the range of a fault or make one
 * @gpusvm: The GPU SVM
 * @fault_addr: The fault address
 * @gpuva_start: First address of what the driver mirrors around it
 * @gpuva_end: Address behind the last one
 * @ctx: How the fault is to be served: &drm_gpusvm_ctx.read_only,
 *	 &drm_gpusvm_ctx.devmem_possible, &drm_gpusvm_ctx.check_pages_threshold
 *	 and &drm_gpusvm_ctx.device_private_page_owner
 *
 * The pointer is borrowed: it is good while the driver holds the lock that it
 * removes ranges under.
 *
 * Context: May sleep; takes the mmap lock, for writing when it makes the mm's
 * first notifier.
 *
 * Return: the range, or an error pointer: -EINVAL outside of what is mirrored or
 * where no chunk fits, -EFAULT if the mm is dying, -ENOENT without a VMA, -EPERM
 * if the VMA does not allow the access, -EIO for VM_IO and VM_PFNMAP, -EINTR on a fatal
 * signal, -ENOMEM, or an error of mmu_interval_notifier_insert().
 */
struct drm_gpusvm_range *
drm_gpusvm_range_find_or_insert(struct drm_gpusvm *gpusvm,
				unsigned long fault_addr,
				unsigned long gpuva_start,
				unsigned long gpuva_end,
				const struct drm_gpusvm_ctx *ctx)
{
	assert_driver_lock_held(gpusvm);

	return fault_handle(gpusvm, fault_addr, gpuva_start, gpuva_end, ctx, false);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_find_or_insert);

/**
 * drm_gpusvm_range_get_or_insert() - Same, with a reference
 * @gpusvm: The GPU SVM
 * @fault_addr: The fault address
 * @gpuva_start: First address of what the driver mirrors around it
 * @gpuva_end: Address behind the last one
 * @ctx: How the fault is to be served, see drm_gpusvm_range_find_or_insert()
 *
 * For drivers that serve faults of one address space concurrently. The range may
 * be removed by others at any time; what the caller does with it then fails with
 * -ESTALE, and it asks again.
 *
 * Context: May sleep; needs no lock. Takes the mmap lock, for writing when it
 * makes the mm's first notifier.
 *
 * Return: the range, to be released with drm_gpusvm_range_put(), or an error
 * pointer as drm_gpusvm_range_find_or_insert() returns it.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_get_or_insert(struct drm_gpusvm *gpusvm,
			       unsigned long fault_addr,
			       unsigned long gpuva_start,
			       unsigned long gpuva_end,
			       const struct drm_gpusvm_ctx *ctx)
{
	return fault_handle(gpusvm, fault_addr, gpuva_start, gpuva_end, ctx, true);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get_or_insert);
