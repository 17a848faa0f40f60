# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The Debian packages of tools/packages: build them, and install, use and remove them on
# a machine that is a root of its own with Debian's kernel 7.3, its headers and its
# source. What is installed is written to layers over that root, one for the kernel,
# which is kept, and one for the packages, which is thrown away. Modules are compiled in
# it on the host; a guest then runs Debian's kernel with it for a root.

lab_packages=$lab_build/packages
lab_packages_kernel=$lab_packages/kernel
lab_packages_layer=$lab_packages/layer

# Sets lab_packages_root, beside lab_root
packages_root_need()
{
	local lab_root_kind=deb lab_root

	root_need
	lab_packages_root=$lab_root
}

# in_packages_root COMMAND...: as in_root; LAB_LAYER and LAB_BELOW are enter-root's
in_packages_root()
{
	(
		lab_root=$lab_packages_root
		exec_in_root "$@"
	)
}

# on_machine COMMAND...: where packages are installed and removed
on_machine()
{
	LAB_LAYER=$lab_packages_layer LAB_BELOW=$lab_packages_kernel/upper in_packages_root \
		env LAB_JOBS="$lab_jobs" DEBIAN_KERNEL_USE_CCACHE=1 RELEASE="$lab_stock_kernel" "$@"
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

# The .deb of that name, as the machine sees it
packages_deb()
{
	local deb

	deb=$(cd "$lab_packages" && echo "$1"_*_all.deb)
	say "/build/packages/$deb"
}

# What the kernel's headers need, beside stock_headers_packages
packages_base_packages()
{
	say "linux-base-$lab_stock_kernel=$lab_stock_version"
}

# What the machine's kernel is made from
packages_kernel_wanted()
{
	say "${lab_packages_root##*/} $lab_stock_version"
	cat "$lab_base_deb/SHA256SUMS" "$lab_stock_deb/SHA256SUMS" "$lab_headers_deb/SHA256SUMS" "$lab_cache/deb/SHA256SUMS"
}

# The kernel's image is of no use to it, and linux-source of another version would not
# be taken
packages_kernel_install()
{
	local dir

	root_remove "$lab_packages_kernel"
	mkdir -p "$lab_packages_kernel/debs"
	for dir in "$lab_base_deb" "$lab_stock_deb" "$lab_headers_deb" "$lab_cache/deb"; do
		cp "$dir"/*.deb "$lab_packages_kernel/debs/"
	done
	rm -f "$lab_packages_kernel"/debs/linux-binary-*
	# shellcheck disable=SC2016 # the release is $1
	LAB_LAYER=$lab_packages_kernel in_packages_root bash -ec '
		dpkg --force-unsafe-io --install /build/packages/kernel/debs/*.deb
		[[ -f /lib/modules/$1/modules.dep ]] || depmod "$1"' - "$lab_stock_kernel"
	rm -rf "$lab_packages_kernel/debs"
	packages_kernel_wanted >"$lab_packages_kernel/wanted"
}

# The machine; after stock_need and packages_root_need
packages_kernel_need()
{
	lab_base_deb=$lab_cache/base-$lab_stock_version
	source_choose
	stock_is_fetched "$lab_headers_deb" ||
		step "fetching its headers, 14 MB" "5 s, by the network" stock_fetch lab_headers_deb stock_headers_packages
	stock_is_fetched "$lab_base_deb" ||
		step "fetching its base files, 1 MB" "5 s, by the network" stock_fetch lab_base_deb packages_base_packages
	(source_is_fetched) ||
		step "fetching $lab_source_package, 160 MB" "10 s, by the network" source_download
	[[ $(packages_kernel_wanted) == "$(cat "$lab_packages_kernel/wanted" 2>/dev/null)" ]] && return
	need_space "$lab_build" 2
	step "installing Debian's kernel, headers and source" "30 s" \
		logged "$lab_build/log/packages-kernel.log" packages_kernel_install
}

# The tests on the host, before and after those of the guest, leave TAP in lab_check
packages_lintian()
{
	in_packages_root bash -c 'cd /build/packages && lintian --allow-root --fail-on error,warning ./*.changes'
}

# packages_test PART KTAP: a part of tools/packages/test
packages_test()
{
	mkdir -p "${2%/*}"
	on_machine /repo/tools/packages/test "$1" "$(packages_deb vsvm-dkms)" "$(packages_deb xe-svm-dkms)" \
		>"$2" 2>"$2.stderr" || true
	sed 's/^/# stderr: /' "$2.stderr" >>"$2"
	rm "$2.stderr"
	say "    $(grep -c '^ok' "$2") ok, $(grep -c '^not ok' "$2") not ok"
}

packages_test_lintian()
{
	local ktap=$lab_check/130-package-lintian verdict=ok

	mkdir -p "$lab_check"
	packages_lintian >"$ktap.out" 2>&1 || verdict='not ok'
	{
		echo 1..1
		sed 's/^/# /' "$ktap.out"
		echo "$verdict 1 lintian"
	} >"$ktap"
	rm "$ktap.out"
	say "    $verdict"
}

# What comes before the guest; needs the packages
packages_test_install()
{
	packages_kernel_need
	root_remove "$lab_packages_layer"
	step "checking the packages with lintian" "20 s" packages_test_lintian
	step "installing them, and failing to" "2 min, 10 min the first time" \
		packages_test install "$lab_check/131-package-install"
}

# In a guest whose root is that machine; then they are removed from it
test_packages()
{
	local lab_root=$lab_packages_root
	local -x LAB_BELOW=$lab_packages_layer/upper:$lab_packages_kernel/upper

	boot_parse stock --name test-deb --smp 1 --gpus 1 -- run-package-tests
	boot_run || test_note_death "$?" package:vsvm package:xe
	gpu_note_verdict
	step "removing them" "10 s" packages_test remove "$boot_host_dir/ktap/990-package-remove"
}
