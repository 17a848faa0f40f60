# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The pristine kernel source: Debian's linux-source-7.3, fetched by an apt with
# sources and state of its own but the host's settings, or what KERNEL_SRC says.

lab_kernel=7.3
lab_source_package=linux-source-$lab_kernel
lab_source_version=7.3.4-1~bpo13+1
lab_source_suites=(trixie-backports experimental)

# source_apt apt-get|apt-cache ARGUMENTS...: it sees only the suites of the source
source_apt()
{
	local state=$lab_cache/apt command=$1

	shift
	"$command" -q \
		-o Dir::Etc::sourcelist="$state/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State::lists="$state/lists" \
		-o Dir::Cache="$state/cache" \
		-o APT::Architecture=amd64 -o APT::Architectures=amd64 \
		-o APT::Sandbox::User="" \
		"$@"
}

source_list()
{
	local mirror suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	mirror=$(host_mirror)
	[[ -e $keyring ]] && keyring="[signed-by=$keyring] " || keyring=
	for suite in "${lab_source_suites[@]}"; do
		say "deb $keyring$mirror $suite main"
	done
}

source_apt_update()
{
	local state=$lab_cache/apt log=$1

	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "${log%/*}"
	source_list >"$state/sources.list"
	source_apt apt-get update >"$log" 2>&1 ||
		{ tail -n 5 "$log" >&2; die "apt cannot reach ${lab_source_suites[*]}: check the network, the proxy and apt's settings"; }
}

# The versions of a package in the archive, the newest first
source_versions()
{
	source_apt apt-cache madison "$1" 2>/dev/null | awk -F ' *[|] *' '{ print $2 }' | uniq
}

# Where it is noted what is taken since the archive has moved on
source_instead()
{
	say "$lab_cache/instead-of-$lab_source_tested"
}
lab_source_tested=$lab_source_version

source_choose()
{
	local instead

	instead=$(source_instead)
	[[ ! -f $instead ]] || lab_source_version=$(<"$instead")
}

# The version that these files are tested with or, once the archive has another one,
# the newest 7.3 that is there. The archive's lists are up to date.
source_settle()
{
	local versions

	versions=$(source_versions "$lab_source_package")
	grep -qxF -- "$lab_source_version" <<<"$versions" && return
	[[ -n $versions ]] ||
		die "Debian's archive has no Linux $lab_kernel any more: set KERNEL_SRC to the $lab_kernel tarball of kernel.org, or to its tree"
	lab_source_version=${versions%%$'\n'*}
	say "    Debian's archive has no $lab_source_tested any more: taking $lab_source_version, which our files are not tested with"
	say "$lab_source_version" >"$(source_instead)"
}

# apt checks signatures and sums; the sum is kept for the next use of the file
source_download()
{
	local deb=$lab_cache/deb log=$lab_build/log/source.log

	mkdir -p "$deb"
	source_apt_update "$log"
	source_settle
	(
		cd "$deb"
		rm -f ./*.deb
		source_apt apt-get download "$lab_source_package=$lab_source_version" >>"$log" 2>&1 ||
			{ tail -n 5 "$log" >&2; die "apt cannot fetch $lab_source_package: check the network, the proxy and apt's settings"; }
		sha256sum ./*.deb >SHA256SUMS
	)
}

# Whether the package is in the cache, of that version and whole
source_is_fetched()
{
	cd "$lab_cache/deb" 2>/dev/null &&
		[[ -f ${lab_source_package}_${lab_source_version}_all.deb ]] &&
		sha256sum --quiet -c SHA256SUMS >/dev/null 2>&1
}

source_unpack()
{
	local tmp=$1.tmp

	rm -rf "$tmp"
	mkdir -p "$tmp"
	dpkg-deb --fsys-tarfile "$lab_cache"/deb/*.deb |
		tar -x -O "./usr/src/$lab_source_package.tar.xz" |
		tar -x -J -C "$tmp" --strip-components=1
	mv "$tmp" "$1"
}

source_unpack_user()
{
	local tmp=$2.tmp

	rm -rf "$tmp"
	mkdir -p "$tmp"
	tar -x -a -f "$1" -C "$tmp" --strip-components=1
	mv "$tmp" "$2"
}

source_check_version()
{
	local is

	[[ -f $1/Makefile ]] || die "$1 is no kernel source tree"
	is=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' "$1/Makefile" | paste -sd.)
	[[ $is == "$lab_kernel" ]] ||
		die "$1 is Linux $is, and these files are for Linux $lab_kernel: point KERNEL_SRC at a $lab_kernel tree"
}

source_need_debian()
{
	source_choose
	lab_source=$lab_cache/source-$lab_source_version
	[[ -d $lab_source ]] && return
	need_space "$lab_cache" 5
	need_package xz xz-utils
	(source_is_fetched) ||
		step "fetching $lab_source_package, 160 MB" "10 s, by the network" source_download
	lab_source=$lab_cache/source-$lab_source_version
	step "unpacking $lab_source_package" "15 s" source_unpack "$lab_source"
}

source_need_user()
{
	local src=$1 key

	[[ -e $src ]] || die "KERNEL_SRC=$src does not exist"
	src=$(realpath "$src")
	lab_source=$src
	if [[ -f $src ]]; then
		key=$(stat -c '%n %s %Y' "$src" | sha256sum)
		lab_source=$lab_cache/source-user-${key:0:12}
		[[ -d $lab_source ]] ||
			step "unpacking $src" "15 s" source_unpack_user "$src" "$lab_source"
	fi
}

# Sets lab_source
source_need()
{
	if [[ -n ${KERNEL_SRC:-} ]]; then
		source_need_user "$KERNEL_SRC"
	else
		source_need_debian
	fi
	source_check_version "$lab_source"
}
