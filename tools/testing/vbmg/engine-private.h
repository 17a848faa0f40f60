/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engines share.
 *
 * One mutex, engines->lock, guards the table of contexts and everything that
 * says what should run where. An engine thread drops it to execute. What only
 * that thread touches meanwhile (registers, the position in a batch) needs no
 * lock. The second lock is that of the engine's TLB, held around each access to
 * memory; it is never held when engines->lock is taken.
 */
#ifndef VBMG_ENGINE_PRIVATE_H
#define VBMG_ENGINE_PRIVATE_H

#include <pthread.h>

#include "engine.h"
#include "log.h"
#include "ppgtt.h"
#include "tlb.h"

#define MAX_ENGINES		(3 + ENGINE_MAX_COMPUTE)
#define MAX_GUC_ID		65536
#define MAX_BATCH_LEVEL		3	/* a batch, and two calls out of it */
#define MAX_COMMAND_DW		1025	/* MI_STORE_DATA_IMM has a length of ten bits */
#define ENGINE_REGS		1024	/* 4 KiB of registers */
#define MAX_FAULTS		8	/* at once, of one engine */
#define MAX_ASID		BIT(20)

/* Registers that more than one file knows; regs/xe_engine_regs.h */
#define RING_INT_SRC_RPT_PTR	0x0a4
#define RING_INT_STATUS_RPT_PTR	0x0ac
#define CS_INT_VEC		0x1b8
#define GFX_MODE		0x29c
#define   GFX_MSIX_INTERRUPT_ENABLE	BIT(13)

enum mem_space {
	MEM_GGTT,
	MEM_PPGTT,
};

/* Where the next command is: offset in the ring, or address of a batch */
struct cursor {
	u64 at;
	enum mem_space space;
};

/* The part of the context image that the engine uses, see context.c */
struct lrc {
	u32 ring_start;
	u32 ring_size;
	u32 tail;
	u32 asid;
	u64 root;
	u32 restore_bb;		/* BB_PER_CTX_PTR */
	u32 indirect_ctx;
};

struct context {
	/* Constant */
	u32 guc_id;
	u32 lrca;
	struct engine *engine;

	/* Under engines->lock */
	struct context *next;
	bool enabled;
	bool kicked;		/* the tail moved */
	bool dead;
	bool idle;		/* nothing to do until it is kicked */
	bool tell_enabled;	/* callbacks that are due */
	bool tell_disabled;
	bool tell_gone;
	u64 wake_at;		/* engine clock; a wait is polled again then */

	/* Of the engine thread */
	struct lrc lrc;
	struct cursor stack[MAX_BATCH_LEVEL + 1];	/* [0] is the ring */
	u32 level;
	u32 gpr[32];
	u64 timestamp;		/* as of the last save */
	u64 done;		/* bytes that the current command has finished */
	bool no_arbitration;	/* MI_ARB_ON_OFF */
	u64 backoff;		/* pause between two polls, in ticks of the engine clock */
};

struct fault_slot {
	bool pending;
	bool failed;
	u16 pdata;
};

struct engine {
	/* Constant */
	struct engines *parent;
	enum engine_class class;
	u32 instance;
	u32 guc_class;
	u32 logical;		/* bit number in a context's logical mask */
	u32 base;		/* of its registers */
	const char *name;
	pthread_t thread;

	/* Under engines->lock */
	pthread_cond_t wake;
	struct context *contexts;
	bool busy;		/* executes, or is in a callback */
	struct fault_slot slots[MAX_FAULTS];
	bool kill_current;

	/* Set under engines->lock, read without: */
	bool attention;		/* stop at the next command and look again */
	bool cancel;		/* even out of a fault or a copy */

	/* Of the engine thread; others may read a register */
	u32 regs[ENGINE_REGS];
	struct context *ctx;	/* loaded */
	u64 loaded_at;
	u64 free_at;		/* clock; when what it has done would be over, 0: it is */
	u32 command[MAX_COMMAND_DW];
	bool jumped;		/* the command set the cursor itself */
	u32 jumps_back;		/* since the engine last looked at others */
	struct fault_report faults[MAX_FAULTS];
	u32 n_faults;
	u64 fault_va;		/* the last one that was answered, how often in a row */
	u32 fault_repeats;

	pthread_mutex_t tlb_lock;
	struct tlb tlb;
	u64 audited_at;		/* engine clock */

	struct engine_stats stats;	/* relaxed atomics */
};

struct engines {
	struct engine_config config;
	struct vram vram;
	struct engine engine[MAX_ENGINES];
	u32 n;

	pthread_mutex_t lock;
	pthread_cond_t parked;		/* an engine is no longer busy */
	struct context *contexts[MAX_GUC_ID];
	bool stop;
	u16 next_pdata;
	u64 stray_replies;
	u64 served[MAX_ASID / 64];	/* ASIDs with faults that were; relaxed atomics */
};

#define count(field, n) \
	__atomic_fetch_add(&(field), (n), __ATOMIC_RELAXED)

/*
 * Whether an address space is served faults: its driver invalidates what it takes away.
 * Others wait until nothing runs, and invalidate before the next job.
 */
static inline bool asid_is_served(struct engines *engines, u32 asid)
{
	return asid < MAX_ASID &&
	       __atomic_load_n(&engines->served[asid / 64], __ATOMIC_RELAXED) & BIT_ULL(asid % 64);
}

static inline void note_served(struct engines *engines, u32 asid)
{
	if (asid < MAX_ASID)
		__atomic_fetch_or(&engines->served[asid / 64], BIT_ULL(asid % 64), __ATOMIC_RELAXED);
}

static inline bool flagged(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static inline void set_flag(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

/* engine.c, under engines->lock */
void engine_list_append(struct engine *e, struct context *ctx);
void engine_list_remove(struct engine *e, struct context *ctx);
void engine_forget(struct engine *e, struct context *ctx);

/* engine-thread.c */
void *engine_main(void *arg);

/* engine-regs.c */
void engine_regs_reset(struct engine *e);
u32 engine_reg_read(struct engine *e, u32 offset);
void engine_reg_write(struct engine *e, u32 offset, u32 value);
static inline bool engine_uses_msix(struct engine *e)
{
	return engine_reg_read(e, GFX_MODE) & GFX_MSIX_INTERRUPT_ENABLE;
}

u64 engine_gpr(struct engine *e, u32 n);
void engine_gpr_set(struct engine *e, u32 n, u64 value);

/* context.c */
int context_load(struct engine *e, struct context *ctx);
int context_read_tail(struct engine *e, struct context *ctx);
void context_save(struct engine *e, struct context *ctx);
u64 context_live_timestamp(struct engine *e);

/* engine-time.c, all for the engine's own thread */
u64 engine_begin(struct engine *e, enum latency_part part);
void engine_end_bytes(struct engine *e, enum latency_part part, u64 begin, u64 bytes);
void engine_end(struct engine *e, enum latency_part part);
int engine_settle(struct engine *e);

/* fault.c */
int fault_resolve(struct engine *e);

#endif
