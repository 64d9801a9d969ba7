/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a config.json that are the same for `nacre spec` and for images. */
#ifndef NACRE_OCI_SPEC_H
#define NACRE_OCI_SPEC_H

#include <stdbool.h>

#include "oci/buf.h"

/* The members "mounts" and "linux". rootless: for a container of an unprivileged user. */
void spec_mounts(struct buf *b, bool rootless);
void spec_linux(struct buf *b, bool rootless);

#endif
