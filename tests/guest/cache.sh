#!/bin/bash
# cache.sh - each cache mode does what it says when the host changes the share under the guest.
#
# usage: cache.sh never|auto|metadata|always options|prepare|guest|verify    by the workloads cache-*.sh
#
# What changes is changed through UML's hostfs, which is the host's own view of the share's directory. Per mode:
#             attributes and names      content of a file that is opened again    listings
#   never     new at once               new at once                               new at once
#   auto      new after a second        new when the attributes are               new at once
#   metadata  old for a day             new at once                               old for a day
#   always    old for a day             old for a day                             old for a day
# "Old for a day" ends when the guest drops its caches.
set -euo pipefail

mode=$1 step=$2

fail()
{
	echo "cache $mode: $*" >&2
	exit 1
}

# is WHAT GOT WANTED
is()
{
	[ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"
}

# pick NEVER AUTO METADATA ALWAYS: the one of this mode
pick()
{
	case $mode in
	never) echo "$1" ;;
	auto) echo "$2" ;;
	metadata) echo "$3" ;;
	always) echo "$4" ;;
	esac
}

# On the host: written and on its way to the other view before the command returns.
host_write()
{
	printf '%s' "$2" | dd of="/run/share/$1" conv=fsync,notrunc status=none
}

# The names in dir, by the shell: ls asks for the directory's attributes first and is told of a change with them, because
# after a first listing the access time is not known any more. So does the second listing.
listing()
{
	local names=(dir/*)

	echo "${names[*]#dir/}"
}

drop()
{
	echo 3 >/proc/sys/vm/drop_caches
}

prepare()
{
	pwd >"$WORK/share"
	mkdir dir
	for name in content size mode gone moved kept; do
		echo -n old >"$name"
	done
	touch dir/one
}

guest()
{
	local begun now

	mkdir /run/share
	mount -t hostfs -o "$(<"$WORK/share")" none /run/share
	# What the guest knows.
	for name in content size mode gone moved kept; do
		is "$name at first" "$(<"$name")" old
	done
	is "listing at first" "$(listing)" one
	is "listing at second" "$(listing)" one

	host_write size "longer than before"
	chmod 600 /run/share/mode
	rm /run/share/gone
	mv /run/share/moved /run/share/elsewhere
	# The same length: only the content tells.
	host_write content new
	touch /run/share/dir/two
	touch /run/share/fresh

	# Names that were not there are asked for every time.
	is "a new name" "$(stat -c %s fresh)" 0
	if [ "$mode" = never ]; then
		is "size, at once" "$(stat -c %s size)" 18
		is "content, at once" "$(<content)" new
	fi
	# Behind every time-out but those of a day.
	sleep 1.5
	is size "$(stat -c %s size)" "$(pick 18 18 3 3)"
	is mode "$(stat -c %a mode)" "$(pick 600 600 644 644)"
	is "a removed name" "$(stat -c %s gone 2>/dev/null || echo none)" "$(pick none none 3 3)"
	is "a moved name" "$(stat -c %s moved 2>/dev/null || echo none)" "$(pick none none 3 3)"
	is content "$(<content)" "$(pick new new new old)"
	is listing "$(listing)" "$(pick 'one two' 'one two' one one)"
	# The guest's own changes are seen in any mode.
	echo -n mine >kept
	is "own content" "$(<kept)" mine
	touch dir/three
	is "own listing" "$(listing | grep -c three)" 1
	drop
	is "size, dropped" "$(stat -c %s size)" 18
	is "content, dropped" "$(<content)" new
	is "listing, dropped" "$(listing)" "one three two"
	is "a removed name, dropped" "$(stat -c %s gone 2>/dev/null || echo none)" none

	# Within the second nothing is asked for again in auto mode.
	host_write size "longer than that, once more"
	sleep 1.1
	begun=${EPOCHREALTIME/./}
	stat -c %s size >/dev/null
	host_write size "and once more: longer than that was"
	now=$(stat -c %s size)
	if [ "$mode" = auto ] && [ $((${EPOCHREALTIME/./} - begun)) -lt 900000 ]; then
		is "size within a second" "$now" 27
	elif [ "$mode" = never ]; then
		is "size within a second" "$now" 35
	fi
	echo "cache $mode: as it says"
}

verify()
{
	is "what the guest wrote" "$(<kept)" mine
	[ -e dir/three ]
}

case $step in
options) echo --arg "--cache=$mode" ;;
prepare | guest | verify) "$step" ;;
esac
