/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything around a real worker process, for check_worker_*.c: the monitor that clones it into namespaces, a vault
 * served by a thread, and a front that speaks over two lanes. Needs root. Every wait ends after some seconds.
 */
#ifndef TESTS_UNIT_WORKER_RIG_H
#define TESTS_UNIT_WORKER_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include "monitor/tables.h"
#include "proto/control.h"
#include "proto/journal.h"
#include "proto/rpc.h"

#define RIG_LANES	2u
#define RIG_NODES	400000u
#define RIG_MOUNTS	64u
#define RIG_WAIT_MS	20000

struct rig_lane {
	int	sock;
	char	*arena;
	struct rpc_builder b;		/* requests being collected */
	_Alignas(8) char out[RPC_MSG_MAX];
	_Alignas(8) char in[RPC_MSG_MAX];	/* the last message of replies */
	int	fds[RPC_BATCH_MAX];
	size_t	nfds;
};

/* CHOWN DAC_OVERRIDE FOWNER FSETID SETGID SETUID MKNOD SETFCAP, as monitor/plan.c gives by default. */
#define RIG_CAPS UINT64_C(0x880000db)

struct rig_options {
	uint64_t caps;			/* what the worker keeps */
	enum sandbox_mode sandbox;
	enum seccomp_action seccomp;
	uint32_t fd_budget;
	struct ctl_device dev;
	rlim_t	nofile;			/* RLIMIT_NOFILE of the worker, 0 = ours */
	uid_t	uid;			/* rootless: uid and gid of the worker */
	struct tables_source tables;	/* as the command line */
};

struct rig {
	char	share[64];		/* a fresh directory under /var/tmp; or what the test put here before rig_start() */
	bool	own_share;
	struct rig_options opt;
	pid_t	pid;
	int	ctl, mntns, lifeline;
	struct rig_lane lane[RIG_LANES];
	uint32_t incarnation;
	int	journal_fd;
	struct journal_entry (*journal)[RPC_BATCH_MAX];	/* the page of each lane */
	char	log[4096];		/* what the worker said until READY, and at its end */
	/* what the vault counted */
	_Atomic unsigned puts, repeated, forgets, gets, got, resets, mounts;
	_Atomic unsigned pins, pin_messages, unpins, finds, found, holds, drops, fetches;
	_Atomic unsigned unmounts, keeps;
	_Atomic bool vault_full;	/* it says so when it is asked to KEEP */
	_Atomic unsigned refuse;	/* so many questions are answered: too many fds are in flight */
};

extern struct rig rig;

/* Make the share. Then start a worker: rig.opt may be changed in between. */
void	rig_setup(void);
void	rig_start(void);
void	rig_teardown(void);
/* Kill the worker and start another, as the monitor does: same vault, same mount namespace, new lanes. */
void	rig_restart(void);
/* The two halves of it: a test may prepare the journal in between. */
void	rig_kill(void);
void	rig_start_next(void);
/* Wait for the worker to end by itself; its wait status, or -1 if it does not within 5 s. */
int	rig_wait_exit(void);
/* How many nodes the vault remembers, and of how many it has the fd as well. */
unsigned rig_vault_nodes(void);
unsigned rig_vault_pinned(void);
/* fds the worker has open. */
unsigned rig_open_fds(void);
/* Path of a name in the share, in a static buffer (two in turn). */
const char *rig_path(const char *name);

/* worker_rig_front.c */
/* Collect a request on a lane; returns it to be filled in. */
void	*rig_add(unsigned lane, uint16_t op, const void *x, size_t nx, const char *name1, const char *name2);
/* Send what was collected; receive one message of replies, check it, return the first. NULL if the worker has gone. */
void	rig_send(unsigned lane);
struct rpc_hdr *rig_recv(unsigned lane);
/* Both, for one request on lane 0. The test fails when there is no answer. */
struct rpc_hdr *rig_call(void);

/* Whole operations on lane 0. Return a negative errno, or what the op is about. */
int64_t	rig_lookup(uint64_t dir, const char *name);		/* the node */
int64_t	rig_lookup_attr(uint64_t dir, const char *name, struct rpc_entry_body *);
int	rig_getattr(uint64_t node, struct rpc_attr *);
int	rig_forget(uint64_t node, uint32_t n);
int	rig_reset(void);
/* flags, oflags as in rpc_open; the donated fd to *fd (or -1). */
int	rig_open(uint64_t node, uint64_t fh, uint32_t flags, uint32_t oflags, int *fd);
int	rig_opendir(uint64_t node, uint64_t fh);
/* A request of the rpc_create family, uid and gid 0 unless the test changes them before rig_call(). */
struct rpc_create *rig_make(uint16_t op, uint64_t dir, const char *name, const char *target, uint32_t mode);
/* Mark the request just added as sent before; under this tag. */
void	rig_replay(void *request, uint64_t tag);
/* The same, called: the node. */
int64_t	rig_made(uint16_t op, uint64_t dir, const char *name, const char *target, uint32_t mode);
/* READ or WRITE through the arena of lane 0. Returns the count. */
int64_t	rig_io(uint16_t op, struct rpc_file, uint64_t offset, void *data, uint32_t size, uint32_t ioflags);

/* What the vault counts becomes true a little after the reply. */
#define RIG_EVENTUALLY(expr)							\
	do {									\
		for (unsigned tries_ = 0; !(expr) && tries_ < 200; tries_++)	\
			usleep(10000);						\
		ck_assert(expr);						\
	} while (0)

/* worker_rig_tools.c */
void	rig_host_file(const char *name);		/* an empty new file in the share */
ino_t	rig_host_ino(const char *name);
unsigned rig_host_count(void);			/* names in the share's root */
int	rig_remove(uint16_t op, uint64_t dir, const char *name);	/* UNLINK, RMDIR */
/* Look up the names 0, 1, ... n-1, in batches; ino may be NULL. */
void	rig_lookup_many(uint64_t dir, unsigned n, uint64_t *node, uint64_t *ino);
/* Push every other inode's fd out of the cache. */
void	rig_flood(void);
/*
 * Read a directory of files "name-<nr>..." with handle 5 (once: without one) in pieces of size bytes; mark them in
 * seen[0..n-1] and count . and .. in dots. Returns how many.
 */
unsigned rig_list(uint64_t dir, uint16_t op, uint32_t size, bool *seen, unsigned n, unsigned *dots, bool once);
/* Setup with the default options. A test case of its own for t. Run them all: the exit status. */
void	rig_plain(void);
void	rig_add_test(Suite *, const TTest *t, SFun setup, SFun teardown, int loops);
int	rig_run(Suite *);

#endif
