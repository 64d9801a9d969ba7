/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACRE_OCI_CGROUP_SETTINGS_H
#define NACRE_OCI_CGROUP_SETTINGS_H

#include "oci/config.h"
#include "oci/state.h"

/* Write res->settings; the first that cannot be written is an error, as limits that are not held are. */
int oci_cgroup_settings(const struct oci_state *s, const struct oci_resources *res,
			struct oci_error *err);

#endif
