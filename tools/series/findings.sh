# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What make check-series has found, and what is fine by the lab's lists of
# exceptions. A finding is a line; build/check-series/findings has them all.

check_dir=$lab_build/check-series # linux/ html/ findings ...

# findings_add WHERE: standard input, a finding a line
findings_add()
{
	sed "s|^|$1: |" >>"$check_dir/findings"
}

findings_count()
{
	wc -l <"$check_dir/findings"
}

# findings_since COUNT: for the end of a line of progress
findings_since()
{
	local n=$(($(findings_count) - $1))

	((n == 0)) && say ok && return
	say "$n findings"
}

# The lines of compilers and checkers that are warnings or errors, without /src/
findings_of_log()
{
	sed 's,^/src/,,' "$1" |
		grep -E '^[^ ]+:[0-9:]* *(warning|error|fatal error)|^make: \*\*\*' || true
}

# Without what is excepted, or in files that the series does not touch: of those
# errors count, and warnings are the base's
findings_ours()
{
	grep -vE -f <(check_exceptions warning-exceptions) |
		awk -v touched="$check_dir/touched" '
		BEGIN { while ((getline file < touched) > 0) ours[file] = 1 }
		{ split($0, part, ":") }
		(part[1] in ours) || /error:/ || /^make/' || true
}

# Line numbers change from mail to mail
findings_normal()
{
	sed -E 's/^([^:]+):[0-9:]+/\1:/' | sort -u
}

# findings_new BASELINE: what was not the base's, in files that are still its own
findings_new()
{
	local line normal

	while IFS= read -r line; do
		normal=$(findings_normal <<<"$line")
		if grep -qxF "${line%%:*}" "$check_dir/replaced" || ! grep -qxF -- "$normal" "$1"; then
			say "$line"
		fi
	done
}
