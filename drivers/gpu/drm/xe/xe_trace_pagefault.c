// SPDX-License-Identifier: MIT

#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#include "xe_trace_pagefault.h"
#endif
