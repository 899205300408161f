#!/bin/bash
# git - a repository of 400 ($FILES) files in the share: init, add, commit, clone, gc, fsck.
#
# usage: git.sh options|prepare|guest|verify    called by tests/guest/run, see there
set -euo pipefail

export GIT_CONFIG_GLOBAL=$WORK/gitconfig GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org GIT_COMMITTER_DATE='1700000000 +0000'

# What is done in the guest, and once on the host: commits depend on nothing but the files.
commits()
(
	git init -q -b main "$1"
	cd "$1"
	tar -C / -cf - --null -T "$WORK/git.files" | tar --no-same-owner -xf -
	git add .
	git commit -q -m first
	printf 'changed\n' >usr/changed
	git mv usr/include renamed
	git add .
	git commit -q -m second
)

guest()
{
	commits repository
	git clone -q --no-local repository clone
	cd clone
	git gc -q --prune=now
	git fsck --full --strict
	[ -z "$(git status --porcelain)" ]
	cd ../repository
	git gc -q
	[ -z "$(git status --porcelain)" ]
}

verify()
{
	commits "$WORK/git.host"
	want=$(git -C "$WORK/git.host" rev-parse HEAD)
	for dir in repository clone; do
		git -C $dir fsck --full --strict
		[ "$(git -C $dir rev-parse HEAD)" = "$want" ]
		[ -z "$(git -C $dir status --porcelain)" ]
	done
	echo "git: commit $want in guest and host"
}

case $1 in
options) ;;
prepare)
	# Who owns the files is not git's business: with a daemon of a user it is root neither here nor in the guest.
	printf '[safe]\n\tdirectory = *\n' >"$WORK/gitconfig"
	cd /
	{ find usr/include -type f -size -33k -print0 || true; } | head -z -n "${FILES:-400}" >"$WORK/git.files"
	;;
guest | verify) "$1" ;;
esac
