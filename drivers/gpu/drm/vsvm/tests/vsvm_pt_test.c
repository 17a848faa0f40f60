// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/test.h>

#include <linux/delay.h>

#include "../vsvm_pt.h"
#include "../vsvm_tlb.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

/* A block in the middle of nowhere, and a DMA address to map it to. */
#define VA		(0x7000UL * VSVM_BLOCK_SIZE)
#define DMA		((dma_addr_t)0x123 * VSVM_BLOCK_SIZE)
#define BLOCK_ORDER	VSVM_RADIX_BITS

struct pt_test {
	struct vsvm_pt pt;
	struct vsvm_radix_batch batch;
};

static int pt_test_init(struct kunit *test)
{
	struct pt_test *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	KUNIT_ASSERT_EQ(test, vsvm_pt_init(&ctx->pt), 0);
	test->priv = ctx;
	return 0;
}

static void pt_test_exit(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	if (!ctx)
		return;
	vsvm_radix_finish(&ctx->batch);
	vsvm_pt_fini(&ctx->pt);
}

static void map(struct kunit *test, unsigned long va, unsigned int order,
		dma_addr_t dma, bool writable)
{
	struct pt_test *ctx = test->priv;

	vsvm_radix_finish(&ctx->batch);
	KUNIT_ASSERT_EQ(test, vsvm_radix_prepare(&ctx->pt.radix, va,
						 va + (PAGE_SIZE << order),
						 &ctx->batch), 0);
	KUNIT_ASSERT_EQ(test, vsvm_pt_map(&ctx->pt, &ctx->batch, va, order,
					  vsvm_pte_make(dma, writable)), 0);
}

static void expect_dma(struct kunit *test, unsigned long va, dma_addr_t dma)
{
	struct pt_test *ctx = test->priv;
	u64 pte = vsvm_pt_walk(&ctx->pt, va);

	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_READ));
	KUNIT_EXPECT_EQ(test, vsvm_pte_addr(pte), dma);
}

static void expect_none(struct kunit *test, unsigned long va)
{
	struct pt_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, vsvm_pt_walk(&ctx->pt, va), 0);
}

static void test_empty(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	expect_none(test, 0);
	expect_none(test, VA);
	expect_none(test, BIT(DRM_VSVM_VA_BITS) - 1);
	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, 0, BIT(DRM_VSVM_VA_BITS)), 0);
}

/* Addresses that are not translated don't wrap around. */
static void test_walk_beyond(struct kunit *test)
{
	map(test, 0, 0, DMA, true);

	expect_dma(test, 0, DMA);
	expect_none(test, BIT(DRM_VSVM_VA_BITS));
	expect_none(test, ULONG_MAX);
}

static void test_last_page(struct kunit *test)
{
	unsigned long va = BIT(DRM_VSVM_VA_BITS) - PAGE_SIZE;

	map(test, va, 0, DMA, true);

	expect_dma(test, va, DMA);
	expect_none(test, va - 1);
}

static void test_map_page(struct kunit *test)
{
	map(test, VA + PAGE_SIZE, 0, DMA, true);

	expect_none(test, VA + PAGE_SIZE - 1);
	expect_dma(test, VA + PAGE_SIZE, DMA);
	expect_dma(test, VA + 2 * PAGE_SIZE - 1, DMA);
	expect_none(test, VA + 2 * PAGE_SIZE);
}

static void test_access(struct kunit *test)
{
	struct pt_test *ctx = test->priv;
	u64 pte;

	map(test, VA, 0, DMA, false);
	pte = vsvm_pt_walk(&ctx->pt, VA);
	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_READ));
	KUNIT_EXPECT_FALSE(test, vsvm_pte_allows(pte, VSVM_WRITE));

	map(test, VA, 0, DMA, true);
	pte = vsvm_pt_walk(&ctx->pt, VA);
	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_READ));
	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_WRITE));

	KUNIT_EXPECT_FALSE(test, vsvm_pte_allows(pte, VSVM_ATOMIC));
	pte |= VSVM_PTE_ATOMIC;
	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_ATOMIC));
	pte &= ~VSVM_PTE_WRITABLE;
	KUNIT_EXPECT_FALSE(test, vsvm_pte_allows(pte, VSVM_ATOMIC));

	KUNIT_EXPECT_FALSE(test, vsvm_pte_allows(0, VSVM_READ));
	KUNIT_EXPECT_FALSE(test, vsvm_pte_allows(0, VSVM_WRITE));
}

/* A segment of some pages, across the border of two blocks. */
static void test_map_segment(struct kunit *test)
{
	unsigned long va = VA + VSVM_BLOCK_SIZE - 4 * PAGE_SIZE;

	map(test, va, 3, DMA, true);

	expect_none(test, va - 1);
	for (int i = 0; i < 8; i++)
		expect_dma(test, va + i * PAGE_SIZE, DMA + i * PAGE_SIZE);
	expect_none(test, va + 8 * PAGE_SIZE);
}

/* A block takes one entry, two levels of nodes instead of three. */
static void test_map_block(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	map(test, VA, BLOCK_ORDER, DMA, true);

	KUNIT_EXPECT_EQ(test, ctx->batch.num_nodes, 1);
	expect_none(test, VA - 1);
	expect_dma(test, VA, DMA);
	expect_dma(test, VA + 17 * PAGE_SIZE, DMA + 17 * PAGE_SIZE);
	expect_dma(test, VA + VSVM_BLOCK_SIZE - 1,
		   DMA + VSVM_BLOCK_SIZE - PAGE_SIZE);
	expect_none(test, VA + VSVM_BLOCK_SIZE);
}

static void test_map_two_blocks(struct kunit *test)
{
	map(test, VA, BLOCK_ORDER + 1, DMA, true);

	expect_dma(test, VA + VSVM_BLOCK_SIZE - 1,
		   DMA + VSVM_BLOCK_SIZE - PAGE_SIZE);
	expect_dma(test, VA + VSVM_BLOCK_SIZE, DMA + VSVM_BLOCK_SIZE);
	expect_none(test, VA + 2 * VSVM_BLOCK_SIZE);
}

/* Contiguous memory at an address that isn't aligned is entered by pages. */
static void test_map_unaligned_block(struct kunit *test)
{
	map(test, VA + PAGE_SIZE, BLOCK_ORDER, DMA, true);

	expect_none(test, VA);
	expect_dma(test, VA + PAGE_SIZE, DMA);
	expect_dma(test, VA + VSVM_BLOCK_SIZE,
		   DMA + VSVM_BLOCK_SIZE - PAGE_SIZE);
	expect_none(test, VA + VSVM_BLOCK_SIZE + PAGE_SIZE);
}

/* What is left of a block when a page of it is mapped elsewhere. */
static void test_split_block(struct kunit *test)
{
	map(test, VA, BLOCK_ORDER, DMA, true);
	map(test, VA + 5 * PAGE_SIZE, 0, 2 * DMA, false);

	expect_dma(test, VA + 4 * PAGE_SIZE, DMA + 4 * PAGE_SIZE);
	expect_dma(test, VA + 5 * PAGE_SIZE, 2 * DMA);
	expect_dma(test, VA + 6 * PAGE_SIZE, DMA + 6 * PAGE_SIZE);
}

/* Once there were pages, a block is entered by pages, too. */
static void test_block_over_pages(struct kunit *test)
{
	map(test, VA + 5 * PAGE_SIZE, 0, 2 * DMA, false);
	map(test, VA, BLOCK_ORDER, DMA, true);

	for (int i = 0; i < VSVM_RADIX_SLOTS; i++)
		expect_dma(test, VA + i * PAGE_SIZE, DMA + i * PAGE_SIZE);
	expect_none(test, VA + VSVM_BLOCK_SIZE);
}

static void test_map_without_memory(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, vsvm_pt_map(&ctx->pt, &ctx->batch, VA, 0,
					  vsvm_pte_make(DMA, true)), -EAGAIN);
	expect_none(test, VA);
	KUNIT_EXPECT_EQ(test, ctx->pt.radix.num_nodes, 0);
}

/* The second time, all nodes are there. */
static void test_prepare_what_is_missing(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	map(test, VA, 0, DMA, true);
	KUNIT_EXPECT_EQ(test, ctx->batch.num_nodes, 0);

	KUNIT_EXPECT_EQ(test, vsvm_radix_prepare(&ctx->pt.radix, VA,
						 VA + VSVM_BLOCK_SIZE,
						 &ctx->batch), 0);
	KUNIT_EXPECT_EQ(test, ctx->batch.num_nodes, 0);

	KUNIT_EXPECT_EQ(test, vsvm_radix_prepare(&ctx->pt.radix, VA,
						 VA + VSVM_BLOCK_SIZE + PAGE_SIZE,
						 &ctx->batch), 0);
	KUNIT_EXPECT_EQ(test, ctx->batch.num_nodes, 1);
}

static void test_zap(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	map(test, VA, 4, DMA, true);
	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, VA + PAGE_SIZE,
					  VA + 3 * PAGE_SIZE), 2);

	expect_dma(test, VA, DMA);
	expect_none(test, VA + PAGE_SIZE);
	expect_none(test, VA + 2 * PAGE_SIZE);
	expect_dma(test, VA + 3 * PAGE_SIZE, DMA + 3 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, VA, VA + VSVM_BLOCK_SIZE),
			14);
	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, VA, VA + VSVM_BLOCK_SIZE), 0);
}

/* Zapping takes no memory, so a part of a block can't be left. */
static void test_zap_block(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	map(test, VA, BLOCK_ORDER, DMA, true);
	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, VA + PAGE_SIZE,
					  VA + 2 * PAGE_SIZE),
			VSVM_RADIX_SLOTS);
	expect_none(test, VA);
	expect_none(test, VA + VSVM_BLOCK_SIZE - 1);
}

/* Far apart, with holes at every level in between. */
static void test_zap_all(struct kunit *test)
{
	struct pt_test *ctx = test->priv;
	unsigned long va = PAGE_SIZE;
	int n = 0;

	for (; va < BIT(DRM_VSVM_VA_BITS) / 8; va *= 8, n++)
		map(test, va, 0, DMA, true);

	KUNIT_EXPECT_EQ(test, vsvm_pt_zap(&ctx->pt, 0, BIT(DRM_VSVM_VA_BITS)), n);
	for (va = PAGE_SIZE; va < BIT(DRM_VSVM_VA_BITS) / 8; va *= 8)
		expect_none(test, va);
}

/* A table goes with its last entry, those above it with it, whoever's was last. */
static void test_tables_are_freed(struct kunit *test)
{
	struct pt_test *ctx = test->priv;
	const struct vsvm_radix *radix = &ctx->pt.radix;
	unsigned int below = VSVM_RADIX_LEVELS - 1;

	map(test, VA, 1, DMA, true);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below);
	map(test, VA + VSVM_BLOCK_SIZE, 0, DMA, true);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below + 1);

	vsvm_pt_zap(&ctx->pt, VA, VA + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below + 1);
	vsvm_pt_zap(&ctx->pt, VA + PAGE_SIZE, VA + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below);
	expect_dma(test, VA + VSVM_BLOCK_SIZE, DMA);
	vsvm_pt_zap(&ctx->pt, VA, VA + 2 * VSVM_BLOCK_SIZE);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, 0);

	/* All of it can be used again. */
	map(test, VA, BLOCK_ORDER, DMA, true);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below - 1);
	map(test, VA + PAGE_SIZE, 0, 2 * DMA, true);
	KUNIT_EXPECT_EQ(test, radix->num_nodes, below);
	expect_dma(test, VA + 2 * PAGE_SIZE, DMA + 2 * PAGE_SIZE);
	vsvm_pt_zap(&ctx->pt, 0, BIT(DRM_VSVM_VA_BITS));
	KUNIT_EXPECT_EQ(test, radix->num_nodes, 0);
}

/* What was there for the preparation may be gone when it counts. */
static void test_tables_go_after_preparation(struct kunit *test)
{
	struct pt_test *ctx = test->priv;

	map(test, VA, 0, DMA, true);
	KUNIT_ASSERT_EQ(test, vsvm_radix_prepare(&ctx->pt.radix, VA + PAGE_SIZE,
						 VA + 2 * PAGE_SIZE,
						 &ctx->batch), 0);
	KUNIT_EXPECT_EQ(test, ctx->batch.num_nodes, 0);
	vsvm_pt_zap(&ctx->pt, VA, VA + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vsvm_pt_map(&ctx->pt, &ctx->batch, VA + PAGE_SIZE,
					  0, vsvm_pte_make(DMA, true)), -EAGAIN);
	KUNIT_EXPECT_EQ(test, ctx->pt.radix.num_nodes, 0);
	map(test, VA + PAGE_SIZE, 0, DMA, true);
	expect_dma(test, VA + PAGE_SIZE, DMA);
}

static void test_tlb_lookup(struct kunit *test)
{
	struct vsvm_tlb *tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);
	u64 pte = vsvm_pte_make(DMA, true);

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	vsvm_tlb_init(tlb, NULL);

	guard(mutex)(&tlb->access);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, 0), 0);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, VA), 0);

	vsvm_tlb_fill(tlb, VA + 1, pte);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, VA), pte);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, VA + PAGE_SIZE - 1), pte);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, VA + PAGE_SIZE), 0);

	/* Falls on the same entry. */
	vsvm_tlb_fill(tlb, VA + VSVM_TLB_ENTRIES * PAGE_SIZE, pte + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, vsvm_tlb_lookup(tlb, VA), 0);
}

static void test_tlb_flush(struct kunit *test)
{
	struct vsvm_tlb *tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	vsvm_tlb_init(tlb, NULL);

	guard(mutex)(&tlb->access);
	for (int i = 0; i < 8; i++)
		vsvm_tlb_fill(tlb, VA + i * PAGE_SIZE, vsvm_pte_make(DMA, true));

	vsvm_tlb_flush(tlb, VA + 2 * PAGE_SIZE, VA + 5 * PAGE_SIZE);
	for (int i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, !vsvm_tlb_lookup(tlb, VA + i * PAGE_SIZE),
				i >= 2 && i < 5);
}

struct tlb_test {
	struct vsvm_tlb_unit unit;
	struct vsvm_tlb_owner owners[2];
	struct vsvm_tlb tlbs[2];
};

static void tlb_unit_stop(void *data)
{
	vsvm_tlb_unit_fini(data);
}

static struct tlb_test *start_tlb_unit(struct kunit *test,
				       unsigned int latency_us)
{
	struct tlb_test *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ctx);
	KUNIT_ASSERT_EQ(test, vsvm_tlb_unit_init(&ctx->unit, "kunit",
						 latency_us), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, tlb_unit_stop,
							&ctx->unit), 0);

	for (int i = 0; i < ARRAY_SIZE(ctx->tlbs); i++) {
		struct vsvm_tlb *tlb = &ctx->tlbs[i];

		vsvm_tlb_owner_init(&ctx->owners[i]);
		vsvm_tlb_init(tlb, &ctx->owners[i]);
		vsvm_tlb_unit_add(&ctx->unit, tlb);
		guard(mutex)(&tlb->access);
		vsvm_tlb_fill(tlb, VA, vsvm_pte_make(DMA, true));
	}
	return ctx;
}

static u64 lookup(struct vsvm_tlb *tlb, unsigned long va)
{
	guard(mutex)(&tlb->access);
	return vsvm_tlb_lookup(tlb, va);
}

/* Only the TLBs of the address space that is meant lose their entries. */
static void test_inval_owner(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	u64 seqno;

	seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[0], VA,
				      VA + PAGE_SIZE);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);

	KUNIT_EXPECT_EQ(test, lookup(&ctx->tlbs[0], VA), 0);
	KUNIT_EXPECT_NE(test, lookup(&ctx->tlbs[1], VA), 0);
}

static void test_inval_latency(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 20000);
	ktime_t begin = ktime_get();
	u64 seqno;

	seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[0], VA,
				      VA + PAGE_SIZE);
	KUNIT_EXPECT_NE(test, lookup(&ctx->tlbs[0], VA), 0);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);

	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), begin), 20000);
	KUNIT_EXPECT_EQ(test, lookup(&ctx->tlbs[0], VA), 0);
}

/* Nor are these waited for: one that is busy for long holds up nobody else. */
static void test_inval_passes_others(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	u64 seqno;

	mutex_lock(&ctx->tlbs[1].access);
	seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[0], VA,
				      VA + PAGE_SIZE);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);
	mutex_unlock(&ctx->tlbs[1].access);
	KUNIT_EXPECT_EQ(test, lookup(&ctx->tlbs[0], VA), 0);
}

/* One without an owner is for all. */
static void test_inval_of_all(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	u64 seqno;

	seqno = vsvm_tlb_inval_submit(&ctx->unit, NULL, VA, VA + PAGE_SIZE);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);
	for (int i = 0; i < ARRAY_SIZE(ctx->tlbs); i++)
		KUNIT_EXPECT_EQ(test, lookup(&ctx->tlbs[i], VA), 0);
}

/* An access in flight holds the invalidation up. */
static void test_inval_waits_for_access(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	struct vsvm_tlb *tlb = &ctx->tlbs[0];
	u64 seqno;

	mutex_lock(&tlb->access);
	seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[0], VA, VA + PAGE_SIZE);
	msleep(20);
	KUNIT_EXPECT_NE(test, vsvm_tlb_lookup(tlb, VA), 0);
	KUNIT_EXPECT_LT(test, READ_ONCE(ctx->unit.completed), seqno);
	mutex_unlock(&tlb->access);

	vsvm_tlb_inval_wait(&ctx->unit, seqno);
	KUNIT_EXPECT_EQ(test, lookup(tlb, VA), 0);
}

/* More than fit into the ring: none is lost. */
static void test_inval_overflow(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	const int n = 3 * VSVM_TLB_QUEUE;
	struct vsvm_tlb *tlb = &ctx->tlbs[0];
	u64 seqno = 0;

	mutex_lock(&tlb->access);
	for (int i = 0; i < VSVM_TLB_ENTRIES; i++)
		vsvm_tlb_fill(tlb, VA + i * PAGE_SIZE, vsvm_pte_make(DMA, true));
	for (int i = 0; i < n; i++) {
		unsigned long va = VA + i * PAGE_SIZE;

		seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[i % 2],
					      va, va + PAGE_SIZE);
	}
	mutex_unlock(&tlb->access);

	KUNIT_EXPECT_EQ(test, seqno, n);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);
	KUNIT_EXPECT_EQ(test, READ_ONCE(ctx->unit.completed), seqno);
	for (int i = 0; i < VSVM_TLB_ENTRIES; i += 2)
		KUNIT_EXPECT_EQ(test, lookup(tlb, VA + i * PAGE_SIZE), 0);
}

static void test_inval_dropped(struct kunit *test)
{
	struct tlb_test *ctx = start_tlb_unit(test, 0);
	u64 seqno;

	WRITE_ONCE(ctx->unit.drop, true);
	seqno = vsvm_tlb_inval_submit(&ctx->unit, &ctx->owners[0], VA,
				      VA + PAGE_SIZE);
	vsvm_tlb_inval_wait(&ctx->unit, seqno);
	KUNIT_EXPECT_NE(test, lookup(&ctx->tlbs[0], VA), 0);
}

static struct kunit_case vsvm_pt_tests[] = {
	KUNIT_CASE(test_empty),
	KUNIT_CASE(test_walk_beyond),
	KUNIT_CASE(test_last_page),
	KUNIT_CASE(test_map_page),
	KUNIT_CASE(test_access),
	KUNIT_CASE(test_map_segment),
	KUNIT_CASE(test_map_block),
	KUNIT_CASE(test_map_two_blocks),
	KUNIT_CASE(test_map_unaligned_block),
	KUNIT_CASE(test_split_block),
	KUNIT_CASE(test_block_over_pages),
	KUNIT_CASE(test_map_without_memory),
	KUNIT_CASE(test_prepare_what_is_missing),
	KUNIT_CASE(test_zap),
	KUNIT_CASE(test_zap_block),
	KUNIT_CASE(test_zap_all),
	KUNIT_CASE(test_tables_are_freed),
	KUNIT_CASE(test_tables_go_after_preparation),
	KUNIT_CASE(test_tlb_lookup),
	KUNIT_CASE(test_tlb_flush),
	KUNIT_CASE(test_inval_owner),
	KUNIT_CASE(test_inval_passes_others),
	KUNIT_CASE(test_inval_of_all),
	KUNIT_CASE(test_inval_latency),
	KUNIT_CASE(test_inval_waits_for_access),
	KUNIT_CASE(test_inval_overflow),
	KUNIT_CASE(test_inval_dropped),
	{}
};

static struct kunit_suite vsvm_pt_suite = {
	.name = "vsvm_pt",
	.init = pt_test_init,
	.exit = pt_test_exit,
	.test_cases = vsvm_pt_tests,
};

kunit_test_suite(vsvm_pt_suite);
