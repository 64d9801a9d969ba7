/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups and sessions. Everything under tasks_lock. */
#ifndef NACRE_RUNTIME_TASK_PGRP_H
#define NACRE_RUNTIME_TASK_PGRP_H

#include "runtime/task/task.h"

/* p, which leads no group, becomes the leader of a new session and group. 0 or -ENOMEM. */
int process_new_session_locked(struct process *p);
/* No member has a parent in another group of the same session: no job control over it. */
bool pgrp_is_orphaned_locked(struct kernel *k, pid_t pgid);
/*
 * The tie between p and `parent` is ending (p exits: ignored is p; parent exits: ignored is NULL): a
 * group that becomes orphaned with stopped members gets SIGHUP and SIGCONT.
 */
void pgrp_check_orphaned_locked(struct process *p, struct process *parent,
				const struct process *ignored);

#endif
