/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the content store share. */
#ifndef NACRE_OCI_IMAGE_STORE_INTERNAL_H
#define NACRE_OCI_IMAGE_STORE_INTERNAL_H

#include "oci/image/source.h"
#include "oci/image/store.h"

/* The lock under which files beside the blobs are replaced, dropped by closing it; -errno. */
int store_lock_index(const struct store *s);
/* Write it beside, flush it, rename it. 0 or -errno. */
int store_replace_file(const struct store *s, const char *name, const char *text, size_t len);
/* The store as the source of an image; nothing to close. */
struct image_source store_source(const struct store *s);

/* Digests of blobs, sorted when it is asked. */
struct digest_set {
	struct digest *list;
	size_t n, cap;
};
/*
 * Add a document's blob and all it leads to; those that are not in the store are for platforms that
 * were not pulled. bytes gets the size of those there are.
 */
int store_mark(const struct store *s, const struct digest *d, bool document, unsigned depth,
	       struct digest_set *set, uint64_t *bytes, struct oci_error *err);
bool digest_set_has(const struct digest_set *set, const char *text);
void digest_set_free(struct digest_set *set);

#endif
