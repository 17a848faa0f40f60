// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/visibility.h>

#include "vsvm_pt.h"

/**
 * vsvm_pt_map() - Enter a segment into the page table
 * @pt: The page table
 * @batch: Nodes from vsvm_radix_prepare()
 * @start: Virtual address of the segment
 * @order: Its size is PAGE_SIZE << order
 * @pte: The entry of its first page, see vsvm_pte_make()
 *
 * Doesn't sleep.
 *
 * Return: 0, or -EAGAIN if @batch has too few nodes, see vsvm_radix_store().
 */
int vsvm_pt_map(struct vsvm_pt *pt, struct vsvm_radix_batch *batch,
		unsigned long start, unsigned int order, u64 pte)
{
	return vsvm_radix_store(&pt->radix, batch, start, BIT(order), pte);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_pt_map);

/**
 * vsvm_pt_zap() - Take entries out of the page table
 * @pt: The page table
 * @start: First address
 * @end: Address behind the last
 *
 * May take away more than asked, where a block is one entry. Doesn't sleep. The
 * device can use the entries until its TLBs have been invalidated.
 *
 * Return: the number of pages that had an entry.
 */
unsigned long vsvm_pt_zap(struct vsvm_pt *pt, unsigned long start,
			  unsigned long end)
{
	return vsvm_radix_replace(&pt->radix, start, end, 0);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_pt_zap);

/**
 * vsvm_pt_walk() - Look up the entry of a page, as the device does
 * @pt: The page table
 * @addr: A virtual address in the page
 *
 * Return: the page's entry, or zero.
 */
u64 vsvm_pt_walk(const struct vsvm_pt *pt, unsigned long addr)
{
	return vsvm_radix_load(&pt->radix, addr);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_pt_walk);
