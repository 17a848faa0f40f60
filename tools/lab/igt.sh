# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# IGT on the virtual Battlemage: choose tests, boot, run, and keep the results
# of both kernels side by side.
#
# A list of tests is cut into pieces of one boot each. The results of a piece
# are kept as igt_runner wrote them, in build/igt/BASE/SET/PIECE. The last result
# of each test is in build/igt/BASE.tsv: that is what the table shows, and what
# has one there is not run again by `make igt-full`.

lab_igt=$lab_build/igt
lab_igt_bin=/usr/libexec/igt-gpu-tools
lab_igt_piece=60  # tests a boot
lab_igt_mem=4G    # more than VRAM, which some tests evict

# igt_list: patterns from standard input, PROGRAM or PROGRAM@GLOB or PROGRAM@LIST
# of globs a line; a line that begins with '!' takes away. Prints the tests.
igt_list()
{
	in_root /repo/tools/lab/igt-list "$lab_igt_bin"
}

# igt_patterns SET: a file of ours, or what TESTS says
igt_patterns()
{
	if [[ $1 == tests ]]; then
		tr ' ' '\n' <<<"$TESTS"
	else
		cat "$lab_dir/igt-$1"
	fi
}

igt_base_config()
{
	case $1 in
	stock) say stock ;;
	ours) say run ;;
	test) say test ;;
	*) die "BASE=$1: it is stock or ours" ;;
	esac
}

# How many CPUs the guest has: one is the fastest without KVM, see boot_place
igt_cpus()
{
	if [[ -n ${SMP:-} ]]; then
		say "$SMP"
	elif host_has_kvm; then
		say 2
	else
		say 1
	fi
}

# igt_piece BASE LIST DIR [TEST]...: boot once and run the tests of LIST, results
# to DIR; then those of run-tests, if any
igt_piece()
{
	local config status=0

	config=$(igt_base_config "$1")
	boot_parse "$config" --name "igt-$1" --gpus "${GPUS:-1}" --iommu "${IOMMU:-off}" \
		--smp "$(igt_cpus)" --mem "$lab_igt_mem" -- run-igt "${@:4}"
	boot_files=("$2:tests")
	boot_run || status=$?
	rm -rf "$3"
	mkdir -p "$3"
	if [[ -d $boot_host_dir/igt ]]; then
		rm -f "$boot_host_dir/igt/results.json" # one that the guest began
		in_root igt_results "$boot_dir/igt" >/dev/null 2>&1 || warn "igt_results failed"
		mv "$boot_host_dir"/igt/* "$3/"
	fi
	cp "$boot_host_dir"/{kernel.log,vbmg.log} "$3/"
	in_root /repo/tools/lab/igt-table merge "${lab_igt/#"$lab_build"//build}/$1.tsv" \
		"${3/#"$lab_build"//build}" "/build/${2#"$lab_build"/}"
	return "$status"
}

# igt_smoke [TEST]...: a few tests on the kernel of `make test`, with those of
# run-tests, as files for the report in boot_host_dir. Fails if the guest died.
igt_smoke()
{
	local dir=$lab_igt/test/smoke status=0

	rm -rf "$dir"
	mkdir -p "$dir"
	igt_patterns smoke | igt_list >"$dir/list"
	igt_piece test "$dir/list" "$dir/piece" "$@" || status=$?
	mkdir -p "$boot_host_dir/ktap"
	in_root /repo/tools/lab/igt-table ktap "/build/${dir#"$lab_build"/}/list" /build/igt/test.tsv \
		>"$boot_host_dir/ktap/900-igt-smoke"
	return "$status"
}

# igt_todo BASE SET: the tests of its list that are to run
igt_todo()
{
	local list=$lab_igt/$1/$2/list

	if [[ $2 == full ]]; then
		in_root /repo/tools/lab/igt-table todo "/build/${list#"$lab_build"/}" "/build/igt/$1.tsv"
	else
		cat "$list"
	fi
}

# igt_run BASE SET: every piece; with a fresh start unless SET is full. Pieces
# are numbered on, and carry the number of their list.
igt_run()
{
	local base=$1 set=$2 dir=$lab_igt/$1/$2 piece last failed=0

	mkdir -p "$dir"
	[[ $set == full ]] || rm -rf "${dir:?}"/*
	igt_patterns "$set" | igt_list >"$dir/list"
	[[ -s $dir/list ]] || die "no test matches"
	rm -f "$dir"/list.*
	last=$(find "$dir" -maxdepth 1 -name 'piece-*' | sed 's/.*-/10#/' | sort | tail -n 1)
	igt_todo "$base" "$set" |
		split -a 3 --numeric-suffixes="$((${last:--1} + 1))" -l "$lab_igt_piece" - "$dir/list."
	for piece in "$dir"/list.*; do
		[[ -e $piece ]] || break
		say "==> $(wc -l <"$piece") tests on the $base kernel"
		igt_piece "$base" "$piece" "$dir/piece-${piece##*.}" || failed=1
		! gpu_bugs || [[ $base == stock ]] || failed=1
	done
	in_root /repo/tools/lab/igt-table show "/build/${dir#"$lab_build"/}/list" "$base" \
		/build/igt /repo/tools/lab/igt-known || failed=1
	return "$failed"
}
