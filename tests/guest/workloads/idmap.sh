#!/bin/bash
# idmap - ids translated by the daemon, each type, as a guest makes, changes and lists files.
#
# usage: idmap.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# Here is FROM...TO of the guest, there that of the host.
rules=(map:1000:5000:10 guest:2000:6000:10 host:7000:3000:10 squash-guest:4000:42:10 squash-host:8000:65534:10
    forbid-guest:9000:10)
# caller in the guest, owner on the host, owner in the guest
made=('1000 5000 1000' '1009 5009 1009' '1010 1010 1010' '2000 6000 6000' '3000 3000 3000' '4005 42 42' '0 0 0')
# owner on the host, owner in the guest
seen=('5003 1003' '6000 6000' '7009 3009' '7010 7010' '8001 65534' '42 42' '9000 9000')

# ids FILE...: owner, and group; one line if all are the same
ids()
{
	stat -c '%u %g' "$@" | sort -u
}

# all_of ID OWNER: all that the guest's ID made belongs to OWNER
all_of()
{
	local kind files=()

	for kind in file dir link fifo chown; do
		files+=("$kind-$1")
	done
	[ "$(ids "${files[@]}")" = "$2 $2" ] || { echo "idmap: of $1: $(ids "${files[@]}")" >&2; return 1; }
}

as()
{
	local id=$1

	shift
	setpriv --reuid "$id" --regid "$id" --clear-groups "$@"
}

guest()
{
	local row guest host back

	for row in "${made[@]}"; do
		read -r guest host back <<<"$row"
		# not touch: a caller who is somebody else in the answer may not set the times of his file
		as "$guest" sh -c ": >file-$guest; mkdir dir-$guest; ln -s x link-$guest; mkfifo fifo-$guest"
		: >"chown-$guest"
		chown -h "$guest:$guest" "chown-$guest" "link-$guest"
		all_of "$guest" "$back"
		# each may do with his own what he likes
		if [ "$guest" = "$back" ]; then
			as "$guest" sh -c "chmod 600 file-$guest && echo x >file-$guest"
		fi
	done
	if as 9001 touch file-9001 2>/dev/null || as 9001 mkdir dir-9001 2>/dev/null; then
		echo "idmap: a forbidden id made something" >&2
		exit 1
	fi
	: >chown-9001
	if chown 9001 chown-9001 2>/tmp/why || chgrp 9001 chown-9001 2>>/tmp/why; then
		echo "idmap: a forbidden id was given something" >&2
		exit 1
	fi
	[ "$(grep -c 'Input/output error' /tmp/why)" = 2 ]
	for row in "${seen[@]}"; do
		read -r host back <<<"$row"
		[ "$(ids "host-$host")" = "$back $back" ] || { echo "idmap: host-$host: $(ids "host-$host")" >&2; exit 1; }
	done
	# READDIRPLUS into an empty cache
	echo 2 >/proc/sys/vm/drop_caches
	ls -ln >/tmp/list
	for row in "${seen[@]}"; do
		read -r host back <<<"$row"
		grep -q " $back  *$back .* host-$host\$" /tmp/list
	done
	# the group alone; a file that is open
	exec 3>open
	chown 1005:2005 open
	[ "$(stat -Lc '%u %g' /proc/self/fd/3)" = '1005 6005' ]
	exec 3>&-
}

verify()
{
	local row guest host back

	for row in "${made[@]}"; do
		read -r guest host back <<<"$row"
		all_of "$guest" "$host"
	done
	[ ! -e file-9001 ] && [ ! -e dir-9001 ] && [ "$(ids chown-9001)" = '0 0' ]
	[ "$(ids open)" = '5005 6005' ]
}

case $1 in
options)
	for rule in "${rules[@]}"; do
		echo --arg "--translate-uid=$rule" --arg "--translate-gid=$rule"
	done
	;;
prepare)
	chmod 777 .
	for row in "${seen[@]}"; do
		touch "host-${row% *}"
		chown "${row% *}:${row% *}" "host-${row% *}"
	done
	;;
guest | verify) "$1" ;;
esac
