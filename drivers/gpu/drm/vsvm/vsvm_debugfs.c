// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>
#include <drm/drm_gpusvm.h>
#include <drm/drm_print.h>

#include "vsvm_device.h"
#include "vsvm_pagemap.h"
#include "vsvm_vm.h"

static int show_stats(struct seq_file *m, void *unused)
{
	struct drm_debugfs_entry *entry = m->private;
	struct vsvm_device *vdev = to_vsvm_device(entry->dev);

	for (int i = 0; i < VSVM_NUM_STATS; i++)
		seq_printf(m, "%s: %lld\n", vsvm_stat_names[i],
			   atomic64_read(&vdev->stats.count[i]));
	return 0;
}

static int show_vms(struct seq_file *m, void *unused)
{
	struct drm_debugfs_entry *entry = m->private;
	struct vsvm_device *vdev = to_vsvm_device(entry->dev);
	struct vsvm_vm_device *vmdev;

	guard(mutex)(&vdev->vms_lock);

	list_for_each_entry(vmdev, &vdev->vms, link)
		drm_gpusvm_debugfs_info(m, &vmdev->vm->svm);
	return 0;
}

static int show_memory(struct seq_file *m, void *unused)
{
	struct drm_debugfs_entry *entry = m->private;
	struct vsvm_device *vdev = to_vsvm_device(entry->dev);
	struct drm_printer p = drm_seq_file_printer(m);

	if (vdev->vpagemap)
		vsvm_pagemap_print(vdev->vpagemap, &p);
	return 0;
}

static const struct drm_debugfs_info vsvm_debugfs_files[] = {
	{ "stats", show_stats },
	{ "vms", show_vms },
	{ "memory", show_memory },
};

/**
 * vsvm_debugfs_init() - Add a device's files to debugfs
 * @vdev: The device, not registered yet
 */
void vsvm_debugfs_init(struct vsvm_device *vdev)
{
	drm_debugfs_add_files(&vdev->drm, vsvm_debugfs_files,
			      ARRAY_SIZE(vsvm_debugfs_files));
	debugfs_create_bool("drop_tlb_inval", 0600, vdev->drm.debugfs_root,
			    &vdev->tlb_unit.drop);
	if (vdev->vpagemap)
		debugfs_create_atomic_t("fail_copies", 0600,
					vdev->drm.debugfs_root,
					&vdev->vpagemap->copy.fail);
}
