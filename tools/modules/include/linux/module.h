/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * For modules that have the core linked in. A module has one exit: that of the core is
 * a function here, which the driver's exit ends with.
 *
 * A module of a package has a version, and says so in the log: that is how the owner of
 * a GPU sees which driver is at work.
 */
#ifndef __MODULES_LINUX_MODULE_H__
#define __MODULES_LINUX_MODULE_H__

#include_next <linux/module.h>

void modules_core_exit(void);

#undef module_exit
#ifdef MODULES_CORE
#define module_exit(core_exit)				\
	void __exit modules_core_exit(void)		\
	{						\
		core_exit();				\
	}
#else
#define module_exit(driver_exit)			\
	void __exit cleanup_module(void)		\
	{						\
		driver_exit();				\
		modules_core_exit();			\
	}						\
	___ADDRESSABLE(cleanup_module, __exitdata)
#endif

#ifdef MODULES_VERSION
#undef module_init
#define module_init(driver_init)						\
	int __init init_module(void)						\
	{									\
		printk(KERN_INFO KBUILD_MODNAME ": with GPU SVM "		\
		       __stringify(MODULES_VERSION) "\n");			\
		return driver_init();						\
	}									\
	___ADDRESSABLE(init_module, __initdata);				\
	MODULE_VERSION(__stringify(MODULES_VERSION))
#endif

#endif
