// SPDX-License-Identifier: MIT
/*
 * Configuration space. The client emulates what needs a machine (BARs, command,
 * MSI) and forwards every write; the capabilities say what we want it to see.
 *
 *   0x70 PCI Express -> 0xac MSI, one vector, 64 bit -> 0xd0 power management
 *
 * They are where the real one has them: IGT reads the power state at 0xd4.
 * With MSI-X in the place of MSI, the driver takes the interrupts of engines
 * from memory and not from registers. No SR-IOV: it runs on bare metal.
 */
#include <string.h>

#include "pci.h"

/* linux/pci_regs.h */
#define PCI_COMMAND		0x04
#define   PCI_COMMAND_MEMORY	BIT(1)
#define   PCI_COMMAND_BITS	0x0547
#define PCI_STATUS		0x06
#define   PCI_STATUS_CAP_LIST	0x10
#define PCI_CLASS		0x08
#define PCI_BAR(n)		(0x10 + 4 * (n))
#define   PCI_BAR_MEM_64	0x4
#define   PCI_BAR_PREFETCH	0x8
#define   PCI_BAR_FLAGS		0xf
#define PCI_SUBSYSTEM_VENDOR	0x2c
#define PCI_CAPABILITY_LIST	0x34
#define PCI_INTERRUPT_LINE	0x3c
#define PCI_INTERRUPT_PIN	0x3d

#define CAP_EXP			0x70
#define CAP_MSI			0xac
#define CAP_PM			0xd0

#define MSIX_BAR		4
#define MSIX_PBA		0x800	/* pending bits, behind the table in the BAR */

#define VENDOR_INTEL		0x8086
#define DEVICE_BMG		0xe20b	/* xe_pci.c, INTEL_BMG_IDS */
#define CLASS_VGA		0x030000

static void put16(u8 *to, u16 value)
{
	to[0] = (u8)value;
	to[1] = (u8)(value >> 8);
}

static void put32(u8 *to, u32 value)
{
	put16(to, (u16)value);
	put16(to + 2, (u16)(value >> 16));
}

static void put64(u8 *to, u64 value)
{
	put32(to, lower_32_bits(value));
	put32(to + 4, upper_32_bits(value));
}

static u32 get32(const u8 *from)
{
	return from[0] | from[1] << 8 | from[2] << 16 | (u32)from[3] << 24;
}

static u64 get64(const u8 *from)
{
	return make_u64(get32(from), get32(from + 4));
}

static void pci_init_bar(struct pci *pci, int n, u64 size, u8 flags)
{
	put64(&pci->config[PCI_BAR(n)], flags);
	put64(&pci->writable[PCI_BAR(n)], ~(size - 1));
}

/* D3hot, no auxiliary power: what runtime suspend uses */
static void pci_init_pm(struct pci *pci)
{
	u8 *cap = &pci->config[CAP_PM];

	cap[0] = 0x01;
	put16(cap + 2, 0x0003);			/* version 1.2 */
	put16(cap + 4, 0x0008);			/* No_Soft_Reset */
	put16(&pci->writable[CAP_PM + 4], 0x0003);	/* PowerState */
}

static void pci_init_msi(struct pci *pci, u8 next)
{
	u8 *cap = &pci->config[CAP_MSI];
	u8 *writable = &pci->writable[CAP_MSI];

	cap[0] = 0x05;
	cap[1] = next;
	put16(cap + 2, 0x0080);			/* 64-bit address, one vector */
	put16(writable + 2, 0x0001);		/* enable */
	put64(writable + 4, ~3ull);		/* address */
	put16(writable + 12, 0xffff);		/* data */
}

static void pci_init_msix(struct pci *pci, u8 next, u32 vectors)
{
	u8 *cap = &pci->config[CAP_MSI];

	pci_init_bar(pci, MSIX_BAR, PCI_MSIX_BAR_SIZE, PCI_BAR_MEM_64);
	cap[0] = 0x11;
	cap[1] = next;
	put16(cap + 2, (u16)(vectors - 1));
	put32(cap + 4, MSIX_BAR);		/* table, at 0 */
	put32(cap + 8, MSIX_PBA | MSIX_BAR);
	put16(&pci->writable[CAP_MSI + 2], 0xc000);	/* enable, mask all */
}

static void pci_init_express(struct pci *pci, u8 next)
{
	u8 *cap = &pci->config[CAP_EXP];

	cap[0] = 0x10;
	cap[1] = next;
	put16(cap + 2, 0x0002);			/* version 2, endpoint */
	put32(cap + 4, 0x00008000);		/* role-based error reporting */
	put32(cap + 12, 0x00000011);		/* link: 2.5 GT/s, x1 */
	put16(cap + 18, 0x0011);
	put16(&pci->writable[CAP_EXP + 8], 0x70ff);	/* device control, no FLR */
	put16(&pci->writable[CAP_EXP + 16], 0x00fb);	/* link control */
}

void pci_init(struct pci *pci, u64 bar0_size, u64 bar2_size, u32 msix_vectors)
{
	u8 *config = pci->config;

	memset(pci, 0, sizeof(*pci));
	put16(config, VENDOR_INTEL);
	put16(config + 2, DEVICE_BMG);
	put16(&pci->writable[PCI_COMMAND], PCI_COMMAND_BITS);
	put16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(config + PCI_CLASS, CLASS_VGA << 8);
	pci_init_bar(pci, 0, bar0_size, PCI_BAR_MEM_64);
	pci_init_bar(pci, 2, bar2_size, PCI_BAR_MEM_64 | PCI_BAR_PREFETCH);
	put16(config + PCI_SUBSYSTEM_VENDOR, VENDOR_INTEL);
	config[PCI_CAPABILITY_LIST] = CAP_EXP;
	pci->writable[PCI_INTERRUPT_LINE] = 0xff;
	config[PCI_INTERRUPT_PIN] = 1;
	pci_init_express(pci, CAP_MSI);
	if (msix_vectors)
		pci_init_msix(pci, CAP_PM, msix_vectors);
	else
		pci_init_msi(pci, CAP_PM);
	pci_init_pm(pci);
}

void pci_read(const struct pci *pci, u32 offset, void *buf, size_t len)
{
	memcpy(buf, pci->config + offset, len);
}

void pci_write(struct pci *pci, u32 offset, const void *buf, size_t len)
{
	const u8 *bytes = buf;

	for (size_t i = 0; i < len; i++) {
		u8 mask = pci->writable[offset + i];
		u8 *to = &pci->config[offset + i];

		*to = (u8)((*to & ~mask) | (bytes[i] & mask));
	}
}

u64 pci_bar2_address(const struct pci *pci)
{
	if (!(pci->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return 0;
	return get64(&pci->config[PCI_BAR(2)]) & ~(u64)PCI_BAR_FLAGS;
}
