/* SPDX-License-Identifier: Apache-2.0 */
/* Capability names and the sandbox's own capabilities. Sets are uint64_t: bit n is capability n. */
#ifndef NACRE_OCI_CAPS_H
#define NACRE_OCI_CAPS_H

#include <stddef.h>
#include <stdint.h>

#include "oci/error.h"

#define OCI_CAP_COUNT 41

/* -1 for an unknown name; names are upper case with CAP_ in front, as in config.json. */
int oci_cap_number(const char *name);
const char *oci_cap_name(int cap);
/*
 * Keep only what the sandbox's host side needs of what it has: reaching files of any owner on the
 * container's behalf, and those of the container's own capabilities (`granted`) that take effect in
 * the host's kernel. Clears the bounding and ambient sets and sets no_new_privs.
 */
int oci_caps_drop(uint64_t granted, struct oci_error *err);
/* Give up everything: for a process that only waits. */
void oci_caps_drop_all(void);

#endif
