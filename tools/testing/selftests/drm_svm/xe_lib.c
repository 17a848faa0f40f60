// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/xe_drm.h>

#include "svm_drm.h"
#include "svm_mem.h"
#include "xe_lib.h"

/* A fence on a cache line of its own, then the batch */
struct xe_job {
	volatile uint64_t fence;
	uint64_t pad[7];
	uint32_t batch[];
};

#define JOB_SIZE	(1UL << 20)
#define BATCH_DWORDS	((JOB_SIZE - sizeof(struct xe_job)) / sizeof(uint32_t))

static const uint16_t engine_classes[XE_ENGINES] = {
	[XE_COPY] = DRM_XE_ENGINE_CLASS_COPY,
	[XE_COMPUTE] = DRM_XE_ENGINE_CLASS_COMPUTE,
	[XE_RENDER] = DRM_XE_ENGINE_CLASS_RENDER,
};

/* Index of a cache policy that sees what the CPU writes */
#define COHERENT	1

#define CALL(fd, name, arg) svm_call(fd, DRM_IOCTL_XE_ ## name, #name, arg)

/*
 * What the GPU is
 */

static int open_first(void)
{
	for (int minor = SVM_RENDER_MINOR_FIRST; minor < SVM_RENDER_MINOR_END; minor++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", minor);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && svm_is_driver(fd, "xe"))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return svm_failed(-ENODEV, "there is no GPU with the xe driver that we may open");
}

/* Ask for the size, then for the data, which the caller frees; NULL on failure */
static void *query(int fd, uint32_t what)
{
	struct drm_xe_device_query args = { .query = what };
	void *data;

	if (CALL(fd, DEVICE_QUERY, &args))
		return NULL;
	data = calloc(1, args.size);
	args.data = svm_addr(data);
	if (data && !CALL(fd, DEVICE_QUERY, &args))
		return data;
	free(data);
	return NULL;
}

static int read_config(struct xe_gpu *gpu)
{
	struct drm_xe_query_config *config = query(gpu->fd, DRM_XE_DEVICE_QUERY_CONFIG);
	uint64_t flags;

	if (!config)
		return -EIO;
	flags = config->info[DRM_XE_QUERY_CONFIG_FLAGS];
	gpu->device_id = config->info[DRM_XE_QUERY_CONFIG_REV_AND_DEVICE_ID];
	free(config);
	if (!(flags & DRM_XE_QUERY_CONFIG_FLAG_HAS_CPU_ADDR_MIRROR))
		return svm_failed(-ENODEV, "this GPU, or this kernel's xe, has no SVM");
	if (!(flags & DRM_XE_QUERY_CONFIG_FLAG_HAS_VRAM))
		return svm_failed(-ENODEV, "this GPU has no memory of its own");
	return 0;
}

static int read_regions(struct xe_gpu *gpu)
{
	struct drm_xe_query_mem_regions *regions =
		query(gpu->fd, DRM_XE_DEVICE_QUERY_MEM_REGIONS);

	if (!regions)
		return -EIO;
	for (uint32_t i = 0; i < regions->num_mem_regions; i++) {
		const struct drm_xe_mem_region *region = &regions->mem_regions[i];

		if (region->mem_class == DRM_XE_MEM_REGION_CLASS_SYSMEM) {
			gpu->system = region->instance;
		} else if (!gpu->vram_size) {
			gpu->vram = region->instance;
			gpu->vram_size = region->total_size;
		}
	}
	free(regions);
	return 0;
}

static int read_used(int fd, uint64_t *used)
{
	struct drm_xe_query_mem_regions *regions = query(fd, DRM_XE_DEVICE_QUERY_MEM_REGIONS);

	if (!regions)
		return -EIO;
	*used = 0;
	for (uint32_t i = 0; i < regions->num_mem_regions; i++)
		if (regions->mem_regions[i].mem_class == DRM_XE_MEM_REGION_CLASS_VRAM)
			*used += regions->mem_regions[i].used;
	free(regions);
	return 0;
}

int xe_vram_used(uint64_t *used)
{
	int fd = open_first(), err;

	if (fd < 0)
		return fd;
	err = read_used(fd, used);
	close(fd);
	return err;
}

int xe_vram_free(const struct xe_gpu *gpu, uint64_t *bytes)
{
	uint64_t used;
	int err = read_used(gpu->fd, &used);

	if (!err)
		*bytes = gpu->vram_size - used;
	return err;
}

/* The first one of its class */
static int find_engine(int fd, uint16_t class,
		       struct drm_xe_engine_class_instance *engine)
{
	struct drm_xe_query_engines *engines = query(fd, DRM_XE_DEVICE_QUERY_ENGINES);
	int err = svm_failed(-ENODEV, "this GPU has no engine of class %u", class);

	if (!engines)
		return -EIO;
	for (uint32_t i = 0; err && i < engines->num_engines; i++) {
		*engine = engines->engines[i].instance;
		if (engine->engine_class == class)
			err = 0;
	}
	free(engines);
	return err;
}

int xe_count_engines(const struct xe_gpu *gpu)
{
	struct drm_xe_query_engines *engines = query(gpu->fd, DRM_XE_DEVICE_QUERY_ENGINES);
	int n = engines ? (int)engines->num_engines : -EIO;

	free(engines);
	return n;
}

static int nth_engine(int fd, unsigned int n, struct drm_xe_engine_class_instance *engine)
{
	struct drm_xe_query_engines *engines = query(fd, DRM_XE_DEVICE_QUERY_ENGINES);
	int err = svm_failed(-ENODEV, "this GPU has no engine %u", n);

	if (!engines)
		return -EIO;
	if (n < engines->num_engines) {
		*engine = engines->engines[n].instance;
		err = 0;
	}
	free(engines);
	return err;
}

uint32_t xe_clock_hz(const struct xe_gpu *gpu)
{
	struct drm_xe_query_gt_list *gts = query(gpu->fd, DRM_XE_DEVICE_QUERY_GT_LIST);
	uint32_t hz = gts && gts->num_gt ? gts->gt_list[0].reference_clock : 0;

	free(gts);
	return hz;
}

/*
 * The VM. A bind is done when its fence has been written, by the kernel.
 */

static int wait_fence_for(int fd, volatile uint64_t *fence, uint64_t value,
			  uint32_t queue, unsigned int ms)
{
	struct drm_xe_wait_user_fence wait = {
		.addr = svm_addr(fence),
		.op = DRM_XE_UFENCE_WAIT_OP_EQ,
		.value = value,
		.mask = ~0ULL,
		.timeout = ms * 1000000LL,
		.exec_queue_id = queue,
	};

	return CALL(fd, WAIT_USER_FENCE, &wait);
}

static int wait_fence(int fd, volatile uint64_t *fence, uint64_t value,
		      uint32_t queue)
{
	return wait_fence_for(fd, fence, value, queue, SVM_WAIT_MS);
}

static struct drm_xe_sync done_sync(volatile uint64_t *done)
{
	return (struct drm_xe_sync) {
		.type = DRM_XE_SYNC_TYPE_USER_FENCE,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.addr = svm_addr(done),
		.timeline_value = 1,
	};
}

int xe_wait_bind(const struct xe_gpu *gpu, volatile uint64_t *done)
{
	return wait_fence(gpu->fd, done, 1, 0);
}

int xe_poll_bind(const struct xe_gpu *gpu, volatile uint64_t *done)
{
	return wait_fence_for(gpu->fd, done, 1, 0, 0);
}

static int begin_list(const struct xe_gpu *gpu, const struct drm_xe_vm_bind_op *ops,
		      size_t n, volatile uint64_t *done)
{
	struct drm_xe_sync sync = done_sync(done);
	struct drm_xe_vm_bind args = {
		.vm_id = gpu->vm,
		.num_binds = n,
		.num_syncs = 1,
		.syncs = svm_addr(&sync),
	};

	if (n == 1)
		args.bind = *ops;
	else
		args.vector_of_binds = svm_addr(ops);
	return CALL(gpu->fd, VM_BIND, &args);
}

static int bind_list(const struct xe_gpu *gpu, const struct drm_xe_vm_bind_op *ops,
		     size_t n)
{
	volatile uint64_t done = 0;
	int err = begin_list(gpu, ops, n, &done);

	return err ? err : xe_wait_bind(gpu, &done);
}

static int bind(const struct xe_gpu *gpu, struct drm_xe_vm_bind_op op)
{
	return bind_list(gpu, &op, 1);
}

/* All addresses of the process are addresses of the GPU */
static int mirror(const struct xe_gpu *gpu)
{
	struct drm_xe_query_config *config = query(gpu->fd, DRM_XE_DEVICE_QUERY_CONFIG);
	struct drm_xe_vm_bind_op op = {
		.op = DRM_XE_VM_BIND_OP_MAP,
		.flags = DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR,
	};

	if (!config)
		return -EIO;
	op.range = 1ULL << config->info[DRM_XE_QUERY_CONFIG_VA_BITS];
	free(config);
	return bind(gpu, op);
}

static int vm_create(struct xe_gpu *gpu, uint32_t flags)
{
	struct drm_xe_vm_create args = { .flags = DRM_XE_VM_CREATE_FLAG_LR_MODE | flags };
	int err = CALL(gpu->fd, VM_CREATE, &args);

	gpu->vm = args.vm_id;
	return err;
}

static int bind_userptr(const struct xe_gpu *gpu, void *mem, size_t len)
{
	return bind(gpu, (struct drm_xe_vm_bind_op) {
		.op = DRM_XE_VM_BIND_OP_MAP_USERPTR,
		.userptr = svm_addr(mem),
		.addr = svm_addr(mem),
		.range = len,
		.pat_index = COHERENT,
	});
}

static struct drm_xe_vm_bind_op to_op(const struct xe_bind *bind)
{
	struct drm_xe_vm_bind_op op = {
		.addr = svm_addr(bind->mem),
		.range = bind->len,
		.flags = (bind->read_only ? DRM_XE_VM_BIND_FLAG_READONLY : 0) |
			 (bind->dumpable ? DRM_XE_VM_BIND_FLAG_DUMPABLE : 0),
	};

	switch (bind->what) {
	case XE_UNBIND:
		op.op = DRM_XE_VM_BIND_OP_UNMAP;
		break;
	case XE_BIND_MIRROR:
		op.op = DRM_XE_VM_BIND_OP_MAP;
		op.flags |= DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR;
		break;
	case XE_BIND_OBJECT:
		op.op = DRM_XE_VM_BIND_OP_MAP;
		op.obj = bind->object;
		op.pat_index = COHERENT;
		break;
	case XE_BIND_USERPTR:
		op.op = DRM_XE_VM_BIND_OP_MAP_USERPTR;
		op.userptr = op.addr;
		op.pat_index = COHERENT;
		break;
	case XE_PREFETCH:
		op.op = DRM_XE_VM_BIND_OP_PREFETCH;
		op.prefetch_mem_region_instance = bind->region;
		break;
	}
	return op;
}

int xe_bind(const struct xe_gpu *gpu, const struct xe_bind *binds, size_t n)
{
	struct drm_xe_vm_bind_op *ops = calloc(n, sizeof(*ops));
	int err;

	if (!ops)
		return svm_failed(-ENOMEM, "no memory for a list of binds");
	for (size_t i = 0; i < n; i++)
		ops[i] = to_op(&binds[i]);
	err = bind_list(gpu, ops, n);
	free(ops);
	return err;
}

int xe_bind_begin(const struct xe_gpu *gpu, const struct xe_bind *bind,
		  volatile uint64_t *done)
{
	struct drm_xe_vm_bind_op op = to_op(bind);

	return begin_list(gpu, &op, 1, done);
}

static int queue_create_on(const struct xe_gpu *gpu,
			   const struct drm_xe_engine_class_instance *engine,
			   struct xe_queue *queue)
{
	struct drm_xe_exec_queue_create args = {
		.width = 1,
		.num_placements = 1,
		.vm_id = gpu->vm,
		.instances = svm_addr(engine),
	};
	int err = CALL(gpu->fd, EXEC_QUEUE_CREATE, &args);

	queue->id = args.exec_queue_id;
	return err;
}

static int import_fence(const struct xe_gpu *gpu, int sync_file, uint32_t *syncobj)
{
	struct drm_syncobj_create create = { 0 };
	struct drm_syncobj_handle handle = {
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
		.fd = sync_file,
	};
	int err = svm_call(gpu->fd, DRM_IOCTL_SYNCOBJ_CREATE, "SYNCOBJ_CREATE", &create);

	*syncobj = create.handle;
	handle.handle = create.handle;
	return err ? err : svm_call(gpu->fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE,
				    "SYNCOBJ_FD_TO_HANDLE", &handle);
}

static int bind_queue_create(const struct xe_gpu *gpu, struct xe_queue *queue)
{
	struct drm_xe_engine_class_instance engine = {
		.engine_class = DRM_XE_ENGINE_CLASS_VM_BIND,
	};

	*queue = (struct xe_queue) { .fd = gpu->fd };
	return queue_create_on(gpu, &engine, queue);
}

int xe_bind_behind(const struct xe_gpu *gpu, const struct xe_bind *bind, int sync_file,
		   volatile uint64_t *done)
{
	struct drm_xe_sync syncs[] = { { .type = DRM_XE_SYNC_TYPE_SYNCOBJ }, done_sync(done) };
	struct drm_xe_vm_bind args = {
		.vm_id = gpu->vm,
		.num_binds = 1,
		.bind = to_op(bind),
		.num_syncs = 2,
		.syncs = svm_addr(syncs),
	};
	struct xe_queue queue;
	int err = import_fence(gpu, sync_file, &syncs[0].handle);

	if (!err)
		err = bind_queue_create(gpu, &queue);
	if (err)
		return err;
	args.exec_queue_id = queue.id;
	err = CALL(gpu->fd, VM_BIND, &args);
	return err ? err : xe_destroy_queue(&queue);
}

int xe_create_object(const struct xe_gpu *gpu, size_t len, uint32_t *object)
{
	struct drm_xe_gem_create args = {
		.size = len,
		.placement = 1U << gpu->vram,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WC,
	};
	int err = CALL(gpu->fd, GEM_CREATE, &args);

	*object = args.handle;
	return err;
}

int xe_count_binds(const struct xe_gpu *gpu, void *mem, size_t len)
{
	struct drm_xe_vm_query_mem_range_attr args = {
		.vm_id = gpu->vm,
		.start = svm_addr(mem),
		.range = len,
	};
	int err = CALL(gpu->fd, VM_QUERY_MEM_RANGE_ATTRS, &args);

	return err ? err : (int)args.num_mem_ranges;
}

int xe_prefetch(const struct xe_gpu *gpu, void *mem, size_t len, uint16_t region)
{
	struct xe_bind bind = {
		.what = XE_PREFETCH, .mem = mem, .len = len, .region = region,
	};

	return xe_bind(gpu, &bind, 1);
}

int xe_prefer(const struct xe_gpu *gpu, void *mem, size_t len, uint16_t region)
{
	struct drm_xe_madvise args = {
		.vm_id = gpu->vm,
		.start = svm_addr(mem),
		.range = len,
		.type = DRM_XE_MEM_RANGE_ATTR_PREFERRED_LOC,
		.preferred_mem_loc.devmem_fd = region == gpu->system ?
					       DRM_XE_PREFERRED_LOC_DEFAULT_SYSTEM :
					       DRM_XE_PREFERRED_LOC_DEFAULT_DEVICE,
	};

	return CALL(gpu->fd, MADVISE, &args);
}

/*
 * Queues. Their batches stay in the system, where the process writes them, and
 * are mapped beforehand, so that only the memory they work on makes faults.
 */

static int job_create(const struct xe_gpu *gpu, struct xe_job **job)
{
	int err;

	*job = svm_map_aligned(JOB_SIZE, SVM_PMD_SIZE);
	if (!*job)
		return svm_failed(-ENOMEM, "no memory for a batch");
	memset(*job, 0, JOB_SIZE);
	err = xe_prefer(gpu, *job, JOB_SIZE, gpu->system);
	return err ? err : xe_prefetch(gpu, *job, JOB_SIZE, gpu->system);
}

static int bare_queue_create(struct xe_gpu *gpu, uint16_t class, struct xe_queue *queue)
{
	struct drm_xe_engine_class_instance engine;
	int err = find_engine(gpu->fd, class, &engine);

	queue->fd = gpu->fd;
	gpu->gt = engine.gt_id;
	return err ? err : queue_create_on(gpu, &engine, queue);
}

int xe_destroy_queue(const struct xe_queue *queue)
{
	struct drm_xe_exec_queue_destroy args = { .exec_queue_id = queue->id };

	return CALL(queue->fd, EXEC_QUEUE_DESTROY, &args);
}

static int queue_create(struct xe_gpu *gpu, uint16_t class, struct xe_queue *queue)
{
	int err = bare_queue_create(gpu, class, queue);

	return err ? err : job_create(gpu, &queue->job);
}

int xe_open_queue(struct xe_gpu *gpu, unsigned int engine, struct xe_queue *queue)
{
	struct drm_xe_engine_class_instance instance;
	int err = nth_engine(gpu->fd, engine, &instance);

	*queue = (struct xe_queue) { .fd = gpu->fd };
	if (!err)
		err = queue_create_on(gpu, &instance, queue);
	if (err)
		return err;
	err = job_create(gpu, &queue->job);
	if (err)
		xe_close_queue(queue);
	return err;
}

int xe_open_another(struct xe_gpu *gpu, enum xe_engine engine, struct xe_queue *queue)
{
	int err;

	*queue = (struct xe_queue) { 0 };
	err = queue_create(gpu, engine_classes[engine], queue);
	if (err)
		xe_close_queue(queue);
	return err;
}

void xe_close_queue(struct xe_queue *queue)
{
	if (queue->id)
		xe_destroy_queue(queue);
	if (queue->job)
		munmap(queue->job, JOB_SIZE);
	*queue = (struct xe_queue) { 0 };
}

int xe_submit(struct xe_queue *queue)
{
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_USER_FENCE,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.addr = svm_addr(&queue->job->fence),
		.timeline_value = ++queue->seqno,
	};
	struct drm_xe_exec args = {
		.exec_queue_id = queue->id,
		.num_syncs = 1,
		.syncs = svm_addr(&sync),
		.address = svm_addr(queue->job->batch),
		.num_batch_buffer = 1,
	};

	if (queue->length >= BATCH_DWORDS)
		return svm_failed(-ENOSPC, "a batch of %zu dwords is too long",
				  queue->length);
	queue->job->batch[queue->length] = 0xa << 23; /* MI_BATCH_BUFFER_END */
	queue->length = 0;
	return CALL(queue->fd, EXEC, &args);
}

int xe_wait(const struct xe_queue *queue)
{
	return wait_fence(queue->fd, &queue->job->fence, queue->seqno, queue->id);
}

int xe_run(struct xe_queue *queue)
{
	int err = xe_submit(queue);

	return err ? err : xe_wait(queue);
}

/*
 * Open and close
 */

static int set_up(struct xe_gpu *gpu)
{
	int err = read_config(gpu);

	if (!err)
		err = read_regions(gpu);
	if (!err)
		err = vm_create(gpu, DRM_XE_VM_CREATE_FLAG_FAULT_MODE);
	if (!err)
		err = mirror(gpu);
	for (int i = 0; !err && i < XE_ENGINES; i++)
		err = queue_create(gpu, engine_classes[i], &gpu->queue[i]);
	return err;
}

int xe_open(struct xe_gpu *gpu)
{
	int err;

	*gpu = (struct xe_gpu) { .fd = open_first() };
	if (gpu->fd < 0)
		return gpu->fd;
	err = set_up(gpu);
	if (err)
		xe_close(gpu);
	return err;
}

int xe_open_userptr(struct xe_gpu *gpu, void *mem, size_t len)
{
	int err;

	*gpu = (struct xe_gpu) { .fd = open_first() };
	if (gpu->fd < 0)
		return gpu->fd;
	err = vm_create(gpu, 0);
	if (!err)
		err = bind_userptr(gpu, mem, len);
	if (err)
		xe_close(gpu);
	return err;
}

int xe_use_userptr(struct xe_gpu *gpu)
{
	return bare_queue_create(gpu, engine_classes[XE_COMPUTE],
				 &gpu->queue[XE_COMPUTE]);
}

void xe_bequeath(struct xe_gpu *gpu)
{
	for (int i = 0; i < XE_ENGINES; i++) {
		if (gpu->queue[i].job)
			munmap(gpu->queue[i].job, JOB_SIZE);
		gpu->queue[i].job = NULL;
	}
}

int xe_inherit(const struct xe_gpu *gpu, void *mem, size_t len)
{
	int err = bind_userptr(gpu, mem, len);

	for (int i = 0; !err && i < XE_ENGINES; i++)
		err = bind_userptr(gpu, gpu->queue[i].job, JOB_SIZE);
	return err;
}

/* With the file go the queues and the VM, and then nobody uses the batches */
void xe_close(struct xe_gpu *gpu)
{
	close(gpu->fd);
	xe_bequeath(gpu);
}

/*
 * Commands, as drivers/gpu/drm/xe/instructions has them
 */

#define MI(opcode, dwords)	((opcode) << 23 | ((dwords) - 2))
#define BLT(opcode, dwords)	(2U << 29 | (opcode) << 22 | ((dwords) - 2))

#define LOAD_REGISTER_IMM	(MI(0x22, 5) | 1 << 19)	/* offsets in the engine */
#define LOAD_REGISTER_MEM	(MI(0x29, 4) | 1 << 19)
#define STORE_REGISTER_MEM	(MI(0x24, 4) | 1 << 19)
#define RING_TIMESTAMP		0x358
#define GPR(n)			(0x600 + (n) * 8)

#define MATH			MI(0x1a, 5)
#define ALU(opcode, to, from)	((opcode) << 20 | (to) << 10 | (from))
#define ALU_LOAD_A(gpr)		ALU(0x80, 0x20, gpr)
#define ALU_LOAD_B(gpr)		ALU(0x80, 0x21, gpr)
#define ALU_ADD			ALU(0x100, 0, 0)
#define ALU_STORE_RESULT(gpr)	ALU(0x180, gpr, 0x31)

/* On a qword, with the operand in the command */
#define ATOMIC_ADD		(MI(0x2f, 11) | 1 << 19 | 1 << 18 | 0x27 << 8)

#define MEM_COPY_PAGES		(BLT(0x5a, 10) | 1 << 19)
#define MEM_SET			BLT(0x5b, 7)
#define UNCACHED		3U	/* index of the cache policy */

static void emit(struct xe_queue *queue, uint32_t dword)
{
	if (queue->length < BATCH_DWORDS)
		queue->job->batch[queue->length] = dword;
	queue->length++;
}

static void emit_address(struct xe_queue *queue, const volatile void *p)
{
	emit(queue, svm_addr(p));
	emit(queue, svm_addr(p) >> 32);
}

/* Both halves of a register, from memory or to it */
static void emit_move(struct xe_queue *queue, uint32_t command, uint32_t reg,
		      const uint64_t *word)
{
	for (int half = 0; half < 2; half++) {
		emit(queue, command);
		emit(queue, reg + 4 * half);
		emit_address(queue, (const uint32_t *)word + half);
	}
}

void xe_emit_add(struct xe_queue *queue, const uint64_t *word, uint64_t value)
{
	emit_move(queue, LOAD_REGISTER_MEM, GPR(0), word);
	emit(queue, LOAD_REGISTER_IMM);
	emit(queue, GPR(1));
	emit(queue, value);
	emit(queue, GPR(1) + 4);
	emit(queue, value >> 32);
	emit(queue, MATH);
	emit(queue, ALU_LOAD_A(0));
	emit(queue, ALU_LOAD_B(1));
	emit(queue, ALU_ADD);
	emit(queue, ALU_STORE_RESULT(0));
	emit_move(queue, STORE_REGISTER_MEM, GPR(0), word);
}

void xe_emit_timestamp(struct xe_queue *queue, uint32_t *to)
{
	emit(queue, STORE_REGISTER_MEM);
	emit(queue, RING_TIMESTAMP);
	emit_address(queue, to);
}

void xe_emit_atomic_add(struct xe_queue *queue, const uint64_t *word,
			uint64_t value)
{
	emit(queue, ATOMIC_ADD);
	emit_address(queue, word);
	/* The dwords of two operands in turns; an addition has only one */
	emit(queue, value);
	emit(queue, 0);
	emit(queue, value >> 32);
	for (int i = 0; i < 5; i++)
		emit(queue, 0);
}

void xe_emit_copy(struct xe_queue *queue, void *dst, const void *src, size_t len)
{
	emit(queue, MEM_COPY_PAGES);
	emit(queue, len / XE_COPY_UNIT - 1);
	for (int i = 0; i < 3; i++)
		emit(queue, 0); /* height and pitches of a rectangle */
	emit_address(queue, src);
	emit_address(queue, dst);
	emit(queue, UNCACHED << 28 | UNCACHED << 3);
}

void xe_emit_fill(struct xe_queue *queue, void *dst, uint8_t byte, size_t len)
{
	emit(queue, MEM_SET);
	emit(queue, len - 1);
	emit(queue, 0);
	emit(queue, 0);
	emit_address(queue, dst);
	emit(queue, (uint32_t)byte << 24 | UNCACHED << 3);
}

/*
 * Counters
 */

int xe_stats(const struct xe_gpu *gpu, struct xe_stats *stats)
{
	const struct {
		const char *name;
		uint64_t *value;
	} fields[] = {
		{ "svm_pagefault_count", &stats->faults },
		{ "svm_tlb_inval_count", &stats->tlb_invalidations },
		{ "svm_device_copy_kb", &stats->kb_in },
		{ "svm_cpu_copy_kb", &stats->kb_out },
	};
	char file[32], path[64];

	snprintf(file, sizeof(file), "gt%u/stats", gpu->gt);
	svm_debugfs_path(gpu->fd, file, path, sizeof(path));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		long value = svm_proc_field(path, fields[i].name);

		if (value < 0)
			return svm_failed(-EACCES, "cannot read %s in %s: root only, in debugfs",
					  fields[i].name, path);
		*fields[i].value = value;
	}
	return 0;
}

void xe_stats_sub(struct xe_stats *to, const struct xe_stats *from)
{
	to->faults -= from->faults;
	to->tlb_invalidations -= from->tlb_invalidations;
	to->kb_in -= from->kb_in;
	to->kb_out -= from->kb_out;
}
