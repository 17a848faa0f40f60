/* SPDX-License-Identifier: MIT */
/*
 * Page tables: per-process (PPGTT) and global (GGTT).
 *
 * A PPGTT has five levels with 512 entries of 8 bytes, all in VRAM; a leaf may
 * be at level 0 (4 KiB), 1 (2 MiB) or 2 (1 GiB). A level 1 entry can also name
 * a compact table: 32 leaves of 64 KiB. The GGTT is one flat array of 4 KiB
 * entries. Bits: regs/xe_gtt_defs.h of the driver.
 */
#ifndef VBMG_PPGTT_H
#define VBMG_PPGTT_H

#include "types.h"

#define PPGTT_LEVELS		5
#define PPGTT_ROOT_LEVEL	(PPGTT_LEVELS - 1)

struct vram {
	u8 *base;
	u64 size;
};

enum aperture {
	APERTURE_VRAM,
	APERTURE_SYSTEM,	/* address that the device puts on the bus */
	APERTURE_NULL,		/* reads as 0, swallows writes */
};

/* One page as the hardware caches it */
struct translation {
	u64 page;		/* physical address of the page's first byte */
	u8 shift;		/* log2 of the page size */
	u8 level;		/* where the leaf was found */
	u8 aperture;		/* enum aperture */
	bool writable;
	bool atomic;
};

/* The physical address that @va has in @t */
static inline u64 translation_address(const struct translation *t, u64 va)
{
	return t->page | (va & ((1ull << t->shift) - 1));
}

/*
 * Both return 0, -EFAULT if the page is not present (ppgtt_walk() stores the
 * level of the missing entry), or -EIO if a table is outside the VRAM.
 */
int ppgtt_walk(const struct vram *vram, u64 root, u64 va, struct translation *t, u32 *level);
int ggtt_walk(const u64 *ggtt, u32 entries, u64 va, struct translation *t);

#endif
