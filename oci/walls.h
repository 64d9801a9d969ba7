/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's own seccomp filter: what its process may ask of the host's kernel. */
#ifndef NACRE_OCI_WALLS_H
#define NACRE_OCI_WALLS_H

#include "oci/error.h"
#include "oci/walls_filter.h"

/*
 * Install the allow list in every thread of the process. Calls outside it fail with EPERM, the
 * dangerous ones kill the process. Needs no_new_privs.
 */
int walls_install(struct oci_error *err);
/* The filter that walls_install() installs; its length in instructions, 0 when cap is too small. */
size_t walls_program(struct sock_filter *out, size_t cap);

#endif
