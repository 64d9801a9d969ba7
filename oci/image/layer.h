/* SPDX-License-Identifier: Apache-2.0 */
/* Applying a layer to the root file system: files, links, devices, whiteouts. */
#ifndef NACRE_OCI_IMAGE_LAYER_H
#define NACRE_OCI_IMAGE_LAYER_H

#include "oci/image/stream.h"
#include "oci/image/target.h"

struct layer_progress {
	uint64_t entries, max_entries;		  /* of all layers */
	uint64_t bytes;				  /* of files written */
	void (*report)(struct layer_progress *p); /* after each entry, or NULL */
};

/* The whole of a layer, its digests included. */
int layer_apply(struct target *t, struct layer_stream *s, struct layer_progress *p,
		struct oci_error *err);

/* layer_node.c: one entry, whose path is clean and not a whiteout. */
struct archive;
struct archive_entry;
int layer_node(struct target *t, struct archive *a, struct archive_entry *e, const char *path,
	       struct layer_progress *p, const char **what);

#endif
