/* SPDX-License-Identifier: GPL-2.0 */
#ifndef XE_ROWS_H
#define XE_ROWS_H

#include "xe_lib.h"

/*
 * Lines of name, unit and value, separated by tabs, with @factor times the work.
 * Progress goes to stderr. 0, or a negative error number with svm_why()
 */
int xe_rows(struct xe_gpu *gpu, unsigned int factor);

#endif
