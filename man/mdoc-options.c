/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the option list of virtiofsd(8), in mdoc(7), from the table that the daemon parses with: `make man` puts it into
 * the manual page, tests/man-options compares. With --items: the names of what -o takes. Runs in: the build. Bytes written by: this repository.
 */
#include <ctype.h>
#include <string.h>

#include "monitor/options_table.h"

#define LINE_MAX_COLS 79

static int col; /* of the text line that is open; 0 = none */

static void
end_line(void)
{
	if (col > 0)
		putchar('\n');
	col = 0;
}

/* ".MACRO word punctuation", on a line of its own. */
static void
macro(const char *name, const char *word, size_t n, const char *punctuation)
{
	end_line();
	printf("%s %.*s", name, (int)n, word);
	for (; *punctuation != '\0'; punctuation++)
		printf(" %c", *punctuation);
	putchar('\n');
}

/* An option in a text: "--name" or "--name=value". */
static void
option(const char *word, size_t n, const char *punctuation)
{
	const char *eq = memchr(word, '=', n);
	char text[128];

	if (eq == NULL) {
		macro(".Fl", word + 1, n - 1, punctuation);
		return;
	}
	snprintf(text, sizeof(text), "%.*s Ns = Ns Cm %.*s", (int)(eq - word - 1), word + 1,
	    (int)(word + n - eq - 1), eq + 1);
	macro(".Fl", text, strlen(text), punctuation);
}

/* "name(8)" is a cross reference. */
static bool
is_page(const char *word, size_t n)
{
	return n > 3 && word[n - 3] == '(' && isdigit((unsigned char)word[n - 2]) &&
	    word[n - 1] == ')';
}

/* One word of n bytes with what ends it: ".", ":" ... */
static void
word(const struct row *row, const char *w, size_t n, const char *punctuation)
{
	char page[64];

	if (n > 2 && strncmp(w, "--", 2) == 0)
		option(w, n, punctuation);
	else if (row->arg != NULL && strlen(row->arg) == n && memcmp(row->arg, w, n) == 0)
		macro(".Ar", w, n, punctuation);
	else if (is_page(w, n)) {
		snprintf(page, sizeof(page), "%.*s %c", (int)n - 3, w, w[n - 2]);
		macro(".Xr", page, strlen(page), punctuation);
	} else {
		if (col + 1 + (int)(n + strlen(punctuation)) > LINE_MAX_COLS)
			end_line();
		col += printf("%s%.*s%s", col > 0 ? " " : "", (int)n, w, punctuation);
	}
	if (strcmp(punctuation, ".") == 0)
		end_line();
}

static void
text(const struct row *row, const char *s)
{
	while (*s != '\0') {
		size_t n = strcspn(s, " "), core = n;
		char punctuation[8];

		while (core > 1 && n - core < sizeof(punctuation) - 1 &&
		    strchr(".,;:", s[core - 1]) != NULL)
			core--;
		/* Not where a colon is part of the word: ":map::user.virtiofs.:". */
		if (s[0] == ':')
			core = n;
		snprintf(punctuation, sizeof(punctuation), "%.*s", (int)(n - core), s + core);
		word(row, s, core, punctuation);
		s += n;
		s += strspn(s, " ");
	}
	end_line();
}

static void
heading(const struct row *row)
{
	printf(".It Fl ");
	if (row->letter != 0)
		printf("%c%s", row->letter, row->name != NULL ? " , " : "");
	if (row->name != NULL)
		printf("-%s", row->name);
	if (row->bare != NULL)
		printf(" Ns Op = Ns Ar %s", row->arg);
	else if (row->arg != NULL)
		printf((row->flags & ROW_ATTACHED) != 0 ? " Ns = Ns Ar %s" : " Ar %s", row->arg);
	putchar('\n');
}

static void
words(const struct row *row)
{
	puts(".Bl -tag -width Ds -compact");
	for (const struct word *w = row->words; w->name != NULL; w++) {
		if (w->help == NULL)
			continue;
		printf(".It Cm %s%s\n", w->name,
		    row->def != NULL && strcmp(row->def, w->name) == 0 ? " Pq default" : "");
		text(row, w->help);
	}
	puts(".El");
}

/* What -o takes, a name a line. */
static int
items(void)
{
	for (const struct row *row = options_items; !row_is_end(row); row++)
		puts(row->name);
	return fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char *argv[])
{
	if (argc == 2 && strcmp(argv[1], "--items") == 0)
		return items();
	for (const struct row *row = options_rows; !row_is_end(row); row++) {
		if (row->help == NULL)
			continue;
		heading(row);
		text(row, row->help);
		if (row->more != NULL)
			text(row, row->more);
		if (row->words != NULL)
			words(row);
		else if (row->def != NULL)
			printf("The default is %s.\n", row->def);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
