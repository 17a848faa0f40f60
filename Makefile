# SPDX-License-Identifier: GPL-2.0
# Thin: each target is a command of tools/lab/lab, which explains itself.

LAB := tools/lab/lab
CONFIG ?= run

.PHONY: help run test kcsan soak soak-diff shell check bench bench-xe trace igt igt-full gpu deb clean distclean

help:
	@$(LAB) --help

# make test KCSAN=1 is make kcsan
ifneq ($(KCSAN),)
test: kcsan
else
test:
	@$(LAB) test
endif

run kcsan check bench trace igt igt-full gpu deb clean distclean soak-diff:
	@$(LAB) $@

# make bench-xe HW=1 measures the GPU of this machine, PAIR=1 the kernel's own xe, too
bench-xe:
	@$(if $(HW),tools/bench/bench-xe,$(LAB) bench-xe)

soak:
	@SOAK=$${SOAK:-5} $(LAB) test svm_soak xe_soak

shell:
	@$(LAB) shell $(CONFIG)

# The mails for review, and their test; SERIES=fixes, those of the mends alone
.PHONY: series check-series

series:
	@tools/series/series make

check-series:
	@tools/series/series check
