/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Migration by page numbers, for a kernel that keeps no anon_vma for it. A process may
 * unmap its memory or exit while that is being evicted. Its anon_vma goes along then, and
 * the end of the eviction looks at it. So each folio gets a reference on its anon_vma
 * before it is unmapped. A bit of its source entry says so until the migration entries are
 * gone.
 *
 * The kernel locks folios and unmaps them in one call, so they are collected one by one,
 * and which anon_vma a folio has is looked at before and after. It can be another one only
 * if the page was freed and used again in between: then it is let go of at once.
 */
#ifndef __MODULES_MIGRATE_DEVICE_H__
#define __MODULES_MIGRATE_DEVICE_H__

#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rmap.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>

/* None of the kernel's own flags. */
#define MIGRATE_PFN_ANON_VMA	BIT(5)

/* Who got the lock without a reference has to be done with it, see anon_vma_free(). */
static inline void modules_anon_vma_free(struct anon_vma *anon_vma)
{
	if (rwsem_is_locked(&anon_vma->root->rwsem)) {
		down_write(&anon_vma->root->rwsem);
		up_write(&anon_vma->root->rwsem);
	}
	/* Their cache is the MM's own; kfree() finds it. */
	kfree(anon_vma);
}

/* As put_anon_vma(), which modules can't call. */
static inline void modules_anon_vma_put(struct anon_vma *anon_vma)
{
	struct anon_vma *root = anon_vma->root;

	if (!atomic_dec_and_test(&anon_vma->refcount))
		return;

	modules_anon_vma_free(anon_vma);
	if (root != anon_vma && atomic_dec_and_test(&root->refcount))
		modules_anon_vma_free(root);
}

static inline bool modules_folio_has(struct folio *folio, struct anon_vma *anon_vma)
{
	return (unsigned long)READ_ONCE(folio->mapping) ==
	       (unsigned long)anon_vma + FOLIO_MAPPING_ANON;
}

/*
 * As folio_get_anon_vma(), of a folio that isn't locked. One that is mapped has an
 * anon_vma. NULL: nobody maps it.
 */
static inline struct anon_vma *modules_anon_vma_get(struct folio *folio)
{
	struct anon_vma *anon_vma = NULL;
	unsigned long mapping;
	bool valid = false;

	rcu_read_lock();
	mapping = (unsigned long)READ_ONCE(folio->mapping);
	if ((mapping & FOLIO_MAPPING_FLAGS) == FOLIO_MAPPING_ANON && folio_mapped(folio)) {
		anon_vma = (struct anon_vma *)(mapping - FOLIO_MAPPING_ANON);
		if (!atomic_inc_not_zero(&anon_vma->refcount))
			anon_vma = NULL;
		valid = anon_vma && folio_mapped(folio) && modules_folio_has(folio, anon_vma);
	}
	rcu_read_unlock();

	if (anon_vma && !valid) {
		modules_anon_vma_put(anon_vma);
		return NULL;
	}

	return anon_vma;
}

/* A folio that has been collected keeps @anon_vma, if it is its own. */
static inline void modules_anon_vma_hold(unsigned long *src, struct anon_vma *anon_vma)
{
	struct page *page = migrate_pfn_to_page(*src);
	unsigned long dst = 0;

	if (!page)
		return;

	if (modules_folio_has(page_folio(page), anon_vma)) {
		atomic_inc(&anon_vma->refcount);
		*src |= MIGRATE_PFN_ANON_VMA;
		return;
	}
	migrate_device_finalize(src, &dst, 1);
	*src = 0;
}

/*
 * Collect the folio that begins at a page, of up to @room pages. What nobody maps is left
 * to those who have references on it. Returns the number of pages to go on behind.
 */
static inline unsigned long modules_collect_folio(unsigned long *src, unsigned long pfn,
						  unsigned long room)
{
	struct folio *folio = folio_get_nontail_page(pfn_to_page(pfn));
	struct anon_vma *anon_vma;
	unsigned long nr, i;

	*src = 0;
	if (!folio)
		return 1;

	nr = folio_nr_pages(folio);
	anon_vma = nr <= room ? modules_anon_vma_get(folio) : NULL;
	nr = min(nr, room);
	/* The kernel leaves folios with references that it doesn't know. */
	folio_put(folio);

	memset_l(src, 0, nr);
	if (!anon_vma)
		return nr;

	migrate_device_range(src, pfn, nr);
	for (i = 0; i < nr; i++)
		modules_anon_vma_hold(&src[i], anon_vma);
	modules_anon_vma_put(anon_vma);

	return nr;
}

static inline int modules_migrate_device_range(unsigned long *src, unsigned long start,
					       unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages;)
		i += modules_collect_folio(&src[i], start + i, npages - i);

	return 0;
}

static inline int modules_migrate_device_pfns(unsigned long *src, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages;)
		i += modules_collect_folio(&src[i], src[i], npages - i);

	return 0;
}

/* The folio is locked until then, so that it has the anon_vma that it had. */
static inline void modules_migrate_device_finalize(unsigned long *src, unsigned long *dst,
						   unsigned long npages)
{
	struct anon_vma *anon_vma;
	unsigned long i;

	for (i = 0; i < npages; i++) {
		anon_vma = NULL;
		if (src[i] & MIGRATE_PFN_ANON_VMA)
			anon_vma = (struct anon_vma *)((unsigned long)
				page_folio(migrate_pfn_to_page(src[i]))->mapping -
				FOLIO_MAPPING_ANON);
		migrate_device_finalize(&src[i], &dst[i], 1);
		if (anon_vma)
			modules_anon_vma_put(anon_vma);
	}
}

#define migrate_device_range(src, start, npages) \
	modules_migrate_device_range(src, start, npages)
#define migrate_device_pfns(src, npages)	modules_migrate_device_pfns(src, npages)
#define migrate_device_finalize(src, dst, npages) \
	modules_migrate_device_finalize(src, dst, npages)

#endif
