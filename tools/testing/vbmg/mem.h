/* SPDX-License-Identifier: MIT */
/*
 * Memory as an engine sees it: virtual addresses in, bytes out.
 *
 * All return 0; -EFAULT if the page has to be faulted in first, which
 * fault_resolve() asks the host for; -EIO if nothing can help; a copy or fill
 * also -EINTR if the engine should look at something else first. After -EFAULT
 * and -EINTR the command is executed again, so a command either does all its
 * accesses before it changes anything, or keeps in ctx->done how far it got.
 * What writes may also sleep, see engine-time.c; -ECANCELED: not to the end.
 */
#ifndef VBMG_MEM_H
#define VBMG_MEM_H

#include "engine-private.h"

int mem_read(struct engine *e, enum mem_space space, u64 va, void *buf, size_t len);
int mem_write(struct engine *e, enum mem_space space, u64 va, const void *buf, size_t len);
/* Without engine_settle(): what nobody is to look at until a fence says so */
int mem_write_early(struct engine *e, enum mem_space space, u64 va, const void *buf, size_t len);

static inline int mem_read32(struct engine *e, enum mem_space space, u64 va, u32 *value)
{
	return mem_read(e, space, va, value, 4);
}

static inline int mem_write32(struct engine *e, enum mem_space space, u64 va, u32 value)
{
	return mem_write(e, space, va, &value, 4);
}

static inline int mem_write64(struct engine *e, enum mem_space space, u64 va, u64 value)
{
	return mem_write(e, space, va, &value, 8);
}

/*
 * Read, change, write @size bytes (4, 8 or 16) as one step that neither the CPU
 * nor another engine can come between. @change gets the old value, makes the new
 * one, and returns whether to store it. *old is what was there.
 */
struct mem_value {
	u64 lo, hi;
};

int mem_atomic(struct engine *e, enum mem_space space, u64 va, u32 size,
	       bool (*change)(void *arg, const struct mem_value *old, struct mem_value *new),
	       void *arg, struct mem_value *old);

/*
 * From *done to @len, a piece at a time; *done says how far it got. Faults ahead
 * are collected together with the first.
 */
int mem_copy(struct engine *e, u64 dst, u64 src, u64 len, u64 *done);
/* @pattern repeats every @size bytes: 1, 2, 4, 8 or 16 */
int mem_fill(struct engine *e, u64 dst, u64 len, const void *pattern, u32 size, u64 *done);

/*
 * Look at what is cached, with the TLB's lock. A translation that nobody uses any more
 * shows nothing by itself, but the GPU could have used it.
 */
void mem_audit_tlb(struct engine *e);

/*
 * Drop all translations but those of address spaces that are served faults: nothing says
 * that a context which comes to an engine has none that are cached there.
 */
void mem_forget_unserved(struct engine *e);

#endif
