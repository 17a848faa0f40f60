# SPDX-License-Identifier: GPL-2.0
# xe, out of tree; without display and without tests, which take half of the time
include $(src)/core.mk
include $(src)/Makefile

LINUXINCLUDE += -include $(src)/xe-options.h
xe-y += $(core-y)
