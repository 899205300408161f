/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_rig - daemons for the rows of the table, and requests with every field.
 *
 * Runs in: check_surface, as root.
 */
#include "check_surface.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "hostfs.h"

#define WORDS 16
#define OPCODES 64

struct sf sf;

static char options[256];	/* of the daemon that runs; */
static enum sf_fs under;	/* and its share */
static bool clean;		/* its last row went well */
static unsigned int nr_rows, rows_of[OPCODES];

void
sf_eq(const char *file, int line, const char *what, long long got, long long want)
{
	if (got == want)
		return;
	ck_abort_msg("row '%s' (%s:%d): %s is %lld, expected %lld", sf.name, file, line, what, got,
	    want);
}

int
sf_select(bool (*sensible)(size_t), size_t n, uint16_t *list)
{
	int k = 0;

	for (size_t i = 0; i < n; i++)
		if (sensible(i))
			list[k++] = (uint16_t)i;
	return k;
}

static int
mount_tmpfs(const char *path, const char *opts)
{
	return mount("surface", path, "tmpfs", MS_NOSUID, opts) == 0 ? 0 : -errno;
}

static int
mount_plain(const struct vmm *v)
{
	return mount_tmpfs(v->share, "size=64m,mode=0777");
}

static int
mount_two(const struct vmm *v)
{
	char sub[100];
	int err;

	err = mount_tmpfs(v->share, "size=8m,mode=0777");
	if (err != 0)
		return err;
	snprintf(sub, sizeof(sub), "%s/sub", v->share);
	if (mkdir(sub, 0777) < 0)
		return -errno;
	return mount_tmpfs(sub, "size=3m,mode=0777");
}

static int
mount_hostfs(const struct vmm *v)
{
	return hostfs_mount(v->share);
}

static void
start(const char *opts, enum sf_fs fs)
{
	static int (*const mounts[])(const struct vmm *) = {
		[SF_TMPFS] = mount_plain, [SF_SUBMOUNT] = mount_two, [SF_HOSTFS] = mount_hostfs,
	};
	const char *words[WORDS + 1] = { NULL };
	struct vmm_opts o = { .args = words, .stage = VMM_RUNNING, .mount_share = mounts[fs] };
	static char copy[sizeof(options)];
	char *save = NULL, *w;
	unsigned int n = 0;

	snprintf(copy, sizeof(copy), "%s", opts);
	for (w = strtok_r(copy, " ", &save); w != NULL && n < WORDS;
	    w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	h_start_opts(&o, true);
	snprintf(options, sizeof(options), "%s", opts);
	under = fs;
}

void
sf_stop(void)
{
	bool host = hv != NULL && under == SF_HOSTFS;

	if (clean)
		h_stop();
	else
		h_abandon();
	if (host)
		hostfs_stop();
	clean = false;
}

/* The requests of all rows come from root, laid out as Linux does, unless the row says otherwise. */
static void
reset_client(uint32_t opcode)
{
	hc.uid = hc.gid = 0;
	hc.pid = 4711;
	/* SYNCFS waits for all that anybody has written to the host's disk. */
	hc.timeout_ms = opcode == FUSE_SYNCFS ? 60000 : VMM_TIMEOUT_MS;
	hc.layout = FC_KERNEL;
	hc.indirect = (hv->acked & VIRTIO_F_INDIRECT) != 0;
}

void
sf_begin(const char *name, const char *opts, enum sf_fs fs, uint32_t opcode)
{
	struct fuse_entry_out e;

	snprintf(sf.name, sizeof(sf.name), "%s", name);
	nr_rows++;
	if (opcode < OPCODES)
		rows_of[opcode]++;
	if (hv == NULL || !clean || strcmp(opts, options) != 0 || fs != under) {
		sf_stop();
		start(opts, fs);
	}
	clean = false;
	reset_client(opcode);
	sf.dir = FC_ROOT;
	sf.rel[0] = '\0';
	if (fs == SF_HOSTFS)
		return;
	snprintf(sf.rel, sizeof(sf.rel), "r%u", nr_rows);
	ck_assert_msg(mkdir(h_path(sf.rel), 0777) == 0, "row '%s': mkdir", name);
	SF_OK(fc_lookup(&hc, FC_ROOT, sf.rel, &e));
	sf.dir = e.nodeid;
}

void
sf_end(void)
{
	clean = true;
}

unsigned int
sf_rows(void)
{
	return nr_rows;
}

unsigned int
sf_rows_of(uint32_t opcode)
{
	return opcode < OPCODES ? rows_of[opcode] : 0;
}

const char *
sf_path(const char *name)
{
	char rel[300];

	snprintf(rel, sizeof(rel), "%s/%s", sf.rel, name);
	return h_path(rel);
}

void
sf_put(const char *name, const char *content, unsigned int uid, unsigned int gid, unsigned int mode)
{
	size_t len = strlen(content);
	int fd;

	fd = open(sf_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_msg(fd >= 0, "row '%s': %s", sf.name, strerror(errno));
	SF_EQ(write(fd, content, len), len);
	SF_OK(fchown(fd, uid, gid));
	SF_OK(fchmod(fd, mode));
	close(fd);
}

unsigned int
sf_mode(const char *name)
{
	struct stat st;

	ck_assert_msg(lstat(sf_path(name), &st) == 0, "row '%s': no %s", sf.name, name);
	return st.st_mode & 07777;
}

uint64_t
sf_node(const char *name)
{
	struct fuse_entry_out e;

	SF_OK(fc_lookup(&hc, sf.dir, name, &e));
	return e.nodeid;
}

static int
call(uint32_t opcode, uint64_t node, const struct fc_part *parts, unsigned int n, void *out,
    size_t size)
{
	int err = fc_call(&hc, opcode, node, parts, n, size);

	if (err != 0)
		return err;
	SF_EQ(hc.body_len, size);
	memcpy(out, hc.body, size);
	return 0;
}

int
sf_open(uint64_t node, uint32_t flags, uint32_t open_flags, struct fuse_open_out *o)
{
	struct fuse_open_in in = { .flags = flags, .open_flags = open_flags };
	struct fc_part part = { &in, sizeof(in) };

	return call(FUSE_OPEN, node, &part, 1, o, sizeof(*o));
}

int
sf_opendir(uint64_t node, uint32_t flags, struct fuse_open_out *o)
{
	struct fuse_open_in in = { .flags = flags };
	struct fc_part part = { &in, sizeof(in) };

	return call(FUSE_OPENDIR, node, &part, 1, o, sizeof(*o));
}

int
sf_create(const char *name, uint32_t flags, uint32_t mode, uint32_t open_flags,
    struct fuse_entry_out *e, struct fuse_open_out *o)
{
	struct fuse_create_in in = { .flags = flags, .mode = mode, .open_flags = open_flags };
	struct fc_part parts[] = { { &in, sizeof(in) }, { name, strlen(name) + 1 } };
	struct {
		struct fuse_entry_out e;
		struct fuse_open_out o;
	} both;
	int err = call(FUSE_CREATE, sf.dir, parts, 2, &both, sizeof(both));

	if (err == 0) {
		*e = both.e;
		*o = both.o;
	}
	return err;
}

int
sf_write(uint64_t node, uint64_t fh, uint64_t offset, const void *data, size_t data_len,
    uint32_t size, uint32_t flags, uint32_t write_flags)
{
	struct fuse_write_in in = { .fh = fh, .offset = offset, .size = size, .flags = flags,
		.write_flags = write_flags };
	struct fc_part parts[] = { { &in, sizeof(in) }, { data, data_len } };
	struct fuse_write_out out;
	int err = call(FUSE_WRITE, node, parts, 2, &out, sizeof(out));

	return err != 0 ? err : (int)out.size;
}

/* The flags in /proc/PID/fdinfo/N. */
static int
read_flags(pid_t pid, const char *fd)
{
	char path[64], line[128];
	unsigned int flags = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.10s", (int)pid, fd);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "flags: %o", &flags) == 1)
			found = true;
	fclose(f);
	return found ? (int)flags : -1;
}

/* O_PATH fds are the worker's way to the inode, not the file being open. */
static int
flags_in(pid_t pid, const struct stat *want)
{
	char path[64];
	int flags, found = -1;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	ck_assert_msg(d != NULL, "%s: %s", path, strerror(errno));
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) != 0 ||
		    st.st_ino != want->st_ino || st.st_dev != want->st_dev)
			continue;
		flags = read_flags(pid, e->d_name);
		if (flags >= 0 && (flags & O_PATH) == 0)
			found = flags;
	}
	closedir(d);
	return found;
}

int
sf_fd_flags_of(const char *comm, const struct stat *st)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS);

	for (unsigned int i = 0; i < n; i++)
		if (strcmp(procs[i].comm, comm) == 0)
			return flags_in(procs[i].pid, st);
	ck_abort_msg("row '%s': there is no %s", sf.name, comm);
}

int
sf_fd_flags(const char *comm, const char *name)
{
	struct stat st;

	ck_assert_msg(stat(sf_path(name), &st) == 0, "row '%s': no %s", sf.name, name);
	return sf_fd_flags_of(comm, &st);
}
