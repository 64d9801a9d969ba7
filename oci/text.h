/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the kernel's text files: words and numbers, bounded; writing those of a process. */
#ifndef NACRE_OCI_TEXT_H
#define NACRE_OCI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The next word of *p (words end at blanks and newlines), cut to fit out; *p moves behind it. False
 * at the end of the text.
 */
bool text_word(const char **p, char *out, size_t len);
/* Skip n words. */
void text_skip(const char **p, unsigned n);
/* The start of the line after p, or NULL. */
const char *text_next_line(const char *p);
/* A colon-separated field, cut to fit; *p moves behind its colon. False when there is none left. */
bool text_field(const char **p, char *out, size_t len);
/* Write /proc/PID/FILE; -errno. */
int text_write_proc(pid_t pid, const char *file, const char *text);

#endif
