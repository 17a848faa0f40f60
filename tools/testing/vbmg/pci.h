/* SPDX-License-Identifier: MIT */
/* PCI configuration space */
#ifndef VBMG_PCI_H
#define VBMG_PCI_H

#include "types.h"

#define PCI_CONFIG_SIZE		4096
#define PCI_MSIX_BAR_SIZE	4096ull	/* BAR4: the client keeps the table in it */

struct pci {
	u8 config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE];	/* mask of the bits that take a write */
};

/* With MSI-X if @msix_vectors isn't 0, else with MSI */
void pci_init(struct pci *pci, u64 bar0_size, u64 bar2_size, u32 msix_vectors);

/* Any offset and length, as long as they are inside: the caller checks */
void pci_read(const struct pci *pci, u32 offset, void *buf, size_t len);
void pci_write(struct pci *pci, u32 offset, const void *buf, size_t len);

/* Where the guest put BAR2, 0 if memory decoding is off */
u64 pci_bar2_address(const struct pci *pci);

#endif
