/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host thread for all timers of the sandbox: a binary heap by deadline, a condition variable on
 * CLOCK_MONOTONIC. The thread starts with the first timer, so that a container without timers does
 * not pay for it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "runtime/task/timer.h"
#include "runtime/task/wait.h"

#define TIMER_STACK_BYTES (128 * 1024)

static struct {
	pthread_mutex_t lock; /* protects everything below and every ktimer's fields */
	pthread_cond_t cond;  /* the first deadline changed, or the thread is to end */
	pthread_cond_t idle;  /* a callback returned */
	pthread_t thread;
	bool started, quit;
	struct ktimer **heap;
	size_t n, cap;
	struct ktimer *running;
} q = {.lock = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER};

/* ---- the heap ---- */

static void heap_put(size_t i, struct ktimer *kt)
{
	q.heap[i] = kt;
	kt->slot = i + 1;
}

static void heap_up(size_t i, struct ktimer *kt)
{
	while (i) {
		size_t up = (i - 1) / 2;

		if (q.heap[up]->deadline_ns <= kt->deadline_ns)
			break;
		heap_put(i, q.heap[up]);
		i = up;
	}
	heap_put(i, kt);
}

static void heap_down(size_t i, struct ktimer *kt)
{
	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= q.n)
			break;
		if (c + 1 < q.n && q.heap[c + 1]->deadline_ns < q.heap[c]->deadline_ns)
			c++;
		if (kt->deadline_ns <= q.heap[c]->deadline_ns)
			break;
		heap_put(i, q.heap[c]);
		i = c;
	}
	heap_put(i, kt);
}

static void heap_remove(struct ktimer *kt)
{
	size_t i = kt->slot - 1;
	struct ktimer *last;

	if (!kt->slot)
		return;
	kt->slot = 0;
	last = q.heap[--q.n];
	if (last == kt)
		return;
	if (i && q.heap[(i - 1) / 2]->deadline_ns > last->deadline_ns)
		heap_up(i, last);
	else
		heap_down(i, last);
}

static int heap_add(struct ktimer *kt)
{
	if (q.n == q.cap) {
		size_t cap = q.cap ? 2 * q.cap : 64;
		struct ktimer **h = realloc(q.heap, cap * sizeof(*h));

		if (!h)
			return -ENOMEM;
		q.heap = h;
		q.cap = cap;
	}
	heap_up(q.n++, kt);
	return 0;
}

/* ---- the thread ---- */

static void run_due(struct ktimer *kt)
{
	heap_remove(kt);
	q.running = kt;
	pthread_mutex_unlock(&q.lock);
	kt->fn(kt);
	pthread_mutex_lock(&q.lock);
	q.running = NULL;
	pthread_cond_broadcast(&q.idle);
}

static void *timer_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&q.lock);
	while (!q.quit) {
		struct timespec ts;

		if (!q.n) {
			pthread_cond_wait(&q.cond, &q.lock);
			continue;
		}
		if (q.heap[0]->deadline_ns <= monotonic_ns()) {
			run_due(q.heap[0]);
			continue;
		}
		ts = ns_to_timespec(q.heap[0]->deadline_ns);
		pthread_cond_timedwait(&q.cond, &q.lock, &ts);
	}
	pthread_mutex_unlock(&q.lock);
	return NULL;
}

static int start_locked(void)
{
	pthread_condattr_t ca;
	pthread_attr_t ta;
	sigset_t all, old;
	int err;

	if (q.started)
		return 0;
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&q.cond, &ca);
	pthread_condattr_destroy(&ca);
	pthread_attr_init(&ta);
	pthread_attr_setstacksize(&ta, TIMER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&q.thread, &ta, timer_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&ta);
	if (err)
		return -EAGAIN;
	q.quit = false;
	q.started = true;
	return 0;
}

/* ---- interface ---- */

void ktimer_init(struct ktimer *kt, void (*fn)(struct ktimer *kt))
{
	*kt = (struct ktimer){.fn = fn};
}

int ktimer_arm(struct ktimer *kt, uint64_t deadline_ns)
{
	int ret;

	pthread_mutex_lock(&q.lock);
	ret = start_locked();
	if (!ret && !kt->cancelling) {
		heap_remove(kt);
		kt->deadline_ns = deadline_ns;
		ret = heap_add(kt);
		if (!ret && q.heap[0] == kt && !pthread_equal(q.thread, pthread_self()))
			pthread_cond_signal(&q.cond);
	}
	pthread_mutex_unlock(&q.lock);
	return ret;
}

void ktimer_disarm(struct ktimer *kt)
{
	pthread_mutex_lock(&q.lock);
	heap_remove(kt);
	pthread_mutex_unlock(&q.lock);
}

void ktimer_cancel(struct ktimer *kt)
{
	pthread_mutex_lock(&q.lock);
	heap_remove(kt);
	/* A callback that always arms its timer again, and at once, would not let us see it idle. */
	kt->cancelling = true;
	while (q.running == kt && !pthread_equal(q.thread, pthread_self()))
		pthread_cond_wait(&q.idle, &q.lock);
	kt->cancelling = false;
	pthread_mutex_unlock(&q.lock);
}

void ktimer_shutdown(void)
{
	pthread_mutex_lock(&q.lock);
	if (!q.started) {
		pthread_mutex_unlock(&q.lock);
		return;
	}
	q.quit = true;
	pthread_cond_signal(&q.cond);
	pthread_mutex_unlock(&q.lock);
	pthread_join(q.thread, NULL);
	pthread_mutex_lock(&q.lock);
	q.started = false;
	pthread_cond_destroy(&q.cond);
	free(q.heap);
	q.heap = NULL;
	q.n = q.cap = 0;
	pthread_mutex_unlock(&q.lock);
}
