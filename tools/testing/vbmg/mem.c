// SPDX-License-Identifier: MIT
/*
 * An access goes through a window: a piece of one page, translated, and held
 * together with the TLB's lock until the bytes have moved.
 */
#include <errno.h>
#include <string.h>

#include "mem.h"

#define MAX_WINDOW	SZ_64K	/* bounds how long an invalidation can wait */
#define MAX_COPIED_BY_QWORD SZ_4K	/* beyond it the C library is as fast */
#define PROBE_STEP	SZ_64K	/* how far apart a blitter has pages in flight */
#define AUDIT_PAUSE	(19200000 / 20) /* engine clock; an audit costs as much as some accesses */

enum mem_kind {
	KIND_HOST,	/* at window->host */
	KIND_NULL,	/* reads 0, swallows writes */
	KIND_MESSAGE,	/* reached by ops->copy() only */
	KIND_ABSENT,	/* nothing answers on the bus: reads ones, swallows writes */
};

struct window {
	enum mem_kind kind;
	u8 *host;
	u64 phys;
	size_t len;
	bool pinned;
};

static void *device(struct engine *e)
{
	return e->parent->config.dev;
}

static const struct engine_ops *ops(struct engine *e)
{
	return e->parent->config.ops;
}

static bool allows(const struct translation *t, enum fault_access access)
{
	if (access == FAULT_WRITE)
		return t->writable;
	if (access == FAULT_ATOMIC)
		return t->writable && t->atomic;
	return true;
}

/* The report for an access that the page table doesn't serve; @t if there is a page */
static int note_fault(struct engine *e, u64 va, enum fault_access access, u32 level,
		      const struct translation *t)
{
	struct fault_report *f;

	if (e->n_faults == MAX_FAULTS)
		return -EFAULT;
	f = &e->faults[e->n_faults++];
	*f = (struct fault_report) {
		.va = va & ~(SZ_4K - 1),
		.asid = e->ctx->lrc.asid,
		.access = access,
		.type = FAULT_NOT_PRESENT,
		.level = level,
		.engine_class = e->class,
		.engine_instance = e->instance,
	};
	if (t)
		f->type = t->writable ? FAULT_ATOMIC_VIOLATION : FAULT_WRITE_VIOLATION;
	return -EFAULT;
}

static int walk(struct engine *e, enum mem_space space, u64 va, struct translation *t,
		u32 *level)
{
	const struct engine_config *config = &e->parent->config;

	*level = 0;
	/* The driver's own queues may have no address space at all */
	if (space == MEM_PPGTT && !(e->ctx->lrc.root & ~(SZ_4K - 1)))
		return -EIO;
	if (space == MEM_PPGTT)
		return ppgtt_walk(&e->parent->vram, e->ctx->lrc.root, va, t, level);
	/* The global table has no faults that could be repaired */
	return ggtt_walk(config->ggtt, config->ggtt_entries, va, t) ? -EIO : 0;
}

static void tell_overdue(struct engine *e, const struct tlb_entry *entry, u64 va)
{
	count(e->stats.stale_accesses, 1);
	log_warn("%s: driver bug: asid %u va %#llx still cached 2 s after its PTE changed: no invalidation covered it",
		 e->name, entry->asid, (unsigned long long)va);
}

/* False if the entry can't be used any more */
static bool still_good(struct engine *e, enum mem_space space, u64 va, struct tlb_entry *entry)
{
	struct translation now;
	u32 level;
	int ret = walk(e, space, va, &now, &level);

	switch (tlb_check(entry, va, ret ? NULL : &now, engine_clock())) {
	case TLB_GOOD:
		return true;
	case TLB_STALE:
		trace(TRACE_TLB, "%s asid %u va %#llx: used while stale", e->name, entry->asid,
		      (unsigned long long)va);
		return true;
	case TLB_OVERDUE:
		break;
	}
	tell_overdue(e, entry, va);
	return false;
}

static void audit_entry(struct engine *e, struct tlb_entry *entry, u64 clock)
{
	struct translation now;
	u32 level;
	u64 va;
	int ret;

	if (!entry->valid || entry->asid == TLB_ASID_GGTT ||
	    !asid_is_served(e->parent, entry->asid))
		return;
	va = tlb_entry_va(&e->tlb, entry);
	ret = ppgtt_walk(&e->parent->vram, entry->root, va, &now, &level);
	if (tlb_check(entry, va, ret ? NULL : &now, clock) == TLB_OVERDUE)
		tell_overdue(e, entry, va);
}

void mem_forget_unserved(struct engine *e)
{
	pthread_mutex_lock(&e->tlb_lock);
	for (struct tlb_entry *entry = NULL; (entry = tlb_next(&e->tlb, entry));) {
		if (!asid_is_served(e->parent, entry->asid))
			entry->valid = false;
	}
	pthread_mutex_unlock(&e->tlb_lock);
}

void mem_audit_tlb(struct engine *e)
{
	u64 clock = engine_clock();

	if (clock - e->audited_at < AUDIT_PAUSE)
		return;
	e->audited_at = clock;
	for (struct tlb_entry *entry = NULL; (entry = tlb_next(&e->tlb, entry));)
		audit_entry(e, entry, clock);
}

static int translate(struct engine *e, enum mem_space space, u64 va, enum fault_access access,
		     struct translation *t)
{
	u32 asid = space == MEM_GGTT ? TLB_ASID_GGTT : e->ctx->lrc.asid;
	struct tlb_entry *entry = tlb_lookup(&e->tlb, asid, va);
	u32 level;
	int ret;

	if (entry && allows(&entry->t, access) && still_good(e, space, va, entry)) {
		*t = entry->t;
		return 0;
	}
	ret = walk(e, space, va, t, &level);
	if (ret == -EFAULT)
		return note_fault(e, va, access, level, NULL);
	if (ret) {
		log_warn("%s: %s address %#llx has no valid translation", e->name,
			 space == MEM_GGTT ? "GGTT" : "PPGTT", (unsigned long long)va);
		return ret;
	}
	if (!allows(t, access))
		return space == MEM_GGTT ? -EIO : note_fault(e, va, access, level, t);
	tlb_insert(&e->tlb, asid, va, space == MEM_PPGTT ? e->ctx->lrc.root : 0, t);
	return 0;
}

static void find_in_vram(struct engine *e, struct window *w)
{
	const struct vram *vram = &e->parent->vram;

	w->kind = KIND_ABSENT;
	if (w->phys >= vram->size)
		return;
	w->len = min(w->len, vram->size - w->phys);
	w->host = vram->base + w->phys;
	w->kind = KIND_HOST;
}

static void find_in_system(struct engine *e, struct window *w, bool write)
{
	/* Guest memory is contiguous by page at least, whatever the PTE's size */
	w->len = min(w->len, SZ_4K - (w->phys & (SZ_4K - 1)));
	w->host = ops(e)->pin(device(e), w->phys, w->len, write);
	w->pinned = w->host;
	if (w->host)
		w->kind = KIND_HOST;
	else
		w->kind = ops(e)->copy ? KIND_MESSAGE : KIND_ABSENT;
}

static int window_open(struct engine *e, enum mem_space space, u64 va, u64 len,
		       enum fault_access access, struct window *w)
{
	struct translation t;
	int ret = translate(e, space, va, access, &t);
	u64 page;

	if (ret)
		return ret;
	page = 1ull << t.shift;
	*w = (struct window) {
		.phys = translation_address(&t, va),
		.len = min(min(len, MAX_WINDOW), page - (va & (page - 1))),
	};
	if (t.aperture == APERTURE_NULL)
		w->kind = KIND_NULL;
	else if (t.aperture == APERTURE_VRAM)
		find_in_vram(e, w);
	else
		find_in_system(e, w, access != FAULT_READ);
	if (w->kind == KIND_ABSENT)
		log_warn("%s: driver bug: va %#llx leads to %s address %#llx, where nothing is",
			 e->name, (unsigned long long)va,
			 t.aperture == APERTURE_VRAM ? "VRAM" : "bus",
			 (unsigned long long)w->phys);
	return 0;
}

static void window_close(struct engine *e, struct window *w)
{
	if (w->pinned)
		ops(e)->unpin(device(e), w->host);
}

static bool aligned(const void *p, size_t size)
{
	return !((uintptr_t)p & (size - 1));
}

/* What other processors poll for must appear whole: dwords and qwords are one store */
static void host_move(void *dst, const void *src, size_t len)
{
	if (len == 4 && aligned(dst, 4) && aligned(src, 4))
		__atomic_store_n((u32 *)dst, __atomic_load_n((const u32 *)src, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
	else if (len == 8 && aligned(dst, 8) && aligned(src, 8))
		__atomic_store_n((u64 *)dst, __atomic_load_n((const u64 *)src, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
	else
		memmove(dst, src, len);
}

static void window_message(struct engine *e, const struct window *w, void *buf, size_t len,
			   bool write)
{
	if (!ops(e)->copy(device(e), w->phys, buf, len, write))
		return;
	log_warn("%s: driver bug: %s at bus address %#llx, where nothing is mapped", e->name,
		 write ? "write" : "read", (unsigned long long)w->phys);
	if (!write)
		memset(buf, 0xff, len);
}

static void window_read(struct engine *e, const struct window *w, void *buf, size_t len)
{
	switch (w->kind) {
	case KIND_HOST:
		host_move(buf, w->host, len);
		break;
	case KIND_NULL:
		memset(buf, 0, len);
		break;
	case KIND_MESSAGE:
		window_message(e, w, buf, len, false);
		break;
	case KIND_ABSENT:
		memset(buf, 0xff, len);
		break;
	}
}

static void window_write(struct engine *e, const struct window *w, const void *buf, size_t len)
{
	u8 copy[SZ_4K];

	if (w->kind == KIND_HOST) {
		host_move(w->host, buf, len);
	} else if (w->kind == KIND_MESSAGE) {
		memcpy(copy, buf, len);
		window_message(e, w, copy, len, true);
	}
}

static int access_piece(struct engine *e, enum mem_space space, u64 va, void *buf, u64 *len,
			bool write)
{
	struct window w;
	int ret = window_open(e, space, va, *len, write ? FAULT_WRITE : FAULT_READ, &w);

	if (ret)
		return ret;
	if (write)
		window_write(e, &w, buf, w.len);
	else
		window_read(e, &w, buf, w.len);
	window_close(e, &w);
	*len = w.len;
	return 0;
}

/* A short access may cross into a page that faults: then the whole is repeated */
static int access_all(struct engine *e, enum mem_space space, u64 va, u8 *buf, size_t len,
		      bool write)
{
	int ret = 0;

	pthread_mutex_lock(&e->tlb_lock);
	while (len && !ret) {
		u64 n = len;

		ret = access_piece(e, space, va, buf, &n, write);
		if (ret)
			break;
		va += n;
		buf += n;
		len -= n;
	}
	pthread_mutex_unlock(&e->tlb_lock);
	return ret;
}

int mem_read(struct engine *e, enum mem_space space, u64 va, void *buf, size_t len)
{
	return access_all(e, space, va, buf, len, false);
}

int mem_write(struct engine *e, enum mem_space space, u64 va, const void *buf, size_t len)
{
	int ret = engine_settle(e);

	return ret ? ret : mem_write_early(e, space, va, buf, len);
}

int mem_write_early(struct engine *e, enum mem_space space, u64 va, const void *buf, size_t len)
{
	return access_all(e, space, va, (u8 *)buf, len, true);
}

static bool exchange32(void *p, const struct mem_value *old, const struct mem_value *new)
{
	u32 expected = (u32)old->lo;

	return __atomic_compare_exchange_n((u32 *)p, &expected, (u32)new->lo, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool exchange64(void *p, const struct mem_value *old, const struct mem_value *new)
{
	u64 expected = old->lo;

	return __atomic_compare_exchange_n((u64 *)p, &expected, new->lo, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool exchange128(void *p, const struct mem_value *old, const struct mem_value *new)
{
	u64 lo = old->lo, hi = old->hi;
	bool same;

	__asm__ volatile("lock cmpxchg16b %1"
		     : "=@ccz"(same), "+m"(*(unsigned __int128 *)p), "+a"(lo), "+d"(hi)
		     : "b"(new->lo), "c"(new->hi)
		     : "memory");
	return same;
}

static bool exchange(void *p, u32 size, const struct mem_value *old, const struct mem_value *new)
{
	if (size == 4)
		return exchange32(p, old, new);
	return size == 8 ? exchange64(p, old, new) : exchange128(p, old, new);
}

static void load_value(const void *p, u32 size, struct mem_value *v)
{
	*v = (struct mem_value) { 0 };
	if (size == 4) {
		v->lo = __atomic_load_n((const u32 *)p, __ATOMIC_ACQUIRE);
		return;
	}
	v->lo = __atomic_load_n((const u64 *)p, __ATOMIC_ACQUIRE);
	if (size == 16)
		v->hi = __atomic_load_n((const u64 *)p + 1, __ATOMIC_ACQUIRE);
}

/* Memory without a host address has no atomics that others would see */
static void window_atomic(struct engine *e, struct window *w, u32 size,
			  bool (*change)(void *, const struct mem_value *, struct mem_value *),
			  void *arg, struct mem_value *old)
{
	struct mem_value new;

	if (w->kind != KIND_HOST) {
		*old = (struct mem_value) { 0 };
		window_read(e, w, old, size);
		new = *old;
		if (change(arg, old, &new))
			window_write(e, w, &new, size);
		return;
	}
	do {
		load_value(w->host, size, old);
		new = *old;
		if (!change(arg, old, &new))
			return;
	} while (!exchange(w->host, size, old, &new));
}

int mem_atomic(struct engine *e, enum mem_space space, u64 va, u32 size,
	       bool (*change)(void *arg, const struct mem_value *old, struct mem_value *new),
	       void *arg, struct mem_value *old)
{
	int ret = engine_settle(e);
	struct window w;

	if (ret)
		return ret;
	va &= ~(u64)(size - 1);
	pthread_mutex_lock(&e->tlb_lock);
	ret = window_open(e, space, va, size, FAULT_ATOMIC, &w);
	if (!ret) {
		window_atomic(e, &w, size, change, arg, old);
		window_close(e, &w);
	}
	pthread_mutex_unlock(&e->tlb_lock);
	return ret;
}

/*
 * A page at a time is what migration copies. Some C libraries do that by string
 * instructions, which on some processors take four times as long to begin with.
 */
static void host_copy(u8 *dst, const u8 *src, size_t len)
{
	const u64 *from = (const u64 *)src;
	u64 *to = (u64 *)dst;

	if (len > MAX_COPIED_BY_QWORD || len % 64 || !aligned(src, 8) || !aligned(dst, 8) ||
	    (dst < src + len && src < dst + len)) {
		memmove(dst, src, len);
		return;
	}
	for (size_t i = 0; i < len / 8; i += 8) {
		u64 line[8];

		for (u32 j = 0; j < 8; j++)
			line[j] = from[i + j];
		for (u32 j = 0; j < 8; j++)
			to[i + j] = line[j];
	}
}

static void window_copy(struct engine *e, struct window *dst, struct window *src, size_t len)
{
	u8 bounce[SZ_4K];

	if (dst->kind == KIND_HOST && src->kind == KIND_HOST) {
		host_copy(dst->host, src->host, len);
		return;
	}
	if (dst->kind == KIND_HOST) {
		window_read(e, src, dst->host, len);
		return;
	}
	if (dst->kind != KIND_MESSAGE)
		return;
	window_read(e, src, bounce, len);
	window_write(e, dst, bounce, len);
}

/* One piece of a copy, *len bytes at most; *len is how many it was */
static int copy_piece(struct engine *e, u64 dst_va, u64 src_va, u64 *len)
{
	struct window src, dst;
	int ret = window_open(e, MEM_PPGTT, src_va, *len, FAULT_READ, &src);

	if (ret)
		return ret;
	ret = window_open(e, MEM_PPGTT, dst_va, src.len, FAULT_WRITE, &dst);
	if (!ret) {
		*len = dst.len;
		window_copy(e, &dst, &src, dst.len);
		window_close(e, &dst);
	}
	window_close(e, &src);
	return ret;
}

/*
 * A blitter runs ahead of a missing page: report what else of its range is
 * missing, too. @va has a fault already.
 */
static void probe_ahead(struct engine *e, u64 va, u64 len, enum fault_access access)
{
	u64 end = va + len;
	struct translation t;

	for (va = (va | (PROBE_STEP - 1)) + 1; va && va < end; va += PROBE_STEP) {
		u32 level;
		int ret;

		if (e->n_faults == MAX_FAULTS)
			return;
		ret = walk(e, MEM_PPGTT, va, &t, &level);

		if (ret == -EFAULT && level == 0)
			note_fault(e, va, access, level, NULL);
		else if (ret)
			return;
	}
}

static void probe_copy(struct engine *e, u64 dst, u64 src, u64 len)
{
	struct translation t;
	u32 level;

	if (e->faults[0].access == FAULT_READ &&
	    walk(e, MEM_PPGTT, dst, &t, &level) == -EFAULT)
		note_fault(e, dst, FAULT_WRITE, level, NULL);
	probe_ahead(e, src, len, FAULT_READ);
	probe_ahead(e, dst, len, FAULT_WRITE);
}

int mem_copy(struct engine *e, u64 dst, u64 src, u64 len, u64 *done)
{
	while (*done < len) {
		u64 begin = engine_begin(e, LATENCY_COPY);
		u64 n = len - *done;
		int ret;

		if (flagged(&e->attention))
			return -EINTR;
		pthread_mutex_lock(&e->tlb_lock);
		ret = copy_piece(e, dst + *done, src + *done, &n);
		if (ret == -EFAULT)
			probe_copy(e, dst + *done, src + *done, len - *done);
		pthread_mutex_unlock(&e->tlb_lock);
		if (ret)
			return ret;
		*done += n;
		engine_end_bytes(e, LATENCY_COPY, begin, n);
		count(e->stats.bytes_copied, n);
	}
	return 0;
}

/* @phase: how far into the pattern the piece starts */
static void fill_bytes(u8 *dst, size_t len, const u8 *pattern, u32 size, u64 phase)
{
	if (size == 1) {
		memset(dst, *pattern, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		dst[i] = pattern[(phase + i) % size];
}

static void window_fill(struct engine *e, struct window *w, const u8 *pattern, u32 size,
			u64 phase)
{
	u8 bounce[SZ_4K];

	if (w->kind == KIND_HOST) {
		fill_bytes(w->host, w->len, pattern, size, phase);
	} else if (w->kind == KIND_MESSAGE) {
		fill_bytes(bounce, w->len, pattern, size, phase);
		window_write(e, w, bounce, w->len);
	}
}

int mem_fill(struct engine *e, u64 dst, u64 len, const void *pattern, u32 size, u64 *done)
{
	struct window w;

	while (*done < len) {
		u64 begin = engine_begin(e, LATENCY_COPY);
		int ret;

		if (flagged(&e->attention))
			return -EINTR;
		pthread_mutex_lock(&e->tlb_lock);
		ret = window_open(e, MEM_PPGTT, dst + *done, len - *done, FAULT_WRITE, &w);
		if (!ret) {
			window_fill(e, &w, pattern, size, *done);
			window_close(e, &w);
		} else if (ret == -EFAULT) {
			probe_ahead(e, dst + *done, len - *done, FAULT_WRITE);
		}
		pthread_mutex_unlock(&e->tlb_lock);
		if (ret)
			return ret;
		*done += w.len;
		engine_end_bytes(e, LATENCY_COPY, begin, w.len);
		count(e->stats.bytes_copied, w.len);
	}
	return 0;
}
