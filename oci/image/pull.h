/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a registry into the content store: what the helper program nacre-pull does for `nacre pull`.
 * A program of its own: libcurl and what it loads are wanted by nothing else, and what speaks with
 * strangers over the network gives up everything but that and the store (pull_walls.c).
 *
 * Order: manifest or index, the platform's manifest, configuration, layers (several at once), the
 * name in the store. Nothing is named before everything it leads to is there and verified.
 */
#ifndef NACRE_OCI_IMAGE_PULL_H
#define NACRE_OCI_IMAGE_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/error.h"
#include "oci/image/image.h"
#include "oci/image/reference.h"

#define PULL_MAX_PARALLEL 16

struct pull_options {
	const char *image, *store;
	const char *platform;		      /* NULL: the host's */
	const char *registry;		      /* of a name without one; NULL: the configured one */
	const char *registries;		      /* configuration file, NULL: the usual places */
	const char *const *mirrors;	      /* tried before the registry; ends with NULL */
	const char *auth_file, *creds;	      /* NULL: the usual files; "USER:PASSWORD" */
	const char *cert_dir;		      /* NULL: the usual ones */
	bool insecure;			      /* do not check certificates */
	unsigned retries, delay_ms, parallel; /* delay_ms: before the second attempt */
	uint64_t max_size;		      /* bytes of all blobs together */
	bool progress;			      /* show it on standard error */
};

/* 0: the image is in the store, and *name, for free(), says which: HOST/PATH@DIGEST. */
int image_pull(const struct pull_options *o, char **name, struct oci_error *err);

/*
 * Give up what pulling does not need: capabilities, new privileges, core dumps, programs, other
 * directories to write to than the store's. Descriptors stay. 0 or -errno with err filled.
 */
int pull_confine(int store, struct oci_error *err);

#endif
