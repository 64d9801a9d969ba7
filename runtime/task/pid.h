/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process numbers: one number may at once name a task, a process, a process group and a session; it
 * is handed out again only when it names none of them. Protected by kernel->tasks_lock.
 */
#ifndef NACRE_RUNTIME_TASK_PID_H
#define NACRE_RUNTIME_TASK_PID_H

#include <stdbool.h>
#include <sys/types.h>

struct pid_table;
struct task;
struct process;

#define PID_MAX 4194304	  /* numbers are below it */
#define PID_RESERVED 300  /* after a wrap the search starts here, as Linux does */

enum pid_use { PID_TASK, PID_PROCESS, PID_GROUP, PID_SESSION, PID_USES };

struct pid_table *pid_table_create(void); /* NULL: no memory */
void pid_table_destroy(struct pid_table *pt);
/* The next free number after the last one given, or -EAGAIN. It names nothing yet. */
pid_t pid_next(struct pid_table *pt);
pid_t pid_last(const struct pid_table *pt);
/*
 * Say that nr names obj (tasks and processes), or one more member (groups and sessions, obj unused).
 * 0 or -ENOMEM.
 */
int pid_attach(struct pid_table *pt, pid_t nr, enum pid_use use, void *obj);
void pid_detach(struct pid_table *pt, pid_t nr, enum pid_use use);
/* The object; NULL: none. For groups and sessions non-NULL says that it has members. */
void *pid_lookup(const struct pid_table *pt, pid_t nr, enum pid_use use);

#endif
