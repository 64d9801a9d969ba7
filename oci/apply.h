/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json says of clocks, kernel settings and scheduling, applied to the sandbox. */
#ifndef NACRE_OCI_APPLY_H
#define NACRE_OCI_APPLY_H

#include "oci/config.h"
#include "oci/error.h"
#include "runtime/kernel.h"

/* The time namespace; while the process has one thread, the hypervisor's among them. */
int oci_apply_clocks(const struct oci_config *cfg, struct oci_error *err);
/* In the sandbox's namespaces, with the host's /proc, before there is a second thread. */
int oci_apply_environment(const struct oci_config *cfg, struct oci_error *err);
/* Nodes of linux.devices, and how far the container's clocks are ahead. */
int oci_apply_kernel(struct oci_config *cfg, struct kernel_config *k, struct oci_error *err);
/* The application kernel's part, for init or (exec) a further process. */
void oci_apply_process(const struct oci_config *cfg, const struct oci_process *p, bool exec,
		       struct kernel_process_spec *k);

#endif
