/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads about names and attributes: small requests, no data to speak of.
 *
 * Runs in: the bench program.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define FILES 64u
#define LARGE 0100000u	/* O_LARGEFILE of the guest */

/* An answer that is no error, or the operation ends here. */
#define GOOD(s) do { if ((s)->step > 0 && (s)->error != 0) return STEP_END; } while (0)

/* 64 files of 4 KiB, looked up once; slot i works on file i % 64. */
static int
setup_files(struct session *se)
{
	char name[16];

	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%02u", i);
		if (put_file(se, name, PAGE) != 0 || (se->node[i] = look_up(se, FC_ROOT, name)) == 0)
			return -1;
	}
	return 0;
}

static uint64_t
file_of(const struct slot *s)
{
	return s->se->node[s->index % FILES];
}

static enum step
step_getattr(struct slot *s)
{
	struct fuse_getattr_in in = { 0 };

	GOOD(s);
	if (s->step == 1)
		return STEP_DONE;
	slot_request(s, FUSE_GETATTR, file_of(s), &in, sizeof(in), NULL, NULL, 0,
	    sizeof(struct fuse_attr_out), 0);
	return STEP_REQUEST;
}

static enum step
step_lookup(struct slot *s)
{
	GOOD(s);
	if (s->step == 1)
		return STEP_DONE;
	snprintf(s->name, sizeof(s->name), "f%02u", s->index % FILES);
	slot_request(s, FUSE_LOOKUP, FC_ROOT, "", 0, s->name, NULL, 0, sizeof(struct fuse_entry_out), 0);
	return STEP_REQUEST;
}

static enum step
step_lookup_miss(struct slot *s)
{
	const struct fuse_entry_out *e = s->body;

	/* A node id of 0 is a cached "no such file". */
	if (s->step == 1)
		return s->error == -ENOENT || (s->error == 0 && e->nodeid == 0) ? STEP_DONE : STEP_END;
	snprintf(s->name, sizeof(s->name), "none%02u", s->index % FILES);
	slot_request(s, FUSE_LOOKUP, FC_ROOT, "", 0, s->name, NULL, 0, sizeof(struct fuse_entry_out), 0);
	return STEP_REQUEST;
}

static void
request_open(struct slot *s, uint64_t node)
{
	struct fuse_open_in in = { .flags = O_RDONLY | LARGE };

	slot_request(s, FUSE_OPEN, node, &in, sizeof(in), NULL, NULL, 0, sizeof(struct fuse_open_out), 0);
}

static void
request_release(struct slot *s, uint64_t node, uint32_t flags)
{
	struct fuse_release_in in = { .fh = s->fh, .flags = flags | LARGE };

	slot_request(s, FUSE_RELEASE, node, &in, sizeof(in), NULL, NULL, 0, 0, 0);
}

static void
request_read(struct slot *s, uint64_t node, uint32_t size)
{
	struct fuse_read_in in = { .fh = s->fh, .size = size, .flags = LARGE };

	slot_request(s, FUSE_READ, node, &in, sizeof(in), NULL, NULL, 0, 0, size);
}

static enum step
step_open(struct slot *s)
{
	GOOD(s);
	switch (s->step) {
	case 0:
		request_open(s, file_of(s));
		return STEP_REQUEST;
	case 1:
		s->fh = ((const struct fuse_open_out *)s->body)->fh;
		request_release(s, file_of(s), O_RDONLY);
		return STEP_REQUEST;
	default:
		return STEP_DONE;
	}
}

static enum step
step_open_read(struct slot *s)
{
	GOOD(s);
	switch (s->step) {
	case 0:
		request_open(s, file_of(s));
		return STEP_REQUEST;
	case 1:
		s->fh = ((const struct fuse_open_out *)s->body)->fh;
		request_read(s, file_of(s), PAGE);
		return STEP_REQUEST;
	case 2:
		request_release(s, file_of(s), O_RDONLY);
		return STEP_REQUEST;
	default:
		return STEP_DONE;
	}
}

static int
setup_nothing(struct session *se)
{
	(void)se;
	return 0;
}

static enum step
step_create(struct slot *s)
{
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT | O_EXCL | LARGE, .mode = S_IFREG | 0644,
		.umask = 022 };
	struct fuse_write_in write = { .fh = s->fh, .size = PAGE, .flags = O_RDWR | LARGE };

	GOOD(s);
	switch (s->step) {
	case 0:
		snprintf(s->name, sizeof(s->name), "new-%u", s->index);
		slot_request(s, FUSE_CREATE, FC_ROOT, &create, sizeof(create), s->name, NULL, 0,
		    sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), 0);
		return STEP_REQUEST;
	case 1:
		s->node = ((const struct fuse_entry_out *)s->body)->nodeid;
		s->fh = ((const struct fuse_open_out *)(const void *)((const struct fuse_entry_out *)s->body + 1))->fh;
		write.fh = s->fh;
		slot_request(s, FUSE_WRITE, s->node, &write, sizeof(write), NULL, NULL, PAGE,
		    sizeof(struct fuse_write_out), 0);
		return STEP_REQUEST;
	case 2:
		request_release(s, s->node, O_RDWR);
		return STEP_REQUEST;
	case 3:
		slot_request(s, FUSE_UNLINK, FC_ROOT, "", 0, s->name, NULL, 0, 0, 0);
		return STEP_REQUEST;
	default:
		slot_forget(s, s->node, 1);
		return STEP_DONE;
	}
}

static enum step
step_mkdir(struct slot *s)
{
	struct fuse_mkdir_in in = { .mode = 0755, .umask = 022 };

	GOOD(s);
	switch (s->step) {
	case 0:
		snprintf(s->name, sizeof(s->name), "dir-%u", s->index);
		slot_request(s, FUSE_MKDIR, FC_ROOT, &in, sizeof(in), s->name, NULL, 0,
		    sizeof(struct fuse_entry_out), 0);
		return STEP_REQUEST;
	case 1:
		s->node = ((const struct fuse_entry_out *)s->body)->nodeid;
		slot_request(s, FUSE_RMDIR, FC_ROOT, "", 0, s->name, NULL, 0, 0, 0);
		return STEP_REQUEST;
	default:
		slot_forget(s, s->node, 1);
		return STEP_DONE;
	}
}

static int
setup_rename(struct session *se)
{
	char name[16];

	for (unsigned int i = 0; i < DEPTH_MAX * CLIENTS_MAX; i++) {
		snprintf(name, sizeof(name), "a-%u", i);
		if (put_file(se, name, 0) != 0 || look_up(se, FC_ROOT, name) == 0)
			return -1;
	}
	return 0;
}

static enum step
step_rename(struct slot *s)
{
	struct fuse_rename_in in = { .newdir = FC_ROOT };

	GOOD(s);
	if (s->step == 1) {
		s->flip = !s->flip;
		return STEP_DONE;
	}
	snprintf(s->name, sizeof(s->name), "%c-%u", s->flip ? 'b' : 'a', s->index);
	snprintf(s->name2, sizeof(s->name2), "%c-%u", s->flip ? 'a' : 'b', s->index);
	slot_request(s, FUSE_RENAME, FC_ROOT, &in, sizeof(in), s->name, s->name2, 0, 0, 0);
	return STEP_REQUEST;
}

static int
setup_xattr(struct session *se)
{
	char path[160];

	if (setup_files(se) != 0)
		return -1;
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/f%02u", se->v->share, i);
		if (setxattr(path, "user.bench", "sixteen bytes...", 16, 0) != 0)
			return complain(se, "setxattr", errno);
	}
	return 0;
}

static enum step
step_getxattr(struct slot *s)
{
	struct fuse_getxattr_in in = { .size = 256 };

	GOOD(s);
	if (s->step == 1)
		return s->body_len == 16 ? STEP_DONE : STEP_END;
	slot_request(s, FUSE_GETXATTR, file_of(s), &in, sizeof(in), "user.bench", NULL, 0, 256, 0);
	return STEP_REQUEST;
}

const struct load loads_names[] = {
	{ "getattr", "GETATTR of a known inode", setup_files, NULL, step_getattr, 0, { 0 } },
	{ "lookup", "LOOKUP of a known name", setup_files, NULL, step_lookup, 0, { 0 } },
	{ "lookup-miss", "LOOKUP of a name that is not there", setup_files, NULL, step_lookup_miss, 0, { 0 } },
	{ "open", "OPEN, RELEASE", setup_files, NULL, step_open, 0, { 0 } },
	{ "open-read", "OPEN, READ of 4 KiB, RELEASE", setup_files, NULL, step_open_read, 0, { 0 } },
	{ "create", "CREATE, WRITE of 4 KiB, RELEASE, UNLINK, FORGET", setup_nothing, NULL, step_create, 0, { 0 } },
	{ "mkdir", "MKDIR, RMDIR, FORGET", setup_nothing, NULL, step_mkdir, 0, { 0 } },
	{ "rename", "RENAME within a directory", setup_rename, NULL, step_rename, 0, { 0 } },
	{ "getxattr", "GETXATTR of 16 bytes (--xattr)", setup_xattr, NULL, step_getxattr, 0, { "--xattr" } },
	{ 0 },
};
