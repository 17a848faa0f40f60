// SPDX-License-Identifier: GPL-2.0-only OR MIT

#include <kunit/test.h>

#include <linux/mm.h>
#include <linux/sizes.h>

#include "../vsvm_config.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

/**
 * struct config_case - A number that a field of a configuration can have
 * @name: What is tested
 * @value: The number
 * @valid: Whether it is all right
 */
struct config_case {
	const char *name;
	unsigned long value;
	bool valid;
};

static void test_defaults_are_valid(struct kunit *test)
{
	struct vsvm_config config;

	vsvm_config_init(&config);

	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config), 0);
	KUNIT_EXPECT_EQ(test, config.num_devices, 1);
	KUNIT_EXPECT_EQ(test, config.notifier_size, SZ_512M);
	KUNIT_EXPECT_EQ(test, config.chunk_sizes[0], SZ_2M);
	KUNIT_EXPECT_EQ(test, config.chunk_sizes[config.num_chunks - 1],
			PAGE_SIZE);
}

static const struct config_case device_cases[] = {
	{ "none", 0, false },
	{ "one", 1, true },
	{ "most", DRM_VSVM_MAX_DEVICES, true },
	{ "too many", DRM_VSVM_MAX_DEVICES + 1, false },
};

KUNIT_ARRAY_PARAM_DESC(device, device_cases, name);

static void test_num_devices(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.num_devices = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case worker_cases[] = {
	{ "none", 0, false },
	{ "one", 1, true },
	{ "most", VSVM_MAX_FAULT_WORKERS, true },
	{ "too many", VSVM_MAX_FAULT_WORKERS + 1, false },
};

KUNIT_ARRAY_PARAM_DESC(worker, worker_cases, name);

static void test_fault_workers(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.fault_workers = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case notifier_cases[] = {
	{ "none", 0, false },
	{ "smaller than a chunk", SZ_1M, false },
	{ "a chunk", SZ_2M, true },
	{ "not a power of two", SZ_512M + SZ_2M, false },
	{ "all addresses", BIT(DRM_VSVM_VA_BITS), true },
	{ "more than that", BIT(DRM_VSVM_VA_BITS + 1), false },
};

KUNIT_ARRAY_PARAM_DESC(notifier, notifier_cases, name);

static void test_notifier_size(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.notifier_size = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case latency_cases[] = {
	{ "none", 0, true },
	{ "most", VSVM_MAX_TLB_INVAL_LATENCY_US, true },
	{ "too long", VSVM_MAX_TLB_INVAL_LATENCY_US + 1, false },
};

KUNIT_ARRAY_PARAM_DESC(latency, latency_cases, name);

static void test_tlb_inval_latency(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.tlb_inval_latency_us = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case threshold_cases[] = {
	{ "none", 0, true },
	{ "a page", PAGE_SIZE, true },
	{ "half a page", PAGE_SIZE / 2, false },
	{ "more than a chunk", SZ_1G, true },
};

KUNIT_ARRAY_PARAM_DESC(threshold, threshold_cases, name);

static void test_check_pages_threshold(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.check_pages_threshold = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

/**
 * struct chunks_case - A list of chunk sizes
 * @name: What is tested
 * @num: Number of sizes
 * @sizes: The sizes
 * @valid: Whether it is all right
 */
struct chunks_case {
	const char *name;
	unsigned int num;
	unsigned long sizes[DRM_VSVM_MAX_CHUNKS];
	bool valid;
};

static const struct chunks_case chunks_cases[] = {
	{ "none", 0, {}, false },
	{ "pages", 1, { PAGE_SIZE }, true },
	{ "no pages", 1, { SZ_2M }, false },
	{ "two", 2, { SZ_2M, PAGE_SIZE }, true },
	{ "ascending", 2, { PAGE_SIZE, SZ_2M }, false },
	{ "the same twice", 3, { SZ_2M, SZ_2M, PAGE_SIZE }, false },
	{ "not a power of two", 2, { SZ_2M + SZ_1M, PAGE_SIZE }, false },
	{ "zero in between", 3, { SZ_2M, 0, PAGE_SIZE }, false },
	{ "less than a page", 2, { PAGE_SIZE, PAGE_SIZE / 2 }, false },
	{ "too many", DRM_VSVM_MAX_CHUNKS + 1, { SZ_2M, PAGE_SIZE }, false },
	{ "largest", 2, { VSVM_MAX_CHUNK_SIZE, PAGE_SIZE }, true },
	{ "too large", 2, { 2UL * VSVM_MAX_CHUNK_SIZE, PAGE_SIZE }, false },
};

KUNIT_ARRAY_PARAM_DESC(chunks, chunks_cases, name);

static void test_chunk_sizes(struct kunit *test)
{
	const struct chunks_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.notifier_size = BIT(DRM_VSVM_VA_BITS);
	config.num_chunks = c->num;
	memcpy(config.chunk_sizes, c->sizes, sizeof(c->sizes));
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

/**
 * struct parse_case - A text and what it means
 * @name: What is tested
 * @text: The text
 * @value: The size that is meant, or the number of chunks
 * @valid: Whether it means anything
 */
struct parse_case {
	const char *name;
	const char *text;
	unsigned long value;
	bool valid;
};

static const struct parse_case size_cases[] = {
	{ "bytes", "4096", 4096, true },
	{ "suffix", "64K", SZ_64K, true },
	{ "line end", "2M\n", SZ_2M, true },
	{ "zero", "0", 0, true },
	{ "nothing", "", 0, false },
	{ "empty line", "\n", 0, false },
	{ "negative", "-1", 0, false },
	{ "suffix only", "M", 0, false },
	{ "list", "2M,4K", 0, false },
	{ "rubbish behind", "2Mx", 0, false },
};

KUNIT_ARRAY_PARAM_DESC(size, size_cases, name);

static void test_parse_size(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	unsigned long size = 12345;

	KUNIT_EXPECT_EQ(test, vsvm_config_parse_size(c->text, &size),
			c->valid ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, size, c->valid ? c->value : 12345);
}

static const struct parse_case list_cases[] = {
	{ "one", "4K", 1, PAGE_SIZE == SZ_4K },
	{ "three and line end", "2M,64K,4K\n", 3, PAGE_SIZE == SZ_4K },
	{ "nothing", "", 0, false },
	{ "comma only", ",", 0, false },
	{ "comma at the end", "2M,", 0, false },
	{ "comma and space", "2M, 4K", 0, false },
	{ "space", "2M 4K", 0, false },
	{ "no page size", "2M,64K", 0, false },
	{ "ascending", "4K,2M", 0, false },
	{ "too many", "1G,512M,256M,128M,64M,32M,16M,8M,4K", 0, false },
	{ "largest", "1G,4K", 2, PAGE_SIZE == SZ_4K },
	{ "too large", "2G,4K", 0, false },
};

KUNIT_ARRAY_PARAM_DESC(list, list_cases, name);

static void test_parse_chunks(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct vsvm_config config, before;

	vsvm_config_init(&config);
	before = config;
	KUNIT_EXPECT_EQ(test, vsvm_config_parse_chunks(&config, c->text),
			c->valid ? 0 : -EINVAL);
	if (c->valid)
		KUNIT_EXPECT_EQ(test, config.num_chunks, c->value);
	else
		KUNIT_EXPECT_MEMEQ(test, &config, &before, sizeof(config));
}

static void test_print_chunks(struct kunit *test)
{
	struct vsvm_config config, again;
	char text[64];

	vsvm_config_init(&config);
	again = config;
	again.num_chunks = 0;

	KUNIT_EXPECT_EQ(test, vsvm_config_print_chunks(&config, text, sizeof(text)),
			strlen(text));
	KUNIT_EXPECT_EQ(test, vsvm_config_parse_chunks(&again, text), 0);
	KUNIT_EXPECT_MEMEQ(test, &config, &again, sizeof(config));
}

/* Apart from the policy, these are what a device without memory is like. */
static void test_memory_defaults(struct kunit *test)
{
	struct vsvm_config config;

	vsvm_config_init(&config);

	KUNIT_EXPECT_EQ(test, config.mem_size, 0);
	KUNIT_EXPECT_EQ(test, config.copy_latency_us, 0);
	KUNIT_EXPECT_EQ(test, config.copy_bandwidth, 0);
	KUNIT_EXPECT_EQ(test, config.timeslice_ms, 0);
	KUNIT_EXPECT_EQ(test, config.policy, DRM_VSVM_POLICY_FIRST_TOUCH);
	KUNIT_EXPECT_TRUE(test, config.interconnect);
	KUNIT_EXPECT_TRUE(test, config.eviction);
}

static const struct config_case mem_size_cases[] = {
	{ "none", 0, true },
	{ "a block", VSVM_MEM_BLOCK, true },
	{ "an odd number of blocks", 3 * VSVM_MEM_BLOCK, true },
	{ "part of a block", VSVM_MEM_BLOCK / 2, false },
	{ "blocks and a half", 5 * VSVM_MEM_BLOCK / 2, false },
	{ "most", VSVM_MAX_MEM_SIZE, true },
	{ "too much", VSVM_MAX_MEM_SIZE + VSVM_MEM_BLOCK, false },
};

KUNIT_ARRAY_PARAM_DESC(mem_size, mem_size_cases, name);

static void test_mem_size(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.mem_size = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case window_cases[] = {
	{ "none", 0, false },
	{ "half a page", PAGE_SIZE / 2, false },
	{ "a page", PAGE_SIZE, true },
	{ "not a power of two", 3 * PAGE_SIZE, false },
	{ "a block", VSVM_MEM_BLOCK, true },
	{ "more than a block", 2 * VSVM_MEM_BLOCK, false },
};

KUNIT_ARRAY_PARAM_DESC(window, window_cases, name);

static void test_fault_window(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.fault_window = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case timeslice_cases[] = {
	{ "none", 0, true },
	{ "longest", DRM_VSVM_MAX_TIMESLICE_MS, true },
	{ "too long", DRM_VSVM_MAX_TIMESLICE_MS + 1, false },
};

KUNIT_ARRAY_PARAM_DESC(timeslice, timeslice_cases, name);

static void test_timeslice(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.timeslice_ms = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct config_case copy_latency_cases[] = {
	{ "none", 0, true },
	{ "most", VSVM_MAX_COPY_LATENCY_US, true },
	{ "too long", VSVM_MAX_COPY_LATENCY_US + 1, false },
};

KUNIT_ARRAY_PARAM_DESC(copy_latency, copy_latency_cases, name);

static void test_copy_latency(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	struct vsvm_config config;

	vsvm_config_init(&config);
	config.copy_latency_us = c->value;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
}

static const struct parse_case policy_cases[] = {
	{ "system", "system", DRM_VSVM_POLICY_SYSTEM, true },
	{ "advice and line end", "advice\n", DRM_VSVM_POLICY_ADVICE, true },
	{ "first touch", "first_touch", DRM_VSVM_POLICY_FIRST_TOUCH, true },
	{ "nothing", "", 0, false },
	{ "part of a name", "first", 0, false },
	{ "more than a name", "systems", 0, false },
};

KUNIT_ARRAY_PARAM_DESC(policy, policy_cases, name);

static void test_parse_policy(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	enum drm_vsvm_policy policy = 99, again = 99;
	struct vsvm_config config;

	KUNIT_EXPECT_EQ(test, vsvm_config_parse_policy(c->text, &policy),
			c->valid ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, policy, c->valid ? c->value : 99);

	vsvm_config_init(&config);
	config.policy = policy;
	KUNIT_EXPECT_EQ(test, vsvm_config_validate(&config),
			c->valid ? 0 : -EINVAL);
	if (!c->valid)
		return;

	vsvm_config_parse_policy(vsvm_config_policy_name(policy), &again);
	KUNIT_EXPECT_EQ(test, again, policy);
}

static struct kunit_case vsvm_config_tests[] = {
	KUNIT_CASE(test_defaults_are_valid),
	KUNIT_CASE_PARAM(test_num_devices, device_gen_params),
	KUNIT_CASE_PARAM(test_fault_workers, worker_gen_params),
	KUNIT_CASE_PARAM(test_notifier_size, notifier_gen_params),
	KUNIT_CASE_PARAM(test_tlb_inval_latency, latency_gen_params),
	KUNIT_CASE_PARAM(test_check_pages_threshold, threshold_gen_params),
	KUNIT_CASE_PARAM(test_chunk_sizes, chunks_gen_params),
	KUNIT_CASE_PARAM(test_parse_size, size_gen_params),
	KUNIT_CASE_PARAM(test_parse_chunks, list_gen_params),
	KUNIT_CASE(test_print_chunks),
	KUNIT_CASE(test_memory_defaults),
	KUNIT_CASE_PARAM(test_mem_size, mem_size_gen_params),
	KUNIT_CASE_PARAM(test_fault_window, window_gen_params),
	KUNIT_CASE_PARAM(test_timeslice, timeslice_gen_params),
	KUNIT_CASE_PARAM(test_copy_latency, copy_latency_gen_params),
	KUNIT_CASE_PARAM(test_parse_policy, policy_gen_params),
	{}
};

static struct kunit_suite vsvm_config_suite = {
	.name = "vsvm_config",
	.test_cases = vsvm_config_tests,
};

kunit_test_suite(vsvm_config_suite);

MODULE_DESCRIPTION("KUnit tests for the virtual SVM device");
MODULE_LICENSE("Dual MIT/GPL");
