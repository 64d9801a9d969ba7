/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of Linux security modules, for the calling process. */
#ifndef NACRE_OCI_LSM_H
#define NACRE_OCI_LSM_H

#include <stdbool.h>

#include "oci/error.h"

bool lsm_apparmor_enabled(void);
bool lsm_selinux_enabled(void);
/*
 * Take an AppArmor profile and an SELinux label, NULL or "" for none, from now on. A module that the
 * host does not run is passed over. Needs the host's /proc and a process with one thread.
 */
int lsm_apply(const char *apparmor, const char *selinux, struct oci_error *err);

#endif
