/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_surface - what the files of its table share.
 *
 * A row is {name, options of the daemon, opcode, input, expected outcome}; each is a libcheck test of its own, named in
 * what fails. Rows of one file that follow each other with the same options share a daemon; each has a directory of its own.
 *
 * Runs in: check_surface.
 */
#ifndef HARNESS_CHECK_SURFACE_H
#define HARNESS_CHECK_SURFACE_H

#include "harness.h"

#define countof(a) (sizeof(a) / sizeof((a)[0]))

/* What lies under the share. */
enum sf_fs {
	SF_DIR,		/* a directory of $TMPDIR, or /tmp */
	SF_TMPFS,
	SF_SUBMOUNT,	/* a tmpfs of 8 MiB; in it, on "sub", another of 3 MiB */
	SF_HOSTFS,	/* hostfs.h: a file system of the test's own, with faults */
};

/* The row that runs. */
struct sf {
	char name[120];
	uint64_t dir;		/* node of its directory, mode 0777 (SF_HOSTFS: the root) */
	char rel[16];		/* name of that directory in the share */
};
extern struct sf sf;

/*
 * Begin a row: a daemon with exactly these options (words, blanks between), initialised with everything offered; hc is
 * root. opcode is what the row is about. End it; a row that fails does not get there, and its daemon goes.
 */
void sf_begin(const char *name, const char *options, enum sf_fs fs, uint32_t opcode);
void sf_end(void);
/* End the daemon, asserting that it ends well. */
void sf_stop(void);
/* Rows begun so far, and of those that are about this opcode. */
unsigned int sf_rows(void);
unsigned int sf_rows_of(uint32_t opcode);

/* ck_assert with the row's name. */
#define SF_EQ(got, want) sf_eq(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define SF_OK(err) SF_EQ(err, 0)
void sf_eq(const char *file, int line, const char *what, long long got, long long want);

/* Path on the host of a file in the row's directory; as h_path. */
const char *sf_path(const char *name);
/* Make a file there: content, then owner and mode. */
void sf_put(const char *name, const char *content, unsigned int uid, unsigned int gid,
    unsigned int mode);
/* Its permission bits, on the host. */
unsigned int sf_mode(const char *name);
/* LOOKUP in the row's directory. */
uint64_t sf_node(const char *name);

/* Requests with the fields that fuse_client leaves out. */
int sf_open(uint64_t node, uint32_t flags, uint32_t open_flags, struct fuse_open_out *o);
int sf_opendir(uint64_t node, uint32_t flags, struct fuse_open_out *o);
int sf_create(const char *name, uint32_t flags, uint32_t mode, uint32_t open_flags,
    struct fuse_entry_out *e, struct fuse_open_out *o);
/* Returns the count. data_len bytes are sent, whatever size says. */
int sf_write(uint64_t node, uint64_t fh, uint64_t offset, const void *data, size_t data_len,
    uint32_t size, uint32_t flags, uint32_t write_flags);

/* File status flags (fcntl(2) F_GETFL) of the one fd that a process of this kind has of this file; -1 if it has none. */
#define SF_FRONT "virtiofsd-front"
#define SF_WORKER "virtiofsd-worke"
int sf_fd_flags(const char *comm, const char *name);
/* The same of a file by its numbers. */
int sf_fd_flags_of(const char *comm, const struct stat *st);

/* One test case a file. */
TCase *check_surface_init(void);
TCase *check_surface_cache(void);
TCase *check_surface_open(void);
TCase *check_surface_readonly(void);
TCase *check_surface_killpriv(void);
TCase *check_surface_data(void);
TCase *check_surface_faults(void);
TCase *check_surface_dirs(void);
TCase *check_surface_access(void);
TCase *check_surface_other(void);

/*
 * Of the numbers 0..n-1 those that make sense, into list: a combination that does not is no row. Returns how many.
 */
int sf_select(bool (*sensible)(size_t), size_t n, uint16_t *list);

/* Add a loop test over rows[] with the fixtures that all files need. */
#define SF_TCASE(t, test, rows) \
	do { \
		tcase_set_timeout(t, 60); \
		tcase_add_loop_test(t, test, 0, (int)countof(rows)); \
	} while (0)

#endif
