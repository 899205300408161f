/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_open - OPEN, OPENDIR and CREATE: which of the guest's flags reach the file, seen in the process that has
 * it open (spec/fuse.md sections 6.2 and 6.5).
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuse_beyond.h"

/* The file status flags that are compared. */
#define SEEN (O_ACCMODE | O_APPEND | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC | O_NONBLOCK | O_PATH)
#define DIRECT "--allow-direct-io"
#define NOATIME "--preserve-noatime"
#define WB "--writeback"

/* The same four ways: OPEN, CREATE of a new file, CREATE of one that is there, TMPFILE. */
struct open_row {
	const char *name;
	const char *options;
	uint32_t flags;		/* the guest's */
	int host;		/* of the open file, as far as SEEN */
};

static const struct open_row rows[] = {
	{ "read", "", O_RDONLY, O_RDONLY },
	{ "write", "", O_WRONLY, O_WRONLY },
	{ "read and write", "", O_RDWR, O_RDWR },
	{ "access mode 3", "", O_ACCMODE, O_ACCMODE },
	{ "P1: O_APPEND stays away", "", O_WRONLY | O_APPEND, O_WRONLY },
	{ "O_SYNC", "", O_RDWR | O_SYNC, O_RDWR | O_SYNC },
	{ "O_DSYNC", "", O_RDWR | O_DSYNC, O_RDWR | O_DSYNC },
	{ "O_NONBLOCK", "", O_RDWR | O_NONBLOCK, O_RDWR | O_NONBLOCK },
	{ "P3: O_DIRECT without its option", "", O_RDWR | O_DIRECT, O_RDWR },
	{ "P4: O_NOATIME without its option", "", O_RDWR | O_NOATIME, O_RDWR },
	{ "O_ASYNC, O_CLOEXEC, O_NOCTTY", "", O_RDWR | O_ASYNC | O_CLOEXEC | O_NOCTTY, O_RDWR },
	{ "O_NOFOLLOW, O_LARGEFILE", "", O_RDWR | O_NOFOLLOW | 0100000, O_RDWR },
	{ "O_PATH opens the file", "", O_RDWR | O_PATH, O_RDWR },
	{ "O_TMPFILE's bit", "", O_RDWR | (O_TMPFILE & ~O_DIRECTORY), O_RDWR },
	{ "unknown bits", "", O_RDWR | 0x7e000000u, O_RDWR },
	{ "bit 31", "", O_RDWR | 0x80000000u, O_RDWR },
	{ "O_DIRECT", DIRECT, O_RDWR | O_DIRECT, O_RDWR | O_DIRECT },
	{ "O_DIRECT, reading", DIRECT, O_RDONLY | O_DIRECT, O_RDONLY | O_DIRECT },
	{ "O_DIRECT's option alone", DIRECT, O_RDWR | O_NOATIME, O_RDWR },
	{ "O_NOATIME", NOATIME, O_RDONLY | O_NOATIME, O_RDONLY | O_NOATIME },
	{ "O_NOATIME's option alone", NOATIME, O_RDWR | O_DIRECT, O_RDWR },
	{ "P2: write alone, written back", WB, O_WRONLY, O_RDWR },
	{ "P2: and appending", WB, O_WRONLY | O_APPEND, O_RDWR },
	{ "P2: and synchronous", WB, O_WRONLY | O_SYNC, O_RDWR | O_SYNC },
	{ "P2: read alone, written back", WB, O_RDONLY, O_RDONLY },
	{ "P2: access mode 3", WB, O_ACCMODE, O_ACCMODE },
	{ "all together", WB " " DIRECT " " NOATIME, O_WRONLY | O_DIRECT | O_NOATIME | O_APPEND,
	    O_RDWR | O_DIRECT | O_NOATIME },
};

static const struct {
	const char *name;
	uint32_t opcode;
	bool existing;
} ways[] = {
	{ "OPEN", FUSE_OPEN, true },
	{ "CREATE", FUSE_CREATE, false },
	{ "CREATE of what is there", FUSE_CREATE, true },
	{ "TMPFILE", FUSE_TMPFILE, false },
};

static const struct {
	const char *options;
	const char *who;
} planes[] = { { "", SF_FRONT }, { " --fd-donation=never", SF_WORKER } };

/* Reads and writes are allowed as the access mode says, whatever is open on the host. */
static void
expect_access(uint64_t node, uint64_t fh, int host)
{
	static _Alignas(4096) char block[4096];
	const int mode = host & O_ACCMODE;
	const bool r = mode == O_RDONLY || mode == O_RDWR, w = mode == O_WRONLY || mode == O_RDWR;

	SF_EQ(sf_write(node, fh, 0, block, sizeof(block), sizeof(block), 0, 0),
	    w ? (int)sizeof(block) : -EBADF);
	/* The request's data lies behind its header: for O_DIRECT that is no place to read to. */
	if ((host & O_DIRECT) == 0)
		SF_EQ(fc_read(&hc, node, fh, 0, block, 16), r ? (w ? 16 : 0) : -EBADF);
	SF_OK(fc_release(&hc, node, fh));
}

#define ROWS (countof(planes) * countof(rows) * countof(ways))
static uint16_t list[ROWS];

/* A file without a name is made to be written. */
static bool
sensible(size_t i)
{
	uint32_t mode = rows[i / countof(ways) % countof(rows)].flags & O_ACCMODE;

	return ways[i % countof(ways)].opcode != FUSE_TMPFILE || mode == O_RDWR || mode == O_WRONLY;
}

START_TEST(test_row)
{
	/* Rows of the same options behind each other. */
	size_t plane = list[_i] / (countof(rows) * countof(ways));
	size_t way = list[_i] % countof(ways);
	const struct open_row *r = &rows[list[_i] / countof(ways) % countof(rows)];
	char name[100], options[100];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct stat st;

	/* A file without a name is made to be written. */
	if (ways[way].opcode == FUSE_TMPFILE && (r->flags & O_ACCMODE) != O_RDWR &&
	    (r->flags & O_ACCMODE) != O_WRONLY)
		return;
	snprintf(name, sizeof(name), "%s: %s%s", r->name, ways[way].name, planes[plane].options);
	snprintf(options, sizeof(options), "%s%s", r->options, planes[plane].options);
	sf_begin(name, options, SF_DIR, ways[way].opcode);
	if (ways[way].existing) {
		sf_put("f", "", 0, 0, 0644);
		e.nodeid = sf_node("f");
	}
	if (ways[way].opcode == FUSE_OPEN)
		SF_OK(sf_open(e.nodeid, r->flags, 0, &o));
	else if (ways[way].opcode == FUSE_TMPFILE)
		SF_OK(fc_tmpfile(&hc, sf.dir, r->flags | O_TMPFILE, 0644, &e, &o));
	else
		SF_OK(sf_create("f", r->flags, 0644, 0, &e, &o));
	SF_OK(stat(sf_path("."), &st));
	if (ways[way].opcode == FUSE_TMPFILE)
		st.st_ino = e.attr.ino;
	else
		SF_OK(stat(sf_path("f"), &st));
	SF_EQ(sf_fd_flags_of(planes[plane].who, &st) & SEEN, r->host);
	if ((r->host & O_DIRECT) == 0)
		expect_access(e.nodeid, o.fh, r->host);
	else
		SF_OK(fc_release(&hc, e.nodeid, o.fh));
	sf_end();
}
END_TEST

/* What is refused, or does more than open. The share of a row has file f (content "data"), directory d, link l, FIFO p. */
struct case_row {
	const char *name;
	const char *options;
	uint32_t opcode;
	const char *what;
	uint32_t flags;
	int error;
	int size;	/* of f afterwards */
};

static const struct case_row cases[] = {
	{ "OPEN O_TRUNC", "", FUSE_OPEN, "f", O_WRONLY | O_TRUNC, 0, 0 },
	{ "OPEN O_TRUNC, reading", "", FUSE_OPEN, "f", O_RDONLY | O_TRUNC, 0, 0 },
	{ "OPEN O_TRUNC, written back", WB, FUSE_OPEN, "f", O_WRONLY | O_TRUNC, 0, 0 },
	{ "OPEN O_CREAT of what is there", "", FUSE_OPEN, "f", O_RDWR | O_CREAT, 0, 4 },
	{ "OPEN O_CREAT | O_EXCL of what is there", "", FUSE_OPEN, "f", O_RDWR | O_CREAT | O_EXCL, 0, 4 },
	{ "OPEN O_PATH | O_TRUNC", "", FUSE_OPEN, "f", O_PATH | O_TRUNC, 0, 0 },
	{ "OPEN O_DIRECTORY of a file", "", FUSE_OPEN, "f", O_RDONLY | O_DIRECTORY, -ENOTDIR, 4 },
	{ "OPEN O_TMPFILE of a file", "", FUSE_OPEN, "f", O_RDWR | O_TMPFILE, -ENOTDIR, 4 },
	{ "OPEN O_TMPFILE of a directory", "", FUSE_OPEN, "d", O_RDWR | O_TMPFILE, -EISDIR, 4 },
	{ "OPEN of a directory to write", "", FUSE_OPEN, "d", O_RDWR, -EISDIR, 4 },
	{ "OPEN of a directory", "", FUSE_OPEN, "d", O_RDONLY, 0, 4 },
	{ "S1: OPEN of a FIFO", "", FUSE_OPEN, "p", O_RDWR, -EBADF, 4 },
	{ "S1: OPEN of a symlink", "", FUSE_OPEN, "l", O_RDWR, -EBADF, 4 },
	{ "S1: OPEN of a symlink, O_PATH", "", FUSE_OPEN, "l", O_PATH, -EBADF, 4 },
	{ "OPENDIR", "", FUSE_OPENDIR, "d", O_RDONLY, 0, 4 },
	{ "OPENDIR to write", "", FUSE_OPENDIR, "d", O_RDWR, -EISDIR, 4 },
	{ "OPENDIR O_TMPFILE", "", FUSE_OPENDIR, "d", O_RDWR | O_TMPFILE, -EISDIR, 4 },
	{ "OPENDIR of a file", "", FUSE_OPENDIR, "f", O_RDONLY, -ENOTDIR, 4 },
	{ "S1: OPENDIR of a FIFO", "", FUSE_OPENDIR, "p", O_RDONLY, -EBADF, 4 },
	{ "S1: OPENDIR of a symlink", "", FUSE_OPENDIR, "l", O_RDONLY, -EBADF, 4 },
	{ "S7: CREATE of what is there", "", FUSE_CREATE, "f", O_RDWR, 0, 4 },
	{ "S7: CREATE O_EXCL of what is there", "", FUSE_CREATE, "f", O_RDWR | O_EXCL, -EEXIST, 4 },
	{ "S7: CREATE of a directory", "", FUSE_CREATE, "d", O_RDWR, -EISDIR, 4 },
	{ "S7: CREATE of a symlink", "", FUSE_CREATE, "l", O_RDWR, -EBADF, 4 },
	{ "S7: CREATE of a symlink to nothing", "", FUSE_CREATE, "m", O_RDWR, -EBADF, 4 },
	{ "S7: CREATE of a FIFO", "", FUSE_CREATE, "p", O_RDWR, -EBADF, 4 },
	{ "P5: CREATE O_TRUNC of what is there", "", FUSE_CREATE, "f", O_RDWR | O_TRUNC, 0, 0 },
	{ "P5: CREATE O_TRUNC, written back", WB, FUSE_CREATE, "f", O_WRONLY | O_TRUNC, 0, 0 },
	{ "CREATE O_DIRECTORY", "", FUSE_CREATE, "f", O_RDWR | O_DIRECTORY, 0, 4 },
};

static unsigned int
host_names(void)
{
	static const char *const names[] = { "f", "d", "l", "m", "p", "nothing", "new" };
	unsigned int set = 0;
	struct stat st;

	for (size_t i = 0; i < countof(names); i++)
		set |= (unsigned int)(lstat(sf_path(names[i]), &st) == 0) << i;
	return set;
}

START_TEST(test_case)
{
	const struct case_row *c = &cases[_i];
	struct fuse_entry_out e = { 0 };
	struct fuse_open_out o;
	unsigned int before;
	struct stat st;
	int err;

	sf_begin(c->name, c->options, SF_DIR, c->opcode);
	sf_put("f", "data", 0, 0, 0644);
	SF_OK(mkdir(sf_path("d"), 0755));
	SF_OK(symlink("f", sf_path("l")));
	SF_OK(symlink("nothing", sf_path("m")));
	SF_OK(mkfifo(sf_path("p"), 0666));
	before = host_names();
	if (c->opcode == FUSE_CREATE)
		err = sf_create(c->what, c->flags, 0644, 0, &e, &o);
	else if (c->opcode == FUSE_OPENDIR)
		err = sf_opendir(sf_node(c->what), c->flags, &o);
	else
		err = sf_open(sf_node(c->what), c->flags, 0, &o);
	SF_EQ(err, c->error);
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(st.st_size, c->size);
	SF_EQ(host_names(), before);
	/* C10: of a CREATE that failed no look-up is left behind; this is the only one that counts. */
	if (err != 0 && c->opcode == FUSE_CREATE) {
		e.nodeid = sf_node(c->what);
		SF_OK(fc_forget(&hc, e.nodeid, 1));
		FAILS(EBADF, fc_getattr(&hc, e.nodeid, NULL));
	}
	sf_end();
}
END_TEST

/* P2: a new file is read through the handle that a writer made it with. */
START_TEST(test_create_written_back)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char buf[8];

	sf_begin("P2: READ of what CREATE opened to write", _i == 0 ? WB : WB " --fd-donation=never",
	    SF_DIR, FUSE_CREATE);
	SF_OK(sf_create("f", O_WRONLY | O_EXCL, 0200, 0, &e, &o));
	SF_EQ(sf_write(e.nodeid, o.fh, 0, "data", 4, 4, O_WRONLY, FUSE_WRITE_CACHE), 4);
	SF_EQ(fc_read(&hc, e.nodeid, o.fh, 0, buf, 8), 4);
	SF_OK(memcmp(buf, "data", 4));
	sf_end();
}
END_TEST

/* P1: cached pages are written where they belong, other appends at the end. */
static const struct {
	const char *name;
	const char *options;
	uint32_t flags, write_flags;
	const char *after;
} appends[] = {
	{ "P1: append", "", O_WRONLY | O_APPEND, 0, "0123456789XX" },
	{ "P1: cached page", "", O_WRONLY | O_APPEND, FUSE_WRITE_CACHE, "XX23456789" },
	{ "P1: no append", "", O_WRONLY, 0, "XX23456789" },
	{ "P1: append, written back", WB, O_WRONLY | O_APPEND, 0, "0123456789XX" },
	{ "P1: cached page, written back", WB, O_WRONLY | O_APPEND, FUSE_WRITE_CACHE, "XX23456789" },
};

START_TEST(test_append)
{
	size_t plane = (size_t)_i / countof(appends), i = (size_t)_i % countof(appends);
	char name[100], options[100], buf[32] = "";
	struct fuse_open_out o;
	uint64_t node;

	snprintf(name, sizeof(name), "%s%s", appends[i].name, planes[plane].options);
	snprintf(options, sizeof(options), "%s%s", appends[i].options, planes[plane].options);
	sf_begin(name, options, SF_DIR, FUSE_WRITE);
	sf_put("f", "0123456789", 0, 0, 0644);
	node = sf_node("f");
	SF_OK(sf_open(node, appends[i].flags, 0, &o));
	SF_EQ(sf_write(node, o.fh, 0, "XX", 2, 2, appends[i].flags, appends[i].write_flags), 2);
	snprintf(name, sizeof(name), "%s/f", sf.rel);
	h_get(name, buf, sizeof(buf) - 1);
	ck_assert_str_eq(buf, appends[i].after);
	sf_end();
}
END_TEST

/* P4: whether reading through a handle leaves a trace, as its flag and the option say. */
static const struct {
	const char *name;
	const char *options;
	uint32_t flags;
	bool kept;
} atimes[] = {
	{ "P4: atime, O_NOATIME with its option", NOATIME, O_NOATIME, true },
	{ "P4: atime, O_NOATIME without", "", O_NOATIME, false },
	{ "P4: atime, its option without O_NOATIME", NOATIME, 0, false },
};

START_TEST(test_atime)
{
	static const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct fuse_open_out o;
	struct stat st;
	uint64_t node;
	char buf[4];

	sf_begin(atimes[_i].name, atimes[_i].options, SF_TMPFS, FUSE_OPEN);
	sf_put("f", "data", 1000, 1000, 0644);
	SF_OK(utimensat(AT_FDCWD, sf_path("f"), old, 0));
	node = sf_node("f");
	SF_OK(sf_open(node, O_RDONLY | atimes[_i].flags, 0, &o));
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, 4), 4);
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(st.st_atim.tv_sec == 1000, atimes[_i].kept);
	sf_end();
}
END_TEST

/* C13: the entry of a new file is the file that was made; its handle, number and mode agree with the host. */
START_TEST(test_create_entry)
{
	struct fuse_entry_out e, again;
	struct fuse_open_out o;
	struct stat st;

	sf_begin("C13: entry of CREATE", "", SF_DIR, FUSE_CREATE);
	hc.uid = hc.gid = 1000;
	SF_OK(sf_create("f", O_RDWR | O_EXCL, 0640, 0, &e, &o));
	SF_OK(stat(sf_path("f"), &st));
	SF_EQ(e.attr.ino, st.st_ino);
	SF_EQ(e.attr.mode, S_IFREG | 0640);
	SF_EQ(e.attr.uid, 1000);
	/* Its name may be another's at once: the handle stays with its own. */
	SF_OK(rename(sf_path("f"), sf_path("g")));
	sf_put("f", "other", 0, 0, 0644);
	SF_EQ(sf_write(e.nodeid, o.fh, 0, "x", 1, 1, 0, 0), 1);
	SF_OK(stat(sf_path("g"), &st));
	SF_EQ(st.st_size, 1);
	SF_OK(fc_lookup(&hc, sf.dir, "f", &again));
	ck_assert_uint_ne(again.nodeid, e.nodeid);
	SF_EQ(sf_node("g"), e.nodeid);
	sf_end();
}
END_TEST

static _Atomic bool stop;

/* The host makes and removes a name as fast as it can. */
static void *
come_and_go(void *path)
{
	int fd;

	while (!stop) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
		unlink(path);
	}
	return NULL;
}

/*
 * S7, C13: CREATE of a name that comes and goes ends, and what it answers is of one piece: what is written through the
 * handle is what the node has.
 */
START_TEST(test_racing_names)
{
	const char *options = _i == 0 ? "" : "--fd-donation=never";
	unsigned int made = 0;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	pthread_t thread;
	char *path;
	int err;

	sf_begin("S7, C13: CREATE of a name that comes and goes", options, SF_TMPFS, FUSE_CREATE);
	path = strdup(sf_path("f"));
	ck_assert_ptr_nonnull(path);
	stop = false;
	SF_OK(pthread_create(&thread, NULL, come_and_go, path));
	for (int i = 0; i < 500; i++) {
		err = sf_create("f", O_RDWR, 0644, 0, &e, &o);
		/* Each of its tries came too late. */
		if (err == -ENOENT)
			continue;
		SF_OK(err);
		made++;
		SF_EQ(sf_write(e.nodeid, o.fh, (uint64_t)i, "x", 1, 1, 0, 0), 1);
		SF_OK(fc_getattr(&hc, e.nodeid, &a));
		SF_EQ(a.size, i + 1);
		SF_OK(fc_release(&hc, e.nodeid, o.fh));
	}
	stop = true;
	pthread_join(thread, NULL);
	free(path);
	SF_EQ(made > 250, true);
	sf_end();
}
END_TEST

TCase *
check_surface_open(void)
{
	TCase *t = tcase_create("open");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_row, 0, sf_select(sensible, ROWS, list));
	SF_TCASE(t, test_case, cases);
	tcase_add_loop_test(t, test_create_written_back, 0, 2);
	tcase_add_loop_test(t, test_append, 0, (int)countof(appends) * 2);
	SF_TCASE(t, test_atime, atimes);
	tcase_add_test(t, test_create_entry);
	tcase_add_loop_test(t, test_racing_names, 0, 2);
	return t;
}
