#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# svmtop beside a job of which it is known what it does. How fast that goes does not
# matter: the test waits for svmtop to have seen it.
#
# svmtop, and svm_job, are looked for in the path and beside this file.
# shellcheck disable=SC2317 # wait_for and the trap call what seems to be unreachable

PATH=$PATH:$(dirname "$0")
set_name=svm_top_test
limit=240 # seconds, after which it hangs
tests=0
failed=0
job=''
top=''

result()
{
	tests=$((tests + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $tests $2"
	else
		echo "not ok $tests $2"
		failed=1
	fi
}

skip()
{
	echo "1..0 # SKIP $1"
	exit 4
}

instances()
{
	local dir

	for dir in /sys/kernel/tracing/instances/svmtop-*; do
		[[ ! -d $dir ]] || echo "${dir##*/}"
	done
}

# Set the columns of the job's last line as variables; the device is its set's
read_row()
{
	local line

	line=$(awk -v pid="$job" '$1 == pid' "$work/top" | tail -n 1)
	read -r _ comm device faults _ average _ longest in out held inval mirror <<<"$line"
}

is_more()
{
	awk -v one="${1%[*~]}" -v other="$2" 'BEGIN { exit !(one + 0 > other) }'
}

saw_all()
{
	read_row
	is_more "$faults" 0 && is_more "$in" 0 && is_more "$out" 0 && is_more "$inval" 0 &&
		is_more "$held" 0
}

wait_for()
{
	local end=$((SECONDS + limit))

	until "$@"; do
		((SECONDS < end)) && kill -0 "$job" && kill -0 "$top" || return 1
		sleep 0.2
	done
}

finish()
{
	kill "$job" "$top" 2>/dev/null
	wait
	rmdir "/sys/kernel/config/vsvm/$set_name" 2>/dev/null
	rm -rf "$work"
}

((EUID == 0)) || skip "needs root"
command -v svmtop >/dev/null || skip "svmtop is not there"
[[ -d /sys/module/vsvm ]] || skip "vsvm is not there"
work=$(mktemp -d)
trap finish EXIT

echo "TAP version 13"
before=$(instances | wc -l)

svmtop -b -t -d 0.5 >"$work/top" 2>"$work/errors" &
top=$!
job=$top
wait_for grep -q ^svmtop: "$work/top"
result $? "svmtop.begins"
sed 's/^/# /' "$work/errors"
[[ $(instances) == *"svmtop-$top"* ]]
result $? "svmtop.has_an_instance_of_its_own"

svm_job $set_name >"$work/job" 2>&1 &
job=$!
wait_for saw_all
result $? "svmtop.sees_faults_moves_and_invalidations"
[[ $comm == svm_job ]]
result $? "svmtop.names_the_process"
grep -q "^$device *vsvm " "$work/top"
result $? "svmtop.names_the_device"

# Of an answered fault it is known that it takes some time, and less than the test
is_more "$average" 0 && is_more $((limit * 1000000)) "$average" &&
	is_more "$longest" "$(awk -v a="$average" 'BEGIN { print a - 0.1 }')"
result $? "svmtop.tells_how_long_faults_took"
# 2 MiB are mirrored and no more can be in the device's memory
is_more 2.01 "${held%\~}" && is_more 2.01 "$mirror" && is_more "$mirror" 0
result $? "svmtop.tells_how_much_memory"

# Each round moves what the process has written to the device
kill "$job"
wait "$job"
result $? "svmtop.does_not_disturb"
kill "$top"
wait "$top"
result $? "svmtop.ends_by_a_signal"
[[ $(instances | wc -l) == "$before" ]]
result $? "svmtop.removes_its_instance"
tail -n 12 "$work/top" | sed 's/^/# /'
sed 's/^/# job: /' "$work/job"

svmtop -b -n 2 -d 0.1 >"$work/top"
result $? "svmtop.ends_by_itself"
[[ $(grep -c ^svmtop: "$work/top") == 3 ]]
result $? "svmtop.prints_intervals_and_a_sum"

# Killed, it leaves an instance, which the next one removes
svmtop -b -d 0.1 >"$work/top" &
top=$!
job=$top
wait_for grep -q ^svmtop: "$work/top"
kill -KILL "$top"
wait "$top" 2>/dev/null
svmtop -b -n 1 -d 0.1 >"$work/top"
[[ $(instances | wc -l) == "$before" ]]
result $? "svmtop.removes_what_a_killed_one_left"

echo "1..$tests"
exit $failed
