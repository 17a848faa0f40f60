/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of limits share: a device of their own with a few fault workers.
 */
#ifndef SVM_LIMITS_H
#define SVM_LIMITS_H

#include <unistd.h>

#include "svm_harness.h"

#define SET		"limits"
#define WORKERS		4

FIXTURE(limits)
{
	struct svm svm;
	size_t page;
};

FIXTURE_SETUP(limits)
{
	static const char *const settings[] = {
		"mem_size=16M", "policy=advice", "fault_workers=4", NULL
	};

	self->page = svm_page_size();
	self->svm.fd = -1;
	if (geteuid())
		SKIP(return, "needs root, to make devices");
	svm_set_remove(SET);
	ASSERT_EQ(0, svm_set_make(SET, settings)) TH_LOG("%s", svm_why());
	ASSERT_EQ(0, svm_open_set(&self->svm, SET, 1)) TH_LOG("%s", svm_why());
}

FIXTURE_TEARDOWN(limits)
{
	if (self->svm.fd >= 0) {
		check_stale(_metadata, &self->svm);
		svm_close(&self->svm);
	}
	svm_set_remove(SET);
}

#endif
