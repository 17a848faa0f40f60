// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/backing-dev.h>
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "drm_gpusvm_internal.h"

/*
 * Walks of the CPU's page tables
 *
 * Every lookup of what the CPU has at some addresses is a struct
 * drm_gpusvm_walk: begin, run, use the result under the notifier lock if it is
 * not stale, run again if it is, end. A deadline bounds the repetition.
 */

/* Walks of up to this many pages use the buffer that the GPU SVM keeps. */
#define WALK_CACHED_PFNS	(SZ_2M >> PAGE_SHIFT)

/*
 * How much is faulted in at a time, which is what a CPU fault brings of device memory. HMM
 * begins anew with all it was asked for if a fault invalidates, as such a one does.
 */
#define WALK_PIECE		SZ_64K

/* How often a walk that has brought a page gets more time, if it had come as far before. */
#define WALK_MAX_RENEWALS	16

/* HMM carries some bits of the input over to the result, so buffers are zeroed. */
static unsigned long *walk_buffer_get(struct drm_gpusvm *gpusvm,
				      unsigned long npages)
{
	unsigned long *pfns = NULL;

	if (npages > WALK_CACHED_PFNS)
		return kvcalloc(npages, sizeof(*pfns), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);

	pfns = xchg(&gpusvm->pfn_cache, NULL);

	return pfns ?: kvcalloc(WALK_CACHED_PFNS, sizeof(*pfns), GFP_KERNEL_ACCOUNT);
}

void gpusvm_walk_put_buffer(struct drm_gpusvm_walk *walk)
{
	unsigned long *pfns = walk->buffer;

	if (walk->max_pages <= WALK_CACHED_PFNS)
		pfns = xchg(&walk->gpusvm->pfn_cache, pfns);

	kvfree(pfns);
}

/*
 * The walk itself is on the stack and does not need to be cleared: its buffer is
 * large, and most walks use little of it.
 */
int gpusvm_walk_begin(struct drm_gpusvm_walk *walk, struct drm_gpusvm *gpusvm,
		      struct mmu_interval_notifier *notifier,
		      unsigned long start, unsigned long end,
		      void *owner, unsigned long needed)
{
	unsigned long i;

	walk->gpusvm = gpusvm;
	walk->window = gpusvm_to_window(notifier);
	walk->npages = (end - start) >> PAGE_SHIFT;
	walk->max_pages = walk->npages;
	walk->deadline = walk_new_deadline();
	walk->needed = needed;
	walk->wanted = WALK_WANTS_ALL;
	walk->come = 0;
	walk->nr_segments = 0;
	walk->losses = 0;
	walk->renewals = 0;
	walk->mode = WALK_LOOK;
	walk->touched = false;
	walk->faulted = false;
	walk->bring_home = false;
	walk->allow_mixed = false;
	walk->trim = false;
	walk->by_page = false;
	walk->may_write = false;
	walk->hmm.notifier = notifier;
	walk->hmm.start = start;
	walk->hmm.end = end;
	walk->hmm.default_flags = 0;
	walk->hmm.pfn_flags_mask = 0;
	walk->hmm.dev_private_owner = owner;

	if (walk->npages > WALK_INLINE_PFNS) {
		walk->buffer = walk_buffer_get(gpusvm, walk->npages);
		walk->hmm.hmm_pfns = walk->buffer;
		return walk->buffer ? 0 : -ENOMEM;
	}

	walk->buffer = walk->inline_pfns;
	walk->hmm.hmm_pfns = walk->inline_pfns;
	for (i = 0; i < walk->npages; i++)
		WRITE_ONCE(walk->inline_pfns[i], 0);	/* not worth a memset() */

	return 0;
}

/* Go on with some of the pages only. */
void gpusvm_walk_shrink(struct drm_gpusvm_walk *walk, unsigned long first,
			unsigned long npages)
{
	walk->hmm.start += first << PAGE_SHIFT;
	walk->hmm.end = walk->hmm.start + (npages << PAGE_SHIFT);
	walk->hmm.hmm_pfns += first;
	walk->npages = npages;
	walk->wanted -= first;
}

/* Return: how long the walk may go on, in jiffies; -EINTR or -EBUSY if it may not. */
static long walk_time_left(const struct drm_gpusvm_walk *walk)
{
	long left = walk->deadline - jiffies;

	/* Whoever asks was killed, or is a service that was cancelled. */
	if (fatal_signal_pending(current))
		return -EINTR;

	return left > 0 ? left : -EBUSY;
}

/*
 * Pages have come, up to @come if they come one after the other, else 0. The deadline is
 * for those who lose against invalidations, so it begins anew: whenever this is further
 * than before, and a few times if it isn't, since others may have taken away what was
 * there. That is bounded by the pages.
 */
void gpusvm_walk_renew(struct drm_gpusvm_walk *walk, unsigned long come)
{
	if (come <= walk->come && walk->renewals++ >= WALK_MAX_RENEWALS)
		return;

	walk->come = come;
	walk->deadline = walk_new_deadline();
}

static void walk_note_invalidations(struct drm_gpusvm_walk *walk)
{
	walk->nr_segments = 0;
	if (!walk->window)
		return;

	/*
	 * Pairs with log_invalidation(): the sequence that HMM reads next
	 * includes what is counted here.
	 */
	walk->nr_before = smp_load_acquire(&walk->window->nr_invalidations);
}

static int walk_look(struct drm_gpusvm_walk *walk, struct mm_struct *mm)
{
	int err;

	atomic_long_inc(&walk->gpusvm->stats.walks);
	walk->hmm.default_flags = 0;
	walk->hmm.notifier_seq = mmu_interval_read_begin(walk->hmm.notifier);

	err = mmap_read_lock_killable(mm);
	if (err)
		return err;
	err = hmm_range_fault(&walk->hmm);
	mmap_read_unlock(mm);

	return err == -EBUSY ? -EAGAIN : err;
}

/* A part of the pages that a walk is about, as a request of its own. */
static struct hmm_range walk_part(const struct drm_gpusvm_walk *walk,
				  unsigned long start, unsigned long end)
{
	struct hmm_range part = walk->hmm;

	part.start = start;
	part.end = end;
	part.hmm_pfns += (start - walk->hmm.start) >> PAGE_SHIFT;
	part.default_flags = walk->needed;

	return part;
}

static int walk_touch(struct drm_gpusvm_walk *walk, unsigned long timeout)
{
	unsigned long start = walk->hmm.start + (walk->missing << PAGE_SHIFT);
	struct hmm_range one = walk_part(walk, start, start + PAGE_SIZE);

	if (walk->bring_home)
		one.dev_private_owner = NULL;
	walk->bring_home = false;
	walk->mode = WALK_LOOK;
	walk->touched = true;

	return hmm_range_fault_unlocked_timeout(&one, timeout);
}

/*
 * Memory and block devices answer, if only with an error. A FUSE server, one behind a
 * network, or the driver of a device need not. A btrfs has several block devices, so it
 * doesn't name one.
 */
static bool file_answers(const struct file *file)
{
	const struct inode *inode = file_inode(file);
	const struct super_block *sb = inode->i_sb;

	return shmem_mapping(file->f_mapping) || S_ISBLK(inode->i_mode) ||
	       sb->s_magic == BTRFS_SUPER_MAGIC ||
	       (sb->s_bdev && sb->s_magic != FUSE_SUPER_MAGIC);
}

/* Whether a fault may wait for somebody who may never answer. */
static bool vma_has_handler(struct vm_area_struct *vma, bool write)
{
	return userfaultfd_missing(vma) || userfaultfd_minor(vma) || userfaultfd_rwp(vma) ||
	       (write && userfaultfd_wp(vma)) ||
	       (vma->vm_file && !vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma) &&
		!file_answers(vma->vm_file));
}

/*
 * Whether what the page cache has is all that a fault takes. A file system may have more
 * to ask its server for, and wants to be told of writes to its files.
 */
static bool vma_takes_cached(const struct vm_area_struct *vma, bool write)
{
	return vma->vm_ops && vma->vm_ops->fault == filemap_fault &&
	       !userfaultfd_armed((struct vm_area_struct *)vma) &&
	       (!write || (vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE);
}

/* The folio that a fault finds at once, without one to be read ahead, with a reference. */
static struct folio *vma_get_cached(const struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio = filemap_get_folio(vma->vm_file->f_mapping,
						linear_page_index(vma, addr));

	if (IS_ERR(folio))
		return NULL;
	if (folio_test_uptodate(folio) && !folio_test_locked(folio) &&
	    !folio_test_readahead(folio))
		return folio;
	folio_put(folio);

	return NULL;
}

/*
 * Have a page if that takes nobody's answer. The reference keeps it from being reclaimed
 * before the fault has it, which waits for no lock. Only a file system that drops its
 * pages in just that moment makes the fault read, and whoever is killed goes then, too.
 * Returns whether the page is there.
 */
static bool walk_fault_cached(const struct drm_gpusvm_walk *walk,
			      struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long pfn = walk->hmm.hmm_pfns[(addr - walk->hmm.start) >> PAGE_SHIFT];
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
			     FAULT_FLAG_RETRY_NOWAIT;
	struct folio *folio;
	vm_fault_t fault;

	if (!(~pfn & walk->needed))
		return true;
	if (walk->needed & HMM_PFN_WRITE)
		flags |= FAULT_FLAG_WRITE;

	folio = vma_get_cached(vma, addr);
	if (!folio)
		return false;
	fault = handle_mm_fault(vma, addr, flags, NULL);
	folio_put(folio);

	return !(fault & (VM_FAULT_ERROR | VM_FAULT_RETRY));
}

/* Of a file that may not answer, what is cached around the page that is wanted comes. */
static void walk_find_cached(const struct drm_gpusvm_walk *walk,
			     struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long start = max(walk->hmm.start, vma->vm_start);
	unsigned long end = min(walk->hmm.end, vma->vm_end);
	unsigned long at = addr;

	if (!vma_takes_cached(vma, walk->needed & HMM_PFN_WRITE))
		return;

	while (at > start && walk_fault_cached(walk, vma, at - PAGE_SIZE))
		at -= PAGE_SIZE;
	at = addr + PAGE_SIZE;
	while (at < end && walk_fault_cached(walk, vma, at))
		at += PAGE_SIZE;
}

/*
 * Where pages beside the one that is wanted may be faulted in: in its VMA, unless
 * they have somebody to wait for.
 */
static bool walk_find_vma(const struct drm_gpusvm_walk *walk, struct mm_struct *mm,
			  unsigned long *start, unsigned long *end)
{
	unsigned long addr = walk->hmm.start + (walk->wanted << PAGE_SHIFT);
	struct vm_area_struct *vma;
	bool found;

	if (mmap_read_lock_killable(mm))
		return false;
	vma = vma_lookup(mm, addr);
	found = vma && !vma_has_handler(vma, walk->needed & HMM_PFN_WRITE);
	if (found) {
		*start = max(walk->hmm.start, vma->vm_start);
		*end = min(walk->hmm.end, vma->vm_end);
	} else if (vma) {
		walk_find_cached(walk, vma, addr);
	}
	mmap_read_unlock(mm);

	return found;
}

/* Fault in a part of the pages. What it has come to, the next look tells. */
static int walk_fault_part(struct drm_gpusvm_walk *walk, unsigned long start,
			   unsigned long end, unsigned long timeout)
{
	struct hmm_range part = walk_part(walk, start, end);

	walk->mode = WALK_LOOK;

	return hmm_range_fault_unlocked_timeout(&part, timeout) ?: -EAGAIN;
}

static int walk_fault_all(struct drm_gpusvm_walk *walk, unsigned long timeout)
{
	walk->hmm.default_flags = walk->needed;

	return hmm_range_fault_unlocked_timeout(&walk->hmm, timeout);
}

/* What can't be had beside the page that is wanted is left out. */
static int walk_fault_rest(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
			   unsigned long timeout)
{
	unsigned long start, end;
	int err = -EFAULT;

	if (walk_find_vma(walk, mm, &start, &end)) {
		start = max(start, walk->system_start);
		end = min(end, walk->system_end);
		err = walk_is_all(walk, start, end) ?
		      walk_fault_all(walk, timeout) :
		      walk_fault_part(walk, start, end, timeout);
	}
	if (!err || err == -EINTR)
		return err;
	walk->trim = true;
	walk->mode = WALK_LOOK;

	return -EAGAIN;
}

static int walk_fault(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
		      unsigned long timeout)
{
	atomic_long_inc(&walk->gpusvm->stats.faults);
	if (walk->wanted != WALK_WANTS_ALL && walk->npages > 1)
		return walk_fault_rest(walk, mm, timeout);

	return walk_fault_all(walk, timeout);
}

/* The next marked pages in a row, of one piece. Returns where they end, 0 if none is left. */
static unsigned long walk_next_piece(const struct drm_gpusvm_walk *walk,
				     unsigned long *first)
{
	const unsigned long *pfns = walk->hmm.hmm_pfns;
	unsigned long end;

	while (*first < walk->npages && !(pfns[*first] & HMM_PFN_REQ_FAULT))
		++*first;
	if (*first == walk->npages)
		return 0;

	end = *first + 1;
	while (end < walk->npages && (pfns[end] & HMM_PFN_REQ_FAULT) &&
	       !IS_ALIGNED(walk->hmm.start + (end << PAGE_SHIFT), WALK_PIECE))
		end++;

	return end;
}

/* Fault in all of a piece, and have device memory come to RAM. */
static int walk_fault_piece(struct drm_gpusvm_walk *walk, unsigned long first,
			    unsigned long end)
{
	unsigned long start = walk->hmm.start;
	struct hmm_range piece = walk_part(walk, start + (first << PAGE_SHIFT),
					   start + (end << PAGE_SHIFT));
	long left = walk_time_left(walk);
	int err;

	if (left < 0)
		return left;

	piece.default_flags |= HMM_PFN_REQ_FAULT;
	piece.dev_private_owner = NULL;
	err = hmm_range_fault_unlocked_timeout(&piece, left);
	/* A fault that takes all the time may well have brought the pages: look again. */
	if (err == -EBUSY)
		err = hmm_range_fault_unlocked_timeout(&piece, walk_timeout());
	/* A page that can't be had is done with as well, unless others were in the way. */
	if (!err || (err != -EBUSY && end - first == 1))
		gpusvm_walk_renew(walk, end);

	return err;
}

/* What it has come to, the next look tells, once for all pieces. */
static int walk_bring_pieces(struct drm_gpusvm_walk *walk)
{
	unsigned long first = walk->missing, end;
	int err = 0;

	walk->mode = WALK_LOOK;
	walk->touched = true;
	atomic_long_inc(&walk->gpusvm->stats.faults);
	while (!err && (end = walk_next_piece(walk, &first))) {
		err = walk_fault_piece(walk, first, end);
		first = end;
	}

	return err ?: -EAGAIN;
}

/* HMM gives up at the first page that can't be had. Those behind it are tried alone. */
static int walk_evict_piece(struct drm_gpusvm_walk *walk, unsigned long first,
			    unsigned long end)
{
	int err = walk_fault_piece(walk, first, end);
	int first_err = 0;

	if (err != -EFAULT || end - first == 1)
		return err;

	for (; first < end; first++) {
		err = walk_fault_piece(walk, first, first + 1);
		first_err = first_err ?: err;
	}

	return first_err;
}

/*
 * What can't be moved does not keep the rest. Once time is up, or the caller was killed,
 * all that is left fails without an attempt.
 */
static int walk_evict(struct drm_gpusvm_walk *walk)
{
	unsigned long first = 0, end;
	int err, first_err = 0;

	atomic_long_inc(&walk->gpusvm->stats.faults);
	while ((end = walk_next_piece(walk, &first))) {
		err = walk_evict_piece(walk, first, end);
		first_err = first_err ?: err;
		first = end;
	}

	return first_err;
}

/*
 * Fault in what is missing. That may take long: a page comes from a disk, or another
 * process has to bring it. So there is more time when it has come.
 */
static int walk_bring(struct drm_gpusvm_walk *walk, struct mm_struct *mm,
		      unsigned long timeout)
{
	bool touch = walk->mode == WALK_TOUCH;
	int err;

	walk->faulted |= !touch;
	err = touch ? walk_touch(walk, timeout) : walk_fault(walk, mm, timeout);
	if (!err || err == -EAGAIN)
		gpusvm_walk_renew(walk, 0);

	return touch ? err ?: -EAGAIN : err;
}

/*
 * Return: 0, -EAGAIN to run again, -EBUSY when time is up, -EFAULT if the mm is
 * dying, -EINTR on a fatal signal, or HMM's error.
 */
int gpusvm_walk_run(struct drm_gpusvm_walk *walk, struct mm_struct *mm)
{
	long left = walk_time_left(walk);
	int err;

	if (left < 0)
		return left;

	if (!mmget_not_zero(mm))
		return -EFAULT;

	walk_note_invalidations(walk);
	if (likely(walk->mode == WALK_LOOK))
		err = walk_look(walk, mm);
	else if (walk->mode == WALK_BRING)
		err = walk_bring_pieces(walk);
	else if (walk->mode == WALK_EVICT)
		err = walk_evict(walk);
	else
		err = walk_bring(walk, mm, left);
	mmput(mm);

	/* To some file systems a wait that was killed is an error of the memory. */
	if (err && fatal_signal_pending(current))
		err = -EINTR;

	return err;
}

/*
 * Whether one of the invalidations since the walk began its run has hit the addresses, or
 * may have: who has a notifier of its own is not told where they were.
 */
bool gpusvm_walk_was_hit_locked(const struct drm_gpusvm_walk *walk)
{
	const struct drm_gpusvm_notifier *window = walk->window;
	unsigned long i;

	lockdep_assert_held(&walk->gpusvm->notifier_lock);

	if (!window ||
	    window->nr_invalidations - walk->nr_before > DRM_GPUSVM_NOTIFIER_LOG)
		return true;

	for (i = walk->nr_before; i != window->nr_invalidations; i++) {
		unsigned int slot = i % DRM_GPUSVM_NOTIFIER_LOG;

		if (window->log[slot].start < walk->hmm.end &&
		    window->log[slot].end > walk->hmm.start)
			return true;
	}

	return false;
}
