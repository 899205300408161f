/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane protocol between front and worker.
 *
 * A lane is a SOCK_SEQPACKET socketpair with one front queue thread at one end and one worker thread at the other, and
 * an arena: a sealed memfd mapped by both, through which large data travels. A message is a batch: struct rpc_batch,
 * then 1..RPC_BATCH_MAX elements, all requests (front to worker) or all replies (worker to front). An element is
 *
 *	struct rpc_<request or reply>, which begins with struct rpc_hdr
 *	x[nx]	an array (supplementary groups, nodes to forget), nx elements of the size RPC_OPS names
 *	name1	n1 bytes, the last one NUL; 0 = absent
 *	name2	n2 bytes, likewise
 *	zeros up to a multiple of 8
 *
 * in this order; hdr.len counts all of it. Both processes are of the same build and machine: host byte order, no
 * versions. Each side checks what it receives with rpc_check() before it uses a byte of it. A worker that breaks a rule is
 * replaced; a worker to which the front breaks one ends itself, and if that repeats, the session ends.
 *
 * Every request is self-contained: handles of the worker are caches that any worker rebuilds from node, flags and offset.
 * This header is the only description of the protocol: RPC_OPS generates the checker's table, the names in the logs, the
 * worker's dispatch table and the manual page's list.
 */
#ifndef PROTO_RPC_H
#define PROTO_RPC_H

#include <assert.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_ALIGN 8u
#define RPC_MSG_MAX 16384u /* a whole message, struct rpc_batch included */
#define RPC_BATCH_MAX 64u
#define RPC_NAME_MAX 1024u /* a component, without NUL: what all Linux guests accept */
#define RPC_TARGET_MAX 4095u /* symlink target, without NUL */
#define RPC_XATTR_MAX 255u /* xattr name, without NUL */
#define RPC_GROUPS_MAX 64u /* in x; more of them in the arena */
#define RPC_GROUPS_ARENA_MAX 65536u /* the kernel's NGROUPS_MAX */
#define RPC_LABEL_MAX 65536u /* value of a security label; the kernel's XATTR_SIZE_MAX */
#define RPC_FORGETS_MAX 64u
#define RPC_ARENA_SIZE (4u << 20) /* of one lane */
#define RPC_IO_MAX (1u << 20) /* largest READ, WRITE, READDIR, xattr value */
#define RPC_UNANSWERED_MAX \
	4u /* messages the front may have out on a lane: nobody ever blocks in send */
#define RPC_LANES_MAX 80u /* lane 0 serves the high-priority queue */

/* clang-format off */
struct rpc_batch {
	uint32_t len;			/* of the whole message */
	uint16_t count;
	uint16_t cpu;			/* where the sender ran */
};

struct rpc_hdr {
	uint32_t len;			/* of the element, padding included */
	uint16_t op;
	uint16_t flags;			/* RPC_F_* */
	uint64_t tag;			/* the front's; returned unchanged */
	int32_t	error;			/* reply: 0 or a negative errno, then only the header is meaningful; request: 0 */
	uint16_t n1, n2;		/* bytes of the names, NUL included */
	uint16_t nx;			/* elements of x */
	uint16_t pad0;
	uint32_t aoff, alen;		/* extent of the arena; alen 0 = none */
	uint32_t pad1;
};

#define RPC_F_REPLAY	0x0001		/* request: sent before, to a worker that died */
#define RPC_F_FD	0x0002		/* reply: the next fd of the message belongs to it */

struct rpc_attr {
	uint64_t ino, size, blocks;
	int64_t	atime, mtime, ctime;
	uint32_t atimensec, mtimensec, ctimensec;
	uint32_t mode, nlink, uid, gid, rdev, blksize, pad;
};

struct rpc_entry_body {
	uint64_t node;
	uint32_t flags;			/* RPC_ENTRY_* */
	uint32_t pad;
	struct rpc_attr attr;
};
#define RPC_ENTRY_SUBMOUNT 0x1		/* a directory on another mount or device than its parent */
#define RPC_ENTRY_WRONLY 0x2		/* CREATE: as RPC_OPENED_WRONLY */

/* Which open file of the guest a request is about. */
struct rpc_file {
	uint64_t node;
	uint64_t fh;			/* the front's id; the worker's key of its cache */
	uint32_t flags;			/* the open flags the file had (Linux O_*), to open it again */
	uint32_t hflags;		/* RPC_FILE_* */
	uint32_t gid;			/* RPC_FILE_KILLPRIV: the caller's group, RPC_NO_GID if unknown */
	uint32_t pad;
};
#define RPC_FILE_HANDLE	0x1		/* fh is meant; else only node */
#define RPC_FILE_ONCE	0x2		/* do not cache the open file: its data plane is in the front */
#define RPC_FILE_KILLPRIV 0x4		/* a change of size or content, or of nothing, drops set-id bits as for a caller without CAP_FSETID */
#define RPC_NO_GID	UINT32_MAX

/* Requests */
struct rpc_none { struct rpc_hdr h; };
struct rpc_node { struct rpc_hdr h; uint64_t node; };		/* also LOOKUP etc.: the parent */
/*
 * x of FORGET: the guest has no look-up of node left; the worker of this incarnation named it so often. A worker of
 * another incarnation takes named for 0.
 */
struct rpc_forget1 { uint64_t node; uint32_t named, incarnation; };
struct rpc_getattr { struct rpc_hdr h; struct rpc_file f; };
struct rpc_setattr {
	struct rpc_hdr h;
	struct rpc_file f;
	uint32_t valid;			/* RPC_SET_* */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t	atime, mtime;
	uint32_t atimensec, mtimensec;
};
#define RPC_SET_MODE	0x001
#define RPC_SET_UID	0x002
#define RPC_SET_GID	0x004
#define RPC_SET_SIZE	0x008
#define RPC_SET_ATIME	0x010
#define RPC_SET_MTIME	0x020
#define RPC_SET_ATIME_NOW 0x040
#define RPC_SET_MTIME_NOW 0x080
#define RPC_SET_ALL	0x0ff

/*
 * SYMLINK, MKNOD, MKDIR, CREATE, TMPFILE: made as uid and gid with the groups in x, or (ngroups > 0) with more of them in the arena.
 * A security label is set before anything is answered, or nothing was made. The arena extent holds: the xattr's name as the
 * guest has it (without NUL), its value, zeros up to a multiple of 4, ngroups of uint32_t.
 */
struct rpc_create {
	struct rpc_hdr h;
	uint64_t dir;
	uint64_t fh;			/* CREATE, TMPFILE: as in rpc_open */
	uint32_t uid, gid;
	uint32_t mode, umask, rdev;
	uint32_t flags;			/* CREATE, TMPFILE: Linux O_* */
	uint32_t oflags;		/* RPC_OPEN_* and RPC_CREATE_* */
	uint32_t label_name;		/* bytes of the label's name; 0 = no label */
	uint32_t label_size;		/* bytes of its value, <= RPC_LABEL_MAX */
	uint32_t ngroups;		/* in the arena, <= RPC_GROUPS_ARENA_MAX; then x is empty */
};
#define RPC_CREATE_GROUPS 0x100		/* the guest says which groups matter: those given and no others */
#define RPC_CREATE_ACL	0x200		/* the guest has POSIX ACLs: see RPC_XATTR_ACL */
#define RPC_CREATE_ALL	(RPC_CREATE_GROUPS | RPC_CREATE_ACL)
/* Where in the extent the groups begin. */
#define RPC_CREATE_GROUPS_AT(label_name, label_size) (((label_name) + (label_size) + 3u) & ~3u)

struct rpc_rename { struct rpc_hdr h; uint64_t olddir, newdir; uint32_t flags, pad; };
struct rpc_link { struct rpc_hdr h; uint64_t node, newdir; };
/* LOCKOPEN: an open file to be locked and nothing else; flags O_RDONLY or O_RDWR, the rest 0. */
struct rpc_open {
	struct rpc_hdr h;
	uint64_t node, fh;
	uint32_t flags;			/* Linux O_* */
	uint32_t oflags;		/* RPC_OPEN_* */
	uint32_t gid;			/* as in rpc_file, with RPC_OPEN_KILLPRIV */
	uint32_t pad;
};
#define RPC_OPEN_KILLPRIV 0x1		/* O_TRUNC drops set-id bits as for a caller without CAP_FSETID */
#define RPC_OPEN_NODONATE 0x2		/* the front wants no fd */
#define RPC_OPEN_READ_TOO 0x4		/* O_RDWR stands for O_WRONLY: where it is denied, O_WRONLY will do */
#define RPC_OPEN_ALL	(RPC_OPEN_KILLPRIV | RPC_OPEN_NODONATE | RPC_OPEN_READ_TOO)

/* READ, WRITE, READDIR, READDIRPLUS: data in the arena extent. */
struct rpc_io {
	struct rpc_hdr h;
	struct rpc_file f;
	uint64_t offset;		/* READDIR: as given by an earlier entry */
	uint32_t size;			/* <= hdr.alen */
	uint32_t ioflags;		/* RPC_IO_* */
};
#define RPC_IO_APPEND	0x1
#define RPC_IO_ALL	0x1

struct rpc_sync { struct rpc_hdr h; struct rpc_file f; uint32_t datasync, isdir; };
struct rpc_statx { struct rpc_hdr h; struct rpc_file f; uint32_t sync, pad; };	/* sync: 0 or AT_STATX_*_SYNC */
/* FLAGS_GET, FLAGS_SET: the inode flags of ioctl_iflags(2) or, extended, the attributes of ioctl_xfs_fsgetxattr(2). */
struct rpc_flags {
	struct rpc_hdr h;
	uint64_t node;
	uint32_t extended;		/* 0 or 1; 0: only flags is meant */
	uint32_t flags;			/* FS_*_FL, extended FS_XFLAG_*; FLAGS_GET: 0, as all that follows */
	uint32_t extsize, projid, cowextsize, pad;
};
struct rpc_access { struct rpc_hdr h; uint64_t node; uint32_t uid, gid, mask, pad; };
struct rpc_xattr {
	struct rpc_hdr h;
	uint64_t node;
	uint32_t size;			/* of the value in the arena, or of the room for it; REMOVEXATTR: 0 */
	uint32_t flags;			/* SETXATTR: Linux XATTR_* */
	uint32_t xflags;		/* RPC_XATTR_* */
	uint32_t pad;
};
#define RPC_XATTR_ACL	0x1		/* POSIX ACLs were negotiated: their names are served */
#define RPC_XATTR_KILL_SGID 0x2		/* SETXATTR of an access ACL by a caller who is not of the file's group */
#define RPC_XATTR_ALL	0x3
struct rpc_fallocate { struct rpc_hdr h; struct rpc_file f; uint64_t offset, length; uint32_t mode, pad; };
/* What Linux's guests ask for. What moves the data behind it (COLLAPSE_RANGE, INSERT_RANGE) must not be done twice. */
#define RPC_FALLOCATE_MODES (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)
struct rpc_lseek { struct rpc_hdr h; struct rpc_file f; uint64_t offset; uint32_t whence, pad; };
struct rpc_copy {
	struct rpc_hdr h;
	struct rpc_file in, out;
	uint64_t off_in, off_out, len;
	uint32_t flags, pad;
};

/* Replies */
struct rpc_entry { struct rpc_hdr h; struct rpc_entry_body e; };
struct rpc_attr_reply { struct rpc_hdr h; struct rpc_attr attr; };
struct rpc_statx_reply {
	struct rpc_hdr h;
	struct rpc_attr attr;
	uint64_t attributes, attributes_mask;	/* STATX_ATTR_* */
	int64_t	btime;
	uint32_t btimensec, mask;	/* mask: STATX_BASIC_STATS, and STATX_BTIME if there is one */
};
struct rpc_flags_reply {
	struct rpc_hdr h;
	uint32_t flags, extsize, nextents, projid, cowextsize, pad;
};
/* The file is open. RPC_F_FD: a regular file, donated; else the worker's to serve (handle requests over the lane). */
struct rpc_opened { struct rpc_hdr h; uint32_t mode, flags; };	/* RPC_OPENED_* */
#define RPC_OPENED_WRONLY 0x1		/* RPC_OPEN_READ_TOO: it was denied */
#define RPC_OPENED_RDONLY 0x2		/* LOCKOPEN: writing was denied */
struct rpc_created { struct rpc_hdr h; struct rpc_entry_body e; };
struct rpc_count { struct rpc_hdr h; uint64_t count; };	/* bytes moved, size of a value, offset of LSEEK */
struct rpc_statfs { struct rpc_hdr h; uint64_t blocks, bfree, bavail, files, ffree; uint32_t bsize, namelen, frsize, pad; };
/* clang-format on */

/*
 * What READDIR and READDIRPLUS put into the arena: records of the sizes that FUSE's own will have, so that what fits
 * here fits there. A plus record is a rpc_direntplus followed by its rpc_dirent; node 0 = not looked up (. and ..,
 * or vanished meanwhile).
 */
struct rpc_dirent {
	uint64_t ino, off;
	uint32_t namelen, type;
	/* name follows, no NUL, zeros up to a multiple of 8 */
};
struct rpc_direntplus {
	struct rpc_entry_body e;
	uint8_t pad[24];
};

/* kind of a name */
enum rpc_kind {
	RPC_K_NONE,
	RPC_K_LOOKUP, /* a component, or "." or ".." */
	RPC_K_COMP, /* a component */
	RPC_K_TARGET, /* a symlink's content: 1..4095 bytes, no NUL */
	RPC_K_XATTR /* 1..255 bytes, no NUL */
};

/* what an op does with its arena extent */
enum rpc_arena { RPC_A_NONE, RPC_A_IN /* front wrote it */, RPC_A_OUT /* worker writes it */ };

/* flags of an op */
#define RPC_OP_MUTATES 0x1 /* changes the share: refused when read-only */
#define RPC_OP_FD 0x2 /* its reply may carry an fd */
#define RPC_OP_ONCE 0x4 /* not idempotent: a replay must not do it again */
#define RPC_OP_JUDGES \
	0x8 /* with RPC_OP_MUTATES: not refused when read-only, but refuses by itself what would change */

/* clang-format off */
/*  NAME       nr request   reply       name1          name2          x size         nx max     reply name  arena      flags */
#define RPC_OPS(X) \
X(LOOKUP,      1, node,     entry,      RPC_K_LOOKUP,  RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(FORGET,      2, none,     none,       RPC_K_NONE,    RPC_K_NONE,    sizeof(struct rpc_forget1), RPC_FORGETS_MAX, RPC_K_NONE, RPC_A_NONE, 0) \
X(GETATTR,     3, getattr,  attr_reply, RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(SETATTR,     4, setattr,  attr_reply, RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES) \
X(READLINK,    5, node,     none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_TARGET, RPC_A_NONE, 0) \
X(SYMLINK,     6, create,   entry,      RPC_K_COMP,    RPC_K_TARGET,  sizeof(uint32_t), RPC_GROUPS_MAX, RPC_K_NONE, RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE) \
X(MKNOD,       7, create,   entry,      RPC_K_COMP,    RPC_K_NONE,    sizeof(uint32_t), RPC_GROUPS_MAX, RPC_K_NONE, RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE) \
X(MKDIR,       8, create,   entry,      RPC_K_COMP,    RPC_K_NONE,    sizeof(uint32_t), RPC_GROUPS_MAX, RPC_K_NONE, RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE) \
X(UNLINK,      9, node,     none,       RPC_K_COMP,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES | RPC_OP_ONCE) \
X(RMDIR,      10, node,     none,       RPC_K_COMP,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES | RPC_OP_ONCE) \
X(RENAME,     11, rename,   none,       RPC_K_COMP,    RPC_K_COMP,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES | RPC_OP_ONCE) \
X(LINK,       12, link,     entry,      RPC_K_COMP,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES | RPC_OP_ONCE) \
X(OPEN,       13, open,     opened,     RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_FD) \
X(CREATE,     14, create,   created,    RPC_K_COMP,    RPC_K_NONE,    sizeof(uint32_t), RPC_GROUPS_MAX, RPC_K_NONE, RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE | RPC_OP_FD | RPC_OP_JUDGES) \
X(RELEASE,    15, getattr,  none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(READ,       16, io,       count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_OUT,  0) \
X(WRITE,      17, io,       count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_IN,   RPC_OP_MUTATES) \
X(FLUSH,      18, getattr,  none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(FSYNC,      19, sync,     none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(OPENDIR,    20, open,     opened,     RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(READDIR,    21, io,       count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_OUT,  0) \
X(READDIRPLUS,22, io,       count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_OUT,  0) \
X(STATFS,     23, node,     statfs,     RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(ACCESS,     24, access,   none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(SETXATTR,   25, xattr,    none,       RPC_K_XATTR,   RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE) \
X(GETXATTR,   26, xattr,    count,      RPC_K_XATTR,   RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_OUT,  0) \
X(LISTXATTR,  27, xattr,    count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_OUT,  0) \
X(REMOVEXATTR,28, xattr,    none,       RPC_K_XATTR,   RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES | RPC_OP_ONCE) \
X(FALLOCATE,  29, fallocate, none,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES) \
X(LSEEK,      30, lseek,    count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(COPY,       31, copy,     count,      RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES) \
X(SYNCFS,     32, node,     none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(RESET,      33, none,     none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(STATX,      34, statx,    statx_reply, RPC_K_NONE,   RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(FLAGS_GET,  35, flags,    flags_reply, RPC_K_NONE,   RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, 0) \
X(FLAGS_SET,  36, flags,    none,       RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_MUTATES) \
X(TMPFILE,    37, create,   created,    RPC_K_NONE,    RPC_K_NONE,    sizeof(uint32_t), RPC_GROUPS_MAX, RPC_K_NONE, RPC_A_IN,   RPC_OP_MUTATES | RPC_OP_ONCE | RPC_OP_FD) \
X(LOCKOPEN,   38, open,     opened,     RPC_K_NONE,    RPC_K_NONE,    0,             0,               RPC_K_NONE,   RPC_A_NONE, RPC_OP_FD)
/* clang-format on */

/* clang-format off */
enum rpc_op_nr {
	RPC_NO_OP,
#define X(NAME, nr, ...) RPC_##NAME = (nr),
	RPC_OPS(X)
#undef X
	RPC_OP_END
};
/* clang-format on */

/* One row of the table that the checker, the logs and the dispatchers use. */
struct rpc_op {
	const char *name;
	uint16_t request, reply; /* sizes of the fixed parts */
	enum rpc_kind n1, n2;
	uint16_t xsize, xmax;
	enum rpc_kind reply_name;
	enum rpc_arena arena;
	uint32_t flags;
};

/* NULL for a number that is no op. */
const struct rpc_op *rpc_op(uint16_t nr);
/* For logs: "?" for a number that is no op. */
const char *rpc_op_name(uint16_t nr);

enum rpc_dir { RPC_REQUEST, RPC_REPLY };

/*
 * Check a received message: the batch, and every element of it against RPC_OPS. msg must be 8-aligned private memory of
 * n bytes; nfds fds came with it. After 0 the elements may be walked with rpc_first() and rpc_next() and their fixed
 * parts, names (NUL-terminated, of their kind) and arrays used without further length checks. A reply with error != 0 is
 * nothing but a header. Arena extents lie inside RPC_ARENA_SIZE. What the checker cannot know stays for the reader:
 * whether tag and node are known, whether flag words have only known bits.
 * Returns 0 or -EPROTO.
 */
#define RPC_FDS_LOST \
	SIZE_MAX /* nfds: the kernel could not deliver all of them; the number is not judged */
int rpc_check(enum rpc_dir dir, const void *msg, size_t n, size_t nfds)
    __attribute__((warn_unused_result));

/* Walk a checked message. rpc_next() returns NULL behind the last element. */
struct rpc_hdr *rpc_first(void *msg);
struct rpc_hdr *rpc_next(void *msg, struct rpc_hdr *);

/* The variable parts of a checked element. rpc_name2() and rpc_x() likewise. */
const void *rpc_x(enum rpc_dir dir, const struct rpc_hdr *);
const char *rpc_name1(enum rpc_dir dir, const struct rpc_hdr *);
const char *rpc_name2(enum rpc_dir dir, const struct rpc_hdr *);

/* Is this name (n bytes, NUL not counted, none inside) good for its kind? 0, -EINVAL, -ENOENT (empty), -ENAMETOOLONG. */
int rpc_check_name(enum rpc_kind kind, const char *name, size_t n);

/*
 * A message under construction. The buffer is 8-aligned and RPC_MSG_MAX long. rpc_begin() empties it. rpc_add()
 * appends an element of op with the given variable parts (NULL or 0 where absent; lengths without NUL) and returns its
 * header to be filled in by the caller (all else zero), or NULL when it does not fit any more or a part is too long.
 */
struct rpc_builder {
	void *buf;
	uint32_t len; /* so far, rounded up to 8 */
	uint16_t count;
};
void rpc_begin(struct rpc_builder *, void *buf);
void *rpc_add(struct rpc_builder *, enum rpc_dir, uint16_t op, uint64_t tag, const void *x,
    size_t nx, const char *name1, size_t len1, const char *name2, size_t len2);
/* A reply that says error (negative errno). */
void *rpc_add_error(struct rpc_builder *, uint16_t op, uint64_t tag, int error);
/* Drop the element added last. */
void rpc_undo(struct rpc_builder *, struct rpc_hdr *);
/* Write the batch header. Returns the length to send, 0 if nothing was added. */
size_t rpc_finish(struct rpc_builder *);

static_assert(sizeof(struct rpc_batch) == 8, "rpc_batch layout");
static_assert(sizeof(struct rpc_hdr) == 40, "rpc_hdr layout");
static_assert(sizeof(struct rpc_attr) == 88, "rpc_attr layout");
static_assert(sizeof(struct rpc_entry_body) == 104, "rpc_entry_body layout");
static_assert(
    sizeof(struct rpc_direntplus) == 128, "rpc_direntplus has the size of fuse_entry_out");
static_assert(sizeof(struct rpc_batch) + sizeof(struct rpc_create) +
	    RPC_GROUPS_MAX * sizeof(uint32_t) + RPC_NAME_MAX + RPC_TARGET_MAX + 2 + RPC_ALIGN <=
	RPC_MSG_MAX,
    "a message has room for the longest request, SYMLINK");
/* clang-format off */
#define X(NAME, nr, req, rep, ...) \
static_assert(sizeof(struct rpc_##req) % RPC_ALIGN == 0 && sizeof(struct rpc_##rep) % RPC_ALIGN == 0, #NAME " alignment");
RPC_OPS(X)
#undef X
/* clang-format on */

#endif
