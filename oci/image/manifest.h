/* SPDX-License-Identifier: Apache-2.0 */
/* From a source to one image: its configuration and its layers, bottom first. */
#ifndef NACRE_OCI_IMAGE_MANIFEST_H
#define NACRE_OCI_IMAGE_MANIFEST_H

#include "oci/image/platform.h"
#include "oci/image/source.h"
#include "oci/image/stream.h"
#include "oci/json.h"

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

int descriptor_read(struct json_in *in, yajl_val obj, const char *path, struct descriptor *d);
int image_choose(const struct image_source *s, const char *ref, const struct platform *want,
		 struct choice *out, struct oci_error *err);
int image_document(const struct image_source *s, const char *name, const struct digest *d,
		   uint64_t size, yajl_val *out, struct oci_error *err);

#endif
