/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RUST_LOG (spec/cli.md section 7). Runs in: monitor. Bytes written by: whoever starts the daemon (trusted); text that
 * is matched: front, worker (hostile, bounded by CTL_LOG_TEXT).
 */
#include "monitor/logfilter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const level_names[] = { "off", "error", "warn", "info", "debug", "trace" };

static bool
find_level(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < countof(level_names); i++)
		if (strcasecmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

/* A module that has a rule already gets another level. */
static void
add(struct log_filter *f, const char *module, enum log_level level)
{
	const size_t len = strlen(module);

	for (size_t i = 0; i < f->n; i++)
		if (f->rule[i].len == len && memcmp(f->rule[i].module, module, len) == 0) {
			f->rule[i].level = level;
			return;
		}
	f->rule = reallocarray(f->rule, f->n + 1, sizeof(*f->rule));
	if (f->rule == NULL)
		fatalx("out of memory");
	f->rule[f->n++] = (struct log_rule){ .module = module, .len = len, .level = level };
}

static char *
trim(char *s)
{
	char *end = s + strlen(s);

	while (isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

/* "level", "module" or "module=level". Returns NULL, or the part that makes no sense. */
static const char *
add_rule(struct log_filter *f, char *item)
{
	char *value = strchr(item, '=');
	enum log_level level = LOG_TRACE;

	if (value == NULL && find_level(item, &level)) {
		add(f, "", level);
		return NULL;
	}
	if (value != NULL) {
		*value = '\0';
		value = trim(value + 1);
		if (value[0] != '\0' && !find_level(value, &level))
			return value;
	}
	add(f, trim(item), level);
	return NULL;
}

void
logfilter_level(struct log_filter *f, enum log_level level)
{
	*f = (struct log_filter){ .spec = NULL };
	add(f, "", level);
}

const char *
logfilter_parse(struct log_filter *f, const char *spec)
{
	const char *bad = NULL, *why;
	char *rules, *text, *item;

	*f = (struct log_filter){ .spec = strdup(spec) };
	if (f->spec == NULL)
		fatalx("out of memory");
	rules = f->spec;
	if ((text = strchr(rules, '/')) != NULL) {
		*text++ = '\0';
		if (strchr(text, '/') != NULL) {
			/* As env_logger: two slashes make all of it meaningless. */
			bad = spec;
			text = rules = NULL;
		}
	}
	while ((item = strsep(&rules, ",")) != NULL) {
		item = trim(item);
		if (item[0] != '\0' && (why = add_rule(f, item)) != NULL && bad == NULL)
			bad = why;
	}
	if (f->n == 0)
		add(f, "", LOG_ERROR);
	if (text != NULL && text[0] != '\0') {
		f->has_text = regcomp(&f->text, text, REG_EXTENDED | REG_NOSUB) == 0;
		if (!f->has_text && bad == NULL)
			bad = text;
	}
	return bad;
}

enum log_level
logfilter_of(const struct log_filter *f, const char *module)
{
	const struct log_rule *best = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct log_rule *r = &f->rule[i];

		if (strncmp(module, r->module, r->len) == 0 && (best == NULL || r->len > best->len))
			best = r;
	}
	return best != NULL ? best->level : LOG_OFF;
}

bool
logfilter_matches(const struct log_filter *f, const char *text)
{
	return !f->has_text || regexec(&f->text, text, 0, NULL, 0) == 0;
}

void
logfilter_free(struct log_filter *f)
{
	if (f->has_text)
		regfree(&f->text);
	free(f->rule);
	free(f->spec);
	*f = (struct log_filter){ .spec = NULL };
}
