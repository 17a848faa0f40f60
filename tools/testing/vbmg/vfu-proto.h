/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user protocol on the wire, as QEMU's docs/interop/vfio-user.rst
 * defines it. What it shares with the ioctl interface is in linux/vfio.h.
 */
#ifndef VBMG_VFU_PROTO_H
#define VBMG_VFU_PROTO_H

#include "types.h"

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_DEVICE_GET_INFO = 4,
	VFU_DEVICE_GET_REGION_INFO = 5,
	VFU_DEVICE_GET_REGION_IO_FDS = 6,
	VFU_DEVICE_GET_IRQ_INFO = 7,
	VFU_DEVICE_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11,
	VFU_DMA_WRITE = 12,
	VFU_DEVICE_RESET = 13,
	VFU_REGION_WRITE_MULTI = 15,
};

/* Both ends are of one machine: everything is little endian here */
struct vfu_header {
	u16 id;
	u16 command;
	u32 size;		/* with this header */
	u32 flags;
#define VFU_TYPE		GENMASK(3, 0)
#define   VFU_TYPE_COMMAND	0
#define   VFU_TYPE_REPLY	1
#define VFU_NO_REPLY		BIT(4)
#define VFU_ERROR		BIT(5)
	u32 error;
};

struct vfu_version {
	u16 major;
	u16 minor;
	/* capabilities follow: JSON, NUL terminated */
};

struct vfu_dma_map {
	u32 argsz;
	u32 flags;
#define VFU_DMA_READABLE		BIT(0)
#define VFU_DMA_WRITABLE	BIT(1)
	u64 offset;
	u64 iova;
	u64 size;
};

struct vfu_dma_unmap {
	u32 argsz;
	u32 flags;
#define VFU_UNMAP_ALL		BIT(1)
	u64 iova;
	u64 size;
};

struct vfu_region_access {
	u64 offset;
	u32 region;
	u32 count;
	/* data follows in a write and in the reply to a read */
};

#define VFU_MULTI_DATA	8

struct vfu_write_multi_entry {
	u64 offset;
	u32 region;
	u32 count;
	u8 data[VFU_MULTI_DATA];
};

struct vfu_write_multi {
	u64 count;
	/* entries follow */
};

#define VFU_MAX_DATA	(1u << 20)
#define VFU_MAX_FDS	8
#define VFU_MAX_MESSAGE	(sizeof(struct vfu_header) + sizeof(struct vfu_region_access) + \
			 VFU_MAX_DATA)

#endif
