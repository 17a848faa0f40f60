// SPDX-License-Identifier: MIT
/* Page table walks: no state, no locks; the tables may change under them. */
#include <errno.h>

#include "ppgtt.h"

#define PAGE_PRESENT		BIT_ULL(0)
#define PAGE_RW			BIT_ULL(1)
#define GGTT_PTE_DM		BIT_ULL(1)
#define PDE_64K			BIT_ULL(6)	/* level 1: names a compact table */
#define PDE_PS			BIT_ULL(7)	/* levels 1, 2: a leaf; level 0: a PAT bit */
#define PTE_NULL		BIT_ULL(9)
#define PTE_ATOMIC		BIT_ULL(10)
#define PTE_DM			BIT_ULL(11)	/* leaf: in VRAM, else on the bus */
#define ENTRY_ADDRESS		GENMASK_ULL(51, 12)

#define VA_BITS			57
#define COMPACT_ENTRIES		32

static u32 level_shift(u32 level)
{
	return 12 + 9 * level;
}

/* The guest's CPU writes entries as one qword: never see half of one */
static u64 load_entry(const void *p)
{
	return __atomic_load_n((const u64 *)p, __ATOMIC_ACQUIRE);
}

static int read_entry(const struct vram *vram, u64 table, u32 index, u64 *entry)
{
	u64 at = table + index * 8ull;

	if (at > vram->size || vram->size - at < 8)
		return -EIO;
	*entry = load_entry(vram->base + at);
	return 0;
}

static void fill_leaf(struct translation *t, u64 entry, u32 level, u32 shift)
{
	t->page = entry & GENMASK_ULL(51, 0) & ~((1ull << shift) - 1);
	t->shift = (u8)shift;
	t->level = (u8)level;
	t->writable = entry & PAGE_RW;
	t->atomic = entry & PTE_ATOMIC;
	if (entry & PTE_NULL)
		t->aperture = APERTURE_NULL;
	else
		t->aperture = entry & PTE_DM ? APERTURE_VRAM : APERTURE_SYSTEM;
}

static bool is_leaf(u64 entry, u32 level)
{
	return level == 0 || (level <= 2 && (entry & PDE_PS));
}

/* The compact table of a level 1 entry: one leaf every 64 KiB */
static int walk_compact(const struct vram *vram, u64 pde, u64 va, struct translation *t,
			u32 *level)
{
	u64 entry;

	if (read_entry(vram, pde & ENTRY_ADDRESS, (va >> 16) % COMPACT_ENTRIES, &entry))
		return -EIO;
	*level = 0;
	if (!(entry & PAGE_PRESENT))
		return -EFAULT;
	fill_leaf(t, entry, 0, 16);
	return 0;
}

int ppgtt_walk(const struct vram *vram, u64 root, u64 va, struct translation *t, u32 *level)
{
	u64 table = root & ENTRY_ADDRESS;
	u64 entry;

	*level = PPGTT_ROOT_LEVEL;
	if (va >> VA_BITS)
		return -EFAULT;

	for (u32 l = PPGTT_ROOT_LEVEL;; l--) {
		*level = l;
		if (read_entry(vram, table, (va >> level_shift(l)) & 511, &entry))
			return -EIO;
		if (!(entry & PAGE_PRESENT))
			return -EFAULT;
		if (is_leaf(entry, l))
			break;
		if (l == 1 && (entry & PDE_64K))
			return walk_compact(vram, entry, va, t, level);
		table = entry & ENTRY_ADDRESS;
	}
	fill_leaf(t, entry, *level, level_shift(*level));
	return 0;
}

int ggtt_walk(const u64 *ggtt, u32 entries, u64 va, struct translation *t)
{
	u64 entry;

	if (va >> 12 >= entries)
		return -EFAULT;
	entry = load_entry(&ggtt[va >> 12]);
	if (!(entry & PAGE_PRESENT))
		return -EFAULT;
	*t = (struct translation) {
		.page = entry & ENTRY_ADDRESS,
		.shift = 12,
		.aperture = entry & GGTT_PTE_DM ? APERTURE_VRAM : APERTURE_SYSTEM,
		.writable = true,
		.atomic = true,
	};
	return 0;
}
