# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The commands in our documentation, as they stand there: those after a '$' in the
# kernel's tree, those after a '#' by root of a guest.

documentation_files()
{
	tree_overlay_files | grep '^Documentation/.*\.rst$'
}

# documentation_one PROMPT FILE LOG: run its commands up to the first that fails
documentation_one()
{
	local prompt=$1 script

	script=$("$lab_dir/doc-commands" prompt="$prompt" "$lab_top/$2" |
		grep -vE -f <(check_exceptions documentation-exceptions) || true)
	[[ -n $script ]] || return 0
	say "    $2, after '$prompt'"
	if [[ $prompt == '$' ]]; then
		in_root env PATH=/usr/lib/ccache:/usr/bin:/bin bash -exo pipefail -c "$script" >"$3" 2>&1
	else
		boot_parse test --name documentation -- bash -exo pipefail -c "$script"
		boot_run >"$3" 2>&1
	fi
}

# documentation_check: each file and prompt is a test of the report
documentation_check()
{
	local file prompt log=$lab_build/log/documentation.log n=200 status

	while read -r file; do
		for prompt in '$' '#'; do
			n=$((n + 1))
			status=0
			: >"$log"
			documentation_one "$prompt" "$file" "$log" </dev/null || status=$?
			[[ -s $log ]] || ((status)) || continue
			{
				echo 1..1
				((status == 0)) || tail -n 40 "$log" | sed 's/^/# /'
				((status == 0)) || printf 'not '
				echo "ok 1 $file after '$prompt'"
			} >"$lab_check/$n-check-documentation-$n"
		done
	done < <(documentation_files)
}
