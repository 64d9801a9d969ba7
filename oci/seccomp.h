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

/* The words that are known, for `features`: how many of a kind, and the i-th. */
enum oci_seccomp_kind {
	OCI_SECCOMP_ACTIONS,
	OCI_SECCOMP_OPERATORS,
	OCI_SECCOMP_ARCHS, /* without SCMP_ARCH_ */
	OCI_SECCOMP_FLAGS,
};
size_t oci_seccomp_names(enum oci_seccomp_kind kind, size_t i, const char **out);

#endif
