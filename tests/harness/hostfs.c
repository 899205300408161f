/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfs - the server of the file system that hostfs.h describes: one thread, one request at a time. Files are opened
 * with FOPEN_DIRECT_IO, so that every system call of the daemon is a request here, as large as it was made.
 *
 * Runs in: check_surface, check_mounts. Requests come from the host's kernel, which is trusted.
 */
#include "hostfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_IO (1u << 20)
#define ROOT FUSE_ROOT_ID
#define FIRST_FILE 2u		/* node id of f0 */
#define HIGH (UINT64_C(1) << 63)

struct hostfs hostfs;

static int dev = -1, stop_fd = -1;
static pthread_t thread;
static _Alignas(8) char in_buf[MAX_IO + 65536], out_buf[MAX_IO + 65536];

void
hostfs_reset(void)
{
	memset(&hostfs, 0, sizeof(hostfs));
	hostfs.mode = 0644;
}

static uint64_t
entry_offset(unsigned int n)
{
	return (hostfs.high_offsets ? HIGH : 0) | (n + 1);
}

/* Behind "." and "..". */
uint64_t
hostfs_offset(unsigned int n)
{
	return entry_offset(n + 2);
}

static void
reply(uint64_t unique, int error, const void *body, size_t len)
{
	struct fuse_out_header h = { .len = (uint32_t)sizeof(h), .error = error, .unique = unique };
	struct iovec v[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, 0 } };

	if (error == 0) {
		h.len += (uint32_t)len;
		v[1].iov_len = len;
	}
	/* A request that was given up meanwhile is no longer known. */
	if (writev(dev, v, 2) == -1 && errno != ENOENT && errno != ENODEV)
		perror("hostfs: reply");
}

static bool
fill_attr(uint64_t node, struct fuse_attr *a)
{
	memset(a, 0, sizeof(*a));
	a->ino = hostfs.twins && node == FIRST_FILE + 8 ? node - 1 : node;
	a->nlink = 1;
	a->blksize = 4096;
	if (node == ROOT) {
		a->mode = S_IFDIR | 0755;
		return true;
	}
	a->mode = S_IFREG | hostfs.mode;
	a->size = HOSTFS_SIZE;
	a->blocks = HOSTFS_SIZE / 512;
	return node >= FIRST_FILE && node < FIRST_FILE + HOSTFS_FILES;
}

static void
do_lookup(const struct fuse_in_header *h, const char *name)
{
	struct fuse_entry_out e = { 0 };
	unsigned int n = HOSTFS_FILES;

	if (h->nodeid != ROOT || name[0] != 'f' || sscanf(name + 1, "%u", &n) != 1 ||
	    n >= HOSTFS_FILES) {
		reply(h->unique, -ENOENT, NULL, 0);
		return;
	}
	if (hostfs.lookup_errno != 0 && n % 3 == 0) {
		reply(h->unique, -hostfs.lookup_errno, NULL, 0);
		return;
	}
	e.nodeid = FIRST_FILE + n;
	fill_attr(e.nodeid, &e.attr);
	reply(h->unique, 0, &e, sizeof(e));
}

/* One of the requests that a signal may interrupt: shall this one have been? */
static bool
interrupted(const struct fuse_in_header *h)
{
	if (hostfs.interrupt <= 0)
		return false;
	hostfs.interrupt--;
	reply(h->unique, -EINTR, NULL, 0);
	return true;
}

/* How much of size bytes at offset goes well, or -EIO. */
static int
portion(uint64_t offset, uint32_t size, unsigned int most, unsigned int good)
{
	if (good != 0 && offset >= good)
		return -EIO;
	if (most != 0 && size > most)
		size = most;
	return (int)size;
}

static void
take_time(unsigned int ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	if (ms != 0)
		nanosleep(&t, NULL);
}

static void
do_read(const struct fuse_in_header *h, const struct fuse_read_in *in)
{
	int n;

	hostfs.reads++;
	take_time(hostfs.delay_ms);
	if (interrupted(h))
		return;
	if (hostfs.aligned && in->offset % 512 != 0) {
		reply(h->unique, -EINVAL, NULL, 0);
		return;
	}
	n = portion(in->offset, in->size, hostfs.read_most, hostfs.read_good);
	if (n >= 0 && in->offset >= HOSTFS_SIZE)
		n = 0;
	else if (n > 0 && (uint64_t)n > HOSTFS_SIZE - in->offset)
		n = (int)(HOSTFS_SIZE - in->offset);
	for (int i = 0; i < n; i++)
		out_buf[i] = (char)('a' + (in->offset + (uint64_t)i) % 26);
	reply(h->unique, n < 0 ? n : 0, out_buf, n < 0 ? 0 : (size_t)n);
}

static void
do_write(const struct fuse_in_header *h, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { 0 };
	int n;

	hostfs.writes++;
	hostfs.written_to = (unsigned int)h->nodeid - FIRST_FILE;
	take_time(hostfs.delay_ms);
	hostfs.killing = (in->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
	if (interrupted(h))
		return;
	n = portion(in->offset, in->size, hostfs.write_most, hostfs.write_good);
	if (n > 0)
		hostfs.written += (unsigned int)n;
	out.size = n < 0 ? 0 : (uint32_t)n;
	reply(h->unique, n < 0 ? n : 0, &out, sizeof(out));
}

static void
do_readdir(const struct fuse_in_header *h, const struct fuse_read_in *in)
{
	unsigned int i = (unsigned int)(in->offset & 0xffff);
	size_t used = 0;

	for (; i < HOSTFS_FILES + 2; i++) {
		struct fuse_dirent d = { .off = entry_offset(i), .type = i < 2 ? DT_DIR : DT_REG };
		char name[4096];
		size_t len;

		if (i < 2) {
			snprintf(name, sizeof(name), "%s", i == 0 ? "." : "..");
			d.ino = ROOT;
		} else {
			len = (size_t)snprintf(name, sizeof(name), "f%u", i - 2);
			if (i == 5 + 2 && hostfs.name_len > len) {
				memset(name + len, 'x', hostfs.name_len - len);
				name[hostfs.name_len] = '\0';
			}
			d.ino = FIRST_FILE + i - 2;
		}
		d.namelen = (uint32_t)strlen(name);
		len = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
		if (used + len > in->size || used + len > sizeof(out_buf))
			break;
		memset(out_buf + used, 0, len);
		memcpy(out_buf + used, &d, FUSE_NAME_OFFSET);
		memcpy(out_buf + used + FUSE_NAME_OFFSET, name, d.namelen);
		used += len;
	}
	reply(h->unique, 0, out_buf, used);
}

static void
do_init(const struct fuse_in_header *h, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION, .minor = 36, .max_readahead = in->max_readahead,
		.flags = (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ATOMIC_O_TRUNC |
		    FUSE_HANDLE_KILLPRIV_V2) & in->flags,
		.max_background = 16, .congestion_threshold = 12, .max_write = MAX_IO,
		.time_gran = 1, .max_pages = MAX_IO / 4096,
	};

	reply(h->unique, 0, &out, sizeof(out));
}

static void
do_getattr(const struct fuse_in_header *h)
{
	struct fuse_attr_out out = { 0 };

	reply(h->unique, fill_attr(h->nodeid, &out.attr) ? 0 : -ENOENT, &out, sizeof(out));
}

static void
serve(const struct fuse_in_header *h)
{
	const void *arg = h + 1;
	struct fuse_open_out open_out = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_statfs_out statfs_out = { .st = { .bsize = 4096, .frsize = 4096,
		.namelen = 255 } };

	switch (h->opcode) {
	case FUSE_INIT:
		do_init(h, arg);
		break;
	case FUSE_LOOKUP:
		do_lookup(h, arg);
		break;
	case FUSE_SETATTR:
		if ((((const struct fuse_setattr_in *)arg)->valid & FATTR_MODE) != 0)
			hostfs.mode = ((const struct fuse_setattr_in *)arg)->mode & 07777;
		/* fall through */
	case FUSE_GETATTR:
		do_getattr(h);
		break;
	case FUSE_OPEN:
		reply(h->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_OPENDIR:
		take_time(hostfs.opendir_ms);
		open_out.open_flags = 0;
		reply(h->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		do_read(h, arg);
		break;
	case FUSE_WRITE:
		do_write(h, arg);
		break;
	case FUSE_READDIR:
		do_readdir(h, arg);
		break;
	case FUSE_STATFS:
		reply(h->unique, 0, &statfs_out, sizeof(statfs_out));
		break;
	case FUSE_FSYNC:
	case FUSE_FALLOCATE:
		hostfs.fsyncs += h->opcode == FUSE_FSYNC;
		if (!interrupted(h))
			reply(h->unique, 0, NULL, 0);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_DESTROY:
		break;
	default:
		reply(h->unique, -ENOSYS, NULL, 0);
		break;
	}
}

static void *
server(void *arg)
{
	struct pollfd p[2] = { { .fd = dev, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
	ssize_t n;

	(void)arg;
	for (;;) {
		if (poll(p, 2, -1) == -1 && errno != EINTR)
			break;
		if (p[1].revents != 0)
			break;
		n = read(dev, in_buf, sizeof(in_buf));
		if (n == -1 && (errno == ENOENT || errno == EINTR || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			break;
		serve((const void *)in_buf);
	}
	return NULL;
}

/* Where nothing has made the device node, one of our own for the moment. */
static int
open_device(void)
{
	char node[] = "/tmp/hostfs-XXXXXX";
	int fd;

	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd != -1 || errno != ENOENT || mkdtemp(node) == NULL)
		return fd;
	rmdir(node);
	if (mknod(node, S_IFCHR | 0600, makedev(10, 229)) == -1)
		return -1;
	fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	unlink(node);
	return fd;
}

bool hostfs_private;

int
hostfs_mount(const char *path)
{
	char opts[100];
	int err;

	hostfs_reset();
	dev = open_device();
	stop_fd = eventfd(0, EFD_CLOEXEC);
	if (dev == -1 || stop_fd == -1)
		return -errno;
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40755,user_id=0,group_id=0%s", dev,
	    hostfs_private ? "" : ",allow_other");
	if (mount("hostfs", path, "fuse", MS_NOSUID | MS_NODEV, opts) == -1) {
		err = -errno;
		close(dev);
		close(stop_fd);
		return err;
	}
	err = pthread_create(&thread, NULL, server, NULL);
	return -err;
}

void
hostfs_stop(void)
{
	const uint64_t one = 1;

	if (write(stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(thread, NULL);
	/* Whatever still uses the mount gets ENOTCONN from here on. */
	close(dev);
	close(stop_fd);
	dev = stop_fd = -1;
}
