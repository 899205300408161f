#!/bin/bash
# direct - O_DIRECT with --allow-direct-io reaches the host's disk, alignment rules included; fio writes and verifies.
#
# usage: direct.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

prepare()
{
	# This disk insists on alignment, or the test has nothing to see.
	"$BIN/direct" ../direct.local
	rm ../direct.local
}

guest()
{
	local job

	"$BIN/direct" file
	for pattern in write randrw; do
		job=(fio --minimal --thread --name=verify --directory=. --ioengine=psync --direct=1 --rw="$pattern"
		    --bs=16k --size=16M --numjobs=2 --verify=crc32c --verify_fatal=1 --randseed=1)
		"${job[@]}" >/tmp/fio.out
		echo "direct: fio $pattern: verified"
	done
}

case $1 in
options) echo --arg --allow-direct-io ;;
prepare | guest) "$1" ;;
verify) [ "$(stat -c %s file)" = 12288 ] ;;
esac
