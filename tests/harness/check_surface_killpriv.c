/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_killpriv - set-id bits and security.capability of files that change (spec/fuse.md section 8, traps.md
 * S15, S17, K1): each change by each kind of caller, with and without --killpriv-v2, on either plane.
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/xattr.h>

#include "fuse_beyond.h"

#define NOBODY_KNOWN 0xffffffffu	/* ids of a guest that keeps them to itself (ALLOW_IDMAP) */
#define OWNER 1234u

/* A change of file "k", node k, on behalf of hc; kill: the guest says that its caller has no CAP_FSETID. */
struct change {
	const char *name;
	uint32_t opcode;
	int (*run)(bool kill);
};

static uint64_t k, source;
static struct fuse_open_out o, so;

static int
do_write(bool kill)
{
	int n = sf_write(k, o.fh, 0, "x", 1, 1, O_RDWR, kill ? FUSE_WRITE_KILL_SUIDGID : 0);

	return n == 1 ? 0 : n;
}

static int
do_append(bool kill)
{
	int n = sf_write(k, o.fh, 0, "x", 1, 1, O_RDWR | O_APPEND,
	    kill ? FUSE_WRITE_KILL_SUIDGID : 0);

	return n == 1 ? 0 : n;
}

static int
do_truncate(bool kill)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE, .size = 1 };

	in.valid |= kill ? FATTR_KILL_SUIDGID : 0;
	return fc_setattr(&hc, k, &in, NULL);
}

static int
do_ftruncate(bool kill)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE | FATTR_FH, .size = 1, .fh = o.fh };

	in.valid |= kill ? FATTR_KILL_SUIDGID : 0;
	return fc_setattr(&hc, k, &in, NULL);
}

static int
do_open(bool kill)
{
	struct fuse_open_out again;

	return sf_open(k, O_WRONLY | O_TRUNC, kill ? FUSE_OPEN_KILL_SUIDGID : 0, &again);
}

/* P5 */
static int
do_create(bool kill)
{
	struct fuse_open_out again;
	struct fuse_entry_out e;

	return sf_create("k", O_WRONLY | O_TRUNC, 0644, kill ? FUSE_OPEN_KILL_SUIDGID : 0, &e,
	    &again);
}

/* What Linux sends before a change that has no flag, of a file that has bits to lose, by a caller that may not keep them. */
static int
do_setattr_nothing(bool kill)
{
	struct fuse_setattr_in in = { .valid = FATTR_CTIME };
	struct fuse_attr a;

	if (!kill)
		return 0;
	SF_OK(fc_setattr(&hc, k, &in, &a));
	SF_EQ(a.mode & 07777, sf_mode("k"));
	return 0;
}

/* These two have no flag: hc is the caller, or, where it is not known, one that was announced. */
static int
do_fallocate(bool kill)
{
	if (hc.uid == NOBODY_KNOWN)
		SF_OK(do_setattr_nothing(kill));
	return fc_fallocate(&hc, k, o.fh, 0, 8192, 0);
}

static int
do_copy(bool kill)
{
	struct fuse_copy_file_range_in in = { .fh_in = so.fh, .nodeid_out = k, .fh_out = o.fh,
		.len = 3 };
	uint32_t n;

	if (hc.uid == NOBODY_KNOWN)
		SF_OK(do_setattr_nothing(kill));
	return fc_copy_file_range(&hc, &in, source, &n);
}

static int
do_copy_64(bool kill)
{
	struct fuse_copy_file_range_in in = { .fh_in = so.fh, .nodeid_out = k, .fh_out = o.fh,
		.len = 3 };
	uint64_t n;

	if (hc.uid == NOBODY_KNOWN)
		SF_OK(do_setattr_nothing(kill));
	return fc_copy_file_range_64(&hc, &in, source, &n);
}

static const struct change changes[] = {
	{ "WRITE", FUSE_WRITE, do_write },
	{ "WRITE, appending", FUSE_WRITE, do_append },
	{ "SETATTR size", FUSE_SETATTR, do_truncate },
	{ "SETATTR size of a handle", FUSE_SETATTR, do_ftruncate },
	{ "OPEN O_TRUNC", FUSE_OPEN, do_open },
	{ "CREATE O_TRUNC", FUSE_CREATE, do_create },
	{ "FALLOCATE", FUSE_FALLOCATE, do_fallocate },
	{ "COPY_FILE_RANGE", FUSE_COPY_FILE_RANGE, do_copy },
	{ "COPY_FILE_RANGE_64", FC_COPY_FILE_RANGE_64, do_copy_64 },
	{ "SETATTR of nothing", FUSE_SETATTR, do_setattr_nothing },
};

struct kill_row {
	const char *name;
	unsigned int mode, gid;		/* of the file */
	uint32_t uid, caller;		/* of the guest's process */
	bool kill;
	unsigned int after;		/* with --killpriv-v2; without: unchanged */
};

static const struct kill_row rows[] = {
	{ "root", 06755, 5, 0, 0, false, 06755 },
	{ "root, no group execution", 06644, 5, 0, 0, false, 06644 },
	{ "K1: a stranger", 06755, 5, 1000, 1000, true, 0755 },
	{ "K1: the owner, in the group", 06755, 5, OWNER, 5, true, 0755 },
	{ "K1: nobody known", 06755, 5, NOBODY_KNOWN, NOBODY_KNOWN, true, 0755 },
	{ "root, not known", 06755, 5, NOBODY_KNOWN, NOBODY_KNOWN, false, 06755 },
	{ "K1: suid alone", 04711, 5, 1000, 1000, true, 0711 },
	{ "K1: sgid alone", 02711, 5, 1000, 1000, true, 0711 },
	{ "K1: no group execution, in the group", 02644, 5, OWNER, 5, true, 02644 },
	{ "K1: no group execution, a stranger", 02644, 5, 1000, 1000, true, 0644 },
	{ "K1: no group execution, nobody known", 02644, 5, NOBODY_KNOWN, NOBODY_KNOWN, true, 02644 },
	{ "K1: both, no group execution, in the group", 06644, 5, OWNER, 5, true, 02644 },
	{ "K1: both, no group execution, a stranger", 06644, 0, 1000, 1000, true, 0644 },
	{ "no bits", 0644, 5, 1000, 1000, true, 0644 },
	{ "the sticky bit", 01755, 5, 1000, 1000, true, 01755 },
};

static const struct {
	const char *options;
	bool killpriv;
	enum sf_fs fs;
} ways[] = {
	{ "--killpriv-v2", true, SF_DIR },
	{ "--killpriv-v2 --fd-donation=never", true, SF_DIR },
	/* It does not drop them at a fallocate by itself. */
	{ "--killpriv-v2", true, SF_TMPFS },
	{ "", false, SF_DIR },
	{ "--fd-donation=never", false, SF_DIR },
};

static void
make_files(unsigned int gid, unsigned int mode)
{
	sf_put("k", "abc", OWNER, gid, mode);
	sf_put("source", "def", 0, 0, 0644);
	k = sf_node("k");
	source = sf_node("source");
	SF_OK(sf_open(source, O_RDONLY, 0, &so));
	SF_OK(sf_open(k, O_RDWR, 0, &o));
}

#define ROWS (countof(ways) * countof(rows) * countof(changes))
static uint16_t list[ROWS];

/* What makes something always says for whom; and who keeps the bits sends no SETATTR of nothing. */
static bool
sensible(size_t i)
{
	const struct kill_row *r = &rows[i / countof(changes) % countof(rows)];
	const struct change *c = &changes[i % countof(changes)];

	return !(c->opcode == FUSE_CREATE && r->uid == NOBODY_KNOWN) &&
	    !(c->run == do_setattr_nothing && !r->kill);
}

START_TEST(test_row)
{
	size_t way = list[_i] / (countof(rows) * countof(changes));
	const struct kill_row *r = &rows[list[_i] / countof(changes) % countof(rows)];
	const struct change *c = &changes[list[_i] % countof(changes)];
	char name[120];

	snprintf(name, sizeof(name), "%s%s: %s: %s", ways[way].options,
	    ways[way].fs == SF_TMPFS ? " (tmpfs)" : "", r->name, c->name);
	sf_begin(name, ways[way].options, ways[way].fs, c->opcode);
	make_files(r->gid, r->mode);
	hc.uid = r->uid;
	hc.gid = r->caller;
	SF_OK(c->run(r->kill));
	SF_EQ(sf_mode("k"), ways[way].killpriv ? r->after : r->mode);
	/* Whoever comes next is served by threads that are themselves again. */
	hc.uid = hc.gid = 0;
	SF_OK(fc_setattr(&hc, source, &(struct fuse_setattr_in){ .valid = FATTR_MODE | FATTR_GID,
	    .mode = 02755, .gid = 5 }, NULL));
	sf_end();
}
END_TEST

/* The guest gives a file set-id bits while it has it open: its own writes keep them, others' cost them. */
static const struct {
	const char *name;
	const char *options;
	size_t change;
	bool kill;
	unsigned int after;
} opened[] = {
	{ "made set-id while open: WRITE of root", "", 0, false, 06755 },
	{ "made set-id while open: append of root", "", 1, false, 06755 },
	{ "made set-id while open: FALLOCATE of root", "", 6, false, 06755 },
	{ "made set-id while open: copy of root", "", 7, false, 06755 },
	{ "S15: made set-id while open: WRITE of root", "--killpriv-v2", 0, false, 06755 },
	{ "S15: made set-id while open: WRITE", "--killpriv-v2", 0, true, 0755 },
	{ "S15: made set-id while open: append", "--killpriv-v2", 1, true, 0755 },
	{ "S15: made set-id while open: FALLOCATE", "--killpriv-v2", 6, true, 0755 },
	{ "S15: made set-id while open: copy", "--killpriv-v2", 7, true, 0755 },
};

START_TEST(test_opened)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 06755 };

	sf_begin(opened[_i].name, opened[_i].options, SF_DIR, changes[opened[_i].change].opcode);
	make_files(5, 0644);
	SF_OK(do_write(false));
	SF_EQ(sf_fd_flags(SF_FRONT, "k") & O_ACCMODE, O_RDWR);
	SF_OK(fc_setattr(&hc, k, &in, NULL));
	hc.uid = hc.gid = opened[_i].kill ? 1000 : 0;
	SF_OK(changes[opened[_i].change].run(opened[_i].kill));
	SF_EQ(sf_mode("k"), opened[_i].after);
	sf_end();
}
END_TEST

/* By the host: the guest knows of them once it has asked for the attributes. */
START_TEST(test_host_chmod)
{
	/* The front's own statx, or the worker's, which alone can translate ids. */
	static const char *const options[] = { "", "--translate-uid=map:1000:1000:1" };

	sf_begin("made set-id by the host while open", options[_i], SF_DIR, FUSE_GETATTR);
	make_files(5, 0644);
	SF_OK(chmod(sf_path("k"), 06755));
	SF_OK(fc_getattr_fh(&hc, k, o.fh, NULL));
	SF_OK(do_write(false));
	SF_EQ(sf_mode("k"), 06755);
	sf_end();
}
END_TEST

/* chown: the host's kernel drops them whoever asks. */
static const struct {
	const char *name;
	const char *options;
	unsigned int mode, after;
} chowns[] = {
	{ "chown", "", 06755, 0755 }, { "chown, --killpriv-v2", "--killpriv-v2", 06755, 0755 },
	{ "chown, no group execution", "", 06644, 02644 },
};

START_TEST(test_chown)
{
	struct fuse_setattr_in in = { .valid = FATTR_UID, .uid = 7 };

	sf_begin(chowns[_i].name, chowns[_i].options, SF_DIR, FUSE_SETATTR);
	make_files(0, chowns[_i].mode);
	SF_OK(fc_setattr(&hc, k, &in, NULL));
	SF_EQ(sf_mode("k"), chowns[_i].after);
	sf_end();
}
END_TEST

/* security.capability goes with every change of content, whoever makes it: the host's kernel sees to that. */
static const struct {
	const char *options;
	bool kill;
} cap_ways[] = {
	{ "", false }, { "--fd-donation=never", false }, { "--killpriv-v2", true },
	{ "--killpriv-v2 --fd-donation=never", true },
};

START_TEST(test_capability)
{
	const struct vfs_cap_data cap = { .magic_etc = VFS_CAP_REVISION_2, .data = { { 1, 1 } } };
	const size_t n = countof(changes) - 1;	/* without the SETATTR of nothing */
	size_t way = (size_t)_i / n;
	const struct change *c = &changes[(size_t)_i % n];
	char name[120], buf[64];

	snprintf(name, sizeof(name), "S17: security.capability: %s: %s", cap_ways[way].options,
	    c->name);
	sf_begin(name, cap_ways[way].options, SF_DIR, c->opcode);
	make_files(5, 0644);
	SF_OK(setxattr(sf_path("k"), "security.capability", &cap, sizeof(cap), 0));
	hc.uid = hc.gid = cap_ways[way].kill ? 1000 : 0;
	SF_OK(c->run(cap_ways[way].kill));
	SF_EQ(getxattr(sf_path("k"), "security.capability", buf, sizeof(buf)), -1);
	sf_end();
}
END_TEST

TCase *
check_surface_killpriv(void)
{
	TCase *t = tcase_create("killpriv");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_row, 0, sf_select(sensible, ROWS, list));
	SF_TCASE(t, test_opened, opened);
	tcase_add_loop_test(t, test_host_chmod, 0, 2);
	SF_TCASE(t, test_chown, chowns);
	tcase_add_loop_test(t, test_capability, 0, (int)(countof(cap_ways) * (countof(changes) - 1)));
	return t;
}
