/* SPDX-License-Identifier: Apache-2.0 */
/* "os/architecture/variant" as image indexes name them. */
#ifndef NACRE_OCI_IMAGE_PLATFORM_H
#define NACRE_OCI_IMAGE_PLATFORM_H

#include "oci/error.h"

struct platform {
	char os[32], arch[32];
	unsigned variant; /* N of "vN": the most that will do */
};

/* text NULL: this host. */
int platform_parse(const char *text, struct platform *p, struct oci_error *err);
/* How well what is offered suits: 0 not at all, higher is better. variant may be NULL. */
unsigned platform_score(const struct platform *want, const char *os, const char *arch,
			const char *variant);

#endif
