# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The whole test run: what to run in the guest, and the report of everything.

# The names of the KUnit suites in our sources: a suite that the kernel then
# does not have is a failure, not a shorter list
test_suites()
{
	tree_overlay_files | grep '\.c$' | while read -r file; do
		sed -n '/struct kunit_suite .*= *{/,/^}/s/.*\.name = "\([^"]*\)".*/\1/p' "$lab_top/$file"
	done
}

# The suites that the base brings, and what they came to on it
lab_base_suites=$lab_dir/base-suites

base_suites()
{
	sed -e '/^#/d' -e 's/\t.*//' "$lab_base_suites"
}

# test_list [NAME]...: all tests, or those of the names
test_list()
{
	{
		test_suites | sed 's/^/kunit:/'
		[[ ! -f $lab_top/$lab_selftests/Makefile ]] ||
			selftests_programs test | sed 's/^/selftest:/'
		base_suites | sed 's/^/base:/'
	} | while read -r test; do
		(($# == 0)) || [[ " $* " == *" ${test#*:} "* ]] || continue
		say "$test"
	done
}

# Programs for a GPU have names that begin with xe_, and a guest with a GPU
lab_test_gpu=^selftest:xe_

# Programs that are right on a kernel without our patches
lab_stock_tests=(svm_test svm_changes_test svm_devices_test svm_process_test svm_queue_test svm_race_test
	svm_devmem_test svm_devmem_advice_test svm_devmem_full_test svm_devmem_pages_test svm_devmem_peers_test
	xe_svm_demo xe_svm_test)

# What a test takes, in seconds, as measured
lab_test_seconds=$lab_dir/test-seconds

# test_all [NAME]...: run all tests, or those of the names, and report
test_all()
{
	local all tests base on_gpu

	all=$(test_list "$@")
	[[ -n $all ]] || die "there is no such KUnit suite or selftest: ${*:-none at all}"
	mapfile -t tests < <(grep -v -e "$lab_test_gpu" -e ^base: <<<"$all")
	mapfile -t base < <(grep ^base: <<<"$all")
	mapfile -t on_gpu < <(grep "$lab_test_gpu" <<<"$all")
	guests_forget
	if (($# == 0)); then
		test_add_ours "${tests[@]}"
		guests_add test-gpu "IGT and programs on the virtual Battlemage" test_on_gpu all "${on_gpu[@]}"
		guests_add test-base "the base's own KUnit suites" test_base "${base[@]}"
		guests_add test-module "loading and unloading the modules" test_modules
		guests_add test-stock "our modules on Debian's kernel" test_stock
		guests_add test-deb "our Debian packages" test_packages
		guests_run "$(test_guests_at_once)"
	else
		((${#tests[@]} == 0)) || guests_add test "tests" test_ours test 2 '' "${tests[@]}"
		((${#base[@]} == 0)) || guests_add test-base "the base's KUnit suites" test_base "${base[@]}"
		((${#on_gpu[@]} == 0)) ||
			guests_add test-gpu "tests on the virtual Battlemage" test_on_gpu named "${on_gpu[@]}"
		guests_run "${LAB_GUESTS:-1}"
	fi
	mapfile -t all < <(test_results)
	shopt -s nullglob
	report_run "$lab_check"/* "${all[@]}"
}

# Two guests at a time, if there is a core and memory for each
test_guests_at_once()
{
	local memory

	memory=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
	if (($(nproc) < 2 || memory < 8)); then
		say "${LAB_GUESTS:-1}"
	else
		say "${LAB_GUESTS:-2}"
	fi
}

# test_add_ours TEST...: two guests that take about as long. One has a CPU, which is
# the fastest without KVM, and memory of two nodes; the other has two CPUs, programs,
# and the suites that need two.
test_add_ours()
{
	local first second

	mapfile -t first < <(test_half 0 "$@")
	mapfile -t second < <(test_half 1 "$@")
	guests_add test "KUnit and programs, two CPUs" test_ours test 2 '' "${first[@]}"
	guests_add test-numa "KUnit, two NUMA nodes" \
		test_ours test-numa 1 numa=fake=2 "${second[@]}"
}

# test_half 0|1 TEST...: the tests of that half, in their order. The longest comes
# first, and each to the half that has less to do, unless it has to be in the first.
test_half()
{
	local half=$1

	shift
	printf '%s\n' "$@" | awk '
		NR == FNR { if (!/^#/) { seconds[$1] = $2; first[$1] = $3 == "two-cpus" } next }
		{ print !first[$1] && $1 !~ /^selftest:/, ($1 in seconds ? seconds[$1] : seconds["unknown"]), FNR, $1 }' \
			"$lab_test_seconds" - |
		sort -k1,1n -k2,2nr -k3,3n | awk -v half="$half" '
		{ to = $1 && sum[1] < sum[0]; sum[to] += $2 }
		to == half { print $3, $4 }' | sort -n | cut -d' ' -f2
}

# The files of all guests for the report: results, and logs that have to be clean
test_results()
{
	local name dir

	for name in "${guests[@]}"; do
		dir=$(guests_dir "$name")
		[[ -n $dir ]] || continue
		find "$dir" -path '*/ktap/*' -type f | sort
		[[ $name == test-base ]] || say "$dir/kernel.log"
	done
	find "$lab_guests/lost" -type f
}

# test_ours GUEST CPUS APPEND TEST...: in a guest without a GPU
test_ours()
{
	local name=$1 cpus=$2 append=$3

	shift 3
	boot_parse test --name "$name" --smp "$cpus" --append "$append" -- \
		env ${SOAK:+"SOAK=$SOAK"} ${SEED:+"SEED=$SEED"} run-tests "$@" kernel:kmemleak
	boot_run || test_note_death "$?" "$@"
}

# test_base base:SUITE...: beside what they came to on the base, on the screen and
# as a KTAP. They have a guest of their own: some make the kernel complain, which
# lockdep does only once, and what lockdep injects into their locking depends on
# all that came before.
test_base()
{
	local table

	boot_parse test --name test-base -- run-tests "$@"
	boot_run || true # what is lost with the guest shows in the table
	table=$boot_host_dir/base-table
	mkdir -p "$boot_host_dir/base" "$boot_host_dir/ktap"
	printf '%s\n' "$@" | sed 's/^base://' |
		awk 'NR == FNR { wanted[$1] = 1; next } /^#/ || $1 in wanted' - "$lab_base_suites" >"$table"
	in_root /repo/tools/lab/base-table compare "$boot_dir/base" "$boot_dir/kernel.log" \
		"${table/#"$lab_build"//build}" 2>"$boot_host_dir/ktap/800-base-suites"
}

# The table of the base's suites: the test kernel of the pristine source
test_record_base()
{
	local status=0

	boot_parse base --name base -- run-tests 'base:*'
	boot_run || status=$?
	((status == 0)) || die "the guest ended with status $status"
	{
		say "# The KUnit suites of Linux $lab_kernel, as Debian's $lab_source_package $lab_source_version, and"
		say "# what they come to under configs/test.config. 'tools/lab/lab base-suites'"
		say "# makes this file; base-table says how it is read."
		in_root /repo/tools/lab/base-table record "$boot_dir/base" "$boot_dir/kernel.log"
	} >"$lab_base_suites.new"
	mv "$lab_base_suites.new" "$lab_base_suites"
}

# Our drivers as modules, on a virtual GPU
test_modules()
{
	local tests=(module:vsvm module:xe kernel:kmemleak)

	boot_parse module --name test-module --gpus 1 -- run-tests "${tests[@]}"
	boot_run || test_note_death "$?" "${tests[@]}"
	gpu_note_verdict
}

# Our drivers as modules of Debian's kernel
test_stock()
{
	local tests

	mapfile -t tests < <(printf 'selftest:%s\n' "${lab_stock_tests[@]}")
	boot_parse stock --name test-stock --gpus 1 -- run-stock-tests "${tests[@]}"
	boot_files=("$lab_build"/out/modules/{vsvm/vsvm.ko:vsvm.ko,xe/xe.ko:xe.ko})
	boot_run || test_note_death "$?" "${tests[@]}"
	gpu_note_verdict
}

# test_on_gpu all|named TEST...: with a little of IGT, unless tests were named
test_on_gpu()
{
	local which=$1

	shift
	if [[ $which == named ]]; then
		boot_parse test --name test-gpu --gpus 1 -- env ${SOAK:+"SOAK=$SOAK"} \
			${SEED:+"SEED=$SEED"} run-gpu-tests "$@"
		boot_run || test_note_death "$?" "$@"
	else
		igt_smoke "$@" || test_note_death "$?" "$@"
	fi
	gpu_note_verdict
}

# test_note_death STATUS TEST...: what the guest was at, and what it left undone, in
# the report
test_note_death()
{
	local status=$1 begun missing

	shift
	begun=$(tr -d '\r' <"$boot_host_dir/kernel.log" | sed -n 's/.*lab: \([a-z]*\) \([^ ]*\)$/\1:\2/p')
	missing=$(printf '%s\n' "$@" | grep -vxF -f <(printf '%s' "$begun") | paste -sd' ' || true)
	mkdir -p "$boot_host_dir/ktap"
	{
		say 1..1
		say "# the guest ended with status $status at ${begun##*$'\n'}"
		say "# not run: ${missing:-nothing}"
		say "not ok 1 guest"
	} >"$boot_host_dir/ktap/999-guest-$boot_name"
}

# What KCSAN watches: the suites that run into each other, and a soak
test_kcsan_list()
{
	test_suites | grep -E '_(stress|race|invalidate|fault)$' | grep -v ^xe_ | sed 's/^/kunit:/'
	say selftest:svm_soak
}

# The functions of our objects that are there
test_our_functions()
{
	local objects

	mapfile -t objects < <(check_objects | while read -r object; do
		[[ ! -f $lab_build/out/$1/$object ]] || say "/out/$1/$object"
	done)
	in_root nm --defined-only "${objects[@]}" | sed -n 's/^[0-9a-f]* [tT] \([^.]*\).*/\1/p' | sort -u
}

# Data races, on the kernel that looks for them; in our files they fail
test_kcsan()
{
	local tests ktap

	mapfile -t tests < <(test_kcsan_list)
	say "==> looking for data races in the guest (usually $((SOAK + 10)) min)"
	boot_parse kcsan --name kcsan --mem 3G -- env "SOAK=$SOAK" ${SEED:+"SEED=$SEED"} run-tests "${tests[@]}"
	boot_run || test_note_death "$?" "${tests[@]}"
	mkdir -p "$boot_host_dir/ktap"
	ktap=$boot_host_dir/ktap/998-check-data-races
	test_our_functions kcsan | in_root /repo/tools/lab/kcsan-report "$boot_dir/kernel.log" >"$ktap"
	grep '^# not ours' "$ktap" || true
	report_run "$boot_host_dir"/ktap/*
}

# report_run KTAP|KERNEL_LOG...: print the result; the last line is the count
report_run()
{
	local ktap=$lab_build/log/report.ktap text=$lab_build/log/report.txt

	in_root /repo/tools/lab/report "${@/#"$lab_build"//build}" >"$ktap"
	in_root python3 tools/testing/kunit/kunit.py parse "${ktap/#"$lab_build"//build}" >"$text" 2>&1 || true
	report_show "$text"
	report_count "$text"
}

# Only what did not pass is worth reading again
report_show()
{
	in_root python3 tools/testing/kunit/kunit.py parse --failed \
		/build/log/report.ktap 2>&1 | sed -E 's/^\[[0-9:]*\] //; /^=+$/d' || true
	say "every result: ${1#"$lab_top"/}"
}

report_count()
{
	local line passed failed crashed errors skipped

	line=$(sed -n 's/.*Testing complete\. *//p' "$1" | tail -n 1)
	passed=$(report_number passed "$line")
	failed=$(report_number failed "$line")
	crashed=$(report_number crashed "$line")
	errors=$(report_number errors "$line")
	skipped=$(report_number skipped "$line")
	failed=$((failed + crashed + errors))
	say "$passed passed, $failed failed, $skipped skipped"
	((failed == 0 && passed > 0))
}

# The log of a run without tests: show what is wrong in it
run_log_is_clean()
{
	local ktap=$lab_build/log/run.ktap

	in_root /repo/tools/lab/report "$boot_dir/kernel.log" >"$ktap"
	! grep -q '^not ok' "$ktap" && return
	cat "$ktap" >&2
	die "the kernel's log is not clean: ${boot_log#"$lab_top"/}.log"
}

report_number()
{
	local n

	n=$(grep -oE "$1: [0-9]+" <<<"$2" | grep -oE '[0-9]+' || true)
	say "${n:-0}"
}
