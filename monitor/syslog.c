/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines in the form of RFC 3164 to /dev/log, facility user. The socket is not connected: each line finds the log daemon
 * anew, so that it may be restarted, and sendmsg() is all that the sealed monitor needs.
 * Runs in: monitor.
 */
#include "monitor/syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"

#define SYSLOG_LINE_MAX 4096

/* RFC 3164 section 4.1.1. <syslog.h> has other ideas of LOG_INFO than common/log.h. */
#define FACILITY_USER (1 << 3)
enum { SEVERITY_ERROR = 3, SEVERITY_WARNING = 4, SEVERITY_INFO = 6, SEVERITY_DEBUG = 7 };

static const struct sockaddr_un dev_log = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
static int sock = -1;

int
syslog_open(void)
{
	int r = 0;

	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock == -1)
		return -errno;
	/* Is anybody there? An address of no family takes the connection back. */
	if (connect(sock, (const struct sockaddr *)&dev_log, sizeof(dev_log)) == -1 ||
	    connect(sock, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(sa_family_t)) == -1)
		r = -errno;
	if (r != 0)
		fd_close(&sock);
	return r;
}

static int
severity(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return SEVERITY_ERROR;
	case LOG_WARN:
		return SEVERITY_WARNING;
	case LOG_INFO:
		return SEVERITY_INFO;
	default:
		return SEVERITY_DEBUG;
	}
}

bool
syslog_send(enum log_level level, const char *who, const char *text)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	char line[SYSLOG_LINE_MAX];
	struct iovec iov = { .iov_base = line };
	const struct msghdr m = { .msg_name = (void *)(uintptr_t)&dev_log,
		.msg_namelen = sizeof(dev_log),
		.msg_iov = &iov,
		.msg_iovlen = 1 };
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (localtime_r(&now, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = snprintf(line, sizeof(line), "<%d>%s %2d %02d:%02d:%02d virtiofsd[%d]: %s%s%s",
	    FACILITY_USER | severity(level), months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, getpid(), who, who[0] != '\0' ? ": " : "", text);
	iov.iov_len = MIN((size_t)n, sizeof(line) - 1);
	return n > 0 && sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}
