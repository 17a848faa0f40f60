/* SPDX-License-Identifier: MIT */
/*
 * The kernel's spellings of basic types and bit helpers, so that constants can
 * be written as the driver's headers write them.
 */
#ifndef VBMG_TYPES_H
#define VBMG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define BIT(n)			(1u << (n))
#define BIT_ULL(n)		(1ull << (n))
#define GENMASK(h, l)		((~0u << (l)) & (~0u >> (31 - (h))))
#define GENMASK_ULL(h, l)	((~0ull << (l)) & (~0ull >> (63 - (h))))

/* The field of @value that the contiguous @mask selects, shifted down */
#define FIELD_GET(mask, value)	(((value) & (mask)) / ((mask) & -(mask)))
#define FIELD_PREP(mask, value)	(((value) * ((mask) & -(mask))) & (mask))

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))

#define SZ_4K			0x1000ull
#define SZ_64K			0x10000ull
#define SZ_2M			0x200000ull
#define SZ_1G			0x40000000ull

static inline u32 lower_32_bits(u64 v)
{
	return (u32)v;
}

static inline u32 upper_32_bits(u64 v)
{
	return (u32)(v >> 32);
}

static inline u64 make_u64(u32 lo, u32 hi)
{
	return (u64)hi << 32 | lo;
}

#endif
