/* SPDX-License-Identifier: Apache-2.0 */
/* Making, starting, signalling and deleting containers: what the commands have in common. */
#ifndef NACRE_OCI_CREATE_H
#define NACRE_OCI_CREATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/error.h"
#include "oci/state.h"
#include "runtime/kernel.h"

/* Global options. */
struct oci_global {
	const char *root;
	const char *backend; /* name or path, NULL: the best */
	const char *strace;  /* NULL: off, "": to the log or standard error, else a file */
	const char *stats_file; /* where the counters go at the end, NULL: nowhere */
	unsigned max_vcpus;
	enum kernel_tlb tlb;
	bool debug, systemd_cgroup, rootless;
};

struct container_options {
	const char *id, *bundle, *console_socket, *pid_file;
	bool detach; /* the creator does not wait for the container */
	bool no_pivot, no_new_keyring;
	int preserve_fds;
};

struct container {
	int dir; /* ROOT/ID, locked */
	struct oci_state state;
	int master; /* the terminal's, when the creator relays; else -1 */
};

/* On success the sandbox waits for start; on failure nothing is left behind. */
int container_create(const struct oci_global *g, const struct container_options *o,
		     struct container *out, struct oci_error *err);
/* Start a created container and run its poststart hooks. */
int container_start(struct container *c, struct oci_error *err);
void container_free(struct container *c);
/* Open a container and take its lock; its status now. */
int container_open(const struct oci_global *g, const char *id, struct container *out,
		   enum oci_status *status, struct oci_error *err);
/* Deliver a signal, 0 checks; with all to every process. */
int container_kill(const struct container *c, int sig, bool all, struct oci_error *err);
/* Remove what is left of a container that does not run, after its poststop hooks. */
int container_delete(const struct oci_global *g, struct container *c, const char *id,
		     struct oci_error *err);
/* Kill the sandbox and wait until it is gone. */
int container_end(const struct container *c, struct oci_error *err);
int container_write_pid_file(const char *path, pid_t pid, struct oci_error *err);

#endif
