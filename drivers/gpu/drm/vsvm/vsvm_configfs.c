// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include <drm/drm_file.h>

#include "vsvm_config.h"
#include "vsvm_configfs.h"
#include "vsvm_device.h"

/**
 * struct vsvm_directory - A directory that describes a set of devices
 *
 * @group: The directory
 * @lock: Protects the rest
 * @config: What the attributes say; always valid
 * @set: The devices while they are enabled, else NULL
 */
struct vsvm_directory {
	struct config_group group;
	struct mutex lock;
	struct vsvm_config config;
	struct vsvm_set *set;
};

static struct vsvm_directory *to_directory(struct config_item *item)
{
	return container_of(to_config_group(item), struct vsvm_directory, group);
}

/* Change the configuration, if there are no devices and it stays valid. */
static ssize_t store_config(struct vsvm_directory *dir,
			    const struct vsvm_config *config, int err,
			    size_t count)
{
	lockdep_assert_held(&dir->lock);

	if (dir->set)
		return -EBUSY;
	if (err || vsvm_config_validate(config))
		return -EINVAL;

	dir->config = *config;
	return count;
}

#define VSVM_SHOW(name, field, format)						\
static ssize_t directory_##name##_show(struct config_item *item, char *page)	\
{										\
	struct vsvm_directory *dir = to_directory(item);			\
										\
	guard(mutex)(&dir->lock);						\
	return sysfs_emit(page, format "\n", dir->config.field);		\
}

#define VSVM_STORE(name, field, parse)						\
static ssize_t directory_##name##_store(struct config_item *item,		\
					const char *page, size_t count)		\
{										\
	struct vsvm_directory *dir = to_directory(item);			\
	struct vsvm_config config;						\
	int err;								\
										\
	guard(mutex)(&dir->lock);						\
	config = dir->config;							\
	err = parse(page, &config.field);					\
	return store_config(dir, &config, err, count);				\
}										\
										\
CONFIGFS_ATTR(directory_, name)

static int parse_number(const char *text, unsigned int *number)
{
	return kstrtouint(text, 0, number);
}

static int parse_bool(const char *text, bool *value)
{
	return kstrtobool(text, value);
}

VSVM_SHOW(devices, num_devices, "%u")
VSVM_STORE(devices, num_devices, parse_number);
VSVM_SHOW(fault_workers, fault_workers, "%u")
VSVM_STORE(fault_workers, fault_workers, parse_number);
VSVM_SHOW(tlb_inval_latency_us, tlb_inval_latency_us, "%u")
VSVM_STORE(tlb_inval_latency_us, tlb_inval_latency_us, parse_number);
VSVM_SHOW(notifier_size, notifier_size, "%lu")
VSVM_STORE(notifier_size, notifier_size, vsvm_config_parse_size);
VSVM_SHOW(check_pages_threshold, check_pages_threshold, "%lu")
VSVM_STORE(check_pages_threshold, check_pages_threshold, vsvm_config_parse_size);
VSVM_SHOW(mem_size, mem_size, "%lu")
VSVM_STORE(mem_size, mem_size, vsvm_config_parse_size);
VSVM_SHOW(copy_latency_us, copy_latency_us, "%u")
VSVM_STORE(copy_latency_us, copy_latency_us, parse_number);
VSVM_SHOW(copy_bandwidth, copy_bandwidth, "%u")
VSVM_STORE(copy_bandwidth, copy_bandwidth, parse_number);
VSVM_SHOW(interconnect, interconnect, "%d")
VSVM_STORE(interconnect, interconnect, parse_bool);
VSVM_SHOW(eviction, eviction, "%d")
VSVM_STORE(eviction, eviction, parse_bool);
VSVM_SHOW(fault_window, fault_window, "%lu")
VSVM_STORE(fault_window, fault_window, vsvm_config_parse_size);
VSVM_SHOW(timeslice_ms, timeslice_ms, "%u")
VSVM_STORE(timeslice_ms, timeslice_ms, parse_number);

static ssize_t directory_policy_show(struct config_item *item, char *page)
{
	struct vsvm_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%s\n",
			  vsvm_config_policy_name(dir->config.policy));
}

VSVM_STORE(policy, policy, vsvm_config_parse_policy);

static ssize_t directory_chunk_sizes_show(struct config_item *item, char *page)
{
	struct vsvm_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return vsvm_config_print_chunks(&dir->config, page, PAGE_SIZE);
}

static ssize_t directory_chunk_sizes_store(struct config_item *item,
					   const char *page, size_t count)
{
	struct vsvm_directory *dir = to_directory(item);
	struct vsvm_config config;
	int err;

	guard(mutex)(&dir->lock);
	config = dir->config;
	err = vsvm_config_parse_chunks(&config, page);
	return store_config(dir, &config, err, count);
}

CONFIGFS_ATTR(directory_, chunk_sizes);

static void disable(struct vsvm_directory *dir)
{
	lockdep_assert_held(&dir->lock);

	if (dir->set)
		vsvm_set_destroy(dir->set);
	dir->set = NULL;
}

static int enable(struct vsvm_directory *dir)
{
	struct vsvm_set *set;
	char *name;

	lockdep_assert_held(&dir->lock);

	if (dir->set)
		return 0;

	name = kasprintf(GFP_KERNEL, "vsvm-%s",
			 config_item_name(&dir->group.cg_item));
	if (!name)
		return -ENOMEM;

	set = vsvm_set_create(name, &dir->config);
	kfree(name);
	if (IS_ERR(set))
		return PTR_ERR(set);

	dir->set = set;
	return 0;
}

static ssize_t directory_enabled_show(struct config_item *item, char *page)
{
	struct vsvm_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%d\n", !!dir->set);
}

static ssize_t directory_enabled_store(struct config_item *item,
				       const char *page, size_t count)
{
	struct vsvm_directory *dir = to_directory(item);
	bool wanted;
	int err = 0;

	if (kstrtobool(page, &wanted))
		return -EINVAL;

	guard(mutex)(&dir->lock);
	if (wanted)
		err = enable(dir);
	else
		disable(dir);

	return err ?: count;
}

CONFIGFS_ATTR(directory_, enabled);

static ssize_t directory_render_nodes_show(struct config_item *item, char *page)
{
	struct vsvm_directory *dir = to_directory(item);
	int len = 0;

	guard(mutex)(&dir->lock);
	for (int i = 0; dir->set && i < dir->set->num_devices; i++)
		len += sysfs_emit_at(page, len, "renderD%d\n",
				     dir->set->devices[i]->drm.render->index);

	return len;
}

CONFIGFS_ATTR_RO(directory_, render_nodes);

static struct configfs_attribute *directory_attrs[] = {
	&directory_attr_devices,
	&directory_attr_fault_workers,
	&directory_attr_chunk_sizes,
	&directory_attr_notifier_size,
	&directory_attr_check_pages_threshold,
	&directory_attr_tlb_inval_latency_us,
	&directory_attr_mem_size,
	&directory_attr_copy_latency_us,
	&directory_attr_copy_bandwidth,
	&directory_attr_policy,
	&directory_attr_interconnect,
	&directory_attr_eviction,
	&directory_attr_fault_window,
	&directory_attr_timeslice_ms,
	&directory_attr_enabled,
	&directory_attr_render_nodes,
	NULL
};

static void directory_release(struct config_item *item)
{
	struct vsvm_directory *dir = to_directory(item);

	scoped_guard(mutex, &dir->lock)
		disable(dir);
	mutex_destroy(&dir->lock);
	kfree(dir);
}

static struct configfs_item_operations directory_item_ops = {
	.release = directory_release,
};

static const struct config_item_type directory_type = {
	.ct_item_ops = &directory_item_ops,
	.ct_attrs = directory_attrs,
	.ct_owner = THIS_MODULE,
};

static struct config_group *make_directory(struct config_group *parent,
					   const char *name)
{
	struct vsvm_directory *dir = kzalloc_obj(*dir);

	if (!dir)
		return ERR_PTR(-ENOMEM);

	mutex_init(&dir->lock);
	vsvm_config_init(&dir->config);
	config_group_init_type_name(&dir->group, name, &directory_type);
	return &dir->group;
}

/* An open attribute file can keep the directory, but not the devices. */
static void drop_directory(struct config_group *parent, struct config_item *item)
{
	struct vsvm_directory *dir = to_directory(item);

	scoped_guard(mutex, &dir->lock)
		disable(dir);
	config_item_put(item);
}

static struct configfs_group_operations root_ops = {
	.make_group = make_directory,
	.drop_item = drop_directory,
};

static const struct config_item_type root_type = {
	.ct_group_ops = &root_ops,
	.ct_owner = THIS_MODULE,
};

static struct configfs_subsystem subsystem = {
	.su_group = {
		.cg_item = {
			.ci_namebuf = "vsvm",
			.ci_type = &root_type,
		},
	},
	.su_mutex = __MUTEX_INITIALIZER(subsystem.su_mutex),
};

/**
 * vsvm_configfs_register() - Make the directory /sys/kernel/config/vsvm
 *
 * Return: 0 or a negative error code.
 */
int vsvm_configfs_register(void)
{
	config_group_init(&subsystem.su_group);
	return configfs_register_subsystem(&subsystem);
}

/**
 * vsvm_configfs_unregister() - Remove the directory
 */
void vsvm_configfs_unregister(void)
{
	configfs_unregister_subsystem(&subsystem);
}
