/* SPDX-License-Identifier: MIT */
/*
 * One virtual Battlemage: what its parts share.
 *
 *   vfu-*   vfio-user, the side of QEMU     pci    configuration space
 *   mmio    registers                       irq    interrupt tree and MSI
 *   guc-*   the firmware's side of the      dma    guest memory
 *           driver's messages               ggtt   global page table
 *   engine  what runs command streams      delay  what comes later
 *
 * Threads: one server thread a device handles the client's messages, hence all
 * register accesses of the guest; every engine is a thread; so is what the device
 * does with a latency, if it has one. Each part locks its own state; the order is
 * guc.lock, then irq.lock, then dma.lock.
 */
#ifndef VBMG_VBMG_H
#define VBMG_VBMG_H

#include "delay.h"
#include "dma.h"
#include "engine.h"
#include "guc.h"
#include "irq.h"
#include "pci.h"
#include "types.h"

#define BAR0_SIZE	(16ull << 20)
#define REGS_SIZE	(4ull << 20)	/* a tile's registers, at 0 */
#define GGTT_OFFSET	(8ull << 20)	/* page table entries: the second half */
#define GGTT_ENTRIES	((u32)((BAR0_SIZE - GGTT_OFFSET) / sizeof(u64)))

struct vbmg_config {
	u64 vram_size;
	u32 n_compute;
	u32 timeslice_us;	/* 0: the engines' default */
	bool msix;		/* MSI-X, and interrupts of engines from memory */
	struct latencies latencies;
	struct clock *clock;	/* of these; NULL: clock_real */
};

struct vbmg {
	struct vbmg_config config;
	unsigned int index;	/* among the instances of this process */

	int bar0_fd;		/* memfd, GGTT part is mapped by the client */
	u8 *bar0;
	int vram_fd;
	u8 *vram;

	struct dma dma;
	struct pci pci;
	struct irq irq;
	struct guc guc;
	struct delay delay;
	struct engines *engines;

	u64 flr_done;		/* see mmio.c */
};

int vbmg_init(struct vbmg *dev, unsigned int index, const struct vbmg_config *config);
void vbmg_destroy(struct vbmg *dev);

/* Function level reset: registers and firmware state, not the VRAM */
void vbmg_reset(struct vbmg *dev);

#endif
