/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Per-thread credentials and capabilities. Order: groups, gid, uid, capabilities; back: capabilities,
 * uid, gid, groups. The kernel clears the effective capabilities when the uid leaves 0 and sets them
 * again when it returns; where the worker's own uid is another (rootless), both are done here. Nothing
 * is cached but the worker's own ids, and whether it has capabilities at all: each change reads first.
 * Runs in: worker, lane threads. Ids come from: the front.
 */
#include "worker/cred.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"

/* What a group looks like that the user namespace does not map (/proc/sys/kernel/overflowgid). */
#define OVERFLOW_GID 65534

static uid_t my_uid;
static gid_t my_gid;
/* Those of the caller of a daemon that is not root's; mostly none. */
static gid_t *my_groups;
static size_t my_ngroups;
static bool my_caps; /* there are some to give up */
static bool my_groups_unmapped; /* some, at least: they cannot be set again */
static bool umask_shared;
static _Thread_local mode_t umask_now; /* of this thread alone; 0 when it starts */
static pthread_rwlock_t umask_lock = PTHREAD_RWLOCK_INITIALIZER;

void
cred_init(void)
{
	int n = getgroups(0, NULL);

	my_uid = geteuid();
	my_gid = getegid();
	my_caps = privs_caps() != 0;
	if (n <= 0)
		return;
	my_groups = calloc((size_t)n, sizeof(*my_groups));
	if (my_groups == NULL || (n = getgroups(n, my_groups)) < 0)
		fatal("getgroups");
	my_ngroups = (size_t)n;
	for (size_t i = 0; i < my_ngroups; i++)
		if (my_groups[i] == OVERFLOW_GID)
			my_groups_unmapped = true;
}

void
cred_share_umask(void)
{
	umask_shared = true;
}

void
cred_umask_begin(mode_t mask)
{
	mask &= 0777;
	if (!umask_shared) {
		/* Whatever the last one left: everything that makes a file comes by here. */
		if (mask != umask_now)
			umask(mask);
		umask_now = mask;
		return;
	}
	/* Only who has none need not be alone. */
	if (mask == 0)
		pthread_rwlock_rdlock(&umask_lock);
	else
		pthread_rwlock_wrlock(&umask_lock);
	if (mask != 0)
		umask(mask);
}

void
cred_umask_end(mode_t mask)
{
	if (!umask_shared)
		return;
	if ((mask & 0777) != 0)
		umask(0);
	pthread_rwlock_unlock(&umask_lock);
}

uid_t
cred_owner(uid_t uid)
{
	return uid != 0 ? uid : my_uid;
}

gid_t
cred_group(gid_t gid)
{
	return gid != 0 ? gid : my_gid;
}

static void
die(const char *what)
{
	log_error("%s could not be restored: this worker ends", what);
	_exit(134);
}

static int
caps_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &head, data) == -1 ? -errno : 0;
}

static int
caps_set(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &head, data) == -1 ? -errno : 0;
}

static void
keep_dac_override(void)
{
	struct __user_cap_data_struct data[2];
	static struct log_limit limit;
	int r;

	r = caps_get(data);
	if (r == 0) {
		data[0].effective |= data[0].permitted & (1u << CAP_DAC_OVERRIDE);
		r = caps_set(data);
	}
	if (r != 0 && log_limit(&limit))
		log_warn("cannot keep CAP_DAC_OVERRIDE for a caller of unknown groups (%d)", r);
}

/* For a caller who is not root, in a worker who is not either: no change of uids does it. */
static int
give_up_caps(struct cred *c, bool known)
{
	struct __user_cap_data_struct data[2];
	int r = caps_get(c->old_caps);

	if (r != 0)
		return r;
	memcpy(data, c->old_caps, sizeof(data));
	data[0].effective &= known ? 0 : 1u << CAP_DAC_OVERRIDE;
	data[1].effective = 0;
	r = caps_set(data);
	c->caps = r == 0;
	return r;
}

int
cred_switch(struct cred *c, uid_t uid, gid_t gid, const uint32_t *groups, size_t n, bool known)
{
	int r;

	c->groups = c->gid = c->uid = c->caps = false;
	c->old_uid = my_uid;
	c->old_gid = my_gid;
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return -EINVAL;
	if (n > 0) {
		if (syscall(SYS_setgroups, n, groups) == -1)
			return -errno;
		c->groups = true;
	}
	if (gid != 0 && gid != my_gid) {
		if (syscall(SYS_setresgid, -1, gid, -1) == -1)
			goto fail;
		c->gid = true;
	}
	if (uid != 0 && uid != my_uid) {
		if (syscall(SYS_setresuid, -1, uid, -1) == -1)
			goto fail;
		c->uid = true;
		if (!known && my_uid == 0)
			keep_dac_override();
	}
	if (uid == 0 || my_uid == 0 || !my_caps)
		return 0;
	r = give_up_caps(c, known);
	if (r == 0)
		return 0;
	errno = -r;
fail:
	r = -errno;
	cred_restore(c);
	return r;
}

static void
restore_groups(void)
{
	static struct log_limit limit;

	/* Without groups that cannot be named the caller has less, never more. */
	if (syscall(SYS_setgroups, my_groups_unmapped ? 0 : my_ngroups, my_groups) == -1)
		die("my supplementary groups");
	if (my_groups_unmapped && log_limit(&limit))
		log_warn("supplementary groups that the user namespace does not map are lost to a "
			 "thread that has made a file for other groups");
}

void
cred_restore(const struct cred *c)
{
	int saved = errno;

	if (c->caps && caps_set(c->old_caps) != 0)
		die("my capabilities");
	if (c->uid && syscall(SYS_setresuid, -1, c->old_uid, -1) == -1)
		die("my user id");
	if (c->gid && syscall(SYS_setresgid, -1, c->old_gid, -1) == -1)
		die("my group id");
	if (c->groups)
		restore_groups();
	errno = saved;
}

bool
cred_drop_fsetid(void)
{
	struct __user_cap_data_struct data[2];

	if (caps_get(data) != 0)
		die("capabilities, unreadable,");
	if ((data[0].effective & (1u << CAP_FSETID)) == 0)
		return false;
	data[0].effective &= ~(1u << CAP_FSETID);
	if (caps_set(data) != 0)
		die("CAP_FSETID, undroppable,");
	return true;
}

void
cred_restore_fsetid(void)
{
	struct __user_cap_data_struct data[2];
	int saved = errno;

	if (caps_get(data) != 0)
		die("CAP_FSETID");
	data[0].effective |= 1u << CAP_FSETID;
	if (caps_set(data) != 0)
		die("CAP_FSETID");
	errno = saved;
}

void
cred_restore_group(void)
{
	int saved = errno;

	if (syscall(SYS_setresgid, -1, my_gid, -1) == -1)
		die("my group id");
	errno = saved;
}
