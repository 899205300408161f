/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's operations: one function op_NAME for each row of RPC_OPS (a missing one does not link), and what they
 * share. An operation gets a request that rpc_check() accepted and returns 0 after it made its reply, or a negative errno
 * that becomes the reply. Runs in: worker, lane threads.
 */
#ifndef WORKER_OPS_H
#define WORKER_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proto/rpc.h"
#include "worker/inode.h"
#include "worker/lane.h"

typedef int op_handler(struct lane *, const struct rpc_hdr *);

#define X(NAME, ...) op_handler op_##NAME;
RPC_OPS(X)
#undef X

/* What the START message says of the device. ops_init(): before threads exist. */
void ops_init(const struct ctl_device *);
const struct ctl_device *ops_device(void);
bool ops_readonly(void);
/* The O_* flags of the guest that may reach a file. */
int ops_open_mask(void);
/* Was RPC_OPEN_READ_TOO denied? flags: as ops_open() left them. */
bool ops_is_wronly(uint32_t flags, uint32_t oflags);

/*
 * The host's name of an xattr; xflags: RPC_XATTR_ACL. Returns 0, -EOPNOTSUPP (names of POSIX ACLs that were not negotiated;
 * what the map says is not there), -EPERM (the map denies it), -ERANGE. Names of a list: NULL = the guest does not see it.
 */
int ops_xattr_name(const char *guest, uint32_t xflags, char host[static RPC_XATTR_MAX + 1]);
const char *ops_xattr_listed(const char *host, uint32_t xflags);

/* Fill an entry reply; parent decides whether it is a submount (NULL: it is not). */
void ops_entry(struct rpc_entry_body *, const struct inode *, const struct inode *parent,
    const struct statx *);
void ops_attr(struct rpc_attr *, const struct statx *);

/*
 * The answer of every operation that makes or finds a name: in is handed to the vault and put (its reference is taken over).
 * Returns 0, or -ENFILE: there are too many inodes, and the entry does not count.
 */
int ops_reply_entry(struct lane *, const struct rpc_hdr *, struct inode *in, struct inode *parent,
    const struct statx *);

/*
 * names.c: Before a batch is served: the vault hears in one message what its removals will take the last name from. Each of
 * them looks again.
 */
void ops_ahead(struct lane *);

/* As lane_reply(), for operations without results. */
int ops_reply_ok(struct lane *, const struct rpc_hdr *);
int ops_reply_count(struct lane *, const struct rpc_hdr *, uint64_t count);

/*
 * Settle a freshly opened file (fd taken over): into the cache under fh, or to be donated with the reply. Returns 1 if
 * the caller shall call lane_donate() with fd, 0 if it is cached, or a negative errno (closed).
 */
int ops_settle_open(int fd, struct inode *, uint64_t fh, int flags, uint32_t oflags, mode_t);

/*
 * Open an inode for a guest, by flags (in: as requested; out: as opened), oflags and gid of an OPEN request; checks what
 * was opened. *st: its attributes then.
 */
int ops_open(const struct inode *, uint32_t *flags, uint32_t oflags, uint32_t gid,
    struct statx *st) ATTR_MUSTCHECK;
/*
 * The same for a caller that wants its mode alone: the set-id bits of it are right for a file that is opened to be written
 * to, where they matter; otherwise there is only the type, which is known.
 */
int ops_open_mode(const struct inode *, uint32_t *flags, uint32_t oflags, uint32_t gid,
    mode_t *mode) ATTR_MUSTCHECK;

#endif
