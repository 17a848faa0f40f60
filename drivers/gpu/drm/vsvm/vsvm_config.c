// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <kunit/visibility.h>

#include "vsvm_config.h"

/**
 * vsvm_config_init() - Fill a configuration with what suits most
 * @config: The configuration
 */
void vsvm_config_init(struct vsvm_config *config)
{
	static const unsigned long sizes[] = { SZ_2M, SZ_64K };

	*config = (struct vsvm_config) {
		.num_devices = 1,
		.fault_workers = 4,
		.notifier_size = SZ_512M,
		.policy = DRM_VSVM_POLICY_FIRST_TOUCH,
		.interconnect = true,
		.eviction = true,
		.fault_window = max(SZ_64K, PAGE_SIZE),
	};

	for (int i = 0; i < ARRAY_SIZE(sizes); i++)
		if (sizes[i] > PAGE_SIZE)
			config->chunk_sizes[config->num_chunks++] = sizes[i];
	config->chunk_sizes[config->num_chunks++] = PAGE_SIZE;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_init);

static bool chunks_are_valid(const struct vsvm_config *config)
{
	const unsigned long *sizes = config->chunk_sizes;

	if (!config->num_chunks || config->num_chunks > DRM_VSVM_MAX_CHUNKS)
		return false;

	for (int i = 0; i < config->num_chunks; i++) {
		if (!is_power_of_2(sizes[i]) || sizes[i] > VSVM_MAX_CHUNK_SIZE)
			return false;
		if (i && sizes[i] >= sizes[i - 1])
			return false;
	}

	/* A fault that can't be served by a chunk is served by its page. */
	return sizes[config->num_chunks - 1] == PAGE_SIZE;
}

static bool memory_is_valid(const struct vsvm_config *config)
{
	if (!IS_ALIGNED(config->mem_size, VSVM_MEM_BLOCK) ||
	    config->mem_size > VSVM_MAX_MEM_SIZE)
		return false;

	if (!is_power_of_2(config->fault_window) ||
	    config->fault_window < PAGE_SIZE ||
	    config->fault_window > VSVM_MEM_BLOCK)
		return false;

	return config->copy_latency_us <= VSVM_MAX_COPY_LATENCY_US &&
	       config->policy <= DRM_VSVM_POLICY_FIRST_TOUCH &&
	       config->timeslice_ms <= DRM_VSVM_MAX_TIMESLICE_MS;
}

/**
 * vsvm_config_validate() - Check whether devices can be created like this
 * @config: The configuration
 *
 * Return: 0 or -EINVAL.
 */
int vsvm_config_validate(const struct vsvm_config *config)
{
	if (!config->num_devices || config->num_devices > DRM_VSVM_MAX_DEVICES)
		return -EINVAL;

	if (!config->fault_workers ||
	    config->fault_workers > VSVM_MAX_FAULT_WORKERS)
		return -EINVAL;

	if (!chunks_are_valid(config))
		return -EINVAL;

	if (!is_power_of_2(config->notifier_size) ||
	    config->notifier_size < config->chunk_sizes[0] ||
	    config->notifier_size > BIT(DRM_VSVM_VA_BITS))
		return -EINVAL;

	if (!PAGE_ALIGNED(config->check_pages_threshold))
		return -EINVAL;

	if (config->tlb_inval_latency_us > VSVM_MAX_TLB_INVAL_LATENCY_US)
		return -EINVAL;

	return memory_is_valid(config) ? 0 : -EINVAL;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_validate);

static int parse_one(const char *text, const char **end, unsigned long *size)
{
	unsigned long long value;
	char *stop;

	if (!isdigit(*text))
		return -EINVAL;

	value = memparse(text, &stop);
	if (value != (unsigned long)value)
		return -EINVAL;

	*size = value;
	*end = stop;
	return 0;
}

/**
 * vsvm_config_parse_size() - Read a size as people write it
 * @text: A number, maybe with a suffix as "64K", maybe a line end
 * @size: Receives it
 *
 * Return: 0 or -EINVAL.
 */
int vsvm_config_parse_size(const char *text, unsigned long *size)
{
	unsigned long value;
	const char *end;

	if (parse_one(text, &end, &value) || *skip_spaces(end))
		return -EINVAL;

	*size = value;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_parse_size);

static const char * const policy_names[] = {
	[DRM_VSVM_POLICY_SYSTEM] = "system",
	[DRM_VSVM_POLICY_ADVICE] = "advice",
	[DRM_VSVM_POLICY_FIRST_TOUCH] = "first_touch",
};

/**
 * vsvm_config_parse_policy() - Read the name of a migration policy
 * @text: The name, maybe a line end
 * @policy: Receives it
 *
 * Return: 0 or -EINVAL.
 */
int vsvm_config_parse_policy(const char *text, enum drm_vsvm_policy *policy)
{
	int index = sysfs_match_string(policy_names, text);

	if (index < 0)
		return -EINVAL;

	*policy = index;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_parse_policy);

/**
 * vsvm_config_policy_name() - The name of a migration policy
 * @policy: The policy
 *
 * Return: a name that vsvm_config_parse_policy() reads.
 */
const char *vsvm_config_policy_name(enum drm_vsvm_policy policy)
{
	return policy_names[policy];
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_policy_name);

/**
 * vsvm_config_parse_chunks() - Read a list of chunk sizes
 * @config: The configuration whose chunk sizes are replaced, if all is well
 * @text: Sizes with commas between them, as "2M,64K,4K"
 *
 * Return: 0 or -EINVAL, also for sizes that vsvm_config_validate() refuses.
 */
int vsvm_config_parse_chunks(struct vsvm_config *config, const char *text)
{
	struct vsvm_config parsed = *config;

	for (parsed.num_chunks = 0;; text++) {
		if (parsed.num_chunks == DRM_VSVM_MAX_CHUNKS)
			return -EINVAL;
		if (parse_one(text, &text,
			      &parsed.chunk_sizes[parsed.num_chunks++]))
			return -EINVAL;
		if (*text != ',')
			break;
	}

	if (*skip_spaces(text) || !chunks_are_valid(&parsed))
		return -EINVAL;

	*config = parsed;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_parse_chunks);

/**
 * vsvm_config_print_chunks() - Write the list of chunk sizes
 * @config: The configuration
 * @buf: Receives a text that vsvm_config_parse_chunks() reads, and a line end
 * @size: Size of @buf
 *
 * Return: the length of the text.
 */
int vsvm_config_print_chunks(const struct vsvm_config *config, char *buf,
			     size_t size)
{
	int len = 0;

	for (int i = 0; i < config->num_chunks; i++)
		len += scnprintf(buf + len, size - len, "%s%luK",
				 i ? "," : "", config->chunk_sizes[i] / SZ_1K);

	return len + scnprintf(buf + len, size - len, "\n");
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_print_chunks);
