// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of GPU SVM: arguments, the ranges that faults get, and their lives.
 */

#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "drm_gpusvm_fixture.h"

#define RW	(PROT_READ | PROT_WRITE)

static const struct drm_gpusvm_ctx write_ctx;
static const struct drm_gpusvm_ctx read_ctx = { .read_only = true };

/*
 * Arguments
 */

static void drop_invalidation(struct drm_gpusvm *gpusvm,
			      struct drm_gpusvm_notifier *notifier,
			      const struct mmu_notifier_range *mmu_range)
{
}

static bool drop_start(struct drm_gpusvm *gpusvm,
		       struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *mmu_range)
{
	return false;
}

static void drop_finish(struct drm_gpusvm *gpusvm,
			struct drm_gpusvm_notifier *notifier)
{
}

static const struct drm_gpusvm_ops no_ops;
static const struct drm_gpusvm_ops bare_ops = { .invalidate = drop_invalidation };
static const struct drm_gpusvm_ops start_ops = { .invalidate_start = drop_start };
static const struct drm_gpusvm_ops finish_ops = { .invalidate_finish = drop_finish };
static const struct drm_gpusvm_ops both_and_finish_ops = {
	.invalidate = drop_invalidation,
	.invalidate_finish = drop_finish,
};

static const unsigned long ascending[] = { SZ_4K, SZ_2M };
static const unsigned long twice[] = { SZ_2M, SZ_2M };
static const unsigned long odd[] = { SZ_2M, SZ_4K + 1 };
static const unsigned long zero[] = { SZ_2M, 0 };
static const unsigned long tiny[] = { SZ_2M, SZ_1K };

struct init_case {
	const char *name;
	bool no_mm;
	unsigned long start, range, notifier;
	const struct drm_gpusvm_ops *ops;
	const unsigned long *chunks;
	int num;
	int err;
};

static const struct init_case init_cases[] = {
	{ "good arguments",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, 3, 0 },
	{ "two passes",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &svm_ops_two_pass, svm_chunks, 3, 0 },
	{ "from address zero",
	  false, 0, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, 3, 0 },
	{ "window of a chunk's size",
	  false, SVM_BASE, SVM_SIZE, SZ_2M, &bare_ops, svm_chunks, 3, 0 },
	{ "no ops",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, NULL, svm_chunks, 3, -EINVAL },
	{ "empty ops",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &no_ops, svm_chunks, 3, -EINVAL },
	{ "first pass alone",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &start_ops, svm_chunks, 3, -EINVAL },
	{ "second pass alone",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &finish_ops, svm_chunks, 3, -EINVAL },
	{ "one pass and a second",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &both_and_finish_ops, svm_chunks, 3, -EINVAL },
	{ "no chunks",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, NULL, 3, -EINVAL },
	{ "number of chunks is zero",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, 0, -EINVAL },
	{ "number of chunks is negative",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, -1, -EINVAL },
	{ "chunks ascend",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, ascending, 2, -EINVAL },
	{ "a chunk twice",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, twice, 2, -EINVAL },
	{ "a chunk is no power of two",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, odd, 2, -EINVAL },
	{ "a chunk is zero",
	  false, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, zero, 2, -EINVAL },
	{ "window smaller than some chunks",
	  false, SVM_BASE, SVM_SIZE, SZ_64K, &bare_ops, svm_chunks, 3, 0 },
	{ "window smaller than all chunks",
	  false, SVM_BASE, SVM_SIZE, SZ_32K, &bare_ops, svm_chunks, 2, -EINVAL },
	{ "window smaller than a page",
	  false, SVM_BASE, SVM_SIZE, PAGE_SIZE / 2, &bare_ops, tiny, 2, -EINVAL },
	{ "window is no power of two",
	  false, SVM_BASE, SVM_SIZE, 3 * SZ_2M, &bare_ops, svm_chunks, 3, -EINVAL },
	{ "window is zero",
	  false, SVM_BASE, SVM_SIZE, 0, &bare_ops, svm_chunks, 3, -EINVAL },
	{ "nothing mirrored",
	  false, SVM_BASE, 0, SVM_WINDOW, &bare_ops, svm_chunks, 3, -EINVAL },
	{ "end wraps",
	  false, ULONG_MAX - SZ_4K + 1, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, 3, -EINVAL },
	{ "userptr mode", true },
	{ "userptr mode with arguments",
	  true, SVM_BASE, SVM_SIZE, SVM_WINDOW, &bare_ops, svm_chunks, 3, -EINVAL },
	{ "userptr mode with a window", true, .notifier = SZ_2M, .err = -EINVAL },
	{ "userptr mode with ops", true, .ops = &bare_ops, .err = -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(init, init_cases, name);

static void init_checks_arguments(struct kunit *test)
{
	const struct init_case *c = test->param_value;
	struct drm_gpusvm *gpusvm = kunit_kzalloc(test, sizeof(*gpusvm), GFP_KERNEL);
	/* One that no CPU has ever run in, and keeps a lazy reference of. */
	struct mm_struct *mm = mm_alloc();
	int err;

	KUNIT_ASSERT_NOT_NULL(test, gpusvm);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	err = drm_gpusvm_init(gpusvm, c->name, c->no_mm ? NULL : mm, c->start, c->range,
			      c->notifier, c->ops, c->chunks, c->num);
	KUNIT_EXPECT_EQ(test, err, c->err);
	if (!err) {
		KUNIT_EXPECT_EQ(test, atomic_read(&mm->mm_count), 1 + !c->no_mm);
		drm_gpusvm_fini(gpusvm);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&mm->mm_count), 1);
	mmput(mm);
}

/*
 * Which faults are answered with a range
 */

static void fault_bounds_are_half_open(struct kunit *test)
{
	unsigned long below = SVM_BASE - SZ_2M;

	/* There is memory on both sides of both ends. */
	svm_map(test, below, 2 * SZ_2M, RW);
	svm_map(test, SVM_END - SZ_2M, 2 * SZ_2M, RW);

	KUNIT_EXPECT_EQ(test, svm_fault_err(test, 0, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE - 1, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_END, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_END + 1, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, ULONG_MAX, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&to_svm(test)->notifier_allocs), 0);

	svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_fault_and_get(test, SVM_END - 1, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), ranges), 2);
}

struct bad_access {
	const char *name;
	unsigned long prot;
	vm_flags_t flags;
	bool none;
	int write_err, read_err;
};

static const struct bad_access bad_accesses[] = {
	{ .name = "no memory", .none = true, .write_err = -ENOENT, .read_err = -ENOENT },
	{ .name = "PROT_NONE", .prot = PROT_NONE, .write_err = -EPERM, .read_err = -EPERM },
	{ .name = "PROT_READ", .prot = PROT_READ, .write_err = -EPERM },
	{ .name = "shadow stack", .flags = VM_SHADOW_STACK, .write_err = -EPERM,
	  .read_err = -EPERM },
	{ .name = "VM_IO", .flags = VM_IO, .write_err = -EIO, .read_err = -EIO },
	{ .name = "VM_PFNMAP", .flags = VM_PFNMAP, .write_err = -EIO, .read_err = -EIO },
};

KUNIT_ARRAY_PARAM_DESC(bad_access, bad_accesses, name);

/* Any address can be faulted by a device, so a bad one must cost next to nothing. */
static void bad_access_allocates_nothing(struct kunit *test)
{
	const struct bad_access *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct svm_file file = { .vm_flags = c->flags };

	if (c->flags)
		svm_map_special(test, &file, SVM_BASE, SZ_2M);
	else if (!c->none)
		svm_map(test, SVM_BASE, SZ_2M, c->prot);

	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE + SZ_1M, &write_ctx), c->write_err);
	if (c->read_err)
		KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &read_ctx), c->read_err);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_allocs), 0);
	if (!c->read_err)
		svm_fault_and_get(test, SVM_BASE, &read_ctx);

	svm_map(test, SVM_BASE + SZ_2M, SZ_2M, RW);
	svm_fault_and_get(test, SVM_BASE + SZ_2M, &write_ctx);
}

static void access_is_checked_for_existing_ranges(struct kunit *test)
{
	svm_map(test, SVM_BASE, SZ_2M, PROT_READ);
	svm_fault(test, SVM_BASE, &read_ctx);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &write_ctx), -EPERM);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), ranges), 1);
}

static void fault_finds_the_range_again(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;
	struct drm_gpusvm_range *got;

	svm_map(test, SVM_BASE, SZ_4M, RW);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_PTR_EQ(test, svm_fault(test, SVM_BASE + SZ_2M - 1, &write_ctx), range);
	KUNIT_EXPECT_PTR_NE(test, svm_fault(test, SVM_BASE + SZ_2M, &write_ctx), range);
	KUNIT_EXPECT_EQ(test, kref_read(&range->base.refcount), 1);

	got = drm_gpusvm_range_get_or_insert(&svm->gpusvm, SVM_BASE + 1, SVM_BASE,
					     SVM_END, &write_ctx);
	KUNIT_EXPECT_PTR_EQ(test, got, &range->base);
	KUNIT_EXPECT_EQ(test, kref_read(&range->base.refcount), 2);
	drm_gpusvm_range_put(got);

	svm_map(test, SVM_BASE + SZ_8M, SZ_2M, RW);
	got = drm_gpusvm_range_get_or_insert(&svm->gpusvm, SVM_BASE + SZ_8M, SVM_BASE,
					     SVM_END, &write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, got);
	KUNIT_EXPECT_EQ(test, kref_read(&got->refcount), 2);
	drm_gpusvm_range_put(got);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 3);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 1);
}

/*
 * Which chunk a range gets
 */

struct chunk_case {
	const char *name;
	unsigned long vma_start, vma_end;	/* offsets in what is mirrored */
	unsigned long gpuva_start, gpuva_end;
	unsigned long addr;
	unsigned long start, size;		/* what is expected; size 0: -EINVAL */
};

static const struct chunk_case chunk_cases[] = {
	{ "a whole huge chunk", 0, SZ_4M, 0, SVM_SIZE, SZ_1M, 0, SZ_2M },
	{ "its last byte", 0, SZ_4M, 0, SVM_SIZE, SZ_2M - 1, 0, SZ_2M },
	{ "the next one's first byte", 0, SZ_4M, 0, SVM_SIZE, SZ_2M, SZ_2M, SZ_2M },
	{ "VMA begins a page late", SZ_4K, SZ_2M, 0, SVM_SIZE, SZ_1M, SZ_1M, SZ_64K },
	{ "VMA ends a page early", 0, SZ_2M - SZ_4K, 0, SVM_SIZE, SZ_1M, SZ_1M, SZ_64K },
	{ "middle chunk begins late", SZ_4K, SZ_2M, 0, SVM_SIZE, SZ_8K, SZ_8K, SZ_4K },
	{ "middle chunk ends early", 0, SZ_64K - SZ_4K, 0, SVM_SIZE, SZ_8K, SZ_8K, SZ_4K },
	{ "VMA of one page", SZ_4K, SZ_8K, 0, SVM_SIZE, SZ_4K + 7, SZ_4K, SZ_4K },
	{ "mirrored from a page on", 0, SZ_2M, SZ_4K, SVM_SIZE, SZ_1M, SZ_1M, SZ_64K },
	{ "mirrored but for a page", 0, SZ_2M, 0, SZ_2M - SZ_4K, SZ_1M, SZ_1M, SZ_64K },
	{ "one page mirrored", 0, SZ_2M, SZ_1M, SZ_1M + SZ_4K, SZ_1M, SZ_1M, SZ_4K },
	{ "one huge chunk mirrored", 0, SZ_8M, SZ_2M, SZ_4M, SZ_2M, SZ_2M, SZ_2M },
	{ "half a page mirrored", 0, SZ_2M, SZ_1M, SZ_1M + SZ_2K, SZ_1M, 0, 0 },
	{ "address is not mirrored", 0, SZ_2M, SZ_1M, SVM_SIZE, 0, 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(chunk, chunk_cases, name);

static void need_small_pages(struct kunit *test)
{
	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "counts on pages of 4 KiB");
}

static void chunk_fits_vma_and_mirror(struct kunit *test)
{
	const struct chunk_case *c = test->param_value;
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_range *range;

	need_small_pages(test);
	svm_map(test, SVM_BASE + c->vma_start, c->vma_end - c->vma_start, RW);
	range = drm_gpusvm_range_find_or_insert(&svm->gpusvm, SVM_BASE + c->addr,
						SVM_BASE + c->gpuva_start,
						SVM_BASE + c->gpuva_end, &write_ctx);
	if (!c->size) {
		KUNIT_EXPECT_EQ(test, PTR_ERR(range), -EINVAL);
		KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs),
				atomic_read(&svm->notifier_frees));
		return;
	}

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_start(range), SVM_BASE + c->start);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(range), c->size);
	KUNIT_EXPECT_EQ(test, svm_get(to_svm_range(range), 1, &write_ctx), 0);
}

static void chunk_keeps_clear_of_existing_ranges(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct drm_gpusvm_range *small;
	struct svm_range *range;

	need_small_pages(test);
	svm_map(test, SVM_BASE, SZ_2M, RW);
	small = drm_gpusvm_range_find_or_insert(&svm->gpusvm, SVM_BASE + SZ_1M,
						SVM_BASE + SZ_1M,
						SVM_BASE + SZ_1M + SZ_4K, &write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, small);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(small), SZ_4K);

	/* In the same middle chunk, then in another one. */
	range = svm_fault(test, SVM_BASE + SZ_1M + SZ_4K, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_4K);
	range = svm_fault(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);
}

/* Chunks that are larger than a window are never chosen. */
static void chunk_fits_the_window(struct kunit *test)
{
	struct svm_range *range;

	need_small_pages(test);
	svm_restart_windows(test, SZ_1M);
	svm_map(test, SVM_BASE, SZ_4M, RW);
	range = svm_fault_and_get(test, SVM_BASE + SZ_1M + SZ_64K, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_start(&range->base), SVM_BASE + SZ_1M + SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_notifier_start(range->base.notifier), SVM_BASE + SZ_1M);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_notifier_end(range->base.notifier), SVM_BASE + SZ_2M);
}

static void chunk_below_threshold_has_to_be_present(struct kunit *test)
{
	static const struct drm_gpusvm_ctx ctx = { .check_pages_threshold = SZ_64K };
	static const struct drm_gpusvm_ctx low = { .check_pages_threshold = SZ_64K - 1 };
	unsigned long at = SVM_BASE + SZ_4K;
	struct svm_range *range;

	need_small_pages(test);
	svm_map(test, at, SZ_1M, RW);

	/* Never touched. */
	range = svm_fault(test, SVM_BASE + SZ_64K, &ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_4K);
	/* All but one page. */
	svm_touch(test, SVM_BASE + 2 * SZ_64K, SZ_64K - SZ_4K);
	range = svm_fault(test, SVM_BASE + 2 * SZ_64K, &ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_4K);
	/* All pages. */
	svm_touch(test, SVM_BASE + 3 * SZ_64K, SZ_64K);
	range = svm_fault(test, SVM_BASE + 3 * SZ_64K, &ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);
	/* Larger than the threshold. */
	range = svm_fault(test, SVM_BASE + 4 * SZ_64K, &low);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), SZ_64K);
	/* Looking did not populate. */
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), 31);
}

/* A driver's list of chunks may be made for smaller pages than the kernel's. */
static void chunk_is_never_below_a_page(struct kunit *test)
{
	static const unsigned long chunks[] = { SZ_2M, SZ_2K, SZ_1K };
	struct svm_range *range;

	svm_restart(test, &svm_ops_two_pass, chunks, ARRAY_SIZE(chunks));
	svm_map(test, SVM_BASE, 3 * PAGE_SIZE, RW);
	range = svm_fault_and_get(test, SVM_BASE + PAGE_SIZE + SZ_2K, &write_ctx);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_start(&range->base), SVM_BASE + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_size(&range->base), PAGE_SIZE);
}

static void no_chunk_fits(struct kunit *test)
{
	static const unsigned long chunks[] = { SZ_2M };
	struct svm_fixture *svm = to_svm(test);

	svm_restart(test, &svm_ops_two_pass, chunks, ARRAY_SIZE(chunks));
	svm_map(test, SVM_BASE + SZ_1M, SZ_4M, RW);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE + SZ_1M, &write_ctx), -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_allocs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs),
			atomic_read(&svm->notifier_frees));
	svm_fault_and_get(test, SVM_BASE + SZ_2M, &write_ctx);
}

static void only_anonymous_memory_can_migrate(struct kunit *test)
{
	static const struct drm_gpusvm_ctx devmem = { .devmem_possible = true };
	struct file *shmem = shmem_file_setup("svm", SZ_2M, EMPTY_VMA_FLAGS);
	struct svm_range *range;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, shmem);
	svm_map_file(test, shmem, SVM_BASE, SZ_2M, RW, MAP_SHARED);
	fput(shmem);
	svm_map(test, SVM_BASE + SZ_2M, SZ_4M, RW);

	range = svm_fault(test, SVM_BASE, &devmem);
	KUNIT_EXPECT_FALSE(test, range->base.flags.migrate_devmem);
	range = svm_fault(test, SVM_BASE + SZ_2M, &devmem);
	KUNIT_EXPECT_TRUE(test, range->base.flags.migrate_devmem);
	range = svm_fault(test, SVM_BASE + SZ_4M, &write_ctx);
	KUNIT_EXPECT_FALSE(test, range->base.flags.migrate_devmem);
}

/*
 * The lives of ranges and notifiers
 */

static void notifier_lives_as_long_as_its_ranges(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *a, *b, *other;

	svm_map(test, SVM_BASE, 2 * SVM_WINDOW, RW);
	a = svm_fault(test, SVM_BASE, &write_ctx);
	b = svm_fault(test, SVM_BASE + SVM_WINDOW - 1, &write_ctx);
	other = svm_fault(test, SVM_BASE + SVM_WINDOW, &write_ctx);

	KUNIT_EXPECT_PTR_EQ(test, a->base.notifier, b->base.notifier);
	KUNIT_EXPECT_PTR_NE(test, a->base.notifier, other->base.notifier);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_notifier_start(a->base.notifier), SVM_BASE);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_notifier_size(a->base.notifier), SVM_WINDOW);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_notifier_end(a->base.notifier), SVM_BASE + SVM_WINDOW);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 2);

	svm_remove(test, a);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 0);
	svm_remove(test, b);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 1);
	svm_remove(test, other);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 2);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);

	svm_fault_and_get(test, SVM_BASE, &write_ctx);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 1);
}

static void reference_outlives_removal(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	drm_gpusvm_range_get(&range->base);
	svm_remove(test, range);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 0);

	/* Nobody would tell it of an invalidation. */
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -ESTALE);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));

	/* A second removal does nothing. */
	drm_gpusvm_range_remove(&svm->gpusvm, &range->base);
	KUNIT_EXPECT_EQ(test, kref_read(&range->base.refcount), 1);

	/* The address has a new range meanwhile, in a new notifier. */
	KUNIT_EXPECT_PTR_NE(test, svm_fault_and_get(test, SVM_BASE, &write_ctx), range);
	drm_gpusvm_range_remove(&svm->gpusvm, &range->base);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 1);

	drm_gpusvm_range_put(&range->base);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 1);
}

static void range_without_operations_of_its_own(struct kunit *test)
{
	struct drm_gpusvm_range *range;
	struct svm_fixture *svm = to_svm(test);

	svm_restart(test, &bare_ops, svm_chunks, ARRAY_SIZE(svm_chunks));
	svm_map(test, SVM_BASE, SZ_4M, RW);
	range = drm_gpusvm_range_find_or_insert(&svm->gpusvm, SVM_BASE, SVM_BASE,
						SVM_END, &write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);
	svm_discard(test, SVM_BASE, SZ_2M);
	drm_gpusvm_range_remove(&svm->gpusvm, range);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);
}

static void fini_removes_what_is_left(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_fault_and_get(test, SVM_BASE + SZ_2M, &write_ctx);
	svm_fault_and_get(test, SVM_BASE + 3 * SVM_WINDOW, &write_ctx);

	drm_gpusvm_fini(&svm->gpusvm);
	svm->live = false;
	KUNIT_EXPECT_EQ(test, svm_stat(svm, ranges), 0);
	KUNIT_EXPECT_EQ(test, svm_stat(svm, notifiers), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->range_frees), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_frees), 2);
	svm_expect_unmapped(test);
}

static void no_memory_leaves_nothing(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);

	svm_map(test, SVM_BASE, SZ_2M, RW);
	svm->fail_notifier_alloc = true;
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &write_ctx), -ENOMEM);
	svm->fail_range_alloc = true;
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &write_ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, atomic_read(&svm->notifier_allocs),
			atomic_read(&svm->notifier_frees));
	svm_fault_and_get(test, SVM_BASE, &write_ctx);
}

static void driver_lock_is_demanded(struct kunit *test)
{
	struct svm_fixture *svm __maybe_unused = to_svm(test);
	static DEFINE_MUTEX(lock);	/* stands for the driver's */
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_2M, RW);
	drm_gpusvm_driver_set_lock(&svm->gpusvm, &lock);
	mutex_lock(&lock);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_remove(test, range);
	mutex_unlock(&lock);
#ifdef CONFIG_LOCKDEP
	if (debug_locks) {
		kunit_warning_suppress(test) {
			svm_fault_err(test, SVM_BASE, &write_ctx);
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		}
	}
	svm->gpusvm.lock_dep_map = NULL;
#endif
}

/*
 * Lookups
 */

static void lookups_are_half_open(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct drm_gpusvm_notifier *notifier;
	struct svm_range *range;

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	range = svm_fault(test, SVM_BASE + SVM_WINDOW + SZ_2M, &write_ctx);
	notifier = range->base.notifier;

	drm_gpusvm_notifier_lock(gpusvm);
#define AT(offset)	(SVM_BASE + SVM_WINDOW + (offset))
	KUNIT_EXPECT_NULL(test, drm_gpusvm_notifier_find(gpusvm, SVM_BASE, AT(0)));
	KUNIT_EXPECT_PTR_EQ(test, drm_gpusvm_notifier_find(gpusvm, SVM_BASE, AT(1)), notifier);
	KUNIT_EXPECT_PTR_EQ(test, drm_gpusvm_notifier_find(gpusvm, AT(SVM_WINDOW - 1), SVM_END),
			    notifier);
	KUNIT_EXPECT_NULL(test, drm_gpusvm_notifier_find(gpusvm, AT(SVM_WINDOW), SVM_END));

	KUNIT_EXPECT_NULL(test, drm_gpusvm_range_find(notifier, AT(0), AT(SZ_2M)));
	KUNIT_EXPECT_PTR_EQ(test, drm_gpusvm_range_find(notifier, AT(0), AT(SZ_2M + 1)),
			    &range->base);
	KUNIT_EXPECT_NULL(test, drm_gpusvm_range_find(notifier, AT(SZ_4M), AT(SZ_8M)));
	KUNIT_EXPECT_PTR_EQ(test, drm_gpusvm_range_find(notifier, AT(SZ_4M - 1), AT(SZ_8M)),
			    &range->base);

	KUNIT_EXPECT_FALSE(test, drm_gpusvm_has_mapping(gpusvm, SVM_BASE, AT(SZ_2M)));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_has_mapping(gpusvm, SVM_BASE, AT(SZ_2M + 1)));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_has_mapping(gpusvm, AT(SZ_4M - 1), SVM_END));
	KUNIT_EXPECT_FALSE(test, drm_gpusvm_has_mapping(gpusvm, AT(SZ_4M), SVM_END));
	KUNIT_EXPECT_TRUE(test, drm_gpusvm_has_mapping(gpusvm, 0, ULONG_MAX));
#undef AT
	drm_gpusvm_notifier_unlock(gpusvm);
}

/* Ranges are inserted in disorder and visited in the order of addresses. */
static void iteration_is_in_order_of_address(struct kunit *test)
{
	static const unsigned int order[] = { 5, 17, 2, 0, 31, 16, 18, 1 };
	static const unsigned int sorted[] = { 0, 1, 2, 5, 16, 17, 18, 31 };
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	struct drm_gpusvm_range *range, *rnext;
	struct drm_gpusvm_notifier *notifier, *nnext;
	unsigned int i, n = 0, inside = 0;

	svm_map(test, SVM_BASE, SVM_SIZE, RW);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		svm_fault(test, SVM_BASE + order[i] * SZ_2M, &write_ctx);

	drm_gpusvm_notifier_lock(gpusvm);
	drm_gpusvm_for_each_notifier(notifier, gpusvm, SVM_BASE, SVM_END) {
		range = NULL;
		drm_gpusvm_for_each_range(range, notifier, SVM_BASE, SVM_END)
			KUNIT_EXPECT_EQ(test, drm_gpusvm_range_start(range),
					SVM_BASE + sorted[n++] * SZ_2M);
		range = NULL;
		drm_gpusvm_for_each_range(range, notifier, SVM_BASE + 2 * SZ_2M,
					  SVM_BASE + 17 * SZ_2M)
			inside++;
	}
	drm_gpusvm_notifier_unlock(gpusvm);
	KUNIT_EXPECT_EQ(test, n, ARRAY_SIZE(sorted));
	KUNIT_EXPECT_EQ(test, inside, 3);

	drm_gpusvm_for_each_notifier_safe(notifier, nnext, gpusvm, SVM_BASE, SVM_END)
		drm_gpusvm_for_each_range_safe(range, rnext, notifier, SVM_BASE + SZ_2M,
					       SVM_BASE + 31 * SZ_2M)
			drm_gpusvm_range_remove(gpusvm, range);
	KUNIT_EXPECT_EQ(test, svm_stat(to_svm(test), ranges), 2);
}

static void vma_start_is_found(struct kunit *test)
{
	struct drm_gpusvm *gpusvm = &to_svm(test)->gpusvm;
	unsigned long at = SVM_BASE + SZ_1M;

	svm_map(test, at, SZ_2M, RW);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, SVM_BASE, SVM_END), at);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, at + SZ_1M, SVM_END), at);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, SVM_BASE, at), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, SVM_BASE, at + 1), at);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, at + SZ_2M, SVM_END),
			ULONG_MAX);

	/* What can't be read is passed over. */
	svm_mprotect(test, at, SZ_64K, PROT_NONE);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, SVM_BASE, SVM_END),
			at + SZ_64K);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(gpusvm, at, at + SZ_64K),
			ULONG_MAX);
}

/* The mm is pinned, its users may be gone at any time. */
static void dead_mm_is_an_error(struct kunit *test)
{
	struct svm_fixture *svm = to_svm(test);
	struct svm_range *range;

	svm_map(test, SVM_BASE, SZ_4M, RW);
	range = svm_fault_and_get(test, SVM_BASE, &write_ctx);
	svm_kill_mm(test);

	KUNIT_EXPECT_EQ(test, atomic_read(&svm->events[MMU_NOTIFY_RELEASE]), 1);
	KUNIT_EXPECT_FALSE(test, svm_valid(test, &range->pages[0]));
	svm_expect_unmapped(test);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE, &write_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_fault_err(test, SVM_BASE + SZ_2M, &read_ctx), -EFAULT);
	KUNIT_EXPECT_EQ(test, svm_get(range, 1, &write_ctx), -ESTALE);
	KUNIT_EXPECT_EQ(test, svm_get(range, SVM_DEVICES, &read_ctx), -ESTALE);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(&svm->gpusvm, &range->base), -EFAULT);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(&range->base, NULL, NULL),
			DRM_GPUSVM_SCAN_UNPOPULATED);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_find_vma_start(&svm->gpusvm, SVM_BASE, SVM_END),
			ULONG_MAX);
}

static void invalidate_nothing(struct drm_gpusvm *gpusvm,
			       struct drm_gpusvm_notifier *notifier,
			       const struct mmu_notifier_range *mmu_range)
{
}

static void free_with_gpusvm(struct drm_gpusvm_range *range)
{
	struct drm_gpusvm *gpusvm = range->gpusvm;

	kfree(range);
	memset(gpusvm, POISON_FREE, sizeof(*gpusvm));
}

/* What embeds the GPU SVM may go with the last range that somebody holds. */
static void range_may_outlive_all(struct kunit *test)
{
	static const struct drm_gpusvm_ops ops = {
		.range_free = free_with_gpusvm,
		.invalidate = invalidate_nothing,
	};
	struct drm_gpusvm *gpusvm = kunit_kzalloc(test, sizeof(*gpusvm), GFP_KERNEL);
	struct drm_gpusvm_range *range;

	KUNIT_ASSERT_NOT_NULL(test, gpusvm);
	KUNIT_ASSERT_EQ(test, 0, drm_gpusvm_init(gpusvm, "last", current->mm, SVM_BASE, SZ_1G,
						 SZ_512M, &ops, svm_chunks,
						 ARRAY_SIZE(svm_chunks)));
	svm_map(test, SVM_BASE, SZ_2M, RW);
	range = drm_gpusvm_range_get_or_insert(gpusvm, SVM_BASE, SVM_BASE, SVM_END, &write_ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, range);
	drm_gpusvm_range_remove(gpusvm, range);
	drm_gpusvm_fini(gpusvm);
	/* What is looked for then leaves nothing behind. */
	KUNIT_EXPECT_EQ(test, drm_gpusvm_scan_mm(range, gpusvm, NULL),
			DRM_GPUSVM_SCAN_UNPOPULATED);
	KUNIT_EXPECT_EQ(test, drm_gpusvm_range_evict(gpusvm, range), -ESTALE);
	KUNIT_EXPECT_NULL(test, gpusvm->pfn_cache);
	drm_gpusvm_range_put(range);
}

static struct kunit_case drm_gpusvm_cases[] = {
	KUNIT_CASE_PARAM(init_checks_arguments, init_gen_params),
	KUNIT_CASE(fault_bounds_are_half_open),
	KUNIT_CASE_PARAM(bad_access_allocates_nothing, bad_access_gen_params),
	KUNIT_CASE(access_is_checked_for_existing_ranges),
	KUNIT_CASE(fault_finds_the_range_again),
	KUNIT_CASE_PARAM(chunk_fits_vma_and_mirror, chunk_gen_params),
	KUNIT_CASE(chunk_keeps_clear_of_existing_ranges),
	KUNIT_CASE(chunk_fits_the_window),
	KUNIT_CASE(chunk_below_threshold_has_to_be_present),
	KUNIT_CASE(chunk_is_never_below_a_page),
	KUNIT_CASE(no_chunk_fits),
	KUNIT_CASE(only_anonymous_memory_can_migrate),
	KUNIT_CASE(notifier_lives_as_long_as_its_ranges),
	KUNIT_CASE(reference_outlives_removal),
	KUNIT_CASE(range_without_operations_of_its_own),
	KUNIT_CASE(fini_removes_what_is_left),
	KUNIT_CASE(no_memory_leaves_nothing),
	KUNIT_CASE(driver_lock_is_demanded),
	KUNIT_CASE(lookups_are_half_open),
	KUNIT_CASE(iteration_is_in_order_of_address),
	KUNIT_CASE(vma_start_is_found),
	KUNIT_CASE(dead_mm_is_an_error),
	KUNIT_CASE(range_may_outlive_all),
	{}
};

static struct kunit_suite drm_gpusvm_suite = {
	.name = "drm_gpusvm",
	.suite_init = svm_suite_init,
	.suite_exit = svm_suite_exit,
	.init = svm_init,
	.exit = svm_exit,
	.test_cases = drm_gpusvm_cases,
};

kunit_test_suite(drm_gpusvm_suite);
