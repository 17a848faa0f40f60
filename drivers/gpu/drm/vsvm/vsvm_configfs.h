/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

#ifndef _VSVM_CONFIGFS_H_
#define _VSVM_CONFIGFS_H_

#if IS_ENABLED(CONFIG_CONFIGFS_FS)
int vsvm_configfs_register(void);
void vsvm_configfs_unregister(void);
#else
static inline int vsvm_configfs_register(void)
{
	return 0;
}

static inline void vsvm_configfs_unregister(void)
{
}
#endif

#endif
