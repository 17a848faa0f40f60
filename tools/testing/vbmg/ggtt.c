// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "ggtt.h"
#include "ppgtt.h"
#include "vbmg.h"

/* A piece of one page; system memory is pinned */
struct ggtt_piece {
	u8 *host;
	bool pinned;
};

static bool ggtt_get(struct vbmg *dev, u32 addr, size_t len, bool write, struct ggtt_piece *piece)
{
	struct translation t;
	u64 physical;

	if (ggtt_walk((const u64 *)(dev->bar0 + GGTT_OFFSET), GGTT_ENTRIES, addr, &t))
		return false;
	physical = translation_address(&t, addr);
	piece->pinned = t.aperture == APERTURE_SYSTEM;
	if (piece->pinned)
		piece->host = dma_pin(&dev->dma, physical, len, write);
	else if (physical <= dev->config.vram_size - len)
		piece->host = dev->vram + physical;
	else
		piece->host = NULL;
	return piece->host;
}

static void ggtt_put(struct vbmg *dev, const struct ggtt_piece *piece)
{
	if (piece->pinned)
		dma_unpin(&dev->dma);
}

static size_t ggtt_page_rest(u32 addr, size_t len)
{
	size_t rest = SZ_4K - addr % SZ_4K;

	return min(rest, len);
}

int ggtt_read(struct vbmg *dev, u32 addr, void *buf, size_t len)
{
	struct ggtt_piece piece;
	u8 *to = buf;

	while (len) {
		size_t n = ggtt_page_rest(addr, len);

		if (!ggtt_get(dev, addr, n, false, &piece))
			return -EFAULT;
		memcpy(to, piece.host, n);
		ggtt_put(dev, &piece);
		to += n;
		addr += (u32)n;
		len -= n;
	}
	return 0;
}

int ggtt_write(struct vbmg *dev, u32 addr, const void *buf, size_t len)
{
	struct ggtt_piece piece;
	const u8 *from = buf;

	while (len) {
		size_t n = ggtt_page_rest(addr, len);

		if (!ggtt_get(dev, addr, n, true, &piece))
			return -EFAULT;
		memcpy(piece.host, from, n);
		ggtt_put(dev, &piece);
		from += n;
		addr += (u32)n;
		len -= n;
	}
	return 0;
}

int ggtt_load(struct vbmg *dev, u32 addr, u32 *value)
{
	struct ggtt_piece piece;

	if (addr % 4 || !ggtt_get(dev, addr, 4, false, &piece))
		return -EFAULT;
	*value = __atomic_load_n((u32 *)piece.host, __ATOMIC_ACQUIRE);
	ggtt_put(dev, &piece);
	return 0;
}

int ggtt_store(struct vbmg *dev, u32 addr, u32 value)
{
	struct ggtt_piece piece;

	if (addr % 4 || !ggtt_get(dev, addr, 4, true, &piece))
		return -EFAULT;
	__atomic_store_n((u32 *)piece.host, value, __ATOMIC_RELEASE);
	ggtt_put(dev, &piece);
	return 0;
}
