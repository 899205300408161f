/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Help texts, from the table. Runs in: monitor.
 */
#include <string.h>

#include "monitor/options_table.h"

#define USAGE "Usage: virtiofsd --shared-dir <PATH> <--socket-path <PATH>|--fd <N>> [OPTIONS]\n\n"

void
options_usage_error(FILE *f, const char *err)
{
	fprintf(f, "error: %s\n\n" USAGE "For more information, try '--help'.\n", err);
}

/* Print text, words wrapped, each line indented by indent columns, all but the first by hang more. */
static void
print_wrapped(FILE *f, const char *text, int indent, int hang)
{
	int col = 0;

	while (*text != '\0') {
		int n = (int)strcspn(text, " ");

		if (col > 0 && col + 1 + n > 80) {
			putc('\n', f);
			col = 0;
			indent += hang;
			hang = 0;
		}
		col += fprintf(f, "%*s%.*s", col > 0 ? 1 : indent, "", n, text);
		text += n;
		text += strspn(text, " ");
	}
	putc('\n', f);
}

static void
print_words(FILE *f, const struct row *row)
{
	char line[160];

	for (const struct word *w = row->words; w != NULL && w->name != NULL; w++) {
		if (w->help == NULL)
			continue;
		snprintf(line, sizeof(line), "- %s: %s", w->name, w->help);
		print_wrapped(f, line, 10, 2);
	}
}

static void
print_row(FILE *f, const struct row *row, bool full)
{
	char title[ROW_TITLE_MAX], letter[8] = "    ", left[ROW_TITLE_MAX + 16], right[120];

	if (row->letter != 0 && row->name != NULL)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	else if (row->letter != 0)
		letter[0] = '\0';
	snprintf(left, sizeof(left), "  %s%s", letter, row_title(row, title));
	if (!full) {
		snprintf(right, sizeof(right), "%s%s%s%s", row->help,
		    row->def != NULL ? " [default: " : "", row->def != NULL ? row->def : "",
		    row->def != NULL ? "]" : "");
		fprintf(f, "%-35s %s\n", left, right);
		return;
	}
	fprintf(f, "%s\n", left);
	print_wrapped(f, row->help, 10, 0);
	if (row->more != NULL)
		print_wrapped(f, row->more, 10, 0);
	print_words(f, row);
	if (row->def != NULL)
		fprintf(f, "%*s[default: %s]\n", 10, "", row->def);
	putc('\n', f);
}

void
options_help(FILE *f, bool full)
{
	fputs("Virtio-fs vhost-user device daemon: shares a directory with a virtual "
	      "machine.\n\n" USAGE "Options:\n",
	    f);
	for (const struct row *row = options_rows; !row_is_end(row); row++)
		if (row->help != NULL)
			print_row(f, row, full);
}

void
options_capabilities(FILE *f)
{
	fputs("{\n  \"type\": \"fs\",\n  \"features\": [\n    \"migrate-precopy\",\n    "
	      "\"posix-acl-negotiation-mode\",\n    \"security-label-negotiation-mode\",\n    "
	      "\"separate-options\"\n  ]\n}\n",
	    f);
}
