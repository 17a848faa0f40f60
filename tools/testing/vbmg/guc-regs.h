/* SPDX-License-Identifier: MIT */
/* regs/xe_guc_regs.h */
#ifndef VBMG_GUC_REGS_H
#define VBMG_GUC_REGS_H

#include "types.h"

#define GUC_STATUS		0x00c000
#define   GS_AUTH_GOOD		(2u << 30)
#define   GS_MIA_CORE_STATE	(1u << 16)
#define   GS_UKERNEL_READY	(0xf0u << 8)
#define   GS_BOOTROM_DONE	(0x76u << 1)
#define   GS_MIA_IN_RESET	BIT(0)
#define GUC_WOPCM_SIZE		0x00c050
#define   WOPCM_SIZE_LOCKED	BIT(0)
#define DMA_ADDR_0_LOW		0x00c300
#define DMA_COPY_SIZE		0x00c310
#define DMA_CTRL		0x00c314
#define   START_DMA		BIT(0)
#define DMA_GUC_WOPCM_OFFSET	0x00c340
#define   WOPCM_OFFSET_VALID	BIT(0)
#define PVC_GUC_TLB_INV_DESC0	0x00cf7c
#define VF_SW_FLAG(n)		(0x190240 + 4 * (n))
#define VF_SW_FLAGS		4
#define GUC_HOST_INTERRUPT	0x1901f0

#endif
