# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Configure and build a kernel, with progress; build the user-space programs.

lab_jobs=${LAB_JOBS:-$(nproc)}

# Options that may be missing for now: symbols that the tree does not have yet
config_fragments()
{
	local config=$1

	[[ -f $lab_top/configs/$config.config ]] ||
		die "no configs/$config.config: try one of $(cd "$lab_top/configs" && ls ./*.config | sed 's,^./,,; s,\.config$,,; /^common$/d' | paste -sd' ')"
	cat "$lab_top/configs/common.config" "$lab_top/configs/$config.config"
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
	local config=$1

	shift
	in_root make -C /src O="/out/$config" CC="ccache gcc" HOSTCC="ccache gcc" "$@"
}

# Every requested option must have come out as requested
config_check()
{
	local config=$1 dot=$lab_build/out/$1/.config line symbol bad=()

	while read -r line; do
		case $line in
		CONFIG_*)
			grep -qxF -- "$line" "$dot" || bad+=("$line")
			;;
		'# CONFIG_'*' is not set')
			symbol=${line#\# }
			symbol=${symbol%% *}
			! grep -q "^$symbol=" "$dot" || bad+=("$line")
			;;
		esac
	done < <(config_fragments "$config")
	((${#bad[@]} == 0)) && return
	printf '    not as asked: %s\n' "${bad[@]}" >&2
	die "configs/$config.config asks for options that this kernel does not grant (missing dependency?)"
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

# build_kernel CONFIG: make with its steps counted; 'progress' shows them
build_kernel()
{
	local config=$1 log=$lab_build/log/build-$1.log count=$lab_build/out/$1/build.steps status=0

	kernel_make "$config" -j"$lab_jobs" bzImage modules 2>&1 |
		tee "$log" |
		"$lab_dir/progress" "$(cat "$count" 2>/dev/null || say "$(default_steps "$config")")" || true
	status=${PIPESTATUS[0]}
	if ((status)); then
		grep -E -B2 -A8 'error:|warning:|\*\*\*' "$log" | head -n 60 >&2
		die "the $config kernel does not build (the whole output: ${log#"$lab_top"/})"
	fi
	grep -E 'warning:' "$log" | sort -u | head -n 20 || true
}

# A first build's number of steps, as measured
default_steps()
{
	case $1 in
	run) say 2600 ;;
	*) say 2700 ;;
	esac
}

build_headers()
{
	logged "$lab_build/log/headers-$1.log" kernel_make "$1" headers_install
}

build_need()
{
	local config=$1 usually="1 min after a change, 15 min the first time"

	config_need "$config"
	step "building the $config kernel" "$usually" build_kernel "$config"
}
