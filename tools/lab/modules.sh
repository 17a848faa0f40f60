# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Our drivers as modules of Debian's own kernel, with the core linked in: what
# `make run` shows, since nobody has to build a kernel for it.

lab_modules_demos=(svm_demo xe_svm_demo)

# modules_make NAME [COMMAND]...: build/out/modules/NAME/NAME.ko, by that command.
# Debug information would take a third of the time.
modules_make()
{
	local name=$1

	shift
	rm -f "$lab_build/out/modules/$name/$name.ko"
	in_root "$@" /repo/tools/modules/build "$name" /src /out/modules/headers \
		"$lab_stock_kernel" "/out/modules/$name" CC="ccache gcc" HOSTCC="ccache gcc" \
		-j"$lab_jobs" KCFLAGS=-g0 CONFIG_DEBUG_INFO_BTF_MODULES=
}

modules_build()
{
	logged "$lab_build/log/module-$1.log" modules_make "$@"
}

# The demos need no more of the kernel's headers than those of the drivers
modules_build_demos()
{
	local out=$lab_build/out/stock header

	mkdir -p "$out/selftests" "$out/include/drm"
	for header in drm drm_mode vsvm_drm xe_drm; do
		sed 's/ __user / /' "$lab_tree/include/uapi/drm/$header.h" >"$out/include/drm/$header.h"
	done
	logged "$lab_build/log/selftests-stock.log" in_root make -C "/src/$lab_selftests" \
		OUTPUT=/out/stock/selftests KHDR_INCLUDES="-isystem /out/stock/include" \
		-j"$lab_jobs" "${lab_modules_demos[@]/#//out/stock/selftests/}"
}

# Debian's kernel, vsvm for it and the demos
modules_need()
{
	stock_need
	stock_headers_need
	step "building vsvm for Debian's kernel" "15 s, 1 s if nothing has changed" modules_build vsvm
	step "building the demos" "5 s" modules_build_demos
}

# modules_give_xe FILE: build xe for a guest that runs meanwhile and waits for it, at
# low priority since that guest is being watched. FILE has the name of the guest's
# folder as soon as there is one.
modules_give_xe()
{
	local dir

	(modules_build xe nice) || true
	until dir=$(cat "$1" 2>/dev/null) && [[ -n $dir ]]; do
		sleep 0.2
	done
	if [[ -f $lab_build/out/modules/xe/xe.ko ]]; then
		cp "$lab_build/out/modules/xe/xe.ko" "$dir/xe.new"
		mv "$dir/xe.new" "$dir/xe.ko"
	else
		touch "$dir/xe.failed"
	fi
}
