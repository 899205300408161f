/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_restart_liar - the worker is replaced by a hostile one (tests/harness/liar.c). Whatever it says, front and
 * monitor must not crash, and nothing may be written outside the guest's reply buffers. A lie that can be known for one
 * is fatal to the liar alone: a true worker takes its place, and the session goes on.
 *
 * Runs in: check_restart.
 */
#include "check_restart.h"

#include <fcntl.h>
#include <signal.h>
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

/* So many workers lie, then the true one comes. */
static void
set_lie(int lie, unsigned int liars)
{
	char path[200], text[32];
	int fd;

	snprintf(path, sizeof(path), "%s/lie", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	snprintf(text, sizeof(text), "%d %u\n", lie, liars);
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
	snprintf(from, sizeof(from), "%s/virtiofsd-worker", restart_build_dir());
	copy(from, "true-worker");
	more = strchr(saved, ' ');
	snprintf(value, sizeof(value), "%s/virtiofsd%s", dir, more != NULL ? more : "");
	setenv("VIRTIOFSD", value, 1);
}

static void
liar_teardown(void)
{
	static const char *const files[] = { "virtiofsd", "virtiofsd-front", "virtiofsd-worker", "true-worker",
		"lie" };
	char path[200];

	h_abandon();
	setenv("VIRTIOFSD", saved, 1);
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* A request comes back with any answer; nothing else is right. */
static int
heard(const char *lie, const char *what, int result)
{
	ck_assert_msg(result != FC_BROKEN, "%s: %s: %s", lie, what, hc.why);
	return result;
}

#define HEAR(call) heard(lie, #call, (call))

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

/* Lies that nobody can know for lies: the guest has to live with them. */
static bool
is_plausible(int lie)
{
	static const int plausible[] = { LIE_NONE, LIE_FD_PATH, LIE_FD_READ_ONLY, LIE_FD_MEMFD, LIE_NODE_ROOT,
		LIE_ENTRY_FLAGS, LIE_MODE, LIE_MAIL, LIE_MAIL_LETTERS, LIE_MAIL_BELLS };

	for (unsigned int i = 0; i < sizeof(plausible) / sizeof(plausible[0]); i++)
		if (plausible[i] == lie)
			return true;
	return false;
}

static bool
log_has(void *arg)
{
	return vmm_log_has(hv, arg);
}

static void
kill_true_worker(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), i;

	for (i = 0; i < n; i++)
		if (procs[i].ppid == hv->pid && strcmp(procs[i].comm, "virtiofsd-front") != 0)
			OK(kill(procs[i].pid, SIGKILL));
	ck_assert_uint_eq(n, 3);
}

/* The true worker is killed, and the liars take its place. */
static void
start_liar(int lie, unsigned int liars)
{
	/* The liars make system calls that no worker makes. */
	static const char *const args[] = { "--xattr", "--worker-deaths=6", "--worker-window=60", "--seccomp=none",
		"--log-level=debug", NULL };
	struct vmm_opts opts = { .stage = VMM_RUNNING, .args = args };
	static char ready[] = "worker process 1 is ready";

	set_lie(lie, liars);
	h_start_opts(&opts, true);
	hc.timeout_ms = 5000;
	h_put("truth", "truth", 5);
	kill_true_worker();
	ck_assert(h_eventually(log_has, ready, 3000));
}

static void
end_liar(const char *lie, int status)
{
	struct vmm_end e;

	OK(vmm_end(hv, &e));
	if (e.exit_status != status || e.left != 0)
		vmm_print_log(hv);
	ck_assert_msg(e.exit_status == status, "%s: exit status %d", lie, e.exit_status);
	ck_assert_msg(!vmm_log_has(hv, "front process was killed"), "%s: the front crashed", lie);
	ck_assert_msg(e.left == 0 && !e.sanitizer, "%s: %u processes left", lie, e.left);
}

/* The worker of now tells the truth about the share, and does what it is told. */
static void
true_worker(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_attr a;
	char buf[16] = "";

	OK(fc_getattr(&hc, FC_ROOT, &a));
	ck_assert_uint_eq(a.ino, h_stat("").st_ino);
	OK(fc_lookup(&hc, FC_ROOT, "truth", &e));
	ck_assert_uint_eq(e.attr.ino, h_stat("truth").st_ino);
	OK(fc_open_file(&hc, e.nodeid, O_RDWR, &o));
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, buf, sizeof(buf)), 5);
	ck_assert_str_eq(buf, "truth");
	OK(fc_release(&hc, e.nodeid, o.fh));
	OK(fc_mkdir(&hc, FC_ROOT, "made", 0755, &e));
	ck_assert(S_ISDIR(h_stat("made").st_mode));
	ck_assert(h_serves(&hother));
}

START_TEST(lies)
{
	static char second[] = "worker process 2 is ready";
	const char *lie = names[_i];
	struct fuse_attr a;

	start_liar(_i, 1);
	if (_i == LIE_NONE) {
		OK(fc_getattr(&hc, FC_ROOT, &a));
		ck_assert_uint_eq(a.ino, 5);
	}
	talk_about_files(lie);
	talk_about_directories(lie);
	if (is_plausible(_i))
		ck_assert_msg(!log_has(second), "%s: the liar was replaced", lie);
	else if (_i != LIE_MAIL_TWICE || log_has(second)) {
		/* A second answer beside the mailbox is found out only if the front sleeps meanwhile; it does no harm. */
		ck_assert_msg(h_eventually(log_has, second, 3000), "%s: the liar was not replaced", lie);
		true_worker();
	}
	end_liar(lie, 0);
	printf("restart: lie %s: %s\n", lie, is_plausible(_i) ? "answered" : "fatal to the liar");
}
END_TEST

/*
 * What is not to be done twice, and was in the hands of a liar: the guest is told that nobody knows. What is, is asked
 * again.
 */
START_TEST(unknowable)
{
	static char told[] = "a MKDIR request was in progress when a worker lied: answered EIO";
	struct fuse_entry_out e;
	struct fuse_attr a;

	start_liar(_i == 0 ? LIE_TAG : LIE_HANG_UP, 1);
	if (_i == 0)
		FAILS(EIO, fc_mkdir(&hc, FC_ROOT, "dir", 0755, &e));
	else /* not a lie, but a death: the journal decides, as ever */
		OK(fc_mkdir(&hc, FC_ROOT, "dir", 0755, &e));
	ck_assert_int_eq(h_exists("dir"), _i != 0);
	ck_assert(_i != 0 || h_eventually(log_has, told, 3000));
	true_worker();
	end_liar("unknowable", 0);

	start_liar(LIE_TAG, 1);
	OK(fc_getattr(&hc, FC_ROOT, &a));
	ck_assert_uint_eq(a.ino, h_stat("").st_ino);
	end_liar("knowable", 0);
}
END_TEST

/* Two liars in a row are two deaths: EIO, and the session goes on. */
START_TEST(two_liars)
{
	struct fuse_attr a;

	start_liar(LIE_TAG, 2);
	FAILS(EIO, fc_getattr(&hc, FC_ROOT, &a));
	true_worker();
	end_liar("two liars", 0);
}
END_TEST

/* One that lies whenever it comes again is given up. */
START_TEST(liars_for_ever)
{
	static const int always[] = { LIE_TAG, LIE_JUNK, LIE_EXIT, LIE_CTL_OP, LIE_LIST_SLASH };
	const long deadline = vmm_now_ms() + VMM_TIMEOUT_MS;
	struct fuse_open_out o;
	struct fuse_attr a;
	int r = 0;

	start_liar(always[_i], 1000);
	while (r != FC_BROKEN && vmm_now_ms() < deadline) {
		usleep(1000);
		r = fc_getattr(&hc, FC_ROOT, &a);
		if (always[_i] == LIE_LIST_SLASH && r == 0 && fc_opendir(&hc, FC_ROOT, &o) == 0)
			r = fc_readdir(&hc, FC_ROOT, o.fh, 0, 4096, false);
	}
	ck_assert_int_eq(r, FC_BROKEN);
	ck_assert_msg(strstr(hc.why, strerror(ECONNRESET)) != NULL, "%s: %s", names[always[_i]], hc.why);
	ck_assert(vmm_log_has(hv, "more than 6 ended within 60 s, giving up"));
	end_liar(names[always[_i]], 1);
}
END_TEST

TCase *
check_restart_liar(void)
{
	TCase *c = tcase_create("liar");

	tcase_add_checked_fixture(c, liar_setup, liar_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, lies, 0, LIE_END);
	tcase_add_loop_test(c, unknowable, 0, 2);
	tcase_add_test(c, two_liars);
	tcase_add_loop_test(c, liars_for_ever, 0, 5);
	return c;
}
