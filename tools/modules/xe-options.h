/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a kernel may have on, and our module is built without; see build */
#undef CONFIG_DRM_XE_DISPLAY
#undef CONFIG_DRM_XE_DP_TUNNEL
#undef CONFIG_DRM_XE_KUNIT_TEST
#undef CONFIG_DRM_XE_KUNIT_TEST_MODULE
