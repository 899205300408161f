/* SPDX-License-Identifier: BSD-3-Clause */
/* Plays the worker towards monitor/vault.c. Linked by: check_vault.c, check_vault_restart.c. */
#include "tests/unit/vault_rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/msg.h"

bool rig_no_handles;

uint64_t
rig_mount_id(int fd)
{
	struct statx stx;

	ck_assert_int_eq(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx), 0);
	return stx.stx_mnt_id;
}

void
rig_attach(struct rig *r)
{
	int put[2], get[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, put), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, get), 0);
	ck_assert_int_eq(vault_attach(r->vault, put[0], get[0], r->incarnation), 0);
	r->put = put[1];
	r->get = get[1];
}

void
rig_begin(struct rig *r, const char *place, size_t max_fds, uint32_t max_nodes)
{
	snprintf(r->path, sizeof(r->path), "%s/check-vault.XXXXXX", place);
	ck_assert_ptr_nonnull(mkdtemp(r->path));
	r->dir = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(r->dir, 0);
	r->mnt = rig_mount_id(r->dir);
	r->incarnation = 0;
	ck_assert_int_eq(vault_new(max_fds != 0 ? max_fds : 1000, max_nodes, !rig_no_handles, &r->vault), 0);
	ck_assert_int_eq(vault_start(r->vault, NULL, NULL), 0);
	rig_attach(r);
}

void
rig_end(struct rig *r)
{
	struct dirent *d;
	DIR *dir;

	vault_free(r->vault);
	fd_close(&r->put);
	fd_close(&r->get);
	dir = fdopendir(r->dir);
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			unlinkat(r->dir, d->d_name, d->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(dir);
	rmdir(r->path);
}

void
rig_put_mount(struct rig *r, uint64_t id, int fd)
{
	const struct vault_mount m = { .h = { VAULT_MOUNT, 1 }, .mnt_id = id };

	ck_assert_int_eq(msg_send(r->put, &m, sizeof(m), &fd, 1, 0), 0);
}

void
rig_put_node(struct rig *r, uint64_t node, uint64_t mnt, int fd)
{
	const struct vault_put m = { .h = { VAULT_PUT, 1 }, .e = { { node, mnt } } };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(msg_send(r->put, &m, sizeof(m.h) + sizeof(m.e[0]), &fd, 1, 0), 0);
	close(fd);
}

void
rig_put_nodes(struct rig *r, uint32_t op, uint64_t first, const int *fds, uint32_t n)
{
	struct vault_put m = { .h = { op, n } };

	for (uint32_t i = 0; i < n; i++)
		m.e[i] = (struct vault_put1){ first + i, r->mnt };
	ck_assert_int_eq(msg_send(r->put, &m, sizeof(m.h) + n * sizeof(m.e[0]), fds, n, 0), 0);
}

int
rig_keep_node(struct rig *r, uint64_t node, uint64_t mnt, int fd)
{
	const struct vault_put m = { .h = { VAULT_KEEP, 1 }, .e = { { node, mnt } } };
	struct vault_got got;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(msg_send(r->get, &m, sizeof(m.h) + sizeof(m.e[0]), &fd, 1, 0), 0);
	close(fd);
	ck_assert_int_eq(msg_recv(r->get, &got, sizeof(got), NULL, NULL, NULL, 0), sizeof(got.h) + sizeof(got.error[0]));
	ck_assert_uint_eq(got.h.op, VAULT_GOT);
	ck_assert_uint_eq(got.h.count, 1);
	return got.error[0];
}

void
rig_unmount(struct rig *r, uint64_t mnt)
{
	const struct vault_mount m = { .h = { VAULT_UNMOUNT, 1 }, .mnt_id = mnt };

	ck_assert_int_eq(msg_send(r->put, &m, sizeof(m), NULL, 0, 0), 0);
}

static void
find(struct rig *r, uint64_t mnt, const int *fds, uint32_t n, uint64_t *nodes)
{
	struct vault_put m = { .h = { VAULT_FIND, n } };
	struct vault_nodes found;

	for (uint32_t i = 0; i < n; i++)
		m.e[i] = (struct vault_put1){ 0, mnt };
	ck_assert_int_eq(msg_send(r->get, &m, sizeof(m.h) + n * sizeof(m.e[0]), fds, n, 0), 0);
	ck_assert_int_eq(msg_recv(r->get, &found, sizeof(found), NULL, NULL, NULL, 0),
	    sizeof(found.h) + n * sizeof(uint64_t));
	ck_assert_uint_eq(found.h.op, VAULT_FOUND);
	ck_assert_uint_eq(found.h.count, n);
	memcpy(nodes, found.node, n * sizeof(*nodes));
}

void
rig_find_nodes(struct rig *r, const int *fds, uint32_t n, uint64_t *nodes)
{
	find(r, r->mnt, fds, n, nodes);
}

uint64_t
rig_find_node(struct rig *r, uint64_t mnt, int fd)
{
	uint64_t node;

	find(r, mnt, &fd, 1, &node);
	close(fd);
	return node;
}

void
rig_hold(struct rig *r, uint64_t fh, int fd)
{
	const struct vault_hold m = { .h = { VAULT_HOLD, 1 }, .fh = fh };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(msg_send(r->put, &m, sizeof(m), &fd, 1, 0), 0);
	close(fd);
}

int
rig_path_fd(struct rig *r, const char *name)
{
	int fd = openat(r->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

void
rig_send_nodes(int sock, uint32_t op, const uint64_t *nodes, uint32_t n)
{
	struct vault_nodes m = { .h = { op, n } };

	memcpy(m.node, nodes, n * sizeof(*nodes));
	ck_assert_int_eq(msg_send(sock, &m, sizeof(m.h) + n * sizeof(*nodes), NULL, 0, 0), 0);
}

void
rig_forget(struct rig *r, uint64_t node)
{
	rig_send_nodes(r->put, VAULT_FORGET, &node, 1);
}

static void
get(struct rig *r, uint32_t op, const uint64_t *nodes, uint32_t n, int *fds)
{
	struct vault_got got;
	int raw[VAULT_BATCH];
	size_t nraw = VAULT_BATCH, k = 0;

	rig_send_nodes(r->get, op, nodes, n);
	ck_assert_int_eq(msg_recv(r->get, &got, sizeof(got), raw, &nraw, NULL, 0),
	    sizeof(got.h) + n * sizeof(int32_t));
	ck_assert_uint_eq(got.h.op, VAULT_GOT);
	ck_assert_uint_eq(got.h.count, n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_int_le(got.error[i], 0);
		fds[i] = got.error[i];
		if (got.error[i] == 0) {
			ck_assert_uint_lt(k, nraw);
			fds[i] = raw[k++];
		}
	}
	ck_assert_uint_eq(k, nraw);
}

void
rig_get_nodes(struct rig *r, const uint64_t *nodes, uint32_t n, int *fds)
{
	get(r, VAULT_GET, nodes, n, fds);
}

int
rig_fetch(struct rig *r, uint64_t fh)
{
	int fd;

	get(r, VAULT_FETCH, &fh, 1, &fd);
	return fd;
}

int
rig_get_node(struct rig *r, uint64_t node)
{
	int fd;

	rig_get_nodes(r, &node, 1, &fd);
	return fd;
}

void
rig_assert_same(int fd, int other)
{
	struct stat a, b;

	ck_assert_msg(fd >= 0, "got %d", fd);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &a), 0);
	ck_assert_int_eq(fstat(other, &b), 0);
	ck_assert(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_mode == b.st_mode);
	ck_assert_uint_eq(rig_mount_id(fd), rig_mount_id(other));
	close(fd);
	close(other);
}

void
rig_make_file(struct rig *r, const char *name)
{
	int fd = openat(r->dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	close(fd);
}

int
rig_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

int
rig_settled_fds(struct rig *r)
{
	ck_assert_int_eq(rig_get_node(r, UINT64_MAX - 1), -EBADF);
	return rig_count_fds();
}

long
rig_resident_kb(void)
{
	char buf[128] = "";
	long total, pages;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	ck_assert_int_gt(read(fd, buf, sizeof(buf) - 1), 0);
	close(fd);
	ck_assert_int_eq(sscanf(buf, "%ld %ld", &total, &pages), 2);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

bool
rig_breached(struct rig *r, int ms)
{
	struct pollfd p = { .fd = vault_fd(r->vault), .events = POLLIN };
	uint32_t by;

	/* Asked once, it is not announced again. */
	return poll(&p, 1, ms) == 1 && vault_breach(r->vault, &by) != NULL && by == r->incarnation &&
	    vault_breach(r->vault, &by) == NULL && poll(&p, 1, 0) == 0;
}
