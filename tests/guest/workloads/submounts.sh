#!/bin/bash
# submounts - file systems mounted in the share (tmpfs, an ext4 image, a directory bound to another place) are file
# systems of their own in the guest.
#
# usage: submounts.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

guest()
{
	# one device each, and one mount each in the guest's table, once they are walked into
	ls tmp ext4 bound >/tmp/listing
	devices=$(stat -c %d . tmp ext4 bound | sort -u | wc -l)
	[ "$devices" = 4 ]
	[ "$(grep -c ' /mnt' /proc/mounts)" = 4 ]
	# numbers that meet on the host do not meet here: the root of each ext4 is 2
	[ "$(stat -c %i ext4)" = 2 ]
	for point in tmp ext4; do
		mountpoint -q $point
		[ "$(stat -f -c '%b %S %c' $point)" = "$(grep "^$point " host.statfs | cut -d' ' -f2-)" ]
	done
	[ "$(stat -f -c %b .)" != "$(stat -f -c %b tmp)" ]
	[ "$(cat bound/file)" = original ]
	echo changed >bound/file
	# the same inode by another way: what is cached of it is asked for again after a second
	sleep 1.1
	[ "$(cat original/file)" = changed ]
	# across them only by copying
	if ln original/file tmp/file 2>/dev/null; then
		echo "submounts: a link into another file system" >&2
		exit 1
	fi
	mv original/moves tmp/moves
	[ "$(cat tmp/moves)" = moves ] && [ ! -e original/moves ]
	find . -xdev -name 'only-*' | sort >/tmp/found
	[ "$(cat /tmp/found)" = './only-here' ]
	find . -name 'only-*' | sort >/tmp/found
	[ "$(tr '\n' ' ' </tmp/found)" = './ext4/only-ext4 ./only-here ./tmp/only-tmp ' ]
	# full, one of them
	if dd if=/dev/zero of=tmp/large bs=1M count=8 2>/dev/null; then
		echo "submounts: more in the tmpfs than it holds" >&2
		exit 1
	fi
	rm tmp/large
	dd if=/dev/urandom of=ext4/data bs=64k count=16 2>/dev/null
	md5sum <ext4/data >sum
	sync -f ext4/data
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(md5sum <ext4/data)" = "$(cat sum)" ]
	rmdir ext4 2>/dev/null && exit 1
	rename=$(mv ext4 elsewhere 2>&1) && exit 1
	[[ $rename == *busy* ]]
}

verify()
{
	[ "$(cat original/file)" = changed ]
	[ "$(cat tmp/moves)" = moves ]
	[ "$(md5sum <ext4/data)" = "$(cat sum)" ]
	umount tmp ext4 bound
	[ -z "$(find tmp ext4 bound -mindepth 1)" ]
}

case $1 in
options) ;;
prepare)
	mkdir tmp ext4 bound original
	echo original >original/file
	echo moves >original/moves
	mount -t tmpfs -o size=4m test tmp
	truncate -s 32M "$WORK/image"
	mkfs.ext4 -q "$WORK/image"
	mount -o loop "$WORK/image" ext4
	mount --bind original bound
	touch only-here tmp/only-tmp ext4/only-ext4
	for point in tmp ext4; do
		echo "$point $(stat -f -c '%b %S %c' $point)"
	done >host.statfs
	;;
guest | verify) "$1" ;;
esac
