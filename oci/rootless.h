/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre run by a user without the host's privileges: where his containers' state is, and which control
 * groups are his (cgroup-v2.rst, "Delegation").
 */
#ifndef NACRE_OCI_ROOTLESS_H
#define NACRE_OCI_ROOTLESS_H

#include <stdbool.h>

#include "oci/cgroup.h"
#include "oci/error.h"
#include "oci/state.h"

/* What "--rootless auto" means: not the host's root, whether by id or by user namespace. */
bool rootless_by_default(void);
/* The state directory without --root, as runc chooses it; made when it is the user's own. */
const char *rootless_state_root(void);
/* What to say of a state directory that cannot be made, or "". */
const char *rootless_root_hint(void);
/*
 * Containers' groups go beside the user's own where that is his too: a group with processes in it can
 * hand no controllers down.
 */
void rootless_cgroup_parents(struct oci_cgroup_mount *m, int n);
/* Move the process into its groups; leave out of s, and remove, those that may not be entered. */
int rootless_enter_cgroups(struct oci_state *s, pid_t pid, struct oci_error *err);

#endif
