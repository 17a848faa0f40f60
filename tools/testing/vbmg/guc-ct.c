// SPDX-License-Identifier: MIT
/*
 * Command transport: one ring of dwords in each direction, with a descriptor
 * that holds head, tail and status (abi/guc_communication_ctb_abi.h). Neither
 * side is trusted: indices are checked at each use, and a ring that makes no
 * sense is switched off with the reason in its status.
 *
 * Messages of the host never wrap; it fills the end of its ring with zeros,
 * which are messages of no length. Ours do.
 */
#include <stdlib.h>
#include <string.h>

#include "ggtt.h"
#include "guc-private.h"
#include "log.h"
#include "vbmg.h"

#define CTB_HEAD	0	/* byte offsets in the descriptor */
#define CTB_TAIL	4
#define CTB_STATUS	8
#define   CTB_OVERFLOW	BIT(0)
#define   CTB_MISMATCH	BIT(2)
#define CTB_FENCE	GENMASK(31, 16)
#define CTB_FORMAT	GENMASK(15, 12)
#define CTB_NUM_DWORDS	GENMASK(7, 0)

#define CTB_MESSAGE_MAX	256	/* dwords, header included */

void guc_ct_disable(struct vbmg *dev)
{
	pthread_mutex_lock(&dev->guc.lock);
	dev->guc.ct_enabled = false;
	dev->guc.backlog_count = 0;
	pthread_mutex_unlock(&dev->guc.lock);
}

static void guc_ct_broken(struct vbmg *dev, const struct guc_ctb *ctb, u32 status)
{
	log_error("GuC: the ring at GGTT 0x%08x is broken (status %x)", ctb->buffer, status);
	ggtt_store(dev, ctb->desc + CTB_STATUS, status);
	guc_ct_disable(dev);
}

/* Sending */

static u32 guc_ct_space(const struct guc_ctb *ctb, u32 head, u32 tail)
{
	return (head + ctb->size - tail - 1) % ctb->size;
}

static void guc_ct_put(struct vbmg *dev, u32 *tail, const u32 *dw, u32 len)
{
	const struct guc_ctb *ctb = &dev->guc.g2h;
	u32 first = min(len, ctb->size - *tail);

	ggtt_write(dev, ctb->buffer + *tail * 4, dw, first * 4);
	ggtt_write(dev, ctb->buffer, dw + first, (len - first) * 4);
	*tail = (*tail + len) % ctb->size;
}

/* false if there is no space now */
static bool guc_ct_send_locked(struct vbmg *dev, const struct guc_event *event)
{
	const struct guc_ctb *ctb = &dev->guc.g2h;
	u32 head, tail;

	if (ggtt_load(dev, ctb->desc + CTB_HEAD, &head) ||
	    ggtt_load(dev, ctb->desc + CTB_TAIL, &tail) ||
	    head >= ctb->size || tail >= ctb->size) {
		log_error("GuC: the host broke the ring at GGTT 0x%08x", ctb->buffer);
		ggtt_store(dev, ctb->desc + CTB_STATUS, CTB_MISMATCH);
		dev->guc.ct_enabled = false;
		return true;
	}
	if (guc_ct_space(ctb, head, tail) < event->len)
		return false;
	guc_ct_put(dev, &tail, event->dw, event->len);
	ggtt_store(dev, ctb->desc + CTB_TAIL, tail);
	return true;
}

static void guc_ct_queue_locked(struct guc *guc, const struct guc_event *event)
{
	if (guc->backlog_count == guc->backlog_space) {
		size_t space = max(guc->backlog_space * 2, (size_t)16);
		struct guc_event *more = realloc(guc->backlog, space * sizeof(*more));

		if (!more) {
			log_error("GuC: no memory for a message to the host");
			return;
		}
		guc->backlog = more;
		guc->backlog_space = space;
	}
	guc->backlog[guc->backlog_count++] = *event;
}

static bool guc_ct_flush_locked(struct vbmg *dev)
{
	struct guc *guc = &dev->guc;
	size_t sent = 0;

	while (sent < guc->backlog_count && guc_ct_send_locked(dev, &guc->backlog[sent]))
		sent++;
	guc->backlog_count -= sent;
	memmove(guc->backlog, guc->backlog + sent, guc->backlog_count * sizeof(*guc->backlog));
	return sent;
}

void guc_flush_backlog(struct vbmg *dev)
{
	bool sent = false;

	pthread_mutex_lock(&dev->guc.lock);
	if (dev->guc.ct_enabled && dev->guc.backlog_count)
		sent = guc_ct_flush_locked(dev);
	pthread_mutex_unlock(&dev->guc.lock);
	if (sent)
		irq_raise(&dev->irq, IRQ_GUC, IRQ_GUC2HOST);
}

void guc_ct_send(struct vbmg *dev, u32 fence, const u32 *hxg, u32 len)
{
	struct guc *guc = &dev->guc;
	struct guc_event event = { .len = len + 1 };

	event.dw[0] = FIELD_PREP(CTB_FENCE, fence) | FIELD_PREP(CTB_NUM_DWORDS, len);
	memcpy(event.dw + 1, hxg, len * sizeof(u32));
	trace(TRACE_GUC, "G2H %08x %08x %08x %08x %08x %08x", event.dw[0], event.dw[1],
	      event.dw[2], event.dw[3], event.dw[4], event.dw[5]);
	pthread_mutex_lock(&guc->lock);
	/* The order of events holds: behind one that waits, all wait */
	if (guc->ct_enabled && (guc->backlog_count || !guc_ct_send_locked(dev, &event)))
		guc_ct_queue_locked(guc, &event);
	pthread_mutex_unlock(&guc->lock);
	irq_raise(&dev->irq, IRQ_GUC, IRQ_GUC2HOST);
}

void guc_ct_event(struct vbmg *dev, enum guc_action action, const u32 *payload, u32 len)
{
	u32 hxg[GUC_EVENT_MAX - 1];

	hxg[0] = HXG_ORIGIN_GUC | FIELD_PREP(HXG_TYPE, HXG_EVENT) | FIELD_PREP(HXG_ACTION, action);
	memcpy(hxg + 1, payload, len * sizeof(u32));
	guc_ct_send(dev, 0, hxg, len + 1);
}

/* Receiving, by the server thread alone */

static void guc_ct_answer(struct vbmg *dev, u32 header, const u32 *hxg, u32 error)
{
	u32 type = FIELD_GET(HXG_TYPE, hxg[0]);
	u32 reply = HXG_ORIGIN_GUC | FIELD_PREP(HXG_TYPE, HXG_SUCCESS);

	if (error)
		reply = HXG_ORIGIN_GUC | FIELD_PREP(HXG_TYPE, HXG_FAILURE) | error;
	/* A fast request is answered only if it failed */
	if (type == HXG_REQUEST || (type == HXG_FAST_REQUEST && error))
		guc_ct_send(dev, FIELD_GET(CTB_FENCE, header), &reply, 1);
}

static void guc_ct_handle(struct vbmg *dev, const u32 *dw, u32 len)
{
	struct guc_request request = { .dw = dw + 1, .len = len };

	if (!len)
		return;
	trace(TRACE_GUC, "H2G %08x %08x %08x %08x %08x %08x", dw[0], dw[1], len > 1 ? dw[2] : 0,
	      len > 2 ? dw[3] : 0, len > 3 ? dw[4] : 0, len > 4 ? dw[5] : 0);
	guc_ct_answer(dev, dw[0], dw + 1, guc_h2g(dev, &request));
}

/* Take one message at @head: its length with header, or 0 if there is none */
static u32 guc_ct_take(struct vbmg *dev, const struct guc_ctb *ctb, u32 head, u32 tail)
{
	u32 dw[CTB_MESSAGE_MAX], end = tail > head ? tail : ctb->size, len;

	if (ggtt_load(dev, ctb->buffer + head * 4, &dw[0]))
		return 0;
	len = FIELD_GET(CTB_NUM_DWORDS, dw[0]);
	if (FIELD_GET(CTB_FORMAT, dw[0]) || len > end - head - 1)
		return 0;
	if (ggtt_read(dev, ctb->buffer + head * 4 + 4, dw + 1, len * 4))
		return 0;
	guc_ct_handle(dev, dw, len);
	return len + 1;
}

static bool guc_ct_config(struct vbmg *dev, struct guc_ctb *ctb)
{
	bool enabled;

	pthread_mutex_lock(&dev->guc.lock);
	*ctb = dev->guc.h2g;
	enabled = dev->guc.ct_enabled;
	pthread_mutex_unlock(&dev->guc.lock);
	return enabled;
}

void guc_ct_receive(struct vbmg *dev)
{
	struct guc_ctb ctb;
	u32 head, tail, len;

	guc_flush_backlog(dev);
	while (guc_ct_config(dev, &ctb)) {
		if (ggtt_load(dev, ctb.desc + CTB_HEAD, &head) ||
		    ggtt_load(dev, ctb.desc + CTB_TAIL, &tail) ||
		    head >= ctb.size || tail >= ctb.size) {
			guc_ct_broken(dev, &ctb, CTB_OVERFLOW);
			return;
		}
		if (head == tail)
			return;
		len = guc_ct_take(dev, &ctb, head, tail);
		if (!len) {
			guc_ct_broken(dev, &ctb, CTB_MISMATCH);
			return;
		}
		ggtt_store(dev, ctb.desc + CTB_HEAD, (head + len) % ctb.size);
	}
}
