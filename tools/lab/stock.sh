# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian's own 7.3 kernel and its modules, as the referee of the virtual GPU:
# fetched as the source is, never installed. Unpacked it looks like a build of
# ours, build/out/stock, with its modules in usr/lib/modules.

lab_stock_kernel=7.3.4+deb13-amd64
lab_stock_version=7.3.4-1~bpo13+1
lab_stock_tested=$lab_stock_version

# What a guest may load; unpacked on the host, which is much faster
lab_stock_modules=(9p 9pnet_virtio overlay zram configfs virtio_blk ext4 loop fuse xe)
# What it needs to find its root
lab_stock_initrd=(9p 9pnet_virtio overlay)

stock_packages()
{
	printf '%s\n' "linux-binary-unsigned-$lab_stock_kernel=$lab_stock_version" \
		"linux-modules-$lab_stock_kernel=$lab_stock_version"
}

# What modules are built against
stock_headers_packages()
{
	printf '%s\n' "linux-headers-$lab_stock_kernel=$lab_stock_version" \
		"linux-headers-${lab_stock_kernel%-*}-common=$lab_stock_version" \
		"linux-kbuild-${lab_stock_kernel%-*}=$lab_stock_version"
}

# Where it is noted which kernel is taken since the archive has moved on
stock_instead()
{
	say "$lab_cache/stock-instead-of-$lab_stock_tested"
}

# Sets the folders of the cache and of build/, too
stock_choose()
{
	local instead

	instead=$(stock_instead)
	[[ ! -f $instead ]] || read -r lab_stock_kernel lab_stock_version <"$instead"
	lab_stock_deb=$lab_cache/stock-$lab_stock_version
	lab_headers_deb=$lab_cache/headers-$lab_stock_version
	lab_stock_headers=$lab_build/out/modules/headers
}

# The kernels of 7.3 in the archive, of the plain flavour: name and newest version
stock_list()
{
	local package

	source_apt apt-cache search --names-only \
		"^linux-binary-unsigned-${lab_kernel//./\\.}[^-]*-amd64\$" | cut -d' ' -f1 |
		while read -r package; do
			say "${package#linux-binary-unsigned-} $(source_versions "$package" | head -n 1)"
		done | sort -V -k2,2
}

# As source_settle; the same version as that of the source, if both are there
stock_settle()
{
	local kernels found

	source_versions "linux-binary-unsigned-$lab_stock_kernel" | grep -qxF -- "$lab_stock_version" && return
	kernels=$(stock_list)
	[[ -n $kernels ]] ||
		die "Debian's archive has no kernel $lab_kernel any more: 'make run KERNEL=ours' builds one, of KERNEL_SRC if that is set"
	found=$(grep -F -- " $lab_source_version" <<<"$kernels") || found=$(tail -n 1 <<<"$kernels")
	say "    Debian's archive has no kernel $lab_stock_kernel $lab_stock_tested any more: taking $found, which our files are not tested with"
	say "$found" >"$(stock_instead)"
	stock_choose
}

# stock_fetch DIR-VARIABLE PACKAGES: into that folder, with the sums for later
stock_fetch()
{
	local log=$lab_build/log/stock.log packages deb

	source_apt_update "$log"
	stock_settle
	deb=${!1}
	mapfile -t packages < <("$2")
	mkdir -p "$deb"
	(
		cd "$deb"
		rm -f ./*.deb
		source_apt apt-get download "${packages[@]}" >>"$log" 2>&1 ||
			{ tail -n 5 "$log" >&2; die "apt cannot fetch the kernel $lab_stock_kernel: check the network, the proxy and apt's settings"; }
		sha256sum ./*.deb >SHA256SUMS
	)
}

# Whether a folder of packages is whole
stock_is_fetched()
{
	(cd "$1" 2>/dev/null && sha256sum --quiet -c SHA256SUMS >/dev/null 2>&1)
}

# What the unpacked kernel has to be made from
stock_wanted()
{
	say "$lab_stock_version ${lab_stock_modules[*]}"
}

stock_unpack()
{
	local deb tmp=$lab_build/out/stock.tmp

	rm -rf "$tmp" "$lab_build/out/stock"
	mkdir -p "$tmp/arch/x86/boot"
	for deb in "$1"/*.deb; do
		dpkg-deb --extract "$deb" "$tmp"
	done
	mv "$tmp/usr/lib/modules/$lab_stock_kernel/vmlinuz.unsigned" "$tmp/arch/x86/boot/bzImage"
	in_root /repo/tools/lab/stock-modules "/out/${tmp##*/}" "$lab_stock_kernel" \
		"${#lab_stock_initrd[@]}" "${lab_stock_initrd[@]}" "${lab_stock_modules[@]}"
	stock_wanted >"$tmp/modules.wanted"
	mv "$tmp" "$lab_build/out/stock"
}

# Needs the root
stock_need()
{
	stock_choose
	[[ -f $lab_build/out/stock/initrd &&
	   $(cat "$lab_build/out/stock/modules.wanted" 2>/dev/null) == "$(stock_wanted)" ]] && return
	need_space "$lab_build" 1
	stock_is_fetched "$lab_stock_deb" ||
		step "fetching Debian's kernel, 130 MB" "10 s, by the network" stock_fetch lab_stock_deb stock_packages
	step "unpacking Debian's kernel" "10 s" \
		logged "$lab_build/log/stock-unpack.log" stock_unpack "$lab_stock_deb"
}

stock_unpack_headers()
{
	local deb tmp=$lab_stock_headers.tmp

	rm -rf "$tmp" "$lab_stock_headers"
	mkdir -p "$tmp"
	for deb in "$1"/*.deb; do
		dpkg-deb --extract "$deb" "$tmp"
	done
	say "$lab_stock_kernel $lab_stock_version" >"$tmp/version"
	mv "$tmp" "$lab_stock_headers"
}

# After stock_need, which knows the version
stock_headers_need()
{
	[[ $(cat "$lab_stock_headers/version" 2>/dev/null) == "$lab_stock_kernel $lab_stock_version" ]] && return
	stock_is_fetched "$lab_headers_deb" ||
		step "fetching its headers, 14 MB" "5 s, by the network" stock_fetch lab_headers_deb stock_headers_packages
	step "unpacking its headers" "3 s" stock_unpack_headers "$lab_headers_deb"
}
