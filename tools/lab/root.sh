# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The root file system: a Debian forky with compiler, checkers and QEMU, made
# once and kept read-only in the cache. Its name carries a hash of what it is
# made from, so that a changed package list makes a new one beside the old.
#
# There are two: the small one has what 'make run' needs, and is made in half of the
# time; the full one has everything, and is as good for 'make run' once it is there.
# A third, deb, is the machine for the packages of tools/packages.

lab_root_suite=forky
lab_root_kind=full

root_packages()
{
	local lists=("$lab_dir/root-packages")

	[[ $lab_root_kind == small ]] || lists+=("$lab_dir/root-packages-$lab_root_kind")
	cat "${lists[@]}" | sed -e 's/#.*//' -e '/^[[:space:]]*$/d'
}

root_path()
{
	local hash

	hash=$( { say "$lab_root_suite"; root_packages; } | sha256sum)
	say "$lab_cache/root-${hash:0:12}"
}

# A tar file, unpacked by the user namespace that later uses it: mmdebstrap's own
# mapping of owners is another one, and cannot write below a private home
root_make()
{
	local root=$1 tmp=$1.tmp packages mirror

	packages=$(root_packages | paste -sd,)
	mirror=$(host_mirror)
	say "    packages: ${packages//,/ }"
	root_remove "$tmp"
	mkdir -p "$tmp" "$lab_cache"
	host_acquire_settings >"$lab_cache/acquire.conf"
	# shellcheck disable=SC2016 # the hook's $1
	lab_remedy="check the network, the proxy and apt's settings" \
		logged "$lab_build/log/root.log" mmdebstrap \
		--variant=apt --format=tar \
		--aptopt="$(<"$lab_cache/acquire.conf")" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io \
		--include="$packages" \
		--customize-hook='mkdir -p "$1"/src "$1"/out "$1"/build "$1"/repo "$1"/ccache "$1"/results' \
		"$lab_root_suite" "$tmp.tar" "deb $mirror $lab_root_suite main"
	"${lab_ns[@]}" tar -x -f "$tmp.tar" -C "$tmp" --numeric-owner --exclude='./dev/*'
	rm -f "$tmp.tar"
	mv "$tmp" "$root"
}

root_remove()
{
	[[ -e $1 ]] || return 0
	"${lab_ns[@]}" rm -rf --one-file-system "$1"
}

# Roots that nobody has used for a day go: another checkout may want another one
root_prune()
{
	local other

	for other in "$lab_cache"/root-????????????; do
		[[ $other != "$lab_root" && -d $other ]] || continue
		[[ -z $(find "$other.lock" -mmin -1440 2>/dev/null) ]] || continue
		if flock -n "$other.lock" true; then
			root_remove "$other"
			rm -f "$other.lock"
		fi
	done
}

# Sets lab_root, and holds it against root_prune while this process lives
root_need()
{
	lab_root=$(root_path)
	[[ $lab_root_kind != small || ! -d $(lab_root_kind=full root_path) ]] ||
		lab_root=$(lab_root_kind=full root_path)
	if [[ ! -d $lab_root ]]; then
		need_space "$lab_cache" 8
		need_package mmdebstrap mmdebstrap
		case $lab_root_kind in
		small) step "making a small $lab_root_suite root file system" "30 s" root_make "$lab_root" ;;
		full) step "making the $lab_root_suite root file system" "1 min" root_make "$lab_root" ;;
		deb) step "making a $lab_root_suite machine for packages" "1 min" root_make "$lab_root" ;;
		esac
		root_prune
	fi
	exec {lab_root_fd}>"$lab_root.lock"
	flock -s "$lab_root_fd"
}

# in_root COMMAND...: run in the root; see enter-root for what it finds there
in_root()
{
	(exec_in_root "$@")
}

# The same for '&': the process id is that of the command itself
exec_in_root()
{
	exec "${lab_ns[@]}" "$lab_dir/enter-root" "$lab_root" "$lab_top" "$lab_cache/ccache" "$@"
}
