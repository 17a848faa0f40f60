# SPDX-License-Identifier: GPL-2.0
# vsvm, out of tree
include $(src)/core.mk
include $(src)/Makefile

vsvm-y += $(core-y)
