/* SPDX-License-Identifier: Apache-2.0 */
/* Placement of guest threads on the host's CPUs. */
#ifndef NACRE_RUNTIME_TASK_SCHED_H
#define NACRE_RUNTIME_TASK_SCHED_H

#include "runtime/task/task.h"

/* Bind the task's host thread to the CPUs the guest asked for. */
void task_apply_affinity(struct task *t);
bool task_is_pinned(const struct task *t);
/* The host thread goes back to the pool: own thread. */
void task_reset_affinity(struct task *t);

#endif
