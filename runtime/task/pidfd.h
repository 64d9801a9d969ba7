/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of processes, pidfd_open(2). */
#ifndef NACRE_RUNTIME_TASK_PIDFD_H
#define NACRE_RUNTIME_TASK_PIDFD_H

struct task;
struct file;
struct process;

/* A close-on-exec descriptor of p in t's table; flags: 0 or O_NONBLOCK. -errno on failure. */
int pidfd_install(struct task *t, struct process *p, unsigned flags);
/* The process behind a file, no reference taken; NULL: not a pidfd. */
struct process *pidfd_process(const struct file *f);

#endif
