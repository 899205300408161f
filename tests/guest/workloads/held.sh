#!/bin/bash
# held - 100,000 files looked up and held by the guest, by a daemon that may have 20,000 open. $HELD: other numbers, "6000 3000".
#
# usage: held.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -eu

read -r count limit <<<"${HELD:-100000 20000}"

case $1 in
options) echo --nofile "$limit" --mem 1G ;;
prepare) "$BIN/held" make . "$count" ;;
guest) "$BIN/held" check . "$count" ;;
verify) "$BIN/held" remove . "$count" ;;
esac
