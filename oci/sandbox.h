/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox process: from the clone to the end of the container. It is made by container_create()
 * (create.h), which stays on the other end of `sync` until the sandbox says it is ready.
 */
#ifndef NACRE_OCI_SANDBOX_H
#define NACRE_OCI_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/config.h"
#include "oci/error.h"
#include "oci/state.h"
#include "oci/walls.h"
#include "runtime/kernel.h"

enum sync_type {
	SYNC_GO = 'G',	  /* creator: go on */
	SYNC_HOOKS = 'H', /* sandbox: mounts are made, run prestart and createRuntime hooks */
	SYNC_READY = 'R', /* sandbox: waiting for start */
	SYNC_ERROR = 'E', /* sandbox: code and text; it ends */
};
struct sync_msg {
	char type;
	int code;
	char text[1024];
};
int sync_send(int fd, enum sync_type type, const struct oci_error *e);
/* 0, or -errno with err filled: the other side's error, or that it is gone. */
int sync_expect(int fd, enum sync_type type, struct oci_error *err);
/*
 * What to say of r, which failed on the sandbox: the sandbox's own error, if it has sent one or is
 * gone, is the reason and the better answer.
 */
int sync_explain(int fd, int r, struct oci_error *err);

struct sandbox {
	struct oci_config *cfg;
	const char *id, *rootfs, *bundle;
	struct oci_state *state; /* a copy: what hooks are told */
	const char *backend, *backend_dir;
	unsigned max_vcpus;
	enum kernel_tlb tlb;
	bool strace, debug, no_pivot, new_keyring;
	int preserve_fds;
	int bundle_fd, sync, listener, log_fd;
	int stats_fd; /* where the counters go at the end, or -1 */
	int slave;    /* the container's terminal, or -1 */
	uid_t owner; /* of the control socket, as the sandbox's user namespace has it */
	struct kernel_ids ids;		      /* those of the user namespace it is in */
	struct rlimit64 limits[OCI_NRLIMITS]; /* the creator's, for what no process sets */
	/* Joined by the creator already, so that a new user namespace does not own them. */
	bool joined[OCI_NS_COUNT];
	int ruleset; /* Landlock's, until it is entered */
	struct walls_labels labels;
};

void sandbox_main(struct sandbox *s) __attribute__((noreturn));

/* The application kernel's form of a process; descriptors are left to the caller. */
struct kernel_process_spec;
void sandbox_fill_process(const struct sandbox *s, const struct oci_process *p,
			  struct kernel_process_spec *k);
/* The sentence for a program that could not be started. */
int sandbox_load_error(int r, const char *why, const char *program, struct oci_error *err);

/* sandbox_hooks.c: the startContainer hooks, as processes of the container. */
struct kernel;
int sandbox_start_hooks(const struct sandbox *s, struct kernel *k, struct oci_error *err);

/* sandbox_loop.c: serve until the container ended; ends the process with its status. */
void sandbox_loop(struct sandbox *s, struct kernel *k) __attribute__((noreturn));
/* Block the signals the loop forwards. Before any thread is made. */
void sandbox_block_signals(void);

#endif
