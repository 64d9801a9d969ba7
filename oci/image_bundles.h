/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundles that `nacre run --image` makes and removes. Beside each stands ID.owner, which names
 * the container and on which the command holds an flock(2): where nobody does, the command was
 * killed, and the next one removes what it left, unless its container still runs.
 */
#ifndef NACRE_OCI_IMAGE_BUNDLES_H
#define NACRE_OCI_IMAGE_BUNDLES_H

#include "oci/create.h"
#include "oci/error.h"

#define IMAGE_BUNDLE_ID 64

struct image_bundle {
	int dir;		  /* of all bundles */
	int owner;		  /* the locked file */
	char *path;		  /* of the bundle, which is not made yet */
	char id[IMAGE_BUNDLE_ID]; /* its name among them */
};

/* A new name, of a bundle or a container. */
int image_bundle_id(char id[IMAGE_BUNDLE_ID], struct oci_error *err);
/* A place for a new bundle of this name, for this container; sweeps first. */
int image_bundle_begin(struct image_bundle *b, const struct oci_global *g, const char *id,
		       const char *container, struct oci_error *err);
/* Remove the bundle with all that is in it. */
void image_bundle_end(struct image_bundle *b);
/* What killed commands left. */
int image_bundles_sweep(const struct oci_global *g, struct oci_error *err);

#endif
