/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: the tree of registers that tells the driver who wanted it, and
 * the vector at its root. That is the only one with MSI. With MSI-X there is one
 * more, for engines: these say in memory who wanted it (mi-flow.c).
 */
#ifndef VBMG_IRQ_H
#define VBMG_IRQ_H

#include <pthread.h>

#include "types.h"

/* Sources, by their bit in GT_INTR_DW0 (xe_irq_regs.h) */
enum irq_source {
	IRQ_RCS0 = 0,
	IRQ_CCS0 = 4,		/* to 7: ccs3 */
	IRQ_BCS0 = 15,
	IRQ_BCS8 = 23,
	IRQ_GUC = 25,
};

#define IRQ_SOURCES	32

#define IRQ_TREE_VECTOR	0
#define IRQ_VECTORS	2

/* Vector bits */
#define IRQ_USER_INTERRUPT	BIT(0)
#define IRQ_GUC2HOST		BIT(15)

struct irq {
	pthread_mutex_t lock;
	int eventfd[IRQ_VECTORS];	/* -1: the driver hasn't enabled it */
	bool enabled;		/* DG1_MSTR_IRQ of DG1_MSTR_TILE_INTR */
	bool fired;		/* and not yet acknowledged */
	u32 pending;		/* GT_INTR_DW0 */
	u32 latched;		/* INTR_IDENTITY of bank 0 */
	u16 vector[IRQ_SOURCES];
	u64 count;		/* of MSIs */
};

void irq_init(struct irq *irq);
void irq_destroy(struct irq *irq);
void irq_reset(struct irq *irq);

/* Takes @eventfd, -1 for none */
void irq_set_eventfd(struct irq *irq, u32 vector, int eventfd);

void irq_raise(struct irq *irq, enum irq_source source, u16 vector);

/* A vector by itself, past the tree; one that doesn't exist goes nowhere */
void irq_notify(struct irq *irq, u32 vector);

/* Registers of the tree; false if @offset isn't one with a side effect */
bool irq_read(struct irq *irq, u32 offset, u32 *value);
bool irq_write(struct irq *irq, u32 offset, u32 value);

#endif
