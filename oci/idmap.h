/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Id-mapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP): made by the creator, who may, as detached trees
 * that the sandbox, in a user namespace perhaps, attaches.
 */
#ifndef NACRE_OCI_IDMAP_H
#define NACRE_OCI_IDMAP_H

#include "oci/config.h"

/* Fill cfg->trees for the mounts that ask for a mapping; oci_config_free() closes them. */
int oci_idmap_trees(struct oci_config *cfg, int bundle_fd, struct oci_error *err);

#endif
