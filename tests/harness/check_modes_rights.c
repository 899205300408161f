/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_modes_rights - what the caller has and what becomes of it: supplementary groups, capabilities of a user who is not
 * root, --modcaps, mounts that come later.
 *
 * Runs in: check_modes.
 */
#include "check_modes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define TEAM 77777u	/* a group */

/* A line of /proc/PID/status. */
static const char *
status_of(pid_t pid, const char *field)
{
	static char line[256];
	size_t n = strlen(field);
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL && (strncmp(line, field, n) != 0 || line[n] != ':'))
		;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	n += 1 + strspn(line + n + 1, " \t");
	for (size_t end = strlen(line); end > n && line[end - 1] == ' '; line[--end] = '\0')
		;
	return line + n;
}

static void
check_groups(const char *want)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	ck_assert_uint_eq(n, 3);
	for (i = 0; i < n; i++)
		ck_assert_msg(strcmp(status_of(procs[i].pid, "Groups"), want) == 0, "%s has groups '%s', not '%s'",
		    procs[i].comm, status_of(procs[i].pid, "Groups"), want);
}

/* traps.md S4: what groups the caller of root's daemon is in is nothing to the guest. */
START_TEST(test_groups_of_root)
{
	static const char *const names[] = { "root namespace", "root chroot", "root none" };
	struct mode m = *modes_named(names[_i]);

	m.prefix[0] = "setpriv";
	m.prefix[1] = "--groups";
	m.prefix[2] = "4,27";
	modes_start(&m, NULL);
	check_groups("");
	modes_restart();
	check_groups("");
	h_stop();
}
END_TEST

/* A user's stay; also those that cannot be dropped, of root in a user namespace of one id. */
START_TEST(test_groups_of_user)
{
	static const char *const names[] = { "user namespace", "user namespace one", "user namespace ranges", "user none",
		"outer namespace", "outer chroot", "outer none" };
	struct fuse_entry_out e;
	struct fuse_attr a;
	int i;

	modes_start_in_group(modes_named(names[_i]), NULL, TEAM);
	check_groups("77777");
	/* What only members can reach the guest can reach. */
	OK(mkdir(h_path("team"), 0770));
	OK(chown(h_path("team"), 0, TEAM));
	OK(chmod(h_path("team"), 0770));
	for (i = 0; i < 2; i++) {
		OK(fc_lookup(&hc, FC_ROOT, "team", &e));
		OK(fc_mkdir(&hc, e.nodeid, i == 0 ? "one" : "two", 0755, &e));
		OK(fc_getattr(&hc, e.nodeid, &a));
		modes_restart();
		check_groups("77777");
	}
	h_stop();
}
END_TEST

static bool
says_lost(void *unused)
{
	(void)unused;
	return vmm_log_has(hv, "supplementary groups that the user namespace does not map are lost");
}

/* The guest names a group of the creator: not where setgroups() is denied, and never for longer than that. */
START_TEST(test_guest_groups)
{
	static const struct {
		const char *name;
		int error;
		gid_t group;	/* of the caller's */
		const char *after;
	} cases[] = { { "user namespace", EPERM, TEAM, "77777" }, { "user namespace one", EPERM, TEAM, "77777" },
		{ "user none", EPERM, TEAM, "77777" }, { "user namespace ranges", 0, 0, "" },
		{ "outer ranges namespace", 0, 0, "" },
		/* A group that the namespace has no number for: one thread has lost it. */
		{ "user namespace ranges", 0, TEAM, NULL } };
	struct {
		struct fuse_mkdir_in in;
		char name[4];
		uint32_t size, type, nr, gid;
	} __attribute__((packed)) req = { { .mode = 0755 }, "sup", 16, FC_EXT_GROUPS, 1, 77 };
	struct fc_part part = { &req, sizeof(req) };
	struct fuse_entry_out e;

	modes_start_in_group(modes_named(cases[_i].name), NULL, cases[_i].group);
	ck_assert((hc.init_flags & FC_CREATE_SUPP_GROUP) != 0);
	ck_assert_int_eq(fc_call(&hc, FUSE_MKDIR, FC_ROOT, &part, 1, sizeof(e)), -cases[_i].error);
	ck_assert_int_eq(h_exists("sup"), cases[_i].error == 0);
	if (cases[_i].after != NULL)
		check_groups(cases[_i].after);
	else
		ck_assert(h_eventually(says_lost, NULL, 2000));
	h_stop();
}
END_TEST

/* A user with capabilities, as a systemd unit may give them: without a sandbox they are used, and the next worker has them. */
START_TEST(test_ambient)
{
#define SOME "+chown,+dac_override,+fowner,+setuid,+setgid"
	static const struct mode m = { .name = "ambient", .args = { "--sandbox=none" },
		.prefix = { "setpriv", "--reuid", "64321", "--regid", "64321", "--clear-groups", "--inh-caps", SOME,
		    "--ambient-caps", SOME } };
	struct fuse_entry_out e;
	int i;

	modes_start(&m, NULL);
	for (i = 0; i < 2; i++) {
		ck_assert_str_eq(status_of(modes_worker(), "CapPrm"), "00000000000000cb");
		ck_assert_str_eq(status_of(modes_worker(), "CapEff"), "00000000000000cb");
		ck_assert_str_eq(status_of(modes_worker(), "CapAmb"), "0000000000000000");
		hc.uid = hc.gid = 1000;
		OK(fc_mkdir(&hc, FC_ROOT, i == 0 ? "one" : "two", 0700, &e));
		hc.uid = hc.gid = 0;
		ck_assert_uint_eq(h_stat(i == 0 ? "one" : "two").st_uid, 1000);
		modes_restart();
	}
	h_stop();
}
END_TEST

/* Every thread of the worker has what it may have. */
static void
check_effective(void)
{
	char path[64], permitted[20];
	pid_t worker = modes_worker();
	struct dirent *e;
	DIR *d;

	snprintf(permitted, sizeof(permitted), "%s", status_of(worker, "CapPrm"));
	snprintf(path, sizeof(path), "/proc/%d/task", worker);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			ck_assert_str_eq(status_of(atoi(e->d_name), "CapEff"), permitted);
	closedir(d);
}

/*
 * S3: who makes something has none of the worker's capabilities, whoever the worker is: uid 0 of its namespace, which
 * loses them by becoming somebody else, or another one, which does not, or the caller himself.
 */
START_TEST(test_creator)
{
	static const char *const zero[] = { "--uid-map=:0:64321:1:", "--gid-map=:0:64321:1:",
		"--uid-map=:2000:100000:100:", "--gid-map=:2000:100000:100:", NULL };
	static const char *const own[] = { "--uid-map=:1000:64321:1:", "--gid-map=:1000:64321:1:",
		"--uid-map=:2000:100000:100:", "--gid-map=:2000:100000:100:", NULL };
	static const struct {
		const char *const *maps;
		uint32_t caller;
		uid_t made;
		bool known;
	} cases[] = { { zero, 2005, 100005, true }, { zero, 2005, 100005, false },
		{ own, 2005, 100005, true }, { own, 2005, 100005, false },
		{ own, 1000, MODES_USER, true }, { own, 1000, MODES_USER, false } };
	const struct vmm_opts opts = { .stage = VMM_RUNNING, .args = cases[_i].maps, .owner = MODES_USER };
	static const char *const dirs[] = { "sgid", "private" };
	const uint64_t flags = cases[_i].known ? ~0ull : ~FC_CREATE_SUPP_GROUP;
	const int error = cases[_i].known ? EACCES : 0;
	struct fuse_entry_out d[2], e;

	h_start_opts(&opts, false);
	OK(fc_init(&hc, flags));
	for (int i = 0; i < 2; i++) {
		OK(mkdir(h_path(dirs[i]), 0));
		OK(chown(h_path(dirs[i]), 100001, 100001));
		OK(chmod(h_path(dirs[i]), i == 0 ? 02777 : 0700));
		OK(fc_lookup(&hc, FC_ROOT, dirs[i], &d[i]));
	}
	/* The guest's root is the worker, before and after. */
	for (int i = 0; i < 2; i++) {
		hc.uid = hc.gid = 0;
		OK(fc_make(&hc, FUSE_MKDIR, d[1].nodeid, i == 0 ? "before" : "after", 0755, 0, NULL, 0, &e));
		check_effective();
		hc.uid = hc.gid = cases[_i].caller;
		ck_assert_int_eq(fc_make(&hc, FUSE_MKDIR, d[1].nodeid, i == 0 ? "x" : "y", 0755, 0, NULL, 0, &e), -error);
		OK(fc_make(&hc, FUSE_CREATE, d[0].nodeid, i == 0 ? "x" : "y", 02775, 0, NULL, 0, &e));
		ck_assert_uint_eq(h_stat("sgid/x").st_mode, S_IFREG | 0775);
		ck_assert_uint_eq(h_stat("sgid/x").st_uid, cases[_i].made);
		ck_assert_uint_eq(h_stat("sgid/x").st_gid, 100001);
		check_effective();
	}
	h_stop();
}
END_TEST

START_TEST(test_modcaps)
{
	static const struct {
		const char *name, *modcaps, *caps;
		int chown_error, trusted_error;
	} cases[] = {
		{ "root namespace", "--modcaps=+sys_admin:-chown", "00000000882000da", EPERM, 0 },
		{ "root chroot", "--modcaps=+sys_admin:-chown", "00000000882000da", EPERM, 0 },
		{ "root none", "--modcaps=+SYS_ADMIN:-chown:+chown", "00000000882000db", 0, 0 },
		{ "root namespace", "--modcaps=+dac_read_search", "00000000880000df", 0, EPERM },
		{ "user namespace one", "--modcaps=+dac_read_search:+linux_immutable", "00000000880002df", EINVAL, EPERM },
		{ "user namespace one", "--modcaps=-mknod:-setfcap", "00000000000000db", EINVAL, EPERM },
		/* Not root: not even read. */
		{ "user namespace", "--modcaps=nonsense", "00000000880000db", EINVAL, EPERM },
		{ "user none", "--modcaps=-mknod", "0000000000000000", EPERM, EPERM },
	};
	const char *const more[] = { cases[_i].modcaps, "--xattr", NULL };
	struct fuse_setattr_in chown = { .valid = FATTR_UID | FATTR_GID, .uid = 1000, .gid = 1000 };
	struct fuse_entry_out e;
	struct fuse_attr a;
	int i;

	modes_start(modes_named(cases[_i].name), more);
	OK(fc_mkdir(&hc, FC_ROOT, "d", 0755, &e));
	for (i = 0; i < 2; i++) {
		ck_assert_str_eq(status_of(modes_worker(), "CapPrm"), cases[_i].caps);
		ck_assert_str_eq(status_of(modes_worker(), "CapEff"), cases[_i].caps);
		ck_assert_int_eq(fc_setxattr(&hc, e.nodeid, "trusted.a", "b", 1, 0), -cases[_i].trusted_error);
		ck_assert_int_eq(fc_setattr(&hc, e.nodeid, &chown, &a), -cases[_i].chown_error);
		modes_restart();
	}
	h_stop();
}
END_TEST

/* Mounted on the host below the share while the guest runs, and while no worker does. */
START_TEST(test_later_mounts)
{
	static const char *const names[] = { "root namespace", "root chroot", "root none" };
	char base[] = "/tmp/modes-mounts.XXXXXX", path[64], file[80];
	const char *const more[] = { "--shared-dir", base, NULL };
	struct fuse_entry_out d, e;
	int i;

	ck_assert_ptr_nonnull(mkdtemp(base));
	OK(chmod(base, 0755));
	OK(mount(base, base, NULL, MS_BIND, NULL));
	OK(mount(NULL, base, NULL, MS_SHARED, NULL));
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d", base, i);
		OK(mkdir(path, 0755));
	}
	modes_start(modes_named(names[_i]), more);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d", base, i);
		snprintf(file, sizeof(file), "%s/inside", path);
		OK(mount("modes", path, "tmpfs", 0, NULL));
		close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		OK(fc_lookup(&hc, FC_ROOT, path + strlen(base) + 1, &d));
		ck_assert_uint_eq(d.attr.flags & FUSE_ATTR_SUBMOUNT, FUSE_ATTR_SUBMOUNT);
		OK(fc_lookup(&hc, d.nodeid, "inside", &e));
		modes_restart();
		OK(fc_lookup(&hc, d.nodeid, "inside", &d));
		ck_assert_uint_eq(d.nodeid, e.nodeid);
	}
	h_stop();
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%d", base, i);
		OK(umount2(path, MNT_DETACH));
		OK(rmdir(path));
	}
	OK(umount2(base, MNT_DETACH));
	OK(rmdir(base));
}
END_TEST

TCase *
check_modes_rights(void)
{
	TCase *t = tcase_create("rights");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_groups_of_root, 0, 3);
	tcase_add_loop_test(t, test_groups_of_user, 0, 7);
	tcase_add_loop_test(t, test_guest_groups, 0, 6);
	tcase_add_test(t, test_ambient);
	tcase_add_loop_test(t, test_creator, 0, 6);
	tcase_add_loop_test(t, test_modcaps, 0, 8);
	tcase_add_loop_test(t, test_later_mounts, 0, 3);
	return t;
}
