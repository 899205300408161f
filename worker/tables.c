/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables lie in a memfd that nobody can change any more: checked once, then read where they are. Runs in: worker. Bytes
 * written by: the monitor, which is trusted and still checked.
 */
#include "worker/tables.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/xattrmap.h"
#include "proto/control.h"

#define CAPABILITY "security.capability"

static struct {
	const struct xattrmap *xattrmap;
	struct {
		const struct idmap_range *range;
		size_t n;
	} idmap[IDMAP_TABLES];
	char capability[XATTRMAP_NAME_MAX + 1];
} tables;

static_assert(CTL_IDMAPS == IDMAP_TABLES, "a table for each direction");
static_assert(XATTRMAP_NAME_MAX == 255, "room for names in tables.h");

static void ATTR_NORETURN
bad(void)
{
	fatalx("the tables from the monitor are not what they should be");
}

/* The elements of a table. NULL: it is empty. */
static const void *
part(const char *base, uint32_t len, const struct ctl_table *t, size_t element)
{
	if (t->n == 0)
		return NULL;
	if (t->off % 8 != 0 || t->off < sizeof(struct ctl_tables) || t->off > len ||
	    t->n > (len - t->off) / element)
		bad();
	return base + t->off;
}

static void
take_idmaps(const char *base, uint32_t len)
{
	const struct ctl_tables *head = (const void *)base;

	for (unsigned i = 0; i < IDMAP_TABLES; i++) {
		const struct ctl_table *t = &head->idmap[i];
		const struct idmap_range *r = part(base, len, t, sizeof(*r));

		if (r != NULL && idmap_check(r, t->n) != 0)
			bad();
		tables.idmap[i].range = r;
		tables.idmap[i].n = t->n;
	}
}

static void
take_xattrmap(const char *base, uint32_t len)
{
	const struct ctl_tables *head = (const void *)base;
	const struct xattrmap *m = part(base, len, &head->xattrmap, 1);
	char host[XATTRMAP_NAME_MAX + 1];

	if (m != NULL && xattrmap_check(m, head->xattrmap.n) != 0)
		bad();
	tables.xattrmap = m;
	if (xattrmap_client(m, CAPABILITY, host) == 0 && strcmp(host, CAPABILITY) != 0)
		strcpy(tables.capability, host);
}

void
tables_map(int fd, uint32_t len)
{
	const int want = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat st;
	void *p;

	if (len < sizeof(struct ctl_tables) || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)len || (fcntl(fd, F_GET_SEALS) & want) != want)
		bad();
	p = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		fatal("mmap of the tables");
	close(fd);
	take_xattrmap(p, len);
	take_idmaps(p, len);
}

int
tables_xattr_to_host(const char *name, char host[static 256])
{
	return xattrmap_client(tables.xattrmap, name, host);
}

const char *
tables_xattr_to_guest(const char *name)
{
	return xattrmap_server(tables.xattrmap, name);
}

const char *
tables_capability(void)
{
	return tables.capability[0] != '\0' ? tables.capability : NULL;
}

int
tables_to_host(enum idmap_table t, uint32_t id, uint32_t *res)
{
	return idmap_lookup(tables.idmap[t].range, tables.idmap[t].n, id, res);
}

uint32_t
tables_to_guest(enum idmap_table t, uint32_t id)
{
	uint32_t res;

	/* Nothing is forbidden in this direction; should it be, it stays what it is. */
	return idmap_lookup(tables.idmap[t].range, tables.idmap[t].n, id, &res) == 0 ? res : id;
}
