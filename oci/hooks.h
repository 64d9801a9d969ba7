/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks (OCI runtime specification, "POSIX-platform Hooks"): programs that get the state on stdin. */
#ifndef NACRE_OCI_HOOKS_H
#define NACRE_OCI_HOOKS_H

#include <stdbool.h>

#include "oci/config.h"
#include "oci/error.h"

/*
 * Run a kind's hooks in order with the state document as input; the first failure ends it. `cwd` is
 * the directory they run in (the bundle).
 */
int oci_hooks_run(const struct oci_config *cfg, enum oci_hook_kind kind, const char *state_json,
		  const char *cwd, struct oci_error *err);

/* Is there any hook that the creator runs while the sandbox waits (prestart, createRuntime)? */
bool oci_hooks_pause(const struct oci_config *cfg);

#endif
