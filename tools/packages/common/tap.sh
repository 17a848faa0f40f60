# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Tests as TAP: check() runs one, finish() ends them all.
n=0
failed=0

# check WHAT COMMAND...: what it says is shown if it fails
check()
{
	local what=$1 out

	shift
	n=$((n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $n $what"
	else
		printf '%s\n' "$out" | tail -n 30 | sed 's/^/# /'
		echo "not ok $n $what"
		failed=1
	fi
}

finish()
{
	echo "1..$n"
	exit $failed
}
