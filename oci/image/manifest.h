/* SPDX-License-Identifier: Apache-2.0 */
/* From a source to one image: its configuration and its layers, bottom first. */
#ifndef NACRE_OCI_IMAGE_MANIFEST_H
#define NACRE_OCI_IMAGE_MANIFEST_H

#include "oci/image/platform.h"
#include "oci/image/source.h"
#include "oci/image/stream.h"
#include "oci/json.h"

#define IMAGE_REF_NAME "org.opencontainers.image.ref.name" /* annotation */

struct image {
	yajl_val config;
	char config_name[160]; /* for errors */
	struct image_layer *layers;
	size_t nlayers;
};

/* ref NULL: there is only one. */
int image_find(const struct image_source *s, const char *ref, const struct platform *want,
	       struct image *out, struct oci_error *err);
void image_free(struct image *i);
/* The image that a manifest in a layout describes. */
int image_of_manifest(const struct image_source *s, const struct digest *d, uint64_t size,
		      const struct platform *want, struct image *out, struct oci_error *err);

struct descriptor;
/*
 * What a manifest names: the configuration and the layers, bottom first, with media types checked.
 * layers: the caller's to free; strings in them live as long as m.
 */
int manifest_read(yajl_val m, const char *file, struct descriptor *config,
		  struct descriptor **layers, size_t *nlayers, struct oci_error *err);
/* Is the configuration for the platform? */
int image_check_config(const struct image_source *s, const struct digest *d, uint64_t size,
		       const struct platform *want, struct oci_error *err);

/* choose.c: the manifest that index.json and the indexes it names lead to. */
struct descriptor {
	struct digest digest;
	uint64_t size;
	const char *media, *os, *arch, *variant, *ref; /* NULL: not given */
};

struct choice {
	struct digest digest;
	uint64_t size;
};

bool media_is_index(const char *media);
bool media_is_manifest(const char *media);
int descriptor_read(struct json_in *in, yajl_val obj, const char *path, struct descriptor *d);
int image_choose(const struct image_source *s, const char *ref, const struct platform *want,
		 struct choice *out, struct oci_error *err);
/* Make the blob of an index readable in the source. 0 or -errno with err filled. */
typedef int image_fetch(void *arg, const struct digest *d, uint64_t size, struct oci_error *err);
/* The same below one index, each index being fetched before it is read. */
int image_choose_below(const struct image_source *s, const struct choice *index,
		       const struct platform *want, image_fetch *fetch, void *arg,
		       struct choice *out, struct oci_error *err);
int image_document(const struct image_source *s, const char *name, const struct digest *d,
		   uint64_t size, yajl_val *out, struct oci_error *err);

#endif
