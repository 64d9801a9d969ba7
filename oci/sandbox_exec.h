/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's side of `exec`: each process started has a connection, whose other end is held by the
 * host process that stands for it. All of it runs on the sandbox's main thread.
 */
#ifndef NACRE_OCI_SANDBOX_EXEC_H
#define NACRE_OCI_SANDBOX_EXEC_H

#include <poll.h>

#include "oci/control.h"
#include "oci/sandbox.h"

struct kernel;
struct guest_exec;
struct exec_list {
	struct sandbox *s;
	struct kernel *k;
	int wake; /* eventfd: a process ended */
	struct guest_exec **v;
	size_t n;
};

int sandbox_exec_init(struct exec_list *l, struct sandbox *s, struct kernel *k);
/* Do a CONTROL_EXEC request and answer it. Takes conn and the descriptors over. */
void sandbox_exec_start(struct exec_list *l, int conn, const struct control_request *req, int *fds,
			int nfds, struct control_reply *reply);
/* Entries poll(2) needs: 1 + n. sandbox_exec_poll() fills them, sandbox_exec_work() reads them. */
void sandbox_exec_poll(const struct exec_list *l, struct pollfd *p);
void sandbox_exec_work(struct exec_list *l, const struct pollfd *p);
/* The container ended: tell the last statuses. */
void sandbox_exec_finish(struct exec_list *l);

#endif
