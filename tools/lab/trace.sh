# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A recording of vsvm's demo, and what can be made of it: `make trace`. The guest is
# that of `make run`, but the root is the full one, which has trace-cmd.

lab_trace=$lab_build/trace
lab_svmtrace=/repo/tools/gpu/svmtrace

# trace_make TOOL FILE: what that tool makes of the recording
trace_make()
{
	in_root "$lab_svmtrace/$1" /build/trace/svm.txt >"$lab_trace/$2.new" ||
		die "$1 can't make anything of $lab_trace/svm.txt"
	mv "$lab_trace/$2.new" "$lab_trace/$2"
}

trace_run()
{
	boot_parse stock --name trace --smp 1 -- run-trace
	boot_files=("$lab_build/out/modules/vsvm/vsvm.ko:vsvm.ko")
	boot_run || return
	run_log_is_clean
	mkdir -p "$lab_trace"
	cp "$boot_host_dir"/svm.{dat,txt} "$lab_trace/"
	trace_make svm-perfetto svm.json
	trace_make svm-latency latency.txt
	trace_make svm-fault-picture svm-fault.svg
	cat "$lab_trace/latency.txt"
	say "The recording is in ${lab_trace#"$lab_top"/}:"
	say "    svm.json       open this in ui.perfetto.dev"
	say "    svm-fault.svg  one fault, from report to reply, and its invalidation"
	say "    latency.txt    the histograms above"
	say "    svm.dat        for trace-cmd and kernelshark; svm.txt is its report"
}
