/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking. A wait queue lists the waiters of one condition; a task parks until one of them (or a
 * signal, or the deadline, or a host descriptor) wakes it.
 *
 * The pattern, lost-wakeup free:
 *
 *	struct waiter w;
 *	waiter_init(&w, t);
 *	waitq_add(q, &w, events);
 *	for (;;) {
 *		task_prepare_park(t);
 *		if (condition) break;
 *		ret = task_park(t, deadline, NULL, 0);   // -EINTR, -ETIMEDOUT, or 0: look again
 *		if (ret) break;
 *	}
 *	waitq_remove(&w);
 *
 * A waker changes the condition first, then calls waitq_wake(). Lock order: a module's own lock ->
 * waitq lock (leaf). waitq_wake() may be called with a module's lock held; notify hooks run under
 * the waitq's lock and must not block or take another waitq's lock except downwards (an epoll
 * instance's own queue).
 */
#ifndef NACRE_RUNTIME_TASK_WAIT_H
#define NACRE_RUNTIME_TASK_WAIT_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/list.h"

struct task;
struct waitq {
	pthread_mutex_t lock;
	struct list waiters;
};

struct waiter {
	struct list link;  /* protected by q->lock */
	struct waitq *q;   /* NULL: not queued */
	struct task *task; /* woken unless notify is set */
	uint32_t events;   /* POLL* bits of interest; 0: any */
	void (*notify)(struct waiter *w, uint32_t events);
	bool exclusive;	   /* waitq_wake(max > 0) counts only these; set before waitq_add() */
};

#define WAITQ_INIT(q) {PTHREAD_MUTEX_INITIALIZER, LIST_INIT((q).waiters)}
void waitq_init(struct waitq *q);
void waitq_destroy(struct waitq *q);
void waiter_init(struct waiter *w, struct task *t);
void waitq_add(struct waitq *q, struct waiter *w, uint32_t events);
void waitq_remove(struct waiter *w);
/* Wake waiters interested in `events` (0: all); at most max exclusive ones, 0: all. */
void waitq_wake(struct waitq *q, uint32_t events, unsigned max);

#define DEADLINE_NONE UINT64_MAX /* else: CLOCK_MONOTONIC nanoseconds */

void task_prepare_park(struct task *t);
/*
 * Sleep until task_wake(t), a deliverable signal, the deadline, or one of the host descriptors is
 * ready (revents filled). Gives up the vCPU. 0, -EINTR or -ETIMEDOUT. Also -EINTR when the task must
 * exit. nhost 0 uses a futex; otherwise ppoll with the kick signal unblocked atomically.
 */
int task_park(struct task *t, uint64_t deadline_ns, struct pollfd *host, unsigned nhost);
/* The same, but only what ends the task interrupts (vfork's parent, killable waits). */
int task_park_killable(struct task *t, uint64_t deadline_ns);
/*
 * From any thread: end the task's current park, or the one prepared for. Returns whether the task
 * had not been woken already. The caller keeps t alive and its host thread from ending (a queue's
 * lock while t's waiter is on it, sig_lock while t is attached).
 */
bool task_wake(struct task *t);
bool task_is_parked(const struct task *t); /* asleep in task_park(), for /proc's state */
uint64_t monotonic_ns(void);

#endif
