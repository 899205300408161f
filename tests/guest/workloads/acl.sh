#!/bin/bash
# acl - POSIX ACLs enforced and inherited as on ext4: tests/guest/acl.c says the same in the guest as on the host.
#
# usage: acl.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

case $1 in
options) echo --arg --posix-acl ;;
prepare)
	mkdir -m 755 "$WORK/local" things
	"$BIN/acl" "$WORK/local" >"$WORK/acl.host"
	;;
guest) "$BIN/acl" things >acl.guest ;;
verify)
	diff "$WORK/acl.host" acl.guest
	diff <(cd "$WORK/local" && getfacl -Rnp .) <(cd things && getfacl -Rnp .)
	[ "$(grep -c '^    ' acl.guest)" -gt 200 ]
	;;
esac
