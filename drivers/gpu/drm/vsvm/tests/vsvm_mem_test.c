// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/test.h>

#include <linux/dma-fence.h>
#include <linux/highmem.h>

#include "../vsvm_config.h"
#include "../vsvm_copy.h"
#include "../vsvm_mem.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

#define BLOCKS		4
#define MEM_SIZE	(BLOCKS * VSVM_MEM_BLOCK)
#define BLOCK_PAGES	(VSVM_MEM_BLOCK / PAGE_SIZE)

/**
 * struct mem_context - What the tests use
 * @mem: The memory
 * @engine: A copy engine
 * @allocs: Allocations that a test didn't free
 * @num_allocs: How many
 */
struct mem_context {
	struct vsvm_mem mem;
	struct vsvm_copy_engine engine;
	struct vsvm_alloc *allocs[2 * BLOCK_PAGES];
	unsigned int num_allocs;
};

static int mem_test_init(struct kunit *test)
{
	struct mem_context *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	KUNIT_ASSERT_EQ(test, vsvm_mem_init(&ctx->mem, MEM_SIZE), 0);
	if (vsvm_copy_engine_init(&ctx->engine, "kunit", 0, 0)) {
		vsvm_mem_fini(&ctx->mem);
		return -ENOMEM;
	}
	test->priv = ctx;
	return 0;
}

static void mem_test_exit(struct kunit *test)
{
	struct mem_context *ctx = test->priv;

	if (!ctx)
		return;

	vsvm_copy_engine_stop(&ctx->engine);
	for (unsigned int i = 0; i < ctx->num_allocs; i++)
		vsvm_mem_free(ctx->allocs[i]);
	vsvm_mem_fini(&ctx->mem);
}

static struct vsvm_alloc *alloc(struct kunit *test, u64 size)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *alloc = vsvm_mem_alloc(&ctx->mem, size);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, alloc);
	KUNIT_ASSERT_LT(test, ctx->num_allocs, ARRAY_SIZE(ctx->allocs));
	ctx->allocs[ctx->num_allocs++] = alloc;
	vsvm_mem_touch(alloc);
	return alloc;
}

static void release(struct kunit *test, struct vsvm_alloc *alloc)
{
	struct mem_context *ctx = test->priv;

	for (unsigned int i = 0; i < ctx->num_allocs; i++)
		if (ctx->allocs[i] == alloc)
			ctx->allocs[i] = ctx->allocs[--ctx->num_allocs];
	vsvm_mem_free(alloc);
}

/* The first piece of an allocation. */
static u64 offset_of(struct vsvm_alloc *alloc)
{
	return gpu_buddy_block_offset(list_first_entry(&alloc->blocks,
						       struct gpu_buddy_block,
						       link));
}

static struct page *page_of(struct vsvm_alloc *alloc)
{
	return vsvm_mem_page(alloc->mem, offset_of(alloc));
}

static void test_block_is_one_piece(struct kunit *test)
{
	struct mem_context *ctx = test->priv;

	for (int i = 0; i < BLOCKS; i++) {
		struct vsvm_alloc *block = alloc(test, VSVM_MEM_BLOCK);
		struct page *first = page_of(block);

		KUNIT_EXPECT_TRUE(test, list_is_singular(&block->blocks));
		KUNIT_EXPECT_EQ(test, offset_of(block) % VSVM_MEM_BLOCK, 0);
		for (unsigned long p = 0; p < BLOCK_PAGES; p++)
			KUNIT_EXPECT_EQ(test, page_to_pfn(first) + p,
					page_to_pfn(vsvm_mem_page(&ctx->mem,
								  offset_of(block) +
								  p * PAGE_SIZE)));
	}
	KUNIT_EXPECT_EQ(test, vsvm_mem_used(&ctx->mem), MEM_SIZE);
}

static void test_full(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *first = alloc(test, VSVM_MEM_BLOCK);

	alloc(test, (BLOCKS - 1) * VSVM_MEM_BLOCK);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_mem_alloc(&ctx->mem, PAGE_SIZE),
			    ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_PTR_EQ(test, vsvm_mem_alloc(&ctx->mem, 2 * MEM_SIZE),
			    ERR_PTR(-ENOSPC));

	release(test, first);
	flush_work(&ctx->mem.free_work);
	KUNIT_EXPECT_EQ(test, vsvm_mem_used(&ctx->mem),
			MEM_SIZE - VSVM_MEM_BLOCK);
	alloc(test, VSVM_MEM_BLOCK);
}

/* Where no block is whole, its size comes in pieces. */
static void test_pieces(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *keep[BLOCKS], *half[BLOCKS], *pieces;
	struct gpu_buddy_block *block;
	u64 found = 0;

	for (int i = 0; i < BLOCKS; i++) {
		half[i] = alloc(test, VSVM_MEM_BLOCK / 2);
		keep[i] = alloc(test, VSVM_MEM_BLOCK / 2);
	}
	for (int i = 0; i < BLOCKS; i++)
		release(test, half[i]);
	flush_work(&ctx->mem.free_work);

	pieces = alloc(test, VSVM_MEM_BLOCK);
	list_for_each_entry(block, &pieces->blocks, link)
		found += gpu_buddy_block_size(&ctx->mem.buddy, block);
	KUNIT_EXPECT_EQ(test, found, VSVM_MEM_BLOCK);
	KUNIT_EXPECT_FALSE(test, list_is_singular(&pieces->blocks));
	KUNIT_EXPECT_NE(test, pieces->tag, keep[0]->tag);
}

static void test_address(struct kunit *test)
{
	struct vsvm_alloc *block = alloc(test, VSVM_MEM_BLOCK);
	struct page *page = page_of(block);
	u64 addr = vsvm_addr_make(page);

	KUNIT_EXPECT_TRUE(test, vsvm_addr_is_devmem(addr));
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr), page);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr + 3 * PAGE_SIZE), page + 3);
	KUNIT_EXPECT_EQ(test, vsvm_addr_make(page + 3), addr + 3 * PAGE_SIZE);
}

static void test_address_of_system_memory(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, vsvm_addr_is_devmem(page_to_phys(page)));
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(page_to_phys(page)), page);
	__free_page(page);
}

/* An address ends with the allocation, before and after the next one begins. */
static void test_old_address(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *before = alloc(test, MEM_SIZE), *after;
	u64 addr = vsvm_addr_make(page_of(before));
	struct page *page = page_of(before);

	release(test, before);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr), NULL);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr + PAGE_SIZE), NULL);

	flush_work(&ctx->mem.free_work);
	after = alloc(test, MEM_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, page_of(after), page);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr), NULL);
	KUNIT_EXPECT_NE(test, vsvm_addr_make(page), addr);
}

/* The tag of memory that is free is never given. */
static void test_tags_wrap(struct kunit *test)
{
	struct mem_context *ctx = test->priv;

	for (unsigned long i = 0; i < VSVM_MAX_TAG + 10; i++) {
		struct vsvm_alloc *page = vsvm_mem_alloc(&ctx->mem, PAGE_SIZE);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, page);
		KUNIT_EXPECT_NE(test, page->tag, 0);
		KUNIT_EXPECT_LE(test, page->tag, VSVM_MAX_TAG);
		vsvm_mem_free(page);
		if (i % BLOCK_PAGES == 0)
			flush_work(&ctx->mem.free_work);
	}
	flush_work(&ctx->mem.free_work);
	KUNIT_EXPECT_EQ(test, vsvm_mem_used(&ctx->mem), 0);
}

/* Memory that is not used yet has nothing that could be evicted. */
static void test_unused_is_no_victim(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *unused, *victim;

	unused = vsvm_mem_alloc(&ctx->mem, PAGE_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, unused);
	KUNIT_EXPECT_EQ(test, 0, vsvm_mem_take_victims(&ctx->mem, 1, &victim, 1));
	vsvm_mem_free(unused);
}

static struct vsvm_alloc *take_one(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *victim = NULL;

	vsvm_mem_take_victims(&ctx->mem, 1, &victim, 1);
	if (victim)
		vsvm_mem_put_victims(&ctx->mem, &victim, 1);
	return victim;
}

static void test_lru(struct kunit *test)
{
	struct vsvm_alloc *a, *b, *c;

	KUNIT_EXPECT_PTR_EQ(test, take_one(test), NULL);

	a = alloc(test, PAGE_SIZE);
	b = alloc(test, PAGE_SIZE);
	c = alloc(test, PAGE_SIZE);
	vsvm_mem_touch(a);

	/* Each goes to the end when it is taken. */
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), b);
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), c);
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), a);
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), b);

	release(test, c);
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), a);
	KUNIT_EXPECT_PTR_EQ(test, take_one(test), b);
}

static void test_enough_victims(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *victims[BLOCKS];
	unsigned int n;

	for (int i = 0; i < BLOCKS; i++)
		alloc(test, VSVM_MEM_BLOCK / 2);

	n = vsvm_mem_take_victims(&ctx->mem, VSVM_MEM_BLOCK, victims, BLOCKS);
	KUNIT_EXPECT_EQ(test, n, 2);
	vsvm_mem_put_victims(&ctx->mem, victims, n);

	n = vsvm_mem_take_victims(&ctx->mem, VSVM_MEM_BLOCK + 1, victims, BLOCKS);
	KUNIT_EXPECT_EQ(test, n, 3);
	vsvm_mem_put_victims(&ctx->mem, victims, n);

	n = vsvm_mem_take_victims(&ctx->mem, MEM_SIZE, victims, 1);
	KUNIT_EXPECT_EQ(test, n, 1);
	vsvm_mem_put_victims(&ctx->mem, victims, n);

	n = vsvm_mem_take_victims(&ctx->mem, MEM_SIZE, victims, BLOCKS);
	KUNIT_EXPECT_EQ(test, n, BLOCKS);
	vsvm_mem_put_victims(&ctx->mem, victims, n);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->mem.evictions), 0);
}

/* A victim's memory comes back when it is let go of, not before. */
static void test_victim_is_freed(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *victim;
	u64 addr;

	addr = vsvm_addr_make(page_of(alloc(test, MEM_SIZE)));
	KUNIT_ASSERT_EQ(test, vsvm_mem_take_victims(&ctx->mem, 1, &victim, 1), 1);
	release(test, victim);
	flush_work(&ctx->mem.free_work);
	KUNIT_EXPECT_EQ(test, vsvm_mem_used(&ctx->mem), MEM_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_addr_page(addr), NULL);

	vsvm_mem_put_victims(&ctx->mem, &victim, 1);
	KUNIT_EXPECT_EQ(test, vsvm_mem_used(&ctx->mem), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->mem.evictions), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&ctx->mem.num_allocs), 0);
}

static struct kunit_case vsvm_mem_tests[] = {
	KUNIT_CASE(test_block_is_one_piece),
	KUNIT_CASE(test_full),
	KUNIT_CASE(test_pieces),
	KUNIT_CASE(test_address),
	KUNIT_CASE(test_address_of_system_memory),
	KUNIT_CASE(test_old_address),
	KUNIT_CASE(test_tags_wrap),
	KUNIT_CASE(test_unused_is_no_victim),
	KUNIT_CASE(test_lru),
	KUNIT_CASE(test_enough_victims),
	KUNIT_CASE(test_victim_is_freed),
	{}
};

static struct kunit_suite vsvm_mem_suite = {
	.name = "vsvm_mem",
	.init = mem_test_init,
	.exit = mem_test_exit,
	.test_cases = vsvm_mem_tests,
};

/*
 * The copy engine
 */

static void fill(struct page *page, u8 value)
{
	memset_page(page, 0, value, PAGE_SIZE);
}

static void expect_filled(struct kunit *test, struct page *page, u8 value)
{
	u8 *p = kmap_local_page(page);

	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(p, value, PAGE_SIZE), NULL);
	kunmap_local(p);
}

static struct dma_fence *submit(struct kunit *test, u64 src, u64 dst, u32 npages,
				bool out, struct dma_fence *before)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_copy *copy = vsvm_copy_alloc(1, out);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	vsvm_copy_add(copy, src, dst, npages);
	return vsvm_copy_submit(&ctx->engine, copy, before);
}

static int wait_for(struct kunit *test, struct dma_fence *fence)
{
	int status;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fence);
	KUNIT_EXPECT_EQ(test, dma_fence_wait(fence, false), 0);
	status = dma_fence_get_status(fence);
	dma_fence_put(fence);
	return status;
}

static void test_copy_in_and_out(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct page *dev = page_of(alloc(test, 2 * PAGE_SIZE));
	struct page *ram = alloc_pages(GFP_KERNEL, 1);
	u64 addr = vsvm_addr_make(dev);

	KUNIT_ASSERT_NOT_NULL(test, ram);
	fill(ram, 0x11);
	fill(ram + 1, 0x22);
	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, page_to_phys(ram), addr,
						    2, false, NULL)), 1);
	expect_filled(test, dev, 0x11);
	expect_filled(test, dev + 1, 0x22);

	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, addr + PAGE_SIZE,
						    page_to_phys(ram), 1, true,
						    NULL)), 1);
	expect_filled(test, ram, 0x22);
	__free_pages(ram, 1);

	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.copies), 2);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.copied_in),
			2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.copied_out), PAGE_SIZE);
}

static void test_copy_of_nothing_zeroes(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct page *dev = page_of(alloc(test, 2 * PAGE_SIZE));

	fill(dev, 0x11);
	fill(dev + 1, 0x22);
	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, 0, vsvm_addr_make(dev),
						    1, false, NULL)), 1);
	expect_filled(test, dev, 0);
	expect_filled(test, dev + 1, 0x22);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.copied_in), 0);
}

static void test_empty_copy(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_copy *copy = vsvm_copy_alloc(1, false);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_copy_submit(&ctx->engine, copy, NULL),
			    NULL);
}

/* The driver can't write to memory that it has freed. */
static void test_copy_to_old_address(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct vsvm_alloc *old = alloc(test, PAGE_SIZE);
	struct page *dev = page_of(old);
	u64 addr = vsvm_addr_make(dev);

	release(test, old);
	fill(dev, 0x33);
	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, 0, addr, 1, false,
						    NULL)), -EFAULT);
	expect_filled(test, dev, 0x33);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.failed), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&ctx->engine.copies), 0);
}

static void test_failure(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct page *dev = page_of(alloc(test, PAGE_SIZE));
	u64 addr = vsvm_addr_make(dev);

	fill(dev, 0x44);
	atomic_set(&ctx->engine.fail, 1);
	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, 0, addr, 1, false,
						    NULL)), -EIO);
	expect_filled(test, dev, 0x44);
	KUNIT_EXPECT_EQ(test, wait_for(test, submit(test, 0, addr, 1, false,
						    NULL)), 1);
	expect_filled(test, dev, 0);
}

static const char *test_fence_name(struct dma_fence *fence)
{
	return "vsvm-test";
}

static const struct dma_fence_ops test_fence_ops = {
	.get_driver_name = test_fence_name,
	.get_timeline_name = test_fence_name,
};

static struct dma_fence *make_fence(struct kunit *test)
{
	struct dma_fence *fence = kzalloc_obj(*fence);

	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init64(fence, &test_fence_ops, NULL, dma_fence_context_alloc(1),
			 1);
	return fence;
}

/* A copy waits for what comes before it, and those behind it for the copy. */
static void test_order(struct kunit *test)
{
	struct page *dev = page_of(alloc(test, 2 * PAGE_SIZE));
	struct dma_fence *before = make_fence(test);
	struct dma_fence *first, *second;
	u64 addr = vsvm_addr_make(dev);

	fill(dev, 0x55);
	fill(dev + 1, 0x66);
	first = submit(test, addr + PAGE_SIZE, addr, 1, false, before);
	second = submit(test, 0, addr + PAGE_SIZE, 1, false, NULL);
	KUNIT_EXPECT_FALSE(test, dma_fence_is_signaled(first));
	KUNIT_EXPECT_FALSE(test, dma_fence_is_signaled(second));

	dma_fence_signal(before);
	KUNIT_EXPECT_EQ(test, wait_for(test, second), 1);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(first));
	KUNIT_EXPECT_EQ(test, wait_for(test, first), 1);
	expect_filled(test, dev, 0x66);
	expect_filled(test, dev + 1, 0);
	dma_fence_put(before);
}

static void test_error_before(struct kunit *test)
{
	struct page *dev = page_of(alloc(test, PAGE_SIZE));
	struct dma_fence *before = make_fence(test), *fence;

	fill(dev, 0x77);
	fence = submit(test, 0, vsvm_addr_make(dev), 1, false, before);
	dma_fence_set_error(before, -ENXIO);
	dma_fence_signal(before);
	KUNIT_EXPECT_EQ(test, wait_for(test, fence), -ENXIO);
	expect_filled(test, dev, 0x77);
	dma_fence_put(before);
}

/* Two copies take their latency one after the other, and their bandwidth. */
static void test_duration(struct kunit *test)
{
	struct mem_context *ctx = test->priv;
	struct page *dev = page_of(alloc(test, VSVM_MEM_BLOCK));
	struct dma_fence *first, *second;
	u64 addr = vsvm_addr_make(dev);
	u32 npages = BLOCK_PAGES / 2;
	ktime_t begin;

	ctx->engine.latency_us = 3000;
	ctx->engine.bandwidth = 100;	/* 1 MiB takes 10 ms */

	begin = ktime_get();
	first = submit(test, addr, addr + VSVM_MEM_BLOCK / 2, npages, false, NULL);
	second = submit(test, addr, addr + VSVM_MEM_BLOCK / 2, npages, false, NULL);
	KUNIT_EXPECT_EQ(test, wait_for(test, first), 1);
	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), begin), 13000);
	KUNIT_EXPECT_EQ(test, wait_for(test, second), 1);
	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), begin), 26000);
}

/* Zeroes come from nowhere, so they use no bandwidth. */
static void test_duration_of_zeroes(struct kunit *test)
{
	struct vsvm_copy *copy = vsvm_copy_alloc(2, false);
	struct mem_context *ctx = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	vsvm_copy_add(copy, 0, 0, 100);
	KUNIT_EXPECT_EQ(test, copy->bytes, 0);
	vsvm_copy_add(copy, PAGE_SIZE, 0, 3);
	KUNIT_EXPECT_EQ(test, copy->bytes, 3 * PAGE_SIZE);
	copy->num_segs = 0;
	KUNIT_EXPECT_PTR_EQ(test, vsvm_copy_submit(&ctx->engine, copy, NULL),
			    NULL);
}

/* What was submitted is done, nothing more is taken. */
static void test_stop(struct kunit *test)
{
	struct page *dev = page_of(alloc(test, PAGE_SIZE));
	struct vsvm_copy_engine *engine;
	struct dma_fence *fence;
	struct vsvm_copy *copy;

	engine = kunit_kzalloc(test, sizeof(*engine), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, engine);
	KUNIT_ASSERT_EQ(test, vsvm_copy_engine_init(engine, "kunit2", 1000, 0), 0);

	copy = vsvm_copy_alloc(1, false);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	vsvm_copy_add(copy, 0, vsvm_addr_make(dev), 1);
	fill(dev, 0x12);
	fence = vsvm_copy_submit(engine, copy, NULL);
	vsvm_copy_engine_stop(engine);
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(fence));
	KUNIT_EXPECT_EQ(test, wait_for(test, fence), 1);
	expect_filled(test, dev, 0);

	copy = vsvm_copy_alloc(1, false);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	vsvm_copy_add(copy, 0, vsvm_addr_make(dev), 1);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_copy_submit(engine, copy, NULL),
			    ERR_PTR(-ENODEV));
}

static struct kunit_case vsvm_copy_tests[] = {
	KUNIT_CASE(test_copy_in_and_out),
	KUNIT_CASE(test_copy_of_nothing_zeroes),
	KUNIT_CASE(test_empty_copy),
	KUNIT_CASE(test_copy_to_old_address),
	KUNIT_CASE(test_failure),
	KUNIT_CASE(test_order),
	KUNIT_CASE(test_error_before),
	KUNIT_CASE(test_duration),
	KUNIT_CASE(test_duration_of_zeroes),
	KUNIT_CASE(test_stop),
	{}
};

static struct kunit_suite vsvm_copy_suite = {
	.name = "vsvm_copy",
	.init = mem_test_init,
	.exit = mem_test_exit,
	.test_cases = vsvm_copy_tests,
};

kunit_test_suites(&vsvm_mem_suite, &vsvm_copy_suite);
