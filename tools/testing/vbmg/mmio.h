/* SPDX-License-Identifier: MIT */
/*
 * Registers: BAR0 without its GGTT, which the client maps.
 */
#ifndef VBMG_MMIO_H
#define VBMG_MMIO_H

#include "types.h"

struct vbmg;

void mmio_reset(struct vbmg *dev);

/* The guest's accesses: any offset and length inside BAR0 */
void mmio_read(struct vbmg *dev, u32 offset, void *buf, u32 len);
void mmio_write(struct vbmg *dev, u32 offset, const void *buf, u32 len);

/* Registers as storage, without side effects */
u32 mmio_peek(struct vbmg *dev, u32 offset);
void mmio_poke(struct vbmg *dev, u32 offset, u32 value);

#endif
