/* SPDX-License-Identifier: Apache-2.0 */
/* Interpreter scripts ("#!", execve(2)). */
#ifndef NACRE_RUNTIME_LOADER_SCRIPT_H
#define NACRE_RUNTIME_LOADER_SCRIPT_H

#include <stddef.h>

#define SCRIPT_LINE  256 /* bytes of the file looked at: a line holds 255 characters */
#define SCRIPT_DEPTH 5	 /* interpreters that are scripts themselves, at most */

struct script_line {
	char text[SCRIPT_LINE + 1];
	const char *interp, *arg; /* into text; arg may be NULL: none */
};

/*
 * Parse the head of a file. 1: a script, *out filled in; 0: not a script; -ENOEXEC: no usable
 * interpreter (empty, or its path is cut off by the limit).
 */
int script_parse(const char *head, size_t len, struct script_line *out);

#endif
