/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"

/*
 * yajl frees trees by recursion and keeps strings as C strings: refuse what would exhaust the stack
 * or be cut short, before parsing.
 */
static int prescan(const char *s, size_t len, const char *file, struct oci_error *err)
{
	unsigned depth = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\0')
			return oci_fail(err, EINVAL, "%s: contains a NUL byte at offset %zu", file,
					i);
		if (string) {
			if (s[i] == '"')
				string = false;
			else if (s[i] == '\\') {
				if (len - i > 5 && !strncmp(s + i, "\\u0000", 6))
					return oci_fail(err, EINVAL,
							"%s: a string contains a NUL character at "
							"offset %zu",
							file, i);
				i++;
			}
		} else if (s[i] == '"') {
			string = true;
		} else if (s[i] == '{' || s[i] == '[') {
			if (++depth > JSON_MAX_DEPTH)
				return oci_fail(err, EINVAL, "%s: nested deeper than %d levels",
						file, JSON_MAX_DEPTH);
		} else if ((s[i] == '}' || s[i] == ']') && depth) {
			depth--;
		}
	}
	return 0;
}

yajl_val json_parse(const char *text, size_t len, const char *file, struct oci_error *err)
{
	char why[512] = "";
	cleanup_free char *copy = NULL;
	yajl_val v;

	if (len > JSON_MAX_SIZE) {
		oci_fail(err, EFBIG, "%s: larger than %u bytes", file, JSON_MAX_SIZE);
		return NULL;
	}
	if (prescan(text, len, file, err))
		return NULL;
	copy = strndup(text, len);
	if (!copy) {
		oci_fail_errno(err, ENOMEM, "%s", file);
		return NULL;
	}
	v = yajl_tree_parse(copy, why, sizeof(why));
	if (!v) {
		why[strcspn(why, "\n")] = '\0';
		oci_fail(err, EINVAL, "%s: not valid JSON: %s", file,
			 *why ? why : "unexpected end of file");
	}
	return v;
}

int json_read_file(int dirfd, const char *path, size_t max, char **out, size_t *len,
		   struct oci_error *err)
{
	bool std_in = !strcmp(path, "-");
	cleanup_fd int fd =
		std_in ? dup(STDIN_FILENO) : openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup_free char *s = NULL;
	size_t n = 0, cap = 0;

	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot open %s",
				      std_in ? "standard input" : path);
	for (;;) {
		ssize_t r;

		if (n + 1 >= cap) {
			cap = cap ? cap * 2 : 16384;
			char *more = realloc(s, cap);

			if (!more)
				return oci_fail_errno(err, ENOMEM, "%s", path);
			s = more;
		}
		r = read(fd, s + n, cap - n - 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return oci_fail_errno(err, errno, "cannot read %s", path);
		if (!r)
			break;
		n += (size_t)r;
		if (n > max)
			return oci_fail(err, EFBIG, "%s: larger than %zu bytes", path, max);
	}
	s[n] = '\0';
	*out = steal_ptr(&s);
	*len = n;
	return 0;
}

yajl_val json_get(yajl_val obj, const char *key)
{
	yajl_val found = NULL;

	if (!YAJL_IS_OBJECT(obj))
		return NULL;
	for (size_t i = 0; i < obj->u.object.len; i++)
		if (!strcmp(obj->u.object.keys[i], key))
			found = obj->u.object.values[i];
	return found && !YAJL_IS_NULL(found) ? found : NULL;
}

const char *json_path(char *buf, size_t len, const char *path, const char *key)
{
	snprintf(buf, len, "%s%s%s", path, *path && *key ? "." : "", key);
	return buf;
}

static int wrong(struct json_in *in, const char *path, const char *key, const char *what)
{
	char p[512];

	return oci_fail(in->err, EINVAL, "%s: %s must be %s", in->file,
			json_path(p, sizeof(p), path, key), what);
}

int json_in_string(struct json_in *in, yajl_val obj, const char *path, const char *key,
		   const char **out)
{
	yajl_val v = json_get(obj, key);

	if (!v)
		return 0;
	if (!YAJL_IS_STRING(v))
		return wrong(in, path, key, "a string");
	*out = v->u.string;
	return 0;
}

int json_in_bool(struct json_in *in, yajl_val obj, const char *path, const char *key, bool *out)
{
	yajl_val v = json_get(obj, key);

	if (!v)
		return 0;
	if (!YAJL_IS_TRUE(v) && !YAJL_IS_FALSE(v))
		return wrong(in, path, key, "true or false");
	*out = YAJL_IS_TRUE(v);
	return 0;
}

int json_in_int(struct json_in *in, yajl_val obj, const char *path, const char *key, int64_t min,
		int64_t max, int64_t *out)
{
	yajl_val v = json_get(obj, key);
	char what[96];

	if (!v)
		return 0;
	if (!YAJL_IS_INTEGER(v) || v->u.number.i < min || v->u.number.i > max) {
		snprintf(what, sizeof(what), "an integer from %" PRId64 " to %" PRId64, min, max);
		return wrong(in, path, key, what);
	}
	*out = v->u.number.i;
	return 0;
}

int json_in_u64(struct json_in *in, yajl_val obj, const char *path, const char *key, uint64_t *out)
{
	yajl_val v = json_get(obj, key);
	unsigned long long n;
	char *end;

	if (!v)
		return 0;
	/* yajl has no unsigned 64-bit numbers: RLIM_INFINITY needs its text. */
	if (!YAJL_IS_NUMBER(v) || !v->u.number.r[0] ||
	    strspn(v->u.number.r, "0123456789") != strlen(v->u.number.r))
		return wrong(in, path, key, "an unsigned integer");
	errno = 0;
	n = strtoull(v->u.number.r, &end, 10);
	if (errno)
		return wrong(in, path, key, "an unsigned integer of 64 bits");
	*out = n;
	return 0;
}

int json_in_object(struct json_in *in, yajl_val obj, const char *path, const char *key,
		   yajl_val *out)
{
	yajl_val v = json_get(obj, key);

	*out = NULL;
	if (v && !YAJL_IS_OBJECT(v))
		return wrong(in, path, key, "an object");
	*out = v;
	return 0;
}

int json_in_array(struct json_in *in, yajl_val obj, const char *path, const char *key, size_t max,
		  yajl_val *out)
{
	yajl_val v = json_get(obj, key);
	char what[64];

	*out = NULL;
	if (v && !YAJL_IS_ARRAY(v))
		return wrong(in, path, key, "an array");
	if (v && v->u.array.len > max) {
		snprintf(what, sizeof(what), "an array of at most %zu elements", max);
		return wrong(in, path, key, what);
	}
	*out = v;
	return 0;
}
