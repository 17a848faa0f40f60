# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# make series: a git repository of the base's files that we touch, a commit for
# each mail of the manifest, and git format-patch.

series_out=$lab_build/series${SERIES:+-$SERIES}
series_work=$lab_build/series-work${SERIES:+-$SERIES} # ours/ paths repo/ full/
series_rev=${SERIES_REV:-HEAD}

# The author of the mails, who signs them off
series_identity()
{
	local name email hint="git config --global user.name 'Your Name'; git config --global user.email you@example.org"

	name=${GIT_AUTHOR_NAME:-$(git_here config user.name || true)}
	email=${GIT_AUTHOR_EMAIL:-$(git_here config user.email || true)}
	[[ -n $name && -n $email ]] ||
		die "git does not know who you are, and each mail is signed off by its author: $hint"
	export GIT_AUTHOR_NAME=$name GIT_AUTHOR_EMAIL=$email
	export GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=$email
}

# What is committed: work that is not is not meant to be sent
series_export()
{
	local dir dirs=(patches) paths=() dirty

	! manifest_has_files || dirs+=("${lab_overlay[@]}")

	git_here rev-parse -q --verify "$series_rev^{commit}" >/dev/null ||
		die "make series needs the git repository, and a commit $series_rev in it"
	dirty=$(git_here status --porcelain -- "${dirs[@]}")
	[[ -z $dirty ]] || say "    not committed, so not in the series: $(awk '{ printf "%s%s", (NR > 1 ? ", " : ""), $NF }' <<<"$dirty")"

	for dir in "${dirs[@]}"; do
		! git_here cat-file -e "$series_rev:$dir" 2>/dev/null || paths+=("$dir")
	done
	rm -rf "$series_work"
	mkdir -p "$series_work/ours"
	git_here archive "$series_rev" -- "${paths[@]}" | tar -x -C "$series_work/ours"
	(cd "$series_work/ours" && find . -type f -printf '%P\n' | sort) >"$series_work/paths"
}

repo_git()
{
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		git -c safe.directory='*' -c gc.auto=0 -C "$series_work/repo" "$@"
}

# The files of the base that we change, as the first commit
series_base()
{
	local repo=$series_work/repo file

	mkdir -p "$repo"
	repo_git init -q
	{
		say MAINTAINERS
		cat "$series_work/paths"
		(cd "$series_work/ours" && grep -shE '^(---|\+\+\+) [ab]/' -r patches) |
			sed -e 's,^[-+]* [ab]/,,' -e 's,\t.*,,'
	} | sort -u | while read -r file; do
		[[ -f $lab_source/$file ]] || continue
		mkdir -p "$repo/$(dirname "$file")"
		cp "$lab_source/$file" "$repo/$file"
	done
	repo_git add -A -f
	GIT_AUTHOR_DATE=$series_date GIT_COMMITTER_DATE=$series_date \
		repo_git commit -q -m "$(series_base_name)"
	repo_git tag base
}

series_base_name()
{
	local version

	version=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p; s/^SUBLEVEL = //p' "$lab_source/Makefile" |
		paste -sd.)
	if [[ -z ${KERNEL_SRC:-} ]]; then
		say "Linux $version as Debian's $lab_source_package $lab_source_version"
	else
		say "Linux $version"
	fi
}

# series_filter MAKEFILE: without the objects of ours whose sources come later
series_filter()
{
	local dir=${1%/*} later

	later=$(sed -nE "s,^$dir/([^/]+)\.c$,\1.o,p; s,^$dir/([^/]+)/Makefile$,\1/,p" "$series_work/paths" |
		while read -r object; do
			[[ -f $series_work/repo/$dir/${object%.o}.c ||
			   -f $series_work/repo/$dir/${object}Makefile ]] || say "$object"
		done | paste -sd' ')
	awk -v later="$later" '
	BEGIN {
		n = split(later, names, " ")
		for (i = 1; i <= n; i++)
			skip[names[i]] = 1
	}
	# One object a line, in a list or alone
	{
		more = /\\$/
		word = $0
		sub(/[ \t]*\\$/, "", word)
		alone = word ~ /^[^\t].*=[ \t]*[^ \t]+$/ && !more
		sub(/.*[ \t]/, "", word)
		flags = $1
		if (sub(/^CFLAGS_/, "", flags) && (flags in skip))
			next
		if ((word in skip) && (alone || /^\t/)) {
			if (!more && /^\t/)
				sub(/[ \t]*\\$/, "", held)
			next
		}
		if (NR > 1 && any)
			print held
		held = $0
		any = 1
	}
	END { if (any) print held }' "$series_work/full/$1"
}

# A condition around nothing, and the space around it, go too
series_squeeze()
{
	awk '
	held ~ /^ifn?eq/ && /^endif$/ { held = ""; blank = 1; next }
	/^$/ { blank = 1; next }
	{ flush_held(); held = $0; any = 1; gap = blank; blank = 0 }
	function flush_held() {
		if (any && held != "") { if (gap && printed) print ""; print held; printed = 1 }
	}
	END { flush_held() }'
}

# The Makefiles in full are kept aside; the tree has what can be built by now
series_makefiles()
{
	local file

	[[ -d $series_work/full ]] || return 0
	(cd "$series_work/full" && find . -type f -printf '%P\n') | while read -r file; do
		series_filter "$file" >"$series_work/repo/$file"
		cmp -s "$series_work/full/$file" "$series_work/repo/$file" && continue
		series_filter "$file" | series_squeeze >"$series_work/repo/$file"
	done
}

# series_full FILE COMMAND...: change a file; a Makefile in its full form
series_keep_makefiles()
{
	local file

	for file; do
		[[ $file == */Makefile && -f $series_work/repo/$file ]] || continue
		mkdir -p "$series_work/full/${file%/*}"
		cp "$series_work/repo/$file" "$series_work/full/$file"
	done
}

series_restore_makefiles()
{
	[[ ! -d $series_work/full ]] || cp -r "$series_work/full/." "$series_work/repo/"
}

series_put_file()
{
	mkdir -p "$series_work/repo/$(dirname "$1")"
	cp "$series_work/ours/$1" "$series_work/repo/$1"
	series_keep_makefiles "$1"
}

series_apply_patch()
{
	local patch=$series_work/ours/$1 files

	repo_git apply --whitespace=nowarn "$patch" ||
		die "$1 does not apply behind the mails before it"
	mapfile -t files < <(sed -n 's,^+++ b/\([^\t]*\).*,\1,p' "$patch")
	series_keep_makefiles "${files[@]}"
}

# series_put_entry TITLE: into MAINTAINERS, by the alphabet
series_put_entry()
{
	local file=$series_work/repo/MAINTAINERS entry=$series_work/entry

	sed -e '/^#/d' "$series_dir/maintainers" | awk -v title="$1" '
		$0 == title { on = 1 }
		on && /^$/ { exit }
		on { print }' |
		sed "s|@IDENTITY@|$GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>|" >"$entry"
	[[ -s $entry ]] || die "tools/series/maintainers has no entry '$1'"
	# The list is sorted but for some; not so far from the first word's others
	LC_ALL=C awk -v entry="$entry" -v title="$1" -v word="${1%% *}" '
		before == "" && $1 == word && toupper($0) > title && !done {
			while ((getline line < entry) > 0)
				print line
			print ""
			done = 1
		}
		{ print; before = $0 }' "$file" >"$file.new"
	mv "$file.new" "$file"
}

# series_message I: subject and text, without blank lines around them
series_message()
{
	say "${mail_subject[$1]}"
	say
	sed -e '/./,$!d' <<<"${mail_body[$1]}" | awk '
		/^$/ { blank++; next }
		{ while (blank-- > 0) print ""; blank = 0; print }'
}

series_commit()
{
	local i=$1 path

	series_restore_makefiles
	while read -r path; do
		[[ -z $path ]] || series_put_file "$path"
	done <<<"${mail_files[i]}"
	while read -r path; do
		[[ -z $path ]] || series_apply_patch "$path"
	done <<<"${mail_patches[i]}"
	while read -r path; do
		[[ -z $path ]] || series_put_entry "$path"
	done <<<"${mail_entries[i]}"
	series_makefiles
	repo_git add -A -f
	if repo_git diff --cached --quiet; then
		say "    nothing new: ${mail_subject[i]}"
		return
	fi
	series_date=$((${series_date% *} + 1))" +0000"
	series_message "$i" | GIT_AUTHOR_DATE=$series_date GIT_COMMITTER_DATE=$series_date \
		repo_git commit -q -s -F -
}

# After the last mail all is as in the checkout
series_verify()
{
	local path

	while read -r path; do
		[[ $path == patches/* ]] || cmp -s "$series_work/ours/$path" "$series_work/repo/$path" ||
			die "$path is not in the series as it is in the checkout"
	done <"$series_work/paths"
	[[ -d $series_work/full ]] || return 0
	(cd "$series_work/full" && find . -type f -printf '%P\n') | while read -r path; do
		cmp -s "$series_work/full/$path" "$series_work/repo/$path" ||
			die "$path lists objects that no mail brings"
	done
}

series_format()
{
	local options=(--cover-letter --no-renames -B -o "$series_out" --quiet)

	[[ -z ${SERIES_VERSION:-} ]] || options+=("--reroll-count=$SERIES_VERSION")
	[[ -z ${SERIES_PREFIX:-} ]] || options+=("--subject-prefix=$SERIES_PREFIX")
	rm -rf "$series_out"
	GIT_COMMITTER_DATE=$series_date repo_git -c diff.algorithm=histogram -c core.abbrev=12 \
		format-patch "${options[@]}" base
	cover_fill "$series_out"/*0000-cover-letter.patch
}

series_make()
{
	local i count

	[[ -f $series_manifest ]] || die "there is no series $SERIES: ${series_manifest#"$lab_top"/}"
	need_package git git
	series_identity
	host_namespace
	lock "$lab_cache/lock"
	source_need
	unlock
	lock "$lab_build/series.lock"
	series_export
	series_date="$(git_here log -1 --format=%ct "$series_rev") +0000"
	manifest_read
	series_base
	for i in "${!mail_subject[@]}"; do
		series_commit "$i"
	done
	series_verify
	series_format
	count=$(repo_git rev-list --count base..HEAD)
	say "==> $count mails and a cover letter are in ${series_out#"$lab_top"/}, by $GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>"
}
