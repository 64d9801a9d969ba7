/* SPDX-License-Identifier: Apache-2.0 */
/* Making tasks and processes: clone(2) and the first process. */
#ifndef NACRE_RUNTIME_TASK_CLONE_H
#define NACRE_RUNTIME_TASK_CLONE_H

#include "runtime/task/task.h"

struct clone_args_guest { /* struct clone_args of clone3(2), version 2 */
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

/* Pure: 0, -EINVAL or -EPERM for what clone(2) refuses, before anything is made. */
int clone_check(const struct clone_args_guest *a, bool clone3, bool is_init);

/* One reference; not yet visible to anybody. NULL: no memory. */
struct task *task_alloc(struct kernel *k);
struct process *process_alloc(struct kernel *k);
/* Enter the pid table and the lists: tid is given. tasks_lock held. 0, -EAGAIN, -ENOMEM. */
int task_publish_locked(struct task *t);
/* The process's group and session: references and pid uses follow. tasks_lock held. */
int process_join_group_locked(struct process *p, pid_t pgid);
void process_leave_group_locked(struct process *p);
void process_leave_session_locked(struct process *p);
struct session *session_alloc(pid_t sid);
void session_put_locked(struct session *s);

struct vfork_wait *vfork_wait_create(void);
void vfork_wait_put(struct vfork_wait *v);
void task_vfork_done(struct task *t); /* wakes the parent, once */

#endif
