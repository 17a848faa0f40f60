/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_VM_H_
#define _VSVM_VM_H_

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <drm/drm_gpusvm.h>

#include "vsvm_checker.h"
#include "vsvm_pt.h"
#include "vsvm_stats.h"
#include "vsvm_tlb.h"

struct drm_device;
struct drm_file;
struct vsvm_device;
struct vsvm_file;
struct vsvm_share;
struct vsvm_vm;

/**
 * struct vsvm_vm_device - A device in an address space
 *
 * @vm: The address space
 * @vdev: The device, with a reference
 * @share: What the process has of the device, with a reference
 * @link: The entry in &vsvm_device.vms
 * @pt: The page table
 * @checker: What the device may access
 * @tlb_owner: The TLBs of its queues
 * @stats: Counters
 * @group: The first of the devices next to each other that have the same owner
 *	   of device memory; all these are mapped together
 * @group_size: In the first one, how many they are
 */
struct vsvm_vm_device {
	struct vsvm_vm *vm;
	struct vsvm_device *vdev;
	struct vsvm_share *share;
	struct list_head link;
	struct vsvm_pt pt;
	struct vsvm_checker checker;
	struct vsvm_tlb_owner tlb_owner;
	struct vsvm_stats stats;
	unsigned int group;
	unsigned int group_size;
};

/**
 * struct vsvm_gc - The garbage collector of an address space
 *
 * @lock: Protects @ranges; innermost
 * @ranges: Ranges that the CPU unmapped, each with a reference
 * @work: Takes them out of the address space
 * @collected: How many were taken out
 */
struct vsvm_gc {
	spinlock_t lock;
	struct list_head ranges;
	struct work_struct work;
	atomic64_t collected;
};

/**
 * struct vsvm_vm - The address space of a process, on some devices
 *
 * @svm: The mirror of the process's mm
 * @ref: Reference count
 * @va_start: First address that the devices can use
 * @va_end: Address behind the last
 * @lock: Protects @queues and @error against changes
 * @queues: The queues, of &vsvm_queue.vm_link
 * @error: 0, or why the address space ended; never changes back
 * @gc: The garbage collector
 * @advice: Where memory ought to be, by address
 * @advice_lock: Serialises changes of @advice
 * @num_advice: Entries of @advice, up to DRM_VSVM_MAX_ADVICE
 * @advice_seq: Changes of @advice
 * @has_strangers: Some of the devices can't reach the memory of others
 * @name: Name for messages
 * @num_devices: Number of devices
 * @devices: The devices
 */
struct vsvm_vm {
	struct drm_gpusvm svm;
	struct kref ref;
	unsigned long va_start;
	unsigned long va_end;
	struct mutex lock;
	struct list_head queues;
	int error;
	struct vsvm_gc gc;
	struct maple_tree advice;
	struct mutex advice_lock;
	unsigned int num_advice;
	atomic_t advice_seq;
	bool has_strangers;
	char name[32];
	unsigned int num_devices;
	struct vsvm_vm_device devices[] __counted_by(num_devices);
};

static inline struct vsvm_vm *to_vsvm_vm(struct drm_gpusvm *svm)
{
	return container_of(svm, struct vsvm_vm, svm);
}

/**
 * vsvm_vm_get() - Take a reference
 * @vm: The address space
 *
 * Return: @vm.
 */
static inline struct vsvm_vm *vsvm_vm_get(struct vsvm_vm *vm)
{
	kref_get(&vm->ref);
	return vm;
}

void vsvm_vm_put(struct vsvm_vm *vm);
struct vsvm_vm *vsvm_vm_lookup(struct vsvm_file *vfile, u32 id);
struct vsvm_vm *vsvm_vm_lookup_interval(struct drm_file *file, u32 id, u64 start,
					u64 size);
void vsvm_vm_kill(struct vsvm_vm *vm, int error);
bool vsvm_vm_is_ours(const struct vsvm_vm *vm);

int vsvm_vm_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);
int vsvm_vm_destroy_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file);

#endif
