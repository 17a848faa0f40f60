# SPDX-License-Identifier: GPL-2.0
# vsvm, out of tree
include $(src)/core.mk
include $(src)/Makefile

CFLAGS_vsvm_drv.o += $(modules-version)
CFLAGS_vsvm_pagemap.o += $(modules-keep-all)
vsvm-y += $(core-y)
