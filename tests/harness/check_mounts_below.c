/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_mounts_below - file systems mounted in the share: announced (P8), told apart, each with its own
 * STATFS and SYNCFS (P20), made while the daemon runs, and let go when nothing on them is known (F7).
 *
 * Runs in: check_mounts.
 */
#include "check_mounts.h"
#include "harness.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAG_SUBMOUNT (1u << 0)

static void
make_dir(const char *name)
{
	ck_assert_msg(mkdir(h_path(name), 0755) == 0 || errno == EEXIST, "%s", name);
}

static void
mount_tmpfs(const char *name)
{
	make_dir(name);
	ck_assert_int_eq(mount("test", h_path(name), "tmpfs", 0, "size=1m"), 0);
}

static void
gone(const char *name)
{
	ck_assert_msg(umount2(h_path(name), MNT_DETACH) == 0, "%s: %s", name, strerror(errno));
}

static struct fuse_entry_out
look(uint64_t dir, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(&hc, dir, name, &e));
	return e;
}

/* A tmpfs, a directory bound to another place, a file bound to another. */
static void
mount_all(void)
{
	mount_tmpfs("tmp");
	make_dir("d");
	make_dir("bound");
	h_put("d/f", "data", 4);
	h_put("file", "", 0);
	h_put("tmp/f", "tmpfs", 5);
	ck_assert_int_eq(mount(h_path("d"), h_path("bound"), NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(mount(h_path("d/f"), h_path("file"), NULL, MS_BIND, NULL), 0);
}

static void
unmount_all(void)
{
	gone("tmp");
	gone("bound");
	gone("file");
}

/* What READDIRPLUS of the root says of a name. */
static void
listed(const char *want, struct fuse_entry_out *e, struct fuse_dirent *d)
{
	struct fuse_open_out o;
	struct fuse_entry_out x;
	struct fuse_dirent y;
	bool found = false;
	char name[256];
	size_t pos = 0;

	OK(fc_opendir(&hc, FC_ROOT, &o));
	ck_assert_int_gt(fc_readdir(&hc, FC_ROOT, o.fh, 0, 65536, true), 0);
	while (fc_next_dirent(&hc, &pos, true, &x, &y, name) == 1)
		if (strcmp(name, want) == 0) {
			*e = x;
			*d = y;
			found = true;
		}
	ck_assert_msg(found, "%s is not listed", want);
	OK(fc_releasedir(&hc, FC_ROOT, o.fh));
}

/* The options, what INIT offers, and whether submounts are announced then. */
static const struct {
	const char *option;
	uint64_t offered;
	bool announced;
} modes[] = {
	{ "--announce-submounts", ~0ull, true },
	{ "--no-announce-submounts", ~0ull, false },
	{ "--announce-submounts", ~(uint64_t)FUSE_SUBMOUNTS, false },
	{ "--inode-file-handles=never", ~0ull, true },
	{ "--inode-file-handles=mandatory", ~0ull, true },
	{ "--sandbox=chroot", ~0ull, true },
	{ "--sandbox=none", ~0ull, true },
};

START_TEST(test_announced)
{
	const char *args[] = { modes[_i / 2].option, NULL };
	struct vmm_opts opts = { .args = args, .stage = VMM_SPAWNED };
	const uint32_t flag = modes[_i / 2].announced ? FLAG_SUBMOUNT : 0;
	struct fuse_entry_out e, d, f, bf;
	struct fuse_dirent ent;
	struct fuse_attr a;

	/* what is mounted when the client comes, and what is mounted later */
	h_start_opts(&opts, false);
	if (_i % 2 == 0)
		mount_all();
	OK(vmm_go_on(hv));
	OK(fc_open(&hc, hv, 1));
	OK(fc_init(&hc, modes[_i / 2].offered));
	if (_i % 2 == 1)
		mount_all();
	e = look(FC_ROOT, "tmp");
	ck_assert_uint_eq(e.attr.flags, flag);
	ck_assert_uint_eq(e.attr.ino, h_stat("tmp").st_ino);
	OK(fc_getattr(&hc, e.nodeid, &a));
	ck_assert_uint_eq(a.flags, 0);
	f = look(e.nodeid, "f");
	ck_assert_uint_eq(f.attr.flags, 0);
	ck_assert_uint_eq(f.attr.size, 5);
	/* the same directory twice: on another mount it is another node */
	d = look(FC_ROOT, "d");
	ck_assert_uint_eq(d.attr.flags, 0);
	e = look(FC_ROOT, "bound");
	ck_assert_uint_eq(e.attr.flags, flag);
	ck_assert_uint_eq(e.attr.ino, d.attr.ino);
	ck_assert_uint_ne(e.nodeid, d.nodeid);
	f = look(d.nodeid, "f");
	bf = look(e.nodeid, "f");
	ck_assert_uint_eq(f.attr.ino, bf.attr.ino);
	ck_assert_uint_ne(f.nodeid, bf.nodeid);
	/* a file that is mounted over another is no directory of a new file system */
	ck_assert_uint_eq(look(FC_ROOT, "file").attr.flags, 0);
	/* a listing names the root of what is mounted, and the number of what is covered */
	listed("tmp", &e, &ent);
	ck_assert_uint_eq(e.attr.flags, flag);
	ck_assert_uint_eq(e.attr.ino, h_stat("tmp").st_ino);
	ck_assert_uint_ne(ent.ino, e.attr.ino);
	FAILS(EXDEV, fc_link(&hc, f.nodeid, look(FC_ROOT, "tmp").nodeid, "l", &e));
	FAILS(EXDEV, fc_rename(&hc, d.nodeid, "f", look(FC_ROOT, "tmp").nodeid, "g"));
	unmount_all();
	h_stop();
}
END_TEST

/* P20 */
START_TEST(test_statfs)
{
	struct fuse_kstatfs got;
	struct statvfs want;

	h_start(NULL);
	mount_tmpfs("tmp");
	h_put("tmp/f", "x", 1);
	ck_assert_int_eq(statvfs(h_path("tmp"), &want), 0);
	OK(fc_statfs(&hc, look(look(FC_ROOT, "tmp").nodeid, "f").nodeid, &got));
	ck_assert_uint_eq(got.blocks, want.f_blocks);
	ck_assert_uint_eq(got.files, want.f_files);
	ck_assert_uint_eq(got.blocks, 256);
	OK(fc_statfs(&hc, FC_ROOT, &got));
	ck_assert_uint_ne(got.blocks, want.f_blocks);
	gone("tmp");
	h_stop();
}
END_TEST

/* An ext4 image on a loop device. Returns the image's fd. */
static int
mount_image(const char *name, char dev[32])
{
	char cmd[300];
	int img, ctl, loop, nr;

	img = open(h_path("../image"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(img, 0);
	ck_assert_int_eq(ftruncate(img, 32 << 20), 0);
	snprintf(cmd, sizeof(cmd), "mkfs.ext4 -q %s", h_path("../image"));
	ck_assert_int_eq(system(cmd), 0);
	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	snprintf(dev, 32, "/dev/loop%d", nr);
	loop = open(dev, O_RDWR | O_CLOEXEC);
	ck_assert_msg(loop >= 0 && ioctl(loop, LOOP_SET_FD, img) == 0, "%s: %s", dev, strerror(errno));
	make_dir(name);
	ck_assert_msg(mount(dev, h_path(name), "ext4", 0, NULL) == 0, "%s: %s", dev, strerror(errno));
	ioctl(loop, LOOP_CLR_FD);	/* once it is unmounted */
	close(loop);
	return img;
}

static bool
image_has(int img, const char *text)
{
	char *p = malloc(32 << 20);
	bool has;

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq((int)pread(img, p, 32 << 20, 0), 32 << 20);
	has = memmem(p, 32 << 20, text, strlen(text)) != NULL;
	free(p);
	return has;
}

/* SYNCFS reaches the file system of its node, and no other. */
START_TEST(test_syncfs)
{
	static const char text[] = "what is in the page cache and not yet in the image";
	struct fuse_entry_out e, f;
	struct fuse_open_out o;
	char dev[32];
	int img;

	h_start(NULL);
	img = mount_image("ext4", dev);
	e = look(FC_ROOT, "ext4");
	ck_assert_uint_eq(e.attr.flags, FLAG_SUBMOUNT);
	OK(fc_create(&hc, e.nodeid, "f", O_RDWR, 0644, &f, &o));
	ck_assert_int_eq(fc_write(&hc, f.nodeid, o.fh, 0, text, sizeof(text), O_RDWR), (int)sizeof(text));
	OK(fc_syncfs(&hc, FC_ROOT));
	ck_assert(!image_has(img, text));
	OK(fc_syncfs(&hc, e.nodeid));
	ck_assert(image_has(img, text));
	OK(fc_release(&hc, f.nodeid, o.fh));
	/* handles of two file systems, brought back by the next worker */
	ck_assert_int_eq(fc_getattr(&hc, f.nodeid, NULL), 0);
	OK(fc_forget(&hc, f.nodeid, 1));
	OK(fc_forget(&hc, e.nodeid, 1));
	close(img);
	gone("ext4");
	unlink(h_path("../image"));
	h_stop();
}
END_TEST

static bool
is_unmounted(void *unused)
{
	(void)unused;
	if (umount2(h_path("m"), 0) == 0)
		return true;
	ck_assert_int_eq(errno, EBUSY);
	return false;
}

/* F7: a mount made while the daemon runs is seen; it can be unmounted once the guest knows nothing on it. */
START_TEST(test_come_and_go)
{
	static const char *const args[][2] = { { "--inode-file-handles=prefer" }, { "--inode-file-handles=never" } };
	struct fuse_entry_out before, e, f;
	struct fuse_open_out o;
	int i;

	h_start(args[_i]);
	make_dir("m");
	before = look(FC_ROOT, "m");
	for (i = 0; i < 3; i++) {
		mount_tmpfs("m");
		h_put("m/f", "x", 1);
		e = look(FC_ROOT, "m");
		ck_assert_uint_eq(e.attr.flags, FLAG_SUBMOUNT);
		ck_assert_uint_ne(e.nodeid, before.nodeid);
		f = look(e.nodeid, "f");
		OK(fc_open_file(&hc, f.nodeid, O_RDONLY, &o));
		ck_assert(!is_unmounted(NULL));
		OK(fc_release(&hc, f.nodeid, o.fh));
		OK(fc_forget(&hc, e.nodeid, 1));
		/* the file keeps it */
		ck_assert(!h_eventually(is_unmounted, NULL, 100));
		OK(fc_getattr(&hc, f.nodeid, NULL));
		OK(fc_forget(&hc, f.nodeid, 1));
		ck_assert(h_eventually(is_unmounted, NULL, 2000));
		/* what was covered is there again */
		e = look(FC_ROOT, "m");
		ck_assert_uint_eq(e.nodeid, before.nodeid);
		ck_assert_uint_eq(e.attr.flags, 0);
	}
	h_stop();
}
END_TEST

static pid_t
worker_pid(void)
{
	struct vmm_proc p[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, p, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++)
		if (strcmp(p[i].comm, "virtiofsd-worke") == 0)
			return p[i].pid;
	return 0;
}

/* All of it over the death of a worker. */
START_TEST(test_over_death)
{
	struct fuse_entry_out e, f;
	pid_t worker;

	h_start(NULL);
	mount_tmpfs("m");
	h_put("m/f", "x", 1);
	e = look(FC_ROOT, "m");
	f = look(e.nodeid, "f");
	worker = worker_pid();
	ck_assert_int_gt(worker, 0);
	ck_assert_int_eq(kill(worker, SIGKILL), 0);
	OK(fc_getattr(&hc, f.nodeid, NULL));
	ck_assert_uint_eq(look(FC_ROOT, "m").nodeid, e.nodeid);
	ck_assert_uint_eq(look(FC_ROOT, "m").attr.flags, FLAG_SUBMOUNT);
	ck_assert(!is_unmounted(NULL));
	OK(fc_forget(&hc, f.nodeid, 1));
	OK(fc_forget(&hc, e.nodeid, 3));
	ck_assert(h_eventually(is_unmounted, NULL, 2000));
	/* mounted while the second worker lives */
	mount_tmpfs("m");
	ck_assert_uint_ne(look(FC_ROOT, "m").nodeid, e.nodeid);
	gone("m");
	h_stop();
}
END_TEST

/* The guest's reset forgets too. */
START_TEST(test_reset)
{
	h_start(NULL);
	mount_tmpfs("m");
	look(FC_ROOT, "m");
	ck_assert(!is_unmounted(NULL));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_eventually(is_unmounted, NULL, 2000));
	h_stop();
}
END_TEST

TCase *
check_mounts_below(void)
{
	TCase *t = tcase_create("below");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, h_abandon);
	tcase_add_loop_test(t, test_announced, 0, (int)(2 * sizeof(modes) / sizeof(modes[0])));
	tcase_add_test(t, test_statfs);
	tcase_add_test(t, test_syncfs);
	tcase_add_loop_test(t, test_come_and_go, 0, 2);
	tcase_add_test(t, test_over_death);
	tcase_add_test(t, test_reset);
	return t;
}
