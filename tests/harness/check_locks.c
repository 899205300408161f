/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_locks - locks of guests are locks on the host: of two owners, of two guests on one share, of processes of the host;
 * and how they end, and how one waits for them.
 *
 * usage: check_locks (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_locks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define QUEUES 9u

const char *const locks_args[] = { "--posix-lock", "--flock", "--cache=never", NULL };

static uint64_t node;
static struct fuse_open_out o;
static struct fuse_client hiprio, third;

void
locks_start(const struct vmm_opts *more)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .queues = QUEUES, .mem_size = 256u << 20 };

	if (more != NULL) {
		opts.queue_size = more->queue_size;
		opts.no_indirect = more->no_indirect;
		opts.mem_table = more->mem_table;
	}
	opts.args = more != NULL && more->args != NULL ? more->args : locks_args;
	h_start_opts(&opts, true);
	OK(fc_open(&hiprio, hv, 0));
	OK(fc_open(&third, hv, 3));
	h_put("f", "content", 7);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
}

static void
setup(void)
{
	locks_start(NULL);
}

struct fc_lock
locks_want(uint64_t owner, uint32_t type, uint64_t start_, uint64_t end)
{
	return (struct fc_lock){ .node = node, .fh = o.fh, .owner = owner, .type = type, .start = start_, .end = end };
}

struct fc_lock
locks_want_flock(uint64_t owner, uint32_t type)
{
	struct fc_lock l = locks_want(owner, type, 0, TO_END);

	l.lk_flags = FLOCK;
	return l;
}

int
locks_setlk(uint64_t owner, uint32_t type, uint64_t start_, uint64_t end)
{
	struct fc_lock l = locks_want(owner, type, start_, end);

	return fc_setlk(&hc, &l, false);
}

int
locks_set_flock(uint64_t owner, uint32_t type)
{
	struct fc_lock l = locks_want_flock(owner, type);

	return fc_setlk(&hc, &l, false);
}

/* Type of the lock that a process of the host would find in its way. */
static int
host_sees(off_t byte)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	int fd = open(h_path("f"), O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	OK(fcntl(fd, F_GETLK, &f));
	close(fd);
	return f.l_type;
}

static int
host_flock(int *fd, int how)
{
	if (*fd < 0)
		*fd = open(h_path("f"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(*fd, 0);
	return flock(*fd, how) == 0 ? 0 : -errno;
}

/* Is there a line for the file in /proc/locks with these words? */
static bool
in_proc_locks(const char *kind, const char *how)
{
	struct stat st = h_stat("f");
	char line[256], id[64];
	FILE *f = fopen("/proc/locks", "r");
	bool found = false;

	ck_assert_ptr_nonnull(f);
	snprintf(id, sizeof(id), " %02x:%02x:%lu ", major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino);
	while (fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, id) != NULL && strstr(line, kind) != NULL && strstr(line, how) != NULL;
	fclose(f);
	return found;
}

static unsigned int
front_fds(void)
{
	struct vmm_proc procs[VMM_MAX_PROCS];
	unsigned int n = vmm_procs(hv, procs, VMM_MAX_PROCS), count = 0, i;
	char path[64];
	int fd;

	for (i = 0; i < n; i++) {
		if (strcmp(procs[i].comm, "virtiofsd-front") != 0)
			continue;
		for (fd = 0; fd < 20000; fd++) {
			snprintf(path, sizeof(path), "/proc/%d/fd/%d", procs[i].pid, fd);
			count += access(path, F_OK) == 0 || errno != ENOENT;
			if (fd > 5000 && count == 0)
				break;
		}
	}
	return count;
}

START_TEST(test_owners)
{
	ck_assert_uint_eq(hc.init_flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	OK(locks_setlk(1, F_WRLCK, 10, 19));
	FAILS(EAGAIN, locks_setlk(2, F_RDLCK, 19, 30));
	OK(locks_setlk(2, F_RDLCK, 20, 30));
	ck_assert_int_eq(host_sees(15), F_WRLCK);
	ck_assert_int_eq(host_sees(25), F_RDLCK);
	ck_assert_int_eq(host_sees(9), F_UNLCK);
	ck_assert(in_proc_locks("OFDLCK", "WRITE"));
	OK(locks_setlk(1, F_UNLCK, 0, TO_END));
	ck_assert(!in_proc_locks("OFDLCK", "WRITE"));
	ck_assert(in_proc_locks("OFDLCK", "READ"));
	OK(locks_set_flock(1, F_WRLCK));
	ck_assert(in_proc_locks("FLOCK", "WRITE"));
	FAILS(EAGAIN, locks_set_flock(2, F_RDLCK));
	OK(locks_set_flock(1, F_UNLCK));
	OK(locks_set_flock(2, F_RDLCK));
	/* Data is nobody's business: these locks are advisory. */
	ck_assert_int_eq(fc_write(&hc, node, o.fh, 0, "CONTENT", 7, O_RDWR), 7);
}
END_TEST

/* A process of the host and an owner of the guest. */
START_TEST(test_host)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 50 };
	struct fc_lock l = locks_want(1, F_RDLCK, 0, TO_END);
	struct fuse_file_lock lk;
	int fd = open(h_path("f"), O_RDWR | O_CLOEXEC), fd2 = -1;

	ck_assert_int_ge(fd, 0);
	OK(fcntl(fd, F_SETLK, &f));
	FAILS(EAGAIN, locks_setlk(1, F_RDLCK, 40, 60));
	OK(locks_setlk(1, F_RDLCK, 0, 49));
	OK(fc_getlk(&hc, &l, &lk));
	ck_assert(lk.type == F_WRLCK && lk.start == 50 && lk.end == 99 && lk.pid == 0);
	l.owner = 2;
	l.type = F_WRLCK;
	l.end = 10;
	OK(fc_getlk(&hc, &l, &lk));
	ck_assert(lk.type == F_RDLCK && lk.start == 0 && lk.end == 49 && lk.pid == hc.pid);
	f.l_start = 0;
	f.l_len = 1;
	ck_assert(fcntl(fd, F_SETLK, &f) == -1 && (errno == EAGAIN || errno == EACCES));
	/* Closing any file of his ends his locks: that is how fcntl locks of a process are. */
	close(open(h_path("f"), O_RDONLY | O_CLOEXEC));
	OK(locks_setlk(1, F_RDLCK, 40, 60));
	OK(host_flock(&fd2, LOCK_SH | LOCK_NB));
	FAILS(EAGAIN, locks_set_flock(1, F_WRLCK));
	OK(locks_set_flock(1, F_RDLCK));
	ck_assert_int_eq(host_flock(&fd2, LOCK_EX | LOCK_NB), -EAGAIN);
	close(fd);
	close(fd2);
}
END_TEST

/* close() and exit() of the guest's processes, and of all open files. */
START_TEST(test_ends)
{
	struct fuse_open_out second;
	unsigned int before;
	struct fc_lock l;
	int fd = -1;

	OK(fc_open_file(&hc, node, O_RDWR, &second));
	before = front_fds();
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	OK(locks_setlk(2, F_WRLCK, 10, 19));
	OK(locks_set_flock(3, F_WRLCK));
	l = locks_want(4, F_WRLCK, 20, 29);
	l.fh = second.fh;
	OK(fc_setlk(&hc, &l, false));
	ck_assert_uint_eq(front_fds(), before + 4);
	OK(fc_flush_owner(&hc, node, second.fh, 1));
	ck_assert_int_eq(host_sees(0), F_UNLCK);
	ck_assert_int_eq(host_sees(10), F_WRLCK);
	OK(fc_release(&hc, node, second.fh));
	ck_assert_int_eq(host_sees(20), F_UNLCK);
	ck_assert_int_eq(host_flock(&fd, LOCK_SH | LOCK_NB), -EAGAIN);
	OK(fc_release(&hc, node, o.fh));
	ck_assert_int_eq(host_sees(10), F_UNLCK);
	OK(host_flock(&fd, LOCK_EX | LOCK_NB));
	ck_assert_uint_eq(front_fds(), before - 2);
	close(fd);
}
END_TEST

/* All of it is gone with the session, however that ends. */
static const char *const session_ends[] = { "INIT", "DESTROY", "RESET_DEVICE", "hang-up", "killed" };

START_TEST(test_session_ends)
{
	struct fc_lock l = locks_want(9, F_WRLCK, 0, 0);
	char path[512];
	int fd, i;

	snprintf(path, sizeof(path), "%s", h_path("f"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	OK(locks_set_flock(2, F_WRLCK));
	OK(fc_setlkw_post(&hother, &l));
	usleep(20000);
	ck_assert_int_eq(host_sees(0), F_WRLCK);
	switch (_i) {
	case 0:
		OK(fc_init(&hc, ~0ull));
		break;
	case 1:
		OK(fc_destroy(&hc));
		break;
	case 2:
		for (i = 0; i < (int)QUEUES; i++)
			OK(vmm_queue_enable(&hv->queue[i], false));
		OK(vmm_msg_set(hv, VU_RESET_DEVICE, NULL, 0, NULL, 0));
		break;
	case 3:
		vmm_hangup(hv);
		break;
	default:
		vmm_kill_group(hv, SIGKILL);
	}
	if (_i < 2)
		FAILS(ENOTCONN, fc_setlkw_collect(&hother));
	for (i = 0; i < 2000 && (host_sees(0) != F_UNLCK || flock(fd, LOCK_EX | LOCK_NB) != 0); i++)
		usleep(1000);
	ck_assert_msg(i < 2000, "%s: still locked", session_ends[_i]);
	close(fd);
	if (_i >= 3) {
		struct vmm_end e;

		OK(vmm_wait_end(hv, &e));
		h_abandon();
	}
}
END_TEST

/* While one waits, everything else goes on, on his queue as well. */
START_TEST(test_wait)
{
	const bool flocks = (_i & 1) != 0, by_host = (_i & 2) != 0;
	struct fc_lock l = flocks ? locks_want_flock(2, F_WRLCK) : locks_want(2, F_WRLCK, 5, 20);
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	struct fuse_client same = third;
	int fd = open(h_path("f"), O_RDWR | O_CLOEXEC);

	if (by_host)
		OK(flocks ? flock(fd, LOCK_EX) : fcntl(fd, F_OFD_SETLK, &f));
	else
		OK(flocks ? locks_set_flock(1, F_WRLCK) : locks_setlk(1, F_WRLCK, 0, 9));
	OK(fc_setlkw_post(&hother, &l));
	for (int i = 0; i < 20; i++) {
		ck_assert(h_serves(&hc) && h_serves(&third));
		ck_assert(!vmm_queue_has_used(hother.q));
		usleep(1000);
	}
	/* Another client of the queue on which one waits. */
	OK(fc_open(&same, hv, hother.q->index));
	ck_assert(h_serves(&same));
	if (by_host)
		OK(flocks ? flock(fd, LOCK_UN) : close(fd));
	else
		OK(flocks ? locks_set_flock(1, F_UNLCK) : locks_setlk(1, F_UNLCK, 0, 9));
	OK(fc_setlkw_collect(&hother));
	if (flocks)
		FAILS(EAGAIN, locks_set_flock(3, F_RDLCK));
	else
		FAILS(EAGAIN, locks_setlk(3, F_RDLCK, 20, 20));
	/* And one who need not wait does not. */
	l.owner = flocks ? 2 : 4;
	l.start = l.end = flocks ? 0 : 100;
	OK(fc_setlkw_post(&hother, &l));
	OK(fc_setlkw_collect(&hother));
	if (!by_host || flocks)
		close(fd);
}
END_TEST

START_TEST(test_interrupt)
{
	struct fc_lock l = locks_want(2, F_WRLCK, 5, 20);
	uint64_t unique;

	OK(locks_setlk(1, F_WRLCK, 0, 9));
	for (int i = 0; i < 20; i++) {
		unique = hother.unique;
		OK(fc_setlkw_post(&hother, &l));
		if (i % 2 == 0)
			usleep((unsigned int)i * 100);
		OK(fc_interrupt(&hiprio, unique + 1000));
		ck_assert(!vmm_queue_has_used(hother.q));
		/* It may come before the request has begun to wait: Linux would send it again. */
		while (!vmm_queue_has_used(hother.q)) {
			OK(fc_interrupt(&hiprio, unique));
			usleep(500);
		}
		FAILS(EINTR, fc_setlkw_collect(&hother));
	}
	/* It has got nothing. */
	OK(locks_setlk(1, F_UNLCK, 0, 9));
	ck_assert_int_eq(host_sees(10), F_UNLCK);
	OK(fc_interrupt(&hiprio, unique));
	ck_assert(h_serves(&hc));
}
END_TEST

/* Closed while it waits (no kernel does that). */
START_TEST(test_release_while_waiting)
{
	struct fc_lock l = locks_want(2, F_WRLCK, 5, 20);
	struct fuse_open_out mine;

	OK(fc_open_file(&hc, node, O_RDWR, &mine));
	l.fh = mine.fh;
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	OK(fc_setlkw_post(&hother, &l));
	usleep(10000);
	ck_assert(!vmm_queue_has_used(hother.q));
	OK(fc_release(&hc, node, mine.fh));
	FAILS(EBADF, fc_setlkw_collect(&hother));
	OK(locks_setlk(1, F_UNLCK, 0, 9));
	ck_assert_int_eq(host_sees(10), F_UNLCK);
}
END_TEST

/*
 * More than the ring can bear: the rest of it stays free for what ends the wait. And they all get it in the end, one
 * after the other, more of them than there are threads.
 */
START_TEST(test_many_waits)
{
	enum { WAITING = 32 }; /* a quarter of 128 */
	struct fuse_client w[WAITING + 8];
	struct vmm_opts opts = { .no_indirect = _i == 1 };
	unsigned int i, left;
	struct fc_lock l;

	h_stop();
	locks_start(&opts);
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	for (i = 0; i < NELEM(w); i++) {
		OK(fc_open(&w[i], hv, 4));
		l = locks_want(100 + i, F_WRLCK, 0, 9);
		OK(fc_setlkw_post(&w[i], &l));
		if (i == WAITING - 1)
			usleep(100000);
		if (i < WAITING)
			ck_assert(!vmm_queue_has_used(w[i].q));
		else
			FAILS(ENOLCK, fc_setlkw_collect(&w[i]));
	}
	OK(fc_open(&third, hv, 4));
	for (i = 0; i < 100; i++)
		ck_assert(h_serves(&third));
	OK(locks_setlk(1, F_UNLCK, 0, 9));
	for (left = WAITING; left > 0; left--) {
		uint32_t id, len;

		OK(vmm_queue_wait(w[0].q, 5000, &id, &len));
		for (i = 0; i < WAITING && (uint32_t)w[i].posted != id; i++)
			;
		ck_assert_uint_lt(i, WAITING);
		w[i].posted = -1;
		ck_assert_uint_eq(len, sizeof(struct fuse_out_header));
		ck_assert_int_eq(((const struct fuse_out_header *)(const void *)w[i].rep)->error, 0);
		/* Only he has it. */
		FAILS(EAGAIN, locks_setlk(1, F_WRLCK, 0, 9));
		OK(locks_setlk(100 + i, F_UNLCK, 0, 9));
	}
	OK(locks_setlk(1, F_WRLCK, 0, 9));
}
END_TEST

static void
stop_queue(struct vmm_queue *q, uint32_t *base)
{
	OK(vmm_queue_enable(q, false));
	OK(vmm_msg_get_base(hv, q->index, base));
}

/*
 * The VMM is paused: its rings stop, though one waits. What he waits for may come meanwhile or later; he hears of it when
 * the ring runs again, if it is the same ring.
 */
static const struct {
	const char *title;
	bool granted_meanwhile, memory, anew;
} pauses[] = {
	{ "granted afterwards", false, false, false },
	{ "granted meanwhile", true, false, false },
	{ "granted afterwards, memory moved", false, true, false },
	{ "granted meanwhile, memory moved", true, true, false },
	{ "the ring begins anew", false, false, true },
	{ "granted meanwhile, the ring begins anew", true, false, true },
};

START_TEST(test_pause)
{
	struct fc_lock l = locks_want(2, F_WRLCK, 5, 20);
	uint32_t base[QUEUES];
	unsigned int i;

	OK(locks_setlk(1, F_WRLCK, 0, 9));
	OK(fc_setlkw_post(&hother, &l));
	usleep(10000);
	ck_assert(!vmm_queue_has_used(hother.q));
	for (i = 0; i < QUEUES; i++)
		if (i != hc.q->index)
			stop_queue(&hv->queue[i], &base[i]);
	if (pauses[_i].granted_meanwhile) {
		OK(locks_setlk(1, F_UNLCK, 0, 9));
		usleep(20000);
		ck_assert_int_eq(host_sees(10), F_WRLCK);
	}
	ck_assert(!vmm_queue_has_used(hother.q));
	if (pauses[_i].memory) {
		stop_queue(hc.q, &base[hc.q->index]);
		for (i = 0; i < hv->nr_regions; i++) {
			OK(vmm_rem_region(hv, i));
			OK(vmm_add_region(hv, i));
		}
		OK(vmm_queue_setup(hc.q, base[hc.q->index]));
		OK(vmm_queue_enable(hc.q, true));
	}
	for (i = 0; i < QUEUES; i++) {
		if (i == hc.q->index)
			continue;
		if (pauses[_i].anew) {
			vmm_queue_clear(&hv->queue[i]);
			base[i] = 0;
		}
		OK(vmm_queue_setup(&hv->queue[i], base[i]));
		OK(vmm_queue_enable(&hv->queue[i], true));
	}
	if (!pauses[_i].granted_meanwhile)
		OK(locks_setlk(1, F_UNLCK, 0, 9));
	if (pauses[_i].anew) {
		/* Nobody is there whom it could be told, and nobody could unlock it. */
		usleep(20000);
		ck_assert(!vmm_queue_has_used(hother.q));
		ck_assert(h_serves(&hother));
		if (!pauses[_i].granted_meanwhile)
			ck_assert_int_eq(host_sees(10), F_UNLCK);
	} else {
		OK(fc_setlkw_collect(&hother));
		ck_assert_int_eq(host_sees(10), F_WRLCK);
		FAILS(EAGAIN, locks_setlk(1, F_RDLCK, 20, 20));
	}
	ck_assert(h_serves(&hother) && h_serves(&hc));
	OK(fc_init(&hc, ~0ull));
	ck_assert_int_eq(host_sees(10), F_UNLCK);
}
END_TEST

/* Open files for locks are bounded, and so is what the kernel keeps of ranges. */
START_TEST(test_limits)
{
	uint64_t i;
	int err = 0;

	for (i = 0; i < 10000 && err == 0; i++)
		err = locks_setlk(1000 + i, F_RDLCK, 0, 0);
	printf("locks: %llu owners, then %d\n", (unsigned long long)i - 1, err);
	ck_assert_int_eq(err, -ENOLCK);
	ck_assert_uint_ge(i, 1000);
	ck_assert_uint_le(i, 4097);
	ck_assert(h_serves(&hc));
	/* Files can still be opened and read. */
	h_put("g", "data", 4);
	OK(fc_open_file(&hc, h_node("g"), O_RDONLY, &o));
	OK(fc_init(&hc, ~0ull));
	ck_assert_int_eq(host_sees(0), F_UNLCK);
	node = h_node("f");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	err = 0;
	for (i = 0; i < 200000 && err == 0; i++)
		err = locks_setlk(1, F_WRLCK, 2 * i, 2 * i);
	printf("locks: %llu ranges, then %d\n", (unsigned long long)i - 1, err);
	ck_assert_int_eq(err, -ENOLCK);
	OK(locks_setlk(1, F_UNLCK, 0, TO_END));
	OK(locks_setlk(1, F_WRLCK, 0, TO_END));
	OK(locks_setlk(1, F_UNLCK, 0, TO_END));
}
END_TEST

/* Files that the worker reads and writes: set-user-ID ones. */
START_TEST(test_setid)
{
	struct fuse_file_lock lk;
	struct fc_lock l;

	h_put("s", "data", 4);
	OK(chmod(h_path("s"), 04755));
	node = h_node("s");
	OK(fc_open_file(&hc, node, O_RDWR, &o));
	l = locks_want(1, F_WRLCK, 0, 9);
	OK(fc_getlk(&hc, &l, &lk));
	ck_assert_uint_eq(lk.type, F_UNLCK);
	OK(locks_setlk(1, F_WRLCK, 0, 9));
	FAILS(EAGAIN, locks_setlk(2, F_RDLCK, 0, 0));
	l.owner = 3;
	OK(fc_getlk(&hc, &l, &lk));
	ck_assert(lk.type == F_WRLCK && lk.pid == hc.pid);
	ck_assert_uint_eq(h_stat("s").st_mode & 07777, 04755);
}
END_TEST

/* Each option stands for its own. */
static const struct {
	const char *arg;
	int posix, flock;
} alone[] = { { "--posix-lock", 0, -ENOSYS }, { "--flock", -ENOSYS, 0 }, { "--no-readdirplus", -ENOSYS, -ENOSYS } };

START_TEST(test_options)
{
	const char *const one[] = { alone[_i].arg, NULL };
	struct vmm_opts opts = { .args = one };

	h_stop();
	locks_start(&opts);
	ck_assert_int_eq((hc.init_flags & FUSE_POSIX_LOCKS) != 0, alone[_i].posix == 0);
	ck_assert_int_eq((hc.init_flags & FUSE_FLOCK_LOCKS) != 0, alone[_i].flock == 0);
	ck_assert_int_eq(locks_setlk(1, F_WRLCK, 0, 9), alone[_i].posix);
	ck_assert_int_eq(locks_set_flock(2, F_WRLCK), alone[_i].flock);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("locks");
	TCase *t = tcase_create("waits");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_loop_test(t, test_wait, 0, 4);
	tcase_add_test(t, test_interrupt);
	tcase_add_test(t, test_release_while_waiting);
	suite_add_tcase(s, t);
	t = tcase_create("one");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, h_stop);
	tcase_add_test(t, test_owners);
	tcase_add_test(t, test_host);
	tcase_add_test(t, test_ends);
	tcase_add_loop_test(t, test_session_ends, 0, NELEM(session_ends));
	tcase_add_loop_test(t, test_many_waits, 0, 2);
	tcase_add_loop_test(t, test_pause, 0, NELEM(pauses));
	tcase_add_test(t, test_limits);
	tcase_add_test(t, test_setid);
	tcase_add_loop_test(t, test_options, 0, NELEM(alone));
	suite_add_tcase(s, t);
	suite_add_tcase(s, check_locks_two());
	return h_main(s, 300);
}
