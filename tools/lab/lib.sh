# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Paths, messages, timed steps, locks: what every other file of the lab uses.

lab_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
lab_dir=$lab_top/tools/lab
lab_build=$lab_top/build
lab_cache=${LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/drm-svm}

say()
{
	printf '%s\n' "$*"
}

warn()
{
	printf 'lab: %s\n' "$*" >&2
}

die()
{
	warn "$*"
	exit 1
}

duration()
{
	local s=$1

	if ((s < 60)); then
		printf '%d s' "$s"
	else
		printf '%d min %02d s' $((s / 60)) $((s % 60))
	fi
}

# step WHAT USUALLY COMMAND...: say what happens and how long it takes
step()
{
	local what=$1 usually=$2 start=$SECONDS

	shift 2
	say "==> $what (usually $usually)"
	"$@"
	say "    done in $(duration $((SECONDS - start)))"
}

# logged LOG COMMAND...: keep the output in a file; on failure show its end, and
# lab_remedy if the caller has an idea
logged()
{
	local log=$1

	shift
	mkdir -p "${log%/*}"
	if ! "$@" >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		die "${1##*/} failed${lab_remedy:+: $lab_remedy} (the whole output: $log)"
	fi
}

# lock NAME: one lab at a time; held until unlock or the end of the process
lock()
{
	mkdir -p "${1%/*}"
	exec {lab_lock_fd}>"$1"
	flock -n "$lab_lock_fd" && return
	say "==> waiting for another lab command ($1)"
	flock "$lab_lock_fd"
}

unlock()
{
	exec {lab_lock_fd}>&-
}

free_gib()
{
	df --output=avail -B1G "$1" | tail -n 1 | tr -d ' '
}

# need_space DIR GIB: stop before a half-written disk does
need_space()
{
	local dir=$1 want=$2 have

	mkdir -p "$dir"
	have=$(free_gib "$dir")
	((have >= want)) ||
		die "$dir has $have GiB free, $want GiB needed: free some space, or set LAB_CACHE to a larger disk"
}

# need_package COMMAND PACKAGE: install what the host lacks, or say how
need_package()
{
	command -v "$1" >/dev/null && return
	((EUID == 0)) || die "$1 is missing: run 'sudo apt-get install $2'"
	command -v apt-get >/dev/null ||
		die "$1 is missing and this is no Debian host: install $2"
	say "==> installing the Debian package $2 on this machine"
	apt_install "$2" ||
		die "could not install $2: check the network and 'apt-get update', then run this again"
}

apt_install()
{
	local log=$lab_build/log/host-packages.log

	mkdir -p "${log%/*}"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" >"$log" 2>&1 ||
		{ apt-get update >>"$log" 2>&1 &&
		  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" >>"$log" 2>&1; }
}
