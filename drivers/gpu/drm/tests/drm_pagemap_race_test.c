// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Tests of DRM pagemaps: several tasks at once. Each works on the same memory
 * in its own way, while the test does something to the address space. At no time
 * may anyone see what was not written, and in the end everything is there, once.
 */

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>

#include "drm_pagemap_fixture.h"

#define NPAGES(size)	((unsigned long)(size) >> PAGE_SHIFT)
#define AREA_SIZE	SZ_4M
#define AREA_END	(SVM_BASE + AREA_SIZE)
#define MAX_ACTORS	6

/* Where an actor counts in each page, beside what vram_fill() has written. */
#define COUNTERS	64

/**
 * struct actor - A task of a race
 *
 * @role: What it does, once
 * @task: The task
 * @mm: Whose memory
 * @index: Its number
 * @steps: How often it has done it
 * @seed: Its random numbers
 * @counts: How often it has counted in each page, for who writes
 */
struct actor {
	long (*role)(struct actor *actor);
	struct svm_task *task;
	struct mm_struct *mm;
	unsigned int index;
	atomic_t steps;
	struct rnd_state seed;
	u32 counts[AREA_SIZE >> PAGE_SHIFT];
};

/**
 * struct race - Who races, and how
 *
 * @name: What it is
 * @roles: The actors
 * @each_round: What the test does meanwhile
 * @rounds: How often
 * @zero: Memory may be new, and read as zeroes
 * @absent: Memory may be missing
 * @huge_page: The memory begins as huge pages
 * @layout: Layout of device memory
 */
struct race {
	const char *name;
	long (*roles[MAX_ACTORS])(struct actor *actor);
	void (*each_round)(struct kunit *test, int round);
	int rounds;
	bool zero;
	bool absent;
	bool huge_page;
	enum vram_layout layout;
};

static const struct race *race;
static bool stop;

static unsigned long random_page(struct actor *actor)
{
	return SVM_BASE + (prandom_u32_state(&actor->seed) % NPAGES(AREA_SIZE)) * PAGE_SIZE;
}

/*
 * Roles
 */

static long read_value(unsigned long addr, u64 expected)
{
	u64 value;

	if (get_user(value, (u64 __user *)addr))
		return race->absent ? 0 : -EFAULT;
	if (value != expected && !(race->zero && !value))
		return -EILSEQ;

	return 0;
}

static long reads(struct actor *actor)
{
	unsigned long addr = random_page(actor);

	return read_value(addr, addr + 1) ?:
	       read_value(addr + PAGE_SIZE - sizeof(u64), addr + 3);
}

static long reads_on(struct actor *actor)
{
	unsigned long addr = random_page(actor), end = min(addr + SZ_64K, AREA_END);
	long err = 0;

	for (; !err && addr < end; addr += PAGE_SIZE)
		err = read_value(addr, addr + 1);

	return err;
}

/* Count in a word that nobody else writes. */
static long counts(struct actor *actor)
{
	unsigned long addr = random_page(actor);
	u32 *count = &actor->counts[(addr - SVM_BASE) >> PAGE_SHIFT];
	u32 __user *p = (u32 __user *)(addr + COUNTERS) + actor->index;
	u32 value;

	if (get_user(value, p))
		return -EFAULT;
	if (value != *count)
		return -EILSEQ;
	++*count;

	return put_user(*count, p);
}

static bool populate_may_return(int err)
{
	switch (err) {
	case 0:
	case -EBUSY:
	case -ENOSPC:
		return true;
	case -ENOENT:
	case -EFAULT:
		return race->absent;
	default:
		return false;
	}
}

/* A few pages most of the time, a chunk now and then. */
static unsigned long random_len(struct actor *actor)
{
	u32 r = prandom_u32_state(&actor->seed);

	return r % 8 ? PAGE_SIZE << (r / 8 % 7) : SZ_2M;
}

static long populates(struct actor *actor, struct vram *vram)
{
	unsigned long addr = random_page(actor), len = random_len(actor);
	int err;

	addr = ALIGN_DOWN(addr, len);
	err = drm_pagemap_populate_mm(vram->dpagemap, max(addr, SVM_BASE),
				      min(addr + len, AREA_END), actor->mm, 0);

	return populate_may_return(err) ? 0 : err;
}

static long to_device_0(struct actor *actor)
{
	return populates(actor, &vrams[0]);
}

static long to_device_1(struct actor *actor)
{
	return populates(actor, &vrams[1]);
}

static long evicts(struct vram *vram)
{
	struct vram_bo *bo = vram_oldest(vram);
	int err;

	if (!bo) {
		cond_resched();
		return 0;
	}
	err = drm_pagemap_evict_to_ram(&bo->devmem);
	vram_bo_put(bo);

	return err == -EBUSY ? 0 : err;
}

static long evicts_0(struct actor *actor)
{
	return evicts(&vrams[0]);
}

static long evicts_1(struct actor *actor)
{
	return evicts(&vrams[1]);
}

static long act(struct svm_task *task)
{
	struct actor *actor = task->arg;
	long err = 0;

	while (!err && !READ_ONCE(stop)) {
		err = actor->role(actor);
		atomic_inc(&actor->steps);
		cond_resched();
	}

	return err;
}

/*
 * What the test does meanwhile
 */

/* Until each actor has got on. */
static bool all_got_on(struct actor *actors, int steps)
{
	int i;

	for (i = 0; i < MAX_ACTORS; i++)
		if (actors[i].task && !svm_done(actors[i].task) &&
		    atomic_read(&actors[i].steps) < steps)
			return false;

	return true;
}

static void forks(struct kunit *test, int round)
{
	struct mm_struct *child = svm_fork(test);
	u64 value = 42;

	vram_expect_mm(test, child, SVM_BASE + (round % 16) * SZ_256K, SZ_64K);
	KUNIT_EXPECT_EQ(test, access_remote_vm(child, SVM_BASE, &value, sizeof(value),
					       FOLL_WRITE), sizeof(value));
	vram_expect(test, SVM_BASE, PAGE_SIZE);
	mmput(child);
}

/* A quarter of the area goes elsewhere and comes back. */
static void moves_away(struct kunit *test, int round)
{
	unsigned long addr = SVM_BASE + (round % 4) * SZ_1M;
	unsigned long to = SVM_BASE + SZ_64M + (round % 3) * PAGE_SIZE;

	svm_mremap(test, addr, SZ_1M, to);
	KUNIT_EXPECT_EQ(test, svm_read(test, to + SZ_64K), addr + SZ_64K + 1);
	svm_mremap(test, to, SZ_1M, addr);
}

static void unmaps_and_maps(struct kunit *test, int round)
{
	unsigned long addr = SVM_BASE + (round % 8) * SZ_512K;

	svm_munmap(test, addr, SZ_512K);
	vram_map_filled(test, addr, SZ_512K);
}

static void discards(struct kunit *test, int round)
{
	unsigned long addr = SVM_BASE + (round % 8) * SZ_512K;

	svm_discard(test, addr, SZ_512K);
	vram_fill(test, addr, SZ_512K);
}

static void protects(struct kunit *test, int round)
{
	unsigned long addr = SVM_BASE + (round % 8) * SZ_512K;

	svm_mprotect(test, addr, SZ_512K, round & 1 ? PROT_NONE : PROT_READ);
	svm_mprotect(test, addr, SZ_512K, RW);
}

static void pins(struct kunit *test, int round)
{
	unsigned long addr = SVM_BASE + (round % 64) * SZ_64K;
	struct page *page;

	KUNIT_ASSERT_EQ(test, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM, &page),
			1);
	KUNIT_EXPECT_EQ(test, *(u64 *)page_address(page), addr + 1);
	/* Others try to move it, but put it back. */
	KUNIT_EXPECT_TRUE(test, svm_wait_until(vram_spot(current->mm, addr).page == page));
	unpin_user_page(page);
}

/*
 * Races
 */

static const struct race races[] = {
	{
		.name = "CPU and device",
		.roles = { to_device_0, reads, counts },
	}, {
		.name = "eviction and CPU",
		.roles = { to_device_0, evicts_0, reads_on, counts },
	}, {
		.name = "two devices",
		.roles = { to_device_0, to_device_1 },
	}, {
		.name = "two devices and CPU",
		.roles = { to_device_0, to_device_1, counts, reads_on },
	}, {
		.name = "all, huge pages",
		.roles = { to_device_0, to_device_1, evicts_0, evicts_1, counts, reads },
		.huge_page = true,
	}, {
		.name = "all, fragmented",
		.roles = { to_device_0, to_device_1, evicts_0, evicts_1, counts, reads },
		.huge_page = true,
		.layout = VRAM_SPARSE,
	}, {
		.name = "fork",
		.roles = { to_device_0, to_device_1, evicts_0, counts, reads },
		.each_round = forks,
		.rounds = 20,
	}, {
		.name = "fork, huge pages",
		.roles = { to_device_0, evicts_0, counts, reads },
		.each_round = forks,
		.rounds = 20,
		.huge_page = true,
	}, {
		.name = "mremap",
		.roles = { to_device_0, to_device_1, evicts_0, reads },
		.each_round = moves_away,
		.rounds = 40,
		.absent = true,
	}, {
		.name = "munmap",
		.roles = { to_device_0, to_device_1, evicts_0, reads },
		.each_round = unmaps_and_maps,
		.rounds = 40,
		.zero = true,
		.absent = true,
	}, {
		.name = "discard",
		.roles = { to_device_0, to_device_1, evicts_0, reads },
		.each_round = discards,
		.rounds = 40,
		.zero = true,
		.huge_page = true,
	}, {
		.name = "mprotect",
		.roles = { to_device_0, to_device_1, evicts_0, reads },
		.each_round = protects,
		.rounds = 100,
		.absent = true,
		.huge_page = true,
	}, {
		.name = "pin",
		.roles = { to_device_0, to_device_1, evicts_0, counts, reads },
		.each_round = pins,
		.rounds = 100,
	},
};

KUNIT_ARRAY_PARAM_DESC(race, races, name);

static void map_area(struct kunit *test, bool huge_page)
{
	unsigned long addr;

	if (!huge_page) {
		vram_map_filled(test, SVM_BASE, AREA_SIZE);
		return;
	}
	for (addr = SVM_BASE; addr < AREA_END; addr += SZ_2M)
		svm_map_huge(test, addr);
	vram_fill(test, SVM_BASE, AREA_SIZE);
}

static struct actor *start_actors(struct kunit *test, const struct race *r,
				  struct mm_struct *mm)
{
	struct actor *actors = kunit_kcalloc(test, MAX_ACTORS, sizeof(*actors), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, actors);
	race = r;
	WRITE_ONCE(stop, false);
	for (i = 0; i < MAX_ACTORS && r->roles[i]; i++) {
		actors[i].role = r->roles[i];
		actors[i].mm = mm;
		actors[i].index = i;
		prandom_seed_state(&actors[i].seed, 4711 + i);
		actors[i].task = svm_prepare(test, act, 0, &actors[i]);
	}
	for (i = 0; i < MAX_ACTORS && r->roles[i]; i++)
		svm_start(actors[i].task);

	return actors;
}

static void stop_actors(struct kunit *test, struct actor *actors)
{
	int i;

	WRITE_ONCE(stop, true);
	for (i = 0; i < MAX_ACTORS; i++)
		if (actors[i].task)
			KUNIT_EXPECT_EQ_MSG(test, svm_join(actors[i].task), 0, "actor %d, %d steps",
					    i, atomic_read(&actors[i].steps));
}

static void expect_counts(struct kunit *test, struct actor *actors)
{
	unsigned long addr;
	u32 count = 0;
	int i;

	for (i = 0; i < MAX_ACTORS; i++) {
		if (actors[i].role != counts)
			continue;
		for (addr = SVM_BASE; addr < AREA_END; addr += PAGE_SIZE) {
			u32 __user *p = (u32 __user *)(addr + COUNTERS) + i;

			KUNIT_ASSERT_EQ(test, 0, get_user(count, p));
			KUNIT_ASSERT_EQ_MSG(test, count,
					    actors[i].counts[(addr - SVM_BASE) >> PAGE_SHIFT],
					    "0x%lx", addr);
		}
	}
}

/* As many steps as prove something, and as few as are done soon. */
#define STEPS	40

static void contents_survive(struct kunit *test)
{
	const struct race *r = test->param_value;
	struct actor *actors;
	int i;

	vrams[0].rules.layout = r->layout;
	vrams[0].rules.limit = NPAGES(SZ_2M) + NPAGES(SZ_1M);
	map_area(test, r->huge_page);
	actors = start_actors(test, r, current->mm);
	for (i = 0; i < r->rounds; i++)
		r->each_round(test, i);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(all_got_on(actors, STEPS)));
	stop_actors(test, actors);

	KUNIT_EXPECT_EQ(test, vram_count_place(VRAM_MOVING, SVM_BASE, AREA_SIZE), 0);
	KUNIT_EXPECT_GT(test, vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_DEVMEM), 0);
	vram_expect(test, SVM_BASE, AREA_SIZE);
	expect_counts(test, actors);
	svm_expect_unmapped(test);
}

/* The memory of a process that exits while it is being moved about. */
static void exit_meets_migration(struct kunit *test)
{
	static const struct race r = {
		.roles = { to_device_0, to_device_1, evicts_0 },
		.absent = true,
	};
	struct actor *actors;
	struct mm_struct *child;
	int i;

	map_area(test, false);
	for (i = 0; i < 5; i++) {
		child = svm_fork(test);
		mmgrab(child);
		actors = start_actors(test, &r, child);
		KUNIT_EXPECT_TRUE(test, svm_wait_until(all_got_on(actors, 10)));
		mmput(child);
		stop_actors(test, actors);
		mmdrop(child);
	}
	vram_expect(test, SVM_BASE, AREA_SIZE);
}

/*
 * A device goes while it is at work
 */

static const struct file_operations gone_fops;

static const struct drm_driver gone_driver = {
	.name = "gone",
	.fops = &gone_fops,
};

static struct drm_pagemap *gone_pagemap;

static long to_device_that_goes(struct actor *actor)
{
	unsigned long addr = ALIGN_DOWN(random_page(actor), SZ_64K);
	int err;

	err = drm_pagemap_populate_mm(gone_pagemap, addr, addr + SZ_64K, actor->mm, 0);
	if (err == -ENODEV)
		return 0;

	return populate_may_return(err) ? 0 : err;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_drm, drm_dev_put, struct drm_device *);

static struct drm_device *device_that_goes(struct kunit *test)
{
	struct device *dev = root_device_register("gone");
	struct drm_device *drm;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	drm = drm_dev_alloc(&gone_driver, dev);
	root_device_unregister(dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, drm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_drm, drm));

	return drm;
}

static void evict_all(struct kunit *test, struct vram *vram)
{
	unsigned long end = jiffies + SVM_PATIENCE;

	while (atomic_read(&vram->live) && time_before(jiffies, end))
		KUNIT_EXPECT_EQ(test, evicts(vram), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&vram->live), 0);
}

static void unplug_meets_migration(struct kunit *test)
{
	static const struct race r = {
		.roles = { to_device_that_goes, to_device_that_goes, to_device_1, counts, reads },
	};
	struct actor *actors;
	struct drm_device *drm;
	int i;

	map_area(test, true);
	for (i = 0; i < 5; i++) {
		drm = device_that_goes(test);
		gone_pagemap = drm_pagemap_create(drm, &vrams[0].pagemap, &vram_ops);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gone_pagemap);
		vram_fill(test, SVM_BASE, AREA_SIZE);
		for (unsigned long addr = SVM_BASE; addr < AREA_END; addr += PAGE_SIZE)
			for (int j = 0; j < MAX_ACTORS; j++)
				KUNIT_ASSERT_EQ(test, 0, put_user(0, (u32 __user *)
								  (addr + COUNTERS) + j));
		actors = start_actors(test, &r, current->mm);
		KUNIT_EXPECT_TRUE(test, svm_wait_until(all_got_on(actors, 10)));

		drm_dev_unplug(drm);
		evict_all(test, &vrams[0]);
		KUNIT_EXPECT_EQ(test, vram_count(&vrams[0], SVM_BASE, AREA_SIZE), 0);
		stop_actors(test, actors);
		KUNIT_EXPECT_EQ(test, kref_read(&gone_pagemap->ref), 1);
		drm_pagemap_put(gone_pagemap);
		KUNIT_EXPECT_TRUE(test, svm_wait_until(kref_read(&drm->ref) == 1));
		vram_expect(test, SVM_BASE, AREA_SIZE);
		expect_counts(test, actors);
	}
}

static long populate_the_first_64k(struct svm_task *task)
{
	return drm_pagemap_populate_mm(vrams[0].dpagemap, SVM_BASE, SVM_BASE + SZ_64K,
				       task->mm, 0);
}

/* The task waits for the mmap lock, and the device is gone once it gets that. */
static void expect_to_let_go(struct kunit *test, struct svm_task *task)
{
	struct drm_device *drm = vrams[0].dpagemap->drm;

	KUNIT_EXPECT_TRUE(test, svm_wait_blocked(task));
	drm->unplugged = true;
	mmap_write_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, svm_join(task), -ENODEV);
	drm->unplugged = false;
	vram_expect_in_ram(test, SVM_BASE, SZ_64K);
}

/* Whoever waits for the mmap lock, as long as others like, does not keep the device. */
static void waiting_for_memory_lets_the_device_go(struct kunit *test)
{
	struct svm_task *task;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	mmap_write_lock(current->mm);
	task = svm_run(test, populate_the_first_64k, SVM_BASE, NULL);
	expect_to_let_go(test, task);
}

static struct completion room_is_made, lock_is_taken;

static int stop_when_room_is_made(struct vram *vram, size_t size, bool may_wait)
{
	if (!may_wait)
		return -EBUSY;

	complete(&room_is_made);
	wait_for_completion(&lock_is_taken);

	return 0;
}

/* Nor does it keep the memory that was evicted for it. */
static void waiting_with_memory_lets_it_go(struct kunit *test)
{
	struct svm_task *task;

	vram_map_filled(test, SVM_BASE, SZ_64K);
	init_completion(&room_is_made);
	init_completion(&lock_is_taken);
	vrams[0].rules.alloc = stop_when_room_is_made;
	task = svm_run(test, populate_the_first_64k, SVM_BASE, NULL);
	wait_for_completion(&room_is_made);
	mmap_write_lock(current->mm);
	complete(&lock_is_taken);
	KUNIT_EXPECT_TRUE(test, svm_wait_until(atomic_read(&vrams[0].seen.releases) == 1));
	expect_to_let_go(test, task);
}

/**
 * struct usurper - Puts a new huge page where a large folio is being split
 *
 * @notifier: Watches the memory
 * @task: Does it
 */
struct usurper {
	struct mmu_interval_notifier notifier;
	struct svm_task *task;
};

static long discard_and_touch(struct svm_task *task)
{
	svm_discard(task->test, SVM_BASE, SZ_2M);

	return put_user(task->addr, (u64 __user *)SVM_BASE);
}

/* The split unmaps the folio for the task that waits here, which has no page table lock. */
static bool usurp(struct mmu_interval_notifier *notifier,
		  const struct mmu_notifier_range *range, unsigned long seq)
{
	struct usurper *usurper = container_of(notifier, struct usurper, notifier);
	struct svm_task *task = usurper->task;

	if (task) {
		usurper->task = NULL;
		svm_start(task);
		svm_join(task);
	}

	return true;
}

static const struct mmu_interval_notifier_ops usurper_ops = {
	.invalidate = usurp,
};

/*
 * A folio that migrate_vma_setup() splits begins behind the first page, and is gone,
 * with the page table, when it is split. What it collects is no more than asked for.
 */
static void page_table_goes_during_a_split(struct kunit *test)
{
	unsigned long npages = NPAGES(SZ_2M);
	unsigned long *pfns = kunit_kcalloc(test, 4 * npages, sizeof(*pfns), GFP_KERNEL);
	struct migrate_vma mv = {
		.start = SVM_BASE,
		.end = SVM_BASE + SZ_2M,
		.src = pfns,
		.dst = pfns + 2 * npages,
		.flags = MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
	};
	struct usurper usurper = {};

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	svm_map_huge(test, SVM_BASE);
	vram_fill(test, SVM_BASE, SZ_2M);
	svm_discard(test, SVM_BASE, PAGE_SIZE);
	usurper.task = svm_prepare(test, discard_and_touch, 1, NULL);
	KUNIT_ASSERT_EQ(test, mmu_interval_notifier_insert(&usurper.notifier, current->mm,
							   SVM_BASE, SZ_2M, &usurper_ops), 0);
	mmap_read_lock(current->mm);
	mv.vma = vma_lookup(current->mm, SVM_BASE);
	KUNIT_EXPECT_EQ(test, migrate_vma_setup(&mv), 0);
	KUNIT_EXPECT_NULL(test, usurper.task);
	KUNIT_EXPECT_LE(test, mv.npages, npages);
	migrate_vma_pages(&mv);
	migrate_vma_finalize(&mv);
	mmap_read_unlock(current->mm);
	mmu_interval_notifier_remove(&usurper.notifier);
	KUNIT_EXPECT_EQ(test, svm_read(test, SVM_BASE), 1);
}

/**
 * struct bystander - Sees how far others have come when a chunk is collected
 *
 * @notifier: Watches the chunk
 * @moved: Pages that have moved to the device
 */
struct bystander {
	struct mmu_interval_notifier notifier;
	s64 moved;
};

static bool look_at_others(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *range, unsigned long seq)
{
	struct bystander *bystander = container_of(notifier, struct bystander, notifier);

	bystander->moved = vram_stat(&vrams[0], DRM_PAGEMAP_STAT_TO_DEVMEM);

	return true;
}

static const struct mmu_interval_notifier_ops bystander_ops = {
	.invalidate = look_at_others,
};

/* The CPU gets back what was copied when nothing else has to be, not at the end. */
static void chunk_does_not_wait_for_what_stays(struct kunit *test)
{
	const unsigned long last = SVM_BASE + 3 * SZ_2M;
	struct bystander bystander = {};

	svm_map(test, SVM_BASE, 4 * SZ_2M, RW);
	svm_advise(test, SVM_BASE, 4 * SZ_2M, MADV_NOHUGEPAGE);
	vram_fill(test, SVM_BASE, 4 * SZ_2M);
	KUNIT_ASSERT_EQ(test, vram_populate(test, &vrams[0], SVM_BASE + SZ_2M, 3 * SZ_2M), 0);

	KUNIT_ASSERT_EQ(test, mmu_interval_notifier_insert(&bystander.notifier, current->mm,
							   last, SZ_2M, &bystander_ops), 0);
	KUNIT_EXPECT_EQ(test, vram_populate(test, &vrams[0], SVM_BASE, 4 * SZ_2M), 0);
	mmu_interval_notifier_remove(&bystander.notifier);
	KUNIT_EXPECT_EQ(test, bystander.moved, NPAGES(4 * SZ_2M));
	vram_expect_in(test, &vrams[0], SVM_BASE, 4 * SZ_2M);
	vram_expect(test, SVM_BASE, 4 * SZ_2M);
}

static struct kunit_case drm_pagemap_race_cases[] = {
	KUNIT_CASE_PARAM(contents_survive, race_gen_params),
	KUNIT_CASE(exit_meets_migration),
	KUNIT_CASE(unplug_meets_migration),
	KUNIT_CASE(waiting_for_memory_lets_the_device_go),
	KUNIT_CASE(waiting_with_memory_lets_it_go),
	KUNIT_CASE(page_table_goes_during_a_split),
	KUNIT_CASE(chunk_does_not_wait_for_what_stays),
	{}
};

static struct kunit_suite drm_pagemap_race_suite = {
	.name = "drm_pagemap_race",
	.suite_init = vram_suite_init,
	.suite_exit = vram_suite_exit,
	.init = vram_init,
	.exit = vram_exit,
	.test_cases = drm_pagemap_race_cases,
};

kunit_test_suite(drm_pagemap_race_suite);
