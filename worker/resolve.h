/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what a request says to an inode with an fd: by node id (through the vault if need be), by name, by fd. And the
 * only functions of the worker that open. Runs in: worker.
 */
#ifndef WORKER_RESOLVE_H
#define WORKER_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/attr.h"
#include "worker/inode.h"

struct lane;

/* The decimal name of an fd in FD_DIR. */
struct fd_name {
	char s[12];
};
struct fd_name fd_name(int fd);

/* openat()/openat2() with O_CLOEXEC that make room when this process has no fd left. fd >= 0 or a negative errno. */
int open_fd_dir(int fd, int flags);
int open_beneath(int dir, const char *name, uint64_t flags, mode_t mode);

/* statx of basic attributes and mount id: of dir/name (last symlink not followed), or of the fd dir if name is "". */
int resolve_statx(int dir, const char *name, struct statx *) ATTR_MUSTCHECK;
void resolve_key(const struct statx *, struct inode_key *);
/* Everything about the inode of fd. */
int resolve_ident(int fd, struct inode_ident *, struct statx *) ATTR_MUSTCHECK;

/* The inode of a node id, with a reference and a live fd. -ESTALE if it cannot be had any more. */
int resolve_node(uint64_t node, struct inode **) ATTR_MUSTCHECK;
/* Fetch the inodes of a checked batch of requests that have no live fd, all at once. */
void resolve_batch(void *msg);

/*
 * Look a name up in a directory (dirfd: an fd of it). Counts an entry reply. Returns the inode with a reference and its
 * attributes.
 */
int resolve_name(int dirfd, const char *name, struct inode **, struct statx *) ATTR_MUSTCHECK;
/*
 * The same where look-ups come in series: *fresh counts those in a row that met inodes unknown here, and then the order is
 * turned round: opened at once, without a statx that would find nothing.
 */
int resolve_guess(int dirfd, const char *name, uint8_t *fresh, struct inode **in,
    struct statx *st) ATTR_MUSTCHECK;
/* The same without trying the hot path first, for names that are probably new. */
int resolve_new_name(int dirfd, const char *name, struct inode **, struct statx *) ATTR_MUSTCHECK;
/* The same for the inode of an open fd (not taken over) of a file just made. */
int resolve_created(int fd, struct inode **, struct statx *) ATTR_MUSTCHECK;
/*
 * The inode behind a name if the guest may know it, with a reference and a live fd, or NULL. Counts nothing. *st: its
 * attributes; returns 0, or a negative errno if the name is not there (*in is NULL).
 */
int resolve_known(int dirfd, const char *name, struct inode **, struct statx *st) ATTR_MUSTCHECK;

/*
 * After a restart: find out in one question what earlier workers called the inodes behind n (<= RESOLVE_AHEAD) names that
 * are about to be looked up. They are counted as named until resolve_ahead_end().
 */
#define RESOLVE_AHEAD 32u
struct resolve_ahead {
	struct inode *in[RESOLVE_AHEAD];
	unsigned n;
};
void resolve_ahead(int dirfd, const char *const *name, unsigned n, struct resolve_ahead *);
void resolve_ahead_end(struct lane *, struct resolve_ahead *);

/*
 * Around taking nodes out of the table and telling the vault. After a restart, an inode that is in neither of both must
 * not be asked for in between; nothing is locked in the first worker.
 */
void resolve_forget_begin(void);
void resolve_forget_end(struct lane *);

/*
 * An entry reply that was counted is not sent: take it back, and the caller's reference. It may be the last one, if the
 * guest has forgotten all others meanwhile, and then nobody else tells the vault.
 */
void resolve_unname(struct lane *, struct inode *);

/*
 * Open an inode again with these Linux O_* flags. Only regular files and directories are ever opened: -EBADF for
 * everything else.
 */
int resolve_open(const struct inode *, int flags);

#endif
