/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of an image's bundle, by the image specification's rules of conversion. */
#ifndef NACRE_OCI_IMAGE_BUNDLE_CONFIG_H
#define NACRE_OCI_IMAGE_BUNDLE_CONFIG_H

#include "oci/buf.h"
#include "oci/image/image.h"
#include "oci/image/manifest.h"

/* root: the finished root file system. */
int bundle_config(struct buf *out, const struct image *image, const struct image_options *o,
		  int root, struct oci_error *err);
/* process.cwd of the image: "/" when it says nothing. Absolute; the caller's to free. */
char *bundle_cwd(const struct image *image);

#endif
