#!/bin/bash
# writeback - --writeback: parts of pages, appends and mappings, and what fio writes, arrive on the host as they were meant.
#
# usage: writeback.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

# once ENGINE: 16 MiB written in odd pieces and verified with an empty page cache
once()
{
	local job=(fio --minimal --thread --name="$1" --directory=. --ioengine="$1" --rw=randwrite --bs=5k
	    --size=8M --numjobs=2 --group_reporting --verify=crc32c --verify_fatal=1 --verify_state_save=0 --randseed=1)

	"${job[@]}" --do_verify=0 --end_fsync=1 >/tmp/fio.out
	echo 1 >/proc/sys/vm/drop_caches
	"${job[@]}" --verify_only >/tmp/fio.out
	echo "writeback: fio $1: verified"
	sha256sum "$1".* >>sums
}

guest()
{
	"$BIN/writeback" .
	once psync
	once mmap
}

verify()
{
	sha256sum --quiet -c sums
	# What parts_of_pages() wrote into 12288 letters.
	cmp parts <(head -c 12288 /dev/zero | tr '\0' a | sed 's/^\(.\{1000\}\)..../\1PART/; s/^\(.\{4094\}\)..../\1PART/; s/...$/END/')
	[ "$(<made)" = 0123xx6789 ]
	cmp appended <(for ((i = 0; i < 200; i++)); do printf 'line %04d\n' $i; done)
	cmp mapped <(for c in a b c; do head -c 4096 /dev/zero | tr '\0' $c; done |
	    sed 's/^\(.\{4096\}\)...../\1write/; s/^\(.\{8192\}\)....../\1mapped/')
	[ "$(stat -c %s grown)" = 50000 ]
	echo "writeback: as it was meant"
}

case $1 in
options) echo --arg --writeback ;;
prepare) head -c 12288 /dev/zero | tr '\0' a >parts ;;
guest | verify) "$1" ;;
esac
