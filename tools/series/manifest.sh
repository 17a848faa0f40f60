# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The manifest: which mail takes which of our files and patches.
#
# After manifest_read, mail I has mail_subject[I] ('each' for a patch of its own),
# mail_files[I], mail_patches[I] and mail_entries[I], one a line, and its text in
# mail_body[I]. Mails without any file are gone.

series_dir=$lab_top/tools/series
# SERIES=NAME has a manifest and a cover letter of its own
series_manifest=$series_dir/${SERIES:+$SERIES.}manifest
series_cover=$series_dir/${SERIES:+$SERIES.}cover

# manifest_take GLOB: what of standard input it matches and nobody has taken
manifest_take()
{
	local path

	while read -r path; do
		# shellcheck disable=SC2053 # a glob on purpose
		[[ $path == $1 && -z ${manifest_taken[$path]:-} ]] || continue
		# A folder's glob does not reach into the folders below
		[[ ${path//[^\/]/} == "${1//[^\/]/}" ]] || continue
		manifest_taken[$path]=1
		manifest_found+=("$path")
	done
}

# manifest_globs GLOB...: sets manifest_found
manifest_globs()
{
	local glob

	manifest_found=()
	for glob; do
		manifest_take "$glob" <"$series_work/paths"
	done
}

manifest_new()
{
	mail_subject+=("$1")
	mail_files+=('')
	mail_patches+=('')
	mail_entries+=('')
	mail_body+=('')
}

# A patch alone is a mail of its own
manifest_add_patches()
{
	local i=$((${#mail_subject[@]} - 1)) patch

	for patch in "${manifest_found[@]}"; do
		if [[ ${mail_subject[i]} != each ]]; then
			mail_patches[i]+=$patch$'\n'
			continue
		fi
		manifest_new "$(sed -n 1p "$series_work/ours/$patch")"
		i=$((i + 1))
		mail_patches[i]=$patch$'\n'
		mail_body[i]=$(sed -e 1d -e '/^--- /,$d' -e '/^---$/,$d' -e '/^diff /,$d' \
			"$series_work/ours/$patch")
		manifest_new each
		i=$((i + 1))
	done
}

manifest_line()
{
	local line=$1 i=$((${#mail_subject[@]} - 1)) words

	read -r -a words <<<"$line"
	case $line in
	'== '*)
		manifest_new "${line#== }"
		;;
	'files '*)
		manifest_globs "${words[@]:1}"
		for file in "${manifest_found[@]}"; do
			mail_files[i]+=$file$'\n'
		done
		;;
	'patches '*)
		manifest_globs "${words[@]:1}"
		manifest_add_patches
		;;
	'without '*)
		manifest_globs "${words[@]:1}"
		;;
	'maintainers '*)
		mail_entries[i]+=${line#maintainers }$'\n'
		;;
	'#'* | independent)
		;;
	*)
		((i < 0)) || mail_body[i]+=$line$'\n'
		;;
	esac
}

# Drop the mails that nothing is in
manifest_compact()
{
	local i

	for i in "${!mail_subject[@]}"; do
		[[ -n ${mail_files[i]}${mail_patches[i]} ]] && continue
		[[ ${mail_subject[i]} == each ]] || say "    nothing yet: ${mail_subject[i]}"
		unset "mail_subject[$i]" "mail_files[$i]" "mail_patches[$i]" \
			"mail_entries[$i]" "mail_body[$i]"
	done
}

manifest_need_all()
{
	local path missing=()

	while read -r path; do
		[[ -n ${manifest_taken[$path]:-} ]] || missing+=("$path")
	done <"$series_work/paths"
	((${#missing[@]} == 0)) && return
	printf '    %s\n' "${missing[@]}" >&2
	die "${series_manifest##*/} has nothing of these: name each under 'files', 'patches' or 'without'"
}

# A series of patches alone leaves all of the base's files to the base
manifest_has_files()
{
	grep -q '^files ' "$series_manifest"
}

# Can each of the patches be taken without those before it?
manifest_is_independent()
{
	grep -qx 'independent' "$series_manifest"
}

# manifest_read: from $series_work/paths, our files and patches
manifest_read()
{
	local line

	declare -gA manifest_taken=()
	mail_subject=() mail_files=() mail_patches=() mail_entries=() mail_body=()
	set -f
	while IFS= read -r line; do
		manifest_line "$line"
	done <"$series_manifest"
	set +f
	manifest_compact
	manifest_need_all
}
