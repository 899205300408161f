#!/bin/bash
# suid.sh - what a change leaves of set-id bits: as on a local disk.
#
# usage: suid.sh no|yes|unknown options|prepare|guest|verify    by the workloads suid*.sh and by uncached
#   yes: with --killpriv-v2; unknown: the same with a guest that tells no caller's ids
#
# tests/guest/suid.c runs on the host's disk and in the guest; the modes of all its files are compared. What is allowed to
# differ, by the names of the cases (CHANGE-USER-MODE):
# - S_ISGID without group execution: a local disk takes it from those outside of the group since Linux 6.2; a guest that
#   clears bits on FUSE by itself does not.
# - With --killpriv-v2 the daemon judges by the kernel's rule since 6.2. It is told a caller's group and not the
#   supplementary ones, so that a member of the file's group is one outside to it. Told nothing, it leaves the bit.
# - Without, a guest whose daemon truncates in OPEN leaves the bits to the daemon and does not say for whom it truncates.
set -euo pipefail

killpriv=$1 step=$2

modes()
{
	find . -type f -printf '%f %m\n' | sort
}

prepare()
{
	local twin

	# On the disk that the share is on.
	twin=$(mktemp -d ../twin.XXXXXX)
	chmod 755 "$twin"
	"$BIN/suid" "$twin"
	(cd "$twin" && modes) >"$WORK/suid.local"
	rm -rf "$twin"
}

# The cases that may differ, as a regular expression.
known()
{
	local old=no

	[ "$(printf '6.2\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.2 ] || old=yes
	if [ "$killpriv" = unknown ]; then
		echo -n '[a-z-]+-(owner|stranger)-[26]766'
	elif [ "$killpriv" = yes ]; then
		echo -n '[a-z-]+-owner-member-[26]766'
		[ $old = no ] || echo -n '|[a-z-]+-(owner|stranger)-[26]766'
	else
		echo -n '(open-trunc|creat)-(owner|stranger)[a-z-]*-[0-9]+|[a-z-]+-(owner|stranger)-[26]766'
	fi
}

verify()
{
	local differing

	modes >"$WORK/suid.share"
	differing=$(diff "$WORK/suid.local" "$WORK/suid.share" | sed -n 's/^[<>] //p' | sort) || true
	if grep -Ev "^($(known)) " <<<"$differing" | grep .; then
		echo "suid: these differ from the local disk (mode there and here)" >&2
		return 1
	fi
	echo "suid: $(wc -l <"$WORK/suid.share") cases, $(grep -c . <<<"$differing" || true) lines of known differences"
}

case $step in
options)
	echo "--arg --allow-direct-io"
	[ "$killpriv" = no ] || echo "--arg --killpriv-v2"
	;;
guest) "$BIN/suid" . ;;
prepare | verify) "$step" ;;
esac
