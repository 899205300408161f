/* SPDX-License-Identifier: BSD-3-Clause */
/* See worker/crash.h. Contains nothing in production builds. Runs in: worker, lane threads. */
#include "worker/crash.h"

#ifdef CRASH_POINTS

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/inode.h"
#include "worker/resolve.h"

#define CRASH_FILE ".virtiofsd-crash"

/* Does the file say "op:place"? It is removed if once. */
static bool
wanted(uint16_t op, const char *place, bool once)
{
	struct inode *root = inode_by_node(ROOT_NODE);
	const char *name = rpc_op_name(op);
	const size_t n = strlen(name), m = strlen(place);
	char text[64] = "";
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	bool yes = false;
	int fd;

	if (root == NULL)
		return false;
	fd = open_beneath(inode_fd(root), CRASH_FILE, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0 && preadv2(fd, &iov, 1, 0, 0) > 0)
		yes = strncmp(text, name, n) == 0 && text[n] == ':' &&
		    strncmp(text + n + 1, place, m) == 0 &&
		    (text[n + 1 + m] == '\n' || text[n + 1 + m] == '\0');
	fd_close(&fd);
	if (yes && once && unlinkat(inode_fd(root), CRASH_FILE, 0) == -1)
		yes = false;
	inode_put(root);
	return yes;
}

/* A trap kills the init of a pid namespace as well, which a signal sent to it would not. */
void
crash_point(const struct rpc_hdr *h, const char *place)
{
	if (wanted(h->op, place, true))
		__builtin_trap();
}

void
crash_poison(const struct rpc_hdr *h)
{
	const char *name = h->n1 > 0 ? rpc_name1(RPC_REQUEST, h) : "";

	if (strncmp(name, "poison", 6) == 0 && wanted(h->op, "poison", false))
		__builtin_trap();
}

#endif
