#!/bin/bash
# overlay - an overlayfs of the guest whose upper layer is on the share: its trusted.overlay.* attributes are user.* ones
# of the host, its whiteouts are device nodes there.
#
# usage: overlay.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# The modules of uml-init are found the same way.
load()
{
	insmod "$(echo /usr/lib/uml/modules/6.1*/kernel/fs/overlayfs/overlay.ko)"
}

mount_overlay()
{
	mount -t overlay -o "lowerdir=/tmp/lower,upperdir=$PWD/upper,workdir=$PWD/work" overlay /tmp/merged
}

# Twice: as it was done, and after the overlay was mounted anew.
check()
{
	cd /tmp/merged
	[ "$(cat changed)" = $'lower\nupper' ]
	[ ! -e removed ] && [ ! -e dir/inside ] && [ ! -e gone ]
	[ "$(ls dir)" = fresh ]
	[ "$(cat moved)" = rename ] && [ ! -e rename ]
	[ "$(cat new)" = new ]
	[ "$(stat -c %a changed)" = 640 ]
	[ "$(readlink link)" = elsewhere ]
	[ "$(getfattr --only-values -n user.note changed)" = kept ]
	[ "$(find many -mindepth 1 | wc -l)" = 60 ]
	cd - >/dev/null
}

guest()
{
	load
	mkdir -p /tmp/lower/dir /tmp/lower/gone /tmp/lower/many /tmp/merged upper work
	echo lower >/tmp/lower/changed
	chmod 600 /tmp/lower/changed
	echo removed >/tmp/lower/removed
	echo rename >/tmp/lower/rename
	touch /tmp/lower/dir/inside /tmp/lower/gone/inside
	(cd /tmp/lower/many && seq 80 | xargs touch)
	mount_overlay
	# without it there is no opaque directory, no redirect and no whiteout by rename; of O_TMPFILE it would make what is
	# stale as soon as its name is asked for again
	[ "$(dmesg | grep -c 'overlayfs: upper fs does not support tmpfile')" = 1 ]
	[ "$(dmesg | grep -c 'overlayfs: upper fs')" = 1 ]
	cd /tmp/merged
	echo upper >>changed
	chmod 640 changed
	setfattr -n user.note -v kept changed
	rm removed
	rm -r dir gone
	mkdir dir
	touch dir/fresh
	mv rename moved
	echo new >new
	ln -s elsewhere link
	(cd many && seq 20 | xargs rm)
	cd - >/dev/null
	check
	# names and attributes are asked for again after a second
	sleep 1.1
	check
	umount /tmp/merged
	mount_overlay
	check
	umount /tmp/merged
}

verify()
{
	[ "$(cat upper/changed)" = $'lower\nupper' ]
	[ "$(stat -c '%F %t %T' upper/removed)" = 'character special file 0 0' ]
	[ "$(find upper/many -type c | wc -l)" = 20 ]
	[ "$(getfattr --only-values -n user.virtiofs.trusted.overlay.opaque upper/dir)" = y ]
	[ "$(getfattr --only-values -n user.virtiofs.user.note upper/changed)" = kept ]
	getfattr -d -m - upper/changed 2>/dev/null | grep -q user.virtiofs.trusted.overlay.origin
}

case $1 in
options) echo --arg --xattrmap=:map::user.virtiofs.: ;;
prepare) ;;
guest | verify) "$1" ;;
esac
