#!/bin/bash
# suid - set-id bits of changed files without --killpriv-v2: the guest's kernel takes them away by itself.
#
# usage: suid.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../suid.sh" no "$1"
