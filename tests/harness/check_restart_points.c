/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_points - the worker dies at each boundary of journal, system call and reply, in each operation that must
 * not be done twice. `cases` names each operation with what is there before, what the guest must be told and what must
 * be there afterwards: always as if done exactly once. Also: requests that kill every worker.
 *
 * Needs the build with crash points: the file .virtiofsd-crash in the share's root holds "OP:place" and is gone once the
 * worker has died there.
 * Runs in: check_restart.
 */
#include "check_restart.h"
#include "fuse_beyond.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define CRASH_FILE ".virtiofsd-crash"
#define UID 1000u
#define GID 1001u

static const char *const places[] = {
	"before-journal", "after-executing", "after-syscall", "after-done", "before-reply", "after-reply",
};
#define PLACES (sizeof(places) / sizeof(places[0]))

enum doing { MKDIR, MKNOD, SYMLINK, LINK, CREATE, CREATE_EXCL, CREATE_TRUNC, UNLINK, RMDIR, RENAME, EXCHANGE, NOREPLACE, TMPFILE };

/*
 * Names are a and b; the operation is on a, or from a to b. before: "name:type", type f(ile), d(irectory), D (not
 * empty), p(ipe), l (symlink), with a + as if the operation had made it; or b:=a, a link. after: "name:type", or "name:=x" for the inode that x named before. Nothing else may be
 * there. A refused operation may end before it comes to a place of the journal; the others come to all.
 */
static const struct point_case {
	const char *name, *op;
	enum doing doing;
	const char *before;
	int want;
	const char *after;
} cases[] = {
	{ "MKDIR", "MKDIR", MKDIR, "", 0, "a:d" },
	{ "MKDIR, exists", "MKDIR", MKDIR, "a:d", -EEXIST, "a:=a" },
	{ "MKDIR, the same exists", "MKDIR", MKDIR, "a:d+", -EEXIST, "a:=a" },
	{ "MKNOD", "MKNOD", MKNOD, "", 0, "a:p" },
	{ "MKNOD, exists", "MKNOD", MKNOD, "a:p", -EEXIST, "a:=a" },
	{ "MKNOD, the same exists", "MKNOD", MKNOD, "a:p+", -EEXIST, "a:=a" },
	{ "SYMLINK", "SYMLINK", SYMLINK, "", 0, "a:l" },
	{ "SYMLINK, exists", "SYMLINK", SYMLINK, "a:l", -EEXIST, "a:=a" },
	{ "SYMLINK, the same exists", "SYMLINK", SYMLINK, "a:l+", -EEXIST, "a:=a" },
	{ "LINK", "LINK", LINK, "a:f", 0, "a:=a b:=a" },
	{ "LINK, exists", "LINK", LINK, "a:f b:f", -EEXIST, "a:=a b:=b" },
	{ "LINK, the same exists", "LINK", LINK, "a:f b:=a", -EEXIST, "a:=a b:=a" },
	{ "CREATE", "CREATE", CREATE, "", 0, "a:f" },
	{ "CREATE, exists", "CREATE", CREATE, "a:f", 0, "a:=a" },
	{ "CREATE, O_EXCL", "CREATE", CREATE_EXCL, "", 0, "a:f" },
	{ "CREATE, O_EXCL, exists", "CREATE", CREATE_EXCL, "a:f", -EEXIST, "a:=a" },
	{ "CREATE, O_EXCL, the same exists", "CREATE", CREATE_EXCL, "a:f+", -EEXIST, "a:=a" },
	{ "CREATE, O_TRUNC", "CREATE", CREATE_TRUNC, "", 0, "a:f" },
	{ "TMPFILE", "TMPFILE", TMPFILE, "", 0, "a:f" },
	{ "LINK of a TMPFILE", "LINK", TMPFILE, "", 0, "a:f" },
	{ "UNLINK", "UNLINK", UNLINK, "a:f", 0, "" },
	{ "UNLINK, absent", "UNLINK", UNLINK, "b:f", -ENOENT, "b:=b" },
	{ "UNLINK, symlink", "UNLINK", UNLINK, "a:l b:f", 0, "b:=b" },
	{ "RMDIR", "RMDIR", RMDIR, "a:d", 0, "" },
	{ "RMDIR, absent", "RMDIR", RMDIR, "", -ENOENT, "" },
	{ "RMDIR, not empty", "RMDIR", RMDIR, "a:D", -ENOTEMPTY, "a:=a" },
	{ "RENAME", "RENAME", RENAME, "a:f", 0, "b:=a" },
	{ "RENAME, replaces", "RENAME", RENAME, "a:f b:f", 0, "b:=a" },
	{ "RENAME, directory replaces", "RENAME", RENAME, "a:D b:d", 0, "b:=a" },
	{ "RENAME, absent", "RENAME", RENAME, "b:f", -ENOENT, "b:=b" },
	{ "RENAME, not empty", "RENAME", RENAME, "a:d b:D", -ENOTEMPTY, "a:=a b:=b" },
	{ "RENAME_EXCHANGE", "RENAME", EXCHANGE, "a:f b:d", 0, "a:=b b:=a" },
	{ "RENAME_EXCHANGE, absent", "RENAME", EXCHANGE, "a:f", -ENOENT, "a:=a" },
	{ "RENAME_NOREPLACE", "RENAME", NOREPLACE, "a:f", 0, "b:=a" },
	{ "RENAME_NOREPLACE, exists", "RENAME", NOREPLACE, "a:f b:f", -EEXIST, "a:=a b:=b" },
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static unsigned int serial, deaths;
static ino_t inodes[2];		/* what a and b named before */

static const char *
inside(const char *name)
{
	char rel[64];

	snprintf(rel, sizeof(rel), "case%u/%s", serial, name);
	return h_path(rel);
}

static void
make(const char *name, const char *type)
{
	const bool same = type[0] != '=' && type[1] == '+';
	struct stat st;
	char below[8];
	int fd;

	switch (type[0]) {
	case '=':
		OK(link(inside("a"), inside(name)));
		break;
	case 'f':
		fd = open(inside(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		ck_assert_int_ge(fd, 0);
		if (!same)
			ck_assert_int_eq((int)write(fd, "before", 6), 6);
		close(fd);
		break;
	case 'd':
	case 'D':
		OK(mkdir(inside(name), 0777));
		snprintf(below, sizeof(below), "%s/x", name);
		if (type[0] == 'D')
			OK(mkdir(inside(below), 0777));
		break;
	case 'p':
		OK(mkfifo(inside(name), 0666));
		break;
	default:
		OK(symlink("target", inside(name)));
	}
	if (same)
		OK(lchown(inside(name), UID, GID));
	OK(lstat(inside(name), &st));
	inodes[name[0] - 'a'] = st.st_ino;
}

static void
prepare(const struct point_case *c, const char *place)
{
	char spec[32], text[64], *save = NULL, *word;
	int fd;

	serial++;
	OK(mkdir(inside(""), 0777));
	snprintf(spec, sizeof(spec), "%s", c->before);
	inodes[0] = inodes[1] = 0;
	for (word = strtok_r(spec, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		word[1] = '\0';
		make(word, word + 2);
	}
	/* Complete before it has its name. */
	fd = open(h_path("crash.new"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ck_assert_int_ge(fd, 0);
	snprintf(text, sizeof(text), "%s:%s\n", c->op, place);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	OK(rename(h_path("crash.new"), h_path(CRASH_FILE)));
}

static int
perform(const struct point_case *c, uint64_t dir, uint64_t a, struct fuse_entry_out *e)
{
	struct fuse_open_out o;
	uint32_t flags = O_RDWR | O_CREAT;
	int err;

	switch (c->doing) {
	case MKDIR:
		return fc_mkdir(&hc, dir, "a", 0750, e);
	case MKNOD:
		return fc_mknod(&hc, dir, "a", S_IFIFO | 0640, 0, e);
	case SYMLINK:
		return fc_symlink(&hc, dir, "a", "target", e);
	case LINK:
		return fc_link(&hc, a, dir, "b", e);
	case CREATE:
	case CREATE_EXCL:
	case CREATE_TRUNC:
		flags |= c->doing == CREATE_EXCL ? O_EXCL : c->doing == CREATE_TRUNC ? O_TRUNC : 0;
		err = fc_create(&hc, dir, "a", flags, S_IFREG | 0640, e, &o);
		if (err == 0) {
			ck_assert_int_eq(fc_write(&hc, e->nodeid, o.fh, 0, "written", 7, O_RDWR), 7);
			OK(fc_release(&hc, e->nodeid, o.fh));
		}
		return err;
	case TMPFILE:
		/* Written and given up, then named. */
		OK(fc_tmpfile(&hc, dir, O_RDWR, 0640, e, &o));
		ck_assert_uint_eq(e->attr.nlink, 0);
		ck_assert_int_eq(fc_write(&hc, e->nodeid, o.fh, 0, "written", 7, O_RDWR), 7);
		OK(fc_release(&hc, e->nodeid, o.fh));
		return fc_link(&hc, e->nodeid, dir, "a", e);
	case UNLINK:
		return fc_unlink(&hc, dir, "a");
	case RMDIR:
		return fc_rmdir(&hc, dir, "a");
	case RENAME:
		return fc_rename(&hc, dir, "a", dir, "b");
	default:
		return fc_rename2(&hc, dir, "a", dir, "b",
		    c->doing == EXCHANGE ? RENAME_EXCHANGE : RENAME_NOREPLACE);
	}
}

static unsigned int
count_names(void)
{
	const struct dirent *d;
	unsigned int n = 0;
	DIR *dir = opendir(inside(""));

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static const char *
check_new(const struct stat *st, char type)
{
	mode_t want = type == 'd' ? S_IFDIR | 0750 : type == 'p' ? S_IFIFO | 0640 :
	    type == 'l' ? S_IFLNK | 0777 : S_IFREG | 0640;

	if (st->st_mode != want)
		return "wrong type or mode";
	if (st->st_uid != UID || st->st_gid != GID)
		return "wrong owner";
	if (type == 'f' && st->st_size != 7)
		return "wrong size";
	return NULL;
}

/* Is the directory as it should be? Returns NULL or what is wrong. */
static const char *
verify(const struct point_case *c)
{
	char spec[32], *save = NULL, *word;
	const char *wrong;
	unsigned int names = 0;
	struct stat st;

	snprintf(spec, sizeof(spec), "%s", c->after);
	for (word = strtok_r(spec, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		names++;
		word[1] = '\0';
		if (lstat(inside(word), &st) != 0)
			return "a name is missing";
		if (word[2] == '=' && st.st_ino != inodes[word[3] - 'a'])
			return "a name means another inode";
		if (word[2] != '=' && (wrong = check_new(&st, word[2])) != NULL)
			return wrong;
	}
	return count_names() == names ? NULL : "there are more names than there should be";
}

/* The node of what the operation takes the last name from, as the guest knows it before; 0 = there is none. */
static uint64_t
victim_of(const struct point_case *c, uint64_t dir)
{
	const char *name = c->doing == UNLINK || c->doing == RMDIR ? "a" : "b";
	struct fuse_entry_out e;

	if (c->want != 0 || (c->doing != UNLINK && c->doing != RMDIR && c->doing != RENAME) || inodes[name[0] - 'a'] == 0)
		return 0;
	OK(fc_lookup(&hc, dir, name, &e));
	return e.nodeid;
}

static void
one_case(const struct point_case *c, const char *place)
{
	struct fuse_entry_out e = { 0 }, again;
	struct fuse_attr attr;
	uint64_t dir, a = 0, victim;
	const char *wrong;
	char name[32];
	pid_t pid;
	int err;

	prepare(c, place);
	snprintf(name, sizeof(name), "case%u", serial);
	dir = h_node(name);
	if (inodes[0] != 0) {
		OK(fc_lookup(&hc, dir, "a", &again));
		a = again.nodeid;
	}
	victim = victim_of(c, dir);
	pid = restart_worker();
	hc.uid = UID;
	hc.gid = GID;
	err = perform(c, dir, a, &e);
	hc.uid = hc.gid = 0;
	ck_assert_msg(err == c->want, "%s, %s: the guest was told %d, not %d", c->name, place, err, c->want);
	/* A death behind the reply. */
	OK(fc_getattr(&hc, dir, NULL));
	if (h_exists(CRASH_FILE)) {
		ck_assert_msg(c->want != 0, "%s never came to %s", c->name, place);
		OK(unlink(h_path(CRASH_FILE)));
	} else {
		restart_wait(pid);
		deaths++;
	}
	wrong = verify(c);
	ck_assert_msg(wrong == NULL, "%s, %s: %s", c->name, place, wrong);
	if (victim != 0) {
		ck_assert_msg(fc_getattr(&hc, victim, &attr) == 0 && attr.nlink == 0, "%s, %s: what was removed is lost",
		    c->name, place);
		OK(fc_forget(&hc, victim, 1));
	}
	if (e.nodeid != 0 && err == 0) {
		OK(fc_lookup(&hc, dir, c->doing == LINK ? "b" : "a", &again));
		ck_assert_uint_eq(again.nodeid, e.nodeid);
	}
}

START_TEST(crash_point)
{
	const struct point_case *c = &cases[_i];
	unsigned int p;

	deaths = 0;
	for (p = 0; p < PLACES; p++)
		one_case(c, places[p]);
	ck_assert_msg(deaths >= (c->want == 0 ? PLACES : 1), "%s: only %u deaths", c->name, deaths);
	printf("restart: crash points: %s: %u deaths\n", c->name, deaths);
}
END_TEST

static void
setup_grpid(void)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .ext4_mib = 16 };

	restart_start_crash(&opts);
	OK(mount(NULL, hv->share, NULL, MS_REMOUNT, "grpid"));
}

/* A file system that gives what is made other owners than were asked for: it is the request's own nevertheless. */
START_TEST(other_owner)
{
	static const enum doing all[] = { MKDIR, MKNOD, SYMLINK, CREATE_EXCL };
	const struct point_case *c = cases;
	struct fuse_entry_out e;
	struct stat st;
	uint64_t dir;
	char name[32];
	pid_t pid;

	while (c->doing != all[_i] || c->want != 0)
		c++;
	prepare(c, "after-syscall");
	snprintf(name, sizeof(name), "case%u", serial);
	dir = h_node(name);
	pid = restart_worker();
	hc.uid = UID;
	hc.gid = GID;
	OK(perform(c, dir, 0, &e));
	hc.uid = hc.gid = 0;
	restart_wait(pid);
	OK(lstat(inside("a"), &st));
	ck_assert_uint_ne(st.st_gid, GID);
}
END_TEST

/* What the guest named in a request that kills every worker must not be in the log; that it was a MKDIR must. */
START_TEST(poison)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t node;
	pid_t pid = restart_worker();

	h_put("file", "content", 7);
	node = h_node("file");
	OK(fc_open_file(&hother, node, O_RDWR, &o));
	h_put(CRASH_FILE, "MKDIR:poison\n", 13);
	FAILS(EIO, fc_mkdir(&hc, FC_ROOT, "poison-a-secret", 0755, &e));
	restart_wait(pid);
	ck_assert(!h_exists("poison-a-secret"));
	OK(fc_mkdir(&hc, FC_ROOT, "good", 0755, &e));
	ck_assert_int_eq(fc_write(&hother, node, o.fh, 0, "CONTENT", 7, O_RDWR), 7);
	OK(fc_release(&hother, node, o.fh));
	ck_assert(h_serves(&hother));
	ck_assert(vmm_log_has(hv, "MKDIR"));
	ck_assert(vmm_log_has(hv, "EIO"));
	ck_assert(!vmm_log_has(hv, "a-secret"));
	OK(unlink(h_path(CRASH_FILE)));
	OK(fc_mkdir(&hc, FC_ROOT, "poison-a-secret", 0755, &e));
}
END_TEST

static bool
log_says_stuck(void *arg)
{
	(void)arg;
	return vmm_log_has(hv, "has not been answered");
}

/* What was answered EIO is waited for by nobody: the next worker, which never got it, is not reported for it. */
START_TEST(poison_and_rest)
{
	static const char *const args[] = { "--worker-timeout=1", "--worker-timeout-restart",
		"--worker-deaths=1000", "--worker-window=1", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	struct fuse_entry_out e;
	pid_t pid;

	restart_start_crash(&opts);
	h_put(CRASH_FILE, "MKDIR:poison\n", 13);
	FAILS(EIO, fc_mkdir(&hc, FC_ROOT, "poison", 0755, &e));
	OK(unlink(h_path(CRASH_FILE)));
	pid = restart_worker();
	ck_assert(!h_eventually(log_says_stuck, NULL, 4000));
	ck_assert_int_eq(restart_worker(), pid);
}
END_TEST

TCase *
check_restart_points(void)
{
	TCase *c = tcase_create("points");

	tcase_add_checked_fixture(c, restart_setup_crash, restart_stop);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, crash_point, 0, CASES);
	tcase_add_test(c, poison);
	tcase_add_test(c, poison_and_rest);
	return c;
}

TCase *
check_restart_owners(void)
{
	TCase *c = tcase_create("owners");

	tcase_add_checked_fixture(c, setup_grpid, restart_stop);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, other_owner, 0, 4);
	return c;
}
