#!/bin/bash
# cache-metadata - what the guest sees with --cache=metadata when the host changes files under it.
#
# usage: cache-metadata.sh options|prepare|guest|verify    called by tests/guest/run, see there
exec "$(dirname "$(readlink -f "$0")")/../cache.sh" metadata "$1"
