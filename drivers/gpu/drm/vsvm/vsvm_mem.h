/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_MEM_H_
#define _VSVM_MEM_H_

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/gpu_buddy.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_pagemap.h>

/*
 * An address as the device uses it: a physical address of system memory; or,
 * with a tag above it, of device memory. Each allocation of device memory has
 * a new tag, and the device refuses an access with an old one.
 */
#define VSVM_ADDR_TAG		GENMASK_ULL(63, 52)
#define VSVM_MAX_TAG		FIELD_MAX(VSVM_ADDR_TAG)

/**
 * struct vsvm_alloc - An allocation of device memory
 *
 * @devmem: The allocation as drm_pagemap knows it
 * @mem: The memory
 * @ref: One reference for its pages, one for each who evicts it
 * @lru: The entry in &vsvm_mem.lru, once it was used
 * @freed: The entry in &vsvm_mem.freed
 * @blocks: What it consists of, of &gpu_buddy_block.link
 * @size: Bytes
 * @tag: The tag of its addresses
 */
struct vsvm_alloc {
	struct drm_pagemap_devmem devmem;
	struct vsvm_mem *mem;
	struct kref ref;
	struct list_head lru;
	struct llist_node freed;
	struct list_head blocks;
	u64 size;
	u16 tag;
};

/**
 * struct vsvm_mem - The memory of a device
 *
 * Behind it are pages of the system that nobody else uses. Each has the tag of
 * the allocation that it belongs to in its page_private(), zero while it is
 * free.
 *
 * @size: Bytes
 * @chips: The pages, of each VSVM_MEM_BLOCK the first; a block is contiguous
 * @lock: Protects @buddy and @last_tag
 * @buddy: What is free
 * @last_tag: The tag of the last allocation
 * @lru_lock: Protects @lru; taken where pages are freed, in interrupts too
 * @lru: The allocations that were used, the least recently used one first
 * @freed: Allocations on their way back to @buddy
 * @free_work: Takes them there
 * @num_allocs: Allocations whose memory is not back yet
 * @wq: Woken when memory came back
 * @evictions: Allocations that were evicted
 */
struct vsvm_mem {
	u64 size;
	struct page **chips;
	struct mutex lock;
	struct gpu_buddy buddy;
	u16 last_tag;
	spinlock_t lru_lock;
	struct list_head lru;
	struct llist_head freed;
	struct work_struct free_work;
	atomic_t num_allocs;
	wait_queue_head_t wq;
	atomic64_t evictions;
};

/**
 * vsvm_addr_make() - The address of a page of device memory
 * @page: One of the pages behind it, see vsvm_mem_page()
 *
 * Return: the address that the device uses until the page is freed.
 */
static inline u64 vsvm_addr_make(const struct page *page)
{
	return page_to_phys(page) |
	       FIELD_PREP(VSVM_ADDR_TAG, READ_ONCE(page->private));
}

/**
 * vsvm_addr_is_devmem() - Whether an address is one of device memory
 * @addr: The address
 *
 * Return: true if so.
 */
static inline bool vsvm_addr_is_devmem(u64 addr)
{
	return addr & VSVM_ADDR_TAG;
}

/**
 * vsvm_addr_page() - The page that has an address
 * @addr: The address
 *
 * Return: the page behind it; NULL for device memory that was freed since.
 */
static inline struct page *vsvm_addr_page(u64 addr)
{
	struct page *page = pfn_to_page(PHYS_PFN(addr & ~VSVM_ADDR_TAG));

	if (vsvm_addr_is_devmem(addr) &&
	    READ_ONCE(page->private) != FIELD_GET(VSVM_ADDR_TAG, addr))
		return NULL;

	return page;
}

int vsvm_mem_init(struct vsvm_mem *mem, u64 size);
void vsvm_mem_fini(struct vsvm_mem *mem);
struct vsvm_alloc *vsvm_mem_alloc(struct vsvm_mem *mem, u64 size);
void vsvm_mem_free(struct vsvm_alloc *alloc);
void vsvm_mem_touch(struct vsvm_alloc *alloc);
unsigned int vsvm_mem_take_victims(struct vsvm_mem *mem, u64 size,
				   struct vsvm_alloc **victims,
				   unsigned int max);
void vsvm_mem_put_victims(struct vsvm_mem *mem, struct vsvm_alloc **victims,
			  unsigned int num);
struct page *vsvm_mem_page(const struct vsvm_mem *mem, u64 offset);
u64 vsvm_mem_used(struct vsvm_mem *mem);

#endif
