// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/visibility.h>

#include "vsvm_checker.h"
#include "vsvm_pt.h"

/*
 * A grant is the page table entry that the driver declared. A revocation holds
 * the number of a TLB invalidation where the address would be.
 */
#define REVOKING		BIT_ULL(3)

static u64 revocation(u64 seqno)
{
	return (seqno << PAGE_SHIFT) | REVOKING;
}

static u64 revocation_seqno(u64 word)
{
	return word >> PAGE_SHIFT;
}

/**
 * vsvm_checker_grant() - The driver binds a segment
 * @checker: The checker
 * @batch: Nodes from vsvm_radix_prepare()
 * @start: Virtual address of the segment
 * @order: Its size is PAGE_SIZE << order
 * @pte: What the page table entry of its first page will be
 *
 * Called before the page table has the entries. Doesn't sleep.
 *
 * Return: 0, or -EAGAIN if @batch has too few nodes, see vsvm_radix_store().
 */
int vsvm_checker_grant(struct vsvm_checker *checker,
		       struct vsvm_radix_batch *batch, unsigned long start,
		       unsigned int order, u64 pte)
{
	return vsvm_radix_store(&checker->grants, batch, start, BIT(order),
				pte);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_checker_grant);

static bool is_granted(u64 word, const void *data)
{
	return !(word & REVOKING);
}

/**
 * vsvm_checker_revoke() - The driver begins to take an interval away
 * @checker: The checker
 * @start: First virtual address
 * @end: Address behind the last
 * @seqno: Number of the TLB invalidation that it submitted
 *
 * What is being taken away already, or was, stays so by the earlier invalidation. Doesn't
 * sleep.
 */
void vsvm_checker_revoke(struct vsvm_checker *checker, unsigned long start,
			 unsigned long end, u64 seqno)
{
	vsvm_radix_replace_if(&checker->grants, start, end, revocation(seqno),
			      is_granted, NULL);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_checker_revoke);

/**
 * vsvm_checker_revoked() - The driver takes an invalidation for complete
 * @checker: The checker
 * @seqno: Its number; those before it are complete too
 *
 * Called when the driver has waited and before it lets go of the pages. The
 * checker doesn't ask the device: if the driver did not wait, accesses follow.
 */
void vsvm_checker_revoked(struct vsvm_checker *checker, u64 seqno)
{
	s64 old = atomic64_read(&checker->revoked);

	while (old < (s64)seqno &&
	       !atomic64_try_cmpxchg(&checker->revoked, &old, seqno))
		;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_checker_revoked);

static bool is_revoked(u64 word, const void *data)
{
	const struct vsvm_checker *checker = data;

	return word & REVOKING &&
	       revocation_seqno(word) <= atomic64_read(&checker->revoked);
}

/**
 * vsvm_checker_forget() - Free the memory of what was revoked
 * @checker: The checker
 * @start: First virtual address
 * @end: Address behind the last
 *
 * Changes nothing in what is allowed: where nothing is known, nothing is granted.
 */
void vsvm_checker_forget(struct vsvm_checker *checker, unsigned long start,
			 unsigned long end)
{
	vsvm_radix_replace_if(&checker->grants, start, end, 0, is_revoked, checker);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_checker_forget);

/**
 * vsvm_checker_allows() - Whether the device may do an access now
 * @checker: The checker
 * @addr: Virtual address
 * @pte: The translation that the device is about to use
 * @access: What it does
 *
 * Return: false if the translation was never granted or was taken away.
 */
bool vsvm_checker_allows(const struct vsvm_checker *checker, unsigned long addr,
			 u64 pte, enum vsvm_access access)
{
	u64 word = vsvm_radix_load(&checker->grants, addr);

	if (!word)
		return false;

	if (word & REVOKING)
		return revocation_seqno(word) >
		       atomic64_read(&checker->revoked);

	return vsvm_pte_addr(word) == vsvm_pte_addr(pte) &&
	       vsvm_pte_allows(word, access);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_checker_allows);
