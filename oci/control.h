/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a sandbox: SOCK_SEQPACKET at ROOT/ID/control.sock, one request and one
 * reply a connection. The server takes requests of its own user and of root only.
 */
#ifndef NACRE_OCI_CONTROL_H
#define NACRE_OCI_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/error.h"

#define CONTROL_MAGIC	    0x6e616331u /* "nac1": both ends are the same version or say so */
#define CONTROL_PAYLOAD_MAX 65536

enum control_op {
	CONTROL_START = 1,
	CONTROL_SIGNAL, /* arg: the number; flags CONTROL_ALL: every process */
	CONTROL_STATS,	/* payload of the reply: JSON */
	CONTROL_PS,	/* payload of the reply: guest pids, int32_t each */
};
#define CONTROL_ALL 1u

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

/* A listening socket named OCI_CONTROL_SOCKET in the state directory. -errno. */
int control_listen(int state_dir, struct oci_error *err);
/*
 * Ask the sandbox. Its result; -ECONNREFUSED or -ETIMEDOUT with err filled when it does not answer.
 * reply may be NULL.
 */
int control_call(int state_dir, enum control_op op, int arg, unsigned flags,
		 struct control_reply *reply, struct oci_error *err);
/* Accept one connection and read its request; the connection, or -errno when there is none. */
int control_accept(int listener, uid_t owner, struct control_request *req);
/* Send and close. */
void control_answer(int conn, struct control_reply *reply);

#endif
