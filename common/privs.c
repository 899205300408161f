/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of giving up privileges (PROBES.md, "Section 1"; sandbox.md). A stage that did not hold is fatal: nothing
 * continues with more than its table in SECURITY.md says. Runs in: monitor, front, worker, before they serve.
 */
#include "common/privs.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/fd.h"
#include "common/landlock.h"
#include "common/log.h"

static void
on_abort(int sig)
{
	(void)sig;
	/* As pid 1 of its namespace a process survives its own SIGABRT: tell the monitor the truth by the status. */
	_exit(134);
}

void
privs_begin_child(const char *name, int keep)
{
	struct sigaction sa = { .sa_handler = on_abort }, ign = { .sa_handler = SIG_IGN };

	/* Executed by descriptor, it has a number for its name on kernels before 6.14. */
	if (prctl(PR_SET_NAME, name) == -1)
		fatal("prctl(PR_SET_NAME)");
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		fatal("prctl(PR_SET_DUMPABLE)");
	if (close_range((unsigned)keep + 1, ~0U, 0) == -1)
		fatal("close_range");
	if (sigaction(SIGABRT, &sa, NULL) == -1 || sigaction(SIGPIPE, &ign, NULL) == -1 ||
	    sigaction(SIGXFSZ, &ign, NULL) == -1)
		fatal("sigaction");
}

void
privs_drop_groups(void)
{
	if (getgroups(0, NULL) == 0)
		return;
	if (setgroups(0, NULL) == -1)
		fatal("cannot drop the supplementary groups");
	if (getgroups(0, NULL) != 0)
		fatalx("supplementary groups were not dropped");
}

void
privs_empty_root(void)
{
	const unsigned long flags = MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RDONLY;
	int old, fd;

	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == -1)
		fatal("mount / as slave");
	old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old == -1)
		fatal("open /");
	/* Any directory that always exists will do as the place: nobody outside sees this mount. */
	if (mount("virtiofsd", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555") == -1)
		fatal("mount an empty tmpfs");
	if (chdir("/proc") == -1)
		fatal("chdir to the empty root");
	if (syscall(SYS_pivot_root, ".", ".") == -1)
		fatal("pivot_root");
	if (fchdir(old) == -1 || umount2(".", MNT_DETACH) == -1)
		fatal("umount the old root");
	close(old);
	if (chdir("/") == -1)
		fatal("chdir /");
	if ((fd = open("/", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600)) != -1)
		fatalx("the empty root is writable");
	if (access("/proc", F_OK) == 0 || access("/etc", F_OK) == 0)
		fatalx("the root is not empty");
}

/* A directory that nobody can put anything into, because it has no name any more. */
static int
removed_directory(void)
{
	static const char *const places[] = { "/tmp", "/run", "/dev/shm", "/var/tmp" };
	char path[40];
	int fd;

	for (size_t i = 0; i < countof(places); i++) {
		snprintf(path, sizeof(path), "%s/virtiofsd.XXXXXX", places[i]);
		if (mkdtemp(path) == NULL)
			continue;
		fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (rmdir(path) == 0 && fd != -1)
			return fd;
		fd_close(&fd);
	}
	return -1;
}

bool
privs_hide_files(void)
{
	bool hidden = false;
	int fd = -1;

	if ((privs_caps() & PRIVS_CAP(CAP_SYS_CHROOT)) != 0)
		fd = removed_directory();
	if (fd != -1)
		hidden = fchdir(fd) == 0 && chroot(".") == 0 && chdir("/") == 0 &&
		    access("/proc", F_OK) == -1;
	fd_close(&fd);
	privs_no_new();
	return landlock_restrict(-1) == 0 || hidden;
}

uint64_t
privs_caps(void)
{
	uint64_t caps = 0;

	if (capng_get_caps_process() != 0)
		fatalx("cannot read my capabilities");
	for (int c = 0; c <= CAP_LAST_CAP; c++)
		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)c) == 1)
			caps |= PRIVS_CAP(c);
	return caps;
}

/* Are the sets exactly these? bounds: the bounding set too, if it could be changed at all. */
static void
check_caps(uint64_t caps, bool bounds, bool may_bound)
{
	if (capng_get_caps_process() != 0)
		fatalx("cannot read my capabilities");
	for (int c = 0; c <= CAP_LAST_CAP; c++) {
		const bool want = (caps & PRIVS_CAP(c)) != 0;

		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)c) != want ||
		    capng_have_capability(CAPNG_EFFECTIVE, (unsigned)c) != want ||
		    capng_have_capability(CAPNG_INHERITABLE, (unsigned)c) != 0 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1)
			fatalx("capability %d is not as it must be", c);
		if (may_bound && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 && !(bounds && want))
			fatalx("capability %d is still in the bounding set", c);
	}
}

/* Note all of caps for these libcap-ng sets. */
static void
select_caps(uint64_t caps, capng_type_t sets)
{
	for (unsigned c = 0; c <= CAP_LAST_CAP; c++)
		if ((caps & PRIVS_CAP(c)) != 0 && capng_update(CAPNG_ADD, sets, c) != 0)
			fatalx("capability %u", c);
}

static void
keep_caps(uint64_t caps, bool bounds)
{
	bool may_bound;

	if (capng_get_caps_process() != 0)
		fatalx("cannot read my capabilities");
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
	if (may_bound) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		if (bounds)
			select_caps(caps, CAPNG_BOUNDING_SET);
		if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
			fatalx("cannot reduce the capability bounding set");
	}
	capng_clear(CAPNG_SELECT_CAPS);
	select_caps(caps, CAPNG_EFFECTIVE | CAPNG_PERMITTED);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		fatalx("cannot set my capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 && errno != EINVAL)
		fatal("clear the ambient capabilities");
	check_caps(caps, bounds, may_bound);
}

void
privs_keep_caps(uint64_t caps)
{
	keep_caps(caps, false);
}

void
privs_keep_caps_for_children(uint64_t caps)
{
	keep_caps(caps, true);
}

static void
change_ids(uid_t uid, gid_t gid)
{
	uid_t ru, eu, su;
	gid_t rg, eg, sg;

	if (setresgid(gid, gid, gid) == -1)
		fatal("setresgid %u", gid);
	if (setresuid(uid, uid, uid) == -1)
		fatal("setresuid %u", uid);
	if (getresuid(&ru, &eu, &su) == -1 || getresgid(&rg, &eg, &sg) == -1)
		fatal("getresuid");
	if (ru != uid || eu != uid || su != uid || rg != gid || eg != gid || sg != gid)
		fatalx("the change of uid and gid did not hold");
}

void
privs_become_nobody(uid_t uid, gid_t gid, bool drop_groups)
{
	if (drop_groups)
		privs_drop_groups();
	if (uid != 0) {
		/* Emptying the bounding set needs a capability, so that comes first. */
		privs_keep_caps(privs_caps() & (PRIVS_CAP(CAP_SETUID) | PRIVS_CAP(CAP_SETGID)));
		change_ids(uid, gid);
	}
	privs_keep_caps(0);
	if (uid != 0 && (setuid(0) != -1 || setgid(0) != -1))
		fatalx("uid 0 is still reachable");
}

void
privs_die_with_parent(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fatal("prctl(PR_SET_PDEATHSIG)");
}

void
privs_no_new(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		fatal("prctl(PR_SET_NO_NEW_PRIVS)");
}
