/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads about data: READ and WRITE of one open file a session, sequential or random, with the page cache warm or
 * emptied of that file.
 *
 * Runs in: the bench program.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define WARM_SIZE (64ull << 20)
#define COLD_SIZE (256ull << 20)
#define LARGE 0100000u

static int
open_data(struct session *se, uint64_t size, uint32_t flags)
{
	struct fuse_open_out o;
	int r;

	se->size = size;
	if (put_file(se, "data", size) != 0 || (se->node[0] = look_up(se, FC_ROOT, "data")) == 0)
		return -1;
	r = fc_open_file(&se->fc, se->node[0], flags | LARGE, &o);
	if (r != 0)
		return complain(se, "OPEN", -r);
	se->fh[0] = o.fh;
	return 0;
}

static int
setup_read(struct session *se)
{
	return open_data(se, WARM_SIZE, O_RDONLY);
}

static int
setup_cold(struct session *se)
{
	return open_data(se, COLD_SIZE, O_RDONLY);
}

static int
setup_write(struct session *se)
{
	return open_data(se, WARM_SIZE, O_RDWR);
}

/* The file alone leaves the page cache: the same as drop_caches for it, and nobody else's loss. */
static int
before_cold(struct session *se)
{
	char path[160];
	int fd, r;

	snprintf(path, sizeof(path), "%s/data", se->v->share);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return complain(se, path, errno);
	r = fdatasync(fd) != 0 ? errno : posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	atomic_store(&se->next, 0);
	se->total = se->size / se->c->bs;
	return r != 0 ? complain(se, "fadvise", r) : 0;
}

static uint64_t
random_block(struct slot *s)
{
	uint64_t n = s->se->size / s->se->c->bs;

	return slot_random(s) % n * s->se->c->bs;
}

/* One after the other over the whole file, shared by all slots, as a guest's read-ahead does it. */
static uint64_t
next_block(struct slot *s)
{
	uint64_t n = s->se->size / s->se->c->bs;

	return atomic_fetch_add(&s->se->next, 1) % n * s->se->c->bs;
}

static void
request_read(struct slot *s, uint64_t off)
{
	struct fuse_read_in in = { .fh = s->se->fh[0], .offset = off, .size = s->se->c->bs, .flags = LARGE };

	slot_request(s, FUSE_READ, s->se->node[0], &in, sizeof(in), NULL, NULL, 0, 0, s->se->c->bs);
}

static enum step
read_done(const struct slot *s)
{
	return s->error == 0 && s->body_len == s->se->c->bs ? STEP_DONE : STEP_END;
}

static enum step
step_read(struct slot *s)
{
	if (s->step == 1)
		return read_done(s);
	request_read(s, next_block(s));
	return STEP_REQUEST;
}

static enum step
step_randread(struct slot *s)
{
	if (s->step == 1)
		return read_done(s);
	request_read(s, random_block(s));
	return STEP_REQUEST;
}

/* Every block once at most, in a fixed random order. */
static enum step
step_cold(struct slot *s)
{
	uint64_t i;

	if (s->step == 1)
		return read_done(s);
	i = atomic_fetch_add(&s->se->next, 1);
	if (i >= s->se->total)
		return STEP_END;
	/* total is a power of two: an odd factor makes a permutation. */
	request_read(s, i * 2654435761u % s->se->total * s->se->c->bs);
	return STEP_REQUEST;
}

static enum step
step_cold_read(struct slot *s)
{
	uint64_t i;

	if (s->step == 1)
		return read_done(s);
	i = atomic_fetch_add(&s->se->next, 1);
	if (i >= s->se->total)
		return STEP_END;
	request_read(s, i * s->se->c->bs);
	return STEP_REQUEST;
}

static void
request_write(struct slot *s, uint64_t off)
{
	struct fuse_write_in in = { .fh = s->se->fh[0], .offset = off, .size = s->se->c->bs,
		.flags = O_RDWR | LARGE };

	slot_request(s, FUSE_WRITE, s->se->node[0], &in, sizeof(in), NULL, NULL, s->se->c->bs,
	    sizeof(struct fuse_write_out), 0);
}

static enum step
write_done(const struct slot *s)
{
	const struct fuse_write_out *w = s->body;

	return s->error == 0 && w->size == s->se->c->bs ? STEP_DONE : STEP_END;
}

static enum step
step_write(struct slot *s)
{
	if (s->step == 1)
		return write_done(s);
	request_write(s, next_block(s));
	return STEP_REQUEST;
}

static enum step
step_randwrite(struct slot *s)
{
	if (s->step == 1)
		return write_done(s);
	request_write(s, random_block(s));
	return STEP_REQUEST;
}

const struct load loads_data[] = {
	{ "read", "sequential READ, cached", setup_read, NULL, step_read, LOAD_DATA, { 0 } },
	{ "randread", "random READ, cached", setup_read, NULL, step_randread, LOAD_DATA, { 0 } },
	{ "write", "sequential WRITE over a file", setup_write, NULL, step_write, LOAD_DATA, { 0 } },
	{ "randwrite", "random WRITE into a file", setup_write, NULL, step_randwrite, LOAD_DATA, { 0 } },
	{ "cold-read", "sequential READ, not cached", setup_cold, before_cold, step_cold_read, LOAD_DATA, { 0 } },
	{ "cold-randread", "random READ, not cached", setup_cold, before_cold, step_cold, LOAD_DATA, { 0 } },
	{ 0 },
};
