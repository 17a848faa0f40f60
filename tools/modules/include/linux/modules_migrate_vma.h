/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Migration by addresses, for a kernel without our patches to it: what migrate_vma_setup()
 * must not collect, what it may collect too much of, and the huge page that it can't split.
 */
#ifndef __MODULES_MIGRATE_VMA_H__
#define __MODULES_MIGRATE_VMA_H__

#include <linux/gfp.h>
#include <linux/leafops.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
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

/* Whether the huge entry of a folio that was collected is still there. */
static inline bool modules_pmd_is_of(struct vm_area_struct *vma, unsigned long addr,
				     struct folio *folio)
{
	pgd_t *pgd = pgd_offset(vma->vm_mm, addr);
	p4d_t *p4d = pgd_present(*pgd) ? p4d_offset(pgd, addr) : NULL;
	pud_t *pud = p4d && p4d_present(*p4d) ? pud_offset(p4d, addr) : NULL;
	pmd_t pmd;

	if (!pud || !pud_present(*pud))
		return false;
	pmd = pmdp_get_lockless(pmd_offset(pud, addr));

	return pmd_is_migration_entry(pmd) &&
	       softleaf_to_folio(softleaf_from_pmd(pmd)) == folio;
}

/* Whether the huge page that a CPU has hit was collected, and is to stay as it is. */
static inline bool modules_fault_keeps_huge(struct migrate_vma *args)
{
	const unsigned long huge = MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE |
				   MIGRATE_PFN_COMPOUND;
	struct folio *folio;

	if (!args->fault_page || (args->src[0] & huge) != huge || args->dst[0])
		return false;
	folio = page_folio(args->fault_page);

	return page_folio(migrate_pfn_to_page(args->src[0])) == folio &&
	       modules_pmd_is_of(args->vma, args->start, folio);
}

/*
 * There was no huge page of RAM for it. If it is to become a small one, the kernel splits
 * the huge entry, and then doesn't split the page, on which the fault has a reference. So
 * it moves nothing, and puts the small page. The CPU comes again, to a small entry, and the
 * core has the page split: see fault_split_by_vma().
 */
static inline void modules_migrate_vma_pages(struct migrate_vma *args)
{
	struct page *page = NULL;

	if (modules_fault_keeps_huge(args))
		page = alloc_page(GFP_HIGHUSER_MOVABLE);
	/* Others may have discarded the memory while that took its time. */
	if (page && !modules_fault_keeps_huge(args)) {
		__free_page(page);
		page = NULL;
	}
	if (page) {
		lock_page(page);
		args->dst[0] = migrate_pfn(page_to_pfn(page));
	}
	migrate_vma_pages(args);
}

#define migrate_vma_setup(args)	modules_migrate_vma_setup(args)
#define migrate_vma_pages(args)	modules_migrate_vma_pages(args)

#endif
