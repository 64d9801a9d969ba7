/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACRE_OCI_CONFIG_SETTINGS_H
#define NACRE_OCI_CONFIG_SETTINGS_H

#include "oci/config.h"

/* Fill res->settings from a linux.resources object; see oci_resources_parse() for the arguments. */
int oci_resources_settings(struct oci_arena **arena, yajl_val obj, const char *file,
			   const char *path, struct oci_resources *res, struct oci_error *err);

#endif
