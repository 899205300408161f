/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface_dirs - READDIR and READDIRPLUS: sizes, offsets (those with bit 63 as well), and entries that cannot be
 * looked up (spec/fuse.md section 6.4).
 *
 * Runs in: check_surface.
 */
#include "check_surface.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "hostfs.h"

static const bool plusses[] = { false, true };
#define OPCODE(plus) ((plus) ? FUSE_READDIRPLUS : FUSE_READDIR)

/* A request for so many bytes with so much room, on a directory of "." ".." and "f". */
static const struct {
	const char *name;
	uint32_t size;
	size_t room;
	int error;
	bool empty;
} sizes[] = {
	{ "a page", 4096, 4096, 0, false },
	{ "more room than size", 4096, 8192, 0, false },
	{ "P14: a MiB", 1 << 20, 1 << 20, 0, false },
	{ "more than a MiB", (1 << 20) + 1, (1 << 20) + 64, -ENOMEM, true },
	{ "size 2^32 - 1", ~0u, 4096, -ENOMEM, true },
	{ "less room than size", 4096, 4095, -ENOMEM, true },
	{ "no room", 4096, 0, -ENOMEM, true },
	{ "nothing", 0, 64, 0, true },
	{ "too little for any entry", 16, 64, -EINVAL, true },
	{ "one byte", 1, 64, -EINVAL, true },
};

START_TEST(test_size)
{
	bool plus = plusses[(size_t)_i / countof(sizes)];
	size_t i = (size_t)_i % countof(sizes);
	struct fuse_read_in in = { .size = sizes[i].size };
	struct fc_part part = { &in, sizeof(in) };
	struct fuse_open_out o;
	char name[100];
	int err;

	snprintf(name, sizeof(name), "READDIR%s %s", plus ? "PLUS" : "", sizes[i].name);
	sf_begin(name, "", SF_DIR, OPCODE(plus));
	sf_put("f", "x", 0, 0, 0644);
	SF_OK(sf_opendir(sf.dir, O_RDONLY, &o));
	in.fh = o.fh;
	err = fc_call(&hc, OPCODE(plus), sf.dir, &part, 1, sizes[i].room);
	SF_EQ(err, sizes[i].error);
	SF_EQ(hc.body_len == 0, sizes[i].empty);
	ck_assert_uint_le(hc.body_len, sizes[i].size);
	/* The handle is as good as before. */
	ck_assert_int_gt(fc_readdir(&hc, sf.dir, o.fh, 0, 4096, plus), 0);
	sf_end();
}
END_TEST

START_TEST(test_not_a_directory)
{
	bool plus = plusses[_i];
	struct fuse_open_out o;

	sf_begin(plus ? "READDIRPLUS of a file" : "READDIR of a file", "", SF_DIR, OPCODE(plus));
	sf_put("f", "x", 0, 0, 0644);
	SF_OK(sf_open(sf_node("f"), O_RDONLY, 0, &o));
	SF_EQ(fc_readdir(&hc, sf_node("f"), o.fh, 0, 4096, plus), -ENOTDIR);
	sf_end();
}
END_TEST

/* List the root of hostfs from offset on; which files, how many of them with a node, in seen[]. */
static unsigned char seen[HOSTFS_FILES];
static unsigned int with_node;

static unsigned int
list(uint64_t fh, uint64_t off, uint32_t size, bool plus)
{
	unsigned int n = 0, file;
	struct fuse_entry_out e;
	struct fuse_dirent d;
	char name[256];
	size_t pos;
	int got;

	memset(seen, 0, sizeof(seen));
	with_node = 0;
	while ((got = fc_readdir(&hc, FC_ROOT, fh, off, size, plus)) > 0) {
		for (pos = 0; fc_next_dirent(&hc, &pos, plus, &e, &d, name) == 1; off = d.off) {
			if (name[0] == '.')
				continue;
			SF_EQ(sscanf(name, "f%u", &file), 1);
			SF_EQ(file < HOSTFS_FILES, true);
			seen[file]++;
			with_node += e.nodeid != 0;
			n++;
		}
	}
	SF_EQ(got, 0);
	for (file = 0; file < HOSTFS_FILES; file++)
		SF_EQ(seen[file] <= 1, true);
	return n;
}

static void
begin_hostfs(const char *name, bool plus, struct fuse_open_out *o)
{
	sf_begin(name, "", SF_HOSTFS, OPCODE(plus));
	hostfs_reset();
	SF_OK(sf_opendir(FC_ROOT, O_RDONLY, o));
}

/* Offsets with bit 63, which lseek refuses: each page is found by reading on from the start. */
static const struct {
	const char *name;
	bool high;
	uint32_t size;
} pages[] = {
	{ "a page", false, 4096 }, { "small pages", false, 512 }, { "bit 63, a page", true, 4096 },
	{ "bit 63, small pages", true, 512 }, { "bit 63, an entry or two", true, 200 },
	{ "bit 63, a KiB", true, 1024 },
	{ "bit 63, 64 KiB", true, 65536 },
};

START_TEST(test_pages)
{
	bool plus = plusses[(size_t)_i / countof(pages)];
	size_t i = (size_t)_i % countof(pages);
	struct fuse_open_out o;
	char name[100];

	snprintf(name, sizeof(name), "READDIR%s %s", plus ? "PLUS" : "", pages[i].name);
	begin_hostfs(name, plus, &o);
	hostfs.high_offsets = pages[i].high;
	SF_EQ(list(o.fh, 0, pages[i].size, plus), HOSTFS_FILES);
	SF_EQ(with_node, plus ? HOSTFS_FILES : 0);
	/* Once more from the start, and by two readers of one handle in turn. */
	SF_EQ(list(o.fh, 0, pages[i].size, plus), HOSTFS_FILES);
	sf_end();
}
END_TEST

/* From some entry on, on a handle that has not read so far. */
static const struct {
	const char *name;
	bool high;
	int after;	/* the entry whose offset is asked for; -1: an offset of none */
	unsigned int left;
} offsets[] = {
	{ "behind the first", false, 0, HOSTFS_FILES - 1 },
	{ "bit 63: behind the first", true, 0, HOSTFS_FILES - 1 },
	{ "bit 63: behind the tenth", true, 9, HOSTFS_FILES - 10 },
	{ "bit 63: behind the last but one", true, HOSTFS_FILES - 2, 1 },
	{ "bit 63: behind the last", true, HOSTFS_FILES - 1, 0 },
	{ "bit 63: behind none that is there", true, -1, 0 },
};

START_TEST(test_offset)
{
	bool plus = plusses[(size_t)_i / countof(offsets)];
	size_t i = (size_t)_i % countof(offsets);
	static const uint32_t page[] = { 4096, 200 };
	struct fuse_open_out o;
	char name[100];
	uint64_t off;

	snprintf(name, sizeof(name), "READDIR%s from %s", plus ? "PLUS" : "", offsets[i].name);
	begin_hostfs(name, plus, &o);
	hostfs.high_offsets = offsets[i].high;
	off = offsets[i].after < 0 ? (1ull << 63) + 12345
	    : hostfs_offset((unsigned int)offsets[i].after);
	for (size_t k = 0; k < countof(page); k++)
		SF_EQ(list(o.fh, off, page[k], plus), offsets[i].left);
	sf_end();
}
END_TEST

/* Behind each of them: wherever the kernel's pieces end that are read to find it. */
START_TEST(test_each_offset)
{
	bool plus = plusses[_i];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_dirent d;
	char name[256], want[16];
	size_t pos;

	begin_hostfs(plus ? "READDIRPLUS behind each, bit 63" : "READDIR behind each, bit 63", plus, &o);
	hostfs.high_offsets = true;
	for (unsigned int i = 0; i < HOSTFS_FILES; i++) {
		ck_assert_int_ge(fc_readdir(&hc, FC_ROOT, o.fh, hostfs_offset(i), 200, plus), 0);
		snprintf(want, sizeof(want), "f%u", i + 1);
		pos = 0;
		if (i + 1 == HOSTFS_FILES)
			SF_EQ(hc.body_len, 0);
		else {
			SF_EQ(fc_next_dirent(&hc, &pos, plus, &e, &d, name), 1);
			ck_assert_str_eq(name, want);
		}
	}
	sf_end();
}
END_TEST

/* Every third file cannot be looked up: gone, it is left out; for any other reason it is listed without a node. */
static const struct {
	const char *name;
	int errnum;
	bool listed;
} lookups[] = {
	{ "C12: ENOENT", ENOENT, false }, { "C11: EMFILE", EMFILE, true },
	{ "C11: ENFILE", ENFILE, true }, { "C11: EACCES", EACCES, true }, { "C11: EIO", EIO, true },
	{ "C11: ESTALE", ESTALE, true }, { "C11: ENOMEM", ENOMEM, true },
};

START_TEST(test_lookup)
{
	const unsigned int bad = (HOSTFS_FILES + 2) / 3;
	static const uint32_t page[] = { 65536, 4096, 512 };
	struct fuse_open_out o;
	char name[100];

	for (size_t k = 0; k < countof(page); k++) {
		snprintf(name, sizeof(name), "READDIRPLUS, LOOKUP says %s, %u bytes",
		    lookups[_i].name, page[k]);
		begin_hostfs(name, true, &o);
		hostfs.lookup_errno = lookups[_i].errnum;
		SF_EQ(list(o.fh, 0, page[k], true),
		    lookups[_i].listed ? HOSTFS_FILES : HOSTFS_FILES - bad);
		SF_EQ(with_node, HOSTFS_FILES - bad);
		SF_EQ(seen[0], lookups[_i].listed);
		SF_EQ(seen[1], 1);
		/* Without looking up, all of them are there. */
		SF_EQ(list(o.fh, 0, page[k], false), HOSTFS_FILES);
		hostfs_reset();
		sf_end();
	}
}
END_TEST

/*
 * A name that is longer than most file systems know: vfat, ntfs3 and cifs have 255 units of UTF-16, which are up to 765
 * bytes. A guest can use 1024 of them; with a longer one its readdir would fail as a whole. 4072 bytes are what hostfs gets into a page.
 */
static const struct {
	unsigned int len;
	bool high, listed;
	uint32_t small;	/* an entry fits, or it is left out */
} long_names[] = {
	{ 256, false, true, 512 }, { 765, false, true, 1024 }, { 1024, false, true, 1200 },
	{ 1024, true, true, 1200 }, { 1025, false, false, 512 }, { 1025, true, false, 200 },
	{ 4072, false, false, 512 }, { 4072, true, false, 200 },
};

/* Does the kernel here pass it on? Before 6.14 it allows 1024 bytes itself. */
static bool
host_lists(void)
{
	DIR *d = opendir(hv->share);
	bool good;

	ck_assert_ptr_nonnull(d);
	errno = 0;
	while (readdir(d) != NULL)
		;
	good = errno == 0;
	closedir(d);
	return good;
}

START_TEST(test_long_name)
{
	bool plus = plusses[(size_t)_i / countof(long_names)];
	size_t i = (size_t)_i % countof(long_names);
	const bool listed = long_names[i].listed;
	const uint32_t page[] = { 65536, 4096, long_names[i].small };
	const unsigned int n = HOSTFS_FILES - !listed;
	char name[FC_NAME_MAX + 2] = "f5";
	struct fuse_entry_out e, other;
	struct fuse_open_out o;

	snprintf(name, sizeof(name), "READDIR%s, a name of %u bytes%s", plus ? "PLUS" : "",
	    long_names[i].len, long_names[i].high ? ", bit 63" : "");
	begin_hostfs(name, plus, &o);
	hostfs.high_offsets = long_names[i].high;
	hostfs.name_len = long_names[i].len;
	if (!host_lists()) {
		sf_end();
		return;
	}
	for (size_t k = 0; k < countof(page); k++) {
		SF_EQ(list(o.fh, 0, page[k], plus), n);
		SF_EQ(with_node, plus ? n : 0);
		SF_EQ(seen[5], listed);
	}
	memset(name, 'x', sizeof(name));
	memcpy(name, "f5", 2);
	name[listed ? long_names[i].len : FC_NAME_MAX + 1] = '\0';
	SF_EQ(fc_lookup(&hc, FC_ROOT, name, &e), listed ? 0 : -ENAMETOOLONG);
	SF_OK(fc_lookup(&hc, FC_ROOT, "f5", &other));
	SF_EQ(listed && e.nodeid != other.nodeid, false);
	hostfs_reset();
	sf_end();
}
END_TEST

/* C11: exactly the entries that were delivered are counted: one FORGET each, and the daemon knows none of them. */
START_TEST(test_counts)
{
	static const uint32_t page[] = { 65536, 1024, 360 };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fuse_dirent d;
	uint64_t nodes[64];
	char name[256];
	size_t pos = 0;
	int n = 0;

	sf_begin("C11: counts of READDIRPLUS", "", SF_DIR, FUSE_READDIRPLUS);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		sf_put(name, "", 0, 0, 0644);
	}
	SF_OK(sf_opendir(sf.dir, O_RDONLY, &o));
	ck_assert_int_gt(fc_readdir(&hc, sf.dir, o.fh, 0, page[_i], true), 0);
	while (fc_next_dirent(&hc, &pos, true, &e, &d, name) == 1)
		if (e.nodeid != 0)
			nodes[n++] = e.nodeid;
	for (int i = 0; i < n; i++) {
		OK(fc_getattr(&hc, nodes[i], NULL));
		OK(fc_forget(&hc, nodes[i], 1));
		FAILS(EBADF, fc_getattr(&hc, nodes[i], NULL));
	}
	sf_end();
}
END_TEST

TCase *
check_surface_dirs(void)
{
	TCase *t = tcase_create("dirs");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_size, 0, (int)countof(sizes) * 2);
	tcase_add_loop_test(t, test_not_a_directory, 0, 2);
	tcase_add_loop_test(t, test_counts, 0, 3);
	tcase_add_loop_test(t, test_pages, 0, (int)countof(pages) * 2);
	tcase_add_loop_test(t, test_offset, 0, (int)countof(offsets) * 2);
	tcase_add_loop_test(t, test_each_offset, 0, 2);
	SF_TCASE(t, test_lookup, lookups);
	tcase_add_loop_test(t, test_long_name, 0, (int)countof(long_names) * 2);
	return t;
}
