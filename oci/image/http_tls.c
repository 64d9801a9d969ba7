/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates read before the process gives up reading files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cleanup.h"
#include "oci/image/http.h"
#include "oci/json.h"

#define MAX_PEM (1u << 20)

static int read_pem(int dir, const char *name, struct buf *to, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = json_read_file(dir, name, MAX_PEM, &text, &len, err);

	if (r)
		return r;
	buf_add(to, text, len);
	buf_str(to, "\n");
	return buf_ok(to) ? 0 : oci_fail_errno(err, ENOMEM, "%s", name);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !strcmp(s + n - m, end);
}

static int read_one(struct http_tls *t, int dir, const char *name, struct oci_error *err)
{
	char key[NAME_MAX + 8];
	int r;

	if (ends_with(name, ".crt"))
		return read_pem(dir, name, &t->roots, err);
	if (!ends_with(name, ".cert") || t->cert.len)
		return 0;
	snprintf(key, sizeof(key), "%.*s.key", (int)(strlen(name) - strlen(".cert")), name);
	r = read_pem(dir, name, &t->cert, err);
	return r ? r : read_pem(dir, key, &t->key, err);
}

int http_tls_load(struct http_tls *t, const char *dir, const char *host, bool asked,
		  struct oci_error *err)
{
	cleanup_dir DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return !asked ? 0 : oci_fail_errno(err, errno, "certificates in %s", dir);
	snprintf(t->client_host, sizeof(t->client_host), "%s", host);
	while (!r && (e = readdir(d)))
		r = read_one(t, dirfd(d), e->d_name, err);
	return r ? oci_fail_prefix(err, "certificates in %s: ", dir) : 0;
}

void http_tls_free(struct http_tls *t)
{
	buf_free(&t->roots);
	buf_free(&t->cert);
	buf_free(&t->key);
}
