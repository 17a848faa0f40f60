// SPDX-License-Identifier: MIT
/* Page table walks: every page size, every way to miss */
#include <errno.h>

#include "board.h"

static struct vram vram_of(struct board *board)
{
	return (struct vram) { .base = board->vram, .size = BOARD_VRAM };
}

static int walk(struct board *board, u64 va, struct translation *t, u32 *level)
{
	struct vram vram = vram_of(board);

	return ppgtt_walk(&vram, board->root | 0x1b, va, t, level);
}

static void walk_finds_each_page_size(void **state)
{
	static const struct {
		u64 va, phys;
		u32 shift, level;
	} pages[] = {
		{ 0x7f1234567000, 0x5000, 12, 0 },
		{ 0x7f8812340000, 0x30000, 16, 0 },
		{ 0x7fc000200000, 0x400000, 21, 1 },
		{ 0x100c0000000, 0x40000000, 30, 2 },
	};
	struct board *board = *state;

	for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 inside = 0x678;
		struct translation t;
		u32 level;

		board_map(board, pages[i].va, pages[i].phys, PTE_VRAM, pages[i].shift);
		inside |= (1ull << pages[i].shift) - SZ_4K;
		assert_int_equal(walk(board, pages[i].va + inside, &t, &level), 0);
		assert_int_equal(t.shift, pages[i].shift);
		assert_int_equal(t.level, pages[i].level);
		assert_int_equal(t.aperture, APERTURE_VRAM);
		assert_int_equal(translation_address(&t, pages[i].va + inside),
				 pages[i].phys + inside);
	}
}

static void walk_tells_the_rights(void **state)
{
	struct board *board = *state;
	struct translation t;
	u32 level;

	board_map(board, 0x10000, 0x5000, PTE_PRESENT, 12);
	assert_int_equal(walk(board, 0x10000, &t, &level), 0);
	assert_int_equal(t.aperture, APERTURE_SYSTEM);
	assert_false(t.writable);
	assert_false(t.atomic);

	board_map(board, 0x11000, 0, PTE_PRESENT | PTE_RW | PTE_NULL, 12);
	assert_int_equal(walk(board, 0x11000, &t, &level), 0);
	assert_int_equal(t.aperture, APERTURE_NULL);
	assert_true(t.writable);
}

/* Bit 7 of a 4 KiB entry is a cache attribute, no page size; so is bit 12 of larger ones */
static void walk_ignores_cache_attributes(void **state)
{
	struct board *board = *state;
	struct translation t;
	u32 level;

	board_map(board, 0x10000, 0x5000, PTE_VRAM | BIT_ULL(7) | BIT_ULL(4) | BIT_ULL(62), 12);
	assert_int_equal(walk(board, 0x10123, &t, &level), 0);
	assert_int_equal(translation_address(&t, 0x10123), 0x5123);

	board_map(board, 0x40000000, 0x600000, PTE_VRAM | BIT_ULL(12) | BIT_ULL(61), 21);
	assert_int_equal(walk(board, 0x40001123, &t, &level), 0);
	assert_int_equal(translation_address(&t, 0x40001123), 0x601123);
}

static void walk_names_the_missing_level(void **state)
{
	struct board *board = *state;
	struct translation t;
	u32 level;

	assert_int_equal(walk(board, 0x7f0000000000, &t, &level), -EFAULT);
	assert_int_equal(level, 4);

	board_map(board, 0x200000, 0, PTE_VRAM, 12);
	assert_int_equal(walk(board, 0x201000, &t, &level), -EFAULT);
	assert_int_equal(level, 0);
	assert_int_equal(walk(board, 0x400000, &t, &level), -EFAULT);
	assert_int_equal(level, 1);
	assert_int_equal(walk(board, 0x40000000, &t, &level), -EFAULT);
	assert_int_equal(level, 2);
	assert_int_equal(walk(board, 1ull << 39, &t, &level), -EFAULT);
	assert_int_equal(level, 3);
	/* Beyond what five levels can name */
	assert_int_equal(walk(board, 1ull << 60, &t, &level), -EFAULT);
	assert_int_equal(level, 4);
}

static void walk_stays_in_the_vram(void **state)
{
	struct board *board = *state;
	struct vram vram = vram_of(board);
	struct translation t;
	u32 level;

	assert_int_equal(ppgtt_walk(&vram, BOARD_VRAM, 0, &t, &level), -EIO);
	assert_int_equal(ppgtt_walk(&vram, ~0ull, 0, &t, &level), -EIO);
	*(u64 *)board_vram(board, board->root) = GENMASK_ULL(51, 12) | PTE_PRESENT;
	assert_int_equal(walk(board, 0, &t, &level), -EIO);
}

static void ggtt_is_flat(void **state)
{
	struct board *board = *state;
	struct translation t;

	assert_int_equal(ggtt_walk(board->ggtt, BOARD_GGTT, GGTT_VRAM + 0x3123, &t), 0);
	assert_int_equal(t.aperture, APERTURE_VRAM);
	assert_int_equal(translation_address(&t, GGTT_VRAM + 0x3123), 0x3123);
	board->ggtt[5] = 0x8000 | 1;
	assert_int_equal(ggtt_walk(board->ggtt, BOARD_GGTT, 0x5008, &t), 0);
	assert_int_equal(t.aperture, APERTURE_SYSTEM);
	assert_int_equal(translation_address(&t, 0x5008), 0x8008);
	assert_int_equal(ggtt_walk(board->ggtt, BOARD_GGTT, 0x6000, &t), -EFAULT);
	assert_int_equal(ggtt_walk(board->ggtt, BOARD_GGTT, (u64)BOARD_GGTT << 12, &t), -EFAULT);
	assert_int_equal(ggtt_walk(board->ggtt, BOARD_GGTT, ~0ull, &t), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(walk_finds_each_page_size, board_setup,
						board_teardown),
		cmocka_unit_test_setup_teardown(walk_tells_the_rights, board_setup,
						board_teardown),
		cmocka_unit_test_setup_teardown(walk_ignores_cache_attributes, board_setup,
						board_teardown),
		cmocka_unit_test_setup_teardown(walk_names_the_missing_level, board_setup,
						board_teardown),
		cmocka_unit_test_setup_teardown(walk_stays_in_the_vram, board_setup,
						board_teardown),
		cmocka_unit_test_setup_teardown(ggtt_is_flat, board_setup, board_teardown),
	};

	return cmocka_run_group_tests_name("ppgtt", tests, NULL, NULL);
}
