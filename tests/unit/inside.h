/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What check_inside.c and inside_*.c share: a process in the sandbox of one of the roles, and the attempts it makes to
 * get out. Part of a test that runs as root.
 */
#ifndef TESTS_UNIT_INSIDE_H
#define TESTS_UNIT_INSIDE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/spawn.h"
#include "proto/control.h"

#define CORE_PATTERN "proc/sys/kernel/core_pattern"

enum inside_role {
	INSIDE_CONTROL, /* no sandbox: the host's tree and all capabilities; shows that an attempt can succeed */
	INSIDE_FRONT,
	INSIDE_WORKER, /* the first worker: it makes its mount namespace */
	INSIDE_WORKER_AGAIN, /* a later one: it enters that namespace */
};

struct inside_handle {
	struct file_handle h;
	unsigned char bytes[MAX_HANDLE_SZ];
};

/*
 * What an attempt may know: more than a real attacker would. Made on the host by inside_run(); root, mnt and cwd are
 * set inside.
 */
struct inside {
	char base[32]; /* a directory of the host: base/share is shared, base/secret is not */
	char secret[64]; /* absolute path of base/secret */
	int root; /* O_PATH of the shared directory; -1 in the front */
	const char *mnt; /* a directory that something can be mounted on */
	pid_t host_pid; /* of a process of the host with uid 0, in the host's pid namespace */
	int host_dir; /* an fd of base in that process */
	dev_t disk; /* of the host's root */
	struct inside_handle h_root, h_secret, h_mntns, h_process;
	char abstract[32]; /* name of a listening abstract socket, without its NUL */
	uint16_t port; /* a listening port of 127.0.0.1, network order */
	key_t key; /* a System V message queue */
};
extern struct inside inside;
/* Of the worker. */
extern const struct spawn_how inside_how;

/* Any combination; may be 0. */
#define INSIDE_CONTROL_REACHES 0x1 /* without a sandbox this succeeds */
#define INSIDE_USER_REACHES 0x2 /* the same as root of a new user namespace */

struct inside_attempt {
	const char *name;
	/* Returns 0 if something of the host was reached, else a negative errno. */
	int (*try)(const char *arg);
	const char *arg;
	unsigned control;
};
extern const struct inside_attempt inside_attempts[];
extern const int inside_attempts_n;

/*
 * Start the role, let it make one attempt (user: as root of a user namespace of its own, with new namespaces of all
 * kinds), clean up, and return what the attempt returned. Aborts the test if the role could not be set up or did not report.
 */
int inside_run(enum inside_role, const struct inside_attempt *, bool user);

/*
 * Do the worker's steps from the host's tree into its sandbox work under the profile that it inherits from a monitor that
 * restarts workers? again: a later worker. Fails the test if not.
 */
void inside_restart(bool again);

/* The second suite: a system call under the profile of a process. */
enum inside_profile {
	PROFILE_FRONT,
	PROFILE_WORKER,
	PROFILE_MONITOR, /* without restarts */
	PROFILE_VAULT,
	PROFILE_RESTART, /* the monitor's with all that a worker's start takes */
	PROFILE_LOCKS, /* the front's with --posix-lock and --flock */
	PROFILES
};
#define F_ (UNLOCKED_ | LOCKS_)
#define UNLOCKED_ (1u << PROFILE_FRONT)
#define LOCKS_ (1u << PROFILE_LOCKS)
#define W_ (1u << PROFILE_WORKER)
#define M_ (1u << PROFILE_MONITOR)
#define V_ (1u << PROFILE_VAULT)
#define R_ (1u << PROFILE_RESTART)
#define MV_ (M_ | V_)
#define ALL_ (F_ | W_ | MV_)

/* What the monitor is told to be the directory of its socket. Not open. */
#define INSIDE_SOCKET_DIR 77

struct inside_call {
	const char *name;
	unsigned who; /* profiles that must not let it through: F_, W_, M_, V_, R_ */
	long nr;
	long arg[6];
};
/* Must end the process by SIGSYS. The arguments do no harm should the call be let through. */
extern const struct inside_call inside_forbidden[];
extern const int inside_forbidden_n;
/* Must fail with ENOSYS. */
extern const struct inside_call inside_probes[];
extern const int inside_probes_n;

/* Calls that each process makes in normal service. */
struct inside_work {
	const char *name;
	unsigned who;
	/* Called before the profile is loaded; may be NULL. */
	void (*prepare)(void);
	/* Called with the profile loaded. Returns 0, or -1 if the call in *inside_line failed. */
	int (*work)(void);
};
extern volatile int *inside_line; /* in shared memory */
extern const struct inside_work inside_works[];
extern const int inside_works_n;

#endif
