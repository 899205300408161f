#!/bin/bash
# special - devices, FIFOs and sockets in the share are those of the guest: the daemon never opens one.
#
# usage: special.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

guest()
{
	mknod null c 1 3
	mknod zero c 1 5
	mknod nothing c 250 250
	mknod disk b 7 250
	echo gone >null
	[ -z "$(cat null)" ]
	[ "$(head -c 4 zero | od -An -tx1)" = ' 00 00 00 00' ]
	if cat nothing 2>/tmp/why; then
		exit 1
	fi
	grep -q 'No such device' /tmp/why
	if head -c 1 disk 2>/tmp/why; then
		exit 1
	fi
	grep -q 'No such device' /tmp/why
	# the host's: seen, with their numbers, and opened here
	[ "$(stat -c '%t %T' host-zero)" = '1 5' ]
	[ "$(head -c 2 host-zero | od -An -tx1)" = ' 00 00' ]
	mkfifo fifo
	echo through >fifo &
	[ "$(cat fifo)" = through ]
	wait
	# nobody on the host reads what is written here, and the other way round
	(exec 3<>host-fifo && echo from the guest >&3 && read -r line <&3 && [ "$line" = 'from the guest' ])
	"$BIN/sockets" pair sock
	"$BIN/sockets" refused host-sock
	chmod 600 null fifo sock
	touch -d 2001-02-03T04:05:06Z null
	mv null moved
	ln fifo linked
}

verify()
{
	[ "$(stat -c '%F %t %T %a %Y' moved)" = 'character special file 1 3 600 981173106' ]
	[ "$(stat -c '%F %t %T' disk)" = 'block special file 7 fa' ]
	[ "$(stat -c '%F %h' linked)" = 'fifo 2' ]
	[ "$(stat -c '%F %a' sock)" = 'socket 600' ]
	# still held open here since before the daemon began: nothing has come through
	[ -p host-fifo ]
	[ "$(cat "$WORK/heard")" = '' ]
}

case $1 in
options) ;;
prepare)
	mknod host-zero c 1 5
	mkfifo host-fifo
	# Keeps the FIFO and a socket open, and notes what comes, until $WORK goes.
	: >"$WORK/heard"
	setsid "$BIN/sockets" hold host-sock host-fifo "$WORK/heard" </dev/null >/dev/null 2>&1 &
	for _ in $(seq 100); do
		[ ! -s "$WORK/heard" ] || break
		sleep 0.05
	done
	;;
guest | verify) "$1" ;;
esac
