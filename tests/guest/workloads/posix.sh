#!/bin/bash
# posix - the POSIX behaviours that a local file system has; see tests/guest/posix.
#
# usage: posix.sh options|guest|verify    called by tests/guest/run, see there
# $LACKS is what the daemon cannot do because of who started it: posix leaves it out, and says so.
set -eu

case $1 in
options) ;;
prepare) ;;
guest) "$BIN/posix" . ${LACKS:+--lacks "$LACKS"} ;;
verify) ;;
esac
