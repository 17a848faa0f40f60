/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory as the device may reach it: what DMA_MAP messages gave and
 * DMA_UNMAP has not taken back. Addresses are those that the device puts on the
 * bus, so a virtual IOMMU needs nothing more.
 *
 * Readers (engines, the GuC) pin a piece while they use it; an unmap waits for
 * the pins, so its reply means what it says.
 */
#ifndef VBMG_DMA_H
#define VBMG_DMA_H

#include <pthread.h>

#include "types.h"

/*
 * Guest memory is a few files, of which a virtual IOMMU maps many pieces: each
 * file is mapped once, whole, while a piece of it is.
 */
struct dma_file {
	u64 device;
	u64 inode;
	u64 size;
	u8 *host;
	u32 prot;		/* as mapped: PROT_* */
	size_t pieces;
};

struct dma_map {
	u64 iova;
	u64 size;
	u8 *host;		/* NULL: no file descriptor came with it */
	struct dma_file *file;	/* of host */
	bool readable;
	bool writable;
};

/*
 * A window of the bus that is no guest memory but the VRAM of another instance
 * in this process: peer-to-peer.
 */
struct dma_peer {
	u64 (*address)(void *arg);	/* where it is now, 0: nowhere */
	void *arg;
	u8 *host;
	u64 size;
};

#define DMA_PEERS	8
#define DMA_FILES	16

struct dma_stats {
	u64 refused;		/* accesses to what was not mapped */
};

struct dma {
	pthread_rwlock_t lock;
	struct dma_map *maps;	/* sorted by iova, disjoint */
	size_t count;
	size_t space;
	struct dma_file files[DMA_FILES];
	struct dma_peer peers[DMA_PEERS];
	size_t n_peers;
	struct dma_stats stats;
};

int dma_init(struct dma *dma);
void dma_destroy(struct dma *dma);

/* @fd may be -1, and stays the caller's. 0 or -errno */
int dma_map_add(struct dma *dma, u64 iova, u64 size, int fd, u64 offset, u32 prot);
/* All maps inside, which may be none; -EINVAL if one is only partly inside */
int dma_map_remove(struct dma *dma, u64 iova, u64 size);
void dma_map_remove_all(struct dma *dma);

int dma_add_peer(struct dma *dma, const struct dma_peer *peer);

/*
 * Host address of [addr, addr + len), or NULL if that isn't one mapped piece
 * with this access. Valid until dma_unpin(); one thread may hold several.
 */
void *dma_pin(struct dma *dma, u64 addr, size_t len, bool write);
void dma_unpin(struct dma *dma);

#endif
