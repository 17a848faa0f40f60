// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>

#include "vsvm_device.h"
#include "vsvm_share.h"

static void share_free(struct vsvm_share *share)
{
	if (share->engines)
		destroy_workqueue(share->engines);
	if (share->faults)
		destroy_workqueue(share->faults);
	mmdrop(share->mm);
	kfree(share);
}

static struct vsvm_share *share_create(struct vsvm_device *vdev,
				       struct mm_struct *mm)
{
	struct vsvm_share *share = kzalloc_obj(*share, GFP_KERNEL_ACCOUNT);

	if (!share)
		return NULL;

	mmgrab(mm);
	share->mm = mm;
	share->vdev = vdev;
	kref_init(&share->ref);

	share->faults = alloc_workqueue("%s/fault", WQ_UNBOUND,
					vdev->config.fault_workers,
					dev_name(vdev->drm.dev));
	share->engines = alloc_workqueue("%s/engine", WQ_UNBOUND, VSVM_ENGINES,
					 dev_name(vdev->drm.dev));
	if (share->faults && share->engines)
		return share;

	share_free(share);
	return NULL;
}

/**
 * vsvm_share_get() - Get a process's share of a device
 * @vdev: The device
 * @mm: The memory of the process
 *
 * Return: the share with a reference, or -ENOMEM.
 */
struct vsvm_share *vsvm_share_get(struct vsvm_device *vdev,
				  struct mm_struct *mm)
{
	struct vsvm_share *share;

	guard(mutex)(&vdev->shares_lock);

	list_for_each_entry(share, &vdev->shares, link) {
		if (share->mm == mm) {
			kref_get(&share->ref);
			return share;
		}
	}

	share = share_create(vdev, mm);
	if (!share)
		return ERR_PTR(-ENOMEM);

	list_add(&share->link, &vdev->shares);
	return share;
}

/* Called with the lock held, which it drops: nobody can find the share now. */
static void share_release(struct kref *ref)
{
	struct vsvm_share *share = container_of(ref, struct vsvm_share, ref);

	list_del(&share->link);
	mutex_unlock(&share->vdev->shares_lock);
	share_free(share);
}

/**
 * vsvm_share_put() - Drop a reference
 * @share: The share; all that the caller had done by it has ended
 */
void vsvm_share_put(struct vsvm_share *share)
{
	kref_put_mutex(&share->ref, share_release, &share->vdev->shares_lock);
}
