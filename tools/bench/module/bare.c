// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The least that a migration can take.
 *
 * Device memory with nothing behind it: what goes there has lost its contents.
 * So no page is mapped for DMA or copied, nothing is accounted, and no page
 * knows what allocation it belongs to. What is left are the calls of the core
 * MM and the new pages.
 */

#include <linux/gfp.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "bare.h"

static struct dev_pagemap bare_pgmap;
static struct page *bare_pages[HPAGE_PMD_NR];

static void bare_folio_free(struct folio *folio)
{
}

/* There is nothing to come back. */
static vm_fault_t bare_migrate_to_ram(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct dev_pagemap_ops bare_pgmap_ops = {
	.folio_free = bare_folio_free,
	.migrate_to_ram = bare_migrate_to_ram,
};

int bare_init(struct device *dev, unsigned long pages)
{
	struct resource *res;

	res = devm_request_free_mem_region(dev, &iomem_resource, pages * PAGE_SIZE);
	if (IS_ERR(res))
		return PTR_ERR(res);

	bare_pgmap.type = MEMORY_DEVICE_PRIVATE;
	bare_pgmap.range.start = res->start;
	bare_pgmap.range.end = res->end;
	bare_pgmap.nr_range = 1;
	bare_pgmap.owner = &bare_pgmap;
	bare_pgmap.ops = &bare_pgmap_ops;

	return PTR_ERR_OR_ZERO(devm_memremap_pages(dev, &bare_pgmap));
}

static unsigned long bare_pfn(unsigned long i)
{
	return PHYS_PFN(bare_pgmap.range.start) + i;
}

/* Device pages from @first on for all that was collected */
void bare_to_device(const unsigned long *src, unsigned long *dst,
		    unsigned long npages, unsigned long first)
{
	unsigned long i, pfn;

	if (src[0] & MIGRATE_PFN_COMPOUND) {
		pfn = bare_pfn(first);
		zone_device_folio_init((struct folio *)pfn_to_page(pfn),
				       &bare_pgmap, HPAGE_PMD_ORDER);
		dst[0] = migrate_pfn(pfn) | MIGRATE_PFN_COMPOUND;
		return;
	}

	for (i = 0; i < npages; i++) {
		if (!(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		pfn = bare_pfn(first + i);
		zone_device_folio_init((struct folio *)pfn_to_page(pfn),
				       &bare_pgmap, 0);
		dst[i] = migrate_pfn(pfn);
	}
}

/* What bare_to_device() has used, as migrate_device_pfns() wants it */
void bare_list(unsigned long *src, unsigned long npages, unsigned long first)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		src[i] = bare_pfn(first + i);
}

static int bare_huge_to_ram(unsigned long *dst)
{
	struct folio *folio = folio_alloc(GFP_TRANSHUGE, HPAGE_PMD_ORDER);

	if (!folio)
		return -ENOMEM;
	folio_lock(folio);
	dst[0] = migrate_pfn(folio_pfn(folio)) | MIGRATE_PFN_COMPOUND;

	return 0;
}

/* RAM for all that was collected */
int bare_to_ram(const unsigned long *src, unsigned long *dst,
		unsigned long npages)
{
	unsigned long i, n;

	if (src[0] & MIGRATE_PFN_COMPOUND)
		return bare_huge_to_ram(dst);

	memset(bare_pages, 0, sizeof(bare_pages));
	n = alloc_pages_bulk(GFP_HIGHUSER_MOVABLE, npages, bare_pages);
	for (i = 0; i < n; i++) {
		if (!(src[i] & MIGRATE_PFN_MIGRATE)) {
			__free_page(bare_pages[i]);
			continue;
		}
		lock_page(bare_pages[i]);
		dst[i] = migrate_pfn(page_to_pfn(bare_pages[i]));
	}

	return n == npages ? 0 : -ENOMEM;
}
