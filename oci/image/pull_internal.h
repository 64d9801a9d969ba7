/* SPDX-License-Identifier: Apache-2.0 */
/* A pull under way, shared by its files. */
#ifndef NACRE_OCI_IMAGE_PULL_INTERNAL_H
#define NACRE_OCI_IMAGE_PULL_INTERNAL_H

#include <stdatomic.h>

#include "oci/image/http.h"
#include "oci/image/manifest.h"
#include "oci/image/pull.h"
#include "oci/image/registry.h"
#include "oci/image/store.h"

struct pull {
	const struct pull_options *options;
	struct reference ref;
	struct store store;
	struct http_tls tls;
	struct registry *registries; /* mirrors first, the registry itself last */
	size_t nregistries;
	_Atomic size_t first;	     /* the one that answered: where blobs are asked for first */
	_Atomic uint64_t got, total; /* bytes of blobs, for the display */
	_Atomic bool stop;	     /* one download failed: the others end */
};

/* A blob into the store, from whichever registry has it. Threads may call it, each with its own h. */
int pull_blob(struct pull *p, struct http *h, const struct digest *d, uint64_t size,
	      struct oci_error *err);
/* All of them, several at once. */
int pull_blobs(struct pull *p, const struct descriptor *list, size_t n, struct oci_error *err);
/*
 * A manifest or index by its tag or digest into the store; out says what it is. want: the digest it
 * must have, or empty.
 */
int pull_document(struct pull *p, struct http *h, const char *name, const struct digest *want,
		  struct store_entry *out, struct oci_error *err);

#endif
