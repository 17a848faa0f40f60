/* SPDX-License-Identifier: MIT */
/*
 * The TLB of one engine.
 *
 * A translation stays until an invalidation takes it away (or another one needs
 * its place), whatever happens to the page table meanwhile: a driver that
 * forgets to invalidate is served the old page, as on hardware.
 *
 * To tell that it happened, tlb_check() compares an entry with the page table at
 * each use, and before an invalidation, which may be about to take the evidence away. A difference alone is no bug: between the write of a PTE and the
 * acknowledged invalidation the old translation may be used. But an entry that
 * is still used long after it went stale is one that no invalidation covered.
 * Only differences that give away something count: an entry that allows less
 * than the table does is merely looked up again.
 *
 * The caller locks: an engine holds its lock from the lookup until the access is
 * over, an invalidation takes the same lock, so nothing uses what it removed.
 */
#ifndef VBMG_TLB_H
#define VBMG_TLB_H

#include "ppgtt.h"

#define TLB_SMALL	1024	/* entries of 4 KiB */
#define TLB_LARGE	256	/* entries of 2 MiB */

/* Address spaces are told apart by ASID; the GGTT has one that no PPGTT can have */
#define TLB_ASID_GGTT	(~0u)

struct tlb_entry {
	bool valid;
	u32 asid;
	u64 tag;		/* va >> 12 or >> 21 */
	struct translation t;
	u64 root;		/* of the table that it is from */
	u64 stale_since;	/* engine clock, 0 if it never differed */
};

struct tlb {
	struct tlb_entry small[TLB_SMALL];
	struct tlb_entry large[TLB_LARGE];
};

struct tlb_entry *tlb_lookup(struct tlb *tlb, u32 asid, u64 va);
struct tlb_entry *tlb_insert(struct tlb *tlb, u32 asid, u64 va, u64 root,
			     const struct translation *t);

void tlb_flush(struct tlb *tlb);
void tlb_flush_asid(struct tlb *tlb, u32 asid);
void tlb_flush_range(struct tlb *tlb, u32 asid, u64 start, u64 size);

/* How long a stale entry may be in use before that is the driver's bug: 2 s */
#define TLB_GRACE	(2 * 19200000ull)

enum tlb_verdict {
	TLB_GOOD,
	TLB_STALE,		/* differs; an invalidation may be on its way */
	TLB_OVERDUE,		/* differs for longer than TLB_GRACE; told once an entry */
};

/* @now is what the page table says, NULL if it has no such page any more */
enum tlb_verdict tlb_check(struct tlb_entry *entry, u64 va, const struct translation *now,
			   u64 clock);

/* The address that an entry is for: the first of them, if it is for many */
u64 tlb_entry_va(const struct tlb *tlb, const struct tlb_entry *entry);

/* All entries, valid or not: the next one behind @entry, the first one behind NULL */
struct tlb_entry *tlb_next(struct tlb *tlb, struct tlb_entry *entry);

#endif
