// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What debugfs says about devices: which there are, how much of their memory is in
 * use, and how many faults their drivers have counted, whether or not events were lost.
 * Whatever is not there is not shown.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "debugfs.h"
#include "model.h"

#define DRI	"/sys/kernel/debug/dri"

/* Each line that begins with the key: the sum of the numbers behind it */
static bool read_sum(const char *path, const char *key, uint64_t *sum)
{
	FILE *file = fopen(path, "r");
	unsigned long long value;
	bool found = false;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		char *text = line + strspn(line, " \t");

		if (strncmp(text, key, strlen(key)) ||
		    sscanf(text + strlen(key), " %llu", &value) != 1)
			continue;
		*sum += value;
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

static void read_vsvm(struct svm_device *device, const char *dir, bool begin)
{
	unsigned long long used, size;
	uint64_t faults = 0;
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory", dir);
	file = fopen(path, "r");
	if (file && fscanf(file, "used: %llu of %llu", &used, &size) == 2) {
		device->has_memory = true;
		device->used = used;
		device->size = size;
	}
	if (file)
		fclose(file);

	snprintf(path, sizeof(path), "%s/stats", dir);
	if (read_sum(path, "read_faults:", &faults) &&
	    read_sum(path, "write_faults:", &faults))
		svm_device_count(device, faults, begin);
}

static void read_xe(struct svm_device *device, const char *dir, bool begin)
{
	uint64_t faults = 0, used = 0, size = 0;
	bool has_faults = false;
	char path[300];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/tile%d/vram_mm", dir, i);
		if (read_sum(path, "size:", &size) && read_sum(path, "usage:", &used))
			device->has_memory = true;
		snprintf(path, sizeof(path), "%s/gt%d/stats", dir, i);
		has_faults |= read_sum(path, "svm_pagefault_count:", &faults);
	}
	device->used = used;
	device->size = size;
	if (has_faults)
		svm_device_count(device, faults, begin);
}

/* The drivers with GPU SVM */
static const struct {
	const char *name;
	bool reports;
	void (*read)(struct svm_device *device, const char *dir, bool begin);
} drivers[] = {
	{ "vsvm", true, read_vsvm },
	{ "xe", false, read_xe },
};

static void read_device(struct svm_model *model, const char *dir, const char *driver,
			const char *name, bool begin)
{
	struct svm_device *device;

	for (unsigned int i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (strcmp(driver, drivers[i].name))
			continue;
		device = svm_model_device(model, name);
		snprintf(device->driver, sizeof(device->driver), "%s", driver);
		device->reports = drivers[i].reports;
		drivers[i].read(device, dir, begin);
	}
}

/* A device has a folder for each of its minors */
static bool is_known(char (*seen)[SVM_NAME_LEN], unsigned int num, const char *name)
{
	for (unsigned int i = 0; i < num; i++)
		if (!strcmp(seen[i], name))
			return true;
	return false;
}

/**
 * svm_debugfs_read() - Tell the model about devices
 * @model: The model
 * @begin: The first time, for which what was before doesn't count
 */
void svm_debugfs_read(struct svm_model *model, bool begin)
{
	char driver[16], name[SVM_NAME_LEN], path[300], dir[280];
	char seen[64][SVM_NAME_LEN];
	struct dirent *entry;
	unsigned int num = 0;
	DIR *dri = opendir(DRI);
	FILE *file;

	while (dri && (entry = readdir(dri))) {
		snprintf(dir, sizeof(dir), DRI "/%s", entry->d_name);
		snprintf(path, sizeof(path), "%s/name", dir);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%15s dev=%39s", driver, name) == 2 && num < 64 &&
		    !is_known(seen, num, name)) {
			strcpy(seen[num++], name);
			read_device(model, dir, driver, name, begin);
		}
		fclose(file);
	}
	if (dri)
		closedir(dri);
}
