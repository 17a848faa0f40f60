/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_GPUSVM_DEVMEM_FIXTURE_H_
#define _DRM_GPUSVM_DEVMEM_FIXTURE_H_

#include <linux/memremap.h>
#include <linux/mman.h>

#include <drm/drm_pagemap.h>

#include "drm_gpusvm_fixture.h"

#define RW		(PROT_READ | PROT_WRITE)
#define DEVMEM_SIZE	SZ_8M
/* Device addresses are offsets in the device memory with this bit. */
#define DEVMEM_ADDR	BIT_ULL(40)

/**
 * struct svm_devmem - The memory of a device
 *
 * @pagemap: Its pages
 * @dpagemap: The same for DRM
 * @backing: What is in it
 * @next: First page that is not in use yet
 * @allocs: Allocations that exist
 * @maps: Entries that were mapped for some device
 * @unmaps: Entries that were unmapped
 * @mapped: @pagemap is in use
 * @fail_map: Let mapping fail when so many entries are mapped; 0: never
 * @broken: So many bytes at the beginning can't be copied to RAM
 * @delay: How long a copy to RAM takes at least, in jiffies
 * @window: How much a CPU fault brings to RAM; 0: %DRM_PAGEMAP_FAULT_WINDOW
 */
struct svm_devmem {
	struct dev_pagemap pagemap;
	struct drm_pagemap *dpagemap;
	void *backing;
	unsigned long next;
	atomic_t allocs;
	int maps;
	int unmaps;
	int fail_map;
	unsigned long broken;
	unsigned long delay;
	u32 window;
	bool mapped;
};

extern struct svm_devmem svm_memories[2];
extern char svm_devmem_owner;

int svm_devmem_suite_init(struct kunit_suite *suite);
void svm_devmem_suite_exit(struct kunit_suite *suite);
int svm_devmem_init(struct kunit *test);
void svm_devmem_exit(struct kunit *test);

void svm_migrate(struct kunit *test, struct svm_devmem *memory,
		 unsigned long addr, unsigned long len);
void svm_map_touched(struct kunit *test, unsigned long addr, unsigned long len);
void svm_expect_content(struct kunit *test, unsigned long addr, unsigned long len);
u64 *svm_device_word(struct kunit *test, struct drm_gpusvm_pages *pages,
		     unsigned long offset);
void svm_expect_device_content(struct kunit *test, struct svm_range *range,
			       unsigned int device);

#endif
