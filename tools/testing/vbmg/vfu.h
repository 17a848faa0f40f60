/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user server: one socket, one client, one device.
 *
 * vfu-server.c moves messages between socket and memory; vfu-message.c takes a
 * whole message, checks it and does what it asks. The second knows no socket,
 * and must stand any content: it is what the fuzzer drives.
 */
#ifndef VBMG_VFU_H
#define VBMG_VFU_H

#include "vfu-proto.h"

struct vbmg;

struct vfu_message {
	struct vfu_header header;
	u8 *body;
	size_t len;		/* of the body */
	int fds[VFU_MAX_FDS];	/* an entry that was taken is -1 */
	size_t n_fds;
};

/* Space for the largest reply, and at most one descriptor to pass with it */
struct vfu_reply {
	struct vfu_header header;
	u8 body[sizeof(struct vfu_region_access) + VFU_MAX_DATA];
	size_t len;		/* of the body */
	int fd;			/* -1: none; stays the device's */
};

/* Fills @reply, whether or not the client wants one */
void vfu_handle(struct vbmg *dev, struct vfu_message *msg, struct vfu_reply *reply);

/* Close what vfu_handle() didn't take */
void vfu_message_close(struct vfu_message *msg);

/* Listen at @path: a socket or -errno */
int vfu_listen(const char *path);
/* Wait for the client at @listener and serve it until it leaves: 0 or -errno */
int vfu_serve(struct vbmg *dev, int listener);

#endif
