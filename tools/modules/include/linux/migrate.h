/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * For modules that are built for a kernel without our patches to its MM. What the
 * core has to do without then, and what comes in its place:
 *
 * - A huge folio can't be split for an eviction, which fails where there is no huge page of
 *   RAM. So the kernel tries harder to find one: __folio_alloc() here. Pages within, that
 *   nobody needs, move along.
 * - Nor for a CPU fault on its huge entry. That is split instead, and the folio by the next
 *   fault: modules_migrate_vma.h.
 * - Memory that is lost with its device is not taken from the process. The CPU gets
 *   SIGBUS there as well, from the copy that fails, but the device's removal waits
 *   for the process to unmap it: core.mk.
 * - What KSM may merge doesn't move to a device, nor what is discarded while it is being
 *   collected: modules_migrate_vma.h.
 * - An eviction keeps what it has to look at in the end: modules_migrate_device.h.
 * - A device page has no flags of the page before: zone_device_folio_init() here.
 *
 * Nothing replaces the others of our patches: two migrations may wait for each other
 * (migrate-device-trylock), and userfaultfd, soft-dirty bits, mlock() and smaps are not
 * exact for memory that is on a device.
 */
#ifndef __MODULES_LINUX_MIGRATE_H__
#define __MODULES_LINUX_MIGRATE_H__

#include_next <linux/migrate.h>

#include <linux/gfp.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include <linux/modules_migrate_device.h>
#include <linux/modules_migrate_vma.h>

static inline int migrate_device_split_page(struct page *page)
{
	return -EOPNOTSUPP;
}

/* Not called, since nothing is given up: see core.mk. */
static inline void migrate_device_poison(unsigned long *src_pfns, unsigned long npages)
{
}

/* There are no small pages to fall back on. */
static inline struct folio *modules_folio_alloc_noprof(gfp_t gfp, unsigned int order,
						       int nid, nodemask_t *nodes)
{
	if (order)
		gfp &= ~__GFP_NORETRY;

	return __folio_alloc_noprof(gfp, order, nid, nodes);
}

#undef __folio_alloc
#define __folio_alloc(...)	alloc_hooks(modules_folio_alloc_noprof(__VA_ARGS__))

/* They would go on to the page of RAM that the next contents move to. */
static inline void modules_zone_device_folio_init(struct folio *folio,
						  struct dev_pagemap *pgmap,
						  unsigned int order)
{
	const unsigned long keep = BIT(PG_locked) | BIT(PG_head) | BIT(PG_reserved);

	zone_device_folio_init(folio, pgmap, order);
	folio->flags.f &= ~(PAGE_FLAGS_CHECK_AT_PREP & ~keep);
}

#define zone_device_folio_init(folio, pgmap, order) \
	modules_zone_device_folio_init(folio, pgmap, order)

#endif
