// SPDX-License-Identifier: MIT
/* MI commands that move registers */
#include "exec.h"
#include "mem.h"

#define LRI_CS_RELATIVE		BIT(19)
#define LRI_REMAP		BIT(17)
#define SRM_CS_RELATIVE		BIT(19)
#define LRR_DST_CS_RELATIVE	BIT(19)
#define LRR_SRC_CS_RELATIVE	BIT(18)
#define REG_GGTT		BIT(22)

#define REG_OFFSET		GENMASK(22, 2)
#define ADDRESS_MASK		GENMASK_ULL(56, 2)
#define RENDER_BASE		0x2000u

/* Offset in this engine's registers, or ENGINE_REGS * 4 and more if it isn't there */
static u32 own_offset(struct engine *e, u32 offset, bool relative)
{
	return relative ? offset : offset - e->base;
}

/*
 * Everything else belongs to the device. A batch of a user may touch none of it:
 * reads give 0, writes are dropped, as from a register that isn't whitelisted.
 */
u32 exec_reg_read(struct engine *e, u32 offset, bool relative)
{
	const struct engine_config *config = &e->parent->config;
	u32 own = own_offset(e, offset, relative);

	if (own < ENGINE_REGS * 4)
		return engine_reg_read(e, own);
	if (exec_in_user_batch(e->ctx))
		return 0;
	return config->ops->reg_read(config->dev, relative ? e->base + offset : offset);
}

void exec_reg_write(struct engine *e, u32 offset, bool relative, u32 value)
{
	const struct engine_config *config = &e->parent->config;
	u32 own = own_offset(e, offset, relative);

	if (own < ENGINE_REGS * 4)
		engine_reg_write(e, own, value);
	else if (!exec_in_user_batch(e->ctx))
		config->ops->reg_write(config->dev, relative ? e->base + offset : offset, value);
}

/* Remapping: the render engine's offsets stand for those of this engine */
int mi_load_register_imm(struct engine *e, const struct command *cmd)
{
	bool relative = cmd->dw[0] & LRI_CS_RELATIVE;
	bool remap = cmd->dw[0] & LRI_REMAP;

	for (u32 i = 1; i + 1 < cmd->len; i += 2) {
		u32 offset = cmd->dw[i] & REG_OFFSET;

		if (remap && offset - RENDER_BASE < ENGINE_REGS * 4)
			exec_reg_write(e, offset - RENDER_BASE, true, cmd->dw[i + 1]);
		else
			exec_reg_write(e, offset, relative, cmd->dw[i + 1]);
	}
	return 0;
}

int mi_store_register_mem(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & REG_GGTT ? MEM_GGTT : MEM_PPGTT;
	int ret = engine_settle(e); /* the register may be a clock */
	u32 value;

	if (ret)
		return ret;
	value = exec_reg_read(e, cmd->dw[1] & REG_OFFSET, cmd->dw[0] & SRM_CS_RELATIVE);
	return mem_write32(e, space, command_address(cmd, 2) & ADDRESS_MASK, value);
}

int mi_load_register_mem(struct engine *e, const struct command *cmd)
{
	enum mem_space space = cmd->dw[0] & REG_GGTT ? MEM_GGTT : MEM_PPGTT;
	u32 value;
	int ret = mem_read32(e, space, command_address(cmd, 2) & ADDRESS_MASK, &value);

	if (!ret)
		exec_reg_write(e, cmd->dw[1] & REG_OFFSET, cmd->dw[0] & LRI_CS_RELATIVE, value);
	return ret;
}

int mi_load_register_reg(struct engine *e, const struct command *cmd)
{
	u32 value = exec_reg_read(e, cmd->dw[1] & REG_OFFSET, cmd->dw[0] & LRR_SRC_CS_RELATIVE);

	exec_reg_write(e, cmd->dw[2] & REG_OFFSET, cmd->dw[0] & LRR_DST_CS_RELATIVE, value);
	return 0;
}
