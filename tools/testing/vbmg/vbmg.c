// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "mmio.h"
#include "vbmg.h"

/* Memory that the client can map: a descriptor to pass on, and our own view */
static int memory_create(const char *name, u64 size, int *fd, u8 **host)
{
	void *map;
	int err;

	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)size)) {
		err = -errno;
		goto close_fd;
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (map == MAP_FAILED) {
		err = -errno;
		goto close_fd;
	}
	*host = map;
	return 0;

close_fd:
	close(*fd);
	return err;
}

static void memory_destroy(int fd, u8 *host, u64 size)
{
	munmap(host, size);
	close(fd);
}

static int vbmg_create_engines(struct vbmg *dev)
{
	struct engine_config config = {
		.ops = &guc_engine_ops,
		.dev = dev,
		.vram = dev->vram,
		.vram_size = dev->config.vram_size,
		.ggtt = (const u64 *)(dev->bar0 + GGTT_OFFSET),
		.ggtt_entries = GGTT_ENTRIES,
		.n_compute = dev->config.n_compute,
		.timeslice_us = dev->config.timeslice_us,
		.latencies = dev->config.latencies,
		.clock = dev->config.clock,
	};

	dev->engines = engines_create(&config);
	return dev->engines ? 0 : -ENOMEM;
}

int vbmg_init(struct vbmg *dev, unsigned int index, const struct vbmg_config *config)
{
	int err;

	memset(dev, 0, sizeof(*dev));
	dev->config = *config;
	if (!config->clock)
		dev->config.clock = &clock_real;
	dev->index = index;
	err = memory_create("vbmg-bar0", BAR0_SIZE, &dev->bar0_fd, &dev->bar0);
	if (err)
		return err;
	err = memory_create("vbmg-vram", config->vram_size, &dev->vram_fd, &dev->vram);
	if (err)
		goto destroy_bar0;
	err = dma_init(&dev->dma);
	if (err)
		goto destroy_vram;
	err = delay_init(&dev->delay, dev->config.clock, dev, latencies_any(&config->latencies));
	if (err)
		goto destroy_dma;
	irq_init(&dev->irq);
	guc_init(dev);
	pci_init(&dev->pci, BAR0_SIZE, config->vram_size, config->msix ? IRQ_VECTORS : 0);
	mmio_reset(dev);
	err = vbmg_create_engines(dev);
	if (err)
		goto destroy_guc;
	return 0;

destroy_guc:
	guc_destroy(dev);
	irq_destroy(&dev->irq);
	delay_destroy(&dev->delay);
destroy_dma:
	dma_destroy(&dev->dma);
destroy_vram:
	memory_destroy(dev->vram_fd, dev->vram, config->vram_size);
destroy_bar0:
	memory_destroy(dev->bar0_fd, dev->bar0, BAR0_SIZE);
	return err;
}

void vbmg_destroy(struct vbmg *dev)
{
	/* Delayed calls use the engines, which delay some */
	delay_stop(&dev->delay);
	engines_destroy(dev->engines);
	delay_destroy(&dev->delay);
	guc_destroy(dev);
	irq_destroy(&dev->irq);
	dma_destroy(&dev->dma);
	memory_destroy(dev->vram_fd, dev->vram, dev->config.vram_size);
	memory_destroy(dev->bar0_fd, dev->bar0, BAR0_SIZE);
}

void vbmg_reset(struct vbmg *dev)
{
	log_debug("device %u: reset", dev->index);
	guc_reset(dev);
	irq_reset(&dev->irq);
	mmio_reset(dev);
}
