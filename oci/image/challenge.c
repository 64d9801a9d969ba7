/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/challenge.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_VALUE 1024

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *p)
{
	size_t n = 0;

	while (is_token_char((unsigned char)p[n]))
		n++;
	return n;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* A value, quoted or not; NULL: malformed or too long. */
static const char *read_value(const char *p, char out[MAX_VALUE])
{
	size_t n = 0;

	if (*p != '"') {
		n = token_length(p);
		if (!n || n >= MAX_VALUE)
			return NULL;
		memcpy(out, p, n);
		out[n] = '\0';
		return p + n;
	}
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if ((unsigned char)*p < ' ' || *p == 127 || n + 1 >= MAX_VALUE)
			return NULL;
		out[n++] = *p;
	}
	out[n] = '\0';
	return p + 1;
}

static bool keep(const char *name, size_t len, const char *value, struct challenge *c)
{
	const struct {
		const char *name;
		char *to;
		size_t room;
	} known[] = {{"realm", c->realm, sizeof(c->realm)},
		     {"service", c->service, sizeof(c->service)}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (len == strlen(known[i].name) && !strncasecmp(name, known[i].name, len)) {
			if (strlen(value) >= known[i].room)
				return false;
			snprintf(known[i].to, known[i].room, "%s", value);
		}
	return true;
}

/* name=value pairs up to the end or the next scheme; NULL: malformed. */
static const char *read_params(const char *p, struct challenge *c)
{
	char value[MAX_VALUE];

	for (;;) {
		size_t n;
		const char *eq;

		p += strspn(p, " \t,");
		n = token_length(p);
		eq = skip_blanks(p + n);
		if (!n || *eq != '=')
			return n || !*p ? p : NULL;
		eq = read_value(skip_blanks(eq + 1), value);
		if (!eq || !keep(p, n, value, c))
			return NULL;
		p = skip_blanks(eq);
		if (*p && *p != ',')
			return NULL;
	}
}

void challenge_read(const char *header, struct challenge *c)
{
	static const struct {
		const char *scheme;
		enum challenge_kind kind;
	} known[] = {{"basic", CHALLENGE_BASIC}, {"bearer", CHALLENGE_BEARER}};
	const char *p = header;

	while (p && *(p += strspn(p, " \t,"))) {
		struct challenge one = {.kind = CHALLENGE_NONE};
		size_t n = token_length(p);

		if (!n || (p[n] && p[n] != ' ' && p[n] != ','))
			return;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i].scheme) == n && !strncasecmp(p, known[i].scheme, n))
				one.kind = known[i].kind;
		p = read_params(p + n, &one);
		if (!p || (one.kind == CHALLENGE_BEARER && !one.realm[0]))
			return;
		if (one.kind > c->kind)
			*c = one;
	}
}
