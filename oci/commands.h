/* SPDX-License-Identifier: Apache-2.0 */
/* The commands, one file each: cmd_NAME.c. */
#ifndef NACRE_OCI_COMMANDS_H
#define NACRE_OCI_COMMANDS_H

#include "oci/cli.h"

extern const struct cli_command cmd_checkpoint, cmd_restore;
extern const struct cli_command cmd_create, cmd_delete, cmd_events, cmd_exec, cmd_features, cmd_kill,
	cmd_list, cmd_pause, cmd_ps, cmd_resume, cmd_run, cmd_spec, cmd_start, cmd_state,
	cmd_unpack, cmd_update;
extern const struct cli_command cmd_images, cmd_pull;

/* The options create and run share. */
#define CLI_CREATE_OPTIONS                                                                        \
	{"bundle", "b", CLI_STRING, "bundle directory, the current one by default", NULL},        \
		{"console-socket", NULL, CLI_STRING,                                              \
		 "AF_UNIX socket that gets the master end of the container's terminal", NULL},    \
		{"pid-file", NULL, CLI_STRING, "file to write the process id to", NULL},          \
		{"no-pivot", NULL, CLI_BOOL, "enter the rootfs without pivot_root, for ramdisks", \
		 NULL},                                                                           \
		{"no-new-keyring", NULL, CLI_BOOL, "keep the caller's session keyring", NULL},    \
	{                                                                                         \
		"preserve-fds", NULL, CLI_INT,                                                    \
			"number of further descriptors the container gets, from 3 on", "0"        \
	}

/* Fill what the shared options say. */
static inline void cli_container_options(const struct cli *c, struct container_options *o)
{
	*o = (struct container_options){
		.id = c->args[0],
		.bundle = cli_string(c, "bundle") ? cli_string(c, "bundle") : ".",
		.console_socket = cli_string(c, "console-socket"),
		.pid_file = cli_string(c, "pid-file"),
		.no_pivot = cli_bool(c, "no-pivot"),
		.no_new_keyring = cli_bool(c, "no-new-keyring"),
		.preserve_fds = cli_int(c, "preserve-fds"),
	};
}

#endif
