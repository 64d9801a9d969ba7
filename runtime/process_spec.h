/* SPDX-License-Identifier: Apache-2.0 */
/* From an OCI process description to a loaded process that has not run yet. */
#ifndef NACRE_RUNTIME_PROCESS_SPEC_H
#define NACRE_RUNTIME_PROCESS_SPEC_H

#include "runtime/kernel.h"

struct task;
struct worker; /* the host thread it will run on: runtime/task/loop.h */

/* Deep copy of everything the pointers of src lead to; stdio numbers are copied as they are. */
int process_spec_copy(struct kernel_process_spec *dst, const struct kernel_process_spec *src);
void process_spec_free(struct kernel_process_spec *s);
/* Close the host descriptors that the spec still owns. */
void process_spec_close(struct kernel_process_spec *s);
/*
 * Make the process, resolve and load its program, enter it into the process table with its own
 * session and group, parent outside. The host descriptors are used up, also on failure. Returns 0
 * with *out (one reference), or -errno and the sentence runc would print.
 */
int process_spec_load(struct kernel *k, struct kernel_process_spec *s, bool init,
		      struct worker *w, struct task **out, char *err, size_t errlen);
/* Undo process_spec_load() before the task was published or when it never ran. */
void process_spec_abandon(struct task *t);

#endif
