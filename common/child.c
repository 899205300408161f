/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The child's end of the control socket. The monitor is trusted by its children; what arrives is still checked, because
 * a mistake here would be silent. Runs in: front, worker.
 */
#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "proto/control.h"
#include "proto/mailbox.h"

static int log_sock = -1;

static void
sink_monitor(enum log_level level, const char *line)
{
	struct ctl_log m = { .h = { .op = CTL_LOG }, .level = level };
	size_t n = strnlen(line, CTL_LOG_TEXT);

	memcpy(m.text, line, n);
	m.h.len = (uint32_t)(offsetof(struct ctl_log, text) + n);
	/* Nobody waits for a log: what does not fit is lost. */
	if (msg_send(log_sock, &m, m.h.len, NULL, 0, MSG_DONTWAIT) != 0)
		return;
}

void
child_log_init(int sock, uint32_t max_level)
{
	log_sock = sock;
	log_init(sink_monitor, max_level);
}

void
child_recv_start(int sock, uint32_t op, void *buf, size_t size, int *fds, size_t *nfds)
{
	struct ctl_hdr *h = buf;
	ssize_t n;

	*nfds = MSG_FDS_MAX;
	n = msg_recv(sock, buf, size, fds, nfds, NULL, 0);
	if (n == 0)
		_exit(0);
	if (n < 0 || (size_t)n != size || h->op != op || h->len != size)
		fatalx("bad start message from the monitor (%zd)", n);
}

void
child_ready(int sock)
{
	struct ctl_ready m = { .h = { .op = CTL_READY, .len = sizeof(m) } };

	if (msg_send(sock, &m, sizeof(m), NULL, 0, 0) != 0)
		fatalx("the monitor is gone");
}

void *
child_map_arena(int fd)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size != (off_t)LANE_MEMORY_SIZE ||
	    (fcntl(fd, F_GET_SEALS) & want) != want)
		fatalx("an arena is not what it should be");
	p = mmap(NULL, LANE_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fatal("mmap of an arena");
	close(fd);
	return p;
}

void
child_check_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_SEQPACKET)
		fatalx("a socket from the monitor is not what it should be");
}
