/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces: writing a sandbox's id maps from outside, and reading one's own from inside.
 */
#ifndef NACRE_OCI_USERNS_H
#define NACRE_OCI_USERNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/config.h"
#include "oci/error.h"
#include "runtime/kernel.h"

/* Ids are not the host's: some namespace above maps them. */
bool userns_inside(void);
/*
 * Write the maps of a process just cloned into a new user namespace. One's own id is mapped by the
 * kernel's leave alone; more need newuidmap(1) and newgidmap(1) and ranges in subuid(5), subgid(5).
 */
int userns_write_maps(const struct oci_config *cfg, pid_t pid, struct oci_error *err);
/* The host's id for a container's one, as the configuration maps them; the same where nothing does. */
uid_t userns_host_uid(const struct oci_config *cfg, uid_t uid);
/* The maps of the calling process, for the application kernel; freed by userns_free_ids(). */
int userns_own_ids(struct kernel_ids *ids, struct oci_error *err);
void userns_free_ids(struct kernel_ids *ids);
/* Whether the process's ids exist there; the error names the key and file. */
int userns_check_process(const struct kernel_ids *ids, const struct oci_process *p,
			 const char *where, struct oci_error *err);

#endif
