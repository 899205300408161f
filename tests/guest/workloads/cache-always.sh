#!/bin/bash
# cache-always - what the guest sees with --cache=always when the host changes files under it.
#
# usage: cache-always.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../cache.sh" always "$1"
