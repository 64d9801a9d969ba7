/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.json: what the host's owner says about registries.
 *
 *	{"default": "HOST[:PORT]",	of names without a registry
 *	 "namespace": "NAME",		in front of those that have one component only
 *	 "mirrors": {"HOST[:PORT]": ["HOST[:PORT][/PREFIX]", ...]}}	tried first, in this order
 */
#ifndef NACRE_OCI_IMAGE_REGISTRIES_H
#define NACRE_OCI_IMAGE_REGISTRIES_H

#include <stddef.h>
#include <yajl/yajl_tree.h>

#include "oci/error.h"

#define REGISTRIES_MAX_MIRRORS 8

struct registries {
	const char *fallback, *name_space; /* NULL: not given */
	yajl_val mirrors, doc;
};

/* All strings are checked; they live until registries_free(). */
int registries_parse(const char *text, size_t len, const char *file, struct registries *r,
		     struct oci_error *err);
/*
 * file NULL: $XDG_CONFIG_HOME/nacre/registries.json or ~/.config/nacre/registries.json, else the
 * system's; none of them is an empty configuration.
 */
int registries_load(const char *file, struct registries *r, struct oci_error *err);
/* The mirrors of a host; returns how many. */
size_t registries_mirrors(const struct registries *r, const char *host,
			  const char *out[REGISTRIES_MAX_MIRRORS]);
void registries_free(struct registries *r);

#endif
