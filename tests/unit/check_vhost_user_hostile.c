/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of front/vhost_user*.c: what a VMM may not do, each message in every wrong shape. Links the same as
 * check_vhost_user.c.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "tests/unit/vhost_user_peer.h"

static const struct {
	uint32_t nr, smin, smax;
	unsigned fmin, fmax;
	uint64_t needs;
	enum vu_answer answer;
	const char *name;
} rows[] = {
#define X(NAME, handler, nr, ...) { nr, __VA_ARGS__, #NAME },
	VU_MESSAGES(X)
#undef X
};

/* A good instance of message nr for a session after peer_ready(). */
static void
good(uint32_t nr, union vu_payload *p, uint32_t *size, unsigned *nfds)
{
	memset(p, 0, sizeof(*p));
	*nfds = 0;
	*size = 0;
	for (unsigned i = 0; i < countof(rows); i++) {
		if (rows[i].nr == nr) {
			*size = rows[i].smin;
			*nfds = rows[i].fmax > 0;
		}
	}
	if (nr == VU_SET_VRING_NUM)
		p->state.num = 64;
	if (nr == VU_SET_VRING_ADDR)
		p->addr = (struct vu_vring_addr){ .desc = UADDR, .avail = UADDR + 2, .used = UADDR + 4 };
	if (nr == VU_SET_MEM_TABLE)
		p->mem = (struct vu_mem_table){ 1, 0, { { GPA, MEMSIZE, UADDR, 0 } } };
	if (nr == VU_ADD_MEM_REG)
		p->reg.region = (struct vu_region){ GPA + MEMSIZE, MEMSIZE, UADDR + MEMSIZE, MEMSIZE };
	if (nr == VU_REM_MEM_REG)
		p->reg.region = (struct vu_region){ GPA, MEMSIZE, UADDR, 0 };
	if (nr == VU_GET_CONFIG || nr == VU_SET_CONFIG)
		p->config.size = 1;
	if (nr == VU_SET_PROTOCOL_FEATURES)
		p->u64 = PEER_PROTO;
}

/* Send it to a fresh session. */
static bool
survives(uint32_t nr, uint32_t flags, const union vu_payload *p, uint32_t size, unsigned nfds)
{
	int pipes[2], fds[64];
	uint8_t buf[sizeof(*p)];
	bool ok;

	peer_setup();
	peer_ready();
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	for (unsigned i = 0; i < countof(fds); i++)
		fds[i] = nr == VU_SET_MEM_TABLE || nr == VU_ADD_MEM_REG ? memfd : pipes[0];
	peer_send(nr, flags, p, size, fds, nfds);
	for (unsigned i = 0; i < countof(rows); i++)
		if (rows[i].nr == nr && (rows[i].answer == VU_ANSWER_REPLY || flags == (VU_VERSION | VU_F_NEED_REPLY)))
			(void)peer_receive(nr, buf, sizeof(buf));
	ok = peer_alive();
	fd_close_all(pipes, 2);
	ck_assert_int_eq(peer_finish(), ok ? VHOST_EOF : VHOST_BAD);
	return ok;
}

START_TEST(lengths)
{
	union {
		union vu_payload p;
		uint8_t	room[VU_PAYLOAD_MAX + 64];
	} u = { .room = { 0 } };
	uint32_t size;
	unsigned nfds;

	good(rows[_i].nr, &u.p, &size, &nfds);
	for (uint32_t n = 0; n <= size + 8; n++) {
		bool want = rows[_i].nr == VU_SET_MEM_TABLE ? n >= size : n == size;

		ck_assert_msg(survives(rows[_i].nr, VU_VERSION, &u.p, n, nfds) == want, "%s with %u bytes", rows[_i].name, n);
	}
	ck_assert(!survives(rows[_i].nr, VU_VERSION, &u.p, VU_PAYLOAD_MAX + 1, nfds));
	ck_assert(!survives(rows[_i].nr, VU_VERSION, &u.p, VU_PAYLOAD_MAX + 64, nfds));
}
END_TEST

START_TEST(fd_counts)
{
	const unsigned counts[] = { 0, 1, 2, 3, 31, 32, 33, 34, 64 };
	union vu_payload p;
	uint32_t size;
	unsigned nfds;

	good(rows[_i].nr, &p, &size, &nfds);
	for (unsigned i = 0; i < countof(counts); i++) {
		bool want = counts[i] == nfds || (rows[_i].nr == VU_REM_MEM_REG && counts[i] == 0);

		ck_assert_msg(survives(rows[_i].nr, VU_VERSION, &p, size, counts[i]) == want, "%s with %u fds",
		    rows[_i].name, counts[i]);
	}
}
END_TEST

START_TEST(header_flags)
{
	union vu_payload p = { .u64 = 0 };

	for (unsigned bit = 0; bit < 32; bit++)
		ck_assert_msg(survives(VU_RESET_OWNER, VU_VERSION ^ (1u << bit), &p, 0, 0) == (bit == 3), "bit %u", bit);
	ck_assert(!survives(VU_RESET_OWNER, 0, &p, 0, 0));
	ck_assert(!survives(VU_RESET_OWNER, 3, &p, 0, 0));
}
END_TEST

START_TEST(unknown_requests)
{
	union vu_payload p = { .u64 = 0 };
	const uint32_t more[] = { 100, 65535, 65536, 0x80000001, UINT32_MAX };

	for (uint32_t nr = 0; nr < 70; nr++) {
		bool known = false;

		for (unsigned i = 0; i < countof(rows); i++)
			known = known || rows[i].nr == nr;
		if (!known)
			for (uint32_t size = 0; size <= 16; size += 8)
				ck_assert_msg(!survives(nr, VU_VERSION, &p, size, 0), "request %u", nr);
	}
	for (unsigned i = 0; i < countof(more); i++)
		ck_assert(!survives(more[i], VU_VERSION, &p, 0, 0));
}
END_TEST

/* Messages that belong to a protocol feature end the session without it. */
START_TEST(needs)
{
	union vu_payload p;
	uint32_t size;
	unsigned nfds;
	int tried = 0;

	for (unsigned i = 0; i < countof(rows); i++) {
		if (rows[i].needs == 0)
			continue;
		good(rows[i].nr, &p, &size, &nfds);
		peer_setup();
		peer_features(PEER_FEATURES, PEER_PROTO & ~rows[i].needs);
		peer_send(rows[i].nr, VU_VERSION, &p, size, &memfd, nfds);
		ck_assert_msg(!peer_alive(), "%s", rows[i].name);
		ck_assert_int_eq(peer_finish(), VHOST_BAD);
		tried++;
	}
	ck_assert_int_gt(tried, 0);
}
END_TEST

/* The connection ends after k bytes of a message. */
START_TEST(cut)
{
	struct {
		struct vu_hdr h;
		struct vu_one_region r;
	} __attribute__((packed)) msg = {
		{ VU_ADD_MEM_REG, VU_VERSION | VU_F_NEED_REPLY, sizeof(msg.r) }, { 0, { GPA, MEMSIZE, UADDR, 0 } }
	};

	for (size_t k = 0; k < sizeof(msg); k++) {
		peer_setup();
		peer_features(PEER_FEATURES, PEER_PROTO);
		if (k > 0)
			peer_send_raw(&msg, k, &memfd, 1);
		ck_assert_int_eq(peer_finish(), k == 0 ? VHOST_EOF : VHOST_BAD);
		ck_assert_uint_eq(dev.memory.nregions, 0);
	}
}
END_TEST

/* The same where no fds belong to it. */
START_TEST(cut_without_fds)
{
	struct {
		struct vu_hdr h;
		uint64_t v;
	} __attribute__((packed)) msg = { { VU_SET_FEATURES, VU_VERSION, 8 }, 0 };

	for (size_t k = 0; k < sizeof(msg); k++) {
		peer_setup();
		if (k > 0)
			peer_send_raw(&msg, k, NULL, 0);
		ck_assert_int_eq(peer_finish(), k == 0 ? VHOST_EOF : VHOST_BAD);
	}
}
END_TEST

/* More regions than there are bytes: what the message before left behind them is not one. */
START_TEST(table_of_old_bytes)
{
	struct vu_mem_table t = { 2, 0, { { GPA, 4096, UADDR, 0 }, { GPA + 4096, 4096, UADDR + 4096, 4096 } } };
	const int fds[2] = { memfd, memfd };

	peer_ready();
	ck_assert_int_eq(peer_ack(VU_SET_MEM_TABLE, &t, 72, fds, 2), 0);
	ck_assert_uint_eq(dev.memory.nregions, 2);
	ck_assert_int_eq(peer_ack(VU_SET_MEM_TABLE, &t, 71, fds, 2), -1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* One region that cannot be is enough, wherever it stands. */
START_TEST(table_half_bad)
{
	struct vu_mem_table t = { 2, 0, { { GPA, 4096, UADDR, 0 }, { GPA + 4096, 4096, UADDR + 4096, 4096 } } };
	const int fds[2] = { memfd, memfd };

	peer_ready();
	t.region[_i].offset = 2 * MEMSIZE;
	ck_assert_int_eq(peer_ack(VU_SET_MEM_TABLE, &t, 72, fds, 2), 1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* fds that come with the payload belong to nobody. */
START_TEST(late_fds)
{
	const struct vu_hdr h = { VU_SET_FEATURES, VU_VERSION, 8 };
	const uint64_t v = 0;

	peer_setup();
	peer_send_raw(&h, sizeof(h), NULL, 0);
	peer_send_raw(&v, sizeof(v), &memfd, 1);
	ck_assert(!peer_alive());
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* 32 regions are as many as may be; a 33rd fd is seen, though there is no place for it in a message. */
START_TEST(fds_max)
{
	struct vu_mem_table t = { .num = VU_REGIONS_MAX };
	int fds[VU_REGIONS_MAX + 1];

	for (unsigned i = 0; i < VU_REGIONS_MAX; i++)
		t.region[i] = (struct vu_region){ GPA + i * 4096, 4096, UADDR + i * 4096, i * 4096 };
	peer_ready();
	for (unsigned i = 0; i < countof(fds); i++)
		fds[i] = memfd;
	ck_assert_int_eq(peer_ack(VU_SET_MEM_TABLE, &t, sizeof(t), fds, VU_REGIONS_MAX), 0);
	ck_assert_uint_eq(dev.memory.nregions, VU_REGIONS_MAX);
	ck_assert_int_eq(peer_ack(VU_SET_MEM_TABLE, &t, sizeof(t), fds, VU_REGIONS_MAX + 1), -1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* Well-formed but wrong. want: 1 = acknowledged as failed, -1 = closed without a word. */
#define STATE(i, n)		{ .state = { (i), (n) } }
#define ADDR(i, f, d, a, u)	{ .addr = { .index = (i), .flags = (f), .desc = (d), .avail = (a), .used = (u) } }
#define REG(g, s, u, o)		{ .reg = { 0, { (g), (s), (u), (o) } } }
#define TABLE(n, p, g, s, u, o)	{ .mem = { (n), (p), { { (g), (s), (u), (o) } } } }
#define CONFIG(o, s, f)		{ .config = { .offset = (o), .size = (s), .flags = (f) } }
static const struct {
	const char *why;
	uint32_t nr;
	int want;
	union vu_payload p;
	uint32_t size;			/* 0 = the row's least */
	int fd;				/* 0 none, 1 memfd (a regular file), 2 pipe, 3 O_PATH, 4 a directory */
} wrong[] = {
	{ "feature not offered", VU_SET_FEATURES, 1, { .u64 = UINT64_C(1) << 26 }, 0, 0 },
	{ "feature not offered", VU_SET_FEATURES, 1, { .u64 = PEER_FEATURES | 1 }, 0, 0 },
	{ "num 0", VU_SET_VRING_NUM, 1, STATE(0, 0), 0, 0 },
	{ "num too large", VU_SET_VRING_NUM, 1, STATE(0, 65536), 0, 0 },
	{ "num index", VU_SET_VRING_NUM, 1, STATE(NQUEUES, 16), 0, 0 },
	{ "num index", VU_SET_VRING_NUM, 1, STATE(UINT32_MAX, 16), 0, 0 },
	{ "base index", VU_SET_VRING_BASE, 1, STATE(NQUEUES, 0), 0, 0 },
	{ "base too large", VU_SET_VRING_BASE, 1, STATE(0, 65536), 0, 0 },
	{ "get base index", VU_GET_VRING_BASE, -1, STATE(NQUEUES, 0), 0, 0 },
	{ "enable index", VU_SET_VRING_ENABLE, 1, STATE(NQUEUES, 1), 0, 0 },
	{ "enable 2", VU_SET_VRING_ENABLE, -1, STATE(0, 2), 0, 0 },
	{ "addr index", VU_SET_VRING_ADDR, 1, ADDR(NQUEUES, 0, UADDR, UADDR, UADDR), 0, 0 },
	{ "addr flags", VU_SET_VRING_ADDR, -1, ADDR(0, 2, UADDR, UADDR, UADDR), 0, 0 },
	{ "desc unaligned", VU_SET_VRING_ADDR, -1, ADDR(0, 0, UADDR + 8, UADDR, UADDR), 0, 0 },
	{ "avail unaligned", VU_SET_VRING_ADDR, -1, ADDR(0, 0, UADDR, UADDR + 1, UADDR), 0, 0 },
	{ "used unaligned", VU_SET_VRING_ADDR, -1, ADDR(0, 0, UADDR, UADDR, UADDR + 2), 0, 0 },
	{ "desc outside", VU_SET_VRING_ADDR, 1, ADDR(0, 0, 0, UADDR, UADDR), 0, 0 },
	{ "avail outside", VU_SET_VRING_ADDR, 1, ADDR(0, 1, UADDR, UADDR + MEMSIZE, UADDR), 0, 0 },
	{ "used outside", VU_SET_VRING_ADDR, 1, ADDR(0, 0, UADDR, UADDR, UADDR + MEMSIZE), 0, 0 },
	{ "kick index", VU_SET_VRING_KICK, 1, { .u64 = NQUEUES }, 0, 2 },
	{ "call index", VU_SET_VRING_CALL, 1, { .u64 = 255 | VU_VRING_NOFD }, 0, 0 },
	{ "err index", VU_SET_VRING_ERR, 1, { .u64 = 200 }, 0, 2 },
	{ "kick without fd", VU_SET_VRING_KICK, -1, { .u64 = 0 }, 0, 0 },
	{ "kick with no-fd bit and fd", VU_SET_VRING_KICK, -1, { .u64 = VU_VRING_NOFD }, 0, 2 },
	{ "call without fd", VU_SET_VRING_CALL, -1, { .u64 = 0 }, 0, 0 },
	{ "kick is a file", VU_SET_VRING_KICK, 1, { .u64 = 0 }, 0, 1 },
	{ "kick is a directory", VU_SET_VRING_KICK, 1, { .u64 = 0 }, 0, 4 },
	{ "call is a file", VU_SET_VRING_CALL, 1, { .u64 = 0 }, 0, 1 },
	{ "kick is O_PATH", VU_SET_VRING_KICK, 1, { .u64 = 0 }, 0, 3 },
	{ "add: overlap", VU_ADD_MEM_REG, 1, REG(GPA + MEMSIZE - 4096, 4096, 0, 0), 0, 1 },
	{ "add: behind the end", VU_ADD_MEM_REG, 1, REG(0, 4096, 0, 2 * MEMSIZE), 0, 1 },
	{ "add: size 0", VU_ADD_MEM_REG, 1, REG(0, 0, 0, 0), 0, 1 },
	{ "add: a pipe", VU_ADD_MEM_REG, 1, REG(0, 4096, 0, 0), 0, 2 },
	{ "rem: unknown", VU_REM_MEM_REG, 1, REG(GPA, MEMSIZE - 1, UADDR, 0), 0, 0 },
	{ "table: none", VU_SET_MEM_TABLE, -1, TABLE(0, 0, 0, 4096, 0, 0), 0, 1 },
	{ "table: more than bytes", VU_SET_MEM_TABLE, -1, TABLE(2, 0, 0, 4096, 0, 0), 0, 1 },
	{ "table: more than fds", VU_SET_MEM_TABLE, -1, TABLE(2, 0, 0, 4096, 0, 0), 72, 1 },
	{ "table: far too many", VU_SET_MEM_TABLE, -1, TABLE(33, 0, 0, 4096, 0, 0), 4096, 1 },
	{ "table: huge", VU_SET_MEM_TABLE, -1, TABLE(UINT32_MAX, 0, 0, 4096, 0, 0), 4096, 1 },
	{ "table: padding", VU_SET_MEM_TABLE, -1, TABLE(1, 1, 0, 4096, 0, 0), 0, 1 },
	{ "table: beyond the file", VU_SET_MEM_TABLE, 1, TABLE(1, 0, 0, 4096, 0, 2 * MEMSIZE), 0, 1 },
	{ "table: offset not aligned", VU_SET_MEM_TABLE, 1, TABLE(1, 0, 0, 4096, 0, 1), 0, 1 },
	{ "config: size 0", VU_GET_CONFIG, -1, CONFIG(0, 0, 0), 0, 0 },
	{ "config: another size", VU_GET_CONFIG, -1, CONFIG(0, 2, 0), 0, 0 },
	{ "config: offset", VU_GET_CONFIG, -1, CONFIG(4096, 1, 0), 0, 0 },
	{ "config: offset wraps", VU_GET_CONFIG, -1, CONFIG(UINT32_MAX, 1, 0), 0, 0 },
	{ "config: flags", VU_GET_CONFIG, -1, CONFIG(0, 1, 4), 0, 0 },
	{ "set config: another size", VU_SET_CONFIG, -1, CONFIG(0, 4084, 0), 0, 0 },
	{ "owner again", VU_SET_OWNER, 1, { .u64 = 0 }, 0, 0 },
};

START_TEST(failures)
{
	int fds[5] = { -1, memfd, -1, -1, -1 }, pipes[2], want = wrong[_i].want;
	uint32_t size = wrong[_i].size;

	for (unsigned i = 0; i < countof(rows) && size == 0; i++)
		if (rows[i].nr == wrong[_i].nr)
			size = rows[i].smin;
	peer_ready();
	peer_told(VU_SET_OWNER, NULL, 0, -1);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	fds[2] = pipes[0];
	fds[3] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	fds[4] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(peer_ack(wrong[_i].nr, &wrong[_i].p, size, &fds[wrong[_i].fd], wrong[_i].fd != 0) == want, "%s", wrong[_i].why);
	ck_assert_msg(!peer_alive(), "%s", wrong[_i].why);
	fd_close_all(pipes, 2);
	fd_close_all(&fds[3], 2);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* No ENABLE where nobody negotiated it. */
START_TEST(enable_unasked)
{
	const struct vu_vring_state st = { 0, 1 };

	peer_features(PEER_FEATURES & ~VU_FEAT_PROTOCOL_FEATURES, PEER_PROTO);
	ck_assert_int_eq(peer_ack(VU_SET_VRING_ENABLE, &st, sizeof(st), NULL, 0), -1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* Nor where the owner who negotiated it is gone. */
START_TEST(enable_without_owner)
{
	const struct vu_vring_state st = { 0, 1 };

	peer_ready();
	peer_told(VU_SET_OWNER, NULL, 0, -1);
	ck_assert_int_eq(peer_ack(VU_SET_VRING_ENABLE, &st, sizeof(st), NULL, 0), 0);
	peer_told(VU_RESET_OWNER, NULL, 0, -1);
	ck_assert_int_eq(peer_ack(VU_SET_VRING_ENABLE, &st, sizeof(st), NULL, 0), -1);
	ck_assert_int_eq(peer_finish(), VHOST_BAD);
}
END_TEST

/* The monitor leaves, or speaks: between messages, inside one, while the VMM does not read. */
START_TEST(monitor_leaves)
{
	const struct vu_config c = { .size = 4000 };
	struct vu_hdr h = { VU_GET_CONFIG, VU_VERSION, VU_CONFIG_HDR + 4000 };
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	uint8_t buf[sizeof(h) + VU_CONFIG_HDR + 4000];

	peer_ready();
	if (_i == 1)
		peer_send_raw(&h, 7, NULL, 0);
	if (_i == 2) {
		memcpy(buf, &h, sizeof(h));
		memcpy(buf + sizeof(h), &c, sizeof(buf) - sizeof(h));
		/* Until neither side has room: the server is stuck in its reply. */
		while (poll(&p, 1, 300) == 1)
			(void)send(sock, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (_i == 3)
		ck_assert_int_eq(send(control[0], "x", 1, 0), 1);
	else
		fd_close(&control[0]);
	peer_join();
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

/* The VMM leaves without reading what it asked for. */
START_TEST(vmm_leaves)
{
	peer_ready();
	for (int i = 0; i < 20; i++)
		peer_send(VU_GET_FEATURES, VU_VERSION, NULL, 0, NULL, 0);
	usleep(20000);
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

/* It reads no more, and asks: that is an end like another. */
START_TEST(vmm_is_deaf)
{
	peer_ready();
	ck_assert_int_eq(shutdown(sock, SHUT_RD), 0);
	peer_send(VU_GET_FEATURES, VU_VERSION, NULL, 0, NULL, 0);
	peer_join();
	ck_assert_int_eq(peer_finish(), VHOST_EOF);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vhost_user_hostile");
	TCase *hostile = tcase_create("hostile"), *many = tcase_create("many");
	const int n = (int)countof(rows);
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(hostile, peer_setup, peer_teardown);
	tcase_add_loop_test(hostile, failures, 0, (int)countof(wrong));
	tcase_add_test(hostile, fds_max);
	tcase_add_test(hostile, enable_unasked);
	tcase_add_loop_test(hostile, monitor_leaves, 0, 4);
	tcase_add_test(hostile, enable_without_owner);
	tcase_add_test(hostile, table_of_old_bytes);
	tcase_add_loop_test(hostile, table_half_bad, 0, 2);
	tcase_add_test(hostile, vmm_leaves);
	tcase_add_test(hostile, vmm_is_deaf);
	suite_add_tcase(s, hostile);
	tcase_set_timeout(many, 60);
	tcase_add_loop_test(many, lengths, 0, n);
	tcase_add_loop_test(many, fd_counts, 0, n);
	tcase_add_test(many, header_flags);
	tcase_add_test(many, unknown_requests);
	tcase_add_test(many, needs);
	tcase_add_test(many, cut);
	tcase_add_test(many, cut_without_fds);
	tcase_add_test(many, late_fds);
	suite_add_tcase(s, many);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
