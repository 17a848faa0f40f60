/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_pagemap

#if !defined(_TRACE_DRM_PAGEMAP_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DRM_PAGEMAP_H

#include <linux/tracepoint.h>

#include <drm/drm_device.h>
#include <drm/drm_pagemap.h>

#include <trace/misc/drm_svm.h>

/*
 * One event a step of a migration, in this order: collect, alloc, copy (one for
 * each engine), commit. "dev" is the device whose memory is filled or emptied, "pid"
 * the process whose memory moves, or 0 for an eviction, which asks for no process.
 */

TRACE_EVENT(drm_pagemap_collect,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long start,
		 unsigned long npages, unsigned long collected, int err),
	TP_ARGS(dpagemap, start, npages, collected, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, start)
		__field(unsigned long, npages)
		__field(unsigned long, collected)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->start = start;
		__entry->npages = npages;
		__entry->collected = collected;
		__entry->err = err;
	),
	TP_printk("dev=%s start=0x%lx pages=%lu entries=%lu err=%d",
		  __get_str(dev), __entry->start, __entry->npages,
		  __entry->collected, __entry->err)
);

TRACE_EVENT(drm_pagemap_alloc,
	TP_PROTO(struct drm_pagemap *dpagemap, size_t size, bool may_wait,
		 int err),
	TP_ARGS(dpagemap, size, may_wait, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(size_t, size)
		__field(bool, may_wait)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->size = size;
		__entry->may_wait = may_wait;
		__entry->err = err;
	),
	TP_printk("dev=%s size=%zu may_wait=%d err=%d", __get_str(dev),
		  __entry->size, __entry->may_wait, __entry->err)
);

TRACE_EVENT(drm_pagemap_copy,
	TP_PROTO(struct drm_pagemap *dpagemap, struct drm_pagemap *engine,
		 bool push, unsigned long npages, int err),
	TP_ARGS(dpagemap, engine, push, npages, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__string(engine, dev_name(engine->drm->dev))
		__field(bool, push)
		__field(unsigned long, npages)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__assign_str(engine);
		__entry->push = push;
		__entry->npages = npages;
		__entry->err = err;
	),
	TP_printk("dev=%s engine=%s %s pages=%lu err=%d", __get_str(dev),
		  __get_str(engine), __entry->push ? "push" : "pull",
		  __entry->npages, __entry->err)
);

TRACE_EVENT(drm_pagemap_commit,
	TP_PROTO(struct drm_pagemap *dpagemap, struct mm_struct *mm, bool in,
		 unsigned long start, unsigned long moved, unsigned long huge,
		 unsigned long resident, unsigned long left, int err),
	TP_ARGS(dpagemap, mm, in, start, moved, huge, resident, left, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(pid_t, pid)
		__field(bool, in)
		__field(unsigned long, start)
		__field(unsigned long, moved)
		__field(unsigned long, huge)
		__field(unsigned long, resident)
		__field(unsigned long, left)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pid = drm_svm_trace_pid(mm);
		__entry->in = in;
		__entry->start = start;
		__entry->moved = moved;
		__entry->huge = huge;
		__entry->resident = resident;
		__entry->left = left;
		__entry->err = err;
	),
	TP_printk("dev=%s pid=%d %s start=0x%lx moved=%lu huge=%lu resident=%lu left=%lu err=%d",
		  __get_str(dev), __entry->pid, __entry->in ? "in" : "out",
		  __entry->start, __entry->moved, __entry->huge,
		  __entry->resident, __entry->left, __entry->err)
);

TRACE_EVENT(drm_pagemap_evict,
	TP_PROTO(struct drm_pagemap_devmem *devmem, int err),
	TP_ARGS(devmem, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(devmem->dev))
		__field(void *, devmem)
		__field(size_t, size)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->devmem = devmem;
		__entry->size = devmem->size;
		__entry->err = err;
	),
	TP_printk("dev=%s devmem=%p size=%zu err=%d", __get_str(dev),
		  __entry->devmem, __entry->size, __entry->err)
);

TRACE_EVENT(drm_pagemap_cpu_fault,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long addr,
		 unsigned long start, unsigned long end, int err),
	TP_ARGS(dpagemap, addr, start, end, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, addr)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->addr = addr;
		__entry->start = start;
		__entry->end = end;
		__entry->err = err;
	),
	TP_printk("dev=%s addr=0x%lx window=[0x%lx-0x%lx) err=%d",
		  __get_str(dev), __entry->addr, __entry->start, __entry->end,
		  __entry->err)
);

#endif /* _TRACE_DRM_PAGEMAP_H */

#include <trace/define_trace.h>
