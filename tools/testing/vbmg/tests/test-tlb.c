// SPDX-License-Identifier: MIT
/* The TLB: what stays, what goes, and who is told */
#include <string.h>

#include "board.h"
#include "../tlb.h"

#define VA	0x7f0000000000ull

static struct tlb tlb;

static int setup(void **state)
{
	(void)state;
	memset(&tlb, 0, sizeof(tlb));
	return 0;
}

static struct translation page(u64 phys, u8 shift)
{
	return (struct translation) {
		.page = phys, .shift = shift, .aperture = APERTURE_VRAM, .writable = true,
	};
}

static void insert(u32 asid, u64 va, u64 phys, u8 shift)
{
	struct translation t = page(phys, shift);

	tlb_insert(&tlb, asid, va, 0, &t);
}

static void entries_belong_to_an_address_space(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	assert_non_null(tlb_lookup(&tlb, 1, VA + 0xfff));
	assert_null(tlb_lookup(&tlb, 1, VA + 0x1000));
	assert_null(tlb_lookup(&tlb, 2, VA));
	assert_null(tlb_lookup(&tlb, TLB_ASID_GGTT, VA));
}

static void large_pages_cover_their_range(void **state)
{
	(void)state;
	insert(1, VA + 0x5000, 0x200000, 21);
	assert_non_null(tlb_lookup(&tlb, 1, VA));
	assert_non_null(tlb_lookup(&tlb, 1, VA + SZ_2M - 1));
	assert_null(tlb_lookup(&tlb, 1, VA + SZ_2M));
}

static void a_page_that_changes_size_is_not_cached_twice(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	insert(1, VA, 0x200000, 21);
	assert_int_equal(tlb_lookup(&tlb, 1, VA)->t.page, 0x200000);
	insert(1, VA, 0x3000, 12);
	assert_int_equal(tlb_lookup(&tlb, 1, VA)->t.page, 0x3000);
	assert_null(tlb_lookup(&tlb, 1, VA + SZ_4K));
}

static void ranges_take_what_they_touch(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	insert(1, VA + SZ_4K, 0x2000, 12);
	insert(1, VA + SZ_2M, 0x200000, 21);
	insert(2, VA, 0x5000, 12);
	tlb_flush_range(&tlb, 1, VA + SZ_4K, SZ_2M);
	assert_non_null(tlb_lookup(&tlb, 1, VA));
	assert_null(tlb_lookup(&tlb, 1, VA + SZ_4K));
	assert_null(tlb_lookup(&tlb, 1, VA + SZ_2M + SZ_4K));
	assert_non_null(tlb_lookup(&tlb, 2, VA));
}

static void ranges_may_be_empty_or_run_to_the_end(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	tlb_flush_range(&tlb, 1, VA, 0);
	assert_non_null(tlb_lookup(&tlb, 1, VA));
	tlb_flush_range(&tlb, 1, VA, ~0ull);
	assert_null(tlb_lookup(&tlb, 1, VA));
}

static void address_spaces_go_one_by_one(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	insert(2, VA, 0x1000, 12);
	insert(TLB_ASID_GGTT, 0x1000, 0x1000, 12);
	tlb_flush_asid(&tlb, 1);
	assert_null(tlb_lookup(&tlb, 1, VA));
	assert_non_null(tlb_lookup(&tlb, 2, VA));
	tlb_flush_asid(&tlb, TLB_ASID_GGTT);
	assert_null(tlb_lookup(&tlb, TLB_ASID_GGTT, 0x1000));
	tlb_flush(&tlb);
	assert_null(tlb_lookup(&tlb, 2, VA));
}

static void stale_use_is_forgiven_for_a_while_only(void **state)
{
	struct translation now = page(0x9000, 12);
	struct tlb_entry *entry;

	(void)state;
	insert(1, VA, 0x1000, 12);
	entry = tlb_lookup(&tlb, 1, VA);
	assert_int_equal(tlb_check(entry, VA, &now, 1000), TLB_STALE);
	assert_int_equal(tlb_check(entry, VA, &now, 1000 + TLB_GRACE), TLB_STALE);
	assert_int_equal(tlb_check(entry, VA, &now, 1001 + TLB_GRACE), TLB_OVERDUE);
	assert_null(tlb_lookup(&tlb, 1, VA));
}

static void a_page_that_is_gone_is_stale(void **state)
{
	(void)state;
	insert(1, VA, 0x1000, 12);
	assert_int_equal(tlb_check(tlb_lookup(&tlb, 1, VA), VA, NULL, 1), TLB_STALE);
}

static void the_same_page_in_another_size_is_good(void **state)
{
	struct translation now = page(0x200000, 21);

	(void)state;
	insert(1, VA + 0x3000, 0x203000, 12);
	assert_int_equal(tlb_check(tlb_lookup(&tlb, 1, VA + 0x3000), VA + 0x3000, &now, 1),
			 TLB_GOOD);
}

static void only_lost_rights_are_stale(void **state)
{
	struct translation now = page(0x1000, 12);

	(void)state;
	insert(1, VA, 0x1000, 12);
	now.atomic = true;
	assert_int_equal(tlb_check(tlb_lookup(&tlb, 1, VA), VA, &now, 1), TLB_GOOD);
	now.writable = false;
	assert_int_equal(tlb_check(tlb_lookup(&tlb, 1, VA), VA, &now, 1), TLB_STALE);
}

static void all_are_found(void **state)
{
	u32 all = 0, valid = 0;
	u64 sum = 0;

	(void)state;
	insert(1, VA + 0x1000, 0x1000, 12);
	insert(2, VA + SZ_2M + 0x5000, 0x200000, 21);
	for (struct tlb_entry *e = NULL; (e = tlb_next(&tlb, e)); all++) {
		if (!e->valid)
			continue;
		valid++;
		sum += tlb_entry_va(&tlb, e);
	}
	assert_int_equal(all, TLB_SMALL + TLB_LARGE);
	assert_int_equal(valid, 2);
	assert_int_equal(sum, VA + 0x1000 + VA + SZ_2M);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(entries_belong_to_an_address_space, setup),
		cmocka_unit_test_setup(large_pages_cover_their_range, setup),
		cmocka_unit_test_setup(a_page_that_changes_size_is_not_cached_twice, setup),
		cmocka_unit_test_setup(ranges_take_what_they_touch, setup),
		cmocka_unit_test_setup(ranges_may_be_empty_or_run_to_the_end, setup),
		cmocka_unit_test_setup(address_spaces_go_one_by_one, setup),
		cmocka_unit_test_setup(stale_use_is_forgiven_for_a_while_only, setup),
		cmocka_unit_test_setup(a_page_that_is_gone_is_stale, setup),
		cmocka_unit_test_setup(the_same_page_in_another_size_is_good, setup),
		cmocka_unit_test_setup(only_lost_rights_are_stale, setup),
		cmocka_unit_test_setup(all_are_found, setup),
	};

	return cmocka_run_group_tests_name("tlb", tests, NULL, NULL);
}
