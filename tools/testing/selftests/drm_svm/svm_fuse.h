/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system of one file, whose server gives the first pages and says nothing of
 * the others: as a network does when it is gone.
 */
#ifndef SVM_FUSE_H
#define SVM_FUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct svm_fuse - A mounted file and its server
 * @path: Where it is mounted; as long as the server lives
 * @size: Size of the file, bytes
 * @given: Bytes at its beginning that can be read
 * @asked: How often somebody asked for others
 * @fd: The server's end
 * @thread: The server
 */
struct svm_fuse {
	char path[32];
	size_t size, given;
	unsigned int asked;
	int fd;
	pthread_t thread;
};

/* False: no FUSE, or not root */
bool svm_fuse_mount(struct svm_fuse *fuse, size_t size, size_t given);
void svm_fuse_unmount(struct svm_fuse *fuse);

/* What the given pages hold */
uint64_t svm_fuse_sum(const struct svm_fuse *fuse);

#endif
