/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of `exec`: a child of the command stands for the process in the container. It is in
 * the container's groups and namespaces, passes signals on, and ends as the process did; the process
 * ends with it.
 */
#ifndef NACRE_OCI_EXEC_H
#define NACRE_OCI_EXEC_H

#include <stddef.h>
#include <sys/types.h>

#include "oci/config.h"
#include "oci/create.h"
#include "oci/error.h"

struct exec_request {
	const struct container *box;
	const struct oci_process *process;
	int slave; /* of the process's terminal: its 0, 1 and 2; -1: the caller's own are */
	int preserve_fds;
};

/* Start the process. The pid of the child that stands for it, or -errno. */
pid_t exec_start(const struct exec_request *req, struct oci_error *err);

#endif
