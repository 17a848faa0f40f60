/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_GPUSVM_FIXTURE_H_
#define _DRM_GPUSVM_FIXTURE_H_

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>

#include <drm/drm_gpusvm.h>

#include <kunit/test.h>

struct drm_device;
struct file;
struct svm_fixture;

/* Devices that share the address space of a test. */
#define SVM_DEVICES	4

/* What is mirrored by default: SVM_SIZE bytes in windows of SVM_WINDOW. */
#define SVM_BASE	(64UL * SZ_1G)
#define SVM_SIZE	SZ_256M
#define SVM_WINDOW	SZ_32M
#define SVM_END		(SVM_BASE + SVM_SIZE)

/* How long a test waits for what has to happen, in jiffies. */
#define SVM_PATIENCE	(30 * HZ)

/**
 * struct svm_device - A device of a test, and what is mapped for it
 *
 * @dev: The device
 * @drm: The same as a DRM device
 * @bytes: Bytes that are mapped for DMA at present
 * @maps: Calls that mapped
 * @unmaps: Calls that unmapped
 * @taken_start: First address that the last invalidation of a part was about
 * @taken_end: Address behind the last one
 */
struct svm_device {
	struct device *dev;
	struct drm_device *drm;
	atomic_long_t bytes;
	atomic_t maps;
	atomic_t unmaps;
	unsigned long taken_start;
	unsigned long taken_end;
};

/**
 * struct svm_range - A range with a pages object for each device
 *
 * @base: The range
 * @lock: Serialises work on @pages, for tests with several tasks
 * @pages: The pages
 */
struct svm_range {
	struct drm_gpusvm_range base;
	struct mutex lock;	/* pages, where there are several tasks */
	struct drm_gpusvm_pages pages[SVM_DEVICES];
};

static inline struct svm_range *to_svm_range(struct drm_gpusvm_range *range)
{
	return container_of(range, struct svm_range, base);
}

/**
 * struct svm_gate - Stops who passes until it is opened
 *
 * @entered: Somebody is there
 * @open: May go on
 */
struct svm_gate {
	struct completion entered;
	struct completion open;
};

void svm_gate_init(struct svm_gate *gate);
void svm_gate_pass(struct svm_gate *gate);

/**
 * struct svm_hooks - What a test does in the driver's operations
 *
 * @start: At the end of the first, or the only, pass
 * @finish: In the second pass
 * @range_alloc: Before a range is allocated
 */
struct svm_hooks {
	void (*start)(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier,
		      const struct mmu_notifier_range *mmu_range);
	void (*finish)(struct svm_fixture *svm, struct drm_gpusvm_notifier *notifier);
	void (*range_alloc)(struct svm_fixture *svm);
};

/**
 * struct svm_fixture - What a test has
 *
 * @gpusvm: The GPU SVM under test, for &current->mm
 * @live: @gpusvm is set up
 * @devices: The devices
 * @hooks: What the test wants to do in the operations
 * @arg: For the test's hooks
 * @tasks: Tasks that the test has started
 * @notifier_allocs: Notifiers that were allocated
 * @notifier_frees: Notifiers that were freed
 * @range_allocs: Ranges that were allocated
 * @range_frees: Ranges that were freed
 * @starts: First, or only, passes
 * @finishes: Second passes
 * @events: Invalidations by &enum mmu_notifier_event
 * @fail_notifier_alloc: Let the next allocation of a notifier fail
 * @fail_range_alloc: Let the next allocation of a range fail
 * @mapping_succeeds: No allocation is made to fail once mapping has begun, as
 *		      that hits but the DMA API's debugging, which then gives up
 * @needs_finish: First passes say that there is a flush to wait for
 * @failures_left: What was left of &task_struct.fail_nth then
 */
struct svm_fixture {
	struct drm_gpusvm gpusvm;
	bool live;
	struct svm_device devices[SVM_DEVICES];
	struct svm_hooks hooks;
	void *arg;
	struct list_head tasks;
	atomic_t notifier_allocs;
	atomic_t notifier_frees;
	atomic_t range_allocs;
	atomic_t range_frees;
	atomic_t starts;
	atomic_t finishes;
	atomic_t events[MMU_NOTIFY_EXCLUSIVE + 1];
	bool fail_notifier_alloc;
	bool fail_range_alloc;
	bool mapping_succeeds;
	bool needs_finish;
	unsigned int failures_left;
};

static inline struct svm_fixture *to_svm(struct kunit *test)
{
	return test->priv;
}

extern const struct drm_gpusvm_ops svm_ops_one_pass;
extern const struct drm_gpusvm_ops svm_ops_two_pass;
extern const struct drm_gpusvm_ops svm_ops_parts;
extern const unsigned long svm_chunks[3];

int svm_suite_init(struct kunit_suite *suite);
void svm_suite_exit(struct kunit_suite *suite);
struct drm_device *svm_drm_device(unsigned int device);
int svm_init(struct kunit *test);
void svm_exit(struct kunit *test);
void svm_restart(struct kunit *test, const struct drm_gpusvm_ops *ops,
		 const unsigned long *chunks, int num_chunks);
void svm_restart_windows(struct kunit *test, unsigned long window);
void svm_remove_all(struct kunit *test);

/* Ranges and pages */

struct svm_range *svm_fault(struct kunit *test, unsigned long addr,
			    const struct drm_gpusvm_ctx *ctx);
long svm_fault_err(struct kunit *test, unsigned long addr,
		   const struct drm_gpusvm_ctx *ctx);
int svm_get(struct svm_range *range, unsigned int devices,
	    const struct drm_gpusvm_ctx *ctx);
struct svm_range *svm_fault_and_get(struct kunit *test, unsigned long addr,
				    const struct drm_gpusvm_ctx *ctx);
void svm_unmap(struct kunit *test, struct svm_range *range);
void svm_remove(struct kunit *test, struct svm_range *range);
bool svm_valid(struct kunit *test, struct drm_gpusvm_pages *pages);
void svm_expect_unmapped(struct kunit *test);
void svm_expect_same_memory(struct kunit *test, struct svm_range *range,
			    unsigned int device);

#ifdef CONFIG_X86_64
long __x64_sys_mprotect(const struct pt_regs *regs);
long __x64_sys_mremap(const struct pt_regs *regs);
#endif

#define svm_stat(svm, field)	atomic_long_read(&(svm)->gpusvm.stats.field)

/* Whether the DMA API tells the test about mappings; it does with its debugging. */
bool svm_counts_dma(struct svm_fixture *svm);
void svm_resume_failures(struct svm_fixture *svm);
long svm_dma_bytes(struct svm_fixture *svm, unsigned int device);
struct device *svm_translated_device(struct kunit *test);

/* The CPU side */

void svm_map(struct kunit *test, unsigned long addr, unsigned long len,
	     unsigned long prot);
void svm_map_file(struct kunit *test, struct file *file, unsigned long addr,
		  unsigned long len, unsigned long prot, unsigned long flags);
void svm_touch(struct kunit *test, unsigned long addr, unsigned long len);
void svm_write(struct kunit *test, unsigned long addr, u64 value);
u64 svm_read(struct kunit *test, unsigned long addr);
phys_addr_t svm_phys(struct kunit *test, struct mm_struct *mm, unsigned long addr);
void svm_discard(struct kunit *test, unsigned long addr, unsigned long len);
void svm_munmap(struct kunit *test, unsigned long addr, unsigned long len);
void svm_mprotect(struct kunit *test, unsigned long addr, unsigned long len,
		  unsigned long prot);
void svm_mremap(struct kunit *test, unsigned long from, unsigned long len,
		unsigned long to);
void svm_advise(struct kunit *test, unsigned long addr, unsigned long len,
		int advice);
void svm_map_huge(struct kunit *test, unsigned long addr);
struct mm_struct *svm_fork(struct kunit *test);
void svm_kill_mm(struct kunit *test);
void svm_notify(struct mm_struct *mm, unsigned long start, unsigned long end,
		enum mmu_notifier_event event);

/**
 * struct svm_task - A task that works on the address space of a test
 *
 * @fn: What it does
 * @test: The test
 * @svm: Its fixture
 * @arg: For @fn
 * @addr: For @fn
 * @task: The task
 * @mm: The test's mm, with a reference
 * @done: It has ended
 * @ret: What @fn returned
 * @entry: In &svm_fixture.tasks
 */
struct svm_task {
	long (*fn)(struct svm_task *task);
	struct kunit *test;
	struct svm_fixture *svm;
	void *arg;
	unsigned long addr;
	struct task_struct *task;
	struct mm_struct *mm;
	struct completion done;
	long ret;
	struct list_head entry;
};

struct svm_task *svm_prepare(struct kunit *test, long (*fn)(struct svm_task *task),
			     unsigned long addr, void *arg);
void svm_start(struct svm_task *task);
struct svm_task *svm_run(struct kunit *test, long (*fn)(struct svm_task *task),
			 unsigned long addr, void *arg);
bool svm_done(struct svm_task *task);
long svm_join(struct svm_task *task);
bool svm_wait_blocked(struct svm_task *task);

/* A file whose pages the test chooses */

/**
 * struct svm_file - A file of a test
 *
 * @fault: Provides the page at an offset; NULL for one without pages
 * @vm_flags: More flags for its VMAs
 * @arg: For @fault
 */
struct svm_file {
	vm_fault_t (*fault)(struct svm_file *file, struct vm_fault *vmf);
	vm_flags_t vm_flags;
	void *arg;
};

void svm_map_special(struct kunit *test, struct svm_file *file,
		     unsigned long addr, unsigned long len);

/* Wait for a condition that another task brings about. */
#define svm_wait_until(condition)					\
({									\
	unsigned long __end = jiffies + SVM_PATIENCE;			\
	bool __met;							\
									\
	while (!(__met = (condition)) && time_before(jiffies, __end))	\
		schedule_timeout_uninterruptible(1);			\
	__met;								\
})

#endif
