/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_liar - the worker is replaced by a hostile one (tests/harness/liar.c). Whatever it says, front and
 * monitor must not crash, and nothing may be written outside the guest's reply buffers: requests are answered, some
 * with EIO, or the session ends.
 *
 * Runs in: check_restart.
 */
#include "check_restart.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/harness/liar.h"

static const char *const names[] = {
#define X(NAME) #NAME,
	LIES(X)
#undef X
};

static char dir[64];		/* of the executables */
static char saved[512];		/* VIRTIOFSD */
static bool over;		/* the session has ended */

static void
copy(const char *from, const char *name)
{
	char path[200];
	struct stat st;
	int in, out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	in = open(from, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(in >= 0, "%s: %s", from, strerror(errno));
	OK(fstat(in, &st));
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ck_assert_int_ge(out, 0);
	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	OK(fstat(out, &st));
	ck_assert_int_eq(lseek(in, 0, SEEK_END), st.st_size);
	close(in);
	close(out);
}

static void
set_lie(int lie)
{
	char path[200], text[16];
	int fd;

	snprintf(path, sizeof(path), "%s/lie", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	snprintf(text, sizeof(text), "%d\n", lie);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static void
liar_setup(void)
{
	const char *liar = getenv("LIAR"), *daemon = getenv("VIRTIOFSD"), *more;
	char from[512], value[512];

	snprintf(saved, sizeof(saved), "%s", daemon != NULL ? daemon : "build/virtiofsd");
	snprintf(dir, sizeof(dir), "/tmp/liar-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	OK(chmod(dir, 0755));
	snprintf(from, sizeof(from), "%s/virtiofsd", restart_build_dir());
	copy(from, "virtiofsd");
	snprintf(from, sizeof(from), "%s/virtiofsd-front", restart_build_dir());
	copy(from, "virtiofsd-front");
	snprintf(from, sizeof(from), "%s/tests/liar", restart_build_dir());
	copy(liar != NULL ? liar : from, "virtiofsd-worker");
	more = strchr(saved, ' ');
	snprintf(value, sizeof(value), "%s/virtiofsd%s", dir, more != NULL ? more : "");
	setenv("VIRTIOFSD", value, 1);
}

static void
liar_teardown(void)
{
	static const char *const files[] = { "virtiofsd", "virtiofsd-front", "virtiofsd-worker", "lie" };
	char path[200];

	h_abandon();
	setenv("VIRTIOFSD", saved, 1);
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* A request has come back with any answer, or the session has ended: nothing else is right. */
static int
heard(const char *lie, const char *what, int result)
{
	if (result != FC_BROKEN)
		return result;
	ck_assert_msg(strstr(hc.why, "no used entry") != NULL, "%s: %s: %s", lie, what, hc.why);
	/* Who hangs up and lives on may keep the guest waiting, as anybody may who does not answer. */
	ck_assert_msg(strstr(hc.why, strerror(ECONNRESET)) != NULL ||
	    (strcmp(lie, "HANG_UP") == 0 && strstr(hc.why, strerror(ETIMEDOUT)) != NULL),
	    "%s: %s: %s", lie, what, hc.why);
	over = true;
	return FC_BROKEN;
}

#define HEAR(call) (over ? FC_BROKEN : heard(lie, #call, (call)))

static void
talk_about_files(const char *lie)
{
	struct fuse_entry_out e = { 0 };
	struct fuse_open_out o;
	struct fuse_attr a;
	char buf[4096];

	HEAR(fc_getattr(&hc, FC_ROOT, &a));
	if (HEAR(fc_lookup(&hc, FC_ROOT, "file", &e)) == 0 && HEAR(fc_open_file(&hc, e.nodeid, O_RDWR, &o)) == 0) {
		HEAR(fc_read(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf)));
		HEAR(fc_write(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf), O_RDWR));
		HEAR(fc_release(&hc, e.nodeid, o.fh));
	}
	if (e.nodeid != 0) {
		HEAR(fc_getxattr(&hc, e.nodeid, "user.x", buf, sizeof(buf)));
		HEAR(fc_listxattr(&hc, e.nodeid, buf, sizeof(buf)));
		HEAR(fc_readlink(&hc, e.nodeid, buf, sizeof(buf)));
		HEAR(fc_getattr(&hc, e.nodeid, &a));
	}
	if (HEAR(fc_create(&hc, FC_ROOT, "new", O_RDWR | O_CREAT, S_IFREG | 0644, &e, &o)) == 0) {
		HEAR(fc_write(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf), O_RDWR));
		HEAR(fc_fsync(&hc, e.nodeid, o.fh, false, false));
	}
}

static void
talk_about_directories(const char *lie)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_kstatfs st;

	if (HEAR(fc_opendir(&hc, FC_ROOT, &o)) == 0) {
		HEAR(fc_readdir(&hc, FC_ROOT, o.fh, 0, 4096, false));
		HEAR(fc_readdir(&hc, FC_ROOT, o.fh, 1, 65536, true));
		HEAR(fc_readdir(&hc, FC_ROOT, o.fh, 2, 200, true));
		HEAR(fc_releasedir(&hc, FC_ROOT, o.fh));
	}
	HEAR(fc_statfs(&hc, FC_ROOT, &st));
	HEAR(fc_mkdir(&hc, FC_ROOT, "dir", 0755, &e));
	HEAR(fc_rename(&hc, FC_ROOT, "dir", FC_ROOT, "dir2"));
}

/* The monitor ends a child that does not keep to the protocol, and the session with it. */
static void
lie_to_monitor(const char *lie, struct vmm_opts *opts)
{
	struct vmm_end e;

	opts->stage = VMM_CONNECTED;
	h_start_opts(opts, false);
	OK(vmm_wait_end(hv, &e));
	ck_assert_msg(e.exit_status == 1, "%s: exit status %d", lie, e.exit_status);
	ck_assert_msg(e.left == 0 && !e.sanitizer, "%s: %u processes left", lie, e.left);
	ck_assert_msg(!vmm_log_has(hv, "front process was killed by signal 11"), "%s: the front crashed", lie);
	printf("restart: lie %s: the monitor ended the session\n", lie);
}

START_TEST(lies)
{
	static const char *const args[] = { "--xattr", "--worker-deaths=5", "--worker-window=60", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	const char *lie = names[_i];
	struct vmm_end e;
	struct fuse_attr a;

	over = false;
	set_lie(_i);
	if (_i >= LIE_CTL_FIRST && _i <= LIE_CTL_LAST) {
		lie_to_monitor(lie, &opts);
		return;
	}
	h_start_opts(&opts, false);
	hc.timeout_ms = 2000;
	HEAR(fc_init(&hc, ~0ull));
	if (_i == LIE_NONE) {
		OK(fc_getattr(&hc, FC_ROOT, &a));
		ck_assert_uint_eq(a.ino, 5);
	}
	talk_about_files(lie);
	talk_about_directories(lie);
	/* By the socket or by the mailbox, and counters that say what they like: the truth is heard. */
	ck_assert_msg((_i != LIE_NONE && _i != LIE_MAIL && _i != LIE_MAIL_LETTERS && _i != LIE_MAIL_BELLS) || !over,
	    "%s: an honest liar ended the session", lie);
	ck_assert_msg((_i != LIE_MAIL_SENT && _i != LIE_MAIL_LEN && _i != LIE_MAIL_JUNK) || over,
	    "%s: believed", lie);
	OK(vmm_end(hv, &e));
	if (e.exit_status > 1 || vmm_log_has(hv, "front process was killed"))
		vmm_print_log(hv);
	ck_assert_msg(e.exit_status == 0 || e.exit_status == 1, "%s: exit status %d", lie, e.exit_status);
	ck_assert_msg(!vmm_log_has(hv, "front process was killed"), "%s: the front crashed", lie);
	ck_assert_msg(e.left == 0 && !e.sanitizer, "%s: %u processes left", lie, e.left);
	printf("restart: lie %s: %s, exit status %d\n", lie, over ? "the session ended" : "answered", e.exit_status);
}
END_TEST

TCase *
check_restart_liar(void)
{
	TCase *c = tcase_create("liar");

	tcase_add_checked_fixture(c, liar_setup, liar_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, lies, 0, LIE_END);
	return c;
}
