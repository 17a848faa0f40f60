/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_CONFIG_H_
#define _VSVM_CONFIG_H_

#include <drm/vsvm_drm.h>

#define VSVM_MAX_FAULT_WORKERS		16
#define VSVM_MAX_TLB_INVAL_LATENCY_US	1000000

/**
 * struct vsvm_config - How a set of virtual devices is to be
 *
 * Filled by module parameters or configfs, then checked as a whole, then copied
 * into each device, which only reads it.
 *
 * @num_devices: Devices to create
 * @fault_workers: Page faults that a device has served at the same time
 * @num_chunks: Entries of @chunk_sizes that are in use
 * @chunk_sizes: Sizes of ranges in bytes, in descending order, PAGE_SIZE last
 * @notifier_size: Size of a notifier's window in bytes
 * @check_pages_threshold: Chunks up to this size need all CPU pages present
 * @tlb_inval_latency_us: Time that a TLB invalidation takes, in microseconds
 */
struct vsvm_config {
	unsigned int num_devices;
	unsigned int fault_workers;
	unsigned int num_chunks;
	unsigned long chunk_sizes[DRM_VSVM_MAX_CHUNKS];
	unsigned long notifier_size;
	unsigned long check_pages_threshold;
	unsigned int tlb_inval_latency_us;
};

void vsvm_config_init(struct vsvm_config *config);
int vsvm_config_validate(const struct vsvm_config *config);
int vsvm_config_parse_size(const char *text, unsigned long *size);
int vsvm_config_parse_chunks(struct vsvm_config *config, const char *text);
int vsvm_config_print_chunks(const struct vsvm_config *config, char *buf,
			     size_t size);

#endif
