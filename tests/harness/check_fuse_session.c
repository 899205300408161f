/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_fuse_session - INIT, DESTROY, and what is refused before, after and for ever.
 *
 * Runs in: check_fuse.
 */
#include "check_fuse.h"
#include "harness.h"

#include <string.h>

#define INIT_EXT (1ull << 30)

/* Body of an INIT reply with everything zero but the version. */
struct init_case {
	const char *args[4];
	uint32_t flags;
	uint32_t flags2;
};

static const struct init_case init_cases[] = {
	{ { NULL }, 0x4844f829, 0x104 },
	{ { "--no-announce-submounts", NULL }, 0x4844f829, 0x104 },
};

static void
start_without_init(const char *const *args)
{
	struct vmm_opts opts = { .args = args, .stage = VMM_RUNNING };

	h_start_opts(&opts, false);
}

/* INIT with chosen words; returns the reply's error, the body in hc.init where there is one. */
static int
raw_init(uint32_t major, uint32_t minor, uint32_t flags, uint32_t flags2, size_t len)
{
	struct fuse_init_in in = { .major = major, .minor = minor, .max_readahead = 65536,
		.flags = flags, .flags2 = flags2 };
	struct fc_part part = { &in, len };
	int err;

	err = fc_call(&hc, FUSE_INIT, 0, &part, 1, sizeof(hc.init));
	if (err == 0) {
		ck_assert_uint_eq(hc.body_len, sizeof(hc.init));
		memcpy(&hc.init, hc.body, sizeof(hc.init));
	}
	return err;
}

START_TEST(test_init_reply)
{
	const struct init_case *c = &init_cases[_i];
	struct fuse_init_out want = {
		.major = 7, .minor = 38, .max_readahead = 131072, .flags = c->flags,
		.max_background = 65535, .congestion_threshold = 49149, .max_write = 1 << 20,
		.time_gran = 1, .max_pages = 256, .flags2 = c->flags2,
	};

	start_without_init(c->args);
	OK(fc_init(&hc, ~0ull));
	ck_assert_uint_eq(hc.init.flags, want.flags);
	ck_assert_uint_eq(hc.init.flags2, want.flags2);
	ck_assert_mem_eq(&hc.init, &want, sizeof(want));
	h_stop();
}
END_TEST

START_TEST(test_init_nothing_offered)
{
	start_without_init(NULL);
	OK(raw_init(7, 38, 0, 0, 16));
	ck_assert_uint_eq(hc.init.flags, 0);
	ck_assert_uint_eq(hc.init.flags2, 0);
	ck_assert_uint_eq(hc.init.max_write, 1 << 20);
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_init_no_ext)
{
	start_without_init(NULL);
	/* Without INIT_EXT the second word does not exist, whatever lies there. */
	OK(raw_init(7, 38, (uint32_t)~INIT_EXT, ~0u, sizeof(struct fuse_init_in)));
	ck_assert_uint_eq(hc.init.flags, 0x0844f829);
	ck_assert_uint_eq(hc.init.flags2, 0);
	h_stop();
}
END_TEST

START_TEST(test_init_newer_minor)
{
	start_without_init(NULL);
	OK(raw_init(7, 45, ~0u, ~0u, sizeof(struct fuse_init_in)));
	ck_assert_uint_eq(hc.init.minor, 38);
	ck_assert_uint_eq(hc.init.max_readahead, 65536);
	h_stop();
}
END_TEST

START_TEST(test_init_versions_refused)
{
	start_without_init(NULL);
	FAILS(EPROTO, raw_init(6, 38, 0, 0, 16));
	FAILS(EPROTO, raw_init(7, 26, 0, 0, 16));
	FAILS(EPROTO, raw_init(0, 0, 0, 0, 16));
	OK(raw_init(7, 27, 0, 0, 16));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_init_major_8)
{
	struct fuse_init_out want = { .major = 7, .minor = 38 };
	uint64_t node;

	h_start(NULL);
	h_put("f", "x", 1);
	node = h_node("f");
	OK(raw_init(8, 1, ~0u, ~0u, sizeof(struct fuse_init_in)));
	ck_assert_mem_eq(&hc.init, &want, sizeof(want));
	OK(fc_getattr(&hc, node, NULL));
	h_stop();
}
END_TEST

START_TEST(test_before_init)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_kstatfs st;

	start_without_init(NULL);
	FAILS(EBADF, fc_getattr(&hc, FC_ROOT, NULL));
	FAILS(EBADF, fc_lookup(&hc, FC_ROOT, "a", &e));
	FAILS(EBADF, fc_opendir(&hc, FC_ROOT, &o));
	FAILS(EBADF, fc_mkdir(&hc, FC_ROOT, "a", 0755, &e));
	FAILS(EBADF, fc_statfs(&hc, FC_ROOT, &st));
	OK(fc_forget(&hc, FC_ROOT, 1));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_destroy_and_init)
{
	struct fuse_open_out o;
	uint64_t node;
	char buf[8];

	h_start(NULL);
	h_put("f", "data", 4);
	node = h_node("f");
	OK(fc_open_file(&hc, node, 0, &o));
	OK(fc_destroy(&hc));
	FAILS(EBADF, fc_getattr(&hc, FC_ROOT, NULL));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	OK(fc_init(&hc, ~0ull));
	ck_assert(h_serves(&hc));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	FAILS(EBADF, fc_read(&hc, node, o.fh, 0, buf, sizeof(buf)));
	OK(fc_open_file(&hc, h_node("f"), 0, &o));
	h_stop();
}
END_TEST

START_TEST(test_init_again)
{
	uint64_t node, again;

	h_start(NULL);
	h_put("f", "data", 4);
	node = h_node("f");
	OK(fc_init(&hc, ~0ull));
	FAILS(EBADF, fc_getattr(&hc, node, NULL));
	again = h_node("f");
	ck_assert_msg(again != node, "node id %llu was given out again", (unsigned long long)node);
	h_stop();
}
END_TEST

static const uint32_t no_such_op[] = {
	0, 7, 19, FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW, FUSE_BMAP, FUSE_IOCTL, FUSE_POLL,
	FUSE_NOTIFY_REPLY, FUSE_SETUPMAPPING, FUSE_REMOVEMAPPING, 54, 4095,
	CUSE_INIT, 1048576, 436207616, 0x80000000u, 0xffffffffu,
};

START_TEST(test_no_such_op)
{
	static const char zeros[64];
	struct fc_part part = { zeros, sizeof(zeros) };

	h_start(NULL);
	for (size_t i = 0; i < sizeof(no_such_op) / sizeof(no_such_op[0]); i++) {
		int err = fc_call(&hc, no_such_op[i], FC_ROOT, &part, 1, 256);

		ck_assert_msg(err == -ENOSYS, "opcode %u: %d", no_such_op[i], err);
	}
	h_stop();
}
END_TEST

START_TEST(test_interrupt)
{
	struct fuse_interrupt_in in = { .unique = 2 };
	struct fc_part part = { &in, sizeof(in) };

	h_start(NULL);
	OK(fc_send(&hc, FUSE_INTERRUPT, 0, &part, 1));
	ck_assert(h_serves(&hc));
	h_stop();
}
END_TEST

START_TEST(test_any_queue)
{
	struct fuse_client hiprio;
	struct fuse_entry_out e;

	h_start(NULL);
	OK(fc_open(&hiprio, hv, 0));
	OK(fc_mkdir(&hiprio, FC_ROOT, "d", 0755, &e));
	OK(fc_getattr(&hc, e.nodeid, NULL));
	OK(fc_forget(&hc, e.nodeid, 1));
	FAILS(EBADF, fc_getattr(&hiprio, e.nodeid, NULL));
	ck_assert(h_serves(&hiprio) && h_serves(&hother));
	h_stop();
}
END_TEST

/* Every queue the daemon announces serves the same file system. */
START_TEST(test_all_queues)
{
	struct vmm_opts opts = { .stage = VMM_RUNNING, .queues = VMM_MAX_QUEUES };
	struct fuse_client fc;
	struct fuse_entry_out e;
	char name[16];
	unsigned int i;

	h_start_opts(&opts, true);
	for (i = 0; i < hv->nr_queues; i++) {
		OK(fc_open(&fc, hv, i));
		snprintf(name, sizeof(name), "d%u", i);
		OK(fc_mkdir(&fc, FC_ROOT, name, 0755, &e));
		OK(fc_getattr(&hc, e.nodeid, NULL));
	}
	h_stop();
}
END_TEST

static const struct {
	enum fc_layout layout;
	uint32_t piece;
	bool indirect;
} layouts[] = {
	{ FC_KERNEL, 0, false }, { FC_JOINED, 0, false }, { FC_JOINED, 0, true },
	{ FC_PIECES, 7, false }, { FC_PIECES, 16, true }, { FC_PIECES, 41, false },
	{ FC_PIECES, 4096, true },
};

START_TEST(test_layouts)
{
	static char data[70000], back[70000];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	size_t i;

	h_start(NULL);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 + i / 256);
	hc.layout = layouts[_i].layout;
	hc.piece = layouts[_i].piece;
	hc.indirect = layouts[_i].indirect;
	ck_assert(h_serves(&hc));
	OK(fc_create(&hc, FC_ROOT, "file", 2, 0644, &e, &o));
	ck_assert_int_eq(fc_write(&hc, e.nodeid, o.fh, 0, data, sizeof(data), 0), sizeof(data));
	ck_assert_int_eq((int)h_get("file", back, sizeof(back)), sizeof(back));
	ck_assert_mem_eq(data, back, sizeof(data));
	memset(back, 0, sizeof(back));
	ck_assert_int_eq(fc_read(&hc, e.nodeid, o.fh, 0, back, sizeof(back)), sizeof(back));
	ck_assert_mem_eq(data, back, sizeof(data));
	h_stop();
}
END_TEST

TCase *
check_fuse_session(void)
{
	TCase *t = tcase_create("session");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_init_reply, 0,
	    (int)(sizeof(init_cases) / sizeof(init_cases[0])));
	tcase_add_test(t, test_init_nothing_offered);
	tcase_add_test(t, test_init_no_ext);
	tcase_add_test(t, test_init_newer_minor);
	tcase_add_test(t, test_init_versions_refused);
	tcase_add_test(t, test_init_major_8);
	tcase_add_test(t, test_before_init);
	tcase_add_test(t, test_destroy_and_init);
	tcase_add_test(t, test_init_again);
	tcase_add_test(t, test_no_such_op);
	tcase_add_test(t, test_interrupt);
	tcase_add_test(t, test_any_queue);
	tcase_add_test(t, test_all_queues);
	tcase_add_loop_test(t, test_layouts, 0, (int)(sizeof(layouts) / sizeof(layouts[0])));
	return t;
}
