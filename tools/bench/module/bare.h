/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

struct device;

int bare_init(struct device *dev, unsigned long pages);
void bare_to_device(const unsigned long *src, unsigned long *dst,
		    unsigned long npages, unsigned long first);
void bare_list(unsigned long *src, unsigned long npages, unsigned long first);
int bare_to_ram(const unsigned long *src, unsigned long *dst,
		unsigned long npages);

#endif /* BENCH_BARE_H */
