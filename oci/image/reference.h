/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images in registries: HOST[:PORT]/PATH[:TAG][@DIGEST], by the grammar registries share
 * (distribution-spec, "Pulling manifests"; lower-case path components, tags of at most 128
 * characters). What passes is safe as a part of a URL path and of a header.
 */
#ifndef NACRE_OCI_IMAGE_REFERENCE_H
#define NACRE_OCI_IMAGE_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/error.h"
#include "oci/image/digest.h"

#define REFERENCE_MAX_HOST 260 /* a DNS name, a colon, a port and NUL */
#define REFERENCE_MAX_NAME 256 /* the path, with NUL */
#define REFERENCE_MAX_TAG 129
#define REFERENCE_MAX_TEXT \
	(REFERENCE_MAX_HOST + REFERENCE_MAX_NAME + REFERENCE_MAX_TAG + DIGEST_MAX)

struct reference {
	char host[REFERENCE_MAX_HOST]; /* with its port; "": the name does not say */
	char path[REFERENCE_MAX_NAME];
	char tag[REFERENCE_MAX_TAG]; /* "": none; "latest" where there is no digest either */
	struct digest digest;
};

/*
 * The first component is a host when it has a dot, a colon or a capital, or is "localhost". 0 or
 * -EINVAL with err saying which part is wrong.
 */
int reference_parse(const char *text, struct reference *r, struct oci_error *err);
/* HOST[:PORT] alone, as options and configuration files name registries. */
bool reference_host_valid(const char *host, size_t len);
/* PATH alone. */
bool reference_path_valid(const char *path);
/*
 * Complete a name without a host: names of one component get the name space in front (NULL or "":
 * none). -EINVAL when registry is NULL and one is needed.
 */
int reference_complete(struct reference *r, const char *registry, const char *name_space,
		       struct oci_error *err);
/* HOST/PATH */
void reference_name(const struct reference *r, char *out, size_t len);
/* The whole of it, with everything that is set. */
void reference_text(const struct reference *r, char *out, size_t len);

#endif
