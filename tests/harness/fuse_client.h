/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuse_client - FUSE requests over one queue of a vmm, one at a time, as the guest kernel sends
 * them.
 *
 * Every call returns 0 (or a count where that is said), the negative errno of the reply, or
 * FC_BROKEN where no valid reply came: time-out, daemon gone, used.len not the length in the
 * reply's header, wrong unique, bytes written behind the reply buffer. fc->why says which, in
 * words.
 *
 * Runs in: the test programs. Replies come from the daemon under test.
 */
#ifndef HARNESS_FUSE_CLIENT_H
#define HARNESS_FUSE_CLIENT_H

#include <linux/fuse.h>

#include "vmm.h"

#define FC_BROKEN (-100000)
#define FC_MAX_WRITE (1u << 20)
#define FC_AREA (FC_MAX_WRITE + 65536u)	/* room for one request, and for one reply */
#define FC_NAME_MAX 1024u	/* longer ones spoil a whole listing for Linux guests before 6.14 */
#define FC_ROOT 1u

/* Numbers that older headers of the system lack. */
#define FC_STATX 52u
#define FC_EXT_GROUPS 32u
#define FC_CREATE_SUPP_GROUP (1ull << 34)

/* How requests and replies are laid out in descriptors. */
enum fc_layout {
	FC_KERNEL,	/* header, arguments | reply header, reply body: as Linux does */
	FC_JOINED,	/* one descriptor each way */
	FC_PIECES,	/* fc->piece bytes each */
};

struct fuse_client {
	struct vmm *vmm;
	struct vmm_queue *q;
	uint64_t unique;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	enum fc_layout layout;
	uint32_t piece;
	bool indirect;
	int timeout_ms;
	uint64_t req_gpa;
	uint64_t rep_gpa;
	uint8_t *req;		/* FC_AREA bytes of guest memory */
	uint8_t *rep;		/* FC_AREA bytes and a guard */
	size_t posted_cap;	/* of the request under way */
	int posted;		/* its head */
	uint32_t used_len;	/* of the last request */
	const void *body;	/* of the last reply, behind the header */
	size_t body_len;
	char why[160];
	/* What INIT agreed on. */
	struct fuse_init_out init;
	uint64_t init_flags;
};

/* A piece of a request. */
struct fc_part {
	const void *data;
	size_t len;
};

/* Take queue `index` of v; allocates guest memory. Credentials are root's. */
int fc_open(struct fuse_client *fc, struct vmm *v, unsigned int index);

/*
 * Put header (opcode, node, the client's ids, len) and parts together in fc->req. Returns the
 * length.
 */
size_t fc_build(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts);

/*
 * Send `len` bytes of fc->req with `cap` bytes of reply buffer (0 = none) and wait until the chain
 * comes back. fc->used_len is set. Returns 0 or FC_BROKEN; the reply is not looked at.
 */
int fc_exchange(struct fuse_client *fc, size_t len, size_t cap);

/* The two halves of it: one request at a time may be under way. */
int fc_post(struct fuse_client *fc, size_t len, size_t cap);
int fc_collect(struct fuse_client *fc);

/*
 * Check the reply in fc->rep against the rules of framing for a request with `unique` and a reply
 * buffer of `cap` bytes. Sets body and body_len. Returns the reply's error (0 or negative) or
 * FC_BROKEN.
 */
int fc_check_reply(struct fuse_client *fc, uint64_t unique, size_t cap);

/* fc_build, fc_exchange, fc_check_reply; cap is the size of the reply's body. */
int fc_call(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts, size_t cap);

/* For requests without a reply: the chain must come back with used.len 0. */
int fc_send(struct fuse_client *fc, uint32_t opcode, uint64_t node, const struct fc_part *parts,
    unsigned int nr_parts);

/* ---- operations (fuse_ops.c, fuse_ops_file.c) ---- */

/* INIT 7.38 offering `flags` (64 bits); ~0 offers everything. */
int fc_init(struct fuse_client *fc, uint64_t flags);
int fc_destroy(struct fuse_client *fc);

int fc_lookup(struct fuse_client *fc, uint64_t dir, const char *name, struct fuse_entry_out *e);
int fc_forget(struct fuse_client *fc, uint64_t node, uint64_t nlookup);
int fc_batch_forget(struct fuse_client *fc, const struct fuse_forget_one *ones, uint32_t n);
int fc_getattr(struct fuse_client *fc, uint64_t node, struct fuse_attr *a);
int fc_getattr_fh(struct fuse_client *fc, uint64_t node, uint64_t fh, struct fuse_attr *a);
int fc_setattr(struct fuse_client *fc, uint64_t node, const struct fuse_setattr_in *in,
    struct fuse_attr *a);

/* The target without a NUL into buf (of size cap, gets one). */
int fc_readlink(struct fuse_client *fc, uint64_t node, char *buf, size_t cap);
int fc_symlink(struct fuse_client *fc, uint64_t dir, const char *name, const char *target,
    struct fuse_entry_out *e);
int fc_mknod(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev,
    struct fuse_entry_out *e);
int fc_mkdir(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t mode,
    struct fuse_entry_out *e);
/*
 * CREATE (O_RDWR | O_EXCL), MKDIR, MKNOD or SYMLINK (to "target") with an umask, and bytes of
 * extensions behind the name. The new file is not released.
 */
int fc_make(struct fuse_client *fc, uint32_t opcode, uint64_t dir, const char *name, uint32_t mode,
    uint32_t umask, const void *ext, size_t ext_len, struct fuse_entry_out *e);
/* Write one extension at p; return its length. */
size_t fc_ext_groups(void *p, const uint32_t *gid, uint32_t n);
size_t fc_ext_label(void *p, const char *name, const void *value, uint32_t size);
size_t fc_ext_no_label(void *p);
int fc_unlink(struct fuse_client *fc, uint64_t dir, const char *name);
int fc_rmdir(struct fuse_client *fc, uint64_t dir, const char *name);
int fc_rename(struct fuse_client *fc, uint64_t dir, const char *name, uint64_t newdir,
    const char *newname);
int fc_rename2(struct fuse_client *fc, uint64_t dir, const char *name, uint64_t newdir,
    const char *newname, uint32_t flags);
int fc_link(struct fuse_client *fc, uint64_t node, uint64_t newdir, const char *newname,
    struct fuse_entry_out *e);
int fc_statfs(struct fuse_client *fc, uint64_t node, struct fuse_kstatfs *st);
int fc_access(struct fuse_client *fc, uint64_t node, uint32_t mask);
int fc_syncfs(struct fuse_client *fc, uint64_t node);

int fc_setxattr(struct fuse_client *fc, uint64_t node, const char *name, const void *value,
    size_t size, uint32_t flags);

/* Number of bytes; buf == NULL asks for the size only. */
int fc_getxattr(struct fuse_client *fc, uint64_t node, const char *name, void *buf, uint32_t cap);
int fc_listxattr(struct fuse_client *fc, uint64_t node, void *buf, uint32_t cap);
int fc_removexattr(struct fuse_client *fc, uint64_t node, const char *name);

int fc_open_file(struct fuse_client *fc, uint64_t node, uint32_t flags, struct fuse_open_out *o);
int fc_opendir(struct fuse_client *fc, uint64_t node, struct fuse_open_out *o);
int fc_create(struct fuse_client *fc, uint64_t dir, const char *name, uint32_t flags,
    uint32_t mode, struct fuse_entry_out *e, struct fuse_open_out *o);
int fc_release(struct fuse_client *fc, uint64_t node, uint64_t fh);
int fc_releasedir(struct fuse_client *fc, uint64_t node, uint64_t fh);

/* Number of bytes read into buf, or written. */
int fc_read(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, void *buf,
    uint32_t size);
int fc_write(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, const void *buf,
    uint32_t size, uint32_t open_flags);
int fc_fsync(struct fuse_client *fc, uint64_t node, uint64_t fh, bool data_only, bool dir);
int fc_flush(struct fuse_client *fc, uint64_t node, uint64_t fh);
int fc_fallocate(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset,
    uint64_t length, uint32_t mode);
int fc_lseek(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, uint32_t whence,
    uint64_t *result);
int fc_copy_file_range(struct fuse_client *fc, const struct fuse_copy_file_range_in *in,
    uint64_t node, uint32_t *copied);

/* READDIR or READDIRPLUS: the records stay in fc->body; returns their total length. */
int fc_readdir(struct fuse_client *fc, uint64_t node, uint64_t fh, uint64_t offset, uint32_t size,
    bool plus);

/*
 * One record of fc_readdir's answer. pos starts at 0 and is moved behind the record. Returns 1, 0
 * at the end, or FC_BROKEN for a malformed record. e is zeroed for plain READDIR. Of a name longer than 255
 * bytes the first 255; d->namelen counts all of them.
 */
int fc_next_dirent(struct fuse_client *fc, size_t *pos, bool plus, struct fuse_entry_out *e,
    struct fuse_dirent *d, char name[256]);

#endif
