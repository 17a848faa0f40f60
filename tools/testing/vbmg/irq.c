// SPDX-License-Identifier: MIT
/*
 * The driver's handler (xe_irq.c, dg1_irq_handler) walks the tree with eleven
 * register accesses and more for each source, and every one of them traps. So
 * one MSI is sent for whatever is pending, and none while the handler of the
 * last one has not written the master enable back.
 *
 *   DG1_MSTR_TILE_INTR -> GFX_MSTR_IRQ -> GT_INTR_DW0 -> IIR_REG_SELECTOR0,
 *                                                       INTR_IDENTITY0
 *
 * Each source collects vector bits until the driver selects it; that latches
 * them into the identity register. A bit of GT_INTR_DW0 that is cleared while
 * new vector bits came in stays set: nothing is lost, whatever the order. The
 * driver's enable and mask registers are not looked at.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "irq.h"
#include "log.h"

/* regs/xe_irq_regs.h */
#define DG1_MSTR_TILE_INTR	0x190008
#define   DG1_MSTR_IRQ		BIT(31)
#define   DG1_MSTR_TILE0	BIT(0)
#define GFX_MSTR_IRQ		0x190010
#define   GT_DW0_IRQ		BIT(0)
#define GT_INTR_DW0		0x190018
#define INTR_IDENTITY_REG0	0x190060
#define   INTR_DATA_VALID	BIT(31)
#define   INTR_ENGINE_INSTANCE	GENMASK(25, 20)
#define   INTR_ENGINE_CLASS	GENMASK(18, 16)
#define IIR_REG_SELECTOR0	0x190070

#define CLASS_OTHER		4	/* XE_ENGINE_CLASS_OTHER: GuC and others */

void irq_init(struct irq *irq)
{
	memset(irq, 0, sizeof(*irq));
	pthread_mutex_init(&irq->lock, NULL);
	for (u32 i = 0; i < IRQ_VECTORS; i++)
		irq->eventfd[i] = -1;
}

void irq_destroy(struct irq *irq)
{
	for (u32 i = 0; i < IRQ_VECTORS; i++)
		irq_set_eventfd(irq, i, -1);
	pthread_mutex_destroy(&irq->lock);
}

void irq_reset(struct irq *irq)
{
	pthread_mutex_lock(&irq->lock);
	irq->enabled = false;
	irq->fired = false;
	irq->pending = 0;
	irq->latched = 0;
	memset(irq->vector, 0, sizeof(irq->vector));
	pthread_mutex_unlock(&irq->lock);
}

/* A full eventfd counter means that the client has yet to see many of them */
static void irq_notify_locked(struct irq *irq, u32 vector)
{
	u64 one = 1;

	irq->count++;
	if (write(irq->eventfd[vector], &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("cannot signal interrupt %u: %s", vector, strerror(errno));
	trace(TRACE_IRQ, "MSI %u, pending %08x", vector, irq->pending);
}

static void irq_fire_locked(struct irq *irq)
{
	if (!irq->enabled || !irq->pending || irq->fired || irq->eventfd[IRQ_TREE_VECTOR] < 0)
		return;
	irq->fired = true;
	irq_notify_locked(irq, IRQ_TREE_VECTOR);
}

void irq_set_eventfd(struct irq *irq, u32 vector, int eventfd)
{
	pthread_mutex_lock(&irq->lock);
	if (irq->eventfd[vector] >= 0)
		close(irq->eventfd[vector]);
	irq->eventfd[vector] = eventfd;
	if (vector == IRQ_TREE_VECTOR) {
		irq->fired = false;
		irq_fire_locked(irq);
	}
	pthread_mutex_unlock(&irq->lock);
}

void irq_notify(struct irq *irq, u32 vector)
{
	pthread_mutex_lock(&irq->lock);
	if (vector < IRQ_VECTORS && irq->eventfd[vector] >= 0)
		irq_notify_locked(irq, vector);
	pthread_mutex_unlock(&irq->lock);
}

void irq_raise(struct irq *irq, enum irq_source source, u16 vector)
{
	pthread_mutex_lock(&irq->lock);
	irq->vector[source] |= vector;
	irq->pending |= BIT(source);
	irq_fire_locked(irq);
	pthread_mutex_unlock(&irq->lock);
}

static u32 irq_identity(enum irq_source source)
{
	u32 class, instance = 0;

	if (source == IRQ_RCS0) {
		class = ENGINE_RENDER;
	} else if (source >= IRQ_CCS0 && source < IRQ_CCS0 + ENGINE_MAX_COMPUTE) {
		class = ENGINE_COMPUTE;
		instance = source - IRQ_CCS0;
	} else if (source >= IRQ_BCS8 && source <= IRQ_BCS8) {
		class = ENGINE_COPY;
		instance = 8;
	} else if (source == IRQ_BCS0) {
		class = ENGINE_COPY;
	} else {
		class = CLASS_OTHER;
	}
	return FIELD_PREP(INTR_ENGINE_CLASS, class) | FIELD_PREP(INTR_ENGINE_INSTANCE, instance);
}

static void irq_select_locked(struct irq *irq, u32 selected)
{
	u32 source;

	if (!selected)
		return;
	source = (u32)__builtin_ctz(selected);
	irq->latched = INTR_DATA_VALID | irq_identity(source) | irq->vector[source];
	irq->vector[source] = 0;
}

static void irq_clear_locked(struct irq *irq, u32 bits)
{
	for (u32 source = 0; source < IRQ_SOURCES; source++) {
		if (bits & BIT(source) && !irq->vector[source])
			irq->pending &= ~BIT(source);
	}
}

static void irq_enable_locked(struct irq *irq, bool enable)
{
	irq->enabled = enable;
	if (enable) {
		irq->fired = false;
		irq_fire_locked(irq);
	}
}

bool irq_read(struct irq *irq, u32 offset, u32 *value)
{
	bool known = true;

	pthread_mutex_lock(&irq->lock);
	switch (offset) {
	case DG1_MSTR_TILE_INTR:
		*value = (irq->enabled ? DG1_MSTR_IRQ : 0) | (irq->pending ? DG1_MSTR_TILE0 : 0);
		break;
	case GFX_MSTR_IRQ:
		*value = irq->pending ? GT_DW0_IRQ : 0;
		break;
	case GT_INTR_DW0:
		*value = irq->pending;
		break;
	case INTR_IDENTITY_REG0:
		*value = irq->latched;
		break;
	default:
		known = false;
	}
	pthread_mutex_unlock(&irq->lock);
	return known;
}

bool irq_write(struct irq *irq, u32 offset, u32 value)
{
	bool known = true;

	pthread_mutex_lock(&irq->lock);
	switch (offset) {
	case DG1_MSTR_TILE_INTR:
		irq_enable_locked(irq, value & DG1_MSTR_IRQ);
		break;
	case GFX_MSTR_IRQ:	/* follows GT_INTR_DW0 */
		break;
	case IIR_REG_SELECTOR0:
		irq_select_locked(irq, value);
		break;
	case GT_INTR_DW0:
		irq_clear_locked(irq, value);
		break;
	case INTR_IDENTITY_REG0:
		irq->latched &= ~value;
		break;
	default:
		known = false;
	}
	pthread_mutex_unlock(&irq->lock);
	return known;
}
