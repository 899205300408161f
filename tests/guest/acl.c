/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * acl: POSIX ACLs set, enforced and inherited. Says what happened, one line a step, and judges nothing: the same program runs
 * on a local file system, and what it says is compared.
 *
 * usage: acl DIRECTORY
 * Runs in: the guest, as root, on the share; and on the host, on ext4.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/posix_acl_xattr.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
enum { R = 4, W = 2, X = 1 };

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[8];
	size_t n;
};

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static const char *
result(int r)
{
	return r == -1 ? strerrorname_np(errno) : "ok";
}

/* Entries as tag, id, permissions; ends with a tag of 0. */
static struct acl
make(const int (*e)[3])
{
	struct acl a = { .head = { POSIX_ACL_XATTR_VERSION } };

	for (; (*e)[0] != 0; e++)
		a.e[a.n++] = (struct posix_acl_xattr_entry){ (uint16_t)(*e)[0], (uint16_t)(*e)[2],
			(*e)[1] < 0 ? UINT32_MAX : (uint32_t)(*e)[1] };
	return a;
}

static size_t
size_of(const struct acl *a)
{
	return sizeof(a->head) + a->n * sizeof(a->e[0]);
}

static void
set(const char *file, const char *name, const struct acl *a)
{
	say("set %s of %s: %s", name, file, result(setxattr(file, name, a, size_of(a), 0)));
}

/* Mode and both ACLs. */
static void
show(const char *file)
{
	static const char *const names[] = { ACCESS, DEFAULT };
	struct acl a;
	struct stat st;

	if (lstat(file, &st) == -1) {
		say("%s: %s", file, result(-1));
		return;
	}
	say("%s: mode %o owner %u:%u", file, st.st_mode, st.st_uid, st.st_gid);
	for (unsigned i = 0; i < COUNT(names); i++) {
		ssize_t n = getxattr(file, names[i], &a, sizeof(a));

		if (n == -1) {
			say("  %s: %s", names[i], result(-1));
			continue;
		}
		say("  %s: %zd bytes", names[i], n);
		for (size_t k = 0; k < ((size_t)n - sizeof(a.head)) / sizeof(a.e[0]); k++)
			say("    %u %d %u", a.e[k].e_tag, (int)a.e[k].e_id, a.e[k].e_perm);
	}
}

static const struct user {
	const char *name;
	uid_t uid;
	gid_t gid, member;
} users[] = {
	{ "owner", 1000, 1000, 0 },
	{ "named", 1001, 1001, 0 },
	{ "group", 1002, 2000, 0 },
	{ "named group", 1003, 3000, 0 },
	{ "member of named group", 1004, 1004, 3000 },
	{ "stranger", 1005, 1005, 0 },
	{ "root", 0, 0, 0 },
};

/* Run f as a user. */
static void
as(const struct user *u, void (*f)(const struct user *, const char *), const char *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgroups(u->member != 0, &u->member) == -1 || setresgid(u->gid, u->gid, u->gid) == -1 ||
		    setresuid(u->uid, u->uid, u->uid) == -1)
			_exit(1);
		f(u, arg);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void
try_file(const struct user *u, const char *file)
{
	int r = open(file, O_RDONLY), w = open(file, O_WRONLY), x = access(file, X_OK);

	say("%s on %s: read %s write %s execute %s", u->name, file, r == -1 ? "no" : "yes", w == -1 ? "no" : "yes",
	    x == -1 ? "no" : "yes");
	if (r != -1)
		close(r);
	if (w != -1)
		close(w);
}

static void
try_all(const char *file)
{
	for (size_t i = 0; i < COUNT(users); i++)
		as(&users[i], try_file, file);
}

static void
make_things(const struct user *u, const char *dir)
{
	static const mode_t masks[] = { 0, 022, 077 };
	char path[128], target[128];
	int fd;

	for (size_t i = 0; i < COUNT(masks); i++) {
		umask(masks[i]);
		snprintf(path, sizeof(path), "%s/%s file %03o", dir, u->name, masks[i]);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0666);
		say("create %s: %s", path, result(fd));
		close(fd);
		show(path);
		snprintf(path, sizeof(path), "%s/%s dir %03o", dir, u->name, masks[i]);
		say("mkdir %s: %s", path, result(mkdir(path, 0777)));
		show(path);
		snprintf(path, sizeof(path), "%s/%s fifo %03o", dir, u->name, masks[i]);
		say("mkfifo %s: %s", path, result(mkfifo(path, 0640)));
		show(path);
	}
	snprintf(target, sizeof(target), "%s/%s link", dir, u->name);
	say("symlink %s: %s", target, result(symlink("x", target)));
}

static void
set_own_acl(const struct user *u, const char *file)
{
	static const int e[][3] = { { USER_OBJ, -1, 6 }, { USER, 1001, 4 }, { GROUP_OBJ, -1, 6 }, { MASK, -1, 6 },
		{ OTHER, -1, 0 }, { 0, 0, 0 } };
	struct acl a = make(e);

	say("as %s:", u->name);
	set(file, ACCESS, &a);
}

static void
remove_acl(const struct user *u, const char *file)
{
	say("%s removes the ACL of %s: %s", u->name, file, result(removexattr(file, ACCESS)));
}

static void
access_acls(void)
{
	static const int full[][3] = { { USER_OBJ, -1, 6 }, { USER, 1001, 7 }, { GROUP_OBJ, -1, 4 }, { GROUP, 3000, 6 },
		{ MASK, -1, 7 }, { OTHER, -1, 0 }, { 0, 0, 0 } };
	static const int masked[][3] = { { USER_OBJ, -1, 7 }, { USER, 1001, 7 }, { GROUP_OBJ, -1, 7 }, { GROUP, 3000, 7 },
		{ MASK, -1, 4 }, { OTHER, -1, 4 }, { 0, 0, 0 } };
	static const int none[][3] = { { USER_OBJ, -1, 6 }, { USER, 1001, 0 }, { GROUP_OBJ, -1, 4 }, { MASK, -1, 7 },
		{ OTHER, -1, 6 }, { 0, 0, 0 } };
	static const int minimal[][3] = { { USER_OBJ, -1, 7 }, { GROUP_OBJ, -1, 1 }, { OTHER, -1, 2 }, { 0, 0, 0 } };
	static const int bad[][3] = { { USER_OBJ, -1, 7 }, { USER, 1001, 7 }, { GROUP_OBJ, -1, 1 }, { OTHER, -1, 2 }, { 0, 0, 0 } };
	const struct acl acls[] = { make(full), make(masked), make(none), make(minimal), make(bad) };

	close(open("f", O_RDWR | O_CREAT | O_EXCL, 0644));
	say("chown: %s", result(chown("f", 1000, 2000)));
	show("f");
	try_all("f");
	for (size_t i = 0; i < COUNT(acls); i++) {
		set("f", ACCESS, &acls[i]);
		show("f");
		try_all("f");
	}
	/* chmod is about the mask now, and an ACL about the mode */
	set("f", ACCESS, &acls[0]);
	say("chmod 640: %s", result(chmod("f", 0640)));
	show("f");
	try_all("f");
	say("chmod 677: %s", result(chmod("f", 0677)));
	show("f");
	set("f", DEFAULT, &acls[0]);
	as(&users[5], remove_acl, "f");
	as(&users[1], set_own_acl, "f");
	as(&users[0], set_own_acl, "f");
	show("f");
	as(&users[0], remove_acl, "f");
	show("f");
	try_all("f");
	say("remove what is not there: %s", result(removexattr("f", ACCESS)));
}

static void
set_gid_bit(void)
{
	close(open("g", O_RDWR | O_CREAT | O_EXCL, 0644));
	/* the owner is not of the file's group: his ACL costs the bit, root's does not */
	for (int root = 0; root < 2; root++) {
		say("chown: %s", result(chown("g", 1000, 2000)));
		say("chmod: %s", result(chmod("g", 02775)));
		if (root)
			set_own_acl(&users[6], "g");
		else
			as(&users[0], set_own_acl, "g");
		show("g");
		say("remove: %s", result(removexattr("g", ACCESS)));
	}
	say("chown: %s", result(chown("g", 1002, 2000)));
	say("chmod: %s", result(chmod("g", 02775)));
	as(&users[2], set_own_acl, "g");
	show("g");
}

static void
default_acls(void)
{
	static const int inherited[][3] = { { USER_OBJ, -1, 7 }, { USER, 1001, 6 }, { GROUP_OBJ, -1, 5 }, { GROUP, 3000, 7 },
		{ MASK, -1, 7 }, { OTHER, -1, 5 }, { 0, 0, 0 } };
	static const int open_to_all[][3] = { { USER_OBJ, -1, 7 }, { GROUP_OBJ, -1, 7 }, { OTHER, -1, 7 }, { 0, 0, 0 } };
	const struct acl a = make(inherited), b = make(open_to_all);

	for (int i = 0; i < 2; i++) {
		const char *dir = i == 0 ? "inherits" : "open";

		say("mkdir: %s", result(mkdir(dir, 0777)));
		say("chmod: %s", result(chmod(dir, 0777)));
		set(dir, DEFAULT, i == 0 ? &a : &b);
		show(dir);
		as(&users[0], make_things, dir);
		as(&users[6], make_things, dir);
		try_all(i == 0 ? "inherits/owner file 022" : "open/owner file 077");
		say("chmod 2777: %s", result(chmod(dir, 02777)));
		say("chown: %s", result(chown(dir, 0, 3000)));
		as(&users[3], make_things, dir);
		as(&users[5], make_things, dir);
	}
	say("mkdir: %s", result(mkdir("plain", 0777)));
	say("chmod: %s", result(chmod("plain", 0777)));
	as(&users[0], make_things, "plain");
	say("remove the default: %s", result(removexattr("inherits", DEFAULT)));
	show("inherits");
	as(&users[1], make_things, "inherits");
	say("rename: %s", result(rename("inherits/owner file 022", "plain/moved")));
	show("plain/moved");
	say("link: %s", result(link("plain/moved", "plain/linked")));
	show("plain/linked");
}

static void
enter(const struct user *u, const char *dir)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/inside", dir);
	fd = open(path, O_RDONLY);
	say("%s reads %s: %s", u->name, path, result(fd));
	snprintf(path, sizeof(path), "%s/%u", dir, u->uid);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	say("%s makes %s: %s", u->name, path, result(fd));
}

/* Directories that only an ACL opens. */
static void
doors(void)
{
	static const int search[][3] = { { USER_OBJ, -1, 7 }, { USER, 1001, 1 }, { GROUP_OBJ, -1, 0 }, { GROUP, 3000, 3 },
		{ MASK, -1, 7 }, { OTHER, -1, 0 }, { 0, 0, 0 } };
	const struct acl a = make(search);

	say("mkdir: %s", result(mkdir("door", 0700)));
	say("chown: %s", result(chown("door", 1000, 2000)));
	close(open("door/inside", O_RDWR | O_CREAT, 0644));
	for (size_t i = 0; i < COUNT(users); i++)
		as(&users[i], enter, "door");
	set("door", ACCESS, &a);
	show("door");
	for (size_t i = 0; i < COUNT(users); i++)
		as(&users[i], enter, "door");
}

int
main(int argc, char *argv[])
{
	umask(0);
	if (argc != 2 || chdir(argv[1]) == -1) {
		fprintf(stderr, "usage: acl DIRECTORY\n");
		return 2;
	}
	access_acls();
	set_gid_bit();
	default_acls();
	doors();
	return 0;
}
