# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Configure and build a kernel, with progress; build the user-space programs.

lab_jobs=${LAB_JOBS:-$(nproc)}
lab_first_steps=2350 # of a first build, as measured

# The files of configs/ that a kernel's options are in; a later one overrides
config_parts()
{
	case $1 in
	module | kcsan) say common test "$1" ;;
	base) say common test ;;
	*) say common "$1" ;;
	esac
}

config_fragments()
{
	local config=$1 part parts=()

	for part in $(config_parts "$config"); do
		[[ -f $lab_top/configs/$part.config ]] ||
			die "no configs/$part.config: try one of $(cd "$lab_top/configs" && ls ./*.config | sed 's,^./,,; s,\.config$,,; /^common$/d; /^matrix$/d' | paste -sd' ')"
		parts+=("$lab_top/configs/$part.config")
	done
	if [[ $config == base ]]; then
		config_last "${parts[@]}" | grep -vwE "$(config_ours)"
	else
		config_last "${parts[@]}"
	fi
}

# Of each option the last request
config_last()
{
	cat "$@" | tac | awk '
	/^CONFIG_|^# CONFIG_.* is not set$/ {
		symbol = $0
		sub(/^(# )?CONFIG_/, "", symbol)
		sub(/[ =].*/, "", symbol)
		if (seen[symbol]++)
			next
	}
	{ print }' | tac
}

# The options that the base does not have, as a regular expression
config_ours()
{
	{
		grep -E '(^|/)Kconfig[^/]*$' < <(tree_overlay_files) | xargs -r -d '\n' cat
		tree_patches | xargs -r -d '\n' sed -n 's/^+//p'
	} | sed -n 's/^config \(.*\)/CONFIG_\1/p' | paste -sd'|'
}

# The tree that a kernel is built from
config_source()
{
	[[ $1 == base ]] && say "$lab_source" || say "$lab_tree"
}

# What .config depends on: the fragments, and the Kconfig files that we touch
config_hash()
{
	{
		config_fragments "$1"
		grep -E '(^|/)Kconfig[^/]*$' "$lab_tree_state.paths" |
			while read -r file; do cat "$lab_tree/$file"; done
		cat "$lab_tree_state.base"
		say "$lab_root"
	} | sha256sum
}

kernel_make()
{
	local config=$1 make=(make -C /src CC="ccache gcc" HOSTCC="ccache gcc")

	shift
	if [[ $config == module ]]; then
		# A copy of the test kernel is up to date only in the same place
		# shellcheck disable=SC2016 # expanded by the inner shell
		in_root sh -c 'mount --bind /out/module /out/test && exec "$@"' sh \
			"${make[@]}" O=/out/test "$@"
		return
	fi
	LAB_SRC=$(config_source "$config") in_root "${make[@]}" O="/out/$config" "$@"
}

# config_refused DOT-CONFIG < fragment: what did not come out as requested
config_refused()
{
	local dot=$1 line symbol

	while read -r line; do
		case $line in
		CONFIG_*)
			grep -qxF -- "$line" "$dot" || say "$line"
			;;
		'# CONFIG_'*' is not set')
			symbol=${line#\# }
			symbol=${symbol%% *}
			! grep -q "^$symbol=" "$dot" || say "$line"
			;;
		esac
	done
}

# Every requested option must have come out as requested
config_check()
{
	local bad

	bad=$(config_fragments "$1" | config_refused "$lab_build/out/$1/.config")
	[[ -n $bad ]] || return 0
	sed 's/^/    not as asked: /' <<<"$bad" >&2
	die "configs/$1.config asks for options that this kernel does not grant (missing dependency?)"
}

config_make()
{
	local config=$1

	config_fragments "$config" >"$lab_build/out/$config/requested.config"
	logged "$lab_build/log/config-$config.log" \
		kernel_make "$config" KCONFIG_ALLCONFIG="/out/$config/requested.config" allnoconfig
	config_check "$config"
}

config_need()
{
	local config=$1 stamp=$lab_build/out/$1/config.stamp

	mkdir -p "$lab_build/out/$config"
	[[ -f $lab_build/out/$config/.config &&
	   $(cat "$stamp" 2>/dev/null) == "$(config_hash "$config")" ]] && return
	step "configuring the $config kernel" "10 s" config_make "$config"
	config_hash "$config" >"$stamp"
}

# build_kernel CONFIG: make with its steps counted; 'progress' shows them. A first
# build leaves its count for the next first build.
build_kernel()
{
	local config=$1 log=$lab_build/log/build-$1.log steps=$lab_cache/steps-$1 expect=0 status=0

	[[ -f $lab_build/out/$config/vmlinux ]] ||
		expect=$(cat "$steps" 2>/dev/null || say "$lab_first_steps")
	kernel_make "$config" -j"$lab_jobs" bzImage modules 2>&1 |
		tee "$log" | "$lab_dir/progress" "$expect" || status=$?
	if ((status)); then
		grep -E -A8 'error:|warning:|\*\*\*' "$log" | head -n 60 >&2 || true
		die "the $config kernel does not build (the whole output: ${log#"$lab_top"/})"
	fi
	((expect == 0)) || grep -cE '^  [A-Z]' "$log" >"$steps" || true
	grep -E 'warning:' "$log" | sort -u | head -n 20 || true
}

# The modules kernel begins as a copy of the test kernel: most of it is the same
module_seed()
{
	local out=$lab_build/out

	[[ ! -f $out/module/vmlinux && -f $out/test/vmlinux ]] || return 0
	rm -rf "$out/module"
	cp -a --reflink=auto "$out/test" "$out/module"
	rm -rf "$out/module/config.stamp" "$out/module/selftests"
}

modules_install()
{
	rm -rf "$lab_build/out/module/usr/lib/modules"
	logged "$lab_build/log/modules.log" \
		kernel_make module INSTALL_MOD_PATH=/out/test/usr modules_install
}

build_modules()
{
	build_kernel module
	modules_install
}

module_need()
{
	module_seed
	config_need module
	step "building our drivers as modules" "1 min after a change, 5 min the first time" build_modules
}

lab_selftests=tools/testing/selftests/drm_svm

selftests_make()
{
	local config=$1

	shift
	in_root make -C "/src/$lab_selftests" OUTPUT="/out/$config/selftests" \
		KHDR_INCLUDES="-isystem /out/$config/usr/include" "$@"
}

lab_svmtop=tools/gpu/svmtop

# svmtop_build CONFIG: beside the selftests, one of which uses it
svmtop_build()
{
	mkdir -p "$lab_build/out/$1/selftests"
	logged "$lab_build/log/svmtop-$1.log" in_root make -C "/src/$lab_svmtop" \
		OUTPUT="/out/$1/selftests"
}

# The kernel's selftests of ours, against the headers of the merged tree
build_selftests()
{
	local config=$1

	mkdir -p "$lab_build/out/$config/selftests"
	logged "$lab_build/log/headers-$config.log" kernel_make "$config" headers_install
	logged "$lab_build/log/selftests-$config.log" selftests_make "$config" -j"$lab_jobs" all
	install -m 755 "$lab_top/$lab_selftests"/*.sh "$lab_build/out/$config/selftests/"
	svmtop_build "$config"
}

# The names of the test programs, as their Makefile lists them
selftests_programs()
{
	# shellcheck disable=SC2016 # make's variable
	selftests_make "$1" -s --no-print-directory \
		--eval='lab-list: ; @echo $(notdir $(TEST_GEN_PROGS) $(TEST_PROGS))' lab-list | tr ' ' '\n'
}

build_need()
{
	local config=$1

	if [[ $config == module ]]; then
		module_need
		return
	fi
	config_need "$config"
	step "building the $config kernel" "1 min after a change, 15 min the first time" \
		build_kernel "$config"
	if [[ -f $lab_top/$lab_selftests/Makefile ]]; then
		step "building the selftests" "10 s" build_selftests "$config"
	fi
}
