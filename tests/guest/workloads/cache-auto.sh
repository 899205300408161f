#!/bin/bash
# cache-auto - what the guest sees with --cache=auto when the host changes files under it.
#
# usage: cache-auto.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../cache.sh" auto "$1"
