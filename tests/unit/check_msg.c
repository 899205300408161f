/* SPDX-License-Identifier: BSD-3-Clause */
/* Unit tests of common/msg.c over socketpairs. Links that file only. Each test ends with the fds it began with. */
#include "common/msg.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/attr.h"
#include "common/fd.h"

static int s[2];
static unsigned before;

static unsigned
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	before = count_fds();
}

static void
teardown(void)
{
	fd_close_all(s, 2);
}

static void
no_leak(void)
{
	ck_assert_uint_eq(count_fds(), before);
}

static int
null_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Send one byte with n copies of an fd. */
static void
send_fds(size_t n)
{
	int fds[MSG_FDS_MAX], fd = null_fd();

	for (size_t i = 0; i < n; i++)
		fds[i] = fd;
	ck_assert_int_eq(msg_send(s[0], "x", 1, fds, n, 0), 0);
	fd_close(&fd);
}

START_TEST(bytes)
{
	size_t nfds = 0;
	char buf[16];
	int cut = 7;

	ck_assert_int_eq(msg_send(s[0], "abc", 3, NULL, 0, 0), 0);
	ck_assert_int_eq(msg_send2(s[0], "ab", 2, "cde", 3, NULL, 0, 0), 0);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), NULL, &nfds, &cut, 0), 3);
	ck_assert_int_eq(cut, 0);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), NULL, NULL, NULL, 0), 5);
	ck_assert_mem_eq(buf, "abcde", 5);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), NULL, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
	ck_assert_int_eq(msg_send(s[0], buf, 0, NULL, 0, 0), -EINVAL);
	no_leak();
} END_TEST

START_TEST(fds)
{
	static const size_t counts[] = { 1, 2, 64, MSG_FDS_MAX };

	for (size_t k = 0; k < countof(counts); k++) {
		int got[MSG_FDS_MAX];
		size_t n = MSG_FDS_MAX;
		struct stat a, b;
		char c;

		send_fds(counts[k]);
		ck_assert_int_eq(msg_recv(s[1], &c, 1, got, &n, NULL, 0), 1);
		ck_assert_uint_eq(n, counts[k]);
		ck_assert_int_eq(stat("/dev/null", &a), 0);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(fstat(got[i], &b), 0);
			ck_assert_uint_eq(a.st_rdev, b.st_rdev);
			ck_assert_int_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		}
		fd_close_all(got, n);
		no_leak();
	}
	ck_assert_int_eq(msg_send(s[0], "x", 1, NULL, MSG_FDS_MAX + 1, 0), -EINVAL);
} END_TEST

START_TEST(too_many_fds)
{
	int got[4], cut;
	size_t n;
	char c;

	for (size_t room = 0; room < 4; room++) {
		n = room;
		send_fds(4);
		ck_assert_int_eq(msg_recv(s[1], &c, 1, got, &n, room % 2 == 0 ? &cut : NULL, 0), -EPROTO);
		ck_assert_uint_eq(n, 0);
		no_leak();
	}
	send_fds(1);
	ck_assert_int_eq(msg_recv(s[1], &c, 1, NULL, NULL, NULL, 0), -EPROTO);
	no_leak();
	/* The socket is good for more. */
	send_fds(0);
	ck_assert_int_eq(msg_recv(s[1], &c, 1, NULL, NULL, NULL, 0), 1);
} END_TEST

START_TEST(too_long)
{
	int got[4], fd = null_fd();
	size_t n = 4;
	char buf[4];

	ck_assert_int_eq(msg_send(s[0], "abcde", 5, &fd, 1, 0), 0);
	fd_close(&fd);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), got, &n, NULL, 0), -EMSGSIZE);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(msg_send(s[0], "abcd", 4, NULL, 0, 0), 0);
	ck_assert_int_eq(msg_recv(s[1], buf, sizeof(buf), NULL, NULL, NULL, 0), 4);
	no_leak();
} END_TEST

START_TEST(end)
{
	char c[2];

	ck_assert_int_eq(msg_send(s[0], "x", 1, NULL, 0, 0), 0);
	fd_close(&s[0]);
	before--;
	ck_assert_int_eq(msg_recv(s[1], c, 2, NULL, NULL, NULL, 0), 1);
	ck_assert_int_eq(msg_recv(s[1], c, 2, NULL, NULL, NULL, 0), 0);
	ck_assert_int_eq(msg_send(s[1], "x", 1, NULL, 0, 0), -EPIPE);
	no_leak();
} END_TEST

static void
nothing(int sig)
{
	(void)sig;
}

static void *
drain(void *arg)
{
	static char buf[16384];
	int n = *(int *)arg;

	usleep(50000);
	while (n-- > 0)
		ck_assert_int_gt(recv(s[1], buf, sizeof(buf), 0), 0);
	return NULL;
}

/* A signal while it waits for room is no failure. */
START_TEST(interrupted)
{
	static char buf[16384];
	struct sigaction sa = { .sa_handler = nothing };
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };
	sigset_t alarm_set;
	pthread_t t;
	int n = 0;

	while (msg_send(s[0], buf, sizeof(buf), NULL, 0, MSG_DONTWAIT) == 0)
		n++;
	ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &alarm_set, NULL), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, drain, &n), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
	ck_assert_int_eq(msg_send(s[0], buf, sizeof(buf), NULL, 0, 0), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	pthread_join(t, NULL);
} END_TEST

/* A peer that closed with unread messages: -ECONNRESET once, then what it sent, then the end. */
START_TEST(reset)
{
	ssize_t n;
	char c;

	ck_assert_int_eq(msg_send(s[0], "x", 1, NULL, 0, 0), 0);
	ck_assert_int_eq(msg_send(s[1], "y", 1, NULL, 0, 0), 0);
	fd_close(&s[0]);
	n = msg_recv(s[1], &c, 1, NULL, NULL, NULL, 0);
	if (n == -ECONNRESET)
		n = msg_recv(s[1], &c, 1, NULL, NULL, NULL, 0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(c, 'x');
} END_TEST

START_TEST(full)
{
	static char buf[16384];
	int r, n = 0;

	while ((r = msg_send(s[0], buf, sizeof(buf), NULL, 0, MSG_DONTWAIT)) == 0)
		n++;
	ck_assert_int_eq(r, -EAGAIN);
	/* What the lanes rely on: RPC_UNANSWERED_MAX messages of RPC_MSG_MAX fit. */
	ck_assert_int_ge(n, 4);
} END_TEST

/* An empty message looks like the end; its fds must not stay. */
START_TEST(empty_with_fds)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 }, c;
	struct msghdr mh = { .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
	int fd = null_fd(), got[4];
	size_t n = 4;

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(s[0], &mh, 0), 0);
	fd_close(&fd);
	ck_assert_int_le(msg_recv(s[1], &c, 1, got, &n, NULL, 0), 0);
	ck_assert_uint_eq(n, 0);
	no_leak();
} END_TEST

/* Ancillary data that is no fd. */
START_TEST(foreign)
{
	int on = 1, got[4], fd = null_fd();
	size_t n = 4;
	char c;

	ck_assert_int_eq(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	ck_assert_int_eq(msg_send(s[0], "x", 1, &fd, 1, 0), 0);
	fd_close(&fd);
	ck_assert_int_eq(msg_recv(s[1], &c, 1, got, &n, NULL, 0), -EPROTO);
	ck_assert_uint_eq(n, 0);
	no_leak();
} END_TEST

#define FILL	200

/* No fd numbers left: 5 fds are sent where only free[] of them can be received. */
static const struct {
	unsigned free;
	bool	keep;
} scarce[] = { { 0, true }, { 0, false }, { 1, true }, { 1, false }, { 4, true }, { 4, false }, { 5, true }, { 5, false } };

START_TEST(nofile)
{
	unsigned room = scarce[_i].free;
	struct rlimit old, tight;
	int got[8], cut = 7, fill[FILL + 1], nfill = 0;
	size_t n = 8;
	ssize_t r;
	char c;

	send_fds(5);
	/* Every number below FILL is taken; behind the last one there shall be as many as the row says. */
	do
		fill[nfill] = null_fd();
	while (fill[nfill++] < FILL);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = (struct rlimit){ .rlim_cur = (rlim_t)fill[nfill - 1] + 1 + room, .rlim_max = old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	r = msg_recv(s[1], &c, 1, got, &n, scarce[_i].keep ? &cut : NULL, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	fd_close_all(fill, (size_t)nfill);
	if (room >= 5) {
		ck_assert_int_eq(r, 1);
		ck_assert_uint_eq(n, 5);
		ck_assert(!scarce[_i].keep || cut == 0);
	} else if (scarce[_i].keep) {
		ck_assert_int_eq(r, 1);
		ck_assert_uint_eq(n, room);
		ck_assert_int_eq(cut, 1);
	} else {
		ck_assert_int_eq(r, -EMFILE);
		ck_assert_uint_eq(n, 0);
	}
	fd_close_all(got, n);
	no_leak();
} END_TEST

int
main(void)
{
	Suite *suite = suite_create("msg");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile"), *limits = tcase_create("limits");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(ok, setup, teardown);
	tcase_add_test(ok, bytes);
	tcase_add_test(ok, fds);
	tcase_add_test(ok, end);
	tcase_add_test(ok, interrupted);
	tcase_add_test(ok, reset);
	suite_add_tcase(suite, ok);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(hostile, too_many_fds);
	tcase_add_test(hostile, too_long);
	tcase_add_test(hostile, empty_with_fds);
	tcase_add_test(hostile, foreign);
	suite_add_tcase(suite, hostile);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, full);
	tcase_add_loop_test(limits, nofile, 0, (int)countof(scarce));
	suite_add_tcase(suite, limits);

	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
