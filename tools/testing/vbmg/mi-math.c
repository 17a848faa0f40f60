// SPDX-License-Identifier: MIT
/*
 * MI_MATH: a small ALU over the engine's general purpose registers. Encodings:
 * instructions/xe_alu_commands.h.
 */
#include <errno.h>

#include "exec.h"

#define ALU_OPCODE	GENMASK(31, 20)
#define ALU_OPERAND1	GENMASK(19, 10)
#define ALU_OPERAND2	GENMASK(9, 0)

#define ALU_NOOP	0x000
#define ALU_FENCE_RD	0x001
#define ALU_FENCE_WR	0x002
#define ALU_LOAD	0x080
#define ALU_LOAD0	0x081
#define ALU_LOADINV	0x480
#define ALU_LOAD1	0x481
#define ALU_ADD		0x100
#define ALU_SUB		0x101
#define ALU_AND		0x102
#define ALU_OR		0x103
#define ALU_XOR		0x104
#define ALU_SHL		0x105
#define ALU_SHR		0x106
#define ALU_SAR		0x107
#define ALU_STORE	0x180
#define ALU_STOREINV	0x580

#define OPERAND_SRCA	0x20
#define OPERAND_SRCB	0x21
#define OPERAND_ACCU	0x31
#define OPERAND_ZF	0x32
#define OPERAND_CF	0x33
#define GPRS		16

struct alu {
	u64 a, b;
	u64 accu;
	bool zero;
	bool carry;
};

static int load(struct alu *alu, u32 operand, u64 value)
{
	if (operand == OPERAND_SRCA)
		alu->a = value;
	else if (operand == OPERAND_SRCB)
		alu->b = value;
	else
		return -EILSEQ;
	return 0;
}

/* Flags are stored as all ones or all zeros */
static u64 result(const struct alu *alu, u32 operand)
{
	switch (operand) {
	case OPERAND_ACCU:
		return alu->accu;
	case OPERAND_ZF:
		return alu->zero ? ~0ull : 0;
	case OPERAND_CF:
		return alu->carry ? ~0ull : 0;
	default:
		return 0;
	}
}

static void compute(struct alu *alu, u32 opcode)
{
	u32 shift = alu->b & 63;

	alu->carry = false;
	switch (opcode) {
	case ALU_ADD:
		alu->carry = __builtin_add_overflow(alu->a, alu->b, &alu->accu);
		break;
	case ALU_SUB:
		alu->carry = __builtin_sub_overflow(alu->a, alu->b, &alu->accu);
		break;
	case ALU_AND:
		alu->accu = alu->a & alu->b;
		break;
	case ALU_OR:
		alu->accu = alu->a | alu->b;
		break;
	case ALU_XOR:
		alu->accu = alu->a ^ alu->b;
		break;
	case ALU_SHL:
		alu->accu = alu->a << shift;
		break;
	case ALU_SHR:
		alu->accu = alu->a >> shift;
		break;
	case ALU_SAR:
		alu->accu = (u64)((s64)alu->a >> shift);
		break;
	}
	alu->zero = !alu->accu;
}

static int step(struct engine *e, struct alu *alu, u32 instruction)
{
	u32 opcode = FIELD_GET(ALU_OPCODE, instruction);
	u32 operand1 = FIELD_GET(ALU_OPERAND1, instruction);
	u32 operand2 = FIELD_GET(ALU_OPERAND2, instruction);

	switch (opcode) {
	case ALU_NOOP:
	case ALU_FENCE_RD:
	case ALU_FENCE_WR:
		return 0;
	case ALU_LOAD:
	case ALU_LOADINV:
		if (operand2 >= GPRS)
			return -EILSEQ;
		return load(alu, operand1, opcode == ALU_LOAD ? engine_gpr(e, operand2) :
							       ~engine_gpr(e, operand2));
	case ALU_LOAD0:
		return load(alu, operand1, 0);
	case ALU_LOAD1:
		return load(alu, operand1, 1);
	case ALU_STORE:
	case ALU_STOREINV:
		if (operand1 >= GPRS)
			return -EILSEQ;
		engine_gpr_set(e, operand1, opcode == ALU_STORE ? result(alu, operand2) :
								 ~result(alu, operand2));
		return 0;
	default:
		if (opcode < ALU_ADD || opcode > ALU_SAR)
			return -EILSEQ;
		compute(alu, opcode);
		return 0;
	}
}

int mi_math(struct engine *e, const struct command *cmd)
{
	struct alu alu = { 0 };

	for (u32 i = 1; i < cmd->len; i++) {
		int ret = step(e, &alu, cmd->dw[i]);

		if (ret)
			return ret;
	}
	return 0;
}
