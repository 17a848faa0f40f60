# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Static checks of our own files. Each check is one test of KTAP in build/check;
# what a tool says about a file of the base is not our concern.

lab_check=$lab_build/check

# Kernel files of ours in the merged tree
check_files()
{
	tree_overlay_files | grep -E "$1" || true
}

check_objects()
{
	check_files '^(drivers|mm|lib|kernel|fs|arch)/.*\.c$' | sed 's/\.c$/.o/'
}

# check_findings LOG < file names: what LOG says of these files, as
# "file:line: message", in lines that begin with #; and how many files there are
check_findings()
{
	local file n=0

	while read -r file; do
		grep -E "^$file:" "$1" | sort -u | sed 's/^/# /' || true
		n=$((n + 1))
	done
	say "$n files"
}

# W=1 and sparse, in an output folder of their own: other flags, other objects
check_compile()
{
	local log=$lab_build/log/check-compile.log config=check file
	local objects=()

	mkdir -p "$lab_build/out/$config"
	mapfile -t objects < <(check_objects)
	((${#objects[@]})) || return 0
	if ! cmp -s "$lab_build/out/test/.config" "$lab_build/out/$config/copied.config"; then
		cp "$lab_build/out/test/.config" "$lab_build/out/$config/.config"
		logged "$lab_build/log/check-prepare.log" \
			kernel_make "$config" -j"$lab_jobs" olddefconfig prepare
		cp "$lab_build/out/test/.config" "$lab_build/out/$config/copied.config"
	fi
	(cd "$lab_build/out/$config" && rm -f "${objects[@]}")
	kernel_make "$config" -k -j"$lab_jobs" W=1 C=2 CF=-D__CHECK_ENDIAN__ "${objects[@]}" \
		>"$log.all" 2>&1 || true
	sed 's,^/src/,,' "$log.all" | grep -E '^[^ ]+:[0-9:]* *(warning|error|fatal error)' |
		grep -vE -f <(check_exceptions warning-exceptions) >"$log" || true
	for file in "${objects[@]}"; do
		[[ -f $lab_build/out/$config/$file ]] || say "${file%.o}.c:0: does not compile" >>"$log"
	done
	check_files '^(drivers|mm|lib|kernel|fs|arch|include)/.*\.[ch]$' | check_findings "$log"
}

# Findings that are right not to follow, without their reasons
check_exceptions()
{
	sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$lab_dir/$1"
}

check_style_excepted()
{
	local type=$1 file=$2 t glob

	while read -r t glob; do
		# shellcheck disable=SC2053 # a glob on purpose
		[[ $t == "$type" && $file == ${glob:-*} ]] && return
	done < <(check_exceptions checkpatch-exceptions)
	return 1
}

check_style()
{
	local log=$lab_build/log/check-style.log files line type

	mapfile -t files < <(check_files '^(drivers|mm|lib|kernel|fs|arch|include|tools)/.*(\.[chS]|Kconfig|Makefile)$')
	((${#files[@]})) || return 0
	in_root env -C /repo perl /src/scripts/checkpatch.pl --strict --no-tree --terse \
		--show-types --no-summary -f "${files[@]}" >"$log.all" 2>&1 || true
	while read -r line; do
		type=$(sed -nE 's/^[^ ]+:[0-9]+: (ERROR|WARNING|CHECK):([A-Z0-9_]+):.*/\2/p' <<<"$line")
		[[ -n $type ]] || continue
		check_style_excepted "$type" "${line%%:*}" || say "$line"
	done <"$log.all" >"$log"
	printf '%s\n' "${files[@]}" | check_findings "$log"
}

check_kernel_doc()
{
	local log=$lab_build/log/check-kernel-doc.log files

	mapfile -t files < <(check_files '^(drivers|mm|lib|kernel|fs|include)/.*\.[ch]$')
	((${#files[@]})) || return 0
	in_root env -C /repo /src/scripts/kernel-doc -none -Wall "${files[@]}" >"$log.all" 2>&1 || true
	sed -E 's/^(Warning|Error|Info): //' "$log.all" >"$log"
	printf '%s\n' "${files[@]}" | check_findings "$log"
}

# Prose and code, but not the base's lines that a patch quotes
check_spelling()
{
	local log=$lab_build/log/check-spelling.log files

	cd "$lab_top"
	mapfile -t files < <(
		{ tree_overlay_files; git_here ls-files; } | sort -u | grep -v '\.patch$' |
			while read -r file; do [[ ! -f $file ]] || say "$file"; done)
	in_root env -C /repo codespell -I /repo/tools/lab/spelling-exceptions \
		"${files[@]}" >"$log" 2>&1 || true
	printf '%s\n' "${files[@]}" | check_findings "$log"
}

# The virtual GPU by itself: unit tests, and a short run of the fuzzers
check_vbmg()
{
	local log=$lab_build/log/check-vbmg.log status=0 part

	: >"$log"
	for part in tests fuzz; do
		in_root make -C "/repo/tools/testing/vbmg/$part" -j"$lab_jobs" \
			"O=/build/vbmg-$part" check >>"$log" 2>&1 || status=$?
	done
	sed -n 's/^not ok/# &/p' "$log"
	((status == 0)) || say "# vbmg: its tests do not pass, see ${log#"$lab_top"/}"
	say "$(grep -c '^ok' "$log") tests of the virtual GPU"
}

# The model of svmtop, and what reads recordings: neither has need of a kernel
check_svmtop()
{
	local log=$lab_build/log/check-svmtop.log status=0

	mkdir -p "$lab_build/svmtop"
	in_root make -s -C "/src/$lab_svmtop" OUTPUT=/build/svmtop \
		CFLAGS="-O1 -g -Werror -fsanitize=address,undefined" check >"$log" 2>&1 || status=$?
	sed -n 's/^not ok/# &/p' "$log"
	in_root env PYTHONDONTWRITEBYTECODE=1 /repo/tools/gpu/svmtrace/svm_trace_test.py >>"$log" 2>&1 ||
		status=$?
	((status == 0)) || say "# svmtop or svmtrace: a test does not pass, see ${log#"$lab_top"/}"
	say "$(grep -c '^ok' "$log") tests of svmtop's model, and those of svmtrace"
}

# check_one NAME NUMBER: run it; it has failed if it has found anything
check_one()
{
	local ktap=$lab_check/$2-check-$1 verdict=ok

	"check_${1//-/_}" >"$ktap.lines"
	! grep -q '^#' "$ktap.lines" || verdict='not ok'
	{
		echo 1..1
		grep '^#' "$ktap.lines" || true
		echo "$verdict 1 $1: $(tail -n 1 "$ktap.lines")"
	} >"$ktap"
	rm "$ktap.lines"
	say "    $(tail -n 1 "$ktap")"
}

check_all()
{
	rm -rf "$lab_check"
	mkdir -p "$lab_check"
	step "checking: W=1 and sparse" "1 min" check_one compile 001
	step "checking: checkpatch --strict" "30 s" check_one style 002
	step "checking: kernel-doc" "10 s" check_one kernel-doc 003
	step "checking: spelling" "10 s" check_one spelling 004
	step "checking: the virtual GPU's own tests" "1 min" check_one vbmg 005
	step "checking: svmtop and svmtrace" "5 s" check_one svmtop 007
	step "checking: commands in READMEs" "10 s" documentation_check_readmes
}
