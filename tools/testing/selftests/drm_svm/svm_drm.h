/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the libraries for vsvm and for xe have in common: calls of a DRM driver,
 * and what to say if one fails.
 */
#ifndef SVM_DRM_H
#define SVM_DRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SVM_RENDER_MINOR_FIRST	128
#define SVM_RENDER_MINOR_END	192

/* How long a wait for a device may take that ought to end */
#define SVM_WAIT_MS	60000

/* Keep for svm_why() what to tell the user, and return @error */
int __attribute__((format(printf, 2, 3)))
svm_failed(int error, const char *format, ...);

/* After a function of a library failed in this thread: cause and remedy */
const char *svm_why(void);

/* ioctl() that goes on when a signal interrupts it */
int svm_ioctl(int fd, unsigned long request, void *arg);

/* The same, and says which call of the device failed */
int svm_call(int fd, unsigned long request, const char *name, void *arg);

static inline uint64_t svm_addr(const volatile void *p)
{
	return (uintptr_t)p;
}

/* The path of a file of the device in debugfs */
void svm_debugfs_path(int fd, const char *file, char *path, size_t size);

/* Whether the open file is one of a device of @driver */
bool svm_is_driver(int fd, const char *driver);

#endif
