/* SPDX-License-Identifier: Apache-2.0 */
/* Digests as image documents write them, "sha256:HEX", and hashing as bytes pass by. */
#ifndef NACRE_OCI_IMAGE_DIGEST_H
#define NACRE_OCI_IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_MAX 136 /* "sha512:", 128 digits and NUL */

struct digest {
	char text[DIGEST_MAX]; /* "": none */
};

/*
 * False: not one of the registered algorithms with exactly its number of lower-case digits. What
 * passes is safe as a part of a path.
 */
bool digest_parse(const char *text, struct digest *d);
/* "blobs/ALGORITHM/HEX" */
void digest_blob_path(const struct digest *d, char *out, size_t len);

struct hasher {
	void *ctx; /* NULL: hashes nothing and agrees with everything */
};

/* For comparing with d later; an empty d gives the indifferent hasher. False: out of memory. */
bool hasher_start(struct hasher *h, const struct digest *d);
void hasher_add(struct hasher *h, const void *p, size_t n);
/* Ends hashing. True when the bytes have digest d; found gets what they have. */
bool hasher_agrees(struct hasher *h, const struct digest *d, struct digest *found);
void hasher_free(struct hasher *h);

#endif
