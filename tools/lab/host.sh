# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What this machine offers: privilege, virtualisation, and the settings of its
# apt. Mirror, proxy and validity rules are the host's; none is written here.

# Root needs a mount namespace only; anyone else a user namespace with subuids.
host_namespace()
{
	if ((EUID == 0)); then
		lab_ns=(unshare --mount)
		return
	fi
	lab_ns=(unshare --user --map-root-user --map-auto --mount)
	"${lab_ns[@]}" true 2>/dev/null ||
		die "run this as root, or allow user namespaces: 'sudo apt-get install uidmap' and a line for $(id -un) in /etc/subuid and /etc/subgid"
}

# /dev/kvm can exist and still not run a guest
host_has_kvm()
{
	[[ -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo
}

# The URI of the Debian archive that the host's apt uses
host_mirror()
{
	local uri

	if [[ -n ${LAB_MIRROR:-} ]]; then
		say "$LAB_MIRROR"
		return
	fi
	command -v apt-get >/dev/null ||
		die "no apt here: the lab needs a Debian host (12 or later)"
	# shellcheck disable=SC2016 # the fields are apt's
	uri=$(apt-get indextargets --format '$(ORIGIN):$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian:Debian //p' | head -n 1)
	# No package lists yet: judge by the name of the archive
	# shellcheck disable=SC2016
	[[ -n $uri ]] || uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -m 1 '/debian/\?$')
	[[ -n $uri ]] ||
		die "apt has no Debian archive configured: set LAB_MIRROR to the URI of one"
	say "$uri"
}

# The host's Acquire settings as an apt.conf, for an apt with a root of its own
host_acquire_settings()
{
	apt-config dump --no-empty --format '%F "%v";%n' Acquire |
		grep -vE '^Acquire::(IndexTargets|Changelogs|CompressionTypes|Languages|cdrom)(::| )'
}
