/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_PT_H_
#define _VSVM_PT_H_

#include "vsvm_radix.h"

/*
 * A page table entry: the DMA address of a page, and bits below. An entry of
 * zero is one that isn't there.
 */
#define VSVM_PTE_WRITABLE	BIT_ULL(2)

/* Each segment is contiguous, so that its blocks can be one entry. */
static inline u64 vsvm_pte_make(dma_addr_t addr, bool writable)
{
	return addr | VSVM_LEAF | VSVM_LEAF_CONTIG |
	       (writable ? VSVM_PTE_WRITABLE : 0);
}

static inline dma_addr_t vsvm_pte_addr(u64 pte)
{
	return pte & PAGE_MASK;
}

static inline bool vsvm_pte_allows(u64 pte, bool write)
{
	return write ? pte & VSVM_PTE_WRITABLE : pte;
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
		unsigned long start, unsigned int order, dma_addr_t addr,
		bool writable);
unsigned long vsvm_pt_zap(struct vsvm_pt *pt, unsigned long start,
			  unsigned long end);
u64 vsvm_pt_walk(const struct vsvm_pt *pt, unsigned long addr);

#endif
