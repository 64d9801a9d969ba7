/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host threads for guest tasks: a pool that keeps a few ended threads parked for the next clone(),
 * and the loop each runs: guest code, trap, answer, signals, again.
 */
#ifndef NACRE_RUNTIME_TASK_LOOP_H
#define NACRE_RUNTIME_TASK_LOOP_H

#include "runtime/task/task.h"

struct worker_pool;

struct worker_pool *worker_pool_create(void);
/* Joins every host thread; no task may be running. */
void worker_pool_destroy(struct worker_pool *pool);
/*
 * Reserve a host thread for a task, so that starting it cannot fail after it was published. 0 or
 * -EAGAIN. Then exactly one of worker_start() and worker_cancel().
 */
struct worker;
int worker_reserve(struct worker_pool *pool, struct worker **out);
void worker_start(struct worker *w, struct task *t);
pthread_t worker_thread(const struct worker *w); /* task->thread, set before publication */
void worker_cancel(struct worker *w);

/* Ends a task on its own thread: everything exit(2) does. Drops the thread's reference. */
void task_exit(struct task *t);
/* The last part of an exit, when the process became a zombie. tasks_lock held. */
void process_exit_notify_locked(struct process *p);
/* A zombie was waited for, or nobody wants it: remove it. tasks_lock held. */
void process_reap_locked(struct process *p);

#endif
