// SPDX-License-Identifier: MIT
/*
 * The DMA map table. A client maps and unmaps in pieces of its own choice, yet
 * always unmaps exactly what it once mapped, or everything; anything else is
 * refused. The array stays sorted, so that a lookup is a bisection: a guest has
 * a handful of maps without an IOMMU and thousands with one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"
#include "log.h"
#include "vfu-proto.h"

int dma_init(struct dma *dma)
{
	pthread_rwlockattr_t attr;
	int err;

	memset(dma, 0, sizeof(*dma));
	/* An engine that holds one pin must get a second one while an unmap waits */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_READER_NP);
	err = pthread_rwlock_init(&dma->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -err;
}

void dma_destroy(struct dma *dma)
{
	dma_map_remove_all(dma);
	free(dma->maps);
	pthread_rwlock_destroy(&dma->lock);
}

/* Index of the first map that ends behind @addr */
static size_t dma_find(const struct dma *dma, u64 addr)
{
	size_t low = 0, high = dma->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct dma_map *map = &dma->maps[middle];

		if (map->iova + (map->size - 1) < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int dma_grow(struct dma *dma)
{
	size_t space = dma->space ? dma->space * 2 : 64;
	struct dma_map *maps;

	if (dma->count < dma->space)
		return 0;
	maps = realloc(dma->maps, space * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	dma->maps = maps;
	dma->space = space;
	return 0;
}

static int dma_insert(struct dma *dma, const struct dma_map *map)
{
	size_t i = dma_find(dma, map->iova);
	int err;

	if (i < dma->count && dma->maps[i].iova <= map->iova + (map->size - 1))
		return -EEXIST;
	err = dma_grow(dma);
	if (err)
		return err;
	memmove(&dma->maps[i + 1], &dma->maps[i], (dma->count - i) * sizeof(*map));
	dma->maps[i] = *map;
	dma->count++;
	return 0;
}

static int dma_mmap(struct dma_map *map, int fd, u64 offset, u32 prot)
{
	int mmap_prot = prot & VFU_DMA_WRITABLE ? PROT_READ | PROT_WRITE : PROT_READ;
	void *host;

	host = mmap(NULL, map->size, mmap_prot, MAP_SHARED, fd, (off_t)offset);
	if (host == MAP_FAILED)
		return -errno;
	map->host = host;
	return 0;
}

static void dma_unmap(const struct dma_map *map)
{
	if (map->host)
		munmap(map->host, map->size);
}

int dma_map_add(struct dma *dma, u64 iova, u64 size, int fd, u64 offset, u32 prot)
{
	struct dma_map map = {
		.iova = iova,
		.size = size,
		.readable = prot & VFU_DMA_READABLE,
		.writable = prot & VFU_DMA_WRITABLE,
	};
	int err;

	if (!size || iova + (size - 1) < iova || (s64)offset < 0)
		return -EINVAL;
	if (fd >= 0) {
		err = dma_mmap(&map, fd, offset, prot);
		if (err)
			return err;
	}
	pthread_rwlock_wrlock(&dma->lock);
	err = dma_insert(dma, &map);
	pthread_rwlock_unlock(&dma->lock);
	if (err)
		dma_unmap(&map);
	return err;
}

int dma_map_remove(struct dma *dma, u64 iova, u64 size)
{
	int err = -ENOENT;
	size_t i;

	pthread_rwlock_wrlock(&dma->lock);
	i = dma_find(dma, iova);
	if (i < dma->count && dma->maps[i].iova == iova && dma->maps[i].size == size) {
		dma_unmap(&dma->maps[i]);
		dma->count--;
		memmove(&dma->maps[i], &dma->maps[i + 1], (dma->count - i) * sizeof(dma->maps[0]));
		err = 0;
	}
	pthread_rwlock_unlock(&dma->lock);
	return err;
}

void dma_map_remove_all(struct dma *dma)
{
	pthread_rwlock_wrlock(&dma->lock);
	for (size_t i = 0; i < dma->count; i++)
		dma_unmap(&dma->maps[i]);
	dma->count = 0;
	pthread_rwlock_unlock(&dma->lock);
}

int dma_add_peer(struct dma *dma, const struct dma_peer *peer)
{
	if (dma->n_peers == DMA_PEERS)
		return -ENOSPC;
	dma->peers[dma->n_peers++] = *peer;
	return 0;
}

static void *dma_find_peer(const struct dma *dma, u64 addr, size_t len)
{
	for (size_t i = 0; i < dma->n_peers; i++) {
		const struct dma_peer *peer = &dma->peers[i];
		u64 base = peer->address(peer->arg);

		if (base && addr >= base && addr - base <= peer->size &&
		    len <= peer->size - (addr - base))
			return peer->host + (addr - base);
	}
	return NULL;
}

static void *dma_find_host(const struct dma *dma, u64 addr, size_t len, bool write)
{
	size_t i = dma_find(dma, addr);
	const struct dma_map *map = &dma->maps[i];

	if (i == dma->count || map->iova > addr)
		return dma_find_peer(dma, addr, len);
	if (len > map->size - (addr - map->iova))
		return NULL;
	if (write ? !map->writable : !map->readable)
		return NULL;
	/* The client can't share the BAR of another device: we know our own */
	return map->host ? map->host + (addr - map->iova) : dma_find_peer(dma, addr, len);
}

void *dma_pin(struct dma *dma, u64 addr, size_t len, bool write)
{
	void *host;

	pthread_rwlock_rdlock(&dma->lock);
	host = dma_find_host(dma, addr, len, write);
	if (host)
		return host;
	pthread_rwlock_unlock(&dma->lock);
	__atomic_add_fetch(&dma->stats.refused, 1, __ATOMIC_RELAXED);
	log_warn("DMA %s of %zu bytes at 0x%llx: not mapped", write ? "write" : "read", len,
		 (unsigned long long)addr);
	return NULL;
}

void dma_unpin(struct dma *dma)
{
	pthread_rwlock_unlock(&dma->lock);
}
