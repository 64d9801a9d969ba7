/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd cgroup driver: the container's groups are those of a transient scope. systemd is asked
 * by a helper program, nacre-systemd, since its library takes longer to load than a container to start.
 */
#ifndef NACRE_OCI_SYSTEMD_H
#define NACRE_OCI_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "oci/config.h"
#include "oci/error.h"
#include "oci/state.h"

/* Whether this build has the helper. */
bool oci_systemd_built(void);
/* Whether systemd runs and can be asked; a sentence when not. */
int oci_systemd_check(struct oci_error *err);
/*
 * The group that the scopes of the user's own manager lie in, "" for root, whose are at the top. The
 * slice of a container that names none.
 */
int oci_systemd_group(char *out, size_t len, struct oci_error *err);
const char *oci_systemd_default_slice(void);
/*
 * Make the scope of the planned groups of s with the process in it, and set the limits again that
 * systemd knows nothing of. path: linux.cgroupsPath.
 */
int oci_systemd_start(const struct oci_state *s, const char *path, pid_t pid,
		      const struct oci_resources *res, struct oci_error *err);
/* Tell the scope what is changed with `update`: systemd writes it again when it is reloaded. */
int oci_systemd_update(const struct oci_state *s, const struct oci_resources *res,
		       struct oci_error *err);
/* Stop the scope; one that is gone is fine. */
int oci_systemd_stop(const struct oci_state *s, struct oci_error *err);

/* The properties of `res`, as nacre-systemd takes them: "Name=type:value", NULL-terminated. */
struct oci_properties {
	char text[32][160];
	unsigned n;
};
void oci_systemd_properties(const struct oci_resources *res, bool v2, struct oci_properties *p);

#endif
