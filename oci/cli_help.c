/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, global options, and what --help and --version print. */
#include <stdio.h>
#include <string.h>

#include "oci/cli.h"
#include "oci/commands.h"

#ifndef NACRE_VERSION
#error "NACRE_VERSION comes from the build"
#endif

const struct cli_option cli_global_options[] = {
	{"debug", NULL, CLI_BOOL, "log debug messages too", NULL},
	{"log", NULL, CLI_STRING, "file for log messages (default is '/dev/stderr')", NULL},
	{"log-format", NULL, CLI_STRING, "format of log messages: 'text' or 'json'", "text"},
	{"root", NULL, CLI_STRING,
	 "directory for the state of containers, in a tmpfs (default: \"/run/nacre\")", NULL},
	{"criu", NULL, CLI_STRING, "taken and ignored: there is no checkpoint", NULL},
	{"systemd-cgroup", NULL, CLI_BOOL, "cgroupsPath is of the form \"slice:prefix:name\"",
	 NULL},
	{"rootless", NULL, CLI_STRING, "ignore cgroup permission errors: 'true', 'false' or 'auto'",
	 "auto"},
	{"backend", NULL, CLI_STRING,
	 "hypervisor plugin, by name or path (default: the best found)", NULL},
	{"strace", NULL, CLI_OPTIONAL,
	 "print the container's system calls, to a file with --strace=FILE", NULL},
	{"stats-file", NULL, CLI_STRING,
	 "write the application kernel's counters there when the container ends", NULL},
	{"tlb", NULL, CLI_STRING,
	 "how translations are flushed: 'selective', 'broadcast' or 'paranoid'", "selective"},
	{"vcpus", NULL, CLI_INT, "most virtual CPUs of a container (default: from the host's CPUs)",
	 NULL},
	{"help", "h", CLI_BOOL, "show help", NULL},
	{"version", "v", CLI_BOOL, "print the version", NULL},
	{0},
};

const struct cli_command *const cli_commands[] = {
	&cmd_checkpoint, &cmd_create, &cmd_delete, &cmd_events, &cmd_exec,  &cmd_features,
	&cmd_images,	 &cmd_kill,   &cmd_list,   &cmd_pause,	&cmd_ps,    &cmd_pull,
	&cmd_restore,	 &cmd_resume, &cmd_run,	   &cmd_spec,	&cmd_start, &cmd_state,
	&cmd_unpack,	 &cmd_update, NULL,
};

void cli_print_version(void)
{
	printf("nacre version " NACRE_VERSION "\nspec: " OCI_SPEC_VERSION "\n");
}

static void print_options(const struct cli_option *o)
{
	char left[64];
	size_t width = 0;

	for (int pass = 0; pass < 2; pass++)
		for (const struct cli_option *p = o; p && p->name; p++) {
			bool value = p->kind != CLI_BOOL && p->kind != CLI_OPTIONAL;
			int n;

			if (!p->help)
				continue;
			n = snprintf(left, sizeof(left), "--%s%s", p->name,
				     value		       ? " value"
				     : p->kind == CLI_OPTIONAL ? "[=FILE]"
							       : "");

			if (p->alias)
				n += snprintf(left + n, sizeof(left) - (size_t)n, ", -%s%s",
					      p->alias, value ? " value" : "");
			if (!pass)
				width = (size_t)n > width ? (size_t)n : width;
			else if (p->initial)
				printf("   %-*s  %s (default: %s%s%s)\n", (int)width, left, p->help,
				       p->kind == CLI_STRING ? "\"" : "", p->initial,
				       p->kind == CLI_STRING ? "\"" : "");
			else
				printf("   %-*s  %s\n", (int)width, left, p->help);
		}
}

void cli_print_help(void)
{
	printf("NAME:\n   nacre - OCI runtime with a virtual machine's wall and no guest kernel\n\n"
	       "nacre takes runc's place under container engines: it runs containers packaged as\n"
	       "OCI bundles, a directory with a config.json and a root file system. Each\n"
	       "container's processes run in a small virtual machine of their own, and nacre\n"
	       "itself answers their system calls.\n\n"
	       "USAGE:\n   nacre [global options] command [command options] [arguments...]\n\n"
	       "VERSION:\n   " NACRE_VERSION "\nspec: " OCI_SPEC_VERSION "\n\nCOMMANDS:\n");
	for (int i = 0; cli_commands[i]; i++)
		printf("   %-10s  %s\n", cli_commands[i]->name, cli_commands[i]->usage);
	printf("   %-10s  %s\n\nGLOBAL OPTIONS:\n", "help, h",
	       "show the commands, or help for one");
	print_options(cli_global_options);
}

void cli_print_command_help(const struct cli_command *c)
{
	printf("NAME:\n   nacre %s - %s\n\nUSAGE:\n   nacre %s %s%s\n", c->name, c->usage, c->name,
	       c->options ? "[command options] " : "", c->args);
	if (c->description)
		printf("\nDESCRIPTION:\n   %s\n", c->description);
	if (c->options) {
		printf("\nOPTIONS:\n");
		print_options(c->options);
		printf("   \n");
	}
}
