# SPDX-License-Identifier: GPL-2.0
# vsvm, out of tree
include $(src)/core.mk
include $(src)/Makefile

CFLAGS_vsvm_drv.o += $(modules-version)
vsvm-y += $(core-y)
