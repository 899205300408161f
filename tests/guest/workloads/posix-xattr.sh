#!/bin/bash
# posix-xattr - as posix, with a daemon that offers extended attributes.
#
# usage: posix-xattr.sh options|guest|verify    called by tests/guest/run, see there
set -eu

case $1 in
options) echo --arg --xattr ;;
prepare) ;;
guest) "$BIN/posix" . --xattr ;;
verify) ;;
esac
