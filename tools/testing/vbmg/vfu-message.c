// SPDX-License-Identifier: MIT
/*
 * What a client can ask, one function a command. Each gets a message whose
 * length it has to check, and returns 0 or the -errno that the client is told.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mmio.h"
#include "vbmg.h"
#include "vfu.h"

static const char vfu_capabilities[] =
	"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,"
	"\"pgsizes\":4096,\"max_dma_maps\":65535}}";

/* The fixed part of the message, or NULL if it is shorter */
static const void *vfu_body(const struct vfu_message *msg, size_t len)
{
	return msg->len >= len ? msg->body : NULL;
}

static void vfu_answer(struct vfu_reply *reply, const void *data, size_t len)
{
	memcpy(reply->body, data, len);
	reply->len = len;
}

static int vfu_version(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_version *theirs = vfu_body(msg, sizeof(*theirs));
	const struct vfu_version ours = { .major = 0, .minor = 0 };

	(void)dev;
	if (!theirs || theirs->major != ours.major)
		return -EINVAL;
	vfu_answer(reply, &ours, sizeof(ours));
	memcpy(reply->body + sizeof(ours), vfu_capabilities, sizeof(vfu_capabilities));
	reply->len += sizeof(vfu_capabilities);
	return 0;
}

static int vfu_dma_map(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_dma_map *map = vfu_body(msg, sizeof(*map));

	(void)reply;
	if (!map)
		return -EINVAL;
	trace(TRACE_VFU, "DMA map 0x%llx + 0x%llx, flags %x, %s", (unsigned long long)map->iova,
	      (unsigned long long)map->size, map->flags, msg->n_fds ? "file" : "no file");
	return dma_map_add(&dev->dma, map->iova, map->size, msg->n_fds ? msg->fds[0] : -1,
			   map->offset, map->flags);
}

static int vfu_dma_unmap(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_dma_unmap *unmap = vfu_body(msg, sizeof(*unmap));
	int err = 0;

	if (!unmap)
		return -EINVAL;
	trace(TRACE_VFU, "DMA unmap 0x%llx + 0x%llx, flags %x", (unsigned long long)unmap->iova,
	      (unsigned long long)unmap->size, unmap->flags);
	if (unmap->flags & VFU_UNMAP_ALL)
		dma_map_remove_all(&dev->dma);
	else
		err = dma_map_remove(&dev->dma, unmap->iova, unmap->size);
	if (!err)
		vfu_answer(reply, unmap, sizeof(*unmap));
	return err;
}

static int vfu_device_info(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	/* Without the cap_offset that newer headers add */
	const u32 info[4] = {
		sizeof(info),
		VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		VFIO_PCI_NUM_REGIONS,
		VFIO_PCI_NUM_IRQS,
	};

	(void)dev;
	(void)msg;
	vfu_answer(reply, info, sizeof(info));
	return 0;
}

/*
 * A region that can be mapped: whole, or only its part from @mmap_offset on,
 * which a capability behind the structure then says.
 */
struct vfu_region {
	u64 size;
	u64 mmap_offset;
	int fd;
};

static bool vfu_find_region(const struct vbmg *dev, u32 index, struct vfu_region *region)
{
	*region = (struct vfu_region){ .fd = -1 };
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		region->size = BAR0_SIZE;
		region->mmap_offset = GGTT_OFFSET;
		region->fd = dev->bar0_fd;
		return true;
	case VFIO_PCI_BAR2_REGION_INDEX:
		region->size = dev->config.vram_size;
		region->fd = dev->vram_fd;
		return true;
	case VFIO_PCI_BAR4_REGION_INDEX:
		region->size = dev->config.msix ? PCI_MSIX_BAR_SIZE : 0;
		return true;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		region->size = PCI_CONFIG_SIZE;
		return true;
	default:
		return index < VFIO_PCI_NUM_REGIONS;
	}
}

struct vfu_region_reply {
	struct vfio_region_info info;
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
};

static void vfu_describe_region(struct vfu_region_reply *out, u32 index,
				const struct vfu_region *region)
{
	*out = (struct vfu_region_reply){
		.info = {
			.argsz = sizeof(out->info),
			.index = index,
			.size = region->size,
		},
	};
	if (region->size)
		out->info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (region->fd >= 0)
		out->info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (!region->mmap_offset)
		return;
	out->info.argsz = sizeof(*out);
	out->info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
	out->info.cap_offset = offsetof(struct vfu_region_reply, sparse);
	out->sparse.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	out->sparse.header.version = 1;
	out->sparse.nr_areas = 1;
	out->area.offset = region->mmap_offset;
	out->area.size = region->size - region->mmap_offset;
}

/* A client with too little space learns from argsz how much it needs */
static int vfu_region_info(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfio_region_info *ask = vfu_body(msg, sizeof(*ask));
	struct vfu_region region;
	struct vfu_region_reply out;

	if (!ask || ask->argsz < sizeof(*ask) || !vfu_find_region(dev, ask->index, &region))
		return -EINVAL;
	vfu_describe_region(&out, ask->index, &region);
	vfu_answer(reply, &out, min(ask->argsz, out.info.argsz));
	reply->fd = region.fd;
	return 0;
}

/* The client wants to be able to hear of errors, though we never report one */
static u32 vfu_irq_count(const struct vbmg *dev, u32 index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
	case VFIO_PCI_ERR_IRQ_INDEX:
		return 1;
	case VFIO_PCI_MSI_IRQ_INDEX:
		return !dev->config.msix;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return dev->config.msix ? IRQ_VECTORS : 0;
	default:
		return 0;
	}
}

static int vfu_irq_info(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfio_irq_info *ask = vfu_body(msg, sizeof(*ask));
	struct vfio_irq_info info = {
		.argsz = sizeof(info),
		.flags = VFIO_IRQ_INFO_EVENTFD,
	};

	if (!ask || ask->index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.index = ask->index;
	info.count = vfu_irq_count(dev, ask->index);
	vfu_answer(reply, &info, sizeof(info));
	return 0;
}

/* All vectors of the range get their descriptor, or none of them has one */
static void vfu_set_eventfds(struct irq *irq, u32 start, u32 count, struct vfu_message *msg)
{
	for (u32 i = 0; i < count; i++) {
		int fd = -1;

		if (i < msg->n_fds) {
			fd = msg->fds[i];
			msg->fds[i] = -1;
		}
		irq_set_eventfd(irq, start + i, fd);
	}
}

/* Only MSI or MSI-X is ever raised; the eventfds of the others are accepted and closed */
static int vfu_set_irqs(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfio_irq_set *set = vfu_body(msg, sizeof(*set));
	u32 count;

	(void)reply;
	if (!set || set->index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	count = vfu_irq_count(dev, set->index);
	if (set->start > count || set->count > count - set->start)
		return -EINVAL;
	trace(TRACE_VFU, "interrupts %u: %u + %u, flags %x, %zu files", set->index, set->start,
	      set->count, set->flags, msg->n_fds);
	if (set->index != VFIO_PCI_MSI_IRQ_INDEX && set->index != VFIO_PCI_MSIX_IRQ_INDEX)
		return 0;
	if (!(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		return 0;
	if (!set->count)	/* all of the index */
		vfu_set_eventfds(&dev->irq, 0, count, msg);
	else if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		vfu_set_eventfds(&dev->irq, set->start, set->count, msg);
	return 0;
}

static bool vfu_access_ok(const struct vbmg *dev, u32 index, u64 offset, u64 count)
{
	struct vfu_region region;

	if (!vfu_find_region(dev, index, &region))
		return false;
	return offset <= region.size && count <= region.size - offset;
}

static void vfu_read(struct vbmg *dev, u32 region, u64 offset, void *buf, u32 count)
{
	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		mmio_read(dev, (u32)offset, buf, count);
		break;
	case VFIO_PCI_BAR2_REGION_INDEX:
		memcpy(buf, dev->vram + offset, count);
		break;
	case VFIO_PCI_BAR4_REGION_INDEX:
		memset(buf, 0, count);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		pci_read(&dev->pci, (u32)offset, buf, count);
		break;
	}
}

static void vfu_write(struct vbmg *dev, u32 region, u64 offset, const void *buf, u32 count)
{
	switch (region) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		mmio_write(dev, (u32)offset, buf, count);
		break;
	case VFIO_PCI_BAR2_REGION_INDEX:
		memcpy(dev->vram + offset, buf, count);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		pci_write(&dev->pci, (u32)offset, buf, count);
		break;
	}
}

static int vfu_region_read(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_region_access *access = vfu_body(msg, sizeof(*access));

	if (!access || access->count > VFU_MAX_DATA ||
	    !vfu_access_ok(dev, access->region, access->offset, access->count))
		return -EINVAL;
	vfu_answer(reply, access, sizeof(*access));
	vfu_read(dev, access->region, access->offset, reply->body + sizeof(*access),
		 access->count);
	reply->len += access->count;
	return 0;
}

static int vfu_region_write(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_region_access *access = vfu_body(msg, sizeof(*access));

	if (!access || access->count > msg->len - sizeof(*access) ||
	    !vfu_access_ok(dev, access->region, access->offset, access->count))
		return -EINVAL;
	vfu_write(dev, access->region, access->offset, msg->body + sizeof(*access),
		  access->count);
	vfu_answer(reply, access, sizeof(*access));
	return 0;
}

static int vfu_write_multi(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	const struct vfu_write_multi *multi = vfu_body(msg, sizeof(*multi));
	const u8 *entries = msg->body + sizeof(*multi);
	u64 i;

	if (!multi || multi->count > (msg->len - sizeof(*multi)) /
				     sizeof(struct vfu_write_multi_entry))
		return -EINVAL;
	for (i = 0; i < multi->count; i++) {
		struct vfu_write_multi_entry e;

		memcpy(&e, entries + i * sizeof(e), sizeof(e));
		if (e.count > sizeof(e.data) || !vfu_access_ok(dev, e.region, e.offset, e.count))
			return -EINVAL;
		vfu_write(dev, e.region, e.offset, e.data, e.count);
	}
	vfu_answer(reply, multi, sizeof(*multi));
	return 0;
}

static int vfu_device_reset(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	(void)msg;
	(void)reply;
	vbmg_reset(dev);
	return 0;
}

typedef int (*vfu_handler)(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply);

static const vfu_handler vfu_handlers[] = {
	[VFU_VERSION] = vfu_version,
	[VFU_DMA_MAP] = vfu_dma_map,
	[VFU_DMA_UNMAP] = vfu_dma_unmap,
	[VFU_DEVICE_GET_INFO] = vfu_device_info,
	[VFU_DEVICE_GET_REGION_INFO] = vfu_region_info,
	[VFU_DEVICE_GET_IRQ_INFO] = vfu_irq_info,
	[VFU_DEVICE_SET_IRQS] = vfu_set_irqs,
	[VFU_REGION_READ] = vfu_region_read,
	[VFU_REGION_WRITE] = vfu_region_write,
	[VFU_DEVICE_RESET] = vfu_device_reset,
	[VFU_REGION_WRITE_MULTI] = vfu_write_multi,
};

void vfu_handle(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply)
{
	u16 command = msg->header.command;
	int err = -EOPNOTSUPP;

	reply->len = 0;
	reply->fd = -1;
	if (command < ARRAY_SIZE(vfu_handlers) && vfu_handlers[command])
		err = vfu_handlers[command](dev, msg, reply);
	if (err) {
		log_warn("vfio-user command %u of %u bytes: %s", command, msg->header.size,
			 strerror(-err));
		reply->len = 0;
		reply->fd = -1;
	}
	reply->header = (struct vfu_header){
		.id = msg->header.id,
		.command = command,
		.size = (u32)(sizeof(reply->header) + reply->len),
		.flags = VFU_TYPE_REPLY | (err ? VFU_ERROR : 0),
		.error = (u32)-err,
	};
}

void vfu_message_close(struct vfu_message *msg)
{
	for (size_t i = 0; i < msg->n_fds; i++) {
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
	}
	msg->n_fds = 0;
}
