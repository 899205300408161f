#!/bin/bash
# readonly - a read-only share refuses every change, whatever the guest's mount says, and stays as it was.
#
# usage: readonly.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# All that a guest could change; not the access times.
picture()
{
	find . -printf '%p %y %m %U:%G %n %s %T@ %C@ %l\n' | sort
	find . -type f -exec md5sum {} + | sort
	getfattr -R -P -d -m - . | grep -v '^$'
}

prepare()
{
	echo -n data >file
	mkdir dir
	ln -s file link
	mkfifo fifo
	setfattr -n user.host -v x file
	picture >"$WORK/readonly.before"
}

guest()
{
	grep -q ' /mnt virtiofs rw' /proc/mounts
	"$BIN/refused"
	mount -o remount,rw /mnt
	"$BIN/refused"
	# Of tools as well: each says so, and none gets anywhere.
	for tool in "touch new" "cp file copy" "rm -f file" "mv file away" "tar -cf archive file" "sed -i s/a/b/ file" \
	    "dd if=/dev/zero of=file bs=4k count=1 conv=notrunc" "install -m 755 file dir"; do
		if $tool 2>/tmp/said; then
			echo "readonly: '$tool' succeeded" >&2
			return 1
		fi
		if ! grep -q 'Read-only file system' /tmp/said; then
			cat /tmp/said >&2
			return 1
		fi
	done
	[ "$(<file)" = data ]
	[ "$(ls)" = "$(printf 'dir\nfifo\nfile\nlink')" ]
}

verify()
{
	picture | diff "$WORK/readonly.before" -
}

case $1 in
options) echo --arg --readonly --arg --xattr ;;
prepare | guest | verify) "$1" ;;
esac
