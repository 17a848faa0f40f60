# SPDX-License-Identifier: GPL-2.0
# xe, out of tree; without display and without tests, which take half of the time
include $(src)/core.mk
include $(src)/Makefile

LINUXINCLUDE += -include $(src)/xe-options.h
CFLAGS_xe_module.o += $(modules-version)
xe-y += $(core-y)
