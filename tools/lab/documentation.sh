# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The commands in our documentation, as they stand there. In the kernel's pages those
# after a '$' are run in the kernel's tree, those after a '#' by root of a guest. In
# READMEs each command and each variable has to exist; what documentation-exceptions
# does not name is run as well, at the top of the checkout or in the README's folder.

documentation_files()
{
	tree_overlay_files | grep '^Documentation/.*\.rst$'
}

documentation_readmes()
{
	(cd "$lab_top" && find README.md tools -name README.md | sort)
}

# documentation_run WHERE SCRIPT: up to the first command that fails
documentation_run()
{
	case $1 in
	'$') in_root env PATH=/usr/lib/ccache:/usr/bin:/bin bash -exo pipefail -c "$2" ;;
	'#')
		boot_parse test --name documentation -- bash -exo pipefail -c "$2"
		boot_run
		;;
	README.md) bash -exo pipefail -c "$2" ;;
	*) in_root env -C "/repo/${1%/*}" bash -exo pipefail -c "$2" ;;
	esac </dev/null
}

# documentation_one NUMBER NAME WHERE SCRIPT: it is a test of the report
documentation_one()
{
	local number=$1 name=$2 log=$lab_build/log/documentation-$1.log count start=$SECONDS verdict=ok

	[[ -n $4 ]] || return 0
	count=$(wc -l <<<"$4")
	say "==> $name: $count lines of commands"
	(documentation_run "$3" "$4") >"$log" 2>&1 || verdict='not ok'
	{
		echo 1..1
		[[ $verdict == ok ]] || tail -n 40 "$log" | sed 's/^/# /'
		echo "$verdict 1 $name: $count lines of commands"
	} >"$lab_check/$number-check-documentation-$number"
	say "    $verdict, in $(duration $((SECONDS - start)))"
}

# documentation_check: run what can be run
documentation_check()
{
	local file prompt n=200 commands

	while read -r file; do
		for prompt in '$' '#'; do
			n=$((n + 1))
			commands=$("$lab_dir/doc-commands" prompt="$prompt" "$lab_top/$file")
			documentation_one "$n" "$file, after '$prompt'" "$prompt" "$commands"
		done
	done < <(documentation_files)
	while read -r file; do
		n=$((n + 1))
		commands=$(documentation_readme_commands "$file" |
			grep -vE -e '^[A-Z_]+=' -f <(check_exceptions documentation-exceptions) || true)
		documentation_one "$n" "$file" "$file" "$commands"
	done < <(documentation_readmes)
}

# Each once
documentation_readme_commands()
{
	(cd "$lab_top" && "$lab_dir/readme-commands" "$1") | cut -f 2 | awk '!seen[$0]++'
}

# documentation_check_readmes: whether what they name exists
documentation_check_readmes()
{
	local file command n=0 ktap=$lab_check/006-check-readmes

	while read -r file; do
		while read -r command; do
			n=$((n + 1))
			if documentation_exists "$file" "$command" >"$ktap.reason" 2>&1; then
				say "ok $n $file: ${command//#/}"
			else
				sed 's/^/# /' "$ktap.reason"
				say "not ok $n $file: ${command//#/}"
			fi
		done < <(documentation_readme_commands "$file")
	done < <(documentation_readmes) >"$ktap.lines"
	{ say "1..$(grep -cE '^(not )?ok' "$ktap.lines")"; cat "$ktap.lines"; } >"$ktap"
	rm -f "$ktap.lines" "$ktap.reason"
	say "    $(grep -c '^ok' "$ktap") commands and variables exist, $(grep -c '^not ok' "$ktap") do not"
}

# documentation_exists README COMMAND: only the first of several commands is looked at,
# those behind it are of the system
documentation_exists()
{
	local words word command=${2%% && *}

	while read -r word; do
		grep -rqw --include=Makefile --include='*.sh' --include=run --include=lab \
			-e "${word%=}" "$lab_top"/{Makefile,tools} ||
			{ say "nothing reads $word"; return 1; }
	done < <(grep -oE '(^| )[A-Z_]+=' <<<"$command" | tr -d ' ')
	# shellcheck disable=SC2016 # the quotes are those of the command
	mapfile -t words < <(sed -E "s/^([A-Z_]+=('[^']*'|[^ ]*) ?)*//" <<<"$command" | xargs -r -n 1 printf '%s\n')
	case ${words[0]:-} in
	make) documentation_target_exists "${1%/*}" "${words[@]:1}" ;;
	tools/*) documentation_program_exists "${words[@]}" ;;
	esac
}

# documentation_target_exists FOLDER ARG...: there or at the top, and so does the program
# of tools/ that it calls
documentation_target_exists()
{
	local folder=$1 words

	shift
	[[ -f $lab_top/$folder/Makefile ]] && in_root make -n -C "/repo/$folder" "$@" && return
	in_root make --no-print-directory -n -C /repo "$@" >"$lab_build/log/documentation-make.log" ||
		{ say "there is no such target"; return 1; }
	while read -r -a words; do
		documentation_program_exists "${words[@]}" || return
	done < <(sed -nE 's,^([A-Z]+=[^ ]* )?(tools/[a-z]+/[a-z]+),\2,p' "$lab_build/log/documentation-make.log")
}

# documentation_program_exists PROGRAM [WORD]...: the first word is one that it knows
documentation_program_exists()
{
	[[ -x $lab_top/$1 ]] || { say "there is no $1"; return 1; }
	case $1 in
	tools/lab/lab) [[ $2 == --help ]] || declare -F "cmd_${2//-/_}" >/dev/null ;;
	*) (($# == 1)) || grep -qw -e "$2" "$lab_top/$1" ;;
	esac || { say "$1 does not know $2"; return 1; }
}
