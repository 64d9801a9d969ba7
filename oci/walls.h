/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's own walls: what its process may still ask of the host's kernel once it runs guest code.
 * nacre-security(7) lists what is left to somebody who has taken it over.
 *
 * Order: walls_landlock_prepare() and walls_labels_prepare() while the host's files are there; the root
 * is changed; walls_labels_apply(), oci_caps_drop() and walls_landlock_enter() before any thread is
 * made, since the three are a thread's and inherited by those it makes; walls_install() at the end.
 */
#ifndef NACRE_OCI_WALLS_H
#define NACRE_OCI_WALLS_H

#include "oci/config.h"
#include "oci/error.h"
#include "oci/rootfs.h"
#include "oci/walls_filter.h"

/*
 * Install the allow list in every thread of the process. Calls outside it fail with EPERM, the
 * dangerous ones kill the process. Sets no_new_privs.
 */
int walls_install(struct oci_error *err);
/* The filter that walls_install() installs; its length in instructions, 0 when cap is too small. */
size_t walls_program(struct sock_filter *out, size_t cap);

/* The host's Landlock interface version, 0: none. */
int walls_landlock_version(void);
/*
 * A ruleset of the container's root, its mounts and (to read) the proc directory; *ruleset -1 where the
 * host's Landlock is too old to be combined with containers.
 */
int walls_landlock_prepare(const struct rootfs *root, int proc, int *ruleset,
			   struct oci_error *err);
/* Closes the ruleset. From here on no mount can be made, and no file outside it opened. */
int walls_landlock_enter(int *ruleset, struct oci_error *err);

/* process.apparmorProfile and process.selinuxLabel: descriptors of the thread's attributes, or -1. */
struct walls_labels {
	int apparmor, selinux;
};
int walls_labels_prepare(const struct oci_process *p, struct walls_labels *out,
			 struct oci_error *err);
int walls_labels_apply(const struct oci_process *p, struct walls_labels *l, struct oci_error *err);

/* Overwrite the caller's environment. Nothing may hold a pointer into it any more. */
void walls_forget_environment(void);
/* No core dumps, neither to a file nor to a program. */
void walls_no_dumps(void);
/* No debugger but a privileged one; left alone for callers who are unprivileged themselves. */
void walls_not_traceable(void);

#endif
