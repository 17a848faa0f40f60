/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_CHECKER_H_
#define _VSVM_CHECKER_H_

#include <linux/atomic.h>

#include "vsvm_pt.h"
#include "vsvm_radix.h"

/**
 * struct vsvm_checker - What a device may access in one address space
 *
 * Kept from what the driver declares, apart from page table and TLBs, which
 * are what the device goes by. Each page is in one of these states:
 *
 * * granted: bound. The device may use this one translation.
 *
 * * revoking: zapped, the TLB invalidation of a certain number is under way. The
 *   device may still use the old translation.
 *
 * * revoked: the driver declared that this invalidation is complete, and the page
 *   may belong to someone else by now. Every access is an error. So is one where
 *   nothing was ever granted, which is how a page of this state may be kept.
 *
 * @grants: The page's word: its page table entry, or the invalidation's number
 * @revoked: Invalidations up to this number were declared complete
 */
struct vsvm_checker {
	struct vsvm_radix grants;
	atomic64_t revoked;
};

/**
 * vsvm_checker_init() - Make a checker that allows nothing
 * @checker: The checker
 *
 * Return: 0 or -ENOMEM.
 */
static inline int vsvm_checker_init(struct vsvm_checker *checker)
{
	atomic64_set(&checker->revoked, 0);
	return vsvm_radix_init(&checker->grants);
}

/**
 * vsvm_checker_fini() - Free a checker's memory
 * @checker: The checker
 */
static inline void vsvm_checker_fini(struct vsvm_checker *checker)
{
	vsvm_radix_fini(&checker->grants);
}

int vsvm_checker_grant(struct vsvm_checker *checker,
		       struct vsvm_radix_batch *batch, unsigned long start,
		       unsigned int order, u64 pte);
void vsvm_checker_revoke(struct vsvm_checker *checker, unsigned long start,
			 unsigned long end, u64 seqno);
void vsvm_checker_revoked(struct vsvm_checker *checker, u64 seqno);
void vsvm_checker_forget(struct vsvm_checker *checker, unsigned long start,
			 unsigned long end);
bool vsvm_checker_allows(const struct vsvm_checker *checker, unsigned long addr,
			 u64 pte, enum vsvm_access access);

#endif
