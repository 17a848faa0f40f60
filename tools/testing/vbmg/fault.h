/* SPDX-License-Identifier: MIT */
/*
 * Recoverable page faults: what an engine reports when a translation is
 * missing, and what the host answers.
 *
 * The layout of the GuC messages that carry them (struct xe_guc_pagefault_desc
 * and xe_guc_pagefault_reply in xe_guc_fwif.h) is the business of the GuC files;
 * these structures have a member for each of their fields.
 */
#ifndef VBMG_FAULT_H
#define VBMG_FAULT_H

#include "types.h"

enum fault_access {
	FAULT_READ = 0,
	FAULT_WRITE = 1,
	FAULT_ATOMIC = 2,
};

enum fault_type {
	FAULT_NOT_PRESENT = 0,
	FAULT_WRITE_VIOLATION = 1,
	FAULT_ATOMIC_VIOLATION = 2,
};

struct fault_report {
	u64 va;			/* page address: bits 11:0 are 0 */
	u32 asid;
	enum fault_access access;
	enum fault_type type;
	u32 level;		/* of the entry that was missing: 0 is a PTE, 4 a PML5 entry */
	u32 engine_class;	/* enum engine_class */
	u32 engine_instance;	/* physical: 8 for bcs8 */
	u32 src;		/* unit that faulted; the driver doesn't look at it */
	u16 pdata;		/* private to the device; the reply brings it back */
};

struct fault_reply {
	bool failed;		/* the access can't be served */
	u32 asid;
	u32 engine_class;
	u32 engine_instance;
	u16 pdata;
};

#endif
