// SPDX-License-Identifier: MIT
/*
 * A register that is not mentioned here is storage: it reads what was written,
 * 0 at first. The driver writes hundreds of those (workarounds, tuning) and
 * never looks at their effect.
 *
 * Others have a reset value that describes the device, which the fixed part of
 * it keeps against writes; or they do something. Names are the driver's, from
 * regs/xe_*_regs.h unless another source is given.
 */
#include <string.h>

#include "guc-regs.h"
#include "log.h"
#include "mmio.h"
#include "vbmg.h"

#define GMD_ID			0x000d8c
#define   GMD_ID_BMG		(20 << 22 | 1 << 14 | 4)	/* 20.01, stepping B0 */
#define FORCEWAKE_ACK_RENDER	0x000d84
#define FORCEWAKE_ACK_GT	0x000dfc
#define RPM_CONFIG0		0x000d00
#define STEER_SEMAPHORE		0x000fd0
#define MIRROR_FUSE3		0x009118
#define FUSE2			0x009120
#define   PRODUCTION_HW		BIT(2)
#define XEHP_FUSE4		0x009114
#define   CCS_EN		GENMASK(19, 16)
#define XELP_EU_ENABLE		0x009134
#define GEOMETRY_DSS_ENABLE	0x00913c
#define COMPUTE_DSS_ENABLE	0x009144
#define GDRST			0x00941c
#define   GRDOM_FULL		BIT(0)
#define   GRDOM_GUC		BIT(3)
#define FORCEWAKE_GT		0x00a188
#define FORCEWAKE_RENDER	0x00a278
#define GU_MISC_IIR		0x0444f8
#define PCU_IIR			0x0444e8
#define GU_CNTL			0x101010
#define   LMEM_INIT		BIT(7)
#define   DRIVERFLR		BIT(31)
#define GU_DEBUG		0x101018
#define   DRIVERFLR_STATUS	BIT(31)
#define DSMBASE			0x1080c0
#define GSMBASE			0x108100
#define STOLEN_RESERVED		0x1082c0
#define   WOPCM_SIZE_8M		(3 << 7)
#define SG_TILE_ADDR_RANGE	0x1083a0
#define RP_STATE_CAP		0x138000
#define   RP0_CAP		GENMASK(8, 0)
#define   RPN_CAP		GENMASK(24, 16)
#define GT_RPA_FREQUENCY	0x138008
#define GT_RPE_FREQUENCY	0x13800c
#define PCODE_MAILBOX		0x138124
#define   PCODE_READY		BIT(31)
#define   PCODE_COMMAND		GENMASK(7, 0)
#define PCODE_DATA0		0x138128
#define PCODE_DATA1		0x13812c
#define VF_CAP_REG		0x1901f8
#define PUNIT_TELEMETRY_GUID	0x35b004
/* PUNIT telemetry of BMG, as xe_guid_decode() takes it apart */
#define   GUID_BMG_PUNIT	(0xe2f8u << 12 | 1u << 28)
#define HECI2_FWSTS2		0x374c48
#define   NVM_ACCESS_MODE	BIT(3)
/* Writes are dropped: user space may map it and write for the barrier alone */
#define BARRIER_PAGE		0x7ff000

#define MEBI			(1ull << 20)

/* Where the driver finds the ends of usable VRAM, from the end of it */
#define STOLEN_SIZE		(24 * MEBI)
#define GSM_SIZE		(8 * MEBI)

u32 mmio_peek(struct vbmg *dev, u32 offset)
{
	return __atomic_load_n((u32 *)(dev->bar0 + offset), __ATOMIC_RELAXED);
}

void mmio_poke(struct vbmg *dev, u32 offset, u32 value)
{
	__atomic_store_n((u32 *)(dev->bar0 + offset), value, __ATOMIC_RELAXED);
}

struct reg_value {
	u32 offset;
	u32 value;
};

/* What never changes. Frequencies are in units of 50/3 MHz, sizes in GiB */
static const struct reg_value constants[] = {
	{ GMD_ID, GMD_ID_BMG },
	{ RPM_CONFIG0, 0xe },			/* 19.2 MHz crystal, no division */
	{ STEER_SEMAPHORE, 1 },			/* always granted at once */
	{ FUSE2, PRODUCTION_HW },
	{ GEOMETRY_DSS_ENABLE, 1 },
	{ COMPUTE_DSS_ENABLE, 1 },
	{ XELP_EU_ENABLE, 0xff },
	{ MIRROR_FUSE3, 1 << 16 | 1 << 4 | 1 },
	{ STOLEN_RESERVED, WOPCM_SIZE_8M },
	{ RP_STATE_CAP, 24 << 16 | 144 },	/* 400 to 2400 MHz */
	{ GT_RPA_FREQUENCY, 72 },
	{ GT_RPE_FREQUENCY, 72 },
	{ PUNIT_TELEMETRY_GUID, GUID_BMG_PUNIT },
	{ HECI2_FWSTS2, NVM_ACCESS_MODE },
	{ VF_CAP_REG, 0 },			/* a physical function */
	{ GDRST, 0 },				/* a reset is over when it is asked for */
	{ GU_MISC_IIR, 0 },
	{ PCU_IIR, 0 },
};

static bool mmio_constant(u32 offset, u32 *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
		if (constants[i].offset == offset) {
			*value = constants[i].value;
			return true;
		}
	}
	return false;
}

static void mmio_poke64(struct vbmg *dev, u32 offset, u64 value)
{
	mmio_poke(dev, offset, lower_32_bits(value));
	mmio_poke(dev, offset + 4, upper_32_bits(value));
}

void mmio_reset(struct vbmg *dev)
{
	u64 vram = dev->config.vram_size;
	u64 gsm = vram - STOLEN_SIZE - GSM_SIZE;

	memset(dev->bar0, 0, GGTT_OFFSET);
	mmio_poke(dev, SG_TILE_ADDR_RANGE, (u32)(vram / SZ_1G) << 8);
	mmio_poke64(dev, GSMBASE, gsm);
	mmio_poke64(dev, DSMBASE, gsm + GSM_SIZE);
	mmio_poke(dev, XEHP_FUSE4, FIELD_PREP(CCS_EN, (1u << dev->config.n_compute) - 1));
	mmio_poke(dev, GU_CNTL, LMEM_INIT);
}

/* Upper half: which bits of the lower half are written. Returns the new value */
static u32 mmio_write_masked(struct vbmg *dev, u32 offset, u32 value)
{
	u32 mask = value >> 16;
	u32 now = (mmio_peek(dev, offset) & ~mask) | (value & mask);

	mmio_poke(dev, offset, now);
	return now;
}

/*
 * Firmware of the power unit (xe_pcode_api.h): answers at once, with zeros. The
 * error field stays 0, so that every request succeeds.
 */
static void mmio_pcode(struct vbmg *dev, u32 request)
{
	enum { DGFX_PCODE_STATUS = 0x7e, INIT_STATUS_COMPLETE = 1 };
	u32 command = FIELD_GET(PCODE_COMMAND, request);

	if (!(request & PCODE_READY)) {
		mmio_poke(dev, PCODE_MAILBOX, request);
		return;
	}
	mmio_poke(dev, PCODE_DATA0, command == DGFX_PCODE_STATUS ? INIT_STATUS_COMPLETE : 0);
	mmio_poke(dev, PCODE_DATA1, 0);
	mmio_poke(dev, PCODE_MAILBOX, request & ~(PCODE_READY | PCODE_COMMAND));
}

/* The driver clears the status, asks, and waits for it to come (xe_device.c) */
static void mmio_flr(struct vbmg *dev, u32 value)
{
	if (!(value & DRIVERFLR)) {
		mmio_poke(dev, GU_CNTL, value | LMEM_INIT);
		return;
	}
	vbmg_reset(dev);
	mmio_poke(dev, GU_DEBUG, DRIVERFLR_STATUS);
}

static void mmio_invalidate_ggtt(struct vbmg *dev)
{
	engines_tlb_invalidate(dev->engines, &(struct tlb_invalidation){ .scope = TLB_GGTT });
}

static u32 mmio_read32(struct vbmg *dev, u32 offset)
{
	u32 value;

	if (offset >= BARRIER_PAGE)
		return 0xdeadbeef;
	if (irq_read(&dev->irq, offset, &value) || mmio_constant(offset, &value) ||
	    guc_mmio_read(dev, offset, &value) ||
	    engines_mmio_read(dev->engines, offset, &value))
		return value;
	return mmio_peek(dev, offset);
}

static void mmio_write32(struct vbmg *dev, u32 offset, u32 value)
{
	u32 constant;

	if (offset >= BARRIER_PAGE)
		return;
	switch (offset) {
	case FORCEWAKE_GT:
		mmio_poke(dev, FORCEWAKE_ACK_GT, mmio_write_masked(dev, offset, value));
		return;
	case FORCEWAKE_RENDER:
		mmio_poke(dev, FORCEWAKE_ACK_RENDER, mmio_write_masked(dev, offset, value));
		return;
	case PCODE_MAILBOX:
		mmio_pcode(dev, value);
		return;
	case GDRST:
		if (value & (GRDOM_GUC | GRDOM_FULL))
			guc_reset(dev);
		return;
	case GU_CNTL:
		mmio_flr(dev, value);
		return;
	case GU_DEBUG:		/* write 1 to clear */
		mmio_poke(dev, offset, mmio_peek(dev, offset) & ~value);
		return;
	case PVC_GUC_TLB_INV_DESC0:
		mmio_invalidate_ggtt(dev);
		return;
	}
	if (irq_write(&dev->irq, offset, value)) {
		/* The end of the driver's handler: it has read what it found */
		guc_flush_backlog(dev);
		return;
	}
	if (mmio_constant(offset, &constant) || guc_mmio_write(dev, offset, value) ||
	    engines_mmio_write(dev->engines, offset, value))
		return;
	mmio_poke(dev, offset, value);
}

/*
 * Registers are read and written in dwords; the client cuts an access at its
 * own boundaries only if the guest does. So a smaller one is part of a dword.
 */
static u32 mmio_chunk(u32 offset, u32 len)
{
	u32 rest = 4 - offset % 4;

	return min(rest, len);
}

void mmio_read(struct vbmg *dev, u32 offset, void *buf, u32 len)
{
	u8 *to = buf;

	while (len && offset < GGTT_OFFSET) {
		u32 n = mmio_chunk(offset, len);
		u32 value = mmio_read32(dev, offset & ~3u);

		trace(TRACE_MMIO, "R %06x %08x", offset & ~3u, value);
		memcpy(to, (u8 *)&value + offset % 4, n);
		to += n;
		offset += n;
		len -= n;
	}
	memcpy(to, dev->bar0 + offset, len);
}

void mmio_write(struct vbmg *dev, u32 offset, const void *buf, u32 len)
{
	const u8 *from = buf;

	while (len && offset < GGTT_OFFSET) {
		u32 n = mmio_chunk(offset, len);
		u32 value = n == 4 ? 0 : mmio_peek(dev, offset & ~3u);

		memcpy((u8 *)&value + offset % 4, from, n);
		trace(TRACE_MMIO, "W %06x %08x", offset & ~3u, value);
		mmio_write32(dev, offset & ~3u, value);
		from += n;
		offset += n;
		len -= n;
	}
	memcpy(dev->bar0 + offset, from, len);
}
