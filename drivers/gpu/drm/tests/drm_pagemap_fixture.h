/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_PAGEMAP_FIXTURE_H_
#define _DRM_PAGEMAP_FIXTURE_H_

#include <linux/dma-fence.h>
#include <linux/kref.h>
#include <linux/memremap.h>
#include <linux/mman.h>

#include <drm/drm_pagemap.h>

#include "drm_gpusvm_fixture.h"

#define RW		(PROT_READ | PROT_WRITE)

/* Two devices that reach each other's memory, and one that is a stranger. */
#define VRAM_MEMORIES	3
#define VRAM_STRANGER	2
#define VRAM_SIZE	SZ_16M
#define VRAM_PAGES	(VRAM_SIZE >> PAGE_SHIFT)

/* Where device addresses begin, unless a test wants 0; the memories follow each other. */
#define VRAM_ADDR	BIT_ULL(40)

struct vram;
struct vram_bo;

/**
 * enum vram_layout - Which pages an allocation gets
 *
 * @VRAM_ROW: A naturally aligned row
 * @VRAM_SHIFTED: A row that is not aligned
 * @VRAM_REVERSED: A row from its end to its beginning
 * @VRAM_SPARSE: Every other page
 */
enum vram_layout {
	VRAM_ROW,
	VRAM_SHIFTED,
	VRAM_REVERSED,
	VRAM_SPARSE,
};

/**
 * struct vram_copy - A copy, and the fence that tells of its end
 *
 * @fence: The fence, of a copy that is not waited for
 * @lock: Lock of @fence
 * @work: Does it
 * @vram: The memory whose engine copies
 * @before: Fence to wait for, or NULL
 * @to_ram: The direction
 * @npages: Number of entries
 * @pages: Device pages
 * @addrs: The other side
 */
struct vram_copy {
	struct dma_fence fence;
	spinlock_t lock;
	struct work_struct work;
	struct vram *vram;
	struct dma_fence *before;
	bool to_ram;
	unsigned long npages;
	struct page **pages;
	struct drm_pagemap_addr *addrs;
};

/**
 * struct vram_rules - How the memory of a test behaves
 *
 * @ops: Operations of the allocations
 * @layout: Which pages they get
 * @window: What a CPU fault brings back; 0: the default
 * @pre_fence: For the next allocation
 * @limit: Pages that may be in use at a time
 * @alloc: Before an allocation; returns an error to let it fail
 * @populate_err: Lets the list of pages fail
 * @list: Before the list of pages
 * @listed: Whose pages are listed; NULL: those of the allocation that is asked for
 * @submit_err: Lets the start of a copy fail
 * @copy: Before a copy, where it is done; returns an error to let it fail
 * @fail_map: Let mapping fail when so many entries are mapped; 0: never
 * @alone: No other device reaches this memory
 * @hasty: Copies don't wait for the fence before them
 */
struct vram_rules {
	const struct drm_pagemap_devmem_ops *ops;
	enum vram_layout layout;
	u32 window;
	struct dma_fence *pre_fence;
	unsigned long limit;
	int (*alloc)(struct vram *vram, size_t size, bool may_wait);
	int populate_err;
	void (*list)(struct vram_bo *bo);
	struct vram_bo *listed;
	int submit_err;
	int (*copy)(struct vram_copy *copy);
	int fail_map;
	bool alone;
	bool hasty;
};

/* What the memory of a test has seen. */
struct vram_seen {
	atomic_t allocs;	/* allocations asked for */
	atomic_t waits;		/* of them, those that might wait */
	atomic_t evictions;	/* allocations evicted for others */
	atomic_t releases;	/* allocations released */
	size_t alloc_size;	/* of the last one */
	atomic_t maps;		/* entries mapped for some device */
	atomic_t unmaps;
	atomic_t copies[2];	/* copies, by vram_copy.to_ram */
	atomic_long_t pages[2];	/* pages copied */
	atomic_long_t segments[2];
	atomic_long_t zeroed;	/* pages zeroed */
	atomic_t fences;	/* fences that exist */
};

/**
 * struct vram - The memory of a device
 *
 * @pagemap: Its pages
 * @dpagemap: The same for DRM
 * @device: Who has it
 * @index: Its index among the memories
 * @backing: What is in it
 * @lock: Protects @owner, @used and @bos
 * @owner: Which allocation has a page
 * @bos: Allocations that exist, oldest first
 * @used: Pages in use
 * @live: Allocations that exist
 * @mapped: @pagemap is in use
 * @rules: How it behaves
 * @seen: What it has seen in this test
 */
struct vram {
	struct dev_pagemap pagemap;
	struct drm_pagemap *dpagemap;
	unsigned int device;
	unsigned int index;
	void *backing;
	spinlock_t lock;
	struct vram_bo **owner;
	struct list_head bos;
	unsigned long used;
	atomic_t live;
	bool mapped;
	struct vram_rules rules;
	struct vram_seen seen;
};

/**
 * struct vram_bo - An allocation
 *
 * @devmem: The same for DRM
 * @ref: The pages have a reference, and who holds on to the object
 * @vram: The memory
 * @entry: In &vram.bos
 * @npages: Number of pages
 * @released: The pages were given back
 * @page: Their indices in the memory
 */
struct vram_bo {
	struct drm_pagemap_devmem devmem;
	struct kref ref;
	struct vram *vram;
	struct list_head entry;
	unsigned long npages;
	bool released;
	unsigned int page[] __counted_by(npages);
};

extern struct vram vrams[VRAM_MEMORIES];
extern const struct drm_pagemap_ops vram_ops;
extern const struct drm_pagemap_ops vram_ops_by_provider;
extern const struct drm_pagemap_devmem_ops vram_waiting_ops;
extern const struct drm_pagemap_devmem_ops vram_submit_ops;
extern const struct drm_pagemap_devmem_ops vram_instant_ops;
extern const struct drm_pagemap_devmem_ops vram_stepping_ops;
extern u64 vram_addr;
extern char vram_owner;

int vram_suite_init(struct kunit_suite *suite);
void vram_suite_exit(struct kunit_suite *suite);
int vram_init(struct kunit *test);
void vram_exit(struct kunit *test);
void vram_flush(void);

struct vram_bo *vram_bo_create(struct drm_pagemap *dpagemap, struct mm_struct *mm,
			       size_t size);
struct vram_bo *vram_oldest(struct vram *vram);
void vram_bo_put(struct vram_bo *bo);
void vram_bo_put_action(void *bo);

static inline struct vram_bo *to_vram_bo(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct vram_bo, devmem);
}

static inline struct vram *vram_of(struct page *page)
{
	return container_of(page_pgmap(page), struct vram, pagemap);
}

static inline s64 vram_stat(struct vram *vram, enum drm_pagemap_stat stat)
{
	return atomic64_read(&vram->dpagemap->stats[stat]);
}

/* Moving */

int vram_migrate(struct kunit *test, struct vram_bo *bo, unsigned long addr,
		 unsigned long len);
int vram_migrate_stats(struct kunit *test, struct vram_bo *bo, unsigned long addr,
		       unsigned long len, struct drm_pagemap_migrate_stats *stats);
int vram_populate(struct kunit *test, struct vram *vram, unsigned long addr,
		  unsigned long len);
int vram_populate_stats(struct kunit *test, struct vram *vram, unsigned long addr,
			unsigned long len, struct drm_pagemap_migrate_details *details);
vm_fault_t vram_fault(struct kunit *test, unsigned long addr, unsigned int flags);

/* A gate for copies: rules.copy, which stops at it while it is set. */

int vram_gate_copies(struct vram_copy *copy);
void vram_gate_set(struct svm_gate *gate);

/* Fences, of copies and of the test, which signals them */

extern u64 vram_fence_context;
extern atomic64_t vram_fence_seqno;
const char *vram_fence_name(struct dma_fence *fence);
struct dma_fence *vram_fence_create(struct kunit *test);

/* Contents */

void vram_fill(struct kunit *test, unsigned long addr, unsigned long len);
void vram_map_filled(struct kunit *test, unsigned long addr, unsigned long len);
void vram_expect(struct kunit *test, unsigned long addr, unsigned long len);
void vram_expect_zero(struct kunit *test, unsigned long addr, unsigned long len);
void vram_expect_mm(struct kunit *test, struct mm_struct *mm, unsigned long addr,
		    unsigned long len);
u64 *vram_word(struct page *page);
void *vram_at(dma_addr_t addr);

/* Where things are */

/**
 * enum vram_place - Where the contents of an address are
 *
 * @VRAM_NOWHERE: There are none
 * @VRAM_RAM: In RAM
 * @VRAM_ZERO: In the zero page, or the huge one
 * @VRAM_DEVICE: In device memory
 * @VRAM_SWAP: Paged out
 * @VRAM_MOVING: A migration has them
 */
enum vram_place {
	VRAM_NOWHERE,
	VRAM_RAM,
	VRAM_ZERO,
	VRAM_DEVICE,
	VRAM_SWAP,
	VRAM_MOVING,
};

/**
 * struct vram_spot - What the CPU's page tables say of an address
 *
 * @place: Where it is
 * @page: The page
 * @vram: The memory, if it is device memory
 * @huge: A huge entry
 * @writable: The entry allows writing
 * @soft_dirty: The entry is soft dirty
 */
struct vram_spot {
	enum vram_place place;
	struct page *page;
	struct vram *vram;
	bool huge;
	bool writable;
	bool soft_dirty;
};

struct vram_spot vram_spot(struct mm_struct *mm, unsigned long addr);
unsigned long vram_count(struct vram *vram, unsigned long addr, unsigned long len);
unsigned long vram_count_place(enum vram_place place, unsigned long addr,
			       unsigned long len);
void vram_expect_in(struct kunit *test, struct vram *vram, unsigned long addr,
		    unsigned long len);
void vram_expect_in_ram(struct kunit *test, unsigned long addr, unsigned long len);

#endif
