/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_VIEW_H
#define SVMTOP_VIEW_H

#include <stdbool.h>
#include <stdio.h>

struct svm_model;

/**
 * enum svm_sort - What the processes are sorted by, the largest first
 * @SVM_SORT_FAULTS: faults
 * @SVM_SORT_LATENCY: latency
 * @SVM_SORT_IN: bytes to the device
 * @SVM_SORT_OUT: bytes from the device
 * @SVM_SORT_HELD: bytes in the device's memory
 * @SVM_SORT_INVALIDATIONS: invalidations
 * @SVM_SORT_PID: the process, the smallest first
 * @SVM_NUM_SORTS: number of them
 */
enum svm_sort {
	SVM_SORT_FAULTS,
	SVM_SORT_LATENCY,
	SVM_SORT_IN,
	SVM_SORT_OUT,
	SVM_SORT_HELD,
	SVM_SORT_INVALIDATIONS,
	SVM_SORT_PID,
	SVM_NUM_SORTS
};

/**
 * struct svm_view - How to look at a model
 * @sort: What comes first
 * @totals: Sums since the beginning instead of rates
 */
struct svm_view {
	enum svm_sort sort;
	bool totals;
};

extern const char * const svm_sort_names[SVM_NUM_SORTS];

int svm_view_parse_sort(const char *name, enum svm_sort *sort);
void svm_view_print(const struct svm_view *view, const struct svm_model *model, FILE *out);

#endif
