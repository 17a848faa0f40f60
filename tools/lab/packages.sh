# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The Debian packages of tools/packages, built in a root of their own.

lab_packages=$lab_build/packages

# Sets lab_packages_root, beside lab_root
packages_root_need()
{
	local lab_root_kind=deb lab_root

	root_need
	lab_packages_root=$lab_root
}

# in_packages_root COMMAND...: as in_root
in_packages_root()
{
	(
		lab_root=$lab_packages_root
		exec_in_root "$@"
	)
}

# The commit, and whether it is all
packages_version()
{
	local version=0.1

	if git_here -C "$lab_top" rev-parse --git-dir >/dev/null 2>&1; then
		version+=+git$(git_here -C "$lab_top" log -1 --format=%cd.%h --date=format:%Y%m%d)
		git_here -C "$lab_top" diff --quiet HEAD || version+=+local
	fi
	say "$version"
}

packages_seconds()
{
	git_here -C "$lab_top" log -1 --format=%ct 2>/dev/null || date +%s
}

packages_make()
{
	in_packages_root /repo/tools/packages/build /src /build/packages "$(packages_version)" "$(packages_seconds)"
}

# Needs the merged tree
packages_need()
{
	packages_root_need
	step "building the packages" "10 s" logged "$lab_build/log/packages.log" packages_make
}
