/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM vsvm

#if !defined(_VSVM_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _VSVM_TRACE_H_

#include <linux/tracepoint.h>

#include "vsvm_device.h"
#include "vsvm_fault.h"
#include "vsvm_queue.h"
#include "vsvm_vm.h"

TRACE_EVENT(vsvm_fault_begin,
	TP_PROTO(struct vsvm_vm_device *vmdev, const struct vsvm_fault *fault),
	TP_ARGS(vmdev, fault),
	TP_STRUCT__entry(
		__string(vm, vmdev->vm->name)
		__field(unsigned int, device)
		__field(unsigned long, addr)
		__field(bool, write)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->device = vmdev - vmdev->vm->devices;
		__entry->addr = fault->addr;
		__entry->write = fault->write;
	),
	TP_printk("%s: device %u, %s at %#lx", __get_str(vm), __entry->device,
		  __entry->write ? "write" : "read", __entry->addr)
);

TRACE_EVENT(vsvm_fault_end,
	TP_PROTO(struct vsvm_vm_device *vmdev, const struct vsvm_fault *fault,
		 int err, unsigned int tries, ktime_t duration),
	TP_ARGS(vmdev, fault, err, tries, duration),
	TP_STRUCT__entry(
		__string(vm, vmdev->vm->name)
		__field(unsigned int, device)
		__field(unsigned long, addr)
		__field(bool, write)
		__field(int, err)
		__field(unsigned int, tries)
		__field(s64, ns)
	),
	TP_fast_assign(
		__assign_str(vm);
		__entry->device = vmdev - vmdev->vm->devices;
		__entry->addr = fault->addr;
		__entry->write = fault->write;
		__entry->err = err;
		__entry->tries = tries;
		__entry->ns = ktime_to_ns(duration);
	),
	TP_printk("%s: device %u, %s at %#lx: %d after %u tries, %lld ns",
		  __get_str(vm), __entry->device,
		  __entry->write ? "write" : "read", __entry->addr,
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
		__entry->context = queue->fence_context;
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
		__entry->context = queue->fence_context;
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
