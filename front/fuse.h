/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FUSE as the guest speaks it: the operations and what they share. Layouts are those of <linux/fuse.h>; rules those of
 * spec/fuse.md. Runs in: front.
 */
#ifndef FRONT_FUSE_H
#define FRONT_FUSE_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "front/front.h"
#include "proto/rpc.h"

/* Newer than this machine's <linux/fuse.h>. */
#ifndef FUSE_CREATE_SUPP_GROUP
#define FUSE_CREATE_SUPP_GROUP (1ULL << 34)
#endif
#ifndef FUSE_ALLOW_IDMAP
#define FUSE_ALLOW_IDMAP (1ULL << 40)
#endif
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#endif
#define FUSE_EXTENSION_GROUPS 32u /* enum fuse_ext_type, FUSE_EXT_GROUPS */

/*
 * An operation. arg: the fixed part, in private memory, 8-aligned; var: what follows it, varlen bytes, likewise private.
 * Returns 0: the request is answered or on its way; or a negative errno to answer with.
 */
typedef int (*fuse_fn)(struct request *, const void *arg, const char *var, size_t varlen);

#define FUSE_FN(name) int name(struct request *, const void *, const char *, size_t)

/* session.c */
FUSE_FN(fuse_init);
FUSE_FN(fuse_destroy);
FUSE_FN(fuse_forget);
FUSE_FN(fuse_batch_forget);
FUSE_FN(fuse_interrupt);
/* fuse_names.c */
FUSE_FN(fuse_lookup);
FUSE_FN(fuse_readlink);
FUSE_FN(fuse_symlink);
FUSE_FN(fuse_mknod);
FUSE_FN(fuse_mkdir);
FUSE_FN(fuse_unlink);
FUSE_FN(fuse_rmdir);
FUSE_FN(fuse_rename);
FUSE_FN(fuse_rename2);
FUSE_FN(fuse_link);
FUSE_FN(fuse_create);
FUSE_FN(fuse_tmpfile);
/* fuse_attr.c */
FUSE_FN(fuse_getattr);
FUSE_FN(fuse_setattr);
FUSE_FN(fuse_statfs);
FUSE_FN(fuse_access);
FUSE_FN(fuse_setxattr);
FUSE_FN(fuse_getxattr);
FUSE_FN(fuse_listxattr);
FUSE_FN(fuse_removexattr);
/* fuse_file.c */
FUSE_FN(fuse_flush);
FUSE_FN(fuse_fsync);
FUSE_FN(fuse_fallocate);
FUSE_FN(fuse_lseek);
FUSE_FN(fuse_copy_file_range);
FUSE_FN(fuse_syncfs);
FUSE_FN(fuse_fsyncdir);
/* fuse_open.c */
FUSE_FN(fuse_open);
FUSE_FN(fuse_release);
FUSE_FN(fuse_opendir);
FUSE_FN(fuse_releasedir);
/* fuse_dir.c */
FUSE_FN(fuse_readdir);
FUSE_FN(fuse_readdirplus);
/* fuse_lock.c */
FUSE_FN(fuse_getlk);
FUSE_FN(fuse_setlk);
FUSE_FN(fuse_setlkw);
/* fuse_statx.c */
FUSE_FN(fuse_statx);
/* fuse_ioctl.c */
FUSE_FN(fuse_ioctl);
/* data.c */
FUSE_FN(fuse_read);
FUSE_FN(fuse_write);

/* reply.c: answer a request and finish it. All give back the references to handles that the request holds. */
void reply_error(struct request *, int error); /* error: 0 or negative */
void reply_body(struct request *, const void *body, size_t len);
/* reply.c: the body is in the guest's buffers already (len bytes of it). */
void reply_in_place(struct request *, size_t len);
/* reply.c: no reply at all; the chain goes back with length 0. */
void reply_none(struct request *);
/* reply.c: copy into the reply's body at off, as far as there is room; returns the bytes copied. */
size_t reply_copy(struct request *, size_t off, const void *src, size_t len);
/* reply.c: Room for the body. */
size_t reply_room(const struct request *);
/* reply.c: A lane_done for operations without a result. */
void reply_done(struct request *, struct lane *, const struct rpc_hdr *, int);

/* reply.c: The guest's form of what the worker said. */
void attr_to_fuse(struct fuse_attr *, const struct rpc_attr *);
/* reply.c: Count the node, which the guest will see, and fill in the entry. Returns 0 or -ENOMEM (not counted). */
int entry_to_fuse(struct request *, const struct lane *, struct fuse_entry_out *,
    const struct rpc_entry_body *) ATTR_MUSTCHECK;

/*
 * lies.c: What is wrong with this reply, whose form rpc_check() has accepted, to r on l; or NULL. After NULL a listing
 * stands checked in the queue's bulk buffer until the next reply.
 */
const char *reply_lie(const struct request *, const struct lane *, const struct rpc_hdr *);

/* fuse.c: Take one NUL-terminated name from var. Returns 0, -EINVAL (no NUL), or what rpc_check_name() says. */
int fuse_name(
    enum rpc_kind, const char **var, size_t *varlen, const char **name, size_t *len) ATTR_MUSTCHECK;

/* fuse_lock.c: The process that is this owner closes the node; the handle is released; everything ends. */
void locks_flush(const struct request *, uint64_t owner);
void locks_release(const struct request *, uint64_t fh);
void locks_wipe(void);

/* fuse_open.c: what the worker must know to serve this handle. */
struct rpc_file file_of(const struct handle *, bool once);
/*
 * fuse_open.c: the same, to change its content for the request's caller; kill: as one without CAP_FSETID, whose changes
 * cost a file its set-id bits.
 */
struct rpc_file file_to_change(const struct request *, const struct handle *, bool kill);
/*
 * fuse_open.c: FALLOCATE and COPY_FILE_RANGE have no flag that asks for that: with HANDLE_KILLPRIV_V2 every caller but
 * root is meant. Guests that know ALLOW_IDMAP name no caller (id -1): they have sent a SETATTR of nothing, see there.
 */
bool caller_is_plain(const struct request *);
/* fuse_open.c: how the worker shall open, from the guest's flags (O_* and FUSE_OPEN_*). */
struct open_how {
	uint32_t flags; /* O_* */
	uint32_t oflags; /* RPC_OPEN_* */
};
void open_how(const struct request *, uint32_t guest, uint32_t fuse_flags, struct open_how *);
/*
 * fuse_open.c: The worker opened the file of r->h: complete the handle with the donated fd (-1: none; taken over) and let
 * the guest have it. wronly: RPC_OPEN_READ_TOO was denied. Returns its fh.
 */
uint64_t handle_open(struct request *, uint64_t node, uint32_t mode, bool wronly, int fd);
/*
 * fuse_file.c: Have run() ask the kernel about the donated file of r->h, and answer: at once, or in the pool where that took
 * long lately: a server that is slow must not hold up the queue.
 */
void ask_file(struct request *, void (*run)(struct request *));
/*
 * fuse_file.c: The worker shall do it: call lane_op(), which returns 0 or the error to reply, in the queue's thread. That is for
 * files marked as set-id ones meanwhile, and for what this process is refused on an open file: some file systems judge by who
 * asks now (network file systems with credentials of their own, FALLOCATE on ZFS). And for what goes on over the lane.
 */
void leave_to_worker(struct request *, int (*lane_op)(struct request *));
bool is_refused(int error);
/* fuse_attr.c: Set-id bits that the host or another guest has set: this one knows of them now, and its writes shall keep them. */
void note_setid(struct request *, uint32_t mode);
/* fuse_open.c: The last reference may close a file, which may take long: then in the pool. */
void handle_drop(struct handle *);

#endif
