/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing a task's program: execve(2), and loading the first program of a process. */
#ifndef NACRE_RUNTIME_TASK_EXEC_H
#define NACRE_RUNTIME_TASK_EXEC_H

#include "runtime/loader/loader.h"
#include "runtime/task/task.h"

#define EXEC_STRING_MAX (32 * 4096) /* MAX_ARG_STRLEN: one string with its NUL */
#define EXEC_COUNT_MAX 0x7fffffffu

void exec_strings_free(struct exec_strings *s);
/* Host strings (the first program); 0, -E2BIG or -ENOMEM. */
int exec_strings_from_host(struct exec_strings *s, char *const *v);
/*
 * Load `file` for t under the rules of execve and apply everything that cannot fail any more. The
 * caller is t's own thread, or made t and has not started it. 0 or -errno with t unchanged.
 */
int exec_file(struct task *t, struct file *file, const char *filename, struct exec_strings *argv,
	      struct exec_strings *envp);

/* Leave t->mm: its last user tears it down (true), the last reference frees it. */
bool task_drop_mm(struct task *t);
/* Make files (a reference that t takes over; NULL: nothing to do) t's descriptor table. */
void task_replace_files(struct task *t, struct fdtable *files);

#endif
