// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <kunit/visibility.h>

#include "vsvm_radix.h"

/**
 * struct vsvm_radix_node - A node of the tree
 * @rcu: Frees the node once nobody can be reading it any more
 * @next: The next node of a batch
 * @used: Slots that are not zero; without any, a node but the root is freed
 * @slots: Zero, a leaf (bit 0 set), or a pointer to a node of the next level.
 *	   Level 0 has leaves only, level 1 both, those above only pointers.
 */
struct vsvm_radix_node {
	struct rcu_head rcu;
	struct vsvm_radix_node *next;
	unsigned int used;
	u64 slots[VSVM_RADIX_SLOTS];
};

static struct kmem_cache *node_cache;

/**
 * vsvm_radix_module_init() - Prepare for trees
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_radix_module_init(void)
{
	node_cache = KMEM_CACHE(vsvm_radix_node, SLAB_ACCOUNT);

	return node_cache ? 0 : -ENOMEM;
}

/** vsvm_radix_module_exit() - Undo vsvm_radix_module_init() */
void vsvm_radix_module_exit(void)
{
	kmem_cache_destroy(node_cache);
}

static struct vsvm_radix_node *alloc_node(void)
{
	return kmem_cache_zalloc(node_cache, GFP_KERNEL_ACCOUNT);
}

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

/*
 * The slot of @addr in @level, or NULL if the tree doesn't reach down to it. With
 * the lock held, or as a reader under RCU.
 */
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
		batch->first = node->next;
		batch->num_nodes--;
	}
	return node;
}

static void set_slot(struct vsvm_radix_node *node, unsigned int index, u64 word)
{
	node->used += !!word - !!node->slots[index];
	/* Who finds it sees what was stored before, the grant for a page table entry say. */
	smp_store_release(&node->slots[index], word);
}

/* Put a node into a slot; if that holds a block, the node takes its place. */
static struct vsvm_radix_node *add_node(struct vsvm_radix_node *parent,
					unsigned int index,
					struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node = take_node(batch);
	u64 *slot = &parent->slots[index];
	u64 block = *slot;

	if (!node)
		return NULL;

	for (int i = 0; block && i < VSVM_RADIX_SLOTS; i++)
		set_slot(node, i, leaf_at(block, i));
	parent->used += !block;

	/* Readers see a node only with its contents. */
	smp_store_release(slot, (u64)(uintptr_t)node);
	return node;
}

/* The node of @addr in @level; grows the tree from @batch. NULL if that has too few. */
static struct vsvm_radix_node *make_node(struct vsvm_radix *radix,
					 struct vsvm_radix_batch *batch,
					 unsigned long addr, int level)
{
	struct vsvm_radix_node *node = radix->root;

	lockdep_assert_held(&radix->lock);

	for (int l = VSVM_RADIX_LEVELS - 1; l > level; l--) {
		unsigned int index = slot_index(addr, l);
		u64 word = node->slots[index];

		if (is_node(word)) {
			node = to_node(word);
			continue;
		}

		node = add_node(node, index, batch);
		if (!node)
			return NULL;
		radix->num_nodes++;
	}

	return node;
}

/* Free the nodes on the way to @addr that are empty, from the lowest up. */
static void prune(struct vsvm_radix *radix, unsigned long addr)
{
	struct vsvm_radix_node *path[VSVM_RADIX_LEVELS];
	int level = VSVM_RADIX_LEVELS - 1;

	lockdep_assert_held(&radix->lock);

	path[level] = radix->root;
	while (level) {
		u64 word = path[level]->slots[slot_index(addr, level)];

		if (!is_node(word))
			break;
		path[--level] = to_node(word);
	}

	for (; level < VSVM_RADIX_LEVELS - 1 && !path[level]->used; level++) {
		set_slot(path[level + 1], slot_index(addr, level + 1), 0);
		kfree_rcu(path[level], rcu);
		radix->num_nodes--;
	}
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
	radix->num_nodes = 0;
	radix->root = alloc_node();

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
		kmem_cache_free(node_cache, child);
	}
}

/**
 * vsvm_radix_fini() - Free a tree's nodes
 * @radix: The tree, which nobody uses any more; may have failed to initialise
 */
void vsvm_radix_fini(struct vsvm_radix *radix)
{
	if (!radix->root)
		return;

	free_children(radix->root, VSVM_RADIX_LEVELS - 1);
	kmem_cache_free(node_cache, radix->root);
	radix->root = NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_fini);

static int add_to_batch(struct vsvm_radix_batch *batch)
{
	struct vsvm_radix_node *node = alloc_node();

	if (!node)
		return -ENOMEM;

	node->next = batch->first;
	batch->first = node;
	batch->num_nodes++;
	return 0;
}

/* How many nodes are missing at @addr. */
static unsigned int count_missing(const struct vsvm_radix *radix,
				  unsigned long addr)
{
	int level = 0;

	guard(rcu)();

	while (level < VSVM_RADIX_LEVELS - 1 && !find_slot(radix, addr, level))
		level++;

	return level;
}

/**
 * vsvm_radix_prepare() - Allocate the nodes that an interval lacks
 * @radix: The tree
 * @start: First address, page aligned
 * @end: Address behind the last
 * @batch: Receives the nodes; vsvm_radix_finish() gives back what is left
 *
 * May sleep. vsvm_radix_store() in the interval then needs no more than @batch
 * holds, unless nodes become empty and are freed in between.
 *
 * Return: 0 or -ENOMEM; there is a batch to give back in both cases.
 */
int vsvm_radix_prepare(struct vsvm_radix *radix, unsigned long start,
		       unsigned long end, struct vsvm_radix_batch *batch)
{
	*batch = (struct vsvm_radix_batch) {};

	for (unsigned long addr = ALIGN_DOWN(start, VSVM_BLOCK_SIZE);
	     addr < end; addr += VSVM_BLOCK_SIZE) {
		unsigned int missing = count_missing(radix, addr);

		while (missing--)
			if (add_to_batch(batch))
				return -ENOMEM;
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
		kmem_cache_free(node_cache, node);
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
	int level = block ? 1 : 0;
	struct vsvm_radix_node *node = make_node(radix, batch, addr, level);
	unsigned int index = slot_index(addr, level);

	if (!node) {
		prune(radix, addr);
		return -EAGAIN;
	}

	for (unsigned long i = 0; i < (block ? 1 : npages); i++)
		set_slot(node, index + i, leaf_at(word, i));
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
 * Return: 0, or -EAGAIN if @batch has too few nodes, because it was not prepared
 * for these pages or nodes have gone since; some words may have been stored.
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

/* The node that has the slot of @addr in @level, which there is. */
static struct vsvm_radix_node *node_at(struct vsvm_radix *radix,
				       unsigned long addr, int level)
{
	return container_of(find_slot(radix, addr, level),
			    struct vsvm_radix_node,
			    slots[slot_index(addr, level)]);
}

/* Replace in one block; words are only counted where there are some. */
static unsigned long replace_in_block(struct vsvm_radix *radix,
				      unsigned long addr, unsigned long npages,
				      u64 word)
{
	struct vsvm_radix_node *node = node_at(radix, addr, 1);
	unsigned int index = slot_index(addr, 1);
	unsigned long found = 0;

	if (!is_node(node->slots[index])) {
		if (!node->slots[index])
			return 0;
		set_slot(node, index, word);
		return VSVM_RADIX_SLOTS;
	}

	node = to_node(node->slots[index]);
	index = slot_index(addr, 0);
	for (unsigned long i = index; i < index + npages; i++) {
		if (!node->slots[i])
			continue;
		set_slot(node, i, word);
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
 * as a whole, even where it reaches beyond the interval. Nodes that become empty
 * are freed. Doesn't sleep.
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
		guard(spinlock)(&radix->lock);

		if (!find_slot(radix, addr, 1)) {
			next = skip_hole(radix, addr);
			continue;
		}

		next = min(end, ALIGN_DOWN(addr, VSVM_BLOCK_SIZE) +
			   VSVM_BLOCK_SIZE);
		found += replace_in_block(radix, addr,
					  (next - addr) >> PAGE_SHIFT, word);
		if (!word)
			prune(radix, addr);
	}

	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_replace);

/* The leaves of a node in a block, or the block's own word if that is one. */
static unsigned long replace_in_block_if(struct vsvm_radix *radix,
					 unsigned long addr,
					 unsigned long npages, u64 word,
					 bool (*match)(u64 word, const void *data),
					 const void *data)
{
	struct vsvm_radix_node *node = node_at(radix, addr, 1);
	unsigned int index = slot_index(addr, 1);
	unsigned long found = 0;

	if (is_node(node->slots[index])) {
		node = to_node(node->slots[index]);
		index = slot_index(addr, 0);
	} else {
		npages = 1;
	}

	for (unsigned long i = index; i < index + npages; i++) {
		if (!node->slots[i] || !match(node->slots[i], data))
			continue;
		set_slot(node, i, word);
		found++;
	}
	return found;
}

/**
 * vsvm_radix_replace_if() - Replace words that meet a condition
 * @radix: The tree
 * @start: First address, page aligned
 * @end: Address behind the last
 * @word: The new word, zero to take them away
 * @match: Whether a word is to go
 * @data: For @match
 *
 * As vsvm_radix_replace() otherwise.
 *
 * Return: how many words were replaced, that of a block counted once.
 */
unsigned long vsvm_radix_replace_if(struct vsvm_radix *radix, unsigned long start,
				    unsigned long end, u64 word,
				    bool (*match)(u64 word, const void *data),
				    const void *data)
{
	unsigned long found = 0;
	unsigned long next;

	if (word)
		word |= VSVM_LEAF;

	for (unsigned long addr = start; addr < end; addr = next) {
		guard(spinlock)(&radix->lock);

		if (!find_slot(radix, addr, 1)) {
			next = skip_hole(radix, addr);
			continue;
		}

		next = min(end, ALIGN_DOWN(addr, VSVM_BLOCK_SIZE) +
			   VSVM_BLOCK_SIZE);
		found += replace_in_block_if(radix, addr,
					     (next - addr) >> PAGE_SHIFT, word,
					     match, data);
		if (!word)
			prune(radix, addr);
	}

	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_replace_if);

/**
 * vsvm_radix_load() - Look up a page's word
 * @radix: The tree
 * @addr: An address in the page
 *
 * Needs no lock. Nodes that are being freed stay for as long as it takes.
 *
 * Return: the word, zero if the page has none.
 */
u64 vsvm_radix_load(const struct vsvm_radix *radix, unsigned long addr)
{
	u64 *slot, word;

	if (addr >> DRM_VSVM_VA_BITS)
		return 0;

	guard(rcu)();

	slot = find_slot(radix, addr, 0);
	if (slot)
		/* Pairs with the release in set_slot(), of a store in another tree too. */
		return smp_load_acquire(slot);

	slot = find_slot(radix, addr, 1);
	if (!slot)
		return 0;

	/* Pairs with the release in add_node(): a block may have been split. */
	word = smp_load_acquire(slot);
	if (is_node(word))
		/* As above. */
		return smp_load_acquire(&to_node(word)->slots[slot_index(addr, 0)]);

	return word ? leaf_at(word, slot_index(addr, 0)) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_radix_load);
