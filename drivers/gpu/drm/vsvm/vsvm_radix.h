/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_RADIX_H_
#define _VSVM_RADIX_H_

#include <linux/bits.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <drm/vsvm_drm.h>

#define VSVM_RADIX_BITS		9
#define VSVM_RADIX_SLOTS	BIT(VSVM_RADIX_BITS)
#define VSVM_RADIX_LEVELS \
	DIV_ROUND_UP(DRM_VSVM_VA_BITS - PAGE_SHIFT, VSVM_RADIX_BITS)

/* What one slot of the last but one level covers. */
#define VSVM_BLOCK_SIZE		(PAGE_SIZE << VSVM_RADIX_BITS)

/* A word is a leaf, not a pointer to a node. */
#define VSVM_LEAF		BIT_ULL(0)
/* A leaf's word grows by PAGE_SIZE from one page to the next. */
#define VSVM_LEAF_CONTIG	BIT_ULL(1)

struct vsvm_radix_node;

/**
 * struct vsvm_radix - Words by virtual page, the shape of a page table
 *
 * Each page has a word of 64 bits, zero if there is none. The lowest two bits
 * of a word are the tree's; its user has the others. Pages that make up a block
 * can share one word a level up.
 *
 * A node goes with the last of its words, so the tree is as large as what it
 * holds. Readers need no lock: a node that they may have found stays for an RCU
 * grace period. Taking words away needs no memory. Nodes are charged to the memory
 * cgroup of the caller.
 *
 * @lock: Serialises changes
 * @root: The topmost node
 * @num_nodes: Nodes below
 */
struct vsvm_radix {
	spinlock_t lock;
	struct vsvm_radix_node *root;
	unsigned long num_nodes;
};

/**
 * struct vsvm_radix_batch - Nodes allocated before a lock is taken
 * @first: The first node
 * @num_nodes: How many there are
 */
struct vsvm_radix_batch {
	struct vsvm_radix_node *first;
	unsigned int num_nodes;
};

int vsvm_radix_module_init(void);
void vsvm_radix_module_exit(void);

int vsvm_radix_init(struct vsvm_radix *radix);
void vsvm_radix_fini(struct vsvm_radix *radix);

int vsvm_radix_prepare(struct vsvm_radix *radix, unsigned long start,
		       unsigned long end, struct vsvm_radix_batch *batch);
void vsvm_radix_finish(struct vsvm_radix_batch *batch);

int vsvm_radix_store(struct vsvm_radix *radix, struct vsvm_radix_batch *batch,
		     unsigned long start, unsigned long npages, u64 word);
unsigned long vsvm_radix_replace(struct vsvm_radix *radix, unsigned long start,
				 unsigned long end, u64 word);
unsigned long vsvm_radix_replace_if(struct vsvm_radix *radix, unsigned long start,
				    unsigned long end, u64 word,
				    bool (*match)(u64 word, const void *data),
				    const void *data);
u64 vsvm_radix_load(const struct vsvm_radix *radix, unsigned long addr);

#endif
