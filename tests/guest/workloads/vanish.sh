#!/bin/bash
# vanish - the guest is killed in the middle of its work: the daemon must end all the same.
#
# usage: vanish.sh options|guest|verify    called by tests/guest/run, see there
set -eu

case $1 in
options) echo --kill-guest working ;;
prepare) ;;
guest)
	mkdir work
	touch working
	"$BIN/parallel" work 4 100000000
	;;
verify) [ -e working ] && [ -n "$(ls -A work)" ] ;;
esac
