/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a container image to a bundle: what the helper program nacre-image does for `nacre unpack`
 * and `nacre run --image`. It is a program of its own because the libraries it needs take longer to
 * load than a container takes to start.
 *
 * An image comes from strangers. The rules:
 * - a name in a layer never leads out of the new root file system. ".." is refused; a leading "/"
 *   means the root; links among the parents of an entry are followed as they would be inside the
 *   container (openat2(2), RESOLVE_IN_ROOT); the last component is never followed;
 * - every blob is checked against size and digest while it is read, every layer against the digest
 *   of its uncompressed bytes too; what was written before a mismatch showed is removed;
 * - uncompressed bytes and entries are bounded; so are documents, names and nesting;
 * - everything is unpacked under BUNDLE/.nacre-unpack, which only the user can enter, and moved
 *   into place when it is complete.
 */
#ifndef NACRE_OCI_IMAGE_IMAGE_H
#define NACRE_OCI_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/error.h"

#define IMAGE_MAX_DOCUMENT (4u << 20) /* bytes of an index, manifest or configuration */
#define IMAGE_MAX_LAYERS 512
#define IMAGE_MAX_NESTING 4    /* indexes in indexes */
#define IMAGE_MAX_CHOICES 1024 /* manifests looked at */

struct image_options {
	const char
		*image; /* [oci:|oci-archive:|docker-archive:]PATH[:REF], or a name in the store */
	const char *store;    /* the content store's directory, NULL: none */
	const char *registry; /* of names without one, and what goes before their one component */
	const char *name_space;
	const char *bundle;   /* a directory that is empty or does not exist */
	const char *platform; /* os/arch[/variant], NULL: the host's */
	uint64_t max_size;    /* uncompressed bytes of all layers together */
	uint64_t max_entries;
	const char *entrypoint;	 /* NULL: the image's; else replaces it, and its Cmd is dropped */
	const char *const *args; /* replace Cmd when nargs is not 0 */
	size_t nargs;
	bool terminal;	   /* process.terminal */
	bool want_command; /* no command in the image and none given is an error */
	bool progress;	   /* show it on standard error */
};

/* 0, or -errno with err filled and nothing left behind. */
int image_unpack(const struct image_options *o, struct oci_error *err);
/* Make a running image_unpack() or image_pull() fail with -EINTR soon. Async-signal-safe. */
void image_interrupt(void);
bool image_interrupted(void);

#endif
