/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Migration by addresses, for a kernel without our patches to it: what migrate_vma_setup()
 * must not collect, and what it may collect too much of.
 */
#ifndef __MODULES_MIGRATE_VMA_H__
#define __MODULES_MIGRATE_VMA_H__

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/slab.h>
#include <linux/string.h>

/*
 * A folio that KSM is about to share has no complete rmap for a while: a migration entry
 * that is made then may never be removed. KSM merges what it has come by twice, and counts
 * it the first time. After a fork, either of the two processes may be the one.
 */
static inline bool modules_ksm_may_merge(struct vm_area_struct *vma)
{
#ifdef CONFIG_KSM
	struct anon_vma *anon_vma = READ_ONCE(vma->anon_vma);

	if (!(vma->vm_flags & VM_MERGEABLE))
		return false;
	if (READ_ONCE(vma->vm_mm->ksm_rmap_items))
		return true;

	return anon_vma && (anon_vma->root != anon_vma ||
			    READ_ONCE(anon_vma->num_children) > 1);
#else
	return false;
#endif
}

static inline void modules_collect_nothing(struct migrate_vma *args, unsigned long npages)
{
	memset_l(args->src, 0, npages);
	memset_l(args->dst, 0, npages);
	args->npages = npages;
	args->cpages = 0;
	args->end = args->start + (npages << PAGE_SHIFT);
}

/* Collect into @room, which is for twice as much, and give all back if it is too much. */
static inline int modules_collect_vma(struct migrate_vma *args, unsigned long npages,
				      unsigned long *room)
{
	unsigned long *src = args->src, *dst = args->dst;
	bool too_much;
	int err;

	args->src = room;
	args->dst = room + 2 * npages;
	err = migrate_vma_setup(args);
	too_much = !err && args->npages > npages;
	if (too_much) {
		migrate_vma_pages(args);
		migrate_vma_finalize(args);
	}
	args->src = src;
	args->dst = dst;
	if (err)
		return err;

	if (too_much) {
		modules_collect_nothing(args, npages);
	} else {
		memcpy(src, room, npages * sizeof(*src));
		memcpy(dst, room + 2 * npages, npages * sizeof(*dst));
	}

	return 0;
}

/*
 * The kernel may collect a huge page anew, behind what it has collected in its place, if
 * the process has discarded that meanwhile. Of what the entries belong to then, only the
 * addresses are wrong, so all can go back.
 */
static inline int modules_migrate_vma_setup(struct migrate_vma *args)
{
	unsigned long npages = (args->end - args->start) >> PAGE_SHIFT, *room;
	int err;

	if ((args->flags & MIGRATE_VMA_SELECT_SYSTEM) && modules_ksm_may_merge(args->vma)) {
		modules_collect_nothing(args, npages);
		return 0;
	}

	room = kvmalloc_array(npages, 4 * sizeof(*room), GFP_KERNEL);
	if (!room)
		return -ENOMEM;
	err = modules_collect_vma(args, npages, room);
	kvfree(room);

	return err;
}

#define migrate_vma_setup(args)	modules_migrate_vma_setup(args)

#endif
