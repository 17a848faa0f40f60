// SPDX-License-Identifier: MIT
/*
 * Blitter commands: fills and copies of memory. The linear ones are what the
 * driver's migration and the tests use; of the rectangle ones the linear layout
 * is supported, and tiled surfaces as long as both sides are tiled alike and
 * whole, where order inside the surface doesn't matter.
 */
#include <errno.h>
#include <string.h>

#include "exec.h"
#include "mem.h"

#define MEM_COPY_PAGES		BIT(19)	/* width counts units of 256 bytes */
#define MEM_MATRIX		BIT(17)
#define MEM_COPY_WIDTH		GENMASK(17, 0)
#define MEM_COPY_WIDTH_LINEAR	GENMASK(23, 0)
#define MEM_COPY_HEIGHT		GENMASK(17, 0)
#define MEM_PITCH		GENMASK(17, 0)
#define MEM_SET_DATA		GENMASK(31, 24)
#define PAGE_UNIT		256

#define ADDRESS_MASK		GENMASK_ULL(56, 0)

/* A rectangle of bytes; one row if it is linear */
struct area {
	u64 dst, src;
	u64 width;		/* bytes */
	u64 height;
	u64 dst_pitch, src_pitch;
};

typedef int (*row_fn)(struct engine *e, const struct area *area, u64 y, u64 *done);

/* Row by row; ctx->done counts the bytes of all rows before */
static int for_each_row(struct engine *e, const struct area *area, row_fn row)
{
	u64 *total = &e->ctx->done;

	while (*total < area->width * area->height) {
		u64 y = *total / area->width;
		u64 done = *total % area->width;
		int ret = row(e, area, y, &done);

		*total = y * area->width + done;
		if (ret)
			return ret;
	}
	engine_end(e, LATENCY_COPY);
	return 0;
}

static int copy_row(struct engine *e, const struct area *area, u64 y, u64 *done)
{
	return mem_copy(e, area->dst + y * area->dst_pitch, area->src + y * area->src_pitch,
			area->width, done);
}

static int mem_copy_command(struct engine *e, const struct command *cmd)
{
	struct area area = {
		.src = command_address(cmd, 5) & ADDRESS_MASK,
		.dst = command_address(cmd, 7) & ADDRESS_MASK,
		.width = (cmd->dw[1] & MEM_COPY_WIDTH_LINEAR) + 1,
		.height = 1,
		.src_pitch = (cmd->dw[3] & MEM_PITCH) + 1,
		.dst_pitch = (cmd->dw[4] & MEM_PITCH) + 1,
	};

	if (cmd->dw[0] & MEM_MATRIX) {
		area.width = (cmd->dw[1] & MEM_COPY_WIDTH) + 1;
		area.height = (cmd->dw[2] & MEM_COPY_HEIGHT) + 1;
	}
	if (cmd->dw[0] & MEM_COPY_PAGES)
		area.width *= PAGE_UNIT;
	return for_each_row(e, &area, copy_row);
}

struct fill {
	struct area area;
	u8 pattern[16];
	u32 size;
};

static int fill_row(struct engine *e, const struct area *area, u64 y, u64 *done)
{
	const struct fill *fill = container_of(area, struct fill, area);

	return mem_fill(e, area->dst + y * area->dst_pitch, area->width, fill->pattern,
			fill->size, done);
}

static int mem_set_command(struct engine *e, const struct command *cmd)
{
	struct fill fill = {
		.area = {
			.dst = command_address(cmd, 4) & ADDRESS_MASK,
			.width = (cmd->dw[1] & MEM_COPY_WIDTH_LINEAR) + 1,
			.height = 1,
			.dst_pitch = (cmd->dw[3] & MEM_PITCH) + 1,
		},
		.pattern = { FIELD_GET(MEM_SET_DATA, cmd->dw[6]) },
		.size = 1,
	};

	if (cmd->dw[0] & MEM_MATRIX) {
		fill.area.width = (cmd->dw[1] & MEM_COPY_WIDTH) + 1;
		fill.area.height = (cmd->dw[2] & MEM_COPY_HEIGHT) + 1;
	}
	return for_each_row(e, &fill.area, fill_row);
}

/* XY_ commands: coordinates in pixels, x in bits 15:0, y in 31:16 */
#define XY_X			GENMASK(15, 0)
#define XY_Y			GENMASK(31, 16)
#define XY_PITCH		GENMASK(17, 0)
#define FAST_COPY_PITCH		GENMASK(15, 0)
#define FAST_COPY_DEPTH		GENMASK(26, 24)
#define FAST_COPY_TILED		(BIT(31) | BIT(30))	/* of destination and source */
#define FAST_COLOR_DEPTH	GENMASK(21, 19)
#define FAST_COLOR_TILED	GENMASK(31, 30)

struct rectangle {
	u32 x1, y1, x2, y2;
};

static struct rectangle rectangle_of(const struct command *cmd)
{
	return (struct rectangle) {
		.x1 = FIELD_GET(XY_X, cmd->dw[2]),
		.y1 = FIELD_GET(XY_Y, cmd->dw[2]),
		.x2 = FIELD_GET(XY_X, cmd->dw[3]),
		.y2 = FIELD_GET(XY_Y, cmd->dw[3]),
	};
}

static bool empty(const struct rectangle *r)
{
	return r->x2 <= r->x1 || r->y2 <= r->y1;
}

/* log2 of the bytes of a pixel, by the depth field of XY_FAST_COPY_BLT */
static int copy_depth_shift(u32 depth)
{
	static const signed char shift[8] = { 0, 1, -1, 2, 3, 4, -1, -1 };

	return shift[depth];
}

static int fast_copy_command(struct engine *e, const struct command *cmd)
{
	struct rectangle r = rectangle_of(cmd);
	int shift = copy_depth_shift(FIELD_GET(FAST_COPY_DEPTH, cmd->dw[1]));
	u64 dst_pitch = cmd->dw[1] & FAST_COPY_PITCH;
	u64 src_pitch = cmd->dw[7] & FAST_COPY_PITCH;
	u64 src_x = FIELD_GET(XY_X, cmd->dw[6]);
	u64 src_y = FIELD_GET(XY_Y, cmd->dw[6]);
	struct area area;
	u32 tiled = cmd->dw[1] & FAST_COPY_TILED;

	if (shift < 0 || (tiled && tiled != FAST_COPY_TILED))
		return -EILSEQ;
	if (empty(&r))
		return 0;
	area = (struct area) {
		.dst = (command_address(cmd, 4) & ADDRESS_MASK) + r.y1 * dst_pitch +
		       ((u64)r.x1 << shift),
		.src = (command_address(cmd, 8) & ADDRESS_MASK) + src_y * src_pitch +
		       (src_x << shift),
		.width = (u64)(r.x2 - r.x1) << shift,
		.height = r.y2 - r.y1,
		.dst_pitch = dst_pitch,
		.src_pitch = src_pitch,
	};
	return for_each_row(e, &area, copy_row);
}

/* log2 of the bytes of a pixel, by the depth field of XY_FAST_COLOR_BLT */
static int color_depth_shift(u32 depth)
{
	static const signed char shift[8] = { 0, 1, 2, 3, -1, 4, -1, -1 };

	return shift[depth];
}

static int fast_color_command(struct engine *e, const struct command *cmd)
{
	struct rectangle r = rectangle_of(cmd);
	int shift = color_depth_shift(FIELD_GET(FAST_COLOR_DEPTH, cmd->dw[0]));
	u64 pitch = (cmd->dw[1] & XY_PITCH) + 1;
	struct fill fill;

	if (shift < 0 || (cmd->dw[1] & FAST_COLOR_TILED))
		return -EILSEQ;
	if (empty(&r))
		return 0;
	fill = (struct fill) {
		.area = {
			.dst = (command_address(cmd, 4) & ADDRESS_MASK) + r.y1 * pitch +
			       ((u64)r.x1 << shift),
			.width = (u64)(r.x2 - r.x1) << shift,
			.height = r.y2 - r.y1,
			.dst_pitch = pitch,
		},
		.size = 1u << shift,
	};
	memcpy(fill.pattern, cmd->dw + 7, sizeof(fill.pattern));
	return for_each_row(e, &fill.area, fill_row);
}

const struct command_info blit_commands[128] = {
	[0x42] = { "XY_FAST_COPY_BLT", fast_copy_command, 10, LEN_8 },
	[0x44] = { "XY_FAST_COLOR_BLT", fast_color_command, 11, LEN_8 },
	[0x5a] = { "MEM_COPY", mem_copy_command, 10, LEN_8 },
	[0x5b] = { "MEM_SET", mem_set_command, 7, LEN_8 },
};
