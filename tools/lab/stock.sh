# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Debian's own 7.3 kernel and its modules, as the referee of the virtual GPU:
# fetched as the source is, never installed. Unpacked it looks like a build of
# ours, build/out/stock, with its modules in usr/lib/modules.

lab_stock_kernel=7.3.4+deb13-amd64
lab_stock_version=7.3.4-1~bpo13+1

# What a guest may load; unpacked on the host, which is much faster
lab_stock_modules=(9p 9pnet_virtio overlay zram configfs virtio_blk ext4 loop fuse xe)
# What it needs to find its root
lab_stock_initrd=(9p 9pnet_virtio overlay)

stock_packages()
{
	printf '%s\n' "linux-binary-unsigned-$lab_stock_kernel=$lab_stock_version" \
		"linux-modules-$lab_stock_kernel=$lab_stock_version"
}

stock_download()
{
	local deb=$1 log=$lab_build/log/stock.log packages

	mkdir -p "$deb"
	source_apt_update "$log"
	mapfile -t packages < <(stock_packages)
	(
		cd "$deb"
		rm -f ./*.deb
		source_apt download "${packages[@]}" >>"$log" 2>&1 ||
			{ tail -n 5 "$log" >&2; die "no kernel $lab_stock_kernel in ${lab_source_suites[*]}"; }
		sha256sum ./*.deb >SHA256SUMS
	)
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
	say "${lab_stock_modules[*]}" >"$tmp/modules.wanted"
	mv "$tmp" "$lab_build/out/stock"
}

# Needs the root
stock_need()
{
	local deb=$lab_cache/stock-$lab_stock_version

	[[ -f $lab_build/out/stock/initrd &&
	   $(cat "$lab_build/out/stock/modules.wanted" 2>/dev/null) == "${lab_stock_modules[*]}" ]] && return
	need_space "$lab_build" 1
	(cd "$deb" 2>/dev/null && sha256sum --quiet -c SHA256SUMS >/dev/null 2>&1) ||
		step "fetching Debian's kernel $lab_stock_kernel, 130 MB" "10 s, by the network" stock_download "$deb"
	step "unpacking Debian's kernel" "10 s" logged "$lab_build/log/stock-unpack.log" stock_unpack "$deb"
}
