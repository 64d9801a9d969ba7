/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->s);
	*b = (struct buf){0};
}

bool buf_ok(const struct buf *b)
{
	return !b->failed && b->s;
}

static bool reserve(struct buf *b, size_t more)
{
	size_t want = b->len + more + 1, cap = b->cap ? b->cap : 256;
	char *s;

	if (b->failed || want < more) {
		b->failed = true;
		return false;
	}
	if (want <= b->cap)
		return true;
	while (cap < want)
		cap *= 2;
	s = realloc(b->s, cap);
	if (!s) {
		b->failed = true;
		return false;
	}
	b->s = s, b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const char *s, size_t n)
{
	if (!reserve(b, n))
		return;
	memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

/* Length of the UTF-8 sequence at p, 0 when it is not one (RFC 3629). */
static size_t utf8_len(const unsigned char *p)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void buf_json_string(struct buf *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	buf_str(b, "\"");
	while (*p) {
		size_t n = utf8_len(p);

		if (!n) {
			buf_str(b, "\\ufffd");
			p++;
			continue;
		}
		if (*p == '"' || *p == '\\')
			buf_printf(b, "\\%c", *p);
		else if (*p == '\n')
			buf_str(b, "\\n");
		else if (*p == '\t')
			buf_str(b, "\\t");
		else if (*p == '\r')
			buf_str(b, "\\r");
		else if (*p < 0x20 || *p == 0x7f)
			buf_printf(b, "\\u%04x", *p);
		else
			buf_add(b, (const char *)p, n);
		p += n;
	}
	buf_str(b, "\"");
}

static void newline(struct buf *b)
{
	if (!b->indent)
		return;
	buf_str(b, "\n");
	for (unsigned i = 0; i < b->depth; i++)
		buf_str(b, b->indent);
}

static void begin_value(struct buf *b, const char *key)
{
	if (b->depth) {
		if (!b->first)
			buf_str(b, ",");
		newline(b);
	}
	b->first = false;
	if (key) {
		buf_json_string(b, key);
		buf_str(b, b->indent ? ": " : ":");
	}
}

static void open_group(struct buf *b, const char *key, const char *mark)
{
	begin_value(b, key);
	buf_str(b, mark);
	b->depth++;
	b->first = true;
}

static void close_group(struct buf *b, const char *mark)
{
	bool empty = b->first;

	b->depth--;
	if (!empty)
		newline(b);
	buf_str(b, mark);
	b->first = false;
}

void json_object(struct buf *b, const char *key)
{
	open_group(b, key, "{");
}

void json_array(struct buf *b, const char *key)
{
	open_group(b, key, "[");
}

void json_end_object(struct buf *b)
{
	close_group(b, "}");
}

void json_end_array(struct buf *b)
{
	close_group(b, "]");
}

void json_str(struct buf *b, const char *key, const char *value)
{
	begin_value(b, key);
	buf_json_string(b, value);
}

void json_uint(struct buf *b, const char *key, uint64_t value)
{
	begin_value(b, key);
	buf_printf(b, "%" PRIu64, value);
}

void json_int(struct buf *b, const char *key, int64_t value)
{
	begin_value(b, key);
	buf_printf(b, "%" PRId64, value);
}

void json_bool(struct buf *b, const char *key, bool value)
{
	begin_value(b, key);
	buf_str(b, value ? "true" : "false");
}

void json_raw(struct buf *b, const char *key, const char *value)
{
	begin_value(b, key);
	buf_str(b, value);
}

void json_strings(struct buf *b, const char *key, const char *const *list, size_t n)
{
	json_array(b, key);
	for (size_t i = 0; i < n; i++)
		json_str(b, NULL, list[i]);
	json_end_array(b);
}
