/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals: the container's pseudoterminal on the host and its way to whoever holds the other end. */
#ifndef NACRE_OCI_CONSOLE_H
#define NACRE_OCI_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "oci/error.h"

struct console {
	int master, slave;
	char name[64]; /* of the slave on the host */
};

int console_open(struct console *c, uint16_t height, uint16_t width, struct oci_error *err);
/* Send the master over the AF_UNIX stream socket at path, as callers of --console-socket expect. */
int console_send(const struct console *c, const char *path, struct oci_error *err);

/* A foreground container's relay between our own terminal and the master. */
struct console_relay {
	int master, tty; /* tty -1: standard input is no terminal */
	bool restore, in_eof, hung_up;
	struct termios saved;
};
int console_relay_start(struct console_relay *r, int master, struct oci_error *err);
/* Our terminal changed size. */
void console_relay_resize(struct console_relay *r);
/* Move what poll() said is there. */
void console_relay_input(struct console_relay *r);
void console_relay_output(struct console_relay *r);
void console_relay_stop(struct console_relay *r);

#endif
