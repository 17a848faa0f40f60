// SPDX-License-Identifier: MIT
/*
 * Any bytes as vfio-user messages to a whole device: the parser, the registers
 * behind it and the GuC's messages by MMIO.
 *
 * An input is a row of messages: command (1 byte), number of descriptors (1),
 * length of the body (2), body.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../log.h"
#include "../vbmg.h"
#include "../vfu.h"

#define MAX_MESSAGES	32
#define FILE_SIZE	0x10000

static struct vbmg device;
static struct vfu_reply *reply;
static u8 *body;
static int file;

static void prepare(void)
{
	const struct vbmg_config config = { .vram_size = 16u << 20, .n_compute = 1 };

	log_set_level(LOG_ERROR);
	reply = malloc(sizeof(*reply));
	body = malloc(VFU_MAX_MESSAGE);
	file = memfd_create("guest", MFD_CLOEXEC);
	if (!reply || !body || file < 0 || ftruncate(file, FILE_SIZE) ||
	    vbmg_init(&device, 0, &config))
		abort();
}

static void attach(struct vfu_message *msg, u32 n)
{
	for (u32 i = 0; i < n % 3; i++)
		msg->fds[msg->n_fds++] = i ? eventfd(0, EFD_CLOEXEC) : dup(file);
}

/* Bytes that the message used up */
static size_t send_one(const u8 *data, size_t size)
{
	struct vfu_message msg = { .body = body };
	u16 len;

	memcpy(&len, data + 2, 2);
	msg.len = min((size_t)len, size - 4);
	memcpy(body, data + 4, msg.len);
	/* Sanitizers see a read beyond the message, but not beyond the buffer */
	memset(body + msg.len, 0xa5, 64);
	msg.header = (struct vfu_header) {
		.command = data[0],
		.size = (u32)(sizeof(msg.header) + msg.len),
	};
	attach(&msg, data[1]);
	vfu_handle(&device, &msg, reply);
	if (reply->header.size != sizeof(reply->header) + reply->len)
		abort();
	vfu_message_close(&msg);
	return 4 + msg.len;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!body)
		prepare();
	for (u32 i = 0; i < MAX_MESSAGES && size >= 4; i++) {
		size_t used = send_one(data, size);

		data += used;
		size -= used;
	}
	dma_map_remove_all(&device.dma);
	irq_set_eventfd(&device.irq, IRQ_TREE_VECTOR, -1);
	vbmg_reset(&device);
	return 0;
}
