# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# make check-series: the mails on a clean tree of the base, one by one, and what
# reviewers' tools say of them.

# checkpatch, on each mail as it is
check_mail_style()
{
	local mail line type file log=$check_dir/checkpatch.log

	for mail in $(steps_mails); do
		in_series perl scripts/checkpatch.pl --strict --terse --show-types --showfile \
			--no-summary "/build/${series_out##*/}/${mail##*/}" >"$log" 2>&1 || true
		while read -r line; do
			type=$(sed -nE 's/.*(ERROR|WARNING|CHECK):([A-Z0-9_]+):.*/\2/p' <<<"$line")
			[[ -n $type ]] || continue
			file=${line%%:*}
			check_style_excepted "$type" "${file#/src/}" || say "$line"
		done <"$log" | findings_add "${mail##*/}: checkpatch"
	done
}

# Whoever takes one of the mails need not take those before it
check_mail_alone()
{
	local mail

	for mail in $(steps_mails); do
		GIT_INDEX_FILE=$check_dir/alone.index repo_git read-tree base
		GIT_INDEX_FILE=$check_dir/alone.index repo_git apply --cached "$mail" 2>&1 |
			findings_add "${mail##*/}: alone" || true
	done
	rm -f "$check_dir/alone.index"
}

# Spelling of messages and of added lines
check_mail_spelling()
{
	local mail dir=$check_dir/spelling

	rm -rf "$dir"
	mkdir -p "$dir"
	for mail in "$series_out"/*.patch; do
		awk '/^diff --git/ { code = 1 }
			!code || (/^\+/ && !/^\+\+\+ /)' "$mail" >"$dir/${mail##*/}"
	done
	in_root codespell -I /repo/tools/lab/spelling-exceptions /build/check-series/spelling \
		2>&1 | sed 's,^/build/check-series/spelling/,,' | findings_add spelling || true
}

# kernel-doc of what the series leaves; of the base's own files only what is new
check_mail_kernel_doc()
{
	local files=() base=() log=$check_dir/kernel-doc.log

	mapfile -t files < <(grep -E '^(drivers|mm|lib|kernel|fs|include)/.*\.[ch]$' "$check_dir/touched" |
		while read -r file; do [[ ! -f $check_dir/linux/$file ]] || say "$file"; done)
	((${#files[@]})) || return 0
	in_series scripts/kernel-doc -none -Wall "${files[@]}" >"$log" 2>&1 || true
	mapfile -t base < <(printf '%s\n' "${files[@]}" | while read -r file; do
		[[ ! -f $lab_source/$file ]] || say "$file"; done)
	mkdir -p "$check_dir/pristine"
	(cd "$lab_source" && cp --parents -t "$check_dir/pristine" "${base[@]}")
	in_series env -C /build/check-series/pristine /src/scripts/kernel-doc -none -Wall \
		"${base[@]}" 2>&1 | sed -E 's/^(Warning|Error|Info): //' |
		findings_normal >"$log.base" || true
	rm -rf "$check_dir/pristine"
	sed -E 's/^(Warning|Error|Info): //' "$log" | grep -E '^[^ ]+:[0-9]+' | sort -u |
		findings_new "$log.base" | findings_add kernel-doc
}

# Our pages alone, in the kernel's Sphinx configuration: what they refer to is not
# there, and graphs are not drawn
check_mail_docs()
{
	local log=$check_dir/docs.log pages=() page

	mapfile -t pages < <(sed -n 's,^Documentation/\(.*\.rst\)$,\1,p' "$check_dir/replaced")
	((${#pages[@]})) || return 0
	rm -rf "$check_dir/html"
	page=$(printf '%s\n' "${pages[@]}" | paste -sd,)
	in_series env -C /src/Documentation srctree=/src sphinx-build -q -b html -c . \
		-D include_patterns="$page" -D root_doc="${pages[0]%.rst}" \
		-D master_doc="${pages[0]%.rst}" -D suppress_warnings=toc.not_included \
		-d /tmp/doctrees . /build/check-series/html >"$log" 2>&1 ||
		say "sphinx-build failed: ${log#"$lab_top"/}" | findings_add docs
	sed -e 's,/src/,,g' "$log" | grep -E 'WARNING|ERROR|Error' |
		grep -vE 'nonexisting document|dot\(1\) not found' | findings_add docs || true
}

# What git send-email says before it would send
check_mail_send()
{
	local log=$check_dir/send-email.log

	# shellcheck disable=SC2016 # expanded by the inner shell
	in_series sh -c 'exec git -c safe.directory="*" -c user.name="$0" -c user.email="$1" \
		-C /src send-email --dry-run --confirm=never --suppress-cc=all --quiet \
		--to=dri-devel@lists.freedesktop.org --smtp-server=/bin/true --from="$0 <$1>" \
		"/build/$2/"*.patch' "$GIT_AUTHOR_NAME" "$GIT_AUTHOR_EMAIL" "${series_out##*/}" >"$log" 2>&1 ||
		tail -n 5 "$log" | findings_add send-email
}

check_mails()
{
	local before

	while (($#)); do
		before=$(findings_count)
		printf '    %-58s ' "$2"
		"check_mail_$1"
		findings_since "$before"
		shift 2
	done
}

check_verdict()
{
	local n

	n=$(findings_count)
	if ((n)); then
		say "==> findings, also in ${check_dir#"$lab_top"/}/findings:"
		head -n 100 "$check_dir/findings"
		die "$n findings in the series (those that are right to ignore: tools/lab/*-exceptions, with the reason)"
	fi
	if [[ -n ${SERIES_QUICK:-} ]]; then
		say "==> the series applies and its text is clean; nothing was built"
	else
		say "==> the series applies, builds at each step, and is clean"
	fi
}

series_check()
{
	root_need
	lock "$check_dir/lock"
	steps_need_tree
	: >"$check_dir/findings"
	steps_plan
	if [[ -n ${SERIES_QUICK:-} ]]; then
		step "applying the mails" "10 s" steps_apply
	else
		step "building what the series touches of the base, for comparison" \
			"2 min, 10 min the first time" steps_baseline
		step "applying and building the mails one by one" "10 min" steps_all
	fi
	! manifest_is_independent ||
		step "taking each of the mails alone" "5 s" check_mails alone 'git apply'
	step "checking the mails" "2 min" check_mails \
		style 'checkpatch --strict' spelling 'codespell' kernel_doc 'kernel-doc -Wall' \
		docs 'htmldocs of our pages' send 'git send-email --dry-run'
	check_verdict
}
