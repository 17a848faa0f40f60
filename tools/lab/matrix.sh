# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Whether our files, and those that patches/ changes, compile in configurations
# that nobody boots: the rows of tools/lab/matrix. Only their objects are made, as
# many rows at a time as there are CPUs. A row is made again when what it is made
# from has changed.

# A row's folder is build/out/matrix/NAME, and /out/row while it is made: with one path
# for all of them they share what the compiler's cache has of the host's programs,
# and those of build/out/matrix/seed.

lab_matrix=$lab_build/matrix # of each row NAME.log, .result, .stamp

matrix_rows()
{
	sed -e '/^#/d' -e 's/ *| */|/g' "$lab_dir/matrix"
}

# matrix_row NAME: sets row_make, row_without, row_options
matrix_row()
{
	local name make options

	IFS='|' read -r name make row_without options < <(matrix_rows | grep "^$1|")
	[[ -n $name ]] || die "tools/lab/matrix has no row $1"
	read -r -a row_make <<<"$make"
	read -r -a row_options <<<"$options"
}

# The kernel's files that are ours or that we change
matrix_files()
{
	{ tree_overlay_files; tree_patched_files; } | grep -E '^(drivers|mm|lib|kernel|fs|arch|include)/' | sort -u
}

# What all rows are made from
matrix_common_hash()
{
	{
		cat "$lab_top"/configs/{common,matrix}.config "$lab_dir"/matrix{.sh,-objects} "$lab_tree_state.base"
		cat "$lab_dir/warning-exceptions"
		say "$lab_root"
		matrix_files | sed "s,^,$lab_tree/," | xargs -r -d '\n' sha256sum
	} | sha256sum
}

# matrix_hash NAME COMMON
matrix_hash()
{
	{ matrix_rows | grep "^$1|"; say "$2"; } | sha256sum
}

# matrix_make NAME ARG...: as kernel_make does for one of ours. A header that differs
# differs in all files: the cache need not look at preprocessed ones. W=1 without
# kernel-doc, which is a check of its own.
matrix_make()
{
	local name=$1 cc="ccache gcc"

	shift
	[[ " ${row_make[*]} " != *" CROSS_COMPILE="* ]] || cc="ccache aarch64-linux-gnu-gcc"
	[[ " ${row_make[*]} " != *" CC=clang "* ]] || cc="ccache clang"
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_root env CCACHE_DEPEND=1 sh -c 'mount --bind "/out/matrix/$0" /out/row && exec "$@"' "$name" \
		make -C /src "${row_make[@]}" CC="$cc" HOSTCC="ccache gcc" O=/out/row \
		W=1 cmd_checkdoc= "$@"
}

# The options that a row asks for, as a fragment
matrix_options()
{
	local option

	for option in "${row_options[@]}"; do
		case $option in
		*=n) say "# CONFIG_${option%=n} is not set" ;;
		*=*) say "CONFIG_$option" ;;
		esac
	done
}

# The host's programs that rows begin with
matrix_seed()
{
	local row_make=(ARCH=x86_64) seed=$lab_build/out/matrix/seed

	[[ ! -f $seed/done ]] || return 0
	rm -rf "$seed"
	mkdir -p "$seed"
	logged "$lab_build/log/matrix-seed.log" matrix_make seed -j"$lab_jobs" allnoconfig prepare
	touch "$seed/done"
}

matrix_configure()
{
	local name=$1 out=$lab_build/out/matrix/$1 refused base=allnoconfig
	local fragments=("$lab_top"/configs/{common,matrix}.config)

	if [[ ! -d $out ]]; then
		mkdir "$out"
		cp -a "$lab_build/out/matrix/seed/"{scripts,tools} "$out"
	fi
	if [[ ${row_options[0]} == all ]]; then
		base=allmodconfig
		fragments=()
	fi
	config_last "${fragments[@]}" <(matrix_options) >"$out/requested.config"
	matrix_make "$name" KCONFIG_ALLCONFIG=/out/row/requested.config "$base"
	refused=$(matrix_options | config_refused "$out/.config")
	[[ -z $refused ]] || die "this kernel does not grant $refused"
	matrix_make "$name" prepare
}

# The folders of our files; with "top" those that are in no other of them
matrix_folders()
{
	matrix_files | sed -n 's,/[^/]*\.c$,,p' | sort -u |
		awk -v top="${1:-}" '!top || !length(last) || index($0, last "/") != 1 { last = $0; print }'
}

# What Kbuild makes in this configuration of the folders of our files
matrix_kbuild_objects()
{
	local name=$1 folder made folders

	mapfile -t folders < <(matrix_folders top)
	while ((${#folders[@]})); do
		folder=${folders[0]}
		made=$(in_root make -s --no-print-directory -f /repo/tools/lab/matrix-objects \
			-C "/out/matrix/$name" srctree=/src "folder=$folder")
		say "$made"
		mapfile -t folders < <(
			((${#folders[@]} == 1)) || printf '%s\n' "${folders[@]:1}"
			sed -n 's,/$,,p' <<<"$made" | grep -xF -f <(matrix_folders))
	done
}

# Those of our objects that this configuration has
matrix_objects()
{
	matrix_files | sed -n 's/\.c$/.o/p' | grep -xF -f <(matrix_kbuild_objects "$1")
}

# matrix_expect OBJECT...: they are all of our files but those of row_without
matrix_expect()
{
	local without objects

	without=$(tr ' ' '\n' <<<"${row_without:-^$}")
	objects=$(printf '%s\n' "$@")
	matrix_files | sed -n 's/\.c$/.o/p' | grep -vxF "$objects" | grep -vE "$without" |
		sed 's/^/# not in this configuration: /' || true
	grep -E "$without" <<<"$objects" | sed 's/^/# in this configuration, and should not be: /' || true
}

# matrix_compile NAME LOG: make the objects. Those that are there were made by a run
# without findings; after any other run all are made anew, for what the compiler
# says about them.
matrix_compile()
{
	local name=$1 log=$2 out=$lab_build/out/matrix/$1 objects object

	(matrix_configure "$name") >"$log" 2>&1 ||
		{ say "# it cannot be configured"; sed 's/^/#   /' "$log" | tail -n 5; return; }
	mapfile -t objects < <(matrix_objects "$name")
	((${#objects[@]})) || { say "# none of our files is in it"; return; }
	matrix_expect "${objects[@]}"
	[[ -f $out/clean ]] || (cd "$out" && rm -f "${objects[@]}")
	rm -f "$out/clean"
	matrix_make "$name" -k "${objects[@]}" >>"$log" 2>&1 ||
		say "# make has failed: $(grep -m 1 '\*\*\*' "$log")"
	for object in "${objects[@]}"; do
		[[ -f $out/$object ]] || say "# ${object%.o}.c does not compile"
	done
	say "${#objects[@]} objects"
}

# What a log says of our files; of those that we only patch, errors
matrix_findings()
{
	sed 's,^/src/,,' "$1" | grep -E '^[^ ]+:[0-9:]* *(warning|error|fatal error)' |
		grep -E -f <(tree_overlay_files | sed 's/^/^/; s/$/:/'; say ' error:') |
		grep -vE -f <(check_exceptions warning-exceptions) | sort -u | sed 's/^/# /' || true
}

# matrix_one NAME COMMON: leaves its result, findings and last a line that counts
matrix_one()
{
	local name=$1 result=$lab_matrix/$1.result log=$lab_matrix/$1.log hash start=$SECONDS
	local row_make row_without row_options

	hash=$(matrix_hash "$name" "$2")
	[[ $(cat "$lab_matrix/$name.stamp" 2>/dev/null) != "$hash" ]] || return 0
	rm -f "$lab_matrix/$name.stamp" "$result"
	matrix_row "$name"
	matrix_compile "$name" "$log" >"$result.new"
	matrix_findings "$log" | cat - "$result.new" >"$result"
	rm "$result.new"
	if grep -q '^#' "$result"; then
		say "    $name FAILED ($((SECONDS - start)) s)"
	else
		touch "$lab_build/out/matrix/$name/clean"
		say "$hash" >"$lab_matrix/$name.stamp"
		say "    $name: $(tail -n 1 "$result") ($((SECONDS - start)) s)"
	fi
}

# matrix_ktap NAME NUMBER
matrix_ktap()
{
	local result=$lab_matrix/$1.result verdict=ok

	[[ -f $result ]] || say "# it has no result" >"$result"
	! grep -q '^#' "$result" || verdict='not ok'
	{
		echo 1..1
		grep '^#' "$result" || true
		echo "$verdict 1 $1: $(tail -n 1 "$result" | sed 's/^# *//')"
	} >"$lab_check/$2-check-matrix-$1"
}

# matrix_check [NAME]...: all rows, or these
matrix_check()
{
	local name names=("$@") n=100 common

	mkdir -p "$lab_matrix" "$lab_build/out/matrix" "$lab_build/out/row"
	((${#names[@]})) || mapfile -t names < <(matrix_rows | cut -d'|' -f1)
	matrix_seed
	common=$(matrix_common_hash)
	for name in "${names[@]}"; do
		(($(jobs -rp | wc -l) < lab_jobs)) || wait -n || true
		matrix_one "$name" "$common" &
	done
	wait
	for name in "${names[@]}"; do
		n=$((n + 1))
		matrix_ktap "$name" "$n"
	done
}
