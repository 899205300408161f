/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads about many files: listings of 10,000 entries, and trees of 20,000 small files walked, unpacked and removed; and
 * the memory that many known inodes cost.
 *
 * Runs in: the bench program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define ENTRIES 10000u
#define TREE_FILES 20000u
#define TREE_DIRS 200u
#define PER_DIR (TREE_FILES / TREE_DIRS)
#define LARGE 0100000u
#define GOOD(s) do { if ((s)->step > 0 && (s)->error != 0) return STEP_END; } while (0)

/* ---- listings ---- */

static int
setup_listing(struct session *se)
{
	char name[48], path[160];

	snprintf(path, sizeof(path), "%s/list", se->v->share);
	if (mkdir(path, 0755) != 0)
		return complain(se, path, errno);
	for (unsigned int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "list/entry-number-%05u", i);
		if (put_file(se, name, 0) != 0)
			return -1;
	}
	se->node[0] = look_up(se, FC_ROOT, "list");
	se->dirs = calloc(ENTRIES + 2, sizeof(*se->dirs));
	return se->node[0] != 0 && se->dirs != NULL ? 0 : -1;
}

/* Count the entries of an answer, remember the offset of the last and the nodes named. */
static bool
take_listing(struct slot *s, bool plus)
{
	uint32_t at = 0, len = s->body_len;
	static _Thread_local uint8_t flat[PAGES_MAX * PAGE];

	for (uint32_t i = 0; i * PAGE < len; i++)
		memcpy(flat + i * PAGE, s->page[i], PAGE);
	while (at < len) {
		const struct fuse_direntplus *p = (const void *)(flat + at);
		const struct fuse_dirent *d = plus ? &p->dirent : (const void *)(flat + at);
		uint32_t size = (uint32_t)((plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) + d->namelen);

		if (plus && p->entry_out.nodeid != 0 && s->nr < ENTRIES + 2)
			s->se->dirs[s->nr] = p->entry_out.nodeid;
		else if (s->nr < ENTRIES + 2)
			s->se->dirs[s->nr] = 0;
		s->off = d->off;
		s->nr++;
		at += (uint32_t)FUSE_DIRENT_ALIGN(size);
	}
	return at == len;
}

static enum step
list(struct slot *s, bool plus, bool forget)
{
	struct fuse_open_in open = { .flags = O_RDONLY | O_DIRECTORY | LARGE };
	struct fuse_release_in release = { .fh = s->fh, .flags = O_RDONLY | O_DIRECTORY | LARGE };
	struct fuse_read_in read;

	GOOD(s);
	if (s->step == 0) {
		s->nr = s->off = 0;
		s->fh = UINT64_MAX;
		slot_request(s, FUSE_OPENDIR, s->se->node[0], &open, sizeof(open), NULL, NULL, 0,
		    sizeof(struct fuse_open_out), 0);
		return STEP_REQUEST;
	}
	if (s->step == 1) {
		s->fh = ((const struct fuse_open_out *)s->body)->fh;
	} else if (s->flip) {
		s->flip = false;
		for (unsigned int i = 0; forget && i < s->nr; i++)
			if (s->se->dirs[i] != 0)
				slot_forget(s, s->se->dirs[i], 1);
		if (forget && forgets_drain(s->se) != 0)
			return STEP_END;
		return s->nr == ENTRIES + 2 ? STEP_DONE : STEP_END;
	} else if (s->body_len == 0) {
		s->flip = true;
		slot_request(s, FUSE_RELEASEDIR, s->se->node[0], &release, sizeof(release), NULL, NULL, 0, 0, 0);
		return STEP_REQUEST;
	} else if (!take_listing(s, plus)) {
		return STEP_END;
	}
	read = (struct fuse_read_in){ .fh = s->fh, .offset = s->off, .size = s->se->c->bs,
		.flags = O_RDONLY | O_DIRECTORY | LARGE };
	slot_request(s, plus ? FUSE_READDIRPLUS : FUSE_READDIR, s->se->node[0], &read, sizeof(read), NULL, NULL, 0,
	    0, s->se->c->bs);
	return STEP_REQUEST;
}

static enum step
step_readdir(struct slot *s)
{
	return list(s, false, false);
}

static enum step
step_readdirplus(struct slot *s)
{
	return list(s, true, false);
}

static enum step
step_readdirplus_new(struct slot *s)
{
	return list(s, true, true);
}

/* ---- trees ---- */

/* File i of the tree: below which directory, and its name there. */
static uint64_t
tree_file(struct slot *s, uint64_t i)
{
	snprintf(s->name, sizeof(s->name), "small-file-%03u.txt", (unsigned)(i % PER_DIR));
	return s->se->dirs[i / PER_DIR];
}

static int
make_tree(struct session *se, bool files)
{
	char name[64], path[200];

	for (unsigned int i = 0; i < TREE_DIRS; i++) {
		snprintf(path, sizeof(path), "%s/d%03u", se->v->share, i);
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return complain(se, path, errno);
		for (unsigned int k = 0; files && k < PER_DIR; k++) {
			snprintf(name, sizeof(name), "d%03u/small-file-%03u.txt", i, k);
			if (put_file(se, name, 512 + (i * 37 + k * 101) % 3500) != 0)
				return -1;
		}
	}
	return 0;
}

static int
look_up_dirs(struct session *se)
{
	char name[16];

	se->dirs = calloc(TREE_DIRS, sizeof(*se->dirs));
	for (unsigned int i = 0; se->dirs != NULL && i < TREE_DIRS; i++) {
		snprintf(name, sizeof(name), "d%03u", i);
		se->dirs[i] = look_up(se, FC_ROOT, name);
		if (se->dirs[i] == 0)
			return -1;
	}
	return se->dirs != NULL ? 0 : -1;
}

static int
setup_tree(struct session *se)
{
	return make_tree(se, true) != 0 || look_up_dirs(se) != 0 ? -1 : 0;
}

static int
setup_dirs(struct session *se)
{
	return make_tree(se, false) != 0 || look_up_dirs(se) != 0 ? -1 : 0;
}

static int
from_the_start(struct session *se)
{
	se->total = TREE_FILES;
	atomic_store(&se->next, 0);
	return 0;
}

/* Which file is next? False when all were given out. */
static bool
next_file(struct slot *s)
{
	s->nr = atomic_fetch_add(&s->se->next, 1);
	return s->nr < s->se->total;
}

static enum step
step_walk(struct slot *s)
{
	struct fuse_open_in open = { .flags = O_RDONLY | LARGE };
	struct fuse_read_in read = { .size = PAGE, .flags = LARGE };
	struct fuse_release_in release = { .fh = s->fh, .flags = LARGE };

	GOOD(s);
	switch (s->step) {
	case 0:
		if (!next_file(s))
			return STEP_END;
		slot_request(s, FUSE_LOOKUP, tree_file(s, s->nr), "", 0, s->name, NULL, 0,
		    sizeof(struct fuse_entry_out), 0);
		return STEP_REQUEST;
	case 1:
		s->node = ((const struct fuse_entry_out *)s->body)->nodeid;
		slot_request(s, FUSE_OPEN, s->node, &open, sizeof(open), NULL, NULL, 0,
		    sizeof(struct fuse_open_out), 0);
		return STEP_REQUEST;
	case 2:
		s->fh = read.fh = ((const struct fuse_open_out *)s->body)->fh;
		slot_request(s, FUSE_READ, s->node, &read, sizeof(read), NULL, NULL, 0, 0, PAGE);
		return STEP_REQUEST;
	case 3:
		slot_request(s, FUSE_RELEASE, s->node, &release, sizeof(release), NULL, NULL, 0, 0, 0);
		return STEP_REQUEST;
	default:
		slot_forget(s, s->node, 1);
		return STEP_DONE;
	}
}

/* As tar does it: look up, create, write, set the time, close. */
static int
before_untar(struct session *se)
{
	char path[200];

	for (unsigned int i = 0; se->run > 0 && i < TREE_FILES; i++) {
		snprintf(path, sizeof(path), "%s/d%03u/small-file-%03u.txt", se->v->share, i / PER_DIR, i % PER_DIR);
		unlink(path);
	}
	return from_the_start(se);
}

static enum step
step_untar(struct slot *s)
{
	struct fuse_create_in create = { .flags = O_WRONLY | O_CREAT | O_EXCL | LARGE, .mode = S_IFREG | 0600,
		.umask = 022 };
	uint32_t size = 512 + (uint32_t)(s->nr * 37 % 3500);
	struct fuse_write_in write = { .fh = s->fh, .size = size, .flags = O_WRONLY | LARGE };
	struct fuse_setattr_in times = { .valid = FATTR_MTIME | FATTR_FH, .fh = s->fh, .mtime = 1000000000 };
	struct fuse_flush_in flush = { .fh = s->fh };
	struct fuse_release_in release = { .fh = s->fh, .flags = O_WRONLY | LARGE };

	if (s->step > 1)
		GOOD(s);
	switch (s->step) {
	case 0:
		if (!next_file(s))
			return STEP_END;
		slot_request(s, FUSE_LOOKUP, tree_file(s, s->nr), "", 0, s->name, NULL, 0,
		    sizeof(struct fuse_entry_out), 0);
		return STEP_REQUEST;
	case 1:
		slot_request(s, FUSE_CREATE, tree_file(s, s->nr), &create, sizeof(create), s->name, NULL, 0,
		    sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out), 0);
		return STEP_REQUEST;
	case 2:
		s->node = ((const struct fuse_entry_out *)s->body)->nodeid;
		s->fh = write.fh = ((const struct fuse_open_out *)(const void *)((const struct fuse_entry_out *)s->body + 1))->fh;
		slot_request(s, FUSE_WRITE, s->node, &write, sizeof(write), NULL, NULL, size,
		    sizeof(struct fuse_write_out), 0);
		return STEP_REQUEST;
	case 3:
		slot_request(s, FUSE_SETATTR, s->node, &times, sizeof(times), NULL, NULL, 0,
		    sizeof(struct fuse_attr_out), 0);
		return STEP_REQUEST;
	case 4:
		slot_request(s, FUSE_FLUSH, s->node, &flush, sizeof(flush), NULL, NULL, 0, 0, 0);
		return STEP_REQUEST;
	case 5:
		slot_request(s, FUSE_RELEASE, s->node, &release, sizeof(release), NULL, NULL, 0, 0, 0);
		return STEP_REQUEST;
	default:
		slot_forget(s, s->node, 1);
		return STEP_DONE;
	}
}

static int
before_rm(struct session *se)
{
	return make_tree(se, true) != 0 ? -1 : from_the_start(se);
}

static enum step
step_rm(struct slot *s)
{
	GOOD(s);
	switch (s->step) {
	case 0:
		if (!next_file(s))
			return STEP_END;
		slot_request(s, FUSE_LOOKUP, tree_file(s, s->nr), "", 0, s->name, NULL, 0,
		    sizeof(struct fuse_entry_out), 0);
		return STEP_REQUEST;
	case 1:
		s->node = ((const struct fuse_entry_out *)s->body)->nodeid;
		slot_request(s, FUSE_UNLINK, tree_file(s, s->nr), "", 0, s->name, NULL, 0, 0, 0);
		return STEP_REQUEST;
	default:
		slot_forget(s, s->node, 1);
		return STEP_DONE;
	}
}

/* ---- many inodes ---- */

static int
setup_inodes(struct session *se)
{
	unsigned int per = 1000;
	char path[200];

	se->total = opt.count;
	se->dirs = calloc(opt.count / per + 1, sizeof(*se->dirs));
	for (unsigned int i = 0; se->dirs != NULL && i < (opt.count + per - 1) / per; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d%05u", i);
		snprintf(path, sizeof(path), "%s/%s", se->v->share, name);
		if (mkdir(path, 0755) != 0)
			return complain(se, path, errno);
		for (unsigned int k = 0; k < per; k++) {
			snprintf(name, sizeof(name), "d%05u/%u", i, k);
			if (put_file(se, name, 0) != 0)
				return -1;
		}
		snprintf(name, sizeof(name), "d%05u", i);
		if ((se->dirs[i] = look_up(se, FC_ROOT, name)) == 0)
			return -1;
	}
	return se->dirs != NULL ? 0 : -1;
}

static enum step
step_inodes(struct slot *s)
{
	GOOD(s);
	if (s->step == 1)
		return STEP_DONE;
	if (!next_file(s))
		return STEP_END;
	snprintf(s->name, sizeof(s->name), "%u", (unsigned)(s->nr % 1000));
	slot_request(s, FUSE_LOOKUP, s->se->dirs[s->nr / 1000], "", 0, s->name, NULL, 0,
	    sizeof(struct fuse_entry_out), 0);
	return STEP_REQUEST;
}

static int
setup_idle(struct session *se)
{
	(void)se;
	return 0;
}

static int
before_idle(struct session *se)
{
	(void)se;
	usleep(1000000);
	return 0;
}

static enum step
step_idle(struct slot *s)
{
	struct fuse_getattr_in in = { 0 };

	if (s->step == 1)
		return STEP_DONE;
	usleep(1000000);
	slot_request(s, FUSE_GETATTR, FC_ROOT, &in, sizeof(in), NULL, NULL, 0, sizeof(struct fuse_attr_out), 0);
	return STEP_REQUEST;
}

const struct load loads_tree[] = {
	{ "readdir", "listing of 10,000 entries", setup_listing, NULL, step_readdir, LOAD_DIR | LOAD_ONE, { 0 } },
	{ "readdirplus", "listing of 10,000 known entries with attributes", setup_listing, NULL, step_readdirplus,
	    LOAD_DIR | LOAD_ONE, { 0 } },
	{ "readdirplus-new", "listing of 10,000 unknown entries with attributes, all forgotten", setup_listing, NULL,
	    step_readdirplus_new, LOAD_DIR | LOAD_ONE, { 0 } },
	{ "tree-walk", "LOOKUP, OPEN, READ, RELEASE, FORGET of 20,000 files", setup_tree, from_the_start, step_walk,
	    LOAD_TOTAL, { 0 } },
	{ "untar", "LOOKUP, CREATE, WRITE, SETATTR, FLUSH, RELEASE, FORGET of 20,000 files", setup_dirs, before_untar,
	    step_untar, LOAD_TOTAL, { 0 } },
	{ "rm", "LOOKUP, UNLINK, FORGET of 20,000 files", setup_dirs, before_rm, step_rm, LOAD_TOTAL, { 0 } },
	{ "inodes", "LOOKUP of --count inodes, none forgotten: memory", setup_inodes, NULL, step_inodes, LOAD_TOTAL,
	    { 0 } },
	{ "idle", "one GETATTR a second: memory and wake-ups", setup_idle, before_idle, step_idle, LOAD_ONE, { 0 } },
	{ 0 },
};
