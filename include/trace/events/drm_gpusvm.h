/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_gpusvm

#if !defined(_TRACE_DRM_GPUSVM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DRM_GPUSVM_H

#include <linux/tracepoint.h>

#include <drm/drm_device.h>
#include <drm/drm_gpusvm.h>

#include <trace/misc/drm_svm.h>

/*
 * Addresses are the process's own; durations are in nanoseconds; "svm" tells
 * the address spaces apart. "pid" is the process whose memory is mirrored, not the
 * one that has served the fault, and 0 once it is gone; "dev" is the first of the
 * devices that pages were asked for, "none" where they have none.
 */

DECLARE_EVENT_CLASS(drm_gpusvm_range_class,
	TP_PROTO(struct drm_gpusvm_range *range),
	TP_ARGS(range),
	TP_STRUCT__entry(
		__string(name, range->gpusvm->name)
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(u16, flags)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->gpusvm = range->gpusvm;
		__entry->pid = drm_svm_trace_pid(range->gpusvm->mm);
		__entry->start = drm_gpusvm_range_start(range);
		__entry->end = drm_gpusvm_range_end(range);
		__entry->flags = range->flags.__flags;
	),
	TP_printk("%s svm=%p pid=%d [0x%lx-0x%lx) flags=0x%x", __get_str(name),
		  __entry->gpusvm, __entry->pid, __entry->start,
		  __entry->end, __entry->flags)
);

DEFINE_EVENT(drm_gpusvm_range_class, drm_gpusvm_range_insert,
	TP_PROTO(struct drm_gpusvm_range *range),
	TP_ARGS(range)
);

DEFINE_EVENT(drm_gpusvm_range_class, drm_gpusvm_range_remove,
	TP_PROTO(struct drm_gpusvm_range *range),
	TP_ARGS(range)
);

TRACE_EVENT(drm_gpusvm_fault,
	TP_PROTO(struct drm_gpusvm *gpusvm, unsigned long addr, bool read_only,
		 long err, s64 duration),
	TP_ARGS(gpusvm, addr, read_only, err, duration),
	TP_STRUCT__entry(
		__string(name, gpusvm->name)
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__field(bool, read_only)
		__field(long, err)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->gpusvm = gpusvm;
		__entry->pid = drm_svm_trace_pid(gpusvm->mm);
		__entry->addr = addr;
		__entry->read_only = read_only;
		__entry->err = err;
		__entry->duration = duration;
	),
	TP_printk("%s svm=%p pid=%d addr=0x%lx %s result=%ld duration=%lld",
		  __get_str(name), __entry->gpusvm, __entry->pid, __entry->addr,
		  __entry->read_only ? "read" : "write", __entry->err,
		  __entry->duration)
);

TRACE_EVENT(drm_gpusvm_get_pages,
	TP_PROTO(struct drm_gpusvm *gpusvm, const struct drm_device *drm,
		 unsigned long start, unsigned long end, unsigned int devices,
		 unsigned int segments, bool read_only, int err, s64 duration),
	TP_ARGS(gpusvm, drm, start, end, devices, segments, read_only, err,
		duration),
	TP_STRUCT__entry(
		__string(name, gpusvm->name)
		__string(dev, drm ? dev_name(drm->dev) : "none")
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned int, devices)
		__field(unsigned int, segments)
		__field(bool, read_only)
		__field(int, err)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__assign_str(dev);
		__entry->gpusvm = gpusvm;
		__entry->pid = drm_svm_trace_pid(gpusvm->mm);
		__entry->start = start;
		__entry->end = end;
		__entry->devices = devices;
		__entry->segments = segments;
		__entry->read_only = read_only;
		__entry->err = err;
		__entry->duration = duration;
	),
	TP_printk("%s svm=%p pid=%d dev=%s [0x%lx-0x%lx) %s devices=%u segments=%u result=%d duration=%lld",
		  __get_str(name), __entry->gpusvm, __entry->pid, __get_str(dev),
		  __entry->start, __entry->end,
		  __entry->read_only ? "read" : "write", __entry->devices,
		  __entry->segments, __entry->err, __entry->duration)
);

TRACE_EVENT(drm_gpusvm_invalidate,
	TP_PROTO(struct drm_gpusvm_notifier *notifier,
		 const struct mmu_notifier_range *mmu_range,
		 bool hit, bool deferred, s64 duration),
	TP_ARGS(notifier, mmu_range, hit, deferred, duration),
	TP_STRUCT__entry(
		__string(name, notifier->gpusvm->name)
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, window)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(int, event)
		__field(bool, hit)
		__field(bool, deferred)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->gpusvm = notifier->gpusvm;
		__entry->pid = drm_svm_trace_pid(notifier->gpusvm->mm);
		__entry->window = drm_gpusvm_notifier_start(notifier);
		__entry->start = mmu_range->start;
		__entry->end = mmu_range->end;
		__entry->event = mmu_range->event;
		__entry->hit = hit;
		__entry->deferred = deferred;
		__entry->duration = duration;
	),
	TP_printk("%s svm=%p pid=%d window=0x%lx [0x%lx-0x%lx) event=%d hit=%d deferred=%d duration=%lld",
		  __get_str(name), __entry->gpusvm, __entry->pid, __entry->window,
		  __entry->start, __entry->end, __entry->event, __entry->hit,
		  __entry->deferred, __entry->duration)
);

TRACE_EVENT(drm_gpusvm_invalidate_finish,
	TP_PROTO(struct drm_gpusvm_notifier *notifier, unsigned int pages,
		 s64 duration),
	TP_ARGS(notifier, pages, duration),
	TP_STRUCT__entry(
		__string(name, notifier->gpusvm->name)
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, window)
		__field(unsigned int, pages)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->gpusvm = notifier->gpusvm;
		__entry->pid = drm_svm_trace_pid(notifier->gpusvm->mm);
		__entry->window = drm_gpusvm_notifier_start(notifier);
		__entry->pages = pages;
		__entry->duration = duration;
	),
	TP_printk("%s svm=%p pid=%d window=0x%lx unmapped=%u duration=%lld",
		  __get_str(name), __entry->gpusvm, __entry->pid, __entry->window,
		  __entry->pages, __entry->duration)
);

TRACE_EVENT(drm_gpusvm_evict,
	TP_PROTO(struct drm_gpusvm_range *range, unsigned long pages, int err,
		 s64 duration),
	TP_ARGS(range, pages, err, duration),
	TP_STRUCT__entry(
		__string(name, range->gpusvm->name)
		__field(void *, gpusvm)
		__field(pid_t, pid)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, pages)
		__field(int, err)
		__field(s64, duration)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->gpusvm = range->gpusvm;
		__entry->pid = drm_svm_trace_pid(range->gpusvm->mm);
		__entry->start = drm_gpusvm_range_start(range);
		__entry->end = drm_gpusvm_range_end(range);
		__entry->pages = pages;
		__entry->err = err;
		__entry->duration = duration;
	),
	TP_printk("%s svm=%p pid=%d [0x%lx-0x%lx) pages=%lu result=%d duration=%lld",
		  __get_str(name), __entry->gpusvm, __entry->pid, __entry->start,
		  __entry->end, __entry->pages, __entry->err,
		  __entry->duration)
);

#endif /* _TRACE_DRM_GPUSVM_H */

#include <trace/define_trace.h>
