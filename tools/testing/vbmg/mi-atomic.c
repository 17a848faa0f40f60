// SPDX-License-Identifier: MIT
/*
 * MI_ATOMIC: read, change and write memory in one step. The opcode has the kind
 * of change in its low bits; operands are in the command, dword by dword in
 * turns, or in general purpose registers.
 */
#include <errno.h>

#include "exec.h"
#include "mem.h"

#define ATOMIC_GGTT		BIT(22)
#define ATOMIC_SIZE		GENMASK(20, 19)	/* 4, 8 or 16 bytes */
#define ATOMIC_INLINE		BIT(18)
#define ATOMIC_RETURN		BIT(16)
#define ATOMIC_KIND		GENMASK(12, 8)

#define ADDRESS_MASK		GENMASK_ULL(56, 2)

enum atomic_kind {
	ATOMIC_AND = 1, ATOMIC_OR, ATOMIC_XOR, ATOMIC_MOVE, ATOMIC_INC, ATOMIC_DEC,
	ATOMIC_ADD, ATOMIC_SUB, ATOMIC_RSUB, ATOMIC_IMAX, ATOMIC_IMIN, ATOMIC_UMAX,
	ATOMIC_UMIN, ATOMIC_CMP_WR, ATOMIC_PREDEC,
};

struct atomic {
	enum atomic_kind kind;
	u32 size;
	struct mem_value a, b;
};

static s64 to_signed(u64 value, u32 size)
{
	return size == 4 ? (s32)value : (s64)value;
}

static bool compare_write(const struct atomic *op, const struct mem_value *old,
			  struct mem_value *new)
{
	bool same = op->size == 4 ? (u32)old->lo == (u32)op->a.lo : old->lo == op->a.lo;

	if (!same || (op->size == 16 && old->hi != op->a.hi))
		return false;
	*new = op->b;
	return true;
}

/* What makes sense for 16 bytes: the others work on numbers */
static bool move(const struct atomic *op, struct mem_value *new)
{
	*new = op->a;
	return true;
}

static u64 compute(const struct atomic *op, u64 old)
{
	u64 a = op->size == 4 ? (u32)op->a.lo : op->a.lo;

	switch (op->kind) {
	case ATOMIC_AND:
		return old & a;
	case ATOMIC_OR:
		return old | a;
	case ATOMIC_XOR:
		return old ^ a;
	case ATOMIC_INC:
		return old + 1;
	case ATOMIC_DEC:
	case ATOMIC_PREDEC:
		return old - 1;
	case ATOMIC_ADD:
		return old + a;
	case ATOMIC_SUB:
		return old - a;
	case ATOMIC_RSUB:
		return a - old;
	case ATOMIC_IMAX:
		return to_signed(old, op->size) > to_signed(a, op->size) ? old : a;
	case ATOMIC_IMIN:
		return to_signed(old, op->size) < to_signed(a, op->size) ? old : a;
	case ATOMIC_UMAX:
		return max(old, a);
	case ATOMIC_UMIN:
		return min(old, a);
	default:
		return old;
	}
}

static bool change(void *arg, const struct mem_value *old, struct mem_value *new)
{
	const struct atomic *op = arg;

	if (op->kind == ATOMIC_CMP_WR)
		return compare_write(op, old, new);
	if (op->kind == ATOMIC_MOVE)
		return move(op, new);
	new->lo = compute(op, old->lo);
	return true;
}

static u64 inline_qword(const struct command *cmd, u32 dword)
{
	u32 lo = dword < cmd->len ? cmd->dw[dword] : 0;
	u32 hi = dword + 2 < cmd->len ? cmd->dw[dword + 2] : 0;

	return make_u64(lo, hi);
}

static void read_operands(struct engine *e, const struct command *cmd, struct atomic *op)
{
	if (cmd->dw[0] & ATOMIC_INLINE) {
		op->a = (struct mem_value) { inline_qword(cmd, 3), inline_qword(cmd, 7) };
		op->b = (struct mem_value) { inline_qword(cmd, 4), inline_qword(cmd, 8) };
	} else {
		op->a = (struct mem_value) { engine_gpr(e, 0), engine_gpr(e, 1) };
		op->b = (struct mem_value) { engine_gpr(e, 2), engine_gpr(e, 3) };
	}
}

static int decode(struct engine *e, const struct command *cmd, struct atomic *op)
{
	u32 size = FIELD_GET(ATOMIC_SIZE, cmd->dw[0]);

	op->kind = FIELD_GET(ATOMIC_KIND, cmd->dw[0]);
	op->size = 4u << size;
	if (size == 3 || op->kind < ATOMIC_AND || op->kind > ATOMIC_PREDEC)
		return -EILSEQ;
	if (op->size == 16 && op->kind != ATOMIC_CMP_WR && op->kind != ATOMIC_MOVE)
		return -EILSEQ;
	read_operands(e, cmd, op);
	return 0;
}

int mi_atomic(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & ATOMIC_GGTT ? MEM_GGTT : MEM_PPGTT;
	struct mem_value old;
	struct atomic op;
	int ret = decode(e, cmd, &op);

	if (ret)
		return ret;
	ret = mem_atomic(e, space, command_address(cmd, 1) & ADDRESS_MASK, op.size, change, &op,
			 &old);
	if (ret || !(cmd->dw[0] & ATOMIC_RETURN))
		return ret;
	engine_gpr_set(e, 4, old.lo);
	if (op.size == 16)
		engine_gpr_set(e, 5, old.hi);
	return 0;
}
