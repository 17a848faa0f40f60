/* SPDX-License-Identifier: MIT */
/*
 * Tracepoints of page faults of the GPU: reported, chained, served, answered.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM xe

#if !defined(_XE_TRACE_PAGEFAULT_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _XE_TRACE_PAGEFAULT_H_

#include <linux/tracepoint.h>
#include <linux/types.h>

#include "xe_device_types.h"
#include "xe_gt_types.h"
#include "xe_pagefault_types.h"

#define __dev_name_pf(pf)	dev_name(gt_to_xe((pf)->gt)->drm.dev)

DECLARE_EVENT_CLASS(xe_pagefault,
		    TP_PROTO(const struct xe_pagefault *pf),
		    TP_ARGS(pf),

		    TP_STRUCT__entry(
			     __string(dev, __dev_name_pf(pf))
			     __field(u64, addr)
			     __field(u32, asid)
			     __field(u8, gt)
			     __field(u8, access)
			     __field(u8, type_level)
			     ),

		    TP_fast_assign(
			   __assign_str(dev);
			   __entry->addr = pf->consumer.page_addr;
			   __entry->asid = pf->consumer.asid;
			   __entry->gt = pf->gt->info.id;
			   __entry->access = pf->consumer.access_type;
			   __entry->type_level = pf->consumer.fault_type_level;
			   ),

		    TP_printk("dev=%s, gt=%u, asid=0x%05x, addr=0x%012llx, access=0x%02x, type_level=0x%02x",
			      __get_str(dev), __entry->gt, __entry->asid,
			      __entry->addr, __entry->access, __entry->type_level)
);

DEFINE_EVENT(xe_pagefault, xe_pagefault_begin,
	     TP_PROTO(const struct xe_pagefault *pf),
	     TP_ARGS(pf)
);

DEFINE_EVENT(xe_pagefault, xe_pagefault_serve,
	     TP_PROTO(const struct xe_pagefault *pf),
	     TP_ARGS(pf)
);

TRACE_EVENT(xe_pagefault_chain,
	    TP_PROTO(const struct xe_pagefault *pf, u64 served),
	    TP_ARGS(pf, served),

	    TP_STRUCT__entry(
		     __string(dev, __dev_name_pf(pf))
		     __field(u64, addr)
		     __field(u64, served)
		     __field(u32, asid)
		     __field(u8, gt)
		     __field(u8, access)
		     ),

	    TP_fast_assign(
		   __assign_str(dev);
		   __entry->addr = pf->consumer.page_addr;
		   __entry->served = served;
		   __entry->asid = pf->consumer.asid;
		   __entry->gt = pf->gt->info.id;
		   __entry->access = pf->consumer.access_type;
		   ),

	    TP_printk("dev=%s, gt=%u, asid=0x%05x, addr=0x%012llx, access=0x%02x, served=0x%012llx",
		      __get_str(dev), __entry->gt, __entry->asid, __entry->addr,
		      __entry->access, __entry->served)
);

TRACE_EVENT(xe_pagefault_reply,
	    TP_PROTO(const struct xe_pagefault *pf, int err, s64 latency),
	    TP_ARGS(pf, err, latency),

	    TP_STRUCT__entry(
		     __string(dev, __dev_name_pf(pf))
		     __field(u64, addr)
		     __field(s64, latency)
		     __field(u32, asid)
		     __field(int, err)
		     __field(u8, gt)
		     __field(u8, access)
		     ),

	    TP_fast_assign(
		   __assign_str(dev);
		   __entry->addr = pf->consumer.page_addr;
		   __entry->latency = latency;
		   __entry->asid = pf->consumer.asid;
		   __entry->err = err;
		   __entry->gt = pf->gt->info.id;
		   __entry->access = pf->consumer.access_type;
		   ),

	    TP_printk("dev=%s, gt=%u, asid=0x%05x, addr=0x%012llx, access=0x%02x, result=%d, latency=%lld",
		      __get_str(dev), __entry->gt, __entry->asid, __entry->addr,
		      __entry->access, __entry->err, __entry->latency)
);

#endif

/* This part must be outside protection */
#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH ../../drivers/gpu/drm/xe
#define TRACE_INCLUDE_FILE xe_trace_pagefault
#include <trace/define_trace.h>
