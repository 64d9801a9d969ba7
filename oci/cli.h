/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of commands, each with a table of options. Flags look as runc's do:
 * -x, --x, --x=value, --x value; they may follow arguments, except with exec.
 */
#ifndef NACRE_OCI_CLI_H
#define NACRE_OCI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/create.h"
#include "oci/error.h"

#define CLI_MAX_OPTIONS 24

enum cli_kind {
	CLI_BOOL,
	CLI_STRING,
	CLI_INT,      /* 0 .. INT32_MAX */
	CLI_NUMBER,   /* any 64-bit one */
	CLI_DURATION, /* "1m30s", "500ms" */
	CLI_LIST,
	CLI_INT_LIST, /* CLI_LIST of numbers */
	CLI_OPTIONAL, /* --x or --x=value */
};

struct cli_option {
	const char *name, *alias; /* alias: one letter, or NULL */
	enum cli_kind kind;
	const char *help;    /* NULL: not shown */
	const char *initial; /* NULL, or the default shown and used */
};

struct cli;
struct cli_command {
	const char *name, *usage, *args, *description;
	int min_args, max_args;		  /* max -1: any */
	bool stop_at_argument;		  /* flags after the first argument are the command's own */
	const struct cli_option *options; /* ends with name NULL */
	/* 0, or -errno with err filled; *status is the exit code when it returns 0. */
	int (*run)(const struct cli *cli, int *status, struct oci_error *err);
	const char *prefix; /* in front of error sentences: "nacre run failed: " */
	int failure;	    /* exit code of an error, 0: 1 */
	/* With this option the arguments are a program's own: any number, no flags after the first. */
	const char *program_option;
};

struct cli_values {
	const char *value[CLI_MAX_OPTIONS];
	bool set[CLI_MAX_OPTIONS];
};

struct cli {
	struct oci_global global;
	const struct cli_command *command;
	struct cli_values values;
	char **args; /* what is left */
	int nargs;
	const char **lists[CLI_MAX_OPTIONS]; /* CLI_LIST, CLI_INT_LIST: NULL-terminated */
};

const char *cli_string(const struct cli *c, const char *name); /* NULL: not given */
bool cli_bool(const struct cli *c, const char *name);
int cli_int(const struct cli *c, const char *name);
int64_t cli_number(const struct cli *c, const char *name);
int64_t cli_duration(const struct cli *c, const char *name); /* nanoseconds */
const char *const *cli_list(const struct cli *c, const char *name);
/* The whole program. */
int cli_main(int argc, char **argv);
/*
 * Parse argv into options; rest gets the arguments. -EINVAL with err saying what is wrong in runc's
 * words.
 */
int cli_parse(const struct cli_option *options, int argc, char **argv, bool stop_at_argument,
	      struct cli_values *v, const char **lists[], char **rest, int *nrest,
	      struct oci_error *err);

/* cli_help.c */
extern const struct cli_option cli_global_options[];
extern const struct cli_command *const cli_commands[]; /* ends with NULL */
void cli_print_help(void);
void cli_print_command_help(const struct cli_command *c);
void cli_print_version(void);

#endif
