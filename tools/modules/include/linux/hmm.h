/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * For modules that are built for a kernel without our patches to its MM. A walk that
 * begins inside a huge page of device memory is given the pages from the first one on
 * there. Huge pages lie as their addresses do, on the device as in RAM, so the address
 * tells which page is meant.
 */
#ifndef __MODULES_LINUX_HMM_H__
#define __MODULES_LINUX_HMM_H__

#include_next <linux/hmm.h>

#include <linux/mm.h>

static inline int modules_hmm_correct(struct hmm_range *range, int err)
{
	const unsigned long huge = PMD_SIZE >> PAGE_SHIFT;
	unsigned long page = range->start >> PAGE_SHIFT, i, off;
	unsigned long pfn = range->hmm_pfns[0];

	if (err || IS_ALIGNED(page, huge) || !(pfn & HMM_PFN_VALID) ||
	    hmm_pfn_to_map_order(pfn) < PMD_SHIFT - PAGE_SHIFT)
		return err;

	off = (page - pfn) & (huge - 1);
	for (i = 0; off && page + i < range->end >> PAGE_SHIFT; i++) {
		if (i && IS_ALIGNED(page + i, huge))
			break;
		range->hmm_pfns[i] += off;
	}

	return 0;
}

static inline int modules_hmm_range_fault(struct hmm_range *range)
{
	return modules_hmm_correct(range, hmm_range_fault(range));
}

static inline int modules_hmm_range_fault_unlocked_timeout(struct hmm_range *range,
							   unsigned long timeout)
{
	return modules_hmm_correct(range, hmm_range_fault_unlocked_timeout(range, timeout));
}

#define hmm_range_fault(range)	modules_hmm_range_fault(range)
#define hmm_range_fault_unlocked_timeout(range, timeout)	\
	modules_hmm_range_fault_unlocked_timeout(range, timeout)

#endif
