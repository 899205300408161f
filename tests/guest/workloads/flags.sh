#!/bin/bash
# flags - lsattr and chattr in the guest show and set what is on the host; O_TMPFILE where the kernel has it.
#
# usage: flags.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# as lsattr shows a flag
shown()
{
	[[ $(lsattr -d "$2" | cut -d' ' -f1) == *"$1"* ]]
}

# "! command" is no failure to set -e.
refused()
{
	if "$@" 2>/dev/null; then
		echo "flags: not refused: $*" >&2
		exit 1
	fi
}

guest()
{
	shown d nodump
	refused shown d plain
	chattr +dA plain
	shown d plain
	shown A plain
	chattr -d nodump
	refused shown d nodump
	mkdir dir
	chattr +d dir
	shown d dir
	# What would bind the host's hands, or let the guest's files count for somebody else.
	refused chattr +i plain
	refused chattr +a plain
	refused chattr -p 42 plain
	refused chattr +P dir
	refused lsattr -d pipe
	"$BIN/beyond" .
}

verify()
{
	shown d plain
	shown A plain
	refused shown d nodump
	shown d dir
	refused shown i plain
	refused shown P dir
	[ "$(cat named)" = con ]
}

case $1 in
options) ;;
prepare)
	touch plain nodump
	mkfifo pipe
	chattr +d nodump
	;;
guest | verify) "$1" ;;
esac
