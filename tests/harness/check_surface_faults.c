/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_faults - a host that interrupts, moves less than it was asked to, and fails half way: on hostfs, on either
 * plane. And processes that have no file descriptors left.
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostfs.h"

#define LANE "--fd-donation=never"

static const char *const planes[] = { "", LANE };

enum what { DO_READ, DO_WRITE, DO_WRITE_BACK, DO_FSYNC, DO_FALLOCATE };

/* 16 KiB at offset 0 of file f1. */
static const struct {
	const char *name;
	enum what what;
	int interrupt;
	unsigned int most, good;
	int result;
	unsigned int calls;	/* that the host saw; 0 = not counted */
} rows[] = {
	{ "READ", DO_READ, 0, 0, 0, 16384, 1 },
	{ "C21: READ is interrupted", DO_READ, 3, 0, 0, 16384, 4 },
	{ "READ comes in pieces", DO_READ, 0, 4096, 0, 16384, 4 },
	{ "READ comes in odd pieces, interrupted", DO_READ, 1, 1000, 0, 16384, 0 },
	{ "READ fails half way: no end of file is made up", DO_READ, 0, 4096, 8192, -EIO, 3 },
	{ "WRITE", DO_WRITE, 0, 0, 0, 16384, 1 },
	{ "C21: WRITE is interrupted", DO_WRITE, 3, 0, 0, 16384, 4 },
	{ "WRITE goes in pieces", DO_WRITE, 0, 4096, 0, 16384, 4 },
	{ "C22: WRITE fails half way", DO_WRITE, 0, 4096, 8192, 8192, 3 },
	{ "WRITE of a page cache goes in pieces", DO_WRITE_BACK, 0, 4096, 0, 16384, 4 },
	{ "WRITE of a page cache fails half way: it heeds nothing but the error", DO_WRITE_BACK, 0, 4096, 8192, -EIO, 0 },
	{ "C21: FSYNC is interrupted", DO_FSYNC, 3, 0, 0, 0, 0 },
	{ "C21: FALLOCATE is interrupted", DO_FALLOCATE, 3, 0, 0, 0, 0 },
};

static const uint32_t opcodes[] = { FUSE_READ, FUSE_WRITE, FUSE_WRITE, FUSE_FSYNC, FUSE_FALLOCATE };

static int
run(enum what what, uint64_t node, uint64_t fh)
{
	static char data[16384];
	int n;

	switch (what) {
	case DO_READ:
		n = fc_read(&hc, node, fh, 0, data, sizeof(data));
		for (int i = 0; i < n; i++)
			SF_EQ(data[i], 'a' + i % 26);
		return n;
	case DO_WRITE:
	case DO_WRITE_BACK:
		return sf_write(node, fh, 0, data, sizeof(data), sizeof(data), 0,
		    what == DO_WRITE_BACK ? FUSE_WRITE_CACHE : 0);
	case DO_FSYNC:
		return fc_fsync(&hc, node, fh, false, false);
	default:
		return fc_fallocate(&hc, node, fh, 0, 4096, 0);
	}
}

START_TEST(test_row)
{
	size_t i = (size_t)_i % countof(rows);
	const char *plane = planes[(size_t)_i / countof(rows)];
	enum what what = rows[i].what;
	struct fuse_open_out o;
	char name[100];
	uint64_t node;

	snprintf(name, sizeof(name), "%s %s", rows[i].name, plane);
	sf_begin(name, plane, SF_HOSTFS, opcodes[what]);
	hostfs_reset();
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDWR, 0, &o));
	hostfs.interrupt = rows[i].interrupt;
	if (what == DO_READ) {
		hostfs.read_most = rows[i].most;
		hostfs.read_good = rows[i].good;
	} else {
		hostfs.write_most = rows[i].most;
		hostfs.write_good = rows[i].good;
	}
	SF_EQ(run(what, node, o.fh), rows[i].result);
	SF_EQ(hostfs.interrupt, 0);
	if (rows[i].calls > 0)
		SF_EQ(what == DO_READ ? hostfs.reads : hostfs.writes, rows[i].calls);
	/* What was acknowledged is what the host has, not a byte more. */
	if (what == DO_WRITE)
		SF_EQ(hostfs.written, rows[i].result);
	hostfs_reset();
	SF_OK(fc_release(&hc, node, o.fh));
	sf_end();
}
END_TEST

/* O_DIRECT on a host that insists on alignment: behind an end that is not aligned it says EINVAL, the guest shall not. */
START_TEST(test_direct_end)
{
	const char *options = _i == 0 ? "--allow-direct-io" : "--allow-direct-io " LANE;
	struct fuse_open_out o;
	char buf[4096];
	uint64_t node;

	sf_begin("O_DIRECT: a short read before EINVAL", options, SF_HOSTFS, FUSE_READ);
	hostfs_reset();
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDONLY | O_DIRECT, 0, &o));
	hostfs.read_most = 904;
	hostfs.aligned = true;
	SF_EQ(fc_read(&hc, node, o.fh, 0, buf, sizeof(buf)), 904);
	SF_EQ(fc_read(&hc, node, o.fh, 100, buf, sizeof(buf)), -EINVAL);
	hostfs_reset();
	sf_end();
}
END_TEST

/*
 * K1 on a host that leaves the bits: it is told who writes (no CAP_FSETID), and what it leaves is taken away.
 */
static const struct {
	const char *name;
	uint32_t write_flags;
	unsigned int after;
} kills[] = {
	{ "K1: WRITE on a host that leaves the bits", FUSE_WRITE_KILL_SUIDGID, 0755 },
	{ "K1: the same by root", 0, 06755 },
};

START_TEST(test_kill)
{
	struct fuse_open_out o;
	uint64_t node;

	sf_begin(kills[_i].name, "--killpriv-v2", SF_HOSTFS, FUSE_WRITE);
	hostfs_reset();
	hostfs.mode = 06755;
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDWR, 0, &o));
	SF_EQ(sf_write(node, o.fh, 0, "x", 1, 1, 0, kills[_i].write_flags), 1);
	SF_EQ(hostfs.killing, kills[_i].write_flags != 0);
	SF_EQ(hostfs.mode, kills[_i].after);
	hostfs_reset();
	sf_end();
}
END_TEST

/* Errors of the first piece are the request's. */
static const struct {
	const char *name;
	uint32_t opcode;
	uint64_t offset;
	int error;
} errors[] = {
	{ "READ fails", FUSE_READ, 8192, -EIO }, { "WRITE fails", FUSE_WRITE, 8192, -EIO },
};

START_TEST(test_error)
{
	size_t i = (size_t)_i % countof(errors);
	const char *plane = planes[(size_t)_i / countof(errors)];
	struct fuse_open_out o;
	uint64_t node;
	char buf[100];
	int n;

	snprintf(buf, sizeof(buf), "%s %s", errors[i].name, plane);
	sf_begin(buf, plane, SF_HOSTFS, errors[i].opcode);
	hostfs_reset();
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDWR, 0, &o));
	hostfs.read_good = hostfs.write_good = 4096;
	if (errors[i].opcode == FUSE_READ)
		n = fc_read(&hc, node, o.fh, errors[i].offset, buf, sizeof(buf));
	else
		n = sf_write(node, o.fh, errors[i].offset, buf, sizeof(buf), sizeof(buf), 0, 0);
	SF_EQ(n, errors[i].error);
	hostfs_reset();
	sf_end();
}
END_TEST

/* Send a request on hc's queue without waiting for it. */
static uint64_t
send_off(uint32_t opcode, uint64_t node, const struct fc_part *parts, unsigned int n, uint32_t cap)
{
	uint64_t unique = hc.unique;
	struct vring_desc sg[2];

	sg[0] = (struct vring_desc){ .addr = hc.req_gpa, .len = (uint32_t)fc_build(&hc, opcode, node,
	    parts, n) };
	sg[1] = (struct vring_desc){ .addr = hc.rep_gpa, .len = 16 + cap,
		.flags = VRING_DESC_F_WRITE };
	ck_assert_int_ge(vmm_queue_add(hc.q, sg, 2, true), 0);
	vmm_queue_kick(hc.q);
	return unique;
}

static int
come_back(uint64_t unique, uint32_t cap)
{
	uint32_t id;

	SF_OK(vmm_queue_wait(hc.q, hc.timeout_ms, &id, &hc.used_len));
	return fc_check_reply(&hc, unique, 16 + cap);
}

static bool
reached_host(void *unused)
{
	(void)unused;
	return hostfs.reads + hostfs.writes > 0;
}

/* What is under way when its handle goes is finished, with what it had. */
static const struct {
	const char *name;
	uint32_t opcode;
	bool writing;
} flights[] = {
	{ "C7: RELEASE while READ is under way", FUSE_RELEASE, false },
	{ "C7: RELEASE while WRITE is under way", FUSE_RELEASE, true },
	{ "C8: INIT while READ is under way", FUSE_INIT, false },
	{ "C8: DESTROY while WRITE is under way", FUSE_DESTROY, true },
};

START_TEST(test_flight)
{
	size_t i = (size_t)_i % countof(flights);
	const char *plane = planes[(size_t)_i / countof(flights)];
	struct fuse_write_in in = { .size = 4096 };	/* fuse_read_in has the same layout so far */
	static char data[4096];
	struct fc_part parts[] = { { &in, sizeof(in) }, { data, sizeof(data) } };
	const uint32_t cap = flights[i].writing ? 8 : 4096;
	struct fuse_open_out o;
	uint64_t node, unique;
	char name[100];

	snprintf(name, sizeof(name), "%s %s", flights[i].name, plane);
	sf_begin(name, plane, SF_HOSTFS, flights[i].writing ? FUSE_WRITE : FUSE_READ);
	hostfs_reset();
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDWR, 0, &o));
	in.fh = o.fh;
	hostfs.delay_ms = 300;
	unique = send_off(flights[i].writing ? FUSE_WRITE : FUSE_READ, node, parts,
	    flights[i].writing ? 2 : 1, cap);
	ck_assert(h_eventually(reached_host, NULL, 2000));
	if (flights[i].opcode == FUSE_RELEASE)
		SF_OK(fc_release(&hother, node, o.fh));
	else if (flights[i].opcode == FUSE_INIT)
		SF_OK(fc_init(&hother, ~0ull));
	else
		SF_OK(fc_destroy(&hother));
	SF_OK(come_back(unique, cap));
	hostfs.delay_ms = 0;
	if (flights[i].writing)
		SF_EQ(hostfs.written, 4096);
	else
		SF_EQ(((const char *)hc.body)[27], 'b');
	FAILS(EBADF, fc_read(&hc, node, o.fh, 0, name, 1));
	if (flights[i].opcode != FUSE_RELEASE)
		SF_OK(fc_init(&hc, ~0ull));
	hostfs_reset();
	sf_end();
}
END_TEST

/* Once the host is known to be slow, a request that needs nothing of it overtakes one that waits for it. */
START_TEST(test_overtaking)
{
	struct fuse_write_in in = { .size = 4096 };
	static char data[4096];
	struct fc_part parts[] = { { &in, sizeof(in) }, { data, sizeof(data) } };
	const bool writing = _i % 2 == 1;
	const uint32_t opcode = writing ? FUSE_WRITE : FUSE_READ, cap = writing ? 8 : 4096;
	struct vring_desc sg[2];
	struct fuse_open_out o;
	uint64_t node, unique;
	uint32_t id, used;
	int head;

	sf_begin(writing ? "C20: a slow WRITE" : "C20: a slow READ", planes[_i / 2], SF_HOSTFS, opcode);
	hostfs_reset();
	node = sf_node("f1");
	SF_OK(sf_open(node, O_RDWR, 0, &o));
	in.fh = o.fh;
	hostfs.delay_ms = 50;
	SF_OK(come_back(send_off(opcode, node, parts, writing ? 2 : 1, cap), cap));
	hostfs.delay_ms = 300;
	unique = send_off(opcode, node, parts, writing ? 2 : 1, cap);
	sg[0] = (struct vring_desc){ .addr = hother.req_gpa,
		.len = (uint32_t)fc_build(&hother, 4000, FC_ROOT, NULL, 0) };
	sg[1] = (struct vring_desc){ .addr = hother.rep_gpa, .len = 16,
		.flags = VRING_DESC_F_WRITE };
	head = vmm_queue_add(hc.q, sg, 2, true);
	ck_assert_int_ge(head, 0);
	vmm_queue_kick(hc.q);
	SF_OK(vmm_queue_wait(hc.q, hc.timeout_ms, &id, &used));
	SF_EQ(id, head);
	SF_OK(come_back(unique, cap));
	hostfs_reset();
	SF_OK(fc_release(&hc, node, o.fh));
	sf_end();
}
END_TEST

static pid_t
process(const char *comm)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS);

	for (unsigned int i = 0; i < n; i++)
		if (strcmp(procs[i].comm, comm) == 0)
			return procs[i].pid;
	ck_abort_msg("there is no %s", comm);
}

/* The first id of a line of /proc/PID/status. */
static unsigned int
id_of(pid_t pid, const char *key)
{
	char path[64], line[128];
	unsigned int id = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			found = sscanf(line + strlen(key), "%u", &id) == 1;
	fclose(f);
	ck_assert(found);
	return id;
}

/*
 * Set the soft limit of open files of that process; its own user may, CAP_SYS_RESOURCE or not. Returns the old one.
 */
static rlim_t
set_nofile(const char *comm, rlim_t soft)
{
	const pid_t pid = process(comm);
	const gid_t gid = id_of(pid, "Gid:");
	const uid_t uid = id_of(pid, "Uid:");
	struct rlimit old, new;
	int status, fd[2];
	pid_t child;

	SF_OK(pipe2(fd, O_CLOEXEC));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
		    setresuid(uid, uid, uid) != 0 ||
		    prlimit(pid, RLIMIT_NOFILE, NULL, &old) != 0)
			_exit(1);
		new = old;
		new.rlim_cur = soft;
		if (prlimit(pid, RLIMIT_NOFILE, &new, NULL) != 0)
			_exit(2);
		_exit(write(fd[1], &old, sizeof(old)) == sizeof(old) ? 0 : 3);
	}
	SF_EQ(waitpid(child, &status, 0), child);
	SF_OK(status);
	SF_EQ(read(fd[0], &old, sizeof(old)), sizeof(old));
	close(fd[0]);
	close(fd[1]);
	return old.rlim_cur;
}

/* The worker closes fds of inodes to make room: with this limit none of those is below it. */
#define NOTHING_LEFT 3

/* With this limit no new number is given out in the process: all below are in use. ppoll() needs more than three. */
static rlim_t
full_at(const char *comm)
{
	const pid_t pid = process(comm);
	char path[64];
	rlim_t n = 0;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%llu", (int)pid, (unsigned long long)n++);
	while (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	return n - 1;
}

static int
full_lookup(void)
{
	struct fuse_entry_out e;

	return fc_lookup(&hc, sf.dir, "new", &e);
}

static int
full_open(void)
{
	struct fuse_open_out o;

	return sf_open(sf.dir, O_RDONLY, 0, &o);
}

static int
full_opendir(void)
{
	struct fuse_open_out o;

	return sf_opendir(sf.dir, O_RDONLY, &o);
}

static int
full_create(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	return sf_create("made", O_RDWR, 0644, 0, &e, &o);
}

static int
full_create_there(void)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	return sf_create("new", O_RDWR, 0644, 0, &e, &o);
}

static int
full_truncate(void)
{
	struct fuse_setattr_in in = { .valid = FATTR_SIZE };

	return fc_setattr(&hc, sf.dir, &in, NULL);
}

static int
full_syncfs(void)
{
	return fc_syncfs(&hc, sf.dir);
}

/* The worker has no fd left and nothing to close for one: the guest is told so, and later all goes on. */
static const struct {
	const char *name;
	uint32_t opcode;
	int (*run)(void);
	int after;	/* result when there are fds again */
} full[] = {
	{ "C10: ENFILE of LOOKUP", FUSE_LOOKUP, full_lookup, 0 },
	{ "C10: ENFILE of OPEN", FUSE_OPEN, full_open, 0 },
	{ "C10: ENFILE of OPENDIR", FUSE_OPENDIR, full_opendir, 0 },
	{ "C10: ENFILE of CREATE", FUSE_CREATE, full_create, 0 },
	{ "C10: ENFILE of CREATE of what is there", FUSE_CREATE, full_create_there, 0 },
	{ "ENFILE of SETATTR size", FUSE_SETATTR, full_truncate, -EISDIR },
	{ "ENFILE of SYNCFS", FUSE_SYNCFS, full_syncfs, 0 },
};

/* One that can make room for itself does, and the guest notices nothing. */
START_TEST(test_room)
{
	char name[16];
	rlim_t old;

	sf_begin("room is made: LOOKUP, OPEN, CREATE", "", SF_DIR, FUSE_OPEN);
	sf_put("new", "x", 0, 0, 0644);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "known-%d", i);
		sf_put(name, "", 0, 0, 0644);
		sf_node(name);
	}
	old = set_nofile(SF_WORKER, full_at(SF_WORKER));
	SF_OK(full_lookup());
	SF_OK(full_open());
	SF_OK(full_create());
	SF_OK(full_create_there());
	set_nofile(SF_WORKER, old);
	sf_end();
}
END_TEST

START_TEST(test_full)
{
	rlim_t old;
	struct stat st;

	sf_begin(full[_i].name, "", SF_DIR, full[_i].opcode);
	sf_put("new", "x", 0, 0, 0644);
	old = set_nofile(SF_WORKER, NOTHING_LEFT);
	SF_EQ(full[_i].run(), -ENFILE);
	/* Nothing was done by halves. */
	ck_assert(stat(sf_path("made"), &st) != 0);
	set_nofile(SF_WORKER, old);
	SF_EQ(full[_i].run(), full[_i].after);
	sf_end();
}
END_TEST

/* Entries are listed even if no inode can be had for them (C11); with fds again, all of them are looked up. */
static unsigned int
list_plus(uint64_t fh, unsigned int *nodes)
{
	unsigned int n = 0;
	struct fuse_entry_out e;
	struct fuse_dirent d;
	uint64_t off = 0;
	char name[256];
	size_t pos;
	int got;

	*nodes = 0;
	while ((got = fc_readdir(&hc, sf.dir, fh, off, 4096, true)) > 0) {
		for (pos = 0; fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1; off = d.off) {
			if (name[0] == '.')
				continue;
			n++;
			*nodes += e.nodeid != 0;
		}
	}
	SF_EQ(got, 0);
	return n;
}

START_TEST(test_full_list)
{
	struct fuse_open_out o;
	unsigned int nodes;
	rlim_t old;
	char name[32];

	sf_begin("C11: READDIRPLUS without fds", "", SF_DIR, FUSE_READDIRPLUS);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		sf_put(name, "", 0, 0, 0644);
	}
	SF_OK(sf_opendir(sf.dir, O_RDONLY, &o));
	old = set_nofile(SF_WORKER, NOTHING_LEFT);
	SF_EQ(list_plus(o.fh, &nodes), 100);
	SF_EQ(nodes, 0);
	set_nofile(SF_WORKER, old);
	SF_EQ(list_plus(o.fh, &nodes), 100);
	SF_EQ(nodes, 100);
	sf_end();
}
END_TEST

/* A front without fd numbers is given files it cannot take: the worker serves them. */
static const struct {
	const char *name;
	uint32_t opcode;
} fronts[] = { { "OPEN, the front has no fds", FUSE_OPEN }, { "CREATE, the front has no fds", FUSE_CREATE } };

START_TEST(test_full_front)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	rlim_t old;
	char buf[8];

	sf_begin(fronts[_i].name, "", SF_DIR, fronts[_i].opcode);
	sf_put("f", "data", 0, 0, 0644);
	e.nodeid = sf_node("f");
	old = set_nofile(SF_FRONT, full_at(SF_FRONT));
	if (fronts[_i].opcode == FUSE_OPEN)
		SF_OK(sf_open(e.nodeid, O_RDWR, 0, &o));
	else
		SF_OK(sf_create("new", O_RDWR, 0644, 0, &e, &o));
	SF_EQ(sf_fd_flags(SF_FRONT, fronts[_i].opcode == FUSE_OPEN ? "f" : "new"), -1);
	SF_EQ(sf_write(e.nodeid, o.fh, 0, "lane", 4, 4, 0, 0), 4);
	SF_EQ(fc_read(&hc, e.nodeid, o.fh, 0, buf, 8), 4);
	SF_OK(memcmp(buf, "lane", 4));
	SF_OK(fc_flush(&hc, e.nodeid, o.fh));
	SF_OK(fc_release(&hc, e.nodeid, o.fh));
	set_nofile(SF_FRONT, old);
	sf_end();
}
END_TEST

TCase *
check_surface_faults(void)
{
	TCase *t = tcase_create("faults");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_row, 0, (int)countof(rows) * 2);
	tcase_add_loop_test(t, test_error, 0, (int)countof(errors) * 2);
	tcase_add_loop_test(t, test_direct_end, 0, 2);
	tcase_add_loop_test(t, test_flight, 0, (int)countof(flights) * 2);
	tcase_add_loop_test(t, test_overtaking, 0, 4);
	SF_TCASE(t, test_kill, kills);
	SF_TCASE(t, test_full, full);
	tcase_add_test(t, test_room);
	tcase_add_test(t, test_full_list);
	SF_TCASE(t, test_full_front, fronts);
	return t;
}
