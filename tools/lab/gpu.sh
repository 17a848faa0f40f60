# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The virtual Battlemage for a guest: build it, start it before QEMU, connect
# both. It ends by itself when QEMU does.

lab_vbmg=tools/testing/vbmg
# VBMG_SANITIZE=1: the model with ASan and UBSan
lab_vbmg_out=vbmg${VBMG_SANITIZE:+-sanitize}

gpu_make()
{
	in_root make -C "/repo/$lab_vbmg" O="/build/$lab_vbmg_out" CC="ccache gcc" \
		${VBMG_SANITIZE:+SANITIZE=1} ${LAB_JOBS:+-j"$LAB_JOBS"}
	in_root bash -ec '
		dir=/build/vbmg/firmware
		mkdir -p $dir/lib/firmware/xe
		"$1" $dir/lib/firmware/xe/bmg_guc_70.bin
		cd $dir
		find . | cpio --quiet -o -H newc >../firmware.cpio
	' - "/build/$lab_vbmg_out/guc-blob"
}

# Needs the root
gpu_need()
{
	lock "$lab_build/vbmg.lock"
	logged "$lab_build/log/vbmg.log" gpu_make
	unlock
}

gpu_sockets()
{
	local i

	for ((i = 0; i < boot_gpus; i++)); do
		say "$1/gpu$i"
	done
}

# Listening before QEMU connects; sets gpu_pid
gpu_start()
{
	local sockets socket

	gpu_pid=
	((boot_gpus)) || return 0
	mapfile -t sockets < <(gpu_sockets "$boot_dir")
	# shellcheck disable=SC2086 # options, separated by spaces
	exec_in_root "${boot_on[@]}" "/build/$lab_vbmg_out/vbmg" ${VBMG_OPTIONS:-} "${sockets[@]}" \
		>"$boot_host_dir/vbmg.log" 2>&1 </dev/null &
	gpu_pid=$!
	for socket in $(gpu_sockets "$boot_host_dir"); do
		until [[ -S $socket ]]; do
			kill -0 "$gpu_pid" 2>/dev/null ||
				{ cat "$boot_host_dir/vbmg.log" >&2; die "the virtual GPU does not start"; }
			sleep 0.02
		done
	done
}

# It ends with its last client, so only if each of them came
gpu_wait()
{
	[[ -n $gpu_pid ]] || return 0
	(($(grep -c 'a client is here' "$boot_host_dir/vbmg.log") == boot_gpus)) ||
		kill "$gpu_pid" 2>/dev/null || true
	wait "$gpu_pid" || warn "the virtual GPU failed: see ${boot_host_dir#"$lab_top"/}/vbmg.log"
}

# gpu_counts WORDS: the accounts that have another number than 0 of these
gpu_counts()
{
	grep -E " [1-9][0-9]* ($1)" "$boot_host_dir/vbmg.log"
}

# What the GPUs have caught the driver at. Contexts fail in tests on purpose
gpu_bugs()
{
	gpu_counts 'stale translations|DMA outside|stray fault'
}

# What the GPUs say that they did. Fails if one has caught the driver at something
gpu_report()
{
	say
	say "The virtual GPU's own account:"
	sed -n 's/.* info  *device [0-9]*: \([0-9].*\)/    \1/p' "$boot_host_dir/vbmg.log"
	! gpu_counts 'contexts failed' >/dev/null && ! gpu_bugs >/dev/null
}

# Whether each GPU came to its end, and so to its account
gpu_all_told()
{
	(($(grep -c 'bugs of the driver:' "$boot_host_dir/vbmg.log") == boot_gpus))
}

# The GPUs' verdict as one more test of the guest
gpu_note_verdict()
{
	local verdict=ok

	mkdir -p "$boot_host_dir/ktap"
	{
		say 1..1
		sed -n '/driver bug:\|bugs of the driver:/s/^/# /p' "$boot_host_dir/vbmg.log"
		if gpu_bugs >/dev/null || ! gpu_all_told; then
			verdict='not ok'
		fi
		say "$verdict 1 the virtual GPU has nothing against the driver"
	} >"$boot_host_dir/ktap/990-gpu-$boot_name"
}

gpu_one()
{
	printf '%s\n' -device \
		"{\"driver\":\"vfio-user-pci\",\"bus\":\"$1\",\"socket\":{\"type\":\"unix\",\"path\":\"$2\"}}"
}

# One GPU on a root port; several behind a switch, which lets them reach each other
gpu_devices()
{
	local i=0 socket

	((boot_gpus)) || return 0
	printf '%s\n' -object "memory-backend-memfd,id=ram,size=$boot_mem,share=on" \
		-machine memory-backend=ram -device pcie-root-port,id=gpuport,chassis=1,slot=1
	if ((boot_gpus == 1)); then
		gpu_one gpuport "$boot_dir/gpu0"
		return
	fi
	printf '%s\n' -device x3130-upstream,bus=gpuport,id=gpuswitch
	for socket in $(gpu_sockets "$boot_dir"); do
		i=$((i + 1))
		printf '%s\n' -device "xio3130-downstream,bus=gpuswitch,id=down$i,chassis=2,slot=$i"
		gpu_one "down$i" "$socket"
	done
}

# No display is there to look for, and the firmware file is ours
gpu_cmdline()
{
	((boot_gpus)) || return 0
	printf ' %s' firmware_class.path=/build/vbmg/firmware/lib/firmware xe.probe_display=0
}

# IGT's programs, where there is a GPU for them
gpu_path()
{
	((boot_gpus == 0)) || printf ':%s' "$lab_igt_bin"
}
