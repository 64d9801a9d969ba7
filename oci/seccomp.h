/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp of config.json, compiled by libseccomp to the program that the application kernel
 * judges the guest's system calls by (runtime spec, config-linux.md, "Seccomp").
 */
#ifndef NACRE_OCI_SECCOMP_H
#define NACRE_OCI_SECCOMP_H

#include "oci/config.h"

/* Fill cfg->seccomp and cfg->nseccomp from cfg->seccomp_tree; nothing to do without one. */
int oci_seccomp_compile(struct oci_config *cfg, struct oci_error *err);

#endif
