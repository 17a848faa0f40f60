# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Several guests, some at a time. Each is a function that boots one, in a process
# of its own: one that hangs or dies takes nothing along. What it prints goes to a
# file; guests-show puts the files on the screen, test by test.

lab_guests=$lab_build/guests # of each guest NAME.plan, .out, .dir, .end; lost/

guests_forget()
{
	rm -rf "$lab_guests"
	mkdir -p "$lab_guests/lost"
	guests=()
	declare -gA guest_what=() guest_command=() guest_pids=()
}

# guests_add NAME WHAT FUNCTION ARG...: for guests_run. Arguments KIND:TEST are what
# it is going to run.
guests_add()
{
	local name=$1

	guests+=("$name")
	guest_what[$name]=$2
	shift 2
	printf '%s\n' "$@" kernel:kmemleak | grep -E '^[a-z]+:[^ ]+$' >"$lab_guests/$name.plan"
	guest_command[$name]=$(printf '%q ' "$@")
}

# The folder of a guest's results; nothing if it has not been started
guests_dir()
{
	cat "$lab_guests/$1.dir" 2>/dev/null || true
}

# In a process of its own. boot_dir_to is where boot.sh leaves the folder's name.
guests_one()
{
	trap 'exit 130' INT TERM
	boot_dir_to=$lab_guests/$1.dir
	say "==> guest $1: ${guest_what[$1]}"
	eval "${guest_command[$1]}"
}

# One alone has the screen for itself
guests_start()
{
	if ((${#guests[@]} == 1)); then
		guests_one "$1" &
	else
		guests_one "$1" >"$lab_guests/$1.out" 2>&1 &
	fi
	guest_pids[$!]=$1
}

# Wait for one that is running
guests_end_one()
{
	local pid name status=0

	wait -n -p pid "${!guest_pids[@]}" || status=$?
	name=${guest_pids[$pid]}
	unset "guest_pids[$pid]"
	((status == 0)) || guests_lost "$name" "$status"
	touch "$lab_guests/$name.end"
}

# A guest that could not even be asked is a failure like any other
guests_lost()
{
	{
		say 1..1
		say "# it could not be run, status $2"
		tail -n 5 "$lab_guests/$1.out" 2>/dev/null | sed 's/^/# /'
		say "not ok 1 guest"
	} >"$lab_guests/lost/999-guest-$1"
}

# guests_run N: all of them, N at a time. What they found is in their results.
guests_run()
{
	local name show=

	if ((${#guests[@]} > 1)); then
		exec_in_root /repo/tools/lab/guests-show /build/guests "$1" "${guests[@]}" &
		show=$!
	fi
	trap guests_stop EXIT
	trap 'exit 130' INT TERM
	for name in "${guests[@]}"; do
		((${#guest_pids[@]} < $1)) || guests_end_one
		guests_start "$name"
	done
	while ((${#guest_pids[@]})); do
		guests_end_one
	done
	trap - EXIT INT TERM
	[[ -z $show ]] || wait "$show" || true
}

guests_stop()
{
	kill "${!guest_pids[@]}" 2>/dev/null || true
	wait "${!guest_pids[@]}" || true
}
