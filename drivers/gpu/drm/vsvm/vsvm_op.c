// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/kernel.h>
#include <linux/overflow.h>

#include "vsvm_queue.h"

/* The fields of an operation, as bits of what an opcode uses. */
enum {
	USES_DST = BIT(0),
	USES_SRC = BIT(1),
	USES_LENGTH = BIT(2),
	USES_COUNT = BIT(3),
	USES_STRIDE = BIT(4),
	USES_VALUE = BIT(5),
	USES_COMPARE = BIT(6),
	USES_REPEAT = BIT(7),
	/* Works on elements: DRM_VSVM_OP_FLAG_U32 is allowed, alignment asked for. */
	USES_ELEMENTS = BIT(8),
};

static const u32 op_uses[] = {
	[DRM_VSVM_OP_NOP] = 0,
	[DRM_VSVM_OP_FILL] = USES_DST | USES_LENGTH | USES_VALUE,
	[DRM_VSVM_OP_COPY] = USES_DST | USES_SRC | USES_LENGTH,
	[DRM_VSVM_OP_ADD] = USES_DST | USES_LENGTH | USES_VALUE | USES_ELEMENTS,
	[DRM_VSVM_OP_ATOMIC_ADD] = USES_DST | USES_COUNT | USES_STRIDE |
				   USES_VALUE | USES_REPEAT | USES_ELEMENTS,
	[DRM_VSVM_OP_CAS] = USES_DST | USES_VALUE | USES_COMPARE | USES_ELEMENTS,
	[DRM_VSVM_OP_CHASE] = USES_SRC | USES_COUNT,
	[DRM_VSVM_OP_SUM] = USES_SRC | USES_LENGTH | USES_ELEMENTS,
	[DRM_VSVM_OP_AWAIT] = USES_SRC | USES_VALUE | USES_ELEMENTS,
};

static u64 element_size(const struct drm_vsvm_op *op)
{
	return op->flags & DRM_VSVM_OP_FLAG_U32 ? sizeof(u32) : sizeof(u64);
}

static bool unused_are_zero(const struct drm_vsvm_op *op, u32 uses)
{
	u32 allowed_flags = uses & USES_ELEMENTS ? DRM_VSVM_OP_FLAG_U32 : 0;

	return !(op->flags & ~allowed_flags) && !op->pad &&
	       (uses & USES_DST || !op->dst) &&
	       (uses & USES_SRC || !op->src) &&
	       (uses & USES_LENGTH || !op->length) &&
	       (uses & USES_COUNT || !op->count) &&
	       (uses & USES_STRIDE || !op->stride) &&
	       (uses & USES_VALUE || !op->value) &&
	       (uses & USES_COMPARE || !op->compare) &&
	       (uses & USES_REPEAT || !op->repeat);
}

/* How many bytes the operation reaches from its address, 0 if none or too many. */
static u64 op_span(const struct drm_vsvm_op *op, u32 uses)
{
	u64 span;

	if (uses & USES_LENGTH)
		return op->length;
	if (!(uses & USES_STRIDE))
		return uses & USES_COUNT && !op->count ? 0 : element_size(op);
	if (!op->count || check_mul_overflow(op->count - 1, op->stride, &span))
		return 0;
	if (check_add_overflow(span, element_size(op), &span))
		return 0;

	return span;
}

static bool address_is_valid(u64 addr, u64 span)
{
	u64 limit = BIT_ULL(DRM_VSVM_VA_BITS);

	return span && span <= limit && addr <= limit - span;
}

static bool is_aligned(const struct drm_vsvm_op *op, u32 uses)
{
	u64 size = element_size(op);

	if (op->opcode == DRM_VSVM_OP_CHASE)
		return IS_ALIGNED(op->src, sizeof(u64));
	if (!(uses & USES_ELEMENTS))
		return true;

	return IS_ALIGNED(op->dst | op->src | op->length | op->stride, size);
}

static bool overlaps(const struct drm_vsvm_op *op)
{
	return op->dst < op->src + op->length && op->src < op->dst + op->length;
}

/**
 * vsvm_op_is_valid() - Whether an operation can be run
 * @op: The operation, from user space
 *
 * Return: true if so; which doesn't say anything about the memory.
 */
bool vsvm_op_is_valid(const struct drm_vsvm_op *op)
{
	u64 span, total;
	u32 uses;

	if (op->opcode >= ARRAY_SIZE(op_uses))
		return false;

	uses = op_uses[op->opcode];
	if (!unused_are_zero(op, uses) || !is_aligned(op, uses))
		return false;

	span = op_span(op, uses);
	if (uses & USES_DST && !address_is_valid(op->dst, span))
		return false;
	if (uses & USES_SRC && !address_is_valid(op->src, span))
		return false;
	if (op->opcode == DRM_VSVM_OP_COPY && overlaps(op))
		return false;

	return !check_mul_overflow(op->count, (u64)op->repeat, &total);
}

/**
 * vsvm_op_total() - How much there is to do
 * @op: The operation, valid
 *
 * Return: the number of bytes, elements or steps.
 */
u64 vsvm_op_total(const struct drm_vsvm_op *op)
{
	switch (op->opcode) {
	case DRM_VSVM_OP_NOP:
		return 0;
	case DRM_VSVM_OP_CAS:
	case DRM_VSVM_OP_AWAIT:
		return 1;
	case DRM_VSVM_OP_CHASE:
		return op->count;
	case DRM_VSVM_OP_ATOMIC_ADD:
		return op->count * max(op->repeat, 1U);
	default:
		return op->length;
	}
}
