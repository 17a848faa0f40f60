// SPDX-License-Identifier: MIT
/*
 * Writes the file that the driver takes for the GuC's firmware, xe/bmg_guc_70.bin:
 * a header that passes its checks (xe_uc_fw.c), a signature and code of zeros.
 * Nothing executes it: the model is the firmware.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"

#define SIGNATURE_SIZE		256
#define CODE_SIZE		(16 << 10)

/* struct uc_css_header (abi/uc_fw_abi.h) */
struct css_header {
	u32 module_type;
	u32 header_size_dw;		/* signature included */
	u32 header_version;
	u32 reserved0;
	u32 module_vendor;
	u32 date;
	u32 size_dw;			/* code and header */
	u32 key_size_dw;		/* of the signature */
	u32 modulus_size_dw;
	u32 exponent_size_dw;
	u32 guc_reserved0[6];
	u32 sw_version;			/* 31:24 build, 23:16 major, 15:8 minor, 7:0 patch */
	u32 submission_version;
	u32 guc_reserved1[12];
	u32 private_data_size;
	u32 guc_reserved2;
};

_Static_assert(sizeof(struct css_header) == 128, "the driver demands this size");
_Static_assert(offsetof(struct css_header, sw_version) == 64, "guc_info");
_Static_assert(offsetof(struct css_header, private_data_size) == 120, "guc_info");

#define VERSION(major, minor, patch)	((major) << 16 | (minor) << 8 | (patch))

int main(int argc, char **argv)
{
	static u8 zeros[CODE_SIZE + SIGNATURE_SIZE];
	const struct css_header header = {
		.header_size_dw = (sizeof(header) + SIGNATURE_SIZE) / 4,
		.size_dw = (sizeof(header) + SIGNATURE_SIZE + CODE_SIZE) / 4,
		.key_size_dw = SIGNATURE_SIZE / 4,
		.sw_version = VERSION(70, 54, 0),	/* as new as the driver recommends */
		.submission_version = VERSION(1, 26, 0),
		.private_data_size = 0x1000,
	};
	FILE *file;
	bool ok;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	file = fopen(argv[1], "w");
	ok = file && fwrite(&header, sizeof(header), 1, file) == 1 &&
	     fwrite(zeros, sizeof(zeros), 1, file) == 1;
	if (file && fclose(file))
		ok = false;
	if (!ok)
		perror(argv[1]);
	return ok ? 0 : 1;
}
