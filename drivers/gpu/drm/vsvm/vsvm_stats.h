/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_STATS_H_
#define _VSVM_STATS_H_

#include <linux/atomic.h>

struct drm_device;
struct drm_file;
struct drm_vsvm_device_stats;
struct vsvm_vm_device;

/**
 * enum vsvm_stat - What is counted for each device of an address space
 *
 * The same counters, in the same order, are those of a device in
 * &struct drm_vsvm_device_stats: at its beginning those up to
 * VSVM_STAT_FAILED_JOBS, the others behind those of the address space.
 *
 * @VSVM_STAT_READ_FAULTS: page faults by reads
 * @VSVM_STAT_WRITE_FAULTS: page faults by writes
 * @VSVM_STAT_UPGRADES: write faults on memory that was mapped for reading
 * @VSVM_STAT_SPURIOUS_FAULTS: faults that found their memory mapped
 * @VSVM_STAT_NARROWED: faults that were served by a page, not by a chunk
 * @VSVM_STAT_RETRIES: attempts that an invalidation made useless
 * @VSVM_STAT_FAILED_FAULTS: faults that failed their job
 * @VSVM_STAT_PAGES: pages that were bound
 * @VSVM_STAT_SEGMENTS: address entries that these were bound from
 * @VSVM_STAT_TLB_HITS: accesses that a TLB translated
 * @VSVM_STAT_TLB_MISSES: accesses that needed a walk of the page table
 * @VSVM_STAT_TLB_INVALS: TLB invalidations that were submitted
 * @VSVM_STAT_STALE_ACCESSES: accesses that the checker refused
 * @VSVM_STAT_JOBS: jobs that ended
 * @VSVM_STAT_FAILED_JOBS: those that ended with an error
 * @VSVM_STAT_LOCAL_PAGES: pages that were bound, in the device's own memory
 * @VSVM_STAT_PEER_PAGES: pages that were bound, in another device's memory
 * @VSVM_STAT_MIGRATIONS: faults and prefetches that asked for device memory
 * @VSVM_STAT_MIGRATED_PAGES: pages that these moved
 * @VSVM_STAT_RESIDENT_PAGES: pages that these found in place
 * @VSVM_STAT_LEFT_PAGES: pages that these had to leave
 * @VSVM_STAT_FALLBACKS: faults that took system memory instead
 * @VSVM_STAT_ATOMIC_FAULTS: atomic accesses that needed local memory
 * @VSVM_NUM_STATS: number of counters
 */
enum vsvm_stat {
	VSVM_STAT_READ_FAULTS,
	VSVM_STAT_WRITE_FAULTS,
	VSVM_STAT_UPGRADES,
	VSVM_STAT_SPURIOUS_FAULTS,
	VSVM_STAT_NARROWED,
	VSVM_STAT_RETRIES,
	VSVM_STAT_FAILED_FAULTS,
	VSVM_STAT_PAGES,
	VSVM_STAT_SEGMENTS,
	VSVM_STAT_TLB_HITS,
	VSVM_STAT_TLB_MISSES,
	VSVM_STAT_TLB_INVALS,
	VSVM_STAT_STALE_ACCESSES,
	VSVM_STAT_JOBS,
	VSVM_STAT_FAILED_JOBS,
	VSVM_STAT_LOCAL_PAGES,
	VSVM_STAT_PEER_PAGES,
	VSVM_STAT_MIGRATIONS,
	VSVM_STAT_MIGRATED_PAGES,
	VSVM_STAT_RESIDENT_PAGES,
	VSVM_STAT_LEFT_PAGES,
	VSVM_STAT_FALLBACKS,
	VSVM_STAT_ATOMIC_FAULTS,
	VSVM_NUM_STATS
};

/**
 * struct vsvm_stats - A set of counters
 * @count: One for each &enum vsvm_stat
 */
struct vsvm_stats {
	atomic64_t count[VSVM_NUM_STATS];
};

extern const char * const vsvm_stat_names[VSVM_NUM_STATS];

void vsvm_stats_add(struct vsvm_vm_device *vmdev, enum vsvm_stat stat,
		    u64 amount);

static inline void vsvm_stats_inc(struct vsvm_vm_device *vmdev,
				  enum vsvm_stat stat)
{
	vsvm_stats_add(vmdev, stat, 1);
}

int vsvm_stats_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
