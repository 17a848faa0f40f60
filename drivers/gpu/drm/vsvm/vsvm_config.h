/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_CONFIG_H_
#define _VSVM_CONFIG_H_

#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>

#include <drm/vsvm_drm.h>

#define VSVM_MAX_FAULT_WORKERS		16
/* A walk has a buffer with a word for each page of a chunk. */
#define VSVM_MAX_CHUNK_SIZE		SZ_1G
#define VSVM_MAX_TLB_INVAL_LATENCY_US	1000000
#define VSVM_MAX_COPY_LATENCY_US	1000000

/*
 * Device memory comes in blocks that are contiguous, each for a huge page: more than
 * 2 MiB where pages have more than 4 KiB.
 */
#define VSVM_MEM_BLOCK			MAX((unsigned long)SZ_2M, PMD_SIZE)
#define VSVM_MAX_MEM_SIZE		SZ_64G

/**
 * struct vsvm_config - How a set of virtual devices is to be
 *
 * Filled by module parameters or configfs, then checked as a whole, then copied
 * into each device, which only reads it.
 *
 * @num_devices: Devices to create
 * @fault_workers: Page faults of a process that a device serves at the same time
 * @num_chunks: Entries of @chunk_sizes that are in use
 * @chunk_sizes: Sizes of ranges in bytes, in descending order, at most
 *		 VSVM_MAX_CHUNK_SIZE, PAGE_SIZE last
 * @notifier_size: Size of a notifier's window in bytes
 * @check_pages_threshold: Chunks up to this size need all CPU pages present
 * @tlb_inval_latency_us: Time that a TLB invalidation takes, in microseconds
 * @mem_size: Size of the device memory in bytes, zero for none
 * @copy_latency_us: Time that each copy takes to begin, in microseconds
 * @copy_bandwidth: MiB that are copied in a second, zero for no limit
 * @policy: What page faults do to memory
 * @interconnect: The device reaches the memory of others with this, and they its
 * @eviction: What was not used for longest makes room when the memory is full
 * @fault_window: Bytes that a CPU fault brings back at a time
 * @timeslice_ms: For how long the CPU leaves memory to the device that it was
 *		  moved to, in milliseconds
 */
struct vsvm_config {
	unsigned int num_devices;
	unsigned int fault_workers;
	unsigned int num_chunks;
	unsigned long chunk_sizes[DRM_VSVM_MAX_CHUNKS];
	unsigned long notifier_size;
	unsigned long check_pages_threshold;
	unsigned int tlb_inval_latency_us;
	unsigned long mem_size;
	unsigned int copy_latency_us;
	unsigned int copy_bandwidth;
	enum drm_vsvm_policy policy;
	bool interconnect;
	bool eviction;
	unsigned long fault_window;
	unsigned int timeslice_ms;
};

void vsvm_config_init(struct vsvm_config *config);
int vsvm_config_validate(const struct vsvm_config *config);
int vsvm_config_parse_size(const char *text, unsigned long *size);
int vsvm_config_parse_policy(const char *text, enum drm_vsvm_policy *policy);
const char *vsvm_config_policy_name(enum drm_vsvm_policy policy);
int vsvm_config_parse_chunks(struct vsvm_config *config, const char *text);
int vsvm_config_print_chunks(const struct vsvm_config *config, char *buf,
			     size_t size);

#endif
