# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The merged tree, build/linux: the pristine source as hard links, patches/
# applied, the project's own files laid over. Every run compares and writes only
# what differs, always as a new file: a link into the pristine tree is never
# written through, and make rebuilds exactly what changed.

lab_tree=$lab_build/linux
lab_tree_state=$lab_build/tree # .base .patches .paths

# The folders of the checkout that are laid over the kernel's
lab_overlay=(arch drivers Documentation fs include kernel lib mm
	tools/gpu tools/testing/selftests)

# Our files: what git knows or does not ignore, and that exists
tree_overlay_files()
{
	cd "$lab_top"
	if git_here rev-parse --git-dir >/dev/null 2>&1; then
		git_here ls-files --cached --others --exclude-standard -- "${lab_overlay[@]}"
	else
		find "${lab_overlay[@]}" -type f 2>/dev/null || true
	fi | sort -u | while read -r file; do
		[[ ! -f $file ]] || say "$file"
	done
}

# Also when root works in a user's checkout
git_here()
{
	git -c safe.directory='*' "$@"
}

# Those in patches/fixes are for the base as it is
tree_patches()
{
	[[ ! -d $lab_top/patches ]] || find "$lab_top/patches" -maxdepth 1 -name '*.patch' | sort
}

# The files that a patch changes, makes or removes
tree_patched_files()
{
	tree_patches | xargs -r -d '\n' sed -n -e 's,^--- a/\([^\t]*\).*,\1,p' -e 's,^+++ b/\([^\t]*\).*,\1,p' |
		sort -u
}

# put FILE AS: a new file with the time of now, if the content differs
tree_put()
{
	local to=$lab_tree/$2

	if [[ ! -L $to ]] && cmp -s "$1" "$to"; then
		return
	fi
	mkdir -p "${to%/*}"
	cp "$1" "$to.lab-new"
	mv -f "$to.lab-new" "$to"
	say "    $2"
}

# Back to the pristine state
tree_restore()
{
	if [[ -e $lab_source/$1 ]]; then
		tree_put "$lab_source/$1" "$1"
	elif [[ -e $lab_tree/$1 ]]; then
		rm -f "$lab_tree/$1"
		say "    $1 (removed)"
	fi
}

tree_copy_pristine()
{
	local tmp=$lab_tree.tmp

	# Objects of another base are newer than its files: make would keep them
	rm -rf "$tmp" "$lab_tree" "$lab_tree_state".* "$lab_build/out"
	mkdir -p "$lab_build"
	# A user's own tree is not ours to link to
	if [[ $lab_source != "$lab_cache"/* ]] || ! cp -al "$lab_source" "$tmp" 2>/dev/null; then
		rm -rf "$tmp"
		cp -a --reflink=auto "$lab_source" "$tmp"
	fi
	mv "$tmp" "$lab_tree"
	say "$lab_source" >"$lab_tree_state.base"
}

# Apply all patches to fresh copies of the files that they touch
tree_stage_patches()
{
	local stage=$1 file patch

	rm -rf "$stage"
	mkdir -p "$stage"
	tree_patched_files | while read -r file; do
		[[ -e $lab_source/$file ]] || continue
		mkdir -p "$stage/$(dirname "$file")"
		cp "$lab_source/$file" "$stage/$file"
	done
	tree_patches | while read -r patch; do
		in_root env -C /build/stage \
			patch -p1 -f -s --no-backup-if-mismatch <"$patch" >"$stage.log" 2>&1 ||
			{ cat "$stage.log" >&2; die "${patch#"$lab_top"/} does not apply to $lab_source"; }
	done
}

tree_patches_hash()
{
	{ cat "$lab_tree_state.base"; tree_patches; tree_patches | xargs -r -d '\n' cat; } | sha256sum
}

tree_update_patched()
{
	local stage=$lab_build/stage file

	[[ $(tree_patches_hash) == "$(cat "$lab_tree_state.patches" 2>/dev/null)" ]] && return
	tree_stage_patches "$stage"
	tree_patched_files | while read -r file; do
		if [[ -e $stage/$file ]]; then
			tree_put "$stage/$file" "$file"
		elif [[ -e $lab_tree/$file ]]; then
			rm -f "$lab_tree/$file"
			say "    $file (removed)"
		fi
	done
	rm -rf "$stage" "$stage.log"
	tree_patches_hash >"$lab_tree_state.patches"
}

# Remember every path before it is touched: an interrupted run is undone later
tree_update()
{
	local paths=$lab_tree_state.paths new=$lab_tree_state.new file

	touch "$paths"
	tree_overlay_files >"$new.ours"
	tree_patched_files >"$new.patched"
	sort -u "$new.ours" "$new.patched" >"$new"
	file=$(comm -12 "$new.ours" "$new.patched")
	[[ -z $file ]] || die "patches/ change files of our own tree: $file"

	sort -u "$new" "$paths" >"$paths.all"
	comm -23 "$paths" "$new" >"$paths.gone"
	# A path that a patch had and is now ours, or the other way round
	mv "$paths.all" "$paths"
	while read -r file; do
		tree_restore "$file"
	done <"$paths.gone"
	tree_update_patched
	while read -r file; do
		tree_put "$lab_top/$file" "$file"
	done <"$new.ours"
	mv "$new" "$paths"
	rm -f "$paths.gone" "$new.ours" "$new.patched"
}

tree_need()
{
	if [[ ! -d $lab_tree || $(cat "$lab_tree_state.base" 2>/dev/null) != "$lab_source" ]]; then
		step "copying the kernel source to build/linux" "10 s" tree_copy_pristine
	fi
	step "laying our files and patches over it" "1 s" tree_update
}
