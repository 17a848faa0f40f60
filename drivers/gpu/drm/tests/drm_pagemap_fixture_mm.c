// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of DRM pagemaps do with the memory of a provider: fences to wait
 * for, moves of a process's memory there and back, contents that show a page in
 * a wrong place, and what the CPU's page tables say.
 */

#include <linux/leafops.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <kunit/resource.h>

#include "drm_pagemap_fixture.h"

/*
 * A fence of the test
 */

struct vram_fence {
	struct dma_fence base;
	spinlock_t lock;
};

static const struct dma_fence_ops test_fence_ops = {
	.get_driver_name = vram_fence_name,
	.get_timeline_name = vram_fence_name,
};

KUNIT_DEFINE_ACTION_WRAPPER(vram_fence_put, dma_fence_put, struct dma_fence *);

struct dma_fence *vram_fence_create(struct kunit *test)
{
	struct vram_fence *fence = kzalloc_obj(*fence);

	KUNIT_ASSERT_NOT_NULL(test, fence);
	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &test_fence_ops, &fence->lock, vram_fence_context,
		       atomic64_inc_return(&vram_fence_seqno));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vram_fence_put, &fence->base));

	return &fence->base;
}

/*
 * Moving
 */

/* Move to an allocation, which is consumed; with stats, as much as can be moved. */
int vram_migrate_stats(struct kunit *test, struct vram_bo *bo, unsigned long addr,
		       unsigned long len, struct drm_pagemap_migrate_stats *stats)
{
	const struct drm_pagemap_migrate_details details = { .stats = stats };
	int err;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bo);
	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&bo->devmem, current->mm, addr, addr + len,
					    &details);
	mmap_read_unlock(current->mm);

	return err;
}

int vram_migrate(struct kunit *test, struct vram_bo *bo, unsigned long addr,
		 unsigned long len)
{
	return vram_migrate_stats(test, bo, addr, len, NULL);
}

int vram_populate(struct kunit *test, struct vram *vram, unsigned long addr,
		  unsigned long len)
{
	return drm_pagemap_populate_mm(vram->dpagemap, addr, addr + len, current->mm, 0);
}

int vram_populate_stats(struct kunit *test, struct vram *vram, unsigned long addr,
			unsigned long len, struct drm_pagemap_migrate_details *details)
{
	int err = drm_pagemap_populate_range(vram->dpagemap, addr, addr + len, current->mm,
					     details);

	if (details->stats)
		KUNIT_EXPECT_TRUE(test, (err == -EBUSY) == (details->stats->left > 0) ||
				  (err && err != -EBUSY));

	return err;
}

/* A CPU fault, as the page fault handler has it. */
vm_fault_t vram_fault(struct kunit *test, unsigned long addr, unsigned int flags)
{
	struct vm_area_struct *vma;
	vm_fault_t ret;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (!vma) {
		mmap_read_unlock(current->mm);
		KUNIT_FAIL_AND_ABORT(test, "no VMA at 0x%lx", addr);
	}
	ret = handle_mm_fault(vma, addr, flags, NULL);
	if (!(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) ||
	    flags & FAULT_FLAG_RETRY_NOWAIT)
		mmap_read_unlock(current->mm);

	return ret;
}

/*
 * Contents
 */

/* Three words of each page: any page, or part of one, in a wrong place shows. */
static const unsigned int marks[] = { 0, PAGE_SIZE / 2, PAGE_SIZE - sizeof(u64) };

static u64 mark(unsigned long addr, int i)
{
	return (addr & PAGE_MASK) + i + 1;
}

void vram_fill(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;
	int i;

	for (; addr < end; addr += PAGE_SIZE)
		for (i = 0; i < ARRAY_SIZE(marks); i++)
			svm_write(test, addr + marks[i], mark(addr, i));
}

void vram_map_filled(struct kunit *test, unsigned long addr, unsigned long len)
{
	svm_map(test, addr, len, RW);
	vram_fill(test, addr, len);
}

/* What the CPU reads. It takes back what is elsewhere. */
void vram_expect(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;
	int i;

	for (; addr < end; addr += PAGE_SIZE)
		for (i = 0; i < ARRAY_SIZE(marks); i++)
			KUNIT_ASSERT_EQ_MSG(test, svm_read(test, addr + marks[i]),
					    mark(addr, i), "0x%lx", addr);
}

void vram_expect_zero(struct kunit *test, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len;
	int i;

	for (; addr < end; addr += PAGE_SIZE)
		for (i = 0; i < ARRAY_SIZE(marks); i++)
			KUNIT_ASSERT_EQ_MSG(test, svm_read(test, addr + marks[i]), 0,
					    "0x%lx", addr);
}

/* The same in another mm. */
void vram_expect_mm(struct kunit *test, struct mm_struct *mm, unsigned long addr,
		    unsigned long len)
{
	unsigned long end = addr + len;
	u64 value;
	int i;

	for (; addr < end; addr += PAGE_SIZE)
		for (i = 0; i < ARRAY_SIZE(marks); i++) {
			KUNIT_ASSERT_EQ(test, access_remote_vm(mm, addr + marks[i], &value,
							       sizeof(value), 0),
					sizeof(value));
			KUNIT_ASSERT_EQ_MSG(test, value, mark(addr, i), "0x%lx", addr);
		}
}

/*
 * Where things are
 */

static void spot_set_leaf(struct vram_spot *spot, softleaf_t entry)
{
	if (softleaf_is_device_private(entry)) {
		spot->place = VRAM_DEVICE;
		spot->page = softleaf_to_page(entry);
		spot->vram = vram_of(spot->page);
		spot->writable = softleaf_is_device_private_write(entry);
	} else if (softleaf_is_migration(entry)) {
		spot->place = VRAM_MOVING;
	} else if (softleaf_is_swap(entry)) {
		spot->place = VRAM_SWAP;
	}
}

static void spot_set_pmd(struct vram_spot *spot, pmd_t pmd, unsigned long addr)
{
	spot->huge = true;
	if (!pmd_present(pmd)) {
		spot_set_leaf(spot, softleaf_from_pmd(pmd));
		spot->soft_dirty = pmd_swp_soft_dirty(pmd);
		if (spot->page)
			spot->page += (addr & ~PMD_MASK) >> PAGE_SHIFT;
		return;
	}
	spot->place = is_huge_zero_pmd(pmd) ? VRAM_ZERO : VRAM_RAM;
	spot->page = pmd_page(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT);
	spot->writable = pmd_write(pmd);
	spot->soft_dirty = pmd_soft_dirty(pmd);
}

static void spot_set_pte(struct vram_spot *spot, pte_t pte)
{
	if (pte_none(pte))
		return;
	if (!pte_present(pte)) {
		spot_set_leaf(spot, softleaf_from_pte(pte));
		spot->soft_dirty = pte_swp_soft_dirty(pte);
		return;
	}
	spot->place = is_zero_pfn(pte_pfn(pte)) ? VRAM_ZERO : VRAM_RAM;
	spot->page = pte_page(pte);
	spot->writable = pte_write(pte);
	spot->soft_dirty = pte_soft_dirty(pte);
}

static pmd_t *pmd_of(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);

	return pud_none(*pud) ? NULL : pmd_offset(pud, addr);
}

/* What the page tables say, without faulting anything in. */
struct vram_spot vram_spot(struct mm_struct *mm, unsigned long addr)
{
	struct vram_spot spot = {};
	spinlock_t *ptl;
	pmd_t *pmd, pmdval;
	pte_t *pte;

	mmap_read_lock(mm);
	pmd = pmd_of(mm, addr);
	pmdval = pmd ? pmdp_get_lockless(pmd) : __pmd(0);
	if (pmd_none(pmdval)) {
		/* nothing */
	} else if (!pmd_present(pmdval) || pmd_leaf(pmdval)) {
		spot_set_pmd(&spot, pmdval, addr);
	} else {
		pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
		if (pte) {
			spot_set_pte(&spot, ptep_get(pte));
			pte_unmap_unlock(pte, ptl);
		}
	}
	mmap_read_unlock(mm);

	return spot;
}

/* How many pages of the interval are in a memory. */
unsigned long vram_count(struct vram *vram, unsigned long addr, unsigned long len)
{
	unsigned long end = addr + len, count = 0;

	for (; addr < end; addr += PAGE_SIZE)
		count += vram_spot(current->mm, addr).vram == vram;

	return count;
}

unsigned long vram_count_place(enum vram_place place, unsigned long addr,
			       unsigned long len)
{
	unsigned long end = addr + len, count = 0;

	for (; addr < end; addr += PAGE_SIZE)
		count += vram_spot(current->mm, addr).place == place;

	return count;
}

/* All of it is in a memory, and with the right contents. */
void vram_expect_in(struct kunit *test, struct vram *vram, unsigned long addr,
		    unsigned long len)
{
	unsigned long end = addr + len;
	struct vram_spot spot;
	int i;

	for (; addr < end; addr += PAGE_SIZE) {
		spot = vram_spot(current->mm, addr);
		KUNIT_ASSERT_PTR_EQ_MSG(test, spot.vram, vram, "0x%lx, place %d", addr,
					spot.place);
		for (i = 0; i < ARRAY_SIZE(marks); i++)
			KUNIT_ASSERT_EQ_MSG(test, vram_word(spot.page)[marks[i] / sizeof(u64)],
					    mark(addr, i), "0x%lx", addr);
	}
}

void vram_expect_in_ram(struct kunit *test, unsigned long addr, unsigned long len)
{
	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_RAM, addr, len), len >> PAGE_SHIFT);
	vram_expect(test, addr, len);
}
