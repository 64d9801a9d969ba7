/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are for a registry: credentials from files in the format of containers-auth.json(5) and
 * docker's config.json: {"auths": {"HOST[/PATH]": {"auth": BASE64("USER:PASSWORD")}}}.
 */
#ifndef NACRE_OCI_IMAGE_CREDENTIALS_H
#define NACRE_OCI_IMAGE_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/error.h"

#define CREDENTIALS_MAX_FILE (1u << 20)

struct credentials {
	char basic[2048];    /* "USER:PASSWORD"; "": none */
	char identity[4096]; /* a refresh token instead, for the token service; "": none */
};

/* "USER:PASSWORD" of an option. */
int credentials_parse(const char *text, struct credentials *c, struct oci_error *err);
/*
 * The entry for HOST/PATH that says most: "HOST/a/b" before "HOST/a" before "HOST"; keys of docker's
 * own, "https://HOST/v1/", count as HOST. 1: found, 0: not there, -EINVAL: not such a file.
 */
int credentials_in_text(const char *text, size_t len, const char *file, const char *host,
			const char *path, struct credentials *c, struct oci_error *err);
/*
 * Look into file, or, when it is NULL, into $REGISTRY_AUTH_FILE, else (the first that knows the
 * registry) $XDG_RUNTIME_DIR/containers/auth.json, /run/containers/UID/auth.json,
 * $XDG_CONFIG_HOME/containers/auth.json and ~/.docker/config.json ($DOCKER_CONFIG). c is empty when
 * none has an entry.
 */
int credentials_find(const char *file, const char *host, const char *path, struct credentials *c,
		     struct oci_error *err);
/* "Basic BASE64" as a header's value; false: does not fit. */
bool credentials_basic_header(const struct credentials *c, char *out, size_t len);

#endif
