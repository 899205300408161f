#!/bin/bash
# suid-killpriv - set-id bits of changed files with --killpriv-v2: the daemon sees to it.
#
# usage: suid-killpriv.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../suid.sh" yes "$1"
