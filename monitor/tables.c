/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles --xattrmap, --translate-uid and --translate-gid once, for all workers to come. Runs in: monitor, at start. Texts
 * written by: whoever starts the daemon (trusted).
 */
#include "monitor/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/idmap.h"
#include "common/log.h"
#include "common/xattrmap.h"
#include "monitor/idmap_parse.h"
#include "monitor/xattrmap_parse.h"
#include "proto/control.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

struct tables {
	struct xattrmap *xattrmap;
	struct idmap_range *idmap[IDMAP_TABLES];
	size_t n[IDMAP_TABLES];
};

static int
compile_xattrmap(const char *text, struct tables *t)
{
	char err[XATTRMAP_ERROR_MAX], host[XATTRMAP_NAME_MAX + 1];
	int r;

	if (text == NULL)
		return 0;
	r = xattrmap_parse(text, &t->xattrmap, err);
	if (r != 0) {
		log_error("--xattrmap: %s", err);
		return r;
	}
	/* The reference stops over such names, later or at once. */
	if (!xattrmap_catches_all(t->xattrmap, XATTRMAP_CLIENT))
		log_warn(
		    "--xattrmap: no rule is for all names of the guest: the others are denied");
	if (!xattrmap_catches_all(t->xattrmap, XATTRMAP_SERVER))
		log_warn("--xattrmap: no rule is for all names of the host: the others are hidden");
	r = xattrmap_client(t->xattrmap, "security.capability", host);
	if (r == 0 && strcmp(host, "security.capability") != 0)
		log_info(
		    "--xattrmap: the guest's security.capability is %s here, and removed when a "
		    "file is changed",
		    host);
	return 0;
}

static int
compile_idmap(const char *option, const char *const *text, size_t n, enum idmap_table to_host,
    enum idmap_table to_guest, struct tables *t)
{
	char err[IDMAP_ERROR_MAX] = "out of memory";
	struct idmap_entry *e = calloc(MAX(n, 1u), sizeof(*e));
	int r = e != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = idmap_parse(text[i], &e[i], err);
	if (r == 0)
		r = idmap_build(e, n, &t->idmap[to_host], &t->n[to_host], &t->idmap[to_guest],
		    &t->n[to_guest], err);
	if (r != 0)
		log_error("--%s: %s", option, err);
	free(e);
	return r;
}

static size_t
place(struct ctl_table *at, size_t off, size_t n, size_t size)
{
	at->off = n > 0 ? (uint32_t)off : 0;
	at->n = (uint32_t)n;
	return off + ROUND_UP(n * size, 8u);
}

/* Lay everything out. Returns the size. */
static size_t
lay_out(const struct tables *t, struct ctl_tables *head)
{
	const size_t maplen = t->xattrmap != NULL ? t->xattrmap->len : 0;
	size_t at = place(&head->xattrmap, sizeof(*head), maplen, 1);

	for (unsigned i = 0; i < IDMAP_TABLES; i++)
		at = place(&head->idmap[i], at, t->n[i], sizeof(struct idmap_range));
	return at;
}

static void
fill(const struct tables *t, const struct ctl_tables *head, char *p)
{
	memcpy(p, head, sizeof(*head));
	if (head->xattrmap.n > 0)
		memcpy(p + head->xattrmap.off, t->xattrmap, head->xattrmap.n);
	for (unsigned i = 0; i < IDMAP_TABLES; i++)
		if (t->n[i] > 0)
			memcpy(p + head->idmap[i].off, t->idmap[i],
			    t->n[i] * sizeof(struct idmap_range));
}

/* A memfd with these bytes, and nobody can change them any more. */
static int
seal(const void *bytes, size_t len, int *fd)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int r;

	*fd = memfd_create("virtiofsd-tables", flags | MFD_NOEXEC_SEAL);
	if (*fd == -1 && errno == EINVAL)
		*fd = memfd_create("virtiofsd-tables", flags);
	if (*fd != -1 && pwrite(*fd, bytes, len, 0) == (ssize_t)len &&
	    fcntl(*fd, F_ADD_SEALS, seals) == 0)
		return 0;
	r = errno != 0 ? -errno : -EIO;
	log_error("memory for the tables of names and ids: %s", strerrordesc_np(-r));
	fd_close(fd);
	return r;
}

static int
make_memory(const struct tables *t, int *fd, uint32_t *len)
{
	struct ctl_tables head;
	size_t size = lay_out(t, &head);
	char *p;
	int r;

	if (size > UINT32_MAX || (p = calloc(1, size)) == NULL) {
		log_error("no memory for the tables of names and ids");
		return -ENOMEM;
	}
	fill(t, &head, p);
	errno = 0;
	r = seal(p, size, fd);
	free(p);
	if (r == 0)
		*len = (uint32_t)size;
	return r;
}

int
tables_make(const struct tables_source *s, int *fd, uint32_t *len)
{
	struct tables t = { 0 };
	int r;

	*fd = -1;
	*len = 0;
	if (s->xattrmap == NULL && s->nuid == 0 && s->ngid == 0)
		return 0;
	r = compile_xattrmap(s->xattrmap, &t);
	if (r == 0)
		r = compile_idmap(
		    "translate-uid", s->uid, s->nuid, IDMAP_UID_TO_HOST, IDMAP_UID_TO_GUEST, &t);
	if (r == 0)
		r = compile_idmap(
		    "translate-gid", s->gid, s->ngid, IDMAP_GID_TO_HOST, IDMAP_GID_TO_GUEST, &t);
	if (r == 0)
		r = make_memory(&t, fd, len);
	free(t.xattrmap);
	for (unsigned i = 0; i < IDMAP_TABLES; i++)
		free(t.idmap[i]);
	return r;
}
