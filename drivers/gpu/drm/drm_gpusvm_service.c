// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/cred.h>
#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/mm_types.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/workqueue.h>

#include <drm/drm_gpusvm_service.h>

/**
 * DOC: Services
 *
 * A device's page fault is served by a worker on behalf of a process, and may
 * have to wait for another one: for the handler of a userfaultfd, a FUSE server,
 * a file system behind a network. That one may take for ever. A thread of the
 * process that touches the same page waits just as long, but it can be killed.
 * A worker has no user who could kill it; and it holds a reference to the mm,
 * so that the memory stays when the process has gone.
 *
 * So a driver puts each service into brackets::
 *
 *	struct drm_gpusvm_service service;
 *
 *	err = drm_gpusvm_service_begin(&vm->services, &service);
 *	if (!err) {
 *		err = driver_serve_fault(vm, fault);
 *		drm_gpusvm_service_end(&vm->services, &service);
 *	}
 *
 * and cancels the services of a VM before it waits for them: when the file or
 * the VM is closed, when the device goes, and wherever else it won't need what
 * they are about to map::
 *
 *	drm_gpusvm_services_cancel(&vm->services);
 *	driver_drain_faults(vm);
 *
 * They are ended before the VM is freed, while it has the mm::
 *
 *	drm_gpusvm_services_fini(&vm->services);
 *	drm_gpusvm_fini(&vm->gpusvm);
 *
 * A call may need what a service holds, such as the lock of the VM, and can't wait for it
 * when its process has been killed. Others may go on with the VM, so it doesn't cancel
 * the services, but interrupts them until it has that::
 *
 *	if (down_write_killable(&vm->lock)) {
 *		drm_gpusvm_services_interrupt(&vm->services);
 *		down_write(&vm->lock);
 *		drm_gpusvm_services_resume(&vm->services);
 *	}
 *
 * A driver whose service has ended with -EINTR, and was not cancelled, lets go of the
 * lock and begins again.
 *
 * A service that is cancelled or interrupted sees a fatal signal. What waits killably
 * for memory or for a lock ends, and HMM, drm_gpusvm_range_get_pages() and its like
 * return -EINTR. If it was cancelled, the fault is then answered as one that can't be
 * served. What waits in another way is not disturbed, and page tables, migrations and
 * fences are as they would be without.
 *
 * A process can leave its memory without its file being closed: it dies while others
 * have the file open, or it calls exec(). For that drm_gpusvm_services_init() can watch
 * the memory: when nobody uses it any more, its services are cancelled by themselves,
 * at once at the death of the process, else within a second. That takes CONFIG_MEMCG,
 * which knows who uses it.
 *
 * What a service does is done as if a thread of the process had taken the fault: a
 * worker has the credentials of whoever called drm_gpusvm_services_init(), so that
 * quotas and the reserves of file systems hold, and what it allocates is charged to
 * the memory cgroup of the process.
 *
 * Locks that are held during a service are taken killably by ioctls and by other
 * services, otherwise it is these that can't be killed.
 *
 * A service in the context of a process, as of a prefetch ioctl, may have brackets
 * as well. It ends when its process is killed; being cancelled does no more to it
 * than to keep it from beginning, and being interrupted does nothing. A driver whose
 * removal can't wait for that lets a worker do it.
 */

/* Only a kernel thread can be sent a fatal signal that isn't fatal. */
static bool is_interruptible(const struct task_struct *task)
{
	return task->flags & PF_KTHREAD;
}

static void interrupt_running_locked(struct drm_gpusvm_services *services)
{
	struct drm_gpusvm_service *service;

	lockdep_assert_held(&services->lock);

	list_for_each_entry(service, &services->running, link)
		if (is_interruptible(service->task))
			send_sig(SIGKILL, service->task, 1);
}

/**
 * drm_gpusvm_services_cancel() - Interrupt services, and let none begin
 * @services: The services
 *
 * Doesn't sleep, and doesn't wait for them. Those that are under way come to their
 * end soon, in their own time; a driver waits for them as it always does. May be
 * called more than once.
 */
void drm_gpusvm_services_cancel(struct drm_gpusvm_services *services)
{
	guard(spinlock_irqsave)(&services->lock);

	WRITE_ONCE(services->cancelled, true);
	interrupt_running_locked(services);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_cancel);

/**
 * drm_gpusvm_services_interrupt() - Interrupt services for the time being
 * @services: The services
 *
 * For who is about to wait for something that they hold, and that they let go of when
 * they end. Kernel threads begin none until drm_gpusvm_services_resume(), or else the
 * next one could have it first. Doesn't sleep, and doesn't wait for them. Several may
 * interrupt at the same time; each resumes.
 */
void drm_gpusvm_services_interrupt(struct drm_gpusvm_services *services)
{
	guard(spinlock_irqsave)(&services->lock);

	services->interruptions++;
	interrupt_running_locked(services);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_interrupt);

/**
 * drm_gpusvm_services_resume() - Undo drm_gpusvm_services_interrupt()
 * @services: The services
 *
 * Those that were interrupted are for their drivers to begin again.
 */
void drm_gpusvm_services_resume(struct drm_gpusvm_services *services)
{
	guard(spinlock_irqsave)(&services->lock);

	services->interruptions--;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_resume);

/*
 * Whether anybody uses memory: the process itself until it dies or calls exec(), those
 * of a vfork() or clone() with CLONE_VM. Only memory cgroups know; without them it is
 * left to the file, which is closed at the latest when all of these have gone.
 */
static bool mm_is_used(const struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return READ_ONCE(mm->owner);
#else
	return true;
#endif
}

/* Look again while somebody may wait for what never comes. */
#define WATCH_INTERVAL	HZ

static void watch(struct drm_gpusvm_services *services)
{
	queue_delayed_work(system_dfl_wq, &services->work, WATCH_INTERVAL);
}

static bool are_running(struct drm_gpusvm_services *services)
{
	guard(spinlock_irqsave)(&services->lock);

	return !list_empty(&services->running);
}

static void watch_work(struct work_struct *work)
{
	struct drm_gpusvm_services *services =
		container_of(work, struct drm_gpusvm_services, work.work);

	if (!mm_is_used(services->mm))
		drm_gpusvm_services_cancel(services);
	else if (are_running(services))
		watch(services);
}

/* Called where processes are reaped, with locks that signals are sent under. */
static int process_event(struct wait_queue_entry *death, unsigned int mode,
			 int sync, void *key)
{
	struct drm_gpusvm_services *services =
		container_of(death, struct drm_gpusvm_services, death);

	mod_delayed_work(system_dfl_wq, &services->work, 0);
	return 0;
}

/**
 * drm_gpusvm_services_init() - Prepare for services
 * @services: The services
 * @mm: The memory that they are for, which the calling process uses; or NULL. When
 *	nobody uses it any more they are cancelled. The caller keeps it, as a GPU SVM
 *	does, until drm_gpusvm_services_fini()
 *
 * With @mm, kernel threads serve with the credentials of the calling task, and what
 * they allocate is charged to the memory cgroup that has @mm. A driver whose VM can
 * have services for several processes, or that doesn't know yet for whom they will
 * be, passes NULL.
 */
void drm_gpusvm_services_init(struct drm_gpusvm_services *services,
			      struct mm_struct *mm)
{
	*services = (struct drm_gpusvm_services) { .mm = mm };
	spin_lock_init(&services->lock);
	INIT_LIST_HEAD(&services->running);
	init_waitqueue_func_entry(&services->death, process_event);
	INIT_DELAYED_WORK(&services->work, watch_work);

	if (mm) {
		services->cred = get_current_cred();
		services->process = get_pid(task_tgid(current));
		add_wait_queue(&services->process->wait_pidfd, &services->death);
	}
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_init);

/**
 * drm_gpusvm_services_watch() - Have services cancelled when nobody uses some memory
 * @services: The services, initialised without memory; none has begun
 * @mm: The memory, which the caller keeps until drm_gpusvm_services_fini()
 *
 * For who finds out later, and not in the process that uses it. They are cancelled within
 * a second then. Whose credentials kernel threads have, and who is charged, stays as it is.
 */
void drm_gpusvm_services_watch(struct drm_gpusvm_services *services, struct mm_struct *mm)
{
	services->mm = mm;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_watch);

/**
 * drm_gpusvm_services_fini() - Undo drm_gpusvm_services_init()
 * @services: The services, of which none is under way; may be zeroed memory
 *
 * May sleep.
 */
void drm_gpusvm_services_fini(struct drm_gpusvm_services *services)
{
	if (services->process) {
		remove_wait_queue(&services->process->wait_pidfd,
				  &services->death);
		put_pid(services->process);
		put_cred(services->cred);
		services->process = NULL;
	}
	if (services->mm)
		cancel_delayed_work_sync(&services->work);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_fini);

/**
 * drm_gpusvm_services_cancelled() - Whether no service begins any more
 * @services: The services
 *
 * Tells -EINTR of a service apart from that of a process that was killed, and from that
 * of a service that was interrupted and can be begun again.
 *
 * Return: true if they were cancelled.
 */
bool drm_gpusvm_services_cancelled(const struct drm_gpusvm_services *services)
{
	return READ_ONCE(services->cancelled);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_services_cancelled);

/* Act for the process, as one of its own threads would, and no longer than one could. */
static void put_on(struct drm_gpusvm_services *services,
		   struct drm_gpusvm_service *service)
{
	if (!is_interruptible(current))
		return;

	if (services->mm)
		watch(services);
	if (!services->cred)
		return;

	service->cred = override_creds(services->cred);
	service->charged = get_mem_cgroup_from_mm(services->mm);
	service->memcg = set_active_memcg(service->charged);
}

static void take_off(const struct drm_gpusvm_service *service)
{
	if (!service->cred)
		return;

	set_active_memcg(service->memcg);
	mem_cgroup_put(service->charged);
	revert_creds(service->cred);
}

static bool add_service(struct drm_gpusvm_services *services,
			struct drm_gpusvm_service *service)
{
	guard(spinlock_irqsave)(&services->lock);

	if (services->cancelled ||
	    (services->interruptions && is_interruptible(service->task)))
		return false;

	list_add_tail(&service->link, &services->running);
	return true;
}

/**
 * drm_gpusvm_service_begin() - Begin a service that can be cancelled
 * @services: What it is one of
 * @service: The service
 *
 * Until drm_gpusvm_service_end(), which the same task calls, a kernel thread can
 * get a fatal signal from drm_gpusvm_services_cancel() and
 * drm_gpusvm_services_interrupt(), and from nobody else. It has one service at a time
 * and doesn't use SIGKILL itself. May sleep in between but not end.
 *
 * Return: 0, or -EINTR if the services were cancelled or are interrupted; then there
 * is nothing to end.
 */
int drm_gpusvm_service_begin(struct drm_gpusvm_services *services,
			     struct drm_gpusvm_service *service)
{
	*service = (struct drm_gpusvm_service) { .task = current };

	/* The signal is ignored but for this, so before anyone can send it. */
	if (is_interruptible(current))
		allow_kernel_signal(SIGKILL);

	if (add_service(services, service)) {
		put_on(services, service);
		return 0;
	}

	if (is_interruptible(current))
		disallow_signal(SIGKILL);
	return -EINTR;
}
EXPORT_SYMBOL_GPL(drm_gpusvm_service_begin);

/**
 * drm_gpusvm_service_end() - End a service
 * @services: What it is one of
 * @service: The service, which the calling task has begun
 *
 * A kernel thread has no signal pending afterwards.
 */
void drm_gpusvm_service_end(struct drm_gpusvm_services *services,
			    struct drm_gpusvm_service *service)
{
	scoped_guard(spinlock_irqsave, &services->lock)
		list_del(&service->link);

	take_off(service);

	/* Nobody knows of the task any more: what was sent is taken back here. */
	if (is_interruptible(current))
		disallow_signal(SIGKILL);
}
EXPORT_SYMBOL_GPL(drm_gpusvm_service_end);
