/* SPDX-License-Identifier: Apache-2.0 */
/* Parking and waking: no wake is lost, whichever side comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "tests/unit/sig_stubs.h"

static struct world w;

#define ROUNDS 20000

static void test_wake_before_park(void **state)
{
	(void)state;
	world_init(&w, 1);
	world_become(&w.task[0]);
	task_prepare_park(&w.task[0]);
	assert_true(task_wake(&w.task[0]));
	assert_false(task_wake(&w.task[0]));
	assert_int_equal(task_park(&w.task[0], DEADLINE_NONE, NULL, 0), 0);
	world_destroy(&w);
}

static void test_deadline(void **state)
{
	struct pollfd pfd = {.events = POLLIN};
	int pipefd[2];

	(void)state;
	assert_int_equal(pipe(pipefd), 0);
	pfd.fd = pipefd[0];
	world_init(&w, 1);
	world_become(&w.task[0]);
	task_prepare_park(&w.task[0]);
	assert_int_equal(task_park(&w.task[0], monotonic_ns() + 1000000, NULL, 0), -ETIMEDOUT);
	task_prepare_park(&w.task[0]);
	assert_int_equal(task_park(&w.task[0], monotonic_ns() + 1000000, &pfd, 1), -ETIMEDOUT);
	assert_int_equal(write(pipefd[1], "x", 1), 1);
	task_prepare_park(&w.task[0]);
	assert_int_equal(task_park(&w.task[0], DEADLINE_NONE, &pfd, 1), 0);
	assert_int_equal(pfd.revents, POLLIN);
	close(pipefd[0]);
	close(pipefd[1]);
	world_destroy(&w);
}

static void test_signal_interrupts(void **state)
{
	(void)state;
	world_init(&w, 1);
	world_become(&w.task[0]);
	w.task[0].sighand->action[SIGUSR1].handler = 0x1000;
	task_prepare_park(&w.task[0]);
	signal_send_process(&w.process, SIGUSR1, NULL);
	assert_int_equal(task_park(&w.task[0], DEADLINE_NONE, NULL, 0), -EINTR);
	assert_int_equal(task_park_killable(&w.task[0], monotonic_ns() + 1000000), -ETIMEDOUT);
	signal_send_process(&w.process, SIGKILL, NULL);
	assert_int_equal(task_park_killable(&w.task[0], DEADLINE_NONE), -EINTR);
	world_destroy(&w);
}

static void test_events_filter(void **state)
{
	struct waitq q = WAITQ_INIT(q);
	struct waiter a;

	(void)state;
	world_init(&w, 1);
	waiter_init(&a, &w.task[0]);
	waitq_add(&q, &a, POLLIN);
	task_prepare_park(&w.task[0]);
	waitq_wake(&q, POLLOUT, 0);
	assert_true(task_wake(&w.task[0])); /* was still asleep */
	task_prepare_park(&w.task[0]);
	waitq_wake(&q, POLLHUP, 0);
	assert_false(task_wake(&w.task[0]));
	waitq_remove(&a);
	waitq_remove(&a);
	world_destroy(&w);
}

static void test_exclusive_wakes_one(void **state)
{
	struct waitq q = WAITQ_INIT(q);
	struct waiter a[4];
	unsigned woken = 0;

	(void)state;
	world_init(&w, 4);
	for (int i = 0; i < 4; i++) {
		waiter_init(&a[i], &w.task[i]);
		a[i].exclusive = i > 0;
		waitq_add(&q, &a[i], POLLIN);
		task_prepare_park(&w.task[i]);
	}
	waitq_wake(&q, POLLIN, 1);
	waitq_wake(&q, POLLIN, 1);
	for (int i = 0; i < 4; i++) {
		woken += !task_wake(&w.task[i]);
		waitq_remove(&a[i]);
	}
	assert_int_equal(woken, 3); /* the one that shares, and two of the others */
	world_destroy(&w);
}

/* ---- two threads hand a turn to each other ---- */

struct turns {
	struct waitq q;
	pthread_mutex_t lock;
	unsigned turn;
	int fd;
	bool poll[2]; /* sleeps in ppoll instead of on the futex */
};

struct player {
	struct turns *s;
	unsigned me;
};

static unsigned turn_of(struct turns *s)
{
	unsigned v;

	pthread_mutex_lock(&s->lock);
	v = s->turn;
	pthread_mutex_unlock(&s->lock);
	return v;
}

static void *play(void *arg)
{
	struct player *p = arg;
	struct turns *s = p->s;
	struct task *t = &w.task[p->me];
	struct pollfd pfd = {.fd = s->fd, .events = POLLIN};

	world_become(t);
	for (int i = 0; i < ROUNDS; i++) {
		struct waiter me;

		waiter_init(&me, t);
		waitq_add(&s->q, &me, 0);
		for (;;) {
			task_prepare_park(t);
			if (turn_of(s) % 2 == p->me)
				break;
			if (task_park(t, DEADLINE_NONE, s->poll[p->me] ? &pfd : NULL,
				      s->poll[p->me] ? 1 : 0))
				return (void *)1;
		}
		waitq_remove(&me);
		pthread_mutex_lock(&s->lock);
		s->turn++;
		pthread_mutex_unlock(&s->lock);
		waitq_wake(&s->q, POLLIN, 0);
	}
	return NULL;
}

static void play_both(bool poll0, bool poll1)
{
	struct turns s = {.lock = PTHREAD_MUTEX_INITIALIZER, .poll = {poll0, poll1}};
	struct player p[2] = {{&s, 0}, {&s, 1}};
	pthread_t th[2];
	int pipefd[2];
	void *ret;

	assert_int_equal(pipe(pipefd), 0);
	s.fd = pipefd[0];
	waitq_init(&s.q);
	world_init(&w, 2);
	for (int i = 0; i < 2; i++)
		pthread_create(&th[i], NULL, play, &p[i]);
	for (int i = 0; i < 2; i++) {
		pthread_join(th[i], &ret);
		assert_null(ret);
	}
	assert_int_equal(s.turn, 2 * ROUNDS);
	close(pipefd[0]);
	close(pipefd[1]);
	world_destroy(&w);
}

static void test_no_lost_wake_futex(void **state)
{
	(void)state;
	play_both(false, false);
}

static void test_no_lost_wake_ppoll(void **state)
{
	(void)state;
	play_both(true, true);
}

static void test_no_lost_wake_mixed(void **state)
{
	(void)state;
	play_both(true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake_before_park),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_signal_interrupts),
		cmocka_unit_test(test_events_filter),
		cmocka_unit_test(test_exclusive_wakes_one),
		cmocka_unit_test(test_no_lost_wake_futex),
		cmocka_unit_test(test_no_lost_wake_ppoll),
		cmocka_unit_test(test_no_lost_wake_mixed),
	};

	alarm(120); /* a lost wake hangs */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
