/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM vsvm

#if !defined(_VSVM_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _VSVM_TRACE_H_

#include <linux/dma-fence.h>
#include <linux/tracepoint.h>

#include <drm/drm_pagemap.h>

#include "vsvm_copy.h"
#include "vsvm_device.h"
#include "vsvm_fault.h"
#include "vsvm_queue.h"
#include "vsvm_vm.h"

TRACE_DEFINE_ENUM(VSVM_READ);
TRACE_DEFINE_ENUM(VSVM_WRITE);
TRACE_DEFINE_ENUM(VSVM_ATOMIC);

#define vsvm_access_name(access)			\
	__print_symbolic(access,			\
			 { VSVM_READ, "read" },		\
			 { VSVM_WRITE, "write" },	\
			 { VSVM_ATOMIC, "atomic" })

TRACE_EVENT(vsvm_fault_begin,
	TP_PROTO(struct vsvm_vm_device *vmdev, const struct vsvm_fault *fault),
	TP_ARGS(vmdev, fault),
	TP_STRUCT__entry(
		__string(vm, vmdev->vm->name)
		__string(dev, dev_name(vmdev->vdev->drm.dev))
		__field(void *, gpusvm)
		__field(unsigned int, device)
		__field(unsigned long, addr)
		__field(unsigned int, access)
	),
	TP_fast_assign(
		__assign_str(vm);
		__assign_str(dev);
		__entry->gpusvm = &vmdev->vm->svm;
		__entry->device = vmdev - vmdev->vm->devices;
		__entry->addr = fault->addr;
		__entry->access = fault->access;
	),
	TP_printk("%s: svm=%p device %u (%s), %s at %#lx", __get_str(vm), __entry->gpusvm,
		  __entry->device, __get_str(dev),
		  vsvm_access_name(__entry->access), __entry->addr)
);

TRACE_EVENT(vsvm_fault_end,
	TP_PROTO(struct vsvm_vm_device *vmdev, const struct vsvm_fault *fault,
		 int err, unsigned int tries, ktime_t duration),
	TP_ARGS(vmdev, fault, err, tries, duration),
	TP_STRUCT__entry(
		__string(vm, vmdev->vm->name)
		__string(dev, dev_name(vmdev->vdev->drm.dev))
		__field(void *, gpusvm)
		__field(unsigned int, device)
		__field(unsigned long, addr)
		__field(unsigned int, access)
		__field(int, err)
		__field(unsigned int, tries)
		__field(s64, ns)
	),
	TP_fast_assign(
		__assign_str(vm);
		__assign_str(dev);
		__entry->gpusvm = &vmdev->vm->svm;
		__entry->device = vmdev - vmdev->vm->devices;
		__entry->addr = fault->addr;
		__entry->access = fault->access;
		__entry->err = err;
		__entry->tries = tries;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("%s: svm=%p device %u (%s), %s at %#lx: %d after %u tries, %lld ns",
		  __get_str(vm), __entry->gpusvm, __entry->device, __get_str(dev),
		  vsvm_access_name(__entry->access), __entry->addr,
		  __entry->err, __entry->tries, __entry->ns)
);

TRACE_EVENT(vsvm_invalidate,
	TP_PROTO(struct vsvm_vm *vm, unsigned long start, unsigned long end,
		 unsigned int event),
	TP_ARGS(vm, start, end, event),
	TP_STRUCT__entry(
		__string(vm, vm->name)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned int, event)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->start = start;
		__entry->end = end;
		__entry->event = event;
	),
	TP_printk("%s: [%#lx, %#lx), event %u", __get_str(vm), __entry->start,
		  __entry->end, __entry->event)
);

TRACE_EVENT(vsvm_migrate,
	TP_PROTO(struct vsvm_vm_device *target, unsigned long start,
		 unsigned long end,
		 const struct drm_pagemap_migrate_stats *stats, int err,
		 ktime_t duration),
	TP_ARGS(target, start, end, stats, err, duration),
	TP_STRUCT__entry(
		__string(vm, target->vm->name)
		__field(unsigned int, device)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, moved)
		__field(unsigned long, resident)
		__field(unsigned long, left)
		__field(int, err)
		__field(s64, ns)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->device = target - target->vm->devices;
		__entry->start = start;
		__entry->end = end;
		__entry->moved = stats->moved;
		__entry->resident = stats->resident;
		__entry->left = stats->left;
		__entry->err = err;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("%s: [%#lx, %#lx) to device %u: %lu pages moved, %lu resident, %lu left: %d, %lld ns",
		  __get_str(vm), __entry->start, __entry->end, __entry->device,
		  __entry->moved, __entry->resident, __entry->left,
		  __entry->err, __entry->ns)
);

TRACE_EVENT(vsvm_evict,
	TP_PROTO(struct vsvm_device *vdev, unsigned int allocs, u64 size,
		 int err, ktime_t duration),
	TP_ARGS(vdev, allocs, size, err, duration),
	TP_STRUCT__entry(
		__string(dev, dev_name(vdev->drm.dev))
		__field(unsigned int, allocs)
		__field(u64, size)
		__field(int, err)
		__field(s64, ns)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->allocs = allocs;
		__entry->size = size;
		__entry->err = err;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("%s: %u allocations for %llu bytes: %d, %lld ns",
		  __get_str(dev), __entry->allocs, __entry->size, __entry->err,
		  __entry->ns)
);

TRACE_EVENT(vsvm_copy,
	TP_PROTO(const struct vsvm_copy *copy, int err, ktime_t duration),
	TP_ARGS(copy, err, duration),
	TP_STRUCT__entry(
		__field(u64, context)
		__field(u64, seqno)
		__field(u64, bytes)
		__field(u32, num_segs)
		__field(bool, out)
		__field(int, err)
		__field(s64, ns)
	),
	TP_fast_assign(
		__entry->context = copy->engine->fence_context;
		__entry->seqno = copy->fence->seqno;
		__entry->bytes = copy->bytes;
		__entry->num_segs = copy->num_segs;
		__entry->out = copy->out;
		__entry->err = err;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("copy %llu:%llu %s device memory, %llu bytes in %u pieces: %d, %lld ns",
		  __entry->context, __entry->seqno,
		  __entry->out ? "out of" : "into", __entry->bytes,
		  __entry->num_segs, __entry->err, __entry->ns)
);

TRACE_EVENT(vsvm_job_begin,
	TP_PROTO(struct vsvm_queue *queue, struct vsvm_job *job),
	TP_ARGS(queue, job),
	TP_STRUCT__entry(
		__string(vm, queue->vm->name)
		__field(u64, context)
		__field(u64, seqno)
		__field(u32, num_ops)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->context = queue->serial;
		__entry->seqno = job->seqno;
		__entry->num_ops = job->num_ops;
	),
	TP_printk("%s: job %llu:%llu, %u operations", __get_str(vm),
		  __entry->context, __entry->seqno, __entry->num_ops)
);

TRACE_EVENT(vsvm_job_end,
	TP_PROTO(struct vsvm_queue *queue, struct vsvm_job *job,
		 ktime_t duration),
	TP_ARGS(queue, job, duration),
	TP_STRUCT__entry(
		__string(vm, queue->vm->name)
		__field(u64, context)
		__field(u64, seqno)
		__field(int, status)
		__field(u64, faults)
		__field(s64, ns)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->context = queue->serial;
		__entry->seqno = job->seqno;
		__entry->status = job->outcome.status;
		__entry->faults = job->outcome.faults;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("%s: job %llu:%llu: %d, %llu faults, %lld ns", __get_str(vm),
		  __entry->context, __entry->seqno, __entry->status,
		  __entry->faults, __entry->ns)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vsvm_trace
#include <trace/define_trace.h>
