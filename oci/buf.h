/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing string and a JSON writer on top of it. Out of memory is remembered and the buffer stays
 * a valid string; buf_ok() tells.
 */
#ifndef NACRE_OCI_BUF_H
#define NACRE_OCI_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *s; /* NUL-terminated, or NULL while empty */
	size_t len, cap;
	bool failed;
	/* JSON layout */
	const char *indent; /* one level's text, NULL: everything on one line */
	unsigned depth;
	bool first; /* nothing written yet in the innermost object or array */
};

void buf_free(struct buf *b);
#define cleanup_buf __attribute__((cleanup(buf_free)))
bool buf_ok(const struct buf *b);
void buf_add(struct buf *b, const char *s, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_json_string(struct buf *b, const char *s);

/* JSON: key NULL inside arrays and at the top. */
void json_object(struct buf *b, const char *key);
void json_array(struct buf *b, const char *key);
void json_end_object(struct buf *b);
void json_end_array(struct buf *b);
void json_str(struct buf *b, const char *key, const char *value);
void json_uint(struct buf *b, const char *key, uint64_t value);
void json_int(struct buf *b, const char *key, int64_t value);
void json_bool(struct buf *b, const char *key, bool value);
/* value is JSON text already. */
void json_raw(struct buf *b, const char *key, const char *value);
void json_strings(struct buf *b, const char *key, const char *const *list, size_t n);

#endif
