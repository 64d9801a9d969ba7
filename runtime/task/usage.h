/* SPDX-License-Identifier: Apache-2.0 */
/* Resource usage, getrusage(2). */
#ifndef NACRE_RUNTIME_TASK_USAGE_H
#define NACRE_RUNTIME_TASK_USAGE_H

#include "runtime/task/task.h"

/* Host thread time at the begin of a task; called on its own thread. */
void task_begin_usage(struct task *t);
/* Fold the thread's time into its process; own thread, tasks_lock and sig_lock held. */
void task_end_usage_locked(struct task *t);
/* Write the guest's struct rusage. 0 or -EFAULT. */
int rusage_copy_out(struct task *t, uint64_t addr, const struct rusage *ru);
/* A child was waited for: its usage and its children's become the parent's children's. */
void process_fold_usage_locked(struct process *parent, const struct process *child);
/* What wait4(2) reports of a zombie. */
void process_total_usage_locked(const struct process *p, struct rusage *out);

#endif
