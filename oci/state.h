/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a container between commands: ROOT/ID/ with
 *   state.json    replaced by rename(2), so readers need no lock
 *   config.json   the configuration as it was when the container was created
 *   control.sock  the sandbox's control socket
 * Commands that change a container hold an flock(2) on the directory.
 */
#ifndef NACRE_OCI_STATE_H
#define NACRE_OCI_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "oci/error.h"

#define OCI_SPEC_VERSION   "1.2.0"
#define OCI_STATE_FILE	   "state.json"
#define OCI_CONTROL_SOCKET "control.sock"
#define OCI_MAX_CGROUPS	   24

/*
 * How far a container has come is said by the name of its sandbox's first thread, and by nothing on
 * disk: it changes at the very moment and no crash can leave it wrong.
 */
#define OCI_COMM_CREATING "nacre:creating"
#define OCI_COMM_CREATED  "nacre:created"
#define OCI_COMM	  "nacre"

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

struct oci_state {
	char *id, *bundle, *rootfs, *created, *oci_version;
	pid_t pid;
	unsigned long long pid_start; /* field 22 of /proc/PID/stat: pids are reused, this is not */
	bool systemd_cgroup;
	bool rootless; /* control groups that the user has no right to are left out */
	struct {
		char *key, *value;
	} * annotations;
	size_t nannotations;
	/* Directories made for the container, and the controllers each one serves ("" is v2). */
	struct {
		char *controllers, *dir;
	} cgroups[OCI_MAX_CGROUPS];
	size_t ncgroups;
};

void oci_state_free(struct oci_state *s);
int oci_id_validate(const char *id, struct oci_error *err);
/*
 * ROOT/ID made, opened and locked; -EEXIST if a container is there. What a command killed half-way
 * left without a state file is taken over.
 */
int oci_state_dir_create(const char *root, const char *id, struct oci_error *err);
/* ROOT/ID opened; "container does not exist" otherwise. Returns the descriptor. */
int oci_state_dir_open(const char *root, const char *id, struct oci_error *err);
/* Take the exclusive lock, waiting a bounded time. */
int oci_state_lock(int dir, struct oci_error *err);
void oci_state_unlock(int dir);
/* Remove the directory and everything in it; what is missing is no error. */
int oci_state_dir_remove(const char *root, const char *id, struct oci_error *err);

int oci_state_save(int dir, const struct oci_state *s, struct oci_error *err);
int oci_state_load(int dir, struct oci_state *s, struct oci_error *err);
/* Copy of a file into the directory. */
int oci_state_copy_file(int dir, const char *name, const char *text, size_t len,
			struct oci_error *err);
/* open + load + the sandbox's status. *dir_out may be NULL. */
int oci_state_find(const char *root, const char *id, struct oci_state *s, enum oci_status *status,
		   int *dir_out, struct oci_error *err);

/* Field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie. */
unsigned long long oci_pid_start_time(pid_t pid);
enum oci_status oci_state_status(const struct oci_state *s);
const char *oci_status_name(enum oci_status status);
/* The state document of the specification: for `state`, `list` and hooks. */
struct buf;
void oci_state_json(struct buf *b, const struct oci_state *s, enum oci_status status, bool owner);
/* A descriptor that keeps naming this container's process; -ESRCH when it is gone. */
int oci_state_pidfd(const struct oci_state *s);

#endif
