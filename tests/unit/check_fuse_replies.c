/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unit tests of the front's FUSE code: what each request says to the worker, and what its answers become. Links what
 * check_fuse_decode links. A lie of the worker ends the process: those tests are tagged "fork".
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "front/fuse.h"
#include "tests/unit/fuse_rig.h"

static void
check_attr(const struct fuse_attr *a, uint64_t node, uint32_t mode)
{
	ck_assert_uint_eq(a->ino, node + 100000);
	ck_assert_uint_eq(a->size, 5);
	ck_assert_uint_eq(a->blocks, 8);
	ck_assert_uint_eq(a->atime, UINT64_MAX);
	ck_assert_uint_eq(a->mtime, 2);
	ck_assert_uint_eq(a->ctime, 3);
	ck_assert_uint_eq(a->atimensec, 4);
	ck_assert_uint_eq(a->mtimensec, 5);
	ck_assert_uint_eq(a->ctimensec, 6);
	ck_assert_uint_eq(a->mode, mode);
	ck_assert_uint_eq(a->nlink, 7);
	ck_assert_uint_eq(a->uid, 8);
	ck_assert_uint_eq(a->gid, 9);
	ck_assert_uint_eq(a->rdev, 10);
	ck_assert_uint_eq(a->blksize, 11);
}

static const struct fuse_entry_out *
answer_entry(uint64_t node, uint32_t mode, uint32_t flags)
{
	const struct fuse_entry_out *o;
	struct rpc_entry_body e;

	rig_entry(&e, node, mode);
	e.flags = flags;
	ck_assert(fake_answer(&e, sizeof(e), NULL, 0, -1));
	o = rig_body(sizeof(*o));
	ck_assert_uint_eq(o->nodeid, node);
	ck_assert_uint_eq(o->generation, 0);
	ck_assert_uint_eq(o->entry_valid, 1);
	ck_assert_uint_eq(o->attr_valid, 1);
	ck_assert_uint_eq(o->entry_valid_nsec, 0);
	check_attr(&o->attr, node, mode);
	return o;
}

START_TEST(entries)
{
	const struct rpc_node *w;

	rig_ask(FUSE_LOOKUP, DIR_NODE, NULL, 0, "name", 5);
	w = rig_rpc(RPC_LOOKUP);
	ck_assert_uint_eq(w->node, DIR_NODE);
	ck_assert_uint_eq(answer_entry(30, S_IFDIR | 0700, RPC_ENTRY_SUBMOUNT)->attr.flags, FUSE_ATTR_SUBMOUNT);
	ck_assert(nodes_known(30));
	rig_ask(FUSE_LOOKUP, DIR_NODE, NULL, 0, "..", 3);
	ck_assert_uint_eq(answer_entry(NODE_ROOT, S_IFDIR | 0700, 0)->attr.flags, 0);
	/* Submounts are announced only if negotiated. */
	rig_init(FUSE_INIT_EXT);
	rig_ask(FUSE_LOOKUP, NODE_ROOT, NULL, 0, "name", 5);
	ck_assert_uint_eq(answer_entry(31, S_IFDIR | 0700, RPC_ENTRY_SUBMOUNT)->attr.flags, 0);
} END_TEST

START_TEST(making)
{
	const struct fuse_mknod_in node = { .mode = S_IFCHR | 0644, .rdev = 0x103, .umask = 027 };
	const struct fuse_mkdir_in dir = { .mode = 01777, .umask = 022 };
	const struct fuse_link_in link = { .oldnodeid = FILE_NODE };
	const struct rpc_create *w;
	const struct rpc_link *l;

	rig_ask(FUSE_MKNOD, DIR_NODE, &node, sizeof(node), "n", 2);
	w = rig_rpc(RPC_MKNOD);
	ck_assert_uint_eq(w->dir, DIR_NODE);
	ck_assert_uint_eq(w->mode, S_IFCHR | 0644);
	ck_assert_uint_eq(w->rdev, 0x103);
	ck_assert_uint_eq(w->uid, 1000);
	ck_assert_uint_eq(w->gid, 1001);
	answer_entry(30, S_IFCHR, 0);
	rig_ask(FUSE_MKDIR, DIR_NODE, &dir, sizeof(dir), "d", 2);
	w = rig_rpc(RPC_MKDIR);
	ck_assert_uint_eq(w->mode, 01777);
	answer_entry(31, S_IFDIR, 0);
	rig_ask(FUSE_SYMLINK, DIR_NODE, NULL, 0, "s\0t", 4);
	w = rig_rpc(RPC_SYMLINK);
	ck_assert_str_eq(rpc_name1(RPC_REQUEST, &w->h), "s");
	ck_assert_str_eq(rpc_name2(RPC_REQUEST, &w->h), "t");
	ck_assert_uint_eq(w->uid, 1000);
	answer_entry(32, S_IFLNK, 0);
	rig_ask(FUSE_LINK, DIR_NODE, &link, sizeof(link), "l", 2);
	l = rig_rpc(RPC_LINK);
	ck_assert_uint_eq(l->node, FILE_NODE);
	ck_assert_uint_eq(l->newdir, DIR_NODE);
	answer_entry(FILE_NODE, S_IFREG, 0);
	rig_ask(FUSE_LINK, DIR_NODE, &(struct fuse_link_in){ .oldnodeid = 999 }, 8, "l", 2);
	rig_expect_error(-EBADF);
	rig_ask(FUSE_RENAME2, DIR_NODE, &(struct fuse_rename2_in){ .newdir = NODE_ROOT, .flags = 5 }, 16, "a\0b", 4);
	ck_assert_uint_eq(((const struct rpc_rename *)rig_rpc(RPC_RENAME))->olddir, DIR_NODE);
	ck_assert_uint_eq(((const struct rpc_rename *)rig_rpc(RPC_RENAME))->newdir, NODE_ROOT);
	ck_assert_uint_eq(((const struct rpc_rename *)rig_rpc(RPC_RENAME))->flags, 5);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	rig_body(0);
	rig_ask(FUSE_RENAME, DIR_NODE, &(struct fuse_rename_in){ .newdir = 999 }, 8, "a\0b", 4);
	rig_expect_error(-EBADF);
} END_TEST

START_TEST(attrs)
{
	struct fuse_setattr_in in = {
		.valid = UINT32_MAX & ~(uint32_t)FATTR_FH, .size = 11, .mode = 0600, .uid = 1, .gid = 2, .atime = 3, .mtime = 4,
		.atimensec = 5, .mtimensec = 6
	};
	const struct rpc_setattr *w;
	struct rpc_entry_body e;

	rig_entry(&e, FILE_NODE, S_IFREG | 0600);
	rig_ask(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	w = rig_rpc(RPC_SETATTR);
	ck_assert_uint_eq(w->f.node, FILE_NODE);
	ck_assert_uint_eq(w->f.hflags, 0);
	ck_assert_uint_eq(w->valid, 0xff);
	ck_assert(w->mode == 0600 && w->uid == 1 && w->gid == 2 && w->size == 11 && w->atime == 3 && w->mtime == 4 &&
	    w->atimensec == 5 && w->mtimensec == 6);
	ck_assert(fake_answer(&e.attr, sizeof(e.attr), NULL, 0, -1));
	check_attr(&((const struct fuse_attr_out *)rig_body(sizeof(struct fuse_attr_out)))->attr, FILE_NODE, S_IFREG | 0600);
	in.size = UINT64_C(1) << 63;
	rig_ask(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_expect_error(-EINVAL);
	in.valid = FATTR_FH | FATTR_MODE;
	in.fh = 12345;
	rig_ask(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	rig_expect_error(-EBADF);
	in.fh = rig_open(FILE_NODE, O_RDWR | O_TRUNC | O_APPEND | O_SYNC | O_DIRECT, -1);
	rig_ask(FUSE_SETATTR, FILE_NODE, &in, sizeof(in), NULL, 0);
	w = rig_rpc(RPC_SETATTR);
	ck_assert_uint_eq(w->f.fh, in.fh);
	ck_assert_uint_eq(w->f.hflags, RPC_FILE_HANDLE);
	ck_assert_uint_eq(w->f.flags, O_RDWR | O_SYNC);
	ck_assert(fake_answer_error(-EPERM));
	rig_expect_error(-EPERM);
} END_TEST

START_TEST(values)
{
	struct fuse_getxattr_in in = { .size = 100 };
	uint64_t count = 100;

	rig_compose(FUSE_GETXATTR, FILE_NODE, &in, 8, "user.a", 7);
	rig_send(16 + 99);
	rig_expect_error(-EIO);
	rig_send(16 + 100);
	rig_rpc(RPC_GETXATTR);
	ck_assert_uint_eq(fake_rpc()->alen, 100);
	memset(fake_arena(), 'v', 100);
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_eq(((const char *)rig_body(100))[99], 'v');
	/* The worker claims more than was asked for. */
	rig_send(4096);
	count = 101;
	rig_expect_lie(&count, sizeof(count));
	count = UINT64_MAX;
	rig_expect_lie(&count, sizeof(count));
	ck_assert(fake_answer_error(-ENODATA));
	rig_expect_error(-ENODATA);
	rig_ask(FUSE_LISTXATTR, FILE_NODE, &in, 8, NULL, 0);
	count = 101;
	rig_expect_lie(&count, sizeof(count));
	ck_assert(fake_answer_error(-ENODATA));
	in.size = 0;
	rig_ask(FUSE_LISTXATTR, FILE_NODE, &in, 8, NULL, 0);
	count = 4711;
	ck_assert_uint_eq(fake_rpc()->alen, 0);
	ck_assert(fake_answer(&count, 8, NULL, 0, -1));
	ck_assert_uint_eq(((const struct fuse_getxattr_out *)rig_body(8))->size, 4711);
	in.size = RPC_IO_MAX + 1;
	rig_ask(FUSE_LISTXATTR, FILE_NODE, &in, 8, NULL, 0);
	rig_expect_error(-ENOMEM);
	rig_ask(FUSE_SETXATTR, FILE_NODE, (const uint32_t[]){ 3, 1 }, 8, "user.a\0abc", 10);
	rig_rpc(RPC_SETXATTR);
	ck_assert_uint_eq(fake_rpc()->alen, 3);
	ck_assert_mem_eq(fake_arena(), "abc", 3);
	ck_assert_uint_eq(((const struct rpc_xattr *)(const void *)fake_rpc())->flags, 1);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	rig_body(0);
	for (uint32_t lie = 0; lie < 8; lie++) {
		if (lie == 3)
			continue;
		rig_ask(FUSE_SETXATTR, FILE_NODE, (const uint32_t[]){ lie, 0 }, 8, "user.a\0abc", 10);
		rig_expect_error(-EINVAL);
	}
	rig_ask(FUSE_SETXATTR, FILE_NODE, (const uint32_t[]){ UINT32_MAX, 0 }, 8, "user.a\0abc", 10);
	rig_expect_error(-EINVAL);
} END_TEST

/* However the guest cuts the room for a reply. */
START_TEST(split_replies)
{
	struct fuse_getxattr_in in = { .size = 100 };
	uint64_t count = 100;
	uint8_t want[100];

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i + 1);
	for (int a = 0; a < SPLITS; a++) {
		rig_compose(FUSE_GETXATTR, FILE_NODE, &in, 8, "user.a", 7);
		rig_send_split(SPLIT_NONE, 16 + 200, (enum fake_split)a);
		rig_rpc(RPC_GETXATTR);
		memcpy(fake_arena(), want, sizeof(want));
		ck_assert(fake_answer(&count, 8, NULL, 0, -1));
		ck_assert_mem_eq(rig_body(100), want, sizeof(want));
	}
} END_TEST

/* The guest's kernel knows 133 errors; the worker may say 4095. */
START_TEST(no_such_error)
{
	static const int no_such[] = { -134, -512, -4095 };

	for (size_t i = 0; i < countof(no_such); i++) {
		rig_ask(FUSE_ACCESS, FILE_NODE, (const uint32_t[]){ 6, 0 }, 8, NULL, 0);
		ck_assert(fake_answer_error(no_such[i]));
		rig_expect_error(-EIO);
	}
	rig_ask(FUSE_ACCESS, FILE_NODE, (const uint32_t[]){ 6, 0 }, 8, NULL, 0);
	ck_assert(fake_answer_error(-EHWPOISON));
	rig_expect_error(-EHWPOISON);
} END_TEST

START_TEST(others)
{
	const uint64_t statfs[] = { 1, 2, 3, 4, 5, 6 | UINT64_C(7) << 32, 8 };
	const struct fuse_statfs_out *o;
	const struct rpc_access *a;

	rig_ask(FUSE_STATFS, NODE_ROOT, NULL, 0, NULL, 0);
	rig_rpc(RPC_STATFS);
	ck_assert(fake_answer(statfs, sizeof(statfs), NULL, 0, -1));
	o = rig_body(80);
	ck_assert(o->st.blocks == 1 && o->st.bfree == 2 && o->st.bavail == 3 && o->st.files == 4 && o->st.ffree == 5 &&
	    o->st.bsize == 6 && o->st.namelen == 7 && o->st.frsize == 8 && o->st.padding == 0);
	rig_ask(FUSE_READLINK, FILE_NODE, NULL, 0, NULL, 0);
	rig_rpc(RPC_READLINK);
	ck_assert(fake_answer(NULL, 0, "to/where", 8, -1));
	ck_assert_mem_eq(rig_body(8), "to/where", 8);
	rig_compose(FUSE_READLINK, FILE_NODE, NULL, 0, NULL, 0);
	rig_send(16 + 7);
	ck_assert(fake_answer(NULL, 0, "to/where", 8, -1));
	ck_assert_int_eq(rig_error(), -EIO);
	rig_ask(FUSE_ACCESS, FILE_NODE, (const uint32_t[]){ 6, 0 }, 8, NULL, 0);
	a = rig_rpc(RPC_ACCESS);
	ck_assert(a->node == FILE_NODE && a->mask == 6 && a->uid == 1000 && a->gid == 1001);
	ck_assert(fake_answer(NULL, 0, NULL, 0, -1));
	rig_body(0);
} END_TEST

static size_t
put_dirent(uint8_t *p, uint64_t ino, const char *name, size_t namelen)
{
	struct rpc_dirent d = { .ino = ino, .off = ino + 1, .namelen = (uint32_t)namelen, .type = 8 };

	memset(p, 0, ROUND_UP(sizeof(d) + namelen, 8));
	memcpy(p, &d, sizeof(d));
	memcpy(p + sizeof(d), name, namelen);
	return ROUND_UP(sizeof(d) + namelen, 8);
}

static size_t
put_plus(uint8_t *p, uint64_t node, const char *name)
{
	struct rpc_direntplus d = { 0 };

	rig_entry(&d.e, node, S_IFREG);
	memcpy(p, &d, sizeof(d));
	return sizeof(d) + put_dirent(p + sizeof(d), node, name, strlen(name));
}

static void
list(uint32_t nr, uint32_t size, size_t room)
{
	struct fuse_read_in in = { .fh = rig_opendir(DIR_NODE), .offset = UINT64_MAX, .size = size };

	rig_compose(nr, DIR_NODE, &in, sizeof(in), NULL, 0);
	rig_send(room);
}

START_TEST(readdir)
{
	const struct rpc_io *w;
	char long_name[RPC_NAME_MAX];
	uint8_t want[256];
	uint64_t n;

	list(FUSE_READDIR, 256, 16 + 256);
	w = rig_rpc(RPC_READDIR);
	ck_assert_uint_eq(w->offset, UINT64_MAX);
	ck_assert_uint_eq(w->size, 256);
	ck_assert_uint_eq(w->h.alen, 256);
	n = put_dirent(fake_arena(), 5, "hello", 5);
	n += put_dirent(fake_arena() + n, 6, "..", 2);
	memcpy(want, fake_arena(), n);
	ck_assert(fake_answer(&n, 8, NULL, 0, -1));
	ck_assert_mem_eq(rig_body(n), want, n);
	list(FUSE_READDIR, 256, 16 + 255);
	rig_expect_error(-ENOMEM);
	/* As long as a name may be. */
	memset(long_name, 'x', sizeof(long_name));
	list(FUSE_READDIR, 2048, 16 + 2048);
	n = put_dirent(fake_arena(), 5, long_name, RPC_NAME_MAX);
	ck_assert(fake_answer(&n, 8, NULL, 0, -1));
	rig_body(n);
	list(FUSE_READDIR, 0, 16);
	rig_expect_error(0);
	list(FUSE_READDIRPLUS, MAX_WRITE + 1, 2 * MAX_WRITE);
	rig_expect_error(-ENOMEM);
	list(FUSE_READDIRPLUS, MAX_WRITE, MAX_WRITE + 16);
	n = 0;
	ck_assert(fake_answer(&n, 8, NULL, 0, -1));
	rig_body(0);
} END_TEST

START_TEST(readdirplus)
{
	const struct fuse_direntplus *o;
	uint64_t n, n1;

	list(FUSE_READDIRPLUS, 1024, 4096);
	n1 = n = put_plus(fake_arena(), 50, "fifty");
	n += put_plus(fake_arena() + n, 0, ".");
	ck_assert(fake_answer(&n, 8, NULL, 0, -1));
	o = rig_body(n);
	ck_assert_uint_eq(o->entry_out.nodeid, 50);
	ck_assert_uint_eq(o->entry_out.entry_valid, 1);
	check_attr(&o->entry_out.attr, 50, S_IFREG);
	ck_assert_uint_eq(o->dirent.namelen, 5);
	ck_assert_mem_eq(o->dirent.name, "fifty", 5);
	o = (const void *)((const uint8_t *)o + n1);
	ck_assert_uint_eq(o->entry_out.nodeid, 0);
	ck_assert_uint_eq(o->entry_out.entry_valid, 0);
	ck_assert_uint_eq(o->entry_out.attr.ino, 100000);
	ck_assert_uint_eq(o->entry_out.attr.mode, S_IFREG);
	ck_assert_uint_eq(o->entry_out.attr.size, 0);
	ck_assert(nodes_known(50));
} END_TEST

START_TEST(lying_listing)
{
	struct rpc_dirent d = { .ino = 1, .namelen = 5 };
	char long_name[RPC_NAME_MAX + 1];
	uint64_t n, truth = 0;

	memset(long_name, 'x', sizeof(long_name));
	if (_i == 14) {
		/* The queue's copy of this one is what the next one's bytes are followed by. */
		list(FUSE_READDIRPLUS, 512, 8192);
		n = put_plus(fake_arena(), 55, "before");
		ck_assert(fake_answer(&n, 8, NULL, 0, -1));
	}
	list((_i >= 6 && _i <= 10) || _i >= 14 ? FUSE_READDIRPLUS : FUSE_READDIR, _i == 11 ? 4096 : 512, 8192);
	n = put_dirent(fake_arena(), 5, "hello", 5);
	switch (_i) {
	case 0: n = 513; break;
	case 1: n = sizeof(d) - 1; break;
	case 2: n--; break;
	case 3: d.namelen = 0; memcpy(fake_arena(), &d, sizeof(d)); break;
	case 4: d.namelen = UINT32_MAX; memcpy(fake_arena(), &d, sizeof(d)); break;
	case 5: n = put_dirent(fake_arena(), 5, "a/b", 3); break;
	case 6: n = sizeof(struct rpc_direntplus) - 8; break;
	case 7: n = sizeof(struct rpc_direntplus) + 8; break;
	case 8: n = put_plus(fake_arena(), 50, ""); break;
	case 9: n = put_plus(fake_arena(), NODE_FIRST(1), "later"); break;
	case 10: n = put_plus(fake_arena(), 60, "true"); n += put_dirent(fake_arena() + n, 5, "lie", 3); break;
	case 11: n = put_dirent(fake_arena(), 5, long_name, RPC_NAME_MAX + 1); break;
	case 12: n = UINT64_MAX; break;
	case 13: n = put_dirent(fake_arena(), 5, "a\0b", 3); break;
	case 14: put_plus(fake_arena(), 55, "before"); n = sizeof(struct rpc_direntplus) - 8; break;
	default:
		/* No dirent, and behind that what would do as another entry. */
		memset(fake_arena(), 0, sizeof(struct rpc_direntplus));
		n = sizeof(struct rpc_direntplus);
		n += put_plus(fake_arena() + n, 60, "true");
		memset(fake_arena() + sizeof(struct rpc_direntplus) + offsetof(struct rpc_dirent, namelen), 0, sizeof(d.namelen));
		break;
	}
	rig_expect_lie(&n, 8);
	/* Not even what was true before the lie counts. */
	ck_assert(!nodes_known(50) && !nodes_known(60) && !nodes_known(NODE_FIRST(1)));
	ck_assert(fake_answer(&truth, 8, NULL, 0, -1));
	rig_body(0);
} END_TEST

#define LYING_ENTRIES 7

START_TEST(lying_entry)
{
	static const uint64_t nodes[] = { 0, NODE_FIRST(1), UINT64_MAX };
	static const uint64_t link = FILE_NODE, mkdir = 0755, mknod[2] = { S_IFREG | 0644, 0 },
	    create[2] = { O_RDWR | UINT64_C(0600) << 32, 0 };
	static const struct {
		uint32_t nr;
		const void *arg;
		size_t arglen;
		const char *var;
		size_t varlen;
	} asked[LYING_ENTRIES] = {
		{ FUSE_LOOKUP, NULL, 0, "name", 5 }, { FUSE_MKDIR, &mkdir, 8, "name", 5 }, { FUSE_SYMLINK, NULL, 0, "n\0to", 5 },
		{ FUSE_MKNOD, mknod, 16, "name", 5 }, { FUSE_LINK, &link, 8, "name", 5 },
		{ FUSE_CREATE, create, 16, "name", 5 }, { FUSE_TMPFILE, create, 16, "/", 2 },
	};
	const unsigned what = (unsigned)_i % LYING_ENTRIES;
	const uint64_t node = nodes[(unsigned)_i / LYING_ENTRIES];
	struct rpc_entry_body e;

	rig_entry(&e, node, S_IFREG);
	rig_ask(asked[what].nr, DIR_NODE, asked[what].arg, asked[what].arglen, asked[what].var, asked[what].varlen);
	rig_expect_lie(&e, sizeof(e));
	ck_assert(!nodes_known(node));
	/* The last id that the present worker can have given. */
	rig_entry(&e, NODE_FIRST(1) - 1, S_IFREG);
	ck_assert(fake_answer(&e, sizeof(e), NULL, 0, -1));
	ck_assert(nodes_known(NODE_FIRST(1) - 1));
} END_TEST

int
main(void)
{
	Suite *s = suite_create("fuse_replies");
	TCase *ok = tcase_create("ok"), *hostile = tcase_create("hostile");
	SRunner *r;
	int failed;

	log_init(rig_quiet, LOG_DEBUG);
	tcase_add_checked_fixture(ok, rig_setup, fake_stop);
	tcase_add_test(ok, entries);
	tcase_add_test(ok, making);
	tcase_add_test(ok, attrs);
	tcase_add_test(ok, values);
	tcase_add_test(ok, split_replies);
	tcase_add_test(ok, no_such_error);
	tcase_add_test(ok, others);
	tcase_add_test(ok, readdir);
	tcase_add_test(ok, readdirplus);
	suite_add_tcase(s, ok);
	tcase_add_checked_fixture(hostile, rig_setup, fake_stop);
	tcase_add_loop_test(hostile, lying_listing, 0, 16);
	tcase_add_loop_test(hostile, lying_entry, 0, 3 * LYING_ENTRIES);
	suite_add_tcase(s, hostile);

	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
