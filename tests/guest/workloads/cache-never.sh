#!/bin/bash
# cache-never - what the guest sees with --cache=never when the host changes files under it.
#
# usage: cache-never.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../cache.sh" never "$1"
