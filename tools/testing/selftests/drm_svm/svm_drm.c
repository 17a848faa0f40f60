// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <drm/drm.h>

#include "svm_drm.h"

static _Thread_local char why[256];

int svm_failed(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return error;
}

const char *svm_why(void)
{
	return why;
}

int svm_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

int svm_call(int fd, unsigned long request, const char *name, void *arg)
{
	int err = svm_ioctl(fd, request, arg);

	return err ? svm_failed(err, "%s failed: %s", name, strerror(-err)) : 0;
}

bool svm_is_driver(int fd, const char *driver)
{
	char name[16] = "";
	struct drm_version version = {
		.name = name,
		.name_len = sizeof(name) - 1,
	};

	return !svm_ioctl(fd, DRM_IOCTL_VERSION, &version) &&
	       !strcmp(name, driver);
}

void svm_debugfs_path(int fd, const char *file, char *path, size_t size)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	snprintf(path, size, "/sys/kernel/debug/dri/%u/%s", minor(st.st_rdev),
		 file);
}
