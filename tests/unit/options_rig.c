/* SPDX-License-Identifier: BSD-3-Clause */
/* See options_rig.h. Runs in: unit tests. */
#include "options_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int
rig_rows(const struct options_row *table)
{
	int n = 0;

	while (table[n].want != NULL)
		n++;
	return n;
}

int
rig_parse(const char *const *args, struct options *o, char err[static OPTIONS_ERROR_MAX])
{
	char *argv[ARGS_MAX + 2] = { (char[]){ "virtiofsd" } };
	int argc = 1;

	for (; args[argc - 1] != NULL; argc++) {
		ck_assert_int_lt(argc, ARGS_MAX);
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	}
	return options_parse(argc, argv, o, err);
}

static const char *
text(const char *s)
{
	return s != NULL ? s : "-";
}

static void
print_map(FILE *f, const char *name, const struct id_map *m)
{
	fprintf(f, " %s=", name);
	for (size_t i = 0; i < m->n; i++)
		fprintf(f, "%s%u:%u:%u", i > 0 ? "," : "", m->range[i].inside, m->range[i].outside,
		    m->range[i].count);
}

static void
print_texts(FILE *f, const char *name, const struct texts *t)
{
	fprintf(f, " %s=", name);
	for (size_t i = 0; i < t->n; i++)
		fprintf(f, "%s%s", i > 0 ? "," : "", t->text[i]);
}

void
rig_describe(const struct options *o, char *buf, size_t size)
{
	FILE *f = fmemopen(buf, size, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, " action=%d old=%x dir=%s sock=%s group=%s fd=%d tag=%s", o->action,
	    o->deprecated, text(o->shared_dir), text(o->socket_path), text(o->socket_group), o->fd,
	    text(o->tag));
	fprintf(f, " dev=%x cache=%d acl=%d label=%d handles=%d xattrmap=%s", o->dev.flags,
	    o->dev.cache, o->dev.posix_acl, o->dev.security_label, o->dev.file_handles,
	    text(o->xattrmap));
	print_texts(f, "tuid", &o->translate_uid);
	print_texts(f, "tgid", &o->translate_gid);
	fprintf(f, " sandbox=%d seccomp=%d user=%s modcaps=%s", o->sandbox, o->seccomp,
	    text(o->front_user), text(o->modcaps));
	print_map(f, "umap", &o->uid_map);
	print_map(f, "gmap", &o->gid_map);
	fprintf(f, " pool=%d/%" PRIu64 " nofile=%d/%" PRIu64 " poll=%u", o->pool_given,
	    o->pool_size, o->nofile_given, o->nofile, o->dev.busy_poll_us);
	fprintf(f, " deaths=%u/%u timeout=%u/%d log=%d syslog=%d", o->worker_deaths,
	    o->worker_window, o->worker_timeout, o->worker_timeout_restart, o->log_level,
	    o->syslog);
	fprintf(f, " mig=%d/%d/%d/%d/%d ", o->migration_given, o->migration_mode,
	    o->migration_on_error, o->migration_verify_handles, o->migration_confirm_paths);
	fprintf(f, "print=%d/%d ", o->print_role, o->print_json);
	ck_assert_int_eq(fclose(f), 0);
}

void
rig_good(const struct options_row *row)
{
	char err[OPTIONS_ERROR_MAX], buf[1024];
	struct options o;
	int r = rig_parse(row->args, &o, err);

	ck_assert_msg(r == 0, "(%s): %s", row->want, err);
	rig_describe(&o, buf, sizeof(buf));
	ck_assert_msg(strstr(buf, row->want) != NULL, "'%s' is not in '%s'", row->want, buf);
	ck_assert_str_eq(err, "");
	options_free(&o);
}

void
rig_bad(const struct options_row *row)
{
	char err[OPTIONS_ERROR_MAX];
	struct options o;

	ck_assert_msg(rig_parse(row->args, &o, err) == -EINVAL, "(%s) was accepted", row->want);
	ck_assert_msg(strstr(err, row->want) != NULL, "'%s' is not in '%s'", row->want, err);
	ck_assert_ptr_null(strchr(err, '\n'));
	options_free(&o);
}

int
rig_main(TCase *t)
{
	Suite *s = suite_create("options");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
