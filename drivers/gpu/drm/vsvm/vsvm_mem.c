// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/gfp.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include "vsvm_config.h"
#include "vsvm_mem.h"

#define BLOCK_PAGES		(VSVM_MEM_BLOCK / PAGE_SIZE)
#define BLOCK_ORDER		get_order(VSVM_MEM_BLOCK)

/**
 * vsvm_mem_page() - The page behind a place in the memory
 * @mem: The memory
 * @offset: Where, in bytes
 *
 * Return: the page of system memory that plays that part of device memory.
 */
struct page *vsvm_mem_page(const struct vsvm_mem *mem, u64 offset)
{
	return mem->chips[offset / VSVM_MEM_BLOCK] +
	       offset % VSVM_MEM_BLOCK / PAGE_SIZE;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_page);

/* So that old addresses stop working, or new ones begin to. */
static void set_tag(struct vsvm_alloc *alloc, u16 tag)
{
	struct vsvm_mem *mem = alloc->mem;
	struct gpu_buddy_block *block;

	list_for_each_entry(block, &alloc->blocks, link) {
		u64 offset = gpu_buddy_block_offset(block);
		u64 end = offset + gpu_buddy_block_size(&mem->buddy, block);

		for (; offset < end; offset += PAGE_SIZE)
			WRITE_ONCE(vsvm_mem_page(mem, offset)->private, tag);
	}
}

static u16 next_tag(struct vsvm_mem *mem)
{
	mem->last_tag = mem->last_tag % VSVM_MAX_TAG + 1;
	return mem->last_tag;
}

static void free_work(struct work_struct *work)
{
	struct vsvm_mem *mem = container_of(work, struct vsvm_mem, free_work);
	struct vsvm_alloc *alloc, *next;
	struct llist_node *freed;

	freed = llist_del_all(&mem->freed);
	llist_for_each_entry_safe(alloc, next, freed, freed) {
		scoped_guard(mutex, &mem->lock)
			gpu_buddy_free_list(&mem->buddy, &alloc->blocks, 0);
		kfree(alloc);
		atomic_dec(&mem->num_allocs);
	}
	wake_up_all(&mem->wq);
}

static void alloc_release(struct kref *ref)
{
	struct vsvm_alloc *alloc = container_of(ref, struct vsvm_alloc, ref);
	struct vsvm_mem *mem = alloc->mem;

	llist_add(&alloc->freed, &mem->freed);
	queue_work(system_dfl_wq, &mem->free_work);
}

/**
 * vsvm_mem_alloc() - Allocate memory
 * @mem: The memory
 * @size: Bytes, a multiple of PAGE_SIZE
 *
 * In as few pieces as possible; up to VSVM_MEM_BLOCK is aligned and in one piece
 * where there is one. What is in it is undefined. May sleep.
 *
 * Return: the allocation; -ENOSPC if there is not so much free, or -ENOMEM.
 */
struct vsvm_alloc *vsvm_mem_alloc(struct vsvm_mem *mem, u64 size)
{
	struct vsvm_alloc *alloc;
	int err;

	if (size > mem->size)
		return ERR_PTR(-ENOSPC);

	alloc = kzalloc_obj(*alloc, GFP_KERNEL_ACCOUNT);
	if (!alloc)
		return ERR_PTR(-ENOMEM);

	kref_init(&alloc->ref);
	INIT_LIST_HEAD(&alloc->blocks);
	INIT_LIST_HEAD(&alloc->lru);
	alloc->mem = mem;
	alloc->size = size;

	scoped_guard(mutex, &mem->lock) {
		err = gpu_buddy_alloc_blocks(&mem->buddy, 0, mem->size, size,
					     PAGE_SIZE, &alloc->blocks, 0);
		alloc->tag = next_tag(mem);
	}
	if (err) {
		kfree(alloc);
		return ERR_PTR(err);
	}

	set_tag(alloc, alloc->tag);
	atomic_inc(&mem->num_allocs);
	return alloc;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_alloc);

/**
 * vsvm_mem_free() - Free memory
 * @alloc: The allocation
 *
 * Its addresses end at once; the memory can be allocated again a little later.
 * For any context.
 */
void vsvm_mem_free(struct vsvm_alloc *alloc)
{
	scoped_guard(spinlock_irqsave, &alloc->mem->lru_lock)
		list_del_init(&alloc->lru);

	set_tag(alloc, 0);
	kref_put(&alloc->ref, alloc_release);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_free);

/**
 * vsvm_mem_touch() - Note that memory is used
 * @alloc: The allocation, not freed
 *
 * From the first time on, it can be found as a victim. For any context.
 */
void vsvm_mem_touch(struct vsvm_alloc *alloc)
{
	guard(spinlock_irqsave)(&alloc->mem->lru_lock);

	list_move_tail(&alloc->lru, &alloc->mem->lru);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_touch);

/**
 * vsvm_mem_take_victims() - Find allocations to evict
 * @mem: The memory
 * @size: How much room to make
 * @victims: Filled with allocations that were not used for longest, each with
 *	     a reference
 * @max: How many there is room for
 *
 * They go to the end of the list: one that can't be evicted now doesn't come
 * again before all others.
 *
 * Return: the number of victims.
 */
unsigned int vsvm_mem_take_victims(struct vsvm_mem *mem, u64 size,
				   struct vsvm_alloc **victims,
				   unsigned int max)
{
	struct vsvm_alloc *alloc, *next;
	unsigned int num = 0;
	LIST_HEAD(taken);
	u64 found = 0;

	guard(spinlock_irqsave)(&mem->lru_lock);

	list_for_each_entry_safe(alloc, next, &mem->lru, lru) {
		if (num == max || found >= size)
			break;
		/* Off the list before the last reference goes, see free. */
		kref_get(&alloc->ref);
		list_move_tail(&alloc->lru, &taken);
		found += alloc->size;
		victims[num++] = alloc;
	}
	list_splice_tail(&taken, &mem->lru);

	return num;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_take_victims);

/**
 * vsvm_mem_put_victims() - Let go of victims
 * @mem: The memory
 * @victims: What vsvm_mem_take_victims() found
 * @num: How many these are
 *
 * When it returns, the memory of those that were freed can be allocated.
 */
void vsvm_mem_put_victims(struct vsvm_mem *mem, struct vsvm_alloc **victims,
			  unsigned int num)
{
	while (num--)
		if (kref_put(&victims[num]->ref, alloc_release))
			atomic64_inc(&mem->evictions);

	flush_work(&mem->free_work);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_put_victims);

/**
 * vsvm_mem_used() - How much memory is allocated
 * @mem: The memory
 *
 * Return: bytes.
 */
u64 vsvm_mem_used(struct vsvm_mem *mem)
{
	guard(mutex)(&mem->lock);

	return mem->size - mem->buddy.avail;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_used);

static void free_chips(struct vsvm_mem *mem)
{
	for (u64 offset = 0; offset < mem->size; offset += VSVM_MEM_BLOCK) {
		if (!mem->chips[offset / VSVM_MEM_BLOCK])
			break;
		for (u64 i = 0; i < VSVM_MEM_BLOCK; i += PAGE_SIZE)
			__free_page(vsvm_mem_page(mem, offset + i));
	}

	kvfree(mem->chips);
}

static int alloc_chips(struct vsvm_mem *mem)
{
	mem->chips = kvzalloc_objs(*mem->chips, mem->size / VSVM_MEM_BLOCK);
	if (!mem->chips)
		return -ENOMEM;

	for (u64 i = 0; i < mem->size / VSVM_MEM_BLOCK; i++) {
		struct page *page;

		page = alloc_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL |
				   __GFP_NOWARN | __GFP_ZERO, BLOCK_ORDER);
		if (!page) {
			free_chips(mem);
			return -ENOMEM;
		}
		split_page(page, BLOCK_ORDER);
		mem->chips[i] = page;
	}

	return 0;
}

/**
 * vsvm_mem_init() - Make a device's memory
 * @mem: The memory
 * @size: Bytes, a multiple of VSVM_MEM_BLOCK, not zero
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_mem_init(struct vsvm_mem *mem, u64 size)
{
	int err;

	*mem = (struct vsvm_mem) { .size = size };
	mutex_init(&mem->lock);
	spin_lock_init(&mem->lru_lock);
	INIT_LIST_HEAD(&mem->lru);
	init_llist_head(&mem->freed);
	INIT_WORK(&mem->free_work, free_work);
	init_waitqueue_head(&mem->wq);

	err = alloc_chips(mem);
	if (err)
		return err;

	err = gpu_buddy_init(&mem->buddy, size, PAGE_SIZE);
	if (err) {
		free_chips(mem);
		return err;
	}

	gpu_buddy_driver_set_lock(&mem->buddy, &mem->lock);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_init);

/**
 * vsvm_mem_fini() - Free a device's memory
 * @mem: The memory, of which nothing is allocated any more
 */
void vsvm_mem_fini(struct vsvm_mem *mem)
{
	flush_work(&mem->free_work);
	WARN_ON(atomic_read(&mem->num_allocs));

	scoped_guard(mutex, &mem->lock)
		gpu_buddy_fini(&mem->buddy);
	free_chips(mem);
	mutex_destroy(&mem->lock);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_mem_fini);
