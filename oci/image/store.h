/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content store: one OCI layout that all images share, owned by nacre.
 *
 *	oci-layout, index.json	the layout; index.json names the images by HOST/PATH[:TAG][@DIGEST]
 *	blobs/ALGORITHM/HEX	whole, verified, never changed
 *	partial/ALGORITHM-HEX	being downloaded; its owner holds an flock(2) on it, so that a second
 *				pull waits for it and what a killed one left is gone on with
 *	lock			flock(2): shared while blobs are added or read, exclusive to collect
 *	index.lock		flock(2): exclusive while index.json is replaced
 *
 * A blob is flushed to the disk before it gets its name, the directories of blobs before an image is
 * named, index.json before and after it is renamed: what index.json names is whole after any crash.
 *
 * Lock order: lock, partial, index.lock. The kernel drops them with the process that held them.
 */
#ifndef NACRE_OCI_IMAGE_STORE_H
#define NACRE_OCI_IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/error.h"
#include "oci/image/digest.h"
#include "oci/image/reference.h"

/* What a killed or failed pull left is kept so long for the next attempt. */
#define STORE_KEEP_SECONDS (24 * 60 * 60)

struct store {
	const char *path; /* the caller's */
	int dir, lock;
};

/* With the shared lock. create: make what is missing; else -ENOENT when there is no store. */
int store_open(struct store *s, const char *path, bool create, struct oci_error *err);
void store_close(struct store *s);

/* 1: the blob is there with this size; 0: it is not; -errno. */
int store_has(const struct store *s, const struct digest *d, uint64_t size, struct oci_error *err);
/*
 * Begin to add a blob, alone: waits while another process adds the same. 1: it is there meanwhile;
 * 0: *fd is the partial file, open for reading and writing, with what an earlier attempt got.
 */
int store_begin(const struct store *s, const struct digest *d, uint64_t size, int *fd,
		struct oci_error *err);
/* The file is whole and was verified: give it its name. Closes fd. */
int store_commit(const struct store *s, const struct digest *d, int fd, struct oci_error *err);
/* Leave it for the next attempt, or, with remove, do not. Closes fd. */
void store_leave(const struct store *s, const struct digest *d, int fd, bool remove);

struct store_entry {
	char name[REFERENCE_MAX_TEXT];
	char media[128];
	struct digest digest;
	uint64_t size;	/* of the document */
	uint64_t bytes; /* by store_list(): of all blobs there are of it */
};

/* Name an image; what had the name loses it. */
int store_name(const struct store *s, const struct store_entry *e, struct oci_error *err);
/* The entry a reference means; -ENOENT. A digest alone finds any tag of that name with it. */
int store_find(const struct store *s, const struct reference *ref, struct store_entry *out,
	       struct oci_error *err);
/* Take the name away; its blobs go with the next collection. -ENOENT. */
int store_unname(const struct store *s, const char *name, struct oci_error *err);
/* All entries, for free(). */
int store_list(const struct store *s, struct store_entry **out, size_t *n, struct oci_error *err);

struct store_collected {
	uint64_t blobs, bytes; /* removed */
};
/*
 * Remove blobs no image has and unfinished downloads: those older than STORE_KEEP_SECONDS, or all.
 * -EBUSY when another process uses the store.
 */
int store_collect(const struct store *s, bool all, struct store_collected *out,
		  struct oci_error *err);

#endif
