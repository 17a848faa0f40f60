/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef SVMTOP_SCREEN_H
#define SVMTOP_SCREEN_H

#include <stdbool.h>

struct svm_model;
struct svm_view;

/**
 * enum svm_key - What a key asks for that the screen can't do itself
 * @SVM_KEY_NONE: nothing
 * @SVM_KEY_REDRAW: the view is another one
 * @SVM_KEY_PAUSE: stand still, or go on
 * @SVM_KEY_QUIT: end
 */
enum svm_key {
	SVM_KEY_NONE,
	SVM_KEY_REDRAW,
	SVM_KEY_PAUSE,
	SVM_KEY_QUIT,
};

int svm_screen_open(void);
void svm_screen_close(void);
void svm_screen_draw(const struct svm_view *view, const struct svm_model *model,
		     bool paused);
enum svm_key svm_screen_key(struct svm_view *view);

#endif
