/* SPDX-License-Identifier: MIT */
/*
 * Engines: what executes rings and batch buffers.
 *
 * The device (registers, GuC, PCI) owns one struct engines. It tells it about
 * contexts as the GuC firmware would tell the hardware, and gets told about
 * interrupts, faults and finished switches through struct engine_ops. Nothing
 * in here knows vfio-user, GuC messages or interrupt registers, so that the
 * whole of it runs in a unit test on a few arrays.
 *
 * Threads: every engine is a thread. All functions may be called from any
 * thread. All callbacks come from engine threads, with no lock of the engines
 * held: the device may call functions here under the same lock that it takes in
 * its callbacks. The exceptions are engines_destroy() and engines_reset(), which
 * wait for the engine threads: call them neither from a callback nor under a
 * lock that a callback takes.
 */
#ifndef VBMG_ENGINE_H
#define VBMG_ENGINE_H

#include "clock.h"
#include "fault.h"
#include "latency.h"
#include "types.h"

struct engines;

/* Hardware engine classes, as in page faults and in INTR_IDENTITY */
enum engine_class {
	ENGINE_RENDER = 0,
	ENGINE_COPY = 3,
	ENGINE_COMPUTE = 5,
};

/* The GuC's own class numbers, as in context registration (xe_guc_fwif.h) */
enum guc_class {
	GUC_RENDER = 0,
	GUC_BLITTER = 3,
	GUC_COMPUTE = 4,
};

#define ENGINE_MAX_COMPUTE	4

/* The instance of ENGINE_COPY that the driver lets nobody else use: migration, page tables */
#define ENGINE_DRIVERS_COPY	8

/* Why a context ended */
enum context_error {
	CONTEXT_HANG,		/* bad command or ring: a reset notification */
	CONTEXT_CAT_ERROR,	/* memory access that can't be repaired: a memory error first */
};

struct engine_ops {
	/*
	 * Host address of [addr, addr + len) of guest memory, or NULL if that
	 * is not mapped for this access as one piece. Stays valid until unpin():
	 * the client's DMA_UNMAP has to wait for that. Engines hold at most two
	 * pins at once (source and destination), from one thread, briefly.
	 */
	void *(*pin)(void *dev, u64 addr, size_t len, bool write);
	void (*unpin)(void *dev, void *host);

	/*
	 * Where there is no host address (a peer's BAR that came without a file
	 * descriptor): copy through messages. 0, or -errno if nothing is there.
	 * May be NULL: then such accesses are errors.
	 */
	int (*copy)(void *dev, u64 addr, void *buf, size_t len, bool write);

	/* Registers that a command touches and that belong to no engine */
	u32 (*reg_read)(void *dev, u32 offset);
	void (*reg_write)(void *dev, u32 offset, u32 value);

	/* MI_USER_INTERRUPT: vector bit 0 of the engine */
	void (*user_interrupt)(void *dev, enum engine_class class, u32 instance);
	/* The same with MSI-X, after the engine has said in memory that it was it */
	void (*msix)(void *dev, u32 vector);

	/* A recoverable fault; answered by engines_fault_reply(), in any order */
	void (*page_fault)(void *dev, const struct fault_report *fault);

	/* The context was stopped for good, until it is registered anew */
	void (*context_error)(void *dev, u32 guc_id, enum context_error why);

	/*
	 * A change that context_set_sched() asked for is complete: for false, no
	 * engine works for the context any more and its image is saved.
	 */
	void (*sched_done)(void *dev, u32 guc_id, bool enable);

	/* The context is forgotten, its memory is not used any more */
	void (*deregister_done)(void *dev, u32 guc_id);
};

struct engine_config {
	const struct engine_ops *ops;
	void *dev;		/* first argument of all ops */

	u8 *vram;
	u64 vram_size;
	const u64 *ggtt;	/* entries as the driver stores them */
	u32 ggtt_entries;

	u32 n_compute;		/* 1 to ENGINE_MAX_COMPUTE; render, copy 0 and 8 always */
	u32 timeslice_us;	/* of contexts that share an engine; 0: the default */

	/* Of these the engines' own, LATENCY_COPY and LATENCY_PTE, see engine-time.c */
	struct latencies latencies;
	struct clock *clock;	/* NULL: clock_real */
};

struct engines *engines_create(const struct engine_config *config);
void engines_destroy(struct engines *engines);

/*
 * Contexts. The id is the guc_id. These return 0, -ENOENT for an id that was
 * not registered, -EEXIST for one that was and isn't forgotten yet, -EINVAL for
 * what no hardware could run, -ENOMEM; the GuC answers such a request with a
 * failure, or logs it.
 */
struct context_desc {
	u32 guc_id;
	u32 guc_class;
	u32 logical_mask;	/* allowed instances of the class, bit 0 the first */
	u64 lrca;		/* descriptor: GGTT address | flags of bits 11:0 */
};

int context_register(struct engines *engines, const struct context_desc *desc);
int context_set_sched(struct engines *engines, u32 guc_id, bool enable);
int context_kick(struct engines *engines, u32 guc_id);
int context_deregister(struct engines *engines, u32 guc_id);

/*
 * GuC or GT reset: every context is forgotten without any callback, no engine
 * touches memory when it returns.
 */
void engines_reset(struct engines *engines);

/* Reset one engine: what it runs now ends as by a hang of that context */
void engine_reset_one(struct engines *engines, enum engine_class class, u32 instance);

/*
 * TLB invalidation. When it returns, no engine uses a translation that was
 * looked up before, so the caller can acknowledge it.
 */
enum tlb_scope {
	TLB_ALL,	/* everything, GGTT too */
	TLB_GGTT,
	TLB_ASID,	/* all of one address space */
	TLB_RANGE,	/* [start, start + size) of one address space */
};

struct tlb_invalidation {
	enum tlb_scope scope;
	u32 asid;
	u64 start;
	u64 size;
};

void engines_tlb_invalidate(struct engines *engines, const struct tlb_invalidation *inv);

/* The answer to a fault; an answer that no fault waits for is ignored and counted */
void engines_fault_reply(struct engines *engines, const struct fault_reply *reply);

/*
 * Registers of the engines, [base, base + 0x1000) of each: false if @offset
 * belongs to no engine that exists.
 */
bool engines_mmio_read(struct engines *engines, u32 offset, u32 *value);
bool engines_mmio_write(struct engines *engines, u32 offset, u32 value);

/* The clock of RING_TIMESTAMP and of context timestamps: 19.2 MHz */
u64 engine_clock(void);

struct engine_stats {
	u64 commands;
	u64 bytes_copied;
	u64 faults;
	u64 faults_failed;
	u64 stray_replies;
	u64 invalidations;
	u64 stale_accesses;	/* bugs of the driver, see tlb.h */
	u64 context_errors;
};

void engines_stats(struct engines *engines, struct engine_stats *stats);

#endif
