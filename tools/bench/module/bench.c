// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Count what a GPU SVM costs.
 *
 * Built twice, once with our drm_gpusvm.c and once with the base's, each with
 * its own header. Works on the caller's memory: a real mm with real page
 * tables, walked by HMM, and invalidated by the calls that the MM makes.
 *
 * Time is the TSC. Under QEMU's -icount shift=0 that counts instructions.
 */

#include <linux/delay.h>
#include <linux/device/faux.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/msr.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>

#include "gpusvm_bench.h"

struct bench_range {
	struct drm_gpusvm_range base;
	unsigned int devices;
	struct drm_gpusvm_pages pages[];
};

/**
 * struct bench_floor - The least that getting the pages could cost
 *
 * @notifier: Covers the array, never invalidated
 * @pfns: Buffer of the walk, reused
 * @addrs: What was mapped, range by range, device by device
 * @order: Of all mappings; they are alike
 * @segments: Mappings for a range on a device
 */
struct bench_floor {
	struct mmu_interval_notifier notifier;
	unsigned long *pfns;
	dma_addr_t *addrs;
	unsigned int order;
	unsigned int segments;
};

/**
 * struct bench_vm - What a driver has for an address space
 *
 * @gpusvm: The GPU SVM
 * @setup: Its shape, by the program
 * @ranges: The ranges of the array
 * @floor: The floor's state
 * @lock: The driver lock, for a GPU SVM that needs one around faults
 * @live: @gpusvm is initialised
 * @stop: Ends GPUSVM_BENCH_DISTURB
 */
struct bench_vm {
	struct drm_gpusvm gpusvm;
	struct gpusvm_bench_setup setup;
	struct drm_gpusvm_range **ranges;
	struct bench_floor floor;
	struct mutex lock; /* held in faults */
	bool live;
	bool stop;
};

static struct faux_device *bench_faux[GPUSVM_BENCH_MAX_DEVICES];
static struct drm_device *bench_drm[GPUSVM_BENCH_MAX_DEVICES];

static struct bench_vm *to_bench_vm(struct drm_gpusvm *gpusvm)
{
	return container_of(gpusvm, struct bench_vm, gpusvm);
}

static struct bench_range *to_bench_range(struct drm_gpusvm_range *range)
{
	return container_of(range, struct bench_range, base);
}

/* A device that is at work; its driver sleeps until the device signals. */
static void bench_wait_us(unsigned int us)
{
	if (us)
		usleep_range(us, us + us / 16);
}

/* All that is measured is small enough for the slab, kvmalloc() or not. */
static unsigned long bench_bytes(const void *mem)
{
	return mem ? ksize(mem) : 0;
}

/* The driver */

static struct drm_gpusvm_range *bench_range_alloc(struct drm_gpusvm *gpusvm)
{
	unsigned int i, devices = to_bench_vm(gpusvm)->setup.devices;
	struct bench_range *br;

	br = kzalloc(struct_size(br, pages, devices), GFP_KERNEL);
	if (!br)
		return NULL;

	br->devices = devices;
	for (i = 0; i < devices; i++)
		drm_gpusvm_init_pages(&br->pages[i], bench_drm[i]);

	return &br->base;
}

static void bench_range_free(struct drm_gpusvm_range *range)
{
	struct bench_range *br = to_bench_range(range);
	unsigned int i;

	for (i = 0; i < br->devices; i++)
		drm_gpusvm_free_pages(range->gpusvm, &br->pages[i],
				      drm_gpusvm_range_size(range) >> PAGE_SHIFT);
	kfree(br);
}

static void bench_range_unmap(struct drm_gpusvm_range *range,
			      const struct drm_gpusvm_ctx *ctx)
{
	struct bench_range *br = to_bench_range(range);
	unsigned int i;

	for (i = 0; i < br->devices; i++)
		drm_gpusvm_unmap_pages(range->gpusvm, &br->pages[i],
				       drm_gpusvm_range_size(range) >> PAGE_SHIFT,
				       ctx);
}

static void bench_driver_invalidate(struct drm_gpusvm *gpusvm,
				    struct drm_gpusvm_notifier *notifier,
				    const struct mmu_notifier_range *mmu_range)
{
	const struct drm_gpusvm_ctx ctx = { .in_notifier = true };
	struct drm_gpusvm_range *range = NULL;

	bench_wait_us(to_bench_vm(gpusvm)->setup.flush_us);
	drm_gpusvm_for_each_range(range, notifier, mmu_range->start,
				  mmu_range->end)
		bench_range_unmap(range, &ctx);
}

static const struct drm_gpusvm_ops bench_one_pass_ops = {
	.range_alloc = bench_range_alloc,
	.range_free = bench_range_free,
	.invalidate = bench_driver_invalidate,
};

#include "side.h"

static unsigned long bench_addr(struct bench_vm *vm, unsigned int i)
{
	return vm->setup.addr + (unsigned long)i * vm->setup.size;
}

/* Counted steps, each for one range */

static int bench_nothing(struct bench_vm *vm, unsigned int i)
{
	return 0;
}

static struct drm_gpusvm_range *bench_find_or_insert(struct bench_vm *vm,
						     unsigned long addr)
{
	const struct drm_gpusvm_ctx ctx = {};
	struct drm_gpusvm *gpusvm = &vm->gpusvm;

	return drm_gpusvm_range_find_or_insert(gpusvm, addr, gpusvm->mm_start,
					       gpusvm->mm_start + gpusvm->mm_range,
					       &ctx);
}

static int bench_insert(struct bench_vm *vm, unsigned int i)
{
	struct drm_gpusvm_range *range;

	range = bench_find_or_insert(vm, bench_addr(vm, i));
	if (IS_ERR(range))
		return PTR_ERR(range);

	vm->ranges[i] = range;

	return 0;
}

/* The program leaves a hole behind the array, in a window of its own. */
static int bench_fail(struct bench_vm *vm, unsigned int i)
{
	unsigned long hole = vm->setup.addr + vm->setup.bytes - SZ_2M;

	return bench_find_or_insert(vm, hole) == ERR_PTR(-ENOENT) ? 0 : -EINVAL;
}

static int bench_get(struct bench_vm *vm, unsigned int i)
{
	const struct drm_gpusvm_ctx ctx = {};
	struct bench_range *br = to_bench_range(vm->ranges[i]);

	return side_get_pages(&br->base, br->pages, br->devices, &ctx);
}

/*
 * What the MM does between its start and end of an invalidation. The sequence
 * is odd, as those of the MM, but counts downwards: so it never is the one that
 * the MM has in progress, for which mmu_interval_read_begin() would wait.
 */
static int bench_notify(struct drm_gpusvm_notifier *notifier,
			unsigned long start, unsigned long end)
{
	struct mmu_interval_notifier *mni = &notifier->notifier;
	const struct mmu_notifier_range mmu_range = {
		.mm = notifier->gpusvm->mm,
		.start = start,
		.end = end,
		.flags = MMU_NOTIFIER_RANGE_BLOCKABLE,
		.event = MMU_NOTIFY_CLEAR,
	};
	struct mmu_interval_notifier_finish *finish = NULL;
	unsigned long seq = mni->invalidate_seq - 2;

	if (!mni->ops->invalidate_start)
		return mni->ops->invalidate(mni, &mmu_range, seq) ? 0 : -EAGAIN;

	if (!mni->ops->invalidate_start(mni, &mmu_range, seq, &finish))
		return -EAGAIN;
	if (finish) {
		finish->notifier = mni;
		mni->ops->invalidate_finish(finish);
	}

	return 0;
}

static int bench_invalidate(struct bench_vm *vm, unsigned int i)
{
	return bench_notify(vm->ranges[i]->notifier, bench_addr(vm, i),
			    bench_addr(vm, i + 1));
}

/* Which pages differs from range to range, and they are far from each other. */
static int bench_invalidate_pages(struct bench_vm *vm, unsigned int i,
				  unsigned int count)
{
	unsigned int n, page, npages = vm->setup.size >> PAGE_SHIFT;
	unsigned long start;
	int err = 0;

	for (n = 0; n < count && !err; n++) {
		page = (i * 197 + n * npages / count) % npages;
		start = bench_addr(vm, i) + page * PAGE_SIZE;
		err = bench_notify(vm->ranges[i]->notifier, start,
				   start + PAGE_SIZE);
	}

	return err;
}

static int bench_invalidate_page(struct bench_vm *vm, unsigned int i)
{
	return bench_invalidate_pages(vm, i, 1);
}

static int bench_invalidate_8_pages(struct bench_vm *vm, unsigned int i)
{
	return bench_invalidate_pages(vm, i, 8);
}

/* Memory of the same window that no range covers: behind the array. */
static int bench_idle(struct bench_vm *vm, unsigned int i)
{
	unsigned long start = bench_addr(vm, vm->setup.ranges);

	return bench_notify(vm->ranges[0]->notifier, start, start + PAGE_SIZE);
}

/* The floor */

static dma_addr_t *bench_floor_addrs(struct bench_vm *vm, unsigned int i,
				     unsigned int device)
{
	return vm->floor.addrs +
		(i * vm->setup.devices + device) * vm->floor.segments;
}

static int bench_floor_map(struct bench_vm *vm, unsigned int i,
			   unsigned int device)
{
	dma_addr_t *addrs = bench_floor_addrs(vm, i, device);
	struct device *dev = bench_drm[device]->dev;
	unsigned int order = vm->floor.order;
	unsigned long *pfns = vm->floor.pfns;
	unsigned int s;

	for (s = 0; s < vm->floor.segments; s++) {
		addrs[s] = dma_map_page(dev, hmm_pfn_to_page(pfns[s << order]),
					0, PAGE_SIZE << order, DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dev, addrs[s]))
			return -EFAULT;
	}

	return 0;
}

static int bench_floor_walk(struct bench_vm *vm, unsigned int i)
{
	struct hmm_range walk = {
		.notifier = &vm->floor.notifier,
		.notifier_seq = mmu_interval_read_begin(&vm->floor.notifier),
		.start = bench_addr(vm, i),
		.end = bench_addr(vm, i + 1),
		.hmm_pfns = vm->floor.pfns,
		.default_flags = HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE,
	};

	return hmm_range_fault(&walk);
}

static int bench_floor_get(struct bench_vm *vm, unsigned int i)
{
	unsigned int device;
	int err;

	err = bench_floor_walk(vm, i);
	for (device = 0; device < vm->setup.devices && !err; device++)
		err = bench_floor_map(vm, i, device);

	return err;
}

static int bench_floor_unmap(struct bench_vm *vm, unsigned int i)
{
	unsigned int device, s, order = vm->floor.order;
	struct device *dev;
	dma_addr_t *addrs;

	for (device = 0; device < vm->setup.devices; device++) {
		addrs = bench_floor_addrs(vm, i, device);
		dev = bench_drm[device]->dev;
		for (s = 0; s < vm->floor.segments; s++)
			dma_unmap_page(dev, addrs[s], PAGE_SIZE << order,
				       DMA_BIDIRECTIONAL);
	}

	return 0;
}

static bool bench_floor_invalidate(struct mmu_interval_notifier *mni,
				   const struct mmu_notifier_range *mmu_range,
				   unsigned long seq)
{
	mmu_interval_set_seq(mni, seq);

	return true;
}

static const struct mmu_interval_notifier_ops bench_floor_ops = {
	.invalidate = bench_floor_invalidate,
};

static int bench_floor_alloc(struct bench_vm *vm)
{
	unsigned long npages = vm->setup.size >> PAGE_SHIFT;
	struct bench_floor *floor = &vm->floor;

	floor->pfns = kvcalloc(npages, sizeof(*floor->pfns), GFP_KERNEL);
	floor->addrs = kvcalloc(npages * vm->setup.ranges * vm->setup.devices,
				sizeof(*floor->addrs), GFP_KERNEL);
	if (!floor->pfns || !floor->addrs)
		return -ENOMEM;

	return mmu_interval_notifier_insert(&floor->notifier, current->mm,
					    vm->setup.addr,
					    npages * PAGE_SIZE * vm->setup.ranges,
					    &bench_floor_ops);
}

/* Before the first count: the buffers, and what there is to map. */
static int bench_floor_init(struct bench_vm *vm)
{
	struct bench_floor *floor = &vm->floor;
	int err;

	if (floor->notifier.mm)
		return 0;

	err = bench_floor_alloc(vm);
	if (err)
		return err;

	mmap_read_lock(current->mm);
	err = bench_floor_walk(vm, 0);
	mmap_read_unlock(current->mm);
	if (err)
		return err;

	floor->order = hmm_pfn_to_map_order(floor->pfns[0]);
	floor->segments = vm->setup.size >> PAGE_SHIFT >> floor->order;

	return floor->segments ? 0 : -EINVAL;
}

static void bench_floor_fini(struct bench_vm *vm)
{
	if (vm->floor.notifier.mm)
		mmu_interval_notifier_remove(&vm->floor.notifier);
	kvfree(vm->floor.addrs);
	kvfree(vm->floor.pfns);
}

/* Counting */

typedef int (*bench_fn)(struct bench_vm *vm, unsigned int i);

static int bench_loop(struct bench_vm *vm, bench_fn fn,
		      const struct gpusvm_bench_step *step, u64 *took)
{
	unsigned int i, end = step->first + step->count;
	int err = 0;
	u64 start;

	start = rdtsc_ordered();
	for (i = step->first; i < end && !err; i++)
		err = fn(vm, i);
	*took = rdtsc_ordered() - start;

	return err;
}

/* Counts one function; the loop around it doesn't count. */
static int bench_count(struct bench_vm *vm, bench_fn fn,
		       struct gpusvm_bench_step *step)
{
	u64 took, empty;
	int err;

	err = bench_loop(vm, fn, step, &took);
	if (err)
		return err;

	err = bench_loop(vm, bench_nothing, step, &empty);
	step->result = took - empty;

	return err;
}

/* The walk is counted without the mmap lock that it needs. */
static int bench_count_floor(struct bench_vm *vm, bench_fn fn,
			     struct gpusvm_bench_step *step)
{
	int err;

	err = bench_floor_init(vm);
	if (err)
		return err;

	mmap_read_lock(current->mm);
	err = bench_count(vm, fn, step);
	mmap_read_unlock(current->mm);

	return err;
}

static int bench_count_fini(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	u64 start = rdtsc_ordered();

	drm_gpusvm_fini(&vm->gpusvm);
	step->result = rdtsc_ordered() - start;
	vm->live = false;

	return 0;
}

/* A loop of two instructions, 500 times for each range. */
static int bench_calibrate(struct bench_vm *vm, unsigned int i)
{
	unsigned long turns = 500;

	asm volatile("1:	dec	%0\n"
		     "	jnz	1b\n" : "+r" (turns) : : "cc");

	return 0;
}

/* What is mapped: each page's address counts for as much as its index. */

static u64 bench_pages_checksum(const struct drm_gpusvm_pages *pages,
				unsigned long npages)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned long i, n;
	u64 sum = 0;

	for (i = 0; i < npages; addr++)
		for (n = 0; n < 1UL << addr->order; n++, i++)
			sum += (i + 1) * ((addr->addr >> PAGE_SHIFT) + n);

	return sum;
}

static int bench_checksum(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	unsigned int i, d, valid = 0, n = step->count * vm->setup.devices;
	struct bench_range *br;

	step->result = 0;
	drm_gpusvm_notifier_lock(&vm->gpusvm);
	for (i = step->first; i < step->first + step->count; i++) {
		br = to_bench_range(vm->ranges[i]);
		for (d = 0; d < br->devices; d++) {
			if (!drm_gpusvm_pages_valid(&vm->gpusvm, &br->pages[d]))
				continue;
			valid++;
			step->result = step->result * 31 +
				bench_pages_checksum(&br->pages[d], vm->setup.size >>
						     PAGE_SHIFT);
		}
	}
	drm_gpusvm_notifier_unlock(&vm->gpusvm);

	return !valid || valid == n ? 0 : -EIO;
}

/* Memory */

static u64 bench_range_bytes(struct bench_vm *vm, enum gpusvm_bench_op op)
{
	struct bench_range *br = to_bench_range(vm->ranges[0]);
	unsigned int i;
	u64 bytes = 0;

	switch (op) {
	case GPUSVM_BENCH_BYTES_PAGES:
		for (i = 0; i < br->devices; i++)
			bytes += side_pages_bytes(&br->pages[i]);
		return bytes;
	case GPUSVM_BENCH_BYTES_RANGE:
		return bench_bytes(br);
	default:
		return bench_bytes(br->base.notifier);
	}
}

/* Real time */

static int bench_bind(struct bench_vm *vm, struct drm_gpusvm_range *range,
		      const struct drm_gpusvm_ctx *ctx)
{
	struct bench_range *br = to_bench_range(range);
	bool valid;
	int err;

	do {
		err = side_get_pages(range, br->pages, br->devices, ctx);
		if (err)
			return err;

		drm_gpusvm_notifier_lock(&vm->gpusvm);
		valid = drm_gpusvm_pages_valid(&vm->gpusvm, &br->pages[0]);
		drm_gpusvm_notifier_unlock(&vm->gpusvm);
	} while (!valid);

	bench_wait_us(vm->setup.bind_us);

	return 0;
}

/* A device's page fault, as a driver serves it. */
static int bench_fault(struct bench_vm *vm, unsigned int i)
{
	const struct drm_gpusvm_ctx ctx = {};
	struct drm_gpusvm_range *range;
	int err;

	range = side_fault_begin(&vm->gpusvm, &vm->lock, bench_addr(vm, i), &ctx);
	if (IS_ERR(range))
		return PTR_ERR(range);

	err = bench_bind(vm, range, &ctx);
	side_fault_end(range, &vm->lock);

	return err;
}

static int bench_faults(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	u64 start = ktime_get_ns();
	unsigned int i;
	int err = 0;

	for (i = step->first; i < step->first + step->count && !err; i++)
		err = bench_fault(vm, i);
	step->result = ktime_get_ns() - start;

	return err;
}

static int bench_latency(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	u32 __user *samples = u64_to_user_ptr(step->samples);
	const struct drm_gpusvm_ctx ctx = {};
	u64 start, took;
	unsigned int n, i;
	int err;

	step->result = 0;
	for (n = 0; n < step->nr_samples; n++) {
		i = step->first + n % step->count;
		start = ktime_get_ns();
		err = bench_get(vm, i);
		took = ktime_get_ns() - start;
		if (err)
			return err;
		if (put_user(min_t(u64, took, U32_MAX), &samples[n]))
			return -EFAULT;

		step->result += took;
		bench_range_unmap(vm->ranges[i], &ctx);
		/* Faults come one by one, and invalidations in between. */
		ndelay(15 * NSEC_PER_USEC);
	}

	return 0;
}

static int bench_disturb(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !READ_ONCE(vm->stop) && !err; i++) {
		err = bench_invalidate(vm, step->first + i % step->count);
		if (!err)
			err = bench_get(vm, step->first + i % step->count);
		if (signal_pending(current))
			err = -EINTR;
	}
	step->result = i;

	return err;
}

/* The file */

static bool bench_step_ok(struct bench_vm *vm,
			  const struct gpusvm_bench_step *step)
{
	static const u32 need_ranges = BIT(GPUSVM_BENCH_GET) |
		BIT(GPUSVM_BENCH_INVALIDATE) | BIT(GPUSVM_BENCH_INVALIDATE_PAGE) |
		BIT(GPUSVM_BENCH_INVALIDATE_8_PAGES) | BIT(GPUSVM_BENCH_IDLE) |
		BIT(GPUSVM_BENCH_CHECKSUM) | BIT(GPUSVM_BENCH_BYTES_PAGES) |
		BIT(GPUSVM_BENCH_BYTES_RANGE) | BIT(GPUSVM_BENCH_BYTES_NOTIFIER) |
		BIT(GPUSVM_BENCH_LATENCY) | BIT(GPUSVM_BENCH_DISTURB);
	unsigned int i, end = step->first + step->count;

	if (!vm->live || step->op >= GPUSVM_BENCH_OPS || !step->count ||
	    end < step->first || end > vm->setup.ranges)
		return false;

	if (!(need_ranges & BIT(step->op)))
		return true;

	for (i = step->first; i < end; i++)
		if (!vm->ranges[i])
			return false;

	return vm->ranges[0];
}

static int bench_step(struct bench_vm *vm, struct gpusvm_bench_step *step)
{
	switch (step->op) {
	case GPUSVM_BENCH_INSERT:
		return bench_count(vm, bench_insert, step);
	case GPUSVM_BENCH_GET:
		return bench_count(vm, bench_get, step);
	case GPUSVM_BENCH_INVALIDATE:
		return bench_count(vm, bench_invalidate, step);
	case GPUSVM_BENCH_INVALIDATE_PAGE:
		return bench_count(vm, bench_invalidate_page, step);
	case GPUSVM_BENCH_INVALIDATE_8_PAGES:
		return bench_count(vm, bench_invalidate_8_pages, step);
	case GPUSVM_BENCH_IDLE:
		return bench_count(vm, bench_idle, step);
	case GPUSVM_BENCH_FAIL:
		return bench_count(vm, bench_fail, step);
	case GPUSVM_BENCH_CALIBRATE:
		return bench_count(vm, bench_calibrate, step);
	case GPUSVM_BENCH_FLOOR_GET:
		return bench_count_floor(vm, bench_floor_get, step);
	case GPUSVM_BENCH_FLOOR_UNMAP:
		return bench_count_floor(vm, bench_floor_unmap, step);
	case GPUSVM_BENCH_CHECKSUM:
		return bench_checksum(vm, step);
	case GPUSVM_BENCH_FINI:
		return bench_count_fini(vm, step);
	case GPUSVM_BENCH_FAULT:
		return bench_faults(vm, step);
	case GPUSVM_BENCH_LATENCY:
		return bench_latency(vm, step);
	case GPUSVM_BENCH_DISTURB:
		return bench_disturb(vm, step);
	case GPUSVM_BENCH_STOP:
		WRITE_ONCE(vm->stop, true);
		return 0;
	default:
		step->result = bench_range_bytes(vm, step->op);
		return 0;
	}
}

static int bench_setup(struct bench_vm *vm)
{
	static const struct drm_gpusvm_ops *const ops[] = {
		[GPUSVM_BENCH_ONE_PASS] = &bench_one_pass_ops,
		[GPUSVM_BENCH_TWO_PASS] = &side_two_pass_ops,
		[GPUSVM_BENCH_PARTS] = &side_parts_ops,
	};
	static const unsigned long chunk_sizes[] = { SZ_2M, SZ_64K, SZ_4K };
	const struct gpusvm_bench_setup *setup = &vm->setup;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(chunk_sizes); i++)
		if (chunk_sizes[i] == setup->size)
			break;
	if (i == ARRAY_SIZE(chunk_sizes) || !setup->ranges || !setup->devices ||
	    setup->devices > GPUSVM_BENCH_MAX_DEVICES ||
	    setup->driver >= ARRAY_SIZE(ops))
		return -EINVAL;

	vm->ranges = kvcalloc(setup->ranges, sizeof(*vm->ranges), GFP_KERNEL);
	if (!vm->ranges)
		return -ENOMEM;

	err = drm_gpusvm_init(&vm->gpusvm, "bench", current->mm, setup->addr,
			      setup->bytes, SZ_512M, ops[setup->driver],
			      &chunk_sizes[i], ARRAY_SIZE(chunk_sizes) - i);
	vm->live = !err;

	return err;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bench_vm *vm = file->private_data;
	void __user *user = (void __user *)arg;
	struct gpusvm_bench_step step;
	int err;

	switch (cmd) {
	case GPUSVM_BENCH_SETUP:
		if (vm->ranges)
			return -EBUSY;
		if (copy_from_user(&vm->setup, user, sizeof(vm->setup)))
			return -EFAULT;
		return bench_setup(vm);
	case GPUSVM_BENCH_STEP:
		if (copy_from_user(&step, user, sizeof(step)))
			return -EFAULT;
		if (!bench_step_ok(vm, &step) || vm->gpusvm.mm != current->mm)
			return -EINVAL;
		err = bench_step(vm, &step);
		if (err)
			return err;
		return copy_to_user(user, &step, sizeof(step)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static int bench_open(struct inode *inode, struct file *file)
{
	struct bench_vm *vm = kzalloc_obj(*vm);

	if (!vm)
		return -ENOMEM;

	mutex_init(&vm->lock);
	file->private_data = vm;

	return 0;
}

static int bench_release(struct inode *inode, struct file *file)
{
	struct bench_vm *vm = file->private_data;

	if (vm->live)
		drm_gpusvm_fini(&vm->gpusvm);
	bench_floor_fini(vm);
	kvfree(vm->ranges);
	kfree(vm);

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
	.name = "gpusvm-bench-" BENCH_SIDE,
	.fops = &bench_fops,
};

/* The devices: no hardware, and all of memory is theirs to address. */

static const struct drm_driver bench_drm_driver = {
	.name = "gpusvm-bench",
	.desc = "GPU SVM benchmark",
	.major = 1,
};

static void bench_devices_fini(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bench_drm); i++) {
		if (bench_drm[i])
			drm_dev_put(bench_drm[i]);
		if (bench_faux[i])
			faux_device_destroy(bench_faux[i]);
	}
}

static int bench_device_init(unsigned int i)
{
	char name[32];
	int err;

	snprintf(name, sizeof(name), "gpusvm-bench-" BENCH_SIDE ".%u", i);
	bench_faux[i] = faux_device_create(name, NULL, NULL);
	if (!bench_faux[i])
		return -ENODEV;

	err = dma_coerce_mask_and_coherent(&bench_faux[i]->dev, DMA_BIT_MASK(64));
	if (err)
		return err;

	bench_drm[i] = drm_dev_alloc(&bench_drm_driver, &bench_faux[i]->dev);
	if (IS_ERR(bench_drm[i])) {
		err = PTR_ERR(bench_drm[i]);
		bench_drm[i] = NULL;
		return err;
	}

	return 0;
}

static int __init bench_init(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(bench_drm) && !err; i++)
		err = bench_device_init(i);
	if (!err)
		err = misc_register(&bench_misc);
	if (err)
		bench_devices_fini();

	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&bench_misc);
	bench_devices_fini();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("GPU SVM benchmark, " BENCH_SIDE);
MODULE_LICENSE("Dual MIT/GPL");
