/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_COLLECT_H
#define SVMTOP_COLLECT_H

struct svm_collect;
struct svm_model;

struct svm_collect *svm_collect_open(struct svm_model *model, int buffer_kib);
void svm_collect_read(struct svm_collect *collect);
void svm_collect_close(struct svm_collect *collect);

#endif
