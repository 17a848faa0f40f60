// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: what is mapped for devices, for whom, and until when.
 */

#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include <drm/drm_device.h>

#include "drm_gpusvm_fixture.h"

#define RW	(PROT_READ | PROT_WRITE)

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

static int get_bare(struct kunit *test, struct svm_range *range,
		    unsigned long start, unsigned long end)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;

	return drm_gpusvm_get_pages(gpusvm, &range->pages[0], current->mm,
				    &range->base.notifier->notifier, start, end,
				    &write_ctx);
}

/*
 * Arguments
 */

static void pages_without_a_device_are_inert(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_pages never = {}, inited;
	struct svm_range *range;

	memset(&inited, 0x55, sizeof(inited));
	drm_gpusvm_init_pages(&inited, svm->devices[1].drm);
	KUNIT_EXPECT_PTR_EQ(test, inited.drm, svm->devices[1].drm);
	KUNIT_EXPECT_EQ(test, inited.notifier_seq, LONG_MAX);
	KUNIT_EXPECT_EQ(test, inited.flags.__flags, 0);
	KUNIT_EXPECT_NULL(test, inited.dma_addr);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&inited));

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_get_pages(&range->base, &never, 1, &write_ctx),
			-EINVAL);
	drm_gpusvm_unmap_pages(&svm->gpusvm, &never, SZ_2M >> PAGE_SHIFT, &write_ctx);
	drm_gpusvm_free_pages(&svm->gpusvm, &never, SZ_2M >> PAGE_SHIFT);

	/* One of several. */
	range->pages[1].drm = NULL;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), -EINVAL);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 0);
	range->pages[1].drm = svm->devices[1].drm;
	KUNIT_EXPECT_EQ(test, svm_get(range, 2, &write_ctx), 0);
}

static void get_checks_addresses(struct kunit *test)
{
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE + 1, SVM_BASE + SZ_2M), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE, SVM_BASE + SZ_2M - 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE, SVM_BASE), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE + SZ_2M, SVM_BASE), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_get(range, 0, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), walks), 0);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE, SVM_BASE + SZ_2M), 0);
	svm_expect_same_memory(test, range, 0);
}

/*
 * Entries
 */

static void small_pages_are_mapped(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	unsigned int i;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_1M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_expect_same_memory(test, range, 0);
	for (i = 0; i < range->pages[0].nr_addrs; i++)
		KUNIT_EXPECT_EQ(test, (unsigned int)range->pages[0].dma_addr[i].dir,
				DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	KUNIT_EXPECT_FALSE(test, range->pages[0].flags.has_devmem_pages);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, pages), SZ_2M >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, segments), range->pages[0].nr_addrs);
	if (svm_counts_dma(svm)) {
		KUNIT_EXPECT_EQ(test, svm_dma_bytes(svm, 0), SZ_2M);
		KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[0].maps),
				range->pages[0].nr_addrs);
	}
}

static void huge_page_takes_one_entry(struct kunit *test)
{
	struct svm_range *range;

	svm_map_huge(test, SVM_BASE);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, 1);
	KUNIT_EXPECT_EQ(test, range->pages[0].max_addrs, 1);
	KUNIT_EXPECT_PTR_EQ(test, range->pages[0].dma_addr, &range->pages[0].single_addr);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), segments), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), pages), SZ_2M >> PAGE_SHIFT);
}

/* Part of a huge page: the range is smaller than what the CPU maps as one. */
static void part_of_a_huge_page_is_bounded(struct kunit *test)
{
	struct drm_gpusvm_range *range;

	svm_map_huge(test, SVM_BASE);
	range = drm_gpusvm_range_find_or_insert(&to_svm(test)->gpusvm, SVM_BASE + SZ_1M,
						SVM_BASE + SZ_1M, SVM_BASE + SZ_1M + SZ_64K,
						&write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);
	KUNIT_ASSERT_EQ(test, drm_gpusvm_range_size(range), SZ_64K);
	KUNIT_ASSERT_EQ(test, svm_get(to_svm_range(range), 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, to_svm_range(range)->pages[0].nr_addrs, 1);
	svm_expect_same_memory(test, to_svm_range(range), 0);
}

static void memory_follows_the_number_of_entries(struct kunit *test)
{
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	/* Every other page first, so that neighbours are unlikely to be adjacent. */
	for (unsigned long i = 0; i < SZ_2M; i += 2 * PAGE_SIZE)
		svm_write(test, SVM_BASE + i, i);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	pages = &range->pages[0];
	KUNIT_EXPECT_GT(test, pages->nr_addrs, 8);
	KUNIT_EXPECT_GE(test, pages->max_addrs, pages->nr_addrs);

	/* The same number again needs no new memory. */
	svm_notify(current->mm, SVM_BASE, SVM_BASE + SZ_2M, MMU_NOTIFY_CLEAR);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, pages));
	{
		void *addrs = pages->dma_addr;

		KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
		KUNIT_EXPECT_PTR_EQ(test, (void *)pages->dma_addr, addrs);
	}

	/* Another mapping here invalidates, and is a huge page. */
	svm_discard(test, SVM_BASE, SZ_2M);
	svm_advise(test, SVM_BASE, SZ_2M, MADV_HUGEPAGE);
	svm_touch(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	if (pages->nr_addrs != 1)
		kunit_skip(test, "no huge page was free");
	KUNIT_EXPECT_EQ(test, pages->max_addrs, 1);
}

struct run_case {
	const char *name;
	u8 xor, add;		/* page i of the range is page (i ^ xor) + add of the block */
	unsigned int entries;
};

static const struct run_case run_cases[] = {
	{ "in a row", 0, 0, 1 },
	{ "halves swapped", 8, 0, 2 },
	{ "quarters swapped", 4, 0, 4 },
	{ "pairs swapped", 1, 0, 16 },
	{ "pairs of pairs swapped", 2, 0, 8 },
	{ "backwards", 15, 0, 16 },
	{ "shifted by one", 0, 1, 16 },
	{ "shifted by two", 0, 2, 8 },
	{ "shifted by eight", 0, 8, 2 },
};

KUNIT_ARRAY_PARAM_DESC(run, run_cases, name);

static struct page *run_block;

static vm_fault_t run_fault(struct svm_file *file, struct vm_fault *vmf)
{
	const struct run_case *c = file->arg;

	vmf->page = run_block + ((vmf->pgoff ^ c->xor) + c->add) % 16;
	get_page(vmf->page);

	return 0;
}

/* Small pages that lie in a row and are aligned are mapped as one. */
static void runs_of_small_pages_are_merged(struct kunit *test)
{
	const struct run_case *c = test->param_value;
	struct svm_file file = { .fault = run_fault, .arg = (void *)c };
	struct svm_range *range;
	int i;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "counts on pages of 4 KiB");
	run_block = alloc_pages(GFP_KERNEL, 4);
	KUNIT_ASSERT_NOT_NULL(test, run_block);
	split_page(run_block, 4);
	svm_map_special(test, &file, SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, c->entries);
	svm_remove(test, range);
	for (i = 0; i < 16; i++)
		__free_page(run_block + i);
}

static void shared_memory_is_mapped(struct kunit *test)
{
	struct file *file = shmem_file_setup("svm", SZ_2M, EMPTY_VMA_FLAGS);
	struct svm_range *range;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	svm_map_file(test, file, SVM_BASE, SZ_2M, RW, MAP_SHARED);
	svm_map_file(test, file, SVM_BASE + SZ_2M, SZ_2M, PROT_READ, MAP_PRIVATE);
	fput(file);
	svm_write(test, SVM_BASE + SZ_1M, 1);

	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_expect_same_memory(test, range, 0);
	range = svm_fault_and_get(test, SVM_BASE + SZ_2M, &read_ctx);
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_phys(test, current->mm, SVM_BASE + SZ_1M),
			svm_phys(test, current->mm, SVM_BASE + SZ_2M + SZ_1M));
}

static void hugetlb_page_takes_one_entry(struct kunit *test)
{
	u64 __user *p = (u64 __user *)SVM_BASE;
	struct svm_range *range;
	unsigned long at;
	struct file *file;

	file = hugetlb_file_setup("svm", SZ_2M, EMPTY_VMA_FLAGS, HUGETLB_ANONHUGE_INODE, 21);
	if (IS_ERR(file))
		kunit_skip(test, "no hugetlbfs with pages of 2 MiB");
	at = vm_mmap(file, SVM_BASE, SZ_2M, RW, MAP_SHARED | MAP_FIXED, 0);
	fput(file);
	if (at != SVM_BASE || put_user(1, p))
		kunit_skip(test, "no huge pages: write a number to /proc/sys/vm/nr_hugepages");

	range = svm_fault_and_get(test, SVM_BASE + SZ_1M, &write_ctx);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, 1);
	svm_expect_same_memory(test, range, 0);
	svm_munmap(test, SVM_BASE, SZ_2M);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
}

/*
 * Pages that are valid
 */

static void valid_pages_cost_no_walk(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct drm_pagemap_addr *addrs;
	struct svm_range *range;
	int maps;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	addrs = range->pages[0].dma_addr;
	maps = atomic_read(&svm->devices[0].maps);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 1);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets_valid), 2);
	KUNIT_EXPECT_PTR_EQ(test, range->pages[0].dma_addr, addrs);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[0].maps), maps);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
}

static void invalidation_elsewhere_keeps_pages(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	unsigned long seq;

	svm_map(test, SVM_BASE, SZ_8M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_touch(test, SVM_BASE + SZ_4M, SZ_64K);
	seq = range->pages[0].notifier_seq;
	svm_discard(test, SVM_BASE + SZ_4M, SZ_64K);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, invalidations), 0);
	KUNIT_EXPECT_GE(test, svm_stat(svm, invalidations_idle), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 0);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_NE(test, range->pages[0].notifier_seq, seq);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
}

static void discarded_pages_are_got_anew(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_write(test, SVM_BASE, 1);
	svm_discard(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, range->base.flags.__flags, 0);
	KUNIT_EXPECT_EQ(test, range->pages[0].nr_addrs, 0);
	svm_expect_unmapped(test);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), 0);
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
}

/*
 * Access
 */

static void reading_leaves_the_zero_page(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_pages *pages;
	struct svm_range *range;
	unsigned int i;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	range = svm_fault_and_get(test, SVM_BASE, &read_ctx);
	pages = &range->pages[0];
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(pages));
	for (i = 0; i < pages->nr_addrs; i++) {
		KUNIT_EXPECT_EQ(test, dma_to_phys(svm->devices[0].dev, pages->dma_addr[i].addr),
				page_to_phys(ZERO_PAGE(SVM_BASE)));
		KUNIT_EXPECT_EQ(test, (unsigned int)pages->dma_addr[i].dir, DMA_TO_DEVICE);
	}
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), 0);

	/* Before the first write of the device the driver takes what it has bound. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, pages));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			SZ_64K >> PAGE_SHIFT);
	svm_expect_same_memory(test, range, 0);
	for (i = 0; i < pages->nr_addrs; i++)
		KUNIT_EXPECT_EQ(test, (unsigned int)pages->dma_addr[i].dir, DMA_BIDIRECTIONAL);

	/* And serves reads, too. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(pages));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets_valid), 1);
}

static void read_only_memory_can_be_read(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, PROT_READ);
	range = svm_fault_and_get(test, SVM_BASE, &read_ctx);

	/* A write is refused, and leaves nothing mapped that would allow it. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EROFS);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), svm_stat(svm, unmaps));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
}

static void reading_does_not_break_copy_on_write(struct kunit *test)
{
	struct mm_struct *mm = current->mm, *child;
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	phys_addr_t phys;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_touch(test, SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	child = svm_fork(test);
	/* What was writable is shared now. */
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	svm_expect_same_memory(test, range, 0);
	phys = svm_phys(test, mm, SVM_BASE);
	KUNIT_EXPECT_EQ(test, phys, svm_phys(test, child, SVM_BASE));

	/* The CPU writes: the device must not go on with the old page. */
	svm_write(test, SVM_BASE, 1);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_NE(test, svm_phys(test, mm, SVM_BASE), phys);
	KUNIT_EXPECT_EQ(test, svm_phys(test, child, SVM_BASE), phys);

	/* The device writes: it gets a copy of its own. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	KUNIT_EXPECT_NE(test, svm_phys(test, mm, SVM_BASE + PAGE_SIZE),
			svm_phys(test, child, SVM_BASE + PAGE_SIZE));
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_pages_writable(&range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, retries), 0);
	mmput(child);
}

static void protection_decides_anew(struct kunit *test)
{
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_mprotect(test, SVM_BASE, SZ_64K, PROT_READ);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EPERM);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	svm_mprotect(test, SVM_BASE, SZ_64K, PROT_NONE);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &read_ctx), -EPERM);
	/* HMM makes no difference between no permission and no memory here. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), -EFAULT);
	svm_expect_unmapped(test);
	svm_mprotect(test, SVM_BASE, SZ_64K, RW);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
}

/*
 * Memory that goes away
 */

static void unmapped_range_stays_unmapped(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_8M, RW);
	range = svm_fault_and_get(test, SVM_BASE + SZ_2M, &write_ctx);
	svm_munmap(test, SVM_BASE, SZ_8M);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->events[MMU_NOTIFY_UNMAP]), 1);
	KUNIT_EXPECT_TRUE(test, range->base.flags.unmapped);
	KUNIT_EXPECT_FALSE(test, range->base.flags.partial_unmap);
	KUNIT_EXPECT_TRUE(test, range->pages[0].flags.unmapped);
	KUNIT_EXPECT_TRUE(test, range->pages[SVM_DEVICES - 1].flags.unmapped);
	svm_expect_unmapped(test);

	/* Even with new memory there. */
	svm_map(test, SVM_BASE, SZ_8M, RW);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -ESTALE);
	KUNIT_EXPECT_EQ(test, get_bare(test, range, SVM_BASE + SZ_2M, SVM_BASE + SZ_4M), -EFAULT);
	svm_expect_unmapped(test);
	svm_remove(test, range);
	range = svm_fault_and_get(test, SVM_BASE + SZ_2M, &write_ctx);
	KUNIT_EXPECT_EQ(test, range->base.flags.__flags, 0);
}

static void partial_unmap_is_noted(struct kunit *test)
{
	static const struct {
		unsigned long start, end;
		bool partial;
	} cuts[] = {
		{ 0, SZ_4K, true },
		{ SZ_64K - SZ_4K, SZ_64K, true },
		{ SZ_32K, SZ_32K + SZ_4K, true },
		{ 0, SZ_64K, false },
		{ 0, SZ_128K, false },
	};
	static const unsigned long chunks[] = { SZ_64K };
	struct svm_range *range;
	int i;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "counts on pages of 4 KiB");
	svm_restart(test, &svm_ops_two_pass, chunks, ARRAY_SIZE(chunks));
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		svm_map(test, SVM_BASE, SZ_128K, RW);
		range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
		svm_munmap(test, SVM_BASE + cuts[i].start, cuts[i].end - cuts[i].start);
		KUNIT_EXPECT_TRUE(test, range->base.flags.unmapped);
		KUNIT_EXPECT_EQ_MSG(test, !!range->base.flags.partial_unmap, cuts[i].partial,
				    "cut %d", i);
		KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), -ESTALE);
		svm_remove(test, range);
	}
}

static void what_a_partial_unmap_leaves_gets_new_ranges(struct kunit *test)
{
	unsigned long hole = SVM_BASE + SZ_1M;
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_munmap(test, hole, SZ_64K);
	svm_remove(test, range);

	range = svm_fault_and_get(test, hole - 1, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_end(&range->base), hole);
	range = svm_fault_and_get(test, hole + SZ_64K, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_start(&range->base), hole + SZ_64K);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, hole, &write_ctx), -ENOENT);
}

static void moved_memory_is_found_where_it_went(struct kunit *test)
{
	unsigned long to = SVM_BASE + SVM_WINDOW;
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_touch(test, SVM_BASE, SZ_64K);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_mremap(test, SVM_BASE, SZ_64K, to);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -ESTALE);
	svm_expect_unmapped(test);
	range = svm_fault_and_get(test, to, &write_ctx);
	svm_expect_same_memory(test, range, 0);
	KUNIT_EXPECT_EQ(test, svm_read(test, to + PAGE_SIZE), SVM_BASE + PAGE_SIZE);
}

static vm_fault_t end_of_file_fault(struct svm_file *file, struct vm_fault *vmf)
{
	if (vmf->pgoff >= 3)
		return VM_FAULT_SIGBUS;

	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	return vmf->page ? 0 : VM_FAULT_OOM;
}

/* One page that can't be faulted in fails the range, now and not for ever. */
static void memory_behind_the_end_of_a_file(struct kunit *test)
{
	struct svm_file file = { .fault = end_of_file_fault };
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map_special(test, &file, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &read_ctx), -EFAULT);
	KUNIT_EXPECT_LE(test, svm_stat(svm, walks), 6);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 0);
	svm_expect_unmapped(test);
	svm_remove(test, range);

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_fault_and_get(test, SVM_BASE, &write_ctx);
}

static vm_fault_t restless_fault(struct svm_file *file, struct vm_fault *vmf)
{
	bool *restless = file->arg;

	if (*restless) {
		svm_notify(vmf->vma->vm_mm, vmf->address, vmf->address + PAGE_SIZE,
			   MMU_NOTIFY_CLEAR);
		return VM_FAULT_NOPAGE;
	}
	vmf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	return vmf->page ? 0 : VM_FAULT_OOM;
}

static void invalidations_without_end_are_busy(struct kunit *test)
{
	bool restless = true;
	struct svm_file file = { .fault = restless_fault, .arg = &restless };
	struct svm_range *range;

	svm_map_special(test, &file, SVM_BASE, SZ_64K);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -EBUSY);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	restless = false;
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
}

static long get_for_writing(struct svm_task *task)
{
	return svm_get(task->arg, 1, &write_ctx);
}

/* A look at much memory can take all the time there is, and has lost against nobody. */
static void long_look_leaves_time_for_a_fault(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct svm_range *range;
	struct svm_task *task;

	svm_map(test, SVM_BASE, SZ_64K, RW);
	svm_touch(test, SVM_BASE, SZ_64K - PAGE_SIZE);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	task = svm_prepare(test, get_for_writing, 0, range);
	down_write(&gpusvm->notifier_lock);
	svm_start(task);
	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	msleep(HMM_RANGE_DEFAULT_TIMEOUT + 100);
	up_write(&gpusvm->notifier_lock);
	KUNIT_EXPECT_EQ(test, svm_join(task), 0);
	svm_remove(test, range);
}

static void device_memory_alone_is_not_in_ram(struct kunit *test)
{
	static const struct drm_gpusvm_ctx ctx = {
		.devmem_only = true, .devmem_possible = true,
	};
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault(test, SVM_BASE, &ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &ctx), -EFAULT);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), gets), 0);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	/* Nor is what was mapped there for somebody who did not mind. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &ctx), -EFAULT);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
}

/*
 * Several devices
 */

static void one_walk_serves_all_devices(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	int i;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 1);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), SVM_DEVICES);
	for (i = 0; i < SVM_DEVICES; i++) {
		svm_expect_same_memory(test, range, i);
		if (svm_counts_dma(svm))
			KUNIT_EXPECT_EQ(test, svm_dma_bytes(svm, i), SZ_2M);
	}
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets_valid), 1);

	svm_discard(test, SVM_BASE, PAGE_SIZE);
	for (i = 0; i < SVM_DEVICES; i++)
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[i]));
	svm_expect_unmapped(test);
}

static void mapped_devices_are_left_alone(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct drm_pagemap_addr *addrs;
	struct svm_range *range;
	int maps;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	addrs = range->pages[0].dma_addr;
	maps = atomic_read(&svm->devices[0].maps);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, walks), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), SVM_DEVICES);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
	KUNIT_EXPECT_PTR_EQ(test, range->pages[0].dma_addr, addrs);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->devices[0].maps), maps);
	svm_expect_same_memory(test, range, SVM_DEVICES - 1);
}

/* A device that reaches little memory makes mapping fail. */
static void all_devices_are_mapped_or_none(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	int i;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	*svm->devices[2].dev->dma_mask = DMA_BIT_MASK(16);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), -EFAULT);

	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	for (i = 1; i < SVM_DEVICES; i++) {
		KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[i]));
		if (svm_counts_dma(svm))
			KUNIT_EXPECT_EQ(test, svm_dma_bytes(svm, i), 0);
	}
	KUNIT_EXPECT_EQ(test, svm_stat(svm, gets), 1);

	*svm->devices[2].dev->dma_mask = DMA_BIT_MASK(64);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	svm_expect_same_memory(test, range, 2);
}

/*
 * Unmapping
 */

static void unmap_and_free_are_idempotent(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	unsigned long npages = SZ_2M >> PAGE_SHIFT;
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	svm_unmap(test, range);
	drm_gpusvm_free_pages(&svm->gpusvm, &range->pages[0], npages);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);

	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_unmap(test, range);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	svm_expect_unmapped(test);
	svm_unmap(test, range);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);

	/* Free unmaps, and the pages may be got again. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	drm_gpusvm_free_pages(&svm->gpusvm, &range->pages[0], npages);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 2);
	KUNIT_EXPECT_NULL(test, range->pages[0].dma_addr);
	KUNIT_EXPECT_EQ(test, range->pages[0].max_addrs, 0);
	svm_expect_unmapped(test);
	drm_gpusvm_free_pages(&svm->gpusvm, &range->pages[0], npages);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), 0);
	svm_expect_same_memory(test, range, 0);
}

static void removal_does_not_unmap(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	drm_gpusvm_range_get(&range->base);
	drm_gpusvm_range_remove(&svm->gpusvm, &range->base);
	KUNIT_EXPECT_TRUE(test, svm_valid(test, &range->pages[0]));
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 0);
	/* The last reference does. */
	drm_gpusvm_range_put(&range->base);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), 1);
	svm_expect_unmapped(test);
}

static void one_pass_unmaps_at_once(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_restart(test, &svm_ops_one_pass, svm_chunks, ARRAY_SIZE(svm_chunks));
	svm_map(test, SVM_BASE, SZ_64K, RW);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	svm_discard(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->starts), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->finishes), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, unmaps), SVM_DEVICES);
	svm_expect_unmapped(test);

	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	svm_munmap(test, SVM_BASE + SZ_32K, SZ_32K);
	KUNIT_EXPECT_TRUE(test, range->base.flags.partial_unmap);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), -ESTALE);
	svm_expect_unmapped(test);
}

/*
 * User pointers
 */

struct userptr {
	struct drm_gpusvm *gpusvm;
	struct drm_gpusvm_pages pages;
	struct mmu_interval_notifier notifier;
};

static bool userptr_invalidate(struct mmu_interval_notifier *notifier,
			       const struct mmu_notifier_range *mmu_range,
			       unsigned long seq)
{
	struct userptr *uptr = container_of(notifier, struct userptr, notifier);
	const struct drm_gpusvm_ctx ctx = { .in_notifier = true };

	down_write(&uptr->gpusvm->notifier_lock);
	mmu_interval_set_seq(notifier, seq);
	drm_gpusvm_unmap_pages(uptr->gpusvm, &uptr->pages, 0, &ctx);
	up_write(&uptr->gpusvm->notifier_lock);

	return true;
}

static const struct mmu_interval_notifier_ops userptr_ops = {
	.invalidate = userptr_invalidate,
};

static int userptr_get(struct userptr *uptr, unsigned long start, unsigned long end,
		       const struct drm_gpusvm_ctx *ctx)
{
	return drm_gpusvm_get_pages(uptr->gpusvm, &uptr->pages, uptr->notifier.mm,
				    &uptr->notifier, start, end, ctx);
}

/* An odd number of pages, more than two huge pages, at no special address. */
static void userptr_check(struct kunit *test, struct drm_gpusvm *gpusvm)
{
	unsigned long start = SVM_BASE + 3 * PAGE_SIZE;
	unsigned long end = start + SZ_4M + PAGE_SIZE;
	struct userptr *uptr = kunit_kzalloc(test, sizeof(*uptr), GFP_KERNEL);
	unsigned long bytes = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, uptr);
	uptr->gpusvm = gpusvm;
	drm_gpusvm_init_pages(&uptr->pages, to_svm(test)->devices[0].drm);
	svm_map(test, SVM_BASE, SZ_8M, RW);
	KUNIT_ASSERT_EQ(test, 0, mmu_interval_notifier_insert(&uptr->notifier, current->mm,
							      start, end - start, &userptr_ops));

	KUNIT_EXPECT_EQ(test, userptr_get(uptr, start, end, &write_ctx), 0);
	KUNIT_EXPECT_EQ(test, userptr_get(uptr, start, end, &write_ctx), 0);
	for (i = 0; i < uptr->pages.nr_addrs; i++)
		bytes += PAGE_SIZE << uptr->pages.dma_addr[i].order;
	KUNIT_EXPECT_EQ(test, bytes, end - start);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&gpusvm->stats.gets), 1);

	svm_discard(test, start + SZ_4M, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, uptr->pages.flags.has_dma_mapping);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, userptr_get(uptr, start, end, &read_ctx), 0);
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_pages_writable(&uptr->pages));

	/* A hole. */
	svm_munmap(test, start + PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, userptr_get(uptr, start, end, &read_ctx), -EFAULT);
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, userptr_get(uptr, start, start + PAGE_SIZE, &write_ctx), 0);

	mmu_interval_notifier_remove(&uptr->notifier);
	drm_gpusvm_free_pages(gpusvm, &uptr->pages, 1);
	svm_expect_unmapped(test);
}

static void userptr_needs_no_mirror(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = kunit_kzalloc(test, sizeof(*gpusvm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, gpusvm);
	KUNIT_ASSERT_EQ(test, 0, drm_gpusvm_init(gpusvm, "userptr", NULL, 0, 0, 0, NULL, NULL, 0));
	userptr_check(test, gpusvm);
	drm_gpusvm_fini(gpusvm);
}

static void userptr_goes_with_a_mirror(struct kunit *test)
{
	userptr_check(test, &to_svm(test)->gpusvm);
}

/*
 * IOVA
 */

static void check_iova(struct kunit *test, struct svm_range *range, struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);
	struct drm_gpusvm_pages *pages = &range->pages[0];
	unsigned long offset = 0;
	dma_addr_t iova;
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, dma_use_iova(&pages->state));
	KUNIT_EXPECT_EQ(test, pages->state_offset, 0);
	iova = pages->state.addr;
	for (i = 0; i < pages->nr_addrs; i++) {
		KUNIT_EXPECT_EQ(test, pages->dma_addr[i].addr, iova + offset);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pages->dma_addr[i].addr,
						   PAGE_SIZE << pages->dma_addr[i].order));
		KUNIT_EXPECT_EQ(test, iommu_iova_to_phys(domain, iova + offset),
				svm_phys(test, current->mm, SVM_BASE + offset));
		offset += PAGE_SIZE << pages->dma_addr[i].order;
	}
	KUNIT_EXPECT_EQ(test, offset, SZ_2M);

	svm_discard(test, SVM_BASE, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, dma_use_iova(&pages->state));
	KUNIT_EXPECT_EQ(test, pages->state_offset, 0);
	for (offset = 0; offset < SZ_2M; offset += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, iommu_iova_to_phys(domain, iova + offset), 0);
}

static void iova_space_is_contiguous(struct kunit *test)
{
	struct drm_device *drm = kunit_kzalloc(test, sizeof(*drm), GFP_KERNEL);
	struct device *dev = svm_translated_device(test);
	struct svm_range *range;

	KUNIT_ASSERT_NOT_NULL(test, drm);
	drm->dev = dev;
	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm_touch(test, SVM_BASE, SZ_2M);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	drm_gpusvm_init_pages(&range->pages[0], drm);
	KUNIT_ASSERT_EQ(test, svm_get(range, SVM_DEVICES, &write_ctx), 0);
	check_iova(test, range, dev);

	/* Outside of a notifier as well, and for reading. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &read_ctx), 0);
	KUNIT_EXPECT_TRUE(test, dma_use_iova(&range->pages[0].state));
	svm_remove(test, range);
}

static struct kunit_case drm_gpusvm_pages_cases[] = {
	KUNIT_CASE(pages_without_a_device_are_inert),
	KUNIT_CASE(get_checks_addresses),
	KUNIT_CASE(small_pages_are_mapped),
	KUNIT_CASE(huge_page_takes_one_entry),
	KUNIT_CASE(part_of_a_huge_page_is_bounded),
	KUNIT_CASE(memory_follows_the_number_of_entries),
	KUNIT_CASE_PARAM(runs_of_small_pages_are_merged, run_gen_params),
	KUNIT_CASE(shared_memory_is_mapped),
	KUNIT_CASE(hugetlb_page_takes_one_entry),
	KUNIT_CASE(valid_pages_cost_no_walk),
	KUNIT_CASE(invalidation_elsewhere_keeps_pages),
	KUNIT_CASE(discarded_pages_are_got_anew),
	KUNIT_CASE(reading_leaves_the_zero_page),
	KUNIT_CASE(read_only_memory_can_be_read),
	KUNIT_CASE(reading_does_not_break_copy_on_write),
	KUNIT_CASE(protection_decides_anew),
	KUNIT_CASE(unmapped_range_stays_unmapped),
	KUNIT_CASE(partial_unmap_is_noted),
	KUNIT_CASE(what_a_partial_unmap_leaves_gets_new_ranges),
	KUNIT_CASE(moved_memory_is_found_where_it_went),
	KUNIT_CASE(memory_behind_the_end_of_a_file),
	KUNIT_CASE_SLOW(invalidations_without_end_are_busy),
	KUNIT_CASE_SLOW(long_look_leaves_time_for_a_fault),
	KUNIT_CASE(device_memory_alone_is_not_in_ram),
	KUNIT_CASE(one_walk_serves_all_devices),
	KUNIT_CASE(mapped_devices_are_left_alone),
	KUNIT_CASE(all_devices_are_mapped_or_none),
	KUNIT_CASE(unmap_and_free_are_idempotent),
	KUNIT_CASE(removal_does_not_unmap),
	KUNIT_CASE(one_pass_unmaps_at_once),
	KUNIT_CASE(userptr_needs_no_mirror),
	KUNIT_CASE(userptr_goes_with_a_mirror),
	KUNIT_CASE(iova_space_is_contiguous),
	{}
};

static struct kunit_suite drm_gpusvm_pages_suite = {
	.name = "drm_gpusvm_pages",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_pages_cases,
};

kunit_test_suite(drm_gpusvm_pages_suite);
