// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/minmax.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include "vsvm_radix.h"

/**
 * struct vsvm_radix_node - A node of the tree
 * @slots: Zero, a leaf (bit 0 set), or a pointer to a node of the next level.
 *	   Level 0 has leaves only, level 1 both, those above only pointers.
 */
struct vsvm_radix_node {
	u64 slots[VSVM_RADIX_SLOTS];
};

static unsigned int slot_index(unsigned long addr, int level)
{
	return (addr >> (PAGE_SHIFT + level * VSVM_RADIX_BITS)) &
	       (VSVM_RADIX_SLOTS - 1);
}

static bool is_node(u64 word)
{
	return word && !(word & VSVM_LEAF);
}

static struct vsvm_radix_node *to_node(u64 word)
{
	return (struct vsvm_radix_node *)(uintptr_t)word;
}

/* The word of the page @index pages behind the one that @word is for. */
static u64 leaf_at(u64 word, unsigned long index)
{
	if (!(word & VSVM_LEAF_CONTIG))
		return word;

	return word + ((u64)index << PAGE_SHIFT);
}

/* The slot of @addr in @level, or NULL if the tree doesn't reach down to it. */
static u64 *find_slot(const struct vsvm_radix *radix, unsigned long addr,
		      int level)
{
	struct vsvm_radix_node *node = radix->root;

	for (int l = VSVM_RADIX_LEVELS - 1; l > level; l--) {
		/* Pairs with the release in add_node(). */
		u64 word = smp_load_acquire(&node->slots[slot_index(addr, l)]);

		if (!is_node(word))
			return NULL;
		node = to_node(word);
	}

	return &node->slots[slot_index(addr, level)];
}

static struct vsvm_radix_node *take_node(struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node = batch->first;

	if (node) {
		batch->first = to_node(node->slots[0]);
		node->slots[0] = 0;
	}
	return node;
}

/* Put a node into a slot; if that holds a block, the node takes its place. */
static struct vsvm_radix_node *add_node(u64 *slot, struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node = take_node(batch);
	u64 block = *slot;

	if (!node)
		return NULL;

	for (int i = 0; block && i < VSVM_RADIX_SLOTS; i++)
		node->slots[i] = leaf_at(block, i);

	/* Readers see a node only with its contents. */
	smp_store_release(slot, (u64)(uintptr_t)node);
	return node;
}

/* As find_slot(), but grows the tree from @batch; NULL if that has too few. */
static u64 *make_slot(struct vsvm_radix *radix, struct vsvm_radix_batch *batch,
		      unsigned long addr, int level)
{
	struct vsvm_radix_node *node = radix->root;

	lockdep_assert_held(&radix->lock);

	for (int l = VSVM_RADIX_LEVELS - 1; l > level; l--) {
		u64 *slot = &node->slots[slot_index(addr, l)];

		node = is_node(*slot) ? to_node(*slot) : add_node(slot, batch);
		if (!node)
			return NULL;
	}

	return &node->slots[slot_index(addr, level)];
}

/**
 * vsvm_radix_init() - Make an empty tree
 * @radix: The tree
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_radix_init(struct vsvm_radix *radix)
{
	spin_lock_init(&radix->lock);
	radix->root = kzalloc_obj(*radix->root);

	return radix->root ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_init);

static void free_children(struct vsvm_radix_node *node, int level)
{
	for (int i = 0; i < VSVM_RADIX_SLOTS; i++) {
		struct vsvm_radix_node *child;

		if (!is_node(node->slots[i]))
			continue;

		child = to_node(node->slots[i]);
		if (level > 1)
			free_children(child, level - 1);
		kfree(child);
	}
}

/**
 * vsvm_radix_fini() - Free a tree's nodes
 * @radix: The tree, which nobody uses any more; may have failed to initialise
 */
void vsvm_radix_fini(struct vsvm_radix *radix)
{
	if (radix->root)
		free_children(radix->root, VSVM_RADIX_LEVELS - 1);
	kfree(radix->root);
	radix->root = NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_fini);

static int add_to_batch(struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node = kzalloc_obj(*node);

	if (!node)
		return -ENOMEM;

	node->slots[0] = (u64)(uintptr_t)batch->first;
	batch->first = node;
	return 0;
}

/**
 * vsvm_radix_prepare() - Allocate all nodes that an interval can need
 * @radix: The tree
 * @start: First address, page aligned
 * @end: Address behind the last
 * @batch: Receives the nodes; vsvm_radix_finish() gives back what is left
 *
 * May sleep. Whatever others do to the tree, vsvm_radix_store() in the interval
 * then needs no more than @batch holds.
 *
 * Return: 0 or -ENOMEM; there is a batch to give back in both cases.
 */
int vsvm_radix_prepare(struct vsvm_radix *radix, unsigned long start,
		       unsigned long end, struct vsvm_radix_batch *batch)
{
	batch->first = NULL;

	for (unsigned long addr = ALIGN_DOWN(start, VSVM_BLOCK_SIZE);
	     addr < end; addr += VSVM_BLOCK_SIZE) {
		for (int level = 0; level < VSVM_RADIX_LEVELS - 1; level++) {
			if (find_slot(radix, addr, level))
				break;
			if (add_to_batch(batch))
				return -ENOMEM;
		}
	}

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_prepare);

/**
 * vsvm_radix_finish() - Give back what is left of a batch
 * @batch: The batch
 */
void vsvm_radix_finish(struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node;

	while ((node = take_node(batch)))
		kfree(node);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_finish);

/* Whether the pages from @addr on can share a word in the level above. */
static bool fits_block(const struct vsvm_radix *radix, unsigned long addr,
		       unsigned long npages, u64 word)
{
	return (word & VSVM_LEAF_CONTIG) && npages >= VSVM_RADIX_SLOTS &&
	       IS_ALIGNED(addr, VSVM_BLOCK_SIZE) && !find_slot(radix, addr, 0);
}

/* Store in one block. */
static int store_in_block(struct vsvm_radix *radix,
			  struct vsvm_radix_batch *batch, unsigned long addr,
			  unsigned long npages, u64 word)
{
	bool block = fits_block(radix, addr, npages, word);
	u64 *slot = make_slot(radix, batch, addr, block ? 1 : 0);

	if (!slot)
		return -ENOMEM;

	for (unsigned long i = 0; i < (block ? 1 : npages); i++)
		WRITE_ONCE(slot[i], leaf_at(word, i));
	return 0;
}

/**
 * vsvm_radix_store() - Store words for some pages
 * @radix: The tree
 * @batch: Nodes from vsvm_radix_prepare()
 * @start: Address of the first page
 * @npages: Number of pages
 * @word: The first page's word; VSVM_LEAF is added
 *
 * Doesn't sleep.
 *
 * Return: 0, or -ENOMEM if @batch was not prepared for these pages.
 */
int vsvm_radix_store(struct vsvm_radix *radix, struct vsvm_radix_batch *batch,
		     unsigned long start, unsigned long npages, u64 word)
{
	unsigned long done = 0;
	int err = 0;

	word |= VSVM_LEAF;
	while (!err && done < npages) {
		unsigned long addr = start + done * PAGE_SIZE;
		unsigned long room = VSVM_RADIX_SLOTS - slot_index(addr, 0);
		unsigned long n = min(npages - done, room);

		spin_lock(&radix->lock);
		err = store_in_block(radix, batch, addr, n, leaf_at(word, done));
		spin_unlock(&radix->lock);
		done += n;
	}

	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_store);

/* Replace in one block; words are only counted where there are some. */
static unsigned long replace_in_block(struct vsvm_radix *radix,
				      unsigned long addr, unsigned long npages,
				      u64 word)
{
	u64 *slot = find_slot(radix, addr, 0);
	unsigned long found = 0;

	if (!slot) {
		slot = find_slot(radix, addr, 1);
		if (!slot || !*slot)
			return 0;
		WRITE_ONCE(*slot, word);
		return VSVM_RADIX_SLOTS;
	}

	for (unsigned long i = 0; i < npages; i++) {
		if (!slot[i])
			continue;
		WRITE_ONCE(slot[i], word);
		found++;
	}
	return found;
}

/* Where the part of the tree ends that is missing at @addr. */
static unsigned long skip_hole(const struct vsvm_radix *radix,
			       unsigned long addr)
{
	unsigned long size = VSVM_BLOCK_SIZE;

	for (int level = 1; level < VSVM_RADIX_LEVELS - 1; level++) {
		if (find_slot(radix, addr, level))
			break;
		size <<= VSVM_RADIX_BITS;
	}

	return ALIGN_DOWN(addr, size) + size;
}

/**
 * vsvm_radix_replace() - Replace the words there are in an interval
 * @radix: The tree
 * @start: First address, page aligned
 * @end: Address behind the last
 * @word: The new word, zero to take them away
 *
 * Pages without a word stay without. A block that shares one word is replaced
 * as a whole, even where it reaches beyond the interval. Doesn't sleep.
 *
 * Return: the number of pages whose words were replaced.
 */
unsigned long vsvm_radix_replace(struct vsvm_radix *radix, unsigned long start,
				 unsigned long end, u64 word)
{
	unsigned long found = 0;
	unsigned long next;

	if (word)
		word |= VSVM_LEAF;

	for (unsigned long addr = start; addr < end; addr = next) {
		if (!find_slot(radix, addr, 1)) {
			next = skip_hole(radix, addr);
			continue;
		}

		next = min(end, ALIGN_DOWN(addr, VSVM_BLOCK_SIZE) +
			   VSVM_BLOCK_SIZE);
		spin_lock(&radix->lock);
		found += replace_in_block(radix, addr,
					  (next - addr) >> PAGE_SHIFT, word);
		spin_unlock(&radix->lock);
	}

	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_replace);

/**
 * vsvm_radix_load() - Look up a page's word
 * @radix: The tree
 * @addr: An address in the page
 *
 * Needs no lock.
 *
 * Return: the word, zero if the page has none.
 */
u64 vsvm_radix_load(const struct vsvm_radix *radix, unsigned long addr)
{
	u64 *slot, word;

	if (addr >> DRM_VSVM_VA_BITS)
		return 0;

	slot = find_slot(radix, addr, 0);
	if (slot)
		return READ_ONCE(*slot);

	slot = find_slot(radix, addr, 1);
	if (!slot)
		return 0;

	/* Pairs with the release in add_node(): a block may have been split. */
	word = smp_load_acquire(slot);
	if (is_node(word))
		return READ_ONCE(to_node(word)->slots[slot_index(addr, 0)]);

	return word ? leaf_at(word, slot_index(addr, 0)) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_load);
