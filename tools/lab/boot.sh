# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Boot a kernel in QEMU and run one command, or a shell, in it.
#
# The guest's root is the forky root that QEMU itself runs in, over 9p, with the
# same /src, /out, /build and /repo, all read-only under an overlay. /results is
# shared for writing. The kernel's log goes to a file by a serial port of its
# own; the command's output comes by a virtio console. An Intel IOMMU with an
# 'edu' device behind it gives the tests a device with real IOVAs. Two disks, made
# for the guest and thrown away with it, are its file system on a disk and its
# swap on a disk; guest/init says where programs find them.

lab_hang=${LAB_HANG:-600} # seconds without a byte of output

boot_usage()
{
	cat <<-'END'
	lab boot CONFIG [OPTION]... [-- COMMAND [ARG]...]
	  --name NAME       name of the logs in build/log (default: CONFIG)
	  --smp N           virtual CPUs (default 2)
	  --mem SIZE        memory (default 4G)
	  --icount[=SHIFT]  one CPU, time is a count of instructions (default shift 1)
	  --append ARGS     more kernel command line
	  --qemu ARG        one more QEMU argument (repeat)
	  --gpus N          N virtual Battlemages, behind a switch if there are several
	  --iommu MODE      on (default), off (default with --gpus), or caching: an IOMMU
	                    for the GPUs
	  --shell           an interactive shell on this terminal instead of a command
	END
}

# Sets the boot_* variables from the options, boot_command from the rest
boot_parse()
{
	boot_config=${1:-}
	[[ -n $boot_config ]] || { boot_usage >&2; exit 2; }
	shift
	boot_name=$boot_config boot_smp=2 boot_mem=4G boot_icount='' boot_append='' boot_shell=''
	boot_gpus=0 boot_iommu='' boot_files=() boot_qemu=() boot_command=()
	while (($#)); do
		case $1 in
		--name) boot_name=$2; shift ;;
		--smp) boot_smp=$2; shift ;;
		--mem) boot_mem=$2; shift ;;
		--icount) boot_icount=1 ;;
		--icount=*) boot_icount=${1#*=} ;;
		--append) boot_append+=" $2"; shift ;;
		--qemu) boot_qemu+=("$2"); shift ;;
		--gpus) boot_gpus=$2; shift ;;
		--iommu) boot_iommu=$2; shift ;;
		--shell) boot_shell=1 ;;
		--) shift; boot_command=("$@"); break ;;
		*) boot_usage >&2; exit 2 ;;
		esac
		shift
	done
	[[ -n $boot_shell ]] || ((${#boot_command[@]})) || { boot_usage >&2; exit 2; }
	[[ -n $boot_iommu ]] || { ((boot_gpus)) && boot_iommu=off || boot_iommu=on; }
}

boot_machine()
{
	# String instructions cost TCG as much for a byte as for eight: without the
	# promise that bytes are fast, kernel and libc take larger steps
	local accel cpu=max,-la57,-erms,-fsrm,-fzrm,-fsrs,-fsrc split=

	if host_has_kvm && [[ -z $boot_icount ]]; then
		accel=kvm
		cpu=host
		split=,kernel-irqchip=split
	elif [[ -n $boot_icount ]]; then
		accel=tcg,thread=single,tb-size=512
		boot_smp=1
		printf '%s\n' -icount "shift=$boot_icount,sleep=off"
	elif ((boot_smp == 1)); then
		accel=tcg,thread=single,tb-size=512 # atomic operations needn't be
	else
		accel=tcg,thread=multi,tb-size=512
	fi
	printf '%s\n' -machine "q35$split" -accel "$accel" -cpu "$cpu" \
		-smp "$boot_smp" -m "$boot_mem"
}

boot_iommu_devices()
{
	case $boot_iommu in
	on) printf '%s\n' -device intel-iommu,intremap=off -device edu ;;
	caching) printf '%s\n' -device intel-iommu,intremap=off,caching-mode=on,aw-bits=48 ;;
	esac
}

# Neither waits for the host's disk, and sparse files cost what is written to them
boot_make_disks()
{
	[[ -z $boot_icount ]] || return 0 # not part of what is counted
	truncate -s 1G "$boot_host_dir"/disk-{files,swap}
	in_root bash -ec 'mke2fs -q -F -t ext4 -L svm-files "$1/disk-files"
		mkswap -q -L svm-swap "$1/disk-swap"' - "$boot_dir" 2>"$boot_host_dir/disks.log" ||
		die "cannot make the guest's disks: $(tail -n 1 "$boot_host_dir/disks.log")"
}

boot_drop_disks()
{
	rm -f "$boot_host_dir"/disk-{files,swap}
}

boot_disks()
{
	local disk

	for disk in files swap; do
		[[ -f $boot_host_dir/disk-$disk ]] || continue
		printf '%s\n' \
			-drive "if=none,id=$disk,file=$boot_dir/disk-$disk,format=raw,cache=unsafe" \
			-device "virtio-blk-pci,drive=$disk"
	done
}

boot_devices()
{
	printf '%s\n' -nodefaults -no-user-config -display none -no-reboot
	boot_iommu_devices # before the devices behind it
	printf '%s\n' \
		-device virtio-rng-pci \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=/dev/root \
		-fsdev local,id=results,path="$boot_dir",security_model=none \
		-device virtio-9p-pci,fsdev=results,mount_tag=results \
		-chardev "file,id=log,path=$boot_dir/kernel.log" -serial chardev:log \
		-device virtio-serial-pci
	if [[ -n $boot_shell ]]; then
		printf '%s\n' -chardev stdio,id=out,signal=off
	else
		printf '%s\n' -chardev "file,id=out,path=$boot_dir/output"
	fi
	printf '%s\n' -device virtconsole,chardev=out
	boot_disks
	gpu_devices
}

# Sets boot_initrd: what the kernel needs before it has a root
boot_make_initrd()
{
	local from=()

	boot_initrd=()
	[[ ! -f $lab_build/out/$boot_config/initrd ]] || from+=("$lab_build/out/$boot_config/initrd")
	((boot_gpus == 0)) || from+=("$lab_build/vbmg/firmware.cpio")
	((${#from[@]})) || return 0
	cat "${from[@]}" >"$boot_host_dir/initrd"
	boot_initrd=(-initrd "$boot_dir/initrd")
}

# no_timer_check: a busy host starves an emulated timer of the ticks that the kernel counts
boot_cmdline()
{
	say "root=/dev/root rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=500000,cache=loose ro" \
		"init=/repo/tools/lab/guest/init console=ttyS0 panic=-1 oops=panic" \
		"intel_iommu=on iommu.passthrough=0 iommu.strict=1 mitigations=off" \
		"no_timer_check watchdog_thresh=60 random.trust_cpu=on kunit.enable=1 kunit.autorun=0$(gpu_cmdline)$boot_append"
}

# The command travels as a script in the shared folder
boot_write_command()
{
	local to=$1/command size

	say "PATH=\$PATH:/out/$boot_config/selftests:/repo/tools/lab/guest$(gpu_path)" >"$to"
	if [[ -z $boot_shell ]]; then
		printf '%q ' "${boot_command[@]}" >>"$to"
		return
	fi
	touch "$1/interactive"
	if size=$(stty size 2>/dev/null); then
		say "stty rows ${size% *} cols ${size#* }" >>"$to"
	fi
	say "export TERM=${TERM:-linux}; exec bash --rcfile /repo/tools/lab/guest/bashrc -i" >>"$to"
}

# What a caller put into boot_files, as FILE:NAME, is /results/NAME in the guest
boot_give_files()
{
	local file

	for file in "${boot_files[@]}"; do
		cp "${file%:*}" "$boot_host_dir/${file##*:}"
	done
}

# Sets boot_log, the base name of this run's logs
boot_prepare()
{
	local id

	[[ -f $lab_build/out/$boot_config/arch/x86/boot/bzImage ]] ||
		die "there is no $boot_config kernel yet: run 'tools/lab/lab build $boot_config'"
	id=$boot_name-$(date +%Y%m%d-%H%M%S)-$$
	boot_dir=/build/guest/$id
	boot_host_dir=$lab_build/guest/$id
	boot_log=$lab_build/log/$id
	mkdir -p "$boot_host_dir" "$lab_build/log"
	[[ -z ${boot_dir_to:-} ]] || say "$boot_host_dir" >"$boot_dir_to"
	boot_write_command "$boot_host_dir"
	boot_give_files
	touch "$boot_host_dir/kernel.log" "$boot_host_dir/output"
	ln -f "$boot_host_dir/kernel.log" "$boot_log.log"
	ln -sfn "${boot_log##*/}.log" "$lab_build/log/$boot_name-latest.log"
}

boot_kernel_log_tail()
{
	warn "the end of the guest's kernel log, ${boot_log#"$lab_top"/}.log:"
	tail -n 40 "$boot_log.log" | tr -d '\r' >&2
}

# All that the guest wrote: its log, its output, its results
boot_bytes()
{
	du -sb "$boot_host_dir" | cut -f 1
}

# Wait for QEMU; kill it when nothing was printed for too long
boot_watch()
{
	local pid=$1 bytes=0 now last=$SECONDS

	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		now=$(boot_bytes)
		if ((now != bytes)); then
			bytes=$now
			last=$SECONDS
		elif ((SECONDS - last > lab_hang)); then
			kill "$pid"
			boot_kernel_log_tail
			warn "the guest $boot_name hangs: no output for $lab_hang s (LAB_HANG changes the limit)"
			return
		fi
	done
}

# Returns the command's exit status, 125 if the guest died on the way
boot_status()
{
	if [[ -s $boot_host_dir/status ]]; then
		return "$(cat "$boot_host_dir/status")"
	fi
	boot_kernel_log_tail
	warn "the guest $boot_name ended without a result"
	return 125
}

# One of the CPUs that we may use
boot_any_cpu()
{
	awk '/^Cpus_allowed_list/ {
		n = split($2, ranges, ",")
		for (i = 1; i <= n; i++) {
			m = split(ranges[i], ends, "-")
			for (cpu = ends[1]; cpu <= ends[m]; cpu++)
				cpus[count++] = cpu
		}
		srand()
		print cpus[int(rand() * count)]
	}' /proc/self/status
}

# Sets boot_on. The guest's CPU hands each register access to the model, that to
# another thread of QEMU, and that back to the CPU: with a single one they only
# take turns, which is three times as fast if none has to wake another processor.
boot_place()
{
	boot_on=()
	((boot_gpus && boot_smp == 1)) || return 0
	boot_on=(taskset -c "$(boot_any_cpu)")
}

boot_run()
{
	local args=() pid tail status=0 boot_initrd boot_on

	boot_prepare
	boot_place
	boot_make_initrd
	boot_make_disks
	gpu_start
	mapfile -t args < <(boot_machine; boot_devices)
	args+=(-kernel "/out/$boot_config/arch/x86/boot/bzImage" "${boot_initrd[@]}"
		-append "$(boot_cmdline)" "${boot_qemu[@]}")
	if [[ -n $boot_shell ]]; then
		in_root "${boot_on[@]}" qemu-system-x86_64 "${args[@]}" || true
		stty sane
	else
		exec_in_root "${boot_on[@]}" qemu-system-x86_64 "${args[@]}" </dev/null &
		pid=$!
		# shellcheck disable=SC2064 # now, with this pid
		trap "kill $pid 2>/dev/null || true; boot_drop_disks; ${boot_at_exit:-}" EXIT
		trap 'exit 130' INT TERM
		tail -n +1 -f -s 0.2 --pid="$pid" "$boot_host_dir/output" &
		tail=$!
		boot_watch "$pid"
		wait "$pid" || true
		wait "$tail" || true
		trap - EXIT INT TERM
	fi
	gpu_wait
	boot_drop_disks
	boot_status || status=$?
	return "$status"
}
