// SPDX-License-Identifier: MIT
/*
 * Two direct-mapped arrays: a leaf of 2 MiB or more goes into the large one as
 * 2 MiB pieces, a smaller one into the small one as 4 KiB pieces.
 */
#include "tlb.h"

#define SMALL_SHIFT	12
#define LARGE_SHIFT	21

static struct tlb_entry *slot(struct tlb *tlb, u32 asid, u64 va, bool large)
{
	u64 tag = va >> (large ? LARGE_SHIFT : SMALL_SHIFT);
	u64 hash = tag ^ asid * 0x9e3779b1ull;

	return large ? &tlb->large[hash % TLB_LARGE] : &tlb->small[hash % TLB_SMALL];
}

static bool matches(const struct tlb_entry *entry, u32 asid, u64 tag)
{
	return entry->valid && entry->asid == asid && entry->tag == tag;
}

struct tlb_entry *tlb_lookup(struct tlb *tlb, u32 asid, u64 va)
{
	struct tlb_entry *entry = slot(tlb, asid, va, false);

	if (matches(entry, asid, va >> SMALL_SHIFT))
		return entry;
	entry = slot(tlb, asid, va, true);
	return matches(entry, asid, va >> LARGE_SHIFT) ? entry : NULL;
}

struct tlb_entry *tlb_insert(struct tlb *tlb, u32 asid, u64 va, u64 root,
			     const struct translation *t)
{
	bool large = t->shift >= LARGE_SHIFT;
	struct tlb_entry *entry = slot(tlb, asid, va, large);
	struct tlb_entry *other = slot(tlb, asid, va, !large);

	/* A page that changed its size must not stay under its old one */
	if (matches(other, asid, va >> (large ? SMALL_SHIFT : LARGE_SHIFT)))
		other->valid = false;

	*entry = (struct tlb_entry) {
		.valid = true,
		.asid = asid,
		.tag = va >> (large ? LARGE_SHIFT : SMALL_SHIFT),
		.t = *t,
		.root = root,
	};
	return entry;
}

void tlb_flush(struct tlb *tlb)
{
	for (u32 i = 0; i < TLB_SMALL; i++)
		tlb->small[i].valid = false;
	for (u32 i = 0; i < TLB_LARGE; i++)
		tlb->large[i].valid = false;
}

/* [first, last] in pages of the array's size */
static void flush_array(struct tlb_entry *array, u32 n, u32 asid, u64 first, u64 last)
{
	for (u32 i = 0; i < n; i++) {
		if (array[i].asid == asid && array[i].tag >= first && array[i].tag <= last)
			array[i].valid = false;
	}
}

void tlb_flush_asid(struct tlb *tlb, u32 asid)
{
	flush_array(tlb->small, TLB_SMALL, asid, 0, ~0ull);
	flush_array(tlb->large, TLB_LARGE, asid, 0, ~0ull);
}

void tlb_flush_range(struct tlb *tlb, u32 asid, u64 start, u64 size)
{
	u64 last = start + size - 1;

	if (!size)
		return;
	if (last < start)
		last = ~0ull;
	flush_array(tlb->small, TLB_SMALL, asid, start >> SMALL_SHIFT, last >> SMALL_SHIFT);
	flush_array(tlb->large, TLB_LARGE, asid, start >> LARGE_SHIFT, last >> LARGE_SHIFT);
}

static bool is_large(const struct tlb *tlb, const struct tlb_entry *entry)
{
	return entry >= tlb->large && entry < tlb->large + TLB_LARGE;
}

u64 tlb_entry_va(const struct tlb *tlb, const struct tlb_entry *entry)
{
	return entry->tag << (is_large(tlb, entry) ? LARGE_SHIFT : SMALL_SHIFT);
}

struct tlb_entry *tlb_next(struct tlb *tlb, struct tlb_entry *entry)
{
	if (!entry)
		return tlb->small;
	if (entry == tlb->small + TLB_SMALL - 1)
		return tlb->large;
	return entry == tlb->large + TLB_LARGE - 1 ? NULL : entry + 1;
}

/* Does the cached translation lead where the table no longer leads? */
static bool gives_away(const struct translation *cached, const struct translation *now, u64 va)
{
	if (!now || cached->aperture != now->aperture)
		return true;
	if ((cached->writable && !now->writable) || (cached->atomic && !now->atomic))
		return true;
	return cached->aperture != APERTURE_NULL &&
	       translation_address(cached, va) != translation_address(now, va);
}

enum tlb_verdict tlb_check(struct tlb_entry *entry, u64 va, const struct translation *now,
			   u64 clock)
{
	if (!gives_away(&entry->t, now, va)) {
		entry->stale_since = 0;
		return TLB_GOOD;
	}
	if (!entry->stale_since)
		entry->stale_since = clock ? clock : 1;
	if (clock - entry->stale_since <= TLB_GRACE)
		return TLB_STALE;
	/* Once is enough: the page is looked up anew */
	entry->valid = false;
	return TLB_OVERDUE;
}
