/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON with errors that name file and key. The text is bounded before the parser sees it:
 * size, nesting, and no NUL characters hidden in strings.
 */
#ifndef NACRE_OCI_JSON_H
#define NACRE_OCI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yajl/yajl_tree.h>

#include "oci/error.h"

#define JSON_MAX_SIZE  (16u << 20) /* bytes of one document */
#define JSON_MAX_DEPTH 64

struct json_in {
	const char *file; /* for errors: "config.json" */
	struct oci_error *err;
};

/* NULL with err filled, or a tree for yajl_tree_free(). */
yajl_val json_parse(const char *text, size_t len, const char *file, struct oci_error *err);
/* The whole of a file (or, path "-", standard input) as a NUL-terminated string, at most max bytes. */
int json_read_file(int dirfd, const char *path, size_t max, char **out, size_t *len,
		   struct oci_error *err);

/* The member's value; NULL when it is absent or null. The last of equal keys counts. */
yajl_val json_get(yajl_val obj, const char *key);

/*
 * Typed members: obj's path in the document is `path` ("" at the top). Absent ones leave *out alone
 * and return 0; a wrong type or range is an error "FILE: path.key must be ...".
 */
int json_in_string(struct json_in *in, yajl_val obj, const char *path, const char *key,
		   const char **out);
int json_in_bool(struct json_in *in, yajl_val obj, const char *path, const char *key, bool *out);
int json_in_int(struct json_in *in, yajl_val obj, const char *path, const char *key, int64_t min,
		int64_t max, int64_t *out);
int json_in_u64(struct json_in *in, yajl_val obj, const char *path, const char *key, uint64_t *out);
/* *out NULL when absent. */
int json_in_object(struct json_in *in, yajl_val obj, const char *path, const char *key,
		   yajl_val *out);
int json_in_array(struct json_in *in, yajl_val obj, const char *path, const char *key, size_t max,
		  yajl_val *out);
/* "path.key" or "key". */
const char *json_path(char *buf, size_t len, const char *path, const char *key);

#endif
