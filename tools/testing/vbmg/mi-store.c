// SPDX-License-Identifier: MIT
/* MI commands that store, and flushes with their post-sync operation */
#include <errno.h>

#include "exec.h"
#include "mem.h"

#define STORE_GGTT		BIT(22)
#define STORE_QWORD		BIT(21)

#define FLUSH_STORE_INDEX	BIT(21)	/* the address is an offset in the status page */
#define FLUSH_TLB		BIT(18)
#define FLUSH_POST_SYNC		GENMASK(15, 14)
#define POST_SYNC_NONE		0
#define POST_SYNC_IMMEDIATE	1
#define POST_SYNC_TIMESTAMP	3
#define FLUSH_ADDRESS_GGTT	BIT(2)	/* in the address dword */

#define COPY_SRC_GGTT		BIT(22)
#define COPY_DST_GGTT		BIT(21)

#define ADDRESS_MASK		GENMASK_ULL(56, 2)

/*
 * The engine that the driver keeps for itself changes page tables with these, up
 * to 510 entries in one command. Its fences are stored from the ring.
 */
static bool writes_page_tables(const struct engine *e, const struct command *cmd)
{
	return e->class == ENGINE_COPY && e->instance == ENGINE_DRIVERS_COPY && e->ctx->level &&
	       (cmd->dw[0] & (STORE_QWORD | STORE_GGTT)) == STORE_QWORD;
}

int mi_store_data_imm(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & STORE_GGTT ? MEM_GGTT : MEM_PPGTT;
	u32 dwords = cmd->dw[0] & STORE_QWORD ? (cmd->len - 3) & ~1u : cmd->len - 3;
	u64 address = command_address(cmd, 1) & ADDRESS_MASK;
	u64 begin;
	int ret;

	if (!writes_page_tables(e, cmd))
		return mem_write(e, space, address, cmd->dw + 3, dwords * 4);
	begin = engine_begin(e, LATENCY_PTE);
	ret = mem_write_early(e, space, address, cmd->dw + 3, dwords * 4);
	if (ret)
		return ret;
	engine_end_bytes(e, LATENCY_PTE, begin, dwords * 4);
	engine_end(e, LATENCY_PTE);
	return 0;
}

/* Only this engine's TLB, all of it: what commands ask for */
int exec_flush_tlb(struct engine *e)
{
	pthread_mutex_lock(&e->tlb_lock);
	mem_audit_tlb(e);
	tlb_flush(&e->tlb);
	pthread_mutex_unlock(&e->tlb_lock);
	trace(TRACE_TLB, "%s: flush", e->name);
	return 0;
}

int mi_flush_dw(struct engine *e, const struct command *cmd)
{
	enum mem_space space = MEM_PPGTT;
	u64 address;
	u64 value;
	int ret;

	if (cmd->dw[0] & FLUSH_TLB)
		exec_flush_tlb(e);
	if (FIELD_GET(FLUSH_POST_SYNC, cmd->dw[0]) == POST_SYNC_NONE)
		return 0;
	if (cmd->len < 4)
		return -EILSEQ;
	ret = engine_settle(e); /* before the time is read */
	if (ret)
		return ret;

	address = command_address(cmd, 1) & ADDRESS_MASK & ~(u64)FLUSH_ADDRESS_GGTT;
	if (cmd->dw[1] & FLUSH_ADDRESS_GGTT)
		space = MEM_GGTT;
	if (cmd->dw[0] & FLUSH_STORE_INDEX) {
		address = e->ctx->lrca + (address & (SZ_4K - 1));
		space = MEM_GGTT;
	}
	if (FIELD_GET(FLUSH_POST_SYNC, cmd->dw[0]) == POST_SYNC_TIMESTAMP)
		return mem_write64(e, space, address, engine_clock());
	if (cmd->len < 5)
		return mem_write32(e, space, address, cmd->dw[3]);
	value = make_u64(cmd->dw[3], cmd->dw[4]);
	return mem_write64(e, space, address, value);
}

int mi_copy_mem_mem(struct engine *e, const struct command *cmd)
{
	enum mem_space src = cmd->dw[0] & COPY_SRC_GGTT ? MEM_GGTT : MEM_PPGTT;
	enum mem_space dst = cmd->dw[0] & COPY_DST_GGTT ? MEM_GGTT : MEM_PPGTT;
	u32 value;
	int ret = mem_read32(e, src, command_address(cmd, 3) & ADDRESS_MASK, &value);

	if (ret)
		return ret;
	return mem_write32(e, dst, command_address(cmd, 1) & ADDRESS_MASK, value);
}
