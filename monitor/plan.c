/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each process is to be, for root and for others, with all capabilities and with few. The rule for the worker is the
 * mode that was asked for: what it needs and cannot have ends the start. The rule for the front is: as hard as it goes.
 * Runs in: monitor, at the start.
 */
#include "monitor/plan.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/sched.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/privs.h"
#include "monitor/checks.h"
#include "monitor/modcaps.h"
#include "monitor/userns.h"
#include "proto/control.h"

#define SET(cap) PRIVS_CAP(CAP_##cap)

/* What virtiofsd keeps, less CAP_DAC_READ_SEARCH: only the vault opens file handles. */
#define WORKER_CAPS \
	(SET(CHOWN) | SET(DAC_OVERRIDE) | SET(FOWNER) | SET(FSETID) | SET(SETGID) | SET(SETUID) | \
	    SET(MKNOD) | SET(SETFCAP))

/* What a child in a user namespace of its own begins with there. */
#define SANDBOX_CAPS (SET(SYS_ADMIN) | SET(SYS_CHROOT) | SET(SETPCAP) | SET(SETUID) | SET(SETGID))

/* The front in a user namespace: a number that is neither root nor what unmapped ids look like. */
#define FRONT_INSIDE 1

/* What is known of the caller. */
struct caller {
	const struct options *o;
	uint64_t caps;
	bool root; /* euid 0, perhaps of some user namespace */
};

static bool
has(const struct caller *c, uint64_t caps)
{
	return (c->caps & caps) == caps;
}

/* The sandbox of the worker cannot be had. */
static int ATTR_PRINTF(2, 3) refuse(int error, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("Error entering sandbox: %s", text);
	return error;
}

static int
check_mode(const struct caller *c)
{
	const struct options *o = c->o;
	const bool maps = !c->root && o->sandbox == SANDBOX_NAMESPACE;

	if (o->sandbox == SANDBOX_CHROOT && !c->root)
		return refuse(-EPERM,
		    "sandbox mode 'chroot' can only be used by root (Use '--sandbox namespace' "
		    "instead)");
	for (int i = 0; i < 2; i++)
		if ((i == 0 ? o->uid_map.n : o->gid_map.n) > 0 && !maps)
			return refuse(-EPERM,
			    "%s can only be used by unprivileged user where sandbox mod is "
			    "namespace (Use '--sandbox namespace' instead)",
			    i == 0 ? "uid_map" : "gid_map");
	if (o->sandbox == SANDBOX_NAMESPACE && c->root && !has(c, SET(SYS_ADMIN)))
		return refuse(-EPERM,
		    "namespaces need CAP_SYS_ADMIN, which is missing: add it, or use "
		    "--sandbox=chroot");
	if (o->sandbox == SANDBOX_CHROOT && !has(c, SET(SYS_CHROOT)))
		return refuse(-EPERM,
		    "chroot needs CAP_SYS_CHROOT, which is missing: add it, or use "
		    "--sandbox=none");
	return 0;
}

/* As root of this user namespace, with these maps? */
static bool
becomes_root(const struct caller *c)
{
	return c->root ||
	    (c->o->sandbox == SANDBOX_NAMESPACE && userns_maps(&c->o->uid_map, geteuid(), 0));
}

/* Is the worker's user namespace one that this daemon makes, where it has all capabilities? */
static bool
in_userns(const struct caller *c)
{
	return c->o->sandbox == SANDBOX_NAMESPACE && !c->root;
}

static const char *
first_name(uint64_t caps)
{
	return capng_capability_to_name((unsigned)__builtin_ctzll(caps));
}

/* What the worker keeps. Like virtiofsd, --modcaps is not even read for a daemon that does not run as root. */
static int
choose_caps(const struct caller *c, struct plan *p)
{
	static const char *const modes[] = {
		[HANDLES_PREFER] = "Prefer",
		[HANDLES_MANDATORY] = "Mandatory",
	};
	const bool handles = c->o->dev.file_handles != HANDLES_NEVER;
	uint64_t caps = WORKER_CAPS | (handles ? SET(DAC_READ_SEARCH) : 0), asked = 0;
	char err[MODCAPS_ERROR_MAX];

	if (c->o->modcaps != NULL && !becomes_root(c))
		log_warn("--modcaps has no effect: neither the caller nor anything of --uid-map is "
			 "uid 0");
	else if (c->o->modcaps != NULL && modcaps_apply(c->o->modcaps, &caps, &asked, err) != 0) {
		log_error("%s", err);
		return -EINVAL;
	}
	if (!in_userns(c) && (asked & ~c->caps) != 0) {
		log_error("--modcaps=+%s: the caller does not have this capability to give",
		    first_name(asked & ~c->caps));
		return -EPERM;
	}
	if (handles && (caps & SET(DAC_READ_SEARCH)) == 0) {
		log_error("can't disable DAC_READ_SEARCH when using --inode-file-handles=%s",
		    modes[c->o->dev.file_handles]);
		return -EINVAL;
	}
	/* By default this one is for the vault alone. */
	p->worker_caps = (caps & ~SET(DAC_READ_SEARCH)) | (asked & SET(DAC_READ_SEARCH));
	/* Root without some of the others goes on without them. */
	if (!in_userns(c))
		p->worker_caps &= c->caps;
	return 0;
}

/* Threads change their effective ids and back: there must be a way back. */
static int
check_map(const char *option, const struct id_map *map, uint32_t own)
{
	if (userns_maps(map, own, 0) || userns_maps_outside(map, own, own))
		return 0;
	return refuse(
	    -EINVAL, "%s maps neither anything to 0 nor %u, the caller's own", option, own);
}

static int
refuse_userns(int r, const struct userns_error *e)
{
	static const char *const remedy[] = {
		[USERNS_MAKE] = "allow user namespaces (sysctl user.max_user_namespaces, "
				"kernel.unprivileged_userns_clone; the container's seccomp "
				"profile), or use --sandbox=none",
		[USERNS_MAP] = "the ranges must be the caller's in /etc/subuid and /etc/subgid, "
			       "see newuidmap(1)",
		[USERNS_MOUNT] =
		    "let AppArmor (sysctl kernel.apparmor_restrict_unprivileged_userns) "
		    "allow it, or use --sandbox=none",
	};

	return refuse(r, "%s%s: %s", e->step == USERNS_MAP ? "couldn't setup id mappings: " : "",
	    e->text, remedy[e->step]);
}

static int
plan_userns(const struct caller *c, struct plan *p)
{
	const struct options *o = c->o;
	struct spawn_how *how = &p->how[CHILD_WORKER];
	struct userns_error e;
	int r;

	if ((r = check_map("--uid-map", &o->uid_map, geteuid())) != 0 ||
	    (r = check_map("--gid-map", &o->gid_map, getegid())) != 0)
		return r;
	if ((r = userns_new(&o->uid_map, &o->gid_map, how, &e)) != 0)
		return refuse_userns(r, &e);
	how->caps = SANDBOX_CAPS | p->worker_caps;
	if (userns_maps(&o->uid_map, geteuid(), 0))
		p->worker_flags |= WORKER_UID_0;
	if (userns_maps(&o->gid_map, getegid(), 0))
		p->worker_flags |= WORKER_GID_0;
	return 0;
}

static int
plan_worker(const struct caller *c, struct plan *p)
{
	struct spawn_how *how = &p->how[CHILD_WORKER];
	struct userns_error e;
	int r;

	if (in_userns(c))
		return plan_userns(c, p);
	if (c->o->sandbox == SANDBOX_NAMESPACE) {
		if ((r = userns_try(how, SPAWN_NAMESPACES, &e)) != 0)
			return refuse(r,
			    "%s: let seccomp and AppArmor profiles (of the container) allow it, "
			    "or use --sandbox=chroot",
			    e.text);
		return 0;
	}
	/* Mounts that the host makes are to be seen: in the mount namespace it stays. */
	if (has(c, SET(SYS_ADMIN)) &&
	    userns_try(how, SPAWN_NAMESPACES & ~(unsigned long)CLONE_NEWNS, &e) != 0)
		log_debug("no namespaces for the worker process: %s", e.text);
	/* Capabilities of a user who is not root are those of the ambient set. */
	if (!c->root)
		how->caps = c->caps & p->worker_caps;
	return 0;
}

/* Which uid and gid the front is to be: another one if this process may change to it. */
static int
choose_front_user(const struct caller *c, struct plan *p, bool *changes)
{
	int r;

	*changes = has(c, SET(SETUID) | SET(SETGID));
	if (!*changes && c->o->front_user != NULL) {
		log_error("--front-user needs CAP_SETUID and CAP_SETGID");
		return -EPERM;
	}
	if (!*changes)
		return 0;
	if ((r = checks_front_user(c->o->front_user, &p->front_uid, &p->front_gid)) != 0)
		return r;
	/* In a user namespace of someone else's making there may be no such user. */
	*changes = checks_id_is_mapped("/proc/self/uid_map", p->front_uid) &&
	    checks_id_is_mapped("/proc/self/gid_map", p->front_gid);
	if (*changes)
		return 0;
	if (c->o->front_user != NULL) {
		log_error("--front-user: this user namespace has no uid %u or no gid %u",
		    p->front_uid, p->front_gid);
		return -EINVAL;
	}
	p->front_uid = p->front_gid = 0;
	return 0;
}

/* In a user namespace of its own: another user, who alone has a number there, or the caller's, who has none. */
static int
front_in_userns(struct plan *p, bool changes, struct userns_error *e)
{
	struct id_range uid = { FRONT_INSIDE, p->front_uid, 1 },
			gid = { FRONT_INSIDE, p->front_gid, 1 };
	const struct id_map uids = { &uid, 1 }, gids = { &gid, 1 };
	struct spawn_how *how = &p->how[CHILD_FRONT];
	int r = userns_new(changes ? &uids : NULL, changes ? &gids : NULL, how, e);

	if (r != 0)
		return r;
	how->caps = SANDBOX_CAPS;
	if (changes)
		p->front_uid = p->front_gid = FRONT_INSIDE;
	return 0;
}

static int
plan_front(const struct caller *c, struct plan *p)
{
	struct spawn_how *how = &p->how[CHILD_FRONT];
	struct userns_error e;
	bool changes;
	int r;

	if ((r = choose_front_user(c, p, &changes)) != 0)
		return r;
	if (changes && has(c, SET(SYS_ADMIN)) && userns_try(how, SPAWN_NAMESPACES, &e) == 0)
		return 0;
	if (front_in_userns(p, changes, &e) == 0)
		return 0;
	p->front_flags |= FRONT_NO_NAMESPACES;
	log_warn("the front process gets no namespaces of its own: %s; %s no capabilities, and its "
		 "seccomp profile, are what is left",
	    e.text, changes ? "another user," : "");
	return 0;
}

/* May the vault open file handles? Tried with the shared directory itself. */
static int
plan_handles(const struct caller *c, int share, struct plan *p)
{
	const enum file_handles mode = c->o->dev.file_handles;
	int r;

	p->handles = false;
	/* What a handle brings back may have no path, and without private fd directory the worker opens by path. */
	if (c->o->sandbox == SANDBOX_CHROOT && !has(c, SET(SYS_ADMIN)) && mode == HANDLES_PREFER)
		return 0;
	if (mode == HANDLES_NEVER || (r = checks_handles(share)) == 0) {
		p->handles = mode != HANDLES_NEVER;
		return 0;
	}
	if (mode == HANDLES_MANDATORY) {
		log_error("Failed to open file handle for the root node: %s", strerrordesc_np(-r));
		return r;
	}
	/* A file system without handles: others below it may have them. */
	if (r == -EOPNOTSUPP || r == -EOVERFLOW) {
		p->handles = has(c, SET(DAC_READ_SEARCH));
		return 0;
	}
	log_warn(
	    "Failed to open file handle for the root node: %s: no file handles are used, inodes "
	    "that the guest knows are kept open",
	    strerrordesc_np(-r));
	return 0;
}

/* What the monitor keeps. */
static void
plan_monitor(const struct caller *c, struct plan *p)
{
	uint64_t spawn = p->worker_caps | SET(SETPCAP) | SET(SYS_ADMIN);

	if (c->o->sandbox != SANDBOX_NONE)
		spawn |= SET(SYS_CHROOT);
	/* A worker that enters its user namespace has there what it needs. */
	if (p->how[CHILD_WORKER].userns != -1)
		spawn = 0;
	/* open_by_handle_at() for the vault; the front has another uid */
	p->watch = c->caps & ((p->handles ? SET(DAC_READ_SEARCH) : 0) | SET(KILL));
	p->restart = p->watch | (c->caps & spawn);
}

int
plan_make(const struct options *o, int share, struct plan *p)
{
	const struct caller c = { .o = o, .caps = privs_caps(), .root = geteuid() == 0 };
	int r;

	*p = (struct plan){
		.how = { [CHILD_WORKER] = { .userns = -1 }, [CHILD_FRONT] = { .userns = -1 } }
	};
	if ((r = check_mode(&c)) != 0 || (r = choose_caps(&c, p)) != 0)
		return r;
	if (checks_drop_groups()) {
		p->worker_flags |= WORKER_DROP_GROUPS;
		p->front_flags |= FRONT_DROP_GROUPS;
		privs_drop_groups();
	}
	if ((r = plan_worker(&c, p)) != 0 || (r = plan_front(&c, p)) != 0 ||
	    (r = plan_handles(&c, share, p)) != 0)
		return r;
	plan_monitor(&c, p);
	return 0;
}

void
plan_keep(struct plan *p, uint64_t caps)
{
	caps &= privs_caps();
	p->watch |= caps;
	p->restart |= caps;
}

void
plan_close(struct plan *p, bool keep_worker)
{
	fd_close(&p->how[CHILD_FRONT].userns);
	if (!keep_worker)
		fd_close(&p->how[CHILD_WORKER].userns);
}
