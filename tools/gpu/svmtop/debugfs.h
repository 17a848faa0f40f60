/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_DEBUGFS_H
#define SVMTOP_DEBUGFS_H

#include <stdbool.h>

struct svm_model;

void svm_debugfs_read(struct svm_model *model, bool begin);

#endif
