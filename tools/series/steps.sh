# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The steps of make check-series: each mail is applied, and what it touches is
# compiled with W=1 and sparse. 'make' compiles only what a step has changed.

# in_series COMMAND...: in the root, with the series' tree as /src
in_series()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	LAB_CWD=/ in_root sh -c 'mount --bind /build/check-series/linux /src && cd /src && exec "$@"' sh "$@"
}

series_kernel_make()
{
	in_series make -C /src O=/out/series CC="ccache gcc" HOSTCC="ccache gcc" "$@"
}

tree_git()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		git -c safe.directory='*' -c gc.auto=0 -C "$check_dir/linux" "$@"
}

# A repository of the whole base, its files hard links to the lab's
steps_make_tree()
{
	local tmp=$check_dir/linux.tmp

	rm -rf "$tmp" "$check_dir/linux" "$lab_build/out/series"
	mkdir -p "$check_dir"
	if [[ $lab_source != "$lab_cache"/* ]] || ! cp -al "$lab_source" "$tmp" 2>/dev/null; then
		rm -rf "$tmp"
		cp -a --reflink=auto "$lab_source" "$tmp"
	fi
	rm -rf "$tmp/.git"
	mv "$tmp" "$check_dir/linux"
	tree_git init -q
	tree_git -c core.compression=1 -c core.looseCompression=1 add -A -f
	tree_git commit -q -m "$(series_base_name)"
	tree_git tag base
	say "$lab_source" >"$check_dir/base"
}

steps_reset_tree()
{
	rm -rf "$check_dir/linux/.git/rebase-apply"
	tree_git reset -q --hard base
	tree_git clean -fdqx
}

steps_need_tree()
{
	if [[ $(cat "$check_dir/base" 2>/dev/null) != "$lab_source" ]]; then
		need_space "$lab_build" 6
		step "making a git repository of the base" "1 min" steps_make_tree
	fi
	steps_reset_tree
}

steps_config()
{
	mkdir -p "$lab_build/out/series"
	logged "$lab_build/log/series-config.log" series_kernel_make \
		KCONFIG_ALLCONFIG=/repo/tools/series/check.config allmodconfig
}

# steps_grep GLOB NAME PATH...: files that include NAME, as it is written
steps_grep()
{
	grep -rlF --include="$1" "#include $2" "${@:3}" || true
}

# The .c files that include a header, directly or by one of their folder; GPU
# drivers only
steps_includers()
{
	local header=$1 dir=${1%/*} local_header

	(
		cd "$check_dir/linux"
		case $header in
		include/uapi/*)
			;;
		include/*)
			steps_grep '*.c' "<${header#include/}>" drivers/gpu/drm
			steps_grep '*.h' "<${header#include/}>" drivers/gpu/drm |
				while read -r local_header; do
					steps_grep '*.c' "\"${local_header##*/}\"" \
						"${local_header%/*}"
				done
			;;
		*)
			[[ ! -d $dir ]] || steps_grep '*.c' "\"${header##*/}\"" "$dir"
			;;
		esac
	)
}

# Sets check_dir/touched: what the series touches; replaced: what is ours of it;
# watched: objects of the base's that are compiled at each step, which are those
# that the series touches and those that include a header which it replaces
steps_plan()
{
	repo_git diff --no-renames --name-only base HEAD | sort >"$check_dir/touched"
	comm -12 "$check_dir/touched" <(sort "$series_work/paths") >"$check_dir/replaced"
	while read -r file; do
		[[ -f $check_dir/linux/$file ]] || continue
		case $file in
		*.c) say "$file" ;;
		*.h) ! grep -qxF "$file" "$check_dir/replaced" || steps_includers "$file" ;;
		esac
	done <"$check_dir/touched" | sort -u | sed 's/\.c$/.o/' >"$check_dir/watched"
}

# Is the object in a Makefile, and its folder reached from the one above?
steps_listed()
{
	local dir=${1%/*} name=${1##*/}

	grep -qwsF -- "$name" "$check_dir/linux/$dir/Makefile" "$check_dir/linux/$dir/Kbuild" ||
		grep -qwsF -- "${dir##*/}/$name" "$check_dir/linux/${dir%/*}/Makefile"
}

steps_hooked()
{
	local dir=$1

	while [[ $dir == */* ]]; do
		if grep -qxF "$dir/Makefile" "$check_dir/replaced" &&
		   ! grep -qsE "[[:space:]]${dir##*/}/" "$check_dir/linux/${dir%/*}/Makefile"; then
			return 1
		fi
		dir=${dir%/*}
	done
}

# Kernel objects of ours that can be compiled by now, one a line
steps_our_objects()
{
	grep -E '^(arch|drivers|mm|lib|kernel|fs)/.*\.c$' "$check_dir/touched" | while read -r file; do
		[[ -f $check_dir/linux/$file ]] || continue
		! steps_listed "${file%.c}.o" || say "${file%.c}.o"
	done
}

# A folder that nothing includes yet is compiled as a module out of tree
steps_build_loose()
{
	local log=$1 dir options=() objects=()

	shift
	for dir in $(printf '%s\n' "${@%/*}" | sort -u); do
		mapfile -t options < <(grep -oE 'CONFIG_[A-Z0-9_]+' "$check_dir/linux/$dir/Makefile" |
			sort -u | sed 's/$/=m/')
		mapfile -t objects < <(printf '%s\n' "$@" | sed -n "s,^$dir/\([^/]*\)$,\1,p")
		mkdir -p "$lab_build/out/series-loose/$dir"
		series_kernel_make -k -j"$lab_jobs" M="/src/$dir" MO="/out/series-loose/$dir" \
			W=1 C=1 CF=-D__CHECK_ENDIAN__ "${options[@]}" "${objects[@]}" \
			>>"$log" 2>&1 || true
	done
}

# steps_build LOG: compile; what does not is in the log, as a line of its own
steps_build()
{
	local log=$1 object hooked=() loose=()

	while read -r object; do
		if steps_hooked "${object%/*}"; then
			hooked+=("$object")
		else
			loose+=("$object")
		fi
	done < <({ cat "$check_dir/watched"; steps_our_objects; } | sort -u |
		while read -r object; do
			[[ ! -f $check_dir/linux/${object%.o}.c ]] || say "$object"
		done)

	# What make leaves alone is up to date; what is missing afterwards failed
	: >"$log"
	((${#hooked[@]} == 0)) || series_kernel_make -k -j"$lab_jobs" W=1 C=1 \
		CF=-D__CHECK_ENDIAN__ "${hooked[@]}" >>"$log" 2>&1 || true
	((${#loose[@]} == 0)) || steps_build_loose "$log" "${loose[@]}"
	for object in "${hooked[@]}"; do
		[[ -f $lab_build/out/series/$object ]] || say "${object%.o}.c:0: error: not compiled"
	done >>"$log"
	for object in "${loose[@]}"; do
		[[ -f $lab_build/out/series-loose/${object} ||
		   -f $lab_build/out/series-loose/${object%/*}/${object##*/} ]] ||
			say "${object%.o}.c:0: error: not compiled"
	done >>"$log"
	steps_objects=$((${#hooked[@]} + ${#loose[@]}))
}

# The base first: what it warns about is not ours, and what it does not compile
# with these options is not watched
steps_baseline()
{
	local log=$check_dir/step-0000.log object

	steps_config
	rm -rf "$lab_build/out/series-loose"
	# All of it, or what an earlier run has left would have no warnings
	(cd "$lab_build/out/series" && xargs -r rm -f <"$check_dir/watched")
	steps_build "$log"
	findings_of_log "$log" | findings_normal >"$check_dir/baseline"
	while read -r object; do
		[[ -f $lab_build/out/series/$object ]] && say "$object"
	done <"$check_dir/watched" >"$check_dir/watched.new" || true
	mv "$check_dir/watched.new" "$check_dir/watched"
}

# steps_one MAIL: apply it and compile
steps_one()
{
	local mail=$1 log

	log=$check_dir/step-$(basename "$mail" | grep -oE '[0-9]{4}').log
	tree_git am -q "$mail" >"$log" 2>&1 || {
		tail -n 10 "$log" >&2
		die "git am refuses ${mail##*/}"
	}
	tree_git show --name-only --format= HEAD >"$log.files"
	! grep -qE '(^|/)Kconfig' "$log.files" || steps_config
	(cd "$lab_build/out/series" && sed -n 's/\.c$/.o/p' "$log.files" | xargs -r rm -f)
	(cd "$lab_build/out" && sed -n 's,\.c$,.o,p' "$log.files" |
		sed 's,^,series-loose/,' | xargs -r rm -f)
	steps_build "$log"
	findings_of_log "$log" | findings_ours | findings_new "$check_dir/baseline" |
		sort -u | findings_add "${mail##*/}"
}

# The mails without the cover letter
steps_mails()
{
	find "$series_out" -name '*.patch' ! -name '*0000-cover-letter.patch' | sort
}

# Without building
steps_apply()
{
	local mails=()

	mapfile -t mails < <(steps_mails)
	logged "$lab_build/log/series-am.log" tree_git am -q "${mails[@]}"
}

steps_all()
{
	local mail start before n=0 mails=()

	mapfile -t mails < <(steps_mails)
	for mail in "${mails[@]}"; do
		start=$SECONDS
		before=$(findings_count)
		n=$((n + 1))
		printf '    %2d/%d %-52.52s ' "$n" "${#mails[@]}" \
			"$(sed -n 's/^Subject: \[[^]]*\] //p' "$mail" | head -n 1)"
		steps_one "$mail"
		say "$steps_objects objects, $(duration $((SECONDS - start))), $(findings_since "$before")"
	done
}
