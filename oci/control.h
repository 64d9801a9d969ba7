/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a sandbox: SOCK_SEQPACKET at ROOT/ID/control.sock, one request and one
 * reply a connection. The server takes requests of its own user and of root only.
 *
 * CONTROL_EXEC is the exception: its connection stands for the process it started. The client sends
 * struct control_signal messages and gets one struct control_exit; the client's end of the connection
 * ends the process.
 */
#ifndef NACRE_OCI_CONTROL_H
#define NACRE_OCI_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/error.h"

#define CONTROL_MAGIC 0x6e616331u /* "nac1": both ends are the same version or say so */
#define CONTROL_PAYLOAD_MAX 65536

enum control_op {
	CONTROL_START = 1,
	CONTROL_SIGNAL, /* arg: the number; flags CONTROL_ALL: every process */
	CONTROL_STATS,	/* payload of the reply: JSON */
	CONTROL_PS,	/* payload of the reply: JSON, the guest's processes */
	/*
	 * arg: further descriptors the process gets, from 3 on. With SCM_RIGHTS: a file with the process
	 * as JSON, the standard descriptors the flags name, the further ones. Result: the guest's pid;
	 * or -errno and the sentence as payload.
	 */
	CONTROL_EXEC,
	CONTROL_PIDS_MAX, /* arg: most processes and threads, 0: no limit */
};
#define CONTROL_ALL 1u
#define CONTROL_STDIN 2u    /* << 1 output, << 2 error */
#define CONTROL_MAX_FDS 253 /* SCM_MAX_FD of the host's kernel */

struct control_request {
	uint32_t magic, op;
	int32_t arg;
	uint32_t flags;
};
struct control_reply {
	uint32_t magic;
	int32_t result; /* 0 or -errno */
	uint32_t len;
	char payload[CONTROL_PAYLOAD_MAX];
};

struct control_signal {
	int32_t sig;
	uint32_t terminal; /* the process's terminal raised it: for its foreground group */
};
struct control_exit {
	int32_t status; /* as of wait(2) */
};

/* A listening socket named OCI_CONTROL_SOCKET in the state directory. -errno. */
int control_listen(int state_dir, struct oci_error *err);
/*
 * Ask the sandbox. Its result; -ECONNREFUSED or -ETIMEDOUT with err filled when it does not answer.
 * reply may be NULL.
 */
int control_connect(int state_dir, struct oci_error *err);
int control_call(int state_dir, enum control_op op, int arg, unsigned flags,
		 struct control_reply *reply, struct oci_error *err);
/* On a connection: send a request with descriptors, and read the reply as control_call() does. */
int control_send(int conn, const struct control_request *req, const int *fds, int nfds);
int control_reply(int conn, struct control_reply *reply, struct oci_error *err);
/*
 * Accept one connection and read its request; the connection, or -errno when there is none. fds has
 * room for CONTROL_MAX_FDS descriptors, *nfds of which came.
 */
int control_accept(int listener, uid_t owner, struct control_request *req, int *fds, int *nfds);
/* The connection stays open. */
void control_answer(int conn, struct control_reply *reply);

#endif
