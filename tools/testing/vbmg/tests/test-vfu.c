// SPDX-License-Identifier: MIT
/* The messages of the client: what it is told, and what it can't do to us */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../log.h"
#include "../vbmg.h"
#include "../vfu.h"

struct client {
	struct vbmg dev;
	struct vfu_message msg;
	struct vfu_reply reply;
};

static int client_setup_config(void **state, const struct vbmg_config *config)
{
	struct client *c = calloc(1, sizeof(*c));

	log_set_level(LOG_ERROR);
	c->msg.body = malloc(VFU_MAX_MESSAGE);
	*state = c;
	return vbmg_init(&c->dev, 0, config);
}

static int client_setup(void **state)
{
	const struct vbmg_config config = { .vram_size = SZ_1G, .n_compute = 1 };

	return client_setup_config(state, &config);
}

static int client_setup_msix(void **state)
{
	const struct vbmg_config config = { .vram_size = SZ_1G, .n_compute = 1, .msix = true };

	return client_setup_config(state, &config);
}

static int client_teardown(void **state)
{
	struct client *c = *state;

	vbmg_destroy(&c->dev);
	free(c->msg.body);
	free(c);
	return 0;
}

/* Send and expect @err; a descriptor is handed over */
static void client_send_fd(struct client *c, u16 command, const void *body, size_t len, int fd,
			   int err)
{
	c->msg.header = (struct vfu_header){
		.id = 7,
		.command = command,
		.size = (u32)(sizeof(c->msg.header) + len),
	};
	c->msg.len = len;
	if (len)
		memcpy(c->msg.body, body, len);
	c->msg.n_fds = fd >= 0;
	c->msg.fds[0] = fd;
	vfu_handle(&c->dev, &c->msg, &c->reply);
	vfu_message_close(&c->msg);
	assert_int_equal(c->reply.header.id, 7);
	assert_int_equal(c->reply.header.command, command);
	assert_int_equal(c->reply.header.size, sizeof(c->reply.header) + c->reply.len);
	assert_int_equal(c->reply.header.error, err);
	assert_int_equal(c->reply.header.flags, VFU_TYPE_REPLY | (err ? VFU_ERROR : 0));
}

static void client_send(struct client *c, u16 command, const void *body, size_t len, int err)
{
	client_send_fd(c, command, body, len, -1, err);
}

static void version_is_agreed_on(void **state)
{
	struct client *c = *state;
	struct vfu_version version = { 0, 1 };

	client_send(c, VFU_VERSION, &version, sizeof(version), 0);
	/* The capabilities are a string within the message */
	assert_non_null(memchr(c->reply.body + sizeof(version), 0,
			       c->reply.len - sizeof(version)));
	version.major = 1;
	client_send(c, VFU_VERSION, &version, sizeof(version), EINVAL);
	client_send(c, VFU_VERSION, &version, 2, EINVAL);
}

static void commands_nobody_knows_are_refused(void **state)
{
	struct client *c = *state;

	client_send(c, 0, NULL, 0, EOPNOTSUPP);
	client_send(c, VFU_DMA_READ, NULL, 0, EOPNOTSUPP);
	client_send(c, 0xffff, NULL, 0, EOPNOTSUPP);
}

static void region_info_says_how_long_it_is(void **state)
{
	struct client *c = *state;
	struct vfio_region_info info = { .argsz = sizeof(info) }, *got = (void *)c->reply.body;
	u32 *area;

	client_send(c, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info), 0);
	assert_int_equal(c->reply.len, sizeof(info));
	assert_true(got->argsz > sizeof(info));
	assert_true(got->cap_offset >= sizeof(info) && got->cap_offset < got->argsz);
	assert_int_equal(got->size, BAR0_SIZE);
	assert_int_equal(c->reply.fd, c->dev.bar0_fd);

	info.argsz = got->argsz;
	client_send(c, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info), 0);
	assert_int_equal(c->reply.len, info.argsz);
	/* Only the GGTT can be mapped: id, version, next, areas, reserved, offset, size */
	area = (u32 *)(c->reply.body + got->cap_offset);
	assert_int_equal(area[2], 1);
	assert_int_equal(make_u64(area[4], area[5]), GGTT_OFFSET);
	assert_int_equal(make_u64(area[6], area[7]), BAR0_SIZE - GGTT_OFFSET);

	info.index = VFIO_PCI_NUM_REGIONS;
	client_send(c, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info), EINVAL);
	info.index = 0;
	info.argsz = 4;
	client_send(c, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info), EINVAL);
}

static void access_region(struct client *c, u16 command, u32 region, u64 offset, u32 count,
			  size_t data, int err)
{
	u8 buf[sizeof(struct vfu_region_access) + 16] = { 0 };
	struct vfu_region_access access = { .offset = offset, .region = region, .count = count };

	memcpy(buf, &access, sizeof(access));
	client_send(c, command, buf, sizeof(access) + data, err);
}

static void accesses_stay_inside(void **state)
{
	struct client *c = *state;
	u64 end = c->dev.config.vram_size;

	access_region(c, VFU_REGION_READ, VFIO_PCI_BAR2_REGION_INDEX, end - 4, 4, 0, 0);
	access_region(c, VFU_REGION_READ, VFIO_PCI_BAR2_REGION_INDEX, end - 4, 5, 0, EINVAL);
	access_region(c, VFU_REGION_READ, VFIO_PCI_BAR2_REGION_INDEX, ~0ull, 4, 0, EINVAL);
	access_region(c, VFU_REGION_READ, VFIO_PCI_BAR2_REGION_INDEX, 0, VFU_MAX_DATA + 1, 0,
		      EINVAL);
	access_region(c, VFU_REGION_READ, VFIO_PCI_BAR1_REGION_INDEX, 0, 4, 0, EINVAL);
	access_region(c, VFU_REGION_READ, 12345, 0, 4, 0, EINVAL);
	access_region(c, VFU_REGION_WRITE, VFIO_PCI_BAR2_REGION_INDEX, 0, 8, 4, EINVAL);
	access_region(c, VFU_REGION_WRITE, VFIO_PCI_BAR2_REGION_INDEX, end, 1, 1, EINVAL);
	access_region(c, VFU_REGION_WRITE, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CONFIG_SIZE - 1, 2, 2,
		      EINVAL);
	/* Across the end of the registers, and in parts of one */
	access_region(c, VFU_REGION_WRITE, 0, GGTT_OFFSET - 2, 7, 7, 0);
	access_region(c, VFU_REGION_READ, 0, GGTT_OFFSET - 3, 9, 0, 0);
}

static void config_space_names_the_device(void **state)
{
	struct client *c = *state;
	u8 *data = c->reply.body + sizeof(struct vfu_region_access);
	u8 write[sizeof(struct vfu_region_access) + 4];
	struct vfu_region_access access = {
		.region = VFIO_PCI_CONFIG_REGION_INDEX, .offset = 0x10, .count = 4,
	};

	access_region(c, VFU_REGION_READ, VFIO_PCI_CONFIG_REGION_INDEX, 0, 4, 0, 0);
	assert_memory_equal(data, "\x86\x80\x0b\xe2", 4);
	/* Sizing of BAR 0 */
	memcpy(write, &access, sizeof(access));
	memset(write + sizeof(access), 0xff, 4);
	client_send(c, VFU_REGION_WRITE, write, sizeof(write), 0);
	access_region(c, VFU_REGION_READ, VFIO_PCI_CONFIG_REGION_INDEX, 0x10, 4, 0, 0);
	assert_int_equal(*(u32 *)data, ~(u32)(BAR0_SIZE - 1) | 4);
}

static int ram_create(size_t size)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void dma_map(struct client *c, u64 iova, u64 size, u32 flags, int fd, int err)
{
	struct vfu_dma_map map = {
		.argsz = sizeof(map), .flags = flags, .iova = iova, .size = size,
	};

	client_send_fd(c, VFU_DMA_MAP, &map, sizeof(map), fd, err);
}

static void dma_unmap(struct client *c, u64 iova, u64 size, u32 flags, int err)
{
	struct vfu_dma_unmap unmap = {
		.argsz = sizeof(unmap), .flags = flags, .iova = iova, .size = size,
	};

	client_send(c, VFU_DMA_UNMAP, &unmap, sizeof(unmap), err);
}

static bool dma_reaches(struct client *c, u64 addr, size_t len, bool write)
{
	void *host = dma_pin(&c->dev.dma, addr, len, write);

	if (host)
		dma_unpin(&c->dev.dma);
	return host;
}

/* Where capability @id is, by the chain; 0 if it isn't in it */
static u32 find_capability(const struct pci *pci, u8 id)
{
	u32 hops = 0;

	for (u32 at = pci->config[0x34]; at && hops < 48; at = pci->config[at + 1], hops++) {
		if (pci->config[at] == id)
			return at;
	}
	return 0;
}

/* IGT's xe_pm looks for the power state at a fixed place, whatever the chain says */
static void capabilities_are_where_they_are_looked_for(void **state)
{
	struct client *c = *state;
	bool msix = c->dev.config.msix;
	u8 d3hot[2] = { 3, 0 };

	assert_int_equal(find_capability(&c->dev.pci, 0x01), 0xd0);
	assert_int_equal(find_capability(&c->dev.pci, 0x10), 0x70);
	assert_int_equal(find_capability(&c->dev.pci, msix ? 0x11 : 0x05), 0xac);
	assert_int_equal(find_capability(&c->dev.pci, msix ? 0x05 : 0x11), 0);
	pci_write(&c->dev.pci, 0xd4, d3hot, sizeof(d3hot));
	assert_int_equal(c->dev.pci.config[0xd4] & 3, 3);
}

static void dma_reaches_what_is_mapped(void **state)
{
	struct client *c = *state;

	dma_map(c, 0x10000, 0x2000, 3, ram_create(0x2000), 0);
	dma_map(c, 0x20000, 0x1000, 1, ram_create(0x1000), 0);
	assert_true(dma_reaches(c, 0x10000, 0x2000, true));
	assert_true(dma_reaches(c, 0x11fff, 1, true));
	assert_false(dma_reaches(c, 0x11fff, 2, false));
	assert_false(dma_reaches(c, 0xffff, 1, false));
	assert_false(dma_reaches(c, 0x12000, 1, false));
	assert_true(dma_reaches(c, 0x20000, 4, false));
	assert_false(dma_reaches(c, 0x20000, 4, true));
	dma_unmap(c, 0x10000, 0x1000, 0, EINVAL);
	dma_unmap(c, 0x11000, 0x8000, 0, EINVAL);
	assert_true(dma_reaches(c, 0x10000, 0x2000, true));
	dma_unmap(c, 0x8000, 0x10000, 0, 0);
	assert_false(dma_reaches(c, 0x10000, 4, false));
	assert_true(dma_reaches(c, 0x20000, 4, false));
	dma_unmap(c, 0x8000, 0x10000, 0, 0);	/* nothing is there: as VFIO */
	dma_unmap(c, ~0ull, 2, 0, EINVAL);
	dma_unmap(c, 0, 0, VFU_UNMAP_ALL, 0);
	assert_false(dma_reaches(c, 0x20000, 4, false));
}

/* A virtual IOMMU maps single pages of one file, in any order */
static void pieces_of_one_file(void **state)
{
	struct client *c = *state;
	int fd = ram_create(0x10000);
	u32 *first, *again;

	for (u64 i = 0; i < 16; i++) {
		struct vfu_dma_map map = {
			.argsz = sizeof(map), .flags = 3, .offset = i * 0x1000,
			.iova = (15 - i) * 0x10000, .size = 0x1000,
		};

		client_send_fd(c, VFU_DMA_MAP, &map, sizeof(map), dup(fd), 0);
	}
	assert_int_equal(c->dev.dma.files[0].pieces, 16);
	assert_int_equal(c->dev.dma.files[1].pieces, 0);
	assert_false(dma_reaches(c, 0x11000, 1, true));
	first = dma_pin(&c->dev.dma, 0xf0000, 4, true);
	*first = 0x1234;
	dma_unpin(&c->dev.dma);
	dma_unmap(c, 0, 0xf0000, 0, 0);
	again = dma_pin(&c->dev.dma, 0xf0000, 4, true);
	assert_int_equal(*again, 0x1234);
	dma_unpin(&c->dev.dma);
	dma_unmap(c, 0xf0000, 0x1000, 0, 0);
	assert_int_equal(c->dev.dma.files[0].pieces, 0);
	close(fd);
}

static void maps_that_make_no_sense_are_refused(void **state)
{
	struct client *c = *state;

	dma_map(c, 0, 0, 3, -1, EINVAL);
	dma_map(c, ~0ull, 2, 3, -1, EINVAL);
	dma_map(c, 0, 0x1000, 3, open("/dev/null", O_RDWR | O_CLOEXEC), EINVAL);
	/* Beyond the end of the file */
	dma_map(c, 0, 0x2000, 3, ram_create(0x1000), EINVAL);
	dma_map(c, 0x1000, 0x2000, 3, ram_create(0x2000), 0);
	dma_map(c, 0x2000, 0x1000, 3, ram_create(0x1000), EEXIST);
	dma_map(c, 0, 0x10000, 3, -1, EEXIST);
	/* The last byte there is */
	dma_map(c, ~0xfffull, 0x1000, 3, -1, 0);
	assert_false(dma_reaches(c, ~0ull, 1, false));
}

static void interrupts_come_by_eventfd(void **state)
{
	struct client *c = *state;
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSI_IRQ_INDEX,
		.count = 1,
	};
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	u32 value;
	u64 count;

	client_send_fd(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), dup(fd), 0);
	irq_raise(&c->dev.irq, IRQ_GUC, IRQ_GUC2HOST);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);	/* the master switch is off */
	assert_true(irq_write(&c->dev.irq, 0x190008, BIT(31)));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));

	/* One for all that comes until the handler is through, and none is lost */
	irq_raise(&c->dev.irq, IRQ_BCS0, IRQ_USER_INTERRUPT);
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	irq_write(&c->dev.irq, 0x190008, 0);
	irq_write(&c->dev.irq, 0x190070, BIT(IRQ_GUC));
	assert_true(irq_read(&c->dev.irq, 0x190060, &value));
	assert_int_equal(value, 0x80048000);
	irq_raise(&c->dev.irq, IRQ_GUC, IRQ_GUC2HOST);
	irq_write(&c->dev.irq, 0x190018, BIT(IRQ_GUC));
	irq_read(&c->dev.irq, 0x190018, &value);
	assert_int_equal(value, BIT(IRQ_GUC) | BIT(IRQ_BCS0));
	irq_write(&c->dev.irq, 0x190008, BIT(31));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));

	set.count = 2;
	client_send(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), EINVAL);
	set.start = ~0u;
	client_send(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), EINVAL);
	close(fd);
}

static bool signalled(int fd)
{
	u64 count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void each_vector_has_its_eventfd(void **state)
{
	struct client *c = *state;
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	int fd[2] = {
		eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};

	client_send(c, VFU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), 0);
	assert_int_equal(((struct vfio_irq_info *)c->reply.body)->count, IRQ_VECTORS);
	for (set.start = 0; set.start < 2; set.start++) {
		set.count = 1;
		client_send_fd(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), dup(fd[set.start]), 0);
	}
	irq_notify(&c->dev.irq, 1);
	assert_true(signalled(fd[1]));
	assert_false(signalled(fd[0]));
	irq_notify(&c->dev.irq, IRQ_VECTORS);
	irq_write(&c->dev.irq, 0x190008, BIT(31));
	irq_raise(&c->dev.irq, IRQ_GUC, IRQ_GUC2HOST);
	assert_true(signalled(fd[0]));
	assert_false(signalled(fd[1]));

	/* No descriptor: the vector goes; no count: all go */
	set.start = 1;
	client_send(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), 0);
	irq_notify(&c->dev.irq, 1);
	assert_false(signalled(fd[1]));
	set = (struct vfio_irq_set){
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	client_send(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), 0);
	assert_int_equal(c->dev.irq.eventfd[0], -1);
	set.start = 1;
	set.count = 2;
	client_send(c, VFU_DEVICE_SET_IRQS, &set, sizeof(set), EINVAL);
	close(fd[0]);
	close(fd[1]);
}

static void several_writes_in_one_message(void **state)
{
	struct client *c = *state;
	u8 buf[sizeof(u64) + 2 * sizeof(struct vfu_write_multi_entry)];
	struct vfu_write_multi_entry e = {
		.region = VFIO_PCI_BAR2_REGION_INDEX, .offset = 0x1000, .count = 8,
	};
	u64 count = 2;

	memcpy(e.data, "12345678", sizeof(e.data));
	memcpy(buf, &count, sizeof(count));
	memcpy(buf + sizeof(count), &e, sizeof(e));
	e.offset += 8;
	memcpy(buf + sizeof(count) + sizeof(e), &e, sizeof(e));
	client_send(c, VFU_REGION_WRITE_MULTI, buf, sizeof(buf), 0);
	assert_memory_equal(c->dev.vram + 0x1000, "1234567812345678", 16);
	count = 3;
	memcpy(buf, &count, sizeof(count));
	client_send(c, VFU_REGION_WRITE_MULTI, buf, sizeof(buf), EINVAL);
	count = ~0ull;
	memcpy(buf, &count, sizeof(count));
	client_send(c, VFU_REGION_WRITE_MULTI, buf, sizeof(buf), EINVAL);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_is_agreed_on),
		TEST(commands_nobody_knows_are_refused),
		TEST(region_info_says_how_long_it_is),
		TEST(accesses_stay_inside),
		TEST(config_space_names_the_device),
		TEST(capabilities_are_where_they_are_looked_for),
		cmocka_unit_test_setup_teardown(capabilities_are_where_they_are_looked_for,
						client_setup_msix, client_teardown),
		TEST(dma_reaches_what_is_mapped),
		TEST(pieces_of_one_file),
		TEST(maps_that_make_no_sense_are_refused),
		TEST(interrupts_come_by_eventfd),
		cmocka_unit_test_setup_teardown(each_vector_has_its_eventfd, client_setup_msix,
						client_teardown),
		TEST(several_writes_in_one_message),
	};

	return cmocka_run_group_tests_name("vfu", tests, NULL, NULL);
}
