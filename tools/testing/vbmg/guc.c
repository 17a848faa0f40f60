// SPDX-License-Identifier: MIT
/*
 * Loading, as xe_uc_fw.c and xe_guc.c do it: the driver sets parameters, points
 * the DMA engine at the file and starts it, then waits for the firmware to say
 * in GUC_STATUS that it runs. Here it runs at once.
 */
#include <stdlib.h>
#include <string.h>

#include "guc-private.h"
#include "guc-regs.h"
#include "log.h"
#include "mmio.h"
#include "vbmg.h"

static void guc_forget(struct vbmg *dev)
{
	dev->guc.status = GS_MIA_IN_RESET;
	dev->guc.mmio_request = false;
	guc_slpc_reset(&dev->guc.slpc);
	guc_ct_disable(dev);
}

void guc_init(struct vbmg *dev)
{
	memset(&dev->guc, 0, sizeof(dev->guc));
	pthread_mutex_init(&dev->guc.lock, NULL);
	guc_forget(dev);
}

void guc_destroy(struct vbmg *dev)
{
	free(dev->guc.backlog);
	pthread_mutex_destroy(&dev->guc.lock);
}

void guc_reset(struct vbmg *dev)
{
	trace(TRACE_GUC, "reset");
	engines_reset(dev->engines);
	delay_forget(&dev->delay);
	guc_forget(dev);
	mmio_poke(dev, GUC_WOPCM_SIZE, 0);
	mmio_poke(dev, DMA_GUC_WOPCM_OFFSET, 0);
}

/* Each for itself: any number of them may be waiting at the same time */
void guc_later(struct vbmg *dev, enum latency_part part,
	       void (*fn)(void *dev, const void *data), const void *data, size_t len)
{
	delay_call(&dev->delay, dev->config.latencies.part[part].ns, fn, data, len);
}

static void guc_load(struct vbmg *dev)
{
	trace(TRACE_GUC, "load %u bytes from 0x%08x", mmio_peek(dev, DMA_COPY_SIZE),
	      mmio_peek(dev, DMA_ADDR_0_LOW));
	dev->guc.status = GS_AUTH_GOOD | GS_MIA_CORE_STATE | GS_UKERNEL_READY | GS_BOOTROM_DONE;
}

/* One doorbell serves both channels: a message by registers is told by its write */
static void guc_doorbell(struct vbmg *dev)
{
	if (dev->guc.status & GS_MIA_IN_RESET)
		return;
	if (dev->guc.mmio_request) {
		dev->guc.mmio_request = false;
		guc_mmio_message(dev);
	} else {
		guc_ct_receive(dev);
	}
}

bool guc_mmio_read(struct vbmg *dev, u32 offset, u32 *value)
{
	switch (offset) {
	case GUC_STATUS:
		*value = dev->guc.status;
		return true;
	case GUC_HOST_INTERRUPT:
		*value = 0;
		return true;
	default:
		return false;
	}
}

bool guc_mmio_write(struct vbmg *dev, u32 offset, u32 value)
{
	switch (offset) {
	case GUC_STATUS:
		return true;
	case GUC_WOPCM_SIZE:
		mmio_poke(dev, offset, value | WOPCM_SIZE_LOCKED);
		return true;
	case DMA_GUC_WOPCM_OFFSET:
		mmio_poke(dev, offset, value | WOPCM_OFFSET_VALID);
		return true;
	case DMA_CTRL:
		/* The upper half is a mask; the copy is over before it can be read back */
		mmio_poke(dev, offset, value & (value >> 16) & ~START_DMA);
		if (value & (value >> 16) & START_DMA)
			guc_load(dev);
		return true;
	case VF_SW_FLAG(0):
		dev->guc.mmio_request = true;
		mmio_poke(dev, offset, value);
		return true;
	case GUC_HOST_INTERRUPT:
		guc_doorbell(dev);
		return true;
	default:
		return false;
	}
}
