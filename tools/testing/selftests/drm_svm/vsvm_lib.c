// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "svm_drm.h"
#include "svm_mem.h"
#include "vsvm_lib.h"

#define CONFIGFS		"/sys/kernel/config"
#define CONFIGFS_VSVM		CONFIGFS "/vsvm"

#define CALL(fd, name, arg) svm_call(fd, DRM_IOCTL_VSVM_ ## name, #name, arg)

/*
 * Walk the render nodes. Returns an open file of vsvm device number @index, or
 * -1; @found counts the vsvm devices before it, @denied the unreadable nodes.
 */
static int walk_nodes(unsigned int index, unsigned int *found,
		      unsigned int *denied)
{
	*found = 0;
	*denied = 0;
	for (int minor = SVM_RENDER_MINOR_FIRST; minor < SVM_RENDER_MINOR_END; minor++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", minor);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			*denied += errno == EACCES || errno == EPERM;
			continue;
		}
		if (svm_is_driver(fd, "vsvm") && (*found)++ == index)
			return fd;
		close(fd);
	}
	return -1;
}

unsigned int svm_count_devices(void)
{
	unsigned int found, denied;

	walk_nodes(~0U, &found, &denied);
	return found;
}

int svm_open_device(unsigned int index)
{
	unsigned int found, denied;
	int fd = walk_nodes(index, &found, &denied);

	if (fd >= 0)
		return fd;
	if (found)
		return svm_failed(-ENODEV,
				  "needs %u vsvm devices, there are %u; root can add some, or the driver: modprobe vsvm devices=%u",
				  index + 1, found, index + 1);
	if (denied)
		return svm_failed(-EACCES,
				  "no permission for %u of /dev/dri/renderD*; run as root or join the group \"render\"",
				  denied);
	return svm_failed(-ENODEV,
			  "no vsvm device in /dev/dri; load the driver: modprobe vsvm (kernel with CONFIG_DRM_VSVM)");
}

static int write_setting(const char *name, const char *setting)
{
	const char *equals = strchr(setting, '=');
	char path[128];

	snprintf(path, sizeof(path), "%s/%s/%.*s", CONFIGFS_VSVM, name,
		 (int)(equals - setting), setting);
	return svm_write_file(path, equals + 1) ? 0 : -errno;
}

int svm_set_make(const char *name, const char *const *settings)
{
	char path[128];
	int err = 0;

	if (access(CONFIGFS_VSVM, F_OK))
		mount("configfs", CONFIGFS, "configfs", 0, NULL);
	snprintf(path, sizeof(path), "%s/%s", CONFIGFS_VSVM, name);
	if (mkdir(path, 0700))
		return svm_failed(-errno, "mkdir %s: %s", path, strerror(errno));
	while (!err && *settings)
		err = write_setting(name, *settings++);
	if (!err)
		err = write_setting(name, "enabled=1");
	if (err) {
		svm_failed(err, "no devices by %s: %s", path, strerror(-err));
		svm_set_remove(name);
	}
	return err;
}

int svm_set_open(const char *name, unsigned int index)
{
	char path[128], node[32] = "";
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/render_nodes", CONFIGFS_VSVM, name);
	f = fopen(path, "re");
	for (unsigned int i = 0; f && i <= index; i++)
		if (fscanf(f, "%31s", node) != 1)
			node[0] = '\0';
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/dev/dri/%s", node);
	fd = node[0] ? open(path, O_RDWR | O_CLOEXEC) : -1;
	return fd >= 0 ? fd : svm_failed(-ENODEV, "no device %u of %s", index, name);
}

void svm_set_remove(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", CONFIGFS_VSVM, name);
	rmdir(path);
}

#define WANTED_SET	"drm_svm"

static pid_t wanted_by;

static void remove_wanted(void)
{
	if (getpid() == wanted_by)
		svm_set_remove(WANTED_SET);
}

unsigned int svm_want_devices(unsigned int num)
{
	unsigned int found = svm_count_devices();
	char setting[24];
	const char *const settings[] = { setting, NULL };

	if (found >= num)
		return found;
	snprintf(setting, sizeof(setting), "devices=%u", num - found);
	if (!svm_set_make(WANTED_SET, settings)) {
		wanted_by = getpid();
		atexit(remove_wanted);
	}
	return svm_count_devices();
}

int svm_query(int fd, struct drm_vsvm_query *query)
{
	memset(query, 0, sizeof(*query));
	return CALL(fd, QUERY, query);
}

static int vm_create(struct svm *svm, int *fds, unsigned int num_fds,
		     void *start, size_t size)
{
	struct drm_vsvm_vm_create create = {
		.num_fds = num_fds,
		.fds = num_fds ? svm_addr(fds) : 0,
		.va_start = svm_addr(start),
		.va_size = size,
	};
	int err = CALL(svm->fd, VM_CREATE, &create);

	svm->vm = create.vm_id;
	svm->num_devices = num_fds + 1;
	return err;
}

/* An address space and one queue a device; takes over @fd */
static int setup(struct svm *svm, int fd, int *fds, unsigned int num_fds,
		 void *start, size_t size)
{
	int err;

	memset(svm, 0, sizeof(*svm));
	svm->fd = fd;
	err = vm_create(svm, fds, num_fds, start, size);
	for (unsigned int i = 0; !err && i <= num_fds; i++)
		err = svm_queue_create(svm, i, &svm->queue[i]);
	if (err)
		svm_close(svm);
	return err;
}

int svm_open_window(struct svm *svm, unsigned int num_devices, void *start,
		    size_t size)
{
	int fds[DRM_VSVM_MAX_DEVICES];
	unsigned int opened;
	int err = 0;

	svm->fd = -1;
	if (!num_devices || num_devices > DRM_VSVM_MAX_DEVICES)
		return svm_failed(-EINVAL, "%u devices asked for, %u can share",
				  num_devices, DRM_VSVM_MAX_DEVICES);
	for (opened = 0; opened < num_devices; opened++) {
		fds[opened] = svm_open_device(opened);
		if (fds[opened] < 0) {
			err = fds[opened];
			break;
		}
	}
	if (!err)
		err = setup(svm, fds[0], fds + 1, num_devices - 1, start, size);
	else if (opened)
		close(fds[0]);
	/* The address space holds the other devices by itself */
	for (unsigned int i = 1; i < opened; i++)
		close(fds[i]);
	return err;
}

int svm_open(struct svm *svm, unsigned int num_devices)
{
	return svm_open_window(svm, num_devices, NULL, 0);
}

int svm_open_on(struct svm *svm, int fd)
{
	return setup(svm, fd, NULL, 0, NULL, 0);
}

void svm_close(struct svm *svm)
{
	if (svm->fd >= 0)
		close(svm->fd);
	svm->fd = -1;
}

int svm_queue_create(struct svm *svm, unsigned int device,
		     struct svm_queue *queue)
{
	struct drm_vsvm_queue_create create = {
		.vm_id = svm->vm,
		.device_index = device,
	};
	int err = CALL(svm->fd, QUEUE_CREATE, &create);

	queue->fd = svm->fd;
	queue->id = create.queue_id;
	return err;
}

int svm_queue_destroy(struct svm_queue *queue)
{
	struct drm_vsvm_queue_destroy destroy = { .queue_id = queue->id };

	return CALL(queue->fd, QUEUE_DESTROY, &destroy);
}

int svm_vm_destroy(struct svm *svm)
{
	struct drm_vsvm_vm_destroy destroy = { .vm_id = svm->vm };

	return CALL(svm->fd, VM_DESTROY, &destroy);
}

int svm_submit_fence(const struct svm_queue *queue,
		     const struct drm_vsvm_op *ops, unsigned int num_ops,
		     volatile uint64_t *fence, uint64_t value, uint64_t *seqno)
{
	struct drm_vsvm_submit submit = {
		.queue_id = queue->id,
		.ops = svm_addr(ops),
		.num_ops = num_ops,
		.fence_addr = svm_addr(fence),
		.fence_value = value,
	};
	int err = CALL(queue->fd, SUBMIT, &submit);

	*seqno = submit.seqno;
	return err;
}

int svm_submit(const struct svm_queue *queue, const struct drm_vsvm_op *ops,
	       unsigned int num_ops, uint64_t *seqno)
{
	return svm_submit_fence(queue, ops, num_ops, NULL, 0, seqno);
}

static int wait_until(const struct svm_queue *queue, uint64_t seqno,
		      int64_t deadline, struct svm_outcome *out)
{
	struct drm_vsvm_wait wait = {
		.queue_id = queue->id,
		.seqno = seqno,
		.timeout_ns = deadline,
	};
	int err = CALL(queue->fd, WAIT, &wait);

	if (out)
		*out = (struct svm_outcome){
			.status = err ? err : wait.status,
			.fault_addr = wait.fault_addr,
			.result = wait.result,
			.faults = wait.faults,
		};
	if (!err && wait.status)
		svm_failed(wait.status, "job failed at %#llx: %s",
			   (unsigned long long)wait.fault_addr,
			   strerror(-wait.status));
	return err ? err : wait.status;
}

int svm_wait(const struct svm_queue *queue, uint64_t seqno,
	     struct svm_outcome *out)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return wait_until(queue, seqno,
			  (now.tv_sec + SVM_WAIT_MS / 1000) * 1000000000LL +
			  now.tv_nsec, out);
}

int svm_poll(const struct svm_queue *queue, uint64_t seqno,
	     struct svm_outcome *out)
{
	return wait_until(queue, seqno, 0, out);
}

int svm_run_ops(const struct svm_queue *queue, const struct drm_vsvm_op *ops,
		unsigned int num_ops, struct svm_outcome *out)
{
	uint64_t seqno;
	int err = svm_submit(queue, ops, num_ops, &seqno);

	if (!err)
		return svm_wait(queue, seqno, out);
	if (out)
		*out = (struct svm_outcome){ .status = err };
	return err;
}

int svm_run(const struct svm_queue *queue, struct drm_vsvm_op op,
	    struct svm_outcome *out)
{
	return svm_run_ops(queue, &op, 1, out);
}

int svm_stats_of(const struct svm *svm, unsigned int device,
		 struct drm_vsvm_device_stats *stats)
{
	struct drm_vsvm_stats arg = {
		.vm_id = svm->vm,
		.device_index = device,
		.size = sizeof(*stats),
		.stats = svm_addr(stats),
	};

	memset(stats, 0, sizeof(*stats));
	return CALL(svm->fd, STATS, &arg);
}

int svm_stats(const struct svm *svm, struct drm_vsvm_device_stats *stats)
{
	return svm_stats_of(svm, DRM_VSVM_ALL_DEVICES, stats);
}

/* Counters grow, so the difference of two reads is what happened between */
void svm_stats_sub(struct drm_vsvm_device_stats *to,
		   const struct drm_vsvm_device_stats *from)
{
	__u64 *a = (__u64 *)to;
	const __u64 *b = (const __u64 *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*a); i++)
		a[i] -= b[i];
}

int svm_prefetch_for(const struct svm *svm, const volatile void *start,
		     size_t size, uint32_t location, uint32_t timeslice_ms,
		     struct svm_moved *out)
{
	struct drm_vsvm_prefetch arg = {
		.vm_id = svm->vm,
		.start = svm_addr(start),
		.size = size,
		.location = location,
		.timeslice_ms = timeslice_ms,
	};
	int err = CALL(svm->fd, PREFETCH, &arg);

	if (out)
		*out = (struct svm_moved){
			.moved = arg.moved,
			.resident = arg.resident,
			.left = arg.left,
		};
	return err;
}

int svm_prefetch(const struct svm *svm, const volatile void *start, size_t size,
		 uint32_t location, struct svm_moved *out)
{
	return svm_prefetch_for(svm, start, size, location, 0, out);
}

int svm_advise(const struct svm *svm, const volatile void *start, size_t size,
	       uint32_t location, uint32_t flags, uint32_t timeslice_ms)
{
	struct drm_vsvm_advise arg = {
		.flags = flags,
		.vm_id = svm->vm,
		.start = svm_addr(start),
		.size = size,
		.location = location,
		.timeslice_ms = timeslice_ms,
	};

	return CALL(svm->fd, ADVISE, &arg);
}

int svm_placement(const struct svm *svm, const volatile void *start, size_t size,
		  uint8_t *pages)
{
	struct drm_vsvm_placement arg = {
		.vm_id = svm->vm,
		.start = svm_addr(start),
		.size = size,
		.pages = svm_addr(pages),
	};

	return CALL(svm->fd, PLACEMENT, &arg);
}

long svm_count_at(const struct svm *svm, const volatile void *start, size_t size,
		  uint32_t location)
{
	size_t num = size / sysconf(_SC_PAGESIZE);
	uint8_t *pages = calloc(num, 1);
	long count;

	if (!pages)
		return svm_failed(-ENOMEM, "no memory for %zu bytes", num);
	count = svm_placement(svm, start, size, pages);
	for (size_t i = 0; count >= 0 && i < num; i++)
		count += (pages[i] & DRM_VSVM_PLACEMENT_LOCATION) == location;
	free(pages);
	return count;
}

int svm_open_fds(struct svm *svm, const int *fds, unsigned int num_devices)
{
	int others[DRM_VSVM_MAX_DEVICES], err = 0;

	svm->fd = -1;
	for (unsigned int i = 0; i < num_devices; i++) {
		others[i] = fds[i];
		if (fds[i] < 0)
			err = fds[i];
	}
	if (!err)
		err = setup(svm, fds[0], others + 1, num_devices - 1, NULL, 0);
	else if (fds[0] >= 0)
		close(fds[0]);
	for (unsigned int i = 1; i < num_devices; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return err;
}

int svm_open_set(struct svm *svm, const char *name, unsigned int num_devices)
{
	int fds[DRM_VSVM_MAX_DEVICES];

	for (unsigned int i = 0; i < num_devices; i++)
		fds[i] = svm_set_open(name, i);
	return svm_open_fds(svm, fds, num_devices);
}
