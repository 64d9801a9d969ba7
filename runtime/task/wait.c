/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parking and wait queues.
 *
 * task->park_state holds a token: PARK_AWAKE (nothing happened since task_prepare_park()), PARK_WOKEN
 * (a wake came), or how the task sleeps. Wakers move any state to PARK_WOKEN and, if the task slept,
 * rouse it. A task in ppoll(2) is roused by the kick signal; its waker passes through PARK_KICKING so
 * that the task cannot leave task_park(), and its host thread cannot end, before pthread_kill() has
 * returned.
 */
#include "runtime/task/wait.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/host/host.h"
#include "runtime/task/task.h"
#include "runtime/task/timer.h"

enum { PARK_AWAKE, PARK_WOKEN, PARK_FUTEX, PARK_POLL, PARK_KICKING };

/* Looks at the token this often before the vCPU is given up: shorter than a futex round trip. */
#define PARK_SPINS 64

uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- queues ---- */

void waitq_init(struct waitq *q)
{
	pthread_mutex_init(&q->lock, NULL);
	list_init(&q->waiters);
}

void waitq_destroy(struct waitq *q)
{
	pthread_mutex_destroy(&q->lock);
}

void waiter_init(struct waiter *w, struct task *t)
{
	*w = (struct waiter){.task = t};
	list_init(&w->link);
}

/* Exclusive waiters stand at the tail, so that a wake reaches every other one first. */
void waitq_add(struct waitq *q, struct waiter *w, uint32_t events)
{
	pthread_mutex_lock(&q->lock);
	w->q = q;
	w->events = events;
	if (w->exclusive)
		list_add_tail(&q->waiters, &w->link);
	else
		list_add(&q->waiters, &w->link);
	pthread_mutex_unlock(&q->lock);
}

/* w->q is changed by its owner only, so reading it needs no lock. */
void waitq_remove(struct waiter *w)
{
	struct waitq *q = w->q;

	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	list_del(&w->link);
	w->q = NULL;
	pthread_mutex_unlock(&q->lock);
}

void waitq_wake(struct waitq *q, uint32_t events, unsigned max)
{
	unsigned exclusive = 0;

	pthread_mutex_lock(&q->lock);
	list_for_each_safe(n, &q->waiters) {
		struct waiter *w = list_entry(n, struct waiter, link);

		/* Errors and hang-ups concern everyone, as poll(2) reports them unasked. */
		if (w->events && events && !(events & (w->events | POLLERR | POLLHUP | POLLNVAL)))
			continue;
		if (w->notify) {
			w->notify(w, events);
			if (w->exclusive)
				exclusive++;
		} else if (w->task) {
			/* One already on its way does not use up this wake. */
			if (task_wake(w->task) && w->exclusive)
				exclusive++;
		}
		if (max && exclusive >= max)
			break;
	}
	pthread_mutex_unlock(&q->lock);
}

/* ---- parking ---- */

void task_prepare_park(struct task *t)
{
	/* Sequentially consistent: the caller's look at its condition comes after it. */
	atomic_store(&t->park_state, PARK_AWAKE);
}

bool task_is_parked(const struct task *t)
{
	unsigned state = atomic_load_explicit(&t->park_state, memory_order_relaxed);

	return state == PARK_FUTEX || state == PARK_POLL;
}

bool task_wake(struct task *t)
{
	unsigned old = atomic_load(&t->park_state), next;

	do {
		if (old == PARK_WOKEN || old == PARK_KICKING)
			return false;
		next = old == PARK_POLL ? PARK_KICKING : PARK_WOKEN;
	} while (!atomic_compare_exchange_weak(&t->park_state, &old, next));
	if (old == PARK_FUTEX) {
		host_wake(&t->park_state);
	} else if (old == PARK_POLL) {
		pthread_kill(t->thread, platform_kick_signal());
		atomic_store(&t->park_state, PARK_WOKEN);
	}
	return true;
}

static inline void park_pause(void)
{
	__asm__ volatile("" ::: "memory");
}

static bool park_recheck(struct task *t)
{
	for (int i = 0; i < PARK_SPINS; i++) {
		if (atomic_load_explicit(&t->park_state, memory_order_relaxed) == PARK_WOKEN)
			return true;
		park_pause();
	}
	return false;
}

static int park_on_futex(struct task *t, uint64_t deadline_ns)
{
	struct timespec ts = ns_to_timespec(deadline_ns);
	const struct timespec *until = deadline_ns == DEADLINE_NONE ? NULL : &ts;
	unsigned expect = PARK_AWAKE;

	if (!atomic_compare_exchange_strong(&t->park_state, &expect, PARK_FUTEX))
		return 0;
	while (atomic_load(&t->park_state) == PARK_FUTEX) {
		if (host_sleep(&t->park_state, PARK_FUTEX, until) == -ETIMEDOUT) {
			expect = PARK_FUTEX;
			if (atomic_compare_exchange_strong(&t->park_state, &expect, PARK_AWAKE))
				return -ETIMEDOUT;
			break;
		}
	}
	return 0;
}

static int park_in_ppoll(struct task *t, uint64_t deadline_ns, struct pollfd *host, unsigned nhost)
{
	struct timespec ts, *timeout = NULL;
	unsigned expect = PARK_AWAKE;
	sigset_t mask;
	int n;

	if (deadline_ns != DEADLINE_NONE) {
		uint64_t now = monotonic_ns();

		ts = ns_to_timespec(deadline_ns > now ? deadline_ns - now : 0);
		timeout = &ts;
	}
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	sigdelset(&mask, platform_kick_signal());
	if (!atomic_compare_exchange_strong(&t->park_state, &expect, PARK_POLL)) {
		timeout = &(struct timespec){0};
		ppoll(host, nhost, timeout, NULL);
		return 0;
	}
	n = ppoll(host, nhost, timeout, &mask);
	expect = PARK_POLL;
	if (!atomic_compare_exchange_strong(&t->park_state, &expect, PARK_AWAKE)) {
		while (atomic_load(&t->park_state) == PARK_KICKING)
			sched_yield();
		/* revents holds the input's rubbish when ppoll was interrupted. */
		if (n < 0)
			for (unsigned i = 0; i < nhost; i++)
				host[i].revents = 0;
		return 0;
	}
	if (n < 0)
		for (unsigned i = 0; i < nhost; i++)
			host[i].revents = 0;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int park(struct task *t, uint64_t deadline_ns, struct pollfd *host, unsigned nhost)
{
	if (park_recheck(t))
		return 0;
	if (t->cpu)
		cpu_release(t->cpu);
	if (nhost)
		return park_in_ppoll(t, deadline_ns, host, nhost);
	return park_on_futex(t, deadline_ns);
}

/*
 * A signal sets its pending bit before it wakes the task: one sent before the look at
 * signal_pending() is seen there, one sent afterwards finds the token.
 */
int task_park(struct task *t, uint64_t deadline_ns, struct pollfd *host, unsigned nhost)
{
	if (atomic_load(&t->park_state) != PARK_WOKEN && signal_pending(t))
		return -EINTR;
	return park(t, deadline_ns, host, nhost);
}

int task_park_killable(struct task *t, uint64_t deadline_ns)
{
	if (signal_fatal_pending(t))
		return -EINTR;
	return park(t, deadline_ns, NULL, 0);
}
