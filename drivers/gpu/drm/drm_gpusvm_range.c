// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <trace/events/drm_gpusvm.h>

#include "drm_gpusvm_internal.h"

/*
 * Notifiers
 */

/**
 * drm_gpusvm_notifier_find() - Find the first notifier in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: the notifier, or NULL if there is none.
 */
struct drm_gpusvm_notifier *
drm_gpusvm_notifier_find(struct drm_gpusvm *gpusvm, unsigned long start,
			 unsigned long end)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&gpusvm->root, start, end - 1);

	return node ? container_of(node, struct drm_gpusvm_notifier, itree) : NULL;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_notifier_find);

/**
 * drm_gpusvm_range_find() - Find the first range of a notifier in an interval
 * @notifier: The notifier
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: the range, or NULL if there is none.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_find(struct drm_gpusvm_notifier *notifier, unsigned long start,
		      unsigned long end)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&notifier->root, start, end - 1);

	return node ? container_of(node, struct drm_gpusvm_range, itree) : NULL;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_find);

/* Insert an interval in the tree, and its owner in the list that follows it. */
static void tree_insert(struct interval_tree_node *node, struct list_head *entry,
			struct rb_root_cached *root, struct list_head *list,
			ptrdiff_t entry_offset)
{
	struct rb_node *prev;

	interval_tree_insert(node, root);
	prev = rb_prev(&node->rb);
	if (prev)
		list = (void *)rb_entry(prev, struct interval_tree_node, rb) +
		       entry_offset;
	list_add(entry, list);
}

#define TREE_INSERT(owner, root, list)					\
	tree_insert(&(owner)->itree, &(owner)->entry, root, list,	\
		    offsetof(typeof(*(owner)), entry) -			\
		    offsetof(typeof(*(owner)), itree))

void gpusvm_notifier_link_locked(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;

	lockdep_assert_held_write(&gpusvm->notifier_lock);

	TREE_INSERT(notifier, &gpusvm->root, &gpusvm->notifier_list);
	atomic_long_inc(&gpusvm->stats.notifiers);
}

static void notifier_unlink_locked(struct drm_gpusvm_notifier *notifier)
{
	struct drm_gpusvm *gpusvm = notifier->gpusvm;

	lockdep_assert_held_write(&gpusvm->notifier_lock);

	interval_tree_remove(&notifier->itree, &gpusvm->root);
	list_del_init(&notifier->entry);
	notifier->flags.removed = true;
	atomic_long_dec(&gpusvm->stats.notifiers);
}

/* The GPU SVM may be gone: a range that it had may be what kept the notifier. */
static void notifier_free(struct drm_gpusvm_notifier *notifier)
{
	mutex_destroy(&notifier->finish_lock);
	if (notifier->ops->notifier_free)
		notifier->ops->notifier_free(notifier);
	else
		kfree(notifier);
}

static void notifier_release(struct kref *ref)
{
	struct drm_gpusvm_notifier *notifier =
		container_of(ref, struct drm_gpusvm_notifier, refcount);

	WARN_ON(!RB_EMPTY_ROOT(&notifier->root.rb_root));
	WARN_ON(!llist_empty(&notifier->deferred));
	notifier_free(notifier);
}

void gpusvm_notifier_put(struct drm_gpusvm_notifier *notifier)
{
	kref_put(&notifier->refcount, notifier_release);
}

/* Undo gpusvm_notifier_create(). The notifier is in no tree, or not any more. */
void gpusvm_notifier_retire(struct drm_gpusvm_notifier *notifier)
{
	mmu_interval_notifier_remove(&notifier->notifier);
	gpusvm_notifier_put(notifier);
}

/* The second pass runs in reclaim and takes the notifier lock inside. */
static void notifier_teach_lockdep(struct drm_gpusvm_notifier *notifier)
{
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		return;

	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&notifier->finish_lock);
	might_lock(&notifier->gpusvm->notifier_lock);
	mutex_unlock(&notifier->finish_lock);
	fs_reclaim_release(GFP_KERNEL);
}

/* Make a notifier for the window of @addr and have the MM call it. */
struct drm_gpusvm_notifier *
gpusvm_notifier_create(struct drm_gpusvm *gpusvm, unsigned long addr,
		       const struct mmu_interval_notifier_ops *mmu_ops)
{
	const struct drm_gpusvm_ops *ops = gpusvm->ops;
	struct drm_gpusvm_notifier *notifier;
	int err;

	notifier = ops->notifier_alloc ? ops->notifier_alloc() :
					 kzalloc_obj(*notifier, GFP_KERNEL_ACCOUNT);
	if (!notifier)
		return ERR_PTR(-ENOMEM);

	notifier->gpusvm = gpusvm;
	notifier->ops = ops;
	notifier->itree.start = ALIGN_DOWN(addr, gpusvm->notifier_size);
	notifier->itree.last = notifier->itree.start + gpusvm->notifier_size - 1;
	notifier->root = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&notifier->entry);
	INIT_LIST_HEAD(&notifier->range_list);
	init_llist_head(&notifier->deferred);
	mutex_init(&notifier->finish_lock);
	kref_init(&notifier->refcount);
	notifier_teach_lockdep(notifier);

	err = mmu_interval_notifier_insert(&notifier->notifier, gpusvm->mm,
					   drm_gpusvm_notifier_start(notifier),
					   drm_gpusvm_notifier_size(notifier), mmu_ops);
	if (err) {
		notifier_free(notifier);
		return ERR_PTR(err);
	}

	return notifier;
}

/*
 * Ranges: life cycle
 */

void gpusvm_range_set_flags_locked(struct drm_gpusvm_range *range,
				   struct drm_gpusvm_range_flags flags)
{
	lockdep_assert_held_write(&range->gpusvm->notifier_lock);

	WRITE_ONCE(range->flags.__flags, flags.__flags);
}

struct drm_gpusvm_range *
gpusvm_range_alloc(struct drm_gpusvm *gpusvm, unsigned long start, unsigned long size,
		   bool migrate_devmem)
{
	struct drm_gpusvm_range *range;

	range = gpusvm->ops->range_alloc ? gpusvm->ops->range_alloc(gpusvm) :
					   kzalloc_obj(*range, GFP_KERNEL_ACCOUNT);
	if (!range)
		return NULL;

	kref_init(&range->refcount);
	range->gpusvm = gpusvm;
	range->itree.start = start;
	range->itree.last = start + size - 1;
	INIT_LIST_HEAD(&range->entry);
	range->flags.__flags = 0;
	range->flags.migrate_devmem = migrate_devmem;

	return range;
}

static void range_release(struct kref *ref)
{
	struct drm_gpusvm_range *range =
		container_of(ref, struct drm_gpusvm_range, refcount);
	struct drm_gpusvm_notifier *notifier = range->notifier;
	const struct drm_gpusvm_ops *ops = range->gpusvm->ops;

	if (ops->range_free)
		ops->range_free(range);
	else
		kfree(range);

	if (notifier)
		gpusvm_notifier_put(notifier);
}

/**
 * drm_gpusvm_range_get() - Take a reference to a range
 * @range: The range
 *
 * Return: the range.
 */
struct drm_gpusvm_range *
drm_gpusvm_range_get(struct drm_gpusvm_range *range)
{
	kref_get(&range->refcount);

	return range;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_get);

/**
 * drm_gpusvm_range_put() - Drop a reference to a range
 * @range: The range
 *
 * The last reference frees the range, and its notifier if that has no other
 * range and was removed. The &struct drm_gpusvm must still be there.
 *
 * Context: May sleep. Not with the notifier lock held.
 */
void drm_gpusvm_range_put(struct drm_gpusvm_range *range)
{
	kref_put(&range->refcount, range_release);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_put);

/* The range takes over a reference to the notifier. */
void gpusvm_range_link_locked(struct drm_gpusvm_notifier *notifier,
			      struct drm_gpusvm_range *range)
{
	lockdep_assert_held_write(&notifier->gpusvm->notifier_lock);

	range->notifier = notifier;
	TREE_INSERT(range, &notifier->root, &notifier->range_list);
	atomic_long_inc(&notifier->gpusvm->stats.ranges);
}

static void range_unlink_locked(struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_range_flags flags = drm_gpusvm_range_read_flags(range);

	flags.removed = true;
	gpusvm_range_set_flags_locked(range, flags);
	interval_tree_remove(&range->itree, &range->notifier->root);
	list_del_init(&range->entry);
	atomic_long_dec(&range->gpusvm->stats.ranges);
}

/**
 * drm_gpusvm_range_remove() - Take a range out of the address space
 * @gpusvm: The GPU SVM
 * @range: The range
 *
 * Drops the reference that the tree holds, and removes the notifier with its
 * last range. Pages are the driver's: they are to be unmapped before, since an
 * invalidation does not find the range afterwards, and are freed by
 * &drm_gpusvm_ops.range_free. A range that was removed already is left alone.
 *
 * Where faults and a garbage collector may both remove a range, the driver looks
 * at &drm_gpusvm_range_flags.removed under its own lock of the range before it
 * zaps: once removed, the addresses may belong to another range.
 *
 * Context: May sleep. Not with the notifier lock held. With the driver's lock
 * for ranges where it has one, otherwise with a reference.
 */
void drm_gpusvm_range_remove(struct drm_gpusvm *gpusvm,
			     struct drm_gpusvm_range *range)
{
	struct drm_gpusvm_notifier *notifier = range->notifier;
	bool retire = false;

	assert_driver_lock_held(gpusvm);

	down_write(&gpusvm->notifier_lock);
	if (range->flags.removed) {
		up_write(&gpusvm->notifier_lock);
		return;
	}
	trace_drm_gpusvm_range_remove(range);
	range_unlink_locked(range);
	if (list_empty(&notifier->range_list)) {
		retire = !notifier->flags.removed;
		notifier_unlink_locked(notifier);
	}
	up_write(&gpusvm->notifier_lock);

	if (retire)
		gpusvm_notifier_retire(notifier);
	drm_gpusvm_range_put(range);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_range_remove);

/**
 * drm_gpusvm_has_mapping() - Whether there are ranges in an interval
 * @gpusvm: The GPU SVM
 * @start: First address of the interval
 * @end: Address behind the last one
 *
 * Context: The notifier lock, or the driver's lock for ranges where it has one.
 *
 * Return: true if a range overlaps the interval.
 */
bool drm_gpusvm_has_mapping(struct drm_gpusvm *gpusvm, unsigned long start,
			    unsigned long end)
{
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_for_each_notifier(notifier, gpusvm, start, end)
		if (drm_gpusvm_range_find(notifier, start, end))
			return true;

	return false;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_has_mapping);
