/* SPDX-License-Identifier: Apache-2.0 */
/* A command that waits for a process of the container: signals passed on, terminal relayed. */
#ifndef NACRE_OCI_FOREGROUND_H
#define NACRE_OCI_FOREGROUND_H

#include <sys/types.h>

#include "oci/console.h"
#include "oci/error.h"

struct foreground {
	pid_t pid;		     /* our child, or, as a subreaper, what became it */
	struct console_relay *relay; /* NULL: no terminal */
	int signals;		     /* from foreground_signals() */
	void (*forward)(int sig, void *arg);
	void *arg;
};

/* Take the signals that will be passed on: from here on none gets lost. A descriptor or -errno. */
int foreground_signals(struct oci_error *err);
/* Until the process ended; its wait status. */
int foreground_wait(const struct foreground *f);
/* The exit code a shell would show for a wait status. */
int foreground_exit_code(int status);

#endif
