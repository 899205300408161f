#!/bin/bash
# xattrmap - names of extended attributes that the daemon maps, refuses and hides.
#
# usage: xattrmap.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# refused ERROR COMMAND...: it must fail, and say that.
refused()
{
	local want=$1 said

	shift
	if said=$(LC_ALL=C "$@" 2>&1); then
		echo "xattrmap: done: $*" >&2
		return 1
	fi
	[[ $said == *"$want"* ]] || { echo "xattrmap: $*: $said" >&2; return 1; }
}

# names FILE: of all its attributes, in order
names()
{
	getfattr --absolute-names -h -d -m - "$1" 2>/dev/null | sed -n 's/=.*//p' | sort | tr '\n' ' '
}

guest()
{
	touch file
	mkdir dir
	for what in file dir; do
		setfattr -n trusted.overlay.opaque -v y $what
		setfattr -n user.plain -v hello $what
		[ "$(getfattr --only-values -n trusted.overlay.opaque $what)" = y ]
		[ "$(getfattr --only-values -n user.plain $what)" = hello ]
		[ "$(names $what)" = 'trusted.overlay.opaque user.plain ' ]
		refused 'Operation not permitted' setfattr -n user.virtiofs.trusted.overlay.opaque -v n $what
		refused 'Operation not permitted' setfattr -x user.virtiofs.trusted.overlay.opaque $what
		refused 'No such attribute' getfattr -n user.virtiofs.trusted.overlay.opaque $what
		refused 'Operation not supported' setfattr -n system.posix_acl_access -v 0x02000000 $what
	done
	# what the host has: mapped back, hidden, as it is
	[ "$(names from-host)" = 'trusted.there user.own ' ]
	setfattr -x trusted.there from-host
	# the largest that ext4 takes, and one too large for it
	head -c 3000 /dev/zero | tr '\0' v >/tmp/value
	setfattr -n trusted.large -v "$(cat /tmp/value)" file
	[ "$(getfattr --only-values -n trusted.large file)" = "$(cat /tmp/value)" ]
	refused 'No space left on device' setfattr -n user.large -v "$(head -c 60000 /dev/zero | tr '\0' v)" file
	cp --preserve=xattr file copy
	[ "$(names copy)" = 'trusted.large trusted.overlay.opaque user.plain ' ]
	mv copy dir/moved
	ln -s file link
	refused 'Operation not permitted' setfattr -h -n trusted.x -v y link
}

verify()
{
	[ "$(names file)" = 'user.plain user.virtiofs.trusted.large user.virtiofs.trusted.overlay.opaque ' ]
	[ "$(names dir/moved)" = 'user.plain user.virtiofs.trusted.large user.virtiofs.trusted.overlay.opaque ' ]
	[ "$(getfattr --only-values -n user.virtiofs.trusted.overlay.opaque dir)" = y ]
	[ "$(names from-host)" = 'trusted.hidden user.own ' ]
}

case $1 in
options) echo --arg --xattrmap=:map:trusted.:user.virtiofs.: ;;
prepare)
	touch from-host
	setfattr -n user.virtiofs.trusted.there -v 1 from-host
	setfattr -n trusted.hidden -v 1 from-host
	setfattr -n user.own -v 1 from-host
	;;
guest | verify) "$1" ;;
esac
