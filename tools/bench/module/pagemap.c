// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Count what it costs to move memory to a device and back.
 *
 * Built twice, once with our drm_pagemap.c and once with the base's, each with
 * its own header. A provider of device memory without a device: its pages are
 * device private, and of the contents of each it keeps the first eight bytes.
 * So the cost of a copy is small, and still a page that isn't copied, or is
 * copied to where it doesn't belong, shows.
 *
 * Copies are done when they are submitted. The copy engine is modelled: it is
 * done with one copy after the other, each at the time that it would take.
 */

#include <linux/bitmap.h>
#include <linux/device/faux.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/ioport.h>
#include <linux/ktime.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include <asm/msr.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_pagemap.h>

#include "bare.h"
#include "pagemap_bench.h"

#define CHUNK_PAGES	(PAGEMAP_BENCH_CHUNK / PAGE_SIZE)
#define PAGE_WORDS	(PAGE_SIZE / sizeof(u64))
/* Some to spare: what the CPU took a part of stays allocated. */
#define NR_SLOTS	(2 * PAGEMAP_BENCH_MAX_CHUNKS)

/**
 * struct bench_slot - A piece of the device memory as large as a chunk
 *
 * @devmem: What drm_pagemap knows of it
 * @mm: Whose it is
 */
struct bench_slot {
	struct drm_pagemap_devmem devmem;
	struct mm_struct *mm;
};

/**
 * struct bench_device - The provider
 *
 * @drm: Device
 * @pgmap: Its memory for the MM
 * @dpagemap: and for DRM
 * @first_pfn: Of the device memory
 * @used: Slots in use
 * @slots: All slots
 * @words: The contents of the device memory, a word for each page
 * @lock: Protects @idle_at
 * @idle_at: When the copy engine will have nothing to do
 * @chunk_ns: What it takes for each chunk; 0 if copies take no time
 * @copy_ns: What it takes for each copy in addition, then
 * @fault_window: What a CPU fault is to bring back, or 0
 * @to_device: Pages copied to the device
 * @to_ram: Pages copied to RAM
 * @zeroed: Device pages zeroed
 */
static struct bench_device {
	struct drm_device *drm;
	struct dev_pagemap pgmap;
	struct drm_pagemap dpagemap;
	unsigned long first_pfn;
	DECLARE_BITMAP(used, NR_SLOTS);
	struct bench_slot slots[NR_SLOTS];
	u64 words[NR_SLOTS * CHUNK_PAGES];
	spinlock_t lock; /* see above */
	u64 idle_at;
	u32 chunk_ns;
	u32 copy_ns;
	u32 fault_window;
	u64 to_device;
	u64 to_ram;
	u64 zeroed;
} bench;

static struct faux_device *bench_faux;

/* The engine */

struct bench_fence {
	struct dma_fence base;
	spinlock_t lock; /* the fence's */
	struct hrtimer timer;
};

static const char *bench_fence_name(struct dma_fence *fence)
{
	return "pagemap-bench";
}

static const struct dma_fence_ops bench_fence_ops = {
	.get_driver_name = bench_fence_name,
	.get_timeline_name = bench_fence_name,
};

static enum hrtimer_restart bench_fence_expire(struct hrtimer *timer)
{
	struct bench_fence *fence = container_of(timer, struct bench_fence, timer);

	dma_fence_signal(&fence->base);
	dma_fence_put(&fence->base);

	return HRTIMER_NORESTART;
}

/* When a copy of @npages that starts now, or behind the others, is done. */
static u64 bench_engine_queue(unsigned long npages)
{
	u64 done;

	spin_lock(&bench.lock);
	done = max(ktime_get_ns(), bench.idle_at) + bench.copy_ns +
	       npages * bench.chunk_ns / CHUNK_PAGES;
	bench.idle_at = done;
	spin_unlock(&bench.lock);

	return done;
}

/* A fence for a copy of @npages; NULL if the engine takes no time. */
static struct dma_fence *bench_engine_fence(unsigned long npages)
{
	struct bench_fence *fence;

	if (!bench.chunk_ns)
		return NULL;

	fence = kzalloc_obj(*fence);
	if (!fence)
		return ERR_PTR(-ENOMEM);

	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &bench_fence_ops, &fence->lock,
		       dma_fence_context_alloc(1), 1);
	hrtimer_setup(&fence->timer, bench_fence_expire, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS);
	/* The timer's reference */
	dma_fence_get(&fence->base);
	hrtimer_start(&fence->timer, ns_to_ktime(bench_engine_queue(npages)),
		      HRTIMER_MODE_ABS);

	return &fence->base;
}

static int bench_engine_wait(struct dma_fence *fence)
{
	if (IS_ERR(fence))
		return PTR_ERR(fence);
	if (!fence)
		return 0;

	dma_fence_wait(fence, false);
	dma_fence_put(fence);

	return 0;
}

static u64 *bench_word(struct page *page)
{
	return &bench.words[page_to_pfn(page) - bench.first_pfn];
}

/* There is no IOMMU, so the address of a page is that of its memory. */
static void *bench_ram(const struct drm_pagemap_addr *addr)
{
	return phys_to_virt((phys_addr_t)addr->addr);
}

/* A hole has no address, and so its size is that of the page it goes to. */
static unsigned long bench_zero(struct page *page)
{
	unsigned long nr = folio_nr_pages(page_folio(page));

	memset(bench_word(page), 0, nr * sizeof(u64));
	bench.zeroed += nr;

	return nr;
}

static __maybe_unused struct dma_fence *
bench_submit_to_devmem(struct page **pages, struct drm_pagemap_addr *addrs,
		       unsigned long npages, struct dma_fence *pre_migrate_fence)
{
	unsigned long i, j, nr, copied = 0;
	u64 *to, *from;

	for (i = 0; i < npages; i += nr) {
		nr = 1;
		if (!pages[i])
			continue;
		if (!addrs[i].addr) {
			nr = bench_zero(pages[i]);
			continue;
		}
		nr = 1UL << addrs[i].order;
		to = bench_word(pages[i]);
		from = bench_ram(&addrs[i]);
		for (j = 0; j < nr; j++, from += PAGE_WORDS)
			*to++ = *from;
		copied += nr;
	}
	bench.to_device += copied;

	return bench_engine_fence(copied);
}

static __maybe_unused struct dma_fence *
bench_submit_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
		    unsigned long npages, struct dma_fence *pre_migrate_fence)
{
	unsigned long i, j, nr, copied = 0;
	u64 *to, *from;

	for (i = 0; i < npages; i += nr) {
		nr = 1;
		if (!pages[i])
			continue;
		nr = 1UL << addrs[i].order;
		from = bench_word(pages[i]);
		to = bench_ram(&addrs[i]);
		for (j = 0; j < nr; j++, to += PAGE_WORDS)
			*to = *from++;
		copied += nr;
	}
	bench.to_ram += copied;

	return bench_engine_fence(copied);
}

static __maybe_unused int
bench_copy_to_devmem(struct page **pages, struct drm_pagemap_addr *addrs,
		     unsigned long npages, struct dma_fence *pre_migrate_fence)
{
	return bench_engine_wait(bench_submit_to_devmem(pages, addrs, npages,
							pre_migrate_fence));
}

static __maybe_unused int
bench_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addrs,
		  unsigned long npages, struct dma_fence *pre_migrate_fence)
{
	return bench_engine_wait(bench_submit_to_ram(pages, addrs, npages,
						     pre_migrate_fence));
}

/* The memory */

static const struct drm_pagemap_devmem_ops side_devmem_ops;
static void side_set_fault_window(struct drm_pagemap_devmem *devmem, u32 bytes);

static struct bench_slot *to_bench_slot(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct bench_slot, devmem);
}

static struct drm_pagemap_devmem *
bench_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
		   size_t size, bool may_wait)
{
	unsigned long i;

	do {
		i = find_first_zero_bit(bench.used, NR_SLOTS);
		if (i == NR_SLOTS)
			return ERR_PTR(may_wait ? -ENOSPC : -EBUSY);
	} while (test_and_set_bit(i, bench.used));

	bench.slots[i].mm = mm;
	drm_pagemap_devmem_init(&bench.slots[i].devmem, bench.drm->dev, mm,
				&side_devmem_ops, dpagemap, size, NULL);
	if (bench.fault_window)
		side_set_fault_window(&bench.slots[i].devmem, bench.fault_window);

	return &bench.slots[i].devmem;
}

static void bench_devmem_release(struct drm_pagemap_devmem *devmem)
{
	clear_bit(to_bench_slot(devmem) - bench.slots, bench.used);
}

static int bench_devmem_pfns(struct drm_pagemap_devmem *devmem,
			     unsigned long npages, unsigned long *pfns)
{
	unsigned long i, pfn = bench.first_pfn +
			       (to_bench_slot(devmem) - bench.slots) * CHUNK_PAGES;

	for (i = 0; i < npages; i++)
		pfns[i] = pfn + i;

	return 0;
}

/* Nobody has a way to this memory. */
static struct drm_pagemap_addr bench_device_map(struct drm_pagemap *dpagemap,
						struct device *dev,
						struct page *page,
						unsigned int order,
						enum dma_data_direction dir)
{
	return drm_pagemap_addr_encode(DMA_MAPPING_ERROR, DRM_INTERCONNECT_DRIVER,
				       order, dir);
}

static void bench_device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
			       const struct drm_pagemap_addr *addr)
{
}

/* It is a part of the module. */
static void bench_pagemap_destroy(struct drm_pagemap *dpagemap,
				  bool is_atomic_or_reclaim)
{
}

#include "pagemap-side.h"

/* The file: an array of chunks of a process */

/**
 * struct bench_array - An open file
 *
 * @setup: By the program
 * @mm: Whose memory
 * @devmem: Device memory that a step is given
 * @count: How many of @devmem there are
 * @src: Page frame numbers of the floor's migration: sources
 * @dst: and destinations
 */
struct bench_array {
	struct pagemap_bench_setup setup;
	struct mm_struct *mm;
	struct drm_pagemap_devmem *devmem[NR_SLOTS];
	unsigned int count;
	unsigned long src[CHUNK_PAGES];
	unsigned long dst[CHUNK_PAGES];
};

static unsigned long bench_addr(struct bench_array *a, unsigned int i)
{
	return a->setup.addr + (unsigned long)i * PAGEMAP_BENCH_CHUNK;
}

static const struct drm_pagemap_migrate_details bench_details;

static int bench_migrate(struct bench_array *a, unsigned int i)
{
	return drm_pagemap_migrate_to_devmem(a->devmem[i], a->mm,
					     bench_addr(a, i),
					     bench_addr(a, i + 1), &bench_details);
}

static int bench_populate(struct bench_array *a, unsigned int i)
{
	return drm_pagemap_populate_mm(&bench.dpagemap, bench_addr(a, i),
				       bench_addr(a, i + 1), a->mm, 0);
}

static int bench_evict(struct bench_array *a, unsigned int i)
{
	return drm_pagemap_evict_to_ram(a->devmem[i]);
}

/* The floor: what the core MM takes when nothing is to move after all */

static void bench_select_none(unsigned long *src)
{
	unsigned long i;

	for (i = 0; i < CHUNK_PAGES; i++)
		src[i] &= ~MIGRATE_PFN_MIGRATE;
}

static int bench_collect(struct bench_array *a, unsigned int i,
			 struct migrate_vma *migrate)
{
	*migrate = (struct migrate_vma) {
		.vma = vma_lookup(a->mm, bench_addr(a, i)),
		.src = a->src,
		.dst = a->dst,
		.start = bench_addr(a, i),
		.end = bench_addr(a, i + 1),
		.pgmap_owner = &bench,
		.flags = MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
	};

	return migrate->vma ? migrate_vma_setup(migrate) : -EFAULT;
}

static int bench_floor_vma(struct bench_array *a, unsigned int i)
{
	struct migrate_vma migrate;
	int err = bench_collect(a, i, &migrate);

	if (err)
		return err;

	bench_select_none(a->src);
	migrate_vma_pages(&migrate);
	migrate_vma_finalize(&migrate);

	return 0;
}

static int bench_floor_device(struct bench_array *a, unsigned int i)
{
	int err;

	err = bench_devmem_pfns(a->devmem[i], CHUNK_PAGES, a->src);
	if (!err)
		err = migrate_device_pfns(a->src, CHUNK_PAGES);
	if (err)
		return err;

	bench_select_none(a->src);
	memset(a->dst, 0, sizeof(a->dst));
	migrate_device_pages(a->src, a->dst, CHUNK_PAGES);
	migrate_device_finalize(a->src, a->dst, CHUNK_PAGES);

	return 0;
}

/* And what it takes when all of it moves, but without contents */

static int bench_bare_vma(struct bench_array *a, unsigned int i)
{
	struct migrate_vma migrate;
	int err = bench_collect(a, i, &migrate);

	if (err)
		return err;

	bare_to_device(a->src, a->dst, CHUNK_PAGES, i * CHUNK_PAGES);
	migrate_vma_pages(&migrate);
	migrate_vma_finalize(&migrate);

	return 0;
}

static int bench_bare_device(struct bench_array *a, unsigned int i)
{
	int err;

	bare_list(a->src, CHUNK_PAGES, i * CHUNK_PAGES);
	err = migrate_device_pfns(a->src, CHUNK_PAGES);
	if (err)
		return err;

	memset(a->dst, 0, sizeof(a->dst));
	err = bare_to_ram(a->src, a->dst, CHUNK_PAGES);
	migrate_device_pages(a->src, a->dst, CHUNK_PAGES);
	migrate_device_finalize(a->src, a->dst, CHUNK_PAGES);

	return err;
}

/* Counting */

typedef int (*bench_fn)(struct bench_array *a, unsigned int i);

/* What isn't done, or not all of it, keeps nothing else from being done. */
static void bench_count(struct bench_array *a, bench_fn fn, unsigned int count,
			struct pagemap_bench_step *step)
{
	unsigned int i;
	u64 start;
	int err;

	start = rdtsc_ordered();
	for (i = 0; i < count; i++) {
		err = fn(a, i);
		if (unlikely(err))
			step->error = err;
	}
	step->result = rdtsc_ordered() - start;
}

static void bench_count_locked(struct bench_array *a, bench_fn fn,
			       struct pagemap_bench_step *step)
{
	mmap_read_lock(a->mm);
	bench_count(a, fn, a->setup.chunks, step);
	mmap_read_unlock(a->mm);
}

static void bench_release_all(struct bench_array *a)
{
	while (a->count--)
		bench_devmem_release(a->devmem[a->count]);
	a->count = 0;
}

/* An allocation for each chunk; these aren't counted. */
static int bench_alloc_all(struct bench_array *a)
{
	struct drm_pagemap_devmem *devmem;

	for (a->count = 0; a->count < a->setup.chunks; a->count++) {
		devmem = bench_devmem_alloc(&bench.dpagemap, a->mm,
					    PAGEMAP_BENCH_CHUNK, false);
		if (IS_ERR(devmem)) {
			bench_release_all(a);
			return PTR_ERR(devmem);
		}
		a->devmem[a->count] = devmem;
	}

	return 0;
}

/* All allocations that pages of the process are in. */
static void bench_find_all(struct bench_array *a)
{
	unsigned long i;

	a->count = 0;
	for_each_set_bit(i, bench.used, NR_SLOTS)
		if (bench.slots[i].mm == a->mm)
			a->devmem[a->count++] = &bench.slots[i].devmem;
}

/* Modelled time */

static void bench_populate_all(struct bench_array *a, struct pagemap_bench_step *step)
{
	u64 start = ktime_get_ns();

	step->error = drm_pagemap_populate_mm(&bench.dpagemap, bench_addr(a, 0),
					      bench_addr(a, a->setup.chunks),
					      a->mm, 0);
	step->result = ktime_get_ns() - start;
}

static void bench_evict_all(struct bench_array *a, struct pagemap_bench_step *step)
{
	u64 start = ktime_get_ns();

	step->error = side_evict_many(a->devmem, a->count);
	step->result = ktime_get_ns() - start;
}

/* Steps */

static int bench_do_step(struct bench_array *a, struct pagemap_bench_step *step)
{
	int err;

	switch (step->op) {
	case PAGEMAP_BENCH_MIGRATE:
		err = bench_alloc_all(a);
		if (err)
			return err;
		bench_count_locked(a, bench_migrate, step);
		return 0;
	case PAGEMAP_BENCH_POPULATE:
		bench_count(a, bench_populate, a->setup.chunks, step);
		return 0;
	case PAGEMAP_BENCH_EVICT:
		bench_find_all(a);
		bench_count(a, bench_evict, a->count, step);
		return 0;
	case PAGEMAP_BENCH_FLOOR_VMA:
		bench_count_locked(a, bench_floor_vma, step);
		return 0;
	case PAGEMAP_BENCH_FLOOR_DEVICE:
		bench_find_all(a);
		bench_count(a, bench_floor_device, a->count, step);
		return 0;
	case PAGEMAP_BENCH_BARE_VMA:
		bench_count_locked(a, bench_bare_vma, step);
		return 0;
	case PAGEMAP_BENCH_BARE_DEVICE:
		bench_count(a, bench_bare_device, a->setup.chunks, step);
		return 0;
	case PAGEMAP_BENCH_POPULATE_ALL:
		bench_populate_all(a, step);
		return 0;
	case PAGEMAP_BENCH_EVICT_ALL:
		bench_find_all(a);
		bench_evict_all(a, step);
		return 0;
	default:
		return -EINVAL;
	}
}

static int bench_step(struct bench_array *a, struct pagemap_bench_step *step)
{
	int err;

	step->error = 0;
	bench.chunk_ns = a->setup.chunk_ns;
	bench.copy_ns = a->setup.copy_ns;
	bench.fault_window = a->setup.fault_window;

	bench.to_device = 0;
	bench.to_ram = 0;
	bench.zeroed = 0;

	err = bench_do_step(a, step);

	step->to_device = bench.to_device;
	step->to_ram = bench.to_ram;
	step->zeroed = bench.zeroed;

	return err;
}

static int bench_setup(struct bench_array *a, const void __user *user)
{
	struct pagemap_bench_setup *setup = &a->setup;

	if (a->mm)
		return -EBUSY;
	if (copy_from_user(setup, user, sizeof(*setup)))
		return -EFAULT;
	if (!setup->chunks || setup->chunks > PAGEMAP_BENCH_MAX_CHUNKS ||
	    !IS_ALIGNED(setup->addr, PAGEMAP_BENCH_CHUNK))
		return -EINVAL;

	/* Only compared, and used by the process that it is the one of. */
	a->mm = current->mm;

	return 0;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bench_array *a = file->private_data;
	void __user *user = (void __user *)arg;
	struct pagemap_bench_step step;
	int err;

	switch (cmd) {
	case PAGEMAP_BENCH_SETUP:
		return bench_setup(a, user);
	case PAGEMAP_BENCH_STEP:
		if (copy_from_user(&step, user, sizeof(step)))
			return -EFAULT;
		if (!a->mm || a->mm != current->mm)
			return -EINVAL;
		err = bench_step(a, &step);
		if (err)
			return err;
		return copy_to_user(user, &step, sizeof(step)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static int bench_open(struct inode *inode, struct file *file)
{
	struct bench_array *a = kvzalloc(sizeof(*a), GFP_KERNEL);

	if (!a)
		return -ENOMEM;
	file->private_data = a;

	return 0;
}

/* Device memory goes when the process takes it back or unmaps it. */
static int bench_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);

	return 0;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.open = bench_open,
	.release = bench_release,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice bench_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pagemap-bench-" BENCH_SIDE,
	.fops = &bench_fops,
};

/* The device */

/* No owner: a pagemap that held the module would never let it go. */
static const struct file_operations bench_drm_fops = {
};

static const struct drm_driver bench_drm_driver = {
	.name = "pagemap-bench",
	.desc = "drm_pagemap benchmark",
	.major = 1,
	.fops = &bench_drm_fops,
};

static int bench_memory_init(struct device *dev)
{
	struct dev_pagemap *pgmap = &bench.pgmap;
	struct resource *res;
	void *addr;

	res = devm_request_free_mem_region(dev, &iomem_resource,
					   NR_SLOTS * PAGEMAP_BENCH_CHUNK);
	if (IS_ERR(res))
		return PTR_ERR(res);

	bench.first_pfn = PHYS_PFN(res->start);
	pgmap->type = MEMORY_DEVICE_PRIVATE;
	pgmap->range.start = res->start;
	pgmap->range.end = res->end;
	pgmap->nr_range = 1;
	pgmap->owner = &bench;
	pgmap->ops = drm_pagemap_pagemap_ops_get();
	addr = devm_memremap_pages(dev, pgmap);

	return PTR_ERR_OR_ZERO(addr);
}

static int bench_drm_init(struct device *dev)
{
	bench.drm = drm_dev_alloc(&bench_drm_driver, dev);
	if (IS_ERR(bench.drm))
		return PTR_ERR(bench.drm);

	return drm_pagemap_init(&bench.dpagemap, &bench.pgmap, bench.drm,
				&side_pagemap_ops);
}

/* What drm_pagemap.c does at the exit of its own module */
void drm_pagemap_cleanup(void);

static void bench_drm_fini(void)
{
	if (bench.dpagemap.dev_hold)
		drm_pagemap_put(&bench.dpagemap);
	if (!IS_ERR_OR_NULL(bench.drm))
		drm_dev_put(bench.drm);
}

static int __init bench_init(void)
{
	struct device *dev;
	int err;

	spin_lock_init(&bench.lock);
	bench_faux = faux_device_create("pagemap-bench-" BENCH_SIDE, NULL, NULL);
	if (!bench_faux)
		return -ENODEV;

	dev = &bench_faux->dev;
	err = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (!err)
		err = bench_memory_init(dev);
	if (!err)
		err = bare_init(dev, PAGEMAP_BENCH_MAX_CHUNKS * CHUNK_PAGES);
	if (!err)
		err = bench_drm_init(dev);
	if (!err)
		err = misc_register(&bench_misc);
	if (err) {
		bench_drm_fini();
		faux_device_destroy(bench_faux);
	}

	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&bench_misc);
	bench_drm_fini();
	drm_pagemap_cleanup();
	faux_device_destroy(bench_faux);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("drm_pagemap benchmark, " BENCH_SIDE);
MODULE_LICENSE("Dual MIT/GPL");
