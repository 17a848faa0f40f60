// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "vbmg.h"
#include "vfu.h"

int vfu_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* More than any message needs are none of ours */
static void vfu_take_fd(struct vfu_message *msg, int fd)
{
	if (msg->n_fds < VFU_MAX_FDS)
		msg->fds[msg->n_fds++] = fd;
	else
		close(fd);
}

static void vfu_take_fds(struct vfu_message *msg, struct msghdr *hdr)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			vfu_take_fd(msg, fd);
		}
	}
}

/*
 * Descriptors come with the bytes that they were sent with. A receive never
 * spans two messages here, since it asks for no byte beyond the current one:
 * so they are always those of the right message.
 */
static ssize_t vfu_receive_some(int sock, struct vfu_message *msg, void *buf, size_t len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		vfu_take_fds(msg, &hdr);
	return n < 0 ? -errno : n;
}

/* 0, -errno, or -EPIPE at the end of the stream */
static int vfu_receive_all(int sock, struct vfu_message *msg, void *buf, size_t len)
{
	u8 *to = buf;

	while (len) {
		ssize_t n = vfu_receive_some(sock, msg, to, len);

		if (n < 0)
			return (int)n;
		if (!n)
			return -EPIPE;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* @msg->body has space for the largest message */
static int vfu_receive(int sock, struct vfu_message *msg)
{
	int err;

	msg->n_fds = 0;
	msg->len = 0;
	err = vfu_receive_all(sock, msg, &msg->header, sizeof(msg->header));
	if (err)
		return err;
	if (msg->header.size < sizeof(msg->header) || msg->header.size > VFU_MAX_MESSAGE) {
		log_error("message of %u bytes: the client doesn't speak vfio-user",
			  msg->header.size);
		return -EPROTO;
	}
	msg->len = msg->header.size - sizeof(msg->header);
	return vfu_receive_all(sock, msg, msg->body, msg->len);
}

static void vfu_attach_fd(struct msghdr *hdr, void *control, size_t space, int fd)
{
	struct cmsghdr *c;

	hdr->msg_control = control;
	hdr->msg_controllen = space;
	c = CMSG_FIRSTHDR(hdr);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

static int vfu_send(int sock, struct vfu_reply *reply)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	size_t left = sizeof(reply->header) + reply->len;
	/* header and body lie in a row */
	struct iovec iov = { .iov_base = reply, .iov_len = left };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (reply->fd >= 0)
		vfu_attach_fd(&hdr, &control, sizeof(control), reply->fd);
	while (iov.iov_len) {
		ssize_t n = sendmsg(sock, &hdr, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		iov.iov_base = (u8 *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		hdr.msg_control = NULL;
		hdr.msg_controllen = 0;
	}
	return 0;
}

static int vfu_serve_one(struct vbmg *dev, int sock, struct vfu_message *msg,
			 struct vfu_reply *reply)
{
	int err = vfu_receive(sock, msg);

	/* A reply to nothing that we asked */
	if (!err && FIELD_GET(VFU_TYPE, msg->header.flags) == VFU_TYPE_COMMAND) {
		vfu_handle(dev, msg, reply);
		if (!(msg->header.flags & VFU_NO_REPLY))
			err = vfu_send(sock, reply);
	}
	vfu_message_close(msg);
	return err;
}

static int vfu_serve_client(struct vbmg *dev, int sock)
{
	struct vfu_reply *reply = malloc(sizeof(*reply));
	struct vfu_message msg = { .body = malloc(VFU_MAX_MESSAGE) };
	int err = -ENOMEM;

	if (reply && msg.body) {
		do {
			err = vfu_serve_one(dev, sock, &msg, reply);
		} while (!err);
	}
	free(msg.body);
	free(reply);
	return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}

int vfu_serve(struct vbmg *dev, int listener)
{
	int sock, err;

	do {
		sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	} while (sock < 0 && errno == EINTR);
	if (sock < 0)
		return -errno;
	log_info("device %u: a client is here", dev->index);
	err = vfu_serve_client(dev, sock);
	log_info("device %u: the client left", dev->index);
	close(sock);
	return err;
}
