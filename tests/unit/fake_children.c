/* SPDX-License-Identifier: BSD-3-Clause */
/* What the monitor takes for its worker and its front. Linked by: check_respawn.c. */
#include "tests/unit/fake_children.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/msg.h"
#include "proto/control.h"
#include "proto/journal.h"

uint64_t
fake_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A file in the share, which is beside this executable. As a worker makes files: openat() may only read. */
static int
open_shared(const char *name, int flags)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
		.mode = (flags & O_CREAT) != 0 ? 0666 : 0 };
	char path[256];
	ssize_t n = readlinkat(AT_FDCWD, "/proc/self/exe", path, 128);

	if (n <= 0)
		_exit(90);
	path[n] = '\0';
	snprintf(strrchr(path, '/'), 64, "/share/%s", name);
	/* A worker's profile lets no plain open() make anything. */
	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static char
script(const char *name, uint32_t n)
{
	char text[32] = "";
	int fd = open_shared(name, O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text));

	if (len <= 0)
		_exit(91);
	fd_close(&fd);
	return text[n < (uint32_t)len ? n : (uint32_t)len - 1];
}

static void ATTR_PRINTF(3, 4) tell(const char *name, uint32_t n, const char *fmt, ...)
{
	char file[32], text[64];
	va_list ap;
	int fd;

	snprintf(file, sizeof(file), "%s.%u", name, n);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open_shared(file, O_WRONLY | O_CREAT | O_TRUNC);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(92);
	fd_close(&fd);
}

static void
send_control(const void *m, size_t n)
{
	if (msg_send(CONTROL_FD, m, n, NULL, 0, 0) != 0)
		_exit(93);
}

static void
ready(void)
{
	const struct ctl_ready m = { { CTL_READY, sizeof(m) } };

	send_control(&m, sizeof(m));
}

static void
resumed(uint32_t incarnation)
{
	const struct ctl_resumed m = {
		.h = { CTL_RESUMED, sizeof(m) },
		.incarnation = incarnation,
		.replayed = 3,
		.failed = 1,
		.ops = UINT64_C(1) << RPC_MKDIR | UINT64_C(1) << RPC_READ,
	};

	send_control(&m, sizeof(m));
}

static void
stuck(uint32_t lane, uint32_t op, uint32_t len)
{
	const struct ctl_stuck m = {
		.h = { CTL_STUCK, len }, .lane = lane, .op = op, .seconds = 61
	};

	send_control(&m, len);
}

static void
copy_status(uint32_t incarnation)
{
	char file[32], text[8192];
	int in = open("/proc/self/status", O_RDONLY | O_CLOEXEC), out;
	ssize_t n = read(in, text, sizeof(text));

	snprintf(file, sizeof(file), "status.%u", incarnation);
	out = open_shared(file, O_WRONLY | O_CREAT | O_TRUNC);
	if (n <= 0 || write(out, text, (size_t)n) != n)
		_exit(94);
	fd_close(&in);
	fd_close(&out);
}

/* Until the monitor goes. */
static void ATTR_NORETURN
stay(void)
{
	struct pollfd p = { .fd = CONTROL_FD };

	while (poll(&p, 1, -1) != 1)
		continue;
	_exit(0);
}

static void
fill_vault(int put, int get, uint64_t first, uint32_t nodes)
{
	int dir = open_shared(".", O_RDONLY | O_DIRECTORY), fds[50];
	struct vault_mount m = { .h = { VAULT_MOUNT, 1 } };
	const struct vault_nodes ask = { .h = { VAULT_GET, 1 }, .node = { UINT64_MAX } };
	struct vault_put p = { .h = { VAULT_PUT, 0 } };
	struct statx stx;

	if (statx(dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == -1)
		_exit(95);
	m.mnt_id = stx.stx_mnt_id;
	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = openat(dir, ".", O_PATH | O_CLOEXEC);
	if (msg_send(put, &m, sizeof(m), &dir, 1, 0) != 0)
		_exit(96);
	while (nodes > 0) {
		p.h.count = (uint32_t)MIN(nodes, countof(fds));
		for (uint32_t i = 0; i < p.h.count; i++)
			p.e[i] = (struct vault_put1){ first++, stx.stx_mnt_id };
		if (msg_send(
			put, &p, sizeof(p.h) + p.h.count * sizeof(p.e[0]), fds, p.h.count, 0) != 0)
			_exit(97);
		nodes -= p.h.count;
	}
	/* Answered when all of them are in. */
	if (msg_send(get, &ask, sizeof(ask.h) + sizeof(ask.node[0]), NULL, 0, 0) != 0 ||
	    msg_recv(get, &p, sizeof(p), NULL, NULL, NULL, 0) <= 0)
		_exit(98);
}

static void
broken(uint32_t incarnation, uint32_t how)
{
	const struct ctl_broken m = {
		.h = { CTL_BROKEN, sizeof(m) }, .incarnation = incarnation, .how = how
	};

	send_control(&m, sizeof(m));
}

/* Is START what it should be? */
static void
check_start(const struct ctl_start_worker *m, const int *fds, size_t nfds, bool kept)
{
	const size_t want = 5 + 2 * m->nlanes;
	struct stat st;

	if (m->h.op != CTL_START_WORKER || m->first_node != NODE_FIRST(m->incarnation) ||
	    nfds != want + kept || fstat(fds[3], &st) == -1 ||
	    st.st_size != (off_t)m->nlanes * (off_t)JOURNAL_PAGE)
		_exit(80);
}

static void
put_nonsense(int put)
{
	const struct vault_hdr m = { .op = VAULT_GOT, .count = 1 };

	if (msg_send(put, &m, sizeof(m), NULL, 0, 0) != 0)
		_exit(96);
}

static bool
was_ready(uint32_t n)
{
	char file[32];
	int fd;

	while (n-- > 0) {
		snprintf(file, sizeof(file), "status.%u", n);
		if ((fd = open_shared(file, O_RDONLY)) != -1) {
			fd_close(&fd);
			return true;
		}
	}
	return false;
}

void
fake_worker(void)
{
	struct ctl_start_worker m;
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	char what, self[32] = "";

	if (msg_recv(CONTROL_FD, &m, sizeof(m), fds, &nfds, NULL, 0) != sizeof(m))
		_exit(81);
	/* It gets a mount namespace if a worker was ready before it. */
	check_start(&m, fds, nfds, was_ready(m.incarnation));
	what = script("worker", m.incarnation);
	tell("begun", m.incarnation, "%c\n", what);
	if (what == 'd')
		_exit(82);
	if (what == 'h')
		stay();
	if ((what == 'v' || what == 'V') && m.incarnation == 0)
		fill_vault(fds[1], fds[2], m.first_node, what == 'v' ? 10 : 1000000);
	copy_status(m.incarnation);
	ready();
	/* The procfs that is still mounted knows the pid that the test knows. */
	if (readlinkat(AT_FDCWD, "/proc/self", self, sizeof(self) - 1) <= 0)
		_exit(83);
	tell("pid", m.incarnation, "%s\n", self);
	if (what == 'e')
		_exit(3);
	if (what == 'R')
		resumed(0);
	if (what == 'K')
		stuck(0, RPC_RENAME, sizeof(struct ctl_stuck));
	if (what == 'B')
		broken(m.incarnation, BROKEN_LIE);
	if (what == 'P')
		put_nonsense(fds[1]);
	if (what == 'L')
		fd_close(&fds[4]);
	stay();
}

static void
say(char what)
{
	switch (what) {
	case 't':
		stuck(0, RPC_RENAME, sizeof(struct ctl_stuck));
		break;
	case '1':
		resumed(1);
		break;
	case '2':
		stuck(0, 63, sizeof(struct ctl_stuck));
		break;
	case '3':
		stuck(RPC_LANES_MAX, RPC_RENAME, sizeof(struct ctl_stuck));
		break;
	case '4':
		stuck(0, RPC_RENAME, sizeof(struct ctl_hdr) + 4);
		break;
	case '5':
		broken(0, BROKEN_HOWS);
		break;
	case '6':
		broken(1, BROKEN_LIE);
		break;
	case 'l':
		broken(0, BROKEN_LIE);
		break;
	case 'c':
		broken(0, BROKEN_CLOSED);
		break;
	default:
		break;
	}
}

static void
take_lanes(uint32_t nlanes, char what)
{
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	struct ctl_lanes m;
	ssize_t n = msg_recv(CONTROL_FD, &m, sizeof(m), fds, &nfds, NULL, 0);

	if (n == 0)
		_exit(0);
	if (n != sizeof(m) || m.h.op != CTL_LANES || m.nlanes != nlanes || nfds != nlanes)
		_exit(84);
	tell("lanes", m.incarnation, "%" PRIu64 "\n", fake_now_us());
	fd_close_all(fds, nfds);
	if (what != 'n')
		resumed(m.incarnation);
	/* What is said of a worker that is gone comes to nothing. */
	if (what == 'l' || what == 'c') {
		broken(m.incarnation - 1, BROKEN_LIE);
		broken(m.incarnation - 1, BROKEN_CLOSED);
	}
}

void
fake_front(void)
{
	const struct ctl_done done = { .h = { CTL_DONE, sizeof(done) }, .reason = DONE_EOF };
	struct ctl_start_front m;
	struct pollfd p[2] = { { .fd = CONTROL_FD, .events = POLLIN } };
	int fds[MSG_FDS_MAX];
	size_t nfds = MSG_FDS_MAX;
	char what = script("front", 0);

	if (msg_recv(CONTROL_FD, &m, sizeof(m), fds, &nfds, NULL, 0) != sizeof(m) ||
	    nfds != 1 + 2 * m.nlanes)
		_exit(85);
	ready();
	say(what);
	/* It hears nothing any more, and ends a little later, as one that leaves while lanes are on their way to it. */
	if (what == 'x' && shutdown(CONTROL_FD, SHUT_RD) == 0)
		usleep(500000);
	p[1] = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents != 0)
			take_lanes(m.nlanes, what);
		if (p[1].revents != 0)
			break;
	}
	send_control(&done, sizeof(done));
	_exit(0);
}
