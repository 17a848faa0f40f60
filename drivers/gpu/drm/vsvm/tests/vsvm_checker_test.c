// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/test.h>

#include "../vsvm_checker.h"
#include "../vsvm_pt.h"
#include "../vsvm_tlb.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

#define VA	(0x7000UL * VSVM_BLOCK_SIZE)
#define DMA	((dma_addr_t)0x123 * VSVM_BLOCK_SIZE)

static int checker_test_init(struct kunit *test)
{
	struct vsvm_checker *checker;

	checker = kunit_kzalloc(test, sizeof(*checker), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, checker);
	KUNIT_ASSERT_EQ(test, vsvm_checker_init(checker), 0);
	test->priv = checker;
	return 0;
}

static void checker_test_exit(struct kunit *test)
{
	if (test->priv)
		vsvm_checker_fini(test->priv);
}

static void grant(struct kunit *test, unsigned long va, unsigned int order,
		  dma_addr_t dma, bool writable)
{
	struct vsvm_checker *checker = test->priv;
	struct vsvm_radix_batch batch;

	KUNIT_ASSERT_EQ(test, vsvm_radix_prepare(&checker->grants, va,
						 va + (PAGE_SIZE << order),
						 &batch), 0);
	KUNIT_EXPECT_EQ(test, vsvm_checker_grant(checker, &batch, va, order,
						 vsvm_pte_make(dma, writable)),
			0);
	vsvm_radix_finish(&batch);
}

static bool allows(struct kunit *test, unsigned long va, dma_addr_t dma,
		   bool write)
{
	return vsvm_checker_allows(test->priv, va, vsvm_pte_make(dma, true),
				   write ? VSVM_WRITE : VSVM_READ);
}

static void test_nothing_is_allowed(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, 0, 0, false));
}

static void test_granted(struct kunit *test)
{
	grant(test, VA, 0, DMA, true);

	KUNIT_EXPECT_TRUE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_TRUE(test, allows(test, VA + PAGE_SIZE - 1, DMA, true));
	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, VA - 1, DMA, false));
}

/* That the page is granted at one address is no excuse at another. */
static void test_other_page(struct kunit *test)
{
	grant(test, VA, 0, DMA, true);
	grant(test, VA + PAGE_SIZE, 0, 2 * DMA, true);

	KUNIT_EXPECT_FALSE(test, allows(test, VA, 2 * DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA, false));
}

static void test_read_only(struct kunit *test)
{
	grant(test, VA, 0, DMA, false);

	KUNIT_EXPECT_TRUE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, true));
}

static void test_block(struct kunit *test)
{
	unsigned long last = VSVM_BLOCK_SIZE - PAGE_SIZE;

	grant(test, VA, VSVM_RADIX_BITS, DMA, true);

	KUNIT_EXPECT_TRUE(test, allows(test, VA + last, DMA + last, true));
	KUNIT_EXPECT_FALSE(test, allows(test, VA + last, DMA, true));
}

/* Between the zap and the end of the wait, the old translation may be used. */
static void test_revoking(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 4, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, 5);
	vsvm_checker_revoked(checker, 4);
	KUNIT_EXPECT_TRUE(test, allows(test, VA, DMA, true));

	vsvm_checker_revoked(checker, 5);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, true));
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_TRUE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE,
				       true));
}

/* What is over is forgotten, and not what is under way or granted. */
static void test_forget(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 2, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, 5);
	vsvm_checker_revoke(checker, VA + PAGE_SIZE, VA + 2 * PAGE_SIZE, 6);
	vsvm_checker_revoked(checker, 5);
	vsvm_checker_forget(checker, VA, VA + VSVM_BLOCK_SIZE);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_TRUE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE, true));
	KUNIT_EXPECT_TRUE(test, allows(test, VA + 2 * PAGE_SIZE,
				       DMA + 2 * PAGE_SIZE, true));
	KUNIT_EXPECT_NE(test, checker->grants.num_nodes, 0);

	vsvm_checker_revoke(checker, VA, VA + VSVM_BLOCK_SIZE, 7);
	vsvm_checker_revoked(checker, 7);
	vsvm_checker_forget(checker, VA, VA + VSVM_BLOCK_SIZE);
	KUNIT_EXPECT_EQ(test, checker->grants.num_nodes, 0);
	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE, true));
}

/* A block that is one entry is forgotten as one. */
static void test_forget_block(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, VSVM_RADIX_BITS, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + VSVM_BLOCK_SIZE, 3);
	vsvm_checker_forget(checker, VA, VA + VSVM_BLOCK_SIZE);
	KUNIT_EXPECT_NE(test, checker->grants.num_nodes, 0);
	vsvm_checker_revoked(checker, 3);
	vsvm_checker_forget(checker, VA, VA + VSVM_BLOCK_SIZE);
	KUNIT_EXPECT_EQ(test, checker->grants.num_nodes, 0);
}

/* Second passes can end in another order than first passes began. */
static void test_revoked_out_of_order(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 1, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, 5);
	vsvm_checker_revoke(checker, VA + PAGE_SIZE, VA + 2 * PAGE_SIZE, 6);

	vsvm_checker_revoked(checker, 6);
	vsvm_checker_revoked(checker, 5);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE,
					false));
}

/* A page that was taken away is not given back until it is taken away once more. */
static void test_revoked_stays_revoked(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 1, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, 1);
	vsvm_checker_revoked(checker, 1);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));

	vsvm_checker_revoke(checker, VA, VA + 2 * PAGE_SIZE, 2);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_TRUE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE, true));

	vsvm_checker_revoked(checker, 2);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA + PAGE_SIZE, false));
}

/* Nor does a later invalidation put off the end of an earlier one. */
static void test_revoked_while_revoking(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, VSVM_RADIX_BITS, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + VSVM_BLOCK_SIZE, 1);
	vsvm_checker_revoke(checker, VA, VA + VSVM_BLOCK_SIZE, 2);
	KUNIT_EXPECT_TRUE(test, allows(test, VA, DMA, true));
	vsvm_checker_revoked(checker, 1);
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, true));
}

static void test_granted_again(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 0, DMA, true);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, 5);
	vsvm_checker_revoked(checker, 5);
	grant(test, VA, 0, 2 * DMA, true);

	KUNIT_EXPECT_TRUE(test, allows(test, VA, 2 * DMA, true));
	KUNIT_EXPECT_FALSE(test, allows(test, VA, DMA, false));
}

/* What was never granted doesn't become allowed for being revoked. */
static void test_revoke_nothing(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;

	grant(test, VA, 0, DMA, true);
	vsvm_checker_revoke(checker, 0, BIT(DRM_VSVM_VA_BITS), 5);

	KUNIT_EXPECT_FALSE(test, allows(test, VA + PAGE_SIZE, DMA, false));
}

static void tlb_unit_stop(void *data)
{
	vsvm_tlb_unit_fini(data);
}

/*
 * A device that loses TLB invalidations, under a driver that does all it should:
 * the translation that stays in the TLB is found out.
 */
static void test_lost_invalidation(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;
	struct vsvm_tlb_owner owner;
	struct vsvm_tlb_unit *unit;
	struct vsvm_tlb *tlb;
	u64 pte, seqno;

	unit = kunit_kzalloc(test, sizeof(*unit), GFP_KERNEL);
	tlb = kunit_kzalloc(test, sizeof(*tlb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, unit);
	KUNIT_ASSERT_NOT_NULL(test, tlb);
	KUNIT_ASSERT_EQ(test, vsvm_tlb_unit_init(unit, "kunit", 0), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, tlb_unit_stop,
							unit), 0);
	vsvm_tlb_owner_init(&owner);
	vsvm_tlb_init(tlb, &owner);
	vsvm_tlb_unit_add(unit, tlb);

	grant(test, VA, 0, DMA, true);
	scoped_guard(mutex, &tlb->access)
		vsvm_tlb_fill(tlb, VA, vsvm_pte_make(DMA, true));

	WRITE_ONCE(unit->drop, true);
	seqno = vsvm_tlb_inval_submit(unit, &owner, VA, VA + PAGE_SIZE);
	vsvm_checker_revoke(checker, VA, VA + PAGE_SIZE, seqno);
	vsvm_tlb_inval_wait(unit, seqno);
	vsvm_checker_revoked(checker, seqno);

	scoped_guard(mutex, &tlb->access)
		pte = vsvm_tlb_lookup(tlb, VA);
	KUNIT_EXPECT_TRUE(test, vsvm_pte_allows(pte, VSVM_WRITE));
	KUNIT_EXPECT_FALSE(test, vsvm_checker_allows(checker, VA, pte,
						     VSVM_WRITE));
}

/* What is granted for writing is not granted for atomic access by that. */
static void test_atomic(struct kunit *test)
{
	struct vsvm_checker *checker = test->priv;
	u64 pte = vsvm_pte_make(DMA, true);
	struct vsvm_radix_batch batch;

	grant(test, VA, 0, DMA, true);
	KUNIT_EXPECT_FALSE(test, vsvm_checker_allows(checker, VA, pte,
						     VSVM_ATOMIC));

	KUNIT_ASSERT_EQ(test, vsvm_radix_prepare(&checker->grants, VA,
						 VA + PAGE_SIZE, &batch), 0);
	KUNIT_EXPECT_EQ(test, vsvm_checker_grant(checker, &batch, VA, 0,
						 pte | VSVM_PTE_ATOMIC), 0);
	vsvm_radix_finish(&batch);
	KUNIT_EXPECT_TRUE(test, vsvm_checker_allows(checker, VA, pte,
						    VSVM_ATOMIC));
}

static struct kunit_case vsvm_checker_tests[] = {
	KUNIT_CASE(test_nothing_is_allowed),
	KUNIT_CASE(test_granted),
	KUNIT_CASE(test_other_page),
	KUNIT_CASE(test_read_only),
	KUNIT_CASE(test_atomic),
	KUNIT_CASE(test_block),
	KUNIT_CASE(test_revoking),
	KUNIT_CASE(test_forget),
	KUNIT_CASE(test_forget_block),
	KUNIT_CASE(test_revoked_out_of_order),
	KUNIT_CASE(test_revoked_stays_revoked),
	KUNIT_CASE(test_revoked_while_revoking),
	KUNIT_CASE(test_granted_again),
	KUNIT_CASE(test_revoke_nothing),
	KUNIT_CASE(test_lost_invalidation),
	{}
};

static struct kunit_suite vsvm_checker_suite = {
	.name = "vsvm_checker",
	.init = checker_test_init,
	.exit = checker_test_exit,
	.test_cases = vsvm_checker_tests,
};

kunit_test_suite(vsvm_checker_suite);
