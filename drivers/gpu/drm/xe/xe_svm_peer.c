// SPDX-License-Identifier: MIT
/*
 * Shared virtual memory: whose VRAM a VM can use in place.
 */

#include <linux/pci-p2pdma.h>

#include <kunit/static_stub.h>

#include <drm/drm_device.h>
#include <drm/drm_pagemap_util.h>

#include "xe_device.h"
#include "xe_svm_internal.h"
#include "xe_vm_types.h"
#include "xe_vram_types.h"

/*
 * What the owner of pages is asked about: a region of VRAM, or a VM. Tells which
 * object a peer is embedded in.
 */
#define XE_PEER_PAGEMAP	((void *)0ul)
#define XE_PEER_VM	((void *)1ul)

static struct device *peer_to_dev(struct drm_pagemap_peer *peer)
{
	if (peer->private == XE_PEER_VM)
		return container_of(peer, struct xe_vm, svm.peer)->xe->drm.dev;

	return container_of(peer, struct xe_pagemap, peer)->dpagemap.drm->dev;
}

/* Whether two devices reach each other's BARs. */
bool xe_svm_devices_are_connected(struct device *a, struct device *b)
{
	KUNIT_STATIC_STUB_REDIRECT(xe_svm_devices_are_connected, a, b);

	return pci_p2pdma_distance(to_pci_dev(a), b, true) >= 0;
}

static struct xe_device *peer_to_xe(struct drm_pagemap_peer *peer)
{
	if (peer->private == XE_PEER_VM)
		return container_of(peer, struct xe_vm, svm.peer)->xe;

	return container_of(peer, struct xe_pagemap, peer)->vr->xe;
}

/*
 * Others reach the part of a region that its BAR shows, which may be a small one. Then all
 * of the device keeps to itself: an owner has one set of peers, and its VMs can't have
 * another one than its memory.
 */
static bool peer_is_on_the_bus(struct drm_pagemap_peer *peer)
{
	struct xe_device *xe = peer_to_xe(peer);
	struct xe_tile *tile;
	u8 id;

	for_each_tile(tile, xe, id) {
		const struct xe_vram_region *vr = tile->mem.vram;

		if (vr && vr->io_size < vr->usable_size)
			return false;
	}

	return true;
}

static bool peers_are_connected(struct drm_pagemap_peer *peer1,
				struct drm_pagemap_peer *peer2)
{
	struct device *a = peer_to_dev(peer1), *b = peer_to_dev(peer2);

	if (a == b)
		return true;

	return peer_is_on_the_bus(peer1) && peer_is_on_the_bus(peer2) &&
	       xe_svm_devices_are_connected(a, b);
}

static DRM_PAGEMAP_OWNER_LIST_DEFINE(xe_owner_list);

/**
 * xe_svm_acquire_owner() - Find an owner of device pages that a peer may share
 * @peer: The peer
 * @is_vm: It is part of a &struct xe_vm, not of a &struct xe_pagemap
 *
 * Return: 0, or a negative error.
 */
int xe_svm_acquire_owner(struct drm_pagemap_peer *peer, bool is_vm)
{
	KUNIT_STATIC_STUB_REDIRECT(xe_svm_acquire_owner, peer, is_vm);

	peer->private = is_vm ? XE_PEER_VM : XE_PEER_PAGEMAP;

	return drm_pagemap_acquire_owner(peer, &xe_owner_list, peers_are_connected);
}

/**
 * xe_svm_private_page_owner() - Whose device pages a VM can use in place
 * @vm: The VM
 * @force_smem: None: everything is to be in RAM
 *
 * Return: the owner, or NULL.
 */
void *xe_svm_private_page_owner(struct xe_vm *vm, bool force_smem)
{
	return force_smem ? NULL : vm->svm.peer.owner;
}
