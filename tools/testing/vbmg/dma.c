// SPDX-License-Identifier: MIT
/*
 * The DMA map table. A client maps in pieces of its own choice and unmaps one or
 * several of them at a time, never half a one (as VFIO has it). The array stays
 * sorted, so that a lookup is a bisection: a guest has a handful of maps without
 * an IOMMU and tens of thousands with one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static struct dma_file *dma_find_file(struct dma *dma, const struct stat *st, u32 prot)
{
	for (size_t i = 0; i < DMA_FILES; i++) {
		struct dma_file *file = &dma->files[i];

		if (file->pieces && file->device == st->st_dev && file->inode == st->st_ino &&
		    file->size == (u64)st->st_size && (file->prot & prot) == prot)
			return file;
	}
	return NULL;
}

static struct dma_file *dma_map_file(struct dma *dma, int fd, const struct stat *st, u32 prot)
{
	for (size_t i = 0; i < DMA_FILES; i++) {
		struct dma_file *file = &dma->files[i];
		void *host;

		if (file->pieces)
			continue;
		host = mmap(NULL, (size_t)st->st_size, (int)prot, MAP_SHARED, fd, 0);
		if (host == MAP_FAILED)
			return NULL;
		*file = (struct dma_file){
			.device = st->st_dev, .inode = st->st_ino, .size = (u64)st->st_size,
			.host = host, .prot = prot,
		};
		return file;
	}
	errno = ENOSPC;
	return NULL;
}

static void dma_put_file(struct dma_file *file)
{
	if (file && !--file->pieces)
		munmap(file->host, file->size);
}

/* What lies beyond the end of the file would be a bus error: refuse it now */
static int dma_get_file(struct dma *dma, struct dma_map *map, int fd, u64 offset)
{
	u32 prot = map->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct dma_file *file;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (offset > (u64)st.st_size || map->size > (u64)st.st_size - offset)
		return -EINVAL;
	file = dma_find_file(dma, &st, prot);
	if (!file)
		file = dma_map_file(dma, fd, &st, prot);
	if (!file)
		return -errno;
	file->pieces++;
	map->file = file;
	map->host = file->host + offset;
	return 0;
}

static int dma_map_add_locked(struct dma *dma, struct dma_map *map, int fd, u64 offset)
{
	int err = 0;

	if (fd >= 0)
		err = dma_get_file(dma, map, fd, offset);
	if (err)
		return err;
	err = dma_insert(dma, map);
	if (err)
		dma_put_file(map->file);
	return err;
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

	if (!size || iova + (size - 1) < iova)
		return -EINVAL;
	pthread_rwlock_wrlock(&dma->lock);
	err = dma_map_add_locked(dma, &map, fd, offset);
	pthread_rwlock_unlock(&dma->lock);
	return err;
}

static void dma_remove_locked(struct dma *dma, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		dma_put_file(dma->maps[i].file);
	dma->count -= count;
	memmove(&dma->maps[first], &dma->maps[first + count],
		(dma->count - first) * sizeof(dma->maps[0]));
}

static int dma_map_remove_locked(struct dma *dma, u64 iova, u64 last)
{
	size_t first = dma_find(dma, iova), end = first;

	for (; end < dma->count && dma->maps[end].iova <= last; end++) {
		const struct dma_map *map = &dma->maps[end];

		if (map->iova < iova || map->iova + (map->size - 1) > last)
			return -EINVAL;
	}
	if (end > first)
		dma_remove_locked(dma, first, end - first);
	return 0;
}

int dma_map_remove(struct dma *dma, u64 iova, u64 size)
{
	int err;

	if (!size || iova + (size - 1) < iova)
		return -EINVAL;
	pthread_rwlock_wrlock(&dma->lock);
	err = dma_map_remove_locked(dma, iova, iova + (size - 1));
	pthread_rwlock_unlock(&dma->lock);
	return err;
}

void dma_map_remove_all(struct dma *dma)
{
	pthread_rwlock_wrlock(&dma->lock);
	if (dma->count)
		dma_remove_locked(dma, 0, dma->count);
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
	const struct dma_map *map;

	if (i == dma->count || dma->maps[i].iova > addr)
		return dma_find_peer(dma, addr, len);
	map = &dma->maps[i];
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
