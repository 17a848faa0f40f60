// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/device/faux.h>
#include <linux/dma-direct.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "vsvm_device.h"
#include "vsvm_pagemap.h"
#include "vsvm_vm.h"

/*
 * The engines reach memory through dma_to_phys(), so DMA addresses must be
 * physical addresses in disguise. Map a page to see whether they are: an IOMMU
 * or a bounce buffer shows.
 */
static int check_dma_is_direct(struct device *dev)
{
	struct page *page;
	dma_addr_t addr;
	int err = 0;

	if (device_iommu_mapped(dev))
		return -EOPNOTSUPP;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;

	addr = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, addr)) {
		err = -EOPNOTSUPP;
	} else {
		if (dma_to_phys(dev, addr) != page_to_phys(page))
			err = -EOPNOTSUPP;
		dma_unmap_page(dev, addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	}

	__free_page(page);
	return err;
}

static void tlb_unit_release(struct drm_device *drm, void *data)
{
	vsvm_tlb_unit_fini(data);
}

/* All that lives until the last reference to the DRM device is dropped. */
static int device_init(struct vsvm_device *vdev, const char *name)
{
	struct drm_device *drm = &vdev->drm;
	int err;

	INIT_LIST_HEAD(&vdev->vms);
	INIT_LIST_HEAD(&vdev->shares);
	err = drmm_mutex_init(drm, &vdev->vms_lock);
	if (err)
		return err;

	err = drmm_mutex_init(drm, &vdev->shares_lock);
	if (err)
		return err;

	err = vsvm_tlb_unit_init(&vdev->tlb_unit, name,
				 vdev->config.tlb_inval_latency_us);
	if (err)
		return err;

	return drmm_add_action_or_reset(drm, tlb_unit_release, &vdev->tlb_unit);
}

static int memory_init(struct vsvm_device *vdev)
{
	struct vsvm_pagemap *vpagemap;
	int err;

	err = vsvm_pagemap_join_peers(vdev);
	if (err || !vdev->config.mem_size)
		return err;

	vpagemap = vsvm_pagemap_create(vdev);
	if (IS_ERR(vpagemap))
		return PTR_ERR(vpagemap);

	vdev->vpagemap = vpagemap;
	return 0;
}

static struct vsvm_device *create_device(const char *name,
					 const struct vsvm_config *config,
					 unsigned int index)
{
	struct vsvm_device *vdev;
	struct faux_device *faux;
	int err;

	faux = faux_device_create(name, NULL, NULL);
	if (!faux)
		return ERR_PTR(-ENODEV);

	err = dma_coerce_mask_and_coherent(&faux->dev, DMA_BIT_MASK(64));
	if (!err)
		err = check_dma_is_direct(&faux->dev);
	if (err) {
		dev_err(&faux->dev, "memory is not mapped directly for DMA\n");
		goto err_faux;
	}

	vdev = devm_drm_dev_alloc(&faux->dev, &vsvm_drm_driver,
				  struct vsvm_device, drm);
	if (IS_ERR(vdev)) {
		err = PTR_ERR(vdev);
		goto err_faux;
	}
	vdev->faux = faux;
	vdev->config = *config;
	vdev->index = index;

	err = device_init(vdev, name);
	if (!err)
		err = memory_init(vdev);
	if (err)
		goto err_faux;

	vsvm_debugfs_init(vdev);
	err = drm_dev_register(&vdev->drm, 0);
	if (err)
		goto err_faux;

	return vdev;

err_faux:
	faux_device_destroy(faux); /* drops the DRM device, too */
	return ERR_PTR(err);
}

/*
 * Take an address space out of the device's list. Returns it with a reference,
 * or NULL when there is none left. Those without references are empty by now.
 */
static struct vsvm_vm *take_vm(struct vsvm_device *vdev)
{
	struct vsvm_vm_device *vmdev, *next;

	guard(mutex)(&vdev->vms_lock);

	vdev->gone = true;
	list_for_each_entry_safe(vmdev, next, &vdev->vms, link) {
		list_del_init(&vmdev->link);
		if (kref_get_unless_zero(&vmdev->vm->ref))
			return vmdev->vm;
	}

	return NULL;
}

/*
 * Files may stay open. Address spaces end here, with all their DMA mappings,
 * while the device that these are for is still bound. What processes have in its
 * memory goes back to the system, also of those that never opened it: a fork
 * takes it along.
 */
static void remove_device(struct vsvm_device *vdev)
{
	struct faux_device *faux = vdev->faux;
	struct vsvm_vm *vm;

	drm_dev_unplug(&vdev->drm);

	while ((vm = take_vm(vdev))) {
		vsvm_vm_kill(vm, -ENODEV);
		vsvm_vm_put(vm);
	}

	if (vdev->vpagemap)
		vsvm_pagemap_remove(vdev->vpagemap);

	faux_device_destroy(faux);
}

/**
 * vsvm_device_from_file() - Find the device that a file is open for
 * @file: Any file
 *
 * Return: the device, or NULL if the file is not one of this driver.
 */
struct vsvm_device *vsvm_device_from_file(struct file *file)
{
	struct drm_file *drm_file;

	if (file->f_op != vsvm_drm_driver.fops)
		return NULL;

	drm_file = file->private_data;
	return to_vsvm_device(drm_file->minor->dev);
}

/**
 * vsvm_set_create() - Create devices
 * @name: What to call them; the index of each is added
 * @config: How many, and what they are like
 *
 * Return: the devices or an error pointer.
 */
struct vsvm_set *vsvm_set_create(const char *name,
				 const struct vsvm_config *config)
{
	struct vsvm_set *set;
	int err;

	err = vsvm_config_validate(config);
	if (err)
		return ERR_PTR(err);

	set = kzalloc_obj(*set);
	if (!set)
		return ERR_PTR(-ENOMEM);

	for (int i = 0; i < config->num_devices; i++) {
		char *full = kasprintf(GFP_KERNEL, "%s-%d", name, i);
		struct vsvm_device *vdev;

		vdev = full ? create_device(full, config, i) : ERR_PTR(-ENOMEM);
		kfree(full);
		if (IS_ERR(vdev)) {
			vsvm_set_destroy(set);
			return ERR_CAST(vdev);
		}
		set->devices[set->num_devices++] = vdev;
	}

	return set;
}

/**
 * vsvm_set_destroy() - Remove devices
 * @set: The devices
 *
 * Returns when nothing that the devices did is under way any more. Memory that
 * open files need stays.
 */
void vsvm_set_destroy(struct vsvm_set *set)
{
	for (int i = 0; i < set->num_devices; i++)
		remove_device(set->devices[i]);

	kfree(set);
}
