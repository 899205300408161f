#!/bin/bash
# fio - 256 MiB written and verified: sequential and random, 1 and 4 jobs, system calls and mappings.
#
# usage: fio.sh options|guest|verify    called by tests/guest/run, see there
#
# Each block carries its offset and a CRC-32C. It is verified by a second fio with an empty page cache.
set -euo pipefail

# once ENGINE PATTERN JOBS: PATTERN is write or randwrite
once()
{
	local engine=$1 pattern=$2 jobs=$3 job

	job=(fio --minimal --thread --name=verify --directory=. --ioengine="$engine" --rw="$pattern"
	    --bs=64k --size=$((256 / jobs))M --numjobs="$jobs" --group_reporting
	    --verify=crc32c --verify_fatal=1 --verify_state_save=0 --randseed=1)
	"${job[@]}" --do_verify=0 --end_fsync=1 >/tmp/fio.out
	echo 1 >/proc/sys/vm/drop_caches
	"${job[@]}" --verify_only >/tmp/fio.out
	rm verify.*
	echo "fio: $engine $pattern $jobs jobs: verified"
}

guest()
{
	for engine in psync mmap; do
		for pattern in write randwrite; do
			for jobs in 1 4; do
				once $engine $pattern $jobs
			done
		done
	done
}

case $1 in
options) ;;
prepare) ;;
guest) guest ;;
verify) [ -z "$(ls -A)" ] ;;
esac
