/* SPDX-License-Identifier: MIT */
/*
 * Memory as the GuC sees it: GGTT addresses, through the page table in BAR0,
 * looked up anew each time. The driver moves what the GuC uses between system
 * memory and VRAM while it loads, so nothing here may be kept.
 */
#ifndef VBMG_GGTT_H
#define VBMG_GGTT_H

#include "types.h"

struct vbmg;

/* 0, or -EFAULT if a page isn't there; then any part may have been copied */
int ggtt_read(struct vbmg *dev, u32 addr, void *buf, size_t len);
int ggtt_write(struct vbmg *dev, u32 addr, const void *buf, size_t len);

/* One dword that two sides share: acquire and release */
int ggtt_load(struct vbmg *dev, u32 addr, u32 *value);
int ggtt_store(struct vbmg *dev, u32 addr, u32 value);

#endif
