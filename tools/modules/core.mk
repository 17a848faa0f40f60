# SPDX-License-Identifier: GPL-2.0
# The core as a part of the module that a Kbuild makes: core-y names its objects.
# The kernel's own helper module can't be replaced, since the kernel's xe has been
# compiled for it; so nothing is exported, and nothing is imported from it.

modules-top := $(src)/../../../..

# Before the kernel's own folders, in which the base's headers are
LINUXINCLUDE := -I$(modules-top)/include -I$(modules-top)/include/uapi $(LINUXINCLUDE)
ccflags-y += -D__DISABLE_EXPORTS

core-y := \
	../drm_gpusvm.o \
	../drm_gpusvm_evict.o \
	../drm_gpusvm_fill.o \
	../drm_gpusvm_find.o \
	../drm_gpusvm_get.o \
	../drm_gpusvm_invalidate.o \
	../drm_gpusvm_map.o \
	../drm_gpusvm_parts.o \
	../drm_gpusvm_range.o \
	../drm_gpusvm_request.o \
	../drm_gpusvm_segments.o \
	../drm_gpusvm_service.o \
	../drm_gpusvm_walk.o \
	../drm_pagemap.o \
	../drm_pagemap_alloc.o \
	../drm_pagemap_copy.o \
	../drm_pagemap_evict.o \
	../drm_pagemap_fault.o \
	../drm_pagemap_migrate.o \
	../drm_pagemap_populate.o \
	../drm_pagemap_util.o

CFLAGS_../drm_pagemap.o := -DMODULES_CORE

# For whatever empties a device that goes. The MM can't take pages from processes, so
# nothing is given up: all that is left is evicted again and again.
modules-keep-all := -Ddrm_pagemap_abandon_many=drm_pagemap_evict_many
ccflags-y += $(modules-keep-all)
CFLAGS_REMOVE_../drm_pagemap_evict.o := $(modules-keep-all)

# For the object that has the driver's init: the version that the owner of a package
# sees, from the environment or make's arguments
modules-version := $(if $(MODULES_VERSION),-DMODULES_VERSION=$(MODULES_VERSION))
