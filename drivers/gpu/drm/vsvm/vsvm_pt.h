/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_PT_H_
#define _VSVM_PT_H_

#include "vsvm_radix.h"

/*
 * A page table entry: the address of a page as the device uses it, see
 * vsvm_mem.h, and bits below. An entry of zero is one that isn't there.
 */
#define VSVM_PTE_WRITABLE	BIT_ULL(2)
/* Bit 3 is the checker's. */
#define VSVM_PTE_ATOMIC		BIT_ULL(4)

/**
 * enum vsvm_access - What the device wants to do
 * @VSVM_READ: read
 * @VSVM_WRITE: write
 * @VSVM_ATOMIC: read and write, and nobody in between
 */
enum vsvm_access {
	VSVM_READ,
	VSVM_WRITE,
	VSVM_ATOMIC,
};

/* Each segment is contiguous, so that its blocks can be one entry. */
static inline u64 vsvm_pte_make(u64 addr, bool writable)
{
	return addr | VSVM_LEAF | VSVM_LEAF_CONTIG |
	       (writable ? VSVM_PTE_WRITABLE : 0);
}

static inline u64 vsvm_pte_addr(u64 pte)
{
	return pte & PAGE_MASK;
}

static inline bool vsvm_pte_allows(u64 pte, enum vsvm_access access)
{
	u64 needed = 0;

	if (access != VSVM_READ)
		needed |= VSVM_PTE_WRITABLE;
	if (access == VSVM_ATOMIC)
		needed |= VSVM_PTE_ATOMIC;

	return pte && (pte & needed) == needed;
}

/**
 * struct vsvm_pt - A device's page table for one address space
 *
 * What the device's engines walk. As with hardware, nothing protects a walk
 * from changes: whoever takes entries away invalidates the TLBs afterwards and
 * waits, see &struct vsvm_tlb_unit.
 *
 * @radix: The entries
 */
struct vsvm_pt {
	struct vsvm_radix radix;
};

/**
 * vsvm_pt_init() - Make an empty page table
 * @pt: The page table
 *
 * Return: 0 or -ENOMEM.
 */
static inline int vsvm_pt_init(struct vsvm_pt *pt)
{
	return vsvm_radix_init(&pt->radix);
}

/**
 * vsvm_pt_fini() - Free a page table
 * @pt: The page table
 */
static inline void vsvm_pt_fini(struct vsvm_pt *pt)
{
	vsvm_radix_fini(&pt->radix);
}

int vsvm_pt_map(struct vsvm_pt *pt, struct vsvm_radix_batch *batch,
		unsigned long start, unsigned int order, u64 pte);
unsigned long vsvm_pt_zap(struct vsvm_pt *pt, unsigned long start,
			  unsigned long end);
u64 vsvm_pt_walk(const struct vsvm_pt *pt, unsigned long addr);

#endif
