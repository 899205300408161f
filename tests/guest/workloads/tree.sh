#!/bin/bash
# tree - copy a real tree of 20,000 files and its symlinks into the share, compare all checksums with
# the host's, move it, hard-link it, delete it.
#
# usage: tree.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

files=20000

# Makes the lists of what is copied: files that this machine happens to have.
make_lists()
{
	local roots=(usr/include usr/share usr/lib)

	cd /
	{ find "${roots[@]}" -xdev -type f -size -33k -print0 || true; } | head -z -n $files >"$WORK/tree.files"
	{ find "${roots[@]}" -xdev -type l -print0 || true; } | head -z -n 1000 >"$WORK/tree.links"
	if [ "$(tr -dc '\0' <"$WORK/tree.files" | wc -c)" -lt $files ]; then
		echo "tree: this machine has fewer than $files files below ${roots[*]}" >&2
		exit 1
	fi
	sums >"$WORK/tree.sums"
	targets >"$WORK/tree.targets"
}

# The checksums of the files, and the targets of the links, of the tree in the current directory.
sums()
{
	xargs -0 -n 5000 md5sum <"$WORK/tree.files" | sort
}

targets()
{
	xargs -0 readlink -- <"$WORK/tree.links"
}

guest()
{
	mkdir tree
	tar -C / -cf - --null -T "$WORK/tree.files" -T "$WORK/tree.links" | tar -C tree -xf -
	sync
	echo 2 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/drop_caches
	(cd tree && sums) >sums.guest
	mv tree moved
	mkdir deep
	mv moved deep/tree
	cp -al deep/tree linked
	find deep/tree -type f -links 2 | wc -l >links
	rm -rf deep
	find linked -type f -links 1 | wc -l >>links
	(cd linked && targets) >targets.guest
}

verify()
{
	cmp sums.guest "$WORK/tree.sums"
	cmp targets.guest "$WORK/tree.targets"
	[ "$(<links)" = "$files"$'\n'"$files" ]
	[ ! -e deep ]
	(cd linked && sums | cmp - "$WORK/tree.sums" && targets | cmp - "$WORK/tree.targets")
	echo "tree: $files files, $(wc -l <targets.guest) symlinks, checksums equal in guest and host"
}

case $1 in
options) ;;
prepare) make_lists ;;
guest | verify) "$1" ;;
esac
