/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_init - INIT: what is granted of what is offered (spec/fuse.md section 2), under every option that has a
 * say in it.
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <string.h>

#define EXT (1ull << 30)
#define ALL (~0ull)
#define DEFAULT 0x1044844f829ull	/* flags2 << 32 | flags */
#define READDIRPLUS 0x6000ull
#define SUBMOUNTS (1ull << 27)
#define ACL ((uint64_t)(FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT))

struct init_row {
	const char *name;
	const char *options;
	uint64_t offered;
	int error;
	uint64_t granted;
	const char *log;	/* what the daemon says, or NULL */
};

static const struct init_row rows[] = {
	{ "everything offered", "", ALL, 0, DEFAULT, NULL },
	{ "nothing offered", "", 0, 0, 0, "none is announced" },
	{ "no INIT_EXT: no second word", "", ALL & ~EXT, 0, DEFAULT & 0xbfffffff, NULL },
	{ "INIT_EXT alone", "", EXT, 0, EXT, NULL },
	{ "SUBMOUNTS even unannounced", "--no-announce-submounts", ALL, 0, DEFAULT, NULL },
	{ "SUBMOUNTS not offered", "--announce-submounts", ALL & ~SUBMOUNTS, 0, DEFAULT & ~SUBMOUNTS,
	    "none is announced" },
	{ "cache always", "--cache=always", ALL, 0, DEFAULT, NULL },
	{ "cache metadata", "--cache=metadata", ALL, 0, DEFAULT, NULL },
	{ "cache never: no READDIRPLUS", "--cache=never", ALL, 0, DEFAULT & ~READDIRPLUS, NULL },
	{ "no-readdirplus", "--no-readdirplus", ALL, 0, DEFAULT & ~READDIRPLUS, NULL },
	{ "writeback", "--writeback", ALL, 0, DEFAULT | 1 << 16, NULL },
	{ "writeback not offered", "--writeback", ALL & ~(1ull << 16), 0, DEFAULT, NULL },
	{ "killpriv-v2", "--killpriv-v2", ALL, 0, DEFAULT | 1 << 28, NULL },
	{ "killpriv-v2 not offered", "--killpriv-v2", ALL & ~(1ull << 28), 0, DEFAULT,
	    "--killpriv-v2: the guest does not offer it" },
	{ "no-killpriv-v2", "--killpriv-v2 --no-killpriv-v2", ALL, 0, DEFAULT, NULL },
	{ "allow-mmap", "--allow-mmap", ALL, 0, DEFAULT | 1ull << 36, NULL },
	{ "allow-mmap without INIT_EXT", "--allow-mmap", ALL & ~EXT, 0, DEFAULT & 0xbfffffff, NULL },
	{ "readonly changes nothing", "--readonly", ALL, 0, DEFAULT, NULL },
	{ "allow-direct-io changes nothing", "--allow-direct-io", ALL, 0, DEFAULT, NULL },
	{ "preserve-noatime changes nothing", "--preserve-noatime", ALL, 0, DEFAULT, NULL },
	{ "xattr changes nothing", "--xattr", ALL, 0, DEFAULT, NULL },
	{ "posix-acl", "--posix-acl", ALL, 0, DEFAULT | ACL, NULL },
	{ "posix-acl=always", "--posix-acl=always", ALL, 0, DEFAULT | ACL, NULL },
	{ "posix-acl=auto", "--posix-acl=auto", ALL, 0, DEFAULT | ACL, NULL },
	{ "posix-acl=never", "--posix-acl=never", ALL, 0, DEFAULT, NULL },
	{ "posix-acl, POSIX_ACL not offered", "--posix-acl", ALL & ~FUSE_POSIX_ACL, -EPROTO, 0, "--posix-acl" },
	{ "posix-acl, DONT_MASK not offered", "--posix-acl", ALL & ~FUSE_DONT_MASK, -EPROTO, 0, "--posix-acl" },
	{ "posix-acl, SETXATTR_EXT not offered", "--posix-acl", ALL & ~FUSE_SETXATTR_EXT, -EPROTO, 0,
	    "--posix-acl" },
	{ "posix-acl=auto, POSIX_ACL not offered", "--posix-acl=auto", ALL & ~FUSE_POSIX_ACL, 0, DEFAULT,
	    "--posix-acl" },
	{ "posix-acl=auto, DONT_MASK not offered", "--posix-acl=auto", ALL & ~FUSE_DONT_MASK, 0, DEFAULT,
	    "--posix-acl" },
	{ "posix-acl=auto, SETXATTR_EXT not offered", "--posix-acl=auto", ALL & ~FUSE_SETXATTR_EXT, 0,
	    DEFAULT, "--posix-acl" },
	{ "security-label", "--security-label", ALL, 0, DEFAULT | 1ull << 32, NULL },
	{ "security-label=always", "--security-label=always", ALL, 0, DEFAULT | 1ull << 32, NULL },
	{ "security-label=auto", "--security-label=auto", ALL, 0, DEFAULT | 1ull << 32, NULL },
	{ "security-label=never", "--security-label=never", ALL, 0, DEFAULT, NULL },
	{ "security-label not offered", "--security-label", ALL & ~(1ull << 32), -EPROTO, 0,
	    "--security-label" },
	{ "security-label without INIT_EXT", "--security-label", ALL & ~EXT, -EPROTO, 0,
	    "--security-label" },
	{ "security-label=auto, not offered", "--security-label=auto", ALL & ~(1ull << 32), 0, DEFAULT,
	    "--security-label" },
	{ "security-label=auto without INIT_EXT", "--security-label=auto", ALL & ~EXT, 0,
	    DEFAULT & 0xbfffffff, "--security-label" },
	{ "posix-acl and security-label", "--posix-acl --security-label", ALL, 0,
	    DEFAULT | ACL | 1ull << 32, NULL },
	{ "several", "--cache=never --writeback --allow-mmap --killpriv-v2", ALL, 0,
	    (DEFAULT & ~READDIRPLUS) | 1 << 16 | 1ull << 36 | 1 << 28, NULL },
};

static int
init(uint32_t major, uint32_t minor, uint64_t offered)
{
	struct fuse_init_in in = {
		.major = major, .minor = minor, .max_readahead = 131072,
		.flags = (uint32_t)offered, .flags2 = (uint32_t)(offered >> 32),
	};
	struct fc_part part = { &in, sizeof(in) };
	int err;

	err = fc_call(&hc, FUSE_INIT, 0, &part, 1, sizeof(hc.init));
	if (err == 0) {
		SF_EQ(hc.body_len, sizeof(hc.init));
		memcpy(&hc.init, hc.body, sizeof(hc.init));
	}
	return err;
}

static void
expect_body(uint64_t granted)
{
	struct fuse_init_out want = {
		.major = 7, .minor = 38, .max_readahead = 131072, .flags = (uint32_t)granted,
		.max_background = 65535, .congestion_threshold = 49149, .max_write = 1 << 20,
		.time_gran = 1, .max_pages = 256, .flags2 = (uint32_t)(granted >> 32),
	};

	SF_EQ(hc.init.flags, want.flags);
	SF_EQ(hc.init.flags2, want.flags2);
	SF_OK(memcmp(&hc.init, &want, sizeof(want)));
}

static bool
has_logged(void *text)
{
	return vmm_log_has(hv, text);
}

START_TEST(test_row)
{
	const struct init_row *r = &rows[_i];

	sf_begin(r->name, r->options, SF_DIR, FUSE_INIT);
	SF_EQ(init(7, 38, r->offered), r->error);
	if (r->error == 0)
		expect_body(r->granted);
	else
		FAILS(EBADF, fc_getattr(&hc, FC_ROOT, NULL));
	if (r->log != NULL)
		ck_assert_msg(h_eventually(has_logged, (void *)(uintptr_t)r->log, 2000),
		    "row '%s': not said: %s", r->name, r->log);
	/* The next row finds a session. */
	SF_OK(fc_init(&hc, ALL));
	sf_end();
}
END_TEST

/* Each flag offered by itself (those of the second word need INIT_EXT): granted if it always is, else not. */
START_TEST(test_flag)
{
	uint64_t flag = 1ull << _i, offered = _i < 32 ? flag : flag | EXT;
	char name[32];

	snprintf(name, sizeof(name), "flag %d alone", _i);
	sf_begin(name, "", SF_DIR, FUSE_INIT);
	SF_OK(init(7, 38, offered));
	expect_body(offered & DEFAULT);
	SF_OK(fc_init(&hc, ALL));
	sf_end();
}
END_TEST

static const struct {
	const char *name;
	uint32_t major, minor;
	int error;
	bool version_only;
} versions[] = {
	{ "major 6", 6, 99, -EPROTO, false }, { "major 0", 0, 0, -EPROTO, false },
	{ "minor 26", 7, 26, -EPROTO, false }, { "minor 27", 7, 27, 0, false },
	{ "minor 99", 7, 99, 0, false }, { "P12: major 8", 8, 0, 0, true },
	{ "P12: major -1", ~0u, 0, 0, true },
};

START_TEST(test_version)
{
	static const struct fuse_init_out only = { .major = 7, .minor = 38 };
	uint64_t node;

	sf_begin(versions[_i].name, "", SF_DIR, FUSE_INIT);
	sf_put("f", "x", 0, 0, 0644);
	node = sf_node("f");
	SF_EQ(init(versions[_i].major, versions[_i].minor, ALL), versions[_i].error);
	if (versions[_i].version_only)
		SF_OK(memcmp(&hc.init, &only, sizeof(only)));
	else if (versions[_i].error == 0)
		expect_body(DEFAULT);
	/* Only an INIT that is served wipes the session. */
	if (versions[_i].version_only || versions[_i].error != 0)
		SF_OK(fc_getattr(&hc, node, NULL));
	else
		FAILS(EBADF, fc_getattr(&hc, node, NULL));
	SF_OK(fc_init(&hc, ALL));
	sf_end();
}
END_TEST

TCase *
check_surface_init(void)
{
	TCase *t = tcase_create("init");

	SF_TCASE(t, test_row, rows);
	tcase_add_loop_test(t, test_flag, 0, 64);
	SF_TCASE(t, test_version, versions);
	return t;
}
