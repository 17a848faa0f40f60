// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "svm_fuse.h"

#define BUFFER	(256 * 1024)
#define BYTE	7

static void reply(const struct svm_fuse *fuse, const struct fuse_in_header *in,
		  int err, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = err,
		.unique = in->unique,
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)data, len } };

	/* Whoever asked may be gone by now */
	if (writev(fuse->fd, iov, 2) < 0 && errno != ENOENT)
		perror("answer of the file system");
}

/* Nothing is read ahead: one page is asked for at a time */
static void reply_init(const struct svm_fuse *fuse, const struct fuse_in_header *in)
{
	const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
	};

	reply(fuse, in, 0, &out, sizeof(out));
}

static void reply_getattr(const struct svm_fuse *fuse, const struct fuse_in_header *in)
{
	const struct fuse_attr_out out = {
		.attr_valid = 1000,
		.attr = {
			.ino = FUSE_ROOT_ID,
			.size = fuse->size,
			.mode = S_IFREG | 0600,
			.nlink = 1,
		},
	};

	reply(fuse, in, 0, &out, sizeof(out));
}

static void reply_read(struct svm_fuse *fuse, const struct fuse_in_header *in,
		       const struct fuse_read_in *read)
{
	char *data;

	if (read->offset + read->size > fuse->given) {
		__atomic_add_fetch(&fuse->asked, 1, __ATOMIC_RELAXED);
		return;
	}

	data = malloc(read->size);
	if (!data) {
		reply(fuse, in, -ENOMEM, NULL, 0);
		return;
	}
	memset(data, BYTE, read->size);
	reply(fuse, in, 0, data, read->size);
	free(data);
}

static void serve(struct svm_fuse *fuse, const struct fuse_in_header *in)
{
	/* A process that ends closes its files when its server has gone */
	const struct fuse_open_out opened = { .open_flags = FOPEN_NOFLUSH };

	switch (in->opcode) {
	case FUSE_INIT:
		reply_init(fuse, in);
		break;
	case FUSE_GETATTR:
		reply_getattr(fuse, in);
		break;
	case FUSE_OPEN:
		reply(fuse, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		reply_read(fuse, in, (const void *)(in + 1));
		break;
	case FUSE_RELEASE:
		reply(fuse, in, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fuse, in, -ENOSYS, NULL, 0);
	}
}

/* Ends when it is unmounted */
static void *server(void *arg)
{
	struct svm_fuse *fuse = arg;
	char *request = malloc(BUFFER);
	ssize_t len;

	while (request) {
		len = read(fuse->fd, request, BUFFER);
		if (len > 0)
			serve(fuse, (const struct fuse_in_header *)request);
		else if (errno != EINTR && errno != ENOENT)
			break;
	}
	free(request);
	return NULL;
}

static bool make_mount_point(struct svm_fuse *fuse)
{
	int fd;

	strcpy(fuse->path, "/tmp/svm-fuse-XXXXXX");
	fd = mkstemp(fuse->path);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* The root of a file system may be a file */
static bool mount_file(const struct svm_fuse *fuse)
{
	char options[80];

	snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=0,group_id=0",
		 fuse->fd, S_IFREG | 0600);
	return !mount("svm", fuse->path, "fuse", MS_NOSUID | MS_NODEV, options);
}

/* Forced, which ends what is not answered */
void svm_fuse_unmount(struct svm_fuse *fuse)
{
	umount2(fuse->path, MNT_FORCE | MNT_DETACH);
	pthread_join(fuse->thread, NULL);
	unlink(fuse->path);
	close(fuse->fd);
}

bool svm_fuse_mount(struct svm_fuse *fuse, size_t size, size_t given)
{
	struct stat st;

	*fuse = (struct svm_fuse) { .size = size, .given = given };
	fuse->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse->fd < 0)
		return false;
	if (!make_mount_point(fuse))
		goto close_fd;
	if (!mount_file(fuse))
		goto unlink;
	if (pthread_create(&fuse->thread, NULL, server, fuse))
		goto unmount;
	/* A mounted file is empty until somebody asks how large it is */
	if (!stat(fuse->path, &st))
		return true;

	svm_fuse_unmount(fuse);
	return false;

unmount:
	umount2(fuse->path, MNT_DETACH);
unlink:
	unlink(fuse->path);
close_fd:
	close(fuse->fd);
	return false;
}

uint64_t svm_fuse_sum(const struct svm_fuse *fuse)
{
	return fuse->given / 8 * (BYTE * 0x0101010101010101ULL);
}
