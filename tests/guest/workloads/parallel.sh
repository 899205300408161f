#!/bin/bash
# parallel - four processes at once create, write, rename, read, link, list and delete in the share.
#
# usage: parallel.sh options|guest|verify    called by tests/guest/run, see there
set -eu

case $1 in
options) ;;
prepare) ;;
guest) "$BIN/parallel" . 4 600 ;;
verify) [ -z "$(ls -A)" ] ;;
esac
