#!/bin/bash
# posix - the POSIX behaviours that a local file system has; see tests/guest/posix.
#
# usage: posix.sh options|guest|verify    called by tests/guest/run, see there
set -eu

case $1 in
options) ;;
prepare) ;;
guest) "$BIN/posix" . ;;
verify) ;;
esac
